#include "apps/guard/start.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "apps/worker/session_options.hpp"
#include "plumbline/case/run/session.hpp"
#include "plumbline/checks/catalog.hpp"
#include "plumbline/predict/open.hpp"
#include "plumbline/probe/assertion_section.hpp"
#include "plumbline/runtime/classifier_artifacts.hpp"
#include "plumbline/runtime/filtered_decider.hpp"

namespace plumbline::guard {
namespace {

using base::Code;
using base::make_error;
using runtime::kMillisecond;

/// The values of [guard], by name.
class Keys {
 public:
  Keys(const data::Manifest& manifest, const std::map<std::string, std::string>& roots)
      : manifest_(manifest), roots_(roots) {}

  std::string text(const std::string& key, const std::string& otherwise = {}) const {
    const auto* value = find<std::string>(key);
    return value == nullptr ? otherwise : *value;
  }
  bool flag(const std::string& key) const {
    const auto* value = find<bool>(key);
    return value != nullptr && *value;
  }
  std::vector<std::string> texts(const std::string& key) const {
    const auto* value = find<std::vector<std::string>>(key);
    return value == nullptr ? std::vector<std::string>() : *value;
  }
  /// Errors kValue: outside [low, high].
  base::Result<std::int64_t> integer(const std::string& key, std::int64_t otherwise, std::int64_t low,
                                     std::int64_t high) const {
    const auto* value = find<std::int64_t>(key);
    if (value == nullptr) return otherwise;
    if (*value < low || *value > high)
      return make_error(Code::kValue, fmt::format("{} is {}, expected {} to {}", key, *value, low, high), place());
    return *value;
  }
  /// A path that the reader has checked, below the manifest's folder or below a root ("data:guard").
  std::string path(const std::string& key) const {
    const std::string written = text(key);
    if (written.empty()) return written;
    const std::size_t colon = written.find(':');
    const auto root = roots_.find(written.substr(0, colon));
    if (colon == std::string::npos) return manifest_.folder + "/" + written;
    if (root != roots_.end()) return root->second + "/" + written.substr(colon + 1);
    const char* data = std::getenv("PLUMBLINE_DATA");
    return (data == nullptr ? std::string() : std::string(data)) + "/" + written.substr(colon + 1);
  }
  double number(const std::string& key, double otherwise) const {
    if (const auto* whole = find<std::int64_t>(key)) return static_cast<double>(*whole);
    const auto* value = find<double>(key);
    return value == nullptr ? otherwise : *value;
  }
  bool has(const std::string& key) const { return manifest_.guard->keys.contains(key); }
  std::string place() const { return fmt::format("{}:{} [guard]", manifest_.path, manifest_.guard->line); }

