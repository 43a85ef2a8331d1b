#include "plumbline/runtime/classifier_decider.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "plumbline/case/run/plan.hpp"
#include "plumbline/checks/caution/caution_checks.hpp"
#include "plumbline/runtime/classifier_artifacts.hpp"
#include "tests/support/guarded_clouds.hpp"

namespace plumbline::runtime {
namespace {

using caution::Exploration;
using caution::GuardPolicy;
using decision::Act;
namespace clouds = plumbline::testing::clouds;
using clouds::kColumns;
using clouds::LinearModel;

base::Result<ClassifierParts> parts_of(const std::string& folder, const std::string& features = "inputs",
                                       std::size_t examples = 0, double alpha = 0.05) {
  clouds::write_system(folder, "", features);
  PL_TRY(data::Manifest manifest, data::read_manifest(folder + "/system.toml"));
  run::Session session(std::move(manifest), clouds::session_options());
  PartsOptions options;
  options.examples = examples;
  options.alpha = alpha;
  return fit_parts(session, options);
}

GuardPolicy zero_one(const ClassifierParts& parts) {
  GuardPolicy policy;
  policy.costs = caution::zero_one_costs(parts.classes);
  policy.seed = 3;
  return policy;
}

std::unique_ptr<ClassifierDecider> decider(const ClassifierParts& parts, GuardPolicy policy) {
  auto made = ClassifierDecider::make(std::make_unique<LinearModel>(), parts, std::move(policy), {});
  EXPECT_TRUE(made.ok()) << made.error().text();
  return made.ok() ? std::move(made).value() : nullptr;
}

Request request(std::vector<float> input) { return {"r", "", std::move(input)}; }

class DeciderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto fitted = parts_of(folder_.path());
    ASSERT_TRUE(fitted.ok()) << fitted.error().text();
    parts_.emplace(std::move(fitted).value());
  }
  Proposal one(ClassifierDecider& decider, std::vector<float> input, std::uint64_t stream = 1) {
    const std::array requests = {request(std::move(input))};
    const auto proposals = decider.propose(requests, std::array{stream});
    EXPECT_TRUE(proposals.ok());
    return proposals->front();
  }
  plumbline::testing::TempFolder folder_;
  std::optional<ClassifierParts> parts_;
};

TEST_F(DeciderTest, ActsOnWhatIsOrdinary) {
  const auto made = decider(*parts_, zero_one(*parts_));
  const Proposal proposal = one(*made, {3, 0, 0, 0, 0, 0});
  EXPECT_FALSE(proposal.error);
  EXPECT_EQ(proposal.act, Act::kAct);
  EXPECT_EQ(proposal.answer, "0");
  EXPECT_EQ(proposal.rung, "model");
  EXPECT_EQ(proposal.actions, (std::vector<std::string>{"0", "1", "2", "refuse"}));
  EXPECT_EQ(proposal.propensity(), 1);
  ASSERT_TRUE(proposal.uncertainty.aleatoric && proposal.uncertainty.model && proposal.uncertainty.distributional);
  EXPECT_EQ(proposal.uncertainty.model->estimator, "mutual information, last-layer Laplace (full)");
  EXPECT_GT(proposal.uncertainty.distributional->value, 0.05);
  EXPECT_EQ(made->info().model, "model-hash");
  EXPECT_EQ(made->info().input_size, 6U);
}

TEST_F(DeciderTest, ANewDomainAsksThenFallsBackThenRefuses) {
  GuardPolicy policy = zero_one(*parts_);
  const std::vector<float> strange = {3, 0, 0, 20, -20, 20};
  Proposal proposal = one(*decider(*parts_, policy), strange);
  EXPECT_EQ(proposal.act, Act::kRefuse);
  EXPECT_EQ(proposal.answer, "");
  EXPECT_NE(proposal.reason.find("unlike the training data"), std::string::npos) << proposal.reason;
  EXPECT_EQ(proposal.actions[proposal.action], "refuse");
  policy.fallback = "2";
  proposal = one(*decider(*parts_, policy), strange);
  EXPECT_EQ(proposal.act, Act::kFallBack);
  EXPECT_EQ(proposal.answer, "2");
  policy.ask_cost = 0.3;
  proposal = one(*decider(*parts_, policy), strange);
  EXPECT_EQ(proposal.act, Act::kAsk);
  EXPECT_EQ(proposal.answer, "");
  EXPECT_EQ(proposal.fallback, "2");
  EXPECT_GT(proposal.value_of_asking, 0.3);
}

