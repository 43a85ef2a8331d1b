#include "plumbline/counterfactual/effects/study.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/effects/linear.hpp"
#include "plumbline/data/csv.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using data::Column;
using Index = Eigen::Index;

base::Result<const Column*> find_column(const data::Table& table, const std::string& name, const std::string& part) {
  if (const Column* column = table.find(name); column != nullptr) return column;
  std::vector<std::string> names;
  for (const Column& column : table.columns) names.push_back(column.name);
  const std::string near = base::nearest(name, names);
  return base::make_error(
      base::Code::kValue, fmt::format("no column '{}' for the {}", name, part), {},
      near.empty() ? fmt::format("there are {}", base::join_words(names)) : fmt::format("did you mean '{}'?", near));
}

bool is_missing(const Column& column, std::size_t row) {
  if (column.kind == Column::Kind::kNumber) return !std::isfinite(column.numbers[row]);
  if (column.kind == Column::Kind::kCategory) return column.codes[row] < 0;
  return column.text_missing[row];
}

/// A column that must be a number.
base::Result<const Column*> number_column(const data::Table& table, const std::string& name, const std::string& part) {
  PL_TRY(const Column* column, find_column(table, name, part));
  if (column->kind != Column::Kind::kNumber)
    return base::make_error(base::Code::kValue, fmt::format("the {} '{}' holds words, not numbers", part, name), {},
                            "code it as numbers, 0 and 1 where it has two values");
  return column;
}

/// Every part of the question with its column; the same column may not have two.
struct Parts {
  const Column* treatment = nullptr;
  const Column* outcome = nullptr;
  std::vector<const Column*> covariates, instruments, negatives;
  const Column* running = nullptr;
  const Column* unit = nullptr;
  const Column* time = nullptr;
  const Column* cluster = nullptr;
  std::vector<const Column*> all;
  std::vector<std::unique_ptr<Column>> derived;
};

/// The column that a covariate's text asks for: itself, or made from others. Null where the text has none of the forms.
base::Result<std::unique_ptr<Column>> derive(const data::Table& table, const std::string& text) {
  const std::string part = "covariate";
  auto out = std::make_unique<Column>();
  out->name = text;
  if (text.ends_with("^2")) {
    PL_TRY(const Column* of, number_column(table, text.substr(0, text.size() - 2), part));
    for (const double v : of->numbers) out->numbers.push_back(v * v);
    return out;
  }
  if (text.starts_with("cat(") && text.ends_with(")")) {
    PL_TRY(const Column* of, number_column(table, text.substr(4, text.size() - 5), part));
    out->kind = Column::Kind::kCategory;
    std::set<double> values;
    for (const double v : of->numbers)
      if (std::isfinite(v)) values.insert(v);
    constexpr std::size_t kMostLevels = 1000;
    if (values.size() > kMostLevels)
      return base::make_error(base::Code::kLimit,
                              fmt::format("'{}' has {} values, of at most {}", text, values.size(), kMostLevels));
    for (const double v : values) out->levels.push_back(fmt::format("{}", v));
    for (const double v : of->numbers)
      out->codes.push_back(std::isfinite(v) ? static_cast<int>(std::distance(values.begin(), values.find(v))) : -1);
    return out;
  }
  if (const auto star = text.find('*'); star != std::string::npos) {
    PL_TRY(const Column* a, number_column(table, text.substr(0, star), part));
    PL_TRY(const Column* b, number_column(table, text.substr(star + 1), part));
    for (std::size_t i = 0; i < a->numbers.size(); ++i) out->numbers.push_back(a->numbers[i] * b->numbers[i]);
    return out;
  }
  if (const auto is = text.find('='); is != std::string::npos) {
    double value = 0;
    PL_TRY(const Column* of, number_column(table, text.substr(0, is), part));
    if (!data::parse_number(text.substr(is + 1), &value))
      return base::make_error(base::Code::kValue, fmt::format("'{}': no number after =", text));
    for (const double v : of->numbers) out->numbers.push_back(std::isfinite(v) ? (v == value ? 1 : 0) : v);
    return out;
  }
  return std::unique_ptr<Column>();
}

base::Status add_part(Parts& parts, std::map<std::string, std::string>& taken, const Column* column,
                      const std::string& part) {
  const auto [at, fresh] = taken.emplace(column->name, part);
  if (!fresh)
    return base::make_error(base::Code::kValue,
                            fmt::format("column '{}' is both {} and {}", column->name, at->second, part));
  parts.all.push_back(column);
  return base::ok();
}

