#include "plumbline/data/jsonl.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::ordered_json;

/// Calls visit(line number, value) for each line that is not blank; visit returns false to stop.
base::Status each_line(std::string_view text, const std::string& name, const ReadLimits& limits,
                       const std::function<base::Result<bool>(std::size_t, const Json&)>& visit) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::size_t line = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view one = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++line;
    if (one.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = fmt::format("{}:{}", name, line);
    if (one.size() > limits.cell_bytes * 16)
      return make_error(
          Code::kLimit,
          fmt::format("holds a line of {} bytes, expected at most {}", one.size(), limits.cell_bytes * 16), place);
    const Json value = Json::parse(one, nullptr, false);
    if (value.is_discarded())
      return make_error(Code::kParse, "is not JSON", place, "write one JSON object a line, in UTF-8");
    PL_TRY(const bool go_on, visit(line, value));
    if (!go_on) break;
  }
  return base::ok();
}

/// The text of a scalar as the type finder sees it. Empty optional = missing.
std::optional<std::string> scalar(const Json& value) {
  if (value.is_null()) return std::nullopt;
  if (value.is_string()) return value.get_ref<const std::string&>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number_unsigned()) return fmt::format("{}", value.get<std::uint64_t>());
  if (value.is_number_integer()) return fmt::format("{}", value.get<std::int64_t>());
  return fmt::format("{}", value.get<double>());
}

base::Result<Table> scan(std::string_view text, const std::string& name, const TableOptions& options,
                         const ReadLimits& limits) {
  std::vector<ColumnBuilder> builders;
  std::map<std::string, std::size_t, std::less<>> index;
  builders.reserve(64);
  std::size_t rows = 0;
  for (int pass = 1; pass <= 2; ++pass) {
    rows = 0;
    std::vector<bool> given;
    PL_CHECK(each_line(text, name, limits, [&](std::size_t line, const Json& value) -> base::Result<bool> {
      const std::string place = fmt::format("{}:{}", name, line);
      if (!value.is_object())
        return make_error(Code::kParse, fmt::format("holds {}, expected an object", value.type_name()), place,
                          "write {\"column\": value, ...} on each line");
      if (options.limit > 0 && rows == options.limit) return false;
      if (++rows > limits.rows)
        return make_error(Code::kLimit, fmt::format("has more than {} rows", limits.rows), name,
                          "read fewer rows with `limit`");
      given.assign(builders.size(), false);
      for (const auto& [key, item] : value.items()) {
        if (std::find(options.drop.begin(), options.drop.end(), key) != options.drop.end()) continue;
        if (item.is_structured()) {
          return make_error(Code::kParse,
                            fmt::format("column '{}' holds {}, expected a number, text, true, false or null",
                                        key.substr(0, 60), item.type_name()),
                            place, "flatten the value, or leave the column out with `drop`");
        }
        auto found = index.find(key);
        if (found == index.end()) {
          if (builders.size() >= limits.columns)
            return make_error(Code::kLimit, fmt::format("has more than {} columns", limits.columns), place);
          found = index.emplace(key, builders.size()).first;
          builders.emplace_back(key, options);
          given.push_back(false);
          for (std::size_t i = 1; i < rows; ++i) builders.back().see_missing();
        }
        ColumnBuilder& builder = builders[found->second];
        given[found->second] = true;
        const auto cell = scalar(item);
        if (pass == 1) {
          if (!cell) {
            builder.see_missing();
          } else if (!builder.see(*cell, item.is_string())) {
            return make_error(
                Code::kParse,
                fmt::format("'{}' in column '{}' is not a number", cell->substr(0, 40), key.substr(0, 60)), place,
                "declare another type for the column");
          }
        } else if (cell) {
          builder.add(*cell, item.is_string());
        } else {
          builder.add_missing();
        }
      }
      if (rows * std::max<std::size_t>(builders.size(), 1) > limits.elements)
        return make_error(Code::kLimit, fmt::format("has more than {} cells", limits.elements), name,
                          "read fewer rows with `limit`");
      for (std::size_t j = 0; j < builders.size(); ++j) {
        if (given[j]) continue;
        pass == 1 ? builders[j].see_missing() : builders[j].add_missing();
      }
      return true;
    }));
    if (rows == 0) return make_error(Code::kParse, "holds no rows", name, "at least one is needed");
    if (builders.empty())
      return make_error(Code::kParse, "holds no columns", name, "write {\"column\": value, ...} on each line");
    if (pass == 1) {
      for (ColumnBuilder& builder : builders) builder.decide();
    }
  }
  for (const auto& [column, kind] : options.types) {
    if (!index.contains(column))
      return make_error(Code::kValue, fmt::format("has no column '{}' for the declared type", column), name);
  }
  Table table;
  for (ColumnBuilder& builder : builders) table.columns.push_back(builder.take());
  return table;
}

}  // namespace

base::Result<Table> parse_jsonl(std::string_view text, const std::string& name, const TableOptions& options,
                                const ReadLimits& limits) {
  return guarded(name, [&] { return scan(text, name, options, limits); });
}

base::Result<Table> read_jsonl(const std::string& path, const TableOptions& options, const ReadLimits& limits) {
  return guarded(path, [&]() -> base::Result<Table> {
    PL_TRY(Bytes bytes, map_file(path, limits));
    PL_TRY(bytes, inflate_if_gzip(std::move(bytes), path, limits));
    return scan({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path, options, limits);
  });
}

base::Result<MatrixD> parse_jsonl_matrix(std::string_view text, const std::string& name, const ReadLimits& limits) {
  return guarded(name, [&]() -> base::Result<MatrixD> {
    std::vector<double> values;
    std::vector<std::string> keys;
    std::size_t rows = 0;
    std::size_t columns = 0;
    PL_CHECK(each_line(text, name, limits, [&](std::size_t line, const Json& value) -> base::Result<bool> {
      const std::string place = fmt::format("{}:{}", name, line);
      if (!value.is_structured())
        return make_error(Code::kParse,
                          fmt::format("holds {}, expected an array of numbers or an object", value.type_name()), place);
      if (rows == 0) {
        columns = value.size();
        if (value.is_object()) {
          for (const auto& [key, item] : value.items()) keys.push_back(key);
        }
      }
      if (value.size() != columns || columns == 0)
        return make_error(Code::kShape,
                          fmt::format("holds {} numbers, expected {}", value.size(), std::max<std::size_t>(columns, 1)),
                          place);
      for (std::size_t j = 0; j < columns; ++j) {
        const Json* item = nullptr;
        if (value.is_array() && keys.empty()) {
          item = &value[j];
        } else if (value.is_object() && j < keys.size()) {
          const auto found = value.find(keys[j]);
          if (found != value.end()) item = &*found;
        }
        if (item == nullptr || !item->is_number())
          return make_error(Code::kParse, fmt::format("holds no number at place {}", j + 1), place,
                            "write one array of numbers a line");
        values.push_back(item->get<double>());
      }
      ++rows;
      if (rows > limits.rows || values.size() > limits.elements)
        return make_error(Code::kLimit, "holds too many numbers", place);
      return true;
    }));
    if (rows == 0) return make_error(Code::kParse, "holds no rows", name, "at least one is needed");
    MatrixD out(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns));
    std::copy(values.begin(), values.end(), out.data());
    return out;
  });
}

}  // namespace plumbline::data
