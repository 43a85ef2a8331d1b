#include "plumbline/caution/probabilities.hpp"

#include <cmath>
#include <string>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::caution {

base::Status check_probabilities(std::string_view function, MatrixRefD probabilities) {
  PL_CHECK(base::check_at_least(function, "probabilities.rows()", probabilities.rows(), 1));
  PL_CHECK(base::check_at_least(function, "probabilities.cols()", probabilities.cols(), 2));
  for (std::ptrdiff_t i = 0; i < probabilities.rows(); ++i) {
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < probabilities.cols(); ++j) {
      const double p = probabilities(i, j);
      if (!(p >= 0 && p <= 1 + kRowSumTolerance)) {
        return base::make_error(base::Code::kValue,
                                fmt::format("probabilities({}, {}) is {}, expected a number in [0, 1]", i, j, p),
                                std::string(function));
      }
      sum += p;
    }
    if (std::abs(sum - 1.0) > kRowSumTolerance) {
      return base::make_error(base::Code::kValue, fmt::format("probabilities row {} sums to {}, expected 1", i, sum),
                              std::string(function));
    }
  }
  return base::ok();
}

}  // namespace plumbline::caution
