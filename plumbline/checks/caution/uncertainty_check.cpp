#include "plumbline/caution/uncertainty.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/caution/caution_checks.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/robustness/doubts.hpp"
#include "plumbline/stats/bootstrap.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/ranking.hpp"

namespace plumbline::checks::caution {
namespace {

namespace method = plumbline::caution;
using check::Artifact;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "caution.uncertainty";
  facts.title = "Kinds of uncertainty";
  facts.question = "Do chance, a thin model and a new domain each show in their own kind of uncertainty?";
  facts.row = "C1";
  facts.maturity = check::Maturity::kPreview;
  facts.needs = {"a classifier with logits or probabilities, or its stored predictions",
                 "labelled training, calibration and test sets", "sets of role out-of-distribution, for ood_auroc",
                 "two or more [reward.NAME] of kind costs, for readings_differ"};
  facts.params = {{"level", 0.95, 0.5, 0.9999, {}, "of the prediction sets; a guard's alpha is 1 - level"},
                  {"ridge", 1.0, 1e-6, 1e6, {}, "precision of the prior on the head's weights"}};
  const std::map<std::string, std::string> chance = {{"kind", "aleatoric"}};
  const std::map<std::string, std::string> domain = {{"kind", "distributional"}};
  facts.yields = {{"error_auroc",
                   "share",
                   Direction::kHigherIsBetter,
                   "probability that a wrong answer is more uncertain than a right one, by kind",
                   {"kind"},
                   chance},
                  {"ood_auroc",
                   "share",
                   Direction::kHigherIsBetter,
                   "probability that an out-of-distribution row is more uncertain than a test row, by kind",
                   {"kind"},
                   domain},
                  {"model_fall",
                   "1",
                   Direction::kHigherIsBetter,
                   "mean model part with a quarter of the training rows, over that with all of them",
                   {},
                   {}},
                  {"mean", "nat", Direction::kNone, "mean aleatoric or model part", {"kind"}, chance},
                  {"readings_differ",
                   "share",
                   Direction::kNone,
                   "share of rows whose readings of the costs recommend different actions",
                   {},
                   {}}};
  facts.assumptions = {"test and calibration rows are drawn alike", "calibration rows were not used to train the model",
                       "the head's posterior is close to a Gaussian"};
  facts.sources = {"Depeweg et al. 2018", "Kristiadi, Hein, Hennig 2020", "Lee et al. 2018", "Bates et al. 2023"};
  facts.cost = "two fits of a head, O(n k^2 d^2), and O(k^2 d^2) a row";
  facts.code = "1";
  return facts;
}

/// The sets that a task reads, by role.
struct Sets {
  std::string train, calibration;
  std::vector<std::string> test, elsewhere;
};

Sets sets_of(const data::Manifest& manifest, const check::Task& task) {
  Sets sets;
  for (const auto& [name, section] : manifest.data) {
    const bool predicted = std::find(task.predictions.begin(), task.predictions.end(), std::pair(task.model, name)) !=
                           task.predictions.end();
    if (section.role == data::Role::kTrain && sets.train.empty()) sets.train = name;
    if (!predicted) continue;
    if (section.role == data::Role::kCalibration && sets.calibration.empty()) sets.calibration = name;
    if (section.role == data::Role::kTest) sets.test.push_back(name);
    if (section.role == data::Role::kOutOfDistribution) sets.elsewhere.push_back(name);
  }
  return sets;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) {
  check::Plan plan;
  const auto train = blueprint.sets_with_role(data::Role::kTrain);
  std::vector<std::string> reasons;
  if (train.empty() || !blueprint.data.at(train.front()).labelled) {
    plan.not_applicable = "no labelled data set has the role train, on which the head would be fitted";
    return plan;
  }
  for (const auto& [name, model] : blueprint.models) {
    if (model.task != "classification" || model.output == "scores") {
      reasons.push_back(fmt::format("'{}' states no probability (task {}, output {})", name, model.task, model.output));
      continue;
    }
    const auto calibration = judged_sets(blueprint, model, data::Role::kCalibration);
    const auto test = judged_sets(blueprint, model, data::Role::kTest);
    if (calibration.empty() || test.empty()) {
      reasons.push_back(fmt::format("'{}' has no labelled {} set with predictions", name,
                                    calibration.empty() ? "calibration" : "test"));
      continue;
    }
    check::Task task;
    task.subject = name;
    task.model = name;
    task.predictions = {{name, calibration.front()}};
    double rows = 0;
    for (const std::string& set : test) {
      task.predictions.emplace_back(name, set);
      rows += static_cast<double>(blueprint.data.at(set).rows);
    }
    for (const std::string& set : blueprint.sets_with_role(data::Role::kOutOfDistribution)) {
      const bool stored = std::find(model.stored_for.begin(), model.stored_for.end(), set) != model.stored_for.end();
      if (!model.runs && !stored) continue;
      task.predictions.emplace_back(name, set);
      rows += static_cast<double>(blueprint.data.at(set).rows);
    }
    task.cost_seconds = 0.2 + 5e-5 * (rows + static_cast<double>(blueprint.data.at(train.front()).rows));
    plan.tasks.push_back(std::move(task));
  }
  if (plan.tasks.empty()) {
    plan.not_applicable = reasons.empty() ? "the manifest names no model and no predictions"
                                          : fmt::format("{}", fmt::join(reasons, "; "));
  }
  return plan;
}

/// One set with its doubts, every measure growing with doubt.
struct Doubted {
  data::DatasetPtr set;
  MatrixD logits;
  std::shared_ptr<const MatrixF> features;
  robustness::ManyDoubts doubts;
  std::map<std::string, std::vector<double>> measure;
};

std::vector<double> to_vector(const VectorD& v) { return {v.data(), v.data() + v.size()}; }

MatrixD logits_of(const MatrixD& outputs, decision::Output output) {
  if (output == decision::Output::kLogits) return outputs;
  return outputs.array().max(1e-12).log().matrix();
}

base::Result<Doubted> doubted(check::Context& context, const robustness::ClassifierDoubts& doubts,
                              const std::string& data, decision::Output output) {
  Doubted result;
  const std::string& model = context.task().model;
  PL_TRY(result.set, context.dataset(data));
  PL_TRY(const auto prediction, context.predictions(model, data));
  result.logits = logits_of(prediction->outputs, output);
  PL_TRY(result.features, context.features(model, data));
  PL_TRY(result.doubts, robustness::ask_all(doubts, result.logits, *result.features));
  result.measure["aleatoric"] = to_vector(result.doubts.aleatoric);
  result.measure["model"] = to_vector(result.doubts.model);
  std::vector<double> surprise;
  for (std::ptrdiff_t i = 0; i < result.doubts.p_value.size(); ++i) surprise.push_back(-result.doubts.p_value(i));
  result.measure["distributional"] = std::move(surprise);
  return result;
}

/// Values and units of the rows where `which` is 1.
struct Group {
  std::vector<double> values;
  std::vector<int> units;
  std::vector<std::size_t> rows;
};
Group group(const Doubted& from, const std::string& kind, std::span<const std::uint8_t> which, std::uint8_t wanted) {
  Group found;
  const std::vector<double>& values = from.measure.at(kind);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!which.empty() && which[i] != wanted) continue;
    found.values.push_back(values[i]);
    found.rows.push_back(i);
    if (!from.set->units.empty()) found.units.push_back(from.set->units[i]);
  }
  return found;
}

