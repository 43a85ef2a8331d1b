#include "plumbline/counterfactual/rows.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/counterfactual/row_rules.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual {
namespace {

using base::Code;
using base::make_error;
using data::DecisionCause;
using data::DecisionKind;
using data::DecisionLog;

constexpr double kProbabilitySlack = 1e-3;

}  // namespace

bool row_usable(const DecisionLog& log, std::size_t i, Exclusions& out) {
  const auto cause = static_cast<DecisionCause>(log.cause[i]);
  if (cause != DecisionCause::kPolicy) {
    ++out.cause[log.cause[i]];
  } else if (static_cast<DecisionKind>(log.kind[i]) != DecisionKind::kAct) {
    ++out.kind;
  } else if (log.action[i] < 0 || log.final_action[i] != log.action[i]) {
    ++out.modified;
  } else if (std::isnan(log.reward[i])) {
    ++out.no_reward;
  } else {
    return true;
  }
  return false;
}

base::Error faulty_rows(std::size_t first, const std::string& what, std::size_t count) {
  return make_error(Code::kValue, fmt::format("decision {}: {} ({} such decisions)", first + 1, what, count), {},
                    "correct the log; counterfactual.log_quality counts what is wrong with it");
}

std::string row_fault(const DecisionLog& log, std::size_t i, std::span<const int> available) {
  const double p = log.propensity[i];
  if (std::isnan(p)) return "has no propensity";
  if (!(p > 0) || p > 1 + 1e-9) return fmt::format("propensity is {}, expected above 0 and at most 1", p);
  if (std::isinf(log.reward[i])) return "reward is not finite";
  const auto at = std::find(available.begin(), available.end(), log.action[i]);
  if (at == available.end())
    return fmt::format("action '{}' was not available", log.action_names[static_cast<std::size_t>(log.action[i])]);
  const auto all = log.probabilities(i);
  if (all.empty()) return {};
  double sum = 0;
  for (const double q : all) {
    if (!(q >= 0)) return fmt::format("holds the probability {}", q);
    sum += q;
  }
  if (std::abs(sum - 1) > kProbabilitySlack) return fmt::format("probabilities sum to {}, expected 1", sum);
  const double own = all[static_cast<std::size_t>(at - available.begin())];
  if (std::abs(own - p) > kProbabilitySlack)
    return fmt::format("propensity is {} and the probability of the action {}", p, own);
  return {};
}

std::size_t Exclusions::total() const {
  return std::accumulate(cause.begin(), cause.end(), std::size_t{0}) + kind + modified + no_reward;
}

std::string Exclusions::words() const {
  std::vector<std::string> parts;
  for (std::size_t c = 1; c < cause.size(); ++c) {
    if (cause[c] > 0)
      parts.push_back(
          fmt::format("{} decided by {}", cause[c], data::decision_cause_name(static_cast<DecisionCause>(c))));
  }
  if (kind > 0) parts.push_back(fmt::format("{} in which the policy did not act", kind));
  if (modified > 0) parts.push_back(fmt::format("{} with another final action", modified));
  if (no_reward > 0) parts.push_back(fmt::format("{} without reward", no_reward));
  return fmt::format("{}", fmt::join(parts, ", "));
}

base::Result<OpeRows> usable_rows(const DecisionLog& log, const TargetPolicy& target, bool dense) {
  OpeRows out;
  out.logged = log.rows();
  out.actions = log.actions();
  std::vector<int> every;
  std::size_t faults = 0;
  std::size_t faulty = 0;
  std::string fault;
  std::vector<bool> taken(log.actions(), false);
  for (std::size_t i = 0; i < log.rows(); ++i) {
    if (!row_usable(log, i, out.excluded)) continue;
    if (std::string what = row_fault(log, i, log.available(i, every)); !what.empty()) {
      if (faults++ == 0) {
        faulty = i;
        fault = std::move(what);
      }
    }
    out.row.push_back(i);
    taken[static_cast<std::size_t>(log.action[i])] = true;
  }
  if (faults > 0) return faulty_rows(faulty, fault, faults);
  if (out.row.empty()) {
    return make_error(Code::kValue, fmt::format("no decision can be used: {}", out.excluded.words()), {},
                      "estimators need decisions that the policy took, with propensity and reward");
  }
  const std::size_t n = out.size();
  constexpr double kMostCells = 4e8;
  if (dense && static_cast<double>(n) * static_cast<double>(out.actions) > kMostCells) {
    return make_error(Code::kLimit,
                      fmt::format("{} decisions x {} actions are too many for a reward model", n, out.actions), {},
                      "use ips, snips, clipped or shrunk");
  }
  if (dense) out.target = MatrixD::Zero(static_cast<Eigen::Index>(n), static_cast<Eigen::Index>(out.actions));
  out.action.resize(n);
  out.reward.resize(n);
  out.propensity.resize(n);
  out.weight.resize(n);
  out.missing.resize(n);
  double bound = 0;
  std::vector<double> pi;
  for (std::size_t j = 0; j < n; ++j) {
    const std::size_t i = out.row[j];
    const auto available = log.available(i, every);
    const auto logged = log.probabilities(i);
    pi.assign(available.size(), 0.0);
    target.probabilities(i, available, pi);
    out.action[j] = log.action[i];
    out.reward[j] = log.reward[i];
    out.propensity[j] = log.propensity[i];
    double held = 0;
    for (std::size_t k = 0; k < available.size(); ++k) {
      const auto a = static_cast<std::size_t>(available[k]);
      if (dense) out.target(static_cast<Eigen::Index>(j), static_cast<Eigen::Index>(a)) = pi[k];
      if (available[k] == log.action[i]) out.weight[j] = pi[k] / log.propensity[i];
      if (logged.empty() ? taken[a] : logged[k] > 0) held += pi[k];
      if (!logged.empty() && logged[k] > 0) bound = std::max(bound, pi[k] / logged[k]);
    }
    // Sums of probabilities carry rounding; a mass below it is none.
    const double missing = 1 - held;
    out.missing[j] = missing > 1e-9 ? missing : 0;
  }
  if (!log.set_probabilities.empty()) out.weight_bound = bound;
  bool units = false;
  for (const std::size_t i : out.row) units = units || log.unit[i] >= 0;
  if (units) {
    // A row without unit is one of its own.
    auto next = static_cast<int>(log.unit_names.size());
    for (const std::size_t i : out.row) out.unit.push_back(log.unit[i] >= 0 ? log.unit[i] : next++);
  }
  return out;
}

