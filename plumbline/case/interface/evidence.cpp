#include "plumbline/case/interface/evidence.hpp"

namespace plumbline::check {

std::string_view direction_name(Direction direction) {
  switch (direction) {
    case Direction::kHigherIsBetter: return "higher";
    case Direction::kLowerIsBetter: return "lower";
    case Direction::kNone: return "none";
  }
  return "none";
}

std::string_view severity_name(FindingSeverity severity) {
  switch (severity) {
    case FindingSeverity::kMajor: return "major";
    case FindingSeverity::kMedium: return "medium";
    case FindingSeverity::kMinor: return "minor";
  }
  return "medium";
}

}  // namespace plumbline::check
