#pragma once
/// What every store must do, whatever holds the bytes. A back end calls this with a way to open one and the same store.

#include <functional>
#include <memory>

#include "plumbline/case/run/store.hpp"

namespace plumbline::testing {

using OpenStore = std::function<std::unique_ptr<run::Store>()>;

/// Runs the whole suite with GoogleTest expectations. The store must be empty at first.
void check_store_conforms(const OpenStore& open);

}  // namespace plumbline::testing
