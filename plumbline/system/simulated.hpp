#pragma once
/// Systems of parts with everything known, to be run: random linear and discrete ones, and interventions on their
/// parts. What they do is what find_feedback(), find_conflicts() and find_cancelled() must find in their traces.

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/system/graph.hpp"
#include "plumbline/system/rounds.hpp"

namespace plumbline::system {

/// Columns one by one, for traces that are simulated.
void add_number(data::Table& table, std::string name, std::vector<double> values);
void add_category(data::Table& table, std::string name, std::vector<int> codes, std::vector<std::string> levels);

/// Part k writes signal k: s(t) = feeds s(t) + teaches s(t - 1) + season x outside + hidden + noise, or by lot a number
/// that has nothing to do with any of these.
struct LinearSystem {
  std::vector<Component> components;
  RoundModel model;            ///< the parts' rules
  std::vector<double> season;  ///< weight of the outside signal `season`, which is recorded
  std::vector<double> hidden;  ///< weight of an outside signal that is not recorded
  std::vector<double> noise;   ///< standard deviations
  std::vector<double> rate;    ///< probability of drawing by lot
  std::vector<double> size;    ///< standard deviation of what is then put out

  /// As it runs: where a part draws by lot, its rule does not count.
  RoundModel running() const;
  /// Effect of one unit of signal `from` on signal `to` in the same round, as it runs.
  double effect(std::size_t from, std::size_t to) const;
};

struct LinearOptions {
  std::size_t parts = 6;  ///< that choose, each with an objective; as many results come on top, at most 5
  double gain = 0.2;      ///< loop gain of the first part; the others do not learn
  bool conflict = false;  ///< the last part harms the objective of the first
  double rate = 0.3;      ///< of drawing by lot
};
/// Parts in a random order of reading, with random weights. Every effect but the planted one is at least 0.
/// Precondition: parts >= 2, gain < 1.
LinearSystem random_linear(const LinearOptions& options, base::Rng& rng);

/// do(part = value) in every round, or a part that no longer draws by lot.
struct Intervention {
  std::optional<std::pair<std::size_t, double>> hold;
  std::optional<std::size_t> no_lots;
};
/// Columns unit, time, season, the signals, and lot_NAME for parts that draw by lot. The first 20 rounds of a unit are
/// not recorded.
data::Table simulate(const LinearSystem& system, std::size_t units, std::size_t rounds, base::Rng& rng,
                     const Intervention& act = {});

/// A chain of parts that choose among levels by context and by what the part before chose; the first draws by lot.
struct DiscreteSystem {
  std::vector<Component> components;
  std::vector<std::vector<std::vector<double>>> choice;  ///< [part][context][level]
  std::vector<double> leak;  ///< probability that a part answers a choice by lot with its level 0
  double rate = 0.2;

  static constexpr std::size_t kContexts = 3;
  static constexpr std::size_t kLevels = 4;
  /// 1 - distance of the laws of the part's output with and without a lot, given context.
  double kept(std::size_t part) const;
};
/// Precondition: parts >= 2; a leak goes to one part after the first, drawn at random (the last of two).
DiscreteSystem random_discrete(std::size_t parts, double leak, double rate, base::Rng& rng);
/// Which part leaks; 0: none.
std::size_t leaking_part(const DiscreteSystem& system);
/// Columns time, context, the outputs, lot.
data::Table simulate(const DiscreteSystem& system, std::size_t rows, base::Rng& rng);

}  // namespace plumbline::system