base::Result<stats::Estimate> auroc_of(const Group& more, const Group& less) {
  stats::AurocOptions options;
  if (!more.units.empty() && !less.units.empty()) {
    options.positive_units = more.units;
    options.negative_units = less.units;
  }
  return stats::auroc(more.values, less.values, options);
}

std::vector<std::uint8_t> wrong_rows(const Doubted& judged) {
  std::vector<std::uint8_t> wrong;
  for (std::ptrdiff_t i = 0; i < judged.doubts.p.rows(); ++i) {
    std::ptrdiff_t top = 0;
    for (std::ptrdiff_t c = 1; c < judged.doubts.p.cols(); ++c) {
      if (judged.doubts.p(i, c) > judged.doubts.p(i, top)) top = c;
    }
    wrong.push_back(top == judged.set->labels[static_cast<std::size_t>(i)] ? 0 : 1);
  }
  return wrong;
}

/// Ratio of two means over the same rows, by resampling their units.
base::Result<stats::Estimate> ratio_of_means(const std::vector<double>& above, const std::vector<double>& below,
                                             const data::Dataset& set, const base::Rng& rng,
                                             const base::CancelToken& cancel) {
  std::vector<int> unit_of(set.units);
  if (unit_of.empty()) {
    unit_of.resize(above.size());
    std::iota(unit_of.begin(), unit_of.end(), 0);
  }
  std::map<int, std::pair<double, double>> totals;
  for (std::size_t i = 0; i < above.size(); ++i) {
    totals[unit_of[i]].first += above[i];
    totals[unit_of[i]].second += below[i];
  }
  std::vector<std::pair<double, double>> units;
  for (const auto& [unit, total] : totals) units.push_back(total);
  const auto ratio = [&](std::span<const std::size_t> sampled) {
    double a = 0, b = 0;
    for (const std::size_t u : sampled) {
      a += units[u].first;
      b += units[u].second;
    }
    return b > 0 ? a / b : std::nan("");
  };
  stats::BootstrapOptions options;
  options.unit_of_sampling = set.units.empty() ? "row" : set.unit_name;
  options.cancel = cancel;
  return stats::bootstrap(units.size(), ratio, options, rng);
}

