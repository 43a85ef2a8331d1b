#include "plumbline/counterfactual/effects/differences.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plumbline/counterfactual/effects/linear.hpp"
#include "plumbline/counterfactual/effects/parts.hpp"
#include "plumbline/stats/linalg.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::counterfactual::effects {
namespace {

using Index = Eigen::Index;

/// A balanced panel: units that have every period.
struct Panel {
  MatrixD y, d;             // units x periods
  std::vector<int> cohort;  // period in which the treatment began, -1 = never
  std::vector<int> cluster;
  std::vector<double> times;
  std::size_t dropped = 0;
  bool ends = false;  // some treatment ends
};

base::Result<Panel> panel_of(const Study& s) {
  std::set<double> times(s.time.data(), s.time.data() + s.time.size());
  Panel out;
  out.times.assign(times.begin(), times.end());
  const auto periods = static_cast<Index>(out.times.size());
  const auto units = static_cast<Index>(cluster_count(s.units, 0));
  constexpr double kMost = 1e8;
  if (static_cast<double>(periods) * static_cast<double>(units) > kMost)
    return base::make_error(base::Code::kLimit, fmt::format("{} units times {} periods", units, periods), {},
                            "is the time a number of the period?");
  MatrixD y = MatrixD::Constant(units, periods, std::nan("")), d = y;
  std::vector<int> cluster(static_cast<std::size_t>(units), -1);
  for (Index i = 0; i < s.outcome.size(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    const Index unit = s.units[row];
    const Index at = std::distance(times.begin(), times.find(s.time(i)));
    if (!std::isnan(y(unit, at)))
      return base::make_error(base::Code::kValue,
                              fmt::format("row {} is the second of its unit and time {:g}", s.rows[row] + 1, s.time(i)),
                              {}, "differences take one row a unit and period");
    if (s.treatment(i) != 0 && s.treatment(i) != 1)
      return base::make_error(base::Code::kValue,
                              fmt::format("row {}: treatment {:g}, of 0 and 1", s.rows[row] + 1, s.treatment(i)));
    y(unit, at) = s.outcome(i);
    d(unit, at) = s.treatment(i);
    const int own = s.clusters.empty() ? static_cast<int>(unit) : s.clusters[row];
    int& seen = cluster[static_cast<std::size_t>(unit)];
    if (seen >= 0 && seen != own)
      return base::make_error(base::Code::kValue,
                              fmt::format("row {}: its unit lies in two clusters", s.rows[row] + 1));
    seen = own;
  }
  std::vector<Index> kept;
  for (Index u = 0; u < units; ++u) {
    if (!y.row(u).allFinite() || d(u, 0) == 1) {
      ++out.dropped;
      continue;
    }
    int start = -1;
    for (Index t = 0; t < periods; ++t) {
      if (d(u, t) == 1 && start < 0) start = static_cast<int>(t);
      if (start >= 0 && d(u, t) == 0) out.ends = true;
    }
    kept.push_back(u);
    out.cohort.push_back(start);
    out.cluster.push_back(cluster[static_cast<std::size_t>(u)]);
  }
  out.y.resize(static_cast<Index>(kept.size()), periods);
  out.d.resize(static_cast<Index>(kept.size()), periods);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    out.y.row(static_cast<Index>(i)) = y.row(kept[i]);
    out.d.row(static_cast<Index>(i)) = d.row(kept[i]);
  }
  std::map<int, int> numbers;
  for (int& c : out.cluster) c = numbers.emplace(c, static_cast<int>(numbers.size())).first->second;
  return out;
}

/// A figure with its influence over units.
struct Contrast {
  double value = 0;
  VectorD influence;
};

/// Change from the period before `cohort` to `t`: units of the cohort against the never treated.
Contrast contrast(const Panel& p, int cohort, Index t) {
  const Index base = cohort - 1;
  const Index n = p.y.rows();
  double sum[2] = {0, 0}, count[2] = {0, 0};
  const auto side = [&](Index u) {
    const int own = p.cohort[static_cast<std::size_t>(u)];
    return own == cohort ? 1 : own < 0 ? 0 : -1;
  };
  for (Index u = 0; u < n; ++u) {
    const int which = side(u);
    if (which < 0) continue;
    sum[which] += p.y(u, t) - p.y(u, base);
    count[which] += 1;
  }
  Contrast out{sum[1] / count[1] - sum[0] / count[0], VectorD::Zero(n)};
  for (Index u = 0; u < n; ++u) {
    const int which = side(u);
    if (which < 0) continue;
    // n / (n - 1) within a side, as in an unequal-variance t test.
    const double gap = (p.y(u, t) - p.y(u, base) - sum[which] / count[which]) *
                       std::sqrt(count[which] / std::max(count[which] - 1, 1.0));
    out.influence(u) = (which == 1 ? 1 : -1) * gap * static_cast<double>(n) / count[which];
  }
  return out;
}

void two_way(const Panel& p, std::size_t clusters, DifferencesFit& out) {
  const auto demeaned = [](const MatrixD& a) {
    const VectorD units = a.rowwise().mean();
    const Eigen::RowVectorXd periods = a.colwise().mean();
    MatrixD b = a;
    b.colwise() -= units;
    b.rowwise() -= periods;
    b.array() += a.mean();
    return b;
  };
  const MatrixD y = demeaned(p.y), d = demeaned(p.d);
  const double power = d.squaredNorm();
  out.two_way = d.cwiseProduct(y).sum() / power;
  const MatrixD left = y - out.two_way * d;
  const VectorD influence = d.cwiseProduct(left).rowwise().sum() * static_cast<double>(p.y.rows()) / power;
  const auto g = static_cast<double>(clusters);
  out.two_way_error = std::sqrt(influence_variance(influence, p.cluster, g / (g - 1)));
}

/// Joint test that these figures are 0.
double joint_p(const std::vector<Contrast>& figures, const std::vector<int>& clusters) {
  const auto k = static_cast<Index>(figures.size());
  if (k == 0) return std::nan("");
  const auto n = static_cast<double>(figures[0].influence.size());
  MatrixD variance(k, k);
  VectorD value(k);
  for (Index a = 0; a < k; ++a) {
    const Contrast& first = figures[static_cast<std::size_t>(a)];
    value(a) = first.value;
    for (Index b = 0; b <= a; ++b) {
      // Polarisation: the clustered covariance from three variances.
      const VectorD& x = first.influence;
      const VectorD& y = figures[static_cast<std::size_t>(b)].influence;
      variance(a, b) = variance(b, a) =
          0.25 * (influence_variance(x + y, clusters) - influence_variance(x - y, clusters));
    }
  }
  const auto factor = stats::Cholesky::factor(variance);
  if (!factor.ok() || n == 0) return std::nan("");
  const double wald = value.dot(factor->solve(value).value());
  // Hotelling's correction, since the variance is of few clusters.
  const double groups = static_cast<double>(cluster_count(clusters, 0));
  const auto terms = static_cast<double>(k);
  if (groups <= terms + 1) return std::nan("");
  const double f = wald * (groups - terms) / (terms * (groups - 1));
  // P(F > f) by the beta distribution.
  const double x = terms * f / (terms * f + groups - terms);
  return stats::beta_tail(x, terms / 2, (groups - terms) / 2);
}

void refuse_fit(DifferencesFit& out, std::string reason) {
  if (out.outcome != Outcome::kCannotSay) out.reasons.clear();
  out.outcome = Outcome::kCannotSay;
  out.reasons.push_back(std::move(reason));
  out.estimate = {};
  out.estimate.value = std::nan("");
}

void warn_fit(DifferencesFit& out, std::string reason) {
  if (out.outcome == Outcome::kSays) out.outcome = Outcome::kWarns;
  out.reasons.push_back(std::move(reason));
}

}  // namespace

