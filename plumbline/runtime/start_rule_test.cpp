#include "plumbline/runtime/start_rule.hpp"

#include <filesystem>
#include <functional>
#include <memory>

#include <gtest/gtest.h>

#include "plumbline/case/interface/json.hpp"
#include "plumbline/stats/intervals.hpp"
#include "tests/support/guarded_clouds.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::runtime {
namespace {

/// The facts that judging needs of the checks whose evidence is stored here.
check::Registry registry() {
  check::Registry all;
  for (const std::string id : {"probe.accuracy", "caution.uncertainty"}) {
    check::Entry entry;
    entry.info.id = id;
    entry.info.yields = {{"accuracy", "share", check::Direction::kHigherIsBetter, "share right", {}, {}}};
    all.add(std::move(entry));
  }
  return all;
}

namespace clouds = testing::clouds;

const GuardIdentity kGuard = {"reader", "model-1", "calibration", "rows-1", "thresholds-1"};

constexpr std::string_view kClaims =
    "[[claim]]\nid = \"good\"\ncheck = \"probe.accuracy\"\nmetric = \"accuracy\"\nat_least = 0.9\n";

/// A manifest and a store with one closed run over it, with faults on request.
class StartRule : public ::testing::Test {
 protected:
  void SetUp() override { write_manifest(std::string(kClaims)); }

  void write_manifest(const std::string& claims) {
    testing::write_file(folder_.file("system.toml"),
                        "[system]\nname = \"digits\"\n\n[data.test]\nmatrix = \"t.npy\"\n\n" + claims);
    const auto read = data::read_manifest(folder_.file("system.toml"));
    ASSERT_TRUE(read.ok()) << read.error().text();
    manifest_ = *read;
  }

  struct Fault {
    std::size_t right = 995;  ///< of 1000 test rows
    std::map<std::string, std::string> inputs = {
        {"model:reader", "model-1"}, {"data:calibration", "rows-1"}, {"data:test", "test-1"}};
    std::string thresholds = "thresholds-1";
    int exit_status = 0;
    check::RunStatus status = check::RunStatus::kSuccess;
    std::string system = "digits";
  };
  void store_run(const Fault& fault) {
    const auto store = run::open_sqlite_store(folder_.file("store.db"));
    ASSERT_TRUE(store.ok()) << store.error().text();
    check::RunRecord header;
    header.system = fault.system;
    header.manifest = manifest_.path;
    header.manifest_sha256 = manifest_.sha256;
    header.started = "2026-01-01T00:00:00Z";
    const auto id = (*store)->begin_run(header);
    ASSERT_TRUE(id.ok());
    check::Output output;
    check::Evidence evidence;
    evidence.check = "probe.accuracy";
    evidence.subject = "reader@test";
    evidence.metric = "accuracy";
    evidence.where = {{"data", "test"}};
    evidence.estimate = *stats::clopper_pearson(fault.right, 1000);
    evidence.inputs = fault.inputs;
    evidence.id = check::evidence_id(evidence);
    output.evidence.push_back(evidence);
    if (!fault.thresholds.empty()) {
      check::Artifact artifact;
      artifact.id = "caution.uncertainty.reader.thresholds";
      artifact.kind = "table";
      artifact.facts = {{"sha256", fault.thresholds}};
      output.artifacts.push_back(artifact);
    }
    check::LedgerEntry line;
    line.check = "probe.accuracy";
    line.subject = "reader@test";
    ASSERT_TRUE((*store)->add_task(*id, line, output).ok());
    ASSERT_TRUE((*store)->close_run(*id, fault.status, "2026-01-01T00:01:00Z", 60).ok());
    ASSERT_TRUE((*store)->set_verdicts(*id, "{}", "supported 1", fault.exit_status).ok());
  }

  base::Result<StartDecision> decide(const GuardIdentity& guard = kGuard, const std::vector<std::string>& accept = {},
                                     std::map<std::string, std::string> today = {{"model:reader", "model-1"},
                                                                                 {"data:calibration", "rows-1"},
                                                                                 {"data:test", "test-1"}}) {
    const auto reference = parse_case_reference("store.db#latest", folder_.path());
    PL_TRY(const AssessedCase assessed, read_case(manifest_, *reference, registry(), today));
    return judge_start(assessed, guard, accept);
  }
  std::string outcome(const base::Result<StartDecision>& decision) {
    return decision.ok() ? decision->text() : decision.error().text();
  }

