#include "plumbline/data/manifest.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/manifest_keys.hpp"
#include "plumbline/data/toml.hpp"

namespace plumbline::data {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::make_error;

constexpr std::size_t kMaxProblems = 100;

int line_of(const toml::node& node) { return static_cast<int>(node.source().begin.line); }

bool plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

bool inside(const fs::path& path, const fs::path& folder) {
  const auto [end, rest] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end() || (std::next(end) == folder.end() && end->empty());
}

bool is_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const auto number = [&](std::size_t at, std::size_t n) {
    int value = 0;
    for (std::size_t i = at; i < at + n; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = 10 * value + (text[i] - '0');
    }
    return value;
  };
  const int year = number(0, 4);
  const int month = number(5, 2);
  const int day = number(8, 2);
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

/// Reads one manifest and collects every problem on the way.
class Reader {
 public:
  Reader(const std::string& path, const ManifestOptions& options) : options_(options) {
    manifest_.path = path;
    std::error_code error;
    fs::path folder = fs::absolute(fs::path(path), error).parent_path();
    const fs::path real = fs::weakly_canonical(folder, error);
    manifest_.folder = (error ? folder : real).string();
  }

  base::Result<Manifest> read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const SectionSpec* const spec = find_section(key.str());
      if (spec == nullptr) {
        problem(node, fmt::format("unknown section [{}]{}", key.str(), suggestion(key.str(), manifest_sections())));
        continue;
      }
      each(*spec, node);
    }
    if (!root.contains("system")) problem(0, "section [system] is missing: it needs at least a name");
    check_references();
    if (problems_.empty()) return std::move(manifest_);
    std::stable_sort(problems_.begin(), problems_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string message;
    if (problems_.size() > 1) message = fmt::format("{} problems", problems_.size());
    const std::size_t shown = std::min(problems_.size(), kMaxProblems);
    for (std::size_t i = 0; i < shown; ++i)
      message += fmt::format("{}{}", message.empty() ? "" : "\n  ", problems_[i].second);
    if (shown < problems_.size()) message += fmt::format("\n  and {} more", problems_.size() - shown);
    return make_error(Code::kValue, std::move(message), manifest_.path,
                      "`plumbline config schema` lists every section and key");
  }

 private:
  void problem(int line, const std::string& text) {
    problems_.emplace_back(line, line > 0 ? fmt::format("line {}: {}", line, text) : text);
  }
  void problem(const toml::node& node, const std::string& text) { problem(line_of(node), text); }

