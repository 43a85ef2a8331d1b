#include "plumbline/robustness/proof/bounds.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "plumbline/base/guard.hpp"

namespace plumbline::robustness {

namespace {

constexpr double kUnit = 0x1p-53;
constexpr double kTiny = 1e-290;  // above all that underflow can lose
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Twice the error bound of a dot product of n terms, relative to the sum of its terms' sizes.
double gamma(std::size_t n) { return 2 * (static_cast<double>(n) + 4) * kUnit; }

double down(double x) { return std::nextafter(x, -kInfinity); }
double up(double x) { return std::nextafter(x, kInfinity); }

double sigmoid(double z) { return z >= 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z)); }
double value_of(Function f, double z) { return f == Function::kTanh ? std::tanh(z) : sigmoid(z); }
/// Without cancellation.
double derivative_of(Function f, double z) {
  return f == Function::kTanh ? 4 * sigmoid(2 * z) * sigmoid(-2 * z) : sigmoid(z) * sigmoid(-z);
}
/// More than the library errs by.
double margin_of(double value) { return 8 * kUnit * std::abs(value) + kTiny; }

struct Line {
  double slope = 0;
  double intercept = 0;
};

/// Where an activation's input lies, and the lines that bound it there.
struct Lines {
  Line below;
  Line above;
  bool open = false;  ///< a hinge that may change sign: `below` has a free slope
};

Lines hinge_lines(double l, double u, double leak, double share) {
  Lines out;
  if (l >= 0) {
    out.below = out.above = {1, 0};
    return out;
  }
  if (u <= 0) {
    out.below = out.above = {leak, 0};
    return out;
  }
  out.open = true;
  out.below = {std::clamp(leak + share * (1 - leak), leak, 1.0), 0};
  const double low = leak * l;
  const double slope = std::clamp((u - low) / (u - l), leak, 1.0);
  const double size = std::abs(u) + std::abs(low) + std::abs(slope * u) + std::abs(slope * l);
  out.above = {slope, std::max(u - slope * u, low - slope * l) + 4 * kUnit * size + kTiny};
  return out;
}

double default_share(double l, double u, double leak) { return u > -l * std::max(1.0, -leak) ? 1.0 : 0.0; }

Lines smooth_lines(Function f, double l, double u) {
  const double at_l = value_of(f, l);
  const double at_u = value_of(f, u);
  // Each line meets its intercept by what is largest (above) or least (below) of f(z) - slope z, with room for
  // rounding.
  const auto size = [&](double slope) {
    return 8 * kUnit * (1 + std::abs(slope) * std::max(std::abs(l), std::abs(u))) + kTiny;
  };
  const auto chord = [&](double sign) {
    const double slope = u > l ? std::max((at_u - at_l) / (u - l), 0.0) : 0.0;
    const double first = at_l - slope * l;
    const double second = at_u - slope * u;
    const double worst = sign > 0 ? std::max(first, second) : std::min(first, second);
    return Line{slope, worst + sign * (size(slope) + margin_of(1))};
  };
  const auto tangent = [&](double sign) {
    const double m = l + 0.5 * (u - l);
    const double slope = derivative_of(f, m);
    return Line{slope, value_of(f, m) - slope * m + sign * (size(slope) + margin_of(1) + 1e-12 * slope * (u - l))};
  };
  Lines out;
  if (u <= 0) {  // convex
    out.above = chord(1);
    out.below = tangent(-1);
  } else if (l >= 0) {
    out.above = tangent(1);
    out.below = chord(-1);
  } else {
    const double slope = std::min(derivative_of(f, l), derivative_of(f, u)) * (1 - 1e-10);
    out.above = {slope, at_u - slope * u + size(slope) + margin_of(1)};
    out.below = {slope, at_l - slope * l - size(slope) - margin_of(1)};
  }
  return out;
}

/// What is not a number says nothing.
void sanitise(std::vector<double>& lower, std::vector<double>& upper) {
  for (std::size_t i = 0; i < lower.size(); ++i) {
    if (std::isfinite(lower[i]) && std::isfinite(upper[i]) && lower[i] <= upper[i]) continue;
    const bool l = std::isnan(lower[i]) || !(lower[i] <= upper[i]);
    const bool u = std::isnan(upper[i]) || !(lower[i] <= upper[i]);
    if (l) lower[i] = -kInfinity;
    if (u) upper[i] = kInfinity;
  }
}

