#pragma once
/// The one verdict function. Every output (terminal, JSON, JUnit, SARIF, HTML, the argument, the exit status) reads its
/// result; none judges again.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/case/interface/record.hpp"
#include "plumbline/data/manifest.hpp"

namespace plumbline::claims {

enum class Verdict { kSupported, kRefuted, kUndetermined, kNotEvaluated };
std::string_view verdict_name(Verdict verdict);

enum class Freshness { kCurrent, kStale };
std::string_view freshness_name(Freshness freshness);

/// Whether a defeater of the argument stands against the claim. Challenged: a defeater is neither proved nor answered.
enum class Defeat { kNone, kChallenged, kDefeated };
std::string_view defeat_name(Defeat defeat);

/// Verdict, freshness and defeat in one word, ordered from best to worst; the worst-of rule is the maximum.
enum class Standing { kSupported, kUndetermined, kNotEvaluated, kStale, kDefeated, kRefuted };
std::string_view standing_name(Standing standing);

/// How often a claim was looked at, and how often its test set was used; the store keeps the counts.
struct LookHistory {
  int looks = 1;                           ///< of the same claim on the same model and data lineage, this one included
  bool anytime_before_first_look = false;  ///< `sampling = "anytime"` was written before the first look
  int models = 1;                          ///< distinct models judged on the same test set, this one included
  int seeds = 1;                           ///< distinct seeds used on the same test set, this one included
};

/// A waiver as it applies on the day of judging. It never changes a verdict.
struct WaiverState {
  std::string id;
  std::string owner;
  std::string reason;
  std::string expires;   ///< YYYY-MM-DD, the last day on which it holds
  bool expired = false;  ///< also true when `expires` is not a date
};

/// One judged claim.
struct ClaimVerdict {
  std::string id;
  int line = 0;  ///< in the manifest
  std::string text;
  std::string check;
  std::string metric;
  std::map<std::string, std::string> where;  ///< as written
  std::string severity = "fail";
  double confidence = 0.95;
  std::string condition;  ///< "at least 0.97", "within [0.9, 1.1]", "no worse than run r1 by more than 0.01"

  Verdict verdict = Verdict::kNotEvaluated;
  std::string reason;                 ///< one sentence that names sets, figures and levels
  std::vector<std::string> evidence;  ///< ids of everything that matched
  std::string deciding;               ///< the id among them that decided; empty when nothing matched
  std::vector<std::string> sets;      ///< data sets of the evidence

  /// The deciding figure and its bounds at the levels below. For `no_worse_than` the improvement over the other run.
  std::optional<double> value;
  std::optional<double> low;       ///< at judged_level
  std::optional<double> high;      ///< at judged_level
  std::optional<double> at_least;  ///< lower edge of what is claimed
  std::optional<double> at_most;   ///< upper edge

  int looks = 1;
  std::optional<double> judged_level;        ///< rung at which support was judged; empty: exact, or above the ladder
  std::optional<double> simultaneous_level;  ///< rung at which refutation was judged, all claims together
  std::optional<double> needs_more;          ///< n in all at which the claim would probably be settled
  std::string needs_more_reason;             ///< why there is no such n; empty when there is one
  int models = 1;                            ///< distinct models on the same test set
  int seeds = 1;
  bool selected = false;  ///< more than the budget of models or seeds saw this test set
  std::optional<WaiverState> waiver;
  Freshness freshness = Freshness::kCurrent;
  Defeat defeat = Defeat::kNone;

