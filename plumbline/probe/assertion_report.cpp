#include "plumbline/probe/assertion_report.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::probe {
namespace {

using base::Code;
using base::make_error;
using Outcome = AssertionSet::Outcome;

base::Status check_records(const AssertionSet& set, std::span<const AssertionRecord> records) {
  if (records.empty()) return make_error(Code::kShape, "run_assertions: no records, expected at least 1");
  for (std::size_t i = 0; i < records.size(); ++i) {
    const AssertionRecord& r = records[i];
    if (r.numbers.size() != set.fields().numbers.size() || r.texts.size() != set.fields().texts.size())
      return make_error(Code::kShape, fmt::format("run_assertions: record {} has {} numbers and {} texts, expected {} "
                                                  "and {}",
                                                  i, r.numbers.size(), r.texts.size(), set.fields().numbers.size(),
                                                  set.fields().texts.size()));
    if (!std::isfinite(r.time) || (i > 0 && r.time < records[i - 1].time))
      return make_error(Code::kValue, fmt::format("run_assertions: record {} has the time {}, expected at least the {} "
                                                  "before it",
                                                  i, r.time, i > 0 ? records[i - 1].time : 0));
  }
  return base::ok();
}

/// Numbers of units as stats::proportion wants them; empty where no unit is named.
std::vector<int> unit_numbers(std::span<const AssertionRecord> records) {
  std::map<std::string, int> number;
  std::vector<int> units;
  int next = 0;
  bool named = false;
  for (const AssertionRecord& r : records) {
    named = named || !r.unit.empty();
    if (r.unit.empty()) {
      units.push_back(next++);  // its own
      continue;
    }
    const auto [at, is_new] = number.try_emplace(r.unit, next);
    next += is_new ? 1 : 0;
    units.push_back(at->second);
  }
  return named ? units : std::vector<int>();
}

/// Share of hits among the judged; 2 = not judged.
std::optional<stats::Estimate> share_of(const std::vector<std::uint8_t>& outcome, const std::vector<int>& units) {
  std::vector<std::uint8_t> hits;
  std::vector<int> of;
  std::set<int> different;
  for (std::size_t i = 0; i < outcome.size(); ++i) {
    if (outcome[i] == 2) continue;
    hits.push_back(outcome[i]);
    if (units.empty()) continue;
    of.push_back(units[i]);
    different.insert(units[i]);
  }
  if (hits.empty()) return std::nullopt;
  const auto rows = stats::proportion(hits, different.size() < 2 ? std::vector<int>() : of);
  if (!rows.ok()) return std::nullopt;
  stats::Estimate estimate = *rows;
  if (!units.empty()) estimate.unit_of_sampling = "unit";
  if (different.size() == 1)
    estimate.warnings.emplace_back("one unit only: its records are taken as independent, and the bounds are too near");
  return estimate;
}

/// Where a steady assertion's short run is what is wrong, the records of that run get the weak label.
void add_weak_labels(const AssertionSet& set, std::span<const AssertionRecord> records, std::size_t at,
                     const Violation& violation, const std::vector<std::size_t>& of_unit,
                     std::map<std::pair<std::size_t, std::pair<bool, std::size_t>>, WeakLabel>& labels) {
  const auto field = set.corrected_field(violation.assertion);
  if (!field || violation.correction.empty()) return;
  const auto value = [&](std::size_t record) {
    return field->text ? records[record].texts[field->index] : fmt::format("{}", records[record].numbers[field->index]);
  };
  const auto add = [&](std::size_t record) {
    if (value(record) == violation.correction) return;
    labels.try_emplace({record, {field->text, field->index}},
                       WeakLabel{record, violation.assertion, *field, value(record), violation.correction});
  };
  add(at);
  if (!violation.since) return;
  for (auto i = of_unit.rbegin(); i != of_unit.rend() && records[*i].time >= *violation.since; ++i) add(*i);
}

}  // namespace

