#include "plumbline/predict/http_predictor.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <nlohmann/json.hpp>

#include "plumbline/base/hash.hpp"
#include "plumbline/predict/batch.hpp"
#include "plumbline/predict/declared.hpp"

namespace plumbline::predict {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using base::Code;
using base::make_error;
using boost::system::error_code;

struct Address {
  bool secure = false;
  std::string host;
  std::string port;
  std::string target;
};

/// The parts of http(s)://host[:port][/path][?query]; the host may be an IPv6 address in brackets.
std::optional<Address> parse_address(std::string_view text) {
  Address address;
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

class HttpPredictor : public decision::Predictor {
 public:
  HttpPredictor(decision::PredictorInfo info, Address address, std::string endpoint, const HttpOptions& options)
      : info_(std::move(info)), address_(std::move(address)), place_(std::move(endpoint)), options_(options) {}

  const decision::PredictorInfo& info() const override { return info_; }

  base::Result<decision::Prediction> predict(MatrixRefF rows, const decision::PredictOptions& options) override {
    return predict_in_batches(info_, rows, options, true,
                              [&](const MatrixF& batch) -> base::Result<decision::Prediction> {
                                auto answer = ask(batch);
                                if (!answer.ok())
                                  return answer.error().at(fmt::format("model '{}' at {}", info_.name, place_));
                                decision::Prediction part;
                                part.outputs = std::move(answer).value();
                                return part;
                              });
  }

 private:
  static std::string body_of(const MatrixF& batch) {
    std::string body = "{\"inputs\":[";
    for (std::ptrdiff_t i = 0; i < batch.rows(); ++i) {
      body += i == 0 ? "[" : ",[";
      for (std::ptrdiff_t j = 0; j < batch.cols(); ++j) {
        if (j > 0) body += ',';
        fmt::format_to(std::back_inserter(body), "{}",
                       batch(i, j));  // the shortest text that reads back the same float
      }
      body += ']';
    }
    return body + "]}";
  }

  /// Runs what has been started, until it is done or the stream's timer has closed it.
  void finish() {
    context_.restart();
    context_.run();
  }

  static base::Error io_error(const error_code& code, const std::string& doing, std::chrono::milliseconds limit) {
    if (code == beast::error::timeout) {
      return make_error(Code::kLimit, fmt::format("no answer within {} ms while {}", limit.count(), doing), {},
                        "See whether the endpoint runs and how long it takes for one batch");
    }
    if (code == http::error::body_limit) return make_error(Code::kLimit, "the answer is larger than the limit");
    if (code == http::error::end_of_stream || code == http::error::partial_message) {
      return make_error(Code::kIo, fmt::format("the connection ended while {}", doing));
    }
    if (code.category() == asio::error::get_ssl_category()) {
      return make_error(Code::kIo, fmt::format("{} while {}", code.message(), doing), {},
                        "The certificate or the protocol was refused");
    }
    return make_error(Code::kIo, fmt::format("{} while {}", code.message(), doing));
  }

  template <class Stream>
  base::Result<std::string> exchange(Stream& stream, std::string body) {
    beast::tcp_stream& socket = beast::get_lowest_layer(stream);
    http::request<http::string_body> request(http::verb::post, address_.target, 11);
    const bool plain_port = address_.port == (address_.secure ? "443" : "80");
    request.set(http::field::host, plain_port ? address_.host : address_.host + ":" + address_.port);
    request.set(http::field::user_agent, "plumbline");
    request.set(http::field::content_type, "application/json");
    request.set(http::field::accept, "application/json");
    request.set(http::field::connection, "close");
    request.body() = std::move(body);
    request.prepare_payload();
    error_code code;
    const auto keep = [&](const error_code& outcome, std::size_t) { code = outcome; };
    socket.expires_after(options_.request_timeout);
    http::async_write(stream, request, keep);
    finish();
    if (code) return io_error(code, "sending the rows", options_.request_timeout);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(std::min<std::uint64_t>(options_.answer_bytes, (1U << 20U) + 64 * answer_numbers_));
    http::async_read(stream, buffer, parser, keep);
    finish();
    if (code) return io_error(code, "waiting for the answer", options_.request_timeout);
    const auto& response = parser.get();
    if (response.result_int() != 200) {
      std::string start = response.body().substr(0, 200);
      for (char& c : start) c = static_cast<unsigned char>(c) < ' ' ? ' ' : c;
      const bool redirect = response.result_int() / 100 == 3;
      return make_error(Code::kIo, fmt::format("status {} instead of 200: '{}'", response.result_int(), start), {},
                        redirect ? "Redirects are not followed: declare the final address" : "");
    }
    return response.body();
  }

  base::Result<MatrixD> ask(const MatrixF& batch) {
    asio::ip::tcp::resolver resolver(context_);
    error_code code;
    const auto places = resolver.resolve(address_.host, address_.port, code);
    if (code) return io_error(code, "looking up the address", options_.connect_timeout);
    std::string body = body_of(batch);
    answer_numbers_ = static_cast<std::uint64_t>(batch.rows() * info_.outputs);
    const auto connect = [&](beast::tcp_stream& socket) -> base::Status {
      socket.expires_after(options_.connect_timeout);
      socket.async_connect(places, [&](const error_code& outcome, const asio::ip::tcp::endpoint&) { code = outcome; });
      finish();
      if (code) return io_error(code, "connecting", options_.connect_timeout);
      return base::ok();
    };
    std::string text;
    if (address_.secure) {
      asio::ssl::context tls(asio::ssl::context::tls_client);
      tls.set_default_verify_paths(code);
      tls.set_verify_mode(asio::ssl::verify_peer);
      beast::ssl_stream<beast::tcp_stream> stream(context_, tls);
      stream.set_verify_callback(asio::ssl::host_name_verification(address_.host), code);
      SSL_set_tlsext_host_name(stream.native_handle(), address_.host.c_str());
      PL_CHECK(connect(beast::get_lowest_layer(stream)));
      stream.async_handshake(asio::ssl::stream_base::client, [&](const error_code& outcome) { code = outcome; });
      finish();
      if (code) return io_error(code, "agreeing on a secure connection", options_.connect_timeout);
      PL_TRY(text, exchange(stream, std::move(body)));
    } else {
      beast::tcp_stream stream(context_);
      PL_CHECK(connect(stream));
      PL_TRY(text, exchange(stream, std::move(body)));
    }
    return read_answer(text, batch.rows());
  }

  base::Result<MatrixD> read_answer(const std::string& text, std::ptrdiff_t rows) const {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (json.is_discarded()) {
      return make_error(Code::kParse, "the answer is not JSON (NaN and Infinity are not, either)", {},
                        "Expected {\"outputs\": [[…], …]}");
    }
    if (!json.is_object() || !json.contains("outputs") || !json["outputs"].is_array()) {
      return make_error(Code::kParse, "the answer has no list \"outputs\"", {}, "Expected {\"outputs\": [[…], …]}");
    }
    const auto& list = json["outputs"];
    if (static_cast<std::ptrdiff_t>(list.size()) != rows) {
      return make_error(Code::kShape, fmt::format("the answer has {} rows, expected {}", list.size(), rows));
    }
    MatrixD outputs(rows, info_.outputs);
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      const auto& row = list[static_cast<std::size_t>(i)];
      if (!row.is_array() || static_cast<std::ptrdiff_t>(row.size()) != info_.outputs) {
        return make_error(Code::kShape, fmt::format("row {} of the answer has {} numbers, expected {}", i,
                                                    row.is_array() ? row.size() : 1, info_.outputs));
      }
      for (std::ptrdiff_t k = 0; k < info_.outputs; ++k) {
        const auto& value = row[static_cast<std::size_t>(k)];
        if (!value.is_number()) {
          return make_error(Code::kParse, fmt::format("the answer's row {} has a {} in column {}, expected a number", i,
                                                      value.type_name(), k));
        }
        outputs(i, k) = value.get<double>();
      }
    }
    return outputs;
  }

  decision::PredictorInfo info_;
  Address address_;
  std::string place_;
  HttpOptions options_;
  std::uint64_t answer_numbers_ = 0;  // expected in the answer under way; bounds its bytes
  asio::io_context context_;
};

}  // namespace

base::Result<decision::PredictorPtr> open_http_predictor(const data::ModelSection& section,
                                                         const HttpOptions& options) {
  const std::string place = fmt::format("model '{}'", section.name);
  const auto address = parse_address(section.endpoint);
  if (!address) {
    return make_error(Code::kValue,
                      fmt::format("endpoint is '{}', expected http(s)://host:port/path", section.endpoint), place);
  }
  auto declared = declared_info(section);
  if (!declared.ok()) return declared.error().at(place);
  decision::PredictorInfo info = std::move(declared).value();
  if (info.outputs < 1) return make_error(Code::kValue, "an endpoint needs `classes`", place);
  if (!info.features.empty()) {
    return make_error(Code::kUnsupported,
                      fmt::format("features names tensor '{}', but an endpoint gives outputs only", info.features),
                      place, "Use \"inputs\" or \"pca:64\"");
  }
  info.kind = "http";
  info.hash = base::Sha256()
                  .add_field(section.endpoint)
                  .add_field(section.version)
                  .add_field(std::to_string(section.classes))
                  .hex();
  info.deterministic = !section.version.empty();
  return decision::PredictorPtr(std::make_unique<HttpPredictor>(std::move(info), *address, section.endpoint, options));
}

}  // namespace plumbline::predict
