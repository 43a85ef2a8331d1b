#pragma once
/// Trade-offs of asking and curves over pressure as text and JSON.

#include <string>
#include <vector>

#include "plumbline/agent/score_asking.hpp"
#include "plumbline/agent/score_pressure.hpp"

namespace plumbline::agent {

/// One world's trade-off, or why there is none.
struct AskingCell {
  world::WorldSpec world;
  AskingCurve curve;
  std::string error;  ///< not empty: nothing was computed, and why
};
std::string asking_text(const std::vector<AskingCell>& cells);
/// An array, one object a world: world, level, agent, over, points [dial, rate, matched, and for guard, random, always,
/// never: questions, answered, reward, truth, share], advantage, gain; or error.
std::string asking_json(const std::vector<AskingCell>& cells);

struct PressureCell {
  world::WorldSpec world;
  PressureResult result;
  std::string error;
};
std::string pressure_text(const std::vector<PressureCell>& cells);
/// An array, one object a world: world, level, curves [agent, runs, exact, turned, turning, turning_low, turning_high,
/// turning_confidence, fall, saved, points [pressure, reward, truth, low, high]]; or error.
std::string pressure_json(const std::vector<PressureCell>& cells);

/// "world", or "world/level".
std::string place_name(const world::WorldSpec& spec);

}  // namespace plumbline::agent
