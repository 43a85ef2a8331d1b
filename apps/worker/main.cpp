// plumbline-worker: executes jobs that plumbline sends through pipes. The only program that links LibTorch.
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

#include "apps/worker/demo.hpp"
#include "apps/worker/session_options.hpp"
#include "apps/worker/train.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/case/run/job.hpp"
#include "plumbline/case/run/worker_source.hpp"
#include "plumbline/case/verify/verify.hpp"
#include "plumbline/checks/catalog.hpp"
#if PLUMBLINE_WITH_TORCH
#include "plumbline/nn/executor.hpp"
#endif

namespace {

void limit_address_space(std::uint64_t bytes) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  if (bytes == 0) return;
  const rlimit limit{bytes, bytes};
  setrlimit(RLIMIT_AS, &limit);
#else
  (void)bytes;
#endif
}

class LineProgress final : public plumbline::base::Progress {
 public:
  void update(std::string_view stage, std::size_t done, std::size_t total) override {
    if (total > 0 && done * 10 / total == last_) return;
    last_ = total > 0 ? done * 10 / total : 0;
    std::cerr << stage << "\n";
  }

 private:
  std::size_t last_ = 99;
};

// Counts of fixtures, as the table that `checks verify` prints and stamps. Here, because fixtures may need LibTorch.
int verify(const std::string& runs, const std::string& seed, const std::string& only) {
#if PLUMBLINE_WITH_TORCH
  plumbline::nn::configure_process();
#endif
  plumbline::verify::VerifyOptions options;
  options.runs = std::atoi(runs.c_str());
  options.seed = std::strtoull(seed.c_str(), nullptr, 10);
  options.with_torch = PLUMBLINE_WITH_TORCH;
  options.session = plumbline::worker::session_options("", "");
  std::istringstream names(only);
  for (std::string name; std::getline(names, name, ',');) options.only.push_back(name);
  LineProgress progress;
  const auto counts = plumbline::verify::verify_checks(plumbline::checks::catalog(), options, {}, progress);
  if (!counts.ok()) {
    std::cerr << "plumbline-worker: " << counts.error().text() << "\n";
    return 2;
  }
  for (const auto& count : *counts) {
    if (!count.example_problem.empty()) std::cerr << count.check << ": " << count.example_problem << "\n";
  }
  std::cout << plumbline::verify::rates_table(*counts);
  return 0;
}

int demo(const std::string& folder) {
#if PLUMBLINE_WITH_TORCH
  plumbline::nn::configure_process();
#endif
  LineProgress progress;
  const auto made = plumbline::worker::make_demo(folder, 7, progress);
  if (!made.ok()) std::cerr << "plumbline-worker: " << made.error().text() << "\n";
  return made.ok() ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::string(argv[1]) == "--verify") return verify(argv[2], argv[3], argv[4]);
  std::string manifest;
  std::string cache;
  std::string program;
  std::uint64_t memory = 0;
  plumbline::worker::TrainRequest train;
  plumbline::data::ManifestOptions manifest_options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--demo") return demo(value);
    if (flag == "--train") train.manifest = value;
    if (flag == "--only") train.only.push_back(value);
    if (flag == "--format") train.json = value == "json";
    if (flag == "--progress") train.quiet = value == "none";
    if (flag == "--manifest") manifest = value;
    if (flag == "--cache") cache = value;
    if (flag == "--program") program = value;
    if (flag == "--memory") memory = std::strtoull(value.c_str(), nullptr, 10);
    if (flag == "--root") manifest_options.roots[value.substr(0, value.find('='))] = value.substr(value.find('=') + 1);
  }
  if (!train.manifest.empty()) {
    train.options = manifest_options;
    return plumbline::worker::train_networks(train);
  }
  if (manifest.empty()) {
    std::cerr << "plumbline-worker is started by plumbline; run `plumbline assess system.toml`\n";
    return 2;
  }
#if PLUMBLINE_WITH_TORCH
  plumbline::nn::configure_process();
#endif
  return plumbline::run::serve_forks(STDIN_FILENO, [&] {
    // Libraries may print to standard output; the answers get a descriptor of their own.
    const int answers = dup(STDOUT_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    limit_address_space(memory);
    plumbline::run::WorkerOptions options;
    options.session =
        plumbline::worker::session_options(cache, std::filesystem::absolute(manifest).parent_path().string());
    options.session.program = program;
    options.manifest = manifest_options;
    return plumbline::run::serve_jobs(plumbline::checks::catalog(), manifest, options, STDIN_FILENO, answers);
  });
}