/// A head fitted on a random quarter of the training rows.
base::Result<method::LastLayerLaplace> thin_head(const MatrixF& features, const data::Dataset& train, int classes,
                                                 const method::LaplaceOptions& options, base::Rng rng) {
  const std::vector<std::size_t> rows = rng.sample(train.rows(), std::max<std::size_t>(1, train.rows() / 4));
  MatrixF some(std::ssize(rows), features.cols());
  std::vector<int> labels;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    some.row(static_cast<std::ptrdiff_t>(i)) = features.row(static_cast<std::ptrdiff_t>(rows[i]));
    labels.push_back(train.labels[rows[i]]);
  }
  return method::LastLayerLaplace::fit(some, labels, classes, options);
}

Artifact thresholds_table(const robustness::ClassifierDoubts& doubts) {
  Artifact table;
  table.id = "thresholds";
  table.kind = "table";
  table.title = "What a guard decides by";
  table.caption = "A guard starts on this case only where its own thresholds hash to the same number.";
  const double largest = doubts.distances.back();
  table.columns = {
      {"threshold", "",
       std::vector<std::string>{"temperature", "largest 1 - p in a set",
                                "largest distance of the rows that fitted it"}},
      {"value", "1", std::vector<double>{doubts.temperature, doubts.set_threshold, largest}},
      {"rows", "1",
       std::vector<double>{static_cast<double>(doubts.temperature_rows), static_cast<double>(doubts.distances.size()),
                           static_cast<double>(doubts.distances.size())}}};
  table.facts = {{"sha256", doubts.thresholds_hash()}, {"level", fmt::format("{}", doubts.level)}};
  return table;
}

/// Collects the figures of one run of the check.
class Judge {
 public:
  Judge(check::Context& context, const check::CheckInfo& facts, const robustness::ClassifierDoubts& doubts)
      : context_(context), facts_(facts), doubts_(doubts) {}

  void add(const std::string& metric, std::map<std::string, std::string> where, const stats::Estimate& estimate,
           const data::Dataset& set) {
    output.evidence.push_back(check::make_evidence(facts_, metric, std::move(where), over_units(estimate, set)));
  }

