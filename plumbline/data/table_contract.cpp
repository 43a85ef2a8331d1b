#include "plumbline/data/table_contract.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/hash.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/data/bytes.hpp"

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;
using Mode = TableContract::Mode;

constexpr std::size_t kMaxReportedLevels = 100;

std::string absent(std::string_view name, const Table& table) {
  std::vector<std::string> known;
  for (const Column& c : table.columns) known.push_back(c.name);
  const std::string best = base::nearest(name, known);
  return fmt::format("there is no column '{}'{}", name, best.empty() ? "" : fmt::format(", did you mean '{}'?", best));
}

void fit_number(const Column& column, TableContract::Entry& entry) {
  std::vector<double> kept;
  kept.reserve(column.numbers.size());
  for (const double x : column.numbers) {
    if (std::isfinite(x)) kept.push_back(x);
  }
  if (kept.empty()) return;
  entry.mean = base::ordered_mean(kept);
  for (double& x : kept) x = (x - entry.mean) * (x - entry.mean);
  const double deviation = std::sqrt(base::ordered_mean(kept));
  if (deviation > 0 && std::isfinite(deviation)) entry.deviation = deviation;
}

/// A cell as the level's text; false = missing. Numbers count as levels too: a file may hold a category in digits.
bool level_text(const Column& column, std::size_t row, std::string* text) {
  switch (column.kind) {
    case Column::Kind::kCategory:
      if (column.codes[row] < 0) return false;
      *text = column.levels[static_cast<std::size_t>(column.codes[row])];
      return true;
    case Column::Kind::kNumber:
      if (std::isnan(column.numbers[row])) return false;
      *text = fmt::format("{}", column.numbers[row]);
      return true;
    case Column::Kind::kText:
      if (column.text_missing[row]) return false;
      *text = column.texts[row];
      return true;
  }
  return false;
}

}  // namespace

std::size_t TableContract::Entry::width() const {
  return (kind == Column::Kind::kCategory ? levels.size() : 1) + (indicator ? 1 : 0);
}

std::size_t TableContract::width() const {
  std::size_t total = 0;
  for (const Entry& entry : columns) total += entry.width();
  return total;
}

std::vector<std::string> TableContract::names() const {
  std::vector<std::string> out;
  for (const Entry& entry : columns) {
    if (entry.kind == Column::Kind::kCategory) {
      for (const std::string& level : entry.levels) out.push_back(entry.name + " = " + level);
    } else {
      out.push_back(entry.name);
    }
    if (entry.indicator) out.push_back(entry.name + " missing");
  }
  return out;
}

std::string TableContract::hash() const { return base::sha256_hex(contract_json(*this)); }

base::Result<TableContract> fit_contract(const Table& train, std::span<const std::string> columns, Mode mode) {
  if (train.rows() == 0) return make_error(Code::kShape, "train has no row, expected at least 1", "fit_contract");
  TableContract contract;
  contract.mode = mode;
  std::vector<std::string> wanted(columns.begin(), columns.end());
  if (wanted.empty()) {
    for (const Column& column : train.columns) {
      const bool use =
          column.kind == Column::Kind::kNumber || (column.kind == Column::Kind::kCategory && mode == Mode::kEncoded);
      (use ? wanted : contract.left_out).push_back(column.name);
    }
  }
  if (wanted.empty()) {
    return make_error(Code::kShape, "train has no column that a model can take", "fit_contract",
                      "declare types for its columns");
  }
  for (const std::string& name : wanted) {
    const Column* const column = train.find(name);
    if (column == nullptr) return make_error(Code::kValue, absent(name, train), "fit_contract", "correct `columns`");
    if (column->kind == Column::Kind::kText) {
      return make_error(Code::kValue, fmt::format("column '{}' is free text, which no contract encodes", name),
                        "fit_contract", "leave it out of `columns`, or declare it a category");
    }
    if (mode == Mode::kRaw && column->kind != Column::Kind::kNumber) {
      return make_error(Code::kValue, fmt::format("column '{}' is a category, but the model takes raw numbers", name),
                        "fit_contract", "store the column as numbers");
    }
    TableContract::Entry entry;
    entry.name = name;
    entry.kind = column->kind;
    if (mode == Mode::kEncoded) {
      entry.indicator = column->missing() > 0;
      if (column->kind == Column::Kind::kNumber) {
        fit_number(*column, entry);
      } else {
        std::set<std::string> levels;
        for (const int code : column->codes) {
          if (code >= 0) levels.insert(column->levels[static_cast<std::size_t>(code)]);
        }
        entry.levels.assign(levels.begin(), levels.end());
      }
    }
    contract.columns.push_back(std::move(entry));
  }
  return contract;
}

