// causal effect: what a treatment does to an outcome, with everything that speaks for and against the answer.
#include <algorithm>
#include <cmath>
#include <iostream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "apps/cli/causal_input.hpp"
#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "plumbline/counterfactual/effects/report.hpp"
#include "plumbline/data/csv.hpp"

namespace plumbline::cli {
namespace {

namespace effects = counterfactual::effects;
using counterfactual::Outcome;
using counterfactual::outcome_name;
using nlohmann::ordered_json;

base::Result<effects::Question> read_question(const Session& session) {
  const EffectOptions& e = session.options.effect;
  effects::Question q;
  q.columns = {e.treatment, e.outcome, e.covariates, e.treated, e.instruments, e.running, e.unit,
               e.time,      e.cluster, e.negatives,  {}};
  PL_TRY(q.estimand, effects::parse_estimand(e.estimand));
  for (const std::string& name : e.methods) {
    PL_TRY(const effects::Method method, effects::parse_method(name));
    q.methods.push_back(method);
  }
  PL_TRY(q.learner, effects::parse_learner(e.learner));
  q.matches = e.matches;
  if (e.has_cutoff) q.cutoff = e.cutoff;
  if (e.bandwidth > 0) q.bandwidth = e.bandwidth;
  q.groups = e.groups;
  q.experiment = e.experiment;
  q.attack = !e.no_attack;
  q.cancel = session.cancel;
  if (!e.graph.empty()) {
    PL_TRY(q.graph, read_graph(e.graph, e.section, session.options));
  }
  return q;
}

/// Numbers that JSON has no word for become null.
ordered_json number(double v) { return std::isfinite(v) ? ordered_json(v) : ordered_json(nullptr); }

ordered_json figure_json(const effects::Figure& f) {
  ordered_json out = {{"label", f.label},
                      {"estimand", f.estimand},
                      {"outcome", outcome_name(f.outcome)},
                      {"reasons", f.reasons},
                      {"value", nullptr},
                      {"low", nullptr},
                      {"high", nullptr},
                      {"level", 0.95},
                      {"standard_error", nullptr},
                      {"method", f.estimate.method}};
  if (f.outcome == Outcome::kCannotSay) return out;
  out["value"] = number(f.estimate.value);
  if (f.estimate.low()) out["low"] = number(*f.estimate.low());
  if (f.estimate.high()) out["high"] = number(*f.estimate.high());
  if (f.standard_error > 0) out["standard_error"] = number(f.standard_error);
  return out;
}

ordered_json sensitivity_json(const effects::Report& r) {
  ordered_json out = ordered_json::object();
  if (r.partial) {
    ordered_json benchmarks = ordered_json::array();
    for (const effects::Benchmark& b : r.partial->benchmarks)
      benchmarks.push_back({{"covariate", b.covariate},
                            {"with_treatment", b.with_treatment},
                            {"with_outcome", b.with_outcome},
                            {"left", b.left ? number(*b.left) : ordered_json(nullptr)}});
    out["partial_r2"] = {{"estimate", number(r.partial->estimate)},
                         {"of_treatment", number(r.partial->of_treatment)},
                         {"robustness", number(r.partial->robustness)},
                         {"robustness_at_0.05", number(r.partial->robustness_at_level)},
                         {"benchmarks", benchmarks}};
  }
  if (r.e_value)
    out["e_value"] = {
        {"figure", r.e_value->figure}, {"bound", r.e_value->bound}, {"approximate", r.e_value->approximate}};
  if (r.rosenbaum)
    out["rosenbaum"] = {
        {"pairs", r.rosenbaum->pairs}, {"p_value", r.rosenbaum->p_value}, {"gamma", r.rosenbaum->gamma}};
  return out;
}

ordered_json report_json(const effects::Report& r) {
  ordered_json out = {{"question", r.question},
                      {"design", effects::design_name(r.design)},
                      {"experiment", r.experiment},
                      {"answer", figure_json(r.answer)},
                      {"others", ordered_json::array()},
                      {"groups", ordered_json::array()},
                      {"assumptions", r.assumptions},
                      {"warnings", r.warnings},
                      {"rows", r.rows},
                      {"covariates", r.adjusted}};
  for (const effects::Figure& f : r.others) out["others"].push_back(figure_json(f));
  for (const effects::Figure& f : r.groups) out["groups"].push_back(figure_json(f));
  out["facts"] = ordered_json::array();
  for (const auto& fact : r.facts) out["facts"].push_back({{"name", fact.first}, {"value", number(fact.second)}});
  if (r.region) {
    out["region"] = {{"method", r.region->method}, {"level", 0.95}, {"pieces", ordered_json::array()}};
    for (const auto& piece : r.region->pieces)
      out["region"]["pieces"].push_back({number(piece.first), number(piece.second)});
  }
  if (r.overlap)
    out["overlap"] = {{"lowest_propensity", number(r.overlap->lowest)},
                      {"highest_propensity", number(r.overlap->highest)},
                      {"outside", number(r.overlap->outside)},
                      {"effective_treated", r.overlap->size_treated},
                      {"effective_untreated", r.overlap->size_untreated},
                      {"largest_share_treated", r.overlap->largest_treated},
                      {"largest_share_untreated", r.overlap->largest_untreated}};
  out["balance"] = ordered_json::array();
  for (const effects::Balance& b : r.balance)
    out["balance"].push_back({{"column", b.column}, {"before", number(b.before)}, {"after", number(b.after)}});
  out["attacks"] = ordered_json::array();
  for (const effects::Probe& p : r.probes)
    out["attacks"].push_back({{"kind", p.kind},
                              {"name", p.name},
                              {"value", number(p.value)},
                              {"low", number(p.low)},
                              {"high", number(p.high)},
                              {"p", number(p.p)},
                              {"alarming", p.alarming},
                              {"words", p.words}});
  out["hidden_confounder"] = sensitivity_json(r);
  return out;
}

std::string interval(const stats::Estimate& e) {
  if (!e.low() || !e.high()) return fmt::format("{:.6g}, no bounds", e.value);
  return fmt::format("{:.6g} [{:.6g}, {:.6g}]", e.value, *e.low(), *e.high());
}

void print_figures(const char* title, const std::vector<effects::Figure>& figures) {
  if (figures.empty()) return;
  std::cout << "\n" << title << "\n";
  for (const effects::Figure& f : figures) {
    const std::string value = f.outcome == Outcome::kCannotSay ? "cannot say" : interval(f.estimate);
    std::cout << fmt::format("  {:<22} {}{}\n", printable(f.label), value,
                             f.reasons.empty() ? "" : printable(fmt::format(": {}", fmt::join(f.reasons, "; "))));
  }
}

std::string piece_text(const std::pair<double, double>& piece) {
  const auto end = [](double v) {
    return std::isinf(v) ? std::string(v < 0 ? "-inf" : "inf") : fmt::format("{:.6g}", v);
  };
  return fmt::format("[{}, {}]", end(piece.first), end(piece.second));
}

void print_region(const effects::Region& region) {
  std::vector<std::string> pieces;
  for (const auto& piece : region.pieces) pieces.push_back(piece_text(piece));
  std::cout << fmt::format("  {} set at 0.95: {}\n", region.method,
                           pieces.empty() ? "empty" : fmt::format("{}", fmt::join(pieces, " and ")));
}

void print_balance(const effects::Report& r) {
  if (r.balance.empty()) return;
  std::vector<effects::Balance> sorted = r.balance;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return std::abs(a.before) > std::abs(b.before); });
  std::cout << "\nBalance: difference of means in deviations, before and after weighting\n";
  constexpr std::size_t kShown = 12;
  for (std::size_t i = 0; i < std::min(kShown, sorted.size()); ++i)
    std::cout << fmt::format("  {:<22} {:+.3f}  {}\n", printable(sorted[i].column), sorted[i].before,
                             std::isnan(sorted[i].after) ? "" : fmt::format("{:+.3f}", sorted[i].after));
  if (sorted.size() > kShown) std::cout << fmt::format("  and {} more, no larger before\n", sorted.size() - kShown);
}

