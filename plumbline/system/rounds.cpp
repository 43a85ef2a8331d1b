#include "plumbline/system/rounds.hpp"

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

namespace plumbline::system {
namespace {

using Index = std::ptrdiff_t;

/// x with a x = b, by elimination with the largest pivot; nothing where a is singular.
std::optional<MatrixD> solve(MatrixD a, MatrixD b) {
  const Index n = a.rows();
  constexpr double kTiny = 1e-12;
  for (Index k = 0; k < n; ++k) {
    Index best = k;
    for (Index i = k + 1; i < n; ++i)
      if (std::abs(a(i, k)) > std::abs(a(best, k))) best = i;
    if (std::abs(a(best, k)) < kTiny) return std::nullopt;
    for (Index j = 0; j < n && best != k; ++j) std::swap(a(k, j), a(best, j));
    for (Index j = 0; j < b.cols() && best != k; ++j) std::swap(b(k, j), b(best, j));
    for (Index i = 0; i < n; ++i) {
      const double factor = i == k ? 0 : a(i, k) / a(k, k);
      if (factor == 0) continue;
      for (Index j = k; j < n; ++j) a(i, j) -= factor * a(k, j);
      for (Index j = 0; j < b.cols(); ++j) b(i, j) -= factor * b(k, j);
    }
  }
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < b.cols(); ++j) b(i, j) /= a(i, i);
  return b;
}

MatrixD multiply(const MatrixD& a, const MatrixD& b) {
  MatrixD out = MatrixD::Zero(a.rows(), b.cols());
  for (Index i = 0; i < a.rows(); ++i)
    for (Index k = 0; k < a.cols(); ++k)
      for (Index j = 0; a(i, k) != 0 && j < b.cols(); ++j) out(i, j) += a(i, k) * b(k, j);
  return out;
}

MatrixD identity(Index n) {
  MatrixD out = MatrixD::Zero(n, n);
  for (Index i = 0; i < n; ++i) out(i, i) = 1;
  return out;
}

/// (I - feeds)^-1, which exists since no circle runs within a round.
MatrixD within_round(const MatrixD& feeds) {
  auto out = solve(identity(feeds.rows()) - feeds, identity(feeds.rows()));
  base::ensure(out.has_value(), "a round without circles has an inverse");
  return std::move(*out);
}

}  // namespace

base::Result<Sensitive> gain_of(const RoundModel& model, Index j) {
  const Index n = model.feeds.rows();
  const double keeps = model.keeps[j];
  MatrixD rest = identity(n) - model.feeds - model.teaches;
  for (Index k = 0; k < n; ++k) rest(k, k) -= model.keeps[k];
  // The loop cut at j: its column acts from outside, its row listens only.
  MatrixD to = MatrixD::Zero(n, 1), from = MatrixD::Zero(n, 1);
  for (Index k = 0; k < n; ++k) {
    if (k == j) continue;
    to(k, 0) = -rest(k, j);
    from(k, 0) = -rest(j, k);
    rest(k, j) = rest(j, k) = 0;
  }
  const double own = 1 - rest(j, j);
  rest(j, j) = 1;
  auto settled = solve(rest, to);
  auto weight = solve(rest.transpose(), from);
  if (!settled || !weight || std::abs(1 - keeps) < 1e-9)
    return base::make_error(base::Code::kValue, "the rest of the system does not settle");
  (*settled)(j, 0) = 1;
  (*weight)(j, 0) = 1;
  double loop = own;
  for (Index k = 0; k < n; ++k)
    if (k != j) loop += from(k, 0) * (*settled)(k, 0);
  Sensitive out;
  out.value = (loop - keeps) / (1 - keeps);
  out.by_feeds = multiply(*weight, settled->transpose()) / (1 - keeps);
  out.by_teaches = out.by_feeds;
  out.by_keeps = VectorD::Zero(n);
  for (Index k = 0; k < n; ++k) out.by_keeps[k] = out.by_teaches(k, k);
  // What the part keeps of its own output cancels in the numerator.
  out.by_keeps[j] = (loop - keeps) / ((1 - keeps) * (1 - keeps));
  return out;
}

Sensitive next_of(const RoundModel& model, Index j) {
  const Index n = model.feeds.rows();
  const MatrixD t = within_round(model.feeds);
  const MatrixD tct = multiply(multiply(t, model.teaches), t);
  Sensitive out{tct(j, j), MatrixD::Zero(n, n), MatrixD::Zero(n, n), VectorD::Zero(n)};
  for (Index a = 0; a < n; ++a) {
    for (Index b = 0; b < n; ++b) {
      out.by_feeds(a, b) = t(j, a) * tct(b, j) + tct(j, a) * t(b, j);
      out.by_teaches(a, b) = t(j, a) * t(b, j);
    }
  }
  return out;
}

base::Result<double> loop_gain(const RoundModel& model, std::size_t j) {
  PL_TRY(const Sensitive gain, gain_of(model, static_cast<Index>(j)));
  return gain.value;
}

double next_return(const RoundModel& model, std::size_t j) { return next_of(model, static_cast<Index>(j)).value; }

double spectral_radius(const RoundModel& model) {
  MatrixD carries = model.teaches;
  for (Index b = 0; b < carries.cols(); ++b) carries(b, b) += model.keeps[b];
  // Only signals that teach or are kept carry anything into the next round.
  std::vector<Index> kept;
  for (Index b = 0; b < carries.cols(); ++b)
    if (carries.col(b).cwiseAbs().maxCoeff() > 0) kept.push_back(b);
  if (kept.empty()) return 0;
  const MatrixD whole = multiply(within_round(model.feeds), carries);
  const auto n = static_cast<Index>(kept.size());
  MatrixD m(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) m(i, j) = whole(kept[static_cast<std::size_t>(i)], kept[static_cast<std::size_t>(j)]);
  // Gelfand: |m^k|^(1/k), k = 2^20, by squaring.
  constexpr int kSquarings = 20;
  double log_norm = 0;
  double power = 1;
  for (int s = 0; s <= kSquarings; ++s) {
    const double norm = m.cwiseAbs().maxCoeff();
    if (!(norm > 0)) return 0;
    log_norm += std::log(norm) / power;
    m /= norm;
    m = multiply(m, m);
    power *= 2;
  }
  return std::exp(log_norm);
}

}  // namespace plumbline::system
