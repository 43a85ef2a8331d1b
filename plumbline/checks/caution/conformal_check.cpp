#include "plumbline/checks/caution/caution_checks.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/caution/conformal.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/planted.hpp"

namespace plumbline::checks::caution {
namespace {

namespace method = plumbline::caution;
using check::Artifact;
using check::Direction;
using method::ConformalMethod;

constexpr std::array kMethods = {ConformalMethod::kLac, ConformalMethod::kMondrian, ConformalMethod::kAps,
                                 ConformalMethod::kRaps};
constexpr std::array kCurve = {0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99};

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "caution.conformal";
  facts.title = "Conformal prediction sets";
  facts.question =
      "Do prediction sets hold the right label as often as promised, in every class, and how large are they?";
  facts.row = "C2";
  facts.maturity = check::Maturity::kPreview;
  facts.needs = {"a classifier with logits or probabilities", "a labelled calibration set", "labels on a test set"};
  facts.params = {{"level", 0.9, 0.5, 0.9999, {}, "coverage promised by the sets"},
                  {"raps_penalty", 0.01, 0.0, 10.0, {}, "RAPS: added to the score of every rank above raps_free"},
                  {"raps_free", std::int64_t{2}, 0.0, 1000.0, {}, "RAPS: ranks without penalty"}};
  const std::map<std::string, std::string> fallback = {{"method", "lac"}, {"level", "0.9"}};
  facts.yields = {{"coverage",
                   "share",
                   Direction::kHigherIsBetter,
                   "share of test rows whose set holds the label",
                   {"method", "level"},
                   fallback},
                  {"set_size",
                   "labels",
                   Direction::kLowerIsBetter,
                   "mean number of labels in a set",
                   {"method", "level"},
                   fallback},
                  {"worst_class_coverage",
                   "share",
                   Direction::kHigherIsBetter,
                   "smallest coverage within one class",
                   {"method", "level"},
                   fallback}};
  facts.assumptions = {"calibration and test rows are exchangeable",
                       "calibration rows were not used to train the model"};
  facts.sources = {"Vovk, Gammerman, Shafer 2005", "Vovk 2012", "Sadinle, Lei, Wasserman 2019",
                   "Romano, Sesia, Candes 2020", "Angelopoulos, Bates, Malik, Jordan 2021"};
  facts.cost = "O(n k log k) a method and level";
  facts.code = "1";
  return facts;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& model = context.task().model;
  const std::string& data = context.task().data;
  const double level = params.real("level");
  std::string calibration_set;
  for (const auto& [predictor, set] : context.task().predictions) {
    if (predictor == model && set != data && calibration_set.empty()) calibration_set = set;
  }
  base::ensure(!calibration_set.empty(), "caution.conformal was planned without calibration rows");
  PL_TRY(const Classified judged, classified(context, model, data));
  PL_TRY(const Classified fitted, classified(context, model, calibration_set));
  const MatrixD p = judged.probabilities();
  const MatrixD fit_p = fitted.probabilities();
  const std::size_t n = fitted.labels().size();
  if (n < method::conformal_rows_needed(level)) {
    return base::make_error(base::Code::kLimit,
                            fmt::format("{} calibration rows cannot serve level {}: at least {} are needed", n, level,
                                        method::conformal_rows_needed(level)),
                            calibration_set,
                            "declare more calibration rows, or a lower level in [check.\"caution.conformal\"]");
  }

