#include "plumbline/oversight/queue_report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/oversight/jackknife.hpp"
#include "plumbline/oversight/queue_order.hpp"
#include "plumbline/oversight/raters.hpp"
#include "plumbline/stats/intervals.hpp"

namespace plumbline::oversight {
namespace {

using data::QuestionRecord;

constexpr const char* kName = "queue_report";
constexpr std::size_t kShown = 100;
constexpr std::size_t kMostBlocks = 100'000;

bool unanswered(const QuestionRecord& q) { return q.cause == "expired" || q.cause == "displaced"; }

/// Sums of a block that utilisation needs.
struct Load {
  double asked = 0, answered = 0, attention = 0, duty = 0;
};

double utilisation_of(const Load& total) {
  if (!(total.answered > 0 && total.duty > 0 && total.asked > 0 && total.attention > 0))
    return std::numeric_limits<double>::quiet_NaN();
  return total.asked * (total.attention / total.answered) / total.duty;
}

/// Utilisation with a jackknife of its logarithm over blocks.
std::optional<stats::Estimate> judge_load(const std::vector<Load>& blocks) {
  Load total;
  for (const Load& b : blocks) {
    total.asked += b.asked;
    total.answered += b.answered;
    total.attention += b.attention;
    total.duty += b.duty;
  }
  const double value = utilisation_of(total);
  if (std::isnan(value)) return std::nullopt;
  const auto without = [&](std::size_t i) {
    const Load& b = blocks[i];
    const double part = utilisation_of(
        {total.asked - b.asked, total.answered - b.answered, total.attention - b.attention, total.duty - b.duty});
    return std::isnan(part) ? std::optional<double>() : std::optional(std::log(part));
  };
  auto estimate = jackknife(blocks.size(), without, std::log(value), "block of time");
  if (!estimate) return std::nullopt;
  exponentiate(*estimate);
  estimate->method = "jackknife of the logarithm over blocks of time, Student's t";
  return estimate;
}

double overlap(double a, double b, double c, double d) { return std::max(0.0, std::min(b, d) - std::max(a, c)); }

/// Blocks from the first question to the last event.
base::Status fill_blocks(std::span<const QuestionRecord> questions,
                         const std::map<std::string, std::vector<Shift>>& shifts, const QueueOptions& options,
                         QueueReport& report) {
  double first = std::numeric_limits<double>::infinity();
  double last = -first;
  for (const QuestionRecord& q : questions) {
    first = std::min(first, q.asked);
    last = std::max(last, q.settled.value_or(q.asked));
    for (const auto& answer : q.answers) last = std::max(last, answer.at);
  }
  const double count = std::floor((last - first) / options.block) + 1;
  if (count > static_cast<double>(kMostBlocks))
    return base::make_error(base::Code::kValue,
                            fmt::format("block is {} s, which cuts the log into {} blocks", options.block, count),
                            kName, fmt::format("Take one that makes at most {}", kMostBlocks));
  std::vector<Load> loads(static_cast<std::size_t>(count));
  report.blocks.resize(loads.size());
  const auto block_of = [&](double at) {
    return std::min(loads.size() - 1,
                    static_cast<std::size_t>(std::max(0.0, std::floor((at - first) / options.block))));
  };
  for (std::size_t b = 0; b < loads.size(); ++b) report.blocks[b].from = first + static_cast<double>(b) * options.block;
  std::vector<std::uint8_t> missed;
  std::vector<int> missed_in;
  for (const QuestionRecord& q : questions) {
    for (const auto& answer : q.answers) {
      LoadBlock& b = report.blocks[block_of(answer.at)];
      (q.is_gold() ? b.gold : b.attention) += answer.seconds;
    }
    if (q.is_gold()) continue;
    const std::size_t at = block_of(q.asked);
    ++report.blocks[at].asked;
    loads[at].asked += 1;
    const bool answered = std::any_of(q.answers.begin(), q.answers.end(), [](const auto& a) { return !a.undone; });
    if (answered) loads[block_of(q.answers.back().at)].answered += 1;
    if (!q.settled) continue;
    report.blocks[at].unanswered += unanswered(q) ? 1 : 0;
    missed.push_back(unanswered(q) ? 1 : 0);
    missed_in.push_back(static_cast<int>(at));
  }
  for (const auto& [name, all] : shifts) {
    for (const Shift& shift : all) {
      for (std::size_t b = block_of(shift.from); b <= block_of(shift.until); ++b) {
        const double from = report.blocks[b].from;
        loads[b].duty += overlap(shift.from, shift.until, from, from + options.block);
      }
    }
  }
  for (std::size_t b = 0; b < loads.size(); ++b) {
    report.blocks[b].on_duty = loads[b].duty / options.block;
    loads[b].attention = report.blocks[b].attention;
    loads[b].duty = std::max(0.0, loads[b].duty - report.blocks[b].gold);
  }
  if (!missed.empty()) {
    const bool several = std::set<int>(missed_in.begin(), missed_in.end()).size() >= 2;
    PL_TRY(report.unanswered_share,
           stats::proportion(missed, several ? std::span<const int>(missed_in) : std::span<const int>()));
    report.unanswered_share->unit_of_sampling = several ? "block of time" : "question";
  }
  std::erase_if(loads, [](const Load& b) { return b.asked == 0 && b.duty == 0; });
  if (loads.size() >= 4) report.utilisation = judge_load(loads);
  if (!report.utilisation)
    report.notes.push_back(
        fmt::format("utilisation is not known: {} blocks of {} s with questions and people, 4 are needed", loads.size(),
                    options.block));
  return base::ok();
}

base::Status judge_deadlines(std::span<const QuestionRecord> questions, QueueReport& report) {
  std::size_t judged = 0;
  std::size_t over = 0;
  for (const QuestionRecord& q : questions) {
    if (!q.decision_deadline || !(q.decided || q.late)) continue;
    ++judged;
    if (!q.late && *q.decided <= *q.decision_deadline) continue;
    ++over;
    if (report.overran.size() < kShown) report.overran.push_back(q.number);
  }
  if (judged == 0) {
    report.notes.emplace_back(
        "overrun_share is not known: no question says when its decision was due and when it was made");
    return base::ok();
  }
  PL_TRY(report.overrun_share, stats::clopper_pearson(over, judged));
  report.overrun_share->unit_of_sampling = "decision";
  return base::ok();
}

}  // namespace

base::Result<QueueReport> queue_report(std::span<const QuestionRecord> questions, const QueueOptions& options) {
  PL_CHECK(base::check_positive(kName, "shift_gap", options.shift_gap));
  PL_CHECK(base::check_positive(kName, "block", options.block));
  PL_CHECK(base::check_positive(kName, "attention_prior", options.attention_prior));
  PL_CHECK(base::check_positive(kName, "attention_weight", options.attention_weight));
  if (options.least_gold == 0)
    return base::make_error(base::Code::kValue, "least_gold is 0, expected at least 1", kName);
  if (questions.empty()) return base::make_error(base::Code::kValue, "there is no question", kName);
  QueueReport report;
  for (const QuestionRecord& q : questions) {
    ++(q.is_gold() ? report.gold : report.questions);
    report.open += q.settled ? 0U : 1U;
  }
  PL_CHECK(judge_deadlines(questions, report));
  const OrderFigures order = order_of(questions, options);
  report.leases = order.leases;
  report.inverted = order.inverted;
  if (order.leases > 0) {
    PL_TRY(report.inversion_share, stats::clopper_pearson(order.inversions, order.leases));
    report.inversion_share->unit_of_sampling = "lease";
  } else {
    report.notes.emplace_back("inversion_share is not known: nobody took a question");
  }
  const auto shifts = shifts_of(questions, options.shift_gap);
  PL_CHECK(fill_blocks(questions, shifts, options, report));
  PL_CHECK(judge_raters(questions, shifts, options, report));
  return report;
}

}  // namespace plumbline::oversight
