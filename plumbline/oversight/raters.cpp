#include "plumbline/oversight/raters.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "plumbline/oversight/jackknife.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::oversight {
namespace {

using data::QuestionRecord;

/// Successes among so many.
struct Count {
  std::size_t hits = 0, n = 0;
  double share() const { return static_cast<double>(hits) / static_cast<double>(n); }
  double low(double confidence) const {
    return stats::clopper_pearson_low(static_cast<double>(hits), static_cast<double>(n), confidence);
  }
  double high(double confidence) const {
    return stats::clopper_pearson_high(static_cast<double>(hits), static_cast<double>(n), confidence);
  }
};

/// A share, or a difference of two of one rater, with exact bounds at any confidence.
struct RaterShare {
  std::string name;
  Count first;
  std::optional<Count> second;  ///< subtracted
  double value() const { return first.share() - (second ? second->share() : 0); }
  double low(double confidence) const {
    if (!second) return first.low(confidence);
    const double each = 1 - (1 - confidence) / 2;
    return first.low(each) - second->high(each);
  }
  double high(double confidence) const {
    if (!second) return first.high(confidence);
    const double each = 1 - (1 - confidence) / 2;
    return first.high(each) - second->low(each);
  }
  double n() const { return static_cast<double>(first.n + (second ? second->n : 0)); }
};

stats::Estimate estimate_of(const RaterShare& share) {
  stats::Estimate e;
  e.value = share.value();
  e.n = e.n_effective = share.n();
  e.unit_of_sampling = "answer";
  e.method = share.second ? "two Clopper-Pearson bounds, each with half the error" : "clopper-pearson";
  e.bounds = stats::make_bounds([&](double c) { return std::optional(share.low(c)); },
                                [&](double c) { return std::optional(share.high(c)); });
  return e;
}

/// The least (or greatest) of several shares: bounds that hold for all of them at once.
stats::Estimate extreme_of(const std::vector<RaterShare>& shares, bool greatest) {
  const auto pick = [&](const std::function<double(const RaterShare&)>& f) {
    double best = f(shares.front());
    for (const RaterShare& s : shares) best = greatest ? std::max(best, f(s)) : std::min(best, f(s));
    return best;
  };
  const auto divided = [&](double c) { return 1 - (1 - c) / static_cast<double>(shares.size()); };
  stats::Estimate e;
  e.value = pick([](const RaterShare& s) { return s.value(); });
  for (const RaterShare& s : shares) e.n += s.n();
  e.n_effective = e.n;
  e.unit_of_sampling = "answer";
  e.method = fmt::format("the {} of {} raters, bounds for all at once", greatest ? "greatest" : "least", shares.size());
  e.bounds = stats::make_bounds(
      [&](double c) { return std::optional(pick([&](const RaterShare& s) { return s.low(divided(c)); })); },
      [&](double c) { return std::optional(pick([&](const RaterShare& s) { return s.high(divided(c)); })); });
  return e;
}

ByRater by_rater(const std::vector<RaterShare>& shares, bool greatest) {
  ByRater out;
  for (const RaterShare& s : shares) out.each.emplace_back(s.name, estimate_of(s));
  if (!shares.empty()) out.worst = extreme_of(shares, greatest);
  return out;
}

void cut(stats::Estimate& e, double low, double high) {
  for (auto* side : {&e.bounds.lower, &e.bounds.upper})
    for (auto& bound : *side)
      if (bound) bound = std::clamp(*bound, low, high);
}

/// The values given to each question by whom, for agreement.
struct Items {
  std::vector<std::map<std::size_t, int>> by_rater;  ///< of an item: rater -> action
  std::size_t raters = 0;
  std::optional<double> alpha(std::optional<std::size_t> without_rater, std::optional<std::size_t> without_item) const {
    std::vector<std::vector<int>> values;
    for (std::size_t i = 0; i < by_rater.size(); ++i) {
      if (without_item == i) continue;
      values.emplace_back();
      for (const auto& [rater, action] : by_rater[i])
        if (without_rater != rater) values.back().push_back(action);
    }
    return krippendorff_alpha(values);
  }
};

Items items_of(std::span<const QuestionRecord> questions) {
  std::map<std::string, std::map<std::string, std::string>> said;  // item -> rater -> action
  for (const QuestionRecord& q : questions) {
    const std::string item = q.is_gold() ? "gold " + q.gold_name : fmt::format("question {}", q.number);
    for (const auto& answer : q.answers)
      if (!answer.undone) said[item].emplace(answer.rater, answer.action);
  }
  std::map<std::string, std::size_t> raters;
  std::map<std::string, int> actions;
  Items items;
  for (const auto& [item, all] : said) {
    if (all.size() < 2) continue;
    items.by_rater.emplace_back();
    for (const auto& [rater, action] : all) {
      const std::size_t number = raters.emplace(rater, raters.size()).first->second;
      items.by_rater.back()[number] = actions.emplace(action, static_cast<int>(actions.size())).first->second;
    }
  }
  items.raters = raters.size();
  return items;
}

void judge_agreement(std::span<const QuestionRecord> questions, QueueReport& report) {
  const Items items = items_of(questions);
  const auto value = items.alpha({}, {});
  if (!value) {
    report.notes.emplace_back("agreement is not known: no two people answered one question, or all said the same");
    return;
  }
  report.agreement =
      items.raters >= 3
          ? jackknife(
                items.raters, [&](std::size_t r) { return items.alpha(r, {}); }, *value, "rater")
          : jackknife(
                items.by_rater.size(), [&](std::size_t i) { return items.alpha({}, i); }, *value, "question");
  if (report.agreement)
    cut(*report.agreement, -1, 1);
  else
    report.notes.emplace_back("agreement is not bounded: without one of the raters nothing can be paired");
}

/// Seconds of an answer beside the usual of its kind, as a logarithm.
class Pace {
 public:
  explicit Pace(const std::map<std::string, std::vector<Shift>>& shifts) {
    std::map<std::string, std::pair<double, double>> sums;
    for (const auto& [name, all] : shifts)
      for (const Shift& shift : all)
        for (const Given& given : shift.answers) {
          auto& [sum, n] = sums[given.question->kind];
          sum += log_seconds(given);
          ++n;
        }
    for (const auto& [kind, sum] : sums) usual_[kind] = sum.first / sum.second;
  }
  double of(const Given& given) const { return log_seconds(given) - usual_.at(given.question->kind); }

