#pragma once
/// What adapters over logs share: [log.*] and [policy.*] as the rooms below understand them, which pairs there are,
/// logs for fixtures.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/counterfactual/policies.hpp"
#include "plumbline/counterfactual/value.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::checks {

/// [log.NAME] read.
struct LogPart {
  std::string path;  ///< resolved
  data::LogOptions reading;
  std::optional<std::pair<double, double>> reward_range;
  std::optional<double> max_weight;
};
/// Errors kValue: limit below 1.
base::Result<LogPart> read_log_part(const data::OtherSection& section);

/// [policy.NAME] with a rule, read. Errors kValue: a key that the rule needs and does not have, or does not take; agent
/// or script beside a rule.
base::Result<plumbline::counterfactual::PolicySpec> read_rule(const data::OtherSection& section);

/// One task for each log, "clicks".
check::Plan plan_logs(const check::Blueprint& blueprint);
/// One task for each policy with a rule and log that it is evaluated on, "new@clicks"; `except` is left out.
check::Plan plan_rules(const check::Blueprint& blueprint, const std::string& except = {});

/// Options of an evaluation from the parameters that policy_value and policy_gain share, and the log's section.
base::Result<plumbline::counterfactual::ValueOptions> value_options(const check::Context& context,
                                                                    const check::Params& params, const LogPart& log);
/// Those parameters. `estimators`: the default ones.
std::vector<check::ParamSpec> value_params(std::vector<std::string> estimators);
/// The estimators asked for. Errors kValue: unknown, none, repeated, or one that `gain` does not have.
base::Result<std::vector<plumbline::counterfactual::Estimator>> chosen_estimators(const check::Params& params,
                                                                                  bool gain);
/// "9,800 of 10,000 decisions used; 200 decided by person".
std::string rows_used(const plumbline::counterfactual::OpeRows& rows);

/// A log of `rows` decisions on two contexts and four actions as JSON lines: the logging policy prefers action c0 in
/// context 0 and c1 in context 1 with probability 1 - epsilon, where it claims `claimed`. Mean rewards: `good` for c2,
/// 0.4 for the others.
base::Status write_fixture_log(const std::string& path, std::size_t rows, double epsilon, double claimed, double good,
                               base::Rng& rng);

/// A system of such a log with 2,000 decisions, half of them drawn by lot as it claims, and the policy `new`, which
/// takes c2 with a tenth of chance, for a check of such policies. `text` and `condition`: of the one claim; the lines
/// of the second name metric and bound.
base::Status write_rule_system(const std::string& folder, base::Rng& rng, double good, std::string_view check,
                               std::string_view text, std::string_view condition);

}  // namespace plumbline::checks
