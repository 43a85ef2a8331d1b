#include "plumbline/counterfactual/metric_incentive.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/row_rules.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::counterfactual {
namespace {

using base::Code;
using base::make_error;
using data::Column;

constexpr std::size_t kMostCells = 50;

/// The cell of each row of the log and the cells' names; -1 = missing.
base::Result<std::vector<int>> cells_of(const data::DecisionLog& log, const std::string& by,
                                        std::vector<std::string>& names) {
  if (by.empty()) {
    names = {"all"};
    return std::vector<int>(log.rows(), 0);
  }
  const Column* column = log.context.find(by);
  if (column == nullptr) {
    std::vector<std::string> known;
    for (const Column& c : log.context.columns) known.push_back(c.name);
    const std::string near = base::nearest(by, known);
    return make_error(Code::kValue, fmt::format("the log has no context column '{}'", by.substr(0, 60)), "by",
                      near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
  }
  std::vector<int> out;
  if (column->kind == Column::Kind::kCategory) {
    names = column->levels;
    out = column->codes;
  } else {
    std::map<double, int> code;
    for (const double v : column->numbers) {
      if (std::isfinite(v)) code.emplace(v, 0);
    }
    if (code.size() <= kMostCells) {
      for (auto& [value, number] : code) {
        number = static_cast<int>(names.size());
        names.push_back(fmt::format("{}", value));
      }
      for (const double v : column->numbers) out.push_back(std::isfinite(v) ? code.at(v) : -1);
    }
  }
  if (names.empty() || names.size() > kMostCells)
    return make_error(Code::kValue, fmt::format("'{}' has no values, or over {}", by, kMostCells), "by",
                      "name a column of few values, such as a level of satisfaction");
  return out;
}

/// First row of the same unit that is later, by at most `within`; rows() = none.
std::vector<std::size_t> next_rows(const data::DecisionLog& log, double within) {
  std::map<int, std::vector<std::size_t>> of_unit;
  for (std::size_t i = 0; i < log.rows(); ++i) {
    if (log.unit[i] >= 0 && std::isfinite(log.time[i])) of_unit[log.unit[i]].push_back(i);
  }
  std::vector<std::size_t> next(log.rows(), log.rows());
  for (auto& [unit, rows] : of_unit) {
    std::stable_sort(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) { return log.time[a] < log.time[b]; });
    for (std::size_t k = 0; k + 1 < rows.size(); ++k) {
      std::size_t later = k + 1;
      while (later < rows.size() && !(log.time[rows[later]] > log.time[rows[k]])) ++later;
      if (later < rows.size() && log.time[rows[later]] <= log.time[rows[k]] + within) next[rows[k]] = rows[later];
    }
  }
  return next;
}

/// What is summed of a row for the three figures: numerator and denominator.
struct Figures {
  std::vector<double> met, met_after, all, all_after;
};

Figures figures_of(const StayRows& rows, const std::vector<std::size_t>& which, const std::vector<double>& weight,
                   double left) {
  Figures f;
  for (std::size_t k = 0; k < which.size(); ++k) {
    const std::size_t j = which[k];
    f.met.push_back(weight[k] * rows.stays[j]);
    f.met_after.push_back(weight[k] * rows.stays[j] * rows.after[j]);
    f.all.push_back(weight[k]);
    f.all_after.push_back(weight[k] * (rows.stays[j] * rows.after[j] + (1 - rows.stays[j]) * left));
  }
  return f;
}

double ratio(const std::vector<double>& num, const std::vector<double>& den) {
  return base::ordered_sum(num) / base::ordered_sum(den);
}

/// num / den under the choice minus the same under the log, with the influence of each row.
base::Result<stats::Estimate> difference(const std::vector<double>& num, const std::vector<double>& den,
                                         const std::vector<double>& log_num, const std::vector<double>& log_den,
                                         const std::vector<int>& unit) {
  const auto n = static_cast<double>(num.size());
  const double value = ratio(num, den);
  const double logged = ratio(log_num, log_den);
  const double total = base::ordered_sum(den);
  const double log_total = base::ordered_sum(log_den);
  std::vector<double> influence(num.size());
  for (std::size_t k = 0; k < num.size(); ++k)
    influence[k] = n * ((num[k] - value * den[k]) / total - (log_num[k] - logged * log_den[k]) / log_total);
  PL_TRY(stats::Estimate out, stats::mean(influence, unit));
  // The influence functions sum to zero: the figure is the centre of its own bounds.
  for (auto* side : {&out.bounds.lower, &out.bounds.upper}) {
    for (auto& b : *side) {
      if (b) *b += value - logged - out.value;
    }
  }
  out.value = value - logged;
  out.method = fmt::format("self-normalised weights, influence function, {}", out.method);
  out.unit_of_sampling = "person";
  out.assumptions = {"people are independent", "the logged propensities are those that were used"};
  return out;
}

/// Weighted means of each cell and action over the rows named.
struct CellMeans {
  MatrixD weight, met, met_after, all_after;
  std::vector<double> share;
};

CellMeans cell_means(const StayRows& rows, const std::vector<std::size_t>& which, double left) {
  const auto cells = static_cast<Eigen::Index>(rows.cells.size());
  const auto actions = static_cast<Eigen::Index>(rows.actions.size());
  CellMeans m{MatrixD::Zero(cells, actions), MatrixD::Zero(cells, actions), MatrixD::Zero(cells, actions),
              MatrixD::Zero(cells, actions), std::vector<double>(rows.cells.size(), 0.0)};
  MatrixD count = MatrixD::Zero(cells, actions);
  for (const std::size_t j : which) {
    const auto c = static_cast<Eigen::Index>(rows.cell[j]);
    const auto a = static_cast<Eigen::Index>(rows.action[j]);
    const double w = 1 / rows.propensity[j];
    count(c, a) += 1;
    m.weight(c, a) += w;
    m.met(c, a) += w * rows.stays[j];
    m.met_after(c, a) += w * rows.stays[j] * rows.after[j];
    m.all_after(c, a) += w * (rows.stays[j] * rows.after[j] + (1 - rows.stays[j]) * left);
    m.share[static_cast<std::size_t>(c)] += 1 / static_cast<double>(which.size());
  }
  constexpr double kLeastRows = 10;
  for (Eigen::Index c = 0; c < cells; ++c) {
    for (Eigen::Index a = 0; a < actions; ++a) {
      const double w = m.weight(c, a);
      if (count(c, a) < kLeastRows) {
        m.weight(c, a) = 0;  // too few to be chosen
        continue;
      }
      m.met(c, a) /= w;
      m.met_after(c, a) /= w;
      m.all_after(c, a) /= w;
    }
  }
  return m;
}

/// The action of each cell with the largest score; -1 where none has enough rows.
template <class Score>
std::vector<int> best_actions(const CellMeans& m, const Score& score) {
  std::vector<int> out;
  for (Eigen::Index c = 0; c < m.weight.rows(); ++c) {
    int best = -1;
    for (Eigen::Index a = 0; a < m.weight.cols(); ++a) {
      if (m.weight(c, a) > 0 && (best < 0 || score(c, a) > score(c, best))) best = static_cast<int>(a);
    }
    out.push_back(best);
  }
  return out;
}

/// Dinkelbach: the choice that maximises sum share met_after / sum share met.
std::vector<int> best_for_those_who_stay(const CellMeans& m) {
  double level = 0;
  std::vector<int> choice;
  for (int round = 0; round < 100; ++round) {
    const std::vector<int> next =
        best_actions(m, [&](Eigen::Index c, Eigen::Index a) { return m.met_after(c, a) - level * m.met(c, a); });
    if (next == choice) break;
    choice = next;
    double num = 0;
    double den = 0;
    for (std::size_t c = 0; c < choice.size(); ++c) {
      if (choice[c] < 0) continue;
      num += m.share[c] * m.met_after(static_cast<Eigen::Index>(c), choice[c]);
      den += m.share[c] * m.met(static_cast<Eigen::Index>(c), choice[c]);
    }
    if (!(den > 0)) break;
    level = num / den;
  }
  return choice;
}

}  // namespace

