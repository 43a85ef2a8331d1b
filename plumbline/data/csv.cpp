#include "plumbline/data/csv.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/text.hpp"
#include "plumbline/data/files.hpp"

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;

constexpr std::size_t kMaxLevels = 1000;
constexpr std::size_t kFewLevels = 20;
constexpr std::size_t kLongCell = 64;

struct Cell {
  std::string_view text;
  bool quoted = false;
};

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

/// Yields one record after the other.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& name, const TableOptions& options, const ReadLimits& limits)
      : text_(text), name_(name), options_(options), limits_(limits) {
    if (text_.starts_with("\xef\xbb\xbf")) position_ = 3;
    separator_ = options.separator != 0 ? options.separator : find_separator();
  }

  /// False at the end of the text. Cells are valid until the next call.
  base::Result<bool> next() {
    cells_.clear();
    unescaped_.clear();
    skip_lines();
    if (position_ >= text_.size()) return false;
    record_line_ = line_;
    for (;;) {
      PL_CHECK(cell());
      if (cells_.size() > limits_.columns)
        return make_error(Code::kLimit, fmt::format("has more than {} columns", limits_.columns), place(0));
      if (position_ >= text_.size()) break;
      const char c = text_[position_];
      if (c == separator_) {
        ++position_;
        if (position_ >= text_.size()) {
          cells_.push_back({});
          break;
        }
        continue;
      }
      if (c == '\r' && position_ + 1 < text_.size() && text_[position_ + 1] == '\n') ++position_;
      ++position_;
      ++line_;
      break;
    }
    return true;
  }

  const std::vector<Cell>& cells() const { return cells_; }
  char separator() const { return separator_; }
  std::string place(std::size_t column) const {
    return column == 0 ? fmt::format("{}:{}", name_, record_line_)
                       : fmt::format("{}:{}, column {}", name_, record_line_, column);
  }

 private:
  bool line_end(std::size_t at) const { return text_[at] == '\n' || text_[at] == '\r'; }

  /// Empty lines and comments.
  void skip_lines() {
    while (position_ < text_.size()) {
      if (line_end(position_)) {
        if (text_[position_] == '\r' && position_ + 1 < text_.size() && text_[position_ + 1] == '\n') ++position_;
        ++position_;
        ++line_;
      } else if (!options_.comment.empty() && text_.substr(position_).starts_with(options_.comment)) {
        const std::size_t end = text_.find('\n', position_);
        position_ = end == std::string_view::npos ? text_.size() : end + 1;
        ++line_;
      } else {
        return;
      }
    }
  }

  char find_separator() {
    const std::size_t keep = position_;
    skip_lines();
    std::array<std::pair<char, int>, 4> counts = {{{',', 0}, {'\t', 0}, {';', 0}, {'|', 0}}};
    bool quoted = false;
    for (std::size_t i = position_; i < text_.size() && (quoted || !line_end(i)); ++i) {
      if (text_[i] == '"') quoted = !quoted;
      if (quoted) continue;
      for (auto& [c, n] : counts) n += text_[i] == c ? 1 : 0;
    }
    position_ = keep;
    line_ = 1;
    const auto best = std::max_element(counts.begin(), counts.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return best->first;
  }

  base::Status cell() {
    std::size_t start = position_;
    while (start < text_.size() && text_[start] == ' ' && separator_ != ' ') ++start;
    if (start < text_.size() && text_[start] == '"') {
      position_ = start;
      return quoted_cell();
    }
    start = position_;
    while (position_ < text_.size() && text_[position_] != separator_ && !line_end(position_)) ++position_;
    const std::string_view raw = text_.substr(start, position_ - start);
    if (raw.size() > limits_.cell_bytes) return too_long();
    cells_.push_back({separator_ == '\t' || separator_ == ' ' ? raw : trim(raw), false});
    if (separator_ == '\t') cells_.back().text = trim_blanks(raw);
    return base::ok();
  }

  static std::string_view trim_blanks(std::string_view s) {
    while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
    while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
    return s;
  }

  base::Error too_long() const {
    return make_error(Code::kLimit, fmt::format("holds a cell of more than {} bytes", limits_.cell_bytes),
                      place(cells_.size() + 1), "a quote may be open: check the line");
  }

  base::Status quoted_cell() {
    const std::size_t begin = ++position_;
    bool escaped = false;
    std::size_t i = begin;
    for (;; ++i) {
      if (i >= text_.size()) {
        return make_error(Code::kParse, "a quote is opened and never closed", place(cells_.size() + 1),
                          "double each quote inside a quoted cell (\"\")");
      }
      if (i - begin > limits_.cell_bytes) return too_long();
      if (text_[i] == '\n') ++line_;
      if (text_[i] != '"') continue;
      if (i + 1 < text_.size() && text_[i + 1] == '"') {
        escaped = true;
        ++i;
        continue;
      }
      break;
    }
    const std::string_view raw = text_.substr(begin, i - begin);
    position_ = i + 1;
    while (position_ < text_.size() && text_[position_] == ' ' && separator_ != ' ') ++position_;
    if (position_ < text_.size() && text_[position_] != separator_ && !line_end(position_)) {
      return make_error(Code::kParse, "text follows a closing quote", place(cells_.size() + 1),
                        "double each quote inside a quoted cell (\"\")");
    }
    if (!escaped) {
      cells_.push_back({raw, true});
      return base::ok();
    }
    auto plain = std::make_unique<std::string>();
    plain->reserve(raw.size());
    for (std::size_t k = 0; k < raw.size(); ++k) {
      plain->push_back(raw[k]);
      if (raw[k] == '"') ++k;
    }
    cells_.push_back({*plain, true});
    unescaped_.push_back(std::move(plain));
    return base::ok();
  }

  std::string_view text_;
  const std::string& name_;
  const TableOptions& options_;
  const ReadLimits& limits_;
  char separator_ = ',';
  std::size_t position_ = 0;
  std::size_t line_ = 1;
  std::size_t record_line_ = 1;
  std::vector<Cell> cells_;
  std::vector<std::unique_ptr<std::string>> unescaped_;
};

