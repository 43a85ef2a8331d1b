// Braking before a wall: a Hamilton-Jacobi table beside the closed form.

#include <array>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/reach/safety_filter.hpp"
#include "plumbline/replicate/replications.hpp"

namespace plumbline::replicate {
namespace {

constexpr std::array<std::size_t, 3> kGrids = {41, 81, 161};

std::string game_text(std::size_t points) {
  return fmt::format(
      "[game]\nname = \"Braking before a wall\"\nhorizon = 2.5\n[grid]\nx = {{ low = -1, high = 3, points = {0} }}\nv "
      "= {{ "
      "low = -2, high = 2, points = {0} }}\n[control]\nu = [-1, 1]\n[dynamics]\nx = \"v\"\nv = "
      "\"u\"\n[avoid]\ndistance = "
      "\"x\"\n",
      points);
}

/// The place where V crosses zero, by speed; nothing where it does not.
std::optional<double> crossing(const reach::ValueTable& table, std::size_t speed) {
  const reach::GridAxis& x = table.game.axes[0];
  const std::size_t speeds = table.game.axes[1].points;
  for (std::size_t i = 0; i + 1 < x.points; ++i) {
    const double low = table.value[i * speeds + speed];
    const double high = table.value[(i + 1) * speeds + speed];
    if (low <= 0 && high > 0) return x.at(i) + x.step() * low / (low - high);
  }
  return std::nullopt;
}

double exact_crossing(double v) { return v < 0 ? v * v / 2 : 0; }

base::Result<Replication> run(const Options& options) {
  Replication result;
  Columns curve;
  std::vector<double> errors;
  std::optional<reach::ValueTable> finest;
  for (std::size_t k = 0; k < kGrids.size(); ++k) {
    progress(options, "double_integrator", k, kGrids.size());
    PL_TRY(const reach::AvoidGame game, reach::parse_game(game_text(kGrids[k]), "double_integrator"));
    PL_TRY(reach::ValueTable table, reach::solve(game, {}, base::no_progress(), options.cancel));
    double worst = 0;
    for (std::size_t j = 0; j < game.axes[1].points; ++j) {
      const double v = game.axes[1].at(j);
      if (std::abs(v) > 1.8) continue;  // at the edge the grid says what lies beyond
      const auto found = crossing(table, j);
      const double error = found ? std::abs(*found - exact_crossing(v)) : 4.0;
      worst = std::max(worst, error);
    }
    errors.push_back(worst);
    Row row{.label = fmt::format("{0} x {0} nodes: largest error of the boundary, in cells", kGrids[k]),
            .published =
                at_most(1, Origin::kDerived, "unsafe iff x <= v^2 / 2 for v < 0, x <= 0 else; a scheme of first order"),
            .note = fmt::format("{:.4f} in x, over speeds from -1.8 to 1.8", worst)};
    row.ours = exactly(worst / game.axes[0].step(), "zero of V by linear interpolation");
    result.rows.push_back(std::move(row));
    finest = std::move(table);
  }
  for (std::size_t k = 0; k + 1 < errors.size(); ++k) {
    Row row{.label = fmt::format("order of convergence from {} to {} nodes", kGrids[k], kGrids[k + 1]),
            .published = at_least(1, Origin::kDerived, "first order where the solution has a kink"),
            .tolerance = 0.2};
    row.ours = exactly(std::log2(errors[k] / errors[k + 1]), "log2 of the ratio of the errors");
    result.rows.push_back(std::move(row));
  }
  const reach::ValueTable& table = *finest;
  for (std::size_t j = 0; j < table.game.axes[1].points; j += 4) {
    const double v = table.game.axes[1].at(j);
    if (const auto found = crossing(table, j)) {
      curve.x.push_back(v);
      curve.y.push_back(*found);
      curve.series.emplace_back("table");
    }
  }
  for (std::size_t j = 0; j < table.game.axes[1].points; j += 4) {
    const double v = table.game.axes[1].at(j);
    curve.x.push_back(v);
    curve.y.push_back(exact_crossing(v));
    curve.series.emplace_back("closed form");
  }
  // The filter on a driver who always pushes towards the wall.
  PL_TRY(const reach::SafetyFilter filter, reach::SafetyFilter::make(table, 0.1));
  base::Rng rng(options.seed, {"replicate", "double_integrator"});
  int crashes = 0;
  for (int episode = 0; episode < 100; ++episode) {
    std::vector<double> s = {rng.uniform(0, 2.5), rng.uniform(-1.8, 1.8)};
    if (!filter.safe(s)) continue;
    for (int step = 0; step < 300; ++step) {
      const double u = filter.filter(s, std::vector<double>{-1})[0];
      s[0] += 0.01 * s[1] + 0.5e-4 * u;
      s[1] += 0.01 * u;
      crashes += s[0] <= 0 ? 1 : 0;
    }
  }
  Row filtered{.label = "crashes of a careless driver under the filter, margin 0.1, 100 starts",
               .published = at_most(0, Origin::kDerived, "any control is safe while V > 0, the best one at V = 0")};
  filtered.ours = exactly(crashes, "rollouts of 3 s");
  result.rows.push_back(std::move(filtered));
  result.pictures.push_back(
      {.id = "boundary",
       .kind = "curve",
       .title = "Where braking just suffices",
       .caption = "Below the line no braking avoids the wall. The table lies on the closed form.",
       .columns = {{"x", "", curve.x}, {"y", "", curve.y}, {"series", "", curve.series}},
       .facts = {{"x_label", "speed (negative: towards the wall)"}, {"y_label", "distance to the wall"}},
       .media_type = {},
       .bytes = {}});
  progress(options, "double_integrator", kGrids.size(), kGrids.size());
  return result;
}

}  // namespace

Entry double_integrator() {
  return {{.id = "double_integrator",
           .title = "Braking before a wall",
           .paper =
               "Mitchell, Bayen, Tomlin, A time-dependent Hamilton-Jacobi formulation of reachable sets for continuous "
               "dynamic games, IEEE Transactions on Automatic Control 50, 2005",
           .where = "the double integrator, whose unsafe set is known in closed form",
           .compares =
               "the zero level of the table with the closed form on three grids, its order, the filter that it makes",
           .seconds = 1},
          run};
}

}  // namespace plumbline::replicate
