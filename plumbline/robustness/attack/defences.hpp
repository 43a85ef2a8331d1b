#pragma once
/// Broken defences, made again so that they can be caught, and what breaks them: gradients through a stand-in (BPDA),
/// averages over draws (EOT), scores below the softmax.
/// Source: Athalye, Carlini, Wagner, "Obfuscated gradients give a false sense of security", ICML 2018.

#include <optional>

#include "plumbline/robustness/attack/attack.hpp"
#include "plumbline/robustness/attack/target.hpp"

namespace plumbline::robustness {

/// Inputs rounded to `levels` values of the range before the model. Its own gradient is 0; `straight_through` takes
/// that of the model at the rounded input instead (BPDA with the identity).
class QuantisedTarget final : public Target {
 public:
  QuantisedTarget(const Target& inner, double low, double high, int levels, bool straight_through);
  std::size_t inputs() const override { return inner_.inputs(); }
  std::size_t classes() const override { return inner_.classes(); }
  const Affine* layer() const override { return inner_.layer(); }
  base::Result<Pass> forward(std::span<const double> rows, std::size_t count,
                             std::span<const base::Rng> noise) const override;
  base::Result<std::vector<double>> backward(const Pass& pass, std::span<const double> seeds) const override;

 private:
  const Target& inner_;
  double low_, high_;
  int levels_;
  bool straight_through_;
};

/// Pictures moved by up to `pad` pixels at random, what comes in from outside is `fill`: crop and pad.
class CropTarget final : public Target {
 public:
  CropTarget(const Target& inner, ImageShape shape, int pad, double fill);
  std::size_t inputs() const override { return inner_.inputs(); }
  std::size_t classes() const override { return inner_.classes(); }
  bool random() const override { return true; }
  base::Result<Pass> forward(std::span<const double> rows, std::size_t count,
                             std::span<const base::Rng> noise) const override;
  base::Result<std::vector<double>> backward(const Pass& pass, std::span<const double> seeds) const override;

 private:
  const Target& inner_;
  ImageShape shape_;
  int pad_;
  double fill_;
};

/// Probabilities of scores times `factor`, as float32 holds them: they saturate at 0 and 1, and the gradient with them.
class SaturatedTarget final : public Target {
 public:
  SaturatedTarget(const Target& inner, double factor);
  std::size_t inputs() const override { return inner_.inputs(); }
  std::size_t classes() const override { return inner_.classes(); }
  base::Result<Pass> forward(std::span<const double> rows, std::size_t count,
                             std::span<const base::Rng> noise) const override;
  base::Result<std::vector<double>> backward(const Pass& pass, std::span<const double> seeds) const override;

 private:
  const Target& inner_;
  double factor_;
};

/// Mean scores and mean gradients over `draws` of a random target (EOT).
class AveragedTarget final : public Target {
 public:
  AveragedTarget(const Target& inner, int draws);
  std::size_t inputs() const override { return inner_.inputs(); }
  std::size_t classes() const override { return inner_.classes(); }
  bool has_gradient() const override { return inner_.has_gradient(); }
  bool random() const override { return true; }
  bool concurrent() const override { return inner_.concurrent(); }
  std::size_t evaluations() const override { return static_cast<std::size_t>(draws_) * inner_.evaluations(); }
  base::Result<Pass> forward(std::span<const double> rows, std::size_t count,
                             std::span<const base::Rng> noise) const override;
  base::Result<std::vector<double>> backward(const Pass& pass, std::span<const double> seeds) const override;

 private:
  const Target& inner_;
  int draws_;
};

/// Answers of one target, gradients of another at the same input: a differentiable stand-in (BPDA).
class StandInTarget final : public Target {
 public:
  StandInTarget(const Target& answers, const Target& gradients);
  std::size_t inputs() const override { return answers_.inputs(); }
  std::size_t classes() const override { return answers_.classes(); }
  bool random() const override { return answers_.random(); }
  bool concurrent() const override { return answers_.concurrent(); }
  const Affine* layer() const override { return gradients_.layer(); }
  base::Result<Pass> forward(std::span<const double> rows, std::size_t count,
                             std::span<const base::Rng> noise) const override;
  base::Result<std::vector<double>> backward(const Pass& pass, std::span<const double> seeds) const override;

 private:
  const Target& answers_;
  const Target& gradients_;
};

/// The graph with its rounding steps (Round, Floor, Ceil, Cast) left out, and the places of these; nothing where it has
/// none.
struct WithoutRounding {
  graph::Graph graph;
  std::vector<std::string> places;
};
std::optional<WithoutRounding> without_rounding(const graph::Graph& graph);

}  // namespace plumbline::robustness
