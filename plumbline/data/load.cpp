#include "plumbline/data/load.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/data/idx.hpp"
#include "plumbline/data/image_folder.hpp"
#include "plumbline/data/jsonl.hpp"
#include "plumbline/data/npy.hpp"

namespace plumbline::data {
namespace {

using base::Code;
using base::make_error;

constexpr int kMaxClasses = 100'000;

// ---- options --------------------------------------------------------------------------------------------------------

template <class T>
const T* option(const DataSection& section, const std::string& key) {
  const auto found = section.options.find(key);
  return found == section.options.end() ? nullptr : std::get_if<T>(&found->second);
}

std::size_t limit_of(const DataSection& section) {
  const auto* const limit = option<std::int64_t>(section, "limit");
  return limit == nullptr ? 0 : static_cast<std::size_t>(*limit);
}

std::string array_of(const DataSection& section) {
  const auto* const array = option<std::string>(section, "array");
  return array == nullptr ? std::string() : *array;
}

Column::Kind kind_of(const std::string& word) {
  if (word == "number") return Column::Kind::kNumber;
  return word == "category" ? Column::Kind::kCategory : Column::Kind::kText;
}

TableOptions table_options(const DataSection& section) {
  TableOptions out;
  out.limit = limit_of(section);
  if (const auto* s = option<std::string>(section, "separator"))
    out.separator = *s == "tab" ? '\t' : (s->empty() ? char{0} : s->front());
  if (const auto* s = option<std::string>(section, "comment")) out.comment = *s;
  if (const auto* b = option<bool>(section, "header")) out.header = *b;
  if (const auto* l = option<std::vector<std::string>>(section, "names")) out.names = *l;
  if (const auto* l = option<std::vector<std::string>>(section, "missing")) out.missing = *l;
  if (const auto* l = option<std::vector<std::string>>(section, "drop")) out.drop = *l;
  for (const auto& [key, value] : section.options) {
    if (!key.starts_with("types.")) continue;
    if (const auto* word = std::get_if<std::string>(&value)) out.types.emplace(key.substr(6), kind_of(*word));
  }
  return out;
}

bool is_jsonl(const DataSection& section, const std::string& path) {
  if (const auto* format = option<std::string>(section, "format")) return *format == "jsonl";
  return path.ends_with(".jsonl") || path.ends_with(".ndjson") || path.ends_with(".jsonl.gz") ||
         path.ends_with(".ndjson.gz");
}

TableOptions named_separator(const DataSection& section, const std::string& path) {
  TableOptions options = table_options(section);
  const auto* const format = option<std::string>(section, "format");
  const bool tabs = format != nullptr ? *format == "tsv" : path.ends_with(".tsv") || path.ends_with(".tsv.gz");
  if (options.separator == 0 && tabs) options.separator = '\t';
  return options;
}

base::Result<Table> read_table(const DataSection& section, const std::string& path) {
  return is_jsonl(section, path) ? read_jsonl(path, table_options(section))
                                 : read_csv(path, named_separator(section, path));
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

FolderOptions folder_options(const DataSection& section) {
  FolderOptions out;
  out.limit = limit_of(section);
  if (const auto* size = option<std::vector<double>>(section, "size"); size != nullptr && size->size() == 2) {
    out.height = static_cast<int>((*size)[0]);
    out.width = static_cast<int>((*size)[1]);
  }
  if (const auto* channels = option<std::int64_t>(section, "channels")) out.channels = static_cast<int>(*channels);
  return out;
}

/// The first rows of an array are the first rows of the file, so the text of the options is part of what was read.
std::string options_text(const DataSection& section) {
  std::string out;
  for (const auto& [key, value] : section.options) {
    out += key + "=";
    std::visit(
        [&](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            for (const std::string& s : v) out += fmt::format("{}:{},", s.size(), s);
          } else if constexpr (std::is_same_v<T, std::vector<double>>) {
            for (const double d : v) out += fmt::format("{},", d);
          } else {
            out += fmt::format("{}", v);
          }
        },
        value);
    out += ";";
  }
  return out;
}

// ---- labels and units -----------------------------------------------------------------------------------------------

bool parse_int(std::string_view text, int* value) {
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return status == std::errc{} && end == text.data() + text.size();
}

/// Text labels to codes. With declared classes: their order, anything else is an error. Without: integers stay as they
/// are, other words are sorted.
base::Result<std::vector<int>> code_labels(const std::vector<std::string>& words,
                                           const std::vector<std::string>& classes, const std::string& place,
                                           std::vector<std::string>* names) {
  std::vector<int> out(words.size());
  if (!classes.empty()) {
    std::map<std::string_view, int> index;
    for (std::size_t c = 0; c < classes.size(); ++c) index.emplace(classes[c], static_cast<int>(c));
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto found = index.find(words[i]);
      if (found == index.end()) {
        return make_error(
            Code::kValue,
            fmt::format("label '{}' is not among the declared classes {}", words[i].substr(0, 60),
                        base::join_words(std::span(classes).first(std::min<std::size_t>(classes.size(), 20)))),
            fmt::format("{}: row {}", place, i), "correct `classes`, or remove what follows the label with `strip`");
      }
      out[i] = found->second;
    }
    *names = classes;
    return out;
  }
  bool integers = true;
  for (std::size_t i = 0; integers && i < words.size(); ++i) integers = parse_int(words[i], &out[i]);
  if (integers) return out;
  const std::set<std::string> levels(words.begin(), words.end());
  if (levels.size() > static_cast<std::size_t>(kMaxClasses))
    return make_error(Code::kLimit,
                      fmt::format("has {} different labels, expected at most {}", levels.size(), kMaxClasses), place);
  names->assign(levels.begin(), levels.end());
  std::map<std::string_view, int> index;
  for (std::size_t c = 0; c < names->size(); ++c) index.emplace((*names)[c], static_cast<int>(c));
  for (std::size_t i = 0; i < words.size(); ++i) out[i] = index.find(words[i])->second;
  return out;
}

std::string number_text(double value) { return fmt::format("{}", value); }

std::vector<std::string> column_words(const Column& column, std::vector<std::size_t>* missing) {
  std::vector<std::string> words(column.rows());
  for (std::size_t i = 0; i < words.size(); ++i) {
    bool absent = false;
    switch (column.kind) {
      case Column::Kind::kNumber:
        absent = std::isnan(column.numbers[i]);
        words[i] = number_text(column.numbers[i]);
        break;
      case Column::Kind::kCategory:
        absent = column.codes[i] < 0;
        if (!absent) words[i] = column.levels[static_cast<std::size_t>(column.codes[i])];
        break;
      case Column::Kind::kText:
        absent = column.text_missing[i];
        words[i] = column.texts[i];
        break;
    }
    if (absent) missing->push_back(i);
  }
  return words;
}

/// Lines of a text file; a trailing line break ends the last one.
base::Result<std::vector<std::string>> read_lines(const std::string& path, std::size_t limit) {
  return guarded(path, [&]() -> base::Result<std::vector<std::string>> {
    ReadLimits limits;
    PL_TRY(Bytes bytes, map_file(path, limits));
    PL_TRY(bytes, inflate_if_gzip(std::move(bytes), path, limits));
    std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
    if (!is_utf8(text))
      return make_error(Code::kParse, "is not UTF-8 text", path, "expected IDX, NPY, or text with one value a line");
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    std::vector<std::string> lines;
    while (!text.empty() && (limit == 0 || lines.size() < limit)) {
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (line.ends_with('\r')) line.remove_suffix(1);
      lines.emplace_back(line);
      if (line.empty())
        return make_error(Code::kParse, "is empty, expected a value", fmt::format("{}:{}", path, lines.size()));
      if (line.size() > limits.cell_bytes || lines.size() > limits.rows)
        return make_error(Code::kLimit, "holds too long a line or too many lines", path);
    }
    if (lines.empty()) return make_error(Code::kParse, "holds no line", path, "one value a line is expected");
    return lines;
  });
}

enum class LabelFile { kIdx, kNpy, kText };

base::Result<LabelFile> label_format(const std::string& path) {
  PL_TRY(const Bytes bytes, map_file(path));
  std::uint8_t head[6] = {};
  std::size_t count = std::min<std::size_t>(bytes.size, sizeof head);
  if (is_gzip(bytes.span())) {
    GzipStream stream(bytes.span(), path);
    PL_TRY(count, stream.read(head));
  } else {
    std::copy_n(bytes.data.get(), count, head);
  }
  if (count >= 4 && head[0] == 0 && head[1] == 0) return LabelFile::kIdx;
  if (count >= 6 && head[0] == 0x93 && head[1] == 'N') return LabelFile::kNpy;
  if (count >= 4 && head[0] == 'P' && head[1] == 'K' && head[2] < 9) return LabelFile::kNpy;
  return LabelFile::kText;
}

/// Classes declared by the section, or by the manifest's train set for every set that is not out-of-distribution.
std::vector<std::string> declared_classes(const Manifest& manifest, const DataSection& section) {
  if (!section.classes.empty() || section.role == Role::kOutOfDistribution) return section.classes;
  for (const auto& [name, other] : manifest.data) {
    if (other.role == Role::kTrain && !other.classes.empty()) return other.classes;
  }
  return {};
}

base::Status read_labels(const DataSection& section, const std::vector<std::string>& classes, Dataset& set) {
  const std::string& path = section.labels->resolved;
  const std::size_t limit = limit_of(section);
  PL_TRY(const LabelFile format, label_format(path));
  if (format == LabelFile::kIdx) {
    PL_TRY(set.labels, read_idx_labels(path, limit));
  } else if (format == LabelFile::kNpy) {
    PL_TRY(const NpyArray array, read_npy(path));
    PL_TRY(set.labels, npy_to_ints(array, path, limit));
  } else {
    PL_TRY(const std::vector<std::string> lines, read_lines(path, limit));
    // Numbers are labels even where classes are declared: classes then only name them.
    int unused = 0;
    const bool numbers =
        std::all_of(lines.begin(), lines.end(), [&](const std::string& s) { return parse_int(s, &unused); });
    const bool words_declared =
        std::any_of(classes.begin(), classes.end(), [&](const std::string& s) { return !parse_int(s, &unused); });
    PL_TRY(set.labels, code_labels(lines, numbers && words_declared ? std::vector<std::string>{} : classes, path,
                                   &set.class_names));
  }
  if (set.class_names.empty()) set.class_names = classes;
  return base::ok();
}

base::Status take_label_column(const DataSection& section, const std::vector<std::string>& classes,
                               const std::string& path, Dataset& set) {
  const auto found = std::find_if(set.table.columns.begin(), set.table.columns.end(),
                                  [&](const Column& c) { return c.name == section.label; });
  if (found == set.table.columns.end()) {
    std::vector<std::string> names;
    for (const Column& c : set.table.columns) names.push_back(c.name);
    names.resize(std::min<std::size_t>(names.size(), 30));
    return make_error(
        Code::kValue,
        fmt::format("has no column '{}', which `label` names; it has {}", section.label, base::join_words(names)),
        path);
  }
  std::vector<std::size_t> missing;
  std::vector<std::string> words = column_words(*found, &missing);
  if (!missing.empty())
    return make_error(Code::kValue, fmt::format("label is missing in {} rows", missing.size()),
                      fmt::format("{}: row {}", path, missing.front()),
                      "remove these rows, or declare what means missing");
  if (const auto* const strip = option<std::string>(section, "strip")) {
    for (std::string& word : words) {
      while (!word.empty() && strip->find(word.back()) != std::string::npos) word.pop_back();
    }
  }
  PL_TRY(set.labels, code_labels(words, classes, path, &set.class_names));
  set.table.columns.erase(found);
  return base::ok();
}

void code_units(const std::vector<std::string>& words, Dataset& set) {
  std::map<std::string_view, int> index;
  for (const std::string& word : words) {
    const auto [place, fresh] = index.emplace(word, static_cast<int>(index.size()));
    if (fresh) set.unit_values.push_back(word);
    set.units.push_back(place->second);
  }
}

base::Status take_units(const DataSection& section, const std::string& table_path, Dataset& set) {
  if (section.unit.empty()) return base::ok();
  set.unit_name = section.unit;
  if (section.unit_file) {
    PL_TRY(const std::vector<std::string> lines, read_lines(section.unit_file->resolved, limit_of(section)));
    code_units(lines, set);
    return base::ok();
  }
  const auto found = std::find_if(set.table.columns.begin(), set.table.columns.end(),
                                  [&](const Column& c) { return c.name == section.unit; });
  if (found == set.table.columns.end())
    return make_error(Code::kValue, fmt::format("has no column '{}', which `unit` names", section.unit), table_path);
  std::vector<std::size_t> missing;
  const std::vector<std::string> words = column_words(*found, &missing);
  if (!missing.empty())
    return make_error(Code::kValue, fmt::format("unit is missing in {} rows", missing.size()),
                      fmt::format("{}: row {}", table_path, missing.front()), "every row needs its unit");
  code_units(words, set);
  set.table.columns.erase(found);
  return base::ok();
}

base::Status check_labels(const Dataset& set, const std::vector<std::string>& classes, const std::string& place) {
  const int most = classes.empty() ? kMaxClasses : static_cast<int>(classes.size());
  for (std::size_t i = 0; i < set.labels.size(); ++i) {
    if (set.labels[i] >= 0 && set.labels[i] < most) continue;
    return make_error(Code::kValue, fmt::format("label is {}, expected an integer in [0, {})", set.labels[i], most),
                      fmt::format("{}: row {}", place, i),
                      classes.empty() ? "labels count from 0" : "correct the labels or `classes`");
  }
  return base::ok();
}

/// A set that has a source of its own, before any share is taken from it.
base::Result<Dataset> read_whole(const Manifest& manifest, const DataSection& section) {
  Dataset set;
  set.name = section.name;
  set.role = section.role;
  const std::size_t limit = limit_of(section);
  const std::vector<std::string> classes = declared_classes(manifest, section);
  std::string place;
  if (section.images) {
    place = section.images->resolved;
    set.kind = Dataset::Kind::kImages;
    if (is_folder(place)) {
      PL_TRY(FolderImages folder, read_image_folder(place, folder_options(section)));
      set.images = std::move(folder.images);
      if (!folder.labels.empty() && !section.labels && section.label.empty()) {
        std::vector<std::string> words;
        for (const int label : folder.labels) words.push_back(folder.class_names[static_cast<std::size_t>(label)]);
        std::vector<std::string> names;
        PL_TRY(set.labels, code_labels(words, classes.empty() ? folder.class_names : classes, place, &names));
        set.class_names = std::move(names);
      }
    } else {
      PL_TRY(set.images, read_idx_images(place, limit));
    }
  } else if (section.matrix) {
    place = section.matrix->resolved;
    set.kind = Dataset::Kind::kMatrix;
    PL_TRY(const NpyArray array, read_npy(place, array_of(section)));
    PL_TRY(set.matrix, npy_to_float(array, place, limit));
  } else {
    set.kind = Dataset::Kind::kTable;
  }
  std::string table_path;
  if (section.table) {
    table_path = section.table->resolved;
    if (place.empty()) place = table_path;
    PL_TRY(set.table, read_table(section, table_path));
  }
  if (section.labels) PL_CHECK(read_labels(section, classes, set));
  if (!section.label.empty()) PL_CHECK(take_label_column(section, classes, table_path, set));
  PL_CHECK(take_units(section, table_path, set));
  if (set.kind == Dataset::Kind::kTable && set.table.columns.empty())
    return make_error(Code::kValue, "has no column beside label and unit", place);

  const std::size_t n = set.rows();
  const auto agrees = [&](std::size_t count, std::string_view what,
                          const std::optional<Location>& where) -> base::Status {
    if (count == 0 || count == n) return base::ok();
    return make_error(Code::kShape, fmt::format("has {} {}, but '{}' has {} rows", count, what, section.name, n),
                      where ? where->resolved : place, "both must describe the same rows in the same order");
  };
  PL_CHECK(agrees(set.labels.size(), "labels", section.labels ? section.labels : section.table));
  PL_CHECK(agrees(set.units.size(), "units", section.unit_file ? section.unit_file : section.table));
  if (set.kind != Dataset::Kind::kTable) PL_CHECK(agrees(set.table.rows(), "rows", section.table));
  PL_CHECK(check_labels(set, classes, section.labels ? section.labels->resolved : place));
  set.source_rows.resize(n);
  for (std::size_t i = 0; i < n; ++i) set.source_rows[i] = i;
  set.fingerprint = content_fingerprint(set, options_text(section));
  return set;
}

// ---- splits ---------------------------------------------------------------------------------------------------------

/// Which set each row of the donor belongs to: the donor's units in random order are dealt to the takers in the order
/// of their names, and the donor keeps the rest.
base::Result<std::vector<std::size_t>> share_rows(const Manifest& manifest, const Dataset& donor,
                                                  const std::string& wanted) {
  std::vector<int> units = donor.units;
  if (units.empty()) {
    units.resize(donor.rows());
    for (std::size_t i = 0; i < units.size(); ++i) units[i] = static_cast<int>(i);
  }
  const std::set<int> distinct(units.begin(), units.end());
  const std::vector<int> order(distinct.begin(), distinct.end());
  base::Rng rng(manifest.seed, {"split", donor.fingerprint});
  const std::vector<std::size_t> permutation = rng.permutation(order.size());
  std::map<int, std::string> owner;
  std::size_t next = 0;
  for (const auto& [name, section] : manifest.data) {
    if (section.from != donor.name) continue;
    const auto count = static_cast<std::size_t>(
        std::max<long long>(1, std::llround(section.share * static_cast<double>(order.size()))));
    if (next + count >= order.size()) {
      return make_error(Code::kShape, fmt::format("has {} units, too few for the shares taken from it", order.size()),
                        fmt::format("[data.{}]", donor.name), "take smaller shares, or add data");
    }
    for (std::size_t k = 0; k < count; ++k) owner[order[permutation[next + k]]] = name;
    next += count;
  }
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const auto found = owner.find(units[i]);
    const std::string& name = found == owner.end() ? donor.name : found->second;
    if (name == wanted) rows.push_back(i);
  }
  return rows;
}

