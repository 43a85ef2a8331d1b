// learn: a policy from a log, or by deciding on labelled rows.
#include <algorithm>
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "apps/cli/policy_values.hpp"
#include "plumbline/counterfactual/learning/online.hpp"
#include "plumbline/counterfactual/learning/pessimistic.hpp"
#include "plumbline/data/csv.hpp"

namespace plumbline::cli {
namespace {

using base::Code;
using base::make_error;
using counterfactual::Outcome;
using counterfactual::PolicyValue;
using nlohmann::ordered_json;
namespace learning = counterfactual::learning;

constexpr const char* kPessimistic = "pessimistic";

/// Options that contradict each other, found before anything is read.
base::Status check(const LearnOptions& o) {
  const bool labels = !o.label.empty();
  const auto refuse = [](const std::string& what, const std::string& hint) {
    return make_error(Code::kValue, what, {}, hint);
  };
  if (o.algorithm == kPessimistic && labels)
    return refuse("pessimistic learns at once from a log, and --label makes a table of one row at a time",
                  "take another algorithm, write --log-out, and learn from that log");
  if (o.algorithm == kPessimistic && (!o.resume.empty() || o.skip > 0))
    return refuse("pessimistic learns from a whole log and takes nothing up", "leave --resume and --skip out");
  if (!o.resume.empty() && !o.algorithm.empty())
    return refuse("a policy that is taken up keeps its algorithm and its settings", "leave --algorithm out");
  if (!o.log_out.empty() && !labels)
    return refuse("the decisions of a log were another policy's", "--log-out needs --label");
  if (!labels && (o.no_header || o.shuffle || !o.separator.empty()))
    return refuse("--no-header, --separator and --shuffle are for tables", "name the right action by --label COLUMN");
  if ((o.keep > 0) != !o.baseline.empty() && o.resume.empty())
    return refuse("--keep and --baseline belong together", "for example --keep 0.9 --baseline fixed:ACTION");
  if (o.keep > 0 && !labels)
    return refuse("a conservative policy must decide itself, and in a log another has decided", "--keep needs --label");
  return base::ok();
}

double default_epsilon(learning::Algorithm algorithm) {
  switch (algorithm) {
    case learning::Algorithm::kEpsilonGreedy: return 0.1;
    case learning::Algorithm::kLinUcb:
    case learning::Algorithm::kBagging: return 0.05;
    default: return 0;
  }
}

/// The policy to begin with: what was saved, or a new one for these actions and this context.
base::Result<learning::LearnedPolicy> first_policy(const Session& session, const std::vector<std::string>& actions,
                                                   const data::Table& context) {
  const LearnOptions& o = session.options.learn;
  if (!o.resume.empty()) return learning::read_policy(o.resume);
  learning::LearnedPolicy policy;
  policy.actions = actions;
  policy.features = learning::FeatureMap::of(context);
  policy.seed = session.options.seed;
  learning::LearnerOptions options;
  PL_TRY(options.algorithm, learning::parse_algorithm(o.algorithm.empty() ? "squarecb" : o.algorithm));
  options.epsilon = o.epsilon >= 0 ? o.epsilon : default_epsilon(options.algorithm);
  options.temperature = o.temperature;
  options.width = o.width;
  options.gamma = o.gamma;
  options.ridge = o.ridge;
  options.bags = o.bags;
  options.seed = session.options.seed;
  PL_TRY(policy.learner, learning::Learner::make(actions.size(), policy.features.size(), options));
  if (o.keep > 0) {
    learning::ConservativeOptions keeping{.keep = o.keep, .confidence = o.confidence};
    keeping.most = std::max(keeping.most, 1 - o.keep);
    PL_TRY(policy.budget, learning::ConservativeBudget::make(keeping));
    policy.baseline_rule = o.baseline;
  }
  return policy;
}

void print_curve(const std::vector<std::pair<std::size_t, double>>& curve) {
  constexpr std::size_t kLines = 8;
  std::cout << "\nRows        mean so far\n";
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const bool shown = curve.size() <= kLines || i % (curve.size() / kLines) == 0 || i + 1 == curve.size();
    if (shown && curve[i].first >= 10) std::cout << fmt::format("{:<11} {:.4f}\n", curve[i].first, curve[i].second);
  }
}

ordered_json curve_json(const std::vector<std::pair<std::size_t, double>>& curve) {
  ordered_json out = ordered_json::array();
  for (const auto& [rows, mean] : curve) out.push_back({{"rows", rows}, {"mean", mean}});
  return out;
}

std::string saved_words(const LearnOptions& o) {
  std::string out;
  if (!o.save.empty())
    out += fmt::format("\nPolicy      {} (estimate --policy model:{})", printable(o.save), printable(o.save));
  if (!o.log_out.empty()) out += fmt::format("\nDecisions   {}", printable(o.log_out));
  return out.empty() ? out : out + "\n";
}

void print_json(const ordered_json& out) {
  std::cout << out.dump(2, ' ', false, ordered_json::error_handler_t::replace) << "\n";
}

ordered_json json_head(const Session& session, std::string_view algorithm) {
  const LearnOptions& o = session.options.learn;
  return {{"data", o.data.path},
          {"algorithm", algorithm},
          {"seed", session.options.seed},
          {"saved", o.save.empty() ? ordered_json(nullptr) : ordered_json(o.save)},
          {"log", o.log_out.empty() ? ordered_json(nullptr) : ordered_json(o.log_out)}};
}

std::string policy_name(const learning::LearnedPolicy& policy) {
  const std::string name(learning::algorithm_name(policy.learner->options().algorithm));
  return policy.budget ? fmt::format("{}, which keeps {:.4g} of {}", name, policy.budget->options().keep,
                                     printable(policy.baseline_rule))
                       : name;
}

base::Status save(const LearnOptions& o, const learning::LearnedPolicy& policy) {
  return o.save.empty() ? base::ok() : learning::write_policy(o.save, policy);
}

base::Result<int> learn_labels(const Session& session) {
  const LearnOptions& o = session.options.learn;
  data::TableOptions reading;
  reading.header = !o.no_header;
  if (o.separator == "tab")
    reading.separator = '\t';
  else if (o.separator.size() == 1)
    reading.separator = o.separator[0];
  else if (!o.separator.empty())
    return make_error(Code::kValue, "--separator takes one character, or tab");
  PL_TRY(data::Table table, data::read_csv(o.data.path, reading));
  std::optional<std::uint64_t> shuffle;
  if (o.shuffle) shuffle = session.options.seed;
  PL_TRY(const learning::LabelledRows rows, learning::labelled_rows(std::move(table), o.label, o.data.path, shuffle));
  PL_TRY(learning::LearnedPolicy policy, first_policy(session, rows.log.action_names, rows.log.context));
  const std::size_t all = rows.label.size();
  const std::size_t last = o.data.limit > 0 ? std::min(all, o.skip + o.data.limit) : all;
  PL_TRY(const learning::OnlineRun run,
         learning::learn_from_labels(policy, rows, {.first = o.skip, .last = last, .cancel = session.cancel}));
  PL_CHECK(save(o, policy));
  if (!o.log_out.empty()) PL_CHECK(data::write_decision_log(o.log_out, run.decisions));

  if (session.options.json) {
    ordered_json out = json_head(session, learning::algorithm_name(policy.learner->options().algorithm));
    out["label"] = o.label;
    out["rows"] = run.rows;
    out["rows_in_all"] = policy.rows;
    out["actions"] = policy.actions.size();
    out["features"] = policy.features.size();
    out["features_left_out"] = run.features_left_out;
    out["earned"] = {{"value", run.progressive.value},
                     {"low", json_number(run.progressive.low(kLevel))},
                     {"high", json_number(run.progressive.high(kLevel))},
                     {"expected", *run.expected}};
    out["uniform"] = *run.uniform;
    out["best_fixed"] = {{"action", run.best_action}, {"value", *run.best_fixed}};
    out["conservative"] = policy.budget ? ordered_json{{"baseline", policy.baseline_rule},
                                                       {"keep", policy.budget->options().keep},
                                                       {"confidence", policy.budget->options().confidence},
                                                       {"excess", policy.budget->excess()},
                                                       {"excess_low", policy.budget->lower()},
                                                       {"learner_share", policy.budget->share()}}
                                        : ordered_json(nullptr);
    out["curve"] = curve_json(run.curve);
    print_json(out);
    return 0;
  }
  std::cout << fmt::format("{} on {}, right action in '{}'\n\n", policy_name(policy), printable(o.data.path),
                           printable(o.label));
  std::cout << fmt::format("Rows        {}{}; {} actions, {} features{}\n", run.rows,
                           o.resume.empty() ? "" : fmt::format(" after {}", policy.rows - run.rows),
                           policy.actions.size(), policy.features.size(),
                           run.features_left_out > 0 ? fmt::format(", {} left out", run.features_left_out) : "");
  std::cout << fmt::format("Earned      {:.4f} {} a row while learning; {:.4f} expected over its draws, exactly\n",
                           run.progressive.value, bounds_text(run.progressive), *run.expected);
  std::cout << fmt::format("Beside it   {:.4f} by '{}' always, {:.4f} by chance\n", *run.best_fixed,
                           printable(run.best_action), *run.uniform);
  if (policy.budget)
    std::cout << fmt::format(
        "Kept        value so far is above {:.4g} of the baseline's by {:.4g} rewards (at least {:.4g}, at any time, "
        "with "
        "confidence {:.4g}); the learner decides {:.3f} of the rows now\n",
        policy.budget->options().keep, policy.budget->excess(), std::max(0.0, policy.budget->lower()),
        policy.budget->options().confidence, policy.budget->share());
  print_curve(run.curve);
  std::cout << saved_words(o);
  return 0;
}

int status_of(const std::vector<PolicyValue>& values) {
  return std::any_of(values.begin(), values.end(),
                     [](const PolicyValue& v) { return v.outcome != Outcome::kCannotSay; })
             ? 0
             : 3;
}

base::Result<int> learn_log(const Session& session) {
  const LearnOptions& o = session.options.learn;
  PL_TRY(data::LogOptions reading, log_options(o.data));
  if (reading.limit > 0) reading.limit += o.skip;
  PL_TRY(const data::DecisionLog log, data::read_decision_log(o.data.path, reading));
  PL_TRY(learning::LearnedPolicy policy, first_policy(session, log.action_names, log.context));
  const base::Rng rng(session.options.seed, {"learn", "judge"});
  PL_TRY(const learning::OnlineRun run,
         learning::learn_from_log(policy, log, {.first = o.skip, .last = log.rows(), .cancel = session.cancel}, rng));
  PL_CHECK(save(o, policy));
  const int status = status_of(run.values);
  if (session.options.json) {
    ordered_json out = json_head(session, learning::algorithm_name(policy.learner->options().algorithm));
    out["rows"] = run.rows;
    out["rows_in_all"] = policy.rows;
    out["excluded"] = run.excluded.words();
    out["features"] = policy.features.size();
    out["features_left_out"] = run.features_left_out;
    out["logged"] = run.logged;
    out["values"] = ordered_json::array();
    for (const PolicyValue& v : run.values) out["values"].push_back(value_json(v));
    out["curve"] = curve_json(run.curve);
    print_json(out);
    return status;
  }
  const std::string left = run.excluded.words();
  std::cout << fmt::format("{} from {}\n\n", policy_name(policy), printable(o.data.path));
  std::cout << fmt::format("Decisions   {} learned from{}{}; {} features\n", run.rows, left.empty() ? "" : "; ", left,
                           policy.features.size());
  std::cout << fmt::format("Logged      {:.6g}\n", run.logged);
  std::cout << "\nValue of its own decisions while it learned, each judged before it was learned from, 95 %\n";
  for (const PolicyValue& v : run.values) print_value(v);
  std::cout << saved_words(o);
  return status;
}

base::Result<int> learn_pessimistic(const Session& session) {
  const LearnOptions& o = session.options.learn;
  PL_TRY(const data::LogOptions reading, log_options(o.data));
  PL_TRY(const data::DecisionLog log, data::read_decision_log(o.data.path, reading));
  learning::PessimisticOptions options;
  options.penalty = o.penalty;
  options.cancel = session.cancel;
  counterfactual::ValueOptions judging;
  judging.cancel = session.cancel;
  PL_TRY(const learning::PessimisticFit fit, learning::learn_pessimistic(log, options, judging, session.options.seed));
  PL_CHECK(save(o, fit.policy));
  const int status = status_of(fit.values);
  // Better than what logged, or not shown to be.
  const auto gain = fit.gains.back().estimate.low(kLevel);
  const bool better = fit.gains.back().outcome != Outcome::kCannotSay && gain && *gain > 0;
  if (session.options.json) {
    ordered_json out = json_head(session, kPessimistic);
    out["penalty"] = o.penalty;
    out["fitted"] = fit.fitted;
    out["judged"] = fit.judged;
    out["excluded"] = fit.excluded.words();
    out["iterations"] = fit.iterations;
    out["objective"] = fit.objective;
    out["logged"] = fit.logged;
    out["shown_better"] = better;
    for (const auto& [key, values] : {std::pair("values", &fit.values), std::pair("gains", &fit.gains)}) {
      out[key] = ordered_json::array();
      for (const PolicyValue& v : *values) out[key].push_back(value_json(v));
    }
    print_json(out);
    return status;
  }
  const std::string left = fit.excluded.words();
  std::cout << fmt::format("pessimistic from {}\n\n", printable(o.data.path));
  std::cout << fmt::format("Decisions   {} learned from, {} kept for judging{}{}\n", fit.fitted, fit.judged,
                           left.empty() ? "" : "; ", left);
  std::cout << fmt::format("Objective   {:.6g}: lower bound on the rows learned from, {} iterations\n", fit.objective,
                           fit.iterations);
  std::cout << fmt::format("Logged      {:.6g} on the judging rows\n", fit.logged);
  std::cout << "\nValue on the judging rows, 95 %\n";
  for (const PolicyValue& v : fit.values) print_value(v);
  std::cout << "\nGain over the logged policy, on the same decisions\n";
  for (const PolicyValue& v : fit.gains) print_value(v);
  if (!better)
    std::cout << "\nNot shown to earn more than the logged policy: keep that one, or log more of the other actions.\n";
  std::cout << saved_words(o);
  return status;
}

}  // namespace

base::Result<int> run_learn(const Session& session) {
  const LearnOptions& o = session.options.learn;
  PL_CHECK(check(o));
  if (!o.label.empty()) return learn_labels(session);
  return o.algorithm == kPessimistic ? learn_pessimistic(session) : learn_log(session);
}

}  // namespace plumbline::cli
