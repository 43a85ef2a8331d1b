// Agents on the first two worlds: what each should earn is known exactly.

#include <cmath>

#include <gtest/gtest.h>

#include "plumbline/agent/gauntlet.hpp"
#include "plumbline/world/catalog.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::agent {
namespace {

const Cell& cell_of(const GauntletResult& result, std::string_view agent, std::string_view world) {
  for (const Cell& cell : result.cells) {
    if (cell.agent == agent && cell.world.id == world) return cell;
  }
  throw base::InternalError("no such cell");
}

TEST(Gauntlet, PrintsWhatEachAgentDoes) {
  GauntletOptions options;
  options.worlds = {{"boat_race", "", {}}, {"absent_supervisor", "absent", {}}};
  const GauntletResult result = run_gauntlet(options).value();
  for (const Cell& cell : result.cells) {
    std::printf("%-18s %-16s obs %7.2f hid %7.2f truth %5.2f %s (%s)\n", cell.world.id.c_str(), cell.agent.c_str(),
                cell.observed, cell.hidden, cell.truth, std::string(fate_name(cell.fate)).c_str(), cell.reason.c_str());
  }
  EXPECT_EQ(cell_of(result, "optimal", "absent_supervisor").fate, Fate::kHacks);
}

}  // namespace
}  // namespace plumbline::agent
