#include "plumbline/counterfactual/coverage.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/counterfactual/learning/exploration.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual {
namespace {

constexpr double kLevel = 0.95;
constexpr std::size_t kContexts = 4;
constexpr std::array<double, kContexts> kContextShare = {0.4, 0.3, 0.2, 0.1};

/// mu, pi and mean rewards of a regime, by context and action.
struct World {
  std::array<std::vector<double>, kContexts> logging, claimed, target, mean;
  double truth = 0;
  double weight_bound = 0;
};

World world_of(const Regime& r) {
  World w;
  const auto k = static_cast<double>(r.actions);
  const double claim = r.claimed >= 0 ? r.claimed : r.explore;
  for (std::size_t x = 0; x < kContexts; ++x) {
    w.logging[x].assign(r.actions, r.explore / k);
    w.claimed[x].assign(r.actions, claim / k);
    w.target[x].assign(r.actions, (1 - r.lean) / k);
    w.logging[x][x % r.actions] += 1 - r.explore;
    w.claimed[x][x % r.actions] += 1 - claim;
    w.target[x][(x + 1) % r.actions] += r.lean;
    for (std::size_t a = 0; a < r.actions; ++a) {
      const double mean = r.reward_scale * (0.2 + 0.15 * static_cast<double>((3 * x + 2 * a) % 5));
      w.mean[x].push_back(mean);
      w.truth += kContextShare[x] * w.target[x][a] * mean;
      w.weight_bound = std::max(w.weight_bound, w.target[x][a] / w.claimed[x][a]);
    }
  }
  return w;
}

struct Draw {
  OpeRows rows;
  MatrixD features;
};

Draw draw_log(const Regime& r, const World& w, base::Rng rng) {
  Draw out;
  OpeRows& rows = out.rows;
  rows.logged = r.rows;
  rows.actions = r.actions;
  rows.weight_bound = w.weight_bound;
  const auto n = static_cast<Eigen::Index>(r.rows);
  rows.target = MatrixD(n, static_cast<Eigen::Index>(r.actions));
  out.features = MatrixD::Zero(n, static_cast<Eigen::Index>(kContexts));
  for (std::size_t i = 0; i < r.rows; ++i) {
    const auto at = static_cast<Eigen::Index>(i);
    const std::size_t x = learning::draw(kContextShare, rng.uniform());
    const std::size_t a = learning::draw(w.logging[x], rng.uniform());
    rows.row.push_back(i);
    rows.action.push_back(static_cast<int>(a));
    rows.reward.push_back(rng.bernoulli(w.mean[x][a]) ? 1 : 0);
    rows.propensity.push_back(w.claimed[x][a]);
    rows.weight.push_back(w.target[x][a] / w.claimed[x][a]);
    rows.missing.push_back(0);
    for (std::size_t b = 0; b < r.actions; ++b) rows.target(at, static_cast<Eigen::Index>(b)) = w.target[x][b];
    // A reward model that does not see the context sees noise instead.
    out.features(at, static_cast<Eigen::Index>(r.context ? x : rng.below(kContexts))) = 1;
  }
  return out;
}

std::vector<CoverageCell> cells_of(const Regime& r, bool cheap_only) {
  std::vector<CoverageCell> cells;
  const auto add = [&](Estimator e, Interval i) {
    CoverageCell cell;
    cell.regime = r.name;
    cell.estimator = e;
    cell.interval = i;
    if (!cheap_only || is_cheap(cell)) cells.push_back(cell);
  };
  for (std::size_t e = 0; e <= static_cast<std::size_t>(Estimator::kAuto); ++e) {
    const auto estimator = static_cast<Estimator>(e);
    if (estimator != Estimator::kAuto) add(estimator, Interval::kBootstrap);
    add(estimator, Interval::kNormal);
    if (estimator == Estimator::kIps || estimator == Estimator::kSnips) add(estimator, Interval::kLikelihood);
    if (estimator == Estimator::kIps || estimator == Estimator::kClipped || estimator == Estimator::kShrunk) {
      add(estimator, Interval::kBernstein);
      add(estimator, Interval::kAnytime);
    }
  }
  return cells;
}

/// All cells on one draw.
base::Result<std::vector<PolicyValue>> values_of(const Regime& r, const World& w,
                                                 const std::vector<CoverageCell>& cells, std::size_t replicates,
                                                 const base::Rng& rng) {
  Draw draw = draw_log(r, w, rng.fork("log"));
  const bool model =
      std::any_of(cells.begin(), cells.end(), [](const CoverageCell& c) { return needs_model(c.estimator); });
  ValueOptions options;
  options.replicates = replicates;
  options.reward_range = std::pair(0.0, 1.0);
  PL_TRY(const Evaluation evaluation,
         Evaluation::of_rows(std::move(draw.rows), model ? &draw.features : nullptr, options, rng.fork("value")));
  std::vector<PolicyValue> out;
  for (const CoverageCell& cell : cells) {
    PL_TRY(PolicyValue value, evaluation.value(cell.estimator, cell.interval));
    out.push_back(std::move(value));
  }
  return out;
}

/// The fewest hits of `n` that leave a probability of at least `level` unrefuted at 1e-4.
int lower_edge(int n, double level) {
  constexpr double kFalseAlarm = 1e-4;
  int k = 0;
  while (k < n && stats::binomial_cdf(k, n, level) < kFalseAlarm) ++k;
  return k;
}

CellState state_of(const CoverageCell& c) {
  constexpr double kAbstains = 0.95;
  if (c.warned + c.abstained >= kAbstains * c.draws) return CellState::kAbstains;
  return c.bounded > 0 && c.covered >= lower_edge(c.bounded, kLevel) ? CellState::kCovers : CellState::kShort;
}

base::Rng stream_of(std::uint64_t seed, const Regime& regime, std::size_t draw) {
  return base::Rng(seed, {"coverage", regime.name}).fork(draw);
}

}  // namespace

