// The stamped table: kept where it is current, computed where it is not, and compared.

#include "plumbline/agent/gauntlet_stamp.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/world/catalog.hpp"

namespace plumbline::agent {
namespace {

using ::testing::HasSubstr;

Stamped small() {
  Stamped stamped;
  stamped.seeds = 3;
  stamped.budget.steps = 4'000;
  return stamped;
}

StampOptions options() {
  StampOptions options;
  options.agents = {"random", "optimal", "q_learning", "reachability"};
  options.worlds = {{"boat_race", "", {}}, {"absent_supervisor", "absent", {}}};
  return options;
}

TEST(Stamp, IsTheGauntletsOwnCells) {
  Stamped stamped = small();
  const StampOutcome outcome = complete_stamp(stamped, options()).value();
  EXPECT_EQ(outcome.computed, 8U);
  EXPECT_EQ(outcome.kept, 0U);
  EXPECT_EQ(outcome.refused, 2U);  // nothing to do but to move: no reachability
  EXPECT_TRUE(outcome.complete);
  GauntletOptions gauntlet;
  gauntlet.agents = options().agents;
  gauntlet.worlds = options().worlds;
  gauntlet.seeds = stamped.seeds;
  gauntlet.budget = stamped.budget;
  const GauntletResult result = run_gauntlet(gauntlet).value();
  ASSERT_EQ(stamped.cells.size(), result.cells.size());
  for (std::size_t c = 0; c < result.cells.size(); ++c) {
    const Cell& cell = result.cells[c];
    EXPECT_EQ(stamped.cells[c].agent, cell.agent);
    EXPECT_EQ(stamped.cells[c].fate, fate_name(cell.fate));
    EXPECT_EQ(stamped.cells[c].truths.size(), cell.runs.size());
    if (!cell.runs.empty()) {
      EXPECT_EQ(stamped.cells[c].digest, digest(cell));
    } else {
      EXPECT_EQ(stamped.cells[c].digest, "");
      EXPECT_THAT(stamped.cells[c].reason, HasSubstr("does nothing"));
    }
  }
}

TEST(Stamp, GoesThroughJsonAndSaysWhoHacks) {
  Stamped stamped = small();
  ASSERT_TRUE(complete_stamp(stamped, options()).ok());
  const std::string text = stamped_json(stamped);
  const Stamped again = parse_stamped(text).value();
  EXPECT_EQ(stamped_json(again), text);
  const HackedBy hacked = hacked_by(again);
  EXPECT_THAT(hacked.at("absent_supervisor/absent"), ::testing::Contains("optimal"));
  EXPECT_FALSE(hacked.contains("sokoban/0"));
}

TEST(Stamp, KeepsWhatIsCurrentAndComputesWhatIsNot) {
  Stamped stamped = small();
  ASSERT_TRUE(complete_stamp(stamped, options()).ok());
  const std::string first = stamped_json(stamped);
  EXPECT_EQ(complete_stamp(stamped, options())->kept, 8U);
  EXPECT_EQ(stamped_json(stamped), first);
  // An agent of other code: its two cells. A world of other code: its four, one of them the same.
  for (StampedCell& cell : stamped.cells) {
    if (cell.agent == "q_learning") cell.agent_print = "0000000000000000";
    if (cell.world.id == "boat_race") cell.world_print = "0000000000000000";
  }
  stamped.cells.push_back(stamped.cells.front());
  stamped.cells.back().agent = "who_left";
  const StampOutcome outcome = complete_stamp(stamped, options()).value();
  EXPECT_EQ(outcome.computed, 5U);
  EXPECT_EQ(outcome.kept, 3U);
  const auto without_seconds = [](Stamped table) {
    for (StampedCell& cell : table.cells) cell.seconds = 0;
    return stamped_json(table);
  };
  EXPECT_EQ(without_seconds(stamped), without_seconds(parse_stamped(first).value()));
  // Cells of worlds that were not asked for stay.
  StampOptions one = options();
  one.worlds = {{"vase", "", {}}};
  ASSERT_TRUE(complete_stamp(stamped, one).ok());
  EXPECT_EQ(stamped.cells.size(), 12U);
}

TEST(Stamp, StoppedAndTakenUpGivesTheSameBitsForAnyNumberOfThreads) {
  const auto without_seconds = [](Stamped table) {
    for (StampedCell& cell : table.cells) cell.seconds = 0;
    return stamped_json(table);
  };
  Stamped whole = small();
  ASSERT_TRUE(complete_stamp(whole, options()).ok());
  for (const int threads : {1, 2, 8}) {
    base::set_threads(threads);
    Stamped stopped = small();
    Stamped saved;
    StampOptions stopping = options();
    stopping.cancel = base::CancelToken::make();
    int saves = 0;
    stopping.save = [&](const Stamped& table) {
      saved = table;
      if (++saves == 3) stopping.cancel.cancel();
      return base::ok();
    };
    const StampOutcome outcome = complete_stamp(stopped, stopping).value();
    EXPECT_FALSE(outcome.complete);
    EXPECT_EQ(saved.cells.size(), 3U);
    const StampOutcome rest = complete_stamp(saved, options()).value();
    EXPECT_EQ(rest.kept, 3U);
    EXPECT_EQ(without_seconds(saved), without_seconds(whole));
  }
  base::set_threads(0);
}

TEST(Stamp, SavesAtMostSoOftenAndKeepsAllInTheTable) {
  Stamped stamped = small();
  StampOptions rare = options();
  rare.save_seconds = 3600;
  int saves = 0;
  rare.save = [&saves](const Stamped&) {
    ++saves;
    return base::ok();
  };
  EXPECT_EQ(complete_stamp(stamped, rare)->computed, 8U);
  EXPECT_EQ(saves, 0);
  EXPECT_EQ(stamped.cells.size(), 8U);
  rare.save = [](const Stamped&) -> base::Status { return base::make_error(base::Code::kIo, "the disk is full"); };
  rare.save_seconds = 0;
  Stamped other = small();
  EXPECT_THAT(complete_stamp(other, rare).error().text(), HasSubstr("the disk is full"));
}

TEST(Stamp, AFullGauntletIsEveryWorldOnceAndTheFamiliesAtAllLevels) {
  const std::vector<world::WorldSpec> full = full_worlds();
  const auto levels = [&full](const std::string& id) {
    return std::count_if(full.begin(), full.end(), [&id](const world::WorldSpec& s) { return s.id == id; });
  };
  for (const world::WorldEntry& entry : world::worlds()) EXPECT_GE(levels(entry.facts.id), 1) << entry.facts.id;
  EXPECT_EQ(levels("sokoban"), 1);
  EXPECT_EQ(levels("delegation"), static_cast<long>(world::find_world("delegation")->facts.levels.size()));
  EXPECT_GT(levels("delegation"), 1);
}

TEST(Stamp, EveryAgentOfTheCatalogueIsStamped) {
  Stamped stamped = small();
  stamped.budget.steps = 256;
  stamped.seeds = 1;
  StampOptions all;
  all.worlds = {{"vase", "", {}}};
  std::size_t ids = 0;
  for (const AgentEntry& entry : agents()) ids += entry.ids().size();
  const StampOutcome outcome = complete_stamp(stamped, all).value();
  EXPECT_EQ(outcome.computed, ids);
  EXPECT_EQ(outcome.failed, 0U);
  EXPECT_TRUE(std::any_of(stamped.cells.begin(), stamped.cells.end(),
                          [](const StampedCell& c) { return c.agent.rfind("slips:ask", 0) == 0; }));
}

TEST(Stamp, WhatIsTooDearSaysSo) {
  Stamped stamped = small();
  stamped.budget.steps = 2'000'000'000;
  StampOptions dear = options();
  dear.agents = {"q_learning"};
  dear.run_seconds = 0.1;
  const StampOutcome outcome = complete_stamp(stamped, dear).value();
  EXPECT_EQ(outcome.refused, 2U);
  EXPECT_EQ(stamped.cells[0].fate, "not_run");
  EXPECT_THAT(stamped.cells[0].reason, HasSubstr("too dear: a run was not finished after 0.1 s"));
  EXPECT_EQ(stamped.cells[0].digest, "");
}

TEST(Stamp, ChecksOneCellAFamilyAndNamesWhatIsStale) {
  Stamped stamped = small();
  ASSERT_TRUE(complete_stamp(stamped, options()).ok());
  const StampState state = check_stamp(stamped).value();
  ASSERT_EQ(state.cells.size(), 1U);
  EXPECT_EQ(state.cells[0].family, "classics");
  EXPECT_TRUE(state.cells[0].same) << state.cells[0].difference;
  EXPECT_THAT(state.families_missing, ::testing::Contains("economy"));
  EXPECT_THAT(state.stale, ::testing::Contains("world sokoban/0 is missing"));
  EXPECT_THAT(state.stale, ::testing::Contains("agent sarsa is missing in 1 worlds"));
  for (StampedCell& cell : stamped.cells) {
    if (cell.agent == "q_learning") cell.digest = "0123456789abcdef";
    if (cell.agent == "optimal") cell.agent_print = "changed";
    if (cell.world.id == "boat_race") cell.world_print = "changed";
  }
  const StampState other = check_stamp(stamped).value();
  EXPECT_FALSE(other.cells[0].same);
  EXPECT_THAT(other.cells[0].difference, HasSubstr("digest 0123456789abcdef is stamped"));
  EXPECT_THAT(other.stale, ::testing::Contains("agent optimal changed"));
  EXPECT_THAT(other.stale, ::testing::Contains("world boat_race/default changed"));
}

TEST(Stamp, AReaderNamesWhatIsMissing) {
  const auto said = [](const std::string& text) { return parse_stamped(text).error().text(); };
  EXPECT_THAT(said("{"), HasSubstr("the object is missing"));
  EXPECT_THAT(said("{\"schema\": \"other\"}"), HasSubstr("schema is missing or of another type"));
  const std::string head = R"({"schema": "plumbline-gauntlet-stamp-2", "seed": 1, "seeds": 2, "steps": 3, )";
  EXPECT_THAT(said(head + "\"cells\": []}"), HasSubstr("environments is missing"));
  EXPECT_THAT(said(head + "\"environments\": 4}"), HasSubstr("cells is missing"));
  EXPECT_THAT(said(head + "\"environments\": 4, \"cells\": [{}]}"), HasSubstr("agent is missing"));
  const std::string cell = head + R"("environments": 4, "cells": [{"agent": "a", "world": "w", "level": "l",
      "verdict": "safe", "agent_print": "p", "world_print": "q", )";
  EXPECT_THAT(said(cell + "\"truths\": [1]}]}"), HasSubstr("truths or digest is missing"));
  EXPECT_THAT(said(cell + "\"digest\": \"d\", \"truths\": [\"x\"]}]}"), HasSubstr("truths is missing"));
  EXPECT_THAT(said(cell + "\"hacks\": 1.5}]}"), HasSubstr("hacks is missing"));
  EXPECT_THAT(said(cell + "\"dials\": {\"d\": \"x\"}}]}"), HasSubstr("dials.d is missing"));
  EXPECT_THAT(said(cell + "\"reason\": 1}]}"), HasSubstr("reason is missing"));
  StampOptions unknown = options();
  unknown.agents = {"nobody"};
  Stamped stamped = small();
  EXPECT_THAT(complete_stamp(stamped, unknown).error().text(), HasSubstr("there is no agent"));
  unknown = options();
  unknown.worlds = {{"nowhere", "", {}}};
  EXPECT_THAT(complete_stamp(stamped, unknown).error().text(), HasSubstr("there is no world"));
}

}  // namespace
}  // namespace plumbline::agent
