#pragma once
/// The overview's two teams as a system that runs: a ranker that explores, and a chooser of fonts that learns from
/// clicks.

#include <cstddef>
#include <optional>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/system/graph.hpp"

namespace plumbline::system {

struct RankerOptions {
  std::size_t rows = 4000;     ///< recorded decisions
  std::size_t warm_up = 4000;  ///< decisions before that: both teams learn in them as in the others
  double explore = 0.2;        ///< the ranker shows an item drawn by lot
  double acuity = 1;           ///< the reader tells rarely shown items rightly with probability (1 + acuity) / 2
  std::optional<int> font;     ///< do(font): 0 tiny, 1 small, 2 large; else what its team has learned
};

struct RankerRun {
  data::Table trace;  ///< time, session, kind, item, explored, propensity, looks, font, noticed, click, net
  double clicks = 0;  ///< a decision, over the recorded ones
  double found = 0;   ///< share of kinds of people whose best item the ranker has found
};

/// The parts: ranker, reader (says whether an item looks rare or common), fonts, people. Signals as the trace's
/// columns.
std::vector<Component> ranker_components();

/// Three kinds of people, eight items. One item a kind is best (clicked 0.8 when noticed) and is not known to be; the
/// ranker starts from one that is clicked 0.5. Items drawn by lot are mostly clicked 0.05. Large print is noticed
/// nearly always, tiny hardly ever; space costs 0, 0.08, 0.25 of a click. Neither team knows of the other: the ranker
/// shows the item of most clicks so far (by kind), the font team takes the font of most clicks less space so far (by
/// looks), each but for its own lots (fonts: 0.05). Same rng, same bits.
RankerRun run_ranker_and_fonts(const RankerOptions& options, base::Rng& rng);

}  // namespace plumbline::system
