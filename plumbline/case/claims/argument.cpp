#include "plumbline/case/claims/argument.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"

namespace plumbline::claims {
namespace {

std::string_view prefix_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::kGoal: return "G";
    case NodeKind::kStrategy: return "S";
    case NodeKind::kSolution: return "Sn";
    case NodeKind::kContext: return "C";
    case NodeKind::kAssumption: return "A";
    case NodeKind::kJustification: return "J";
    case NodeKind::kDefeater: return "CG";
  }
  return "G";
}

std::optional<NodeKind> written_kind(std::string_view word) {
  for (const NodeKind kind : {NodeKind::kGoal, NodeKind::kStrategy, NodeKind::kContext, NodeKind::kAssumption,
                              NodeKind::kJustification, NodeKind::kDefeater}) {
    if (node_kind_name(kind) == word) return kind;
  }
  return std::nullopt;
}

bool bears_verdict(NodeKind kind) { return kind == NodeKind::kGoal || kind == NodeKind::kStrategy; }

std::string evidence_text(const check::Evidence& evidence) {
  const auto low = evidence.estimate.low(evidence.level);
  const auto high = evidence.estimate.high(evidence.level);
  std::string text = fmt::format("{} of {}", evidence.metric, evidence.subject);
  for (const auto& [key, value] : evidence.where) text += fmt::format(", {} {}", key, value);
  text += fmt::format(": {:.6g}", evidence.estimate.value);
  if (evidence.estimate.exactness == stats::Exactness::kExact) return text + " exactly";
  if (low && high) text += fmt::format(" [{:.6g}, {:.6g}] at {:g}", *low, *high, evidence.level);
  return text;
}

base::Error wrong(const data::Manifest& manifest, int line, std::string message) {
  return base::make_error(base::Code::kValue, std::move(message), fmt::format("{}:{}", manifest.path, line));
}

base::Result<int> need_of(const data::Manifest& manifest, const data::ArgumentSection& section) {
  if (section.rule.empty() || section.rule == "all") return 0;
  int need = 0;
  const auto [end, error] = std::from_chars(section.rule.data(), section.rule.data() + section.rule.size(), need);
  if (error != std::errc() || end != section.rule.data() + section.rule.size() || need < 1 ||
      need > static_cast<int>(section.supported_by.size())) {
    return wrong(manifest, section.line,
                 fmt::format("rule '{}' of argument '{}' is neither \"all\" nor a number from 1 to {}", section.rule,
                             section.id, section.supported_by.size()));
  }
  return need;
}

/// Depth-first order from the roots; fails on a circle of supported_by.
base::Status order_from_roots(Argument& argument) {
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < argument.nodes.size(); ++i) index[argument.nodes[i].id] = i;
  std::vector<int> state(argument.nodes.size(), 0);  // 1 on the path, 2 done
  std::vector<std::size_t> order;
  std::vector<std::string> path;
  const auto visit = [&](auto&& self, std::size_t i) -> base::Status {
    if (state[i] == 2) return base::ok();
    path.push_back(argument.nodes[i].id);
    if (state[i] == 1) {
      const auto start = std::find(path.begin(), path.end(), argument.nodes[i].id);
      return base::make_error(base::Code::kValue, fmt::format("the argument supports itself in a circle: {}",
                                                              fmt::join(start, path.end(), " -> ")));
    }
    state[i] = 1;
    order.push_back(i);
    for (const auto* links : {&argument.nodes[i].in_context_of, &argument.nodes[i].supported_by}) {
      for (const std::string& id : *links) {
        if (const auto found = index.find(id); found != index.end()) PL_CHECK(self(self, found->second));
      }
    }
    state[i] = 2;
    path.pop_back();
    return base::ok();
  };
  for (const Node* root : argument.roots()) PL_CHECK(visit(visit, index[root->id]));
  for (std::size_t i = 0; i < argument.nodes.size(); ++i) PL_CHECK(visit(visit, i));
  std::vector<Node> sorted;
  sorted.reserve(order.size());
  for (const std::size_t i : order) sorted.push_back(std::move(argument.nodes[i]));
  argument.nodes = std::move(sorted);
  return base::ok();
}

