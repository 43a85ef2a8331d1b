#include "plumbline/base/guard.hpp"

#include <cmath>

#include <fmt/format.h>

namespace plumbline::base {
namespace {

Error value_error(std::string_view function, std::string text) {
  return make_error(Code::kValue, std::move(text), std::string(function));
}

template <class T>
Status all_finite(std::string_view function, std::string_view name, std::span<const T> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return value_error(function, fmt::format("{}[{}] is {}, expected a finite number", name, i, values[i]));
    }
  }
  return ok();
}

}  // namespace

Status check_finite(std::string_view function, std::string_view name, double value) {
  if (std::isfinite(value)) return ok();
  return value_error(function, fmt::format("{} is {}, expected a finite number", name, value));
}

Status check_all_finite(std::string_view function, std::string_view name, std::span<const double> values) {
  return all_finite(function, name, values);
}

Status check_all_finite(std::string_view function, std::string_view name, std::span<const float> values) {
  return all_finite(function, name, values);
}

Status check_in(std::string_view function, std::string_view name, double value, double low, double high) {
  if (value >= low && value <= high) return ok();
  return value_error(function, fmt::format("{} is {}, expected a number in [{}, {}]", name, value, low, high));
}

Status check_in_open(std::string_view function, std::string_view name, double value, double low, double high) {
  if (value > low && value < high) return ok();
  return value_error(function, fmt::format("{} is {}, expected a number in ({}, {})", name, value, low, high));
}

Status check_positive(std::string_view function, std::string_view name, double value) {
  if (value > 0 && std::isfinite(value)) return ok();
  return value_error(function, fmt::format("{} is {}, expected a positive number", name, value));
}

Status check_at_least(std::string_view function, std::string_view name, std::ptrdiff_t value, std::ptrdiff_t least) {
  if (value >= least) return ok();
  return value_error(function, fmt::format("{} is {}, expected at least {}", name, value, least));
}

Status check_size(std::string_view function, std::string_view name, std::ptrdiff_t got, std::ptrdiff_t want) {
  if (got == want) return ok();
  return make_error(Code::kShape, fmt::format("{} has size {}, expected {}", name, got, want), std::string(function));
}

Status check_labels(std::string_view function, std::string_view name, std::span<const int> labels, int classes) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes) {
      return value_error(function,
                         fmt::format("{}[{}] is {}, expected an integer in [0, {})", name, i, labels[i], classes));
    }
  }
  return ok();
}

}  // namespace plumbline::base