 private:
  template <class T>
  const T* find(const std::string& key) const {
    const auto found = manifest_.guard->keys.find(key);
    return found == manifest_.guard->keys.end() ? nullptr : std::get_if<T>(&found->second);
  }
  const data::Manifest& manifest_;
  const std::map<std::string, std::string>& roots_;
};

base::Status refuse_unserved(const Keys& keys) {
  for (const char* key : {"overseer", "budget"}) {
    if (keys.has(key))
      return make_error(Code::kUnsupported, fmt::format("{} is declared, and this guard does not serve it", key),
                        keys.place(), "Take the key out");
  }
  return base::ok();
}

/// The rest of a question whose answer is known: kind, proposed, detail. Errors kValue; json's.
base::Status read_gold_rest(const nlohmann::json& json, const std::string& place, runtime::Question& question) {
  question.reason = json.value("reason", "");
  question.proposed = json.value("proposed", "");
  const auto known = [&](const std::string& action) {
    return std::find(question.actions.begin(), question.actions.end(), action) != question.actions.end();
  };
  question.safe = json.value("if_nobody_answers", "");
  const auto candidates = json.value("candidates", std::map<std::string, double>());
  for (const auto& [action, probability] : candidates) question.candidates.push_back({action, probability});
  std::stable_sort(question.candidates.begin(), question.candidates.end(),
                   [](const auto& a, const auto& b) { return a.probability > b.probability; });
  std::vector<std::string> named = {question.gold, question.proposed, question.safe};
  for (const runtime::Candidate& candidate : question.candidates) named.push_back(candidate.action);
  for (const std::string& action : named)
    if (!action.empty() && !known(action))
      return make_error(Code::kValue, fmt::format("'{}' is not among the actions", action), place);
  const std::string kind = json.value("kind", question.proposed.empty() ? "label" : "correct");
  const auto found = runtime::question_kind_of(kind);
  if (!found)
    return make_error(Code::kValue, fmt::format("kind is '{}', expected label, compare, correct or approve", kind),
                      place);
  question.kind = *found;
  const bool proposes = *found == runtime::QuestionKind::kCorrect || *found == runtime::QuestionKind::kApprove;
  if (proposes == question.proposed.empty())
    return make_error(Code::kValue,
                      fmt::format("a question of kind {} {} \"proposed\"", kind, proposes ? "needs" : "has no"), place);
  if (*found == runtime::QuestionKind::kCompare && question.candidates.size() != 2)
    return make_error(Code::kValue, "a question of kind compare has two candidates", place);
  if (const auto detail = json.find("detail"); detail != json.end()) {
    if (!detail->is_object()) return make_error(Code::kParse, "\"detail\" is no object", place);
    question.shown = detail->dump();
  }
  return base::ok();
}

/// Questions whose answers are known, one a line: {"actions": [...], "answer": "..."}, and what a real one shows beside
/// that: "kind", "proposed", "candidates", "reason", "if_nobody_answers", "detail".
base::Result<std::vector<runtime::Question>> read_gold(const std::string& path) {
  std::vector<runtime::Question> all;
  if (path.empty()) return all;
  std::ifstream in(path);
  if (!in) return make_error(Code::kIo, "cannot be read", path, "Check `gold` of [guard]");
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string place = fmt::format("{}:{}", path, ++number);
    if (line.empty()) continue;
    try {
      const auto json = nlohmann::json::parse(line);
      runtime::Question question;
      json.at("actions").get_to(question.actions);
      json.at("answer").get_to(question.gold);
      question.gold_name = fmt::format("line {}", number);
      PL_CHECK(read_gold_rest(json, place, question));
      all.push_back(std::move(question));
    } catch (const nlohmann::json::exception&) {
      return make_error(Code::kParse, "is not {\"actions\": [texts], \"answer\": text}", place);
    }
  }
  return all;
}

base::Status read_limits(const Keys& keys, runtime::GuardOptions& options) {
  constexpr std::int64_t kDay = 86'400'000;
  PL_TRY(const std::int64_t deadline, keys.integer("deadline_ms", 1000, 1, kDay));
  PL_TRY(const std::int64_t margin, keys.integer("margin_ms", std::min<std::int64_t>(50, deadline / 4), 0, kDay));
  PL_TRY(const std::int64_t lease, keys.integer("lease_ms", 60'000, 100, kDay));
  PL_TRY(const std::int64_t undo, keys.integer("undo_ms", 0, 0, kDay));
  PL_TRY(const std::int64_t open, keys.integer("max_open", 10'000, 1, 1'000'000));
  PL_TRY(const std::int64_t remembered, keys.integer("remember", 1'000'000, 1, 100'000'000));
  PL_TRY(const std::int64_t columns, keys.integer("log_columns", 64, 0, 100'000));
  PL_TRY(const std::int64_t questions, keys.integer("max_queue", 1000, 0, 100'000));
  PL_TRY(const std::int64_t gold, keys.integer("gold_every", 20, 0, 1'000'000));
  options.deadline = deadline * kMillisecond;
  options.margin = margin * kMillisecond;
  options.queue.lease = lease * kMillisecond;
  options.queue.undo = undo * kMillisecond;
  options.max_open = static_cast<std::size_t>(open);
  options.remembered = static_cast<std::size_t>(remembered);
  options.context_columns = static_cast<std::size_t>(columns);
  options.queue.open = static_cast<std::size_t>(questions);
  options.queue.gold_every = static_cast<std::uint64_t>(gold);
  return base::ok();
}

/// What watches the decisions. Errors kValue: an unknown signal or assertion, a severity without drift.
base::Status read_monitors(const data::Manifest& manifest, const Keys& keys, runtime::MonitorOptions& options) {
  for (const std::string& word : keys.texts("drift")) {
    const auto signal = runtime::parse_drift_signal(word);
    if (!signal.ok()) return signal.error().at(keys.place() + " drift");
    options.drift.push_back(*signal);
  }
  for (const char* key : {"drift_run_length", "drift_severity"})
    if (options.drift.empty() && keys.has(key))
      return make_error(Code::kValue, fmt::format("{} is declared, and drift names no signal", key), keys.place(),
                        "Add drift = [\"input\"], or take the key out");
  options.run_length = keys.number("drift_run_length", options.run_length);
  options.drift_fails = keys.text("drift_severity") == "fail";
  PL_TRY(const std::int64_t units, keys.integer("watched_units", 10'000, 1, 10'000'000));
  options.units = static_cast<std::size_t>(units);
  PL_TRY(options.assertions, probe::read_assertions(manifest, keys.texts("assertions")));
  return base::ok();
}

/// The rule of starting. Without a case there is nothing to rule on, and only an explicit acceptance helps.
base::Result<runtime::StartDecision> judge(const data::Manifest& manifest, const Keys& keys, run::Session& session,
                                           const runtime::ClassifierParts& parts,
                                           const std::vector<std::string>& accept) {
  const std::string reference = manifest.guard->case_reference;
  if (reference.empty()) {
    runtime::StartDecision start;
    const bool accepted = std::find(accept.begin(), accept.end(), "case") != accept.end();
    start.obstacles.push_back({"case", "no assessed case is named", accepted});
    start.may_start = accepted;
    if (accepted) start.accepted = {"case"};
    for (const std::string& claim : accept)
      if (claim != "case")
        return make_error(Code::kValue, fmt::format("'{}' is accepted, but there is no case that claims it", claim),
                          keys.place());
    return start;
  }
  PL_TRY(const runtime::CaseReference where, runtime::parse_case_reference(reference, manifest.folder));
  PL_TRY(const runtime::AssessedCase assessed, runtime::read_case(manifest, where, checks::catalog(), session));
  return runtime::judge_start(
      assessed,
      {parts.model, parts.model_hash, parts.calibration, parts.calibration_fingerprint, parts.thresholds_hash()},
      accept);
}

/// Training rows that questions may show. A folder of fitted parts may outlive its training set: then none are shown.
ShownExamples shown_examples(run::Session& session, const runtime::ClassifierParts& parts) {
  if (parts.examples.source_rows.empty()) return {};
  const auto train = session.dataset(parts.train);
  if (!train.ok()) return {};
  return {**train, parts.examples.source_rows, session.examples_policy(parts.train)};
}

/// The table of [guard], where there is one, over the actions and columns of what it stands behind.
base::Result<std::shared_ptr<const runtime::FallbackTable>> read_fallback_table(
    const Keys& keys, const runtime::DeciderInfo& decider, const std::vector<std::string>& columns) {
  const std::string path = keys.path("table");
  if (path.empty()) {
    for (const char* key : {"table_margin", "controls", "states"}) {
      if (keys.has(key))
        return make_error(Code::kValue, fmt::format("{} is declared without a table", key), keys.place(),
                          "Name one under table; `plumbline reach GAME --table FILE` writes it");
    }
    return std::shared_ptr<const runtime::FallbackTable>();
  }
  PL_TRY(reach::ValueTable table, reach::read_table(path));
  PL_TRY(reach::SafetyFilter filter, reach::SafetyFilter::make(std::move(table), keys.number("table_margin", 0)));
  PL_TRY(std::vector<runtime::ActionControl> controls,
         runtime::parse_controls(keys.texts("controls"), keys.place() + " controls"));
  const std::vector<std::string> irreversible = keys.texts("irreversible");
  for (const runtime::ActionControl& one : controls)
    if (std::find(irreversible.begin(), irreversible.end(), one.action) != irreversible.end())
      return make_error(Code::kValue,
                        fmt::format("'{}' is irreversible, and the table would take it unasked", one.action),
                        keys.place(), "Leave it out of `controls` or of `irreversible`");
  std::vector<std::size_t> states;
  for (const std::string& name : keys.texts("states")) {
    const auto found = std::find(columns.begin(), columns.end(), name);
    if (found == columns.end())
      return make_error(Code::kValue,
                        fmt::format("there is no column '{}'; the columns are {}", name, fmt::join(columns, ", ")),
                        keys.place() + " states");
    states.push_back(static_cast<std::size_t>(found - columns.begin()));
  }
  if (!keys.has("states"))
    for (std::size_t a = 0; a < filter.game().axes.size(); ++a) states.push_back(a);
  auto made = runtime::FallbackTable::make(std::move(filter), std::move(controls), std::move(states), decider.actions,
                                           decider.input_size);
  if (!made.ok()) return made.error().at(keys.place());
  return std::make_shared<const runtime::FallbackTable>(std::move(made).value());
}

std::vector<std::string> column_names(const data::Dataset& set) {
  std::vector<std::string> names;
  for (const data::Column& column : set.table.columns) names.push_back(column.name);
  return names;
}

}  // namespace

base::Result<LogPlace> log_place(const data::Manifest& manifest, const std::map<std::string, std::string>& roots) {
  if (!manifest.guard)
    return make_error(Code::kValue, "has no section [guard]", manifest.path,
                      "Add one; docs/user/guard.md shows a short one");
  const Keys keys(manifest, roots);
  const std::string written = keys.text("log"), partition = keys.text("partition");
  if (runtime::is_database(written)) return LogPlace{written, partition};
  if (!partition.empty())
    return make_error(Code::kValue, "partition is declared, and the log is no database", keys.place(),
                      "Take the key out, or set log = \"postgresql://…\"");
  const std::string path = keys.path("log");
  return LogPlace{path.empty() ? manifest.folder + "/.plumbline/guard" : path, {}};
}

base::Result<runtime::CompactionOptions> compaction_options(const data::Manifest& manifest,
                                                            const std::map<std::string, std::string>& roots) {
  const Keys keys(manifest, roots);
  runtime::GuardOptions guard;
  PL_CHECK(read_limits(keys, guard));
  runtime::CompactionOptions options;
  PL_TRY(options.gold, read_gold(keys.path("gold")));
  options.queue = guard.queue;
  options.remembered = guard.remembered;
  PL_CHECK(read_monitors(manifest, keys, guard.monitors));
  options.watched = !guard.monitors.empty();
  return options;
}

base::Result<Started> start(const StartOptions& options) {
  data::ManifestOptions reading;
  reading.roots = options.roots;
  PL_TRY(const data::Manifest manifest, data::read_manifest(options.manifest, reading));
  Started started;
  PL_TRY(const LogPlace log, log_place(manifest, options.roots));
  started.log = log.place;
  started.journal.partition = log.partition;
  const Keys keys(manifest, options.roots);
  PL_CHECK(refuse_unserved(keys));
  PL_CHECK(read_limits(keys, started.options));
  PL_TRY(started.options.gold, read_gold(keys.path("gold")));
  PL_CHECK(read_monitors(manifest, keys, started.options.monitors));
  PL_TRY(started.journal.sync, runtime::parse_sync_policy(keys.text("sync", "group")));
  PL_TRY(const std::int64_t segment, keys.integer("segment_mib", 256, 1, 1 << 20));
  started.journal.segment_bytes = static_cast<std::uint64_t>(segment) << 20U;
  for (const std::string& action : keys.texts("irreversible")) started.options.irreversible.insert(action);
  started.address = options.listen.empty() ? keys.text("listen", "127.0.0.1:8077") : options.listen;
  started.tokens = keys.path("tokens");
  started.tls = {keys.path("certificate"), keys.path("key")};
  started.options.fallback = keys.text("fallback");
  started.options.shadow = options.shadow || keys.flag("shadow");

  run::Session session(manifest, worker::session_options("", manifest.folder));
  std::optional<runtime::ClassifierParts> parts;
  if (const std::string folder = keys.path("decider"); !folder.empty()) {
    PL_TRY(parts, runtime::load_parts(folder));
  } else {
    runtime::PartsOptions fitting = runtime::parts_options(manifest);
    PL_TRY(const std::int64_t neighbours, keys.integer("neighbours", 0, 0, 1000));
    if (neighbours > 0) fitting.examples = 20'000;
    PL_TRY(parts, runtime::fit_parts(session, fitting));
  }
  started.model = parts->model;

  std::vector<std::string> accept = keys.texts("accept");
  accept.insert(accept.end(), options.accept.begin(), options.accept.end());
  PL_TRY(started.start, judge(manifest, keys, session, *parts, accept));
  if (!started.start.may_start)
    return make_error(Code::kValue, "the guard may not start:\n" + started.start.text(), manifest.path,
                      "Settle the claims with `plumbline assess`, or take the risk by name with --accept CLAIM");
  started.options.accepted = started.start.accepted;

  PL_TRY(const caution::GuardPolicy policy, caution::read_policy(manifest, parts->model, parts->classes));
  const auto section = manifest.models.find(parts->model);
  if (section == manifest.models.end())
    return make_error(Code::kValue, fmt::format("there is no [model.{}], which the parts were fitted to", parts->model),
                      manifest.path);
  predict::OpenOptions open = worker::open_options(manifest.folder);
  // A call that outlives the deadline helps nobody.
  open.http.request_timeout = std::chrono::milliseconds(started.options.deadline / kMillisecond);
  open.http.connect_timeout = std::min(open.http.connect_timeout, open.http.request_timeout);
  PL_TRY(decision::PredictorPtr model, predict::open_predictor(section->second, open));
  PL_TRY(const data::DatasetPtr calibration, session.dataset(parts->calibration));
  started.options.columns = column_names(*calibration);
  if (started.options.columns.size() != static_cast<std::size_t>(parts->input_size)) started.options.columns.clear();
  started.examples = shown_examples(session, *parts);
  runtime::ClassifierDecider::Options deciding;
  deciding.case_hash = started.start.case_hash;
  PL_TRY(started.decider, runtime::ClassifierDecider::make(std::move(model), std::move(*parts), policy, deciding));
  PL_TRY(const auto table, read_fallback_table(keys, started.decider->info(), started.options.columns));
  if (table != nullptr) {
    started.options.fallback_policy = [table](const runtime::Request& request) {
      const runtime::FallbackTable::Verdict verdict = table->look(request.input);
      return verdict.safe ? std::string() : verdict.action;
    };
    started.decider = std::make_unique<runtime::FilteredDecider>(std::move(started.decider), table);
  }
  return started;
}

}  // namespace plumbline::guard
