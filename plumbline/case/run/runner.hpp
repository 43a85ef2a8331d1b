#pragma once
/// Runs a plan: predictions first, then the checks, in an executor's workers; every finished task is in the store
/// before the next is looked at, so that an interrupted run loses nothing and the next one takes up where it stopped.

#include <string>
#include <vector>

#include "plumbline/case/run/job.hpp"
#include "plumbline/case/run/plan.hpp"
#include "plumbline/case/run/store.hpp"

namespace plumbline::run {

struct RunOptions {
  std::string name;  ///< a name for the run, for `show` and `no_worse_than`
  bool use_cache = true;
  std::string program;  ///< program_identity() of what executes the jobs; part of every cache key
};

/// SHA-256 over what determines results: files of all models, data sets, predictions and other sections, how they are
/// read, and the seed. Claims, waivers and the argument are left out: editing them invalidates nothing. Errors kIo: a
/// file cannot be read.
base::Result<std::string> system_hash(const data::Manifest& manifest);
/// The same over one section that is kept as it stands, with the files that it names.
base::Result<std::string> section_hash(const data::OtherSection& section);

/// Lines in the order of check and subject, whatever order they finished in.
void normalise(check::RunRecord& record);

/// Executes and stores the plan. The record's status is kCancelled when `cancel` was set; finished evidence is in it.
/// Errors kIo: of the store. A failing check is a line of the ledger, never an error here.
base::Result<check::RunRecord> run_plan(const data::Manifest& manifest, const std::vector<PlannedCheck>& plan,
                                        const check::Blueprint& blueprint, Store& store, Executor& executor,
                                        const RunOptions& options, const base::CancelToken& cancel,
                                        base::Progress& progress);

/// "2026-01-31T12:00:00Z"
std::string utc_now();
/// "x86-64-v3, 2 cores"
std::string machine_text();

}  // namespace plumbline::run
