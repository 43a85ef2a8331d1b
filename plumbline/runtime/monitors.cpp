#include "plumbline/runtime/monitors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/crc32c.hpp"
#include "plumbline/base/guard.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> kSignals = {"input", "aleatoric", "model", "reward"};
constexpr std::array<const char*, 4> kOwnNumbers = {"propensity", "aleatoric", "model", "p_value"};
constexpr std::size_t kGroups = 256;

/// Groups of any number, fixed beforehand: even steps of asinh(v / 1e-6), a sixth of a factor of e each.
std::size_t group_of(double value) {
  constexpr double kStep = 6;
  const double place = kGroups / 2.0 + kStep * std::asinh(value / 1e-6);
  return static_cast<std::size_t>(std::clamp(place, 0.0, kGroups - 1.0));
}

/// A uniform number in (0, 1) that depends on the frame alone (the finaliser of SplitMix64).
double tie_of(std::uint64_t frame, std::uint64_t signal) {
  std::uint64_t x = (frame + 1) * 0x9E3779B97F4A7C15ULL + signal * 0xD1B54A32D192ED03ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  x ^= x >> 31;
  return (static_cast<double>(x >> 11) + 0.5) * 0x1.0p-53;
}

double value_of(const std::optional<decision::MeasuredUncertainty>& u) {
  return u && std::isfinite(u->value) ? u->value : std::numeric_limits<double>::quiet_NaN();
}

/// What the plan's checksum is about.
std::string words_of(const MonitorOptions& options, std::size_t reference, const probe::AssertionFields& fields) {
  std::string text =
      fmt::format("{} {} {} {}", options.run_length, options.units, reference, fmt::join(fields.numbers, "\n"));
  for (const DriftSignal s : options.drift) text += fmt::format(" {}", drift_signal_name(s));
  for (const probe::AssertionSpec& a : options.assertions) {
    text +=
        fmt::format("\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{} {} {} {} {} {} {}", a.name, assertion_kind_name(a.kind), a.field,
                    fmt::join(a.fields, "\t"), fmt::join(a.values, "\t"), a.when, a.then, a.low.has_value(),
                    a.low.value_or(0), a.high.has_value(), a.high.value_or(0), a.within, a.falling, a.tolerance);
  }
  return text;
}

}  // namespace

std::string_view drift_signal_name(DriftSignal signal) { return kSignals[static_cast<std::size_t>(signal)]; }

base::Result<DriftSignal> parse_drift_signal(std::string_view word) {
  const auto found = std::find(kSignals.begin(), kSignals.end(), word);
  if (found == kSignals.end())
    return make_error(Code::kValue, fmt::format("'{}' is no signal of drift", word), {},
                      fmt::format("Signals: {}", fmt::join(kSignals, ", ")));
  return static_cast<DriftSignal>(found - kSignals.begin());
}

base::Result<MonitorPlan> MonitorPlan::make(const MonitorOptions& options, const DeciderInfo& decider,
                                            const std::vector<std::string>& columns) {
  MonitorPlan plan;
  plan.options_ = options;
  plan.inputs_ = decider.input_size;
  plan.reference_rows_ = decider.reference_rows;
  PL_CHECK(base::check_in("monitors", "run_length", options.run_length, 100, 1e12));
  for (std::size_t i = 0; i < options.drift.size(); ++i) {
    const std::string_view name = drift_signal_name(options.drift[i]);
    if (std::count(options.drift.begin(), options.drift.end(), options.drift[i]) > 1)
      return make_error(Code::kValue, fmt::format("the signal '{}' is named twice", name), "drift");
    if (options.drift[i] == DriftSignal::kInput && decider.reference_rows < 2)
      return make_error(Code::kValue, "the decider ranks no input among calibration rows", "drift input",
                        "Watch aleatoric, model or reward instead");
  }
  probe::AssertionFields fields;
  for (std::size_t i = 0; i < decider.input_size; ++i)
    fields.numbers.push_back(columns.size() == decider.input_size ? columns[i] : fmt::format("x{}", i));
  fields.numbers.insert(fields.numbers.end(), kOwnNumbers.begin(), kOwnNumbers.end());
  fields.texts = {"label"};
  plan.checksum_ = base::crc32c(words_of(options, decider.reference_rows, fields));
  PL_TRY(plan.assertions_, probe::AssertionSet::make(options.assertions, std::move(fields)));
  return plan;
}

