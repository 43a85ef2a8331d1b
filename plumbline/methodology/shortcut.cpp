#include "plumbline/methodology/shortcut.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/data/table_contract.hpp"
#include "plumbline/methodology/near_duplicates.hpp"
#include "plumbline/stats/bootstrap.hpp"
#include "plumbline/stats/hypothesis.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/logistic.hpp"
#include "plumbline/stats/multiplicity.hpp"

namespace plumbline::methodology {
namespace {

using base::Code;
using base::make_error;
using data::Column;
using data::Dataset;

constexpr int kBins = 16;

struct Fitted {
  std::string name;
  std::string place;
  double train_accuracy = 0;
  Eigen::Index inputs = 1;
  std::vector<int> predicted;  // on the test rows
};

/// What every baseline is fitted and judged on.
struct Setting {
  const Dataset* train = nullptr;
  const Dataset* test = nullptr;
  std::vector<std::size_t> train_rows;
  std::vector<std::size_t> test_rows;
  std::vector<int> train_labels;
  int classes = 0;
  base::CancelToken cancel;
};

std::vector<int> argmax(const MatrixD& scores) {
  std::vector<int> out(static_cast<std::size_t>(scores.rows()));
  for (Eigen::Index i = 0; i < scores.rows(); ++i) {
    int best = 0;
    for (int k = 1; k < scores.cols(); ++k) {
      if (scores(i, k) > scores(i, best)) best = k;
    }
    out[static_cast<std::size_t>(i)] = best;
  }
  return out;
}

double agreement(const std::vector<int>& a, const std::vector<int>& b) {
  std::size_t same = 0;
  for (std::size_t i = 0; i < a.size(); ++i) same += a[i] == b[i] ? 1 : 0;
  return static_cast<double>(same) / static_cast<double>(a.size());
}

base::Result<Fitted> fit(const Setting& s, std::string name, std::string place, const MatrixF& train,
                         const MatrixF& test, bool standardise) {
  stats::LogisticOptions options;
  options.standardise = standardise;
  options.tolerance = 1e-4;
  options.iterations = 200;
  options.cancel = s.cancel;
  PL_TRY(const stats::LogisticModel model, stats::fit_logistic(MatrixRefF(train), s.train_labels, s.classes, options));
  PL_TRY(const MatrixD on_train, model.logits(MatrixRefF(train)));
  PL_TRY(const MatrixD on_test, model.logits(MatrixRefF(test)));
  return Fitted{std::move(name), std::move(place), agreement(argmax(on_train), s.train_labels), train.cols(),
                argmax(on_test)};
}

// ---- tables ---------------------------------------------------------------------------------------------------------

/// A number as 16 quantile bins beside its value, so that a baseline sees more than a straight line.
void add_bins(const std::vector<double>& train, const std::vector<double>& test, MatrixF& a, MatrixF& b) {
  std::vector<double> sorted;
  for (const double x : train) {
    if (!std::isnan(x)) sorted.push_back(x);
  }
  if (sorted.empty()) return;
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> edges;
  for (int k = 1; k < kBins; ++k) edges.push_back(sorted[sorted.size() * static_cast<std::size_t>(k) / kBins]);
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  const auto extend = [&](const std::vector<double>& values, MatrixF& m) {
    const Eigen::Index old = m.cols();
    m.conservativeResize(Eigen::NoChange, old + static_cast<Eigen::Index>(edges.size()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      for (std::size_t k = 0; k < edges.size(); ++k)
        m(static_cast<Eigen::Index>(i), old + static_cast<Eigen::Index>(k)) = values[i] >= edges[k] ? 1.0F : 0.0F;
    }
  };
  extend(train, a);
  extend(test, b);
}

std::vector<double> at(const std::vector<double>& values, const std::vector<std::size_t>& rows) {
  std::vector<double> out;
  for (const std::size_t i : rows) out.push_back(values[i]);
  return out;
}

/// Presence of words and word pairs of some text columns, each marked with its column. `difference`: of two columns,
/// those of the second minus those of the first.
void bag_of_words(const Setting& s, const std::vector<std::string>& columns, std::size_t vocabulary, bool difference,
                  MatrixF& train, MatrixF& test) {
  const auto tokens = [&](const Dataset& set, std::size_t row, std::size_t c) {
    std::set<std::string> out;
    const std::vector<std::string> words = words_of(set.table.find(columns[c])->texts[row]);
    const std::size_t mark = difference ? 0 : c;
    for (std::size_t i = 0; i < words.size(); ++i) {
      out.insert(fmt::format("{}:{}", mark, words[i]));
      if (i > 0) out.insert(fmt::format("{}:{} {}", mark, words[i - 1], words[i]));
    }
    return out;
  };
  std::map<std::string, std::size_t> counts;
  for (const std::size_t row : s.train_rows) {
    for (std::size_t c = 0; c < columns.size(); ++c) {
      for (const std::string& token : tokens(*s.train, row, c)) ++counts[token];
    }
  }
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const auto& [token, count] : counts) {
    if (count >= 2) ranked.emplace_back(count, token);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  ranked.resize(std::min(ranked.size(), vocabulary));
  std::unordered_map<std::string, Eigen::Index> index;  // looked up only
  for (std::size_t k = 0; k < ranked.size(); ++k) index.emplace(ranked[k].second, static_cast<Eigen::Index>(k));
  const auto fill = [&](const Dataset& set, const std::vector<std::size_t>& rows, MatrixF& m) {
    m = MatrixF::Zero(static_cast<Eigen::Index>(rows.size()),
                      std::max<Eigen::Index>(1, static_cast<Eigen::Index>(ranked.size())));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t c = 0; c < columns.size(); ++c) {
        for (const std::string& token : tokens(set, rows[i], c)) {
          if (const auto found = index.find(token); found != index.end())
            m(static_cast<Eigen::Index>(i), found->second) += difference && c == 0 ? -1.0F : 1.0F;
        }
      }
    }
  };
  fill(*s.train, s.train_rows, train);
  fill(*s.test, s.test_rows, test);
}

base::Status table_baselines(const Setting& s, const ShortcutOptions& options, std::vector<Fitted>& out) {
  const data::Table& table = s.train->table;
  std::vector<std::string> shared;
  std::vector<std::string> encodable;
  for (const Column& column : table.columns) {
    const Column* const other = s.test->table.find(column.name);
    if (other == nullptr || (column.kind == Column::Kind::kText) != (other->kind == Column::Kind::kText)) continue;
    shared.push_back(column.name);
    if (column.kind != Column::Kind::kText) encodable.push_back(column.name);
  }
  const auto known = [&](const std::string& name) -> base::Status {
    if (std::find(shared.begin(), shared.end(), name) != shared.end()) return base::ok();
    const std::string best = base::nearest(name, shared);
    return make_error(Code::kValue,
                      fmt::format("there is no column '{}' in both sets{}", name,
                                  best.empty() ? "" : fmt::format(", did you mean '{}'?", best)),
                      "cheap_baselines");
  };
  const auto encoded = [&](const std::vector<std::string>& columns, std::string name,
                           std::string place) -> base::Status {
    PL_TRY(const data::TableContract contract, data::fit_contract(table, columns));
    PL_TRY(MatrixF a, data::encode_table(contract, table, s.train_rows));
    PL_TRY(MatrixF b, data::encode_table(contract, s.test->table, s.test_rows));
    if (columns.size() == 1 && table.find(columns[0])->kind == Column::Kind::kNumber &&
        s.test->table.find(columns[0])->kind == Column::Kind::kNumber) {
      add_bins(at(table.find(columns[0])->numbers, s.train_rows),
               at(s.test->table.find(columns[0])->numbers, s.test_rows), a, b);
    }
    if (a.cols() == 0) return base::ok();
    PL_TRY(Fitted fitted, fit(s, std::move(name), std::move(place), a, b, true));
    out.push_back(std::move(fitted));
    return base::ok();
  };
  const auto worded = [&](const std::vector<std::string>& columns, std::string name, std::string place,
                          bool difference = false) -> base::Status {
    MatrixF a;
    MatrixF b;
    bag_of_words(s, columns, options.vocabulary, difference, a, b);
    PL_TRY(Fitted fitted, fit(s, std::move(name), std::move(place), a, b, false));
    out.push_back(std::move(fitted));
    return base::ok();
  };
  for (const std::string& name : shared) {
    PL_CHECK(s.cancel.status());
    if (table.find(name)->kind == Column::Kind::kText) {
      PL_CHECK(worded({name}, "text " + name, fmt::format("words of '{}' alone", name)));
    } else {
      PL_CHECK(encoded({name}, "column " + name, fmt::format("column '{}' alone", name)));
    }
  }
  if (!options.fields.empty()) {
    for (const std::string& name : options.fields) {
      PL_CHECK(known(name));
      if (table.find(name)->kind != Column::Kind::kText)
        return make_error(Code::kValue, fmt::format("column '{}' is not text, which `fields` asks for", name),
                          "cheap_baselines");
    }
    PL_CHECK(worded(options.fields, "fields " + base::join_words(options.fields),
                    fmt::format("words of {} alone", base::join_words(options.fields))));
    if (options.fields.size() == 2) {
      const std::string pair = fmt::format("{} against {}", options.fields[0], options.fields[1]);
      PL_CHECK(worded(options.fields, "fields " + pair, fmt::format("words of {} alone", pair), true));
    }
  }
  for (const std::string& name : options.needed) {
    PL_CHECK(known(name));
    std::vector<std::string> rest;
    for (const std::string& other : encodable) {
      if (other != name) rest.push_back(other);
    }
    if (!rest.empty())
      PL_CHECK(encoded(rest, "without column " + name, fmt::format("every column but '{}' and free text", name)));
  }
  return base::ok();
}

// ---- images and matrices --------------------------------------------------------------------------------------------

MatrixF averages(const data::Images& images, const std::vector<std::size_t>& rows,
                 const std::vector<std::vector<std::size_t>>& groups) {
  MatrixF out(static_cast<Eigen::Index>(rows.size()), static_cast<Eigen::Index>(groups.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto image = images.image(rows[i]);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      double sum = 0;
      for (const std::size_t p : groups[g]) sum += image[p];
      out(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(g)) =
          static_cast<float>(sum / (255.0 * static_cast<double>(groups[g].size())));
    }
  }
  return out;
}

/// The pixel whose grey level in 16 steps tells most train labels, and what it says of the test rows.
Fitted best_pixel(const Setting& s) {
  const data::Images& images = s.train->images;
  const std::size_t pixels = images.pixels();
  const auto classes = static_cast<std::size_t>(s.classes);
  Fitted best;
  std::size_t chosen = 0;
  std::array<int, kBins> answer{};
  double top = -1;
  std::vector<std::size_t> counts(kBins * classes);
  const int overall = static_cast<int>([&] {
    std::vector<std::size_t> totals(classes, 0);
    for (const int label : s.train_labels) ++totals[static_cast<std::size_t>(label)];
    return std::max_element(totals.begin(), totals.end()) - totals.begin();
  }());
  for (std::size_t p = 0; p < pixels; ++p) {
    std::fill(counts.begin(), counts.end(), 0);
    for (std::size_t i = 0; i < s.train_rows.size(); ++i) {
      ++counts[static_cast<std::size_t>(images.image(s.train_rows[i])[p] / kBins) * classes +
               static_cast<std::size_t>(s.train_labels[i])];
    }
    std::size_t right = 0;
    std::array<int, kBins> here{};
    for (std::size_t bin = 0; bin < kBins; ++bin) {
      const auto first = counts.begin() + static_cast<std::ptrdiff_t>(bin * classes);
      const auto most = std::max_element(first, first + static_cast<std::ptrdiff_t>(classes));
      here[bin] = *most == 0 ? overall : static_cast<int>(most - first);
      right += *most;
    }
    const double accuracy = static_cast<double>(right) / static_cast<double>(s.train_rows.size());
    if (accuracy > top) {
      top = accuracy;
      chosen = p;
      answer = here;
    }
  }
  const std::size_t area = pixels / static_cast<std::size_t>(images.channels);
  const auto width = static_cast<std::size_t>(images.width);
  const std::size_t within = chosen % area;
  best.name = fmt::format("pixel {},{}", within / width, within % width);
  best.place = fmt::format("the pixel in row {}, column {}{}", within / width, within % width,
                           images.channels > 1 ? fmt::format(" of channel {}", chosen / area) : "");
  best.train_accuracy = top;
  for (const std::size_t row : s.test_rows)
    best.predicted.push_back(answer[static_cast<std::size_t>(s.test->images.image(row)[chosen] / kBins)]);
  return best;
}

base::Status image_baselines(const Setting& s, std::vector<Fitted>& out) {
  const data::Images& images = s.train->images;
  const auto h = static_cast<std::size_t>(images.height);
  const auto w = static_cast<std::size_t>(images.width);
  const auto channels = static_cast<std::size_t>(images.channels);
  const auto add = [&](std::string name, std::string place,
                       const std::vector<std::vector<std::size_t>>& groups) -> base::Status {
    PL_CHECK(s.cancel.status());
    PL_TRY(Fitted fitted, fit(s, std::move(name), std::move(place), averages(images, s.train_rows, groups),
                              averages(s.test->images, s.test_rows, groups), true));
    out.push_back(std::move(fitted));
    return base::ok();
  };
  std::vector<std::vector<std::size_t>> brightness(channels);
  std::vector<std::vector<std::size_t>> border;
  const std::size_t cells = std::min<std::size_t>({4, h, w});
  std::vector<std::vector<std::size_t>> thumbnail(channels * cells * cells);
  std::vector<std::vector<std::vector<std::size_t>>> patches(cells * cells);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t y = 0; y < h; ++y) {
      for (std::size_t x = 0; x < w; ++x) {
        const std::size_t p = (c * h + y) * w + x;
        const std::size_t cell = (y * cells / h) * cells + x * cells / w;
        brightness[c].push_back(p);
        thumbnail[c * cells * cells + cell].push_back(p);
        patches[cell].push_back({p});
        if (y == 0 || x == 0 || y + 1 == h || x + 1 == w) border.push_back({p});
      }
    }
  }
  PL_CHECK(add("brightness", "mean brightness", brightness));
  PL_CHECK(add("thumbnail", fmt::format("a thumbnail of {} x {} pixels", cells, cells), thumbnail));
  PL_CHECK(add("border", "the border, one pixel wide", border));
  if (h >= 8 && w >= 8 && patches.front().size() <= 1024) {
    for (std::size_t cell = 0; cell < patches.size(); ++cell) {
      const std::size_t y = cell / cells;
      const std::size_t x = cell % cells;
      PL_CHECK(add(fmt::format("patch {},{}", y, x),
                   fmt::format("the patch of rows {} to {}, columns {} to {}", (y * h + cells - 1) / cells,
                               ((y + 1) * h + cells - 1) / cells - 1, (x * w + cells - 1) / cells,
                               ((x + 1) * w + cells - 1) / cells - 1),
                   patches[cell]));
    }
  }
  out.push_back(best_pixel(s));
  return base::ok();
}

