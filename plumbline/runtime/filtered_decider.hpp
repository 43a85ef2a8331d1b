#pragma once
/// A decider behind a table of Hamilton-Jacobi: whatever it proposes while the state is safe, the action that gets away
/// best where it is not. The table is that of plumbline/reach/safety_filter.hpp.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/reach/safety_filter.hpp"
#include "plumbline/runtime/decider.hpp"

namespace plumbline::runtime {

/// What an action does to the plant: one number a control of the game.
struct ActionControl {
  std::string action;
  std::vector<double> control;
};

/// "brake: -1", "left: -1, 0.5". Errors kParse: no colon, no number; kValue: an action named twice. With `place`.
base::Result<std::vector<ActionControl>> parse_controls(const std::vector<std::string>& lines,
                                                        const std::string& place);

/// Which actions get away, by state. Thread-safe.
class FallbackTable {
 public:
  /// `states`: where the table's axes stand in a request's input. Errors kValue: an action that is not among
  /// `actions`, a control outside the game's range, no action; kShape: other sizes than the game's, a place beyond
  /// the input.
  static base::Result<FallbackTable> make(reach::SafetyFilter filter, std::vector<ActionControl> controls,
                                          std::vector<std::size_t> states, const std::vector<std::string>& actions,
                                          std::size_t input_size);

  struct Verdict {
    double value = 0;  ///< of the table; minus infinity where nothing is known
    bool safe = false;
    std::string action;  ///< that gets away best against the worst disturbance; the first of equals
  };
  /// O(2^axes + actions). Precondition: an input of the size given to make().
  Verdict look(std::span<const float> input) const;
  double margin() const { return filter_.margin(); }
  const reach::AvoidGame& game() const { return filter_.game(); }

 private:
  FallbackTable(reach::SafetyFilter filter, std::vector<ActionControl> controls, std::vector<std::size_t> states)
      : filter_(std::move(filter)), controls_(std::move(controls)), states_(std::move(states)) {}
  reach::SafetyFilter filter_;
  std::vector<ActionControl> controls_;
  std::vector<std::size_t> states_;
};

/// What    safe state: the inner proposal, unchanged. Otherwise, and whatever the inner decider says or fails to say:
///         fall back on rung "table" with the action that gets away best, with probability 1.
/// Errors  those of the inner decider as a whole; a proposal's own error is overruled where the state is not safe.
class FilteredDecider final : public Decider {
 public:
  FilteredDecider(std::unique_ptr<Decider> inner, std::shared_ptr<const FallbackTable> table);

  const DeciderInfo& info() const override { return info_; }
  base::Result<std::vector<Proposal>> propose(std::span<const Request> requests,
                                              std::span<const std::uint64_t> streams) override;

 private:
  void overrule(const FallbackTable::Verdict& verdict, Proposal& proposal) const;

  std::unique_ptr<Decider> inner_;
  std::shared_ptr<const FallbackTable> table_;
  DeciderInfo info_;
};

}  // namespace plumbline::runtime
