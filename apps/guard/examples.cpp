#include "apps/guard/examples.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/interface/json.hpp"

namespace plumbline::guard {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kColumns = 64;  // more are no help to somebody who has seconds

std::size_t size_of(int value) { return static_cast<std::size_t>(value); }

/// Every pixel becomes the mean of its cell, a quarter of the image wide, as in the galleries of a report.
void blur(std::vector<std::uint8_t>& bytes, std::size_t channels, std::size_t height, std::size_t width) {
  const std::size_t cell = std::max<std::size_t>(2, std::min(height, width) / 4);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t y = 0; y < height; y += cell) {
      for (std::size_t x = 0; x < width; x += cell) {
        const std::size_t bottom = std::min(height, y + cell);
        const std::size_t right = std::min(width, x + cell);
        std::size_t sum = 0;
        for (std::size_t yy = y; yy < bottom; ++yy)
          for (std::size_t xx = x; xx < right; ++xx) sum += bytes[(c * height + yy) * width + xx];
        const auto mean = static_cast<std::uint8_t>(sum / ((bottom - y) * (right - x)));
        for (std::size_t yy = y; yy < bottom; ++yy)
          for (std::size_t xx = x; xx < right; ++xx) bytes[(c * height + yy) * width + xx] = mean;
      }
    }
  }
}

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json cell(const data::Column& column, std::size_t row) {
  switch (column.kind) {
    case data::Column::Kind::kNumber: return number_or_null(column.numbers[row]);
    case data::Column::Kind::kCategory:
      return column.codes[row] < 0 ? Json(nullptr) : Json(column.levels[size_of(column.codes[row])]);
    case data::Column::Kind::kText: return column.text_missing[row] ? Json(nullptr) : Json(column.texts[row]);
  }
  return nullptr;
}

std::string column_name(std::span<const std::string> names, std::size_t i) {
  return i < names.size() ? names[i] : fmt::format("x{}", i);
}

}  // namespace

ShownExamples::ShownExamples(const data::Dataset& set, std::span<const int> source_rows, const std::string& policy)
    : blurred_(policy == "blurred") {
  const bool images = set.kind == data::Dataset::Kind::kImages;
  if (images) {
    channels_ = set.images.channels;
    height_ = set.images.height;
    width_ = set.images.width;
  }
  if (policy == "none" || (blurred_ && !images)) return;
  std::unordered_map<std::size_t, std::size_t> in_set;
  for (std::size_t i = 0; i < set.rows(); ++i) in_set.emplace(set.source_rows.empty() ? i : set.source_rows[i], i);
  std::vector<std::size_t> wanted;
  for (const int row : source_rows) {
    const auto found = in_set.find(static_cast<std::size_t>(row));
    if (found == in_set.end()) continue;
    index_.emplace(static_cast<std::size_t>(row), wanted.size());
    wanted.push_back(found->second);
  }
  rows_ = set.subset(wanted, set.name);
}

Json ShownExamples::image(std::vector<std::uint8_t> bytes) const {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return {{"channels", channels_}, {"height", height_}, {"width", width_}, {"bytes", check::base64_encode(text)}};
}

Json ShownExamples::row(std::size_t index) const {
  Json out = Json::object();
  if (rows_.kind == data::Dataset::Kind::kImages) {
    const auto pixels = rows_.images.image(index);
    std::vector<std::uint8_t> bytes(pixels.begin(), pixels.end());
    if (blurred_) blur(bytes, size_of(channels_), size_of(height_), size_of(width_));
    out["image"] = image(std::move(bytes));
    if (blurred_) out["blurred"] = true;
    return out;
  }
  Json columns = Json::array();
  if (rows_.kind == data::Dataset::Kind::kMatrix) {
    const auto at = static_cast<std::ptrdiff_t>(index);
    for (std::ptrdiff_t j = 0; j < std::min(rows_.matrix.cols(), static_cast<std::ptrdiff_t>(kColumns)); ++j)
      columns.push_back({{"name", fmt::format("x{}", j)}, {"value", number_or_null(rows_.matrix(at, j))}});
  } else {
    for (std::size_t j = 0; j < std::min(rows_.table.columns.size(), kColumns); ++j)
      columns.push_back({{"name", rows_.table.columns[j].name}, {"value", cell(rows_.table.columns[j], index)}});
  }
  out["columns"] = std::move(columns);
  return out;
}

void ShownExamples::add_to(Json& nearest) const {
  if (!nearest.is_array()) return;
  for (Json& one : nearest) {
    const auto row_number = one.find("row");
    if (row_number == one.end() || !row_number->is_number_unsigned()) continue;
    if (const auto found = index_.find(row_number->get<std::size_t>()); found != index_.end())
      one.update(row(found->second));
  }
}

Json ShownExamples::input(std::span<const float> values, std::span<const std::string> names) const {
  Json out = Json::object();
  if (channels_ > 0 && values.size() == size_of(channels_) * size_of(height_) * size_of(width_)) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const float range = *high > *low ? *high - *low : 1.0F;
    std::vector<std::uint8_t> bytes;
    for (const float value : values)
      bytes.push_back(static_cast<std::uint8_t>(std::lround(255.0F * (value - *low) / range)));
    out["image"] = image(std::move(bytes));
    return out;
  }
  Json columns = Json::array();
  for (std::size_t i = 0; i < std::min(values.size(), kColumns); ++i)
    columns.push_back({{"name", column_name(names, i)}, {"value", number_or_null(static_cast<double>(values[i]))}});
  out["columns"] = std::move(columns);
  if (values.size() > kColumns) out["left_out"] = values.size() - kColumns;
  return out;
}

}  // namespace plumbline::guard
