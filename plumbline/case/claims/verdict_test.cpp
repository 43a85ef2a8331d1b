#include "plumbline/case/claims/verdict.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/case/claims/test_support.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::claims {
namespace {

using support::at_least;
using support::evidence;
using support::judge_one;
using support::kZ;
using support::manifest;
using support::normal_estimate;
using support::registry;
using support::run_with;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

JudgeContext look(int k, bool anytime = false) {
  JudgeContext context;
  context.history["c"] = {.looks = k, .anytime_before_first_look = anytime};
  return context;
}

// ---- decision by bounds ---------------------------------------------------------------------------------------------

TEST(Verdict, AtLeastReadsTheLowerBoundForSupportAndTheUpperForRefutation) {
  // First look at 0.95: judged at 0.975, z = 1.96, both for support and for the only claim's refutation.
  EXPECT_EQ(judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.9 + 1.97 * 0.01, 0.01))}).verdict,
            Verdict::kSupported);
  EXPECT_EQ(judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.9 + 1.95 * 0.01, 0.01))}).verdict,
            Verdict::kUndetermined);
  EXPECT_EQ(judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.9 - 1.95 * 0.01, 0.01))}).verdict,
            Verdict::kUndetermined);
  const ClaimVerdict refuted = judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.9 - 1.97 * 0.01, 0.01))});
  EXPECT_EQ(refuted.verdict, Verdict::kRefuted);
  EXPECT_EQ(refuted.judged_level, 0.975);
  EXPECT_EQ(refuted.simultaneous_level, 0.975);
  EXPECT_THAT(refuted.reason, HasSubstr("accuracy of reader on test is 0.8803"));
  EXPECT_THAT(refuted.reason, HasSubstr("claimed: at least 0.9"));
}

TEST(Verdict, ABoundOnTheThresholdSupports) {
  auto estimate = normal_estimate(0.95, 0.01);
  estimate.bounds.lower[3] = 0.9;
  EXPECT_EQ(judge_one(at_least("c", 0.9), {evidence("e", estimate)}).verdict, Verdict::kSupported);
}

TEST(Verdict, AtMostIsTheMirrorImage) {
  auto claim = at_least("c", 0);
  claim.at_least.reset();
  claim.at_most = 0.1;
  EXPECT_EQ(judge_one(claim, {evidence("e", normal_estimate(0.08, 0.01))}).verdict, Verdict::kSupported);
  EXPECT_EQ(judge_one(claim, {evidence("e", normal_estimate(0.09, 0.01))}).verdict, Verdict::kUndetermined);
  EXPECT_EQ(judge_one(claim, {evidence("e", normal_estimate(0.12, 0.01))}).verdict, Verdict::kRefuted);
}

TEST(Verdict, WithinNeedsBothBoundsInsideAndHalvesTheErrorOfRefutation) {
  auto claim = at_least("c", 0);
  claim.at_least.reset();
  claim.within = {0.9, 1.1};
  EXPECT_EQ(judge_one(claim, {evidence("e", normal_estimate(1.0, 0.05))}).verdict, Verdict::kSupported);
  EXPECT_EQ(judge_one(claim, {evidence("e", normal_estimate(1.01, 0.05))}).verdict, Verdict::kUndetermined);
  // Refuting on either side: 0.025 / 2 = 0.0125, rounded up to the rung 0.99, z = 2.326.
  EXPECT_EQ(judge_one(claim, {evidence("e", normal_estimate(1.1 + 2.31 * 0.01, 0.01))}).verdict,
            Verdict::kUndetermined);
  EXPECT_EQ(judge_one(claim, {evidence("e", normal_estimate(1.1 + 2.34 * 0.01, 0.01))}).verdict, Verdict::kRefuted);
  EXPECT_EQ(judge_one(claim, {evidence("e", normal_estimate(0.9 - 2.34 * 0.01, 0.01))}).verdict, Verdict::kRefuted);
}

TEST(Verdict, ANullBoundAtTheRungIsReplacedByAHigherRungNeverALower) {
  auto estimate = normal_estimate(0.95, 0.01);
  estimate.bounds.lower[3].reset();  // 0.975; the bound at 0.99 is 0.9267
  EXPECT_EQ(judge_one(at_least("c", 0.926), {evidence("e", estimate)}).verdict, Verdict::kSupported);
  for (std::size_t i = 3; i < stats::kLadder.size(); ++i) estimate.bounds.lower[i].reset();
  const auto verdict = judge_one(at_least("c", 0.5), {evidence("e", estimate)});
  EXPECT_EQ(verdict.verdict, Verdict::kUndetermined);
  EXPECT_THAT(verdict.reason, HasSubstr("no bound at this level"));
}

TEST(Verdict, NotANumberBoundsNothing) {
  auto estimate = normal_estimate(0.95, 0.01);
  estimate.value = NAN;
  const auto verdict = judge_one(at_least("c", 0.5), {evidence("e", estimate)});
  EXPECT_EQ(verdict.verdict, Verdict::kUndetermined);
  EXPECT_FALSE(verdict.value.has_value());
  estimate = normal_estimate(0.95, 0.01);
  estimate.bounds.lower.fill(NAN);
  EXPECT_EQ(judge_one(at_least("c", 0.5), {evidence("e", estimate)}).verdict, Verdict::kUndetermined);
}

