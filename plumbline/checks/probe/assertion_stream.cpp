#include "plumbline/checks/probe/assertion_stream.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/counterfactual/logs.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::checks::probe {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::string name_at(const std::vector<std::string>& names, int code) {
  return code < 0 ? std::string() : names[static_cast<std::size_t>(code)];
}

/// Adds one number or text to every record.
template <class Value>
void add_field(AssertionStream& stream, const std::string& name, const Value& value) {
  constexpr bool kText = std::is_same_v<std::invoke_result_t<Value, std::size_t>, std::string>;
  (kText ? stream.fields.texts : stream.fields.numbers).push_back(name);
  for (std::size_t i = 0; i < stream.records.size(); ++i) {
    if constexpr (kText) {
      stream.records[i].texts.push_back(value(i));
    } else {
      stream.records[i].numbers.push_back(value(i));
    }
  }
}

void add_table(AssertionStream& stream, const data::Table& table) {
  for (const data::Column& c : table.columns) {
    switch (c.kind) {
      case data::Column::Kind::kNumber: add_field(stream, c.name, [&](std::size_t i) { return c.numbers[i]; }); break;
      case data::Column::Kind::kCategory:
        add_field(stream, c.name, [&](std::size_t i) { return name_at(c.levels, c.codes[i]); });
        break;
      case data::Column::Kind::kText:
        add_field(stream, c.name, [&](std::size_t i) { return c.text_missing[i] ? std::string() : c.texts[i]; });
        break;
    }
  }
}

void sort_by_time(AssertionStream& stream) {
  std::vector<std::size_t> order(stream.records.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return stream.records[a].time < stream.records[b].time; });
  std::vector<plumbline::probe::AssertionRecord> records;
  std::vector<std::size_t> source;
  for (const std::size_t i : order) {
    records.push_back(std::move(stream.records[i]));
    source.push_back(stream.source[i]);
  }
  stream.records = std::move(records);
  stream.source = std::move(source);
}

/// Label, confidence, margin between the two best, entropy in nats.
base::Status add_answers(AssertionStream& stream, check::Context& context, const data::Dataset& set) {
  const std::string& model = context.task().model;
  PL_TRY(const auto prediction, context.predictions(model, set.name));
  PL_TRY(const auto info, context.predictor_info(model));
  const auto n = static_cast<std::ptrdiff_t>(stream.records.size());
  if (prediction->outputs.rows() != n || prediction->outputs.cols() < 2)
    return base::make_error(base::Code::kShape, fmt::format("'{}' gives {} x {} outputs for {} rows", model,
                                                            prediction->outputs.rows(), prediction->outputs.cols(), n));
  Classified answers;
  answers.prediction = prediction;
  answers.output = info.output;
  const bool stated = info.output != decision::Output::kScores;
  const MatrixD p = stated ? answers.probabilities() : MatrixD(prediction->outputs);
  std::vector<int> best(stream.records.size());
  std::vector<double> first(best.size()), second(best.size()), entropy(best.size(), stated ? 0.0 : kNone);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    first[at] = second[at] = -std::numeric_limits<double>::infinity();
    for (std::ptrdiff_t c = 0; c < p.cols(); ++c) {
      if (p(i, c) > first[at]) {
        second[at] = std::exchange(first[at], p(i, c));
        best[at] = static_cast<int>(c);
      } else {
        second[at] = std::max(second[at], p(i, c));
      }
      if (stated && p(i, c) > 0) entropy[at] -= p(i, c) * std::log(p(i, c));
    }
  }
  const auto name_of = [&](int c) {
    return static_cast<std::size_t>(c) < set.class_names.size() ? set.class_names[static_cast<std::size_t>(c)]
                                                                : fmt::format("{}", c);
  };
  add_field(stream, "label", [&](std::size_t i) { return name_of(best[i]); });
  add_field(stream, "confidence", [&](std::size_t i) { return first[i]; });
  add_field(stream, "margin", [&](std::size_t i) { return first[i] - second[i]; });
  add_field(stream, "entropy", [&](std::size_t i) { return entropy[i]; });
  if (set.labelled()) add_field(stream, "truth", [&](std::size_t i) { return name_of(set.labels[i]); });
  return base::ok();
}

}  // namespace

