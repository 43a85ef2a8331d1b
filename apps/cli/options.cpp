#include "apps/cli/options.hpp"

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

namespace plumbline::cli {
namespace {

constexpr const char* kFooter = R"(
Exit status: 0 yes (every claim of severity fail is supported), 1 no (one is refuted), 2 bad usage or bad input,
3 cannot say (some undetermined), 4 something was not evaluated or a check ended in error, 130 interrupted.

Examples:
  plumbline init reader --kind images
  plumbline init desk --kind world
  plumbline assess system.toml --out report
  plumbline checks show robustness.ood
  plumbline estimate log.jsonl --policy fixed:b --epsilon 0.1
  plumbline learn log.jsonl --algorithm pessimistic --save policy.json
  plumbline causal query sirens.bif --target sirens --evidence weather=bad --do accident=no
  plumbline gauntlet --worlds boat_race --agents optimal,q_learning
  plumbline guard system.toml --listen 127.0.0.1:8077
  plumbline serve --guard http://127.0.0.1:8077
)";

void add_manifest(CLI::App* command, Options& o) {
  command->add_option("manifest", o.manifest, "The manifest, system.toml")->required();
}

void add_roots(CLI::App* command, std::vector<std::string>& roots) {
  command->add_option(
      "--root", roots,
      "NAME=DIR: a named root for paths such as data:mnist/x.gz (PLUMBLINE_DATA is the root named data)");
}

void add_store(CLI::App* command, Options& o) {
  command->add_option("--store", o.store,
                      "The evidence store (default: .plumbline/store.db beside the manifest, or in this folder)");
}

void add_json(CLI::App* command, Options& o) {
  command->add_flag("--json", o.json, "Print JSON and nothing else on standard output");
}

void add_workers(CLI::App* command, Options& o) {
  command->add_option("--jobs,-j", o.jobs, "Worker processes (default: one a core)")->check(CLI::Range(1, 256));
  command->add_option("--timeout", o.timeout, "Seconds after which a task is stopped")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--memory", o.memory_gib, "Address space of a worker, GiB; 0 = unlimited")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

constexpr const char* kGauntletFooter = R"(
Examples:
  plumbline gauntlet --worlds boat_race --agents optimal,q_learning
  plumbline gauntlet --worlds potemkin_villages --asking cost --agents guard:slips:expected/accuracy=0.9
  plumbline gauntlet --worlds delegation --pressure --agents conformal:soft/alpha=0.2,shielded
)";

constexpr const char* kEffectFooter = R"(
Exit status: 0 an answer (which may warn), 2 bad usage or bad input, 3 cannot say.

The options choose the design: --running with --cutoff a regression discontinuity, --instrument an instrument, --unit with
--time differences in differences, otherwise everything that moved both treatment and outcome must be among the covariates.

Examples:
  plumbline causal effect trial.csv --treatment drug --outcome pressure
  plumbline causal effect jobs.csv --treatment treat --outcome re78 --covariates age,educ,race,re74,re75 --estimand ATT
  plumbline causal effect votes.csv --outcome vote --running margin --cutoff 0
  plumbline causal effect school.csv --treatment educ --outcome lwage --instrument nearc4 --covariates exper,black
  plumbline causal effect panel.csv --treatment law --outcome jobs --unit county --time year
)";

