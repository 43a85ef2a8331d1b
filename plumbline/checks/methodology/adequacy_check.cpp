#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/methodology/methodology_checks.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/methodology/adequacy.hpp"
#include "plumbline/methodology/content_units.hpp"
#include "plumbline/stats/planning.hpp"
#include "plumbline/stats/scoring.hpp"

namespace plumbline::checks::methodology {
namespace {

namespace method = plumbline::methodology;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "methodology.adequacy";
  facts.title = "Test adequacy";
  facts.question =
      "Is there enough testing to exclude the failure rate that matters, and which kinds of failure may still be "
      "unseen?";
  facts.row = "M9";
  facts.needs = {"a classifier or its stored predictions", "labels on a test set"};
  facts.params = {
      {"target_rate", 0.01, 1e-7, 0.5, {}, "failure rate that the tests are meant to exclude"},
      {"confidence", 0.95, 0.5, 0.9999, {}, "at which they are meant to"},
      {"merge", std::string("auto"), {}, {}, {"auto", "always", "never"}, "when rows of equal input are one test"}};
  facts.yields = {
      {"failure_rate", "share", Direction::kLowerIsBetter, "share of independent tests with a wrong answer", {}, {}},
      {"failure_rate_anytime",
       "share",
       Direction::kLowerIsBetter,
       "the same with bounds that hold however often one looks and whenever one stops",
       {},
       {}},
      {"size_ratio",
       "1",
       Direction::kHigherIsBetter,
       "independent tests over tests needed to show a rate below target_rate with the failures seen; exact, 1 is just "
       "enough",
       {},
       {}},
      {"unseen_failure_mass",
       "share",
       Direction::kLowerIsBetter,
       "probability that the next test fails in a way (label, prediction) not seen yet: Good-Turing, with exact upper "
       "bounds",
       {},
       {}},
      {"failure_types",
       "types",
       Direction::kNone,
       "distinct (label, prediction) pairs among the failures; exact",
       {},
       {}},
      {"smallest_class",
       "tests",
       Direction::kHigherIsBetter,
       "independent tests of the class that has fewest; exact",
       {},
       {}}};
  facts.assumptions = {"tests are drawn independently from the distribution that the claim is about",
                       "rows of equal input or of one declared unit are one test"};
  facts.sources = {"Clopper, Pearson 1934", "Good 1953",
                   "Hanley, Lippman-Hand 1983 (nothing went wrong: the rule of three)"};
  facts.cost = "O(n log n)";
  facts.code = "1";
  return facts;
}

check::Artifact size_table(const method::Adequacy& result, double target, double confidence) {
  check::Artifact artifact;
  artifact.id = "tests-needed";
  artifact.kind = "table";
  artifact.title = "Tests needed to exclude a failure rate";
  artifact.caption = "Independent tests after which so few failures still show a rate below the target.";
  std::vector<double> failures, needed;
  for (std::size_t f = 0; f <= std::max<std::size_t>(3, std::min<std::size_t>(result.failed_units, 10)); ++f) {
    const auto n = stats::tests_needed(f, target, confidence);
    if (!n.ok()) break;
    failures.push_back(static_cast<double>(f));
    needed.push_back(static_cast<double>(*n));
  }
  artifact.columns = {{"failures", "tests", failures}, {"tests needed", "tests", needed}};
  artifact.facts = {{"target rate", fmt::format("{}", target)},
                    {"confidence", fmt::format("{}", confidence)},
                    {"independent tests", fmt::format("{}", result.units)},
                    {"failed", fmt::format("{}", result.failed_units)}};
  return artifact;
}

check::Artifact failure_bars(const method::Adequacy& result, const Classified& judged) {
  check::Artifact artifact;
  artifact.id = "failure-types";
  artifact.kind = "confusion";
  artifact.title = "Kinds of failure seen";
  artifact.caption = "Rows of each class taken for another; kinds seen once hint at kinds not seen yet.";
  std::vector<std::string> truth, predicted;
  std::vector<double> count;
  for (const method::FailureType& type : result.types) {
    truth.push_back(judged.class_name(type.label));
    predicted.push_back(judged.class_name(type.predicted));
    count.push_back(static_cast<double>(type.rows));
  }
  artifact.columns = {{"truth", "", truth}, {"predicted", "", predicted}, {"count", "rows", count}};
  artifact.facts = {{"kinds", fmt::format("{}", result.types.size())},
                    {"seen once", fmt::format("{}", result.singletons)}};
  return artifact;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& data = context.task().data;
  PL_TRY(const Classified judged, classified(context, context.task().model, data));
  PL_TRY(const std::vector<int> predicted, stats::top_class(judged.prediction->outputs));
  PL_TRY(const method::Merge merge, method::parse_merge(params.text("merge")));
  PL_TRY(const method::ContentUnits content, method::content_units(*judged.set, merge));
  const method::AdequacyOptions options{.target_rate = params.real("target_rate"),
                                        .confidence = params.real("confidence")};
  PL_TRY(const method::Adequacy result,
         method::assess_adequacy(judged.labels(), predicted, content.unit_of_row, options, context.rng("halves")));

  check::Output output;
  output.rows = fmt::format("{} ({} rows, {} independent tests)", data, predicted.size(), result.units);
  const auto add = [&](const std::string& metric, stats::Estimate estimate) {
    output.evidence.push_back(check::make_evidence(facts, metric, {{"data", data}}, std::move(estimate)));
  };
  add("failure_rate", result.failure_rate);
  add("failure_rate_anytime", result.failure_rate_anytime);
  add("size_ratio", result.size_ratio);
  add("unseen_failure_mass", result.unseen_mass);
  add("failure_types",
      stats::exact(static_cast<double>(result.types.size()), static_cast<double>(result.units), "count"));
  add("smallest_class", result.smallest_class_units);

  const auto rung = stats::rung_at_or_above(options.confidence);
  if (rung && result.failure_rate.bounds.upper[*rung]) {
    output.notes.push_back(
        fmt::format("{} tests with {} failures bound the failure rate by {} at confidence {}, for inputs drawn as '{}' "
                    "was drawn and "
                    "no others",
                    result.units, result.failed_units, short_number(*result.failure_rate.bounds.upper[*rung]),
                    stats::kLadder[*rung], data));
  }
  if (content.copied_rows > 0) {
    output.notes.push_back(fmt::format("{} of {} rows share their input with another; equal inputs {}: {}",
                                       content.copied_rows, predicted.size(),
                                       content.merged ? "are one test" : "are left apart", content.reason));
  }
  output.artifacts.push_back(size_table(result, options.target_rate, options.confidence));
  if (!result.types.empty()) output.artifacts.push_back(failure_bars(result, judged));

  if (result.size_ratio.value < 1) {
    check::Finding finding;
    finding.id = "too-few-tests";
    finding.severity = check::FindingSeverity::kMedium;
    finding.title = fmt::format("{} independent tests of {}, {} needed to exclude a failure rate of {}", result.units,
                                data, result.units_needed, options.target_rate);
    finding.detail = fmt::format(
        "{} rows are {} independent tests, {} of which failed. Without any failure {} tests would be needed at "
        "confidence {}.",
        predicted.size(), result.units, result.failed_units, result.units_needed_clean, options.confidence);
    finding.next_step = result.failed_units == 0
                            ? "Collect more tests that are not copies of those at hand, or claim a larger failure rate."
                            : "Lower the failure rate first, then test on fresh cases; more tests alone help only "
                              "where the true rate is below the target.";
    finding.data = data;
    for (std::size_t i = 0; i < predicted.size() && finding.rows.size() < 100; ++i) {
      if (predicted[i] != judged.labels()[i]) finding.rows.push_back(judged.source_row(i));
    }
    output.findings.push_back(std::move(finding));
  }
  return output;
}

/// 1000 rows that fail with probability 0.0005 an item; `copies` of each item, no unit declared.
base::Status write(const std::string& folder, base::Rng& rng, int copies) {
  const int rows = 1000;
  StoredSet set{"test", "x,label\n", {}, MatrixD::Zero(rows, 2)};
  for (int item = 0; item < rows / copies; ++item) {
    const int label = static_cast<int>(rng.below(2));
    const int predicted = rng.bernoulli(0.0005) ? 1 - label : label;
    const std::string line = fmt::format("{:.12f},{}\n", rng.normal(), label);
    for (int c = 0; c < copies; ++c) {
      set.table += line;
      set.outputs(static_cast<std::ptrdiff_t>(item) * copies + c, predicted) = 1;
    }
  }
  return write_stored_system(folder, rng.bits(), "probabilities", std::array{set},
                             "text = \"There are enough tests to exclude a failure rate of 1 %.\"\n"
                             "check = \"methodology.adequacy\"\nmetric = \"size_ratio\"\nat_least = 1\n");
}

}  // namespace

check::Entry adequacy() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params&) {
    static constexpr std::array kRoles = {data::Role::kTest};
    return plan_classifiers(blueprint, kRoles, /*wants_probabilities=*/false, /*with_calibration=*/false);
  };
  entry.run = run;
  entry.fixtures = planted(write, 5, 1);
  entry.fixtures.defect_words =
      "200 items stored 5 times each: 1000 rows look enough to exclude 1 %, 200 tests are not (299 needed)";
  entry.fixtures.control_words =
      "1000 different items that fail with probability 0.0005 (enough with up to 4 failures)";
  return entry;
}

}  // namespace plumbline::checks::methodology
