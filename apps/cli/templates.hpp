#pragma once
/// Starting manifests for `plumbline init`.

#include <string>

namespace plumbline::cli {

/// Precondition: kind is images, table or predictions (the command line checks it).
std::string manifest_template(const std::string& kind);

}  // namespace plumbline::cli
