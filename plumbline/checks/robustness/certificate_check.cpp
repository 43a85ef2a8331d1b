#include <algorithm>
#include <cmath>
#include <fstream>

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
#include "plumbline/predict/network.hpp"
#include "plumbline/robustness/proof/certify.hpp"

namespace plumbline::checks {
namespace {

using check::Context;
using check::Direction;
using check::Output;
using check::Params;
using robustness::CertifyMethod;
using robustness::ExampleOutcome;
using robustness::kCertifyMethods;
using robustness::RadiusOutcome;

constexpr std::size_t kRowsAShard = 10;

check::CheckInfo facts() {
  return {
      .id = "robustness.certificate",
      .title = "Certified accuracy within a radius",
      .question = "On what share of examples is the answer proved right for every input within a radius?",
      .row = "R7",
      .maturity = check::Maturity::kPreview,
      .needs = {"a classifier as ONNX file or built-in network", "a labelled test set of images or a matrix"},
      .params = {{"epsilon", 0.1, 1e-9, 1e9, {}, "largest Linf radius, in units of the declared input range"},
                 {"points", std::int64_t{5}, 1, 50, {}, "radii: epsilon / points, 2 epsilon / points, ..., epsilon"},
                 {"sample", std::int64_t{50}, 5, 100000, {}, "examples drawn from the test set"},
                 {"method",
                  std::string("optimised"),
                  {},
                  {},
                  {"intervals", "linear", "optimised", "complete"},
                  "the dearest method that is tried where the cheaper ones leave an example open"},
                 {"iterations", std::int64_t{20}, 1, 1000, {}, "gradient steps of optimised slopes"},
                 {"regions", std::int64_t{200}, 1, 10000000, {}, "most regions of method complete for each example"}},
      .yields = {{"certified_accuracy",
                  "share",
                  Direction::kHigherIsBetter,
                  "right for every input within the radius, proved: a lower bound of robust accuracy",
                  {"method", "epsilon"},
                  {{"method", "all"}}},
                 {"attacked_accuracy",
                  "share",
                  Direction::kHigherIsBetter,
                  "right, and no attack found another answer within the radius: an upper bound of robust accuracy",
                  {"epsilon"},
                  {}},
                 {"gap",
                  "share",
                  Direction::kLowerIsBetter,
                  "neither proved nor broken within the radius: what is not known",
                  {"epsilon"},
                  {}},
                 {"clean_accuracy", "share", Direction::kHigherIsBetter, "right without a perturbation", {}, {}}},
      .assumptions =
          {"examples (or their units) are independent draws from the source",
           "the network over the real numbers; a program in float32 may differ where a margin is of the size "
           "of its rounding"},
      .sources = {"Gowal et al. 2018", "Zhang et al. 2018", "Xu et al. 2021", "Wang et al. 2021"},
      .cost = "sample x points bounds and attacks",
      .needs_torch = false,
      .code = "1"};
}

CertifyMethod method_of(const Params& params) {
  std::size_t m = 0;
  while (m + 1 < kCertifyMethods &&
         robustness::certify_method_name(static_cast<CertifyMethod>(m)) != params.text("method"))
    ++m;
  return static_cast<CertifyMethod>(m);
}

check::Plan plan(const check::Blueprint& blueprint, const Params& params) {
  return plan_perturbed(blueprint, /*with_graph=*/true, static_cast<std::size_t>(params.integer("sample")), kRowsAShard,
                        0.2 * static_cast<double>(params.integer("points")));
}

robustness::CertifyOptions options_of(const Params& params, std::uint64_t seed) {
  robustness::CertifyOptions options;
  options.radii = radii_up_to(params.real("epsilon"), params.integer("points"));
  options.method = method_of(params);
  options.iterations = static_cast<int>(params.integer("iterations"));
  options.regions = static_cast<std::uint64_t>(params.integer("regions"));
  options.seed = seed;
  return options;
}

/// NaN stands as null.
nlohmann::json to_json(const ExampleOutcome& example) {
  nlohmann::json out = {{"clean", example.clean}, {"lead", example.lead}, {"witness", example.witness}};
  for (const RadiusOutcome& at : example.radii) {
    out["radii"].push_back({{"radius", at.radius},
                            {"margin", at.margin},
                            {"certified", at.certified},
                            {"attacked", at.attacked},
                            {"broken", at.broken},
                            {"open", at.open}});
  }
  return out;
}

double number_of(const nlohmann::json& value) { return value.is_number() ? value.get<double>() : std::nan(""); }

ExampleOutcome from_json(const nlohmann::json& in) {
  ExampleOutcome out;
  out.clean = in.at("clean").get<bool>();
  out.lead = number_of(in.at("lead"));
  out.witness = in.at("witness").get<std::vector<double>>();
  for (const nlohmann::json& at : in.at("radii")) {
    RadiusOutcome radius;
    radius.radius = at.at("radius").get<double>();
    for (std::size_t m = 0; m < kCertifyMethods; ++m) {
      radius.margin[m] = number_of(at.at("margin").at(m));
      radius.certified[m] = at.at("certified").at(m).get<bool>();
    }
    radius.attacked = number_of(at.at("attacked"));
    radius.broken = at.at("broken").get<bool>();
    radius.open = at.at("open").get<std::string>();
    out.radii.push_back(std::move(radius));
  }
  return out;
}

base::Result<std::string> run_shard(Context& context, const Params& params, std::size_t shard) {
  PL_TRY(const Examples examples, draw_examples(context, static_cast<std::size_t>(params.integer("sample"))));
  const std::string& name = context.task().model;
  const data::ModelSection& section = context.manifest().models.at(name);
  PL_TRY(graph::Graph graph, predict::model_graph(section.path->resolved, section.input_shape));
  auto model = robustness::proof_model(std::move(graph));
  if (!model.ok()) return model.error().at(fmt::format("model '{}'", name));
  const std::size_t begin = shard * kRowsAShard;
  const std::size_t end = std::min(examples.rows.size(), begin + kRowsAShard);
  PL_TRY(const MatrixF inputs,
         context.inputs(name, context.task().data, std::span(examples.rows).subspan(begin, end - begin)));
  nlohmann::json out = nlohmann::json::array();
  for (std::size_t i = begin; i < end; ++i) {
    const auto row = static_cast<Eigen::Index>(i - begin);
    // The row of the set names the stream: the same example has the same attack in any shard.
    const auto options = options_of(params, base::Rng(context.seed(), {"robustness.certificate"})
                                                .fork(static_cast<std::uint64_t>(examples.rows[i]))
                                                .bits());
    PL_TRY(const ExampleOutcome outcome,
           robustness::certify(*model,
                               std::span(inputs.data() + row * inputs.cols(), static_cast<std::size_t>(inputs.cols())),
                               examples.labels[i], examples.domain, options, context.cancel()));
    out.push_back(to_json(outcome));
    context.progress().update("certify", i - begin + 1, end - begin);
  }
  return out.dump();
}

/// Models' inputs as bytes of an image, channel-first.
std::vector<std::uint8_t> to_bytes(std::span<const double> x, const data::Images& images, const data::InputSpec& spec) {
  const auto channels = static_cast<std::size_t>(images.channels);
  const std::size_t area = images.pixels() / channels;
  std::vector<std::uint8_t> out(images.pixels());
  for (std::size_t c = 0; c < channels; ++c) {
    const double mean = spec.mean.empty() ? 0.0 : spec.mean[c];
    const double deviation = spec.deviation.empty() ? 1.0 : spec.deviation[c];
    for (std::size_t p = 0; p < area; ++p) {
      const double value = x[spec.layout == "NHWC" ? p * channels + c : c * area + p] * deviation + mean;
      const double byte = 255 * (value - spec.low) / (spec.high - spec.low);
      out[c * area + p] = static_cast<std::uint8_t>(std::clamp(std::lround(byte), 0L, 255L));
    }
  }
  return out;
}

class Finish {
 public:
  Finish(Context& context, const Params& params, Examples examples, std::vector<ExampleOutcome> outcomes)
      : context_(context), params_(params), examples_(std::move(examples)), outcomes_(std::move(outcomes)) {}

