#include "plumbline/checks/reward/rewards.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <type_traits>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/reward/inverse_reward_design.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::checks {
namespace {

constexpr std::array<std::pair<RewardKind, std::string_view>, 6> kKinds = {{{RewardKind::kLinear, "linear"},
                                                                            {RewardKind::kTable, "table"},
                                                                            {RewardKind::kObserved, "observed"},
                                                                            {RewardKind::kScores, "scores"},
                                                                            {RewardKind::kBelief, "belief"},
                                                                            {RewardKind::kCosts, "costs"}}};

/// What each kind reads beside kind, prior and worlds; the first `needed` must be there.
struct KindKeys {
  std::vector<std::string> keys;
  std::size_t needed = 0;
};
KindKeys keys_of(RewardKind kind) {
  switch (kind) {
    case RewardKind::kLinear: return {{"weights", "features", "designed_in", "rationality", "candidates", "size"}, 1};
    case RewardKind::kTable: return {{"path"}, 1};
    case RewardKind::kObserved: return {};
    case RewardKind::kScores: return {{"path", "proxy", "gold", "unit"}, 3};
    case RewardKind::kCosts: return {{"path", "models"}, 1};
    case RewardKind::kBelief: break;
  }
  return {{"mean", "deviation", "rationality", "true_mean", "true_deviation", "true_rationality", "machine"}, 2};
}

base::Error bad_reward(const data::OtherSection& section, std::string message, std::string hint = {}) {
  return base::make_error(base::Code::kValue, std::move(message),
                          fmt::format("[reward.{}], line {}", section.name, section.line), std::move(hint));
}

template <class T>
std::optional<T> value_of(const data::OtherSection& section, const std::string& key) {
  const auto found = section.keys.find(key);
  if (found == section.keys.end()) return std::nullopt;
  if constexpr (std::is_same_v<T, double>) {  // "mean = 1" is a number too
    if (const auto* whole = std::get_if<std::int64_t>(&found->second)) return static_cast<double>(*whole);
  }
  const auto* value = std::get_if<T>(&found->second);
  return value == nullptr ? std::nullopt : std::optional<T>(*value);
}

}  // namespace

std::string_view reward_kind_name(RewardKind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return name;
  }
  throw base::InternalError("reward_kind_name: no such kind");
}

bool RewardPart::about(const std::string& world) const {
  return worlds.empty() || std::find(worlds.begin(), worlds.end(), world) != worlds.end();
}