base::Result<StayRows> stay_rows(const data::DecisionLog& log, const std::string& by, double within) {
  if (!(within > 0)) return make_error(Code::kValue, fmt::format("within is {}, expected above 0", within));
  StayRows out;
  PL_TRY(const std::vector<int> cell, cells_of(log, by, out.cells));
  out.actions = log.action_names;
  double last = -1e300;
  bool units = false;
  for (std::size_t i = 0; i < log.rows(); ++i) {
    if (std::isfinite(log.time[i])) last = std::max(last, log.time[i]);
    units = units || log.unit[i] >= 0;
  }
  if (!units || last < -1e299) {
    out.why_none = fmt::format("the log has no {}, and who stays is seen by both the person (unit) and the time",
                               units ? "times" : "units");
    return out;
  }
  const std::vector<std::size_t> next = next_rows(log, within);
  std::vector<int> every;
  for (std::size_t i = 0; i < log.rows(); ++i) {
    if (log.unit[i] < 0 || !std::isfinite(log.time[i]) || cell[i] < 0) continue;
    if (!row_usable(log, i, out.excluded)) continue;
    if (const std::string what = row_fault(log, i, log.available(i, every)); !what.empty())
      return faulty_rows(i, what, 1);
    if (log.time[i] + within > last) {
      ++out.open;
      continue;
    }
    const bool stays = next[i] < log.rows();
    if (stays && !std::isfinite(log.reward[next[i]])) continue;
    out.cell.push_back(cell[i]);
    out.action.push_back(log.action[i]);
    out.propensity.push_back(log.propensity[i]);
    out.stays.push_back(stays ? 1 : 0);
    out.after.push_back(stays ? log.reward[next[i]] : 0);
    out.unit.push_back(log.unit[i]);
  }
  if (out.size() == 0)
    out.why_none = "no decision is early enough to see who stays: log for longer, or shorten `within`";
  return out;
}

