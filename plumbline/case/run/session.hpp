#pragma once
/// What one process holds while it runs checks of one manifest: data sets, models, predictions and fitted features,
/// each opened once. The Context that a check sees is a thin view of it.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/case/run/program.hpp"
#include "plumbline/data/table_contract.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/decision/self_test.hpp"
#include "plumbline/stats/linalg.hpp"

namespace plumbline::run {

/// What a program lends to a session, so that this room needs neither LibTorch nor the predictors.
struct SessionOptions {
  std::function<base::Result<decision::PredictorPtr>(const data::ModelSection&)> open_predictor;
  /// Compares the model's answers to some rows with a second opinion, or with themselves.
  std::function<base::Result<decision::SelfTest>(const data::ModelSection&, decision::Predictor&, MatrixRefF)>
      self_test;
  std::string cache_folder;  ///< predictions and fitted features as files; empty = memory only
  std::string program;       ///< program_identity() of what executes; part of the names of those files
};

/// Rows per prediction file: fixed, so that files do not depend on the number of workers.
inline constexpr std::size_t kPredictionShard = 8192;

/// Not thread-safe: one session a worker.
class Session {
 public:
  Session(data::Manifest manifest, SessionOptions options);

  const data::Manifest& manifest() const { return manifest_; }
  base::Result<data::DatasetPtr> dataset(const std::string& name);
  /// Which rows of a set people may see: "none", "blurred" or "full", as declared; default: images only.
  std::string examples_policy(const std::string& data);
  base::Result<decision::Predictor*> predictor(const std::string& model);
  base::Result<decision::PredictorInfo> predictor_info(const std::string& model);
  base::Result<std::shared_ptr<const decision::Prediction>> predictions(const std::string& model,
                                                                        const std::string& data, bool features,
                                                                        const base::CancelToken& cancel,
                                                                        base::Progress& progress);
  /// Computes one file of the prediction cache unless it is there.
  base::Status predict_shard(const std::string& model, const std::string& data, bool features, std::size_t shard,
                             const base::CancelToken& cancel);
  base::Result<MatrixF> inputs(const std::string& model, const std::string& data, std::span<const std::size_t> rows);
  base::Result<std::shared_ptr<const MatrixF>> features(const std::string& model, const std::string& data,
                                                        const base::CancelToken& cancel, base::Progress& progress);
  /// The self-test of a model on at most 64 rows of `data`.
  base::Result<decision::SelfTest> self_test(const std::string& model, const std::string& data);
  /// What this session writes into evidence: build_text(program).
  std::string build() const { return build_text(options_.program); }
  /// A section that is kept as it stands. Errors kValue: there is none.
  base::Result<const data::OtherSection*> other(const std::string& kind, const std::string& name);
  /// "data:NAME" -> fingerprint, "model:NAME" -> hash, for what has been opened so far.
  std::string input_hash(const std::string& input) const;

 private:
  const data::PredictionsSection* stored(const std::string& model, const std::string& data) const;
  const data::ModelSection& section(const std::string& model);
  base::Result<std::string> prediction_file(const std::string& model, const std::string& data, bool features,
                                            std::size_t shard);
  base::Result<decision::Prediction> compute_shard(const std::string& model, const std::string& data, bool features,
                                                   std::size_t shard, const base::CancelToken& cancel);
  base::Result<std::shared_ptr<const data::TableContract>> contract(const std::string& model);
  base::Result<std::shared_ptr<const stats::Pca>> pca(const std::string& model, std::ptrdiff_t components);
  base::Result<std::string> train_set() const;

  data::Manifest manifest_;
  SessionOptions options_;
  std::map<std::string, data::DatasetPtr> datasets_;
  std::map<std::string, decision::PredictorPtr> predictors_;
  std::map<std::string, data::ModelSection> undeclared_;  // models that only [predictions.*] name
  std::map<std::tuple<std::string, std::string, bool>, std::shared_ptr<const decision::Prediction>> predictions_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const MatrixF>> features_;
  std::map<std::string, std::shared_ptr<const data::TableContract>> contracts_;
  std::map<std::pair<std::string, std::ptrdiff_t>, std::shared_ptr<const stats::Pca>> pcas_;
  std::map<std::string, std::string> hashes_;
};

/// The view of a session that one task of one check gets.
class TaskContext final : public check::Context {
 public:
  TaskContext(Session& session, std::string check_id, check::Task task, base::CancelToken cancel,
              base::Progress& progress);

  const data::Manifest& manifest() const override { return session_.manifest(); }
  const check::Task& task() const override { return task_; }
  base::Result<data::DatasetPtr> dataset(const std::string& name) override;
  base::Result<std::shared_ptr<const decision::Prediction>> predictions(const std::string& model,
                                                                        const std::string& data,
                                                                        bool features) override;
  base::Result<decision::PredictorInfo> predictor_info(const std::string& model) override;
  base::Result<decision::Predictor*> predictor(const std::string& model) override;
  base::Result<MatrixF> inputs(const std::string& model, const std::string& data,
                               std::span<const std::size_t> rows) override;
  base::Result<std::shared_ptr<const MatrixF>> features(const std::string& model, const std::string& data) override;
  base::Result<const data::OtherSection*> section(const std::string& kind, const std::string& name) override;
  base::Rng rng(std::string_view purpose) override;
  std::uint64_t seed() const override { return session_.manifest().seed; }
  const base::CancelToken& cancel() const override { return cancel_; }
  base::Progress& progress() override { return progress_; }
  std::string examples_policy(const std::string& data) override;

  /// What the check read, with hashes.
  std::map<std::string, std::string> inputs_read() const;

 private:
  Session& session_;
  std::string check_id_;
  check::Task task_;
  base::CancelToken cancel_;
  base::Progress& progress_;
  std::set<std::string> read_;
};

/// Runs a task in this process: all its shards, then the rest; fills in what every piece of evidence carries (check,
/// subject, seed, parameters, inputs, build, ids) and prefixes artifact ids.
base::Result<check::Output> run_task(Session& session, const check::Entry& entry, const check::Params& params,
                                     const check::Task& task, const base::CancelToken& cancel = {},
                                     base::Progress& progress = base::no_progress());
/// One shard, as opaque bytes for finish_task.
base::Result<std::string> run_task_shard(Session& session, const check::Entry& entry, const check::Params& params,
                                         const check::Task& task, std::size_t shard, const base::CancelToken& cancel,
                                         base::Progress& progress);
base::Result<check::Output> finish_task(Session& session, const check::Entry& entry, const check::Params& params,
                                        const check::Task& task, std::span<const std::string> shards,
                                        const base::CancelToken& cancel, base::Progress& progress);

}  // namespace plumbline::run