  base::Result<Output> run() {
    PL_CHECK(figures());
    table();
    if (examples_.set->kind == data::Dataset::Kind::kImages && context_.examples_policy(data()) != "none") pictures();
    findings();
    out_.rows = fmt::format("{} of {} rows of {}, each at {} radii", examples_.rows.size(), examples_.set->rows(),
                            data(), radii());
    std::size_t open = 0;
    for (const ExampleOutcome& example : outcomes_) open += example.radii.back().open.empty() ? 0 : 1;
    if (open > 0) {
      out_.notes.push_back(
          fmt::format("{} examples stayed open at the largest radius after {} regions; more may decide", open,
                      params_.integer("regions")));
    }
    return std::move(out_);
  }

 private:
  const std::string& data() const { return context_.task().data; }
  std::size_t radii() const { return outcomes_.front().radii.size(); }

  template <class Hit>
  base::Result<stats::Estimate> share(Hit hit) const {
    std::vector<std::uint8_t> hits;
    for (const ExampleOutcome& example : outcomes_) hits.push_back(hit(example) ? 1 : 0);
    return share_of(hits, examples_);
  }

  /// The figure at radius k; without the key "epsilon" at the largest, which most claims mean.
  void add(const std::string& metric, std::map<std::string, std::string> where, std::size_t k,
           const stats::Estimate& estimate) {
    where["data"] = data();
    if (k + 1 == radii()) out_.evidence.push_back(check::make_evidence(info_, metric, where, estimate));
    where["epsilon"] = number(outcomes_.front().radii[k].radius);
    out_.evidence.push_back(check::make_evidence(info_, metric, where, estimate));
  }

