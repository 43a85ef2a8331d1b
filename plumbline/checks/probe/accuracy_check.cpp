#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/probe/probe_checks.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/probe/accuracy.hpp"
#include "plumbline/probe/slices.hpp"
#include "plumbline/stats/linalg.hpp"

namespace plumbline::checks::probe {
namespace {

namespace method = plumbline::probe;
using check::Artifact;
using check::Direction;

constexpr std::size_t kMostSliceFigures = 200;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "probe.accuracy";
  facts.title = "Accuracy and where it fails";
  facts.question = "How often is the model right, for which classes, and on which describable rows is it worse?";
  facts.row = "B1";
  facts.maturity = check::Maturity::kPreview;
  facts.needs = {"a classifier", "labels on a test set", "for slices: metadata columns, images, or features"};
  facts.params = {{"slice_level", 0.05, 0.001, 0.5, {}, "false discovery rate of the slice search"},
                  {"slice_rows", std::int64_t{20}, 5.0, 1e6, {}, "fewest rows of a slice in each half"},
                  {"clusters",
                   std::int64_t{8},
                   2.0,
                   50.0,
                   {},
                   "clusters of features that serve as slices where no metadata is declared"}};
  facts.yields = {
      {"accuracy", "share", Direction::kHigherIsBetter, "share of rows predicted right", {"slice"}, {}},
      {"balanced_accuracy", "share", Direction::kHigherIsBetter, "mean of the recalls of the classes", {}, {}},
      {"recall", "share", Direction::kHigherIsBetter, "share of a class's rows predicted right", {"class"}, {}},
      {"precision",
       "share",
       Direction::kHigherIsBetter,
       "share of predictions of a class that are right",
       {"class"},
       {}},
      {"slice_error_lift",
       "share",
       Direction::kLowerIsBetter,
       "error rate in a slice less the error rate outside of it",
       {"slice"},
       {}}};
  facts.assumptions = {"units are independent and drawn like those to come"};
  facts.sources = {"Clopper, Pearson 1934", "Korn, Graubard 1998", "Benjamini, Hochberg 1995",
                   "Cox 1975 (sample splitting)"};
  facts.cost = "O(n k) and O(candidates n / 64)";
  facts.code = "1";
  return facts;
}

// The class that errors of these rows most often go from and to.
std::string commonest_confusion(const Classified& judged, const std::vector<int>& predicted,
                                std::span<const std::size_t> rows) {
  std::map<std::pair<int, int>, std::size_t> pairs;
  for (const std::size_t i : rows) {
    if (judged.labels()[i] != predicted[i]) ++pairs[{judged.labels()[i], predicted[i]}];
  }
  if (pairs.empty()) return "";
  const auto top =
      std::max_element(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return fmt::format("most often '{}' read as '{}' ({} rows)", judged.class_name(top->first.first),
                     judged.class_name(top->first.second), top->second);
}

std::vector<std::size_t> wrong_rows(const Classified& judged, const std::vector<std::uint8_t>& wrong,
                                    std::span<const std::size_t> rows) {
  std::vector<std::size_t> named;
  for (const std::size_t i : rows) {
    if (wrong[i] != 0 && named.size() < 100) named.push_back(judged.source_row(i));
  }
  return named;
}

// Confidence in the wrong answer: probability where stated, else the largest output less the label's.
std::vector<double> conviction(const Classified& judged, const std::vector<int>& predicted) {
  std::vector<double> values(predicted.size());
  const MatrixD outputs =
      judged.output == decision::Output::kScores ? judged.prediction->outputs : judged.probabilities();
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    const auto row = static_cast<std::ptrdiff_t>(i);
    values[i] = outputs(row, predicted[i]);
    if (judged.output == decision::Output::kScores) values[i] -= outputs(row, judged.labels()[i]);
  }
  return values;
}

// Metadata columns where declared; else figures of the images and clusters of the features.
std::vector<method::SliceColumn> columns_for(check::Context& context, const Classified& judged,
                                             const check::Params& params, std::vector<std::string>& notes) {
  auto columns = method::slice_columns(judged.set->table);
  if (!columns.empty()) return columns;
  if (judged.set->kind == data::Dataset::Kind::kImages) {
    columns = method::slice_columns(method::image_features(judged.set->images));
    for (auto& column : columns) column.declared = false;
  }
  const auto clusters = static_cast<int>(params.integer("clusters"));
  const auto features = context.features(context.task().model, context.task().data);
  if (!features.ok() || (*features)->rows() < 10 * clusters) {
    notes.push_back(features.ok() ? "too few rows for clusters of features"
                                  : fmt::format("no slices from clusters of features: {}", features.error().text()));
    return columns;
  }
  MatrixD rows = (*features)->cast<double>();
  if (rows.cols() > 16) {
    const auto pca = stats::fit_pca(MatrixRefF(**features), 16);
    if (!pca.ok()) return columns;
    const auto projected = pca->transform(MatrixRefF(**features));
    if (!projected.ok()) return columns;
    rows = *projected;
  }
  const auto cluster = method::cluster_column(rows, clusters, context.rng("clusters"));
  if (cluster.ok()) {
    columns.push_back(*cluster);
    columns.back().name = "features";
  }
  return columns;
}

// What each row gave: a later run over the same rows is compared with this one row by row (`no_worse_than`).
Artifact row_outcomes(const std::vector<std::uint8_t>& wrong, const Classified& judged) {
  Artifact table;
  table.id = "row-outcomes";
  table.kind = "row-outcomes";
  table.title = "Right or wrong, row by row";
  table.facts = {{"metric", "accuracy"}};
  std::vector<double> rows;
  std::vector<double> outcomes;
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    rows.push_back(static_cast<double>(i));
    outcomes.push_back(wrong[i] == 0 ? 1 : 0);
  }
  table.columns = {{"row", "", rows}, {"outcome", "", outcomes}};
  if (!judged.units().empty()) {
    std::vector<double> units(judged.units().begin(), judged.units().end());
    table.columns.push_back({"unit", "", units});
  }
  return table;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& data = context.task().data;
  PL_TRY(const Classified judged, classified(context, context.task().model, data));
  PL_TRY(const auto predicted, method::predicted_labels(judged.prediction->outputs));
  PL_TRY(const auto report, method::accuracy_report(judged.labels(), predicted, judged.classes(), judged.units()));