base::Result<RewardPart> read_reward(const data::OtherSection& section) {
  RewardPart part;
  part.name = section.name;
  const std::string kind = section.text("kind");
  const auto known = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& k) { return k.second == kind; });
  if (known == kKinds.end()) {
    return bad_reward(section, fmt::format("kind is '{}'", kind),
                      "the kinds are linear, table, observed, scores, belief and costs");
  }
  part.kind = known->first;
  const KindKeys reads = keys_of(part.kind);
  for (std::size_t i = 0; i < reads.needed; ++i) {
    if (!section.keys.contains(reads.keys[i]) && !section.paths.contains(reads.keys[i]))
      return bad_reward(section, fmt::format("a reward of kind {} needs {}", kind, reads.keys[i]));
  }
  const std::set<std::string> common = {"kind", "prior", "worlds"};
  const auto read = [&](const std::string& key) {
    return common.contains(key) || std::find(reads.keys.begin(), reads.keys.end(), key) != reads.keys.end();
  };
  const auto unread = [&](const std::string& key) {
    return bad_reward(section, fmt::format("a reward of kind {} does not read {}", kind, key),
                      reads.keys.empty() ? "It reads prior and worlds"
                                         : fmt::format("It reads {}, prior, worlds", fmt::join(reads.keys, ", ")));
  };
  for (const auto& [key, value] : section.keys) {
    if (!read(key)) return unread(key);
  }
  for (const auto& [key, value] : section.paths) {
    if (!read(key)) return unread(key);
  }
  part.worlds = value_of<std::vector<std::string>>(section, "worlds").value_or(part.worlds);
  part.prior = value_of<double>(section, "prior").value_or(part.prior);
  if (!(part.prior > 0) || !std::isfinite(part.prior))
    return bad_reward(section, fmt::format("prior is {}, expected a number above 0", part.prior));
  if (const auto path = section.paths.find("path"); path != section.paths.end()) part.path = path->second.resolved;
  part.weights = value_of<std::vector<double>>(section, "weights").value_or(part.weights);
  for (const double w : part.weights) {
    if (!std::isfinite(w)) return bad_reward(section, "a weight is not finite");
  }
  part.features = value_of<std::vector<std::string>>(section, "features").value_or(part.features);
  if (!part.features.empty() && part.features.size() != part.weights.size()) {
    return bad_reward(section, fmt::format("{} weights for {} features", part.weights.size(), part.features.size()));
  }
  part.designed_in = section.text("designed_in");
  const auto rationality = value_of<double>(section, "rationality");
  if (rationality && !(*rationality > 0 && std::isfinite(*rationality)))
    return bad_reward(section, fmt::format("rationality is {}, expected a number above 0", *rationality));
  part.rationality = rationality.value_or(part.rationality);
  part.candidates = value_of<std::int64_t>(section, "candidates").value_or(part.candidates);
  part.size = value_of<double>(section, "size").value_or(part.size);
  if (part.kind == RewardKind::kLinear) {
    constexpr std::int64_t kFewest = 20;
    constexpr std::int64_t kMost = 5000;
    if (part.candidates < kFewest || part.candidates > kMost)
      return bad_reward(section, fmt::format("candidates is {}, expected {} to {}", part.candidates, kFewest, kMost));
    if (!(part.size > 0) || !std::isfinite(part.size))
      return bad_reward(section, fmt::format("size is {}, expected a number above 0", part.size));
    if (part.designed_in.empty()) {
      for (const char* key : {"rationality", "candidates", "size"}) {
        if (section.keys.contains(key))
          return bad_reward(section, fmt::format("{} is given and designed_in is not", key),
                            "What an author meant is inferred from the world that they wrote the reward for");
      }
    }
  }
  part.proxy = section.text("proxy");
  part.gold = section.text("gold");
  part.unit = section.text("unit");
  if (part.kind != RewardKind::kBelief) return part;

  part.believed.mean = value_of<double>(section, "mean").value_or(0);
  part.believed.deviation = value_of<double>(section, "deviation").value_or(0);
  part.believed_person.rationality = rationality;
  part.truth = {value_of<double>(section, "true_mean").value_or(part.believed.mean),
                value_of<double>(section, "true_deviation").value_or(part.believed.deviation)};
  const auto true_rationality = value_of<double>(section, "true_rationality");
  part.true_person.rationality = true_rationality ? true_rationality : rationality;
  part.truth_known = section.keys.contains("true_mean") || section.keys.contains("true_deviation") || true_rationality;
  const std::string machine = section.text("machine");
  for (const plumbline::reward::ButtonAgent agent : plumbline::reward::kButtonAgents) {
    std::string name(plumbline::reward::button_agent_name(agent));
    std::replace(name.begin(), name.end(), ' ', '_');
    std::replace(name.begin(), name.end(), '-', '_');
    if (name == machine) part.machine = agent;
  }
  for (const auto* belief : {&part.believed, &part.truth}) {
    for (const auto* person : {&part.believed_person, &part.true_person}) {
      if (const auto tried = plumbline::reward::off_switch(*belief, *person); !tried.ok())
        return bad_reward(section, tried.error().message);
    }
  }
  return part;
}

