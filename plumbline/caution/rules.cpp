#include "plumbline/caution/rules.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/caution/mixed_choice.hpp"
#include "plumbline/caution/quantilizer.hpp"

namespace plumbline::caution {
namespace {

using decision::Act;
using decision::Decision;
using decision::RewardPosterior;
using decision::Situation;

constexpr std::string_view kDecide = "DecisionRule";

/// What a rule works on, checked once.
struct Question {
  const RewardPosterior& values;
  const Situation& situation;
  std::size_t m;
  std::size_t count;
  std::vector<double> mean;

  double reward(std::size_t k, std::size_t i) const {
    return values.rewards(static_cast<std::ptrdiff_t>(k), static_cast<std::ptrdiff_t>(i));
  }
};

std::vector<double> point(std::size_t m, std::size_t i) {
  std::vector<double> p(m, 0.0);
  p[i] = 1;
  return p;
}

std::size_t best_of(std::span<const double> score) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < score.size(); ++i) {
    if (score[i] > score[best]) best = i;
  }
  return best;
}

/// A program's shares as probabilities that sum to 1.
std::vector<double> tidy(std::vector<double> share) {
  double sum = 0;
  for (double& p : share) {
    if (p < 1e-12) p = 0;
    sum += p;
  }
  for (double& p : share) p /= sum;
  return share;
}

/// Base policy, else fallback, as a distribution; nothing when neither is known.
std::optional<std::vector<double>> trusted(const Question& q) {
  if (!q.situation.base.empty()) return q.situation.base;
  if (q.situation.fallback) return point(q.m, *q.situation.fallback);
  return std::nullopt;
}

std::vector<double> alike(std::size_t m) { return std::vector<double>(m, 1.0 / static_cast<double>(m)); }

base::Error needs(const RuleSpec& spec, std::string_view what) {
  return base::make_error(base::Code::kUnsupported, fmt::format("the rule needs {}", what), rule_name(spec));
}

Decision act(std::vector<double> probability, double value, std::string reason) {
  return {Act::kAct, std::move(probability), value, std::move(reason)};
}

std::string per_cent(double share) { return fmt::format("{:.4g} %", 100 * share); }

base::Result<Decision> expected(const Question& q) {
  const std::size_t i = best_of(q.mean);
  return act(point(q.m, i), q.mean[i], fmt::format("option {} has the best mean, {:.6g}", i, q.mean[i]));
}

base::Result<Decision> regret(const Question& q) {
  std::vector<double> best(q.count);
  for (std::size_t k = 0; k < q.count; ++k) {
    best[k] = q.reward(k, 0);
    for (std::size_t i = 1; i < q.m; ++i) best[k] = std::max(best[k], q.reward(k, i));
  }
  PL_TRY(Mix mix, best_worst_case(options(q.m), q.values, best));
  return act(tidy(std::move(mix.share)), mix.value,
             fmt::format("no plausible reward loses more than {:.6g} against its best", -mix.value));
}

base::Result<Decision> baseline(const RuleSpec& spec, const Question& q) {
  const auto base = trusted(q);
  if (!base) return needs(spec, "a base policy or a fallback");
  const std::vector<double> offset = returns_of(q.values, *base);
  const double alpha = spec.parameters[0];
  PL_TRY(Mix mix, alpha == 0 ? best_worst_case(options(q.m), q.values, offset)
                             : best_tail(options(q.m), q.values, alpha, 0, offset));
  std::string reason =
      alpha == 0
          ? fmt::format("gains at least {:.6g} over the base policy by every plausible reward", mix.value)
          : fmt::format("gains {:.6g} over the base policy on the mean of the worst {}", mix.value, per_cent(alpha));
  return act(tidy(std::move(mix.share)), mix.value, std::move(reason));
}

base::Result<Decision> quantilized(const RuleSpec& spec, const Question& q) {
  if (q.situation.base.empty()) return needs(spec, "a base policy");
  PL_TRY(Quantile found, quantilize(q.situation.base, q.mean, spec.parameters[0]));
  double value = 0;
  for (std::size_t i = 0; i < q.m; ++i) value += found.probability[i] * q.mean[i];
  Decision decided =
      act(std::move(found.probability), value,
          fmt::format("drawn from the best {} of the base policy; any cost is at most {:.6g} times the base's",
                      per_cent(spec.parameters[0]), found.cost_factor));
  decided.cost_factor = found.cost_factor;
  return decided;
}

