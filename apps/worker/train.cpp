#include "apps/worker/train.hpp"

#include <iostream>

#include "plumbline/base/result.hpp"

#if PLUMBLINE_WITH_TORCH
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <numeric>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/text.hpp"
#include "plumbline/data/load.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/nn/executor.hpp"
#include "plumbline/nn/train.hpp"
#include "plumbline/robustness/threat.hpp"
#endif

namespace plumbline::worker {

#if PLUMBLINE_WITH_TORCH
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::make_error;

base::CancelToken g_cancel;  // set before the handler is installed

void on_interrupt(int) {
  g_cancel.cancel();
  std::signal(SIGINT, SIG_DFL);  // a second one ends the program at once; the checkpoint stays as it is
}

/// The values of one section, with its name in every error.
class Keys {
 public:
  explicit Keys(const data::OtherSection& section) : section_(section) {}

  std::string text(const std::string& key, const std::string& fallback) const {
    return section_.keys.contains(key) ? section_.text(key) : fallback;
  }
  double number(const std::string& key, double fallback) const {
    const auto found = section_.keys.find(key);
    if (found == section_.keys.end()) return fallback;
    if (const auto* whole = std::get_if<std::int64_t>(&found->second)) return static_cast<double>(*whole);
    const auto* value = std::get_if<double>(&found->second);
    return value == nullptr ? fallback : *value;
  }
  std::int64_t integer(const std::string& key, std::int64_t fallback) const {
    const auto found = section_.keys.find(key);
    const auto* value = found == section_.keys.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
    return value == nullptr ? fallback : *value;
  }
  base::Result<std::vector<std::int64_t>> integers(const std::string& key, std::vector<std::int64_t> fallback) const {
    const auto found = section_.keys.find(key);
    if (found == section_.keys.end()) return fallback;
    std::vector<std::int64_t> out;
    if (const auto* values = std::get_if<std::vector<double>>(&found->second)) {
      for (const double value : *values) {
        if (value < 1 || value > 1e7 || value != std::floor(value))
          return make_error(Code::kValue, fmt::format("{} holds {}, expected whole numbers above 0", key, value));
        out.push_back(static_cast<std::int64_t>(value));
      }
    }
    return out;
  }

 private:
  const data::OtherSection& section_;
};

/// Everything that one section asks for.
struct Job {
  std::string name;
  nn::NetworkSpec spec;
  nn::TrainOptions options;
  MatrixF inputs;
  std::vector<int> labels;
  std::string model;  ///< the file that [model.NAME] names
};

base::Status network_of(const Keys& keys, const data::Dataset& set, const data::ModelSection& model, Job& job) {
  const bool images = set.kind == data::Dataset::Kind::kImages;
  nn::NetworkSpec& spec = job.spec;
  spec.kind = keys.text("network", images ? "cnn" : "mlp");
  if (spec.kind == "cnn" && (!images || model.input.layout != "NCHW")) {
    return make_error(Code::kValue, "a cnn reads images in layout NCHW", "",
                      "set network = \"mlp\", or the layout of [model." + job.name + "]");
  }
  if (images && model.input.layout == "NCHW") {
    spec.input_shape = {set.images.channels, set.images.height, set.images.width};
  } else {
    spec.input_shape = {static_cast<std::int64_t>(job.inputs.cols())};
  }
  spec.classes = std::max<std::int64_t>(set.classes(), model.classes);
  PL_TRY(spec.hidden, keys.integers("hidden", spec.hidden));
  PL_TRY(spec.channels, keys.integers("channels", spec.channels));
  spec.dense = keys.integer("dense", spec.dense);
  return base::ok();
}

base::Status options_of(const Keys& keys, std::uint64_t seed, const robustness::InputDomain& domain, Job& job) {
  nn::TrainOptions& o = job.options;
  o.seed = static_cast<std::uint64_t>(keys.integer("seed", static_cast<std::int64_t>(seed)));
  o.epochs = keys.integer("epochs", o.epochs);
  o.batch = keys.integer("batch", o.batch);
  o.optimiser = keys.text("optimiser", o.optimiser);
  o.rate = keys.number("rate", o.rate);
  o.rate_decay = keys.number("rate_decay", o.rate_decay);
  o.momentum = keys.number("momentum", o.momentum);
  o.weight_decay = keys.number("weight_decay", o.weight_decay);
  nn::RobustTraining& r = o.robust;
  PL_TRY(r.method, nn::parse_train_method(keys.text("method", "standard")));
  r.epsilon = keys.number("epsilon", r.epsilon);
  r.sigma = keys.number("sigma", r.sigma);
  r.steps = static_cast<int>(std::clamp<std::int64_t>(keys.integer("steps", r.steps), -1, 1'000'000));
  r.beta = keys.number("beta", r.beta);
  r.warmup = keys.number("warmup", r.warmup);
  r.ramp = keys.number("ramp", r.ramp);
  r.clean_weight = keys.number("clean_weight", r.clean_weight);
  r.scale = domain.scale;
  r.low = domain.low;
  r.high = domain.high;
  // Without a range the bounds are infinite, which no settings text can hold.
  if (std::any_of(r.low.begin(), r.low.end(), [](double v) { return !std::isfinite(v); })) {
    r.low.clear();
    r.high.clear();
  }
  return base::ok();
}

base::Result<Job> prepare(const data::Manifest& manifest, const data::OtherSection& section) {
  Job job;
  job.name = section.name;
  const auto model = manifest.models.find(section.name);
  if (model == manifest.models.end() || !model->second.path) {
    return make_error(Code::kValue, fmt::format("there is no [model.{}] with a path to train", section.name), "",
                      "declare it: its path names the file that is written, its input how rows are read");
  }
  job.model = model->second.path->resolved;
  const std::string ending = fs::path(job.model).extension().string();
  if (ending != ".onnx" && ending != ".plnet") {
    return make_error(Code::kValue, fmt::format("the path of [model.{}] ends in '{}'", section.name, ending), "",
                      "training writes .onnx or .plnet");
  }
  const Keys keys(section);
  const std::string data = keys.text("data", "train");
  if (!manifest.data.contains(data)) return make_error(Code::kValue, fmt::format("there is no [data.{}]", data));
  PL_TRY(const data::DatasetPtr set, data::load_dataset(manifest, data));
  if (!set->labelled()) return make_error(Code::kValue, fmt::format("[data.{}] has no labels", data));
  PL_TRY(const robustness::InputDomain domain, robustness::input_domain(*set, model->second.input));
  std::vector<std::size_t> rows(set->rows());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  PL_TRY(job.inputs, data::encode(*set, rows, model->second.input));
  job.labels = set->labels;
  PL_CHECK(network_of(keys, *set, model->second, job));
  PL_CHECK(options_of(keys, manifest.seed, domain, job));
  job.options.checkpoint = fs::path(job.model).replace_extension(".plnet").string();
  return job;
}

class LineProgress final : public base::Progress {
 public:
  LineProgress(std::string name, bool quiet) : name_(std::move(name)), quiet_(quiet) {}
  void update(std::string_view, std::size_t done, std::size_t total) override {
    const std::size_t tenth = total == 0 ? 0 : done * 10 / total;
    if (quiet_ || tenth == last_) return;
    last_ = tenth;
    std::cerr << fmt::format("{}: {} %\n", name_, 10 * tenth);
  }

