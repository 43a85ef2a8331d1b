// Prediction throughput of the LibTorch executor. First the agreement with the float64 interpreter, then time. The
// floor of a multilayer perceptron is its matrix products alone (Eigen, the same batch); counters are rows a second.

#include <cstdio>
#include <cstdlib>

#include <benchmark/benchmark.h>

#include "plumbline/nn/executor.hpp"
#include "plumbline/nn/train.hpp"
#include "plumbline/predict/network.hpp"

namespace plumbline::nn {
namespace {

constexpr std::ptrdiff_t kRows = 4096;

MatrixF images() {
  base::Rng rng(1);
  MatrixF rows(kRows, 784);
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i) rows.data()[i] = static_cast<float>(rng.uniform());
  return rows;
}

predict::NetworkSpec spec_of(const std::string& kind) {
  predict::NetworkSpec spec;
  spec.kind = kind;
  spec.input_shape = {1, 28, 28};
  spec.classes = 10;
  spec.hidden = {256, 256, 256, 256};
  return spec;
}

decision::PredictorPtr open(const std::string& kind, bool torch) {
  const auto graph = predict::build_network(spec_of(kind), base::Rng(3));
  data::ModelSection section;
  section.name = kind;
  section.output = "logits";
  auto executor = torch ? std::move(make_executor(*graph)).value() : predict::make_interpreter(*graph);
  auto model = predict::make_graph_predictor(section, *graph, kind, "", std::move(executor));
  if (!torch) return std::move(model).value();
  const auto gap = parity(**model, *graph, images().topRows(64));
  if (!gap.ok() || *gap > 1e-5) {
    std::fprintf(stderr, "%s: executor and interpreter disagree\n", kind.c_str());
    std::exit(1);
  }
  return std::move(model).value();
}

void predict_rows(benchmark::State& state, const std::string& kind, bool torch) {
  const auto model = open(kind, torch);
  const MatrixF rows = images().topRows(torch ? kRows : 256);
  for (auto _ : state) benchmark::DoNotOptimize(model->predict(rows, {})->outputs.data());
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(rows.rows() * state.iterations()), benchmark::Counter::kIsRate);
}

void gradient_rows(benchmark::State& state, const std::string& kind) {
  const auto model = open(kind, true);
  const MatrixD rows = images().topRows(512).cast<double>();
  const MatrixD weights = MatrixD::Ones(512, 10);
  for (auto _ : state) benchmark::DoNotOptimize(model->input_gradient(rows, weights)->data());
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(rows.rows() * state.iterations()), benchmark::Counter::kIsRate);
}

/// The floor: the perceptron's five products and nothing else.
void products(benchmark::State& state) {
  const MatrixF rows = images();
  const MatrixF first = MatrixF::Random(784, 256);
  const MatrixF inner = MatrixF::Random(256, 256);
  const MatrixF last = MatrixF::Random(256, 10);
  MatrixF a(256, 256);
  MatrixF b(256, 256);
  MatrixF c(256, 10);
  for (auto _ : state) {
    for (std::ptrdiff_t begin = 0; begin < kRows; begin += 256) {
      a.noalias() = rows.middleRows(begin, 256) * first;
      b.noalias() = a * inner;
      a.noalias() = b * inner;
      b.noalias() = a * inner;
      c.noalias() = b * last;
      benchmark::DoNotOptimize(c.data());
    }
  }
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(kRows * state.iterations()), benchmark::Counter::kIsRate);
}

void train_epoch(benchmark::State& state) {
  const MatrixF rows = images();
  std::vector<int> labels(static_cast<std::size_t>(kRows));
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int>(i % 10);
  TrainOptions options;
  options.epochs = 1;
  options.batch = 128;
  for (auto _ : state) benchmark::DoNotOptimize(train_classifier(spec_of("cnn"), rows, labels, options).ok());
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(kRows * state.iterations()), benchmark::Counter::kIsRate);
}

BENCHMARK(products)->Name("floor/mlp_products")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(predict_rows, mlp_torch, "mlp", true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(predict_rows, mlp_interpreter, "mlp", false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(predict_rows, cnn_torch, "cnn", true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(predict_rows, cnn_interpreter, "cnn", false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(gradient_rows, mlp, "mlp")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(gradient_rows, cnn, "cnn")->Unit(benchmark::kMillisecond);
BENCHMARK(train_epoch)->Name("train/cnn_epoch_of_4096")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace plumbline::nn

int main(int argc, char** argv) {
  plumbline::nn::configure_process();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