/// What stands against an element before its own support is looked at.
Defeat worse(Defeat a, Defeat b) { return std::max(a, b); }

}  // namespace

std::string_view node_kind_name(NodeKind kind) {
  switch (kind) {
    case NodeKind::kGoal: return "goal";
    case NodeKind::kStrategy: return "strategy";
    case NodeKind::kSolution: return "solution";
    case NodeKind::kContext: return "context";
    case NodeKind::kAssumption: return "assumption";
    case NodeKind::kJustification: return "justification";
    case NodeKind::kDefeater: return "defeater";
  }
  return "goal";
}

std::string_view doubt_name(Doubt doubt) {
  switch (doubt) {
    case Doubt::kNone: return "none";
    case Doubt::kAnswered: return "answered";
    case Doubt::kOpen: return "open";
    case Doubt::kStands: return "stands";
  }
  return "none";
}

const Node* Argument::find(std::string_view id) const {
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) { return node.id == id; });
  return found == nodes.end() ? nullptr : &*found;
}

std::vector<const Node*> Argument::roots() const {
  std::set<std::string> supporting;
  for (const Node& node : nodes) supporting.insert(node.supported_by.begin(), node.supported_by.end());
  std::vector<const Node*> found;
  for (const Node& node : nodes) {
    if (bears_verdict(node.kind) && !supporting.contains(node.id)) found.push_back(&node);
  }
  return found;
}

base::Result<Argument> build_argument(const data::Manifest& manifest, const std::vector<ClaimVerdict>& verdicts,
                                      const check::RunRecord& run) {
  Argument argument;
  argument.name = manifest.name.empty() ? "case" : manifest.name;
  argument.brief =
      fmt::format("The argument that {} does what it should", manifest.name.empty() ? "the system" : manifest.name);

  std::map<std::string, std::string> node_of;  // manifest id -> node id
  std::set<std::string> used;
  std::vector<std::string> known;
  const auto fresh = [&](std::string id) {
    while (!used.insert(id).second) id += "-2";
    return id;
  };
  for (const auto& [id, section] : manifest.argument) {
    const auto kind = written_kind(section.kind);
    if (!kind) {
      return wrong(manifest, section.line,
                   fmt::format("argument '{}' is of the unknown kind '{}', expected goal, strategy, context, "
                               "assumption, justification or defeater",
                               id, section.kind));
    }
    node_of[id] = fresh(fmt::format("{}-{}", prefix_of(*kind), id));
    known.push_back(id);
  }
  std::map<std::string, std::string>
      goal_of;  // claim -> node id; an argument of the same name keeps that name in links
  for (const ClaimVerdict& verdict : verdicts) {
    goal_of[verdict.id] = fresh("G-" + verdict.id);
    if (node_of.emplace(verdict.id, goal_of[verdict.id]).second) known.push_back(verdict.id);
  }

  std::set<std::string> supporting;
  bool goal_written = false;
  for (const auto& [id, section] : manifest.argument) {
    Node node;
    node.id = node_of[id];
    node.kind = *written_kind(section.kind);
    node.text = section.text.empty() ? id : section.text;
    PL_TRY(node.need, need_of(manifest, section));
    goal_written = goal_written || node.kind == NodeKind::kGoal;
    for (auto [from, to] :
         {std::pair{&section.supported_by, &node.supported_by}, std::pair{&section.in_context_of, &node.in_context_of},
          std::pair{&section.challenges, &node.challenges}}) {
      for (const std::string& name : *from) {
        const auto found = node_of.find(name);
        if (found == node_of.end()) {
          const std::string guess = base::nearest(name, known);
          return wrong(manifest, section.line,
                       fmt::format("argument '{}' names '{}', which is neither a claim nor an argument{}", id, name,
                                   guess.empty() ? "" : fmt::format(". Did you mean '{}'?", guess)));
        }
        to->push_back(found->second);
      }
    }
    if (node.kind == NodeKind::kDefeater && node.challenges.empty()) {
      return wrong(manifest, section.line, fmt::format("defeater '{}' challenges nothing", id));
    }
    node.undeveloped = (bears_verdict(node.kind) || node.kind == NodeKind::kDefeater) && node.supported_by.empty();
    supporting.insert(node.supported_by.begin(), node.supported_by.end());
    argument.nodes.push_back(std::move(node));
  }

  std::set<std::string> solutions;
  for (const ClaimVerdict& verdict : verdicts) {
    Node goal;
    goal.id = goal_of[verdict.id];
    goal.kind = NodeKind::kGoal;
    goal.text = verdict.text.empty() ? fmt::format("{} {}: {}", verdict.check, verdict.metric, verdict.condition)
                                     : verdict.text;
    goal.claim = verdict.id;
    for (const std::string& id : verdict.evidence) {
      const auto evidence =
          std::find_if(run.evidence.begin(), run.evidence.end(), [&](const check::Evidence& e) { return e.id == id; });
      if (evidence == run.evidence.end()) continue;
      Node solution;
      solution.id = "Sn-" + id.substr(0, 12);
      goal.supported_by.push_back(solution.id);
      if (!solutions.insert(solution.id).second) continue;
      solution.kind = NodeKind::kSolution;
      solution.text = evidence_text(*evidence);
      solution.evidence = id;
      argument.nodes.push_back(std::move(solution));
    }
    goal.undeveloped = goal.supported_by.empty();
    argument.nodes.push_back(std::move(goal));
  }

  if (!goal_written) {
    Node top;
    top.id = fresh("G-top");
    top.kind = NodeKind::kGoal;
    top.text = fmt::format("{} does what is claimed of it.", manifest.name.empty() ? "The system" : manifest.name);
    for (const Node& node : argument.nodes) {
      if (bears_verdict(node.kind) && !supporting.contains(node.id)) top.supported_by.push_back(node.id);
    }
    top.undeveloped = top.supported_by.empty();
    argument.nodes.insert(argument.nodes.begin(), std::move(top));
  }
  PL_CHECK(order_from_roots(argument));
  return argument;
}

