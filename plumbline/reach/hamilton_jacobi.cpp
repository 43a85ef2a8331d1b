#include "plumbline/reach/hamilton_jacobi.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/reach/evaluate.hpp"

namespace plumbline::reach {
namespace {

constexpr std::size_t kGhosts = 3;
constexpr std::size_t kLinesAtOnce = 64;

/// f = drift + sum of control columns u + disturbance columns d at every node; what does not change over the nodes is
/// kept all the same: the loop over nodes is then one shape.
struct Coefficients {
  std::size_t axes = 0;
  std::vector<std::vector<double>> drift;                 ///< by axis: nodes; inputs at the middle of their range
  std::vector<std::vector<std::vector<double>>> control;  ///< by input, axis: nodes, times half the range
  std::vector<std::vector<std::vector<double>>> disturbance;
  std::vector<std::vector<double>> speed;  ///< by axis: largest |f| at the node
};

std::vector<double> state_at(const AvoidGame& game, std::size_t node) {
  std::vector<double> out(game.axes.size());
  for (std::size_t a = game.axes.size(); a-- > 0;) {
    out[a] = game.axes[a].at(node % game.axes[a].points);
    node /= game.axes[a].points;
  }
  return out;
}

std::string place_of(const AvoidGame& game, std::size_t node) {
  std::string out;
  const std::vector<double> x = state_at(game, node);
  for (std::size_t a = 0; a < x.size(); ++a)
    out += fmt::format("{}{} = {:.6g}", a > 0 ? ", " : "", game.axes[a].name, x[a]);
  return out;
}

base::Result<Coefficients> coefficients(const AvoidGame& game, std::size_t nodes, const base::CancelToken& cancel) {
  const std::size_t axes = game.axes.size();
  Coefficients out;
  out.axes = axes;
  out.drift.assign(axes, std::vector<double>(nodes));
  out.speed.assign(axes, std::vector<double>(nodes));
  out.control.assign(game.controls.size(), out.drift);
  out.disturbance.assign(game.disturbances.size(), out.drift);
  std::vector<double> middle;
  for (const GameInput& u : game.controls) middle.push_back(0.5 * (u.low + u.high));
  for (const GameInput& d : game.disturbances) middle.push_back(0.5 * (d.low + d.high));
  const std::size_t blocks = (nodes + 4095) / 4096;
  PL_CHECK(base::parallel_for(
      blocks,
      [&](std::size_t block) -> base::Status {
        for (std::size_t node = block * 4096; node < std::min(nodes, (block + 1) * 4096); ++node) {
          std::vector<double> all = state_at(game, node);
          all.insert(all.end(), middle.begin(), middle.end());
          const std::vector<double> base = detail::evaluate<double>(game.dynamics, all);
          std::vector<double> speed(axes);
          for (std::size_t a = 0; a < axes; ++a) {
            out.drift[a][node] = base[a];
            speed[a] = std::abs(base[a]);
          }
          const auto columns = [&](const std::vector<GameInput>& inputs, std::size_t offset, auto& table) {
            for (std::size_t k = 0; k < inputs.size(); ++k) {
              std::vector<double> moved = all;
              moved[axes + offset + k] = inputs[k].high;
              const std::vector<double> at_high = detail::evaluate<double>(game.dynamics, moved);
              for (std::size_t a = 0; a < axes; ++a) {
                table[k][a][node] = at_high[a] - base[a];
                speed[a] += std::abs(table[k][a][node]);
              }
            }
          };
          columns(game.controls, 0, out.control);
          columns(game.disturbances, game.controls.size(), out.disturbance);
          for (std::size_t a = 0; a < axes; ++a) {
            out.speed[a][node] = speed[a];
            if (!std::isfinite(speed[a]))
              return base::make_error(base::Code::kValue, fmt::format("the dynamics of '{}' are not finite at {}",
                                                                      game.axes[a].name, place_of(game, node)));
          }
        }
        return base::ok();
      },
      cancel));
  return out;
}

double weno(double v1, double v2, double v3, double v4, double v5) {
  const double s1 =
      13.0 / 12.0 * (v1 - 2 * v2 + v3) * (v1 - 2 * v2 + v3) + 0.25 * (v1 - 4 * v2 + 3 * v3) * (v1 - 4 * v2 + 3 * v3);
  const double s2 = 13.0 / 12.0 * (v2 - 2 * v3 + v4) * (v2 - 2 * v3 + v4) + 0.25 * (v2 - v4) * (v2 - v4);
  const double s3 =
      13.0 / 12.0 * (v3 - 2 * v4 + v5) * (v3 - 2 * v4 + v5) + 0.25 * (3 * v3 - 4 * v4 + v5) * (3 * v3 - 4 * v4 + v5);
  const double scale = std::max(std::max(std::max(v1 * v1, v2 * v2), std::max(v3 * v3, v4 * v4)), v5 * v5);
  const double epsilon = 1e-6 * scale + 1e-99;
  const double a1 = 0.1 / ((s1 + epsilon) * (s1 + epsilon));
  const double a2 = 0.6 / ((s2 + epsilon) * (s2 + epsilon));
  const double a3 = 0.3 / ((s3 + epsilon) * (s3 + epsilon));
  const double p1 = v1 / 3 - 7 * v2 / 6 + 11 * v3 / 6;
  const double p2 = -v2 / 6 + 5 * v3 / 6 + v4 / 3;
  const double p3 = v3 / 3 + 5 * v4 / 6 - v5 / 6;
  return (a1 * p1 + a2 * p2 + a3 * p3) / (a1 + a2 + a3);
}

/// One-sided differences of one line with ghosts on both sides: differences[i] lies between nodes i - 3 and i - 2.
void one_sided(const std::vector<double>& line, std::size_t n, double step, Stencil stencil, double* left,
               double* right, std::size_t stride) {
  std::vector<double> d(line.size() - 1);
  for (std::size_t i = 0; i + 1 < line.size(); ++i) d[i] = (line[i + 1] - line[i]) / step;
  for (std::size_t i = 0; i < n; ++i) {
    // Of node i: the difference to its left is d[i + 2], to its right d[i + 3].
    if (stencil == Stencil::kUpwind) {
      left[i * stride] = d[i + 2];
      right[i * stride] = d[i + 3];
    } else {
      left[i * stride] = weno(d[i], d[i + 1], d[i + 2], d[i + 3], d[i + 4]);
      right[i * stride] = weno(d[i + 5], d[i + 4], d[i + 3], d[i + 2], d[i + 1]);
    }
  }
}

class Solver {
 public:
  Solver(const AvoidGame& game, const SolveOptions& options, Coefficients coefficients, const base::CancelToken& cancel)
      : game_(game), options_(options), c_(std::move(coefficients)), cancel_(cancel), nodes_(game.nodes()) {
    left_.assign(game.axes.size(), std::vector<double>(nodes_));
    right_ = left_;
  }

