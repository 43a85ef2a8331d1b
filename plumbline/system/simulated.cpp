#include "plumbline/system/simulated.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace plumbline::system {
namespace {

using Index = std::ptrdiff_t;

std::size_t draw(const std::vector<double>& p, base::Rng& rng) {
  double u = rng.uniform();
  for (std::size_t k = 0; k + 1 < p.size(); ++k) {
    if (u < p[k]) return k;
    u -= p[k];
  }
  return p.size() - 1;
}

void link(LinearSystem& s, std::size_t from, std::size_t to, double weight) {
  s.model.feeds(static_cast<Index>(to), static_cast<Index>(from)) = weight;
  s.components[to].inputs.push_back(s.components[from].outputs[0]);
}

}  // namespace

void add_number(data::Table& table, std::string name, std::vector<double> values) {
  data::Column column;
  column.name = std::move(name);
  column.numbers = std::move(values);
  table.columns.push_back(std::move(column));
}

void add_category(data::Table& table, std::string name, std::vector<int> codes, std::vector<std::string> levels) {
  data::Column column;
  column.name = std::move(name);
  column.kind = data::Column::Kind::kCategory;
  column.codes = std::move(codes);
  column.levels = std::move(levels);
  table.columns.push_back(std::move(column));
}

RoundModel LinearSystem::running() const {
  RoundModel out = model;
  for (std::size_t k = 0; k < components.size(); ++k) {
    out.feeds.row(static_cast<Index>(k)) *= 1 - rate[k];
    out.teaches.row(static_cast<Index>(k)) *= 1 - rate[k];
    out.keeps[static_cast<Index>(k)] *= 1 - rate[k];
  }
  return out;
}

double LinearSystem::effect(std::size_t from, std::size_t to) const {
  // Parts stand behind those that feed them, so one pass settles the round.
  std::vector<double> moved(components.size(), 0.0);
  moved[from] = 1;
  const RoundModel runs = running();
  for (std::size_t k = from + 1; k <= to; ++k)
    for (std::size_t i = from; i < k; ++i)
      moved[k] += runs.feeds(static_cast<Index>(k), static_cast<Index>(i)) * moved[i];
  return moved[to];
}

LinearSystem random_linear(const LinearOptions& options, base::Rng& rng) {
  const std::size_t parts = options.parts;
  const std::size_t results = std::min<std::size_t>(parts, 5);
  const std::size_t all = parts + results;
  LinearSystem s;
  s.components.resize(all);
  s.model = {MatrixD::Zero(static_cast<Index>(all), static_cast<Index>(all)),
             MatrixD::Zero(static_cast<Index>(all), static_cast<Index>(all)), VectorD::Zero(static_cast<Index>(all))};
  s.season.assign(all, 0.0);
  s.hidden.assign(all, 0.0);
  s.noise.assign(all, 1.0);
  s.rate.assign(all, 0.0);
  s.size.assign(all, 0.0);
  for (std::size_t k = 0; k < all; ++k) {
    Component& c = s.components[k];
    c.name = k < parts ? fmt::format("part{}", k) : fmt::format("result{}", k - parts);
    c.outputs = {k < parts ? fmt::format("y{}", k) : fmt::format("r{}", k - parts)};
    s.season[k] = rng.uniform(0, 0.5);
    c.inputs.push_back("season");
  }
  for (std::size_t k = 0; k < parts; ++k) {
    s.components[k].objective = fmt::format("r{}", k % results);
    s.rate[k] = options.rate;
    s.size[k] = 1;
    s.noise[k] = 0.5;
    for (std::size_t i = 0; i < k; ++i)
      if (rng.bernoulli(std::min(0.6, 1.5 / static_cast<double>(k)))) link(s, i, k, rng.uniform(0.1, 0.5));
    link(s, k, parts + k % results, rng.uniform(0.6, 1.0));
  }
  if (options.conflict) {
    const std::size_t from = parts - 1;
    const std::size_t to = parts;  // the result that the first part is optimised for
    if (from % results == 0) {
      // The last part has an objective of its own, or it would only harm itself.
      s.model.feeds(static_cast<Index>(parts), static_cast<Index>(from)) = 0;
      auto& inputs = s.components[parts].inputs;
      inputs.erase(std::find(inputs.begin(), inputs.end(), s.components[from].outputs[0]));
      s.components[from].objective = "r1";
      link(s, from, parts + 1, 0.8);
    }
    link(s, from, to, -1.2);
  }
  // The first part learns from its result; its weight gives the loop the gain that is asked for.
  s.components[0].learns_from = {"r0"};
  s.model.teaches(0, static_cast<Index>(parts)) = options.gain / (s.effect(0, parts) * (1 - s.rate[0]));
  return s;
}

