#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/methodology/methodology_checks.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/methodology/content_units.hpp"
#include "plumbline/methodology/evaluation_aa.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/scoring.hpp"

namespace plumbline::checks::methodology {
namespace {

namespace method = plumbline::methodology;
using check::Direction;

constexpr std::size_t kLeastUnits = 20;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "methodology.evaluation_aa";
  facts.title = "A/A test of the evaluation";
  facts.question = "Does the evaluation's own comparison stay quiet when both arms are the same system?";
  facts.row = "M2";
  facts.needs = {"a classifier or its stored predictions", "labels on a test set",
                 "at least 20 cases that are not copies of each other"};
  facts.params = {
      {"splits", std::int64_t{400}, 200.0, 100000.0, {}, "random halvings of the test set"},
      {"level", 0.05, 0.001, 0.5, {}, "of the comparison under test: a p-value at most this is a called difference"},
      {"merge", std::string("auto"), {}, {}, {"auto", "always", "never"}, "when rows of equal input belong together"}};
  facts.yields = {{"false_alarm_rate",
                   "share",
                   Direction::kLowerIsBetter,
                   "splits in which the system is called different from itself; the stated level is honest",
                   {},
                   {}},
                  {"p_value_distance",
                   "1",
                   Direction::kLowerIsBetter,
                   "largest distance of the p-values from the uniform law, atoms forgiven",
                   {},
                   {}},
                  {"independent_share",
                   "share",
                   Direction::kHigherIsBetter,
                   "effective size over rows: (sum of sizes)^2 / sum of squared sizes of what belongs together, exact",
                   {},
                   {}}};
  facts.assumptions = {"splits are random halves of these rows",
                       "rows of equal input or of one declared unit belong together"};
  facts.sources = {"Kohavi, Tang, Xu 2020, chapter 19", "Massart 1990", "Kish 1965"};
  facts.cost = "O(splits n)";
  facts.code = "1";
  return facts;
}

check::Artifact p_value_histogram(const method::AaResult& result, const std::string& data) {
  constexpr std::size_t kBins = 20;
  std::vector<double> low(kBins), high(kBins), count(kBins);
  for (std::size_t b = 0; b < kBins; ++b) {
    low[b] = static_cast<double>(b) / kBins;
    high[b] = static_cast<double>(b + 1) / kBins;
  }
  for (const double p : result.p_values) count[std::min(kBins - 1, static_cast<std::size_t>(p * kBins))] += 1;
  check::Artifact artifact;
  artifact.id = "p-values";
  artifact.kind = "histogram";
  artifact.title = fmt::format("p-values of the system against itself, {}", data);
  artifact.caption =
      "An honest comparison gives level bars; a tall first bar means that it calls differences where there are none.";
  artifact.columns = {{"low", "", low}, {"high", "", high}, {"count", "splits", count}};
  artifact.facts = {{"x_label", "p-value"},
                    {"y_label", "splits"},
                    {"expected splits a bar", fmt::format("{}", static_cast<double>(result.p_values.size()) / kBins)},
                    {"called different", fmt::format("{}", result.uniformity.rejections)},
                    {"exact region of the count",
                     fmt::format("{} to {}", result.uniformity.region_low, result.uniformity.region_high)},
                    {"p-value of the distance", short_number(result.uniformity.ks_p_value)}};
  return artifact;
}

/// The largest groups of rows that belong together, at most 100 rows of them.
std::vector<std::size_t> largest_groups(const Classified& judged, const stats::UnitIndex& index) {
  std::vector<std::size_t> order(index.count());
  for (std::size_t u = 0; u < order.size(); ++u) order[u] = u;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return index.rows_of(a).size() > index.rows_of(b).size(); });
  std::vector<std::size_t> rows;
  for (const std::size_t unit : order) {
    if (index.rows_of(unit).size() < 2) break;
    for (const std::size_t row : index.rows_of(unit)) {
      if (rows.size() == 100) return rows;
      rows.push_back(judged.source_row(row));
    }
  }
  return rows;
}

