#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "plumbline/predict/agreement.hpp"
#include "plumbline/predict/batch.hpp"
#include "plumbline/predict/callable_predictor.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::predict {
namespace {

using base::Code;
using ::testing::HasSubstr;
using ::testing::Not;

MatrixF random_rows(std::ptrdiff_t n, std::ptrdiff_t d) {
  base::Rng rng(3);
  MatrixF rows(n, d);
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i) rows.data()[i] = static_cast<float>(rng.uniform());
  return rows;
}

data::ModelSection section(std::int64_t classes, std::vector<std::int64_t> shape,
                           const std::string& output = "scores") {
  data::ModelSection model;
  model.name = "m";
  model.output = output;
  model.classes = classes;
  model.input_shape = std::move(shape);
  return model;
}

// Batches -------------------------------------------------------------------------------------------------------------

TEST(Batch, PadsToOneShapeAndKeepsEveryRow) {
  decision::PredictorInfo info;
  info.input_size = 2;
  info.outputs = 1;
  info.output = decision::Output::kScores;
  info.features = "f";
  const MatrixF rows = random_rows(7, 2);
  decision::PredictOptions options;
  options.batch = 3;
  options.want_features = true;
  std::vector<std::ptrdiff_t> sizes;
  const auto sum = [&](const MatrixF& batch) -> base::Result<decision::Prediction> {
    sizes.push_back(batch.rows());
    decision::Prediction part;
    part.features = batch.cast<double>();
    part.outputs = part.features.col(0) + part.features.col(1);
    return part;
  };
  const auto got = predict_in_batches(info, rows, options, true, sum);
  ASSERT_TRUE(got.ok()) << got.error().text();
  EXPECT_THAT(sizes, ::testing::ElementsAre(3, 3, 3));
  for (std::ptrdiff_t i = 0; i < 7; ++i) {
    EXPECT_EQ(got->outputs(i, 0), double{rows(i, 0)} + double{rows(i, 1)});
    EXPECT_EQ(got->features(i, 1), double{rows(i, 1)});
  }
  sizes.clear();
  ASSERT_TRUE(predict_in_batches(info, rows, options, false, sum).ok());
  EXPECT_THAT(sizes, ::testing::ElementsAre(3, 3, 1));
  EXPECT_EQ(predict_in_batches(info, MatrixF(0, 2), options, true, sum)->outputs.rows(), 0);
}

TEST(Batch, EveryErrorConditionHasItsMessage) {
  decision::PredictorInfo info;
  info.name = "m";
  info.input_size = 2;
  info.outputs = 2;
  info.output = decision::Output::kProbabilities;
  MatrixD answer(1, 2);
  answer << 0.5, 0.5;
  const auto say = [&](const MatrixF&) -> base::Result<decision::Prediction> {
    return decision::Prediction{answer, {}};
  };
  decision::PredictOptions options;
  options.batch = 1;
  const auto error = [&](const MatrixF& rows) { return predict_in_batches(info, rows, options, true, say).error(); };
  MatrixF row = MatrixF::Zero(1, 2);
  EXPECT_THAT(error(MatrixF::Zero(1, 3)).text(), HasSubstr("columns of rows has size 3, expected 2"));
  row(0, 1) = NAN;
  EXPECT_THAT(error(row).text(), HasSubstr("rows(0, 1) is nan"));
  row(0, 1) = 0;
  answer << 0.5, 0.6;
  EXPECT_THAT(error(row).text(), HasSubstr("probabilities of row 0 sum to 1.1"));
  answer << -0.5, 1.5;
  EXPECT_THAT(error(row).text(), HasSubstr("-0.5 in column 0, expected a probability"));
  answer << 0.5, NAN;
  EXPECT_THAT(error(row).text(), HasSubstr("row 0 has nan in column 1"));
  answer = MatrixD::Zero(1, 3);
  EXPECT_EQ(error(row).code, Code::kShape);
  answer = MatrixD::Zero(2, 2);
  EXPECT_THAT(error(row).text(), HasSubstr("2 rows, expected 1"));
  options.want_features = true;
  EXPECT_EQ(error(row).code, Code::kUnsupported);
  options.want_features = false;
  options.batch = 0;
  EXPECT_THAT(error(row).text(), HasSubstr("batch is 0"));
  options.batch = 1;
  options.cancel = base::CancelToken::make();
  options.cancel.cancel();
  EXPECT_EQ(error(row).code, Code::kCancelled);
}

// Self-tests ----------------------------------------------------------------------------------------------------------

struct Fake final : decision::Predictor {
  explicit Fake(BatchRunner answer) : run(std::move(answer)) {
    facts.kind = "callable";
    facts.input_size = 2;
    facts.outputs = 1;
    facts.output = decision::Output::kScores;
  }
  const decision::PredictorInfo& info() const override { return facts; }
  base::Result<decision::Prediction> predict(MatrixRefF rows, const decision::PredictOptions& options) override {
    return predict_in_batches(facts, rows, options, true, run);
  }
  decision::PredictorInfo facts;
  BatchRunner run;
};

