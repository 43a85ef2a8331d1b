// What deciding costs beside the bare model, one request at a time: last-layer Laplace over 10 classes and 64 features,
// Mahalanobis distance in 64 dimensions, split conformal sets, a cost matrix with two readings.
// Agreement first: the doubts of single rows are those of the batch functions.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/runtime/classifier_decider.hpp"
#include "plumbline/stats/logistic.hpp"

namespace plumbline::runtime {
namespace {

constexpr std::ptrdiff_t kFeatures = 64;
constexpr int kClasses = 10;

/// A softmax head over its inputs: the cheapest model there is.
class Head final : public decision::Predictor {
 public:
  explicit Head(stats::LogisticModel model) : model_(std::move(model)) {
    info_.name = "head";
    info_.hash = "head";
    info_.input_size = kFeatures;
    info_.outputs = kClasses;
  }
  const decision::PredictorInfo& info() const override { return info_; }
  base::Result<decision::Prediction> predict(MatrixRefF rows, const decision::PredictOptions&) override {
    PL_TRY(MatrixD logits, model_.logits(rows));
    return decision::Prediction{std::move(logits), {}};
  }

 private:
  stats::LogisticModel model_;
  decision::PredictorInfo info_;
};

struct Rows {
  MatrixF features;
  std::vector<int> labels;
};
Rows clouds(std::uint64_t seed, std::ptrdiff_t n) {
  base::Rng rng(seed, {"decider bench"});
  Rows rows{MatrixF(n, kFeatures), {}};
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const int k = static_cast<int>(rng.below(kClasses));
    for (std::ptrdiff_t j = 0; j < kFeatures; ++j)
      rows.features(i, j) = static_cast<float>(rng.normal(j == k ? 2 : 0, 1));
    rows.labels.push_back(k);
  }
  return rows;
}

struct System {
  stats::LogisticModel model;
  ClassifierParts parts;
  Rows fresh;
};
const System& bench_system() {
  static const System made = [] {
    const Rows train = clouds(1, 4000);
    const Rows calibration = clouds(2, 1000);
    stats::LogisticModel model = stats::fit_logistic(train.features, train.labels, kClasses).value();
    const MatrixD logits = model.logits(calibration.features).value();
    robustness::DoubtOptions options;
    options.level = 0.95;
    ClassifierParts parts{
        .doubts = robustness::fit_doubts(
                      {train.features, train.labels, kClasses, logits, calibration.features, calibration.labels, {}},
                      options, base::Rng(3))
                      .value(),
        .features = {},
        .classes = {},
        .model = "head",
        .model_hash = "head",
        .output = decision::Output::kLogits,
        .input_size = kFeatures,
        .train = "train",
        .calibration = "calibration",
        .train_fingerprint = "",
        .calibration_fingerprint = "",
        .examples = {}};
    for (int c = 0; c < kClasses; ++c) parts.classes.push_back(std::to_string(c));
    return System{std::move(model), std::move(parts), clouds(4, 512)};
  }();
  return made;
}

caution::GuardPolicy policy(const std::string& rule) {
  caution::GuardPolicy made;
  made.costs = caution::zero_one_costs(bench_system().parts.classes);
  caution::CostReading other = made.costs.readings.front();
  other.name = "other";
  other.cost.row(0) *= 4;
  made.costs.readings.push_back(other);
  for (caution::CostReading& reading : made.costs.readings) reading.weight = 0.5;
  made.rule = rule;
  made.fallback = "0";
  made.ask_cost = 0.3;
  return made;
}

std::unique_ptr<ClassifierDecider> decider(const std::string& rule) {
  return ClassifierDecider::make(std::make_unique<Head>(bench_system().model), bench_system().parts, policy(rule), {})
      .value();
}

bool agrees() {
  const System& s = bench_system();
  const auto made = decider("expected");
  const MatrixD logits = s.model.logits(s.fresh.features).value();
  const auto many = robustness::ask_all(s.parts.doubts, logits, s.fresh.features).value();
  for (std::ptrdiff_t i = 0; i < 512; ++i) {
    const float* row = s.fresh.features.data() + i * kFeatures;
    const Request request{"", "", {row, row + kFeatures}};
    const std::uint64_t stream = 1;
    const Proposal p = made->propose(std::span(&request, 1), std::span(&stream, 1)).value().front();
    if (p.error || std::abs(p.uncertainty.model->value - many.model(i)) > 1e-9) return false;
    if (p.uncertainty.distributional->value != many.p_value(i)) return false;
  }
  return true;
}

void BM_BareModel(benchmark::State& state) {
  Head model(bench_system().model);
  std::ptrdiff_t i = 0;
  for (auto _ : state) {
    const MatrixF row = bench_system().fresh.features.middleRows(i++ % 512, 1);
    benchmark::DoNotOptimize(model.predict(row, {}));
  }
}
BENCHMARK(BM_BareModel)->Unit(benchmark::kMicrosecond);

void propose_all(benchmark::State& state, const std::string& rule) {
  const auto made = decider(rule);
  std::vector<Request> requests;
  for (std::ptrdiff_t i = 0; i < 512; ++i) {
    const float* row = bench_system().fresh.features.data() + i * kFeatures;
    requests.push_back({"", "", {row, row + kFeatures}});
  }
  std::uint64_t stream = 0;
  for (auto _ : state) {
    const Request& request = requests[stream++ % 512];
    benchmark::DoNotOptimize(made->propose(std::span(&request, 1), std::span(&stream, 1)));
  }
}
void BM_Decide(benchmark::State& state) { propose_all(state, "expected"); }
BENCHMARK(BM_Decide)->Unit(benchmark::kMicrosecond);
void BM_DecideAsk(benchmark::State& state) { propose_all(state, "ask:0.1"); }
BENCHMARK(BM_DecideAsk)->Unit(benchmark::kMicrosecond);
void BM_DecideRegret(benchmark::State& state) { propose_all(state, "regret"); }
BENCHMARK(BM_DecideRegret)->Unit(benchmark::kMicrosecond);
void BM_DecideCvar(benchmark::State& state) { propose_all(state, "cvar:0.1"); }
BENCHMARK(BM_DecideCvar)->Unit(benchmark::kMicrosecond);

// The parts of it.
void BM_Doubts(benchmark::State& state) {
  const System& s = bench_system();
  const MatrixD logits = s.model.logits(s.fresh.features).value();
  robustness::DoubtScratch scratch;
  robustness::RowDoubts row;
  std::ptrdiff_t i = 0;
  for (auto _ : state) {
    s.parts.doubts.ask({logits.data() + i * kClasses, kClasses}, {s.fresh.features.data() + i * kFeatures, kFeatures},
                       scratch, row);
    benchmark::DoNotOptimize(row);
    i = (i + 1) % 512;
  }
}
BENCHMARK(BM_Doubts)->Unit(benchmark::kMicrosecond);
void BM_Covariance(benchmark::State& state) {
  const System& s = bench_system();
  caution::LaplaceScratch scratch;
  std::vector<double> covariance(kClasses * kClasses);
  std::ptrdiff_t i = 0;
  for (auto _ : state) {
    s.parts.doubts.head.covariance({s.fresh.features.data() + i * kFeatures, kFeatures}, scratch, covariance);
    benchmark::DoNotOptimize(covariance.data());
    i = (i + 1) % 512;
  }
}
BENCHMARK(BM_Covariance)->Unit(benchmark::kMicrosecond);
void BM_Distance(benchmark::State& state) {
  const System& s = bench_system();
  std::vector<double> white;
  std::ptrdiff_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        s.parts.doubts.distance.score({s.fresh.features.data() + i * kFeatures, kFeatures}, white));
    i = (i + 1) % 512;
  }
}
BENCHMARK(BM_Distance)->Unit(benchmark::kMicrosecond);

// Floor of the covariance: the bare product of its packed quadratic form with a vector, by Eigen.
void BM_FloorOfCovariance(benchmark::State& state) {
  constexpr std::ptrdiff_t kPairs = (kFeatures + 1) * (kFeatures + 2) / 2;
  const MatrixD form = MatrixD::Random(kClasses * (kClasses + 1) / 2, kPairs);
  const VectorD products = VectorD::Random(kPairs);
  VectorD result(form.rows());
  for (auto _ : state) {
    result.noalias() = form * products;
    benchmark::DoNotOptimize(result.data());
  }
}
BENCHMARK(BM_FloorOfCovariance)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace plumbline::runtime

int main(int argc, char** argv) {
  if (!plumbline::runtime::agrees()) {
    std::fprintf(stderr, "single rows and batches disagree; no time is worth measuring\n");
    return EXIT_FAILURE;
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return EXIT_SUCCESS;
}