  check::Output output;
  output.rows = fmt::format("thresholds from {} ({} rows); judged on {} ({} rows)", calibration_set, n, data,
                            judged.labels().size());
  Artifact curve;
  curve.id = "coverage-by-level";
  curve.kind = "curve";
  curve.title = fmt::format("Coverage promised and found, {}", data);
  curve.caption = "A line on the diagonal keeps its promise at every level; bands are exact 95 % intervals.";
  curve.facts = {{"x_label", "promised coverage"},
                 {"y_label", "found coverage"},
                 {"level", "0.95"},
                 {"marker", fmt::format("{}", level)},
                 {"marker_label", "judged level"}};
  std::vector<double> x, y, low, high;
  std::vector<std::string> series;
  Artifact bars;
  bars.id = "set-sizes";
  bars.kind = "bars";
  bars.title = fmt::format("How many labels a set holds, {}", data);
  bars.caption = fmt::format(
      "Share of rows by size of their set at level {}; small sets are useful, empty ones say that no label fits.",
      level);
  bars.facts = {{"value_label", "share of rows"}};
  std::vector<std::string> size_label, size_series;
  std::vector<double> size_share;
  Artifact classes;
  classes.id = "class-coverage";
  classes.kind = "bars";
  classes.title = fmt::format("Coverage within each class, {}", data);
  classes.caption =
      "A class below the line pays for the coverage of the others; Mondrian sets promise every class its level.";
  classes.facts = {
      {"value_label", "coverage"}, {"reference", fmt::format("{}", level)}, {"reference_label", "promised"}};
  std::vector<std::string> class_label, class_series;
  std::vector<double> class_coverage;

