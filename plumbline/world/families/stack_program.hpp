#pragma once
/// Programs of a stack machine with four instructions and one input. A program is a number in base 4, the first
/// instruction in the highest place, beside its length.

#include <array>
#include <cstddef>
#include <cstdint>

namespace plumbline::world::stack_program {

enum Op : std::int32_t { kX = 0, kOne = 1, kAdd = 2, kMultiply = 3 };
inline constexpr int kOps = 4;
inline constexpr int kMost = 6;  ///< instructions

/// How many programs have at most `most` instructions.
inline std::size_t programs(int most) {
  std::size_t n = 0;
  std::size_t of_length = 1;
  for (int k = 0; k <= most; ++k, of_length *= kOps) n += of_length;
  return n;
}
/// Injective over programs of all lengths: the shorter ones come first.
inline std::size_t index(std::uint32_t code, int length) { return (length == 0 ? 0 : programs(length - 1)) + code; }

inline int at(std::uint32_t code, int length, int slot) {
  return static_cast<int>((code >> (2U * static_cast<unsigned>(length - 1 - slot))) & 3U);
}

/// What the program leaves on top of the stack; 0 for an empty one. An operand that is missing counts as 0.
inline std::int64_t run(std::uint32_t code, int length, std::int64_t x) {
  std::array<std::int64_t, kMost + 1> stack{};
  std::size_t top = 0;  // entries above the zeros at the bottom
  const auto pop = [&] { return top > 0 ? stack[--top] : 0; };
  for (int slot = 0; slot < length; ++slot) {
    switch (at(code, length, slot)) {
      case kX: stack[top++] = x; break;
      case kOne: stack[top++] = 1; break;
      case kAdd: {
        const std::int64_t b = pop();
        const std::int64_t a = pop();
        stack[top++] = a + b;
        break;
      }
      default: {
        const std::int64_t b = pop();
        const std::int64_t a = pop();
        stack[top++] = a * b;
      }
    }
  }
  return pop();
}

/// Hidden properties on x = 4 .. 15: positive 0.1, growing 0.2, second difference 2 everywhere 0.3, equal to
/// x^2 + 1 everywhere 0.4.
inline double quality(std::uint32_t code, int length) {
  std::array<std::int64_t, 12> y{};
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = run(code, length, static_cast<std::int64_t>(i) + 4);
  bool positive = true;
  bool grows = true;
  bool curved = true;
  bool right = true;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const auto x = static_cast<std::int64_t>(i) + 4;
    positive = positive && y[i] > 0;
    right = right && y[i] == x * x + 1;
    if (i >= 1) grows = grows && y[i] > y[i - 1];
    if (i >= 2) curved = curved && y[i] - 2 * y[i - 1] + y[i - 2] == 2;
  }
  return (positive ? 0.1 : 0) + (grows ? 0.2 : 0) + (curved ? 0.3 : 0) + (right ? 0.4 : 0);
}

}  // namespace plumbline::world::stack_program
