#include "plumbline/case/run/session.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <numeric>

#include <fmt/format.h>
#include <unistd.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/run/runner.hpp"
#include "plumbline/case/run/store.hpp"
#include "plumbline/data/npy.hpp"

namespace plumbline::run {
namespace {

namespace fs = std::filesystem;

base::Error no_model(const std::string& model) {
  return base::make_error(
      base::Code::kUnsupported,
      fmt::format("model '{}' is known by stored predictions only and cannot be asked about new inputs", model));
}

// Written beside its place and renamed, so that a reader never sees half a file.
template <class Write>
base::Status write_atomically(const std::string& path, Write write) {
  std::error_code code;
  fs::create_directories(fs::path(path).parent_path(), code);
  const std::string temporary = fmt::format("{}.{}.part", path, getpid());
  if (base::Status status = write(temporary); !status.ok()) {
    fs::remove(temporary, code);
    return status;
  }
  fs::rename(temporary, path, code);
  if (code) return base::make_error(base::Code::kIo, code.message(), path);
  return base::ok();
}

base::Result<MatrixD> read_matrix(const std::string& path, const std::string& member = {}) {
  PL_TRY(const data::NpyArray array, data::read_npy(path, member));
  return data::npy_to_double(array, path);
}

std::string describe(const data::ModelSection& m) {
  std::string text =
      fmt::format("{};{};{};{};{};{}", m.output, m.features, m.input.low, m.input.high, m.input.layout, m.task);
  for (const double v : m.input.mean) text += fmt::format(";m{}", v);
  for (const double v : m.input.deviation) text += fmt::format(";d{}", v);
  for (const std::string& c : m.columns) text += fmt::format(";c{}:{}", c.size(), c);
  return text;
}

// The number of components in "pca:N", or nothing when the declaration is something else.
std::optional<std::ptrdiff_t> pca_components(const std::string& declared) {
  if (declared.rfind("pca:", 0) != 0) return std::nullopt;
  std::ptrdiff_t n = 0;
  const char* end = declared.data() + declared.size();
  const auto [stop, code] = std::from_chars(declared.data() + 4, end, n);
  if (code != std::errc() || stop != end || n < 1) return 0;
  return n;
}

void append_rows(MatrixD& all, std::ptrdiff_t at, const MatrixD& part, std::ptrdiff_t total) {
  if (all.size() == 0) all.resize(total, part.cols());
  all.middleRows(at, part.rows()) = part;
}

}  // namespace

Session::Session(data::Manifest manifest, SessionOptions options)
    : manifest_(std::move(manifest)), options_(std::move(options)) {}

base::Result<data::DatasetPtr> Session::dataset(const std::string& name) {
  if (const auto found = datasets_.find(name); found != datasets_.end()) return found->second;
  PL_TRY(data::DatasetPtr dataset, data::load_dataset(manifest_, name));
  hashes_["data:" + name] = dataset->fingerprint;
  datasets_[name] = dataset;
  return dataset;
}

const data::PredictionsSection* Session::stored(const std::string& model, const std::string& data) const {
  for (const auto& [name, section] : manifest_.predictions) {
    if (section.model == model && section.data == data) return &section;
  }
  return nullptr;
}

const data::ModelSection& Session::section(const std::string& model) {
  if (const auto found = manifest_.models.find(model); found != manifest_.models.end()) return found->second;
  data::ModelSection& made = undeclared_[model];
  made.name = model;
  for (const auto& [name, predictions] : manifest_.predictions) {
    if (predictions.model == model) made.output = predictions.output;
  }
  return made;
}

base::Result<decision::Predictor*> Session::predictor(const std::string& model) {
  if (const auto found = predictors_.find(model); found != predictors_.end()) return found->second.get();
  const auto declared = manifest_.models.find(model);
  if (declared == manifest_.models.end()) return no_model(model);
  if (!options_.open_predictor)
    return base::make_error(base::Code::kUnsupported, "this program cannot open models",
                            fmt::format("model '{}'", model));
  PL_TRY(decision::PredictorPtr opened, options_.open_predictor(declared->second));
  decision::Predictor* raw = opened.get();
  hashes_["model:" + model] = raw->info().hash;
  predictors_[model] = std::move(opened);
  return raw;
}

base::Result<decision::PredictorInfo> Session::predictor_info(const std::string& model) {
  if (manifest_.models.count(model) != 0) {
    PL_TRY(decision::Predictor * opened, predictor(model));
    return opened->info();
  }
  const auto first = std::find_if(manifest_.predictions.begin(), manifest_.predictions.end(),
                                  [&](const auto& p) { return p.second.model == model; });
  if (first == manifest_.predictions.end())
    return base::make_error(base::Code::kValue, fmt::format("no model '{}'", model));
  decision::PredictorInfo info;
  info.name = model;
  info.kind = "stored";
  PL_TRY(info.output, decision::parse_output(first->second.output));
  PL_TRY(const auto prediction, predictions(model, first->second.data, false, {}, base::no_progress()));
  info.outputs = prediction->outputs.cols();
  info.hash = input_hash("model:" + model);
  return info;
}

base::Result<std::string> Session::prediction_file(const std::string& model, const std::string& data, bool features,
                                                   std::size_t shard) {
  PL_TRY(decision::Predictor * opened, predictor(model));
  PL_TRY(const data::DatasetPtr set, dataset(data));
  std::string contract_hash;
  if (set->kind == data::Dataset::Kind::kTable) {
    PL_TRY(const auto table, contract(model));
    contract_hash = table->hash();
  }
  const std::string key = base::Sha256()
                              .add_field(opened->info().hash)
                              .add_field(set->fingerprint)
                              .add_field(describe(section(model)))
                              .add_field(contract_hash)
                              .add_field(build_text())
                              .add_field(options_.program)
                              .hex();
  return fmt::format("{}/predictions/{}.{}.{}.npy", options_.cache_folder, key.substr(0, 32),
                     features ? "features" : "outputs", shard);
}

base::Result<decision::Prediction> Session::compute_shard(const std::string& model, const std::string& data,
                                                          bool features, std::size_t shard,
                                                          const base::CancelToken& cancel) {
  PL_TRY(decision::Predictor * opened, predictor(model));
  PL_TRY(const data::DatasetPtr set, dataset(data));
  const std::size_t begin = shard * kPredictionShard;
  const std::size_t end = std::min(set->rows(), begin + kPredictionShard);
  std::vector<std::size_t> rows(end - begin);
  std::iota(rows.begin(), rows.end(), begin);
  PL_TRY(const MatrixF encoded, inputs(model, data, rows));
  decision::PredictOptions options;
  options.want_features = features;
  options.cancel = cancel;
  PL_TRY(decision::Prediction prediction, opened->predict(encoded, options));
  for (std::ptrdiff_t i = 0; i < prediction.outputs.rows(); ++i) {
    for (std::ptrdiff_t k = 0; k < prediction.outputs.cols(); ++k) {
      if (!std::isfinite(prediction.outputs(i, k))) {
        return base::make_error(
            base::Code::kValue,
            fmt::format("output {} of row {} is {}", k, begin + static_cast<std::size_t>(i), prediction.outputs(i, k)),
            fmt::format("model '{}' on '{}'", model, data), "A model that is assessed must give finite outputs");
      }
    }
  }
  return prediction;
}

base::Status Session::predict_shard(const std::string& model, const std::string& data, bool features, std::size_t shard,
                                    const base::CancelToken& cancel) {
  if (options_.cache_folder.empty() || stored(model, data) != nullptr) return base::ok();
  PL_TRY(const data::DatasetPtr set, dataset(data));
  if (shard * kPredictionShard >= set->rows()) return base::ok();
  PL_TRY(const std::string outputs_path, prediction_file(model, data, false, shard));
  PL_TRY(const std::string features_path, prediction_file(model, data, true, shard));
  if (fs::exists(outputs_path) && (!features || fs::exists(features_path))) return base::ok();
  PL_TRY(const decision::Prediction prediction, compute_shard(model, data, features, shard, cancel));
  if (features)
    PL_CHECK(
        write_atomically(features_path, [&](const std::string& p) { return data::write_npy(p, prediction.features); }));
  return write_atomically(outputs_path, [&](const std::string& p) { return data::write_npy(p, prediction.outputs); });
}

base::Result<std::shared_ptr<const decision::Prediction>> Session::predictions(const std::string& model,
                                                                               const std::string& data, bool features,
                                                                               const base::CancelToken& cancel,
                                                                               base::Progress& progress) {
  const auto key = std::make_tuple(model, data, features);
  if (const auto found = predictions_.find(key); found != predictions_.end()) return found->second;
  PL_TRY(const data::DatasetPtr set, dataset(data));
  auto result = std::make_shared<decision::Prediction>();
  if (const data::PredictionsSection* table = stored(model, data)) {
    if (features) return no_model(model);
    PL_TRY(result->outputs, data::load_predictions(manifest_, table->name));
    PL_TRY(const std::string sha, base::sha256_file(table->path.resolved));
    hashes_["predictions:" + table->name] = sha;
    std::string& joint = hashes_["model:" + model];
    if (manifest_.models.count(model) == 0) joint = base::sha256_hex(joint + table->name + sha);
  } else {
    const std::size_t shards = (set->rows() + kPredictionShard - 1) / kPredictionShard;
    const auto total = static_cast<std::ptrdiff_t>(set->rows());
    for (std::size_t s = 0; s < shards; ++s) {
      PL_CHECK(cancel.status());
      progress.update("predict " + model + " on " + data, s, shards);
      decision::Prediction part;
      bool read = false;
      if (!options_.cache_folder.empty()) {
        PL_CHECK(predict_shard(model, data, features, s, cancel));
        PL_TRY(const std::string outputs_path, prediction_file(model, data, false, s));
        PL_TRY(const std::string features_path, prediction_file(model, data, true, s));
        auto outputs = read_matrix(outputs_path);
        read = outputs.ok();
        if (read) part.outputs = std::move(outputs).value();
        if (read && features) {
          auto feature_rows = read_matrix(features_path);
          read = feature_rows.ok();
          if (read) part.features = std::move(feature_rows).value();
        }
      }
      if (!read) {
        PL_TRY(part, compute_shard(model, data, features, s, cancel));
      }
      const auto at = static_cast<std::ptrdiff_t>(s * kPredictionShard);
      append_rows(result->outputs, at, part.outputs, total);
      if (features) append_rows(result->features, at, part.features, total);
    }
  }
  predictions_[key] = result;
  return std::shared_ptr<const decision::Prediction>(result);
}

base::Result<std::string> Session::train_set() const {
  std::string found;
  for (const auto& [name, section] : manifest_.data) {
    if (section.role != data::Role::kTrain) continue;
    if (name == "train" || found.empty()) found = name;
  }
  if (found.empty())
    return base::make_error(base::Code::kUnsupported, "the manifest has no set of role train", "", "Add [data.train]");
  return found;
}

base::Result<std::shared_ptr<const data::TableContract>> Session::contract(const std::string& model) {
  if (const auto found = contracts_.find(model); found != contracts_.end()) return found->second;
  PL_TRY(const std::string train, train_set());
  PL_TRY(const data::DatasetPtr set, dataset(train));
  const data::ModelSection& declared = section(model);
  PL_TRY(data::TableContract fitted, data::fit_contract(set->table, declared.columns));
  if (manifest_.models.count(model) != 0) {
    // A model that takes as many inputs as there are columns takes them as they are; one that takes the encoded width
    // takes numbers standardised and categories one column a level.
    PL_TRY(const decision::Predictor* opened, predictor(model));
    const auto wants = static_cast<std::size_t>(opened->info().input_size);
    if (wants != fitted.width()) {
      auto raw = data::fit_contract(set->table, declared.columns, data::TableContract::Mode::kRaw);
      if (!raw.ok() || raw->width() != wants) {
        return base::make_error(
            base::Code::kShape,
            fmt::format("takes {} inputs, but the train table gives {} encoded columns{}", wants, fitted.width(),
                        raw.ok() ? fmt::format(" or {} as they are", raw->width()) : ""),
            fmt::format("model '{}'", model), "Name the columns that the model takes, in order, under `columns`");
      }
      fitted = std::move(raw).value();
    }
  }
  auto shared = std::make_shared<const data::TableContract>(std::move(fitted));
  contracts_[model] = shared;
  return shared;
}

base::Result<MatrixF> Session::inputs(const std::string& model, const std::string& data,
                                      std::span<const std::size_t> rows) {
  PL_TRY(const data::DatasetPtr set, dataset(data));
  if (set->kind != data::Dataset::Kind::kTable) return data::encode(*set, rows, section(model).input);
  PL_TRY(const auto table, contract(model));
  return data::encode_table(*table, set->table, rows);
}

base::Result<std::shared_ptr<const stats::Pca>> Session::pca(const std::string& model, std::ptrdiff_t components) {
  const auto key = std::make_pair(model, components);
  if (const auto found = pcas_.find(key); found != pcas_.end()) return found->second;
  PL_TRY(const std::string train, train_set());
  PL_TRY(const data::DatasetPtr set, dataset(train));
  std::string path;
  if (!options_.cache_folder.empty()) {
    path = fmt::format("{}/features/{}.npz", options_.cache_folder,
                       base::sha256_hex(fmt::format("pca {} {} {} {} {}", set->fingerprint, describe(section(model)),
                                                    components, build_text(), options_.program))
                           .substr(0, 32));
    auto mean = read_matrix(path, "mean");
    auto axes = read_matrix(path, "components");
    auto variances = read_matrix(path, "variances");
    auto total = read_matrix(path, "total");
    if (mean.ok() && axes.ok() && variances.ok() && total.ok()) {
      auto kept = std::make_shared<stats::Pca>();
      kept->mean = mean->col(0);
      kept->components = *axes;
      kept->variances = variances->col(0);
      kept->total_variance = (*total)(0, 0);
      pcas_[key] = kept;
      return std::shared_ptr<const stats::Pca>(kept);
    }
  }
  std::vector<std::size_t> all(set->rows());
  std::iota(all.begin(), all.end(), 0);
  PL_TRY(const MatrixF rows, inputs(model, train, all));
  const std::ptrdiff_t most = std::min({components, rows.cols(), rows.rows() - 1});
  PL_TRY(stats::Pca fitted, stats::fit_pca(rows, most));
  auto shared = std::make_shared<const stats::Pca>(std::move(fitted));
  if (!path.empty()) {
    const std::vector<data::NpzMember> members = {
        {"mean", data::npy_bytes(MatrixD(shared->mean))},
        {"components", data::npy_bytes(shared->components)},
        {"variances", data::npy_bytes(MatrixD(shared->variances))},
        {"total", data::npy_bytes(MatrixD(MatrixD::Constant(1, 1, shared->total_variance)))}};
    PL_CHECK(write_atomically(path, [&](const std::string& p) { return data::write_npz(p, members); }));
  }
  pcas_[key] = shared;
  return shared;
}

base::Result<std::shared_ptr<const MatrixF>> Session::features(const std::string& model, const std::string& data,
                                                               const base::CancelToken& cancel,
                                                               base::Progress& progress) {
  const auto key = std::make_pair(model, data);
  if (const auto found = features_.find(key); found != features_.end()) return found->second;
  const std::string declared = section(model).features;
  PL_TRY(const data::DatasetPtr set, dataset(data));
  auto result = std::make_shared<MatrixF>();
  const bool named_tensor = !declared.empty() && declared != "inputs" && !pca_components(declared);
  if (named_tensor) {
    PL_TRY(const auto prediction, predictions(model, data, true, cancel, progress));
    *result = prediction->features.cast<float>();
  } else {
    std::vector<std::size_t> all(set->rows());
    std::iota(all.begin(), all.end(), 0);
    PL_TRY(MatrixF rows, inputs(model, data, all));
    std::ptrdiff_t components = pca_components(declared).value_or(0);
    if (declared.rfind("pca:", 0) == 0 && components == 0) {
      return base::make_error(base::Code::kValue,
                              fmt::format("features = \"{}\", expected \"pca:N\" with N at least 1", declared),
                              fmt::format("[model.{}]", model));
    }
    if (declared.empty() && rows.cols() > 64) components = 64;
    if (components == 0) {
      *result = std::move(rows);
    } else {
      progress.update("principal components of " + data, 0, 1);
      PL_TRY(const auto axes, pca(model, components));
      PL_TRY(const MatrixD projected, axes->transform(rows));
      *result = projected.cast<float>();
    }
  }
  features_[key] = result;
  return std::shared_ptr<const MatrixF>(result);
}

base::Result<decision::SelfTest> Session::self_test(const std::string& model, const std::string& data) {
  PL_TRY(decision::Predictor * opened, predictor(model));
  decision::SelfTest test;
  if (!options_.self_test) {
    test.not_possible = "this program brings none";
    return test;
  }
  PL_TRY(const data::DatasetPtr set, dataset(data));
  std::vector<std::size_t> rows(std::min<std::size_t>(64, set->rows()));
  // Spread over the set: sorted files would otherwise show one class only.
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i * set->rows() / rows.size();
  PL_TRY(const MatrixF encoded, inputs(model, data, rows));
  return options_.self_test(section(model), *opened, encoded);
}

base::Result<const data::OtherSection*> Session::other(const std::string& kind, const std::string& name) {
  const data::OtherSection* found = manifest_.other(kind, name);
  if (found == nullptr) {
    return base::make_error(base::Code::kValue, fmt::format("there is no section [{}.{}]", kind, name), manifest_.path);
  }
  std::string& hash = hashes_[kind + ":" + name];
  if (hash.empty()) {
    PL_TRY(hash, section_hash(*found));
  }
  return found;
}

std::string Session::input_hash(const std::string& input) const {
  const auto found = hashes_.find(input);
  return found == hashes_.end() ? std::string() : found->second;
}

TaskContext::TaskContext(Session& session, std::string check_id, check::Task task, base::CancelToken cancel,
                         base::Progress& progress)
    : session_(session),
      check_id_(std::move(check_id)),
      task_(std::move(task)),
      cancel_(std::move(cancel)),
      progress_(progress) {}

base::Result<data::DatasetPtr> TaskContext::dataset(const std::string& name) {
  read_.insert("data:" + name);
  return session_.dataset(name);
}

base::Result<std::shared_ptr<const decision::Prediction>> TaskContext::predictions(const std::string& model,
                                                                                   const std::string& data,
                                                                                   bool features) {
  read_.insert("data:" + data);
  read_.insert("model:" + model);
  return session_.predictions(model, data, features, cancel_, progress_);
}

base::Result<decision::PredictorInfo> TaskContext::predictor_info(const std::string& model) {
  read_.insert("model:" + model);
  return session_.predictor_info(model);
}

base::Result<decision::Predictor*> TaskContext::predictor(const std::string& model) {
  read_.insert("model:" + model);
  return session_.predictor(model);
}

base::Result<MatrixF> TaskContext::inputs(const std::string& model, const std::string& data,
                                          std::span<const std::size_t> rows) {
  read_.insert("data:" + data);
  return session_.inputs(model, data, rows);
}

base::Result<std::shared_ptr<const MatrixF>> TaskContext::features(const std::string& model, const std::string& data) {
  read_.insert("data:" + data);
  return session_.features(model, data, cancel_, progress_);
}

base::Result<const data::OtherSection*> TaskContext::section(const std::string& kind, const std::string& name) {
  read_.insert(kind + ":" + name);
  return session_.other(kind, name);
}

base::Rng TaskContext::rng(std::string_view purpose) { return base::Rng(seed(), {check_id_, task_.subject, purpose}); }

std::string Session::examples_policy(const std::string& data) {
  if (manifest_.examples != "default") return manifest_.examples;
  const auto set = dataset(data);
  return set.ok() && (*set)->kind == data::Dataset::Kind::kImages ? "full" : "none";
}

std::string TaskContext::examples_policy(const std::string& data) { return session_.examples_policy(data); }

std::map<std::string, std::string> TaskContext::inputs_read() const {
  std::map<std::string, std::string> out;
  for (const std::string& input : read_) out[input] = session_.input_hash(input);
  return out;
}

namespace {

// Exceptions stop here: a broken invariant or exhausted memory in one task is that task's error.
template <class T, class F>
base::Result<T> guarded(F body) {
  try {
    return body();
  } catch (const base::InternalError& error) {
    return base::make_error(base::Code::kInternal, error.what(), "", "This is a defect in Plumbline; please report it");
  } catch (const std::bad_alloc&) {
    return base::make_error(base::Code::kLimit, "out of memory", "", "Raise --memory, or give the check fewer rows");
  } catch (const std::exception& error) {
    return base::make_error(base::Code::kInternal, error.what(), "", "This is a defect in Plumbline; please report it");
  }
}

base::Result<check::Output> completed(base::Result<check::Output> result, const TaskContext& context,
                                      const std::string& build, const check::Entry& entry, const check::Params& params,
                                      const check::Task& task) {
  if (!result.ok()) return result;
  check::Output output = std::move(result).value();
  for (check::Artifact& artifact : output.artifacts)
    artifact.id = artifact_name(entry.info.id, task.subject, artifact.id);
  for (check::Evidence& e : output.evidence) {
    e.check = entry.info.id;
    e.subject = task.subject;
    e.seed = context.seed();
    e.params = params.values();
    e.inputs = context.inputs_read();
    e.build = build;
    for (std::string& id : e.artifacts) id = artifact_name(entry.info.id, task.subject, id);
    e.id = check::evidence_id(e);
  }
  for (check::Finding& f : output.findings) {
    f.check = entry.info.id;
    f.subject = task.subject;
    f.id = base::sha256_hex(f.check + "\n" + f.subject + "\n" + f.title + "\n" + f.data).substr(0, 16);
  }
  return output;
}

}  // namespace

base::Result<std::string> run_task_shard(Session& session, const check::Entry& entry, const check::Params& params,
                                         const check::Task& task, std::size_t shard, const base::CancelToken& cancel,
                                         base::Progress& progress) {
  TaskContext context(session, entry.info.id, task, cancel, progress);
  return guarded<std::string>([&] { return entry.run_shard(context, params, shard); });
}

base::Result<check::Output> finish_task(Session& session, const check::Entry& entry, const check::Params& params,
                                        const check::Task& task, std::span<const std::string> shards,
                                        const base::CancelToken& cancel, base::Progress& progress) {
  TaskContext context(session, entry.info.id, task, cancel, progress);
  auto result = guarded<check::Output>([&] { return entry.finish(context, params, shards); });
  return completed(std::move(result), context, session.build(), entry, params, task);
}

base::Result<check::Output> run_task(Session& session, const check::Entry& entry, const check::Params& params,
                                     const check::Task& task, const base::CancelToken& cancel,
                                     base::Progress& progress) {
  if (entry.run_shard) {
    std::vector<std::string> shards;
    for (std::size_t s = 0; s < std::max<std::size_t>(1, task.shards); ++s) {
      PL_TRY(std::string part, run_task_shard(session, entry, params, task, s, cancel, progress));
      shards.push_back(std::move(part));
    }
    return finish_task(session, entry, params, task, shards, cancel, progress);
  }
  TaskContext context(session, entry.info.id, task, cancel, progress);
  auto result = guarded<check::Output>([&] { return entry.run(context, params); });
  return completed(std::move(result), context, session.build(), entry, params, task);
}

}  // namespace plumbline::run
