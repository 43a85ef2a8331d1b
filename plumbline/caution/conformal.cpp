#include "plumbline/caution/conformal.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include <fmt/format.h>
#include <boost/math/distributions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/caution/probabilities.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::caution {
namespace {

using base::Code;

// (n + 1) level is an integer for round levels; a difference this small is rounding, not another rank.
constexpr double kSlack = 1e-9;

bool randomised(ConformalMethod method) { return method == ConformalMethod::kAps || method == ConformalMethod::kRaps; }

// Scores of every class of one row: 1 - p, or mass of the classes ranked before it plus u times its own.
void class_scores(const double* p, int classes, const ConformalOptions& options, double u, std::vector<int>& order,
                  std::vector<double>& scores) {
  const auto k = static_cast<std::size_t>(classes);
  scores.resize(k);
  if (!randomised(options.method)) {
    for (std::size_t c = 0; c < k; ++c) scores[c] = 1.0 - p[c];
    return;
  }
  order.resize(k);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [p](int a, int b) { return p[a] > p[b]; });
  double before = 0;
  for (std::size_t rank = 0; rank < k; ++rank) {
    const auto c = static_cast<std::size_t>(order[rank]);
    scores[c] = before + u * p[c];
    if (options.method == ConformalMethod::kRaps) {
      scores[c] += options.raps_penalty * std::max(0.0, static_cast<double>(rank) + 1.0 - options.raps_free);
    }
    before += p[c];
  }
}

double order_statistic(std::vector<double>& values, std::size_t rank) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

base::Result<double> conformal_p_value(std::span<const double> calibration, double score) {
  PL_TRY(const auto values, conformal_p_values(calibration, std::span(&score, 1)));
  return values.front();
}

base::Result<std::vector<double>> conformal_p_values(std::span<const double> calibration,
                                                     std::span<const double> scores) {
  constexpr auto kName = "conformal_p_values";
  if (calibration.empty())
    return base::make_error(Code::kShape, "calibration is empty, expected at least 1 score", kName);
  PL_CHECK(base::check_all_finite(kName, "calibration", calibration));
  PL_CHECK(base::check_all_finite(kName, "scores", scores));
  std::vector<double> sorted(calibration.begin(), calibration.end());
  std::sort(sorted.begin(), sorted.end());
  const auto n = static_cast<double>(sorted.size());
  std::vector<double> values;
  values.reserve(scores.size());
  for (const double score : scores) {
    const auto at_least = sorted.end() - std::lower_bound(sorted.begin(), sorted.end(), score);
    values.push_back((1.0 + static_cast<double>(at_least)) / (n + 1.0));
  }
  return values;
}

base::Result<double> conformal_p_value_randomised(std::span<const double> calibration, double score, double u) {
  constexpr auto kName = "conformal_p_value_randomised";
  if (calibration.empty())
    return base::make_error(Code::kShape, "calibration is empty, expected at least 1 score", kName);
  PL_CHECK(base::check_all_finite(kName, "calibration", calibration));
  PL_CHECK(base::check_finite(kName, "score", score));
  PL_CHECK(base::check_in(kName, "u", u, 0.0, 1.0));
  double above = 0;
  double equal = 0;
  for (const double c : calibration) {
    if (c > score) ++above;
    if (c == score) ++equal;
  }
  return (above + u * (1.0 + equal)) / (static_cast<double>(calibration.size()) + 1.0);
}

std::optional<std::size_t> conformal_rank(std::size_t n, double level) {
  const double rank = std::ceil((static_cast<double>(n) + 1.0) * level - kSlack);
  if (!(rank >= 1) || rank > static_cast<double>(n)) return std::nullopt;
  return static_cast<std::size_t>(rank);
}

std::size_t conformal_rows_needed(double level) {
  base::ensure(level > 0 && level < 1, "conformal_rows_needed needs a level in (0, 1)");
  auto n = static_cast<std::size_t>(std::max(1.0, std::floor(level / (1.0 - level)) - 1.0));
  while (!conformal_rank(n, level)) ++n;
  return n;
}

double CoverageLaw::mean() const { return static_cast<double>(rank) / (static_cast<double>(n) + 1.0); }

double CoverageLaw::quantile(double p) const {
  const auto k = static_cast<double>(rank);
  return boost::math::quantile(boost::math::beta_distribution<double>(k, static_cast<double>(n) + 1.0 - k), p);
}

double CoverageLaw::count_cdf(std::size_t covered, std::size_t m) const {
  if (covered >= m) return 1.0;
  const auto a = static_cast<double>(rank);
  const double b = static_cast<double>(n) + 1.0 - a;
  const auto total = static_cast<double>(m);
  // P(X = x) = C(m, x) B(a + x, b + m - x) / B(a, b), by the ratio of neighbours from x = 0.
  double log_term = boost::math::lgamma(b + total) - boost::math::lgamma(b) - boost::math::lgamma(a + b + total) +
                    boost::math::lgamma(a + b);
  double sum = std::exp(log_term);
  for (std::size_t x = 0; x < covered; ++x) {
    const auto t = static_cast<double>(x);
    log_term += std::log((total - t) * (a + t) / ((t + 1.0) * (b + total - t - 1.0)));
    sum += std::exp(log_term);
  }
  return std::min(1.0, sum);
}