base::Result<const DataSection*> find_data(const Manifest& manifest, const std::string& name) {
  const auto found = manifest.data.find(name);
  if (found != manifest.data.end()) return &found->second;
  std::vector<std::string> known;
  for (const auto& [other, section] : manifest.data) known.push_back(other);
  return make_error(
      Code::kValue,
      fmt::format("there is no data set '{}'{}", name, known.empty() ? "" : "; there are " + base::join_words(known)),
      manifest.path);
}

base::Result<MatrixD> table_matrix(const Table& table, const std::string& path) {
  MatrixD out(static_cast<Eigen::Index>(table.rows()), static_cast<Eigen::Index>(table.columns.size()));
  for (std::size_t j = 0; j < table.columns.size(); ++j) {
    const Column& column = table.columns[j];
    if (column.kind != Column::Kind::kNumber)
      return make_error(Code::kParse, fmt::format("column '{}' holds text, expected numbers", column.name), path,
                        "store one column of numbers for each output");
    for (std::size_t i = 0; i < table.rows(); ++i)
      out(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) = column.numbers[i];
  }
  return out;
}

/// Rows of numbers from CSV: with a header unless the first line is numbers throughout.
base::Result<MatrixD> csv_matrix(const std::string& path) {
  TableOptions options;
  options.header = false;
  options.missing = {"", "NA", "NaN", "nan"};
  PL_TRY(Table table, read_csv(path, options));
  const bool numbers = std::all_of(table.columns.begin(), table.columns.end(),
                                   [](const Column& c) { return c.kind == Column::Kind::kNumber; });
  if (!numbers) {
    options.header = true;
    PL_TRY(table, read_csv(path, options));
  }
  return table_matrix(table, path);
}

