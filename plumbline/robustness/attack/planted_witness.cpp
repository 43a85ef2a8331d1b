#include "plumbline/robustness/attack/planted_witness.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::robustness {

namespace {

/// Scores 0 and factor (w phi - threshold).
class WitnessTarget final : public Target {
 public:
  WitnessTarget(const Target& features, std::vector<double> weights, double threshold, double factor)
      : features_(features), weights_(std::move(weights)), threshold_(threshold), factor_(factor) {}

  std::size_t inputs() const override { return features_.inputs(); }
  std::size_t classes() const override { return 2; }
  bool has_gradient() const override { return features_.has_gradient(); }
  bool random() const override { return features_.random(); }
  bool concurrent() const override { return features_.concurrent(); }
  std::size_t evaluations() const override { return features_.evaluations(); }
  const Affine* layer() const override { return features_.layer(); }

  base::Result<Pass> forward(std::span<const double> rows, std::size_t count,
                             std::span<const base::Rng> noise) const override {
    PL_TRY(Pass pass, features_.forward(rows, count, noise));
    const std::size_t f = weights_.size();
    Pass out;
    out.count = count;
    for (std::size_t r = 0; r < count; ++r) {
      out.scores.push_back(0);
      out.scores.push_back(factor_ * (project(std::span(pass.scores).subspan(r * f, f)) - threshold_));
    }
    out.draws.push_back(std::move(pass));
    return out;
  }

  base::Result<std::vector<double>> backward(const Pass& pass, std::span<const double> seeds) const override {
    const std::size_t f = weights_.size();
    std::vector<double> inner(pass.count * f);
    for (std::size_t i = 0; i < inner.size(); ++i) inner[i] = factor_ * seeds[2 * (i / f) + 1] * weights_[i % f];
    return features_.backward(pass.draws[0], inner);
  }

  double project(std::span<const double> phi) const {
    double sum = 0;
    for (std::size_t i = 0; i < phi.size(); ++i) sum += weights_[i] * phi[i];
    return sum;
  }

 private:
  const Target& features_;
  std::vector<double> weights_;
  double threshold_, factor_;
};

/// The readout that tells one point of the surface from all others; nothing where no point can be told.
struct Readout {
  std::vector<double> weights;
  double threshold = 0;
  double at_example = 0;
};

/// Ridge regression of "is point c" on the features, in its dual form: weights sum_p a_p (phi_p - mean) with
/// (K + ridge) a = e_c. Of all points of the surface the one that stands out most.
base::Result<std::optional<Readout>> separate(std::span<const double> phi, std::size_t f, std::size_t points,
                                              std::size_t outer, double slack) {
  const auto n = static_cast<std::ptrdiff_t>(points);
  MatrixD centred(n, static_cast<std::ptrdiff_t>(f));
  for (std::size_t i = 0; i < f; ++i) {
    double mean = 0;
    for (std::size_t p = 0; p < points; ++p) mean += phi[p * f + i] / static_cast<double>(points);
    for (std::size_t p = 0; p < points; ++p)
      centred(static_cast<std::ptrdiff_t>(p), static_cast<std::ptrdiff_t>(i)) = phi[p * f + i] - mean;
  }
  PL_TRY(MatrixD kernel, stats::product_transposed(centred, centred));
  double trace = 0;
  for (std::ptrdiff_t p = 0; p < n; ++p) trace += kernel(p, p);
  if (!(trace > 0) || !std::isfinite(trace)) return std::optional<Readout>();  // flat: the features do not see the ball
  MatrixD ridged = kernel;
  for (std::ptrdiff_t p = 0; p < n; ++p) ridged(p, p) += 1e-3 * trace / static_cast<double>(points);
  PL_TRY(const stats::Cholesky factor, stats::Cholesky::factor(ridged));
  const MatrixD inverse = factor.inverse();
  PL_TRY(const MatrixD values, stats::product_transposed(kernel, inverse));  // of every point under every readout
  std::ptrdiff_t best = -1;
  double most = 1e-6;
  double step = 0;  // between the witness and the next point
  for (std::ptrdiff_t c = n - static_cast<std::ptrdiff_t>(outer); c < n; ++c) {
    double next = -std::numeric_limits<double>::infinity();
    for (std::ptrdiff_t p = 0; p < n; ++p) next = p == c ? next : std::max(next, values(p, c));
    const double gap = values(c, c) - next;
    const double way = values(c, c) - values(0, c);
    if (!(way > 0 && gap > most * way)) continue;
    most = gap / way;
    step = gap;
    best = c;
  }
  if (best < 0) return std::optional<Readout>();
  Readout out;
  out.weights.assign(f, 0.0);
  for (std::ptrdiff_t q = 0; q < n; ++q) {
    for (std::size_t i = 0; i < f; ++i) out.weights[i] += inverse(q, best) * centred(q, static_cast<std::ptrdiff_t>(i));
  }
  // By the features themselves: the readout of the altered model does not centre them.
  const auto read = [&](std::size_t p) {
    double value = 0;
    for (std::size_t i = 0; i < f; ++i) value += out.weights[i] * phi[p * f + i];
    return value;
  };
  out.at_example = read(0);
  out.threshold = read(static_cast<std::size_t>(best)) - slack * step;
  return std::optional(std::move(out));
}

}  // namespace

