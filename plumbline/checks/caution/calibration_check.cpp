#include "plumbline/checks/caution/caution_checks.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/caution/calibration.hpp"
#include "plumbline/caution/recalibration.hpp"
#include "plumbline/caution/temperature_scaling.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::checks::caution {
namespace {

namespace method = plumbline::caution;
using check::Artifact;
using check::Direction;

constexpr std::array kKinds = {method::RecalibratorKind::kTemperature, method::RecalibratorKind::kPlatt,
                               method::RecalibratorKind::kIsotonic, method::RecalibratorKind::kHistogram};
constexpr std::string_view kNoCalibration =
    "temperature, Platt, isotonic and histogram withheld: no labelled [data.calibration] (or share of another set) "
    "with predictions "
    "of this model, and rows that fit a map cannot judge it";

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "caution.calibration";
  facts.title = "Calibration";
  facts.question = "Do stated confidences match how often the model is right, and what would a recalibration gain?";
  facts.row = "C2";
  facts.maturity = check::Maturity::kPreview;
  facts.needs = {"a classifier with logits or probabilities", "labels on a test set",
                 "for recalibration: a labelled calibration set"};
  facts.params = {
      {"bins", std::int64_t{15}, 1.0, 50.0, {}, "equal-mass bins of confidence; fewer where units are scarce"},
      {"band", 0.95, 0.5, 0.9999, {}, "level of the consistency band in the reliability diagram"}};
  const std::map<std::string, std::string> top = {{"kind", "top-label"}};
  facts.yields = {
      {"calibration_error",
       "share",
       Direction::kLowerIsBetter,
       "debiased root mean square gap between confidence and accuracy",
       {"kind", "recalibrator"},
       top},
      {"ece",
       "share",
       Direction::kLowerIsBetter,
       "mean absolute gap between confidence and accuracy, less its noise",
       {"kind", "recalibrator"},
       top},
      {"brier", "1", Direction::kLowerIsBetter, "Brier score, sum of squares over classes (0 to 2)", {}, {}},
      {"nll", "nat", Direction::kLowerIsBetter, "log loss a row", {}, {}},
      {"temperature",
       "1",
       Direction::kNone,
       "divisor of the logits that fits calibration rows best; 1 = honest, above 1 = overconfident",
       {},
       {}},
      {"gain",
       "nat",
       Direction::kHigherIsBetter,
       "drop of log loss on test rows by a map fitted on calibration rows",
       {"recalibrator"},
       {}}};
  facts.assumptions = {"units are independent and drawn like those to come",
                       "calibration error is averaged within bins: a lower bound of the unbinned one"};
  facts.sources = {"Guo, Pleiss, Sun, Weinberger 2017", "Kumar, Liang, Ma 2019", "Liu, Tang, Zhang 2009",
                   "Platt 1999; Lin, Lin, Weng 2007", "Zadrozny, Elkan 2001, 2002"};
  facts.cost = "O(n k log n)";
  facts.code = "1";
  return facts;
}

void add_series(std::vector<std::vector<double>>& numbers, std::vector<std::string>& series,
                const std::vector<method::ReliabilityBin>& bins, const std::string& name) {
  for (const auto& bin : bins) {
    const std::array<double, 7> row = {
        bin.confidence, bin.accuracy, static_cast<double>(bin.count), bin.band_low, bin.band_high, bin.low, bin.high};
    for (std::size_t c = 0; c < row.size(); ++c) numbers[c].push_back(row[c]);
    series.push_back(name);
  }
}

