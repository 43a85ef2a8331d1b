#pragma once
/// What tests of several rooms share: acceptance bands for error rates, seed loops, temporary folders, real data.

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "plumbline/base/rng.hpp"

namespace plumbline::testing {

/// Counts in [low, high] are accepted.
struct Band {
  int low = 0;
  int high = 0;
  bool contains(int count) const { return count >= low && count <= high; }
};

/// The central band that Binomial(trials, p) leaves with probability at most `false_alarm` (half in each tail).
Band binomial_band(int trials, double p, double false_alarm = 1e-4);
/// Counts at or above the result leave a coverage of at least p unrefuted: one-sided, for conservative intervals.
int binomial_floor(int trials, double p, double false_alarm = 1e-4);
/// Probability that a true rate q falls inside the band: what the test cannot see.
double slip_through(const Band& band, int trials, double q);

/// How often `hit` is true over seeds 0..trials-1, each with its own stream.
int count_seeds(int trials, const std::function<bool(base::Rng&)>& hit);

/// A new empty folder below the system's temporary folder, removed with its content at the end of the scope.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void write_file(const std::string& path, const std::string& bytes);
std::string read_file(const std::string& path);

/// A path below PLUMBLINE_DATA, or nothing when the variable is not set. A test that gets nothing skips with
/// PL_NEEDS_DATA's message; with the variable set, a missing file fails.
std::optional<std::string> data_path(const std::string& relative);

}  // namespace plumbline::testing

#define PL_NEEDS_DATA(VAR, RELATIVE)                                                            \
  const auto VAR##_found = ::plumbline::testing::data_path(RELATIVE);                           \
  if (!VAR##_found) GTEST_SKIP() << "set PLUMBLINE_DATA to a folder that holds " << (RELATIVE); \
  const std::string VAR = *VAR##_found