TEST_F(DeciderTest, ChanceBetweenClassesIsAskedAbout) {
  GuardPolicy policy = zero_one(*parts_);
  policy.ask_cost = 0.2;
  const Proposal proposal = one(*decider(*parts_, policy), {2, 2, 0, 0, 0, 0});
  EXPECT_EQ(proposal.act, Act::kAsk) << proposal.reason;
  EXPECT_NEAR(proposal.value_of_asking, 0.5, 0.1) << proposal.reason;
}

// Sets that hold the label in 99 of 100 rows need two classes where the model is right in fewer.
TEST(Decider, ChanceBetweenClassesIsAnsweredWithASetWhereThatCostsLess) {
  plumbline::testing::TempFolder folder;
  const auto parts = parts_of(folder.path(), "inputs", 0, 0.01);
  ASSERT_TRUE(parts.ok()) << parts.error().text();
  GuardPolicy policy = zero_one(*parts);
  policy.alpha = 0.01;
  policy.set_cost = 0.1;
  const auto made = decider(*parts, policy);
  const std::array requests = {request({2, 2, 0, 0, 0, 0}), request({4, 0, 0, 0, 0, 0})};
  const auto proposals = made->propose(requests, std::array<std::uint64_t, 2>{1, 2});
  ASSERT_TRUE(proposals.ok());
  EXPECT_EQ((*proposals)[0].act, Act::kModify) << (*proposals)[0].reason;
  EXPECT_EQ((*proposals)[0].answer, "0|1");
  EXPECT_EQ((*proposals)[0].rung, "set");
  EXPECT_EQ((*proposals)[1].act, Act::kAct) << (*proposals)[1].reason;
}

base::Result<ClassifierParts> hierarchical_parts(const std::string& folder, double target) {
  clouds::write_system(folder, "", "inputs");
  PL_TRY(data::Manifest manifest, data::read_manifest(folder + "/system.toml"));
  run::Session session(std::move(manifest), clouds::session_options());
  PartsOptions options;
  options.hierarchy = {"pair: 0, 1"};
  options.answers.target = target;
  return fit_parts(session, options);
}

TEST(Decider, AVaguerAnswerIsGivenWhereASingleClassWouldBreakThePromise) {
  plumbline::testing::TempFolder folder;
  auto parts = hierarchical_parts(folder.path(), 0.95);
  ASSERT_TRUE(parts.ok()) << parts.error().text();
  ASSERT_TRUE(parts->hierarchy);
  EXPECT_GE(parts->hierarchy->rule.lower_bound, 0.95);
  // Only rows that set the thresholds speak for the promise.
  EXPECT_EQ(parts->hierarchy->rule.rows, parts->doubts.threshold_rows.size());
  EXPECT_EQ(parts->hierarchy->rule.rows, parts->doubts.distances.size());
  GuardPolicy policy = zero_one(*parts);
  const auto refused = ClassifierDecider::make(std::make_unique<LinearModel>(), *parts, policy, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().text().find("set_cost"), std::string::npos) << refused.error().text();
  policy.set_cost = 0.1;
  const auto made = decider(*parts, policy);
  EXPECT_NE(made->info().policy.find("hierarchy 0.95"), std::string::npos);
  const std::array requests = {request({2, 2, 0, 0, 0, 0}), request({4, 0, 0, 0, 0, 0})};
  const auto proposals = made->propose(requests, std::array<std::uint64_t, 2>{1, 2});
  ASSERT_TRUE(proposals.ok());
  EXPECT_EQ((*proposals)[0].act, Act::kModify) << (*proposals)[0].reason;
  EXPECT_EQ((*proposals)[0].answer, "pair");
  EXPECT_EQ((*proposals)[1].act, Act::kAct) << (*proposals)[1].reason;
  EXPECT_EQ((*proposals)[1].answer, "0");
  // The same from a folder, and not from one that was changed.
  const plumbline::testing::TempFolder saved;
  ASSERT_TRUE(save_parts(*parts, saved.path()).ok());
  const auto loaded = load_parts(saved.path());
  ASSERT_TRUE(loaded.ok()) << loaded.error().text();
  EXPECT_EQ(parts_hash(*loaded), parts_hash(*parts));
  EXPECT_EQ(loaded->hierarchy->rule.trade, parts->hierarchy->rule.trade);
  parts->hierarchy->rule.trade += 1;
  EXPECT_NE(parts_hash(*loaded), parts_hash(*parts));
}

