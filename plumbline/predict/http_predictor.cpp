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
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <nlohmann/json.hpp>

#include "plumbline/base/guard.hpp"
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

/// Reads {"outputs": [[number, …], …]} straight into the matrix and stops at the first thing that does not fit, so that
/// an answer never takes more memory than its own text. Other keys are passed over, whatever they hold.
class AnswerReader {
 public:
  AnswerReader(std::ptrdiff_t rows, std::ptrdiff_t columns) : outputs_(rows, columns) {}

  bool null() { return value("null"); }
  bool boolean(bool) { return value("boolean"); }
  bool number_integer(std::int64_t v) { return number(static_cast<double>(v)); }
  bool number_unsigned(std::uint64_t v) { return number(static_cast<double>(v)); }
  bool number_float(double v, const std::string&) { return number(v); }
  bool string(std::string&) { return value("string"); }
  bool binary(nlohmann::json::binary_t&) { return value("binary"); }
  bool start_object(std::size_t) {
    if (depth_ == 0) {
      ++depth_;
      return true;
    }
    return value("object") && deeper();
  }
  bool end_object() {
    --depth_;
    return true;
  }
  bool key(std::string& name) {
    if (depth_ != 1) return true;
    at_outputs_ = name == "outputs";
    if (at_outputs_ && seen_) return fail(Code::kParse, "the answer has the list \"outputs\" twice");
    return true;
  }
  bool start_array(std::size_t) {
    if (at_outputs_ && depth_ == 1) {
      seen_ = true;
    } else if (at_outputs_ && depth_ == 2) {
      if (row_ == outputs_.rows())
        return fail(Code::kShape, fmt::format("the answer has more than {} rows", outputs_.rows()));
      column_ = 0;
    } else if (!value("array")) {
      return false;
    }
    return deeper();
  }
  bool end_array() {
    --depth_;
    if (!at_outputs_ || depth_ != 2) return true;
    if (column_ != outputs_.cols()) {
      return fail(Code::kShape,
                  fmt::format("row {} of the answer has {} numbers, expected {}", row_, column_, outputs_.cols()));
    }
    ++row_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) {
    return fail(Code::kParse, "the answer is not JSON (NaN and Infinity are not, either)");
  }

  base::Result<MatrixD> take() {
    if (!error_ && !seen_) fail(Code::kParse, "the answer has no list \"outputs\"");
    if (!error_ && row_ != outputs_.rows())
      fail(Code::kShape, fmt::format("the answer has {} rows, expected {}", row_, outputs_.rows()));
    if (error_) return *error_;
    return std::move(outputs_);
  }

 private:
  static constexpr int kDeepest = 64;

  bool fail(Code code, std::string message) {
    error_ = make_error(code, std::move(message), {}, "Expected {\"outputs\": [[…], …]}");
    return false;
  }
  bool deeper() {
    if (++depth_ > kDeepest) return fail(Code::kParse, fmt::format("the answer is nested deeper than {}", kDeepest));
    return true;
  }
  /// Anything that is not a number where a number may stand.
  bool value(std::string_view type) {
    if (depth_ == 0) return fail(Code::kParse, "the answer is no object");
    if (!at_outputs_) return true;
    if (depth_ == 1) return fail(Code::kParse, "\"outputs\" is no list");
    if (depth_ == 2)
      return fail(Code::kShape, fmt::format("row {} of the answer is a {}, expected a list", row_, type));
    return fail(Code::kParse,
                fmt::format("the answer's row {} has a {} in column {}, expected a number", row_, type, column_));
  }
  bool number(double v) {
    if (depth_ != 3 || !at_outputs_) return value("number");
    if (column_ == outputs_.cols()) {
      return fail(Code::kShape, fmt::format("row {} of the answer has more than {} numbers", row_, outputs_.cols()));
    }
    outputs_(row_, column_++) = v;
    return true;
  }

