#pragma once
/// Randomized smoothing: a radius within which the majority answer under Gaussian noise cannot change, for any model
/// that answers.

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/threat.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::robustness {

struct SmoothingOptions {
  double sigma = 0.25;     ///< deviation of the noise, in the units of InputDomain
  std::size_t n0 = 100;    ///< noisy copies that choose the class
  std::size_t n = 10'000;  ///< fresh copies that count it
  double alpha = 0.001;    ///< a stated radius is wrong with at most this probability
  std::size_t batch = 1000;
};

struct SmoothedAnswer {
  int guess = 0;         ///< the most frequent class of the n0 copies (the lowest of equals)
  std::size_t hits = 0;  ///< of the n copies
  double p_lower = 0;    ///< one-sided Clopper-Pearson bound at confidence 1 - alpha
  bool abstains = true;  ///< p_lower is at most one half: nothing is said
  double radius = 0;     ///< L2; zero where it abstains
};

/// The class of each row.
using Classify = std::function<base::Result<std::vector<int>>(const MatrixF& rows)>;

/// Question: in which L2 ball around x does the smoothed classifier, argmax_c P(f(x + sigma Z) = c), answer the guess?
/// Formula:  radius sigma Phi^-1(p_lower) where p_lower > 1/2, else it abstains.
/// Shapes    x and domain: one entry an input. Noise of input i is sigma domain.scale[i] Z; it is not cut to the range,
/// as
///           the theorem asks.
/// Returns   the guess with its radius. The bits depend on neither `batch` nor the rows classified beside these.
/// Assumes   classify is a function of each row alone. The radius is about the smoothed classifier, not about f.
/// Errors    kShape: sizes. kValue: options, non-finite x, a class below zero. kCancelled; those of classify.
/// Cost      n0 + n classifications.
/// Source    Cohen, Rosenfeld, Kolter, "Certified adversarial robustness via randomized smoothing", ICML 2019, CERTIFY
///           and theorem 1.
base::Result<SmoothedAnswer> smooth(const Classify& classify, std::span<const float> x, const InputDomain& domain,
                                    const SmoothingOptions& options, const base::Rng& rng,
                                    const base::CancelToken& cancel = {});

/// The largest radius that n copies which all agree can show: sigma Phi^-1(alpha^(1/n)); zero or less: none.
double largest_smoothed_radius(const SmoothingOptions& options);

}  // namespace plumbline::robustness