  /// The largest step that moves no information further than a cell.
  double largest_step() const {
    double most = 0;
    for (std::size_t node = 0; node < nodes_; ++node) {
      double rate = 0;
      for (std::size_t a = 0; a < game_.axes.size(); ++a) rate += c_.speed[a][node] / game_.axes[a].step();
      most = std::max(most, rate);
    }
    return most > 0 ? options_.courant / most : kInfinity;
  }

  /// min(0, H) at every node.
  base::Status rate(const std::vector<double>& v, std::vector<double>& out) {
    for (std::size_t a = 0; a < game_.axes.size(); ++a) PL_CHECK(differences(v, a));
    const std::size_t blocks = (nodes_ + 8191) / 8192;
    return base::parallel_for(
        blocks,
        [&](std::size_t block) -> base::Status {
          for (std::size_t node = block * 8192; node < std::min(nodes_, (block + 1) * 8192); ++node)
            out[node] = hamiltonian(node);
          return base::ok();
        },
        cancel_);
  }

 private:
  double hamiltonian(std::size_t node) const {
    double p[kMaxGridAxes];
    double sum = 0;
    for (std::size_t a = 0; a < c_.axes; ++a) {
      p[a] = 0.5 * (left_[a][node] + right_[a][node]);
      sum += p[a] * c_.drift[a][node] + 0.5 * c_.speed[a][node] * (right_[a][node] - left_[a][node]);
    }
    // The best input of a range is one of its ends: the middle plus or minus half the range.
    for (const auto& column : c_.control) {
      double along = 0;
      for (std::size_t a = 0; a < c_.axes; ++a) along += p[a] * column[a][node];
      sum += std::abs(along);
    }
    for (const auto& column : c_.disturbance) {
      double along = 0;
      for (std::size_t a = 0; a < c_.axes; ++a) along += p[a] * column[a][node];
      sum -= std::abs(along);
    }
    return std::min(0.0, sum);
  }

