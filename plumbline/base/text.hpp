#pragma once
/// Small text helpers that messages need.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace plumbline::base {

/// The candidate with the smallest edit distance to `word`, if that distance is at most a third of the word's length
/// (at least 2); else empty. For "did you mean" hints.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// "a, b and c".
std::string join_words(std::span<const std::string> words, std::string_view last = "and");

}  // namespace plumbline::base