double size_of(const Bounds& bounds, std::size_t step, std::size_t i) {
  return std::max(std::abs(bounds.lower[step][i]), std::abs(bounds.upper[step][i]));
}

}  // namespace

/// Where a backward pass begins: linear functions of the output, or single values of a step with a sign.
struct Bounder::Start {
  const LinearRows* rows = nullptr;
  std::size_t step = 0;
  std::span<const std::size_t> neurons;
  std::span<const int> signs;
  std::size_t count() const { return rows != nullptr ? rows->count : neurons.size(); }
};

struct Bounder::Pass {
  std::vector<double> lower;
  std::vector<double> input;
  std::vector<std::vector<double>> activation;
  bool keep = false;  ///< the coefficients at activations
};

Bounder::Bounder(const Network& network) : network_(network) {
  activation_of_.assign(network.steps.size(), 0);
  curved_.assign(network.steps.size(), false);
  for (std::size_t s = 0; s < network.steps.size(); ++s) {
    const Step& step = network.steps[s];
    curved_[s] = step.kind == StepKind::kActivation;
    for (const std::size_t from : step.from) curved_[s] = curved_[s] || curved_[from];
    if (step.kind == StepKind::kActivation && activation_of_[step.from[0]] == 0) activation_of_[step.from[0]] = s;
  }
}

