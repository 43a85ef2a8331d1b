#include "plumbline/robustness/attack/tracker.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace plumbline::robustness {

Tracker::Tracker(const AttackSetting& setting, std::span<const AttackCase> cases, const base::Rng& rng)
    : setting_(setting), cases_(cases), rng_(rng), outcomes_(cases.size()) {
  const Threat& threat = *setting.threat;
  for (const AttackCase& example : cases) {
    regions_.push_back({.norm = threat.norm,
                        .centre = {example.x.begin(), example.x.end()},
                        .epsilon = threat.epsilon,
                        .low = threat.low,
                        .high = threat.high,
                        .unit = {}});
  }
}

std::vector<double> Tracker::margins(const Pass& pass, std::span<const std::size_t> of) const {
  const std::size_t k = classes();
  std::vector<double> out;
  for (std::size_t r = 0; r < of.size(); ++r)
    out.push_back(class_margin(std::span(pass.scores).subspan(r * k, k), cases_[of[r]].label));
  return out;
}

base::Result<Pass> Tracker::look(std::span<const double> rows, std::span<const std::size_t> of) {
  PL_CHECK(setting_.cancel.status());
  const Target& target = *setting_.target;
  std::vector<base::Rng> noise;
  if (target.random()) {
    // By example and count of evaluations, so that the draw does not depend on the rows beside it.
    std::vector<std::uint64_t> asked(cases_.size(), 0);
    for (const std::size_t c : of) noise.push_back(rng(c).fork("noise").fork(outcomes_[c].queries + asked[c]++));
  }
  PL_TRY(Pass pass, target.forward(rows, of.size(), noise));
  const std::size_t n = inputs();
  const std::vector<double> margin = margins(pass, of);
  const double epsilon = setting_.threat->epsilon;
  for (std::size_t r = 0; r < of.size(); ++r) {
    AttackOutcome& out = outcomes_[of[r]];
    out.queries += target.evaluations();
    const auto row = rows.subspan(r * n, n);
    const bool wrong = this->wrong(margin[r]);
    if (!wrong && margin[r] >= out.margin) continue;
    double size = distance(setting_.threat->norm, row, cases_[of[r]].x);
    if (size > epsilon && size <= epsilon * (1 + kSizeSlack)) size = epsilon;
    const bool within = size <= epsilon;
    if (within) out.margin = std::min(out.margin, margin[r]);
    if (wrong && within && !out.found) {
      out.found = true;
      out.queries_to_success = out.queries;
      out.gradients_to_success = out.gradients;
    }
    const bool keep = wrong ? size < out.size : (within && out.size == std::numeric_limits<double>::infinity());
    if (!keep) continue;
    if (wrong) out.size = size;
    out.x.assign(row.begin(), row.end());
  }
  return pass;
}

base::Result<std::vector<double>> Tracker::gradient(const Pass& pass, std::span<const double> seeds,
                                                    std::span<const std::size_t> of) {
  PL_TRY(std::vector<double> gradient, setting_.target->backward(pass, seeds));
  const std::size_t n = inputs();
  const std::size_t each = setting_.target->evaluations();
  for (std::size_t r = 0; r < of.size(); ++r) {
    AttackOutcome& out = outcomes_[of[r]];
    const auto row = std::span<double>(gradient).subspan(r * n, n);
    // What is no number points nowhere.
    for (double& g : row) g = std::isfinite(g) ? g : 0.0;
    if (out.gradients == 0) out.flat_start = std::all_of(row.begin(), row.end(), [](double g) { return g == 0; });
    out.gradients += each;
  }
  return gradient;
}

std::vector<int> rival_classes(std::span<const double> scores, int label, int count) {
  std::vector<int> order;
  for (int j = 0; j < static_cast<int>(scores.size()); ++j) {
    if (j != label) order.push_back(j);
  }
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  if (static_cast<int>(order.size()) > count) order.resize(static_cast<std::size_t>(count));
  return order;
}

base::Result<std::vector<double>> scores_at_examples(Tracker& tracker) {
  std::vector<double> rows;
  std::vector<std::size_t> of(tracker.size());
  std::iota(of.begin(), of.end(), std::size_t{0});
  for (const std::size_t c : of) rows.insert(rows.end(), tracker.example(c).x.begin(), tracker.example(c).x.end());
  PL_TRY(Pass pass, tracker.look(rows, of));
  return std::move(pass.scores);
}

}  // namespace plumbline::robustness
