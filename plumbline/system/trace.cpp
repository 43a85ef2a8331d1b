#include "plumbline/system/trace.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/data/csv.hpp"
#include "plumbline/stats/descriptive.hpp"

namespace plumbline::system {
namespace {

using base::Code;
using base::make_error;
using data::Column;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

base::Result<const Column*> column_of(const TraceTable& table, const std::string& name, std::string_view what) {
  const Column* column = table.table->find(name);
  if (column != nullptr) return column;
  std::vector<std::string> names;
  for (const Column& c : table.table->columns) names.push_back(c.name);
  return make_error(Code::kValue, fmt::format("there is no column '{}' ({})", name, what), table.name,
                    fmt::format("columns are {}", fmt::join(names, ", ")));
}

base::Result<std::uint8_t> flag_of(const Column& column, std::size_t row, const std::string& place) {
  const std::string text = data::cell_text(column, row);
  if (text.empty()) return kNotRecorded;
  if (text == "1" || text == "true" || text == "yes") return std::uint8_t{1};
  if (text == "0" || text == "false" || text == "no") return std::uint8_t{0};
  return make_error(Code::kValue,
                    fmt::format("row {} of column '{}' is '{}', expected 0 or 1", row + 1, column.name, text), place);
}

/// Where the rows of each table lie in the joined one.
struct Joined {
  std::size_t rows = 0;
  std::vector<double> time;
  std::vector<int> unit;
  std::vector<std::vector<std::size_t>> place;  ///< [table][row]
};

base::Result<Joined> join_rows(std::span<const TraceTable> tables) {
  struct Key {
    int unit;
    double time;
    std::size_t order;  // tells rows of a single table apart, so that equal times keep their order
    auto operator<=>(const Key&) const = default;
  };
  std::map<std::string, int> units;
  std::vector<std::vector<Key>> keys;
  bool has_units = true;
  for (const TraceTable& table : tables) {
    const std::size_t rows = table.table->rows();
    if (rows == 0) return make_error(Code::kShape, "has no rows", table.name);
    if (tables.size() > 1 && (table.unit.empty() || table.time.empty()))
      return make_error(Code::kValue, "traces in several files are joined on unit and time", table.name,
                        "Name both columns in each part: unit = \"...\", time = \"...\"");
    const Column* time = nullptr;
    const Column* unit = nullptr;
    if (!table.time.empty()) {
      PL_TRY(time, column_of(table, table.time, "time"));
      if (time->kind != Column::Kind::kNumber)
        return make_error(Code::kValue, fmt::format("the time column '{}' holds no numbers", table.time), table.name);
    }
    if (!table.unit.empty()) {
      PL_TRY(unit, column_of(table, table.unit, "unit"));
    }
    has_units = has_units && unit != nullptr;
    std::vector<Key>& list = keys.emplace_back();
    for (std::size_t i = 0; i < rows; ++i) {
      const double t = time == nullptr ? static_cast<double>(i) : time->numbers[i];
      if (std::isnan(t)) return make_error(Code::kValue, fmt::format("row {} has no time", i + 1), table.name);
      const int u =
          unit == nullptr ? 0 : units.emplace(data::cell_text(*unit, i), static_cast<int>(units.size())).first->second;
      list.push_back({u, t, tables.size() > 1 ? 0 : i});
    }
  }
  std::vector<Key> all;
  for (std::size_t k = 0; k < keys.size(); ++k) {
    std::vector<Key> sorted = keys[k];
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end())
      return make_error(Code::kValue, fmt::format("two rows have one unit and time {}", twice->time), tables[k].name,
                        "Give each event a time of its own, or write all parts into one file");
    std::vector<Key> merged;
    std::set_union(all.begin(), all.end(), sorted.begin(), sorted.end(), std::back_inserter(merged));
    all = std::move(merged);
  }
  Joined out;
  out.rows = all.size();
  for (const Key& key : all) {
    out.time.push_back(key.time);
    if (has_units) out.unit.push_back(key.unit);
  }
  for (const std::vector<Key>& list : keys) {
    std::vector<std::size_t>& place = out.place.emplace_back();
    for (const Key& key : list)
      place.push_back(static_cast<std::size_t>(std::lower_bound(all.begin(), all.end(), key) - all.begin()));
  }
  return out;
}

/// Fills a signal from a column; false where it already held other values in `differ` rows.
void fill(Signal& signal, const Column& column, const std::vector<std::size_t>& place, std::size_t& differ) {
  std::map<std::string, int> codes;
  for (std::size_t k = 0; k < signal.levels.size(); ++k) codes.emplace(signal.levels[k], static_cast<int>(k));
  for (std::size_t i = 0; i < place.size(); ++i) {
    double value = kMissing;
    if (signal.numeric) {
      value = column.numbers[i];
    } else if (const std::string text = data::cell_text(column, i); !text.empty()) {
      const auto [at, fresh] = codes.emplace(text, static_cast<int>(codes.size()));
      if (fresh) signal.levels.push_back(text);
      value = at->second;
    }
    double& held = signal.value[place[i]];
    if (std::isnan(value)) continue;
    if (std::isnan(held))
      held = value;
    else if (held != value)
      ++differ;
  }
}

/// Tables that hold the signal, that of its writer first.
std::vector<std::size_t> holders(const SystemGraph& graph, std::span<const TraceTable> tables,
                                 const std::string& signal) {
  std::vector<std::size_t> first, rest;
  for (std::size_t k = 0; k < tables.size(); ++k) {
    if (tables[k].table->find(signal) == nullptr) continue;
    bool writes = false, reads = false;
    for (const TraceTable::Part& part : tables[k].parts) {
      const Component& c = graph.component(part.component);
      const auto in = [&](const std::vector<std::string>& list) {
        return std::find(list.begin(), list.end(), signal) != list.end();
      };
      writes = writes || in(c.outputs);
      reads = reads || in(c.inputs) || in(c.learns_from) || c.objective == signal;
    }
    if (writes)
      first.push_back(k);
    else if (reads || tables.size() == 1)
      rest.push_back(k);
  }
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

base::Status read_exploration(const TraceTable& table, const TraceTable::Part& part,
                              const std::vector<std::size_t>& place, std::size_t rows, Exploration& out) {
  if (!part.explored.empty()) {
    PL_TRY(const Column* column, column_of(table, part.explored, "exploration flag"));
    out.flag.assign(rows, kNotRecorded);
    for (std::size_t i = 0; i < place.size(); ++i) {
      PL_TRY(out.flag[place[i]], flag_of(*column, i, table.name));
    }
  }
  if (part.propensity.empty()) return base::ok();
  PL_TRY(const Column* column, column_of(table, part.propensity, "propensity"));
  if (column->kind != Column::Kind::kNumber)
    return make_error(Code::kValue, fmt::format("the propensity column '{}' holds no numbers", part.propensity),
                      table.name);
  out.propensity.assign(rows, kMissing);
  for (std::size_t i = 0; i < place.size(); ++i) {
    const double p = column->numbers[i];
    if (p < 0 || p > 1)
      return make_error(Code::kValue,
                        fmt::format("row {} of column '{}' is {}, expected a probability", i + 1, part.propensity, p),
                        table.name);
    out.propensity[place[i]] = p;
  }
  return base::ok();
}

}  // namespace

const Signal* Trace::find(std::string_view name) const {
  for (const Signal& signal : signals)
    if (signal.name == name) return &signal;
  return nullptr;
}

base::Result<Trace> make_trace(const SystemGraph& graph, std::span<const TraceTable> tables) {
  if (tables.empty()) return make_error(Code::kValue, "no part has a recorded trace");
  PL_TRY(Joined joined, join_rows(tables));
  Trace trace;
  trace.rows = joined.rows;
  trace.time = std::move(joined.time);
  trace.unit = std::move(joined.unit);
  trace.explored.resize(graph.components().size());
  for (std::size_t k = 0; k < tables.size(); ++k) {
    for (const TraceTable::Part& part : tables[k].parts) {
      for (const std::string& output : graph.component(part.component).outputs) {
        PL_TRY(const Column* held,
               column_of(tables[k], output, fmt::format("output of {}", graph.component(part.component).name)));
        (void)held;
      }
      PL_CHECK(read_exploration(tables[k], part, joined.place[k], trace.rows, trace.explored[part.component]));
    }
  }
  for (const std::string& name : graph.signals()) {
    const std::vector<std::size_t> held = holders(graph, tables, name);
    if (held.empty()) continue;
    Signal signal;
    signal.name = name;
    signal.value.assign(trace.rows, kMissing);
    signal.numeric = std::all_of(held.begin(), held.end(), [&](std::size_t k) {
      return tables[k].table->find(name)->kind == Column::Kind::kNumber;
    });
    std::size_t differ = 0;
    for (const std::size_t k : held) fill(signal, *tables[k].table->find(name), joined.place[k], differ);
    if (differ > 0)
      trace.notes.push_back(fmt::format(
          "in {} rows what was read of '{}' is not what was written; what was written counts", differ, name));
    trace.signals.push_back(std::move(signal));
  }
  return trace;
}

Clusters make_clusters(std::span<const int> units, std::size_t rows) {
  constexpr std::size_t kLeastUnits = 20;
  constexpr std::size_t kBlocks = 50;
  constexpr std::size_t kShortest = 5;
  Clusters out;
  const std::set<int> distinct(units.begin(), units.end());
  if (distinct.size() >= kLeastUnits) {
    std::vector<int> order(distinct.begin(), distinct.end());
    for (const int u : units)
      out.of_row.push_back(static_cast<int>(std::lower_bound(order.begin(), order.end(), u) - order.begin()));
    out.count = distinct.size();
    return out;
  }
  out.blocks = true;
  const std::size_t length = std::max(kShortest, (rows + kBlocks - 1) / kBlocks);
  std::size_t in_block = 0;
  int block = -1;
  for (std::size_t i = 0; i < rows; ++i) {
    const bool other = i == 0 || (!units.empty() && units[i] != units[i - 1]);
    if (other || in_block == length) {
      ++block;
      in_block = 0;
    }
    ++in_block;
    out.of_row.push_back(block);
  }
  out.count = static_cast<std::size_t>(block + 1);
  return out;
}

std::vector<int> sampling_units(const Trace& trace) {
  return trace.unit.empty() ? std::vector<int>() : make_clusters(trace.unit, trace.rows).of_row;
}

std::string_view sampling_name(const Trace& trace) {
  if (trace.unit.empty()) return "row";
  return make_clusters(trace.unit, trace.rows).blocks ? "block of rows" : "unit";
}

std::vector<int> as_levels(const Signal& signal, std::size_t most, std::vector<std::string>* names) {
  std::vector<int> out(signal.value.size(), -1);
  std::map<double, std::size_t> count;
  for (const double v : signal.value)
    if (!std::isnan(v)) ++count[v];
  if (names != nullptr) names->clear();
  if (!signal.numeric || count.size() <= most) {
    // The rarest levels share the last code where there are too many.
    std::vector<std::pair<double, std::size_t>> levels(count.begin(), count.end());
    if (levels.size() > most)
      std::stable_sort(levels.begin(), levels.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    std::map<double, int> code;
    for (std::size_t k = 0; k < levels.size(); ++k) {
      code[levels[k].first] = static_cast<int>(std::min(k, most - 1));
      if (names == nullptr) continue;
      if (k + 1 > most)
        names->back() = "the rest";
      else
        names->push_back(signal.numeric ? fmt::format("{:.4g}", levels[k].first)
                                        : signal.levels[static_cast<std::size_t>(levels[k].first)]);
    }
    for (std::size_t i = 0; i < out.size(); ++i)
      if (!std::isnan(signal.value[i])) out[i] = code[signal.value[i]];
    return out;
  }
  std::vector<double> sorted;
  for (const double v : signal.value)
    if (!std::isnan(v)) sorted.push_back(v);
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> cuts;
  for (std::size_t k = 1; k < most; ++k) {
    const double cut = stats::quantile_sorted(sorted, static_cast<double>(k) / static_cast<double>(most));
    if (cuts.empty() || cut > cuts.back()) cuts.push_back(cut);
  }
  for (std::size_t i = 0; i < out.size(); ++i)
    if (!std::isnan(signal.value[i]))
      out[i] = static_cast<int>(std::upper_bound(cuts.begin(), cuts.end(), signal.value[i]) - cuts.begin());
  if (names == nullptr) return out;
  for (std::size_t k = 0; k <= cuts.size(); ++k)
    names->push_back(k == 0             ? fmt::format("below {:.3g}", cuts[0])
                     : k == cuts.size() ? fmt::format("from {:.3g}", cuts[k - 1])
                                        : fmt::format("{:.3g} to {:.3g}", cuts[k - 1], cuts[k]));
  return out;
}

Strata make_strata(std::span<const StrataColumn> columns, std::size_t rows, std::size_t least) {
  constexpr std::size_t kMostLevels = 8;
  constexpr std::size_t kQuartiles = 4;
  const std::size_t most = std::min<std::size_t>(64, std::max<std::size_t>(1, rows / least));
  Strata out;
  out.of_row.assign(rows, 0);
  for (const StrataColumn& column : columns) {
    const Signal signal{column.name, column.numeric, *column.value, {}};
    std::set<double> distinct;
    for (const double v : signal.value) {
      if (!std::isnan(v)) distinct.insert(v);
      if (distinct.size() > kMostLevels) break;
    }
    const bool many = signal.numeric && distinct.size() > kMostLevels;
    const std::vector<int> level = as_levels(signal, many ? kQuartiles : kMostLevels, nullptr);
    std::map<std::pair<int, int>, int> cells;
    std::vector<int> next(rows, -1);
    for (std::size_t i = 0; i < rows; ++i) {
      if (out.of_row[i] < 0 || level[i] < 0) continue;
      next[i] = cells.emplace(std::pair(out.of_row[i], level[i]), static_cast<int>(cells.size())).first->second;
    }
    if (cells.size() > most || cells.empty()) {
      out.left_out.push_back(column.name);
      continue;
    }
    out.of_row = std::move(next);
    out.count = static_cast<int>(cells.size());
    out.used.push_back(column.name);
  }
  return out;
}

}  // namespace plumbline::system
