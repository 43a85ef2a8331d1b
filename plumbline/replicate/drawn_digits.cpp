#include "plumbline/replicate/drawn_digits.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace plumbline::replicate {

namespace {

/// Rows from top to bottom, five bits each.
constexpr std::array<std::array<int, 7>, 10> kFace = {{{14, 17, 19, 21, 25, 17, 14},
                                                       {4, 12, 4, 4, 4, 4, 14},
                                                       {14, 17, 1, 6, 8, 16, 31},
                                                       {31, 1, 2, 6, 1, 17, 14},
                                                       {2, 6, 10, 18, 31, 2, 2},
                                                       {31, 16, 30, 1, 1, 17, 14},
                                                       {6, 8, 16, 30, 17, 17, 14},
                                                       {31, 1, 2, 4, 8, 8, 8},
                                                       {14, 17, 17, 14, 17, 17, 14},
                                                       {14, 17, 17, 15, 1, 2, 12}}};

/// One layer with its Adam moments.
struct Layer {
  std::size_t rows, columns;
  std::vector<double> w, b, gw, gb, mw, vw, mb, vb;

  Layer(std::size_t rows_, std::size_t columns_, base::Rng& rng) : rows(rows_), columns(columns_) {
    for (std::size_t i = 0; i < rows * columns; ++i)
      w.push_back(rng.normal() * std::sqrt(2.0 / static_cast<double>(columns)));
    b.assign(rows, 0.0);
    gw.assign(w.size(), 0.0);
    gb.assign(rows, 0.0);
    mw = vw = gw;
    mb = vb = gb;
  }

  void apply(std::span<const double> in, std::span<double> out) const {
    for (std::size_t i = 0; i < rows; ++i) {
      double sum = b[i];
      for (std::size_t j = 0; j < columns; ++j) sum += w[i * columns + j] * in[j];
      out[i] = sum;
    }
  }
  void back(std::span<const double> out, std::span<double> in) const {
    std::fill(in.begin(), in.end(), 0.0);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) in[j] += w[i * columns + j] * out[i];
    }
  }
  void collect(std::span<const double> in, std::span<const double> out, double share) {
    for (std::size_t i = 0; i < rows; ++i) {
      gb[i] += share * out[i];
      for (std::size_t j = 0; j < columns; ++j) gw[i * columns + j] += share * out[i] * in[j];
    }
  }
  void step(double rate, int time) {
    const double first = 1 - std::pow(0.9, time);
    const double second = 1 - std::pow(0.999, time);
    const auto move = [&](std::vector<double>& p, std::vector<double>& g, std::vector<double>& m,
                          std::vector<double>& v) {
      for (std::size_t i = 0; i < p.size(); ++i) {
        m[i] = 0.9 * m[i] + 0.1 * g[i];
        v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
        p[i] -= rate * (m[i] / first) / (std::sqrt(v[i] / second) + 1e-8);
        g[i] = 0;
      }
    };
    move(w, gw, mw, vw);
    move(b, gb, mb, vb);
  }
};

class Trainer {
 public:
  Trainer(const TrainSettings& settings, base::Rng& rng)
      : settings_(settings), one_(settings.hidden, kDigitPixels, rng), two_(10, settings.hidden, rng) {}

  void train(const DrawnDigits& digits, base::Rng& rng) {
    constexpr std::size_t kBatch = 50;
    int time = 0;
    for (int epoch = 0; epoch < settings_.epochs; ++epoch) {
      const std::vector<std::size_t> order = rng.permutation(digits.x.size());
      for (std::size_t first = 0; first < order.size(); first += kBatch) {
        const std::size_t count = std::min(kBatch, order.size() - first);
        for (std::size_t i = 0; i < count; ++i) {
          const std::size_t row = order[first + i];
          const std::vector<double> x = shown(digits.x[row], digits.labels[row], rng);
          slope(x, digits.labels[row]);
          two_.collect(hidden_, out_, 1 / static_cast<double>(count));
          one_.collect(x, inner_, 1 / static_cast<double>(count));
        }
        ++time;
        one_.step(settings_.rate, time);
        two_.step(settings_.rate, time);
      }
    }
  }

  robustness::Network network() const {
    using namespace robustness;
    Network out;
    Step input;
    input.size = kDigitPixels;
    out.steps.push_back(std::move(input));
    out.steps.push_back(affine(one_, 0));
    Step bend;
    bend.kind = StepKind::kActivation;
    bend.from = {1};
    bend.size = settings_.hidden;
    bend.leak.assign(bend.size, 0.0);
    out.steps.push_back(std::move(bend));
    out.steps.push_back(affine(two_, 2));
    return out;
  }

