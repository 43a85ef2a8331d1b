// causal: seeing, doing and imagining in causal models; what a graph allows to compute.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "apps/cli/causal_input.hpp"
#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "plumbline/counterfactual/causal/bif.hpp"
#include "plumbline/counterfactual/causal/discover.hpp"
#include "plumbline/counterfactual/causal/graph_file.hpp"
#include "plumbline/counterfactual/causal/identify.hpp"
#include "plumbline/counterfactual/causal/imagine.hpp"
#include "plumbline/counterfactual/causal/implied.hpp"
#include "plumbline/counterfactual/causal/junction_tree.hpp"
#include "plumbline/counterfactual/causal/linear.hpp"
#include "plumbline/counterfactual/causal/query.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/data/files.hpp"

namespace plumbline::cli {
namespace {

namespace causal = counterfactual::causal;
using causal::Network;
using nlohmann::ordered_json;

constexpr double kLevel = 0.95;

void print(const ordered_json& json) {
  std::cout << json.dump(2, ' ', false, ordered_json::error_handler_t::replace) << "\n";
}

base::Result<causal::ExactLimits> exact_limits(const Session& session) {
  causal::ExactLimits limits;
  limits.cancel = session.cancel;
  PL_TRY(limits.heuristic, causal::parse_heuristic(session.options.causal.order));
  return limits;
}

/// "yes", or "A=yes,B=no" of several targets.
std::string cell_name(const Network& network, const std::vector<int>& targets, std::size_t cell) {
  const std::vector<int> states = causal::cell_states(network, targets, cell);
  const auto state = [&](std::size_t k) {
    return network.variable(targets[k]).states[static_cast<std::size_t>(states[k])];
  };
  if (targets.size() == 1) return state(0);
  std::vector<std::string> parts;
  for (std::size_t k = 0; k < targets.size(); ++k)
    parts.push_back(fmt::format("{}={}", network.variable(targets[k]).name, state(k)));
  return fmt::format("{}", fmt::join(parts, ","));
}

/// "P(sirens | weather=bad, do(accident=no))".
std::string question(const Network& network, const causal::Query& query) {
  std::vector<std::string> names;
  for (const int t : query.targets) names.push_back(network.variable(t).name);
  std::vector<std::string> given;
  if (!query.evidence.empty()) given.push_back(network.words(query.evidence));
  if (!query.interventions.empty()) given.push_back(fmt::format("do({})", network.words(query.interventions)));
  return fmt::format("P({}{}{})", fmt::join(names, ", "), given.empty() ? "" : " | ", fmt::join(given, ", "));
}

ordered_json distribution_json(const std::vector<std::string>& names, const std::vector<double>& probability) {
  ordered_json out = ordered_json::object();
  for (std::size_t k = 0; k < names.size(); ++k) out[names[k]] = probability[k];
  return out;
}

void print_distribution(const std::vector<std::string>& names, const std::vector<double>& probability,
                        const std::vector<stats::Estimate>& estimates) {
  std::size_t width = 0;
  for (const std::string& name : names) width = std::max(width, name.size());
  for (std::size_t k = 0; k < names.size(); ++k) {
    std::cout << fmt::format("  {:<{}}  {:.6g}", printable(names[k]), width, probability[k]);
    if (!estimates.empty())
      std::cout << fmt::format("  [{:.6g}, {:.6g}]", *estimates[k].low(kLevel), *estimates[k].high(kLevel));
    std::cout << "\n";
  }
}

ordered_json details_json(const causal::Answer& answer, const std::vector<std::string>& names) {
  ordered_json out = {
      {"outcome", causal::outcome_name(answer.outcome)},
      {"reason", answer.reason},
      {"method", answer.method},
      {"log_evidence", std::isfinite(answer.log_evidence) ? ordered_json(answer.log_evidence) : nullptr},
      {"distribution", nullptr}};
  if (answer.outcome == causal::QueryOutcome::kAnswered)
    out["distribution"] = distribution_json(names, answer.probability);
  if (answer.estimates.empty()) {
    out["cells"] = answer.plan.cells;
    out["largest"] = answer.plan.largest;
    out["width"] = answer.plan.width;
    return out;
  }
  out["level"] = kLevel;
  for (std::size_t k = 0; k < names.size(); ++k) {
    out["low"][names[k]] = *answer.estimates[k].low(kLevel);
    out["high"][names[k]] = *answer.estimates[k].high(kLevel);
  }
  out["effective_samples"] = answer.estimates[0].n_effective;
  return out;
}

/// The network of the file after soft interventions.
base::Result<Network> read_network(const CausalOptions& o) {
  PL_TRY(Network network, causal::read_bif(o.file));
  for (const std::string& text : o.soft) {
    PL_TRY(network, causal::draw_instead(network, text));
  }
  return network;
}

base::Result<causal::Query> read_query(const Network& network, const CausalOptions& o) {
  causal::Query query;
  for (const std::string& name : o.targets) {
    PL_TRY(const int t, network.index(name));
    query.targets.push_back(t);
  }
  PL_TRY(query.evidence, network.assignments(o.evidence));
  PL_TRY(query.interventions, network.assignments(o.set));
  return query;
}

/// Prints the answer to `asked`; the exit status.
int print_answer(const Session& session, const Network& network, const std::string& asked,
                 const causal::Answer& answer) {
  const bool answered = answer.outcome == causal::QueryOutcome::kAnswered;
  std::vector<std::string> names;
  for (std::size_t k = 0; k < answer.probability.size(); ++k) names.push_back(cell_name(network, answer.targets, k));
  if (session.options.json) {
    print(answered && !session.options.causal.details ? distribution_json(names, answer.probability)
                                                      : details_json(answer, names));
  } else if (answered) {
    std::cout << printable(asked) << "\n";
    print_distribution(names, answer.probability, answer.estimates);
    if (!answer.estimates.empty())
      std::cout << fmt::format("by {}, worth {:.0f}; bounds at {}\n", answer.method, answer.estimates[0].n_effective,
                               kLevel);
  } else {
    std::cout << fmt::format("{}: cannot say: {}\n", printable(asked), printable(answer.reason));
  }
  return answered ? 0 : 3;
}

base::Result<causal::NodeSet> observed_nodes(const causal::Graph& seen, const causal::ReadGraph& read,
                                             const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto v = read.graph.index(name);
    if (v.ok() && read.hidden.contains(*v))
      return base::make_error(base::Code::kValue, fmt::format("'{}' is latent: it is not observed", name));
  }
  return seen.indices(names);
}

std::string sets_text(const causal::Graph& graph, const causal::SetList& list) {
  if (list.sets.empty()) return list.complete ? "none" : "none found before the search was stopped";
  std::vector<std::string> parts;
  constexpr std::size_t kShown = 10;
  for (const causal::NodeSet& set : list.sets)
    if (parts.size() < kShown) parts.push_back(fmt::format("{{{}}}", graph.words(set)));
  if (parts.size() < list.sets.size()) parts.push_back(fmt::format("and {} more", list.sets.size() - parts.size()));
  return fmt::format("{}{}", fmt::join(parts, ", "), list.complete ? "" : " (the search was stopped)");
}

ordered_json sets_json(const causal::Graph& graph, const causal::SetList& list) {
  ordered_json sets = ordered_json::array();
  for (const causal::NodeSet& set : list.sets) sets.push_back(graph.names(set));
  return {{"sets", sets}, {"complete", list.complete}};
}

/// What a single treatment and outcome allow besides the formula.
struct Ways {
  causal::SetList backdoor, frontdoor;
  std::vector<causal::Instrument> instruments;
  std::string adjustment;  ///< the formula with the smallest back-door set; empty without one
};

base::Result<Ways> find_ways(const causal::Graph& graph, int treatment, int outcome) {
  Ways out;
  PL_TRY(out.backdoor, causal::backdoor_sets(graph, treatment, outcome));
  PL_TRY(out.frontdoor, causal::frontdoor_sets(graph, treatment, outcome));
  PL_TRY(out.instruments, causal::instruments(graph, treatment, outcome));
  if (out.backdoor.sets.empty()) return out;
  const causal::NodeSet& z = out.backdoor.sets.front();
  causal::NodeSet given = z;
  given.insert(treatment);
  out.adjustment = causal::text(
      *causal::sum(z, causal::product({causal::probability(z, {}), causal::probability({outcome}, given)})), graph);
  return out;
}

void print_ways(const causal::Graph& graph, const Ways& ways) {
  std::cout << fmt::format("Back-door sets   {}\n", printable(sets_text(graph, ways.backdoor)));
  if (!ways.adjustment.empty()) std::cout << fmt::format("  by the first   {}\n", printable(ways.adjustment));
  std::cout << fmt::format("Front-door sets  {}\n", printable(sets_text(graph, ways.frontdoor)));
  std::vector<std::string> parts;
  for (const causal::Instrument& i : ways.instruments)
    parts.push_back(graph.name(i.node) + (i.given.empty() ? "" : fmt::format(" given {{{}}}", graph.words(i.given))));
  std::cout << fmt::format("Instruments      {}\n\n",
                           parts.empty() ? "none" : printable(fmt::format("{}", fmt::join(parts, ", "))));
}

void add_ways(const causal::Graph& graph, const Ways& ways, ordered_json& out) {
  out["adjustment"] = ways.adjustment.empty() ? ordered_json(nullptr) : ordered_json(ways.adjustment);
  out["backdoor"] = sets_json(graph, ways.backdoor);
  out["frontdoor"] = sets_json(graph, ways.frontdoor);
  out["instruments"] = ordered_json::array();
  for (const causal::Instrument& i : ways.instruments)
    out["instruments"].push_back({{"node", graph.name(i.node)}, {"given", graph.names(i.given)}});
}

bool is_linear(const std::string& file) { return file.ends_with(".eq"); }

/// query and counterfactual of equations.
base::Result<int> run_linear(const Session& session, bool imagined) {
  const CausalOptions& o = session.options.causal;
  if (o.samples > 0 || !o.soft.empty())
    return base::make_error(base::Code::kUnsupported, "equations take neither --samples nor --soft", o.file);
  PL_TRY(const causal::LinearModel model, causal::read_linear(o.file));
  std::vector<int> targets;
  for (const std::string& name : o.targets) {
    PL_TRY(const int t, model.index(name));
    targets.push_back(t);
  }
  PL_TRY(const causal::Settings seen, model.settings(o.evidence));
  PL_TRY(const causal::Settings set, model.settings(o.set));
  PL_TRY(const causal::Normal answer, imagined ? model.imagine(targets, seen, set) : model.query(targets, seen, set));
  ordered_json out = ordered_json::object();
  for (std::size_t k = 0; k < targets.size(); ++k) {
    const auto at = static_cast<Eigen::Index>(k);
    out[o.targets[k]] = {{"mean", answer.mean(at)}, {"deviation", answer.deviation(at)}};
    if (!session.options.json)
      std::cout << printable(fmt::format("{}: mean {:.6g}, deviation {:.6g}", o.targets[k], answer.mean(at),
                                         answer.deviation(at)))
                << "\n";
  }
  if (session.options.json) print(targets.size() == 1 ? out.begin().value() : out);
  return 0;
}

}  // namespace

