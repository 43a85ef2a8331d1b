#include <map>

#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/causal/bif.hpp"
#include "plumbline/counterfactual/causal/discover.hpp"
#include "plumbline/counterfactual/causal/graph_file.hpp"
#include "plumbline/counterfactual/causal/identify.hpp"
#include "plumbline/counterfactual/causal/imagine.hpp"
#include "plumbline/counterfactual/causal/junction_tree.hpp"
#include "plumbline/counterfactual/causal/query.hpp"
#include "python/src/convert.hpp"

namespace plumbline::python {
namespace {

namespace causal = counterfactual::causal;
using causal::Network;
using States = std::map<std::string, std::string>;
using Names = std::vector<std::string>;

/// A text with a line break is the network itself, any other the path of its file.
Network network_of(const std::string& source) {
  return take(source.find('\n') == std::string::npos ? causal::read_bif(source) : causal::parse_bif(source, "network"));
}

causal::Assignments settings(const Network& network, const States& given) {
  Names texts;
  for (const auto& [name, state] : given) texts.push_back(name + "=" + state);
  return take(network.assignments(texts));
}

causal::Query query_of(const Network& network, const Names& targets, const States& evidence, const States& set) {
  causal::Query query;
  for (const std::string& name : targets) query.targets.push_back(take(network.index(name)));
  query.evidence = settings(network, evidence);
  query.interventions = settings(network, set);
  return query;
}

/// Joint states are tuples where there are several targets.
py::object cell_key(const Network& network, const std::vector<int>& targets, std::size_t cell) {
  const std::vector<int> states = causal::cell_states(network, targets, cell);
  py::tuple key(targets.size());
  for (std::size_t k = 0; k < targets.size(); ++k)
    key[k] = network.variable(targets[k]).states[static_cast<std::size_t>(states[k])];
  return targets.size() == 1 ? py::object(key[0]) : py::object(key);
}

py::dict answer_dict(const Network& network, const causal::Answer& answer) {
  py::dict out, distribution, estimates;
  for (std::size_t k = 0; k < answer.probability.size(); ++k) {
    const py::object key = cell_key(network, answer.targets, k);
    distribution[key] = answer.probability[k];
    if (!answer.estimates.empty()) estimates[key] = answer.estimates[k];
  }
  out["outcome"] = std::string(causal::outcome_name(answer.outcome));
  out["reason"] = answer.reason;
  out["distribution"] = distribution;
  out["estimates"] = estimates;
  return out;
}

py::dict table_dict(const causal::Variable& variable, const std::vector<double>& marginal) {
  py::dict out;
  for (std::size_t k = 0; k < marginal.size(); ++k) out[py::str(variable.states[k])] = marginal[k];
  return out;
}

causal::Graph graph_of(const std::string& source) {
  return take(source.find('\n') == std::string::npos && source.find("->") == std::string::npos
                  ? causal::read_graph(source)
                  : causal::parse_graph(source, "graph"))
      .observed();
}

}  // namespace

void bind_causal(py::module_& m) {
  m.def(
      "causal_query",
      [](const std::string& network, const Names& targets, const States& evidence, const States& do_,
         std::size_t samples, std::uint64_t seed) {
        const Network n = network_of(network);
        const causal::Query query = query_of(n, targets, evidence, do_);
        return answer_dict(n, take(interruptible([&](const base::CancelToken& cancel) {
                             if (samples > 0)
                               return causal::sample(n, query, {samples, cancel}, base::Rng(seed, {"causal query"}));
                             causal::ExactLimits limits;
                             limits.cancel = cancel;
                             return causal::ask(n, query, limits);
                           })));
      },
      py::arg("network"), py::arg("targets"), py::arg("evidence") = States{}, py::arg("do") = States{},
      py::arg("samples") = 0, py::arg("seed") = 0,
      R"(P(targets | evidence, do(...)) of a network in BIF: its path, or its text.

Returns a dict: outcome ("answered", "impossible evidence", "too wide", "evidence too rare"), reason, distribution (state to probability;
tuples of states for several targets), and with samples estimates with bounds.)");
  m.def(
      "causal_marginals",
      [](const std::string& network, const States& evidence, const States& do_, std::size_t samples,
         std::uint64_t seed) {
        const Network read = network_of(network);
        const causal::Assignments seen = settings(read, evidence);
        const Network n = take(causal::intervene(read, settings(read, do_)));
        py::dict out, distributions;
        if (samples > 0) {
          const causal::SampledMarginals got = take(interruptible([&](const base::CancelToken& cancel) {
            return causal::sample_marginals(n, seen, {samples, cancel}, base::Rng(seed, {"causal marginals"}));
          }));
          for (std::size_t v = 0; v < got.of.size(); ++v) {
            const causal::Variable& variable = n.variable(static_cast<int>(v));
            py::dict one;
            for (std::size_t k = 0; k < got.of[v].size(); ++k) one[py::str(variable.states[k])] = got.of[v][k];
            distributions[py::str(variable.name)] = one;
          }
          out["outcome"] = std::string(causal::outcome_name(got.outcome));
          out["reason"] = got.reason;
        } else {
          const causal::Posteriors got = take(interruptible([&](const base::CancelToken& cancel) {
            causal::ExactLimits limits;
            limits.cancel = cancel;
            return causal::marginals(n, seen, limits);
          }));
          const bool answered = !got.impossible && !got.too_wide;
          for (std::size_t v = 0; answered && v < n.size(); ++v) {
            const causal::Variable& variable = n.variable(static_cast<int>(v));
            distributions[py::str(variable.name)] = table_dict(variable, got.marginal[v]);
          }
          out["outcome"] = std::string(causal::outcome_name(got.impossible ? causal::QueryOutcome::kImpossible
                                                            : got.too_wide ? causal::QueryOutcome::kTooWide
                                                                           : causal::QueryOutcome::kAnswered));
          out["reason"] = answered         ? ""
                          : got.impossible ? "the evidence has probability zero"
                                           : "exact tables would be too large; use samples";
        }
        out["distribution"] = distributions;
        return out;
      },
      py::arg("network"), py::arg("evidence") = States{}, py::arg("do") = States{}, py::arg("samples") = 0,
      py::arg("seed") = 0,
      R"(The distribution of every variable of a network in BIF (path or text), given what is seen and set.

Returns a dict: outcome, reason, distribution (variable to state to probability; with samples to an Estimate with bounds).)");
  m.def(
      "causal_counterfactual",
      [](const std::string& network, const Names& targets, const States& do_, const States& evidence,
         const std::string& noise) {
        const Network n = network_of(network);
        const causal::Query query = query_of(n, targets, evidence, do_);
        const causal::Noise how = take(causal::parse_noise(noise));
        return answer_dict(n, take(interruptible([&](const base::CancelToken& cancel) {
                             causal::ExactLimits limits;
                             limits.cancel = cancel;
                             return causal::imagine(n, query, how, limits);
                           })));
      },
      py::arg("network"), py::arg("targets"), py::arg("do"), py::arg("evidence") = States{},
      py::arg("noise") = "stated",
      R"(What the targets would have been in the very case that was seen, had something been set otherwise.

noise says how the chance in a table hangs together between the worlds: "stated", "quantile" or "independent". Returns as causal_query.)");
  m.def(
      "causal_identify",
      [](const std::string& graph, const Names& treatment, const Names& outcome, const Names& given) {
        const causal::Graph g = graph_of(graph);
        const causal::Identification got =
            take(causal::identify(g, take(g.indices(outcome)), take(g.indices(treatment)), take(g.indices(given))));
        py::dict out;
        out["identified"] = got.identified;
        out["formula"] = got.identified ? py::object(py::str(causal::text(*got.formula, g))) : py::object(py::none());
        out["hedge"] =
            got.identified
                ? py::object(py::none())
                : py::object(py::cast(std::vector<Names>{g.names(got.hedge.outer), g.names(got.hedge.inner)}));
        out["derivation"] = got.steps;
        return out;
      },
      py::arg("graph"), py::arg("treatment"), py::arg("outcome"), py::arg("given") = Names{},
      R"(Whether the graph allows P(outcome | do(treatment), given) to be computed from what is observed, and by which formula.

graph: a file, or edges such as "x -> y; x <-> z". Returns a dict: identified, formula, hedge (two lists of names), derivation.)");
  m.def(
      "causal_learn",
      [](const std::map<std::string, std::vector<double>>& columns, const std::string& method, const std::string& kind,
         double alpha) {
        data::Table table;
        for (const auto& [name, values] : columns) {
          data::Column column;
          column.name = name;
          column.numbers = values;
          table.columns.push_back(std::move(column));
        }
        const causal::Sample sample = take(causal::make_sample(table, take(causal::parse_data_kind(kind))));
        const causal::Method how = take(causal::parse_method(method));
        const causal::Discovery found =
            take(interruptible([&](const base::CancelToken& cancel) -> base::Result<causal::Discovery> {
              if (how == causal::Method::kPc) {
                PL_TRY(const auto test, causal::independence_test(sample));
                return causal::learn_by_tests(*test, sample.variables(), {alpha, -1, cancel});
              }
              PL_TRY(const auto score, causal::bic_score(sample));
              causal::GesOptions options;
              options.cancel = cancel;
              return how == causal::Method::kGes ? causal::learn_by_score(*score, sample.variables(), options)
                                                 : causal::learn_exactly(*score, sample.variables(), options);
            }));
        std::vector<std::tuple<std::string, std::string, bool>> edges;
        for (int a = 0; a < static_cast<int>(found.pattern.size()); ++a) {
          const std::string& from = sample.names[static_cast<std::size_t>(a)];
          for (const int b : found.pattern.children(a))
            edges.emplace_back(from, sample.names[static_cast<std::size_t>(b)], true);
          for (const int b : found.pattern.neighbours(a))
            if (a < b) edges.emplace_back(from, sample.names[static_cast<std::size_t>(b)], false);
        }
        return edges;
      },
      py::arg("columns"), py::arg("method") = "pc", py::arg("kind") = "auto", py::arg("alpha") = 0.05,
      R"(The graph that data leave: a list of (from, to, directed).

columns: name to values. method: "pc" (tests at alpha), "ges" or "exact" (BIC).)");
}

}  // namespace plumbline::python