  base::Status figures() {
    PL_TRY(const stats::Estimate clean, share([](const ExampleOutcome& e) { return e.clean; }));
    out_.evidence.push_back(check::make_evidence(info_, "clean_accuracy", {{"data", data()}}, clean));
    std::vector<CurvePoint> points;
    points.push_back({0, clean, "no attack succeeds"});
    for (std::size_t k = 0; k < radii(); ++k) {
      const double radius = outcomes_.front().radii[k].radius;
      PL_TRY(stats::Estimate attacked, share([k](const ExampleOutcome& e) { return !e.radii[k].broken; }));
      attacked.method += "; witnesses replayed";
      points.push_back({radius, attacked, "no attack succeeds"});
      add("attacked_accuracy", {}, k, attacked);
      PL_TRY(const stats::Estimate gap,
             share([k](const ExampleOutcome& e) { return !e.radii[k].broken && !e.radii[k].certified.back(); }));
      add("gap", {}, k, gap);
    }
    const auto last = static_cast<std::size_t>(method_of(params_));
    for (std::size_t m = 0; m <= last; ++m) {
      const std::string name(robustness::certify_method_name(static_cast<CertifyMethod>(m)));
      const std::string series = "proved by " + name;
      points.push_back({0, clean, series});
      for (std::size_t k = 0; k < radii(); ++k) {
        PL_TRY(stats::Estimate certified, share([k, m](const ExampleOutcome& e) { return e.radii[k].certified[m]; }));
        certified.method += "; certified by " + name + " or cheaper";
        points.push_back({outcomes_.front().radii[k].radius, certified, series});
        add("certified_accuracy", {{"method", name}}, k, certified);
        if (m == last) add("certified_accuracy", {{"method", "all"}}, k, certified);
      }
    }
    check::Artifact picture =
        curve("accuracy", fmt::format("Certified and attacked accuracy against epsilon, {}", data()),
              "The true robust accuracy lies between the upper line (no attack succeeds) and the lower ones (proved).",
              "epsilon (Linf)", "accuracy", points);
    out_.artifacts.push_back(std::move(picture));
    return base::ok();
  }

