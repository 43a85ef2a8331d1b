// The checks on perturbed inputs through the path that a user's system takes: fixtures, figures, pictures, reasons.
#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/case/run/plan.hpp"
#include "plumbline/checks/catalog.hpp"
#include "plumbline/data/idx.hpp"
#include "plumbline/data/manifest.hpp"
#include "plumbline/graph/onnx.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::checks {

check::Entry certificate();
check::Entry smoothing();

namespace {

using ::testing::HasSubstr;

// As the published count, on 20 pairs: a detection rate of 0.9 would show fewer than 17 refutations once in seven
// tries.
TEST(PerturbedFixtures, DefectsAreRefutedAndControlsAreNot) {
  for (const check::Entry& entry : {certificate(), smoothing()}) {
    const verify::VerifyCount count = testing::count_fixtures(entry, 20);
    EXPECT_EQ(count.detected, 20) << entry.info.id << " " << count.example_problem;
    EXPECT_EQ(count.false_alarms, 0) << entry.info.id;
    EXPECT_EQ(count.abstentions, 0) << entry.info.id << " " << count.example_problem;
  }
}

void write_system(const check::Entry& entry, bool defect, const testing::TempFolder& folder,
                  const std::string& from = "", const std::string& to = "") {
  base::Rng rng(3, {"written"});
  ASSERT_TRUE((defect ? entry.fixtures.defect : entry.fixtures.control)(folder.path(), rng).ok());
  std::string text = testing::read_file(folder.file("system.toml"));
  if (!from.empty()) {
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, from.size(), to);
  }
  testing::write_file(folder.file("system.toml"), text);
}

check::Output run(const check::Entry& entry, const testing::TempFolder& folder) {
  auto output = testing::run_check(entry, folder.path());
  EXPECT_TRUE(output.ok()) << output.error().text();
  return output.ok() ? *output : check::Output{};
}

std::string why_not(const check::Entry& entry, const testing::TempFolder& folder) {
  const data::Manifest manifest = data::read_manifest(folder.file("system.toml")).value();
  const auto found = manifest.check_params.find(entry.info.id);
  const auto params = check::resolve_params(
      entry.info, found == manifest.check_params.end()
                      ? std::map<std::string, check::ParamValue>{}
                      : std::map<std::string, check::ParamValue>{found->second.begin(), found->second.end()});
  return entry.plan(run::make_blueprint(manifest, true).value(), params.value()).not_applicable;
}

double value(const check::Output& output, const std::string& metric, std::map<std::string, std::string> where) {
  where["data"] = "test";
  const check::Evidence* found = testing::find(output, metric, where);
  EXPECT_NE(found, nullptr) << metric;
  return found == nullptr ? std::nan("") : found->estimate.value;
}

TEST(CertificateCheck, CurvesKeepTheirOrderAndTheTableHasEveryExample) {
  for (const bool defect : {true, false}) {
    testing::TempFolder folder;
    write_system(certificate(), defect, folder);
    const check::Output output = run(certificate(), folder);
    EXPECT_EQ(value(output, "clean_accuracy", {}), 1);
    // The fragile reader tells by 0.03 to 0.07: nothing holds at 0.1. The other by 0.8 and more: everything at 0.3.
    EXPECT_EQ(value(output, "attacked_accuracy", {}), defect ? 0 : 1);
    for (const std::string method : {"intervals", "linear", "optimised", "all"})
      EXPECT_EQ(value(output, "certified_accuracy", {{"method", method}}), defect ? 0 : 1) << method;
    for (const std::string epsilon : {"0.1", "0.2", "0.3"}) {
      const double certified = value(output, "certified_accuracy", {{"method", "all"}, {"epsilon", epsilon}});
      const double attacked = value(output, "attacked_accuracy", {{"epsilon", epsilon}});
      EXPECT_LE(certified, attacked);
      EXPECT_NEAR(value(output, "gap", {{"epsilon", epsilon}}), attacked - certified, 1e-12);
    }
    ASSERT_EQ(output.artifacts.size(), 2U);
    EXPECT_EQ(output.artifacts[0].kind, "curve");
    EXPECT_EQ(std::get<std::vector<double>>(output.artifacts[1].columns[0].values).size(), 40U);
    const auto& proved = std::get<std::vector<double>>(output.artifacts[1].columns[5].values);
    const auto& attacked = std::get<std::vector<double>>(output.artifacts[1].columns[6].values);
    for (std::size_t i = 0; i < proved.size(); ++i) EXPECT_LE(proved[i], attacked[i] + 1e-9);
    EXPECT_EQ(output.findings.size(), defect ? 1U : 0U);
    if (defect) {
      EXPECT_EQ(output.findings[0].rows.size(), 40U);
      EXPECT_EQ(output.findings[0].severity, check::FindingSeverity::kMajor);
    }
  }
}