void add_effect(CLI::App& causal, Options& o) {
  EffectOptions& e = o.effect;
  auto* effect =
      causal.add_subcommand("effect", "What does a treatment do to an outcome, and how far can the answer be trusted?");
  effect->add_option("data", e.data, "A table, CSV, one row a unit (with --time a unit and period)")->required();
  effect->add_option("--treatment", e.treatment, "Column of what is done: two values, or a number with --instrument");
  effect->add_option("--outcome", e.outcome, "Column of what comes of it: numbers")->required();
  effect->add_option("--treated", e.treated,
                     "The value that counts as treated (default: the larger, or the later word)");
  effect
      ->add_option("--covariates", e.covariates,
                   "Columns of what was there before, or all; age^2, age*educ, re74=0 and cat(school) are made")
      ->delimiter(',');
  effect->add_option("--estimand", e.estimand, "Over all rows, over the treated, over rows that might go either way")
      ->check(CLI::IsMember({"ATE", "ATT", "ATO"}, CLI::ignore_case))
      ->capture_default_str();
  effect
      ->add_option("--method", e.methods,
                   "aipw, tmle, ipw, entropy, match, match_propensity, regression, ols, overlap, difference; the first "
                   "gives the answer (default: aipw, and the others beside it)")
      ->delimiter(',');
  effect->add_option("--learner", e.learner, "Models inside aipw and tmle: linear and logistic, or boosted trees")
      ->check(CLI::IsMember({"linear", "trees"}))
      ->capture_default_str();
  effect->add_option("--matches", e.matches, "Neighbours of a row, of match")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  effect->add_option("--groups", e.groups, "A covariate: the effect by its levels or quarters");
  effect->add_option("--instrument", e.instruments, "Columns that move the treatment as if by lot")->delimiter(',');
  effect->add_option("--running", e.running, "Column that decides at the cut-off");
  effect->add_option("--cutoff", e.cutoff, "Where it decides; rows at it count as above")
      ->each([&e](const std::string&) { e.has_cutoff = true; });
  effect->add_option("--bandwidth", e.bandwidth, "Around the cut-off (default: the one with the least error)")
      ->check(CLI::PositiveNumber);
  effect->add_option("--unit", e.unit, "Column that names who is followed over time");
  effect->add_option("--time", e.time, "Column of the period, a number");
  effect->add_option("--cluster", e.cluster, "Column of groups whose rows are not independent");
  effect->add_option("--negative", e.negatives, "Outcomes that the treatment cannot have moved: attacks")
      ->delimiter(',');
  effect->add_option("--graph", e.graph, "A causal graph or a manifest: chooses or checks the covariates");
  effect->add_option("--section", e.section, "NAME of the manifest's [graph.NAME], when it has several");
  effect->add_option("--experiment", e.experiment,
                     "The experiment that would answer the question, in words; none: there is no such experiment");
  effect->add_flag("--no-attack", e.no_attack, "Leave out placebo treatments, cut-offs and left-out covariates");
  effect->add_option("--separator", e.separator, "Between columns, when it is not found out: one character, or space");
  effect->add_option("--seed", o.seed, "Of folds and placebos")->capture_default_str();
  effect->footer(kEffectFooter);
  add_json(effect, o);
}

/// How the file of a decision log is read.
void add_log_file(CLI::App* command, LogFile& log) {
  command->add_option("--format", log.format, "Of the log, when its name does not say")
      ->check(CLI::IsMember({"jsonl", "npz", "vw", "dsjson", "obd", "csv"}));
  command->add_option("--action", log.action, "CSV: column of the action taken");
  command->add_option("--propensity", log.propensity, "CSV: column of its probability");
  command->add_option("--reward", log.reward, "CSV: column of the reward");
  command->add_option("--context", log.context, "CSV: columns of the context (default: all others)")->delimiter(',');
  command->add_option("--id", log.id, "CSV: column that names the decision");
  command->add_option("--time", log.time, "CSV: column of the time");
  command->add_option("--unit", log.unit, "CSV: column that names the unit of sampling");
  command->add_option("--position", log.position, "CSV: column of the position in a slate");
  command->add_option("--limit", log.limit, "The first decisions only");
}

void add_learn(CLI::App& app, Options& o) {
  LearnOptions& l = o.learn;
  auto* learn =
      app.add_subcommand("learn", "Learn a policy from a log, or by deciding on labelled rows and logging that");
  learn->add_option("data", l.data.path, "A decision log; with --label a table, CSV")->required();
  learn
      ->add_option("--algorithm", l.algorithm,
                   "epsilon_greedy, softmax, linucb, thompson, squarecb (default), bagging; pessimistic: at once from "
                   "a log, by a lower bound of the value")
      ->check(CLI::IsMember({"epsilon_greedy", "softmax", "linucb", "thompson", "squarecb", "bagging", "pessimistic"}));
  learn->add_option("--label", l.label, "Column that names the right action: reward 1 for it, 0 for the others");
  learn->add_option("--separator", l.separator, "Of the table: one character, or tab (default: found out)");
  learn->add_flag("--no-header", l.no_header, "The table has no names: column 1, column 2, ...");
  learn->add_flag("--shuffle", l.shuffle, "Labelled rows in a random order, by the seed");
  learn
      ->add_option("--epsilon", l.epsilon,
                   "Share of uniform draws (default: epsilon_greedy 0.1, linucb and bagging 0.05, others 0)")
      ->check(CLI::Range(0.0, 1.0));
  learn->add_option("--temperature", l.temperature, "Of softmax, in units of the reward")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  learn->add_option("--width", l.width, "linucb: deviations above the mean; thompson: deviation of the noise")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  learn->add_option("--gamma", l.gamma, "squarecb: how fast a gap in reward closes an action down")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  learn->add_option("--ridge", l.ridge, "Of the regressions of the reward")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  learn->add_option("--bags", l.bags, "Of bagging")->check(CLI::Range(2, 1000))->capture_default_str();
  auto* keep = learn->add_option("--keep", l.keep, "Share of the baseline's value that is kept at all times")
                   ->check(CLI::Range(0.0, 1.0));
  learn->add_option("--baseline", l.baseline, "Of --keep: a policy as in estimate")->needs(keep);
  learn->add_option("--confidence", l.confidence, "With which --keep holds")
      ->check(CLI::Range(0.5, 0.999999))
      ->capture_default_str();
  learn->add_option("--penalty", l.penalty, "pessimistic: standard errors subtracted from the value")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  learn->add_option("--skip", l.skip, "Pass over the first rows, which a policy that is taken up has seen");
  learn->add_option("--resume", l.resume, "Take up what --save wrote: the rest is the same to the bit");
  learn->add_option("--save", l.save, "Write the policy here; estimate reads it as model:FILE");
  learn->add_option("--log-out", l.log_out, "Write the decisions here (.jsonl, .jsonl.gz, .npz), with --label");
  add_log_file(learn, l.data);
  learn->add_option("--seed", o.seed, "Of draws, order and resamples")->capture_default_str();
  add_json(learn, o);
  learn->footer(R"(
Examples:
  plumbline learn clicks.jsonl --algorithm pessimistic --save shy.json
  plumbline learn flowers.csv --label species --save policy.json --log-out decisions.npz
  plumbline learn flowers.csv --label species --keep 0.9 --baseline fixed:setosa
  plumbline estimate decisions.npz --policy model:policy.json)");
}

