#include "plumbline/case/run/runner.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <set>
#include <thread>
#include <tuple>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/hash.hpp"
#include "plumbline/case/interface/json.hpp"

namespace plumbline::run {
namespace {

namespace fs = std::filesystem;

// The two self-tests: against the reference interpreter, and of a model that has none against itself.
constexpr const char* kParity = "self-test.parity";
constexpr const char* kRepetition = "self-test.repetition";

base::Result<std::string> content_hash(const std::string& path) {
  std::error_code code;
  if (!fs::is_directory(path, code)) return base::sha256_file(path);
  std::vector<fs::path> files;
  for (auto it = fs::recursive_directory_iterator(path, code); !code && it != fs::recursive_directory_iterator();
       it.increment(code)) {
    if (it->is_regular_file(code)) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  base::Sha256 hash;
  for (const fs::path& file : files) {
    PL_TRY(const std::string one, base::sha256_file(file.string()));
    hash.add_field(file.lexically_relative(path).string()).add_field(one);
  }
  return hash.hex();
}

class Hasher {
 public:
  Hasher& text(std::string_view value) {
    hash_.add_field(value);
    return *this;
  }
  template <class T>
  Hasher& number(T value) {
    return text(fmt::format("{}", value));
  }
  template <class T>
  Hasher& list(const std::vector<T>& values) {
    number(values.size());
    for (const T& v : values) text(fmt::format("{}", v));
    return *this;
  }
  Hasher& value(const data::Value& v) {
    std::visit(
        [&](const auto& x) {
          using X = std::decay_t<decltype(x)>;
          if constexpr (std::is_same_v<X, std::vector<std::string>> || std::is_same_v<X, std::vector<double>>) {
            list(x);
          } else {
            text(fmt::format("{}", x));
          }
        },
        v);
    return *this;
  }
  base::Status file(const std::optional<data::Location>& location) {
    if (!location) {
      text("");
      return base::ok();
    }
    PL_TRY(const std::string sha, content_hash(location->resolved));
    text(location->written).text(sha);
    return base::ok();
  }
  std::string hex() { return hash_.hex(); }

 private:
  base::Sha256 hash_;
};

// The source of a callable's module, where it is a file or a package below the declared folder.
std::optional<data::Location> module_of(const data::ModelSection& model, const data::Manifest& manifest) {
  std::string module = model.callable.substr(0, model.callable.find(':'));
  std::replace(module.begin(), module.end(), '.', '/');
  const fs::path base = fs::path(model.python_path ? model.python_path->resolved : manifest.folder) / module;
  std::error_code code;
  for (const fs::path& place : {fs::path(base.string() + ".py"), base}) {
    if (fs::exists(place, code)) return data::Location{module, place.string()};
  }
  return std::nullopt;
}

struct TaskState {
  const PlannedCheck* planned = nullptr;
  check::Task task;
  std::string key;
  std::size_t waiting = 0;          ///< jobs that must end first
  std::vector<std::string> shards;  ///< results so far
  std::size_t shards_left = 0;
  double seconds = 0;
  bool settled = false;
};

struct Warmer {  // a prediction or a self-test
  Job job;
  std::vector<std::size_t> dependents;  // task indices
};

class Runner {
 public:
  Runner(const data::Manifest& manifest, const std::vector<PlannedCheck>& plan, const check::Blueprint& blueprint,
         Store& store, const RunOptions& options)
      : manifest_(manifest), plan_(plan), blueprint_(blueprint), store_(store), options_(options) {}

  base::Result<check::RunRecord> run(Executor& executor, const base::CancelToken& cancel, base::Progress& progress) {
    const auto start = std::chrono::steady_clock::now();
    record_.name = options_.name;
    record_.system = manifest_.name;
    record_.manifest = manifest_.path;
    record_.manifest_sha256 = manifest_.sha256;
    record_.seed = manifest_.seed;
    record_.build = build_text(options_.program);
    record_.machine = machine_text();
    record_.started = utc_now();
    PL_TRY(system_hash_, system_hash(manifest_));
    PL_TRY(record_.id, store_.begin_run(record_));

    for (const PlannedCheck& planned : plan_) {
      if (!planned.tasks.empty()) continue;
      check::LedgerEntry line;
      line.check = planned.entry->info.id;
      line.status = planned.skipped.empty() ? check::LedgerStatus::kNotApplicable : check::LedgerStatus::kSkipped;
      line.reason = planned.skipped.empty() ? planned.not_applicable : planned.skipped;
      PL_CHECK(settle_line(line, {}));
    }
    PL_CHECK(take_from_cache());
    PL_CHECK(prepare_warmers());

    std::vector<std::pair<std::size_t, Job>> first;
    for (std::size_t w = 0; w < warmers_.size(); ++w) first.emplace_back(add_job(kWarmer, w), warmers_[w].job);
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      if (!tasks_[t].settled && tasks_[t].waiting == 0) {
        for (auto& job : task_jobs(t)) first.push_back(std::move(job));
      }
    }
    const base::Status ran = executor.run(
        std::move(first),
        [&](std::size_t index, JobResult result) -> base::Result<Executor::More> {
          Executor::More more = on_done(index, std::move(result));
          // What cannot be stored need not be computed: the run ends here, and what was stored before stays.
          if (store_error_) return *store_error_;
          return more;
        },
        cancel, progress);
    if (store_error_) {
      // Where even this cannot be written, the next run closes the record.
      (void)store_.close_run(record_.id, check::RunStatus::kCancelled, utc_now(), 0);
      return *store_error_;
    }
    record_.status = check::RunStatus::kSuccess;
    if (!ran.ok()) {
      if (ran.error().code != base::Code::kCancelled) return ran.error();
      record_.status = check::RunStatus::kCancelled;
      for (TaskState& task : tasks_) {
        if (!task.settled)
          PL_CHECK(settle_line(
              line_of(task, check::LedgerStatus::kSkipped, "stopped before it finished; the next run takes it up"),
              {}));
      }
    }
    record_.finished = utc_now();
    record_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    PL_CHECK(store_.close_run(record_.id, record_.status, record_.finished, record_.seconds));
    PL_TRY(check::RunRecord stored, store_.load_run(record_.id));
    normalise(stored);
    return stored;
  }

 private:
  enum JobOwner { kWarmer, kTaskJob, kShardJob };
  struct JobRef {
    JobOwner owner;
    std::size_t index;
    std::size_t shard;
  };

  std::size_t add_job(JobOwner owner, std::size_t index, std::size_t shard = 0) {
    jobs_.push_back({owner, index, shard});
    return jobs_.size() - 1;
  }

  std::string task_key(const PlannedCheck& planned, const check::Task& task) const {
    nlohmann::json params = nlohmann::json::object();
    for (const auto& [name, value] : planned.params.values()) params[name] = check::to_json(value);
    return base::Sha256()
        .add_field("task")
        .add_field(planned.entry->info.id)
        .add_field(planned.entry->info.code)
        .add_field(params.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
        .add_field(task.subject)
        .add_field(task.model)
        .add_field(task.data)
        .add_field(system_hash_)
        .add_field(options_.program)
        .add_field(build_text())
        .hex();
  }

  base::Status take_from_cache() {
    for (const PlannedCheck& planned : plan_) {
      for (const check::Task& task : planned.tasks) {
        TaskState state;
        state.planned = &planned;
        state.task = task;
        state.key = task_key(planned, task);
        if (options_.use_cache) {
          PL_TRY(auto hit, store_.cached(state.key));
          if (hit) {
            check::LedgerEntry line = line_of(state, check::LedgerStatus::kOk, "");
            line.rows = hit->rows;
            line.cached = true;
            PL_CHECK(settle_line(line, *hit));
            state.settled = true;
          }
        }
        tasks_.push_back(std::move(state));
      }
    }
    return base::ok();
  }

  base::Status prepare_warmers() {
    std::map<std::tuple<std::string, std::string>, std::pair<bool, std::vector<std::size_t>>>
        needed;                                                   // (model, data) -> features, tasks
    std::map<std::string, std::vector<std::size_t>> self_tested;  // model -> tasks that wait for its self-test
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      if (tasks_[t].planned->entry->info.id.rfind("robustness.", 0) == 0) {
        const auto facts = blueprint_.models.find(tasks_[t].task.model);
        if (facts != blueprint_.models.end()) {
          auto& waiting = self_tested[facts->first];
          if (!tasks_[t].settled) waiting.push_back(t);
        }
      }
      if (tasks_[t].settled) continue;
      for (const auto& [model, data] : tasks_[t].task.predictions) {
        auto& entry = needed[{model, data}];
        entry.first = entry.first || (tasks_[t].task.features && names_tensor(model));
        entry.second.push_back(t);
      }
    }
    for (auto& [key, entry] : needed) {
      const auto& [model, data] = key;
      const auto facts = blueprint_.models.find(model);
      const bool stored = facts != blueprint_.models.end() &&
                          std::find(facts->second.stored_for.begin(), facts->second.stored_for.end(), data) !=
                              facts->second.stored_for.end();
      if (stored || facts == blueprint_.models.end() || !facts->second.runs) continue;
      const std::size_t rows = blueprint_.data.at(data).rows;
      for (std::size_t shard = 0; shard * kPredictionShard < std::max<std::size_t>(1, rows); ++shard) {
        Warmer warmer;
        warmer.job.kind = Job::Kind::kPredict;
        warmer.job.task.model = model;
        warmer.job.task.data = data;
        warmer.job.task.features = entry.first;
        warmer.job.shard = shard;
        warmer.job.cost_seconds = 1e6;  // before everything that waits for it
        warmer.dependents = entry.second;
        warmers_.push_back(std::move(warmer));
      }
    }
    for (auto& [model, waiting] : self_tested) PL_CHECK(prepare_self_test(model, std::move(waiting)));
    for (const Warmer& warmer : warmers_) {
      for (const std::size_t t : warmer.dependents) ++tasks_[t].waiting;
    }
    return base::ok();
  }

  std::string self_test_key(const std::string& model) const {
    return base::Sha256()
        .add_field("self-test")
        .add_field(model)
        .add_field(system_hash_)
        .add_field(options_.program)
        .add_field(build_text())
        .hex();
  }

  // Every model with robustness figures has a line that says what was compared, or why nothing was.
  base::Status prepare_self_test(const std::string& model, std::vector<std::size_t> waiting) {
    const check::ModelFacts& facts = blueprint_.models.at(model);
    const std::string data = self_test_set();
    decision::SelfTest none;
    if (!facts.runs) none.not_possible = "it is known by stored predictions only and cannot be asked again";
    if (data.empty()) none.not_possible = "no set of role test, train or calibration is there to ask about";
    if (!none.not_possible.empty()) return settle_line(self_test_line(model, none), {});
    if (options_.use_cache) {
      PL_TRY(const auto hit, store_.cached_bytes(self_test_key(model)));
      if (hit) {
        const auto test = self_test_from_json(nlohmann::json::parse(*hit, nullptr, false));
        if (test.ok()) {
          check::LedgerEntry line = self_test_line(model, *test);
          line.cached = true;
          return settle_line(line, {});
        }
      }
    }
    Warmer warmer;
    warmer.job.kind = Job::Kind::kSelfTest;
    warmer.job.task.model = model;
    warmer.job.task.data = data;
    warmer.job.cost_seconds = 1e6;
    warmer.dependents = std::move(waiting);
    warmers_.push_back(std::move(warmer));
    return base::ok();
  }

  check::LedgerEntry self_test_line(const std::string& model, const decision::SelfTest& test) const {
    const std::string& kind = blueprint_.models.at(model).kind;
    check::LedgerEntry line;
    line.check = kind == "onnx" || kind == "network" ? kParity : kRepetition;
    line.subject = model;
    if (!test.not_possible.empty()) {
      line.status = check::LedgerStatus::kNotApplicable;
      line.reason = "not possible because " + test.not_possible;
      return line;
    }
    line.rows = fmt::format("{} rows of {}; {}; largest difference {:.2g} of the output scale, tolerance {}", test.rows,
                            self_test_set(), test.compared, test.gap, test.tolerance);
    if (!test.passed()) {
      line.status = check::LedgerStatus::kError;
      line.reason = fmt::format("answers differ by {:.3g} of the output scale (tolerance {}): {}", test.gap,
                                test.tolerance, test.compared);
    }
    return line;
  }

  bool names_tensor(const std::string& model) const {
    const auto section = manifest_.models.find(model);
    if (section == manifest_.models.end()) return false;
    const std::string& f = section->second.features;
    return !f.empty() && f != "inputs" && f.rfind("pca:", 0) != 0;
  }

  std::string self_test_set() const {
    for (const data::Role role : {data::Role::kTest, data::Role::kTrain, data::Role::kCalibration}) {
      const auto names = blueprint_.sets_with_role(role);
      if (!names.empty()) return names.front();
    }
    return {};
  }

  Job job_of(const TaskState& state, Job::Kind kind) const {
    Job job;
    job.kind = kind;
    job.check = state.planned->entry->info.id;
    job.params = state.planned->params.values();
    job.task = state.task;
    job.cost_seconds = state.task.cost_seconds;
    return job;
  }

  std::vector<std::pair<std::size_t, Job>> task_jobs(std::size_t t) {
    TaskState& state = tasks_[t];
    std::vector<std::pair<std::size_t, Job>> jobs;
    if (!state.planned->entry->run_shard) {
      jobs.emplace_back(add_job(kTaskJob, t), job_of(state, Job::Kind::kTask));
      return jobs;
    }
    const std::size_t count = std::max<std::size_t>(1, state.task.shards);
    state.shards.assign(count, {});
    state.shards_left = count;
    for (std::size_t s = 0; s < count; ++s) {
      if (options_.use_cache) {
        auto hit = store_.cached_bytes(shard_key(state, s));
        if (hit.ok() && hit->has_value()) {
          state.shards[s] = **hit;
          --state.shards_left;
          continue;
        }
      }
      Job job = job_of(state, Job::Kind::kShard);
      job.shard = s;
      job.cost_seconds = state.task.cost_seconds / static_cast<double>(count);
      jobs.emplace_back(add_job(kShardJob, t, s), std::move(job));
    }
    if (state.shards_left == 0) jobs.push_back(finish_job(t));
    return jobs;
  }

  std::pair<std::size_t, Job> finish_job(std::size_t t) {
    Job job = job_of(tasks_[t], Job::Kind::kFinish);
    job.shards = tasks_[t].shards;
    return {add_job(kTaskJob, t), std::move(job)};
  }

  static std::string shard_key(const TaskState& state, std::size_t shard) {
    return fmt::format("{}#{}", state.key, shard);
  }

  std::vector<std::pair<std::size_t, Job>> on_done(std::size_t index, JobResult result) {
    const JobRef ref = jobs_[index];
    if (ref.owner == kWarmer) return warmer_done(warmers_[ref.index], std::move(result));
    TaskState& state = tasks_[ref.index];
    if (state.settled) return {};
    state.seconds += result.seconds;
    if (result.error) {
      fail(state, result.error->text());
      return {};
    }
    if (ref.owner == kShardJob) {
      keep(store_.put_cached_bytes(shard_key(state, ref.shard), result.bytes));
      state.shards[ref.shard] = std::move(result.bytes);
      if (--state.shards_left > 0) return {};
      return {finish_job(ref.index)};
    }
    auto output = check::output_from_json(nlohmann::json::parse(result.bytes, nullptr, false));
    if (!output.ok()) {
      fail(state, "the worker's answer cannot be read: " + output.error().text());
      return {};
    }
    check::LedgerEntry line = line_of(state, check::LedgerStatus::kOk, "");
    line.rows = output->rows;
    // The cache first: what the record holds, the next run can then always take up, wherever this one is killed or
    // meets a full disk.
    if (result.reproducible) keep(store_.put_cached(state.key, *output));
    keep(settle_line(line, *output));
    state.settled = true;
    return {};
  }

  std::vector<std::pair<std::size_t, Job>> warmer_done(const Warmer& warmer, JobResult result) {
    std::string failure;
    if (warmer.job.kind == Job::Kind::kSelfTest) {
      const std::string& model = warmer.job.task.model;
      check::LedgerEntry line = self_test_line(model, {});
      auto test = result.error ? base::Result<decision::SelfTest>(*result.error)
                               : self_test_from_json(nlohmann::json::parse(result.bytes, nullptr, false));
      if (test.ok()) {
        line = self_test_line(model, *test);
        if (line.status != check::LedgerStatus::kError)
          keep(store_.put_cached_bytes(self_test_key(model), result.bytes));
      } else {
        line.status = check::LedgerStatus::kError;
        line.reason = test.error().text();
        line.rows.clear();
      }
      line.seconds = result.seconds;
      if (line.status == check::LedgerStatus::kError)
        failure =
            fmt::format("no robustness figure counts: the self-test of model '{}' failed: {}", model, line.reason);
      keep(settle_line(line, {}));
    } else if (result.error) {
      failure = fmt::format("predictions of '{}' on '{}' failed: {}", warmer.job.task.model, warmer.job.task.data,
                            result.error->text());
    }
    std::vector<std::pair<std::size_t, Job>> more;
    for (const std::size_t t : warmer.dependents) {
      TaskState& state = tasks_[t];
      if (state.settled) continue;
      if (!failure.empty()) {
        fail(state, failure);
      } else if (--state.waiting == 0) {
        for (auto& job : task_jobs(t)) more.push_back(std::move(job));
      }
    }
    return more;
  }

  check::LedgerEntry line_of(const TaskState& state, check::LedgerStatus status, std::string reason) const {
    check::LedgerEntry line;
    line.check = state.planned->entry->info.id;
    line.subject = state.task.subject;
    line.status = status;
    line.reason = std::move(reason);
    line.seconds = state.seconds;
    return line;
  }

  void fail(TaskState& state, std::string reason) {
    keep(settle_line(line_of(state, check::LedgerStatus::kError, std::move(reason)), {}));
    state.settled = true;
  }

  base::Status settle_line(const check::LedgerEntry& line, const check::Output& output) {
    return store_.add_task(record_.id, line, output);
  }

  /// Remembers the first error of the store, which ends the run.
  void keep(const base::Status& status) {
    if (!status.ok() && !store_error_) store_error_ = status.error();
  }

  const data::Manifest& manifest_;
  const std::vector<PlannedCheck>& plan_;
  const check::Blueprint& blueprint_;
  Store& store_;
  const RunOptions& options_;
  check::RunRecord record_;
  std::string system_hash_;
  std::vector<TaskState> tasks_;
  std::vector<Warmer> warmers_;
  std::vector<JobRef> jobs_;
  std::optional<base::Error> store_error_;
};

}  // namespace

base::Result<std::string> section_hash(const data::OtherSection& section) {
  Hasher hash;
  hash.text(section.kind).text(section.name);
  for (const auto& [key, value] : section.keys) hash.text(key).value(value);
  for (const auto& [key, location] : section.paths) {
    hash.text(key);
    PL_CHECK(hash.file(location));
  }
  return hash.hex();
}

base::Result<std::string> system_hash(const data::Manifest& manifest) {
  Hasher hash;
  hash.number(manifest.seed).text(manifest.examples);
  for (const auto& [name, m] : manifest.models) {
    hash.text("model").text(name);
    PL_CHECK(hash.file(m.path));
    PL_CHECK(hash.file(m.python_path));
    if (!m.callable.empty()) PL_CHECK(hash.file(module_of(m, manifest)));
    hash.text(m.endpoint)
        .text(m.callable)
        .text(m.version)
        .text(m.task)
        .text(m.output)
        .text(m.features)
        .number(m.classes)
        .list(m.input_shape);
    hash.number(m.input.low)
        .number(m.input.high)
        .text(m.input.layout)
        .list(m.input.mean)
        .list(m.input.deviation)
        .list(m.columns);
  }
  for (const auto& [name, d] : manifest.data) {
    hash.text("data").text(name);
    for (const auto* location : {&d.images, &d.table, &d.matrix, &d.labels}) PL_CHECK(hash.file(*location));
    hash.text(d.label).list(d.classes).text(d.unit).text(d.from).number(d.share).text(data::role_name(d.role));
    for (const auto& [key, value] : d.options) hash.text(key).value(value);
  }
  for (const auto& [name, p] : manifest.predictions) {
    hash.text("predictions").text(name).text(p.model).text(p.data).text(p.output);
    PL_CHECK(hash.file(p.path));
  }
  for (const data::OtherSection& section : manifest.others) {
    PL_TRY(const std::string sha, section_hash(section));
    hash.text(sha);
  }
  return hash.hex();
}

void normalise(check::RunRecord& record) {
  std::stable_sort(record.ledger.begin(), record.ledger.end(), [](const auto& a, const auto& b) {
    return std::tie(a.check, a.subject) < std::tie(b.check, b.subject);
  });
  std::stable_sort(record.evidence.begin(), record.evidence.end(), [](const auto& a, const auto& b) {
    return std::tie(a.check, a.subject) < std::tie(b.check, b.subject);
  });
  std::stable_sort(record.findings.begin(), record.findings.end(), [](const auto& a, const auto& b) {
    return std::tie(a.check, a.subject) < std::tie(b.check, b.subject);
  });
  std::stable_sort(record.artifacts.begin(), record.artifacts.end(),
                   [](const auto& a, const auto& b) { return a.id < b.id; });
  std::stable_sort(record.notes.begin(), record.notes.end());
  for (const check::Evidence& e : record.evidence) record.inputs.insert(e.inputs.begin(), e.inputs.end());
}

base::Result<check::RunRecord> run_plan(const data::Manifest& manifest, const std::vector<PlannedCheck>& plan,
                                        const check::Blueprint& blueprint, Store& store, Executor& executor,
                                        const RunOptions& options, const base::CancelToken& cancel,
                                        base::Progress& progress) {
  return Runner(manifest, plan, blueprint, store, options).run(executor, cancel, progress);
}

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

std::string machine_text() {
  return fmt::format("x86-64-v3, {} cores", std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace plumbline::run
