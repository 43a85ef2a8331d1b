#pragma once
/// Certified accuracy: for every example the largest radii at which a classifier provably keeps its answer, beside what
/// attacks reach.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/robustness/proof/verify.hpp"
#include "plumbline/robustness/threat.hpp"

namespace plumbline::robustness {

/// A classifier as proofs see it: from inputs to logits.
struct ProofModel {
  graph::Graph graph;
  Network network;
  bool softmax_removed = false;  ///< the graph ended in a softmax, which changes no order of classes
};

/// Question: which function to logits does this graph denote?
/// Errors    as lower(). kShape: fewer than two outputs.
base::Result<ProofModel> proof_model(graph::Graph graph);

/// Methods from the cheapest to the dearest; each also takes what the cheaper ones proved.
enum class CertifyMethod {
  kIntervals,  ///< interval arithmetic (IBP)
  kLinear,     ///< backward linear relaxation (CROWN)
  kOptimised,  ///< with optimised slopes (alpha-CROWN)
  kComplete,   ///< splits, up to a number of regions; certificate replayed
};
inline constexpr std::size_t kCertifyMethods = 4;
std::string_view certify_method_name(CertifyMethod method);  ///< "intervals", "linear", "optimised", "complete"

struct CertifyOptions {
  std::vector<double> radii;  ///< ascending, positive, in the units of InputDomain
  CertifyMethod method = CertifyMethod::kOptimised;
  int iterations = 20;  ///< gradient steps of kOptimised
  /// Activations x multiply-adds x iterations up to which kOptimised also optimises the slopes of inner bounds, each
  /// neuron's for itself; above it those of the lead alone.
  double inner_work = 2e10;
  std::uint64_t regions = 200;  ///< of kComplete, for each example and radius: work, not time, so that answers repeat
  std::uint64_t seed = 0;
  /// At every radius; `strong` where neither bound nor attack has decided.
  SearchOptions attack{.methods = {SearchMethod::kFgsm, SearchMethod::kPgd},
                       .starts = 10,
                       .steps = 15,
                       .first_step = 0.25,
                       .last_step = 0.02,
                       .rounds = 1};
  SearchOptions strong{
      .methods = {SearchMethod::kPgd, SearchMethod::kDiversified}, .starts = 60, .steps = 40, .rounds = 1};
};

/// One example at one radius. A lead is the label's logit minus the largest other one.
struct RadiusOutcome {
  double radius = 0;
  std::array<double, kCertifyMethods> margin{};   ///< proved lower bounds of the lead; NaN: not computed
  std::array<bool, kCertifyMethods> certified{};  ///< by this method or a cheaper one, here or at a larger radius
  double attacked = 0;                            ///< the least lead that an attack reached; NaN: none was made
  bool broken = false;                            ///< a witness here or at a smaller radius, replayed
  std::string open;                               ///< why kComplete left it open
};

struct ExampleOutcome {
  bool clean = false;  ///< the label leads at the example itself
  double lead = 0;
  std::vector<RadiusOutcome> radii;
  std::vector<double> witness;  ///< at the smallest radius that is broken; empty: none
};

/// Question: up to which radius (Linf box, cut to the valid range) does no other class reach the label's logit?
/// Formula:  a lower bound of min over the box of min_j (z_label - z_j) above zero; method by method, radius by radius.
/// Shapes    x: network inputs; domain: one entry an input; 0 <= label < outputs.
/// Returns   outcomes at each radius; certified is closed downwards and broken upwards, since boxes nest. A tie is a
///           wrong answer. An example that is wrong by itself is broken at every radius.
/// Assumes   the network over the real numbers (robustness-proof.md); a float32 program may differ where a margin is of
///           the size of its rounding.
/// Errors    kShape: sizes. kValue: radii, label, non-finite x. kInternal: a bound and a witness contradict each other.
///           kCancelled.
/// Cost      a bound and an attack for each radius until an attack succeeds. The same bits for any threads.
/// Source    Gowal et al. 2018 (IBP); Zhang et al. 2018 (CROWN); Xu et al. 2021 (alpha-CROWN); see verify().
base::Result<ExampleOutcome> certify(const ProofModel& model, std::span<const float> x, int label,
                                     const InputDomain& domain, const CertifyOptions& options,
                                     const base::CancelToken& cancel = {});

/// The unsafe set of certify(): inputs within the radius at which another class is at least as high as the label.
Property ball_property(std::span<const float> x, int label, double radius, const InputDomain& domain,
                       std::size_t outputs);

}  // namespace plumbline::robustness
