#include "plumbline/case/verify/verify.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>
#include <boost/math/distributions/binomial.hpp>
#include <nlohmann/json.hpp>

#include "plumbline/case/claims/verdict.hpp"
#include "plumbline/case/run/plan.hpp"
#include "plumbline/case/run/runner.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::verify {
namespace {

namespace fs = std::filesystem;

class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& below) {
    std::string pattern =
        (below.empty() ? fs::temp_directory_path() : fs::path(below)).string() + "/plumbline-fixture-XXXXXX";
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

stats::Estimate rate(int hits, int runs) {
  auto estimate = stats::clopper_pearson(hits, runs);
  return estimate.ok() ? *estimate : stats::Estimate{};
}

// Upper end of the exact central 99 % band of a binomial count.
int band_high(int runs, double p) {
  const boost::math::binomial_distribution<double> law(runs, p);
  int high = 0;
  while (high < runs && cdf(law, high) < 0.995) ++high;
  return high;
}

}  // namespace

stats::Estimate VerifyCount::detection() const { return rate(detected, runs); }
stats::Estimate VerifyCount::false_alarm() const { return rate(false_alarms, runs); }
stats::Estimate VerifyCount::abstention() const { return rate(abstentions, 2 * runs); }

std::string VerifyCount::failure(bool full) const {
  const auto d = detection();
  const auto a = abstention();
  // A full table must show detection of at least 0.9; a quick run may only fail to contradict it.
  const double seen = full ? d.bounds.lower[2].value_or(0) : d.bounds.upper[2].value_or(1);
  if (seen < 0.9) return fmt::format("detects {} of {} planted defects", detected, runs);
  if (false_alarms > band_high(runs, false_alarm_level))
    return fmt::format("{} false alarms in {} clean controls at level {}", false_alarms, runs, false_alarm_level);
  const double abstained = full ? a.value : a.bounds.lower[2].value_or(0);
  if (abstained > 0.2)
    return fmt::format("abstains in {} of {} runs{}", abstentions, 2 * runs,
                       example_problem.empty() ? "" : " (" + example_problem + ")");
  return {};
}

base::Result<FixtureOutcome> judge_fixture(const check::Registry& registry, const std::string& check_id,
                                           const std::string& folder, const run::SessionOptions& session_options,
                                           bool with_torch) {
  PL_TRY(const data::Manifest manifest, data::read_manifest(folder + "/system.toml"));
  PL_CHECK(claims::validate_claims(manifest, registry));
  PL_TRY(const check::Blueprint blueprint, run::make_blueprint(manifest, with_torch));
  PL_TRY(const auto plan, run::make_plan(registry, blueprint, {{check_id}, {}}));
  run::Session session(manifest, session_options);
  check::RunRecord record;
  record.status = check::RunStatus::kSuccess;
  FixtureOutcome outcome;
  for (const run::PlannedCheck& planned : plan) {
    for (const check::Task& task : planned.tasks) {
      auto output = run::run_task(session, *planned.entry, planned.params, task);
      check::LedgerEntry line;
      line.check = planned.entry->info.id;
      line.subject = task.subject;
      if (!output.ok()) {
        line.status = check::LedgerStatus::kError;
        line.reason = output.error().text();
        outcome = {"error", line.reason};
      } else {
        record.evidence.insert(record.evidence.end(), output->evidence.begin(), output->evidence.end());
        record.artifacts.insert(record.artifacts.end(), output->artifacts.begin(), output->artifacts.end());
      }
      record.ledger.push_back(line);
    }
  }
  if (!outcome.verdict.empty()) return outcome;
  for (const claims::ClaimVerdict& verdict : claims::judge(manifest, record, registry)) {
    if (verdict.id == "fixture")
      return FixtureOutcome{std::string(claims::verdict_name(verdict.verdict)), verdict.reason};
  }
  return base::make_error(base::Code::kInternal, "the fixture's manifest has no claim 'fixture'", check_id);
}

