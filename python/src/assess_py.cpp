#include <algorithm>
#include <memory>
#include <thread>

#include <nlohmann/json.hpp>

#include "plumbline/case/assess/assess.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/checks/catalog.hpp"
#include "plumbline/predict/agreement.hpp"
#include "plumbline/predict/open.hpp"
#include "python/src/convert.hpp"

namespace plumbline::python {
namespace {

// Jobs in this process: for stored predictions and models that the interpreter runs.
class InProcess final : public run::Executor {
 public:
  InProcess(const data::Manifest& manifest, run::SessionOptions options)
      : session_(manifest, std::move(options)), executor_(run::in_process_executor(session_, checks::catalog())) {}
  base::Status run(std::vector<std::pair<std::size_t, run::Job>> jobs, const Done& done,
                   const base::CancelToken& cancel, base::Progress& progress) override {
    return executor_->run(std::move(jobs), done, cancel, progress);
  }

 private:
  run::Session session_;
  std::unique_ptr<run::Executor> executor_;
};

struct Workers {
  std::string program;  // empty = in this process
  int count = 0;        // 0 = one a core
  double seconds = 600;
  double memory_gib = 8;
};

assess::ExecutorMaker executor_maker(const Workers& workers, const std::string& program,
                                     const std::map<std::string, std::string>& roots) {
  return [workers, program, roots](const data::Manifest& manifest,
                                   const std::string& cache) -> base::Result<std::unique_ptr<run::Executor>> {
    if (workers.program.empty()) {
      run::SessionOptions options;
      options.cache_folder = cache;
      options.program = program;
      options.open_predictor = [](const data::ModelSection& section) { return predict::open_predictor(section); };
      options.self_test = [](const data::ModelSection& section, decision::Predictor& model, MatrixRefF rows) {
        return predict::self_test(section, model, rows, false);
      };
      return std::unique_ptr<run::Executor>(std::make_unique<InProcess>(manifest, std::move(options)));
    }
    run::PoolOptions pool;
    pool.worker = workers.program;
    pool.program = program;
    pool.manifest = manifest.path;
    pool.cache_folder = cache;
    pool.workers =
        workers.count > 0 ? workers.count : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    pool.task_seconds = workers.seconds;
    pool.memory_bytes = static_cast<std::uint64_t>(workers.memory_gib * 1024.0 * 1024.0 * 1024.0);
    for (const auto& [name, folder] : roots) {
      pool.arguments.push_back("--root");
      pool.arguments.push_back(name + "=" + folder);
    }
    return run::worker_pool(pool);
  };
}

py::tuple assess_manifest(const std::string& manifest, const std::string& out, const std::string& store,
                          const std::vector<std::string>& only, const std::vector<std::string>& skip,
                          const std::map<std::string, std::string>& roots, const std::string& name, bool use_cache,
                          bool fail_on_refuted, const std::string& worker, int jobs, double timeout,
                          double memory_gib) {
  const report::Report report =
      take(interruptible([&](const base::CancelToken& cancel) -> base::Result<report::Report> {
        assess::AssessOptions options;
        options.manifest = manifest;
        options.manifest_options.roots = roots;
        options.out = out;
        options.store = store;
        options.selection = {only, skip};
        options.name = name;
        options.use_cache = use_cache;
        options.fail_on_refuted = fail_on_refuted;
        options.with_torch = PLUMBLINE_WITH_TORCH && !worker.empty();
        if (worker.empty()) {
          PL_TRY(options.program, run::cache_identity(run::this_module()));
        } else {
          PL_TRY(options.program, run::cache_identity(worker));
        }
        options.executor = executor_maker({worker, jobs, timeout, memory_gib}, options.program, roots);
        return assess::assess(checks::catalog(), options, cancel, base::no_progress());
      }));
  return py::make_tuple(report::to_evidence_json(report), report.exit.code, report::summary_line(report),
                        report::to_text(report));
}

std::string facts_of_checks() {
  nlohmann::json all = nlohmann::json::array();
  for (const check::Entry& entry : checks::catalog().entries()) all.push_back(check::to_json(entry.info));
  return all.dump();
}

}  // namespace

void bind_assess(py::module_& m) {
  m.def("assess", &assess_manifest, py::arg("manifest"), py::arg("out"), py::arg("store"), py::arg("only"),
        py::arg("skip"), py::arg("roots"), py::arg("name"), py::arg("use_cache"), py::arg("fail_on_refuted"),
        py::arg("worker"), py::arg("jobs"), py::arg("timeout"), py::arg("memory_gib"));
  m.def("checks", &facts_of_checks);
  m.def("build_text", [] { return run::build_text(); });
  m.attr("with_torch") = static_cast<bool>(PLUMBLINE_WITH_TORCH);
}

}  // namespace plumbline::python
