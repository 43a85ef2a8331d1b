#pragma once
/// [trend.NAME] and [incidents.NAME] as the methods below understand them.

#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/stats/change/series.hpp"
#include "plumbline/system/growth.hpp"

namespace plumbline::checks {

/// A series of figures in time.
struct TrendInput {
  stats::Series series;
  std::vector<std::string> time;  ///< as the file has it
  std::vector<double> x;          ///< for axes: years from the first date, the number, or the number of the point
  std::string x_label;            ///< "years from 2025-01-01", "time", "point"
  bool dated = false;             ///< times are dates
  std::size_t split = 0;          ///< first point of "after"
};
/// Errors  those of the readers; kValue: a column that is not there, a value that is no number, times out of order,
/// since that
///         leaves one side empty, more than one of error, exposure and trials; those of stats::check_series. kShape:
///         fewer than 2 points.
base::Result<TrendInput> read_trend(const data::OtherSection& section);

struct IncidentsInput {
  plumbline::system::Ledger ledger;
  std::optional<plumbline::system::Use> use;
  plumbline::system::GrowthOptions options;
};
/// Errors  those of the readers, make_ledger and make_use; kValue: a date that is none.
base::Result<IncidentsInput> read_incidents(const data::OtherSection& section);

}  // namespace plumbline::checks
