#include "plumbline/robustness/attack/masking.hpp"

#include <algorithm>
#include <cmath>

namespace plumbline::robustness {

namespace {

constexpr std::array<std::string_view, kMaskingSigns> kNames = {"one_step", "black_box", "unbounded", "noise",
                                                                "budget"};
constexpr std::array<std::string_view, kMaskingSigns> kWords = {
    "one step beats many", "queries alone beat gradients", "no success without a bound",
    "noise finds what gradients miss", "a larger budget finds less"};

/// A radius that covers the declared range, or a hundred times epsilon where there is none.
double whole_range(const Threat& threat) {
  std::vector<double> width;
  for (std::size_t i = 0; i < threat.low.size(); ++i) width.push_back(threat.high[i] - threat.low[i]);
  const double whole = norm_of(threat.norm, width);
  return std::isfinite(whole) && whole > 0 ? std::max(whole, threat.epsilon) : 100 * threat.epsilon;
}

base::Result<bool> answers_vary(const Target& target, const AttackCase& example, std::uint64_t seed) {
  const base::Rng rng = base::Rng(seed, {"again"}).fork(example.id);
  PL_TRY(const Pass first, target.forward(example.x, 1, std::vector<base::Rng>{rng.fork(std::uint64_t{0})}));
  for (std::uint64_t again = 1; again <= 3; ++again) {
    PL_TRY(const Pass next, target.forward(example.x, 1, std::vector<base::Rng>{rng.fork(again)}));
    if (next.scores != first.scores) return true;
  }
  return false;
}

}  // namespace

std::string_view masking_sign_name(MaskingSign sign) { return kNames[static_cast<std::size_t>(sign)]; }
std::string_view masking_sign_words(MaskingSign sign) { return kWords[static_cast<std::size_t>(sign)]; }

base::Result<Masking> find_masking(const AttackSetting& setting, std::span<const AttackCase> cases, std::uint64_t seed,
                                   const MaskingOptions& options) {
  if (!setting.target->has_gradient())
    return base::make_error(base::Code::kUnsupported, "the signs of masked gradients need a model with gradients");
  PL_CHECK(check_setting(setting, cases));
  Masking out;
  std::vector<std::vector<ExampleRecord>> runs;
  const auto trial = [&](std::string name, const Attack& attack, double radius) -> base::Status {
    Threat threat = *setting.threat;
    threat.epsilon = radius;
    AttackSetting here = setting;
    here.threat = &threat;
    std::vector<ExampleRecord> records;
    PL_CHECK(run_suite(here, cases, std::span(&attack, 1), seed, {.every_attack = true}, records));
    MaskingTrial line{std::move(name), 0, 0};
    for (const ExampleRecord& record : records) {
      line.tried += record.clean() ? 1 : 0;
      line.found += record.clean() && record.fallen(radius) ? 1 : 0;
    }
    out.trials.push_back(std::move(line));
    runs.push_back(std::move(records));
    return base::ok();
  };
  const double epsilon = setting.threat->epsilon;
  const double step = std::max(2.5 / options.steps, 0.01);
  const PgdOptions usual{.steps = options.steps, .first_step = step, .last_step = step};
  PgdOptions longer = usual;
  longer.steps = 4 * options.steps;
  PL_CHECK(trial("one step", fgsm(), epsilon));
  PL_CHECK(trial("many steps", pgd(usual), epsilon));
  PL_CHECK(trial("four times the steps", pgd(longer), epsilon));
  PL_CHECK(trial("twice the radius", pgd(usual), 2 * epsilon));
  // From the example itself: a random start in the whole range is another class half the time.
  PgdOptions unbounded = usual;
  unbounded.random_start = false;
  PL_CHECK(trial("whole range", pgd(unbounded), whole_range(*setting.threat)));
  PL_CHECK(trial("queries alone", setting.threat->norm == Norm::kL1 ? spsa(8, 16) : square(options.queries), epsilon));
  PL_CHECK(trial("noise", random_noise(options.noise), epsilon));
  const auto found = [&](std::size_t run, std::size_t c, double radius) { return runs[run][c].fallen(radius); };
  for (std::size_t c = 0; c < cases.size(); ++c) {
    MaskedRow row;
    row.id = cases[c].id;
    PL_TRY(row.varies, answers_vary(*setting.target, cases[c], seed));
    row.clean = runs[0][c].clean();
    if (row.clean) {
      const bool one = found(0, c, epsilon);
      const bool many = found(1, c, epsilon);
      const bool longest = found(2, c, epsilon);
      const bool gradients = one || many || longest;
      row.flat_start = runs[0][c].attempts.empty() ? false : runs[0][c].attempts[0].flat_start;
      row.shown = {one && !many && !longest, found(5, c, epsilon) && !gradients,
                   !found(4, c, whole_range(*setting.threat)), found(6, c, epsilon) && !gradients,
                   many && (!found(3, c, 2 * epsilon) || !longest)};
    }
    out.rows.push_back(row);
  }
  return out;
}

}  // namespace plumbline::robustness
