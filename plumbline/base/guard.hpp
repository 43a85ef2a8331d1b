#pragma once
/// Guards that name the argument and the offending value. Call them first in every public function:
///   PL_CHECK(base::check_in_open("fit_platt", "level", level, 0.0, 1.0));

#include <cstddef>
#include <span>
#include <string_view>

#include "plumbline/base/result.hpp"

namespace plumbline::base {

/// Errors kValue: value is NaN or infinite.
Status check_finite(std::string_view function, std::string_view name, double value);
/// Errors kValue: some element is NaN or infinite; the message gives its index.
Status check_all_finite(std::string_view function, std::string_view name, std::span<const double> values);
Status check_all_finite(std::string_view function, std::string_view name, std::span<const float> values);
/// Errors kValue: value outside [low, high], or NaN.
Status check_in(std::string_view function, std::string_view name, double value, double low, double high);
/// Errors kValue: value outside (low, high), or NaN.
Status check_in_open(std::string_view function, std::string_view name, double value, double low, double high);
/// Errors kValue: value not > 0, or not finite.
Status check_positive(std::string_view function, std::string_view name, double value);
/// Errors kValue: value < least.
Status check_at_least(std::string_view function, std::string_view name, std::ptrdiff_t value, std::ptrdiff_t least);
/// Errors kShape: got != want; the message names both.
Status check_size(std::string_view function, std::string_view name, std::ptrdiff_t got, std::ptrdiff_t want);
/// Errors kValue: some label outside [0, classes); the message gives its index and value.
Status check_labels(std::string_view function, std::string_view name, std::span<const int> labels, int classes);

}  // namespace plumbline::base
