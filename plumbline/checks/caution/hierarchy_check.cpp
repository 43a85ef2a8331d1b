#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/caution/hierarchy.hpp"
#include "plumbline/checks/caution/caution_checks.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/planted.hpp"

namespace plumbline::checks::caution {
namespace {

namespace method = plumbline::caution;
using check::Artifact;
using check::Direction;

constexpr std::array kTargets = {0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99};

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "caution.hierarchy";
  facts.title = "Hierarchical answers";
  facts.question = "Answered as specifically as an accuracy allows: is that accuracy kept, and how specific is it?";
  facts.row = "C4";
  facts.maturity = check::Maturity::kPreview;
  facts.needs = {"a classifier with logits or probabilities", "a labelled calibration set", "labels on a test set"};
  facts.params = {
      {"target", 0.95, 0.5, 0.9999, {}, "share of right answers that is promised"},
      {"confidence", 0.95, 0.5, 0.9999, {}, "with which, over draws of the calibration rows"},
      {"hierarchy",
       std::vector<std::string>{},
       {},
       {},
       {},
       "lines \"parent: child, child\"; a child is a class or another parent. Empty: one class, or no answer"}};
  const std::map<std::string, std::string> fallback = {{"target", "0.95"}};
  facts.yields = {{"accuracy",
                   "share",
                   Direction::kHigherIsBetter,
                   "share of test rows whose class is below the answer",
                   {"target"},
                   fallback},
                  {"specificity",
                   "share",
                   Direction::kHigherIsBetter,
                   "mean information of the answers, in shares of a single class's",
                   {"target"},
                   fallback},
                  {"leaf_share",
                   "share",
                   Direction::kHigherIsBetter,
                   "share of test rows answered with a single class",
                   {"target"},
                   fallback}};
  facts.assumptions = {"calibration and test rows are drawn alike",
                       "calibration rows were not used to train the model"};
  facts.sources = {"Deng, Krause, Berg, Fei-Fei, Hedging Your Bets, CVPR 2012",
                   "Angelopoulos, Bates, Candes, Jordan, Lei, Learn then Test, 2021"};
  facts.cost = "O(grid n nodes)";
  facts.code = "1";
  return facts;
}

/// The rule at one target, and how it fared.
struct Judged {
  method::HierarchyRule rule;
  method::HierarchyQuality quality;
  std::vector<int> answers;
};

base::Result<Judged> judge_at(const method::Hierarchy& tree, const Classified& fitted, const Classified& judged,
                              const method::HierarchyOptions& options) {
  Judged result;
  PL_TRY(result.rule, method::fit_hierarchy(tree, fitted.probabilities(), fitted.labels(), fitted.units(), options));
  PL_TRY(result.answers, method::hierarchical_answers(tree, result.rule.trade, judged.probabilities()));
  PL_TRY(result.quality, method::judge_hierarchy(tree, result.answers, judged.labels(), judged.units()));
  return result;
}

check::Finding broken(const Judged& at, const Classified& judged, const method::Hierarchy& tree,
                      const std::string& data, double target) {
  check::Finding finding;
  finding.id = "accuracy-broken";
  finding.severity = check::FindingSeverity::kMajor;
  finding.title = fmt::format("{} of answers on {} are right, {} were promised",
                              short_number(at.quality.accuracy.value), data, short_number(target));
  finding.detail =
      "The promise was fitted on calibration rows that these rows are not like. The rows named are some whose class is "
      "not below their answer.";
  finding.next_step =
      "Look for what differs between the sets (robustness.drift), and fit on rows like those to come. Answers given "
      "most often when wrong: " +
      [&] {
        std::vector<std::size_t> count(tree.names.size(), 0);
        for (const std::size_t i : at.quality.wrong) ++count[static_cast<std::size_t>(at.answers[i])];
        return tree.names[static_cast<std::size_t>(std::max_element(count.begin(), count.end()) - count.begin())];
      }();
  finding.data = data;
  finding.where = {{"target", fmt::format("{}", target)}};
  for (std::size_t i = 0; i < at.quality.wrong.size() && i < 100; ++i) {
    finding.rows.push_back(judged.source_row(at.quality.wrong[i]));
  }
  return finding;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& model = context.task().model;
  const std::string& data = context.task().data;
  std::string calibration;
  for (const auto& [predictor, set] : context.task().predictions) {
    if (predictor == model && set != data && calibration.empty()) calibration = set;
  }
  base::ensure(!calibration.empty(), "caution.hierarchy was planned without calibration rows");
  PL_TRY(const Classified judged, classified(context, model, data));
  PL_TRY(const Classified fitted, classified(context, model, calibration));
  std::vector<std::string> names;
  for (int c = 0; c < judged.classes(); ++c) names.push_back(judged.class_name(c));
  const auto made = method::make_hierarchy(params.texts("hierarchy"), names);
  if (!made.ok()) return made.error().at("[check.\"caution.hierarchy\"] hierarchy");
  const method::Hierarchy& tree = *made;
  const double target = params.real("target");
  const double confidence = params.real("confidence");

  check::Output output;
  output.rows = fmt::format("boldness from {} ({} rows); judged on {} ({} rows)", calibration, fitted.labels().size(),
                            data, judged.labels().size());
  PL_TRY(const Judged at, judge_at(tree, fitted, judged, {target, confidence}));
  const std::map<std::string, std::string> where = {{"data", data}, {"target", fmt::format("{}", target)}};
  for (const auto& [metric, estimate] :
       {std::pair{"accuracy", at.quality.accuracy}, std::pair{"specificity", at.quality.specificity},
        std::pair{"leaf_share", at.quality.leaf_share}}) {
    output.evidence.push_back(check::make_evidence(facts, metric, where, over_units(estimate, *judged.set)));
  }
  if (std::isinf(at.rule.trade)) {
    output.notes.push_back(
        fmt::format("'{}' is the only answer: {} calibration rows cannot show an accuracy of {} for anything bolder",
                    tree.names.front(), fitted.labels().size(), target));
  }
  const auto rung = stats::rung_at_or_above(0.999);
  if (const auto high = at.quality.accuracy.bounds.upper[*rung]; high && *high < target) {
    output.findings.push_back(broken(at, judged, tree, data, target));
  }

  Artifact curve;
  curve.id = "targets";
  curve.kind = "curve";
  curve.title = "Accuracy and specificity by target";
  curve.caption = "Accuracy should stay above the diagonal; the higher the specificity beside it, the more is said.";
  std::vector<double> x, y, low, high;
  std::vector<std::string> series;
  for (const double each : kTargets) {
    PL_CHECK(context.cancel().status());
    PL_TRY(const Judged other, judge_at(tree, fitted, judged, {each, confidence}));
    for (const auto& [name, estimate] :
         {std::pair{"accuracy", &other.quality.accuracy}, std::pair{"specificity", &other.quality.specificity}}) {
      x.push_back(each);
      y.push_back(estimate->value);
      low.push_back(estimate->low().value_or(std::nan("")));
      high.push_back(estimate->high().value_or(std::nan("")));
      series.emplace_back(name);
    }
  }
  curve.columns = {
      {"x", "share", x}, {"y", "share", y}, {"low", "share", low}, {"high", "share", high}, {"series", "", series}};
  curve.facts = {{"level", "0.95"}, {"x_label", "accuracy promised"}, {"y_label", "share"}};
  output.artifacts.push_back(std::move(curve));

  Artifact answers;
  answers.id = "answers";
  answers.kind = "table";
  answers.title = "What is answered";
  answers.caption = "How often each answer is given on test rows, and how often it is right.";
  std::vector<double> given(tree.names.size(), 0), right(tree.names.size(), 0);
  for (std::size_t i = 0; i < at.answers.size(); ++i) given[static_cast<std::size_t>(at.answers[i])] += 1;
  for (std::size_t v = 0; v < right.size(); ++v) right[v] = given[v];
  for (const std::size_t i : at.quality.wrong) right[static_cast<std::size_t>(at.answers[i])] -= 1;
  for (std::size_t v = 0; v < right.size(); ++v) right[v] = given[v] > 0 ? right[v] / given[v] : std::nan("");
  answers.columns = {{"answer", "", tree.names}, {"rows", "1", given}, {"right", "share", right}};
  output.artifacts.push_back(std::move(answers));
  return output;
}

/// Four classes in two groups that the model tells apart well, and classes within a group that it does not.
StoredSet simulated(base::Rng& rng, const std::string& name, int rows, double redrawn) {
  constexpr int kClasses = 4;
  StoredSet set{name, "", {}, MatrixD(rows, kClasses)};
  for (int i = 0; i < rows; ++i) {
    const double group = rng.normal(0, 3);
    double total = 0;
    for (int c = 0; c < kClasses; ++c) {
      total += std::exp(set.outputs(i, c) = rng.normal(0, 1) + (c < 2 ? group : -group));
    }
    double u = rng.uniform() * total;
    int label = 0;
    while (label + 1 < kClasses && u >= std::exp(set.outputs(i, label))) u -= std::exp(set.outputs(i, label++));
    set.labels.push_back(rng.bernoulli(redrawn) ? static_cast<int>(rng.below(kClasses)) : label);
  }
  return set;
}

base::Status write(const std::string& folder, base::Rng& rng, double redrawn) {
  const std::array sets = {simulated(rng, "test", 800, redrawn), simulated(rng, "calibration", 500, 0)};
  return write_stored_system(folder, rng.bits(), "logits", sets,
                             "text = \"Answers are right as often as promised.\"\ncheck = \"caution.hierarchy\"\n"
                             "metric = \"accuracy\"\nat_least = 0.9\n\n[check.\"caution.hierarchy\"]\n"
                             "hierarchy = [\"low: 0, 1\", \"high: 2, 3\"]\n");
}

}  // namespace

check::Entry hierarchy() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params&) {
    static constexpr std::array kRoles = {data::Role::kTest};
    return plan_with_calibration(blueprint, kRoles);
  };
  entry.run = run;
  entry.fixtures = planted(write, 0.6, 0.0);
  entry.fixtures.defect_words =
      "labels of 60 % of test rows redrawn at random, calibration rows untouched (accuracy about 0.75 where 0.95 is "
      "promised)";
  entry.fixtures.control_words = "calibration and test rows from one source (accuracy about 0.96)";
  entry.fixtures.false_alarm_level = 0.05;
  entry.fixtures.cost_ms = 150;
  return entry;
}

}  // namespace plumbline::checks::caution