base::Result<MatrixD> read_matrix(const std::string& path) {
  if (path.ends_with(".npy") || path.ends_with(".npz") || path.ends_with(".npy.gz")) {
    PL_TRY(const NpyArray array, read_npy(path));
    return npy_to_double(array, path);
  }
  if (path.ends_with(".jsonl") || path.ends_with(".ndjson") || path.ends_with(".jsonl.gz")) {
    PL_TRY(Bytes bytes, map_file(path));
    PL_TRY(bytes, inflate_if_gzip(std::move(bytes), path));
    return parse_jsonl_matrix({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path);
  }
  return csv_matrix(path);
}

}  // namespace

base::Result<DatasetPtr> load_dataset(const Manifest& manifest, const std::string& name) {
  PL_TRY(const DataSection* const section, find_data(manifest, name));
  return guarded(name, [&]() -> base::Result<DatasetPtr> {
    const DataSection* source = section;
    if (!section->from.empty()) {
      PL_TRY(source, find_data(manifest, section->from));
    }
    PL_TRY(Dataset whole, read_whole(manifest, *source));
    const bool shared = std::any_of(manifest.data.begin(), manifest.data.end(),
                                    [&](const auto& item) { return item.second.from == source->name; });
    if (!shared) return DatasetPtr(std::make_shared<const Dataset>(std::move(whole)));
    PL_TRY(const std::vector<std::size_t> rows, share_rows(manifest, whole, name));
    Dataset part = whole.subset(rows, name);
    part.role = section->role;
    return DatasetPtr(std::make_shared<const Dataset>(std::move(part)));
  });
}

