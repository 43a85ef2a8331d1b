#include "plumbline/runtime/classifier_parts.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/data/npy.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;

base::Error bad(std::string message, std::string hint = {}) {
  return base::make_error(Code::kValue, std::move(message), "[guard]", std::move(hint));
}

/// The named one, or the only one there is.
base::Result<std::string> only(const std::string& named, const std::vector<std::string>& there, std::string_view what,
                               std::string_view key) {
  if (!named.empty()) {
    if (std::find(there.begin(), there.end(), named) != there.end()) return named;
    return bad(fmt::format("there is no {} '{}'", what, named), fmt::format("There are: {}", fmt::join(there, ", ")));
  }
  if (there.size() == 1) return there.front();
  return bad(fmt::format("the manifest has {} where one {} is needed", there.size(), what),
             fmt::format("Name one under {}", key));
}

base::Result<std::string> model_name(const data::Manifest& manifest, const std::string& named) {
  std::vector<std::string> there;
  for (const auto& [name, section] : manifest.models) there.push_back(name);
  return only(named, there, "model", "model");
}

base::Result<std::string> set_name(const data::Manifest& manifest, data::Role role, const std::string& named) {
  std::vector<std::string> there;
  for (const auto& [name, section] : manifest.data) {
    if (section.role == role) there.push_back(name);
  }
  return only(named, there, fmt::format("set of role {}", data::role_name(role)), "calibration");
}

base::Result<FeatureMap> feature_map(run::Session& session, const std::string& model, const std::string& train) {
  const std::string declared = session.manifest().models.at(model).features;
  PL_TRY(const auto features, session.features(model, train, {}, base::no_progress()));
  FeatureMap map;
  const bool pca = declared.rfind("pca:", 0) == 0;
  if (!declared.empty() && declared != "inputs" && !pca) {
    map.kind = FeatureMap::Kind::kTensor;
    map.tensor = declared;
    return map;
  }
  PL_TRY(const auto set, session.dataset(train));
  std::vector<std::size_t> all(set->rows());
  std::iota(all.begin(), all.end(), std::size_t{0});
  PL_TRY(const MatrixF rows, session.inputs(model, train, all));
  if (!pca && rows.cols() == features->cols()) return map;
  map.kind = FeatureMap::Kind::kPca;
  PL_TRY(map.pca, stats::fit_pca(rows, features->cols()));
  return map;
}

/// Rows that fitted the temperature stay out: the predictive would be too good on them.
base::Result<HierarchicalAnswers> fit_answers(const robustness::ClassifierDoubts& doubts,
                                              const robustness::DoubtData& data,
                                              const std::vector<std::string>& classes, const PartsOptions& options) {
  HierarchicalAnswers answers{options.hierarchy, {}, {}};
  auto tree = caution::make_hierarchy(options.hierarchy, classes);
  if (!tree.ok()) return tree.error().at("[guard] hierarchy");
  answers.tree = std::move(tree).value();
  const auto rows = std::ssize(doubts.threshold_rows);
  MatrixD logits(rows, data.calibration_logits.cols());
  MatrixF features(rows, data.calibration_features.cols());
  std::vector<int> labels, units;
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    const std::size_t row = doubts.threshold_rows[static_cast<std::size_t>(i)];
    logits.row(i) = data.calibration_logits.row(static_cast<std::ptrdiff_t>(row));
    features.row(i) = data.calibration_features.row(static_cast<std::ptrdiff_t>(row));
    labels.push_back(data.calibration_labels[row]);
    if (!data.calibration_units.empty()) units.push_back(data.calibration_units[row]);
  }
  PL_TRY(const robustness::ManyDoubts asked, robustness::ask_all(doubts, logits, features));
  auto rule = caution::fit_hierarchy(answers.tree, asked.p, labels, units, options.answers);
  if (!rule.ok()) return rule.error().at("[guard] hierarchy");
  answers.rule = std::move(rule).value();
  return answers;
}

base::Status check_labelled(const data::Dataset& set, std::ptrdiff_t outputs) {
  if (!set.labelled()) return base::make_error(Code::kShape, "has no labels", set.name);
  if (set.classes() <= outputs) return base::ok();
  return base::make_error(
      Code::kShape, fmt::format("labels reach {}, the model has {} outputs", set.classes() - 1, outputs), set.name);
}

TrainingExamples examples_of(const robustness::RowMahalanobis& distance, const MatrixF& features,
                             const data::Dataset& set, std::size_t most) {
  TrainingExamples examples;
  const std::size_t n = std::min(most, set.rows());
  examples.white.resize(static_cast<std::ptrdiff_t>(n), features.cols());
  std::vector<double> white;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t row = i * set.rows() / n;  // spread over the set, which may be sorted
    const auto at = static_cast<std::ptrdiff_t>(row);
    distance.score({features.data() + at * features.cols(), static_cast<std::size_t>(features.cols())}, white);
    for (std::size_t j = 0; j < white.size(); ++j) {
      examples.white(static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(j)) = static_cast<float>(white[j]);
    }
    examples.labels.push_back(set.labels[row]);
    examples.source_rows.push_back(static_cast<int>(set.source_rows.empty() ? row : set.source_rows[row]));
  }
  return examples;
}

}  // namespace

std::string FeatureMap::text() const {
  switch (kind) {
    case Kind::kInputs: return "inputs";
    case Kind::kPca: return fmt::format("pca:{}", pca ? pca->dimension() : 0);
    case Kind::kTensor: return tensor;
  }
  return "inputs";
}

