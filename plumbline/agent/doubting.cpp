#include "plumbline/agent/doubting.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "plumbline/agent/continuations.hpp"
#include "plumbline/agent/policies.hpp"
#include "plumbline/agent/reached.hpp"
#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/caution/rule_planning.hpp"
#include "plumbline/reward/inverse_reward_design.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::agent {
namespace {

using caution::Rule;
using caution::RuleSpec;
using decision::RewardPosterior;

enum class Source { kLiteral, kDesign, kSlips };

/// A number that may follow the rule, "/slip=0.3".
struct Term {
  const char* name;
  double fallback;
  double low;
  double high;
  bool whole;
  Source source;   ///< whose it is …
  bool any;        ///< … or everybody's
  bool questions;  ///< only with the rule that asks
};
constexpr double kMany = 1e9;
constexpr Term kTerms[] = {
    {"slip", 0.5, 0, 0.99, false, Source::kSlips, false, false},
    {"beta", 1, 0, 1e6, false, Source::kDesign, false, false},
    {"candidates", 200, 2, 5000, true, Source::kDesign, false, false},
    {"plausible", 30, 2, 1000, true, Source::kDesign, false, false},
    {"accuracy", 1, 0, 1, false, Source::kLiteral, true, true},
    {"delay", 0, 0, kMany, true, Source::kLiteral, true, true},
    {"budget", 1000, 0, kMany, true, Source::kLiteral, true, true},
    {"bias", 0, 0, 1, false, Source::kLiteral, true, true},
};

struct Design {
  Source source = Source::kLiteral;
  RuleSpec rule;
  std::map<std::string, double> terms;
  std::string base;  ///< id of an agent; empty: chance
  double term(std::string_view name) const {
    const auto own = terms.find(std::string(name));
    if (own != terms.end()) return own->second;
    for (const Term& t : kTerms) {
      if (name == t.name) return t.fallback;
    }
    throw base::InternalError("there is no such term");
  }
};

/// Programs over policies beyond this size take minutes.
constexpr std::size_t kMostFlows = 12'000;

/// Flows of the horizon's program: actions of reached pairs of time and state.
std::size_t flows_of(const world::Process& process) {
  std::vector<std::uint8_t> here(process.states, 0);
  for (std::uint32_t s = 0; s < process.states; ++s) here[s] = process.initial[s] > 0 ? 1 : 0;
  std::size_t count = 0;
  for (int t = 0; t < process.horizon && count <= kMostFlows; ++t) {
    std::vector<std::uint8_t> there(process.states, 0);
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (here[s] == 0) continue;
      count += process.actions;
      for (std::uint64_t i = process.first[process.pair(s, 0)]; i < process.first[process.pair(s, 0) + process.actions];
           ++i) {
        if (process.next[i] != process.end() && process.probability[i] > 0) there[process.next[i]] = 1;
      }
    }
    here = std::move(there);
  }
  return count;
}

/// With one reward there is nothing to be careful about: these rules are then the optimum.
bool plain_when_sure(Rule rule) {
  return rule == Rule::kExpected || rule == Rule::kMaximin || rule == Rule::kRegret || rule == Rule::kCvar ||
         rule == Rule::kBroil || rule == Rule::kBaseline;
}

bool needs_base(Rule rule) { return rule == Rule::kQuantilize || rule == Rule::kBaseline; }

