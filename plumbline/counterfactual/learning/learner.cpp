#include "plumbline/counterfactual/learning/learner.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/learning/exploration.hpp"

namespace plumbline::counterfactual::learning {
namespace {

using base::Code;
using base::make_error;

constexpr std::array<std::string_view, 6> kNames = {"epsilon_greedy", "softmax",  "linucb",
                                                    "thompson",       "squarecb", "bagging"};
constexpr double kMostCells = 5e7;

}  // namespace

std::string_view algorithm_name(Algorithm algorithm) { return kNames[static_cast<std::size_t>(algorithm)]; }
std::span<const std::string_view> algorithm_names() { return kNames; }

base::Result<Algorithm> parse_algorithm(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found != kNames.end()) return static_cast<Algorithm>(found - kNames.begin());
  const std::vector<std::string> known(kNames.begin(), kNames.end());
  const std::string near = base::nearest(name, known);
  return make_error(Code::kValue, fmt::format("'{}' is no learning algorithm", name.substr(0, 40)), {},
                    near.empty() ? fmt::format("expected one of {}", fmt::join(kNames, ", "))
                                 : fmt::format("did you mean '{}'?", near));
}

base::Result<Learner> Learner::make(std::size_t actions, std::size_t features, const LearnerOptions& options) {
  constexpr double kMax = std::numeric_limits<double>::max();
  PL_CHECK(base::check_at_least("Learner::make", "actions", static_cast<std::ptrdiff_t>(actions), 2));
  PL_CHECK(base::check_at_least("Learner::make", "features", static_cast<std::ptrdiff_t>(features), 1));
  PL_CHECK(base::check_in("Learner::make", "epsilon", options.epsilon, 0, 1));
  PL_CHECK(base::check_positive("Learner::make", "temperature", options.temperature));
  PL_CHECK(base::check_positive("Learner::make", "width", options.width));
  PL_CHECK(base::check_in("Learner::make", "gamma", options.gamma, 0, kMax));
  PL_CHECK(base::check_positive("Learner::make", "ridge", options.ridge));
  PL_CHECK(base::check_at_least("Learner::make", "bags", static_cast<std::ptrdiff_t>(options.bags), 2));
  const std::size_t models = options.algorithm == Algorithm::kBagging ? options.bags : 1;
  const double cells = static_cast<double>(actions) * static_cast<double>(features) * static_cast<double>(features) *
                       static_cast<double>(models);
  if (cells > kMostCells)
    return make_error(Code::kLimit, fmt::format("{} actions x {} features squared x {} regressions are too many",
                                                actions, features, models));
  Learner out;
  out.options_ = options;
  out.models_.assign(models, ActionRidge(actions, features, options.ridge));
  return out;
}

void Learner::probabilities(std::span<const double> x, std::span<const int> available, std::span<double> out) const {
  const std::size_t n = available.size();
  std::vector<double> score(n);
  const auto score_by = [&](const ActionRidge& model) {
    for (std::size_t k = 0; k < n; ++k) score[k] = model.mean(static_cast<std::size_t>(available[k]), x);
  };
  score_by(models_.front());
  switch (options_.algorithm) {
    case Algorithm::kEpsilonGreedy: greedy(score, out); break;
    case Algorithm::kSoftmax: softmax(score, options_.temperature, out); break;
    case Algorithm::kLinUcb:
      for (std::size_t k = 0; k < n; ++k)
        score[k] += options_.width * std::sqrt(models_.front().variance(static_cast<std::size_t>(available[k]), x));
      greedy(score, out);
      break;
    case Algorithm::kThompson: {
      std::vector<double> deviation(n);
      for (std::size_t k = 0; k < n; ++k) {
        const double variance = models_.front().variance(static_cast<std::size_t>(available[k]), x);
        deviation[k] = options_.width * std::sqrt(std::max(variance, 1e-300));
      }
      largest_normal(score, deviation, out);
      break;
    }
    case Algorithm::kSquareCb:
      inverse_gap(score, options_.gamma * std::sqrt(static_cast<double>(updates_)), out);
      break;
    case Algorithm::kBagging: {
      std::vector<double> one(n);
      std::fill(out.begin(), out.end(), 0.0);
      for (const ActionRidge& model : models_) {
        score_by(model);
        greedy(score, one);
        for (std::size_t k = 0; k < n; ++k) out[k] += one[k] / static_cast<double>(models_.size());
      }
      break;
    }
  }
  if (options_.epsilon > 0) mix_uniform(options_.epsilon, out);
}

void Learner::update(std::span<const double> x, int action, double reward) {
  const auto a = static_cast<std::size_t>(action);
  if (options_.algorithm == Algorithm::kBagging) {
    base::Rng stream = base::Rng(options_.seed, {"bagging"}).fork(updates_);
    for (ActionRidge& model : models_) {
      const auto weight = static_cast<double>(stream.poisson(1));
      if (weight > 0) model.update(a, x, reward, weight);
    }
  } else {
    models_.front().update(a, x, reward);
  }
  ++updates_;
}

std::vector<std::vector<double>> Learner::state() const {
  std::vector<std::vector<double>> out;
  for (const ActionRidge& model : models_) out.push_back(model.state());
  return out;
}

base::Status Learner::restore(std::uint64_t updates, const std::vector<std::vector<double>>& state) {
  if (state.size() != models_.size())
    return make_error(Code::kParse, fmt::format("holds {} regressions, expected {}", state.size(), models_.size()));
  for (std::size_t m = 0; m < state.size(); ++m) {
    if (!models_[m].restore(state[m]))
      return make_error(Code::kParse, fmt::format("regression {} is of another size, or not finite", m + 1));
  }
  updates_ = updates;
  return base::ok();
}

}  // namespace plumbline::counterfactual::learning