void add_causal(CLI::App& app, Options& o) {
  CausalOptions& c = o.causal;
  auto* causal =
      app.add_subcommand("causal", "See, do and imagine in causal models; identify effects, test and learn graphs");
  causal->require_subcommand(1);
  auto* query = causal->add_subcommand("query", "Probabilities of a variable, given what is seen and what is set");
  auto* marginals = causal->add_subcommand("marginals", "Probabilities of every variable, given what is seen");
  auto* imagine = causal->add_subcommand(
      "counterfactual", "Probabilities of a variable in the case that was seen, had something been set otherwise");
  auto* mediate = causal->add_subcommand("mediate", "How much of an effect goes straight, how much by way of others");
  auto* identify =
      causal->add_subcommand("identify", "Which formula gives an effect from what is observed, if any does");
  for (CLI::App* command : {query, marginals, imagine, mediate}) {
    command
        ->add_option(
            "network", c.file,
            command == query || command == imagine ? "A network in BIF, or linear equations (.eq)" : "A network in BIF")
        ->required();
    command->add_option("--order", c.order, "In which variables are summed out")
        ->check(CLI::IsMember({"min-fill", "min-weight", "best"}))
        ->capture_default_str();
    add_json(command, o);
  }
  for (CLI::App* command : {query, marginals, imagine}) {
    command->add_option("--evidence", c.evidence, "VARIABLE=STATE,... that are seen; of equations VARIABLE=NUMBER")
        ->delimiter(',');
    command->add_option("--do", c.set, "VARIABLE=STATE,... that are set, whatever their causes")->delimiter(',');
  }
  for (CLI::App* command : {query, imagine}) {
    command->add_option("--target", c.targets, "The variable asked about; several: their joint distribution")
        ->delimiter(',')
        ->required();
    command->add_flag("--details", c.details, "JSON with outcome, method and bounds around the distribution");
  }
  for (CLI::App* command : {query, marginals})
    command
        ->add_option("--soft", c.soft, "VARIABLE=P/P/...: it draws from this distribution instead, whatever its causes")
        ->delimiter(',');
  for (CLI::App* command : {query, marginals}) {
    command
        ->add_option("--samples", c.samples, "Weighted samples instead of exact sums, for networks that are too wide")
        ->check(CLI::Range(1000, 1000000000));
    command->add_option("--seed", o.seed, "Of the samples")->capture_default_str();
  }
  imagine->add_option("--noise", c.noise, "How chance hangs together between what was and what might have been")
      ->check(CLI::IsMember({"stated", "quantile", "independent"}))
      ->capture_default_str();
  identify->add_option("file", c.file, "A graph: edges a -> b, DOT, BIF, or a manifest with [graph.NAME]")->required();
  identify->add_option("--graph", c.graph, "NAME of the manifest's section, when it has several");
  identify->add_option("--data", c.data,
                       "A table, CSV, whose columns are the observed nodes: the formula is estimated from it");
  identify->add_option("--bootstrap", c.replicates, "Resamples behind the bounds of --data (default: 1000)")
      ->check(CLI::Range(100, 100000));
  identify->add_option("--seed", o.seed, "Of the resamples")->capture_default_str();
  identify->add_option("--given", c.given, "Variables that are seen afterwards")->delimiter(',');
  for (CLI::App* command : {mediate, identify}) {
    command->add_option("--treatment", c.treatment, "What is set")->delimiter(',')->required();
    command->add_option("--outcome", c.outcome, "What is asked about")->delimiter(',')->required();
  }
  mediate->add_option("--from", c.from, "State of the treatment to compare with")->required();
  mediate->add_option("--to", c.to, "State that it is moved to")->required();
  auto* test = causal->add_subcommand("test", "Do the data obey the independences that a graph implies?");
  test->add_option("graph", c.file, "A graph: edges a -> b, DOT, BIF, or a manifest with [graph.NAME]")->required();
  test->add_option("data", c.data, "A table, CSV, whose columns are the observed nodes")->required();
  test->add_option("--graph", c.graph, "NAME of the manifest's section, when it has several");
  auto* learn =
      causal->add_subcommand("learn", "Which graph do the data leave, and how often does each edge come again?");
  learn->add_option("data", c.data, "A table, CSV")->required();
  learn
      ->add_option("--method", c.method,
                   "pc: tests of independence; ges: greedy steps of a score; exact: the best score (18 columns)")
      ->check(CLI::IsMember({"pc", "ges", "exact"}))
      ->capture_default_str();
  learn->add_option("--score", c.score, "Of ges and exact")
      ->check(CLI::IsMember({"bic", "bdeu"}))
      ->capture_default_str();
  learn->add_option("--depth", c.depth, "Of pc: most variables to condition on (default: no bound)")
      ->check(CLI::NonNegativeNumber);
  learn->add_option("--bootstrap", c.replicates, "Resamples; each edge gets the share in which it came again")
      ->check(CLI::Range(1, 100000));
  learn->add_option("--seed", o.seed, "Of the resamples")->capture_default_str();
  learn->add_option("--write", c.write, "Write the graph to this file, as edges");
  for (CLI::App* command : {test, learn})
    command->add_option("--alpha", c.alpha, "Level of the tests")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  for (CLI::App* command : {identify, test, learn}) {
    command->add_option("--kind", c.kind, "What the columns hold: states, or numbers with normal noise")
        ->check(CLI::IsMember({"auto", "discrete", "gaussian"}))
        ->capture_default_str();
    command->add_option("--separator", c.separator,
                        "Between columns, when it is not found out: one character, or space");
    command->add_option("--drop", c.drop, "Columns to leave out")->delimiter(',');
  }
  for (CLI::App* command : {identify, test, learn}) add_json(command, o);
  add_effect(*causal, o);
}

