#include "plumbline/system/deployed_log.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/special.hpp"
#include "plumbline/system/deployed_draws.hpp"
#include "plumbline/system/deployed_prediction.hpp"

namespace plumbline::system {
namespace {

using data::DecisionCause;
using data::DecisionKind;
using data::DecisionRecord;

constexpr std::size_t kShown = 100;
constexpr double kClose = 1e-6;

class Faults {
 public:
  explicit Faults(std::size_t rows) : faulty_(rows, 0) {}
  void add(std::size_t row, const std::string& what) {
    LogFault& fault = by_what_[what];
    fault.what = what;
    ++fault.count;
    if (fault.rows.size() < kShown) fault.rows.push_back(row);
    faulty_[row] = 1;
  }
  void report(DeployedLog& out) {
    const auto count = static_cast<double>(std::count(faulty_.begin(), faulty_.end(), 1));
    const auto n = static_cast<double>(faulty_.size());
    out.faulty_share = stats::exact(count / n, n, "count");
    for (auto& [what, fault] : by_what_) out.faults.push_back(std::move(fault));
    std::stable_sort(out.faults.begin(), out.faults.end(),
                     [](const LogFault& a, const LogFault& b) { return a.count > b.count; });
  }

 private:
  std::map<std::string, LogFault> by_what_;
  std::vector<std::uint8_t> faulty_;
};

/// What is wrong with the probabilities of a row; empty: nothing. Rows without any say nothing.
std::string wrong_draw(const DecisionRecord& r) {
  if (r.probabilities.empty()) return {};
  if (r.probabilities.size() != r.actions.size()) return "not as many probabilities as actions";
  double sum = 0;
  for (const double p : r.probabilities) {
    if (!(p >= 0 && p <= 1)) return "a probability outside [0, 1]";
    sum += p;
  }
  if (std::abs(sum - 1) > kClose) return "probabilities that do not sum to 1";
  if (std::set<std::string>(r.actions.begin(), r.actions.end()).size() != r.actions.size())
    return "an action that is named twice";
  const auto found = std::find(r.actions.begin(), r.actions.end(), r.action);
  if (found == r.actions.end()) return "an action that could not be taken";
  const double p = r.probabilities[static_cast<std::size_t>(found - r.actions.begin())];
  if (!(p > 0)) return "an action of probability 0 that was taken";
  if (r.propensity && std::abs(*r.propensity - p) > kClose) return "a propensity that is not the action's probability";
  return {};
}

void find_faults(std::span<const DecisionRecord> log, DeployedLog& out) {
  Faults faults(log.size());
  std::set<std::string> ids;
  bool any_id = false;
  for (const DecisionRecord& r : log) any_id = any_id || !r.id.empty();
  if (!any_id) out.notes.emplace_back("decisions have no ids: whether each is there once is not known");
  std::optional<double> before;
  for (std::size_t i = 0; i < log.size(); ++i) {
    const DecisionRecord& r = log[i];
    if (any_id && r.id.empty()) faults.add(i, "no id");
    // One decision may show several positions of a slate under one id.
    if (!r.id.empty() && !ids.insert(fmt::format("{}:{}", r.position, r.id)).second)
      faults.add(i, "an id that was there before");
    if (r.time) {
      if (before && *r.time < *before) faults.add(i, "earlier than the decision before");
      before = r.time;
    }
    if (r.position > 1 && (i == 0 || log[i - 1].position != r.position - 1 || log[i - 1].unit != r.unit))
      faults.add(i, "a position that does not follow the one before");
    if (const std::string wrong = wrong_draw(r); !wrong.empty()) faults.add(i, wrong);
    const bool acted = r.kind == DecisionKind::kAct && r.cause == DecisionCause::kPolicy;
    if (acted && !r.final_action.empty() && r.final_action != r.action)
      faults.add(i, "the policy acted, and another action was carried out");
  }
  faults.report(out);
}

/// Rows whose action was drawn from probabilities that can have been used, or that could not happen at all.
std::vector<Draw> draws_of(std::span<const DecisionRecord> log, std::map<std::string, int>& codes) {
  std::vector<Draw> draws;
  for (std::size_t i = 0; i < log.size(); ++i) {
    const DecisionRecord& r = log[i];
    const std::string wrong = wrong_draw(r);
    if (r.probabilities.empty() ||
        (!wrong.empty() && !wrong.starts_with("a propensity") && !wrong.starts_with("an action of")))
      continue;
    Draw d;
    d.row = i;
    d.probabilities = r.probabilities;
    for (const std::string& action : r.actions)
      d.actions.push_back(codes.emplace(action, static_cast<int>(codes.size())).first->second);
    d.taken = static_cast<std::size_t>(std::find(r.actions.begin(), r.actions.end(), r.action) - r.actions.begin());
    draws.push_back(std::move(d));
  }
  return draws;
}

void judge_draws(std::span<const Draw> draws, std::size_t actions, DeployedLog& out) {
  out.drawn = draws.size();
  if (draws.empty()) {
    out.notes.emplace_back(
        "draw_p is not known: no decision has the probabilities of all actions; counterfactual.log_quality judges "
        "propensities alone");
    return;
  }
  const auto n = static_cast<double>(draws.size());
  std::size_t explored = 0;
  double least = 1;
  for (const Draw& d : draws) {
    explored += d.probabilities[d.taken] < 1 ? 1 : 0;
    least = std::min(least, d.probabilities[d.taken]);
  }
  out.explored_share = stats::exact(static_cast<double>(explored) / n, n, "count");
  out.least_probability = stats::exact(least, n, "minimum");
  DrawEvidence evidence = bet_on_draws(draws, actions);
  out.wealth = std::move(evidence.wealth);
  if (explored == 0) {
    out.notes.emplace_back("draw_p is not known: every action was taken with probability 1, so nothing was drawn");
    return;
  }
  out.draw_p =
      stats::exact(evidence.p, n, "1 / largest wealth of a mixture of likelihood ratios: a fact about these draws");
  out.draw_p->anytime = true;
  out.sharpness = sharpness_of(draws);
  if (!out.sharpness)
    out.notes.emplace_back(
        "sharpness is not known: fewer than 30 decisions could take actions of different probability");
}

base::Status judge_causes(std::span<const DecisionRecord> log, DeployedLog& out) {
  std::map<std::string, int> names;
  std::vector<int> units;
  for (const DecisionRecord& r : log)
    units.push_back(
        names.emplace(r.unit.empty() ? fmt::format("row {}", units.size()) : r.unit, static_cast<int>(names.size()))
            .first->second);
  const bool cluster = names.size() >= 2 && names.size() < log.size();
  const auto share = [&](const auto& is) -> base::Result<stats::Estimate> {
    std::vector<std::uint8_t> hits;
    for (const DecisionRecord& r : log) hits.push_back(is(r) ? 1 : 0);
    PL_TRY(stats::Estimate e, stats::proportion(hits, cluster ? std::span<const int>(units) : std::span<const int>()));
    e.unit_of_sampling = cluster ? "unit" : "decision";
    return e;
  };
  PL_TRY(out.error_share, share([](const auto& r) { return r.cause == DecisionCause::kError; }));
  PL_TRY(out.timeout_share, share([](const auto& r) { return r.cause == DecisionCause::kTimeout; }));
  PL_TRY(out.person_share, share([](const auto& r) { return r.cause == DecisionCause::kPerson; }));
  PL_TRY(out.fallback_share, share([](const auto& r) { return r.kind == DecisionKind::kFallBack; }));
  PL_TRY(out.refused_share, share([](const auto& r) { return r.kind == DecisionKind::kRefuse; }));
  return base::ok();
}

void judge_versions(std::span<const DecisionRecord> log, const DeployedOptions& options, DeployedLog& out) {
  const auto allowed = [&](const std::string& version) {
    return options.policies.empty()
               ? version == log.front().policy
               : std::find(options.policies.begin(), options.policies.end(), version) != options.policies.end();
  };
  std::size_t undeclared = 0;
  for (const DecisionRecord& r : log) {
    undeclared += allowed(r.policy) ? 0 : 1;
    if (std::find(out.versions.begin(), out.versions.end(), r.policy) == out.versions.end())
      out.versions.push_back(r.policy);
  }
  const auto n = static_cast<double>(log.size());
  out.undeclared_share = stats::exact(static_cast<double>(undeclared) / n, n, "count");
}

void judge_gaps(std::span<const DecisionRecord> log, DeployedLog& out) {
  constexpr std::size_t kSide = 20;
  constexpr double kNeighbours = 2 * kSide;
  std::vector<std::pair<double, std::size_t>> times;  // different ones
  for (std::size_t i = 0; i < log.size(); ++i)
    if (log[i].time && (times.empty() || *log[i].time > times.back().first)) times.emplace_back(*log[i].time, i);
  if (times.size() < 2 * kSide + 2) {
    out.notes.push_back(
        fmt::format("gap_p is not known: {} different times, {} are needed", times.size(), 2 * kSide + 2));
    return;
  }
  const auto gap = [&](std::size_t i) { return times[i + 1].first - times[i].first; };
  const std::size_t gaps = times.size() - 1;
  double least = 1;
  std::size_t at = 0;
  for (std::size_t i = 0; i < gaps; ++i) {
    // The 40 nearest others; at the ends of the log they lie on one side.
    const std::size_t first = std::min(i < kSide ? 0 : i - kSide, gaps - 2 * kSide - 1);
    const double others = times[first + 2 * kSide + 1].first - times[first].first - gap(i);
    if (!(others > 0)) continue;
    const double tail = std::exp(-kNeighbours * std::log1p(gap(i) / others));
    if (tail < least) {
      least = tail;
      at = i + 1;
    }
  }
  out.gap_p = stats::exact(std::min(1.0, least * static_cast<double>(gaps)), static_cast<double>(gaps),
                           "least tail of a gap beside its neighbours, times their number");
  if (out.gap_p->value < 0.001) out.after_gap = {times[at].second};
}

/// "job-000017" is 17 of "job-". Nothing where the id does not end in a number.
std::optional<std::pair<std::string, std::uint64_t>> counted(const std::string& id) {
  std::size_t start = id.size();
  while (start > 0 && std::isdigit(static_cast<unsigned char>(id[start - 1])) != 0) --start;
  if (start == id.size() || id.size() - start > 18) return std::nullopt;
  return std::pair(id.substr(0, start), std::stoull(id.substr(start)));
}

void judge_numbers(std::span<const DecisionRecord> log, DeployedLog& out) {
  std::set<std::uint64_t> numbers;
  std::optional<std::string> prefix;
  for (const DecisionRecord& r : log) {
    const auto number = counted(r.id);
    if (!number || (prefix && *prefix != number->first)) {
      out.notes.emplace_back("missing_number_share is not known: ids do not count up");
      return;
    }
    prefix = number->first;
    numbers.insert(number->second);
  }
  const double range = static_cast<double>(*numbers.rbegin() - *numbers.begin()) + 1;
  const auto n = static_cast<double>(numbers.size());
  if (n < 0.5 * range) {
    out.notes.emplace_back(
        "missing_number_share is not known: ids are numbers, but less than half of the range is there");
    return;
  }
  out.missing_number_share = stats::exact(1 - n / range, range, "count");
}

void judge_feedback(std::span<const DecisionRecord> log, std::span<const Draw> draws, std::size_t actions,
                    DeployedLog& out) {
  constexpr std::size_t kLeast = 30;
  // Rewards of the last tenth may still be on their way.
  const std::size_t end = log.size() - log.size() / 10;
  std::vector<const Draw*> judged;
  double missing = 0;
  for (const Draw& d : draws) {
    if (d.row >= end || !(d.probabilities[d.taken] < 1)) continue;
    judged.push_back(&d);
    missing += log[d.row].reward ? 0 : 1;
  }
  const auto n = static_cast<double>(judged.size());
  if (missing < static_cast<double>(kLeast) || n - missing < static_cast<double>(kLeast)) {
    out.notes.push_back(
        fmt::format("feedback_p is not known: of {} decisions with more than one possible action {} lack a reward; 30 "
                    "of each are needed",
                    n, missing));
    return;
  }
  const double mean = missing / n;
  std::vector<double> sum(actions, 0);
  std::vector<double> variance(actions, 0);
  for (const Draw* d : judged) {
    const double m = (log[d->row].reward ? 0 : 1) - mean;
    for (std::size_t k = 0; k < d->actions.size(); ++k) {
      const auto a = static_cast<std::size_t>(d->actions[k]);
      const double p = d->probabilities[k];
      sum[a] += m * ((k == d->taken ? 1 : 0) - p);
      variance[a] += m * m * p * (1 - p);
    }
  }
  double least = 1;
  double tests = 0;
  for (std::size_t a = 0; a < actions; ++a) {
    if (variance[a] < 5) continue;  // too few draws for a normal sum
    ++tests;
    least = std::min(least, 2 * stats::normal_tail(std::abs(sum[a]) / std::sqrt(variance[a])));
  }
  if (tests == 0) {
    out.notes.emplace_back("feedback_p is not known: no action was drawn often enough");
    return;
  }
  out.feedback_p =
      stats::exact(std::min(1.0, least * tests), n, "randomisation, least over actions, times their number");
}

}  // namespace

base::Result<DeployedLog> deployed_log(std::span<const DecisionRecord> log, const DeployedOptions& options) {
  if (log.empty()) return base::make_error(base::Code::kValue, "there is no decision", "deployed_log");
  DeployedLog out;
  out.rows = log.size();
  find_faults(log, out);
  std::map<std::string, int> codes;
  const std::vector<Draw> draws = draws_of(log, codes);
  judge_draws(draws, codes.size(), out);
  PL_CHECK(judge_causes(log, out));
  judge_versions(log, options, out);
  judge_gaps(log, out);
  judge_numbers(log, out);
  judge_feedback(log, draws, codes.size(), out);
  predict_online(log, draws, out);
  return out;
}

}  // namespace plumbline::system
