#pragma once
/// What one run of `assess` leaves: the ledger of every check considered, evidence, findings, artifacts.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/case/interface/evidence.hpp"

namespace plumbline::check {

enum class LedgerStatus { kOk, kError, kSkipped, kNotApplicable };
std::string_view ledger_status_name(LedgerStatus status);

/// One line for every check that the catalogue holds, and for every task that it planned.
struct LedgerEntry {
  std::string check;
  std::string subject;  ///< empty for a check that planned no task
  LedgerStatus status = LedgerStatus::kOk;
  std::string reason;  ///< why not ok: in words, never empty unless ok
  std::string rows;    ///< rows used, in words
  double seconds = 0;
  bool cached = false;
};

enum class RunStatus { kStarted, kSuccess, kCancelled, kError };
std::string_view run_status_name(RunStatus status);

/// A whole run as stored and as every renderer receives it.
struct RunRecord {
  std::string id;    ///< short, unique in the store: first 12 digits of a hash
  std::string name;  ///< optional, given by the user
  RunStatus status = RunStatus::kStarted;
  std::string system;    ///< name in the manifest
  std::string manifest;  ///< path as given
  std::string manifest_sha256;
  std::string started;  ///< UTC, 2026-01-31T12:00:00Z
  std::string finished;
  double seconds = 0;
  std::uint64_t seed = 0;
  std::string build;    ///< version, compiler, commit
  std::string machine;  ///< CPU level and core count
  std::string root;     ///< Merkle root over sorted evidence ids
  std::string previous_root;
  std::map<std::string, std::string> inputs;  ///< "data:test" -> fingerprint …
  std::vector<LedgerEntry> ledger;
  std::vector<Evidence> evidence;
  std::vector<Finding> findings;
  std::vector<Artifact> artifacts;
  std::vector<std::string> notes;  ///< warnings that concern the whole run
};

}  // namespace plumbline::check