base::Result<RewardPosterior> design_posterior(const world::ObservedModel& model, Assignment& given,
                                               const Design& design) {
  const world::WorldFacts& facts = given.world.facts();
  if (!model.features) {
    return base::make_error(base::Code::kUnsupported, "its reward is not written over features", "world " + facts.id,
                            "`slips` doubts any reward");
  }
  // The designer looked at the level of that name, or at this very world.
  std::shared_ptr<const world::ObservedModel> looked_at;
  if (std::find(facts.levels.begin(), facts.levels.end(), "design") != facts.levels.end()) {
    world::WorldSpec spec{facts.id, "design", {}};
    for (const world::DialSpec& dial : facts.dials) spec.dials[dial.name] = dial.fallback;
    PL_TRY(const world::WorldPtr country, world::make_world(spec));
    PL_TRY(looked_at, country->observed_model());
  }
  const world::ObservedModel& country = looked_at ? *looked_at : model;
  double size = 1e-9;
  for (const double w : model.weights) size = std::max(size, std::abs(w));
  base::Rng rng = given.rng.fork("design");
  const MatrixD candidates = reward::uniform_candidates(static_cast<std::ptrdiff_t>(design.term("candidates")),
                                                        model.features->cols(), size, rng);
  PL_TRY(const reward::DesignPosterior posterior,
         reward::inverse_reward_design(*country.process, *country.features, model.weights, candidates,
                                       design.term("beta")));
  // Draws rather than all candidates: rules over worst cases are about what is plausible, not about what is possible.
  reward::DesignPosterior drawn;
  drawn.weights = reward::draw_weights(posterior, static_cast<std::ptrdiff_t>(design.term("plausible")), rng);
  drawn.probability.assign(static_cast<std::size_t>(drawn.weights.rows()),
                           1.0 / static_cast<double>(drawn.weights.rows()));
  // Rewards are known up to a constant only: a step like the designer's own is worth 0 by every reading, or the worst
  // case would be about constants.
  const std::vector<double> usual = reward::design_baseline(posterior);
  MatrixD features = *model.features;
  for (std::ptrdiff_t f = 0; f < features.cols(); ++f) {
    for (std::ptrdiff_t pair = 0; pair < features.rows(); ++pair) {
      features(pair, f) -= usual[static_cast<std::size_t>(f)];
    }
  }
  PL_TRY(RewardPosterior values, reward::rewards_over(drawn, features));
  values.source = fmt::format("inverse reward design: {} drawn of {} candidates, beta {}", drawn.weights.rows(),
                              candidates.rows(), design.term("beta"));
  return values;
}

class DoubtingPlanner final : public Agent {
 public:
  DoubtingPlanner(AgentFacts facts, Design design, AgentPtr base)
      : facts_(std::move(facts)), design_(std::move(design)), base_(std::move(base)) {}
  const AgentFacts& facts() const override { return facts_; }
  base::Result<PolicyPtr> learn(Assignment given) const override {
    PL_TRY(const Outlook own, outlook(given));
    return plan(own, given);
  }
  base::Result<Outlook> outlook(Assignment& given) const override {
    PL_TRY(std::shared_ptr<const world::ObservedModel> model, given.world.observed_model());
    RewardPosterior values;
    switch (design_.source) {
      case Source::kLiteral: values = decision::literal(model->reward); break;
      case Source::kDesign: {
        PL_TRY(values, design_posterior(*model, given, design_));
        break;
      }
      case Source::kSlips: {
        PL_TRY(values, reward_slips(model->reward, design_.term("slip")));
        break;
      }
    }
    return Outlook{std::move(model), std::move(values)};
  }
  base::Result<PolicyPtr> plan(const Outlook& by, Assignment& given) const override {
    const world::Process& process = *by.model->process;
    Account account;
    std::optional<world::TabularPolicy> base;
    if (base_) {
      PL_TRY(const PolicyPtr trusted,
             base_->learn({given.world, given.budget, given.rng.fork("base"), nullptr, given.cancel}));
      PL_TRY(base, trusted->table(*by.model));
    } else if (needs_base(design_.rule.rule)) {
      base = world::uniform_policy(process);
    }
    if (design_.rule.rule == Rule::kAsk) {
      PL_TRY(AskedPlan asked, plan_with_questions(process, by.values, by.model->keys, design_.rule, given.overseer,
                                                  base ? &*base : nullptr));
      account.questions = asked.questions;
      account.answered = asked.answered;
      account.text = fmt::format("asked {}, answered {}, left {} decisions to the base policy", asked.questions,
                                 asked.answered, asked.deferred);
      return PolicyPtr(std::make_shared<ModelPolicy>(by.model, std::move(asked.policy), std::move(account)));
    }
    const bool sure = by.values.size() == 1 && plain_when_sure(design_.rule.rule);
    if (design_.rule.rule == Rule::kExpected || sure) {
      PL_CHECK(decision::validate(by.values));
      PL_TRY(world::Plan best, world::finite_horizon(process, decision::mean_reward(by.values)));
      account.text = fmt::format("{} rewards, mean return {:.6g}", by.values.size(), best.start);
      return PolicyPtr(std::make_shared<ModelPolicy>(by.model, std::move(best.policy), std::move(account)));
    }
    if (const std::size_t flows = flows_of(process); flows > kMostFlows) {
      return base::make_error(base::Code::kLimit,
                              fmt::format("the program over its policies has more than {} flows", kMostFlows),
                              "agent " + facts_.id, "run it in a smaller world");
    }
    caution::RulePlanOptions options;
    options.base = std::move(base);
    PL_TRY(caution::RulePlan found, caution::plan_by_rule(process, by.values, design_.rule, options));
    account.cost_factor = found.cost_factor;
    account.text = fmt::format("{} rewards, {} comes to {:.6g} within {:.2g}", by.values.size(),
                               caution::rule_name(design_.rule), found.value, found.gap);
    if (found.cost_factor > 0) {
      account.text += fmt::format("; any additive cost is at most {:.6g} times the base policy's", found.cost_factor);
    }
    if (!found.agreed) account.text += "; no agreement, the base policy stays";
    return PolicyPtr(std::make_shared<ModelPolicy>(by.model, std::move(found.policy), std::move(account)));
  }