void propagate(Argument& argument, std::vector<ClaimVerdict>& verdicts) {
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < argument.nodes.size(); ++i) index[argument.nodes[i].id] = i;
  std::map<std::string, ClaimVerdict*> claim_of;
  for (ClaimVerdict& verdict : verdicts) {
    verdict.defeat = Defeat::kNone;
    claim_of[verdict.id] = &verdict;
  }
  std::vector<std::vector<std::size_t>> challengers(argument.nodes.size());
  for (std::size_t i = 0; i < argument.nodes.size(); ++i) {
    if (argument.nodes[i].kind != NodeKind::kDefeater) continue;
    for (const std::string& target : argument.nodes[i].challenges) {
      if (const auto found = index.find(target); found != index.end()) challengers[found->second].push_back(i);
    }
  }

  // Doubts, defeats and standings depend on one another along challenges and support. Each is settled on demand; what
  // is met again on the way there lies on a circle, which nobody can settle: it counts as open, or as not evaluated.
  enum class Mark { kNew, kOpen, kDone };
  std::vector<Mark> marks(argument.nodes.size(), Mark::kNew);
  std::vector<Defeat> defeats(argument.nodes.size(), Defeat::kNone);

  struct Walk {
    Argument& argument;
    std::map<std::string, std::size_t>& index;
    std::map<std::string, ClaimVerdict*>& claim_of;
    std::vector<std::vector<std::size_t>>& challengers;
    std::vector<Mark>& marks;
    std::vector<Defeat>& defeats;

    Standing support_of(const Node& node) {
      std::vector<Standing> standings;
      for (const std::string& id : node.supported_by) {
        const auto found = index.find(id);
        if (found == index.end() || argument.nodes[found->second].kind == NodeKind::kSolution) continue;
        standings.push_back(standing(found->second));
      }
      if (standings.empty()) return Standing::kNotEvaluated;
      std::sort(standings.begin(), standings.end());
      const auto last = node.need > 0 ? std::min<std::size_t>(static_cast<std::size_t>(node.need), standings.size())
                                      : standings.size();
      if (node.need > static_cast<int>(standings.size())) return std::max(Standing::kNotEvaluated, standings.back());
      return standings[last - 1];
    }

    void settle(std::size_t i) {
      if (marks[i] != Mark::kNew) return;
      marks[i] = Mark::kOpen;
      Defeat defeat = Defeat::kNone;
      for (const std::size_t challenger : challengers[i]) {
        const bool circle = marks[challenger] == Mark::kOpen;
        settle(challenger);
        const Doubt doubt = circle ? Doubt::kOpen : argument.nodes[challenger].doubt;
        if (doubt == Doubt::kStands) defeat = worse(defeat, Defeat::kDefeated);
        if (doubt == Doubt::kOpen) defeat = worse(defeat, Defeat::kChallenged);
      }
      for (const std::string& id : argument.nodes[i].in_context_of) {
        const auto found = index.find(id);
        if (found == index.end()) continue;
        const bool circle = marks[found->second] == Mark::kOpen;
        settle(found->second);
        defeat = worse(defeat, circle ? Defeat::kChallenged : defeats[found->second]);
      }
      Node& node = argument.nodes[i];
      if (!node.claim.empty()) {  // a claim falls with the evidence under it
        for (const std::string& id : node.supported_by) {
          const auto found = index.find(id);
          if (found == index.end() || argument.nodes[found->second].kind != NodeKind::kSolution) continue;
          settle(found->second);
          defeat = worse(defeat, defeats[found->second]);
        }
      }
      defeats[i] = defeat;
      node.defeated = defeat == Defeat::kDefeated;
      if (node.kind == NodeKind::kDefeater) {
        Standing support = Standing::kSupported;  // a doubt with nothing under it stands until it is answered
        if (!node.supported_by.empty()) support = support_of(node);
        node.doubt = defeat == Defeat::kDefeated || support == Standing::kRefuted ? Doubt::kAnswered
                     : support == Standing::kSupported && defeat == Defeat::kNone ? Doubt::kStands
                                                                                  : Doubt::kOpen;
      } else if (bears_verdict(node.kind)) {
        Standing standing = Standing::kNotEvaluated;
        if (const auto claim = claim_of.find(node.claim); !node.claim.empty() && claim != claim_of.end()) {
          claim->second->defeat = defeat;
          standing = standing_of(*claim->second);
        } else {
          standing = support_of(node);
          if (defeat == Defeat::kDefeated) standing = std::max(standing, Standing::kDefeated);
          if (defeat == Defeat::kChallenged) standing = std::max(standing, Standing::kUndetermined);
        }
        node.standing = standing;
      }
      marks[i] = Mark::kDone;
    }

    Standing standing(std::size_t i) {
      settle(i);
      const Node& node = argument.nodes[i];
      if (node.kind == NodeKind::kDefeater) {
        return node.doubt == Doubt::kStands     ? Standing::kSupported
               : node.doubt == Doubt::kAnswered ? Standing::kRefuted
                                                : Standing::kUndetermined;
      }
      return marks[i] == Mark::kDone && node.standing ? *node.standing : Standing::kNotEvaluated;
    }
  };
  for (Node& node : argument.nodes) {
    node.standing.reset();
    node.doubt = Doubt::kNone;
  }
  Walk walk{argument, index, claim_of, challengers, marks, defeats};
  for (std::size_t i = 0; i < argument.nodes.size(); ++i) walk.settle(i);
}

base::Result<Argument> argue(const data::Manifest& manifest, std::vector<ClaimVerdict>& verdicts,
                             const check::RunRecord& run) {
  PL_TRY(Argument argument, build_argument(manifest, verdicts, run));
  propagate(argument, verdicts);
  return argument;
}

}  // namespace plumbline::claims
