#pragma once
/// A classifier over three Gaussian clouds with everything that a guard needs, for tests of the room runtime.

#include <memory>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/case/run/session.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/decision/predictor.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::testing::clouds {

inline constexpr std::ptrdiff_t kColumns = 6;
inline constexpr int kClasses = 3;

/// Logits twice the first three inputs. Refuses rows whose last input is 99.
class LinearModel final : public decision::Predictor {
 public:
  explicit LinearModel(std::string hash = "model-hash") {
    info_.name = "reader";
    info_.kind = "test";
    info_.hash = std::move(hash);
    info_.input_size = kColumns;
    info_.outputs = kClasses;
  }
  const decision::PredictorInfo& info() const override { return info_; }
  base::Result<decision::Prediction> predict(MatrixRefF rows, const decision::PredictOptions& options) override {
    decision::Prediction out{MatrixD(rows.rows(), kClasses), {}};
    for (std::ptrdiff_t i = 0; i < rows.rows(); ++i) {
      if (rows(i, kColumns - 1) == 99.0F) return base::make_error(base::Code::kValue, "this row breaks the model");
      for (std::ptrdiff_t c = 0; c < kClasses; ++c) out.outputs(i, c) = 2.0 * static_cast<double>(rows(i, c));
    }
    if (options.want_features) out.features = rows.cast<double>();
    return out;
  }

 private:
  decision::PredictorInfo info_;
};

inline MatrixF cloud_rows(base::Rng& rng, std::ptrdiff_t n, std::vector<int>& labels, double away = 0) {
  MatrixF rows(n, kColumns);
  labels.clear();
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const int k = static_cast<int>(rng.below(kClasses));
    labels.push_back(k);
    for (std::ptrdiff_t j = 0; j < kColumns; ++j) {
      rows(i, j) = static_cast<float>(rng.normal(j == k ? 2.5 : (j >= kClasses ? away : 0), 1));
    }
  }
  return rows;
}

/// Writes train (400), calibration (300) and test (200) and a manifest with `more` at its end.
inline void write_system(const std::string& folder, const std::string& more, const std::string& features = "inputs") {
  base::Rng rng(5);
  std::string text =
      "[system]\nname = \"clouds\"\nseed = 5\n\n[model.reader]\npath = \"model.plnet\"\noutput = \"logits\"\nfeatures "
      "= \"" +
      features + "\"\n\n";
  write_file(folder + "/model.plnet", "not read");
  for (const auto& [name, n] : {std::pair{"train", 400}, std::pair{"calibration", 300}, std::pair{"test", 200}}) {
    std::vector<int> labels;
    const MatrixF rows = cloud_rows(rng, n, labels);
    ASSERT_TRUE(data::write_npy(folder + "/" + name + ".npy", rows).ok());
    ASSERT_TRUE(data::write_npy(folder + "/" + std::string(name) + "-labels.npy", std::span<const int>(labels)).ok());
    text += fmt::format("[data.{0}]\nmatrix = \"{0}.npy\"\nlabels = \"{0}-labels.npy\"\n", name);
    text += std::string(name) == "test" ? "\n" : fmt::format("role = \"{}\"\n\n", name);
  }
  write_file(folder + "/system.toml", text + more);
}

inline run::SessionOptions session_options() {
  run::SessionOptions options;
  options.open_predictor = [](const data::ModelSection&) -> base::Result<decision::PredictorPtr> {
    return decision::PredictorPtr(std::make_unique<LinearModel>());
  };
  return options;
}

}  // namespace plumbline::testing::clouds