base::Result<AssertionReport> run_assertions(const AssertionSet& set, std::span<const AssertionRecord> records,
                                             std::size_t units) {
  PL_CHECK(check_records(set, records));
  AssertionReport report;
  report.assertions.resize(set.size());
  AssertionMemory memory(units);
  std::vector<std::vector<std::uint8_t>> outcome(set.size(), std::vector<std::uint8_t>(records.size(), 2));
  std::vector<std::uint8_t> any(records.size(), 2), failing(records.size(), 2);
  std::map<std::string, std::vector<std::size_t>> of_unit;
  std::map<std::pair<std::size_t, std::string>, std::size_t> open;  // (assertion, unit) in an event
  std::map<std::pair<std::size_t, std::pair<bool, std::size_t>>, WeakLabel> labels;
  std::size_t events = 0;
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const AssertionRecord& record = records[i];
    const auto violations = set.check(record, memory, &outcomes);
    auto& mine = of_unit[record.unit];
    mine.push_back(i);
    for (std::size_t a = 0; a < set.size(); ++a) {
      AssertionFigures& f = report.assertions[a];
      if (outcomes[a] == Outcome::kAbsent) {
        ++f.absent;
        continue;
      }
      ++f.judged;
      const std::uint8_t hit = outcomes[a] == Outcome::kViolated ? 1 : 0;
      outcome[a][i] = hit;
      for (auto* share : {&any, set.spec(a).fail ? &failing : nullptr})
        if (share != nullptr) (*share)[i] = (*share)[i] == 2 ? hit : std::max((*share)[i], hit);
      if (hit == 0) open.erase({a, record.unit});
    }
    for (const Violation& v : violations) {
      AssertionFigures& f = report.assertions[v.assertion];
      ++f.violated;
      f.worst = std::max(f.worst, v.severity);
      const auto [event, is_new] = open.try_emplace({v.assertion, record.unit}, events);
      if (is_new) {
        ++events;
        ++f.events;
      }
      report.flagged.push_back({i, event->second, v});
      add_weak_labels(set, records, i, v, mine, labels);
    }
    set.remember(set.note(record), memory);
  }
  const std::vector<int> numbers = unit_numbers(records);
  for (std::size_t a = 0; a < set.size(); ++a) report.assertions[a].rate = share_of(outcome[a], numbers);
  report.any = share_of(any, numbers);
  report.failing = share_of(failing, numbers);
  for (auto& [key, label] : labels) report.weak_labels.push_back(std::move(label));
  return report;
}

std::vector<std::size_t> worth_labelling(const AssertionReport& report, std::size_t budget) {
  std::vector<const FlaggedRecord*> order;
  for (const FlaggedRecord& f : report.flagged) order.push_back(&f);
  std::stable_sort(order.begin(), order.end(), [](const FlaggedRecord* a, const FlaggedRecord* b) {
    return a->violation.severity > b->violation.severity;
  });
  std::set<std::size_t> events, taken;
  std::vector<std::size_t> chosen;
  for (bool more = true; more && chosen.size() < budget;) {
    more = false;
    for (std::size_t a = 0; a < report.assertions.size() && chosen.size() < budget; ++a) {
      const auto next = std::find_if(order.begin(), order.end(), [&](const FlaggedRecord* f) {
        return f->violation.assertion == a && !events.contains(f->event) && !taken.contains(f->record);
      });
      if (next == order.end()) continue;
      events.insert((*next)->event);
      taken.insert((*next)->record);
      chosen.push_back((*next)->record);
      more = true;
    }
  }
  return chosen;
}

base::Result<PlantedFaults> plant_faults(const AssertionSet& set, std::span<const AssertionRecord> records,
                                         const AssertionReport& report, std::size_t field, double share,
                                         base::Rng rng) {
  PL_CHECK(base::check_in_open("plant_faults", "share", share, 0, 1));
  if (field >= set.fields().texts.size())
    return make_error(Code::kValue,
                      fmt::format("plant_faults: field is {}, expected below {}", field, set.fields().texts.size()));
  std::set<std::string> values;
  std::vector<std::size_t> present;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].texts[field].empty()) continue;
    present.push_back(i);
    values.insert(records[i].texts[field]);
  }
  if (values.size() < 2)
    return make_error(Code::kValue, fmt::format("plant_faults: '{}' has {} values, expected at least 2",
                                                set.fields().texts[field], values.size()));
  const std::vector<std::string> all(values.begin(), values.end());
  const auto count = std::max<std::size_t>(1, static_cast<std::size_t>(share * static_cast<double>(present.size())));
  std::vector<AssertionRecord> faulty(records.begin(), records.end());
  std::map<std::size_t, std::string> was;
  for (const std::size_t i : rng.sample(present.size(), count)) {
    const std::size_t record = present[i];
    const auto at =
        static_cast<std::size_t>(std::lower_bound(all.begin(), all.end(), records[record].texts[field]) - all.begin());
    was[record] = records[record].texts[field];
    faulty[record].texts[field] = all[(at + 1 + rng.below(all.size() - 1)) % all.size()];
  }
  PL_TRY(const AssertionReport now, run_assertions(set, faulty));
  const auto named = [](const AssertionReport& r) {
    std::set<std::size_t> out;
    for (const FlaggedRecord& f : r.flagged) out.insert(f.record);
    for (const WeakLabel& w : r.weak_labels) out.insert(w.record);
    return out;
  };
  const std::set<std::size_t> before = named(report), after = named(now);
  std::map<std::size_t, std::string> to;
  for (const WeakLabel& w : now.weak_labels)
    if (w.field.text && w.field.index == field) to.emplace(w.record, w.to);
  PlantedFaults faults;
  faults.planted = was.size();
  for (const auto& [record, text] : was) {
    faults.caught += after.contains(record) && !before.contains(record) ? 1 : 0;
    const auto proposed = to.find(record);
    faults.corrected += proposed != to.end() && proposed->second == text ? 1 : 0;
  }
  return faults;
}

}  // namespace plumbline::probe