  void table() {
    check::Artifact out;
    out.id = "examples";
    out.kind = "table";
    out.title = "Every example";
    out.caption =
        "The least lead of the label over every other class within `margins at` lies between the proved and the "
        "attacked "
        "margin; above zero the answer cannot change. The outcome is the one at the largest radius.";
    std::vector<double> row, label, lead, proved, attacked, certified, broken, tried;
    std::vector<std::string> outcome;
    for (std::size_t i = 0; i < outcomes_.size(); ++i) {
      const ExampleOutcome& example = outcomes_[i];
      const RadiusOutcome& at = example.radii.back();
      row.push_back(static_cast<double>(examples_.source_row(i)));
      label.push_back(examples_.labels[i]);
      lead.push_back(example.lead);
      // Radii above the first that an attack breaks are not tried.
      const auto last = std::find_if(example.radii.rbegin(), example.radii.rend(),
                                     [](const RadiusOutcome& r) { return !std::isnan(r.margin[0]); });
      double best = std::nan("");
      if (last != example.radii.rend()) {
        for (const double margin : last->margin) best = std::fmax(best, margin);
      }
      proved.push_back(best);
      attacked.push_back(last != example.radii.rend() ? last->attacked : std::nan(""));
      tried.push_back(last != example.radii.rend() ? last->radius : std::nan(""));
      double largest = 0;
      double smallest = std::nan("");
      for (const RadiusOutcome& r : example.radii) {
        if (r.certified.back()) largest = r.radius;
        if (r.broken && std::isnan(smallest)) smallest = r.radius;
      }
      certified.push_back(example.clean ? largest : std::nan(""));
      broken.push_back(example.clean ? smallest : 0);
      outcome.emplace_back(!example.clean ? "wrong" : at.certified.back() ? "proved" : at.broken ? "broken" : "open");
    }
    out.columns = {{"row", "", row},
                   {"label", "", label},
                   {"outcome", "", outcome},
                   {"lead", "", lead},
                   {"margins at", "", tried},
                   {"proved margin", "", proved},
                   {"attacked margin", "", attacked},
                   {"certified to", "", certified},
                   {"broken at", "", broken}};
    out.facts = {{"epsilon", number(outcomes_.front().radii.back().radius)}};
    out_.artifacts.push_back(std::move(out));
  }

  /// Pairs of example and witness.
  void pictures() {
    const data::Images& images = examples_.set->images;
    const data::InputSpec& spec = context_.manifest().models.at(context_.task().model).input;
    std::vector<std::vector<std::uint8_t>> pixels;
    std::vector<Tile> tiles;
    for (std::size_t i = 0; i < outcomes_.size() && tiles.size() < 16; ++i) {
      const ExampleOutcome& example = outcomes_[i];
      if (!example.clean || example.witness.empty()) continue;
      const auto broken =
          std::find_if(example.radii.begin(), example.radii.end(), [](const RadiusOutcome& at) { return at.broken; });
      const auto row = static_cast<double>(examples_.source_row(i));
      const std::string group = fmt::format("row {}", examples_.source_row(i));
      tiles.push_back({images.image(examples_.rows[i]), fmt::format("label {}", examples_.labels[i]), row, group});
      pixels.push_back(to_bytes(example.witness, images, spec));
      tiles.push_back({{}, fmt::format("within {}", short_number(broken->radius)), row, group});
    }
    if (tiles.empty()) return;
    for (std::size_t t = 1; t < tiles.size(); t += 2) tiles[t].image = pixels[t / 2];
    out_.artifacts.push_back(gallery("witnesses", "Examples and inputs near them that get another answer",
                                     "Left the example, right an input within the stated radius of it that the model "
                                     "reads as another class.",
                                     tiles, images.channels, images.height, images.width,
                                     context_.examples_policy(data())));
  }

  void findings() {
    check::Finding finding;
    std::size_t clean = 0;
    for (std::size_t i = 0; i < outcomes_.size(); ++i) {
      clean += outcomes_[i].clean ? 1 : 0;
      if (!outcomes_[i].clean || !outcomes_[i].radii.back().broken) continue;
      if (finding.rows.size() < 100) finding.rows.push_back(examples_.source_row(i));
    }
    if (finding.rows.empty()) return;
    const double radius = outcomes_.front().radii.back().radius;
    finding.id = "broken-" + data();
    finding.severity =
        2 * finding.rows.size() > clean ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
    finding.title = fmt::format("{} of {} examples that are read right change within {}", finding.rows.size(), clean,
                                short_number(radius));
    finding.detail =
        "Each has an input within the radius that the network gives another class, replayed beyond rounding. The table "
        "of examples names the smallest radius tried at which that is so.";
    finding.next_step =
        "Train against it (plumbline train with method pgd, trades, or ibp for what can be proved), then judge again.";
    finding.data = data();
    finding.where = {{"data", data()}};
    out_.findings.push_back(std::move(finding));
  }

