#include "plumbline/system/growth.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/data/csv.hpp"
#include "plumbline/system/simulated_ledger.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::system {
namespace {

using ::plumbline::testing::binomial_band;
using ::plumbline::testing::count_seeds;
using ::testing::Contains;
using ::testing::HasSubstr;

Ledger ledger_of(const std::string& csv, const LedgerColumns& columns = {}) {
  const auto table = data::parse_csv(csv, "ledger.csv");
  EXPECT_TRUE(table.ok()) << table.error().text();
  const auto ledger = make_ledger(*table, columns, "ledger.csv");
  EXPECT_TRUE(ledger.ok()) << ledger.error().text();
  return *ledger;
}

std::string ledger_error(const std::string& csv, const LedgerColumns& columns = {}) {
  const auto table = data::parse_csv(csv, "ledger.csv");
  if (!table.ok()) return table.error().text();
  const auto ledger = make_ledger(*table, columns, "ledger.csv");
  return ledger.ok() ? "no error" : ledger.error().text();
}

Ledger simulated(const LedgerWorld& world, base::Rng& rng) {
  return *make_ledger(simulate_ledger(world, rng), {}, "ledger.csv");
}

GrowthOptions quick() {
  GrowthOptions o;
  o.about = {"hacking"};
  o.control = {"outage"};
  o.period = 28;
  o.search.draws = 99;
  return o;
}

bool holds(const stats::Estimate& e, double truth) {
  return e.low().value_or(0) <= truth && truth <= e.high().value_or(INFINITY);
}

TEST(Days, ReadAndWritten) {
  EXPECT_EQ(parse_day("1970-01-01"), 0);
  EXPECT_EQ(parse_day("2000-03-01"), 11017);
  EXPECT_EQ(parse_day("2024-02-29T23:59:59Z"), parse_day("2024-02-29"));
  EXPECT_EQ(parse_day("1969-12-31"), -1);
  for (const char* bad :
       {"", "2025-02-30", "2025-2-3", "31.12.2025", "2025-13-01", "20250301", "2025-03-01x", "yesterday!"})
    EXPECT_FALSE(parse_day(bad).has_value()) << bad;
  for (int day = -800; day < 30000; day += 13) EXPECT_EQ(parse_day(day_text(day)), day);
  EXPECT_NEAR(years_between(*parse_day("2000-03-01"), *parse_day("2004-03-01")), 4, 1e-3);
}

TEST(Ledgers, OneIncidentReportedTwiceIsOne) {
  const Ledger l = ledger_of(
      "id,occurred,reported,source,kind\n"
      "a,2025-01-05,2025-02-01,paper,hacking\n"
      "b,2025-01-03,2025-01-04,ticket 7,outage\n"
      "a,2025-01-05,2025-01-20,\"a blog, late\",hacking\n"
      "c,,2025-01-20,mail,hacking\n",
      {.id = "id"});
  ASSERT_EQ(l.incidents.size(), 2U);
  EXPECT_EQ(l.incidents[1].reported, parse_day("2025-01-20"));
  EXPECT_EQ(l.incidents[1].source, "a blog, late");
  EXPECT_EQ(l.repeated, 1U);
  EXPECT_EQ(l.undated, 1U);
  EXPECT_TRUE(l.dated_reports);
  EXPECT_FALSE(ledger_of("occurred,source,kind\n2025-01-05,x,hacking\n").dated_reports);
}

TEST(Ledgers, BadRowsAreNamed) {
  const std::string head = "occurred,reported,source,kind\n2025-01-01,2025-01-02,x,a\n";
  EXPECT_THAT(ledger_error(head + "2025-02-30,2025-03-01,x,a\n"), HasSubstr("row 2"));
  EXPECT_THAT(ledger_error(head + "2025-02-30,2025-03-01,x,a\n"), HasSubstr("'2025-02-30' is no date"));
  EXPECT_THAT(ledger_error(head + "2025-03-02,2025-03-01,x,a\n"), HasSubstr("before it happened"));
  EXPECT_THAT(ledger_error(head + "2025-03-02,2025-03-03,,a\n"), HasSubstr("no source"));
  EXPECT_THAT(ledger_error(head + "2025-03-02,2025-03-03,x,\n"), HasSubstr("no kind"));
  EXPECT_THAT(ledger_error(head + "1825-03-02,2025-03-03,x,a\n"), HasSubstr("century"));
  EXPECT_THAT(ledger_error("occurred,source\n2025-01-01,x\n"), HasSubstr("'kind'"));
  EXPECT_THAT(ledger_error("occurred,source,kind\n,x,a\n"), HasSubstr("no incident has a day"));
  EXPECT_THAT(ledger_error("id,occurred,source,kind\n1,2025-01-01,x,a\n1,2025-01-02,x,a\n", {.id = "id"}),
              HasSubstr("another day or kind"));
  EXPECT_THAT(ledger_error(head, {.id = "nr"}), HasSubstr("'nr'"));
  // Control characters of a hostile file do not reach the message.
  EXPECT_THAT(ledger_error(head + "\x1b[31mred,2025-03-03,x,a\n"), HasSubstr("?[31mred"));
}

TEST(Uses, IntegralAndErrors) {
  const auto use = make_use(*data::parse_csv("time,exposure,effort\n2025-01-01,10,1\n2025-01-11,20,0.5\n", "u"), "u");
  ASSERT_TRUE(use.ok()) << use.error().text();
  const int first = *parse_day("2025-01-01");
  EXPECT_DOUBLE_EQ(use->over(first + 5, first + 15, false), 5 * 10 + 5 * 20);
  EXPECT_DOUBLE_EQ(use->over(first + 5, first + 15, true), 5 * 10 + 5 * 10);
  EXPECT_DOUBLE_EQ(use->over(first - 2, first, false), 20);
  const auto why = [](const char* csv) { return make_use(*data::parse_csv(csv, "u"), "u").error().text(); };
  EXPECT_THAT(why("time,other\n2025-01-01,1\n"), HasSubstr("neither"));
  EXPECT_THAT(why("time,effort\n2025-01-01,0\n"), HasSubstr("positive"));
  EXPECT_THAT(why("time,effort\n2025-01-02,1\n2025-01-01,1\n"), HasSubstr("row 2"));
  EXPECT_THAT(why("time,effort\nsoon,1\n"), HasSubstr("no date"));
}

// Without truncation the law is the empirical one.
TEST(DelayLaw, EmpiricalWhereNothingIsCut) {
  const std::vector<int> delay = {0, 0, 1, 1, 1, 2, 2, 3, 5, 5};
  const auto law = delay_law(delay, std::vector<int>(10, 8));
  const std::vector<double> want = {0.2, 0.5, 0.7, 0.8, 0.8, 1, 1, 1, 1};
  ASSERT_EQ(law.size(), want.size());
  for (std::size_t d = 0; d < want.size(); ++d) EXPECT_NEAR(law[d], want[d], 1e-12) << d;
}

// Under truncation it is the maximum of prod f(d_i) / F(l_i): the same by self-consistency (Efron and Petrosian 1999).
TEST(DelayLaw, MaximumLikelihoodUnderTruncation) {
  base::Rng rng(1);
  std::vector<int> delay, limit;
  while (delay.size() < 400) {
    const auto l = static_cast<int>(rng.below(12));
    const auto d = static_cast<int>(3 * rng.exponential());
    if (d > l) continue;
    delay.push_back(d);
    limit.push_back(l);
  }
  std::vector<double> f(12, 1.0 / 12);
  for (int step = 0; step < 4000; ++step) {
    std::vector<double> next(12, 0), cumulative(12);
    std::partial_sum(f.begin(), f.end(), cumulative.begin());
    for (std::size_t i = 0; i < delay.size(); ++i) {
      next[static_cast<std::size_t>(delay[i])] += 1;
      // For each one seen, those that were cut off: f(d) / F(l) of each longer delay.
      for (std::size_t d = static_cast<std::size_t>(limit[i]) + 1; d < 12; ++d)
        next[d] += f[d] / cumulative[static_cast<std::size_t>(limit[i])];
    }
    const double all = std::accumulate(next.begin(), next.end(), 0.0);
    for (std::size_t d = 0; d < 12; ++d) f[d] = next[d] / all;
  }
  const auto law = delay_law(delay, limit);
  double sum = 0;
  for (std::size_t d = 0; d < 12; ++d) {
    sum += f[d];
    EXPECT_NEAR(law[d], sum, 1e-6) << d;
  }
}

// Hacking trebles from a day on while reporting doubles: both corrections see 3 and the day, the plain reports more.
TEST(GrowthStatistical, PlantedGrowthIsFoundAtItsTime) {
  const int runs = 40;
  int by_control = 0, by_effort = 0, found = 0, misled = 0;
  count_seeds(runs, [&](base::Rng& rng) {
    const LedgerWorld world{.growth = 3, .reporting = 2};
    const Ledger ledger = simulated(world, rng);
    const auto use = make_use(simulated_effort(world), "use");
    const auto r = find_growth(ledger, *use, quick(), rng.fork("growth"));
    if (!r.ok()) {
      ADD_FAILURE() << r.error().text();
      return false;
    }
    by_control += holds(r->control->growth, 3) ? 1 : 0;
    by_effort += holds(r->effort->growth, 3) ? 1 : 0;
    misled += r->reports.growth.low().value_or(0) > 3 ? 1 : 0;
    for (const stats::Change& c : r->control->changes.changes)
      found += std::abs(static_cast<int>(r->control->periods[c.at]) - 13) <= 1 ? 1 : 0;
    return true;
  });
  EXPECT_GE(by_control, binomial_band(runs, 0.95).low);
  EXPECT_GE(by_effort, binomial_band(runs, 0.95).low);
  EXPECT_GE(found, 38);
  EXPECT_GE(misled, 36);  // what the ledger shows is no answer
}

// Only reporting grows, threefold: no growth and no change by either correction; the plain reports have both.
TEST(GrowthStatistical, ReportingAloneIsSilent) {
  const int runs = 60;
  int control = 0, effort = 0, alarm_control = 0, alarm_effort = 0, plain = 0;
  count_seeds(runs, [&](base::Rng& rng) {
    const LedgerWorld world{.reporting = 3};
    const Ledger ledger = simulated(world, rng);
    const auto use = make_use(simulated_effort(world), "use");
    const auto r = find_growth(ledger, *use, quick(), rng.fork("growth"));
    if (!r.ok()) return false;
    control += holds(r->control->growth, 1) ? 1 : 0;
    effort += holds(r->effort->growth, 1) ? 1 : 0;
    alarm_control += r->control->changes.changes.empty() ? 0 : 1;
    alarm_effort += r->effort->changes.changes.empty() ? 0 : 1;
    plain += r->reports.growth.low().value_or(0) > 1 && r->reports.p.value_or(1) <= 0.05 ? 1 : 0;
    EXPECT_TRUE(r->corrected.has_value() || !r->cannot_say.empty());
    return true;
  });
  EXPECT_GE(control, binomial_band(runs, 0.95).low);
  EXPECT_GE(effort, binomial_band(runs, 0.95).low);
  EXPECT_LE(alarm_control, binomial_band(runs, 0.05).high);
  EXPECT_LE(alarm_effort, binomial_band(runs, 0.05).high);
  EXPECT_GE(plain, 57);
}

// Reports that take 60 days: the last periods look empty, and are not.
TEST(GrowthStatistical, DelayIsNoDecline) {
  const int runs = 80;
  int covered = 0, alarms = 0;
  count_seeds(runs, [&](base::Rng& rng) {
    const LedgerWorld world{.about = 1, .delay = 60, .control_delay = 60};
    const Ledger ledger = simulated(world, rng);
    const auto r = find_growth(ledger, std::nullopt, quick(), rng.fork("growth"));
    if (!r.ok()) return false;
    EXPECT_LT(r->periods.kept, 26U);
    covered += holds(r->reports.growth, 1) ? 1 : 0;
    alarms += r->reports.p.value_or(1) <= 0.05 ? 1 : 0;
    return true;
  });
  EXPECT_GE(covered, binomial_band(runs, 0.95).low);
  EXPECT_LE(alarms, binomial_band(runs, 0.05).high);
}

TEST(Growth, WithoutControlAndEffortItCannotSay) {
  base::Rng rng(2);
  GrowthOptions o = quick();
  o.control = {};
  const auto r = find_growth(simulated({.growth = 3}, rng), std::nullopt, o, rng);
  ASSERT_TRUE(r.ok()) << r.error().text();
  EXPECT_FALSE(r->corrected.has_value());
  EXPECT_THAT(r->cannot_say, HasSubstr("more reporting"));
  EXPECT_GT(*r->reports.growth.low(), 1);
  EXPECT_THAT(r->notes, Contains(HasSubstr("neither in question nor control")));
}

// The control kind grows itself, unknown to the record of effort.
TEST(Growth, CorrectionsThatExcludeEachOtherAreNoAnswer) {
  base::Rng rng(3);
  const LedgerWorld world{.about = 1, .growth = 3};
  const Ledger ledger = simulated(world, rng);
  Use use;
  use.from = {world.first, world.first + 364};
  use.effort = {1, 3};  // claims that all of it is effort
  const auto r = find_growth(ledger, use, quick(), rng);
  ASSERT_TRUE(r.ok()) << r.error().text();
  EXPECT_THAT(r->cannot_say, HasSubstr("exclude each other"));
  EXPECT_FALSE(r->corrected.has_value());
}

TEST(Growth, TwoCorrectionsGiveTheHull) {
  base::Rng rng(4);
  const LedgerWorld world{.growth = 2, .reporting = 2};
  const Ledger ledger = simulated(world, rng);
  const auto r = find_growth(ledger, *make_use(simulated_effort(world), "use"), quick(), rng);
  ASSERT_TRUE(r.ok() && r->corrected);
  EXPECT_EQ(r->corrected_by, "control and effort");
  EXPECT_EQ(*r->corrected->low(), std::min(*r->control->growth.low(), *r->effort->growth.low()));
  EXPECT_EQ(*r->corrected->high(), std::max(*r->control->growth.high(), *r->effort->growth.high()));
  EXPECT_NEAR(r->reporting->value, 1.75 / 1.25, 0.25);
}

TEST(Growth, UnlikeDelaysAreSaid) {
  base::Rng rng(5);
  const LedgerWorld world{.about = 1, .delay = 60, .control_delay = 5};
  const auto r = find_growth(simulated(world, rng), std::nullopt, quick(), rng);
  ASSERT_TRUE(r.ok()) << r.error().text();
  ASSERT_TRUE(r->delay_p.has_value());
  EXPECT_LT(*r->delay_p, 0.01);
  EXPECT_THAT(r->notes, Contains(HasSubstr("different delays")));
}

TEST(Growth, DaysCanBeChosen) {
  base::Rng rng(6);
  const LedgerWorld world{.growth = 3};
  const Ledger ledger = simulated(world, rng);
  GrowthOptions o = quick();
  o.as_of = world.first + 700;
  o.first = world.first + 100;
  o.since = world.first + 364;
  const auto r = find_growth(ledger, std::nullopt, o, rng);
  ASSERT_TRUE(r.ok()) << r.error().text();
  EXPECT_EQ(r->periods.day(r->periods.about.size()), world.first + 701);
  EXPECT_GE(r->periods.day(r->periods.split), world.first + 364);
  EXPECT_LT(r->periods.day(r->periods.split - 1), world.first + 364);
  EXPECT_THAT(r->notes, Contains(HasSubstr("closed")));
  EXPECT_THAT(r->notes, Contains(HasSubstr("before the first day")));
}

TEST(Growth, BadOptionsAreNamed) {
  base::Rng rng(7);
  const Ledger ledger = simulated({}, rng);
  const auto why = [&](const auto& change) {
    GrowthOptions o = quick();
    change(o);
    const auto r = find_growth(ledger, std::nullopt, o, rng);
    return r.ok() ? std::string("no error") : r.error().text();
  };
  EXPECT_THAT(why([](GrowthOptions& o) { o.about.clear(); }), HasSubstr("about"));
  EXPECT_THAT(why([](GrowthOptions& o) { o.control = {"hacking"}; }), HasSubstr("both"));
  EXPECT_THAT(why([](GrowthOptions& o) { o.period = -1; }), HasSubstr("period"));
  EXPECT_THAT(why([](GrowthOptions& o) { o.period = 300; }), HasSubstr("too few"));
  EXPECT_THAT(why([](GrowthOptions& o) { o.since = 0; }), HasSubstr("out of order"));
  EXPECT_THAT(why([](GrowthOptions& o) { o.least_seen = 0; }), HasSubstr("least_seen"));
}

}  // namespace
}  // namespace plumbline::system
