#pragma once
/// One question to an HTTP server, with limits on time and size. Only the declared address is contacted; redirects are
/// not followed and nothing is retried.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::predict {

struct HttpAddress {
  bool secure = false;
  std::string host;
  std::string port;
  std::string target;  ///< path and query, "/" at least
};
/// The parts of http(s)://host[:port][/path][?query]; the host may be an IPv6 address in brackets.
std::optional<HttpAddress> parse_http_address(std::string_view text);

struct HttpQuestion {
  std::string method = "POST";  ///< GET, HEAD, POST, ...
  std::string target;           ///< empty: that of the address
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers{};
};

struct HttpAnswer {
  int status = 0;
  std::string type;
  std::string body;
};

struct HttpLimits {
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds request_timeout{60000};  ///< from sending to the last byte of the answer
  std::uint64_t answer_bytes = std::uint64_t{64} << 20U;
};

/// May be asked from several threads at once; each question has a connection of its own.
class HttpClient {
 public:
  /// https needs TLS 1.2 and a certificate for the address's host that leads to one in `ca_file`, or where that is
  /// empty to one of the system's. Errors kParse: a ca_file without certificates; kIo: the system has none.
  static base::Result<HttpClient> open(const HttpAddress& address, const std::string& ca_file,
                                       const HttpLimits& limits = {});
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  /// Whatever status the server answers with. Errors kIo: name not resolved, refused, connection lost, certificate.
  /// kLimit: time-out; with "answer size" in `where`: larger than `answer_bytes`.
  base::Result<HttpAnswer> ask(HttpQuestion question, std::uint64_t answer_bytes) const;
  base::Result<HttpAnswer> ask(HttpQuestion question) const;

 private:
  struct State;
  explicit HttpClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace plumbline::predict
