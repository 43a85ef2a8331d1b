#include "plumbline/methodology/leakage.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/data/table_contract.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::methodology {
namespace {

using base::Code;
using base::make_error;
using data::Column;
using data::Dataset;

constexpr std::size_t kLeastCalibration = 200;
constexpr double kIdentical = 1 - 1e-9;
constexpr double kSameImage = 1e-4;  // difference of images that differ by a shift and rounding alone

std::string normal_text(const std::string& text) {
  std::string out;
  bool blank = false;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      blank = true;
      continue;
    }
    if (blank && !out.empty()) out.push_back(' ');
    blank = false;
    out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  }
  return out;
}

void append_cell(const Column& column, std::size_t row, std::string& out) {
  switch (column.kind) {
    case Column::Kind::kNumber:
      out += std::isnan(column.numbers[row]) ? std::string("?") : fmt::format("{}", column.numbers[row] + 0.0);
      break;
    case Column::Kind::kCategory:
      out += column.codes[row] < 0 ? std::string("?")
                                   : normal_text(column.levels[static_cast<std::size_t>(column.codes[row])]);
      break;
    case Column::Kind::kText:
      out += column.text_missing[row] ? std::string("?") : normal_text(column.texts[row]);
      break;
  }
  out.push_back('\x1f');
}

using Key = std::pair<std::uint64_t, std::uint64_t>;

/// One key a row; table columns are taken in the order of `names`.
base::Result<std::vector<Key>> content_keys(const Dataset& set, const std::vector<std::string>& names,
                                            const base::CancelToken& cancel) {
  std::vector<Key> keys(set.rows());
  std::vector<const Column*> columns;
  for (const std::string& name : names) columns.push_back(set.table.find(name));
  constexpr std::size_t kBlock = 1024;
  PL_CHECK(base::parallel_for((keys.size() + kBlock - 1) / kBlock,
                              [&](std::size_t block) -> base::Status {
                                std::string text;
                                for (std::size_t i = block * kBlock; i < std::min(keys.size(), (block + 1) * kBlock);
                                     ++i) {
                                  base::Key128 key;
                                  if (set.kind == Dataset::Kind::kImages) {
                                    const auto image = set.images.image(i);
                                    key = base::key128({reinterpret_cast<const char*>(image.data()), image.size()});
                                  } else if (set.kind == Dataset::Kind::kMatrix) {
                                    const auto d = static_cast<std::size_t>(set.matrix.cols());
                                    std::vector<float> row(set.matrix.data() + i * d, set.matrix.data() + (i + 1) * d);
                                    for (float& x : row) x += 0.0F;  // -0 and 0 are the same number
                                    key = base::key128({reinterpret_cast<const char*>(row.data()), d * sizeof(float)});
                                  } else {
                                    text.clear();
                                    for (const Column* const column : columns) append_cell(*column, i, text);
                                    key = base::key128(text);
                                  }
                                  keys[i] = {key.low, key.high};
                                }
                                return base::ok();
                              },
                              cancel));
  return keys;
}

/// The items of both sets in the form that the similarity needs.
struct Prepared {
  Dataset::Kind kind = Dataset::Kind::kImages;
  const data::Images* train_images = nullptr;
  const data::Images* test_images = nullptr;
  MatrixF train_rows;
  MatrixF test_rows;
  std::vector<std::string> train_texts;
  std::vector<std::string> test_texts;
};

std::vector<std::string> joined_texts(const Dataset& set, const std::vector<std::string>& names) {
  std::vector<std::string> out(set.rows());
  for (const std::string& name : names) {
    const Column* const column = set.table.find(name);
    if (column->kind != Column::Kind::kText) continue;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += column->texts[i] + " ";
  }
  return out;
}