  check::Output output;
  output.rows = fmt::format("judged on {} ({} rows)", data, predicted.size());
  const auto add = [&](const std::string& metric, std::map<std::string, std::string> where,
                       const stats::Estimate& estimate) {
    where["data"] = data;
    output.evidence.push_back(check::make_evidence(facts, metric, std::move(where), over_units(estimate, *judged.set)));
  };
  add("accuracy", {}, report.accuracy);
  add("balanced_accuracy", {}, report.balanced);
  Artifact confusion;
  confusion.id = "confusion";
  confusion.kind = "confusion";
  confusion.title = fmt::format("Truth against prediction, {}", data);
  confusion.caption = "Off the diagonal are errors; the colour is the share within the true class.";
  std::vector<std::string> truth, said;
  std::vector<double> count;
  Artifact by_class;
  by_class.id = "recall";
  by_class.kind = "bars";
  by_class.title = fmt::format("Recall of each class, {}", data);
  by_class.caption =
      "Share of each class's rows that are predicted right, with 95 % intervals; the line is the accuracy over all.";
  by_class.facts = {{"value_label", "recall"},
                    {"level", "0.95"},
                    {"reference", fmt::format("{}", report.accuracy.value)},
                    {"reference_label", "accuracy"}};
  std::vector<std::string> class_label;
  std::vector<double> recall, recall_low, recall_high;
  for (int c = 0; c < judged.classes(); ++c) {
    const auto k = static_cast<std::size_t>(c);
    const std::string name = judged.class_name(c);
    if (report.recall[k].n > 0) {
      add("recall", {{"class", name}}, report.recall[k]);
      class_label.push_back(name);
      recall.push_back(report.recall[k].value);
      recall_low.push_back(report.recall[k].low().value_or(std::nan("")));
      recall_high.push_back(report.recall[k].high().value_or(std::nan("")));
    }
    if (report.precision[k].n > 0) add("precision", {{"class", name}}, report.precision[k]);
    for (int other = 0; other < judged.classes(); ++other) {
      const std::size_t cell = report.confusion[k][static_cast<std::size_t>(other)];
      if (cell == 0) continue;
      truth.push_back(name);
      said.push_back(judged.class_name(other));
      count.push_back(static_cast<double>(cell));
    }
  }
  confusion.columns = {{"truth", "", truth}, {"predicted", "", said}, {"count", "rows", count}};
  by_class.columns = {{"label", "", class_label},
                      {"value", "share", recall},
                      {"low", "share", recall_low},
                      {"high", "share", recall_high}};
  output.artifacts = {std::move(confusion), std::move(by_class)};
  if (judged.set->role == data::Role::kTrain) return output;

