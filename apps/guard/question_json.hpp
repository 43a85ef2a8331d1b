#pragma once
/// A question as whoever answers it sees it.

#include <cstdint>

#include <nlohmann/json_fwd.hpp>

#include "plumbline/runtime/guard.hpp"

namespace plumbline::guard {

/// The OpenAPI document's Question, without what only the list of all questions says. Precondition: it is open.
nlohmann::ordered_json question_json(const runtime::Guard& guard, std::uint64_t number, runtime::Instant now);

}  // namespace plumbline::guard
