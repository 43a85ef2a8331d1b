#include "plumbline/reward/off_switch.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::reward {
namespace {

base::Status check_belief(const WorthBelief& belief, const Person& person) {
  PL_CHECK(base::check_finite("off_switch", "mean", belief.mean));
  PL_CHECK(base::check_finite("off_switch", "deviation", belief.deviation));
  PL_CHECK(base::check_in("off_switch", "deviation", belief.deviation, 0, 1e300));
  if (person.rationality) PL_CHECK(base::check_positive("off_switch", "rationality", *person.rationality));
  return base::ok();
}

double allows(const Person& person, double worth) {
  if (!person.rationality) return worth >= 0 ? 1 : 0;
  return 1 / (1 + std::exp(-*person.rationality * worth));
}

double normal_density(double x) { return std::exp(-x * x / 2) * std::numbers::inv_sqrtpi / std::numbers::sqrt2; }

/// Gauss-Legendre with 8 nodes on [0, upper], in `panels` equal panels.
template <class F>
double integrate(const F& f, double upper, int panels) {
  constexpr std::array<double, 4> kNode = {0.1834346424956498, 0.5255324099163290, 0.7966664774136267,
                                           0.9602898564975363};
  constexpr std::array<double, 4> kWeight = {0.3626837833783620, 0.3137066458778873, 0.2223810344533745,
                                             0.1012285362903763};
  const double half = upper / panels / 2;
  double sum = 0;
  for (int i = 0; i < panels; ++i) {
    const double centre = (2 * i + 1) * half;
    for (std::size_t k = 0; k < kNode.size(); ++k) {
      sum += kWeight[k] * (f(centre - half * kNode[k]) + f(centre + half * kNode[k]));
    }
  }
  return sum * half;
}

constexpr std::array<OffSwitchChoice, 3> kChoices = {OffSwitchChoice::kWait, OffSwitchChoice::kOff,
                                                     OffSwitchChoice::kAct};

/// `scale`: of the worths, of which 1e-12 is the error of the figures.
OffSwitchValues decide(double act, double wait, double allowed, double scale) {
  OffSwitchValues values{act, wait, wait - std::max(act, 0.0), allowed, OffSwitchChoice::kWait, {}};
  const double least = std::max({wait, 0.0, act}) - 1e-12 * scale;
  values.best = {wait >= least, 0 >= least, act >= least};
  for (std::size_t i = kChoices.size(); i-- > 0;) {
    if (values.best[i]) values.choice = kChoices[i];
  }
  return values;
}

double value_of(OffSwitchChoice choice, const OffSwitchValues& values) {
  switch (choice) {
    case OffSwitchChoice::kWait: return values.wait;
    case OffSwitchChoice::kAct: return values.act;
    case OffSwitchChoice::kOff: break;
  }
  return 0;
}

}  // namespace

std::string_view off_switch_choice_name(OffSwitchChoice choice) {
  switch (choice) {
    case OffSwitchChoice::kWait: return "wait";
    case OffSwitchChoice::kOff: return "off";
    case OffSwitchChoice::kAct: break;
  }
  return "act";
}

base::Result<OffSwitchValues> off_switch(const WorthBelief& belief, const Person& person) {
  PL_CHECK(check_belief(belief, person));
  const double m = belief.mean;
  const double s = belief.deviation;
  if (s == 0) {
    const double p = allows(person, m);
    return decide(m, m * p, p, std::abs(m));
  }
  double wait = m * stats::normal_cdf(m / s) + s * normal_density(m / s);
  double allowed = stats::normal_cdf(m / s);
  if (person.rationality) {
    // A person who errs differs from one who does not by 1 / (1 + exp(b |u|)), which lives near 0; both that and the
    // density are smooth over half of the smaller scale.
    const double b = *person.rationality;
    const double upper = std::min(45 / b, std::abs(m) + 12 * s);
    const int panels = static_cast<int>(std::min(2e6, std::ceil(2 * upper / std::min(1 / b, s)))) + 1;
    const auto error = [&](double u) { return 1 / (1 + std::exp(b * u)); };
    const auto above = [&](double u) { return normal_density((u - m) / s) / s; };
    const auto below = [&](double u) { return normal_density((u + m) / s) / s; };
    wait -= integrate([&](double u) { return u * error(u) * (above(u) + below(u)); }, upper, panels);
    allowed -= integrate([&](double u) { return error(u) * (above(u) - below(u)); }, upper, panels);
  }
  return decide(m, wait, allowed, std::abs(m) + s);
}

