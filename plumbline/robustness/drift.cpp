#include "plumbline/robustness/drift.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/hypothesis.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/logistic.hpp"
#include "plumbline/stats/multiplicity.hpp"
#include "plumbline/stats/ranking.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::robustness {
namespace {

base::Status check_pair(std::string_view function, MatrixRefD a, MatrixRefD b, std::ptrdiff_t least) {
  PL_CHECK(base::check_at_least(function, "columns", a.cols(), 1));
  PL_CHECK(base::check_size(function, "b.cols()", b.cols(), a.cols()));
  for (const auto& [name, rows] : {std::pair<std::string_view, const MatrixRefD*>{"a", &a}, {"b", &b}}) {
    if (rows->rows() < least) {
      return base::make_error(base::Code::kShape, fmt::format("{}: {} has {} rows, expected at least {}", function,
                                                              name, rows->rows(), least));
    }
    for (std::ptrdiff_t i = 0; i < rows->rows(); ++i) {
      for (std::ptrdiff_t j = 0; j < rows->cols(); ++j) {
        if (!std::isfinite((*rows)(i, j))) {
          return base::make_error(base::Code::kValue, fmt::format("{}: {}({}, {}) is {}, expected a finite number",
                                                                  function, name, i, j, (*rows)(i, j)));
        }
      }
    }
  }
  return base::ok();
}

double variance_of(std::span<const double> values) { return values.size() < 2 ? 0 : stats::moments(values).variance; }

/// What one block of kernel rows (against itself and all later rows) adds up to.
struct BlockSums {
  std::vector<double> row_a, row_b;        // of the block's rows: kernel sums with rows of a, of b, over later rows
  std::vector<double> column_a, column_b;  // of all later rows (and the block's own): sums with the block's rows
  std::vector<double> inside;              // per relabelling: sum over pairs of w_i w_j K_ij
  std::vector<double> across;              // per relabelling: sum over pairs of (w_i + w_j) K_ij
  double total = 0;                        // sum over pairs of K_ij
};

}  // namespace

