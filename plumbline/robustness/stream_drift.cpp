#include "plumbline/robustness/stream_drift.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::robustness {
namespace {

using base::Code;
using base::make_error;

constexpr std::array<double, 4> kPlace = {-1.8, -0.9, 0.9, 1.8};
constexpr std::array<double, 2> kSpread = {-0.45, 0.45};

}  // namespace

double bet_factor(std::size_t bet, double p) {
  const double gap = p - 0.5;
  if (bet < kPlace.size()) return 1 + kPlace[bet] * gap;
  if (bet < kPlace.size() + kSpread.size()) return 1 + kSpread[bet - kPlace.size()] * (12 * gap * gap - 1);
  return 1;
}

BettingDetector::BettingDetector(FalseAlarms promise, double threshold, double jump)
    : promise_(promise), threshold_(threshold), jump_(jump) {
  restart();
}

base::Result<BettingDetector> BettingDetector::make(FalseAlarms promise, double threshold, double jump) {
  PL_CHECK(base::check_finite("BettingDetector", "threshold", threshold));
  if (!(threshold > 1))
    return make_error(Code::kValue, fmt::format("BettingDetector: threshold is {}, expected above 1", threshold));
  if (!(jump >= 0 && jump < 1))
    return make_error(Code::kValue, fmt::format("BettingDetector: jump is {}, expected in [0, 1)", jump));
  return BettingDetector(promise, threshold, jump);
}

void BettingDetector::restart() {
  capital_.fill(promise_ == FalseAlarms::kEver ? 1.0 / kBets : 0.0);
  log_unit_ = 0;
  log_most_ = 0;
}

bool BettingDetector::add(double p) {
  constexpr double kMany = 1e100;
  const bool ever = promise_ == FalseAlarms::kEver;
  double sum = std::accumulate(capital_.begin(), capital_.end(), 0.0);
  if (!ever) sum += 1;  // the stake of this row
  const double spread = (ever ? jump_ * sum : jump_ * (sum - 1) + 1) / kBets;
  double after = 0;
  for (std::size_t b = 0; b < kBets; ++b) {
    capital_[b] = ((1 - jump_) * capital_[b] + spread) * bet_factor(b, p);
    after += capital_[b];
  }
  if (!ever) {
    if (after < threshold_) return false;
    restart();
    return true;
  }
  if (after > kMany || after < 1 / kMany) {
    for (double& c : capital_) c /= after;
    log_unit_ += std::log(after);
  }
  const double now = log_capital();
  const bool before = log_most_ >= std::log(threshold_);
  log_most_ = std::max(log_most_, now);
  return !before && now >= std::log(threshold_);
}

double BettingDetector::log_capital() const {
  return log_unit_ + std::log(std::accumulate(capital_.begin(), capital_.end(), 0.0));
}

double BettingDetector::p_value() const { return std::exp(-log_most_); }

base::Result<CusumDetector> CusumDetector::make(double allowance, double threshold) {
  PL_CHECK(base::check_finite("CusumDetector", "allowance", allowance));
  if (allowance < 0)
    return make_error(Code::kValue, fmt::format("CusumDetector: allowance is {}, expected at least 0", allowance));
  PL_CHECK(base::check_positive("CusumDetector", "threshold", threshold));
  return CusumDetector(allowance, threshold);
}

bool CusumDetector::add(double z) {
  up_ = std::max(0.0, up_ + z - allowance_);
  down_ = std::max(0.0, down_ - z - allowance_);
  if (statistic() <= threshold_) return false;
  restart();
  return true;
}

bool CusumDetector::add_p(double p) { return add(-stats::normal_quantile(p)); }

