#include "plumbline/system/simulated_ledger.hpp"

#include <string>
#include <vector>

#include <fmt/format.h>

#include "plumbline/system/ledger.hpp"

namespace plumbline::system {
namespace {

double reporting_on(const LedgerWorld& world, int day) {
  return 1 + (world.reporting - 1) * static_cast<double>(day) / static_cast<double>(world.days);
}

data::Column text_column(std::string name) {
  data::Column column;
  column.name = std::move(name);
  column.kind = data::Column::Kind::kText;
  return column;
}

void put(data::Column& column, std::string text) {
  column.texts.push_back(std::move(text));
  column.text_missing.push_back(false);
}

}  // namespace

data::Table simulate_ledger(const LedgerWorld& world, base::Rng& rng) {
  data::Table table;
  for (const char* name : {"occurred", "reported", "source", "kind"}) table.columns.push_back(text_column(name));
  int number = 0;
  for (int day = 0; day < world.days; ++day) {
    for (const bool about : {true, false}) {
      const double rate =
          (about ? world.about * (day >= world.change ? world.growth : 1) : world.control) * reporting_on(world, day);
      const std::uint64_t count = rng.poisson(rate);
      for (std::uint64_t k = 0; k < count; ++k) {
        const double wait = rng.exponential() * (about ? world.delay : world.control_delay);
        ++number;
        if (day + wait >= world.days) continue;
        put(table.columns[0], day_text(world.first + day));
        put(table.columns[1], day_text(world.first + day + static_cast<int>(wait)));
        put(table.columns[2], fmt::format("report {}", number));
        put(table.columns[3], about ? "hacking" : "outage");
      }
    }
  }
  return table;
}

data::Table simulated_effort(const LedgerWorld& world) {
  data::Table table;
  table.columns.push_back(text_column("time"));
  data::Column effort;
  effort.name = "effort";
  for (int day = 0; day < world.days; day += 28) {
    put(table.columns[0], day_text(world.first + day));
    double sum = 0;
    for (int d = day; d < day + 28; ++d) sum += reporting_on(world, d);
    effort.numbers.push_back(sum / 28);
  }
  table.columns.push_back(std::move(effort));
  return table;
}

}  // namespace plumbline::system
