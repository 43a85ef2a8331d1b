#pragma once
/// Attack, proof and verdict for one network and one property.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/robustness/attack/property_attack.hpp"
#include "plumbline/robustness/proof/bounds.hpp"
#include "plumbline/robustness/proof/certificate.hpp"

namespace plumbline::robustness {

enum class ProofVerdict { kHolds, kHoldsUncertified, kViolated, kUnknown };
/// "holds", "holds-uncertified", "violated", "unknown".
std::string_view proof_verdict_name(ProofVerdict verdict);

struct VerifyOptions {
  double seconds = 60;                                   ///< by the clock; 0: nothing is tried
  std::uint64_t memory_bytes = std::uint64_t{2} << 30U;  ///< of open regions and certificate
  std::size_t certificate_leaves = 1'000'000;
  std::uint64_t certificate_bytes = std::uint64_t{1} << 30U;
  double exact_work = 2e7;  ///< multiply-adds up to which the certificate is also replayed in exact arithmetic
  std::uint64_t regions =
      std::numeric_limits<std::uint64_t>::max();  ///< bounded at most; work, where a clock will not do
  std::size_t few_inputs = 16;                    ///< up to here boxes are bisected, above activations are split
  std::size_t round = 64;                         ///< regions bounded between two looks at the queue
  std::uint64_t seed = 0;
  /// Before any bound; then, where the root is not proved, the second.
  SearchOptions quick{.methods = {SearchMethod::kRandom, SearchMethod::kFgsm, SearchMethod::kPgd},
                      .starts = 50,
                      .steps = 20,
                      .first_step = 0.25,
                      .last_step = 0.02,
                      .rounds = 1};
  SearchOptions attack{.methods = {SearchMethod::kDiversified, SearchMethod::kPgd}, .rounds = 2};
  BoundOptions root{.method = BoundMethod::kOptimised};  ///< of the root, where activations are split
  BoundOptions node{.method = BoundMethod::kLinear, .iterations = 12, .step = 0.2, .decay = 0.95};
};

struct Verification {
  ProofVerdict verdict = ProofVerdict::kUnknown;
  std::string reason;             ///< of unknown and holds-uncertified; else how it was decided
  bool timed_out = false;         ///< the clock decided: another machine may know more
  double best_bound = 0;          ///< every case keeps some inequality at least this far from true; above 0: proved
  bool has_bound = false;         ///< bounds were computed
  std::vector<double> witness;    ///< of violated
  std::vector<double> output;     ///< there
  std::size_t which = 0;          ///< the case that is true there
  SearchResult attack;            ///< what the attacks came to, all together
  std::uint64_t regions = 0;      ///< bounded
  std::size_t leaves = 0;         ///< of the certificate
  double certificate_margin = 0;  ///< least bound of the replay
  bool exact_replay = false;      ///< it was also replayed in exact rationals
  Certificate certificate;        ///< of holds; hashes are for the caller to fill in
  double seconds = 0;
};

/// Question: is there an input in the property's boxes that the property calls unsafe?
/// Formula:  attacks; linear bounds; with few inputs bisection of the box, else splits of activations with multipliers;
///           best-first, in rounds; a certificate that a checker without common code replays.
/// Shapes    the property's inputs and outputs are the network's.
/// Returns   violated only with a witness that replay() decides; holds only with a replayed certificate.
/// Assumes   the network is the graph over the real numbers. Rounding of another program that runs it is not asked
/// about. Errors    kShape: the property speaks of other numbers of inputs or outputs. kValue: options. kCancelled.
///           Others as replay(). What runs out (time, memory, precision) is `unknown` with the reason, not an error.
/// Cost      up to `seconds`, overrun by at most one round or one region. Without the clock the same bits for any
/// threads. Source    Zhang et al. 2018 (CROWN); Xu et al. 2021 (alpha-CROWN); Wang et al. 2021 (beta-CROWN); Wang et
/// al. 2018
///           (ReluVal: bisection of inputs); Bunel et al. 2020 (branching).
base::Result<Verification> verify(const graph::Graph& graph, const Network& network, const Property& property,
                                  const VerifyOptions& options, const base::CancelToken& cancel = {});

}  // namespace plumbline::robustness
