#include "plumbline/counterfactual/sequential.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/stats/bootstrap.hpp"
#include "plumbline/stats/descriptive.hpp"

namespace plumbline::counterfactual {
namespace {

using base::Code;
using base::make_error;
using Eigen::Index;

constexpr std::array<std::string_view, 6> kNames = {"trajectory", "per_decision", "weighted",
                                                    "dr",         "fitted_q",     "marginal"};

/// sum_a pi(a | x) q(t, s, a) at one step.
double state_value(const Episodes& e, std::size_t step, std::size_t t, const MatrixD& q) {
  const auto row = static_cast<Index>(t * e.states + static_cast<std::size_t>(e.state[step]));
  double sum = 0;
  for (Index a = 0; a < q.cols(); ++a) sum += e.target(static_cast<Index>(step), a) * q(row, a);
  return sum;
}

/// Fitted Q over the episodes named (with repetition).
MatrixD fit_q(const Episodes& e, std::span<const std::size_t> which, double discount) {
  const auto actions = e.target.cols();
  const auto cells = static_cast<Index>(e.states);
  MatrixD q = MatrixD::Zero(static_cast<Index>(e.steps * e.states), actions);
  MatrixD all_sum = MatrixD::Zero(cells, actions);
  MatrixD all_count = MatrixD::Zero(cells, actions);
  MatrixD sum(cells, actions);
  MatrixD count(cells, actions);
  for (std::size_t t = e.steps; t-- > 0;) {
    sum.setZero();
    count.setZero();
    for (const std::size_t i : which) {
      const std::size_t step = e.start[i] + t;
      if (step >= e.start[i + 1]) continue;
      double y = e.reward[step];
      if (step + 1 < e.start[i + 1]) y += discount * state_value(e, step + 1, t + 1, q);
      sum(e.state[step], e.action[step]) += y;
      count(e.state[step], e.action[step]) += 1;
    }
    for (Index s = 0; s < cells; ++s) {
      for (Index a = 0; a < actions; ++a) {
        all_sum(s, a) += sum(s, a);
        all_count(s, a) += count(s, a);
        const double n = count(s, a) > 0 ? count(s, a) : all_count(s, a);
        const double total = count(s, a) > 0 ? sum(s, a) : all_sum(s, a);
        q(static_cast<Index>(t) * cells + s, a) = n > 0 ? total / n : 0;
      }
    }
  }
  return q;
}

double fitted_value(const Episodes& e, std::span<const std::size_t> which, double discount) {
  const MatrixD q = fit_q(e, which, discount);
  double sum = 0;
  for (const std::size_t i : which) sum += state_value(e, e.start[i], 0, q);
  return sum / static_cast<double>(which.size());
}

double weighted_value(const Episodes& e, std::span<const std::size_t> which, double discount) {
  std::vector<double> num(e.steps, 0.0);
  std::vector<double> den(e.steps, 0.0);
  for (const std::size_t i : which) {
    double w = 1;
    for (std::size_t t = 0; t < e.steps; ++t) {
      const std::size_t step = e.start[i] + t;
      if (step < e.start[i + 1]) {
        w *= e.weight[step];
        num[t] += w * e.reward[step];
      }
      den[t] += w;
    }
  }
  double value = 0;
  double g = 1;
  for (std::size_t t = 0; t < e.steps; ++t, g *= discount) {
    if (!(den[t] > 0)) return std::numeric_limits<double>::quiet_NaN();
    value += g * num[t] / den[t];
  }
  return value;
}

/// Forward recursion; `least_size`, where asked for, receives the least effective size over the steps.
double marginal_value(const Episodes& e, std::span<const std::size_t> which, double discount, double* least_size) {
  std::vector<double> d(e.states, 0.0);
  std::vector<double> next(e.states);
  std::vector<double> count(e.states);
  std::vector<double> earned(e.states);
  for (const std::size_t i : which)
    d[static_cast<std::size_t>(e.state[e.start[i]])] += 1 / static_cast<double>(which.size());
  double value = 0;
  double g = 1;
  if (least_size != nullptr) *least_size = std::numeric_limits<double>::infinity();
  for (std::size_t t = 0; t < e.steps; ++t, g *= discount) {
    std::fill(count.begin(), count.end(), 0.0);
    std::fill(earned.begin(), earned.end(), 0.0);
    std::fill(next.begin(), next.end(), 0.0);
    for (const std::size_t i : which) {
      const std::size_t step = e.start[i] + t;
      if (step < e.start[i + 1]) count[static_cast<std::size_t>(e.state[step])] += 1;
    }
    double total = 0;
    double square = 0;
    for (const std::size_t i : which) {
      const std::size_t step = e.start[i] + t;
      if (step >= e.start[i + 1]) continue;
      const auto s = static_cast<std::size_t>(e.state[step]);
      const double w = d[s] / count[s] * e.weight[step];
      earned[s] += w * e.reward[step];
      total += w;
      square += w * w;
      if (step + 1 < e.start[i + 1]) next[static_cast<std::size_t>(e.state[step + 1])] += w;
    }
    if (least_size != nullptr && square > 0) *least_size = std::min(*least_size, total * total / square);
    double sum = 0;
    for (const double r : earned) sum += r;
    value += g * sum;
    d.swap(next);
  }
  return value;
}

}  // namespace

std::string_view sequential_name(Sequential estimator) { return kNames[static_cast<std::size_t>(estimator)]; }
std::span<const std::string_view> sequential_names() { return kNames; }

base::Result<Sequential> parse_sequential(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found != kNames.end()) return static_cast<Sequential>(found - kNames.begin());
  const std::vector<std::string> known(kNames.begin(), kNames.end());
  const std::string near = base::nearest(name, known);
  return make_error(Code::kValue, fmt::format("'{}' is no estimator of episodes", name.substr(0, 40)), {},
                    near.empty() ? fmt::format("expected one of {}", fmt::join(kNames, ", "))
                                 : fmt::format("did you mean '{}'?", near));
}