  std::vector<std::uint8_t> wrong(predicted.size());
  for (std::size_t i = 0; i < wrong.size(); ++i) wrong[i] = predicted[i] == judged.labels()[i] ? 0 : 1;
  output.artifacts.push_back(row_outcomes(wrong, judged));
  output.evidence.front().artifacts.push_back("row-outcomes");

  // Slices.
  const auto columns = columns_for(context, judged, params, output.notes);
  PL_CHECK(context.cancel().status());
  const method::SliceOptions options{.level = params.real("slice_level"),
                                     .least_rows = static_cast<std::size_t>(params.integer("slice_rows"))};
  PL_TRY(const auto slices, method::discover_slices(columns, wrong, judged.units(), options, context.rng("slices")));
  if (columns.empty()) {
    output.notes.emplace_back("no slices: the set has no metadata columns, images or features");
  } else {
    output.rows += fmt::format("; slices searched on {} rows ({} candidates) and estimated on the other {}",
                               slices.searched_rows, slices.candidates, slices.judged_rows);
  }
  if (slices.left_out > 0)
    output.notes.push_back(fmt::format("{} pairs of predicates were not tested", slices.left_out));

  Artifact treemap;
  treemap.id = "slices";
  treemap.kind = "treemap";
  treemap.title = fmt::format("Error rate by slice, {}", data);
  treemap.caption =
      "Size is the number of rows, colour the error rate; slices of one column stand together, discovered pairs under "
      "their own name.";
  treemap.facts = {{"size_label", "rows"},
                   {"value_label", "error rate"},
                   {"worse", "high"},
                   {"midpoint", fmt::format("{}", 1.0 - report.accuracy.value)}};
  std::vector<std::string> tile, parent;
  std::vector<double> size, error, low, high, q;
  std::map<std::string, const method::Slice*> found;
  for (const auto& slice : slices.found) found[slice.name] = &slice;
  const auto add_tile = [&](const std::string& name, const std::string& group, double rows,
                            const stats::Estimate& estimate) {
    tile.push_back(name);
    parent.push_back(group);
    size.push_back(rows);
    error.push_back(estimate.value);
    low.push_back(estimate.low().value_or(std::nan("")));
    high.push_back(estimate.high().value_or(std::nan("")));
    const auto at = found.find(name);
    q.push_back(at == found.end() ? std::nan("") : at->second->q_found);
  };
  const auto complement = [](stats::Estimate error_rate) {
    stats::Estimate right = error_rate;
    right.value = 1.0 - error_rate.value;
    for (std::size_t r = 0; r < stats::kLadder.size(); ++r) {
      right.bounds.lower[r] =
          error_rate.bounds.upper[r] ? std::optional(1.0 - *error_rate.bounds.upper[r]) : std::nullopt;
      right.bounds.upper[r] =
          error_rate.bounds.lower[r] ? std::optional(1.0 - *error_rate.bounds.lower[r]) : std::nullopt;
    }
    return right;
  };
  std::size_t figures = 0;
  std::vector<std::uint8_t> member(wrong.size());
  for (const auto& column : columns) {
    for (std::size_t v = 0; v < column.values.size(); ++v) {
      std::size_t rows = 0;
      for (std::size_t i = 0; i < member.size(); ++i)
        rows += member[i] = column.codes[i] == static_cast<int>(v) ? 1 : 0;
      if (rows < options.least_rows) continue;
      const auto estimate = method::estimate_slice(member, wrong, judged.units());
      if (!estimate.ok()) continue;
      add_tile(column.values[v], column.name, static_cast<double>(rows), estimate->error);
      // Groups that were declared before anything was looked at are figures of the whole set.
      if (!column.declared || figures >= kMostSliceFigures) continue;
      ++figures;
      add("accuracy", {{"slice", column.values[v]}}, complement(estimate->error));
      add("slice_error_lift", {{"slice", column.values[v]}}, estimate->lift);
    }
  }
  for (const auto& slice : slices.found) {
    if (slice.predicates.size() > 1)
      add_tile(slice.name, "found together", static_cast<double>(slice.rows.size()), slice.error);
    if (!slice.declared) {
      add("accuracy", {{"slice", slice.name}}, complement(slice.error));
      add("slice_error_lift", {{"slice", slice.name}}, slice.lift);
    }
    if (!slice.confirmed) continue;
    check::Finding finding;
    finding.id = fmt::format("slice-{}", output.findings.size() + 1);
    finding.severity = slice.lift.value >= 0.1 ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
    finding.title = fmt::format("{}: error {} against {} elsewhere", slice.name, short_number(slice.error.value),
                                short_number(slice.error.value - slice.lift.value));
    finding.detail = fmt::format(
        "Found among {} candidates on one half of {} (q = {:.2g}) and seen again on the other half ({} rows, p = "
        "{:.2g}); figures are of the "
        "other half. Its errors are {}.",
        slices.candidates, data, slice.q_found, slice.judged_rows.size(), slice.p_confirmed,
        commonest_confusion(judged, predicted, slice.rows));
    finding.next_step =
        "Check the labels of these rows first; if they are right, gather more rows like them, or name the slice in a "
        "claim.";
    finding.data = data;
    finding.rows = wrong_rows(judged, wrong, slice.judged_rows);
    finding.where = {{"slice", slice.name}};
    output.findings.push_back(std::move(finding));
  }
  treemap.columns = {{"label", "", tile},   {"parent", "", parent},  {"size", "rows", size}, {"value", "share", error},
                     {"low", "share", low}, {"high", "share", high}, {"q", "1", q}};
  if (!tile.empty()) output.artifacts.push_back(std::move(treemap));

