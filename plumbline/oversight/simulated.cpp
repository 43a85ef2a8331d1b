#include "plumbline/oversight/simulated.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace plumbline::oversight {
namespace {

using data::QuestionRecord;

constexpr double kHour = 3600;
constexpr double kShift = 2 * kHour;
constexpr double kCycle = 3 * kHour;
constexpr std::array<const char*, 3> kActions = {"go", "stop", "cut"};
constexpr std::array<const char*, 4> kKinds = {"label", "compare", "correct", "approve"};

std::string other_than(const std::string& action, base::Rng& rng) {
  std::string other = action;
  while (other == action) other = kActions[rng.below(3)];
  return other;
}

/// A question with its truth. Only two kinds show a proposal.
struct Item {
  QuestionRecord record;
  std::string truth;
};

Item make_item(double wrong, base::Rng& rng) {
  Item item;
  item.truth = kActions[rng.below(3)];
  item.record.kind = kKinds[rng.below(4)];
  item.record.value = std::round(100 * rng.uniform()) / 100;
  const std::string proposed = rng.bernoulli(wrong) ? other_than(item.truth, rng) : item.truth;
  if (item.record.kind == "correct" || item.record.kind == "approve") item.record.proposed = proposed;
  if (item.record.kind == "approve") item.record.two_people = {proposed};
  return item;
}

class Simulation {
 public:
  Simulation(const SimulatedQueue& queue, base::Rng& rng) : queue_(queue), rng_(rng) {
    for (std::size_t i = 0; i < queue.gold_pool; ++i) gold_.push_back(make_item(queue.wrong, rng_));
    people_.resize(queue.raters.size());
  }

  std::vector<QuestionRecord> run() {
    const double end = queue_.hours * kHour;
    double arrival = rng_.exponential() / queue_.arrivals;
    while (true) {
      // The next thing to happen: a question comes, or a rater who is free and at work takes one.
      std::size_t who = 0;
      double free = end;
      for (std::size_t r = 0; r < people_.size(); ++r) {
        const double at = at_work(people_[r].free);
        if (at < free) {
          free = at;
          who = r;
        }
      }
      if (arrival >= end && free >= end) break;
      if (arrival <= free) {
        ask(arrival);
        arrival += rng_.exponential() / queue_.arrivals;
      } else if (!take(who, free)) {
        people_[who].free = std::nextafter(std::min(arrival, free + 1), end);  // nothing to do: looks again
      }
    }
    for (Item& item : items_) close(item);
    std::vector<QuestionRecord> records;
    for (Item& item : items_) records.push_back(std::move(item.record));
    return records;
  }

 private:
  struct Person {
    double free = 0;
    std::size_t leases = 0;
    std::set<std::size_t> seen;
  };

  static double at_work(double t) { return std::fmod(t, kCycle) < kShift ? t : (std::floor(t / kCycle) + 1) * kCycle; }

  void ask(double at) {
    Item item = make_item(0.2, rng_);
    item.record.number = items_.size() + 1;
    item.record.decision = fmt::format("d{}", items_.size() + 1);
    item.record.asked = at;
    item.record.deadline = at + queue_.wait;
    item.record.decision_deadline = at + queue_.wait + 1;
    open_.push_back(items_.size());
    items_.push_back(std::move(item));
  }

  double expected(const std::string& kind) const {
    const auto found = spent_.find(kind);
    return found == spent_.end() ? 10 : (50 + found->second.first) / (5 + found->second.second);
  }

  /// Answers that are given by `at` enter the means.
  void learn(double at) {
    std::erase_if(pending_, [&](const auto& one) {
      if (std::get<0>(one) > at) return false;
      auto& [seconds, n] = spent_[std::get<1>(one)];
      seconds += std::get<2>(one);
      ++n;
      return true;
    });
  }

