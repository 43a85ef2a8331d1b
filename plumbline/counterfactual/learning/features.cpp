#include "plumbline/counterfactual/learning/features.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/text.hpp"
#include "plumbline/stats/descriptive.hpp"

namespace plumbline::counterfactual::learning {
namespace {

using data::Column;

constexpr std::size_t kMost = 128;
constexpr std::size_t kLeastRows = 5;
constexpr int kNumber = -1;
constexpr int kNever = -2;

}  // namespace

FeatureMap FeatureMap::of(const data::Table& context) {
  FeatureMap map;
  const auto add = [&](Feature feature) {
    if (map.features.size() < kMost)
      map.features.push_back(std::move(feature));
    else
      ++map.left_out;
  };
  for (const Column& column : context.columns) {
    if (column.kind == Column::Kind::kNumber) {
      std::vector<double> known;
      for (const double v : column.numbers) {
        if (std::isfinite(v)) known.push_back(v);
      }
      if (known.size() < 2) continue;
      const stats::Moments m = stats::moments(known);
      if (m.variance > 1e-24) add({column.name, true, {}, m.mean, std::sqrt(m.variance)});
    } else if (column.kind == Column::Kind::kCategory) {
      std::vector<std::size_t> count(column.levels.size(), 0);
      for (const int code : column.codes) {
        if (code >= 0) ++count[static_cast<std::size_t>(code)];
      }
      for (std::size_t l = 0; l < count.size(); ++l) {
        if (count[l] >= kLeastRows) add({column.name, false, column.levels[l], 0, 1});
      }
    }
  }
  return map;
}

base::Result<BoundFeatures> BoundFeatures::bind(const FeatureMap& map, const data::Table& context) {
  BoundFeatures out;
  for (const FeatureMap::Feature& f : map.features) {
    const Column* column = context.find(f.column);
    if (column == nullptr) {
      std::vector<std::string> known;
      for (const Column& c : context.columns) known.push_back(c.name);
      const std::string near = base::nearest(f.column, known);
      return base::make_error(base::Code::kValue,
                              fmt::format("the policy reads '{}', which the context lacks", f.column.substr(0, 60)), {},
                              near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
    }
    if ((column->kind == Column::Kind::kNumber) != f.number || column->kind == Column::Kind::kText) {
      return base::make_error(
          base::Code::kValue,
          fmt::format("the policy reads '{}' as a {}, and the context holds it as a {}", f.column.substr(0, 60),
                      f.number ? "number" : "category", f.number ? "category" : "number"));
    }
    Part part{column, kNumber, f.mean, f.scale};
    if (!f.number) {
      const auto level = std::find(column->levels.begin(), column->levels.end(), f.level);
      part.level = level == column->levels.end() ? kNever : static_cast<int>(level - column->levels.begin());
    }
    out.parts_.push_back(part);
  }
  return out;
}

void BoundFeatures::row(std::size_t i, std::span<double> out) const {
  out[0] = 1;
  for (std::size_t j = 0; j < parts_.size(); ++j) {
    const Part& p = parts_[j];
    double value = 0;
    if (p.level == kNumber) {
      const double v = p.column->numbers[i];
      value = std::isfinite(v) ? (v - p.mean) / p.scale : 0.0;
    } else {
      value = p.column->codes[i] == p.level ? 1 : 0;
    }
    out[j + 1] = value;
  }
}

}  // namespace plumbline::counterfactual::learning
