#pragma once
/// A table of Hamilton-Jacobi as a fallback: any control while its value is above a margin, the best one otherwise.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/reach/hamilton_jacobi.hpp"

namespace plumbline::reach {

/// Writes and reads a table: "PLHJTAB1", SHA-256 of the rest, the game's text, values as doubles, little endian.
/// Errors kIo; kParse: not such a file, cut short or changed; those of parse_game(). kLimit.
base::Status write_table(const ValueTable& table, const std::string& path);
base::Result<ValueTable> read_table(const std::string& path);
/// Whether a file begins as a table does. Errors kIo.
base::Result<bool> is_table(const std::string& path);
base::Result<ValueTable> parse_table(std::string_view bytes, const std::string& name);

/// The least restrictive filter (Fisac et al., A general safety framework for learning-based control in uncertain
/// robotic systems, IEEE Trans. Automatic Control 64, 2019). Holds the table; thread-safe.
class SafetyFilter {
 public:
  /// Errors kValue: margin below 0 or not finite; a game without controls.
  static base::Result<SafetyFilter> make(ValueTable table, double margin);

  const AvoidGame& game() const { return table_.game; }
  double margin() const { return margin_; }

  /// V at a state, multilinear between nodes; minus infinity beyond the grid and for a state that is not finite:
  /// nothing is known there. Precondition: one number for each axis.
  double value(std::span<const double> state) const;
  /// V is above the margin: any control is good for now.
  bool safe(std::span<const double> state) const { return value(state) > margin_; }
  /// argmax over u of grad V . f: the control that gets away best. Each control is one end of its range (the middle
  /// where it has no effect). Beyond the grid, that of the nearest edge.
  std::vector<double> action(std::span<const double> state) const;
  /// min over d of grad V . f at a state for one control: how fast V can be made to fall against it. Beyond the grid,
  /// at the nearest edge. Preconditions: sizes.
  double rate(std::span<const double> state, std::span<const double> control) const;
  /// The wish, held within the ranges, where the state is safe; action() elsewhere. `stepped_in` says which.
  std::vector<double> filter(std::span<const double> state, std::span<const double> wish,
                             bool* stepped_in = nullptr) const;

 private:
  SafetyFilter(ValueTable table, double margin) : table_(std::move(table)), margin_(margin) {}
  std::vector<double> gradient(std::span<const double> state) const;
  std::vector<double> on_grid(std::span<const double> state) const;

  ValueTable table_;
  double margin_ = 0;
};

}  // namespace plumbline::reach