  bool take(std::size_t who, double at) {
    learn(at);
    Person& person = people_[who];
    std::erase_if(open_, [&](std::size_t i) {
      return items_[i].record.deadline <= at || (items_[i].record.settled && *items_[i].record.settled <= at);
    });
    std::vector<std::size_t> free;
    for (const std::size_t i : open_)
      if (may_have(items_[i].record, who, at)) free.push_back(i);
    if (free.empty()) return false;
    ++person.leases;
    if (queue_.gold_every > 0 && person.leases % queue_.gold_every == 0 && person.seen.size() < gold_.size()) {
      std::size_t pick = rng_.below(gold_.size());
      while (person.seen.contains(pick)) pick = rng_.below(gold_.size());
      person.seen.insert(pick);
      Item item = gold_[pick];
      item.record.number = items_.size() + 1;
      item.record.asked = at;
      item.record.deadline = at + 600;
      item.record.gold = item.truth;
      item.record.gold_name = fmt::format("line {}", pick + 1);
      items_.push_back(std::move(item));
      answer(items_.size() - 1, who, at);
      return true;
    }
    std::size_t best = free[queue_.in_order ? 0 : rng_.below(free.size())];
    if (queue_.in_order) {
      const auto worth = [&](std::size_t i) { return items_[i].record.value / expected(items_[i].record.kind); };
      for (const std::size_t i : free)
        if (worth(i) > worth(best)) best = i;
    }
    answer(best, who, at);
    return true;
  }

  bool may_have(const QuestionRecord& q, std::size_t who, double at) const {
    if (!q.leases.empty() && at <= q.leases.back().until) return false;
    if (q.answers.empty()) return true;
    return q.answers.size() == 1 && q.answers[0].rater != queue_.raters[who].name && !q.two_people.empty() &&
           q.two_people[0] == q.answers[0].action;
  }

  void answer(std::size_t index, std::size_t who, double at) {
    Item& item = items_[index];
    QuestionRecord& q = item.record;
    const SimulatedRater& rater = queue_.raters[who];
    const bool late_in_shift = std::fmod(at, kCycle) >= kShift / 2;
    const double seconds = rng_.exponential() * rater.seconds * (late_in_shift ? rater.slowing : 1);
    const double done = std::min(at + seconds, q.deadline);
    q.leases.push_back({rater.name, at, done, false});
    people_[who].free = done;
    if (done >= q.deadline) return;
    const bool nods = !q.proposed.empty() && rng_.bernoulli(rater.nodding);
    const bool right = rng_.bernoulli(rater.accuracy - (late_in_shift ? rater.slipping : 0));
    const std::string said = nods ? q.proposed : right ? item.truth : other_than(item.truth, rng_);
    q.answers.push_back({rater.name, done, done - at, said, false});
    if (!q.is_gold()) pending_.emplace_back(done, q.kind, done - at);
    const bool waits = q.answers.size() == 1 && !q.is_gold() && !q.two_people.empty() && q.two_people[0] == said;
    if (waits) return;
    q.settled = done;
    q.cause = q.answers.size() == 2 && q.answers[0].action != said ? "disagreed" : "answered";
    q.carried_out = q.cause == "answered" ? said : "stop";
    decide(q);
  }

  void close(Item& item) {
    QuestionRecord& q = item.record;
    if (q.settled) return;
    q.settled = q.deadline;
    q.cause = "expired";
    q.carried_out = "stop";
    decide(q);
  }

  void decide(QuestionRecord& q) {
    if (q.is_gold()) return;
    q.decided = rng_.bernoulli(queue_.overrunning) ? *q.decision_deadline + 1 : *q.settled;
  }

  const SimulatedQueue& queue_;
  base::Rng& rng_;
  std::vector<Item> gold_;
  std::vector<Item> items_;
  std::vector<std::size_t> open_;
  std::vector<Person> people_;
  std::map<std::string, std::pair<double, double>> spent_;
  std::vector<std::tuple<double, std::string, double>> pending_;
};

}  // namespace

std::vector<QuestionRecord> simulate_queue(const SimulatedQueue& queue, base::Rng& rng) {
  return Simulation(queue, rng).run();
}

}  // namespace plumbline::oversight
