#pragma once
/// Replications as text and JSON, and the tables that the page shows.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plumbline/replicate/replicate.hpp"

namespace plumbline::replicate {

/// Published beside ours, with the difference; below, where each published figure is from and why ours deviates.
std::string text(const Facts& facts, const Replication& replication);
/// One object a replication: facts, seed, status, counts, rows, notes, pictures.
std::string json(const std::vector<std::pair<const Entry*, Replication>>& all, const Options& options);
/// The catalogue.
std::string list_text();
std::string list_json();

/// "12 rows: 10 agree, 2 differ as explained".
std::string summary(const Replication& replication);
/// The rows as an artifact, with the columns that say something: a source that all rows share stands in the caption.
check::Artifact table(const Replication& replication);
/// Deviations and notes as sentences.
std::vector<std::string> remarks(const Replication& replication);

}  // namespace plumbline::replicate