void Bounder::intervals(std::size_t s, Bounds& bounds) const {
  const Step& step = network_.steps[s];
  const std::size_t n = step.size;
  std::vector<double> low(n, 0.0);
  std::vector<double> high(n, 0.0);
  if (step.kind == StepKind::kAffine) {
    // Middle and radius; the sizes of the terms give the rounding, here and in the backward pass.
    const Affine& a = step.affine;
    const std::vector<double>& l = bounds.lower[step.from[0]];
    const std::vector<double>& u = bounds.upper[step.from[0]];
    std::vector<double> middle(n, 0.0);
    std::vector<double> radius(n, 0.0);
    std::vector<double> size(n, 0.0);
    const auto parts = [&](std::size_t j, double* c, double* r, double* m) {
      *c = 0.5 * l[j] + 0.5 * u[j];
      *r = up(std::max(u[j] - *c, *c - l[j]));
      if (l[j] == u[j]) *r = 0;
      *m = std::max(std::abs(l[j]), std::abs(u[j]));
    };
    std::size_t longest = a.columns;
    if (a.dense) {
      for (std::size_t j = 0; j < a.columns; ++j) {
        double c = 0;
        double r = 0;
        double m = 0;
        parts(j, &c, &r, &m);
        const double* w = a.transposed.data() + j * n;
        for (std::size_t i = 0; i < n; ++i) {
          middle[i] += w[i] * c;
          radius[i] += std::abs(w[i]) * r;
          size[i] += std::abs(w[i]) * m;
        }
      }
    } else {
      longest = 0;
      for (std::size_t i = 0; i < n; ++i) {
        longest = std::max(longest, a.start[i + 1] - a.start[i]);
        for (std::size_t e = a.start[i]; e < a.start[i + 1]; ++e) {
          double c = 0;
          double r = 0;
          double m = 0;
          parts(a.column[e], &c, &r, &m);
          middle[i] += a.weights[e] * c;
          radius[i] += std::abs(a.weights[e]) * r;
          size[i] += std::abs(a.weights[e]) * m;
        }
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      size[i] = (size[i] + std::abs(a.bias[i])) * (1 + 1e-9);
      double error = 2 * gamma(longest) * size[i] + 1.001 * a.weight_error * size[i] + kTiny;
      // A value that is only copied stays exact.
      if (!a.dense && a.weight_error == 0 && a.bias[i] == 0 && a.start[i + 1] - a.start[i] <= 1) {
        error = 0;
        if (a.start[i + 1] > a.start[i]) {
          const std::size_t e = a.start[i];
          const double w = a.weights[e];
          const double first = w * (w > 0 ? l : u)[a.column[e]];
          const double second = w * (w > 0 ? u : l)[a.column[e]];
          const bool exact = std::abs(w) == 1;
          low[i] = exact ? first : down(first);
          high[i] = exact ? second : up(second);
        }
        continue;
      }
      if (!a.bias_error.empty()) error += a.bias_error[i];
      low[i] = middle[i] + a.bias[i] - radius[i] - error;
      high[i] = middle[i] + a.bias[i] + radius[i] + error;
    }
    bounds.magnitude[s] = std::move(size);
  } else if (step.kind == StepKind::kSum) {
    for (std::size_t i = 0; i < n; ++i) {
      double size = 0;
      for (std::size_t k = 0; k < step.from.size(); ++k) {
        const double l = bounds.lower[step.from[k]][i];
        const double u = bounds.upper[step.from[k]][i];
        low[i] += step.signs[k] > 0 ? l : -u;
        high[i] += step.signs[k] > 0 ? u : -l;
        size += std::max(std::abs(l), std::abs(u));
      }
      const double error = gamma(step.from.size()) * size;
      low[i] -= error;
      high[i] += error;
    }
  } else {
    for (std::size_t i = 0; i < n; ++i) {
      const double l = bounds.lower[step.from[0]][i];
      const double u = bounds.upper[step.from[0]][i];
      if (step.function == Function::kHinge) {
        const double leak = step.leak[i];
        const double left = leak == 0 ? 0 : leak * l;
        const double right = leak == 0 ? 0 : leak * u;
        if (l >= 0) {
          low[i] = l;
          high[i] = u;
        } else if (u <= 0) {
          low[i] = leak == 0 ? 0 : down(std::min(left, right));
          high[i] = leak == 0 ? 0 : up(std::max(left, right));
        } else {
          low[i] = leak > 0 ? down(left) : 0;
          high[i] = leak < 0 ? std::max(u, up(left)) : u;
        }
      } else {
        const double at_l = value_of(step.function, l);
        const double at_u = value_of(step.function, u);
        low[i] = std::max(at_l - margin_of(at_l), step.function == Function::kTanh ? -1.0 : 0.0);
        high[i] = std::min(at_u + margin_of(at_u), 1.0);
      }
    }
  }
  bounds.lower[s] = std::move(low);
  bounds.upper[s] = std::move(high);
  sanitise(bounds.lower[s], bounds.upper[s]);
}

void Bounder::run(const Bounds& bounds, const Start& start, const Slopes& slopes,
                  std::span<const ActivationSplit> splits, std::span<const double> multipliers, Pass& pass) const {
  const std::size_t count = start.count();
  const std::size_t first = start.rows != nullptr ? network_.steps.size() - 1 : start.step;
  std::vector<std::vector<double>> rows(first + 1);
  std::vector<double> constant(count, 0.0);
  std::vector<double> sizes(count, 0.0);  // of all that is added up in `constant`
  std::vector<double> slack(count, 0.0);
  std::size_t terms = 0;
  bool units = false;
  if (start.rows != nullptr) {
    rows[first] = start.rows->output;
    for (std::size_t r = 0; r < count; ++r) {
      constant[r] = start.rows->constant[r];
      sizes[r] = std::abs(constant[r]);
    }
    if (!start.rows->input.empty()) rows[0] = start.rows->input;
  } else if (network_.steps[first].kind == StepKind::kAffine) {
    units = true;  // the rows of W themselves, without a product
  } else {
    rows[first].assign(count * network_.steps[first].size, 0.0);
    for (std::size_t r = 0; r < count; ++r)
      rows[first][r * network_.steps[first].size + start.neurons[r]] = start.signs[r];
  }
  if (pass.keep) pass.activation.assign(network_.steps.size(), {});
  std::vector<Lines> lines;
  for (std::size_t s = first; s > 0; --s) {
    const bool unit_start = units && s == first;
    if (rows[s].empty() && !unit_start) continue;
    const Step& step = network_.steps[s];
    const std::size_t n = step.size;
    const std::vector<double> own = std::move(rows[s]);
    rows[s].clear();
    // What is there already is rounded once more when something is added to it.
    const auto add_to = [&](std::size_t from, std::size_t adds) -> std::vector<double>& {
      std::vector<double>& target = rows[from];
      const std::size_t m = network_.steps[from].size;
      if (target.empty()) {
        target.assign(count * m, 0.0);
      } else {
        for (std::size_t r = 0; r < count; ++r) {
          double sum = 0;
          for (std::size_t j = 0; j < m; ++j) {
            if (target[r * m + j] != 0) sum += std::abs(target[r * m + j]) * size_of(bounds, from, j);
          }
          slack[r] += gamma(adds) * sum;
        }
      }
      return target;
    };
    if (step.kind == StepKind::kAffine) {
      const Affine& a = step.affine;
      std::vector<double>& target = add_to(step.from[0], a.rows);
      if (unit_start) {
        for (std::size_t r = 0; r < count; ++r) {
          const std::size_t i = start.neurons[r];
          const double sign = start.signs[r];
          if (a.dense) {
            for (std::size_t j = 0; j < a.columns; ++j) target[r * a.columns + j] = sign * a.weights[i * a.columns + j];
          } else {
            for (std::size_t e = a.start[i]; e < a.start[i + 1]; ++e)
              target[r * a.columns + a.column[e]] += sign * a.weights[e];
          }
          constant[r] += sign * a.bias[i];
          sizes[r] += std::abs(a.bias[i]);
          slack[r] += (1.001 * a.weight_error + gamma(4)) * bounds.magnitude[s][i];
          if (!a.bias_error.empty()) slack[r] += a.bias_error[i];
        }
        terms += 1;
        continue;
      }
      apply_transposed(a, own.data(), count, target.data());
      const double relative = gamma(a.rows) + 1.001 * a.weight_error;
      for (std::size_t r = 0; r < count; ++r) {
        double shift = 0;
        double size = 0;
        double error = 0;
        for (std::size_t i = 0; i < n; ++i) {
          const double c = own[r * n + i];
          if (c == 0) continue;
          shift += c * a.bias[i];
          size += std::abs(c * a.bias[i]);
          error += std::abs(c) * bounds.magnitude[s][i];
          if (!a.bias_error.empty()) slack[r] += std::abs(c) * a.bias_error[i];
        }
        constant[r] += shift;
        sizes[r] += size;
        slack[r] += relative * error;
      }
      terms += n;
    } else if (step.kind == StepKind::kSum) {
      for (std::size_t k = 0; k < step.from.size(); ++k) {
        std::vector<double>& target = add_to(step.from[k], 2);
        for (std::size_t i = 0; i < own.size(); ++i) target[i] += step.signs[k] * own[i];
        for (std::size_t r = 0; r < count; ++r) {
          double sum = 0;
          for (std::size_t j = 0; j < n; ++j) {
            if (target[r * n + j] != 0) sum += std::abs(target[r * n + j]) * size_of(bounds, step.from[k], j);
          }
          slack[r] += 2 * kUnit * sum;
        }
      }
    } else {
      const std::size_t from = step.from[0];
      std::vector<double>& target = add_to(from, 2);
      lines.resize(n);
      const std::vector<double>* given =
          s < slopes.share.size() && !slopes.share[s].empty() ? &slopes.share[s] : nullptr;
      const bool each = given != nullptr && given->size() != n;
      for (std::size_t i = 0; i < n; ++i) {
        const double l = bounds.lower[from][i];
        const double u = bounds.upper[from][i];
        if (step.function == Function::kHinge) {
          const double share = given != nullptr && !each ? (*given)[i] : default_share(l, u, step.leak[i]);
          lines[i] = hinge_lines(l, u, step.leak[i], share);
        } else {
          lines[i] = smooth_lines(step.function, l, u);
        }
      }
      for (std::size_t r = 0; r < count; ++r) {
        double shift = 0;
        double size = 0;
        double error = 0;
        for (std::size_t i = 0; i < n; ++i) {
          const double c = own[r * n + i];
          if (c == 0) continue;
          Line line = c > 0 ? lines[i].below : lines[i].above;
          if (each && lines[i].open && c > 0)
            line.slope = std::clamp(step.leak[i] + (*given)[r * n + i] * (1 - step.leak[i]), step.leak[i], 1.0);
          const double slope = c * line.slope;
          target[r * n + i] += slope;
          error += (std::abs(slope) + kTiny) * size_of(bounds, from, i);
          if (line.intercept != 0) {
            shift += c * line.intercept;
            size += std::abs(c * line.intercept);
          }
        }
        constant[r] += shift;
        sizes[r] += size;
        slack[r] += 4 * kUnit * error;
        for (std::size_t k = 0; k < splits.size() && !multipliers.empty(); ++k) {
          if (splits[k].step != s) continue;
          const double m = multipliers[r * splits.size() + k];
          double& at = target[r * n + splits[k].neuron];
          slack[r] += 2 * kUnit * (std::abs(at) + m) * size_of(bounds, from, splits[k].neuron);
          at -= m * splits[k].sign;
        }
      }
      terms += n;
      if (pass.keep) pass.activation[s] = own;
    }
  }
  const std::size_t n = network_.inputs();
  if (rows[0].empty()) rows[0].assign(count * n, 0.0);
  pass.lower.resize(count);
  terms += n;
  for (std::size_t r = 0; r < count; ++r) {
    double least = 0;
    double size = 0;
    for (std::size_t j = 0; j < n; ++j) {
      const double c = rows[0][r * n + j];
      if (c == 0) continue;
      least += c * (c > 0 ? bounds.lower[0][j] : bounds.upper[0][j]);
      size += std::abs(c) * size_of(bounds, 0, j);
    }
    const double total = constant[r] + least;
    const double lower = total - (1 + 1e-6) * (slack[r] + gamma(terms + 8) * (sizes[r] + size)) - kTiny;
    pass.lower[r] = std::isfinite(lower) ? lower : -kInfinity;
  }
  pass.input = std::move(rows[0]);
}

void Bounder::gradients(const Bounds& bounds, const Start& start, const Slopes& slopes,
                        std::span<const ActivationSplit> splits, const Pass& pass,
                        std::vector<std::vector<double>>& slope_gradient,
                        std::vector<double>& multiplier_gradient) const {
  const std::size_t count = start.count();
  const std::size_t last = start.rows != nullptr ? network_.steps.size() - 1 : start.step;
  std::vector<std::vector<double>> values(last + 1);
  slope_gradient.assign(network_.steps.size(), {});
  multiplier_gradient.assign(count * splits.size(), 0.0);
  const std::size_t n0 = network_.inputs();
  values[0].resize(count * n0);
  for (std::size_t i = 0; i < values[0].size(); ++i)
    values[0][i] = pass.input[i] > 0 ? bounds.lower[0][i % n0] : bounds.upper[0][i % n0];
  std::size_t used = 0;  // nothing after the last activation matters
  for (std::size_t s = 1; s <= last; ++s) {
    if (s < pass.activation.size() && !pass.activation[s].empty()) used = s;
  }
  for (std::size_t s = 1; s <= used; ++s) {
    const Step& step = network_.steps[s];
    const std::size_t n = step.size;
    bool ready = true;
    for (const std::size_t from : step.from) ready = ready && !values[from].empty();
    if (!ready) continue;
    if (step.kind == StepKind::kAffine) {
      values[s].resize(count * n);
      apply(step.affine, values[step.from[0]].data(), count, values[s].data());
    } else if (step.kind == StepKind::kSum) {
      values[s].assign(count * n, 0.0);
      for (std::size_t k = 0; k < step.from.size(); ++k) {
        for (std::size_t i = 0; i < values[s].size(); ++i) values[s][i] += step.signs[k] * values[step.from[k]][i];
      }
    } else {
      const std::size_t from = step.from[0];
      const std::vector<double>& rows = pass.activation[s];
      if (rows.empty()) continue;
      values[s].resize(count * n);
      slope_gradient[s].assign(count * n, 0.0);
      const std::vector<double>& given = slopes.share[s];
      for (std::size_t i = 0; i < n; ++i) {
        const double l = bounds.lower[from][i];
        const double u = bounds.upper[from][i];
        const bool hinge = step.function == Function::kHinge;
        const Lines lines = hinge ? hinge_lines(l, u, step.leak[i], 0) : smooth_lines(step.function, l, u);
        for (std::size_t r = 0; r < count; ++r) {
          const double c = rows[r * n + i];
          const double z = values[from][r * n + i];
          if (lines.open && c > 0) {
            values[s][r * n + i] = (step.leak[i] + given[r * n + i] * (1 - step.leak[i])) * z;
            slope_gradient[s][r * n + i] = c * (1 - step.leak[i]) * z;
          } else {
            const Line& line = c > 0 ? lines.below : lines.above;
            values[s][r * n + i] = line.slope * z + line.intercept;
          }
        }
      }
      for (std::size_t k = 0; k < splits.size(); ++k) {
        if (splits[k].step != s) continue;
        for (std::size_t r = 0; r < count; ++r)
          multiplier_gradient[r * splits.size() + k] = -splits[k].sign * values[from][r * n + splits[k].neuron];
      }
    }
  }
}

namespace {

/// rows + sum of multipliers x (a x - bound).
void add_cuts(const LinearRows& rows, const InputCuts& cuts, std::size_t inputs, LinearRows& out) {
  out = rows;
  if (out.input.empty()) out.input.assign(rows.count * inputs, 0.0);
  for (std::size_t r = 0; r < rows.count; ++r) {
    for (std::size_t k = 0; k < cuts.count; ++k) {
      const double m = cuts.multipliers[r * cuts.count + k];
      if (m == 0) continue;
      for (std::size_t i = 0; i < inputs; ++i) out.input[r * inputs + i] += m * cuts.coefficients[k * inputs + i];
      out.constant[r] -= m * cuts.bound[k];
    }
  }
}

/// a x - bound at the corner where the row's linear bound is least: how the bound grows with the cut's multiplier.
double cut_slope(const InputCuts& cuts, std::size_t k, const double* row, const std::vector<double>& low,
                 const std::vector<double>& high) {
  double sum = -cuts.bound[k];
  for (std::size_t i = 0; i < low.size(); ++i)
    sum += cuts.coefficients[k * low.size() + i] * (row[i] > 0 ? low[i] : high[i]);
  return sum;
}

}  // namespace

void Bounder::improve(const Bounds& bounds, const Start& start, Slopes& slopes, std::span<const ActivationSplit> splits,
                      std::vector<double>& multipliers, const BoundOptions& options, double enough, Pass& pass,
                      const base::CancelToken& cancel, InputCuts* cuts) const {
  const std::size_t count = start.count();
  LinearRows shifted;
  Start from_cuts = start;
  if (cuts != nullptr) from_cuts.rows = &shifted;
  const Start& begin = from_cuts;
  const auto shift = [&] {
    if (cuts != nullptr) add_cuts(*start.rows, *cuts, network_.inputs(), shifted);
  };
  const std::size_t steps = start.rows != nullptr ? network_.steps.size() : start.step;
  slopes.share.resize(network_.steps.size());
  multipliers.resize(count * splits.size(), 0.0);
  // One row of slopes for each function, rounded as a certificate holds them.
  for (std::size_t s = 0; s < steps; ++s) {
    const Step& step = network_.steps[s];
    if (step.kind != StepKind::kActivation || step.function != Function::kHinge) continue;
    std::vector<double>& share = slopes.share[s];
    const std::size_t n = step.size;
    if (share.size() == count * n && count > 0) continue;
    std::vector<double> row(n);
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t from = step.from[0];
      row[i] = share.size() == n ? share[i] : default_share(bounds.lower[from][i], bounds.upper[from][i], step.leak[i]);
    }
    share.clear();
    for (std::size_t r = 0; r < count; ++r) share.insert(share.end(), row.begin(), row.end());
  }
  const auto rounded = [](double a) { return static_cast<double>(static_cast<float>(a)); };
  pass.keep = true;
  Pass now;
  now.keep = true;
  Slopes best = slopes;
  std::vector<double> best_multipliers = multipliers;
  std::vector<double> best_cuts = cuts != nullptr ? cuts->multipliers : std::vector<double>{};
  std::vector<double> first_c(best_cuts.size(), 0.0);
  std::vector<double> second_c(best_cuts.size(), 0.0);
  std::vector<double> best_lower(count, -kInfinity);
  std::vector<std::vector<double>> first(network_.steps.size());
  std::vector<std::vector<double>> second(network_.steps.size());
  for (std::size_t s = 0; s < steps; ++s) {
    first[s].assign(slopes.share[s].size(), 0.0);
    second[s].assign(slopes.share[s].size(), 0.0);
  }
  std::vector<double> first_m(multipliers.size(), 0.0);
  std::vector<double> second_m(multipliers.size(), 0.0);
  std::vector<std::vector<double>> gradient;
  std::vector<double> gradient_m;
  double step_size = options.step;
  constexpr double kFirst = 0.9;
  constexpr double kSecond = 0.999;
  double correct_first = 1;
  double correct_second = 1;
  for (int iteration = 0; iteration <= options.iterations && !cancel.cancelled(); ++iteration) {
    shift();
    run(bounds, begin, slopes, splits, multipliers, now);
    bool all = true;
    for (std::size_t r = 0; r < count; ++r) {
      if (now.lower[r] > best_lower[r] || iteration == 0) {
        best_lower[r] = now.lower[r];
        for (std::size_t s = 0; s < steps; ++s) {
          const std::size_t n = slopes.share[s].size() / count;
          std::copy_n(slopes.share[s].begin() + static_cast<std::ptrdiff_t>(r * n), n,
                      best.share[s].begin() + static_cast<std::ptrdiff_t>(r * n));
        }
        if (cuts != nullptr) {
          std::copy_n(cuts->multipliers.begin() + static_cast<std::ptrdiff_t>(r * cuts->count), cuts->count,
                      best_cuts.begin() + static_cast<std::ptrdiff_t>(r * cuts->count));
        }
        std::copy_n(multipliers.begin() + static_cast<std::ptrdiff_t>(r * splits.size()), splits.size(),
                    best_multipliers.begin() + static_cast<std::ptrdiff_t>(r * splits.size()));
      }
      all = all && best_lower[r] > enough;
    }
    if (all || iteration == options.iterations) break;
    gradients(bounds, begin, slopes, splits, now, gradient, gradient_m);
    correct_first *= kFirst;
    correct_second *= kSecond;
    const auto move = [&](double g, double& m, double& v) {
      m = kFirst * m + (1 - kFirst) * g;
      v = kSecond * v + (1 - kSecond) * g * g;
      return step_size * (m / (1 - correct_first)) / (std::sqrt(v / (1 - correct_second)) + 1e-12);
    };
    for (std::size_t s = 0; s < steps; ++s) {
      if (gradient[s].empty()) continue;
      for (std::size_t i = 0; i < slopes.share[s].size(); ++i) {
        const double change = move(gradient[s][i], first[s][i], second[s][i]);
        if (std::isfinite(change)) slopes.share[s][i] = rounded(std::clamp(slopes.share[s][i] + change, 0.0, 1.0));
      }
    }
    for (std::size_t i = 0; i < multipliers.size(); ++i) {
      const double change = move(gradient_m[i], first_m[i], second_m[i]);
      if (std::isfinite(change)) multipliers[i] = rounded(std::max(multipliers[i] + change, 0.0));
    }
    for (std::size_t i = 0; i < first_c.size(); ++i) {
      const double g = cut_slope(*cuts, i % cuts->count, now.input.data() + i / cuts->count * network_.inputs(),
                                 bounds.lower[0], bounds.upper[0]);
      const double change = move(g, first_c[i], second_c[i]);
      if (std::isfinite(change)) cuts->multipliers[i] = rounded(std::max(cuts->multipliers[i] + change, 0.0));
    }
    step_size *= options.decay;
  }
  slopes = std::move(best);
  multipliers = std::move(best_multipliers);
  if (cuts != nullptr) cuts->multipliers = std::move(best_cuts);
  shift();
  run(bounds, begin, slopes, splits, multipliers, pass);
}

