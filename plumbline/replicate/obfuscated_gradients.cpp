// Three defences that stood while their gradients were followed, and fell once the gradients were made to mean
// something.

#include <algorithm>

#include <fmt/format.h>

#include "plumbline/replicate/drawn_digits.hpp"
#include "plumbline/replicate/replications.hpp"
#include "plumbline/robustness/attack/defences.hpp"
#include "plumbline/robustness/attack/masking.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::replicate {
namespace {

using namespace robustness;

constexpr double kEpsilon = 0.25;
constexpr std::size_t kTest = 100;

/// What PGD leaves right.
base::Result<Standing> under_pgd(const Target& target, const DrawnDigits& digits, const Options& options) {
  const std::vector<Attack> attacks = {pgd({.steps = 40, .first_step = 0.1, .last_step = 0.1})};
  return standing(target, digits, kEpsilon, attacks, options);
}

struct Signs {
  double masked = 0;
  double varies = 0;
};

base::Result<Signs> signs_of(const Target& target, const DrawnDigits& digits, const Options& options) {
  const Threat threat = digit_threat(kEpsilon);
  const std::vector<AttackCase> cases = digits.cases();
  PL_TRY(const Masking masking,
         find_masking({.target = &target, .threat = &threat, .cancel = options.cancel}, std::span(cases).first(30),
                      options.seed, {.steps = 10, .queries = 100, .noise = 20}));
  Signs out;
  double clean = 0;
  for (const MaskedRow& row : masking.rows) {
    clean += row.clean ? 1 : 0;
    out.masked += row.any() ? 1 : 0;
    out.varies += row.clean && row.varies ? 1 : 0;
  }
  if (clean > 0) {
    out.masked /= clean;
    out.varies /= clean;
  }
  return out;
}

struct Defence {
  std::string name;
  const Target* defended;
  const Target* broken;
  std::string how;
  Published published;
};

base::Result<Replication> run(const Options& options) {
  Replication result;
  const base::Rng rng(options.seed, {"obfuscated_gradients"});
  const Network network = train_digits(draw_digits(1500, rng.fork("train")), {}, rng.fork("network"));
  const DrawnDigits test = draw_digits(kTest, rng.fork("test"));
  const NetworkTarget plain(network);
  const ImageShape shape{1, kDigitSide, kDigitSide, false};
  const QuantisedTarget rounded(plain, 0, 1, 9, false);
  const QuantisedTarget rounded_broken(plain, 0, 1, 9, true);
  const CropTarget crops(plain, shape, 1, 0.125);
  const AveragedTarget crops_broken(crops, 20);
  const SaturatedTarget saturated(plain, 100);
  const auto table = [](const char* row) { return fmt::format("Table 1, {}", row); };
  const std::vector<Defence> defences = {
      {"inputs rounded to 9 levels", &rounded, &rounded_broken, "the gradient at the rounded input (BPDA)",
       number(0, Origin::kRead, table("thermometer encoding (Buckman et al.)"))},
      {"random crops", &crops, &crops_broken, "the mean gradient of 20 crops (EOT)",
       number(0, Origin::kRead, table("randomization (Xie et al.)"))},
      {"saturated softmax", &saturated, &plain, "the scores below the softmax",
       number(0, Origin::kRecalled, "Carlini, Wagner 2017: defensive distillation, every attack succeeds")}};
  Columns bars;
  const auto bar = [&](const std::string& label, const std::string& series, const stats::Estimate& estimate) {
    bars.row.push_back(label);
    bars.series.push_back(series);
    bars.value.push_back(estimate.value);
    bars.low.push_back(estimate.low().value_or(0));
    bars.high.push_back(estimate.high().value_or(1));
  };

  PL_TRY(const Standing undefended, under_pgd(plain, test, options));
  result.rows.push_back({.label = "without a defence: right digits of 100, no attack",
                         .published = nothing("another network on other pictures"),
                         .ours = exactly(static_cast<double>(undefended.clean) / kTest, "counted")});
  result.rows.push_back({.label = "without a defence: accuracy under attack",
                         .published = number(0, Origin::kRead, "the undefended models of all defences attacked"),
                         .ours = undefended.accuracy,
                         .tolerance = 0.05});
  bar("no defence", "own gradient", undefended.accuracy);
  PL_TRY(const Signs none, signs_of(plain, test, options));
  result.rows.push_back({.label = "without a defence: share of digits with a sign of masked gradients",
                         .published = at_most(0.1, Origin::kDerived, "section 3.1: a true gradient shows none"),
                         .ours = exactly(none.masked, "counted")});
  std::size_t done = 0;
  for (const Defence& d : defences) {
    progress(options, "obfuscated_gradients", ++done, defences.size());
    PL_TRY(const Standing own, under_pgd(*d.defended, test, options));
    PL_TRY(const Standing broken, under_pgd(*d.broken, test, options));
    bar(d.name, "own gradient", own.accuracy);
    bar(d.name, "broken", broken.accuracy);
    result.rows.push_back({.label = d.name + ": accuracy under attacks with its own gradient",
                           .published = nothing("the claims were for other networks and pictures"),
                           .ours = own.accuracy});
    result.rows.push_back({.label = fmt::format("{}: accuracy under {}", d.name, d.how),
                           .published = d.published,
                           .ours = broken.accuracy,
                           .tolerance = 0.05});
    PL_TRY(const Signs signs, signs_of(*d.defended, test, options));
    const bool caught = signs.masked > 0.5 || signs.varies > 0.5;
    result.rows.push_back(exact_answer(
        d.name + ": caught by the signs", answer(true, "caught", Origin::kDerived, "section 3.1"), caught, "counted",
        signs.varies > 0.5 ? "its answers vary from call to call"
                           : fmt::format("{:.2f} of the right digits show a sign", signs.masked)));
  }
  result.pictures.push_back(
      {.id = "defences",
       .kind = "bars",
       .title = fmt::format("Drawn digits left right at Linf {}", kEpsilon),
       .caption =
           "What stands while the attack follows the defence's own gradient falls once the gradient means something.",
       .columns = {{"label", "", bars.row},
                   {"value", "share", bars.value},
                   {"low", "share", bars.low},
                   {"high", "share", bars.high},
                   {"series", "", bars.series}},
       .facts = {{"value_label", "accuracy"}, {"level", "0.95"}},
       .media_type = {},
       .bytes = {}});
  result.notes = {
      "The paper attacks published defences on CIFAR-10 and ImageNet; here their three kinds are made again in front "
      "of a "
      "small network on digits drawn by a program.",
      "Rounding stands for thermometer encoding, crops for randomised resizing, the saturated softmax for "
      "distillation."};
  return result;
}

}  // namespace

Entry obfuscated_gradients() {
  return {{.id = "obfuscated_gradients",
           .title = "Obfuscated gradients",
           .paper = "Athalye, Carlini, Wagner, Obfuscated gradients give a false sense of security, ICML 2018, "
                    "arXiv:1802.00420",
           .where = "Table 1, section 3.1",
           .compares = "accuracy of three defences under attacks that follow, and that repair, their gradients",
           .seconds = 2},
          run};
}

}  // namespace plumbline::replicate
