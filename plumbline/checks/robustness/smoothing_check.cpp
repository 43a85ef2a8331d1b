#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/robustness/matrix_fixture.hpp"
#include "plumbline/checks/robustness/perturbed.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/robustness/smoothing.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/scoring.hpp"

namespace plumbline::checks {
namespace {

using check::Context;
using check::Direction;
using check::Output;
using check::Params;
using robustness::SmoothedAnswer;

constexpr std::size_t kRowsAShard = 10;

check::CheckInfo facts() {
  return {
      .id = "robustness.smoothing",
      .title = "Certified accuracy under randomized smoothing",
      .question =
          "On what share of examples is the majority answer under noise right for every input within an L2 radius?",
      .row = "R7",
      .maturity = check::Maturity::kPreview,
      .needs = {"a classifier that runs (any kind)", "a labelled test set of images or a matrix"},
      .params = {{"sigma", 0.25, 1e-9, 1e9, {}, "deviation of the noise, in units of the declared input range"},
                 {"radius", 0.25, 1e-9, 1e9, {}, "L2 radius that is judged"},
                 {"points", std::int64_t{5}, 1, 50, {}, "radii: radius / points, 2 radius / points, ..., radius"},
                 {"sample", std::int64_t{50}, 5, 100000, {}, "examples drawn from the test set"},
                 {"n0", std::int64_t{100}, 1, 100000, {}, "noisy copies that choose the class"},
                 {"n", std::int64_t{1000}, 10, 10000000, {}, "fresh noisy copies that count it"},
                 {"alpha", 0.001, 1e-9, 0.5, {}, "probability that the radius of one example is stated too large"}},
      .yields =
          {{"certified_accuracy",
            "share",
            Direction::kHigherIsBetter,
            "the smoothed classifier is right within the radius, certified",
            {"radius"},
            {}},
           {"abstention", "share", Direction::kLowerIsBetter, "no class has a proved majority under the noise", {}, {}},
           {"mean_radius",
            "1",
            Direction::kHigherIsBetter,
            "mean certified radius, zero where the answer is wrong or withheld",
            {},
            {}},
           {"base_accuracy", "share", Direction::kHigherIsBetter, "of the model itself, without noise", {}, {}}},
      .assumptions = {"examples (or their units) are independent draws from the source",
                      "the model answers each row by itself, and is deployed under this noise: the radius is about the "
                      "smoothed classifier"},
      .sources = {"Cohen, Rosenfeld and Kolter 2019"},
      .cost = "sample x (n0 + n) predictions",
      .needs_torch = false,
      .code = "1"};
}

robustness::SmoothingOptions options_of(const Params& params) {
  return {.sigma = params.real("sigma"),
          .n0 = static_cast<std::size_t>(params.integer("n0")),
          .n = static_cast<std::size_t>(params.integer("n")),
          .alpha = params.real("alpha")};
}

check::Plan plan(const check::Blueprint& blueprint, const Params& params) {
  check::Plan plan =
      plan_perturbed(blueprint, /*with_graph=*/false, static_cast<std::size_t>(params.integer("sample")), kRowsAShard,
                     5e-5 * static_cast<double>(params.integer("n0") + params.integer("n")));
  const double most = robustness::largest_smoothed_radius(options_of(params));
  if (!plan.tasks.empty() && !(params.real("radius") <= most)) {
    plan.tasks.clear();
    plan.not_applicable = fmt::format(
        "with n = {}, alpha = {} and sigma = {} no example can be certified beyond {}; raise n or sigma, or lower "
        "radius",
        params.integer("n"), number(params.real("alpha")), number(params.real("sigma")),
        short_number(std::max(0.0, most)));
  }
  for (check::Task& task : plan.tasks) task.predictions.emplace_back(task.model, task.data);
  return plan;
}

base::Result<std::string> run_shard(Context& context, const Params& params, std::size_t shard) {
  PL_TRY(const Examples examples, draw_examples(context, static_cast<std::size_t>(params.integer("sample"))));
  const std::string& name = context.task().model;
  PL_TRY(decision::Predictor* const predictor, context.predictor(name));
  decision::PredictOptions how;
  how.cancel = context.cancel();
  const robustness::Classify classify = [&](const MatrixF& rows) -> base::Result<std::vector<int>> {
    PL_TRY(const decision::Prediction answer, predictor->predict(rows, how));
    return stats::top_class(answer.outputs);
  };
  const std::size_t begin = shard * kRowsAShard;
  const std::size_t end = std::min(examples.rows.size(), begin + kRowsAShard);
  const auto rows = std::span(examples.rows).subspan(begin, end - begin);
  PL_TRY(const MatrixF inputs, context.inputs(name, context.task().data, rows));
  const auto width = static_cast<std::size_t>(inputs.cols());
  nlohmann::json out = nlohmann::json::array();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    PL_TRY(
        const SmoothedAnswer answer,
        robustness::smooth(classify, std::span(inputs.data() + i * width, width), examples.domain, options_of(params),
                           context.rng("noise").fork(static_cast<std::uint64_t>(rows[i])), context.cancel()));
    out.push_back({answer.guess, answer.hits, answer.p_lower, answer.abstains, answer.radius});
    context.progress().update("smooth", i + 1, rows.size());
  }
  return out.dump();
}

class Finish {
 public:
  Finish(Context& context, const Params& params, Examples examples, std::vector<SmoothedAnswer> answers)
      : context_(context), params_(params), examples_(std::move(examples)), answers_(std::move(answers)) {}

