#pragma once
/// The interface of `plumbline serve`: the page's files, and what it asks. Everything is read; nothing is written.

#include <memory>
#include <string>
#include <vector>

#include "apps/dashboard/gate.hpp"
#include "apps/dashboard/shelf.hpp"
#include "apps/http/message.hpp"
#include "apps/http/tokens.hpp"

namespace plumbline::dashboard {

struct DashboardOptions {
  std::vector<StoreFile> stores;
  std::vector<std::string> gauntlets;  ///< files: what `plumbline gauntlet --json` or `--write` wrote
  std::string guard;                   ///< http(s)://HOST:PORT of a guard; empty: none
  std::string guard_ca;                ///< PEM file of certificates that the guard's may lead to
  data::ManifestOptions reading;
  std::string program;  ///< this program, which replays findings
  double replay_seconds = 600;
  double episode_seconds = 30;
};

/// Headers of every reply. `tls`: browsers are told to stay with it.
std::vector<std::pair<std::string, std::string>> security_headers();

class Dashboard {
 public:
  /// Every store is opened once, so that one that cannot be read is told at the start. Errors as
  /// open_sqlite_store_to_read; kParse: a gauntlet's file; kValue: the guard's address.
  static base::Result<std::unique_ptr<Dashboard>> open(DashboardOptions options, http::Tokens tokens);
  ~Dashboard();

  /// Called once, when the address is known and before anything is served.
  void names(HostNames names);
  void handle(const http::ApiRequest& request, const http::Respond& respond);
  /// Replies that are under way are finished, replays and episodes cancelled.
  void stop();

 private:
  struct State;
  explicit Dashboard(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace plumbline::dashboard
