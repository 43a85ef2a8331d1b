#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "plumbline/case/claims/escape.hpp"
#include "plumbline/case/report/report.hpp"

namespace plumbline::report {
namespace {

using claims::annotation;
using claims::ClaimVerdict;
using claims::markdown;
using claims::Standing;
using claims::xml;

enum class Outcome { kPass, kFailure, kError, kWarning };

/// How a claim counts: the one place where formats that know pass and fail take it from.
Outcome outcome_of(const ClaimVerdict& claim, const claims::ExitStatus& exit) {
  const Standing standing = standing_of(claim);
  if (standing == Standing::kSupported) return Outcome::kPass;
  if (!claim.counts_as_failure()) return Outcome::kWarning;
  if (standing == Standing::kRefuted) return Outcome::kFailure;
  if (standing == Standing::kUndetermined) return exit.fail_on_refuted ? Outcome::kWarning : Outcome::kFailure;
  return Outcome::kError;
}

std::string why_only_warning(const ClaimVerdict& claim) {
  if (claim.severity != "fail") return "severity " + claim.severity;
  if (claim.waiver && !claim.waiver->expired)
    return fmt::format("waived by {} until {}: {}", claim.waiver->owner, claim.waiver->expires, claim.waiver->reason);
  return "only refuted claims fail here";
}

std::string words(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

std::string number(const std::optional<double>& value) { return value ? fmt::format("{:.6g}", *value) : std::string(); }

std::string waiver_words(const claims::WaiverState& waiver) {
  return fmt::format("waiver {} by {}, {} {}: {}", waiver.id, waiver.owner, waiver.expired ? "expired" : "until",
                     waiver.expires, waiver.reason);
}

std::vector<const ClaimVerdict*> worst_first(const Report& report) {
  std::vector<const ClaimVerdict*> ordered;
  for (const ClaimVerdict& claim : report.claims) ordered.push_back(&claim);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto* a, const auto* b) { return standing_of(*a) > standing_of(*b); });
  return ordered;
}

}  // namespace

