#include "plumbline/stats/change/run_length.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/log_gamma.hpp"

namespace plumbline::stats {
namespace {

using base::log_gamma;

constexpr std::size_t kMostExact = 20000;

/// What a run's points made of the prior.
struct State {
  double mean, strength, shape, rate;
};

State start(const RunPrior& p) { return {p.mean, p.strength, p.shape, p.rate}; }

double log_predictive(const State& s, RunPrior::Law law, double x) {
  if (law == RunPrior::Law::kPoisson) {
    return log_gamma(x + s.shape) - log_gamma(s.shape) - log_gamma(x + 1) + s.shape * std::log(s.rate / (s.rate + 1)) -
           x * std::log(s.rate + 1);
  }
  const double degrees = 2 * s.shape;
  const double scale = s.rate * (s.strength + 1) / (s.shape * s.strength);
  const double z = (x - s.mean) * (x - s.mean) / scale;
  return log_gamma((degrees + 1) / 2) - log_gamma(degrees / 2) - 0.5 * std::log(degrees * std::numbers::pi * scale) -
         (degrees + 1) / 2 * std::log1p(z / degrees);
}

void update(State& s, RunPrior::Law law, double x) {
  if (law == RunPrior::Law::kPoisson) {
    s.shape += x;
    s.rate += 1;
    return;
  }
  s.rate += s.strength * (x - s.mean) * (x - s.mean) / (2 * (s.strength + 1));
  s.mean = (s.strength * s.mean + x) / (s.strength + 1);
  s.strength += 1;
  s.shape += 0.5;
}

base::Status check(std::span<const double> values, const RunLengthOptions& o) {
  constexpr std::string_view kWho = "run_lengths";
  if (values.empty()) return base::make_error(base::Code::kShape, "run_lengths: no points");
  PL_CHECK(base::check_all_finite(kWho, "values", values));
  PL_CHECK(base::check_in_open(kWho, "hazard", o.hazard, 0, 1));
  PL_CHECK(base::check_finite(kWho, "mean", o.prior.mean));
  PL_CHECK(base::check_positive(kWho, "strength", o.prior.strength));
  PL_CHECK(base::check_positive(kWho, "shape", o.prior.shape));
  PL_CHECK(base::check_positive(kWho, "rate", o.prior.rate));
  PL_CHECK(base::check_in(kWho, "forget", o.forget, 0, 1e-3));
  for (std::size_t i = 0; i < values.size() && o.prior.law == RunPrior::Law::kPoisson; ++i)
    if (values[i] < 0 || values[i] != std::floor(values[i]))
      return base::make_error(base::Code::kValue,
                              fmt::format("run_lengths: values[{}] = {} is no count", i, values[i]));
  if (o.forget == 0 && values.size() > kMostExact)
    return base::make_error(
        base::Code::kLimit,
        fmt::format("run_lengths: {} points; with forget > 0 more than {} can be done", values.size(), kMostExact));
  return base::ok();
}

/// One run length that is still possible.
struct Run {
  std::size_t begin;  ///< point at which it began
  State state;
  double log_joint;  ///< log P(run, points so far)
  double log_best;   ///< log density of the best segmentation that ends with this run
};

double log_sum(const std::vector<Run>& runs) {
  double largest = -std::numeric_limits<double>::infinity();
  for (const Run& r : runs) largest = std::max(largest, r.log_joint);
  double sum = 0;
  for (const Run& r : runs) sum += std::exp(r.log_joint - largest);
  return largest + std::log(sum);
}

}  // namespace

base::Result<RunLengths> run_lengths(std::span<const double> values, const RunLengthOptions& o) {
  PL_CHECK(check(values, o));
  const RunPrior::Law law = o.prior.law;
  const double log_change = std::log(o.hazard), log_stay = std::log1p(-o.hazard);
  RunLengths out;
  std::vector<Run> runs;                            // oldest first
  std::vector<std::size_t> from(values.size(), 0);  // begin of the run before the one that begins here
  double total = 0;
  for (std::size_t t = 0; t < values.size(); ++t) {
    if (t % 256 == 0) PL_CHECK(o.cancel.status());
    double best = 0;
    if (t > 0) {
      const auto before = std::max_element(runs.begin(), runs.end(),
                                           [](const Run& a, const Run& b) { return a.log_best < b.log_best; });
      best = before->log_best + log_change;
      from[t] = before->begin;
    }
    for (Run& r : runs) {
      const double p = log_predictive(r.state, law, values[t]) + log_stay;
      r.log_joint += p;
      r.log_best += p;
      update(r.state, law, values[t]);
    }
    State fresh = start(o.prior);
    const double first = log_predictive(fresh, law, values[t]);
    update(fresh, law, values[t]);
    runs.push_back({t, fresh, first + (t > 0 ? total + log_change : 0), first + best});
    total = log_sum(runs);
    if (o.forget > 0) {
      // The best path so far stays, so that its segmentation can be read off at the end.
      const double path = std::max_element(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
                            return a.log_best < b.log_best;
                          })->log_best;
      std::erase_if(runs, [&](const Run& r) { return r.log_joint < total + std::log(o.forget) && r.log_best < path; });
    }
    std::vector<double> posterior(t - runs.front().begin + 1, 0.0);
    for (const Run& r : runs) posterior[t - r.begin] = std::exp(r.log_joint - total);
    out.change.push_back(posterior[0]);
    out.posterior.push_back(std::move(posterior));
  }
  out.log_evidence = total;
  const auto last =
      std::max_element(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.log_best < b.log_best; });
  for (std::size_t begin = last->begin; begin > 0; begin = from[begin]) out.changes.push_back(begin);
  std::reverse(out.changes.begin(), out.changes.end());
  return out;
}

double log_marginal(std::span<const double> values, const RunPrior& prior) {
  State state = start(prior);
  double sum = 0;
  for (const double x : values) {
    sum += log_predictive(state, prior.law, x);
    update(state, prior.law, x);
  }
  return sum;
}

}  // namespace plumbline::stats
