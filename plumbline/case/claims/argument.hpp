#pragma once
/// The argument that ties claims to evidence, in the Goal Structuring Notation, and how verdicts travel up in it.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/case/claims/verdict.hpp"

namespace plumbline::claims {

/// A defeater is a counter goal of the notation: a doubt that challenges other elements.
enum class NodeKind { kGoal, kStrategy, kSolution, kContext, kAssumption, kJustification, kDefeater };
std::string_view node_kind_name(NodeKind kind);

/// Whether a defeater's doubt holds.
enum class Doubt { kNone, kAnswered, kOpen, kStands };
std::string_view doubt_name(Doubt doubt);

struct Node {
  std::string id;  ///< prefix of its kind (G, S, Sn, C, A, J, CG), a dash, a name: "G-abstains"
  NodeKind kind = NodeKind::kGoal;
  std::string text;
  std::vector<std::string> supported_by;
  std::vector<std::string> in_context_of;
  std::vector<std::string> challenges;  ///< of a defeater
  bool undeveloped = false;
  bool defeated = false;
  int need = 0;                      ///< how many of `supported_by` must hold; 0 = all
  std::string claim;                 ///< id of the claim that this goal states
  std::string evidence;              ///< id of the evidence that this solution is
  std::optional<Standing> standing;  ///< goals and strategies; after propagate()
  Doubt doubt = Doubt::kNone;        ///< defeaters; after propagate()
};

struct Argument {
  std::string name;  ///< of the module
  std::string brief;
  std::vector<Node> nodes;  ///< roots first, then in order of first mention

  const Node* find(std::string_view id) const;
  /// Goals and strategies that support nothing.
  std::vector<const Node*> roots() const;
};

/// Builds the argument from the manifest's [argument.*] sections, its claims and the evidence behind them. Without a
/// written goal, one top goal is added that every strategy and claim not mentioned elsewhere supports; with one, claims
/// that nobody mentions stay roots of their own.
/// Errors  kValue: a reference to nothing, a circle, a rule that asks for more than there is, an unknown kind.
base::Result<Argument> build_argument(const data::Manifest& manifest, const std::vector<ClaimVerdict>& verdicts,
                                      const check::RunRecord& run);

/// Computes defeat and standing; also writes `defeat` into the verdicts of the claims.
/// Doubts     A defeater stands when what supports it is supported, or when nothing is written under it: a doubt that
///            nobody answered. It is answered when its support is refuted, or when a standing defeater challenges it;
///            otherwise, and in circles of challenges, it is open.
/// Defeat     What a standing defeater challenges is defeated; so is what is stated in the context of a defeated
///            context, assumption or justification. What an open one challenges is at best undetermined.
/// Standing   A claim's goal: its verdict. Other goals and strategies: the worst of what supports them, or with
///            "k of n" the k-th best; without support: not evaluated.
/// Order      refuted, defeated, stale, not evaluated, undetermined, supported.
void propagate(Argument& argument, std::vector<ClaimVerdict>& verdicts);

/// build_argument(), then propagate().
base::Result<Argument> argue(const data::Manifest& manifest, std::vector<ClaimVerdict>& verdicts,
                             const check::RunRecord& run);

/// The argument as gsn2x YAML: text, supportedBy, inContextOf, undeveloped, challenges, defeated, module; beside these
/// the attributes verdict, doubt, need, claim and evidence, which other readers show or skip.
std::string to_gsn_yaml(const Argument& argument);

/// Reads gsn2x YAML, also from other tools: prefixes G, S, Sn, C, A, J, CG, CSn, or a `nodeType`.
/// Errors  kParse: not YAML, an element without text, an unknown prefix, a link to nothing (with the line). kLimit:
/// more
///         than 4 MiB or 10,000 elements.
base::Result<Argument> from_gsn_yaml(std::string_view yaml);

/// The argument drawn as SVG: layers from the roots down, contexts beside their elements. No scripts, no outside
/// references; title and description for screen readers; verdicts as words, not as colour alone.
std::string to_svg(const Argument& argument);

}  // namespace plumbline::claims
