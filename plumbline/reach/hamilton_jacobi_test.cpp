// Hamilton-Jacobi tables against the double integrator's closed form, barrier characteristics of Air3D, rollouts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/reach/air3d.hpp"
#include "plumbline/reach/safety_filter.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::reach {
namespace {

using ::testing::HasSubstr;

std::string braking(std::size_t points) {
  return fmt::format(R"([game]
name = "braking before a wall"
horizon = 2.5
[grid]
x = {{ low = -1, high = 3, points = {0} }}
v = {{ low = -2, high = 2, points = {0} }}
[control]
u = [-1, 1]
[dynamics]
x = "v"
v = "u"
[avoid]
distance = "x"
)",
                     points);
}

ValueTable solved(const std::string& text, Stencil stencil = Stencil::kWeno5) {
  auto game = parse_game(text, "game.toml");
  EXPECT_TRUE(game.ok()) << (game.ok() ? "" : game.error().text());
  if (!game.ok()) return {};
  auto table = solve(*game, {.stencil = stencil, .courant = 0.8, .tolerance = 0});
  EXPECT_TRUE(table.ok()) << (table.ok() ? "" : table.error().text());
  return table.ok() ? std::move(table).value() : ValueTable{};
}

/// The largest distance, over speeds, between the zero of V and the place where braking just suffices.
double zero_level_error(const ValueTable& table) {
  const GridAxis& x = table.game.axes[0];
  const GridAxis& v = table.game.axes[1];
  double worst = 0;
  for (std::size_t j = 0; j < v.points; ++j) {
    const double speed = v.at(j);
    if (speed < -1.8 || speed > 1.8) continue;
    const double exact = speed < 0 ? speed * speed / 2 : 0;
    for (std::size_t i = 0; i + 1 < x.points; ++i) {
      const double a = table.value[i * v.points + j];
      const double b = table.value[(i + 1) * v.points + j];
      if (a <= 0 && b > 0) {
        worst = std::max(worst, std::abs(x.at(i) + x.step() * a / (a - b) - exact));
        break;
      }
    }
  }
  return worst;
}

TEST(HamiltonJacobi, TheDoubleIntegratorConvergesAtFirstOrder) {
  for (const Stencil stencil : {Stencil::kWeno5, Stencil::kUpwind}) {
    std::vector<double> errors;
    for (const std::size_t points : {41U, 81U, 161U})
      errors.push_back(zero_level_error(solved(braking(points), stencil)));
    for (std::size_t i = 0; i + 1 < errors.size(); ++i) {
      EXPECT_GT(errors[i], 0);
      // First order: halving the cells halves the error, up to a fifth.
      EXPECT_LT(errors[i + 1], 0.6 * errors[i]) << i;
    }
    EXPECT_LT(errors[2], stencil == Stencil::kWeno5 ? 0.035 : 0.12);
  }
}

TEST(HamiltonJacobi, ATableNeverClaimsMoreThanTheDistance) {
  const ValueTable table = solved(braking(41));
  const std::size_t n = table.game.axes[1].points;
  for (std::size_t i = 0; i < table.value.size(); ++i) EXPECT_LE(table.value[i], table.game.axes[0].at(i / n) + 1e-12);
  EXPECT_NEAR(table.looked_back, 2.5, 1e-12);
}

TEST(HamiltonJacobi, Air3dVanishesOnTheBarrier) {
  std::vector<double> typical;
  for (const std::size_t n : {21U, 41U}) {
    const auto filter = SafetyFilter::make(solved(air3d_text(n, n * 4 / 5, n, 0.8)), 0);
    ASSERT_TRUE(filter.ok());
    double sum = 0;
    int count = 0;
    for (const std::array<double, 3>& point : air3d_barrier(0.6)) {
      const double v = filter->value(point);
      if (!std::isfinite(v)) continue;
      sum += std::abs(v);
      ++count;
    }
    ASSERT_GT(count, 200);
    typical.push_back(sum / count);
  }
  EXPECT_LT(typical[1], 0.2);  // a cell is 0.6 wide
  EXPECT_LT(typical[1], 0.7 * typical[0]);
}

TEST(HamiltonJacobi, TheSameBitsForAnyThreads) {
  std::vector<std::vector<double>> tables;
  for (const int threads : {1, 2}) {
    base::set_threads(threads);
    tables.push_back(solved(air3d_text(16, 14, 12, 0.2)).value);
  }
  base::set_threads(0);
  EXPECT_EQ(tables[0], tables[1]);
}

