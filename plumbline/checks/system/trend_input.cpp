#include "plumbline/checks/system/trend_input.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "plumbline/data/csv.hpp"
#include "plumbline/data/jsonl.hpp"

namespace plumbline::checks {
namespace {

namespace sys = plumbline::system;
using base::Code;

base::Error bad_section(const data::OtherSection& section, std::string message, std::string hint = {}) {
  return base::make_error(Code::kValue, std::move(message),
                          fmt::format("[{}.{}], line {}", section.kind, section.name, section.line), std::move(hint));
}

/// Tables of this size are ledgers by mistake.
data::ReadLimits limits() {
  data::ReadLimits limits;
  limits.file_bytes = limits.inflated_bytes = 1ULL << 28U;
  limits.rows = 1000000;
  limits.columns = 1000;
  limits.cell_bytes = 1U << 16U;
  return limits;
}

base::Result<data::Table> read_table(const data::OtherSection& section, const std::string& key) {
  const std::string& path = section.paths.at(key).resolved;
  const bool lines = path.ends_with(".jsonl") || path.ends_with(".ndjson");
  return lines ? data::read_jsonl(path, {}, limits()) : data::read_csv(path, {}, limits());
}

std::string text_or(const data::OtherSection& section, const std::string& key, std::string otherwise) {
  std::string given = section.text(key);
  return given.empty() ? std::move(otherwise) : given;
}

std::vector<std::string> texts(const data::OtherSection& section, const std::string& key) {
  const auto found = section.keys.find(key);
  const auto* list = found == section.keys.end() ? nullptr : std::get_if<std::vector<std::string>>(&found->second);
  return list == nullptr ? std::vector<std::string>{} : *list;
}

base::Result<std::optional<int>> day_key(const data::OtherSection& section, const std::string& key) {
  const std::string given = section.text(key);
  if (given.empty()) return std::optional<int>();
  const auto day = sys::parse_day(given);
  if (!day) return bad_section(section, fmt::format("{} = \"{}\" is no date", key, given), "Write \"2025-03-31\"");
  return std::optional(*day);
}

base::Result<std::vector<double>> numbers_of(const data::Table& table, const data::OtherSection& section,
                                             const std::string& column) {
  const data::Column* found = table.find(column);
  if (found == nullptr)
    return bad_section(section, fmt::format("the file has no column '{}'", column), "Name the column that holds it");
  std::vector<double> out(table.rows());
  for (std::size_t row = 0; row < out.size(); ++row) {
    if (!data::parse_number(data::cell_text(*found, row), &out[row]) || !std::isfinite(out[row]))
      return bad_section(section, fmt::format("row {}: {} is not a finite number", row + 1, column),
                         "Leave out rows without a figure");
  }
  return out;
}

/// Dates, else numbers, else the number of the point; they must not go back.
base::Status read_times(const data::Table& table, const data::OtherSection& section, TrendInput& out,
                        std::vector<double>& order) {
  const std::string column = text_or(section, "time", "time");
  const data::Column* const time = table.find(column);
  if (time == nullptr)
    return bad_section(section, fmt::format("the file has no column '{}'", column), "Name it: time = \"...\"");
  bool dates = true, numbers = true;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    out.time.push_back(data::cell_text(*time, row));
    double number = 0;
    dates = dates && sys::parse_day(out.time.back()).has_value();
    numbers = numbers && data::parse_number(out.time.back(), &number) && std::isfinite(number);
  }
  out.dated = dates;
  out.x_label = dates     ? fmt::format("years from {}", sys::day_text(*sys::parse_day(out.time.front())))
                : numbers ? "time"
                          : "point";
  for (std::size_t row = 0; row < table.rows(); ++row) {
    double at = static_cast<double>(row);
    if (dates) at = *sys::parse_day(out.time[row]);
    if (!dates && numbers) (void)data::parse_number(out.time[row], &at);
    if (!order.empty() && at < order.back())
      return bad_section(section, fmt::format("row {}: its time comes before that of the row before", row + 1),
                         "Sort the file by time");
    order.push_back(at);
    out.x.push_back(dates ? sys::years_between(order.front(), at) : at);
  }
  return base::ok();
}

base::Result<std::size_t> split_of(const data::OtherSection& section, const TrendInput& input,
                                   const std::vector<double>& order) {
  const std::string since = section.text("since");
  if (since.empty()) return order.size() / 2;
  double at = 0;
  std::size_t split = 0;
  if (input.x_label == "point") {
    split = static_cast<std::size_t>(std::find(input.time.begin(), input.time.end(), since) - input.time.begin());
  } else {
    const auto day = sys::parse_day(since);
    if (input.dated ? !day : !data::parse_number(since, &at))
      return bad_section(section, fmt::format("since = \"{}\" cannot be compared with the times of the file", since));
    if (input.dated) at = *day;
    split = static_cast<std::size_t>(std::lower_bound(order.begin(), order.end(), at) - order.begin());
  }
  if (split == 0 || split >= order.size())
    return bad_section(section, fmt::format("since = \"{}\" leaves no points on one side", since));
  return split;
}

}  // namespace

base::Result<TrendInput> read_trend(const data::OtherSection& section) {
  PL_TRY(const data::Table table, read_table(section, "path"));
  if (table.rows() < 2)
    return base::make_error(Code::kShape, "a series needs two points", section.paths.at("path").resolved);
  TrendInput out;
  std::vector<double> order;
  PL_CHECK(read_times(table, section, out, order));
  PL_TRY(out.series.value, numbers_of(table, section, text_or(section, "value", "value")));
  for (const auto& [key, noise] :
       {std::pair("error", stats::Noise::kStated), std::pair("exposure", stats::Noise::kCounts),
        std::pair("trials", stats::Noise::kShares)}) {
    const std::string column = section.text(key);
    if (column.empty()) continue;
    if (!out.series.scale.empty())
      return bad_section(section, "only one of error, exposure and trials says how points scatter");
    PL_TRY(out.series.scale, numbers_of(table, section, column));
    out.series.noise = noise;
  }
  if (const base::Status status = stats::check_series(out.series); !status.ok())
    return bad_section(section, status.error().message);
  PL_TRY(out.split, split_of(section, out, order));
  return out;
}

base::Result<IncidentsInput> read_incidents(const data::OtherSection& section) {
  IncidentsInput out;
  sys::LedgerColumns columns;
  columns.occurred = text_or(section, "occurred", columns.occurred);
  columns.reported = text_or(section, "reported", columns.reported);
  columns.source = text_or(section, "source", columns.source);
  columns.kind = text_or(section, "kind", columns.kind);
  columns.id = section.text("id");
  PL_TRY(const data::Table table, read_table(section, "path"));
  PL_TRY(out.ledger, sys::make_ledger(table, columns, section.paths.at("path").resolved));
  if (section.paths.count("use") > 0) {
    PL_TRY(const data::Table use, read_table(section, "use"));
    PL_TRY(out.use, sys::make_use(use, section.paths.at("use").resolved));
  }
  out.options.about = texts(section, "about");
  out.options.control = texts(section, "control");
  PL_TRY(out.options.first, day_key(section, "first"));
  PL_TRY(out.options.as_of, day_key(section, "as_of"));
  PL_TRY(out.options.since, day_key(section, "since"));
  if (const auto period = section.keys.find("period"); period != section.keys.end()) {
    const auto days = std::get<std::int64_t>(period->second);
    if (days < 1 || days > 3650) return bad_section(section, fmt::format("period = {} days: 1 to 3650 expected", days));
    out.options.period = static_cast<int>(days);
  }
  return out;
}

}  // namespace plumbline::checks
