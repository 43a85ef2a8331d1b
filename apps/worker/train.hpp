#pragma once
/// `plumbline-worker --train`: trains the networks that a manifest's [train.NAME] sections describe.

#include <string>
#include <vector>

#include "plumbline/data/manifest.hpp"

namespace plumbline::worker {

struct TrainRequest {
  std::string manifest;
  data::ManifestOptions options;
  std::vector<std::string> only;  ///< names of sections; empty: all
  bool json = false;
  bool quiet = false;
};

/// Exit status: 0 trained, 2 bad input, 130 interrupted (the checkpoint holds the last finished epoch).
int train_networks(const TrainRequest& request);

}  // namespace plumbline::worker
