#pragma once
/// Bookkeeping of symbols in vectors of affine forms, and the outline of two forms in the plane.

#include <cstddef>
#include <utility>
#include <vector>

#include "plumbline/reach/affine.hpp"

namespace plumbline::reach {

/// Gives every form's own error a symbol, so that later uses of the form know of each other. All forms end with the
/// same number of symbols.
void own_symbols(std::vector<Affine>& forms);

/// Keeps the first `kept` symbols and at most `most` others: the least of the others become the forms' own symbols, a
/// box around what they made. Source: Girard, Reachability of uncertain linear systems using zonotopes, HSCC 2005.
void merge_symbols(std::vector<Affine>& forms, std::size_t kept, std::size_t most);

/// The corners of the set of pairs (x, y), anticlockwise; for pictures, not rounded outward.
std::vector<std::pair<double, double>> zonotope_outline(const Affine& x, const Affine& y);

}  // namespace plumbline::reach
