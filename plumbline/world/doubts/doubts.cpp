#include "plumbline/world/doubts/doubts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/world/planning.hpp"

namespace plumbline::world {
namespace {

decision::RewardPosterior readings_of(const std::vector<std::vector<double>>& rewards, std::vector<std::string> names) {
  decision::RewardPosterior readings;
  const auto count = std::ssize(rewards);
  readings.rewards.resize(count, std::ssize(rewards[0]));
  for (std::ptrdiff_t k = 0; k < count; ++k) {
    for (std::ptrdiff_t i = 0; i < readings.rewards.cols(); ++i) {
      readings.rewards(k, i) = rewards[static_cast<std::size_t>(k)][static_cast<std::size_t>(i)];
    }
  }
  readings.probability.assign(rewards.size(), 1.0 / static_cast<double>(count));
  readings.names = std::move(names);
  readings.source = "the wording";
  return readings;
}

/// A world without doubt about models, places or meaning.
DoubtWorld plain(Doubt needed, std::string story, const Process& process, const std::vector<double>& reward) {
  DoubtWorld world;
  world.needed = needed;
  world.story = std::move(story);
  world.nominal = process;
  world.models = {process};
  world.belief = {1.0};
  world.readings = readings_of({reward}, {"literal"});
  world.places = {process};
  return world;
}

/// Two ways from the start to the goal: action 0 enters the short one, action 1 the long one. Each way is a row of
/// states; `hurt` is a state that costs and ends. Along the short way each step goes to `hurt` with probability `risk`.
struct TwoWays {
  int shorter;
  int longer;
  double risk;
  double harm;
  double step;

