#include "apps/dashboard/guard_proxy.hpp"

#include <algorithm>
#include <array>

#include "apps/http/body.hpp"

namespace plumbline::dashboard {
namespace {

using http::refusal;

constexpr std::string_view kBelow = "/api/guard";

}  // namespace

base::Result<GuardProxy> GuardProxy::open(const std::string& address, const std::string& ca_file) {
  const auto parsed = predict::parse_http_address(address);
  if (!parsed || parsed->target != "/")
    return base::make_error(base::Code::kValue, "'" + address + "' is not http(s)://HOST:PORT", "--guard",
                            "For example http://127.0.0.1:8077");
  predict::HttpLimits limits;
  limits.connect_timeout = std::chrono::seconds(3);
  limits.request_timeout = std::chrono::seconds(30);
  limits.answer_bytes = std::uint64_t{8} << 20U;
  PL_TRY(auto client, predict::HttpClient::open(*parsed, ca_file, limits));
  return GuardProxy(std::move(client));
}

std::optional<std::string> GuardProxy::target_of(const std::string& target) {
  if (!target.starts_with(kBelow)) return std::nullopt;
  const std::string rest = target.substr(kBelow.size());
  const std::string path = rest.substr(0, rest.find('?'));
  // Nothing encoded and no empty or dotted part: what is allowed here is what the guard reads.
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '_' ||
           c == '-' || c == '.';
  };
  if (!std::all_of(path.begin(), path.end(), plain) || path.find("//") != std::string::npos ||
      path.find("..") != std::string::npos)
    return std::nullopt;
  static constexpr std::array<std::string_view, 4> kWhole = {"/metrics", "/readyz", "/healthz", "/openapi.json"};
  const bool known =
      (path.starts_with("/v1/") && path.size() > 4) || std::find(kWhole.begin(), kWhole.end(), path) != kWhole.end();
  return known ? std::optional(rest) : std::nullopt;
}

http::Scope GuardProxy::scope_of(const std::string& method, const std::string& target) {
  if (method != "POST") return http::Scope::kRead;
  const std::string path = target.substr(0, target.find('?'));
  if (path == "/v1/decide" || path == "/v1/check" || path == "/v1/feedback") return http::Scope::kDecide;
  if (path.starts_with("/v1/queue/")) return http::Scope::kAnswer;
  return http::Scope::kAdmin;
}

base::Result<http::ApiReply> GuardProxy::ask(const http::ApiRequest& request, const std::string& target) const {
  predict::HttpQuestion question;
  question.method = request.method == "POST" ? "POST" : "GET";
  question.target = target;
  question.body = request.body;
  if (question.method == "POST") question.headers.emplace_back("Content-Type", "application/json");
  if (!request.authorization.empty()) question.headers.emplace_back("Authorization", request.authorization);
  auto answer = client_.ask(std::move(question));
  if (!answer.ok() && answer.error().where == "answer size")
    return refusal("guard_odd", "the guard's answer is larger than 8 MiB");
  if (!answer.ok()) {
    const bool slow = answer.error().code == base::Code::kLimit;
    return refusal(slow ? "guard_slow" : "guard_unreachable", "the guard: " + answer.error().message,
                   slow ? "Try again; the guard itself bounds how long a decision takes" : "See whether it runs");
  }
  const std::string& type = answer->type;
  const bool json = type.starts_with("application/json");
  if (answer->status / 100 == 3 || (!json && !type.starts_with("text/plain")))
    return refusal("guard_odd", "what answers at --guard does not answer as a guard does");
  http::ApiReply reply;
  reply.status = answer->status;
  reply.body = std::move(answer->body);
  reply.type = json ? "application/json" : "text/plain; charset=utf-8";
  return reply;
}

}  // namespace plumbline::dashboard
