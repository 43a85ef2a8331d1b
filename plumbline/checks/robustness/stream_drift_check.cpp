#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/counterfactual/logs.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/checks/robustness/compared_sets.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/robustness/drift.hpp"
#include "plumbline/robustness/stream_watch.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/linalg.hpp"

namespace plumbline::checks {
namespace {

using check::Context;
using check::Output;
using check::Params;
using robustness::StreamColumn;
using robustness::StreamDetector;
using robustness::StreamReport;

check::CheckInfo facts() {
  check::CheckInfo f;
  f.id = "robustness.stream_drift";
  f.title = "Drift in a stream";
  f.question =
      "Did the world change while the stream ran, when was that known, and how often would it be cried falsely?";
  f.row = "R4";
  f.needs = {"a reference set (train) and a set of role test or out-of-distribution whose rows are in order of time",
             "or a decision log in order of time, [log.NAME]"};
  f.params = {
      {"reference",
       std::string(),
       {},
       {},
       {},
       "the set of rows before the stream; empty = the set of role train. Rows of a log: see known"},
      {"known", 0.3, 0.01, 0.9, {}, "of a log: the share of its first decisions that is the reference"},
      {"level", 0.01, 1e-6, 0.5, {}, "of the detector ever: probability of a false alarm however long the stream"},
      {"run_length", 10000.0, 10, 1e9, {}, "of the others: rows for each false alarm, at least"},
      {"allowance", 0.5, 0, 3, {}, "of cusum, in deviations: half of the shift that should be found soonest"},
      {"plant", 1.0, 0.05, 10, {}, "the shift planted in rehearsals, in deviations of each column"},
      {"rehearsals", std::int64_t{20}, 0, 1000, {}, "orders of the reference in which it is played; 0 = none"},
      {"sample", std::int64_t{2000}, 80, 100000, {}, "rows of the reference used in rehearsals at most"}};
  f.yields = {
      {"p_value",
       "share",
       check::Direction::kHigherIsBetter,
       "of \"nothing changed\"; holds however long one watched, so it may be looked at after every row",
       {},
       {}},
      {"alarms", "alarms", check::Direction::kLowerIsBetter, "of a detector", {"detector"}, {{"detector", "bets"}}},
      {"false_alarms",
       "share",
       check::Direction::kLowerIsBetter,
       "rehearsals without a change in which the detector cried",
       {"detector"},
       {{"detector", "bets"}}},
      {"found",
       "share",
       check::Direction::kHigherIsBetter,
       "rehearsals with a planted shift in which it cried after the shift",
       {"detector"},
       {{"detector", "bets"}}},
      {"delay",
       "rows",
       check::Direction::kLowerIsBetter,
       "mean rows from the planted shift to its alarm; not found: to the end of the stream",
       {"detector"},
       {{"detector", "bets"}}}};
  f.assumptions = {"while nothing changes, reference and stream are exchangeable"};
  f.sources = {"Vovk, Testing randomness online, Statistical Science 2021",
               "Shin, Ramdas, Rinaldo, E-detectors, NEJSDS 2024",
               "Page, Continuous inspection schemes, Biometrika 1954",
               "Bifet, Gavalda, Learning from time-changing data with adaptive windowing, SDM 2007"};
  f.cost = "O((rows + rehearsals sample) columns log groups)";
  f.code = "1";
  return f;
}

check::Plan plan(const check::Blueprint& blueprint, const Params& params) {
  check::Plan plan = plan_logs(blueprint);
  const ComparedSets sets = compared_sets(blueprint, params);
  for (const std::string& name : sets.others) {
    check::Task task;
    task.subject = fmt::format("{}@{}", sets.reference, name);
    task.data = name;
    task.cost_seconds = 0.5;
    plan.tasks.push_back(std::move(task));
  }
  plan.not_applicable =
      plan.tasks.empty() ? fmt::format("{}; and {}", sets.why_none, plan.not_applicable) : std::string();
  return plan;
}

/// Rows in the order of their file.
std::vector<std::size_t> in_order(const data::Dataset& set) {
  std::vector<std::size_t> rows(set.rows());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  if (set.source_rows.size() == rows.size())
    std::stable_sort(rows.begin(), rows.end(),
                     [&](std::size_t a, std::size_t b) { return set.source_rows[a] < set.source_rows[b]; });
  return rows;
}

/// Rows before the stream. What a category is worth is read off `fitting`, never off the rows that are ranked: a row
/// that was counted is not like rows to come.
struct KnownRows {
  std::vector<std::size_t> fitting;
  std::vector<std::size_t> ranked;
};
KnownRows halves(std::span<const std::size_t> rows) {
  KnownRows known;
  for (std::size_t i = 0; i < rows.size(); ++i) (i % 2 == 0 ? known.fitting : known.ranked).push_back(rows[i]);
  return known;
}
KnownRows split_known(std::span<const std::size_t> rows, bool categories, const std::string& name,
                      std::vector<std::string>& notes) {
  if (!categories) return {{}, {rows.begin(), rows.end()}};
  notes.push_back(fmt::format(
      "categories are ranked by how rare they are in one half of the reference of '{}'; the other half is the "
      "reference",
      name));
  return halves(rows);
}

bool has_categories(const data::Table& table) {
  return std::any_of(table.columns.begin(), table.columns.end(),
                     [](const data::Column& c) { return c.kind == data::Column::Kind::kCategory; });
}

/// Numbers as they are; a category becomes minus the number of fitting rows of its level, so that what is rare or new
/// ranks high. Missing is a level too.
StreamColumn column_of(const data::Column& a, const KnownRows& known, const data::Column& b,
                       std::span<const std::size_t> stream) {
  StreamColumn column{a.name, {}, {}};
  if (a.kind == data::Column::Kind::kNumber) {
    for (const std::size_t row : known.ranked) column.reference.push_back(a.numbers[row]);
    for (const std::size_t row : stream) column.stream.push_back(b.numbers[row]);
    return column;
  }
  const auto level = [](const data::Column& c, std::size_t row) {
    return c.codes[row] < 0 ? std::string() : "=" + c.levels[static_cast<std::size_t>(c.codes[row])];
  };
  std::map<std::string, double> count;
  for (const std::size_t row : known.fitting) ++count[level(a, row)];
  for (const std::size_t row : known.ranked) column.reference.push_back(-count[level(a, row)]);
  for (const std::size_t row : stream) column.stream.push_back(-count[level(b, row)]);
  return column;
}

void add_table(std::vector<StreamColumn>& columns, const data::Table& a, const KnownRows& known, const data::Table& b,
               std::span<const std::size_t> stream, std::vector<std::string>& notes) {
  for (const data::Column& of_a : a.columns) {
    const data::Column* of_b = b.find(of_a.name);
    const std::string why = of_b == nullptr                          ? "the other set lacks it"
                            : of_a.kind == data::Column::Kind::kText ? "free text"
                            : of_b->kind != of_a.kind                ? "another type in the other set"
                                                                     : "";
    if (why.empty()) {
      columns.push_back(column_of(of_a, known, *of_b, stream));
    } else {
      notes.push_back(fmt::format("column '{}' left out: {}", of_a.name, why));
    }
  }
}

/// Columns of a matrix that are watched one by one.
constexpr std::ptrdiff_t kWidest = 64;

struct Stream {
  std::vector<StreamColumn> columns;
  std::vector<std::size_t> rows;  ///< of the stream, in the source
  std::string words;
};

base::Result<Stream> stream_of_log(Context& context, double share, std::vector<std::string>& notes) {
  const std::string& name = context.task().data;
  PL_TRY(const data::OtherSection* section, context.section("log", name));
  PL_TRY(const LogPart part, read_log_part(*section));
  PL_TRY(const data::DecisionLog log, data::read_decision_log(part.path, part.reading));
  std::vector<std::size_t> order(log.rows());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const bool timed = std::none_of(log.time.begin(), log.time.end(), [](double t) { return std::isnan(t); });
  if (timed)
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return log.time[a] < log.time[b]; });
  if (!timed) notes.push_back("some decisions have no time: the order of the file is taken for the order of time");
  const auto known = static_cast<std::size_t>(share * static_cast<double>(log.rows()));
  Stream stream;
  if (known < 4) {
    return base::make_error(
        base::Code::kShape,
        fmt::format("the first {} of {} decisions are too few to be a reference", known, log.rows()), name,
        "Raise the parameter known");
  }
  const KnownRows rows = split_known(std::span(order).first(known), true, name, notes);
  const std::span<const std::size_t> rest = std::span(order).subspan(known);
  add_table(stream.columns, log.context, rows, log.context, rest, notes);
  data::Column column;
  for (const auto& [label, values] : {std::pair("propensity", &log.propensity), std::pair("reward", &log.reward)}) {
    if (std::all_of(values->begin(), values->end(), [](double x) { return std::isnan(x); })) continue;
    column = {label, data::Column::Kind::kNumber, *values, {}, {}, {}, {}};
    stream.columns.push_back(column_of(column, rows, column, rest));
  }
  column = {"action", data::Column::Kind::kCategory, {}, log.action, log.action_names, {}, {}};
  stream.columns.push_back(column_of(column, rows, column, rest));
  stream.rows.assign(rest.begin(), rest.end());
  stream.words = fmt::format("the first {} of {} decisions of {} are the reference", known, log.rows(), name);
  return stream;
}

