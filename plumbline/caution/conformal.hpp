#pragma once
/// Split conformal prediction: p-values and prediction sets whose coverage is exact in finite samples when calibration
/// and judged rows are exchangeable, and the law that their coverage follows.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::caution {

/// How strange is one score beside scores of calibration rows?
/// Formula   p = (1 + #{i: c_i >= score}) / (n + 1), c the calibration scores; large scores are strange.
/// Returns   p in [1 / (n + 1), 1]. P(p <= a) <= a for every a under exchangeability, with equality at multiples of
///           1 / (n + 1) when scores have no ties.
/// Assumes   the judged row and the calibration rows are exchangeable; the score was not fitted on either.
/// Errors    kShape: no calibration scores. kValue: non-finite score.
/// Cost      O(n). Deterministic.
/// Source    Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005, sec. 2.2; Bates et al. 2023.
base::Result<double> conformal_p_value(std::span<const double> calibration, double score);
/// The same for many scores: one sort, O((n + m) log n).
base::Result<std::vector<double>> conformal_p_values(std::span<const double> calibration,
                                                     std::span<const double> scores);
/// Ties broken by u in [0, 1]: p = (#{c_i > score} + u (1 + #{c_i = score})) / (n + 1), exactly uniform when u is.
/// Errors also kValue: u outside [0, 1].
base::Result<double> conformal_p_value_randomised(std::span<const double> calibration, double score, double u);

/// Which calibration score is the threshold: ceil((n + 1) level), counted from the smallest; nothing when it exceeds n,
/// that is when n rows are too few for that level.
std::optional<std::size_t> conformal_rank(std::size_t n, double level);
/// Fewest calibration rows that can serve the level: 9 for 0.9, 19 for 0.95, 99 for 0.99. Precondition: 0 < level < 1.
std::size_t conformal_rows_needed(double level);

/// The exact law of coverage when scores have no ties and rows are independent: given n calibration rows and rank k,
/// coverage of the source is Beta(k, n + 1 - k), and covered rows among m fresh ones are beta-binomial.
/// With ties coverage is stochastically larger. Source: Vovk 2012, "Conditional validity of inductive conformal
/// predictors".
struct CoverageLaw {
  std::size_t n = 0;
  std::size_t rank = 0;

  double mean() const;  ///< k / (n + 1) >= level
  /// Quantile of the coverage of the source, p in (0, 1).
  double quantile(double p) const;
  /// P(at most `covered` of m fresh rows are covered).
  double count_cdf(std::size_t covered, std::size_t m) const;
  /// Smallest count c with count_cdf(c, m) >= p.
  std::size_t count_quantile(double p, std::size_t m) const;
};
/// Errors kValue: level outside (0, 1). kLimit: n too small; the message gives the n that is needed.
base::Result<CoverageLaw> coverage_law(std::size_t n, double level);

enum class ConformalMethod {
  kLac,       ///< score 1 - p_y: smallest sets on average (Sadinle, Lei, Wasserman 2019)
  kMondrian,  ///< the same with one threshold per class: coverage holds within every class (Vovk 2012)
  kAps,       ///< probability mass up to the label, randomised: adapts to hard rows (Romano, Sesia, Candes 2020)
  kRaps,      ///< APS with a penalty on long tails (Angelopoulos, Bates, Malik, Jordan 2021)
};
std::string_view conformal_method_name(ConformalMethod method);  ///< "lac", "mondrian", "aps", "raps"
base::Result<ConformalMethod> parse_conformal_method(std::string_view word);

struct ConformalOptions {
  ConformalMethod method = ConformalMethod::kLac;
  double level = 0.9;
  double raps_penalty = 0.01;  ///< lambda, added for every rank above raps_free
  int raps_free = 2;           ///< k_reg
};

/// Thresholds learnt from calibration rows.
struct ConformalModel {
  enum class Outcome {
    kReady,
    kTooFewRows,  ///< no finite threshold exists; `rows_needed` rows would do
  };
  Outcome outcome = Outcome::kReady;
  ConformalOptions options;
  int classes = 0;
  std::size_t n = 0;                    ///< calibration rows
  std::size_t rows_needed = 0;          ///< for this level
  std::vector<double> thresholds;       ///< one, or one per class (Mondrian); infinite = class always included
  std::vector<std::size_t> class_rows;  ///< Mondrian: calibration rows of each class
  std::vector<int> always_included;     ///< Mondrian: classes with too few calibration rows
};

/// Question  which labels cannot be ruled out at a stated error rate?
/// Shapes    probabilities n x k (rows sum to 1), labels n, values in [0, k).
/// Returns   the thresholds: order statistic conformal_rank(n, level) of the scores of the true labels.
/// Assumes   calibration rows exchangeable with the rows to come and not used to train the model.
/// Errors    kShape: n = 0, k < 2, labels.size() != n. kValue: level outside (0, 1), label out of range, probability
///           outside [0, 1] or row sum off by more than 1e-4, penalty negative.
/// Outcome   kReady, or kTooFewRows with the number needed. Mondrian with some short classes is kReady: those classes
///           are in every set, which keeps their coverage, and are listed.
/// Cost      O(n k log k). Random only for APS and RAPS (one uniform a row from rng.fork("conformal")).
base::Result<ConformalModel> fit_conformal(MatrixRefD probabilities, std::span<const int> labels,
                                           const ConformalOptions& options, const base::Rng& rng);

/// Membership n x k, row-major: 1 = the class is in the row's set. Sets may be empty, which is part of exact coverage.
struct PredictionSets {
  std::size_t rows = 0;
  int classes = 0;
  std::vector<std::uint8_t> member;

  bool contains(std::size_t row, int label) const {
    return member[row * static_cast<std::size_t>(classes) + static_cast<std::size_t>(label)] != 0;
  }
  std::size_t size(std::size_t row) const;
};

/// Sets of judged rows. Errors as fit_conformal; kShape: other number of classes; kValue: model not kReady.
/// Give it another stream than the one that fitted.
base::Result<PredictionSets> predict_sets(const ConformalModel& model, MatrixRefD probabilities, const base::Rng& rng);

/// How sets fare on rows with known labels.
struct SetQuality {
  stats::Estimate coverage;     ///< share of rows whose set holds the label
  stats::Estimate size;         ///< mean number of labels in a set
  stats::Estimate worst_class;  ///< smallest coverage within a class
  int worst = -1;               ///< that class
  double empty_share = 0;
  std::vector<std::size_t> class_rows;   ///< k
  std::vector<double> class_coverage;    ///< k, NaN for a class without rows
  std::vector<std::size_t> size_counts;  ///< k + 1: rows by set size
  std::vector<std::size_t> missed;       ///< rows whose set lacks the label
};

/// Question  do the sets cover, how large are they, and does any class pay for the others?
/// Bounds    coverage: exact (Clopper–Pearson), with units by effective size. Size: Student's t over units, or the
/// empirical
///           Bernstein bound on [0, k] where all sets are of one size. Worst class: the smallest of the classes' exact
///           bounds, each at 1 - (1 - c) / k rounded up to a rung, so that choosing the worst is accounted for.
/// Shapes    labels as many as sets.rows; units n or empty.
/// Errors    kShape: sizes differ, fewer than 2 rows, fewer than 2 units. kValue: label out of range.
/// Cost      O(n k). Deterministic.
base::Result<SetQuality> judge_sets(const PredictionSets& sets, std::span<const int> labels,
                                    std::span<const int> units = {});

}  // namespace plumbline::caution
