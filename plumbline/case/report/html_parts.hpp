#pragma once
/// Small pieces that the HTML page is made of. Everything that came from outside passes `escape` or `embed_json`.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/case/interface/evidence.hpp"

namespace plumbline::report {

/// Text for element content and quoted attributes. Markup characters become entities; bytes that are not UTF-8, control
/// characters and bidirectional overrides (which make text read as another) become U+FFFD; text over `most` bytes is
/// cut, with an ellipsis.
std::string escape(std::string_view text, std::size_t most = 4000);

/// A value for an id or a fragment: letters, digits, '.', '-' and '_' kept, other bytes as '-'.
std::string anchor(std::string_view text);

/// Four significant digits; whole numbers in full with narrow spaces; "−" for minus; empty for NaN.
std::string number(double value);

/// "0.91 [0.89, 0.93]"; a missing end is written "−∞" or "∞", and both missing leave the value alone.
std::string figure_words(double value, std::optional<double> low, std::optional<double> high);

/// One of report_icons(). Names: good, bad, unsure, none, ok, error, skipped, not-applicable.
std::string icon(std::string_view name, std::string_view css_class);

/// A figure drawn as point and interval between the ends of its own range, with the region that a claim allows.
struct IntervalPicture {
  double value = 0;
  std::optional<double> low;
  std::optional<double> high;
  std::optional<double> at_least;
  std::optional<double> at_most;
  bool share = false;  ///< the range never leaves [0, 1]
};
std::string interval_svg(const IntervalPicture& picture);

/// A bar cut into shares, for the tallies of the first screen.
struct TallyPart {
  std::size_t count = 0;
  std::string css_class;
  std::string words;
};
std::string tally_svg(const std::vector<TallyPart>& parts, std::string_view label);

/// An artifact's columns and facts as JSON that may stand inside <script>, at most `most_bytes` long.
struct EmbeddedJson {
  std::string text;
  std::size_t rows = 0;           ///< of the artifact
  std::vector<std::size_t> kept;  ///< rows that are in `text`
  bool thinned = false;           ///< kept evenly rather than from the front
};
EmbeddedJson embed_json(const check::Artifact& artifact, std::size_t most_bytes);

/// One cell of a column as text; numbers as `number` writes them.
std::string cell_text(const check::ArtifactColumn& column, std::size_t row);

}  // namespace plumbline::report
