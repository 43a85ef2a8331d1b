#include "plumbline/runtime/classifier_artifacts.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/data/npy.hpp"

namespace plumbline::runtime {
namespace {

namespace fs = std::filesystem;
using base::Code;
using nlohmann::json;

constexpr int kFormat = 2;
constexpr std::uint64_t kLargestJson = 1U << 20U;

base::Status write_file(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  if (!out.flush()) return base::make_error(Code::kIo, "cannot be written", path);
  return base::ok();
}

/// Collects arrays on the way out.
class Writer {
 public:
  explicit Writer(std::string folder) : folder_(std::move(folder)) {}
  base::Status array(const std::string& name, const std::string& npy) {
    PL_CHECK(write_file(folder_ + "/" + name + ".npy", npy));
    hashes_[name] = base::sha256_hex(npy);
    return base::ok();
  }
  base::Status array(const std::string& name, const MatrixD& values) { return array(name, data::npy_bytes(values)); }
  const json& hashes() const { return hashes_; }

 private:
  std::string folder_;
  json hashes_ = json::object();
};

/// Reads fields and arrays, and remembers the first thing that is wrong.
class Reader {
 public:
  Reader(std::string folder, json fields, const LoadLimits& limits)
      : folder_(std::move(folder)), fields_(std::move(fields)), limits_(limits) {}

  template <class T>
  T field(const char* name) {
    if (!status_.ok()) return T{};
    const auto found = fields_.find(name);
    if (found == fields_.end()) {
      fail(Code::kParse, fmt::format("field '{}' is missing", name));
      return T{};
    }
    try {
      return found->get<T>();
    } catch (const json::exception& error) {
      fail(Code::kParse, fmt::format("field '{}': {}", name, error.what()));
      return T{};
    }
  }
  /// A number, where null stands for infinity.
  double bound(const char* name) {
    if (fields_.contains(name) && fields_[name].is_null()) return std::numeric_limits<double>::infinity();
    return field<double>(name);
  }

  data::NpyArray raw(const std::string& name) {
    if (!status_.ok()) return {};
    const std::string path = fmt::format("{}/{}.npy", folder_, name);
    const auto hashes = fields_.find("arrays");
    if (hashes == fields_.end() || !hashes->is_object() || !hashes->contains(name) || !(*hashes)[name].is_string()) {
      fail(Code::kParse, fmt::format("field 'arrays' has no hash of '{}'", name));
      return {};
    }
    data::ReadLimits limits;
    limits.file_bytes = limits_.array_bytes;
    auto bytes = data::map_file(path, limits);
    if (!bytes.ok()) {
      status_ = bytes.error();
      return {};
    }
    const std::string found = base::Sha256().add(std::as_bytes(std::span(bytes->data.get(), bytes->size))).hex();
    if (found != (*hashes)[name].get<std::string>()) {
      status_ = base::make_error(Code::kValue, "is not what decider.json says: its SHA-256 is " + found, path,
                                 "Fit and save the parts again");
      return {};
    }
    auto array = data::parse_npy(*bytes, path, {}, limits);
    if (!array.ok()) {
      status_ = array.error();
      return {};
    }
    return *array;
  }
  MatrixD matrix(const std::string& name) {
    const data::NpyArray array = raw(name);
    if (!status_.ok()) return {};
    auto values = data::npy_to_double(array, name);
    if (!values.ok()) {
      status_ = values.error();
      return {};
    }
    return *values;
  }
  VectorD vector(const std::string& name) {
    const MatrixD values = matrix(name);
    if (!status_.ok()) return {};
    if (values.cols() != 1) {
      fail(Code::kShape, fmt::format("array '{}' has {} columns, expected 1", name, values.cols()));
      return {};
    }
    return values.col(0);
  }
  std::vector<int> integers(const std::string& name) {
    const data::NpyArray array = raw(name);
    if (!status_.ok()) return {};
    auto values = data::npy_to_ints(array, name);
    if (!values.ok()) status_ = values.error();
    return values.ok() ? *values : std::vector<int>{};
  }
  const base::Status& status() const { return status_; }

