#pragma once
/// Inputs under assessment: images as bytes, tables with typed columns, plain feature matrices; with labels, sampling
/// units and a fingerprint. Loaded once, then read-only and safe to share between threads.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/kinds.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::data {

/// One column of a table. Missing numbers are NaN; missing categories and texts are code -1 / an empty optional.
struct Column {
  enum class Kind { kNumber, kCategory, kText };
  std::string name;
  Kind kind = Kind::kNumber;
  std::vector<double> numbers{};      ///< kNumber
  std::vector<int> codes{};           ///< kCategory: index into levels, -1 = missing
  std::vector<std::string> levels{};  ///< kCategory, in order of first appearance or as declared
  std::vector<std::string> texts{};   ///< kText
  std::vector<bool> text_missing{};   ///< kText

  std::size_t rows() const;
  std::size_t missing() const;
};

struct Table {
  std::vector<Column> columns;
  std::size_t rows() const { return columns.empty() ? 0 : columns.front().rows(); }
  /// The column of that name, or nothing.
  const Column* find(std::string_view name) const;
};

/// Images of one size, row after row, channel-first (C, H, W), bytes 0..255. Owned or memory-mapped.
struct Images {
  std::size_t count = 0;
  int channels = 1;
  int height = 0;
  int width = 0;
  std::shared_ptr<const std::uint8_t[]> bytes;

  std::size_t pixels() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }
  std::span<const std::uint8_t> image(std::size_t i) const { return {bytes.get() + i * pixels(), pixels()}; }
};

struct Dataset {
  using Kind = DatasetKind;
  std::string name;
  Role role = Role::kTest;
  Kind kind = Kind::kMatrix;
  Images images;
  Table table;     ///< for kTable, without the label column; also holds metadata columns of the other kinds, if any
  MatrixF matrix;  ///< for kMatrix
  std::vector<int> labels;               ///< empty = unlabelled
  std::vector<std::string> class_names;  ///< by label; may be empty
  std::vector<int> units;                ///< sampling unit of each row; empty = every row is its own unit
  std::vector<std::string> unit_values;  ///< what the file calls unit u; empty when every row is its own unit
  std::string unit_name = "row";         ///< "row", or the declared column's name
  std::vector<std::size_t> source_rows;  ///< row numbers in the file that this set was read or split from
  std::string fingerprint;               ///< SHA-256 of content, labels, units and reading options

  std::size_t rows() const;
  bool labelled() const { return !labels.empty(); }
  /// 1 + largest label; 0 when unlabelled.
  int classes() const;
  /// Number of distinct units.
  std::size_t unit_count() const;
  /// The rows named by `indices`, in that order, as a set of its own (fingerprint of content again).
  Dataset subset(std::span<const std::size_t> indices, std::string new_name) const;
};

/// SHA-256 of content, labels, class names and units, and of `options`, a text that names how the bytes were read.
std::string content_fingerprint(const Dataset& dataset, std::string_view options = {});

/// Rows of an image or matrix set as the model's input rows (n x input size).
/// Errors kShape: index out of range. kUnsupported: a table (see data/table_contract.hpp).
base::Result<MatrixF> encode(const Dataset& dataset, std::span<const std::size_t> rows, const InputSpec& spec);

}  // namespace plumbline::data