base::Status matrix_baselines(const Setting& s, std::vector<Fitted>& out) {
  for (Eigen::Index j = 0; j < s.train->matrix.cols(); ++j) {
    PL_CHECK(s.cancel.status());
    const auto column = [&](const MatrixF& m, const std::vector<std::size_t>& rows) {
      std::vector<double> values;
      for (const std::size_t i : rows) values.push_back(m(static_cast<Eigen::Index>(i), j));
      return values;
    };
    const std::vector<double> a = column(s.train->matrix, s.train_rows);
    const std::vector<double> b = column(s.test->matrix, s.test_rows);
    MatrixF train(static_cast<Eigen::Index>(a.size()), 1);
    MatrixF test(static_cast<Eigen::Index>(b.size()), 1);
    for (std::size_t i = 0; i < a.size(); ++i) train(static_cast<Eigen::Index>(i), 0) = static_cast<float>(a[i]);
    for (std::size_t i = 0; i < b.size(); ++i) test(static_cast<Eigen::Index>(i), 0) = static_cast<float>(b[i]);
    add_bins(a, b, train, test);
    PL_TRY(Fitted fitted, fit(s, fmt::format("column {}", j), fmt::format("column {} alone", j), train, test, true));
    out.push_back(std::move(fitted));
  }
  return base::ok();
}

