#include "apps/guard/question_json.hpp"

#include <nlohmann/json.hpp>

namespace plumbline::guard {

using Json = nlohmann::ordered_json;

nlohmann::ordered_json question_json(const runtime::Guard& guard, std::uint64_t number, runtime::Instant now) {
  const runtime::OpenQuestion& item = guard.state().queue().open().at(number);
  const runtime::Question& q = item.question;
  Json candidates = Json::array();
  for (const runtime::Candidate& c : q.candidates)
    candidates.push_back({{"action", c.action}, {"probability", c.probability}});
  Json out = {{"question", number},
              {"actions", q.actions},
              {"kind", runtime::question_kind_name(q.kind)},
              {"proposed", q.proposed.empty() ? Json(nullptr) : Json(q.proposed)},
              {"candidates", std::move(candidates)},
              {"expected_seconds", guard.state().queue().expected_seconds(q.kind)},
              {"answers", item.votes.size()},
              {"reason", q.reason},
              {"if_nobody_answers", q.safe.empty() ? Json(nullptr) : Json(q.safe)},
              {"two_people_for", q.irreversible},
              {"seconds_left", static_cast<double>(q.deadline - now) / 1e9}};
  if (const runtime::OpenDecision* open = guard.state().find_open(q.decision); open != nullptr && !open->detail.empty())
    out["detail"] = Json::parse(open->detail, nullptr, false);
  if (!q.shown.empty()) out["detail"] = Json::parse(q.shown, nullptr, false);
  return out;
}

}  // namespace plumbline::guard