 private:
  static robustness::Step affine(const Layer& layer, std::size_t from) {
    robustness::Step step;
    step.kind = robustness::StepKind::kAffine;
    step.from = {from};
    step.size = layer.rows;
    step.affine.rows = layer.rows;
    step.affine.columns = layer.columns;
    step.affine.dense = true;
    step.affine.weights = layer.w;
    step.affine.bias = layer.b;
    step.affine.transposed.resize(layer.w.size());
    for (std::size_t i = 0; i < layer.rows; ++i) {
      for (std::size_t j = 0; j < layer.columns; ++j)
        step.affine.transposed[j * layer.rows + i] = layer.w[i * layer.columns + j];
    }
    return step;
  }

  /// Derivatives of the cross-entropy: by scores (out_), by hidden sums (inner_), by inputs (returned).
  const std::vector<double>& slope(std::span<const double> x, int label) {
    std::vector<double> z(10);
    sums_.resize(settings_.hidden);
    inner_.resize(settings_.hidden);
    hidden_.resize(settings_.hidden);
    by_input_.resize(kDigitPixels);
    out_.resize(10);
    one_.apply(x, sums_);
    for (std::size_t i = 0; i < hidden_.size(); ++i) hidden_[i] = std::max(sums_[i], 0.0);
    two_.apply(hidden_, z);
    const double most = *std::max_element(z.begin(), z.end());
    double total = 0;
    for (std::size_t j = 0; j < 10; ++j) total += out_[j] = std::exp(z[j] - most);
    for (double& p : out_) p /= total;
    out_[static_cast<std::size_t>(label)] -= 1;
    two_.back(out_, inner_);
    for (std::size_t i = 0; i < inner_.size(); ++i) inner_[i] = sums_[i] > 0 ? inner_[i] : 0;
    one_.back(inner_, by_input_);
    return by_input_;
  }

  /// The input as training shows it: noisy or attacked.
  std::vector<double> shown(const std::vector<double>& x0, int label, base::Rng& rng) {
    std::vector<double> x = x0;
    if (settings_.noise > 0) {
      for (double& v : x) v = std::clamp(v + settings_.noise * rng.normal(), 0.0, 1.0);
    }
    if (!(settings_.epsilon > 0)) return x;
    const double epsilon = settings_.epsilon;
    for (double& v : x) v = std::clamp(v + rng.uniform(-epsilon, epsilon), 0.0, 1.0);
    const double size = settings_.attack_steps == 1 ? 1.25 * epsilon : 2.5 * epsilon / settings_.attack_steps;
    for (int step = 0; step < settings_.attack_steps; ++step) {
      const std::vector<double>& g = slope(x, label);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double moved = x[i] + (g[i] > 0 ? size : g[i] < 0 ? -size : 0);
        x[i] = std::clamp(std::clamp(moved, x0[i] - epsilon, x0[i] + epsilon), 0.0, 1.0);
      }
    }
    return x;
  }

  TrainSettings settings_;
  Layer one_, two_;
  std::vector<double> sums_, hidden_, inner_, out_, by_input_;
};

}  // namespace

std::vector<robustness::AttackCase> DrawnDigits::cases() const {
  std::vector<robustness::AttackCase> out;
  for (std::size_t i = 0; i < x.size(); ++i) out.push_back({x[i], labels[i], i});
  return out;
}

DrawnDigits draw_digits(std::size_t count, base::Rng rng) {
  DrawnDigits out;
  for (std::size_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::size_t>(rng.below(10));
    const std::size_t top = rng.below(2);
    const std::size_t left = rng.below(4);
    std::vector<double> x(kDigitPixels);
    for (double& v : x) v = rng.uniform(0, 0.25);
    for (std::size_t row = 0; row < 7; ++row) {
      for (std::size_t column = 0; column < 5; ++column) {
        if (((kFace[label][row] >> (4 - column)) & 1) != 0)
          x[(top + row) * kDigitSide + left + column] = rng.uniform(0.75, 1);
      }
    }
    for (double& v : x) v = rng.bernoulli(0.02) ? 1 - v : v;
    out.x.push_back(std::move(x));
    out.labels.push_back(static_cast<int>(label));
  }
  return out;
}

robustness::Network train_digits(const DrawnDigits& digits, const TrainSettings& settings, base::Rng rng) {
  Trainer trainer(settings, rng);
  trainer.train(digits, rng);
  return trainer.network();
}

robustness::Threat digit_threat(double epsilon) {
  return {robustness::Norm::kLinf,
          epsilon,
          std::vector<double>(kDigitPixels, 0.0),
          std::vector<double>(kDigitPixels, 1.0),
          {1, kDigitSide, kDigitSide, false}};
}

}  // namespace plumbline::replicate
