#include "plumbline/robustness/uncertainty_response.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/caution/uncertainty.hpp"
#include "plumbline/robustness/doubts.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/logistic.hpp"

namespace plumbline::robustness {
namespace {

constexpr std::size_t kKinds = kDoubts.size();
constexpr std::size_t kCases = kKinds + 1;  // the plants, then none

/// `away` moves the features that carry no class.
LabelledRows draw(base::Rng rng, std::size_t count, const ResponseOptions& o, double noise, double away) {
  LabelledRows rows{MatrixF(static_cast<std::ptrdiff_t>(count), o.features), {}};
  const double step = away / std::sqrt(static_cast<double>(std::max(1, o.features - o.classes)));
  for (std::ptrdiff_t i = 0; i < rows.features.rows(); ++i) {
    const int label = static_cast<int>(rng.below(static_cast<std::uint64_t>(o.classes)));
    for (int j = 0; j < o.features; ++j) {
      const double mean = j < o.classes ? (j == label ? o.separation : 0.0) : step;
      rows.features(i, j) = static_cast<float>(rng.normal(mean, 1));
    }
    const bool redrawn = rng.bernoulli(noise);
    const int other = static_cast<int>(rng.below(static_cast<std::uint64_t>(o.classes)));
    rows.labels.push_back(redrawn ? other : label);
  }
  return rows;
}

/// Two readings that nearly agree, or that dispute what the first class deserves.
caution::CostModel readings(int classes, bool disputed) {
  std::vector<std::string> names;
  for (int c = 0; c < classes; ++c) names.push_back(fmt::format("class {}", c));
  caution::CostModel costs = caution::zero_one_costs(names);
  caution::CostReading other = costs.readings.front();
  costs.readings.front().weight = 0;
  other.name = "other";
  other.weight = 0;
  if (disputed) {
    other.cost.row(0).swap(other.cost.row(1));
  } else {
    other.cost.row(0) *= 1.2;
  }
  costs.readings.push_back(std::move(other));
  return costs;
}

base::Result<DoubtMeasures> measure(const base::Rng& world, const ResponseOptions& o, std::size_t plant) {
  const auto planted = [&](Doubt kind) { return plant == static_cast<std::size_t>(kind); };
  const double noise = planted(Doubt::kAleatoric) ? o.noise : 0;
  const std::size_t n = planted(Doubt::kModel) ? o.few : o.train;
  return measure_doubts(draw(world.fork("train"), n, o, noise, 0),
                        draw(world.fork("calibration"), o.calibration, o, noise, 0),
                        draw(world.fork("judged"), o.judged, o, noise, planted(Doubt::kDistributional) ? o.away : 0),
                        o.classes, planted(Doubt::kSpecification), world.fork("fit"));
}

/// Estimates of the smaller end: bounds from above hold for either, those from below for both.
stats::Estimate smaller(const stats::Estimate& a, const stats::Estimate& b) {
  stats::Estimate least = a.value <= b.value ? a : b;
  for (std::size_t r = 0; r < stats::kLadder.size(); ++r) {
    const auto low = [&](const stats::Estimate& e) { return e.bounds.lower[r]; };
    least.bounds.lower[r] = low(a) && low(b) ? std::optional(std::min(*low(a), *low(b))) : std::nullopt;
  }
  return least;
}

}  // namespace

std::string_view doubt_kind_name(Doubt kind) {
  switch (kind) {
    case Doubt::kAleatoric: return "aleatoric";
    case Doubt::kModel: return "model";
    case Doubt::kDistributional: return "distributional";
    case Doubt::kSpecification: return "specification";
  }
  return "aleatoric";
}

std::string_view doubt_plant(Doubt kind) {
  switch (kind) {
    case Doubt::kAleatoric: return "noise";
    case Doubt::kModel: return "too little data";
    case Doubt::kDistributional: return "a new domain";
    case Doubt::kSpecification: return "a disputed reward";
  }
  return "noise";
}

base::Result<DoubtMeasures> measure_doubts(const LabelledRows& train, const LabelledRows& calibration,
                                           const LabelledRows& judged, int classes, bool disputed,
                                           const base::Rng& rng) {
  PL_TRY(const stats::LogisticModel model, stats::fit_logistic(train.features, train.labels, classes));
  PL_TRY(const MatrixD calibration_logits, model.logits(calibration.features));
  PL_TRY(const MatrixD logits, model.logits(judged.features));
  const DoubtData data{train.features,       train.labels,       classes, calibration_logits,
                       calibration.features, calibration.labels, {}};
  PL_TRY(const ClassifierDoubts doubts, fit_doubts(data, {}, rng));
  PL_TRY(const ManyDoubts many, ask_all(doubts, logits, judged.features));
  PL_TRY(const auto differ, caution::readings_differ(readings(classes, disputed), many.p));
  DoubtMeasures measures;
  for (std::ptrdiff_t i = 0; i < many.p.rows(); ++i) {
    measures[0].push_back(many.aleatoric(i));
    measures[1].push_back(many.model(i));
    measures[2].push_back(-std::log(many.p_value(i)));
    measures[3].push_back(differ[static_cast<std::size_t>(i)]);
  }
  return measures;
}

base::Result<ResponseMatrix> response_matrix(const ResponseOptions& options, const base::Rng& rng) {
  PL_CHECK(base::check_at_least("response_matrix", "worlds", static_cast<std::ptrdiff_t>(options.worlds), 10));
  std::vector<std::array<DoubtMeasures, kCases>> worlds(options.worlds);
  PL_CHECK(base::parallel_for(
      options.worlds * kCases,
      [&](std::size_t job) -> base::Status {
        const std::size_t world = job / kCases;
        PL_TRY(worlds[world][job % kCases], measure(rng.fork(world), options, job % kCases));
        return base::ok();
      },
      options.cancel));
  // Deviations over rows of all worlds without a plant.
  std::array<double, kKinds> deviation{};
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    std::vector<double> all;
    for (const auto& world : worlds) all.insert(all.end(), world[kKinds][kind].begin(), world[kKinds][kind].end());
    const double mean = base::ordered_mean(all);
    for (double& v : all) v = (v - mean) * (v - mean);
    deviation[kind] = std::sqrt(base::ordered_mean(all));
    PL_CHECK(base::check_positive("response_matrix", doubt_kind_name(kDoubts[kind]), deviation[kind]));
  }
  ResponseMatrix matrix;
  for (std::size_t plant = 0; plant < kKinds; ++plant) {
    std::array<std::vector<double>, kKinds> moved;
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      for (const auto& world : worlds) {
        moved[kind].push_back((base::ordered_mean(world[plant][kind]) - base::ordered_mean(world[kKinds][kind])) /
                              deviation[kind]);
      }
    }
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      PL_TRY(matrix.response[plant][kind], stats::mean(moved[kind]));
      std::array<std::vector<double>, 2> ends;
      for (std::size_t w = 0; w < worlds.size(); ++w) {
        ends[0].push_back(moved[plant][w] - 3 * moved[kind][w]);
        ends[1].push_back(moved[plant][w] + 3 * moved[kind][w]);
      }
      PL_TRY(const stats::Estimate less, stats::mean(ends[0]));
      PL_TRY(const stats::Estimate more, stats::mean(ends[1]));
      matrix.margin[plant][kind] = smaller(less, more);
    }
  }
  return matrix;
}

}  // namespace plumbline::robustness