base::Result<int> run_causal_query(const Session& session) {
  const CausalOptions& o = session.options.causal;
  if (is_linear(o.file)) return run_linear(session, false);
  PL_TRY(const Network network, read_network(o));
  PL_TRY(const causal::Query query, read_query(network, o));
  causal::Answer answer;
  if (o.samples > 0) {
    PL_TRY(answer, causal::sample(network, query, {o.samples, session.cancel},
                                  base::Rng(session.options.seed, {"causal query"})));
  } else {
    PL_TRY(const causal::ExactLimits limits, exact_limits(session));
    PL_TRY(answer, causal::ask(network, query, limits));
  }
  return print_answer(session, network, question(network, query), answer);
}

base::Result<int> run_causal_counterfactual(const Session& session) {
  const CausalOptions& o = session.options.causal;
  if (is_linear(o.file)) return run_linear(session, true);
  PL_TRY(const Network network, causal::read_bif(o.file));
  PL_TRY(const causal::Query query, read_query(network, o));
  PL_TRY(const causal::Noise noise, causal::parse_noise(o.noise));
  PL_TRY(const causal::ExactLimits limits, exact_limits(session));
  PL_TRY(const causal::Answer answer, causal::imagine(network, query, noise, limits));
  std::vector<std::string> names;
  for (const int t : query.targets) names.push_back(network.variable(t).name);
  const std::string asked =
      fmt::format("{} had it been that {}{}", fmt::join(names, ", "), network.words(query.interventions),
                  query.evidence.empty() ? "" : ", where " + network.words(query.evidence) + " was seen");
  return print_answer(session, network, asked, answer);
}

