#include "plumbline/runtime/log/decision_journal.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/runtime/log/file_journal.hpp"
#include "plumbline/runtime/log/postgres_journal.hpp"

namespace plumbline::runtime {
namespace {

constexpr std::array<std::string_view, 3> kPolicies = {"each", "group", "none"};

template <class Opened>
base::Result<std::unique_ptr<DecisionJournal>> as_journal(Opened opened) {
  if (!opened.ok()) return opened.error();
  return std::unique_ptr<DecisionJournal>(std::move(opened).value());
}

}  // namespace

std::string_view sync_policy_name(SyncPolicy policy) { return kPolicies[static_cast<std::size_t>(policy)]; }

base::Result<SyncPolicy> parse_sync_policy(std::string_view word) {
  const auto found = std::find(kPolicies.begin(), kPolicies.end(), word);
  if (found == kPolicies.end())
    return base::make_error(base::Code::kValue, fmt::format("'{}' is no sync policy, expected one of {}", word,
                                                            fmt::join(kPolicies, ", ")));
  return static_cast<SyncPolicy>(found - kPolicies.begin());
}

bool is_database(std::string_view place) {
  return place.starts_with("postgresql://") || place.starts_with("postgres://");
}

std::string shown_place(const std::string& place) { return is_database(place) ? shown_url(place) : place; }

base::Result<std::unique_ptr<DecisionJournal>> DecisionJournal::open(const std::string& place,
                                                                     const JournalOptions& options,
                                                                     const JournalVisit& visit) {
  if (is_database(place)) return as_journal(PostgresJournal::open(place, options, visit));
  return as_journal(FileJournal::open(place, options, visit));
}

base::Result<JournalState> read_journal(const std::string& place, const JournalVisit& visit,
                                        const std::string& partition) {
  return is_database(place) ? read_postgres_journal(place, partition, visit) : read_file_journal(place, visit);
}

base::Result<JournalState> read_history(const std::string& place, const JournalVisit& visit,
                                        const std::string& partition) {
  return is_database(place) ? read_postgres_journal(place, partition, visit) : read_file_history(place, visit);
}

base::Result<std::vector<std::string>> list_partitions(const std::string& place) {
  if (is_database(place)) return list_postgres_partitions(place);
  return std::vector<std::string>{""};
}

}  // namespace plumbline::runtime
