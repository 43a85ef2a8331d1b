#pragma once
/// Hierarchical answers: "an animal" rather than the wrong species, with an accuracy that holds.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::caution {

/// A tree whose leaves are the classes. Node 0 is the root; a parent comes before its children.
struct Hierarchy {
  std::vector<std::string> names;
  std::vector<int> parent;                ///< -1 for the root
  std::vector<std::vector<int>> classes;  ///< below each node, ascending
  std::vector<double> gain;               ///< log2(all classes) - log2(classes below): 0 for the root
  int leaves = 0;

  /// Gain of a node in shares of a single class's gain.
  double specificity(std::size_t node) const;
};

/// The tree of lines "parent: child, child"; a child is a class's name or another parent. What is below nothing hangs
/// from a root called "any", unless one parent holds everything. No line gives the root over all classes: an answer or
/// none.
/// Errors    kShape: fewer than two classes. kParse: a line without a colon or a child. kValue: a name that is neither
///           class nor parent (with the nearest known one), two parents of one child, a circle, a parent with a class's
///           name.
base::Result<Hierarchy> make_hierarchy(std::span<const std::string> lines, std::span<const std::string> classes);

struct HierarchyOptions {
  double target = 0.95;      ///< accuracy that is promised
  double confidence = 0.95;  ///< with which, over draws of the calibration rows
};

/// How boldly to answer: the node with the largest (gain + trade) P(node).
struct HierarchyRule {
  HierarchyOptions options;
  double trade = 0;        ///< lambda; infinite: only the root is ever the answer
  std::size_t rows = 0;    ///< calibration rows
  double accuracy = 1;     ///< on them
  double lower_bound = 1;  ///< of the accuracy, at `confidence`; 1 for the root alone
};

/// Question  how specific may answers be while the share of right ones stays at least `target`?
/// Formula   an answer is right when the true class is below it. Trades of a fixed grid are tried from the most
///           cautious on; the last one before the first whose lower bound is below the target is taken. Since the order
///           is fixed beforehand, no correction for having tried several is due.
/// Shapes    probabilities n x classes, labels n, units n or empty.
/// Returns   P(accuracy of the rule >= target) >= confidence over draws of the calibration rows; the root alone, which
///           is never wrong, where nothing bolder can be shown.
/// Assumes   calibration rows (units) independent and drawn like the rows to come, and not used in training.
/// Errors    as check_probabilities and stats::proportion; kShape: other classes than the tree's; kValue: target or
///           confidence outside (0, 1), a confidence above 0.9999.
/// Cost      O(n nodes + grid n nodes). Deterministic.
/// Source    Deng, Krause, Berg, Fei-Fei 2012 (the trade and its search on the point estimate); Bauer 1991 and
///           Angelopoulos, Bates, Candes, Jordan, Lei 2021 (fixed sequence).
base::Result<HierarchyRule> fit_hierarchy(const Hierarchy& tree, MatrixRefD probabilities, std::span<const int> labels,
                                          std::span<const int> units, const HierarchyOptions& options = {});

/// The answer of each row: a node. Errors as check_probabilities; kShape: other classes than the tree's.
base::Result<std::vector<int>> hierarchical_answers(const Hierarchy& tree, double trade, MatrixRefD probabilities);

/// How answers fare on rows with known labels.
struct HierarchyQuality {
  stats::Estimate accuracy;     ///< share of rows whose class is below their answer
  stats::Estimate specificity;  ///< mean share of the full gain, whether right or wrong
  stats::Estimate leaf_share;   ///< share of rows answered with a single class
  std::vector<std::size_t> wrong;
};
/// Errors kShape: sizes differ, no row. kValue: a label outside the tree.
base::Result<HierarchyQuality> judge_hierarchy(const Hierarchy& tree, std::span<const int> answers,
                                               std::span<const int> labels, std::span<const int> units = {});

}  // namespace plumbline::caution
