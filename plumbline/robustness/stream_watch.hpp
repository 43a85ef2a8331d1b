#pragma once
/// Several columns of a stream watched by several detectors at once, with one promise for all columns together.

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/stream_drift.hpp"

namespace plumbline::robustness {

/// One column: what is known of it, and what came, in order. NaN = missing, which ranks above every number.
struct StreamColumn {
  std::string name;
  std::vector<double> reference;
  std::vector<double> stream;
};

enum class StreamDetector { kEver, kBets, kCusum, kAdwin };
inline constexpr std::array<StreamDetector, 4> kStreamDetectors = {StreamDetector::kEver, StreamDetector::kBets,
                                                                   StreamDetector::kCusum, StreamDetector::kAdwin};
std::string_view stream_detector_name(StreamDetector detector);  ///< "ever", "bets", "cusum", "adwin"

struct StreamOptions {
  double level = 0.01;         ///< of "ever": the probability of an alarm however long the stream
  double run_length = 10'000;  ///< of the others: rows for each false alarm, at least
  double allowance = 0.5;      ///< of "cusum", in deviations: half of the shift that should be found soonest
  std::size_t groups = 256;    ///< of the urns
  base::CancelToken cancel{};
};

struct StreamReport {
  double p_value = 1;                              ///< of "nothing changed", valid however long one watched
  std::array<std::vector<std::size_t>, 4> alarms;  ///< rows, by detector
  std::vector<double> evidence;                    ///< after each row: log10 of the capital of "ever"
  std::vector<double> restarted;                   ///< of "bets", before it starts anew
  std::vector<double> cusum;                       ///< largest statistic / threshold of a column
  std::vector<double> columns;                     ///< largest log10 capital of each column in "ever"
  std::vector<double> moved;                       ///< mean of each column's normal score since `began`
  double cusum_threshold = 0;
  std::optional<std::size_t> began;  ///< where the capital of "ever" was least before its alarm: about when

  const std::vector<std::size_t>& of(StreamDetector detector) const {
    return alarms[static_cast<std::size_t>(detector)];
  }
};

/// Question  did the law of these columns change while the stream ran, and when was that known?
/// Formula   p-values of each column by RankUrn, in order. "ever" and "bets": BettingDetectors whose capitals are
/// averaged
///           over the columns, which keeps their promise whatever the dependence. "cusum": a CusumDetector each on
///           normal scores; "adwin": an AdwinDetector each on p-values; their rates of false alarms add, so each column
///           gets its part.
/// Assumes   reference and stream exchangeable while nothing changes; columns may depend on each other. For "adwin" see
///           AdwinBound::kHoeffding.
/// Errors    kShape: no column; streams of different lengths; a reference of fewer than 2 rows. kValue: an infinite
///           number; level outside (0, 1); run_length below 10; groups below 2. kCancelled.
/// Cost      O(rows columns log groups). Random: how ties are broken, from `rng`.
base::Result<StreamReport> watch_stream(std::span<const StreamColumn> columns, const StreamOptions& options,
                                        base::Rng rng);

/// What a detector did when the reference alone was played to it, `times` in random order: one half as reference, the
/// other as stream.
struct Rehearsal {
  std::size_t times = 0;
  std::size_t rows = 0;          ///< of each stream
  std::size_t false_alarms = 0;  ///< streams with an alarm although nothing changed
  std::size_t found = 0;         ///< streams with an alarm after the planted shift
  std::vector<double> delays;    ///< rows from the shift to it; of those not found: to the end of the stream
};
/// The shift: `plant` deviations of the reference, on every column, from the middle of the stream on.
/// Errors    as watch_stream; kShape: fewer than 40 rows of reference. Independent given the reference's rows, since
///           under exchangeability their order is what is random.
base::Result<std::array<Rehearsal, 4>> rehearse_stream(std::span<const StreamColumn> columns, double plant,
                                                       std::size_t times, const StreamOptions& options,
                                                       const base::Rng& rng);

}  // namespace plumbline::robustness
