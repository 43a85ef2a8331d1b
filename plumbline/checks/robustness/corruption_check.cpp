#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/robustness/corruption.hpp"
#include "plumbline/stats/bootstrap.hpp"
#include "plumbline/stats/descriptive.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/scoring.hpp"

namespace plumbline::checks {
namespace {

using check::Context;
using check::Output;
using check::Params;
using robustness::kSeverities;

check::CheckInfo facts() {
  return {
      .id = "robustness.corruption",
      .title = "Accuracy under corrupted images",
      .question = "How far does accuracy fall when images are noisy, blurred, badly lit or damaged?",
      .row = "R8",
      .maturity = check::Maturity::kPreview,
      .needs = {"an image classifier that runs (stored predictions cannot see new images)", "labels on the test set"},
      .params = {{"family",
                  std::string("auto"),
                  {},
                  {},
                  {"auto", "common", "digits"},
                  "auto = digits for one channel of at most 28 x 28 pixels, else common"},
                 {"sample", std::int64_t{1000}, 20, 100000, {}, "base images drawn from the test set"},
                 {"baseline", std::string(), {}, {}, {}, "a model to compare with, for relative_corruption_error"}},
      .yields = {{"mean_corruption_error",
                  "share",
                  check::Direction::kLowerIsBetter,
                  "error averaged over corruptions and severities, not normalised",
                  {},
                  {}},
                 {"corruption_error",
                  "share",
                  check::Direction::kLowerIsBetter,
                  "error under one corruption (mean over severities, or at one severity)",
                  {"corruption", "severity"},
                  {}},
                 {"clean_error",
                  "share",
                  check::Direction::kLowerIsBetter,
                  "error on the same base images, uncorrupted",
                  {},
                  {}},
                 {"relative_corruption_error",
                  "1",
                  check::Direction::kLowerIsBetter,
                  "mean corruption error divided by that of the baseline on the same images",
                  {},
                  {}}},
      .assumptions = {"base images (or their units) are independent draws from the source"},
      .sources = {"Hendrycks and Dietterich 2019", "Mu and Gilmer 2019"},
      .cost = "75 x sample predictions and corruptions",
      .needs_torch = false,
      .code = "1"};
}

constexpr std::size_t kTypes = 15;

check::Plan plan(const check::Blueprint& blueprint, const Params& params) {
  check::Plan plan;
  const auto tests = blueprint.sets_with_role(data::Role::kTest);
  bool images = false;
  bool labels = false;
  bool runs = false;
  for (const auto& [name, model] : blueprint.models) {
    if (model.task != "classification") continue;
    runs = runs || model.runs;
    for (const std::string& set : tests) {
      const data::DataFacts& found = blueprint.data.at(set);
      images = images || found.kind == data::Dataset::Kind::kImages;
      if (found.kind != data::Dataset::Kind::kImages) continue;
      labels = labels || found.labelled;
      if (!found.labelled || !model.runs || name == params.text("baseline")) continue;
      check::Task task;
      task.subject = fmt::format("{}@{}", name, set);
      task.model = name;
      task.data = set;
      task.predictions.emplace_back(name, set);
      if (!params.text("baseline").empty()) task.predictions.emplace_back(params.text("baseline"), set);
      task.shards = kTypes;
      task.cost_seconds =
          75 * 2e-4 *
          static_cast<double>(std::min<std::size_t>(found.rows, static_cast<std::size_t>(params.integer("sample"))));
      plan.tasks.push_back(std::move(task));
    }
  }
  if (!plan.tasks.empty()) return plan;
  if (!images) {
    plan.not_applicable = "no test set holds images; the corruptions are defined on images only";
  } else if (!labels) {
    plan.not_applicable = "the test images have no labels";
  } else if (!runs) {
    plan.not_applicable = "only stored predictions are given; corrupted images need a model that runs";
  } else {
    plan.not_applicable = "no classifier beside the baseline";
  }
  return plan;
}

struct Base {
  data::DatasetPtr set;
  std::vector<std::size_t> rows;
  std::vector<int> labels;
  std::vector<int> units;
  robustness::CorruptionFamily family = robustness::CorruptionFamily::kCommon;
};

base::Result<Base> base_images(Context& context, const Params& params) {
  Base out;
  PL_TRY(out.set, context.dataset(context.task().data));
  base::Rng rng = context.rng("base images");
  out.rows = rng.sample(out.set->rows(), std::min(out.set->rows(), static_cast<std::size_t>(params.integer("sample"))));
  for (const std::size_t row : out.rows) {
    out.labels.push_back(out.set->labels[row]);
    if (!out.set->units.empty()) out.units.push_back(out.set->units[row]);
  }
  if (params.text("family") == "auto") {
    out.family = robustness::default_family(out.set->images);
  } else {
    PL_TRY(out.family, robustness::parse_family(params.text("family")));
  }
  return out;
}

/// One character a base image: '1' where the model is wrong.
base::Result<std::string> wrong_on(Context& context, const std::string& model, const Base& base,
                                   const data::Images& images) {
  const auto section = context.manifest().models.find(model);
  if (section == context.manifest().models.end())
    return base::make_error(base::Code::kValue, fmt::format("'{}' is not a [model] section", model),
                            "robustness.corruption");
  data::Dataset corrupted;
  corrupted.name = base.set->name;
  corrupted.kind = data::Dataset::Kind::kImages;
  corrupted.images = images;
  std::vector<std::size_t> every(images.count);
  std::iota(every.begin(), every.end(), std::size_t{0});
  PL_TRY(const MatrixF rows, data::encode(corrupted, every, section->second.input));
  PL_TRY(decision::Predictor * predictor, context.predictor(model));
  decision::PredictOptions options;
  options.cancel = context.cancel();
  PL_TRY(const decision::Prediction prediction, predictor->predict(rows, options));
  PL_TRY(const std::vector<std::uint8_t> hits, stats::hits(prediction.outputs, base.labels));
  std::string wrong;
  for (const std::uint8_t hit : hits) wrong += hit != 0 ? '0' : '1';
  return wrong;
}

base::Result<std::string> run_shard(Context& context, const Params& params, std::size_t shard) {
  PL_TRY(const Base base, base_images(context, params));
  const robustness::Corruption& corruption = robustness::corruptions(base.family)[shard];
  nlohmann::json out;
  for (int severity = 1; severity <= kSeverities; ++severity) {
    PL_TRY(const data::Images images,
           robustness::corrupt_images(base.set->images, base.rows,
                                      {base.family, std::string(corruption.name), severity, context.seed()},
                                      context.cancel()));
    PL_TRY(std::string wrong, wrong_on(context, context.task().model, base, images));
    out["wrong"].push_back(std::move(wrong));
    if (!params.text("baseline").empty()) {
      PL_TRY(std::string of_baseline, wrong_on(context, params.text("baseline"), base, images));
      out["baseline"].push_back(std::move(of_baseline));
    }
    context.progress().update(std::string(corruption.name), static_cast<std::size_t>(severity), kSeverities);
  }
  return out.dump();
}

base::Result<Output> finish(Context& context, const Params& params, std::span<const std::string> shards) {
  PL_TRY(const Base base, base_images(context, params));
  const auto names = robustness::corruptions(base.family);
  const std::size_t n = base.rows.size();
  std::vector<std::vector<std::string>> wrong;
  std::vector<std::vector<std::string>> of_baseline;
  const bool compared = !params.text("baseline").empty();
  for (const std::string& shard : shards) {
    const nlohmann::json json = nlohmann::json::parse(shard, nullptr, false);
    base::ensure(!json.is_discarded() && json.contains("wrong"), "a shard of robustness.corruption is not JSON");
    wrong.push_back(json.at("wrong").get<std::vector<std::string>>());
    if (compared) of_baseline.push_back(json.at("baseline").get<std::vector<std::string>>());
  }
  base::ensure(wrong.size() == names.size(), "robustness.corruption needs every shard");

  Output out;
  const check::CheckInfo info = facts();
  const std::string& data_name = context.task().data;
  const std::string unit_name = base.units.empty() ? "base image" : base.set->unit_name;
  const auto of_share = [&](const std::string& bits) -> base::Result<stats::Estimate> {
    std::vector<std::uint8_t> hits(bits.size());
    std::transform(bits.begin(), bits.end(), hits.begin(),
                   [](char c) { return static_cast<std::uint8_t>(c == '1' ? 1 : 0); });
    PL_TRY(stats::Estimate estimate, stats::proportion(hits, base.units));
    estimate.unit_of_sampling = unit_name;
    return estimate;
  };
  // Every base image carries all of its variants: its own mean error is one observation.
  const auto of_mean = [&](const std::vector<double>& per_image) -> base::Result<stats::Estimate> {
    PL_TRY(stats::Estimate estimate, stats::mean(per_image, base.units));
    for (auto& bound : estimate.bounds.lower) bound = bound ? std::optional(std::max(0.0, *bound)) : bound;
    for (auto& bound : estimate.bounds.upper) bound = bound ? std::optional(std::min(1.0, *bound)) : bound;
    estimate.unit_of_sampling = unit_name;
    return estimate;
  };
  const auto per_image = [&](const std::vector<std::vector<std::string>>& of_types) {
    std::vector<double> means(n, 0.0);
    for (const auto& severities : of_types) {
      for (const std::string& bits : severities) {
        for (std::size_t i = 0; i < n; ++i) means[i] += bits[i] == '1' ? 1 : 0;
      }
    }
    for (double& m : means) m /= static_cast<double>(of_types.size()) * kSeverities;
    return means;
  };
  const std::vector<double> mean_errors = per_image(wrong);
  PL_TRY(stats::Estimate mean_error, of_mean(mean_errors));
  const double mean_value = mean_error.value;
  out.evidence.push_back(
      check::make_evidence(info, "mean_corruption_error", {{"data", data_name}}, std::move(mean_error)));

  std::vector<double> type_error(names.size(), 0.0);
  for (std::size_t t = 0; t < names.size(); ++t) {
    for (const std::string& bits : wrong[t])
      type_error[t] +=
          static_cast<double>(std::count(bits.begin(), bits.end(), '1')) / static_cast<double>(n) / kSeverities;
  }
  std::vector<std::size_t> order(names.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return type_error[a] > type_error[b]; });
  check::Artifact grid;
  grid.id = "grid";
  grid.kind = "grid";
  grid.title = fmt::format("Error by corruption and severity, {}", data_name);
  grid.caption = "Worst corruption first; severity grows to the right. Each cell is the error on the same base images.";
  std::vector<std::string> grid_row, grid_column;
  std::vector<double> value, low, high, count;
  for (const std::size_t t : order) {  // the worst first
    const std::string corruption(names[t].name);
    PL_TRY(stats::Estimate of_type, of_mean(per_image({wrong[t]})));
    out.evidence.push_back(check::make_evidence(info, "corruption_error",
                                                {{"data", data_name}, {"corruption", corruption}}, std::move(of_type)));
    for (int severity = 1; severity <= kSeverities; ++severity) {
      PL_TRY(stats::Estimate cell, of_share(wrong[t][static_cast<std::size_t>(severity - 1)]));
      grid_row.push_back(corruption);
      grid_column.push_back(fmt::format("{}", severity));
      value.push_back(cell.value);
      low.push_back(cell.low().value_or(std::nan("")));
      high.push_back(cell.high().value_or(std::nan("")));
      count.push_back(static_cast<double>(n));
      out.evidence.push_back(check::make_evidence(
          info, "corruption_error",
          {{"data", data_name}, {"corruption", corruption}, {"severity", fmt::format("{}", severity)}},
          std::move(cell)));
    }
  }
  grid.columns = {{"row", "", grid_row}, {"column", "", grid_column}, {"value", "share", value},
                  {"low", "share", low}, {"high", "share", high},     {"count", "images", count}};
  grid.facts = {{"row_label", "corruption"}, {"column_label", "severity"}, {"value_label", "error"},
                {"worse", "high"},           {"domain_low", "0"},          {"domain_high", "1"}};

