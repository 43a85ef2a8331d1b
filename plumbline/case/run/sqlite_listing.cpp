#include "plumbline/case/run/sqlite_listing.hpp"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/run/sqlite_statement.hpp"

namespace plumbline::run::sqlite {
namespace {

using check::RunStatus;
using nlohmann::json;

/// A condition put together from parts that are there or not, with what is bound to it in order.
class Condition {
 public:
  void add(const std::string& sql, std::initializer_list<std::string> values) {
    sql_ += (sql_.empty() ? " where " : " and ") + sql;
    values_.insert(values_.end(), values);
  }
  const std::string& sql() const { return sql_; }
  void bind(Statement& statement) const {
    for (const std::string& value : values_) statement.bind(value);
  }

 private:
  std::string sql_;
  std::vector<std::string> values_;
};

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

Condition condition_of(const RunQuery& query) {
  Condition where;
  if (!query.status.empty()) where.add("status = ?", {query.status});
  if (!query.verdict.empty()) where.add("instr(', ' || verdict_summary, ', ' || ? || ' ') > 0", {query.verdict});
  if (!query.text.empty()) {
    const std::string text = lower(query.text);
    where.add("(instr(id, ?) > 0 or instr(lower(name), ?) > 0 or instr(lower(system), ?) > 0)", {text, text, text});
  }
  return where;
}

const char* order_of(RunQuery::Order order) {
  // In the order of RunQuery::Order. The sequence is that of closing.
  static constexpr std::array<const char*, 8> kOrders = {
      " order by sequence desc",           " order by sequence",
      " order by seconds, sequence desc",  " order by seconds desc, sequence desc",
      " order by system, sequence desc",   " order by system desc, sequence desc",
      " order by evidence, sequence desc", " order by evidence desc, sequence desc"};
  return kOrders[static_cast<std::size_t>(order)];
}

/// The key of the first artifact of a finding's task; "row-outcomes" are for comparing runs, not for looking at.
std::string picture_of(sqlite3* db, const std::string& run, const check::Finding& finding) {
  const std::string prefix = artifact_name(finding.check, finding.subject, "");
  Statement query(db,
                  "select sha256 from run_artifact where run = ?1 and substr(id, 1, length(?2)) = ?2 and id <> ?2 || "
                  "'row-outcomes' order by position limit 1");
  return query.bind(run).bind(prefix).step() ? query.text(0) : std::string();
}

}  // namespace

const char* const kIndexes = R"sql(
create index if not exists run_listing on run(status, system, name, id, verdict_summary);
create index if not exists evidence_metric on evidence(check_id, metric, json_extract(content, '$.subject'));
create index if not exists finding_check on finding(json_extract(content, '$.check'));
)sql";

std::string hint_for(int code) {
  switch (code) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
      return "Free some space (or raise the quota or the limit on file sizes) and run again; finished evidence is kept";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN: return "Choose a writable place with --store";
    case SQLITE_BUSY: return "Another process kept the store locked for a minute";
    default: return {};
  }
}

base::Error failure(sqlite3* db, const std::string& place) {
  return base::make_error(base::Code::kIo, sqlite3_errmsg(db), place, hint_for(sqlite3_errcode(db)));
}

RunStatus status_from(const std::string& word) {
  for (const RunStatus status : {RunStatus::kStarted, RunStatus::kSuccess, RunStatus::kCancelled, RunStatus::kError}) {
    if (word == check::run_status_name(status)) return status;
  }
  return RunStatus::kError;
}

base::Result<RunPage> find_runs(sqlite3* db, const std::string& place, const RunQuery& query) {
  const Condition where = condition_of(query);
  RunPage page;
  {
    Statement count(db, ("select count(*) from run" + where.sql()).c_str());
    where.bind(count);
    if (!count.step()) return failure(db, place);
    page.total = static_cast<std::size_t>(count.integer(0));
  }
  const std::string sql =
      "select id, name, status, system, started, seconds, verdict_summary, exit_status, pruned, (select count(*) from "
      "run_evidence where run = id) as evidence from run" +
      where.sql() + order_of(query.order) + " limit ? offset ?";
  Statement rows(db, sql.c_str());
  where.bind(rows);
  rows.bind(static_cast<std::int64_t>(query.limit)).bind(static_cast<std::int64_t>(query.offset));
  while (rows.step()) {
    RunSummary r;
    r.id = rows.text(0);
    r.name = rows.text(1);
    r.status = status_from(rows.text(2));
    r.system = rows.text(3);
    r.started = rows.text(4);
    r.seconds = rows.real(5);
    r.verdicts = rows.text(6);
    r.exit_status = static_cast<int>(rows.integer(7));
    r.pruned = rows.integer(8) != 0;
    r.evidence = static_cast<std::size_t>(rows.integer(9));
    page.runs.push_back(std::move(r));
  }
  if (rows.failed()) return failure(db, place);
  return page;
}

