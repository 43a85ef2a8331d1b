#include "plumbline/replicate/replicate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"
#include "plumbline/replicate/replications.hpp"

namespace plumbline::replicate {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

struct Interval {
  double low = 0;
  double high = 0;
};

std::optional<Interval> interval(const stats::Estimate& estimate) {
  if (estimate.exactness == stats::Exactness::kExact) {
    return Interval{estimate.value - estimate.error_bound, estimate.value + estimate.error_bound};
  }
  const auto low = estimate.low(0.95);
  const auto high = estimate.high(0.95);
  if (!low || !high) return std::nullopt;
  return Interval{*low, *high};
}

bool inside(const Interval& i, double low, double high) { return i.low >= low && i.high <= high; }
bool apart(const Interval& i, double low, double high) { return i.high < low || i.low > high; }

}  // namespace

std::string_view origin_name(Origin origin) {
  switch (origin) {
    case Origin::kRead: return "read in the source";
    case Origin::kRecalled: return "not verified against the paper's text";
    case Origin::kProgram: return "the authors' program, run";
    case Origin::kSimulation: return "another simulation";
    case Origin::kDerived: return "worked out by hand";
    case Origin::kNone: break;
  }
  return "none";
}

std::string_view agreement_name(Agreement agreement) {
  switch (agreement) {
    case Agreement::kAgrees: return "agrees";
    case Agreement::kExplained: return "explained";
    case Agreement::kDiffers: return "differs";
    case Agreement::kUndetermined: return "undetermined";
    case Agreement::kNotComparable: return "not_comparable";
    case Agreement::kNotRun: break;
  }
  return "not_run";
}

Published number(double value, Origin origin, std::string source) {
  return {fmt::format("{}", value), value, value, origin, std::move(source)};
}
Published at_least(double value, Origin origin, std::string source) {
  return {fmt::format("at least {}", value), value, kInfinite, origin, std::move(source)};
}
Published at_most(double value, Origin origin, std::string source) {
  return {fmt::format("at most {}", value), -kInfinite, value, origin, std::move(source)};
}
Published above(double value, Origin origin, std::string source) {
  return {fmt::format("above {}", value), std::nextafter(value, kInfinite), kInfinite, origin, std::move(source)};
}
Published below(double value, Origin origin, std::string source) {
  return {fmt::format("below {}", value), -kInfinite, std::nextafter(value, -kInfinite), origin, std::move(source)};
}
Published between(double low, double high, Origin origin, std::string source) {
  return {fmt::format("{} to {}", low, high), low, high, origin, std::move(source)};
}
Published answer(bool yes, std::string words, Origin origin, std::string source) {
  Published p = yes ? above(0.5, origin, std::move(source)) : below(0.5, origin, std::move(source));
  p.text = std::move(words);
  return p;
}
Published nothing(std::string reason) { return {"none", 0, 0, Origin::kNone, std::move(reason)}; }

void judge(Row& row) {
  row.difference.reset();
  if (!row.ours) {
    row.agreement = Agreement::kNotRun;
    return;
  }
  if (row.published.origin == Origin::kNone) {
    row.agreement = Agreement::kNotComparable;
    return;
  }
  if (row.published.number()) row.difference = row.ours->value - row.published.low;
  const std::optional<Interval> ours = interval(*row.ours);
  const double low = row.published.low - row.tolerance;
  const double high = row.published.high + row.tolerance;
  if (!ours || !std::isfinite(ours->low) || !std::isfinite(ours->high)) {
    row.agreement = Agreement::kUndetermined;
  } else if (inside(*ours, low, high)) {
    row.agreement = Agreement::kAgrees;
  } else if (!apart(*ours, low, high)) {
    row.agreement = Agreement::kUndetermined;
  } else if (row.deviation && inside(*ours, row.deviation->low, row.deviation->high)) {
    row.agreement = Agreement::kExplained;
  } else {
    row.agreement = Agreement::kDiffers;
  }
}

const std::vector<Entry>& replications() {
  static const std::vector<Entry> kAll = {off_switch(),
                                          lavaland(),
                                          implicit_preferences(),
                                          side_effects(),
                                          quantilizer(),
                                          treacherous_turn(),
                                          interruption(),
                                          double_integrator(),
                                          air3d(),
                                          obfuscated_gradients(),
                                          attack_ranking(),
                                          acas_xu(),
                                          lalonde(),
                                          counterfactual_oversight(),
                                          change_points()};
  return kAll;
}

base::Result<const Entry*> find_replication(std::string_view id) {
  std::vector<std::string> names;
  for (const Entry& entry : replications()) {
    if (entry.facts.id == id) return &entry;
    names.push_back(entry.facts.id);
  }
  const std::string near = base::nearest(id, names);
  return base::make_error(base::Code::kValue, fmt::format("there is no replication '{}'", id), "replicate",
                          near.empty() ? fmt::format("they are {}", base::join_words(names))
                                       : fmt::format("did you mean '{}'? They are {}", near, base::join_words(names)));
}

base::Result<Replication> run_replication(const Entry& entry, const Options& options) {
  PL_CHECK(options.cancel.status());
  PL_TRY(Replication result, entry.run(options));
  for (Row& row : result.rows) judge(row);
  return result;
}

std::map<std::string, std::size_t> counts(const Replication& replication) {
  std::map<std::string, std::size_t> result;
  for (const Agreement a : {Agreement::kAgrees, Agreement::kExplained, Agreement::kDiffers, Agreement::kUndetermined,
                            Agreement::kNotComparable, Agreement::kNotRun}) {
    result[std::string(agreement_name(a))] = 0;
  }
  for (const Row& row : replication.rows) ++result[std::string(agreement_name(row.agreement))];
  return result;
}

int exit_status(const Replication& replication) {
  int status = 0;
  for (const Row& row : replication.rows) {
    if (row.agreement == Agreement::kDiffers) return 1;
    if (row.agreement == Agreement::kUndetermined) status = 3;
  }
  return status;
}

stats::Estimate exactly(double value, std::string method) { return stats::exact(value, 1, std::move(method)); }

Row exact_answer(std::string label, Published published, bool yes, std::string method, std::string note) {
  Row row{.label = std::move(label), .published = std::move(published), .note = std::move(note)};
  row.ours = exactly(yes ? 1 : 0, std::move(method));
  row.words = yes ? "yes" : "no";
  return row;
}

void progress(const Options& options, std::string_view id, std::size_t done, std::size_t total) {
  if (options.progress != nullptr) options.progress->update(id, done, total);
}

}  // namespace plumbline::replicate