base::Result<std::vector<VerifyCount>> verify_checks(const check::Registry& registry, const VerifyOptions& options,
                                                     const base::CancelToken& cancel, base::Progress& progress) {
  std::vector<VerifyCount> counts;
  for (const check::Entry& entry : registry.entries()) {
    const std::string& id = entry.info.id;
    if (!options.only.empty() && std::find(options.only.begin(), options.only.end(), id) == options.only.end())
      continue;
    if (entry.info.needs_torch && !options.with_torch) continue;
    VerifyCount count;
    count.check = id;
    count.code = entry.info.code;
    count.runs = options.runs;
    count.false_alarm_level = entry.fixtures.false_alarm_level;
    const auto start = std::chrono::steady_clock::now();
    for (int r = 0; r < options.runs; ++r) {
      PL_CHECK(cancel.status());
      progress.update("verify " + id, static_cast<std::size_t>(r), static_cast<std::size_t>(options.runs));
      for (const bool defect : {true, false}) {
        const ScratchFolder folder(options.scratch);
        if (folder.path().empty())
          return base::make_error(base::Code::kIo, "cannot make a temporary folder", options.scratch);
        base::Rng rng(options.seed, {"verify", id, defect ? "defect" : "control", std::to_string(r)});
        PL_CHECK((defect ? entry.fixtures.defect : entry.fixtures.control)(folder.path(), rng));
        auto outcome = judge_fixture(registry, id, folder.path(), options.session, options.with_torch);
        const std::string verdict = outcome.ok() ? outcome->verdict : "error";
        if (verdict == "refuted") {
          ++(defect ? count.detected : count.false_alarms);
        } else if (verdict != "supported") {
          ++count.abstentions;
          if (count.example_problem.empty()) {
            count.example_problem = fmt::format("{} {}: {}: {}", defect ? "defect" : "control", r, verdict,
                                                outcome.ok() ? outcome->reason : outcome.error().text());
          }
        }
      }
    }
    count.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    counts.push_back(std::move(count));
  }
  return counts;
}

std::string verify_json(const std::vector<VerifyCount>& counts) {
  nlohmann::json out = nlohmann::json::array();
  const auto rate_json = [](const stats::Estimate& e) {
    return nlohmann::json{{"value", e.value}, {"low", e.low().value_or(0)}, {"high", e.high().value_or(1)}, {"n", e.n}};
  };
  for (const VerifyCount& c : counts) {
    out.push_back({{"check", c.check},
                   {"detection", rate_json(c.detection())},
                   {"false_alarm", rate_json(c.false_alarm())},
                   {"abstention", rate_json(c.abstention())}});
  }
  return out.dump(2);
}

std::string verify_text(const std::vector<VerifyCount>& counts, bool full) {
  std::string out = fmt::format("{:<28} {:>5}  {:<24} {:<24} {:<24} {:>8}\n", "check", "runs", "detection",
                                "false alarm", "abstention", "ms/run");
  const auto cell = [](const stats::Estimate& e) {
    return fmt::format("{:.3f} [{:.3f}, {:.3f}]", e.value, e.low().value_or(0), e.high().value_or(1));
  };
  for (const VerifyCount& c : counts) {
    out +=
        fmt::format("{:<28} {:>5}  {:<24} {:<24} {:<24} {:>8.1f}", c.check, c.runs, cell(c.detection()),
                    cell(c.false_alarm()), cell(c.abstention()), c.runs == 0 ? 0 : 1000 * c.seconds / (2.0 * c.runs));
    if (const std::string failure = c.failure(full); !failure.empty()) out += "  FAILS: " + failure;
    out += "\n";
  }
  return out;
}

