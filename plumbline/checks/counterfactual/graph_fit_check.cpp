#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/counterfactual/counterfactual_checks.hpp"
#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/counterfactual/causal/graph_file.hpp"
#include "plumbline/counterfactual/causal/implied.hpp"
#include "plumbline/data/files.hpp"

namespace plumbline::checks::counterfactual {
namespace {

namespace causal = plumbline::counterfactual::causal;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "counterfactual.graph_fit";
  facts.title = "Fit of a causal graph";
  facts.question = "Do the data obey the independences that the causal graph implies?";
  facts.row = "K1";
  facts.needs = {"a causal graph, [graph.NAME] with data", "a table whose columns are the graph's observed nodes"};
  facts.params = {{"level", 0.05, 1e-6, 0.5, {}, "at which an independence counts as rejected, after Holm"},
                  {"kind",
                   std::string("auto"),
                   {},
                   {},
                   {"auto", "discrete", "gaussian"},
                   "what the columns hold: states, or numbers with normal noise"}};
  facts.yields = {{"independence_p",
                   "share",
                   Direction::kHigherIsBetter,
                   "p-value of \"every implied independence holds\": the least over pairs without an edge, after Holm",
                   {},
                   {}},
                  {"rejected",
                   "pairs",
                   Direction::kLowerIsBetter,
                   "pairs without an edge that depend on each other at `level`; a fact about these data",
                   {},
                   {}},
                  {"implied",
                   "pairs",
                   Direction::kNone,
                   "pairs without an edge that some observed set must part: how much the graph can be held to",
                   {},
                   {}}};
  facts.assumptions = {"rows are independent and drawn alike",
                       "states: counts are large; numbers: relations are linear with normal noise"};
  facts.sources = {"Pearl, Causality, 2nd ed., 2009, sec. 1.2",
                   "Richardson, Markov properties for acyclic directed mixed graphs, Scand. J. Stat. 30, 2003",
                   "Holm, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6, 1979"};
  facts.cost = "O(pairs x rows)";
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) {
  check::Plan out;
  const auto graphs = sections_of(*blueprint.manifest, "graph");
  for (const std::string& name : graphs) {
    const std::string where = blueprint.manifest->other("graph", name)->text("data");
    const auto section = blueprint.manifest->data.find(where);
    if (section == blueprint.manifest->data.end() || (!section->second.table && section->second.from.empty())) continue;
    check::Task task;
    task.subject = name + "@" + where;
    task.data = where;
    task.cost_seconds = 0.1;
    if (const auto facts = blueprint.data.find(where); facts != blueprint.data.end()) {
      const auto columns = static_cast<double>(facts->second.columns);
      task.cost_seconds += 1e-8 * static_cast<double>(facts->second.rows) * columns * columns;
    }
    out.tasks.push_back(std::move(task));
  }
  if (out.tasks.empty())
    out.not_applicable = graphs.empty() ? "the manifest has no [graph.NAME]" : "no graph names a table as its data";
  return out;
}

std::string given_words(const causal::Graph& graph, const causal::PairTest& t) {
  return t.given.empty() ? "" : fmt::format(" given {}", graph.words(t.given));
}

check::Artifact table_of(const causal::Graph& graph, const std::vector<causal::PairTest>& tests,
                         const std::string& name) {
  check::Artifact table;
  table.id = "independences";
  table.kind = "table";
  table.title = fmt::format("What {} says is independent", name);
  table.caption =
      "Each pair without an edge, the set that must part it, and the p-value of that, before and after Holm.";
  std::vector<std::string> first, second, given;
  std::vector<double> p, adjusted;
  for (const causal::PairTest& t : tests) {
    first.push_back(graph.name(t.a));
    second.push_back(graph.name(t.b));
    given.push_back(graph.words(t.given));
    p.push_back(t.p);
    adjusted.push_back(t.adjusted);
  }
  table.columns = {
      {"node", "", first}, {"other", "", second}, {"given", "", given}, {"p", "1", p}, {"adjusted", "1", adjusted}};
  return table;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& where = context.task().data;
  const std::string name = context.task().subject.substr(0, context.task().subject.find('@'));
  const double level = params.real("level");
  PL_TRY(const data::OtherSection* section, context.section("graph", name));
  PL_TRY(const causal::ReadGraph read, causal::section_graph(*section, context.manifest().path));
  const causal::Graph graph = read.observed();
  PL_TRY(const data::DatasetPtr set, context.dataset(where));
  PL_TRY(const causal::DataKind kind, causal::parse_data_kind(params.text("kind")));
  data::Table columns;
  for (const data::Column& column : set->table.columns)
    if (graph.index(column.name).ok()) columns.columns.push_back(column);
  PL_TRY(const causal::Sample sample, causal::make_sample(columns, kind));
  PL_TRY(const std::vector<int> at, causal::columns_of(graph, sample));
  PL_TRY(const std::unique_ptr<causal::IndependenceTest> test, causal::independence_test(sample));
  PL_TRY(causal::GraphTest got, causal::test_graph(graph, *test, at, context.cancel()));
  std::stable_sort(got.implied.begin(), got.implied.end(), [](const auto& x, const auto& y) { return x.p < y.p; });

  check::Output output;
  output.rows =
      fmt::format("{} rows, {} of {} columns", sample.rows, columns.columns.size(), set->table.columns.size());
  const auto rows = static_cast<double>(sample.rows);
  const auto add = [&](const std::string& metric, double value, const std::string& method) {
    stats::Estimate estimate = stats::exact(value, rows, method);
    if (!set->units.empty())
      estimate.warnings.push_back("rows share units of sampling; the tests count each row as independent");
    output.evidence.push_back(check::make_evidence(facts, metric, {{"data", where}}, std::move(estimate)));
    output.evidence.back().artifacts = {"independences"};
  };
  const std::string method = sample.discrete ? "chi-square, Holm" : "Fisher's z, Holm";
  if (got.implied.empty())
    output.notes.push_back("independence_p is withheld: the graph implies no independence that could be tested");
  else
    add("independence_p", got.least, method);
  add("rejected", static_cast<double>(got.rejected(level)), method);
  add("implied", static_cast<double>(got.implied.size()), "count");
  if (got.untestable > 0)
    output.notes.push_back(fmt::format("{} pairs without an edge are parted by nothing observed", got.untestable));
  for (const causal::PairTest& t : got.edges)
    if (t.p > level)
      output.notes.push_back(
          fmt::format("{} -> {} is not needed by these data: p = {:.2g} that the other parents part them",
                      graph.name(t.a), graph.name(t.b), t.p));
  output.artifacts.push_back(table_of(graph, got.implied, name));
  constexpr std::size_t kMost = 10;
  for (const causal::PairTest& t : got.implied) {
    if (t.adjusted > level || output.findings.size() >= kMost) break;
    check::Finding finding;
    finding.id = fmt::format("dependence-{}", output.findings.size() + 1);
    finding.severity = check::FindingSeverity::kMajor;
    finding.title =
        fmt::format("{} and {} depend on each other{}", graph.name(t.a), graph.name(t.b), given_words(graph, t));
    finding.detail = fmt::format("{} says that they do not; p = {:.2g}, after Holm {:.2g}.", name, t.p, t.adjusted);
    finding.next_step =
        "Look for a missing edge or a common cause of the two (declare it latent), for rows that were selected, or for "
        "a "
        "relation that the test cannot see through. Effects computed from this graph rest on the missing edge.";
    finding.data = where;
    output.findings.push_back(std::move(finding));
  }
  return output;
}

/// The graph says that b acts on d through c alone; in the data it may do so directly too.
base::Status write(const std::string& folder, base::Rng& rng, double direct) {
  constexpr int kRows = 300;
  const std::uint64_t seed = rng.bits() % 1000000000;
  std::string table = "a,b,c,d\n";
  for (int i = 0; i < kRows; ++i) {
    const double a = rng.normal();
    const double b = 0.6 * a + rng.normal();
    const double c = 0.7 * b + rng.normal();
    const double d = 0.7 * c + direct * b + 0.5 * a + rng.normal();
    table += fmt::format("{:.6f},{:.6f},{:.6f},{:.6f}\n", a, b, c, d);
  }
  PL_CHECK(data::write_bytes(folder + "/rows.csv", table));
  return write_fixture_manifest(
      folder, seed,
      "[data.rows]\ntable = \"rows.csv\"\nrole = \"test\"\n\n[graph.chain]\nedges = [\"a -> b -> c -> d\", "
      "\"a -> d\"]\ndata = \"rows\"\n",
      "text = \"The graph holds.\"\ncheck = \"counterfactual.graph_fit\"\nmetric = "
      "\"independence_p\"\nat_least = 0.01\n");
}

}  // namespace

check::Entry graph_fit() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  constexpr double kDirect = 0.5;
  entry.fixtures.defect = [](const std::string& folder, base::Rng& rng) { return write(folder, rng, kDirect); };
  entry.fixtures.control = [](const std::string& folder, base::Rng& rng) { return write(folder, rng, 0); };
  entry.fixtures.defect_words = "300 rows in which b acts on d directly (0.5), and a graph without that edge";
  entry.fixtures.control_words = "300 rows from the graph";
  entry.fixtures.false_alarm_level = 0.05;
  return entry;
}

}  // namespace plumbline::checks::counterfactual
