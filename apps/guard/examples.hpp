#pragma once
/// What a person who answers is shown: the input at hand, and the training rows that are like it.

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "plumbline/data/dataset.hpp"

namespace plumbline::guard {

/// Rows of a training set, as far as the manifest lets them be seen (key `examples` of [system]): "none" keeps none,
/// "blurred" shows images as means of their cells and nothing else, "full" shows rows as they are.
class ShownExamples {
 public:
  ShownExamples() = default;
  /// `source_rows` are those that a neighbour may name, in the set's file; others are not kept.
  ShownExamples(const data::Dataset& set, std::span<const int> source_rows, const std::string& policy);

  /// Adds to each {"data", "row", …} of a list what it looks like: "image", or "columns"; nothing where it may not be
  /// seen.
  void add_to(nlohmann::ordered_json& nearest) const;
  /// An input of the model in the same form: an image where the training set has images of its size (from the lowest
  /// value, black, to the highest), else the first columns by name.
  nlohmann::ordered_json input(std::span<const float> values, std::span<const std::string> names) const;

 private:
  nlohmann::ordered_json row(std::size_t index) const;
  nlohmann::ordered_json image(std::vector<std::uint8_t> bytes) const;

  data::Dataset rows_;
  std::unordered_map<std::size_t, std::size_t> index_;  // by row of the file
  int channels_ = 0, height_ = 0, width_ = 0;           // of the training images; 0: they are none
  bool blurred_ = false;
};

}  // namespace plumbline::guard
