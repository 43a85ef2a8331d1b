#include "plumbline/data/dataset.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/hash.hpp"

namespace plumbline::data {

std::size_t Column::rows() const {
  switch (kind) {
    case Kind::kNumber: return numbers.size();
    case Kind::kCategory: return codes.size();
    case Kind::kText: return texts.size();
  }
  return 0;
}

std::size_t Column::missing() const {
  switch (kind) {
    case Kind::kNumber:
      return static_cast<std::size_t>(
          std::count_if(numbers.begin(), numbers.end(), [](double x) { return std::isnan(x); }));
    case Kind::kCategory: return static_cast<std::size_t>(std::count(codes.begin(), codes.end(), -1));
    case Kind::kText: return static_cast<std::size_t>(std::count(text_missing.begin(), text_missing.end(), true));
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
  return base::make_error(base::Code::kValue,
                          fmt::format("role is '{}', expected train, calibration, test or out-of-distribution", word));
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

std::size_t Dataset::unit_count() const {
  if (units.empty()) return rows();
  return std::set<int>(units.begin(), units.end()).size();
}

namespace {

template <class T>
std::span<const std::byte> raw(const T* data, std::size_t count) {
  return std::as_bytes(std::span(data, count));
}

template <class T>
std::vector<T> picked(const std::vector<T>& values, std::span<const std::size_t> indices) {
  std::vector<T> out;
  if (values.empty()) return out;
  out.reserve(indices.size());
  for (const std::size_t i : indices) out.push_back(values[i]);
  return out;
}

}  // namespace

std::string content_fingerprint(const Dataset& d, std::string_view options) {
  base::Sha256 hash;
  hash.add_field("plumbline data set 1").add_field(options);
  if (d.kind == Dataset::Kind::kImages) {
    hash.add_field(
        fmt::format("images {} {} {} {}", d.images.count, d.images.channels, d.images.height, d.images.width));
    hash.add(raw(d.images.bytes.get(), d.images.count * d.images.pixels()));
  } else if (d.kind == Dataset::Kind::kMatrix) {
    hash.add_field(fmt::format("matrix {} {}", d.matrix.rows(), d.matrix.cols()));
    hash.add(raw(d.matrix.data(), static_cast<std::size_t>(d.matrix.size())));
  }
  hash.add_field(fmt::format("table {} {}", d.table.columns.size(), d.table.rows()));
  for (const Column& column : d.table.columns) {
    hash.add_field(column.name).add_field(fmt::format("{}", static_cast<int>(column.kind)));
    hash.add(raw(column.numbers.data(), column.numbers.size())).add(raw(column.codes.data(), column.codes.size()));
    for (const std::string& level : column.levels) hash.add_field(level);
    for (std::size_t i = 0; i < column.texts.size(); ++i)
      hash.add_field(column.text_missing[i] ? "-" : "+").add_field(column.texts[i]);
  }
  hash.add_field(fmt::format("labels {}", d.labels.size())).add(raw(d.labels.data(), d.labels.size()));
  for (const std::string& name : d.class_names) hash.add_field(name);
  hash.add_field(fmt::format("units {} {}", d.units.size(), d.unit_name)).add(raw(d.units.data(), d.units.size()));
  return hash.hex();
}

Dataset Dataset::subset(std::span<const std::size_t> indices, std::string new_name) const {
  const std::size_t n = rows();
  for (const std::size_t i : indices) base::ensure(i < n, "subset indices lie inside the set");
  Dataset out;
  out.name = std::move(new_name);
  out.role = role;
  out.kind = kind;
  out.class_names = class_names;
  out.unit_name = unit_name;
  out.unit_values = unit_values;
  if (kind == Kind::kImages) {
    const std::size_t size = images.pixels();
    std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[std::max<std::size_t>(1, indices.size() * size)]);
    for (std::size_t k = 0; k < indices.size(); ++k)
      std::memcpy(bytes.get() + k * size, images.bytes.get() + indices[k] * size, size);
    out.images = images;
    out.images.count = indices.size();
    out.images.bytes = std::move(bytes);
  } else if (kind == Kind::kMatrix) {
    out.matrix.resize(static_cast<Eigen::Index>(indices.size()), matrix.cols());
    const auto columns = static_cast<std::size_t>(matrix.cols());
    for (std::size_t k = 0; k < indices.size(); ++k)
      std::copy_n(matrix.data() + indices[k] * columns, columns, out.matrix.data() + k * columns);
  }
  for (const Column& column : table.columns) {
    Column part;
    part.name = column.name;
    part.kind = column.kind;
    part.levels = column.levels;
    part.numbers = picked(column.numbers, indices);
    part.codes = picked(column.codes, indices);
    part.texts = picked(column.texts, indices);
    part.text_missing = picked(column.text_missing, indices);
    out.table.columns.push_back(std::move(part));
  }
  out.labels = picked(labels, indices);
  out.units = picked(units, indices);
  out.source_rows = picked(source_rows, indices);
  if (source_rows.empty()) out.source_rows.assign(indices.begin(), indices.end());
  out.fingerprint = content_fingerprint(out);
  return out;
}

base::Result<MatrixF> encode(const Dataset& dataset, std::span<const std::size_t> rows, const InputSpec& spec) {
  using base::Code;
  using base::make_error;
  const std::size_t n = dataset.rows();
  for (std::size_t k = 0; k < rows.size(); ++k) {
    if (rows[k] >= n)
      return make_error(Code::kShape, fmt::format("rows[{}] is {}, expected an index below {}", k, rows[k], n),
                        "encode");
  }
  if (dataset.kind == Dataset::Kind::kTable) {
    return make_error(Code::kUnsupported, fmt::format("data set '{}' is a table", dataset.name), "encode",
                      "tables reach a model through a table contract fitted on the train set");
  }
  const bool is_image = dataset.kind == Dataset::Kind::kImages;
  const std::size_t channels =
      is_image ? static_cast<std::size_t>(dataset.images.channels) : static_cast<std::size_t>(dataset.matrix.cols());
  const auto agrees = [&](const std::vector<double>& values, std::string_view name) -> base::Status {
    if (values.empty() || values.size() == channels) return base::ok();
    return make_error(Code::kShape,
                      fmt::format("{} has {} values, expected one for each of {} {}", name, values.size(), channels,
                                  is_image ? "channels" : "columns"),
                      "encode", "correct `input` of the model");
  };
  PL_CHECK(agrees(spec.mean, "mean"));
  PL_CHECK(agrees(spec.deviation, "deviation"));
  const auto mean = [&](std::size_t c) { return spec.mean.empty() ? 0.0 : spec.mean[c]; };
  const auto deviation = [&](std::size_t c) { return spec.deviation.empty() ? 1.0 : spec.deviation[c]; };

  if (!is_image) {
    MatrixF out(static_cast<Eigen::Index>(rows.size()), dataset.matrix.cols());
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const float* const in = dataset.matrix.data() + rows[k] * channels;
      float* const to = out.data() + k * channels;
      if (spec.mean.empty() && spec.deviation.empty()) {
        std::copy_n(in, channels, to);
      } else {
        for (std::size_t c = 0; c < channels; ++c) to[c] = static_cast<float>((in[c] - mean(c)) / deviation(c));
      }
    }
    return out;
  }
  const std::size_t pixels = dataset.images.pixels();
  const std::size_t area = pixels / channels;
  std::vector<std::array<float, 256>> value(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (int b = 0; b < 256; ++b)
      value[c][static_cast<std::size_t>(b)] =
          static_cast<float>((spec.low + (spec.high - spec.low) * b / 255.0 - mean(c)) / deviation(c));
  }
  const bool last = spec.layout == "NHWC";
  MatrixF out(static_cast<Eigen::Index>(rows.size()), static_cast<Eigen::Index>(pixels));
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const std::uint8_t* const in = dataset.images.bytes.get() + rows[k] * pixels;
    float* const to = out.data() + k * pixels;
    for (std::size_t c = 0; c < channels; ++c) {
      const auto& lookup = value[c];
      for (std::size_t p = 0; p < area; ++p) to[last ? p * channels + c : c * area + p] = lookup[in[c * area + p]];
    }
  }
  return out;
}

}  // namespace plumbline::data