std::size_t CoverageLaw::count_quantile(double p, std::size_t m) const {
  std::size_t low = 0;
  std::size_t high = m;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (count_cdf(middle, m) >= p) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

base::Result<CoverageLaw> coverage_law(std::size_t n, double level) {
  PL_CHECK(base::check_in_open("coverage_law", "level", level, 0.0, 1.0));
  const auto rank = conformal_rank(n, level);
  if (!rank) {
    return base::make_error(Code::kLimit,
                            fmt::format("{} calibration rows cannot serve level {}: at least {} are needed", n, level,
                                        conformal_rows_needed(level)),
                            "coverage_law");
  }
  return CoverageLaw{n, *rank};
}

std::string_view conformal_method_name(ConformalMethod method) {
  switch (method) {
    case ConformalMethod::kLac: return "lac";
    case ConformalMethod::kMondrian: return "mondrian";
    case ConformalMethod::kAps: return "aps";
    case ConformalMethod::kRaps: return "raps";
  }
  return "lac";
}

base::Result<ConformalMethod> parse_conformal_method(std::string_view word) {
  for (const auto method :
       {ConformalMethod::kLac, ConformalMethod::kMondrian, ConformalMethod::kAps, ConformalMethod::kRaps}) {
    if (word == conformal_method_name(method)) return method;
  }
  return base::make_error(Code::kValue, fmt::format("method is '{}', expected lac, mondrian, aps or raps", word),
                          "parse_conformal_method");
}

base::Result<ConformalModel> fit_conformal(MatrixRefD probabilities, std::span<const int> labels,
                                           const ConformalOptions& options, const base::Rng& rng) {
  constexpr auto kName = "fit_conformal";
  PL_CHECK(check_probabilities(kName, probabilities));
  const auto n = static_cast<std::size_t>(probabilities.rows());
  const auto classes = static_cast<int>(probabilities.cols());
  PL_CHECK(base::check_size(kName, "labels", std::ssize(labels), probabilities.rows()));
  PL_CHECK(base::check_labels(kName, "labels", labels, classes));
  PL_CHECK(base::check_in_open(kName, "level", options.level, 0.0, 1.0));
  PL_CHECK(base::check_in(kName, "raps_penalty", options.raps_penalty, 0.0, 1e6));

  ConformalModel model;
  model.options = options;
  model.classes = classes;
  model.n = n;
  model.rows_needed = conformal_rows_needed(options.level);

  base::Rng draws = rng.fork("conformal");
  std::vector<int> order;
  std::vector<double> row_scores;
  std::vector<double> scores(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double u = randomised(options.method) ? draws.uniform() : 0.0;
    class_scores(probabilities.row(static_cast<std::ptrdiff_t>(i)).data(), classes, options, u, order, row_scores);
    scores[i] = row_scores[static_cast<std::size_t>(labels[i])];
  }

  if (options.method != ConformalMethod::kMondrian) {
    const auto rank = conformal_rank(n, options.level);
    if (!rank) {
      model.outcome = ConformalModel::Outcome::kTooFewRows;
      return model;
    }
    model.thresholds = {order_statistic(scores, *rank)};
    return model;
  }
  std::vector<std::vector<double>> by_class(static_cast<std::size_t>(classes));
  for (std::size_t i = 0; i < n; ++i) by_class[static_cast<std::size_t>(labels[i])].push_back(scores[i]);
  for (int c = 0; c < classes; ++c) {
    auto& own = by_class[static_cast<std::size_t>(c)];
    model.class_rows.push_back(own.size());
    const auto rank = conformal_rank(own.size(), options.level);
    if (!rank) model.always_included.push_back(c);
    model.thresholds.push_back(rank ? order_statistic(own, *rank) : std::numeric_limits<double>::infinity());
  }
  if (static_cast<int>(model.always_included.size()) == classes) model.outcome = ConformalModel::Outcome::kTooFewRows;
  return model;
}

std::size_t PredictionSets::size(std::size_t row) const {
  std::size_t count = 0;
  for (int c = 0; c < classes; ++c) count += contains(row, c) ? 1 : 0;
  return count;
}

base::Result<PredictionSets> predict_sets(const ConformalModel& model, MatrixRefD probabilities, const base::Rng& rng) {
  constexpr auto kName = "predict_sets";
  if (model.outcome != ConformalModel::Outcome::kReady) {
    return base::make_error(
        Code::kValue, fmt::format("model has no threshold: {} calibration rows, {} needed", model.n, model.rows_needed),
        kName);
  }
  PL_CHECK(check_probabilities(kName, probabilities));
  PL_CHECK(base::check_size(kName, "probabilities.cols()", probabilities.cols(), model.classes));
  PredictionSets sets;
  sets.rows = static_cast<std::size_t>(probabilities.rows());
  sets.classes = model.classes;
  sets.member.resize(sets.rows * static_cast<std::size_t>(model.classes));
  base::Rng draws = rng.fork("conformal");
  std::vector<int> order;
  std::vector<double> row_scores;
  for (std::size_t i = 0; i < sets.rows; ++i) {
    const double u = randomised(model.options.method) ? draws.uniform() : 0.0;
    class_scores(probabilities.row(static_cast<std::ptrdiff_t>(i)).data(), model.classes, model.options, u, order,
                 row_scores);
    for (std::size_t c = 0; c < row_scores.size(); ++c) {
      const double threshold = model.thresholds.size() == 1 ? model.thresholds.front() : model.thresholds[c];
      sets.member[i * row_scores.size() + c] = row_scores[c] <= threshold ? 1 : 0;
    }
  }
  return sets;
}

base::Result<SetQuality> judge_sets(const PredictionSets& sets, std::span<const int> labels,
                                    std::span<const int> units) {
  constexpr auto kName = "judge_sets";
  PL_CHECK(base::check_size(kName, "labels", std::ssize(labels), static_cast<std::ptrdiff_t>(sets.rows)));
  PL_CHECK(base::check_at_least(kName, "labels.size()", std::ssize(labels), 2));
  PL_CHECK(base::check_labels(kName, "labels", labels, sets.classes));
  if (!units.empty()) PL_CHECK(base::check_size(kName, "units", std::ssize(units), std::ssize(labels)));
  const auto classes = static_cast<std::size_t>(sets.classes);

  SetQuality quality;
  quality.size_counts.assign(classes + 1, 0);
  std::vector<std::uint8_t> hits(sets.rows);
  std::vector<double> sizes(sets.rows);
  std::vector<std::vector<std::uint8_t>> class_hits(classes);
  std::vector<std::vector<int>> class_units(classes);
  for (std::size_t i = 0; i < sets.rows; ++i) {
    const auto label = static_cast<std::size_t>(labels[i]);
    hits[i] = sets.contains(i, labels[i]) ? 1 : 0;
    sizes[i] = static_cast<double>(sets.size(i));
    ++quality.size_counts[sets.size(i)];
    class_hits[label].push_back(hits[i]);
    if (!units.empty()) class_units[label].push_back(units[i]);
    if (hits[i] == 0) quality.missed.push_back(i);
  }
  quality.empty_share = static_cast<double>(quality.size_counts[0]) / static_cast<double>(sets.rows);
  PL_TRY(quality.coverage, stats::proportion(hits, units));
  PL_TRY(quality.size, stats::mean(sizes, units));
  if (!quality.size.bounds.lower[0] && units.empty()) {
    PL_TRY(quality.size, stats::empirical_bernstein(sizes, 0.0, static_cast<double>(classes)));
  }

  std::size_t present = 0;
  for (const auto& own : class_hits) present += own.empty() ? 0 : 1;
  stats::Estimate& worst = quality.worst_class;
  worst.value = 2;
  worst.n = static_cast<double>(sets.rows);
  worst.n_effective = quality.coverage.n_effective;
  worst.unit_of_sampling = quality.coverage.unit_of_sampling;
  worst.method = "smallest of the classes' exact bounds, shared level (Bonferroni)";
  worst.assumptions = quality.coverage.assumptions;
  std::vector<stats::Estimate> judged;
  for (std::size_t c = 0; c < classes; ++c) {
    const auto& own = class_hits[c];
    quality.class_rows.push_back(own.size());
    if (own.empty()) {
      quality.class_coverage.push_back(std::numeric_limits<double>::quiet_NaN());
      worst.warnings.push_back(fmt::format("class {} has no row here", c));
      continue;
    }
    const double coverage =
        static_cast<double>(std::count(own.begin(), own.end(), 1)) / static_cast<double>(own.size());
    quality.class_coverage.push_back(coverage);
    if (coverage < worst.value) {
      worst.value = coverage;
      quality.worst = static_cast<int>(c);
    }
    const auto estimate = stats::proportion(own, class_units[c]);
    if (estimate.ok()) {
      judged.push_back(*estimate);
    } else {
      worst.warnings.push_back(fmt::format("class {} has too few units for a bound", c));
    }
  }
  for (std::size_t r = 0; r < stats::kLadder.size(); ++r) {
    const auto shared = stats::rung_at_or_above(1.0 - (1.0 - stats::kLadder[r]) / static_cast<double>(present));
    if (!shared || judged.empty()) continue;
    double low = judged.size() == present ? 1.0 : 0.0;
    double high = 1.0;
    for (const auto& estimate : judged) {
      low = std::min(low, estimate.bounds.lower[*shared].value_or(0.0));
      high = std::min(high, estimate.bounds.upper[*shared].value_or(1.0));
    }
    worst.bounds.lower[r] = low;
    worst.bounds.upper[r] = high;
  }
  return quality;
}

}  // namespace plumbline::caution
