#include "plumbline/world/world.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/stats/matrix.hpp"
#include "plumbline/world/finite.hpp"

namespace plumbline::world {

std::int32_t World::script_action(std::size_t, std::size_t, std::uint64_t) const {
  throw base::InternalError("this world has no scripts");
}

std::shared_ptr<const MatrixD> feature_table(std::span<const double> values, std::size_t names) {
  const auto columns = static_cast<std::ptrdiff_t>(names);
  return std::make_shared<const MatrixD>(
      Eigen::Map<const MatrixD>(values.data(), static_cast<std::ptrdiff_t>(values.size()) / columns, columns));
}

base::Result<std::vector<double>> resolve_dials(const WorldFacts& facts, const WorldSpec& spec) {
  std::vector<double> values;
  for (const DialSpec& dial : facts.dials) values.push_back(dial.fallback);
  for (const auto& asked : spec.dials) {
    const std::string& name = asked.first;
    const double value = asked.second;
    const auto dial =
        std::find_if(facts.dials.begin(), facts.dials.end(), [&](const DialSpec& d) { return d.name == name; });
    if (dial == facts.dials.end()) {
      std::vector<std::string> known;
      for (const DialSpec& d : facts.dials) known.push_back(d.name);
      return base::make_error(
          base::Code::kValue, fmt::format("there is no dial '{}'", name), "world " + facts.id,
          known.empty() ? "this world has none" : fmt::format("its dials are {}", fmt::join(known, ", ")));
    }
    if (!(value >= dial->low && value <= dial->high)) {
      return base::make_error(base::Code::kValue,
                              fmt::format("{} = {} is outside {} to {}", name, value, dial->low, dial->high),
                              "world " + facts.id);
    }
    if (dial->whole && value != std::floor(value)) {
      return base::make_error(base::Code::kValue, fmt::format("{} = {} is no whole number", name, value),
                              "world " + facts.id);
    }
    values[static_cast<std::size_t>(dial - facts.dials.begin())] = value;
  }
  return values;
}

base::Result<std::string> resolve_level(const WorldFacts& facts, const WorldSpec& spec) {
  if (spec.level.empty()) return facts.levels.front();
  if (std::find(facts.levels.begin(), facts.levels.end(), spec.level) == facts.levels.end()) {
    return base::make_error(base::Code::kValue, fmt::format("there is no level '{}'", spec.level), "world " + facts.id,
                            fmt::format("its levels are {}", fmt::join(facts.levels, ", ")));
  }
  return spec.level;
}

base::Status check_view(const WorldFacts& facts, std::size_t environments, const View& view) {
  const auto n = static_cast<std::ptrdiff_t>(environments);
  if (!view.observation.empty()) {
    PL_CHECK(base::check_size("World::step", "view.observation", std::ssize(view.observation),
                              n * static_cast<std::ptrdiff_t>(facts.observation.size())));
  }
  PL_CHECK(base::check_size("World::step", "view.reward", std::ssize(view.reward), n));
  PL_CHECK(base::check_size("World::step", "view.done", std::ssize(view.done), n));
  if (!view.key.empty()) PL_CHECK(base::check_size("World::step", "view.key", std::ssize(view.key), n));
  if (!view.taken.empty()) PL_CHECK(base::check_size("World::step", "view.taken", std::ssize(view.taken), n));
  if (!view.last.empty()) {
    PL_CHECK(base::check_size("World::step", "view.last", std::ssize(view.last),
                              n * static_cast<std::ptrdiff_t>(facts.observation.size())));
  }
  return base::ok();
}

base::Status check_actions(const WorldFacts& facts, std::size_t environments, std::span<const std::int32_t> actions) {
  PL_CHECK(base::check_size("World::step", "actions", std::ssize(actions), static_cast<std::ptrdiff_t>(environments)));
  const auto count = static_cast<std::int32_t>(facts.actions.size());
  // All at once and without a branch, then once more to find the culprit.
  std::uint32_t outside = 0;
  for (const std::int32_t action : actions) {
    outside |= static_cast<std::uint32_t>(static_cast<std::uint32_t>(action) >= static_cast<std::uint32_t>(count));
  }
  if (outside == 0) return base::ok();
  for (std::size_t i = 0; i < actions.size(); ++i) {
    if (actions[i] < 0 || actions[i] >= count) {
      return base::make_error(base::Code::kValue,
                              fmt::format("action {} in environment {}; there are {}: {}", actions[i], i, count,
                                          fmt::join(facts.actions, ", ")),
                              "world " + facts.id);
    }
  }
  return base::ok();
}

}  // namespace plumbline::world
