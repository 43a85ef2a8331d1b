#pragma once
/// The manifest `system.toml`: which models, which data, what is claimed. Parsed once, every section, unknown keys
/// refused with line and suggestion. Paths are relative to the manifest and may not leave its folder, except through
/// named roots ("data:mnist/train.gz" with --root data=DIR, or PLUMBLINE_DATA for the root named data).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/kinds.hpp"

namespace plumbline::data {

/// A scalar or list of strings, as written in TOML.
using Value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>, std::vector<double>>;

/// A path as written and as resolved.
struct Location {
  std::string written;
  std::string resolved;  ///< absolute
};

struct ModelSection {
  std::string name;
  int line = 0;
  /// Exactly one source: a file (.onnx, .pt with trusted = true, a built-in network's checkpoint), an endpoint or a
  /// callable.
  std::optional<Location> path;
  std::string endpoint;             ///< http(s)://host:port/path
  std::optional<Location> ca_file;  ///< certificates (PEM) that an https endpoint's must lead to, not the system's
  std::string callable;             ///< "module:function", run in a Python process of its own
  std::optional<Location> python_path;
  std::string version;  ///< declared version of an endpoint or callable; part of its hash
  std::string task = "classification";
  std::string output;    ///< logits, probabilities, scores: required
  std::string features;  ///< tensor name, "inputs", or "pca:N"; empty = default (see the docs of robustness.ood)
  bool trusted = false;
  std::int64_t classes = 0;  ///< required for endpoints and callables
  std::vector<std::int64_t> input_shape;
  InputSpec input;
  std::vector<std::string> columns;  ///< for tables: the input columns in order; empty = all of the train set
};

struct DataSection {
  std::string name;
  int line = 0;
  std::optional<Location> images;     ///< IDX, IDX.gz, or a folder of PNG/JPEG (sub-folders are classes)
  std::optional<Location> table;      ///< CSV, TSV, JSON lines
  std::optional<Location> matrix;     ///< NPY or NPZ
  std::optional<Location> labels;     ///< IDX, IDX.gz, NPY, or one label a line
  std::string label;                  ///< name of the label column of a table
  std::vector<std::string> classes;   ///< class names, or label levels in order
  std::string unit;                   ///< column (or file) that names the unit of sampling
  std::optional<Location> unit_file;  ///< the same as a file, for sets without a table
  std::string from;                   ///< take the rows from another set …
  double share = 0;                   ///< … this share of its units
  Role role = Role::kTest;
  std::map<std::string, Value> options;  ///< reader options: separator, missing, header, types.COLUMN, limit, ...
};

struct PredictionsSection {
  std::string name;
  int line = 0;
  std::string model;   ///< whose predictions; may name no [model] section
  std::string data;    ///< of which data set
  Location path;       ///< CSV, NPY, NPZ, JSON lines: one row per data row
  std::string output;  ///< logits, probabilities, scores
};

struct ClaimSection {
  std::string id;
  int line = 0;
  std::string text;
  std::string check;
  std::string metric;
  std::map<std::string, std::string> where;
  std::optional<double> at_least;
  std::optional<double> at_most;
  std::optional<std::pair<double, double>> within;
  std::string no_worse_than;  ///< a run id or name
  double margin = 0;
  double confidence = 0.95;
  std::string severity = "fail";      ///< fail, warn
  std::string population = "source";  ///< source, these
  std::string sampling = "fixed";     ///< fixed, anytime
};

struct WaiverSection {
  std::string id;
  int line = 0;
  std::string claim;
  std::string owner;
  std::string reason;
  std::string expires;  ///< YYYY-MM-DD
};

/// A strategy that groups claims under a goal; becomes part of the argument.
struct ArgumentSection {
  std::string id;
  int line = 0;
  std::string kind;  ///< goal, strategy, context, assumption, justification, defeater
  std::string text;
  std::vector<std::string> supported_by;  ///< claims or argument ids
  std::vector<std::string> in_context_of;
  std::vector<std::string> challenges;  ///< for defeaters: what they attack
  std::string rule = "all";             ///< all, or "k-of-n" as "2"
};

struct GuardSection {
  int line = 0;
  std::string case_reference;
  std::map<std::string, Value> keys;
};

/// A section that later rooms read (reward, preferences, world, policy, log, component, graph): keys checked
/// against the declared list, values kept.
struct OtherSection {
  std::string kind;
  std::string name;
  int line = 0;
  std::map<std::string, Value> keys;
  std::map<std::string, Location> paths;  ///< those of the keys that are paths, resolved

  /// The text under a key, empty when it is not given.
  std::string text(const std::string& key) const {
    const auto found = keys.find(key);
    const auto* value = found == keys.end() ? nullptr : std::get_if<std::string>(&found->second);
    return value == nullptr ? std::string() : *value;
  }
};

struct Manifest {
  std::string path;    ///< as given
  std::string folder;  ///< absolute
  std::string name;
  std::uint64_t seed = 0;
  std::string examples = "default";  ///< none, blurred, full; default = none for tables, full for images
  std::int64_t selection_budget = 10;
  std::map<std::string, ModelSection> models;
  std::map<std::string, DataSection> data;
  std::map<std::string, PredictionsSection> predictions;
  std::map<std::string, std::map<std::string, Value>> check_params;  ///< [check."robustness.ood"]
  std::vector<ClaimSection> claims;
  std::map<std::string, WaiverSection> waivers;
  std::map<std::string, ArgumentSection> argument;
  std::optional<GuardSection> guard;
  std::vector<OtherSection> others;
  std::string sha256;  ///< of the file

  /// The section [kind.name] of the kinds that are kept as they are; null when there is none.
  const OtherSection* other(std::string_view kind, std::string_view name) const;
};

struct ManifestOptions {
  std::map<std::string, std::string> roots;  ///< name -> folder
  std::uint64_t file_bytes = 1U << 20U;
};

/// Errors  kIo, kParse (with line and column), kValue: unknown key (with line and the nearest known key), path that
///         leaves the folder, duplicate id, reference to a section that is not there. All problems found are reported
///         at once, one a line, in `message`.
base::Result<Manifest> read_manifest(const std::string& path, const ManifestOptions& options = {});
base::Result<Manifest> parse_manifest(std::string_view text, const std::string& path,
                                      const ManifestOptions& options = {});

/// Kinds of sections, in the order of the documentation: "system", "model", "data", ..., "guard".
std::vector<std::string> manifest_sections();

/// What a kind of section is for and which keys it takes, as plain text for a terminal; empty for an unknown kind.
std::string manifest_help(std::string_view kind);

/// The manifest's JSON Schema (draft 2020-12), from the same tables as the reader. Kept as
/// docs/schema/manifest.schema.json.
std::string manifest_schema();

}  // namespace plumbline::data
