#include "plumbline/case/report/page.hpp"

#include <algorithm>
#include <set>
#include <variant>
#include <vector>

#include "plumbline/base/hash.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/report/assets.hpp"
#include "plumbline/case/report/report.hpp"

namespace plumbline::report {
namespace {

std::string base64_sha256(std::string_view text) {
  const std::string hex = base::sha256_hex(text);
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return check::base64_encode(bytes);
}

}  // namespace

std::string plural(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string content_policy() {
  return fmt::format(
      "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action "
      "'none'",
      base64_sha256(report_script()), base64_sha256(report_style()));
}

void PageWriter::head(std::string_view title) {
  out_ += R"(<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/>)";
  add(R"(<meta http-equiv="Content-Security-Policy" content="{}"/>)", content_policy());
  out_ +=
      R"(<meta name="viewport" content="width=device-width, initial-scale=1"/><meta name="referrer" content="no-referrer"/>)";
  out_ += R"(<meta name="color-scheme" content="light dark"/><meta name="generator" content="Plumbline"/>)";
  add("<title>{}</title><style>", title);
  out_ += report_style();
  out_ += "</style></head>";
}

void PageWriter::top(std::string_view skip, std::string_view name) {
  add(R"(<body><a class="skip" href="#main">{}</a>)", skip);
  out_ += report_icons();
  out_ +=
      R"(<header class="top"><span class="brand"><svg viewBox="0 0 16 20" aria-hidden="true" focusable="false">)"
      R"(<path d="M8 0v11" stroke="currentColor" stroke-width="1.6"/><path d="M4.6 10.5h6.8L8 20z" fill="currentColor"/></svg>Plumbline</span>)";
  add(R"(<span class="of">{}</span><span class="space"></span>)", text(name));
  out_ += R"(<button class="quiet" id="theme" type="button" hidden="hidden">Dark</button></header>)";
}

void PageWriter::kept(std::size_t shown, std::size_t all, std::string_view what, std::string_view place) {
  add(R"(<p class="kept">{} of {} {} are shown; all of them are in <span class="mono">{}</span>.</p>)",
      number(static_cast<double>(shown)), number(static_cast<double>(all)), what, place);
}

void PageWriter::picture(const check::Artifact& a) {
  const EmbeddedJson json = embed_json(a, picture_limits_.artifact_bytes);
  const bool image = a.media_type == "image/png" && !a.bytes.empty();
  const bool wide = a.kind == "gallery" || a.kind == "treemap" || a.kind == "fates" || a.kind == "table" ||
                    a.kind == "network" || a.kind == "episode" || (a.kind == "grid" && json.rows > 60) ||
                    (a.kind == "confusion" && json.rows > 144);
  const bool drawn = a.kind != "table";
  const std::string id = anchor(a.id);
  add(R"(<figure id="artifact-{0}" data-artifact="{0}" data-kind="{1}"{2} aria-labelledby="caption-{0}"><p class="title" id="caption-{0}">{3}</p>)",
      id, text(a.kind), wide ? R"( class="wide")" : "", text(a.title));
  if (!a.caption.empty()) add("<figcaption>{}</figcaption>", text(a.caption));
  if (drawn) out_ += R"(<div class="picture"></div>)";
  if (image) {
    const std::string data = check::base64_encode(a.bytes);
    if (data.size() <= std::max<std::size_t>(picture_limits_.artifact_bytes, 1)) {
      add(R"(<img class="sheet" alt="{}" src="data:image/png;base64,{}"/>)", text(a.title), data);
    } else {
      add(R"(<p class="kept">The image is too large for this page; it is in <a class="mono" href="{0}">{0}</a>.</p>)",
          text(artifact_path(a)));
    }
  }
  facts(a);
  if (json.rows > 0) {
    if (drawn) add(R"(<details><summary>Table behind it ({})</summary>)", plural(json.rows, "row", "rows"));
    plain_table(a, json);
    if (drawn) out_ += "</details>";
  }
  if (json.kept.size() < json.rows) {
    add(R"(<p class="kept">{0} of {1} rows are in this page ({2}); the whole table is in <a class="mono" href="{3}">{3}</a>.</p>)",
        number(static_cast<double>(json.kept.size())), number(static_cast<double>(json.rows)),
        json.thinned ? "thinned evenly" : "the first ones", text(artifact_path(a)));
  }
  out_ += R"(<script type="application/json">)";
  out_ += json.text;
  out_ += "</script></figure>";
}

/// Facts that no picture uses: the scalars that a reader may want.
void PageWriter::facts(const check::Artifact& a) {
  static const std::set<std::string, std::less<>> kUsed = {
      "x_label",      "y_label",      "x_scale",     "y_scale",     "reference", "reference_label",
      "marker",       "marker_label", "level",       "step",        "play",      "row_label",
      "column_label", "worse",        "domain_low",  "domain_high", "midpoint",  "value_label",
      "size_label",   "tile_width",   "tile_height", "columns",     "changes",   "changes_at"};
  std::string words;
  std::size_t written = 0;
  for (const auto& [name, value] : a.facts) {
    if (kUsed.count(name) != 0 || ++written > 24) continue;
    words += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", text(name), text(value));
  }
  if (!words.empty()) add(R"(<dl class="facts">{}</dl>)", words);
}

void PageWriter::plain_table(const check::Artifact& a, const EmbeddedJson& json) {
  add(R"(<div class="table-scroll" tabindex="0" role="region" aria-label="Table: {0}"><table class="artifact" aria-label="{0}"><thead><tr>)",
      text(a.title));
  for (const check::ArtifactColumn& column : a.columns) {
    const bool numbers = std::holds_alternative<std::vector<double>>(column.values);
    add(R"(<th scope="col"{}>{}{}</th>)", numbers ? R"( class="number")" : "", text(column.name),
        column.unit.empty() || column.unit == "1" || column.unit == column.name ? "" : " (" + text(column.unit) + ")");
  }
  out_ += "</tr></thead><tbody>";
  const std::size_t rows = std::min(json.kept.size(), picture_limits_.plain_rows);
  for (std::size_t r = 0; r < rows; ++r) {
    out_ += "<tr>";
    for (const check::ArtifactColumn& column : a.columns) {
      const bool numbers = std::holds_alternative<std::vector<double>>(column.values);
      add("<td{}>{}</td>", numbers ? R"( class="number")" : "", cell_text(column, json.kept[r]));
    }
    out_ += "</tr>";
  }
  out_ += "</tbody></table></div>";
  if (rows < json.rows) {
    add(R"(<noscript><p class="kept">The first {} rows; the script of this page shows the others.</p></noscript>)",
        rows);
  }
}

void PageWriter::foot(std::string_view build) {
  add(R"(<footer>Written by Plumbline {}. This page is complete in itself: it loads nothing and sends nothing.</footer>)",
      text(build));
  out_ += "<script>";
  out_ += report_script();
  out_ += "</script></body></html>\n";
}

}  // namespace plumbline::report
