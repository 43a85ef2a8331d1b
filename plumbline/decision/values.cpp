#include "plumbline/decision/values.hpp"

#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::decision {

base::Status validate(const RewardPosterior& posterior) {
  constexpr std::string_view kFunction = "RewardPosterior";
  PL_CHECK(base::check_at_least(kFunction, "rewards", posterior.rewards.rows(), 1));
  PL_CHECK(base::check_at_least(kFunction, "things", posterior.rewards.cols(), 1));
  PL_CHECK(base::check_size(kFunction, "probability", std::ssize(posterior.probability), posterior.rewards.rows()));
  if (!posterior.names.empty()) {
    PL_CHECK(base::check_size(kFunction, "names", std::ssize(posterior.names), posterior.rewards.rows()));
  }
  PL_CHECK(base::check_all_finite(
      kFunction, "rewards",
      std::span<const double>(posterior.rewards.data(), static_cast<std::size_t>(posterior.rewards.size()))));
  double sum = 0;
  for (const double p : posterior.probability) {
    PL_CHECK(base::check_in(kFunction, "probability", p, 0, 1));
    sum += p;
  }
  if (!(std::abs(sum - 1) <= 1e-9)) {
    return base::make_error(base::Code::kValue, fmt::format("the probabilities sum to {:.12g} instead of 1", sum),
                            std::string(kFunction));
  }
  return base::ok();
}

RewardPosterior literal(const std::vector<double>& reward) {
  RewardPosterior posterior;
  posterior.rewards.resize(1, static_cast<std::ptrdiff_t>(reward.size()));
  for (std::size_t i = 0; i < reward.size(); ++i) posterior.rewards(0, static_cast<std::ptrdiff_t>(i)) = reward[i];
  posterior.probability = {1.0};
  posterior.names = {"literal"};
  posterior.source = "the literal reward";
  return posterior;
}

std::vector<double> mean_reward(const RewardPosterior& posterior) {
  std::vector<double> mean(static_cast<std::size_t>(posterior.rewards.cols()), 0.0);
  for (std::ptrdiff_t k = 0; k < posterior.rewards.rows(); ++k) {
    const double weight = posterior.probability[static_cast<std::size_t>(k)];
    for (std::size_t i = 0; i < mean.size(); ++i) {
      mean[i] += weight * posterior.rewards(k, static_cast<std::ptrdiff_t>(i));
    }
  }
  return mean;
}

}  // namespace plumbline::decision
