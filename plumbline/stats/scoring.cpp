#include "plumbline/stats/scoring.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::stats {
namespace {

using base::Code;
using base::make_error;

base::Status check_probabilities(std::string_view function, const MatrixRefD& probabilities,
                                 std::span<const int> labels) {
  PL_CHECK(base::check_at_least(function, "rows of probabilities", probabilities.rows(), 1));
  PL_CHECK(base::check_at_least(function, "columns of probabilities", probabilities.cols(), 2));
  PL_CHECK(base::check_size(function, "labels", static_cast<std::ptrdiff_t>(labels.size()), probabilities.rows()));
  PL_CHECK(base::check_labels(function, "labels", labels, static_cast<int>(probabilities.cols())));
  for (std::ptrdiff_t i = 0; i < probabilities.rows(); ++i) {
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < probabilities.cols(); ++j) {
      const double p = probabilities(i, j);
      if (!(p >= 0 && p <= 1 + 1e-9)) {
        return make_error(Code::kValue, fmt::format("{}: probabilities({}, {}) is {}, expected a value in [0, 1]",
                                                    function, i, j, p));
      }
      sum += p;
    }
    if (std::abs(sum - 1) > 1e-3) {
      return make_error(Code::kValue,
                        fmt::format("{}: row {} of probabilities sums to {}, expected 1", function, i, sum));
    }
  }
  return base::ok();
}

}  // namespace

base::Result<std::vector<int>> top_class(MatrixRefD outputs) {
  PL_CHECK(base::check_at_least("top_class", "columns of outputs", outputs.cols(), 1));
  std::vector<int> top(static_cast<std::size_t>(outputs.rows()));
  for (std::ptrdiff_t i = 0; i < outputs.rows(); ++i) {
    std::ptrdiff_t best = 0;
    for (std::ptrdiff_t j = 0; j < outputs.cols(); ++j) {
      if (std::isnan(outputs(i, j)))
        return make_error(Code::kValue, fmt::format("top_class: outputs({}, {}) is NaN", i, j));
      if (outputs(i, j) > outputs(i, best)) best = j;
    }
    top[static_cast<std::size_t>(i)] = static_cast<int>(best);
  }
  return top;
}

base::Result<std::vector<std::uint8_t>> hits(MatrixRefD outputs, std::span<const int> labels) {
  PL_CHECK(base::check_size("hits", "labels", static_cast<std::ptrdiff_t>(labels.size()), outputs.rows()));
  PL_TRY(const std::vector<int> top, top_class(outputs));
  PL_CHECK(base::check_labels("hits", "labels", labels, static_cast<int>(outputs.cols())));
  std::vector<std::uint8_t> result(top.size());
  for (std::size_t i = 0; i < top.size(); ++i) result[i] = top[i] == labels[i];
  return result;
}

base::Result<std::vector<double>> brier_rows(MatrixRefD probabilities, std::span<const int> labels) {
  PL_CHECK(check_probabilities("brier_rows", probabilities, labels));
  std::vector<double> rows(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (std::ptrdiff_t j = 0; j < probabilities.cols(); ++j) {
      const double gap = probabilities(static_cast<std::ptrdiff_t>(i), j) - (j == labels[i] ? 1 : 0);
      rows[i] += gap * gap;
    }
  }
  return rows;
}

base::Result<std::vector<double>> log_loss_rows(MatrixRefD probabilities, std::span<const int> labels, double floor) {
  PL_CHECK(base::check_in_open("log_loss_rows", "floor", floor, 0, 1));
  PL_CHECK(check_probabilities("log_loss_rows", probabilities, labels));
  std::vector<double> rows(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    rows[i] = -std::log(std::max(floor, probabilities(static_cast<std::ptrdiff_t>(i), labels[i])));
  }
  return rows;
}

base::Result<Estimate> brier(MatrixRefD probabilities, std::span<const int> labels, std::span<const int> units) {
  PL_TRY(const std::vector<double> rows, brier_rows(probabilities, labels));
  return mean(rows, units);
}

base::Result<Estimate> log_loss(MatrixRefD probabilities, std::span<const int> labels, std::span<const int> units,
                                double floor) {
  PL_TRY(const std::vector<double> rows, log_loss_rows(probabilities, labels, floor));
  PL_TRY(Estimate estimate, mean(rows, units));
  const double top = -std::log(floor);
  const auto cut = std::count_if(rows.begin(), rows.end(), [&](double loss) { return loss >= top; });
  if (cut > 0)
    estimate.warnings.push_back(fmt::format(
        "{} rows give their label a probability below {}: their loss is cut at {:.1f} nats", cut, floor, top));
  return estimate;
}

}  // namespace plumbline::stats
