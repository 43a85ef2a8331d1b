#include "plumbline/counterfactual/causal/query.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/counterfactual/causal/factor.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;

std::size_t at(int v) { return static_cast<std::size_t>(v); }

base::Status check(const Network& network, const Query& query) {
  if (query.targets.empty()) return make_error(Code::kValue, "there is no target");
  std::set<int> seen;
  for (const int t : query.targets)
    if (!seen.insert(t).second)
      return make_error(Code::kValue, fmt::format("target '{}' is given twice", network.variable(t).name));
  return base::ok();
}

double joint_cells(const Network& network, const std::vector<int>& targets) {
  double n = 1;
  for (const int t : targets) n *= network.states(t);
  return n;
}

/// The joint table over all targets in their order, from one over those that are open.
std::vector<double> spread(const Network& network, const std::vector<int>& targets, const States& held,
                           const Factor& open, const std::vector<double>& probability) {
  std::vector<double> out(static_cast<std::size_t>(joint_cells(network, targets)), 0.0);
  for (std::size_t cell = 0; cell < out.size(); ++cell) {
    const std::vector<int> states = cell_states(network, targets, cell);
    bool agrees = true;
    std::size_t from = 0;
    for (std::size_t k = 0; k < open.scope.size(); ++k) {
      const auto t = std::find(targets.begin(), targets.end(), open.scope[k]) - targets.begin();
      from = from * at(open.sizes[k]) + at(states[static_cast<std::size_t>(t)]);
    }
    for (std::size_t k = 0; k < targets.size(); ++k)
      agrees = agrees && (held[at(targets[k])] < 0 || held[at(targets[k])] == states[k]);
    if (agrees) out[cell] = probability[from];
  }
  return out;
}

/// Weighted counts of a block of samples, scaled by exp(-top).
struct Block {
  double top = -std::numeric_limits<double>::infinity();
  double sum = 0;                  ///< of w
  double square = 0;               ///< of w^2
  std::vector<double> hit;         ///< of w, by cell
  std::vector<double> hit_square;  ///< of w^2, by cell

  explicit Block(std::size_t cells = 0) : hit(cells, 0.0), hit_square(cells, 0.0) {}
  void rescale(double to) {
    if (to == top) return;
    const double f = std::isinf(top) ? 0.0 : std::exp(top - to);
    sum *= f;
    square *= f * f;
    for (double& x : hit) x *= f;
    for (double& x : hit_square) x *= f * f;
    top = to;
  }
  void add(double log_weight, std::span<const std::size_t> cells) {
    if (std::isinf(log_weight)) return;
    if (log_weight > top) rescale(log_weight);
    const double w = std::exp(log_weight - top);
    sum += w;
    square += w * w;
    for (const std::size_t cell : cells) {
      hit[cell] += w;
      hit_square[cell] += w * w;
    }
  }
  double effective() const { return sum > 0 ? sum * sum / square : 0; }
  void merge(Block other) {
    const double most = std::max(top, other.top);
    if (std::isinf(most)) return;
    rescale(most);
    other.rescale(most);
    sum += other.sum;
    square += other.square;
    for (std::size_t k = 0; k < hit.size(); ++k) {
      hit[k] += other.hit[k];
      hit_square[k] += other.hit_square[k];
    }
  }
};

int draw(std::span<const double> row, double total, base::Rng& rng) {
  double left = rng.uniform() * total;
  int last = 0;
  for (std::size_t k = 0; k < row.size(); ++k) {
    if (row[k] <= 0) continue;
    last = static_cast<int>(k);
    left -= row[k];
    if (left < 0) break;
  }
  return last;
}

