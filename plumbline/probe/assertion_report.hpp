#pragma once
/// Assertions over a recorded stream: how often each is broken with bounds, which records to look at, weak labels.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/probe/assertions.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::probe {

struct FlaggedRecord {
  std::size_t record = 0;
  std::size_t event = 0;  ///< records that one assertion flags one after another in one unit are one event
  Violation violation;
};

/// A value that an assertion proposes in place of one that is there.
struct WeakLabel {
  std::size_t record = 0;
  std::size_t assertion = 0;
  FieldPlace field;
  std::string from;
  std::string to;
};

struct AssertionFigures {
  std::size_t judged = 0;
  std::size_t violated = 0;
  std::size_t absent = 0;  ///< records that lack a value: neither held nor broken
  std::size_t events = 0;
  double worst = 0;                     ///< largest severity
  std::optional<stats::Estimate> rate;  ///< violated / judged; nothing where none was judged
};

struct AssertionReport {
  std::vector<AssertionFigures> assertions;
  std::optional<stats::Estimate> any;      ///< share of records that break any, of those judged by some
  std::optional<stats::Estimate> failing;  ///< … any of severity fail; nothing where there is none
  std::vector<FlaggedRecord> flagged;      ///< by record
  std::vector<WeakLabel> weak_labels;      ///< by record; the first assertion that proposes one for a field
};

/// Question  how often does the stream break each rule, where, and what should stand there instead?
/// Formula   records in order; each is judged by what is known before it, then remembered. Rates by stats::proportion,
///           clustered by unit where units are named.
/// Errors    kShape: no records; a record with another number of values than there are fields. kValue: time that is not
///           finite or runs backwards.
/// Assumes   units (records, where no unit is named) are independent.
/// Cost      O(records assertions). Deterministic.
/// Source    Kang, Raghavan, Bailis, Zaharia, "Model assertions for monitoring and improving ML models", MLSys 2020.
base::Result<AssertionReport> run_assertions(const AssertionSet& set, std::span<const AssertionRecord> records,
                                             std::size_t units = 1'000'000);

/// Records worth a person's label, at most `budget`: assertions take turns, each with the worst record of its worst
/// event that is left; no event and no record twice.
std::vector<std::size_t> worth_labelling(const AssertionReport& report, std::size_t budget);

/// What the assertions can see: texts of `field` replaced by another that occurs in it, in a share of the records.
struct PlantedFaults {
  std::size_t planted = 0;
  std::size_t caught = 0;     ///< flagged, or proposed for correction, and not without the fault
  std::size_t corrected = 0;  ///< weak label equal to the text that was there
};
/// Errors    kValue: share outside (0, 1); field is no text, or has fewer than two values; and those of run_assertions.
base::Result<PlantedFaults> plant_faults(const AssertionSet& set, std::span<const AssertionRecord> records,
                                         const AssertionReport& report, std::size_t field, double share, base::Rng rng);

}  // namespace plumbline::probe