probe::AssertionRecord MonitorPlan::record_of(const Request& request, const Proposal& proposal, Instant now) const {
  probe::AssertionRecord record;
  record.time = static_cast<double>(now) / 1e9;
  record.unit = request.unit;
  record.numbers.reserve(inputs_ + kOwnNumbers.size());
  for (std::size_t i = 0; i < inputs_; ++i)
    record.numbers.push_back(i < request.input.size() ? static_cast<double>(request.input[i])
                                                      : std::numeric_limits<double>::quiet_NaN());
  record.numbers.push_back(proposal.propensity());
  record.numbers.push_back(value_of(proposal.uncertainty.aleatoric));
  record.numbers.push_back(value_of(proposal.uncertainty.model));
  record.numbers.push_back(value_of(proposal.uncertainty.distributional));
  const bool acts = proposal.act == decision::Act::kAct || proposal.act == decision::Act::kModify;
  record.texts.push_back(acts ? proposal.answer : std::string());
  return record;
}

Monitors::Monitors(std::shared_ptr<const MonitorPlan> plan)
    : plan_(std::move(plan)), memory_(empty() ? 0 : plan_->options().units) {
  if (empty()) return;
  const MonitorOptions& options = plan_->options();
  // Rates of false alarms add, so each signal gets its part.
  const double threshold = options.run_length * static_cast<double>(std::max<std::size_t>(1, options.drift.size()));
  for (const DriftSignal signal : options.drift) {
    auto bets = robustness::BettingDetector::make(robustness::FalseAlarms::kRunLength, threshold);
    base::ensure(bets.ok(), "a threshold that the plan checked");
    drift_.push_back({signal == DriftSignal::kInput
                          ? robustness::RankUrn::of_reference(plan_->reference_rows(), kGroups)
                          : robustness::RankUrn::of_nothing(kGroups),
                      *bets,
                      0,
                      0,
                      {}});
  }
  assertions_.resize(plan_->assertions().size());
}

MonitorVerdict Monitors::judge(const Request& request, const Proposal& proposal, Instant now) const {
  MonitorVerdict verdict;
  if (empty()) return verdict;
  MonitorNote note;
  note.plan = plan_->checksum();
  for (const DriftSignal signal : plan_->options().drift) {
    if (signal == DriftSignal::kReward) continue;
    note.signals.push_back(signal == DriftSignal::kInput       ? proposal.input_rank.value_or(std::nan(""))
                           : signal == DriftSignal::kAleatoric ? value_of(proposal.uncertainty.aleatoric)
                                                               : value_of(proposal.uncertainty.model));
  }
  const probe::AssertionSet& set = plan_->assertions();
  const bool acts = proposal.act == decision::Act::kAct || proposal.act == decision::Act::kModify;
  if (!set.empty()) {
    const probe::AssertionRecord record = plan_->record_of(request, proposal, now);
    const auto violations = set.check(record, memory_);
    Json list = Json::array();
    for (const probe::Violation& v : violations) {
      const probe::AssertionSpec& spec = set.spec(v.assertion);
      note.violated.push_back(static_cast<std::uint32_t>(v.assertion));
      Json one = {{"name", spec.name}, {"fails", spec.fail}, {"severity", v.severity}, {"reason", v.reason}};
      if (!v.correction.empty()) one["correction"] = v.correction;
      list.push_back(std::move(one));
      // A steady unit that returns to what it mostly is breaks the rule because of the records before, not of this one.
      const bool agrees = v.since && v.correction == record.texts[0];
      if (spec.fail && acts && !agrees && verdict.fall_back.empty())
        verdict.fall_back =
            fmt::format("assertion '{}' is broken: {}; proposed was '{}'", spec.name, v.reason, proposal.answer);
    }
    if (!list.empty()) verdict.detail = list.dump(-1, ' ', false, Json::error_handler_t::replace);
    const probe::AssertionNote remembered = set.note(record);
    note.unit = remembered.unit;
    note.numbers = remembered.numbers;
    note.texts = remembered.texts;
  }
  const bool rests = proposal.act == decision::Act::kRefuse || proposal.act == decision::Act::kFallBack;
  if (const std::string alarm = blocking(); !alarm.empty() && !rests)
    verdict.fall_back = fmt::format("monitor {} cries, and nobody acknowledged it yet", alarm);
  verdict.note = std::move(note);
  return verdict;
}