TEST(CertificateCheck, ImagesShowTheirWitnesses) {
  testing::TempFolder folder;
  // Two pixels; the reader compares them.
  data::Images images;
  images.count = 12;
  images.height = 1;
  images.width = 2;
  auto bytes = std::make_shared<std::uint8_t[]>(24);
  std::vector<int> labels;
  for (std::size_t i = 0; i < 12; ++i) {
    const int label = static_cast<int>(i % 2);
    labels.push_back(label);
    bytes[2 * i + (label == 0 ? 0 : 1)] = 200;
    bytes[2 * i + (label == 0 ? 1 : 0)] = 150;
  }
  images.bytes = bytes;
  ASSERT_TRUE(data::write_idx_images(folder.file("images.idx"), images).ok());
  ASSERT_TRUE(data::write_idx_labels(folder.file("labels.idx"), labels).ok());
  graph::Graph model;
  model.name = "reader";
  model.inputs = {{"x", graph::Type::kFloat, {-1, 1, 1, 2}}};
  model.outputs = {{"p", graph::Type::kFloat, {-1, 2}}};
  model.initializers = {{"w", {graph::Type::kFloat, {2, 2}, {1, 0, 0, 1}, {}}}};
  model.nodes = {{"flat", "Flatten", {"x"}, {"row"}, {{"axis", std::int64_t{1}}}},
                 {"out", "MatMul", {"row", "w"}, {"z"}, {}},
                 {"soft", "Softmax", {"z"}, {"p"}, {{"axis", std::int64_t{1}}}}};
  ASSERT_TRUE(graph::write_onnx(model, folder.file("reader.onnx")).ok());
  testing::write_file(
      folder.file("system.toml"),
      "[system]\nname = \"pixels\"\n\n[model.reader]\npath = \"reader.onnx\"\noutput = "
      "\"probabilities\"\ninput = {range = [0, 1], layout = \"NCHW\", mean = [0.5], deviation = [0.25]}\n\n"
      "[data.test]\nimages = \"images.idx\"\nlabels = \"labels.idx\"\n\n"
      "[check.\"robustness.certificate\"]\nepsilon = 0.2\npoints = 4\nmethod = \"complete\"\n");
  const check::Output output = run(certificate(), folder);
  // The pixels differ by 50 / 255 = 0.196 of the range: they meet at 0.098, whatever mean and deviation the model has.
  EXPECT_EQ(value(output, "certified_accuracy", {{"method", "linear"}, {"epsilon", "0.05"}}), 1);
  EXPECT_EQ(value(output, "attacked_accuracy", {{"epsilon", "0.1"}}), 0);
  const auto sheet = std::find_if(output.artifacts.begin(), output.artifacts.end(),
                                  [](const check::Artifact& a) { return a.kind == "gallery"; });
  ASSERT_NE(sheet, output.artifacts.end());
  EXPECT_FALSE(sheet->bytes.empty());
}

TEST(CertificateCheck, PlanNamesWhatIsMissing) {
  testing::TempFolder folder;
  write_system(certificate(), false, folder, "path = \"reader.onnx\"",
               "endpoint = \"http://127.0.0.1:9/\"\nclasses = 2\ninput_shape = [2]");
  EXPECT_THAT(why_not(certificate(), folder), HasSubstr("export it to ONNX"));
}

TEST(SmoothingCheck, FiguresOfALinearReader) {
  testing::TempFolder folder;
  write_system(smoothing(), false, folder);
  const check::Output output = run(smoothing(), folder);
  EXPECT_EQ(value(output, "base_accuracy", {}), 1);
  EXPECT_EQ(value(output, "abstention", {}), 0);
  EXPECT_EQ(value(output, "certified_accuracy", {}), 1);
  EXPECT_EQ(value(output, "certified_accuracy", {{"radius", "0.25"}}), 1);
  // 200 copies that agree show 0.25 Phi^-1(0.01^(1/200)) = 0.499, and at a distance of 0.8 and more nearly all agree.
  EXPECT_NEAR(value(output, "mean_radius", {}), 0.4988, 0.003);
  EXPECT_EQ(output.artifacts.size(), 2U);
  EXPECT_TRUE(output.findings.empty());
  const check::Evidence* certified = testing::find(output, "certified_accuracy", {{"data", "test"}});
  EXPECT_NEAR(*certified->estimate.bounds.lower[2], std::pow(0.05, 1.0 / 30) - 0.01, 1e-9);
}

TEST(SmoothingCheck, ARadiusThatNoCountCanShowIsNotJudged) {
  testing::TempFolder folder;
  write_system(smoothing(), false, folder, "radius = 0.25", "radius = 0.6");
  EXPECT_THAT(why_not(smoothing(), folder), HasSubstr("no example can be certified beyond 0.5;"));
}

}  // namespace
}  // namespace plumbline::checks