TEST(Decider, AHierarchyWithoutItsClassesIsNamed) {
  plumbline::testing::TempFolder folder;
  clouds::write_system(folder.path(), "", "inputs");
  auto manifest = data::read_manifest(folder.path() + "/system.toml");
  ASSERT_TRUE(manifest.ok());
  run::Session session(std::move(manifest).value(), clouds::session_options());
  PartsOptions options;
  options.hierarchy = {"pair: 0, 7"};
  const auto parts = fit_parts(session, options);
  ASSERT_FALSE(parts.ok());
  EXPECT_NE(parts.error().text().find("[guard] hierarchy"), std::string::npos) << parts.error().text();
}

TEST_F(DeciderTest, ReadingsThatDisagreeAreShownAndNotAveraged) {
  GuardPolicy policy = zero_one(*parts_);
  policy.costs.readings[0].weight = 0;
  caution::CostReading other = policy.costs.readings[0];
  other.name = "other";
  other.cost.row(0).swap(other.cost.row(1));
  policy.costs.readings.push_back(other);
  policy.rule = "regret";
  const Proposal proposal = one(*decider(*parts_, policy), {3, 0, 0, 0, 0, 0});
  ASSERT_EQ(proposal.uncertainty.specification.size(), 2U);
  EXPECT_TRUE(proposal.uncertainty.readings_disagree());
  EXPECT_EQ(proposal.uncertainty.specification[0].action, "0");
  EXPECT_EQ(proposal.uncertainty.specification[1].action, "1");
  EXPECT_NEAR(proposal.probabilities[0], 0.5, 0.02);
  EXPECT_NE(proposal.reason.find("readings recommend different actions"), std::string::npos);
}

TEST_F(DeciderTest, PropensitiesAreTheFrequenciesOfTheDraws) {
  GuardPolicy policy = zero_one(*parts_);
  policy.exploration = Exploration::kSoftmax;
  policy.temperature = 0.5;
  policy.safe_loss = 1;
  const auto made = decider(*parts_, policy);
  std::vector<int> drawn(4, 0);
  Proposal proposal;
  constexpr int kDraws = 2000;
  for (int i = 0; i < kDraws; ++i) {
    proposal = one(*made, {2, 1, 0, 0, 0, 0}, static_cast<std::uint64_t>(i));
    ++drawn[proposal.action];
    EXPECT_EQ(proposal.propensity(), proposal.probabilities[proposal.action]);
  }
  for (std::size_t a = 0; a < 3; ++a) {
    const auto band = plumbline::testing::binomial_band(kDraws, proposal.probabilities[a]);
    EXPECT_TRUE(band.contains(drawn[a])) << a << ": " << drawn[a] << " of " << kDraws;
  }
  EXPECT_EQ(drawn[3], 0);
}

TEST_F(DeciderTest, TheSameStreamGivesTheSameBitsWhateverTheBatch) {
  GuardPolicy policy = zero_one(*parts_);
  policy.exploration = Exploration::kSoftmax;
  policy.safe_loss = 1;
  const auto made = decider(*parts_, policy);
  base::Rng rng(8);
  std::vector<int> labels;
  const MatrixF rows = clouds::cloud_rows(rng, 20, labels);
  std::vector<Request> requests;
  std::vector<std::uint64_t> streams;
  for (std::ptrdiff_t i = 0; i < 20; ++i) {
    requests.push_back(request({rows.data() + i * kColumns, rows.data() + (i + 1) * kColumns}));
    streams.push_back(static_cast<std::uint64_t>(100 + i));
  }
  const auto together = made->propose(requests, streams);
  ASSERT_TRUE(together.ok());
  for (std::size_t i = 0; i < 20; ++i) {
    const auto alone = made->propose(std::span(&requests[i], 1), std::span(&streams[i], 1));
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ(alone->front().action, (*together)[i].action);
    EXPECT_EQ(alone->front().probabilities, (*together)[i].probabilities);
    EXPECT_EQ(alone->front().uncertainty.model->value, (*together)[i].uncertainty.model->value);
  }
}

