#pragma once
/// What adapters over effects share: [effect.*] as the room below understands it, which questions there are, tables for
/// fixtures.

#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/counterfactual/effects/report.hpp"

namespace plumbline::checks {

/// One task for each [effect.NAME] on a table, "training@trial".
check::Plan plan_effects(const check::Blueprint& blueprint, double cost_seconds);

/// The answer to the task's question. Rows that share the set's unit of sampling cluster by it, unless the section
/// names another cluster. Errors kValue: a graph that is no section, an unknown method; those of answer_question.
base::Result<plumbline::counterfactual::effects::Report> answer_task(check::Context& context, bool attack);

/// "cannot say: …", for a note.
std::string refusal_words(const plumbline::counterfactual::effects::Report& report);

/// A system of 400 rows with covariates x0 and x1, a treatment that follows x0 and a hidden cause with weight `hidden`,
/// an outcome with effect `effect` that follows both too, a negative outcome `before` that follows the hidden cause,
/// and the question `training`; `claim`: the lines of its one claim after the id.
base::Status write_effect_system(const std::string& folder, base::Rng& rng, double effect, double hidden,
                                 std::string_view claim);

}  // namespace plumbline::checks