base::Result<Decision> satisfice(const RuleSpec& spec, const Question& q) {
  const double enough = spec.parameters[0];
  const std::vector<double> base = q.situation.base.empty() ? alike(q.m) : q.situation.base;
  std::vector<double> chosen(q.m, 0.0);
  std::size_t good = 0;
  double mass = 0;
  for (std::size_t i = 0; i < q.m; ++i) {
    if (q.mean[i] < enough) continue;
    ++good;
    mass += base[i];
    chosen[i] = base[i];
  }
  if (good == 0) {
    if (q.situation.fallback) {
      const std::size_t i = *q.situation.fallback;
      return Decision{Act::kFallBack, point(q.m, i), q.mean[i], fmt::format("no option has a mean of {:.6g}", enough)};
    }
    const std::size_t i = best_of(q.mean);
    return act(point(q.m, i), q.mean[i],
               fmt::format("no option has a mean of {:.6g}; the best has {:.6g}", enough, q.mean[i]));
  }
  // Good options that the base policy never takes are alike.
  for (std::size_t i = 0; i < q.m; ++i) {
    if (q.mean[i] >= enough) chosen[i] = mass > 0 ? chosen[i] / mass : 1.0 / static_cast<double>(good);
  }
  double value = 0;
  for (std::size_t i = 0; i < q.m; ++i) value += chosen[i] * q.mean[i];
  return act(std::move(chosen), value,
             fmt::format("{} of {} options have a mean of at least {:.6g}", good, q.m, enough));
}

base::Result<Decision> ask(const RuleSpec& spec, const Question& q) {
  const double tolerated = spec.parameters[0];
  const std::size_t i = best_of(q.mean);
  double doubt = 0;
  double informed = 0;
  for (std::size_t k = 0; k < q.count; ++k) {
    double best = q.reward(k, 0);
    for (std::size_t j = 1; j < q.m; ++j) best = std::max(best, q.reward(k, j));
    const double p = q.values.probability[k];
    informed += p * best;
    const double against = q.situation.fallback ? q.reward(k, *q.situation.fallback) : best;
    if (q.reward(k, i) < against) doubt += p;
  }
  const bool sure = doubt <= tolerated;
  const std::string figures = fmt::format("doubt {:.4g}, acting {:.6g}", doubt, q.mean[i]);
  if (q.situation.ask_cost) {
    const double asking = informed - *q.situation.ask_cost;
    const double otherwise =
        q.situation.fallback ? q.mean[*q.situation.fallback] : -std::numeric_limits<double>::infinity();
    if (asking > q.mean[i] || (!sure && asking > otherwise)) {
      return Decision{Act::kAsk, {}, asking, fmt::format("{}, asking {:.6g}", figures, asking)};
    }
  }
  if (sure) return act(point(q.m, i), q.mean[i], figures);
  if (q.situation.fallback) {
    const std::size_t safe = *q.situation.fallback;
    return Decision{Act::kFallBack, point(q.m, safe), q.mean[safe], figures};
  }
  return Decision{Act::kRefuse, {}, 0, figures};
}

base::Result<Decision> vote(const Question& q) {
  const std::vector<double> weight = q.situation.base.empty() ? alike(q.m) : q.situation.base;
  std::vector<double> score(q.m, 0.0);
  for (std::size_t k = 0; k < q.count; ++k) {
    double mean = 0;
    double largest = 0;
    for (std::size_t i = 0; i < q.m; ++i) {
      mean += weight[i] * q.reward(k, i);
      largest = std::max(largest, std::abs(q.reward(k, i)));
    }
    double variance = 0;
    for (std::size_t i = 0; i < q.m; ++i) variance += weight[i] * (q.reward(k, i) - mean) * (q.reward(k, i) - mean);
    const double deviation = std::sqrt(variance);
    if (deviation <= 1e-12 * largest) continue;  // all options alike: no voice
    for (std::size_t i = 0; i < q.m; ++i) score[i] += q.values.probability[k] * (q.reward(k, i) - mean) / deviation;
  }
  const std::size_t i = best_of(score);
  return act(point(q.m, i), score[i], fmt::format("option {} has the most votes, {:.6g} deviations", i, score[i]));
}

