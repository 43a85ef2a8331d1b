#include "plumbline/runtime/start_rule.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/text.hpp"
#include "plumbline/case/claims/argument.hpp"
#include "plumbline/case/claims/json.hpp"
#include "plumbline/case/run/runner.hpp"
#include "plumbline/decision/predictor.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;

/// Values of one input over all evidence of a run.
std::set<std::string> hashes_of(const check::RunRecord& run, const std::string& input) {
  std::set<std::string> found;
  for (const check::Evidence& evidence : run.evidence) {
    if (const auto at = evidence.inputs.find(input); at != evidence.inputs.end()) found.insert(at->second);
  }
  return found;
}

void need_hash(const check::RunRecord& run, const std::string& input, const std::string& hash, const std::string& name,
               std::vector<StartObstacle>& obstacles) {
  const std::set<std::string> found = hashes_of(run, input);
  if (found.empty()) {
    obstacles.push_back({name, fmt::format("no evidence of the run is about '{}'", input), false});
    return;
  }
  for (const std::string& other : found) {
    if (other == hash) continue;
    obstacles.push_back({name,
                         fmt::format("evidence is about {} with hash {}, the guard's is {}", input, other.substr(0, 12),
                                     hash.substr(0, 12)),
                         false});
    return;
  }
}

void need_thresholds(const check::RunRecord& run, const GuardIdentity& identity,
                     std::vector<StartObstacle>& obstacles) {
  std::string id = fmt::format("caution.uncertainty.{}.thresholds", identity.model);
  for (char& c : id) {  // as the runner names artifacts
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    if (!plain) c = '-';
  }
  for (const check::Artifact& artifact : run.artifacts) {
    if (artifact.id != id) continue;
    const auto hash = artifact.facts.find("sha256");
    if (hash != artifact.facts.end() && hash->second == identity.thresholds_hash) return;
    obstacles.push_back({"thresholds",
                         fmt::format("the run's thresholds hash to {}, the guard's to {}",
                                     hash == artifact.facts.end() ? "nothing" : hash->second.substr(0, 12),
                                     identity.thresholds_hash.substr(0, 12)),
                         false});
    return;
  }
  obstacles.push_back(
      {"thresholds", "the run has no thresholds: caution.uncertainty was not assessed on this model", false});
}

std::string why_not(const claims::ClaimVerdict& claim) {
  const claims::Standing standing = claims::standing_of(claim);
  std::string why = fmt::format("{}: {}", claims::standing_name(standing), claim.reason);
  if (claim.waiver) why += fmt::format(" (its waiver '{}' excuses no guard)", claim.waiver->id);
  return why;
}

base::Result<std::unique_ptr<run::Store>> open_store(const CaseReference& reference) {
  if (!std::filesystem::exists(reference.store)) {
    return base::make_error(Code::kIo, "there is no store", reference.store,
                            "Run `plumbline assess` first, or correct case in [guard]");
  }
  return run::open_sqlite_store(reference.store);
}

base::Result<check::RunRecord> load_run(run::Store& store, const data::Manifest& manifest,
                                        const CaseReference& reference) {
  PL_TRY(check::RunRecord run, store.load_run(reference.run));
  run::normalise(run);
  if (run.system != manifest.name) {
    return base::make_error(
        Code::kValue, fmt::format("run {} is about '{}', this manifest about '{}'", run.id, run.system, manifest.name),
        reference.store);
  }
  if (run.status != check::RunStatus::kSuccess) {
    return base::make_error(Code::kValue,
                            fmt::format("run {} did not finish: {}", run.id, check::run_status_name(run.status)),
                            reference.store, "Run `plumbline assess` again");
  }
  return run;
}

base::Result<AssessedCase> judge_case(const data::Manifest& manifest, run::Store& store, check::RunRecord run,
                                      const check::Registry& registry,
                                      const std::map<std::string, std::string>& today) {
  AssessedCase assessed{manifest, std::move(run), {}, -1, {}};
  claims::JudgeContext context;
  context.today = run::utc_now().substr(0, 10);
  context.current_inputs = today;
  // Without any hash nothing would count as stale.
  if (today.empty()) context.current_inputs["nothing"] = "could be opened";
  PL_TRY(const std::string history, store.verdicts(assessed.run.id));
  context.history = claims::history_from_json(history);
  for (const data::ClaimSection& claim : manifest.claims) {
    if (claim.no_worse_than.empty()) continue;
    auto champion = store.load_run(claim.no_worse_than);
    if (champion.ok()) context.champions.emplace(claim.no_worse_than, std::move(champion).value());
  }
  assessed.claims = claims::judge(manifest, assessed.run, registry, context);
  PL_TRY(const claims::Argument argument, claims::argue(manifest, assessed.claims, assessed.run));
  static_cast<void>(argument);
  constexpr std::size_t kAll = 1U << 20U;
  PL_TRY(const auto runs, store.runs(0, kAll));
  for (const run::RunSummary& summary : runs) {
    if (summary.id != assessed.run.id) continue;
    assessed.exit_status = summary.exit_status;
    assessed.exit_summary = summary.verdicts;
  }
  return assessed;
}

}  // namespace

