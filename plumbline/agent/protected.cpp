#include "plumbline/agent/protected.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/agent/policies.hpp"
#include "plumbline/agent/reached.hpp"
#include "plumbline/agent/terms.hpp"
#include "plumbline/base/guard.hpp"
#include "plumbline/caution/conformal.hpp"
#include "plumbline/caution/hierarchy.hpp"
#include "plumbline/reach/shield.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::agent {
namespace {

using decision::AnswerKind;

constexpr double kMany = 1e9;
constexpr NumberTerm kAccuracy{"accuracy", 1, 0, 1};
constexpr NumberTerm kBudget{"budget", kMany, 0, kMany, true};
constexpr NumberTerm kBias{"bias", 0, 0, 1};
constexpr NumberTerm kSway{"sway", 0, 0, 1};
constexpr NumberTerm kCalibration{"calibration", 200, 2, 100000, true};
constexpr NumberTerm kAlpha{"alpha", 0.1, 0.001, 0.999};
constexpr NumberTerm kTarget{"target", 0.9, 0.001, 0.999};
constexpr NumberTerm kConfidence{"confidence", 0.9, 0.001, 0.9999};
constexpr NumberTerm kBelow{"below", -1e12, -1e12, 1e12};
constexpr NumberTerm kOfConformal[] = {kAlpha, kCalibration, kAccuracy, kBudget, kBias, kSway};
constexpr NumberTerm kOfHierarchical[] = {kTarget, kConfidence, kCalibration, kAccuracy, kBudget, kBias, kSway};
constexpr NumberTerm kOfShielded[] = {kBelow, kAccuracy, kBudget, kSway};
constexpr std::string_view kWords[] = {"fallback", "visits", "else"};
constexpr std::string_view kOrder[] = {"alpha",    "target", "confidence", "below", "calibration", "visits",
                                       "accuracy", "budget", "bias",       "sway",  "fallback",    "else"};

std::span<const NumberTerm> numbers_of(Protection protection) {
  switch (protection) {
    case Protection::kConformal: return kOfConformal;
    case Protection::kHierarchical: return kOfHierarchical;
    case Protection::kShielded: return kOfShielded;
  }
  return {};
}

std::span<const std::string_view> words_of(Protection protection) {
  const std::span<const std::string_view> all(kWords);
  return all.first(protection == Protection::kConformal ? 3 : protection == Protection::kHierarchical ? 2 : 1);
}

AgentFacts common(Protection protection) {
  AgentFacts facts;
  facts.id = protection_name(protection);
  facts.kind = "conservative";
  facts.needs_model = true;
  switch (protection) {
    case Protection::kConformal:
      facts.title = "Behind a prediction set";
      facts.rule = "conformal set";
      facts.help = "acts where a conformal set leaves one action, else the fallback decides";
      facts.sources = {"Sadinle, Lei, Wasserman, Least ambiguous set-valued classifiers, JASA 2019"};
      break;
    case Protection::kHierarchical:
      facts.title = "As specific as an accuracy allows";
      facts.rule = "hierarchical answer";
      facts.help = "answers with a group of actions where no single one is accurate enough";
      facts.sources = {"Deng, Krause, Berg, Fei-Fei, Hedging your bets, CVPR 2012"};
      break;
    case Protection::kShielded:
      facts.title = "Behind a shield";
      facts.rule = "shield";
      facts.help = "takes no step after which a harm that people named can no longer be avoided";
      facts.sources = {"Alshiekh et al., Safe reinforcement learning via shielding, AAAI 2018"};
      break;
  }
  return facts;
}

/// A policy's table with a row for every step.
base::Result<world::TabularPolicy> table_of(const AgentPtr& agent, const world::ObservedModel& model, Assignment& given,
                                            std::string_view stream) {
  PL_TRY(const PolicyPtr policy,
         agent->learn({given.world, given.budget, given.rng.fork(stream), nullptr, given.cancel}));
  PL_TRY(const world::TabularPolicy table, policy->table(model));
  return every_step(*model.process, table);
}

/// A decision that was looked at.
struct Looked {
  std::vector<double> row;  ///< what the agent would do
  int right = 0;
};

/// One decision of an episode of `visits`, all alike.
std::pair<int, std::uint32_t> drawn_decision(const world::Process& process, const world::TabularPolicy& visits,
                                             base::Rng& rng) {
  std::vector<std::uint32_t> met;
  auto state = static_cast<std::uint32_t>(draw(process.initial, rng.bits()));
  for (int t = 0; t < process.horizon && state != process.end(); ++t) {
    met.push_back(state);
    const auto action = static_cast<std::uint32_t>(draw(visits.at(t, state), rng.bits()));
    const std::size_t pair = process.pair(state, action);
    const std::span<const double> chances(process.probability.data() + process.first[pair],
                                          process.first[pair + 1] - process.first[pair]);
    state = process.next[process.first[pair] + static_cast<std::size_t>(draw(chances, rng.bits()))];
  }
  const std::uint64_t t = rng.below(met.size());
  return {static_cast<int>(t), met[t]};
}

/// The agent's options, likeliest first: which of several right ones is named is then its own choice.
decision::Query question_about(const world::ObservedModel& model, int t, std::uint32_t s, std::span<const double> row) {
  decision::Query query;
  query.situation = model.keys[s];
  query.asked_at = query.deadline = t;
  query.options.resize(row.size());
  std::iota(query.options.begin(), query.options.end(), 0);
  std::stable_sort(query.options.begin(), query.options.end(), [&](std::int32_t a, std::int32_t b) {
    return row[static_cast<std::size_t>(a)] > row[static_cast<std::size_t>(b)];
  });
  query.proposal = 0;
  return query;
}

base::Error no_budget(std::int64_t wanted) {
  return base::make_error(base::Code::kLimit,
                          fmt::format("{} questions are wanted, and the overseer answers no more", wanted),
                          "protected agent", "give the overseer a larger budget=, or want less");
}

base::Result<std::vector<Looked>> look_at(const world::ObservedModel& model, const world::TabularPolicy& own,
                                          const world::TabularPolicy& visits, std::int64_t count, Assignment& given) {
  std::vector<Looked> looked;
  base::Rng rng = given.rng.fork("looked at");
  for (std::int64_t i = 0; i < count; ++i) {
    PL_CHECK(given.cancel.status());
    const auto [t, s] = drawn_decision(*model.process, visits, rng);
    const std::span<const double> row = own.at(t, s);
    const decision::Query query = question_about(model, t, s, row);
    PL_TRY(const decision::Answer answer, given.overseer->ask(query));
    if (answer.kind == AnswerKind::kSpent) return no_budget(count);
    if (!answer.choice) continue;  // no opinion
    looked.push_back({{row.begin(), row.end()}, query.options[*answer.choice]});
  }
  return looked;
}

struct Rows {
  MatrixD probabilities;
  std::vector<int> labels;
};
Rows rows_of(std::span<const Looked> looked, std::size_t actions) {
  Rows rows{MatrixD(std::ssize(looked), static_cast<std::ptrdiff_t>(actions)), {}};
  for (std::size_t i = 0; i < looked.size(); ++i) {
    for (std::size_t a = 0; a < actions; ++a)
      rows.probabilities(static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(a)) = looked[i].row[a];
    rows.labels.push_back(looked[i].right);
  }
  return rows;
}

/// One step's rows of a table.
MatrixRefD step_of(const world::TabularPolicy& table, int t) {
  using Map = Eigen::Map<const MatrixD>;
  return Map(table.probability.data() + static_cast<std::size_t>(t) * table.states * table.actions,
             static_cast<std::ptrdiff_t>(table.states), static_cast<std::ptrdiff_t>(table.actions));
}

struct Protected {
  world::TabularPolicy table;
  Account account;
};

base::Result<Protected> behind_set(const ProtectionDesign& design, const world::ObservedModel& model,
                                   const world::TabularPolicy& own, const world::TabularPolicy& fallback,
                                   Assignment& given) {
  const world::Process& process = *model.process;
  PL_TRY(const std::vector<Looked> looked,
         look_at(model, own, design.own_visits ? own : fallback, design.calibration, given));
  const Rows rows = rows_of(looked, process.actions);
  caution::ConformalOptions options;
  options.level = 1 - design.alpha;
  PL_TRY(const caution::ConformalModel fitted,
         caution::fit_conformal(rows.probabilities, rows.labels, options, given.rng.fork("fit")));
  if (fitted.outcome == caution::ConformalModel::Outcome::kTooFewRows) {
    return base::make_error(base::Code::kValue,
                            fmt::format("{} decisions are too few for alpha = {}: {} are needed", rows.labels.size(),
                                        design.alpha, fitted.rows_needed),
                            "agent conformal", fmt::format("calibration={}", fitted.rows_needed));
  }
  std::vector<caution::PredictionSets> sets;
  for (int t = 0; t < process.horizon; ++t) {
    PL_TRY(caution::PredictionSets step, caution::predict_sets(fitted, step_of(own, t), given.rng.fork("sets")));
    sets.push_back(std::move(step));
  }
  Protected made{fallback, {}};
  made.account.questions = static_cast<std::int64_t>(looked.size());
  made.account.answered = made.account.questions;
  const auto decide = [&](std::size_t t, std::uint32_t s, std::span<double> row) -> base::Status {
    if (sets[t].size(s) == 1) {
      for (std::uint32_t a = 0; a < process.actions; ++a) row[a] = sets[t].contains(s, static_cast<int>(a)) ? 1 : 0;
      return base::ok();
    }
    if (!design.ask) return base::ok();  // the fallback's row is there
    const decision::Query query = question_about(model, static_cast<int>(t), s, own.at(static_cast<int>(t), s));
    PL_TRY(const decision::Answer answer, given.overseer->ask(query));
    made.account.questions += answer.kind == AnswerKind::kSpent ? 0 : 1;
    if (!answer.choice) return base::ok();
    ++made.account.answered;
    std::fill(row.begin(), row.end(), 0.0);
    row[static_cast<std::size_t>(query.options[*answer.choice])] = 1;
    return base::ok();
  };
  PL_CHECK(decide_where_reached(process, made.table, decide));
  made.account.text = fmt::format("sets of what has probability at least {:.3g}, from {} decisions",
                                  1 - fitted.thresholds.front(), looked.size());
  return made;
}

/// Groups of actions that are taken for each other, nested, as lines of make_hierarchy.
std::vector<std::string> tree_of(std::span<const Looked> looked, std::span<const std::string> actions) {
  const std::size_t n = actions.size();
  std::vector<double> confused(n * n, 0.0);
  for (const Looked& one : looked) {
    for (std::size_t a = 0; a < n; ++a) {
      confused[a * n + static_cast<std::size_t>(one.right)] += one.row[a];
      confused[static_cast<std::size_t>(one.right) * n + a] += one.row[a];
    }
  }
  struct Group {
    std::string name;
    std::vector<std::size_t> members;
  };
  std::vector<Group> groups;
  for (std::size_t a = 0; a < n; ++a) groups.push_back({actions[a], {a}});
  const auto between = [&](const Group& x, const Group& y) {
    double sum = 0;
    for (const std::size_t a : x.members) {
      for (const std::size_t b : y.members) sum += confused[a * n + b];
    }
    return sum / static_cast<double>(x.members.size() * y.members.size());
  };
  std::vector<std::string> lines;
  while (groups.size() > 2) {
    std::size_t first = 0, second = 1;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      for (std::size_t j = i + 1; j < groups.size(); ++j) {
        if (between(groups[i], groups[j]) > between(groups[first], groups[second])) {
          first = i;
          second = j;
        }
      }
    }
    Group both{fmt::format("group {}", lines.size() + 1), groups[first].members};
    both.members.insert(both.members.end(), groups[second].members.begin(), groups[second].members.end());
    lines.push_back(fmt::format("{}: {}, {}", both.name, groups[first].name, groups[second].name));
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(second));
    groups[first] = std::move(both);
  }
  return lines;
}

