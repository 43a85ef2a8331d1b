#pragma once
/// What a guard wants: costs and their readings, the rule, what asking is worth, what is safe.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/caution/rules.hpp"
#include "plumbline/caution/uncertainty.hpp"
#include "plumbline/data/manifest.hpp"
#include "plumbline/decision/rule.hpp"

namespace plumbline::caution {

enum class Exploration {
  kNone,
  kEpsilonGreedy,  ///< the rule's choice, and with probability epsilon any safe action alike
  kSoftmax,        ///< safe actions by exp(worth / temperature), worth by the least favourable reading
};

struct GuardPolicy {
  caution::CostModel costs;
  std::string rule = "expected";        ///< caution::parse_rule
  double alpha = 0.05;                  ///< a p-value at most this is a new domain; sets hold the label with 1 - alpha
  std::optional<std::string> fallback;  ///< an action
  std::optional<double> ask_cost;       ///< of a question, in the unit of the costs; empty: nobody can be asked
  double ask_accuracy = 1;              ///< probability that an answer is right; a wrong one is any other, all alike
  std::optional<double> set_cost;       ///< of each further label in a set as answer; empty: no such answer
  std::optional<double> refuse_cost;    ///< of refusing; empty: the rule may not choose it
  Exploration exploration = Exploration::kNone;
  double epsilon = 0;
  double temperature = 1;  ///< of kSoftmax, in the unit of the costs
  double safe_loss = 0;    ///< a safe action costs at most this much more than the best, by every reading
  /// Options whose expected costs differ by at most this, by every reading, are equal; of equals the one that needs no
  /// person in time is taken.
  double equal_within = 0;
  std::vector<std::string> attended;  ///< actions that people must agree on before they are taken
  std::size_t neighbours = 0;         ///< training examples shown beside a question
  std::uint64_t seed = 0;             ///< mixed into the stream of every draw
};

/// Errors kValue: a number out of range, an unknown fallback, a rule that weighs readings where they have no weight;
/// and those of caution::validate, caution::parse_rule and of the rule itself on even beliefs.
base::Status validate(const GuardPolicy& policy, std::ptrdiff_t classes);

/// Rule and parameters as one line of text, for the log.
std::string policy_text(const GuardPolicy& policy);

/// The [guard] section: policy (the rule), alpha, fallback, ask_cost, set_cost, refuse_cost, explore ("epsilon",
/// "softmax"), epsilon, temperature, safe_loss, equal_within, irreversible, neighbours; costs from the sections
/// [reward.NAME] of kind costs about the model, or 0 and 1 where there is none. Other keys are the service's. Errors
/// kValue: a number or word out of range, with the line; and those of read_costs.
base::Result<GuardPolicy> read_policy(const data::Manifest& manifest, const std::string& model,
                                      std::span<const std::string> classes);

/// What is done, before chance and people: probabilities of the options and what they are worth.
struct RuledChoice {
  decision::Act act = decision::Act::kAct;
  std::vector<double> probabilities;    ///< of the options: actions, then "set" where it is one, then "refuse"
  double value_of_asking = 0;           ///< largest over readings; the mean where they are weighted
  std::optional<std::size_t> proposed;  ///< kAsk: the option that would be chosen if nobody could be asked
  std::vector<double> plausible;  ///< of each option, probability that who knew the class would choose it; largest over
                                  ///< readings without weights, the mean over others; empty: beliefs do not count
  std::string reason;
};

/// What the rule would do with nobody to ask, and what a question costs: is it put?
inline bool is_worth_asking(const RuledChoice& alone, double ask_cost) {
  return alone.act == decision::Act::kAct && alone.value_of_asking > ask_cost;
}

/// The costs as the rule sees them.
class PolicyRule {
 public:
  /// Errors as validate().
  static base::Result<PolicyRule> make(GuardPolicy policy, std::ptrdiff_t classes);

  const GuardPolicy& policy() const { return policy_; }
  /// "cat", "dog", "set", "refuse": what a proposal's probabilities are about.
  const std::vector<std::string>& options() const { return options_; }
  std::size_t actions() const { return policy_.costs.actions.size(); }
  std::optional<std::size_t> fallback() const { return fallback_; }
  std::optional<std::size_t> set_option() const { return set_option_; }
  std::size_t refusal() const { return options_.size() - 1; }

  /// Beliefs p and the prediction set (empty: none on offer) to a choice, exploration included.
  /// What      Rules that weigh outcomes (expected, cvar, broil, baseline, satisfice, quantilize, ask) see every pair
  /// of
  ///           reading and class; rules between readings (maximin, regret, baseline:0, vote, bargain) see each
  ///           reading's expectation. A set costs set_cost for each label beyond the first, and the dearest action's
  ///           cost where the truth is not in it. Asks when the value of asking exceeds ask_cost (is_worth_asking);
  ///           that value is what carrying out the answer would save over the choice, at least 0: with probability
  ///           ask_accuracy the cheapest action of the right class, else one of the dearer ones, all alike.
  /// Equals    asking needs a person in time, and so does an action of `attended`: a question must be worth more than
  ///           ask_cost + equal_within; an attended action gives way to the best unattended option that is equal.
  ///           Attended actions are not explored, nor is anything while one is chosen.
  /// Errors    of the rule.
  base::Result<RuledChoice> choose(std::span<const double> p, std::span<const std::uint8_t> in_set) const;

  /// Where beliefs do not count, since the input is of another domain: asks when the loss that a person might prevent
  /// is worth more than the question, else falls back, else refuses.
  RuledChoice without_beliefs() const;

 private:
  PolicyRule() = default;
  double worth(std::size_t reading, std::size_t option, std::size_t label, double set_size,
               std::span<const std::uint8_t> in_set) const;
  std::vector<std::size_t> offered(const MatrixD& expected) const;
  decision::RewardPosterior posterior(std::span<const double> p, std::span<const std::uint8_t> in_set,
                                      const MatrixD& expected, std::span<const std::size_t> offered) const;
  MatrixD expected_worth(std::span<const double> p, std::span<const std::uint8_t> in_set) const;
  double value_of_asking(std::span<const double> p, const MatrixD& expected, std::span<const double> share) const;
  std::vector<double> plausible(std::span<const double> p) const;
  void prefer_unattended(const MatrixD& expected, RuledChoice& choice) const;
  bool worth_asking(double value) const;
  std::string named(const std::string& reason, std::span<const std::size_t> offered) const;
  void explore(const MatrixD& expected, std::vector<double>& share) const;

  GuardPolicy policy_;
  decision::DecisionRulePtr rule_;
  bool between_readings_ = false;
  bool prunes_ = false;
  std::vector<double> weight_;                   ///< of the readings, sums to 1; even where none is declared
  std::vector<std::vector<std::size_t>> right_;  ///< by reading and class: the cheapest action, the first of equals
  std::vector<std::string> options_;
  std::vector<std::uint8_t> attended_;  ///< by option
  std::optional<std::size_t> fallback_, set_option_;
};

}  // namespace plumbline::caution
