#pragma once
/// A request with its body in, a reply with its body out: HTTP without its bytes, for the guard and the dashboard.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::http {

struct ApiRequest {
  std::string method;
  std::string target;  ///< path and query, as sent
  std::string authorization;
  std::string host;
  std::string origin;
  std::string if_none_match;
  std::string content_type;
  std::string body;
};

struct ApiReply {
  int status = 200;
  std::string body;
  std::string type = "application/json";
  /// Called just before the bytes go out: false when the reply came too late and `body` must not be used.
  std::function<bool()> in_time{};
  /// Beside those that every reply has; one of the same name goes before.
  std::vector<std::pair<std::string, std::string>> headers{};
};

using Respond = std::function<void(ApiReply)>;  ///< from any thread, once
using Handler = std::function<void(const ApiRequest&, const Respond&)>;

/// {"error": {"code", "message", "hint"}} with the status of its word, which is in `where`.
ApiReply error_reply(const base::Error& error);
/// The status of an error's word, 500 for an unknown one.
int error_status(const std::string& word);

}  // namespace plumbline::http