  static std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
    const std::string best = base::nearest(word, known);
    return best.empty() ? fmt::format(", expected one of {}", base::join_words(known, "or"))
                        : fmt::format(", did you mean '{}'?", best);
  }

  // ---- sections --------------------------------------------------------------------------------------------------

  void each(const SectionSpec& spec, const toml::node& node) {
    const std::string kind(spec.kind);
    if (spec.form == SectionForm::kList) {
      const toml::array* const list = node.as_array();
      if (list == nullptr) return problem(node, fmt::format("write [[{}]], one block each", kind));
      for (const toml::node& item : *list) {
        const toml::table* const table = item.as_table();
        if (table == nullptr) {
          problem(item, fmt::format("write [[{}]], one block each", kind));
          continue;
        }
        section(spec, "", *table);
      }
      return;
    }
    const toml::table* const table = node.as_table();
    if (table == nullptr)
      return problem(node, fmt::format("'{}' is a section: write [{}{}]", kind, kind,
                                       spec.form == SectionForm::kSingle ? "" : ".NAME"));
    if (spec.form == SectionForm::kSingle) return section(spec, "", *table);
    for (const auto& [key, inner] : *table) {
      const std::string name(key.str());
      const toml::table* const one = inner.as_table();
      if (one == nullptr) {
        problem(inner, fmt::format("key '{}' stands in [{}], which needs a name: write [{}.NAME]", name, kind, kind));
      } else if (!plain_name(name)) {
        problem(inner,
                fmt::format("section name '{}' of [{}] may hold letters, digits, '.', '_' and '-' only (at most 100)",
                            printable(name), kind));
      } else {
        section(spec, name, *one);
      }
    }
  }

  static std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, 60)) out += (c >= 0x20 && c < 0x7f) ? c : '.';
    return out;
  }

  void section(const SectionSpec& spec, const std::string& name, const toml::table& table) {
    title_ = spec.form == SectionForm::kList ? fmt::format("[[{}]]", spec.kind)
             : name.empty()                  ? fmt::format("[{}]", spec.kind)
                                             : fmt::format("[{}.{}]", spec.kind, name);
    if (spec.form == SectionForm::kOpen) return check_section(name, table);
    keys(spec.keys, table, "");
    if (spec.generic) return other_section(spec, name, table);
    if (spec.kind == "system") return system_section(table);
    if (spec.kind == "model") return model_section(name, table);
    if (spec.kind == "data") return data_section(name, table);
    if (spec.kind == "predictions") return predictions_section(name, table);
    if (spec.kind == "claim") return claim_section(table);
    if (spec.kind == "argument") return argument_section(name, table);
    if (spec.kind == "waiver") return waiver_section(name, table);
    if (spec.kind == "guard") return guard_section(spec, table);
    base::ensure(false, "every section kind is handled");
  }

  /// Names, types and choices of the keys of one table.
  void keys(std::span<const KeySpec> specs, const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const KeySpec* const spec = find_key(specs, key.str());
      if (spec == nullptr) {
        std::vector<std::string> known;
        for (const KeySpec& s : specs) known.emplace_back(s.name);
        problem(node, fmt::format("{} unknown key '{}{}'{}", title_, prefix, printable(key.str()),
                                  suggestion(key.str(), known)));
        continue;
      }
      const std::string name = prefix + std::string(key.str());
      const std::string wrong = type_problem(*spec, node);
      if (!wrong.empty()) {
        problem(node, fmt::format("{} {} {}", title_, name, wrong));
        bad_.insert(&node);
        continue;
      }
      if (spec->type == KeyType::kTable) keys(spec->keys, *node.as_table(), name + ".");
    }
    for (const KeySpec& spec : specs) {
      if (spec.required && !table.contains(spec.name))
        problem(table, fmt::format("{} lacks the key '{}{}': {}", title_, prefix, spec.name, spec.help));
    }
  }

  static bool finite_number(const toml::node& node) {
    const auto value = node.value<double>();
    return node.is_number() && value && std::isfinite(*value);
  }

  static std::string type_problem(const KeySpec& spec, const toml::node& node) {
    const auto all = [&](auto&& good) {
      const toml::array* const list = node.as_array();
      return list != nullptr && std::all_of(list->begin(), list->end(), good);
    };
    const auto is_text = [](const toml::node& n) { return n.is_string(); };
    switch (spec.type) {
      case KeyType::kText:
      case KeyType::kPath:
        if (!node.is_string()) return "is not text: put it in quotes";
        if (!spec.choices.empty()) {
          const std::string word = **node.as_string();
          std::vector<std::string> known(spec.choices.begin(), spec.choices.end());
          if (std::find(known.begin(), known.end(), word) == known.end()) {
            return fmt::format("is \"{}\", expected one of {}", printable(word), base::join_words(known, "or"));
          }
        }
        return {};
      case KeyType::kFlag: return node.is_boolean() ? "" : "is not true or false";
      case KeyType::kInteger: return node.is_integer() ? "" : "is not an integer";
      case KeyType::kNumber: return finite_number(node) ? "" : "is not a finite number";
      case KeyType::kTexts: return all(is_text) ? "" : "is not a list of texts";
      case KeyType::kNumbers: return all(finite_number) ? "" : "is not a list of finite numbers";
      case KeyType::kPair:
        return all(finite_number) && node.as_array()->size() == 2 ? "" : "is not a pair of finite numbers, [low, high]";
      case KeyType::kTextTable: {
        const toml::table* const table = node.as_table();
        if (table == nullptr) return "is not a table of texts, {key = \"text\"}";
        for (const auto& [key, value] : *table) {
          if (!value.is_string())
            return fmt::format("holds a value for '{}' that is not text: put it in quotes", printable(key.str()));
        }
        return {};
      }
      case KeyType::kNumberTable: {
        const toml::table* const table = node.as_table();
        if (table == nullptr) return "is not a table of numbers, {key = 0.5}";
        for (const auto& [key, value] : *table) {
          if (!finite_number(value))
            return fmt::format("holds a value for '{}' that is not a finite number", printable(key.str()));
        }
        return {};
      }
      case KeyType::kTable: return node.is_table() ? "" : "is not a table, {key = value}";
      case KeyType::kAny: return {};
    }
    return {};
  }

  // ---- values (of the right type; a bad one has been reported and reads as absent) ---------------------------------

  const toml::node* get(const toml::table& table, std::string_view key) const {
    const toml::node* const node = table.get(key);
    return node == nullptr || bad_.contains(node) ? nullptr : node;
  }
  std::string text(const toml::table& table, std::string_view key, std::string fallback = {}) const {
    const toml::node* const node = get(table, key);
    return node != nullptr && node->is_string() ? **node->as_string() : std::move(fallback);
  }
  std::optional<double> number(const toml::table& table, std::string_view key) const {
    const toml::node* const node = get(table, key);
    return node == nullptr ? std::nullopt : node->value<double>();
  }
  std::optional<std::int64_t> integer(const toml::table& table, std::string_view key) const {
    const toml::node* const node = get(table, key);
    return node != nullptr && node->is_integer() ? std::optional<std::int64_t>(**node->as_integer()) : std::nullopt;
  }
  bool flag(const toml::table& table, std::string_view key) const {
    const toml::node* const node = get(table, key);
    return node != nullptr && node->is_boolean() && **node->as_boolean();
  }
  std::vector<std::string> texts(const toml::table& table, std::string_view key) const {
    std::vector<std::string> out;
    if (const toml::node* const node = get(table, key); node != nullptr && node->is_array()) {
      for (const toml::node& item : *node->as_array()) out.push_back(**item.as_string());
    }
    return out;
  }
  std::vector<double> numbers(const toml::table& table, std::string_view key) const {
    std::vector<double> out;
    if (const toml::node* const node = get(table, key); node != nullptr && node->is_array()) {
      for (const toml::node& item : *node->as_array()) out.push_back(*item.value<double>());
    }
    return out;
  }
  /// A scalar or list as a Value; nothing (and a problem) for anything else.
  std::optional<Value> value(const toml::node& node, const std::string& name) {
    if (node.is_string()) return Value(**node.as_string());
    if (node.is_boolean()) return Value(**node.as_boolean());
    if (node.is_integer()) return Value(**node.as_integer());
    if (finite_number(node)) return Value(*node.value<double>());
    if (const toml::array* const list = node.as_array()) {
      if (std::all_of(list->begin(), list->end(), [](const toml::node& n) { return n.is_string(); })) {
        std::vector<std::string> out;
        for (const toml::node& item : *list) out.push_back(**item.as_string());
        return Value(std::move(out));
      }
      if (std::all_of(list->begin(), list->end(), finite_number)) {
        std::vector<double> out;
        for (const toml::node& item : *list) out.push_back(*item.value<double>());
        return Value(std::move(out));
      }
    }
    problem(node, fmt::format("{} {} is not text, a finite number, true or false, or a list of texts or of numbers",
                              title_, name));
    return std::nullopt;
  }

  // ---- paths -------------------------------------------------------------------------------------------------------

  std::optional<Location> location(const toml::table& table, std::string_view key) {
    const toml::node* const node = get(table, key);
    if (node == nullptr || !node->is_string()) return std::nullopt;
    return resolve(**node->as_string(), line_of(*node), key);
  }

  std::optional<Location> resolve(const std::string& written, int line, std::string_view key) {
    const auto refuse = [&](const std::string& why) {
      problem(line, fmt::format("{} {} = \"{}\" {}", title_, key, printable(written), why));
      return std::nullopt;
    };
    if (written.empty()) return refuse("is empty");
    if (written.size() > 4096 || written.find('\0') != std::string::npos) return refuse("is not a path");
    std::string rest = written;
    fs::path folder = manifest_.folder;
    std::string folder_words = "the manifest's folder";
    if (const std::size_t colon = written.find(':'); colon != std::string::npos && written.find('/') > colon) {
      const std::string root = written.substr(0, colon);
      rest = written.substr(colon + 1);
      const std::string base_folder = root_folder(root);
      if (base_folder.empty()) {
        return refuse(fmt::format("uses the root '{}', which is not given: add --root {}=DIR{}", root, root,
                                  root == "data" ? " or set PLUMBLINE_DATA" : ""));
      }
      std::error_code error;
      folder = fs::weakly_canonical(fs::absolute(base_folder, error), error);
      if (error)
        return refuse(fmt::format("uses the root '{}', whose folder cannot be read: {}", root, error.message()));
      folder_words = fmt::format("the root '{}'", root);
      if (rest.empty()) rest = ".";
    }
    const fs::path relative(rest);
    if (relative.is_absolute())
      return refuse("is absolute: paths start at the manifest's folder, or at a root given with --root NAME=DIR");
    if (std::any_of(relative.begin(), relative.end(), [](const fs::path& part) { return part == ".."; })) {
      return refuse(fmt::format("leaves {} through '..': move the file inside, or name a root with --root NAME=DIR",
                                folder_words));
    }
    std::error_code error;
    fs::path real = fs::weakly_canonical(folder / relative, error);
    if (error) return refuse(fmt::format("cannot be resolved: {}", error.message()));
    if (!real.has_filename()) real = real.parent_path();
    if (!inside(real, folder)) return refuse(fmt::format("leads outside {} through a symbolic link", folder_words));
    return Location{written, real.string()};
  }

  std::string root_folder(const std::string& root) const {
    if (const auto found = options_.roots.find(root); found != options_.roots.end()) return found->second;
    if (root == "data") {
      if (const char* const folder = std::getenv("PLUMBLINE_DATA")) return folder;
    }
    return {};
  }

  // ---- one kind each -----------------------------------------------------------------------------------------------

  void system_section(const toml::table& table) {
    manifest_.name = text(table, "name");
    if (table.contains("name") && get(table, "name") != nullptr &&
        (manifest_.name.empty() || manifest_.name.size() > 200)) {
      problem(table, "[system] name must hold 1 to 200 bytes");
    }
    const std::int64_t seed = integer(table, "seed").value_or(0);
    if (seed < 0) problem(*table.get("seed"), fmt::format("[system] seed is {}, expected at least 0", seed));
    manifest_.seed = static_cast<std::uint64_t>(seed);
    manifest_.examples = text(table, "examples", "default");
    manifest_.selection_budget = integer(table, "selection_budget").value_or(10);
    if (manifest_.selection_budget < 1)
      problem(*table.get("selection_budget"), "[system] selection_budget must be at least 1");
  }

  void model_section(const std::string& name, const toml::table& table) {
    ModelSection m;
    m.name = name;
    m.line = line_of(table);
    m.path = location(table, "path");
    m.endpoint = text(table, "endpoint");
    m.ca_file = location(table, "ca_file");
    m.callable = text(table, "callable");
    m.python_path = location(table, "python_path");
    m.version = text(table, "version");
    m.task = text(table, "task", "classification");
    m.output = text(table, "output");
    m.features = text(table, "features");
    m.trusted = flag(table, "trusted");
    m.classes = integer(table, "classes").value_or(0);
    m.columns = texts(table, "columns");
    const int sources = static_cast<int>(table.contains("path")) + static_cast<int>(table.contains("endpoint")) +
                        static_cast<int>(table.contains("callable"));
    if (sources != 1)
      problem(table, fmt::format("{} needs exactly one of path, endpoint and callable, found {}", title_, sources));
    const auto remote = [&](std::string_view key) {
      if (!table.contains("classes"))
        problem(table, fmt::format("{} lacks the key 'classes', which a model with {} needs", title_, key));
      if (!table.contains("input_shape"))
        problem(table, fmt::format("{} lacks the key 'input_shape', which a model with {} needs", title_, key));
    };
    if (table.contains("endpoint")) {
      if (!m.endpoint.starts_with("http://") && !m.endpoint.starts_with("https://")) {
        problem(*table.get("endpoint"),
                fmt::format("{} endpoint is \"{}\", expected an address that begins with http:// or https://", title_,
                            printable(m.endpoint)));
      }
      remote("an endpoint");
    }
    if (table.contains("ca_file") && !m.endpoint.starts_with("https://"))
      problem(*table.get("ca_file"), fmt::format("{} ca_file is for an endpoint that begins with https://", title_));
    if (table.contains("callable")) {
      const std::size_t colon = m.callable.find(':');
      if (colon == std::string::npos || colon == 0 || colon + 1 == m.callable.size()) {
        problem(*table.get("callable"),
                fmt::format("{} callable is \"{}\", expected \"module:function\"", title_, printable(m.callable)));
      }
      remote("a callable");
    }
    if (m.path && !m.trusted &&
        (m.path->resolved.ends_with(".pt") || m.path->resolved.ends_with(".pth") ||
         m.path->resolved.ends_with(".ts"))) {
      problem(*table.get("path"),
              fmt::format(
                  "{} is a TorchScript file, which is code: add trusted = true if you trust its author, or export ONNX",
                  title_));
    }
    if (m.classes < 0 || (table.contains("classes") && get(table, "classes") != nullptr && m.classes < 1))
      problem(*table.get("classes"), fmt::format("{} classes is {}, expected at least 1", title_, m.classes));
    for (const double d : numbers(table, "input_shape")) {
      if (d < 1 || d > 1e9 || d != std::floor(d)) {
        problem(*table.get("input_shape"),
                fmt::format("{} input_shape holds {}, expected whole numbers of at least 1", title_, d));
        break;
      }
      m.input_shape.push_back(static_cast<std::int64_t>(d));
    }
    if (const toml::node* const node = get(table, "input"); node != nullptr && node->is_table()) {
      const toml::table& input = *node->as_table();
      if (const auto range = numbers(input, "range"); range.size() == 2) {
        m.input.low = range[0];
        m.input.high = range[1];
        if (!(range[0] < range[1]))
          problem(input,
                  fmt::format("{} input.range is [{}, {}], expected low below high", title_, range[0], range[1]));
      }
      m.input.layout = text(input, "layout", "NCHW");
      m.input.mean = numbers(input, "mean");
      m.input.deviation = numbers(input, "deviation");
      if (std::any_of(m.input.deviation.begin(), m.input.deviation.end(), [](double d) { return d <= 0; })) {
        problem(input, fmt::format("{} input.deviation holds a value that is not above 0", title_));
      }
    }
    manifest_.models.emplace(name, std::move(m));
  }

  void data_section(const std::string& name, const toml::table& table) {
    DataSection d;
    d.name = name;
    d.line = line_of(table);
    d.images = location(table, "images");
    d.table = location(table, "table");
    d.matrix = location(table, "matrix");
    d.labels = location(table, "labels");
    d.label = text(table, "label");
    d.classes = texts(table, "classes");
    d.unit = text(table, "unit");
    d.from = text(table, "from");
    d.share = number(table, "share").value_or(0);
    const bool has_table = table.contains("table");
    const int mains = static_cast<int>(table.contains("images")) + static_cast<int>(table.contains("matrix"));
    const bool taken = table.contains("from");
    if (taken) {
      for (const std::string_view key :
           {"images", "table", "matrix",    "labels",  "label", "classes", "unit",  "limit", "types",    "missing",
            "header", "names", "separator", "comment", "strip", "drop",    "array", "size",  "channels", "format"}) {
        if (table.contains(key))
          problem(*table.get(key),
                  fmt::format("{} takes its rows from '{}', so '{}' belongs there", title_, printable(d.from), key));
      }
      if (!table.contains("share"))
        problem(table, fmt::format("{} lacks the key 'share': which share of '{}' to take", title_, printable(d.from)));
    } else if (mains > 1) {
      problem(table, fmt::format("{} has both images and matrix, expected one", title_));
    } else if (mains == 0 && !has_table) {
      problem(table, fmt::format("{} needs images, a table, a matrix, or from", title_));
    }
    if (table.contains("share") && get(table, "share") != nullptr) {
      if (!taken) problem(*table.get("share"), fmt::format("{} has a share but no 'from'", title_));
      if (!(d.share > 0 && d.share < 1))
        problem(*table.get("share"), fmt::format("{} share is {}, expected a number in (0, 1)", title_, d.share));
    }
    if (table.contains("labels") && table.contains("label"))
      problem(table, fmt::format("{} has both labels (a file) and label (a column), expected one", title_));
    if (table.contains("label") && !has_table && !taken)
      problem(*table.get("label"),
              fmt::format("{} names the label column '{}' but no table", title_, printable(d.label)));
    if (table.contains("unit") && !has_table && !taken && !d.unit.empty())
      d.unit_file = resolve(d.unit, line_of(*table.get("unit")), "unit");
    std::set<std::string> seen;
    for (const std::string& c : d.classes) {
      if (!seen.insert(c).second)
        problem(*table.get("classes"), fmt::format("{} classes names '{}' twice", title_, printable(c)));
    }
    const std::string role = text(table, "role");
    if (!role.empty()) {
      if (const auto parsed = parse_role(role); parsed.ok()) d.role = *parsed;
    } else if (const auto parsed = parse_role(name); parsed.ok()) {
      d.role = *parsed;
    } else if (!table.contains("role")) {
      problem(
          table,
          fmt::format(
              "{} lacks the key 'role' (train, calibration, test or out-of-distribution), which its name does not tell",
              title_));
    }
    for (const std::string_view key : {"limit", "format", "separator", "header", "names", "missing", "comment", "strip",
                                       "drop", "array", "size", "channels"}) {
      const toml::node* const node = get(table, key);
      if (node == nullptr) continue;
      if (auto v = value(*node, std::string(key))) d.options.emplace(key, std::move(*v));
    }
    if (const toml::node* const types = get(table, "types"); types != nullptr && types->is_table()) {
      for (const auto& [column, node] : *types->as_table()) {
        const std::string type = node.is_string() ? **node.as_string() : "";
        if (type != "number" && type != "category" && type != "text") {
          problem(node, fmt::format("{} types.{} is \"{}\", expected number, category or text", title_,
                                    printable(column.str()), printable(type)));
        }
        d.options.emplace(fmt::format("types.{}", column.str()), type);
      }
    }
    if (const auto limit = integer(table, "limit"); limit && *limit < 1)
      problem(*table.get("limit"), fmt::format("{} limit is {}, expected at least 1", title_, *limit));
    if (const auto channels = integer(table, "channels"); channels && *channels != 1 && *channels != 3)
      problem(*table.get("channels"), fmt::format("{} channels is {}, expected 1 or 3", title_, *channels));
    if (const std::string separator = text(table, "separator");
        table.contains("separator") && separator != "tab" && separator.size() != 1) {
      problem(*table.get("separator"),
              fmt::format("{} separator is \"{}\", expected one character or \"tab\"", title_, printable(separator)));
    }
    for (const double side : numbers(table, "size")) {
      if (side < 1 || side > 4096 || side != std::floor(side)) {
        problem(*table.get("size"), fmt::format("{} size holds {}, expected whole numbers in [1, 4096]", title_, side));
        break;
      }
    }
    manifest_.data.emplace(name, std::move(d));
  }

  void predictions_section(const std::string& name, const toml::table& table) {
    PredictionsSection p;
    p.name = name;
    p.line = line_of(table);
    p.model = text(table, "model", name);
    p.data = text(table, "data");
    p.output = text(table, "output");
    if (auto path = location(table, "path")) p.path = std::move(*path);
    if (!plain_name(p.model))
      problem(table, fmt::format("{} model is \"{}\": a name may hold letters, digits, '.', '_' and '-' only", title_,
                                 printable(p.model)));
    manifest_.predictions.emplace(name, std::move(p));
  }

  void check_section(const std::string& name, const toml::table& table) {
    if (name.find('.') == std::string::npos)
      problem(table, fmt::format("{}: '{}' is not a check's id; ids have the form room.name and are written in quotes",
                                 title_, name));
    std::map<std::string, Value> params;
    for (const auto& [key, node] : table) {
      if (auto v = value(node, printable(key.str()))) params.emplace(key.str(), std::move(*v));
    }
    manifest_.check_params.emplace(name, std::move(params));
  }

  void claim_section(const toml::table& table) {
    ClaimSection c;
    c.id = text(table, "id");
    c.line = line_of(table);
    if (!c.id.empty()) title_ = fmt::format("[[claim]] '{}'", printable(c.id));
    if (get(table, "id") != nullptr && !plain_name(c.id))
      problem(table, fmt::format("{} id may hold letters, digits, '.', '_' and '-' only (1 to 100)", title_));
    c.text = text(table, "text");
    c.check = text(table, "check");
    if (get(table, "check") != nullptr && (c.check.find('.') == std::string::npos))
      problem(*table.get("check"), fmt::format("{} check is \"{}\", expected room.name", title_, printable(c.check)));
    c.metric = text(table, "metric");
    if (const toml::node* const where = get(table, "where"); where != nullptr && where->is_table()) {
      for (const auto& [key, node] : *where->as_table()) {
        if (node.is_string()) c.where.emplace(key.str(), **node.as_string());
      }
    }
    c.at_least = number(table, "at_least");
    c.at_most = number(table, "at_most");
    if (const auto within = numbers(table, "within"); within.size() == 2) {
      c.within = {within[0], within[1]};
      if (!(within[0] <= within[1]))
        problem(*table.get("within"),
                fmt::format("{} within is [{}, {}], expected low at most high", title_, within[0], within[1]));
    }
    c.no_worse_than = text(table, "no_worse_than");
    int kinds = 0;
    for (const std::string_view key : {"at_least", "at_most", "within", "no_worse_than"})
      kinds += static_cast<int>(table.contains(key));
    if (kinds != 1)
      problem(table, fmt::format("{} needs exactly one of at_least, at_most, within and no_worse_than, found {}",
                                 title_, kinds));
    if (table.contains("no_worse_than") && get(table, "no_worse_than") != nullptr && c.no_worse_than.empty())
      problem(*table.get("no_worse_than"), fmt::format("{} no_worse_than is empty, expected a run", title_));
    c.margin = number(table, "margin").value_or(0);
    if (table.contains("margin") && !table.contains("no_worse_than"))
      problem(*table.get("margin"), fmt::format("{} has a margin, which belongs to no_worse_than", title_));
    if (c.margin < 0)
      problem(*table.get("margin"), fmt::format("{} margin is {}, expected at least 0", title_, c.margin));
    c.severity = text(table, "severity", "fail");
    c.population = text(table, "population", "source");
    c.sampling = text(table, "sampling", "fixed");
    c.confidence = number(table, "confidence").value_or(0.95);
    if (!(c.confidence > 0.5 && c.confidence <= 0.9999)) {
      problem(*table.get("confidence"),
              fmt::format("{} confidence is {}, expected a number in (0.5, 0.9999]", title_, c.confidence));
    } else if (c.confidence > 0.999 && c.sampling != "anytime" && c.population != "these") {
      problem(*table.get("confidence"),
              fmt::format("{} confidence is {}: above 0.999 only with sampling = \"anytime\" or population = \"these\"",
                          title_, c.confidence));
    }
    manifest_.claims.push_back(std::move(c));
  }

  void argument_section(const std::string& name, const toml::table& table) {
    ArgumentSection a;
    a.id = name;
    a.line = line_of(table);
    a.kind = text(table, "kind");
    a.text = text(table, "text");
    a.supported_by = texts(table, "supported_by");
    a.in_context_of = texts(table, "in_context_of");
    a.challenges = texts(table, "challenges");
    a.rule = text(table, "rule", "all");
    if (a.rule != "all") {
      const bool digits = !a.rule.empty() && a.rule.size() <= 4 &&
                          std::all_of(a.rule.begin(), a.rule.end(), [](char c) { return c >= '0' && c <= '9'; });
      const std::size_t k = digits ? static_cast<std::size_t>(std::stoi(a.rule)) : 0;
      if (k < 1 || k > a.supported_by.size()) {
        problem(table,
                fmt::format("{} rule is \"{}\", expected \"all\" or a count from 1 to the {} items of supported_by",
                            title_, printable(a.rule), a.supported_by.size()));
      }
    }
    if (a.kind == "defeater" && a.challenges.empty())
      problem(table, fmt::format("{} is a defeater and lacks the key 'challenges'", title_));
    if (!a.kind.empty() && a.kind != "defeater" && !a.challenges.empty())
      problem(table, fmt::format("{} is a {}; only a defeater challenges", title_, a.kind));
    manifest_.argument.emplace(name, std::move(a));
  }

  void waiver_section(const std::string& name, const toml::table& table) {
    WaiverSection w;
    w.id = name;
    w.line = line_of(table);
    w.claim = text(table, "claim");
    w.owner = text(table, "owner");
    w.reason = text(table, "reason");
    w.expires = text(table, "expires");
    if (get(table, "expires") != nullptr && !is_date(w.expires))
      problem(*table.get("expires"),
              fmt::format("{} expires is \"{}\", expected a date, YYYY-MM-DD", title_, printable(w.expires)));
    for (const std::string_view key : {"owner", "reason"}) {
      if (get(table, key) != nullptr && text(table, key).empty())
        problem(*table.get(key), fmt::format("{} {} is empty", title_, key));
    }
    manifest_.waivers.emplace(name, std::move(w));
  }

  /// The guard's log may lie in a database; everything else is a file or a folder.
  bool is_log_url(std::string_view key, const toml::node& node) const {
    const auto text = node.value<std::string_view>();
    return title_ == "[guard]" && key == "log" && text &&
           (text->starts_with("postgresql://") || text->starts_with("postgres://"));
  }

  /// Scalars and lists of a table by name; sub-tables of texts or numbers as "key.name".
  void generic_keys(std::span<const KeySpec> specs, const toml::table& table, std::map<std::string, Value>& keys,
                    std::map<std::string, Location>* paths) {
    for (const auto& [key, node] : table) {
      const KeySpec* const spec = find_key(specs, key.str());
      if (spec == nullptr || bad_.contains(&node) || spec->type == KeyType::kTable) continue;
      const std::string name(key.str());
      if (spec->type == KeyType::kTextTable) {
        for (const auto& [inner, item] : *node.as_table())
          keys.emplace(fmt::format("{}.{}", name, inner.str()), **item.as_string());
        continue;
      }
      if (spec->type == KeyType::kNumberTable) {
        for (const auto& [inner, item] : *node.as_table())
          keys.emplace(fmt::format("{}.{}", name, inner.str()), *item.value<double>());
        continue;
      }
      if (spec->type == KeyType::kPath && !is_log_url(name, node)) {
        if (auto place = location(table, name); place && paths != nullptr) paths->emplace(name, std::move(*place));
      }
      if (auto v = value(node, name)) keys.emplace(name, std::move(*v));
    }
  }

  void guard_section(const SectionSpec& spec, const toml::table& table) {
    GuardSection g;
    g.line = line_of(table);
    g.case_reference = text(table, "case");
    generic_keys(spec.keys, table, g.keys, nullptr);
    manifest_.guard = std::move(g);
  }

  void other_section(const SectionSpec& spec, const std::string& name, const toml::table& table) {
    OtherSection o;
    o.kind = std::string(spec.kind);
    o.name = name;
    o.line = line_of(table);
    generic_keys(spec.keys, table, o.keys, &o.paths);
    manifest_.others.push_back(std::move(o));
    for (const KeySpec& key : spec.keys) {
      if (key.type != KeyType::kTable) continue;
      const toml::node* const node = get(table, key.name);
      if (node == nullptr || !node->is_table()) continue;
      OtherSection inner;
      inner.kind = fmt::format("{}.{}", spec.kind, key.name);
      inner.name = name;
      inner.line = line_of(*node);
      generic_keys(key.keys, *node->as_table(), inner.keys, &inner.paths);
      manifest_.others.push_back(std::move(inner));
    }
  }

  // ---- what refers to what -----------------------------------------------------------------------------------------

  void check_references() {
    std::vector<std::string> sets;
    for (const auto& [name, section] : manifest_.data) sets.push_back(name);
    const auto unknown_set = [&](const std::string& name) {
      return fmt::format("names the data set '{}', which is not there{}", printable(name),
                         sets.empty() ? "" : suggestion(name, sets));
    };
    std::map<std::string, double> taken;
    for (const auto& [name, d] : manifest_.data) {
      if (d.from.empty()) continue;
      const auto donor = manifest_.data.find(d.from);
      if (donor == manifest_.data.end()) {
        problem(d.line, fmt::format("[data.{}] from {}", name, unknown_set(d.from)));
      } else if (d.from == name || !donor->second.from.empty()) {
        problem(d.line,
                fmt::format("[data.{}] takes its rows from '{}', which itself has none of its own", name, d.from));
      } else if ((taken[d.from] += d.share) >= 1 && d.share < 1) {
        problem(d.line, fmt::format("[data.{}] leaves no row in '{}': the shares taken from it add up to {}", name,
                                    d.from, taken[d.from]));
      }
    }
    std::set<std::pair<std::string, std::string>> stored;
    for (const auto& [name, p] : manifest_.predictions) {
      if (!p.data.empty() && !manifest_.data.contains(p.data))
        problem(p.line, fmt::format("[predictions.{}] data {}", name, unknown_set(p.data)));
      if (!p.data.empty() && !stored.emplace(p.model, p.data).second)
        problem(p.line, fmt::format("[predictions.{}] is a second table of predictions of '{}' on '{}'", name, p.model,
                                    p.data));
    }
    std::map<std::string, int> ids;
    std::vector<std::string> claims;
    for (const ClaimSection& c : manifest_.claims) {
      if (c.id.empty()) continue;
      claims.push_back(c.id);
      const auto [place, fresh] = ids.emplace(c.id, c.line);
      if (!fresh)
        problem(c.line, fmt::format("[[claim]] id '{}' is taken already, in line {}", printable(c.id), place->second));
      const auto where = c.where.find("data");
      if (where == c.where.end() || manifest_.data.contains(where->second)) continue;
      const bool other = std::any_of(manifest_.others.begin(), manifest_.others.end(),
                                     [&](const OtherSection& o) { return o.name == where->second; });
      if (!other)
        problem(c.line, fmt::format("[[claim]] '{}' where.data {}", printable(c.id), unknown_set(where->second)));
    }
    for (const auto& [name, w] : manifest_.waivers) {
      if (!w.claim.empty() && !ids.contains(w.claim)) {
        problem(w.line, fmt::format("[waiver.{}] names the claim '{}', which is not there{}", name, printable(w.claim),
                                    claims.empty() ? "" : suggestion(w.claim, claims)));
      }
    }
    std::vector<std::string> nodes = claims;
    for (const auto& [name, a] : manifest_.argument) {
      nodes.push_back(name);
      if (const auto found = ids.find(name); found != ids.end())
        problem(a.line, fmt::format("[argument.{}] has the id of the claim in line {}", name, found->second));
    }
    const auto known = [&](const std::string& id) { return std::find(nodes.begin(), nodes.end(), id) != nodes.end(); };
    for (const auto& [name, a] : manifest_.argument) {
      for (const auto* list : {&a.supported_by, &a.in_context_of, &a.challenges}) {
        for (const std::string& id : *list) {
          if (!known(id))
            problem(a.line, fmt::format("[argument.{}] names '{}', which is neither a claim nor an argument node{}",
                                        name, printable(id), suggestion(id, nodes)));
        }
      }
    }
    check_cycles();
  }

  /// A node may not support itself, directly or through others.
  void check_cycles() {
    std::map<std::string, int> state;  // 1 = on the path, 2 = done
    const auto visit = [&](const auto& self, const std::string& id) -> bool {
      const auto found = manifest_.argument.find(id);
      if (found == manifest_.argument.end()) return false;
      int& mark = state[id];
      if (mark == 1) return true;
      if (mark == 2) return false;
      mark = 1;
      for (const std::string& next : found->second.supported_by) {
        if (self(self, next)) {
          state[id] = 2;
          return true;
        }
      }
      state[id] = 2;
      return false;
    };
    for (const auto& [name, a] : manifest_.argument) {
      if (state[name] == 0 && visit(visit, name))
        problem(a.line, fmt::format("[argument.{}] supports itself through a circle of supported_by", name));
    }
  }

  const ManifestOptions& options_;
  Manifest manifest_;
  std::string title_;
  std::set<const toml::node*> bad_;
  std::vector<std::pair<int, std::string>> problems_;
};

}  // namespace

