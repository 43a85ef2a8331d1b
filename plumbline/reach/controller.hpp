#pragma once
/// What a network answers over a set, as affine forms in the set's own symbols: CROWN with the set's symbols as inputs.

#include <span>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/reach/affine.hpp"
#include "plumbline/robustness/proof/network.hpp"

namespace plumbline::reach {

/// Question: what are the outputs N(y) for inputs y given as affine forms?
/// Formula:  the forms are put before the network as one more affine step, so that its inputs are the symbols; bounds
/// of
///           the steps by interval and CROWN; each output between two linear functions of the symbols, and from them
///           one form: their mean, with half the largest distance as error. Of two choices of lower slopes, and of the
///           plain interval, the one with the smallest error.
/// Errors    kValue: an input without bounds.
/// Cost      as robustness::Bounder::bound over a box of as many inputs as symbols in use.
/// Source    Zhang, Weng, Chen, Hsieh, Daniel, Efficient neural network robustness certification with general
/// activation
///           functions, NeurIPS 2018.
base::Result<std::vector<Affine>> network_forms(const robustness::Network& network, std::span<const Affine> inputs);

/// Which outputs may be the greatest (or, with `least`, the least) somewhere in the set; never empty. All indices from
/// 0.
base::Result<std::vector<std::size_t>> possible_choices(const robustness::Network& network,
                                                        std::span<const Affine> inputs, bool least);

}  // namespace plumbline::reach
