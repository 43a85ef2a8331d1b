#pragma once
/// Uncertainty told apart: what is left to chance, what the model does not know, and what was never decided. Each
/// measured kind names its estimator and unit; readings of what is wanted stay a set with the actions they recommend.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/manifest.hpp"
#include "plumbline/decision/uncertainty.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::caution {

/// Entropy -sum p ln p of one distribution, nats; 0 ln 0 = 0. Precondition: entries in [0, 1].
double entropy_of(std::span<const double> p);

/// Question  how spread is each predictive distribution?
/// Shapes    probabilities n x k.
/// Returns   n entropies in nats, within [0, ln k].
/// Errors    as check_probabilities.
base::Result<VectorD> predictive_entropy(MatrixRefD probabilities);

/// The parts of a mixture of predictive distributions, row by row, in nats: total = aleatoric + model.
struct UncertaintyParts {
  MatrixD mean;       ///< n x k, the averaged predictive
  VectorD total;      ///< entropy of the mean
  VectorD aleatoric;  ///< mean entropy of the members: what would remain if the right member were known
  VectorD model;      ///< mutual information of member and label; 0 where all members agree
};

/// Question  how much of the spread would go if one knew which of these equally likely models is right?
/// Formula   total = H(mean_m p_m), aleatoric = mean_m H(p_m), model = total - aleatoric >= 0.
/// Shapes    members m >= 2, each n x k.
/// Errors    kShape: fewer than two members, members of different shapes; and those of check_probabilities, with the
///           member named.
/// Cost      O(m n k). Deterministic; the order of members changes rounding only.
/// Source    Depeweg, Hernandez-Lobato, Doshi-Velez, Udluft 2018; Houlsby et al. 2011 (the mutual information).
base::Result<UncertaintyParts> split_ensemble(std::span<const MatrixD> members);

/// One reading of what is wanted: what each action costs when each class is the truth.
struct CostReading {
  std::string name;
  double weight = 0;  ///< declared plausibility; 0: none declared
  MatrixD cost;       ///< actions x classes
};

/// Everything that may have been meant. More than one reading is ambiguity; a single one is no doubt about values.
struct CostModel {
  std::vector<std::string> actions;
  std::vector<CostReading> readings;

  /// Weights are declared for all readings.
  bool weighted() const;
};

/// Costs of 1 for every wrong label and 0 for the right one; the actions are the classes.
CostModel zero_one_costs(std::span<const std::string> classes);

/// Errors kShape: no action, no reading, a matrix that is not actions x classes. kValue: a cost that is not finite, a
/// negative weight, weights for some readings only, an action or reading named twice or not at all.
base::Status validate(const CostModel& costs, std::ptrdiff_t classes);

/// Expected cost of each action by each reading, readings x actions. Preconditions: validate(), p of `classes` entries.
MatrixD expected_costs(const CostModel& costs, std::span<const double> p);

/// What each reading would have us do: its action of least expected cost, the first of equals. Preconditions as above.
std::vector<decision::Reading> recommend(const CostModel& costs, std::span<const double> p);

/// Question  for which rows do readings recommend different actions? The share of them is a test statistic, never an
///           amount of doubt.
/// Shapes    probabilities n x classes.
/// Returns   n flags, 1 = they differ. One reading never differs.
/// Errors    as validate() and check_probabilities.
/// Cost      O(n x readings x actions x classes). Deterministic.
base::Result<std::vector<std::uint8_t>> readings_differ(const CostModel& costs, MatrixRefD probabilities);

/// The sections [reward.NAME] of kind "costs" about a model, each a reading. The file is CSV: a column `action`, and
/// one column for each class by its name; all sections must name the same actions in the same order. Returns   no
/// reading where no section is about the model. Errors    of the file; kShape: a column for no class, a class without a
/// column, other actions than the first
///           reading's; kValue: an empty cell, a negative prior, priors for some only. All name section and file.
base::Result<CostModel> read_costs(const data::Manifest& manifest, const std::string& model,
                                   std::span<const std::string> classes);
/// The sections that read_costs reads, in the manifest's order.
std::vector<const data::OtherSection*> cost_sections(const data::Manifest& manifest, const std::string& model);

}  // namespace plumbline::caution
