// The judgement, the catalogue, and every replication with the rows that it must come out with.

#include "plumbline/replicate/replicate.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/parallel.hpp"
#include "plumbline/replicate/replications.hpp"
#include "plumbline/replicate/report.hpp"
#include "plumbline/stats/intervals.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::replicate {
namespace {

using ::testing::HasSubstr;

Row row_of(Published published, double ours, double tolerance = 0) {
  Row row{.label = "row", .published = std::move(published), .tolerance = tolerance};
  row.ours = exactly(ours, "by hand");
  return row;
}

Agreement judged(Row row) {
  judge(row);
  return row.agreement;
}

TEST(ReplicateJudge, NumbersAndRanges) {
  EXPECT_EQ(judged(row_of(number(1, Origin::kRead, "s"), 1)), Agreement::kAgrees);
  EXPECT_EQ(judged(row_of(number(1, Origin::kRead, "s"), 1.01)), Agreement::kDiffers);
  EXPECT_EQ(judged(row_of(number(1, Origin::kRead, "s"), 1.01, 0.02)), Agreement::kAgrees);
  EXPECT_EQ(judged(row_of(at_least(0, Origin::kRead, "s"), 0)), Agreement::kAgrees);
  EXPECT_EQ(judged(row_of(above(0, Origin::kRead, "s"), 0)), Agreement::kDiffers);
  EXPECT_EQ(judged(row_of(at_most(2, Origin::kRead, "s"), 2)), Agreement::kAgrees);
  EXPECT_EQ(judged(row_of(below(2, Origin::kRead, "s"), 2)), Agreement::kDiffers);
  EXPECT_EQ(judged(row_of(between(1, 2, Origin::kRead, "s"), 3)), Agreement::kDiffers);
  EXPECT_EQ(judged(row_of(answer(true, "yes", Origin::kRead, "s"), 1)), Agreement::kAgrees);
  EXPECT_EQ(judged(row_of(answer(false, "no", Origin::kRead, "s"), 1)), Agreement::kDiffers);
  EXPECT_EQ(judged(row_of(nothing("why"), 1)), Agreement::kNotComparable);
  EXPECT_EQ(judged(row_of(number(1, Origin::kRead, "s"), NAN)), Agreement::kUndetermined);
  Row row = row_of(number(1, Origin::kRead, "s"), 1.5);
  judge(row);
  EXPECT_EQ(row.difference, 0.5);
  row = row_of(at_least(1, Origin::kRead, "s"), 1.5);
  judge(row);
  EXPECT_FALSE(row.difference.has_value());
}

TEST(ReplicateJudge, SampledFiguresAreJudgedByTheirInterval) {
  Row row{.label = "row", .published = answer(true, "yes", Origin::kRead, "s")};
  row.ours = stats::clopper_pearson(12, 12).value();
  EXPECT_EQ(judged(row), Agreement::kAgrees);
  row.ours = stats::clopper_pearson(0, 12).value();
  EXPECT_EQ(judged(row), Agreement::kDiffers);
  row.ours = stats::clopper_pearson(7, 12).value();
  EXPECT_EQ(judged(row), Agreement::kUndetermined);
  // Without bounds nothing can be said, however near the value is.
  row.ours = stats::mean(std::vector<double>{1, 1, 1}).value();
  EXPECT_EQ(judged(row), Agreement::kUndetermined);
}

TEST(ReplicateJudge, AnExplanationCoversOnlyWhatItSays) {
  Row row = row_of(number(1, Origin::kRead, "s"), 2);
  row.deviation = Deviation{1.9, 2.1, "another unit"};
  EXPECT_EQ(judged(row), Agreement::kExplained);
  row.ours = exactly(2.2, "by hand");
  EXPECT_EQ(judged(row), Agreement::kDiffers);
  row.ours = exactly(1, "by hand");
  EXPECT_EQ(judged(row), Agreement::kAgrees);
  row.ours.reset();
  row.not_run = "too large";
  EXPECT_EQ(judged(row), Agreement::kNotRun);
}

TEST(ReplicateJudge, ExitStatus) {
  Replication r;
  EXPECT_EQ(exit_status(r), 0);
  const auto add = [&](Agreement a) {
    r.rows.push_back({});
    r.rows.back().agreement = a;
  };
  for (const Agreement a : {Agreement::kAgrees, Agreement::kExplained, Agreement::kNotComparable, Agreement::kNotRun})
    add(a);
  EXPECT_EQ(exit_status(r), 0);
  add(Agreement::kUndetermined);
  EXPECT_EQ(exit_status(r), 3);
  add(Agreement::kDiffers);
  EXPECT_EQ(exit_status(r), 1);
  EXPECT_EQ(counts(r).size(), 6U);
  EXPECT_EQ(counts(r).at("differs"), 1U);
  EXPECT_THAT(summary(r), HasSubstr("1 DIFFER"));
}

TEST(ReplicateCatalogue, FactsAreComplete) {
  std::set<std::string> ids;
  for (const Entry& entry : replications()) {
    const Facts& f = entry.facts;
    EXPECT_TRUE(ids.insert(f.id).second) << f.id;
    for (const std::string& part : {f.id, f.title, f.paper, f.where, f.compares}) EXPECT_FALSE(part.empty()) << f.id;
    EXPECT_GT(f.seconds, 0);
    EXPECT_THAT(list_text(), HasSubstr(f.id));
  }
  EXPECT_EQ(ids.size(), 15U);
  EXPECT_EQ(nlohmann::json::parse(list_json()).size(), 15U);
  EXPECT_EQ(find_replication("lavaland").value()->facts.id, "lavaland");
  EXPECT_THAT(find_replication("lavalamd").error().text(), HasSubstr("did you mean 'lavaland'"));
  EXPECT_THAT(find_replication("zzz").error().text(), HasSubstr("they are off_switch"));
  EXPECT_EQ(find_replication("zzz").error().code, base::Code::kValue);
}

/// What every replication must have; returns it for its own assertions.
Replication replicated(const Entry& entry, std::uint64_t seed = 1, const std::string& data_folder = {}) {
  Options options;
  options.seed = seed;
  options.data_folder = data_folder;
  Replication r = run_replication(entry, options).value();
  EXPECT_EQ(exit_status(r), 0) << text(entry.facts, r);
  EXPECT_FALSE(r.pictures.empty());
  std::set<std::string> labels;
  for (const Row& row : r.rows) {
    EXPECT_TRUE(labels.insert(row.label).second) << row.label;
    EXPECT_FALSE(row.published.text.empty()) << row.label;
    EXPECT_FALSE(row.published.source.empty()) << row.label;
    EXPECT_EQ(row.ours.has_value(), row.not_run.empty()) << row.label;
    if (row.deviation) {
      EXPECT_FALSE(row.deviation->why.empty());
      // An explanation that covers all that is published would explain nothing.
      EXPECT_FALSE(row.deviation->low <= row.published.low && row.deviation->high >= row.published.high) << row.label;
    }
    if (row.ours && row.ours->exactness != stats::Exactness::kExact) {
      EXPECT_GT(row.ours->n, 1) << row.label;
      EXPECT_FALSE(row.ours->method.empty()) << row.label;
    }
  }
  for (const check::Artifact& picture : r.pictures) {
    for (const check::ArtifactColumn& column : picture.columns) {
      const std::size_t n = std::visit([](const auto& v) { return v.size(); }, column.values);
      const std::size_t first = std::visit([](const auto& v) { return v.size(); }, picture.columns.front().values);
      EXPECT_EQ(n, first) << picture.id << ' ' << column.name;
      EXPECT_GT(n, 0U) << picture.id;
    }
  }
  const std::string printed = text(entry.facts, r);
  EXPECT_THAT(printed, HasSubstr("published"));
  EXPECT_THAT(printed, HasSubstr(summary(r)));
  const auto parsed = nlohmann::json::parse(json({{&entry, r}}, options)).at(0);
  EXPECT_EQ(parsed.at("rows").size(), r.rows.size());
  EXPECT_EQ(parsed.at("status"), 0);
  return r;
}

const Row& find(const Replication& r, const std::string& label) {
  const auto found = std::find_if(r.rows.begin(), r.rows.end(), [&](const Row& row) { return row.label == label; });
  if (found == r.rows.end()) throw std::runtime_error("no row " + label);
  return *found;
}

TEST(Replicate, OffSwitch) {
  const Replication r = replicated(off_switch());
  EXPECT_EQ(r.rows.size(), 12U);
  EXPECT_EQ(counts(r).at("explained"), 2U);
  EXPECT_EQ(counts(r).at("agrees"), 10U);
  // .25 Phi(.25) + phi(.25) - .25.
  EXPECT_NEAR(find(r, "incentive at mean 0.25, deviation 1, suboptimality 0").ours->value, .28634469822, 1e-10);
  EXPECT_NEAR(find(r, "machine without doubt, person who errs (suboptimality 1)").ours->value,
              .25 / (1 + std::exp(-.25)) - .25, 1e-12);
}

TEST(Replicate, Lavaland) {
  const Replication r = replicated(lavaland());
  EXPECT_EQ(find(r, "literal proxy: share of maps with lava").agreement, Agreement::kAgrees);
  EXPECT_EQ(find(r, "literal proxy less worst case, map by map").agreement, Agreement::kAgrees);
  EXPECT_EQ(find(r, "worst case: share of maps with lava").agreement, Agreement::kExplained);
  // The explanation's own figures: lava is worse than dirt by less than a step on dirt costs.
  const double lava = find(r, "worst case of a step on lava, mean over maps").ours->value;
  const double dirt = find(r, "worst case of a step on dirt, mean over maps").ours->value;
  EXPECT_LT(lava, dirt);
  EXPECT_GT(lava - dirt, dirt);
  // The floor of these maps is a fact about them: nine of sixty.
  EXPECT_NEAR(find(r, "true reward: share of maps with lava").ours->value, 9.0 / 60, 1e-12);
}

TEST(Replicate, ImplicitPreferences) {
  const Replication r = replicated(implicit_preferences());
  EXPECT_EQ(r.rows.size(), 48U);
  EXPECT_EQ(counts(r).at("agrees"), 45U);
  EXPECT_EQ(counts(r).at("not_run"), 2U);  // reachability among 5,280 states with chance
  EXPECT_EQ(counts(r).at("not_comparable"), 1U);
  EXPECT_THAT(find(r, "apple collection: reachability, passes").not_run, HasSubstr("4,096"));
  EXPECT_NEAR(find(r, "far away vase: from the state, share of the best return").ours->value, .559, .01);
}

TEST(Replicate, SideEffects) {
  const Replication r = replicated(side_effects());
  EXPECT_EQ(r.rows.size(), 35U);
  EXPECT_EQ(counts(r).at("agrees"), 28U);
  EXPECT_EQ(counts(r).at("explained"), 2U);
  EXPECT_EQ(counts(r).at("not_comparable"), 5U);
  for (const char* cell :
       {"options (box)", "damage (dog)", "correction (survival)", "offset (conveyor_vase)", "interference (sushi)"}) {
    EXPECT_EQ(find(r, std::string("AUP: ") + cell).words, "passes") << cell;
  }
  EXPECT_EQ(find(r, "without roll-outs: correction (survival)").words, "fails");
  EXPECT_EQ(find(r, "start baseline: offset (conveyor_vase)").agreement, Agreement::kExplained);
  EXPECT_EQ(find(r, "start baseline: interference (sushi)").agreement, Agreement::kExplained);
  // What the notes say of the published weight, and the second picture of lighter ones.
  EXPECT_THAT(r.notes, ::testing::Contains(HasSubstr(
                           "of 20 draws as many keep each property here: options 20, damage 18, correction 20, offset "
                           "20, interference 20.")));
  const auto& weights =
      *std::find_if(r.pictures.begin(), r.pictures.end(), [](const auto& p) { return p.id == "weights"; });
  const auto& row = std::get<std::vector<std::string>>(weights.columns[0].values);
  const auto& column = std::get<std::vector<std::string>>(weights.columns[1].values);
  const auto& passes = std::get<std::vector<double>>(weights.columns[2].values);
  std::vector<std::string> lost;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (std::stod(row[i]) <= 3 && passes[i] == 0) lost.push_back(row[i] + " " + column[i]);
  }
  EXPECT_EQ(lost, (std::vector<std::string>{"0.1 options", "0.1 damage"}));
  EXPECT_THAT(row, ::testing::Contains("0.666"));
}