void Bounder::refine(std::size_t s, Bounds& bounds, const BoundOptions& options, SlopeTable* table,
                     const base::CancelToken& cancel) const {
  const Step& activation = network_.steps[activation_of_[s]];
  std::vector<std::size_t> neurons;
  std::vector<int> sides;
  for (std::size_t i = 0; i < network_.steps[s].size; ++i) {
    const bool hinge = activation.function == Function::kHinge;
    if (hinge && (bounds.lower[s][i] >= 0 || bounds.upper[s][i] <= 0)) continue;
    if (!(bounds.lower[s][i] < bounds.upper[s][i])) continue;
    neurons.insert(neurons.end(), {i, i});
    sides.insert(sides.end(), {1, -1});
  }
  for (std::size_t begin = 0; begin < neurons.size() && !cancel.cancelled(); begin += options.rows) {
    const std::size_t count = std::min(options.rows, neurons.size() - begin);
    const Start start{.rows = nullptr,
                      .step = s,
                      .neurons = std::span(neurons).subspan(begin, count),
                      .signs = std::span(sides).subspan(begin, count)};
    Slopes slopes;
    Pass pass;
    if (options.method == BoundMethod::kOptimised) {
      std::vector<double> none;
      improve(bounds, start, slopes, {}, none, options, kInfinity, pass, cancel);
      if (table != nullptr) {
        table->entries.push_back({.step = activation_of_[s],
                                  .neurons = {start.neurons.begin(), start.neurons.end()},
                                  .sides = {start.signs.begin(), start.signs.end()},
                                  .slopes = std::move(slopes)});
      }
    } else {
      run(bounds, start, slopes, {}, {}, pass);
    }
    for (std::size_t r = 0; r < count; ++r) {
      const std::size_t i = start.neurons[r];
      if (start.signs[r] > 0) {
        bounds.lower[s][i] = std::max(bounds.lower[s][i], pass.lower[r]);
      } else {
        bounds.upper[s][i] = std::min(bounds.upper[s][i], -pass.lower[r]);
      }
    }
  }
  sanitise(bounds.lower[s], bounds.upper[s]);
}