  // The most confident errors.
  const std::string policy = context.examples_policy(data);
  if (policy == "none") return output;
  const auto confidence = conviction(judged, predicted);
  std::vector<std::size_t> worst;
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    if (wrong[i] != 0) worst.push_back(i);
  }
  std::stable_sort(worst.begin(), worst.end(),
                   [&](std::size_t a, std::size_t b) { return confidence[a] > confidence[b]; });
  worst.resize(std::min<std::size_t>(worst.size(), 32));
  if (worst.empty()) return output;
  if (judged.set->kind == data::Dataset::Kind::kImages) {
    const data::Images& images = judged.set->images;
    std::vector<Tile> tiles;
    for (const std::size_t i : worst) {
      tiles.push_back({images.image(i),
                       fmt::format("{} read as {} ({})", judged.class_name(judged.labels()[i]),
                                   judged.class_name(predicted[i]), short_number(confidence[i])),
                       static_cast<double>(judged.source_row(i)), ""});
    }
    output.artifacts.push_back(
        gallery("worst-errors", fmt::format("The most confident errors, {}", data),
                "Errors made with most confidence come first: look for wrong labels, then for what the pictures share.",
                tiles, images.channels, images.height, images.width, policy));
  }
  return output;
}

// Two metadata columns; the labels of 40 % of the rows of mark=b are moved to another class where planted.
base::Status write(const std::string& folder, base::Rng& rng, double mislabelled) {
  constexpr int kRows = 2000;
  constexpr int kClasses = 3;
  StoredSet set{"test", "mark,weight,label\n", {}, MatrixD(kRows, kClasses)};
  for (int i = 0; i < kRows; ++i) {
    const auto mark = static_cast<std::size_t>(rng.below(4));
    const auto truth = static_cast<int>(rng.below(kClasses));
    const int said = rng.bernoulli(0.1) ? (truth + 1) % kClasses : truth;
    for (int c = 0; c < kClasses; ++c) set.outputs(i, c) = rng.normal(c == said ? 6 : 0, 1);
    const int label = mark == 1 && rng.bernoulli(mislabelled) ? (truth + 2) % kClasses : truth;
    set.table += fmt::format("{},{:.3f},{}\n", "abcd"[mark], rng.normal(50, 10), label);
  }
  return write_stored_system(
      folder, rng.bits(), "logits", std::span(&set, 1),
      "text = \"No mark fares worse than the others.\"\ncheck = \"probe.accuracy\"\nmetric = \"slice_error_lift\"\n"
      "where = {slice = \"mark=b\"}\nat_most = 0.12\n");
}

}  // namespace

check::Entry accuracy() {
  check::Entry entry;
  entry.info = info();
  entry.plan = [](const check::Blueprint& blueprint, const check::Params&) {
    static constexpr std::array kRoles = {data::Role::kTrain, data::Role::kTest};
    return plan_classifiers(blueprint, kRoles, /*wants_probabilities=*/false, /*with_calibration=*/false);
  };
  entry.run = run;
  entry.fixtures = planted(write, 0.4, 0.0);
  entry.fixtures.defect_words = "labels of 40 % of the rows of mark=b moved to another class (error lift about 0.34)";
  entry.fixtures.control_words = "errors independent of every column (error 0.10 everywhere)";
  entry.fixtures.cost_ms = 100;
  return entry;
}

}  // namespace plumbline::checks::probe
