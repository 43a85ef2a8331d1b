#pragma once
/// Conditional independence in data: a chi-square test for states, Fisher's z for numbers.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::counterfactual::causal {

/// Rows of variables that are all states, or all numbers.
struct Sample {
  std::vector<std::string> names;
  bool discrete = false;
  std::size_t rows = 0;
  std::vector<std::vector<std::uint16_t>> codes;  ///< by variable, where discrete
  std::vector<int> states;                        ///< by variable, where discrete
  MatrixD numbers;                                ///< rows x variables, where not

  std::size_t variables() const { return names.size(); }
  /// The rows named, in that order.
  Sample take(const std::vector<std::size_t>& which) const;
};

enum class DataKind {
  kFound,     ///< states where every column is a category or whole numbers with at most 20 values; numbers where every
              ///< column is a number
  kDiscrete,  ///< every value is a state
  kGaussian,  ///< every column is a number
};
/// "auto", "discrete", "gaussian".
base::Result<DataKind> parse_data_kind(std::string_view name);

/// The columns as a sample, in their order.
/// Errors  kValue: fewer than two columns; a missing value (row and column named); a column that is constant; kGaussian
/// or
///         kFound with a column that is no number beside numbers; more than 200 states in a column. kShape: fewer than
///         10 rows. kLimit: more than 10 million.
base::Result<Sample> make_sample(const data::Table& table, DataKind kind = DataKind::kFound);

/// Numbers the joint states of `given`, row by row; returns a bound of the numbers, not far above the rows: some may
/// not occur. Precondition: discrete.
std::size_t number_strata(const Sample& sample, const std::vector<int>& given, std::vector<std::uint32_t>& stratum);
/// Correlations of the columns. Errors kValue: collinear columns. Precondition: not discrete.
base::Result<MatrixD> correlation_of(const Sample& sample);

/// Is a independent of b given `given`?
class IndependenceTest {
 public:
  virtual ~IndependenceTest() = default;
  /// The p-value of "independent". `given` ascending, without a and b. Thread-safe.
  virtual double p_value(int a, int b, const std::vector<int>& given) const = 0;
};

/// Pearson's chi-square, summed over the strata of `given`; degrees of freedom without the empty rows and columns of
/// each stratum (p = 1 where none is left). Assumes large expected counts: sparse strata weaken it.
/// Keeps a pointer to the sample. Cost O(rows) a test.
std::unique_ptr<IndependenceTest> chi_square_test(const Sample& sample);

/// Fisher's z of the partial correlation; p = 1 where fewer than one degree of freedom is left. Assumes linear
/// relations with normal noise. Errors kValue: columns that are collinear (the covariance is not positive definite).
/// Cost O(|given|^3) a test.
base::Result<std::unique_ptr<IndependenceTest>> fisher_z_test(const Sample& sample);

/// The one that fits the sample.
base::Result<std::unique_ptr<IndependenceTest>> independence_test(const Sample& sample);

}  // namespace plumbline::counterfactual::causal