base::Result<Manifest> parse_manifest(std::string_view text, const std::string& path, const ManifestOptions& options) {
  return guarded(path, [&]() -> base::Result<Manifest> {
    if (text.size() > options.file_bytes) {
      return make_error(Code::kLimit,
                        fmt::format("holds {} bytes, expected at most {}", text.size(), options.file_bytes), path,
                        "a manifest names data, it does not hold it");
    }
    const toml::parse_result parsed = toml::parse(text, path);
    if (parsed.failed()) {
      const auto& error = parsed.error();
      return make_error(Code::kParse, std::string(error.description()),
                        fmt::format("{}:{}:{}", path, error.source().begin.line, error.source().begin.column),
                        "the manifest is TOML: see https://toml.io");
    }
    Reader reader(path, options);
    PL_TRY(Manifest manifest, reader.read(parsed.table()));
    manifest.sha256 = base::sha256_hex(text);
    return manifest;
  });
}

base::Result<Manifest> read_manifest(const std::string& path, const ManifestOptions& options) {
  ReadLimits limits;
  limits.file_bytes = options.file_bytes;
  PL_TRY(const Bytes bytes, map_file(path, limits));
  return parse_manifest({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path, options);
}

const OtherSection* Manifest::other(std::string_view kind, std::string_view wanted) const {
  for (const OtherSection& section : others) {
    if (section.kind == kind && section.name == wanted) return &section;
  }
  return nullptr;
}

}  // namespace plumbline::data