base::Result<DifferencesFit> fit_differences(const Study& s) {
  if (!s.columns.empty())
    return base::make_error(base::Code::kUnsupported, "differences in differences take no covariates", {},
                            "leave them out, or compare units that are alike in them");
  PL_TRY(const Panel p, panel_of(s));
  DifferencesFit out;
  out.units = static_cast<std::size_t>(p.y.rows());
  out.periods = p.times.size();
  out.dropped = p.dropped;
  out.pretrend_p = std::nan("");
  std::map<int, double> sizes;
  for (const int c : p.cohort) {
    if (c >= 0)
      sizes[c] += 1;
    else
      ++out.never_treated;
  }
  out.treated_units = out.units - out.never_treated;
  out.cohorts = sizes.size();
  constexpr std::size_t kLeast = 5;
  if (out.periods < 2) refuse_fit(out, "there is one period: nothing is seen before and after");
  if (p.ends) refuse_fit(out, "the treatment of some units ends: what comes after is neither treated nor untreated");
  if (out.treated_units < kLeast)
    refuse_fit(out,
               fmt::format("{} units were treated after the first period, of at least {}", out.treated_units, kLeast));
  if (out.never_treated < kLeast)
    refuse_fit(out, fmt::format("{} units were never treated, of at least {}", out.never_treated, kLeast));
  if (out.outcome == Outcome::kCannotSay) return out;

  std::map<int, Contrast> by_lead;
  std::map<int, double> weight_of_lead;
  const Index n = p.y.rows();
  Contrast total{0, VectorD::Zero(n)};
  double weight = 0;
  for (const auto& cohort : sizes) {
    for (Index t = 0; t < p.y.cols(); ++t) {
      const int lead = static_cast<int>(t) - cohort.first;
      if (lead == -1) continue;
      const Contrast c = contrast(p, cohort.first, t);
      auto& into = by_lead.try_emplace(lead, Contrast{0, VectorD::Zero(n)}).first->second;
      into.value += cohort.second * c.value;
      into.influence += cohort.second * c.influence;
      weight_of_lead[lead] += cohort.second;
      if (lead < 0) continue;
      total.value += cohort.second * c.value;
      total.influence += cohort.second * c.influence;
      weight += cohort.second;
    }
  }
  const std::size_t clusters = cluster_count(p.cluster, 0);
  std::vector<Contrast> before;
  for (auto& lead : by_lead) {
    const double w = weight_of_lead[lead.first];
    lead.second.value /= w;
    lead.second.influence /= w;
    out.events.push_back(
        {lead.first, lead.second.value, std::sqrt(influence_variance(lead.second.influence, p.cluster))});
    if (lead.first < 0) before.push_back(lead.second);
  }
  out.pretrend_p = joint_p(before, p.cluster);
  const double value = total.value / weight;
  const double variance = influence_variance(total.influence / weight, p.cluster);
  out.estimate = student(value, variance, static_cast<double>(clusters) - 2, static_cast<double>(out.units),
                         "differences in differences, never treated as controls");
  out.estimate.unit_of_sampling = s.clusters.empty() ? "unit" : "cluster";
  out.estimate.n_effective = static_cast<double>(clusters);
  out.standard_error = std::sqrt(variance);
  two_way(p, clusters, out);
  if (out.pretrend_p < 0.05)
    warn_fit(out,
             fmt::format("before the treatment the treated already moved otherwise (joint p {:.3g}): they would not "
                         "have moved alike without it",
                         out.pretrend_p));
  if (clusters < 30) warn_fit(out, fmt::format("{} clusters: the interval may be too short", clusters));
  if (out.dropped > 0)
    warn_fit(out, fmt::format("{} units are left out: they miss a period, or were treated in the first", out.dropped));
  return out;
}

}  // namespace plumbline::counterfactual::effects