TEST(SelfTest, AModelThatAnswersEachRowByItselfAgreesWithItself) {
  int calls = 0;
  Fake model([&](const MatrixF& batch) -> base::Result<decision::Prediction> {
    ++calls;
    return decision::Prediction{batch.cast<double>().rowwise().sum() * 1000.0, {}};
  });
  const auto test = self_test({}, model, random_rows(64, 2), true);
  ASSERT_TRUE(test.ok()) << test.error().text();
  EXPECT_EQ(test->gap, 0);
  EXPECT_TRUE(test->passed());
  EXPECT_EQ(test->rows, 64u);
  EXPECT_THAT(test->compared, HasSubstr("no second implementation"));
  EXPECT_EQ(calls, 1 + 1 + 3 + 8);
  ASSERT_TRUE(self_test({}, model, random_rows(3, 2), false).ok());  // fewer rows than are asked alone
  EXPECT_EQ(self_test({}, model, MatrixF(0, 2), false).error().code, Code::kValue);
}

TEST(SelfTest, WhatTheInterpreterRunsHasNothingToBeComparedWith) {
  Fake model([](const MatrixF&) -> base::Result<decision::Prediction> { return decision::Prediction{}; });
  model.facts.kind = "onnx";
  const auto test = self_test({}, model, random_rows(4, 2), false);
  ASSERT_TRUE(test.ok()) << test.error().text();
  EXPECT_THAT(test->not_possible, HasSubstr("the reference interpreter itself runs this model"));
}

TEST(SelfTest, AnswersThatAreDrawnOrDependOnTheirNeighboursAreFound) {
  base::Rng rng(5);
  Fake drawn([&](const MatrixF& batch) -> base::Result<decision::Prediction> {
    MatrixD out(batch.rows(), 1);
    for (std::ptrdiff_t i = 0; i < out.rows(); ++i) out(i, 0) = 1 + 0.01 * rng.uniform();
    return decision::Prediction{out, {}};
  });
  EXPECT_FALSE(self_test({}, drawn, random_rows(64, 2), false)->passed());
  // As a network left in training mode: the mean of the batch is taken off.
  Fake centred([](const MatrixF& batch) -> base::Result<decision::Prediction> {
    const MatrixD x = batch.cast<double>();
    return decision::Prediction{(x.col(0).array() - x.col(0).mean()).matrix(), {}};
  });
  EXPECT_FALSE(self_test({}, centred, random_rows(64, 2), false)->passed());
  // The place in the batch counts.
  Fake placed([](const MatrixF& batch) -> base::Result<decision::Prediction> {
    MatrixD out = batch.leftCols(1).cast<double>();
    out(0, 0) += 1;
    return decision::Prediction{out, {}};
  });
  EXPECT_FALSE(self_test({}, placed, random_rows(64, 2), false)->passed());
  // Rounding that depends on the batch is no defect.
  Fake rounded([](const MatrixF& batch) -> base::Result<decision::Prediction> {
    return decision::Prediction{batch.leftCols(1).cast<double>() * (1 + 1e-7 * static_cast<double>(batch.rows() % 7)),
                                {}};
  });
  const auto test = self_test({}, rounded, random_rows(64, 2), false);
  EXPECT_TRUE(test->passed());
  EXPECT_GT(test->gap, 0);
}

// Python callables ----------------------------------------------------------------------------------------------------

constexpr const char* kModule = R"PY(
import os, sys, time
import numpy as np

def linear(x):
    print("called with", x.shape)
    return np.stack([x.reshape(len(x), -1).sum(axis=1), x[:, 0].astype("f8") * 3], axis=1)
def shaped(x):
    assert x.shape[1:] == (1, 2, 2) and x.dtype == np.float32
    return x.reshape(len(x), -1)[:, :2]
def as_list(x):
    return [[float(len(x)), 0.0] for _ in x]
def raises(x):
    raise RuntimeError("the weights are gone")
def crashes(x):
    sys.stderr.write("about to fall\n")
    sys.stderr.flush()
    os.abort()
def leaves(x):
    os._exit(3)
def sleeps(x):
    time.sleep(60)
def wrong(x):
    return np.zeros((len(x), 5))
def flat(x):
    return np.zeros(len(x))
def broken(x):
    return np.full((len(x), 2), np.nan)
def chatty(x):
    sys.stderr.write("x" * 1000000)
    return np.zeros((len(x), 2))
def picky(x):
    if x[0, 0] > 0.5: raise ValueError("too large")
    return np.zeros((len(x), 2))
number = 3
)PY";

class Callable : public ::testing::Test {
 protected:
  Callable() { testing::write_file(folder_.file("weird_model.py"), kModule); }