/// Rows of a set in this order.
MatrixF picked(const MatrixF& from, std::span<const std::size_t> rows) {
  MatrixF to(static_cast<std::ptrdiff_t>(rows.size()), from.cols());
  for (std::size_t i = 0; i < rows.size(); ++i)
    to.row(static_cast<std::ptrdiff_t>(i)) = from.row(static_cast<std::ptrdiff_t>(rows[i]));
  return to;
}

/// More columns than can be told apart are watched through principal components. Half of the reference fits them and
/// the other half is the reference: rows that fitted an axis are not like rows to come.
base::Status add_components(std::vector<StreamColumn>& columns, const data::Dataset& a,
                            std::span<const std::size_t> rows_a, const data::Dataset& b,
                            std::span<const std::size_t> rows_b, std::vector<std::string>& notes) {
  const auto [fitting, known] = halves(rows_a);
  const auto count = std::min<std::ptrdiff_t>(32, std::ssize(fitting) - 1);
  if (count < 1 || known.size() < 2)
    return base::make_error(base::Code::kShape, fmt::format("{} rows are too few to be a reference", rows_a.size()),
                            a.name);
  PL_TRY(const stats::Pca pca, stats::fit_pca(MatrixRefF(picked(a.matrix, fitting)), count));
  PL_TRY(const MatrixD of_a, pca.transform(MatrixRefF(picked(a.matrix, known))));
  PL_TRY(const MatrixD of_b, pca.transform(MatrixRefF(picked(b.matrix, rows_b))));
  for (std::ptrdiff_t j = 0; j < of_a.cols(); ++j) {
    StreamColumn column{fmt::format("component {}", j + 1), {}, {}};
    for (std::ptrdiff_t i = 0; i < of_a.rows(); ++i) column.reference.push_back(of_a(i, j));
    for (std::ptrdiff_t i = 0; i < of_b.rows(); ++i) column.stream.push_back(of_b(i, j));
    columns.push_back(std::move(column));
  }
  notes.push_back(
      fmt::format("{} columns are watched through {} principal components, fitted on one half of '{}'; the "
                  "other half is the reference",
                  a.matrix.cols(), count, a.name));
  return base::ok();
}