TEST_F(DeciderTest, ABadRequestFailsAloneAndIsNoRefusal) {
  const auto made = decider(*parts_, zero_one(*parts_));
  const std::vector<Request> requests = {request({3, 0, 0, 0, 0, 0}), request({1, 2}), request({NAN, 0, 0, 0, 0, 0}),
                                         request({0, 0, 0, 0, 0, 99}), request({0, 3, 0, 0, 0, 0})};
  const std::vector<std::uint64_t> streams = {1, 2, 3, 4, 5};
  const auto proposals = made->propose(requests, streams);
  ASSERT_TRUE(proposals.ok());
  EXPECT_FALSE((*proposals)[0].error);
  EXPECT_NE((*proposals)[1].error.value_or("").find("input"), std::string::npos);
  EXPECT_TRUE((*proposals)[2].error.has_value());
  EXPECT_NE((*proposals)[3].error.value_or("").find("this row breaks the model"), std::string::npos);
  EXPECT_FALSE((*proposals)[4].error);
  EXPECT_EQ((*proposals)[4].answer, "1");
  EXPECT_FALSE((*proposals)[1].actions.empty());
  EXPECT_EQ((*proposals)[1].propensity(), 1);
  EXPECT_FALSE(made->propose(requests, std::array<std::uint64_t, 1>{1}).ok());
}

// P-values at most alpha come in a share alpha of ordinary rows: the guard's false alarms.
TEST_F(DeciderTest, OrdinaryRowsAreCalledStrangeAsOftenAsDeclared) {
  const auto made = decider(*parts_, zero_one(*parts_));
  base::Rng rng(12);
  std::vector<int> labels;
  constexpr std::ptrdiff_t kRows = 2000;
  const auto reference = static_cast<double>(made->info().reference_rows);
  EXPECT_EQ(reference, 150);
  const MatrixF rows = clouds::cloud_rows(rng, kRows, labels);
  int alarms = 0;
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
    const Proposal p = one(*made, {rows.data() + i * kColumns, rows.data() + (i + 1) * kColumns});
    alarms += p.uncertainty.distributional->value <= 0.05 ? 1 : 0;
    // The rank is the same p-value with its step smoothed, so it lies in the step below it.
    ASSERT_TRUE(p.input_rank.has_value());
    EXPECT_LT(*p.input_rank, p.uncertainty.distributional->value);
    EXPECT_GT(*p.input_rank, p.uncertainty.distributional->value - 1.001 / (reference + 1));
  }
  // 150 threshold rows, rank 143 of 151 for the complement: given them the share is Beta(7, 144), its 1e-4 tails.
  EXPECT_GT(alarms, 0.008 * kRows);
  EXPECT_LT(alarms, 0.13 * kRows);
}

TEST_F(DeciderTest, AnotherModelOrLevelIsRefused) {
  auto made = ClassifierDecider::make(std::make_unique<LinearModel>("other"), *parts_, zero_one(*parts_), {});
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().text().find("its hash is other, the parts were fitted to model-hash"), std::string::npos);
  GuardPolicy policy = zero_one(*parts_);
  policy.alpha = 0.2;
  made = ClassifierDecider::make(std::make_unique<LinearModel>(), *parts_, policy, {});
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().text().find("alpha is 0.2, the parts were fitted for 0.05"), std::string::npos)
      << made.error().text();
}