 private:
  static double log_seconds(const Given& given) { return std::log(std::max(given.answer->seconds, 1e-3)); }
  std::map<std::string, double> usual_;
};

base::Status judge_fatigue(const std::map<std::string, std::vector<Shift>>& shifts, QueueReport& report) {
  constexpr std::size_t kLeast = 4;
  const Pace pace(shifts);
  std::vector<double> slower;    // of each shift
  std::vector<double> right[2];  // by half
  std::vector<int> of_shift[2];
  int number = 0;
  for (const auto& [name, all] : shifts) {
    for (const Shift& shift : all) {
      const std::size_t n = shift.answers.size();
      if (n < kLeast) continue;
      const std::size_t half = n / 2;
      double sum[2] = {0, 0};
      for (std::size_t i = 0; i < n; ++i) {
        if (i >= half && i < n - half) continue;  // the one in the middle
        const std::size_t side = i < half ? 0 : 1;
        const Given& given = shift.answers[i];
        sum[side] += pace.of(given);
        if (!given.question->is_gold() || given.answer->undone) continue;
        right[side].push_back(given.answer->action == given.question->gold ? 1 : 0);
        of_shift[side].push_back(number);
      }
      slower.push_back((sum[1] - sum[0]) / static_cast<double>(half));
      ++number;
    }
  }
  if (slower.size() < 2) {
    report.notes.emplace_back("fatigue is not known: fewer than 2 shifts with 4 answers");
    return base::ok();
  }
  PL_TRY(stats::Estimate speed, stats::mean(slower));
  exponentiate(speed);
  speed.unit_of_sampling = "shift";
  speed.method = "geometric mean over shifts, Student's t of the logarithm";
  report.fatigue_speed = std::move(speed);
  const auto shifts_with = [](const std::vector<int>& ids) { return std::set<int>(ids.begin(), ids.end()).size(); };
  if (shifts_with(of_shift[0]) < 5 || shifts_with(of_shift[1]) < 5) {
    report.notes.emplace_back("fatigue_accuracy is not known: fewer than 5 shifts with gold questions in each half");
    return base::ok();
  }
  PL_TRY(report.fatigue_accuracy, stats::difference_of_means(right[1], right[0], of_shift[1], of_shift[0]));
  report.fatigue_accuracy->unit_of_sampling = "half of a shift";
  return base::ok();
}

base::Result<std::optional<stats::Estimate>> over_raters(const std::vector<std::uint8_t>& hits,
                                                         const std::vector<int>& rater) {
  if (std::set<int>(rater.begin(), rater.end()).size() < 2) return std::optional<stats::Estimate>();
  PL_TRY(stats::Estimate e, stats::proportion(hits, rater));
  e.unit_of_sampling = "rater";
  return std::optional(std::move(e));
}

}  // namespace

std::optional<double> krippendorff_alpha(std::span<const std::vector<int>> items) {
  std::map<int, double> of_value;
  double n = 0;
  double observed = 0;
  for (const std::vector<int>& values : items) {
    const auto m = static_cast<double>(values.size());
    if (values.size() < 2) continue;
    n += m;
    double same = 0;
    std::map<int, double> here;
    for (const int v : values) ++here[v];
    for (const auto& [value, count] : here) {
      same += count * (count - 1);
      of_value[value] += count;
    }
    observed += (m * (m - 1) - same) / (m - 1);
  }
  if (n < 2) return std::nullopt;
  double alike = 0;
  for (const auto& [value, count] : of_value) alike += count * (count - 1);
  const double expected = n * (n - 1) - alike;
  if (expected == 0) return std::nullopt;
  return 1 - observed * (n - 1) / expected;
}