  testing::TempFolder folder_;
  data::Manifest manifest_;
};

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_F(StartRule, ASupportedCaseOfTheSameSystemStarts) {
  store_run({});
  const auto decision = decide();
  ASSERT_TRUE(decision.ok()) << decision.error().text();
  EXPECT_TRUE(decision->may_start) << decision->text();
  EXPECT_TRUE(decision->obstacles.empty());
  EXPECT_EQ(decision->case_hash.size(), 64U);
  EXPECT_TRUE(decision->accepted.empty());
}

TEST_F(StartRule, ARefutedClaimStandsInTheWayUntilItIsAccepted) {
  store_run({.right = 800, .exit_status = 1});
  const auto refused = decide();
  ASSERT_TRUE(refused.ok());
  EXPECT_FALSE(refused->may_start);
  EXPECT_TRUE(holds(refused->text(), "stands in the way good: refuted")) << refused->text();
  const auto accepted = decide(kGuard, {"good"});
  ASSERT_TRUE(accepted.ok()) << accepted.error().text();
  EXPECT_TRUE(accepted->may_start);
  EXPECT_EQ(accepted->accepted, (std::vector<std::string>{"good"}));
}

TEST_F(StartRule, AnUndeterminedClaimDoesNotDo) {
  store_run({.right = 905, .exit_status = 3});
  EXPECT_TRUE(holds(outcome(decide()), "good: undetermined")) << outcome(decide());
}

TEST_F(StartRule, AClaimWithoutEvidenceDoesNotDo) {
  write_manifest(
      std::string(kClaims) +
      "\n[[claim]]\nid = \"more\"\ncheck = \"caution.uncertainty\"\nmetric = \"accuracy\"\nat_least = 0.5\n");
  store_run({.exit_status = 4});
  EXPECT_TRUE(holds(outcome(decide()), "stands in the way more: ")) << outcome(decide());
}

TEST_F(StartRule, AWaiverExcusesNothing) {
  write_manifest(std::string(kClaims) +
                 "\n[waiver.later]\nclaim = \"good\"\nowner = \"a\"\nreason = \"soon\"\nexpires = \"2999-01-01\"\n");
  store_run({.right = 800, .exit_status = 0});
  const std::string text = outcome(decide());
  EXPECT_TRUE(holds(text, "stands in the way good")) << text;
  EXPECT_TRUE(holds(text, "its waiver 'later' excuses no guard")) << text;
}

TEST_F(StartRule, AClaimOfSeverityWarnDoesNotCount) {
  write_manifest(std::string(kClaims) +
                 "\n[[claim]]\nid = \"nice\"\ncheck = \"probe.accuracy\"\nmetric = \"accuracy\"\nat_least = "
                 "0.999\nseverity = \"warn\"\n");
  store_run({});
  EXPECT_TRUE(holds(outcome(decide()), "may start on run")) << outcome(decide());
}

TEST_F(StartRule, ADefeatedClaimDoesNotDo) {
  write_manifest(std::string(kClaims) +
                 "\n[argument.doubt]\nkind = \"defeater\"\ntext = \"The test rows were seen in training\"\n"
                 "challenges = [\"good\"]\n");
  store_run({});
  EXPECT_TRUE(holds(outcome(decide()), "good: defeated")) << outcome(decide());
}

TEST_F(StartRule, EvidenceAboutOtherDataIsStale) {
  store_run({});
  const auto decision =
      decide(kGuard, {}, {{"model:reader", "model-1"}, {"data:calibration", "rows-1"}, {"data:test", "test-2"}});
  EXPECT_TRUE(holds(outcome(decision), "good: stale")) << outcome(decision);
}

TEST_F(StartRule, ModelRowsAndThresholdsMustBeThoseOfTheEvidence) {
  store_run({});
  const auto with = [](const std::function<void(GuardIdentity&)>& change) {
    GuardIdentity guard = kGuard;
    change(guard);
    return guard;
  };
  EXPECT_TRUE(
      holds(outcome(decide(with([](auto& g) { g.model_hash = "model-2"; }))),
            "stands in the way model: evidence is about model:reader with hash model-1, the guard's is model-2"));
  EXPECT_TRUE(holds(outcome(decide(with([](auto& g) { g.calibration_fingerprint = "rows-2"; }))),
                    "stands in the way calibration"));
  EXPECT_TRUE(holds(outcome(decide(with([](auto& g) { g.thresholds_hash = "thresholds-2"; }))),
                    "stands in the way thresholds: the run's thresholds hash to thresholds-1"));
  EXPECT_TRUE(holds(outcome(decide(with([](auto& g) { g.calibration = "other"; }))),
                    "no evidence of the run is about 'data:other'"));
  const auto accepted = decide(with([](auto& g) { g.thresholds_hash = "thresholds-2"; }), {"thresholds"});
  EXPECT_TRUE(holds(outcome(accepted), "1 accepted although not supported")) << outcome(accepted);
}

TEST_F(StartRule, WithoutThresholdsOrClaimsNothingWasPromised) {
  store_run({.thresholds = ""});
  EXPECT_TRUE(holds(outcome(decide()), "caution.uncertainty was not assessed on this model"));
  write_manifest("");
  EXPECT_TRUE(holds(outcome(decide()), "makes no claim of severity fail"));
}

// Claims that were weakened after the run do not make it a case that was supported.
TEST_F(StartRule, ARunThatWasJudgedOtherwiseStandsInTheWay) {
  store_run({.exit_status = 1});
  const std::string text = outcome(decide());
  EXPECT_TRUE(holds(text, "stands in the way case: when the run closed its exit status was 1")) << text;
  EXPECT_TRUE(holds(outcome(decide(kGuard, {"case"})), "may start")) << text;
}

TEST_F(StartRule, AChangedManifestIsNoted) {
  store_run({});
  write_manifest(std::string(kClaims) + "\n# a remark\n");
  const auto decision = decide();
  ASSERT_TRUE(decision.ok());
  EXPECT_TRUE(decision->may_start);
  ASSERT_EQ(decision->notes.size(), 1U);
  EXPECT_TRUE(holds(decision->notes[0], "the manifest was changed since the run"));
}

TEST_F(StartRule, WhatIsAcceptedMustExistAndBeNeeded) {
  store_run({});
  EXPECT_TRUE(holds(outcome(decide(kGuard, {"god"})), "'god' is no claim"));
  EXPECT_TRUE(holds(outcome(decide(kGuard, {"god"})), "Did you mean 'good'"));
  EXPECT_TRUE(holds(outcome(decide(kGuard, {"good"})), "'good' stands in nobody's way"));
}

TEST_F(StartRule, RunsThatCannotServeAreErrors) {
  EXPECT_TRUE(holds(outcome(decide()), "there is no store"));
  store_run({.status = check::RunStatus::kCancelled});
  EXPECT_TRUE(holds(outcome(decide()), "did not finish: cancelled")) << outcome(decide());
  store_run({.system = "letters"});
  EXPECT_TRUE(holds(outcome(decide()), "is about 'letters', this manifest about 'digits'"));
}

TEST_F(StartRule, HashesOfTodayAreReadWhereTheEvidenceSays) {
  run::SessionOptions options;
  options.open_predictor = [](const data::ModelSection&) -> base::Result<decision::PredictorPtr> {
    return decision::PredictorPtr(std::make_unique<clouds::LinearModel>("model-1"));
  };
  clouds::write_system(folder_.path(), std::string(kClaims));
  testing::write_file(folder_.file("costs.csv"), "action,0,1,2\na,0,1,1\n");
  testing::write_file(folder_.file("system.toml"), testing::read_file(folder_.file("system.toml")) +
                                                       "\n[reward.costs]\nkind = \"costs\"\npath = \"costs.csv\"\n");
  manifest_ = *data::read_manifest(folder_.file("system.toml"));
  run::Session session(manifest_, options);
  const auto print = [&](const std::string& name) { return (*session.dataset(name))->fingerprint; };
  ASSERT_TRUE(session.other("reward", "costs").ok());
  const std::map<std::string, std::string> inputs = {{"model:reader", "model-1"},
                                                     {"data:calibration", print("calibration")},
                                                     {"data:test", print("test")},
                                                     {"reward:costs", session.input_hash("reward:costs")}};
  store_run({.inputs = inputs, .system = "clouds"});
  const auto reference = *parse_case_reference("store.db#latest", folder_.path());
  const GuardIdentity guard = {"reader", "model-1", "calibration", print("calibration"), "thresholds-1"};
  const auto decide_with = [&](run::Session& with) -> base::Result<StartDecision> {
    PL_TRY(const AssessedCase assessed, read_case(manifest_, reference, registry(), with));
    return judge_start(assessed, guard, {});
  };
  EXPECT_TRUE(holds(outcome(decide_with(session)), "may start")) << outcome(decide_with(session));
  // Other costs than the evidence was about; a test set that is gone.
  testing::write_file(folder_.file("costs.csv"), "action,0,1,2\na,0,2,1\n");
  run::Session later(manifest_, options);
  EXPECT_TRUE(holds(outcome(decide_with(later)), "good: stale")) << outcome(decide_with(later));
  testing::write_file(folder_.file("costs.csv"), "action,0,1,2\na,0,1,1\n");
  std::filesystem::remove(folder_.file("test.npy"));
  run::Session without(manifest_, options);
  EXPECT_TRUE(holds(outcome(decide_with(without)), "good: stale")) << outcome(decide_with(without));
}

TEST(CaseReference, StoreAndRun) {
  const auto reference = parse_case_reference("a/store.db#latest", "/here");
  ASSERT_TRUE(reference.ok());
  EXPECT_EQ(reference->store, "/here/a/store.db");
  EXPECT_EQ(reference->run, "latest");
  EXPECT_EQ(parse_case_reference("/abs/s.db#r1", "/here")->store, "/abs/s.db");
  for (const std::string text : {"store.db", "#run", "store.db#", ""}) {
    EXPECT_FALSE(parse_case_reference(text, "/here").ok()) << text;
  }
}

}  // namespace
}  // namespace plumbline::runtime
