#include "plumbline/replicate/drawn_digits.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "plumbline/agent/network.hpp"
#include "plumbline/robustness/attack/suite.hpp"
#include "plumbline/stats/intervals.hpp"

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

/// One affine layer and how it learns.
struct Layer {
  std::size_t rows, columns;
  std::vector<double> w, b, gw, gb;
  agent::Adam weights, biases;

  Layer(std::size_t rows_, std::size_t columns_, base::Rng& rng)
      : rows(rows_), columns(columns_), weights(rows * columns), biases(rows) {
    for (std::size_t i = 0; i < rows * columns; ++i)
      w.push_back(rng.normal() * std::sqrt(2.0 / static_cast<double>(columns)));
    b.assign(rows, 0.0);
    gw.assign(w.size(), 0.0);
    gb.assign(rows, 0.0);
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
  void step(double rate) {
    weights.step(w, gw, rate);
    biases.step(b, gb, rate);
    std::fill(gw.begin(), gw.end(), 0.0);
    std::fill(gb.begin(), gb.end(), 0.0);
  }
};

class Trainer {
 public:
  Trainer(const TrainSettings& settings, base::Rng& rng)
      : settings_(settings), one_(settings.hidden, kDigitPixels, rng), two_(10, settings.hidden, rng) {}

  void train(const DrawnDigits& digits, base::Rng& rng) {
    constexpr std::size_t kBatch = 50;
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
        one_.step(settings_.rate);
        two_.step(settings_.rate);
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

base::Result<Standing> standing(const robustness::Target& target, const DrawnDigits& digits, double epsilon,
                                std::span<const robustness::Attack> attacks, const Options& options) {
  const robustness::Threat threat = digit_threat(epsilon);
  std::vector<robustness::ExampleRecord> records;
  PL_CHECK(robustness::run_suite({.target = &target, .threat = &threat, .cancel = options.cancel}, digits.cases(),
                                 attacks, options.seed, {}, records));
  Standing out;
  for (const robustness::ExampleRecord& record : records) {
    out.clean += record.clean() ? 1 : 0;
    out.right += record.fallen(epsilon) ? 0 : 1;
  }
  PL_TRY(out.accuracy, stats::clopper_pearson(out.right, records.size()));
  return out;
}

robustness::Threat digit_threat(double epsilon) {
  return {robustness::Norm::kLinf,
          epsilon,
          std::vector<double>(kDigitPixels, 0.0),
          std::vector<double>(kDigitPixels, 1.0),
          {1, kDigitSide, kDigitSide, false}};
}

}  // namespace plumbline::replicate
