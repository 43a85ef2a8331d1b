#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/checks/robustness/compared_sets.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/robustness/drift.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/multiplicity.hpp"

namespace plumbline::checks {
namespace {

using check::Context;
using check::Output;
using check::Params;
using robustness::DriftColumn;

check::CheckInfo facts() {
  return {
      .id = "robustness.drift",
      .title = "Drift between data sets",
      .question = "Did the world that the data comes from change, by how much, and in which features?",
      .row = "R4",
      .maturity = check::Maturity::kPreview,
      .needs = {"a reference set (train)", "a set of role test or out-of-distribution"},
      .params =
          {{"reference",
            std::string(),
            {},
            {},
            {},
            "the set that the others are compared with; empty = the set of role train"},
           {"sample", std::int64_t{2000}, 40, 20000, {}, "rows drawn from each set"},
           {"permutations", std::int64_t{199}, 19, 99999, {}, "relabellings of the kernel test"},
           {"model",
            std::string(),
            {},
            {},
            {},
            "for images: a model whose declared features are compared; empty = principal components of the reference"},
           {"level", 0.05, 0.0001, 0.5, {}, "family-wise level of the tests"}},
      .yields =
          {{"classifier_auroc",
            "share",
            check::Direction::kLowerIsBetter,
            "held-out AUROC of a classifier that tells the set from the reference; 0.5 = not told apart",
            {},
            {}},
           {"largest_shift",
            "deviations",
            check::Direction::kLowerIsBetter,
            "largest absolute standardised mean difference of a numeric feature",
            {},
            {}},
           {"mmd2", "1", check::Direction::kLowerIsBetter, "squared maximum mean discrepancy, Gaussian kernel", {}, {}},
           {"features_moved",
            "features",
            check::Direction::kLowerIsBetter,
            "features that moved, by Holm at `level`",
            {},
            {}},
           {"p_value",
            "share",
            check::Direction::kHigherIsBetter,
            "of each test, and of all three together by Holm (test = any)",
            {"test"},
            {{"test", "any"}}}},
      .assumptions = {"rows (or units) are independent within and between the sets"},
      .sources = {"Gretton et al. 2012", "Lopez-Paz and Oquab 2017", "Holm 1979"},
      .cost = "O(sample^2 (d + permutations))",
      .needs_torch = false,
      .code = "1"};
}

check::Plan plan(const check::Blueprint& blueprint, const Params& params) {
  check::Plan plan;
  const ComparedSets sets = compared_sets(blueprint, params);
  plan.not_applicable = sets.why_none;
  if (!blueprint.data.contains(sets.reference)) return plan;
  if (params.text("model").empty() && blueprint.data.at(sets.reference).only_text) {
    plan.not_applicable =
        fmt::format("'{}' has text columns only; name a model with features by the parameter model", sets.reference);
    return plan;
  }
  if (!params.text("model").empty() && !blueprint.models.contains(params.text("model"))) {
    plan.not_applicable = fmt::format("the model '{}' is not in the manifest", params.text("model"));
    return plan;
  }
  for (const std::string& name : sets.others) {
    check::Task task;
    task.subject = fmt::format("{}@{}", sets.reference, name);
    task.data = name;
    task.model = params.text("model");
    task.cost_seconds = 2;
    plan.tasks.push_back(std::move(task));
  }
  return plan;
}

/// One row of each of at most `most` units, drawn without regard to content, ascending.
std::vector<std::size_t> draw_rows(const data::Dataset& set, std::size_t most, base::Rng rng) {
  const auto units = stats::group_units(set.units, set.rows());
  std::vector<std::size_t> rows;
  if (!units.ok()) return rows;
  for (const std::size_t u : rng.sample(units->count(), std::min(most, units->count()))) {
    const auto of_unit = units->rows_of(u);
    rows.push_back(of_unit[rng.below(of_unit.size())]);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

void append_matrix(std::vector<DriftColumn>& columns, const std::string& name, MatrixRefD a, MatrixRefD b) {
  for (std::ptrdiff_t j = 0; j < a.cols(); ++j) {
    DriftColumn column;
    column.name = fmt::format("{} {}", name, j + 1);
    for (std::ptrdiff_t i = 0; i < a.rows(); ++i) column.a.push_back(a(i, j));
    for (std::ptrdiff_t i = 0; i < b.rows(); ++i) column.b.push_back(b(i, j));
    columns.push_back(std::move(column));
  }
}

MatrixF pixel_rows(const data::Images& images, const std::vector<std::size_t>& rows) {
  MatrixF out(static_cast<std::ptrdiff_t>(rows.size()), static_cast<std::ptrdiff_t>(images.pixels()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto image = images.image(rows[i]);
    for (std::size_t k = 0; k < image.size(); ++k)
      out(static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(k)) = static_cast<float>(image[k]) / 255.0F;
  }
  return out;
}

/// The named statistics, then what kernel and classifier read: the model's features, or principal components of the
/// reference.
base::Result<std::vector<DriftColumn>> image_columns(Context& context, const data::Dataset& a,
                                                     const std::vector<std::size_t>& rows_a, const data::Dataset& b,
                                                     const std::vector<std::size_t>& rows_b) {
  if (a.images.pixels() != b.images.pixels() || a.images.channels != b.images.channels ||
      a.images.width != b.images.width) {
    return base::make_error(base::Code::kShape, fmt::format("images of '{}' and '{}' differ in size", a.name, b.name));
  }
  std::vector<DriftColumn> columns;
  const auto statistics = [](const data::Images& images, const std::vector<std::size_t>& rows) {
    std::vector<std::uint8_t> bytes;
    for (const std::size_t row : rows) {
      const auto image = images.image(row);
      bytes.insert(bytes.end(), image.begin(), image.end());
    }
    return robustness::image_statistics(bytes, rows.size(), images.channels, images.height, images.width);
  };
  PL_TRY(const robustness::ImageStatistics sa, statistics(a.images, rows_a));
  PL_TRY(const robustness::ImageStatistics sb, statistics(b.images, rows_b));
  append_matrix(columns, "statistic", sa.values, sb.values);
  for (std::size_t j = 0; j < sa.names.size(); ++j) columns[j].name = sa.names[j];
  if (!context.task().model.empty()) {
    const auto pick = [](const MatrixF& from, const std::vector<std::size_t>& rows) {
      MatrixD to(static_cast<std::ptrdiff_t>(rows.size()), from.cols());
      for (std::size_t i = 0; i < rows.size(); ++i)
        to.row(static_cast<std::ptrdiff_t>(i)) = from.row(static_cast<std::ptrdiff_t>(rows[i])).cast<double>();
      return to;
    };
    PL_TRY(const auto of_a, context.features(context.task().model, a.name));
    PL_TRY(const auto of_b, context.features(context.task().model, b.name));
    append_matrix(columns, "feature", pick(*of_a, rows_a), pick(*of_b, rows_b));
    return columns;
  }
  const MatrixF pixels_a = pixel_rows(a.images, rows_a);
  const MatrixF pixels_b = pixel_rows(b.images, rows_b);
  const std::ptrdiff_t components = std::min<std::ptrdiff_t>({32, pixels_a.cols(), pixels_a.rows() - 1});
  PL_TRY(const stats::Pca pca, stats::fit_pca(MatrixRefF(pixels_a), components));
  PL_TRY(const MatrixD za, pca.transform(MatrixRefF(pixels_a)));
  PL_TRY(const MatrixD zb, pca.transform(MatrixRefF(pixels_b)));
  append_matrix(columns, "component", za, zb);
  return columns;
}

/// Categories are matched by the names of their levels, since each file numbers them in its own order.
std::vector<DriftColumn> table_columns(const data::Table& a, const std::vector<std::size_t>& rows_a,
                                       const data::Table& b, const std::vector<std::size_t>& rows_b,
                                       std::vector<std::string>& notes) {
  std::vector<DriftColumn> columns;
  for (const data::Column& of_a : a.columns) {
    const data::Column* of_b = b.find(of_a.name);
    if (of_b == nullptr || of_b->kind != of_a.kind || of_a.kind == data::Column::Kind::kText) {
      notes.push_back(fmt::format("column '{}' left out: {}", of_a.name,
                                  of_b == nullptr                          ? "the other set lacks it"
                                  : of_a.kind == data::Column::Kind::kText ? "free text"
                                                                           : "another type in the other set"));
      continue;
    }
    DriftColumn column;
    column.name = of_a.name;
    column.category = of_a.kind == data::Column::Kind::kCategory;
    if (!column.category) {
      for (const std::size_t row : rows_a) column.a.push_back(of_a.numbers[row]);
      for (const std::size_t row : rows_b) column.b.push_back(of_b->numbers[row]);
    } else {
      std::vector<std::string> levels = of_a.levels;
      std::vector<double> code_of_b;
      for (const std::string& level : of_b->levels) {
        auto found = std::find(levels.begin(), levels.end(), level);
        if (found == levels.end()) found = levels.insert(levels.end(), level);
        code_of_b.push_back(static_cast<double>(found - levels.begin()));
      }
      for (const std::size_t row : rows_a) column.a.push_back(of_a.codes[row]);
      for (const std::size_t row : rows_b)
        column.b.push_back(of_b->codes[row] < 0 ? -1.0 : code_of_b[static_cast<std::size_t>(of_b->codes[row])]);
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

/// The columns as one matrix a side: numbers standardised by the reference, missing at its mean with an indicator where
/// any is missing; categories as indicators of their 20 most common levels.
std::pair<MatrixD, MatrixD> encode(const std::vector<DriftColumn>& columns) {
  std::vector<std::vector<double>> a;
  std::vector<std::vector<double>> b;
  const auto indicator = [&](const DriftColumn& column, const std::function<bool(double)>& is) {
    a.emplace_back();
    b.emplace_back();
    for (const double v : column.a) a.back().push_back(is(v) ? 1 : 0);
    for (const double v : column.b) b.back().push_back(is(v) ? 1 : 0);
  };
  for (const DriftColumn& column : columns) {
    if (column.category) {
      std::map<double, double> counts;
      for (const auto* side : {&column.a, &column.b}) {
        for (const double v : *side) counts[v] += 1;
      }
      std::vector<std::pair<double, double>> order;
      for (const auto& [level, count] : counts) order.emplace_back(-count, level);
      std::sort(order.begin(), order.end());
      for (std::size_t l = 0; l < std::min<std::size_t>(20, order.size()); ++l)
        indicator(column, [&](double v) { return v == order[l].second; });
      continue;
    }
    std::vector<double> present;
    bool missing = false;
    for (const double v : column.a) {
      if (!std::isnan(v)) present.push_back(v);
      missing = missing || std::isnan(v);
    }
    for (const double v : column.b) missing = missing || std::isnan(v);
    if (present.empty()) present.push_back(0);
    const stats::Moments m = stats::moments(present);
    const double scale = m.variance > 0 ? std::sqrt(m.variance) : 1;
    a.emplace_back();
    b.emplace_back();
    for (const double v : column.a) a.back().push_back(std::isnan(v) ? 0 : (v - m.mean) / scale);
    for (const double v : column.b) b.back().push_back(std::isnan(v) ? 0 : (v - m.mean) / scale);
    if (missing) indicator(column, [](double v) { return std::isnan(v); });
  }
  const auto matrix = [](const std::vector<std::vector<double>>& cols) {
    MatrixD out(static_cast<std::ptrdiff_t>(cols.front().size()), static_cast<std::ptrdiff_t>(cols.size()));
    for (std::size_t j = 0; j < cols.size(); ++j) {
      for (std::size_t i = 0; i < cols[j].size(); ++i)
        out(static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(j)) = cols[j][i];
    }
    return out;
  };
  return {matrix(a), matrix(b)};
}

base::Result<Output> run(Context& context, const Params& params) {
  Output out;
  const std::string reference = reference_set(context.manifest(), params);
  const std::string& name = context.task().data;
  PL_TRY(const data::DatasetPtr a, context.dataset(reference));
  PL_TRY(const data::DatasetPtr b, context.dataset(name));
  const auto sample = static_cast<std::size_t>(params.integer("sample"));
  const std::vector<std::size_t> rows_a = draw_rows(*a, sample, context.rng("rows of " + reference));
  const std::vector<std::size_t> rows_b = draw_rows(*b, sample, context.rng("rows of " + name));
  std::vector<DriftColumn> columns;
  std::size_t first_of_encoding = 0;
  switch (a->kind) {
    case data::Dataset::Kind::kImages: {
      PL_TRY(columns, image_columns(context, *a, rows_a, *b, rows_b));
      first_of_encoding = 5;  // the named statistics are for people; kernel and classifier read the rest
      break;
    }
    case data::Dataset::Kind::kTable: columns = table_columns(a->table, rows_a, b->table, rows_b, out.notes); break;
    case data::Dataset::Kind::kMatrix: {
      if (a->matrix.cols() != b->matrix.cols()) {
        return base::make_error(base::Code::kShape, fmt::format("'{}' has {} columns, '{}' has {}", reference,
                                                                a->matrix.cols(), name, b->matrix.cols()));
      }
      const auto pick = [](const MatrixF& from, const std::vector<std::size_t>& rows) {
        MatrixD to(static_cast<std::ptrdiff_t>(rows.size()), from.cols());
        for (std::size_t i = 0; i < rows.size(); ++i)
          to.row(static_cast<std::ptrdiff_t>(i)) = from.row(static_cast<std::ptrdiff_t>(rows[i])).cast<double>();
        return to;
      };
      append_matrix(columns, "feature", pick(a->matrix, rows_a), pick(b->matrix, rows_b));
      break;
    }
  }
  if (columns.empty())
    return base::make_error(base::Code::kValue,
                            fmt::format("'{}' and '{}' share no column that can be compared", reference, name));
  PL_TRY(const std::vector<robustness::FeatureDrift> features, robustness::feature_drift(columns));
  const auto [ea, eb] = encode({columns.begin() + static_cast<std::ptrdiff_t>(first_of_encoding), columns.end()});
  robustness::MmdOptions options;
  options.permutations = static_cast<std::size_t>(params.integer("permutations"));
  options.cancel = context.cancel();
  PL_TRY(const robustness::MmdTest mmd, robustness::mmd_test(ea, eb, options, context.rng("kernel")));
  PL_TRY(const robustness::ClassifierTest classifier,
         robustness::classifier_test(ea, eb, context.rng("classifier"), context.cancel()));

  const check::CheckInfo info = facts();
  const std::map<std::string, std::string> where = {{"data", name}};
  const double level = params.real("level");
  out.evidence.push_back(check::make_evidence(info, "classifier_auroc", where, classifier.auroc));
  if (const auto shift = robustness::largest_shift(features); shift.ok()) {
    out.evidence.push_back(check::make_evidence(info, "largest_shift", where, *shift));
  } else {
    out.notes.push_back("largest_shift withheld: " + shift.error().message);
  }
  out.evidence.push_back(check::make_evidence(info, "mmd2", where, mmd.mmd2));
  const stats::Estimate moved = robustness::features_moved(features, level);
  out.evidence.push_back(check::make_evidence(info, "features_moved", where, moved));
  double least = 1;
  for (const auto& f : features) least = std::min(least, f.adjusted_p);
  const std::vector<double> each = {mmd.p_value, classifier.p_value, least};
  PL_TRY(const std::vector<double> together, stats::holm(each));
  const double any = *std::min_element(together.begin(), together.end());
  const auto n = static_cast<double>(rows_a.size() + rows_b.size());
  const std::pair<const char*, double> tests[] = {
      {"kernel", mmd.p_value}, {"classifier", classifier.p_value}, {"features", least}, {"any", any}};
  for (const auto& [test, p] : tests) {
    stats::Estimate estimate = stats::exact(p, n, "a p-value of the rows drawn: a fact about them");
    estimate.assumptions = info.assumptions;
    out.evidence.push_back(
        check::make_evidence(info, "p_value", {{"data", name}, {"test", test}}, std::move(estimate)));
  }

  std::vector<std::size_t> order(features.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) {
    return std::abs(features[x].effect.value) > std::abs(features[y].effect.value);
  });
  check::Artifact bars;
  bars.id = "features";
  bars.kind = "bars";
  bars.title = fmt::format("How far each feature of {} moved from {}", name, reference);
  bars.caption =
      "Standardised mean difference (categories: total variation distance) with its 95 % interval; the largest first.";
  std::vector<std::string> labels, test_names;
  std::vector<double> value, low, high, p_values;
  for (const std::size_t j : order) {
    labels.push_back(features[j].name);
    test_names.push_back(features[j].test);
    value.push_back(features[j].effect.value);
    low.push_back(features[j].effect.low().value_or(std::nan("")));
    high.push_back(features[j].effect.high().value_or(std::nan("")));
    p_values.push_back(features[j].adjusted_p);
  }
  bars.columns = {{"label", "", labels},        {"value", "deviations", value}, {"low", "deviations", low},
                  {"high", "deviations", high}, {"adjusted p", "1", p_values},  {"test", "", test_names}};
  bars.facts = {{"value_label", "shift"}, {"reference", "0"}, {"reference_label", "no shift"}, {"level", "0.95"}};
  out.artifacts.push_back(std::move(bars));
  int pictures = 0;
  for (const std::size_t j : order) {
    if (columns[j].category || pictures == 4) continue;
    ++pictures;
    const std::vector<std::pair<std::string, std::span<const double>>> series = {{reference, columns[j].a},
                                                                                 {name, columns[j].b}};
    out.artifacts.push_back(histogram(
        fmt::format("feature-{}", pictures), fmt::format("{} in {} and {}", features[j].name, reference, name),
        "Where the two differ in place or shape, the feature moved.", features[j].name, series, 30, 1.0));
  }
  if (moved.value > 0) {
    std::vector<std::string> words;
    for (const std::size_t j : order) {
      if (features[j].adjusted_p <= level && words.size() < 5)
        words.push_back(fmt::format("{} ({:+.2f})", features[j].name, features[j].effect.value));
    }
    check::Finding finding;
    finding.id = "moved-" + name;
    finding.severity =
        classifier.auroc.low().value_or(0) > 0.6 ? check::FindingSeverity::kMajor : check::FindingSeverity::kMinor;
    finding.title =
        fmt::format("{:.0f} of {} features of '{}' moved from '{}'", moved.value, features.size(), name, reference);
    finding.detail = fmt::format("Most: {}. A classifier tells the sets apart with AUROC {:.3f}.",
                                 fmt::join(words, ", "), classifier.auroc.value);
    finding.next_step =
        "Ask what changed in how these features are made; judge the model on rows drawn after the change.";
    finding.data = name;
    finding.where = where;
    out.findings.push_back(std::move(finding));
  }
  out.rows =
      fmt::format("{} of {} rows of {} against {} of {} rows of {}{}", rows_a.size(), a->rows(), reference,
                  rows_b.size(), b->rows(), name, a->units.empty() && b->units.empty() ? "" : ", one of each unit");
  return out;
}

base::Status write_fixture(const std::string& folder, base::Rng& rng, double shift) {
  for (const char* name : {"train", "test"}) {
    const bool moved = std::string_view(name) == "test";
    MatrixF rows(400, 5);
    for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
      for (std::ptrdiff_t j = 0; j < rows.cols(); ++j)
        rows(i, j) = static_cast<float>(rng.normal() + (moved && j < 3 ? shift : 0));
    }
    PL_CHECK(data::write_npy(fmt::format("{}/{}.npy", folder, name), rows));
  }
  return write_fixture_manifest(
      folder, rng.below(1000000),
      "[data.train]\nmatrix = \"train.npy\"\n\n[data.test]\nmatrix = "
      "\"test.npy\"\n\n[check.\"robustness.drift\"]\npermutations = 39\n",
      "text = \"The test rows cannot be told from the training rows.\"\ncheck = \"robustness.drift\"\n"
      "metric = \"classifier_auroc\"\nwhere = {data = \"test\"}\nat_most = 0.62\nconfidence = 0.95");
}

}  // namespace

check::Entry drift() {
  return {
      .info = facts(),
      .plan = plan,
      .run = run,
      .run_shard = {},
      .finish = {},
      .fixtures = {
          .defect = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, 0.6); },
          .control = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, 0); },
          .defect_words = "three of five features of the test set are shifted by 0.6 deviations (effect: AUROC 0.77)",
          .control_words = "both sets are drawn from one law",
          .false_alarm_level = 0.05,
          .cost_ms = 150}};
}

}  // namespace plumbline::checks
