#pragma once
/// Two-sample tests: did the world that a set was drawn from change, by how much, and in which features?

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::robustness {

struct MmdOptions {
  std::size_t permutations = 100;
  double width = 0;  ///< s of the kernel exp(-|x - y|^2 / (2 s^2)); 0 = median distance of up to 500 pooled rows
  base::CancelToken cancel{};
};
struct MmdTest {
  stats::Estimate mmd2;  ///< unbiased, so it may be below 0; dimensionless
  double p_value = 1;    ///< (1 + #{permuted >= observed}) / (1 + permutations): never 0
  double width = 0;
};
/// Kernel two-sample test: squared maximum mean discrepancy with a Gaussian kernel.
/// Formula   mean k(a, a') + mean k(b, b') - 2 mean k(a, b), pairs of distinct rows. The kernel is computed once, in
///           blocks; all relabellings are one matrix product with it.
/// Shapes    a m x d, b n x d.
/// Bounds    normal, variance = first-order part (4 / m, 4 / n times the variances of row means) + variance over the
///           relabellings, which is the second-order part.
/// Errors    kShape: columns differ, none, fewer than 4 rows of one. kValue: non-finite entry; permutations < 19; width
/// < 0.
///           kCancelled.
/// Outcome   all pooled rows equal: mmd2 = 0, p = 1, no bounds.
/// Assumes   rows independent within and between the samples.
/// Cost      O((m + n)^2 (d + permutations)). Relabelling i draws from rng.fork(i): same bits for any number of
/// threads. Source    Gretton, Borgwardt, Rasch, Scholkopf, Smola 2012; p-value: Phipson and Smyth 2010.
base::Result<MmdTest> mmd_test(MatrixRefD a, MatrixRefD b, const MmdOptions& options, const base::Rng& rng);

struct ClassifierTest {
  stats::Estimate auroc;     ///< held out: P(row of b scores above row of a); 0.5 = not told apart
  stats::Estimate accuracy;  ///< held out, balanced
  double p_value = 1;        ///< exact binomial of the held-out accuracy against 1/2, one-sided
  std::vector<double> held_out_scores_a;
  std::vector<double> held_out_scores_b;
};
/// Classifier two-sample test: a logistic regression learns to tell b from a on one half and is judged on the other.
/// What      both samples are cut to the smaller size at random, halves at random; columns standardised on the first
/// half. Errors    kShape: columns differ, fewer than 20 rows of one. kValue: non-finite entry. Assumes   as mmd_test.
/// Cost      O(n d) a step. Same seed, same bits.
/// Source    Lopez-Paz and Oquab 2017; AUROC bounds: DeLong et al. 1988.
base::Result<ClassifierTest> classifier_test(MatrixRefD a, MatrixRefD b, const base::Rng& rng,
                                             const base::CancelToken& cancel = {});

/// One feature of both samples. Numbers: NaN = missing. Categories: codes 0.., -1 = missing.
struct DriftColumn {
  std::string name;
  bool category = false;
  std::vector<double> a;
  std::vector<double> b;
};
struct FeatureDrift {
  std::string name;
  std::string test;  ///< "Kolmogorov-Smirnov", "chi-square", or why none was made
  double p_value = 1;
  double adjusted_p = 1;   ///< Holm over the features
  stats::Estimate effect;  ///< numbers: (mean b - mean a) / pooled deviation; categories: total variation distance
};
/// A test for every feature, family-wise control by Holm.
/// Bounds    of a standardised difference: normal, variance 1/m + 1/n + d^2 / (2 (m + n)) (Hedges and Olkin 1985); of a
///           total variation distance: the plug-in distance -+ sqrt(ln(2/d) / 2) (sqrt(1/m) + sqrt(1/n))
///           sqrt(levels)/2, valid for every law, wide.
/// Errors    kShape: no features, fewer than 4 rows of one sample. kValue: infinite number.
/// Outcome   a feature with fewer than 4 present values on a side, or constant over both, gets p = 1 and says so.
base::Result<std::vector<FeatureDrift>> feature_drift(std::span<const DriftColumn> columns);

/// How many features moved. value = features with adjusted p <= level; the lower bound at confidence c = features with
/// adjusted p <= 1 - c (Holm: with that confidence all of those moved); no upper bound, since a test cannot show
/// sameness.
stats::Estimate features_moved(std::span<const FeatureDrift> features, double level);
/// The largest |standardised difference| with bounds that hold for all features at once (Bonferroni). Categories take
/// no part. Errors kShape: no numeric feature that was tested.
base::Result<stats::Estimate> largest_shift(std::span<const FeatureDrift> features);

/// Plain statistics of an image that people can name: brightness, contrast, share of dark and of bright pixels, mean
/// step to the neighbouring pixels (edges), each n long, in 0..1.
struct ImageStatistics {
  std::vector<std::string> names;
  MatrixD values;  ///< n x 5
};
/// Errors kShape: pixels.size() is not n x channels x height x width, or a size is 0.
base::Result<ImageStatistics> image_statistics(std::span<const std::uint8_t> pixels, std::size_t n, int channels,
                                               int height, int width);

}  // namespace plumbline::robustness