 private:
  AgentFacts facts_;
  Design design_;
  AgentPtr base_;
};

base::Error bad(const std::string& id, std::string what, std::string hint) {
  return base::make_error(base::Code::kValue, std::move(what), "agent " + id, std::move(hint));
}

base::Result<AgentPtr> make_doubting(const AgentFacts& common, Source source, std::string_view usual,
                                     std::string_view argument) {
  const std::string& id = common.id;
  Design design;
  design.source = source;
  std::size_t slash = argument.find('/');
  std::string_view rule = argument.substr(0, slash);
  if (rule.empty()) rule = usual;
  PL_TRY(design.rule, caution::parse_rule_spec(rule));
  AgentFacts own = common;
  own.id = fmt::format("{}:{}", id, caution::rule_name(design.rule));
  std::vector<std::string> known = {"base"};
  for (const Term& t : kTerms) {
    if (t.any || t.source == source) known.emplace_back(t.name);
  }
  AgentPtr base;
  std::map<std::string, std::string> words;
  while (slash != std::string_view::npos) {
    const std::size_t end = argument.find('/', slash + 1);
    const std::string_view word = argument.substr(slash + 1, end == std::string_view::npos ? end : end - slash - 1);
    slash = end;
    const std::size_t equals = word.find('=');
    const std::string name(word.substr(0, equals));
    if (equals == std::string_view::npos || std::find(known.begin(), known.end(), name) == known.end()) {
      return bad(id, fmt::format("'{}' is no term", word),
                 fmt::format("terms are {}, each as name=value", base::join_words(known)));
    }
    const std::string_view value = word.substr(equals + 1);
    if (!words.emplace(name, value).second) return bad(id, fmt::format("'{}' is given twice", name), "give it once");
    if (name == "base") {
      PL_TRY(base, make_agent(value));
      if (base->facts().overseer) return bad(id, "a base policy that asks", "name an agent that asks nobody");
      words[name] = base->facts().id;
      continue;
    }
    const Term* term =
        std::find_if(std::begin(kTerms), std::end(kTerms), [&](const Term& t) { return name == t.name; });
    double number = 0;
    const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || stop != value.data() + value.size() || !(number >= term->low && number <= term->high) ||
        (term->whole && number != std::floor(number))) {
      return bad(id,
                 fmt::format("{}={} is no {} from {} to {}", name, value, term->whole ? "whole number" : "number",
                             term->low, term->high),
                 fmt::format("for example {}={}", name, term->fallback));
    }
    if (term->questions && design.rule.rule != Rule::kAsk) {
      return bad(
          id, fmt::format("{} is of an overseer, and the rule {} asks nobody", name, caution::rule_name(design.rule)),
          fmt::format("{}:ask/{}={}", id, name, value));
    }
    design.terms[name] = number;
    words[name] = fmt::format("{}", number);
  }
  for (const std::string& name : known) {
    if (words.contains(name)) own.id += fmt::format("/{}={}", name, words[name]);
  }
  own.rule = std::string(caution::rule_facts(design.rule.rule).id) + (source == Source::kLiteral ? "" : " under doubt");
  own.deterministic = source != Source::kDesign && (!base || base->facts().deterministic);
  if (design.rule.rule == Rule::kAsk) {
    own.overseer = OverseerTerms{design.term("accuracy"), static_cast<std::int64_t>(design.term("delay")),
                                 static_cast<std::int64_t>(design.term("budget")), design.term("bias")};
    own.deterministic = own.deterministic && own.overseer->accuracy >= 1 && own.overseer->bias <= 0;
  }
  return AgentPtr(std::make_unique<DoubtingPlanner>(std::move(own), std::move(design), std::move(base)));
}