std::vector<std::uint8_t> hits(const std::vector<int>& predicted, const std::vector<int>& labels) {
  std::vector<std::uint8_t> out(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) out[i] = predicted[i] == labels[i] ? 1 : 0;
  return out;
}

}  // namespace

base::Result<ShortcutResult> cheap_baselines(const Dataset& train, const Dataset& test, const ShortcutOptions& options,
                                             const base::Rng& rng) {
  constexpr const char* kName = "cheap_baselines";
  PL_CHECK(base::check_at_least(kName, "baselines", static_cast<std::ptrdiff_t>(options.baselines), 1));
  PL_CHECK(base::check_at_least(kName, "train_rows", static_cast<std::ptrdiff_t>(options.train_rows), 10));
  for (const Dataset* const set : {&train, &test}) {
    if (set->rows() == 0 || !set->labelled())
      return make_error(Code::kShape, fmt::format("'{}' has no labelled row, expected at least 1", set->name), kName);
  }
  if (train.kind != test.kind)
    return make_error(Code::kShape, fmt::format("'{}' and '{}' are of different kinds", train.name, test.name), kName);
  if (train.kind == Dataset::Kind::kImages &&
      (train.images.pixels() != test.images.pixels() || train.images.width != test.images.width)) {
    return make_error(Code::kShape, fmt::format("images of '{}' and '{}' differ in size", train.name, test.name),
                      kName);
  }
  if (train.kind == Dataset::Kind::kMatrix && train.matrix.cols() != test.matrix.cols()) {
    return make_error(
        Code::kShape,
        fmt::format("'{}' has {} columns, '{}' has {}", train.name, train.matrix.cols(), test.name, test.matrix.cols()),
        kName);
  }
  Setting s;
  s.train = &train;
  s.test = &test;
  s.classes = std::max(train.classes(), test.classes());
  s.cancel = options.cancel;
  base::Rng stream = rng.fork("rows");
  s.train_rows = stream.sample(train.rows(), std::min(train.rows(), options.train_rows));
  s.test_rows.resize(test.rows());
  std::iota(s.test_rows.begin(), s.test_rows.end(), std::size_t{0});
  std::vector<std::size_t> totals(static_cast<std::size_t>(s.classes), 0);
  for (const std::size_t i : s.train_rows) {
    s.train_labels.push_back(train.labels[i]);
    ++totals[static_cast<std::size_t>(train.labels[i])];
  }
  if (s.classes < 2)
    return make_error(Code::kValue, fmt::format("the labels name {} class, expected at least 2", s.classes), kName);

  ShortcutResult out;
  out.majority = static_cast<int>(std::max_element(totals.begin(), totals.end()) - totals.begin());
  std::vector<Fitted> fitted;
  switch (train.kind) {
    case Dataset::Kind::kTable: PL_CHECK(table_baselines(s, options, fitted)); break;
    case Dataset::Kind::kImages: PL_CHECK(image_baselines(s, fitted)); break;
    case Dataset::Kind::kMatrix: PL_CHECK(matrix_baselines(s, fitted)); break;
  }
  if (fitted.empty())
    return make_error(Code::kShape,
                      fmt::format("'{}' and '{}' share no column that a baseline could read", train.name, test.name),
                      kName);
  std::stable_sort(fitted.begin(), fitted.end(),
                   [](const Fitted& a, const Fitted& b) { return a.train_accuracy > b.train_accuracy; });
  if (fitted.size() > options.baselines) {
    // Declared partial inputs are always judged.
    std::stable_partition(fitted.begin(), fitted.end(), [](const Fitted& f) {
      return f.name.starts_with("fields ") || f.name.starts_with("without ");
    });
    out.left_out = fitted.size() - options.baselines;
    fitted.resize(options.baselines);
  }
  const std::vector<std::uint8_t> guess = hits(std::vector<int>(test.rows(), out.majority), test.labels);
  PL_TRY(out.majority_accuracy, stats::proportion(guess, test.units));
  std::vector<double> p_values;
  for (Fitted& f : fitted) {
    Baseline b;
    b.name = std::move(f.name);
    b.place = std::move(f.place);
    b.train_accuracy = f.train_accuracy;
    b.inputs = static_cast<std::size_t>(f.inputs);
    b.correct = hits(f.predicted, test.labels);
    PL_TRY(b.accuracy, stats::proportion(b.correct, test.units));
    std::vector<double> difference(guess.size());
    std::size_t mine = 0;
    std::size_t theirs = 0;
    for (std::size_t i = 0; i < guess.size(); ++i) {
      difference[i] = static_cast<double>(b.correct[i]) - guess[i];
      mine += b.correct[i] > guess[i] ? 1 : 0;
      theirs += b.correct[i] < guess[i] ? 1 : 0;
    }
    PL_TRY(b.gain, stats::mean(difference, test.units));
    PL_TRY(const stats::TestResult mcnemar, stats::mcnemar_exact(mine, theirs, stats::Tail::kGreater));
    b.p_value = mcnemar.p_value;
    p_values.push_back(b.p_value);
    out.baselines.push_back(std::move(b));
  }
  PL_TRY(const std::vector<double> adjusted, stats::holm(p_values));
  for (std::size_t k = 0; k < adjusted.size(); ++k) out.baselines[k].adjusted_p = adjusted[k];
  std::stable_sort(out.baselines.begin(), out.baselines.end(), [](const Baseline& a, const Baseline& b) {
    return a.accuracy.value > b.accuracy.value || (a.accuracy.value == b.accuracy.value && a.inputs < b.inputs);
  });
  return out;
}