base::Result<Prepared> prepare(const Dataset& train, const Dataset& test, const std::vector<std::string>& names) {
  Prepared out;
  out.kind = train.kind;
  if (train.kind == Dataset::Kind::kImages) {
    out.train_images = &train.images;
    out.test_images = &test.images;
    return out;
  }
  std::vector<std::size_t> all_train(train.rows());
  std::vector<std::size_t> all_test(test.rows());
  std::iota(all_train.begin(), all_train.end(), std::size_t{0});
  std::iota(all_test.begin(), all_test.end(), std::size_t{0});
  if (train.kind == Dataset::Kind::kTable) {
    const auto is_text = [&](const std::string& name) {
      return train.table.find(name)->kind == Column::Kind::kText && test.table.find(name)->kind == Column::Kind::kText;
    };
    if (std::any_of(names.begin(), names.end(), is_text)) {
      out.train_texts = joined_texts(train, names);
      out.test_texts = joined_texts(test, names);
      return out;
    }
    std::vector<std::string> usable;
    for (const std::string& name : names) {
      if (train.table.find(name)->kind != Column::Kind::kText) usable.push_back(name);
    }
    PL_TRY(const data::TableContract contract, data::fit_contract(train.table, usable));
    PL_TRY(out.train_rows, data::encode_table(contract, train.table, all_train));
    PL_TRY(out.test_rows, data::encode_table(contract, test.table, all_test));
    return out;
  }
  out.train_rows = train.matrix;
  out.test_rows = test.matrix;
  for (Eigen::Index j = 0; j < out.train_rows.cols(); ++j) {
    double sum = 0;
    double squares = 0;
    for (Eigen::Index i = 0; i < out.train_rows.rows(); ++i) sum += out.train_rows(i, j);
    const double mean = sum / static_cast<double>(out.train_rows.rows());
    for (Eigen::Index i = 0; i < out.train_rows.rows(); ++i)
      squares += (out.train_rows(i, j) - mean) * (out.train_rows(i, j) - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(out.train_rows.rows()));
    const double scale = deviation > 0 ? 1 / deviation : 1;
    for (Eigen::Index i = 0; i < out.train_rows.rows(); ++i)
      out.train_rows(i, j) = static_cast<float>((out.train_rows(i, j) - mean) * scale);
    for (Eigen::Index i = 0; i < out.test_rows.rows(); ++i)
      out.test_rows(i, j) = static_cast<float>((out.test_rows(i, j) - mean) * scale);
  }
  return out;
}

/// Nearest train rows of the test set, or of chosen train rows.
base::Result<std::vector<NearMatch>> search(const Prepared& p, const std::vector<std::size_t>* train_queries,
                                            const NearOptions& options) {
  if (p.kind == Dataset::Kind::kImages) {
    if (train_queries == nullptr) return nearest_images(*p.train_images, *p.test_images, options);
    data::Images queries = *p.train_images;
    queries.count = train_queries->size();
    const std::size_t size = queries.pixels();
    std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[std::max<std::size_t>(1, queries.count * size)]);
    for (std::size_t k = 0; k < queries.count; ++k)
      std::copy_n(p.train_images->image((*train_queries)[k]).data(), size, bytes.get() + k * size);
    queries.bytes = std::move(bytes);
    return nearest_images(*p.train_images, queries, options);
  }
  if (!p.train_texts.empty()) {
    if (train_queries == nullptr) return nearest_texts(p.train_texts, p.test_texts, options);
    std::vector<std::string> queries;
    for (const std::size_t i : *train_queries) queries.push_back(p.train_texts[i]);
    return nearest_texts(p.train_texts, queries, options);
  }
  if (train_queries == nullptr) return nearest_rows(p.train_rows, p.test_rows, options);
  MatrixF queries(static_cast<Eigen::Index>(train_queries->size()), p.train_rows.cols());
  for (std::size_t k = 0; k < train_queries->size(); ++k)
    queries.row(static_cast<Eigen::Index>(k)) = p.train_rows.row(static_cast<Eigen::Index>((*train_queries)[k]));
  return nearest_rows(p.train_rows, queries, options);
}

/// How different a row is from its nearest. Images: as a share of how different its surroundings are, never taken for
/// smaller than `least`, so that a row with several copies is still near to them.
struct Scale {
  bool local = false;
  double least = 0;
  double difference(const NearMatch& match) const {
    if (match.row < 0) return 1;
    return local ? std::min(1.0, (1 - match.similarity) / std::max({1 - match.surround, least, 1e-12}))
                 : 1 - match.similarity;
  }
};

std::vector<int> units_of(const Dataset& set) {
  if (!set.units.empty()) return set.units;
  std::vector<int> units(set.rows());
  std::iota(units.begin(), units.end(), 0);
  return units;
}

base::Result<stats::Estimate> unit_share(const Dataset& test, const std::vector<std::uint8_t>& hit) {
  const std::vector<int> units = units_of(test);
  std::map<int, bool> any;
  for (std::size_t i = 0; i < hit.size(); ++i) any[units[i]] = any[units[i]] || hit[i] != 0;
  std::size_t hits = 0;
  for (const auto& [unit, leaked] : any) hits += leaked ? 1 : 0;
  PL_TRY(stats::Estimate estimate, stats::clopper_pearson(hits, any.size()));
  estimate.unit_of_sampling = test.unit_name;
  return estimate;
}

}  // namespace

double lower_tail_quantile(std::span<const double> ascending, double tail) {
  const auto n = static_cast<double>(ascending.size());
  if (tail >= 0.01) return ascending[static_cast<std::size_t>(tail * n)];
  const auto trimmed = static_cast<std::size_t>(std::ceil(n / 100));
  const auto k = static_cast<std::size_t>(std::ceil(n / 10));
  double slope = 0;
  for (std::size_t i = trimmed; i < k; ++i) slope += static_cast<double>(i) * std::log(ascending[i] / ascending[i - 1]);
  slope /= static_cast<double>(k - trimmed);
  return ascending[k - 1] * std::pow(tail * n / static_cast<double>(k), slope);
}

