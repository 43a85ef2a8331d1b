#pragma once
/// What the commands that read decision logs share: how a log is read, how a value is printed.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "apps/cli/options.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/value.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::cli {

/// Of the intervals that are printed.
inline constexpr double kLevel = 0.95;

/// Errors kValue: no format of that name.
base::Result<data::LogOptions> log_options(const LogFile& file);

/// null where there is no finite number.
nlohmann::ordered_json json_number(std::optional<double> value);
/// What every estimator's answer has in JSON; the figures that it alone has come after.
nlohmann::ordered_json judged_json(std::string_view estimator, counterfactual::Outcome outcome,
                                   const std::vector<std::string>& reasons, const stats::Estimate& estimate);
nlohmann::ordered_json logged_json(const stats::Estimate& logged);
nlohmann::ordered_json value_json(const counterfactual::PolicyValue& value);
/// A line with name, figure and bounds (or why there are none), and one more for each warning, on standard output.
/// "[low, high]" at kLevel, or "no bounds".
std::string bounds_text(const stats::Estimate& estimate);
void print_estimate(const std::string& name, bool cannot_say, const std::vector<std::string>& reasons,
                    const stats::Estimate& estimate);
/// The same of a policy's value, with what `auto` chose.
void print_value(const counterfactual::PolicyValue& value);

}  // namespace plumbline::cli