  base::Result<Output> run() {
    PL_CHECK(accuracy());
    PL_CHECK(rest());
    table();
    finding();
    out_.rows = fmt::format("{} of {} rows of {}, each {} + {} times under noise of deviation {}",
                            examples_.rows.size(), examples_.set->rows(), data(), params_.integer("n0"),
                            params_.integer("n"), number(params_.real("sigma")));
    return std::move(out_);
  }

 private:
  const std::string& data() const { return context_.task().data; }
  bool right(std::size_t i) const { return !answers_[i].abstains && answers_[i].guess == examples_.labels[i]; }
  bool certified(std::size_t i, double radius) const { return right(i) && answers_[i].radius >= radius; }

  template <class Hit>
  base::Result<stats::Estimate> share(Hit hit) const {
    std::vector<std::uint8_t> hits;
    for (std::size_t i = 0; i < answers_.size(); ++i) hits.push_back(hit(i) ? 1 : 0);
    return share_of(hits, examples_);
  }

  base::Status accuracy() {
    const double alpha = params_.real("alpha");
    std::vector<double> radii = radii_up_to(params_.real("radius"), params_.integer("points"));
    radii.insert(radii.begin(), 0.0);
    std::vector<CurvePoint> points;
    for (const double radius : radii) {
      PL_TRY(stats::Estimate estimate, share([&](std::size_t i) { return certified(i, radius); }));
      // Each radius is too large with probability at most alpha: that share of the certified may be so wrongly.
      for (auto& bound : estimate.bounds.lower) bound = bound ? std::optional(std::max(0.0, *bound - alpha)) : bound;
      estimate.method += fmt::format("; lower bounds less alpha = {}", number(alpha));
      points.push_back({radius, estimate, "certified"});
      if (radius == 0) continue;
      if (radius == radii.back())
        out_.evidence.push_back(check::make_evidence(info_, "certified_accuracy", {{"data", data()}}, estimate));
      out_.evidence.push_back(
          check::make_evidence(info_, "certified_accuracy", {{"data", data()}, {"radius", number(radius)}}, estimate));
    }
    check::Artifact picture = curve(
        "accuracy", fmt::format("Certified accuracy of the smoothed classifier against the L2 radius, {}", data()),
        "At radius 0: right with a proved majority. The line falls to zero at the largest radius that n noisy copies "
        "can show.",
        "radius (L2)", "certified accuracy", points);
    picture.facts["largest radius"] = short_number(robustness::largest_smoothed_radius(options_of(params_)));
    picture.facts["sigma"] = number(params_.real("sigma"));
    out_.artifacts.push_back(std::move(picture));
    return base::ok();
  }

  base::Status rest() {
    PL_TRY(const stats::Estimate abstention, share([&](std::size_t i) { return answers_[i].abstains; }));
    out_.evidence.push_back(check::make_evidence(info_, "abstention", {{"data", data()}}, abstention));
    std::vector<double> radii;
    for (std::size_t i = 0; i < answers_.size(); ++i) radii.push_back(right(i) ? answers_[i].radius : 0);
    auto mean = stats::mean(radii, examples_.units);
    if (mean.ok()) {
      mean->unit_of_sampling = examples_.unit_name();
      out_.evidence.push_back(check::make_evidence(info_, "mean_radius", {{"data", data()}}, *mean));
    } else {
      out_.notes.push_back("mean_radius withheld: " + mean.error().message);
    }
    PL_TRY(const auto clean, context_.predictions(context_.task().model, data()));
    PL_TRY(const std::vector<int> chosen, stats::top_class(clean->outputs));
    PL_TRY(const stats::Estimate base_accuracy,
           share([&](std::size_t i) { return chosen[examples_.rows[i]] == examples_.labels[i]; }));
    out_.evidence.push_back(check::make_evidence(info_, "base_accuracy", {{"data", data()}}, base_accuracy));
    return base::ok();
  }

