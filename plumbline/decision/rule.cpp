#include "plumbline/decision/rule.hpp"

namespace plumbline::decision {

std::string_view act_name(Act act) {
  switch (act) {
    case Act::kAct: return "act";
    case Act::kModify: return "modify";
    case Act::kAsk: return "ask";
    case Act::kFallBack: return "fall back";
    case Act::kRefuse: return "refuse";
  }
  throw base::InternalError("act_name: no such act");
}

}  // namespace plumbline::decision