void add_serve(CLI::App& app, Options& o, std::vector<std::string>& roots) {
  ServeOptions& s = o.serve;
  auto* serve = app.add_subcommand(
      "serve", "The dashboard: runs, trends, comparisons, findings, gauntlet and a guard, in a browser");
  serve->add_option("--store", s.stores, "A store to show, several times (default: .plumbline/store.db)");
  serve->add_option("--gauntlet", s.gauntlets, "A gauntlet.json to show beside the table that is built in");
  serve->add_option("--guard", s.guard, "http(s)://HOST:PORT of a guard to watch and to answer for");
  serve->add_option("--guard-ca", s.guard_ca, "PEM file of the certificates that the guard's leads to");
  serve->add_option("--listen", o.listen, "ADDRESS:PORT (default: 127.0.0.1:8088; port 0: any free one)");
  serve->add_option("--host", s.hosts, "A name under which the server is reached, beside its address");
  serve->add_option("--tokens", s.tokens, "File of bearer tokens; without it everybody on this machine may read");
  serve->add_option("--certificate", s.certificate, "PEM file: serve HTTPS");
  serve->add_option("--key", s.key, "PEM file: the certificate's key");
  serve->add_option("--timeout", o.timeout, "Seconds after which the replay of a finding is stopped")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_roots(serve, roots);
  serve->footer(R"(
It only reads: no store is made, changed or migrated. SIGTERM or Ctrl-C ends it.

Examples:
  plumbline serve
  plumbline serve --store a/.plumbline/store.db --store b/.plumbline/store.db --guard http://127.0.0.1:8077
  plumbline serve --listen 0.0.0.0:8443 --host desk.example --tokens tokens.txt --certificate c.pem --key k.pem)");
}

}  // namespace

