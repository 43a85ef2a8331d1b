// Attacks that see decisions alone: Boundary, HopSkipJump. One example at a time, from a misclassified start.

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "plumbline/robustness/attack/tracker.hpp"

namespace plumbline::robustness {

namespace {

/// Asks about points of one example within a budget of queries.
class Oracle {
 public:
  Oracle(Tracker& tracker, std::size_t example, int budget)
      : tracker_(tracker), example_(example), start_(tracker.outcome(example).queries), budget_(budget) {}

  bool spent(std::size_t wanted = 1) const {
    return tracker_.outcome(example_).queries - start_ + wanted > static_cast<std::uint64_t>(budget_);
  }
  /// One flag a row: misclassified.
  base::Result<std::vector<char>> ask(std::span<const double> rows) {
    const std::vector<std::size_t> of(rows.size() / tracker_.inputs(), example_);
    PL_TRY(const Pass pass, tracker_.look(rows, of));
    std::vector<char> out;
    for (const double margin : tracker_.margins(pass, of)) out.push_back(tracker_.wrong(margin) ? 1 : 0);
    return out;
  }

  Tracker& tracker_;
  std::size_t example_;

 private:
  std::uint64_t start_;
  int budget_;
};

/// A misclassified input: noise in the box mixed in until it is one, then rows of the pool; empty where none is found.
base::Result<std::vector<double>> find_start(Oracle& oracle, base::Rng& rng) {
  const AttackSetting& setting = oracle.tracker_.setting();
  const Threat& threat = *setting.threat;
  const auto x0 = oracle.tracker_.example(oracle.example_).x;
  const std::size_t n = x0.size();
  std::vector<double> nearest;
  for (int trial = 0; trial < 50 && !oracle.spent(); ++trial) {
    const double share = 0.1 * (1 + trial / 5);
    std::vector<double> x(n);
    for (std::size_t i = 0; i < n; ++i) {
      const bool bounded = std::isfinite(threat.low[i]) && std::isfinite(threat.high[i]);
      const double noise = bounded ? threat.low[i] + rng.uniform() * (threat.high[i] - threat.low[i])
                                   : x0[i] + 20 * threat.epsilon * rng.normal();
      x[i] = std::clamp((1 - share) * x0[i] + share * noise, threat.low[i], threat.high[i]);
    }
    PL_TRY(const auto wrong, oracle.ask(x));
    if (wrong[0] != 0) return x;
  }
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t r = 0; (r + 1) * n <= setting.pool.size() && !oracle.spent(); ++r) {
    const auto row = setting.pool.subspan(r * n, n);
    const double far = distance(threat.norm, row, x0);
    if (!(far < best) || far == 0) continue;
    PL_TRY(const auto wrong, oracle.ask(row));
    if (wrong[0] == 0) continue;
    best = far;
    nearest.assign(row.begin(), row.end());
  }
  return nearest;
}

/// (1 - s) x0 + s x, or for Linf x cut to s of its distance.
std::vector<double> blend(Norm norm, std::span<const double> x0, std::span<const double> x, double s) {
  std::vector<double> out(x0.size());
  const double reach = norm == Norm::kLinf ? s * distance(norm, x, x0) : 0;
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = x0[i] + (norm == Norm::kLinf ? std::clamp(x[i] - x0[i], -reach, reach) : s * (x[i] - x0[i]));
  return out;
}

/// Halves the way back to the example while the point stays misclassified.
base::Status to_boundary(Oracle& oracle, std::vector<double>& x, int steps) {
  const Norm norm = oracle.tracker_.setting().threat->norm;
  const auto x0 = oracle.tracker_.example(oracle.example_).x;
  double low = 0;
  double high = 1;
  std::vector<double> best = x;
  for (int step = 0; step < steps && !oracle.spent(); ++step) {
    const double s = 0.5 * (low + high);
    std::vector<double> y = blend(norm, x0, x, s);
    PL_TRY(const auto wrong, oracle.ask(y));
    if (wrong[0] != 0) {
      high = s;
      best = std::move(y);
    } else {
      low = s;
    }
  }
  x = std::move(best);
  return base::ok();
}

base::Status walk_boundary(Oracle& oracle, base::Rng& rng) {
  const Threat& threat = *oracle.tracker_.setting().threat;
  const auto x0 = oracle.tracker_.example(oracle.example_).x;
  const std::size_t n = x0.size();
  PL_TRY(std::vector<double> x, find_start(oracle, rng));
  if (x.empty()) return base::ok();
  PL_CHECK(to_boundary(oracle, x, 12));
  double around = 0.1;   // of the distance, on the sphere
  double towards = 0.1;  // of the distance, to the example
  int asked = 0;
  int kept_around = 0;
  int kept_both = 0;
  while (!oracle.spent(2)) {
    const double far = distance(Norm::kL2, x, x0);
    if (!(far > 0)) break;
    std::vector<double> side(n);
    double along = 0;
    for (std::size_t i = 0; i < n; ++i) {
      side[i] = rng.normal();
      along += side[i] * (x[i] - x0[i]) / far;
    }
    for (std::size_t i = 0; i < n; ++i) side[i] -= along * (x[i] - x0[i]) / far;
    const double length = norm_of(Norm::kL2, side);
    std::vector<double> rows(2 * n);
    const double back = std::sqrt(1 + around * around);
    for (std::size_t i = 0; i < n; ++i) {
      const double on_sphere = (x[i] - x0[i] + around * far / length * side[i]) / back;
      rows[i] = std::clamp(x0[i] + on_sphere, threat.low[i], threat.high[i]);
      rows[n + i] = std::clamp(x0[i] + (1 - towards) * on_sphere, threat.low[i], threat.high[i]);
    }
    PL_TRY(const auto wrong, oracle.ask(rows));
    ++asked;
    kept_around += wrong[0];
    kept_both += wrong[1];
    if (wrong[1] != 0) std::copy(rows.begin() + static_cast<std::ptrdiff_t>(n), rows.end(), x.begin());
    if (asked < 20) continue;
    // Half of the steps on the sphere, a quarter of those inward should stay misclassified.
    around = std::min(0.5, kept_around > 10 ? around * 1.3 : around / 1.3);
    towards = std::min(0.5, kept_both > 5 ? towards * 1.3 : towards / 1.3);
    asked = kept_around = kept_both = 0;
  }
  return base::ok();
}

base::Status hop(Oracle& oracle, base::Rng& rng) {
  const Threat& threat = *oracle.tracker_.setting().threat;
  const auto x0 = oracle.tracker_.example(oracle.example_).x;
  const std::size_t n = x0.size();
  const bool linf = threat.norm == Norm::kLinf;
  PL_TRY(std::vector<double> x, find_start(oracle, rng));
  if (x.empty()) return base::ok();
  PL_CHECK(to_boundary(oracle, x, 14));
  for (int round = 1; !oracle.spent(20); ++round) {
    const double far = distance(threat.norm, x, x0);
    if (!(far > 0)) break;
    const auto draws = static_cast<std::size_t>(40 * std::sqrt(static_cast<double>(round)));
    if (oracle.spent(draws)) break;
    const double width = (linf ? 0.05 : 0.05 / std::sqrt(static_cast<double>(n))) * (linf ? far : far * 4);
    std::vector<double> rows(draws * n);
    std::vector<double> moves(draws * n);
    for (std::size_t d = 0; d < draws; ++d) {
      double length = 0;
      for (std::size_t i = 0; i < n; ++i) {
        moves[d * n + i] = linf ? rng.uniform(-1, 1) : rng.normal();
        length += moves[d * n + i] * moves[d * n + i];
      }
      const double scale = linf ? 1 : std::sqrt(static_cast<double>(n) / length);
      for (std::size_t i = 0; i < n; ++i) {
        rows[d * n + i] = std::clamp(x[i] + width * scale * moves[d * n + i], threat.low[i], threat.high[i]);
        moves[d * n + i] = rows[d * n + i] - x[i];
      }
    }
    PL_TRY(const auto wrong, oracle.ask(rows));
    double mean = 0;
    for (const char w : wrong) mean += w != 0 ? 1 : -1;
    mean /= static_cast<double>(draws);
    std::vector<double> gradient(n, 0.0);
    for (std::size_t d = 0; d < draws; ++d) {
      const double sign = (wrong[d] != 0 ? 1 : -1) - (std::abs(mean) < 1 ? mean : 0);
      for (std::size_t i = 0; i < n; ++i) gradient[i] += sign * moves[d * n + i];
    }
    std::vector<double> direction(n);
    steepest(linf ? Norm::kLinf : Norm::kL2, gradient, direction);
    // The step shrinks until it ends beyond the boundary.
    double step = far / std::sqrt(static_cast<double>(round));
    bool moved = false;
    for (int halving = 0; halving < 12 && !oracle.spent(); ++halving, step /= 2) {
      std::vector<double> y(n);
      for (std::size_t i = 0; i < n; ++i) y[i] = std::clamp(x[i] + step * direction[i], threat.low[i], threat.high[i]);
      PL_TRY(const auto beyond, oracle.ask(y));
      if (beyond[0] == 0) continue;
      x = std::move(y);
      moved = true;
      break;
    }
    PL_CHECK(to_boundary(oracle, x, 12));
    if (!moved && oracle.spent(100)) break;
  }
  return base::ok();
}

template <class Body>
Attack decided(std::string name, int queries, Body body) {
  Attack out;
  out.name = std::move(name);
  out.kind = AttackKind::kDecisions;
  out.settings = fmt::format("{} queries", queries);
  out.run = [queries, body](const AttackSetting& setting, std::span<const AttackCase> cases,
                            const base::Rng& rng) -> base::Result<std::vector<AttackOutcome>> {
    PL_CHECK(check_setting(setting, cases));
    Tracker tracker(setting, cases, rng);
    for (std::size_t c = 0; c < cases.size(); ++c) {
      Oracle oracle(tracker, c, queries);
      PL_TRY(const auto wrong, oracle.ask(cases[c].x));
      if (wrong[0] != 0) continue;
      base::Rng own = tracker.rng(c);
      PL_CHECK(body(oracle, own));
    }
    return tracker.take();
  };
  return out;
}

}  // namespace

Attack boundary(int queries) { return decided("boundary", queries, walk_boundary); }

Attack hop_skip_jump(int queries) { return decided("hopskipjump", queries, hop); }

}  // namespace plumbline::robustness
