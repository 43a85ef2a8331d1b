#pragma once
/// The interface over HTTP, without HTTP's bytes: a request with its body in, a reply with its body out. What each path
/// takes and gives is in the OpenAPI document (openapi.json), which is served and which the tests hold this against.

#include <optional>
#include <vector>

#include "apps/guard/overseer.hpp"
#include "apps/guard/start.hpp"
#include "apps/http/message.hpp"
#include "apps/http/token_file.hpp"
#include "plumbline/runtime/guard_loop.hpp"

namespace plumbline::guard {

using http::ApiReply;
using http::ApiRequest;
using http::Caller;
using http::error_reply;
using http::Respond;
using http::Scope;
using http::Tokens;

struct ApiLimits {
  std::size_t batch = 1024;  ///< requests of one call
};

class Api {
 public:
  Api(runtime::GuardLoop& loop, const Started& started, const http::TokenFile& tokens, const ApiLimits& limits = {});

  void handle(const ApiRequest& request, const Respond& respond);
  /// From now on /metrics tells what it does. It must outlive the last call of handle().
  void watch(const RemoteOverseer& overseer) { overseer_ = &overseer; }

 private:
  struct Route;
  static const std::vector<Route>& routes();
  void decide(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void check(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void feedback(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void queue(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void lease(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void answer(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void release(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void veto(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void undo(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void live(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void decision(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void monitors(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void acknowledge_monitor(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void cases(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void health(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void ready(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void metrics(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void openapi(const ApiRequest& request, const Caller& caller, const Respond& respond);
  void run(runtime::GuardLoop::Command command, const Respond& respond);
  void acknowledge(const base::Result<std::uint64_t>& frame, const Respond& respond,
                   std::string body = R"({"ok":true})");

  runtime::GuardLoop& loop_;
  const Started& started_;
  const http::TokenFile& tokens_;
  const RemoteOverseer* overseer_ = nullptr;
  ApiLimits limits_;
};

}  // namespace plumbline::guard
