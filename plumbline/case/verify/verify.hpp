#pragma once
/// The checks checked: every check meets its planted defect and its clean control, through the same reader, adapter and
/// verdict as a user's input.

#include <cstdint>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/case/run/session.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::verify {

struct VerifyCount {
  std::string check;
  std::string code;      ///< the check's code at the time
  int runs = 0;          ///< of defect and of control each
  int detected = 0;      ///< defect refuted
  int false_alarms = 0;  ///< control refuted
  int abstentions = 0;   ///< undetermined, not evaluated or error, on either; out of 2 * runs
  double seconds = 0;
  double false_alarm_level = 0.05;
  std::string example_problem;  ///< of an abstention by error, if any

  stats::Estimate detection() const;  ///< Clopper–Pearson, as all three
  stats::Estimate false_alarm() const;
  stats::Estimate abstention() const;
  /// decisions: detection lower bound >= 0.9 (95 %), false alarms within the exact band of the stated level, abstention
  /// <= 0.2. With few runs: nothing contradicts these. Empty = passes; else the reason.
  std::string failure(bool full) const;
};

struct VerifyOptions {
  int runs = 20;
  std::uint64_t seed = 0;  ///< fresh pairs for another seed
  std::vector<std::string> only;
  bool with_torch = true;
  run::SessionOptions session;
  std::string scratch;  ///< folder for fixtures; empty = the system's temporary folder
};

/// One count for every check of the registry that this build can run.
base::Result<std::vector<VerifyCount>> verify_checks(const check::Registry& registry, const VerifyOptions& options,
                                                     const base::CancelToken& cancel, base::Progress& progress);

/// The fixture's verdict on one folder: what verify counts. For tests of single checks.
struct FixtureOutcome {
  std::string verdict;  ///< supported, refuted, undetermined, not_evaluated, error
  std::string reason;
};
base::Result<FixtureOutcome> judge_fixture(const check::Registry& registry, const std::string& check_id,
                                           const std::string& folder, const run::SessionOptions& session,
                                           bool with_torch);

std::string verify_json(const std::vector<VerifyCount>& counts);
std::string verify_text(const std::vector<VerifyCount>& counts, bool full);
/// The stamped table (docs/checks/rates.md): written after a full verification, read back to compare.
std::string rates_table(const std::vector<VerifyCount>& counts);
base::Result<std::vector<VerifyCount>> parse_rates(const std::string& text);
/// The rows of `fresh`, and those of `stamped` for the registry's other checks, in the registry's order.
std::vector<VerifyCount> merge_rates(const check::Registry& registry, const std::vector<VerifyCount>& fresh,
                                     const std::vector<VerifyCount>& stamped);
/// Where fresh counts contradict a stamped table: a check that the table lacks or has for other code, or a rate whose
/// 99 % bounds exclude those of the table. In words; empty = no contradiction.
std::vector<std::string> contradictions(const std::vector<VerifyCount>& fresh, const std::vector<VerifyCount>& stamped);

}  // namespace plumbline::verify