 private:
  void fail(Code code, std::string message) {
    status_ = base::make_error(code, std::move(message), folder_ + "/decider.json");
  }
  std::string folder_;
  json fields_;
  LoadLimits limits_;
  base::Status status_ = base::ok();
};

base::Status save_head(Writer& writer, const caution::LaplaceState& head) {
  PL_CHECK(writer.array("head-center", MatrixD(head.center)));
  PL_CHECK(writer.array("head-scale", MatrixD(head.scale)));
  PL_CHECK(writer.array("head-weights", head.weights));
  PL_CHECK(writer.array("head-intercept", MatrixD(head.intercept)));
  if (head.form == caution::LaplaceForm::kFull) return writer.array("head-packed", head.packed);
  PL_CHECK(writer.array("head-features", head.features));
  PL_CHECK(writer.array("head-feature-curvature", MatrixD(head.feature_curvature)));
  PL_CHECK(writer.array("head-labels", head.labels));
  return writer.array("head-label-curvature", MatrixD(head.label_curvature));
}

caution::LaplaceState load_head(Reader& reader) {
  caution::LaplaceState head;
  const auto form = reader.field<std::string>("head_form");
  head.form = form == "full" ? caution::LaplaceForm::kFull : caution::LaplaceForm::kKronecker;
  head.ridge = reader.field<double>("head_ridge");
  head.rows = reader.field<double>("head_rows");
  head.center = reader.vector("head-center");
  head.scale = reader.vector("head-scale");
  head.weights = reader.matrix("head-weights");
  head.classes = head.weights.rows();
  head.intercept = reader.vector("head-intercept");
  if (head.form == caution::LaplaceForm::kFull) {
    head.packed = reader.matrix("head-packed");
    return head;
  }
  head.features = reader.matrix("head-features");
  head.feature_curvature = reader.vector("head-feature-curvature");
  head.labels = reader.matrix("head-labels");
  head.label_curvature = reader.vector("head-label-curvature");
  return head;
}

base::Result<json> read_json(const std::string& path) {
  data::ReadLimits limits;
  limits.file_bytes = kLargestJson;
  PL_TRY(const data::Bytes bytes, data::map_file(path, limits));
  json fields = json::parse(bytes.data.get(), bytes.data.get() + bytes.size, nullptr, false);
  if (!fields.is_object()) return base::make_error(Code::kParse, "is no JSON object", path);
  const auto format = fields.find("format");
  if (format == fields.end() || !format->is_number_integer()) {
    return base::make_error(Code::kParse, "field 'format' is missing", path);
  }
  if (*format != kFormat) {
    return base::make_error(Code::kUnsupported,
                            fmt::format("format {}, this program reads {}", format->get<std::int64_t>(), kFormat), path,
                            "Fit and save the parts again");
  }
  return fields;
}

json hierarchy_json(const std::optional<HierarchicalAnswers>& answers) {
  if (!answers) return nullptr;
  const caution::HierarchyRule& rule = answers->rule;
  return {{"lines", answers->lines},
          {"target", rule.options.target},
          {"confidence", rule.options.confidence},
          {"trade", std::isinf(rule.trade) ? json() : json(rule.trade)},
          {"rows", rule.rows},
          {"accuracy", rule.accuracy},
          {"lower_bound", rule.lower_bound}};
}

base::Result<std::optional<HierarchicalAnswers>> load_hierarchy(const json& fields,
                                                                const std::vector<std::string>& classes,
                                                                const std::string& where) {
  if (fields.is_null()) return std::optional<HierarchicalAnswers>();
  HierarchicalAnswers answers;
  try {
    fields.at("lines").get_to(answers.lines);
    caution::HierarchyRule& rule = answers.rule;
    fields.at("target").get_to(rule.options.target);
    fields.at("confidence").get_to(rule.options.confidence);
    rule.trade =
        fields.at("trade").is_null() ? std::numeric_limits<double>::infinity() : fields.at("trade").get<double>();
    fields.at("rows").get_to(rule.rows);
    fields.at("accuracy").get_to(rule.accuracy);
    fields.at("lower_bound").get_to(rule.lower_bound);
  } catch (const json::exception& error) {
    return base::make_error(Code::kParse, fmt::format("field 'hierarchy': {}", error.what()), where);
  }
  if (!(answers.rule.trade >= 0)) return base::make_error(Code::kValue, "the hierarchy's trade is below 0", where);
  PL_TRY(answers.tree, caution::make_hierarchy(answers.lines, classes));
  return std::optional(std::move(answers));
}

base::Status check_sizes(const ClassifierParts& parts, const std::string& where) {
  const robustness::ClassifierDoubts& doubts = parts.doubts;
  PL_CHECK(base::check_size(where, "classes", std::ssize(parts.classes), doubts.classes()));
  PL_CHECK(base::check_size(where, "distance", doubts.distance.columns(), doubts.features()));
  PL_CHECK(base::check_positive(where, "temperature", doubts.temperature));
  PL_CHECK(base::check_in_open(where, "level", doubts.level, 0, 1));
  PL_CHECK(base::check_at_least(where, "distances", std::ssize(doubts.distances), 1));
  PL_CHECK(base::check_all_finite(where, "distances", doubts.distances));
  if (std::isnan(doubts.set_threshold) || !std::is_sorted(doubts.distances.begin(), doubts.distances.end())) {
    return base::make_error(Code::kValue, "thresholds are out of order", where);
  }
  if (parts.features.pca) {
    const stats::Pca& pca = *parts.features.pca;
    PL_CHECK(base::check_size(where, "pca mean", pca.mean.size(), parts.input_size));
    PL_CHECK(base::check_size(where, "pca columns", pca.components.cols(), parts.input_size));
    PL_CHECK(base::check_size(where, "pca rows", pca.components.rows(), doubts.features()));
  } else if (parts.features.kind == FeatureMap::Kind::kInputs) {
    PL_CHECK(base::check_size(where, "features", doubts.features(), parts.input_size));
  }
  const auto shown = std::ssize(parts.examples.labels);
  PL_CHECK(base::check_size(where, "examples", parts.examples.white.rows(), shown));
  PL_CHECK(base::check_size(where, "example rows", std::ssize(parts.examples.source_rows), shown));
  if (shown > 0) PL_CHECK(base::check_size(where, "example columns", parts.examples.white.cols(), doubts.features()));
  return base::check_labels(where, "example labels", parts.examples.labels, static_cast<int>(parts.classes.size()));
}

}  // namespace

base::Status save_parts(const ClassifierParts& parts, const std::string& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) return base::make_error(Code::kIo, code.message(), folder);
  Writer writer(folder);
  const robustness::ClassifierDoubts& doubts = parts.doubts;
  MatrixD distances(std::ssize(doubts.distances), 1);
  for (std::ptrdiff_t i = 0; i < distances.rows(); ++i) distances(i, 0) = doubts.distances[static_cast<std::size_t>(i)];
  PL_CHECK(writer.array("distances", distances));
  PL_CHECK(writer.array("distance-means", doubts.distance.state().means));
  PL_CHECK(writer.array("distance-mean", MatrixD(doubts.distance.state().mean)));
  PL_CHECK(writer.array("distance-whitener", doubts.distance.state().whitener));
  PL_CHECK(save_head(writer, doubts.head.state()));
  if (parts.features.pca) {
    PL_CHECK(writer.array("pca-mean", MatrixD(parts.features.pca->mean)));
    PL_CHECK(writer.array("pca-components", parts.features.pca->components));
  }
  const bool examples = !parts.examples.labels.empty();
  if (examples) {
    PL_CHECK(writer.array("example-features", data::npy_bytes(parts.examples.white)));
    PL_CHECK(writer.array("example-labels", data::npy_bytes(std::span<const int>(parts.examples.labels))));
    PL_CHECK(writer.array("example-rows", data::npy_bytes(std::span<const int>(parts.examples.source_rows))));
  }
  json fields = {{"format", kFormat},
                 {"model", parts.model},
                 {"model_hash", parts.model_hash},
                 {"output", decision::output_name(parts.output)},
                 {"input_size", parts.input_size},
                 {"classes", parts.classes},
                 {"features", parts.features.text()},
                 {"train", parts.train},
                 {"train_fingerprint", parts.train_fingerprint},
                 {"calibration", parts.calibration},
                 {"calibration_fingerprint", parts.calibration_fingerprint},
                 {"temperature", doubts.temperature},
                 {"temperature_rows", doubts.temperature_rows},
                 {"level", doubts.level},
                 {"set_threshold", doubts.set_threshold},
                 {"draws", doubts.draws.normal.rows()},
                 {"draw_seed", doubts.draw_seed},
                 {"head_form", doubts.head.form()},
                 {"head_ridge", doubts.head.state().ridge},
                 {"head_rows", doubts.head.state().rows},
                 {"notes", doubts.notes},
                 {"hierarchy", hierarchy_json(parts.hierarchy)},
                 {"examples", examples},
                 {"thresholds", parts.thresholds_hash()},
                 {"parts", parts_hash(parts)},
                 {"arrays", writer.hashes()}};
  if (std::isinf(doubts.set_threshold)) fields["set_threshold"] = nullptr;
  const std::string temporary = fmt::format("{}/decider.json.{}.part", folder, getpid());
  PL_CHECK(write_file(temporary, fields.dump(2) + "\n"));
  fs::rename(temporary, folder + "/decider.json", code);
  if (code) return base::make_error(Code::kIo, code.message(), folder + "/decider.json");
  return base::ok();
}

