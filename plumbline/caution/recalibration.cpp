#include "plumbline/caution/recalibration.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/caution/probabilities.hpp"
#include "plumbline/caution/temperature_scaling.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::caution {
namespace {

double sigmoid(double z) { return z >= 0 ? 1.0 / (1.0 + std::exp(-z)) : std::exp(z) / (1.0 + std::exp(z)); }

// ln(1 + e^z) without overflow.
double softplus(double z) { return z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z)); }

// Log odds of class c: z_c - ln sum of the other exponentials, cut to +-36 where a double's 1 - p ends.
double log_odds(const double* z, std::ptrdiff_t classes, std::ptrdiff_t c) {
  double top = -1e308;
  for (std::ptrdiff_t j = 0; j < classes; ++j) top = j == c ? top : std::max(top, z[j]);
  double mass = 0;
  for (std::ptrdiff_t j = 0; j < classes; ++j) mass += j == c ? 0.0 : std::exp(z[j] - top);
  return std::clamp(z[c] - top - std::log(mass), -36.0, 36.0);
}

// Mean y of each run of equal x, ascending in x.
struct Runs {
  std::vector<double> x;
  std::vector<double> sum;
  std::vector<double> weight;
};

Runs runs_of(std::span<const double> x, std::span<const double> y) {
  Runs runs;
  for (const std::size_t i : stats::sort_order(x)) {
    if (runs.x.empty() || runs.x.back() != x[i]) {
      runs.x.push_back(x[i]);
      runs.sum.push_back(0);
      runs.weight.push_back(0);
    }
    runs.sum.back() += y[i];
    runs.weight.back() += 1;
  }
  return runs;
}

base::Status check_pairs(std::string_view function, std::span<const double> x, std::span<const double> y) {
  PL_CHECK(base::check_at_least(function, "x.size()", std::ssize(x), 1));
  PL_CHECK(base::check_size(function, "y", std::ssize(y), std::ssize(x)));
  PL_CHECK(base::check_all_finite(function, "x", x));
  return base::check_all_finite(function, "y", y);
}

}  // namespace

double PlattFit::apply(double score) const { return sigmoid(slope * score + intercept); }

base::Result<PlattFit> fit_platt(std::span<const double> scores, std::span<const int> outcomes) {
  constexpr auto kName = "fit_platt";
  PL_CHECK(base::check_at_least(kName, "scores.size()", std::ssize(scores), 1));
  PL_CHECK(base::check_size(kName, "outcomes", std::ssize(outcomes), std::ssize(scores)));
  PL_CHECK(base::check_all_finite(kName, "scores", scores));
  PL_CHECK(base::check_labels(kName, "outcomes", outcomes, 2));
  const auto n = static_cast<double>(scores.size());
  const auto events = static_cast<double>(std::count(outcomes.begin(), outcomes.end(), 1));
  const double target_event = (events + 1.0) / (events + 2.0);
  const double target_rest = 1.0 / (n - events + 2.0);
  const auto target = [&](std::size_t i) { return outcomes[i] == 1 ? target_event : target_rest; };

  // Work on standardised scores, so that the same steps serve any scale.
  const stats::Moments moments = stats::moments(scores);
  const double scale = moments.variance > 0 ? std::sqrt(moments.variance) : 1.0;
  const auto standard = [&](std::size_t i) { return (scores[i] - moments.mean) / scale; };
  const auto loss = [&](double slope, double intercept) {
    double sum = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const double z = slope * standard(i) + intercept;
      sum += softplus(z) - target(i) * z;
    }
    return sum / n;
  };

  double slope = 0;
  double intercept = std::log((events + 1.0) / (n - events + 1.0));
  double current = loss(slope, intercept);
  PlattFit fit;
  for (fit.steps = 1; fit.steps <= 100; ++fit.steps) {
    double g1 = 0, g0 = 0, h11 = 0, h10 = 0, h00 = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const double s = standard(i);
      const double p = sigmoid(slope * s + intercept);
      const double residual = p - target(i);
      const double weight = p * (1.0 - p);
      g1 += residual * s;
      g0 += residual;
      h11 += weight * s * s;
      h10 += weight * s;
      h00 += weight;
    }
    if (std::max(std::abs(g1), std::abs(g0)) <= 1e-12 * n) break;
    const double ridge = 1e-12 * n;
    h11 += ridge;
    h00 += ridge;
    const double determinant = h11 * h00 - h10 * h10;
    const double step_slope = -(h00 * g1 - h10 * g0) / determinant;
    const double step_intercept = -(h11 * g0 - h10 * g1) / determinant;
    const double descent = (g1 * step_slope + g0 * step_intercept) / n;
    double length = 1.0;
    double trial = loss(slope + step_slope, intercept + step_intercept);
    while (trial > current + 1e-4 * length * descent + 1e-15 && length > 1e-10) {
      length *= 0.5;
      trial = loss(slope + length * step_slope, intercept + length * step_intercept);
    }
    slope += length * step_slope;
    intercept += length * step_intercept;
    current = trial;
  }
  if (fit.steps > 100) return base::make_error(base::Code::kLimit, "the sigmoid did not settle in 100 steps", kName);
  fit.slope = slope / scale;
  fit.intercept = intercept - slope * moments.mean / scale;
  return fit;
}