  base::Status errors(const std::string& data, const Doubted& judged) {
    const std::vector<std::uint8_t> wrong = wrong_rows(judged);
    const auto mistakes = static_cast<std::size_t>(std::count(wrong.begin(), wrong.end(), 1));
    if (mistakes < 10 || wrong.size() - mistakes < 10) {
      output.notes.push_back(
          fmt::format("error_auroc on {} withheld: {} of {} answers are wrong, 10 of each are needed", data, mistakes,
                      wrong.size()));
      return base::ok();
    }
    for (const auto& [kind, values] : judged.measure) {
      PL_TRY(const stats::Estimate auroc, auroc_of(group(judged, kind, wrong, 1), group(judged, kind, wrong, 0)));
      add("error_auroc", {{"data", data}, {"kind", kind}}, auroc, *judged.set);
      bars("wrong answers on " + data, kind, auroc);
    }
    sure_and_wrong(data, judged, wrong);
    return base::ok();
  }

  base::Status elsewhere(const std::string& data, const Doubted& strange, const std::vector<Doubted>& ordinary) {
    for (const auto& [kind, values] : strange.measure) {
      Group usual;
      int offset = 0;
      for (const Doubted& each : ordinary) {
        const Group part = group(each, kind, {}, 0);
        usual.values.insert(usual.values.end(), part.values.begin(), part.values.end());
        for (const int u : part.units) usual.units.push_back(u + offset);
        if (!usual.units.empty()) offset = 1 + *std::max_element(usual.units.begin(), usual.units.end());
      }
      if (usual.units.size() != usual.values.size()) usual.units.clear();
      Group other = group(strange, kind, {}, 0);
      for (int& u : other.units) u += offset;  // units of two sets are never the same
      PL_TRY(const stats::Estimate auroc, auroc_of(other, usual));
      add("ood_auroc", {{"data", data}, {"kind", kind}}, auroc, *strange.set);
      bars("rows of " + data, kind, auroc);
    }
    return base::ok();
  }

  base::Status means(const std::string& data, const Doubted& judged) {
    for (const std::string kind : {"aleatoric", "model"}) {
      PL_TRY(const stats::Estimate mean, stats::mean(judged.measure.at(kind), judged.set->units));
      add("mean", {{"data", data}, {"kind", kind}}, mean, *judged.set);
    }
    return base::ok();
  }

  base::Status fall(const std::string& data, const Doubted& judged, const method::LastLayerLaplace& thin) {
    const MatrixD center = judged.logits / doubts_.temperature;
    PL_TRY(const auto few, method::head_predictives(thin, *judged.features, center, doubts_.draws));
    if (!(judged.doubts.model.sum() > 0)) {
      output.notes.push_back(fmt::format("model_fall on {} withheld: the model part is 0 on every row", data));
      return base::ok();
    }
    PL_TRY(const stats::Estimate ratio, ratio_of_means(to_vector(few.model), judged.measure.at("model"), *judged.set,
                                                       context_.rng("fall " + data), context_.cancel()));
    add("model_fall", {{"data", data}}, ratio, *judged.set);
    return base::ok();
  }

  base::Status readings(const std::string& data, const Doubted& judged, const method::CostModel& costs) {
    if (costs.readings.size() < 2) return base::ok();
    PL_TRY(const auto differ, method::readings_differ(costs, judged.doubts.p));
    PL_TRY(const stats::Estimate share, stats::proportion(differ, judged.set->units));
    add("readings_differ", {{"data", data}}, share, *judged.set);
    return base::ok();
  }

  check::Output output;
  std::vector<std::string> label, series;
  std::vector<double> value, low, high;

 private:
  void bars(const std::string& group_name, const std::string& kind, const stats::Estimate& auroc) {
    label.push_back(group_name);
    series.push_back(kind);
    value.push_back(auroc.value);
    low.push_back(auroc.low().value_or(std::nan("")));
    high.push_back(auroc.high().value_or(std::nan("")));
  }

