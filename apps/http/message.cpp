#include "apps/http/message.hpp"

#include <map>

#include <nlohmann/json.hpp>

#include "apps/http/body.hpp"

namespace plumbline::http {

int error_status(const std::string& word) {
  static const std::map<std::string, int> statuses = {{"bad_request", 400},
                                                      {"unknown_action", 400},
                                                      {"bad_reward", 400},
                                                      {"unauthorized", 401},
                                                      {"token_expired", 401},
                                                      {"forbidden", 403},
                                                      {"not_found", 404},
                                                      {"unknown_model", 404},
                                                      {"unknown_decision", 404},
                                                      {"unknown_question", 404},
                                                      {"unknown_monitor", 404},
                                                      {"method_not_allowed", 405},
                                                      {"timeout", 408},
                                                      {"already_answered", 409},
                                                      {"not_leased", 409},
                                                      {"question_settled", 409},
                                                      {"nothing_to_undo", 409},
                                                      {"no_alarm", 409},
                                                      {"not_decided", 409},
                                                      {"void_decision", 409},
                                                      {"shadow_decision", 409},
                                                      {"contradictory_feedback", 409},
                                                      {"id_reused", 409},
                                                      {"question_expired", 410},
                                                      {"lease_expired", 410},
                                                      {"not_judged", 409},
                                                      {"not_replayed", 409},
                                                      {"too_large", 413},
                                                      {"wrong_host", 421},
                                                      {"busy", 503},
                                                      {"draining", 503},
                                                      {"log_refused", 503},
                                                      {"log_stalled", 503},
                                                      {"store", 503},
                                                      {"guard_unreachable", 502},
                                                      {"guard_odd", 502},
                                                      {"guard_slow", 504},
                                                      {"too_slow", 504},
                                                      {"late", 504}};
  const auto found = statuses.find(word);
  return found == statuses.end() ? 500 : found->second;
}

ApiReply error_reply(const base::Error& error) {
  return {error_status(error.where), dump({{"error", error_json(error)}})};
}

}  // namespace plumbline::http
