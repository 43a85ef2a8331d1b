#pragma once
/// What the parts of a system did, row by row: one row an event (a request, a round), signals as columns.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/system/graph.hpp"

namespace plumbline::system {

/// One quantity over all rows. Missing: NaN.
struct Signal {
  std::string name;
  bool numeric = true;
  std::vector<double> value;        ///< number, or index into levels
  std::vector<std::string> levels;  ///< of a signal that is not numeric

  /// A number, or two levels that count as 0 and 1.
  bool measurable() const { return numeric || levels.size() == 2; }
};

inline constexpr std::uint8_t kNotRecorded = 255;

/// Of each part.
struct Exploration {
  std::vector<std::uint8_t>
      flag;  ///< 1 where its output was drawn by lot, kNotRecorded where nothing says; empty: none
  std::vector<double> propensity;  ///< probability of drawing by lot in that row; empty: not recorded
};

struct Trace {
  std::size_t rows = 0;
  std::vector<double> time;           ///< ascending within a unit; row number where none is recorded
  std::vector<int> unit;              ///< series that rows belong to; empty: one row knows nothing of another
  std::vector<Signal> signals;        ///< those of the graph that were recorded
  std::vector<Exploration> explored;  ///< by part
  std::vector<std::string> notes;     ///< what was left out, what disagrees

  /// The signal of that name; null where it was not recorded.
  const Signal* find(std::string_view name) const;
};

/// A table that parts left, and the columns in it that are no signals. Empty: not recorded.
struct TraceTable {
  const data::Table* table = nullptr;
  std::string name;  ///< of the file, for messages
  std::string time;
  std::string unit;
  struct Part {
    std::size_t component = 0;
    std::string explored;
    std::string propensity;
  };
  std::vector<Part> parts;  ///< whose inputs and outputs it holds
};

/// Question  what did all parts do, event by event?
/// What      columns named as the signals of each table's parts. Several tables are joined on unit and time, which must
///           then name a row in each; rows that one of them lacks are missing there. Where two tables hold one signal,
///           the one of its writer counts; rows in which they differ are counted in the notes. Rows are ordered by unit
///           (first appearance) and time.
/// Errors    kValue: no table; a column that is declared and not there; a flag that is not 0 or 1 (true, false, yes,
///           no); a propensity outside [0, 1]; a time that is no number; several tables without unit and time, or with
///           a row named twice; an output of one of the table's parts without a column. kShape: no rows.
/// Cost      O(rows x signals x log rows). Deterministic.
base::Result<Trace> make_trace(const SystemGraph& graph, std::span<const TraceTable> tables);

/// Clusters of rows whose errors may hang together: units where there are at least 20, else blocks of consecutive rows.
struct Clusters {
  std::vector<int> of_row;
  std::size_t count = 0;
  bool blocks = false;
};
/// Blocks are at least 5 rows long, at most 50 of them. Precondition: rows ordered by unit and time; units empty or one
/// a row.
Clusters make_clusters(std::span<const int> units, std::size_t rows);

/// Units to cluster on: none where rows stand alone, the trace's where there are at least 20, else blocks.
std::vector<int> sampling_units(const Trace& trace);
/// "row", "unit", "block of rows": what sampling_units() and make_clusters() stand for.
std::string_view sampling_name(const Trace& trace);

/// Cells of like rows, numbered from 0: levels of categories (the rarest together), quartiles of numbers; columns are
/// taken in order while no cell gets too small. `rows`: those that count. -1: some value is missing.
struct Strata {
  std::vector<int> of_row;
  int count = 1;
  std::vector<std::string> used;
  std::vector<std::string> left_out;
};
struct StrataColumn {
  std::string name;
  const std::vector<double>* value = nullptr;
  bool numeric = true;
};
/// Cells number at most min(64, rows / `least`). Precondition: columns have of_row.size() values.
Strata make_strata(std::span<const StrataColumn> columns, std::size_t rows, std::size_t least = 25);

/// Values as codes of at most `most` levels: those of a category, or quantiles of a number with more. -1: missing.
std::vector<int> as_levels(const Signal& signal, std::size_t most, std::vector<std::string>* names);

}  // namespace plumbline::system