PartsOptions parts_options(const data::Manifest& manifest) {
  PartsOptions options;
  if (!manifest.guard) return options;
  const auto& keys = manifest.guard->keys;
  const auto text = [&](const char* key) {
    const auto found = keys.find(key);
    const auto* value = found == keys.end() ? nullptr : std::get_if<std::string>(&found->second);
    return value == nullptr ? std::string() : *value;
  };
  options.model = text("model");
  options.calibration = text("calibration");
  if (const auto alpha = keys.find("alpha"); alpha != keys.end()) {
    if (const auto* real = std::get_if<double>(&alpha->second)) options.alpha = *real;
  }
  if (const auto lines = keys.find("hierarchy"); lines != keys.end()) {
    if (const auto* all = std::get_if<std::vector<std::string>>(&lines->second)) options.hierarchy = *all;
  }
  if (const auto target = keys.find("accuracy"); target != keys.end()) {
    if (const auto* real = std::get_if<double>(&target->second)) options.answers.target = *real;
  }
  if (const auto count = keys.find("neighbours"); count != keys.end()) {
    constexpr std::size_t kKept = 20000;
    const auto* whole = std::get_if<std::int64_t>(&count->second);
    if (whole != nullptr && *whole > 0) options.examples = kKept;
  }
  return options;
}

base::Result<ClassifierParts> fit_parts(run::Session& session, const PartsOptions& options) {
  const data::Manifest& manifest = session.manifest();
  PL_TRY(const std::string model, model_name(manifest, options.model));
  PL_TRY(const std::string train, set_name(manifest, data::Role::kTrain, {}));
  PL_TRY(const std::string calibration, set_name(manifest, data::Role::kCalibration, options.calibration));
  PL_TRY(const decision::PredictorInfo info, session.predictor_info(model));
  if (info.task != decision::Task::kClassification || info.output == decision::Output::kScores) {
    return base::make_error(Code::kUnsupported, "a guard decides over logits or probabilities of a classifier",
                            fmt::format("model '{}'", model), "Declare the output, or guard another model");
  }
  PL_TRY(const auto train_set, session.dataset(train));
  PL_TRY(const auto calibration_set, session.dataset(calibration));
  PL_TRY(const auto outputs, session.predictions(model, calibration, false, options.cancel, base::no_progress()));
  const std::ptrdiff_t classes = outputs->outputs.cols();
  PL_CHECK(check_labelled(*train_set, classes));
  PL_CHECK(check_labelled(*calibration_set, classes));
  MatrixD logits = outputs->outputs;
  if (info.output == decision::Output::kProbabilities) logits = logits.array().max(1e-12).log().matrix();
  PL_TRY(const auto train_features, session.features(model, train, options.cancel, base::no_progress()));
  PL_TRY(const auto calibration_features, session.features(model, calibration, options.cancel, base::no_progress()));
  const robustness::DoubtData data{*train_features,       train_set->labels,       static_cast<int>(classes), logits,
                                   *calibration_features, calibration_set->labels, calibration_set->units};
  robustness::DoubtOptions fit;
  fit.level = 1 - options.alpha;
  fit.head.cancel = options.cancel;
  PL_TRY(robustness::ClassifierDoubts doubts,
         robustness::fit_doubts(data, fit, base::Rng(manifest.seed, {"doubts", model})));
  ClassifierParts parts{.doubts = std::move(doubts),
                        .hierarchy = {},
                        .features = {},
                        .classes = train_set->class_names,
                        .model = model,
                        .model_hash = info.hash,
                        .output = info.output,
                        .input_size = info.input_size,
                        .train = train,
                        .calibration = calibration,
                        .train_fingerprint = train_set->fingerprint,
                        .calibration_fingerprint = calibration_set->fingerprint,
                        .examples = {}};
  for (auto c = std::ssize(parts.classes); c < classes; ++c) parts.classes.push_back(fmt::format("{}", c));
  PL_TRY(parts.features, feature_map(session, model, train));
  if (!options.hierarchy.empty()) {
    PL_TRY(parts.hierarchy, fit_answers(parts.doubts, data, parts.classes, options));
  }
  if (options.examples > 0) {
    parts.examples = examples_of(parts.doubts.distance, *train_features, *train_set, options.examples);
  }
  return parts;
}

std::string parts_hash(const ClassifierParts& parts) {
  base::Sha256 hash;
  const auto add = [&](const auto& matrix) { hash.add_field(data::npy_bytes(MatrixD(matrix))); };
  hash.add_field(parts.model_hash).add_field(parts.thresholds_hash()).add_field(parts.features.text());
  hash.add_field(fmt::format("{} {} {}", decision::output_name(parts.output), parts.doubts.draw_seed,
                             parts.doubts.draws.normal.rows()));
  for (const std::string& name : parts.classes) hash.add_field(name);
  const robustness::RowMahalanobis::State& distance = parts.doubts.distance.state();
  add(distance.means);
  add(distance.mean);
  add(distance.whitener);
  const caution::LaplaceState& head = parts.doubts.head.state();
  hash.add_field(caution::laplace_form_name(head.form));
  for (const MatrixD& part :
       {MatrixD(head.center), MatrixD(head.scale), head.weights, MatrixD(head.intercept), head.packed, head.features,
        MatrixD(head.feature_curvature), head.labels, MatrixD(head.label_curvature)}) {
    add(part);
  }
  if (parts.features.pca) {
    add(parts.features.pca->mean);
    add(parts.features.pca->components);
  }
  if (parts.hierarchy) {
    for (const std::string& line : parts.hierarchy->lines) hash.add_field(line);
    hash.add_field(
        fmt::format("trade {} target {}", parts.hierarchy->rule.trade, parts.hierarchy->rule.options.target));
  }
  return hash.hex();
}

}  // namespace plumbline::runtime
