#pragma once
/// The whole job, from a manifest to a judged and stored case: what `plumbline assess` and the Python module call.

#include <functional>
#include <memory>
#include <string>

#include "plumbline/case/report/report.hpp"
#include "plumbline/case/run/runner.hpp"

namespace plumbline::assess {

/// Makes what executes the jobs, given the manifest and the cache folder.
using ExecutorMaker =
    std::function<base::Result<std::unique_ptr<run::Executor>>(const data::Manifest&, const std::string& cache_folder)>;

struct AssessOptions {
  std::string manifest;
  data::ManifestOptions manifest_options;
  std::string store;  ///< path; empty = .plumbline/store.db beside the manifest
  std::string out;    ///< folder for the reports; empty = none
  run::Selection selection;
  std::string name;  ///< of the run
  bool use_cache = true;
  bool fail_on_refuted = false;
  bool with_torch = true;  ///< the worker can run LibTorch
  std::string program;     ///< run::cache_identity() of the program that executes the jobs
  ExecutorMaker executor;
};

/// Reads, plans, runs, judges, stores, writes the reports.
/// Errors: bad input (exit status 2), with everything that is wrong; kIo of the store or of the output folder.
base::Result<report::Report> assess(const check::Registry& registry, const AssessOptions& options,
                                    const base::CancelToken& cancel, base::Progress& progress);

/// What would run, why the rest would not, and the estimated cost, as text or JSON; nothing is run or stored.
struct DryRun {
  data::Manifest manifest;
  check::Blueprint blueprint;  ///< points into `manifest`: do not copy
  std::vector<run::PlannedCheck> plan;
};
base::Result<std::unique_ptr<DryRun>> dry_run(const check::Registry& registry, const AssessOptions& options);
std::string dry_run_text(const DryRun& dry);
std::string dry_run_json(const DryRun& dry);

/// Judges a stored run again as it stands (no new look is counted), for `show` and `export`.
base::Result<report::Report> rebuild_report(const check::Registry& registry, run::Store& store,
                                            const std::string& reference, const data::ManifestOptions& options);

/// Where the manifest of a stored run is now. A path is stored as it was given, so that a relative one may lead
/// elsewhere today: of the path as it stands and of a file of that name beside the store's folder, the one whose
/// content is that of the run; else, of a relative path, the one beside the store where there is one.
std::string find_manifest(const check::RunRecord& run, const std::string& store);

/// Every output of a report into a folder, report.html included. Errors kIo.
base::Status write_reports(const report::Report& report, const std::string& folder);

/// The store's path for a manifest when none is named.
std::string default_store(const std::string& manifest);

}  // namespace plumbline::assess