TEST(SafetyFilters, KeepACarelessDriverFromTheWall) {
  const ValueTable table = solved(braking(81));
  const auto filter = SafetyFilter::make(table, 0.1);
  ASSERT_TRUE(filter.ok());
  base::Rng rng(1, {"drive"});
  int crashes = 0;
  int interventions = 0;
  for (int episode = 0; episode < 200; ++episode) {
    std::vector<double> s = {rng.uniform(0, 2.5), rng.uniform(-1.9, 1.9)};
    if (!filter->safe(s)) continue;
    for (int k = 0; k < 400; ++k) {
      bool stepped_in = false;
      const double u = filter->filter(s, std::vector<double>{-1}, &stepped_in)[0];  // full speed to the wall
      interventions += stepped_in ? 1 : 0;
      s[0] += 0.01 * s[1] + 0.5 * 1e-4 * u;
      s[1] += 0.01 * u;
      crashes += s[0] < 0 ? 1 : 0;
    }
  }
  EXPECT_EQ(crashes, 0);
  EXPECT_GT(interventions, 1000);
  EXPECT_EQ(filter->action(std::vector<double>{0.2, -1.0}), std::vector<double>{1});
  EXPECT_FALSE(filter->safe(std::vector<double>{0.2, -1.0}));
  EXPECT_TRUE(filter->safe(std::vector<double>{2, 0.0}));
  EXPECT_FALSE(filter->safe(std::vector<double>{9, 0.0}));  // beyond the grid
  EXPECT_FALSE(filter->safe(std::vector<double>{std::nan(""), 0.0}));
  EXPECT_EQ(filter->filter(std::vector<double>{2, 0}, std::vector<double>{7})[0], 1);  // held in its range
  EXPECT_EQ(filter->filter(std::vector<double>{2, -1}, std::vector<double>{std::nan("")})[0], 1);
}

TEST(SafetyFilters, TablesSurviveTheDisk) {
  testing::TempFolder folder;
  const ValueTable table = solved(braking(21));
  ASSERT_TRUE(write_table(table, folder.file("t.table")).ok());
  const auto read = read_table(folder.file("t.table"));
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(read->value, table.value);
  EXPECT_EQ(read->game.controls[0].high, 1);
  std::string bytes = testing::read_file(folder.file("t.table"));
  EXPECT_THAT(parse_table("PLHJ", "t").error().text(), HasSubstr("is not a table"));
  EXPECT_THAT(parse_table(bytes.substr(0, bytes.size() - 8), "t").error().text(), HasSubstr("its hash differs"));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  EXPECT_THAT(parse_table(bytes, "t").error().text(), HasSubstr("its hash differs"));
  EXPECT_FALSE(SafetyFilter::make(table, -1).ok());
}

TEST(Games, AreRefusedByNameAndPlace) {
  const auto refused = [](std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    const auto game = parse_game(text.replace(at, from.size(), to), "g.toml");
    return game.ok() ? std::string("no error") : game.error().text();
  };
  const std::string text = braking(21);
  EXPECT_THAT(refused(text, "\"u\"", "\"u^2\""), HasSubstr("the dynamics of 'v' are not affine"));
  EXPECT_THAT(refused(text, "\"u\"", "\"sin(u)\""), HasSubstr("not affine"));
  EXPECT_EQ(refused(text, "\"u\"", "\"u*cos(x) - v/(1 + x^2)\""), "no error");
  EXPECT_THAT(refused(text, "points = 21", "points = 3"), HasSubstr("points 3 of 'x'"));
  EXPECT_THAT(refused(text, "high = 3", "high = -1"), HasSubstr("the range of 'x' is empty"));
  EXPECT_THAT(refused(text, "high = 3, ", ""), HasSubstr("'x' has no 'high'"));
  EXPECT_THAT(refused(text, "distance = \"x\"", "distance = \"u\""), HasSubstr("unknown variable 'u'"));
  EXPECT_THAT(refused(text, "horizon = 2.5", "horizon = 0"), HasSubstr("horizon 0 is not above 0"));
  EXPECT_THAT(refused(text, "[-1, 1]", "[1, -1]"), HasSubstr("the range of 'u' is empty"));
  EXPECT_THAT(refused(text, "points = 21", "points = 10000"), HasSubstr("no error"));
  auto game = parse_game(text, "g.toml");
  const std::size_t at = std::string(text).find("\"x\"");
  auto broken = parse_game(std::string(text).replace(at, 3, "\"1/x\""), "g.toml");
  ASSERT_TRUE(broken.ok());
  const auto table = solve(*broken);
  ASSERT_FALSE(table.ok());
  EXPECT_THAT(table.error().text(), HasSubstr("the distance is not finite at x = 0"));
}

}  // namespace
}  // namespace plumbline::reach
