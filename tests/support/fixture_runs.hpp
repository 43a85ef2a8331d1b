#pragma once
/// Runs checks in tests the way a user's system runs: from a manifest on disk, in this process, without LibTorch.

#include <map>
#include <string>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/case/verify/verify.hpp"

namespace plumbline::testing {

/// Models open on the interpreter.
run::SessionOptions session_options();

/// `runs` planted defects and clean controls of one check, counted as `checks verify` counts them.
/// Fails the calling test when the fixtures cannot be run at all.
verify::VerifyCount count_fixtures(check::Entry entry, int runs, std::uint64_t seed = 0);

/// Runs one check on the manifest folder/system.toml and returns every task's output, merged. The first error
/// otherwise.
base::Result<check::Output> run_check(check::Entry entry, const std::string& folder);

/// The first figure of this metric with exactly these selectors; null where there is none.
inline const check::Evidence* find(const check::Output& output, const std::string& metric,
                                   const std::map<std::string, std::string>& where) {
  for (const auto& evidence : output.evidence) {
    if (evidence.metric == metric && evidence.where == where) return &evidence;
  }
  return nullptr;
}

}  // namespace plumbline::testing
