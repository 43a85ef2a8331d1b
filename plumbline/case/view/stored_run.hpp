#pragma once
/// A stored run as it is shown: judged again as it stands where its manifest can still be read, and as it was stored
/// where not.

#include <optional>
#include <string>

#include "plumbline/case/assess/assess.hpp"

namespace plumbline::view {

struct StoredRun {
  report::Report report;  ///< without claims and argument where it could not be judged
  std::optional<base::Error> not_judged;
};

/// Errors  those of loading the run. A run that cannot be judged is no error: `not_judged` says why.
base::Result<StoredRun> open_run(const check::Registry& registry, run::Store& store, const std::string& reference,
                                 const data::ManifestOptions& options);

/// evidence.json; where the run was not judged, "claims" and "argument" are null and "not_judged" says why.
std::string evidence_json(const StoredRun& run);

/// The evidence of a run that a finding rests on best: of its check and subject, with the most of its `where`; the
/// first of several. Null: the run holds none.
const check::Evidence* evidence_of(const check::Finding& finding, const check::RunRecord& run);

}  // namespace plumbline::view
