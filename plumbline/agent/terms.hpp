#pragma once
/// Terms after an agent's id, "/cost=0.3/base=random": numbers and words with their bounds, the rest left for others.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::agent {

struct NumberTerm {
  std::string_view name;
  double fallback = 0;
  double low = 0;
  double high = 0;
  bool whole = false;
};

/// What was taken of a text of terms.
struct Terms {
  std::string rest;                                       ///< the text without it, in its order
  std::map<std::string, std::string, std::less<>> given;  ///< numbers in their shortest form

  bool has(std::string_view name) const { return given.contains(name); }
  /// A word, or empty.
  std::string word(std::string_view name) const;
  /// The number, or its fallback. Precondition: `term` was among those that were taken.
  double number(const NumberTerm& term) const;
  /// "/cost=0.3/base=random": those given, in the order of these names.
  std::string written(std::span<const std::string_view> names) const;
};

/// Question: which of the terms of "HEAD/name=value/…" are these?
/// Errors    kValue, in the name of `id`: a number that is none or out of range, a term given twice or without a value.
base::Result<Terms> take_terms(std::string_view id, std::string_view text, std::span<const NumberTerm> numbers,
                               std::span<const std::string_view> words = {});

}  // namespace plumbline::agent
