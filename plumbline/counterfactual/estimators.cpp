#include "plumbline/counterfactual/estimators.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/stats/descriptive.hpp"

namespace plumbline::counterfactual {
namespace {

using base::Code;
using base::make_error;

constexpr std::array<std::string_view, 11> kNames = {"ips",  "snips",  "clipped",   "shrunk", "direct", "dr",
                                                     "sndr", "switch", "dr_shrunk", "mrdr",   "auto"};

double shrunk_weight(double w, double lambda) {
  if (std::isinf(lambda)) return w;
  return w > 0 ? lambda * w / (w * w + lambda) : 0;
}

/// sum_a pi(a|x) q(x, a) of each row.
std::vector<double> model_values(const OpeRows& rows, const MatrixD& q) {
  std::vector<double> out(rows.size());
  for (std::size_t j = 0; j < out.size(); ++j) {
    const auto i = static_cast<Eigen::Index>(j);
    double sum = 0;
    for (Eigen::Index a = 0; a < q.cols(); ++a) sum += rows.target(i, a) * q(i, a);
    out[j] = sum;
  }
  return out;
}

}  // namespace

std::string_view estimator_name(Estimator estimator) { return kNames[static_cast<std::size_t>(estimator)]; }
std::span<const std::string_view> estimator_names() { return kNames; }

base::Result<Estimator> parse_estimator(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) {
    return make_error(Code::kValue, fmt::format("'{}' is no estimator", name.substr(0, 40)), {},
                      fmt::format("expected one of {}", fmt::join(kNames, ", ")));
  }
  return static_cast<Estimator>(found - kNames.begin());
}

bool needs_model(Estimator estimator) {
  return estimator != Estimator::kIps && estimator != Estimator::kSnips && estimator != Estimator::kClipped &&
         estimator != Estimator::kShrunk;
}

base::Result<Terms> estimator_terms(Estimator estimator, const OpeRows& rows, const MatrixD& q, const Tuning& tuning) {
  const std::size_t n = rows.size();
  PL_CHECK(base::check_at_least("estimator_terms", "rows", static_cast<std::ptrdiff_t>(n), 1));
  if (!(tuning.clip >= 0) || !(tuning.lambda >= 0)) {
    return make_error(Code::kValue, fmt::format("estimator_terms: clip is {} and lambda {}, expected 0 or more",
                                                tuning.clip, tuning.lambda));
  }
  if (estimator == Estimator::kAuto)
    return make_error(Code::kValue, "estimator_terms: auto is a choice among estimators, see shrinkage_choice");
  if (needs_model(estimator)) {
    PL_CHECK(base::check_size("estimator_terms", "rows of q", q.rows(), static_cast<std::ptrdiff_t>(n)));
    PL_CHECK(base::check_size("estimator_terms", "columns of q", q.cols(), static_cast<std::ptrdiff_t>(rows.actions)));
    PL_CHECK(base::check_size("estimator_terms", "rows of target", rows.target.rows(), static_cast<std::ptrdiff_t>(n)));
  }
  const double clip = tuning.clip > 0 ? tuning.clip : std::sqrt(static_cast<double>(n));
  const double lambda = tuning.lambda > 0 ? tuning.lambda : static_cast<double>(n);
  Terms terms;
  terms.base.assign(n, 0.0);
  if (needs_model(estimator)) terms.base = model_values(rows, q);
  const bool ratio = estimator == Estimator::kSnips || estimator == Estimator::kSndr;
  if (ratio) {
    terms.num.resize(n);
    terms.den.resize(n);
  }
  for (std::size_t j = 0; j < n; ++j) {
    const double w = rows.weight[j];
    const double left =
        needs_model(estimator) ? rows.reward[j] - q(static_cast<Eigen::Index>(j), rows.action[j]) : rows.reward[j];
    double weight = w;
    switch (estimator) {
      case Estimator::kClipped: weight = std::min(w, clip); break;
      case Estimator::kSwitch: weight = w <= clip ? w : 0; break;
      case Estimator::kShrunk:
      case Estimator::kDrShrunk: weight = shrunk_weight(w, lambda); break;
      case Estimator::kDirect: weight = 0; break;
      default: break;
    }
    if (ratio) {
      terms.num[j] = weight * left;
      terms.den[j] = weight;
    } else {
      terms.base[j] += weight * left;
    }
  }
  return terms;
}

double figure(const Terms& terms) {
  double value = base::ordered_mean(terms.base);
  if (!terms.num.empty()) {
    const double den = base::ordered_sum(terms.den);
    value = den > 0 ? value + base::ordered_sum(terms.num) / den : std::numeric_limits<double>::quiet_NaN();
  }
  return value;
}

std::size_t Choice::choose(std::span<const double> values) const {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  std::size_t chosen = 0;
  for (std::size_t c = 0; c < values.size(); ++c) {
    low = std::max(low, values[c] - 2 * error[c]);
    high = std::min(high, values[c] + 2 * error[c]);
    if (low > high) break;
    chosen = c;
  }
  return chosen;
}

base::Result<Choice> shrinkage_choice(const OpeRows& rows, const MatrixD& q) {
  Choice choice;
  const double largest = std::max(1.0, *std::max_element(rows.weight.begin(), rows.weight.end()));
  constexpr int kSteps = 8;
  choice.lambda.push_back(std::numeric_limits<double>::infinity());
  for (int j = 0; j < kSteps; ++j) choice.lambda.push_back(largest * largest * std::pow(4.0, -j));
  choice.lambda.push_back(0);
  PL_TRY(const stats::UnitIndex index, stats::group_units(rows.unit, rows.size()));
  double previous = std::numeric_limits<double>::infinity();
  const auto n = static_cast<double>(rows.size());
  for (const double lambda : choice.lambda) {
    Tuning tuning;
    tuning.lambda = lambda;
    PL_TRY(Terms terms, estimator_terms(lambda > 0 ? Estimator::kDrShrunk : Estimator::kDirect, rows, q, tuning));
    const double mean = base::ordered_mean(terms.base);
    double square = 0;
    for (std::size_t u = 0; u < index.count(); ++u) {
      double total = 0;
      for (const std::size_t j : index.rows_of(u)) total += terms.base[j] - mean;
      square += total * total;
    }
    previous = std::min(previous, std::sqrt(square) / n);
    choice.error.push_back(previous);
    choice.terms.push_back(std::move(terms.base));
  }
  return choice;
}

}  // namespace plumbline::counterfactual
