#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/hash.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/run/sqlite_listing.hpp"
#include "plumbline/case/run/sqlite_statement.hpp"
#include "plumbline/case/run/store.hpp"

namespace plumbline::run {
namespace {

using check::RunStatus;
using nlohmann::json;

/// 2 added indexes alone.
constexpr int kSchema = 2;

constexpr const char* kTables = R"sql(
create table run (
  sequence integer primary key autoincrement, id text not null unique, name text not null, status text not null,
  system text not null, owner text not null, started text not null, finished text not null default '', seconds real not null default 0,
  header text not null, root text not null default '', previous_root text not null default '', chain text not null default '',
  verdicts text not null default '', verdict_summary text not null default '', exit_status integer not null default -1,
  pruned integer not null default 0);
create index run_name on run(name);
create table evidence (id text primary key, check_id text not null, metric text not null, content text not null) without rowid;
create table run_evidence (run text not null, evidence text not null, build text not null, artifacts text not null,
  position integer not null, primary key (run, position)) without rowid;
create index run_evidence_evidence on run_evidence(evidence);
create table ledger (run text not null, position integer not null, content text not null, primary key (run, position)) without rowid;
create table finding (run text not null, position integer not null, content text not null, primary key (run, position)) without rowid;
create table artifact (sha256 text primary key, content text not null) without rowid;
create table run_artifact (run text not null, position integer not null, sha256 text not null, id text not null, primary key (run, position)) without rowid;
create table note (run text not null, position integer not null, content text not null, primary key (run, position)) without rowid;
create table cache (key text primary key, content blob not null, created text not null) without rowid;
create table look (lineage text not null, content text not null, anytime integer not null, sequence integer not null, primary key (lineage, content)) without rowid;
create table reuse (test text not null, model text not null, seed text not null, primary key (test, model, seed)) without rowid;
)sql";

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// "host pid start": a process, told apart from a later one with the same number.
std::string process_name(pid_t pid) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(stat, line);
  const auto after_name = line.rfind(')');
  std::istringstream fields(after_name == std::string::npos ? "" : line.substr(after_name + 1));
  std::string field;
  for (int i = 0; i < 20 && fields >> field; ++i) {
  }
  return fmt::format("{} {} {}", host, pid, field);
}

// A process on another host is taken to live: only its own host can tell.
bool process_lives(const std::string& owner) {
  std::istringstream parts(owner);
  std::string host;
  pid_t pid = 0;
  parts >> host >> pid;
  const std::string here = process_name(pid);
  return here.substr(0, here.find(' ')) != host || here == owner;
}