base::Result<Stream> stream_of_sets(Context& context, const std::string& reference, std::vector<std::string>& notes) {
  PL_TRY(const data::DatasetPtr a, context.dataset(reference));
  PL_TRY(const data::DatasetPtr b, context.dataset(context.task().data));
  const auto rows_a = in_order(*a), rows_b = in_order(*b);
  Stream stream;
  const auto add_matrices = [&](const std::vector<std::string>& names, const auto& of_a,
                                const auto& of_b) -> base::Status {
    if (of_a.cols() != of_b.cols())
      return base::make_error(base::Code::kShape, fmt::format("'{}' has {} columns, '{}' has {}", a->name, of_a.cols(),
                                                              b->name, of_b.cols()));
    for (std::ptrdiff_t j = 0; j < of_a.cols(); ++j) {
      StreamColumn column{names.empty() ? fmt::format("column {}", j + 1) : names[static_cast<std::size_t>(j)], {}, {}};
      for (const std::size_t row : rows_a)
        column.reference.push_back(static_cast<double>(of_a(static_cast<std::ptrdiff_t>(row), j)));
      for (const std::size_t row : rows_b)
        column.stream.push_back(static_cast<double>(of_b(static_cast<std::ptrdiff_t>(row), j)));
      stream.columns.push_back(std::move(column));
    }
    return base::ok();
  };
  switch (a->kind) {
    case data::Dataset::Kind::kTable: {
      const KnownRows known = split_known(rows_a, has_categories(a->table), reference, notes);
      add_table(stream.columns, a->table, known, b->table, rows_b, notes);
      break;
    }
    case data::Dataset::Kind::kMatrix:
      if (a->matrix.cols() <= kWidest || a->matrix.cols() != b->matrix.cols()) {
        PL_CHECK(add_matrices({}, a->matrix, b->matrix));
      } else {
        PL_CHECK(add_components(stream.columns, *a, rows_a, *b, rows_b, notes));
      }
      break;
    case data::Dataset::Kind::kImages: {
      const auto statistics = [](const data::Images& i) {
        return robustness::image_statistics({i.bytes.get(), i.count * i.pixels()}, i.count, i.channels, i.height,
                                            i.width);
      };
      PL_TRY(const auto of_a, statistics(a->images));
      PL_TRY(const auto of_b, statistics(b->images));
      PL_CHECK(add_matrices(of_a.names, of_a.values, of_b.values));
      break;
    }
  }
  if (stream.columns.empty())
    return base::make_error(base::Code::kShape, "no column of numbers or categories is in both sets", b->name);
  for (const std::size_t row : rows_b) stream.rows.push_back(b->source_rows.empty() ? row : b->source_rows[row]);
  stream.words = fmt::format("{} rows of {} are the reference, {} rows of {} in the order of the file the stream",
                             rows_a.size(), reference, rows_b.size(), b->name);
  return stream;
}