base::Result<int> run_causal_mediate(const Session& session) {
  const CausalOptions& o = session.options.causal;
  PL_TRY(const Network network, causal::read_bif(o.file));
  if (o.treatment.size() != 1 || o.outcome.size() != 1)
    return base::make_error(base::Code::kValue, "mediate takes one treatment and one outcome");
  PL_TRY(const int treatment, network.index(o.treatment[0]));
  PL_TRY(const int outcome, network.index(o.outcome[0]));
  PL_TRY(const int from, network.state_index(treatment, o.from));
  PL_TRY(const int to, network.state_index(treatment, o.to));
  PL_TRY(const causal::ExactLimits limits, exact_limits(session));
  PL_TRY(const causal::Mediation m, causal::mediate(network, treatment, from, to, outcome, limits));
  const std::vector<std::string>& states = network.variable(outcome).states;
  if (session.options.json) {
    print({{"before", distribution_json(states, m.before)},
           {"after", distribution_json(states, m.after)},
           {"total", distribution_json(states, m.total)},
           {"natural_direct", distribution_json(states, m.natural_direct)},
           {"natural_indirect", distribution_json(states, m.natural_indirect)}});
    return 0;
  }
  std::cout << printable(fmt::format("{} from {} to {}: change in the probabilities of {}", o.treatment[0], o.from,
                                     o.to, o.outcome[0]))
            << "\n";
  std::cout << fmt::format("\n  {:<20} {:>10} {:>10} {:>10}\n", "", "total", "direct", "indirect");
  for (std::size_t k = 0; k < states.size(); ++k)
    std::cout << fmt::format("  {:<20} {:>+10.6f} {:>+10.6f} {:>+10.6f}\n", printable(states[k]), m.total[k],
                             m.natural_direct[k], m.natural_indirect[k]);
  return 0;
}

