#pragma once
/// The column form of a decision log: an NPZ with three arrays. `numbers` (rows x d): propensity, reward, time, delay,
/// then the numeric context. `codes` (flat, rows x k): proposal, final, kind, cause, position, unit, policy, then the
/// categories. `header` (bytes as integers): the names, in JSON. Two more, `set_actions` and `set_numbers`, where
/// the available actions differ between rows.

#include <string>

#include "plumbline/base/result.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::data {

/// Errors kParse: an array that is missing, of another size, or with a code outside its names. kLimit.
base::Result<DecisionLog> parse_log_columns(Bytes bytes, const std::string& name, std::size_t limit,
                                            const ReadLimits& limits);
/// Errors kIo.
base::Status write_log_columns(const std::string& path, const DecisionLog& log);

}  // namespace plumbline::data
