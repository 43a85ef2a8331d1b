#pragma once
/// What a self-test of one model compared before any robustness figure of it counts.

#include <cstddef>
#include <string>

namespace plumbline::decision {

struct SelfTest {
  std::string compared;      ///< in words: what was held against what
  std::size_t rows = 0;      ///< asked for
  double gap = 0;            ///< largest difference, relative to the outputs' scale
  double tolerance = 0;      ///< a larger gap fails the test
  std::string not_possible;  ///< not empty: nothing was compared, and why

  bool passed() const { return gap <= tolerance; }  // false for a gap that is no number
};

}  // namespace plumbline::decision
