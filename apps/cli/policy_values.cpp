#include "apps/cli/policy_values.hpp"

#include <cmath>
#include <iostream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace plumbline::cli {

using counterfactual::Outcome;
using counterfactual::PolicyValue;
using nlohmann::ordered_json;

base::Result<data::LogOptions> log_options(const LogFile& file) {
  data::LogOptions reading;
  if (!file.format.empty()) {
    PL_TRY(reading.format, data::parse_log_format(file.format));
  }
  reading.id = file.id;
  reading.time = file.time;
  reading.unit = file.unit;
  reading.position = file.position;
  reading.action = file.action;
  reading.propensity = file.propensity;
  reading.reward = file.reward;
  reading.context = file.context;
  reading.limit = file.limit;
  return reading;
}

ordered_json json_number(std::optional<double> value) {
  return value && std::isfinite(*value) ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json judged_json(std::string_view estimator, Outcome outcome, const std::vector<std::string>& reasons,
                         const stats::Estimate& e) {
  return {{"estimator", estimator},
          {"outcome", counterfactual::outcome_name(outcome)},
          {"reasons", reasons},
          {"value", json_number(e.value)},
          {"low", json_number(e.low(kLevel))},
          {"high", json_number(e.high(kLevel))},
          {"level", kLevel},
          {"n", e.n},
          {"method", e.method},
          {"assumptions", e.assumptions},
          {"warnings", e.warnings}};
}

ordered_json logged_json(const stats::Estimate& logged) {
  return {{"value", logged.value},
          {"low", json_number(logged.low(kLevel))},
          {"high", json_number(logged.high(kLevel))},
          {"method", logged.method}};
}

ordered_json value_json(const PolicyValue& v) {
  ordered_json out = judged_json(counterfactual::estimator_name(v.estimator), v.outcome, v.reasons, v.estimate);
  out["ci"] = counterfactual::interval_name(v.interval);
  out["n_effective"] = v.estimate.n_effective;
  out["anytime"] = v.estimate.anytime;
  if (v.lambda) {
    // Infinity, the unbiased candidate, is null.
    out["lambda"] = json_number(v.lambda);
    out["bias_gap"] = json_number(v.bias_gap);
    out["choice_error"] = json_number(v.choice_error);
  }
  return out;
}

std::string bounds_text(const stats::Estimate& estimate) {
  const auto low = estimate.low(kLevel);
  const auto high = estimate.high(kLevel);
  return low && high ? fmt::format("[{:.6g}, {:.6g}]", *low, *high) : "no bounds";
}

void print_estimate(const std::string& name, bool cannot_say, const std::vector<std::string>& reasons,
                    const stats::Estimate& estimate) {
  if (cannot_say) {
    std::cout << fmt::format("  {:<12} cannot say: {}\n", name, fmt::join(reasons, "; "));
    return;
  }
  std::cout << fmt::format("  {:<12} {:<12.6g} {}\n", name, estimate.value, bounds_text(estimate));
  for (const std::string& warning : estimate.warnings) std::cout << fmt::format("  {:<12} ! {}\n", "", warning);
}

void print_value(const PolicyValue& v) {
  print_estimate(std::string(counterfactual::estimator_name(v.estimator)), v.outcome == Outcome::kCannotSay, v.reasons,
                 v.estimate);
  if (v.lambda && v.outcome != Outcome::kCannotSay)
    std::cout << fmt::format(
        "  {:<12} lambda {:.4g}, {:+.4g} from the unbiased figure, root mean squared error {:.4g}\n", "", *v.lambda,
        *v.bias_gap, *v.choice_error);
}

}  // namespace plumbline::cli
