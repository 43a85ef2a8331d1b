#pragma once
/// Worlds written down as data, without code: a JSON file that holds either a table of transitions or a board with
/// marks. Finite, so that planning, audit and scores are exact. docs/user/worlds.md shows both forms.

#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::world {

/// Reads the text of such a file; `name` stands in messages.
/// Errors  kParse: no JSON, a name given twice, a key that is missing, unknown or of another type, with its place
///         ("transitions.home.go[1].p"). kValue: probabilities of a row that do not sum to 1 within 1e-9, a number that
///         is not finite, an unknown state, action or mark, lines of unequal length, no start, a horizon outside 1 to
///         100,000. kLimit: over 65,536 states, 64 actions, 4 million outcomes, a board wider or higher than 100, or
///         `limits`. As resolve_dials(): such worlds have one level and no dial.
base::Result<WorldPtr> parse_described(std::string_view text, const std::string& name, const WorldSpec& spec,
                                       std::size_t environments, const data::ReadLimits& limits = {});

/// The same from a file; spec.id is "file:PATH". Errors also kIo: no such file.
base::Result<WorldPtr> open_described(const WorldSpec& spec, std::size_t environments);

}  // namespace plumbline::world
