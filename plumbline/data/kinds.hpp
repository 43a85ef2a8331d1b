#pragma once
/// What may be said of a data set without its contents: kind, role, and how a model wants its rows.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::data {

struct Dataset;
using DatasetPtr = std::shared_ptr<const Dataset>;

enum class DatasetKind { kImages, kTable, kMatrix };

/// What a set is for. Decides which checks read it, and as what.
enum class Role { kTrain, kCalibration, kTest, kOutOfDistribution };
std::string_view role_name(Role role);
base::Result<Role> parse_role(std::string_view word);

/// How a model wants its rows: declared under `input` in the manifest.
struct InputSpec {
  double low = 0;               ///< byte 0 maps here
  double high = 1;              ///< byte 255 maps here
  std::string layout = "NCHW";  ///< or NHWC, or flat
  std::vector<double> mean;     ///< per channel, subtracted after the range is applied; empty = none
  std::vector<double> deviation;
};

}  // namespace plumbline::data
