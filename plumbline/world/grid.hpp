#pragma once
/// Small boards: cells as text, four moves, walls. Cells are numbered row by row.

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
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
    return walk_[static_cast<std::size_t>(cell)][static_cast<std::size_t>(move)];
  }
  /// Lines of text with some cells drawn over.
  std::string render(const std::vector<std::pair<int, char>>& over) const;

 private:
  int rows_;
  int columns_;
  std::string text_;
  std::vector<std::array<int, 5>> next_;
  std::vector<std::array<int, 5>> walk_;
};

/// A board with the observation of what never moves: each cell's code is the place of its mark in `marks` (0 for marks
/// that are not there). Things that move are written over a copy.
class Scene : public Board {
 public:
  Scene(const std::vector<std::string_view>& lines, std::string_view marks);
  void copy(float* cells) const { std::memcpy(cells, codes_.data(), codes_.size() * sizeof(float)); }

 private:
  std::vector<float> codes_;
};

/// A policy written as a board of arrows: '^', 'v', '<', '>' and '.' for staying; anything else goes up.
class Arrows {
 public:
  explicit Arrows(const std::vector<std::string_view>& lines) : board_(lines) {}
  std::int32_t at(int cell) const;

 private:
  Board board_;
};

/// Moves as letters: U, D, L, R, S (stay).
std::vector<std::int32_t> moves_of(std::string_view letters);

}  // namespace plumbline::world