  void table() {
    check::Artifact out;
    out.id = "examples";
    out.kind = "table";
    out.title = "Every example under the noise";
    out.caption = "The share of noisy copies that got the guess, its lower bound, and the radius that follows.";
    std::vector<double> row, label, guess, shares, lower, radius;
    std::vector<std::string> outcome;
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      const SmoothedAnswer& answer = answers_[i];
      row.push_back(static_cast<double>(examples_.source_row(i)));
      label.push_back(examples_.labels[i]);
      guess.push_back(answer.guess);
      shares.push_back(static_cast<double>(answer.hits) / static_cast<double>(params_.integer("n")));
      lower.push_back(answer.p_lower);
      radius.push_back(answer.radius);
      outcome.emplace_back(answer.abstains ? "abstains" : right(i) ? "right" : "wrong");
    }
    out.columns = {{"row", "", row},         {"label", "", label},       {"guess", "", guess},
                   {"outcome", "", outcome}, {"share", "share", shares}, {"share at least", "share", lower},
                   {"radius", "", radius}};
    out_.artifacts.push_back(std::move(out));
  }

  void finding() {
    check::Finding finding;
    const double radius = params_.real("radius");
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      if (!certified(i, radius) && finding.rows.size() < 100) finding.rows.push_back(examples_.source_row(i));
    }
    if (2 * finding.rows.size() < answers_.size()) return;
    finding.id = "uncertified-" + data();
    finding.severity = check::FindingSeverity::kMedium;
    finding.title = fmt::format("{} of {} examples are not certified to radius {}", finding.rows.size(),
                                answers_.size(), short_number(radius));
    finding.detail =
        "Under the noise the majority answer is wrong, has no proved majority, or has one that is too small for the "
        "radius.";
    finding.next_step =
        "Train under the same noise (plumbline train with method gaussian), or take a larger n if the shares are near "
        "one.";
    finding.data = data();
    finding.where = {{"data", data()}};
    out_.findings.push_back(std::move(finding));
  }

  Context& context_;
  const Params& params_;
  Examples examples_;
  std::vector<SmoothedAnswer> answers_;
  check::CheckInfo info_ = facts();
  Output out_;
};

base::Result<Output> finish(Context& context, const Params& params, std::span<const std::string> shards) {
  PL_TRY(Examples examples, draw_examples(context, static_cast<std::size_t>(params.integer("sample"))));
  std::vector<SmoothedAnswer> answers;
  for (const std::string& shard : shards) {
    const nlohmann::json json = nlohmann::json::parse(shard, nullptr, false);
    base::ensure(json.is_array(), "a shard of robustness.smoothing is not a list");
    for (const nlohmann::json& one : json) {
      answers.push_back({.guess = one.at(0).get<int>(),
                         .hits = one.at(1).get<std::size_t>(),
                         .p_lower = one.at(2).get<double>(),
                         .abstains = one.at(3).get<bool>(),
                         .radius = one.at(4).get<double>()});
    }
  }
  base::ensure(answers.size() == examples.rows.size(), "robustness.smoothing needs every shard");
  if (answers.empty()) return base::make_error(base::Code::kShape, "has no rows", context.task().data);
  return Finish(context, params, std::move(examples), std::move(answers)).run();
}

// ---- fixtures ------------------------------------------------------------------------------------------------------

/// A linear reader of two classes, `near` to its boundary (0.05) or far from it (about 1); sigma and radius 0.25.
base::Status write_fixture(const std::string& folder, base::Rng& rng, bool near) {
  constexpr std::ptrdiff_t kRows = 40;
  const double distance = near ? 0.05 : 1;
  MatrixD rows(kRows, 2);
  std::vector<int> labels;
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
    const int label = static_cast<int>(rng.below(2));
    labels.push_back(label);
    rows(i, 0) = (label == 0 ? -1 : 1) * distance * rng.uniform(0.8, 1.2);
    rows(i, 1) = rng.normal();
  }
  graph::Graph model;
  model.name = "reader";
  model.inputs = {{"x", graph::Type::kFloat, {-1, 2}}};
  model.outputs = {{"logits", graph::Type::kFloat, {-1, 2}}};
  model.initializers = {{"w", {graph::Type::kFloat, {2, 2}, {-1, 1, 0, 0}, {}}}};
  model.nodes = {{"out", "MatMul", {"x", "w"}, {"logits"}, {}}};
  return write_matrix_fixture(
      folder, rng, model, rows, labels,
      "[check.\"robustness.smoothing\"]\nsigma = 0.25\nradius = 0.25\nsample = 30\nn0 = 20\nn = 200\nalpha = 0.01\n",
      "text = \"Under noise the answers hold within a quarter.\"\ncheck = \"robustness.smoothing\"\n"
      "metric = \"certified_accuracy\"\nat_least = 0.7\nconfidence = 0.95");
}

}  // namespace

check::Entry smoothing() {
  check::Entry entry;
  entry.info = facts();
  entry.plan = plan;
  entry.run_shard = run_shard;
  entry.finish = finish;
  entry.fixtures = planted(write_fixture, true, false);
  entry.fixtures.defect_words = "examples lie 0.05 from the boundary of a linear reader (sigma and radius 0.25)";
  entry.fixtures.control_words = "the same reader with examples about 1 from its boundary";
  return entry;
}

}  // namespace plumbline::checks