base::Result<LeakageResult> find_leakage(const Dataset& train, const Dataset& test, const LeakageOptions& options,
                                         const base::Rng& rng) {
  constexpr const char* kName = "find_leakage";
  PL_CHECK(base::check_in_open(kName, "tail", options.tail, 0.0, 0.5));
  PL_CHECK(base::check_at_least(kName, "candidates", options.candidates, 1));
  PL_CHECK(base::check_at_least(kName, "calibration_rows", static_cast<std::ptrdiff_t>(options.calibration_rows),
                                static_cast<std::ptrdiff_t>(kLeastCalibration)));
  if (train.rows() == 0 || test.rows() == 0)
    return make_error(Code::kShape, "train or test has no row, expected at least 1", kName);
  if (train.kind != test.kind)
    return make_error(Code::kShape, fmt::format("'{}' and '{}' are of different kinds", train.name, test.name), kName,
                      "compare images with images and tables with tables");
  const bool images = train.kind == Dataset::Kind::kImages;
  if (images && (train.images.height != test.images.height || train.images.width != test.images.width ||
                 train.images.channels != test.images.channels)) {
    return make_error(Code::kShape,
                      fmt::format("images of '{}' are {} x {} x {}, of '{}' {} x {} x {}", train.name,
                                  train.images.channels, train.images.height, train.images.width, test.name,
                                  test.images.channels, test.images.height, test.images.width),
                      kName);
  }
  if (train.kind == Dataset::Kind::kMatrix && train.matrix.cols() != test.matrix.cols()) {
    return make_error(
        Code::kShape,
        fmt::format("'{}' has {} columns, '{}' has {}", train.name, train.matrix.cols(), test.name, test.matrix.cols()),
        kName);
  }
  std::vector<std::string> names;  // columns that both sets have
  if (train.kind == Dataset::Kind::kTable) {
    for (const Column& column : train.table.columns) {
      if (test.table.find(column.name) != nullptr) names.push_back(column.name);
    }
    if (names.empty())
      return make_error(Code::kShape, fmt::format("'{}' and '{}' share no column", train.name, test.name), kName);
  }

  LeakageResult out;
  // Exact copies.
  PL_TRY(const std::vector<Key> train_keys, content_keys(train, names, options.cancel));
  PL_TRY(const std::vector<Key> test_keys, content_keys(test, names, options.cancel));
  std::map<Key, std::size_t> first;
  std::vector<std::uint8_t> repeated(train.rows(), 0);
  std::size_t copies = 0;
  for (std::size_t i = 0; i < train_keys.size(); ++i) {
    const auto [place, fresh] = first.emplace(train_keys[i], i);
    if (fresh) continue;
    ++copies;
    repeated[i] = 1;
    repeated[place->second] = 1;
  }
  out.train_copies = static_cast<double>(copies) / static_cast<double>(train.rows());
  std::vector<std::ptrdiff_t> exact(test.rows(), -1);
  std::vector<std::uint8_t> hit(test.rows(), 0);
  for (std::size_t i = 0; i < test_keys.size(); ++i) {
    const auto found = first.find(test_keys[i]);
    if (found == first.end()) continue;
    exact[i] = static_cast<std::ptrdiff_t>(found->second);
    hit[i] = 1;
  }
  PL_TRY(out.exact_share, unit_share(test, hit));

  // Groups.
  if (!train.unit_values.empty() && !test.unit_values.empty()) {
    std::set<std::string_view> in_train;
    for (const int unit : train.units) in_train.insert(train.unit_values[static_cast<std::size_t>(unit)]);
    const std::set<int> test_units(test.units.begin(), test.units.end());
    std::size_t shared = 0;
    for (const int unit : test_units) {
      const std::string& value = test.unit_values[static_cast<std::size_t>(unit)];
      if (!in_train.contains(value)) continue;
      if (++shared <= 100) out.shared_groups.push_back(value);
    }
    PL_TRY(stats::Estimate share, stats::clopper_pearson(shared, test_units.size()));
    share.unit_of_sampling = test.unit_name;
    out.group_share = std::move(share);
  }

  // Near copies: how alike are units of train that have nothing to do with each other?
  const std::vector<int> units = units_of(train);
  std::map<int, std::vector<std::size_t>> rows_of;
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (repeated[i] == 0) rows_of[units[i]].push_back(i);
  }
  std::vector<int> order;
  for (const auto& [unit, rows] : rows_of) order.push_back(unit);
  base::Rng stream = rng.fork("calibration");
  stream.shuffle(std::span<int>(order));
  std::vector<std::size_t> queries;  // one row a unit, so that queries are independent
  for (std::size_t k = 0; k < std::min(order.size(), options.calibration_rows); ++k)
    queries.push_back(rows_of[order[k]].front());
  PL_TRY(const Prepared prepared, prepare(train, test, names));
  NearOptions near;
  Scale scale{images, 0};
  near.candidates = images ? std::max(options.candidates, 4) : options.candidates;
  near.shift = options.shift;
  near.cancel = options.cancel;
  PL_TRY(const std::vector<NearMatch> matches, search(prepared, nullptr, near));
  if (queries.size() < kLeastCalibration) {
    out.near_reason = fmt::format("train has {} units without exact copies to learn from, at least {} are needed",
                                  rows_of.size(), kLeastCalibration);
  } else {
    near.reference_groups = units;  // rows of one unit are no evidence about separate units
    for (const std::size_t i : queries) near.query_groups.push_back(units[i]);
    PL_TRY(const std::vector<NearMatch> separate, search(prepared, &queries, near));
    const std::size_t half = separate.size() / 2;
    if (images) {
      std::vector<double> surround;
      for (std::size_t k = 0; k < half; ++k) surround.push_back(1 - separate[k].surround);
      std::sort(surround.begin(), surround.end());
      scale.least = surround[half / 20];
      if (scale.least < kSameImage)
        out.near_reason = "train itself holds so many near copies that nothing can be told apart from them";
    }
    std::vector<double> ranked;
    for (std::size_t k = 0; k < half; ++k) ranked.push_back(scale.difference(separate[k]));
    std::sort(ranked.begin(), ranked.end());
    const double bound = images ? lower_tail_quantile(ranked, options.tail)
                                : ranked[static_cast<std::size_t>(options.tail * static_cast<double>(half))];
    out.threshold = 1 - bound;
    std::size_t alarms = 0;
    for (std::size_t k = half; k < separate.size(); ++k)
      alarms += 1 - scale.difference(separate[k]) > out.threshold ? 1 : 0;
    PL_TRY(stats::Estimate rate, stats::clopper_pearson(alarms, separate.size() - half));
    out.false_alarm = std::move(rate);
    if (out.threshold >= kIdentical)
      out.near_reason = "train itself holds so many near copies that nothing can be told apart from them";
  }
  const bool judged = out.near_reason.empty();
  std::vector<std::uint8_t> near_hit(test.rows(), 0);
  for (std::size_t i = 0; i < test.rows(); ++i) {
    if (exact[i] >= 0) {
      out.pairs.push_back({i, static_cast<std::size_t>(exact[i]), 1, true});
      near_hit[i] = 1;
    } else if (judged && matches[i].row >= 0 && 1 - scale.difference(matches[i]) > out.threshold) {
      out.pairs.push_back({i, static_cast<std::size_t>(matches[i].row), 1 - scale.difference(matches[i]), false});
      near_hit[i] = 1;
    }
  }
  if (judged) {
    PL_TRY(stats::Estimate share, unit_share(test, near_hit));
    out.near_share = std::move(share);
  }
  if (train.labelled() && test.labelled()) {
    for (std::size_t k = 0; k < out.pairs.size(); ++k) {
      if (train.labels[out.pairs[k].train] != test.labels[out.pairs[k].test]) out.conflicts.push_back(k);
    }
  }
  return out;
}

