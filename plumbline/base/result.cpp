#include "plumbline/base/result.hpp"

#include <fmt/format.h>

namespace plumbline::base {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kValue: return "value";
    case Code::kShape: return "shape";
    case Code::kIo: return "io";
    case Code::kParse: return "parse";
    case Code::kUnsupported: return "unsupported";
    case Code::kLimit: return "limit";
    case Code::kCancelled: return "cancelled";
    case Code::kInternal: return "internal";
  }
  return "internal";
}

std::string Error::text() const {
  std::string out;
  if (!where.empty()) out += where + ": ";
  out += message;
  if (!hint.empty()) out += (message.ends_with('?') ? " " : ". ") + hint;
  return out;
}

Error Error::at(std::string_view place) const {
  Error copy = *this;
  copy.where = where.empty() ? std::string(place) : fmt::format("{}: {}", place, where);
  return copy;
}

Error make_error(Code code, std::string message, std::string where, std::string hint) {
  return Error{code, std::move(message), std::move(where), std::move(hint)};
}

void ensure(bool ok, std::string_view what) {
  if (!ok) throw InternalError(std::string(what));
}

}  // namespace plumbline::base