base::Result<MmdTest> mmd_test(MatrixRefD a, MatrixRefD b, const MmdOptions& options, const base::Rng& rng) {
  constexpr std::string_view kName = "mmd_test";
  PL_CHECK(check_pair(kName, a, b, 4));
  PL_CHECK(base::check_at_least(kName, "permutations", static_cast<std::ptrdiff_t>(options.permutations), 19));
  PL_CHECK(base::check_in(kName, "width", options.width, 0, 1e300));
  const std::ptrdiff_t m = a.rows();
  const std::ptrdiff_t n = b.rows();
  const std::ptrdiff_t total = m + n;
  const std::ptrdiff_t d = a.cols();
  const auto fm = static_cast<double>(m);
  const auto fn = static_cast<double>(n);
  // Pooled and centred (distances do not change; products keep their digits).
  MatrixD pooled(total, d);
  pooled.topRows(m) = a;
  pooled.bottomRows(n) = b;
  for (std::ptrdiff_t j = 0; j < d; ++j) {
    double sum = 0;
    for (std::ptrdiff_t i = 0; i < total; ++i) sum += pooled(i, j);
    for (std::ptrdiff_t i = 0; i < total; ++i) pooled(i, j) -= sum / static_cast<double>(total);
  }
  VectorD squares(total);
  for (std::ptrdiff_t i = 0; i < total; ++i) {
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < d; ++j) sum += pooled(i, j) * pooled(i, j);
    squares(i) = sum;
  }
  MmdTest test;
  test.width = options.width;
  if (test.width == 0) {
    base::Rng stream = rng.fork("width");
    const std::vector<std::size_t> some =
        stream.sample(static_cast<std::size_t>(total), std::min<std::size_t>(500, static_cast<std::size_t>(total)));
    std::vector<double> distances;
    for (std::size_t i = 0; i < some.size(); ++i) {
      for (std::size_t k = i + 1; k < some.size(); ++k) {
        double sum = 0;
        for (std::ptrdiff_t j = 0; j < d; ++j) {
          const double gap =
              pooled(static_cast<std::ptrdiff_t>(some[i]), j) - pooled(static_cast<std::ptrdiff_t>(some[k]), j);
          sum += gap * gap;
        }
        distances.push_back(sum);
      }
    }
    const auto middle = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
    std::nth_element(distances.begin(), middle, distances.end());
    test.width = std::sqrt(*middle);
    if (test.width == 0) test.width = std::sqrt(*std::max_element(distances.begin(), distances.end()));
  }
  test.mmd2.n = fm + fn;
  test.mmd2.n_effective = test.mmd2.n;
  test.mmd2.method = fmt::format("unbiased MMD^2, Gaussian kernel of width {:.4g}, normal bounds, {} relabellings",
                                 test.width, options.permutations);
  test.mmd2.assumptions = {"rows are independent within and between the two samples"};
  if (!(test.width > 0)) {
    test.mmd2.warnings.push_back("all rows are equal: there is no spread to compare");
    return test;
  }

  // Column 0 holds the true labelling, so that it and the relabellings pass through the same arithmetic.
  const auto relabellings = static_cast<std::ptrdiff_t>(options.permutations);
  MatrixF labels = MatrixF::Zero(total, relabellings + 1);
  for (std::ptrdiff_t i = 0; i < m; ++i) labels(i, 0) = 1;
  PL_CHECK(base::parallel_for(
      options.permutations,
      [&](std::size_t r) -> base::Status {
        base::Rng stream = rng.fork(static_cast<std::uint64_t>(r));
        for (const std::size_t i : stream.sample(static_cast<std::size_t>(total), static_cast<std::size_t>(m))) {
          labels(static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(r) + 1) = 1;
        }
        return base::ok();
      },
      options.cancel));

  constexpr std::ptrdiff_t kBlock = 256;
  const auto blocks = static_cast<std::size_t>((total + kBlock - 1) / kBlock);
  std::vector<BlockSums> sums(blocks);
  const double scale = -0.5 / (test.width * test.width);
  // A constant taken from the kernel cancels in every statistic; near the kernel's mean it saves digits in float32.
  const double middle = std::exp(-0.5);
  const auto kernel_block = [&](std::size_t block) -> base::Status {
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(block) * kBlock;
    const std::ptrdiff_t count = std::min(kBlock, total - first);
    const std::ptrdiff_t later = total - first;
    const MatrixD left = pooled.middleRows(first, count);
    const MatrixD right = pooled.bottomRows(later);
    MatrixD gram(count, later);
    gram.noalias() = left * right.transpose();
    MatrixF kernel(count, later);
    BlockSums& out = sums[block];
    out.row_a.assign(static_cast<std::size_t>(count), 0.0);
    out.row_b.assign(static_cast<std::size_t>(count), 0.0);
    out.column_a.assign(static_cast<std::size_t>(later), 0.0);
    out.column_b.assign(static_cast<std::size_t>(later), 0.0);
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const bool of_a = first + i < m;
      for (std::ptrdiff_t j = 0; j < later; ++j) {
        if (j <= i) {  // each pair once; the diagonal takes no part
          kernel(i, j) = 0;
          continue;
        }
        const double gap = std::max(0.0, squares(first + i) + squares(first + j) - 2 * gram(i, j));
        const double k = std::exp(scale * gap) - middle;
        kernel(i, j) = static_cast<float>(k);
        (first + j < m ? out.row_a : out.row_b)[static_cast<std::size_t>(i)] += k;
        (of_a ? out.column_a : out.column_b)[static_cast<std::size_t>(j)] += k;
        out.total += k;
      }
    }
    const MatrixF tail = labels.bottomRows(later);
    MatrixF with(count, relabellings + 1);  // K w
    with.noalias() = kernel * tail;
    const MatrixF head = labels.middleRows(first, count);
    out.inside.assign(static_cast<std::size_t>(relabellings + 1), 0.0);
    out.across.assign(static_cast<std::size_t>(relabellings + 1), 0.0);
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const double whole = out.row_a[static_cast<std::size_t>(i)] + out.row_b[static_cast<std::size_t>(i)];
      for (std::ptrdiff_t r = 0; r <= relabellings; ++r) {
        const double kw = static_cast<double>(with(i, r));
        out.inside[static_cast<std::size_t>(r)] += head(i, r) != 0 ? kw : 0;
        out.across[static_cast<std::size_t>(r)] += kw + (head(i, r) != 0 ? whole : 0);
      }
    }
    return base::ok();
  };
  PL_CHECK(base::parallel_for(blocks, kernel_block, options.cancel));

  std::vector<double> row_a(static_cast<std::size_t>(total), 0.0);
  std::vector<double> row_b(static_cast<std::size_t>(total), 0.0);
  std::vector<double> inside(static_cast<std::size_t>(relabellings + 1), 0.0);
  std::vector<double> across(static_cast<std::size_t>(relabellings + 1), 0.0);
  double pairs = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t first = block * static_cast<std::size_t>(kBlock);
    for (std::size_t i = 0; i < sums[block].row_a.size(); ++i) {
      row_a[first + i] += sums[block].row_a[i];
      row_b[first + i] += sums[block].row_b[i];
    }
    for (std::size_t j = 0; j < sums[block].column_a.size(); ++j) {
      row_a[first + j] += sums[block].column_a[j];
      row_b[first + j] += sums[block].column_b[j];
    }
    for (std::size_t r = 0; r < inside.size(); ++r) {
      inside[r] += sums[block].inside[r];
      across[r] += sums[block].across[r];
    }
    pairs += sums[block].total;
  }
  // With w the indicator of the first group: pairs inside it, inside the other, and across.
  const auto statistic = [&](double in, double touching, double all) {
    const double between = touching - 2 * in;
    const double other = all - in - between;
    return 2 * in / (fm * (fm - 1)) + 2 * other / (fn * (fn - 1)) - 2 * between / (fm * fn);
  };
  const double observed_float = statistic(inside[0], across[0], pairs);
  std::vector<double> permuted;
  std::size_t extreme = 0;
  for (std::ptrdiff_t r = 1; r <= relabellings; ++r) {
    permuted.push_back(statistic(inside[static_cast<std::size_t>(r)], across[static_cast<std::size_t>(r)], pairs));
    if (permuted.back() >= observed_float) ++extreme;
  }
  test.p_value = static_cast<double>(1 + extreme) / static_cast<double>(1 + options.permutations);

  // The observed figure and its first-order variance from the double sums.
  double in_a = 0;
  double between = 0;
  double in_b = 0;
  std::vector<double> influence_a;
  std::vector<double> influence_b;
  for (std::size_t i = 0; i < static_cast<std::size_t>(total); ++i) {
    if (i < static_cast<std::size_t>(m)) {
      in_a += row_a[i];
      between += row_b[i];
      influence_a.push_back(row_a[i] / (fm - 1) - row_b[i] / fn);
    } else {
      in_b += row_b[i];
      influence_b.push_back(row_b[i] / (fn - 1) - row_a[i] / fm);
    }
  }
  test.mmd2.value = in_a / (fm * (fm - 1)) + in_b / (fn * (fn - 1)) - 2 * between / (fm * fn);
  const double deviation =
      std::sqrt(4 * variance_of(influence_a) / fm + 4 * variance_of(influence_b) / fn + variance_of(permuted));
  const double value = test.mmd2.value;
  test.mmd2.bounds =
      stats::make_bounds([=](double c) { return std::optional(value - stats::normal_quantile(c) * deviation); },
                         [=](double c) { return std::optional(value + stats::normal_quantile(c) * deviation); });
  return test;
}