  MatrixD outputs_;
  std::ptrdiff_t row_ = 0;
  std::ptrdiff_t column_ = 0;
  int depth_ = 0;
  bool at_outputs_ = false;
  bool seen_ = false;
  std::optional<base::Error> error_;
};

class HttpPredictor : public decision::Predictor {
 public:
  HttpPredictor(decision::PredictorInfo info, Address address, std::string endpoint, const HttpOptions& options,
                asio::ssl::context tls)
      : info_(std::move(info)),
        address_(std::move(address)),
        place_(std::move(endpoint)),
        options_(options),
        tls_(std::move(tls)) {}

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

  /// Why the peer's certificate was refused, or nothing where that was not the reason.
  static base::Error handshake_error(SSL* session, const error_code& code, std::chrono::milliseconds limit) {
    const long verdict = SSL_get_verify_result(session);
    if (verdict == X509_V_OK) return io_error(code, "agreeing on a secure connection", limit);
    return make_error(
        Code::kIo, fmt::format("the server's certificate is refused: {}", X509_verify_cert_error_string(verdict)), {},
        "Name the certificate of whoever signed it with ca_file, or the address for which it was made");
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
      beast::ssl_stream<beast::tcp_stream> stream(context_, tls_);
      SSL* const session = stream.native_handle();
      // The certificate must name the host of the address: an IP address as such, a name also by its wildcard.
      asio::ip::make_address(address_.host, code);
      if (code) {
        SSL_set_tlsext_host_name(session, address_.host.c_str());
        SSL_set1_host(session, address_.host.c_str());
      } else {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), address_.host.c_str());
      }
      PL_CHECK(connect(beast::get_lowest_layer(stream)));
      stream.async_handshake(asio::ssl::stream_base::client, [&](const error_code& outcome) { code = outcome; });
      finish();
      if (code) return handshake_error(session, code, options_.connect_timeout);
      PL_TRY(text, exchange(stream, std::move(body)));
    } else {
      beast::tcp_stream stream(context_);
      PL_CHECK(connect(stream));
      PL_TRY(text, exchange(stream, std::move(body)));
    }
    return parse_http_answer(text, batch.rows(), info_.outputs);
  }

  decision::PredictorInfo info_;
  Address address_;
  std::string place_;
  HttpOptions options_;
  std::uint64_t answer_numbers_ = 0;  // expected in the answer under way; bounds its bytes
  asio::io_context context_;
  asio::ssl::context tls_;
};

}  // namespace

base::Result<MatrixD> parse_http_answer(std::string_view text, std::ptrdiff_t rows, std::ptrdiff_t outputs) {
  PL_CHECK(base::check_at_least("parse_http_answer", "rows", rows, 0));
  PL_CHECK(base::check_at_least("parse_http_answer", "outputs", outputs, 1));
  AnswerReader reader(rows, outputs);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  return reader.take();
}

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
  asio::ssl::context tls(asio::ssl::context::tls_client);
  if (address->secure) {
    error_code code;
    tls.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, code);
    tls.set_verify_mode(asio::ssl::verify_peer, code);
    if (section.ca_file) {
      tls.load_verify_file(section.ca_file->resolved, code);
    } else {
      tls.set_default_verify_paths(code);
    }
    if (code) {
      return make_error(section.ca_file ? Code::kParse : Code::kIo,
                        fmt::format("no certificate can be read: {}", code.message()),
                        section.ca_file ? section.ca_file->resolved : place, "ca_file is a PEM file of certificates");
    }
  }
  info.kind = "http";
  info.hash = base::Sha256()
                  .add_field(section.endpoint)
                  .add_field(section.version)
                  .add_field(std::to_string(section.classes))
                  .hex();
  info.deterministic = !section.version.empty();
  return decision::PredictorPtr(
      std::make_unique<HttpPredictor>(std::move(info), *address, section.endpoint, options, std::move(tls)));
}

}  // namespace plumbline::predict
