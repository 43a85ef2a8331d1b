#include "plumbline/counterfactual/causal/imagine.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;

std::size_t at(int v) { return static_cast<std::size_t>(v); }

/// Steps through all joint states of some variables, the last fastest. False at the end.
bool advance(std::vector<int>& states, const std::vector<int>& sizes) {
  for (std::size_t k = states.size(); k-- > 0;) {
    if (++states[k] < sizes[k]) return true;
    states[k] = 0;
  }
  return false;
}

/// P(state of the imagined world | state of the actual one), from the two rows of the table.
class Coupling {
 public:
  Coupling(Noise noise, std::span<const double> actual, std::span<const double> imagined, bool same_row)
      : noise_(noise), actual_(actual), imagined_(imagined), same_row_(same_row) {
    for (const double p : actual) actual_sum_ += p;
    for (const double p : imagined) imagined_sum_ += p;
  }
  double operator()(std::size_t is, std::size_t would_be) const {
    if (same_row_) return is == would_be ? 1 : 0;
    const double alone = imagined_[would_be] / imagined_sum_;
    const double width = actual_[is] / actual_sum_;
    if (noise_ == Noise::kIndependent || width <= 0) return alone;
    // The overlap of the two pieces of the unit interval that stand for the states.
    const auto [low_a, high_a] = piece(actual_, actual_sum_, is);
    const auto [low_b, high_b] = piece(imagined_, imagined_sum_, would_be);
    if (high_a <= low_a) return alone;
    return std::max(0.0, std::min(high_a, high_b) - std::max(low_a, low_b)) / (high_a - low_a);
  }

 private:
  static std::pair<double, double> piece(std::span<const double> row, double sum, std::size_t state) {
    double low = 0;
    for (std::size_t k = 0; k < state; ++k) low += row[k];
    const double high = state + 1 == row.size() ? sum : low + row[state];
    return {low / sum, high / sum};
  }
  Noise noise_;
  std::span<const double> actual_, imagined_;
  double actual_sum_ = 0, imagined_sum_ = 0;
  bool same_row_;
};

/// The table of the copy of v: given the original, its parents and the copy's parents.
base::Result<Mechanism> coupled(const Network& network, int v, const std::vector<int>& copied_parents, Noise noise,
                                double most_cells) {
  const std::vector<int>& own = network.parents(v);
  Mechanism out;
  // The original first, then its parents, then those parents of the copy that are copies themselves.
  out.parents = {v};
  out.parents.insert(out.parents.end(), own.begin(), own.end());
  std::vector<int> sizes = {network.states(v)};
  for (const int p : own) sizes.push_back(network.states(p));
  std::vector<std::size_t> imagined_at;
  for (std::size_t k = 0; k < own.size(); ++k) {
    if (copied_parents[k] == own[k]) {
      imagined_at.push_back(1 + k);
      continue;
    }
    imagined_at.push_back(out.parents.size());
    out.parents.push_back(copied_parents[k]);
    sizes.push_back(network.states(own[k]));
  }
  double cells = network.states(v);
  for (const int s : sizes) cells *= s;
  if (cells > most_cells)
    return make_error(Code::kLimit, fmt::format("the twin of '{}' would need {:.3g} cells, more than {:.3g}",
                                                network.variable(v).name, cells, most_cells));
  out.table.reserve(static_cast<std::size_t>(cells));
  std::vector<int> states(sizes.size(), 0);
  std::vector<int> actual(own.size());
  std::vector<int> imagined(own.size());
  do {
    for (std::size_t k = 0; k < own.size(); ++k) {
      actual[k] = states[1 + k];
      imagined[k] = states[imagined_at[k]];
    }
    const Coupling coupling(noise, network.row(v, actual), network.row(v, imagined), actual == imagined);
    double sum = 0;
    const std::size_t first = out.table.size();
    for (std::size_t k = 0; k < at(network.states(v)); ++k) {
      out.table.push_back(coupling(at(states[0]), k));
      sum += out.table.back();
    }
    for (std::size_t k = first; k < out.table.size(); ++k) out.table[k] /= sum;
  } while (advance(states, sizes));
  return out;
}

}  // namespace

std::string_view noise_name(Noise noise) {
  switch (noise) {
    case Noise::kStated: return "stated";
    case Noise::kQuantile: return "quantile";
    case Noise::kIndependent: return "independent";
  }
  return "";
}

base::Result<Noise> parse_noise(std::string_view name) {
  for (const Noise n : {Noise::kStated, Noise::kQuantile, Noise::kIndependent})
    if (noise_name(n) == name) return n;
  return make_error(Code::kValue, fmt::format("there is no noise '{}'", name), {},
                    "noise is stated, quantile or independent");
}

