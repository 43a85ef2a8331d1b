#include "apps/guard/metrics.hpp"

#include <string_view>

#include <fmt/format.h>

namespace plumbline::guard {
namespace {

using runtime::LoopMetrics;

class Text {
 public:
  void head(std::string_view name, std::string_view type, std::string_view help) {
    out_ += fmt::format("# HELP plumbline_guard_{} {}\n# TYPE plumbline_guard_{} {}\n", name, help, name, type);
  }
  template <class Number>
  void line(std::string_view name, std::string_view labels, Number value) {
    out_ += fmt::format("plumbline_guard_{}{} {}\n", name, labels.empty() ? "" : fmt::format("{{{}}}", labels), value);
  }
  template <class Number>
  void one(std::string_view name, std::string_view type, std::string_view help, Number value) {
    head(name, type, help);
    line(name, "", value);
  }
  void histogram(std::string_view name, std::string_view help, const LoopMetrics::Histogram& h) {
    head(name, "histogram", help);
    std::uint64_t below = 0;
    const std::string bucket = fmt::format("{}_bucket", name);
    for (std::size_t i = 0; i < h.counts.size(); ++i) {
      below += h.counts[i];
      line(bucket, i < LoopMetrics::kBounds.size() ? fmt::format("le=\"{}\"", LoopMetrics::kBounds[i]) : "le=\"+Inf\"",
           below);
    }
    line(fmt::format("{}_sum", name), "", h.sum);
    line(fmt::format("{}_count", name), "", below);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

/// A label's value: backslash, quote and line break are escaped.
std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string metrics_text(const runtime::Guard& guard, const LoopMetrics& m, const ServiceMetrics& service) {
  Text text;
  const runtime::GuardCounts& counts = guard.state().counts();
  text.one("arrivals_total", "counter", "Requests taken in, over the whole log", counts.arrivals);
  text.head("decisions_total", "counter", "Outcomes by kind and cause, over the whole log");
  for (std::size_t kind = 0; kind < 5; ++kind) {
    for (std::size_t cause = 0; cause < 5; ++cause) {
      if (counts.decisions[kind][cause] == 0) continue;
      text.line("decisions_total",
                fmt::format("kind=\"{}\",cause=\"{}\"", data::decision_kind_name(static_cast<data::DecisionKind>(kind)),
                            data::decision_cause_name(static_cast<data::DecisionCause>(cause))),
                counts.decisions[kind][cause]);
    }
  }
  text.one("void_total", "counter", "Outcomes that do not count, over the whole log", counts.voided);
  text.one("feedback_total", "counter", "Rewards, over the whole log", counts.feedback);
  text.head("refused_total", "counter", "Requests refused since the start, by code");
  for (const auto& [code, count] : guard.traffic().refused)
    text.line("refused_total", fmt::format("code=\"{}\"", escaped(code)), count);
  text.one("late_total", "counter", "Answers after their deadline since the start; all are void", guard.traffic().late);
  text.one("repeated_total", "counter", "Requests answered from the log since the start", guard.traffic().repeated);
  text.one("wasted_total", "counter", "Proposals that came after the fallback since the start", guard.traffic().wasted);
  text.one("open_requests", "gauge", "Requests without an answer", guard.state().open().size());
  text.one("open_questions", "gauge", "Questions to people", guard.state().queue().open().size());
  text.head("rater_answers_total", "counter", "Answers of a person, over the whole log");
  for (const auto& [name, r] : guard.state().queue().raters())
    text.line("rater_answers_total", fmt::format("rater=\"{}\"", escaped(name)), r.answers);
  text.head("rater_gold_right_total", "counter", "Right answers of a person to questions whose answer is known");
  for (const auto& [name, r] : guard.state().queue().raters())
    text.line("rater_gold_right_total", fmt::format("rater=\"{}\"", escaped(name)), r.gold_right);
  text.one("token_reloads_total", "counter", "Times that the file of tokens was read again since the start",
           service.token_reloads);
  text.one("token_reload_failures_total", "counter", "Times that it could not be used, and the tokens before it stayed",
           service.token_failures);
  text.one("tokens_stale", "gauge", "1 when the file of tokens as it is now is not in use",
           service.tokens_stale ? 1 : 0);
  if (service.overseer) {
    text.one("overseer_questions_total", "counter", "Questions sent to the overseer's address since the start",
             service.overseer->asked);
    text.one("overseer_answers_total", "counter", "Answers of it that counted", service.overseer->answered);
    text.one("overseer_failures_total", "counter", "Questions to which it said nothing in time, or nothing that counts",
             service.overseer->failed);
  }
  const std::vector<runtime::MonitorView> monitors = guard.state().monitors().view();
  const auto monitor_lines = [&](std::string_view name, const auto& value) {
    for (const runtime::MonitorView& v : monitors)
      text.line(name, fmt::format("name=\"{}\",severity=\"{}\"", escaped(v.name), v.fails ? "fail" : "warn"), value(v));
  };
  text.head("monitor_violations_total", "counter", "Alarms of a detector, or proposals that broke an assertion");
  monitor_lines("monitor_violations_total", [](const runtime::MonitorView& v) { return v.violations; });
  text.head("monitor_seen_total", "counter", "What a monitor judged");
  monitor_lines("monitor_seen_total", [](const runtime::MonitorView& v) { return v.seen; });
  text.head("monitor_alarm", "gauge", "1 while an alarm waits for an acknowledgement");
  monitor_lines("monitor_alarm", [](const runtime::MonitorView& v) { return v.alarm_since ? 1 : 0; });
  text.head("monitor_level", "gauge", "Statistic of a detector over its threshold; share that breaks an assertion");
  monitor_lines("monitor_level",
                [](const runtime::MonitorView& v) { return v.threshold ? v.statistic / *v.threshold : v.statistic; });
  text.one("log_frames_total", "counter", "Records made durable since the start", m.frames);
  text.one("log_commits_total", "counter", "Commits of the log since the start", m.commits);
  text.one("log_stopped", "gauge", "1 when the log takes no more records", guard.stopped() ? 1 : 0);
  text.one("log_away", "gauge", "1 while the log's database cannot be reached", m.away ? 1 : 0);
  text.one("log_reconnects_total", "counter", "Connections to the log's database that were made again", m.reconnects);
  text.histogram("log_sync_seconds", "Time in fdatasync, or in the transaction, for a commit", m.sync);
  text.histogram("decider_seconds", "Time of a call of the decider, whatever its batch", m.decider);
  text.histogram("answer_seconds", "Time from a request's arrival to the release of its answer", m.answer);
  return text.take();
}

}  // namespace plumbline::guard