/// At most 400 points of a curve: the largest of each stretch, so that no peak is lost.
void add_curve(std::vector<double>& x, std::vector<double>& y, std::vector<std::string>& series,
               const std::string& name, const std::vector<double>& values) {
  const std::size_t stretch = std::max<std::size_t>(1, (values.size() + 399) / 400);
  for (std::size_t from = 0; from < values.size(); from += stretch) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = values.begin() + static_cast<std::ptrdiff_t>(std::min(values.size(), from + stretch));
    x.push_back(static_cast<double>(std::min(values.size(), from + stretch)));
    y.push_back(std::max(*std::max_element(begin, end), -3.0));
    series.push_back(name);
  }
}

check::Artifact curve_artifact(const std::string& id, std::string title, std::string caption, std::string y_label,
                               const std::vector<std::pair<std::string, const std::vector<double>*>>& lines,
                               double threshold, const std::string& threshold_words, const StreamReport& report) {
  check::Artifact a;
  a.id = id;
  a.kind = "curve";
  a.title = std::move(title);
  a.caption = std::move(caption);
  std::vector<double> x, y;
  std::vector<std::string> series;
  for (const auto& [name, values] : lines) add_curve(x, y, series, name, *values);
  a.columns = {{"x", "rows", x}, {"y", "", y}, {"series", "", series}};
  a.facts = {{"x_label", "row of the stream"},
             {"y_label", std::move(y_label)},
             {"reference", number(threshold)},
             {"reference_label", threshold_words}};
  if (const auto& first = report.of(StreamDetector::kEver); !first.empty()) {
    a.facts["marker"] = number(static_cast<double>(first.front() + 1));
    a.facts["marker_label"] = "alarm";
  }
  return a;
}

void add_pictures(Output& out, const StreamReport& report, const Stream& stream, const Params& params,
                  const std::string& name) {
  const double level = -std::log10(params.real("level"));
  if (!report.evidence.empty()) {
    out.artifacts.push_back(curve_artifact(
        "evidence", fmt::format("Evidence of a change while {} ran", name),
        fmt::format("Capital won by betting that something changed. While nothing does, it reaches the line with "
                    "probability {} at most, however long the stream.",
                    short_number(params.real("level"))),
        "log10 of the capital", {{"ever", &report.evidence}}, level,
        fmt::format("1 / {}", number(params.real("level"))), report));
    std::vector<double> bets = report.restarted, line = report.cusum;
    for (double& b : bets) b /= std::log10(params.real("run_length"));
    out.artifacts.push_back(curve_artifact(
        "restarted", fmt::format("Detectors that start anew, {}", name),
        fmt::format("Statistic over threshold: an alarm at 1, then it starts from nothing. While nothing changes, one "
                    "alarm in {} rows at most.",
                    number(params.real("run_length"))),
        "share of the threshold", {{"bets (logarithm)", &bets}, {"cusum", &line}}, 1, "alarm", report));
  }
  std::vector<std::size_t> order(stream.columns.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return report.columns[a] > report.columns[b]; });
  check::Artifact bars;
  bars.id = "columns";
  bars.kind = "bars";
  bars.title = "Which columns say that something changed";
  bars.caption =
      "Largest capital of each column alone, on a logarithmic scale; moved: its mean normal score since the change.";
  std::vector<std::string> labels;
  std::vector<double> value, moved;
  for (const std::size_t j : order) {
    labels.push_back(stream.columns[j].name);
    value.push_back(report.columns[j]);
    moved.push_back(report.moved[j]);
  }
  bars.columns = {{"label", "", labels}, {"value", "log10", value}, {"moved", "deviations", moved}};
  bars.facts = {{"value_label", "log10 of the capital"}};
  out.artifacts.push_back(std::move(bars));
}