TEST(Verdict, ExactFiguresAndProofsHaveNoLevel) {
  auto verdict = judge_one(at_least("c", 0.9), {evidence("e", stats::exact(0.9, 100, "count"))}, look(50));
  EXPECT_EQ(verdict.verdict, Verdict::kSupported);
  EXPECT_FALSE(verdict.judged_level.has_value());
  EXPECT_THAT(verdict.reason, HasSubstr("exactly"));
  EXPECT_EQ(judge_one(at_least("c", 0.9), {evidence("e", stats::exact(0.9, 100, "count", 1e-3))}).verdict,
            Verdict::kUndetermined);
  EXPECT_EQ(judge_one(at_least("c", 0.9), {evidence("e", stats::exact(0.899, 100, "count"))}).verdict,
            Verdict::kRefuted);
  stats::Estimate proof;
  proof.value = 0.8;
  proof.exactness = stats::Exactness::kBound;
  proof.bounds.lower.fill(0.8);
  EXPECT_EQ(judge_one(at_least("c", 0.75), {evidence("e", proof)}).verdict, Verdict::kSupported);
  const auto open = judge_one(at_least("c", 0.85), {evidence("e", proof)});
  EXPECT_EQ(open.verdict, Verdict::kUndetermined);
  EXPECT_FALSE(open.needs_more.has_value());
  EXPECT_THAT(open.needs_more_reason, HasSubstr("proof"));
}

TEST(Verdict, ClaimsAboutTheseRowsAreJudgedOnTheFigureItself) {
  auto claim = at_least("c", 0.9);
  const auto sampled = evidence("e", normal_estimate(0.901, 0.05));
  EXPECT_EQ(judge_one(claim, {sampled}).verdict, Verdict::kUndetermined);
  claim.population = "these";
  EXPECT_EQ(judge_one(claim, {sampled}, look(100)).verdict, Verdict::kSupported);
  claim.at_least = 0.902;
  const auto refuted = judge_one(claim, {sampled}, look(100));
  EXPECT_EQ(refuted.verdict, Verdict::kRefuted);
  EXPECT_THAT(refuted.reason, HasSubstr("the stored rows themselves"));
}

// ---- looks ----------------------------------------------------------------------------------------------------------

TEST(Looks, LevelOfLookKIsRoundedUpToARung) {
  // 1 - 0.05 / (k (k + 1)): 0.975, 0.99167, 0.99583, 0.9975, 0.99833, 0.99881, 0.99911 ... 0.999892 at 21, 0.999901
  // at 22.
  const double rungs[] = {0.975, 0.995, 0.999, 0.999, 0.999, 0.999, 0.9999};
  for (int k = 1; k <= 7; ++k) {
    EXPECT_EQ(judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.95, 0.001))}, look(k)).judged_level,
              rungs[k - 1])
        << k;
  }
  EXPECT_EQ(judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.95, 0.001))}, look(21)).verdict,
            Verdict::kSupported);
  const auto exhausted = judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.95, 0.001))}, look(22));
  EXPECT_EQ(exhausted.verdict, Verdict::kUndetermined);
  EXPECT_THAT(exhausted.reason, HasSubstr("ladder exhausted"));
  EXPECT_FALSE(exhausted.needs_more.has_value());
  EXPECT_EQ(exhausted.needs_more_reason, "ladder exhausted");
  EXPECT_EQ(judge_one(at_least("c", 0.99), {evidence("e", normal_estimate(0.95, 0.001))}, look(22)).verdict,
            Verdict::kUndetermined);
}

TEST(Looks, AnytimeKeepsTheLevelOnlyWhenDeclaredBeforeTheFirstLookAndBoundsAllowIt) {
  auto claim = at_least("c", 0.9);
  auto bounds = normal_estimate(0.95, 0.001);
  EXPECT_EQ(judge_one(claim, {evidence("e", bounds)}, look(4, true)).judged_level, 0.999);
  claim.sampling = "anytime";
  EXPECT_EQ(judge_one(claim, {evidence("e", bounds)}, look(4, true)).judged_level,
            0.999);  // bounds are not anytime-valid
  bounds.anytime = true;
  EXPECT_EQ(judge_one(claim, {evidence("e", bounds)}, look(4, false)).judged_level, 0.999);
  EXPECT_EQ(judge_one(claim, {evidence("e", bounds)}, look(4, true)).judged_level, 0.95);
  EXPECT_EQ(judge_one(claim, {evidence("e", bounds)}, look(400, true)).verdict, Verdict::kSupported);
}

TEST(Looks, ConfidenceAboveTheLadderNeedsExactProvedOrAnytime) {
  auto claim = at_least("c", 0.9);
  claim.confidence = 0.9995;
  const auto refused = judge_one(claim, {evidence("e", normal_estimate(0.95, 0.001))});
  EXPECT_EQ(refused.verdict, Verdict::kNotEvaluated);
  EXPECT_THAT(refused.reason, HasSubstr("refused"));
  EXPECT_EQ(judge_one(claim, {evidence("e", normal_estimate(0.5, 0.001))}).verdict, Verdict::kNotEvaluated);
  EXPECT_EQ(judge_one(claim, {evidence("e", stats::exact(0.95, 10, "count"))}).verdict, Verdict::kSupported);
  claim.sampling = "anytime";
  auto anytime = normal_estimate(0.95, 0.001);
  anytime.anytime = true;
  EXPECT_EQ(judge_one(claim, {evidence("e", anytime)}, look(3, true)).verdict, Verdict::kSupported);
  claim.confidence = 0.999;
  claim.sampling = "fixed";
  EXPECT_EQ(judge_one(claim, {evidence("e", normal_estimate(0.95, 0.001))}).verdict, Verdict::kSupported);
}