base::Result<int> run_causal_identify(const Session& session) {
  const CausalOptions& o = session.options.causal;
  PL_TRY(const causal::ReadGraph read, read_graph(o.file, o.graph, session.options));
  const causal::Graph graph = read.observed();
  PL_TRY(const causal::NodeSet x, observed_nodes(graph, read, o.treatment));
  PL_TRY(const causal::NodeSet y, observed_nodes(graph, read, o.outcome));
  PL_TRY(const causal::NodeSet z, observed_nodes(graph, read, o.given));
  PL_TRY(const causal::Identification got, causal::identify(graph, y, x, z));
  const std::string asked =
      fmt::format("P({} | do({}){}{})", graph.words(y), graph.words(x), z.empty() ? "" : ", ", graph.words(z));
  const bool pair = x.size() == 1 && y.size() == 1 && z.empty();
  Ways ways;
  if (pair) {
    PL_TRY(ways, find_ways(graph, *x.begin(), *y.begin()));
  }
  if (session.options.json) {
    ordered_json out = {{"question", asked}, {"identified", got.identified}, {"formula", nullptr}, {"hedge", nullptr}};
    if (got.identified)
      out["formula"] = causal::text(*got.formula, graph);
    else
      out["hedge"] = {{"outer", graph.names(got.hedge.outer)}, {"inner", graph.names(got.hedge.inner)}};
    if (pair) add_ways(graph, ways, out);
    out["derivation"] = got.steps;
    print(out);
    return got.identified ? 0 : 1;
  }
  if (got.identified) {
    std::cout << printable(fmt::format("{} = {}", asked, causal::text(*got.formula, graph))) << "\n\n";
  } else {
    std::cout << printable(fmt::format(
                     "{} cannot be computed from what is observed: {{{}}} and {{{}}} inside it form a hedge", asked,
                     graph.words(got.hedge.outer), graph.words(got.hedge.inner)))
              << "\n\n";
  }
  if (pair) print_ways(graph, ways);
  std::cout << "Derivation\n";
  for (const std::string& step : got.steps) std::cout << "  " << printable(step) << "\n";
  return got.identified ? 0 : 1;
}

