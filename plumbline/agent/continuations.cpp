#include "plumbline/agent/continuations.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::agent {

base::Result<Continuations> Continuations::make(const world::Process& process,
                                                const decision::RewardPosterior& values) {
  constexpr std::string_view kFunction = "continuations";
  constexpr std::size_t kMostValues = std::size_t{1} << 24U;
  PL_CHECK(decision::validate(values));
  PL_CHECK(base::check_size(kFunction, "rewards", values.rewards.cols(), static_cast<std::ptrdiff_t>(process.pairs())));
  PL_CHECK(base::check_at_least(kFunction, "horizon", process.horizon, 1));
  const auto rewards = static_cast<std::size_t>(values.size());
  const auto horizon = static_cast<std::size_t>(process.horizon);
  if (rewards * (horizon + 1) * (process.states + 1) > kMostValues) {
    return base::make_error(base::Code::kLimit,
                            fmt::format("{} rewards, {} steps and {} states are more than {} values", rewards, horizon,
                                        process.states, kMostValues),
                            std::string(kFunction), "plan in a smaller world");
  }
  Continuations made(process, values);
  made.horizon_ = horizon;
  made.width_ = process.states + 1;
  made.value_.assign(rewards * (horizon + 1) * made.width_, 0.0);
  for (std::size_t k = 0; k < rewards; ++k) {
    for (std::size_t t = horizon; t-- > 0;) {
      for (std::uint32_t s = 0; s < process.states; ++s) {
        double best = made.worth(k, t, process.pair(s, 0));
        for (std::uint32_t a = 1; a < process.actions; ++a) best = std::max(best, made.worth(k, t, process.pair(s, a)));
        made.at(k, t)[s] = best;
      }
    }
  }
  return made;
}

double Continuations::worth(std::size_t k, std::size_t t, std::size_t pair) const {
  double sum = (*rewards_)(static_cast<std::ptrdiff_t>(k), static_cast<std::ptrdiff_t>(pair));
  const double* later = at(k, t + 1);
  for (std::uint64_t i = process_->first[pair]; i < process_->first[pair + 1]; ++i)
    sum += process_->probability[i] * later[process_->next[i]];
  return sum;
}

}  // namespace plumbline::agent
