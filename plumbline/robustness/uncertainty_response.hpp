#pragma once
/// Do the four kinds of uncertainty tell apart what they are named for? Each is planted alone, and all four are read.

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::robustness {

enum class Doubt { kAleatoric, kModel, kDistributional, kSpecification };
inline constexpr std::array kDoubts = {Doubt::kAleatoric, Doubt::kModel, Doubt::kDistributional, Doubt::kSpecification};
std::string_view doubt_kind_name(Doubt kind);  ///< "aleatoric", ...
std::string_view doubt_plant(Doubt kind);      ///< "noise", "too little data", "a new domain", "a disputed reward"

struct LabelledRows {
  MatrixF features;
  std::vector<int> labels;
};
/// The measures of every judged row, each growing with doubt: entropy, mutual information, -ln p of the distance, and
/// whether readings of the costs recommend different actions (0 or 1: a test statistic, no amount of doubt).
using DoubtMeasures = std::array<std::vector<double>, kDoubts.size()>;
/// A softmax head as the model, and its doubts. `disputed`: the second reading swaps what the first two classes
/// deserve; otherwise it nearly agrees with the first. Errors    as stats::fit_logistic and fit_doubts.
base::Result<DoubtMeasures> measure_doubts(const LabelledRows& train, const LabelledRows& calibration,
                                           const LabelledRows& judged, int classes, bool disputed,
                                           const base::Rng& rng);

/// Worlds in which everything is known: classes as Gaussian clouds in some of the features, a softmax head as model.
struct ResponseOptions {
  std::size_t worlds = 40;  ///< independent repeats
  std::size_t train = 2000;
  std::size_t calibration = 600;
  std::size_t judged = 300;
  int classes = 3;
  int features = 16;
  double separation = 2.2;  ///< of class means, in deviations
  double noise = 0.35;      ///< planted: share of labels redrawn, wherever labels are
  std::size_t few = 150;    ///< planted: training rows instead of `train`
  double away = 3;          ///< planted: deviations by which judged rows leave, across the classes
  base::CancelToken cancel{};
};

/// response[plant][kind]: how far the mean of a measure moves when something is planted, in deviations of that measure
/// over rows of worlds without a plant.
struct ResponseMatrix {
  std::array<std::array<stats::Estimate, 4>, 4> response;
  /// own - 3 |other|: above 0 where a plant moves its own kind at least three times as far as this one.
  std::array<std::array<stats::Estimate, 4>, 4> margin;
};

/// Question  does each plant move its own kind of uncertainty, and how much of the others?
/// Returns   bounds over worlds by Student's t; margins by the smaller of own - 3 other and own + 3 other.
/// Errors    as fit_doubts; kValue: fewer than 10 worlds; kCancelled.
/// Cost      five fits a world, about 0.1 s a world. Same seed, same bits.
base::Result<ResponseMatrix> response_matrix(const ResponseOptions& options, const base::Rng& rng);

}  // namespace plumbline::robustness
