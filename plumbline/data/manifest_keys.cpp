#include "plumbline/data/manifest_keys.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/data/manifest.hpp"

namespace plumbline::data {
namespace {

using enum KeyType;

std::vector<SectionSpec> make_specs() {
  const std::vector<std::string_view> roles = {"train", "calibration", "test", "out-of-distribution"};
  const std::vector<std::string_view> outputs = {"logits", "probabilities", "scores"};
  std::vector<SectionSpec> s;
  s.push_back({"system",
               SectionForm::kSingle,
               "The system under assessment.",
               {{"name", kText, true, "what reports call the system"},
                {"seed", kInteger, false, "seed of every random stream (default 0)"},
                {"examples",
                 kText,
                 false,
                 "which rows may reach the report; default: none for tables, full for images",
                 {"none", "blurred", "full"}},
                {"selection_budget", kInteger, false,
                 "distinct models on one test set before its claims are marked as selected (default 10)"}}});
  s.push_back(
      {"model",
       SectionForm::kNamed,
       "A model. Exactly one of path, endpoint and callable.",
       {{"path", kPath, false, "ONNX file, TorchScript file (with trusted = true), or a built-in network's checkpoint"},
        {"endpoint", kText, false, "http(s)://host:port/path of a model server"},
        {"ca_file", kPath, false,
         "PEM file with the certificates that vouch for an https endpoint, instead of the system's"},
        {"callable", kText, false, "\"module:function\", run in a Python process of its own"},
        {"python_path", kPath, false, "folder with the callable's module"},
        {"version", kText, false, "declared version of an endpoint or callable; part of its hash"},
        {"task", kText, false, "default classification", {"classification", "regression"}},
        {"output", kText, true, "what the output columns are", outputs},
        {"features", kText, false, "a tensor's name, \"inputs\" or \"pca:N\""},
        {"trusted", kFlag, false, "required for TorchScript, which is code"},
        {"classes", kInteger, false, "number of outputs; required for endpoints and callables"},
        {"input_shape", kNumbers, false,
         "shape of one row, for example [1, 28, 28]; required for endpoints and callables"},
        {"input",
         kTable,
         false,
         "how images become input rows",
         {},
         {{"range", kPair, false, "values of bytes 0 and 255 (default [0, 1])"},
          {"layout", kText, false, "default NCHW", {"NCHW", "NHWC", "flat"}},
          {"mean", kNumbers, false, "per channel, subtracted after the range"},
          {"deviation", kNumbers, false, "per channel, divided by after the mean"}}},
        {"columns", kTexts, false, "a table's input columns in order (default: all of the train set)"}}});
  s.push_back(
      {"data",
       SectionForm::kNamed,
       "A data set: images, a table, a matrix, or a share of another set. The role defaults to the section's name when "
       "that is train, calibration or test.",
       {{"images", kPath, false, "IDX file (plain or gzip), or a folder of PNG and JPEG whose sub-folders are classes"},
        {"table", kPath, false, "CSV, TSV or JSON lines; beside images or a matrix: columns that describe its rows"},
        {"matrix", kPath, false, "NPY or NPZ, one row an example"},
        {"labels", kPath, false, "IDX, NPY, or text with one label a line"},
        {"label", kText, false, "the table's label column"},
        {"classes", kTexts, false, "label levels in order; sets without it take the train set's"},
        {"unit", kText, false, "column, or file with one value a line, that names the unit of sampling"},
        {"from", kText, false, "takes its rows from this set, which loses them"},
        {"share", kNumber, false, "share of the donor's units, in (0, 1)"},
        {"role", kText, false, "what the set is for", roles},
        {"limit", kInteger, false, "read the first rows only"},
        {"format", kText, false, "of the table, when its name does not say", {"csv", "tsv", "jsonl"}},
        {"separator", kText, false, "one character, or \"tab\" (default: found out)"},
        {"header", kFlag, false, "the first line names the columns (default true)"},
        {"names", kTexts, false, "column names of a table without header"},
        {"missing", kTexts, false, "cells that mean missing (default \"\", NA, NaN, ?)"},
        {"comment", kText, false, "lines that begin with this are skipped"},
        {"strip", kText, false, "characters removed from the end of each label"},
        {"drop", kTexts, false, "columns to leave out"},
        {"types", kTextTable, false, "column = number, category or text (default: found out)"},
        {"array", kText, false, "member of an NPZ with several arrays"},
        {"size", kPair, false, "[height, width] that images of a folder are scaled to (default: all must agree)"},
        {"channels", kInteger, false, "1 or 3: grey or colour for images of a folder (default: as the first image)"}}});
  s.push_back({"predictions",
               SectionForm::kNamed,
               "Stored predictions of a model, one row per row of a data set.",
               {{"model", kText, false, "whose predictions (default: the section's name); needs no [model] section"},
                {"data", kText, true, "of which data set"},
                {"path", kPath, true, "CSV, NPY, NPZ or JSON lines"},
                {"output", kText, true, "what the columns are", outputs}}});
  s.push_back(
      {"check", SectionForm::kOpen, "Parameters of a check: [check.\"room.name\"]. See `plumbline checks show`.", {}});
  s.push_back({"claim",
               SectionForm::kList,
               "What must hold. Exactly one of at_least, at_most, within and no_worse_than.",
               {{"id", kText, true, "unique"},
                {"text", kText, false, "the claim in words"},
                {"check", kText, true, "which check gives the evidence"},
                {"metric", kText, true, "which of its figures"},
                {"where", kTextTable, false, "which part: data, slice, detector, ..."},
                {"at_least", kNumber, false, "threshold"},
                {"at_most", kNumber, false, "threshold"},
                {"within", kPair, false, "[low, high]"},
                {"no_worse_than", kText, false, "a run; paired comparison"},
                {"margin", kNumber, false, "of no_worse_than (default 0)"},
                {"confidence", kNumber, false,
                 "above 0.5; above 0.999 only with sampling = \"anytime\" or population = \"these\" (default 0.95)"},
                {"severity", kText, false, "default fail", {"fail", "warn"}},
                {"population",
                 kText,
                 false,
                 "the source the rows were drawn from, or these rows themselves (default source)",
                 {"source", "these"}},
                {"sampling",
                 kText,
                 false,
                 "anytime: bounds that survive looking again (default fixed)",
                 {"fixed", "anytime"}}}});
  s.push_back({"argument",
               SectionForm::kNamed,
               "A node of the argument that groups claims.",
               {{"kind",
                 kText,
                 true,
                 "what the node is",
                 {"goal", "strategy", "context", "assumption", "justification", "defeater"}},
                {"text", kText, true, "in words"},
                {"supported_by", kTexts, false, "claims or nodes"},
                {"in_context_of", kTexts, false, "context, assumption and justification nodes"},
                {"challenges", kTexts, false, "what a defeater attacks"},
                {"rule", kText, false, "\"all\", or how many of supported_by are needed, as \"2\" (default all)"}}});
  s.push_back({"waiver",
               SectionForm::kNamed,
               "A claim set aside for a while. It never changes a verdict.",
               {{"claim", kText, true, "which claim"},
                {"owner", kText, true, "who answers for it"},
                {"reason", kText, true, "why"},
                {"expires", kText, true, "date, YYYY-MM-DD"}}});
  s.push_back({"guard",
               SectionForm::kSingle,
               "The runtime that decides with uncertainty.",
               {{"case", kText, false, "\"STORE#RUN\" whose claims must be supported before it starts"},
                {"model", kText, false, "which model decides"},
                {"calibration", kText, false, "data set of its thresholds"},
                {"decider", kPath, false, "folder of fitted parts (default: fitted from the sets at every start)"},
                {"listen", kText, false, "address and port (default 127.0.0.1:8077)"},
                {"log", kPath, false, "the decision log: a folder (default .plumbline/guard) or a postgresql URL"},
                {"partition", kText, false, "PostgreSQL: which log of the database (default: a free one)"},
                {"segment_mib", kInteger, false, "a folder's log: a new file is begun behind this size (default 256)"},
                {"sync", kText, false, "when a record counts as durable (default group)", {"each", "group", "none"}},
                {"tokens", kPath, false, "file of bearer tokens; without one the guard listens on loopback only"},
                {"certificate", kPath, false, "TLS: chain of certificates (PEM)"},
                {"key", kPath, false, "TLS: private key (PEM)"},
                {"shadow", kFlag, false, "decide and log, but carry out the fallback"},
                {"overseer", kText, false, "who answers questions"},
                {"policy", kText, false, "decision rule"},
                {"fallback", kText, false, "what is done when nobody answers"},
                {"table", kPath, false,
                 "table of `plumbline reach GAME --table`: where it calls the input's state unsafe, its action is taken"},
                {"table_margin", kNumber, false, "a state is safe when the table gives more (default 0)"},
                {"controls", kTexts, false, "with table: what actions do, as \"brake: -1\", a number a control"},
                {"states", kTexts, false, "with table: columns that hold its axes (default: the first ones, in order)"},
                {"deadline_ms", kInteger, false, "longest wait for an answer (default 1000)"},
                {"margin_ms", kInteger, false, "before the deadline: half for the log, half for sending (default 50)"},
                {"max_open", kInteger, false, "requests without an answer at most (default 10000)"},
                {"remember", kInteger, false, "outcomes that an id or a reward can still name (default 1000000)"},
                {"log_columns", kInteger, false, "inputs of at most so many numbers are logged (default 64)"},
                {"irreversible", kTexts, false, "actions that two people must agree on"},
                {"max_queue", kInteger, false, "open questions at most (default 1000)"},
                {"lease_ms", kInteger, false, "how long a person has for a question (default 60000)"},
                {"undo_ms", kInteger, false, "how long an answer can be taken back before it counts (default 0)"},
                {"gold", kPath, false, "questions with known answers (JSON lines), to measure raters"},
                {"gold_every", kInteger, false, "every so many questions of a rater are gold (default 20)"},
                {"budget", kNumber, false, "cost of questions at most"},
                {"alpha", kNumber, false, "error level of its sets and p-values (default 0.05)"},
                {"ask_cost", kNumber, false, "cost of a question, in the unit of the costs (default: nobody is asked)"},
                {"ask_accuracy", kNumber, false, "probability that an answer is right (default 1)"},
                {"set_cost", kNumber, false, "cost of each further label of a set as answer (default: none is given)"},
                {"hierarchy", kTexts, false,
                 "lines \"parent: child, child\" over the classes: a set is then a parent and what is below it"},
                {"accuracy", kNumber, false, "with hierarchy: share of right answers that is promised (default 0.95)"},
                {"refuse_cost", kNumber, false, "cost of refusing (default: the rule may not choose it)"},
                {"explore", kText, false, "draws among safe actions", {"none", "epsilon", "softmax"}},
                {"epsilon", kNumber, false, "explore epsilon: share of draws alike among safe actions"},
                {"temperature", kNumber, false, "explore softmax: in the unit of the costs (default 1)"},
                {"safe_loss", kNumber, false, "a safe action costs at most this much more than the best (default 0)"},
                {"neighbours", kInteger, false, "training examples shown with a question (default 0)"},
                {"accept", kTexts, false, "claims accepted although they are not supported"}}});
  // Beside the list above: what watches the decisions.
  std::vector<KeySpec>& guard = s.back().keys;
  guard.insert(guard.end(),
               {{"drift", kTexts, false, "signals watched for drift: input, aleatoric, model, reward (default: none)"},
                {"drift_run_length", kNumber, false, "decisions for each false alarm at least (default 100000)"},
                {"drift_severity",
                 kText,
                 false,
                 "fail: after an alarm the fallback is taken until an admin acknowledges it (default warn)",
                 {"warn", "fail"}},
                {"assertions", kTexts, false, "[assertion.NAME] that proposals must obey (default: none)"},
                {"watched_units", kInteger, false, "units that assertions remember (default 10000)"}});
  const auto generic = [&](std::string_view kind, std::string_view help, std::vector<KeySpec> keys) {
    s.push_back({kind, SectionForm::kNamed, help, std::move(keys), true});
  };
  generic(
      "reward", "A reward function, scores that a reward model gave, or what a machine believes an act is worth.",
      {{"kind",
        kText,
        true,
        "linear (in a world's features), table (a number a state and action), observed (the world's own), scores (of a "
        "reward model), belief (about an act), costs (of acting on a classifier's answer; several are readings of what "
        "is "
        "wanted)",
        {"linear", "table", "observed", "scores", "belief", "costs"}},
       {"weights", kNumbers, false, "linear: one a feature"},
       {"features", kTexts, false, "linear: names of the features (default: all of the world, in its order)"},
       {"designed_in", kText, false,
        "linear: the world section that the reward was written for; what its author meant is then inferred"},
       {"rationality", kNumber, false,
        "linear with designed_in: how well the author chose (default 1); belief: of the person as the machine sees "
        "them (default: does not err)"},
       {"candidates", kInteger, false, "linear with designed_in: candidates drawn (default 300)"},
       {"size", kNumber, false, "linear with designed_in: weights are drawn from [-size, size] (default 1)"},
       {"path", kPath, false,
        "table: CSV with the columns key, action, reward; scores: CSV, TSV or JSON lines with a row an item; costs: "
        "CSV "
        "with the column action and one column a class"},
       {"models", kTexts, false, "costs: models whose answers are acted on (default: all)"},
       {"proxy", kText, false, "scores: column of the score that is optimised"},
       {"gold", kText, false, "scores: column of what it stands for"},
       {"unit", kText, false, "scores: column that names the prompt; the best is then taken within it"},
       {"mean", kNumber, false, "belief: mean worth of the act"},
       {"deviation", kNumber, false, "belief: deviation of its worth"},
       {"true_mean", kNumber, false, "belief: mean worth as it is (default: as believed)"},
       {"true_deviation", kNumber, false, "belief: deviation as it is (default: as believed)"},
       {"true_rationality", kNumber, false, "belief: of the person as they are (default: as believed)"},
       {"machine",
        kText,
        false,
        "belief: what it does about its stop button (default uncertain)",
        {"standard", "indifferent", "uncertain", "broken_prior", "rewarded"}},
       {"prior", kNumber, false, "how plausible it is beside the others (default 1)"},
       {"worlds", kTexts, false, "world sections that it is about (default: all)"}});
  generic("train", "How `plumbline train` makes the network of the [model] of the same name.",
          {{"data", kText, false, "labelled set of images or a matrix (default train)"},
           {"network", kText, false, "default cnn for images, else mlp", {"mlp", "cnn"}},
           {"hidden", kNumbers, false, "widths of an mlp's hidden layers (default [64])"},
           {"channels", kNumbers, false, "of a cnn's two convolutions (default [16, 32])"},
           {"dense", kInteger, false, "width of a cnn's dense layer (default 128)"},
           {"method",
            kText,
            false,
            "default standard",
            {"standard", "gaussian", "fast", "pgd", "trades", "ibp", "crown-ibp"}},
           {"epsilon", kNumber, false, "Linf radius in units of the input range; of all but standard and gaussian"},
           {"sigma", kNumber, false, "of gaussian: deviation of the noise in units of the input range"},
           {"steps", kInteger, false, "of pgd and trades (default 7)"},
           {"beta", kNumber, false, "of trades: weight of the divergence (default 6)"},
           {"warmup", kNumber, false, "of ibp, crown-ibp: epochs before epsilon grows (default 1)"},
           {"ramp", kNumber, false, "of ibp, crown-ibp: epochs in which epsilon grows (default 5)"},
           {"clean_weight", kNumber, false, "of ibp, crown-ibp: weight of the clean loss at the end (default 0.5)"},
           {"epochs", kInteger, false, "default 5"},
           {"batch", kInteger, false, "rows a step (default 64)"},
           {"optimiser", kText, false, "default adam", {"adam", "sgd"}},
           {"rate", kNumber, false, "of the first epoch (default 0.001)"},
           {"rate_decay", kNumber, false, "factor on the rate an epoch (default 1)"},
           {"momentum", kNumber, false, "of sgd (default 0.9)"},
           {"weight_decay", kNumber, false, "decoupled (default 0)"},
           {"seed", kInteger, false, "of weights, order and noise (default: the system's)"}});
  generic("preferences", "Comparisons, rankings or ratings by people.",
          {{"path", kPath, true, "CSV or JSON lines"},
           {"kind", kText, false, "what a row is", {"comparison", "ranking", "rating", "correction", "approval"}},
           {"left", kText, false, "column of the first option"},
           {"right", kText, false, "column of the second option"},
           {"choice", kText, false, "column of the answer"},
           {"rating", kText, false, "column of the rating"},
           {"rater", kText, false, "column that names the person"},
           {"item", kText, false, "column that names the question"},
           {"context", kTexts, false, "columns that describe the situation"},
           {"time", kText, false, "column of the time"},
           {"unit", kText, false, "column that names the unit of sampling"},
           {"data", kText, false, "data set that the options come from"},
           {"role", kText, false, "what the set is for", roles},
           {"from", kText, false, "takes its rows from this section"},
           {"share", kNumber, false, "share of the donor's units"},
           {"limit", kInteger, false, "read the first rows only"}});
  generic("world", "An environment with an observed reward and a hidden performance.",
          {{"id", kText, false, "a built-in world: `plumbline worlds list`"},
           {"path", kPath, false, "a world of one's own: a JSON file with a table of transitions or a board"},
           {"plugin", kPath, false, "a world of one's own: a shared library with the C interface (trusted = true)"},
           {"python", kPath, false, "a world of one's own: a Python file (trusted = true)"},
           {"class", kText, false, "the class in it, with Gymnasium's reset and step"},
           {"level", kText, false, "one of its levels (default: the first)"},
           {"dials", kNumberTable, false, "its dials: `plumbline worlds show ID` names them"},
           {"trusted", kFlag, false, "required where the file is code"}});
  generic("policy",
          "What acts: in a world, an agent that plans or learns, a script of the world, a table of actions or a class; "
          "on a "
          "log, a rule.",
          {{"agent", kText, false, "an agent: `plumbline gauntlet --list`"},
           {"script", kText, false, "a hand-written policy of the world"},
           {"path", kPath, false,
            "CSV with a row a state: its key and its action; of the rules table, linear, model and onnx: the file"},
           {"worlds", kTexts, false, "world sections that it acts in (default: all)"},
           {"steps", kInteger, false, "steps that a learner may take (default 200000)"},
           {"runs", kInteger, false, "independent runs of an agent that learns by chance (default 5)"},
           {"python", kPath, false, "an agent of one's own: a Python file (trusted = true)"},
           {"class", kText, false, "the class in it, with act and, where it learns, learn or train"},
           {"trusted", kFlag, false, "required for python, which is code"},
           {"rule",
            kText,
            false,
            "on a log: how it acts",
            {"uniform", "logged", "fixed", "table", "linear", "model", "onnx"}},
           {"action", kText, false, "of the rule fixed"},
           {"temperature", kNumber, false,
            "of the rules linear and onnx: softmax(score / temperature); 0 = the best score (default 0)"},
           {"epsilon", kNumber, false, "of a rule: share of uniform draws mixed in (default 0)"},
           {"logs", kTexts, false, "log sections that a rule is evaluated on (default: all)"}});
  generic("log", "Logged decisions with propensities.",
          {{"path", kPath, true, "JSON lines, columns (NPZ), Vowpal Wabbit text, decision-service JSON, or CSV"},
           {"format",
            kText,
            false,
            "of the file, when its name does not say",
            {"jsonl", "npz", "vw", "dsjson", "obd", "csv"}},
           {"action", kText, false, "CSV: column of the action taken"},
           {"propensity", kText, false, "CSV: column of its probability"},
           {"reward", kText, false, "CSV: column of the reward"},
           {"context", kTexts, false, "CSV: columns of the context (default: all others)"},
           {"id", kText, false, "CSV: column that names the decision"},
           {"time", kText, false, "CSV: column of the time, in seconds or ISO 8601"},
           {"unit", kText, false, "CSV: column that names the unit of sampling"},
           {"position", kText, false, "CSV: column of the position in a slate, from 1"},
           {"reward_range", kPair, false, "[low, high] that rewards cannot leave (default: the range seen)"},
           {"max_weight", kNumber, false, "largest ratio of a policy's probability to the logged one"},
           {"limit", kInteger, false, "read the first decisions only"}});
  generic("assertion",
          "A rule that the records of a stream should obey: rows of a set, decisions of a log, of the guard.",
          {{"kind",
            kText,
            true,
            "range; values (a text is one of them); implies (where `when` holds, `then` does); order (fields do not "
            "fall one after another); steady (a unit's text does not change twice within `within`); constant (a unit's "
            "value does not change); monotone (a unit's number does not fall, or rise)",
            {"range", "values", "implies", "order", "steady", "constant", "monotone"}},
           {"field", kText, false, "a column of the context, label, score ...: see docs/checks/probe.assertions.md"},
           {"fields", kTexts, false, "order: two fields or more"},
           {"low", kNumber, false, "range: least allowed"},
           {"high", kNumber, false, "range: most allowed"},
           {"values", kTexts, false, "values: those allowed"},
           {"when", kText, false, "implies: \"speed > 3 and label == 'go'\" (default: always)"},
           {"then", kText, false, "implies: what must hold then, in the same form"},
           {"within", kNumber, false, "steady: seconds between two changes at least"},
           {"direction", kText, false, "monotone: default rising", {"rising", "falling"}},
           {"tolerance", kNumber, false, "range, order, monotone: in the field's unit (default 0)"},
           {"scale", kNumber, false, "a violation by so much has severity 1 (default 1)"},
           {"severity",
            kText,
            false,
            "fail: the guard takes its fallback for a proposal that breaks it (default warn: it is counted)",
            {"warn", "fail"}},
           {"on", kTexts, false, "models, sets and logs that it is about (default: all)"}});
  generic("component", "A part of a larger system.",
          {{"model", kText, false, "model section"},
           {"policy", kText, false, "policy section"},
           {"path", kPath, false, "its artifact"},
           {"owner", kText, false, "who answers for it"},
           {"version", kText, false, "declared version"},
           {"inputs", kTexts, false, "names of what it reads"},
           {"outputs", kTexts, false, "names of what it writes"},
           {"upstream", kTexts, false, "components that it depends on"},
           {"objective", kText, false, "what it is optimised for: a signal of the traces, or words"},
           {"minimises", kFlag, false, "it makes the objective small (default false)"},
           {"learns_from", kTexts, false, "signals of earlier rounds that it is fitted to"},
           {"trace", kPath, false, "what it did: CSV, TSV or JSON lines with a row an event; parts may share one file"},
           {"time", kText, false, "trace: column of the time or the round"},
           {"unit", kText, false, "trace: column that names the series a row belongs to: a user, a market"},
           {"explored", kText, false, "trace: column that is 1 where the output was drawn by lot, else 0"},
           {"propensity", kText, false, "trace: column with the probability of drawing by lot"},
           {"exposure", kText, false, "signal that says how far what it chose reached anybody, from 0"},
           {"data", kText, false, "data set that it is judged on"},
           {"contract",
            kTable,
            false,
            "what it assumes and guarantees",
            {},
            {{"assumes", kTexts, false, "conditions on its inputs"},
             {"guarantees", kTexts, false, "conditions on its outputs"},
             {"check", kText, false, "check that tests the guarantee"},
             {"metric", kText, false, "figure of that check"},
             {"at_least", kNumber, false, "threshold"},
             {"at_most", kNumber, false, "threshold"},
             {"confidence", kNumber, false, "of the guarantee"},
             {"data", kText, false, "data set that it is tested on"},
             {"owner", kText, false, "who answers for it"}}}});
  generic("trend", "A series of figures in time: `system.trend`.",
          {{"path", kPath, true,
            "CSV or JSON lines, a row a point, in the order of time; `plumbline trend --csv` writes one"},
           {"time", kText, false, "column of the time: dates, numbers or names (default \"time\")"},
           {"value", kText, false, "column of the figure; of counts and shares the count (default \"value\")"},
           {"error", kText, false, "column of its standard error"},
           {"exposure", kText, false, "the figures are counts, and this column is what they are counted over"},
           {"trials", kText, false, "the figures are hits, and this column is of how many trials"},
           {"since", kText, false, "compare from this time on with before (default: the later half)"}});
  generic("incidents", "A dated, sourced ledger of incidents: `system.trend`.",
          {{"path", kPath, true, "CSV or JSON lines, a row a report"},
           {"about", kTexts, true, "kinds that the question is about"},
           {"control", kTexts, false, "kinds that are reported alike and whose own rate stays as it is"},
           {"use", kPath, false, "CSV: time, exposure (in use), effort (looked at); a row holds until the next"},
           {"occurred", kText, false, "column of the day it happened (default \"occurred\")"},
           {"reported", kText, false, "column of the day it was reported (default \"reported\")"},
           {"source", kText, false, "column of who reports it (default \"source\")"},
           {"kind", kText, false, "column of the kind by the coding guide (default \"kind\")"},
           {"id", kText, false, "column that tells incidents apart; rows of one id are reports of one incident"},
           {"first", kText, false, "first day (default: of the first incident)"},
           {"as_of", kText, false, "day on which the ledger was closed (default: the last that it names)"},
           {"since", kText, false, "growth is from this day on against before (default: the later half)"},
           {"period", kInteger, false, "days of a period (default: so that there are at most 60)"}});
  generic("loop", "A control loop with a network in it: `plumbline reach`.",
          {{"path", kPath, true, "the system file, TOML"},
           {"networks", kPath, false, "the network that it names, or the folder of all of them; hashed with it"}});
  generic("graph", "A causal graph.",
          {{"path", kPath, false, "BIF, DOT or edge list"},
           {"format", kText, false, "of the file", {"bif", "dot", "edges"}},
           {"nodes", kTexts, false, "variables"},
           {"edges", kTexts, false, "\"cause -> effect\""},
           {"latent", kTexts, false, "unobserved variables"},
           {"treatment", kText, false, "variable that is set"},
           {"outcome", kText, false, "variable that is asked about"},
           {"adjust", kTexts, false, "variables to adjust for"},
           {"data", kText, false, "data or log section with its columns"}});
  generic("effect", "A question: what does a treatment do to an outcome?",
          {{"data", kText, true, "data section, a table: one row a unit (with time: a unit and period)"},
           {"treatment", kText, false, "column of what is done: two values, or a number with instruments"},
           {"treated", kText, false, "the value that counts as treated (default: the larger, or the later word)"},
           {"outcome", kText, true, "column of what comes of it: numbers"},
           {"covariates", kTexts, false,
            "columns of what was there before, or \"all\"; age^2, age*educ, re74=0, cat(school)"},
           {"estimand",
            kText,
            false,
            "over all rows, over the treated, over rows that might go either way (default ATE)",
            {"ATE", "ATT", "ATO"}},
           {"methods", kTexts, false, "the first gives the answer (default: aipw, and others beside it)"},
           {"learner", kText, false, "models inside aipw and tmle (default linear)", {"linear", "trees"}},
           {"graph", kText, false, "graph section that chooses or checks the covariates"},
           {"instruments", kTexts, false, "columns that move the treatment as if by lot"},
           {"running", kText, false, "column that decides at the cut-off"},
           {"cutoff", kNumber, false, "where it decides; rows at it count as above"},
           {"bandwidth", kNumber, false, "around the cut-off (default: the one with the least error)"},
           {"unit", kText, false, "column that names who is followed over time"},
           {"time", kText, false, "column of the period, a number"},
           {"cluster", kText, false, "column of groups whose rows are not independent (default: the data's unit)"},
           {"negative_outcomes", kTexts, false, "outcomes that the treatment cannot have moved"},
           {"experiment", kText, false,
            "the experiment that would answer the question, in words; \"none\": there is no such experiment"}});
  return s;
}

nlohmann::ordered_json key_schema(const KeySpec& key);

nlohmann::ordered_json object_schema(std::span<const KeySpec> keys) {
  nlohmann::ordered_json object = {{"type", "object"}, {"additionalProperties", false}};
  nlohmann::ordered_json properties = nlohmann::ordered_json::object();
  nlohmann::ordered_json required = nlohmann::ordered_json::array();
  for (const KeySpec& key : keys) {
    properties[std::string(key.name)] = key_schema(key);
    if (key.required) required.push_back(key.name);
  }
  object["properties"] = std::move(properties);
  if (!required.empty()) object["required"] = std::move(required);
  return object;
}

nlohmann::ordered_json key_schema(const KeySpec& key) {
  nlohmann::ordered_json schema;
  switch (key.type) {
    case kText:
    case kPath: schema = {{"type", "string"}}; break;
    case kFlag: schema = {{"type", "boolean"}}; break;
    case kInteger: schema = {{"type", "integer"}}; break;
    case kNumber: schema = {{"type", "number"}}; break;
    case kTexts: schema = {{"type", "array"}, {"items", {{"type", "string"}}}}; break;
    case kNumbers: schema = {{"type", "array"}, {"items", {{"type", "number"}}}}; break;
    case kPair: schema = {{"type", "array"}, {"items", {{"type", "number"}}}, {"minItems", 2}, {"maxItems", 2}}; break;
    case kTextTable: schema = {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}}; break;
    case kNumberTable: schema = {{"type", "object"}, {"additionalProperties", {{"type", "number"}}}}; break;
    case kTable: schema = object_schema(key.keys); break;
    case kAny: schema = nlohmann::ordered_json::object(); break;
  }
  if (!key.choices.empty()) schema["enum"] = std::vector<std::string>(key.choices.begin(), key.choices.end());
  schema["description"] = key.help;
  return schema;
}

std::string_view type_words(KeyType type) {
  switch (type) {
    case kText: return "text";
    case kPath: return "path";
    case kFlag: return "true or false";
    case kInteger: return "integer";
    case kNumber: return "number";
    case kTexts: return "list of texts";
    case kNumbers: return "list of numbers";
    case kPair: return "[number, number]";
    case kTextTable: return "{key = \"text\"}";
    case kNumberTable: return "{key = number}";
    case kTable: return "table";
    case kAny: return "value";
  }
  return "value";
}

void add_help(std::string& out, std::span<const KeySpec> keys, std::string_view prefix) {
  for (const KeySpec& key : keys) {
    const std::string name = fmt::format("{}{}", prefix, key.name);
    if (key.type == kTable) {
      add_help(out, key.keys, name + ".");
      continue;
    }
    std::string choices;
    for (const std::string_view c : key.choices) choices += fmt::format("{}{}", choices.empty() ? ": " : ", ", c);
    out += fmt::format("  {:<18} {}{}. {}{}\n", name, type_words(key.type), choices, key.help,
                       key.required ? " (required)" : "");
  }
}

}  // namespace

