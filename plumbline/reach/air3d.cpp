#include "plumbline/reach/air3d.hpp"

#include <cmath>

#include <fmt/format.h>

namespace plumbline::reach {
namespace {

constexpr double kSpeed = 5;
constexpr double kRadius = 5;
constexpr double kTurn = 2 * 3.141592653589793;
constexpr double kStep = 0.01;
constexpr double kSingular = 0.3;  // below: the pursuer's switch is nearly zero at the start, the arc not bang-bang
constexpr double kSkipped = 0.3;   // at first the point lies on the cylinder itself

/// State and costate: x, y, heading, p1, p2, p3.
using Point = std::array<double, 6>;

/// Backwards in time under fixed controls.
Point rate(const Point& z, double u, double d) {
  return {-(-kSpeed + kSpeed * std::cos(z[2]) + u * z[1]),
          -(kSpeed * std::sin(z[2]) - u * z[0]),
          -(d - u),
          -u * z[4],
          u * z[3],
          kSpeed * (-z[3] * std::sin(z[2]) + z[4] * std::cos(z[2]))};
}

Point moved(const Point& z, const Point& k, double h) {
  Point out;
  for (std::size_t i = 0; i < z.size(); ++i) out[i] = z[i] + h * k[i];
  return out;
}

Point advanced(const Point& z, double u, double d) {
  const Point k1 = rate(z, u, d);
  const Point k2 = rate(moved(z, k1, kStep / 2), u, d);
  const Point k3 = rate(moved(z, k2, kStep / 2), u, d);
  const Point k4 = rate(moved(z, k3, kStep), u, d);
  Point out;
  for (std::size_t i = 0; i < z.size(); ++i) out[i] = z[i] + kStep / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
  return out;
}

/// What the avoider's control multiplies in the Hamiltonian.
double avoiders_switch(const Point& z) { return z[3] * z[1] - z[4] * z[0] - z[5]; }

}  // namespace

std::string air3d_text(std::size_t x, std::size_t y, std::size_t heading, double horizon) {
  return fmt::format(R"([game]
name = "Air3D"
horizon = {}

[constants]
speed = 5
radius = 5

[grid]
x = {{ low = -6, high = 20, points = {} }}
y = {{ low = -10, high = 10, points = {} }}
heading = {{ low = 0, high = "2*pi", points = {}, periodic = true }}

[control]
u = [-1, 1]

[disturbance]
d = [-1, 1]

[dynamics]
x = "-speed + speed*cos(heading) + u*y"
y = "speed*sin(heading) - u*x"
heading = "d - u"

[avoid]
distance = "sqrt(x^2 + y^2) - radius"
)",
                     horizon, x, y, heading);
}

std::vector<std::array<double, 3>> air3d_barrier(double time, std::size_t starts) {
  std::vector<std::array<double, 3>> out;
  for (std::size_t k = 1; k < starts; ++k) {
    const double heading = kTurn * static_cast<double>(k) / static_cast<double>(starts);
    for (const double side : {-1.0, 1.0}) {
      // On the boundary of the usable part the relative speed is tangential: the normal is at right angles to it.
      const double a = kSpeed * (std::cos(heading) - 1);
      const double b = kSpeed * std::sin(heading);
      const double size = std::hypot(a, b);
      const double n1 = side * b / size;
      const double n2 = -side * a / size;
      Point z = {kRadius * n1, kRadius * n2, heading, n1, n2, 0};
      // Both switches start at zero: where they go at once says how both play.
      const double pursuit = rate(z, 0, 0)[5];
      if (std::abs(pursuit) < kSingular) continue;
      const double d = pursuit > 0 ? -1 : 1;
      double u = 0;
      for (const double guess : {-1.0, 1.0}) {
        if (avoiders_switch(moved(z, rate(z, guess, d), 1e-4)) * guess > 0) u = guess;
      }
      if (u == 0) continue;
      for (double tau = kStep; tau < time; tau += kStep) {
        z = advanced(z, u, d);
        if (avoiders_switch(z) * u < 0 || z[5] * d > 0) break;
        if (tau > kSkipped) out.push_back({z[0], z[1], z[2]});
      }
    }
  }
  return out;
}

}  // namespace plumbline::reach
