#include "plumbline/runtime/live_window.hpp"

#include <algorithm>

namespace plumbline::runtime {
namespace {

/// Into a place that keeps its room; cut between characters of UTF-8.
void put(std::string& place, std::string_view text) {
  if (text.size() > LiveWindow::kLongestText) {
    std::size_t end = LiveWindow::kLongestText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text = text.substr(0, end);
  }
  place.assign(text);
}

}  // namespace

LiveWindow::LiveWindow(Instant start) : start_(start), seconds_(kSeconds), kept_(kKept) {}

LiveWindow::Second& LiveWindow::second(Instant now) {
  const Instant number = now / kSecond;
  Second& place = seconds_[static_cast<std::size_t>(number) % kSeconds];
  if (place.number != number) {
    place = Second{};
    place.number = number;
  }
  return place;
}

void LiveWindow::measured_by(const decision::Uncertainty& uncertainty) {
  const std::array<const std::optional<decision::MeasuredUncertainty>*, 3> parts = {
      &uncertainty.aleatoric, &uncertainty.model, &uncertainty.distributional};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& part = *parts[i];
    if (!part || (part->unit == units_[i].unit && part->estimator == units_[i].estimator)) continue;
    for (LiveDecision& one : kept_) one.measured[i].reset();
    put(units_[i].unit, part->unit);
    put(units_[i].estimator, part->estimator);
  }
}

void LiveWindow::decided(const data::DecisionRecord& record, std::string_view rater, double waited, double wall,
                         Instant now) {
  ++second(now).decided[static_cast<std::size_t>(record.kind)][static_cast<std::size_t>(record.cause)];
  LiveDecision& one = kept_[next_ % kKept];
  one.number = next_++;
  put(one.id, record.id);
  one.time = wall;
  one.waited = waited;
  one.kind = record.kind;
  one.cause = record.cause;
  one.carried_out.clear();
  if (record.kind != data::DecisionKind::kRefuse)
    put(one.carried_out, record.final_action.empty() ? record.action : record.final_action);
  put(one.reason, record.reason);
  put(one.rung, record.rung);
  put(one.rater, rater);
  one.propensity = record.propensity;
  one.measured = {record.aleatoric, record.model_doubt, record.distributional};
  one.readings = record.readings.size();
  one.readings_disagree = std::any_of(record.readings.begin(), record.readings.end(), [&](const auto& reading) {
    return reading.action != record.readings.front().action;
  });
  one.voided = false;
}

void LiveWindow::voided(std::string_view id, Instant now) {
  ++second(now).voided;
  for (LiveDecision& one : kept_)
    if (one.number != 0 && one.id == id.substr(0, kLongestText)) one.voided = true;
}

void LiveWindow::add_to(Span& span, Instant number) const {
  if (number < 0) return;
  const Second& one = seconds_[static_cast<std::size_t>(number) % kSeconds];
  if (one.number != number) return;
  span.arrived += one.arrived;
  span.refused += one.refused;
  span.voided += one.voided;
  for (std::size_t kind = 0; kind < 5; ++kind)
    for (std::size_t cause = 0; cause < 5; ++cause) span.decided[kind][cause] += one.decided[kind][cause];
}

LiveWindow::Span LiveWindow::last(std::size_t seconds, Instant now) const {
  const auto wanted = static_cast<Instant>(std::clamp<std::size_t>(seconds, 1, kSeconds));
  const Instant newest = now / kSecond;
  Span span;
  for (Instant number = newest - wanted + 1; number <= newest; ++number) add_to(span, number);
  const Instant from = std::max(start_, (newest - wanted + 1) * kSecond);
  span.seconds = static_cast<double>(now - from) / 1e9;
  return span;
}

std::vector<LiveWindow::Span> LiveWindow::steps(std::size_t step, std::size_t steps, Instant now) const {
  const auto width = static_cast<Instant>(step);
  Instant number = now / kSecond - width * static_cast<Instant>(steps) + 1;
  std::vector<Span> all(steps);
  for (Span& span : all) {
    const Instant from = std::clamp(number * kSecond, start_, std::max(start_, now));
    for (Instant i = 0; i < width; ++i) add_to(span, number++);
    span.seconds = static_cast<double>(std::clamp(number * kSecond, from, std::max(from, now)) - from) / 1e9;
  }
  return all;
}

std::vector<const LiveDecision*> LiveWindow::decisions(std::uint64_t after) const {
  std::vector<const LiveDecision*> all;
  for (std::uint64_t number = newest(); number > after && all.size() < kKept; --number)
    all.push_back(&kept_[number % kKept]);
  return all;
}

}  // namespace plumbline::runtime
