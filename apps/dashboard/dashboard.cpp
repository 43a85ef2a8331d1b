#include "apps/dashboard/dashboard.hpp"

#include <algorithm>
#include <atomic>
#include <optional>

#include <fmt/format.h>

#include "apps/dashboard/call.hpp"
#include "apps/dashboard/guard_proxy.hpp"
#include "apps/dashboard/pool.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/base/url.hpp"
#include "plumbline/case/report/assets.hpp"
#include "plumbline/checks/catalog.hpp"

namespace plumbline::dashboard {
namespace {

using http::ApiReply;
using http::ApiRequest;
using http::error_reply;
using http::refusal;
using http::Respond;
using http::Scope;

constexpr std::size_t kReaders = 2;
constexpr std::size_t kAskers = 8;

/// Readers answer from the stores; slow work waits for its turn; the others do not.
enum class Room { kReading, kSlow };

struct Route {
  const char* method;
  std::vector<std::string> path;  ///< a * stands for any one part
  Scope scope;
  std::vector<std::string> names;  ///< of the query
  Room room;
  Answer (*answer)(const Call&);
};

const std::vector<Route>& routes() {
  static const std::vector<Route> all = {
      {"GET",
       {"api", "runs"},
       Scope::kRead,
       {"offset", "limit", "query", "status", "verdict", "sort"},
       Room::kReading,
       runs},
      {"GET", {"api", "runs", "*"}, Scope::kRead, {}, Room::kReading, one_run},
      {"GET", {"api", "runs", "*", "report.html"}, Scope::kRead, {}, Room::kReading, run_page},
      {"GET", {"api", "runs", "*", "argument.svg"}, Scope::kRead, {}, Room::kReading, run_argument},
      {"GET", {"api", "runs", "*", "artifacts", "*"}, Scope::kRead, {}, Room::kReading, run_artifact},
      {"GET", {"api", "metrics"}, Scope::kRead, {}, Room::kReading, metrics},
      {"GET", {"api", "trend"}, Scope::kRead, {"check", "metric", "subject", "where", "limit"}, Room::kReading, trend},
      {"GET", {"api", "compare"}, Scope::kRead, {"first", "second"}, Room::kReading, compare},
      {"GET", {"api", "findings"}, Scope::kRead, {"offset", "limit", "check"}, Room::kReading, findings},
      {"POST", {"api", "findings", "replay"}, Scope::kAdmin, {}, Room::kSlow, replay},
      {"GET", {"api", "worlds"}, Scope::kRead, {}, Room::kReading, worlds},
      {"GET",
       {"api", "worlds", "*", "episode"},
       Scope::kRead,
       {"level", "agent", "script", "seed"},
       Room::kSlow,
       episode},
  };
  return all;
}

bool fits(const Route& route, const std::vector<std::string>& path) {
  if (route.path.size() != path.size()) return false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (route.path[i] != "*" && route.path[i] != path[i]) return false;
  }
  return true;
}

base::Status known_names(const std::vector<std::string>& names, const std::map<std::string, std::string>& query) {
  for (const auto& [name, value] : query) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      return refusal("bad_request", fmt::format("\"{}\" is no name of a query here", name.substr(0, 40)));
  }
  return base::ok();
}

