#include "plumbline/case/assess/reproduce.hpp"

#include <cmath>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/interface/json.hpp"

namespace plumbline::assess {
namespace {

// The first field, in sorted order, whose JSON differs; numbers with the size of the difference.
std::string first_difference(const check::Evidence& before, const check::Evidence& after) {
  nlohmann::json a = check::to_json(before);
  nlohmann::json b = check::to_json(after);
  for (const char* ignored : {"id", "build", "artifacts"}) {
    a.erase(ignored);
    b.erase(ignored);
  }
  const auto flat_a = a.flatten();
  const auto flat_b = b.flatten();
  for (const auto& [field, value] : flat_a.items()) {
    const auto other = flat_b.find(field);
    if (other == flat_b.end()) return fmt::format("{} is gone", field);
    if (*other == value) continue;
    if (value.is_number() && other->is_number()) {
      const double x = value.get<double>();
      const double y = other->get<double>();
      return fmt::format("{}: {} became {} (by {:.3g}, relative {:.3g})", field, x, y, y - x,
                         x == 0 ? INFINITY : std::abs(y - x) / std::abs(x));
    }
    return fmt::format("{}: {} became {}", field, value.dump(), other->dump());
  }
  return flat_a.size() == flat_b.size() ? "" : "fields were added";
}

}  // namespace

base::Result<Reproduction> reproduce(const check::Registry& registry, run::Store& store, const std::string& evidence,
                                     const ExecutorMaker& make_executor, const data::ManifestOptions& manifest_options,
                                     bool with_torch, const base::CancelToken& cancel, base::Progress& progress) {
  Reproduction result;
  PL_TRY(result.before, store.load_evidence(evidence));
  PL_TRY(const std::string run_id, store.run_of_evidence(result.before.id));
  PL_TRY(const check::RunRecord record, store.load_run(run_id));
  PL_TRY(data::Manifest manifest, data::read_manifest(find_manifest(record, store.place()), manifest_options));
  manifest.seed = result.before.seed;
  manifest.check_params[result.before.check].clear();
  for (const auto& [name, value] : result.before.params) manifest.check_params[result.before.check][name] = value;
  PL_TRY(const check::Blueprint blueprint, run::make_blueprint(manifest, with_torch));
  PL_TRY(auto plan, run::make_plan(registry, blueprint, {{result.before.check}, {}}));
  // Only the task that gave the evidence.
  for (run::PlannedCheck& planned : plan) {
    std::erase_if(planned.tasks, [&](const check::Task& task) { return task.subject != result.before.subject; });
    if (planned.tasks.empty() && planned.not_applicable.empty() && planned.skipped.empty())
      planned.skipped = "not what is reproduced";
  }
  std::string scratch = (std::filesystem::temp_directory_path() / "plumbline-reproduce-XXXXXX").string();
  if (mkdtemp(scratch.data()) == nullptr)
    return base::make_error(base::Code::kIo, "cannot make a temporary folder", scratch);
  const auto attempt = [&]() -> base::Result<check::RunRecord> {
    PL_TRY(const auto fresh, run::open_sqlite_store(scratch + "/store.db"));
    PL_TRY(const auto executor, make_executor(manifest, scratch));
    run::RunOptions options;
    options.use_cache = false;
    return run::run_plan(manifest, plan, blueprint, *fresh, *executor, options, cancel, progress);
  };
  auto again = attempt();
  std::error_code ignored;
  std::filesystem::remove_all(scratch, ignored);
  if (!again.ok()) return again.error();
  for (const check::Evidence& e : again->evidence) {
    if (e.subject == result.before.subject && e.metric == result.before.metric && e.where == result.before.where) {
      result.after = e;
      result.difference = first_difference(result.before, e);
      result.same = e.id == result.before.id;
      return result;
    }
  }
  for (const check::LedgerEntry& line : again->ledger) {
    if (line.check == result.before.check && line.status != check::LedgerStatus::kOk && !line.reason.empty()) {
      return base::make_error(base::Code::kValue, "the check gave no such evidence this time: " + line.reason,
                              result.before.check);
    }
  }
  return base::make_error(base::Code::kValue, "the manifest no longer yields this evidence", record.manifest,
                          "Its models, data or checks were changed");
}

}  // namespace plumbline::assess
