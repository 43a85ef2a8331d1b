#include "plumbline/methodology/content_units.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/hash.hpp"

namespace plumbline::methodology {
namespace {

constexpr std::size_t kManyColumns = 30;
constexpr double kIdentifying = 0.9;

/// One number for every value that counts as the same: -0 is 0, and all missing numbers are alike.
std::uint64_t number_bits(double value) {
  if (std::isnan(value)) return ~std::uint64_t{0};
  return std::bit_cast<std::uint64_t>(value == 0 ? 0.0 : value);
}

void append(std::string& out, std::uint64_t word) {
  char bytes[sizeof(word)];
  std::memcpy(bytes, &word, sizeof(word));
  out.append(bytes, sizeof(word));
}

std::string cell(const data::Column& column, std::size_t row) {
  std::string out;
  switch (column.kind) {
    case data::Column::Kind::kNumber: append(out, number_bits(column.numbers[row])); break;
    case data::Column::Kind::kCategory:
      append(out, static_cast<std::uint64_t>(static_cast<std::int64_t>(column.codes[row])));
      break;
    case data::Column::Kind::kText:
      append(out, column.texts[row].size());
      out += column.text_missing.empty() || !column.text_missing[row] ? column.texts[row] : std::string(1, '\0');
      break;
  }
  return out;
}

std::string content(const data::Dataset& dataset, std::size_t row) {
  if (dataset.kind == data::Dataset::Kind::kImages) {
    const auto image = dataset.images.image(row);
    return {reinterpret_cast<const char*>(image.data()), image.size()};
  }
  std::string out;
  if (dataset.kind == data::Dataset::Kind::kMatrix) {
    for (std::ptrdiff_t j = 0; j < dataset.matrix.cols(); ++j) {
      append(out, number_bits(static_cast<double>(dataset.matrix(static_cast<std::ptrdiff_t>(row), j))));
    }
  } else {
    for (const data::Column& column : dataset.table.columns) out += cell(column, row);
  }
  return out;
}

/// Whether some column alone nearly tells the distinct rows apart.
bool has_identifying_column(const data::Dataset& dataset, const std::vector<std::size_t>& firsts) {
  const double enough = kIdentifying * static_cast<double>(firsts.size());
  if (dataset.kind == data::Dataset::Kind::kMatrix) {
    for (std::ptrdiff_t j = 0; j < dataset.matrix.cols(); ++j) {
      std::unordered_set<std::uint64_t> seen;
      for (const std::size_t row : firsts)
        seen.insert(number_bits(static_cast<double>(dataset.matrix(static_cast<std::ptrdiff_t>(row), j))));
      if (static_cast<double>(seen.size()) >= enough) return true;
    }
    return false;
  }
  for (const data::Column& column : dataset.table.columns) {
    std::unordered_set<std::string> seen;
    for (const std::size_t row : firsts) seen.insert(cell(column, row));
    if (static_cast<double>(seen.size()) >= enough) return true;
  }
  return false;
}

/// Union–find with path halving.
class Parts {
 public:
  explicit Parts(std::size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), std::size_t{0}); }
  std::size_t find(std::size_t x) {
    while (parent_[x] != x) x = parent_[x] = parent_[parent_[x]];
    return x;
  }
  void join(std::size_t a, std::size_t b) { parent_[find(b)] = find(a); }

 private:
  std::vector<std::size_t> parent_;
};

}  // namespace

base::Result<Merge> parse_merge(std::string_view word) {
  if (word == "auto") return Merge::kAuto;
  if (word == "always") return Merge::kAlways;
  if (word == "never") return Merge::kNever;
  return base::make_error(base::Code::kValue, fmt::format("merge is '{}', expected auto, always or never", word));
}

base::Result<ContentUnits> content_units(const data::Dataset& dataset, Merge merge) {
  const std::size_t n = dataset.rows();
  PL_CHECK(base::check_at_least("content_units", "rows", static_cast<std::ptrdiff_t>(n), 1));
  if (!dataset.units.empty()) {
    PL_CHECK(base::check_size("content_units", "units", static_cast<std::ptrdiff_t>(dataset.units.size()),
                              static_cast<std::ptrdiff_t>(n)));
  }
  ContentUnits result;
  std::unordered_map<std::string, std::size_t> input_of;  // looked up only, never walked
  std::vector<std::size_t> first_with(n);
  std::vector<std::size_t> firsts;
  std::vector<std::size_t> copies(n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    const auto [entry, fresh] = input_of.try_emplace(base::sha256_hex(content(dataset, i)), i);
    first_with[i] = entry->second;
    ++copies[entry->second];
    if (fresh) firsts.push_back(i);
  }
  result.distinct_inputs = firsts.size();
  for (std::size_t i = 0; i < n; ++i) result.copied_rows += copies[first_with[i]] > 1;

  const std::size_t columns = dataset.kind == data::Dataset::Kind::kMatrix
                                  ? static_cast<std::size_t>(dataset.matrix.cols())
                                  : dataset.table.columns.size();
  if (result.copied_rows == 0) {
    result.reason = "no two rows have the same input";
  } else if (merge != Merge::kAuto) {
    result.merged = merge == Merge::kAlways;
    result.reason = "as asked";
  } else if (dataset.kind == data::Dataset::Kind::kImages) {
    result.merged = true;
    result.reason = "two images do not agree in every pixel by chance";
  } else if (columns > kManyColumns) {
    result.merged = true;
    result.reason = fmt::format("rows do not agree in all of {} columns by chance", columns);
  } else if (has_identifying_column(dataset, firsts)) {
    result.merged = true;
    result.reason = "a column nearly identifies the row, so equal rows are copies";
  } else {
    result.reason = "few coarse columns agree by chance, so equal rows may be different cases";
  }

  Parts parts(n);
  if (result.merged) {
    for (std::size_t i = 0; i < n; ++i) parts.join(first_with[i], i);
  }
  std::unordered_map<int, std::size_t> first_of_unit;
  for (std::size_t i = 0; i < dataset.units.size(); ++i)
    parts.join(first_of_unit.try_emplace(dataset.units[i], i).first->second, i);
  std::vector<int> number(n, -1);
  result.unit_of_row.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    int& mine = number[parts.find(i)];
    if (mine < 0) mine = static_cast<int>(result.units++);
    result.unit_of_row[i] = mine;
  }
  return result;
}

}  // namespace plumbline::methodology