std::string shown(std::string_view cell) {
  std::string out;
  for (const char c : cell.substr(0, 40)) out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  return cell.size() > 40 ? out + "..." : out;
}

base::Result<std::vector<std::string>> column_names(Scanner& scanner, const std::string& name,
                                                    const TableOptions& options, std::size_t width) {
  std::vector<std::string> names;
  if (options.header) {
    for (const Cell& cell : scanner.cells()) names.emplace_back(cell.text);
  } else {
    names = options.names;
    if (names.empty()) {
      for (std::size_t i = 1; i <= width; ++i) names.push_back(fmt::format("column {}", i));
    }
    if (names.size() != width) {
      return make_error(Code::kParse, fmt::format("has {} columns, but {} names are declared", width, names.size()),
                        scanner.place(0), "name every column, in order");
    }
  }
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) names[i] = fmt::format("column {}", i + 1);
    if (!seen.insert(names[i]).second) {
      return make_error(Code::kParse, fmt::format("names the column '{}' twice", shown(names[i])), scanner.place(i + 1),
                        options.header ? "rename one; or set header = false if the first line is data" : "");
    }
  }
  for (const auto& [column, kind] : options.types) {
    if (!seen.contains(column)) {
      return make_error(Code::kValue,
                        fmt::format("has no column '{}' for the declared type; it has {}", column,
                                    base::join_words(std::span(names).first(std::min<std::size_t>(names.size(), 20)))),
                        name);
    }
  }
  return names;
}

