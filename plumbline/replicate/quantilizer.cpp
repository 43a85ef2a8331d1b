// Quantilizers: what they promise about costs, and the inverted U of mild optimisation.

#include "plumbline/caution/quantilizer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/replicate/replications.hpp"

namespace plumbline::replicate {
namespace {

constexpr std::size_t kOptions = 200;
constexpr int kRivals = 2000;

struct Choice {
  std::vector<double> base;
  std::vector<double> value;
};

Choice draw(base::Rng& rng) {
  Choice c;
  double sum = 0;
  for (std::size_t i = 0; i < kOptions; ++i) {
    c.base.push_back(rng.exponential());
    c.value.push_back(rng.normal());
    sum += c.base.back();
  }
  for (double& p : c.base) p /= sum;
  return c;
}

/// Mean value of the policy that fills options in this order, each up to base / share.
double filled(const Choice& c, std::span<const std::size_t> order, double share) {
  double left = 1;
  double mean = 0;
  for (const std::size_t i : order) {
    const double p = std::min(left, c.base[i] / share);
    mean += p * c.value[i];
    left -= p;
    if (left <= 0) break;
  }
  return mean;
}

base::Result<Replication> run(const Options& options) {
  Replication result;
  base::Rng rng(options.seed, {"replicate", "quantilizer"});
  const Choice choice = draw(rng);
  constexpr std::array<double, 4> kShares = {0.5, 0.1, 0.05, 0.01};
  Columns cost;
  for (std::size_t k = 0; k < kShares.size(); ++k) {
    const double share = kShares[k];
    PL_CHECK(options.cancel.status());
    progress(options, "quantilizer", k, kShares.size());
    PL_TRY(const caution::Quantile q, caution::quantilize(choice.base, choice.value, share));
    double worst = 0;
    double mean = 0;
    for (std::size_t i = 0; i < kOptions; ++i) {
      worst = std::max(worst, q.probability[i] / choice.base[i]);
      mean += q.probability[i] * choice.value[i];
    }
    cost.x.push_back(1 / share);
    cost.y.push_back(worst);
    Row bound{.label = fmt::format("share {}: the most that any cost grows in expectation", share),
              .published = at_most(1 / share, Origin::kRead, "conservative cost constraint: at most 1 / q"),
              .tolerance = 1e-9};
    bound.ours = exactly(worst, "largest density against the base, 200 options");
    result.rows.push_back(std::move(bound));
    // Extreme policies within the bound fill options in some order; none may do better.
    double best_rival = -1e300;
    std::vector<std::size_t> order(kOptions);
    for (int r = 0; r < kRivals; ++r) {
      std::iota(order.begin(), order.end(), std::size_t{0});
      if (r % 2 == 0) {
        rng.shuffle(std::span(order));
      } else {
        // Near misses: by value with a little noise.
        std::vector<double> noisy;
        for (const double v : choice.value) noisy.push_back(v + rng.normal(0, 0.05));
        std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return noisy[a] > noisy[b]; });
      }
      best_rival = std::max(best_rival, filled(choice, order, share));
    }
    Row optimal{.label = fmt::format("share {}: best of {} other policies within the bound, less the quantilizer",
                                     share, kRivals),
                .published = at_most(0, Origin::kRead, "optimality under the constraint"),
                .tolerance = 1e-12};
    optimal.ours = exactly(best_rival - mean, "mean values over the same 200 options");
    result.rows.push_back(std::move(optimal));
  }
  progress(options, "quantilizer", kShares.size(), kShares.size());

  struct Known {
    double share, printed;
    std::optional<Deviation> deviates;
  };
  const std::string tail =
      "a handful of exploits decides a sampled tail; ours is the closed form, checked by a simulation of its own";
  const std::array<Known, 10> known = {{{1, -.01, {}},
                                        {.5, .54, {}},
                                        {.2, .93, {}},
                                        {.1, 1.13, {}},
                                        {.05, 1.22, {}},
                                        {.02, 1.11, {}},
                                        {.01, .67, Deviation{.709, .729, tail}},
                                        {.005, -.42, Deviation{-.335, -.315, tail}},
                                        {.002, -4.06, Deviation{-3.819, -3.799, tail}},
                                        {.001, -9.96, {}}}};
  for (const Known& k : known) {
    PL_TRY(const auto row, caution::mild_optimisation(std::span(&k.share, 1)));
    Row figure{
        .label = fmt::format("truth when the top {} of the proxy is drawn from", k.share),
        .published = number(k.printed, Origin::kSimulation, "the toy world, sampled; the paper has no such figure"),
        .tolerance = 0.03,
        .deviation = k.deviates};
    figure.ours = exactly(row.front().truth, "closed form");
    result.rows.push_back(std::move(figure));
  }
  // The whole curve, and its top.
  Columns curve;
  double best = -1e300;
  double best_share = 1;
  for (int step = 0; step <= 120; ++step) {
    const double share = std::pow(10, -step / 40.0);
    PL_TRY(const auto row, caution::mild_optimisation(std::span(&share, 1)));
    for (const char* series : {"proxy", "truth"}) {
      curve.x.push_back(1 / share);
      curve.y.push_back(std::string_view(series) == "proxy" ? row.front().proxy : row.front().truth);
      curve.series.emplace_back(series);
    }
    if (row.front().truth > best) {
      best = row.front().truth;
      best_share = share;
    }
  }
  Row top{.label = "share at which the truth is highest",
          .published = nothing("the paper argues that an inner optimum exists and prints no number"),
          .note = fmt::format("truth {:.3f} there, strictly between a plain draw and the best by proxy", best)};
  top.ours = exactly(best_share, "closed form on a grid of 121 shares");
  result.rows.push_back(std::move(top));
  result.pictures.push_back(
      {.id = "inverted-u",
       .kind = "curve",
       .title = "Optimising a proxy harder: proxy and truth",
       .caption =
           "The proxy rises for ever. The truth rises while skill is selected and falls once exploits fill the top.",
       .columns = {{"x", "", curve.x}, {"y", "", curve.y}, {"series", "", curve.series}},
       .facts = {{"x_label", "strength of optimisation, 1 / share"},
                 {"y_label", "expected value"},
                 {"x_scale", "log"},
                 {"marker", fmt::format("{}", 1 / best_share)},
                 {"marker_label", fmt::format("best share {:.3f}", best_share)}},
       .media_type = {},
       .bytes = {}});
  result.pictures.push_back({.id = "cost",
                             .kind = "curve",
                             .title = "The most that any cost grows",
                             .caption = "Never above 1 / share, and equal to it: the bound cannot be improved.",
                             .columns = {{"x", "", cost.x}, {"y", "", cost.y}},
                             .facts = {{"x_label", "1 / share"},
                                       {"y_label", "largest growth of a cost"},
                                       {"x_scale", "log"},
                                       {"y_scale", "log"}},
                             .media_type = {},
                             .bytes = {}});
  result.notes = {
      "Toy world: truth normal, proxy truth plus normal noise, one option in 1,000 an exploit worth 10 more by "
      "proxy and 10 less in truth."};
  return result;
}

}  // namespace

Entry quantilizer() {
  return {
      {.id = "quantilizer",
       .title = "Quantilizer, the inverted U",
       .paper = "Taylor, Quantilizers: a safer alternative to maximizers for limited optimization, AAAI workshop 2016",
       .where = "sections 2 and 3; Taylor, Quantilizers maximize expected utility subject to a conservative cost "
                "constraint, 2015",
       .compares = "the bound on costs, its optimality, and the truth as a proxy is optimised harder",
       .seconds = 0.1},
      run};
}

}  // namespace plumbline::replicate