namespace {

constexpr std::size_t kNodes = 12;
/// Width of a panel: the kernel is a bell of deviation 1, which 12 nodes follow over 4.
constexpr double kPanel = 4;
/// Above it the system of equations is too large to be solved for a threshold.
constexpr double kHighest = 100;

/// Nodes and weights of Gauss-Legendre on [-1, 1], by Newton's iteration on the recurrence.
struct Rule {
  std::array<double, kNodes> node{};
  std::array<double, kNodes> weight{};
};
const Rule& gauss_legendre() {
  static const Rule rule = [] {
    Rule r;
    constexpr auto n = static_cast<double>(kNodes);
    for (std::size_t i = 0; i < kNodes; ++i) {
      double x = std::cos(M_PI * (static_cast<double>(i) + 0.75) / (n + 0.5));
      double slope = 0;
      for (int step = 0; step < 100; ++step) {
        double previous = 0, value = 1;
        for (std::size_t j = 1; j <= kNodes; ++j) {
          const auto k = static_cast<double>(j);
          previous = std::exchange(value, ((2 * k - 1) * x * value - (k - 1) * previous) / k);
        }
        slope = n * (x * value - previous) / (x * x - 1);
        const double change = value / slope;
        x -= change;
        if (std::abs(change) < 1e-15) break;
      }
      r.node[i] = x;
      r.weight[i] = 2 / ((1 - x * x) * slope * slope);
    }
    return r;
  }();
  return rule;
}

/// Gaussian elimination with row exchange, in place.
std::vector<double> solve(std::vector<std::vector<double>> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t c = 0; c < n; ++c) {
    std::size_t best = c;
    for (std::size_t r = c + 1; r < n; ++r)
      if (std::abs(a[r][c]) > std::abs(a[best][c])) best = r;
    std::swap(a[c], a[best]);
    std::swap(b[c], b[best]);
    for (std::size_t r = c + 1; r < n; ++r) {
      const double factor = a[r][c] / a[c][c];
      for (std::size_t j = c; j < n; ++j) a[r][j] -= factor * a[c][j];
      b[r] -= factor * b[c];
    }
  }
  for (std::size_t c = n; c-- > 0;) {
    for (std::size_t j = c + 1; j < n; ++j) b[c] -= a[c][j] * b[j];
    b[c] /= a[c][c];
  }
  return b;
}

/// Mean run length of the upper side from 0; `shift` moves the rows up. Unknowns: L(0), then L at the nodes.
double one_side(double allowance, double threshold, double shift) {
  const Rule& rule = gauss_legendre();
  const auto density = [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); };
  const auto panels = static_cast<std::size_t>(std::ceil(threshold / kPanel));
  const double width = threshold / static_cast<double>(panels);
  std::vector<double> at = {0.0}, weight = {0.0};
  for (std::size_t panel = 0; panel < panels; ++panel) {
    for (std::size_t i = 0; i < kNodes; ++i) {
      at.push_back(width * (static_cast<double>(panel) + (rule.node[i] + 1) / 2));
      weight.push_back(width * rule.weight[i] / 2);
    }
  }
  std::vector<std::vector<double>> a(at.size(), std::vector<double>(at.size(), 0.0));
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double from = allowance - shift - at[i];
    a[i][0] -= stats::normal_cdf(from);
    for (std::size_t j = 1; j < at.size(); ++j) a[i][j] -= weight[j] * density(at[j] + from);
    a[i][i] += 1;
  }
  return solve(std::move(a), std::vector<double>(at.size(), 1.0))[0];
}

}  // namespace

base::Result<double> cusum_run_length(double allowance, double threshold, double shift) {
  PL_TRY([[maybe_unused]] const CusumDetector fine, CusumDetector::make(allowance, threshold));
  PL_CHECK(base::check_finite("cusum_run_length", "shift", shift));
  PL_CHECK(base::check_in("cusum_run_length", "threshold", threshold, 0, kHighest));
  return 1 / (1 / one_side(allowance, threshold, shift) + 1 / one_side(allowance, threshold, -shift));
}