  /// fail, unless the manifest says warn or a waiver holds today.
  bool counts_as_failure() const { return severity == "fail" && !(waiver && !waiver->expired); }
};

/// refuted > defeated > stale > not evaluated > undetermined > supported. A challenged claim is at best undetermined.
Standing standing_of(const ClaimVerdict& verdict);

/// What judging needs beside the manifest and the run.
struct JudgeContext {
  std::map<std::string, LookHistory> history;         ///< by claim id; absent = first look
  std::map<std::string, check::RunRecord> champions;  ///< by the reference written in `no_worse_than`
  std::map<std::string, std::string> current_inputs;  ///< hashes today ("data:test"); empty = the run is today's
  std::string today;                                  ///< YYYY-MM-DD, for waivers
};

/// Is each claim of the manifest supported, refuted or undetermined by the evidence of a run, and if not evaluated,
/// why?
///
/// Support    Claim with confidence c at look k is judged at C = 1 - (1 - c) / (k (k + 1)), rounded up to a rung; at
///            C = c when `sampling = "anytime"` was declared before the first look and the bounds are anytime-valid.
///            at_least t: lower(C) >= t. at_most t: upper(C) <= t. within [a, b]: both. Summed over all looks the
///            error is at most 1 - c, since sum 1 / (k (k + 1)) = 1.
/// Refutation at_least t: upper < t; at_most t: lower > t; within: either, at half the error each. Holm's step-down
///            over all claims written, judged or not; several sets in one claim share its error equally.
/// Which      `where` selects. Evidence of a slice, class, detector … backs a claim only when `where` names that key,
/// or
///            the metric declares a default for it. Sets of role train only when named. Several matches: the worst
///            must hold.
/// Exact      Exact figures and proofs have no level: their bounds hold as they are. `population = "these"` judges the
///            figure of the stored rows itself.
/// Champion   `no_worse_than`: the improvement must be at least -margin. With kind "row-outcomes" artifacts of both
/// runs
///            over the same 0/1 rows: exact bounds on the two discordant shares; else a difference of bounds at (1 + C)
///            / 2.
/// Returns    one verdict per claim, in the manifest's order.
/// Cost       O(claims x evidence); deterministic.
/// Source     Holm 1979; Berger 1982 (intersection-union); Schuirmann 1987 (two one-sided tests).
std::vector<ClaimVerdict> judge(const data::Manifest& manifest, const check::RunRecord& run,
                                const check::Registry& registry, const JudgeContext& context = {});

/// Can every claim be judged by some check? All problems, one a line, in the message.
/// Errors  kValue: unknown check, metric or `where` key (with the nearest known), no or several conditions,
///         confidence outside (0, 1), negative margin, waiver for an unknown claim or with a malformed date.
base::Status validate_claims(const data::Manifest& manifest, const check::Registry& registry);

/// Evidence of the run that a claim is about, as judge() selects it, in the record's order.
std::vector<const check::Evidence*> matching_evidence(const data::ClaimSection& claim, const data::Manifest& manifest,
                                                      const std::vector<check::Evidence>& evidence,
                                                      const check::Registry& registry);

/// What the store counts for a claim: `look(lineage, content, anytime)` and, for each use, `reuse(...)`.
/// The lineage is what is asked (check, metric, where: not the threshold, so that moving it does not start anew), of
/// which model, on which sets by name. The content is the sampled evidence, without build, artifacts and printed level:
/// re-reading a cached result is no look, another seed is one. Another model on the same test set is a reuse.
struct LookKeys {
  struct Use {
    std::string test_fingerprint;
    std::string model_hash;
    std::uint64_t seed = 0;
  };
  std::string lineage;
  std::string content;  ///< empty: nothing sampled was seen, so this is no look
  std::vector<Use> uses;
};
LookKeys look_keys(const data::ClaimSection& claim, const data::Manifest& manifest, const check::RunRecord& run,
                   const check::Registry& registry);

/// What the caller knows beside verdicts and ledger.
struct ExitFlags {
  bool bad_input = false;  ///< the manifest or the command line was refused
  std::string bad_input_reason = {};
  bool interrupted = false;      ///< Ctrl-C; also read from the run's status
  bool fail_on_refuted = false;  ///< --fail-on refuted: undetermined alone does not fail
};

struct ExitStatus {
  int code = 0;
  std::string reason;  ///< why, in words; the last line of the terminal report
  bool fail_on_refuted = false;
};

/// 0 every claim of severity fail supported; 1 one refuted; 2 bad input or nothing selected; 3 some undetermined; 4 one
/// not evaluated, stale or defeated, or a check ended in error; 130 interrupted. Precedence 2, 130, 1, 4, 3, 0.
ExitStatus exit_status(const std::vector<ClaimVerdict>& verdicts, const check::RunRecord& run,
                       const ExitFlags& flags = {});

}  // namespace plumbline::claims
