#pragma once
/// A PostgreSQL server of a test's own: made by initdb in a temporary folder, reached through a Unix socket there and
/// nowhere else, run as an unprivileged user where the test is root, gone with this object (or with the process).

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include <sys/types.h>

#include "tests/support/testing.hpp"

namespace plumbline::testing {

class PostgresCluster {
 public:
  /// The folder of the server's programs; nothing where PostgreSQL is not installed.
  static std::optional<std::string> programs();
  /// One for the whole test program, started when it is first asked for. Check programs() before.
  static PostgresCluster& shared();

  PostgresCluster();
  ~PostgresCluster();
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;

  void start();
  /// As a server that is killed: no shutdown, what was durable is recovered at the next start.
  void stop();
  void restart() {
    stop();
    start();
  }

  /// With a schema of its own, which exists afterwards: tests do not see each other's tables.
  std::string url(const std::string& schema);
  /// Through another folder of sockets (a Relay's).
  std::string url_through(const std::string& sockets, const std::string& schema) const;
  std::string sockets() const { return folder_.path(); }
  /// Runs SQL as the owner of everything; what psql prints, without decoration.
  std::string sql(const std::string& statements) const;

 private:
  TempFolder folder_;
  pid_t server_ = -1;
};

/// Stands between a client and a cluster's socket, passes bytes on, and can cut.
class Relay {
 public:
  explicit Relay(const PostgresCluster& cluster);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  std::string sockets() const { return folder_.path(); }

  /// Cuts each connection that carries data after so many more bytes from the client were passed on.
  void cut_after_sent(std::int64_t bytes) { sent_left_ = bytes; }
  /// The same for bytes from the server: what was cut is not seen by the client, and the server has done it.
  void cut_after_answered(std::int64_t bytes) { answered_left_ = bytes; }
  /// No connection gets through any more, and those that exist end.
  void close(bool closed) { closed_ = closed; }
  int cuts() const { return cuts_; }

 private:
  void serve();
  TempFolder folder_;
  std::string target_;
  int listener_ = -1;
  std::atomic<std::int64_t> sent_left_ = -1, answered_left_ = -1;
  std::atomic<bool> closed_ = false, ending_ = false;
  std::atomic<int> cuts_ = 0;
  std::thread thread_;
};

}  // namespace plumbline::testing

/// A reference to the shared cluster, or the test is skipped.
#define PL_NEEDS_POSTGRES(VAR)                                           \
  if (!::plumbline::testing::PostgresCluster::programs())                \
    GTEST_SKIP() << "PostgreSQL's server is not installed (postgresql)"; \
  ::plumbline::testing::PostgresCluster& VAR = ::plumbline::testing::PostgresCluster::shared()
