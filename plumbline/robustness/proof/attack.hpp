#pragma once
/// Looking for an input that a property calls unsafe, with gradients of the network in double.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/proof/network.hpp"
#include "plumbline/robustness/proof/vnnlib.hpp"

namespace plumbline::robustness {

enum class AttackMethod {
  kRandom,       ///< uniform inputs and random corners of the box, no gradient: the control
  kFgsm,         ///< one sign step over the whole box from its middle
  kPgd,          ///< sign steps from the middle and from uniform starts
  kDiversified,  ///< sign steps from corners along random directions of the first affine step
};
std::string_view attack_method_name(AttackMethod method);

struct AttackOptions {
  std::vector<AttackMethod> methods = {AttackMethod::kRandom, AttackMethod::kFgsm, AttackMethod::kPgd,
                                       AttackMethod::kDiversified};
  std::size_t starts = 200;  ///< inputs moved at a time, dealt out to the cases of a box in turn
  int steps = 60;            ///< of each
  double first_step = 0.5;   ///< in widths of the box
  double last_step = 0.03;   ///< reached geometrically
  int rounds = 3;            ///< of new starts; kRandom and kFgsm take one
};

/// What one method came to.
struct AttackTrace {
  AttackMethod method = AttackMethod::kRandom;
  double best = 0;              ///< least excess (case_excess) reached; at most 0 is a candidate
  std::uint64_t forwards = 0;   ///< inputs evaluated
  std::uint64_t gradients = 0;  ///< inputs differentiated
};

struct AttackResult {
  std::vector<AttackTrace> traces;
  bool found = false;     ///< a candidate: true in double, to be replayed
  std::size_t which = 0;  ///< its case
  std::vector<double> x;  ///< the candidate, or the input that came nearest
  double best = 0;
};

/// Question: is there an input in the property's boxes at which a case is true?
/// Formula:  descent on the largest excess of the case's inequalities: x <- clip(x - step width sign(gradient)).
/// Shapes    inputs and outputs of the property and the network agree.
/// Returns   the first candidate by method, round and row; stops there. Inputs lie in the box of nearest doubles.
/// Assumes   nothing: finding none proves nothing.
/// Errors    kShape: sizes. kValue: options. kCancelled.
/// Cost      starts x steps x rounds forward and backward passes a method. The same bits for the same rng.
/// Source    Goodfellow, Shlens, Szegedy 2015 (FGSM); Madry et al. 2018 (PGD).
base::Result<AttackResult> attack(const Network& network, const Property& property, const AttackOptions& options,
                                  base::Rng rng, const base::CancelToken& cancel = {});

/// Question: how does a linear function of the output change with the input?
/// Shapes    values: of forward() on `count` rows; seeds: count x outputs.
/// Returns   count x inputs: gradients by reverse accumulation; at a kink the slope on the left.
std::vector<double> input_gradient(const Network& network, const std::vector<std::vector<double>>& values,
                                   std::span<const double> seeds, std::size_t count);

/// What three ways of evaluating the network say about one input.
struct Replay {
  AtPoint verdict = AtPoint::kUnclear;
  std::size_t which = 0;       ///< the case that is true
  std::string decided_by;      ///< "interval arithmetic" or "rational arithmetic"; why not, where unclear
  std::vector<double> output;  ///< by the graph's interpreter
};

/// Question: is this input unsafe, beyond rounding?
/// Formula:  outputs by the interpreter; enclosed by interval arithmetic; in rational numbers where that does not
///           decide and the network is piecewise linear with at most `exact_limit` multiply-adds.
/// Returns   kUnsafe only where a case is true of the real-valued network. The interpreter must agree within 1e-6 of
/// the
///           outputs' scale, else kUnclear.
/// Errors    kShape: sizes. Others as graph::interpret().
base::Result<Replay> replay(const graph::Graph& graph, const Network& network, const Property& property,
                            std::span<const double> x, std::size_t exact_limit = 3'000'000);

}  // namespace plumbline::robustness
