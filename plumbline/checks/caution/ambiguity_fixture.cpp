#include "plumbline/checks/caution/ambiguity_fixture.hpp"

#include <fstream>

#include <fmt/format.h>

#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::checks {

base::Status write_vase_system(const std::string& folder, base::Rng& rng, std::string_view script,
                               std::string_view claim) {
  const std::uint64_t seed = rng.bits();
  const double charge = rng.uniform(1.5, 3);
  const double prior = rng.uniform(0.2, 0.4);
  PL_TRY(const world::WorldPtr world, world::make_world({"vase", "", {}}));
  PL_TRY(const auto model, world->observed_model());
  const world::Process& process = *model->process;
  std::ofstream out(folder + "/careful.csv");
  out << "key,action,reward\n";
  // Keys are odd once the vase is broken: the step from even to odd breaks it.
  for (std::size_t pair = 0; pair < process.pairs(); ++pair) {
    const std::uint64_t from = model->keys[pair / process.actions];
    const std::uint32_t next = process.next[process.first[pair]];
    const bool breaks = next != process.end() && from % 2 == 0 && model->keys[next] % 2 == 1;
    out << fmt::format("{},{},{}\n", from, world->facts().actions[pair % process.actions],
                       model->reward[pair] - (breaks ? charge : 0));
  }
  if (!out.flush()) return base::make_error(base::Code::kIo, "cannot be written", folder + "/careful.csv");
  const std::string rewards = fmt::format(
      "id = \"vase\"\n\n[reward.literal]\nkind = \"observed\"\nprior = {:.6f}\n\n[reward.careful]\nkind = "
      "\"table\"\npath = "
      "\"careful.csv\"\nprior = {:.6f}\n",
      1 - prior, prior);
  return write_world_system(folder, seed, rewards, fmt::format("script = \"{}\"", script), claim);
}

check::Fixtures vase_fixtures(std::string_view claim) {
  return planted([claim](const std::string& folder, base::Rng& rng,
                         std::string_view script) { return write_vase_system(folder, rng, script, claim); },
                 "straight", "round");
}

}  // namespace plumbline::checks
