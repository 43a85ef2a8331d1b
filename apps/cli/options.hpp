#pragma once
/// The command line as plain structs; CLI11 is included in options.cpp alone.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace plumbline::cli {

/// A decision log, and how its file is read.
struct LogFile {
  std::string path;
  std::string format;
  std::string id, time, unit, position, action, propensity, reward;  ///< columns of a CSV
  std::vector<std::string> context;
  std::size_t limit = 0;
};

/// estimate
struct EstimateOptions {
  LogFile log;
  std::string policy;
  std::string against;
  double epsilon = 0;
  double temperature = 0;
  std::vector<std::string> estimators;  ///< empty: the default of the kind of log
  std::string ci = "bootstrap";
  std::vector<double> reward_range;  ///< two numbers, or none
  double max_weight = 0;             ///< 0 = not declared
  bool episodes = false;
  std::string state;  ///< column
  double discount = 1;
  bool stream = false;
  std::size_t replicates = 1000;
};

/// learn
struct LearnOptions {
  LogFile data;       ///< a log, or a table with a label
  std::string label;  ///< column of the table; empty: `data` is a log
  std::string separator;
  bool no_header = false;
  bool shuffle = false;
  std::string algorithm;  ///< empty: squarecb, or that of `resume`
  double epsilon = -1;    ///< below 0: the algorithm's own
  double temperature = 0.1, width = 0.5, gamma = 10, ridge = 1;
  std::size_t bags = 10;
  double keep = 0;  ///< 0 = no budget
  double confidence = 0.95;
  std::string baseline;
  double penalty = 1.645;
  std::size_t skip = 0;
  std::string resume, save, log_out;
};

/// causal ...
struct CausalOptions {
  std::string file;  ///< network, graph or table
  std::vector<std::string> targets;
  std::vector<std::string> evidence;  ///< VARIABLE=STATE
  std::vector<std::string> set;       ///< VARIABLE=STATE, --do
  std::vector<std::string> soft;      ///< VARIABLE=P/P/...
  std::string order = "best";
  std::string noise = "stated";
  std::size_t samples = 0;  ///< 0 = exact
  bool details = false;
  std::string graph;  ///< section of a manifest
  std::vector<std::string> treatment, outcome, given;
  std::string from, to;  ///< states of the treatment
  std::string data;      ///< a table
  std::string separator, kind = "auto", method = "pc", score = "bic", write;
  std::vector<std::string> drop;
  double alpha = 0.05;
  int depth = -1;
  std::size_t replicates = 0;
};

/// causal effect
struct EffectOptions {
  std::string data;
  std::string treatment, outcome, treated;
  std::vector<std::string> covariates, negatives, methods, instruments;
  std::string estimand = "ATE";
  std::string learner = "linear";
  std::string running;
  double cutoff = 0;
  bool has_cutoff = false;
  double bandwidth = 0;  ///< 0 = found
  std::string unit, time, cluster, groups, experiment;
  std::string graph, section;  ///< file of a graph, its section in a manifest
  std::size_t matches = 1;
  std::string separator;
  bool no_attack = false;
};

/// serve
struct ServeOptions {
  std::vector<std::string> stores, gauntlets, hosts;
  std::string guard, guard_ca, tokens, certificate, key;
};

struct Options {
  std::string command;  ///< "assess", "checks list", "runs", ...; empty when `exit_code` is set
  int exit_code = -1;   ///< parsing ended the program: help (0) or bad usage (2)

  std::string manifest;
  std::string store;
  std::string out;
  std::string name;
  std::string check;      ///< checks show
  std::string kind;       ///< init
  std::string folder;     ///< init, demo
  std::string reference;  ///< run or evidence
  std::string second;     ///< the other run of diff
  std::string metric;     ///< trend
  std::string subject;
  std::vector<std::string> where;  ///< KEY=VALUE
  double false_alarms = 0.05;
  std::vector<std::string> only;
  std::vector<std::string> skip;
  std::map<std::string, std::string> roots;
  std::vector<std::string> worlds;  ///< gauntlet
  std::vector<std::string> agents;
  std::vector<std::string> dials;  ///< NAME=NUMBER
  std::string level;
  std::string agent;  ///< worlds play
  std::string pictures;
  std::string script;
  std::string sweep;   ///< a dial
  std::string asking;  ///< gauntlet: what is turned
  std::vector<double> values;
  bool pressure = false;
  std::string model;  ///< verify
  std::string property;
  std::string certificate;        ///< to be written
  std::string check_certificate;  ///< to be replayed
  bool exact = false;             ///< verify: replay in exact rationals up to a larger limit
  std::string instances;
  std::string csv;
  double seconds = -1;  ///< verify --timeout; below 0: not given
  double proof_memory_gib = 2;
  std::vector<std::string> initial;  ///< reach --set: NAME=LOW:HIGH
  std::string plot;
  std::string table;            ///< reach: a game's table, to be written
  std::vector<std::string> at;  ///< NAME=VALUE
  double margin = 0;
  std::size_t boxes = 20000;
  int order = 5;
  int seeds = 0;
  std::int64_t steps = 0;
  int power = 0;       ///< trials of planted approaches
  std::string record;  ///< worlds play: file
  bool list = false;
  bool all = false;  ///< replicate
  bool check_stamp = false;
  std::string fail_on = "undetermined";
  std::string format = "text";
  std::string write_table;  ///< checks verify --full --write
  int jobs = 0;
  int runs = 0;  ///< checks verify
  std::uint64_t seed = 0;
  double timeout = 600;
  double memory_gib = 8;
  std::size_t keep = 20;
  std::size_t limit = 20;
  std::size_t offset = 0;
  std::vector<std::string> accept;  ///< guard
  std::string listen;
  std::string export_log;
  bool shadow = false;
  bool compact = false;
  bool discard = false;  ///< guard --compact
  EstimateOptions estimate;
  LearnOptions learn;
  CausalOptions causal;
  EffectOptions effect;
  ServeOptions serve;
  bool json = false;
  bool dry_run = false;
  bool no_cache = false;
  bool full = false;
  bool quiet = false;
  bool verbose = false;
  bool color = false;
};

/// Prints help or the usage error itself (help to standard output, errors to standard error).
Options parse_command_line(int argc, char** argv);

}  // namespace plumbline::cli