TEST(Looks, KeysIgnoreThresholdBuildAndPrintedLevelButNotSeedOrModel) {
  const auto claim = at_least("c", 0.9);
  auto e = evidence("e", normal_estimate(0.95, 0.001));
  const auto keys = [&](const data::ClaimSection& about, const check::Evidence& x) {
    return look_keys(about, manifest(), run_with({x}), registry());
  };
  const LookKeys first = keys(claim, e);
  ASSERT_EQ(first.uses.size(), 1u);
  EXPECT_EQ(first.uses[0].test_fingerprint, "fingerprint-test");
  EXPECT_EQ(keys(at_least("other", 0.8), e).lineage, first.lineage);
  auto same = e;
  same.build = "another build";
  same.artifacts = {"x"};
  same.level = 0.9;
  EXPECT_EQ(keys(claim, same).content, first.content);
  auto seeded = e;
  seeded.seed = 8;
  EXPECT_NE(keys(claim, seeded).content, first.content);
  EXPECT_EQ(keys(claim, seeded).lineage, first.lineage);
  auto grown = e;
  grown.inputs["data:test"] = "more rows";
  grown.estimate.n = 2000;
  EXPECT_EQ(keys(claim, grown).lineage, first.lineage);
  EXPECT_NE(keys(claim, grown).content, first.content);
  auto other_model = e;
  other_model.inputs["model:reader"] = "hash-2";
  EXPECT_NE(keys(claim, other_model).lineage, first.lineage);
  EXPECT_NE(keys(claim, other_model).uses[0].model_hash, first.uses[0].model_hash);
  auto exact = e;
  exact.estimate = stats::exact(1, 10, "count");
  EXPECT_TRUE(keys(claim, exact).content.empty());
}

TEST(Looks, SelectedAfterTheBudgetOfModelsOrSeeds) {
  JudgeContext context;
  context.history["c"].models = 10;
  const auto e = evidence("e", normal_estimate(0.95, 0.001));
  EXPECT_FALSE(judge_one(at_least("c", 0.9), {e}, context).selected);
  context.history["c"].models = 11;
  const auto verdict = judge_one(at_least("c", 0.9), {e}, context);
  EXPECT_TRUE(verdict.selected);
  EXPECT_EQ(verdict.verdict, Verdict::kSupported);
  context.history["c"] = {.seeds = 11};
  EXPECT_TRUE(judge_one(at_least("c", 0.9), {e}, context).selected);
}

// ---- Holm -----------------------------------------------------------------------------------------------------------

std::vector<Verdict> judge_many(const std::vector<double>& z, int unmatched = 0) {
  // Claim i is refuted by z[i] standard errors.
  data::Manifest m = manifest();
  std::vector<check::Evidence> all;
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::string set = "set" + std::to_string(i);
    auto claim = at_least("c" + std::to_string(i), 0.9);
    claim.where = {{"data", set}};
    m.claims.push_back(claim);
    all.push_back(evidence("e" + std::to_string(i), normal_estimate(0.9 - z[i] * 0.01, 0.01), set));
  }
  for (int i = 0; i < unmatched; ++i) {
    auto claim = at_least("u" + std::to_string(i), 0.9);
    claim.where = {{"data", "nowhere"}};
    m.claims.push_back(claim);
  }
  std::vector<Verdict> verdicts;
  for (const auto& v : judge(m, run_with(all), registry())) verdicts.push_back(v.verdict);
  return verdicts;
}

TEST(Holm, StepsDownFromTheSurestRefutation) {
  using enum Verdict;
  // Two claims: the surest needs 0.025 / 2 -> 0.99 (2.33), the next only 0.975 (1.96).
  EXPECT_THAT(judge_many({2.40, 2.00}), ElementsAre(kRefuted, kRefuted));
  EXPECT_THAT(judge_many({2.00, 2.40}), ElementsAre(kRefuted, kRefuted));
  EXPECT_THAT(judge_many({2.20, 2.20}), ElementsAre(kUndetermined, kUndetermined));
  EXPECT_THAT(judge_many({2.40, 1.90}), ElementsAre(kRefuted, kUndetermined));
  // Claims that did not run count: three claims need 0.025 / 3 -> 0.995 (2.576).
  EXPECT_THAT(judge_many({2.40}, 2), ElementsAre(kUndetermined, kNotEvaluated, kNotEvaluated));
  EXPECT_THAT(judge_many({2.60}, 2), ElementsAre(kRefuted, kNotEvaluated, kNotEvaluated));
}

TEST(Holm, ExactRefutationsStepAsideForTheOthers) {
  data::Manifest m = manifest();
  m.claims = {at_least("exact", 0.9), at_least("sampled", 0.9)};
  m.claims[0].where = {{"data", "test"}};
  m.claims[1].where = {{"data", "second"}};
  const auto verdicts = judge(m,
                              run_with({evidence("a", stats::exact(0.5, 10, "count"), "test"),
                                        evidence("b", normal_estimate(0.9 - 0.0197, 0.01), "second")}),
                              registry());
  EXPECT_EQ(verdicts[0].verdict, Verdict::kRefuted);
  EXPECT_EQ(verdicts[1].verdict, Verdict::kRefuted);  // 1.97 > 1.96: alone in the second step
  EXPECT_EQ(verdicts[1].simultaneous_level, 0.975);
}

TEST(Holm, SupportIsNotAdjustedOverClaims) {
  EXPECT_THAT(judge_many({-2.0, -2.0, -2.0, -2.0}), ::testing::Each(Verdict::kSupported));
}

TEST(Holm, TooManyClaimsForTheLadderLeaveARefutationOpen) {
  EXPECT_EQ(judge_many({50}, 249).front(), Verdict::kRefuted);       // 0.025 / 250 = 1e-4
  EXPECT_EQ(judge_many({50}, 250).front(), Verdict::kUndetermined);  // above the ladder
}