base::Result<ClassifierTest> classifier_test(MatrixRefD a, MatrixRefD b, const base::Rng& rng,
                                             const base::CancelToken& cancel) {
  PL_CHECK(check_pair("classifier_test", a, b, 20));
  const auto each = static_cast<std::size_t>(std::min(a.rows(), b.rows()));
  const std::size_t fit_rows = each / 2;
  const auto pick = [&](std::string_view name, std::ptrdiff_t rows) {
    base::Rng stream = rng.fork(name);
    std::vector<std::size_t> order = stream.permutation(static_cast<std::size_t>(rows));
    order.resize(each);
    return order;
  };
  const std::vector<std::size_t> of_a = pick("a", a.rows());
  const std::vector<std::size_t> of_b = pick("b", b.rows());
  MatrixD fit(static_cast<std::ptrdiff_t>(2 * fit_rows), a.cols());
  std::vector<int> labels;
  for (std::size_t i = 0; i < fit_rows; ++i) {
    fit.row(static_cast<std::ptrdiff_t>(2 * i)) = a.row(static_cast<std::ptrdiff_t>(of_a[i]));
    fit.row(static_cast<std::ptrdiff_t>(2 * i + 1)) = b.row(static_cast<std::ptrdiff_t>(of_b[i]));
    labels.insert(labels.end(), {0, 1});
  }
  stats::LogisticOptions options;
  options.iterations = 200;
  options.cancel = cancel;
  PL_TRY(const stats::LogisticModel model, stats::fit_logistic(MatrixRefD(fit), labels, 2, options));
  ClassifierTest test;
  std::size_t right = 0;
  const auto judge = [&](MatrixRefD rows, const std::vector<std::size_t>& order, bool second,
                         std::vector<double>& scores) -> base::Status {
    MatrixD held(static_cast<std::ptrdiff_t>(each - fit_rows), rows.cols());
    for (std::size_t i = fit_rows; i < each; ++i)
      held.row(static_cast<std::ptrdiff_t>(i - fit_rows)) = rows.row(static_cast<std::ptrdiff_t>(order[i]));
    PL_TRY(const MatrixD logits, model.logits(MatrixRefD(held)));
    for (std::ptrdiff_t i = 0; i < logits.rows(); ++i) {
      scores.push_back(logits(i, 1) - logits(i, 0));
      if ((scores.back() > 0) == second) ++right;
    }
    return base::ok();
  };
  PL_CHECK(judge(a, of_a, false, test.held_out_scores_a));
  PL_CHECK(judge(b, of_b, true, test.held_out_scores_b));
  const std::size_t judged = 2 * (each - fit_rows);
  PL_TRY(test.auroc, stats::auroc(test.held_out_scores_b, test.held_out_scores_a));
  PL_TRY(test.accuracy, stats::clopper_pearson(right, judged));
  PL_TRY(const stats::TestResult binomial, stats::binomial_test(right, judged, 0.5, stats::Tail::kGreater));
  test.p_value = binomial.p_value;
  test.auroc.assumptions.push_back("rows are independent within and between the two samples");
  return test;
}