Network features_of(const Network& network) {
  Network out = network;
  if (out.steps.back().kind != StepKind::kAffine) return out;
  out.steps.resize(out.steps.back().from[0] + 1);
  return out;
}

base::Result<std::vector<WitnessResult>> test_attacks(const Target& features, const AttackSetting& setting,
                                                      std::span<const AttackCase> cases,
                                                      std::span<const double> margins, std::span<const Attack> attacks,
                                                      std::uint64_t seed, const WitnessOptions& options) {
  PL_CHECK(check_setting(setting, cases));
  PL_CHECK(base::check_size("test_attacks", "margins", std::ssize(margins), std::ssize(cases)));
  PL_CHECK(base::check_size("test_attacks", "inputs of the features", static_cast<std::ptrdiff_t>(features.inputs()),
                            static_cast<std::ptrdiff_t>(setting.target->inputs())));
  PL_CHECK(base::check_at_least("test_attacks", "outer", options.outer, 1));
  const std::size_t n = features.inputs();
  const std::size_t f = features.classes();
  const auto inner = static_cast<std::size_t>(options.inner);
  const auto outer = static_cast<std::size_t>(options.outer);
  const base::Rng rng(seed, {"witness"});
  std::vector<WitnessResult> results;
  for (std::size_t c = 0; c < cases.size(); ++c) {
    PL_CHECK(setting.cancel.status());
    WitnessResult result;
    result.id = cases[c].id;
    const Region region{.norm = setting.threat->norm,
                        .centre = {cases[c].x.begin(), cases[c].x.end()},
                        .epsilon = setting.threat->epsilon,
                        .low = setting.threat->low,
                        .high = setting.threat->high,
                        .unit = {}};
    base::Rng own = rng.fork(cases[c].id);
    const std::size_t points = 1 + inner + outer;
    std::vector<double> rows(points * n);
    std::copy(cases[c].x.begin(), cases[c].x.end(), rows.begin());
    for (std::size_t p = 1; p < points; ++p) {
      const auto row = std::span(rows).subspan(p * n, n);
      if (p <= inner) {
        uniform_in(region, own, row);
      } else {
        std::vector<double> direction(n);
        for (double& d : direction) d = own.normal();
        far_along(region, direction, own, row);
      }
    }
    std::vector<base::Rng> noise;
    for (std::size_t p = 0; p < points && features.random(); ++p) noise.push_back(own.fork(p));
    PL_TRY(const Pass pass, features.forward(rows, points, noise));
    PL_TRY(std::optional<Readout> readout, separate(pass.scores, f, points, outer, options.slack));
    if (!readout || !(margins[c] > 0)) {
      results.push_back(result);
      continue;
    }
    result.planted = true;
    const double factor = margins[c] / (readout->threshold - readout->at_example);
    const WitnessTarget altered(features, std::move(readout->weights), readout->threshold, factor);
    AttackSetting there = setting;
    there.target = &altered;
    const AttackCase example{.x = cases[c].x, .label = 0, .id = cases[c].id};
    std::vector<Attack> trusted(attacks.begin(), attacks.end());
    std::erase_if(trusted, [](const Attack& attack) { return attack.kind == AttackKind::kControl; });
    std::vector<ExampleRecord> noise_alone, records;
    const std::vector<Attack> control = {random_noise(30)};
    PL_CHECK(run_suite(there, std::span(&example, 1), control, seed, {}, noise_alone));
    PL_CHECK(run_suite(there, std::span(&example, 1), trusted, seed, {}, records));
    result.by_noise = noise_alone[0].fallen(setting.threat->epsilon);
    result.found = records[0].fallen(setting.threat->epsilon);
    result.by = records[0].by;
    results.push_back(result);
  }
  return results;
}

WitnessVerdict judge_witnesses(std::span<const WitnessResult> results) {
  WitnessVerdict verdict;
  for (const WitnessResult& result : results) {
    if (!result.planted) continue;
    ++verdict.planted;
    verdict.found += result.found ? 1 : 0;
    if (result.by_noise) continue;
    ++verdict.hard;
    verdict.found_hard += result.found ? 1 : 0;
  }
  verdict.passed =
      verdict.planted > 0 && 10 * verdict.found >= 9 * verdict.planted && 10 * verdict.found_hard >= 9 * verdict.hard;
  return verdict;
}

}  // namespace plumbline::robustness