base::Result<DataFacts> peek_dataset(const Manifest& manifest, const std::string& name) {
  PL_TRY(const DataSection* const section, find_data(manifest, name));
  return guarded(name, [&]() -> base::Result<DataFacts> {
    const DataSection* source = section;
    if (!section->from.empty()) {
      PL_TRY(source, find_data(manifest, section->from));
    }
    DataFacts facts;
    facts.role = section->role;
    facts.labelled = source->labels.has_value() || !source->label.empty();
    const std::size_t limit = limit_of(*source);
    if (source->images) {
      facts.kind = Dataset::Kind::kImages;
      const std::string& path = source->images->resolved;
      if (is_folder(path)) {
        FolderOptions options = folder_options(*source);
        PL_TRY(const FolderFacts folder, peek_image_folder(path, options));
        facts.rows = folder.files;
        facts.labelled = facts.labelled || folder.classes > 0;
        facts.columns = static_cast<std::size_t>(folder.channels) * static_cast<std::size_t>(folder.height) *
                        static_cast<std::size_t>(folder.width);
      } else {
        PL_TRY(const IdxHeader header, peek_idx(path));
        facts.rows = header.shape[0];
        facts.columns = 1;
        for (std::size_t i = 1; i < header.shape.size(); ++i) facts.columns *= header.shape[i];
      }
    } else if (source->matrix) {
      facts.kind = Dataset::Kind::kMatrix;
      PL_TRY(const NpyArray array, peek_npy(source->matrix->resolved, array_of(*source)));
      facts.rows = array.rows();
      facts.columns = array.row_elements();
    }
    if (source->table) {
      const std::string& path = source->table->resolved;
      TableFacts table;
      if (is_jsonl(*source, path)) {
        PL_TRY(const Table whole, read_jsonl(path, table_options(*source)));
        table.rows = whole.rows();
        for (const Column& c : whole.columns) {
          table.names.push_back(c.name);
          table.kinds.push_back(c.kind);
        }
      } else {
        PL_TRY(table, peek_csv(path, named_separator(*source, path)));
      }
      std::size_t kept = 0;
      std::size_t texts = 0;
      for (std::size_t j = 0; j < table.names.size(); ++j) {
        if (table.names[j] == source->label || table.names[j] == source->unit) continue;
        ++kept;
        if (table.kinds[j] == Column::Kind::kText) ++texts;
      }
      facts.has_text = texts > 0;
      if (!source->images && !source->matrix) {
        facts.kind = Dataset::Kind::kTable;
        facts.rows = table.rows;
        facts.columns = kept;
        facts.only_text = kept > 0 && texts == kept;
      }
    }
    if (limit > 0) facts.rows = std::min(facts.rows, limit);
    double kept = 1;
    for (const auto& [other, taker] : manifest.data) {
      if (taker.from == source->name) kept -= taker.share;
    }
    const double share = section == source ? kept : section->share;
    facts.rows = static_cast<std::size_t>(std::llround(share * static_cast<double>(facts.rows)));
    return facts;
  });
}