TEST(Replicate, ATableHasTheColumnsThatSaySomething) {
  const auto names = [](const check::Artifact& artifact) {
    std::vector<std::string> result;
    for (const check::ArtifactColumn& column : artifact.columns) result.push_back(column.name);
    return result;
  };
  Replication r;
  r.rows.push_back(row_of(answer(true, "passes", Origin::kRead, "Table 1"), 1));
  using Names = std::vector<std::string>;
  check::Artifact artifact = table(r);
  EXPECT_EQ(names(artifact), (Names{"row", "published", "ours", "judgement"}));
  r.rows.push_back(row_of(nothing("not in the table"), 1));
  artifact = table(r);
  EXPECT_EQ(names(artifact), (Names{"row", "published", "ours", "judgement", "why"}));
  EXPECT_THAT(artifact.caption, HasSubstr("Published: Table 1 (read in the source)."));
  r.rows[0].note = "the goal is not reached";
  r.rows[0].difference = 0.5;
  r.rows.push_back(row_of(number(1, Origin::kDerived, "by hand"), 1));
  artifact = table(r);
  EXPECT_EQ(names(artifact), (Names{"row", "published", "ours", "difference", "judgement", "why", "published in"}));
  EXPECT_THAT(artifact.caption, ::testing::Not(HasSubstr("Published:")));
}

