#pragma once
/// JSON of verdicts and argument, as in evidence.json; the store keeps verdicts in the same form.

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "plumbline/base/result.hpp"
#include "plumbline/case/claims/argument.hpp"
#include "plumbline/case/claims/verdict.hpp"

namespace plumbline::claims {

nlohmann::json to_json(const ClaimVerdict& verdict);
nlohmann::json to_json(const std::vector<ClaimVerdict>& verdicts);
nlohmann::json to_json(const Argument& argument);

/// Errors kParse: a field missing or of the wrong type; the message names it.
base::Result<ClaimVerdict> verdict_from_json(const nlohmann::json& json);
base::Result<std::vector<ClaimVerdict>> verdicts_from_json(const nlohmann::json& json);

/// Looks by claim, as the store keeps them beside a run. What cannot be read counts as a first look.
std::string history_to_json(const std::map<std::string, LookHistory>& history);
std::map<std::string, LookHistory> history_from_json(const std::string& text);

}  // namespace plumbline::claims
