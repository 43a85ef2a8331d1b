#include "plumbline/decision/uncertainty.hpp"

#include <algorithm>

namespace plumbline::decision {

bool Uncertainty::readings_disagree() const {
  return std::any_of(specification.begin(), specification.end(),
                     [&](const Reading& reading) { return reading.action != specification.front().action; });
}

}  // namespace plumbline::decision
