// Series drawn again under "one level on each side", given the sums of both sides.
#include <algorithm>
#include <cmath>

#include "plumbline/stats/change/series.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::stats {
namespace {

/// Hits among `drawn` trials of `total` of which `hits` hit, by inversion outwards from the mode.
double draw_hypergeometric(double total, double hits, double drawn, base::Rng& rng) {
  const double low = std::max(0.0, drawn + hits - total), high = std::min(drawn, hits);
  if (low >= high) return low;
  const double mode = std::clamp(std::floor((drawn + 1) * (hits + 1) / (total + 2)), low, high);
  const double peak =
      std::exp(log_choose(hits, mode) + log_choose(total - hits, drawn - mode) - log_choose(total, drawn));
  double u = rng.uniform() - peak;
  double up = mode, down = mode, p_up = peak, p_down = peak;
  while (u > 0 && (up < high || down > low)) {
    if (up < high) {
      p_up *= (hits - up) * (drawn - up) / ((up + 1) * (total - hits - drawn + up + 1));
      ++up;
      u -= p_up;
      if (u <= 0) return up;
    }
    if (down > low) {
      p_down *= down * (total - hits - drawn + down) / ((hits - down + 1) * (drawn - down + 1));
      --down;
      u -= p_down;
      if (u <= 0) return down;
    }
  }
  return mode;
}

/// A bridge: noise of each point's variance, moved so that the part keeps its weighted sum.
void redraw_normal(const Series& s, std::size_t begin, std::size_t end, double extra, base::Rng& rng, Series& out) {
  double mass = 0, amount = 0, noise = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const double m = 1 / (s.scale[i] * s.scale[i] + extra);
    const double z = rng.normal() / std::sqrt(m);
    out.value[i] = z;
    mass += m;
    amount += m * s.value[i];
    noise += m * z;
  }
  for (std::size_t i = begin; i < end; ++i) out.value[i] += (amount - noise) / mass;
}

/// All events of the part dealt out again: multinomial by exposure, Dirichlet-multinomial where they are overdispersed
/// (negative binomial counts with variance `extra` times the mean, given their sum).
void redraw_counts(const Series& s, std::size_t begin, std::size_t end, double extra, base::Rng& rng, Series& out) {
  double events = 0, mass = 0;
  for (std::size_t i = begin; i < end; ++i) {
    events += s.value[i];
    mass += s.scale[i];
  }
  std::vector<double> share(s.scale.begin() + static_cast<std::ptrdiff_t>(begin),
                            s.scale.begin() + static_cast<std::ptrdiff_t>(end));
  if (extra > 1 && events > 0) {
    double total = 0;
    for (double& w : share) {
      w = rng.gamma(w * events / mass / (extra - 1));
      total += w;
    }
    if (!(total > 0)) share[rng.below(share.size())] = total = 1;
    mass = total;
  }
  for (std::size_t i = begin; i < end; ++i) {
    const double w = share[i - begin];
    const double p = mass > 0 ? std::clamp(w / mass, 0.0, 1.0) : 0;
    const double here =
        i + 1 == end ? events : static_cast<double>(rng.binomial(static_cast<std::uint64_t>(events), p));
    out.value[i] = here;
    events -= here;
    mass -= w;
  }
}

void redraw_shares(const Series& s, std::size_t begin, std::size_t end, double extra, base::Rng& rng, Series& out) {
  double hits = 0, trials = 0;
  for (std::size_t i = begin; i < end; ++i) {
    hits += s.value[i];
    trials += s.scale[i];
  }
  const double level = hits / trials;
  for (std::size_t i = begin; i < end; ++i) {
    const double m = s.scale[i];
    if (extra > 1 && m > 1 && level > 0 && level < 1) {
      const double alike = std::min(0.99, (extra - 1) / (m - 1));  // correlation of two trials of a point
      const double size = 1 / alike - 1;
      out.value[i] =
          static_cast<double>(rng.binomial(static_cast<std::uint64_t>(m), rng.beta(level * size, (1 - level) * size)));
    } else {
      out.value[i] = draw_hypergeometric(trials, hits, m, rng);
      hits -= out.value[i];
      trials -= m;
    }
  }
}

}  // namespace

Series redraw(const Series& s, std::size_t begin, std::size_t at, std::size_t end, double extra, base::Rng& rng) {
  Series out = s;
  const auto one_side = [&](std::size_t b, std::size_t e) {
    if (b >= e) return;
    switch (s.noise) {
      case Noise::kStated: redraw_normal(s, b, e, extra, rng, out); break;
      case Noise::kUnknown: rng.shuffle(std::span(out.value).subspan(b, e - b)); break;
      case Noise::kCounts: redraw_counts(s, b, e, extra, rng, out); break;
      case Noise::kShares: redraw_shares(s, b, e, extra, rng, out); break;
    }
  };
  one_side(begin, at);
  one_side(at, end);
  return out;
}

}  // namespace plumbline::stats
