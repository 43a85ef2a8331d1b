#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/oversight/oversight_checks.hpp"
#include "plumbline/checks/planted.hpp"
#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/data/question_log.hpp"
#include "plumbline/oversight/queue_report.hpp"
#include "plumbline/oversight/simulated.hpp"

namespace plumbline::checks::oversight {
namespace {

namespace people = plumbline::oversight;
using check::Direction;

check::MetricSpec by_rater(std::string name, Direction direction, std::string help) {
  return {std::move(name),     "share", direction, std::move(help) + "; rater: a name, worst, or all", {"rater"},
          {{"rater", "worst"}}};
}

check::CheckInfo info() {
  check::CheckInfo facts;
  facts.id = "oversight.queue";
  facts.title = "The queue of questions and the people who answer";
  facts.question = "Do people get to decide what they should, in time, with attention, and without merely nodding?";
  facts.row = "O8";
  facts.needs = {"a log of questions to people, [questions.NAME]; `plumbline guard --export-questions` writes it"};
  facts.params = {
      {"shift_gap", 1800.0, 1, 1e6, {}, "seconds without a lease or an answer that end a person's shift"},
      {"block", 3600.0, 1, 1e7, {}, "seconds; blocks of time are the unit of sampling of load and of what expires"},
      {"least_gold",
       std::int64_t{10},
       1,
       100000,
       {},
       "a person with fewer answers to gold questions is not judged alone"},
      {"attention_prior", 10.0, 0.001, 1e6, {}, "of the queue: seconds a question before anything was measured"},
      {"attention_weight", 5.0, 0.001, 1e6, {}, "of the queue: the weight of that, in answers"}};
  facts.yields = {
      {"overrun_share",
       "share",
       Direction::kLowerIsBetter,
       "decisions made after their deadline, or whose answer went out after it, of those that waited for a person",
       {},
       {}},
      {"unanswered_share",
       "share",
       Direction::kLowerIsBetter,
       "questions that ran out of time or were displaced",
       {},
       {}},
      {"inversion_share",
       "share",
       Direction::kLowerIsBetter,
       "questions taken while another that was free was worth more a second of attention",
       {},
       {}},
      by_rater("gold_accuracy", Direction::kHigherIsBetter, "right answers to questions whose answer is known"),
      by_rater("accepts_wrong", Direction::kLowerIsBetter,
               "proposals accepted among gold questions whose proposal is wrong: automation bias"),
      by_rater("discernment", Direction::kHigherIsBetter,
               "proposals accepted where right, less those accepted where wrong; 0 = whatever is proposed is accepted"),
      {"agreement",
       "1",
       Direction::kHigherIsBetter,
       "Krippendorff's alpha over questions that several people answered: 1 = always, 0 = as by chance",
       {},
       {}},
      {"seconds_per_answer", "s", Direction::kLowerIsBetter, "attention an answer", {}, {}},
      {"fatigue_speed",
       "1",
       Direction::kNone,
       "seconds an answer in the second half of a shift over those in the first, each beside its kind's mean",
       {},
       {}},
      {"fatigue_accuracy",
       "share",
       Direction::kHigherIsBetter,
       "accuracy on gold questions in the second half of a shift less that in the first",
       {},
       {}},
      {"utilisation",
       "1",
       Direction::kLowerIsBetter,
       "attention that comes in over attention that is on duty; from 1 on the queue cannot keep up",
       {},
       {}}};
  facts.assumptions = {"people are independent of each other", "blocks of time are independent", "the log is whole"};
  facts.sources = {"Krippendorff, Computing Krippendorff's alpha-reliability, 2011",
                   "Parasuraman, Manzey, Complacency and bias in human use of automation, Human Factors 2010",
                   "Clopper, Pearson, The use of confidence or fiducial limits, Biometrika 1934"};
  facts.cost = "O(leases x open questions)";
  facts.code = "1";
  return facts;
}

check::Plan plan(const check::Blueprint& blueprint, const check::Params&) {
  check::Plan plan;
  for (const std::string& name : sections_of(*blueprint.manifest, "questions")) {
    check::Task task;
    task.subject = name;
    task.data = name;
    task.cost_seconds = 0.3;
    plan.tasks.push_back(std::move(task));
  }
  if (plan.tasks.empty()) plan.not_applicable = "the manifest has no [questions.NAME]";
  return plan;
}

check::Artifact rater_bars(const people::QueueReport& report, const std::string& where) {
  check::Artifact a;
  a.id = "raters";
  a.kind = "bars";
  a.title = fmt::format("Who accepts what, {}", where);
  a.caption =
      "Right answers to gold questions, and accepted proposals that were wrong, with exact 95 % intervals: a long "
      "second "
      "bar is somebody who nods.";
  std::vector<std::string> label, series;
  std::vector<double> value, low, high;
  const auto add = [&](const people::ByRater& figure, const char* name) {
    for (const auto& [rater, e] : figure.each) {
      label.push_back(rater);
      series.emplace_back(name);
      value.push_back(e.value);
      low.push_back(*e.low());
      high.push_back(*e.high());
    }
  };
  add(report.gold_accuracy, "right");
  add(report.accepts_wrong, "accepted though wrong");
  a.columns = {{"label", "", label},
               {"value", "share", value},
               {"low", "share", low},
               {"high", "share", high},
               {"series", "", series}};
  a.facts = {{"value_label", "share"}, {"level", "0.95"}};
  return a;
}

check::Artifact rater_table(const people::QueueReport& report, const std::string& where) {
  check::Artifact a;
  a.id = "people";
  a.kind = "table";
  a.title = fmt::format("People of {}", where);
  a.caption =
      "Answers, shifts and gold questions of each person; accepted: gold questions whose proposal was wrong, and "
      "right.";
  std::vector<std::string> name;
  std::vector<std::vector<double>> n(9);
  for (const people::RaterFigures& r : report.raters) {
    name.push_back(r.name);
    const std::vector<double> row = {static_cast<double>(r.answers),
                                     static_cast<double>(r.shifts),
                                     r.seconds,
                                     static_cast<double>(r.gold_answered),
                                     static_cast<double>(r.gold_right),
                                     static_cast<double>(r.wrong_shown),
                                     static_cast<double>(r.wrong_accepted),
                                     static_cast<double>(r.right_shown),
                                     static_cast<double>(r.right_accepted)};
    for (std::size_t i = 0; i < row.size(); ++i) n[i].push_back(row[i]);
  }
  a.columns = {{"person", "", name},        {"answers", "", n[0]},        {"shifts", "", n[1]},
               {"seconds", "s", n[2]},      {"gold", "", n[3]},           {"right", "", n[4]},
               {"wrong_shown", "", n[5]},   {"wrong_accepted", "", n[6]}, {"right_shown", "", n[7]},
               {"right_accepted", "", n[8]}};
  return a;
}

check::Artifact load_curve(const people::QueueReport& report, const std::string& where) {
  check::Artifact a;
  a.id = "load";
  a.kind = "curve";
  a.title = fmt::format("Questions and people over time, {}", where);
  a.caption = "Questions asked and left unanswered in each block of time, and people on duty.";
  std::vector<double> x, y;
  std::vector<std::string> series;
  const auto add = [&](const char* name, const auto& of) {
    for (const people::LoadBlock& b : report.blocks) {
      x.push_back(b.from / 3600);
      y.push_back(of(b));
      series.emplace_back(name);
    }
  };
  add("asked", [](const people::LoadBlock& b) { return static_cast<double>(b.asked); });
  add("unanswered", [](const people::LoadBlock& b) { return static_cast<double>(b.unanswered); });
  add("people on duty", [](const people::LoadBlock& b) { return b.on_duty; });
  a.columns = {{"x", "h", x}, {"y", "", y}, {"series", "", series}};
  a.facts = {{"x_label", "hours of the guard's clock"}, {"y_label", "in a block of time"}, {"step", "true"}};
  return a;
}

/// Findings, each with what to do.
class Findings {
 public:
  Findings(check::Output& output, std::string where) : output_(output), where_(std::move(where)) {}
  void add(std::string id, check::FindingSeverity severity, std::string title, std::string detail, std::string next,
           std::vector<std::size_t> rows = {}) {
    check::Finding finding;
    finding.id = std::move(id);
    finding.severity = severity;
    finding.title = std::move(title);
    finding.detail = std::move(detail);
    finding.next_step = std::move(next);
    finding.data = where_;
    finding.rows = std::move(rows);
    output_.findings.push_back(std::move(finding));
  }