void add_alarms(Output& out, const StreamReport& report, const Stream& stream) {
  std::vector<std::string> detector;
  std::vector<double> alarm, row;
  for (const StreamDetector d : robustness::kStreamDetectors) {
    const auto& alarms = report.of(d);
    for (std::size_t i = 0; i < std::min<std::size_t>(alarms.size(), 200); ++i) {
      detector.emplace_back(stream_detector_name(d));
      alarm.push_back(static_cast<double>(i + 1));
      row.push_back(static_cast<double>(stream.rows[alarms[i]]));
    }
  }
  check::Artifact a;
  a.id = "alarms";
  a.kind = "table";
  a.title = "When each detector cried";
  a.caption = "Rows as numbered in the source; at most 200 alarms of each detector.";
  a.columns = {{"detector", "", detector}, {"alarm", "", alarm}, {"row", "", row}};
  out.artifacts.push_back(std::move(a));
}

void add_finding(Output& out, const StreamReport& report, const Stream& stream, const std::string& name) {
  const auto& ever = report.of(StreamDetector::kEver);
  if (ever.empty()) return;
  std::vector<std::size_t> order(stream.columns.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return report.columns[a] > report.columns[b]; });
  std::vector<std::string> words;
  for (const std::size_t j : order)
    if (words.size() < 5 && report.columns[j] > 1)
      words.push_back(fmt::format("{} ({:+.1f})", stream.columns[j].name, report.moved[j]));
  check::Finding finding;
  finding.id = "changed-" + name;
  finding.severity = check::FindingSeverity::kMajor;
  finding.title = fmt::format("'{}' changed at about row {} of the stream; known at row {}", name, *report.began + 1,
                              ever.front() + 1);
  finding.detail =
      fmt::format("p = {:.2g} at any time. Columns that say so, with their move in deviations since: {}.",
                  report.p_value, words.empty() ? "none alone" : fmt::format("{}", fmt::join(words, ", ")));
  finding.next_step = "Ask what changed there; judge and calibrate the model on rows after it.";
  finding.data = name;
  finding.rows = {stream.rows[ever.front()]};
  finding.where = {{"data", name}};
  out.findings.push_back(std::move(finding));
}

base::Status add_rehearsals(Output& out, Context& context, const Params& params, const Stream& stream,
                            const robustness::StreamOptions& options, const check::CheckInfo& info) {
  const auto times = static_cast<std::size_t>(params.integer("rehearsals"));
  if (times == 0) return base::ok();
  std::vector<StreamColumn> known = stream.columns;
  const std::size_t all = known.front().reference.size();
  if (all < 40) {
    out.notes.push_back(fmt::format("no rehearsals: the reference has {} rows, fewer than 40", all));
    return base::ok();
  }
  base::Rng rng = context.rng("rehearsals");
  const auto rows = rng.sample(all, std::min(all, static_cast<std::size_t>(params.integer("sample"))));
  for (StreamColumn& column : known) {
    std::vector<double> kept;
    for (const std::size_t row : rows) kept.push_back(column.reference[row]);
    column.reference = std::move(kept);
    column.stream.clear();
  }
  PL_TRY(const auto rehearsals, robustness::rehearse_stream(known, params.real("plant"), times, options, rng));
  for (const StreamDetector d : robustness::kStreamDetectors) {
    const robustness::Rehearsal& r = rehearsals[static_cast<std::size_t>(d)];
    const std::map<std::string, std::string> where = {{"data", context.task().data},
                                                      {"detector", std::string(stream_detector_name(d))}};
    const auto add = [&](const std::string& metric, stats::Estimate estimate) {
      estimate.unit_of_sampling = "rehearsal";
      estimate.assumptions = info.assumptions;
      out.evidence.push_back(check::make_evidence(info, metric, where, std::move(estimate)));
    };
    PL_TRY(stats::Estimate cried, stats::clopper_pearson(r.false_alarms, r.times));
    PL_TRY(stats::Estimate found, stats::clopper_pearson(r.found, r.times));
    add("false_alarms", std::move(cried));
    add("found", std::move(found));
    if (r.times < 2) continue;
    PL_TRY(stats::Estimate delay, stats::mean(r.delays));
    if (r.found < r.times)
      delay.warnings.push_back(fmt::format("{} of {} were not found: the mean is too low", r.times - r.found, r.times));
    add("delay", std::move(delay));
  }
  return base::ok();
}