std::span<const SectionSpec> section_specs() {
  static const std::vector<SectionSpec> specs = make_specs();
  return specs;
}

const SectionSpec* find_section(std::string_view kind) {
  for (const SectionSpec& spec : section_specs()) {
    if (spec.kind == kind) return &spec;
  }
  return nullptr;
}

const KeySpec* find_key(std::span<const KeySpec> keys, std::string_view name) {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const KeySpec& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

std::vector<std::string> manifest_sections() {
  std::vector<std::string> kinds;
  for (const SectionSpec& spec : section_specs()) kinds.emplace_back(spec.kind);
  return kinds;
}

std::string manifest_help(std::string_view kind) {
  const SectionSpec* const spec = find_section(kind);
  if (spec == nullptr) return {};
  std::string title;
  switch (spec->form) {
    case SectionForm::kSingle: title = fmt::format("[{}]", kind); break;
    case SectionForm::kNamed: title = fmt::format("[{}.NAME]", kind); break;
    case SectionForm::kList: title = fmt::format("[[{}]]", kind); break;
    case SectionForm::kOpen: title = fmt::format("[{}.\"ID\"]", kind); break;
  }
  std::string out = fmt::format("{}  {}\n", title, spec->help);
  add_help(out, spec->keys, "");
  return out;
}

std::string manifest_schema() {
  nlohmann::ordered_json schema = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "Plumbline manifest"},
      {"description", "system.toml, read as JSON: which models, which data, what is claimed."},
      {"type", "object"},
      {"additionalProperties", false}};
  nlohmann::ordered_json properties = nlohmann::ordered_json::object();
  for (const SectionSpec& spec : section_specs()) {
    nlohmann::ordered_json section =
        spec.form == SectionForm::kOpen ? nlohmann::ordered_json{{"type", "object"}} : object_schema(spec.keys);
    nlohmann::ordered_json outer;
    switch (spec.form) {
      case SectionForm::kSingle: outer = std::move(section); break;
      case SectionForm::kNamed:
      case SectionForm::kOpen: outer = {{"type", "object"}, {"additionalProperties", std::move(section)}}; break;
      case SectionForm::kList: outer = {{"type", "array"}, {"items", std::move(section)}}; break;
    }
    outer["description"] = spec.help;
    properties[std::string(spec.kind)] = std::move(outer);
  }
  schema["properties"] = std::move(properties);
  schema["required"] = {"system"};
  return schema.dump(2) + "\n";
}

}  // namespace plumbline::data
