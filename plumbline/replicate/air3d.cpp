// Air3D: two aircraft of one speed, on the published grid, beside points of the barrier that need no grid.

#include "plumbline/reach/air3d.hpp"

#include <array>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/reach/safety_filter.hpp"
#include "plumbline/replicate/replications.hpp"

namespace plumbline::replicate {
namespace {

constexpr double kBarrier = 0.6;  // time of the barrier's points; the table looks a little further back
constexpr double kHorizon = 0.8;

struct Grid {
  std::size_t x, y, heading;
};
constexpr std::array<Grid, 2> kGrids = {{{26, 20, 25}, {51, 40, 50}}};

/// Mean of |V| over the barrier's points that the grid holds.
double mean_on_barrier(const reach::SafetyFilter& filter) {
  double sum = 0;
  double count = 0;
  for (const auto& point : reach::air3d_barrier(kBarrier)) {
    const double v = filter.value(point);
    if (!std::isfinite(v)) continue;
    sum += std::abs(v);
    count += 1;
  }
  return sum / count;
}

base::Result<Replication> run(const Options& options) {
  Replication result;
  std::vector<double> errors;
  Columns slice;
  for (std::size_t k = 0; k < kGrids.size(); ++k) {
    progress(options, "air3d", k, kGrids.size());
    const Grid& g = kGrids[k];
    PL_TRY(const reach::AvoidGame game, reach::parse_game(reach::air3d_text(g.x, g.y, g.heading, kHorizon), "air3d"));
    PL_TRY(reach::ValueTable table, reach::solve(game, {}, base::no_progress(), options.cancel));
    PL_TRY(const reach::SafetyFilter filter, reach::SafetyFilter::make(std::move(table), 0));
    errors.push_back(mean_on_barrier(filter));
    const double cell = game.axes[0].step();
    Row row{
        .label = fmt::format("{} x {} x {} nodes: mean distance of the barrier's points from V = 0, in cells", g.x, g.y,
                             g.heading),
        .published = at_most(0.5, Origin::kDerived, "characteristics of the game (Merz 1972), followed without a grid"),
        .note =
            fmt::format("{:.4f} in distance; barrier up to {} s, table of {} s", errors.back(), kBarrier, kHorizon)};
    row.ours = exactly(errors.back() / cell, "V by multilinear interpolation");
    result.rows.push_back(std::move(row));
    if (k + 1 < kGrids.size()) continue;
    // Head on, at the same height: the pursuer closes in at twice the speed, so all is decided by the distance.
    const std::array<double, 3> near = {6, 0, 3.141592653589793};
    const std::array<double, 3> far = {15, 0, 3.141592653589793};
    result.rows.push_back(
        exact_answer("6 apart and head on is lost",
                     answer(true, "yes", Origin::kDerived, "1 to turn away in, at a closing speed of 10"),
                     filter.value(near) < 0, "sign of V"));
    result.rows.push_back(
        exact_answer("15 apart and head on is not, within 0.8 s",
                     answer(true, "yes", Origin::kDerived, "8 is the most that can be closed in 0.8 s"),
                     filter.value(far) > 0, "sign of V"));
    for (std::size_t i = 0; i < game.axes[0].points; i += 2) {
      for (std::size_t j = 0; j < game.axes[1].points; j += 2) {
        const std::array<double, 3> at = {game.axes[0].at(i), game.axes[1].at(j), 3.141592653589793};
        slice.row.push_back(fmt::format("{:.1f}", at[1]));
        slice.column.push_back(fmt::format("{:.1f}", at[0]));
        slice.value.push_back(filter.value(at));
      }
    }
  }
  Row order{.label = "how much nearer V = 0 the finer grid comes",
            .published = at_least(1.6, Origin::kDerived, "twice, for first order"),
            .note = "ratio of the mean distances; cells are halved"};
  order.ours = exactly(errors[0] / errors[1], "ratio");
  result.rows.push_back(std::move(order));
  result.pictures.push_back(
      {.id = "head-on",
       .kind = "grid",
       .title = "V where both fly towards each other",
       .caption = "Relative place of the pursuer; below zero the distance of 5 cannot be kept.",
       .columns = {{"row", "", slice.row}, {"column", "", slice.column}, {"value", "", slice.value}},
       .facts = {{"row_label", "y"}, {"column_label", "x"}, {"value_label", "V"}, {"worse", "low"}, {"midpoint", "0"}},
       .media_type = {},
       .bytes = {}});
  result.notes.emplace_back(
      "The published horizon is 2.8 s. Characteristics of the barrier hold up to the first switch of either player and "
      "are followed for 0.6 s; the table stops at 0.8 s, so that every point compared has a reference.");
  progress(options, "air3d", kGrids.size(), kGrids.size());
  return result;
}

}  // namespace

Entry air3d() {
  return {{.id = "air3d",
           .title = "Air3D, two aircraft",
           .paper =
               "Mitchell, Bayen, Tomlin, A time-dependent Hamilton-Jacobi formulation of reachable sets for continuous "
               "dynamic games, IEEE Transactions on Automatic Control 50, 2005",
           .where = "section V, on the grid 51 x 40 x 50 that solvers are compared on",
           .compares = "the table's zero with points of the barrier that are computed without a grid, on two grids",
           .seconds = 6},
          run};
}

}  // namespace plumbline::replicate