std::string to_junit(const Report& report) {
  std::string cases;
  int tests = 0;
  int failures = 0;
  int errors = 0;
  int skipped = 0;
  for (const ClaimVerdict& claim : report.claims) {
    double seconds = 0;
    for (const check::LedgerEntry& entry : report.run.ledger) seconds += entry.check == claim.check ? entry.seconds : 0;
    ++tests;
    cases += fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\">\n      <properties>\n",
                         xml(claim.check), xml(claim.id), seconds);
    const auto property = [&](std::string_view name, const std::string& value) {
      if (!value.empty()) cases += fmt::format("        <property name=\"{}\" value=\"{}\"/>\n", name, xml(value));
    };
    property("text", claim.text);
    property("verdict", std::string(verdict_name(claim.verdict)));
    property("standing", std::string(standing_name(standing_of(claim))));
    property("severity", claim.severity);
    property("metric", claim.metric);
    property("condition", claim.condition);
    property("threshold", number(claim.at_least ? claim.at_least : claim.at_most));
    if (claim.at_least && claim.at_most) property("threshold_high", number(claim.at_most));
    property("value", number(claim.value));
    property("low", number(claim.low));
    property("high", number(claim.high));
    property("level", number(claim.judged_level));
    property("simultaneous_level", number(claim.simultaneous_level));
    property("looks", std::to_string(claim.looks));
    property("selected", claim.selected ? "true" : "");
    property("needs_more", number(claim.needs_more));
    if (claim.waiver) property("waiver", waiver_words(*claim.waiver));
    cases += "      </properties>\n";
    const std::string standing(standing_name(standing_of(claim)));
    const std::string message = fmt::format("{}: {}", words(standing), claim.reason);
    switch (outcome_of(claim, report.exit)) {
      case Outcome::kPass: cases += fmt::format("      <system-out>{}</system-out>\n", xml(claim.reason)); break;
      case Outcome::kFailure:
        ++failures;
        cases += fmt::format("      <failure type=\"{}\" message=\"{}\"/>\n", standing, xml(message));
        break;
      case Outcome::kError:
        ++errors;
        cases += fmt::format("      <error type=\"{}\" message=\"{}\"/>\n", standing, xml(message));
        break;
      case Outcome::kWarning:
        ++skipped;
        cases += fmt::format("      <skipped message=\"{}\"/>\n",
                             xml(fmt::format("warning only ({}): {}", why_only_warning(claim), message)));
        break;
    }
    cases += "    </testcase>\n";
  }
  for (const check::LedgerEntry& entry : report.run.ledger) {
    const bool error = entry.status == check::LedgerStatus::kError;
    if (!error && entry.status != check::LedgerStatus::kSkipped) continue;
    ++tests;
    ++(error ? errors : skipped);
    cases += fmt::format(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\">\n      <{} message=\"{}\"/>\n    </testcase>\n",
        xml(entry.check), xml("check ran: " + (entry.subject.empty() ? entry.check : entry.subject)), entry.seconds,
        error ? "error type=\"error\"" : "skipped", xml(entry.reason));
  }
  if (report.exit.code != 0 && failures + errors == 0) {  // interrupted, or nothing selected: no claim says so
    ++tests;
    ++errors;
    cases += fmt::format(
        "    <testcase classname=\"plumbline\" name=\"run\" time=\"{:.3f}\">\n      <error type=\"exit {}\" "
        "message=\"{}\"/>\n    </testcase>\n",
        report.run.seconds, report.exit.code, xml(report.exit.reason));
  }
  const std::string counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3f}\"",
                                         tests, failures, errors, skipped, report.run.seconds);
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"plumbline\" {0}>\n  <testsuite name=\"{1}\" "
      "{0}{2}>\n    <properties>\n"
      "      <property name=\"run\" value=\"{3}\"/>\n      <property name=\"exit_status\" value=\"{4}\"/>\n"
      "      <property name=\"exit_reason\" value=\"{5}\"/>\n    </properties>\n{6}  </testsuite>\n</testsuites>\n",
      counts, xml(report.run.system),
      report.run.started.empty() ? "" : fmt::format(" timestamp=\"{}\"", xml(report.run.started)), xml(report.run.id),
      report.exit.code, xml(report.exit.reason), cases);
}

std::string to_annotations(const Report& report) {
  std::string out;
  const std::string file = annotation(report.run.manifest, true);
  for (const ClaimVerdict* claim : worst_first(report)) {
    const Outcome outcome = outcome_of(*claim, report.exit);
    if (outcome == Outcome::kPass) continue;
    const std::string standing = words(standing_name(standing_of(*claim)));
    std::string message = claim->reason;
    if (outcome == Outcome::kWarning) message += fmt::format(" ({})", why_only_warning(*claim));
    if (claim->waiver && claim->waiver->expired) message += fmt::format(" ({})", waiver_words(*claim->waiver));
    out += fmt::format("::{} file={},line={},title={}::{}\n", outcome == Outcome::kWarning ? "warning" : "error", file,
                       std::max(1, claim->line), annotation(fmt::format("Claim {} is {}", claim->id, standing), true),
                       annotation(message, false));
  }
  for (const check::LedgerEntry& entry : report.run.ledger) {
    if (entry.status != check::LedgerStatus::kError) continue;
    out +=
        fmt::format("::error file={},line=1,title={}::{}\n", file,
                    annotation(fmt::format("Check {} ended in error",
                                           entry.subject.empty() ? entry.check : entry.check + " on " + entry.subject),
                               true),
                    annotation(entry.reason, false));
  }
  for (const check::Finding& finding : report.run.findings) {
    if (finding.severity != check::FindingSeverity::kMajor) continue;
    out += fmt::format("::warning file={},line=1,title={}::{}\n", file, annotation("Finding of " + finding.check, true),
                       annotation(finding.title, false));
  }
  return out + fmt::format("::{} title=plumbline::{}\n", report.exit.code == 0 ? "notice" : "error",
                           annotation(summary_line(report), false));
}