std::string rates_table(const std::vector<VerifyCount>& counts) {
  std::string out =
      "# Measured rates of the checks\n\n"
      "Written by `plumbline checks verify --full`; do not edit. Detection: share of planted defects whose claim came "
      "out refuted.\n"
      "False alarm: share of clean controls refuted. Abstention: undetermined or error, on either. Intervals: "
      "Clopper–Pearson, 95 %.\n\n"
      "| check | code | runs | detected | false alarms | abstentions | detection | false alarm | abstention |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  const auto cell = [](const stats::Estimate& e) {
    return fmt::format("{:.4f} [{:.4f}, {:.4f}]", e.value, e.low().value_or(0), e.high().value_or(1));
  };
  for (const VerifyCount& c : counts) {
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", c.check, c.code, c.runs, c.detected,
                       c.false_alarms, c.abstentions, cell(c.detection()), cell(c.false_alarm()), cell(c.abstention()));
  }
  return out;
}

base::Result<std::vector<VerifyCount>> parse_rates(const std::string& text) {
  std::vector<VerifyCount> out;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.rfind("| ", 0) != 0 || line.rfind("| check", 0) == 0 || line.rfind("| ---", 0) == 0) continue;
    std::vector<std::string> cells;
    std::istringstream row(line.substr(2));
    for (std::string cell; std::getline(row, cell, '|');) {
      const auto end = cell.find_last_not_of(' ');
      const auto begin = cell.find_first_not_of(' ');
      cells.push_back(begin == std::string::npos ? "" : cell.substr(begin, end - begin + 1));
    }
    if (cells.size() < 6)
      return base::make_error(base::Code::kParse, "a row has fewer than 6 cells: " + line, "rates table");
    VerifyCount c;
    c.check = cells[0];
    c.code = cells[1];
    const auto number = [](const std::string& cell) { return std::atoi(cell.c_str()); };
    c.runs = number(cells[2]);
    c.detected = number(cells[3]);
    c.false_alarms = number(cells[4]);
    c.abstentions = number(cells[5]);
    out.push_back(std::move(c));
  }
  return out;
}

std::vector<VerifyCount> merge_rates(const check::Registry& registry, const std::vector<VerifyCount>& fresh,
                                     const std::vector<VerifyCount>& stamped) {
  std::vector<VerifyCount> merged;
  for (const check::Entry& entry : registry.entries()) {
    const auto named = [&](const VerifyCount& count) { return count.check == entry.info.id; };
    if (const auto now = std::find_if(fresh.begin(), fresh.end(), named); now != fresh.end()) {
      merged.push_back(*now);
    } else if (const auto then = std::find_if(stamped.begin(), stamped.end(), named); then != stamped.end()) {
      merged.push_back(*then);
    }
  }
  return merged;
}

std::vector<std::string> contradictions(const std::vector<VerifyCount>& fresh,
                                        const std::vector<VerifyCount>& stamped) {
  constexpr std::size_t kRung = 5;  // one-sided 0.995: both sides together 99 %
  std::vector<std::string> out;
  for (const VerifyCount& now : fresh) {
    const auto then =
        std::find_if(stamped.begin(), stamped.end(), [&](const VerifyCount& s) { return s.check == now.check; });
    if (then == stamped.end()) {
      out.push_back(
          now.check +
          ": the table of rates has no row for it; run `plumbline checks verify --full --write docs/checks/rates.md`");
      continue;
    }
    if (then->code != now.code) {
      out.push_back(
          fmt::format("{}: the table of rates is of code '{}', the check is at '{}'", now.check, then->code, now.code));
      continue;
    }
    const auto compare = [&](const char* rate, const stats::Estimate& a, const stats::Estimate& b) {
      if (a.bounds.upper[kRung].value_or(1) < b.bounds.lower[kRung].value_or(0) ||
          a.bounds.lower[kRung].value_or(0) > b.bounds.upper[kRung].value_or(1)) {
        out.push_back(fmt::format("{}: {} is {:.3f} now and {:.3f} in the table", now.check, rate, a.value, b.value));
      }
    };
    compare("detection", now.detection(), then->detection());
    compare("false alarm", now.false_alarm(), then->false_alarm());
    compare("abstention", now.abstention(), then->abstention());
  }
  return out;
}

}  // namespace plumbline::verify
