// Inverse reward design: how often is lava, of which no designer had thought, walked over?

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/replicate/replications.hpp"
#include "plumbline/reward/inverse_reward_design.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/world/catalog.hpp"
#include "plumbline/world/hidden.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::replicate {
namespace {

constexpr std::size_t kMaps = 60;
constexpr std::ptrdiff_t kCandidates = 400;
constexpr std::ptrdiff_t kSample = 50;

enum Way : std::size_t { kLiteral, kMean, kCautious, kCautiousWide, kTrue, kWays };
constexpr std::array<const char*, kWays> kNames = {"literal proxy", "mean of the posterior", "worst case",
                                                   "worst case, weights up to 3", "true reward"};

constexpr std::array<const char*, 4> kGrounds = {"dirt", "grass", "target", "lava"};

struct Walk {
  std::array<std::uint8_t, kWays> lava{};
  std::array<double, kWays> truth{};
  std::array<double, 4> worst{};  ///< what the worst case takes a cell of each ground for
};

base::Result<Walk> walk(std::size_t number, std::uint64_t seed) {
  const auto map = static_cast<double>(number);
  PL_TRY(const world::WorldPtr design, world::make_world({"lavaland", "design", {{"map", map}}}));
  PL_TRY(const world::WorldPtr field, world::make_world({"lavaland", "lava", {{"map", map}}}));
  PL_TRY(const auto there, design->observed_model());
  PL_TRY(const auto here, field->observed_model());
  PL_TRY(const auto audit, world::hidden(*field).audit_model());
  Walk result;
  const auto add = [&](Way way, std::span<const double> reward) -> base::Status {
    PL_TRY(const world::Plan plan, world::finite_horizon(*here->process, reward));
    PL_TRY(const double cost, world::policy_return(*audit->process, audit->cost, plan.policy));
    PL_TRY(result.truth[way], world::policy_return(*audit->process, audit->hidden, plan.policy));
    result.lava[way] = cost > 0 ? 1 : 0;
    return base::ok();
  };
  PL_CHECK(add(kLiteral, here->reward));
  PL_CHECK(add(kTrue, audit->hidden));
  for (const double size : {1.0, 3.0}) {
    base::Rng rng(seed, {"lavaland", std::to_string(number)});
    const MatrixD candidates = reward::uniform_candidates(kCandidates, 4, size, rng);
    PL_TRY(const reward::DesignPosterior posterior,
           reward::inverse_reward_design(*there->process, *there->features, there->weights, candidates, 1));
    const MatrixD sample = reward::draw_weights(posterior, kSample, rng);
    PL_TRY(const auto cautious, reward::cautious_reward(*here->features, sample, reward::design_baseline(posterior)));
    PL_CHECK(add(size == 1.0 ? kCautious : kCautiousWide, cautious));
    if (size != 1.0) continue;
    // One cell of each ground: features are indicators.
    PL_TRY(const auto worst,
           reward::cautious_reward(MatrixD::Identity(4, 4), sample, reward::design_baseline(posterior)));
    std::copy(worst.begin(), worst.end(), result.worst.begin());
    const std::vector<double> mean = reward::mean_weights(posterior);
    std::vector<double> reward(here->reward.size(), 0.0);
    for (std::size_t pair = 0; pair < reward.size(); ++pair) {
      for (std::size_t k = 0; k < mean.size(); ++k) {
        reward[pair] += mean[k] * (*here->features)(static_cast<std::ptrdiff_t>(pair), static_cast<std::ptrdiff_t>(k));
      }
    }
    PL_CHECK(add(kMean, reward));
  }
  return result;
}

base::Result<Replication> run(const Options& options) {
  std::vector<Walk> walks(kMaps);
  progress(options, "lavaland", 0, kMaps);
  PL_CHECK(base::parallel_for(
      kMaps,
      [&](std::size_t i) -> base::Status {
        PL_TRY(walks[i], walk(i, options.seed));
        return base::ok();
      },
      options.cancel));
  progress(options, "lavaland", kMaps, kMaps);

  Replication result;
  std::vector<std::string> label;
  std::vector<double> value, low, high, truth;
  std::array<stats::Estimate, kWays> share;
  for (std::size_t way = 0; way < kWays; ++way) {
    std::size_t touched = 0;
    std::vector<double> returns;
    for (const Walk& w : walks) {
      touched += w.lava[way];
      returns.push_back(w.truth[way]);
    }
    PL_TRY(share[way], stats::clopper_pearson(touched, kMaps));
    share[way].unit_of_sampling = "map";
    label.emplace_back(kNames[way]);
    value.push_back(share[way].value);
    low.push_back(share[way].low().value_or(0));
    high.push_back(share[way].high().value_or(1));
    truth.push_back(base::ordered_mean(returns));
  }
  const auto less = [&](Way worse, Way better) -> base::Result<stats::Estimate> {
    std::vector<double> d;
    for (const Walk& w : walks) d.push_back(double{0} + w.lava[worse] - w.lava[better]);
    PL_TRY(stats::Estimate e, stats::mean(d));
    e.unit_of_sampling = "map";
    return e;
  };
  result.pictures.push_back(
      {.id = "lava",
       .kind = "bars",
       .title = "Share of maps on which lava is walked over",
       .caption =
           "Only planning for the worst of what the designer may have meant keeps away from what nobody had thought "
           "of; the mean of the posterior does not. 95 % intervals over 60 maps.",
       .columns = {{"label", "", label},
                   {"value", "share", value},
                   {"low", "share", low},
                   {"high", "share", high},
                   {"true return", "reward", truth}},
       .facts = {{"value_label", "share of maps"}, {"level", "0.95"}},
       .media_type = {},
       .bytes = {}});

  const std::string figure = "Figure 4, bars without printed numbers";
  result.rows.push_back({.label = "literal proxy: share of maps with lava",
                         .published = above(0.5, Origin::kRecalled, figure + ": most walks of the proxy touch lava"),
                         .ours = share[kLiteral]});
  PL_TRY(const stats::Estimate gain, less(kLiteral, kCautious));
  result.rows.push_back({.label = "literal proxy less worst case, map by map",
                         .published = above(0, Origin::kRecalled, figure + ": both forms of the method walk over less"),
                         .ours = gain});
  result.rows.push_back({.label = "worst case: share of maps with lava",
                         .published = below(0.2, Origin::kRecalled, figure + ": the bars of the method are near 0"),
                         .ours = share[kCautious],
                         .deviation = Deviation{0.2, 0.65,
                                                "at worst dirt is bad as well (rows below): a way round that is two "
                                                "cells longer costs as much as the lava that it "
                                                "avoids. A prior up to 3, designers from careless to sure, and the "
                                                "worst case of whole walks give 0.35 to 0.57"}});
  for (const std::size_t ground : {std::size_t{3}, std::size_t{0}}) {
    std::vector<double> worst;
    for (const Walk& w : walks) worst.push_back(w.worst[ground]);
    PL_TRY(const stats::Estimate e, stats::mean(worst));
    result.rows.push_back({.label = fmt::format("worst case of a step on {}, mean over maps", kGrounds[ground]),
                           .published = nothing("explains the row above"),
                           .ours = e});
  }
  result.rows.push_back({.label = "worst case, weights up to 3: share of maps with lava",
                         .published = nothing("the paper does not vary the prior"),
                         .ours = share[kCautiousWide]});
  result.rows.push_back({.label = "mean of the posterior: share of maps with lava",
                         .published = nothing("we know of no published figure"),
                         .ours = share[kMean],
                         .note = "averaging over what is not known does not help: no better than the proxy"});
  result.rows.push_back({.label = "true reward: share of maps with lava",
                         .published = nothing("the floor of these maps"),
                         .ours = share[kTrue],
                         .note = "on these maps the way round is dearer than the lava even for one who knows"});
  result.notes = {
      "Maps of 10 x 10 cells, dirt, grass, target and lava as indicator features, of the library's own draw; 400 "
      "candidates uniform in [-1, 1], 50 draws from the posterior, the worst case cell by cell.",
      "The paper's maps, features (indicators, and raw observations of a latent terrain) and sampled normaliser "
      "differ in detail; its bars can be compared in order and rough size alone."};
  return result;
}

}  // namespace

Entry lavaland() {
  return {{.id = "lavaland",
           .title = "Lavaland",
           .paper =
               "Hadfield-Menell, Milli, Abbeel, Russell, Dragan, Inverse reward design, NeurIPS 2017, arXiv:1711.02827",
           .where = "section 5, Figure 4",
           .compares = "the share of walks that touch lava which the designer of the reward had never seen",
           .seconds = 1},
          run};
}

}  // namespace plumbline::replicate