  void sure_and_wrong(const std::string& data, const Doubted& judged, std::span<const std::uint8_t> wrong) {
    constexpr double kSure = 0.99;
    std::vector<std::pair<double, std::size_t>> rows;
    for (std::size_t i = 0; i < wrong.size(); ++i) {
      const auto at = static_cast<std::ptrdiff_t>(i);
      if (wrong[i] == 0 || judged.doubts.p_value(at) <= 1 - doubts_.level) continue;
      const double top = judged.doubts.p.row(at).maxCoeff();
      if (top >= kSure) rows.emplace_back(-top, i);
    }
    if (rows.empty()) return;
    std::sort(rows.begin(), rows.end());
    check::Finding finding;
    finding.id = "sure-and-wrong-" + data;
    finding.severity = check::FindingSeverity::kMedium;
    finding.title = fmt::format("{} wrong answers on {} at a probability of {} or more, in no new domain", rows.size(),
                                data, kSure);
    finding.detail = "No kind of uncertainty would have stopped these; the surest come first.";
    finding.next_step = "Look at the labels first, then at what these rows share (probe.accuracy slices).";
    finding.data = data;
    for (std::size_t i = 0; i < rows.size() && i < 100; ++i) {
      const std::size_t row = rows[i].second;
      finding.rows.push_back(judged.set->source_rows.empty() ? row : judged.set->source_rows[row]);
    }
    output.findings.push_back(std::move(finding));
  }

  check::Context& context_;
  const check::CheckInfo& facts_;
  const robustness::ClassifierDoubts& doubts_;
};

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& model = context.task().model;
  const Sets sets = sets_of(context.manifest(), context.task());
  PL_TRY(const data::DatasetPtr train, context.dataset(sets.train));
  PL_TRY(const auto train_features, context.features(model, sets.train));
  PL_TRY(const Classified calibration, classified(context, model, sets.calibration));
  PL_TRY(const auto calibration_features, context.features(model, sets.calibration));
  if (train->classes() > calibration.classes()) {
    return base::make_error(base::Code::kShape,
                            fmt::format("labels reach {}, '{}' has outputs for {} classes", train->classes() - 1, model,
                                        calibration.classes()),
                            sets.train);
  }
  const MatrixD calibration_logits = calibration.logits();
  robustness::DoubtOptions options;
  options.level = params.real("level");
  options.head.ridge = params.real("ridge");
  options.head.cancel = context.cancel();
  // A stream of its own, so that a guard can fit the same thresholds.
  PL_TRY(const robustness::ClassifierDoubts doubts,
         robustness::fit_doubts({*train_features, train->labels, calibration.classes(), calibration_logits,
                                 *calibration_features, calibration.labels(), calibration.units()},
                                options, base::Rng(context.seed(), {"doubts", model})));
  PL_TRY(const method::LastLayerLaplace thin, thin_head(*train_features, *train, calibration.classes(), options.head,
                                                        context.rng("quarter of the training rows")));
  std::vector<std::string> names;
  for (int c = 0; c < calibration.classes(); ++c) names.push_back(calibration.class_name(c));
  for (const data::OtherSection* section : method::cost_sections(context.manifest(), model)) {
    PL_TRY(const auto recorded, context.section("reward", section->name));
    static_cast<void>(recorded);
  }
  PL_TRY(const method::CostModel costs, method::read_costs(context.manifest(), model, names));

  Judge judge(context, facts, doubts);
  judge.output.notes = doubts.notes;
  std::vector<Doubted> ordinary;
  std::size_t rows = 0;
  for (const std::string& data : sets.test) {
    PL_CHECK(context.cancel().status());
    PL_TRY(Doubted judged, doubted(context, doubts, data, calibration.output));
    PL_CHECK(judge.errors(data, judged));
    PL_CHECK(judge.means(data, judged));
    PL_CHECK(judge.fall(data, judged, thin));
    PL_CHECK(judge.readings(data, judged, costs));
    rows += judged.set->rows();
    ordinary.push_back(std::move(judged));
  }
  for (const std::string& data : sets.elsewhere) {
    PL_CHECK(context.cancel().status());
    PL_TRY(const Doubted strange, doubted(context, doubts, data, calibration.output));
    PL_CHECK(judge.elsewhere(data, strange, ordinary));
  }
  check::Output output = std::move(judge.output);
  output.artifacts.push_back(thresholds_table(doubts));
  if (!judge.label.empty()) {
    Artifact bars;
    bars.id = "told-apart";
    bars.kind = "bars";
    bars.title = "What each kind of uncertainty tells apart";
    bars.caption = "Each bar is the probability that such a row is more uncertain than the others; 0.5 says nothing.";
    bars.columns = {{"label", "", judge.label},
                    {"value", "share", judge.value},
                    {"low", "share", judge.low},
                    {"high", "share", judge.high},
                    {"series", "", judge.series}};
    bars.facts = {{"value_label", "AUROC"}, {"reference", "0.5"}};
    output.artifacts.push_back(std::move(bars));
  }
  output.rows = fmt::format(
      "head ({}) and distances from {} ({} rows); temperature from {} rows of {}, thresholds from "
      "the other {}; judged on {} rows of {}",
      doubts.head.form(), sets.train, train->rows(), doubts.temperature_rows, sets.calibration, doubts.distances.size(),
      rows, fmt::join(sets.test, ", "));
  return output;
}

