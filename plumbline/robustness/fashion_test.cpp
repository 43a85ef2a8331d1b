// Fashion-MNIST as the world, MNIST as elsewhere: every detector that reads features, on 64 principal components of
// 60,000 training rows, against figures computed with another library (images/README.md beside the data).

#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "plumbline/data/load.hpp"
#include "plumbline/robustness/ood.hpp"
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

}  // namespace
}  // namespace plumbline::robustness
