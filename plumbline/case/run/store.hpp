#pragma once
/// The evidence store: what was found, in which run, linked so that nothing can be changed unseen. A small interface,
/// so that a second back end can pass the same conformance suite (store_conformance.hpp).

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/case/interface/record.hpp"

namespace plumbline::run {

/// A line of `plumbline runs`.
struct RunSummary {
  std::string id;
  std::string name;
  check::RunStatus status = check::RunStatus::kStarted;
  std::string system;
  std::string started;
  double seconds = 0;
  std::size_t evidence = 0;
  std::string verdicts;  ///< "supported 3, refuted 1", written with the verdicts
  int exit_status = -1;  ///< of the assessment; -1 = not judged
  bool pruned = false;
};

/// Which runs a listing holds, and in which order. What is empty chooses nothing.
struct RunQuery {
  enum class Order { kNewest, kOldest, kShortest, kLongest, kSystem, kSystemBackwards, kLeastEvidence, kMostEvidence };

  std::string text;     ///< in id, name or system; capital letters A to Z are as small ones
  std::string status;   ///< check::run_status_name
  std::string verdict;  ///< a word of the verdicts' summary ("refuted"): at least one such claim
  Order order = Order::kNewest;
  std::size_t offset = 0;
  std::size_t limit = 20;
};
struct RunPage {
  std::size_t total = 0;  ///< that the query chooses, on all pages
  std::vector<RunSummary> runs;
};

struct FindingQuery {
  std::string check;  ///< empty: all
  std::size_t offset = 0;
  std::size_t limit = 20;
};
/// A finding with the run that has it.
struct StoredFinding {
  std::string run;
  std::string started;
  std::string system;
  check::Finding finding;
  std::string artifact;  ///< key of the first picture of the same task, for Store::artifact(); empty: it has none
};
struct FindingPage {
  std::size_t total = 0;
  std::vector<StoredFinding> findings;  ///< newest run first
};

/// A metric of which closed runs hold points.
struct MetricCount {
  std::string check;
  std::string metric;
  std::vector<std::string> subjects;
  std::size_t points = 0;
};

struct TrendQuery {
  std::string check;
  std::string metric;
  std::optional<std::string> subject;        ///< empty: any
  std::map<std::string, std::string> where;  ///< what a point has; with an empty value: a key that it does not have
  std::size_t limit = 20;
};
/// One value of a metric in one run.
struct TrendPoint {
  std::string run;
  std::string started;
  check::Evidence evidence;
};

/// How often a claim was looked at and a test set was used; see docs/user/verdicts.md.
struct LookCount {
  std::int64_t looks = 0;           ///< distinct sampled contents for the claim's lineage, this one included
  bool anytime_from_start = false;  ///< sampling = "anytime" was declared at the first look
};
struct ReuseCount {
  std::int64_t models = 0;  ///< distinct models judged on this test set
  std::int64_t seeds = 0;
};

/// Thread-compatible: one thread writes; several processes may use one store at once.
class Store {
 public:
  virtual ~Store() = default;

  /// Where it lies, for messages: the file's path.
  virtual std::string place() const = 0;

  /// Opens a run: stored at once with status `started`. Its id is new.
  virtual base::Result<std::string> begin_run(const check::RunRecord& header) = 0;
  /// A finished task's ledger line and output, durable when this returns.
  virtual base::Status add_task(const std::string& run, const check::LedgerEntry& line,
                                const check::Output& output) = 0;
  /// Closes the run in one transaction: Merkle root over its sorted evidence ids, chained to the last closed run.
  virtual base::Status close_run(const std::string& run, check::RunStatus status, const std::string& finished,
                                 double seconds) = 0;
  /// Verdicts as judged when the run closed: opaque JSON, a summary for listings, the exit status.
  virtual base::Status set_verdicts(const std::string& run, const std::string& json, const std::string& summary,
                                    int exit_status) = 0;
  virtual base::Result<std::string> verdicts(const std::string& run) = 0;

  /// A page of the runs, without reading any of them whole. An order that ties is newest first.
  virtual base::Result<RunPage> find_runs(const RunQuery& query) = 0;
  /// Newest first; `offset` and `limit` page.
  base::Result<std::vector<RunSummary>> runs(std::size_t offset, std::size_t limit);
  /// A run by id, unique prefix of one, name, or "latest". Errors kValue: none or several match.
  virtual base::Result<check::RunRecord> load_run(const std::string& reference) = 0;
  /// Points of closed runs, newest first.
  virtual base::Result<std::vector<TrendPoint>> trend(const TrendQuery& query) = 0;
  base::Result<std::vector<TrendPoint>> trend(const std::string& check, const std::string& metric, std::size_t limit);
  /// Every metric that trend() has points of, by check and name.
  virtual base::Result<std::vector<MetricCount>> metrics() = 0;
  /// Findings of all runs that still hold theirs.
  virtual base::Result<FindingPage> findings(const FindingQuery& query) = 0;
  /// An artifact of a run, by the key in StoredFinding. Errors kValue: the run has none of that key.
  virtual base::Result<check::Artifact> artifact(const std::string& run, const std::string& key) = 0;
  virtual base::Result<check::Evidence> load_evidence(const std::string& id_prefix) = 0;
  /// The manifest text of the run that produced a piece of evidence, and that run's id.
  virtual base::Result<std::string> run_of_evidence(const std::string& evidence_id) = 0;

  /// Keeps the newest `keep` runs; older ones become tombstones (roots stay, so the chain still verifies).
  virtual base::Result<std::size_t> prune(std::size_t keep) = 0;
  /// Recomputes every root and the chain. Errors kValue: the first run that disagrees.
  virtual base::Status verify_chain() = 0;

  /// Output of an earlier identical task, by cache key.
  virtual base::Result<std::optional<check::Output>> cached(const std::string& key) = 0;
  virtual base::Status put_cached(const std::string& key, const check::Output& output) = 0;
  /// Opaque pieces (finished shards) under a key.
  virtual base::Result<std::optional<std::string>> cached_bytes(const std::string& key) = 0;
  virtual base::Status put_cached_bytes(const std::string& key, const std::string& bytes) = 0;

  /// Records a look and returns the count with it included. The same content again is not a new look.
  virtual base::Result<LookCount> look(const std::string& lineage, const std::string& content, bool anytime) = 0;
  virtual base::Result<ReuseCount> reuse(const std::string& test_fingerprint, const std::string& model_hash,
                                         std::uint64_t seed) = 0;
};

/// Opens or creates `path` (SQLite, write-ahead log, synchronous full).
/// Errors  kIo: folder missing or read-only, disk full. kParse: not a Plumbline store. kUnsupported: newer schema.
base::Result<std::unique_ptr<Store>> open_sqlite_store(const std::string& path);

/// Opens a store that is only looked at: never created, migrated or written to; other processes may write to it at the
/// same time. Where its folder cannot be written to and nobody else has the store open, what is added later is not
/// seen. Errors  kIo: no such file, unreadable. kParse, kUnsupported: as above.
base::Result<std::unique_ptr<Store>> open_sqlite_store_to_read(const std::string& path);

/// The name of an artifact in its run: "probe.accuracy.reader-test.confusion". Every character that a file name does
/// not need becomes a dash. With an empty `id`, what the names of all artifacts of a task begin with.
std::string artifact_name(const std::string& check, const std::string& subject, const std::string& id);

/// Merkle root: SHA-256 over pairs of the sorted ids, an odd one carried up; of nothing: the hash of "".
std::string merkle_root(std::vector<std::string> ids);

}  // namespace plumbline::run