base::Result<Table> scan(std::string_view text, const std::string& name, const TableOptions& options,
                         const ReadLimits& limits, bool fill, TableFacts* facts) {
  if (!is_utf8(text))
    return make_error(Code::kParse, "is not UTF-8 text", name, "convert it: iconv -f LATIN1 -t UTF-8 FILE");
  std::vector<ColumnBuilder> builders;
  std::vector<std::ptrdiff_t> target;  // builder of each cell, -1 = left out
  std::vector<std::string> names;
  std::size_t rows = 0;
  const int passes = fill ? 2 : 1;
  for (int pass = 1; pass <= passes; ++pass) {
    Scanner scanner(text, name, options, limits);
    rows = 0;
    bool named = pass == 2;
    bool header_left = options.header;
    for (;;) {
      PL_TRY(const bool more, scanner.next());
      if (!more) break;
      const std::vector<Cell>& cells = scanner.cells();
      if (!named) {
        PL_TRY(names, column_names(scanner, name, options, cells.size()));
        builders.reserve(names.size());
        for (const std::string& column : names) {
          const bool dropped = std::find(options.drop.begin(), options.drop.end(), column) != options.drop.end();
          target.push_back(dropped ? -1 : static_cast<std::ptrdiff_t>(builders.size()));
          if (!dropped) builders.emplace_back(column, options);
        }
        named = true;
      }
      if (header_left) {
        header_left = false;
        continue;
      }
      if (options.limit > 0 && rows == options.limit) break;
      if (cells.size() != names.size()) {
        return make_error(Code::kParse, fmt::format("has {} cells, expected {}", cells.size(), names.size()),
                          scanner.place(0),
                          cells.size() == 1 ? "check the separator" : "quote cells that hold the separator");
      }
      if (++rows > limits.rows)
        return make_error(Code::kLimit, fmt::format("has more than {} rows", limits.rows), name,
                          "read fewer rows with `limit`");
      if (rows * names.size() > limits.elements)
        return make_error(Code::kLimit, fmt::format("has more than {} cells", limits.elements), name,
                          "read fewer rows with `limit`");
      for (std::size_t i = 0; i < cells.size(); ++i) {
        if (target[i] < 0) continue;
        ColumnBuilder& builder = builders[static_cast<std::size_t>(target[i])];
        if (pass == 2) {
          builder.add(cells[i].text, cells[i].quoted);
        } else if (!builder.see(cells[i].text, cells[i].quoted)) {
          return make_error(Code::kParse,
                            fmt::format("'{}' in column '{}' is not a number", shown(cells[i].text), names[i]),
                            scanner.place(i + 1), "declare what means missing, or another type for the column");
        }
      }
    }
    if (rows == 0)
      return make_error(Code::kParse, options.header && !names.empty() ? "holds a header and no rows" : "holds no rows",
                        name, "at least one is needed");
    if (pass == 1) {
      for (ColumnBuilder& builder : builders) builder.decide();
    }
  }
  if (facts != nullptr) {
    facts->rows = rows;
    for (const ColumnBuilder& builder : builders) {
      facts->names.push_back(builder.name());
      facts->kinds.push_back(builder.kind());
    }
  }
  Table table;
  if (fill) {
    for (ColumnBuilder& builder : builders) table.columns.push_back(builder.take());
  }
  return table;
}

std::string_view as_text(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data.get()), bytes.size}; }

}  // namespace

bool parse_number(std::string_view cell, double* value) {
  if (cell.starts_with('+')) cell.remove_prefix(1);
  if (cell.empty()) return false;
  const auto [end, status] = std::from_chars(cell.data(), cell.data() + cell.size(), *value);
  if (end != cell.data() + cell.size()) return false;
  if (status == std::errc::result_out_of_range) {
    // Overflow or underflow: from_chars leaves the value alone; the rounded value is what every other reader gives.
    *value = std::strtod(std::string(cell).c_str(), nullptr);
    return true;
  }
  return status == std::errc{} && !std::isnan(*value);
}

ColumnBuilder::ColumnBuilder(std::string name, const TableOptions& options) : options_(options) {
  column_.name = std::move(name);
  if (const auto found = options.types.find(column_.name); found != options.types.end()) {
    declared_ = true;
    column_.kind = found->second;
  }
}

bool ColumnBuilder::missing(std::string_view cell, bool quoted) const {
  if (quoted && !cell.empty() && column_.kind == Column::Kind::kText && declared_) return false;
  return std::find(options_.missing.begin(), options_.missing.end(), cell) != options_.missing.end();
}

bool ColumnBuilder::see(std::string_view cell, bool quoted) {
  ++seen_;
  if (missing(cell, quoted)) return true;
  double value = 0;
  if (declared_) return column_.kind != Column::Kind::kNumber || parse_number(cell, &value);
  if (numeric_ && !parse_number(cell, &value)) numeric_ = false;
  if (cell.size() > kLongCell) long_cell_ = true;
  if (!long_cell_ && levels_.size() <= kMaxLevels && levels_.find(cell) == levels_.end()) levels_.emplace(cell, 0);
  return true;
}

void ColumnBuilder::decide() {
  if (!declared_) {
    if (numeric_) {
      column_.kind = Column::Kind::kNumber;
    } else if (!long_cell_ &&
               (levels_.size() <= kFewLevels || (levels_.size() <= kMaxLevels && 2 * levels_.size() <= seen_))) {
      column_.kind = Column::Kind::kCategory;
    } else {
      column_.kind = Column::Kind::kText;
    }
  }
  levels_.clear();
}

