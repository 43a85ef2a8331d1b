#pragma once
/// The column form of a decision log: an NPZ with three arrays. `numbers` (rows x d): propensity, reward, time, delay,
/// then the numeric context. `codes` (flat, rows x k): proposal, final, kind, cause, position, unit, policy, then the
/// categories. `header` (bytes as integers): the names, in JSON. Two more, `set_actions` and `set_numbers`, where
/// the available actions differ between rows.

#include <cstddef>
#include <span>
#include <string>

#include "plumbline/base/result.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::data {

/// What the header says: names and levels without rows, and how wide the arrays are.
struct LogColumns {
  DecisionLog blank;
  std::size_t numbers = 0;  ///< columns
  std::size_t codes = 0;
  bool sets = false;           ///< the available actions are listed row by row
  bool probabilities = false;  ///< with the probability of each
};
/// Errors kParse: not the header of a log, or a part of it is of another kind.
base::Result<LogColumns> parse_log_header(std::span<const int> codes, bool with_ids, const std::string& name);
/// Rows into a log that began as `blank` (its names need not be complete: `units` says how many units there are).
/// `first`: number of the first row, for messages. Errors kParse: a code outside its names. Precondition: sizes agree.
base::Status fill_log_rows(const LogColumns& columns, std::span<const double> numbers, std::span<const int> codes,
                           std::size_t units, std::size_t first, const std::string& name, DecisionLog& log);

/// Errors kParse: an array that is missing, of another size, or with a code outside its names. kLimit.
base::Result<DecisionLog> parse_log_columns(Bytes bytes, const std::string& name, std::size_t limit,
                                            const ReadLimits& limits);
/// Errors kIo.
base::Status write_log_columns(const std::string& path, const DecisionLog& log);

}  // namespace plumbline::data