base::Result<Parts> find_parts(const data::Table& table, const Columns& c) {
  Parts p;
  std::map<std::string, std::string> taken;
  if (!c.treatment.empty()) {
    PL_TRY(p.treatment, find_column(table, c.treatment, "treatment"));
    PL_CHECK(add_part(p, taken, p.treatment, "treatment"));
  }
  PL_TRY(p.outcome, number_column(table, c.outcome, "outcome"));
  PL_CHECK(add_part(p, taken, p.outcome, "outcome"));
  const auto one = [&](const std::string& name, const std::string& part, bool number,
                       const Column*& into) -> base::Status {
    if (name.empty()) return base::ok();
    PL_TRY(into, number ? number_column(table, name, part) : find_column(table, name, part));
    return add_part(p, taken, into, part);
  };
  for (const std::string& name : c.instruments) {
    const Column* column = nullptr;
    PL_CHECK(one(name, "instrument", true, column));
    p.instruments.push_back(column);
  }
  for (const std::string& name : c.negative_outcomes) {
    const Column* column = nullptr;
    PL_CHECK(one(name, "negative outcome", true, column));
    p.negatives.push_back(column);
  }
  PL_CHECK(one(c.running, "running variable", true, p.running));
  PL_CHECK(one(c.unit, "unit", false, p.unit));
  PL_CHECK(one(c.time, "time", true, p.time));
  // Units may cluster too: a cluster may be the unit, and it may be a covariate.
  if (!c.cluster.empty()) {
    PL_TRY(p.cluster, find_column(table, c.cluster, "cluster"));
    p.all.push_back(p.cluster);
  }
  std::vector<std::string> names = c.covariates;
  if (names.size() == 1 && names[0] == "all" && table.find("all") == nullptr) {
    names.clear();
    for (const Column& column : table.columns)
      if (!taken.contains(column.name) && column.name != c.cluster && column.kind != Column::Kind::kText &&
          std::find(c.ignore.begin(), c.ignore.end(), column.name) == c.ignore.end())
        names.push_back(column.name);
  }
  for (const std::string& name : names) {
    std::unique_ptr<Column> made;
    if (table.find(name) == nullptr) {
      PL_TRY(made, derive(table, name));
    }
    const Column* column = made.get();
    if (made != nullptr) {
      p.derived.push_back(std::move(made));
    } else {
      PL_TRY(column, find_column(table, name, "covariate"));
    }
    if (column->kind == Column::Kind::kText)
      return base::make_error(base::Code::kValue, fmt::format("the covariate '{}' holds free text", name), {},
                              "leave it out, or code it as numbers or categories");
    PL_CHECK(add_part(p, taken, column, "covariate"));
    p.covariates.push_back(column);
  }
  return p;
}

VectorD numbers_at(const Column& column, const std::vector<std::size_t>& rows) {
  VectorD out(static_cast<Index>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) out(static_cast<Index>(i)) = column.numbers[rows[i]];
  return out;
}

std::string label_of(const Column& column, std::size_t row) {
  if (column.kind == Column::Kind::kNumber) return fmt::format("{}", column.numbers[row]);
  if (column.kind == Column::Kind::kCategory) return column.levels[static_cast<std::size_t>(column.codes[row])];
  return column.texts[row];
}

/// Whatever identifies a unit, numbered in order of first appearance.
std::vector<int> numbered(const Column& column, const std::vector<std::size_t>& rows) {
  std::map<std::string, int> seen;
  std::vector<int> out;
  for (const std::size_t row : rows)
    out.push_back(seen.emplace(label_of(column, row), static_cast<int>(seen.size())).first->second);
  return out;
}

base::Status read_treatment(const Column& column, const std::string& treated, Study& s) {
  std::set<std::string> words;
  std::set<double> values;
  for (const std::size_t row : s.rows) {
    if (column.kind == Column::Kind::kNumber) {
      if (values.size() < 3) values.insert(column.numbers[row]);
    } else if (words.size() < 3) {
      words.insert(label_of(column, row));
    }
  }
  const bool number = column.kind == Column::Kind::kNumber;
  s.levels = number ? values.size() : words.size();
  s.binary = s.levels == 2;
  if (number) {
    s.treatment = numbers_at(column, s.rows);
    if (!s.binary) return base::ok();
    for (const double v : values) words.insert(fmt::format("{}", v));
    s.untreated = fmt::format("{}", *values.begin());
    s.treated = fmt::format("{}", *values.rbegin());
  } else {
    if (s.levels > 2)
      return base::make_error(base::Code::kValue,
                              fmt::format("the treatment '{}' has more than two values in words", column.name), {},
                              "code a treatment of several kinds as 0 and 1, a pair at a time");
    s.untreated = *words.begin();
    s.treated = *words.rbegin();
  }
  if (!treated.empty()) {
    if (!words.contains(treated))
      return base::make_error(base::Code::kValue,
                              fmt::format("'{}' is no value of the treatment '{}'", treated, column.name), {},
                              fmt::format("it has {} and {}", s.untreated, s.treated));
    if (treated != s.treated) std::swap(s.treated, s.untreated);
  }
  VectorD coded(static_cast<Index>(s.rows.size()));
  for (std::size_t i = 0; i < s.rows.size(); ++i)
    coded(static_cast<Index>(i)) = label_of(column, s.rows[i]) == s.treated ? 1 : 0;
  s.treatment = coded;
  return base::ok();
}

