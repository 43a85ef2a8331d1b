#include "plumbline/counterfactual/learning/online.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/learning/exploration.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::counterfactual::learning {
namespace {

using base::Code;
using base::make_error;
using data::Column;

constexpr std::size_t kMostClasses = 10'000;
constexpr std::size_t kCurvePoints = 40;

template <class T>
void reorder(std::vector<T>& values, const std::vector<std::size_t>& order) {
  if (values.empty()) return;
  std::vector<T> out;
  out.reserve(values.size());
  for (const std::size_t i : order) out.push_back(values[i]);
  values.swap(out);
}

/// The label of each row and the names of the classes.
base::Result<std::vector<int>> classes_of(const Column& column, const std::string& place,
                                          std::vector<std::string>& names) {
  const std::size_t n = column.rows();
  std::vector<int> out(n);
  const auto missing = [&](std::size_t i) {
    return make_error(Code::kValue, fmt::format("row {} has no label in '{}'", i + 1, column.name), place);
  };
  if (column.kind == Column::Kind::kNumber) {
    const std::set<double> distinct(column.numbers.begin(), column.numbers.end());
    std::map<double, int> code;
    for (std::size_t i = 0; i < n; ++i) {
      if (!std::isfinite(column.numbers[i])) return missing(i);
    }
    if (distinct.size() <= kMostClasses) {
      for (const double v : distinct) {
        code.emplace(v, static_cast<int>(names.size()));
        names.push_back(fmt::format("{}", v));
      }
      for (std::size_t i = 0; i < n; ++i) out[i] = code.at(column.numbers[i]);
    }
  } else {
    const auto text = [&](std::size_t i) { return data::cell_text(column, i); };
    std::map<std::string, int> code;
    for (std::size_t i = 0; i < n; ++i) {
      if (text(i).empty()) return missing(i);
      code.emplace(text(i), 0);
    }
    if (code.size() <= kMostClasses) {
      for (auto& [name, number] : code) {
        number = static_cast<int>(names.size());
        names.push_back(name);
      }
      for (std::size_t i = 0; i < n; ++i) out[i] = code.at(text(i));
    }
  }
  if (names.size() < 2)
    return make_error(Code::kValue,
                      names.empty() ? fmt::format("'{}' has over {} values", column.name, kMostClasses)
                                    : fmt::format("'{}' has one value", column.name),
                      place, "a label has from 2 to 10000 values");
  return out;
}

/// Points of a curve that grow by a constant factor, and the last.
bool on_curve(std::size_t seen, std::size_t rows, std::size_t& next) {
  if (seen < next && seen != rows) return false;
  const double factor = std::pow(static_cast<double>(rows), 1.0 / kCurvePoints);
  next = std::max(seen + 1, static_cast<std::size_t>(static_cast<double>(seen) * factor));
  return true;
}

base::Status check_range(const OnlineOptions& options, std::size_t rows) {
  if (options.first >= options.last || options.last > rows || options.last - options.first < 2)
    return make_error(Code::kValue,
                      fmt::format("rows {} to {} of {} cannot be learned from", options.first + 1, options.last, rows),
                      {}, "at least two rows are needed");
  return base::ok();
}

/// Codes of the log's actions among the policy's.
base::Result<std::vector<int>> action_codes(const LearnedPolicy& policy, const data::DecisionLog& log) {
  std::vector<int> out;
  for (const std::string& action : log.action_names) {
    const auto found = std::find(policy.actions.begin(), policy.actions.end(), action);
    if (found == policy.actions.end())
      return make_error(Code::kValue, fmt::format("the policy knows no action '{}'", action.substr(0, 60)), {},
                        "a policy is taken up with the actions that it began with");
    out.push_back(static_cast<int>(found - policy.actions.begin()));
  }
  return out;
}

}  // namespace