base::Result<Protected> as_specific(const ProtectionDesign& design, const world::ObservedModel& model,
                                    const world::TabularPolicy& own, const world::TabularPolicy& fallback,
                                    Assignment& given) {
  const world::Process& process = *model.process;
  PL_TRY(const std::vector<Looked> looked,
         look_at(model, own, design.own_visits ? own : fallback, design.calibration, given));
  // Numbers rather than names: a world's own names may hold what a line of a tree may not.
  std::vector<std::string> actions;
  for (std::uint32_t a = 0; a < process.actions; ++a) actions.push_back(fmt::format("action {}", a));
  const std::span<const Looked> all(looked);
  const std::size_t half = looked.size() / 2;
  PL_TRY(const caution::Hierarchy tree, caution::make_hierarchy(tree_of(all.first(half), actions), actions));
  const Rows rows = rows_of(all.subspan(half), process.actions);
  PL_TRY(const caution::HierarchyRule rule,
         caution::fit_hierarchy(tree, rows.probabilities, rows.labels, {}, {design.target, design.confidence}));
  Protected made{fallback, {}};
  for (int t = 0; t < process.horizon; ++t) {
    PL_TRY(const std::vector<int> answers, caution::hierarchical_answers(tree, rule.trade, step_of(own, t)));
    for (std::uint32_t s = 0; s < process.states; ++s) {
      const std::vector<int>& within = tree.classes[static_cast<std::size_t>(answers[s])];
      const std::span<const double> trusted = fallback.at(t, s);
      double* row =
          made.table.probability.data() + (static_cast<std::size_t>(t) * process.states + s) * process.actions;
      double mass = 0;
      for (const int a : within) mass += trusted[static_cast<std::size_t>(a)];
      std::fill(row, row + process.actions, 0.0);
      for (const int a : within)
        row[a] = mass > 0 ? trusted[static_cast<std::size_t>(a)] / mass : 1.0 / static_cast<double>(within.size());
    }
  }
  made.account.questions = made.account.answered = static_cast<std::int64_t>(looked.size());
  made.account.text = fmt::format("{} with accuracy at least {:.3g} at confidence {}",
                                  std::isinf(rule.trade) ? "never specific," : "as specific as goes", rule.lower_bound,
                                  design.confidence);
  return made;
}

