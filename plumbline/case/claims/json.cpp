#include "plumbline/case/claims/json.hpp"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace plumbline::claims {
namespace {

using nlohmann::json;

json number(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? json(*value) : json(nullptr);
}
json word_or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

std::optional<double> number_from(const json& source, const char* name) {
  const json& value = source.at(name);
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

template <class E>
E word_from(const json& source, const char* name, std::string_view (*words)(E), int count) {
  const auto word = source.at(name).get<std::string>();
  for (int i = 0; i < count; ++i) {
    if (words(static_cast<E>(i)) == word) return static_cast<E>(i);
  }
  throw json::other_error::create(501, fmt::format("'{}' is no {}", word, name), &source);
}

ClaimVerdict read(const json& source) {
  ClaimVerdict v;
  source.at("id").get_to(v.id);
  source.at("line").get_to(v.line);
  source.at("text").get_to(v.text);
  source.at("check").get_to(v.check);
  source.at("metric").get_to(v.metric);
  source.at("where").get_to(v.where);
  source.at("severity").get_to(v.severity);
  source.at("confidence").get_to(v.confidence);
  source.at("condition").get_to(v.condition);
  v.verdict = word_from<Verdict>(source, "verdict", verdict_name, 4);
  source.at("reason").get_to(v.reason);
  source.at("evidence").get_to(v.evidence);
  if (!source.at("deciding").is_null()) source.at("deciding").get_to(v.deciding);
  source.at("sets").get_to(v.sets);
  v.value = number_from(source, "value");
  v.low = number_from(source, "low");
  v.high = number_from(source, "high");
  v.at_least = number_from(source, "at_least");
  v.at_most = number_from(source, "at_most");
  source.at("looks").get_to(v.looks);
  v.judged_level = number_from(source, "judged_level");
  v.simultaneous_level = number_from(source, "simultaneous_level");
  v.needs_more = number_from(source, "needs_more");
  if (!source.at("needs_more_reason").is_null()) source.at("needs_more_reason").get_to(v.needs_more_reason);
  source.at("models").get_to(v.models);
  source.at("seeds").get_to(v.seeds);
  source.at("selected").get_to(v.selected);
  if (const json& w = source.at("waiver"); !w.is_null()) {
    v.waiver =
        WaiverState{w.at("id").get<std::string>(), w.at("owner").get<std::string>(), w.at("reason").get<std::string>(),
                    w.at("expires").get<std::string>(), w.at("expired").get<bool>()};
  }
  v.freshness = word_from<Freshness>(source, "freshness", freshness_name, 2);
  v.defeat = word_from<Defeat>(source, "defeat", defeat_name, 3);
  return v;
}

}  // namespace

json to_json(const ClaimVerdict& v) {
  json waiver = nullptr;
  if (v.waiver) {
    waiver = {{"id", v.waiver->id},
              {"owner", v.waiver->owner},
              {"reason", v.waiver->reason},
              {"expires", v.waiver->expires},
              {"expired", v.waiver->expired}};
  }
  return {{"id", v.id},
          {"line", v.line},
          {"text", v.text},
          {"check", v.check},
          {"metric", v.metric},
          {"where", v.where},
          {"severity", v.severity},
          {"counts_as_failure", v.counts_as_failure()},
          {"confidence", v.confidence},
          {"condition", v.condition},
          {"verdict", verdict_name(v.verdict)},
          {"standing", standing_name(standing_of(v))},
          {"reason", v.reason},
          {"evidence", v.evidence},
          {"deciding", word_or_null(v.deciding)},
          {"sets", v.sets},
          {"value", number(v.value)},
          {"low", number(v.low)},
          {"high", number(v.high)},
          {"at_least", number(v.at_least)},
          {"at_most", number(v.at_most)},
          {"looks", v.looks},
          {"judged_level", number(v.judged_level)},
          {"simultaneous_level", number(v.simultaneous_level)},
          {"needs_more", number(v.needs_more)},
          {"needs_more_reason", word_or_null(v.needs_more_reason)},
          {"models", v.models},
          {"seeds", v.seeds},
          {"selected", v.selected},
          {"waiver", waiver},
          {"freshness", freshness_name(v.freshness)},
          {"defeat", defeat_name(v.defeat)}};
}

json to_json(const std::vector<ClaimVerdict>& verdicts) {
  json list = json::array();
  for (const ClaimVerdict& verdict : verdicts) list.push_back(to_json(verdict));
  return list;
}

json to_json(const Argument& argument) {
  json nodes = json::array();
  for (const Node& node : argument.nodes) {
    nodes.push_back({{"id", node.id},
                     {"kind", node_kind_name(node.kind)},
                     {"text", node.text},
                     {"supported_by", node.supported_by},
                     {"in_context_of", node.in_context_of},
                     {"challenges", node.challenges},
                     {"undeveloped", node.undeveloped},
                     {"defeated", node.defeated},
                     {"need", node.need},
                     {"claim", word_or_null(node.claim)},
                     {"evidence", word_or_null(node.evidence)},
                     {"standing", node.standing ? json(standing_name(*node.standing)) : json(nullptr)},
                     {"doubt", node.kind == NodeKind::kDefeater ? json(doubt_name(node.doubt)) : json(nullptr)}});
  }
  json roots = json::array();
  for (const Node* root : argument.roots()) roots.push_back(root->id);
  return {{"name", argument.name}, {"brief", argument.brief}, {"roots", roots}, {"nodes", nodes}};
}

base::Result<ClaimVerdict> verdict_from_json(const json& source) {
  try {
    return read(source);
  } catch (const json::exception& error) {
    return base::make_error(base::Code::kParse, error.what(), "claim");
  }
}

base::Result<std::vector<ClaimVerdict>> verdicts_from_json(const json& source) {
  if (!source.is_array()) return base::make_error(base::Code::kParse, "is not a list", "claims");
  std::vector<ClaimVerdict> verdicts;
  for (const json& item : source) {
    PL_TRY(ClaimVerdict verdict, verdict_from_json(item));
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

std::string history_to_json(const std::map<std::string, LookHistory>& history) {
  json out = json::object();
  for (const auto& [id, h] : history) {
    out[id] = {{"looks", h.looks}, {"anytime", h.anytime_before_first_look}, {"models", h.models}, {"seeds", h.seeds}};
  }
  return out.dump();
}

std::map<std::string, LookHistory> history_from_json(const std::string& text) {
  std::map<std::string, LookHistory> out;
  const json source = json::parse(text, nullptr, false);
  if (!source.is_object()) return out;
  for (const auto& [id, h] : source.items()) {
    try {
      out[id] = {h.value("looks", 1), h.value("anytime", false), h.value("models", 1), h.value("seeds", 1)};
    } catch (const json::exception&) {
      out[id] = {};
    }
  }
  return out;
}

}  // namespace plumbline::claims