stats::Estimate cell_estimate(const Block& all, std::size_t cell, std::size_t samples) {
  stats::Estimate out;
  const double p = all.hit[cell] / all.sum;
  const double kish = all.sum * all.sum / all.square;
  // sum over samples of w^2 (1{x} - p)^2
  const double variance = (all.hit_square[cell] * (1 - 2 * p) + all.square * p * p) / (all.sum * all.sum);
  const double n = variance > 0 ? std::min(kish, p * (1 - p) / variance) : kish;
  out.value = p;
  out.n = static_cast<double>(samples);
  out.n_effective = n;
  out.unit_of_sampling = "sample";
  out.method = "likelihood weighting";
  out.bounds =
      stats::make_bounds([&](double c) -> std::optional<double> { return stats::clopper_pearson_low(p * n, n, c); },
                         [&](double c) -> std::optional<double> { return stats::clopper_pearson_high(p * n, n, c); });
  return out;
}

/// Draws samples with the evidence held, and adds the weight of each to the cells that `count` names for its states.
using CountCells = std::function<void(const std::vector<int>& states, std::vector<std::size_t>& cells)>;
base::Result<Block> weigh(const Network& network, const Assignments& evidence, std::size_t cells,
                          const CountCells& count, const SampleOptions& options, const base::Rng& rng) {
  PL_CHECK(base::check_at_least("sample", "samples", static_cast<std::ptrdiff_t>(options.samples), 1000));
  const States held = states_of(network, evidence);
  constexpr std::size_t kBlock = 4096;
  std::vector<Block> blocks((options.samples + kBlock - 1) / kBlock, Block(cells));
  PL_CHECK(base::parallel_for(
      blocks.size(),
      [&](std::size_t b) -> base::Status {
        base::Rng own = rng.fork(b);
        std::vector<int> states(network.size(), 0);
        std::vector<int> given;
        std::vector<std::size_t> hits;
        const std::size_t last = std::min(options.samples, (b + 1) * kBlock);
        for (std::size_t i = b * kBlock; i < last; ++i) {
          double log_weight = 0;
          for (const int v : network.order()) {
            given.clear();
            for (const int p : network.parents(v)) given.push_back(states[at(p)]);
            const std::span<const double> row = network.row(v, given);
            double total = 0;
            for (const double p : row) total += p;
            if (held[at(v)] >= 0) {
              states[at(v)] = held[at(v)];
              log_weight += std::log(row[at(held[at(v)])] / total);
            } else {
              states[at(v)] = draw(row, total, own);
            }
          }
          count(states, hits);
          blocks[b].add(log_weight, hits);
        }
        return base::ok();
      },
      options.cancel));
  Block all(cells);
  for (Block& block : blocks) all.merge(std::move(block));
  return all;
}

constexpr double kLeastEffective = 100;

std::string too_rare(const Block& all, std::size_t samples) {
  return fmt::format("{} samples are worth {:.1f} that agree with the evidence, at least {} are needed", samples,
                     all.effective(), kLeastEffective);
}

double log_evidence(const Block& all, std::size_t samples) {
  return all.sum > 0 ? all.top + std::log(all.sum / static_cast<double>(samples))
                     : -std::numeric_limits<double>::infinity();
}

}  // namespace

std::string_view outcome_name(QueryOutcome outcome) {
  switch (outcome) {
    case QueryOutcome::kAnswered: return "answered";
    case QueryOutcome::kImpossible: return "impossible evidence";
    case QueryOutcome::kTooWide: return "too wide";
    case QueryOutcome::kTooRare: return "evidence too rare";
  }
  return "";
}

std::vector<int> cell_states(const Network& network, const std::vector<int>& targets, std::size_t cell) {
  std::vector<int> out(targets.size());
  for (std::size_t k = targets.size(); k-- > 0;) {
    const std::size_t n = at(network.states(targets[k]));
    out[k] = static_cast<int>(cell % n);
    cell /= n;
  }
  return out;
}