double IsotonicFit::apply(double value) const {
  if (value <= x.front()) return y.front();
  if (value >= x.back()) return y.back();
  const auto right = static_cast<std::size_t>(std::upper_bound(x.begin(), x.end(), value) - x.begin());
  const double span = x[right] - x[right - 1];
  return y[right - 1] + (y[right] - y[right - 1]) * (value - x[right - 1]) / span;
}

base::Result<IsotonicFit> fit_isotonic(std::span<const double> x, std::span<const double> y) {
  PL_CHECK(check_pairs("fit_isotonic", x, y));
  const Runs runs = runs_of(x, y);
  struct Block {
    double sum;
    double weight;
    std::size_t first;
    std::size_t last;
    double mean() const { return sum / weight; }
  };
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < runs.x.size(); ++i) {
    blocks.push_back({runs.sum[i], runs.weight[i], i, i});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].mean() >= blocks.back().mean()) {
      const Block right = blocks.back();
      blocks.pop_back();
      blocks.back().sum += right.sum;
      blocks.back().weight += right.weight;
      blocks.back().last = right.last;
    }
  }
  IsotonicFit fit;
  for (const Block& block : blocks) {
    fit.x.push_back(runs.x[block.first]);
    fit.y.push_back(block.mean());
    if (block.last > block.first) {
      fit.x.push_back(runs.x[block.last]);
      fit.y.push_back(block.mean());
    }
  }
  return fit;
}

double HistogramFit::apply(double value) const {
  return values[static_cast<std::size_t>(std::upper_bound(edges.begin(), edges.end(), value) - edges.begin())];
}

base::Result<HistogramFit> fit_histogram(std::span<const double> x, std::span<const double> y, int bins) {
  PL_CHECK(check_pairs("fit_histogram", x, y));
  PL_CHECK(base::check_at_least("fit_histogram", "bins", bins, 1));
  const Runs runs = runs_of(x, y);
  const double each = static_cast<double>(x.size()) / bins;
  HistogramFit fit;
  double sum = 0;
  double weight = 0;
  double before = 0;  // rows in finished bins
  for (std::size_t i = 0; i < runs.x.size(); ++i) {
    sum += runs.sum[i];
    weight += runs.weight[i];
    const bool last = i + 1 == runs.x.size();
    // A bin closes when the rows so far reach the next multiple of the bin's share.
    if (last || before + weight >= each * static_cast<double>(fit.values.size() + 1)) {
      fit.values.push_back(sum / weight);
      if (!last) fit.edges.push_back(0.5 * (runs.x[i] + runs.x[i + 1]));
      before += weight;
      sum = 0;
      weight = 0;
    }
  }
  return fit;
}

std::string_view recalibrator_name(RecalibratorKind kind) {
  switch (kind) {
    case RecalibratorKind::kTemperature: return "temperature";
    case RecalibratorKind::kPlatt: return "platt";
    case RecalibratorKind::kIsotonic: return "isotonic";
    case RecalibratorKind::kHistogram: return "histogram";
  }
  return "temperature";
}

base::Result<MatrixD> log_probabilities(MatrixRefD probabilities, double floor) {
  PL_CHECK(check_probabilities("log_probabilities", probabilities));
  PL_CHECK(base::check_in_open("log_probabilities", "floor", floor, 0.0, 1.0));
  MatrixD logs(probabilities.rows(), probabilities.cols());
  for (std::ptrdiff_t i = 0; i < logs.rows(); ++i) {
    for (std::ptrdiff_t c = 0; c < logs.cols(); ++c) logs(i, c) = std::log(std::max(floor, probabilities(i, c)));
  }
  return logs;
}

