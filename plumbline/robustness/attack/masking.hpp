#pragma once
/// The five signs that gradients mislead the attack, row by row, and the field's checklist as data.

#include <array>
#include <set>
#include <string>
#include <vector>

#include "plumbline/robustness/attack/suite.hpp"

namespace plumbline::robustness {

enum class MaskingSign {
  kOneStep,    ///< one step turns the example, many steps do not
  kBlackBox,   ///< queries alone turn it, gradients do not
  kUnbounded,  ///< gradients do not turn it even without a bound
  kNoise,      ///< noise turns it, gradients do not
  kBudget,     ///< gradients turn it, but not at twice the radius or with four times the steps
};
inline constexpr std::size_t kMaskingSigns = 5;
std::string_view masking_sign_name(MaskingSign sign);
/// "one step beats many".
std::string_view masking_sign_words(MaskingSign sign);

struct MaskingOptions {
  int steps = 20;     ///< of PGD
  int queries = 300;  ///< of Square (SPSA for L1)
  int noise = 200;    ///< draws
};

struct MaskedRow {
  std::uint64_t id = 0;
  bool clean = false;
  std::array<bool, kMaskingSigns> shown{};
  bool flat_start = false;  ///< the gradient at the example is exactly zero
  bool varies = false;      ///< the scores at the example differ when it is asked again: attacks need averages
  bool any() const { return shown[0] || shown[1] || shown[2] || shown[3] || shown[4]; }
};

/// An attack that was run for the signs, and how many of the clean rows it turned.
struct MaskingTrial {
  std::string name;
  std::size_t found = 0;
  std::size_t tried = 0;
};

struct Masking {
  std::vector<MaskedRow> rows;
  std::vector<MaskingTrial> trials;
};

/// Question: does the attack's success contradict itself, as it does where gradients are masked?
/// Formula:  for each example that is right as it stands: FGSM, PGD on cross-entropy, PGD with four times the steps,
/// PGD
///           at twice epsilon, PGD over the whole declared range (100 epsilon where there is none), Square, noise; then
///           the five signs, each a combination of successes that attacks which see the gradient cannot show.
/// Shapes    as check_setting(); the target has gradients.
/// Errors    kUnsupported: no gradients. Others as run_suite().
/// Cost      about 10 steps + queries + noise forward and backward passes an example.
/// Source    Athalye, Carlini, Wagner 2018, section 3.1.
base::Result<Masking> find_masking(const AttackSetting& setting, std::span<const AttackCase> cases, std::uint64_t seed,
                                   const MaskingOptions& options = {});

// The checklist -------------------------------------------------------------------------------------------------------

/// What a run did, as the checklist asks for it.
enum class Deed {
  kThreatStated,
  kThreatJustified,
  kCleanAccuracy,
  kIterativeBeatsOneStep,
  kBudgetCurve,
  kHyperParameters,
  kPerExample,
  kScoreAttack,
  kDecisionAttack,
  kNoise,
  kManyNoise,
  kMoreSteps,
  kUnboundedAttack,
  kTargeted,
  kRestarts,
  kStandIn,
  kAverages,
  kUnitTest,
  kTransfer,
  kCertificate,
  kOtherThreats,
};

enum class ItemState { kMissing, kPartly, kRun, kPeople };
/// "not run", "partly", "run", "cannot be run by a program".
std::string_view item_state_name(ItemState state);

struct ChecklistItem {
  int number = 0;
  std::string part;  ///< "severe", "pitfall", "special"
  std::string text;
  ItemState state = ItemState::kMissing;
  std::string how;  ///< what was run, or what would have to be
};

/// The 25 items of "On evaluating adversarial robustness" with what was done about each: what is missing first, then
/// what is for people, then what was run.
/// Source    Carlini et al. 2019, restated.
std::vector<ChecklistItem> checklist(const std::set<Deed>& done);

}  // namespace plumbline::robustness