TEST(Decider, QuestionsShowTheNearestTrainingRows) {
  plumbline::testing::TempFolder folder;
  const auto parts = parts_of(folder.path(), "inputs", 400);
  ASSERT_TRUE(parts.ok()) << parts.error().text();
  GuardPolicy policy = zero_one(*parts);
  policy.ask_cost = 0;
  policy.neighbours = 4;
  const auto made = decider(*parts, policy);
  const std::array requests = {request({2.5F, 1, 0, 0, 0, 0})};
  const Proposal proposal = made->propose(requests, std::array<std::uint64_t, 1>{1})->front();
  ASSERT_EQ(proposal.act, Act::kAsk);
  ASSERT_EQ(proposal.nearest.size(), 4U);
  EXPECT_EQ(proposal.nearest[0].data, "train");
  for (std::size_t i = 1; i < 4; ++i) EXPECT_LE(proposal.nearest[i - 1].distance, proposal.nearest[i].distance);
  // By the definition, over all training rows.
  const MatrixF train = *data::npy_to_float(*data::read_npy(folder.file("train.npy")), "train");
  const auto& state = parts->doubts.distance.state();
  double least = INFINITY;
  for (std::ptrdiff_t i = 0; i < train.rows(); ++i) {
    VectorD gap(kColumns);
    for (std::ptrdiff_t j = 0; j < kColumns; ++j) {
      gap(j) = static_cast<double>(train(i, j) - requests[0].input[static_cast<std::size_t>(j)]);
    }
    least = std::min(least, (state.whitener.transpose() * gap).norm());
  }
  EXPECT_NEAR(proposal.nearest[0].distance, least, 1e-5);
}

TEST(Decider, FeaturesAreThoseThatTheSessionGives) {
  for (const std::string features : {"inputs", "pca:3"}) {
    plumbline::testing::TempFolder folder;
    const auto parts = parts_of(folder.path(), features);
    ASSERT_TRUE(parts.ok()) << parts.error().text();
    EXPECT_EQ(parts->features.text(), features);
    auto manifest = data::read_manifest(folder.file("system.toml"));
    run::Session session(*manifest, clouds::session_options());
    const auto of_test = session.features("reader", "test", {}, base::no_progress());
    const auto outputs = session.predictions("reader", "test", false, {}, base::no_progress());
    const auto many = robustness::ask_all(parts->doubts, (*outputs)->outputs, **of_test);
    ASSERT_TRUE(many.ok());
    const auto made = decider(*parts, zero_one(*parts));
    std::vector<std::size_t> rows = {0, 1, 2, 3, 4};
    const MatrixF inputs = *session.inputs("reader", "test", rows);
    for (std::ptrdiff_t i = 0; i < 5; ++i) {
      const std::array requests = {request({inputs.data() + i * kColumns, inputs.data() + (i + 1) * kColumns})};
      const Proposal p = made->propose(requests, std::array<std::uint64_t, 1>{1})->front();
      EXPECT_NEAR(p.uncertainty.model->value, many->model(i), 1e-9);
      EXPECT_EQ(p.uncertainty.distributional->value, many->p_value(i));
    }
  }
}

class ArtifactsTest : public DeciderTest {
 protected:
  std::string saved() { return folder_.file("parts"); }
  std::string load_fault() {
    const auto loaded = load_parts(saved());
    return loaded.ok() ? "fine" : loaded.error().text();
  }
  void edit(const std::string& name, const std::string& from, const std::string& to) {
    std::string text = plumbline::testing::read_file(saved() + "/" + name);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    plumbline::testing::write_file(saved() + "/" + name, text.replace(at, from.size(), to));
  }
};

TEST_F(ArtifactsTest, WhatIsLoadedDecidesAlike) {
  ASSERT_TRUE(save_parts(*parts_, saved()).ok());
  const auto loaded = load_parts(saved());
  ASSERT_TRUE(loaded.ok()) << loaded.error().text();
  EXPECT_EQ(parts_hash(*loaded), parts_hash(*parts_));
  const auto one_decider = decider(*parts_, zero_one(*parts_));
  const auto other = decider(*loaded, zero_one(*loaded));
  const Proposal a = one(*one_decider, {2, 1, 0, 1, 0, 0});
  const Proposal b = one(*other, {2, 1, 0, 1, 0, 0});
  EXPECT_EQ(a.uncertainty.model->value, b.uncertainty.model->value);
  EXPECT_EQ(a.uncertainty.aleatoric->value, b.uncertainty.aleatoric->value);
  EXPECT_EQ(a.uncertainty.distributional->value, b.uncertainty.distributional->value);
  EXPECT_EQ(one_decider->info().policy, other->info().policy);
}

