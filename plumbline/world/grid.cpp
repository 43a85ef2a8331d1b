#include "plumbline/world/grid.hpp"

#include "plumbline/base/result.hpp"

namespace plumbline::world {

Board::Board(const std::vector<std::string_view>& lines)
    : rows_(static_cast<int>(lines.size())), columns_(static_cast<int>(lines.empty() ? 0 : lines[0].size())) {
  for (const std::string_view line : lines) {
    base::ensure(static_cast<int>(line.size()) == columns_, "a board's lines differ in length");
    text_ += line;
  }
  next_.resize(static_cast<std::size_t>(size()));
  for (int c = 0; c < size(); ++c) {
    std::array<int, 5>& next = next_[static_cast<std::size_t>(c)];
    next[kUp] = row(c) > 0 ? c - columns_ : -1;
    next[kDown] = row(c) + 1 < rows_ ? c + columns_ : -1;
    next[kLeft] = column(c) > 0 ? c - 1 : -1;
    next[kRight] = column(c) + 1 < columns_ ? c + 1 : -1;
    next[kStay] = c;
  }
  walk_ = next_;
  for (int c = 0; c < size(); ++c) {
    for (int& target : walk_[static_cast<std::size_t>(c)]) {
      if (target < 0 || wall(target)) target = c;
    }
  }
}

Scene::Scene(const std::vector<std::string_view>& lines, std::string_view marks) : Board(lines) {
  for (int c = 0; c < size(); ++c) {
    const std::size_t code = marks.find(at(c));
    codes_.push_back(code == std::string_view::npos ? 0.0F : static_cast<float>(code));
  }
}

int Board::find(char c) const {
  const std::size_t place = text_.find(c);
  return place == std::string::npos ? -1 : static_cast<int>(place);
}

std::int32_t Arrows::at(int cell) const {
  switch (board_.at(cell)) {
    case 'v': return kDown;
    case '<': return kLeft;
    case '>': return kRight;
    case '.': return kStay;
    default: return kUp;
  }
}

std::vector<std::int32_t> moves_of(std::string_view letters) {
  constexpr std::string_view kLetters = "UDLRS";
  std::vector<std::int32_t> moves;
  for (const char letter : letters) {
    const std::size_t place = kLetters.find(letter);
    base::ensure(place != std::string_view::npos, "a move that is none of U, D, L, R, S");
    moves.push_back(static_cast<std::int32_t>(place));
  }
  return moves;
}

std::string Board::render(const std::vector<std::pair<int, char>>& over) const {
  std::string cells = text_;
  for (const auto& [cell, mark] : over) cells[static_cast<std::size_t>(cell)] = mark;
  std::string out;
  for (int r = 0; r < rows_; ++r) {
    out += cells.substr(static_cast<std::size_t>(r * columns_), static_cast<std::size_t>(columns_));
    out += '\n';
  }
  return out;
}

}  // namespace plumbline::world
