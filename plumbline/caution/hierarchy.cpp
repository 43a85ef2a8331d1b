#include "plumbline/caution/hierarchy.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/caution/probabilities.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::caution {
namespace {

using base::Code;

constexpr std::string_view kMake = "make_hierarchy";

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

/// The lines as a map from child to parent, in order of mention.
struct Links {
  std::vector<std::string> parents;
  std::map<std::string, std::string> parent_of;
};

base::Result<Links> read_links(std::span<const std::string> lines, std::span<const std::string> classes) {
  Links links;
  for (const std::string& line : lines) {
    const auto colon = line.find(':');
    const std::string parent = trimmed(std::string_view(line).substr(0, std::min(colon, line.size())));
    if (colon == std::string::npos || parent.empty()) {
      return base::make_error(Code::kParse, fmt::format("'{}', expected \"parent: child, child\"", line),
                              std::string(kMake));
    }
    if (std::find(classes.begin(), classes.end(), parent) != classes.end()) {
      return base::make_error(Code::kValue, fmt::format("'{}' is a class and cannot have children", parent),
                              std::string(kMake));
    }
    if (std::find(links.parents.begin(), links.parents.end(), parent) == links.parents.end()) {
      links.parents.push_back(parent);
    }
    std::size_t at = colon + 1;
    while (at <= line.size()) {
      const auto comma = std::min(line.find(',', at), line.size());
      const std::string child = trimmed(std::string_view(line).substr(at, comma - at));
      if (child.empty()) {
        return base::make_error(Code::kParse, fmt::format("'{}': an empty child", line), std::string(kMake));
      }
      if (!links.parent_of.emplace(child, parent).second) {
        return base::make_error(Code::kValue,
                                fmt::format("'{}' is below both '{}' and '{}'", child, links.parent_of[child], parent),
                                std::string(kMake));
      }
      at = comma + 1;
    }
  }
  std::vector<std::string> known(classes.begin(), classes.end());
  known.insert(known.end(), links.parents.begin(), links.parents.end());
  for (const auto& [child, parent] : links.parent_of) {
    if (std::find(known.begin(), known.end(), child) != known.end()) continue;
    const std::string near = base::nearest(child, known);
    return base::make_error(Code::kValue, fmt::format("'{}' below '{}' is neither a class nor a parent", child, parent),
                            std::string(kMake), near.empty() ? "" : fmt::format("Did you mean '{}'?", near));
  }
  return links;
}

/// Steps from a node to the top; -1 in a circle.
int depth_of(const Links& links, std::string name) {
  for (int depth = 0; depth <= static_cast<int>(links.parent_of.size()); ++depth) {
    const auto up = links.parent_of.find(name);
    if (up == links.parent_of.end()) return depth;
    name = up->second;
  }
  return -1;
}

/// Trades from the most cautious to the boldest: fixed before any row is seen.
std::vector<double> trades() {
  constexpr int kSteps = 160;
  std::vector<double> grid;
  for (int i = 0; i <= kSteps; ++i) grid.push_back(std::pow(10.0, 5.0 - 8.0 * i / kSteps));
  grid.push_back(0);
  return grid;
}

/// P(node) of every row, n x nodes.
MatrixD node_probabilities(const Hierarchy& tree, MatrixRefD probabilities) {
  MatrixD p = MatrixD::Zero(probabilities.rows(), std::ssize(tree.names));
  for (std::ptrdiff_t v = 0; v < p.cols(); ++v) {
    for (const int c : tree.classes[static_cast<std::size_t>(v)]) p.col(v) += probabilities.col(c);
  }
  return p;
}

int answer(const Hierarchy& tree, double trade, const MatrixD& p, std::ptrdiff_t row) {
  if (std::isinf(trade)) return 0;
  int best = 0;
  for (std::size_t v = 1; v < tree.names.size(); ++v) {
    const double here = (tree.gain[v] + trade) * p(row, static_cast<std::ptrdiff_t>(v));
    if (here > (tree.gain[static_cast<std::size_t>(best)] + trade) * p(row, best)) best = static_cast<int>(v);
  }
  return best;
}

bool holds(const Hierarchy& tree, int node, int label) {
  const std::vector<int>& below = tree.classes[static_cast<std::size_t>(node)];
  return std::binary_search(below.begin(), below.end(), label);
}

base::Status check_tree(std::string_view function, const Hierarchy& tree, MatrixRefD probabilities) {
  PL_CHECK(check_probabilities(function, probabilities));
  return base::check_size(function, "probabilities.cols()", probabilities.cols(), tree.leaves);
}

}  // namespace

double Hierarchy::specificity(std::size_t node) const { return gain[node] / std::log2(static_cast<double>(leaves)); }