AgentEntry doubting(AgentFacts facts, Source source, std::string usual, std::string terms,
                    std::vector<std::string> ids) {
  facts.kind = "conservative";
  facts.needs_model = true;
  return {facts,
          "a decision rule with its numbers, then /base=AGENT, " + terms +
              "and, for ask, /accuracy= /delay= /budget= /bias=",
          [facts, source, usual = std::move(usual)](std::string_view argument) {
            return make_doubting(facts, source, usual, argument);
          },
          std::move(ids)};
}

}  // namespace

base::Result<RewardPosterior> reward_slips(std::span<const double> reward, double slip) {
  constexpr std::string_view kFunction = "reward_slips";
  constexpr std::size_t kMostKinds = 9;
  constexpr double kBins = 8;
  PL_CHECK(base::check_at_least(kFunction, "reward", std::ssize(reward), 1));
  PL_CHECK(base::check_all_finite(kFunction, "reward", reward));
  PL_CHECK(base::check_in(kFunction, "slip", slip, 0, 1));
  if (slip >= 1) return base::make_error(base::Code::kValue, "slip is 1, expected less", std::string(kFunction));
  std::vector<double> distinct(reward.begin(), reward.end());
  std::sort(distinct.begin(), distinct.end());
  const double low = distinct.front();
  const double high = distinct.back();
  const double same = 1e-9 * std::max({1e-300, std::abs(low), std::abs(high)});
  distinct.erase(std::unique(distinct.begin(), distinct.end(), [&](double a, double b) { return b - a <= same; }),
                 distinct.end());
  const bool binned = distinct.size() > kMostKinds;
  const auto kind_of = [&](double r) {
    if (binned) return static_cast<std::size_t>(std::min(kBins - 1, std::floor((r - low) / (high - low) * kBins)));
    return static_cast<std::size_t>(std::upper_bound(distinct.begin(), distinct.end(), r + same) - distinct.begin()) -
           1;
  };
  const std::size_t kinds = binned ? static_cast<std::size_t>(kBins) : distinct.size();
  std::vector<std::size_t> count(kinds, 0);
  std::vector<double> sum(kinds, 0.0);
  for (const double r : reward) {
    ++count[kind_of(r)];
    sum[kind_of(r)] += r;
  }
  const auto ordinary = static_cast<std::size_t>(std::max_element(count.begin(), count.end()) - count.begin());
  const double usual = binned ? sum[ordinary] / static_cast<double>(count[ordinary]) : distinct[ordinary];
  std::vector<std::size_t> events;
  for (std::size_t k = 0; k < kinds; ++k) {
    if (k != ordinary && count[k] > 0) events.push_back(k);
  }
  if (events.empty() || slip == 0) return decision::literal(std::vector<double>(reward.begin(), reward.end()));
  RewardPosterior values;
  const auto pairs = static_cast<std::ptrdiff_t>(reward.size());
  values.rewards.resize(1 + 2 * static_cast<std::ptrdiff_t>(events.size()), pairs);
  values.names = {"literal"};
  values.probability.assign(1 + 2 * events.size(), slip / (2 * static_cast<double>(events.size())));
  values.probability[0] = 1 - slip;
  for (std::ptrdiff_t i = 0; i < pairs; ++i) {
    const double r = reward[static_cast<std::size_t>(i)];
    for (std::ptrdiff_t k = 0; k < values.rewards.rows(); ++k) values.rewards(k, i) = r;
    const auto event = std::find(events.begin(), events.end(), kind_of(r));
    if (event == events.end()) continue;
    const std::ptrdiff_t row = 1 + 2 * (event - events.begin());
    values.rewards(row, i) = usual;
    values.rewards(row + 1, i) = 2 * usual - r;
  }
  for (const std::size_t k : events) {
    const double mean = sum[k] / static_cast<double>(count[k]);
    values.names.push_back(fmt::format("{:.6g} counts as {:.6g}", mean, usual));
    values.names.push_back(fmt::format("{:.6g} counts as {:.6g}", mean, 2 * usual - mean));
  }
  values.source =
      fmt::format("the reward or one slip among {} kinds of event, probability {:.6g}", events.size(), slip);
  return values;
}

