// serve: the dashboard.
#include <csignal>
#include <filesystem>
#include <iostream>

#include <fmt/format.h>

#include "apps/cli/commands.hpp"
#include "apps/dashboard/dashboard.hpp"
#include "apps/http/server.hpp"

namespace plumbline::cli {

base::Result<int> run_serve(const Session& session) {
  const Options& o = session.options;
  if (o.serve.certificate.empty() != o.serve.key.empty())
    return base::make_error(base::Code::kValue, "--certificate and --key go together", "serve");
  std::signal(SIGPIPE, SIG_IGN);
  http::raise_descriptors();
  dashboard::DashboardOptions options;
  std::vector<std::string> stores = o.serve.stores;
  // Whoever only watches a guard need not have assessed anything here.
  constexpr const char* kHere = ".plumbline/store.db";
  if (stores.empty() && (o.serve.guard.empty() || std::filesystem::exists(kHere))) stores.emplace_back(kHere);
  options.stores = dashboard::named_stores(stores);
  options.gauntlets = o.serve.gauntlets;
  options.guard = o.serve.guard;
  options.guard_ca = o.serve.guard_ca;
  options.reading = {o.roots, 1U << 20U};
  PL_TRY(options.program, find_program(session, "plumbline"));
  options.replay_seconds = o.timeout;
  http::Tokens tokens = http::Tokens::open_to_all();
  if (!o.serve.tokens.empty()) {
    PL_TRY(tokens, http::Tokens::read(o.serve.tokens));
  }
  const bool open_to_all = tokens.everybody();
  PL_TRY(auto pages, dashboard::Dashboard::open(std::move(options), std::move(tokens)));
  http::ServerOptions limits;
  limits.write_seconds = 60;  // a report of some megabytes over a slow line
  limits.connections = 1000;
  limits.headers = dashboard::security_headers();
  const auto handler = [&pages](const http::ApiRequest& request, const http::Respond& respond) {
    pages->handle(request, respond);
  };
  PL_TRY(const auto server, http::Server::listen(o.listen.empty() ? "127.0.0.1:8088" : o.listen, handler,
                                                 {o.serve.certificate, o.serve.key}, limits));
  if (open_to_all && !server->loopback())
    return base::make_error(base::Code::kValue, "without tokens the dashboard listens on loopback only", o.listen,
                            "Name a file with --tokens; docs/user/dashboard.md shows one");
  pages->names({server->address(), server->loopback(), o.serve.hosts});
  std::cout << fmt::format("listening on {}://{}\n", o.serve.certificate.empty() ? "http" : "https", server->address())
            << std::flush;
  server->run([&] {
    pages->stop();
    server->stop();
  });
  pages.reset();  // what still waits in it holds connections, which need the server
  return 0;
}

}  // namespace plumbline::cli
