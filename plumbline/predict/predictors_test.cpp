#include <atomic>
#include <cmath>
#include <functional>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "plumbline/predict/batch.hpp"
#include "plumbline/predict/callable_predictor.hpp"
#include "plumbline/predict/http_predictor.hpp"
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

// HTTP ----------------------------------------------------------------------------------------------------------------

/// Answers each connection on loopback with what `answer` makes of the request's body; an empty answer keeps silent.
class Server {
 public:
  explicit Server(std::function<std::string(const std::string& body)> answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    for (const int fd : silent_) ::close(fd);
  }
  std::string address() const { return "http://127.0.0.1:" + std::to_string(port_) + "/predict"; }
  int requests() const { return requests_; }

 private:
  void serve() {
    for (;;) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      std::string text;
      std::size_t end = std::string::npos;
      std::size_t need = 0;
      char buffer[65536];
      while (end == std::string::npos || text.size() < end + 4 + need) {
        const ssize_t got = ::recv(fd, buffer, sizeof(buffer), 0);
        if (got <= 0) break;
        text.append(buffer, static_cast<std::size_t>(got));
        if (end == std::string::npos && (end = text.find("\r\n\r\n")) != std::string::npos) {
          const std::size_t at = text.find("Content-Length: ");
          need = std::stoul(text.substr(at + 16));
        }
      }
      ++requests_;
      const std::string reply = answer_(text.substr(end + 4));
      if (reply.empty()) {
        silent_.push_back(fd);
        continue;
      }
      (void)::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
      ::close(fd);
    }
  }

  std::function<std::string(const std::string&)> answer_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> requests_ = 0;
  std::vector<int> silent_;
  std::thread thread_;
};