TEST(Replicate, Quantilizer) {
  const Replication r = replicated(quantilizer());
  EXPECT_EQ(r.rows.size(), 19U);
  EXPECT_EQ(counts(r).at("explained"), 3U);
  // The bound is met, not only held.
  EXPECT_NEAR(find(r, "share 0.1: the most that any cost grows in expectation").ours->value, 10, 1e-9);
  const double best = find(r, "share at which the truth is highest").ours->value;
  EXPECT_GT(best, 0.02);
  EXPECT_LT(best, 0.1);
}

TEST(Replicate, TreacherousTurn) {
  const Replication r = replicated(treacherous_turn());
  EXPECT_EQ(counts(r).at("agrees"), 6U);
  EXPECT_LT(find(r, "keepers killed an episode while weak").ours->high().value(), 0.5);
  EXPECT_GT(find(r, "keepers killed an episode once strong").ours->low().value(), 4);
}

TEST(Replicate, Interruption) {
  const Replication r = replicated(interruption());
  EXPECT_EQ(counts(r).at("agrees"), 11U);
  // (10 - 8.5) / (10 - 5.72125), by hand.
  EXPECT_NEAR(find(r, "probability of interruption from which SARSA takes the long way").ours->value, 1.5 / 4.27875,
              1e-9);
}