class SqliteStore final : public Store {
 public:
  SqliteStore(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  ~SqliteStore() override { sqlite3_close(db_); }

  std::string place() const override { return path_; }

  base::Result<std::string> begin_run(const check::RunRecord& header) override {
    PL_CHECK(begin());
    if (!close_orphans(header.started)) return rollback();
    std::int64_t next = 1;
    {
      Statement last(db_, "select coalesce(max(sequence), 0) + 1 from run");
      if (last.step()) next = last.integer(0);
    }
    const std::string id =
        base::sha256_hex(fmt::format("{}:{}:{}:{}", path_, next, header.started, getpid())).substr(0, 12);
    check::RunRecord stored = header;
    stored.id = id;
    stored.status = RunStatus::kStarted;
    Statement insert(
        db_, "insert into run (id, name, status, system, owner, started, header) values (?, ?, 'started', ?, ?, ?, ?)");
    insert.bind(id)
        .bind(header.name)
        .bind(header.system)
        .bind(process_name(getpid()))
        .bind(header.started)
        .bind(dump(check::to_json(stored)))
        .step();
    if (insert.failed()) return rollback();
    PL_CHECK(commit());
    return id;
  }

  base::Status add_task(const std::string& run, const check::LedgerEntry& line, const check::Output& output) override {
    PL_CHECK(begin());
    bool good =
        insert_row("insert into ledger select ?1, coalesce(max(position), 0) + 1, ?2 from ledger where run = ?1", run,
                   dump(check::to_json(line)));
    for (const check::Finding& finding : output.findings) {
      good = good &&
             insert_row("insert into finding select ?1, coalesce(max(position), 0) + 1, ?2 from finding where run = ?1",
                        run, dump(check::to_json(finding)));
    }
    for (const std::string& note : output.notes) {
      good =
          good && insert_row("insert into note select ?1, coalesce(max(position), 0) + 1, ?2 from note where run = ?1",
                             run, line.check + (line.subject.empty() ? "" : " " + line.subject) + ": " + note);
    }
    for (const check::Evidence& evidence : output.evidence) {
      if (!good) break;
      check::Evidence content = evidence;
      content.build.clear();
      content.artifacts.clear();
      Statement insert(db_, "insert or ignore into evidence values (?, ?, ?, ?)");
      insert.bind(evidence.id).bind(evidence.check).bind(evidence.metric).bind(dump(check::to_json(content))).step();
      // On a full disk SQLite rolls back by itself; another statement would then stand outside of the transaction.
      if (insert.failed()) return rollback();
      Statement link(db_,
                     "insert into run_evidence select ?1, ?2, ?3, ?4, coalesce(max(position), 0) + 1 from run_evidence "
                     "where run = ?1");
      link.bind(run).bind(evidence.id).bind(evidence.build).bind(dump(json(evidence.artifacts))).step();
      good = !link.failed();
    }
    for (const check::Artifact& artifact : output.artifacts) {
      if (!good) break;
      const std::string content = dump(check::to_json(artifact, true));
      const std::string sha = base::sha256_hex(content);
      Statement insert(db_, "insert or ignore into artifact values (?, ?)");
      insert.bind(sha).bind(content).step();
      if (insert.failed()) return rollback();
      Statement link(db_,
                     "insert into run_artifact select ?1, coalesce(max(position), 0) + 1, ?2, ?3 from run_artifact "
                     "where run = ?1");
      link.bind(run).bind(sha).bind(artifact.id).step();
      good = !link.failed();
    }
    if (!good) return rollback();
    return commit();
  }

  base::Status close_run(const std::string& run, RunStatus status, const std::string& finished,
                         double seconds) override {
    PL_CHECK(begin());
    if (!close_in_transaction(run, status, finished, seconds)) return rollback();
    if (sqlite3_changes(db_) != 1) {
      (void)rollback();
      return base::make_error(base::Code::kValue, fmt::format("run '{}' is not open", run), path_);
    }
    return commit();
  }

  base::Status set_verdicts(const std::string& run, const std::string& text, const std::string& summary,
                            int exit_status) override {
    Statement update(db_, "update run set verdicts = ?2, verdict_summary = ?3, exit_status = ?4 where id = ?1");
    update.bind(run).bind(text).bind(summary).bind(std::int64_t{exit_status}).step();
    if (update.failed()) return failure();
    return base::ok();
  }

  base::Result<std::string> verdicts(const std::string& run) override {
    Statement query(db_, "select verdicts from run where id = ?");
    if (!query.bind(run).step()) return base::make_error(base::Code::kValue, fmt::format("no run '{}'", run), path_);
    return query.text(0);
  }

  base::Result<RunPage> find_runs(const RunQuery& query) override { return sqlite::find_runs(db_, path_, query); }

  base::Result<check::RunRecord> load_run(const std::string& reference) override {
    PL_TRY(const std::string id, find_run(reference));
    Statement query(db_, "select header, status, finished, seconds, root, previous_root, pruned from run where id = ?");
    if (!query.bind(id).step()) return failure();
    if (query.integer(6) != 0) {
      return base::make_error(base::Code::kValue, fmt::format("run '{}' was pruned; only its root remains", id), path_);
    }
    const json header = json::parse(query.text(0), nullptr, false);
    PL_TRY(check::RunRecord record, check::record_from_json(header));
    record.status = sqlite::status_from(query.text(1));
    record.finished = query.text(2);
    record.seconds = query.real(3);
    record.root = query.text(4);
    record.previous_root = query.text(5);

    PL_CHECK(
        each("select content from ledger where run = ? order by position", id, [&](Statement& row) -> base::Status {
          check::RunRecord one;
          json shell = check::to_json(one);
          shell["ledger"] = json::array({json::parse(row.text(0), nullptr, false)});
          PL_TRY(one, check::record_from_json(shell));
          record.ledger.push_back(std::move(one.ledger.front()));
          return base::ok();
        }));
    PL_CHECK(
        each("select e.content, r.build, r.artifacts from run_evidence r join evidence e on e.id = r.evidence where "
             "r.run = ? order by r.position",
             id, [&](Statement& row) -> base::Status {
               PL_TRY(check::Evidence e, check::evidence_from_json(json::parse(row.text(0), nullptr, false)));
               e.build = row.text(1);
               e.artifacts = json::parse(row.text(2), nullptr, false).get<std::vector<std::string>>();
               record.evidence.push_back(std::move(e));
               return base::ok();
             }));
    PL_CHECK(
        each("select content from finding where run = ? order by position", id, [&](Statement& row) -> base::Status {
          PL_TRY(check::Finding f, check::finding_from_json(json::parse(row.text(0), nullptr, false)));
          record.findings.push_back(std::move(f));
          return base::ok();
        }));
    PL_CHECK(
        each("select a.content, r.id from run_artifact r join artifact a on a.sha256 = r.sha256 where r.run = ? order "
             "by r.position",
             id, [&](Statement& row) -> base::Status {
               PL_TRY(check::Artifact a, check::artifact_from_json(json::parse(row.text(0), nullptr, false)));
               a.id = row.text(1);
               record.artifacts.push_back(std::move(a));
               return base::ok();
             }));
    PL_CHECK(each("select content from note where run = ? order by position", id, [&](Statement& row) -> base::Status {
      record.notes.push_back(row.text(0));
      return base::ok();
    }));
    return record;
  }

  base::Result<std::vector<TrendPoint>> trend(const TrendQuery& query) override {
    return sqlite::trend(db_, path_, query);
  }

  base::Result<std::vector<MetricCount>> metrics() override { return sqlite::metrics(db_, path_); }

  base::Result<FindingPage> findings(const FindingQuery& query) override { return sqlite::findings(db_, path_, query); }

  base::Result<check::Artifact> artifact(const std::string& run, const std::string& key) override {
    Statement query(db_,
                    "select a.content, r.id from run_artifact r join artifact a on a.sha256 = r.sha256 where r.run = ? "
                    "and r.sha256 = ? limit 1");
    if (!query.bind(run).bind(key).step()) {
      if (query.failed()) return failure();
      return base::make_error(base::Code::kValue, fmt::format("run '{}' has no artifact '{}'", run, key), path_);
    }
    PL_TRY(check::Artifact artifact, check::artifact_from_json(json::parse(query.text(0), nullptr, false)));
    artifact.id = query.text(1);
    return artifact;
  }

  base::Result<check::Evidence> load_evidence(const std::string& prefix) override {
    Statement query(db_, "select content from evidence where id >= ?1 and id < ?1 || 'g' limit 2");
    if (!query.bind(prefix).step())
      return base::make_error(base::Code::kValue, fmt::format("no evidence '{}'", prefix), path_);
    const std::string content = query.text(0);
    if (query.step())
      return base::make_error(base::Code::kValue, fmt::format("'{}' names several pieces of evidence", prefix), path_,
                              "Give more digits");
    return check::evidence_from_json(json::parse(content, nullptr, false));
  }

  base::Result<std::string> run_of_evidence(const std::string& evidence_id) override {
    Statement query(db_,
                    "select r.id from run_evidence e join run r on r.id = e.run where e.evidence = ? and r.pruned = 0 "
                    "order by r.sequence desc limit 1");
    if (!query.bind(evidence_id).step())
      return base::make_error(base::Code::kValue, fmt::format("no run holds evidence '{}'", evidence_id), path_);
    return query.text(0);
  }

  base::Result<std::size_t> prune(std::size_t keep) override {
    PL_CHECK(begin());
    std::vector<std::string> old;
    {
      Statement query(
          db_, "select id from run where pruned = 0 and status <> 'started' order by sequence desc limit -1 offset ?");
      query.bind(static_cast<std::int64_t>(keep));
      while (query.step()) old.push_back(query.text(0));
    }
    for (const std::string& id : old) {
      for (const char* sql : {"delete from ledger where run = ?", "delete from finding where run = ?",
                              "delete from run_artifact where run = ?", "delete from note where run = ?",
                              "update run set pruned = 1, header = '', verdicts = '' where id = ?"}) {
        Statement statement(db_, sql);
        statement.bind(id).step();
        if (statement.failed()) return rollback();
      }
      // The links stay: they are what the root was computed from.
    }
    for (const char* sql : {"delete from artifact where sha256 not in (select sha256 from run_artifact)",
                            "delete from evidence where id not in (select e.evidence from run_evidence e join run r on "
                            "r.id = e.run where r.pruned = 0)"}) {
      Statement statement(db_, sql);
      statement.step();
      if (statement.failed()) return rollback();
    }
    PL_CHECK(commit());
    return old.size();
  }

  base::Status verify_chain() override {
    Statement query(db_, "select id, root, previous_root, chain, pruned from run where chain <> '' order by sequence");
    std::string previous;
    std::string chain;
    while (query.step()) {
      const std::string id = query.text(0);
      const auto broken = [&](const char* what) {
        return base::make_error(base::Code::kValue, fmt::format("run '{}': {}", id, what), path_,
                                "The store was changed outside Plumbline");
      };
      if (merkle_root(evidence_ids(id)) != query.text(1)) return broken("its evidence does not match its root");
      if (query.text(2) != previous) return broken("its predecessor is missing or changed");
      if (query.text(3) != base::sha256_hex(chain + query.text(1))) return broken("its chain value does not match");
      if (query.integer(4) == 0) {
        PL_CHECK(each("select e.id, e.content from run_evidence r join evidence e on e.id = r.evidence where r.run = ?",
                      id, [&](Statement& row) -> base::Status {
                        PL_TRY(const check::Evidence e,
                               check::evidence_from_json(json::parse(row.text(1), nullptr, false)));
                        if (check::evidence_id(e) != row.text(0))
                          return broken("a piece of evidence does not match its id");
                        return base::ok();
                      }));
      }
      previous = query.text(1);
      chain = query.text(3);
    }
    if (query.failed()) return failure();
    return base::ok();
  }

  base::Result<std::optional<check::Output>> cached(const std::string& key) override {
    PL_TRY(const auto bytes, cached_bytes(key));
    if (!bytes) return std::optional<check::Output>();
    const json parsed = json::parse(*bytes, nullptr, false);
    auto output = check::output_from_json(parsed);
    if (!output) return std::optional<check::Output>();  // written by an older build: computed anew
    return std::optional(std::move(output).value());
  }

  base::Status put_cached(const std::string& key, const check::Output& output) override {
    return put_cached_bytes(key, dump(check::to_json(output)));
  }

  base::Result<std::optional<std::string>> cached_bytes(const std::string& key) override {
    Statement query(db_, "select content from cache where key = ?");
    if (query.bind(key).step()) return std::optional(query.text(0));
    if (query.failed()) return failure();
    return std::optional<std::string>();
  }

  base::Status put_cached_bytes(const std::string& key, const std::string& bytes) override {
    Statement insert(db_, "insert or replace into cache values (?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))");
    insert.bind(key).bind(bytes).step();
    if (insert.failed()) return failure();
    return base::ok();
  }

  base::Result<LookCount> look(const std::string& lineage, const std::string& content, bool anytime) override {
    PL_CHECK(begin());
    Statement insert(
        db_,
        "insert or ignore into look select ?1, ?2, ?3, coalesce(max(sequence), 0) + 1 from look where lineage = ?1");
    insert.bind(lineage).bind(content).bind(std::int64_t{anytime ? 1 : 0}).step();
    if (insert.failed()) return rollback();
    LookCount count;
    {
      Statement query(db_,
                      "select count(*), (select anytime from look where lineage = ?1 order by sequence limit 1) from "
                      "look where lineage = ?1");
      if (query.bind(lineage).step()) {
        count.looks = query.integer(0);
        count.anytime_from_start = query.integer(1) != 0;
      }
    }
    PL_CHECK(commit());
    return count;
  }

  base::Result<ReuseCount> reuse(const std::string& test_fingerprint, const std::string& model_hash,
                                 std::uint64_t seed) override {
    Statement insert(db_, "insert or ignore into reuse values (?, ?, ?)");
    insert.bind(test_fingerprint).bind(model_hash).bind(std::to_string(seed)).step();
    if (insert.failed()) return failure();
    Statement query(db_, "select count(distinct model), count(distinct seed) from reuse where test = ?");
    ReuseCount count;
    if (query.bind(test_fingerprint).step()) {
      count.models = query.integer(0);
      count.seeds = query.integer(1);
    }
    return count;
  }

 private:
  base::Error failure() const { return sqlite::failure(db_, path_); }
  base::Status execute(const char* sql) {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure();
    return base::ok();
  }
  base::Status begin() { return execute("begin immediate"); }
  base::Status commit() {
    base::Status status = execute("commit");
    if (!status.ok()) sqlite3_exec(db_, "rollback", nullptr, nullptr, nullptr);
    return status;
  }
  base::Error rollback() {
    base::Error error = failure();
    sqlite3_exec(db_, "rollback", nullptr, nullptr, nullptr);
    return error;
  }
  // The chain follows the order of closing; closing moves a run to the end of the sequence.
  bool close_in_transaction(const std::string& run, RunStatus status, const std::string& finished, double seconds) {
    const std::string root = merkle_root(evidence_ids(run));
    std::string previous;
    std::string previous_chain;
    {
      Statement last(db_, "select root, chain from run where chain <> '' order by sequence desc limit 1");
      if (last.step()) {
        previous = last.text(0);
        previous_chain = last.text(1);
      }
    }
    Statement update(
        db_,
        "update run set status = ?2, finished = ?3, seconds = ?4, root = ?5, previous_root = ?6, chain = ?7, "
        "sequence = (select max(sequence) + 1 from run) where id = ?1 and status = 'started'");
    update.bind(run)
        .bind(std::string(check::run_status_name(status)))
        .bind(finished)
        .bind(seconds)
        .bind(root)
        .bind(previous)
        .bind(base::sha256_hex(previous_chain + root))
        .step();
    return !update.failed();
  }
  // Runs whose process died are closed as cancelled, with the evidence that they had finished.
  bool close_orphans(const std::string& now) {
    std::vector<std::string> orphans;
    {
      Statement open(db_, "select id, owner from run where status = 'started'");
      while (open.step()) {
        if (!process_lives(open.text(1))) orphans.push_back(open.text(0));
      }
    }
    for (const std::string& id : orphans) {
      if (!close_in_transaction(id, RunStatus::kCancelled, now, 0)) return false;
    }
    return true;
  }
  bool insert_row(const char* sql, const std::string& run, const std::string& content) {
    Statement statement(db_, sql);
    statement.bind(run).bind(content).step();
    return !statement.failed();
  }
  std::vector<std::string> evidence_ids(const std::string& run) {
    std::vector<std::string> ids;
    Statement query(db_, "select evidence from run_evidence where run = ?");
    query.bind(run);
    while (query.step()) ids.push_back(query.text(0));
    return ids;
  }
  template <class F>
  base::Status each(const char* sql, const std::string& key, F body) {
    Statement query(db_, sql);
    query.bind(key);
    while (query.step()) PL_CHECK(body(query));
    if (query.failed()) return failure();
    return base::ok();
  }
  base::Result<std::string> find_run(const std::string& reference) {
    if (reference == "latest") {
      Statement query(db_,
                      "select id from run where status <> 'started' and pruned = 0 order by sequence desc limit 1");
      if (query.step()) return query.text(0);
      return base::make_error(base::Code::kValue, "the store holds no finished run", path_);
    }
    Statement exact(db_,
                    "select id from run where id = ?1 or name = ?1 order by (id = ?1) desc, sequence desc limit 1");
    if (!reference.empty() && exact.bind(reference).step()) return exact.text(0);
    Statement prefix(db_, "select id from run where substr(id, 1, length(?1)) = ?1 limit 2");
    if (reference.size() < 3 || !prefix.bind(reference).step()) {
      return base::make_error(base::Code::kValue, fmt::format("no run '{}'", reference), path_,
                              "`plumbline runs` lists them");
    }
    const std::string id = prefix.text(0);
    if (prefix.step())
      return base::make_error(base::Code::kValue, fmt::format("'{}' names several runs", reference), path_,
                              "Give more digits");
    return id;
  }

  sqlite3* db_;
  std::string path_;
};

constexpr int kBusyMilliseconds = 60'000;

base::Error refusal(sqlite3* db, const std::string& path) {
  const int code = sqlite3_errcode(db);
  const std::string hint = sqlite::hint_for(code);
  return base::make_error(code == SQLITE_NOTADB ? base::Code::kParse : base::Code::kIo, sqlite3_errmsg(db), path,
                          hint.empty() ? "Name another store with --store" : hint);
}

/// The schema of an open database; 0 where it holds nothing. Errors kParse: something else; kUnsupported: newer.
base::Result<int> schema_of(sqlite3* db, const std::string& path) {
  int schema = 0;
  bool foreign = false;
  {
    Statement version(db, "pragma user_version");
    if (version.step()) schema = static_cast<int>(version.integer(0));
    Statement any(db, "select count(*) from sqlite_master");
    if (!any.step()) return refusal(db, path);
    foreign = schema == 0 && any.integer(0) > 0;
  }
  if (foreign)
    return base::make_error(base::Code::kParse, "is a database, but not a Plumbline store", path,
                            "Name another file with --store");
  if (schema > kSchema)
    return base::make_error(base::Code::kUnsupported,
                            fmt::format("the store has schema {}, this build knows up to {}", schema, kSchema), path,
                            "Use the newer Plumbline that wrote it");
  return schema;
}

/// A path as SQLite reads it in a URI: what would end it is written as %XX.
std::string file_uri(const std::string& path) {
  std::string out = "file:";
  for (const char c : path)
    out += c == '?' || c == '#' || c == '%' ? fmt::format("%{:02X}", static_cast<unsigned char>(c)) : std::string(1, c);
  return out;
}

/// Opens or creates `file`; `place` is what the store is called.
base::Result<std::unique_ptr<Store>> open_to_write(const std::string& file, const std::string& place) {
  sqlite3* db = nullptr;
  const int opened =
      sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (opened != SQLITE_OK) {
    sqlite3_close(db);
    return base::make_error(base::Code::kIo, "the store cannot be opened or created", file,
                            "Check that the folder exists and is writable, or name another with --store");
  }
  auto store = std::make_unique<SqliteStore>(db, place);
  sqlite3_busy_timeout(db, kBusyMilliseconds);
  const auto run_sql = [&](const char* sql) { return sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK; };
  if (!run_sql("pragma journal_mode = wal") || !run_sql("pragma synchronous = full") || !run_sql("begin immediate")) {
    return refusal(db, file);
  }
  PL_TRY(const int schema, schema_of(db, file));
  if (schema == 0 && !run_sql(kTables)) return refusal(db, file);
  if (schema < kSchema &&
      (!run_sql(sqlite::kIndexes) || !run_sql(fmt::format("pragma user_version = {}", kSchema).c_str())))
    return refusal(db, file);
  if (!run_sql("commit")) return refusal(db, file);
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace

base::Result<std::unique_ptr<Store>> open_sqlite_store(const std::string& path) {
  std::error_code ignored;
  const auto parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, ignored);
  return open_to_write(path, std::filesystem::absolute(path, ignored).string());
}

base::Result<std::unique_ptr<Store>> open_sqlite_store_to_read(const std::string& path) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(path, code))
    return base::make_error(base::Code::kIo, "there is no store here", path,
                            "Name one with --store, or run `plumbline assess` first");
  const std::string whole = std::filesystem::absolute(path, code).string();
  // First as one reader among others. Where the files of the write-ahead log can neither be found nor made, nobody is
  // writing: the file is read as it lies.
  for (const char* how : {"?mode=ro", "?mode=ro&immutable=1"}) {
    sqlite3* db = nullptr;
    const int opened = sqlite3_open_v2((file_uri(whole) + how).c_str(), &db,
                                       SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
    auto store = std::make_unique<SqliteStore>(db, whole);
    if (opened != SQLITE_OK)
      return base::make_error(base::Code::kIo, "the store cannot be read", path, "Check who may read it");
    sqlite3_busy_timeout(db, kBusyMilliseconds);
    const auto schema = schema_of(db, path);
    // A run that ended before it could write leaves nothing behind: a store without runs, and still not written to.
    if (schema.ok() && *schema == 0) return open_to_write(":memory:", whole);
    if (schema.ok()) return std::unique_ptr<Store>(std::move(store));
    const bool nobody_writes = sqlite3_errcode(db) == SQLITE_CANTOPEN && !std::filesystem::exists(whole + "-wal", code);
    if (!nobody_writes) return schema.error();
  }
  return base::make_error(base::Code::kIo, "the store cannot be read", path, "Check who may read it");
}

}  // namespace plumbline::run