check::Finding gap_finding(const Classified& judged, const std::string& data, const MatrixD& p,
                           const method::CalibrationError& error) {
  const method::ReliabilityBin* worst = nullptr;
  for (const auto& bin : error.bins[0]) {
    if (worst == nullptr || std::abs(bin.accuracy - bin.confidence) > std::abs(worst->accuracy - worst->confidence))
      worst = &bin;
  }
  const double gap = worst->accuracy - worst->confidence;
  const bool over = gap < 0;
  check::Finding finding;
  finding.id = "largest-gap";
  finding.severity = std::abs(gap) >= 0.1 ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
  finding.title = fmt::format("Stated confidence {}, right {}: {} rows of {}", short_number(worst->confidence),
                              short_number(worst->accuracy), worst->count, data);
  finding.detail = fmt::format(
      "Among rows with confidence from {} to {} the model is {} by {}. Labels drawn from the confidences themselves "
      "would leave accuracy "
      "between {} and {}. The rows named are those of the bin that were {}.",
      short_number(worst->low), short_number(worst->high), over ? "overconfident" : "underconfident",
      short_number(std::abs(gap)), short_number(worst->band_low), short_number(worst->band_high),
      over ? "wrong" : "right");
  finding.data = data;
  for (std::ptrdiff_t i = 0; i < p.rows() && finding.rows.size() < 100; ++i) {
    std::ptrdiff_t top = 0;
    for (std::ptrdiff_t c = 1; c < p.cols(); ++c) top = p(i, c) > p(i, top) ? c : top;
    const auto row = static_cast<std::size_t>(i);
    const bool right = top == judged.labels()[row];
    if (p(i, top) >= worst->low && p(i, top) <= worst->high && right != over)
      finding.rows.push_back(judged.source_row(row));
  }
  return finding;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& model = context.task().model;
  const std::string& data = context.task().data;
  PL_TRY(const Classified judged, classified(context, model, data));
  const MatrixD p = judged.probabilities();
  const MatrixD logits = judged.logits();
  const method::CalibrationOptions options{.bins = static_cast<int>(params.integer("bins")),
                                           .band_level = params.real("band")};
  PL_TRY(const auto top, method::top_label_calibration(p, judged.labels(), judged.units(), options));
  PL_TRY(const auto brier, method::brier_rows(p, judged.labels()));
  PL_TRY(const auto loss, method::log_loss_rows(p, judged.labels()));

  check::Output output;
  const auto add = [&](const std::string& metric, std::map<std::string, std::string> where, stats::Estimate estimate,
                       const data::Dataset& set) {
    where.try_emplace("data", data);
    output.evidence.push_back(
        check::make_evidence(facts, metric, std::move(where), over_units(std::move(estimate), set)));
  };
  add("calibration_error", {{"kind", "top-label"}}, top.rms, *judged.set);
  add("ece", {{"kind", "top-label"}}, top.ece, *judged.set);
  if (judged.classes() <= 300) {
    PL_TRY(const auto classes, method::class_wise_calibration(p, judged.labels(), judged.units(), options));
    add("calibration_error", {{"kind", "class-wise"}}, classes.rms, *judged.set);
    add("ece", {{"kind", "class-wise"}}, classes.ece, *judged.set);
  } else {
    output.notes.push_back(
        fmt::format("class-wise figures withheld: {} classes leave less than one bin each", judged.classes()));
  }
  PL_TRY(const auto mean_brier, stats::mean(brier, judged.units()));
  PL_TRY(const auto mean_loss, stats::mean(loss, judged.units()));
  add("brier", {}, mean_brier, *judged.set);
  add("nll", {}, mean_loss, *judged.set);
  const auto floored = std::count_if(loss.begin(), loss.end(), [](double v) { return v > 27.6; });
  if (floored > 0) {
    output.notes.push_back(fmt::format(
        "{} rows give their label a probability below 1e-12; their log loss is counted as 27.6 nats", floored));
  }

  std::vector<std::vector<double>> numbers(7);
  std::vector<std::string> series;
  Artifact reliability;
  reliability.id = "reliability";
  reliability.kind = "reliability";
  reliability.title = fmt::format("Confidence against accuracy, {}", data);
  reliability.caption = fmt::format(
      "Points below the diagonal are overconfident; the band holds {} % of the points of a calibrated model.",
      short_number(100 * params.real("band")));
  reliability.facts = {{"level", fmt::format("{}", params.real("band"))},
                       {"x_label", "confidence"},
                       {"y_label", "accuracy"},
                       {"ece", fmt::format("{}", top.ece.value)},
                       {"ece as usually computed", fmt::format("{}", top.plug_in_ece)},
                       {"largest gap", fmt::format("{}", top.largest_gap)}};
  add_series(numbers, series, top.bins[0], "as given");

  std::string calibration_set;
  for (const auto& [predictor, set] : context.task().predictions) {
    if (predictor == model && set != data && calibration_set.empty()) calibration_set = set;
  }
  std::string best;
  double best_gain = 0;
  if (calibration_set.empty()) {
    output.notes.emplace_back(kNoCalibration);
    output.rows = fmt::format("judged on {} ({} rows)", data, judged.labels().size());
  } else {
    PL_TRY(const Classified fitted, classified(context, model, calibration_set));
    const MatrixD fit_logits = fitted.logits();
    output.rows = fmt::format("judged on {} ({} rows); recalibration fitted on {} ({} rows)", data,
                              judged.labels().size(), calibration_set, fitted.labels().size());
    PL_TRY(const auto temperature, method::fit_temperature(fit_logits, fitted.labels(), fitted.units()));
    if (std::isfinite(temperature.temperature) && temperature.temperature > 0) {
      add("temperature", {{"data", calibration_set}}, temperature.estimate(), *fitted.set);
    }
    for (const std::string& warning : temperature.estimate().warnings) output.notes.push_back(warning);
    Artifact bars;
    bars.id = "recalibration-gain";
    bars.kind = "bars";
    bars.title = "What recalibration would gain";
    bars.caption =
        "Drop of log loss on test rows by maps fitted on calibration rows; above zero is better, bars with 95 % "
        "intervals.";
    bars.facts = {
        {"value_label", "log loss drop (nats)"}, {"reference", "0"}, {"reference_label", "no gain"}, {"level", "0.95"}};
    std::vector<std::string> names;
    std::vector<double> gain, low, high, after;
    for (const auto kind : kKinds) {
      PL_CHECK(context.cancel().status());
      PL_TRY(const auto map,
             method::fit_recalibrator(kind, fit_logits, fitted.labels(), static_cast<int>(params.integer("bins"))));
      const std::string name(method::recalibrator_name(kind));
      if (map.outcome == method::Recalibrator::Outcome::kSeparable) {
        output.notes.push_back(fmt::format("{} withheld: every calibration label is already the largest logit", name));
        continue;
      }
      PL_TRY(const auto judgement, method::judge_recalibrator(map, logits, judged.labels(), judged.units(), options));
      add("gain", {{"recalibrator", name}}, judgement.gain, *judged.set);
      add("calibration_error", {{"kind", "top-label"}, {"recalibrator", name}}, judgement.after.rms, *judged.set);
      add("ece", {{"kind", "top-label"}, {"recalibrator", name}}, judgement.after.ece, *judged.set);
      names.push_back(name);
      gain.push_back(judgement.gain.value);
      low.push_back(judgement.gain.low().value_or(std::nan("")));
      high.push_back(judgement.gain.high().value_or(std::nan("")));
      after.push_back(judgement.after.ece.value);
      if (judgement.gain.low().value_or(0) > 0 && judgement.gain.value > best_gain) {
        best = name;
        best_gain = judgement.gain.value;
      }
      if (kind == method::RecalibratorKind::kTemperature)
        add_series(numbers, series, judgement.after.bins[0], "after temperature");
    }
    bars.columns = {{"label", "", names},
                    {"value", "nat", gain},
                    {"low", "nat", low},
                    {"high", "nat", high},
                    {"ece after", "share", after}};
    if (!names.empty()) output.artifacts.push_back(std::move(bars));
  }
  reliability.columns = {{"confidence", "share", numbers[0]}, {"accuracy", "share", numbers[1]},
                         {"count", "rows", numbers[2]},       {"low", "share", numbers[3]},
                         {"high", "share", numbers[4]},       {"bin_low", "share", numbers[5]},
                         {"bin_high", "share", numbers[6]},   {"series", "", series}};
  output.artifacts.insert(output.artifacts.begin(), std::move(reliability));

  if (top.rms.low().value_or(0) > 0) {
    check::Finding finding = gap_finding(judged, data, p, top);
    finding.next_step =
        best.empty()
            ? "Declare calibration rows in the manifest to see what a recalibration would gain; decide on no raw "
              "confidence until then."
            : fmt::format(
                  "Recalibrate with {} (log loss falls by {} nats a row on {}), or decide on no raw confidence.", best,
                  short_number(best_gain), data);
    output.findings.push_back(std::move(finding));
  }
  return output;
}