base::Result<Decision> nash(const Question& q) {
  const std::vector<double> base = trusted(q).value_or(alike(q.m));
  PL_TRY(Bargain found, bargain(options(q.m), q.values, returns_of(q.values, base)));
  if (!found.agreed) {
    double value = 0;
    return Decision{Act::kFallBack, base, value,
                    "no choice is better than the base by every plausible reward with a stake"};
  }
  return act(
      tidy(std::move(found.mix.share)), found.mix.value,
      fmt::format("the rewards gain {} of their best, by the weighted geometric mean", per_cent(found.mix.value)));
}

class NamedRule final : public decision::DecisionRule {
 public:
  explicit NamedRule(RuleSpec spec) : spec_(std::move(spec)) {}
  std::string name() const override { return rule_name(spec_); }

  base::Result<Decision> decide(const RewardPosterior& values, const Situation& situation) const override {
    if (values.rewards.cols() == 0) return base::make_error(base::Code::kValue, "no option", std::string(kDecide));
    PL_CHECK(decision::validate(values));
    const Question q{values, situation, static_cast<std::size_t>(values.rewards.cols()),
                     static_cast<std::size_t>(values.rewards.rows()), decision::mean_reward(values)};
    PL_CHECK(check_situation(q));
    const std::vector<double>& p = spec_.parameters;
    switch (spec_.rule) {
      case Rule::kExpected: return expected(q);
      case Rule::kMaximin: {
        PL_TRY(Mix mix, best_worst_case(options(q.m), values));
        return act(tidy(std::move(mix.share)), mix.value,
                   fmt::format("worth at least {:.6g} by every plausible reward", mix.value));
      }
      case Rule::kRegret: return regret(q);
      case Rule::kCvar: {
        PL_TRY(Mix mix, best_tail(options(q.m), values, p[0]));
        return act(tidy(std::move(mix.share)), mix.value,
                   fmt::format("the mean of the worst {} is {:.6g}", per_cent(p[0]), mix.value));
      }
      case Rule::kBroil: {
        PL_TRY(Mix mix, best_tail(options(q.m), values, p[1], p[0]));
        return act(tidy(std::move(mix.share)), mix.value,
                   fmt::format("{} of the mean and {} of the mean of the worst {} come to {:.6g}", per_cent(p[0]),
                               per_cent(1 - p[0]), per_cent(p[1]), mix.value));
      }
      case Rule::kBaseline: return baseline(spec_, q);
      case Rule::kQuantilize: return quantilized(spec_, q);
      case Rule::kSatisfice: return satisfice(spec_, q);
      case Rule::kAsk: return ask(spec_, q);
      case Rule::kVote: return vote(q);
      case Rule::kBargain: return nash(q);
    }
    throw base::InternalError("decide: no such rule");
  }

 private:
  static base::Status check_situation(const Question& q) {
    const Situation& s = q.situation;
    if (!s.base.empty()) {
      PL_CHECK(base::check_size(kDecide, "base", std::ssize(s.base), static_cast<std::ptrdiff_t>(q.m)));
      double sum = 0;
      for (const double p : s.base) {
        PL_CHECK(base::check_in(kDecide, "base", p, 0, 1));
        sum += p;
      }
      if (!(std::abs(sum - 1) <= 1e-9)) {
        return base::make_error(base::Code::kValue, fmt::format("base sums to {:.12g} instead of 1", sum),
                                std::string(kDecide));
      }
    }
    if (s.fallback) {
      PL_CHECK(base::check_in(kDecide, "fallback", static_cast<double>(*s.fallback), 0, static_cast<double>(q.m) - 1));
    }
    if (s.ask_cost) PL_CHECK(base::check_finite(kDecide, "ask_cost", *s.ask_cost));
    return base::ok();
  }

  RuleSpec spec_;
};

}  // namespace