void print_overlap(const effects::Overlap& o) {
  std::cout << "\nOverlap\n";
  if (!std::isnan(o.lowest))
    std::cout << fmt::format("  propensities from {:.4f} to {:.4f}; {:.1f} % hardly had a choice\n", o.lowest,
                             o.highest, 100 * o.outside);
  std::cout << fmt::format("  worth {:.1f} treated and {:.1f} untreated rows; largest weights {:.1f} % and {:.1f} %\n",
                           o.size_treated, o.size_untreated, 100 * o.largest_treated, 100 * o.largest_untreated);
}

void print_probes(const effects::Report& r) {
  if (r.probes.empty()) return;
  std::cout << "\nAttacks\n";
  for (const effects::Probe& p : r.probes) {
    std::string line = fmt::format("  {} {}",
                                   p.alarming                                                        ? "!"
                                   : p.kind == "without" && !std::isnan(p.value) && !p.words.empty() ? "?"
                                                                                                     : " ",
                                   printable(fmt::format("{} ({})", p.kind, p.name)));
    if (!std::isnan(p.value) && p.kind != "placebo treatment") {
      line += fmt::format(": {:.5g}", p.value);
      if (!std::isnan(p.low)) line += fmt::format(" [{:.5g}, {:.5g}]", p.low, p.high);
    }
    if (!std::isnan(p.p)) line += fmt::format(", p {:.3g}", p.p);
    if (!p.words.empty())
      line += fmt::format("{} {}", std::isnan(p.value) && std::isnan(p.p) ? ":" : ";", printable(p.words));
    std::cout << line << "\n";
  }
}