base::Result<double> cusum_threshold(double allowance, double run_length) {
  PL_CHECK(base::check_in("cusum_threshold", "run_length", run_length, 3, 1e12));
  double low = 0, low_log = 0, high = 1;
  PL_TRY(double reached, cusum_run_length(allowance, high));
  while (reached < run_length) {
    low = high;
    low_log = std::log(reached);
    high *= 1.5;
    if (high > kHighest)
      return make_error(
          Code::kValue,
          fmt::format(
              "cusum_threshold: no threshold up to {} is known to have a mean run length of {} at an allowance of {}",
              kHighest, run_length, allowance),
          {}, "Raise the allowance: half of the shift that should be found soonest");
    PL_TRY(reached, cusum_run_length(allowance, high));
  }
  // The logarithm of the run length is nearly a line in the threshold.
  double high_log = std::log(reached);
  const double wanted = std::log(run_length);
  for (int step = 0; step < 60 && high_log - wanted > 1e-8 && high - low > 1e-9 * high; ++step) {
    const double line = low + (high - low) * (wanted + 1e-9 - low_log) / (high_log - low_log);
    const double middle = step % 3 == 2 ? (low + high) / 2 : line;
    PL_TRY(reached, cusum_run_length(allowance, middle));
    if (reached < run_length) {
      low = middle;
      low_log = std::log(reached);
    } else {
      high = middle;
      high_log = std::log(reached);
    }
  }
  return high;
}

base::Result<AdwinDetector> AdwinDetector::make(double delta, AdwinBound bound, std::size_t runs, std::size_t every) {
  PL_CHECK(base::check_in_open("AdwinDetector", "delta", delta, 0, 1));
  PL_CHECK(base::check_at_least("AdwinDetector", "runs", static_cast<std::ptrdiff_t>(runs), 2));
  PL_CHECK(base::check_at_least("AdwinDetector", "every", static_cast<std::ptrdiff_t>(every), 1));
  return AdwinDetector(delta, bound, runs, every);
}

void AdwinDetector::restart() {
  window_.clear();
  width_ = since_look_ = 0;
  sum_ = squares_ = statistic_ = 0;
}

/// Two oldest runs of a length that has too many become one, from the shortest up.
void AdwinDetector::merge() {
  std::size_t end = window_.size();  // one past the last run of this length
  while (end > 0) {
    std::size_t begin = end;
    while (begin > 0 && window_[begin - 1].rows == window_[end - 1].rows) --begin;
    if (end - begin <= runs_) return;
    Run& first = window_[begin];
    const Run& second = window_[begin + 1];
    first = {first.sum + second.sum, first.squares + second.squares, first.rows + second.rows};
    window_.erase(window_.begin() + static_cast<std::ptrdiff_t>(begin) + 1);
    end = begin + 1;
  }
}

/// Runs to drop: the longest old part whose mean differs. Also notes how near a cut was.
std::optional<std::size_t> AdwinDetector::cut() {
  const auto n = static_cast<double>(width_);
  const double variance = std::max(0.0, squares_ / n - mean() * mean());
  const double tail = bound_ == AdwinBound::kHoeffding ? std::log(4 * n / delta_) : std::log(2 * n / delta_);
  std::optional<std::size_t> found;
  double old_sum = 0, old_rows = 0;
  for (std::size_t i = 0; i + 1 < window_.size(); ++i) {
    old_sum += window_[i].sum;
    old_rows += static_cast<double>(window_[i].rows);
    const double new_rows = n - old_rows;
    const double inverse = 1 / old_rows + 1 / new_rows;
    const double gap = std::abs(old_sum / old_rows - (sum_ - old_sum) / new_rows);
    const double bound = bound_ == AdwinBound::kHoeffding
                             ? std::sqrt(inverse * tail / 2)
                             : std::sqrt(2 * variance * tail * inverse) + 2 * tail * inverse / 3;
    const double ratio = gap / bound;
    statistic_ = std::max(statistic_, ratio);
    if (ratio >= 1) found = i + 1;
  }
  return found;
}

bool AdwinDetector::add(double x) {
  window_.push_back({x, x * x, 1});
  ++width_;
  sum_ += x;
  squares_ += x * x;
  merge();
  if (++since_look_ < every_) return false;
  since_look_ = 0;
  statistic_ = 0;
  bool dropped = false;
  while (const auto runs = cut()) {
    for (std::size_t i = 0; i < *runs; ++i) {
      width_ -= window_.front().rows;
      window_.pop_front();
    }
    // Anew, not by subtraction: rounding would pile up.
    sum_ = squares_ = 0;
    for (const Run& run : window_) {
      sum_ += run.sum;
      squares_ += run.squares;
    }
    dropped = true;
  }
  return dropped;
}

}  // namespace plumbline::robustness