ApiReply asset_reply(const report::Asset& asset, const std::string& tag, const ApiRequest& request) {
  ApiReply reply;
  reply.type = std::string(asset.type);
  reply.headers = {{"Cache-Control", asset.immutable ? "public, max-age=31536000, immutable" : "no-cache"},
                   {"ETag", tag}};
  if (request.if_none_match == tag) {
    reply.status = 304;
  } else {
    reply.body = std::string(asset.body);
  }
  return reply;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> security_headers() {
  return {{"Content-Security-Policy",
           "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
           "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"},
          {"Referrer-Policy", "no-referrer"},
          {"X-Frame-Options", "DENY"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cross-Origin-Resource-Policy", "same-origin"}};
}

struct Dashboard::State {
  State(DashboardOptions given, http::Tokens known)
      : options(std::move(given)),
        tokens(std::move(known)),
        recent(checks::catalog(), options.reading),
        cancel(base::CancelToken::make()) {
    for (std::size_t i = 0; i < kReaders; ++i) shelves.emplace_back(options.stores);
    slow_shelf.emplace(options.stores);
    for (const report::Asset& asset : report::dashboard_assets())
      tags.push_back("\"" + base::sha256_hex(std::string(asset.body)).substr(0, 16) + "\"");
  }

  /// Calls a route's function and never throws.
  template <class F>
  void answer(const Respond& respond, F work) {
    ApiReply reply;
    try {
      const Answer done = work();
      reply = done.ok() ? *done : error_reply(done.error());
    } catch (const std::exception& error) {
      reply = error_reply(refusal("internal", fmt::format("{}. This is a defect in Plumbline", error.what())));
    }
    respond(std::move(reply));
  }

  void post(Pool& pool, const Respond& respond, Pool::Work work) {
    if (!pool.post(std::move(work)))
      respond(error_reply(refusal("busy", "too much is being asked at once", "Try again in a moment")));
  }

  bool serve_asset(const ApiRequest& request, const Respond& respond);
  void pass_on(const ApiRequest& request, const std::string& target, const Respond& respond);
  void ask(const ApiRequest& request, const Respond& respond);

  DashboardOptions options;
  http::Tokens tokens;
  std::optional<HostNames> names;
  std::optional<GuardProxy> guard;
  std::string gauntlet;
  std::size_t gauntlet_tables = 0;
  std::vector<Shelf> shelves;  ///< one a reader
  std::optional<Shelf> slow_shelf;
  RecentRuns recent;
  std::vector<std::string> tags;  ///< of the assets
  base::CancelToken cancel;
  // Last, so that their threads end before what they use.
  Pool readers{kReaders, 256};
  Pool slow{1, 4};
  Pool askers{kAskers, 64};
};

bool Dashboard::State::serve_asset(const ApiRequest& request, const Respond& respond) {
  const std::string path = request.target.substr(0, request.target.find('?'));
  const auto assets = report::dashboard_assets();
  for (std::size_t i = 0; i < assets.size(); ++i) {
    if (assets[i].path != path) continue;
    respond(asset_reply(assets[i], tags[i], request));
    return true;
  }
  return false;
}

void Dashboard::State::pass_on(const ApiRequest& request, const std::string& target, const Respond& respond) {
  const auto caller = admit(tokens, request, GuardProxy::scope_of(request.method, target));
  if (!caller.ok()) return respond(error_reply(caller.error()));
  if (!guard)
    return respond(error_reply(refusal("not_found", "no guard is shown here", "Start the server with --guard URL")));
  post(askers, respond,
       [this, request, target, respond](std::size_t) { answer(respond, [&] { return guard->ask(request, target); }); });
}

void Dashboard::State::ask(const ApiRequest& request, const Respond& respond) {
  const auto target = base::parse_target(request.target);
  if (!target.ok()) return respond(error_reply(refusal("bad_request", target.error().message)));
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  const auto wrong_method = [&] {
    respond(error_reply(refusal("method_not_allowed", "this path does not answer to this method")));
  };
  if (const auto passed = GuardProxy::target_of(request.target); passed) {
    if (method != "GET" && method != "POST") return wrong_method();
    return pass_on(request, *passed, respond);
  }
  // These two need no store of a thread's own, or little.
  const bool is_overview = target->path == std::vector<std::string>{"api", "overview"};
  const bool is_gauntlet = target->path == std::vector<std::string>{"api", "gauntlet"};
  const Route* found = nullptr;
  bool path_known = is_overview || is_gauntlet;
  for (const Route& route : routes()) {
    if (!fits(route, target->path)) continue;
    path_known = true;
    if (method == route.method) found = &route;
  }
  if (!path_known)
    return respond(
        error_reply(refusal("not_found", "there is nothing here", "docs/user/dashboard.md lists what there is")));
  if ((is_overview || is_gauntlet) ? method != "GET" : found == nullptr) return wrong_method();
  auto caller = admit(tokens, request, found != nullptr ? found->scope : Scope::kRead);
  if (!caller.ok()) return respond(error_reply(caller.error()));
  if (const auto names_ok = known_names(found != nullptr ? found->names : std::vector<std::string>{}, target->query);
      !names_ok.ok())
    return respond(error_reply(names_ok.error()));
  if (is_gauntlet) return respond({200, gauntlet});
  std::vector<std::string> parts;
  for (std::size_t i = 0; found != nullptr && i < found->path.size(); ++i) {
    if (found->path[i] == "*") parts.push_back(target->path[i]);
  }
  const bool slowly = found != nullptr && found->room == Room::kSlow;
  post(slowly ? slow : readers, respond,
       [this, request, respond, found, slowly, parts, query = target->query, caller = *caller](std::size_t thread) {
         const Call call{request, parts, query, caller, options, slowly ? *slow_shelf : shelves[thread],
                         recent,  cancel};
         answer(respond, [&] {
           return found != nullptr ? found->answer(call) : overview(call, gauntlet_tables, !tokens.everybody());
         });
       });
}

Dashboard::Dashboard(std::unique_ptr<State> state) : state_(std::move(state)) {}
Dashboard::~Dashboard() = default;

base::Result<std::unique_ptr<Dashboard>> Dashboard::open(DashboardOptions options, http::Tokens tokens) {
  for (const StoreFile& file : options.stores) {
    if (auto store = run::open_sqlite_store_to_read(file.path); !store.ok()) return store.error();
  }
  PL_TRY(std::string gauntlet, gauntlet_tables(options.gauntlets));
  std::optional<GuardProxy> guard;
  if (!options.guard.empty()) {
    PL_TRY(guard, GuardProxy::open(options.guard, options.guard_ca));
  }
  auto state = std::make_unique<State>(std::move(options), std::move(tokens));
  state->gauntlet_tables = Json::parse(gauntlet).at("tables").size();
  state->gauntlet = std::move(gauntlet);
  state->guard = std::move(guard);
  return std::unique_ptr<Dashboard>(new Dashboard(std::move(state)));
}

void Dashboard::names(HostNames names) { state_->names = std::move(names); }

void Dashboard::handle(const ApiRequest& request, const Respond& respond) {
  if (!state_->names || !state_->names->known(request.host))
    return respond(error_reply(refusal("wrong_host", "this server does not answer under this name",
                                       "Call it by its address, or start it with --host NAME")));
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (reads && state_->serve_asset(request, respond)) return;
  if (!reads && request.method != "POST")
    return respond(error_reply(refusal("method_not_allowed", "only GET, HEAD and POST are answered here")));
  if (!reads) {
    if (const auto same = same_origin(request); !same.ok()) return respond(error_reply(same.error()));
  }
  state_->ask(request, respond);
}

void Dashboard::stop() {
  state_->cancel.cancel();
  for (Pool* pool : {&state_->slow, &state_->readers, &state_->askers}) pool->stop();
}

}  // namespace plumbline::dashboard
