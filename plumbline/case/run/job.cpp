#include "plumbline/case/run/job.hpp"

#include <chrono>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/interface/json.hpp"

namespace plumbline::run {
namespace {

using nlohmann::json;

constexpr const char* kKinds[] = {"predict", "self-test", "task", "shard", "finish"};

base::Result<std::string> perform(Session& session, const check::Registry& registry, const Job& job,
                                  const base::CancelToken& cancel, base::Progress& progress) {
  if (job.kind == Job::Kind::kPredict) {
    PL_CHECK(session.predict_shard(job.task.model, job.task.data, job.task.features, job.shard, cancel));
    return std::string();
  }
  if (job.kind == Job::Kind::kSelfTest) {
    PL_TRY(const decision::SelfTest test, session.self_test(job.task.model, job.task.data));
    return to_json(test).dump();
  }
  const check::Entry* entry = registry.find(job.check);
  if (entry == nullptr)
    return base::make_error(base::Code::kInternal, fmt::format("this worker does not know the check '{}'", job.check));
  PL_TRY(const check::Params params, check::resolve_params(entry->info, job.params));
  if (job.kind == Job::Kind::kShard)
    return run_task_shard(session, *entry, params, job.task, job.shard, cancel, progress);
  auto output = job.kind == Job::Kind::kFinish
                    ? finish_task(session, *entry, params, job.task, job.shards, cancel, progress)
                    : run_task(session, *entry, params, job.task, cancel, progress);
  if (!output.ok()) return output.error();
  return check::to_json(*output).dump(-1, ' ', false, json::error_handler_t::replace);
}

class InProcess final : public Executor {
 public:
  InProcess(Session& session, const check::Registry& registry) : session_(session), registry_(registry) {}
  base::Status run(std::vector<std::pair<std::size_t, Job>> jobs, const Done& done, const base::CancelToken& cancel,
                   base::Progress& progress) override {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      PL_CHECK(cancel.status());
      const std::size_t index = jobs[i].first;
      PL_TRY(More more, done(index, execute(session_, registry_, jobs[i].second, cancel, progress)));
      for (auto& job : more) jobs.push_back(std::move(job));
    }
    return base::ok();
  }

 private:
  Session& session_;
  const check::Registry& registry_;
};

}  // namespace

json to_json(const Job& job) {
  json params = json::object();
  for (const auto& [name, value] : job.params) params[name] = check::to_json(value);
  return {{"kind", kKinds[static_cast<std::size_t>(job.kind)]},
          {"check", job.check},
          {"params", params},
          {"subject", job.task.subject},
          {"model", job.task.model},
          {"data", job.task.data},
          {"predictions", job.task.predictions},
          {"features", job.task.features},
          {"task_shards", job.task.shards},
          {"shard", job.shard},
          {"shards", job.shards}};
}

base::Result<Job> job_from_json(const json& source) {
  try {
    Job job;
    const auto kind = source.at("kind").get<std::string>();
    bool known = false;
    for (std::size_t i = 0; i < std::size(kKinds); ++i) {
      if (kind == kKinds[i]) {
        job.kind = static_cast<Job::Kind>(i);
        known = true;
      }
    }
    if (!known) return base::make_error(base::Code::kParse, fmt::format("unknown kind '{}'", kind), "job");
    job.check = source.at("check").get<std::string>();
    for (const auto& [name, value] : source.at("params").items()) {
      if (value.is_boolean())
        job.params[name] = value.get<bool>();
      else if (value.is_number_integer())
        job.params[name] = value.get<std::int64_t>();
      else if (value.is_number())
        job.params[name] = value.get<double>();
      else if (value.is_string())
        job.params[name] = value.get<std::string>();
      else if (!value.empty() && value.front().is_number())
        job.params[name] = value.get<std::vector<double>>();
      else
        job.params[name] = value.get<std::vector<std::string>>();
    }
    job.task.subject = source.at("subject").get<std::string>();
    job.task.model = source.at("model").get<std::string>();
    job.task.data = source.at("data").get<std::string>();
    job.task.predictions = source.at("predictions").get<std::vector<std::pair<std::string, std::string>>>();
    job.task.features = source.at("features").get<bool>();
    job.task.shards = source.at("task_shards").get<std::size_t>();
    job.shard = source.at("shard").get<std::size_t>();
    job.shards = source.at("shards").get<std::vector<std::string>>();
    return job;
  } catch (const json::exception& error) {
    return base::make_error(base::Code::kParse, error.what(), "job");
  }
}

json to_json(const decision::SelfTest& test) {
  // JSON has no infinity: a gap that is none is null.
  return {{"compared", test.compared},
          {"rows", test.rows},
          {"gap", std::isfinite(test.gap) ? json(test.gap) : json()},
          {"tolerance", test.tolerance},
          {"not_possible", test.not_possible}};
}

base::Result<decision::SelfTest> self_test_from_json(const json& source) {
  try {
    decision::SelfTest test;
    test.compared = source.at("compared").get<std::string>();
    test.rows = source.at("rows").get<std::size_t>();
    const json& gap = source.at("gap");
    test.gap = gap.is_null() ? std::numeric_limits<double>::infinity() : gap.get<double>();
    test.tolerance = source.at("tolerance").get<double>();
    test.not_possible = source.at("not_possible").get<std::string>();
    return test;
  } catch (const json::exception& error) {
    return base::make_error(base::Code::kParse, error.what(), "self-test");
  }
}

JobResult execute(Session& session, const check::Registry& registry, const Job& job, const base::CancelToken& cancel,
                  base::Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  JobResult result;
  try {
    auto bytes = perform(session, registry, job, cancel, progress);
    if (bytes.ok()) {
      result.bytes = std::move(bytes).value();
    } else {
      result.error = bytes.error();
    }
  } catch (const std::bad_alloc&) {
    result.error =
        base::make_error(base::Code::kLimit, "out of memory", "", "Raise --memory, or give the check fewer rows");
  } catch (const std::exception& error) {
    result.error =
        base::make_error(base::Code::kInternal, error.what(), "", "This is a defect in Plumbline; please report it");
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::unique_ptr<Executor> in_process_executor(Session& session, const check::Registry& registry) {
  return std::make_unique<InProcess>(session, registry);
}

}  // namespace plumbline::run
