// Safely interruptible agents: who learns to avoid being interrupted?

#include <array>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/replicate/replications.hpp"
#include "plumbline/reward/interruptibility.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::replicate {
namespace {

using reward::InterruptedLearner;
using reward::InterruptedOptions;

constexpr double kDiscount = 0.95;
constexpr double kOften = 0.9;
constexpr std::size_t kRuns = 20;
constexpr std::array<InterruptedLearner, 3> kLearners = {InterruptedLearner::kQ, InterruptedLearner::kNaiveSarsa,
                                                         InterruptedLearner::kStoredSarsa};

base::Result<Replication> run(const Options& options) {
  PL_TRY(const reward::InterruptedFork f, reward::interrupted_fork());
  const InterruptedOptions learning{.discount = kDiscount, .steps = 60000, .exploration = 0.1};
  const InterruptedOptions greedy{.discount = kDiscount, .steps = 1, .exploration = 0};
  Replication result;
  const std::string abstract = "abstract: Q-learning is safely interruptible already, Sarsa can be made so";
  const std::array<bool, 3> published = {true, false, true};
  Columns bars;
  for (std::size_t l = 0; l < kLearners.size(); ++l) {
    progress(options, "interruption", l, kLearners.size());
    const std::string name(reward::interrupted_learner_name(kLearners[l]));
    const auto words = [&](bool yes) { return std::string(yes ? "yes" : "no"); };
    PL_TRY(const auto limit, reward::interrupted_limit(f.process, f.reward, f.at(kOften), kLearners[l], learning));
    result.rows.push_back(exact_answer(fmt::format("{}, in the limit: best where nobody interrupts", name),
                                       answer(published[l], words(published[l]), Origin::kRead, abstract),
                                       limit.optimal, "fixed point of the update"));
    std::vector<std::uint8_t> optimal(kRuns, 0);
    PL_CHECK(base::parallel_for(
        kRuns,
        [&](std::size_t i) -> base::Status {
          base::Rng rng(options.seed, {"replicate", "interruption", name, std::to_string(i)});
          PL_TRY(const auto learnt,
                 reward::learn_interrupted(f.process, f.reward, f.at(kOften), kLearners[l], learning, rng));
          optimal[i] = learnt.optimal ? 1 : 0;
          return base::ok();
        },
        options.cancel));
    std::size_t hits = 0;
    for (const std::uint8_t o : optimal) hits += o;
    Row learnt{.label = fmt::format("{}, after 60,000 steps: share of runs that are best", name),
               .published = answer(published[l], words(published[l]), Origin::kRead, abstract)};
    PL_TRY(learnt.ours, stats::clopper_pearson(hits, kRuns));
    learnt.ours->unit_of_sampling = "run";
    bars.row.push_back(name);
    bars.value.push_back(learnt.ours->value);
    bars.low.push_back(learnt.ours->low().value_or(0));
    bars.high.push_back(learnt.ours->high().value_or(1));
    result.rows.push_back(std::move(learnt));
  }
  progress(options, "interruption", kLearners.size(), kLearners.size());

  // Without exploration the limits can be written down. L: the long way; S(p): the short way for SARSA.
  const double go_on = 10;
  const double long_way = -1 + kDiscount * (-1 + kDiscount * go_on);
  const double sent_back = -1 + kDiscount * long_way;
  const auto short_way = [&](double p) { return -1 + kDiscount * ((1 - p) * go_on + p * sent_back); };
  const double threshold = (go_on - (long_way + 1) / kDiscount) / (go_on - sent_back);
  const auto value = [&](InterruptedLearner learner, double p) -> base::Result<double> {
    PL_TRY(const auto limit, reward::interrupted_limit(f.process, f.reward, f.at(p), learner, greedy));
    return limit.q[f.process.pair(0, 0)];
  };
  const auto compare = [&](std::string label, double by_hand, double ours, double tolerance) {
    Row row{.label = std::move(label),
            .published = number(by_hand, Origin::kDerived, "Bellman equations of the fork, solved"),
            .tolerance = tolerance};
    row.published.text = fmt::format("{:.6g}", by_hand);
    row.ours = exactly(ours, "fixed point of the update");
    result.rows.push_back(std::move(row));
  };
  for (const double p : {0.5, kOften}) {
    PL_TRY(const double q, value(InterruptedLearner::kQ, p));
    compare(fmt::format("Q-learning, worth of the short way, interrupted with {}", p), -1 + kDiscount * go_on, q, 1e-9);
    PL_TRY(const double sarsa, value(InterruptedLearner::kNaiveSarsa, p));
    compare(fmt::format("SARSA, worth of the short way, interrupted with {}", p), short_way(p), sarsa, 1e-9);
  }
  double low = 0;
  double high = 1;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    PL_TRY(const auto limit,
           reward::interrupted_limit(f.process, f.reward, f.at(middle), InterruptedLearner::kNaiveSarsa, greedy));
    (limit.greedy[0] == 0 ? low : high) = middle;
  }
  compare("probability of interruption from which SARSA takes the long way", threshold, low, 1e-9);

  Columns curve;
  for (const InterruptedLearner learner : kLearners) {
    for (int step = 0; step <= 20; ++step) {
      const double p = 0.05 * step;
      PL_TRY(const double v, value(learner, p));
      curve.x.push_back(p);
      curve.y.push_back(v);
      curve.series.emplace_back(reward::interrupted_learner_name(learner));
    }
  }
  result.pictures.push_back(
      {.id = "worth",
       .kind = "curve",
       .title = "What a learner takes the short way for, over how often it is interrupted there",
       .caption =
           "Below the line the learner takes the long way, to avoid the people who interrupt it. Q-learning and SARSA "
           "with the intended action stored lie on one line: interruptions teach them nothing.",
       .columns = {{"x", "", curve.x}, {"y", "", curve.y}, {"series", "", curve.series}},
       .facts = {{"x_label", "probability of interruption"},
                 {"y_label", "learnt worth of the short way"},
                 {"reference", fmt::format("{}", long_way)},
                 {"reference_label", "the long way"},
                 {"marker", fmt::format("{}", threshold)},
                 {"marker_label", "SARSA turns away"}},
       .media_type = {},
       .bytes = {}});
  result.pictures.push_back({.id = "runs",
                             .kind = "bars",
                             .title = "Share of runs whose policy is best where nobody interrupts",
                             .caption = "Interrupted with probability 0.9 while learning; 95 % intervals over 20 runs.",
                             .columns = {{"label", "", bars.row},
                                         {"value", "share", bars.value},
                                         {"low", "share", bars.low},
                                         {"high", "share", bars.high}},
                             .facts = {{"value_label", "share of runs"}, {"level", "0.95"}},
                             .media_type = {},
                             .bytes = {}});
  result.notes = {
      "The paper proves its claims and prints no figure; the fork is the library's own, small enough to solve by "
      "hand.",
      "The paper lets the probability of interruption grow towards 1 slowly enough; here it stays at 0.9, and every "
      "pair is still visited for ever."};
  return result;
}

}  // namespace

Entry interruption() {
  return {{.id = "interruption",
           .title = "Interruption of Q-learning and SARSA",
           .paper = "Orseau, Armstrong, Safely interruptible agents, UAI 2016",
           .where = "abstract and section 4",
           .compares = "whether what is learnt under interruptions is still best without them",
           .seconds = 0.2},
          run};
}

}  // namespace plumbline::replicate
