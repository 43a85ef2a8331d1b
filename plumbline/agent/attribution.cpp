#include "plumbline/agent/attribution.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::agent {
namespace {

std::size_t bit(Part part) { return std::size_t{1} << static_cast<std::size_t>(part); }

base::Result<double> regret_of(const Choice& choice, std::size_t swapped) {
  const bool beliefs = (swapped & bit(Part::kBeliefs)) != 0;
  const bool values = (swapped & bit(Part::kValues)) != 0;
  const bool rule = (swapped & bit(Part::kRule)) != 0;
  decision::RewardPosterior view;
  view.rewards = values ? choice.true_values : choice.values;
  view.probability = beliefs ? choice.true_belief : choice.believed;
  PL_TRY(const decision::Decision decided, (rule ? choice.true_rule : choice.rule)->decide(view, choice.situation));
  decision::RewardPosterior truth;
  truth.rewards = choice.true_values;
  truth.probability = choice.true_belief;
  const std::vector<double> worth = decision::mean_reward(truth);
  const double best = *std::max_element(worth.begin(), worth.end());
  double got = 0;
  if (decided.probability.empty()) {
    got = choice.situation.fallback ? worth[*choice.situation.fallback] : *std::min_element(worth.begin(), worth.end());
  }
  for (std::size_t i = 0; i < decided.probability.size(); ++i) got += decided.probability[i] * worth[i];
  return best - got;
}

}  // namespace

std::string_view part_name(Part part) {
  switch (part) {
    case Part::kBeliefs: return "beliefs";
    case Part::kValues: return "values";
    case Part::kRule: return "rule";
  }
  throw base::InternalError("part_name: no such part");
}

base::Result<Attribution> attribute_regret(const SwappedRegrets& regrets) {
  PL_CHECK(base::check_all_finite("attribute_regret", "regrets", regrets));
  Attribution split;
  split.regret = regrets[0];
  split.unexplained = regrets[7];
  for (const Part part : kParts) {
    const std::size_t own = bit(part);
    const std::size_t first = part == Part::kBeliefs ? bit(Part::kValues) : bit(Part::kBeliefs);
    const std::size_t second = 7 & ~own & ~first;
    // Halves are exact in binary, so that a fault of one part alone is divided by 3 once and comes out whole.
    const double alone = regrets[0] - regrets[own];
    const double after_one =
        (regrets[first] - regrets[first | own]) / 2 + (regrets[second] - regrets[second | own]) / 2;
    const double last = regrets[first | second] - regrets[7];
    split.share[static_cast<std::size_t>(part)] = (alone + after_one + last) / 3;
  }
  return split;
}

base::Result<Attribution> attribute_regret(const std::function<base::Result<double>(bool, bool, bool)>& regret) {
  SwappedRegrets regrets{};
  for (std::size_t swapped = 0; swapped < regrets.size(); ++swapped) {
    PL_TRY(regrets[swapped], regret((swapped & 1) != 0, (swapped & 2) != 0, (swapped & 4) != 0));
  }
  return attribute_regret(regrets);
}

base::Result<Attribution> attribute_choice(const Choice& choice) {
  constexpr std::string_view kFunction = "attribute_choice";
  if (choice.rule == nullptr || choice.true_rule == nullptr) {
    return base::make_error(base::Code::kValue, "a rule is missing", std::string(kFunction));
  }
  PL_CHECK(base::check_size(kFunction, "true_values rows", choice.true_values.rows(), choice.values.rows()));
  PL_CHECK(base::check_size(kFunction, "true_values columns", choice.true_values.cols(), choice.values.cols()));
  PL_CHECK(base::check_at_least(kFunction, "options", choice.values.cols(), 1));
  PL_CHECK(base::check_size(kFunction, "true_belief", std::ssize(choice.true_belief), choice.values.rows()));
  if (choice.situation.fallback) {
    PL_CHECK(base::check_in(kFunction, "fallback", static_cast<double>(*choice.situation.fallback), 0,
                            static_cast<double>(choice.values.cols()) - 1));
  }
  SwappedRegrets regrets{};
  for (std::size_t swapped = 0; swapped < regrets.size(); ++swapped) {
    PL_TRY(regrets[swapped], regret_of(choice, swapped));
  }
  return attribute_regret(regrets);
}

std::string attribution_text(const Attribution& split) {
  std::string text = fmt::format("regret {:.4g}:", split.regret);
  for (const Part part : kParts) {
    text += fmt::format("{} {} {:.4g}", part == Part::kBeliefs ? "" : ",", part_name(part),
                        split.share[static_cast<std::size_t>(part)]);
  }
  if (split.unexplained != 0) text += fmt::format(", unexplained {:.4g}", split.unexplained);
  return text;
}

}  // namespace plumbline::agent