base::Result<std::vector<double>> reward_over(const RewardPart& part, const world::WorldFacts& facts,
                                              const world::ObservedModel& model) {
  if (part.kind == RewardKind::kObserved) return model.reward;
  const std::string place = fmt::format("[reward.{}] in world {}", part.name, facts.id);
  if (part.kind == RewardKind::kLinear) {
    if (model.feature_names.empty()) {
      return base::make_error(base::Code::kUnsupported, "a linear reward needs features, and this world names none",
                              place, "Give the reward as a table, or say under `worlds` which worlds it is about");
    }
    const auto names = fmt::format("its features are {}", fmt::join(model.feature_names, ", "));
    std::vector<double> weights(model.feature_names.size(), 0.0);
    if (part.features.empty() && part.weights.size() != weights.size()) {
      return base::make_error(base::Code::kShape,
                              fmt::format("{} weights for {} features", part.weights.size(), weights.size()), place,
                              names);
    }
    for (std::size_t i = 0; i < part.weights.size(); ++i) {
      std::size_t at = i;
      if (!part.features.empty()) {
        const auto found = std::find(model.feature_names.begin(), model.feature_names.end(), part.features[i]);
        if (found == model.feature_names.end()) {
          return base::make_error(base::Code::kShape, fmt::format("there is no feature '{}'", part.features[i]), place,
                                  names);
        }
        at = static_cast<std::size_t>(found - model.feature_names.begin());
      }
      weights[at] += part.weights[i];
    }
    std::vector<double> reward(model.process->pairs(), 0.0);
    for (std::size_t pair = 0; pair < reward.size(); ++pair) {
      for (std::size_t j = 0; j < weights.size(); ++j)
        reward[pair] +=
            weights[j] * (*model.features)(static_cast<std::ptrdiff_t>(pair), static_cast<std::ptrdiff_t>(j));
    }
    return reward;
  }
  if (part.kind != RewardKind::kTable) {
    return base::make_error(base::Code::kUnsupported,
                            fmt::format("a reward of kind {} says nothing of a world", reward_kind_name(part.kind)),
                            place);
  }
  data::TableOptions options;
  options.types = {{"key", data::Column::Kind::kText},
                   {"action", data::Column::Kind::kText},
                   {"reward", data::Column::Kind::kNumber}};
  PL_TRY(const data::Table table, data::read_csv(part.path, options));
  const data::Column* key = table.find("key");
  const data::Column* action = table.find("action");
  const data::Column* paid = table.find("reward");
  if (key == nullptr || action == nullptr || paid == nullptr)
    return base::make_error(base::Code::kShape, "the columns key, action and reward are expected", part.path);
  std::unordered_map<std::uint64_t, std::uint32_t> state_of;
  for (std::uint32_t s = 0; s < model.keys.size(); ++s) state_of.emplace(model.keys[s], s);
  std::vector<double> reward(model.process->pairs(), 0.0);
  std::vector<bool> given(reward.size(), false);
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const std::string line = fmt::format("{}:{}", part.path, i + 2);
    std::uint64_t number = 0;
    const std::string& text = key->texts[i];
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (wrong != std::errc{} || end != text.data() + text.size())
      return base::make_error(base::Code::kParse, fmt::format("key '{}' is no whole number", text), line);
    const auto state = state_of.find(number);
    if (state == state_of.end())
      return base::make_error(base::Code::kShape, fmt::format("{} has no state with the key {}", facts.id, number),
                              line);
    const auto at = std::find(facts.actions.begin(), facts.actions.end(), action->texts[i]);
    if (at == facts.actions.end()) {
      return base::make_error(base::Code::kShape, fmt::format("'{}' is no action of {}", action->texts[i], facts.id),
                              line, fmt::format("its actions are {}", fmt::join(facts.actions, ", ")));
    }
    if (!std::isfinite(paid->numbers[i]))
      return base::make_error(base::Code::kValue, "the reward is missing or not finite", line);
    const std::size_t pair = model.process->pair(state->second, static_cast<std::uint32_t>(at - facts.actions.begin()));
    if (given[pair])
      return base::make_error(base::Code::kValue,
                              fmt::format("key {} with action '{}' appears twice", number, action->texts[i]), line);
    given[pair] = true;
    reward[pair] = paid->numbers[i];
  }
  return reward;
}

