#include "plumbline/counterfactual/causal/independence.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <unordered_map>

#include <fmt/format.h>

#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;
using data::Column;

constexpr std::size_t kFewValues = 20;
constexpr std::size_t kMostStates = 200;

std::size_t at(int v) { return static_cast<std::size_t>(v); }

/// Distinct numbers, ascending, as far as `most` + 1 of them.
std::vector<double> levels_of(const std::vector<double>& numbers, std::size_t most) {
  std::vector<double> out;
  for (const double x : numbers) {
    const auto place = std::lower_bound(out.begin(), out.end(), x);
    if (place != out.end() && *place == x) continue;
    out.insert(place, x);
    if (out.size() > most) break;
  }
  return out;
}

bool looks_discrete(const Column& column) {
  if (column.kind != Column::Kind::kNumber) return true;
  return std::all_of(column.numbers.begin(), column.numbers.end(), [](double x) { return x == std::floor(x); }) &&
         levels_of(column.numbers, kFewValues).size() <= kFewValues;
}

base::Status check_present(const Column& column) {
  for (std::size_t i = 0; i < column.rows(); ++i) {
    const bool missing = column.kind == Column::Kind::kNumber     ? !std::isfinite(column.numbers[i])
                         : column.kind == Column::Kind::kCategory ? column.codes[i] < 0
                                                                  : column.text_missing[i];
    if (missing)
      return make_error(Code::kValue, fmt::format("row {} of column '{}' is missing or not finite", i + 1, column.name),
                        {}, "leave such rows or columns out");
  }
  return base::ok();
}

base::Status add_codes(const Column& column, Sample& out) {
  std::vector<std::uint16_t> codes;
  std::size_t states = 0;
  if (column.kind == Column::Kind::kNumber) {
    const std::vector<double> levels = levels_of(column.numbers, kMostStates);
    states = levels.size();
    if (states <= kMostStates)
      for (const double x : column.numbers)
        codes.push_back(static_cast<std::uint16_t>(std::lower_bound(levels.begin(), levels.end(), x) - levels.begin()));
  } else if (column.kind == Column::Kind::kCategory) {
    states = column.levels.size();
    for (const int code : column.codes) codes.push_back(static_cast<std::uint16_t>(code));
  } else {
    std::unordered_map<std::string, std::uint16_t> seen;
    for (const std::string& text : column.texts) {
      if (seen.size() > kMostStates) break;
      codes.push_back(seen.emplace(text, static_cast<std::uint16_t>(seen.size())).first->second);
    }
    states = seen.size();
  }
  if (states > kMostStates)
    return make_error(Code::kValue, fmt::format("column '{}' has more than {} states", column.name, kMostStates), {},
                      "if it is a number, all other columns must be numbers too (--kind gaussian)");
  if (std::adjacent_find(codes.begin(), codes.end(), std::not_equal_to<>()) == codes.end())
    return make_error(Code::kValue, fmt::format("column '{}' is constant", column.name), {}, "leave it out");
  out.codes.push_back(std::move(codes));
  out.states.push_back(static_cast<int>(states));
  return base::ok();
}

/// Pearson's statistic, table by table.
class Sum {
 public:
  Sum(std::size_t wide, std::size_t high) : across_(wide), down_(high) {}
  void add(std::span<const std::uint32_t> cell) {
    std::fill(across_.begin(), across_.end(), 0.0);
    std::fill(down_.begin(), down_.end(), 0.0);
    double total = 0;
    const std::size_t high = down_.size();
    for (std::size_t i = 0; i < across_.size(); ++i)
      for (std::size_t j = 0; j < high; ++j) {
        const double n = cell[i * high + j];
        across_[i] += n;
        down_[j] += n;
        total += n;
      }
    const double free = (used(across_) - 1) * (used(down_) - 1);
    if (total == 0 || free <= 0) return;
    degrees += free;
    for (std::size_t i = 0; i < across_.size(); ++i)
      for (std::size_t j = 0; j < high; ++j) {
        const double expected = across_[i] * down_[j] / total;
        const double gap = cell[i * high + j] - expected;
        if (expected > 0) statistic += gap * gap / expected;
      }
  }
  double statistic = 0;
  double degrees = 0;

 private:
  static double used(const std::vector<double>& sums) {
    return static_cast<double>(std::count_if(sums.begin(), sums.end(), [](double n) { return n > 0; }));
  }
  std::vector<double> across_, down_;
};

class ChiSquare final : public IndependenceTest {
 public:
  explicit ChiSquare(const Sample& sample) : sample_(sample) {}

