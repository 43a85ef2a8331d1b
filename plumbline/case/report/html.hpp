#pragma once
/// The report as one self-contained HTML file: opens from disk, loads nothing, reads without its script and on paper.

#include <cstddef>
#include <string>

#include "plumbline/case/report/report.hpp"

namespace plumbline::report {

/// The page never grows past this, whatever the data.
inline constexpr std::size_t kHtmlBytes = 5'000'000;
/// Of one artifact inside the page; the whole of it is in the folder `artifacts` beside the page.
inline constexpr std::size_t kArtifactBytes = 256 * 1024;

/// May I ship this? The answer, the argument with its verdicts, how much of the ledger ran, what failed and what to do
/// next; then every check with question, figures, pictures and findings; then ledger and provenance.
///
/// Returns   UTF-8, well-formed also as XML but for the script and style elements, at most kHtmlBytes.
/// Assumes   nothing about any string in the report: names may hold markup, broken UTF-8 or bidirectional overrides.
/// The
///           page's content policy names its own script and style by hash and allows nothing from the network.
/// Cost      linear in the record; where the page would pass kHtmlBytes it is written again with halved limits.
///           Deterministic.
std::string render_html(const Report& report);

}  // namespace plumbline::report
