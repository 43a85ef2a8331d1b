#pragma once
/// A program that is run with limits, its output kept.

#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::dashboard {

struct ChildLimits {
  double seconds = 600;
  std::size_t output_bytes = 4U << 20U;  ///< of standard output; of standard error the last 64 KiB are kept
};

struct ChildOutcome {
  int status = 0;  ///< as the shell shows it: 128 + signal where one ended it
  std::string output;
  std::string errors;
};

/// Runs words[0] with no standard input, in a process group of its own that is killed at the limits and on `cancel`.
/// Errors  kIo: it cannot be started. kLimit: time or output. kCancelled.
base::Result<ChildOutcome> run_child(const std::vector<std::string>& words, const ChildLimits& limits,
                                     const base::CancelToken& cancel);

}  // namespace plumbline::dashboard