  std::uint32_t states() const { return static_cast<std::uint32_t>(shorter + longer + 1); }
  std::uint32_t hurt() const { return states() - 1; }
  base::Result<Process> process(double at_risk) const {
    ProcessBuilder builder(states(), 2, longer + 3);
    builder.start(0, 1);
    const auto add = [&](std::uint32_t from, std::uint32_t action, std::uint32_t to, double p) {
      if (p > 0) builder.add(from, action, hurt(), p);
      builder.add(from, action, to, 1 - p);
    };
    // States 0 .. shorter - 1 are the short way (0 is the start), the next longer ones the way round.
    for (std::uint32_t s = 0; s < hurt(); ++s) {
      const auto n = static_cast<std::uint32_t>(shorter);
      const bool on_short = s < n;
      const bool last = on_short ? s + 1 == n : s + 1 == hurt();
      for (std::uint32_t a = 0; a < 2; ++a) {
        if (s == 0 && a == 1) {
          builder.add(s, a, n, 1);
        } else {
          add(s, a, last ? states() : s + 1, on_short ? at_risk : 0);
        }
      }
    }
    for (std::uint32_t a = 0; a < 2; ++a) builder.add(hurt(), a, states(), 1);
    return std::move(builder).finish();
  }
  std::vector<double> reward() const {
    std::vector<double> r(std::size_t{states()} * 2, -step);
    for (std::uint32_t a = 0; a < 2; ++a) r[std::size_t{hurt()} * 2 + a] = -harm;
    return r;
  }
};

base::Result<DoubtWorld> ledge(base::Rng& rng) {
  const TwoWays ways{2 + static_cast<int>(rng.below(3)), 6 + static_cast<int>(rng.below(3)), rng.uniform(0.08, 0.3),
                     rng.uniform(60, 120), 1};
  PL_TRY(const Process process, ways.process(ways.risk));
  return plain(Doubt::kChance, "a ledge on which each step may end in a fall, or a longer way round", process,
               ways.reward());
}

base::Result<DoubtWorld> bridge(base::Rng& rng) {
  const TwoWays ways{2, 4 + static_cast<int>(rng.below(3)), 0.001, rng.uniform(60, 120), 1};
  PL_TRY(const Process process, ways.process(ways.risk));
  DoubtWorld world =
      plain(Doubt::kShift, "a bridge that hardly ever broke where it was watched, or a ford", process, ways.reward());
  world.shift = rng.uniform(0.3, 0.8);
  PL_TRY(const Process elsewhere, ways.process(ways.risk + world.shift / 2));
  world.places.push_back(elsewhere);
  return world;
}

base::Result<DoubtWorld> unnamed_ground(base::Rng& rng) {
  const TwoWays ways{3, 5 + static_cast<int>(rng.below(2)), 0, 0, 1};
  PL_TRY(const Process process, ways.process(0));
  // Walking the ground is worth nothing by the letter; people may mind or welcome it as much as they may mind it.
  const double stake = rng.uniform(4, 12);
  const std::vector<double> literal = ways.reward();
  std::vector<double> welcome = literal;
  std::vector<double> ruin = literal;
  for (std::uint32_t s = 1; s < 3; ++s) {
    for (std::uint32_t a = 0; a < 2; ++a) {
      welcome[std::size_t{s} * 2 + a] += stake;
      ruin[std::size_t{s} * 2 + a] -= stake;
    }
  }
  DoubtWorld world = plain(Doubt::kMeaning, "ground that nobody wrote about, or the road round it", process, literal);
  world.readings = readings_of({literal, welcome, ruin}, {"literal", "welcome", "ruin"});
  return world;
}

base::Result<DoubtWorld> tiger(base::Rng& rng) {
  // States: 0 nothing heard, 1 heard left, 2 heard right, 3 the tiger, 4 the prize. Actions: listen, left, right,
  // leave.
  const double keen = rng.uniform(0.8, 0.9);
  const double claw = rng.uniform(60, 120);
  DoubtWorld world;
  world.needed = Doubt::kModel;
  world.story = "two doors, a tiger behind one; listening helps and costs";
  const auto process_of = [&](double left) {  // probability that the tiger is behind the left door, as one process
    ProcessBuilder builder(5, 4, 10);
    builder.start(0, 1);
    const double heard_left = left * keen + (1 - left) * (1 - keen);
    for (std::uint32_t s = 0; s < 3; ++s) {
      builder.add(s, 0, 1, heard_left);
      builder.add(s, 0, 2, 1 - heard_left);
      builder.add(s, 1, 3, left);
      builder.add(s, 1, 4, 1 - left);
      builder.add(s, 2, 4, left);
      builder.add(s, 2, 3, 1 - left);
      builder.add(s, 3, 5, 1);
    }
    for (std::uint32_t s = 3; s < 5; ++s) {
      for (std::uint32_t a = 0; a < 4; ++a) builder.add(s, a, 5, 1);
    }
    return std::move(builder).finish();
  };
  PL_TRY(world.nominal, process_of(0.5));
  PL_TRY(Process left, process_of(1));
  PL_TRY(Process right, process_of(0));
  world.models = {std::move(left), std::move(right)};
  world.belief = {0.5, 0.5};
  std::vector<double> reward(20, 0.0);
  for (std::size_t s = 0; s < 3; ++s) reward[s * 4] = -1;
  for (std::size_t a = 0; a < 4; ++a) {
    reward[12 + a] = -claw;
    reward[16 + a] = 10;
  }
  world.readings = readings_of({reward}, {"literal"});
  return world;
}

std::vector<double> reading(const DoubtWorld& world, std::ptrdiff_t k) {
  return {world.readings.rewards.row(k).begin(), world.readings.rewards.row(k).end()};
}

}  // namespace

std::string_view doubt_name(Doubt doubt) {
  switch (doubt) {
    case Doubt::kChance: return "chance";
    case Doubt::kModel: return "model";
    case Doubt::kShift: return "shift";
    case Doubt::kMeaning: return "meaning";
  }
  throw base::InternalError("doubt_name: no such doubt");
}

base::Result<DoubtWorld> make_doubt_world(Doubt needed, std::uint64_t seed) {
  base::Rng rng(seed, {"doubt", doubt_name(needed)});
  switch (needed) {
    case Doubt::kChance: return ledge(rng);
    case Doubt::kModel: return tiger(rng);
    case Doubt::kShift: return bridge(rng);
    case Doubt::kMeaning: return unnamed_ground(rng);
  }
  throw base::InternalError("make_doubt_world: no such doubt");
}

DoubtWorld hide_doubt(const DoubtWorld& world, Doubt doubt) {
  DoubtWorld hidden = world;
  const auto likeliest = [](const Process& process) {
    Process sure = process;
    for (std::size_t pair = 0; pair < process.pairs(); ++pair) {
      const auto begin = sure.probability.begin() + static_cast<std::ptrdiff_t>(process.first[pair]);
      const auto end = sure.probability.begin() + static_cast<std::ptrdiff_t>(process.first[pair + 1]);
      const auto top = std::max_element(begin, end);
      for (auto p = begin; p != end; ++p) *p = p == top ? 1 : 0;
    }
    return sure;
  };
  switch (doubt) {
    case Doubt::kChance:
      hidden.nominal = likeliest(world.nominal);
      for (Process& model : hidden.models) model = likeliest(model);
      break;
    case Doubt::kModel: {
      const auto top =
          static_cast<std::size_t>(std::max_element(world.belief.begin(), world.belief.end()) - world.belief.begin());
      hidden.models = {world.models[top]};
      hidden.nominal = world.models[top];
      hidden.belief = {1.0};
      break;
    }
    case Doubt::kShift: hidden.shift = 0; break;
    case Doubt::kMeaning: hidden.readings = readings_of({reading(world, 0)}, {"literal"}); break;
  }
  return hidden;
}

base::Result<double> doubt_score(const DoubtWorld& world, const TabularPolicy& policy) {
  double worst = std::numeric_limits<double>::infinity();
  for (std::ptrdiff_t k = 0; k < world.readings.size(); ++k) {
    const std::vector<double> reward = reading(world, k);
    if (world.models.size() > 1) {
      double mean = 0;
      for (std::size_t i = 0; i < world.models.size(); ++i) {
        PL_TRY(const double value, policy_return(world.models[i], reward, policy));
        mean += world.belief[i] * value;
      }
      worst = std::min(worst, mean);
    }
    for (const Process& place : world.places) {
      PL_TRY(const double value, policy_return(place, reward, policy));
      worst = std::min(worst, value);
    }
  }
  return worst;
}

base::Result<BeliefModel> belief_model(std::span<const Process> models, std::span<const double> prior,
                                       std::span<const double> reward, std::size_t most) {
  constexpr std::string_view kFunction = "belief_model";
  PL_CHECK(base::check_at_least(kFunction, "models", std::ssize(models), 1));
  PL_CHECK(base::check_size(kFunction, "prior", std::ssize(prior), std::ssize(models)));
  double sum = 0;
  for (const double p : prior) {
    PL_CHECK(base::check_in(kFunction, "prior", p, 0, 1));
    sum += p;
  }
  if (!(std::abs(sum - 1) <= 1e-9)) {
    return base::make_error(base::Code::kValue, fmt::format("prior sums to {:.12g} instead of 1", sum),
                            std::string(kFunction));
  }
  for (const Process& model : models) {
    PL_CHECK(validate(model));
    PL_CHECK(base::check_size(kFunction, "states", model.states, models[0].states));
    PL_CHECK(base::check_size(kFunction, "actions", model.actions, models[0].actions));
    PL_CHECK(base::check_size(kFunction, "horizon", model.horizon, models[0].horizon));
  }
  PL_CHECK(validate_reward(models[0], reward));
  PL_CHECK(base::check_at_least(kFunction, "horizon", models[0].horizon, 1));
  const std::uint32_t actions = models[0].actions;
  BeliefModel made;
  std::vector<int> depth;
  std::map<std::pair<std::uint32_t, std::vector<std::int64_t>>, std::uint32_t> index;
  // Unnormalised weights in, a node out.
  const auto node_at = [&](std::uint32_t state, std::vector<double> weight, int at) {
    double total = 0;
    for (const double w : weight) total += w;
    std::vector<std::int64_t> key;
    for (double& w : weight) {
      w /= total;
      key.push_back(std::llround(w * 1e9));
    }
    const auto [place, fresh] =
        index.try_emplace({state, std::move(key)}, static_cast<std::uint32_t>(made.state.size()));
    if (fresh) {
      made.state.push_back(state);
      made.belief.push_back(std::move(weight));
      depth.push_back(at);
    }
    return place->second;
  };
  struct Arc {
    std::uint32_t node;
    std::uint32_t action;
    std::uint32_t to;
    double probability;
  };
  constexpr std::uint32_t kOver = std::numeric_limits<std::uint32_t>::max();
  std::vector<Arc> arcs;
  std::vector<std::pair<std::uint32_t, double>> starts;
  std::vector<double> weight(models.size());
  for (std::uint32_t s = 0; s < models[0].states; ++s) {
    double total = 0;
    for (std::size_t i = 0; i < models.size(); ++i) total += weight[i] = prior[i] * models[i].initial[s];
    if (total > 0) starts.emplace_back(node_at(s, weight, 0), total);
  }
  for (std::uint32_t n = 0; n < made.state.size(); ++n) {
    if (made.state.size() > most) {
      return base::make_error(base::Code::kLimit, fmt::format("more than {} beliefs", most), std::string(kFunction),
                              "shorten the horizon");
    }
    for (std::uint32_t a = 0; a < actions; ++a) {
      const std::size_t pair = models[0].pair(made.state[n], a);
      made.reward.push_back(reward[pair]);
      if (depth[n] >= models[0].horizon) {  // nobody acts here any more
        arcs.push_back({n, a, kOver, 1});
        continue;
      }
      std::map<std::uint32_t, std::vector<double>> seen;
      for (std::size_t i = 0; i < models.size(); ++i) {
        for (std::uint64_t t = models[i].first[pair]; t < models[i].first[pair + 1]; ++t) {
          const double p = made.belief[n][i] * models[i].probability[t];
          if (p <= 0) continue;
          std::vector<double>& w = seen.try_emplace(models[i].next[t], models.size(), 0.0).first->second;
          w[i] += p;
        }
      }
      for (auto& [next, w] : seen) {
        double total = 0;
        for (const double x : w) total += x;
        arcs.push_back({n, a, next == models[0].end() ? kOver : node_at(next, w, depth[n] + 1), total});
      }
    }
  }
  const auto nodes = static_cast<std::uint32_t>(made.state.size());
  ProcessBuilder builder(nodes, actions, models[0].horizon);
  for (const auto& [node, p] : starts) builder.start(node, p);
  for (const Arc& arc : arcs) builder.add(arc.node, arc.action, arc.to == kOver ? nodes : arc.to, arc.probability);
  PL_TRY(made.process, std::move(builder).finish());
  return made;
}

base::Result<double> belief_score(const DoubtWorld& world, const BeliefModel& model, const TabularPolicy& policy) {
  // Under the planner's own belief the belief process is what happens; `world` must be the one that the belief is true
  // of.
  double worst = std::numeric_limits<double>::infinity();
  for (std::ptrdiff_t k = 0; k < world.readings.size(); ++k) {
    std::vector<double> reward(model.process.pairs());
    for (std::size_t n = 0; n < model.state.size(); ++n) {
      for (std::uint32_t a = 0; a < model.process.actions; ++a) {
        reward[n * model.process.actions + a] = world.readings.rewards(
            k, static_cast<std::ptrdiff_t>(std::size_t{model.state[n]} * model.process.actions + a));
      }
    }
    PL_TRY(const double value, policy_return(model.process, reward, policy));
    worst = std::min(worst, value);
  }
  return worst;
}

}  // namespace plumbline::world