void code_covariates(const std::vector<const Column*>& covariates, Study& s) {
  std::vector<VectorD> coded;
  for (std::size_t c = 0; c < covariates.size(); ++c) {
    const Column& column = *covariates[c];
    s.covariates.push_back(column.name);
    if (column.kind == Column::Kind::kNumber) {
      coded.push_back(numbers_at(column, s.rows));
      s.columns.push_back(column.name);
      s.covariate.push_back(c);
      continue;
    }
    std::set<int> present;
    for (const std::size_t row : s.rows) present.insert(column.codes[row]);
    if (!present.empty()) present.erase(present.begin());
    for (const int level : present) {
      VectorD is(static_cast<Index>(s.rows.size()));
      for (std::size_t i = 0; i < s.rows.size(); ++i) is(static_cast<Index>(i)) = column.codes[s.rows[i]] == level;
      coded.push_back(std::move(is));
      s.columns.push_back(fmt::format("{}={}", column.name, column.levels[static_cast<std::size_t>(level)]));
      s.covariate.push_back(c);
    }
  }
  s.x.resize(static_cast<Index>(s.rows.size()), static_cast<Index>(coded.size()));
  for (std::size_t j = 0; j < coded.size(); ++j) s.x.col(static_cast<Index>(j)) = coded[j];
}

MatrixD matrix_of(const std::vector<const Column*>& columns, const std::vector<std::size_t>& rows) {
  MatrixD out(static_cast<Index>(rows.size()), static_cast<Index>(columns.size()));
  for (std::size_t j = 0; j < columns.size(); ++j) out.col(static_cast<Index>(j)) = numbers_at(*columns[j], rows);
  return out;
}

std::vector<int> renumbered(const std::vector<int>& ids, const std::vector<std::size_t>& which) {
  std::map<int, int> seen;
  std::vector<int> out;
  if (ids.empty()) return out;
  for (const std::size_t i : which) out.push_back(seen.emplace(ids[i], static_cast<int>(seen.size())).first->second);
  return out;
}

}  // namespace

base::Result<Study> make_study(const data::Table& table, const Columns& columns) {
  PL_TRY(const Parts parts, find_parts(table, columns));
  Study s;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if (std::none_of(parts.all.begin(), parts.all.end(), [&](const Column* c) { return is_missing(*c, row); }))
      s.rows.push_back(row);
  }
  s.missing = table.rows() - s.rows.size();
  if (s.rows.size() < 10)
    return base::make_error(base::Code::kShape,
                            fmt::format("{} of {} rows are complete, of at least 10", s.rows.size(), table.rows()), {},
                            "leave out columns with many missing values");
  s.outcome_name = columns.outcome;
  s.treatment_name = columns.treatment;
  s.outcome = numbers_at(*parts.outcome, s.rows);
  s.binary_outcome = (s.outcome.array() == 0 || s.outcome.array() == 1).all();
  if (parts.treatment != nullptr) PL_CHECK(read_treatment(*parts.treatment, columns.treated, s));
  code_covariates(parts.covariates, s);
  s.instruments = matrix_of(parts.instruments, s.rows);
  s.negatives = matrix_of(parts.negatives, s.rows);
  s.negative_names = columns.negative_outcomes;
  if (parts.running != nullptr) s.running = numbers_at(*parts.running, s.rows);
  if (parts.time != nullptr) s.time = numbers_at(*parts.time, s.rows);
  if (parts.unit != nullptr) s.units = numbered(*parts.unit, s.rows);
  if (parts.cluster != nullptr) s.clusters = numbered(*parts.cluster, s.rows);
  return s;
}

std::size_t Study::treated_rows() const { return static_cast<std::size_t>((treatment.array() > 0.5).count()); }

std::size_t Study::cluster_total() const { return cluster_count(clusters, n()); }

Study Study::without(std::size_t covariate_index) const {
  Study out = *this;
  std::vector<Index> kept;
  out.columns.clear();
  out.covariate.clear();
  for (std::size_t j = 0; j < columns.size(); ++j) {
    if (covariate[j] == covariate_index) continue;
    kept.push_back(static_cast<Index>(j));
    out.columns.push_back(columns[j]);
    out.covariate.push_back(covariate[j]);
  }
  out.x.resize(x.rows(), static_cast<Index>(kept.size()));
  for (std::size_t j = 0; j < kept.size(); ++j) out.x.col(static_cast<Index>(j)) = x.col(kept[j]);
  return out;
}

Study Study::with_outcome(const VectorD& y, const std::string& name) const {
  Study out = *this;
  out.outcome = y;
  out.outcome_name = name;
  out.binary_outcome = (y.array() == 0 || y.array() == 1).all();
  return out;
}

Study Study::take(const std::vector<std::size_t>& which) const {
  Study out = *this;
  out.outcome = take_rows(outcome, which);
  if (treatment.size() > 0) out.treatment = take_rows(treatment, which);
  out.x = take_rows(x, which);
  out.instruments = take_rows(instruments, which);
  out.negatives = take_rows(negatives, which);
  if (running.size() > 0) out.running = take_rows(running, which);
  if (time.size() > 0) out.time = take_rows(time, which);
  out.units = renumbered(units, which);
  out.clusters = renumbered(clusters, which);
  out.rows.clear();
  for (const std::size_t i : which) out.rows.push_back(rows[i]);
  return out;
}

}  // namespace plumbline::counterfactual::effects