 private:
  std::string name_;
  bool quiet_;
  std::size_t last_ = 0;
};

base::Result<nlohmann::json> run(const TrainRequest& request) {
  PL_TRY(const data::Manifest manifest, data::read_manifest(request.manifest, request.options));
  std::vector<const data::OtherSection*> sections;
  std::vector<std::string> names;
  for (const data::OtherSection& section : manifest.others) {
    if (section.kind != "train") continue;
    names.push_back(section.name);
    if (request.only.empty() || std::find(request.only.begin(), request.only.end(), section.name) != request.only.end())
      sections.push_back(&section);
  }
  for (const std::string& wanted : request.only) {
    if (std::find(names.begin(), names.end(), wanted) != names.end()) continue;
    const std::string guess = base::nearest(wanted, names);
    return make_error(Code::kValue, fmt::format("there is no [train.{}]", wanted), request.manifest,
                      guess.empty() ? "" : fmt::format("Did you mean '{}'?", guess));
  }
  if (sections.empty()) {
    return make_error(Code::kValue, "has no [train.NAME] section", request.manifest,
                      "`plumbline config schema` and docs/user/train.md show its keys");
  }
  // Everything is looked at before the first network is trained.
  std::vector<Job> jobs;
  for (const data::OtherSection* section : sections) {
    auto job = prepare(manifest, *section);
    if (!job.ok())
      return job.error().at(fmt::format("{}:{} [train.{}]", request.manifest, section->line, section->name));
    jobs.push_back(std::move(job).value());
  }
  nlohmann::json out = nlohmann::json::array();
  for (Job& job : jobs) {
    LineProgress progress(job.name, request.quiet);
    job.options.progress = &progress;
    job.options.cancel = g_cancel;
    const auto trained = nn::train_classifier(job.spec, job.inputs, job.labels, job.options);
    const std::string place = fmt::format("[train.{}]", job.name);
    if (!trained.ok()) {
      if (trained.error().code != Code::kCancelled) return trained.error().at(place);
      return make_error(Code::kCancelled, "interrupted; the checkpoint holds the last finished epoch",
                        job.options.checkpoint, "the same command goes on from there, with the same bits");
    }
    if (job.model != job.options.checkpoint) PL_CHECK(graph::write_onnx(trained->graph, job.model));
    out.push_back({{"name", job.name},
                   {"method", nn::train_method_name(job.options.robust.method)},
                   {"rows", job.labels.size()},
                   {"epochs", trained->losses.size()},
                   {"losses", trained->losses},
                   {"checkpoint", job.options.checkpoint},
                   {"model", job.model}});
  }
  return out;
}

}  // namespace

int train_networks(const TrainRequest& request) {
  nn::configure_process();
  g_cancel = base::CancelToken::make();
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  const auto done = run(request);
  if (!done.ok()) {
    std::cerr << "plumbline: " << done.error().text() << "\n";
    return done.error().code == Code::kCancelled ? 130 : 2;
  }
  if (request.json) {
    std::cout << done->dump(2) << "\n";
    return 0;
  }
  for (const nlohmann::json& one : *done) {
    const auto losses = one.at("losses").get<std::vector<double>>();
    std::cout << fmt::format(
        "{}: method {}, {} rows, {} epochs, loss {:.4g} -> {:.4g}\n  model       {}\n  checkpoint  {}\n",
        one.at("name").get<std::string>(), one.at("method").get<std::string>(), one.at("rows").get<std::size_t>(),
        losses.size(), losses.front(), losses.back(), one.at("model").get<std::string>(),
        one.at("checkpoint").get<std::string>());
  }
  return 0;
}
#else
int train_networks(const TrainRequest&) {
  std::cerr << "plumbline: training needs LibTorch, and this build has none\n";
  return 2;
}
#endif

}  // namespace plumbline::worker
