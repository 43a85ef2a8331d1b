#pragma once
/// Detectors of drift in a stream, each with a stated rate of false alarms: bets against uniform p-values, CUSUM on
/// normal scores, and a window that adapts. All are values: small, comparable, a function of what they were given.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::robustness {

/// What a threshold of c promises while nothing changes.
enum class FalseAlarms {
  kEver,      ///< P(an alarm, however long the stream) <= 1 / c; one alarm and it stops
  kRunLength  ///< alarms among N rows: at most N / c expected; begins anew after each
};

/// Question  do these p-values come from a law other than the uniform one?
/// Formula   a capital on each of seven bets f_e(p): 1, 1 + s (p - 1/2) for s = -1.8, -0.9, 0.9, 1.8 (place), and
///           1 + s (12 (p - 1/2)^2 - 1) for s = -0.45, 0.45 (spread). Before each row a share `jump` of all capital is
///           spread evenly. kEver: the capital, which starts at 1, is a martingale. kRunLength: one unit more is staked
///           before each row (Shiryaev-Roberts), so that capital less the rows so far is one.
/// Returns   add(): whether the capital reached the threshold at this row. kRunLength then starts from nothing.
/// Assumes   p-values independent and uniform while nothing changes, as those of RankUrn are.
/// Bounds    kEver: Ville's inequality. kRunLength: optional stopping; the mean time to an alarm is at least c.
/// Errors    make: kValue: threshold not above 1 or not finite, jump outside [0, 1).
/// Cost      30 operations a row. No random numbers.
/// Source    Vovk, "Testing randomness online", Statistical Science 2021; Vovk et al., "Retrain or not retrain", COPA
///           2021 (jumping); Shin, Ramdas, Rinaldo, "E-detectors", 2022.
class BettingDetector {
 public:
  static constexpr std::size_t kBets = 7;
  static base::Result<BettingDetector> make(FalseAlarms promise, double threshold, double jump = 0.01);

  bool add(double p);
  double log_capital() const;  ///< natural; minus infinity before the first row of kRunLength
  double threshold() const { return threshold_; }
  /// kEver: the largest capital so far, as a p-value that holds at any time: min(1, 1 / it).
  double p_value() const;
  void restart();
  bool operator==(const BettingDetector&) const = default;

 private:
  BettingDetector(FalseAlarms promise, double threshold, double jump);
  FalseAlarms promise_;
  double threshold_;
  double jump_;
  std::array<double, kBets> capital_{};
  double log_unit_ = 0;  // of which capital_ is a multiple, so that a long stream neither overflows nor vanishes
  double log_most_ = 0;
};

/// One bet's factor, for tests and pictures. Precondition: bet < BettingDetector::kBets.
double bet_factor(std::size_t bet, double p);

/// CUSUM of both sides: up = max(0, up + z - k), down = max(0, down - z - k); an alarm above the threshold, then both
/// start from 0. With a known mean this is the test of Page and Hinkley, whose distance to the least sum so far is
/// `up`. Assumes   z independent standard normal while nothing changes: the normal score -Phi^-1(p) of a conformal
/// p-value is. Errors    make: kValue: allowance negative, threshold not above 0, not finite. Source    Page 1954.
class CusumDetector {
 public:
  static base::Result<CusumDetector> make(double allowance, double threshold);
  bool add(double z);
  bool add_p(double p);  ///< the normal score of a p-value
  double statistic() const { return up_ > down_ ? up_ : down_; }
  double threshold() const { return threshold_; }
  void restart() { up_ = down_ = 0; }
  bool operator==(const CusumDetector&) const = default;

 private:
  CusumDetector(double allowance, double threshold) : allowance_(allowance), threshold_(threshold) {}
  double allowance_;
  double threshold_;
  double up_ = 0;
  double down_ = 0;
};

/// Mean rows to an alarm of CusumDetector on normal rows of mean `shift` and deviation 1.
/// Formula   of one side L(s) = 1 + L(0) Phi(k - s - m) + int_0^h L(y) phi(y + k - s - m) dy, by 40 Gauss-Legendre
/// nodes;
///           both sides: 1 / L = 1 / L_up + 1 / L_down.
/// Errors    kValue: as make; shift not finite; a threshold above 100.
/// Source    Page 1954; van Dobben de Bruyn 1968.
base::Result<double> cusum_run_length(double allowance, double threshold, double shift = 0);
/// The threshold at which it is `run_length` without a shift. Errors kValue: run_length outside [3, 1e12]; an allowance
/// so small that the threshold is above 100.
base::Result<double> cusum_threshold(double allowance, double run_length);

enum class AdwinBound {
  kHoeffding,  ///< a cut among rows of one mean has probability at most delta at each look, whatever the law on [0, 1]
  kNormal      ///< with the variance seen, as most programs do: nearer, and right for large windows only
};

/// Window of the latest rows that ADWIN believes to have one mean.
/// Formula   with n rows in the window, a cut into old and new is made where the means differ by at least e, with
///           1/m = 1/n_old + 1/n_new, d = delta / n: Hoeffding e = sqrt(ln(4/d) / 2m); normal, v the variance of the
///           window, e = sqrt(2 v ln(2/d) / m) + 2 ln(2/d) / 3m. The old part is dropped, until no cut is left.
/// Shapes    rows in [0, 1]. Rows are kept as sums over runs of 1, 2, 4, … rows, `runs` of each length at most (exact
///           cuts where runs is as large as the window); every `every` rows it looks.
/// Errors    make: kValue: delta outside (0, 1), runs < 2, every < 1. Precondition of add: 0 <= x <= 1.
/// Cost      O(runs log n) memory and a look; O(1) a row between.
/// Source    Bifet, Gavalda, "Learning from time-changing data with adaptive windowing", SDM 2007, theorem 3.1.
class AdwinDetector {
 public:
  static base::Result<AdwinDetector> make(double delta, AdwinBound bound = AdwinBound::kHoeffding, std::size_t runs = 5,
                                          std::size_t every = 32);
  /// Whether old rows were dropped.
  bool add(double x);
  std::size_t width() const { return width_; }
  double mean() const { return width_ == 0 ? 0 : sum_ / static_cast<double>(width_); }
  /// How near the last look was to a cut: the largest |difference| / e; at least 1 is an alarm.
  double statistic() const { return statistic_; }
  void restart();
  bool operator==(const AdwinDetector&) const = default;

 private:
  struct Run {
    double sum = 0;
    double squares = 0;
    std::size_t rows = 0;
    bool operator==(const Run&) const = default;
  };
  AdwinDetector(double delta, AdwinBound bound, std::size_t runs, std::size_t every)
      : delta_(delta), bound_(bound), runs_(runs), every_(every) {}
  void merge();
  std::optional<std::size_t> cut();

  double delta_;
  AdwinBound bound_;
  std::size_t runs_;
  std::size_t every_;
  std::deque<Run> window_;  // oldest first
  std::size_t width_ = 0;
  double sum_ = 0;
  double squares_ = 0;
  std::size_t since_look_ = 0;
  double statistic_ = 0;
};

}  // namespace plumbline::robustness