base::Result<std::optional<stats::Estimate>> leakage_gap(const LeakageResult& result, std::span<const double> correct,
                                                         std::span<const int> units) {
  constexpr const char* kName = "leakage_gap";
  if (!units.empty())
    PL_CHECK(base::check_size(kName, "units", static_cast<std::ptrdiff_t>(units.size()),
                              static_cast<std::ptrdiff_t>(correct.size())));
  std::vector<std::uint8_t> matched(correct.size(), 0);
  for (const LeakedPair& pair : result.pairs) {
    if (pair.test >= correct.size())
      return make_error(Code::kShape,
                        fmt::format("correct has {} rows, but a pair names row {}", correct.size(), pair.test), kName);
    matched[pair.test] = 1;
  }
  std::vector<double> values[2];
  std::vector<int> groups[2];
  for (std::size_t i = 0; i < correct.size(); ++i) {
    values[matched[i]].push_back(correct[i]);
    if (!units.empty()) groups[matched[i]].push_back(units[i]);
  }
  constexpr std::size_t kLeast = 10;
  for (const auto& group : groups) {
    if (!units.empty() && std::set<int>(group.begin(), group.end()).size() < kLeast)
      return std::optional<stats::Estimate>();
  }
  if (values[0].size() < kLeast || values[1].size() < kLeast) return std::optional<stats::Estimate>();
  PL_TRY(stats::Estimate gap, stats::difference_of_means(values[1], values[0], groups[1], groups[0]));
  return std::optional<stats::Estimate>(std::move(gap));
}

}  // namespace plumbline::methodology