const std::vector<RuleFacts>& rules() {
  static const std::vector<RuleFacts> kRules = [] {
    const RuleParameter tail{"share", 0.1, 0, 1, true, "share of the worst cases that is averaged"};
    constexpr double kFar = 1e300;
    return std::vector<RuleFacts>{
        {Rule::kExpected, "expected", {}, "best on average", "", "Bernoulli 1738"},
        {Rule::kMaximin, "maximin", {}, "best by the least favourable plausible reward", "", "Wald 1950"},
        {Rule::kRegret, "regret", {}, "least worst regret against what each reward could have had", "", "Savage 1951"},
        {Rule::kCvar,
         "cvar",
         {tail},
         "best mean of the worst share of plausible rewards",
         "",
         "Rockafellar and Uryasev 2000"},
        {Rule::kBroil,
         "broil",
         {{"weight", 0.5, 0, 1, false, "of the mean against the worst share"}, tail},
         "a mean of the average and of the worst share",
         "",
         "Brown, Niekum, Petrik 2020"},
        {Rule::kBaseline,
         "baseline",
         {{"share", 0, 0, 1, false, "of the worst cases that is averaged; 0: the worst case"}},
         "best gain over the base policy in the worst cases",
         "a base policy or a fallback",
         "Hadfield-Menell et al. 2017"},
        {Rule::kQuantilize,
         "quantilize",
         {{"share", 0.1, 0, 1, true, "of the base policy's mass that is kept"}},
         "a draw from the better part of the base policy",
         "a base policy",
         "Taylor 2016"},
        {Rule::kSatisfice,
         "satisfice",
         {{"enough", 0, -kFar, kFar, false, "mean value that is good enough"}},
         "the base policy among what is good enough",
         "",
         "Simon 1956"},
        {Rule::kAsk,
         "ask",
         {{"doubt", 0.05, 0, 1, false, "probability of being wrong that is tolerated"}},
         "acts when sure enough, asks when that is worth its cost, else takes the safe option",
         "",
         "Hadfield-Menell et al. 2017, off-switch"},
        {Rule::kVote,
         "vote",
         {},
         "each plausible reward votes with the same variance",
         "",
         "MacAskill, Bykvist, Ord 2020"},
        {Rule::kBargain, "bargain", {}, "the bargain that the plausible rewards would settle on", "", "Nash 1950"},
    };
  }();
  return kRules;
}

const RuleFacts& rule_facts(Rule rule) { return rules()[static_cast<std::size_t>(rule)]; }

base::Result<RuleSpec> parse_rule_spec(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string id(text.substr(0, colon));
  const RuleFacts* facts = nullptr;
  std::vector<std::string> known;
  for (const RuleFacts& f : rules()) {
    known.push_back(f.id);
    if (f.id == id) facts = &f;
  }
  if (facts == nullptr) {
    const std::string near = base::nearest(id, known);
    return base::make_error(
        base::Code::kValue, fmt::format("unknown rule \"{}\"", id), "rule",
        near.empty() ? fmt::format("known: {}", base::join_words(known)) : fmt::format("did you mean \"{}\"?", near));
  }
  RuleSpec spec{facts->rule, {}};
  std::string_view rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  bool more = colon != std::string_view::npos;
  while (more) {
    const std::size_t end = rest.find(':');
    const std::string_view word = rest.substr(0, end);
    double number = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), number);
    if (word.empty() || read.ec != std::errc() || read.ptr != word.data() + word.size() || !std::isfinite(number)) {
      return base::make_error(base::Code::kParse, fmt::format("\"{}\" is no number", word), std::string(text));
    }
    if (spec.parameters.size() == facts->parameters.size()) {
      return base::make_error(base::Code::kParse, fmt::format("the rule takes {} numbers", facts->parameters.size()),
                              std::string(text));
    }
    const RuleParameter& parameter = facts->parameters[spec.parameters.size()];
    if (number < parameter.low || number > parameter.high || (parameter.low_open && number == parameter.low)) {
      return base::make_error(base::Code::kValue,
                              fmt::format("{} {} is outside {}{}, {}]", parameter.name, number,
                                          parameter.low_open ? "(" : "[", parameter.low, parameter.high),
                              std::string(text), parameter.help);
    }
    spec.parameters.push_back(number);
    more = end != std::string_view::npos;
    if (more) rest = rest.substr(end + 1);
  }
  while (spec.parameters.size() < facts->parameters.size()) {
    spec.parameters.push_back(facts->parameters[spec.parameters.size()].fallback);
  }
  return spec;
}

std::string rule_name(const RuleSpec& spec) {
  std::string name = rule_facts(spec.rule).id;
  for (const double p : spec.parameters) name += fmt::format(":{}", p);
  return name;
}

decision::DecisionRulePtr make_rule(const RuleSpec& spec) {
  base::ensure(spec.parameters.size() == rule_facts(spec.rule).parameters.size(),
               "make_rule: not as many numbers as the rule takes");
  return std::make_unique<NamedRule>(spec);
}

base::Result<decision::DecisionRulePtr> parse_rule(std::string_view text) {
  PL_TRY(const RuleSpec spec, parse_rule_spec(text));
  return make_rule(spec);
}

}  // namespace plumbline::caution
