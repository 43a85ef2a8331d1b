#include "plumbline/counterfactual/causal/implied.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/causal/identify.hpp"
#include "plumbline/stats/multiplicity.hpp"

namespace plumbline::counterfactual::causal {
namespace {

/// Of the minimal sets, as many as are looked at for a small one.
constexpr std::size_t kSets = 20;

base::Status run(std::vector<PairTest>& tests, const IndependenceTest& test, const std::vector<int>& columns,
                 const base::CancelToken& cancel) {
  const auto column = [&](int v) { return columns[static_cast<std::size_t>(v)]; };
  PL_CHECK(base::parallel_for(
      tests.size(),
      [&](std::size_t k) -> base::Status {
        std::vector<int> given;
        for (const int v : tests[k].given) given.push_back(column(v));
        std::sort(given.begin(), given.end());
        tests[k].p = test.p_value(column(tests[k].a), column(tests[k].b), given);
        return base::ok();
      },
      cancel));
  std::vector<double> p;
  for (const PairTest& t : tests) p.push_back(t.p);
  if (p.empty()) return base::ok();
  PL_TRY(const std::vector<double> adjusted, stats::holm(p));
  for (std::size_t k = 0; k < tests.size(); ++k) tests[k].adjusted = adjusted[k];
  return base::ok();
}

}  // namespace

std::size_t GraphTest::rejected(double level) const {
  return static_cast<std::size_t>(
      std::count_if(implied.begin(), implied.end(), [&](const PairTest& t) { return t.adjusted <= level; }));
}

base::Result<GraphTest> test_graph(const Graph& graph, const IndependenceTest& test, const std::vector<int>& columns,
                                   const base::CancelToken& cancel) {
  GraphTest out;
  for (const int a : graph.all())
    for (const int b : graph.all()) {
      if (graph.parents(b).contains(a) && !graph.siblings(b).contains(a)) {
        NodeSet others = graph.parents(b);
        others.erase(a);
        out.edges.push_back({a, b, std::move(others)});
      }
      if (a >= b || graph.parents(b).contains(a) || graph.parents(a).contains(b) || graph.siblings(a).contains(b))
        continue;
      NodeSet allowed = graph.all();
      allowed.erase(a);
      allowed.erase(b);
      SetList sets = separating_sets(graph, a, b, allowed, kSets);
      if (sets.sets.empty())
        ++out.untestable;
      else
        out.implied.push_back({a, b, std::move(sets.sets.front())});
    }
  PL_CHECK(run(out.implied, test, columns, cancel));
  PL_CHECK(run(out.edges, test, columns, cancel));
  for (const PairTest& t : out.implied) out.least = std::min(out.least, t.adjusted);
  return out;
}

base::Result<std::vector<int>> columns_of(const Graph& graph, const Sample& sample) {
  std::vector<int> out;
  for (const int v : graph.all()) {
    const auto found = std::find(sample.names.begin(), sample.names.end(), graph.name(v));
    if (found == sample.names.end()) {
      const std::string near = base::nearest(graph.name(v), sample.names);
      return base::make_error(
          base::Code::kValue, fmt::format("node '{}' has no column in the data", graph.name(v)), {},
          near.empty() ? "declare it latent if it is not observed" : fmt::format("did you mean '{}'?", near));
    }
    out.push_back(static_cast<int>(found - sample.names.begin()));
  }
  return out;
}

}  // namespace plumbline::counterfactual::causal
