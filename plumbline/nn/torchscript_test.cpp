#include "plumbline/nn/prelude.hpp"

#include <torch/csrc/jit/api/module.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/nn/executor.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::nn {
namespace {

using base::Code;
using ::testing::HasSubstr;

class TorchScript : public ::testing::Test {
 protected:
  /// Saves a module with weight w (2 x 3) and the given body of forward(self, x: Tensor).
  std::string save(const std::string& name, const std::string& body) {
    torch::jit::Module module("m");
    at::Tensor w = at::empty({2, 3});
    for (int i = 0; i < 6; ++i) w.data_ptr<float>()[i] = static_cast<float>(i) - 2.0F;
    module.register_parameter("w", w, false);
    module.define(body);
    module.save(folder_.file(name));
    return folder_.file(name);
  }

  base::Result<decision::PredictorPtr> open(const std::string& path, bool trusted = true,
                                            std::vector<std::int64_t> shape = {3}) {
    data::ModelSection section;
    section.name = "m";
    section.output = "logits";
    section.trusted = trusted;
    section.input_shape = std::move(shape);
    section.path = data::Location{path, path};
    predict::OpenOptions options;
    options.torch = torch_backend();
    return predict::open_predictor(section, options);
  }

  testing::TempFolder folder_;
};

TEST_F(TorchScript, AnswersWithGradientsThroughAutograd) {
  const std::string path = save("net.pt", "def forward(self, x):\n  return torch.relu(torch.matmul(x, self.w.t()))\n");
  auto model = open(path);
  ASSERT_TRUE(model.ok()) << model.error().text();
  const auto& info = (*model)->info();
  EXPECT_EQ(info.kind, "torchscript");
  EXPECT_EQ(info.outputs, 2);
  EXPECT_TRUE(info.has_gradient);
  MatrixF x(2, 3);
  x << 1, 1, -1, -1, 0, 2;
  // w = (-2 -1 0; 1 2 3): x w' = (-3, 0), (2, 5).
  MatrixD want(2, 2);
  want << 0, 0, 2, 5;
  EXPECT_EQ((*model)->predict(x, {})->outputs, want);
  EXPECT_EQ(*(*model)->predict64(x.cast<double>()), want);
  MatrixD slope(2, 3);
  slope << 0, 0, 0, -2 + 10, -1 + 20, 0 + 30;
  MatrixD weights(2, 2);
  weights << 1, 10, 1, 10;
  EXPECT_EQ(*(*model)->input_gradient(x.cast<double>(), weights), slope);
}

TEST_F(TorchScript, IsRefusedWithAReason) {
  const std::string path = save("net.pt", "def forward(self, x):\n  return torch.matmul(x, self.w.t())\n");
  EXPECT_THAT(open(path, false).error().text(), HasSubstr("only with trusted = true"));
  EXPECT_THAT(open(path, true, {}).error().text(), HasSubstr("needs `input_shape`"));
  const base::Error misfit = open(path, true, {7}).error();
  EXPECT_EQ(misfit.code, Code::kValue);
  EXPECT_THAT(misfit.text(), HasSubstr("shapes cannot be multiplied"));
  EXPECT_THAT(
      open(save("raise.pt", "def forward(self, x):\n  assert x.size(0) > 5, 'too few'\n  return x\n")).error().text(),
      HasSubstr("too few"));
  EXPECT_EQ(open(save("two.pt", "def forward(self, x):\n  return (x, x)\n")).error().code, Code::kShape);
  EXPECT_EQ(open(save("sum.pt", "def forward(self, x):\n  return x.sum()\n")).error().code, Code::kShape);
}

TEST_F(TorchScript, DamagedFilesAreErrorsOfTheReader) {
  const std::string path = save("net.pt", "def forward(self, x):\n  return torch.matmul(x, self.w.t())\n");
  const std::string bytes = testing::read_file(path);
  for (const double share : {0.0, 0.1, 0.5, 0.9, 0.99}) {
    testing::write_file(folder_.file("cut.pt"),
                        bytes.substr(0, static_cast<std::size_t>(share * static_cast<double>(bytes.size()))));
    const auto cut = open(folder_.file("cut.pt"));
    ASSERT_FALSE(cut.ok()) << share;
    EXPECT_EQ(cut.error().code, Code::kParse) << cut.error().text();
  }
  // A later format: the version record says 99 instead of 3 (its checksum is not looked at).
  std::string later = bytes;
  const std::size_t name = later.find("/version");
  ASSERT_NE(name, std::string::npos);
  const std::size_t at = later.find("3\n", name);
  ASSERT_NE(at, std::string::npos);
  later.replace(at, 2, "99");
  testing::write_file(folder_.file("later.pt"), later);
  const auto newer = open(folder_.file("later.pt"));
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.error().code, Code::kUnsupported) << newer.error().text();
  EXPECT_THAT(newer.error().text(), HasSubstr("version 99"));
  EXPECT_THAT(newer.error().text(), HasSubstr("export it to ONNX"));
}

}  // namespace
}  // namespace plumbline::nn
