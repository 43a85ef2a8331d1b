#pragma once
/// JSON lines: one object a line becomes a row of a table; one array of numbers a line becomes a row of a matrix.

#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::data {

/// Columns in the order of first appearance; null and absent keys are missing; booleans are the categories true and
/// false. Types are found out or declared as in read_csv (separator, header, names and comment do not apply). Empty
/// lines are skipped. Errors kIo; kParse with the line: not JSON, not an object, nested value; kValue: a declared
/// column that is not there; kLimit.
base::Result<Table> read_jsonl(const std::string& path, const TableOptions& options = {},
                               const ReadLimits& limits = {});
base::Result<Table> parse_jsonl(std::string_view text, const std::string& name, const TableOptions& options = {},
                                const ReadLimits& limits = {});

/// Rows of numbers: each line an array, or an object whose values are numbers (order of the first line's keys).
/// Errors as above; kShape: rows of different length.
base::Result<MatrixD> parse_jsonl_matrix(std::string_view text, const std::string& name, const ReadLimits& limits = {});

}  // namespace plumbline::data
