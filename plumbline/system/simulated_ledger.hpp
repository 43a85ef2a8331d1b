#pragma once
/// A ledger with everything known: for oracles and fixtures.

#include "plumbline/base/rng.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::system {

struct LedgerWorld {
  int first = 19723;     ///< 2024-01-01
  int days = 728;        ///< the ledger is closed after them
  double about = 0.5;    ///< incidents a day of the kind in question that are reported sooner or later …
  double growth = 1;     ///< … times this …
  int change = 364;      ///< … from this day on
  double control = 1.5;  ///< a day of the control kind
  double reporting = 1;  ///< both are written down up to this many times as often at the end, rising evenly
  double delay = 15;     ///< mean days from occurrence to report, exponential
  double control_delay = 15;
};

/// Columns occurred, reported, source, kind ("hacking", "outage"); what is reported after the last day is not there
/// yet.
data::Table simulate_ledger(const LedgerWorld& world, base::Rng& rng);
/// Columns time, effort: the true reporting, a row every 28 days.
data::Table simulated_effort(const LedgerWorld& world);

}  // namespace plumbline::system
