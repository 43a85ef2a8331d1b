#include "plumbline/reward/inverse_reward_design.hpp"

#include <algorithm>
#include <cmath>

#include "plumbline/base/guard.hpp"

namespace plumbline::reward {
namespace {

/// Rewards are planned for in groups of this many, side by side.
constexpr std::size_t kLanes = 16;

base::Status check_rows(std::string_view name, MatrixRefD rows) {
  for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
    PL_CHECK(base::check_all_finite("inverse_reward_design", name,
                                    std::span(rows.row(i).data(), static_cast<std::size_t>(rows.cols()))));
  }
  return base::ok();
}

double inner(const double* a, const double* b, std::ptrdiff_t n) {
  double sum = 0;
  for (std::ptrdiff_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

base::Result<MatrixD> collected_features(const world::Process& process, MatrixRefD features, MatrixRefD weights) {
  PL_CHECK(world::validate(process));
  PL_CHECK(base::check_at_least("collected_features", "horizon", process.horizon, 1));
  PL_CHECK(base::check_size("collected_features", "features", features.rows(),
                            static_cast<std::ptrdiff_t>(process.pairs())));
  PL_CHECK(base::check_at_least("collected_features", "weights", weights.rows(), 1));
  PL_CHECK(base::check_size("collected_features", "columns of weights", weights.cols(), features.cols()));
  PL_CHECK(check_rows("features", features));
  PL_CHECK(check_rows("weights", weights));

  const std::ptrdiff_t k = features.cols();
  const std::size_t states = process.states;
  const std::uint32_t actions = process.actions;
  const auto horizon = static_cast<std::size_t>(process.horizon);
  MatrixD collected = MatrixD::Zero(weights.rows(), k);
  std::vector<double> reward(process.pairs() * kLanes);
  std::vector<double> value((states + 1) * kLanes);
  std::vector<double> earlier((states + 1) * kLanes);
  std::vector<std::uint32_t> choice(horizon * states * kLanes);
  std::vector<double> here(states + 1);
  std::vector<double> there(states + 1);
  for (std::ptrdiff_t from = 0; from < weights.rows(); from += kLanes) {
    const std::size_t lanes = std::min<std::size_t>(kLanes, static_cast<std::size_t>(weights.rows() - from));
    for (std::size_t pair = 0; pair < process.pairs(); ++pair) {
      const double* phi = features.row(static_cast<std::ptrdiff_t>(pair)).data();
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const std::ptrdiff_t row = from + static_cast<std::ptrdiff_t>(std::min(lane, lanes - 1));
        reward[pair * kLanes + lane] = inner(phi, weights.row(row).data(), k);
      }
    }
    std::fill(value.begin(), value.end(), 0.0);
    std::fill(earlier.begin(), earlier.end(), 0.0);
    for (std::size_t t = horizon; t-- > 0;) {
      for (std::size_t s = 0; s < states; ++s) {
        double best[kLanes];
        std::uint64_t chosen[kLanes] = {};
        for (std::uint32_t a = 0; a < actions; ++a) {
          const std::size_t pair = s * actions + a;
          double q[kLanes];
          for (std::size_t lane = 0; lane < kLanes; ++lane) q[lane] = reward[pair * kLanes + lane];
          for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
            const double p = process.probability[i];
            const double* next = value.data() + std::size_t{process.next[i]} * kLanes;
            for (std::size_t lane = 0; lane < kLanes; ++lane) q[lane] += p * next[lane];
          }
          for (std::size_t lane = 0; lane < kLanes; ++lane) {
            const bool better = a == 0 || q[lane] > best[lane];
            best[lane] = better ? q[lane] : best[lane];
            chosen[lane] = better ? a : chosen[lane];
          }
        }
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          earlier[s * kLanes + lane] = best[lane];
          choice[(t * states + s) * kLanes + lane] = static_cast<std::uint32_t>(chosen[lane]);
        }
      }
      std::swap(value, earlier);
    }
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      double* sum = collected.row(from + static_cast<std::ptrdiff_t>(lane)).data();
      std::copy(process.initial.begin(), process.initial.end(), here.begin());
      here[states] = 0;
      for (std::size_t t = 0; t < horizon; ++t) {
        std::fill(there.begin(), there.end(), 0.0);
        for (std::size_t s = 0; s < states; ++s) {
          if (here[s] == 0) continue;
          const std::size_t pair = s * actions + choice[(t * states + s) * kLanes + lane];
          const double* phi = features.row(static_cast<std::ptrdiff_t>(pair)).data();
          for (std::ptrdiff_t f = 0; f < k; ++f) sum[f] += here[s] * phi[f];
          for (std::uint64_t i = process.first[pair]; i < process.first[pair + 1]; ++i) {
            there[process.next[i]] += here[s] * process.probability[i];
          }
        }
        std::swap(here, there);
      }
    }
  }
  return collected;
}

