#pragma once
/// The context of a decision as numbers, the same in every log that a learned policy meets.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::counterfactual::learning {

/// x_0 = 1; then for each feature (value - mean) / scale of a number (missing: 0), or 1 where a category has the level.
struct FeatureMap {
  struct Feature {
    std::string column;
    bool number = true;
    std::string level;  ///< of a category
    double mean = 0;
    double scale = 1;
  };
  std::vector<Feature> features;
  std::size_t left_out = 0;  ///< beyond the first 128

  std::size_t size() const { return features.size() + 1; }

  /// Numbers scaled to mean 0 and variance 1 over all rows (constant ones left out); a feature for each level that at
  /// least 5 rows have; texts left out. Sees no reward and no action.
  static FeatureMap of(const data::Table& context);
};

/// A map bound to a table. Holds a reference to the table.
class BoundFeatures {
 public:
  /// Errors kValue: a column that the table lacks (with the nearest), or that holds numbers where categories are
  /// expected, or the reverse.
  static base::Result<BoundFeatures> bind(const FeatureMap& map, const data::Table& context);
  std::size_t size() const { return parts_.size() + 1; }
  void row(std::size_t i, std::span<double> out) const;

 private:
  struct Part {
    const data::Column* column = nullptr;
    int level = -1;  ///< -2: the table never has it
    double mean = 0;
    double scale = 1;
  };
  std::vector<Part> parts_;
};

}  // namespace plumbline::counterfactual::learning