base::Result<int> run_causal_marginals(const Session& session) {
  const CausalOptions& o = session.options.causal;
  PL_TRY(const Network read, read_network(o));
  PL_TRY(const causal::Assignments evidence, read.assignments(o.evidence));
  PL_TRY(const causal::Assignments set, read.assignments(o.set));
  PL_TRY(const Network network, causal::intervene(read, set));
  PL_TRY(const causal::ExactLimits limits, exact_limits(session));
  PL_TRY(const causal::Posteriors all, causal::marginals(network, evidence, limits));
  if (all.impossible || all.too_wide) {
    const auto outcome = all.impossible ? causal::QueryOutcome::kImpossible : causal::QueryOutcome::kTooWide;
    const std::string reason =
        all.impossible ? fmt::format("{} has probability zero", network.words(evidence))
                       : fmt::format("tables of {:.3g} cells are needed, more than {:.3g}", all.cells, limits.cells);
    if (session.options.json)
      print({{"outcome", causal::outcome_name(outcome)}, {"reason", reason}, {"distribution", nullptr}});
    else
      std::cout << fmt::format("cannot say: {}\n", printable(reason));
    return 3;
  }
  ordered_json out = ordered_json::object();
  for (int v = 0; v < static_cast<int>(network.size()); ++v) {
    const causal::Variable& variable = network.variable(v);
    const std::vector<double>& marginal = all.marginal[static_cast<std::size_t>(v)];
    if (session.options.json) {
      out[variable.name] = distribution_json(variable.states, marginal);
    } else {
      std::cout << printable(variable.name) << "\n";
      print_distribution(variable.states, marginal, {});
    }
  }
  if (session.options.json) print(out);
  return 0;
}

