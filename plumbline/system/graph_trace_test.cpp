#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "plumbline/base/rng.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/system/graph.hpp"
#include "plumbline/system/trace.hpp"

namespace plumbline::system {
namespace {

Component part(std::string name, std::vector<std::string> in, std::vector<std::string> out,
               std::vector<std::string> learns = {}) {
  Component c;
  c.name = std::move(name);
  c.inputs = std::move(in);
  c.outputs = std::move(out);
  c.learns_from = std::move(learns);
  return c;
}

std::vector<Component> two_teams() {
  return {part("ranker", {"kind"}, {"item"}, {"click"}), part("fonts", {"item"}, {"font"}, {"click"}),
          part("people", {"item", "font"}, {"click"})};
}

TEST(SystemGraph, EdgesOrderLaterPartsMakersAndLoops) {
  const auto graph = SystemGraph::make(two_teams());
  ASSERT_TRUE(graph.ok()) << graph.error().text();
  EXPECT_EQ(graph->edges().size(), 5U);
  EXPECT_EQ(graph->order(), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(graph->later(0), (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(graph->makers("click"), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_TRUE(graph->makers("kind").empty());
  EXPECT_EQ(graph->signals(), (std::vector<std::string>{"kind", "item", "click", "font"}));
  const LoopList loops = graph->loops();
  EXPECT_TRUE(loops.complete);
  std::vector<std::string> words;
  for (const Loop& loop : loops.loops) words.push_back(graph->words(loop));
  EXPECT_EQ(words, (std::vector<std::string>{"ranker -> people => ranker", "fonts -> people => fonts",
                                             "ranker -> fonts -> people => ranker"}));
}

TEST(SystemGraph, LoopsAreThoseOfAPlainSearch) {
  // Every sequence of distinct parts whose steps are edges, counted once: those that begin with their smallest part.
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    base::Rng rng(seed);
    const std::size_t n = 2 + rng.below(4);
    std::vector<Component> parts;
    for (std::size_t i = 0; i < n; ++i) {
      Component c = part("p" + std::to_string(i), {}, {"s" + std::to_string(i)});
      for (std::size_t k = 0; k < n; ++k) {
        if (k < i && rng.bernoulli(0.5)) c.inputs.push_back("s" + std::to_string(k));
        if (rng.bernoulli(0.3)) c.learns_from.push_back("s" + std::to_string(k));
      }
      parts.push_back(c);
    }
    const auto graph = SystemGraph::make(parts);
    ASSERT_TRUE(graph.ok());
    std::set<std::pair<std::size_t, std::size_t>> steps;
    for (const Edge& e : graph->edges()) steps.emplace(e.from, e.to);
    std::set<Loop> wanted;
    std::vector<std::size_t> all(n);
    for (std::size_t i = 0; i < n; ++i) all[i] = i;
    do {
      for (std::size_t length = 1; length <= n; ++length) {
        const Loop loop(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(length));
        if (loop.front() != *std::min_element(loop.begin(), loop.end())) continue;
        bool closed = true;
        for (std::size_t k = 0; k < length; ++k) closed = closed && steps.contains({loop[k], loop[(k + 1) % length]});
        if (closed) wanted.insert(loop);
      }
    } while (std::next_permutation(all.begin(), all.end()));
    const LoopList got = graph->loops(10000);
    EXPECT_EQ(std::set<Loop>(got.loops.begin(), got.loops.end()), wanted) << "seed " << seed;
    EXPECT_EQ(got.loops.size(), wanted.size());
  }
}

TEST(SystemGraph, TheSearchStopsAtItsLimit) {
  std::vector<Component> parts;
  for (int i = 0; i < 12; ++i) {
    std::vector<std::string> all;
    for (int k = 0; k < 12; ++k) all.push_back("s" + std::to_string(k));
    parts.push_back(part("p" + std::to_string(i), {}, {"s" + std::to_string(i)}, all));
  }
  const auto graph = SystemGraph::make(parts);
  ASSERT_TRUE(graph.ok());
  const LoopList loops = graph->loops(100);
  EXPECT_FALSE(loops.complete);
  EXPECT_EQ(loops.loops.size(), 100U);
}

std::string fails(std::vector<Component> parts) {
  const auto graph = SystemGraph::make(std::move(parts));
  return graph.ok() ? "" : graph.error().text();
}

TEST(SystemGraph, SaysWhatIsWrongWithIt) {
  EXPECT_NE(fails({}).find("at least one part"), std::string::npos);
  EXPECT_NE(fails({part("a", {}, {}), part("a", {}, {})}).find("two parts are called 'a'"), std::string::npos);
  EXPECT_NE(fails({part("a", {}, {"s"}), part("b", {}, {"s"})}).find("'s' is an output of a and of b"),
            std::string::npos);
  EXPECT_NE(fails({part("a", {"x", "x"}, {})}).find("named twice"), std::string::npos);
  const std::string circle = fails({part("a", {"s"}, {"t"}), part("b", {"t"}, {"u"}), part("c", {"u"}, {"s"})});
  EXPECT_NE(circle.find("in a circle: "), std::string::npos);
  EXPECT_NE(circle.find("a -> b"), std::string::npos);
  EXPECT_NE(circle.find("learns_from"), std::string::npos);
  Component lost = part("a", {}, {});
  lost.upstream = {"rankr"};
  EXPECT_NE(fails({lost, part("ranker", {}, {})}).find("Did you mean 'ranker'?"), std::string::npos);
}

data::Table table(const std::string& csv) { return *data::parse_csv(csv, "test.csv"); }

TEST(SystemTrace, TablesAreJoinedOnUnitAndTime) {
  const auto graph = SystemGraph::make(two_teams());
  const data::Table first = table("who,t,item,explored\nu2,1,a,0\nu1,2,b,1\nu1,1,a,0\n");
  const data::Table second = table("who,t,item,font,click\nu1,1,a,large,1\nu1,2,a,tiny,0\nu3,1,b,tiny,0\n");
  const std::vector<TraceTable> tables = {{&first, "first.csv", "t", "who", {{0, "explored", ""}}},
                                          {&second, "second.csv", "t", "who", {{1, "", ""}, {2, "", ""}}}};
  const auto trace = make_trace(*graph, tables);
  ASSERT_TRUE(trace.ok()) << trace.error().text();
  ASSERT_EQ(trace->rows, 4U);  // u2 1, u1 1, u1 2, u3 1: units in order of appearance
  EXPECT_EQ(trace->time, (std::vector<double>{1, 1, 2, 1}));
  const Signal* item = trace->find("item");
  ASSERT_NE(item, nullptr);
  const auto level = [&](std::size_t i) { return item->levels[static_cast<std::size_t>(item->value[i])]; };
  EXPECT_EQ(level(0) + level(1) + level(2) + level(3), "aabb");
  EXPECT_EQ(trace->explored[0].flag, (std::vector<std::uint8_t>{0, 0, 1, kNotRecorded}));
  EXPECT_TRUE(std::isnan(trace->find("font")->value[0]));
  ASSERT_EQ(trace->notes.size(), 1U);
  EXPECT_EQ(trace->notes[0], "in 1 rows what was read of 'item' is not what was written; what was written counts");
}

std::string refused(const std::string& csv, const std::string& time, const std::string& flag,
                    const std::string& propensity = {}) {
  const auto graph = SystemGraph::make({part("a", {}, {"y"})});
  const data::Table t = table(csv);
  const std::vector<TraceTable> tables = {{&t, "a.csv", time, "", {{0, flag, propensity}}}};
  const auto trace = make_trace(*graph, tables);
  return trace.ok() ? "" : trace.error().text();
}

TEST(SystemTrace, SaysWhatIsWrongWithIt) {
  EXPECT_NE(refused("y,e\n1,2\n2,0\n", "", "e").find("row 1 of column 'e' is '2', expected 0 or 1"), std::string::npos);
  EXPECT_NE(refused("y\n1\n", "", "e").find("there is no column 'e' (exploration flag)"), std::string::npos);
  EXPECT_NE(refused("z\n1\n", "", "").find("there is no column 'y' (output of a)"), std::string::npos);
  EXPECT_NE(refused("y,t\n1,x\n", "t", "").find("holds no numbers"), std::string::npos);
  EXPECT_NE(refused("y,t\n1,\n2,3\n", "t", "").find("row 1 has no time"), std::string::npos);
  EXPECT_NE(refused("y,e,p\n1,1,1.5\n", "", "e", "p").find("is 1.5, expected a probability"), std::string::npos);
  const auto graph = SystemGraph::make(two_teams());
  EXPECT_FALSE(make_trace(*graph, {}).ok());
  const data::Table one = table("t,item\n1,a\n");
  const data::Table two = table("t,font\n1,x\n");
  const std::vector<TraceTable> apart = {{&one, "one.csv", "t", "", {{0, "", ""}}},
                                         {&two, "two.csv", "t", "", {{1, "", ""}}}};
  EXPECT_NE(make_trace(*graph, apart).error().text().find("joined on unit and time"), std::string::npos);
  const data::Table twice = table("u,t,item\nx,1,a\nx,1,b\n");
  const data::Table other = table("u,t,font\nx,1,a\n");
  const std::vector<TraceTable> same = {{&twice, "twice.csv", "t", "u", {{0, "", ""}}},
                                        {&other, "other.csv", "t", "u", {{1, "", ""}}}};
  EXPECT_NE(make_trace(*graph, same).error().text().find("two rows have one unit and time 1"), std::string::npos);
}

TEST(SystemTrace, StrataAreCellsOfLevelsAndQuartiles) {
  std::vector<double> number, kind, other;
  for (int i = 0; i < 400; ++i) {
    number.push_back(i);
    kind.push_back(i % 2);
    other.push_back(i % 7);
  }
  number[7] = std::nan("");
  const std::vector<StrataColumn> columns = {
      {"number", &number, true}, {"kind", &kind, false}, {"other", &other, true}};
  const Strata strata = make_strata(columns, 400);
  EXPECT_EQ(strata.count, 8);  // 4 quartiles x 2; a third column would make cells of fewer than 25 rows
  EXPECT_EQ(strata.used, (std::vector<std::string>{"number", "kind"}));
  EXPECT_EQ(strata.left_out, (std::vector<std::string>{"other"}));
  EXPECT_EQ(strata.of_row[7], -1);
  EXPECT_EQ(strata.of_row[0], strata.of_row[2]);
  EXPECT_NE(strata.of_row[0], strata.of_row[399]);
}

TEST(SystemTrace, RareLevelsShareACode) {
  Signal signal{"s", false, {}, {"a", "b", "c", "d"}};
  for (int i = 0; i < 20; ++i) signal.value.push_back(i < 10 ? 1 : i < 16 ? 3 : i < 18 ? 0 : 2);
  std::vector<std::string> names;
  const std::vector<int> codes = as_levels(signal, 3, &names);
  EXPECT_EQ(names, (std::vector<std::string>{"b", "d", "the rest"}));
  EXPECT_EQ(codes[0], 0);
  EXPECT_EQ(codes[17], 2);
  EXPECT_EQ(codes[19], 2);
}

TEST(SystemTrace, ClustersAreUnitsOrBlocks) {
  std::vector<int> many, few;
  for (int i = 0; i < 200; ++i) {
    many.push_back(i / 5);
    few.push_back(i / 100);
  }
  EXPECT_EQ(make_clusters(many, 200).count, 40U);
  EXPECT_FALSE(make_clusters(many, 200).blocks);
  const Clusters blocks = make_clusters(few, 200);
  EXPECT_TRUE(blocks.blocks);
  EXPECT_EQ(blocks.count, 40U);  // of 5 rows
  EXPECT_NE(blocks.of_row[99], blocks.of_row[100]);
}

}  // namespace
}  // namespace plumbline::system
