#include "plumbline/counterfactual/learning/conservative.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::counterfactual::learning {
namespace {

constexpr double kCenter = 0.5;  // the largest m_i: above it z falls too far
constexpr int kRates = 24;

}  // namespace

base::Result<ConservativeBudget> ConservativeBudget::make(const ConservativeOptions& o) {
  PL_CHECK(base::check_in_open("ConservativeBudget::make", "keep", o.keep, 0, 1));
  PL_CHECK(base::check_in_open("ConservativeBudget::make", "confidence", o.confidence, 0, 1));
  if (!(o.most >= 1 - o.keep && o.most < 1))
    return base::make_error(base::Code::kValue, fmt::format("the largest share of the learner is {}, expected at least "
                                                            "1 - keep = {:.4g} and below 1",
                                                            o.most, 1 - o.keep));
  ConservativeBudget out;
  out.options_ = o;
  // z is least where the baseline alone decided and the weight is 1 / (1 - most).
  out.fall_ = std::max(0.0, o.keep / (1 - o.most) - 1) + kCenter;
  return out;
}

double ConservativeBudget::lower() const {
  double best = -std::numeric_limits<double>::infinity();
  for (int k = 1; k <= kRates; ++k) {
    const double rate = std::ldexp(1.0, -k);
    const double price = std::log(k * k * std::numbers::pi * std::numbers::pi / (6 * (1 - options_.confidence)));
    const double psi = -std::log1p(-rate) - rate;
    best = std::max(best, sum_ - fall_ * (price + psi * squares_ / (fall_ * fall_)) / rate);
  }
  return best;
}

double ConservativeBudget::share() const { return std::min(options_.most, 1 - options_.keep + std::max(0.0, lower())); }

void ConservativeBudget::add(double reward, double baseline_weight) {
  const double z = reward * (1 - options_.keep * baseline_weight);
  const double center = count_ > 0 ? std::clamp(sum_ / count_, 0.0, kCenter) : 0.0;
  squares_ += (z - center) * (z - center);
  sum_ += z;
  count_ += 1;
}

bool ConservativeBudget::restore(const std::vector<double>& state) {
  if (state.size() != 3 || !(state[0] >= 0) || !std::isfinite(state[0]) || !std::isfinite(state[1]) ||
      !(state[2] >= 0) || !std::isfinite(state[2]))
    return false;
  count_ = state[0];
  sum_ = state[1];
  squares_ = state[2];
  return true;
}

}  // namespace plumbline::counterfactual::learning
