#include "plumbline/system/ledger.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "plumbline/data/csv.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::system {
namespace {

using base::Code;
using base::make_error;

constexpr std::size_t kMostRows = 1000000;
constexpr int kCentury = 36525;

/// What a message shows of a cell: its beginning, without control characters.
std::string shown(const std::string& cell) {
  std::string out = cell.substr(0, 40);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  return out;
}

base::Error bad_row(const std::string& name, std::size_t row, std::string message, std::string hint = {}) {
  return make_error(Code::kValue, std::move(message), fmt::format("{}, row {}", name, row + 1), std::move(hint));
}

base::Result<const data::Column*> column_of(const data::Table& table, const std::string& column,
                                            const std::string& name, const char* what) {
  const data::Column* found = table.find(column);
  if (found == nullptr)
    return make_error(Code::kValue, fmt::format("there is no column '{}' ({})", shown(column), what), name,
                      "Name the column in the manifest, or add it to the file");
  return found;
}

base::Result<int> day_at(const data::Column& column, std::size_t row, const std::string& name) {
  const std::string cell = data::cell_text(column, row);
  const auto day = parse_day(cell);
  if (!day)
    return bad_row(name, row, fmt::format("{} = '{}' is no date", shown(column.name), shown(cell)), "Write 2025-03-31");
  return *day;
}

/// One row as an incident; nothing where it has no day of occurrence.
base::Result<std::optional<Incident>> read_row(const data::Column& occurred, const data::Column* reported,
                                               const data::Column& source, const data::Column& kind, std::size_t row,
                                               const std::string& name) {
  Incident incident;
  incident.source = data::cell_text(source, row);
  if (incident.source.empty())
    return bad_row(name, row, "the incident has no source", "Cite who reports it, or leave the row out");
  incident.kind = data::cell_text(kind, row);
  if (incident.kind.empty())
    return bad_row(name, row, "the incident has no kind", "Code it by the guide; unsure cases get a kind of their own");
  if (data::cell_text(occurred, row).empty()) return std::optional<Incident>();
  PL_TRY(incident.day, day_at(occurred, row, name));
  if (reported != nullptr && !data::cell_text(*reported, row).empty()) {
    PL_TRY(const int day, day_at(*reported, row, name));
    if (day < incident.day)
      return bad_row(name, row,
                     fmt::format("reported on {}, before it happened on {}", day_text(day), day_text(incident.day)));
    incident.reported = day;
  }
  return std::optional(std::move(incident));
}

/// Adds a report to what is known of the incident: the first one counts.
void merge(Incident& known, const Incident& more) {
  if (more.reported && (!known.reported || *more.reported < *known.reported)) {
    known.reported = more.reported;
    known.source = more.source;
  }
}

}  // namespace

std::optional<int> parse_day(std::string_view text) {
  const std::string whole = text.size() == 10 ? std::string(text) + "T00:00:00Z" : std::string(text);
  const auto seconds = data::parse_iso_time(whole);
  if (!seconds) return std::nullopt;
  const std::chrono::year_month_day written{
      std::chrono::year((whole[0] - '0') * 1000 + (whole[1] - '0') * 100 + (whole[2] - '0') * 10 + (whole[3] - '0')),
      std::chrono::month(static_cast<unsigned>((whole[5] - '0') * 10 + whole[6] - '0')),
      std::chrono::day(static_cast<unsigned>((whole[8] - '0') * 10 + whole[9] - '0'))};
  if (!written.ok()) return std::nullopt;
  return static_cast<int>(std::floor(*seconds / 86400));
}

