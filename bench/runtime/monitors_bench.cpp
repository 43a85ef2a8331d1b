// What watching costs a decision: two rules and three signals over inputs of 16 and 64 numbers. Agreement first: what
// is read back from the note's text gives the same state.

#include <cstdio>
#include <cstdlib>
#include <vector>

#include <benchmark/benchmark.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/runtime/log/guard_event.hpp"
#include "plumbline/runtime/monitors.hpp"

namespace plumbline::runtime {
namespace {

std::shared_ptr<const MonitorPlan> plan_of(std::size_t inputs) {
  DeciderInfo info;
  info.actions = {"go", "stop"};
  info.input_size = inputs;
  info.reference_rows = 1000;
  MonitorOptions options;
  options.drift = {DriftSignal::kInput, DriftSignal::kAleatoric, DriftSignal::kModel};
  probe::AssertionSpec range, steady;
  range.name = "range";
  range.field = "x3";
  range.high = 3;
  steady.name = "steady";
  steady.kind = probe::AssertionKind::kSteady;
  steady.field = "label";
  steady.within = 1;
  options.assertions = {range, steady};
  auto plan = MonitorPlan::make(options, info, {});
  if (!plan.ok()) std::exit(1);
  return std::make_shared<const MonitorPlan>(std::move(*plan));
}

struct Traffic {
  std::vector<Request> requests;
  std::vector<Proposal> proposals;
};
Traffic traffic(std::size_t inputs, std::size_t n) {
  base::Rng rng(1, {"monitors bench"});
  Traffic t;
  for (std::size_t i = 0; i < n; ++i) {
    Request r{"r", "unit " + std::to_string(rng.below(100)), {}};
    for (std::size_t j = 0; j < inputs; ++j) r.input.push_back(static_cast<float>(rng.normal()));
    Proposal p;
    p.act = decision::Act::kAct;
    p.actions = {"go", "stop"};
    p.probabilities = {0.9, 0.1};
    p.answer = rng.bernoulli(0.9) ? "go" : "stop";
    p.input_rank = rng.uniform();
    p.uncertainty.aleatoric = decision::MeasuredUncertainty{rng.uniform(), "nat", "", {}, {}};
    p.uncertainty.model = decision::MeasuredUncertainty{rng.uniform(), "nat", "", {}, {}};
    t.requests.push_back(std::move(r));
    t.proposals.push_back(std::move(p));
  }
  return t;
}

void agree() {
  const auto plan = plan_of(16);
  const Traffic t = traffic(16, 2000);
  Monitors live(plan), read(plan);
  for (std::size_t i = 0; i < t.requests.size(); ++i) {
    GuardEvent event;
    event.kind = GuardEvent::Kind::kDecide;
    event.at = static_cast<Instant>(i) * kMillisecond;
    event.note = live.judge(t.requests[i], t.proposals[i], event.at).note;
    live.apply(*event.note, event.at, i);
    const auto back = parse_guard_event(*to_json(event), "");
    if (!back.ok() || !back->note) std::exit(1);
    read.apply(*back->note, back->at, i);
  }
  if (!(live == read)) {
    std::fputs("the state that is read back differs\n", stderr);
    std::exit(1);
  }
}

void judge_and_fold(benchmark::State& state) {
  const auto inputs = static_cast<std::size_t>(state.range(0));
  const Traffic t = traffic(inputs, 1000);
  Monitors monitors(plan_of(inputs));
  std::uint64_t i = 0;
  for (auto _ : state) {
    const Instant at = static_cast<Instant>(i) * kMillisecond;
    const MonitorVerdict verdict = monitors.judge(t.requests[i % 1000], t.proposals[i % 1000], at);
    monitors.apply(*verdict.note, at, i++);
  }
}
BENCHMARK(judge_and_fold)->Arg(16)->Arg(64);

void note_as_text(benchmark::State& state) {
  const Traffic t = traffic(16, 1);
  const MonitorNote note = *Monitors(plan_of(16)).judge(t.requests[0], t.proposals[0], 0).note;
  for (auto _ : state) benchmark::DoNotOptimize(to_json(note));
}
BENCHMARK(note_as_text);

void read_and_fold(benchmark::State& state) {
  const Traffic t = traffic(16, 1000);
  Monitors monitors(plan_of(16));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 1000; ++i)
    texts.push_back(to_json(*monitors.judge(t.requests[i], t.proposals[i], 0).note));
  std::uint64_t i = 0;
  for (auto _ : state) {
    std::string_view text = texts[i % 1000];
    MonitorNote note;
    if (!cut_monitor_note(text, note)) std::exit(1);
    monitors.apply(note, static_cast<Instant>(i) * kMillisecond, i);
    ++i;
  }
}
BENCHMARK(read_and_fold);

}  // namespace
}  // namespace plumbline::runtime

int main(int argc, char** argv) {
  plumbline::runtime::agree();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
