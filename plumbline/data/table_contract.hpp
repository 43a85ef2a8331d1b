#pragma once
/// What a model expects of a table: columns in order, types, levels, the rule for missing cells, scaling. Fitted on the
/// train set only, hashed with the model, kept as JSON.

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::data {

struct TableContract {
  enum class Mode {
    kEncoded,  ///< numbers standardised, categories one column a level, missing cells with an indicator
    kRaw,      ///< the declared number columns in order, as they are; a missing cell is NaN
  };
  struct Entry {
    std::string name;
    Column::Kind kind = Column::Kind::kNumber;
    double mean = 0;
    double deviation = 1;             ///< 1 for a constant column
    std::vector<std::string> levels;  ///< sorted
    bool indicator = false;           ///< train had missing cells: one more column says so
    std::size_t width() const;
  };
  Mode mode = Mode::kEncoded;
  std::vector<Entry> columns;
  std::vector<std::string> left_out;  ///< text columns that were not asked for

  std::size_t width() const;
  /// Name of each encoded column: "age", "age missing", "sex = Male", ...
  std::vector<std::string> names() const;
  /// SHA-256 of the JSON form.
  std::string hash() const;
};

/// What encoding met that the train set did not have. Rows with any of it are still encoded.
struct EncodeReport {
  std::size_t rows = 0;
  std::size_t rows_with_unseen = 0;
  std::map<std::string, std::map<std::string, std::size_t>>
      unseen;                                  ///< column -> level -> rows (at most 100 levels a column)
  std::map<std::string, std::size_t> missing;  ///< missing cells in columns that had none in train
};

/// Fits the contract. `columns` in the order that the model takes them; empty = every column that is not text.
/// Mean and deviation (divisor n) are over the cells that are not missing.
/// Errors  kShape: no row, no usable column. kValue: unknown column; a text column; a category in raw mode.
/// Cost    O(cells). Deterministic.
base::Result<TableContract> fit_contract(const Table& train, std::span<const std::string> columns = {},
                                         TableContract::Mode mode = TableContract::Mode::kEncoded);

/// Rows of a table as the model's inputs. A level that train did not have becomes all zeros in its group and is
/// counted; a missing number becomes the train mean (0 after scaling), marked where the contract has an indicator.
/// Errors  kShape: a column of the contract is absent, or a row index is out of range. kValue: a number column holds
/// text. Cost    O(rows x width). Deterministic.
base::Result<MatrixF> encode_table(const TableContract& contract, const Table& table, std::span<const std::size_t> rows,
                                   EncodeReport* report = nullptr);

std::string contract_json(const TableContract& contract);
/// Errors kParse: not a contract.
base::Result<TableContract> parse_contract(std::string_view json);

}  // namespace plumbline::data
