#include "plumbline/case/assess/assess.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/hash.hpp"
#include "plumbline/base/log.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/case/claims/json.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/report/html.hpp"

namespace plumbline::assess {
namespace {

namespace fs = std::filesystem;

// Looks and reuses of every claim, counted in the store by this run.
base::Status count_looks(run::Store& store, const data::Manifest& manifest, const check::RunRecord& record,
                         const check::Registry& registry, claims::JudgeContext& context) {
  for (const data::ClaimSection& claim : manifest.claims) {
    const claims::LookKeys keys = claims::look_keys(claim, manifest, record, registry);
    if (keys.content.empty()) continue;
    claims::LookHistory history;
    PL_TRY(const run::LookCount looks, store.look(keys.lineage, keys.content, claim.sampling == "anytime"));
    history.looks = static_cast<int>(looks.looks);
    history.anytime_before_first_look = looks.anytime_from_start;
    for (const auto& use : keys.uses) {
      PL_TRY(const run::ReuseCount reuse, store.reuse(use.test_fingerprint, use.model_hash, use.seed));
      history.models = std::max(history.models, static_cast<int>(reuse.models));
      history.seeds = std::max(history.seeds, static_cast<int>(reuse.seeds));
    }
    context.history[claim.id] = history;
  }
  return base::ok();
}

base::Status find_champions(run::Store& store, const data::Manifest& manifest, claims::JudgeContext& context) {
  for (const data::ClaimSection& claim : manifest.claims) {
    if (claim.no_worse_than.empty() || context.champions.count(claim.no_worse_than) != 0) continue;
    auto champion = store.load_run(claim.no_worse_than);
    // A champion that is not there leaves its claim unevaluated; it does not stop the others.
    if (champion.ok()) context.champions.emplace(claim.no_worse_than, std::move(champion).value());
  }
  return base::ok();
}

std::string verdict_summary(const std::vector<claims::ClaimVerdict>& verdicts) {
  std::map<std::string, int> counts;
  for (const claims::ClaimVerdict& v : verdicts) ++counts[std::string(claims::verdict_name(v.verdict))];
  std::vector<std::string> parts;
  for (const auto& [word, count] : counts) parts.push_back(fmt::format("{} {}", word, count));
  return fmt::format("{}", fmt::join(parts, ", "));
}

base::Status check_output_folder(const std::string& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (!fs::is_directory(folder, code))
    return base::make_error(base::Code::kIo, "the output folder cannot be made", folder, "Name another with --out");
  if (access(folder.c_str(), W_OK) != 0)
    return base::make_error(base::Code::kIo, "the output folder is not writable", folder, "Name another with --out");
  return base::ok();
}

/// A folder that is removed in the end; none where the path is empty.
struct Scratch {
  explicit Scratch(fs::path folder) : path(std::move(folder)) {}
  ~Scratch() {
    std::error_code ignored;
    if (!path.empty()) fs::remove_all(path, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  fs::path path;
};

}  // namespace

std::string default_store(const std::string& manifest) {
  const fs::path folder = fs::path(manifest).parent_path();
  return ((folder.empty() ? fs::path(".") : folder) / ".plumbline" / "store.db").string();
}

std::string find_manifest(const check::RunRecord& run, const std::string& store) {
  const fs::path given = run.manifest;
  const fs::path beside = fs::path(store).parent_path().parent_path() / given.filename();
  const auto content = [](const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    return in ? base::sha256_hex(text) : std::string();
  };
  for (const fs::path& place : {given, beside}) {
    if (content(place) == run.manifest_sha256) return place.string();
  }
  std::error_code ignored;
  return given.is_relative() && fs::exists(beside, ignored) ? beside.string() : given.string();
}

base::Status write_reports(const report::Report& report, const std::string& folder) {
  return report::write_outputs(report, folder, {{"report.html", report::render_html(report)}});
}

base::Result<report::Report> assess(const check::Registry& registry, const AssessOptions& options,
                                    const base::CancelToken& cancel, base::Progress& progress) {
  PL_TRY(const data::Manifest manifest, data::read_manifest(options.manifest, options.manifest_options));
  PL_CHECK(claims::validate_claims(manifest, registry));
  PL_TRY(const check::Blueprint blueprint, run::make_blueprint(manifest, options.with_torch));
  PL_TRY(const auto plan, run::make_plan(registry, blueprint, options.selection));
  // Before hours of work, not after them.
  if (!options.out.empty()) PL_CHECK(check_output_folder(options.out));
  const std::string store_path = options.store.empty() ? default_store(options.manifest) : options.store;
  PL_TRY(const auto store, run::open_sqlite_store(store_path));
  // Without the cache, the files through which workers share predictions are this run's own.
  const fs::path shared = fs::path(store_path).parent_path() / "cache";
  const Scratch fresh(options.use_cache ? fs::path() : shared / fmt::format("run-{}", getpid()));
  const std::string cache = (options.use_cache ? shared : fresh.path).string();
  PL_TRY(const auto executor, options.executor(manifest, cache));

  run::RunOptions run_options;
  run_options.name = options.name;
  run_options.use_cache = options.use_cache;
  run_options.program = options.program;
  PL_TRY(const check::RunRecord record,
         run::run_plan(manifest, plan, blueprint, *store, *executor, run_options, cancel, progress));

  claims::JudgeContext context;
  context.today = run::utc_now().substr(0, 10);
  PL_CHECK(count_looks(*store, manifest, record, registry, context));
  PL_CHECK(find_champions(*store, manifest, context));
  claims::ExitFlags flags;
  flags.fail_on_refuted = options.fail_on_refuted;
  flags.interrupted = record.status == check::RunStatus::kCancelled;
  PL_TRY(report::Report report, report::make_report(manifest, record, registry, context, flags));
  PL_CHECK(store->set_verdicts(record.id, claims::history_to_json(context.history), verdict_summary(report.claims),
                               report.exit.code));
  if (!options.out.empty()) PL_CHECK(write_reports(report, options.out));
  return report;
}

base::Result<report::Report> rebuild_report(const check::Registry& registry, run::Store& store,
                                            const std::string& reference, const data::ManifestOptions& options) {
  PL_TRY(const check::RunRecord loaded, store.load_run(reference));
  check::RunRecord record = loaded;
  run::normalise(record);
  PL_TRY(const data::Manifest manifest, data::read_manifest(find_manifest(record, store.place()), options));
  claims::JudgeContext context;
  context.today = run::utc_now().substr(0, 10);
  PL_TRY(const std::string history, store.verdicts(record.id));
  context.history = claims::history_from_json(history);
  PL_CHECK(find_champions(store, manifest, context));
  return report::make_report(manifest, record, registry, context, {});
}

base::Result<std::unique_ptr<DryRun>> dry_run(const check::Registry& registry, const AssessOptions& options) {
  auto dry = std::make_unique<DryRun>();
  PL_TRY(dry->manifest, data::read_manifest(options.manifest, options.manifest_options));
  PL_CHECK(claims::validate_claims(dry->manifest, registry));
  PL_TRY(dry->blueprint, run::make_blueprint(dry->manifest, options.with_torch));
  dry->blueprint.manifest = &dry->manifest;
  PL_TRY(dry->plan, run::make_plan(registry, dry->blueprint, options.selection));
  return dry;
}

std::string dry_run_text(const DryRun& dry) {
  std::string out = fmt::format("{}: {} models, {} data sets, {} claims\n\nData\n", dry.manifest.name,
                                dry.blueprint.models.size(), dry.blueprint.data.size(), dry.manifest.claims.size());
  for (const auto& [name, facts] : dry.blueprint.data) {
    out += fmt::format("  {:<20} {:<20} {:>9} rows{}\n", name, data::role_name(facts.role), facts.rows,
                       facts.labelled ? ", labelled" : "");
  }
  out += "\nWould run\n";
  double seconds = 0;
  for (const run::PlannedCheck& planned : dry.plan) {
    for (const check::Task& task : planned.tasks) {
      seconds += task.cost_seconds;
      out += fmt::format("  {:<28} {:<28} about {:.2g} s{}\n", planned.entry->info.id, task.subject, task.cost_seconds,
                         task.shards > 1 ? fmt::format(" in {} pieces", task.shards) : "");
    }
  }
  out += fmt::format("  all together about {:.2g} s on one core, and the predictions\n\nWould not run\n", seconds);
  for (const run::PlannedCheck& planned : dry.plan) {
    if (!planned.tasks.empty()) continue;
    out += fmt::format("  {:<28} {}\n", planned.entry->info.id,
                       planned.skipped.empty() ? planned.not_applicable : planned.skipped);
  }
  return out;
}

std::string dry_run_json(const DryRun& dry) {
  nlohmann::json data = nlohmann::json::array();
  for (const auto& [name, facts] : dry.blueprint.data) {
    data.push_back(
        {{"name", name}, {"role", data::role_name(facts.role)}, {"rows", facts.rows}, {"labelled", facts.labelled}});
  }
  nlohmann::json tasks = nlohmann::json::array();
  nlohmann::json left_out = nlohmann::json::array();
  for (const run::PlannedCheck& planned : dry.plan) {
    for (const check::Task& task : planned.tasks) {
      tasks.push_back({{"check", planned.entry->info.id},
                       {"subject", task.subject},
                       {"cost_seconds", task.cost_seconds},
                       {"shards", task.shards}});
    }
    if (planned.tasks.empty()) {
      left_out.push_back({{"check", planned.entry->info.id},
                          {"status", planned.skipped.empty() ? "not_applicable" : "skipped"},
                          {"reason", planned.skipped.empty() ? planned.not_applicable : planned.skipped}});
    }
  }
  return nlohmann::json{{"system", dry.manifest.name}, {"data", data}, {"tasks", tasks}, {"left_out", left_out}}.dump(
      2);
}

}  // namespace plumbline::assess