// ---- which number ---------------------------------------------------------------------------------------------------

TEST(Where, SlicesClassesAndDetectorsOnlyWhenNamedOrDefault) {
  const auto whole = evidence("whole", normal_estimate(0.95, 0.001));
  const auto slice = evidence("slice", normal_estimate(0.5, 0.001), "test", "accuracy", {{"slice", "thick"}});
  auto claim = at_least("c", 0.9);
  EXPECT_THAT(judge_one(claim, {slice, whole}).evidence, ElementsAre("whole"));
  EXPECT_EQ(judge_one(claim, {slice}).verdict, Verdict::kNotEvaluated);
  EXPECT_THAT(judge_one(claim, {slice}).reason, HasSubstr("slice = thick"));
  claim.where = {{"slice", "thick"}};
  EXPECT_EQ(judge_one(claim, {slice, whole}).verdict, Verdict::kRefuted);

  auto ood = claim;
  ood.check = "robustness.ood";
  ood.metric = "auroc";
  ood.where = {};
  const auto first = evidence("m", normal_estimate(0.95, 0.001), "elsewhere", "auroc", {{"detector", "mahalanobis"}});
  const auto second = evidence("k", normal_estimate(0.99, 0.001), "elsewhere", "auroc", {{"detector", "knn"}});
  EXPECT_THAT(judge_one(ood, {first, second}).evidence, ElementsAre("m"));
  ood.where = {{"detector", "knn"}};
  EXPECT_THAT(judge_one(ood, {first, second}).evidence, ElementsAre("k"));
}

TEST(Where, SeveralSetsTheWorstMustHoldAndTrainOnlyWhenNamed) {
  const auto test = evidence("t", normal_estimate(0.95, 0.001), "test");
  const auto second = evidence("s", normal_estimate(0.92, 0.001), "second");
  const auto train = evidence("r", normal_estimate(0.5, 0.001), "train");
  auto claim = at_least("c", 0.9);
  auto verdict = judge_one(claim, {test, second, train});
  EXPECT_EQ(verdict.verdict, Verdict::kSupported);
  EXPECT_THAT(verdict.evidence, ElementsAre("t", "s"));
  EXPECT_EQ(verdict.deciding, "s");
  EXPECT_THAT(verdict.reason, HasSubstr("worst of 2 figures (second and test)"));
  claim.at_least = 0.94;
  verdict = judge_one(claim, {test, second, train});
  EXPECT_EQ(verdict.verdict, Verdict::kRefuted);
  EXPECT_EQ(verdict.deciding, "s");
  claim.at_least = 0.9195;
  EXPECT_EQ(judge_one(claim, {test, second, train}).verdict, Verdict::kUndetermined);
  claim.where = {{"data", "train"}};
  EXPECT_EQ(judge_one(claim, {test, second, train}).verdict, Verdict::kRefuted);
}

TEST(Where, SeveralSetsShareTheErrorOfARefutation) {
  auto claim = at_least("c", 0.9);
  const auto low = evidence("t", normal_estimate(0.9 - 0.022, 0.01), "test");
  const auto fine = evidence("s", normal_estimate(0.99, 0.001), "second");
  EXPECT_EQ(judge_one(claim, {low}).verdict, Verdict::kRefuted);             // 2.2 > 1.96
  EXPECT_EQ(judge_one(claim, {low, fine}).verdict, Verdict::kUndetermined);  // 0.0125 -> 0.99, 2.2 < 2.33
}

TEST(Where, ModelSelectsBySubject) {
  auto other = evidence("b", normal_estimate(0.5, 0.001));
  other.subject = "baseline@test";
  auto claim = at_least("c", 0.9);
  EXPECT_EQ(judge_one(claim, {evidence("a", normal_estimate(0.95, 0.001)), other}).verdict, Verdict::kRefuted);
  claim.where = {{"model", "reader"}};
  EXPECT_THAT(judge_one(claim, {evidence("a", normal_estimate(0.95, 0.001)), other}).evidence, ElementsAre("a"));
}

// ---- what did not run -----------------------------------------------------------------------------------------------

TEST(NotEvaluated, SaysWhyFromTheLedger) {
  data::Manifest m = manifest();
  m.claims = {at_least("c", 0.9)};
  auto run = run_with({});
  run.ledger = {{"probe.accuracy", "", check::LedgerStatus::kNotApplicable, "no labels", "", 0, false}};
  auto verdict = judge(m, run, registry()).front();
  EXPECT_EQ(verdict.verdict, Verdict::kNotEvaluated);
  EXPECT_EQ(verdict.reason, "probe.accuracy is not applicable: no labels");
  run.ledger = {{"probe.accuracy", "reader@test", check::LedgerStatus::kError, "out of memory", "", 0, false}};
  EXPECT_EQ(judge(m, run, registry()).front().reason, "probe.accuracy on reader@test is in error: out of memory");
  run.ledger = {{"probe.accuracy", "", check::LedgerStatus::kSkipped, "not asked for", "", 0, false}};
  EXPECT_EQ(judge(m, run, registry()).front().reason, "probe.accuracy is skipped: not asked for");
  run.ledger.clear();
  EXPECT_EQ(judge(m, run, registry()).front().reason, "probe.accuracy left no evidence on accuracy");
  m.claims[0].metric = "accurcy";
  EXPECT_EQ(judge(m, run, registry()).front().reason, "probe.accuracy has no metric 'accurcy'");
  m.claims[0].check = "probe.acuracy";
  EXPECT_EQ(judge(m, run, registry()).front().reason, "no check is called 'probe.acuracy'");
  m.claims[0] = at_least("c", 0.9);
  m.claims[0].at_most = 1;
  EXPECT_THAT(judge(m, run, registry()).front().reason, HasSubstr("exactly one"));
}