base::Result<Hierarchy> make_hierarchy(std::span<const std::string> lines, std::span<const std::string> classes) {
  PL_CHECK(base::check_at_least(kMake, "classes", std::ssize(classes), 2));
  PL_TRY(const Links links, read_links(lines, classes));
  // Nodes by depth, parents first; then the classes.
  std::vector<std::pair<int, std::string>> order;
  for (const std::string& name : links.parents) {
    const int depth = depth_of(links, name);
    if (depth < 0) {
      return base::make_error(Code::kValue, fmt::format("'{}' is below itself", name), std::string(kMake));
    }
    order.emplace_back(depth, name);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::size_t tops = 0;
  for (const auto& [depth, name] : order) tops += depth == 0 ? 1 : 0;
  for (const std::string& name : classes) tops += links.parent_of.contains(name) ? 0 : 1;

  Hierarchy tree;
  tree.leaves = static_cast<int>(classes.size());
  std::map<std::string, int> place;
  const auto add = [&](const std::string& name, int parent) {
    place[name] = static_cast<int>(tree.names.size());
    tree.names.push_back(name);
    tree.parent.push_back(parent);
    tree.classes.emplace_back();
  };
  const bool own_root = tops == 1 && !order.empty();
  if (!own_root) {
    if (std::find(links.parents.begin(), links.parents.end(), "any") != links.parents.end()) {
      return base::make_error(Code::kValue, "'any' names the root that holds everything", std::string(kMake));
    }
    add("any", -1);
  }
  const auto parent_place = [&](const std::string& name) {
    const auto up = links.parent_of.find(name);
    return up == links.parent_of.end() ? (own_root && place.empty() ? -1 : 0) : place.at(up->second);
  };
  for (const auto& [depth, name] : order) add(name, parent_place(name));
  for (std::size_t c = 0; c < classes.size(); ++c) {
    add(classes[c], parent_place(classes[c]));
    for (int v = static_cast<int>(tree.names.size()) - 1; v >= 0; v = tree.parent[static_cast<std::size_t>(v)]) {
      tree.classes[static_cast<std::size_t>(v)].push_back(static_cast<int>(c));
    }
  }
  for (std::size_t v = 0; v < tree.names.size(); ++v) {
    if (tree.classes[v].empty()) {
      return base::make_error(Code::kValue, fmt::format("no class is below '{}'", tree.names[v]), std::string(kMake));
    }
    tree.gain.push_back(std::log2(static_cast<double>(tree.leaves)) -
                        std::log2(static_cast<double>(tree.classes[v].size())));
  }
  return tree;
}

base::Result<HierarchyRule> fit_hierarchy(const Hierarchy& tree, MatrixRefD probabilities, std::span<const int> labels,
                                          std::span<const int> units, const HierarchyOptions& options) {
  constexpr std::string_view kName = "fit_hierarchy";
  PL_CHECK(check_tree(kName, tree, probabilities));
  PL_CHECK(base::check_size(kName, "labels", std::ssize(labels), probabilities.rows()));
  PL_CHECK(base::check_labels(kName, "labels", labels, tree.leaves));
  PL_CHECK(base::check_in_open(kName, "target", options.target, 0.0, 1.0));
  PL_CHECK(base::check_in_open(kName, "confidence", options.confidence, 0.0, 1.0));
  const auto rung = stats::rung_at_or_above(options.confidence);
  if (!rung) {
    return base::make_error(
        Code::kValue, fmt::format("confidence is {}, expected at most {}", options.confidence, stats::kLadder.back()),
        std::string(kName));
  }
  HierarchyRule rule;
  rule.options = options;
  rule.trade = std::numeric_limits<double>::infinity();
  rule.rows = labels.size();
  const MatrixD p = node_probabilities(tree, probabilities);
  std::vector<std::uint8_t> right(labels.size());
  for (const double trade : trades()) {
    for (std::size_t i = 0; i < labels.size(); ++i) {
      right[i] = holds(tree, answer(tree, trade, p, static_cast<std::ptrdiff_t>(i)), labels[i]) ? 1 : 0;
    }
    PL_TRY(const stats::Estimate accuracy, stats::proportion(right, units));
    const auto low = accuracy.bounds.lower[*rung];
    if (!low || *low < options.target) break;
    rule.trade = trade;
    rule.accuracy = accuracy.value;
    rule.lower_bound = *low;
  }
  return rule;
}

base::Result<std::vector<int>> hierarchical_answers(const Hierarchy& tree, double trade, MatrixRefD probabilities) {
  PL_CHECK(check_tree("hierarchical_answers", tree, probabilities));
  const MatrixD p = node_probabilities(tree, probabilities);
  std::vector<int> answers(static_cast<std::size_t>(p.rows()));
  for (std::ptrdiff_t i = 0; i < p.rows(); ++i) answers[static_cast<std::size_t>(i)] = answer(tree, trade, p, i);
  return answers;
}

base::Result<HierarchyQuality> judge_hierarchy(const Hierarchy& tree, std::span<const int> answers,
                                               std::span<const int> labels, std::span<const int> units) {
  constexpr std::string_view kName = "judge_hierarchy";
  PL_CHECK(base::check_size(kName, "answers", std::ssize(answers), std::ssize(labels)));
  PL_CHECK(base::check_labels(kName, "labels", labels, tree.leaves));
  PL_CHECK(base::check_labels(kName, "answers", answers, static_cast<int>(tree.names.size())));
  HierarchyQuality quality;
  std::vector<std::uint8_t> right(labels.size()), leaf(labels.size());
  std::vector<double> specific(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    right[i] = holds(tree, answers[i], labels[i]) ? 1 : 0;
    if (right[i] == 0) quality.wrong.push_back(i);
    const auto node = static_cast<std::size_t>(answers[i]);
    leaf[i] = tree.classes[node].size() == 1 ? 1 : 0;
    specific[i] = tree.specificity(node);
  }
  PL_TRY(quality.accuracy, stats::proportion(right, units));
  PL_TRY(quality.leaf_share, stats::proportion(leaf, units));
  PL_TRY(quality.specificity, stats::mean(specific, units));
  const bool alike = std::all_of(specific.begin(), specific.end(), [&](double s) { return s == specific.front(); });
  if (alike && units.empty()) {
    PL_TRY(quality.specificity, stats::empirical_bernstein(specific, 0, 1));
  }
  return quality;
}

}  // namespace plumbline::caution
