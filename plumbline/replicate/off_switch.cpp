// The off-switch game: what a machine gains by leaving the switch to a person, over its doubt and the person's errors.

#include <array>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/replicate/replications.hpp"
#include "plumbline/reward/off_switch.hpp"

namespace plumbline::replicate {
namespace {

using reward::off_switch;
using reward::Person;
using reward::WorthBelief;

constexpr const char* kClosed = "closed form";
constexpr double kMean = 0.25;
constexpr std::array<double, 9> kDeviations = {0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4};
constexpr std::array<double, 8> kErrors = {0, 0.1, 0.25, 0.5, 1, 2, 4, 8};

/// The paper's suboptimality is the inverse of rationality; 0 never errs.
Person person_of(double suboptimality) { return suboptimality == 0 ? Person{} : Person{1 / suboptimality}; }

base::Result<double> incentive(double mean, double deviation, double suboptimality) {
  PL_TRY(const auto values, off_switch({mean, deviation}, person_of(suboptimality)));
  return values.incentive;
}

base::Result<Replication> run(const Options& options) {
  Replication result;
  const auto add = [&](std::string label, Published published, double ours, double tolerance = 0,
                       std::optional<Deviation> deviation = {}, std::string note = {}) {
    Row row{.label = std::move(label),
            .published = std::move(published),
            .tolerance = tolerance,
            .deviation = std::move(deviation),
            .note = std::move(note)};
    row.ours = exactly(ours, kClosed);
    result.rows.push_back(std::move(row));
  };

  // The heat map, and where its extremes lie.
  Columns map;
  double least_rational = 0;
  double most = -1;
  double most_deviation = 0;
  double most_error = 0;
  for (std::size_t d = kDeviations.size(); d-- > 0;) {
    PL_CHECK(options.cancel.status());
    progress(options, "off_switch", kDeviations.size() - d, kDeviations.size());
    for (const double error : kErrors) {
      PL_TRY(const double value, incentive(kMean, kDeviations[d], error));
      map.row.push_back(fmt::format("{}", kDeviations[d]));
      map.column.push_back(fmt::format("{}", error));
      map.value.push_back(value);
      if (value > most) {
        most = value;
        most_deviation = kDeviations[d];
        most_error = error;
      }
    }
  }
  for (int m = -40; m <= 40; ++m) {
    for (const double deviation : kDeviations) {
      PL_TRY(const double value, incentive(0.1 * m, deviation, 0));
      least_rational = std::min(least_rational, value);
    }
  }
  result.pictures.push_back(
      {.id = "heat-map",
       .kind = "grid",
       .title = "Incentive to leave the switch alone, over the machine's doubt and the person's errors",
       .caption =
           "Above 0 the machine gains by waiting for the person; below 0 it would rather disable the switch. Mean "
           "worth 1/4, closed form.",
       .columns = {{"row", "", map.row}, {"column", "", map.column}, {"value", "", map.value}},
       .facts = {{"row_label", "deviation of the belief"},
                 {"column_label", "suboptimality of the person"},
                 {"value_label", "incentive"},
                 {"worse", "low"},
                 {"midpoint", "0"}},
       .media_type = {},
       .bytes = {}});

  // The incentive over the mean.
  Columns curve;
  std::array<double, 3> best_mean{};
  constexpr std::array<double, 3> kPeople = {0, 0.5, 2};
  for (std::size_t p = 0; p < kPeople.size(); ++p) {
    double top = -1;
    for (int step = -40; step <= 40; ++step) {
      const double mean = 0.05 * step;
      PL_TRY(const double value, incentive(mean, 1, kPeople[p]));
      curve.x.push_back(mean);
      curve.y.push_back(value);
      curve.series.push_back(kPeople[p] == 0 ? "never errs" : fmt::format("suboptimality {}", kPeople[p]));
      if (value > top) {
        top = value;
        best_mean[p] = mean;
      }
    }
  }
  result.pictures.push_back({.id = "over-the-mean",
                             .kind = "curve",
                             .title = "Incentive over the mean worth of the act, deviation 1",
                             .caption = "Nearest to indifference, at mean 0, the person's word is worth most.",
                             .columns = {{"x", "", curve.x}, {"y", "", curve.y}, {"series", "", curve.series}},
                             .facts = {{"x_label", "mean worth of the act"},
                                       {"y_label", "incentive"},
                                       {"reference", "0"},
                                       {"reference_label", "indifferent"}},
                             .media_type = {},
                             .bytes = {}});

  const auto figure = [](const char* part) { return fmt::format("Figure 2, {}", part); };
  add("person who never errs: least incentive over means -4 to 4 and all deviations",
      at_least(0, Origin::kRecalled, "Theorem 1"), least_rational, 1e-12);
  PL_TRY(const double sure_rational, incentive(kMean, 0, 0));
  add("machine without doubt, person who never errs", number(0, Origin::kRead, "abstract: the special case"),
      sure_rational, 1e-12);
  PL_TRY(const double sure_erring, incentive(kMean, 0, 1));
  add("machine without doubt, person who errs (suboptimality 1)",
      below(0, Origin::kRead, "abstract: an incentive to disable the switch"), sure_erring);
  add("deviation at which the map's incentive is largest",
      number(kDeviations.back(), Origin::kRecalled, figure("left")), most_deviation, 0, {},
      "the largest deviation of our map");
  add("suboptimality at which it is largest", number(0, Origin::kRecalled, figure("left")), most_error);
  add("mean of the largest incentive, person who never errs", number(0, Origin::kRecalled, figure("right")),
      best_mean[0], 1e-9);
  add("mean of the largest incentive, suboptimality 2", number(0, Origin::kRecalled, figure("right")), best_mean[2],
      1e-9);

  struct Known {
    double mean, deviation, suboptimality, value;
    std::optional<Deviation> deviates;
  };
  const std::array<Known, 5> known = {{
      {.25, 1, 0, .287, Deviation{.28634, .28635, "sampled there; exactly .25 Phi(.25) + phi(.25) - .25 = .28634"}},
      {.25, 1, .2, .264, {}},
      {.25, 1, 1, .093, {}},
      {1, .5, 1, -.231, {}},
      {1, 2, 2, .001,
       Deviation{-1e-12, 1e-12,
                 "sampled there; exactly 0, since the boundary lies at rationality = 2 mean / deviation squared"}},
  }};
  for (const Known& k : known) {
    PL_TRY(const double ours, incentive(k.mean, k.deviation, k.suboptimality));
    add(fmt::format("incentive at mean {}, deviation {}, suboptimality {}", k.mean, k.deviation, k.suboptimality),
        number(k.value, Origin::kSimulation, "the figure is printed as a map without numbers"), ours, 5e-4, k.deviates);
  }
  result.notes = {"The paper's suboptimality is the inverse of the rationality that the library takes; 0 never errs."};
  return result;
}

}  // namespace

Entry off_switch() {
  return {{.id = "off_switch",
           .title = "Off-switch game",
           .paper = "Hadfield-Menell, Dragan, Abbeel, Russell, The off-switch game, IJCAI 2017, arXiv:1611.08219",
           .where = "Theorem 1, Figure 2",
           .compares = "the incentive to leave the off-switch alone, over doubt and over the person's errors",
           .seconds = 0.1},
          run};
}

}  // namespace plumbline::replicate