  Context& context_;
  const Params& params_;
  Examples examples_;
  std::vector<ExampleOutcome> outcomes_;
  check::CheckInfo info_ = facts();
  Output out_;
};

base::Result<Output> finish(Context& context, const Params& params, std::span<const std::string> shards) {
  PL_TRY(Examples examples, draw_examples(context, static_cast<std::size_t>(params.integer("sample"))));
  PL_TRY([[maybe_unused]] const auto about, context.predictor_info(context.task().model));  // an input of the evidence
  std::vector<ExampleOutcome> outcomes;
  for (const std::string& shard : shards) {
    const nlohmann::json json = nlohmann::json::parse(shard, nullptr, false);
    base::ensure(json.is_array(), "a shard of robustness.certificate is not a list");
    for (const nlohmann::json& example : json) outcomes.push_back(from_json(example));
  }
  base::ensure(outcomes.size() == examples.rows.size(), "robustness.certificate needs every shard");
  if (outcomes.empty()) return base::make_error(base::Code::kShape, "has no rows", context.task().data);
  return Finish(context, params, std::move(examples), std::move(outcomes)).run();
}

// ---- fixtures ------------------------------------------------------------------------------------------------------

/// Two classes told apart by two inputs: the first by +-1, the second by +-0.05. `fragile`: the network reads the
/// second.
base::Status write_fixture(const std::string& folder, base::Rng& rng, bool fragile) {
  constexpr std::ptrdiff_t kRows = 60;
  MatrixD rows(kRows, 2);
  std::vector<int> labels;
  for (std::ptrdiff_t i = 0; i < kRows; ++i) {
    const int label = static_cast<int>(rng.below(2));
    labels.push_back(label);
    rows(i, 0) = (label == 0 ? -1 : 1) * rng.uniform(0.8, 1.2);
    rows(i, 1) = (label == 0 ? -1 : 1) * rng.uniform(0.03, 0.07);
  }
  graph::Graph model;
  model.name = "reader";
  model.inputs = {{"x", graph::Type::kFloat, {-1, 2}}};
  model.outputs = {{"logits", graph::Type::kFloat, {-1, 2}}};
  const double a = fragile ? 0 : 1;
  const double b = fragile ? 20 : 0;
  const auto tensor = [](std::vector<double> values) {
    return graph::Tensor{graph::Type::kFloat, {2, 2}, std::move(values), {}};
  };
  model.initializers = {{"first", tensor({-a, a, -b, b})}, {"second", tensor({1, -1, -1, 1})}};
  model.nodes = {{"hidden", "MatMul", {"x", "first"}, {"z"}, {}},
                 {"bend", "Relu", {"z"}, {"h"}, {}},
                 {"out", "MatMul", {"h", "second"}, {"logits"}, {}}};
  return write_matrix_fixture(folder, rng, model, rows, labels,
                              "[check.\"robustness.certificate\"]\nepsilon = 0.3\npoints = 3\nsample = 40\n",
                              "text = \"Small shifts never change the answer.\"\ncheck = \"robustness.certificate\"\n"
                              "metric = \"certified_accuracy\"\nat_least = 0.7\nconfidence = 0.95");
}

}  // namespace

check::Entry certificate() {
  check::Entry entry;
  entry.info = facts();
  entry.plan = plan;
  entry.run_shard = run_shard;
  entry.finish = finish;
  entry.fixtures = planted(write_fixture, true, false);
  entry.fixtures.defect_words =
      "the network reads an input that tells the classes apart by 0.05 where one by 1 is there (radius 0.3)";
  entry.fixtures.control_words = "the network reads the input that tells them apart by 1";
  return entry;
}

}  // namespace plumbline::checks