base::Result<Protected> behind_vetoes(const ProtectionDesign& design, const world::ObservedModel& model,
                                      const world::TabularPolicy& own, const world::TabularPolicy& fallback,
                                      Assignment& given) {
  const world::Process& process = *model.process;
  reach::UnsafeEvents events;
  Protected made;
  decision::Query query;
  query.veto_below = design.below;
  query.proposal = 0;
  for (std::uint32_t s = 0; s < process.states; ++s) {
    PL_CHECK(given.cancel.status());
    query.situation = model.keys[s];
    for (std::uint32_t a = 0; a < process.actions; ++a) {
      query.options = {static_cast<std::int32_t>(a)};
      PL_TRY(const decision::Answer answer, given.overseer->ask(query));
      events.pair.push_back(answer.kind == AnswerKind::kNone);  // what nobody looked at is not forbidden
      made.account.questions += answer.kind == AnswerKind::kSpent ? 0 : 1;
    }
  }
  made.account.answered = made.account.questions;
  PL_TRY(const reach::Shield shield, reach::solve_shield(process, events));
  PL_TRY(made.table, reach::shielded(process, shield, own));
  for (int t = 0; t < process.horizon; ++t) {
    for (std::uint32_t s = 0; s < process.states; ++s) {
      if (shield.winning[s]) continue;
      const std::span<const double> trusted = fallback.at(t, s);
      std::copy(trusted.begin(), trusted.end(),
                made.table.probability.begin() +
                    static_cast<std::ptrdiff_t>((static_cast<std::size_t>(t) * process.states + s) * process.actions));
    }
  }
  made.account.text = fmt::format("{} of {} steps vetoed, {} of {} states winning",
                                  std::count(events.pair.begin(), events.pair.end(), true), events.pair.size(),
                                  shield.winning_states(), process.states);
  return made;
}