TEST(NotEvaluated, APartInErrorTakesSupportAwayButNotARefutation) {
  data::Manifest m = manifest();
  m.claims = {at_least("c", 0.9)};
  auto run = run_with({evidence("t", normal_estimate(0.95, 0.001), "test")});
  run.ledger.push_back({"probe.accuracy", "reader@second", check::LedgerStatus::kError, "crashed", "", 0, false});
  auto verdict = judge(m, run, registry()).front();
  EXPECT_EQ(verdict.verdict, Verdict::kNotEvaluated);
  EXPECT_THAT(verdict.reason, HasSubstr("crashed"));
  m.claims[0].where = {{"data", "test"}};  // the part in error is another one
  EXPECT_EQ(judge(m, run, registry()).front().verdict, Verdict::kSupported);
  m.claims[0].where = {};
  m.claims[0].at_least = 0.99;
  EXPECT_EQ(judge(m, run, registry()).front().verdict, Verdict::kRefuted);
  run.ledger.back().subject = "reader@train";  // never part of an unnamed claim
  m.claims[0].at_least = 0.9;
  EXPECT_EQ(judge(m, run, registry()).front().verdict, Verdict::kSupported);
}

// ---- waivers, staleness, standing -----------------------------------------------------------------------------------

TEST(Waiver, NeverChangesTheVerdictAndHoldsThroughItsLastDay) {
  data::Manifest m = manifest();
  m.claims = {at_least("c", 0.9)};
  m.waivers["w"] = {.id = "w", .claim = "c", .owner = "Ada", .reason = "known", .expires = "2026-02-28"};
  const auto run = run_with({evidence("e", normal_estimate(0.5, 0.01))});
  JudgeContext context;
  context.today = "2026-02-28";
  auto verdicts = judge(m, run, registry(), context);
  EXPECT_EQ(verdicts[0].verdict, Verdict::kRefuted);
  ASSERT_TRUE(verdicts[0].waiver.has_value());
  EXPECT_FALSE(verdicts[0].waiver->expired);
  EXPECT_EQ(exit_status(verdicts, run).code, 0);
  context.today = "2026-03-01";
  verdicts = judge(m, run, registry(), context);
  EXPECT_TRUE(verdicts[0].waiver->expired);
  EXPECT_EQ(verdicts[0].waiver->owner, "Ada");
  EXPECT_EQ(exit_status(verdicts, run).code, 1);
  context.today = "2026-01-01";
  m.waivers["w"].expires = "soon";
  EXPECT_TRUE(judge(m, run, registry(), context)[0].waiver->expired);
  context.today = "";  // a day that is not known waives nothing
  m.waivers["w"].expires = "2026-02-28";
  EXPECT_TRUE(judge(m, run, registry(), context)[0].waiver->expired);
}

TEST(Standing, WorstOfOrder) {
  ClaimVerdict v;
  v.verdict = Verdict::kSupported;
  EXPECT_EQ(standing_of(v), Standing::kSupported);
  v.defeat = Defeat::kChallenged;
  EXPECT_EQ(standing_of(v), Standing::kUndetermined);
  v.freshness = Freshness::kStale;
  EXPECT_EQ(standing_of(v), Standing::kStale);
  v.verdict = Verdict::kNotEvaluated;
  EXPECT_EQ(standing_of(v), Standing::kStale);
  v.defeat = Defeat::kDefeated;
  EXPECT_EQ(standing_of(v), Standing::kDefeated);
  v.verdict = Verdict::kRefuted;
  EXPECT_EQ(standing_of(v), Standing::kRefuted);
}

TEST(Standing, EvidenceOfOtherInputsIsStale) {
  JudgeContext context;
  context.current_inputs = {{"data:test", "fingerprint-test"}, {"model:reader", "hash-1"}};
  const auto e = evidence("e", normal_estimate(0.95, 0.001));
  EXPECT_EQ(judge_one(at_least("c", 0.9), {e}, context).freshness, Freshness::kCurrent);
  context.current_inputs["model:reader"] = "hash-2";
  const auto stale = judge_one(at_least("c", 0.9), {e}, context);
  EXPECT_EQ(stale.freshness, Freshness::kStale);
  EXPECT_EQ(stale.verdict, Verdict::kSupported);
}

// ---- no_worse_than --------------------------------------------------------------------------------------------------

data::ClaimSection no_worse(double margin) {
  auto claim = at_least("c", 0);
  claim.at_least.reset();
  claim.no_worse_than = "champion";
  claim.margin = margin;
  return claim;
}

JudgeContext against(std::vector<check::Evidence> all, std::vector<check::Artifact> artifacts = {}) {
  JudgeContext context;
  context.champions["champion"] = run_with(std::move(all));
  context.champions["champion"].artifacts = std::move(artifacts);
  return context;
}

TEST(NoWorseThan, UnpairedTakesTheDifferenceOfBoundsAtHalfTheError) {
  const auto champion = against({evidence("old", normal_estimate(0.95, 0.001))});
  // First look at 0.95: 0.025 / 2 -> 0.99, so both bounds at z = 2.326: difference 0 +- 0.00465.
  const auto mine = evidence("new", normal_estimate(0.95, 0.001));
  auto verdict = judge_one(no_worse(0.005), {mine}, champion);
  EXPECT_EQ(verdict.verdict, Verdict::kSupported);
  EXPECT_NEAR(*verdict.low, -2 * kZ[4] * 0.001, 1e-12);
  EXPECT_THAT(verdict.reason, HasSubstr("unpaired"));
  EXPECT_EQ(judge_one(no_worse(0.0046), {mine}, champion).verdict, Verdict::kUndetermined);
  EXPECT_EQ(judge_one(no_worse(0.005), {evidence("new", normal_estimate(0.93, 0.001))}, champion).verdict,
            Verdict::kRefuted);
}

