#pragma once
/// A table as arrays for one question: who was treated, what came out, what was known before.

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::counterfactual::effects {

/// Names of columns. `covariates` of the one word "all": every column that has no other part and no free text. A
/// covariate may also be made from a column of numbers: "age^2", "age*educ", "re74=0" (whether it is), "cat(school)" (a
/// level a value).
struct Columns {
  std::string treatment{};
  std::string outcome{};
  std::vector<std::string> covariates{};
  std::string treated{};  ///< the level of the treatment that counts as treated; empty: the larger number, or the later
                          ///< word
  std::vector<std::string> instruments{};
  std::string running{};
  std::string unit{};
  std::string time{};
  std::string cluster{};
  std::vector<std::string> negative_outcomes{};  ///< outcomes that the treatment cannot have moved
  std::vector<std::string> ignore{};             ///< never among "all"
};

/// Rows without a missing value in what is used.
struct Study {
  VectorD outcome;                      ///< n
  VectorD treatment;                    ///< n; 0 and 1 where binary
  MatrixD x;                            ///< n x d: numbers as they are, a column for every level but the first
  std::vector<std::string> columns;     ///< d: "age", "race=black"
  std::vector<std::size_t> covariate;   ///< d: which covariate the column codes
  std::vector<std::string> covariates;  ///< names
  MatrixD instruments;                  ///< n x instruments
  VectorD running;                      ///< n, or empty
  std::vector<int> units;               ///< n, or empty; numbered from 0
  VectorD time;                         ///< n, or empty
  std::vector<int> clusters;            ///< n, or empty; numbered from 0 in order of first appearance
  MatrixD negatives;                    ///< n x negative outcomes
  std::vector<std::string> negative_names;
  std::vector<std::size_t> rows;   ///< of the table
  std::size_t missing = 0;         ///< rows of the table that were left out
  bool binary = false;             ///< the treatment has two values
  std::size_t levels = 0;          ///< distinct values of the treatment, counted up to 3
  std::string treated, untreated;  ///< names of the two values
  bool binary_outcome = false;     ///< 0 and 1 alone
  std::string treatment_name, outcome_name;

  std::size_t n() const { return static_cast<std::size_t>(outcome.size()); }
  std::size_t treated_rows() const;
  std::size_t cluster_total() const;
  /// Without the columns of one covariate.
  Study without(std::size_t covariate_index) const;
  /// Another outcome on the same rows.
  Study with_outcome(const VectorD& y, const std::string& name) const;
  /// The rows named.
  Study take(const std::vector<std::size_t>& which) const;
};

/// Errors  kValue: a column that is not there (nearest name in the hint), or has two parts; an outcome, instrument,
///         running variable or time that is no number; a covariate that is text; `treated` that is no level. kShape:
///         fewer than 10 complete rows.
/// Outcome a treatment with one value, or with more than two, is no error here: `levels` says so.
base::Result<Study> make_study(const data::Table& table, const Columns& columns);

}  // namespace plumbline::counterfactual::effects
