#include "plumbline/predict/http_predictor.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/predict/batch.hpp"
#include "plumbline/predict/declared.hpp"
#include "plumbline/predict/http_client.hpp"

namespace plumbline::predict {
namespace {

using base::Code;
using base::make_error;

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
  HttpPredictor(decision::PredictorInfo info, std::string endpoint, HttpClient client)
      : info_(std::move(info)), place_(std::move(endpoint)), client_(std::move(client)) {}

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

  base::Result<MatrixD> ask(const MatrixF& batch) {
    HttpQuestion question;
    question.body = body_of(batch);
    question.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
    // What the numbers asked for can take at most, with room for other keys.
    const auto numbers = static_cast<std::uint64_t>(batch.rows() * info_.outputs);
    PL_TRY(const HttpAnswer answer, client_.ask(std::move(question), (1U << 20U) + 64 * numbers));
    if (answer.status != 200) {
      std::string start = answer.body.substr(0, 200);
      for (char& c : start) c = static_cast<unsigned char>(c) < ' ' ? ' ' : c;
      const bool redirect = answer.status / 100 == 3;
      return make_error(Code::kIo, fmt::format("status {} instead of 200: '{}'", answer.status, start), {},
                        redirect ? "Redirects are not followed: declare the final address" : "");
    }
    return parse_http_answer(answer.body, batch.rows(), info_.outputs);
  }

  decision::PredictorInfo info_;
  std::string place_;
  HttpClient client_;
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
  const auto address = parse_http_address(section.endpoint);
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
  HttpLimits limits;
  limits.connect_timeout = options.connect_timeout;
  limits.request_timeout = options.request_timeout;
  limits.answer_bytes = options.answer_bytes;
  auto client = HttpClient::open(*address, section.ca_file ? section.ca_file->resolved : std::string(), limits);
  if (!client.ok()) return section.ca_file ? client.error() : client.error().at(place);
  info.kind = "http";
  info.hash = base::Sha256()
                  .add_field(section.endpoint)
                  .add_field(section.version)
                  .add_field(std::to_string(section.classes))
                  .hex();
  info.deterministic = !section.version.empty();
  return decision::PredictorPtr(
      std::make_unique<HttpPredictor>(std::move(info), section.endpoint, std::move(client).value()));
}

}  // namespace plumbline::predict