data::Table simulate(const LinearSystem& s, std::size_t units, std::size_t rounds, base::Rng& rng,
                     const Intervention& act) {
  constexpr std::size_t kSettle = 20;
  const std::size_t n = s.components.size();
  std::vector<std::vector<double>> signals(n);
  std::vector<std::vector<double>> lots(n);
  std::vector<double> unit, time, season;
  for (std::size_t u = 0; u < units; ++u) {
    std::vector<double> before(n, 0.0), now(n, 0.0);
    for (std::size_t t = 0; t < kSettle + rounds; ++t) {
      const double outside = rng.normal();
      const double hidden = rng.normal();
      for (std::size_t k = 0; k < n; ++k) {
        double value = s.season[k] * outside + s.hidden[k] * hidden + s.noise[k] * rng.normal();
        for (std::size_t i = 0; i < n; ++i) {
          const auto row = static_cast<Index>(k);
          const auto column = static_cast<Index>(i);
          if (i < k) value += s.model.feeds(row, column) * now[i];
          value += s.model.teaches(row, column) * before[i];
        }
        value += s.model.keeps[static_cast<Index>(k)] * before[k];
        const bool lot = rng.bernoulli(s.rate[k]) && act.no_lots != std::optional(k);
        const double shock = s.size[k] * rng.normal();
        if (lot) value = shock;
        if (act.hold && act.hold->first == k) value = act.hold->second;
        now[k] = value;
        if (t >= kSettle) lots[k].push_back(lot ? 1 : 0);
      }
      before = now;
      if (t < kSettle) continue;
      unit.push_back(static_cast<double>(u));
      time.push_back(static_cast<double>(t - kSettle));
      season.push_back(outside);
      for (std::size_t k = 0; k < n; ++k) signals[k].push_back(now[k]);
    }
  }
  data::Table table;
  add_number(table, "unit", std::move(unit));
  add_number(table, "time", std::move(time));
  add_number(table, "season", std::move(season));
  for (std::size_t k = 0; k < n; ++k) {
    add_number(table, s.components[k].outputs[0], std::move(signals[k]));
    if (s.rate[k] > 0) add_number(table, "lot_" + s.components[k].name, std::move(lots[k]));
  }
  return table;
}

double DiscreteSystem::kept(std::size_t part) const {
  double lost = 0;
  for (std::size_t x = 0; x < kContexts; ++x) lost += leak[part] * (1 - choice[part][x][0]) / kContexts;
  return 1 - lost;
}

DiscreteSystem random_discrete(std::size_t parts, double leak, double rate, base::Rng& rng) {
  DiscreteSystem s;
  s.rate = rate;
  s.leak.assign(parts, 0.0);
  if (leak > 0) s.leak[1 + rng.below(parts - 1)] = leak;
  for (std::size_t k = 0; k < parts; ++k) {
    Component c;
    c.name = fmt::format("part{}", k);
    c.inputs = {"context"};
    if (k > 0) c.inputs.push_back(fmt::format("y{}", k - 1));
    c.outputs = {fmt::format("y{}", k)};
    c.objective = "gain";
    s.components.push_back(std::move(c));
    auto& laws = s.choice.emplace_back();
    for (std::size_t x = 0; x < DiscreteSystem::kContexts; ++x) {
      std::vector<double>& law = laws.emplace_back();
      double sum = 0;
      for (std::size_t d = 0; d < DiscreteSystem::kLevels; ++d) sum += law.emplace_back(rng.uniform(0.2, 1));
      for (double& p : law) p /= sum;
    }
  }
  return s;
}

std::size_t leaking_part(const DiscreteSystem& s) {
  const auto most = std::max_element(s.leak.begin(), s.leak.end());
  return *most > 0 ? static_cast<std::size_t>(most - s.leak.begin()) : 0;
}

data::Table simulate(const DiscreteSystem& s, std::size_t rows, base::Rng& rng) {
  std::vector<int> context;
  std::vector<double> time, lots;
  std::vector<std::vector<int>> chosen(s.components.size());
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t x = rng.below(DiscreteSystem::kContexts);
    const bool lot = rng.bernoulli(s.rate);
    context.push_back(static_cast<int>(x));
    time.push_back(static_cast<double>(i));
    lots.push_back(lot ? 1 : 0);
    for (std::size_t k = 0; k < s.components.size(); ++k) {
      std::size_t level = draw(s.choice[k][x], rng);
      const std::size_t any = rng.below(DiscreteSystem::kLevels);
      const bool told = rng.bernoulli(s.leak[k]);
      if (lot && k == 0) level = any;
      if (lot && told) level = 0;
      chosen[k].push_back(static_cast<int>(level));
    }
  }
  data::Table table;
  add_number(table, "time", std::move(time));
  add_category(table, "context", std::move(context), {"a", "b", "c"});
  for (std::size_t k = 0; k < chosen.size(); ++k) {
    std::vector<std::string> levels;
    for (std::size_t d = 0; d < DiscreteSystem::kLevels; ++d) levels.push_back(fmt::format("p{}.{}", k, d));
    add_category(table, fmt::format("y{}", k), std::move(chosen[k]), std::move(levels));
  }
  add_number(table, "lot", std::move(lots));
  return table;
}

}  // namespace plumbline::system