base::Result<OffSwitchValues> off_switch(std::span<const double> worth, std::span<const double> probability,
                                         const Person& person) {
  PL_CHECK(base::check_at_least("off_switch", "worth", static_cast<std::ptrdiff_t>(worth.size()), 1));
  PL_CHECK(base::check_size("off_switch", "probability", static_cast<std::ptrdiff_t>(probability.size()),
                            static_cast<std::ptrdiff_t>(worth.size())));
  PL_CHECK(base::check_all_finite("off_switch", "worth", worth));
  if (person.rationality) PL_CHECK(base::check_positive("off_switch", "rationality", *person.rationality));
  double total = 0;
  for (const double p : probability) {
    PL_CHECK(base::check_in("off_switch", "probability", p, 0, 1));
    total += p;
  }
  PL_CHECK(base::check_in("off_switch", "sum of probability", total, 1 - 1e-9, 1 + 1e-9));
  double act = 0;
  double wait = 0;
  double allowed = 0;
  double scale = 0;
  for (std::size_t i = 0; i < worth.size(); ++i) {
    scale = std::max(scale, std::abs(worth[i]));
    const double p = allows(person, worth[i]) * probability[i];
    act += worth[i] * probability[i];
    wait += worth[i] * p;
    allowed += p;
  }
  return decide(act, wait, allowed, scale);
}

base::Result<MisjudgedOffSwitch> misjudged_off_switch(const WorthBelief& believed, const Person& believed_person,
                                                      const WorthBelief& truth, const Person& true_person) {
  PL_TRY(const OffSwitchValues own, off_switch(believed, believed_person));
  PL_TRY(const OffSwitchValues real, off_switch(truth, true_person));
  MisjudgedOffSwitch result;
  result.incentive_believed = own.incentive;
  result.incentive_true = real.incentive;
  result.choice = own.choice;
  for (std::size_t i = 0; i < kChoices.size(); ++i) {
    if (own.best[i] && value_of(kChoices[i], real) < value_of(result.choice, real)) result.choice = kChoices[i];
  }
  result.regret = std::max({real.wait, 0.0, real.act}) - value_of(result.choice, real);
  result.overrides = result.choice != OffSwitchChoice::kWait && real.waits();
  return result;
}

base::Result<OffSwitchPlayed> play_off_switch(const WorthBelief& belief, const Person& person, std::int64_t rounds,
                                              base::Rng& rng) {
  PL_CHECK(check_belief(belief, person));
  PL_CHECK(base::check_at_least("play_off_switch", "rounds", rounds, 2));
  const auto n = static_cast<std::size_t>(rounds);
  std::vector<double> act(n);
  std::vector<double> wait(n);
  std::vector<std::uint8_t> allowed(n);
  for (std::size_t i = 0; i < n; ++i) {
    act[i] = rng.normal(belief.mean, belief.deviation);
    allowed[i] = rng.uniform() < allows(person, act[i]) ? 1 : 0;
    wait[i] = allowed[i] != 0 ? act[i] : 0;
  }
  OffSwitchPlayed played;
  PL_TRY(played.act, stats::mean(act));
  PL_TRY(played.wait, stats::mean(wait));
  PL_TRY(played.allowed, stats::proportion(allowed));
  std::vector<double> gain = wait;
  if (base::ordered_mean(act) > 0) {
    for (std::size_t i = 0; i < n; ++i) gain[i] -= act[i];
  }
  PL_TRY(played.incentive, stats::mean(gain));
  return played;
}

}  // namespace plumbline::reward
