#pragma once
/// A ledger of incidents: what happened when, when it was reported, who says so, and of which kind it is by the coding
/// guide (docs/user/trends.md).

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::system {

/// Days since 1970-01-01 of "2025-03-31", or of a time in ISO 8601 (its day in UTC). Nothing when it is none, such as
/// February 30.
std::optional<int> parse_day(std::string_view text);
/// "2025-03-31".
std::string day_text(int day);
/// Years from one day to another, for axes.
double years_between(double first, double day);

struct Incident {
  int day = 0;                  ///< of occurrence
  std::optional<int> reported;  ///< day of the first report
  std::string kind;
  std::string source;
};

struct LedgerColumns {
  std::string occurred = "occurred";
  std::string reported = "reported";  ///< may be missing from the table
  std::string source = "source";
  std::string kind = "kind";
  std::string
      id{};  ///< rows of one id are one incident, the first report counts; empty: the same day, kind and source are one
};

struct Ledger {
  std::vector<Incident> incidents;  ///< by day; equal days in the order of the table
  std::size_t undated = 0;          ///< rows without a day of occurrence, left out
  std::size_t repeated = 0;         ///< rows about an incident that was there already
  bool dated_reports = false;       ///< every incident says when it was reported
};

/// Errors  kValue: a column is missing; a date that is none (row and text are named); an incident without source or
/// kind; a
///         report before its incident; an id whose rows disagree on day or kind. kLimit: more than a million rows, or
///         incidents more than a century apart. kShape: no incident with a day.
base::Result<Ledger> make_ledger(const data::Table& table, const LedgerColumns& columns, const std::string& name);

/// How much was in use and how much of it was looked at, from a day on until the next row.
struct Use {
  std::vector<int> from;         ///< ascending
  std::vector<double> exposure;  ///< in use: tasks a day, users …; empty: not recorded
  std::vector<double> effort;    ///< looked at: audits, reviewers, share that is read …; empty: not recorded

  /// Integral of exposure x effort over the days [first, last), what is not recorded counting as 1. `with_effort` =
  /// false: exposure alone.
  double over(int first, int last, bool with_effort) const;
};
/// Columns `time`, and `exposure` or `effort` or both.
/// Errors  kValue: neither column; a date that is none or not ascending; a figure that is not positive.
base::Result<Use> make_use(const data::Table& table, const std::string& name);

}  // namespace plumbline::system
