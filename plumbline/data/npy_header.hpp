#pragma once
/// The header of an NPY array alone, for readers that stream what follows it.

#include <cstdint>
#include <span>
#include <string>

#include "plumbline/base/result.hpp"
#include "plumbline/data/npy.hpp"

namespace plumbline::data {

/// Type and shape from the bytes up to the first element (more may follow); `data` is empty. Errors as parse_npy.
base::Result<NpyArray> parse_npy_header(std::span<const std::uint8_t> bytes, const std::string& name);

}  // namespace plumbline::data
