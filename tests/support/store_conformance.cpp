#include "tests/support/store_conformance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/interface/json.hpp"

namespace plumbline::testing {
namespace {

using ::testing::HasSubstr;

check::Output output_with(double value, const std::string& metric = "accuracy") {
  check::Output output;
  check::Evidence e;
  e.check = "probe.accuracy";
  e.subject = "reader@test";
  e.metric = metric;
  e.where = {{"data", "test"}};
  e.estimate.value = value;
  e.estimate.n = 10;
  e.build = "build-1";
  e.artifacts = {"roc"};
  e.id = check::evidence_id(e);
  output.evidence.push_back(e);
  check::Finding f;
  f.id = "f1";
  f.title = "a 'quoted' \"title\"; drop table run";
  f.rows = {1, 2, 3};
  output.findings.push_back(f);
  check::Artifact a;
  a.id = "roc";
  a.kind = "roc";
  a.columns = {{"x", "", std::vector<double>{0, 0.5, 1}}};
  a.bytes = std::string("\0\x01\xff", 3);
  output.artifacts.push_back(a);
  output.notes = {"a note"};
  return output;
}

check::LedgerEntry line_of(const std::string& check) {
  check::LedgerEntry line;
  line.check = check;
  line.subject = "reader@test";
  line.seconds = 0.25;
  return line;
}

std::string closed_run(run::Store& store, double value, const std::string& name = "") {
  check::RunRecord header;
  header.system = "digits";
  header.name = name;
  header.started = "2026-01-01T00:00:00Z";
  const auto id = store.begin_run(header);
  EXPECT_TRUE(id.ok()) << id.error().text();
  EXPECT_TRUE(store.add_task(*id, line_of("probe.accuracy"), output_with(value)).ok());
  const auto closed = store.close_run(*id, check::RunStatus::kSuccess, "2026-01-01T00:01:00Z", 60);
  EXPECT_TRUE(closed.ok()) << closed.error().text();
  return *id;
}

void round_trip(const OpenStore& open) {
  std::string id;
  {
    auto store = open();
    id = closed_run(*store, 0.25, "first");
    EXPECT_TRUE(store->set_verdicts(id, "{\"x\":1}", "supported 1", 0).ok());
  }
  auto store = open();
  const auto record = store->load_run(id);
  ASSERT_TRUE(record.ok()) << record.error().text();
  EXPECT_EQ(record->status, check::RunStatus::kSuccess);
  ASSERT_EQ(record->evidence.size(), 1U);
  EXPECT_EQ(check::to_json(record->evidence[0]).dump(), check::to_json(output_with(0.25).evidence[0]).dump());
  ASSERT_EQ(record->artifacts.size(), 1U);
  EXPECT_EQ(record->artifacts[0].bytes, output_with(0).artifacts[0].bytes);
  ASSERT_EQ(record->findings.size(), 1U);
  EXPECT_EQ(record->findings[0].title, output_with(0).findings[0].title);
  EXPECT_EQ(record->ledger.at(0).seconds, 0.25);
  EXPECT_EQ(record->notes.size(), 1U);
  EXPECT_EQ(*store->verdicts(id), "{\"x\":1}");
  for (const std::string& reference : {std::string("first"), std::string("latest"), id.substr(0, 6)})
    EXPECT_EQ(store->load_run(reference)->id, id);
  EXPECT_THAT(store->load_run("zzz").error().text(), HasSubstr("no run 'zzz'"));
  EXPECT_THAT(store->load_run("").error().text(), HasSubstr("no run"));
  const auto listed = store->runs(0, 10);
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->at(0).exit_status, 0);
  EXPECT_EQ(listed->at(0).evidence, 1U);
  EXPECT_EQ(*store->run_of_evidence(record->evidence[0].id), id);
  EXPECT_TRUE(store->load_evidence(record->evidence[0].id.substr(0, 10)).ok());
  EXPECT_FALSE(store->load_evidence("ffffffffffff").ok());
}

void chain_and_prune(const OpenStore& open) {
  auto store = open();
  for (int i = 0; i < 4; ++i) closed_run(*store, 0.5 + i);
  const auto verified = store->verify_chain();
  EXPECT_TRUE(verified.ok()) << verified.error().text();
  const auto last = store->load_run("latest");
  EXPECT_FALSE(last->previous_root.empty());
  EXPECT_EQ(last->root, run::merkle_root({last->evidence[0].id}));
  const auto pruned = store->prune(2);
  ASSERT_TRUE(pruned.ok()) << pruned.error().text();
  EXPECT_EQ(*pruned, 3U);
  EXPECT_TRUE(store->verify_chain().ok());
  EXPECT_THAT(store->load_run("first").error().text(), HasSubstr("was pruned"));
  EXPECT_EQ(store->runs(0, 10)->size(), 5U);
  EXPECT_FALSE(store->close_run(last->id, check::RunStatus::kSuccess, "", 0).ok()) << "a run closes once";
}

void cache_and_counts(const OpenStore& open) {
  auto store = open();
  EXPECT_FALSE(store->cached("key")->has_value());
  EXPECT_TRUE(store->put_cached("key", output_with(3)).ok());
  const auto hit = store->cached("key");
  ASSERT_TRUE(hit.ok() && hit->has_value());
  EXPECT_EQ((*hit)->evidence[0].estimate.value, 3);
  EXPECT_TRUE(store->put_cached_bytes("bytes", std::string("a\0b", 3)).ok());
  EXPECT_EQ(**store->cached_bytes("bytes"), std::string("a\0b", 3));

  EXPECT_EQ(store->look("claim", "content-1", true)->looks, 1);
  EXPECT_EQ(store->look("claim", "content-1", true)->looks, 1) << "the same content is not a new look";
  const auto second = store->look("claim", "content-2", false);
  EXPECT_EQ(second->looks, 2);
  EXPECT_TRUE(second->anytime_from_start);
  EXPECT_FALSE(store->look("late", "c1", false)->anytime_from_start);
  EXPECT_FALSE(store->look("late", "c2", true)->anytime_from_start) << "declared after the first look";
  EXPECT_EQ(store->reuse("test", "model-a", 1)->models, 1);
  EXPECT_EQ(store->reuse("test", "model-b", 1)->models, 2);
  EXPECT_EQ(store->reuse("test", "model-b", 2)->seeds, 2);
}

void trends(const OpenStore& open) {
  auto store = open();
  const auto points = store->trend("probe.accuracy", "accuracy", 10);
  ASSERT_TRUE(points.ok());
  ASSERT_GE(points->size(), 2U);
  EXPECT_EQ(points->at(0).evidence.estimate.value, 3.5) << "newest first";
  EXPECT_TRUE(store->trend("probe.accuracy", "no such metric", 10)->empty());
}

std::vector<std::string> ids(const base::Result<run::RunPage>& page) {
  std::vector<std::string> out;
  if (!page.ok()) return {page.error().text()};
  for (const run::RunSummary& run : page->runs) out.push_back(run.id);
  return out;
}

// Every filter, order and page against the same chosen from the whole listing by hand.
void listing(const OpenStore& open) {
  auto store = open();
  const auto make = [&](const std::string& system, const std::string& name, double seconds, int figures,
                        const std::string& verdicts) {
    check::RunRecord header;
    header.system = system;
    header.name = name;
    header.started = "2026-02-01T00:00:00Z";
    const std::string id = *store->begin_run(header);
    for (int i = 0; i < figures; ++i)
      EXPECT_TRUE(store->add_task(id, line_of("probe.accuracy"), output_with(100 * seconds + i)).ok());
    EXPECT_TRUE(store->close_run(id, check::RunStatus::kSuccess, "", seconds).ok());
    EXPECT_TRUE(store->set_verdicts(id, "", verdicts, 1).ok());
    return id;
  };
  const std::string a = make("Alpha%", "", 3, 1, "refuted 1, supported 2");
  const std::string b = make("beta", "the ALPHA run", 1, 3, "undetermined 2");
  const std::string c = make("gamma_", "", 2, 2, "not evaluated 1, supported 10");
  check::RunRecord open_header;
  open_header.system = "delta";
  const std::string d = *store->begin_run(open_header);

  run::RunQuery query;
  query.limit = 100;
  const auto everything = store->find_runs(query);
  ASSERT_TRUE(everything.ok()) << everything.error().text();
  EXPECT_EQ(everything->total, everything->runs.size());
  const auto newest = ids(everything);
  EXPECT_THAT(std::vector<std::string>(newest.begin(), newest.begin() + 4), ::testing::ElementsAre(d, c, b, a));
  query.offset = 1;
  query.limit = 2;
  const auto second = store->find_runs(query);
  EXPECT_THAT(ids(second), ::testing::ElementsAre(c, b));
  EXPECT_EQ(second->total, everything->total);
  query = {};
  query.offset = 1000;
  EXPECT_THAT(ids(store->find_runs(query)), ::testing::IsEmpty());

  const auto found = [&](auto change) {
    run::RunQuery one;
    one.limit = 100;
    change(one);
    return ids(store->find_runs(one));
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(found([](auto& q) { q.text = "alpha"; }), ElementsAre(b, a));
  EXPECT_THAT(found([](auto& q) { q.text = "%"; }), ElementsAre(a)) << "no character has a meaning of its own";
  EXPECT_THAT(found([](auto& q) { q.text = "_"; }), ElementsAre(c));
  EXPECT_THAT(found([&](auto& q) { q.text = c.substr(0, 8); }), ElementsAre(c));
  EXPECT_THAT(found([](auto& q) { q.text = "'; drop table run; --"; }), ::testing::IsEmpty());
  EXPECT_THAT(found([](auto& q) { q.status = "started"; }), ElementsAre(d));
  EXPECT_THAT(found([](auto& q) { q.verdict = "refuted"; }), ElementsAre(a));
  EXPECT_THAT(found([](auto& q) { q.verdict = "supported"; }), ::testing::IsSupersetOf({c, a}));
  EXPECT_THAT(found([](auto& q) { q.verdict = "evaluated"; }), ::testing::IsEmpty()) << "a whole word";
  EXPECT_THAT(found([](auto& q) { q.verdict = "not evaluated"; }), ElementsAre(c));
  EXPECT_THAT(found([](auto& q) { q.verdict = "supported", q.text = "alpha"; }), ElementsAre(a));
  const auto ordered = [&](run::RunQuery::Order order, auto key) {
    run::RunQuery one;
    one.limit = 100;
    one.order = order;
    const auto page = store->find_runs(one);
    ASSERT_TRUE(page.ok());
    EXPECT_EQ(page->runs.size(), everything->runs.size());
    for (std::size_t i = 1; i < page->runs.size(); ++i) EXPECT_LE(key(page->runs[i - 1]), key(page->runs[i])) << i;
  };
  using Order = run::RunQuery::Order;
  ordered(Order::kShortest, [](const auto& r) { return r.seconds; });
  ordered(Order::kLongest, [](const auto& r) { return -r.seconds; });
  ordered(Order::kSystem, [](const auto& r) { return r.system; });
  ordered(Order::kLeastEvidence, [](const auto& r) { return static_cast<double>(r.evidence); });
  ordered(Order::kMostEvidence, [](const auto& r) { return -static_cast<double>(r.evidence); });
  EXPECT_EQ(found([](auto& q) { q.order = Order::kOldest; }), std::vector<std::string>(newest.rbegin(), newest.rend()));
  EXPECT_EQ(found([](auto& q) { q.order = Order::kSystemBackwards; }).front(), c);

  // Findings: every one once, newest run first, each with the first picture of its task.
  const auto all = store->findings({"", 0, 1000});
  ASSERT_TRUE(all.ok()) << all.error().text();
  ASSERT_GE(all->total, 6U);
  EXPECT_EQ(all->findings.size(), all->total);
  EXPECT_EQ(all->findings.front().run, c);
  EXPECT_EQ(all->findings.front().system, "gamma_");
  const auto part = store->findings({"", 2, 3});
  ASSERT_EQ(part->findings.size(), 3U);
  EXPECT_EQ(part->findings[0].run, all->findings[2].run);
  EXPECT_EQ(part->total, all->total);
  EXPECT_EQ(store->findings({"no such check", 0, 10})->total, 0U);
  EXPECT_TRUE(store->findings({"no such check", 0, 10})->findings.empty());

  const auto metrics = store->metrics();
  ASSERT_TRUE(metrics.ok()) << metrics.error().text();
  ASSERT_EQ(metrics->size(), 1U);
  EXPECT_EQ(metrics->at(0).check, "probe.accuracy");
  EXPECT_EQ(metrics->at(0).metric, "accuracy");
  EXPECT_THAT(metrics->at(0).subjects, ElementsAre("reader@test"));
  EXPECT_EQ(metrics->at(0).points, store->trend("probe.accuracy", "accuracy", 1000)->size());

  run::TrendQuery points{"probe.accuracy", "accuracy", "reader@test", {{"data", "test"}}, 1000};
  EXPECT_EQ(store->trend(points)->size(), metrics->at(0).points);
  points.where = {{"data", "test"}, {"slice", "left"}};
  EXPECT_TRUE(store->trend(points)->empty());
  points.where = {{"slice", ""}};
  EXPECT_EQ(store->trend(points)->size(), metrics->at(0).points) << "those without the key";
  points.where = {{"data", ""}};
  EXPECT_TRUE(store->trend(points)->empty());
  points.where = {};
  points.subject = "other@test";
  EXPECT_TRUE(store->trend(points)->empty());
}

// A finding's picture is the first of its own task that is one to look at.
void pictures_of_findings(const OpenStore& open) {
  auto store = open();
  check::RunRecord header;
  header.started = "2026-03-01T00:00:00Z";
  const std::string id = *store->begin_run(header);
  check::Output output;
  check::Finding f;
  f.id = "f2";
  f.check = "room.check";
  f.subject = "model@data";
  output.findings.push_back(f);
  for (const char* name :
       {"room.check.model-data-2.rows", "room.check.model-data.row-outcomes", "room.check.model-data.rows"}) {
    check::Artifact a;
    a.id = name;
    a.kind = "table";
    a.title = name;
    output.artifacts.push_back(a);
  }
  ASSERT_TRUE(store->add_task(id, line_of("room.check"), output).ok());
  ASSERT_TRUE(store->close_run(id, check::RunStatus::kSuccess, "", 1).ok());
  const auto found = store->findings({"room.check", 0, 10});
  ASSERT_TRUE(found.ok()) << found.error().text();
  ASSERT_EQ(found->findings.size(), 1U);
  EXPECT_EQ(found->total, 1U);
  const auto artifact = store->artifact(id, found->findings[0].artifact);
  ASSERT_TRUE(artifact.ok()) << artifact.error().text();
  EXPECT_EQ(artifact->id, "room.check.model-data.rows");
  EXPECT_EQ(store->artifact("no-run", found->findings[0].artifact).error().code, base::Code::kValue);
  EXPECT_THAT(store->artifact(id, "no-key").error().text(), HasSubstr("no artifact 'no-key'"));
}

}  // namespace

void check_store_conforms(const OpenStore& open) {
  round_trip(open);
  chain_and_prune(open);
  trends(open);
  cache_and_counts(open);
  listing(open);
  pictures_of_findings(open);
}

}  // namespace plumbline::testing