namespace {

FeatureDrift number_drift(const DriftColumn& column) {
  FeatureDrift out;
  out.name = column.name;
  std::vector<double> a;
  std::vector<double> b;
  for (const double v : column.a) {
    if (!std::isnan(v)) a.push_back(v);
  }
  for (const double v : column.b) {
    if (!std::isnan(v)) b.push_back(v);
  }
  const auto m = static_cast<double>(a.size());
  const auto n = static_cast<double>(b.size());
  out.effect.n = m + n;
  out.effect.n_effective = out.effect.n;
  out.effect.method = "standardised mean difference, normal bounds";
  if (a.size() < 4 || b.size() < 4) {
    out.test = "not tested: fewer than 4 values present";
    return out;
  }
  const stats::Moments ma = stats::moments(a);
  const stats::Moments mb = stats::moments(b);
  const double pooled = std::sqrt(((m - 1) * ma.variance + (n - 1) * mb.variance) / (m + n - 2));
  const auto test = stats::ks_two_sample(a, b);
  base::ensure(test.ok(), "ks_two_sample on checked values");
  out.p_value = test->p_value;
  out.test = "Kolmogorov-Smirnov";
  if (pooled > 0) {
    const double effect = (mb.mean - ma.mean) / pooled;
    const double deviation = std::sqrt(1 / m + 1 / n + effect * effect / (2 * (m + n)));
    out.effect.value = effect;
    out.effect.bounds =
        stats::make_bounds([=](double c) { return std::optional(effect - stats::normal_quantile(c) * deviation); },
                           [=](double c) { return std::optional(effect + stats::normal_quantile(c) * deviation); });
  } else if (ma.mean == mb.mean) {
    out.test = "not tested: constant";
    out.p_value = 1;
  } else {
    out.effect.warnings.push_back(
        "constant on each side, at different values: the standardised difference has no scale");
  }
  return out;
}

FeatureDrift category_drift(const DriftColumn& column) {
  FeatureDrift out;
  out.name = column.name;
  std::size_t levels = 0;
  for (const auto* side : {&column.a, &column.b}) {
    for (const double v : *side) {
      if (v >= 0) levels = std::max(levels, static_cast<std::size_t>(v) + 1);
    }
  }
  MatrixD counts = MatrixD::Zero(2, static_cast<std::ptrdiff_t>(std::max<std::size_t>(1, levels)));
  double present[2] = {0, 0};
  for (int side = 0; side < 2; ++side) {
    for (const double v : side == 0 ? column.a : column.b) {
      if (!(v >= 0)) continue;
      counts(side, static_cast<std::ptrdiff_t>(v)) += 1;
      present[side] += 1;
    }
  }
  out.effect.n = present[0] + present[1];
  out.effect.n_effective = out.effect.n;
  out.effect.method = "total variation distance, distribution-free bounds";
  if (present[0] < 4 || present[1] < 4) {
    out.test = "not tested: fewer than 4 values present";
    return out;
  }
  double distance = 0;
  double seen = 0;
  for (std::ptrdiff_t l = 0; l < counts.cols(); ++l) {
    distance += 0.5 * std::abs(counts(0, l) / present[0] - counts(1, l) / present[1]);
    if (counts(0, l) + counts(1, l) > 0) seen += 1;
  }
  if (seen < 2) {
    out.test = "not tested: constant";
    return out;
  }
  const auto test = stats::chi_square_table(counts);
  base::ensure(test.ok(), "chi_square_table on checked counts");
  out.p_value = test->p_value;
  out.test = "chi-square";
  out.effect.value = distance;
  const double m = present[0];
  const double n = present[1];
  // E|p^ - p|_1 / 2 <= sqrt(levels / m) / 2 (Cauchy-Schwarz), and McDiarmid around it, on each side.
  const auto slack = [=](double c) {
    const double confidence = std::sqrt(std::log(2 / (1 - c)) / 2);
    return (0.5 * std::sqrt(seen) + confidence) * (1 / std::sqrt(m) + 1 / std::sqrt(n));
  };
  out.effect.bounds = stats::make_bounds([=](double c) { return std::optional(std::max(0.0, distance - slack(c))); },
                                         [=](double c) { return std::optional(std::min(1.0, distance + slack(c))); });
  return out;
}

}  // namespace

