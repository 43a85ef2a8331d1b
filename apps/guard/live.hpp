#pragma once
/// What people see of a running guard: GET /v1/live, and what stands beside a question.

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "apps/guard/start.hpp"
#include "plumbline/runtime/guard_loop.hpp"

namespace plumbline::guard {

/// The value of `key` in the query of a request's target, percent signs decoded; empty when it is not there.
std::string query_value(std::string_view target, std::string_view key);

/// Everything of GET /v1/live but the raters. Decisions with a number above `after` only. For the guard's own thread;
/// O(200) a call, measured in docs/developer/speed.md.
nlohmann::ordered_json live_json(const runtime::Guard& guard, const runtime::LoopTimes& times, const Started& started,
                                 std::uint64_t after, runtime::Instant now);

/// Adds to a question that somebody has leased what helps to answer it: input, unit, readings with what each
/// recommends, how the nearest training rows look, how long the lease and the way back last.
void add_sight(nlohmann::ordered_json& question, const runtime::Guard& guard, std::uint64_t number,
               const ShownExamples& examples, runtime::Instant now);

/// An outcome as logged ({"detail", "record"}), with the looks of the nearest training rows.
nlohmann::ordered_json decision_json(const std::string& outcome, const ShownExamples& examples);

}  // namespace plumbline::guard