base::Result<AssertionStream> stream_of_decisions(check::Context& context, std::vector<std::string>& notes) {
  const std::string& name = context.task().data;
  PL_TRY(const data::OtherSection* section, context.section("log", name));
  PL_TRY(const LogPart part, read_log_part(*section));
  PL_TRY(const data::DecisionLog log, data::read_decision_log(part.path, part.reading));
  AssertionStream stream;
  stream.records.resize(log.rows());
  const bool timed = std::all_of(log.time.begin(), log.time.end(), [](double t) { return std::isfinite(t); });
  if (!timed) notes.push_back("some decisions have no time: the number of the record stands for seconds");
  for (std::size_t i = 0; i < log.rows(); ++i) {
    stream.records[i].time = timed ? log.time[i] : static_cast<double>(i);
    stream.records[i].unit = name_at(log.unit_names, log.unit[i]);
    stream.source.push_back(i);
  }
  add_table(stream, log.context);
  add_field(stream, "propensity", [&](std::size_t i) { return log.propensity[i]; });
  add_field(stream, "reward", [&](std::size_t i) { return log.reward[i]; });
  add_field(stream, "label", [&](std::size_t i) { return name_at(log.action_names, log.action[i]); });
  add_field(stream, "final", [&](std::size_t i) {
    return name_at(log.action_names, log.final_action[i] < 0 ? log.action[i] : log.final_action[i]);
  });
  stream.words = fmt::format("{} decisions of {}", log.rows(), name);
  sort_by_time(stream);
  return stream;
}

base::Result<AssertionStream> stream_of_rows(check::Context& context, const std::string& time,
                                             std::vector<std::string>& notes) {
  PL_TRY(const data::DatasetPtr set, context.dataset(context.task().data));
  AssertionStream stream;
  stream.records.resize(set->rows());
  const data::Column* clock = time.empty() ? nullptr : set->table.find(time);
  if (!time.empty() && (clock == nullptr || clock->kind != data::Column::Kind::kNumber))
    return base::make_error(base::Code::kValue, fmt::format("'{}' is no column of numbers", time), set->name,
                            "The parameter time names the column of the time in seconds");
  if (clock == nullptr) notes.push_back("no column of the time: the number of the row stands for seconds");
  for (std::size_t i = 0; i < set->rows(); ++i) {
    const std::size_t source = set->source_rows.empty() ? i : set->source_rows[i];
    const double at = clock == nullptr ? static_cast<double>(source) : clock->numbers[i];
    if (!std::isfinite(at))
      return base::make_error(base::Code::kValue, fmt::format("row {} has no time in '{}'", source, time), set->name);
    stream.records[i].time = at;
    if (!set->units.empty()) {
      const auto unit = static_cast<std::size_t>(set->units[i]);
      stream.records[i].unit = unit < set->unit_values.size() ? set->unit_values[unit] : fmt::format("unit {}", unit);
    }
    stream.source.push_back(source);
  }
  add_table(stream, set->table);
  if (set->kind == data::Dataset::Kind::kMatrix)
    for (std::ptrdiff_t j = 0; j < set->matrix.cols(); ++j)
      add_field(stream, fmt::format("x{}", j),
                [&](std::size_t i) { return static_cast<double>(set->matrix(static_cast<std::ptrdiff_t>(i), j)); });
  if (!context.task().model.empty()) PL_CHECK(add_answers(stream, context, *set));
  stream.words = fmt::format("{} rows of {}", set->rows(), set->name);
  sort_by_time(stream);
  return stream;
}

}  // namespace plumbline::checks::probe
