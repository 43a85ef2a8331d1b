#pragma once
/// [assertion.NAME] of a manifest as a rule.

#include <span>
#include <string>
#include <vector>

#include "plumbline/data/manifest.hpp"
#include "plumbline/probe/assertions.hpp"

namespace plumbline::probe {

/// Errors kValue: a key that the kind does not take, with the section's line.
base::Result<AssertionSpec> read_assertion(const data::OtherSection& section);

/// The sections of these names, in this order. Errors kValue: one that is not there, with the nearest.
base::Result<std::vector<AssertionSpec>> read_assertions(const data::Manifest& manifest,
                                                         std::span<const std::string> names);

/// Names of all [assertion.NAME] that are meant for a subject (key `on`; none = for all).
std::vector<std::string> assertions_on(const data::Manifest& manifest, const std::string& subject);

}  // namespace plumbline::probe