TEST_F(ArtifactsTest, TamperedFilesAreNamed) {
  ASSERT_TRUE(save_parts(*parts_, saved()).ok());
  EXPECT_EQ(load_fault(), "fine");
  std::string bytes = plumbline::testing::read_file(saved() + "/head-weights.npy");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  plumbline::testing::write_file(saved() + "/head-weights.npy", bytes);
  EXPECT_NE(load_fault().find("head-weights.npy: is not what decider.json says"), std::string::npos) << load_fault();
  ASSERT_TRUE(save_parts(*parts_, saved()).ok());
  edit("decider.json", "\"temperature\": ", "\"temperature\": 1");
  EXPECT_NE(load_fault().find("the parts are not those whose hash it holds"), std::string::npos) << load_fault();
  ASSERT_TRUE(save_parts(*parts_, saved()).ok());
  edit("decider.json", "\"level\"", "\"levl\"");
  EXPECT_NE(load_fault().find("field 'level' is missing"), std::string::npos) << load_fault();
  ASSERT_TRUE(save_parts(*parts_, saved()).ok());
  edit("decider.json", "\"format\": 2", "\"format\": 7");
  EXPECT_NE(load_fault().find("format 7, this program reads 2"), std::string::npos) << load_fault();
  plumbline::testing::write_file(saved() + "/decider.json", "[1]");
  EXPECT_NE(load_fault().find("is no JSON object"), std::string::npos);
  plumbline::testing::write_file(saved() + "/decider.json", std::string((1U << 20U) + 1, ' '));
  EXPECT_NE(load_fault(), "fine");
  std::filesystem::remove(saved() + "/decider.json");
  EXPECT_NE(load_fault().find("decider.json"), std::string::npos);
  ASSERT_TRUE(save_parts(*parts_, saved()).ok());
  std::filesystem::remove(saved() + "/distances.npy");
  EXPECT_NE(load_fault().find("distances.npy"), std::string::npos);
  EXPECT_FALSE(load_parts(saved(), {.array_bytes = 16}).ok());
}

// What was assessed is what decides: the check and the guard fit the same thresholds, to the bit.
TEST(FitParts, ThresholdsAreThoseOfTheCheck) {
  plumbline::testing::TempFolder folder;
  clouds::write_system(folder.path(), "");
  const auto manifest = data::read_manifest(folder.file("system.toml"));
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  check::Registry registry;
  registry.add(checks::caution::uncertainty());
  const auto blueprint = run::make_blueprint(*manifest, true);
  ASSERT_TRUE(blueprint.ok()) << blueprint.error().text();
  const auto plan = run::make_plan(registry, *blueprint, {});
  ASSERT_TRUE(plan.ok()) << plan.error().text();
  ASSERT_EQ(plan->front().tasks.size(), 1U) << plan->front().not_applicable;
  run::Session assessing(*manifest, clouds::session_options());
  const auto output = run::run_task(assessing, *plan->front().entry, plan->front().params, plan->front().tasks.front());
  ASSERT_TRUE(output.ok()) << output.error().text();
  run::Session guarding(*manifest, clouds::session_options());
  const auto parts = fit_parts(guarding, {});
  ASSERT_TRUE(parts.ok()) << parts.error().text();
  std::string of_check;
  for (const check::Artifact& artifact : output->artifacts) {
    if (artifact.id == "caution.uncertainty.reader.thresholds") of_check = artifact.facts.at("sha256");
  }
  EXPECT_EQ(of_check, parts->thresholds_hash());
}

TEST(FitParts, WhatIsMissingIsNamed) {
  plumbline::testing::TempFolder folder;
  clouds::write_system(folder.path(),
                       "[data.more]\nmatrix = \"test.npy\"\nlabels = \"test-labels.npy\"\nrole = \"calibration\"\n");
  const auto manifest = data::read_manifest(folder.file("system.toml"));
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  run::Session session(*manifest, clouds::session_options());
  const auto two = fit_parts(session, {});
  ASSERT_FALSE(two.ok());
  EXPECT_NE(two.error().text().find("has 2 where one set of role calibration is needed"), std::string::npos)
      << two.error().text();
  EXPECT_FALSE(fit_parts(session, {.model = "other", .calibration = "calibration"}).ok());
  const auto named = fit_parts(session, {.model = "reader", .calibration = "calibration"});
  EXPECT_TRUE(named.ok()) << named.error().text();
}

}  // namespace
}  // namespace plumbline::runtime