base::Result<Answer> ask(const Network& network, const Query& query, const ExactLimits& limits) {
  PL_CHECK(check(network, query));
  PL_TRY(const Network after, intervene(network, query.interventions));
  PL_TRY(EliminationAnswer exact, eliminate(after, query.targets, query.evidence, limits));
  Answer out;
  out.targets = query.targets;
  out.method = "variable elimination";
  out.plan = std::move(exact.plan);
  out.log_evidence = exact.log_evidence;
  const double largest = std::max(out.plan.largest, joint_cells(network, query.targets));
  if (exact.too_wide || largest > limits.cells) {
    out.outcome = QueryOutcome::kTooWide;
    out.reason = fmt::format("the largest table would hold {:.3g} cells, more than {:.3g}", largest, limits.cells);
    return out;
  }
  const Normalised joint = normalise(exact.joint.log);
  if (joint.probability.empty()) {
    out.outcome = QueryOutcome::kImpossible;
    out.reason = fmt::format(
        "{} has probability zero{}", network.words(query.evidence),
        query.interventions.empty() ? "" : fmt::format(" after do({})", network.words(query.interventions)));
    return out;
  }
  out.probability = spread(network, query.targets, states_of(network, query.evidence), exact.joint, joint.probability);
  return out;
}

base::Result<Answer> sample(const Network& network, const Query& query, const SampleOptions& options,
                            const base::Rng& rng) {
  PL_CHECK(check(network, query));
  PL_CHECK(base::check_at_least("sample", "samples", static_cast<std::ptrdiff_t>(options.samples), 1000));
  PL_TRY(const Network after, intervene(network, query.interventions));
  constexpr double kMostCells = 4000;  // each gets bounds of its own
  if (const double n = joint_cells(network, query.targets); n > kMostCells)
    return make_error(Code::kLimit, fmt::format("the targets have {:.3g} joint states, more than {}", n, kMostCells),
                      {}, "ask about fewer targets");
  const auto cells = static_cast<std::size_t>(joint_cells(network, query.targets));
  const auto count = [&](const std::vector<int>& states, std::vector<std::size_t>& hits) {
    std::size_t cell = 0;
    for (const int t : query.targets) cell = cell * at(network.states(t)) + at(states[at(t)]);
    hits.assign(1, cell);
  };
  PL_TRY(const Block all, weigh(after, query.evidence, cells, count, options, rng));
  Answer out;
  out.targets = query.targets;
  out.method = fmt::format("likelihood weighting ({} samples)", options.samples);
  out.log_evidence = log_evidence(all, options.samples);
  if (all.effective() < kLeastEffective) {
    out.outcome = QueryOutcome::kTooRare;
    out.reason = too_rare(all, options.samples);
    return out;
  }
  for (std::size_t k = 0; k < cells; ++k) {
    out.estimates.push_back(cell_estimate(all, k, options.samples));
    out.probability.push_back(out.estimates.back().value);
  }
  return out;
}

base::Result<SampledMarginals> sample_marginals(const Network& network, const Assignments& evidence,
                                                const SampleOptions& options, const base::Rng& rng) {
  std::vector<std::size_t> first(network.size() + 1, 0);
  for (std::size_t v = 0; v < network.size(); ++v) first[v + 1] = first[v] + at(network.states(static_cast<int>(v)));
  const auto count = [&](const std::vector<int>& states, std::vector<std::size_t>& hits) {
    hits.resize(network.size());
    for (std::size_t v = 0; v < network.size(); ++v) hits[v] = first[v] + at(states[v]);
  };
  PL_TRY(const Block all, weigh(network, evidence, first.back(), count, options, rng));
  SampledMarginals out;
  out.method = fmt::format("likelihood weighting ({} samples)", options.samples);
  out.log_evidence = log_evidence(all, options.samples);
  if (all.effective() < kLeastEffective) {
    out.outcome = QueryOutcome::kTooRare;
    out.reason = too_rare(all, options.samples);
    return out;
  }
  out.of.resize(network.size());
  for (std::size_t v = 0; v < network.size(); ++v)
    for (std::size_t cell = first[v]; cell < first[v + 1]; ++cell)
      out.of[v].push_back(cell_estimate(all, cell, options.samples));
  return out;
}

}  // namespace plumbline::counterfactual::causal
