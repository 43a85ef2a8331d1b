#pragma once
/// Small boards: cells as text, four moves, walls. Cells are numbered row by row.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plumbline::world {

/// The four moves of every board, in this order; a fifth action, where a world has it, is to stay.
enum Move : std::int32_t { kUp = 0, kDown = 1, kLeft = 2, kRight = 3, kStay = 4 };
inline const std::vector<std::string>& four_moves() {
  static const std::vector<std::string> names = {"up", "down", "left", "right"};
  return names;
}
inline const std::vector<std::string>& five_moves() {
  static const std::vector<std::string> names = {"up", "down", "left", "right", "stay"};
  return names;
}

/// A board drawn as lines of equal length: '#' is a wall, everything else is the world's to read.
class Board {
 public:
  explicit Board(const std::vector<std::string_view>& lines);
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  int size() const { return rows_ * columns_; }
  int cell(int row, int column) const { return row * columns_ + column; }
  int row(int cell) const { return cell / columns_; }
  int column(int cell) const { return cell % columns_; }
  char at(int cell) const { return text_[static_cast<std::size_t>(cell)]; }
  bool wall(int cell) const { return at(cell) == '#'; }
  /// The cell of the first such character; -1 when there is none.
  int find(char c) const;
  /// The neighbour in a direction, -1 beyond the edge. kStay: the cell itself.
  int neighbour(int cell, std::int32_t move) const {
    return next_[static_cast<std::size_t>(cell)][static_cast<std::size_t>(move)];
  }
  /// Where a walker ends: the neighbour, or the same cell before a wall or the edge.
  int walk(int cell, std::int32_t move) const {
    const int next = neighbour(cell, move);
    return next < 0 || wall(next) ? cell : next;
  }
  /// Lines of text with some cells drawn over.
  std::string render(const std::vector<std::pair<int, char>>& over) const;

 private:
  int rows_;
  int columns_;
  std::string text_;
  std::vector<std::array<int, 5>> next_;
};

}  // namespace plumbline::world
