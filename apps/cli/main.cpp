// plumbline: the command line. No rule lives here: commands call the library and print.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <mutex>

#include <fmt/format.h>
#include <unistd.h>

#include "apps/cli/commands.hpp"
#include "plumbline/base/log.hpp"

namespace plumbline::cli {
namespace {

// One line that is rewritten on a terminal; on a pipe, a line for each stage.
class TerminalProgress final : public base::Progress {
 public:
  explicit TerminalProgress(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {}
  ~TerminalProgress() override { clear(); }
  void update(std::string_view stage, std::size_t done, std::size_t total) override {
    if (quiet_) return;
    const std::lock_guard lock(mutex_);
    const std::string count = total > 0 ? fmt::format("[{}/{}] ", done, total) : "";
    if (terminal_) {
      std::string line = count + std::string(stage);
      if (line.size() > 100) line.resize(100);
      std::cerr << "\r\x1b[K" << line << std::flush;
      drawn_ = true;
    } else if (const std::string head(stage.substr(0, stage.find(':'))); head != last_) {
      last_ = head;
      std::cerr << count << head << "\n";
    }
  }
  void clear() {
    if (drawn_) std::cerr << "\r\x1b[K" << std::flush;
    drawn_ = false;
  }

 private:
  std::mutex mutex_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  std::string last_;
};

base::CancelToken g_cancel;  // set before the handler is installed

void on_interrupt(int) {
  g_cancel.cancel();
  // A second Ctrl-C ends the program at once; the store keeps what it has.
  std::signal(SIGINT, SIG_DFL);
}

using Command = base::Result<int> (*)(const Session&);

const std::map<std::string, Command>& commands() {
  static const std::map<std::string, Command> table = {
      {"init", run_init},
      {"assess", run_assess},
      {"checks list", run_checks_list},
      {"checks show", run_checks_show},
      {"checks verify", run_checks_verify},
      {"checks coverage", run_checks_coverage},
      {"config check", run_config_check},
      {"config schema", run_config_schema},
      {"runs", run_runs},
      {"show", run_show},
      {"diff", run_diff},
      {"trend", run_trend},
      {"reproduce", run_reproduce},
      {"prune", run_prune},
      {"export", run_export},
      {"verify-store", run_verify_store},
      {"demo", run_demo},
      {"worlds list", run_worlds_list},
      {"worlds show", run_worlds_show},
      {"worlds play", run_worlds_play},
      {"worlds replay", run_worlds_replay},
      {"worlds audit", run_worlds_audit},
      {"worlds bench", run_worlds_bench},
      {"estimate", run_estimate},
      {"learn", run_learn},
      {"causal query", run_causal_query},
      {"causal marginals", run_causal_marginals},
      {"causal counterfactual", run_causal_counterfactual},
      {"causal mediate", run_causal_mediate},
      {"causal identify", run_causal_identify},
      {"causal test", run_causal_test},
      {"causal learn", run_causal_learn},
      {"causal effect", run_causal_effect},
      {"guard", run_guard},
      {"serve", run_serve},
      {"gauntlet", run_gauntlet},
      {"replicate", run_replicate},
      {"verify", run_verify},
      {"train", run_train},
      {"reach", run_reach},
  };
  return table;
}

int run(int argc, char** argv) {
  const Options options = parse_command_line(argc, argv);
  if (options.exit_code >= 0) return options.exit_code;
  if (options.verbose) {
    base::set_log_sink([](base::Level, std::string_view line) { std::cerr << line << "\n"; });
  }
  g_cancel = base::CancelToken::make();
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  // A limit on file sizes is an error of the write that meets it, here and in the workers, and not a sudden death.
  std::signal(SIGXFSZ, SIG_IGN);
  TerminalProgress progress(options.quiet);
  std::error_code ignored;
  const Session session{options, g_cancel, progress,
                        std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path().string()};
  const auto result = commands().at(options.command)(session);
  progress.clear();
  if (result.ok()) return *result;
  std::cerr << "plumbline: " << result.error().text() << "\n";
  return result.error().code == base::Code::kCancelled ? 130 : 2;
}

}  // namespace
}  // namespace plumbline::cli

int main(int argc, char** argv) {
  try {
    return plumbline::cli::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "plumbline: %s. This is a defect in Plumbline; please report it\n", error.what());
    return 4;
  }
}