TEST(Replicate, Lalonde) {
  const Replication without = replicated(lalonde());
  EXPECT_EQ(counts(without).at("not_run"), without.rows.size());
  EXPECT_THAT(without.rows[0].not_run, HasSubstr("PLUMBLINE_DATA"));
  PL_NEEDS_DATA(file, "causal/lalonde/psid1_controls.csv");
  const Replication r = replicated(lalonde(), 1, file.substr(0, file.find("/causal/")));
  EXPECT_EQ(counts(r).at("agrees"), 4U);
  EXPECT_EQ(counts(r).at("differs"), 0U);
  EXPECT_EQ(r.rows.size(), without.rows.size());
  EXPECT_NEAR(find(r, "PSID-1: difference").ours->value, -15204.78, 0.005);
  EXPECT_NEAR(find(r, "PSID-1: ols").ours->value, 751.9, 0.05);
}

// The scores of finding nothing were published to four digits: they test the measures of agreement themselves.
TEST(Replicate, ChangePoints) {
  const Replication without = replicated(change_points());
  for (const Row& row : without.rows) EXPECT_EQ(row.agreement, Agreement::kNotRun) << row.label;
  PL_NEEDS_DATA(file, "changepoint/tcpd/annotations.json");
  const Replication r = replicated(change_points(), 1, file.substr(0, file.find("/changepoint/")));
  ASSERT_EQ(r.rows.size(), 10U);
  for (const Row& row : r.rows) {
    const bool exact = row.label.starts_with("PELT, exact") || row.label.starts_with("run-length");
    EXPECT_EQ(row.agreement, exact ? Agreement::kExplained : Agreement::kAgrees) << row.label;
    EXPECT_EQ(row.ours->method, "mean over 19 series");
  }
}