void print_sensitivity(const effects::Report& r) {
  if (!r.partial && !r.e_value && !r.rosenbaum) return;
  std::cout << "\nA hidden confounder would take the effect away\n";
  if (r.partial) {
    std::cout << fmt::format(
        "  if it explained {:.1f} % of what is left of treatment and outcome (least squares figure {:.5g}); {:.1f} % "
        "to "
        "lose its sign at 0.95\n",
        100 * r.partial->robustness, r.partial->estimate, 100 * r.partial->robustness_at_level);
    if (!r.partial->benchmarks.empty()) {
      const effects::Benchmark& b = r.partial->benchmarks.front();
      const std::string strength =
          fmt::format("{} ({:.1f} % and {:.1f} %)", b.covariate, 100 * b.with_treatment, 100 * b.with_outcome);
      std::cout << printable(b.left ? fmt::format("  one as strong as {} would leave {:.5g}", strength, *b.left)
                                    : fmt::format("  none can be as strong as {}", strength))
                << "\n";
    }
  }
  if (r.e_value)
    std::cout << fmt::format(
        "  if it were tied to both by a risk ratio of {:.2f}{}; {:.2f} for the near bound (E-value)\n",
        r.e_value->figure, r.e_value->approximate ? ", about" : "", r.e_value->bound);
  if (r.rosenbaum)
    std::cout << fmt::format(
        "  if it changed the odds of treatment within pairs by more than {:.2f} ({} pairs, p {:.3g} without one)\n",
        r.rosenbaum->gamma, r.rosenbaum->pairs, r.rosenbaum->p_value);
}

void print_text(const effects::Report& r) {
  std::cout << printable(fmt::format("Question    {}?", r.question)) << "\n";
  std::cout << printable(fmt::format("Rows        {}", r.rows)) << "\n";
  if (r.experiment == "none")
    std::cout << "Experiment  none could answer it\n";
  else
    std::cout << printable(fmt::format("Experiment  {}", r.experiment)) << "\n";
  if (!r.adjusted.empty())
    std::cout << printable(fmt::format("{}    {}",
                                       r.design == effects::Design::kDiscontinuity ? "Tested  " : "Adjusted",
                                       fmt::join(r.adjusted, ", ")))
              << "\n";
  std::cout << "\n";
  if (r.cannot_say()) {
    std::cout << printable(fmt::format("Answer      cannot say: {}", fmt::join(r.answer.reasons, "; "))) << "\n";
  } else {
    std::cout << fmt::format("Answer      {}  ({}, {}, standard error {:.4g})\n", interval(r.answer.estimate),
                             r.answer.label, r.answer.estimand, r.answer.standard_error);
    for (const std::string& reason : r.answer.reasons) std::cout << printable("  warning: " + reason) << "\n";
  }
  if (r.region) print_region(*r.region);
  for (const std::string& warning : r.warnings) std::cout << printable("  " + warning) << "\n";
  if (!r.assumptions.empty()) {
    std::cout << "\nIt assumes\n";
    for (const std::string& a : r.assumptions) std::cout << printable("  - " + a) << "\n";
  }
  print_figures("Other readings", r.others);
  print_figures("By group", r.groups);
  if (!r.facts.empty()) {
    std::cout << "\nDesign\n";
    for (const auto& fact : r.facts)
      std::cout << printable(fmt::format("  {:<28} {:.6g}", fact.first, fact.second)) << "\n";
  }
  if (r.overlap) print_overlap(*r.overlap);
  print_balance(r);
  print_probes(r);
  print_sensitivity(r);
}

}  // namespace

base::Result<int> run_causal_effect(const Session& session) {
  const EffectOptions& e = session.options.effect;
  data::TableOptions reading;
  PL_TRY(reading.separator, parse_separator(e.separator));
  PL_TRY(const effects::Question question, read_question(session));
  PL_TRY(const data::Table table, data::read_csv(e.data, reading));
  auto answered = effects::answer_question(table, question, base::Rng(session.options.seed, {"causal effect"}));
  if (!answered.ok()) return answered.error().at(e.data);
  if (session.options.json)
    std::cout << report_json(*answered).dump(2, ' ', false, ordered_json::error_handler_t::replace) << "\n";
  else
    print_text(*answered);
  return answered->cannot_say() ? 3 : 0;
}

}  // namespace plumbline::cli