base::Result<ClassifierParts> load_parts(const std::string& folder, const LoadLimits& limits) {
  const std::string where = folder + "/decider.json";
  PL_TRY(json fields, read_json(where));
  Reader reader(folder, std::move(fields), limits);
  const auto output_word = reader.field<std::string>("output");
  const auto features = reader.field<std::string>("features");
  const auto draws = reader.field<std::ptrdiff_t>("draws");
  const auto draw_seed = reader.field<std::uint64_t>("draw_seed");
  const VectorD distances = reader.vector("distances");
  robustness::RowMahalanobis::State distance_state;
  distance_state.means = reader.matrix("distance-means");
  distance_state.mean = reader.vector("distance-mean");
  distance_state.whitener = reader.matrix("distance-whitener");
  caution::LaplaceState head_state = load_head(reader);
  FeatureMap map;
  if (features == "inputs") {
    map.kind = FeatureMap::Kind::kInputs;
  } else if (features.rfind("pca:", 0) == 0) {
    map.kind = FeatureMap::Kind::kPca;
    stats::Pca pca;
    pca.mean = reader.vector("pca-mean");
    pca.components = reader.matrix("pca-components");
    map.pca = std::move(pca);
  } else {
    map.kind = FeatureMap::Kind::kTensor;
    map.tensor = features;
  }
  TrainingExamples examples;
  if (reader.field<bool>("examples")) {
    const data::NpyArray white = reader.raw("example-features");
    if (reader.status().ok()) {
      PL_TRY(examples.white, data::npy_to_float(white, "example-features"));
    }
    examples.labels = reader.integers("example-labels");
    examples.source_rows = reader.integers("example-rows");
  }
  const auto thresholds = reader.field<std::string>("thresholds");
  const auto whole = reader.field<std::string>("parts");
  const auto temperature = reader.field<double>("temperature");
  const auto level = reader.field<double>("level");
  const double set_threshold = reader.bound("set_threshold");
  const auto temperature_rows = reader.field<std::size_t>("temperature_rows");
  const auto notes = reader.field<std::vector<std::string>>("notes");
  const auto classes = reader.field<std::vector<std::string>>("classes");
  const auto text = [&](const char* name) { return reader.field<std::string>(name); };
  const std::string model = text("model"), model_hash = text("model_hash"), train = text("train"),
                    calibration = text("calibration"), train_fingerprint = text("train_fingerprint"),
                    calibration_fingerprint = text("calibration_fingerprint");
  const auto input_size = reader.field<std::ptrdiff_t>("input_size");
  const json hierarchy = reader.field<json>("hierarchy");
  if (!reader.status().ok()) return reader.status().error();

  PL_TRY(const decision::Output output, decision::parse_output(output_word));
  constexpr std::ptrdiff_t kMostDraws = 1 << 16;
  if (draws < 2 || draws % 2 != 0 || draws > kMostDraws) {
    return base::make_error(Code::kValue, fmt::format("draws is {}, expected an even number to {}", draws, kMostDraws),
                            where);
  }
  PL_TRY(robustness::RowMahalanobis distance, robustness::RowMahalanobis::from_state(std::move(distance_state)));
  PL_TRY(caution::LastLayerLaplace head, caution::LastLayerLaplace::from_state(std::move(head_state)));
  const std::ptrdiff_t k = head.classes();
  ClassifierParts parts{.doubts = {.temperature = temperature,
                                   .level = level,
                                   .set_threshold = set_threshold,
                                   .distances = {distances.data(), distances.data() + distances.size()},
                                   .temperature_rows = temperature_rows,
                                   .threshold_rows = {},
                                   .distance = std::move(distance),
                                   .head = std::move(head),
                                   .draws = caution::LogitDraws::make(draws, k, draw_seed),
                                   .draw_seed = draw_seed,
                                   .notes = notes},
                        .hierarchy = {},
                        .features = std::move(map),
                        .classes = classes,
                        .model = model,
                        .model_hash = model_hash,
                        .output = output,
                        .input_size = input_size,
                        .train = train,
                        .calibration = calibration,
                        .train_fingerprint = train_fingerprint,
                        .calibration_fingerprint = calibration_fingerprint,
                        .examples = std::move(examples)};
  PL_CHECK(check_sizes(parts, where));
  PL_TRY(parts.hierarchy, load_hierarchy(hierarchy, parts.classes, where));
  if (parts.thresholds_hash() != thresholds || parts_hash(parts) != whole) {
    return base::make_error(Code::kValue, "the parts are not those whose hash it holds", where,
                            "Fit and save the parts again");
  }
  return parts;
}

}  // namespace plumbline::runtime
