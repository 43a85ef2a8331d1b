#include "plumbline/case/run/runner.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plumbline/data/npy.hpp"
#include "plumbline/decision/predictor.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::run {
namespace {

using base::Code;
using ::testing::HasSubstr;

/// A system of four rows and one model; its check counts how often it runs.
class Run : public ::testing::Test {
 protected:
  explicit Run(const std::string& id = "robustness.counted") {
    MatrixF rows(4, 1);
    rows << 0, 1, 2, 3;
    EXPECT_TRUE(data::write_npy(folder_.file("rows.npy"), rows).ok());
    check::Entry entry;
    entry.info.id = id;
    entry.info.title = "Counted";
    entry.info.question = "How often did it run?";
    entry.info.code = "1";
    entry.plan = [this](const check::Blueprint&, const check::Params&) {
      check::Task task;
      task.subject = "m@test";
      task.model = "m";
      task.data = "test";
      if (asks_predictions_) task.predictions = {{"m", "test"}};
      check::Plan plan;
      plan.tasks = {task};
      return plan;
    };
    entry.run = [this](check::Context& context, const check::Params&) -> base::Result<check::Output> {
      ++runs_;
      if (asks_predictions_) {
        PL_TRY([[maybe_unused]] const auto got, context.predictions("m", "test"));
      }
      return check::Output{};
    };
    entry_ = std::move(entry);
  }

  struct Model final : decision::Predictor {
    explicit Model(int& asked) : asked_(asked) {
      info_.name = "m";
      info_.kind = "callable";
      info_.hash = "hash";
      info_.input_size = 1;
      info_.outputs = 1;
      info_.output = decision::Output::kScores;
    }
    const decision::PredictorInfo& info() const override { return info_; }
    base::Result<decision::Prediction> predict(MatrixRefF rows, const decision::PredictOptions&) override {
      ++asked_;
      decision::Prediction answer;
      answer.outputs = rows.cast<double>();
      return answer;
    }
    decision::PredictorInfo info_;
    int& asked_;
  };

  check::RunRecord run(const std::string& program, bool use_cache = true) {
    const std::string text = "[system]\nname = \"x\"\n" + model_ + "[data.test]\nmatrix = \"rows.npy\"\n";
    auto manifest = data::parse_manifest(text, folder_.file("system.toml"), {});
    EXPECT_TRUE(manifest.ok()) << (manifest.ok() ? "" : manifest.error().text());
    auto blueprint = make_blueprint(*manifest, true);
    EXPECT_TRUE(blueprint.ok());
    check::Registry registry;
    registry.add(entry_);
    auto plan = make_plan(registry, *blueprint, {});
    EXPECT_TRUE(plan.ok());
    SessionOptions lent;
    lent.cache_folder = folder_.file("cache");
    lent.program = program;
    lent.self_test = self_test_;
    lent.open_predictor = [this](const data::ModelSection&) -> base::Result<decision::PredictorPtr> {
      return decision::PredictorPtr(std::make_unique<Model>(asked_));
    };
    Session session(*manifest, lent);
    auto store = open_sqlite_store(folder_.file("store.db"));
    EXPECT_TRUE(store.ok());
    RunOptions options;
    options.program = program;
    options.use_cache = use_cache;
    auto record = run_plan(*manifest, *plan, *blueprint, **store, *in_process_executor(session, registry), options, {},
                           base::no_progress());
    EXPECT_TRUE(record.ok()) << (record.ok() ? "" : record.error().text());
    return record.ok() ? *record : check::RunRecord{};
  }

  static check::LedgerEntry line(const check::RunRecord& record, const std::string& check) {
    for (const check::LedgerEntry& entry : record.ledger) {
      if (entry.check == check) return entry;
    }
    ADD_FAILURE() << "no line " << check;
    return {};
  }

