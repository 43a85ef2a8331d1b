#pragma once
/// Decider: from a request to a proposal. What would be done, with which probability, how unsure the system is and in
/// which way. It knows nothing of deadlines, people, logs or HTTP; those are the guard's (plumbline/runtime/guard.hpp).

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/decision/rule.hpp"
#include "plumbline/decision/uncertainty.hpp"

namespace plumbline::runtime {

/// One situation in which something has to be decided.
struct Request {
  std::string id;            ///< the caller's name for it; unique within a log
  std::string unit;          ///< unit of sampling: user, session; may be empty
  std::vector<float> input;  ///< one row, as the guarded model takes it
};

/// A training example like the one at hand.
struct Neighbour {
  std::string data;     ///< name of the set
  std::size_t row = 0;  ///< in that set
  std::string label;
  double distance = 0;  ///< in the space of the out-of-distribution score
};

/// What the decider would do. The probabilities are those used for the draw, so an evaluation may divide by them.
struct Proposal {
  decision::Act act = decision::Act::kRefuse;
  std::vector<std::string> actions;     ///< what could be done; never empty
  std::vector<double> probabilities;    ///< of each action, sums to 1
  std::size_t action = 0;               ///< drawn from `probabilities`
  std::string answer;                   ///< what is said: an action's name, or a set "3|5"; empty for kAsk and kRefuse
  std::optional<std::size_t> proposed;  ///< kAsk: what would be done if nobody could be asked; empty: nothing
  std::vector<double> plausible;        ///< of each action, probability that it is the right one; empty: not known
  std::string fallback;                 ///< carried out if nobody answers in time; empty: refusing is all that is safe
  decision::Uncertainty uncertainty;
  double value_of_asking = 0;  ///< expected gain in the declared cost, per question, if somebody answers
  /// Smoothed conformal p-value of the input among the calibration rows, uniform while the world is as it was then.
  std::optional<double> input_rank;
  std::vector<Neighbour> nearest;
  std::string reason;                ///< one sentence with the figures that decided
  std::string rung;                  ///< of the ladder of fallbacks: "model", "set", "fallback", ...
  std::optional<std::string> error;  ///< nothing could be decided, and why; never the same as deciding to refuse

  double propensity() const { return probabilities.empty() ? 0 : probabilities[action]; }
};

struct DeciderInfo {
  std::vector<std::string> actions;
  std::size_t input_size = 0;
  std::string model;               ///< hash of the guarded model
  std::string case_hash;           ///< of the assessed case; empty: none
  std::string policy;              ///< version of the rule with its parameters
  std::size_t reference_rows = 0;  ///< calibration rows that input_rank ranks among; 0: it is never given
};

class Decider {
 public:
  virtual ~Decider() = default;
  virtual const DeciderInfo& info() const = 0;

  /// One proposal a request, in order. Draw i comes from the random stream `streams[i]`, so that the same log replays
  /// to the same bits whatever the batch. A request that cannot be decided gets a proposal with `error`, and the others
  /// go on. Errors kShape: as many streams as requests are needed. Safe to call from one thread at a time.
  virtual base::Result<std::vector<Proposal>> propose(std::span<const Request> requests,
                                                      std::span<const std::uint64_t> streams) = 0;
};

}  // namespace plumbline::runtime
