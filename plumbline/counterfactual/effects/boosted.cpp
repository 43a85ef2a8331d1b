#include "plumbline/counterfactual/effects/boosted.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <xgboost/c_api.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/rng.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

base::Status called(int status, const char* what) {
  if (status == 0) return base::ok();
  return base::make_error(base::Code::kInternal, fmt::format("XGBoost, {}: {}", what, XGBGetLastError()));
}

/// Rows in XGBoost's memory.
class Rows {
 public:
  Rows() = default;
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows() {
    if (handle_ != nullptr) XGDMatrixFree(handle_);
  }
  base::Status fill(const MatrixD& x, const std::vector<Index>& which) {
    MatrixF cells(static_cast<Index>(which.size()), x.cols());
    for (std::size_t i = 0; i < which.size(); ++i) cells.row(static_cast<Index>(i)) = x.row(which[i]).cast<float>();
    PL_CHECK(called(
        XGDMatrixCreateFromMat(cells.data(), which.size(), static_cast<bst_ulong>(x.cols()), std::nanf(""), &handle_),
        "rows"));
    return base::ok();
  }
  base::Status labels(const VectorF& y) {
    return called(XGDMatrixSetFloatInfo(handle_, "label", y.data(), static_cast<bst_ulong>(y.size())), "labels");
  }
  DMatrixHandle get() const { return handle_; }

 private:
  DMatrixHandle handle_ = nullptr;
};

class Booster {
 public:
  Booster() = default;
  Booster(const Booster&) = delete;
  Booster& operator=(const Booster&) = delete;
  ~Booster() {
    if (handle_ != nullptr) XGBoosterFree(handle_);
  }
  /// Predictions for `held` are kept from round to round.
  base::Status make(const Rows& rows, const Rows& held, bool binary, const TreeOptions& o) {
    const DMatrixHandle known[2] = {rows.get(), held.get()};
    PL_CHECK(called(XGBoosterCreate(known, 2, &handle_), "a booster"));
    const std::vector<std::pair<const char*, std::string>> settings = {
        {"nthread", "1"},
        {"verbosity", "0"},
        {"tree_method", "hist"},
        {"objective", binary ? "binary:logistic" : "reg:squarederror"},
        {"base_score", binary ? "0.5" : "0"},
        {"max_depth", std::to_string(o.depth)},
        {"eta", fmt::format("{}", o.rate)},
        {"min_child_weight", fmt::format("{}", o.child_weight)},
        {"seed", std::to_string(o.seed % 1000000007)}};
    for (const auto& setting : settings)
      PL_CHECK(called(XGBoosterSetParam(handle_, setting.first, setting.second.c_str()), setting.first));
    return base::ok();
  }
  base::Status grow(int round, const Rows& rows) {
    return called(XGBoosterUpdateOneIter(handle_, round, rows.get()), "a tree");
  }
  /// Predictions of the first `trees` trees, 0 = all.
  base::Result<VectorD> predict(const Rows& rows, int trees) {
    const std::string config = fmt::format(
        R"({{"type": 0, "training": false, "iteration_begin": 0, "iteration_end": {}, "strict_shape": false}})", trees);
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* values = nullptr;
    PL_CHECK(called(XGBoosterPredictFromDMatrix(handle_, rows.get(), config.c_str(), &shape, &dimensions, &values),
                    "predictions"));
    VectorD out(static_cast<Index>(shape[0]));
    for (Index i = 0; i < out.size(); ++i) out(i) = static_cast<double>(values[i]);
    return out;
  }

 private:
  BoosterHandle handle_ = nullptr;
};

double loss_of(const VectorD& predicted, const VectorF& y, bool binary) {
  double sum = 0;
  for (Index i = 0; i < predicted.size(); ++i) {
    const double truth = static_cast<double>(y(i));
    if (binary)
      sum -= std::log(std::max(truth > 0.5 ? predicted(i) : 1 - predicted(i), 1e-12));
    else
      sum += (predicted(i) - truth) * (predicted(i) - truth);
  }
  return sum;
}

VectorF labels_of(const VectorD& y, const std::vector<Index>& which) {
  VectorF out(static_cast<Index>(which.size()));
  for (std::size_t i = 0; i < which.size(); ++i) out(static_cast<Index>(i)) = static_cast<float>(y(which[i]));
  return out;
}

}  // namespace

base::Result<VectorD> boosted_predictions(const MatrixD& x, const VectorD& y, const MatrixD& at, bool binary,
                                          const TreeOptions& o) {
  constexpr const char* kName = "boosted_predictions";
  PL_CHECK(base::check_size(kName, "y", y.size(), x.rows()));
  PL_CHECK(base::check_size(kName, "columns of at", at.cols(), x.cols()));
  if (x.rows() < 10 || x.cols() == 0)
    return base::make_error(base::Code::kShape, fmt::format("{}: {} rows of {} columns", kName, x.rows(), x.cols()));
  if (binary && !(y.array() == 0 || y.array() == 1).all())
    return base::make_error(base::Code::kValue, fmt::format("{}: y other than 0 and 1", kName));
  // Centred and scaled, so that float loses nothing and the least leaf means the same everywhere.
  const double mean = binary ? 0 : y.sum() / static_cast<double>(y.size());
  const double scale = binary ? 1 : std::sqrt((y.array() - mean).square().sum() / static_cast<double>(y.size()));
  if (!binary && !(scale > 0)) return VectorD(VectorD::Constant(at.rows(), mean));
  const VectorD scaled = (y.array() - mean) / scale;

  base::Rng rng(o.seed, {"boosted trees"});
  const std::vector<std::size_t> order = rng.permutation(static_cast<std::size_t>(x.rows()));
  const auto every = static_cast<std::size_t>(std::lround(1 / o.held_out));
  std::vector<Index> learning, holding, asked(static_cast<std::size_t>(at.rows()));
  for (std::size_t i = 0; i < order.size(); ++i)
    (i % every == 0 ? holding : learning).push_back(static_cast<Index>(order[i]));
  for (std::size_t i = 0; i < asked.size(); ++i) asked[i] = static_cast<Index>(i);
  const VectorF held_labels = labels_of(scaled, holding);

  Rows learn_rows, hold_rows, ask_rows;
  PL_CHECK(learn_rows.fill(x, learning));
  PL_CHECK(learn_rows.labels(labels_of(scaled, learning)));
  PL_CHECK(hold_rows.fill(x, holding));
  PL_CHECK(ask_rows.fill(at, asked));
  Booster booster;
  PL_CHECK(booster.make(learn_rows, hold_rows, binary, o));
  double best = loss_of(VectorD::Constant(held_labels.size(), binary ? 0.5 : 0.0), held_labels, binary);
  int best_trees = 1;
  for (int round = 0; round < o.most_rounds && round - best_trees < o.patience; ++round) {
    PL_CHECK(o.cancel.status());
    PL_CHECK(booster.grow(round, learn_rows));
    PL_TRY(const VectorD predicted, booster.predict(hold_rows, 0));
    const double loss = loss_of(predicted, held_labels, binary);
    if (loss < best) {
      best = loss;
      best_trees = round + 1;
    }
  }
  PL_TRY(const VectorD predicted, booster.predict(ask_rows, best_trees));
  return VectorD(predicted.array() * scale + mean);
}

}  // namespace plumbline::counterfactual::effects