  double p_value(int a, int b, const std::vector<int>& given) const override {
    const std::size_t wide = at(sample_.states[at(a)]);
    const std::size_t high = at(sample_.states[at(b)]);
    std::vector<std::uint32_t> stratum;
    const std::size_t strata = number_strata(sample_, given, stratum);
    const std::vector<std::uint16_t>& x = sample_.codes[at(a)];
    const std::vector<std::uint16_t>& y = sample_.codes[at(b)];
    Sum sum(wide, high);
    const std::size_t cells = wide * high;
    constexpr std::size_t kFewCells = 1U << 16U;
    if (strata * cells <= kFewCells) {
      std::vector<std::uint32_t> counts(strata * cells, 0);
      for (std::size_t i = 0; i < sample_.rows; ++i) ++counts[(stratum[i] * wide + x[i]) * high + y[i]];
      for (std::size_t s = 0; s < strata; ++s) sum.add({counts.data() + s * cells, cells});
    } else {
      // Rows in the order of their cells, so that one table of counts serves all strata.
      std::vector<std::uint64_t> keys(sample_.rows);
      for (std::size_t i = 0; i < sample_.rows; ++i) keys[i] = stratum[i] * std::uint64_t{cells} + x[i] * high + y[i];
      std::sort(keys.begin(), keys.end());
      std::vector<std::uint32_t> counts(cells);
      for (std::size_t i = 0; i < keys.size();) {
        const std::uint64_t s = keys[i] / cells;
        std::fill(counts.begin(), counts.end(), 0);
        for (; i < keys.size() && keys[i] / cells == s; ++i) ++counts[keys[i] % cells];
        sum.add(counts);
      }
    }
    return sum.degrees > 0 ? stats::chi_square_tail(sum.statistic, sum.degrees) : 1;
  }

 private:
  const Sample& sample_;
};

class FisherZ final : public IndependenceTest {
 public:
  FisherZ(MatrixD correlation, std::size_t rows) : correlation_(std::move(correlation)), rows_(rows) {}

  double p_value(int a, int b, const std::vector<int>& given) const override {
    const double degrees = static_cast<double>(rows_) - static_cast<double>(given.size()) - 3;
    if (degrees < 1) return 1;
    const double r = partial(a, b, given);
    if (!(std::abs(r) < 1)) return std::isnan(r) ? 1 : 0;
    return 2 * stats::normal_tail(std::sqrt(degrees) * std::abs(std::atanh(r)));
  }

 private:
  /// The correlation of what the regressions of a and b on `given` leave.
  double partial(int a, int b, const std::vector<int>& given) const {
    if (given.empty()) return correlation_(a, b);
    const auto k = static_cast<Eigen::Index>(given.size());
    MatrixD inner(k, k);
    MatrixD sides(k, 2);
    for (Eigen::Index i = 0; i < k; ++i) {
      const int v = given[static_cast<std::size_t>(i)];
      for (Eigen::Index j = 0; j < k; ++j) inner(i, j) = correlation_(v, given[static_cast<std::size_t>(j)]);
      sides(i, 0) = correlation_(v, a);
      sides(i, 1) = correlation_(v, b);
    }
    const auto factor = stats::Cholesky::factor(inner);
    if (!factor.ok()) return std::nan("");
    const auto solved = factor->solve(sides);
    if (!solved.ok()) return std::nan("");
    const MatrixD left = sides.transpose() * *solved;
    const double between = correlation_(a, b) - left(0, 1);
    return between / std::sqrt((1 - left(0, 0)) * (1 - left(1, 1)));
  }
  MatrixD correlation_;
  std::size_t rows_;
};

}  // namespace

Sample Sample::take(const std::vector<std::size_t>& which) const {
  Sample out;
  out.names = names;
  out.discrete = discrete;
  out.rows = which.size();
  out.states = states;
  for (const std::vector<std::uint16_t>& column : codes) {
    out.codes.emplace_back();
    for (const std::size_t i : which) out.codes.back().push_back(column[i]);
  }
  if (!discrete) {
    out.numbers.resize(static_cast<Eigen::Index>(which.size()), numbers.cols());
    for (std::size_t i = 0; i < which.size(); ++i)
      out.numbers.row(static_cast<Eigen::Index>(i)) = numbers.row(static_cast<Eigen::Index>(which[i]));
  }
  return out;
}

