// checks coverage: how often the intervals of policy values hold the truth, measured, kept and compared.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "plumbline/counterfactual/coverage.hpp"

namespace plumbline::cli {
namespace {

using base::Code;
using base::make_error;
using counterfactual::CoverageCell;
using counterfactual::CoverageOptions;
using nlohmann::ordered_json;

constexpr const char* kSchema = "plumbline-coverage-1";
constexpr std::size_t kCompared = 20;

std::string name_of(const CoverageCell& c) {
  return fmt::format("{}/{}/{}", c.regime, counterfactual::estimator_name(c.estimator),
                     counterfactual::interval_name(c.interval));
}

ordered_json cell_json(const CoverageCell& c) {
  return {{"regime", c.regime},
          {"estimator", counterfactual::estimator_name(c.estimator)},
          {"interval", counterfactual::interval_name(c.interval)},
          {"default", counterfactual::is_default(c)},
          {"state", counterfactual::cell_state_name(c.state)},
          {"warned", c.warned},
          {"abstained", c.abstained},
          {"bounded", c.bounded},
          {"covered", c.covered},
          {"width", c.width},
          {"width_ratio", c.width_ratio},
          {"bias", c.bias}};
}

std::string coverage_words(const CoverageCell& c) {
  if (c.bounded == 0) return "-";
  return fmt::format("{:.3f}", static_cast<double>(c.covered) / c.bounded);
}

/// What is wrong with the table as a whole, in words; empty: nothing.
std::vector<std::string> faults_of(const std::vector<CoverageCell>& cells) {
  std::vector<std::string> out;
  constexpr double kMayAbstain = 0.05;
  for (const counterfactual::Regime& regime : counterfactual::coverage_regimes()) {
    bool any = false;
    for (const CoverageCell& c : cells) {
      if (c.regime != regime.name || !counterfactual::is_default(c)) continue;
      any = any || c.state != counterfactual::CellState::kShort;
      if (c.state == counterfactual::CellState::kShort)
        out.push_back(fmt::format("{}: a default interval covers {}", name_of(c), coverage_words(c)));
      if (regime.name == "overlap" && c.warned + c.abstained > kMayAbstain * c.draws)
        out.push_back(fmt::format("{}: {} of {} draws warn or abstain where policies overlap well", name_of(c),
                                  c.warned + c.abstained, c.draws));
    }
    if (!any) out.push_back(fmt::format("{}: no default interval covers or abstains", regime.name));
  }
  return out;
}

std::string page_of(const std::vector<CoverageCell>& cells, int draws, const std::string& print) {
  std::string out = fmt::format(
      "# Coverage of the intervals of policy values\n\n"
      "Measured on {} logs of each regime, stated level 0.95. Written by `plumbline checks coverage --write`; "
      "behaviour "
      "`{}`.\n\n"
      "*bounded*: logs with a figure and bounds; *covered*: the share of those whose bounds hold the exact value; "
      "*warned* "
      "and\n*abstained* (cannot say): shares of all logs; *width*: mean width over that of the narrowest right "
      "interval, 2 × "
      "1.96 standard\ndeviations of the figure; *bias*: in those standard deviations.\n\n"
      "A cell *covers* if its coverage is not below the lower edge of the binomial band of 0.95 (false alarm 1e-4), "
      "*abstains* if\nat least 0.95 of its logs end in a warning or cannot say, and is *short* otherwise. **Bold** "
      "cells are "
      "what\n`plumbline estimate` prints when nothing else is asked for.\n",
      draws, print);
  std::vector<std::string> short_defaults;
  for (const CoverageCell& c : cells) {
    if (counterfactual::is_default(c) && c.state == counterfactual::CellState::kShort)
      short_defaults.push_back(name_of(c));
  }
  out += short_defaults.empty() ? "\nNone of those is short.\n"
                                : fmt::format("\nShort among those: {}.\n", fmt::join(short_defaults, ", "));
  for (const counterfactual::Regime& regime : counterfactual::coverage_regimes()) {
    out += fmt::format(
        "\n## {}\n\n{} decisions; {}.\n\n| estimator | interval | state | covered | bounded | warned | abstained | "
        "width | "
        "bias |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        regime.name, regime.rows, regime.words);
    for (const CoverageCell& c : cells) {
      if (c.regime != regime.name) continue;
      const std::string mark = counterfactual::is_default(c) ? "**" : "";
      const double n = c.draws;
      out += fmt::format("| {0}{1}{0} | {2} | {3} | {4} | {5} | {6:.3f} | {7:.3f} | {8} | {9} |\n", mark,
                         counterfactual::estimator_name(c.estimator), counterfactual::interval_name(c.interval),
                         counterfactual::cell_state_name(c.state), coverage_words(c), c.bounded, c.warned / n,
                         c.abstained / n, c.bounded > 0 ? fmt::format("{:.2f}", c.width_ratio) : "-",
                         c.bounded > 0 ? fmt::format("{:+.2f}", c.bias) : "-");
    }
  }
  return out;
}

base::Result<std::vector<CoverageCell>> measure(const Session& session, CoverageOptions options) {
  options.cancel = session.cancel;
  std::atomic<int> done{0};
  const int all = options.draws * static_cast<int>(counterfactual::coverage_regimes().size());
  options.progress = [&](const std::string& regime, int) {
    const int now = ++done;
    if (now % 100 == 0) session.progress.update(regime, static_cast<std::size_t>(now), static_cast<std::size_t>(all));
  };
  std::vector<CoverageCell> cells;
  for (const counterfactual::Regime& regime : counterfactual::coverage_regimes()) {
    PL_TRY(std::vector<CoverageCell> some, counterfactual::measure_coverage(regime, options));
    cells.insert(cells.end(), some.begin(), some.end());
  }
  return cells;
}

int print_faults(const std::vector<std::string>& faults) {
  for (const std::string& fault : faults) std::cerr << "plumbline: " << fault << "\n";
  return faults.empty() ? 0 : 1;
}

/// The kept table against what the code does now: its print, and the cheapest cells again, to the bit.
base::Result<int> compare(const Session& session, const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const ordered_json kept = ordered_json::parse(text.str(), nullptr, false);
  const bool whole = file && !kept.is_discarded() && kept.is_object() && kept.value("schema", "") == kSchema &&
                     kept.contains("cells") && kept["cells"].is_array() && kept.contains("draws") &&
                     kept["draws"].is_number_integer() && kept.contains("seed") && kept["seed"].is_number_unsigned();
  if (!whole)
    return make_error(Code::kParse, "is no table of coverage", path,
                      "write one: plumbline checks coverage --write FILE");
  std::vector<std::string> faults;
  PL_TRY(const std::string print, counterfactual::coverage_print(session.cancel));
  if (kept.value("print", "") != print)
    faults.push_back(fmt::format("{} is stale: it was made by code that behaves otherwise ({} now {})", path,
                                 kept.value("print", ""), print));
  CoverageOptions options;
  options.draws = kept["draws"].get<int>();
  options.seed = kept["seed"].get<std::uint64_t>();
  options.cheap_only = true;
  PL_TRY(std::vector<CoverageCell> again, measure(session, options));
  again.resize(std::min(again.size(), kCompared));
  std::map<std::string, ordered_json> by_name;
  for (const ordered_json& cell : kept["cells"]) {
    if (cell.is_object())
      by_name.emplace(
          fmt::format("{}/{}/{}", cell.value("regime", ""), cell.value("estimator", ""), cell.value("interval", "")),
          cell);
  }
  std::size_t equal = 0;
  for (const CoverageCell& cell : again) {
    const auto found = by_name.find(name_of(cell));
    if (found != by_name.end() && found->second == cell_json(cell))
      ++equal;
    else
      faults.push_back(fmt::format("{}: {} differs from what is measured now", path, name_of(cell)));
  }
  if (session.options.json)
    std::cout << ordered_json{{"compared", again.size()}, {"equal", equal}, {"print", print}, {"faults", faults}}.dump(
                     2)
              << "\n";
  else
    std::cout << fmt::format("the {} cheapest of the {} cells of {} measured again: {} equal to the bit\n",
                             again.size(), by_name.size(), printable(path), equal);
  return print_faults(faults);
}

}  // namespace

base::Result<int> run_checks_coverage(const Session& session) {
  const Options& o = session.options;
  if (!o.reference.empty()) return compare(session, o.reference);
  CoverageOptions options;
  options.draws = o.runs > 0 ? o.runs : 1000;
  PL_TRY(const std::string print, counterfactual::coverage_print(session.cancel));
  PL_TRY(const std::vector<CoverageCell> cells, measure(session, options));
  ordered_json table = {
      {"schema", kSchema}, {"seed", options.seed}, {"draws", options.draws},        {"replicates", options.replicates},
      {"level", 0.95},     {"print", print},       {"cells", ordered_json::array()}};
  for (const CoverageCell& cell : cells) table["cells"].push_back(cell_json(cell));
  if (!o.write_table.empty()) {
    std::string text = table.dump();
    // One cell a line, so that a change reads as one.
    for (std::size_t at = 0; (at = text.find("{\"regime\"", at)) != std::string::npos; at += 2) text.insert(at, "\n");
    PL_CHECK(write_file(o.write_table, text + "\n"));
    std::filesystem::path page(o.write_table);
    page.replace_extension(".md");
    PL_CHECK(write_file(page, page_of(cells, options.draws, print)));
  }
  if (o.json)
    std::cout << table.dump(2) << "\n";
  else
    std::cout << page_of(cells, options.draws, print);
  return print_faults(faults_of(cells));
}

}  // namespace plumbline::cli
