#include "plumbline/caution/temperature_scaling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::caution {
namespace {

using Outcome = TemperatureFit::Outcome;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::ptrdiff_t kBlock = 1024;  // rows; fixes the order of sums

// One row at beta, with the row's maximum subtracted: loss, E_p[z] - z_y and Var_p[z].
LossShape row_shape(const double* z, std::ptrdiff_t k, int label, double beta) {
  double top = z[0];
  for (std::ptrdiff_t c = 1; c < k; ++c) top = std::max(top, z[c]);
  double mass = 0;
  double first = 0;
  double second = 0;
  for (std::ptrdiff_t c = 0; c < k; ++c) {
    const double shifted = z[c] - top;
    const double weight = std::exp(beta * shifted);
    mass += weight;
    first += weight * shifted;
    second += weight * shifted * shifted;
  }
  const double mean = first / mass;
  const double own = z[label] - top;
  return {std::log(mass) - beta * own, mean - own, std::max(0.0, second / mass - mean * mean)};
}

std::optional<double> beta_to_temperature(double beta) {
  if (beta <= 0) return std::nullopt;
  return 1.0 / beta;
}

}  // namespace

LossShape temperature_loss(MatrixRefD logits, std::span<const int> labels, double beta) {
  const std::ptrdiff_t n = logits.rows();
  const auto blocks = static_cast<std::size_t>((n + kBlock - 1) / kBlock);
  std::vector<double> loss(blocks);
  std::vector<double> slope(blocks);
  std::vector<double> curvature(blocks);
  const auto status = base::parallel_for(blocks, [&](std::size_t b) -> base::Status {
    const auto begin = static_cast<std::ptrdiff_t>(b) * kBlock;
    LossShape sum;
    for (std::ptrdiff_t i = begin; i < std::min(n, begin + kBlock); ++i) {
      const LossShape row = row_shape(logits.row(i).data(), logits.cols(), labels[static_cast<std::size_t>(i)], beta);
      sum.loss += row.loss;
      sum.slope += row.slope;
      sum.curvature += row.curvature;
    }
    loss[b] = sum.loss;
    slope[b] = sum.slope;
    curvature[b] = sum.curvature;
    return base::ok();
  });
  base::ensure(status.ok(), "temperature_loss has no failing block");
  const auto rows = static_cast<double>(n);
  return {base::ordered_sum(loss) / rows, base::ordered_sum(slope) / rows, base::ordered_sum(curvature) / rows};
}