Options parse_command_line(int argc, char** argv) {
  Options o;
  std::vector<std::string> roots;
  CLI::App app(
      "Plumbline tells whether a system that learns and decides does what people want, how sure that is, and what to "
      "do next.",
      "plumbline");
  app.set_version_flag("--version", "plumbline " PLUMBLINE_VERSION);
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("-q,--quiet", o.quiet, "No progress on standard error");
  app.add_flag("-v,--verbose", o.verbose, "Also log diagnostics to standard error");

  auto* init = app.add_subcommand("init", "Write a starting manifest");
  init->add_option("folder", o.folder,
                   "Where to write system.toml (kinds network, loop, guard, system and attack: a whole example)")
      ->required();
  init->add_option("--kind", o.kind, "What the system is")
      ->check(
          CLI::IsMember({"images", "table", "predictions", "network", "loop", "world", "guard", "system", "attack"}))
      ->required();

  auto* assess =
      app.add_subcommand("assess", "Run the checks that apply, judge each claim, store the run, write the report");
  add_manifest(assess, o);
  assess->add_option(
      "--out", o.out,
      "Folder for report.html, evidence.json, junit.xml, results.sarif, summary.md, case.gsn.yaml, artifacts/");
  assess->add_option("--only", o.only, "Run only these checks or rooms");
  assess->add_option("--skip", o.skip, "Leave these checks or rooms out");
  assess->add_option("--name", o.name, "A name for the run");
  assess->add_option("--fail-on", o.fail_on, "refuted: an undetermined claim alone does not fail")
      ->check(CLI::IsMember({"refuted", "undetermined"}))
      ->capture_default_str();
  assess->add_option("--format", o.format, "What to print")
      ->check(CLI::IsMember({"text", "markdown", "junit", "sarif", "github"}))
      ->capture_default_str();
  assess->add_flag("--dry-run", o.dry_run, "Show what would run, why the rest would not, and the estimated cost");
  assess->add_flag("--no-cache", o.no_cache, "Run everything again");
  add_workers(assess, o);
  add_store(assess, o);
  add_roots(assess, roots);
  add_json(assess, o);

  auto* checks = app.add_subcommand("checks", "The catalogue of checks");
  checks->require_subcommand(1);
  auto* list = checks->add_subcommand("list", "Every check with its question");
  add_json(list, o);
  auto* show_check = checks->add_subcommand("show", "What a check asks, needs, measures and cites");
  show_check->add_option("check", o.check, "Its id, for example robustness.ood")->required();
  add_json(show_check, o);
  auto* verify = checks->add_subcommand("verify", "Run the checks on planted defects and clean controls");
  verify->add_option("--only", o.only, "These checks alone");
  verify->add_flag("--full", o.full, "400 runs each instead of 20, judged by the full rule");
  verify->add_option("--runs", o.runs, "Pairs of defect and control a check")->check(CLI::Range(1, 100000));
  verify->add_option("--seed", o.seed, "Other fixtures for another seed");
  verify->add_option("--write", o.write_table,
                     "Write the table of measured rates to this file (with --full); --only keeps its other rows");
  add_json(verify, o);
  auto* coverage = checks->add_subcommand(
      "coverage",
      "How often the intervals of policy values hold the truth, regime by regime; the whole table takes minutes");
  coverage->add_option("--runs", o.runs, "Logs of each regime (default 1000)")->check(CLI::Range(1, 1000000));
  coverage->add_option("--write", o.write_table, "Write the table to this file (JSON), and beside it as a page (.md)");
  coverage->add_option("--check", o.reference,
                       "Measure the 20 cheapest cells of a table again, and whether it is stale");
  add_json(coverage, o);

  auto* config = app.add_subcommand("config", "Read a manifest without running it");
  config->require_subcommand(1);
  auto* check = config->add_subcommand("check", "Say what the manifest means, or everything that is wrong with it");
  add_manifest(check, o);
  add_roots(check, roots);
  add_json(check, o);
  config->add_subcommand("schema", "Print the JSON Schema of the manifest");

  auto* runs = app.add_subcommand("runs", "Past runs, newest first");
  runs->add_option("manifest", o.manifest, "Whose store to read (default: the store of this folder)");
  runs->add_option("--limit", o.limit, "How many")->capture_default_str();
  runs->add_option("--offset", o.offset, "After how many");
  auto* show = app.add_subcommand("show", "One run, judged as it stands");
  show->add_option("run", o.reference, "Id, name, or latest")->required();
  show->add_option("--format", o.format, "What to print")
      ->check(CLI::IsMember({"text", "markdown", "junit", "sarif", "github"}))
      ->capture_default_str();
  auto* diff = app.add_subcommand("diff", "What changed between two runs; exit status 1 when a verdict or figure did");
  diff->add_option("first", o.reference, "A run")->required();
  diff->add_option("second", o.second, "Another run")->required();
  auto* trend = app.add_subcommand("trend", "One metric over the runs, with the runs at which its level changed");
  trend->add_option("check", o.check, "The check")->required();
  trend->add_option("metric", o.metric, "The metric")->required();
  trend->add_option("--limit", o.limit, "How many points, newest first")->capture_default_str();
  trend->add_option("--subject", o.subject, "This subject alone");
  trend->add_option(
      "--where", o.where,
      "KEY=VALUE: figures of this part alone, such as data=test; KEY= leaves out those that have the key");
  trend->add_option("--false-alarms", o.false_alarms, "Probability that a series without change is given one")
      ->check(CLI::Range(0.001, 0.5))
      ->capture_default_str();
  trend->add_option("--csv", o.csv,
                    "Write the series (time, value, error) to this file, for [trend.NAME] of a manifest");
  trend->footer(R"(
Exit status: 0 there are points, 2 bad usage, 3 no run holds the metric.

  plumbline trend probe.accuracy accuracy --where data=test --where slice=
  plumbline trend probe.accuracy accuracy --where data=test --limit 200 --json)");
  auto* reproduce = app.add_subcommand(
      "reproduce", "Compute a piece of evidence again; exit status 1 when it differs, with the first difference");
  reproduce->add_option("evidence", o.reference, "Its id, or a unique beginning of it")->required();
  add_workers(reproduce, o);
  auto* prune = app.add_subcommand(
      "prune", "Keep the newest runs; older ones leave their roots, so that the chain still verifies");
  prune->add_option("--keep", o.keep, "How many")->capture_default_str();
  auto* export_run = app.add_subcommand("export", "Write the reports of a stored run to a folder");
  export_run->add_option("run", o.reference, "Id, name, or latest")->required();
  export_run->add_option("--out", o.out, "Folder")->required();
  auto* chain =
      app.add_subcommand("verify-store", "Recompute every root of the store; exit status 1 when something was changed");
  for (CLI::App* command : {runs, show, diff, trend, reproduce, prune, export_run, chain}) {
    add_store(command, o);
    add_json(command, o);
  }
  for (CLI::App* command : {show, diff, trend, reproduce, prune, export_run, chain}) {
    command->add_option("--manifest", o.manifest, "Whose store to read (default: the store of this folder)");
  }
  add_roots(show, roots);
  add_roots(diff, roots);
  add_roots(reproduce, roots);
  add_roots(export_run, roots);

  auto* demo = app.add_subcommand(
      "demo", "Make a small image task with planted weaknesses, train on it, assess it, and tell which were named");
  demo->add_option("folder", o.folder, "Where to work")->required();
  add_workers(demo, o);
  add_json(demo, o);

  auto* worlds = app.add_subcommand("worlds", "Worlds in which the reward and what is wanted come apart");
  worlds->require_subcommand(1);
  auto* worlds_list = worlds->add_subcommand("list", "Every world with its title");
  auto* worlds_show = worlds->add_subcommand("show", "A world's story, reward, truth, dials and start");
  auto* worlds_play = worlds->add_subcommand("play", "One episode, step by step");
  for (CLI::App* command : {worlds_show, worlds_play}) {
    command->add_option("world", o.reference, "Its id, or id/level")->required();
    command->add_option("--level", o.level, "One of its levels (default: the first)");
    command->add_option("--dial", o.dials, "NAME=NUMBER; `worlds show` names them");
    command->add_option("--seed", o.seed, "Another episode for another seed");
  }
  worlds_play->add_option("--agent", o.agent, "Who plays, after learning (default: random)");
  auto* script = worlds_play->add_option("--script", o.script, "A hand-written policy plays instead");
  script->excludes("--agent");
  worlds_play->add_option(
      "--pictures", o.pictures,
      "Folder for the episode as pictures: episode.svg, which plays in a browser, and a PNG a step");
  worlds_play->add_option("--record", o.record, "Write the episode to this file, for `worlds replay`");
  worlds_play->add_option("--steps", o.steps, "Steps that a learner may take before")->check(CLI::PositiveNumber);
  auto* worlds_replay =
      worlds->add_subcommand("replay", "Play a recorded episode again; exit status 2 unless it is the same to the bit");
  worlds_replay->add_option("file", o.reference, "What `worlds play --record` wrote")->required();
  worlds_replay->add_option("--out", o.out, "Folder for episode.html, where it can be watched");
  auto* worlds_audit =
      worlds->add_subcommand("audit", "Prove by exact planning how far reward and truth come apart, level by level");
  worlds_audit->add_option("worlds", o.only, "Ids, families or tags, with * and ? (default: all)");
  auto* worlds_bench = worlds->add_subcommand("bench", "Steps a second on one thread, batches of 1,024");
  worlds_bench->add_option("worlds", o.only, "Ids, families or tags, with * and ? (default: all)");
  for (CLI::App* command : {worlds_list, worlds_show, worlds_play, worlds_replay, worlds_audit, worlds_bench})
    add_json(command, o);

  EstimateOptions& e = o.estimate;
  auto* estimate = app.add_subcommand("estimate", "What another policy would have earned, from a log of decisions");
  estimate->add_option("log", e.log.path, "JSON lines, NPZ, Vowpal Wabbit text, decision-service JSON, or CSV")
      ->required();
  estimate
      ->add_option("--policy", e.policy,
                   "uniform, logged, fixed:ACTION, table:FILE, linear:FILE, model:FILE, onnx:FILE")
      ->required();
  estimate->add_option("--against", e.against,
                       "Another policy: its difference is estimated too (default: the logged one)");
  estimate->add_option("--epsilon", e.epsilon, "Share of uniform draws mixed into --policy")
      ->check(CLI::Range(0.0, 1.0));
  estimate
      ->add_option("--temperature", e.temperature,
                   "Of linear and onnx: softmax(score / temperature); 0 = the best score")
      ->check(CLI::NonNegativeNumber);
  estimate
      ->add_option("--estimators", e.estimators,
                   "ips, snips, clipped, shrunk, direct, dr, sndr, switch, dr_shrunk, mrdr, auto (default: ips, snips, "
                   "dr, mrdr); with --episodes trajectory, per_decision, weighted, dr, fitted_q, marginal")
      ->delimiter(',');
  auto* episodes = estimate->add_flag(
      "--episodes", e.episodes, "A decision changes what comes after it: the decisions of a unit are one episode");
  estimate->add_option("--state", e.state, "Of --episodes: the context column in which the state is")->needs(episodes);
  estimate->add_option("--discount", e.discount, "Of --episodes: what a reward one step later is worth")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->needs(episodes);
  estimate->add_option("--ci", e.ci, "How bounds are made")
      ->check(CLI::IsMember({"bootstrap", "normal", "likelihood", "bernstein", "anytime"}))
      ->capture_default_str();
  estimate->add_option("--reward-range", e.reward_range, "LOW,HIGH that rewards cannot leave (default: the range seen)")
      ->delimiter(',')
      ->expected(2);
  estimate->add_option("--max-weight", e.max_weight, "Largest ratio of the policy's probability to the logged one")
      ->check(CLI::PositiveNumber);
  estimate->add_option("--replicates", e.replicates, "Resamples of --ci bootstrap")
      ->check(CLI::Range(100, 100000))
      ->capture_default_str();
  estimate->add_flag("--stream", e.stream,
                     "Read the column form (.npz) block by block: memory does not grow with the log. By itself from "
                     "2,000,000 decisions, where the estimators allow");
  add_log_file(estimate, e.log);
  estimate->add_option("--seed", o.seed, "Of folds and resamples")->capture_default_str();
  add_json(estimate, o);

  add_learn(app, o);
  add_causal(app, o);

  auto* gauntlet = app.add_subcommand(
      "gauntlet", "Put agents into worlds and judge each pair by what was truly achieved: safe, hacks, incapable");
  gauntlet->add_option("--worlds", o.worlds, "Ids, id/level, families or tags, with * and ? (default: all)")
      ->delimiter(',');
  gauntlet
      ->add_option("--agents", o.agents,
                   "Ids such as lookahead:5, or kinds, with * and ?, or python:FILE.py:CLASS (default: all)")
      ->delimiter(',');
  gauntlet->add_option("--sweep", o.sweep, "A dial of the worlds: one run for each value of its sweep");
  gauntlet->add_option("--seeds", o.seeds, "Runs of every agent that learns by chance (default: 5)")
      ->check(CLI::Range(1, 10000));
  gauntlet->add_option("--seed", o.seed, "Other runs for another seed (default: 1)");
  gauntlet->add_option("--steps", o.steps, "Steps that a learner may take (default: 200000)")
      ->check(CLI::PositiveNumber);
  gauntlet->add_option("--out", o.out, "Folder for gauntlet.json and gauntlet.html");
  gauntlet->add_option("--power", o.power, "Trials of planted good, bad and equal approaches: what the order can tell")
      ->check(CLI::Range(10, 100000));
  gauntlet->add_flag("--full", o.full, "Every world at its first level and the six families at all levels, 10 runs");
  gauntlet->add_option(
      "--write", o.write_table,
      "With --full: complete the stamped table in this file; cells that are current stay, --worlds and "
      "--agents choose what is added");
  gauntlet->add_flag("--check", o.check_stamp,
                     "Run one cell of each family again and compare its bits with the stamped table");
  gauntlet->add_flag("--list", o.list, "The agents");
  auto* asking = gauntlet->add_option(
      "--asking", o.asking,
      "Is asking worth it? Turn this for a guard (--agents guard:…): cost, accuracy, delay, budget or sway");
  asking->check(CLI::IsMember({"cost", "accuracy", "delay", "budget", "sway"}));
  gauntlet->add_option("--values", o.values, "With --asking: the values that are tried")->delimiter(',')->needs(asking);
  gauntlet
      ->add_flag("--pressure", o.pressure,
                 "Where does truth turn down? Optimise the reward harder and harder, alone and behind "
                 "--agents conformal,hierarchical,shielded")
      ->excludes(asking);
  gauntlet->footer(kGauntletFooter);
  add_json(gauntlet, o);

  auto* replicate = app.add_subcommand(
      "replicate", "Published figures beside ours, row by row: without a name, the list of what is replicated");
  auto* replication = replicate->add_option("name", o.reference, "Its id, for example off_switch");
  replicate->add_flag("--all", o.all, "Every replication")->excludes(replication);
  replicate->add_option("--seed", o.seed, "Other draws for another seed (default: 1)");
  replicate->add_flag("--full", o.full, "The long form, of those that have one (acas_xu: all networks)");
  replicate->add_option("--out", o.out, "Folder for replicate.json and replicate.html");
  add_roots(replicate, roots);
  add_json(replicate, o);
  auto* guard =
      app.add_subcommand("guard", "Stand before a model: decide with uncertainty, ask people, fall back, log");
  add_manifest(guard, o);
  add_roots(guard, roots);
  guard->add_option("--accept", o.accept,
                    "Start although this claim is not supported (or: case, model, calibration, thresholds)");
  guard->add_option("--listen", o.listen, "ADDRESS:PORT instead of the manifest's");
  guard->add_flag("--shadow", o.shadow, "Decide and log, but carry out the fallback");
  guard->add_option("--export", o.export_log, "Write the log as JSON lines, which estimate reads, and end");
  auto* compact = guard->add_flag("--compact", o.compact,
                                  "Fold old records of the log into a snapshot, move them to its archive, and end");
  guard->add_flag("--discard", o.discard, "With --compact: delete what was folded instead of keeping it")
      ->needs(compact);
  auto* proof = app.add_subcommand(
      "verify", "Attack a network, or prove that no input in the property's range is unsafe, with a certificate");
  proof->add_option("model", o.model, "The network, ONNX");
  proof->add_option("property", o.property, "What is unsafe, VNN-LIB");
  proof->add_option("--timeout", o.seconds, "Seconds (default: 60; with --instances a cap on the list's own)")
      ->check(CLI::NonNegativeNumber);
  proof->add_option("--memory", o.proof_memory_gib, "GiB that open regions and the certificate may take")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  proof->add_option("--certificate", o.certificate, "Write the proof to this file");
  proof->add_option("--check", o.check_certificate, "Replay a proof that was written before; nothing else is tried");
  proof->add_flag("--exact", o.exact, "Replay proofs in exact rationals too, up to 1e9 multiply-adds (default 2e7)");
  proof->add_option("--instances", o.instances,
                    "A list of model,property,seconds, without header, paths relative to it");
  proof->add_option("--csv", o.csv, "Write onnx,vnnlib,verdict,seconds for the list");
  proof->add_option("--seed", o.seed, "Other starts of the attack for another seed");
  add_json(proof, o);
  auto* train = app.add_subcommand(
      "train",
      "Train the networks of a manifest's [train.NAME] sections: standard, under noise, against attacks, or bounds");
  add_manifest(train, o);
  add_roots(train, roots);
  train->add_option("--only", o.only, "These sections alone");
  add_json(train, o);
  auto* reach = app.add_subcommand(
      "reach", "Where a control loop with a network can go: the tube of all its trajectories, and what it claims");
  reach->add_option("system", o.manifest, "The system file: a loop, or a game with a [grid]; or a table")->required();
  reach->add_option("--timeout", o.seconds, "Seconds (default: 60)")->check(CLI::NonNegativeNumber);
  reach->add_option("--plot", o.plot, "Write the tube as a moving picture (SVG) to this file");
  reach->add_option("--set", o.initial, "NAME=LOW:HIGH or NAME=VALUE: another initial range");
  reach->add_option("--boxes", o.boxes, "Tubes at most")->check(CLI::PositiveNumber)->capture_default_str();
  reach->add_option("--order", o.order, "Of the Taylor expansion in time")
      ->check(CLI::Range(1, 20))
      ->capture_default_str();
  reach->add_option("--seed", o.seed, "Other rollouts for another seed");
  reach->add_option("--table", o.table, "Of a game: write its table of values to this file");
  reach->add_option("--at", o.at,
                    "Of a game or a table: NAME=VALUE for each state; value, verdict and best control there");
  reach->add_option("--margin", o.margin, "Of a game or a table: a state is safe above this value")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_roots(reach, roots);
  add_json(reach, o);

  add_serve(app, o, roots);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    o.exit_code = app.exit(done);
    return o;
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    o.exit_code = 2;
    return o;
  }
  for (const std::string& root : roots) {
    const auto equals = root.find('=');
    if (equals == std::string::npos || equals == 0) {
      std::cerr << "plumbline: --root takes NAME=DIR, not '" << root << "'\n";
      o.exit_code = 2;
      return o;
    }
    o.roots[root.substr(0, equals)] = root.substr(equals + 1);
  }
  if (const char* data = std::getenv("PLUMBLINE_DATA"); data != nullptr && *data != '\0')
    o.roots.try_emplace("data", data);
  o.color = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  for (const CLI::App* at = &app; at != nullptr;) {
    const auto chosen = at->get_subcommands();
    at = chosen.empty() ? nullptr : chosen.front();
    if (at != nullptr) o.command += (o.command.empty() ? "" : " ") + at->get_name();
  }
  return o;
}

}  // namespace plumbline::cli