TEST(Replicate, AcasXuRunsWhereTheNetworksAre) {
  const Replication r = replicated(acas_xu());
  EXPECT_EQ(r.rows.size(), 9U);
  if (!testing::data_path("vnncomp")) {
    EXPECT_EQ(counts(r).at("not_run"), 9U);
    EXPECT_THAT(r.rows[0].not_run, HasSubstr("PLUMBLINE_DATA"));
    return;
  }
  EXPECT_EQ(find(r, "verdicts that contradict a known one").ours->value, 0);
  // 500 regions decide most of the 36; the rest is open and said to be.
  double solved = 0;
  for (const Row& row : r.rows) solved += row.label.starts_with("property") ? row.ours->value : 0;
  EXPECT_GE(solved, 24);
}

TEST(Replicate, SameSeedSameBitsForAnyNumberOfThreads) {
  const Entry entry = lavaland();
  Options options;
  options.seed = 5;
  base::set_threads(1);
  const std::string one = json({{&entry, run_replication(entry, options).value()}}, options);
  base::set_threads(4);
  const std::string four = json({{&entry, run_replication(entry, options).value()}}, options);
  base::set_threads(0);
  EXPECT_EQ(one, four);
  options.seed = 6;
  EXPECT_NE(one, json({{&entry, run_replication(entry, options).value()}}, options));
}

TEST(ObfuscatedGradients, DefencesAreCaughtAndBroken) {
  const Replication r = replicated(obfuscated_gradients());
  EXPECT_EQ(counts(r).at("differs"), 0U);
  std::size_t caught = 0;
  for (const Row& row : r.rows) {
    if (row.label.find("caught") != std::string::npos) caught += row.agreement == Agreement::kAgrees ? 1 : 0;
  }
  EXPECT_EQ(caught, 3U);
}

TEST(AttackRanking, AnEnsembleNeverLeavesMoreThanOneAttack) {
  const Replication r = replicated(attack_ranking());
  EXPECT_EQ(counts(r).at("differs"), 0U);
  EXPECT_EQ(r.rows.size(), 11U);
}

TEST(Replicate, StopsWhenAsked) {
  Options options;
  options.cancel = base::CancelToken::make();
  options.cancel.cancel();
  for (const Entry& entry : replications()) {
    EXPECT_EQ(run_replication(entry, options).error().code, base::Code::kCancelled) << entry.facts.id;
  }
}

TEST(Replicate, DoubleIntegrator) {
  const Replication r = replicated(double_integrator());
  EXPECT_EQ(r.rows.size(), 6U);
  EXPECT_EQ(counts(r).at("agrees"), 6U);
  EXPECT_LT(find(r, "161 x 161 nodes: largest error of the boundary, in cells").ours->value, 1);
}

TEST(Replicate, CounterfactualOversight) {
  const Replication r = replicated(counterfactual_oversight());
  EXPECT_EQ(r.rows.size(), 14U);
  EXPECT_EQ(counts(r).at("agrees"), 14U);
  EXPECT_NEAR(find(r, "rating_device: the same, rated by a person out of reach").ours->value, 0, 1e-9);
  EXPECT_GT(find(r, "potemkin_villages: the same, rated by a person out of reach").ours->value, 0.1);
}

TEST(Replicate, Air3d) {
  const Replication r = replicated(air3d());
  EXPECT_EQ(counts(r).at("agrees"), 5U);
  EXPECT_EQ(exit_status(r), 0);
}

}  // namespace
}  // namespace plumbline::replicate
