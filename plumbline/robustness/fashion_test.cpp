// Fashion-MNIST as the world, MNIST as elsewhere: every detector that reads features, on 64 principal components of
// 60,000 training rows, against figures computed with another library (images/README.md beside the data).

#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <optional>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "plumbline/data/dataset.hpp"
#include "plumbline/data/load.hpp"
#include "plumbline/robustness/ood.hpp"
#include "plumbline/robustness/uncertainty_response.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/ranking.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::robustness {
namespace {

TEST(FashionAgainstMnist, ReproducesThePublishedTable) {
  PL_NEEDS_DATA(root, "images");
  testing::TempFolder folder;
  std::string text = "[system]\nname = \"fashion\"\n";
  const auto section = [&](const std::string& name, const std::string& set, const std::string& part,
                           const std::string& role) {
    text += "[data." + name + "]\nimages = \"data:images/" + set + "/" + part +
            "-images-idx3-ubyte.gz\"\nlabels = \"data:images/" + set + "/" + part +
            "-labels-idx1-ubyte.gz\"\nrole = \"" + role + "\"\n";
  };
  section("train", "fashion-mnist", "train", "train");
  section("test", "fashion-mnist", "t10k", "test");
  section("elsewhere", "mnist", "t10k", "out-of-distribution");
  data::ManifestOptions options;
  options.roots["data"] = root.substr(0, root.rfind('/'));
  const auto manifest = data::parse_manifest(text, folder.file("system.toml"), options);
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  const auto rows_of = [&](const std::string& name, std::vector<int>* labels) {
    const auto set = data::load_dataset(*manifest, name);
    EXPECT_TRUE(set.ok()) << (set.ok() ? "" : set.error().text());
    if (labels != nullptr) *labels = (*set)->labels;
    std::vector<std::size_t> every((*set)->rows());
    std::iota(every.begin(), every.end(), std::size_t{0});
    return data::encode(**set, every, {}).value();
  };
  std::vector<int> labels;
  MatrixF train = rows_of("train", &labels);
  const MatrixF test = rows_of("test", nullptr);
  const MatrixF elsewhere = rows_of("elsewhere", nullptr);
  const stats::Pca pca = stats::fit_pca(MatrixRefF(train), 64).value();
  const auto project = [&](const MatrixF& rows) {
    return MatrixF(pca.transform(MatrixRefF(rows)).value().cast<float>());
  };
  const MatrixF features = project(train);
  train.resize(0, 0);
  const MatrixF id = project(test);
  const MatrixF ood = project(elsewhere);
  const auto expect = [](const char* name, const VectorD& of_id, const VectorD& of_ood, double auroc, double accepted,
                         double auroc_within, double within) {
    std::vector<double> a(of_id.data(), of_id.data() + of_id.size());
    std::vector<double> b(of_ood.data(), of_ood.data() + of_ood.size());
    EXPECT_NEAR(stats::auroc_value(b, a).value(), auroc, auroc_within) << name;
    for (double& v : a) v = -v;
    for (double& v : b) v = -v;
    EXPECT_NEAR(stats::fpr_at_tpr(a, b, 0.95)->value, accepted, within) << name;
  };
  // The table has three digits and its components came from a randomised solver, whose last components vary with the
  // seed: over seeds such a solver moves Mahalanobis and its relative form by .003 and the residual by .0015. Nearest
  // neighbours feel nothing of it.
  const MahalanobisScore gaussians = fit_mahalanobis(features, labels, 10).value();
  expect("mahalanobis", gaussians.score(id).value(), gaussians.score(ood).value(), 0.955, 0.248, 0.0015, 0.01);
  expect("relative_mahalanobis", gaussians.relative_score(id).value(), gaussians.relative_score(ood).value(), 0.937,
         0.300, 0.0015, 0.01);
  expect("pca_residual", pca_residual_score(pca, test).value(), pca_residual_score(pca, elsewhere).value(), 0.968,
         0.126, 0.0015, 0.01);
  const NearestNeighbours knn = NearestNeighbours::fit(features, {.k = 50, .unit_length = false}).value();
  expect("knn", knn.score(id).value(), knn.score(ood).value(), 0.956, 0.277, 0.0006, 0.002);
}

/// Mean of the second less mean of the first, in deviations of the first; bounds as if the rows were not the same.
stats::Estimate moved(const std::vector<double>& base, const std::vector<double>& planted) {
  double mean = 0, square = 0;
  for (const double v : base) mean += v / static_cast<double>(base.size());
  for (const double v : base) square += (v - mean) * (v - mean) / static_cast<double>(base.size());
  stats::Estimate estimate = stats::difference_of_means(planted, base).value();
  const double deviation = std::sqrt(square);
  estimate.value /= deviation;
  for (auto* side : {&estimate.bounds.lower, &estimate.bounds.upper}) {
    for (auto& bound : *side) {
      if (bound) *bound /= deviation;
    }
  }
  return estimate;
}

// The four kinds on real rows: labels redrawn, a twentieth of the rows, digits instead of clothes, two classes swapped.
// docs/developer/guard.md holds the figures.
TEST(FashionAgainstMnist, FourKindsOfUncertaintyOnARealShift) {
  PL_NEEDS_DATA(root, "images");
  constexpr std::size_t kTrain = 8000, kCalibration = 2000, kJudged = 2000;
  testing::TempFolder folder;
  std::string text = "[system]\nname = \"fashion\"\n";
  for (const auto& [name, set, part] :
       {std::tuple{"train", "fashion-mnist", "train"}, std::tuple{"test", "fashion-mnist", "t10k"},
        std::tuple{"elsewhere", "mnist", "t10k"}}) {
    text += fmt::format(
        "[data.{0}]\nimages = \"data:images/{1}/{2}-images-idx3-ubyte.gz\"\nlabels = "
        "\"data:images/{1}/{2}-labels-idx1-ubyte.gz\"\nrole = \"test\"\n",
        name, set, part);
  }
  data::ManifestOptions options;
  options.roots["data"] = root.substr(0, root.rfind('/'));
  const auto manifest = data::parse_manifest(text, folder.file("system.toml"), options);
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  std::optional<stats::Pca> pca;
  const auto read = [&](const std::string& name, std::size_t first, std::size_t count) {
    const data::DatasetPtr set = data::load_dataset(*manifest, name).value();
    std::vector<std::size_t> rows(count);
    std::iota(rows.begin(), rows.end(), first);
    const MatrixF pixels = data::encode(*set, rows, {}).value();
    if (!pca) pca = stats::fit_pca(MatrixRefF(pixels), 64).value();
    const auto at = set->labels.begin() + static_cast<std::ptrdiff_t>(first);
    return LabelledRows{pca->transform(MatrixRefF(pixels)).value().cast<float>(),
                        {at, at + static_cast<std::ptrdiff_t>(count)}};
  };
  const LabelledRows train = read("train", 0, kTrain);
  const LabelledRows calibration = read("train", kTrain, kCalibration);
  const LabelledRows judged = read("test", 0, kJudged);
  const LabelledRows digits = read("elsewhere", 0, kJudged);
  const auto noisy = [](LabelledRows rows, std::uint64_t seed) {
    base::Rng rng(seed, {"noise"});
    for (int& label : rows.labels) {
      if (rng.bernoulli(0.35)) label = static_cast<int>(rng.below(10));
    }
    return rows;
  };
  LabelledRows few = train;
  few.features.conservativeResize(kTrain / 20, few.features.cols());
  few.labels.resize(kTrain / 20);
  const base::Rng rng(3);
  const DoubtMeasures base = measure_doubts(train, calibration, judged, 10, false, rng).value();
  const std::array<DoubtMeasures, 4> planted = {
      measure_doubts(noisy(train, 1), noisy(calibration, 2), judged, 10, false, rng).value(),
      measure_doubts(few, calibration, judged, 10, false, rng).value(),
      measure_doubts(train, calibration, digits, 10, false, rng).value(),
      measure_doubts(train, calibration, judged, 10, true, rng).value()};
  for (std::size_t plant = 0; plant < 4; ++plant) {
    std::printf("%-18s", std::string(doubt_plant(kDoubts[plant])).c_str());
    for (std::size_t kind = 0; kind < 4; ++kind) {
      const stats::Estimate each = moved(base[kind], planted[plant][kind]);
      EXPECT_TRUE(std::isfinite(each.value)) << doubt_kind_name(kDoubts[kind]) << " does not vary without a plant";
      std::printf("  %6.2f [%5.2f, %5.2f]", each.value, each.low().value_or(NAN), each.high().value_or(NAN));
    }
    std::printf("\n");
    // On real rows kinds may be coupled; each plant must still move its own kind, and surely.
    EXPECT_GT(moved(base[plant], planted[plant][plant]).low().value_or(-1), 0.5) << doubt_plant(kDoubts[plant]);
  }
}

}  // namespace
}  // namespace plumbline::robustness