void ColumnBuilder::add_missing() {
  switch (column_.kind) {
    case Column::Kind::kNumber: column_.numbers.push_back(std::numeric_limits<double>::quiet_NaN()); break;
    case Column::Kind::kCategory: column_.codes.push_back(-1); break;
    case Column::Kind::kText:
      column_.texts.emplace_back();
      column_.text_missing.push_back(true);
      break;
  }
}

void ColumnBuilder::add(std::string_view cell, bool quoted) {
  if (missing(cell, quoted)) return add_missing();
  switch (column_.kind) {
    case Column::Kind::kNumber: {
      double value = std::numeric_limits<double>::quiet_NaN();
      parse_number(cell, &value);
      column_.numbers.push_back(value);
      break;
    }
    case Column::Kind::kCategory: {
      auto found = levels_.find(cell);
      if (found == levels_.end()) {
        found = levels_.emplace(std::string(cell), static_cast<int>(column_.levels.size())).first;
        column_.levels.emplace_back(cell);
      }
      column_.codes.push_back(found->second);
      break;
    }
    case Column::Kind::kText:
      column_.texts.emplace_back(cell);
      column_.text_missing.push_back(false);
      break;
  }
}

Column ColumnBuilder::take() { return std::move(column_); }

std::string cell_text(const Column& column, std::size_t row) {
  switch (column.kind) {
    case Column::Kind::kNumber:
      return std::isnan(column.numbers[row]) ? std::string() : fmt::format("{}", column.numbers[row]);
    case Column::Kind::kCategory:
      return column.codes[row] < 0 ? std::string() : column.levels[static_cast<std::size_t>(column.codes[row])];
    case Column::Kind::kText: return column.text_missing[row] ? std::string() : column.texts[row];
  }
  return {};
}

base::Result<Table> parse_csv(std::string_view text, const std::string& name, const TableOptions& options,
                              const ReadLimits& limits) {
  return guarded(name, [&] { return scan(text, name, options, limits, true, nullptr); });
}

base::Result<Table> read_csv(const std::string& path, const TableOptions& options, const ReadLimits& limits) {
  return guarded(path, [&]() -> base::Result<Table> {
    PL_TRY(Bytes bytes, map_file(path, limits));
    PL_TRY(bytes, inflate_if_gzip(std::move(bytes), path, limits));
    return scan(as_text(bytes), path, options, limits, true, nullptr);
  });
}

base::Result<TableFacts> peek_csv(const std::string& path, const TableOptions& options, const ReadLimits& limits) {
  return guarded(path, [&]() -> base::Result<TableFacts> {
    PL_TRY(Bytes bytes, map_file(path, limits));
    PL_TRY(bytes, inflate_if_gzip(std::move(bytes), path, limits));
    TableFacts facts;
    PL_TRY(const Table unused, scan(as_text(bytes), path, options, limits, false, &facts));
    (void)unused;
    return facts;
  });
}

base::Status write_csv(const std::string& path, const Table& table) {
  std::string out;
  const auto put = [&](std::string_view cell) {
    const bool plain = !cell.empty() && cell.find_first_of(",;|\t\"\r\n") == std::string_view::npos &&
                       cell.front() != ' ' && cell.back() != ' ' && cell.front() != '#';
    if (plain) {
      out += cell;
      return;
    }
    out += '"';
    for (const char c : cell) {
      if (c == '"') out += '"';
      out += c;
    }
    out += '"';
  };
  for (std::size_t j = 0; j < table.columns.size(); ++j) {
    if (j > 0) out += ',';
    put(table.columns[j].name);
  }
  out += '\n';
  for (std::size_t i = 0; i < table.rows(); ++i) {
    for (std::size_t j = 0; j < table.columns.size(); ++j) {
      if (j > 0) out += ',';
      const Column& column = table.columns[j];
      switch (column.kind) {
        case Column::Kind::kNumber:
          if (!std::isnan(column.numbers[i])) out += fmt::format("{}", column.numbers[i]);
          break;
        case Column::Kind::kCategory:
          if (column.codes[i] >= 0) put(column.levels[static_cast<std::size_t>(column.codes[i])]);
          break;
        case Column::Kind::kText:
          if (!column.text_missing[i]) put(column.texts[i]);
          break;
      }
    }
    if (table.columns.size() == 1 && out.back() == '\n') out += "\"\"";  // an empty line would be skipped
    out += '\n';
  }
  return write_bytes(path, out);
}

}  // namespace plumbline::data
