#pragma once
/// In which units a radius is, and where a perturbed input may lie: what certificates and smoothing share.

#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::robustness {

/// A radius is in the units of the declared range (before mean and deviation): 0.1 of [0, 1] is a tenth of the whole
/// range, of [0, 255] a tenth of a grey level. Inputs of matrices have no range, and may go anywhere.
struct InputDomain {
  std::vector<double> scale;  ///< one an input: units of the model's input for one unit of radius
  std::vector<double> low;    ///< of the valid range, in units of the model's input; infinite where there is none
  std::vector<double> high;
};

/// Question: how does data::encode() map units and range of this set onto the model's input?
/// Errors    kUnsupported: a table, whose columns have no common unit. kValue: a range that is empty, a deviation of
/// zero.
base::Result<InputDomain> input_domain(const data::Dataset& set, const data::InputSpec& spec);

}  // namespace plumbline::robustness