base::Result<MetricIncentive> metric_incentive(const StayRows& rows, const MetricIncentiveOptions& options,
                                               const base::Rng& rng) {
  PL_CHECK(options.cancel.status());
  MetricIncentive out;
  if (rows.size() == 0) {
    out.outcome = Outcome::kCannotSay;
    out.reasons.push_back(rows.why_none.empty() ? std::string("there are no decisions") : rows.why_none);
    return out;
  }
  PL_TRY(const stats::UnitIndex index, stats::group_units(rows.unit, rows.size()));
  std::vector<bool> learns(index.count(), false);
  base::Rng split = rng.fork("split");
  for (const std::size_t u : split.sample(index.count(), index.count() / 2)) learns[u] = true;
  std::vector<std::size_t> fit;
  std::vector<std::size_t> judge;
  for (std::size_t j = 0; j < rows.size(); ++j) (learns[index.unit_of_row[j]] ? fit : judge).push_back(j);
  out.judged = judge.size();
  constexpr std::size_t kLeastPeople = 60;
  const auto cannot = [&](std::string why) {
    out.outcome = Outcome::kCannotSay;
    out.reasons.push_back(std::move(why));
  };
  if (index.count() < kLeastPeople) {
    cannot(fmt::format("{} people, at least {} are needed", index.count(), kLeastPeople));
    return out;
  }
  const CellMeans means = cell_means(rows, fit, options.left);
  const std::vector<int> for_metric = best_for_those_who_stay(means);
  const std::vector<int> for_pool =
      best_actions(means, [&](Eigen::Index c, Eigen::Index a) { return means.all_after(c, a); });

  std::vector<int> unit;
  for (const std::size_t j : judge) unit.push_back(rows.unit[j]);
  const Figures logged = figures_of(rows, judge, std::vector<double>(judge.size(), 1.0), options.left);
  out.stay_metric = ratio(logged.met_after, logged.met);
  out.stay_share = ratio(logged.met, logged.all);
  out.pool_metric = ratio(logged.all_after, logged.all);
  out.effective_size = static_cast<double>(judge.size());
  std::vector<Figures> chosen;
  for (const auto* choice : {&for_metric, &for_pool}) {
    std::vector<double> weight;
    double total = 0;
    double square = 0;
    for (const std::size_t j : judge) {
      const int wanted = (*choice)[static_cast<std::size_t>(rows.cell[j])];
      // A cell that nothing was learned about keeps the logging policy.
      weight.push_back(wanted < 0 ? 1.0 : rows.action[j] == wanted ? 1 / rows.propensity[j] : 0.0);
      total += weight.back();
      square += weight.back() * weight.back();
    }
    out.effective_size = std::min(out.effective_size, square > 0 ? total * total / square : 0);
    chosen.push_back(figures_of(rows, judge, weight, options.left));
  }
  constexpr double kLeast = 30;
  constexpr double kFew = 100;
  const std::string size_words =
      fmt::format("the effective size is {:.1f} of {} decisions", out.effective_size, judge.size());
  if (out.effective_size < kLeast) {
    cannot(size_words);
    return out;
  }
  if (!(base::ordered_sum(logged.met) > 0) || !(base::ordered_sum(chosen[0].met) > 0) ||
      !(base::ordered_sum(chosen[1].met) > 0)) {
    cannot("nobody stays, so that there is no mean over those who do");
    return out;
  }
  if (out.effective_size < kFew) {
    out.outcome = Outcome::kWarns;
    out.reasons.push_back(size_words);
  }
  for (std::size_t k = 0; k < 2; ++k) {
    StayEffects& effects = k == 0 ? out.metric : out.pool;
    for (const int a : k == 0 ? for_metric : for_pool)
      effects.choice.push_back(a < 0 ? std::string("as logged") : rows.actions[static_cast<std::size_t>(a)]);
    const Figures& f = chosen[k];
    PL_TRY(effects.metric_gain, difference(f.met_after, f.met, logged.met_after, logged.met, unit));
    PL_TRY(effects.stay_change, difference(f.met, f.all, logged.met, logged.all, unit));
    PL_TRY(effects.pool_gain, difference(f.all_after, f.all, logged.all_after, logged.all, unit));
    for (stats::Estimate* e : {&effects.metric_gain, &effects.stay_change, &effects.pool_gain}) {
      e->n_effective = out.effective_size;
      for (const std::string& reason : out.reasons) e->warnings.push_back(reason);
    }
  }
  return out;
}

}  // namespace plumbline::counterfactual