base::Result<std::vector<FeatureDrift>> feature_drift(std::span<const DriftColumn> columns) {
  if (columns.empty()) return base::make_error(base::Code::kShape, "feature_drift: no features");
  for (const DriftColumn& column : columns) {
    if (column.a.size() < 4 || column.b.size() < 4) {
      return base::make_error(base::Code::kShape,
                              fmt::format("feature_drift: feature '{}' has {} and {} rows, expected at least 4 of each",
                                          column.name, column.a.size(), column.b.size()));
    }
    for (const auto* side : {&column.a, &column.b}) {
      for (const double v : *side) {
        if (std::isinf(v))
          return base::make_error(base::Code::kValue,
                                  fmt::format("feature_drift: feature '{}' holds an infinite number", column.name));
      }
    }
  }
  std::vector<FeatureDrift> features(columns.size());
  PL_CHECK(base::parallel_for(columns.size(), [&](std::size_t j) -> base::Status {
    features[j] = columns[j].category ? category_drift(columns[j]) : number_drift(columns[j]);
    return base::ok();
  }));
  std::vector<double> p_values;
  for (const FeatureDrift& f : features) p_values.push_back(f.p_value);
  PL_TRY(const std::vector<double> adjusted, stats::holm(p_values));
  for (std::size_t j = 0; j < features.size(); ++j) features[j].adjusted_p = adjusted[j];
  return features;
}

stats::Estimate features_moved(std::span<const FeatureDrift> features, double level) {
  const auto count = [&](double alpha) {
    return static_cast<double>(
        std::count_if(features.begin(), features.end(), [&](const FeatureDrift& f) { return f.adjusted_p <= alpha; }));
  };
  stats::Estimate estimate;
  estimate.value = count(level);
  estimate.n = static_cast<double>(features.size());
  estimate.n_effective = estimate.n;
  estimate.unit_of_sampling = "feature";
  estimate.method = fmt::format("features with Holm-adjusted p <= {}", level);
  estimate.assumptions = {"rows are independent within and between the two samples"};
  estimate.bounds = stats::make_bounds([&](double c) { return std::optional(count(1 - c + 1e-12)); },
                                       [](double) { return std::optional<double>(); });
  return estimate;
}

