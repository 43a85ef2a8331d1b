#pragma once
/// What a check is: facts as data, a plan from the manifest, a run, and the fixtures that check the check.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/case/interface/evidence.hpp"
#include "plumbline/data/load.hpp"
#include "plumbline/data/manifest.hpp"
#include "plumbline/stats/matrix_fwd.hpp"

namespace plumbline::decision {
class Predictor;
struct Prediction;
struct PredictorInfo;
}  // namespace plumbline::decision

namespace plumbline::check {

enum class Maturity { kPreview, kStable, kDeprecated };
std::string_view maturity_name(Maturity maturity);

/// A parameter with default, range and help. `[check."id"]` in the manifest and --param set it.
struct ParamSpec {
  std::string name;
  ParamValue fallback;  ///< default; also fixes the type
  std::optional<double> low;
  std::optional<double> high;
  std::vector<std::string> choices;
  std::string help;
};

struct MetricSpec {
  std::string name;
  std::string unit;
  Direction direction = Direction::kNone;
  std::string help;
  std::vector<std::string> where;  ///< keys that select beside `data`: "slice", "detector", "corruption" ...
  /// Values of `where` keys that a claim means when it does not name the key ("detector" -> "mahalanobis").
  std::map<std::string, std::string> where_default;
};

/// Checked parameter values, complete (defaults filled in).
class Params {
 public:
  Params() = default;
  explicit Params(std::map<std::string, ParamValue> values) : values_(std::move(values)) {}
  double real(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  bool flag(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  const std::vector<std::string>& texts(std::string_view name) const;
  const std::map<std::string, ParamValue>& values() const { return values_; }

 private:
  const ParamValue& get(std::string_view name) const;  // throws InternalError on an undeclared name
  std::map<std::string, ParamValue> values_;
};

/// Facts about a model known before it runs.
struct ModelFacts {
  std::string name;
  std::string kind;    ///< onnx, torchscript, mlp, cnn, http, callable, stored
  std::string output;  ///< logits, probabilities, scores
  std::string task = "classification";
  bool runs = true;  ///< false for stored predictions: no new inputs can be tried
  bool has_gradient = false;
  std::vector<std::string> stored_for;  ///< data sets with stored predictions
};

/// What planning sees: the manifest and cheap facts, no bulk data.
struct Blueprint {
  const data::Manifest* manifest = nullptr;
  std::map<std::string, data::DataFacts> data;
  std::map<std::string, ModelFacts> models;  ///< of [model.*] sections and of models that only [predictions.*] name
  bool with_torch = true;

  std::vector<std::string> sets_with_role(data::Role role) const;
};

/// One unit of work of a check: usually one model, or one model and one data set.
struct Task {
  std::string subject;                                           ///< "reader", "reader@test", "data"
  std::string model;                                             ///< empty when no model is involved
  std::string data;                                              ///< main data set; empty when several
  std::vector<std::pair<std::string, std::string>> predictions;  ///< (model, data) whose predictions it will read
  bool features = false;                                         ///< … with features
  std::size_t shards = 1;                                        ///< independent pieces; depends on data size alone
  double cost_seconds = 0;                                       ///< estimate on one core
};

/// Tasks, or the reason why there are none.
struct Plan {
  std::vector<Task> tasks;
  std::string not_applicable;
};

/// What a running check may reach. Every data set, model and prediction it takes is recorded as an input of its
/// evidence.
class Context {
 public:
  virtual ~Context() = default;
  virtual const data::Manifest& manifest() const = 0;
  virtual const Task& task() const = 0;
  virtual base::Result<data::DatasetPtr> dataset(const std::string& name) = 0;
  /// Predictions for every row of the set, from the shared prediction cache or a stored table.
  virtual base::Result<std::shared_ptr<const decision::Prediction>> predictions(const std::string& model,
                                                                                const std::string& data,
                                                                                bool features = false) = 0;
  /// Facts of the model's predictions (output kind, classes), also for stored predictions.
  virtual base::Result<decision::PredictorInfo> predictor_info(const std::string& model) = 0;
  /// The model itself, for new inputs. Errors kUnsupported for stored predictions.
  virtual base::Result<decision::Predictor*> predictor(const std::string& model) = 0;
  /// Rows of a set as this model's inputs: image layout and range, or the table contract fitted on train.
  virtual base::Result<MatrixF> inputs(const std::string& model, const std::string& data,
                                       std::span<const std::size_t> rows) = 0;
  /// Features of every row as declared by the model: a tensor, "inputs", or "pca:N" fitted on train.
  virtual base::Result<std::shared_ptr<const MatrixF>> features(const std::string& model, const std::string& data) = 0;
  /// A section that is kept as it stands ([world.NAME], [policy.NAME], [reward.NAME] …), with the files that it names
  /// as inputs. Errors kValue: there is none.
  virtual base::Result<const data::OtherSection*> section(const std::string& kind, const std::string& name) = 0;
  /// A stream keyed by the manifest's seed, check, subject and purpose.
  virtual base::Rng rng(std::string_view purpose) = 0;
  virtual std::uint64_t seed() const = 0;
  virtual const base::CancelToken& cancel() const = 0;
  virtual base::Progress& progress() = 0;
  /// none, blurred, full: what rows may reach artifacts (decided per data kind from the manifest).
  virtual std::string examples_policy(const std::string& data) = 0;
};

/// A system written to disk to test a check: `system.toml` with exactly one claim (id "fixture") on this check, and its
/// data.
using FixtureWriter = std::function<base::Status(const std::string& folder, base::Rng& rng)>;

struct Fixtures {
  FixtureWriter defect;      ///< the claim must come out refuted
  FixtureWriter control;     ///< the claim must not come out refuted
  std::string defect_words;  ///< "confidence of every row doubled in log odds (effect: ECE 0.12)"
  std::string control_words;
  double false_alarm_level = 0.05;  ///< stated level of a false refutation of the control
  double cost_ms = 50;              ///< declared cost of one run when above 50 ms
};

/// Facts for people and front ends.
struct CheckInfo {
  std::string id;  ///< room.name
  std::string title;
  std::string question;
  std::string row;  ///< catalogue row: "C2"
  Maturity maturity = Maturity::kPreview;
  std::vector<std::string> needs;  ///< in words: "a classifier with logits or probabilities", "labels on the test set"
  std::vector<ParamSpec> params;
  std::vector<MetricSpec> yields;
  std::vector<std::string> assumptions;
  std::vector<std::string> sources;
  std::string cost;  ///< "O(n k)"
  bool needs_torch = false;
  std::string code;  ///< bump when results may change for the same input; part of the cache key
};

struct Entry {
  CheckInfo info;
  std::function<Plan(const Blueprint&, const Params&)> plan;
  std::function<base::Result<Output>(Context&, const Params&)> run;  ///< task with one shard
  /// For tasks cut into shards: shard i -> opaque bytes (JSON text), then all of them, in order -> output.
  std::function<base::Result<std::string>(Context&, const Params&, std::size_t shard)> run_shard;
  std::function<base::Result<Output>(Context&, const Params&, std::span<const std::string> shards)> finish;
  Fixtures fixtures;
};

/// The explicit list, in catalogue order.
class Registry {
 public:
  void add(Entry entry);  // throws InternalError on a duplicate or malformed id
  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* find(std::string_view id) const;

 private:
  std::vector<Entry> entries_;
};

/// Values for a check: defaults overridden by `given`. Errors kValue: unknown name (nearest known), type, range,
/// choice.
base::Result<Params> resolve_params(const CheckInfo& info, const std::map<std::string, ParamValue>& given);

/// Shorthand for adapters: evidence from an estimate, with unit and direction taken from the facts.
Evidence make_evidence(const CheckInfo& info, const std::string& metric, std::map<std::string, std::string> where,
                       stats::Estimate estimate);

}  // namespace plumbline::check