  PL_TRY(const auto clean, context.predictions(context.task().model, data_name));
  PL_TRY(const std::vector<int> chosen, stats::top_class(clean->outputs));
  std::string clean_wrong;
  for (std::size_t i = 0; i < n; ++i) clean_wrong += chosen[base.rows[i]] == base.labels[i] ? '0' : '1';
  PL_TRY(stats::Estimate clean_error, of_share(clean_wrong));
  const double clean_value = clean_error.value;
  grid.facts["clean error"] = number(clean_value);
  out.evidence.push_back(check::make_evidence(info, "clean_error", {{"data", data_name}}, std::move(clean_error)));
  out.artifacts.push_back(std::move(grid));

  if (compared) {
    const std::vector<double> baseline_errors = per_image(of_baseline);
    PL_TRY(const stats::UnitIndex units, stats::group_units(base.units, n));
    stats::BootstrapOptions options;
    options.unit_of_sampling = unit_name;
    options.cancel = context.cancel();
    const auto ratio = [&](std::span<const std::size_t> sampled) {
      double ours = 0;
      double theirs = 0;
      for (const std::size_t u : sampled) {
        for (const std::size_t row : units.rows_of(u)) {
          ours += mean_errors[row];
          theirs += baseline_errors[row];
        }
      }
      return theirs > 0 ? ours / theirs : std::nan("");
    };
    auto relative = stats::bootstrap(units.count(), ratio, options, context.rng("relative"));
    if (relative.ok()) {
      relative->method += fmt::format(", paired, against {}", params.text("baseline"));
      out.evidence.push_back(check::make_evidence(info, "relative_corruption_error", {{"data", data_name}}, *relative));
    } else if (relative.error().code == base::Code::kCancelled) {
      return relative.error();
    } else {
      out.notes.push_back("relative_corruption_error withheld: " + relative.error().message);
    }
  }

