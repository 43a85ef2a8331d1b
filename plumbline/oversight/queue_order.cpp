#include "plumbline/oversight/queue_order.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

namespace plumbline::oversight {
namespace {

using data::QuestionRecord;

constexpr std::size_t kShown = 100;

/// Mean seconds a question of a kind, as the queue knew it.
class Attention {
 public:
  explicit Attention(const QueueOptions& options) : options_(options) {}
  void add(const std::string& kind, double seconds) {
    sums_[kind].seconds += seconds;
    ++sums_[kind].answers;
  }
  double expected(const std::string& kind) const {
    const auto found = sums_.find(kind);
    const Sum sum = found == sums_.end() ? Sum{} : found->second;
    return std::max((options_.attention_prior * options_.attention_weight + sum.seconds) /
                        (options_.attention_weight + sum.answers),
                    1e-3);
  }

 private:
  struct Sum {
    double seconds = 0;
    double answers = 0;
  };
  const QueueOptions& options_;
  std::map<std::string, Sum> sums_;
};

/// Could this rater have had the question at this time, beyond doubt?
bool free_for(const QuestionRecord& q, const std::string& rater, double at) {
  if (q.asked >= at || q.deadline <= at || (q.settled && *q.settled <= at)) return false;
  for (const auto& lease : q.leases)
    if ((lease.at <= at && at <= lease.until) || (lease.declined && lease.rater == rater)) return false;
  std::size_t votes = 0;
  bool needs_second = false;
  for (const auto& answer : q.answers) {
    if (answer.at > at) continue;
    if (answer.undone || answer.rater == rater) return false;  // when it was taken back is not logged
    ++votes;
    needs_second = std::find(q.two_people.begin(), q.two_people.end(), answer.action) != q.two_people.end();
  }
  return votes == 0 || (votes == 1 && needs_second);
}

struct LeaseEvent {
  double at = 0;
  std::size_t question = 0;
  const QuestionRecord::Lease* lease = nullptr;
};

}  // namespace

OrderFigures order_of(std::span<const QuestionRecord> questions, const QueueOptions& options) {
  std::vector<LeaseEvent> leases;
  std::vector<std::size_t> by_time;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const QuestionRecord& q = questions[i];
    if (q.is_gold()) continue;
    by_time.push_back(i);
    for (const auto& lease : q.leases) leases.push_back({lease.at, i, &lease});
  }
  struct Spent {
    double at, seconds;
    std::size_t question;
  };
  std::vector<Spent> spent;
  for (const std::size_t i : by_time)
    for (const auto& answer : questions[i].answers) spent.push_back({answer.at, answer.seconds, i});
  std::stable_sort(spent.begin(), spent.end(), [](const Spent& a, const Spent& b) { return a.at < b.at; });
  std::stable_sort(leases.begin(), leases.end(), [](const LeaseEvent& a, const LeaseEvent& b) { return a.at < b.at; });
  std::stable_sort(by_time.begin(), by_time.end(),
                   [&](std::size_t a, std::size_t b) { return questions[a].asked < questions[b].asked; });

  OrderFigures figures;
  Attention attention(options);
  std::vector<std::size_t> open;
  std::size_t next_question = 0;
  std::size_t next_answer = 0;
  for (const LeaseEvent& event : leases) {
    while (next_question < by_time.size() && questions[by_time[next_question]].asked < event.at)
      open.push_back(by_time[next_question++]);
    for (; next_answer < spent.size() && spent[next_answer].at <= event.at; ++next_answer)
      attention.add(questions[spent[next_answer].question].kind, spent[next_answer].seconds);
    std::erase_if(open, [&](std::size_t i) {
      const QuestionRecord& q = questions[i];
      return q.deadline <= event.at || (q.settled && *q.settled <= event.at);
    });
    const auto worth = [&](std::size_t i) { return questions[i].value / attention.expected(questions[i].kind); };
    const double taken = worth(event.question);
    const double slack = 1e-9 * std::max(1.0, std::abs(taken));
    const bool worthier = std::any_of(open.begin(), open.end(), [&](std::size_t i) {
      return i != event.question && worth(i) > taken + slack && free_for(questions[i], event.lease->rater, event.at);
    });
    ++figures.leases;
    if (!worthier) continue;
    ++figures.inversions;
    if (figures.inverted.size() < kShown) figures.inverted.push_back(questions[event.question].number);
  }
  return figures;
}

}  // namespace plumbline::oversight
