#pragma once
/// What the report of an attack shows: the ledger, success against budget, the rows that fell, pictures of them.

#include <optional>
#include <string>
#include <vector>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/checks/robustness/attacked_model.hpp"
#include "plumbline/robustness/attack/suite.hpp"

namespace plumbline::checks {

check::Artifact ledger_table(const std::vector<robustness::LedgerLine>& lines,
                             const std::vector<robustness::Attack>& attacks);
check::Artifact budget_picture(const std::vector<robustness::ExampleRecord>& records);

/// Precondition: at least one row fell within epsilon. `threat` in words: "linf 0.1".
check::Finding fallen_rows(const std::vector<robustness::ExampleRecord>& records, const AttackedRows& rows,
                           const std::string& data, const std::string& threat, double epsilon, double clean,
                           double robust);

/// Images before and after, where the data's policy allows it and some fell.
base::Result<std::optional<check::Artifact>> attacked_gallery(check::Context& context, const AttackedModel& model,
                                                              const AttackedRows& drawn,
                                                              const robustness::Threat& threat,
                                                              const std::vector<robustness::ExampleRecord>& records);

/// Writes the fixture of robustness.attack.
base::Status write_attack_fixture(const std::string& folder, base::Rng& rng, bool brittle);

}  // namespace plumbline::checks