std::string reply(const std::string& body, const std::string& status = "200 OK", const std::string& more = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

base::Error http_error(const std::string& answer, HttpOptions options = {}) {
  Server server([&](const std::string&) { return answer; });
  data::ModelSection model = section(2, {3});
  model.endpoint = server.address();
  auto opened = open_http_predictor(model, options);
  if (!opened.ok()) return opened.error();
  decision::PredictOptions one;
  one.batch = 1;
  return (*opened)->predict(random_rows(1, 3), one).error();
}

TEST(Http, AsksBatchByBatchAndReadsEveryNumber) {
  std::vector<std::size_t> sizes;
  Server server([&](const std::string& body) {
    const auto json = nlohmann::json::parse(body);
    auto outputs = nlohmann::json::array();
    for (const auto& row : json["inputs"]) outputs.push_back({row[0].get<float>() * 2.0, row[2].get<float>() - 1e-12});
    sizes.push_back(outputs.size());
    return reply(nlohmann::json{{"outputs", outputs}}.dump());
  });
  data::ModelSection model = section(2, {3});
  model.endpoint = server.address();
  model.version = "2024-05";
  auto opened = open_http_predictor(model);
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  EXPECT_EQ(server.requests(), 0);
  const auto& info = (*opened)->info();
  EXPECT_EQ(info.kind, "http");
  EXPECT_EQ(info.input_size, 3);
  EXPECT_TRUE(info.deterministic);
  const MatrixF rows = random_rows(5, 3);
  decision::PredictOptions options;
  options.batch = 2;
  const auto got = (*opened)->predict(rows, options);
  ASSERT_TRUE(got.ok()) << got.error().text();
  EXPECT_THAT(sizes, ::testing::ElementsAre(2, 2, 2));
  for (std::ptrdiff_t i = 0; i < 5; ++i) {
    EXPECT_EQ(got->outputs(i, 0), rows(i, 0) * 2.0);
    EXPECT_EQ(got->outputs(i, 1), rows(i, 2) - 1e-12);
  }
  // Another declared version is another model.
  model.version = "2024-06";
  EXPECT_NE((*open_http_predictor(model))->info().hash, info.hash);
  EXPECT_EQ((*opened)->predict64(rows.cast<double>()).error().code, Code::kUnsupported);
}

TEST(Http, WrongAnswersAreNamed) {
  EXPECT_THAT(http_error(reply("{\"outputs\": [[1, 2, 3]]}")).text(),
              HasSubstr("row 0 of the answer has 3 numbers, expected 2"));
  EXPECT_THAT(http_error(reply("{\"outputs\": [[1, 2], [1, 2]]}")).text(),
              HasSubstr("the answer has 2 rows, expected 1"));
  EXPECT_THAT(http_error(reply("{\"outputs\": [[1, NaN]]}")).text(), HasSubstr("not JSON"));
  EXPECT_THAT(http_error(reply("{\"outputs\": [[1, 1e999]]}")).text(), HasSubstr("not JSON"));
  EXPECT_THAT(http_error(reply("{\"outputs\": [[1, null]]}")).text(), HasSubstr("row 0 has a null in column 1"));
  EXPECT_THAT(http_error(reply("{\"result\": 1}")).text(), HasSubstr("no list \"outputs\""));
  EXPECT_THAT(http_error(reply("model not loaded", "503 Service Unavailable")).text(),
              HasSubstr("status 503 instead of 200: 'model not loaded'"));
  EXPECT_THAT(http_error(reply("", "302 Found", "Location: http://127.0.0.1:1/\r\n")).text(),
              HasSubstr("Redirects are not followed"));
  EXPECT_EQ(http_error("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"outp").code, Code::kIo);
  HttpOptions small;
  small.answer_bytes = 10;
  EXPECT_EQ(http_error(reply("{\"outputs\": [[1, 2]]}"), small).code, Code::kLimit);
}

TEST(Http, SilenceAndRefusalEndInTime) {
  HttpOptions brief;
  brief.request_timeout = std::chrono::milliseconds(150);
  const base::Error silent = http_error("", brief);
  EXPECT_EQ(silent.code, Code::kLimit);
  EXPECT_THAT(silent.text(), HasSubstr("no answer within 150 ms"));
  std::string closed;
  {
    Server server([](const std::string&) { return reply("{}"); });
    closed = server.address();
  }
  data::ModelSection model = section(2, {3});
  model.endpoint = closed;
  const auto refused = (*open_http_predictor(model))->predict(random_rows(1, 3), {});
  EXPECT_EQ(refused.error().code, Code::kIo);
  EXPECT_THAT(refused.error().text(), HasSubstr("while connecting"));
  // A server that speaks plain HTTP is no secure endpoint.
  Server plain([](const std::string&) { return reply("{}"); });
  model.endpoint = "https" + plain.address().substr(4);
  HttpOptions short_options;
  short_options.connect_timeout = std::chrono::milliseconds(1000);
  const auto insecure = (*open_http_predictor(model, short_options))->predict(random_rows(1, 3), {});
  ASSERT_FALSE(insecure.ok());
}

TEST(Http, AddressesAndDeclarationsAreChecked) {
  data::ModelSection model = section(2, {3});
  for (const char* bad :
       {"ftp://host/", "http://", "http://host:port/", "host:80", "http://me@host/", "http://ho st/"}) {
    model.endpoint = bad;
    EXPECT_THAT(open_http_predictor(model).error().text(), HasSubstr("expected http(s)://")) << bad;
  }
  for (const char* good : {"http://host", "https://[::1]:8443/a?b=c", "http://host:80?x"}) {
    model.endpoint = good;
    EXPECT_TRUE(open_http_predictor(model).ok()) << good;
  }
  model.features = "hidden";
  EXPECT_EQ(open_http_predictor(model).error().code, Code::kUnsupported);
  model.features = "pca:4";
  EXPECT_TRUE(open_http_predictor(model).ok());
  model.classes = 0;
  EXPECT_THAT(open_http_predictor(model).error().text(), HasSubstr("needs `classes`"));
  model.classes = 2;
  model.output = "guesses";
  EXPECT_THAT(open_http_predictor(model).error().text(), HasSubstr("output is 'guesses'"));
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