 private:
  check::Output& output_;
  std::string where_;
};

std::string interval(const stats::Estimate& e) {
  const auto low = e.low();
  const auto high = e.high();
  return low && high ? fmt::format("{} [{}, {}]", short_number(e.value), short_number(*low), short_number(*high))
                     : short_number(e.value);
}

void find(const people::QueueReport& report, const std::string& where, check::Output& output) {
  using Severity = check::FindingSeverity;
  Findings findings(output, where);
  if (!report.overran.empty())
    findings.add("overrun", Severity::kMajor, fmt::format("Decisions of {} outlived their deadline", where),
                 fmt::format("Questions {}.", fmt::join(report.overran, ", ")),
                 "Look at the guard's clock, its margin and its log: the fallback should have gone out in time.",
                 {report.overran.begin(), report.overran.end()});
  if (!report.inverted.empty())
    findings.add("inversions", Severity::kMedium,
                 fmt::format("A worthier question was free when another was taken, {}", where),
                 fmt::format("In {} of leases; first questions {}.", interval(*report.inversion_share),
                             fmt::join(report.inverted, ", ")),
                 "Take questions by value a second of attention, or set attention_prior and attention_weight to what "
                 "the queue uses.",
                 {report.inverted.begin(), report.inverted.end()});
  for (const auto& [rater, e] : report.accepts_wrong.each) {
    if (*e.low() <= 0.5) continue;
    findings.add("nods-" + std::to_string(output.findings.size() + 1), Severity::kMajor,
                 fmt::format("{} accepts proposals that are wrong", rater),
                 fmt::format("In {} of the gold questions whose proposal is wrong.", interval(e)),
                 "Show the proposal later, or not at all (kinds label and compare); talk to the person; give approvals "
                 "to others.");
  }
  if (report.utilisation && report.utilisation->low().value_or(0) > 1)
    findings.add("overload", Severity::kMajor, fmt::format("More is asked than the people of {} can answer", where),
                 fmt::format("Attention that comes in over attention on duty: {}.", interval(*report.utilisation)),
                 "Raise ask_cost, set a budget, lengthen deadlines, or put more people on duty.");
  if (report.fatigue_accuracy && report.fatigue_accuracy->high().value_or(1) < 0)
    findings.add(
        "fatigue", Severity::kMedium, fmt::format("Answers of {} are less often right late in a shift", where),
        fmt::format("Accuracy changes by {} from the first half to the second.", interval(*report.fatigue_accuracy)),
        "Shorten the shifts.");
}

base::Result<check::Output> run(check::Context& context, const check::Params& params) {
  const check::CheckInfo facts = info();
  const std::string& where = context.task().data;
  PL_TRY(const data::OtherSection* section, context.section("questions", where));
  PL_TRY(const std::vector<data::QuestionRecord> log, data::read_questions(section->paths.at("path").resolved));
  people::QueueOptions options;
  options.shift_gap = params.real("shift_gap");
  options.block = params.real("block");
  options.least_gold = static_cast<std::size_t>(params.integer("least_gold"));
  options.attention_prior = params.real("attention_prior");
  options.attention_weight = params.real("attention_weight");
  PL_TRY(const people::QueueReport report, people::queue_report(log, options));

  check::Output output;
  output.rows =
      fmt::format("{} questions and {} gold ones, {} of them open", report.questions, report.gold, report.open);
  output.notes = report.notes;
  const auto add = [&](const char* metric, const std::optional<stats::Estimate>& estimate, const char* artifact,
                       const std::string& rater = {}) {
    if (!estimate) return;
    std::map<std::string, std::string> place = {{"data", where}};
    if (!rater.empty()) place["rater"] = rater;
    output.evidence.push_back(check::make_evidence(facts, metric, std::move(place), *estimate));
    output.evidence.back().artifacts = {artifact};
  };
  const auto add_raters = [&](const char* metric, const people::ByRater& figure) {
    add(metric, figure.worst, "raters", "worst");
    add(metric, figure.all, "raters", "all");
    for (const auto& [rater, estimate] : figure.each) {
      if (rater != "worst" && rater != "all") add(metric, estimate, "raters", rater);
    }
  };
  add("overrun_share", report.overrun_share, "load");
  add("unanswered_share", report.unanswered_share, "load");
  add("inversion_share", report.inversion_share, "load");
  add_raters("gold_accuracy", report.gold_accuracy);
  add_raters("accepts_wrong", report.accepts_wrong);
  add_raters("discernment", report.discernment);
  add("agreement", report.agreement, "people");
  add("seconds_per_answer", report.seconds_per_answer, "people");
  add("fatigue_speed", report.fatigue_speed, "people");
  add("fatigue_accuracy", report.fatigue_accuracy, "people");
  add("utilisation", report.utilisation, "load");
  output.artifacts = {rater_bars(report, where), rater_table(report, where), load_curve(report, where)};
  find(report, where, output);
  return output;
}

/// Three people before a queue that keeps up; one of them accepts whatever is proposed, or looks as the others do.
base::Status write(const std::string& folder, base::Rng& rng, double nodding) {
  people::SimulatedQueue queue;
  queue.raters = {{.name = "ann"}, {.name = "bob"}, {.name = "cy", .nodding = nodding}};
  queue.hours = 6;
  queue.arrivals = 0.15;
  queue.gold_every = 3;
  const std::uint64_t seed = rng.bits() % 1000000000;
  PL_CHECK(data::write_questions(folder + "/questions.jsonl", people::simulate_queue(queue, rng)));
  return write_fixture_manifest(
      folder, seed, "[questions.desk]\npath = \"questions.jsonl\"\n",
      "text = \"Nobody accepts whatever is proposed.\"\ncheck = \"oversight.queue\"\nmetric = "
      "\"accepts_wrong\"\nat_most = 0.5\n");
}

}  // namespace

check::Entry queue() {
  check::Entry entry;
  entry.info = info();
  entry.plan = plan;
  entry.run = run;
  constexpr double kNods = 1.0;
  constexpr double kLooks = 0.0;
  entry.fixtures = planted(write, kNods, kLooks);
  entry.fixtures.defect_words =
      "one of three people accepts whatever is proposed, seen on some 50 gold questions whose proposal is wrong";
  entry.fixtures.control_words = "three people who are right in 0.9 of their answers";
  entry.fixtures.cost_ms = 100;
  return entry;
}

}  // namespace plumbline::checks::oversight