class ProtectedAgent final : public Agent {
 public:
  ProtectedAgent(ProtectionDesign design, AgentPtr inner, AgentPtr fallback)
      : facts_(common(design.protection)),
        design_(std::move(design)),
        inner_(std::move(inner)),
        fallback_(std::move(fallback)) {
    facts_.id = protected_id(design_);
    facts_.overseer = design_.overseer;
    facts_.deterministic = design_.protection == Protection::kShielded && design_.overseer.accuracy >= 1 &&
                           (design_.overseer.sway <= 0 || design_.overseer.sway >= 1) &&
                           inner_->facts().deterministic && fallback_->facts().deterministic;
  }
  const AgentFacts& facts() const override { return facts_; }
  base::Result<PolicyPtr> learn(Assignment given) const override {
    PL_TRY(std::shared_ptr<const world::ObservedModel> model, given.world.observed_model());
    PL_CHECK(base::check_at_least("protected agent", "horizon", model->process->horizon, 1));
    PL_TRY(const world::TabularPolicy own, table_of(inner_, *model, given, "inner"));
    PL_TRY(const world::TabularPolicy trusted, table_of(fallback_, *model, given, "fallback"));
    const auto protect = design_.protection == Protection::kConformal      ? behind_set
                         : design_.protection == Protection::kHierarchical ? as_specific
                                                                           : behind_vetoes;
    PL_TRY(Protected made, protect(design_, *model, own, trusted, given));
    return PolicyPtr(std::make_shared<ModelPolicy>(std::move(model), std::move(made.table), std::move(made.account)));
  }

 private:
  AgentFacts facts_;
  ProtectionDesign design_;
  AgentPtr inner_;
  AgentPtr fallback_;
};

base::Error bad(Protection protection, std::string what, std::string hint, base::Code code = base::Code::kValue) {
  return base::make_error(code, std::move(what), fmt::format("agent {}", protection_name(protection)), std::move(hint));
}

