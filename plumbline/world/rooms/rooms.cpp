#include "plumbline/world/rooms/rooms.hpp"

#include <algorithm>
#include <vector>

namespace plumbline::world {

std::int32_t first_move(const Board& board, int from, int to, std::span<const int> avoid) {
  if (from == to) return kStay;
  // Distances to the goal, breadth first.
  std::vector<int> distance(static_cast<std::size_t>(board.size()), -1);
  std::vector<int> queue = {to};
  distance[static_cast<std::size_t>(to)] = 0;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    for (std::int32_t move = kUp; move <= kRight; ++move) {
      const int next = board.neighbour(queue[i], move);
      if (next < 0 || board.wall(next) || distance[static_cast<std::size_t>(next)] >= 0) continue;
      if (next != from && std::find(avoid.begin(), avoid.end(), next) != avoid.end()) continue;
      distance[static_cast<std::size_t>(next)] = distance[static_cast<std::size_t>(queue[i])] + 1;
      queue.push_back(next);
    }
  }
  std::int32_t best = kStay;
  int least = -1;
  for (std::int32_t move = kUp; move <= kRight; ++move) {
    const int next = board.neighbour(from, move);
    if (next < 0 || distance[static_cast<std::size_t>(next)] < 0) continue;
    if (least < 0 || distance[static_cast<std::size_t>(next)] < least) {
      least = distance[static_cast<std::size_t>(next)];
      best = move;
    }
  }
  return best;
}

DialSpec past_dial() {
  return {"past", 0, 0, 1, true, false, "1: the time before, from where the person started; 0: the machine's time",
          {0, 1}};
}

}  // namespace plumbline::world
