#pragma once
/// Pages of what a SQLite store holds, asked so that no run is read whole.

#include <string>
#include <vector>

#include <sqlite3.h>

#include "plumbline/case/run/store.hpp"

namespace plumbline::run::sqlite {

/// What makes them fast at 10,000 runs; their absence changes nothing else.
extern const char* const kIndexes;

base::Result<RunPage> find_runs(sqlite3* db, const std::string& place, const RunQuery& query);
base::Result<std::vector<TrendPoint>> trend(sqlite3* db, const std::string& place, const TrendQuery& query);
base::Result<std::vector<MetricCount>> metrics(sqlite3* db, const std::string& place);
base::Result<FindingPage> findings(sqlite3* db, const std::string& place, const FindingQuery& query);

/// The error of the last statement, with what helps.
base::Error failure(sqlite3* db, const std::string& place);
/// What helps where a statement failed for want of room or leave; empty: nothing is known.
std::string hint_for(int code);
check::RunStatus status_from(const std::string& word);

}  // namespace plumbline::run::sqlite