stats::Estimate largest_of(std::span<const stats::Estimate> each) {
  base::ensure(!each.empty(), "largest_of needs an estimate");
  const auto by_value = [](const stats::Estimate& a, const stats::Estimate& b) { return a.value < b.value; };
  stats::Estimate out = *std::max_element(each.begin(), each.end(), by_value);
  const auto m = static_cast<double>(each.size());
  for (std::size_t rung = 0; rung < stats::kLadder.size(); ++rung) {
    const auto strict = stats::rung_at_or_above(1 - (1 - stats::kLadder[rung]) / m);
    std::optional<double> low;
    std::optional<double> high;
    bool complete = true;
    for (const stats::Estimate& e : each) {
      if (strict && e.bounds.lower[*strict])
        low = std::max(low.value_or(*e.bounds.lower[*strict]), *e.bounds.lower[*strict]);
      // A baseline that always agrees with the majority class shows no spread: its figure is 0 and bounds nothing.
      complete = complete && (e.bounds.upper[rung].has_value() || e.value == 0);
      const double upper = e.bounds.upper[rung].value_or(e.value);
      high = std::max(high.value_or(upper), upper);
    }
    out.bounds.lower[rung] = low;
    out.bounds.upper[rung] = complete ? high : std::nullopt;
  }
  out.method = fmt::format("largest of {}: {}, union bound below", each.size(), out.method);
  return out;
}

