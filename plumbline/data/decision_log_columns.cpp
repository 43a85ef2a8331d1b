#include "plumbline/data/decision_log_columns.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/data/files.hpp"
#include "plumbline/data/npy.hpp"

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::ordered_json;

constexpr std::size_t kNumbers = 4;
constexpr std::size_t kCodes = 7;

base::Result<std::vector<std::string>> names_at(const Json& header, const char* key, const std::string& name) {
  const auto found = header.find(key);
  if (found == header.end() || !found->is_array() ||
      !std::all_of(found->begin(), found->end(), [](const Json& item) { return item.is_string(); }))
    return make_error(Code::kParse, fmt::format("header: '{}' is no list of names", key), name);
  return found->get<std::vector<std::string>>();
}

/// The first `limit` rows of a whole log.
void cut(DecisionLog& log, std::size_t limit) {
  if (limit == 0 || limit >= log.rows()) return;
  for (auto* codes : {&log.action, &log.final_action, &log.position, &log.unit, &log.policy}) codes->resize(limit);
  for (auto* numbers : {&log.propensity, &log.reward, &log.time, &log.delay}) numbers->resize(limit);
  log.kind.resize(limit);
  log.cause.resize(limit);
  if (!log.ids.empty()) log.ids.resize(limit);
  if (!log.set_start.empty()) {
    log.set_start.resize(limit + 1);
    log.set_actions.resize(log.set_start.back());
    if (!log.set_probabilities.empty()) log.set_probabilities.resize(log.set_start.back());
  }
  for (Column& column : log.context.columns) {
    if (column.kind == Column::Kind::kNumber)
      column.numbers.resize(limit);
    else
      column.codes.resize(limit);
  }
}

/// Bytes as integers.
base::Result<std::string> text_of(std::span<const int> codes, const std::string& name) {
  std::string text;
  for (const int c : codes) {
    if (c < 0 || c > 255) return make_error(Code::kParse, "header: holds no bytes", name);
    text.push_back(static_cast<char>(c));
  }
  return text;
}

}  // namespace

base::Result<LogColumns> parse_log_header(std::span<const int> codes, bool with_ids, const std::string& name) {
  PL_TRY(const std::string text, text_of(codes, name));
  // Names of decisions may be most of the header: a reader that drops them never holds them.
  const Json::parser_callback_t filter = [&](int depth, Json::parse_event_t event, Json& value) {
    return with_ids || depth != 1 || event != Json::parse_event_t::key || value != "ids";
  };
  Json header = Json::parse(text, filter, false);
  if (header.is_discarded() || !header.is_object() || !header.contains("plumbline_log") || header["plumbline_log"] != 1)
    return make_error(Code::kParse, "header: is not that of a decision log of version 1", name);
  if (!with_ids) header["ids"] = Json::array();
  LogColumns out;
  DecisionLog& log = out.blank;
  PL_TRY(log.action_names, names_at(header, "actions", name));
  PL_TRY(log.policy_names, names_at(header, "policies", name));
  PL_TRY(log.unit_names, names_at(header, "units", name));
  PL_TRY(log.ids, names_at(header, "ids", name));
  PL_TRY(const std::vector<std::string> number_names, names_at(header, "numbers", name));
  PL_TRY(const std::vector<std::string> category_names, names_at(header, "categories", name));
  if (!header.contains("levels") || !header["levels"].is_array() || header["levels"].size() != category_names.size())
    return make_error(Code::kParse, "header: one list of levels is expected for each category", name);
  for (const char* key : {"left_out", "unlabelled"}) {
    if (!header.contains(key) || !header[key].is_number_unsigned())
      return make_error(Code::kParse, fmt::format("header: '{}' is no count", key), name);
  }
  log.left_out_features = header["left_out"].get<std::size_t>();
  log.unlabelled = header["unlabelled"].get<std::size_t>();
  for (const std::string& column_name : number_names) {
    Column column;
    column.name = column_name;
    column.kind = Column::Kind::kNumber;
    log.context.columns.push_back(std::move(column));
  }
  for (std::size_t j = 0; j < category_names.size(); ++j) {
    Column column;
    column.name = category_names[j];
    column.kind = Column::Kind::kCategory;
    const Json& levels = header["levels"][j];
    if (!levels.is_array() || !std::all_of(levels.begin(), levels.end(), [](const Json& v) { return v.is_string(); }))
      return make_error(Code::kParse, fmt::format("header: levels of '{}' are no names", column.name), name);
    column.levels = levels.get<std::vector<std::string>>();
    log.context.columns.push_back(std::move(column));
  }
  out.numbers = kNumbers + number_names.size();
  out.codes = kCodes + category_names.size();
  out.sets = header.contains("sets") && header["sets"] == true;
  out.probabilities = header.contains("probabilities") && header["probabilities"] == true;
  return out;
}

