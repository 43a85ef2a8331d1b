#pragma once
/// A replication: published figures beside ours, row by row, with the difference, and a judgement that one function
/// makes. A deviation counts as explained only while ours stays where the explanation says that it lies.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/case/interface/evidence.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::replicate {

/// How we know what was published.
enum class Origin {
  kRead,        ///< read in the paper, or in what its authors wrote about it
  kRecalled,    ///< not verified against the paper's text
  kProgram,     ///< the authors' program, run
  kSimulation,  ///< another simulation of the same definitions; the paper prints no number
  kDerived,     ///< worked out by hand from the paper's definitions
  kNone,        ///< nothing is published, or nothing that we know of
};
std::string_view origin_name(Origin origin);

/// What is published: a number, a range ("at least 0"), or an answer (1 = yes).
struct Published {
  std::string text{};  ///< as printed: "0.287", "at least 0", "passes", "none"
  double low = 0;      ///< low = high for a number
  double high = 0;
  Origin origin = Origin::kNone;
  std::string source{};  ///< "Table 1"; with kNone the reason why there is nothing to compare with

  bool number() const { return origin != Origin::kNone && low == high; }
};
Published number(double value, Origin origin, std::string source);
Published at_least(double value, Origin origin, std::string source);
Published at_most(double value, Origin origin, std::string source);
Published above(double value, Origin origin, std::string source);
Published below(double value, Origin origin, std::string source);
Published between(double low, double high, Origin origin, std::string source);
/// `words` instead of the number: "passes" for 1. A share that holds when it is surely more (yes) or less (no) than
/// half: `yes` accepts (0.5, 1], no accepts [0, 0.5).
Published answer(bool yes, std::string words, Origin origin, std::string source);
Published nothing(std::string reason);

/// Where ours lies instead, and why.
struct Deviation {
  double low = 0;
  double high = 0;
  std::string why{};
};

enum class Agreement {
  kAgrees,
  kExplained,      ///< differs, as the deviation says
  kDiffers,        ///< differs, and no explanation covers it
  kUndetermined,   ///< the bounds of ours lie on both sides
  kNotComparable,  ///< nothing published to compare with
  kNotRun,         ///< ours did not run, with the reason
};
std::string_view agreement_name(Agreement agreement);

struct Row {
  std::string label{};
  Published published{};
  std::optional<stats::Estimate> ours{};
  std::string words{};    ///< for ours instead of the number: "passes"
  std::string not_run{};  ///< why `ours` is absent
  double tolerance = 0;   ///< by which the published range is widened on both sides
  std::optional<Deviation> deviation{};
  std::string note{};  ///< what a reader should know of the row
  // Filled in by judge().
  Agreement agreement = Agreement::kNotComparable;
  std::optional<double> difference{};  ///< ours - published, where both are numbers
};

/// Judges a row: the only place where it is done. Exact figures by value and error bound, others by their two-sided
/// interval at 0.95. Inside the widened range: agrees. Outside: explained if inside the deviation's range, else
/// differs. On both sides, or without bounds: undetermined.
void judge(Row& row);

struct Facts {
  std::string id{};  ///< snake_case
  std::string title{};
  std::string paper{};  ///< authors, title, venue and year
  std::string where{};  ///< section, figure or table
  std::string compares{};
  double seconds = 0;  ///< about how long it takes on one core
};

struct Options {
  std::uint64_t seed = 1;
  bool full = false;  ///< the long form, of those that have one
  base::CancelToken cancel{};
  base::Progress* progress = nullptr;
  std::string data_folder{};  ///< of public data sets; empty: replications on them do not run
};

struct Replication {
  std::vector<Row> rows;  ///< judged
  std::vector<check::Artifact> pictures;
  std::vector<std::string> notes;  ///< settings that differ from the paper's, in a sentence each
};

struct Entry {
  Facts facts;
  std::function<base::Result<Replication>(const Options&)> run;
};

/// The explicit list, in the order of the documentation.
const std::vector<Entry>& replications();
/// Errors kValue: unknown id (with the nearest known one and the list).
base::Result<const Entry*> find_replication(std::string_view id);

/// Question: does this replication come out as published?
/// Formula:  the entry's rows, each judged.
/// Errors    kCancelled; what a method refuses.
/// Cost      `facts.seconds`; same seed, same bits for any number of threads (times that a picture shows excepted).
base::Result<Replication> run_replication(const Entry& entry, const Options& options);

/// Rows of each agreement, by name; all six are there.
std::map<std::string, std::size_t> counts(const Replication& replication);

/// 0: every comparable row agrees or is explained; 1: a row differs; 3: none differs, and one is undetermined.
int exit_status(const Replication& replication);

}  // namespace plumbline::replicate
