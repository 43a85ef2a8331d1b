#pragma once
/// Starting manifests for `plumbline init`.

#include <string>

#include "plumbline/base/result.hpp"

namespace plumbline::cli {

/// For `plumbline init --kind network`: a network of two inputs that computes |x0| + |x1|, a property that holds of it,
/// one that does not, and a list of both. Errors kIo.
base::Status write_network_example(const std::string& folder);

/// For `plumbline init --kind attack`: two clusters, a network that tells them apart, one that hides its gradient, a
/// manifest for each. Errors kIo.
base::Status write_attack_example(const std::string& folder);

/// For `plumbline init --kind guard`: a classifier of parcels with its sets, costs and a [guard] section. Errors kIo.
base::Status write_guard_example(const std::string& folder);

/// For `plumbline init --kind system`: a ranker that explores, a team that chooses fonts, what they did, and claims.
/// Errors kIo.
base::Status write_system_example(const std::string& folder);

/// Precondition: kind is images, table, predictions or world (the command line checks it).
std::string manifest_template(const std::string& kind);

}  // namespace plumbline::cli
