#include "apps/dashboard/gate.hpp"

#include <algorithm>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "apps/http/body.hpp"

namespace plumbline::dashboard {
namespace {

using http::refusal;

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

/// "[::1]:80" gives "[::1]" and "80"; the port may be missing.
std::pair<std::string, std::string> split(const std::string& host) {
  const std::size_t colon = host.rfind(':');
  if (colon == std::string::npos || host.find(']', colon) != std::string::npos) return {host, ""};
  return {host.substr(0, colon), host.substr(colon + 1)};
}

bool is_address(const std::string& name) {
  unsigned char bytes[16];
  if (name.starts_with('[') && name.ends_with(']'))
    return inet_pton(AF_INET6, name.substr(1, name.size() - 2).c_str(), bytes) == 1;
  return inet_pton(AF_INET, name.c_str(), bytes) == 1;
}

bool is_loopback(const std::string& name) {
  return name == "localhost" || name == "[::1]" || (is_address(name) && name.starts_with("127."));
}

}  // namespace

HostNames::HostNames(std::string address, bool loopback, std::vector<std::string> names)
    : port_(split(address).second), loopback_(loopback), names_(std::move(names)) {
  for (std::string& name : names_) name = lower(name);
}

bool HostNames::known(const std::string& host) const {
  const std::string asked = lower(host);
  const auto [name, port] = split(asked);
  if (std::find(names_.begin(), names_.end(), asked) != names_.end() ||
      std::find(names_.begin(), names_.end(), name) != names_.end())
    return true;
  const bool same_port = port == port_ || (port.empty() && (port_ == "80" || port_ == "443"));
  // An address cannot be made to lead elsewhere; only names can.
  return same_port && (is_loopback(name) || (!loopback_ && is_address(name)));
}

base::Status same_origin(const http::ApiRequest& request) {
  if (!request.origin.empty()) {
    const std::size_t slashes = request.origin.find("://");
    const std::string from = slashes == std::string::npos ? "" : request.origin.substr(slashes + 3);
    if (from.empty() || lower(from) != lower(request.host))
      return refusal("forbidden", "this was asked by a page of another site");
  }
  const std::string type = lower(request.content_type.substr(0, request.content_type.find(';')));
  if (type != "application/json")
    return refusal("bad_request", "the content type is not application/json", "Send Content-Type: application/json");
  return base::ok();
}

base::Result<http::Caller> admit(const http::Tokens& tokens, const http::ApiRequest& request, http::Scope scope) {
  PL_TRY(http::Caller caller, tokens.recognise(request.authorization, http::wall_now()));
  if (!caller.may(scope))
    return refusal("forbidden", fmt::format("the token of {} has no scope {}", caller.name, http::scope_name(scope)));
  return caller;
}

}  // namespace plumbline::dashboard