base::Result<Bounds> Bounder::bound(const Box& box, const BoundOptions& options, SlopeTable* table,
                                    const base::CancelToken& cancel) const {
  const auto inputs = static_cast<std::ptrdiff_t>(network_.inputs());
  PL_CHECK(base::check_size("bound", "box.lower", std::ssize(box.lower), inputs));
  PL_CHECK(base::check_size("bound", "box.upper", std::ssize(box.upper), inputs));
  PL_CHECK(base::check_all_finite("bound", "box.lower", std::span<const double>(box.lower)));
  PL_CHECK(base::check_all_finite("bound", "box.upper", std::span<const double>(box.upper)));
  for (std::size_t i = 0; i < box.lower.size(); ++i)
    PL_CHECK(base::check_in("bound", "box.lower", box.lower[i], -kInfinity, box.upper[i]));
  Bounds bounds;
  const std::size_t steps = network_.steps.size();
  bounds.lower.resize(steps);
  bounds.upper.resize(steps);
  bounds.magnitude.resize(steps);
  bounds.lower[0] = box.lower;
  bounds.upper[0] = box.upper;
  const bool linear = options.method == BoundMethod::kLinear || options.method == BoundMethod::kOptimised;
  for (std::size_t s = 1; s < steps; ++s) {
    intervals(s, bounds);
    if (linear && activation_of_[s] != 0 && curved_[s]) refine(s, bounds, options, table, cancel);
    PL_CHECK(cancel.status());
  }
  return bounds;
}

