#pragma once
/// What every page has: the head with its content policy, the top, pictures with the tables behind them, the script at
/// the end. A page is one file that loads nothing.

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "plumbline/case/interface/evidence.hpp"
#include "plumbline/case/report/html_parts.hpp"

namespace plumbline::report {

/// "1 row", "2 rows".
std::string plural(std::size_t count, std::string_view one, std::string_view many);

/// The content policy of every page: its own script and style by hash, and nothing from the network.
std::string content_policy();

/// How much of each picture a page holds.
struct PictureLimits {
  std::size_t artifact_bytes = 256 * 1024;
  std::size_t plain_rows = 20;  ///< of a table behind a picture, before the script takes over
  std::size_t text = 4000;      ///< bytes of one text
};

class PageWriter {
 public:
  explicit PageWriter(const PictureLimits& limits) : picture_limits_(limits) {}

  /// `title` is markup.
  void head(std::string_view title);
  /// Opens the body: the link past the navigation, icons, the bar with the name.
  void top(std::string_view skip, std::string_view name);
  void picture(const check::Artifact& artifact);
  void kept(std::size_t shown, std::size_t all, std::string_view what, std::string_view place);
  /// Closes the page, with the script.
  void foot(std::string_view build);

  std::string& out() { return out_; }

 protected:
  template <class... T>
  void add(fmt::format_string<T...> format, T&&... values) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<T>(values)...);
  }
  std::string text(std::string_view raw) const { return escape(raw, picture_limits_.text); }

  std::string out_;

 private:
  void facts(const check::Artifact& artifact);
  void plain_table(const check::Artifact& artifact, const EmbeddedJson& json);

  PictureLimits picture_limits_;
};

}  // namespace plumbline::report