base::Result<MatrixD> load_predictions(const Manifest& manifest, const std::string& section_name) {
  const auto found = manifest.predictions.find(section_name);
  if (found == manifest.predictions.end())
    return make_error(Code::kValue, fmt::format("there is no section [predictions.{}]", section_name), manifest.path);
  const PredictionsSection& section = found->second;
  const std::string& path = section.path.resolved;
  return guarded(path, [&]() -> base::Result<MatrixD> {
    PL_TRY(MatrixD outputs, read_matrix(path));
    PL_TRY(const DatasetPtr set, load_dataset(manifest, section.data));
    if (static_cast<std::size_t>(outputs.rows()) != set->rows()) {
      // Predictions for every row of the file that the set was read or split from are as good: the set knows its rows.
      const std::size_t last =
          set->source_rows.empty() ? 0 : *std::max_element(set->source_rows.begin(), set->source_rows.end());
      PL_TRY(const DataSection* const data, find_data(manifest, section.data));
      const std::string& donor = data->from.empty() ? section.data : data->from;
      const bool split = std::any_of(manifest.data.begin(), manifest.data.end(),
                                     [&](const auto& item) { return item.second.from == donor; });
      std::size_t whole_rows = 0;
      if (split) {
        PL_TRY(const Dataset whole, read_whole(manifest, manifest.data.at(donor)));
        whole_rows = whole.rows();
      }
      if (!split || static_cast<std::size_t>(outputs.rows()) != whole_rows || last >= whole_rows) {
        return make_error(
            Code::kShape,
            fmt::format("has {} rows, but the data set '{}' has {}", outputs.rows(), section.data, set->rows()), path,
            "store one row of outputs for each row of the data, in the same order");
      }
      MatrixD part(static_cast<Eigen::Index>(set->rows()), outputs.cols());
      for (std::size_t i = 0; i < set->rows(); ++i) {
        for (Eigen::Index k = 0; k < outputs.cols(); ++k)
          part(static_cast<Eigen::Index>(i), k) = outputs(static_cast<Eigen::Index>(set->source_rows[i]), k);
      }
      outputs = std::move(part);
    }
    for (Eigen::Index i = 0; i < outputs.rows(); ++i) {
      double sum = 0;
      for (Eigen::Index k = 0; k < outputs.cols(); ++k) {
        const double value = outputs(i, k);
        if (!std::isfinite(value))
          return make_error(Code::kValue, fmt::format("holds {}, expected a finite number", value),
                            fmt::format("{}: row {}, column {}", path, i, k));
        if (section.output == "probabilities" && (value < -1e-9 || value > 1 + 1e-6)) {
          return make_error(Code::kValue, fmt::format("holds the probability {}, expected a number in [0, 1]", value),
                            fmt::format("{}: row {}, column {}", path, i, k),
                            "declare output = \"logits\" or \"scores\" if that is what they are");
        }
        sum += value;
      }
      if (section.output == "probabilities" && outputs.cols() > 1 && std::abs(sum - 1) > 1e-3) {
        return make_error(Code::kValue, fmt::format("probabilities sum to {}, expected 1", sum),
                          fmt::format("{}: row {}", path, i),
                          "declare output = \"logits\" or \"scores\" if that is what they are");
      }
    }
    return outputs;
  });
}

}  // namespace plumbline::data
