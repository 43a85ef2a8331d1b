#include "plumbline/agent/gauntlet_table.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plumbline/agent/report.hpp"

namespace plumbline::agent {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

StampedCell cell(const std::string& agent, const std::string& world, Fate fate, double truth, int runs) {
  StampedCell out;
  out.agent = agent;
  out.world = {world, "default", {}};
  out.fate = fate_name(fate);
  out.truth = truth;
  out.hidden = 2 * truth;
  out.observed = 3;
  out.truths.assign(static_cast<std::size_t>(runs), 2 * truth);
  out.hacks = fate == Fate::kHacks ? runs : 0;
  out.safe = fate == Fate::kSafe ? runs : 0;
  if (runs > 0) out.digest = "d";
  return out;
}

TEST(GauntletTable, StandingsAreThoseOfTheCells) {
  Stamped stamped;
  stamped.seed = 3;
  stamped.seeds = 10;
  stamped.cells = {cell("bold", "a", Fate::kHacks, -5, 10), cell("calm", "a", Fate::kSafe, 0.9, 10),
                   cell("bold", "b", Fate::kHacks, 0.5, 10), cell("calm", "b", Fate::kIncapable, 0.7, 1),
                   cell("none", "a", Fate::kNotRun, 0, 0)};
  const json table = json::parse(table_json(stamped));
  EXPECT_EQ(table["seeds"], 10);
  ASSERT_EQ(table["standings"].size(), 3U);
  EXPECT_EQ(table["standings"][0]["agent"], "calm");
  EXPECT_DOUBLE_EQ(table["standings"][0]["truth"]["value"].get<double>(), 0.8);
  EXPECT_EQ(table["standings"][0]["verdicts"], (json{{"safe", 1}, {"incapable", 1}}));
  EXPECT_DOUBLE_EQ(table["standings"][1]["truth"]["value"].get<double>(), -0.25) << "cut to -1 before the mean";
  EXPECT_TRUE(table["standings"][1]["truth"]["low"].is_null());
  EXPECT_EQ(table["standings"][2]["worlds"], 0);
  EXPECT_TRUE(table["standings"][2]["truth"]["value"].is_null());
  ASSERT_EQ(table["cells"].size(), 5U);
  EXPECT_EQ(table["cells"][0]["share"]["value"], 1);
  // All of ten, at 0.95 on two sides: 0.025 ^ (1 / 10) is the lower bound.
  EXPECT_NEAR(table["cells"][0]["share"]["low"].get<double>(), std::pow(0.025, 0.1), 1e-9);
  EXPECT_TRUE(table["cells"][4]["truth"].is_null()) << "nothing was measured: null, never zero";
  EXPECT_TRUE(table["cells"][4]["share"].is_null());
  // Read back from what a table file holds, it is the same.
  EXPECT_EQ(json::parse(*table_json(stamped_json(stamped)))["standings"], table["standings"]);
}

TEST(GauntletTable, OfARunOfTheGauntletItKeepsWhatIsShown) {
  GauntletOptions options;
  options.worlds = {{"boat_race", "", {}}};
  options.agents = {"random", "optimal"};
  options.seeds = 2;
  const auto result = run_gauntlet(options);
  ASSERT_TRUE(result.ok()) << result.error().text();
  const std::string text = gauntlet_json(*result, options);
  const auto table = table_json(text);
  ASSERT_TRUE(table.ok()) << table.error().text();
  const json whole = json::parse(text);
  const json kept = json::parse(*table);
  ASSERT_EQ(kept["cells"].size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    for (const char* name : {"agent", "world", "verdict", "truth", "observed", "hidden", "reason"})
      EXPECT_EQ(kept["cells"][i][name], whole["cells"][i][name]) << name;
    EXPECT_FALSE(kept["cells"][i].contains("runs"));
  }
  EXPECT_EQ(kept["standings"][0]["agent"], whole["standings"][0]["agent"]);
  EXPECT_EQ(kept["standings"][0]["truth"]["value"], whole["standings"][0]["truth"]["value"]);
  EXPECT_LT(table->size(), text.size());

  const auto without = [&](const std::string& part, const std::string& name) {
    json changed = whole;
    if (part.empty())
      changed.erase(name);
    else
      changed[part][0].erase(name);
    const auto read = table_json(changed.dump());
    return read.ok() ? "taken" : read.error().text();
  };
  EXPECT_THAT(without("", "cells"), HasSubstr("cells"));
  EXPECT_THAT(without("", "complete"), HasSubstr("complete"));
  EXPECT_THAT(without("cells", "verdict"), HasSubstr("\"verdict\" of a cell"));
  EXPECT_THAT(without("cells", "truth"), HasSubstr("\"truth\" of a cell"));
  EXPECT_THAT(without("standings", "agent"), HasSubstr("a standing"));
}

TEST(GauntletTable, WhatIsNoTableIsRefused) {
  for (const char* text : {"", "null", "[]", "{}", "{\"schema\": 3}", "{\"schema\": \"other\"}"})
    EXPECT_EQ(table_json(std::string(text)).error().code, base::Code::kParse) << text;
}

}  // namespace
}  // namespace plumbline::agent
