#pragma once
/// Fixtures whose defect and control are one system but for one thing.

#include <string>

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks {

/// The defect is write(folder, rng, defect), the control write(folder, rng, control). Words and cost are left to the
/// caller.
template <class Write, class What>
check::Fixtures planted(Write write, What defect, What control) {
  check::Fixtures fixtures;
  fixtures.defect = [=](const std::string& folder, base::Rng& rng) { return write(folder, rng, defect); };
  fixtures.control = [=](const std::string& folder, base::Rng& rng) { return write(folder, rng, control); };
  return fixtures;
}

}  // namespace plumbline::checks
