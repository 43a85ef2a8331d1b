#pragma once
/// First include of every source of this room. clang 14 in C++20 mode rejects LibTorch 1.13 unless ivalue.h comes
/// first.

// clang-format off
#include <ATen/core/ivalue.h>
#include <ATen/ATen.h>
// clang-format on
