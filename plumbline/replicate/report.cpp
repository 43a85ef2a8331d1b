#include "plumbline/replicate/report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace plumbline::replicate {
namespace {

using nlohmann::json;

std::string figure(double value) {
  if (value == 0 || std::abs(value) < 1e-12) return "0";
  return fmt::format("{:.4g}", value);
}

std::string words_of(const Row& row) {
  if (!row.ours) return "did not run";
  const stats::Estimate& e = *row.ours;
  const std::string value = row.words.empty() ? figure(e.value) : row.words;
  if (e.exactness == stats::Exactness::kExact) return value;
  const auto low = e.low(0.95);
  const auto high = e.high(0.95);
  if (!low || !high) return value + " (no bounds)";
  return fmt::format("{} [{}, {}]", value, figure(*low), figure(*high));
}

std::string difference_of(const Row& row) { return row.difference ? fmt::format("{:+.2g}", *row.difference) : ""; }

std::string_view verdict_of(const Row& row) {
  switch (row.agreement) {
    case Agreement::kAgrees: return "agrees";
    case Agreement::kExplained: return "explained";
    case Agreement::kDiffers: return "DIFFERS";
    case Agreement::kUndetermined: return "cannot say";
    case Agreement::kNotComparable: return "nothing to compare";
    case Agreement::kNotRun: break;
  }
  return "did not run";
}

json number_or_null(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json row_json(const Row& row) {
  json published = {{"text", row.published.text},
                    {"origin", origin_name(row.published.origin)},
                    {"source", row.published.source},
                    {"low", nullptr},
                    {"high", nullptr}};
  if (row.published.origin != Origin::kNone) {
    published["low"] = number_or_null(row.published.low);
    published["high"] = number_or_null(row.published.high);
  }
  json ours = nullptr;
  if (row.ours) {
    const stats::Estimate& e = *row.ours;
    const bool exact = e.exactness == stats::Exactness::kExact;
    ours = {{"value", number_or_null(e.value)},
            {"words", row.words},
            {"exactness", stats::exactness_name(e.exactness)},
            {"low", nullptr},
            {"high", nullptr},
            {"level", exact ? json(nullptr) : json(0.95)},
            {"n", e.n},
            {"unit", e.unit_of_sampling},
            {"method", e.method}};
    if (const auto low = exact ? std::optional(e.value - e.error_bound) : e.low(0.95); low) ours["low"] = *low;
    if (const auto high = exact ? std::optional(e.value + e.error_bound) : e.high(0.95); high) ours["high"] = *high;
  }
  return {{"label", row.label},
          {"published", published},
          {"ours", ours},
          {"not_run", row.not_run},
          {"tolerance", row.tolerance},
          {"difference", row.difference ? number_or_null(*row.difference) : json(nullptr)},
          {"agreement", agreement_name(row.agreement)},
          {"deviation", row.deviation ? json{{"low", number_or_null(row.deviation->low)},
                                             {"high", number_or_null(row.deviation->high)},
                                             {"why", row.deviation->why}}
                                      : json(nullptr)},
          {"note", row.note}};
}

json facts_json(const Facts& f) {
  return {{"id", f.id},       {"title", f.title},       {"paper", f.paper},
          {"where", f.where}, {"compares", f.compares}, {"seconds", f.seconds}};
}

/// Lines of at most `width` columns, broken at spaces, all but the first behind `indent`.
std::string wrap(const std::string& words, std::size_t width, const std::string& indent) {
  std::string out;
  std::string line;
  std::size_t at = 0;
  while (at < words.size()) {
    const std::size_t end = std::min(words.find(' ', at), words.size());
    const std::string word = words.substr(at, end - at);
    if (!line.empty() && line.size() + 1 + word.size() > width) {
      out += line + "\n" + indent;
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    at = end + 1;
  }
  return out + line;
}

/// Each sentence once, in the order of first appearance; 1-based.
class Footnotes {
 public:
  std::size_t of(const std::string& sentence) {
    const auto found = std::find(all_.begin(), all_.end(), sentence);
    if (found != all_.end()) return static_cast<std::size_t>(found - all_.begin()) + 1;
    all_.push_back(sentence);
    return all_.size();
  }
  const std::vector<std::string>& all() const { return all_; }

 private:
  std::vector<std::string> all_;
};

std::string source_of(const Row& row) {
  if (row.published.origin == Origin::kNone) return row.published.source;
  return fmt::format("{} ({})", row.published.source, origin_name(row.published.origin));
}

}  // namespace

std::string summary(const Replication& replication) {
  const auto count = counts(replication);
  std::vector<std::string> parts;
  const auto add = [&](const char* name, const char* words) {
    if (const std::size_t n = count.at(name); n > 0) parts.push_back(fmt::format("{} {}", n, words));
  };
  add("agrees", "agree");
  add("explained", "differ as explained");
  add("differs", "DIFFER");
  add("undetermined", "cannot be decided");
  add("not_run", "did not run");
  add("not_comparable", "have nothing to be compared with");
  return fmt::format("{} rows: {}", replication.rows.size(), fmt::join(parts, ", "));
}

std::string text(const Facts& facts, const Replication& replication) {
  std::string out = fmt::format("{}\n{}\n{}\n\n", facts.title, facts.paper, facts.where);
  const std::vector<std::string> head = {"", "published", "ours", "difference", "", "from"};
  std::vector<std::vector<std::string>> lines = {head};
  Footnotes notes;
  constexpr std::size_t kLabel = 58;
  for (const Row& row : replication.rows) {
    std::vector<std::size_t> marks = {notes.of(source_of(row))};
    if (row.agreement == Agreement::kExplained) marks.push_back(notes.of("Deviation: " + row.deviation->why));
    if (row.agreement == Agreement::kNotRun) marks.push_back(notes.of("Did not run: " + row.not_run));
    if (!row.note.empty()) marks.push_back(notes.of(row.note));
    lines.push_back({wrap(row.label, kLabel, ""), row.published.text, words_of(row), difference_of(row),
                     std::string(verdict_of(row)), fmt::format("{}", fmt::join(marks, ","))});
  }
  std::vector<std::size_t> width(head.size(), 0);
  for (const auto& line : lines) {
    for (std::size_t c = 0; c < line.size(); ++c) {
      for (std::size_t at = 0; at <= line[c].size();) {
        const std::size_t end = std::min(line[c].find('\n', at), line[c].size());
        width[c] = std::max(width[c], end - at);
        at = end + 1;
      }
    }
  }
  for (const auto& line : lines) {
    // A long label takes lines of its own before the one that holds the figures.
    const std::size_t last = line[0].rfind('\n');
    if (last != std::string::npos) out += line[0].substr(0, last + 1);
    std::string row = fmt::format("{:<{}}", last == std::string::npos ? line[0] : line[0].substr(last + 1), width[0]);
    for (std::size_t c = 1; c < line.size(); ++c) row += fmt::format("  {:<{}}", line[c], width[c]);
    row.erase(row.find_last_not_of(' ') + 1);
    out += row + "\n";
  }
  out += "\n";
  for (std::size_t i = 0; i < notes.all().size(); ++i) {
    out += fmt::format("{:>3}  {}\n", i + 1, wrap(notes.all()[i], 112, "     "));
  }
  for (const std::string& note : replication.notes) out += "\n" + wrap(note, 117, "") + "\n";
  return out + "\n" + summary(replication) + "\n";
}

std::string json(const std::vector<std::pair<const Entry*, Replication>>& all, const Options& options) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& [entry, replication] : all) {
    nlohmann::json rows = nlohmann::json::array();
    for (const Row& row : replication.rows) rows.push_back(row_json(row));
    nlohmann::json pictures = nlohmann::json::array();
    for (const check::Artifact& picture : replication.pictures) {
      nlohmann::json columns = nlohmann::json::object();
      for (const check::ArtifactColumn& column : picture.columns) {
        std::visit([&](const auto& values) { columns[column.name] = values; }, column.values);
      }
      pictures.push_back({{"id", picture.id},
                          {"kind", picture.kind},
                          {"title", picture.title},
                          {"caption", picture.caption},
                          {"columns", columns},
                          {"facts", picture.facts}});
    }
    nlohmann::json one = facts_json(entry->facts);
    one["seed"] = options.seed;
    one["status"] = exit_status(replication);
    one["counts"] = counts(replication);
    one["rows"] = std::move(rows);
    one["notes"] = replication.notes;
    one["pictures"] = std::move(pictures);
    out.push_back(std::move(one));
  }
  return out.dump(1) + "\n";
}