base::Result<Recalibrator> fit_recalibrator(RecalibratorKind kind, MatrixRefD logits, std::span<const int> labels,
                                            int histogram_bins) {
  Recalibrator map;
  map.kind = kind;
  map.classes = static_cast<int>(logits.cols());
  map.n = labels.size();
  // Also guards shapes, labels and values for the other kinds.
  PL_TRY(const auto temperature, fit_temperature(logits, labels));
  if (kind == RecalibratorKind::kTemperature) {
    map.temperature = temperature.temperature;
    if (temperature.outcome == TemperatureFit::Outcome::kNoInformation)
      map.outcome = Recalibrator::Outcome::kNoInformation;
    if (temperature.outcome == TemperatureFit::Outcome::kSeparable) map.outcome = Recalibrator::Outcome::kSeparable;
    return map;
  }
  const double edge = 1.0 / (static_cast<double>(labels.size()) + 2.0);
  std::vector<double> odds(labels.size());
  std::vector<double> stated(labels.size());
  std::vector<int> outcome(labels.size());
  std::vector<double> graded(labels.size());
  for (std::ptrdiff_t c = map.classes == 2 ? 1 : 0; c < map.classes; ++c) {
    for (std::size_t i = 0; i < labels.size(); ++i) {
      odds[i] = log_odds(logits.row(static_cast<std::ptrdiff_t>(i)).data(), logits.cols(), c);
      stated[i] = sigmoid(odds[i]);
      outcome[i] = labels[i] == c ? 1 : 0;
      graded[i] = outcome[i];
    }
    if (kind == RecalibratorKind::kPlatt) {
      PL_TRY(const auto fit, fit_platt(odds, outcome));
      map.platt.push_back(fit);
    } else if (kind == RecalibratorKind::kIsotonic) {
      PL_TRY(auto fit, fit_isotonic(stated, graded));
      for (double& value : fit.y) value = std::clamp(value, edge, 1.0 - edge);
      map.isotonic.push_back(std::move(fit));
    } else {
      PL_TRY(auto fit, fit_histogram(stated, graded, histogram_bins));
      for (double& value : fit.values) value = std::clamp(value, edge, 1.0 - edge);
      map.histogram.push_back(std::move(fit));
    }
  }
  return map;
}

base::Result<MatrixD> Recalibrator::apply(MatrixRefD logits) const {
  constexpr auto kName = "Recalibrator::apply";
  PL_CHECK(base::check_size(kName, "logits.cols()", logits.cols(), classes));
  if (outcome == Outcome::kSeparable) {
    return base::make_error(base::Code::kValue,
                            "every calibration label is already the largest logit: no finite temperature", kName);
  }
  if (outcome == Outcome::kNoInformation) {
    return MatrixD(MatrixD::Constant(logits.rows(), logits.cols(), 1.0 / static_cast<double>(classes)));
  }
  if (kind == RecalibratorKind::kTemperature) return apply_temperature(logits, temperature);
  MatrixD p(logits.rows(), logits.cols());
  for (std::ptrdiff_t i = 0; i < logits.rows(); ++i) {
    const double* z = logits.row(i).data();
    PL_CHECK(base::check_all_finite(kName, "logits", std::span(z, static_cast<std::size_t>(logits.cols()))));
    const auto mapped = [&](std::ptrdiff_t c, std::size_t map) {
      const double odds = log_odds(z, logits.cols(), c);
      if (kind == RecalibratorKind::kPlatt) return platt[map].apply(odds);
      if (kind == RecalibratorKind::kIsotonic) return isotonic[map].apply(sigmoid(odds));
      return histogram[map].apply(sigmoid(odds));
    };
    if (classes == 2) {
      p(i, 1) = mapped(1, 0);
      p(i, 0) = 1.0 - p(i, 1);
      continue;
    }
    double total = 0;
    for (std::ptrdiff_t c = 0; c < logits.cols(); ++c) total += p(i, c) = mapped(c, static_cast<std::size_t>(c));
    for (std::ptrdiff_t c = 0; c < logits.cols(); ++c) {
      p(i, c) = total > 0 ? p(i, c) / total : 1.0 / static_cast<double>(classes);
    }
  }
  return p;
}

base::Result<RecalibrationGain> judge_recalibrator(const Recalibrator& map, MatrixRefD logits,
                                                   std::span<const int> labels, std::span<const int> units,
                                                   const CalibrationOptions& options) {
  PL_TRY(const MatrixD mapped, map.apply(logits));
  PL_TRY(const MatrixD given, apply_temperature(logits, 1.0));
  PL_TRY(const auto before, log_loss_rows(given, labels));
  PL_TRY(const auto after, log_loss_rows(mapped, labels));
  std::vector<double> drop(labels.size());
  for (std::size_t i = 0; i < drop.size(); ++i) drop[i] = before[i] - after[i];
  RecalibrationGain result;
  PL_TRY(result.gain, stats::mean(drop, units));
  PL_TRY(result.after, top_label_calibration(mapped, labels, units, options));
  return result;
}

}  // namespace plumbline::caution
