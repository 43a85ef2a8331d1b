#pragma once
/// What web/ is built into and the library embeds: the report's script, style sheet and icons, and every file of the
/// dashboard.

#include <span>
#include <string_view>

namespace plumbline::report {

std::string_view report_script();
std::string_view report_style();
/// A tick in a disc, a cross in an octagon, a question in a triangle, a bar in a dashed ring; then the ledger's four:
/// shapes that differ without colour, as symbols that a page refers to.
std::string_view report_icons();

/// One file of the dashboard, as it is sent.
struct Asset {
  std::string_view path;   ///< "/" or "/assets/NAME"
  std::string_view type;   ///< media type with its character set
  std::string_view body;   ///< bytes to send
  bool immutable = false;  ///< the name holds a hash of the content, so that it may be kept for ever
};

/// The page ("/") first, then what it loads. Nothing in it is inline: a policy of script-src 'self'; style-src 'self'
/// holds.
std::span<const Asset> dashboard_assets();

}  // namespace plumbline::report
