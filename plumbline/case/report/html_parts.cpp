#include "plumbline/case/report/html_parts.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace plumbline::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// Length of the UTF-8 sequence at `at`, or 0 where there is none (overlong, surrogate, out of range or cut off).
std::size_t sequence_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80U) return 0;
  }
  const unsigned char second = byte(at + 1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
      (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

/// U+202A..U+202E and U+2066..U+2069, U+200E, U+200F, and the noncharacters that XML forbids.
bool is_misleading(std::string_view sequence) {
  if (sequence.size() != 3) return false;
  if (sequence == "\xE2\x80\x8E" || sequence == "\xE2\x80\x8F" || sequence == "\xEF\xBF\xBE" ||
      sequence == "\xEF\xBF\xBF")
    return true;
  const auto last = static_cast<unsigned char>(sequence[2]);
  if (sequence.substr(0, 2) == "\xE2\x80") return last >= 0xAA && last <= 0xAE;
  if (sequence.substr(0, 2) == "\xE2\x81") return last >= 0xA6 && last <= 0xA9;
  return false;
}

/// The text as UTF-8 that is safe to show, at most `most` bytes of it.
std::string clean(std::string_view text, std::size_t most) {
  std::string out;
  out.reserve(std::min(text.size(), most) + 8);
  for (std::size_t at = 0; at < text.size();) {
    if (out.size() >= most) return out + "\u2026";
    const std::size_t length = sequence_length(text, at);
    const auto first = static_cast<unsigned char>(text[at]);
    const bool control = length == 1 && (first < 0x20 || first == 0x7F) && first != '\n' && first != '\t';
    if (length == 0 || control || is_misleading(text.substr(at, length))) {
      out += kReplacement;
      at += std::max<std::size_t>(1, length);
      continue;
    }
    out += text.substr(at, length);
    at += length;
  }
  return out;
}

std::size_t column_length(const check::ArtifactColumn& column) {
  return std::visit([](const auto& values) { return values.size(); }, column.values);
}

/// Rows that stay when only `wanted` may: evenly within each series with both ends, or the first ones.
std::vector<std::size_t> choose_rows(const check::Artifact& artifact, std::size_t rows, std::size_t wanted,
                                     bool evenly) {
  std::vector<std::size_t> kept;
  if (!evenly || wanted >= rows) {
    kept.resize(std::min(rows, wanted));
    for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = i;
    return kept;
  }
  std::map<std::string, std::vector<std::size_t>> series;
  const std::vector<std::string>* names = nullptr;
  for (const check::ArtifactColumn& column : artifact.columns) {
    if (column.name == "series") names = std::get_if<std::vector<std::string>>(&column.values);
  }
  for (std::size_t i = 0; i < rows; ++i)
    series[names != nullptr && i < names->size() ? (*names)[i] : std::string()].push_back(i);
  for (const auto& [name, members] : series) {
    const std::size_t share = std::min(members.size(), std::max<std::size_t>(2, wanted * members.size() / rows));
    for (std::size_t i = 0; i < share; ++i) {
      kept.push_back(members[share == 1 ? 0 : i * (members.size() - 1) / (share - 1)]);
    }
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

/// JSON in which no character can end a script element or start a comment: only ASCII, and no <, > or &.
std::string script_safe(const nlohmann::json& json) {
  const std::string plain = json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  std::string out;
  out.reserve(plain.size() + plain.size() / 16);
  for (const char c : plain) {
    switch (c) {
      case '<': out += "\\u003c"; break;
      case '>': out += "\\u003e"; break;
      case '&': out += "\\u0026"; break;
      default: out += c;
    }
  }
  return out;
}

std::string encode(const check::Artifact& artifact, const std::vector<std::size_t>& kept) {
  constexpr std::size_t kText = 1000;
  nlohmann::json json = {{"id", clean(artifact.id, kText)},
                         {"kind", clean(artifact.kind, kText)},
                         {"title", clean(artifact.title, kText)}};
  json["facts"] = nlohmann::json::object();
  std::size_t facts = 0;
  for (const auto& [name, value] : artifact.facts) {
    if (++facts > 100) break;
    json["facts"][clean(name, kText)] = clean(value, kText);
  }
  json["columns"] = nlohmann::json::array();
  for (const check::ArtifactColumn& column : artifact.columns) {
    nlohmann::json values = nlohmann::json::array();
    if (const auto* numbers = std::get_if<std::vector<double>>(&column.values)) {
      for (const std::size_t row : kept) {
        const double value = row < numbers->size() ? (*numbers)[row] : std::numeric_limits<double>::quiet_NaN();
        if (std::isfinite(value)) {
          values.push_back(value);
        } else {
          values.push_back(nullptr);
        }
      }
    } else {
      const auto& texts = std::get<std::vector<std::string>>(column.values);
      for (const std::size_t row : kept)
        values.push_back(row < texts.size() ? clean(texts[row], kText) : std::string());
    }
    json["columns"].push_back(
        {{"name", clean(column.name, kText)}, {"unit", clean(column.unit, kText)}, {"values", std::move(values)}});
  }
  return script_safe(json);
}

}  // namespace

std::string escape(std::string_view text, std::size_t most) {
  const std::string safe = clean(text, most);
  std::string out;
  out.reserve(safe.size() + 16);
  for (const char c : safe) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string anchor(std::string_view text) {
  std::string out(text.substr(0, 200));
  for (char& c : out) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    if (!plain) c = '-';
  }
  return out;
}

std::string number(double value) {
  if (std::isnan(value)) return "";
  if (std::isinf(value)) return value > 0 ? "\u221E" : "\u2212\u221E";
  const double size = std::fabs(value);
  std::string text;
  if (size == std::floor(size) && size < 1e15) {
    text = fmt::format("{:.0f}", size);
    if (size >= 1e4) {
      for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, "\u202F");
    }
  } else if (size < 1e-4 || size >= 1e6) {
    text = fmt::format("{:.3e}", size);
    const std::size_t e = text.find('e');
    std::string digits = text.substr(0, e);
    while (digits.back() == '0') digits.pop_back();
    if (digits.back() == '.') digits.pop_back();
    text = fmt::format("{}e{}", digits, std::stoi(text.substr(e + 1)));
  } else {
    text = fmt::format("{:.4g}", size);
  }
  return value < 0 ? "\u2212" + text : text;
}

std::string figure_words(double value, std::optional<double> low, std::optional<double> high) {
  if (!low && !high) return number(value);
  return fmt::format("{} [{}, {}]", number(value), low ? number(*low) : "\u2212\u221E",
                     high ? number(*high) : "\u221E");
}

std::string icon(std::string_view name, std::string_view css_class) {
  return fmt::format(R"(<svg class="mark {}" aria-hidden="true" focusable="false"><use href="#i-{}"/></svg>)",
                     css_class, name);
}

std::string interval_svg(const IntervalPicture& p) {
  constexpr double kWidth = 168;
  constexpr double kLine = 9;
  double from = p.value;
  double to = p.value;
  for (const auto& end : {p.low, p.high, p.at_least, p.at_most}) {
    if (!end || !std::isfinite(*end)) continue;
    from = std::min(from, *end);
    to = std::max(to, *end);
  }
  if (!std::isfinite(from) || !std::isfinite(to)) return "";
  const double room = to > from ? 0.18 * (to - from) : std::max(0.05, 0.05 * std::fabs(from));
  from -= room;
  to += room;
  if (p.share) {
    from = std::max(0.0, from);
    to = std::min(1.0, to);
  }
  if (!(to > from)) to = from + 1;
  const auto x = [&](double value) { return std::clamp((value - from) / (to - from), 0.0, 1.0) * kWidth; };

  // The ends of the range are furniture: three digits do.
  const auto ends = [&](double value) { return number(std::stod(fmt::format("{:.3g}", value))); };
  std::string svg = fmt::format(
      R"(<svg class="interval" width="{0}" height="30" viewBox="0 0 {0} 30" role="img" aria-label="{1}{2}{3}">)",
      kWidth, figure_words(p.value, p.low, p.high), p.at_least ? ", claimed at least " + number(*p.at_least) : "",
      p.at_most ? ", claimed at most " + number(*p.at_most) : "");
  if (p.at_least || p.at_most) {
    const double left = p.at_least ? x(*p.at_least) : 0;
    const double right = p.at_most ? x(*p.at_most) : kWidth;
    svg += fmt::format(R"(<rect class="allowed" x="{:.1f}" y="1" width="{:.1f}" height="16"/>)", left,
                       std::max(0.0, right - left));
  }
  svg += fmt::format(R"(<path class="track" d="M0 {0}H{1}"/>)", kLine, kWidth);
  const double left = p.low ? x(*p.low) : 0;
  const double right = p.high ? x(*p.high) : kWidth;
  if (p.low || p.high) {
    svg += fmt::format(R"(<path class="span" d="M{:.1f} {}H{:.1f}"/>)", left, kLine, right);
    if (p.low) svg += fmt::format(R"(<path class="end" d="M{:.1f} {}v10"/>)", left, kLine - 5);
    if (p.high) svg += fmt::format(R"(<path class="end" d="M{:.1f} {}v10"/>)", right, kLine - 5);
    if (!p.low) svg += fmt::format(R"(<path class="open" d="M0 {}l7 -4v8z"/>)", kLine);
    if (!p.high) svg += fmt::format(R"(<path class="open" d="M{} {}l-7 -4v8z"/>)", kWidth, kLine);
  }
  svg += fmt::format(R"(<circle class="point" cx="{:.1f}" cy="{}" r="4"/>)", x(p.value), kLine);
  for (const auto& edge : {p.at_least, p.at_most}) {
    if (edge) svg += fmt::format(R"(<path class="threshold" d="M{0:.1f} 0V18"/>)", x(*edge));
  }
  svg += fmt::format(R"(<text x="0" y="28">{}</text><text x="{}" y="28" text-anchor="end">{}</text></svg>)", ends(from),
                     kWidth, ends(to));
  return svg;
}

std::string tally_svg(const std::vector<TallyPart>& parts, std::string_view label) {
  std::size_t total = 0;
  for (const TallyPart& part : parts) total += part.count;
  std::string svg = fmt::format(
      R"(<svg class="tally-bar" viewBox="0 0 400 12" preserveAspectRatio="none" role="img" aria-label="{}">)",
      escape(label));
  double at = 0;
  for (const TallyPart& part : parts) {
    if (part.count == 0) continue;
    const double wide = 400.0 * static_cast<double>(part.count) / static_cast<double>(total);
    svg += fmt::format(R"(<rect class="{}" x="{:.2f}" width="{:.2f}" height="12"><title>{}</title></rect>)",
                       part.css_class, at, std::max(1.0, wide - 2), escape(part.words));
    at += wide;
  }
  if (total == 0) svg += R"(<rect class="fill-none" width="400" height="12" opacity="0.3"/>)";
  return svg + "</svg>";
}

EmbeddedJson embed_json(const check::Artifact& artifact, std::size_t most_bytes) {
  EmbeddedJson out;
  for (const check::ArtifactColumn& column : artifact.columns) out.rows = std::max(out.rows, column_length(column));
  out.thinned = artifact.kind == "curve" || artifact.kind == "roc";
  // A value takes two bytes at least.
  std::size_t wanted = std::min(out.rows, most_bytes / (2 * std::max<std::size_t>(1, artifact.columns.size())));
  while (true) {
    out.kept = choose_rows(artifact, out.rows, wanted, out.thinned);
    out.text = encode(artifact, out.kept);
    if (out.text.size() <= most_bytes || out.kept.empty()) break;
    const double fit = 0.97 * static_cast<double>(most_bytes) / static_cast<double>(out.text.size());
    const std::size_t next = static_cast<std::size_t>(fit * static_cast<double>(out.kept.size()));
    // Thinning keeps two rows of every series, so it may stop shrinking: then the front of the table has to do.
    if (next >= out.kept.size() || next < 2) {
      out.thinned = false;
      wanted = next < 2 ? 0 : next / 2;
    } else {
      wanted = next;
    }
  }
  if (out.kept.size() == out.rows) out.thinned = false;
  return out;
}

std::string cell_text(const check::ArtifactColumn& column, std::size_t row) {
  if (const auto* numbers = std::get_if<std::vector<double>>(&column.values))
    return row < numbers->size() ? number((*numbers)[row]) : "";
  const auto& texts = std::get<std::vector<std::string>>(column.values);
  return row < texts.size() ? escape(texts[row], 300) : "";
}

}  // namespace plumbline::report
