#include "plumbline/case/view/stored_run.hpp"

#include <nlohmann/json.hpp>

namespace plumbline::view {

base::Result<StoredRun> open_run(const check::Registry& registry, run::Store& store, const std::string& reference,
                                 const data::ManifestOptions& options) {
  StoredRun run;
  auto judged = assess::rebuild_report(registry, store, reference, options);
  if (judged.ok()) {
    run.report = std::move(judged).value();
    return run;
  }
  // The run itself must be there; what else went wrong concerns its judging alone.
  PL_TRY(run.report.run, store.load_run(reference));
  run::normalise(run.report.run);
  run.not_judged = judged.error();
  return run;
}

std::string evidence_json(const StoredRun& run) {
  const std::string text = report::to_evidence_json(run.report);
  if (!run.not_judged) return text;
  nlohmann::json json = nlohmann::json::parse(text);
  json["claims"] = nullptr;
  json["argument"] = nullptr;
  json["not_judged"] = run.not_judged->text();
  json["run"]["exit_status"] = nullptr;
  json["run"]["exit_reason"] = nullptr;
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

const check::Evidence* evidence_of(const check::Finding& finding, const check::RunRecord& run) {
  const check::Evidence* best = nullptr;
  std::size_t most = 0;
  for (const check::Evidence& e : run.evidence) {
    if (e.check != finding.check || e.subject != finding.subject) continue;
    std::size_t shared = 0;
    for (const auto& [key, value] : finding.where) {
      const auto same = e.where.find(key);
      if (same != e.where.end() && same->second == value) ++shared;
    }
    if (best == nullptr || shared > most) {
      best = &e;
      most = shared;
    }
  }
  return best;
}

}  // namespace plumbline::view