base::Result<TemperatureFit> fit_temperature(MatrixRefD logits, std::span<const int> labels, std::span<const int> units,
                                             const NewtonOptions& options) {
  constexpr auto kName = "fit_temperature";
  PL_CHECK(base::check_at_least(kName, "logits.rows()", logits.rows(), 1));
  PL_CHECK(base::check_at_least(kName, "logits.cols()", logits.cols(), 2));
  PL_CHECK(base::check_size(kName, "labels", std::ssize(labels), logits.rows()));
  for (std::ptrdiff_t i = 0; i < logits.rows(); ++i) {
    const std::span row(logits.row(i).data(), static_cast<std::size_t>(logits.cols()));
    if (const auto finite = base::check_all_finite(kName, "logits row", row); !finite.ok()) {
      return finite.error().at(fmt::format("row {}", i));
    }
  }
  PL_CHECK(base::check_labels(kName, "labels", labels, static_cast<int>(logits.cols())));
  PL_CHECK(base::check_positive(kName, "options.tolerance", options.tolerance));
  PL_TRY(const auto groups, stats::group_units(units, labels.size()));

  TemperatureFit fit;
  fit.n = labels.size();
  fit.units = groups.count();
  fit.loss_before = temperature_loss(logits, labels, 1.0).loss;

  if (const LossShape start = temperature_loss(logits, labels, 0.0); start.slope >= 0) {
    fit.outcome = Outcome::kNoInformation;
    fit.beta = 0;
    fit.temperature = kInfinity;
    fit.loss_after = start.loss;
    return fit;
  }
  bool separable = true;
  double limit = 0;  // loss at beta = infinity when separable: log of the number of maxima
  for (std::ptrdiff_t i = 0; i < logits.rows() && separable; ++i) {
    const double own = logits(i, labels[static_cast<std::size_t>(i)]);
    double ties = 0;
    for (std::ptrdiff_t c = 0; c < logits.cols(); ++c) {
      if (logits(i, c) > own) separable = false;
      if (logits(i, c) == own) ++ties;
    }
    limit += std::log(ties);
  }
  if (separable) {
    fit.outcome = Outcome::kSeparable;
    fit.beta = kInfinity;
    fit.temperature = 0;
    fit.loss_after = limit / static_cast<double>(fit.n);
    return fit;
  }

  // The slope rises with beta, is negative at 0 and positive far out: bracket its root, then Newton, falling back to
  // bisection whenever a step would leave the bracket.
  double low = 0;
  double high = 1;
  while (temperature_loss(logits, labels, high).slope < 0) {
    low = high;
    high *= 2;
    if (!std::isfinite(high)) return base::make_error(base::Code::kLimit, "no finite bracket for beta", kName);
  }
  double beta = low > 0 ? 0.5 * (low + high) : high;
  LossShape shape;
  for (fit.steps = 1; fit.steps <= options.max_steps; ++fit.steps) {
    shape = temperature_loss(logits, labels, beta);
    (shape.slope < 0 ? low : high) = beta;
    double next = 0.5 * (low + high);
    if (shape.curvature > 0) {
      const double newton = beta - shape.slope / shape.curvature;
      if (std::abs(newton - beta) <= options.tolerance * beta) {
        beta = newton;
        break;
      }
      if (newton > low && newton < high) next = newton;
    }
    if (high - low <= options.tolerance * beta) break;
    beta = next;
  }
  if (fit.steps > options.max_steps) {
    return base::make_error(base::Code::kLimit, fmt::format("beta did not settle in {} steps", options.max_steps),
                            kName, "raise options.max_steps or options.tolerance");
  }
  shape = temperature_loss(logits, labels, beta);
  fit.beta = beta;
  fit.temperature = 1.0 / beta;
  fit.loss_after = shape.loss;
  const double information = shape.curvature * static_cast<double>(fit.n);
  if (information > 0) {
    if (groups.count() == fit.n) {
      fit.beta_standard_error = 1.0 / std::sqrt(information);
    } else {
      std::vector<double> squares(groups.count());
      for (std::size_t u = 0; u < groups.count(); ++u) {
        double score = 0;
        for (const std::size_t i : groups.rows_of(u)) {
          score += row_shape(logits.row(static_cast<std::ptrdiff_t>(i)).data(), logits.cols(), labels[i], beta).slope;
        }
        squares[u] = score * score;
      }
      fit.beta_standard_error = std::sqrt(base::ordered_sum(squares)) / information;
    }
  }
  return fit;
}

stats::Estimate TemperatureFit::estimate() const {
  stats::Estimate result;
  result.value = temperature;
  result.n = static_cast<double>(n);
  result.n_effective = static_cast<double>(units);
  result.method =
      units == n ? "wald interval of 1/T (observed information)" : "wald interval of 1/T (sandwich over units)";
  result.assumptions = {"independent units", "calibration rows were not used to train the model"};
  if (outcome == Outcome::kNoInformation)
    result.warnings = {"the logits carry no information about the labels: T is unbounded"};
  if (outcome == Outcome::kSeparable)
    result.warnings = {"every label is already the largest logit of its row: T tends to 0"};
  if (!beta_standard_error) return result;
  const auto at = [&](double sign, double confidence) {
    return beta_to_temperature(beta + sign * stats::normal_quantile(confidence) * *beta_standard_error);
  };
  result.bounds = stats::make_bounds([&](double c) { return at(1, c); }, [&](double c) { return at(-1, c); });
  return result;
}

base::Result<MatrixD> apply_temperature(MatrixRefD logits, double temperature) {
  PL_CHECK(base::check_positive("apply_temperature", "temperature", temperature));
  MatrixD p(logits.rows(), logits.cols());
  for (std::ptrdiff_t i = 0; i < logits.rows(); ++i) {
    const double* z = logits.row(i).data();
    PL_CHECK(
        base::check_all_finite("apply_temperature", "logits", std::span(z, static_cast<std::size_t>(logits.cols()))));
    double top = -kInfinity;
    for (std::ptrdiff_t c = 0; c < logits.cols(); ++c) top = std::max(top, z[c]);
    double mass = 0;
    for (std::ptrdiff_t c = 0; c < logits.cols(); ++c) mass += p(i, c) = std::exp((z[c] - top) / temperature);
    for (std::ptrdiff_t c = 0; c < logits.cols(); ++c) p(i, c) /= mass;
  }
  return p;
}

}  // namespace plumbline::caution