base::Result<LabelledRows> labelled_rows(data::Table table, const std::string& label, const std::string& name,
                                         std::optional<std::uint64_t> shuffle) {
  const auto found = std::find_if(table.columns.begin(), table.columns.end(),
                                  [&](const Column& column) { return column.name == label; });
  if (found == table.columns.end()) {
    std::vector<std::string> known;
    for (const Column& column : table.columns) known.push_back(column.name);
    const std::string near = base::nearest(label, known);
    return make_error(Code::kValue, fmt::format("there is no column '{}'", label.substr(0, 60)), name,
                      near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
  }
  LabelledRows out;
  PL_TRY(out.label, classes_of(*found, name, out.log.action_names));
  table.columns.erase(found);
  const std::size_t n = out.label.size();
  if (shuffle) {
    const std::vector<std::size_t> order = base::Rng(*shuffle, {"order"}).permutation(n);
    reorder(out.label, order);
    for (Column& column : table.columns) {
      reorder(column.numbers, order);
      reorder(column.codes, order);
      reorder(column.texts, order);
      reorder(column.text_missing, order);
    }
  }
  // Texts are no context of a log.
  std::erase_if(table.columns, [](const Column& column) { return column.kind == Column::Kind::kText; });
  out.log.context = std::move(table);
  data::DecisionLog& log = out.log;
  log.action.assign(n, -1);
  log.final_action.assign(n, -1);
  log.propensity.assign(n, std::nan(""));
  log.reward.assign(n, std::nan(""));
  log.time.assign(n, std::nan(""));
  log.delay.assign(n, std::nan(""));
  log.kind.assign(n, 0);
  log.cause.assign(n, 0);
  log.position.assign(n, 0);
  log.unit.assign(n, -1);
  log.policy.assign(n, -1);
  return out;
}

base::Result<OnlineRun> learn_from_labels(LearnedPolicy& policy, const LabelledRows& rows,
                                          const OnlineOptions& options) {
  if (!policy.learner)
    return make_error(Code::kValue, "this policy was learned from a log at once and takes in no rows");
  PL_CHECK(check_range(options, rows.label.size()));
  const std::size_t actions = policy.actions.size();
  PL_TRY(const std::vector<int> code, action_codes(policy, rows.log));
  PL_TRY(const BoundFeatures features, BoundFeatures::bind(policy.features, rows.log.context));
  TargetPtr baseline;
  if (policy.budget) {
    PL_TRY(const PolicySpec spec, parse_policy(policy.baseline_rule));
    PL_TRY(baseline, make_policy(spec, rows.log));
  }
  std::vector<int> available(actions);
  for (std::size_t a = 0; a < actions; ++a) available[a] = static_cast<int>(a);
  // The log's own numbering of actions, of which the policy may know more.
  std::vector<int> every(rows.log.actions());
  for (std::size_t a = 0; a < every.size(); ++a) every[a] = static_cast<int>(a);

  OnlineRun out;
  out.features_left_out = policy.features.left_out;
  out.rows = options.last - options.first;
  data::DecisionLog& log = out.decisions;
  log.action_names = policy.actions;
  log.policy_names = {"learn"};
  log.set_start.push_back(0);
  std::vector<double> rewards;
  std::vector<std::size_t> count(actions, 0);
  std::vector<double> x(features.size());
  std::vector<double> p(actions);
  std::vector<double> base(actions, 0.0);
  std::vector<double> logged(every.size());
  double expected = 0;
  std::size_t next_point = 1;
  for (std::size_t i = options.first; i < options.last; ++i) {
    PL_CHECK(options.cancel.status());
    features.row(i, x);
    if (baseline) {
      baseline->probabilities(i, every, logged);
      std::fill(base.begin(), base.end(), 0.0);
      for (std::size_t a = 0; a < every.size(); ++a) base[static_cast<std::size_t>(code[a])] = logged[a];
    }
    policy.probabilities(x, available, base, p);
    const auto action = static_cast<int>(draw(p, policy.draw_key()));
    const int label = code[static_cast<std::size_t>(rows.label[i])];
    const double reward = action == label ? 1 : 0;
    const double propensity = p[static_cast<std::size_t>(action)];
    expected += p[static_cast<std::size_t>(label)];
    ++count[static_cast<std::size_t>(label)];
    rewards.push_back(reward);
    log.action.push_back(action);
    log.propensity.push_back(propensity);
    log.reward.push_back(reward);
    log.time.push_back(static_cast<double>(policy.rows));
    log.set_actions.insert(log.set_actions.end(), available.begin(), available.end());
    log.set_probabilities.insert(log.set_probabilities.end(), p.begin(), p.end());
    log.set_start.push_back(log.set_actions.size());
    policy.take_in(x, action, propensity, base[static_cast<std::size_t>(action)], reward);
    if (on_curve(rewards.size(), out.rows, next_point))
      out.curve.emplace_back(rewards.size(), expected / static_cast<double>(rewards.size()));
  }
  const std::size_t n = rewards.size();
  log.final_action = log.action;
  log.delay.assign(n, std::nan(""));
  log.kind.assign(n, 0);
  log.cause.assign(n, 0);
  log.position.assign(n, 0);
  log.unit.assign(n, -1);
  log.policy.assign(n, 0);
  for (const Column& column : rows.log.context.columns) {
    Column part = column;
    const auto cut = [&](auto& values) {
      if (values.empty()) return;
      values.erase(values.begin() + static_cast<std::ptrdiff_t>(options.last), values.end());
      values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(options.first));
    };
    cut(part.numbers);
    cut(part.codes);
    log.context.columns.push_back(std::move(part));
  }
  PL_TRY(out.progressive, stats::mean(rewards));
  out.expected = expected / static_cast<double>(n);
  out.uniform = 1 / static_cast<double>(actions);
  const auto best = std::max_element(count.begin(), count.end());
  out.best_fixed = static_cast<double>(*best) / static_cast<double>(n);
  out.best_action = policy.actions[static_cast<std::size_t>(best - count.begin())];
  return out;
}

