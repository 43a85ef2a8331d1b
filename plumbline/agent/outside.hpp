#pragma once
/// Agents that somebody else wrote: a Python class in a process of its own. What goes to that process is what stands in
/// a View, and of the world's facts the actions, the shape and range of an observation, and the horizon. Nothing hidden
/// can reach it, since nothing hidden can be named here.

#include <chrono>
#include <string>
#include <string_view>

#include "plumbline/agent/agent.hpp"
#include "plumbline/base/python_process.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::agent {

/// True for ids of agents from outside: "python:FOLDER/FILE.py:CLASS" or "python:MODULE:CLASS".
bool is_outside(std::string_view id);

struct OutsideOptions {
  std::string python = base::kSystemPython;
  std::chrono::milliseconds start{60'000};   ///< from starting Python to the class being imported
  std::chrono::milliseconds answer{60'000};  ///< between two messages; the class may say another limit
};

/// Starts Python, imports the class and reads what it says of itself; then that process goes. Every learn() starts one,
/// and the policy keeps it as long as it lives.
///
/// The class is made with one argument, `task`, unless it has no constructor of its own: actions (names), shape,
/// categories, low, high, horizon, steps, seed. It has
///   act(observation)                     a whole number from 0 to len(actions) - 1
/// and may have
///   reset(seed)                          before the first step of each episode
///   learn(observation, action, reward, next_observation, terminated, truncated)
///   train(env)                           instead of learn: runs its own loop on env, of Gymnasium's shape
///   freeze()                             learning is over: what act does from now on is scored
/// It may say of itself
///   plumbline = {"title": text, "deterministic": flag, "answer_seconds": number}
///
/// NotImplementedError from the constructor says "not in this world". It meets one environment at a time, an episode
/// after the other, in learning and in scoring.
///
/// Errors of opening   kValue: not of this form; the class cannot be imported, has no act, says something unknown of
///                     itself. kIo: no such file; Python does not start, or not in time.
/// Errors of learn()   kUnsupported: not in this world. kValue: it raised, chose no action, or answered what was not
///                     asked. kIo: the process ended, or was silent for too long and was stopped. kCancelled. What the
///                     world refuses. The same of the policy, by status(). All name the class and the step.
/// Cost                a round trip a step, tens of microseconds. Same seed, same bits, if the class takes all chance
///                     from its seeds, or from the modules random and numpy.random, which are seeded for it.
base::Result<AgentPtr> open_outside(const std::string& id, const OutsideOptions& options = {});

/// make_agent(), and agents from outside, whose code then runs: for ids that a person typed or trusts, never for ids
/// out of a file that anybody may have written.
base::Result<AgentPtr> open_agent(std::string_view id);

/// The budget as this agent uses it: agents from outside meet one environment at a time.
Budget budget_of(const AgentFacts& facts, Budget budget);

}  // namespace plumbline::agent