base::Status fill_log_rows(const LogColumns& columns, std::span<const double> numbers, std::span<const int> codes,
                           std::size_t units, std::size_t first, const std::string& name, DecisionLog& log) {
  const std::size_t rows = codes.size() / columns.codes;
  const auto number_column = [&](std::size_t j) {
    std::vector<double> out(rows);
    for (std::size_t i = 0; i < rows; ++i) out[i] = numbers[i * columns.numbers + j];
    return out;
  };
  const auto code_column = [&](std::size_t j, int low, std::size_t count) -> base::Result<std::vector<int>> {
    std::vector<int> out(rows);
    for (std::size_t i = 0; i < rows; ++i) {
      out[i] = codes[i * columns.codes + j];
      if (out[i] < low || (out[i] >= 0 && static_cast<std::size_t>(out[i]) >= count))
        return make_error(Code::kParse, fmt::format("codes: {} is outside its names", out[i]),
                          fmt::format("{}, row {}", name, first + i + 1));
    }
    return out;
  };
  log.propensity = number_column(0);
  log.reward = number_column(1);
  log.time = number_column(2);
  log.delay = number_column(3);
  PL_TRY(log.action, code_column(0, -1, log.action_names.size()));
  PL_TRY(log.final_action, code_column(1, -1, log.action_names.size()));
  constexpr std::size_t kWords = 5;
  constexpr std::size_t kMostPositions = 1'000'001;
  PL_TRY(const std::vector<int> kinds, code_column(2, 0, kWords));
  PL_TRY(const std::vector<int> causes, code_column(3, 0, kWords));
  PL_TRY(log.position, code_column(4, 0, kMostPositions));
  PL_TRY(log.unit, code_column(5, -1, units));
  PL_TRY(log.policy, code_column(6, -1, log.policy_names.size()));
  for (std::size_t i = 0; i < rows; ++i) {
    log.kind.push_back(static_cast<std::uint8_t>(kinds[i]));
    log.cause.push_back(static_cast<std::uint8_t>(causes[i]));
    log.slates = log.slates || log.position[i] > 0;
  }
  std::size_t next_number = kNumbers;
  std::size_t next_code = kCodes;
  for (Column& column : log.context.columns) {
    if (column.kind == Column::Kind::kNumber) {
      column.numbers = number_column(next_number++);
    } else {
      PL_TRY(column.codes, code_column(next_code++, -1, column.levels.size()));
    }
  }
  return base::ok();
}

base::Result<DecisionLog> parse_log_columns(Bytes bytes, const std::string& name, std::size_t limit,
                                            const ReadLimits& limits) {
  const auto ints = [&](const std::string& member) -> base::Result<std::vector<int>> {
    PL_TRY(const NpyArray array, parse_npy(bytes, name, member, limits));
    return npy_to_ints(array, name + ":" + member);
  };
  PL_TRY(const std::vector<int> text_codes, ints("header"));
  PL_TRY(const LogColumns columns, parse_log_header(text_codes, true, name));
  DecisionLog log = columns.blank;
  PL_TRY(const NpyArray number_array, parse_npy(bytes, name, "numbers", limits));
  PL_TRY(const MatrixD numbers, npy_to_double(number_array, name + ":numbers"));
  PL_TRY(const std::vector<int> codes, ints("codes"));
  const auto rows = static_cast<std::size_t>(numbers.rows());
  if (rows == 0 || rows > limits.rows) return make_error(Code::kLimit, fmt::format("holds {} decisions", rows), name);
  if (static_cast<std::size_t>(numbers.cols()) != columns.numbers || codes.size() != rows * columns.codes ||
      (!log.ids.empty() && log.ids.size() != rows))
    return make_error(Code::kParse, "the arrays do not agree in size with the header", name);
  PL_CHECK(fill_log_rows(columns, {numbers.data(), static_cast<std::size_t>(numbers.size())}, codes,
                         log.unit_names.size(), 0, name, log));
  if (columns.sets) {
    // How many actions a row has, row after row, and then the actions.
    PL_TRY(const std::vector<int> flat, ints("set_actions"));
    if (flat.size() < rows) return make_error(Code::kParse, "set_actions: is too short", name);
    log.set_start.push_back(0);
    for (std::size_t i = 0; i < rows; ++i) {
      if (flat[i] < 0 || static_cast<std::size_t>(flat[i]) > flat.size())
        return make_error(Code::kParse, "set_actions: a negative or too large count", name);
      log.set_start.push_back(log.set_start.back() + static_cast<std::size_t>(flat[i]));
    }
    if (log.set_start.back() != flat.size() - rows)
      return make_error(Code::kParse, "set_actions: counts and actions do not agree", name);
    log.set_actions.assign(flat.begin() + static_cast<std::ptrdiff_t>(rows), flat.end());
    for (const int a : log.set_actions) {
      if (a < 0 || static_cast<std::size_t>(a) >= log.action_names.size())
        return make_error(Code::kParse, "set_actions: an action outside the names", name);
    }
    if (columns.probabilities) {
      PL_TRY(const NpyArray array, parse_npy(bytes, name, "set_numbers", limits));
      PL_TRY(const MatrixD values, npy_to_double(array, name + ":set_numbers"));
      if (static_cast<std::size_t>(values.size()) != log.set_actions.size())
        return make_error(Code::kParse, "set_numbers: one probability an action is expected", name);
      log.set_probabilities.assign(values.data(), values.data() + values.size());
    }
  }
  cut(log, limit);
  return log;
}