std::string list_text() {
  std::string out;
  for (const Entry& entry : replications()) {
    const Facts& f = entry.facts;
    out += fmt::format("{:<22} {}\n{:<22} {}\n{:<22} {}, about {} s\n\n", f.id, f.title, "",
                       wrap(f.compares, 97, std::string(23, ' ')), "",
                       wrap(f.paper + "; " + f.where, 97, std::string(23, ' ')), f.seconds);
  }
  return out;
}

std::string list_json() {
  nlohmann::json all = nlohmann::json::array();
  for (const Entry& entry : replications()) all.push_back(facts_json(entry.facts));
  return all.dump(2) + "\n";
}

check::Artifact table(const Replication& replication) {
  check::Artifact artifact;
  artifact.id = "rows";
  artifact.kind = "table";
  artifact.title = "Published and ours";
  artifact.caption = "Ours with its 95 % interval where it is sampled; exact figures stand alone.";
  std::vector<std::string> label, published, ours, difference, agreement, from, why;
  for (const Row& row : replication.rows) {
    label.push_back(row.label);
    published.push_back(row.published.text);
    ours.push_back(words_of(row));
    difference.push_back(difference_of(row));
    agreement.emplace_back(verdict_of(row));
    from.push_back(source_of(row));
    std::string words = row.agreement == Agreement::kExplained                      ? row.deviation->why
                        : row.agreement == Agreement::kNotRun                       ? row.not_run
                        : row.note.empty() && row.published.origin == Origin::kNone ? row.published.source
                                                                                    : row.note;
    why.push_back(std::move(words));
  }
  artifact.columns = {{"row", "", label}, {"published", "", published}, {"ours", "", ours}};
  // A column that is empty throughout, or says the same in every row, only takes the room of the others.
  const auto says_something = [](const std::vector<std::string>& cells) {
    return std::any_of(cells.begin(), cells.end(), [](const std::string& cell) { return !cell.empty(); });
  };
  if (says_something(difference)) artifact.columns.push_back({"difference", "", difference});
  artifact.columns.push_back({"judgement", "", agreement});
  if (says_something(why)) artifact.columns.push_back({"why", "", why});
  const std::string* known = nullptr;  // the one source of all that is published
  bool one = true;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (replication.rows[i].published.origin == Origin::kNone) continue;
    if (known == nullptr) known = &from[i];
    one = one && from[i] == *known;
  }
  if (one && known != nullptr)
    artifact.caption += fmt::format(" Published: {}.", *known);
  else
    artifact.columns.push_back({"published in", "", from});
  return artifact;
}

std::vector<std::string> remarks(const Replication& replication) {
  std::vector<std::string> result;
  for (const Row& row : replication.rows) {
    if (row.agreement == Agreement::kExplained) result.push_back(fmt::format("{}: {}.", row.label, row.deviation->why));
    if (row.agreement == Agreement::kDiffers)
      result.push_back(fmt::format("{} differs, and we cannot say why.", row.label));
  }
  result.insert(result.end(), replication.notes.begin(), replication.notes.end());
  return result;
}

}  // namespace plumbline::replicate