base::Result<MatrixF> encode_table(const TableContract& contract, const Table& table, std::span<const std::size_t> rows,
                                   EncodeReport* report) {
  const std::size_t n = table.rows();
  for (std::size_t k = 0; k < rows.size(); ++k) {
    if (rows[k] >= n) {
      return make_error(Code::kShape, fmt::format("rows[{}] is {}, expected an index below {}", k, rows[k], n),
                        "encode_table");
    }
  }
  const std::size_t width = contract.width();
  return guarded("encode_table", [&]() -> base::Result<MatrixF> {
    MatrixF out = MatrixF::Zero(static_cast<Eigen::Index>(rows.size()), static_cast<Eigen::Index>(width));
    std::vector<bool> unseen_row(rows.size(), false);
    std::size_t offset = 0;
    for (const TableContract::Entry& entry : contract.columns) {
      const Column* const column = table.find(entry.name);
      if (column == nullptr) {
        return make_error(Code::kShape, absent(entry.name, table), "encode_table",
                          "every set needs the columns that the model was trained on");
      }
      std::size_t missing = 0;
      if (entry.kind == Column::Kind::kNumber) {
        if (column->kind != Column::Kind::kNumber && column->missing() < column->rows()) {
          return make_error(Code::kValue,
                            fmt::format("column '{}' holds text, but was a number in the train set", entry.name),
                            "encode_table", "declare what means missing, or types = {COLUMN = \"number\"}");
        }
        for (std::size_t k = 0; k < rows.size(); ++k) {
          float* const to = out.data() + k * width + offset;
          const double x = column->kind == Column::Kind::kNumber ? column->numbers[rows[k]]
                                                                 : std::numeric_limits<double>::quiet_NaN();
          if (contract.mode == Mode::kRaw) {
            to[0] = static_cast<float>(x);
            missing += std::isnan(x) ? 1 : 0;
          } else if (std::isnan(x)) {
            if (entry.indicator) to[1] = 1;
            missing += entry.indicator ? 0 : 1;
          } else {
            to[0] = static_cast<float>((x - entry.mean) / entry.deviation);
          }
        }
      } else {
        std::map<std::string, std::size_t>* counts = nullptr;
        std::string text;
        for (std::size_t k = 0; k < rows.size(); ++k) {
          float* const to = out.data() + k * width + offset;
          if (!level_text(*column, rows[k], &text)) {
            if (entry.indicator) to[entry.levels.size()] = 1;
            missing += entry.indicator ? 0 : 1;
            continue;
          }
          const auto found = std::lower_bound(entry.levels.begin(), entry.levels.end(), text);
          if (found != entry.levels.end() && *found == text) {
            to[static_cast<std::size_t>(found - entry.levels.begin())] = 1;
            continue;
          }
          unseen_row[k] = true;
          if (report == nullptr) continue;
          if (counts == nullptr) counts = &report->unseen[entry.name];
          if (counts->size() < kMaxReportedLevels || counts->contains(text)) ++(*counts)[text];
        }
      }
      if (report != nullptr && missing > 0) report->missing[entry.name] += missing;
      offset += entry.width();
    }
    if (report != nullptr) {
      report->rows += rows.size();
      report->rows_with_unseen += static_cast<std::size_t>(std::count(unseen_row.begin(), unseen_row.end(), true));
    }
    return out;
  });
}

std::string contract_json(const TableContract& contract) {
  nlohmann::ordered_json columns = nlohmann::ordered_json::array();
  for (const TableContract::Entry& entry : contract.columns) {
    nlohmann::ordered_json one = {{"name", entry.name}};
    if (entry.kind == Column::Kind::kCategory) {
      one["levels"] = entry.levels;
    } else if (contract.mode == Mode::kEncoded) {
      one["mean"] = entry.mean;
      one["deviation"] = entry.deviation;
    }
    if (entry.indicator) one["indicator"] = true;
    columns.push_back(std::move(one));
  }
  const nlohmann::ordered_json json = {{"schema", "plumbline.table-contract.1"},
                                       {"mode", contract.mode == Mode::kRaw ? "raw" : "encoded"},
                                       {"columns", std::move(columns)},
                                       {"left_out", contract.left_out}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

base::Result<TableContract> parse_contract(std::string_view text) {
  const auto wrong = [](std::string_view what) {
    return make_error(Code::kParse, fmt::format("is not a table contract: {}", what), "parse_contract");
  };
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return wrong("not a JSON object");
  if (json.value("schema", nlohmann::json()) != "plumbline.table-contract.1") return wrong("unknown schema");
  const auto mode = json.find("mode");
  const auto columns = json.find("columns");
  if (mode == json.end() || (*mode != "raw" && *mode != "encoded")) return wrong("mode is neither raw nor encoded");
  if (columns == json.end() || !columns->is_array()) return wrong("columns is no list");
  TableContract contract;
  contract.mode = *mode == "raw" ? Mode::kRaw : Mode::kEncoded;
  for (const nlohmann::json& one : *columns) {
    TableContract::Entry entry;
    if (!one.is_object() || !one.contains("name") || !one["name"].is_string()) return wrong("a column has no name");
    entry.name = one["name"].get<std::string>();
    if (const auto levels = one.find("levels"); levels != one.end()) {
      entry.kind = Column::Kind::kCategory;
      if (!levels->is_array()) return wrong("levels is no list");
      for (const nlohmann::json& level : *levels) {
        if (!level.is_string()) return wrong("a level is no text");
        entry.levels.push_back(level.get<std::string>());
      }
      if (!std::is_sorted(entry.levels.begin(), entry.levels.end())) return wrong("levels are not sorted");
    }
    const auto number = [&](const char* key, double* to) {
      const auto found = one.find(key);
      if (found == one.end()) return true;
      if (!found->is_number()) return false;
      *to = found->get<double>();
      return std::isfinite(*to);
    };
    if (!number("mean", &entry.mean) || !number("deviation", &entry.deviation) || !(entry.deviation > 0)) {
      return wrong("mean or deviation is no number");
    }
    entry.indicator = one.contains("indicator") && one["indicator"] == true;
    contract.columns.push_back(std::move(entry));
  }
  if (const auto left = json.find("left_out"); left != json.end() && left->is_array()) {
    for (const nlohmann::json& name : *left) {
      if (!name.is_string()) return wrong("left_out holds something else than names");
      contract.left_out.push_back(name.get<std::string>());
    }
  }
  return contract;
}

}  // namespace plumbline::data
