#pragma once
/// What will run, and why the rest will not.

#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/case/interface/check.hpp"

namespace plumbline::run {

/// A check of the catalogue, with its tasks or the reason for having none.
struct PlannedCheck {
  const check::Entry* entry = nullptr;
  check::Params params;
  std::vector<check::Task> tasks;
  std::string not_applicable;  ///< does not apply to this system
  std::string skipped;         ///< applies, but was deselected
};

struct Selection {
  std::vector<std::string> only;  ///< check ids or rooms; empty = all
  std::vector<std::string> skip;
};

/// Cheap facts about the manifest's data and models.
/// Errors: of the first data set that cannot be looked at, with its section.
base::Result<check::Blueprint> make_blueprint(const data::Manifest& manifest, bool with_torch);

/// One entry for every check of the registry, in its order.
/// Errors kValue: parameters of a check that is not there or that refuses them; a selection that names no check
/// (with the nearest known); nothing left to run, with every reason.
base::Result<std::vector<PlannedCheck>> make_plan(const check::Registry& registry, const check::Blueprint& blueprint,
                                                  const Selection& selection);

}  // namespace plumbline::run
