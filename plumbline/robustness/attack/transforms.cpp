#include "plumbline/robustness/attack/transforms.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "plumbline/robustness/attack/tracker.hpp"

namespace plumbline::robustness {

namespace {

constexpr std::size_t kTogether = 25;

/// Value of channel c at a place between pixels; `fill` outside.
double between(const ImageShape& shape, std::span<const double> x, std::size_t c, double row, double column,
               double fill) {
  const double top = std::floor(row);
  const double left = std::floor(column);
  const double down = row - top;
  const double right = column - left;
  double sum = 0;
  for (const int dy : {0, 1}) {
    for (const int dx : {0, 1}) {
      const double weight = (dy == 1 ? down : 1 - down) * (dx == 1 ? right : 1 - right);
      if (weight == 0) continue;
      const double y = top + dy;
      const double z = left + dx;
      const bool inside =
          y >= 0 && z >= 0 && y < static_cast<double>(shape.height) && z < static_cast<double>(shape.width);
      sum += weight * (inside ? x[shape.at(c, static_cast<std::size_t>(y), static_cast<std::size_t>(z))] : fill);
    }
  }
  return sum;
}

/// Candidates of one example, in blocks, until one succeeds.
base::Status try_all(Tracker& tracker, std::size_t c, const std::vector<std::vector<double>>& candidates) {
  for (std::size_t first = 0; first < candidates.size() && !tracker.found(c); first += kTogether) {
    std::vector<double> rows;
    const std::size_t count = std::min(kTogether, candidates.size() - first);
    for (std::size_t i = first; i < first + count; ++i)
      rows.insert(rows.end(), candidates[i].begin(), candidates[i].end());
    const std::vector<std::size_t> of(count, c);
    PL_TRY([[maybe_unused]] const Pass pass, tracker.look(rows, of));
  }
  return base::ok();
}

/// -most ... most in `count` equal steps, the middle first, then outward.
std::vector<double> outward(double most, int count) {
  std::vector<double> out;
  for (int i = 0; i < count; ++i) out.push_back(count > 1 ? -most + 2 * most * i / (count - 1) : 0);
  std::stable_sort(out.begin(), out.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  return out;
}

base::Status run_spatial(Tracker& tracker, const SpatialThreat& threat, int angles, int moves) {
  const Threat& range = *tracker.setting().threat;
  for (std::size_t c = 0; c < tracker.size(); ++c) {
    for (const double angle : outward(threat.degrees, angles)) {
      std::vector<std::vector<double>> candidates;
      for (const double down : outward(threat.pixels, moves)) {
        for (const double right : outward(threat.pixels, moves)) {
          auto moved = rotate_and_move(range.shape, tracker.example(c).x, angle, down, right, range.low[0]);
          for (std::size_t i = 0; i < moved.size(); ++i) moved[i] = std::clamp(moved[i], range.low[i], range.high[i]);
          candidates.push_back(std::move(moved));
        }
      }
      PL_CHECK(try_all(tracker, c, candidates));
      if (tracker.found(c)) break;
    }
  }
  return base::ok();
}

/// Scale and shift of every channel.
struct Factors {
  std::vector<double> scale, shift;
};

std::vector<double> recolour(const Threat& range, std::span<const double> x, const Factors& factors) {
  std::vector<double> out(x.begin(), x.end());
  const ImageShape& shape = range.shape;
  for (std::size_t c = 0; c < shape.channels; ++c) {
    for (std::size_t row = 0; row < shape.height; ++row) {
      for (std::size_t column = 0; column < shape.width; ++column) {
        const std::size_t i = shape.at(c, row, column);
        // The scale acts from the lower end, so that black stays black.
        const double value =
            range.low[i] + factors.scale[c] * (x[i] - range.low[i]) + factors.shift[c] * (range.high[i] - range.low[i]);
        out[i] = std::clamp(value, range.low[i], range.high[i]);
      }
    }
  }
  return out;
}

base::Status run_colour(Tracker& tracker, const ColourThreat& threat, int draws, int steps) {
  const Threat& range = *tracker.setting().threat;
  const ImageShape& shape = range.shape;
  const std::size_t k = tracker.classes();
  for (std::size_t c = 0; c < tracker.size(); ++c) {
    base::Rng rng = tracker.rng(c);
    const auto x0 = tracker.example(c).x;
    Factors best{std::vector<double>(shape.channels, 1.0), std::vector<double>(shape.channels, 0.0)};
    double least = std::numeric_limits<double>::infinity();
    for (int draw = 0; draw < draws && !tracker.found(c); ++draw) {
      Factors factors = best;
      for (std::size_t channel = 0; channel < shape.channels; ++channel) {
        const auto pick = [&](double most) {
          return draw % 2 == 0 ? (rng.bernoulli(0.5) ? most : -most) : rng.uniform(-most, most);
        };
        factors.scale[channel] = 1 + pick(threat.scale);
        factors.shift[channel] = pick(threat.shift);
      }
      PL_TRY(const Pass pass, tracker.look(recolour(range, x0, factors), std::span(&c, 1)));
      const double margin = tracker.margins(pass, std::span(&c, 1))[0];
      if (!(margin < least)) continue;
      least = margin;
      best = factors;
    }
    if (!tracker.setting().target->has_gradient()) continue;
    for (int step = 0; step < steps && !tracker.found(c); ++step) {
      const std::vector<double> x = recolour(range, x0, best);
      PL_TRY(const Pass pass, tracker.look(x, std::span(&c, 1)));
      std::vector<double> seeds(k);
      loss_at(Loss::kMargin, pass.scores, tracker.example(c).label, -1, seeds);
      PL_TRY(const std::vector<double> gradient, tracker.gradient(pass, seeds, std::span(&c, 1)));
      const double size = 0.5 * std::pow(0.9, step);
      for (std::size_t channel = 0; channel < shape.channels; ++channel) {
        double by_scale = 0;
        double by_shift = 0;
        for (std::size_t row = 0; row < shape.height; ++row) {
          for (std::size_t column = 0; column < shape.width; ++column) {
            const std::size_t i = shape.at(channel, row, column);
            if (x[i] <= range.low[i] || x[i] >= range.high[i]) continue;  // cut: no slope
            by_scale += gradient[i] * (x0[i] - range.low[i]);
            by_shift += gradient[i] * (range.high[i] - range.low[i]);
          }
        }
        const auto sign = [](double v) { return v > 0 ? 1.0 : v < 0 ? -1.0 : 0.0; };
        best.scale[channel] =
            std::clamp(best.scale[channel] + size * threat.scale * sign(by_scale), 1 - threat.scale, 1 + threat.scale);
        best.shift[channel] =
            std::clamp(best.shift[channel] + size * threat.shift * sign(by_shift), -threat.shift, threat.shift);
      }
    }
  }
  return base::ok();
}

/// The margin climbed inside one square: a box of which all other coordinates are single points.
class PatchObjective final : public Objective {
 public:
  PatchObjective(Tracker& tracker, std::size_t example) : tracker_(tracker), example_(example) {}

  base::Status look(std::span<const double> rows, std::span<const std::size_t> tracks,
                    std::vector<char>& done) override {
    of_.assign(tracks.size(), example_);
    PL_TRY(pass_, tracker_.look(rows, of_));
    if (tracker_.found(example_)) std::fill(done.begin(), done.end(), 1);
    return base::ok();
  }
  base::Result<std::vector<double>> gradient() override {
    const std::size_t k = tracker_.classes();
    std::vector<double> seeds(pass_.scores.size());
    for (std::size_t r = 0; r < of_.size(); ++r) {
      loss_at(Loss::kMargin, std::span(pass_.scores).subspan(r * k, k), tracker_.example(example_).label, -1,
              std::span(seeds).subspan(r * k, k));
    }
    return tracker_.gradient(pass_, seeds, of_);
  }

 private:
  Tracker& tracker_;
  std::size_t example_;
  std::vector<std::size_t> of_;
  Pass pass_;
};

/// Places along one axis, side by side, and the last that fits.
std::vector<std::size_t> places(std::size_t length, std::size_t side) {
  std::vector<std::size_t> out;
  const std::size_t last = length - side;
  for (std::size_t at = 0; at < last; at += side) out.push_back(at);
  out.push_back(last);
  return out;
}

base::Status run_patch(Tracker& tracker, const PatchThreat& threat, int steps) {
  const Threat& range = *tracker.setting().threat;
  const ImageShape& shape = range.shape;
  const std::size_t n = tracker.inputs();
  const std::size_t height = std::min(threat.side, shape.height);
  const std::size_t width = std::min(threat.side, shape.width);
  const bool gradients = tracker.setting().target->has_gradient();
  for (std::size_t c = 0; c < tracker.size(); ++c) {
    base::Rng rng = tracker.rng(c);
    std::vector<Region> regions;
    std::vector<double> rows;
    const auto x0 = tracker.example(c).x;
    for (const std::size_t top : places(shape.height, height)) {
      for (const std::size_t left : places(shape.width, width)) {
        Region region{.norm = Norm::kLinf,
                      .centre = {x0.begin(), x0.end()},
                      .epsilon = std::numeric_limits<double>::infinity(),
                      .low = {x0.begin(), x0.end()},
                      .high = {x0.begin(), x0.end()},
                      .unit = std::vector<double>(n, 0.0)};
        for (std::size_t channel = 0; channel < shape.channels; ++channel) {
          for (std::size_t y = top; y < top + height; ++y) {
            for (std::size_t x = left; x < left + width; ++x) {
              const std::size_t i = shape.at(channel, y, x);
              region.low[i] = range.low[i];
              region.high[i] = range.high[i];
              region.unit[i] = range.high[i] - range.low[i];
            }
          }
        }
        rows.resize(rows.size() + n);
        uniform_in(region, rng, std::span(rows).last(n));
        regions.push_back(std::move(region));
      }
    }
    for (std::size_t first = 0; first < regions.size() && !tracker.found(c); first += kTogether) {
      const std::size_t count = std::min(kTogether, regions.size() - first);
      std::vector<const Region*> some;
      for (std::size_t i = 0; i < count; ++i) some.push_back(&regions[first + i]);
      std::vector<double> block(rows.begin() + static_cast<std::ptrdiff_t>(first * n),
                                rows.begin() + static_cast<std::ptrdiff_t>((first + count) * n));
      PatchObjective objective(tracker, c);
      PL_CHECK(ascend(objective, some, {gradients ? steps : 0, 0.5, 0.05}, block, tracker.setting().cancel));
    }
  }
  return base::ok();
}

template <class Body>
Attack transform(std::string name, std::string settings, Body body) {
  Attack out;
  out.name = std::move(name);
  out.kind = AttackKind::kScores;
  out.settings = std::move(settings);
  out.run = [body](const AttackSetting& setting, std::span<const AttackCase> cases,
                   const base::Rng& rng) -> base::Result<std::vector<AttackOutcome>> {
    PL_CHECK(check_setting(setting, cases));
    for (std::size_t i = 0; i < setting.threat->low.size(); ++i) {
      if (!std::isfinite(setting.threat->low[i]) || !std::isfinite(setting.threat->high[i]))
        return base::make_error(base::Code::kValue, "changes of pictures need a bounded range");
    }
    Tracker tracker(setting, cases, rng);
    PL_CHECK(body(tracker));
    return tracker.take();
  };
  return out;
}

}  // namespace

std::vector<double> rotate_and_move(const ImageShape& shape, std::span<const double> x, double degrees, double down,
                                    double right, double fill) {
  const double angle = degrees * std::numbers::pi / 180;
  const double cosine = std::cos(angle);
  const double sine = std::sin(angle);
  const double middle_y = 0.5 * (static_cast<double>(shape.height) - 1);
  const double middle_x = 0.5 * (static_cast<double>(shape.width) - 1);
  std::vector<double> out(x.size());
  for (std::size_t row = 0; row < shape.height; ++row) {
    for (std::size_t column = 0; column < shape.width; ++column) {
      // Backwards: where this pixel came from.
      const double y = static_cast<double>(row) - down - middle_y;
      const double z = static_cast<double>(column) - right - middle_x;
      double from_y = middle_y + cosine * y + sine * z;
      double from_x = middle_x - sine * y + cosine * z;
      // Rounding must not blur a picture that is only moved by whole pixels.
      if (std::abs(from_y - std::round(from_y)) < 1e-9) from_y = std::round(from_y);
      if (std::abs(from_x - std::round(from_x)) < 1e-9) from_x = std::round(from_x);
      for (std::size_t c = 0; c < shape.channels; ++c)
        out[shape.at(c, row, column)] = between(shape, x, c, from_y, from_x, fill);
    }
  }
  return out;
}

Attack spatial(const SpatialThreat& threat, int angles, int moves) {
  return transform("spatial",
                   fmt::format("{} angles to {} degrees, {} x {} moves to {} pixels, bilinear", angles, threat.degrees,
                               moves, moves, threat.pixels),
                   [=](Tracker& tracker) { return run_spatial(tracker, threat, angles, moves); });
}

Attack colour(const ColourThreat& threat, int draws, int steps) {
  return transform(
      "colour", fmt::format("scale 1 -+ {}, shift -+ {}, {} draws, {} steps", threat.scale, threat.shift, draws, steps),
      [=](Tracker& tracker) { return run_colour(tracker, threat, draws, steps); });
}

Attack patch(const PatchThreat& threat, int steps) {
  Attack out =
      transform("patch", fmt::format("side {}, places side by side, {} steps on the margin", threat.side, steps),
                [=](Tracker& tracker) { return run_patch(tracker, threat, steps); });
  out.at_a_time = 1;
  return out;
}

}  // namespace plumbline::robustness