std::size_t number_strata(const Sample& sample, const std::vector<int>& given, std::vector<std::uint32_t>& stratum) {
  stratum.assign(sample.rows, 0);
  std::size_t count = 1;
  for (const int v : given) {
    const std::size_t width = at(sample.states[at(v)]);
    const std::vector<std::uint16_t>& codes = sample.codes[at(v)];
    constexpr std::size_t kFewStrata = 1024;
    if (count * width <= kFewStrata) {
      const auto step = static_cast<std::uint32_t>(width);
      for (std::size_t i = 0; i < sample.rows; ++i) stratum[i] = stratum[i] * step + codes[i];
      count *= width;
      continue;
    }
    // Dense numbers again, so that tables of counts stay as small as the data.
    std::vector<std::uint32_t> number(count * width, 0);
    for (std::size_t i = 0; i < sample.rows; ++i) {
      stratum[i] = static_cast<std::uint32_t>(stratum[i] * width + codes[i]);
      number[stratum[i]] = 1;
    }
    std::uint32_t next = 0;
    for (std::uint32_t& n : number) n = n == 0 ? 0 : next++;
    for (std::uint32_t& s : stratum) s = number[s];
    count = next;
  }
  return count;
}

base::Result<MatrixD> correlation_of(const Sample& sample) {
  PL_TRY(const stats::MomentAccumulator moments, stats::moments_of_rows(MatrixRefD(sample.numbers)));
  PL_TRY(MatrixD out, moments.covariance());
  const VectorD deviation = out.diagonal().cwiseSqrt();
  for (Eigen::Index i = 0; i < out.rows(); ++i)
    for (Eigen::Index j = 0; j < out.cols(); ++j) out(i, j) = i == j ? 1 : out(i, j) / (deviation(i) * deviation(j));
  if (const auto factor = stats::Cholesky::factor(out); !factor.ok())
    return make_error(Code::kValue, "columns are collinear: some is a linear function of others", {},
                      "leave one of them out");
  return out;
}

base::Result<DataKind> parse_data_kind(std::string_view name) {
  if (name == "auto") return DataKind::kFound;
  if (name == "discrete") return DataKind::kDiscrete;
  if (name == "gaussian") return DataKind::kGaussian;
  return make_error(Code::kValue, fmt::format("there is no kind of data '{}'", name), {},
                    "kinds are auto, discrete, gaussian");
}

base::Result<Sample> make_sample(const data::Table& table, DataKind kind) {
  if (table.columns.size() < 2) return make_error(Code::kValue, "a graph needs at least two columns");
  Sample out;
  out.rows = table.rows();
  constexpr std::size_t kLeast = 10;
  constexpr std::size_t kMost = 10'000'000;  // numbers of strata fit into 32 bits
  if (out.rows > kMost) return make_error(Code::kLimit, fmt::format("{} rows, more than {}", out.rows, kMost));
  if (out.rows < kLeast)
    return make_error(Code::kShape, fmt::format("{} rows, at least {} are needed", out.rows, kLeast));
  out.discrete = kind == DataKind::kDiscrete ||
                 (kind == DataKind::kFound && std::all_of(table.columns.begin(), table.columns.end(), looks_discrete));
  if (!out.discrete)
    out.numbers.resize(static_cast<Eigen::Index>(out.rows), static_cast<Eigen::Index>(table.columns.size()));
  for (const Column& column : table.columns) {
    PL_CHECK(check_present(column));
    out.names.push_back(column.name);
    if (out.discrete) {
      PL_CHECK(add_codes(column, out));
      continue;
    }
    if (column.kind != Column::Kind::kNumber)
      return make_error(Code::kValue, fmt::format("column '{}' is no number, and others are not states", column.name),
                        {}, "cut numbers into states (--kind discrete), or leave columns out");
    const auto [low, high] = std::minmax_element(column.numbers.begin(), column.numbers.end());
    if (*low == *high)
      return make_error(Code::kValue, fmt::format("column '{}' is constant", column.name), {}, "leave it out");
    const auto k = static_cast<Eigen::Index>(out.names.size()) - 1;
    for (std::size_t i = 0; i < out.rows; ++i) out.numbers(static_cast<Eigen::Index>(i), k) = column.numbers[i];
  }
  return out;
}

std::unique_ptr<IndependenceTest> chi_square_test(const Sample& sample) { return std::make_unique<ChiSquare>(sample); }

base::Result<std::unique_ptr<IndependenceTest>> fisher_z_test(const Sample& sample) {
  PL_TRY(MatrixD correlation, correlation_of(sample));
  return std::unique_ptr<IndependenceTest>(std::make_unique<FisherZ>(std::move(correlation), sample.rows));
}

base::Result<std::unique_ptr<IndependenceTest>> independence_test(const Sample& sample) {
  if (sample.discrete) return chi_square_test(sample);
  return fisher_z_test(sample);
}

}  // namespace plumbline::counterfactual::causal
