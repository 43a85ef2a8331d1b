#pragma once
/// Attacks on a classifier: what is asked of them, what they hand back, and the list of them.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/attack/loss.hpp"
#include "plumbline/robustness/attack/region.hpp"
#include "plumbline/robustness/attack/target.hpp"

namespace plumbline::robustness {

/// How the coordinates lie on a picture; {1, 1, inputs} where they do not.
struct ImageShape {
  std::size_t channels = 1;
  std::size_t height = 1;
  std::size_t width = 1;
  bool channels_last = false;

  std::size_t size() const { return channels * height * width; }
  std::size_t at(std::size_t c, std::size_t y, std::size_t x) const {
    return channels_last ? (y * width + x) * channels + c : (c * height + y) * width + x;
  }
};

/// What an attacker may do: move by at most epsilon in the norm, within the declared range.
struct Threat {
  Norm norm = Norm::kLinf;
  double epsilon = 0.1;
  std::vector<double> low;   ///< one an input; may be -infinity
  std::vector<double> high;  ///< one an input; may be +infinity
  ImageShape shape;
};

/// One example. `id` keys its random stream, so that nothing depends on which examples stand beside it.
struct AttackCase {
  std::span<const double> x;
  int label = 0;
  std::uint64_t id = 0;
};

/// What an attack came to on one example.
struct AttackOutcome {
  bool found = false;     ///< an input misclassified by more than the confidence, within epsilon
  std::vector<double> x;  ///< the smallest misclassified input seen, at any size; else the one of least margin within
                          ///< epsilon
  double size = std::numeric_limits<double>::infinity();    ///< of the smallest misclassified input seen
  double margin = std::numeric_limits<double>::infinity();  ///< least class_margin() seen within epsilon
  std::uint64_t queries = 0;                                ///< evaluations of the model
  std::uint64_t gradients = 0;                              ///< backward passes
  std::uint64_t queries_to_success = 0;                     ///< spent when first found within epsilon
  std::uint64_t gradients_to_success = 0;
  bool flat_start = false;  ///< the first gradient taken was exactly zero
};

/// Sizes within this relative distance above epsilon are roundings of epsilon and count as it.
inline constexpr double kSizeSlack = 1e-9;

/// What an attack knows of its rivals' cost: how it sees the model.
enum class AttackKind { kControl, kOneStep, kGradient, kMinimal, kScores, kDecisions };
std::string_view attack_kind_name(AttackKind kind);

/// Where attacks run. `pool`: inputs (rows) from which attacks that know decisions alone may start; may be empty.
struct AttackSetting {
  const Target* target = nullptr;
  const Threat* threat = nullptr;
  std::span<const double> pool{};
  /// A success must be wrong by more than this, so that another arithmetic (float32) finds it wrong too.
  double confidence = 0;
  base::CancelToken cancel{};
};

/// A named attack with its settings.
struct Attack {
  std::string name;
  AttackKind kind = AttackKind::kGradient;
  std::string settings;        ///< all hyper-parameters in words
  std::size_t at_a_time = 25;  ///< examples that are moved together
  std::function<base::Result<std::vector<AttackOutcome>>(const AttackSetting&, std::span<const AttackCase>,
                                                         const base::Rng&)>
      run;

  bool needs_gradient() const {
    return kind == AttackKind::kOneStep || kind == AttackKind::kGradient || kind == AttackKind::kMinimal;
  }
};

/// Uniform noise of the threat's norm in the ball, half of it on its surface: the control.
Attack random_noise(int draws = 100);

/// One steepest step of size epsilon. Source: Goodfellow, Shlens, Szegedy 2015.
Attack fgsm();

struct PgdOptions {
  Loss loss = Loss::kCrossEntropy;
  int steps = 40;
  int starts = 1;
  double first_step = 0.0625;  ///< of epsilon
  double last_step = 0.0625;   ///< reached geometrically
  bool random_start = true;    ///< the first start too
};
/// Source: Madry et al. 2018.
Attack pgd(const PgdOptions& options = {});

/// PGD on targeted margins from corners of the region along random directions of the first layer, steps shrinking: for
/// networks that are flat around the example. `starts` are dealt out to the targets in turn.
Attack diversified(int starts = 200, int steps = 60, double first_step = 1.0, double last_step = 0.06);

struct ApgdOptions {
  Loss loss = Loss::kCrossEntropy;
  bool targeted = false;  ///< each of the `targets` best other classes in turn
  int targets = 9;
  int steps = 100;
  int starts = 1;
};
/// Source: Croce, Hein 2020; for L1 with its own step: Croce, Hein 2021.
Attack apgd(const ApgdOptions& options = {});

/// Minimal perturbation by steps to the linearised boundary, drawn back to the example. Source: Croce, Hein 2020 (FAB).
Attack fab(int steps = 100, int targets = 9, int starts = 1);
/// Source: Moosavi-Dezfooli, Fawzi, Frossard 2016.
Attack deepfool(int steps = 50, double overshoot = 0.02);
/// Minimal L2 perturbation by penalised descent. Other norms see only what its result measures in them.
/// Source: Carlini, Wagner 2017.
Attack carlini_wagner(int searches = 6, int steps = 150, double rate = 0.05);

/// Random search by squares that are moved to the ball's surface. L1 has none. Source: Andriushchenko et al. 2020.
Attack square(int queries = 1000);
/// Steps along gradients estimated from random differences of scores. Source: Uesato et al. 2018.
Attack spsa(int steps = 20, int directions = 32);
/// A walk along the boundary that sees decisions alone. Source: Brendel, Rauber, Bethge 2018.
Attack boundary(int queries = 1000);
/// Boundary search with gradient directions estimated from decisions. Source: Chen, Jordan, Wainwright 2020.
Attack hop_skip_jump(int queries = 1000);

/// Errors kValue: unknown name (nearest known).
base::Result<Attack> attack_by_name(std::string_view name);
/// Names that attack_by_name() takes, in the order of their cost.
const std::vector<std::string>& attack_names();

/// Question: do these belong together?
/// Errors    kShape: sizes of threat, shape, examples. kValue: epsilon not positive and finite, low > high, NaN, an
///           example outside the declared range, a label that is no class, fewer than two classes.
base::Status check_setting(const AttackSetting& setting, std::span<const AttackCase> cases);

}  // namespace plumbline::robustness