base::Result<stats::Estimate> largest_shift(std::span<const FeatureDrift> features) {
  std::vector<const FeatureDrift*> tested;
  for (const FeatureDrift& f : features) {
    if (f.test == "Kolmogorov-Smirnov" && f.effect.bounds.lower[0]) tested.push_back(&f);
  }
  if (tested.empty()) return base::make_error(base::Code::kShape, "largest_shift: no numeric feature was tested");
  const auto bonferroni = static_cast<double>(tested.size());
  stats::Estimate estimate;
  double rows = 0;
  for (const FeatureDrift* f : tested) {
    estimate.value = std::max(estimate.value, std::abs(f->effect.value));
    rows = std::max(rows, f->effect.n);
  }
  estimate.n = rows;
  estimate.n_effective = rows;
  estimate.method =
      fmt::format("largest absolute standardised mean difference of {} features, Bonferroni bounds", tested.size());
  estimate.assumptions = {"rows are independent within and between the two samples"};
  // Each feature's deviation is read back from its own bound at the first rung.
  const double first_quantile = stats::normal_quantile(stats::kLadder[0]);
  const auto bound = [&](double c, double sign) {
    const double z = stats::normal_quantile(1 - (1 - c) / bonferroni);
    double most = 0;
    for (const FeatureDrift* f : tested) {
      const double deviation = (f->effect.value - *f->effect.bounds.lower[0]) / first_quantile;
      most = std::max(most, std::abs(f->effect.value) + sign * z * deviation);
    }
    return std::optional(most);
  };
  // For |d| the upper bound at c uses both sides of each feature's interval.
  estimate.bounds = stats::make_bounds([&](double c) { return bound(1 - (1 - c) / 2, -1); },
                                       [&](double c) { return bound(1 - (1 - c) / 2, 1); });
  return estimate;
}

base::Result<ImageStatistics> image_statistics(std::span<const std::uint8_t> pixels, std::size_t n, int channels,
                                               int height, int width) {
  PL_CHECK(base::check_at_least("image_statistics", "channels", channels, 1));
  PL_CHECK(base::check_at_least("image_statistics", "height", height, 1));
  PL_CHECK(base::check_at_least("image_statistics", "width", width, 1));
  const std::size_t size =
      static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  PL_CHECK(base::check_size("image_statistics", "pixels", static_cast<std::ptrdiff_t>(pixels.size()),
                            static_cast<std::ptrdiff_t>(n * size)));
  ImageStatistics out;
  out.names = {"brightness", "contrast", "dark share", "bright share", "edge strength"};
  out.values = MatrixD::Zero(static_cast<std::ptrdiff_t>(n), 5);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint8_t* image = pixels.data() + i * size;
    std::uint64_t sum = 0, squares = 0, dark = 0, bright = 0, steps = 0, neighbours = 0;
    for (int c = 0; c < channels; ++c) {
      for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
          const std::size_t at =
              (static_cast<std::size_t>(c) * static_cast<std::size_t>(height) + static_cast<std::size_t>(y)) *
                  static_cast<std::size_t>(width) +
              static_cast<std::size_t>(x);
          const std::uint64_t v = image[at];
          sum += v;
          squares += v * v;
          dark += v < 64 ? 1 : 0;
          bright += v >= 192 ? 1 : 0;
          if (x + 1 < width) {
            steps += static_cast<std::uint64_t>(std::abs(static_cast<int>(v) - static_cast<int>(image[at + 1])));
            ++neighbours;
          }
          if (y + 1 < height) {
            steps += static_cast<std::uint64_t>(
                std::abs(static_cast<int>(v) - static_cast<int>(image[at + static_cast<std::size_t>(width)])));
            ++neighbours;
          }
        }
      }
    }
    const auto count = static_cast<double>(size);
    const double mean = static_cast<double>(sum) / count;
    const auto row = static_cast<std::ptrdiff_t>(i);
    out.values(row, 0) = mean / 255;
    out.values(row, 1) = std::sqrt(std::max(0.0, static_cast<double>(squares) / count - mean * mean)) / 255;
    out.values(row, 2) = static_cast<double>(dark) / count;
    out.values(row, 3) = static_cast<double>(bright) / count;
    out.values(row, 4) = neighbours == 0 ? 0 : static_cast<double>(steps) / static_cast<double>(neighbours) / 255;
  }
  return out;
}

}  // namespace plumbline::robustness
