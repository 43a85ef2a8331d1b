#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/counterfactual/causal/graph.hpp"
#include "plumbline/counterfactual/causal/graph_file.hpp"
#include "plumbline/counterfactual/causal/query.hpp"
#include "plumbline/counterfactual/causal/test_support.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::random_graph;

ReadGraph read(const std::string& text) { return parse_graph(text, "g.txt").value(); }
std::string fault(const std::string& text) {
  const auto got = parse_graph(text, "g.txt");
  return got.ok() ? "" : got.error().text();
}

/// Every path between a and b in the graph with hidden causes as nodes; open if some path has all its colliders above
/// `given` and none of its other nodes in it.
class Paths {
 public:
  explicit Paths(const Graph& graph) : size_(static_cast<int>(graph.size())) {
    for (const int v : graph.all()) {
      for (const int c : graph.children(v)) edges_.emplace_back(v, c);
      for (const int s : graph.siblings(v)) {
        if (s < v) continue;
        edges_.emplace_back(size_, v);
        edges_.emplace_back(size_, s);
        ++size_;
      }
    }
  }
  bool open(int a, int b, const NodeSet& given) const {
    std::vector<int> path = {a};
    return extend(path, b, given);
  }

 private:
  bool edge(int from, int to) const {
    return std::find(edges_.begin(), edges_.end(), std::pair(from, to)) != edges_.end();
  }
  bool above(int v, const NodeSet& given) const {
    if (given.contains(v)) return true;
    for (int w = 0; w < size_; ++w)
      if (edge(v, w) && above(w, given)) return true;
    return false;
  }
  bool extend(std::vector<int>& path, int b, const NodeSet& given) const {
    const int last = path.back();
    if (last == b) {
      for (std::size_t k = 1; k + 1 < path.size(); ++k) {
        const bool collider = edge(path[k - 1], path[k]) && edge(path[k + 1], path[k]);
        if (collider ? !above(path[k], given) : given.contains(path[k])) return false;
      }
      return true;
    }
    for (int w = 0; w < size_; ++w) {
      if (std::find(path.begin(), path.end(), w) != path.end() || (!edge(last, w) && !edge(w, last))) continue;
      path.push_back(w);
      if (extend(path, b, given)) return true;
      path.pop_back();
    }
    return false;
  }
  int size_;
  std::vector<std::pair<int, int>> edges_;
};

TEST(CausalGraph, SeparationEqualsTheSearchOfAllPaths) {
  base::Rng rng(31);
  int apart = 0;
  for (int trial = 0; trial < 400; ++trial) {
    const Graph g = random_graph(rng, 6, 0.35, 0.12);
    const Paths paths(g);
    const auto order = rng.permutation(6);
    const int a = static_cast<int>(order[0]);
    const int b = static_cast<int>(order[1]);
    NodeSet given;
    for (std::size_t k = 2; k < 6; ++k)
      if (rng.bernoulli(0.4)) given.insert(static_cast<int>(order[k]));
    const bool got = separated(g, {a}, {b}, given);
    EXPECT_EQ(got, !paths.open(a, b, given));
    EXPECT_EQ(got, separated(g, {b}, {a}, given));
    apart += got ? 1 : 0;
  }
  EXPECT_GT(apart, 50);
}

TEST(CausalGraph, SeparationMeansIndependenceInNetworks) {
  base::Rng rng(32);
  for (int trial = 0; trial < 40; ++trial) {
    const Network n = testing::random_network(rng, 6, 2, 2);
    const Graph g = structure(n);
    const auto order = rng.permutation(6);
    const int a = static_cast<int>(order[0]);
    const int b = static_cast<int>(order[1]);
    const int c = static_cast<int>(order[2]);
    const double together = ask(n, {{b}, {{a, 0}, {c, 0}}, {}}).value().probability[0];
    const double alone = ask(n, {{b}, {{c, 0}}, {}}).value().probability[0];
    // Random tables are faithful: what is not separated depends.
    EXPECT_EQ(separated(g, {a}, {b}, {c}), std::abs(together - alone) < 1e-9);
  }
}

TEST(CausalGraph, ProjectionKeepsSeparations) {
  base::Rng rng(33);
  for (int trial = 0; trial < 200; ++trial) {
    const Graph g = random_graph(rng, 7, 0.35, 0.1);
    const auto order = rng.permutation(7);
    const NodeSet hidden = {static_cast<int>(order[0]), static_cast<int>(order[1])};
    const Graph p = project(g, hidden);
    const auto moved = [&](int v) { return p.index(g.name(v)).value(); };
    NodeSet given;
    NodeSet given_moved;
    for (std::size_t k = 4; k < 7; ++k)
      if (rng.bernoulli(0.5)) {
        given.insert(static_cast<int>(order[k]));
        given_moved.insert(moved(static_cast<int>(order[k])));
      }
    const int a = static_cast<int>(order[2]);
    const int b = static_cast<int>(order[3]);
    EXPECT_EQ(separated(g, {a}, {b}, given), separated(p, {moved(a)}, {moved(b)}, given_moved));
  }
}