  for (const ConformalMethod kind : kMethods) {
    const std::string name(method::conformal_method_name(kind));
    const auto sets_at = [&](double at) -> base::Result<method::PredictionSets> {
      const method::ConformalOptions options{kind, at, params.real("raps_penalty"),
                                             static_cast<int>(params.integer("raps_free"))};
      PL_TRY(const auto thresholds,
             method::fit_conformal(fit_p, fitted.labels(), options, context.rng("calibration draws")));
      if (at == level) {
        for (const int c : thresholds.always_included) {
          output.notes.push_back(fmt::format(
              "{}: class '{}' has {} calibration rows, {} are needed; it is in every set", name, judged.class_name(c),
              thresholds.class_rows[static_cast<std::size_t>(c)], thresholds.rows_needed));
        }
      }
      return method::predict_sets(thresholds, p, context.rng("test draws"));
    };
    const auto usable = [&](double at) {
      if (n < method::conformal_rows_needed(at)) return false;
      if (kind != ConformalMethod::kMondrian) return true;
      std::vector<std::size_t> rows(static_cast<std::size_t>(judged.classes()), 0);
      for (const int label : fitted.labels()) ++rows[static_cast<std::size_t>(label)];
      return *std::max_element(rows.begin(), rows.end()) >= method::conformal_rows_needed(at);
    };
    if (!usable(level)) {
      output.notes.push_back(fmt::format("{} withheld: no class has the {} calibration rows that level {} needs", name,
                                         method::conformal_rows_needed(level), level));
      continue;
    }
    PL_CHECK(context.cancel().status());
    PL_TRY(const auto sets, sets_at(level));
    PL_TRY(const auto quality, method::judge_sets(sets, judged.labels(), judged.units()));
    const std::map<std::string, std::string> where = {
        {"data", data}, {"method", name}, {"level", fmt::format("{}", level)}};
    const auto add = [&](const std::string& metric, const stats::Estimate& estimate) {
      output.evidence.push_back(check::make_evidence(facts, metric, where, over_units(estimate, *judged.set)));
    };
    add("coverage", quality.coverage);
    add("set_size", quality.size);
    add("worst_class_coverage", quality.worst_class);
    for (std::size_t size = 0; size < quality.size_counts.size() && size <= 12; ++size) {
      size_label.push_back(fmt::format("{}", size));
      size_series.push_back(name);
      size_share.push_back(static_cast<double>(quality.size_counts[size]) / static_cast<double>(sets.rows));
    }
    if (judged.classes() <= 30 && (kind == ConformalMethod::kLac || kind == ConformalMethod::kMondrian)) {
      for (int c = 0; c < judged.classes(); ++c) {
        class_label.push_back(judged.class_name(c));
        class_series.push_back(name);
        class_coverage.push_back(quality.class_coverage[static_cast<std::size_t>(c)]);
      }
    }

    // The exact law of covered rows under exchangeability; ties only raise coverage, so the lower tail is what it
    // tests.
    if (kind == ConformalMethod::kLac && judged.units().empty() && fitted.units().empty()) {
      PL_TRY(const auto law, method::coverage_law(n, level));
      const std::size_t covered = sets.rows - quality.missed.size();
      const double p_value = law.count_cdf(covered, sets.rows);
      const auto share = [&](double q) {
        return short_number(static_cast<double>(law.count_quantile(q, sets.rows)) / static_cast<double>(sets.rows));
      };
      curve.facts["exchangeable rows leave"] = fmt::format("{} to {} at level {}", share(0.025), share(0.975), level);
      curve.facts["p of so little coverage"] = fmt::format("{:.3g}", p_value);
      if (p_value < 0.001) {
        check::Finding finding;
        finding.id = "coverage-broken";
        finding.severity = check::FindingSeverity::kMajor;
        finding.title = fmt::format("Sets of level {} hold the label in only {} of rows of {}", level,
                                    short_number(quality.coverage.value), data);
        finding.detail = fmt::format(
            "Were {} and {} exchangeable, coverage would fall between {} and {} in 95 of 100 cases; so little has "
            "probability {:.2g}. The rows "
            "named are some whose set lacks the label.",
            calibration_set, data, share(0.025), share(0.975), p_value);
        finding.next_step =
            "Look for what differs between the two sets (robustness.drift, methodology.leakage); calibrate on rows "
            "like those to come.";
        finding.data = data;
        finding.where = {{"method", name}};
        for (std::size_t i = 0; i < quality.missed.size() && i < 100; ++i)
          finding.rows.push_back(judged.source_row(quality.missed[i]));
        output.findings.push_back(std::move(finding));
      }
    }
    for (const double at : kCurve) {
      if (!usable(at)) continue;
      PL_TRY(const auto other, sets_at(at));
      PL_TRY(const auto found, method::judge_sets(other, judged.labels(), judged.units()));
      x.push_back(at);
      y.push_back(found.coverage.value);
      low.push_back(found.coverage.low().value_or(std::nan("")));
      high.push_back(found.coverage.high().value_or(std::nan("")));
      series.push_back(name);
    }
  }
  curve.columns = {
      {"x", "share", x}, {"y", "share", y}, {"low", "share", low}, {"high", "share", high}, {"series", "", series}};
  bars.columns = {{"label", "labels", size_label}, {"value", "share", size_share}, {"series", "", size_series}};
  output.artifacts = {std::move(curve), std::move(bars)};
  if (!class_label.empty()) {
    classes.columns = {{"label", "", class_label}, {"value", "share", class_coverage}, {"series", "", class_series}};
    output.artifacts.push_back(std::move(classes));
  }
  return output;
}

StoredSet simulated(base::Rng& rng, const std::string& name, int rows, double mislabelled) {
  constexpr int kClasses = 4;
  StoredSet set{name, "", {}, MatrixD(rows, kClasses)};
  for (int i = 0; i < rows; ++i) {
    double total = 0;
    for (int c = 0; c < kClasses; ++c) total += std::exp(set.outputs(i, c) = rng.normal(0, 2));
    double u = rng.uniform() * total;
    int label = 0;
    while (label + 1 < kClasses && u >= std::exp(set.outputs(i, label))) u -= std::exp(set.outputs(i, label++));
    set.labels.push_back(rng.bernoulli(mislabelled) ? static_cast<int>(rng.below(kClasses)) : label);
  }
  return set;
}

base::Status write(const std::string& folder, base::Rng& rng, double mislabelled) {
  const std::array sets = {simulated(rng, "test", 1000, mislabelled), simulated(rng, "calibration", 1000, 0.0)};
  return write_stored_system(
      folder, rng.bits(), "logits", sets,
      "text = \"Sets hold the label.\"\ncheck = \"caution.conformal\"\nmetric = \"coverage\"\nat_least = 0.85\n");
}

}  // namespace

check::Entry conformal() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params&) {
    static constexpr std::array kRoles = {data::Role::kTest};
    return plan_with_calibration(blueprint, kRoles);
  };
  entry.run = run;
  entry.fixtures = planted(write, 0.3, 0.0);
  entry.fixtures.defect_words =
      "labels of 30 % of test rows redrawn at random, calibration rows untouched (coverage about 0.78)";
  entry.fixtures.control_words = "calibration and test rows from one source (coverage about 0.90)";
  entry.fixtures.cost_ms = 100;
  return entry;
}

}  // namespace plumbline::checks::caution
