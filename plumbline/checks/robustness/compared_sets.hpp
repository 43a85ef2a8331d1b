#pragma once
/// Which sets a check of drift compares: a reference, and every set to be judged against it.

#include <map>
#include <string>
#include <vector>

#include "plumbline/case/interface/check.hpp"

namespace plumbline::checks {

/// The parameter `reference`, else the first set of role train; empty: there is none.
std::string reference_set(const std::map<std::string, data::Role>& roles, const check::Params& params);
/// The same in a running check.
std::string reference_set(const data::Manifest& manifest, const check::Params& params);

struct ComparedSets {
  std::string reference;
  std::vector<std::string> others;  ///< of role test or out-of-distribution, of the reference's kind
  std::string why_none;             ///< filled where there is no reference or no other
};
ComparedSets compared_sets(const check::Blueprint& blueprint, const check::Params& params);

}  // namespace plumbline::checks
