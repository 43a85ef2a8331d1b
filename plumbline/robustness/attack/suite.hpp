#pragma once
/// Several attacks on the same examples: the smallest perturbation found for each, what each attack spent, success
/// against budget, and a state that is written down and taken up again.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "plumbline/robustness/attack/attack.hpp"

namespace plumbline::robustness {

/// One attack on one example. Everything but `seconds` is the same for the same seed.
struct Attempt {
  std::string attack;
  bool found = false;
  double size = std::numeric_limits<double>::infinity();
  double margin = std::numeric_limits<double>::infinity();
  std::uint64_t queries = 0;
  std::uint64_t gradients = 0;
  std::uint64_t queries_to_success = 0;
  std::uint64_t gradients_to_success = 0;
  bool flat_start = false;
};

/// What all attacks came to on one example.
struct ExampleRecord {
  std::uint64_t id = 0;
  double clean_margin = 0;                                  ///< class_margin() of the example as it stands
  double size = std::numeric_limits<double>::infinity();    ///< of the smallest misclassified input found; 0 where the
                                                            ///< example is wrong as it stands
  std::string by;                                           ///< the attack that found it
  std::vector<double> x;                                    ///< that input; empty where none was found
  double margin = std::numeric_limits<double>::infinity();  ///< least margin within epsilon
  std::vector<Attempt> attempts;                            ///< in the order of the suite; only those that ran

  bool clean() const { return clean_margin > 0; }
  bool fallen(double epsilon) const { return !clean() || size <= epsilon; }
};

struct SuiteOptions {
  /// Every attack on every example, so that attacks can be compared; else each on those that still stand, and attacks
  /// for the smallest perturbation on all that are right as they stand.
  bool every_attack = false;
  std::map<std::string, double>* seconds = nullptr;  ///< by attack, by the clock: for people, never for evidence
};

/// Question: which examples fall to some attack, and to how small a perturbation?
/// Formula:  per example the minimum over attacks.
/// Shapes    as check_setting().
/// Returns   one record an example. An attack that needs gradients is skipped where the target has none. What is
///           already in `records` (same order of examples) is not done again, so a run that was stopped goes on with
///           the same bits.
/// Errors    kShape, kValue: check_setting(); records of other examples. Others as the target's. kCancelled: what is
///           finished is in `records`.
/// Cost      the attacks'. Examples in parallel where the target allows it; the same bits for any threads.
base::Status run_suite(const AttackSetting& setting, std::span<const AttackCase> cases, std::span<const Attack> attacks,
                       std::uint64_t seed, const SuiteOptions& options, std::vector<ExampleRecord>& records,
                       base::Progress* progress = nullptr);

/// Records as JSON text, numbers in shortest round trip: reading gives the same bits.
std::string write_records(std::span<const ExampleRecord> records);
/// Errors kParse: not what write_records() writes.
base::Result<std::vector<ExampleRecord>> read_records(const std::string& text);

/// One step of success against budget.
struct BudgetPoint {
  std::uint64_t passes = 0;  ///< forward and backward, by example
  double share = 0;          ///< of the clean examples that have fallen within this many passes
};
/// Question: how many examples fall as each may cost more?
/// Formula:  for each clean example the passes spent until its first success within epsilon, over the attacks in order
///           (or one attack alone); the share of examples at or below each such number.
std::vector<BudgetPoint> budget_curve(std::span<const ExampleRecord> records, const std::string& attack = {});

/// What an attack came to over all examples.
struct LedgerLine {
  std::string attack;
  std::size_t tried = 0;
  std::size_t found = 0;  ///< within epsilon
  std::size_t first = 0;  ///< of these, the ones whose smallest perturbation is this attack's
  std::uint64_t queries = 0;
  std::uint64_t gradients = 0;
};
std::vector<LedgerLine> budget_ledger(std::span<const ExampleRecord> records, std::span<const Attack> attacks);

}  // namespace plumbline::robustness
