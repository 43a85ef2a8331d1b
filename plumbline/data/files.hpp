#pragma once
/// Whole-file writing for the writers of this room.

#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"

namespace plumbline::data {

/// Writes the bytes; gzip when the path ends in ".gz". Errors kIo: cannot be created, or the disk is full.
base::Status write_bytes(const std::string& path, std::string_view bytes);

}  // namespace plumbline::data