base::Result<Output> run(Context& context, const Params& params) {
  Output out;
  const check::CheckInfo info = facts();
  const std::string& name = context.task().data;
  const bool log = context.task().subject == name;
  PL_TRY(const Stream stream, log ? stream_of_log(context, params.real("known"), out.notes)
                                  : stream_of_sets(context, reference_set(context.manifest(), params), out.notes));
  robustness::StreamOptions options;
  options.level = params.real("level");
  options.run_length = params.real("run_length");
  options.allowance = params.real("allowance");
  options.cancel = context.cancel();
  PL_TRY(const StreamReport report, robustness::watch_stream(stream.columns, options, context.rng("ties")));
  const auto n = static_cast<double>(stream.rows.size());
  const auto fact = [&](const std::string& metric, std::map<std::string, std::string> where, double value,
                        const std::string& method) {
    stats::Estimate estimate = stats::exact(value, n, method);
    estimate.assumptions = info.assumptions;
    estimate.anytime = true;
    out.evidence.push_back(check::make_evidence(info, metric, std::move(where), std::move(estimate)));
    out.evidence.back().artifacts = {"evidence", "restarted", "columns", "alarms"};
  };
  fact("p_value", {{"data", name}}, report.p_value, "conformal test martingale: a fact about these rows");
  for (const StreamDetector d : robustness::kStreamDetectors)
    fact("alarms", {{"data", name}, {"detector", std::string(stream_detector_name(d))}},
         static_cast<double>(report.of(d).size()), "alarms among these rows");
  add_pictures(out, report, stream, params, name);
  add_alarms(out, report, stream);
  add_finding(out, report, stream, name);
  PL_CHECK(add_rehearsals(out, context, params, stream, options, info));
  out.rows = stream.words;
  return out;
}

base::Status write_fixture(const std::string& folder, base::Rng& rng, double shift) {
  constexpr std::ptrdiff_t kRows = 400;
  for (const char* name : {"train", "test"}) {
    const bool stream = std::string_view(name) == "test";
    MatrixF rows(kRows, 3);
    for (std::ptrdiff_t i = 0; i < kRows; ++i)
      for (std::ptrdiff_t j = 0; j < 3; ++j)
        rows(i, j) = static_cast<float>(rng.normal() + (stream && i >= kRows / 2 && j < 2 ? shift : 0));
    PL_CHECK(data::write_npy(fmt::format("{}/{}.npy", folder, name), rows));
  }
  return write_fixture_manifest(
      folder, rng.below(1000000),
      "[data.train]\nmatrix = \"train.npy\"\n\n[data.test]\nmatrix = \"test.npy\"\n\n"
      "[check.\"robustness.stream_drift\"]\nrehearsals = 4\nrun_length = 2000\n",
      "text = \"Nothing changed while the stream ran.\"\ncheck = \"robustness.stream_drift\"\nmetric = \"p_value\"\n"
      "where = {data = \"test\"}\nat_least = 0.01\nconfidence = 0.95");
}

}  // namespace

check::Entry stream_drift() {
  check::Entry entry;
  entry.info = facts();
  entry.plan = plan;
  entry.run = run;
  entry.fixtures.defect = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, 0.8); };
  entry.fixtures.control = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, 0); };
  entry.fixtures.defect_words = "two of three columns of the stream move by 0.8 deviations after row 200 of 400";
  entry.fixtures.control_words = "reference and stream are drawn from one law";
  entry.fixtures.false_alarm_level = 0.01;
  return entry;
}

}  // namespace plumbline::checks
