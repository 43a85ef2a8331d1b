#pragma once
/// Who is let in: the name under which the server was called, where a request that changes something comes from, and
/// what the caller's token allows.

#include <optional>
#include <string>
#include <vector>

#include "apps/http/message.hpp"
#include "apps/http/tokens.hpp"

namespace plumbline::dashboard {

/// Names under which a server may be called. A page on another site can have its own name lead to this address
/// (DNS rebinding), and would then be of the same origin; its name gives it away.
class HostNames {
 public:
  /// `address` as bound ("127.0.0.1:8088"); `names` beside it, with a port or for any.
  HostNames(std::string address, bool loopback, std::vector<std::string> names);
  bool known(const std::string& host) const;

 private:
  std::string port_;
  bool loopback_ = true;
  std::vector<std::string> names_;
};

/// Is this request from a page of this server, or from no page at all? A browser sends the origin with every request
/// that may change something; a form of another site cannot send this content type.
/// Errors "forbidden", "bad_request" in `where`.
base::Status same_origin(const http::ApiRequest& request);

/// Who calls, when that caller may do what `scope` says. Errors "unauthorized", "token_expired", "forbidden".
base::Result<http::Caller> admit(const http::Tokens& tokens, const http::ApiRequest& request, http::Scope scope);

}  // namespace plumbline::dashboard