std::string to_markdown(const Report& report) {
  static const std::map<Standing, const char*> kSigns = {
      {Standing::kSupported, "✅"}, {Standing::kUndetermined, "❔"},  {Standing::kNotEvaluated, "⬜"},
      {Standing::kStale, "⌛"},     {Standing::kDefeated, "⚠️"}, {Standing::kRefuted, "❌"}};
  const check::RunRecord& run = report.run;
  std::string out =
      fmt::format("## Plumbline: {}\n\n**{}**\n\nRun {}, {}, seed {}, {:.1f} s\n", markdown(run.system),
                  markdown(summary_line(report)), markdown(run.id), run_status_name(run.status), run.seed, run.seconds);
  out += "\n### Claims\n\n";
  if (report.claims.empty()) {
    out += "None written.\n";
  } else {
    out += "| | Claim | Figure | Claimed | Why |\n|---|---|---|---|---|\n";
    for (const ClaimVerdict* claim : worst_first(report)) {
      const Standing standing = standing_of(*claim);
      std::string figure = number(claim->value);
      if (claim->low || claim->high)
        figure += fmt::format(" ({} to {})", claim->low ? number(claim->low) : "none",
                              claim->high ? number(claim->high) : "none");
      std::string name = fmt::format("{} ({})", claim->text.empty() ? claim->id : claim->text, claim->id);
      if (claim->severity != "fail") name += fmt::format(", severity {}", claim->severity);
      std::string why = claim->reason;
      if (claim->selected)
        why += fmt::format("; selected: {} models and {} seeds saw this test set", claim->models, claim->seeds);
      if (claim->waiver) why += "; " + waiver_words(*claim->waiver);
      out += fmt::format("| {} {} | {} | {} | {} | {} |\n", kSigns.at(standing), words(standing_name(standing)),
                         markdown(name), markdown(figure), markdown(claim->condition), markdown(why));
    }
  }
  std::map<check::LedgerStatus, int> counts;
  for (const check::LedgerEntry& entry : run.ledger) ++counts[entry.status];
  using enum check::LedgerStatus;
  out += fmt::format("\n### Checks\n\n{} ok, {} in error, {} skipped, {} not applicable\n", counts[kOk], counts[kError],
                     counts[kSkipped], counts[kNotApplicable]);
  bool header = false;
  for (const check::LedgerStatus status : {kError, kSkipped, kNotApplicable}) {
    for (const check::LedgerEntry& entry : run.ledger) {
      if (entry.status != status) continue;
      if (!header) out += "\n| Status | Check | Why |\n|---|---|---|\n";
      header = true;
      out += fmt::format("| {} | {}{}{} | {} |\n", words(ledger_status_name(status)), markdown(entry.check),
                         entry.subject.empty() ? "" : " on ", markdown(entry.subject), markdown(entry.reason));
    }
  }
  if (!run.findings.empty()) {
    out += fmt::format("\n### Findings ({})\n\n", run.findings.size());
    std::vector<const check::Finding*> findings;
    for (const check::Finding& finding : run.findings) findings.push_back(&finding);
    std::stable_sort(findings.begin(), findings.end(),
                     [](const auto* a, const auto* b) { return a->severity < b->severity; });
    for (std::size_t i = 0; i < findings.size() && i < 20; ++i) {
      out += fmt::format("- {}: {}{}\n", severity_name(findings[i]->severity), markdown(findings[i]->title),
                         findings[i]->next_step.empty() ? "" : " Next: " + markdown(findings[i]->next_step));
    }
    if (findings.size() > 20) out += fmt::format("- and {} more\n", findings.size() - 20);
  }
  return out;
}

}  // namespace plumbline::report
