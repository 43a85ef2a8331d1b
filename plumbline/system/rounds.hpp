#pragma once
/// Linear systems in rounds: the gain of their loops, exact, and how it hangs on each link.

#include <cstddef>

#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::system {

/// A linear system of signals in rounds: s(t) = feeds s(t) + (teaches + diag(keeps)) s(t - 1) + what comes from
/// outside.
struct RoundModel {
  MatrixD feeds;    ///< [to, from], within a round; without circles
  MatrixD teaches;  ///< [to, from], from the round before
  VectorD keeps;    ///< what a part keeps of its former output by itself
};

/// Question  a part's output is held one unit higher for good: how much higher does the part then want it to be?
/// Formula   L_j = A_jj + A_jx (I - A_xx)^-1 A_xj with A = feeds + teaches + diag(keeps) and x all other signals: the
///           loop cut at j, the rest settled. What the part keeps of its own output, k = keeps_j, is no feedback:
///           gain = (L_j - k) / (1 - k). The output runs away where the gain reaches 1.
/// Errors    kValue: the rest does not settle (I - A_xx is singular), or k = 1.
base::Result<double> loop_gain(const RoundModel& model, std::size_t j);
/// One unit in this round, nothing thereafter: what of it is in the output of the next round. [T C T]_jj with
/// T = (I - feeds)^-1 and C = teaches.
double next_return(const RoundModel& model, std::size_t j);
/// Largest size of an eigenvalue of (I - feeds)^-1 (teaches + diag(keeps)): the system settles where it is below 1.
double spectral_radius(const RoundModel& model);

enum class Link { kFeeds, kTeaches, kKeeps };

/// A figure with its derivatives by the entries of the model.
struct Sensitive {
  double value = 0;
  MatrixD by_feeds, by_teaches;
  VectorD by_keeps;
  double by(Link link, std::ptrdiff_t to, std::ptrdiff_t from) const {
    return link == Link::kFeeds ? by_feeds(to, from) : link == Link::kTeaches ? by_teaches(to, from) : by_keeps[to];
  }
};
/// loop_gain() and next_return() with derivatives. Errors as loop_gain().
base::Result<Sensitive> gain_of(const RoundModel& model, std::ptrdiff_t j);
Sensitive next_of(const RoundModel& model, std::ptrdiff_t j);

}  // namespace plumbline::system
