#pragma once
/// Reports made up for tests and for looking at: one artifact of every kind, every verdict, every ledger status.

#include "plumbline/case/report/report.hpp"

namespace plumbline::sample {

/// A digit reader with a refuted, an undetermined, a not evaluated and several supported claims.
report::Report failing();
/// The same system with nothing wrong.
report::Report clean();
/// Markup, script, broken UTF-8 and bidirectional overrides in every string that a report has.
report::Report hostile();
/// Artifacts of 200,000 rows, and more figures, findings, claims and ledger entries than any page could show.
report::Report huge();
/// A run that was interrupted before anything finished.
report::Report empty();

}  // namespace plumbline::sample
