#pragma once
/// Rows of a set with a model's answers, or decisions of a log, as the records that assertions judge.

#include <string>
#include <vector>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/probe/assertion_report.hpp"

namespace plumbline::checks::probe {

/// Records in order of time.
struct AssertionStream {
  plumbline::probe::AssertionFields fields;
  std::vector<plumbline::probe::AssertionRecord> records;
  std::vector<std::size_t> source;  ///< row of each record in its file
  std::string words;                ///< what the records are
};

/// [log.NAME]: context, propensity, reward (numbers), label = proposed action, final = what was carried out (texts).
base::Result<AssertionStream> stream_of_decisions(check::Context& context, std::vector<std::string>& notes);

/// The task's set: columns, truth (text), and with a model label (text), confidence, margin, entropy (numbers). `time`:
/// the column of the time; empty: the number of the row.
base::Result<AssertionStream> stream_of_rows(check::Context& context, const std::string& time,
                                             std::vector<std::string>& notes);

}  // namespace plumbline::checks::probe