void Monitors::feed(std::size_t signal, double value, Instant at, std::uint64_t frame) {
  if (!std::isfinite(value)) return;
  DriftMonitor& monitor = drift_[signal];
  const bool rank = plan_->options().drift[signal] == DriftSignal::kInput;
  if (rank && !(value > 0 && value < 1)) return;
  const double p = rank ? monitor.urn.next(value) : monitor.urn.next(group_of(value), tie_of(frame, signal));
  ++monitor.seen;
  if (!monitor.bets.add(p)) return;
  ++monitor.alarms;
  if (!monitor.since) monitor.since = at;
}

void Monitors::apply(const MonitorNote& note, Instant at, std::uint64_t frame) {
  // What another plan noted says nothing here: a changed plan starts anew.
  if (empty() || note.plan != plan_->checksum()) return;
  ++judged_;
  std::size_t next = 0;
  for (std::size_t s = 0; s < drift_.size(); ++s) {
    if (plan_->options().drift[s] == DriftSignal::kReward) continue;
    if (next < note.signals.size()) feed(s, note.signals[next++], at, frame);
  }
  for (const std::uint32_t a : note.violated) {
    if (a >= assertions_.size()) continue;
    ++assertions_[a].violations;
    assertions_[a].last = at;
  }
  plan_->assertions().remember({note.unit, static_cast<double>(at) / 1e9, note.numbers, note.texts}, memory_);
}

void Monitors::reward(double value, Instant at, std::uint64_t frame) {
  for (std::size_t s = 0; s < drift_.size(); ++s)
    if (plan_->options().drift[s] == DriftSignal::kReward) feed(s, value, at, frame);
}

namespace {

std::string drift_name(DriftSignal signal) { return fmt::format("drift.{}", drift_signal_name(signal)); }

}  // namespace

void Monitors::acknowledge(const std::string& name) {
  for (std::size_t s = 0; s < drift_.size(); ++s) {
    // An alarm of another plan is none of this one, as when an old log is folded under a new manifest.
    if (drift_name(plan_->options().drift[s]) != name || !drift_[s].since) continue;
    drift_[s].since.reset();
    drift_[s].urn.forget();
    drift_[s].bets.restart();
  }
}

bool Monitors::alarms(const std::string& name) const {
  for (std::size_t s = 0; s < drift_.size(); ++s)
    if (drift_name(plan_->options().drift[s]) == name) return drift_[s].since.has_value();
  return false;
}

std::string Monitors::blocking() const {
  if (empty() || !plan_->options().drift_fails) return {};
  for (std::size_t s = 0; s < drift_.size(); ++s)
    if (drift_[s].since) return drift_name(plan_->options().drift[s]);
  return {};
}

std::vector<MonitorView> Monitors::view() const {
  std::vector<MonitorView> views;
  if (empty()) return views;
  for (std::size_t s = 0; s < drift_.size(); ++s) {
    const DriftMonitor& d = drift_[s];
    views.push_back({drift_name(plan_->options().drift[s]), "drift", plan_->options().drift_fails,
                     std::exp(d.bets.log_capital()), d.bets.threshold(), d.seen, d.alarms, d.since, d.since});
  }
  for (std::size_t a = 0; a < assertions_.size(); ++a) {
    const probe::AssertionSpec& spec = plan_->assertions().spec(a);
    const auto violations = static_cast<double>(assertions_[a].violations);
    views.push_back({"assertion." + spec.name,
                     "assertion",
                     spec.fail,
                     judged_ == 0 ? 0 : violations / static_cast<double>(judged_),
                     {},
                     judged_,
                     assertions_[a].violations,
                     {},
                     assertions_[a].last});
  }
  return views;
}

std::string Monitors::json(double wall) const {
  const auto when = [&](const std::optional<Instant>& at) {
    return at ? Json(wall + static_cast<double>(*at) / 1e9) : Json(nullptr);
  };
  Json list = Json::array();
  for (const MonitorView& v : view())
    list.push_back({{"name", v.name},
                    {"kind", v.kind},
                    {"severity", v.fails ? "fail" : "warn"},
                    {"statistic", v.statistic},
                    {"threshold", v.threshold ? Json(*v.threshold) : Json(nullptr)},
                    {"seen", v.seen},
                    {"alarm_since", when(v.alarm_since)},
                    {"violations", v.violations},
                    {"last", when(v.last)}});
  return list.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace plumbline::runtime
