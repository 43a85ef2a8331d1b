#include "plumbline/checks/counterfactual/logs.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/data/files.hpp"

namespace plumbline::checks {
namespace {

namespace ope = plumbline::counterfactual;
using ope::Estimator;

base::Error bad_section(const data::OtherSection& section, std::string message, std::string hint = {}) {
  return base::make_error(base::Code::kValue, std::move(message),
                          fmt::format("[{}.{}], line {}", section.kind, section.name, section.line), std::move(hint));
}

template <class T>
std::optional<T> value_at(const data::OtherSection& section, const std::string& key) {
  const auto found = section.keys.find(key);
  if (found == section.keys.end()) return std::nullopt;
  const T* value = std::get_if<T>(&found->second);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

}  // namespace

base::Result<LogPart> read_log_part(const data::OtherSection& section) {
  LogPart part;
  part.path = section.paths.at("path").resolved;
  data::LogOptions& o = part.reading;
  if (const std::string format = section.text("format"); !format.empty()) {
    PL_TRY(o.format, data::parse_log_format(format));
  }
  o.id = section.text("id");
  o.time = section.text("time");
  o.unit = section.text("unit");
  o.position = section.text("position");
  o.action = section.text("action");
  o.propensity = section.text("propensity");
  o.reward = section.text("reward");
  o.context = value_at<std::vector<std::string>>(section, "context").value_or(std::vector<std::string>{});
  if (const auto limit = value_at<std::int64_t>(section, "limit")) {
    if (*limit < 1) return bad_section(section, fmt::format("limit is {}, expected at least 1", *limit));
    o.limit = static_cast<std::size_t>(*limit);
  }
  if (const auto range = value_at<std::vector<double>>(section, "reward_range"))
    part.reward_range = std::pair(range->at(0), range->at(1));
  part.max_weight = value_at<double>(section, "max_weight");
  return part;
}

base::Result<ope::PolicySpec> read_rule(const data::OtherSection& section) {
  ope::PolicySpec spec;
  spec.rule = section.text("rule");
  spec.action = section.text("action");
  if (const auto path = section.paths.find("path"); path != section.paths.end()) spec.path = path->second.resolved;
  spec.epsilon = value_at<double>(section, "epsilon").value_or(0);
  const auto temperature = value_at<double>(section, "temperature");
  spec.temperature = temperature.value_or(0);
  const bool file = spec.rule == "table" || spec.rule == "linear" || spec.rule == "model" || spec.rule == "onnx";
  if (file == spec.path.empty())
    return bad_section(section, fmt::format("the rule {} {} a path", spec.rule, file ? "needs" : "does not take"));
  if ((spec.rule == "fixed") == spec.action.empty())
    return bad_section(
        section, fmt::format("the rule {} {} an action", spec.rule, spec.rule == "fixed" ? "needs" : "does not take"));
  if (temperature && spec.rule != "linear" && spec.rule != "onnx")
    return bad_section(section, fmt::format("the rule {} does not take a temperature", spec.rule));
  if (!section.text("agent").empty() || !section.text("script").empty())
    return bad_section(section, "has a rule beside an agent or a script", "a rule acts on logs, the others in worlds");
  return spec;
}

check::Plan plan_logs(const check::Blueprint& blueprint) {
  check::Plan plan;
  for (const std::string& name : sections_of(*blueprint.manifest, "log")) {
    check::Task task;
    task.subject = name;
    task.data = name;
    task.cost_seconds = 0.2;
    plan.tasks.push_back(std::move(task));
  }
  if (plan.tasks.empty()) plan.not_applicable = "the manifest has no [log.NAME]";
  return plan;
}

check::Plan plan_rules(const check::Blueprint& blueprint, const std::string& except) {
  check::Plan plan;
  const data::Manifest& manifest = *blueprint.manifest;
  const auto logs = sections_of(manifest, "log");
  bool any = false;
  for (const std::string& name : sections_of(manifest, "policy")) {
    const data::OtherSection& section = *manifest.other("policy", name);
    if (section.text("rule").empty() || name == except) continue;
    any = true;
    const auto wanted = value_at<std::vector<std::string>>(section, "logs");
    for (const std::string& log : logs) {
      if (wanted && std::find(wanted->begin(), wanted->end(), log) == wanted->end()) continue;
      check::Task task;
      task.subject = name + "@" + log;
      task.data = log;
      task.cost_seconds = 0.5;
      plan.tasks.push_back(std::move(task));
    }
  }
  if (plan.tasks.empty()) {
    plan.not_applicable = logs.empty() ? "the manifest has no [log.NAME]"
                          : !any       ? "the manifest has no [policy.NAME] with a rule"
                                       : "no policy is evaluated on any of the logs";
  }
  return plan;
}

std::vector<check::ParamSpec> value_params(std::vector<std::string> estimators) {
  return {{"estimators",
           std::move(estimators),
           {},
           {},
           {},
           "ips, snips, clipped, shrunk, direct, dr, sndr, switch, dr_shrunk, mrdr, auto (of values alone)"},
          {"ci",
           std::string("bootstrap"),
           {},
           {},
           {"bootstrap", "normal", "likelihood", "bernstein", "anytime"},
           "how bounds are made; likelihood is for ips and snips, bernstein and anytime for ips, clipped, shrunk"},
          {"replicates", std::int64_t{1000}, 100, 100000, {}, "of the bootstrap"},
          {"folds", std::int64_t{3}, 2, 20, {}, "of the reward model"},
          {"clip", 0.0, 0, 1e9, {}, "where clipped and switch cut weights; 0 = root of the number of decisions"},
          {"lambda", 0.0, 0, 1e12, {}, "of shrunk and dr_shrunk; 0 = the number of decisions"}};
}

base::Result<ope::ValueOptions> value_options(const check::Context& context, const check::Params& params,
                                              const LogPart& log) {
  ope::ValueOptions options;
  options.tuning.clip = params.real("clip");
  options.tuning.lambda = params.real("lambda");
  options.replicates = static_cast<std::size_t>(params.integer("replicates"));
  options.model.folds = static_cast<int>(params.integer("folds"));
  options.reward_range = log.reward_range;
  options.max_weight = log.max_weight;
  options.cancel = context.cancel();
  return options;
}

base::Result<std::vector<Estimator>> chosen_estimators(const check::Params& params, bool gain) {
  std::vector<Estimator> out;
  for (const std::string& name : params.texts("estimators")) {
    PL_TRY(const Estimator estimator, ope::parse_estimator(name));
    if (gain && estimator == Estimator::kAuto)
      return base::make_error(base::Code::kValue, "auto is for values, not for gains", "estimators");
    if (std::find(out.begin(), out.end(), estimator) != out.end())
      return base::make_error(base::Code::kValue, fmt::format("'{}' is named twice", name), "estimators");
    out.push_back(estimator);
  }
  if (out.empty()) return base::make_error(base::Code::kValue, "names none, expected at least one", "estimators");
  return out;
}

std::string rows_used(const ope::OpeRows& rows) {
  const std::string left = rows.excluded.words();
  return fmt::format("{} of {} decisions used{}{}", rows.size(), rows.logged, left.empty() ? "" : "; ", left);
}

base::Status write_fixture_log(const std::string& path, std::size_t rows, double epsilon, double claimed, double good,
                               base::Rng& rng) {
  constexpr std::size_t kActions = 4;
  constexpr double kRest = 0.4;
  std::string text;
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t x = rng.below(2);
    const std::size_t a = rng.bernoulli(epsilon) ? rng.below(kActions) : x;
    const double p = claimed / kActions + (a == x ? 1 - claimed : 0);
    const bool reward = rng.bernoulli(a == 2 ? good : kRest);
    text += fmt::format(
        "{{\"id\":\"{}\",\"time\":{},\"context\":{{\"x\":{}}},\"actions\":[\"c0\",\"c1\",\"c2\",\"c3\"],\"action\":\"c{"
        "}\","
        "\"propensity\":{},\"reward\":{}}}\n",
        i, i, x, a, p, reward ? 1 : 0);
  }
  return data::write_bytes(path, text);
}

base::Status write_rule_system(const std::string& folder, base::Rng& rng, double good, std::string_view check,
                               std::string_view text, std::string_view condition) {
  constexpr std::size_t kRows = 2000;
  const std::uint64_t seed = rng.bits() % 1000000000;
  PL_CHECK(write_fixture_log(folder + "/log.jsonl", kRows, 0.5, 0.5, good, rng));
  return write_fixture_manifest(
      folder, seed,
      fmt::format("[log.clicks]\npath = \"log.jsonl\"\n\n[policy.new]\nrule = \"fixed\"\naction = "
                  "\"c2\"\nepsilon = 0.1\n\n[check.\"{}\"]\nestimators = [\"dr\"]\nreplicates = 400\n",
                  check),
      fmt::format("text = \"{}\"\ncheck = \"{}\"\n{}", text, check, condition));
}

}  // namespace plumbline::checks
