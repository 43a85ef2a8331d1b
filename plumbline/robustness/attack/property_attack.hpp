#pragma once
/// Looking for an input that a property calls unsafe, with gradients of the network in double.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/proof/network.hpp"
#include "plumbline/robustness/proof/vnnlib.hpp"

namespace plumbline::robustness {

enum class SearchMethod {
  kRandom,       ///< uniform inputs and random corners of the box, no gradient: the control
  kFgsm,         ///< one sign step over the whole box from its middle
  kPgd,          ///< sign steps from the middle and from uniform starts
  kDiversified,  ///< sign steps from corners along random directions of the first affine step
};
std::string_view search_method_name(SearchMethod method);

struct SearchOptions {
  std::vector<SearchMethod> methods = {SearchMethod::kRandom, SearchMethod::kFgsm, SearchMethod::kPgd,
                                       SearchMethod::kDiversified};
  std::size_t starts = 200;  ///< inputs moved at a time, dealt out to the cases of a box in turn
  int steps = 60;            ///< of each
  double first_step = 0.5;   ///< in widths of the box
  double last_step = 0.03;   ///< reached geometrically
  int rounds = 3;            ///< of new starts; kRandom and kFgsm take one
};

/// What one method came to.
struct SearchTrace {
  SearchMethod method = SearchMethod::kRandom;
  double best = 0;              ///< least excess (case_excess) reached; at most 0 is a candidate
  std::uint64_t forwards = 0;   ///< inputs evaluated
  std::uint64_t gradients = 0;  ///< inputs differentiated
};

struct SearchResult {
  std::vector<SearchTrace> traces;
  bool found = false;     ///< a candidate: true in double, to be replayed
  std::size_t which = 0;  ///< its case
  std::vector<double> x;  ///< the candidate, or the input that came nearest
  double best = 0;
};

/// Question: is there an input in the property's boxes at which a case is true?
/// Formula:  ascend() on the negative of the largest excess of the case's inequalities, over the box, in widths of it.
/// Shapes    inputs and outputs of the property and the network agree.
/// Returns   the first candidate by method, round and row; stops there. Inputs lie in the box of nearest doubles.
/// Assumes   nothing: finding none proves nothing.
/// Errors    kShape: sizes. kValue: options. kCancelled.
/// Cost      starts x steps x rounds forward and backward passes a method. The same bits for the same rng.
/// Source    Goodfellow, Shlens, Szegedy 2015 (FGSM); Madry et al. 2018 (PGD).
base::Result<SearchResult> search_violation(const Network& network, const Property& property,
                                            const SearchOptions& options, base::Rng rng,
                                            const base::CancelToken& cancel = {});

}  // namespace plumbline::robustness
