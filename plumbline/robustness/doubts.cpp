#include "plumbline/robustness/doubts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/caution/conformal.hpp"
#include "plumbline/caution/temperature_scaling.hpp"

namespace plumbline::robustness {
namespace {

using base::Code;

template <class Matrix>
Matrix rows_of(Eigen::Ref<const Matrix> all, std::span<const std::size_t> rows) {
  Matrix some(std::ssize(rows), all.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    some.row(static_cast<std::ptrdiff_t>(i)) = all.row(static_cast<std::ptrdiff_t>(rows[i]));
  }
  return some;
}

std::vector<int> labels_of(std::span<const int> all, std::span<const std::size_t> rows) {
  std::vector<int> some;
  for (const std::size_t row : rows) some.push_back(all[row]);
  return some;
}

/// Rows of a random half of the units, and the others.
struct Halves {
  std::vector<std::size_t> first, second;
};
Halves split_units(std::size_t rows, std::span<const int> units, base::Rng rng) {
  std::vector<int> distinct(units.begin(), units.end());
  if (units.empty()) {
    distinct.resize(rows);
    std::iota(distinct.begin(), distinct.end(), 0);
  }
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  rng.shuffle(std::span(distinct));
  const std::set<int> chosen(distinct.begin(), distinct.begin() + static_cast<std::ptrdiff_t>(distinct.size() / 2));
  Halves halves;
  for (std::size_t i = 0; i < rows; ++i) {
    (chosen.contains(units.empty() ? static_cast<int>(i) : units[i]) ? halves.first : halves.second).push_back(i);
  }
  return halves;
}

base::Result<double> temperature_of(MatrixRefD logits, std::span<const int> labels, std::vector<std::string>& notes) {
  PL_TRY(const caution::TemperatureFit fit, caution::fit_temperature(logits, labels));
  switch (fit.outcome) {
    case caution::TemperatureFit::Outcome::kInterior: return fit.temperature;
    case caution::TemperatureFit::Outcome::kSeparable:
      notes.push_back(fmt::format(
          "every one of the {} rows that fit the temperature is right, so none is best: 1 is used", labels.size()));
      return 1.0;
    case caution::TemperatureFit::Outcome::kNoInformation: break;
  }
  return base::make_error(Code::kValue, "on the calibration rows the outputs say nothing about the labels",
                          "fit_doubts", "Check that the outputs and labels belong together");
}

base::Status check_data(const DoubtData& data) {
  constexpr std::string_view kName = "fit_doubts";
  PL_CHECK(base::check_size(kName, "calibration_logits.cols()", data.calibration_logits.cols(), data.classes));
  const auto rows = std::ssize(data.calibration_labels);
  PL_CHECK(base::check_at_least(kName, "calibration rows", rows, 4));
  PL_CHECK(base::check_size(kName, "calibration_logits.rows()", data.calibration_logits.rows(), rows));
  PL_CHECK(base::check_size(kName, "calibration_features.rows()", data.calibration_features.rows(), rows));
  PL_CHECK(base::check_size(kName, "calibration_features.cols()", data.calibration_features.cols(),
                            data.train_features.cols()));
  PL_CHECK(base::check_labels(kName, "calibration_labels", data.calibration_labels, data.classes));
  if (!data.calibration_units.empty()) {
    PL_CHECK(base::check_size(kName, "calibration_units", std::ssize(data.calibration_units), rows));
  }
  return base::ok();
}

std::span<const float> row_of(MatrixRefF rows, std::ptrdiff_t i) {
  return {rows.data() + i * rows.outerStride(), static_cast<std::size_t>(rows.cols())};
}
std::span<const double> row_of(MatrixRefD rows, std::ptrdiff_t i) {
  return {rows.data() + i * rows.outerStride(), static_cast<std::size_t>(rows.cols())};
}

}  // namespace

base::Result<RowMahalanobis> RowMahalanobis::make(const MahalanobisScore& score) {
  const std::ptrdiff_t d = score.columns();
  PL_TRY(MatrixD whitener, score.within().whiten(MatrixD(MatrixD::Identity(d, d))));
  return from_state({score.means(), score.mean(), std::move(whitener)});
}

base::Result<RowMahalanobis> RowMahalanobis::from_state(State state) {
  constexpr std::string_view kName = "RowMahalanobis";
  const std::ptrdiff_t d = state.mean.size();
  PL_CHECK(base::check_at_least(kName, "mean", d, 1));
  PL_CHECK(base::check_at_least(kName, "means.rows()", state.means.rows(), 1));
  PL_CHECK(base::check_size(kName, "means.cols()", state.means.cols(), d));
  PL_CHECK(base::check_size(kName, "whitener.rows()", state.whitener.rows(), d));
  PL_CHECK(base::check_size(kName, "whitener.cols()", state.whitener.cols(), d));
  for (const auto& [name, part] : {std::pair{"means", state.means}, std::pair{"mean", MatrixD(state.mean)},
                                   std::pair{"whitener", state.whitener}}) {
    PL_CHECK(base::check_all_finite(kName, name, std::span(part.data(), static_cast<std::size_t>(part.size()))));
  }
  RowMahalanobis row(std::move(state));
  row.white_means_ = MatrixD::Zero(row.state_.means.rows(), d);
  for (std::ptrdiff_t k = 0; k < row.white_means_.rows(); ++k) {
    for (std::ptrdiff_t i = 0; i < d; ++i) {
      const double away = row.state_.means(k, i) - row.state_.mean(i);
      for (std::ptrdiff_t j = i; j < d; ++j) row.white_means_(k, j) += away * row.state_.whitener(i, j);
    }
  }
  return row;
}

double RowMahalanobis::score(std::span<const float> row, std::vector<double>& white) const {
  const std::size_t d = row.size();
  white.assign(d, 0.0);
  for (std::size_t i = 0; i < d; ++i) {
    const double away = static_cast<double>(row[i]) - state_.mean(static_cast<std::ptrdiff_t>(i));
    const double* line = state_.whitener.data() + i * d;
    for (std::size_t j = i; j < d; ++j) white[j] += away * line[j];
  }
  double least = std::numeric_limits<double>::infinity();
  for (std::ptrdiff_t k = 0; k < white_means_.rows(); ++k) {
    const double* mean = white_means_.data() + k * static_cast<std::ptrdiff_t>(d);
    double square = 0;
    for (std::size_t j = 0; j < d; ++j) square += (white[j] - mean[j]) * (white[j] - mean[j]);
    least = std::min(least, square);
  }
  return least;
}

std::string ClassifierDoubts::thresholds_hash() const {
  base::Sha256 hash;
  hash.add_field(fmt::format("temperature {}", temperature));
  hash.add_field(fmt::format("level {} threshold {}", level, set_threshold));
  for (const double distance_seen : distances) hash.add_field(fmt::format("{}", distance_seen));
  return hash.hex();
}

void ClassifierDoubts::ask(std::span<const double> logits, std::span<const float> features, DoubtScratch& scratch,
                           RowDoubts& result) const {
  const std::size_t k = logits.size();
  scratch.center.resize(k);
  for (std::size_t c = 0; c < k; ++c) scratch.center[c] = logits[c] / temperature;
  scratch.covariance.resize(k * k);
  head.covariance(features, scratch.head, scratch.covariance);
  caution::draw_predictive(scratch.center, scratch.covariance, draws, scratch.draw, result.predictive);
  result.distance = distance.score(features, scratch.white);
  const auto at_least = distances.end() - std::lower_bound(distances.begin(), distances.end(), result.distance);
  result.p_value = (1.0 + static_cast<double>(at_least)) / (static_cast<double>(distances.size()) + 1.0);
  result.in_set.resize(k);
  result.set_size = 0;
  for (std::size_t c = 0; c < k; ++c) {
    result.in_set[c] = 1.0 - result.predictive.p[c] <= set_threshold ? 1 : 0;
    result.set_size += result.in_set[c];
  }
}

base::Result<ClassifierDoubts> fit_doubts(const DoubtData& data, const DoubtOptions& options, const base::Rng& rng) {
  PL_CHECK(check_data(data));
  PL_CHECK(base::check_in_open("fit_doubts", "level", options.level, 0.0, 1.0));
  if (options.draws < 2 || options.draws % 2 != 0) {
    return base::make_error(Code::kValue, fmt::format("draws is {}, expected an even number", options.draws),
                            "fit_doubts");
  }
  const Halves halves = split_units(data.calibration_labels.size(), data.calibration_units, rng.fork("calibration"));
  const auto rank = caution::conformal_rank(halves.second.size(), options.level);
  if (!rank) {
    return base::make_error(
        Code::kLimit,
        fmt::format("{} rows fit the thresholds (the other {} fit the temperature), level {} needs {}",
                    halves.second.size(), halves.first.size(), options.level,
                    caution::conformal_rows_needed(options.level)),
        "fit_doubts", "Declare more calibration rows, or a lower level");
  }
  std::vector<std::string> notes;
  const MatrixD fit_logits = rows_of<MatrixD>(data.calibration_logits, halves.first);
  PL_TRY(const double temperature, temperature_of(fit_logits, labels_of(data.calibration_labels, halves.first), notes));
  PL_TRY(const MahalanobisScore score, fit_mahalanobis(data.train_features, data.train_labels, data.classes));
  PL_TRY(RowMahalanobis distance, RowMahalanobis::make(score));
  if (score.ridge() > 0) {
    notes.push_back(
        fmt::format("the covariance of the features is singular; a ridge of {:.3g} was added", score.ridge()));
  }
  PL_TRY(caution::LastLayerLaplace head,
         caution::LastLayerLaplace::fit(data.train_features, data.train_labels, data.classes, options.head));
  const std::uint64_t seed = rng.fork("draws").bits();
  ClassifierDoubts doubts{.temperature = temperature,
                          .level = options.level,
                          .set_threshold = std::numeric_limits<double>::infinity(),
                          .distances = {0.0},
                          .temperature_rows = halves.first.size(),
                          .threshold_rows = halves.second,
                          .distance = std::move(distance),
                          .head = std::move(head),
                          .draws = caution::LogitDraws::make(options.draws, data.classes, seed),
                          .draw_seed = seed,
                          .notes = std::move(notes)};
  std::vector<double> distances, scores;
  DoubtScratch scratch;
  RowDoubts row;
  for (const std::size_t i : halves.second) {
    PL_CHECK(options.head.cancel.status());
    const auto at = static_cast<std::ptrdiff_t>(i);
    doubts.ask(row_of(data.calibration_logits, at), row_of(data.calibration_features, at), scratch, row);
    distances.push_back(row.distance);
    scores.push_back(1.0 - row.predictive.p[static_cast<std::size_t>(data.calibration_labels[i])]);
  }
  PL_CHECK(base::check_all_finite("fit_doubts", "distances", distances));
  std::sort(distances.begin(), distances.end());
  std::sort(scores.begin(), scores.end());
  doubts.distances = std::move(distances);
  doubts.set_threshold = scores[*rank - 1];
  return doubts;
}

base::Result<ManyDoubts> ask_all(const ClassifierDoubts& doubts, MatrixRefD logits, MatrixRefF features) {
  constexpr std::string_view kName = "ask_all";
  PL_CHECK(base::check_size(kName, "logits.cols()", logits.cols(), doubts.classes()));
  PL_CHECK(base::check_size(kName, "features.cols()", features.cols(), doubts.features()));
  PL_CHECK(base::check_size(kName, "features.rows()", features.rows(), logits.rows()));
  const std::ptrdiff_t n = logits.rows();
  ManyDoubts many{MatrixD(n, doubts.classes()),
                  VectorD(n),
                  VectorD(n),
                  VectorD(n),
                  VectorD(n),
                  std::vector<std::size_t>(static_cast<std::size_t>(n))};
  constexpr std::ptrdiff_t kBlock = 256;
  PL_CHECK(base::parallel_for(static_cast<std::size_t>((n + kBlock - 1) / kBlock), [&](std::size_t b) -> base::Status {
    DoubtScratch scratch;
    RowDoubts row;
    const auto first = static_cast<std::ptrdiff_t>(b) * kBlock;
    for (std::ptrdiff_t i = first; i < std::min(n, first + kBlock); ++i) {
      doubts.ask(row_of(logits, i), row_of(features, i), scratch, row);
      for (std::ptrdiff_t c = 0; c < many.p.cols(); ++c) many.p(i, c) = row.predictive.p[static_cast<std::size_t>(c)];
      many.total(i) = row.predictive.total;
      many.aleatoric(i) = row.predictive.aleatoric;
      many.model(i) = row.predictive.model;
      many.p_value(i) = row.p_value;
      many.set_size[static_cast<std::size_t>(i)] = row.set_size;
    }
    return base::ok();
  }));
  return many;
}

}  // namespace plumbline::robustness