TEST(CausalGraphFile, ReadsEdgesChainsAndHiddenNodes) {
  const ReadGraph g = read("# smoking\nx -> m -> y; x <-> y\n\"a b\" -> x\nz\nlatent u, v\nu -> z; v -> z, v -> y\n");
  EXPECT_EQ(g.graph.names(g.graph.all()), (std::vector<std::string>{"x", "m", "y", "a b", "z", "u", "v"}));
  EXPECT_EQ(g.hidden, (NodeSet{5, 6}));
  EXPECT_EQ(g.graph.siblings(0), (NodeSet{2}));
  const Graph seen = g.observed();
  EXPECT_EQ(seen.size(), 5U);
  EXPECT_EQ(seen.siblings(2), (NodeSet{0, 4}));
}

TEST(CausalGraphFile, ReadsDotAndDags) {
  const ReadGraph dot = read(
      "strict digraph \"some graph\" {\n rankdir=LR; node [shape=box]\n x -> y [label=\"effect, big\"];\n x -> y2 "
      "[dir=both]\n u [style=dashed, latent]; u -> x; u -> y }\n");
  EXPECT_EQ(dot.graph.names(dot.graph.all()), (std::vector<std::string>{"x", "y", "y2", "u"}));
  EXPECT_EQ(dot.graph.siblings(0), (NodeSet{2}));
  EXPECT_EQ(dot.hidden, (NodeSet{3}));
  const ReadGraph dag = read("dag {\nX [exposure,pos=\"0,1\"]\nY [outcome]\nU [unobserved]\nX <- U -> Y\nX -> Y\n}");
  EXPECT_EQ(dag.graph.children(dag.graph.index("U").value()), (NodeSet{0, 1}));
  EXPECT_EQ(dag.hidden, (NodeSet{2}));
}

TEST(CausalGraphFile, NamesWhatIsWrong) {
  EXPECT_THAT(fault("a -> b\nb -> c\nc -> a\n"), HasSubstr("g.txt: the graph has a cycle: a -> b -> c -> a"));
  EXPECT_THAT(fault("a -> b\na -- c\n"), HasSubstr("g.txt:2: an edge without direction"));
  EXPECT_THAT(fault("a -> a\n"), HasSubstr("g.txt:1: 'a' points at itself"));
  EXPECT_THAT(fault("a ->\n"), HasSubstr("g.txt:1: found the end of the statement, expected a name"));
  EXPECT_THAT(fault("a b\n"), HasSubstr("found 'b', expected an edge"));
  EXPECT_THAT(fault("digraph { a -> b"), HasSubstr("ends inside '{'"));
  EXPECT_THAT(fault("graph { a -- b }"), HasSubstr("expected digraph or dag"));
  EXPECT_THAT(fault("a -> b }"), HasSubstr("'}' without '{'"));
  EXPECT_THAT(fault("a -> \"b\n"), HasSubstr("a quoted name is not closed"));
  EXPECT_THAT(fault("a -> ?"), HasSubstr("found '?', expected a name or an edge"));
  EXPECT_THAT(fault("\n# nothing\n"), HasSubstr("there is no node"));
  EXPECT_THAT(fault("a [latent"), HasSubstr("'[' is not closed"));
  GraphLimits few;
  few.nodes = 2;
  EXPECT_EQ(parse_graph("a -> b -> c", "g", few).error().code, base::Code::kLimit);
  EXPECT_EQ(read_graph("/nowhere/g.txt").error().code, base::Code::kIo);
  EXPECT_THAT(read("treatment -> outcome").graph.index("outcom").error().text(), HasSubstr("did you mean 'outcome'?"));
}

TEST(CausalGraphFile, ReadsTheManifest) {
  const auto manifest = data::parse_manifest(
      "[system]\nname = \"s\"\n[graph.study]\nnodes = [\"w\"]\nedges = [\"x -> y\", \"u -> x\", \"u -> y\"]\nlatent = "
      "[\"u\"]\n[graph.bad]\nedges = [\"x -> x\"]\n",
      "system.toml");
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  const ReadGraph g = section_graph(*manifest->other("graph", "study"), "system.toml").value();
  EXPECT_EQ(g.observed().names(g.observed().all()), (std::vector<std::string>{"w", "x", "y"}));
  EXPECT_EQ(g.observed().siblings(1), (NodeSet{2}));
  EXPECT_THAT(section_graph(*manifest->other("graph", "bad"), "system.toml").error().text(),
              HasSubstr("system.toml:7: [graph.bad]:1: 'x' points at itself"));
}

}  // namespace
}  // namespace plumbline::counterfactual::causal
