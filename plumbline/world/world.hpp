#pragma once
/// World: an environment with an observed reward (the proxy). Stepped in batches into arrays that the caller owns; one
/// random stream an environment; no allocation in a step. What was truly achieved is of another type in another
/// header, hidden.hpp, which agents cannot include.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix_fwd.hpp"
#include "plumbline/world/facts.hpp"
#include "plumbline/world/process.hpp"

namespace plumbline::world {

class Hidden;
struct HiddenAccess;

enum class Done : std::uint8_t {
  kNo = 0,
  kEnded = 1,  ///< by the world's rules
  kCut = 2,    ///< by the horizon
};

/// What may be seen of n environments after a step. Spans of the sizes given; `key` may be empty when not wanted.
/// After an episode's last step `done` says so and observation and key are those of the next episode's first state.
struct View {
  std::span<float> observation;    ///< n x facts().observation.size()
  std::span<float> reward;         ///< n, of the step just taken
  std::span<std::uint8_t> done;    ///< n, a Done
  std::span<std::uint64_t> key{};  ///< n, injective code of what is observed; finite worlds only
  /// n, the action that was carried out in the step just taken: the one asked for, another where somebody overrode it,
  /// kHeld where somebody kept the agent from acting at all. May be empty when not wanted. Filled by the caller with
  /// the actions asked for; worlds write only where they interrupt.
  std::span<std::int32_t> taken{};
  /// n x facts().observation.size(): of environments whose episode has just ended, what was seen after its last step.
  /// The rows of the others are left as they are. May be empty when not wanted.
  std::span<float> last{};
};

/// In View::taken: nothing that the agent could have asked for was done.
inline constexpr std::int32_t kHeld = -1;

/// What a planner may know: the process and the observed reward. `features` are what the designer wrote rewards over
/// (pairs x names), null where a world has none; reward = features * weights there.
struct ObservedModel {
  std::shared_ptr<const Process> process;
  std::vector<double> reward;       ///< observed, one a pair
  std::vector<std::uint64_t> keys;  ///< of each state, as View::key gives it; injective
  std::shared_ptr<const MatrixD> features;
  std::vector<std::string> feature_names;
  std::vector<double> weights;
  /// Writes what is seen of a state, facts().observation.size() floats; empty where a world cannot say.
  std::function<void(std::uint32_t state, float* cells)> observe = nullptr;
};

/// `values` (pairs x names, row by row) as ObservedModel holds them.
std::shared_ptr<const MatrixD> feature_table(std::span<const double> values, std::size_t names);

/// A policy that somebody wrote by hand for this world, from what is observed alone.
struct Script {
  std::string name;
  std::string help;
};

class World {
 public:
  virtual ~World() = default;
  virtual const WorldFacts& facts() const = 0;  ///< of this level; dials hold their present values in `fallback`
  virtual const std::string& level() const = 0;
  virtual std::size_t environments() const = 0;

  /// Starts every environment; environment i draws from the stream (seed, first + i), so that a batch may be cut.
  virtual void reset(std::uint64_t seed, std::uint64_t first, const View& view) = 0;
  /// Errors kShape: spans of other sizes. kValue: an action out of range, naming environment and action; then nothing
  /// has moved.
  virtual base::Status step(std::span<const std::int32_t> actions, const View& view) = 0;

  /// One environment as lines of text, at most 120 columns.
  virtual std::string render(std::size_t environment) const = 0;

  /// The exact model of what is observed. Errors kUnsupported: not finite at these dials, or what is observed is no
  /// state (then the reason); kLimit: more than the enumeration's bound.
  virtual base::Result<std::shared_ptr<const ObservedModel>> observed_model() const = 0;

  virtual std::vector<Script> scripts() const { return {}; }
  /// The action of script number `script` in an environment's present state; `rng_word` are 64 random bits for scripts
  /// that mix. Precondition: both exist.
  virtual std::int32_t script_action(std::size_t script, std::size_t environment, std::uint64_t rng_word) const;

 protected:
  friend struct HiddenAccess;
  virtual Hidden& hidden_side() = 0;
};

using WorldPtr = std::unique_ptr<World>;

/// Errors kValue: unknown level (with the known ones), unknown dial, a dial outside its range or not whole.
/// Returns the facts' dials with the asked-for values filled in.
base::Result<std::vector<double>> resolve_dials(const WorldFacts& facts, const WorldSpec& spec);
base::Result<std::string> resolve_level(const WorldFacts& facts, const WorldSpec& spec);

}  // namespace plumbline::world