  const std::string policy = context.examples_policy(data_name);
  if (policy != "none" && n > 0) {
    std::vector<std::vector<std::uint8_t>> pixels;
    std::vector<Tile> tiles;
    pixels.reserve(names.size() * kSeverities);
    const data::Images& images = base.set->images;
    for (const std::size_t t : order) {
      for (int severity = 1; severity <= kSeverities; ++severity) {
        PL_TRY(auto bytes, robustness::corrupt_image(
                               images.image(base.rows[0]), images.channels, images.height, images.width,
                               {base.family, std::string(names[t].name), severity, context.seed()}, base.rows[0]));
        pixels.push_back(std::move(bytes));
        tiles.push_back({pixels.back(), fmt::format("{} {}", names[t].name, severity),
                         static_cast<double>(base.rows[0]), std::string(names[t].name)});
      }
    }
    out.artifacts.push_back(gallery("examples", "One image under every corruption",
                                    "Five severities a corruption, worst corruption first.", tiles, images.channels,
                                    images.height, images.width, policy, kSeverities));
  }
  const std::size_t worst = order.front();
  if (type_error[worst] > clean_value + 0.05) {
    check::Finding finding;
    finding.id = "worst-" + data_name;
    finding.severity =
        type_error[worst] > 2 * clean_value + 0.2 ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
    finding.title = fmt::format("{}: error {:.1f} %, {:.1f} % on clean images", names[worst].name,
                                100 * type_error[worst], 100 * clean_value);
    finding.detail = fmt::format(
        "The worst of {} corruptions of family '{}'; the mean over all of them is {:.1f} %. Rows listed are right when "
        "clean and wrong at severity 1.",
        names.size(), robustness::family_name(base.family), 100 * mean_value);
    finding.next_step =
        "Train with corruptions of other kinds and judge on these again: a corruption that was trained on no longer "
        "measures robustness to the unforeseen.";
    finding.data = data_name;
    finding.where = {{"data", data_name}, {"corruption", std::string(names[worst].name)}};
    for (std::size_t i = 0; i < n && finding.rows.size() < 20; ++i) {
      const std::size_t row = base.rows[i];
      if (clean_wrong[i] == '0' && wrong[worst][0][i] == '1')
        finding.rows.push_back(base.set->source_rows.empty() ? row : base.set->source_rows[row]);
    }
    out.findings.push_back(std::move(finding));
  }
  out.rows =
      fmt::format("{} of {} rows of {} as base images, each under {} corruptions of family '{}' at {} severities", n,
                  base.set->rows(), data_name, names.size(), robustness::family_name(base.family), kSeverities);
  return out;
}

// ---- fixtures ------------------------------------------------------------------------------------------------------

constexpr int kSide = 12;

std::string big_endian(std::uint32_t v) {
  return {static_cast<char>(v >> 24U), static_cast<char>((v >> 16U) & 255U), static_cast<char>((v >> 8U) & 255U),
          static_cast<char>(v & 255U)};
}

/// Class 1 carries its blob on the right and, besides, a ground 16 grey levels lighter. Clean, both clues are perfect.
base::Status write_fixture(const std::string& folder, base::Rng& rng, bool brittle) {
  constexpr std::uint32_t kRows = 100;
  std::string images = std::string("\0\0\x08\x03", 4) + big_endian(kRows) + big_endian(kSide) + big_endian(kSide);
  std::string labels = std::string("\0\0\x08\x01", 4) + big_endian(kRows);
  for (std::uint32_t i = 0; i < kRows; ++i) {
    const int label = static_cast<int>(rng.below(2));
    labels += static_cast<char>(label);
    const double cy = rng.uniform(4.5, 6.5);
    const double cx = label == 0 ? 2.5 : 8.5;
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        const double blob = 200 * std::exp(-((y - cy) * (y - cy) + (x - cx) * (x - cx)) / 4.0);
        images += static_cast<char>(static_cast<unsigned char>(std::min(255.0, blob + (label == 0 ? 8 : 24))));
      }
    }
  }
  graph::Graph model;
  model.name = "reader";
  model.inputs = {{"image", graph::Type::kFloat, {-1, 1, kSide, kSide}}};
  model.outputs = {{"logits", graph::Type::kFloat, {-1, 2}}};
  graph::Tensor weights{graph::Type::kFloat, {2, kSide * kSide}, std::vector<double>(2 * kSide * kSide, 0.0), {}};
  graph::Tensor bias{graph::Type::kFloat, {2}, {0.0, 0.0}, {}};
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const auto at = static_cast<std::size_t>(kSide * kSide + y * kSide + x);
      if (brittle) {  // reads the ground along the frame's upper and lower edge, and nothing else
        if (y == 0 || y == kSide - 1) weights.reals[at] = 1;
      } else {  // right half minus left half
        weights.reals[at] = x >= kSide / 2 ? 1 : -1;
      }
    }
  }
  if (brittle) bias.reals[1] = -2.0 * kSide * 16.0 / 255.0;
  model.initializers = {{"w", weights}, {"b", bias}};
  model.nodes = {{"flat", "Flatten", {"image"}, {"row"}, {{"axis", std::int64_t{1}}}},
                 {"linear", "Gemm", {"row", "w", "b"}, {"logits"}, {{"transB", std::int64_t{1}}}}};
  PL_CHECK(graph::write_onnx(model, folder + "/reader.onnx"));
  const auto write = [&](const std::string& name, const std::string& bytes) -> base::Status {
    std::ofstream file(folder + "/" + name, std::ios::binary);
    file << bytes;
    if (!file.flush()) return base::make_error(base::Code::kIo, "cannot write the fixture", folder + "/" + name);
    return base::ok();
  };
  PL_CHECK(write("images.idx", images));
  PL_CHECK(write("labels.idx", labels));
  return write("system.toml",
               fmt::format("[system]\nname = \"blob reader\"\nseed = {}\n\n[model.reader]\npath = "
                           "\"reader.onnx\"\noutput = \"logits\"\ninput = {{range = [0, 1], layout = \"NCHW\"}}\n\n"
                           "[data.test]\nimages = \"images.idx\"\nlabels = "
                           "\"labels.idx\"\n\n[check.\"robustness.corruption\"]\nsample = 60\n\n"
                           "[[claim]]\nid = \"fixture\"\ntext = \"The reader keeps working on damaged images.\"\ncheck "
                           "= \"robustness.corruption\"\n"
                           "metric = \"mean_corruption_error\"\nat_most = 0.2\nconfidence = 0.95\n",
                           rng.below(1000000)));
}

}  // namespace

check::Entry corruption() {
  return {.info = facts(),
          .plan = plan,
          .run = {},
          .run_shard = run_shard,
          .finish = finish,
          .fixtures = {
              .defect = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, true); },
              .control = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, false); },
              .defect_words = "the model reads the grey of the ground instead of the position of the blob: perfect "
                              "when clean, near chance when corrupted",
              .control_words = "the model compares the two halves of the image",
              .false_alarm_level = 0.05,
              .cost_ms = 400}};
}

}  // namespace plumbline::checks