base::Status write_log_columns(const std::string& path, const DecisionLog& log) {
  const std::size_t rows = log.rows();
  std::vector<const Column*> number_columns;
  std::vector<const Column*> category_columns;
  Json header = {{"plumbline_log", 1},
                 {"actions", log.action_names},
                 {"policies", log.policy_names},
                 {"units", log.unit_names},
                 {"ids", log.ids},
                 {"numbers", Json::array()},
                 {"categories", Json::array()},
                 {"levels", Json::array()},
                 {"left_out", log.left_out_features},
                 {"unlabelled", log.unlabelled},
                 {"sets", !log.set_start.empty()},
                 {"probabilities", !log.set_probabilities.empty()}};
  for (const Column& column : log.context.columns) {
    if (column.kind == Column::Kind::kNumber) {
      number_columns.push_back(&column);
      header["numbers"].push_back(column.name);
    } else {
      category_columns.push_back(&column);
      header["categories"].push_back(column.name);
      header["levels"].push_back(column.levels);
    }
  }
  MatrixD numbers(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(kNumbers + number_columns.size()));
  std::vector<int> codes;
  codes.reserve(rows * (kCodes + category_columns.size()));
  for (std::size_t i = 0; i < rows; ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    numbers(row, 0) = log.propensity[i];
    numbers(row, 1) = log.reward[i];
    numbers(row, 2) = log.time[i];
    numbers(row, 3) = log.delay[i];
    for (std::size_t j = 0; j < number_columns.size(); ++j)
      numbers(row, static_cast<Eigen::Index>(kNumbers + j)) = number_columns[j]->numbers[i];
    codes.insert(codes.end(), {log.action[i], log.final_action[i], static_cast<int>(log.kind[i]),
                               static_cast<int>(log.cause[i]), log.position[i], log.unit[i], log.policy[i]});
    for (const Column* column : category_columns) codes.push_back(column->codes[i]);
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception&) {
    return make_error(Code::kValue, "a name in the log is not UTF-8", path);
  }
  std::vector<int> text_codes;
  for (const char c : text) text_codes.push_back(static_cast<unsigned char>(c));
  std::vector<NpzMember> members = {
      {"header", npy_bytes(text_codes)}, {"numbers", npy_bytes(numbers)}, {"codes", npy_bytes(codes)}};
  if (!log.set_start.empty()) {
    std::vector<int> flat;
    for (std::size_t i = 0; i < rows; ++i) flat.push_back(static_cast<int>(log.set_start[i + 1] - log.set_start[i]));
    flat.insert(flat.end(), log.set_actions.begin(), log.set_actions.end());
    members.push_back({"set_actions", npy_bytes(flat)});
    if (!log.set_probabilities.empty()) {
      MatrixD values(static_cast<Eigen::Index>(log.set_probabilities.size()), 1);
      std::copy(log.set_probabilities.begin(), log.set_probabilities.end(), values.data());
      members.push_back({"set_numbers", npy_bytes(values)});
    }
  }
  return write_npz(path, members);
}

base::Status write_decision_log(const std::string& path, const DecisionLog& log) {
  if (path.ends_with(".npz")) return write_log_columns(path, log);
  if (!path.ends_with(".jsonl") && !path.ends_with(".jsonl.gz"))
    return make_error(Code::kValue, "the name ends neither in .jsonl, .jsonl.gz nor .npz", path);
  std::string text;
  for (std::size_t i = 0; i < log.rows(); ++i) {
    PL_TRY(const std::string line, decision_to_json(decision_record(log, i)));
    text += line;
    text += '\n';
  }
  return write_bytes(path, text);
}

}  // namespace plumbline::data
