#include "plumbline/case/report/report.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plumbline/case/claims/escape.hpp"

namespace plumbline::report {
namespace {

using claims::ClaimVerdict;
using claims::printable;
using claims::Standing;

constexpr std::size_t kFindingsShown = 20;

/// Colours of a terminal; the word always says the same.
std::string painted(Standing standing, const std::string& text, bool color) {
  if (!color) return text;
  const char* code = standing == Standing::kSupported                                    ? "32"
                     : standing == Standing::kRefuted || standing == Standing::kDefeated ? "1;31"
                                                                                         : "33";
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string words(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

void claim_lines(const ClaimVerdict& claim, bool color, std::string& out) {
  const Standing standing = standing_of(claim);
  out +=
      fmt::format("  {} {}{}\n", painted(standing, fmt::format("{:<14}", words(standing_name(standing))), color),
                  printable(claim.id), claim.severity == "fail" ? "" : " (severity " + printable(claim.severity) + ")");
  if (!claim.text.empty()) out += fmt::format("                 {}\n", printable(claim.text));
  out += fmt::format("                 {}\n", printable(claim.reason));
  if (words(standing_name(standing)) != words(verdict_name(claim.verdict))) {
    out += fmt::format("                 verdict {}, {}{}\n", words(verdict_name(claim.verdict)),
                       freshness_name(claim.freshness),
                       claim.defeat == claims::Defeat::kNone ? "" : fmt::format(", {}", defeat_name(claim.defeat)));
  }
  if (claim.judged_level || claim.simultaneous_level) {
    out += fmt::format("                 level {} for this claim, {} over all claims; look {}\n",
                       claim.judged_level ? fmt::format("{:g}", *claim.judged_level) : "none",
                       claim.simultaneous_level ? fmt::format("{:g}", *claim.simultaneous_level) : "none", claim.looks);
  }
  if (claim.models > 1 || claim.seeds > 1) {
    out += fmt::format("                 {} models and {} seeds saw this test set{}\n", claim.models, claim.seeds,
                       claim.selected ? ": selected, so the figure flatters" : "");
  }
  if (claim.waiver) {
    out += fmt::format("                 waiver {} by {}, {} {}: {}\n", printable(claim.waiver->id),
                       printable(claim.waiver->owner), claim.waiver->expired ? "expired" : "until",
                       printable(claim.waiver->expires), printable(claim.waiver->reason));
  }
}

}  // namespace

base::Result<Report> make_report(const data::Manifest& manifest, const check::RunRecord& run,
                                 const check::Registry& registry, const claims::JudgeContext& context,
                                 const claims::ExitFlags& flags) {
  Report report;
  report.run = run;
  report.claims = claims::judge(manifest, run, registry, context);
  PL_TRY(report.argument, claims::argue(manifest, report.claims, run));
  report.argument_svg = claims::to_svg(report.argument);
  report.exit = claims::exit_status(report.claims, run, flags);
  std::set<std::string> mentioned;
  for (const check::LedgerEntry& entry : run.ledger) mentioned.insert(entry.check);
  for (const ClaimVerdict& claim : report.claims) mentioned.insert(claim.check);
  for (const check::Entry& entry : registry.entries()) {
    if (mentioned.contains(entry.info.id)) report.checks.push_back(entry.info);
  }
  return report;
}

std::string summary_line(const Report& report) {
  return fmt::format("exit status {}: {}", report.exit.code, printable(report.exit.reason));
}

std::string to_text(const Report& report, bool color) {
  const check::RunRecord& run = report.run;
  std::string out = fmt::format("{}: run {} {}, seed {}, {:.1f} s\n", printable(run.system), printable(run.id),
                                run_status_name(run.status), run.seed, run.seconds);

  out += fmt::format("\nClaims ({})\n", report.claims.size());
  if (report.claims.empty()) out += "  none written\n";
  std::vector<const ClaimVerdict*> ordered;
  for (const ClaimVerdict& claim : report.claims) ordered.push_back(&claim);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto* a, const auto* b) { return standing_of(*a) > standing_of(*b); });
  for (const ClaimVerdict* claim : ordered) claim_lines(*claim, color, out);

  std::map<check::LedgerStatus, int> counts;
  for (const check::LedgerEntry& entry : run.ledger) ++counts[entry.status];
  const auto count = [&](check::LedgerStatus status) { return counts.contains(status) ? counts.at(status) : 0; };
  out += fmt::format("\nChecks: {} ok, {} in error, {} skipped, {} not applicable\n", count(check::LedgerStatus::kOk),
                     count(check::LedgerStatus::kError), count(check::LedgerStatus::kSkipped),
                     count(check::LedgerStatus::kNotApplicable));
  for (const check::LedgerStatus status :
       {check::LedgerStatus::kError, check::LedgerStatus::kSkipped, check::LedgerStatus::kNotApplicable}) {
    for (const check::LedgerEntry& entry : run.ledger) {
      if (entry.status != status) continue;
      out += fmt::format("  {:<14} {}{}{}: {}\n", words(ledger_status_name(status)), printable(entry.check),
                         entry.subject.empty() ? "" : " on ", printable(entry.subject), printable(entry.reason));
    }
  }

  out += fmt::format("\nFindings ({})\n", run.findings.size());
  if (run.findings.empty()) {
    out += count(check::LedgerStatus::kOk) > 0 ? "  none in what ran\n" : "  nothing ran, so nothing could be found\n";
  }
  std::vector<const check::Finding*> findings;
  for (const check::Finding& finding : run.findings) findings.push_back(&finding);
  std::stable_sort(findings.begin(), findings.end(),
                   [](const auto* a, const auto* b) { return a->severity < b->severity; });
  for (std::size_t i = 0; i < findings.size() && i < kFindingsShown; ++i) {
    out += fmt::format("  {:<14} {}\n", severity_name(findings[i]->severity), printable(findings[i]->title));
    if (!findings[i]->next_step.empty())
      out += fmt::format("                 next: {}\n", printable(findings[i]->next_step));
  }
  if (findings.size() > kFindingsShown) out += fmt::format("  and {} more\n", findings.size() - kFindingsShown);
  for (const std::string& note : run.notes) out += fmt::format("\nNote: {}", printable(note));
  if (!run.notes.empty()) out += "\n";
  return out + "\n" + summary_line(report) + "\n";
}

}  // namespace plumbline::report