Support support_of(const OpeRows& rows) {
  Support s;
  const auto n = static_cast<double>(rows.size());
  s.rows = n;
  s.excluded_share = static_cast<double>(rows.excluded.total()) / static_cast<double>(rows.logged);
  s.mean_weight = base::ordered_mean(rows.weight);
  s.missing = base::ordered_mean(rows.missing);
  s.largest_weight = *std::max_element(rows.weight.begin(), rows.weight.end());
  const auto [low, high] = std::minmax_element(rows.reward.begin(), rows.reward.end());
  s.telling = n - static_cast<double>(std::max(std::count(rows.reward.begin(), rows.reward.end(), *low),
                                               std::count(rows.reward.begin(), rows.reward.end(), *high)));
  const stats::UnitIndex index = stats::group_units(rows.unit, rows.size()).value();
  s.units = static_cast<double>(index.count());
  double total = 0;
  double square = 0;
  double largest = 0;
  double deviation = 0;
  const double center = s.mean_weight + s.missing;
  for (std::size_t u = 0; u < index.count(); ++u) {
    double sum = 0;
    double gap = 0;
    for (const std::size_t j : index.rows_of(u)) {
      sum += rows.weight[j];
      gap += rows.weight[j] + rows.missing[j] - center;
    }
    total += sum;
    square += sum * sum;
    deviation += gap * gap;
    largest = std::max(largest, sum);
  }
  s.effective_size = square > 0 ? total * total / square : 0;
  s.largest_share = total > 0 ? largest / total : 1;
  if (s.units >= 2) {
    const double error = std::sqrt(deviation * s.units / (s.units - 1)) / n;
    const double gap = center - 1;
    if (error > 1e-12)
      s.mean_weight_p = stats::t_two_sided(gap / error, s.units - 1);
    else
      s.mean_weight_p = std::abs(gap) > 1e-6 ? 0 : 1;
  }
  return s;
}

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSays: return "says";
    case Outcome::kWarns: return "warns";
    case Outcome::kCannotSay: return "cannot say";
  }
  return "";
}

Judgement judge_support(const Support& s, bool weighted, bool by_limit) {
  Judgement out;
  const auto note = [&](bool cannot, bool warns, const std::string& words) {
    if (!cannot && !warns) return;
    out.outcome = std::max(out.outcome, cannot ? Outcome::kCannotSay : Outcome::kWarns);
    out.reasons.push_back(words);
  };
  constexpr double kLeast = 30;
  constexpr double kFew = 100;
  constexpr double kMissing = 0.01;
  note(s.units < kLeast, false, fmt::format("{} units can be used, at least {} are needed", s.units, kLeast));
  note(s.missing > kMissing, s.missing > 0,
       fmt::format("the policy puts {:.3g} of its probability on actions that the log cannot have taken", s.missing));
  if (by_limit) {
    note(false, s.telling < kLeast,
         fmt::format("all but {} rewards are the same: bounds by a limit or by resampling come out too short",
                     s.telling));
  }
  if (!weighted) return out;
  constexpr double kShare = 0.1;
  note(s.effective_size < kLeast, s.effective_size < kFew,
       fmt::format("the effective size is {:.1f} of {} units: the policies overlap too little", s.effective_size,
                   s.units));
  note(s.largest_share > kShare, s.largest_share > kShare / 2,
       fmt::format("one unit has {:.1f} % of the weight", 100 * s.largest_share));
  note(s.mean_weight_p < 1e-6, s.mean_weight_p < 1e-3,
       fmt::format(
           "the mean weight is {:.4g} where 1 is expected (p = {:.2g}): the propensities are wrong, or the overlap "
           "is too small",
           s.mean_weight, s.mean_weight_p));
  return out;
}

}  // namespace plumbline::counterfactual
