// A ranking of small networks by what an ensemble of attacks leaves standing, beside what one attack would have
// claimed.

#include <algorithm>

#include <fmt/format.h>

#include "plumbline/replicate/drawn_digits.hpp"
#include "plumbline/replicate/replications.hpp"

namespace plumbline::replicate {
namespace {

using namespace robustness;

constexpr double kEpsilon = 0.15;
constexpr std::size_t kTest = 80;

struct Ranked {
  std::string name;
  TrainSettings settings;
  Standing claimed{};  ///< under PGD alone
  Standing suite{};    ///< under all attacks
};

base::Result<Replication> run(const Options& options) {
  Replication result;
  const base::Rng rng(options.seed, {"attack_ranking"});
  const DrawnDigits train = draw_digits(1500, rng.fork("train"));
  const DrawnDigits test = draw_digits(kTest, rng.fork("test"));
  std::vector<Ranked> models = {{"plain", {}},
                                {"noise", {.noise = 0.15}},
                                {"fast", {.epochs = 20, .epsilon = kEpsilon, .attack_steps = 1}},
                                {"pgd", {.epochs = 20, .epsilon = kEpsilon, .attack_steps = 7}}};
  const std::vector<Attack> claim = {pgd({.steps = 10, .first_step = 0.25, .last_step = 0.25})};
  const std::vector<Attack> suite = {pgd({.steps = 10, .first_step = 0.25, .last_step = 0.25}), apgd({.steps = 30}),
                                     apgd({.loss = Loss::kDlr, .targeted = true, .steps = 10}), fab(15), square(200)};
  std::size_t done = 0;
  for (Ranked& model : models) {
    progress(options, "attack_ranking", ++done, models.size());
    PL_CHECK(options.cancel.status());
    const Network network = train_digits(train, model.settings, rng.fork(model.name));
    const NetworkTarget target(network);
    PL_TRY(model.claimed, standing(target, test, kEpsilon, claim, options));
    PL_TRY(model.suite, standing(target, test, kEpsilon, suite, options));
  }
  Columns bars;
  double most = 0;
  double least = 1;
  for (const Ranked& model : models) {
    const double gap = model.claimed.accuracy.value - model.suite.accuracy.value;
    most = std::max(most, gap);
    least = std::min(least, gap);
    for (const auto& [series, estimate] :
         {std::pair{"PGD, 10 steps", &model.claimed.accuracy}, std::pair{"all attacks", &model.suite.accuracy}}) {
      bars.row.push_back(model.name);
      bars.series.emplace_back(series);
      bars.value.push_back(estimate->value);
      bars.low.push_back(estimate->low().value_or(0));
      bars.high.push_back(estimate->high().value_or(1));
    }
    result.rows.push_back({.label = fmt::format("{}: accuracy without an attack", model.name),
                           .published = nothing("other networks, other pictures"),
                           .ours = exactly(static_cast<double>(model.claimed.clean) / kTest, "counted")});
    Row row{.label = fmt::format("{}: accuracy under all attacks", model.name),
            .published = model.name == "plain"
                             ? number(0, Origin::kRead, "AutoAttack's table of CIFAR-10: standard model, 0.00")
                             : nothing("other networks, other pictures"),
            .ours = model.suite.accuracy,
            .tolerance = model.name == "plain" ? 0.1 : 0};
    result.rows.push_back(std::move(row));
  }
  result.rows.push_back({.label = "claimed by one attack less left by all, largest",
                         .published = between(0, 0.7, Origin::kRead, "AutoAttack's tables: from 0 to 70 points"),
                         .ours = exactly(most, "counted")});
  result.rows.push_back({.label = "the same, smallest",
                         .published = at_least(0, Origin::kDerived, "the minimum over attacks holds the one attack"),
                         .ours = exactly(least, "counted")});
  const auto by_name = [&](const std::string& name) {
    return std::find_if(models.begin(), models.end(), [&](const Ranked& m) { return m.name == name; })->suite.right;
  };
  result.rows.push_back(exact_answer(
      "networks trained against attacks rank above the others",
      answer(true, "yes", Origin::kRead, "AutoAttack's tables of MNIST and CIFAR-10"),
      std::min(by_name("fast"), by_name("pgd")) > std::max(by_name("plain"), by_name("noise")), "counted"));
  result.pictures.push_back(
      {.id = "ranking",
       .kind = "bars",
       .title = fmt::format("Drawn digits left right at Linf {}", kEpsilon),
       .caption = "What one attack would have claimed, and what the minimum over all attacks leaves.",
       .columns = {{"label", "", bars.row},
                   {"value", "share", bars.value},
                   {"low", "share", bars.low},
                   {"high", "share", bars.high},
                   {"series", "", bars.series}},
       .facts = {{"value_label", "accuracy"}, {"level", "0.95"}},
       .media_type = {},
       .bytes = {}});
  result.notes = {
      "AutoAttack ranks published networks on MNIST and CIFAR-10; here four small networks are trained on digits "
      "drawn by a program and ranked the same way.",
      "The attacks are APGD on cross-entropy, targeted APGD on DLR, FAB and Square, with fewer steps."};
  return result;
}

}  // namespace

Entry attack_ranking() {
  return {
      {.id = "attack_ranking",
       .title = "Ranking by an ensemble of attacks",
       .paper = "Croce, Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free "
                "attacks, ICML 2020, arXiv:2003.01690",
       .where = "the tables of MNIST and CIFAR-10, Linf",
       .compares = "accuracy claimed by one attack and left by an ensemble, over ways of training",
       .seconds = 3},
      run};
}

}  // namespace plumbline::replicate
