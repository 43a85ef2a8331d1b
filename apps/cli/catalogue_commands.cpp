// checks list, show, verify; config check, schema; init.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "apps/cli/stamped_rates.hpp"
#include "apps/cli/templates.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/case/assess/assess.hpp"
#include "plumbline/case/claims/verdict.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/verify/verify.hpp"
#include "plumbline/checks/catalog.hpp"
#include "plumbline/checks/caution/cart_fixture.hpp"
#include "plumbline/data/manifest.hpp"

namespace plumbline::cli {
namespace {

std::string value_text(const check::ParamValue& value) { return check::to_json(value).dump(); }

std::string facts_text(const check::CheckInfo& info) {
  std::string out = fmt::format("{}  ({}, {})\n{}\n\n{}\n\nNeeds\n", info.id, info.row,
                                check::maturity_name(info.maturity), info.title, info.question);
  for (const std::string& need : info.needs) out += "  - " + need + "\n";
  out += "\nParameters\n";
  for (const check::ParamSpec& p : info.params) {
    std::string range;
    if (p.low || p.high) range = fmt::format(" in [{}, {}]", p.low.value_or(-INFINITY), p.high.value_or(INFINITY));
    if (!p.choices.empty()) range = " one of " + base::join_words(p.choices, "or");
    out += fmt::format("  {} = {}{}: {}\n", p.name, value_text(p.fallback), range, p.help);
  }
  if (info.params.empty()) out += "  none\n";
  out += "\nGives\n";
  for (const check::MetricSpec& m : info.yields) {
    out += fmt::format("  {} ({}, {}): {}", m.name, m.unit,
                       m.direction == check::Direction::kNone
                           ? "no better side"
                           : std::string(check::direction_name(m.direction)) + " is better",
                       m.help);
    if (!m.where.empty()) out += fmt::format(" Select with where: {}.", base::join_words(m.where));
    for (const auto& [key, value] : m.where_default) out += fmt::format(" Default {} = {}.", key, value);
    out += "\n";
  }
  out += "\nAssumes\n";
  for (const std::string& a : info.assumptions) out += "  - " + a + "\n";
  out += fmt::format("\nCost  {}\n\nSources\n", info.cost);
  for (const std::string& s : info.sources) out += "  - " + s + "\n";
  return out;
}

}  // namespace

base::Result<int> run_checks_list(const Session& session) {
  if (session.options.json) {
    nlohmann::json all = nlohmann::json::array();
    for (const check::Entry& entry : checks::catalog().entries()) {
      nlohmann::json facts = check::to_json(entry.info);
      facts["available"] = !entry.info.needs_torch || PLUMBLINE_WITH_TORCH;
      all.push_back(facts);
    }
    std::cout << all.dump(2) << "\n";
    return 0;
  }
  for (const check::Entry& entry : checks::catalog().entries()) {
    const bool missing = entry.info.needs_torch && !PLUMBLINE_WITH_TORCH;
    std::cout << fmt::format("{:<28} {:<4} {:<9} {}{}\n", entry.info.id, entry.info.row,
                             check::maturity_name(entry.info.maturity), entry.info.question,
                             missing ? " (missing: this build has no LibTorch)" : "");
  }
  return 0;
}

base::Result<int> run_checks_show(const Session& session) {
  const check::Entry* entry = checks::catalog().find(session.options.check);
  if (entry == nullptr) {
    std::vector<std::string> ids;
    for (const check::Entry& known : checks::catalog().entries()) ids.push_back(known.info.id);
    const std::string guess = base::nearest(session.options.check, ids);
    return base::make_error(
        base::Code::kValue, fmt::format("no check '{}'", session.options.check), "",
        guess.empty() ? "`plumbline checks list` shows them" : fmt::format("Did you mean '{}'?", guess));
  }
  if (session.options.json) {
    std::cout << check::to_json(entry->info).dump(2) << "\n";
  } else {
    std::cout << facts_text(entry->info);
  }
  return 0;
}

base::Result<int> run_checks_verify(const Session& session) {
  const Options& o = session.options;
  if (!o.write_table.empty() && !o.full) {
    return base::make_error(base::Code::kValue, "--write takes the table of a full run", "", "Give --full");
  }
  std::vector<verify::VerifyCount> others;  // rows of checks that are not run now, as the table has them
  if (!o.write_table.empty() && !o.only.empty()) {
    std::ifstream in(o.write_table);
    const std::string table{std::istreambuf_iterator<char>(in), {}};
    if (!in) {
      return base::make_error(base::Code::kIo, "cannot be read, and --only keeps the rows of the other checks",
                              o.write_table, "Leave out --only to write the whole table");
    }
    PL_TRY(others, verify::parse_rates(table));
  }
  std::vector<std::string> only;
  for (const std::string& name : o.only) {
    if (checks::catalog().find(name) == nullptr) {
      return base::make_error(base::Code::kValue, fmt::format("no check '{}'", name), "--only",
                              "`plumbline checks list` shows them");
    }
    only.push_back(name);
  }
  const int runs = o.runs > 0 ? o.runs : o.full ? 400 : 20;
  // Fresh pairs: another stream than the stamped table's.
  const std::uint64_t seed = o.full ? o.seed : o.seed + 1;
  PL_TRY(const std::string worker, find_worker(session));
  PL_TRY(const std::string text, output_of({worker, "--verify", std::to_string(runs), std::to_string(seed),
                                            fmt::format("{}", fmt::join(only, ","))}));
  PL_TRY(std::vector<verify::VerifyCount> counts, verify::parse_rates(text));
  if (counts.empty()) return base::make_error(base::Code::kValue, "no check to verify");
  for (verify::VerifyCount& count : counts) {
    if (const check::Entry* entry = checks::catalog().find(count.check))
      count.false_alarm_level = entry->fixtures.false_alarm_level;
  }
  std::vector<std::string> failures;
  for (const verify::VerifyCount& count : counts) {
    if (const std::string failure = count.failure(o.full); !failure.empty())
      failures.push_back(count.check + " " + failure);
  }
  if (!o.full) {
    PL_TRY(const std::vector<verify::VerifyCount> stamped, verify::parse_rates(kStampedRates));
    for (const std::string& contradiction : verify::contradictions(counts, stamped)) failures.push_back(contradiction);
  }
  if (!o.write_table.empty()) {
    std::ofstream out(o.write_table);
    out << verify::rates_table(verify::merge_rates(checks::catalog(), counts, others));
    if (!out.flush()) return base::make_error(base::Code::kIo, "cannot be written", o.write_table);
  }
  std::cout << (o.json ? verify::verify_json(counts) + "\n" : verify::verify_text(counts, o.full));
  for (const std::string& failure : failures) std::cerr << "plumbline: " << failure << "\n";
  return failures.empty() ? 0 : 1;
}

base::Result<int> run_config_schema(const Session&) {
  std::cout << data::manifest_schema() << "\n";
  return 0;
}

base::Result<int> run_config_check(const Session& session) {
  PL_TRY(const data::Manifest manifest,
         data::read_manifest(session.options.manifest, {session.options.roots, 1U << 20U}));
  PL_CHECK(claims::validate_claims(manifest, checks::catalog()));
  assess::AssessOptions options;
  options.manifest = session.options.manifest;
  options.manifest_options.roots = session.options.roots;
  options.with_torch = PLUMBLINE_WITH_TORCH;
  PL_TRY(const auto dry, assess::dry_run(checks::catalog(), options));
  std::cout << (session.options.json ? assess::dry_run_json(*dry) + "\n" : assess::dry_run_text(*dry));
  return 0;
}

base::Result<int> run_init(const Session& session) {
  namespace fs = std::filesystem;
  const bool network = session.options.kind == "network";
  const bool loop = session.options.kind == "loop";
  const fs::path file = fs::path(session.options.folder) / (network ? "network.onnx"
                                                            : loop  ? "loop.toml"
                                                                    : "system.toml");
  std::error_code code;
  if (fs::exists(file, code))
    return base::make_error(base::Code::kValue, "exists already", file.string(),
                            "Name another folder, or edit the file that is there");
  fs::create_directories(session.options.folder, code);
  if (network) {
    PL_CHECK(write_network_example(session.options.folder));
    std::cout << fmt::format("wrote {} with two properties\nNext:\n  plumbline verify {} {}\n", file.string(),
                             file.string(), (fs::path(session.options.folder) / "near.vnnlib").string());
    return 0;
  }
  if (loop) {
    PL_CHECK(checks::write_cart(session.options.folder));
    std::cout << fmt::format("wrote {} with its controller\nNext:\n  plumbline reach {} --plot {}\n", file.string(),
                             file.string(), (fs::path(session.options.folder) / "tube.svg").string());
    return 0;
  }
  if (session.options.kind == "guard") {
    PL_CHECK(write_guard_example(session.options.folder));
    std::cout << fmt::format("wrote {} with a model and its data\nNext:\n  plumbline guard {} --accept case\n",
                             file.string(), file.string());
    return 0;
  }
  if (session.options.kind == "attack") {
    PL_CHECK(write_attack_example(session.options.folder));
    std::cout << fmt::format(
        "wrote {} and masked.toml with their models and data\nNext: they run as they stand\n"
        "  plumbline assess {} --out report\n",
        file.string(), file.string());
    return 0;
  }
  if (session.options.kind == "system") {
    PL_CHECK(write_system_example(session.options.folder));
    std::cout << fmt::format(
        "wrote {} with the trace of its parts\nNext: it runs as it stands\n  plumbline assess {} --out report\n",
        file.string(), file.string());
    return 0;
  }
  std::ofstream out(file);
  out << manifest_template(session.options.kind);
  if (!out.flush())
    return base::make_error(base::Code::kIo, "cannot be written", file.string(), "Check that the folder is writable");
  // The world that the manifest names is built in, so that it runs as it stands.
  const char* const first = session.options.kind == "world"
                                ? "it runs as it stands; name your own world and agent, then"
                                : "put your model and data beside it, then";
  std::cout << fmt::format("wrote {}\nNext: {}\n  plumbline config check {}\n  plumbline assess {} --out report\n",
                           file.string(), first, file.string(), file.string());
  return 0;
}

}  // namespace plumbline::cli
