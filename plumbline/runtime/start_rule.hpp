#pragma once
/// May the guard start? Only on an assessed case: every claim that matters supported, current and undefeated, and the
/// very model, calibration rows and thresholds that the evidence is about.

#include <map>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/case/claims/verdict.hpp"
#include "plumbline/case/run/session.hpp"
#include "plumbline/case/run/store.hpp"

namespace plumbline::runtime {

/// "STORE#RUN": a store's file, relative to the manifest, and a run by id, prefix, name or "latest".
struct CaseReference {
  std::string store;
  std::string run;
};
/// Errors kParse: no '#', or nothing on one of its sides.
base::Result<CaseReference> parse_case_reference(std::string_view text, const std::string& folder);

/// What is about to decide.
struct GuardIdentity {
  std::string model;  ///< name in the manifest
  std::string model_hash;
  std::string calibration;  ///< name of the set
  std::string calibration_fingerprint;
  std::string thresholds_hash;
};

/// One reason not to start. `claim` is what --accept names: a claim's id, or "model", "calibration", "thresholds",
/// "case".
struct StartObstacle {
  std::string claim;
  std::string reason;
  bool accepted = false;
};

struct StartDecision {
  bool may_start = false;
  std::vector<StartObstacle> obstacles;
  std::string case_hash;              ///< Merkle root of the run
  std::string run;                    ///< its id
  std::vector<std::string> accepted;  ///< claims accepted although not supported; to be logged with every decision
  std::vector<std::string> notes;
  std::vector<claims::ClaimVerdict> claims;

  /// Obstacles that stand, one a line, or why it may start.
  std::string text() const;
};

/// What the rule reads.
struct AssessedCase {
  data::Manifest manifest;
  check::RunRecord run;
  std::vector<claims::ClaimVerdict> claims;  ///< judged and argued
  int exit_status = -1;                      ///< when the run closed; -1: never judged
  std::string exit_summary;                  ///< "supported 3, refuted 1"
};

/// Hashes as they are now of everything that the run's evidence read, by the names that evidence uses ("data:test",
/// "model:reader", "reward:careful"). What cannot be opened any more is left out, and evidence about it is stale; so is
/// evidence about a model that is known by stored predictions only.
std::map<std::string, std::string> inputs_today(run::Session& session, const check::RunRecord& run);

/// Loads and judges the case; evidence whose inputs are no longer what they were is stale.
/// Errors    of the store and the argument; kIo: no store; kValue: no such run, a run of another system, one that did
///           not finish.
base::Result<AssessedCase> read_case(const data::Manifest& manifest, const CaseReference& reference,
                                     const check::Registry& registry, run::Session& session);
/// The same with the hashes of today given.
base::Result<AssessedCase> read_case(const data::Manifest& manifest, const CaseReference& reference,
                                     const check::Registry& registry, const std::map<std::string, std::string>& today);

/// Question  may a guard with this identity start on this case?
/// Rule      every claim of severity fail stands as supported; evidence names the model's hash and the calibration
///           set's fingerprint and no other; the run's thresholds (artifact of caution.uncertainty about the model)
///           hash to the guard's; the run was closed with exit status 0 or its claims are as it left them. A waiver
///           excuses nothing. What is on `accept` is no obstacle any more.
/// Errors    kValue: a name on `accept` that is neither a claim nor one of the fixed names, or that stands in nobody's
///           way (so that old acceptances are noticed).
base::Result<StartDecision> judge_start(const AssessedCase& assessed, const GuardIdentity& identity,
                                        const std::vector<std::string>& accept);

}  // namespace plumbline::runtime
