#include "tests/support/fixture_runs.hpp"

#include <gtest/gtest.h>

#include "plumbline/case/run/plan.hpp"
#include "plumbline/predict/open.hpp"

namespace plumbline::testing {

run::SessionOptions session_options() {
  run::SessionOptions options;
  options.open_predictor = [](const data::ModelSection& section) { return predict::open_predictor(section); };
  return options;
}

verify::VerifyCount count_fixtures(check::Entry entry, int runs, std::uint64_t seed) {
  const std::string id = entry.info.id;
  check::Registry registry;
  registry.add(std::move(entry));
  verify::VerifyOptions options;
  options.runs = runs;
  options.seed = seed;
  options.session = session_options();
  auto counts = verify::verify_checks(registry, options, {}, base::no_progress());
  EXPECT_TRUE(counts.ok()) << id << ": " << counts.error().text();
  if (!counts.ok() || counts->empty()) return {};
  return counts->front();
}

base::Result<check::Output> run_check(check::Entry entry, const std::string& folder) {
  PL_TRY(const data::Manifest manifest, data::read_manifest(folder + "/system.toml"));
  check::Registry registry;
  registry.add(std::move(entry));
  PL_TRY(const check::Blueprint blueprint, run::make_blueprint(manifest, true));
  PL_TRY(const auto plan, run::make_plan(registry, blueprint, {}));
  run::Session session(manifest, session_options());
  check::Output all;
  for (const check::Task& task : plan.front().tasks) {
    PL_TRY(check::Output one, run::run_task(session, *plan.front().entry, plan.front().params, task));
    all.evidence.insert(all.evidence.end(), one.evidence.begin(), one.evidence.end());
    all.findings.insert(all.findings.end(), one.findings.begin(), one.findings.end());
    all.artifacts.insert(all.artifacts.end(), one.artifacts.begin(), one.artifacts.end());
    all.notes.insert(all.notes.end(), one.notes.begin(), one.notes.end());
    all.rows += one.rows;
  }
  return all;
}

}  // namespace plumbline::testing
