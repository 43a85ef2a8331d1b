#pragma once
/// Tables of delimited text: RFC 4180 quoting (with line breaks inside quotes), CRLF or LF, an optional byte-order
/// mark, plain or gzip. Two passes over the mapped bytes: the first counts rows and finds types, the second fills the
/// columns.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::data {

/// A cell as text, numbers in their shortest form; empty where it is missing. Precondition: the row is there.
std::string cell_text(const Column& column, std::size_t row);

/// How a table's text is read; CSV and JSON lines share it.
struct TableOptions {
  char separator = 0;              ///< 0 = found out among , ; tab and | from the first line
  bool header = true;              ///< the first line names the columns
  std::vector<std::string> names;  ///< column names when there is no header; else column 1, column 2, ...
  std::vector<std::string> missing = {"", "NA", "NaN", "nan", "?"};
  std::string comment;                        ///< lines that begin with this are skipped; empty = none
  std::vector<std::string> drop;              ///< columns to leave out
  std::map<std::string, Column::Kind> types;  ///< declared types; the others are found out
  std::size_t limit = 0;                      ///< > 0: the first rows only
};

/// Column types that are found out: number when every cell that is not missing reads as one; category when it has at
/// most 20 distinct values, or at most 1000 and at least two rows a value, none longer than 64 bytes; else text.
/// Cells lose blanks at both ends unless quoted.
/// Errors kIo; kParse with line and column: quote never closed or followed by text, a row with too few or too many
/// cells, a cell
///         that is no number in a declared number column, invalid UTF-8, no data row, names repeated; kValue: a
///         declared column that is not there; kLimit.
base::Result<Table> read_csv(const std::string& path, const TableOptions& options = {}, const ReadLimits& limits = {});
base::Result<Table> parse_csv(std::string_view text, const std::string& name, const TableOptions& options = {},
                              const ReadLimits& limits = {});

/// What the first pass finds, without the values.
struct TableFacts {
  std::size_t rows = 0;
  std::vector<std::string> names;
  std::vector<Column::Kind> kinds;
};
base::Result<TableFacts> peek_csv(const std::string& path, const TableOptions& options = {},
                                  const ReadLimits& limits = {});

/// Comma-separated, quoted where needed, numbers in the shortest form that reads back, missing as "". Errors kIo.
base::Status write_csv(const std::string& path, const Table& table);

/// A number as tables write it: optional sign, decimal or scientific, inf allowed; the whole cell must be consumed.
bool parse_number(std::string_view cell, double* value);

/// Shared by the table readers: collects cells column by column and decides types.
class ColumnBuilder {
 public:
  ColumnBuilder(std::string name, const TableOptions& options);
  /// First pass. False: a declared number column met a cell that is no number.
  bool see(std::string_view cell, bool quoted);
  /// Between the passes.
  void decide();
  /// Second pass, same cells.
  void add(std::string_view cell, bool quoted);
  void add_missing();
  void see_missing() { ++seen_; }
  Column take();
  const std::string& name() const { return column_.name; }
  Column::Kind kind() const { return column_.kind; }

 private:
  bool missing(std::string_view cell, bool quoted) const;
  Column column_;
  const TableOptions& options_;
  bool declared_ = false;
  bool numeric_ = true;
  bool long_cell_ = false;
  std::size_t seen_ = 0;
  std::map<std::string, int, std::less<>> levels_;
};

}  // namespace plumbline::data