AgentEntry entry_of(Protection protection) {
  std::vector<std::string> terms;
  for (const NumberTerm& term : numbers_of(protection)) terms.push_back(fmt::format("/{}=", term.name));
  for (const std::string_view word : words_of(protection)) terms.push_back(fmt::format("/{}=", word));
  return {.facts = common(protection),
          .parameter = fmt::format("an agent with its number, soft:1 if left out, then {}", fmt::join(terms, " ")),
          .make = [protection](std::string_view argument) -> base::Result<AgentPtr> {
            PL_TRY(ProtectionDesign design, parse_protection(protection, argument));
            PL_TRY(AgentPtr inner, make_agent(design.inner));
            PL_TRY(AgentPtr fallback, make_agent(design.fallback));
            return AgentPtr(std::make_unique<ProtectedAgent>(std::move(design), std::move(inner), std::move(fallback)));
          },
          .on_request = true};
}

}  // namespace

std::string_view protection_name(Protection protection) {
  switch (protection) {
    case Protection::kConformal: return "conformal";
    case Protection::kHierarchical: return "hierarchical";
    case Protection::kShielded: return "shielded";
  }
  return "?";
}

base::Result<ProtectionDesign> parse_protection(Protection protection, std::string_view argument) {
  PL_TRY(const Terms terms,
         take_terms(protection_name(protection), argument, numbers_of(protection), words_of(protection)));
  ProtectionDesign design;
  design.protection = protection;
  if (const std::size_t slash = terms.rest.find('/'); slash != std::string::npos) {
    return bad(protection, fmt::format("'{}' is no term of it", terms.rest.substr(slash + 1)),
               "`plumbline gauntlet --list` names them; the agent behind it stands without slashes");
  }
  if (!terms.rest.empty()) design.inner = terms.rest;
  if (terms.has("fallback")) design.fallback = terms.word("fallback");
  for (std::string* id : {&design.inner, &design.fallback}) {
    PL_TRY(const AgentPtr made, make_agent(*id));
    if (made->facts().overseer)
      return bad(protection, fmt::format("{} asks by itself", *id), "name an agent that asks nobody",
                 base::Code::kUnsupported);
    *id = made->facts().id;
  }
  const auto chosen = [&](std::string_view name, std::string_view usual, std::string_view other) -> base::Result<bool> {
    const std::string word = terms.word(name);
    if (!word.empty() && word != usual && word != other)
      return bad(protection, fmt::format("{}={} is neither {} nor {}", name, word, usual, other),
                 fmt::format("for example {}={}", name, other));
    return word == other;
  };
  PL_TRY(const bool others_visits, chosen("visits", "own", "fallback"));
  design.own_visits = !others_visits;
  PL_TRY(design.ask, chosen("else", "fallback", "ask"));
  design.overseer = {terms.number(kAccuracy), 0, static_cast<std::int64_t>(terms.number(kBudget)), terms.number(kBias),
                     terms.number(kSway)};
  design.calibration = static_cast<std::int64_t>(terms.number(kCalibration));
  design.alpha = terms.number(kAlpha);
  design.target = terms.number(kTarget);
  design.confidence = terms.number(kConfidence);
  design.below = terms.number(kBelow);
  return design;
}

std::string protected_id(const ProtectionDesign& design) {
  const ProtectionDesign usual;
  Terms terms;
  const auto add = [&](std::string_view name, double value, double fallback) {
    if (value != fallback) terms.given.emplace(name, fmt::format("{}", value));
  };
  add("alpha", design.alpha, usual.alpha);
  add("target", design.target, usual.target);
  add("confidence", design.confidence, usual.confidence);
  add("below", design.below, usual.below);
  add("calibration", static_cast<double>(design.calibration), static_cast<double>(usual.calibration));
  add("accuracy", design.overseer.accuracy, usual.overseer.accuracy);
  add("budget", static_cast<double>(design.overseer.budget), kBudget.fallback);
  add("bias", design.overseer.bias, usual.overseer.bias);
  add("sway", design.overseer.sway, usual.overseer.sway);
  if (!design.own_visits) terms.given.emplace("visits", "fallback");
  if (design.ask) terms.given.emplace("else", "ask");
  if (design.fallback != usual.fallback) terms.given.emplace("fallback", design.fallback);
  return fmt::format("{}:{}{}", protection_name(design.protection), design.inner, terms.written(kOrder));
}

AgentEntry conformal_agent() { return entry_of(Protection::kConformal); }
AgentEntry hierarchical_agent() { return entry_of(Protection::kHierarchical); }
AgentEntry shielded_agent() { return entry_of(Protection::kShielded); }

}  // namespace plumbline::agent
