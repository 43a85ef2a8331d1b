#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/hash.hpp"
#include "plumbline/base/url.hpp"
#include "plumbline/case/claims/escape.hpp"
#include "plumbline/case/claims/json.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/report/report.hpp"

namespace plumbline::report {
namespace {

using claims::ClaimVerdict;
using claims::printable;
using claims::Standing;
using claims::Verdict;
using nlohmann::json;

std::string dump(const json& value) { return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n"; }

template <class T>
json list_of(const std::vector<T>& values) {
  json list = json::array();
  for (const T& value : values) list.push_back(check::to_json(value));
  return list;
}

/// The first bytes of a clean text, cut between characters.
std::string shortened(std::string_view text, std::size_t most) {
  std::string clean = printable(text);
  if (clean.size() <= most) return clean;
  while (most > 0 && (static_cast<unsigned char>(clean[most]) & 0xC0U) == 0x80) --most;
  return clean.substr(0, most);
}

/// Version 8 of RFC 9562: the bits of a hash, with the version and variant fields set.
std::string derived_uuid(std::string_view text) {
  std::string hex = base::sha256_hex(text).substr(0, 32);
  hex[12] = '8';
  hex[16] = "89ab"[static_cast<std::size_t>(hex[16] <= '9' ? hex[16] - '0' : hex[16] - 'a' + 10) % 4];
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                     hex.substr(20, 12));
}

json location(const Report& report, int line) {
  return {{"physicalLocation",
           {{"artifactLocation", {{"uri", base::percent_encode(report.run.manifest, "/")}}},
            {"region", {{"startLine", std::max(1, line)}}}}}};
}

}  // namespace

std::string to_evidence_json(const Report& report) {
  json run = check::to_json(report.run);
  for (const char* part : {"ledger", "evidence", "findings", "artifacts"}) run.erase(part);
  run["exit_status"] = report.exit.code;
  run["exit_reason"] = report.exit.reason;
  json artifacts = json::array();
  for (const check::Artifact& artifact : report.run.artifacts) {
    json entry = check::to_json(artifact, false);
    entry["path"] = artifact_path(artifact);
    artifacts.push_back(std::move(entry));
  }
  run["artifacts"] = std::move(artifacts);
  return dump({{"schema", kEvidenceSchema},
               {"run", std::move(run)},
               {"ledger", list_of(report.run.ledger)},
               {"evidence", list_of(report.run.evidence)},
               {"findings", list_of(report.run.findings)},
               {"claims", claims::to_json(report.claims)},
               {"argument", claims::to_json(report.argument)}});
}

std::string to_sarif(const Report& report) {
  std::vector<std::string> rule_ids;
  json rules = json::array();
  const auto rule = [&](const std::string& id) {
    const auto found = std::find(rule_ids.begin(), rule_ids.end(), id);
    if (found != rule_ids.end()) return found - rule_ids.begin();
    json entry = {{"id", printable(id)}};
    for (const check::CheckInfo& info : report.checks) {
      if (info.id != id) continue;
      entry["name"] = printable(info.title);
      entry["shortDescription"] = {{"text", printable(info.question.empty() ? info.title : info.question)}};
    }
    rules.push_back(std::move(entry));
    rule_ids.push_back(id);
    return static_cast<std::ptrdiff_t>(rule_ids.size()) - 1;
  };

  json results = json::array();
  for (const ClaimVerdict& claim : report.claims) {
    const Standing standing = standing_of(claim);
    const char* kind = standing == Standing::kSupported                                    ? "pass"
                       : standing == Standing::kRefuted || standing == Standing::kDefeated ? "fail"
                                                                                           : "open";
    const char* level = std::string_view(kind) != "fail" ? "none" : claim.counts_as_failure() ? "error" : "warning";
    json properties = {
        {"claim", claim.id},          {"verdict", verdict_name(claim.verdict)}, {"standing", standing_name(standing)},
        {"severity", claim.severity}, {"condition", claim.condition},           {"looks", claim.looks},
        {"selected", claim.selected}};
    if (claim.waiver) properties["waiver"] = claims::to_json(claim)["waiver"];
    json result = {
        {"ruleId", printable(claim.check)},
        {"ruleIndex", rule(claim.check)},
        {"kind", kind},
        {"level", level},
        {"message",
         {{"text", printable(fmt::format("Claim {} is {}: {}", claim.id, standing_name(standing), claim.reason))}}},
        {"locations", json::array({location(report, claim.line)})},
        {"partialFingerprints", {{"plumblineClaim/v1", base::sha256_hex("claim:" + claim.id)}}},
        {"properties", std::move(properties)}};
    if (claim.waiver && !claim.waiver->expired) {
      result["suppressions"] =
          json::array({{{"kind", "external"},
                        {"status", "accepted"},
                        {"justification", printable(fmt::format("{} ({}, until {})", claim.waiver->reason,
                                                                claim.waiver->owner, claim.waiver->expires))}}});
    }
    results.push_back(std::move(result));
  }
  for (const check::Finding& finding : report.run.findings) {
    const char* level = finding.severity == check::FindingSeverity::kMajor    ? "error"
                        : finding.severity == check::FindingSeverity::kMedium ? "warning"
                                                                              : "note";
    std::string message = printable(finding.title);
    if (!finding.detail.empty()) message += ". " + printable(finding.detail);
    if (!finding.next_step.empty()) message += " Next: " + printable(finding.next_step);
    json place = location(report, 1);
    if (!finding.data.empty())
      place["logicalLocations"] = json::array({{{"name", printable(finding.data)}, {"kind", "resource"}}});
    results.push_back(
        {{"ruleId", printable(finding.check)},
         {"ruleIndex", rule(finding.check)},
         {"kind", "fail"},
         {"level", level},
         {"message", {{"text", message}}},
         {"locations", json::array({place})},
         {"partialFingerprints",
          {{"plumblineFinding/v1",
            finding.id.empty() ? base::sha256_hex(finding.check + finding.subject + finding.title) : finding.id}}},
         {"properties", {{"subject", finding.subject}, {"rows", finding.rows}, {"where", finding.where}}}});
  }

  json notifications = json::array();
  for (const check::LedgerEntry& entry : report.run.ledger) {
    if (entry.status == check::LedgerStatus::kOk) continue;
    const bool error = entry.status == check::LedgerStatus::kError;
    notifications.push_back({{"level", error ? "error" : "note"},
                             {"message",
                              {{"text", printable(fmt::format("{} {}: {}: {}", entry.check, entry.subject,
                                                              ledger_status_name(entry.status), entry.reason))}}},
                             {"associatedRule", {{"id", printable(entry.check)}, {"index", rule(entry.check)}}}});
  }
  const bool ran = report.exit.code != 2 && report.exit.code != 130 && report.run.status != check::RunStatus::kError &&
                   std::none_of(report.run.ledger.begin(), report.run.ledger.end(),
                                [](const auto& e) { return e.status == check::LedgerStatus::kError; });
  json invocation = {{"executionSuccessful", ran},
                     {"exitCode", report.exit.code},
                     {"exitCodeDescription", printable(report.exit.reason)},
                     {"toolExecutionNotifications", notifications}};
  if (!report.run.started.empty()) invocation["startTimeUtc"] = printable(report.run.started);
  if (!report.run.finished.empty()) invocation["endTimeUtc"] = printable(report.run.finished);
  return dump(
      {{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
       {"version", "2.1.0"},
       {"runs", json::array({{{"tool",
                               {{"driver",
                                 {{"name", "plumbline"}, {"version", printable(report.run.build)}, {"rules", rules}}}}},
                              {"automationDetails", {{"id", "plumbline/" + printable(report.run.system)}}},
                              {"columnKind", "unicodeCodePoints"},
                              {"invocations", json::array({invocation})},
                              {"results", results}}})}});
}

std::string to_tea_items(const Report& report, const std::map<std::string, std::string>& claim_ids) {
  json items = json::array();
  for (const ClaimVerdict& claim : report.claims) {
    if (claim.verdict == Verdict::kNotEvaluated) continue;
    const Standing standing = standing_of(claim);
    std::string metric = shortened(claim.metric, 200);
    std::replace(metric.begin(), metric.end(), '_', '-');
    json dimensions = json::array();
    for (const std::string& set : claim.sets) {
      if (dimensions.size() < 50) dimensions.push_back(shortened("data=" + set, 200));
    }
    for (const auto& [key, value] : claim.where) {
      if (key != "data" && dimensions.size() < 50) dimensions.push_back(shortened(key + "=" + value, 200));
    }
    json provenance = {{"check", shortened(claim.check, 200)},
                       {"runId", shortened(report.run.id, 200)},
                       {"claim", shortened(claim.id, 200)},
                       {"reason", shortened(claim.reason, 500)},
                       {"condition", shortened(claim.condition, 200)},
                       {"evidence", shortened(claim.deciding, 64)},
                       {"standing", standing_name(standing)},
                       {"build", shortened(report.run.build, 200)},
                       {"seed", report.run.seed}};
    if (claim.low) provenance["low"] = *claim.low;
    if (claim.high) provenance["high"] = *claim.high;
    if (claim.judged_level) provenance["level"] = *claim.judged_level;
    if (claim.waiver)
      provenance["waiver"] = shortened(
          fmt::format("{} until {}: {}", claim.waiver->owner, claim.waiver->expires, claim.waiver->reason), 300);
    const auto id = claim_ids.find(claim.id);
    json item = {{"formatVersion", "0.1"},
                 {"claimId", id != claim_ids.end() ? id->second : derived_uuid(report.run.system + "\n" + claim.id)},
                 {"metricName", metric},
                 {"verdict", standing == Standing::kSupported ? "PASS"
                             : standing == Standing::kRefuted ? "FAIL"
                                                              : "DEGRADED"},
                 {"oddDimensions", dimensions},
                 {"sourceSystem", "plumbline"},
                 {"provenance", provenance},
                 {"evaluatedAt", report.run.finished.empty() ? report.run.started : report.run.finished}};
    if (claim.value && std::isfinite(*claim.value)) item["value"] = *claim.value;
    if (claim.at_least.has_value() != claim.at_most.has_value())
      item["threshold"] = claim.at_least ? *claim.at_least : *claim.at_most;
    items.push_back(std::move(item));
  }
  return dump(items);
}

}  // namespace plumbline::report