  testing::TempFolder folder_;
  std::string model_ = "[model.m]\ncallable = \"m:f\"\noutput = \"scores\"\nclasses = 1\ninput_shape = [1]\n";
  decltype(SessionOptions::self_test) self_test_ = [](const data::ModelSection&, decision::Predictor&,
                                                      MatrixRefF rows) {
    decision::SelfTest test;
    test.compared = "this against that";
    test.rows = static_cast<std::size_t>(rows.rows());
    test.gap = 2e-7;
    test.tolerance = 1e-3;
    return base::Result<decision::SelfTest>(test);
  };
  check::Entry entry_;
  bool asks_predictions_ = false;
  int runs_ = 0;
  int asked_ = 0;
};

using Cache = Run;

TEST_F(Cache, AnotherProgramOrLibraryComputesAnew) {
  asks_predictions_ = true;
  run("libtorch 1.13.1");
  EXPECT_EQ(runs_, 1);
  EXPECT_EQ(asked_, 1);
  EXPECT_TRUE(line(run("libtorch 1.13.1"), "robustness.counted").cached);
  EXPECT_EQ(runs_, 1);
  const check::RunRecord upgraded = run("libtorch 1.13.2");
  EXPECT_FALSE(line(upgraded, "robustness.counted").cached);
  EXPECT_THAT(upgraded.build, HasSubstr(", program libtorch 1.1"));
  EXPECT_EQ(runs_, 2);
  EXPECT_EQ(asked_, 2) << "predictions of the older library were used";
  EXPECT_TRUE(line(run("libtorch 1.13.1"), "robustness.counted").cached)
      << "what the older one computed is there still";
  EXPECT_EQ(runs_, 2);
  entry_.info.code = "2";
  EXPECT_FALSE(line(run("libtorch 1.13.1"), "robustness.counted").cached);
  EXPECT_EQ(runs_, 3);
}

using SelfTestLine = Run;

TEST_F(SelfTestLine, SaysWhatWasComparedAlsoWhenItComesFromTheCache) {
  check::LedgerEntry entry = line(run("p"), "self-test.repetition");
  EXPECT_EQ(entry.status, check::LedgerStatus::kOk);
  EXPECT_EQ(entry.rows,
            "4 rows of test; this against that; largest difference 2e-07 of the output scale, tolerance 0.001");
  EXPECT_FALSE(entry.cached);
  const std::string words = entry.rows;
  entry = line(run("p"), "self-test.repetition");
  EXPECT_TRUE(entry.cached);
  EXPECT_EQ(entry.rows, words);
  EXPECT_FALSE(line(run("p", false), "self-test.repetition").cached);
}

TEST_F(SelfTestLine, AFailedOneStopsEveryRobustnessFigureAndIsNotKept) {
  const auto honest = self_test_;
  for (const double gap : {0.01, std::numeric_limits<double>::infinity(), std::nan("")}) {
    self_test_ = [&](const data::ModelSection& section, decision::Predictor& model, MatrixRefF rows) {
      auto test = honest(section, model, rows);
      test->gap = gap;
      return test;
    };
    const check::RunRecord record = run("p");
    EXPECT_EQ(line(record, "self-test.repetition").status, check::LedgerStatus::kError);
    EXPECT_THAT(line(record, "self-test.repetition").reason, HasSubstr("(tolerance 0.001): this against that"));
    EXPECT_EQ(line(record, "robustness.counted").status, check::LedgerStatus::kError);
    EXPECT_THAT(line(record, "robustness.counted").reason, HasSubstr("no robustness figure counts"));
  }
  self_test_ = [](const data::ModelSection&, decision::Predictor&, MatrixRefF) {
    return base::Result<decision::SelfTest>(base::make_error(Code::kIo, "the line is dead"));
  };
  EXPECT_THAT(line(run("p"), "self-test.repetition").reason, HasSubstr("the line is dead"));
  EXPECT_EQ(runs_, 0);
  self_test_ = honest;
  EXPECT_EQ(line(run("p"), "self-test.repetition").status, check::LedgerStatus::kOk);
  EXPECT_EQ(runs_, 1);
}

TEST_F(SelfTestLine, WhereNoneIsPossibleTheReasonStandsThere) {
  self_test_ = nullptr;
  check::LedgerEntry entry = line(run("p"), "self-test.repetition");
  EXPECT_EQ(entry.status, check::LedgerStatus::kNotApplicable);
  EXPECT_EQ(entry.reason, "not possible because this program brings none");
  MatrixD scores(4, 1);
  scores << 1, 2, 3, 4;
  ASSERT_TRUE(data::write_npy(folder_.file("scores.npy"), scores).ok());
  model_ = "[predictions.p]\nmodel = \"m\"\ndata = \"test\"\npath = \"scores.npy\"\noutput = \"scores\"\n";
  entry = line(run("p"), "self-test.repetition");
  EXPECT_EQ(entry.status, check::LedgerStatus::kNotApplicable);
  EXPECT_EQ(entry.reason, "not possible because it is known by stored predictions only and cannot be asked again");
  EXPECT_EQ(runs_, 2) << "the figures of stored predictions count all the same";
}

class Probe : public Run {
 protected:
  Probe() : Run("probe.counted") {}
};

TEST_F(Probe, ChecksOfOtherRoomsNeedNoSelfTest) {
  for (const check::LedgerEntry& entry : run("p").ledger)
    EXPECT_EQ(entry.check.rfind("self-test", 0), std::string::npos);
  EXPECT_EQ(runs_, 1);
}

TEST(SelfTestJson, ComesBackAsItWas) {
  decision::SelfTest test;
  test.compared = "a against b";
  test.rows = 64;
  test.gap = 1.25e-7;
  test.tolerance = 1e-3;
  const auto back = self_test_from_json(to_json(test));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->compared, test.compared);
  EXPECT_EQ(back->rows, 64u);
  EXPECT_EQ(back->gap, 1.25e-7);
  EXPECT_TRUE(back->passed());
  test.gap = std::nan("");
  EXPECT_FALSE(self_test_from_json(to_json(test))->passed());
  EXPECT_EQ(self_test_from_json(nlohmann::json(3)).error().code, Code::kParse);
}

}  // namespace
}  // namespace plumbline::run
