#include "plumbline/predict/declared.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace plumbline::predict {

using base::Code;
using base::make_error;

base::Result<std::int64_t> row_size(const std::vector<std::int64_t>& shape, const std::string& what) {
  std::int64_t size = 1;
  for (const std::int64_t axis : shape) {
    if (axis < 1 || axis > kLargestRow / size) {
      return make_error(Code::kValue, fmt::format("{} is ({}), expected positive axes with at most {} numbers in all",
                                                  what, fmt::join(shape, ", "), kLargestRow));
    }
    size *= axis;
  }
  return size;
}

base::Result<decision::PredictorInfo> declared_info(const data::ModelSection& section) {
  decision::PredictorInfo info;
  info.name = section.name;
  if (section.task == "classification") {
    info.task = decision::Task::kClassification;
  } else if (section.task == "regression") {
    info.task = decision::Task::kRegression;
  } else {
    return make_error(Code::kValue, fmt::format("task is '{}', expected classification or regression", section.task));
  }
  PL_TRY(info.output, decision::parse_output(section.output));
  if (section.classes < 0 || section.classes > 1'000'000) {
    return make_error(Code::kValue, fmt::format("classes is {}, expected an integer in [1, 1000000]", section.classes));
  }
  info.outputs = section.classes;
  if (!section.input_shape.empty()) {
    PL_TRY(const std::int64_t size, row_size(section.input_shape, "input_shape"));
    info.input_size = size;
    info.input_shape.assign(section.input_shape.begin(), section.input_shape.end());
  }
  if (section.features != "inputs" && !section.features.starts_with("pca:")) info.features = section.features;
  return info;
}

}  // namespace plumbline::predict