// ---- fixtures ------------------------------------------------------------------------------------------------------

/// Overlapping clouds; the model knows their true logits. Defect: the class with the largest gets a logit that has
/// nothing to do with the row, the others 0, so that answers stay as good and their confidence says nothing.
base::Status write(const std::string& folder, base::Rng& rng, bool scrambled) {
  constexpr std::ptrdiff_t kColumns = 4;
  constexpr int kClasses = 3;
  constexpr double kSeparation = 1.6;
  std::string sections;
  for (const auto& [name, n] : {std::pair{"train", 300}, std::pair{"calibration", 200}, std::pair{"test", 900}}) {
    MatrixF rows(n, kColumns);
    MatrixD outputs(n, kClasses);
    std::vector<int> labels;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const int k = static_cast<int>(rng.below(kClasses));
      labels.push_back(k);
      for (std::ptrdiff_t j = 0; j < kColumns; ++j) {
        rows(i, j) = static_cast<float>(rng.normal(j == k ? kSeparation : 0, 1));
      }
      std::ptrdiff_t top = 0;
      for (std::ptrdiff_t c = 0; c < kClasses; ++c) {
        outputs(i, c) = kSeparation * static_cast<double>(rows(i, c));
        if (outputs(i, c) > outputs(i, top)) top = c;
      }
      if (!scrambled) continue;
      outputs.row(i).setZero();
      outputs(i, top) = rng.uniform(1, 5);
    }
    PL_CHECK(data::write_npy(fmt::format("{}/{}.npy", folder, name), rows));
    PL_CHECK(data::write_npy(fmt::format("{}/{}-labels.npy", folder, name), std::span<const int>(labels)));
    sections += fmt::format("[data.{0}]\nmatrix = \"{0}.npy\"\nlabels = \"{0}-labels.npy\"\n\n", name);
    if (std::string_view(name) == "train") continue;
    PL_CHECK(data::write_npy(fmt::format("{}/{}-outputs.npy", folder, name), outputs));
    sections += fmt::format(
        "[predictions.{0}]\nmodel = \"sorter\"\ndata = \"{0}\"\npath = \"{0}-outputs.npy\"\noutput = \"logits\"\n\n",
        name);
  }
  return write_fixture_manifest(folder, rng.below(1000000), sections,
                                "text = \"Wrong answers are the uncertain ones.\"\ncheck = \"caution.uncertainty\"\n"
                                "metric = \"error_auroc\"\nat_least = 0.62\n");
}

}  // namespace

check::Entry uncertainty() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  entry.fixtures = planted(write, true, false);
  entry.fixtures.defect_words =
      "the largest logit of each row redrawn, the others 0: the same answers, any confidence (AUROC of errors about "
      "0.5 where 0.62 is claimed)";
  entry.fixtures.control_words = "the true logits of overlapping clouds (AUROC of errors about 0.73)";
  entry.fixtures.false_alarm_level = 0.05;
  entry.fixtures.cost_ms = 150;
  return entry;
}

}  // namespace plumbline::checks::caution