namespace {

base::Result<causal::Sample> read_sample(const CausalOptions& o) {
  data::TableOptions reading;
  PL_TRY(reading.separator, parse_separator(o.separator));
  reading.drop = o.drop;
  PL_TRY(const causal::DataKind kind, causal::parse_data_kind(o.kind));
  PL_TRY(const data::Table table, data::read_csv(o.data, reading));
  auto sample = causal::make_sample(table, kind);
  if (!sample.ok()) return sample.error().at(o.data);
  return sample;
}

ordered_json test_json(const causal::Graph& graph, const causal::PairTest& t) {
  return {{"a", graph.name(t.a)},
          {"b", graph.name(t.b)},
          {"given", graph.names(t.given)},
          {"p", t.p},
          {"adjusted", t.adjusted}};
}

/// "a -> b", "a - b".
std::string edge_text(const causal::Sample& sample, const causal::Pattern& pattern, int a, int b) {
  const std::string& first = sample.names[static_cast<std::size_t>(a)];
  const std::string& second = sample.names[static_cast<std::size_t>(b)];
  if (pattern.directed(a, b)) return fmt::format("{} -> {}", first, second);
  if (pattern.directed(b, a)) return fmt::format("{} -> {}", second, first);
  return fmt::format("{} - {}", first, second);
}

/// The directed edges in the form that `causal identify` reads; those whose direction is open as comments.
base::Status write_edges(const std::string& path, const causal::Sample& sample, const causal::Pattern& pattern) {
  std::string text;
  for (const std::string& name : sample.names) {
    if (name.find_first_of("\"\n") != std::string::npos)
      return base::make_error(base::Code::kUnsupported,
                              fmt::format("column '{}' holds a quote: its name cannot be written", name), path,
                              "rename it");
    text += fmt::format("\"{}\"\n", name);
  }
  for (int a = 0; a < static_cast<int>(pattern.size()); ++a) {
    for (const int b : pattern.children(a))
      text += fmt::format("\"{}\" -> \"{}\"\n", sample.names[static_cast<std::size_t>(a)],
                          sample.names[static_cast<std::size_t>(b)]);
    for (const int b : pattern.neighbours(a))
      if (a < b) text += fmt::format("# direction open: {}\n", edge_text(sample, pattern, a, b));
  }
  return data::write_bytes(path, text);
}

void print_test(const causal::Graph& graph, const causal::GraphTest& got, const std::vector<causal::PairTest>& worst,
                std::size_t rows, double alpha) {
  std::cout << fmt::format(
      "{} rows; {} independences implied, {} rejected at {} after Holm; smallest adjusted p {:.3g}\n", rows,
      got.implied.size(), got.rejected(alpha), alpha, got.least);
  if (got.untestable > 0) std::cout << fmt::format("{} pairs without an edge cannot be tested\n", got.untestable);
  if (got.implied.empty()) std::cout << "cannot say: the graph implies no independence that could be tested\n";
  for (const causal::PairTest& t : worst) {
    if (t.adjusted > alpha) continue;
    std::cout << printable(fmt::format(
                     "  {} depends on {}{}: p {:.2g}, adjusted {:.2g}", graph.name(t.a), graph.name(t.b),
                     t.given.empty() ? "" : fmt::format(" given {}", graph.words(t.given)), t.p, t.adjusted))
              << "\n";
  }
  for (const causal::PairTest& t : got.edges) {
    if (t.p <= alpha) continue;
    std::cout << printable(fmt::format("  {} -> {} is not needed by these data: p {:.2g}", graph.name(t.a),
                                       graph.name(t.b), t.p))
              << "\n";
  }
}

/// An edge of the answer or of a resample, as JSON and as a line.
struct EdgeReport {
  ordered_json json;
  std::string line;
};

std::vector<EdgeReport> edge_reports(const causal::Sample& sample, const causal::Learned& got) {
  const causal::Pattern& pattern = got.found.pattern;
  const auto name = [&](int v) { return sample.names[static_cast<std::size_t>(v)]; };
  std::vector<EdgeReport> out;
  for (int a = 0; a < static_cast<int>(pattern.size()); ++a)
    for (int b = a + 1; b < static_cast<int>(pattern.size()); ++b) {
      const auto sure = std::find_if(got.confidence.begin(), got.confidence.end(),
                                     [&](const causal::EdgeConfidence& c) { return c.a == a && c.b == b; });
      const bool found = pattern.adjacent(a, b);
      if (!found && sure == got.confidence.end()) continue;
      const bool back = pattern.directed(b, a);
      EdgeReport edge;
      edge.json = {{"from", name(back ? b : a)},
                   {"to", name(back ? a : b)},
                   {"in_graph", found},
                   {"directed", pattern.directed(a, b) || back}};
      edge.line = found ? edge_text(sample, pattern, a, b) : fmt::format("({} - {})", name(a), name(b));
      if (sure != got.confidence.end()) {
        edge.json["adjacent"] = sure->adjacent;
        edge.json["forward"] = back ? sure->backward : sure->forward;
        edge.json["backward"] = back ? sure->forward : sure->backward;
        edge.line = fmt::format("{:<32} {:.2f}; {} -> {} {:.2f}, {} -> {} {:.2f}", edge.line, sure->adjacent, name(a),
                                name(b), sure->forward, name(b), name(a), sure->backward);
      }
      out.push_back(std::move(edge));
    }
  return out;
}

}  // namespace

