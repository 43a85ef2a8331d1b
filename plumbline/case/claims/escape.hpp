#pragma once
/// Names and reasons come from manifests, models and data, and may be hostile. Every renderer passes them through here.

#include <string>
#include <string_view>

namespace plumbline::claims {

/// Valid UTF-8 on one line: bad bytes become U+FFFD; control characters (terminal escapes among them), line and
/// paragraph separators become a space; invisible characters that reorder text (bidirectional overrides, isolates) and
/// byte-order marks are dropped.
std::string printable(std::string_view text);

/// printable(), then & < > " ' as entities: safe as XML or HTML text and inside quoted attributes. "]]>" cannot arise.
std::string xml(std::string_view text);

/// printable(), then every character that Markdown or GitHub gives a meaning (| ` * _ < > [ ] # @ ! ~ \ & …) as an
/// entity.
std::string markdown(std::string_view text);

/// printable(), then % as %25, as workflow commands ask; `property` also escapes , and :.
std::string annotation(std::string_view text, bool property);

/// A file name without folders: letters, digits, dot, dash and underscore; everything else becomes a dash. Never empty,
/// never starting with a dot, at most 120 characters.
std::string file_name(std::string_view text);

}  // namespace plumbline::claims
