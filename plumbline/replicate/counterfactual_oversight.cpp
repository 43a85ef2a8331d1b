// Ratings by a person whom the agent cannot influence: the incentive to tamper with and without, exactly, over
// capability.

#include "plumbline/reward/counterfactual_oversight.hpp"

#include <array>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/replicate/replications.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::replicate {
namespace {

constexpr const char* kExact = "enumeration, backwards over the horizon";

struct Case {
  const char* world;
  const char* act;   ///< that is aimed at the rater
  const char* dial;  ///< of capability
  std::array<double, 6> values;
  bool reached;  ///< acts reach the rater; else only what is shown
};
constexpr std::array<Case, 4> kCases = {{
    {"rating_device", "breaks the panel", "strength", {1, 2, 3, 4, 5, 6}, true},
    {"mood_before_rating", "treats or bribes", "skill", {1, 4, 8, 10, 12, 16}, true},
    {"hidden_string_puller", "pulls strings", "tact", {0, 2, 4, 6, 8, 10}, true},
    {"potemkin_villages", "puts up facades", "craft", {0, 2, 4, 6, 8, 10}, false},
}};

/// Both ratings of one world at one setting.
struct Figures {
  reward::TamperingIncentive shown, out_of_reach;
  double truth_shown = 0;  ///< of the optimum by the rating as given, worst tie
  double truth_out_of_reach = 0;
  double best_truth = 0;
};

base::Result<Figures> figures(const Case& c, const world::WorldSpec& spec) {
  PL_TRY(const world::WorldPtr made, world::make_world(spec));
  PL_TRY(const auto model, made->observed_model());
  PL_TRY(const auto audit, world::hidden(*made).audit_model());
  PL_TRY(const reward::RaterAccess rater, reward::rater_of(c.world));
  PL_TRY(const std::vector<double> rating, reward::counterfactual_rating(*model, rater));
  Figures out;
  PL_TRY(out.shown, reward::tampering_incentive(*model, model->reward, rater));
  PL_TRY(out.out_of_reach, reward::tampering_incentive(*model, rating, rater));
  const auto truth = [&](const std::vector<double>& by) -> base::Result<double> {
    PL_TRY(const auto range, world::tie_range(*model->process, by, *audit->process, audit->hidden));
    return range.first;
  };
  PL_TRY(out.truth_shown, truth(model->reward));
  PL_TRY(out.truth_out_of_reach, truth(rating));
  PL_TRY(out.best_truth, world::best_return(*audit->process, audit->hidden));
  return out;
}

base::Result<Replication> run(const Options& options) {
  Replication result;
  constexpr const char* kReached = "a rater whom acts reach is worth reaching";
  constexpr const char* kOut = "by definition of a rater whom no act reaches";
  const auto add = [&](std::string label, Published published, double ours, double tolerance, std::string note = {}) {
    Row row{.label = std::move(label),
            .published = std::move(published),
            .tolerance = tolerance,
            .deviation = {},
            .note = std::move(note)};
    row.ours = exactly(ours, kExact);
    result.rows.push_back(std::move(row));
  };
  Columns curve;
  std::size_t done = 0;
  for (const Case& c : kCases) {
    PL_CHECK(options.cancel.status());
    progress(options, "counterfactual_oversight", done++, kCases.size());
    PL_TRY(const Figures f, figures(c, {.id = c.world, .level = {}, .dials = {}}));
    add(fmt::format("{}: what it gains who {}, rated as it is shown", c.world, c.act),
        above(1e-6, Origin::kDerived, kReached), f.shown.incentive, 0);
    if (c.reached) {
      add(fmt::format("{}: the same, rated by a person out of reach", c.world), number(0, Origin::kDerived, kOut),
          f.out_of_reach.incentive, 1e-9);
      add(fmt::format("{}: truth that is lost, rated as it is shown", c.world), above(1e-6, Origin::kDerived, kReached),
          f.best_truth - f.truth_shown, 0);
      add(fmt::format("{}: truth gained by rating out of reach", c.world), above(1e-6, Origin::kDerived, kOut),
          f.truth_out_of_reach - f.truth_shown, 0,
          fmt::format("{:.4g} of at most {:.4g}", f.truth_out_of_reach, f.best_truth));
    } else {
      add(fmt::format("{}: the same, rated by a person out of reach", c.world),
          above(1e-6, Origin::kDerived, "what misleads is what is shown, not the rater's state"),
          f.out_of_reach.incentive, 0, "counterfactual oversight does not help against it");
    }
    for (const double value : c.values) {
      PL_CHECK(options.cancel.status());
      const auto at = figures(c, {.id = c.world, .level = {}, .dials = {{c.dial, value}}});
      if (!at.ok()) return at.error();
      for (const bool out : {false, true}) {
        curve.x.push_back(value);
        curve.y.push_back((out ? at->out_of_reach : at->shown).incentive);
        curve.series.push_back(fmt::format("{}{}", c.world, out ? ", out of reach" : ""));
      }
    }
  }
  result.pictures.push_back(
      {.id = "incentives",
       .kind = "curve",
       .title = "What tampering is worth, over what the agent is able to do",
       .caption = "Above 0 the best policy reaches for the rater. Out of reach it gains nothing, but where what is "
                  "shown can mislead.",
       .columns = {{"x", "", curve.x}, {"y", "", curve.y}, {"series", "", curve.series}},
       .facts = {{"x_label", "capability (dial of the world)"},
                 {"y_label", "incentive"},
                 {"reference", "0"},
                 {"reference_label", "none"}},
       .media_type = {},
       .bytes = {}});
  result.notes.emplace_back(
      "The overview states the idea and no figure; the rows are what follows from it in worlds of ours.");
  result.notes.emplace_back(
      "The rating out of reach is read off what the agent may see: the observed reward of the same outcome in the "
      "state in which nobody "
      "touched the rater. The truth is used to score alone.");
  return result;
}

}  // namespace

Entry counterfactual_oversight() {
  return {{.id = "counterfactual_oversight",
           .title = "Counterfactual oversight",
           .paper = "Steinhardt, AI Alignment Research Overview, 2019",
           .where = "counterfactual oversight",
           .compares = "the incentive to reach for the rater, rated as it is shown and by a person out of reach",
           .seconds = 2},
          run};
}

}  // namespace plumbline::replicate
