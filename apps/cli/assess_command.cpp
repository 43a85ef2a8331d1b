// assess and demo, and what all commands that execute jobs share.
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <thread>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "plumbline/checks/catalog.hpp"

namespace plumbline::cli {
namespace {

namespace fs = std::filesystem;

base::Result<assess::AssessOptions> assess_options(const Session& session, const std::string& manifest) {
  const Options& o = session.options;
  assess::AssessOptions options;
  options.manifest = manifest;
  options.manifest_options.roots = o.roots;
  options.store = o.store;
  options.out = o.out;
  options.selection = {o.only, o.skip};
  options.name = o.name;
  options.use_cache = !o.no_cache;
  options.fail_on_refuted = o.fail_on == "refuted";
  options.with_torch = PLUMBLINE_WITH_TORCH;
  if (o.dry_run) return options;
  PL_TRY(const std::string worker, find_worker(session));
  PL_TRY(options.program, run::cache_identity(worker));
  options.executor = worker_executor(session, worker, options.program);
  return options;
}

}  // namespace

base::Result<std::string> find_program(const Session& session, const std::string& name) {
  const fs::path folder = session.program_folder;
  std::error_code code;
  for (const fs::path& place : {folder / name, folder / ".." / "libexec" / "plumbline" / name}) {
    if (fs::exists(place, code)) return fs::canonical(place, code).string();
  }
  return base::make_error(base::Code::kIo, name + " is missing", folder.string(),
                          "Install it beside plumbline, or in ../libexec/plumbline");
}

base::Result<std::string> find_worker(const Session& session) { return find_program(session, "plumbline-worker"); }

assess::ExecutorMaker worker_executor(const Session& session, const std::string& worker, const std::string& program) {
  const Options& o = session.options;
  return [o, worker, program](const data::Manifest& manifest,
                              const std::string& cache) -> base::Result<std::unique_ptr<run::Executor>> {
    run::PoolOptions pool;
    pool.worker = worker;
    pool.program = program;
    pool.manifest = manifest.path;
    pool.cache_folder = cache;
    pool.workers = o.jobs > 0 ? o.jobs : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    pool.task_seconds = o.timeout;
    pool.memory_bytes = static_cast<std::uint64_t>(o.memory_gib * 1024.0 * 1024.0 * 1024.0);
    for (const auto& [name, folder] : o.roots) {
      pool.arguments.push_back("--root");
      pool.arguments.push_back(name + "=" + folder);
    }
    return run::worker_pool(pool);
  };
}

base::Result<std::string> output_of(const std::vector<std::string>& words) {
  int ends[2];
  if (pipe(ends) != 0) return base::make_error(base::Code::kIo, "cannot make a pipe");
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; child > 0 && (got = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return base::make_error(base::Code::kIo, "failed; its messages stand above", words.front());
  }
  return text;
}

std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text) out += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return out;
}

void print_report(const report::Report& report, const Options& options) {
  if (options.json) {
    std::cout << report::to_evidence_json(report) << "\n";
  } else if (options.format == "markdown") {
    std::cout << report::to_markdown(report);
  } else if (options.format == "junit") {
    std::cout << report::to_junit(report);
  } else if (options.format == "sarif") {
    std::cout << report::to_sarif(report);
  } else if (options.format == "github") {
    std::cout << report::to_annotations(report);
  } else {
    std::cout << report::to_text(report, options.color);
  }
}

base::Result<int> run_assess(const Session& session) {
  const Options& o = session.options;
  PL_TRY(const assess::AssessOptions options, assess_options(session, o.manifest));
  if (o.dry_run) {
    PL_TRY(const auto dry, assess::dry_run(checks::catalog(), options));
    std::cout << (o.json ? assess::dry_run_json(*dry) + "\n" : assess::dry_run_text(*dry));
    return 0;
  }
  PL_TRY(const report::Report report, assess::assess(checks::catalog(), options, session.cancel, session.progress));
  print_report(report, o);
  if (!o.out.empty()) std::cerr << "report: " << (fs::path(o.out) / "report.html").string() << "\n";
  return report.exit.code;
}

base::Result<int> run_demo(const Session& session) {
  const Options& o = session.options;
  const std::string task_folder = o.folder + "/task";
  PL_TRY(const std::string worker, find_worker(session));
  session.progress.update("draw and train", 0, 0);
  // The worker draws and trains: it alone links what training needs.
  if (auto made = output_of({worker, "--demo", task_folder}); !made.ok()) return made.error();
  PL_TRY(assess::AssessOptions options, assess_options(session, task_folder + "/system.toml"));
  options.out = o.folder + "/report";
  PL_TRY(const report::Report report, assess::assess(checks::catalog(), options, session.cancel, session.progress));
  print_report(report, o);

  struct Planted {
    const char* name;
    const char* check;
    const char* claim;
    const char* word;  ///< a finding of the check must say it
  };
  constexpr Planted kPlanted[] = {
      {"a mislabelled slice (dim test images)", "probe.accuracy", "", "brightness"},
      {"a shortcut (the corner tells the label)", "methodology.shortcut", "reads-the-strokes",
       "rows 0 to 3, columns 0 to 3"},
      {"a leak (train images in the test set)", "methodology.leakage", "tested-on-new-images", ""},
      {"an overconfident head", "caution.calibration", "honest-confidence", ""},
  };
  int named = 0;
  std::string table;
  nlohmann::json listed = nlohmann::json::array();
  for (const Planted& planted : kPlanted) {
    const check::Finding* found = nullptr;
    for (const check::Finding& f : report.run.findings) {
      if (f.check == planted.check && (f.title + f.detail).find(planted.word) != std::string::npos && found == nullptr)
        found = &f;
    }
    bool refuted = std::string(planted.claim).empty();
    for (const claims::ClaimVerdict& v : report.claims)
      refuted = refuted || (v.id == planted.claim && v.verdict == claims::Verdict::kRefuted);
    const bool ok = found != nullptr && refuted;
    named += ok ? 1 : 0;
    table += fmt::format("  {} {:<42} {}\n", ok ? "named " : "MISSED", planted.name,
                         found != nullptr ? printable(found->title) : "no finding of " + std::string(planted.check));
    listed.push_back({{"planted", planted.name}, {"check", planted.check}, {"named", ok}});
  }
  const bool all = named == static_cast<int>(std::size(kPlanted));
  std::ostream& out = o.json ? std::cerr : std::cout;
  out << "\nPlanted weaknesses\n"
      << table
      << fmt::format("{} of {} planted weaknesses named; report: {}/report.html\n", named, std::size(kPlanted),
                     options.out);
  return all ? 0 : 1;
}

}  // namespace plumbline::cli
