#pragma once
/// HTTP/1.1 around a handler: connections, their limits and their time. Plain or TLS.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/http/message.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::http {

/// Certificate and key as PEM files; empty: plain HTTP.
struct TlsFiles {
  std::string certificate;
  std::string key;
};

struct ServerOptions {
  std::uint64_t body_bytes = std::uint64_t{4} << 20U;
  std::uint32_t header_bytes = 16U << 10U;
  int read_seconds = 10;   ///< for a whole request, from its connection or from the reply before it
  int write_seconds = 10;  ///< for a whole reply
  std::size_t connections = 12'000;
  /// Called on the thread that serves: with false once a second, with true on SIGHUP. Without it SIGHUP ends the
  /// process.
  std::function<void(bool)> housekeeping{};
  std::vector<std::pair<std::string, std::string>> headers{};  ///< of every reply, refusals of the server's own too
};

/// As many connections as the system lets this process have.
void raise_descriptors();

class Server {
 public:
  /// Binds "ADDRESS:PORT" (port 0: any free one; IPv6 in brackets). The handler is called on the one thread that serves
  /// all connections and must not block it. Errors kIo: not to be bound; kParse: no such form, or files that are no
  /// certificate and key.
  static base::Result<std::unique_ptr<Server>> listen(const std::string& address, Handler handler, const TlsFiles& tls,
                                                      ServerOptions options = {});
  ~Server();

  std::string address() const;
  bool loopback() const;
  /// Serves until stop(). `on_signal` is called on SIGTERM or SIGINT, on a thread of its own; a second signal ends the
  /// process.
  void run(std::function<void()> on_signal);
  /// No new connections; those that are open get their replies.
  void stop();

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace plumbline::http