base::Result<CaseReference> parse_case_reference(std::string_view text, const std::string& folder) {
  const auto mark = text.rfind('#');
  if (mark == std::string_view::npos || mark == 0 || mark + 1 == text.size()) {
    return base::make_error(Code::kParse, fmt::format("case is '{}', expected \"STORE#RUN\"", text), "[guard]",
                            "For example case = \".plumbline/store.db#latest\"");
  }
  const std::filesystem::path store(text.substr(0, mark));
  return CaseReference{(store.is_absolute() ? store : std::filesystem::path(folder) / store).string(),
                       std::string(text.substr(mark + 1))};
}

std::map<std::string, std::string> inputs_today(run::Session& session, const check::RunRecord& run) {
  std::set<std::string> names;
  for (const check::Evidence& evidence : run.evidence) {
    for (const auto& [name, hash] : evidence.inputs) names.insert(name);
  }
  std::map<std::string, std::string> today;
  for (const std::string& name : names) {
    const auto colon = name.find(':');
    if (colon == std::string::npos) continue;
    const std::string kind = name.substr(0, colon);
    const std::string rest = name.substr(colon + 1);
    bool opened = false;
    if (kind == "data") {
      opened = session.dataset(rest).ok();
    } else if (kind == "model") {
      opened = session.predictor(rest).ok();
    } else {
      opened = session.other(kind, rest).ok();
    }
    if (opened) today[name] = session.input_hash(name);
  }
  return today;
}

base::Result<AssessedCase> read_case(const data::Manifest& manifest, const CaseReference& reference,
                                     const check::Registry& registry, run::Session& session) {
  PL_TRY(const auto store, open_store(reference));
  PL_TRY(check::RunRecord run, load_run(*store, manifest, reference));
  const auto today = inputs_today(session, run);
  return judge_case(manifest, *store, std::move(run), registry, today);
}

base::Result<AssessedCase> read_case(const data::Manifest& manifest, const CaseReference& reference,
                                     const check::Registry& registry, const std::map<std::string, std::string>& today) {
  PL_TRY(const auto store, open_store(reference));
  PL_TRY(check::RunRecord run, load_run(*store, manifest, reference));
  return judge_case(manifest, *store, std::move(run), registry, today);
}

std::string StartDecision::text() const {
  std::string out;
  for (const StartObstacle& obstacle : obstacles) {
    out += fmt::format("{} {}: {}\n", obstacle.accepted ? "accepted" : "stands in the way", obstacle.claim,
                       obstacle.reason);
  }
  if (may_start) {
    out += fmt::format("may start on run {}{}\n", run,
                       accepted.empty() ? "" : fmt::format(", {} accepted although not supported", accepted.size()));
  } else {
    out += "may not start; settle what stands in the way, or accept it by name with --accept\n";
  }
  return out;
}

base::Result<StartDecision> judge_start(const AssessedCase& assessed, const GuardIdentity& identity,
                                        const std::vector<std::string>& accept) {
  StartDecision decision;
  decision.case_hash = assessed.run.root;
  decision.run = assessed.run.id;
  decision.claims = assessed.claims;
  std::vector<std::string> names = {"model", "calibration", "thresholds", "case"};
  bool all_supported = true;
  for (const claims::ClaimVerdict& claim : assessed.claims) {
    names.push_back(claim.id);
    if (claim.severity != "fail" || claims::standing_of(claim) == claims::Standing::kSupported) continue;
    all_supported = false;
    decision.obstacles.push_back({claim.id, why_not(claim), false});
  }
  const bool any_claim = std::any_of(assessed.claims.begin(), assessed.claims.end(),
                                     [](const claims::ClaimVerdict& claim) { return claim.severity == "fail"; });
  if (!any_claim) {
    decision.obstacles.push_back({"case", "the manifest makes no claim of severity fail: nothing was promised", false});
  } else if (all_supported && assessed.exit_status != 0) {
    decision.obstacles.push_back(
        {"case",
         assessed.exit_status < 0
             ? "the run was never judged"
             : fmt::format("when the run closed its exit status was {} ({}), whatever its claims say now",
                           assessed.exit_status, assessed.exit_summary),
         false});
  }
  need_hash(assessed.run, "model:" + identity.model, identity.model_hash, "model", decision.obstacles);
  need_hash(assessed.run, "data:" + identity.calibration, identity.calibration_fingerprint, "calibration",
            decision.obstacles);
  need_thresholds(assessed.run, identity, decision.obstacles);
  if (assessed.run.manifest_sha256 != assessed.manifest.sha256) {
    decision.notes.emplace_back(
        "the manifest was changed since the run; its claims are judged as they are written now");
  }
  for (const std::string& name : accept) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      const std::string near = base::nearest(name, names);
      return base::make_error(Code::kValue, fmt::format("'{}' is no claim", name), "--accept",
                              near.empty() ? "" : fmt::format("Did you mean '{}'?", near));
    }
    bool used = false;
    for (StartObstacle& obstacle : decision.obstacles) {
      if (obstacle.claim != name) continue;
      obstacle.accepted = used = true;
    }
    if (!used) {
      return base::make_error(Code::kValue, fmt::format("'{}' stands in nobody's way", name), "--accept",
                              "Leave it out: what is accepted is logged with every decision");
    }
    if (std::find(decision.accepted.begin(), decision.accepted.end(), name) == decision.accepted.end()) {
      decision.accepted.push_back(name);
    }
  }
  decision.may_start = std::all_of(decision.obstacles.begin(), decision.obstacles.end(),
                                   [](const StartObstacle& obstacle) { return obstacle.accepted; });
  return decision;
}

}  // namespace plumbline::runtime
