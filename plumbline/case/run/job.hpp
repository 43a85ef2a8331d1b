#pragma once
/// The unit that a worker executes, and its answer. Both travel as JSON.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "plumbline/case/run/session.hpp"

namespace plumbline::run {

struct Job {
  enum class Kind {
    kPredict,   ///< one file of the prediction cache: model, data, features, shard
    kSelfTest,  ///< a model against a second opinion: model, data
    kTask,      ///< a whole task
    kShard,     ///< one shard of a task
    kFinish,    ///< the rest of a sharded task
  };
  Kind kind = Kind::kTask;
  std::string check;
  std::map<std::string, check::ParamValue> params;
  check::Task task;  ///< for kPredict and kSelfTest: model, data, features
  std::size_t shard = 0;
  std::vector<std::string> shards;  ///< results of the shards, for kFinish
  double cost_seconds = 0;
};

struct JobResult {
  std::optional<base::Error> error;
  std::string bytes;  ///< output as JSON, a shard's bytes, or a self-test as JSON; by kind
  double seconds = 0;
  bool reproducible = true;  ///< false for a time-out: never cached
};

nlohmann::json to_json(const Job& job);
base::Result<Job> job_from_json(const nlohmann::json& json);
nlohmann::json to_json(const decision::SelfTest& test);
base::Result<decision::SelfTest> self_test_from_json(const nlohmann::json& json);

/// Executes one job in this process. Never throws.
JobResult execute(Session& session, const check::Registry& registry, const Job& job, const base::CancelToken& cancel,
                  base::Progress& progress);

/// Runs jobs somewhere. `done(index, result)` is called once a job, in the calling thread, in any order; it may submit
/// further jobs by returning them. Returns when nothing is left, after `cancel`, or with the first error of `done`.
class Executor {
 public:
  using More = std::vector<std::pair<std::size_t, Job>>;
  using Done = std::function<base::Result<More>(std::size_t, JobResult)>;
  virtual ~Executor() = default;
  virtual base::Status run(std::vector<std::pair<std::size_t, Job>> jobs, const Done& done,
                           const base::CancelToken& cancel, base::Progress& progress) = 0;
};

/// One after another in this process: for fixtures, bindings and tests.
std::unique_ptr<Executor> in_process_executor(Session& session, const check::Registry& registry);

struct PoolOptions {
  std::string worker;                  ///< path of plumbline-worker
  std::vector<std::string> arguments;  ///< "--root data=…"
  std::string manifest;
  std::string cache_folder;
  std::string program;  ///< program_identity(worker)
  int workers = 2;
  double task_seconds = 600;  ///< a job that runs longer is killed: error `time`, never cached
  std::uint64_t memory_bytes = std::uint64_t{8} << 30U;  ///< address space of a worker; 0 = unlimited
};
/// A pool of worker processes. A worker that crashes, is killed or runs over a limit fails its job alone and is
/// replaced.
std::unique_ptr<Executor> worker_pool(const PoolOptions& options);

/// The worker's side: reads jobs from `in`, writes answers to `out`, until the end of `in`. Returns the exit status.
struct WorkerOptions {
  SessionOptions session;
  data::ManifestOptions manifest;
};
int serve_jobs(const check::Registry& registry, const std::string& manifest, const WorkerOptions& options, int in,
               int out);

}  // namespace plumbline::run
