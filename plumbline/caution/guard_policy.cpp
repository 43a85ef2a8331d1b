#include "plumbline/caution/guard_policy.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"

namespace plumbline::caution {
namespace {

using base::Code;
using caution::Rule;
using decision::Act;

constexpr std::string_view kName = "[guard]";
constexpr std::array<std::pair<Exploration, std::string_view>, 3> kExplorations = {
    {{Exploration::kNone, "none"}, {Exploration::kEpsilonGreedy, "epsilon"}, {Exploration::kSoftmax, "softmax"}}};

/// Looks at each reading's expectation, not at outcomes.
bool is_between_readings(const caution::RuleSpec& spec) {
  switch (spec.rule) {
    case Rule::kMaximin:
    case Rule::kRegret:
    case Rule::kVote:
    case Rule::kBargain: return true;
    case Rule::kBaseline: return spec.parameters.front() == 0;
    default: return false;
  }
}

/// Needs no weight of any reading.
bool is_free_of_weights(const caution::RuleSpec& spec) {
  return spec.rule == Rule::kMaximin || spec.rule == Rule::kRegret ||
         (spec.rule == Rule::kBaseline && spec.parameters.front() == 0);
}

std::vector<double> weights_of(const caution::CostModel& costs) {
  std::vector<double> weight;
  double sum = 0;
  for (const caution::CostReading& reading : costs.readings) {
    weight.push_back(costs.weighted() ? reading.weight : 1.0);
    sum += weight.back();
  }
  for (double& w : weight) w /= sum;
  return weight;
}

/// By column: the row of its smallest number, the first of equals.
std::vector<std::size_t> cheapest_of(const MatrixD& cost) {
  std::vector<std::size_t> cheapest(static_cast<std::size_t>(cost.cols()), 0);
  for (std::ptrdiff_t c = 0; c < cost.cols(); ++c) {
    std::size_t& best = cheapest[static_cast<std::size_t>(c)];
    for (std::ptrdiff_t a = 1; a < cost.rows(); ++a)
      if (cost(a, c) < cost(static_cast<std::ptrdiff_t>(best), c)) best = static_cast<std::size_t>(a);
  }
  return cheapest;
}

base::Error in_guard(const data::GuardSection& guard, std::string message, std::string hint = {}) {
  return base::make_error(Code::kValue, std::move(message), fmt::format("[guard], line {}", guard.line),
                          std::move(hint));
}

std::optional<double> number(const data::GuardSection& guard, const std::string& key) {
  const auto found = guard.keys.find(key);
  if (found == guard.keys.end()) return std::nullopt;
  if (const auto* whole = std::get_if<std::int64_t>(&found->second)) return static_cast<double>(*whole);
  const auto* real = std::get_if<double>(&found->second);
  return real == nullptr ? std::nullopt : std::optional(*real);
}

std::string text(const data::GuardSection& guard, const std::string& key) {
  const auto found = guard.keys.find(key);
  const auto* value = found == guard.keys.end() ? nullptr : std::get_if<std::string>(&found->second);
  return value == nullptr ? std::string() : *value;
}

/// Of the answer about a class by somebody who is right with this probability, and else names one of the dearer
/// actions, all alike.
double cost_of_answer(const MatrixD& cost, std::ptrdiff_t c, double accuracy) {
  constexpr double kSame = 1e-9;
  double least = cost(0, c);
  for (std::ptrdiff_t a = 1; a < cost.rows(); ++a) least = std::min(least, cost(a, c));
  if (accuracy >= 1) return least;
  double dearer = 0;
  int count = 0;
  for (std::ptrdiff_t a = 0; a < cost.rows(); ++a) {
    if (cost(a, c) <= least + kSame * (1 + std::abs(least))) continue;
    dearer += cost(a, c);
    ++count;
  }
  return count == 0 ? least : accuracy * least + (1 - accuracy) * dearer / count;
}

base::Status check_numbers(const GuardPolicy& policy) {
  PL_CHECK(base::check_in_open(kName, "alpha", policy.alpha, 0, 1));
  PL_CHECK(base::check_in(kName, "epsilon", policy.epsilon, 0, 1));
  PL_CHECK(base::check_positive(kName, "temperature", policy.temperature));
  PL_CHECK(base::check_in(kName, "safe_loss", policy.safe_loss, 0, 1e300));
  PL_CHECK(base::check_in(kName, "equal_within", policy.equal_within, 0, 1e300));
  PL_CHECK(base::check_in(kName, "ask_cost", policy.ask_cost.value_or(0), 0, 1e300));
  PL_CHECK(base::check_in(kName, "ask_accuracy", policy.ask_accuracy, 0, 1));
  PL_CHECK(base::check_in(kName, "set_cost", policy.set_cost.value_or(0), 0, 1e300));
  return base::check_finite(kName, "refuse_cost", policy.refuse_cost.value_or(0));
}

}  // namespace

base::Status validate(const GuardPolicy& policy, std::ptrdiff_t classes) {
  const auto made = PolicyRule::make(policy, classes);
  return made.ok() ? base::ok() : base::Status(made.error());
}

std::string policy_text(const GuardPolicy& policy) {
  std::string out = fmt::format("{} alpha {}", policy.rule, policy.alpha);
  if (policy.fallback) out += fmt::format(" fallback {}", *policy.fallback);
  if (policy.ask_cost) out += fmt::format(" ask {}", *policy.ask_cost);
  if (policy.ask_accuracy < 1) out += fmt::format(" right {}", policy.ask_accuracy);
  if (policy.set_cost) out += fmt::format(" set {}", *policy.set_cost);
  if (policy.refuse_cost) out += fmt::format(" refuse {}", *policy.refuse_cost);
  if (policy.equal_within > 0) out += fmt::format(" equal {}", policy.equal_within);
  if (!policy.attended.empty()) out += fmt::format(" attended {}", fmt::join(policy.attended, ","));
  switch (policy.exploration) {
    case Exploration::kNone: break;
    case Exploration::kEpsilonGreedy:
      out += fmt::format(" epsilon {} within {}", policy.epsilon, policy.safe_loss);
      break;
    case Exploration::kSoftmax:
      out += fmt::format(" softmax {} within {}", policy.temperature, policy.safe_loss);
      break;
  }
  return out;
}

base::Result<GuardPolicy> read_policy(const data::Manifest& manifest, const std::string& model,
                                      std::span<const std::string> classes) {
  if (!manifest.guard) {
    return base::make_error(Code::kValue, "the manifest has no [guard] section", manifest.path,
                            "Add [guard] with the rule under policy");
  }
  const data::GuardSection& guard = *manifest.guard;
  GuardPolicy policy;
  policy.seed = manifest.seed;
  PL_TRY(policy.costs, caution::read_costs(manifest, model, classes));
  if (policy.costs.readings.empty()) policy.costs = caution::zero_one_costs(classes);
  if (const std::string rule = text(guard, "policy"); !rule.empty()) policy.rule = rule;
  if (const std::string action = text(guard, "fallback"); !action.empty()) policy.fallback = action;
  policy.alpha = number(guard, "alpha").value_or(policy.alpha);
  policy.ask_cost = number(guard, "ask_cost");
  policy.ask_accuracy = number(guard, "ask_accuracy").value_or(policy.ask_accuracy);
  policy.set_cost = number(guard, "set_cost");
  policy.refuse_cost = number(guard, "refuse_cost");
  policy.epsilon = number(guard, "epsilon").value_or(policy.epsilon);
  policy.temperature = number(guard, "temperature").value_or(policy.temperature);
  policy.safe_loss = number(guard, "safe_loss").value_or(policy.safe_loss);
  policy.equal_within = number(guard, "equal_within").value_or(policy.equal_within);
  if (const auto found = guard.keys.find("irreversible"); found != guard.keys.end())
    policy.attended = std::get<std::vector<std::string>>(found->second);
  const double neighbours = number(guard, "neighbours").value_or(0);
  if (!(neighbours >= 0 && neighbours <= 100)) {
    return in_guard(guard, fmt::format("neighbours is {}, expected 0 to 100", neighbours));
  }
  policy.neighbours = static_cast<std::size_t>(neighbours);
  if (const std::string word = text(guard, "explore"); !word.empty()) {
    const auto known =
        std::find_if(kExplorations.begin(), kExplorations.end(), [&](const auto& each) { return each.second == word; });
    if (known == kExplorations.end()) {
      return in_guard(guard, fmt::format("explore is '{}', expected none, epsilon or softmax", word));
    }
    policy.exploration = known->first;
  }
  if (const base::Status fine = validate(policy, std::ssize(classes)); !fine.ok()) {
    return fine.error().at(fmt::format("[guard], line {}", guard.line));
  }
  return policy;
}

base::Result<PolicyRule> PolicyRule::make(GuardPolicy policy, std::ptrdiff_t classes) {
  PL_CHECK(caution::validate(policy.costs, classes));
  PL_CHECK(check_numbers(policy));
  PL_TRY(const caution::RuleSpec spec, caution::parse_rule_spec(policy.rule));
  PolicyRule made;
  made.between_readings_ = is_between_readings(spec);
  made.prunes_ = spec.rule == Rule::kMaximin || spec.rule == Rule::kRegret;
  if (policy.costs.readings.size() > 1 && !policy.costs.weighted() && !is_free_of_weights(spec)) {
    return base::make_error(
        Code::kValue, fmt::format("the rule {} weighs the readings, and they have no weight", policy.rule),
        std::string(kName),
        "Declare a prior for each [reward.NAME] of kind costs, or take a rule that needs none: maximin, regret, "
        "baseline:0");
  }
  made.rule_ = caution::make_rule(spec);
  made.weight_ = weights_of(policy.costs);
  for (const caution::CostReading& reading : policy.costs.readings) made.right_.push_back(cheapest_of(reading.cost));
  made.options_ = policy.costs.actions;
  if (policy.fallback) {
    const auto found = std::find(made.options_.begin(), made.options_.end(), *policy.fallback);
    if (found == made.options_.end()) {
      return base::make_error(Code::kValue,
                              fmt::format("fallback '{}' is no action; the actions are {}", *policy.fallback,
                                          fmt::join(policy.costs.actions, ", ")),
                              std::string(kName));
    }
    made.fallback_ = static_cast<std::size_t>(found - made.options_.begin());
  }
  if (policy.set_cost) {
    made.set_option_ = made.options_.size();
    made.options_.emplace_back("set");
  }
  made.options_.emplace_back("refuse");
  for (const std::string_view reserved : {"set", "refuse"}) {
    if (std::find(policy.costs.actions.begin(), policy.costs.actions.end(), reserved) != policy.costs.actions.end()) {
      return base::make_error(Code::kValue, fmt::format("an action may not be called '{}'", reserved),
                              std::string(kName));
    }
  }
  made.attended_.assign(made.options_.size(), 0);
  for (const std::string& action : policy.attended) {
    const auto found = std::find(made.options_.begin(), made.options_.end(), action);
    if (found != made.options_.end()) made.attended_[static_cast<std::size_t>(found - made.options_.begin())] = 1;
  }
  made.policy_ = std::move(policy);
  // A rule that lacks a base policy or a fallback says so now and not at the first request.
  const std::vector<double> even(static_cast<std::size_t>(classes), 1.0 / static_cast<double>(classes));
  PL_TRY(const RuledChoice trial, made.choose(even, {}));
  static_cast<void>(trial);
  return made;
}

double PolicyRule::worth(std::size_t reading, std::size_t option, std::size_t label, double set_size,
                         std::span<const std::uint8_t> in_set) const {
  const MatrixD& cost = policy_.costs.readings[reading].cost;
  const auto column = static_cast<std::ptrdiff_t>(label);
  if (option < actions()) return -cost(static_cast<std::ptrdiff_t>(option), column);
  if (set_option_ && option == *set_option_) {
    double missed = 0;
    if (in_set[label] == 0) {
      missed = cost(0, column);
      for (std::ptrdiff_t a = 1; a < cost.rows(); ++a) missed = std::max(missed, cost(a, column));
    }
    return -(*policy_.set_cost * (set_size - 1) + missed);
  }
  return -policy_.refuse_cost.value_or(0);
}

MatrixD PolicyRule::expected_worth(std::span<const double> p, std::span<const std::uint8_t> in_set) const {
  const double set_size = static_cast<double>(std::count(in_set.begin(), in_set.end(), 1));
  MatrixD expected = MatrixD::Constant(std::ssize(weight_), std::ssize(options_), std::nan(""));
  for (std::size_t r = 0; r < weight_.size(); ++r) {
    for (std::size_t o = 0; o < options_.size(); ++o) {
      if (set_option_ && o == *set_option_ && set_size < 2) continue;
      if (o == refusal() && !policy_.refuse_cost) continue;
      double sum = 0;
      for (std::size_t c = 0; c < p.size(); ++c) sum += p[c] * worth(r, o, c, set_size, in_set);
      expected(static_cast<std::ptrdiff_t>(r), static_cast<std::ptrdiff_t>(o)) = sum;
    }
  }
  return expected;
}

/// Options that may be chosen. Maximin and regret never choose what another option beats by every reading, and their
/// programs are small without it.
std::vector<std::size_t> PolicyRule::offered(const MatrixD& expected) const {
  const auto beats = [&](std::size_t a, std::size_t b) {
    bool better = false;
    for (std::ptrdiff_t r = 0; r < expected.rows(); ++r) {
      const double gap = expected(r, static_cast<std::ptrdiff_t>(a)) - expected(r, static_cast<std::ptrdiff_t>(b));
      if (!(gap >= 0)) return false;
      better = better || gap > 0;
    }
    return better || a < b;
  };
  std::vector<std::size_t> kept;
  for (std::size_t o = 0; o < options_.size(); ++o) {
    if (std::isnan(expected(0, static_cast<std::ptrdiff_t>(o)))) continue;
    bool beaten = false;
    for (std::size_t a = 0; prunes_ && a < options_.size() && !beaten; ++a) beaten = a != o && beats(a, o);
    if (!beaten) kept.push_back(o);
  }
  return kept;
}

decision::RewardPosterior PolicyRule::posterior(std::span<const double> p, std::span<const std::uint8_t> in_set,
                                                const MatrixD& expected, std::span<const std::size_t> offered) const {
  decision::RewardPosterior values;
  const std::size_t rows = between_readings_ ? weight_.size() : weight_.size() * p.size();
  values.rewards.resize(static_cast<std::ptrdiff_t>(rows), std::ssize(offered));
  values.probability.reserve(rows);
  const double set_size = static_cast<double>(std::count(in_set.begin(), in_set.end(), 1));
  double mass = 0;
  for (const double q : p) mass += q;
  std::ptrdiff_t row = 0;
  for (std::size_t r = 0; r < weight_.size(); ++r) {
    if (between_readings_) {
      for (std::size_t i = 0; i < offered.size(); ++i) {
        values.rewards(row, static_cast<std::ptrdiff_t>(i)) =
            expected(static_cast<std::ptrdiff_t>(r), static_cast<std::ptrdiff_t>(offered[i]));
      }
      values.probability.push_back(weight_[r]);
      ++row;
      continue;
    }
    for (std::size_t c = 0; c < p.size(); ++c, ++row) {
      for (std::size_t i = 0; i < offered.size(); ++i) {
        values.rewards(row, static_cast<std::ptrdiff_t>(i)) = worth(r, offered[i], c, set_size, in_set);
      }
      values.probability.push_back(weight_[r] * p[c] / mass);
    }
  }
  return values;
}

double PolicyRule::value_of_asking(std::span<const double> p, const MatrixD& expected,
                                   std::span<const double> share) const {
  const bool weighted = weight_.size() == 1 || policy_.costs.weighted();
  double value = 0;
  for (std::size_t r = 0; r < weight_.size(); ++r) {
    const auto at = static_cast<std::ptrdiff_t>(r);
    double chosen = 0;
    for (std::size_t o = 0; o < share.size(); ++o) {
      if (share[o] > 0) chosen += share[o] * expected(at, static_cast<std::ptrdiff_t>(o));
    }
    const MatrixD& cost = policy_.costs.readings[r].cost;
    double informed = 0;
    for (std::size_t c = 0; c < p.size(); ++c)
      informed -= p[c] * cost_of_answer(cost, static_cast<std::ptrdiff_t>(c), policy_.ask_accuracy);
    const double gain = informed - chosen;
    value = weighted ? value + weight_[r] * gain : std::max(value, gain);
  }
  return std::max(value, 0.0);  // of the mean: what an answer may spoil by one reading counts against the others
}

std::vector<double> PolicyRule::plausible(std::span<const double> p) const {
  const bool weighted = weight_.size() == 1 || policy_.costs.weighted();
  std::vector<double> all(options_.size(), 0.0);
  std::vector<double> here(options_.size());
  double mass = 0;
  for (const double q : p) mass += q;
  for (std::size_t r = 0; r < weight_.size(); ++r) {
    std::fill(here.begin(), here.end(), 0.0);
    for (std::size_t c = 0; c < p.size(); ++c) here[right_[r][c]] += p[c] / mass;
    for (std::size_t o = 0; o < here.size(); ++o)
      all[o] = weighted ? all[o] + weight_[r] * here[o] : std::max(all[o], here[o]);
  }
  return all;
}

bool PolicyRule::worth_asking(double value) const {
  return policy_.ask_cost && value > *policy_.ask_cost + policy_.equal_within;
}

void PolicyRule::prefer_unattended(const MatrixD& expected, RuledChoice& choice) const {
  const auto column = [](std::size_t o) { return static_cast<std::ptrdiff_t>(o); };
  const auto mean = [&](std::size_t o) {
    double sum = 0;
    for (std::size_t r = 0; r < weight_.size(); ++r) sum += weight_[r] * expected(column(r), column(o));
    return sum;
  };
  for (std::size_t o = 0; o < options_.size(); ++o) {
    if (attended_[o] == 0 || choice.probabilities[o] == 0) continue;
    std::optional<std::size_t> best;
    for (std::size_t u = 0; u < options_.size(); ++u) {
      if (attended_[u] != 0 || std::isnan(expected(0, column(u)))) continue;
      double loss = 0;
      double scale = 0;
      for (std::ptrdiff_t r = 0; r < expected.rows(); ++r) {
        loss = std::max(loss, expected(r, column(o)) - expected(r, column(u)));
        scale = std::max(scale, std::abs(expected(r, column(o))));
      }
      // A sum of products of the same numbers in another order is no difference.
      if (loss <= policy_.equal_within + 1e-12 * scale && (!best || mean(u) > mean(*best))) best = u;
    }
    if (!best) continue;
    choice.probabilities[*best] += std::exchange(choice.probabilities[o], 0.0);
    choice.reason += fmt::format("; '{}' is as good as '{}' and needs nobody's consent", options_[*best], options_[o]);
  }
}

void PolicyRule::explore(const MatrixD& expected, std::vector<double>& share) const {
  if (policy_.exploration == Exploration::kNone) return;
  for (std::size_t o = 0; o < share.size(); ++o)
    if (attended_[o] != 0 && share[o] > 0) return;
  std::vector<std::size_t> safe;
  std::vector<double> least(actions(), std::numeric_limits<double>::infinity());
  for (std::size_t a = 0; a < actions(); ++a) {
    double loss = 0;
    for (std::ptrdiff_t r = 0; r < expected.rows(); ++r) {
      double best = expected(r, 0);
      for (std::size_t b = 1; b < actions(); ++b) best = std::max(best, expected(r, static_cast<std::ptrdiff_t>(b)));
      const double here = expected(r, static_cast<std::ptrdiff_t>(a));
      loss = std::max(loss, best - here);
      least[a] = std::min(least[a], here);
    }
    if (loss <= policy_.safe_loss && attended_[a] == 0) safe.push_back(a);
  }
  if (safe.empty()) return;
  if (policy_.exploration == Exploration::kEpsilonGreedy) {
    for (double& s : share) s *= 1 - policy_.epsilon;
    for (const std::size_t a : safe) share[a] += policy_.epsilon / static_cast<double>(safe.size());
    return;
  }
  double top = -std::numeric_limits<double>::infinity();
  for (const std::size_t a : safe) top = std::max(top, least[a]);
  std::fill(share.begin(), share.end(), 0.0);
  double mass = 0;
  for (const std::size_t a : safe) mass += share[a] = std::exp((least[a] - top) / policy_.temperature);
  for (const std::size_t a : safe) share[a] /= mass;
}

/// Rules count the options that they see, people know them by name.
std::string PolicyRule::named(const std::string& reason, std::span<const std::size_t> offered) const {
  constexpr std::string_view kCounted = "option ";
  if (!reason.starts_with(kCounted)) return reason;
  const char* end = reason.data() + reason.size();
  std::size_t option = 0;
  const auto [rest, code] = std::from_chars(reason.data() + kCounted.size(), end, option);
  if (code != std::errc{} || option >= offered.size()) return reason;
  return fmt::format("'{}'{}", options_[offered[option]], std::string_view(rest, static_cast<std::size_t>(end - rest)));
}

base::Result<RuledChoice> PolicyRule::choose(std::span<const double> p, std::span<const std::uint8_t> in_set) const {
  const MatrixD expected = expected_worth(p, in_set);
  const std::vector<std::size_t> columns = offered(expected);
  const decision::RewardPosterior values = posterior(p, in_set, expected, columns);
  decision::Situation situation;
  if (!prunes_) situation.fallback = fallback_;  // actions keep their places
  situation.ask_cost = policy_.ask_cost;
  decision::Decision decided;
  if (prunes_ && columns.size() == 1) {
    decided = {Act::kAct, {1.0}, values.rewards.minCoeff(), "one option is best by every reading"};
  } else {
    PL_TRY(decided, rule_->decide(values, situation));
  }
  RuledChoice choice{
      decided.act, std::vector<double>(options_.size(), 0.0), 0, {}, plausible(p), named(decided.reason, columns)};
  for (std::size_t i = 0; i < decided.probability.size(); ++i)
    choice.probabilities[columns[i]] = decided.probability[i];
  const std::size_t otherwise = fallback_.value_or(refusal());
  if (decided.probability.empty()) choice.probabilities[otherwise] = 1;
  if (choice.act == Act::kFallBack && !fallback_) choice.act = Act::kRefuse;  // a bargain that failed
  if (choice.act == Act::kRefuse) {
    std::fill(choice.probabilities.begin(), choice.probabilities.end(), 0.0);
    choice.probabilities[refusal()] = 1;
  }
  if (choice.act == Act::kAct) prefer_unattended(expected, choice);
  // What asking is worth beside the choice; a refusal whose cost nobody declared has no worth to compare with.
  const bool comparable = choice.probabilities[refusal()] == 0 || policy_.refuse_cost;
  if (choice.act == Act::kAsk) {
    std::vector<double> best(options_.size(), 0.0);
    const auto mean_of = [&](std::size_t o) {
      double sum = 0;
      for (std::size_t r = 0; r < weight_.size(); ++r) {
        sum += weight_[r] * expected(static_cast<std::ptrdiff_t>(r), static_cast<std::ptrdiff_t>(o));
      }
      return sum;
    };
    std::size_t top = 0;
    for (std::size_t a = 1; a < actions(); ++a) {
      if (mean_of(a) > mean_of(top)) top = a;
    }
    best[top] = 1;
    choice.proposed = top;
    choice.value_of_asking = value_of_asking(p, expected, best);
  } else if (comparable) {
    choice.value_of_asking = value_of_asking(p, expected, choice.probabilities);
  }
  if (policy_.ask_cost && is_worth_asking(choice, *policy_.ask_cost + policy_.equal_within)) {
    choice.act = Act::kAsk;
    choice.proposed = static_cast<std::size_t>(
        std::max_element(choice.probabilities.begin(), choice.probabilities.end()) - choice.probabilities.begin());
    choice.reason = fmt::format("asking is worth {:.4g} and costs {:.4g}; otherwise {}", choice.value_of_asking,
                                *policy_.ask_cost, choice.reason);
  }
  if (choice.act == Act::kAsk) {
    std::fill(choice.probabilities.begin(), choice.probabilities.end(), 0.0);
    choice.probabilities[otherwise] = 1;
  }
  if (choice.act == Act::kAct) explore(expected, choice.probabilities);
  return choice;
}

RuledChoice PolicyRule::without_beliefs() const {
  const std::size_t otherwise = fallback_.value_or(refusal());
  RuledChoice choice{
      fallback_ ? Act::kFallBack : Act::kRefuse, std::vector<double>(options_.size(), 0.0), 0, {}, {}, {}};
  choice.probabilities[otherwise] = 1;
  // The most that the right class could save over what would be done, by any reading.
  for (std::size_t r = 0; r < weight_.size(); ++r) {
    const MatrixD& cost = policy_.costs.readings[r].cost;
    for (std::ptrdiff_t c = 0; c < cost.cols(); ++c) {
      double least = cost(0, c);
      for (std::ptrdiff_t a = 1; a < cost.rows(); ++a) least = std::min(least, cost(a, c));
      double done = policy_.refuse_cost.value_or(std::numeric_limits<double>::infinity());
      if (fallback_) done = cost(static_cast<std::ptrdiff_t>(*fallback_), c);
      if (std::isinf(done)) {  // refusing has no declared cost: as bad as the dearest action
        done = least;
        for (std::ptrdiff_t a = 0; a < cost.rows(); ++a) done = std::max(done, cost(a, c));
      }
      choice.value_of_asking = std::max(choice.value_of_asking, done - least);
    }
  }
  if (worth_asking(choice.value_of_asking)) choice.act = Act::kAsk;
  return choice;
}

}  // namespace plumbline::caution