StoredSet simulated(base::Rng& rng, const std::string& name, int rows, double sharper) {
  constexpr int kClasses = 3;
  StoredSet set{name, "", {}, MatrixD(rows, kClasses)};
  for (int i = 0; i < rows; ++i) {
    double total = 0;
    for (int c = 0; c < kClasses; ++c) total += std::exp(set.outputs(i, c) = rng.normal(0, 1.5));
    double u = rng.uniform() * total;
    int label = 0;
    while (label + 1 < kClasses && u >= std::exp(set.outputs(i, label))) u -= std::exp(set.outputs(i, label++));
    set.labels.push_back(label);
  }
  set.outputs *= sharper;
  return set;
}

base::Status write(const std::string& folder, base::Rng& rng, double sharper) {
  const std::array sets = {simulated(rng, "test", 2000, sharper), simulated(rng, "calibration", 400, sharper)};
  return write_stored_system(
      folder, rng.bits(), "logits", sets,
      "text = \"Confidences match outcomes.\"\ncheck = \"caution.calibration\"\nmetric = \"calibration_error\"\n"
      "at_most = 0.07\n");
}

}  // namespace

check::Entry calibration() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params&) {
    static constexpr std::array kRoles = {data::Role::kTest};
    return plan_classifiers(blueprint, kRoles, /*wants_probabilities=*/true, /*with_calibration=*/true);
  };
  entry.run = run;
  entry.fixtures = planted(write, 2.5, 1.0);
  entry.fixtures.defect_words = "logits reported 2.5 times too large (calibration error about 0.17)";
  entry.fixtures.control_words = "labels drawn from the stated probabilities (calibration error 0)";
  entry.fixtures.cost_ms = 100;
  return entry;
}

}  // namespace plumbline::checks::caution