bool needs_states(Sequential estimator) {
  return estimator == Sequential::kDoublyRobust || estimator == Sequential::kFittedQ ||
         estimator == Sequential::kMarginal;
}

std::vector<double> episode_returns(const Episodes& e, double discount) {
  std::vector<double> out(e.size(), 0.0);
  for (std::size_t i = 0; i < out.size(); ++i) {
    double g = 1;
    for (std::size_t step = e.start[i]; step < e.start[i + 1]; ++step, g *= discount) out[i] += g * e.reward[step];
  }
  return out;
}

base::Result<Episodes> episodes_of(const data::DecisionLog& log, const TargetPolicy& target,
                                   const std::string& state_column) {
  const data::Column* column = state_column.empty() ? nullptr : log.context.find(state_column);
  if (column == nullptr && !state_column.empty()) {
    std::vector<std::string> known;
    for (const data::Column& c : log.context.columns) known.push_back(c.name);
    const std::string near = base::nearest(state_column, known);
    return make_error(Code::kValue, fmt::format("the log has no context column '{}' for the state", state_column), {},
                      near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
  }
  PL_TRY(OpeRows rows, usable_rows(log, target, true));
  if (rows.unit.empty())
    return make_error(Code::kValue, "the log has no units: an episode is the decisions of one unit", {},
                      "name the episode of each decision as its unit");
  // Rows of each unit in the whole log, to see which episodes are whole.
  std::map<int, std::size_t> logged;
  for (const int u : log.unit) ++logged[u];
  std::map<int, std::vector<std::size_t>> used;
  for (std::size_t j = 0; j < rows.size(); ++j) used[rows.unit[j]].push_back(j);
  std::map<double, int> number_code;
  Episodes out;
  out.start.push_back(0);
  std::vector<std::size_t> order;
  double missing = 0;
  for (const auto& [unit, members] : used) {
    const auto whole = logged.find(unit);
    if (whole == logged.end() || whole->second != members.size()) {
      ++out.dropped;
      continue;
    }
    double most = 0;
    for (const std::size_t j : members) {
      const std::size_t i = rows.row[j];
      int code = -1;
      if (column == nullptr) {
        code = 0;
      } else if (column->kind == data::Column::Kind::kCategory) {
        code = column->codes[i];
      } else if (!std::isnan(column->numbers[i])) {
        code = number_code.try_emplace(column->numbers[i], static_cast<int>(number_code.size())).first->second;
      }
      if (code < 0) return make_error(Code::kValue, fmt::format("decision {} has no '{}'", i + 1, state_column));
      out.state.push_back(code);
      out.action.push_back(rows.action[j]);
      out.reward.push_back(rows.reward[j]);
      out.weight.push_back(rows.weight[j]);
      order.push_back(j);
      most = std::max(most, rows.missing[j]);
    }
    missing += most;
    out.start.push_back(order.size());
    out.steps = std::max(out.steps, members.size());
  }
  for (const auto& [unit, count] : logged) out.dropped += used.contains(unit) || unit < 0 ? 0 : 1;
  if (out.size() == 0)
    return make_error(Code::kValue, fmt::format("no episode is whole: {} hold decisions that cannot be used ({})",
                                                out.dropped, rows.excluded.words()));
  out.states = column == nullptr                               ? 1
               : column->kind == data::Column::Kind::kCategory ? column->levels.size()
                                                               : number_code.size();
  constexpr double kMostCells = 5e7;
  if (static_cast<double>(out.states) * static_cast<double>(out.steps) * static_cast<double>(rows.actions) > kMostCells)
    return make_error(Code::kLimit, fmt::format("{} states x {} steps x {} actions are too many for tables", out.states,
                                                out.steps, rows.actions));
  out.target = MatrixD(static_cast<Index>(order.size()), static_cast<Index>(rows.actions));
  for (std::size_t k = 0; k < order.size(); ++k) {
    for (Index a = 0; a < out.target.cols(); ++a)
      out.target(static_cast<Index>(k), a) = rows.target(static_cast<Index>(order[k]), a);
  }
  out.missing = missing / static_cast<double>(out.size());
  return out;
}

std::vector<double> episode_terms(const Episodes& e, Sequential estimator, double discount, const MatrixD& q) {
  std::vector<double> out(e.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    double w = 1;
    double g = 1;
    double sum = 0;
    for (std::size_t step = e.start[i]; step < e.start[i + 1]; ++step, g *= discount) {
      const std::size_t t = step - e.start[i];
      if (estimator == Sequential::kDoublyRobust) {
        const auto row = static_cast<Index>(t * e.states + static_cast<std::size_t>(e.state[step]));
        sum += g * w * state_value(e, step, t, q);
        w *= e.weight[step];
        sum += g * w * (e.reward[step] - q(row, e.action[step]));
      } else {
        w *= e.weight[step];
        sum += g * (estimator == Sequential::kPerDecision ? w : 1.0) * e.reward[step];
      }
    }
    out[i] = estimator == Sequential::kTrajectory ? w * sum : sum;
  }
  return out;
}

namespace {

/// The value, or with `subtract` (one number an episode) the value minus its mean.
base::Result<SequentialValue> evaluate(const Episodes& e, Sequential estimator, const SequentialOptions& options,
                                       const std::vector<double>& subtract, const base::Rng& rng) {
  const std::size_t n = e.size();
  PL_CHECK(base::check_at_least("sequential_value", "episodes", static_cast<std::ptrdiff_t>(n), 1));
  if (!(options.discount > 0 && options.discount <= 1))
    return make_error(Code::kValue, fmt::format("sequential_value: discount is {}, expected above 0 and at most 1",
                                                options.discount));
  PL_CHECK(base::check_at_least("sequential_value", "folds", options.folds, 2));
  PL_CHECK(
      base::check_at_least("sequential_value", "replicates", static_cast<std::ptrdiff_t>(options.replicates), 100));
  SequentialValue out;
  out.estimator = estimator;
  std::vector<std::size_t> all(n);
  for (std::size_t i = 0; i < n; ++i) all[i] = i;
  if (estimator == Sequential::kMarginal) {
    (void)marginal_value(e, all, options.discount, &out.effective_size);
  } else {
    double total = 0;
    double square = 0;
    for (std::size_t i = 0; i < n; ++i) {
      double w = 1;
      for (std::size_t step = e.start[i]; step < e.start[i + 1]; ++step) w *= e.weight[step];
      total += w;
      square += w * w;
    }
    out.effective_size = square > 0 ? total * total / square : 0;
  }
  constexpr double kLeast = 30;
  constexpr double kFew = 100;
  constexpr double kMissing = 0.01;
  const auto note = [&](bool cannot, bool warns, std::string words) {
    if (!cannot && !warns) return;
    out.outcome = std::max(out.outcome, cannot ? Outcome::kCannotSay : Outcome::kWarns);
    out.reasons.push_back(std::move(words));
  };
  note(static_cast<double>(n) < kLeast, false,
       fmt::format("{} episodes can be used, at least {} are needed", n, kLeast));
  note(e.missing > kMissing, e.missing > 0,
       fmt::format("the policy puts {:.3g} of its probability on actions that the log cannot have taken", e.missing));
  const bool weighted = estimator != Sequential::kFittedQ;
  note(weighted && out.effective_size < kLeast, weighted && out.effective_size < kFew,
       fmt::format("the effective size is {:.1f} of {} episodes: the policies overlap too little", out.effective_size,
                   n));
  note(false, !weighted, "the error of the fitted values where data are absent is not in the bounds");
  if (out.outcome == Outcome::kCannotSay) {
    out.estimate.value = std::numeric_limits<double>::quiet_NaN();
    return out;
  }

  stats::BootstrapOptions bootstrap;
  bootstrap.replicates = options.replicates;
  bootstrap.unit_of_sampling = "episode";
  bootstrap.cancel = options.cancel;
  const bool anew =
      estimator == Sequential::kWeighted || estimator == Sequential::kFittedQ || estimator == Sequential::kMarginal;
  if (anew) {
    bootstrap.kind = stats::BootstrapKind::kPercentile;
    const auto statistic = [&](std::span<const std::size_t> which) {
      double off = 0;
      if (!subtract.empty()) {
        for (const std::size_t i : which) off += subtract[i] / static_cast<double>(which.size());
      }
      if (estimator == Sequential::kWeighted) return weighted_value(e, which, options.discount) - off;
      if (estimator == Sequential::kFittedQ) return fitted_value(e, which, options.discount) - off;
      return marginal_value(e, which, options.discount, nullptr) - off;
    };
    PL_TRY(out.estimate, stats::bootstrap(n, statistic, bootstrap, rng.fork("bootstrap")));
  } else {
    std::vector<double> terms;
    if (estimator == Sequential::kDoublyRobust) {
      terms.assign(n, 0.0);
      base::Rng stream = rng.fork("folds");
      const std::vector<std::size_t> order = stream.permutation(n);
      const auto folds = static_cast<std::size_t>(options.folds);
      for (std::size_t f = 0; f < folds; ++f) {
        std::vector<std::size_t> fit;
        for (std::size_t k = 0; k < n; ++k) {
          if (k % folds != f) fit.push_back(order[k]);
        }
        std::sort(fit.begin(), fit.end());
        const MatrixD q = fit_q(e, fit, options.discount);
        const std::vector<double> own = episode_terms(e, estimator, options.discount, q);
        for (std::size_t k = f; k < n; k += folds) terms[order[k]] = own[order[k]];
      }
    } else {
      terms = episode_terms(e, estimator, options.discount, MatrixD());
    }
    for (std::size_t i = 0; i < subtract.size(); ++i) terms[i] -= subtract[i];
    PL_TRY(out.estimate, stats::bootstrap_mean(terms, {}, bootstrap, rng.fork("bootstrap")));
    out.estimate.unit_of_sampling = "episode";
  }
  out.estimate.n_effective = weighted ? out.effective_size : static_cast<double>(n);
  for (const std::string& reason : out.reasons) out.estimate.warnings.push_back(reason);
  return out;
}

}  // namespace

base::Result<SequentialValue> sequential_value(const Episodes& e, Sequential estimator,
                                               const SequentialOptions& options, const base::Rng& rng) {
  return evaluate(e, estimator, options, {}, rng);
}

base::Result<SequentialValue> sequential_gain(const Episodes& e, Sequential estimator, const SequentialOptions& options,
                                              const base::Rng& rng) {
  PL_TRY(SequentialValue out, evaluate(e, estimator, options, episode_returns(e, options.discount), rng));
  out.estimate.assumptions.emplace_back("both policies are compared on the same episodes");
  return out;
}

}  // namespace plumbline::counterfactual
