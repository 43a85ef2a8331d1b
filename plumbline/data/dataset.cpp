#include "plumbline/data/dataset.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace plumbline::data {

std::size_t Column::rows() const {
  switch (kind) {
    case Kind::kNumber: return numbers.size();
    case Kind::kCategory: return codes.size();
    case Kind::kText: return texts.size();
  }
  return 0;
}

const Column* Table::find(std::string_view name) const {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const Column& c) { return c.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kTrain: return "train";
    case Role::kCalibration: return "calibration";
    case Role::kTest: return "test";
    case Role::kOutOfDistribution: return "out-of-distribution";
  }
  return "test";
}

base::Result<Role> parse_role(std::string_view word) {
  for (const Role role : {Role::kTrain, Role::kCalibration, Role::kTest, Role::kOutOfDistribution}) {
    if (word == role_name(role)) return role;
  }
  return base::make_error(base::Code::kValue, fmt::format("role is '{}', expected train, calibration, test or out-of-distribution", word));
}

std::size_t Dataset::rows() const {
  switch (kind) {
    case Kind::kImages: return images.count;
    case Kind::kTable: return table.rows();
    case Kind::kMatrix: return static_cast<std::size_t>(matrix.rows());
  }
  return 0;
}

int Dataset::classes() const { return labels.empty() ? 0 : 1 + *std::max_element(labels.begin(), labels.end()); }

}  // namespace plumbline::data
