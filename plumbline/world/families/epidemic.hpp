#pragma once
/// An epidemic among four age groups: susceptible, exposed, infectious, removed, in steps of a day.

#include <array>
#include <cstddef>

namespace plumbline::world::epidemic {

inline constexpr std::size_t kAges = 4;
using ByAge = std::array<double, kAges>;

inline constexpr ByAge kPeople = {0.2, 0.35, 0.3, 0.15};  ///< shares of the population
inline constexpr ByAge kSevere = {0.1, 0.4, 1.5, 6};      ///< harm of one infection
/// Contacts of a person of one age (row) with infectious persons of another, relative; rows weighed by the people of
/// the columns' ages are near 1.
inline constexpr std::array<ByAge, kAges> kContacts = {
    {{0.8, 0.4, 0.2, 0.1}, {0.25, 0.5, 0.25, 0.08}, {0.12, 0.3, 0.4, 0.15}, {0.1, 0.2, 0.3, 0.3}}};
inline constexpr double kOnset = 1.0 / 3;     ///< share of the exposed that turn infectious in a day
inline constexpr double kRecovery = 1.0 / 5;  ///< share of the infectious that are removed in a day

struct Course {
  ByAge susceptible;
  ByAge exposed;
  ByAge infectious;
  ByAge removed;
};

/// Question: one day, `rate` infections a day from one infectious contact; how many are newly infected, by age?
/// Formula:  new_a = S_a min(1, rate sum_b C_ab I_b / n_b),  E += new - sE,  I += sE - gI,  R += gI.
/// Shapes    changes `course`; each age's total stays what it was.
inline ByAge day(Course& course, double rate) {
  ByAge fresh{};
  for (std::size_t a = 0; a < kAges; ++a) {
    double force = 0;
    for (std::size_t b = 0; b < kAges; ++b) force += kContacts[a][b] * course.infectious[b] / kPeople[b];
    force *= rate;
    fresh[a] = course.susceptible[a] * (force < 1 ? force : 1);
  }
  for (std::size_t a = 0; a < kAges; ++a) {
    const double onset = kOnset * course.exposed[a];
    const double over = kRecovery * course.infectious[a];
    course.susceptible[a] -= fresh[a];
    course.exposed[a] += fresh[a] - onset;
    course.infectious[a] += onset - over;
    course.removed[a] += over;
  }
  return fresh;
}

}  // namespace plumbline::world::epidemic