base::Result<int> run_causal_test(const Session& session) {
  const CausalOptions& o = session.options.causal;
  PL_TRY(const causal::ReadGraph read, read_graph(o.file, o.graph, session.options));
  const causal::Graph graph = read.observed();
  PL_TRY(const causal::Sample sample, read_sample(o));
  PL_TRY(const std::vector<int> columns, causal::columns_of(graph, sample));
  PL_TRY(const std::unique_ptr<causal::IndependenceTest> test, causal::independence_test(sample));
  PL_TRY(const causal::GraphTest got, causal::test_graph(graph, *test, columns, session.cancel));
  std::vector<causal::PairTest> worst = got.implied;
  std::stable_sort(worst.begin(), worst.end(), [](const auto& x, const auto& y) { return x.p < y.p; });
  if (session.options.json) {
    ordered_json out = {{"rows", sample.rows},
                        {"alpha", o.alpha},
                        {"rejected", got.rejected(o.alpha)},
                        {"p_value", got.least},
                        {"untestable", got.untestable},
                        {"implied", ordered_json::array()},
                        {"edges", ordered_json::array()}};
    for (const causal::PairTest& t : worst) out["implied"].push_back(test_json(graph, t));
    for (const causal::PairTest& t : got.edges) out["edges"].push_back(test_json(graph, t));
    print(out);
  } else {
    print_test(graph, got, worst, sample.rows, o.alpha);
  }
  // A graph that implies nothing cannot be refuted, and is not supported either.
  if (got.implied.empty()) return 3;
  return got.rejected(o.alpha) > 0 ? 1 : 0;
}

base::Result<int> run_causal_learn(const Session& session) {
  const CausalOptions& o = session.options.causal;
  PL_TRY(const causal::Sample sample, read_sample(o));
  causal::LearnOptions options;
  PL_TRY(options.method, causal::parse_method(o.method));
  options.pc = {o.alpha, o.depth, session.cancel};
  options.ges.cancel = session.cancel;
  options.bdeu = o.score == "bdeu";
  options.replicates = o.replicates;
  PL_TRY(const causal::Learned got, causal::learn(sample, options, base::Rng(session.options.seed, {"causal learn"})));
  const causal::Pattern& pattern = got.found.pattern;
  if (!o.write.empty()) PL_CHECK(write_edges(o.write, sample, pattern));
  const auto name = [&](int v) { return sample.names[static_cast<std::size_t>(v)]; };
  const std::vector<EdgeReport> edges = edge_reports(sample, got);
  if (session.options.json) {
    ordered_json out = {{"method", o.method},
                        {"kind", sample.discrete ? "discrete" : "gaussian"},
                        {"rows", sample.rows},
                        {"variables", sample.names},
                        {"bootstrap", o.replicates},
                        {"edges", ordered_json::array()},
                        {"conflicts", ordered_json::array()}};
    for (const EdgeReport& edge : edges) out["edges"].push_back(edge.json);
    for (const auto& [a, b] : got.found.conflicts) out["conflicts"].push_back({name(a), name(b)});
    print(out);
    return 0;
  }
  std::cout << fmt::format("{} edges over {} variables, {} rows, by {}{}\n", pattern.edges(), pattern.size(),
                           sample.rows, o.method,
                           o.replicates > 0 ? fmt::format("; shares of {} resamples", o.replicates) : "");
  for (const EdgeReport& edge : edges) std::cout << "  " << printable(edge.line) << "\n";
  for (const auto& [a, b] : got.found.conflicts)
    std::cout << printable(fmt::format("  {} - {}: the tests want both directions", name(a), name(b))) << "\n";
  return 0;
}

}  // namespace plumbline::cli