TEST(NoWorseThan, LowerIsBetterIsMirrored) {
  auto old = evidence("old", normal_estimate(0.05, 0.001));
  old.direction = check::Direction::kLowerIsBetter;
  auto mine = old;
  mine.estimate = normal_estimate(0.07, 0.001);
  EXPECT_EQ(judge_one(no_worse(0.005), {mine}, against({old})).verdict, Verdict::kRefuted);
  mine.estimate = normal_estimate(0.03, 0.001);
  const auto better = judge_one(no_worse(0), {mine}, against({old}));
  EXPECT_EQ(better.verdict, Verdict::kSupported);
  EXPECT_NEAR(*better.value, 0.02, 1e-12);
}

TEST(NoWorseThan, SaysWhatIsMissing) {
  const auto mine = evidence("new", normal_estimate(0.95, 0.001));
  EXPECT_EQ(judge_one(no_worse(0.01), {mine}).reason, "run 'champion' is not in the store");
  EXPECT_THAT(judge_one(no_worse(0.01), {mine}, against({})).reason,
              HasSubstr("has no evidence on accuracy of reader on test"));
  auto neutral = mine;
  neutral.direction = check::Direction::kNone;
  EXPECT_THAT(judge_one(no_worse(0.01), {neutral}, against({neutral})).reason, HasSubstr("no better direction"));
}

std::pair<check::Evidence, check::Artifact> outcomes(const std::string& id, const std::vector<double>& right) {
  double total = 0;
  std::vector<double> rows;
  for (std::size_t i = 0; i < right.size(); ++i) {
    total += right[i];
    rows.push_back(static_cast<double>(i));
  }
  const double n = static_cast<double>(right.size());
  const double p = total / n;
  auto e = evidence(id, normal_estimate(p, std::sqrt(p * (1 - p) / n), n));
  e.artifacts = {id + "-rows"};
  check::Artifact table;
  table.id = id + "-rows";
  table.kind = "row-outcomes";
  table.columns = {{"row", "", rows}, {"outcome", "", right}};
  return {e, table};
}

TEST(NoWorseThan, PairedUsesTheRowsOnWhichTheRunsDiffer) {
  // 2000 rows, both right on 90 %, differing on 10 rows each way.
  std::vector<double> a(2000, 1);
  std::vector<double> b(2000, 1);
  for (int i = 0; i < 200; ++i) a[i] = b[i] = 0;
  for (int i = 0; i < 10; ++i) a[500 + i] = b[600 + i] = 0;
  const auto [mine, my_rows] = outcomes("new", a);
  const auto [old, old_rows] = outcomes("old", b);
  data::Manifest m = manifest();
  m.claims = {no_worse(0.011)};
  auto run = run_with({mine});
  const auto unpaired = judge(m, run, registry(), against({old})).front();
  EXPECT_EQ(unpaired.verdict, Verdict::kUndetermined);
  run.artifacts = {my_rows};
  auto paired = judge(m, run, registry(), against({old}, {old_rows})).front();
  EXPECT_EQ(paired.verdict, Verdict::kSupported);
  EXPECT_THAT(paired.reason, HasSubstr("paired over 2000 rows: 10 gained, 10 lost"));
  // 10 of 2000 at one-sided 0.99: Clopper-Pearson 0.00206 (beta(10, 1991)) to 0.01006 (beta(11, 1990)).
  EXPECT_NEAR(*paired.low, -0.0080, 2e-4);

  auto shifted = old;
  shifted.inputs["data:test"] = "other rows";  // other rows: no pairing
  EXPECT_EQ(judge(m, run, registry(), against({shifted}, {old_rows})).front().verdict, Verdict::kUndetermined);
  auto broken = old_rows;
  broken.columns[0].values = std::vector<double>(2000, 3);  // duplicate rows: no pairing
  EXPECT_EQ(judge(m, run, registry(), against({old}, {broken})).front().verdict, Verdict::kUndetermined);
}

// ---- needs more -----------------------------------------------------------------------------------------------------

TEST(NeedsMore, NullWithAReasonWhereNoNumberSettlesIt) {
  EXPECT_THAT(judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.9, 0.01))}).needs_more_reason,
              HasSubstr("threshold"));
  EXPECT_THAT(judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.91, 0.01, 0))}).needs_more_reason,
              HasSubstr("how many"));
  EXPECT_THAT(judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.901, 0.01))}, look(21)).needs_more_reason,
              HasSubstr("ladder"));
  EXPECT_EQ(judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.99, 0.01))}).needs_more_reason, "settled");
}

TEST(NeedsMore, IsTheTextbookSizeAtTheNextLook) {
  // Second look: 1 - 0.05 / 6 -> 0.995, z = 2.5758; power 0.8, z = 0.8416. se = 0.01 at n = 1000, distance 0.01.
  const auto verdict = judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.91, 0.01))});
  ASSERT_TRUE(verdict.needs_more.has_value());
  EXPECT_NEAR(*verdict.needs_more, 1000 * std::pow(2.575829 + 0.841621, 2), 1.01);
  EXPECT_THAT(verdict.reason, HasSubstr("rows in all would probably settle it"));
  const auto refuting = judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.89, 0.01))});
  EXPECT_NEAR(*refuting.needs_more, *verdict.needs_more, 1.01);
}

