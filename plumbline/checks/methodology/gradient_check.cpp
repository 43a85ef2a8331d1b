#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/methodology/methodology_checks.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/methodology/gradient.hpp"

namespace plumbline::checks::methodology {
namespace {

namespace method = plumbline::methodology;
using check::Direction;

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "methodology.gradient";
  facts.title = "Gradient check";
  facts.question = "Is the gradient that the model hands out the gradient of what it computes?";
  facts.row = "M1";
  facts.needs = {"a model with gradients in double precision (ONNX, TorchScript, built-in networks)", "a test set"};
  facts.params = {{"rows", std::int64_t{100}, 10.0, 10000.0, {}, "test rows drawn at random, one probe each"},
                  {"resolution",
                   1e-5,
                   1e-9,
                   1e-2,
                   {},
                   "a probe counts when its numeric derivative is known this well, relatively"}};
  facts.yields = {
      {"relative_gap",
       "1",
       Direction::kLowerIsBetter,
       "median of |gradient - numeric derivative| / the larger of the two, along random directions",
       {},
       {}},
      {"zero_gradient_share", "share", Direction::kLowerIsBetter, "rows whose whole gradient is exactly zero", {}, {}},
      {"kink_share",
       "share",
       Direction::kNone,
       "probes discarded: left and right derivative differ, or the numeric derivative does not settle",
       {},
       {}}};
  facts.assumptions = {"rows are independent", "the model computes in double precision when asked to"};
  facts.sources = {"Ridders 1982", "David and Nagaraja 2003, section 7.1"};
  facts.cost = "17 passes and one gradient a row";
  facts.needs_torch = true;
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params& params) {
  check::Plan plan;
  const auto sets = blueprint.sets_with_role(data::Role::kTest);
  if (sets.empty()) {
    plan.not_applicable = "there is no set of role test";
    return plan;
  }
  std::string reason = "the manifest names no model";
  for (const auto& [name, model] : blueprint.models) {
    if (!model.runs) {
      reason = fmt::format("'{}' is known by stored predictions only, which have no gradient", name);
      continue;
    }
    if (!model.has_gradient) {
      reason = blueprint.with_torch ? fmt::format("'{}' ({}) hands out no gradient", name, model.kind)
                                    : "this build has no LibTorch, so no model hands out gradients";
      continue;
    }
    for (const std::string& set : sets) {
      check::Task task;
      task.subject = fmt::format("{}@{}", name, set);
      task.model = name;
      task.data = set;
      task.cost_seconds = 0.1 + 0.002 * static_cast<double>(params.integer("rows"));
      plan.tasks.push_back(std::move(task));
    }
  }
  if (plan.tasks.empty()) plan.not_applicable = reason;
  return plan;
}

check::Artifact probe_table(const method::GradientCheck& result, const std::vector<std::size_t>& source_rows) {
  std::vector<double> rows, gradient, numeric, gap;
  std::vector<std::string> kinds;
  for (const method::GradientProbe& probe : result.probes) {
    rows.push_back(static_cast<double>(source_rows[static_cast<std::size_t>(probe.row)]));
    gradient.push_back(probe.analytic);
    numeric.push_back(probe.numeric);
    gap.push_back(probe.kind == method::ProbeKind::kSmooth ? probe.gap : std::numeric_limits<double>::quiet_NaN());
    kinds.emplace_back(probe.kind == method::ProbeKind::kSmooth ? "smooth"
                       : probe.kind == method::ProbeKind::kKink ? "kink"
                                                                : "rough");
  }
  check::Artifact artifact;
  artifact.id = "probes";
  artifact.kind = "table";
  artifact.title = "Derivatives along random directions";
  artifact.caption =
      "Gradient and numeric derivative should agree on every row; kinks and rough places are left out of the median.";
  artifact.columns = {
      {"row", "", rows}, {"gradient", "", gradient}, {"numeric", "", numeric}, {"gap", "", gap}, {"kind", "", kinds}};
  if (result.convergence)
    artifact.facts["order of convergence (2 where smooth)"] = fmt::format("{:.2f}", *result.convergence);
  return artifact;
}

/// The probes that disagree most, when the median is no rounding matter.
check::Finding worst_probes(const method::GradientCheck& result, const std::vector<std::size_t>& source_rows,
                            const std::string& data) {
  std::vector<const method::GradientProbe*> order;
  for (const auto& probe : result.probes) {
    if (probe.kind == method::ProbeKind::kSmooth) order.push_back(&probe);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->gap > b->gap; });
  const method::GradientProbe& worst = *order.front();
  check::Finding finding;
  finding.id = "gradient-gap";
  finding.severity = check::FindingSeverity::kMajor;
  finding.title =
      fmt::format("The gradient is not the model's: median gap {:.2g} on {}", result.relative_gap->value, data);
  finding.detail = fmt::format(
      "At the worst row the gradient gives {:.6g} along the probed direction, the outputs change by {:.6g}. Attacks, "
      "explanations and "
      "anything else that follows this gradient look at another function than the one that decides.",
      worst.analytic, worst.numeric);
  finding.next_step =
      "Look for steps that pass no gradient (casts, rounding, arg max, detached branches) or a backward pass written "
      "by hand.";
  finding.data = data;
  for (std::size_t i = 0; i < std::min<std::size_t>(order.size(), 100); ++i) {
    finding.rows.push_back(source_rows[static_cast<std::size_t>(order[i]->row)]);
  }
  return finding;
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& model = context.task().model;
  const std::string& data = context.task().data;
  PL_TRY(decision::Predictor* const predictor, context.predictor(model));
  const decision::PredictorInfo about = predictor->info();
  if (!about.has_gradient || !about.has_float64) {
    return base::make_error(base::Code::kUnsupported, "the model hands out no gradient in double precision", model);
  }
  PL_TRY(const data::DatasetPtr set, context.dataset(data));
  const std::size_t wanted = static_cast<std::size_t>(params.integer("rows"));
  const std::vector<std::size_t> rows = context.rng("rows").sample(set->rows(), std::min(wanted, set->rows()));
  PL_TRY(const MatrixF inputs, context.inputs(model, data, rows));
  const method::GradientOptions options{.resolution = params.real("resolution"), .discarded_limit = 0.2};
  PL_TRY(
      const method::GradientCheck result,
      method::check_gradient(
          MatrixD(inputs.cast<double>()), [&](MatrixRefD x) { return predictor->predict64(x); },
          [&](MatrixRefD x, MatrixRefD w) { return predictor->input_gradient(x, w); }, context.rng("probes"), options));