RowBounds Bounder::minimise(const Bounds& bounds, const LinearRows& rows, const Slopes& slopes,
                            std::span<const ActivationSplit> splits, std::span<const double> multipliers) const {
  const Start start{.rows = &rows, .step = 0, .neurons = {}, .signs = {}};
  Pass pass;
  pass.keep = true;
  run(bounds, start, slopes, splits, multipliers, pass);
  return {std::move(pass.lower), std::move(pass.input), std::move(pass.activation)};
}

RowBounds Bounder::optimise(const Bounds& bounds, const LinearRows& rows, Slopes& slopes,
                            std::span<const ActivationSplit> splits, std::vector<double>& multipliers,
                            const BoundOptions& options, double enough, const base::CancelToken& cancel,
                            InputCuts* cuts) const {
  const Start start{.rows = &rows, .step = 0, .neurons = {}, .signs = {}};
  Pass pass;
  improve(bounds, start, slopes, splits, multipliers, options, enough, pass, cancel, cuts);
  return {std::move(pass.lower), std::move(pass.input), std::move(pass.activation)};
}

void Bounder::clamp(Bounds& bounds, std::span<const ActivationSplit> splits) const {
  for (const ActivationSplit& split : splits) {
    const std::size_t from = network_.steps[split.step].from[0];
    if (split.sign > 0) {
      bounds.lower[from][split.neuron] = std::max(bounds.lower[from][split.neuron], 0.0);
    } else {
      bounds.upper[from][split.neuron] = std::min(bounds.upper[from][split.neuron], 0.0);
    }
  }
}

std::vector<double> Bounder::minimiser(const Box& box, const RowBounds& bounds, std::size_t row) const {
  std::vector<double> x(box.lower.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = bounds.input[row * x.size() + i] > 0 ? box.lower[i] : box.upper[i];
  return x;
}

}  // namespace plumbline::robustness