check::Finding false_alarm_finding(const Classified& judged, const method::AaResult& result,
                                   const method::ContentUnits& content, const stats::UnitIndex& index, double level,
                                   const std::string& data) {
  check::Finding finding;
  finding.id = "false-alarms";
  finding.severity = check::FindingSeverity::kMajor;
  finding.title = fmt::format("The evaluation calls the system different from itself in {} of {} splits of {}",
                              result.uniformity.rejections, result.p_values.size(), data);
  finding.detail = fmt::format(
      "At level {} an honest comparison would do so in {} to {} of them. {} rows hold {} cases that are not copies of "
      "each other; the comparison "
      "takes {} as independent.",
      level, result.uniformity.region_low, result.uniformity.region_high, judged.labels().size(), content.units,
      judged.units().empty() ? "every row" : fmt::format("every '{}'", judged.set->unit_name));
  finding.next_step = content.units < judged.labels().size()
                          ? "Declare `unit` in the manifest so that copies count as one case, or drop them; every "
                            "interval on this set is too short until then."
                          : "Some rows answer together without being copies: find what they share (source, session, "
                            "person) and declare it as `unit`.";
  finding.data = data;
  finding.rows = largest_groups(judged, index);
  return finding;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& data = context.task().data;
  PL_TRY(const Classified judged, classified(context, context.task().model, data));
  PL_TRY(const auto right, stats::hits(judged.prediction->outputs, judged.labels()));
  const std::vector<double> scores(right.begin(), right.end());
  PL_TRY(const method::Merge merge, method::parse_merge(params.text("merge")));
  PL_TRY(const method::ContentUnits content, method::content_units(*judged.set, merge));
  PL_TRY(const stats::UnitIndex index, stats::group_units(content.unit_of_row, scores.size()));

  check::Output output;
  output.rows = fmt::format("{} ({} rows, {} cases) halved {} times", data, scores.size(), content.units,
                            params.integer("splits"));
  if (content.copied_rows > 0) {
    output.notes.push_back(fmt::format("{} of {} rows share their input with another; equal inputs {}: {}",
                                       content.copied_rows, scores.size(),
                                       content.merged ? "count as one case" : "are left apart", content.reason));
  }
  const auto add = [&](const std::string& metric, stats::Estimate estimate) {
    output.evidence.push_back(check::make_evidence(facts, metric, {{"data", data}}, std::move(estimate)));
  };
  const auto rows = static_cast<double>(scores.size());
  add("independent_share", stats::exact(stats::kish_size(index) / rows, rows, "kish"));
  if (content.units < kLeastUnits) {
    output.notes.push_back(
        fmt::format("cannot say whether the comparison is honest: {} cases, at least {} are needed to split in halves",
                    content.units, kLeastUnits));
    return output;
  }
  const method::AaOptions options{.splits = static_cast<std::size_t>(params.integer("splits")),
                                  .level = params.real("level"),
                                  .cancel = context.cancel()};
  PL_TRY(const method::AaResult result,
         method::evaluation_aa(scores, content.unit_of_row, judged.units(), options, context.rng("splits")));
  add("false_alarm_rate", result.false_alarm_rate);
  add("p_value_distance", result.distance);
  output.artifacts.push_back(p_value_histogram(result, data));
  if (result.uniformity.too_many)
    output.findings.push_back(false_alarm_finding(judged, result, content, index, options.level, data));
  if (result.uniformity.too_few) {
    output.notes.push_back(
        fmt::format("{} called differences, fewer than the {} an honest comparison leaves: it is cautious, its "
                    "intervals are wider than needed",
                    result.uniformity.rejections, result.uniformity.region_low));
  }
  return output;
}

/// 600 rows: `copies` of each of 600 / copies items, no unit declared.
base::Status write(const std::string& folder, base::Rng& rng, int copies) {
  const int rows = 600;
  StoredSet set{"test", "x,label\n", {}, MatrixD(rows, 2)};
  for (int item = 0; item < rows / copies; ++item) {
    const int label = static_cast<int>(rng.below(2));
    const int predicted = rng.bernoulli(0.75) ? label : 1 - label;
    const double p = rng.uniform(0.55, 0.95);
    const std::string line = fmt::format("{:.12f},{}\n", rng.normal(), label);
    for (int c = 0; c < copies; ++c) {
      set.table += line;
      const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(item) * copies + c;
      set.outputs(row, predicted) = p;
      set.outputs(row, 1 - predicted) = 1 - p;
    }
  }
  return write_stored_system(folder, rng.bits(), "probabilities", std::array{set},
                             "text = \"The evaluation does not call a system different from itself.\"\n"
                             "check = \"methodology.evaluation_aa\"\nmetric = \"false_alarm_rate\"\nat_most = 0.12\n");
}

}  // namespace

check::Entry evaluation_aa() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params& params) {
    static constexpr std::array kRoles = {data::Role::kTest};
    check::Plan plan = plan_classifiers(blueprint, kRoles, /*wants_probabilities=*/false, /*with_calibration=*/false);
    for (check::Task& task : plan.tasks) {
      task.cost_seconds = 0.01 + 5e-8 * static_cast<double>(params.integer("splits")) *
                                     static_cast<double>(blueprint.data.at(task.data).rows);
    }
    return plan;
  };
  entry.run = run;
  entry.fixtures = planted(write, 5, 1);
  entry.fixtures.defect_words =
      "120 items stored 5 times each without a declared unit (600 rows taken for independent; about 38 % false alarms "
      "at 5 %)";
  entry.fixtures.control_words = "600 different items (false alarms near the stated 5 %)";
  return entry;
}

}  // namespace plumbline::checks::methodology
