/// A decider that is slow, hangs, throws, lies or says NaN: every request has an answer in time, nothing goes out late
/// without being marked, and no failure leads to an action.

#include "tests/faults/faults.hpp"

#include <nlohmann/json.hpp>

#include "plumbline/stats/special.hpp"

namespace plumbline::faults {
namespace {

/// Misbehaves in turn. What it does to a call depends on the call's number alone.
class RudeDecider final : public runtime::Decider {
 public:
  const runtime::DeciderInfo& info() const override { return table_.info(); }
  base::Result<std::vector<runtime::Proposal>> propose(std::span<const runtime::Request> requests,
                                                       std::span<const std::uint64_t> streams) override {
    const int call = calls_++;
    table_.fail = call % 11 == 3;
    table_.lose_one = call % 13 == 5;
    if (call % 17 == 7) throw std::runtime_error("the model is gone");
    if (call % 101 == 50) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    if (call == 400) std::this_thread::sleep_for(std::chrono::milliseconds(900));  // beyond every deadline
    return table_.propose(requests, streams);
  }

 private:
  testing::TableDecider table_;
  int calls_ = 0;
};

TEST(FaultDeadlines, NothingGoesOutLateUnmarkedAndFailuresNeverAct) {
  const testing::TempFolder folder;
  RudeDecider decider;
  runtime::GuardOptions options;
  options.fallback = "stop";
  options.deadline = 600 * runtime::kMillisecond;
  options.margin = 300 * runtime::kMillisecond;
  options.queue.gold_every = 0;
  options.remembered = 1000;
  const std::size_t wanted = long_form() ? 330'000 : 3000;
  std::atomic<std::size_t> late = 0, unmarked = 0, refused = 0, unsafe = 0;
  {
    runtime::GuardLoop loop(open_guard(decider, folder.path(), options), decider, {.batch = 16});
    Tally tally;
    std::size_t sent = 0;
    for (int call = 0; sent < wanted; ++call) {
      std::vector<runtime::Request> batch = batch_of(40, std::to_string(call) + "/");
      sent += batch.size();
      const runtime::Instant since = loop.now();
      ASSERT_TRUE(loop.decide(std::move(batch), {}, [&, since](const runtime::Answer& answer) {
        if (answer.error) {
          ++refused;
          late += answer.error->where == "late" ? 1U : 0U;
        } else {
          unmarked += loop.now() > since + options.deadline ? 1U : 0U;
          const auto body = nlohmann::json::parse(answer.body);
          const std::string cause = body["record"].value("cause", "policy");
          const bool failed = cause == "error" || cause == "timeout" || cause == "safeguard";
          unsafe += failed && body["detail"]["carry_out"] != "stop" ? 1U : 0U;
        }
        tally.add(!answer.error);
      }));
      if (call % 10 == 9) tally.wait_for(sent);
    }
    tally.wait_for(sent);
    EXPECT_GT(tally.answered(), sent / 2);
    const double bound =
        stats::clopper_pearson_high(static_cast<double>(late + unmarked), static_cast<double>(sent), 0.95);
    RecordProperty("late", std::to_string(late));
    std::printf(
        "%zu decisions, %zu late and void, %zu late and unmarked, %zu refused; 95 %% upper bound of the late share "
        "%.2g\n",
        sent, late.load(), unmarked.load(), refused.load(), bound);
    if (long_form()) {
      EXPECT_LE(bound, 1e-5);
    }
  }
  EXPECT_EQ(unmarked, 0U);
  EXPECT_EQ(unsafe, 0U);
}

}  // namespace
}  // namespace plumbline::faults
