#pragma once
/// How well the data fix a softmax head: a Gaussian around its weights, pushed through to the predictive distribution.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::caution {

enum class LaplaceForm {
  kFull,       ///< every weight with every other
  kKronecker,  ///< classes times features: for heads too wide for the full matrix
};
std::string_view laplace_form_name(LaplaceForm form);  ///< "full", "kronecker"

struct LaplaceOptions {
  double ridge = 1;                  ///< precision of the prior on each weight, on standardised features
  std::ptrdiff_t full_limit = 1500;  ///< kFull up to so many weights, classes x (features + 1)
  int iterations = 2000;             ///< of the fit
  base::CancelToken cancel{};
};

/// What has to be kept of a fitted head. With phi = ((x - center) / scale, 1) and C the covariance of the logits:
/// kFull      C_ab = sum over q = (i <= j) of M(q, ab) phi_i phi_j, ab = (a <= b) in 16 columns a block of `packed`.
/// kKronecker C = V diag_k(sum_j (u_j . phi)^2 / (rows a_j b_k + ridge)) V'.
struct LaplaceState {
  LaplaceForm form = LaplaceForm::kFull;
  std::ptrdiff_t classes = 0;
  double ridge = 1;
  double rows = 0;        ///< that it was fitted on
  VectorD center, scale;  ///< d; a constant feature has scale 0 and no weight
  MatrixD weights;        ///< k x d, of the scaled features
  VectorD intercept;      ///< k
  MatrixD packed;         ///< kFull
  MatrixD features;       ///< kKronecker: rows u_j, (d + 1) x (d + 1)
  VectorD feature_curvature;
  MatrixD labels;  ///< kKronecker: rows v_k, k x k
  VectorD label_curvature;
};

/// Scratch of one thread, so that asking for a covariance allocates nothing.
struct LaplaceScratch {
  std::vector<double> phi, products, packed;
};

/// A softmax head over features with the Gaussian that approximates its posterior.
class LastLayerLaplace {
 public:
  /// Question  how far could the head's weights be from where they are, given so many rows?
  /// Formula   weights at the maximum of sum log p(y) - ridge / 2 |W|^2 (stats::fit_logistic); precision there
  ///           H = sum_i (diag p_i - p_i p_i') (x) phi_i phi_i' + ridge on the weights, none on intercepts. Adding one
  ///           number to all intercepts changes no probability; that direction is fixed.
  ///           kKronecker takes mean(diag p - p p') (x) mean(phi phi') for the mean of the products, and the ridge on
  ///           intercepts too.
  /// Shapes    features n x d, labels n in [0, classes).
  /// Errors    as stats::fit_logistic; kLimit: the fit did not converge; kValue: a precision that is not positive
  ///           definite.
  /// Cost      O(n k^2 d^2 / 2 + (k d)^3 / 3) full; O(n d^2 + d^3) Kronecker. Deterministic, no random numbers.
  /// Source    MacKay 1992; Kristiadi, Hein, Hennig 2020 (last layer); Ritter, Botev, Barber 2018 (Kronecker).
  static base::Result<LastLayerLaplace> fit(MatrixRefF features, std::span<const int> labels, int classes,
                                            const LaplaceOptions& options = {});
  /// Errors kShape, kValue: parts that do not fit each other or are not finite.
  static base::Result<LastLayerLaplace> from_state(LaplaceState state);

  const LaplaceState& state() const { return state_; }
  std::ptrdiff_t classes() const { return state_.classes; }
  std::ptrdiff_t features() const { return state_.center.size(); }
  std::string_view form() const { return laplace_form_name(state_.form); }

  /// The head's own logits, n x k. Errors kShape: columns.
  base::Result<MatrixD> logits(MatrixRefF features) const;

  /// Covariance of the k logits at one row, with the common shift taken out (rows and columns sum to 0). `out` holds
  /// k x k numbers. Preconditions: sizes. O(k^2 d^2 / 4) full, O(d^2 + k^2 d) Kronecker.
  void covariance(std::span<const float> features, LaplaceScratch& scratch, std::span<double> out) const;

 private:
  explicit LastLayerLaplace(LaplaceState state) : state_(std::move(state)) {}
  LaplaceState state_;
};

/// Normal draws that are the same for every row, so that a predictive is a function of its row alone. They come in
/// pairs of opposite sign and, where there are at least as many pairs as classes, with the identity as their second
/// moment: means and small variances carry no error of the draw.
struct LogitDraws {
  MatrixD normal;  ///< draws x k, standard normal

  /// Precondition: draws even and at least 2, classes at least 2.
  static LogitDraws make(std::ptrdiff_t draws, std::ptrdiff_t classes, std::uint64_t seed);
};

/// A predictive with its parts, nats.
struct DrawnPredictive {
  std::vector<double> p;  ///< averaged
  double total = 0;
  double aleatoric = 0;
  double model = 0;
};
struct DrawScratch {
  std::vector<double> factor, logits, p;
};

/// Question  what does a Gaussian over logits say about the label?
/// Formula   p = mean_s softmax(center + L e_s), C = L L'; total = H(p), aleatoric = mean_s H(.), model = their
///           difference, at least 0.
/// Shapes    center k, covariance k x k symmetric and at least semidefinite (pivots that rounding left negative are 0).
/// Errors    none; `result.p` is resized. O(draws k^2).
void draw_predictive(std::span<const double> center, std::span<const double> covariance, const LogitDraws& draws,
                     DrawScratch& scratch, DrawnPredictive& result);

/// The same averaged predictive without draws: softmax(center_k / sqrt(1 + pi C_kk / 8)).
/// Source MacKay 1992; for several classes Gibbs 1997 (mean field). Errors kShape.
base::Result<std::vector<double>> probit_predictive(std::span<const double> center, std::span<const double> covariance);

/// Mutual information to second order, 1/2 tr((diag p - p p') C) with p = softmax(center): what `model` tends to as C
/// goes to 0. Precondition: sizes.
double second_order_information(std::span<const double> center, std::span<const double> covariance);

/// Predictives of many rows, with the head's own logits as centre. Shapes n x d. Errors kShape: columns, classes of
/// the draws. O(n (k^2 d^2 / 4 + draws k^2)).
struct HeadPredictives {
  MatrixD mean;  ///< n x k
  VectorD total, aleatoric, model;
};
base::Result<HeadPredictives> head_predictives(const LastLayerLaplace& head, MatrixRefF features,
                                               const LogitDraws& draws);
/// The same around other logits, for example a model's own, calibrated ones.
base::Result<HeadPredictives> head_predictives(const LastLayerLaplace& head, MatrixRefF features, MatrixRefD center,
                                               const LogitDraws& draws);

}  // namespace plumbline::caution