TEST(NeedsMoreStatistical, SettlesWithTheStatedProbability) {
  // Truth = estimate: at the n it names, the next look must support about 80 % of the time. 1000 draws: the band for
  // 0.8 at a false-alarm rate of 1e-4 is about 750..848; a plan 10 % too small (power 0.755) slips through 0.63 of the
  // time, one 25 % too small (0.67) with probability below 1e-6.
  const auto first = judge_one(at_least("c", 0.9), {evidence("e", normal_estimate(0.91, 0.01))});
  const double se = 0.01 * std::sqrt(1000 / *first.needs_more);
  const int hits = plumbline::testing::count_seeds(1000, [&](base::Rng& rng) {
    const auto e = evidence("e", normal_estimate(rng.normal(0.91, se), se, *first.needs_more));
    return judge_one(at_least("c", 0.9), {e}, look(2)).verdict == Verdict::kSupported;
  });
  EXPECT_TRUE(plumbline::testing::binomial_band(1000, 0.8).contains(hits)) << hits;
}

// ---- properties -----------------------------------------------------------------------------------------------------

TEST(VerdictProperty, TighterBoundsNeverTurnSupportIntoRefutationNorBack) {
  base::Rng rng(5, {"tighter"});
  for (int round = 0; round < 2000; ++round) {
    auto claim = at_least("c", 0.9);
    if (round % 3 == 1) {
      claim.at_least.reset();
      claim.at_most = 0.9;
    } else if (round % 3 == 2) {
      claim.at_least.reset();
      claim.within = {0.88, 0.92};
    }
    claim.confidence = rng.uniform(0.5, 0.999);
    auto wide = normal_estimate(rng.uniform(0.8, 1.0), rng.uniform(0.001, 0.05));
    auto tight = wide;
    for (std::size_t i = 0; i < stats::kLadder.size(); ++i) {
      const double keep = 0.5;
      tight.bounds.lower[i] = wide.value + keep * (*wide.bounds.lower[i] - wide.value);
      tight.bounds.upper[i] = wide.value + keep * (*wide.bounds.upper[i] - wide.value);
    }
    const auto context = look(1 + static_cast<int>(rng.below(10)));
    const Verdict before = judge_one(claim, {evidence("e", wide)}, context).verdict;
    const Verdict after = judge_one(claim, {evidence("e", tight)}, context).verdict;
    EXPECT_TRUE(before == Verdict::kUndetermined || after == before) << round;
  }
}

TEST(VerdictProperty, MoreConfidenceMoreLooksAndMoreClaimsNeverSettleMore) {
  base::Rng rng(6, {"monotone"});
  for (int round = 0; round < 1000; ++round) {
    auto claim = at_least("c", 0.9);
    const auto e = evidence("e", normal_estimate(rng.uniform(0.8, 1.0), rng.uniform(0.005, 0.03)));
    claim.confidence = 0.9;
    const Verdict easy = judge_one(claim, {e}).verdict;
    const Verdict later = judge_one(claim, {e}, look(5)).verdict;
    claim.confidence = 0.99;
    const Verdict strict = judge_one(claim, {e}).verdict;
    for (const Verdict harder : {later, strict}) EXPECT_TRUE(harder == easy || harder == Verdict::kUndetermined);
  }
}

TEST(VerdictStatistical, TwentyLooksKeepFalseSupportBelowFivePercent) {
  // Truth exactly on the threshold, data accumulating over twenty looks, stopping at the first support. Uncorrected
  // looks at one-sided 0.05 support falsely in about 22 % or more; corrected looks must stay at or below 5 %.
  // 2000 runs: at a true rate of 0.05 the bound is passed with probability 1e-4.
  const int runs = 2000;
  int corrected = 0;
  int uncorrected = 0;
  for (int seed = 0; seed < runs; ++seed) {
    base::Rng rng(static_cast<std::uint64_t>(seed), {"looks"});
    double sum = 0;
    bool hit = false;
    bool naive = false;
    for (int k = 1; k <= 20; ++k) {
      sum += rng.normal();
      const double mean = sum / k;
      const double se = 1 / std::sqrt(k);
      naive = naive || mean - kZ[2] * se >= 0;
      if (!hit)
        hit = judge_one(at_least("c", 0), {evidence("e", normal_estimate(mean, se))}, look(k)).verdict ==
              Verdict::kSupported;
    }
    corrected += hit ? 1 : 0;
    uncorrected += naive ? 1 : 0;
  }
  EXPECT_LE(corrected, plumbline::testing::binomial_band(runs, 0.05).high) << corrected;
  EXPECT_GE(uncorrected, 0.18 * runs) << uncorrected;
  RecordProperty("corrected", corrected);
  RecordProperty("uncorrected", uncorrected);
}

TEST(VerdictStatistical, HolmKeepsFalseRefutationsBelowFivePercentOverTenClaims) {
  const int runs = 1000;
  const int any = plumbline::testing::count_seeds(runs, [](base::Rng& rng) {
    std::vector<double> z(10);
    for (double& each : z) each = rng.normal();
    const auto verdicts = judge_many(z);
    return std::find(verdicts.begin(), verdicts.end(), Verdict::kRefuted) != verdicts.end();
  });
  EXPECT_LE(any, plumbline::testing::binomial_band(runs, 0.05).high) << any;
}