base::Result<AskedPlan> plan_with_questions(const world::Process& process, const RewardPosterior& values,
                                            std::span<const std::uint64_t> keys, const RuleSpec& rule,
                                            decision::Overseer* overseer, const world::TabularPolicy* base) {
  constexpr std::string_view kFunction = "plan_with_questions";
  PL_TRY(const Continuations continuations, Continuations::make(process, values));
  PL_CHECK(base::check_size(kFunction, "keys", std::ssize(keys), static_cast<std::ptrdiff_t>(process.states)));
  if (base != nullptr) PL_CHECK(world::validate_policy(process, *base));
  const auto rewards = static_cast<std::size_t>(values.size());
  const std::uint32_t actions = process.actions;
  AskedPlan asked;
  PL_TRY(world::Plan mean, world::finite_horizon(process, decision::mean_reward(values)));
  asked.policy = std::move(mean.policy);
  const decision::DecisionRulePtr decides = caution::make_rule(rule);
  decision::Query query;
  for (std::uint32_t a = 0; a < actions; ++a) query.options.push_back(static_cast<std::int32_t>(a));
  RewardPosterior here;
  here.probability = values.probability;
  here.rewards.resize(values.size(), actions);
  const auto decide = [&](std::size_t t, std::uint32_t s, std::span<double> row) -> base::Status {
    for (std::size_t k = 0; k < rewards; ++k) {
      for (std::uint32_t a = 0; a < actions; ++a)
        here.rewards(static_cast<std::ptrdiff_t>(k), a) = continuations.worth(k, t, process.pair(s, a));
    }
    decision::Situation situation;
    if (overseer != nullptr) situation.ask_cost = 0;
    PL_TRY(decision::Decision decided, decides->decide(here, situation));
    if (decided.act == decision::Act::kAsk) {
      query.situation = keys[s];
      query.deadline = static_cast<std::int64_t>(t);
      ++asked.questions;
      PL_TRY(const decision::Answer answer, overseer->ask(query));
      if (answer.kind == decision::AnswerKind::kChoice && answer.choice) {
        ++asked.answered;
        decided.act = decision::Act::kAct;
        decided.probability.assign(actions, 0.0);
        decided.probability.at(*answer.choice) = 1;
      } else {
        situation.ask_cost.reset();
        PL_TRY(decided, decides->decide(here, situation));
      }
    }
    if (decided.act == decision::Act::kRefuse) {
      ++asked.deferred;
      if (base != nullptr) {
        const std::span<const double> trusted = base->at(static_cast<int>(t), s);
        decided.probability.assign(trusted.begin(), trusted.end());
      } else {
        decided.probability.assign(actions, 1.0 / actions);
      }
    }
    std::copy(decided.probability.begin(), decided.probability.end(), row.begin());
    return base::ok();
  };
  PL_CHECK(decide_where_reached(process, asked.policy, decide));
  return asked;
}

AgentEntry literal_planner() {
  return doubting({.id = "literal",
                   .title = "Literal reward under a rule",
                   .rule = "decision rule",
                   .kind = {},
                   .help = "takes the reward at its word and optimises it as the rule says; alone: quantilize:0.1",
                   .sources = {"Taylor, Quantilizers, AAAI workshop 2016"}},
                  Source::kLiteral, "quantilize:0.1", "", {"literal:quantilize:0.1"});
}

AgentEntry design_planner() {
  return doubting({.id = "design",
                   .title = "Inverse reward design",
                   .rule = "decision rule under doubt",
                   .kind = {},
                   .help = "takes the reward as what its designer found good where they looked; alone: maximin",
                   .sources = {"Hadfield-Menell et al., Inverse reward design, NeurIPS 2017"}},
                  Source::kDesign, "maximin",
                  "/beta= /candidates= /plausible= ", {"design:expected", "design:maximin"});
}

AgentEntry slips_planner() {
  return doubting(
      {.id = "slips",
       .title = "One slip of the author",
       .rule = "decision rule under doubt",
       .kind = {},
       .help = "holds it possible that one kind of event is paid for wrongly; alone: maximin",
       .sources = {"Regan, Boutilier, Regret-based reward elicitation, UAI 2009", "Hadfield-Menell et al. 2017"}},
      Source::kSlips, "maximin", "/slip= ",
      {"slips:expected", "slips:maximin", "slips:regret", "slips:vote", "slips:bargain",
       "slips:ask:0.05/accuracy=0.9"});
}

}  // namespace plumbline::agent