base::Result<OnlineRun> learn_from_log(LearnedPolicy& policy, const data::DecisionLog& log,
                                       const OnlineOptions& options, const base::Rng& rng) {
  if (!policy.learner)
    return make_error(Code::kValue, "this policy was learned from a log at once and takes in no rows");
  if (policy.budget)
    return make_error(Code::kValue, "a conservative policy must decide itself, and in a log another has decided", {},
                      "learn from labelled rows, or leave --keep out");
  PL_CHECK(check_range(options, log.rows()));
  PL_TRY(const std::vector<int> code, action_codes(policy, log));
  PL_TRY(const BoundFeatures features, BoundFeatures::bind(policy.features, log.context));
  PL_TRY(const TargetPtr uniform, make_policy({.rule = "uniform"}, log));
  PL_TRY(const OpeRows all, usable_rows(log, *uniform, false));
  OpeRows rows;
  rows.logged = log.rows();
  rows.actions = log.actions();
  rows.excluded = all.excluded;
  std::vector<double> x(features.size());
  std::vector<int> every;
  std::vector<int> available;
  std::vector<double> p;
  std::vector<bool> taken(log.actions(), false);
  for (const int a : all.action) taken[static_cast<std::size_t>(a)] = true;
  OnlineRun out;
  out.features_left_out = policy.features.left_out;
  double sum = 0;
  double bound = 0;
  std::size_t next_point = 1;
  for (std::size_t j = 0; j < all.size(); ++j) {
    const std::size_t i = all.row[j];
    if (i < options.first || i >= options.last) continue;
    PL_CHECK(options.cancel.status());
    const auto here = log.available(i, every);
    const auto logged = log.probabilities(i);
    available.clear();
    for (const int a : here) available.push_back(code[static_cast<std::size_t>(a)]);
    p.assign(here.size(), 0.0);
    features.row(i, x);
    policy.probabilities(x, available, {}, p);
    double weight = 0;
    double held = 0;
    for (std::size_t k = 0; k < here.size(); ++k) {
      if (here[k] == all.action[j]) weight = p[k] / all.propensity[j];
      if (logged.empty() ? taken[static_cast<std::size_t>(here[k])] : logged[k] > 0) held += p[k];
      if (!logged.empty() && logged[k] > 0) bound = std::max(bound, p[k] / logged[k]);
    }
    rows.row.push_back(i);
    rows.action.push_back(all.action[j]);
    rows.reward.push_back(all.reward[j]);
    rows.propensity.push_back(all.propensity[j]);
    rows.weight.push_back(weight);
    rows.missing.push_back(1 - held > 1e-9 ? 1 - held : 0);
    if (!all.unit.empty()) rows.unit.push_back(all.unit[j]);
    sum += weight * all.reward[j];
    policy.learner->update(x, code[static_cast<std::size_t>(all.action[j])], all.reward[j]);
    ++policy.rows;
    if (on_curve(rows.size(), all.size(), next_point))
      out.curve.emplace_back(rows.size(), sum / static_cast<double>(rows.size()));
  }
  if (rows.size() < 2) return make_error(Code::kValue, "fewer than two decisions of these rows can be used");
  if (out.curve.empty() || out.curve.back().first != rows.size())
    out.curve.emplace_back(rows.size(), sum / static_cast<double>(rows.size()));
  if (!log.set_probabilities.empty()) rows.weight_bound = bound;
  out.rows = rows.size();
  out.excluded = rows.excluded;
  out.logged = base::ordered_mean(rows.reward);
  ValueOptions judging;
  judging.cancel = options.cancel;
  PL_TRY(const Evaluation evaluation, Evaluation::of_rows(std::move(rows), nullptr, judging, rng));
  for (const Estimator estimator : {Estimator::kIps, Estimator::kSnips}) {
    PL_TRY(PolicyValue value, evaluation.value(estimator, Interval::kNormal));
    out.values.push_back(std::move(value));
  }
  return out;
}

}  // namespace plumbline::counterfactual::learning
