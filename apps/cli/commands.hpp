#pragma once
/// The commands. Each returns the exit status; errors are printed by main.

#include "apps/cli/options.hpp"
#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::cli {

/// What every command gets.
struct Session {
  const Options& options;
  base::CancelToken cancel;
  base::Progress& progress;
  std::string program_folder;  ///< where this program lies
};

base::Result<int> run_init(const Session& session);
base::Result<int> run_assess(const Session& session);
base::Result<int> run_checks_list(const Session& session);
base::Result<int> run_checks_show(const Session& session);
base::Result<int> run_checks_verify(const Session& session);
base::Result<int> run_checks_coverage(const Session& session);
base::Result<int> run_config_check(const Session& session);
base::Result<int> run_config_schema(const Session& session);
base::Result<int> run_runs(const Session& session);
base::Result<int> run_show(const Session& session);
base::Result<int> run_diff(const Session& session);
base::Result<int> run_trend(const Session& session);
base::Result<int> run_reproduce(const Session& session);
base::Result<int> run_prune(const Session& session);
base::Result<int> run_export(const Session& session);
base::Result<int> run_verify_store(const Session& session);
base::Result<int> run_demo(const Session& session);
base::Result<int> run_worlds_list(const Session& session);
base::Result<int> run_worlds_show(const Session& session);
base::Result<int> run_worlds_play(const Session& session);
base::Result<int> run_worlds_replay(const Session& session);
base::Result<int> run_worlds_audit(const Session& session);
base::Result<int> run_worlds_bench(const Session& session);
base::Result<int> run_gauntlet(const Session& session);
base::Result<int> run_replicate(const Session& session);
base::Result<int> run_verify(const Session& session);
base::Result<int> run_reach(const Session& session);
base::Result<int> run_estimate(const Session& session);
base::Result<int> run_learn(const Session& session);
base::Result<int> run_causal_query(const Session& session);
base::Result<int> run_causal_marginals(const Session& session);
base::Result<int> run_causal_counterfactual(const Session& session);
base::Result<int> run_causal_mediate(const Session& session);
base::Result<int> run_causal_identify(const Session& session);
base::Result<int> run_causal_test(const Session& session);
base::Result<int> run_causal_learn(const Session& session);
base::Result<int> run_causal_effect(const Session& session);
base::Result<int> run_guard(const Session& session);
base::Result<int> run_serve(const Session& session);
base::Result<int> run_train(const Session& session);

/// A program of this project, by name: beside this one, or in ../libexec/plumbline. Errors kIo: neither.
base::Result<std::string> find_program(const Session& session, const std::string& name);
/// The worker program.
base::Result<std::string> find_worker(const Session& session);

}  // namespace plumbline::cli
