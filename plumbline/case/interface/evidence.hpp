#pragma once
/// What a check leaves behind: evidence (figures with bounds), findings (concrete failing cases), artifacts (the
/// tables and images that pictures draw).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "plumbline/stats/estimate.hpp"

namespace plumbline::check {

enum class Direction { kHigherIsBetter, kLowerIsBetter, kNone };
std::string_view direction_name(Direction direction);

using ParamValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>, std::vector<double>>;

/// One figure. `where` says which part of the subject it is about: always `data`, then for example `slice`, `detector`.
/// Fields from `seed` on are filled in by the runner.
struct Evidence {
  std::string id;  ///< SHA-256 of the canonical content
  std::string check;
  std::string subject;
  std::string metric;
  std::map<std::string, std::string> where;
  stats::Estimate estimate;
  std::string unit;  ///< "share", "nat", "1" ...
  Direction direction = Direction::kNone;
  double level = 0.95;  ///< of the interval that is printed
  std::uint64_t seed = 0;
  std::map<std::string, ParamValue> params;
  std::map<std::string, std::string> inputs;  ///< "data:test" -> fingerprint, "model:reader" -> hash
  std::string build;
  std::vector<std::string> artifacts;  ///< artifact ids
};

enum class FindingSeverity { kMajor, kMedium, kMinor };
std::string_view severity_name(FindingSeverity severity);

/// One concrete failing case, replayable from the rows named.
struct Finding {
  std::string id;
  std::string check;
  std::string subject;
  FindingSeverity severity = FindingSeverity::kMedium;
  std::string title;   ///< "Digit 7 read as 1: 31 of 40 rows of slice 'thick stroke'"
  std::string detail;  ///< what was seen, what it means, what to do
  std::string next_step;
  std::string data;               ///< data set
  std::vector<std::size_t> rows;  ///< source rows, at most 100
  std::map<std::string, std::string> where;
};

/// A column of an artifact. NaN numbers are shown as empty.
struct ArtifactColumn {
  std::string name;
  std::string unit;
  std::variant<std::vector<double>, std::vector<std::string>> values;
};

/// A typed table or image. `kind` picks the picture: reliability, roc, grid, treemap, gallery, histogram, curve, bars,
/// table.
struct Artifact {
  std::string id;  ///< unique within the task, kebab-case; the runner prefixes check and subject
  std::string kind;
  std::string title;
  std::string caption;  ///< one sentence that says how to read it
  std::vector<ArtifactColumn> columns;
  std::map<std::string, std::string> facts;  ///< scalars of the picture: "auroc" -> "0.968", axis labels …
  std::string media_type;                    ///< "image/png" when `bytes` holds an image, else empty
  std::string bytes;
};

/// Everything one task of a check produced.
struct Output {
  std::vector<Evidence> evidence;
  std::vector<Finding> findings;
  std::vector<Artifact> artifacts;
  std::string rows;  ///< which rows were used for what, in words; goes into the ledger
  std::vector<std::string> notes;
};

}  // namespace plumbline::check
