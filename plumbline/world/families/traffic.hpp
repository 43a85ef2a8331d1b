#pragma once
/// Car following on one lane, and what it takes to enter a lane without a crash.

#include <algorithm>
#include <cmath>

namespace plumbline::world::traffic {

inline constexpr double kFreeSpeed = 15;    ///< m/s
inline constexpr double kHeadway = 1.5;     ///< s, kept to the car ahead
inline constexpr double kStandGap = 2;      ///< m, between bumpers at rest
inline constexpr double kAccelerate = 1.5;  ///< m/s^2
inline constexpr double kBrake = 2;         ///< m/s^2, comfortable
inline constexpr double kHardest = 8;       ///< m/s^2, full braking
inline constexpr double kCarLength = 5;     ///< m

/// Question: how does a driver at `speed` accelerate, `gap` metres behind the bumper of a car at speed - closing?
/// Formula:  a (1 - (v / v0)^4 - (s* / s)^2),  s* = s0 + max(0, v T + v dv / (2 sqrt(a b))), not below full braking.
/// Returns   m/s^2. A gap below 0.1 m counts as 0.1 m.
/// Source    Treiber, Hennecke, Helbing, "Congested traffic states in empirical observations and microscopic
///           simulations", Physical Review E 62, 2000: the intelligent driver model.
inline double follow(double speed, double gap, double closing) {
  static const double kMixed = 2 * std::sqrt(kAccelerate * kBrake);
  const double share = speed / kFreeSpeed;
  const double wished = kStandGap + std::max(0.0, speed * kHeadway + speed * closing / kMixed);
  const double crowding = wished / std::max(gap, 0.1);
  return std::max(-kHardest, kAccelerate * (1 - share * share * share * share - crowding * crowding));
}

/// Whether the car behind can avoid the car ahead: the gap is at least 1 m, and the braking that takes off the
/// difference in speed over the gap, dv^2 / (2 s), is at most 4 m/s^2.
inline bool avoids(double gap, double speed_behind, double speed_ahead) {
  const double closing = std::max(0.0, speed_behind - speed_ahead);
  return gap >= 1 && closing * closing <= 2 * 4 * gap;
}

}  // namespace plumbline::world::traffic