  check::Output output;
  output.rows = fmt::format("{} of {} rows of {} probed", rows.size(), set->rows(), data);
  const auto add = [&](const std::string& metric, const stats::Estimate& estimate) {
    output.evidence.push_back(check::make_evidence(facts, metric, {{"data", data}}, estimate));
  };
  if (result.relative_gap) add("relative_gap", *result.relative_gap);
  add("zero_gradient_share", result.zero_gradient_share);
  add("kink_share", result.kink_share);
  output.artifacts.push_back(probe_table(result, rows));
  if (result.outcome == method::GradientOutcome::kInconclusive) {
    output.notes.push_back(
        fmt::format("cannot say whether the gradient is right: {:.0f} % of the probes were discarded, more than 20 %",
                    100 * result.kink_share.value));
  } else if (result.relative_gap && result.relative_gap->value > 1e-3) {
    output.findings.push_back(worst_probes(result, rows, data));
  }
  return output;
}

graph::Tensor weights(base::Rng& rng, std::int64_t rows, std::int64_t columns) {
  graph::Tensor tensor{.type = graph::Type::kFloat, .shape = {rows, columns}, .reals = {}, .integers = {}};
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    tensor.reals.push_back(static_cast<float>(rng.normal() / std::sqrt(static_cast<double>(rows))));
  }
  return tensor;
}

/// x -> tanh layer -> logits, plus a linear path. `blind`: the tanh layer sees x through a cast to integers and back,
/// which leaves the values as they are (to 15 digits) and passes no gradient.
base::Status write(const std::string& folder, base::Rng& rng, bool blind) {
  constexpr std::ptrdiff_t kRows = 300;
  constexpr std::int64_t kInputs = 8;
  graph::Graph model{.name = "fixture", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  model.inputs = {{"x", graph::Type::kFloat, {-1, kInputs}}};
  model.outputs = {{"logits", graph::Type::kFloat, {-1, 3}}};
  model.initializers["first"] = weights(rng, kInputs, 16);
  model.initializers["second"] = weights(rng, 16, 3);
  model.initializers["linear"] = weights(rng, kInputs, 3);
  model.initializers["large"] = {.type = graph::Type::kFloat, .shape = {}, .reals = {1e15F}, .integers = {}};
  if (blind) {
    model.nodes = {{"up", "Mul", {"x", "large"}, {"scaled"}, {}},
                   {"whole", "Cast", {"scaled"}, {"integers"}, {{"to", std::int64_t{7}}}},
                   {"back", "Cast", {"integers"}, {"reals"}, {{"to", std::int64_t{1}}}},
                   {"down", "Div", {"reals", "large"}, {"seen"}, {}}};
  }
  const std::vector<graph::Node> rest = {{"hidden", "MatMul", {blind ? "seen" : "x", "first"}, {"h"}, {}},
                                         {"bend", "Tanh", {"h"}, {"t"}, {}},
                                         {"out", "MatMul", {"t", "second"}, {"bent"}, {}},
                                         {"straight", "MatMul", {"x", "linear"}, {"direct"}, {}},
                                         {"sum", "Add", {"bent", "direct"}, {"logits"}, {}}};
  model.nodes.insert(model.nodes.end(), rest.begin(), rest.end());
  PL_CHECK(graph::write_onnx(model, folder + "/model.onnx"));
  MatrixD rows(kRows, kInputs);
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i) rows.data()[i] = rng.normal();
  PL_CHECK(data::write_npy(folder + "/test.npy", rows));
  return write_fixture_manifest(
      folder, rng.below(1000000000),
      "[model.model]\npath = \"model.onnx\"\noutput = \"logits\"\n\n[data.test]\nmatrix = \"test.npy\"\n",
      "text = \"The gradient is the model's own.\"\ncheck = \"methodology.gradient\"\n"
      "metric = \"relative_gap\"\nat_most = 1e-4");
}

}  // namespace

check::Entry gradient() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  entry.fixtures = planted(write, true, false);
  entry.fixtures.defect_words =
      "a layer behind a cast to integers and back: values unchanged, no gradient (median gap about 0.5)";
  entry.fixtures.control_words = "the same network without the cast (gaps near 1e-11)";
  return entry;
}

}  // namespace plumbline::checks::methodology
