#pragma once
/// Worlds that somebody else wrote: a shared library with the C interface of plumbline_world.h, a Python class with
/// Gymnasium's reset and step, which stays in a process of its own, or a file that describes the world (described.hpp).

#include <string>

#include "plumbline/base/result.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::world {

/// True for ids of worlds from outside: "plugin:PATH", "python:MODULE:CLASS", "python:FOLDER/MODULE.py:CLASS" or
/// "file:PATH".
bool is_outside(const std::string& id);

/// Opens the library, starts Python or reads the file, and reads the facts.
/// Errors  kIo: no such file, not a library, Python does not start. kUnsupported: a library without the symbol or of
///         another version. kParse, kValue: facts that are missing or out of range, naming the fact; dials and levels
///         as resolve_dials(). Errors of a step: kValue: it returned a code, a number that is not finite, an unknown
///         done, or threw; kLimit: no answer in time. After an error the world stays stopped.
base::Result<WorldPtr> open_outside(const WorldSpec& spec, std::size_t environments);

}  // namespace plumbline::world