base::Result<std::vector<TrendPoint>> trend(sqlite3* db, const std::string& place, const TrendQuery& query) {
  Condition where;
  where.add("e.check_id = ?", {query.check});
  where.add("e.metric = ?", {query.metric});
  where.add("r.chain <> ''", {});
  if (query.subject) where.add("json_extract(e.content, '$.subject') = ?", {*query.subject});
  for (const auto& [key, value] : query.where) {
    if (value.empty())
      where.add("not exists (select 1 from json_each(e.content, '$.where') w where w.key = ?)", {key});
    else
      where.add("exists (select 1 from json_each(e.content, '$.where') w where w.key = ? and w.value = ?)",
                {key, value});
  }
  // Cross joins fix the order of the loops: newest run first, so that the limit ends the search early.
  const std::string sql =
      "select r.id, r.started, e.content, re.build from run r cross join run_evidence re on re.run = r.id cross join "
      "evidence e on e.id = re.evidence" +
      where.sql() + " order by r.sequence desc, re.position limit ?";
  Statement rows(db, sql.c_str());
  where.bind(rows);
  rows.bind(static_cast<std::int64_t>(query.limit));
  std::vector<TrendPoint> out;
  while (rows.step()) {
    PL_TRY(check::Evidence e, check::evidence_from_json(json::parse(rows.text(2), nullptr, false)));
    e.build = rows.text(3);
    out.push_back({rows.text(0), rows.text(1), std::move(e)});
  }
  if (rows.failed()) return failure(db, place);
  return out;
}

base::Result<std::vector<MetricCount>> metrics(sqlite3* db, const std::string& place) {
  Statement rows(db,
                 "select e.check_id, e.metric, json_extract(e.content, '$.subject') as subject, count(*) from evidence "
                 "e cross join run_evidence re on re.evidence = e.id where re.run not in (select id from run where "
                 "status = 'started') group by e.check_id, e.metric, subject order by e.check_id, e.metric, subject");
  std::vector<MetricCount> out;
  while (rows.step()) {
    if (out.empty() || out.back().check != rows.text(0) || out.back().metric != rows.text(1))
      out.push_back({rows.text(0), rows.text(1), {}, 0});
    out.back().subjects.push_back(rows.text(2));
    out.back().points += static_cast<std::size_t>(rows.integer(3));
  }
  if (rows.failed()) return failure(db, place);
  return out;
}

base::Result<FindingPage> findings(sqlite3* db, const std::string& place, const FindingQuery& query) {
  Condition where;
  if (!query.check.empty()) where.add("json_extract(f.content, '$.check') = ?", {query.check});
  FindingPage page;
  {
    Statement count(db, ("select count(*) from finding f" + where.sql()).c_str());
    where.bind(count);
    if (!count.step()) return failure(db, place);
    page.total = static_cast<std::size_t>(count.integer(0));
  }
  const std::string sql =
      "select r.id, r.started, r.system, f.content from run r cross join finding f on f.run = r.id" + where.sql() +
      " order by r.sequence desc, f.position limit ? offset ?";
  Statement rows(db, sql.c_str());
  where.bind(rows);
  rows.bind(static_cast<std::int64_t>(query.limit)).bind(static_cast<std::int64_t>(query.offset));
  while (rows.step()) {
    StoredFinding found;
    found.run = rows.text(0);
    found.started = rows.text(1);
    found.system = rows.text(2);
    PL_TRY(found.finding, check::finding_from_json(json::parse(rows.text(3), nullptr, false)));
    found.artifact = picture_of(db, found.run, found.finding);
    page.findings.push_back(std::move(found));
  }
  if (rows.failed()) return failure(db, place);
  return page;
}

}  // namespace plumbline::run::sqlite
