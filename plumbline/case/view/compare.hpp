#pragma once
/// Two runs side by side: which verdicts and which figures changed.

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/case/view/stored_run.hpp"

namespace plumbline::view {

enum class Change { kAdded, kRemoved, kChanged };
/// "added", "removed", "changed".
std::string_view change_name(Change change);

struct ClaimChange {
  std::string id;
  std::string text;  ///< of the second run, or of the first where the second does not make the claim
  std::optional<claims::Standing> before;
  std::optional<claims::Standing> after;
};

struct FigureChange {
  std::string what;  ///< figure_name()
  Change change = Change::kChanged;
  std::optional<check::Evidence> before;
  std::optional<check::Evidence> after;
};

struct Comparison {
  std::vector<ClaimChange> claims;        ///< in the order of their ids
  std::vector<std::string> not_compared;  ///< why claims could not be compared; empty: they were
  std::vector<FigureChange> figures;      ///< those of the first run by name, then the added ones
  std::size_t same = 0;                   ///< figures with the same content
  bool differs() const { return !claims.empty() || !figures.empty(); }
};

/// Question   what is different in the second run?
/// Claims     by id; one changed when its standing did. Where either run could not be judged none is compared.
/// Figures    by check, subject, metric and where; one changed when its content did (another seed is another content).
/// Cost       O(n log n) in the figures.
Comparison compare(const StoredRun& first, const StoredRun& second);

/// "probe.accuracy reader@test accuracy data=test".
std::string figure_name(const check::Evidence& evidence);
/// "0.912 [0.899, -]": the value with its bounds at the level that is printed.
std::string figure_text(const check::Evidence& evidence);

/// KEY=VALUE each, as in TrendQuery::where; "KEY=" leaves out what has the key. Errors kValue: another form.
base::Result<std::map<std::string, std::string>> parse_where(const std::vector<std::string>& conditions);

}  // namespace plumbline::view