base::Result<DesignPosterior> inverse_reward_design(const world::Process& design, MatrixRefD features,
                                                    std::span<const double> proxy, MatrixRefD candidates, double beta) {
  PL_CHECK(base::check_finite("inverse_reward_design", "beta", beta));
  PL_CHECK(base::check_in("inverse_reward_design", "beta", beta, 0, 1e300));
  PL_CHECK(
      base::check_size("inverse_reward_design", "proxy", static_cast<std::ptrdiff_t>(proxy.size()), features.cols()));
  PL_CHECK(base::check_all_finite("inverse_reward_design", "proxy", proxy));
  PL_CHECK(base::check_size("inverse_reward_design", "columns of candidates", candidates.cols(), features.cols()));
  const std::ptrdiff_t n = candidates.rows();
  const std::ptrdiff_t k = features.cols();
  // The proxy is one of the rewards that might have been written: the last row.
  MatrixD written(n + 1, k);
  written.topRows(n) = candidates;
  for (std::ptrdiff_t f = 0; f < k; ++f) written(n, f) = proxy[static_cast<std::size_t>(f)];
  PL_TRY(const MatrixD collected, collected_features(design, features, written));

  DesignPosterior posterior;
  posterior.weights = candidates;
  posterior.horizon = design.horizon;
  posterior.collected.assign(collected.row(n).data(), collected.row(n).data() + k);
  posterior.probability.resize(static_cast<std::size_t>(n));
  std::vector<double> score(static_cast<std::size_t>(n) + 1);
  double top = 0;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const double* w = candidates.row(i).data();
    double best = 0;
    for (std::ptrdiff_t j = 0; j <= n; ++j) {
      score[static_cast<std::size_t>(j)] = beta * inner(w, collected.row(j).data(), k);
      best = j == 0 ? score[0] : std::max(best, score[static_cast<std::size_t>(j)]);
    }
    double sum = 0;
    for (const double s : score) sum += s - best > -40 ? std::exp(s - best) : 0;
    double& log_p = posterior.probability[static_cast<std::size_t>(i)];
    log_p = score.back() - best - std::log(sum);
    top = i == 0 ? log_p : std::max(top, log_p);
  }
  double total = 0;
  for (double& p : posterior.probability) total += p = std::exp(p - top);
  double square = 0;
  for (double& p : posterior.probability) {
    p /= total;
    square += p * p;
  }
  posterior.effective_size = 1 / square;
  return posterior;
}

MatrixD uniform_candidates(std::ptrdiff_t n, std::ptrdiff_t k, double size, base::Rng& rng) {
  MatrixD candidates(n, k);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t f = 0; f < k; ++f) candidates(i, f) = rng.uniform(-size, size);
  }
  return candidates;
}

MatrixD draw_weights(const DesignPosterior& posterior, std::ptrdiff_t m, base::Rng& rng) {
  MatrixD drawn(m, posterior.weights.cols());
  for (std::ptrdiff_t i = 0; i < m; ++i) {
    double u = rng.uniform();
    std::size_t j = 0;
    while (j + 1 < posterior.probability.size() && (u -= posterior.probability[j]) >= 0) ++j;
    drawn.row(i) = posterior.weights.row(static_cast<std::ptrdiff_t>(j));
  }
  return drawn;
}

base::Result<decision::RewardPosterior> rewards_over(const DesignPosterior& posterior, MatrixRefD features) {
  PL_CHECK(base::check_size("rewards_over", "columns of features", features.cols(), posterior.weights.cols()));
  decision::RewardPosterior result;
  result.rewards.resize(posterior.weights.rows(), features.rows());
  for (std::ptrdiff_t i = 0; i < posterior.weights.rows(); ++i) {
    for (std::ptrdiff_t pair = 0; pair < features.rows(); ++pair) {
      result.rewards(i, pair) = inner(posterior.weights.row(i).data(), features.row(pair).data(), features.cols());
    }
  }
  result.probability = posterior.probability;
  result.source = "inverse reward design (" + std::to_string(posterior.weights.rows()) + " candidates)";
  return result;
}

base::Result<std::vector<double>> cautious_reward(MatrixRefD features, MatrixRefD weights,
                                                  std::span<const double> baseline) {
  PL_CHECK(base::check_at_least("cautious_reward", "weights", weights.rows(), 1));
  PL_CHECK(base::check_size("cautious_reward", "columns of weights", weights.cols(), features.cols()));
  PL_CHECK(
      base::check_size("cautious_reward", "baseline", static_cast<std::ptrdiff_t>(baseline.size()), features.cols()));
  PL_CHECK(base::check_all_finite("cautious_reward", "baseline", baseline));
  PL_CHECK(check_rows("features", features));
  PL_CHECK(check_rows("weights", weights));
  std::vector<double> reward(static_cast<std::size_t>(features.rows()));
  std::vector<double> phi(baseline.size());
  for (std::ptrdiff_t pair = 0; pair < features.rows(); ++pair) {
    for (std::size_t f = 0; f < phi.size(); ++f) phi[f] = features(pair, static_cast<std::ptrdiff_t>(f)) - baseline[f];
    double least = 0;
    for (std::ptrdiff_t j = 0; j < weights.rows(); ++j) {
      const double r = inner(weights.row(j).data(), phi.data(), features.cols());
      least = j == 0 ? r : std::min(least, r);
    }
    reward[static_cast<std::size_t>(pair)] = least;
  }
  return reward;
}

std::vector<double> design_baseline(const DesignPosterior& posterior) {
  std::vector<double> baseline = posterior.collected;
  for (double& f : baseline) f /= posterior.horizon;
  return baseline;
}

std::vector<double> mean_weights(const DesignPosterior& posterior) {
  std::vector<double> mean(static_cast<std::size_t>(posterior.weights.cols()), 0.0);
  for (std::ptrdiff_t i = 0; i < posterior.weights.rows(); ++i) {
    for (std::size_t f = 0; f < mean.size(); ++f) {
      mean[f] +=
          posterior.probability[static_cast<std::size_t>(i)] * posterior.weights(i, static_cast<std::ptrdiff_t>(f));
    }
  }
  return mean;
}

}  // namespace plumbline::reward