  base::Status differences(const std::vector<double>& v, std::size_t axis) {
    const GridAxis& g = game_.axes[axis];
    const std::size_t n = g.points;
    std::size_t stride = 1;
    for (std::size_t a = axis + 1; a < game_.axes.size(); ++a) stride *= game_.axes[a].points;
    const std::size_t lines = nodes_ / n;
    const std::size_t blocks = (lines + kLinesAtOnce - 1) / kLinesAtOnce;
    return base::parallel_for(
        blocks,
        [&](std::size_t block) -> base::Status {
          std::vector<double> line(n + 2 * kGhosts);
          for (std::size_t l = block * kLinesAtOnce; l < std::min(lines, (block + 1) * kLinesAtOnce); ++l) {
            const std::size_t start = (l / stride) * stride * n + l % stride;
            for (std::size_t i = 0; i < n; ++i) line[kGhosts + i] = v[start + i * stride];
            extend(line, n, g.periodic);
            one_sided(line, n, g.step(), options_.stencil, &left_[axis][start], &right_[axis][start], stride);
          }
          return base::ok();
        },
        cancel_);
  }

  /// Ghosts: the other end of a periodic axis; else a line that leads away from zero, so that nothing flows in.
  static void extend(std::vector<double>& line, std::size_t n, bool periodic) {
    for (std::size_t k = 1; k <= kGhosts; ++k) {
      if (periodic) {
        line[kGhosts - k] = line[kGhosts + n - k];
        line[kGhosts + n - 1 + k] = line[kGhosts + k - 1];
      } else {
        const double first = line[kGhosts];
        const double last = line[kGhosts + n - 1];
        const double out_low = std::copysign(std::abs(first - line[kGhosts + 1]), first);
        const double out_high = std::copysign(std::abs(last - line[kGhosts + n - 2]), last);
        line[kGhosts - k] = first + static_cast<double>(k) * out_low;
        line[kGhosts + n - 1 + k] = last + static_cast<double>(k) * out_high;
      }
    }
  }

  const AvoidGame& game_;
  const SolveOptions& options_;
  Coefficients c_;
  const base::CancelToken& cancel_;
  std::size_t nodes_;
  std::vector<std::vector<double>> left_;
  std::vector<std::vector<double>> right_;
};

}  // namespace

base::Result<ValueTable> solve(const AvoidGame& game, const SolveOptions& options, base::Progress& progress,
                               const base::CancelToken& cancel) {
  PL_CHECK(base::check_in_open("solve", "courant", options.courant, 0.0, 1.0));
  ValueTable table;
  table.game = game;
  const std::size_t nodes = game.nodes();
  table.value.resize(nodes);
  for (std::size_t node = 0; node < nodes; ++node) {
    table.value[node] = detail::evaluate<double>(game.distance, state_at(game, node)).front();
    if (!std::isfinite(table.value[node]))
      return base::make_error(base::Code::kValue,
                              fmt::format("the distance is not finite at {}", place_of(game, node)));
  }
  PL_TRY(Coefficients found, coefficients(game, nodes, cancel));
  Solver solver(game, options, std::move(found), cancel);
  const double largest = std::min(solver.largest_step(), game.horizon);
  const auto steps = static_cast<std::size_t>(std::ceil(game.horizon / largest));
  const double h = game.horizon / static_cast<double>(steps);
  std::vector<double> slope(nodes);
  std::vector<double> first(nodes);
  std::vector<double> second(nodes);
  std::vector<double>& v = table.value;
  for (std::size_t step = 0; step < steps; ++step) {
    PL_CHECK(cancel.status());
    progress.update("hamilton-jacobi", step, steps);
    PL_CHECK(solver.rate(v, slope));
    double change = 0;
    for (std::size_t i = 0; i < nodes; ++i) {
      first[i] = v[i] + h * slope[i];
      change = std::max(change, std::abs(slope[i]));
    }
    PL_CHECK(solver.rate(first, slope));
    for (std::size_t i = 0; i < nodes; ++i) second[i] = 0.75 * v[i] + 0.25 * (first[i] + h * slope[i]);
    PL_CHECK(solver.rate(second, slope));
    for (std::size_t i = 0; i < nodes; ++i) v[i] = v[i] / 3 + 2.0 / 3.0 * (second[i] + h * slope[i]);
    table.steps = step + 1;
    table.looked_back = h * static_cast<double>(step + 1);
    if (change <= options.tolerance) break;
  }
  return table;
}

}  // namespace plumbline::reach