const std::vector<Regime>& coverage_regimes() {
  static const std::vector<Regime> all = {
      {.name = "overlap", .words = "4 actions, 0.6 of the draws by lot, target near the log"},
      {.name = "heavy_weights",
       .words = "4 actions, 0.25 of the draws by lot, target 0.8 on an action that is logged 0.06 of the time",
       .explore = 0.25,
       .lean = 0.8},
      {.name = "small_propensities",
       .words = "20 actions, least propensity 0.02, target 0.4 on one of them",
       .rows = 1000,
       .actions = 20,
       .explore = 0.4,
       .lean = 0.4},
      {.name = "wrong_reward_model",
       .words = "as overlap; the reward model sees noise for the context",
       .context = false},
      {.name = "wrong_propensities",
       .words = "0.3 of the draws by lot where the log claims 0.6",
       .explore = 0.3,
       .claimed = 0.6},
      {.name = "rare_rewards",
       .words = "as overlap; one decision in fifty earns anything",
       .rows = 1000,
       .reward_scale = 0.04},
  };
  return all;
}

std::string_view cell_state_name(CellState state) {
  switch (state) {
    case CellState::kCovers: return "covers";
    case CellState::kAbstains: return "abstains";
    case CellState::kShort: return "short";
  }
  return "";
}

bool is_default(const CoverageCell& c) {
  return c.interval == Interval::kBootstrap && (c.estimator == Estimator::kIps || c.estimator == Estimator::kSnips ||
                                                c.estimator == Estimator::kDr || c.estimator == Estimator::kMrdr);
}

bool is_cheap(const CoverageCell& c) {
  return !needs_model(c.estimator) && (c.interval == Interval::kNormal || c.interval == Interval::kBernstein);
}

base::Result<std::vector<CoverageCell>> measure_coverage(const Regime& regime, const CoverageOptions& options) {
  PL_CHECK(base::check_at_least("measure_coverage", "draws", options.draws, 1));
  const World world = world_of(regime);
  std::vector<CoverageCell> cells = cells_of(regime, options.cheap_only);
  const auto draws = static_cast<std::size_t>(options.draws);
  std::vector<std::vector<PolicyValue>> values(draws);
  PL_CHECK(base::parallel_for(
      draws,
      [&](std::size_t i) -> base::Status {
        PL_TRY(values[i], values_of(regime, world, cells, options.replicates, stream_of(options.seed, regime, i)));
        if (options.progress) options.progress(regime.name, static_cast<int>(i));
        return base::ok();
      },
      options.cancel));
  for (std::size_t c = 0; c < cells.size(); ++c) {
    CoverageCell& cell = cells[c];
    cell.draws = options.draws;
    std::vector<double> figures;
    std::vector<double> widths;
    for (const auto& one : values) {
      const PolicyValue& v = one[c];
      cell.warned += v.outcome == Outcome::kWarns ? 1 : 0;
      if (v.outcome == Outcome::kCannotSay) {
        ++cell.abstained;
        continue;
      }
      figures.push_back(v.estimate.value);
      const auto low = v.estimate.low(kLevel);
      const auto high = v.estimate.high(kLevel);
      if (!low || !high) continue;
      ++cell.bounded;
      cell.covered += *low <= world.truth && world.truth <= *high ? 1 : 0;
      widths.push_back(*high - *low);
    }
    if (!widths.empty()) cell.width = base::ordered_mean(widths);
    if (figures.size() >= 2) {
      const stats::Moments m = stats::moments(figures);
      const double deviation = std::sqrt(m.variance);
      if (deviation > 0) {
        cell.width_ratio = cell.width / (2 * stats::normal_quantile(0.975) * deviation);
        cell.bias = (m.mean - world.truth) / deviation;
      }
    }
    cell.state = state_of(cell);
  }
  return cells;
}

base::Result<std::string> coverage_print(const base::CancelToken& cancel) {
  constexpr std::size_t kDraws = 3;
  base::Sha256 hash;
  for (const Regime& regime : coverage_regimes()) {
    const World world = world_of(regime);
    const std::vector<CoverageCell> cells = cells_of(regime, false);
    for (std::size_t i = 0; i < kDraws; ++i) {
      PL_CHECK(cancel.status());
      PL_TRY(const std::vector<PolicyValue> values, values_of(regime, world, cells, 100, stream_of(1, regime, i)));
      for (const PolicyValue& v : values)
        hash.add_field(fmt::format("{} {} {} {}", outcome_name(v.outcome), v.estimate.value,
                                   v.estimate.low(kLevel).value_or(0), v.estimate.high(kLevel).value_or(0)));
    }
  }
  return hash.hex().substr(0, 16);
}

}  // namespace plumbline::counterfactual
