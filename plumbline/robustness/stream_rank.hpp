#pragma once
/// Conformal p-values of a stream: how extreme is each new row among all rows so far? Uniform and independent as long
/// as the stream comes from the law of the reference, whatever that law is.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace plumbline::robustness {

/// Smoothed conformal p-value of a score against reference scores, ascending: (#{r > x} + u (1 + #{r = x})) / (n + 1).
/// Small where x is large. Uniform on (0, 1) when x is exchangeable with the reference and u is uniform, ties included.
/// Precondition: 0 < u < 1. O(log n).
double smoothed_p(std::span<const double> ascending, double x, double u);

/// An urn of groups. Where n reference scores cut the line into n + 1 intervals and each has one ball, the intervals in
/// which later scores fall are Polya draws: the interval of each is drawn from the balls, and one ball is added. So the
/// whole past is in the counts, and intervals may be merged to groups.
///
/// Question  how extreme is this row among the reference and all rows before it?
/// Formula   p = (balls in lower groups + u * balls in this one) / all balls, then one ball more in this group. Without
///           a reference the row counts as one of the balls: (lower + u (this + 1)) / (all + 1).
/// Returns   p-values that are independent and uniform if reference and stream are exchangeable, to any length.
/// Assumes   u uniform and independent of all else. With an urn of no reference (`of_nothing`) the groups must be fixed
///           before the stream; then it says whether the stream stays like itself.
/// Cost      O(log groups) a row, O(groups) memory whatever the length. Deterministic.
/// Source    Vovk, Gammerman, Shafer, "Algorithmic learning in a random world", 2005, theorem 8.2; the urn is the
///           sequential form of ranks among a growing bag (Blackwell, MacQueen 1973).
class RankUrn {
 public:
  /// Groups of an urn that knows n reference scores: at most `groups`, nearly equal.
  static RankUrn of_reference(std::size_t n, std::size_t groups = 256);
  static RankUrn of_nothing(std::size_t groups);

  std::size_t groups() const { return balls_.size(); }
  std::uint64_t balls() const { return all_; }
  /// For an urn of a reference: the row whose smoothed_p against it is `p`. Precondition: 0 < p < 1.
  double next(double p);
  /// Precondition: group < groups(), 0 < u < 1.
  double next(std::size_t group, double u);
  /// Forgets everything: what comes from now on is the reference. Groups stay.
  void forget();
  bool operator==(const RankUrn&) const = default;

 private:
  explicit RankUrn(std::vector<std::uint64_t> balls);
  std::uint64_t below(std::size_t group) const;
  void add(std::size_t group, std::uint64_t balls);

  std::vector<std::uint64_t> balls_;  // in each group
  std::vector<std::uint64_t> tree_;   // their sums, as a binary indexed tree
  std::uint64_t all_ = 0;
  std::uint64_t reference_ = 0;  // intervals that the reference cuts; 0: the groups are fixed otherwise
  bool knows_ = false;           // the reference's balls are in the urn
};

}  // namespace plumbline::robustness
