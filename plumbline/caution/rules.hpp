#pragma once
/// The decision rules, behind decision::DecisionRule: one for each kind of doubt about what is valued.

#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/decision/rule.hpp"

namespace plumbline::caution {

enum class Rule {
  kExpected,    ///< best mean
  kMaximin,     ///< best worst case
  kRegret,      ///< least worst regret
  kCvar,        ///< best mean of the worst share
  kBroil,       ///< a mean of average and CVaR
  kBaseline,    ///< best CVaR of the gain over the base policy; share 0: the worst gain
  kQuantilize,  ///< a draw from the base policy's better part
  kSatisfice,   ///< the base policy among what is good enough
  kAsk,         ///< act when surely no worse than the safe option, else ask, else defer
  kVote,        ///< each reward votes with the same variance
  kBargain,     ///< Nash's bargain between the rewards
};

/// A number after the colon, "cvar:0.1". `fallback` when it is left out.
struct RuleParameter {
  std::string name;
  double fallback = 0;
  double low = 0;
  double high = 1;
  bool low_open = false;
  std::string help;
};

struct RuleFacts {
  Rule rule;
  std::string id;
  std::vector<RuleParameter> parameters;
  std::string help;
  std::string needs;  ///< of the situation; empty: nothing
  std::string source;
};
/// The explicit list, in the order of the enumeration.
const std::vector<RuleFacts>& rules();

struct RuleSpec {
  Rule rule = Rule::kExpected;
  std::vector<double> parameters;  ///< as many as the facts name
};

/// "expected", "cvar:0.1", "broil:0.5:0.05". Errors kParse: a number that is none, too many numbers; kValue: unknown
/// rule (with the nearest known one), a number out of range.
base::Result<RuleSpec> parse_rule_spec(std::string_view text);
/// With all its numbers; parse_rule_spec reads it back.
std::string rule_name(const RuleSpec& spec);
const RuleFacts& rule_facts(Rule rule);

/// Question: what is done, given these beliefs about values and this situation?
/// Formulas  over mixtures x of the m options (mixed_choice.hpp), returns R_k(x) = sum_i r_k(i) x_i, mean under p:
///   expected          argmax of the mean, lowest option of ties
///   maximin           max min_k R_k, k with p_k > 0
///   regret            min max_k (max_i r_k(i) - R_k)
///   cvar:a            max CVaR_a(R), the mean of the worst share a
///   broil:l:a         max l E[R] + (1 - l) CVaR_a(R)
///   baseline:a        max CVaR_a(R - R(base)); a = 0: max min_k; the base is the fallback where no policy is given
///   quantilize:q      quantilize(base, mean, q); reports the factor by which any cost may grow
///   satisfice:v       the base policy (else all alike) among options with a mean >= v; none: the fallback, else the
///   best ask:d             i = expected's option, doubt = P(r_k(i) < r_k(fallback)), without a fallback P(i is not
///   best for k);
///                     worth of asking = E[max_i r_k(i)] - cost. Asks when that is worth more than acting, or when
///                     doubt > d and it is worth more than the fallback; else acts when doubt <= d; else falls back or
///                     refuses
///   vote              argmax sum_k p_k (r_k(i) - mean_k) / deviation_k under the base policy (else all alike)
///   bargain           max prod_k gain_k^p_k over the base, else the fallback, else all options alike
/// Outcome   `value` by the rule's own measure, in the rewards' unit but for vote (deviations), bargain (share of the
///           best gains) and regret (negative regret). bargain without agreement falls back.
/// Errors    as DecisionRule::decide.
/// Cost      linear programs of m + 2k variables; deterministic.
/// Source    Rockafellar and Uryasev 2000 (cvar); Brown et al. 2020 (broil); Hadfield-Menell et al. 2017 (baseline);
///           Taylor 2016 (quantilize); Simon 1956 (satisfice); MacAskill, Bykvist, Ord 2020, chapter 4 (vote); Nash
///           1950.
base::Result<decision::DecisionRulePtr> parse_rule(std::string_view text);
decision::DecisionRulePtr make_rule(const RuleSpec& spec);

}  // namespace plumbline::caution
