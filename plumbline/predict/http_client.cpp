#include "plumbline/predict/http_client.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

namespace plumbline::predict {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using base::Code;
using base::make_error;
using boost::system::error_code;

base::Error io_error(const error_code& code, const std::string& doing, std::chrono::milliseconds limit) {
  if (code == beast::error::timeout) {
    return make_error(Code::kLimit, fmt::format("no answer within {} ms while {}", limit.count(), doing), {},
                      "See whether the endpoint runs and how long it takes for one batch");
  }
  if (code == http::error::body_limit)
    return make_error(Code::kLimit, "the answer is larger than the limit", "answer size");
  if (code == http::error::end_of_stream || code == http::error::partial_message) {
    return make_error(Code::kIo, fmt::format("the connection ended while {}", doing));
  }
  if (code.category() == asio::error::get_ssl_category()) {
    return make_error(Code::kIo, fmt::format("{} while {}", code.message(), doing), {},
                      "The certificate or the protocol was refused");
  }
  return make_error(Code::kIo, fmt::format("{} while {}", code.message(), doing));
}

/// Why the peer's certificate was refused, or nothing where that was not the reason.
base::Error handshake_error(SSL* session, const error_code& code, std::chrono::milliseconds limit) {
  const long verdict = SSL_get_verify_result(session);
  if (verdict == X509_V_OK) return io_error(code, "agreeing on a secure connection", limit);
  return make_error(Code::kIo,
                    fmt::format("the server's certificate is refused: {}", X509_verify_cert_error_string(verdict)), {},
                    "Name the certificate of whoever signed it with ca_file, or the address for which it was made");
}

/// One question with its connection. Each step runs until it is done or the stream's timer has closed it.
struct Exchange {
  const HttpAddress& address;
  const HttpLimits& limits;
  std::uint64_t answer_bytes;
  asio::io_context context{1};
  error_code code{};

  void finish() {
    context.restart();
    context.run();
  }

  base::Status connect(beast::tcp_stream& socket) {
    asio::ip::tcp::resolver resolver(context);
    const auto places = resolver.resolve(address.host, address.port, code);
    if (code) return io_error(code, "looking up the address", limits.connect_timeout);
    socket.expires_after(limits.connect_timeout);
    socket.async_connect(places, [&](const error_code& outcome, const asio::ip::tcp::endpoint&) { code = outcome; });
    finish();
    if (code) return io_error(code, "connecting", limits.connect_timeout);
    return base::ok();
  }

  base::Status secure(beast::ssl_stream<beast::tcp_stream>& stream) {
    SSL* const session = stream.native_handle();
    // The certificate must name the host of the address: an IP address as such, a name also by its wildcard.
    asio::ip::make_address(address.host, code);
    if (code) {
      SSL_set_tlsext_host_name(session, address.host.c_str());
      SSL_set1_host(session, address.host.c_str());
    } else {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), address.host.c_str());
    }
    PL_CHECK(connect(beast::get_lowest_layer(stream)));
    stream.async_handshake(asio::ssl::stream_base::client, [&](const error_code& outcome) { code = outcome; });
    finish();
    if (code) return handshake_error(session, code, limits.connect_timeout);
    return base::ok();
  }

  template <class Stream>
  base::Result<HttpAnswer> ask(Stream& stream, HttpQuestion question) {
    http::request<http::string_body> request;
    request.method_string(question.method);
    request.target(question.target.empty() ? address.target : question.target);
    request.version(11);
    const bool plain_port = address.port == (address.secure ? "443" : "80");
    const std::string host = address.host.find(':') == std::string::npos ? address.host : "[" + address.host + "]";
    request.set(http::field::host, plain_port ? host : host + ":" + address.port);
    request.set(http::field::user_agent, "plumbline");
    request.set(http::field::connection, "close");
    for (const auto& [name, value] : question.headers) request.set(name, value);
    request.body() = std::move(question.body);
    request.prepare_payload();
    const auto keep = [&](const error_code& outcome, std::size_t) { code = outcome; };
    beast::get_lowest_layer(stream).expires_after(limits.request_timeout);
    http::async_write(stream, request, keep);
    finish();
    if (code) return io_error(code, "sending the request", limits.request_timeout);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(answer_bytes);
    parser.skip(question.method == "HEAD");
    http::async_read(stream, buffer, parser, keep);
    finish();
    if (code) return io_error(code, "waiting for the answer", limits.request_timeout);
    auto& response = parser.get();
    return HttpAnswer{static_cast<int>(response.result_int()), std::string(response[http::field::content_type]),
                      std::move(response.body())};
  }
};

}  // namespace

std::optional<HttpAddress> parse_http_address(std::string_view text) {
  HttpAddress address;
  if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else if (text.starts_with("https://")) {
    address.secure = true;
    text.remove_prefix(8);
  } else {
    return std::nullopt;
  }
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return std::nullopt;
  }
  const std::size_t slash = text.find_first_of("/?#");
  std::string_view place = text.substr(0, slash);
  address.target = slash == std::string_view::npos ? "/" : std::string(text.substr(slash));
  if (address.target.front() != '/') address.target.insert(0, "/");
  address.target = address.target.substr(0, address.target.find('#'));
  if (place.find('@') != std::string_view::npos) return std::nullopt;
  address.port = address.secure ? "443" : "80";
  std::size_t colon = place.rfind(':');
  if (place.starts_with('[')) {
    const std::size_t end = place.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    address.host = place.substr(1, end - 1);
    place.remove_prefix(end + 1);
    if (!place.empty() && !place.starts_with(':')) return std::nullopt;
    colon = place.empty() ? std::string_view::npos : 0;
  } else {
    address.host = place.substr(0, colon);
  }
  if (colon != std::string_view::npos) address.port = place.substr(colon + 1);
  if (address.host.empty() || address.port.empty() ||
      address.port.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return address;
}

struct HttpClient::State {
  HttpAddress address;
  HttpLimits limits;
  mutable asio::ssl::context tls{asio::ssl::context::tls_client};
};

HttpClient::HttpClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

base::Result<HttpClient> HttpClient::open(const HttpAddress& address, const std::string& ca_file,
                                          const HttpLimits& limits) {
  auto state = std::make_unique<State>();
  state->address = address;
  state->limits = limits;
  if (address.secure) {
    error_code code;
    state->tls.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, code);
    state->tls.set_verify_mode(asio::ssl::verify_peer, code);
    if (!ca_file.empty()) {
      state->tls.load_verify_file(ca_file, code);
    } else {
      state->tls.set_default_verify_paths(code);
    }
    if (code) {
      return make_error(ca_file.empty() ? Code::kIo : Code::kParse,
                        fmt::format("no certificate can be read: {}", code.message()), ca_file,
                        "ca_file is a PEM file of certificates");
    }
  }
  return HttpClient(std::move(state));
}

base::Result<HttpAnswer> HttpClient::ask(HttpQuestion question) const {
  return ask(std::move(question), state_->limits.answer_bytes);
}

base::Result<HttpAnswer> HttpClient::ask(HttpQuestion question, std::uint64_t answer_bytes) const {
  Exchange exchange{state_->address, state_->limits, std::min(answer_bytes, state_->limits.answer_bytes)};
  if (state_->address.secure) {
    beast::ssl_stream<beast::tcp_stream> stream(exchange.context, state_->tls);
    PL_CHECK(exchange.secure(stream));
    return exchange.ask(stream, std::move(question));
  }
  beast::tcp_stream stream(exchange.context);
  PL_CHECK(exchange.connect(stream));
  return exchange.ask(stream, std::move(question));
}

}  // namespace plumbline::predict