  base::Result<decision::PredictorPtr> open(const std::string& function, std::vector<std::int64_t> shape = {4}) {
    data::ModelSection model = section(2, std::move(shape));
    model.callable = function;
    CallableOptions options;
    options.folder = folder_.path();
    options.request_timeout = std::chrono::milliseconds(timeout_);
    return open_callable_predictor(model, options);
  }
  base::Error error(const std::string& function) {
    auto opened = open("weird_model:" + function);
    if (!opened.ok()) return opened.error();
    return (*opened)->predict(random_rows(3, 4), {}).error();
  }

  testing::TempFolder folder_;
  int timeout_ = 20'000;
};

TEST_F(Callable, AnswersInBatchesWithTheDeclaredShape) {
  auto opened = open("weird_model:linear");
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  EXPECT_EQ((*opened)->info().kind, "callable");
  EXPECT_FALSE((*opened)->info().deterministic);
  const MatrixF rows = random_rows(5, 4);
  decision::PredictOptions options;
  options.batch = 2;
  const auto got = (*opened)->predict(rows, options);
  ASSERT_TRUE(got.ok()) << got.error().text();
  for (std::ptrdiff_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(got->outputs(i, 0), rows(i, 0) + rows(i, 1) + rows(i, 2) + rows(i, 3), 1e-6);
    EXPECT_EQ(got->outputs(i, 1), double{rows(i, 0)} * 3);
  }
  auto shaped = open("weird_model:shaped", {1, 2, 2});
  ASSERT_TRUE(shaped.ok());
  EXPECT_EQ((*shaped)->predict(rows, {})->outputs(4, 1), rows(4, 1));
  auto list = open("weird_model:as_list");
  ASSERT_TRUE(list.ok());
  EXPECT_EQ((*list)->predict(rows, {})->outputs(0, 0), 256);  // padded
  auto chatty = open("weird_model:chatty");
  ASSERT_TRUE(chatty.ok());
  EXPECT_TRUE((*chatty)->predict(rows, {}).ok());
}

TEST_F(Callable, TheHashFollowsTheSource) {
  const std::string before = (*open("weird_model:linear"))->info().hash;
  EXPECT_EQ((*open("weird_model:linear"))->info().hash, before);
  testing::write_file(folder_.file("weird_model.py"), std::string(kModule) + "\n# changed\n");
  EXPECT_NE((*open("weird_model:linear"))->info().hash, before);
}

TEST_F(Callable, FailuresOfTheFunctionAreNamed) {
  EXPECT_THAT(error("raises").text(), HasSubstr("RuntimeError: the weights are gone"));
  const std::string crash = error("crashes").text();
  EXPECT_THAT(crash, HasSubstr("ended by signal 6"));
  EXPECT_THAT(crash, HasSubstr("about to fall"));
  EXPECT_THAT(error("leaves").text(), HasSubstr("ended with status 3"));
  EXPECT_THAT(error("wrong").text(), HasSubstr("returned 256 x 5 numbers, expected 256 x 2"));
  EXPECT_THAT(error("flat").text(), HasSubstr("expected two axes"));
  EXPECT_THAT(error("broken").text(), HasSubstr("row 0 has nan in column 0"));
  timeout_ = 300;
  const base::Error late = error("sleeps");
  EXPECT_EQ(late.code, Code::kLimit);
  EXPECT_THAT(late.text(), HasSubstr("the process was stopped"));
}

TEST_F(Callable, AnErrorLeavesItUsableAndADeathDoesNot) {
  auto opened = open("weird_model:picky");
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ((*opened)->predict(MatrixF::Ones(2, 4), {}).error().code, Code::kValue);
  EXPECT_TRUE((*opened)->predict(MatrixF::Zero(2, 4), {}).ok());
  auto dead = open("weird_model:leaves");
  ASSERT_TRUE(dead.ok());
  EXPECT_FALSE((*dead)->predict(MatrixF::Zero(2, 4), {}).ok());
  EXPECT_THAT((*dead)->predict(MatrixF::Zero(2, 4), {}).error().text(), HasSubstr("see the first error"));
}

TEST_F(Callable, WhatCannotBeImportedIsNamed) {
  EXPECT_THAT(open("no_such_module:f").error().text(), HasSubstr("No module named 'no_such_module'"));
  EXPECT_THAT(open("weird_model:no_such_function").error().text(), HasSubstr("no_such_function"));
  EXPECT_THAT(open("weird_model:number").error().text(), HasSubstr("is not callable"));
  EXPECT_THAT(open("weird_model").error().text(), HasSubstr("expected \"module:function\""));
  data::ModelSection model = section(2, {4});
  model.callable = "weird_model:linear";
  model.python_path = data::Location{"weird_model.py", folder_.file("weird_model.py")};  // a file stands for its folder
  EXPECT_TRUE(open_callable_predictor(model).ok());
  CallableOptions options;
  options.python = "/no/such/python";
  EXPECT_THAT(open_callable_predictor(model, options).error().text(), HasSubstr("See whether /no/such/python runs"));
  model.classes = 0;
  EXPECT_THAT(open_callable_predictor(model).error().text(), HasSubstr("needs `classes`"));
}

}  // namespace
}  // namespace plumbline::predict