std::string day_text(int day) {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

double years_between(double first, double day) { return (day - first) / 365.2425; }

base::Result<Ledger> make_ledger(const data::Table& table, const LedgerColumns& columns, const std::string& name) {
  if (table.rows() > kMostRows)
    return make_error(Code::kLimit, fmt::format("{} rows; at most {} are read", table.rows(), kMostRows), name);
  PL_TRY(const data::Column* const occurred, column_of(table, columns.occurred, name, "day of occurrence"));
  PL_TRY(const data::Column* const source, column_of(table, columns.source, name, "who reports it"));
  PL_TRY(const data::Column* const kind, column_of(table, columns.kind, name, "kind by the coding guide"));
  const data::Column* const reported = table.find(columns.reported);
  const data::Column* id = nullptr;
  if (!columns.id.empty()) {
    PL_TRY(id, column_of(table, columns.id, name, "id of the incident"));
  }
  Ledger ledger;
  std::map<std::string, std::size_t> known;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    PL_TRY(const std::optional<Incident> incident, read_row(*occurred, reported, *source, *kind, row, name));
    if (!incident) {
      ++ledger.undated;
      continue;
    }
    const std::string key = id != nullptr ? data::cell_text(*id, row)
                                          : fmt::format("{}\n{}\n{}", incident->day, incident->kind, incident->source);
    const auto [at, fresh] = known.emplace(key, ledger.incidents.size());
    if (fresh || (id != nullptr && key.empty())) {
      ledger.incidents.push_back(*incident);
      continue;
    }
    Incident& before = ledger.incidents[at->second];
    if (before.day != incident->day || before.kind != incident->kind)
      return bad_row(name, row, fmt::format("id '{}' was of another day or kind before", shown(key)),
                     "Rows of one id are reports of one incident: let them agree on occurrence and kind");
    merge(before, *incident);
    ++ledger.repeated;
  }
  if (ledger.incidents.empty())
    return make_error(Code::kShape, "no incident has a day of occurrence", name,
                      "Estimate the day where nobody noted it");
  std::stable_sort(ledger.incidents.begin(), ledger.incidents.end(),
                   [](const Incident& a, const Incident& b) { return a.day < b.day; });
  if (ledger.incidents.back().day - ledger.incidents.front().day > kCentury)
    return make_error(Code::kLimit,
                      fmt::format("incidents from {} to {}: more than a century apart",
                                  day_text(ledger.incidents.front().day), day_text(ledger.incidents.back().day)),
                      name, "Look for a mistyped year");
  ledger.dated_reports = std::all_of(ledger.incidents.begin(), ledger.incidents.end(),
                                     [](const Incident& i) { return i.reported.has_value(); });
  return ledger;
}

double Use::over(int first, int last, bool with_effort) const {
  double sum = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    // What lies before the first row is taken as the first row says.
    const int begin = i == 0 ? first : std::max(first, from[i]);
    const int end = i + 1 < from.size() ? std::min(last, from[i + 1]) : last;
    if (end <= begin) continue;
    sum += (exposure.empty() ? 1 : exposure[i]) * (with_effort && !effort.empty() ? effort[i] : 1) * (end - begin);
  }
  return sum;
}

base::Result<Use> make_use(const data::Table& table, const std::string& name) {
  PL_TRY(const data::Column* const time, column_of(table, "time", name, "day from which a row holds"));
  const data::Column* const exposure = table.find("exposure");
  const data::Column* const effort = table.find("effort");
  if (exposure == nullptr && effort == nullptr)
    return make_error(Code::kValue, "there is neither a column 'exposure' nor a column 'effort'", name);
  if (table.rows() > kMostRows)
    return make_error(Code::kLimit, fmt::format("{} rows; at most {} are read", table.rows(), kMostRows), name);
  Use use;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    PL_TRY(const int day, day_at(*time, row, name));
    if (!use.from.empty() && day <= use.from.back())
      return bad_row(name, row, fmt::format("{} does not come after the row before", day_text(day)));
    use.from.push_back(day);
    for (const auto& [column, list] : {std::pair(exposure, &use.exposure), std::pair(effort, &use.effort)}) {
      if (column == nullptr) continue;
      double value = 0;
      if (!data::parse_number(data::cell_text(*column, row), &value) || !(value > 0) || !std::isfinite(value))
        return bad_row(
            name, row,
            fmt::format("{} = '{}' is not a positive number", column->name, shown(data::cell_text(*column, row))));
      list->push_back(value);
    }
  }
  return use;
}

}  // namespace plumbline::system
