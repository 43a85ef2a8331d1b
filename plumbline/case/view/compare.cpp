#include "plumbline/case/view/compare.hpp"

#include <fmt/format.h>

#include "plumbline/case/claims/escape.hpp"

namespace plumbline::view {
namespace {

void compare_claims(const StoredRun& first, const StoredRun& second, Comparison& out) {
  for (const StoredRun* run : {&first, &second}) {
    if (run->not_judged)
      out.not_compared.push_back(fmt::format("run {}: {}", run->report.run.id, run->not_judged->text()));
  }
  if (!out.not_compared.empty()) return;
  std::map<std::string, ClaimChange> all;
  for (const claims::ClaimVerdict& claim : first.report.claims)
    all[claim.id] = {claim.id, claim.text, claims::standing_of(claim), {}};
  for (const claims::ClaimVerdict& claim : second.report.claims) {
    ClaimChange& change = all[claim.id];
    change.id = claim.id;
    change.text = claim.text;
    change.after = claims::standing_of(claim);
  }
  for (auto& [id, change] : all) {
    if (change.before != change.after) out.claims.push_back(std::move(change));
  }
}

}  // namespace

std::string_view change_name(Change change) {
  switch (change) {
    case Change::kAdded: return "added";
    case Change::kRemoved: return "removed";
    case Change::kChanged: return "changed";
  }
  return "changed";
}

std::string figure_name(const check::Evidence& e) {
  std::string out = fmt::format("{} {} {}", e.check, e.subject, e.metric);
  for (const auto& [key, value] : e.where) out += fmt::format(" {}={}", key, value);
  return out;
}

std::string figure_text(const check::Evidence& e) {
  const auto low = e.estimate.low(e.level);
  const auto high = e.estimate.high(e.level);
  return fmt::format("{:.4g} [{}, {}]", e.estimate.value, low ? fmt::format("{:.4g}", *low) : "-",
                     high ? fmt::format("{:.4g}", *high) : "-");
}

base::Result<std::map<std::string, std::string>> parse_where(const std::vector<std::string>& conditions) {
  std::map<std::string, std::string> where;
  for (const std::string& condition : conditions) {
    const std::size_t cut = condition.find('=');
    if (cut == 0 || cut == std::string::npos)
      return base::make_error(base::Code::kValue, fmt::format("'{}' is not KEY=VALUE", claims::printable(condition)),
                              "--where", "For example data=test");
    where[condition.substr(0, cut)] = condition.substr(cut + 1);
  }
  return where;
}

Comparison compare(const StoredRun& first, const StoredRun& second) {
  Comparison out;
  compare_claims(first, second, out);
  std::map<std::string, const check::Evidence*> before;
  std::map<std::string, const check::Evidence*> after;
  for (const check::Evidence& e : first.report.run.evidence) before[figure_name(e)] = &e;
  for (const check::Evidence& e : second.report.run.evidence) after[figure_name(e)] = &e;
  for (const auto& [name, e] : before) {
    const auto other = after.find(name);
    if (other == after.end()) {
      out.figures.push_back({name, Change::kRemoved, *e, {}});
    } else if (other->second->id != e->id) {
      out.figures.push_back({name, Change::kChanged, *e, *other->second});
    } else {
      ++out.same;
    }
  }
  for (const auto& [name, e] : after) {
    if (before.count(name) == 0) out.figures.push_back({name, Change::kAdded, {}, *e});
  }
  return out;
}

}  // namespace plumbline::view
