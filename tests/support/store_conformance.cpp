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

}  // namespace

void check_store_conforms(const OpenStore& open) {
  round_trip(open);
  chain_and_prune(open);
  trends(open);
  cache_and_counts(open);
}

}  // namespace plumbline::testing