base::Result<Solvability> solvability(const ShortcutResult& result, std::span<const std::uint8_t> majority_correct,
                                      std::span<const std::uint8_t> model_correct, std::span<const int> units,
                                      const base::Rng& rng, std::size_t replicates, const base::CancelToken& cancel) {
  constexpr const char* kName = "solvability";
  const std::size_t n = model_correct.size();
  if (result.baselines.empty()) return make_error(Code::kShape, "there is no baseline, expected at least 1", kName);
  PL_CHECK(base::check_size(kName, "majority_correct", static_cast<std::ptrdiff_t>(majority_correct.size()),
                            static_cast<std::ptrdiff_t>(n)));
  PL_CHECK(base::check_size(kName, "baseline rows",
                            static_cast<std::ptrdiff_t>(result.baselines.front().correct.size()),
                            static_cast<std::ptrdiff_t>(n)));
  if (!units.empty())
    PL_CHECK(
        base::check_size(kName, "units", static_cast<std::ptrdiff_t>(units.size()), static_cast<std::ptrdiff_t>(n)));

  Solvability out;
  std::vector<double> own(n);
  for (std::size_t i = 0; i < n; ++i) own[i] = static_cast<double>(model_correct[i]) - majority_correct[i];
  PL_TRY(const stats::Estimate gain, stats::mean(own, units));
  const auto least = gain.bounds.lower[*stats::rung_at_or_above(0.95)];
  if (!least || *least <= 0) {
    out.not_defined =
        fmt::format("the model's own gain over the majority class is {:.3f} and not clearly above 0", gain.value);
    return out;
  }
  // Totals by unit.
  std::map<int, std::size_t> index;
  std::vector<std::size_t> unit_of(n);
  for (std::size_t i = 0; i < n; ++i)
    unit_of[i] = units.empty() ? i : index.emplace(units[i], index.size()).first->second;
  const std::size_t count = units.empty() ? n : index.size();
  std::vector<double> model_total(count, 0);
  for (std::size_t i = 0; i < n; ++i) model_total[unit_of[i]] += own[i];
  stats::BootstrapOptions options;
  options.replicates = replicates;
  options.kind = stats::BootstrapKind::kPercentile;
  options.cancel = cancel;
  for (std::size_t b = 0; b < result.baselines.size(); ++b) {
    std::vector<double> total(count, 0);
    for (std::size_t i = 0; i < n; ++i)
      total[unit_of[i]] += static_cast<double>(result.baselines[b].correct[i]) - majority_correct[i];
    // Units with the same pair of totals are of one kind; there are few kinds.
    std::map<std::pair<double, double>, std::size_t> kinds;
    for (std::size_t u = 0; u < count; ++u) ++kinds[{total[u], model_total[u]}];
    std::vector<std::pair<double, double>> pairs;
    std::vector<std::size_t> counts;
    for (const auto& [pair, units_of_kind] : kinds) {
      pairs.push_back(pair);
      counts.push_back(units_of_kind);
    }
    PL_TRY(stats::Estimate s, stats::bootstrap_kinds(
                                  counts,
                                  [&](std::span<const std::size_t> drawn) {
                                    double up = 0;
                                    double down = 0;
                                    for (std::size_t k = 0; k < drawn.size(); ++k) {
                                      up += static_cast<double>(drawn[k]) * pairs[k].first;
                                      down += static_cast<double>(drawn[k]) * pairs[k].second;
                                    }
                                    return down > 0 ? up / down : std::nan("");
                                  },
                                  options, rng.fork(b)));
    out.each.push_back(std::move(s));
    if (out.each.back().value > out.each[out.worst_baseline].value) out.worst_baseline = b;
  }
  out.worst = largest_of(out.each);
  return out;
}

}  // namespace plumbline::methodology
