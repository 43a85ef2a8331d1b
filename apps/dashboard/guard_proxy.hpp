#pragma once
/// The guard behind the dashboard: what a page asks of it, passed on.

#include <optional>
#include <string>

#include "apps/http/message.hpp"
#include "apps/http/tokens.hpp"
#include "plumbline/predict/http_client.hpp"

namespace plumbline::dashboard {

class GuardProxy {
 public:
  /// Errors kValue: not http(s)://HOST:PORT; those of HttpClient::open.
  static base::Result<GuardProxy> open(const std::string& address, const std::string& ca_file);

  /// What a request below /api/guard asks of the guard: its target there. Empty: nothing that is passed on.
  static std::optional<std::string> target_of(const std::string& target);
  /// The scope that the guard itself asks for.
  static http::Scope scope_of(const std::string& method, const std::string& target);

  /// Waits for the guard. Its own errors come back as they are. Errors "guard_unreachable", "guard_slow", "guard_odd"
  /// in `where`.
  base::Result<http::ApiReply> ask(const http::ApiRequest& request, const std::string& target) const;

 private:
  explicit GuardProxy(predict::HttpClient client) : client_(std::move(client)) {}
  predict::HttpClient client_;
};

}  // namespace plumbline::dashboard
