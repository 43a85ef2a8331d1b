#include "apps/http/body.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace plumbline::http {

using base::Code;
using base::make_error;
using Json = nlohmann::ordered_json;

base::Error refusal(std::string word, std::string message, std::string hint) {
  return make_error(Code::kValue, std::move(message), std::move(word), std::move(hint));
}

double wall_now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json error_json(const base::Error& error) {
  Json out = {{"code", error.where}, {"message", error.message}};
  if (!error.hint.empty()) out["hint"] = error.hint;
  return out;
}

base::Result<Json> parse_body(const std::string& body) {
  // Deeper than any form here; a parser's stack is not for callers to fill.
  bool too_deep = false;
  const auto watch = [&](int level, Json::parse_event_t, Json&) {
    too_deep = too_deep || level > 16;
    return !too_deep;
  };
  Json json = Json::parse(body, watch, false);
  if (json.is_discarded() || too_deep || !json.is_object())
    return refusal("bad_request", "the body is not a JSON object");
  return json;
}

base::Result<std::string> text_at(const Json& json, const char* key, bool required) {
  const auto found = json.find(key);
  if (found == json.end() && !required) return std::string();
  if (found == json.end() || !found->is_string())
    return refusal("bad_request", fmt::format("\"{}\" is not a text", key));
  return found->get<std::string>();
}

base::Status known_keys(const Json& json, std::initializer_list<const char*> keys) {
  for (const auto& [key, value] : json.items()) {
    const bool known = std::any_of(keys.begin(), keys.end(), [&name = key](const char* k) { return name == k; });
    if (!known) return refusal("bad_request", fmt::format("\"{}\" is no key here", key.substr(0, 40)));
  }
  return base::ok();
}

}  // namespace plumbline::http
