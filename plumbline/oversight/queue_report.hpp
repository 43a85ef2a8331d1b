#pragma once
/// What a log of questions to people says about the people and about the queue before them.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/question_log.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::oversight {

struct QueueOptions {
  double shift_gap = 1800;      ///< seconds without a lease or an answer that end a rater's shift
  double block = 3600;          ///< seconds; blocks of time are the unit of sampling of loads and of what expires
  std::size_t least_gold = 10;  ///< a rater with fewer answers to gold questions is not judged alone
  double attention_prior = 10;  ///< of the queue: seconds a question before anything was measured …
  double attention_weight = 5;  ///< … with the weight of so many answers
};

/// What one rater did. Answers that were taken back count as time, not as answers.
struct RaterFigures {
  std::string name;
  std::size_t answers = 0;  ///< gold included
  std::size_t shifts = 0;
  double seconds = 0;  ///< a mean over the answers
  std::size_t gold_answered = 0, gold_right = 0;
  std::size_t wrong_shown = 0, wrong_accepted = 0;  ///< gold questions whose proposal was wrong
  std::size_t right_shown = 0, right_accepted = 0;  ///< … and right
};

/// A figure of every rater that can be judged alone, of the worst of them and of all together. Bounds of single raters
/// are exact; those of the worst hold for all at once (the error is divided by the number of raters); those of all
/// cluster on raters, and are absent for one rater.
struct ByRater {
  std::vector<std::pair<std::string, stats::Estimate>> each;
  std::optional<stats::Estimate> worst, all;
};

/// A block of time.
struct LoadBlock {
  double from = 0;
  std::size_t asked = 0, unanswered = 0;
  double on_duty = 0;    ///< raters at work, a mean over the block
  double attention = 0;  ///< seconds spent on questions of decisions
  double gold = 0;       ///< seconds spent on gold
};

struct QueueReport {
  std::size_t questions = 0, gold = 0, open = 0, leases = 0;
  std::optional<stats::Estimate> overrun_share;     ///< of decisions that waited for a question
  std::optional<stats::Estimate> unanswered_share;  ///< of settled questions; clustered on blocks of time
  std::optional<stats::Estimate> inversion_share;   ///< of leases
  ByRater gold_accuracy, accepts_wrong, discernment;
  std::optional<stats::Estimate> agreement;
  std::optional<stats::Estimate> seconds_per_answer;
  std::optional<stats::Estimate> fatigue_speed, fatigue_accuracy;
  std::optional<stats::Estimate> utilisation;
  std::vector<RaterFigures> raters;  ///< by name
  std::vector<LoadBlock> blocks;
  std::vector<std::uint64_t> overran;   ///< questions, the first hundred
  std::vector<std::uint64_t> inverted;  ///< questions that went before a worthier one, the first hundred
  std::vector<std::string> notes;       ///< why a figure is absent
};

/// Question  do people get to decide what they should, in time, with attention, and without merely nodding?
/// Formula   overrun: the outcome came after the decision's deadline, or is void because it went out late.
///           unanswered: expired or displaced.
///           inversion: a lease while another question, free for that rater, was worth more a second of attention;
///           expectations of attention are computed again from the answers before it, as the queue does.
///           gold accuracy, accepted though wrong: shares of a rater's answers to gold questions.
///           discernment: P(accept | proposal right) - P(accept | proposal wrong); 0 = whatever is proposed is
///           accepted. agreement: Krippendorff's alpha, nominal, over questions with two or more answers. fatigue:
///           second half of a shift's answers against the first: ratio of geometric means of the seconds, each over its
///           kind's mean; difference of gold accuracies. utilisation: (questions asked x seconds of attention a
///           question answered) / seconds of duty without gold. From 1 on the queue cannot keep up.
/// Bounds    overrun, inversion: Clopper-Pearson. unanswered: stats::proportion over blocks. agreement: jackknife over
///           raters, Student's t with raters - 1 degrees (over questions where there are two raters). seconds:
///           stats::mean over raters. fatigue: Student's t over shifts with at least 4 answers. utilisation: jackknife
///           of its logarithm over blocks.
/// Errors    kValue: options that are not positive; no question.
/// Outcome   a figure is absent, with a note, where the log holds too little for it.
/// Assumes   raters are alike and independent; blocks are independent; the log is whole.
/// Cost      O(leases x open questions + answers). Deterministic.
/// Source    Krippendorff 2011 (alpha); Clopper, Pearson 1934; Efron, Tibshirani 1993, ch. 11 (jackknife);
///           Parasuraman, Manzey 2010 (automation bias).
base::Result<QueueReport> queue_report(std::span<const data::QuestionRecord> questions,
                                       const QueueOptions& options = {});

/// Krippendorff's alpha for nominal values: 1 - observed / expected disagreement. items[i]: the values given to item i.
/// Nothing where fewer than two values can be paired, or all values are one.
std::optional<double> krippendorff_alpha(std::span<const std::vector<int>> items);

}  // namespace plumbline::oversight