std::map<std::string, std::vector<Shift>> shifts_of(std::span<const QuestionRecord> questions, double gap) {
  struct Touch {
    double from, until;
    Given given;
  };
  std::map<std::string, std::vector<Touch>> touches;
  for (const QuestionRecord& q : questions) {
    for (const auto& lease : q.leases) touches[lease.rater].push_back({lease.at, lease.at, {}});
    for (const auto& answer : q.answers) touches[answer.rater].push_back({answer.at, answer.at, {&q, &answer}});
  }
  std::map<std::string, std::vector<Shift>> shifts;
  for (auto& [rater, all] : touches) {
    std::stable_sort(all.begin(), all.end(), [](const Touch& a, const Touch& b) { return a.from < b.from; });
    std::vector<Shift>& mine = shifts[rater];
    for (const Touch& touch : all) {
      if (mine.empty() || touch.from > mine.back().until + gap) mine.push_back({touch.from, touch.until, {}});
      mine.back().until = touch.until;
      if (touch.given.question != nullptr) mine.back().answers.push_back(touch.given);
    }
  }
  return shifts;
}

base::Status judge_raters(std::span<const QuestionRecord> questions,
                          const std::map<std::string, std::vector<Shift>>& shifts, const QueueOptions& options,
                          QueueReport& report) {
  std::vector<RaterShare> accurate, accepting, discerning;
  std::vector<std::uint8_t> right, accepted;
  std::vector<int> right_by, accepted_by, seconds_by;
  std::vector<double> seconds;
  int number = 0;
  for (const auto& [name, all] : shifts) {
    RaterFigures r;
    r.name = name;
    r.shifts = all.size();
    double time = 0;
    std::size_t times = 0;
    for (const Shift& shift : all) {
      for (const Given& given : shift.answers) {
        time += given.answer->seconds;
        ++times;
        seconds.push_back(given.answer->seconds);
        seconds_by.push_back(number);
        if (given.answer->undone) continue;
        ++r.answers;
        const QuestionRecord& q = *given.question;
        if (!q.is_gold()) continue;
        const bool is_right = given.answer->action == q.gold;
        ++r.gold_answered;
        r.gold_right += is_right ? 1 : 0;
        right.push_back(is_right ? 1 : 0);
        right_by.push_back(number);
        if (q.proposed.empty()) continue;
        const bool accepts = given.answer->action == q.proposed;
        const bool wrong = q.proposed != q.gold;
        ++(wrong ? r.wrong_shown : r.right_shown);
        (wrong ? r.wrong_accepted : r.right_accepted) += accepts ? 1 : 0;
        if (!wrong) continue;
        accepted.push_back(accepts ? 1 : 0);
        accepted_by.push_back(number);
      }
    }
    r.seconds = times == 0 ? 0 : time / static_cast<double>(times);
    const auto enough = [&](std::size_t n) { return n >= options.least_gold; };
    if (enough(r.gold_answered)) accurate.push_back({name, {r.gold_right, r.gold_answered}, {}});
    if (enough(r.wrong_shown)) accepting.push_back({name, {r.wrong_accepted, r.wrong_shown}, {}});
    if (enough(r.wrong_shown) && enough(r.right_shown))
      discerning.push_back({name, {r.right_accepted, r.right_shown}, Count{r.wrong_accepted, r.wrong_shown}});
    report.raters.push_back(std::move(r));
    ++number;
  }
  report.gold_accuracy = by_rater(accurate, false);
  report.accepts_wrong = by_rater(accepting, true);
  report.discernment = by_rater(discerning, false);
  PL_TRY(report.gold_accuracy.all, over_raters(right, right_by));
  PL_TRY(report.accepts_wrong.all, over_raters(accepted, accepted_by));
  const auto note = [&](const ByRater& figure, const char* what, const char* where) {
    if (figure.each.empty())
      report.notes.push_back(
          fmt::format("{} is not known: no rater answered {} gold questions{}", what, options.least_gold, where));
  };
  note(report.gold_accuracy, "gold_accuracy", "");
  note(report.accepts_wrong, "accepts_wrong", " whose proposal is wrong");
  note(report.discernment, "discernment", " whose proposal is wrong, and as many whose proposal is right");
  if (seconds.size() >= 2) {
    const bool cluster = number >= 2;
    PL_TRY(report.seconds_per_answer,
           stats::mean(seconds, cluster ? std::span<const int>(seconds_by) : std::span<const int>()));
    report.seconds_per_answer->unit_of_sampling = cluster ? "rater" : "answer";
  }
  judge_agreement(questions, report);
  return judge_fatigue(shifts, report);
}

}  // namespace plumbline::oversight