TEST(VerdictStatistical, JointSupportIsFalseAtMostFivePercentOfTheTime) {
  // Five claims, one of them false by nothing (on the threshold), the others true with much room.
  const int runs = 1000;
  const int all = plumbline::testing::count_seeds(runs, [](base::Rng& rng) {
    const auto verdicts = judge_many({rng.normal(), -9, -9, -9, -9});
    return std::all_of(verdicts.begin(), verdicts.end(), [](Verdict v) { return v == Verdict::kSupported; });
  });
  EXPECT_LE(all, plumbline::testing::binomial_band(runs, 0.05).high) << all;
}

// ---- exit status ----------------------------------------------------------------------------------------------------

ClaimVerdict plain(const std::string& id, Verdict verdict, const std::string& severity = "fail") {
  ClaimVerdict v;
  v.id = id;
  v.verdict = verdict;
  v.severity = severity;
  return v;
}

TEST(ExitStatus, TableAndPrecedence) {
  using enum Verdict;
  const auto run = run_with({});
  const auto code = [&](std::vector<ClaimVerdict> all, const ExitFlags& flags = {}) {
    return exit_status(all, run, flags).code;
  };
  EXPECT_EQ(code({plain("a", kSupported)}), 0);
  EXPECT_EQ(code({plain("a", kSupported), plain("b", kRefuted)}), 1);
  EXPECT_EQ(code({plain("a", kSupported), plain("b", kUndetermined)}), 3);
  EXPECT_EQ(code({plain("a", kNotEvaluated), plain("b", kUndetermined)}), 4);
  EXPECT_EQ(code({plain("a", kNotEvaluated), plain("b", kRefuted)}), 1);
  EXPECT_EQ(code({plain("a", kRefuted)}, {.interrupted = true}), 130);
  EXPECT_EQ(code({plain("a", kRefuted)}, {.bad_input = true, .interrupted = true}), 2);
  EXPECT_EQ(code({plain("a", kUndetermined)}, {.fail_on_refuted = true}), 0);
  EXPECT_EQ(code({plain("a", kNotEvaluated)}, {.fail_on_refuted = true}), 4);
  EXPECT_EQ(code({plain("a", kRefuted)}, {.fail_on_refuted = true}), 1);
  EXPECT_EQ(code({plain("a", kRefuted, "warn"), plain("b", kNotEvaluated, "warn")}), 0);
  EXPECT_EQ(code({}), 0);
}

TEST(ExitStatus, ErrorsInTheLedgerAreFour) {
  auto run = run_with({});
  run.ledger.push_back({"probe.other", "reader", check::LedgerStatus::kError, "crashed", "", 0, false});
  const auto status = exit_status({plain("a", Verdict::kSupported)}, run);
  EXPECT_EQ(status.code, 4);
  EXPECT_EQ(status.reason, "1 check ended in error: probe.other on reader");
  EXPECT_EQ(exit_status({plain("a", Verdict::kUndetermined)}, run, {.fail_on_refuted = true}).code, 4);
}

TEST(ExitStatus, NothingSelectedIsTwoAndCancelledIsOneHundredThirty) {
  check::RunRecord empty;
  empty.status = check::RunStatus::kSuccess;
  EXPECT_EQ(exit_status({}, empty).code, 2);
  empty.status = check::RunStatus::kCancelled;
  EXPECT_EQ(exit_status({}, empty).code, 130);
  EXPECT_EQ(exit_status({plain("a", Verdict::kNotEvaluated)}, check::RunRecord{}).code, 4);
}

TEST(ExitStatus, StaleAndDefeatedNeverPass) {
  const auto run = run_with({});
  auto v = plain("a", Verdict::kSupported);
  v.freshness = Freshness::kStale;
  EXPECT_EQ(exit_status({v}, run).code, 4);
  v.freshness = Freshness::kCurrent;
  v.defeat = Defeat::kDefeated;
  EXPECT_EQ(exit_status({v}, run).code, 4);
  v.defeat = Defeat::kChallenged;
  EXPECT_EQ(exit_status({v}, run).code, 3);
}

TEST(ExitStatus, SaysWhy) {
  const auto run = run_with({});
  EXPECT_EQ(exit_status({plain("a", Verdict::kRefuted), plain("b", Verdict::kSupported)}, run).reason,
            "1 of 2 claims refuted: a");
  EXPECT_EQ(exit_status({plain("a", Verdict::kSupported)}, run).reason, "the claim of severity fail is supported");
}

// ---- validation -----------------------------------------------------------------------------------------------------

TEST(ValidateClaims, NamesEveryProblemWithItsLineAndTheNearestWord) {
  data::Manifest m = manifest();
  m.claims = {at_least("a", 0.9), at_least("b", 0.9), at_least("c", 0.9), at_least("d", 0.9)};
  EXPECT_TRUE(validate_claims(m, registry()).ok());
  m.claims[0].check = "probe.acuracy";
  m.claims[1].metric = "acuracy";
  m.claims[2].where = {{"slise", "x"}};
  m.claims[3].at_most = 1;
  m.waivers["w"] = {.id = "w", .claim = "zzz", .owner = "Ada", .reason = "known", .expires = "2026-01-01"};
  m.waivers["x"] = {.id = "x", .claim = "a", .owner = "Ada", .reason = "known", .expires = "tomorrow"};
  const auto status = validate_claims(m, registry());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, base::Code::kValue);
  for (const char* words :
       {"system.toml:12: claim 'a': no check is called 'probe.acuracy'. Did you mean 'probe.accuracy'?",
        "probe.accuracy has no metric 'acuracy'. Did you mean 'accuracy'?",
        "unknown key 'slise' in where. Did you mean 'slice'?", "states 2 conditions",
        "waiver 'w' names the claim 'zzz'", "expires 'tomorrow'"}) {
    EXPECT_THAT(status.error().message, HasSubstr(words));
  }
}

}  // namespace
}  // namespace plumbline::claims
