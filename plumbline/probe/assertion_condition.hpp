#pragma once
/// Conditions on the fields of a record: "speed > 3 and label != 'stop'".

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::probe {

/// Names of a record's fields, in the order of its values.
struct AssertionFields {
  std::vector<std::string> numbers;
  std::vector<std::string> texts;
};

/// One thing that the system met or did. An absent number is NaN, an absent text empty.
struct AssertionRecord {
  double time = 0;  ///< seconds
  std::string unit;
  std::vector<double> numbers;
  std::vector<std::string> texts;
};

/// A field by its place.
struct FieldPlace {
  bool text = false;
  std::size_t index = 0;
};
/// Errors kValue: no such field, with the nearest known one.
base::Result<FieldPlace> find_field(const AssertionFields& fields, const std::string& name);

/// One comparison. Absent values make it unknown.
class Condition {
 public:
  enum class Comparison { kLess, kAtMost, kMore, kAtLeast, kEqual, kUnequal };

  /// Conditions joined by "and"; each is FIELD COMPARISON VALUE with <, <=, >, >=, ==, != and a number or a 'text'.
  /// Errors kValue: what is not understood; a text compared by size; an unknown field.
  static base::Result<std::vector<Condition>> parse(std::string_view text, const AssertionFields& fields);

  std::optional<bool> holds(const AssertionRecord& record) const;
  /// How far a number is on the wrong side; 1 for texts and where it is on the line. Precondition: it does not hold.
  double excess(const AssertionRecord& record) const;
  /// "label == 'stop'": what would make it hold.
  const FieldPlace& field() const { return field_; }
  Comparison comparison() const { return comparison_; }
  const std::string& text() const { return text_; }
  /// "speed is 4, expected < 3".
  std::string words(const AssertionRecord& record) const;

 private:
  std::string name_;
  FieldPlace field_;
  Comparison comparison_ = Comparison::kEqual;
  double number_ = 0;
  std::string text_;
};

/// Whether all hold; unknown if none fails and some is unknown.
std::optional<bool> all_hold(std::span<const Condition> conditions, const AssertionRecord& record);

}  // namespace plumbline::probe