base::Result<Plausible> plausible_rewards(check::Context& context, const std::string& where,
                                          const world::WorldFacts& facts, const world::ObservedModel& model) {
  Plausible out;
  std::vector<std::vector<double>> rewards;
  std::vector<double> weights;
  for (const std::string& name : sections_of(context.manifest(), "reward")) {
    PL_TRY(const data::OtherSection* section, context.section("reward", name));
    PL_TRY(const RewardPart part, read_reward(*section));
    if (!part.over_worlds() || !part.about(where)) continue;
    PL_TRY(std::vector<double> as_given, reward_over(part, facts, model));
    if (part.designed_in.empty()) {
      rewards.push_back(std::move(as_given));
      weights.push_back(part.prior);
      out.posterior.names.push_back(part.name);
      continue;
    }
    const auto place = fmt::format("[reward.{}] designed_in = \"{}\"", part.name, part.designed_in);
    PL_TRY(const data::OtherSection* elsewhere, context.section("world", part.designed_in));
    PL_TRY(const world::WorldSpec spec, read_world(*elsewhere));
    PL_TRY(const world::WorldPtr designed, world::make_world(spec));
    const auto design = designed->observed_model();
    if (!design.ok()) {
      return base::make_error(base::Code::kValue, "the world cannot be enumerated: " + design.error().message, place);
    }
    if ((*design)->feature_names != model.feature_names) {
      return base::make_error(
          base::Code::kValue,
          fmt::format("its features are {}, not those of {}", fmt::join((*design)->feature_names, ", "), where), place);
    }
    // The weights in the order of the world's features.
    std::vector<double> proxy(model.feature_names.size(), 0.0);
    for (std::size_t i = 0; i < part.weights.size(); ++i) {
      const auto at = part.features.empty()
                          ? i
                          : static_cast<std::size_t>(
                                std::find(model.feature_names.begin(), model.feature_names.end(), part.features[i]) -
                                model.feature_names.begin());
      proxy[at] += part.weights[i];
    }
    base::Rng rng = context.rng("candidates " + part.name);
    const MatrixD candidates =
        plumbline::reward::uniform_candidates(part.candidates, std::ssize(proxy), part.size, rng);
    PL_TRY(const plumbline::reward::DesignPosterior meant,
           plumbline::reward::inverse_reward_design(*(*design)->process, *(*design)->features, proxy, candidates,
                                                    part.rationality));
    PL_TRY(const decision::RewardPosterior spread, plumbline::reward::rewards_over(meant, *model.features));
    for (std::ptrdiff_t k = 0; k < spread.size(); ++k) {
      std::vector<double> row(model.process->pairs());
      for (std::size_t pair = 0; pair < row.size(); ++pair)
        row[pair] = spread.rewards(k, static_cast<std::ptrdiff_t>(pair));
      rewards.push_back(std::move(row));
      weights.push_back(part.prior * spread.probability[static_cast<std::size_t>(k)]);
      out.posterior.names.push_back(fmt::format("{}, candidate {}", part.name, k + 1));
    }
    out.drawn = true;
  }
  if (rewards.empty()) {
    out.posterior = decision::literal(model.reward);
    out.posterior.names = {"the observed reward"};
    out.literal = true;
    return out;
  }
  double total = 0;
  for (const double w : weights) total += w;
  out.posterior.rewards = MatrixD(std::ssize(rewards), static_cast<std::ptrdiff_t>(model.process->pairs()));
  for (std::size_t k = 0; k < rewards.size(); ++k) {
    out.posterior.probability.push_back(weights[k] / total);
    for (std::size_t pair = 0; pair < rewards[k].size(); ++pair)
      out.posterior.rewards(static_cast<std::ptrdiff_t>(k), static_cast<std::ptrdiff_t>(pair)) = rewards[k][pair];
  }
  out.posterior.source = "the manifest's [reward.*]";
  return out;
}

}  // namespace plumbline::checks