base::Result<Twin> make_twin(const Network& network, const std::vector<int>& targets, const Assignments& interventions,
                             Noise noise, double cells) {
  const auto n = static_cast<int>(network.size());
  std::vector<int> set;
  for (const Assignment& a : interventions) {
    if (std::find(set.begin(), set.end(), a.variable) != set.end())
      return make_error(Code::kValue, fmt::format("'{}' is set twice", network.variable(a.variable).name));
    set.push_back(a.variable);
  }
  // Ancestors of the targets in the imagined world, where set variables have no parents.
  PL_TRY(const Network after, intervene(network, interventions));
  const std::vector<bool> below = after.descendants(set);
  const std::vector<bool> above = after.ancestors(targets);
  std::vector<Variable> variables;
  std::vector<Mechanism> mechanisms;
  for (int v = 0; v < n; ++v) {
    variables.push_back(network.variable(v));
    mechanisms.push_back(network.mechanism(v));
  }
  std::vector<int> copy;
  int next = n;
  for (int v = 0; v < n; ++v) copy.push_back(below[at(v)] && above[at(v)] ? next++ : v);
  std::vector<std::string> unstated;
  for (int v = 0; v < n; ++v) {
    if (copy[at(v)] == v) continue;
    Variable mirror = network.variable(v);
    mirror.name += "'";
    while (network.find(mirror.name)) mirror.name += "'";
    variables.push_back(std::move(mirror));
    Mechanism plain = after.mechanism(v);
    for (int& p : plain.parents) p = copy[at(p)];
    const bool is_set = std::find(set.begin(), set.end(), v) != set.end();
    if (is_set || network.deterministic(v)) {
      mechanisms.push_back(std::move(plain));
    } else if (noise == Noise::kStated) {
      unstated.push_back(fmt::format("'{}'", network.variable(v).name));
      mechanisms.push_back(std::move(plain));
    } else {
      PL_TRY(Mechanism m, coupled(network, v, plain.parents, noise, cells));
      mechanisms.push_back(std::move(m));
    }
  }
  if (!unstated.empty())
    return make_error(
        Code::kValue,
        fmt::format("the noise of {}{} is not stated: the table holds chance besides the parents", unstated.front(),
                    unstated.size() == 1 ? "" : fmt::format(" (and of {} more)", unstated.size() - 1)),
        {},
        "make the chance a variable without parents, or choose how it hangs together: --noise quantile or independent");
  PL_TRY(Network twin, Network::make(network.name(), std::move(variables), std::move(mechanisms)));
  return Twin{std::move(twin), std::move(copy)};
}

base::Result<Answer> imagine(const Network& network, const Query& query, Noise noise, const ExactLimits& limits) {
  const auto twin = make_twin(network, query.targets, query.interventions, noise, limits.cells);
  if (!twin.ok() && twin.error().code == Code::kLimit) {
    Answer wide;
    wide.outcome = QueryOutcome::kTooWide;
    wide.reason = twin.error().message;
    wide.targets = query.targets;
    return wide;
  }
  if (!twin.ok()) return twin.error();
  Query mirrored{{}, query.evidence, {}};
  for (const int t : query.targets) mirrored.targets.push_back(twin->copy[at(t)]);
  PL_TRY(Answer out, ask(twin->network, mirrored, limits));
  out.targets = query.targets;
  out.method = fmt::format("twin network, noise {}", noise_name(noise));
  return out;
}

base::Result<Mediation> mediate(const Network& network, int treatment, int from, int to, int outcome,
                                const ExactLimits& limits) {
  const std::string& name = network.variable(treatment).name;
  if (treatment == outcome) return make_error(Code::kValue, fmt::format("'{}' is treatment and outcome", name));
  if (from == to)
    return make_error(Code::kValue, fmt::format("'{}' goes from '{}' to the same state", name,
                                                network.variable(treatment).states[at(from)]));
  const std::vector<int> start = {treatment};
  if (!network.descendants(start)[at(outcome)])
    return make_error(Code::kValue, fmt::format("'{}' has no effect on '{}': no path leads there", name,
                                                network.variable(outcome).name));
  // The outcome with its own view of the treatment held at `seen`.
  const auto feed = [&](int seen) -> base::Result<Network> {
    const std::vector<int>& parents = network.parents(outcome);
    const auto found = std::find(parents.begin(), parents.end(), treatment);
    if (found == parents.end()) return network;
    Mechanism cut;
    std::vector<int> sizes;
    for (const int p : parents) {
      sizes.push_back(p == treatment ? 1 : network.states(p));
      if (p != treatment) cut.parents.push_back(p);
    }
    std::vector<int> states(parents.size(), 0);
    do {
      std::vector<int> given = states;
      given[static_cast<std::size_t>(found - parents.begin())] = seen;
      const std::span<const double> row = network.row(outcome, given);
      cut.table.insert(cut.table.end(), row.begin(), row.end());
    } while (advance(states, sizes));
    return replace_mechanism(network, outcome, std::move(cut));
  };
  const auto world = [&](int seen, int between) -> base::Result<std::vector<double>> {
    PL_TRY(const Network fed, feed(seen));
    PL_TRY(Answer answer, ask(fed, {{outcome}, {}, {{treatment, between}}}, limits));
    if (answer.outcome != QueryOutcome::kAnswered) return make_error(Code::kLimit, answer.reason);
    return std::move(answer.probability);
  };
  Mediation out;
  const std::vector<int>& parents = network.parents(outcome);
  out.direct_edge = std::find(parents.begin(), parents.end(), treatment) != parents.end();
  PL_TRY(out.before, world(from, from));
  PL_TRY(out.after, world(to, to));
  PL_TRY(out.direct, world(to, from));
  PL_TRY(out.indirect, world(from, to));
  for (std::size_t k = 0; k < out.before.size(); ++k) {
    out.total.push_back(out.after[k] - out.before[k]);
    out.natural_direct.push_back(out.direct[k] - out.before[k]);
    out.natural_indirect.push_back(out.indirect[k] - out.before[k]);
  }
  return out;
}

}  // namespace plumbline::counterfactual::causal
