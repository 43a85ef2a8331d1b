#include "plumbline/case/claims/verdict.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/planning.hpp"
#include "plumbline/stats/special.hpp"

namespace plumbline::claims {
namespace {

using check::Evidence;
using stats::kLadder;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kSlack = 1e-9;          // levels such as 1 - 0.05 / 2 miss a rung by rounding alone
constexpr double kRefusedAbove = 0.999;  // sampled fixed-size bounds are not believed above this confidence
constexpr double kPlannedPower = 0.8;

/// What is claimed, as an interval of the judged figure.
struct Target {
  double low = -kInfinity;
  double high = kInfinity;
  bool two_sided() const { return std::isfinite(low) && std::isfinite(high); }
};

/// One figure under one claim. `cost`: the bounds at confidence r hold with error cost * (1 - r).
struct Question {
  const Evidence* evidence = nullptr;
  double value = 0;
  stats::Bounds bounds;
  stats::Exactness exactness = stats::Exactness::kSampled;
  double n = 0;
  double cost = 1;
  bool anytime = false;
  std::string how;  // words on how the figure was formed, when it is not the evidence itself
  bool sampled() const { return exactness == stats::Exactness::kSampled; }
};

struct Draft {
  const data::ClaimSection* claim = nullptr;
  Target target;
  std::vector<Question> questions;
  std::string problem;     // why nothing can be judged
  std::string incomplete;  // a part of what the claim covers did not run
  std::string refusal;     // judged figures exist, but the claim asks for more than they may say
  LookHistory history;
  double alpha = 0;  // error at this look, for support and (before Holm) for refutation
  double refute_p = kInfinity;
  double simultaneous_alpha = 0;
  bool refuted = false;
};

std::string number(double value) { return fmt::format("{:.6g}", value); }

bool held(const std::optional<double>& bound) { return bound && !std::isnan(*bound); }

/// The first bound that the method gives at or above a rung: valid there, since a higher confidence is more than asked.
std::optional<std::size_t> first_held(const std::array<std::optional<double>, kLadder.size()>& bounds,
                                      std::size_t from) {
  for (std::size_t i = from; i < bounds.size(); ++i) {
    if (held(bounds[i])) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> rung_for_error(double error) { return stats::rung_at_or_above(1 - error); }

std::string condition_words(const data::ClaimSection& claim) {
  if (claim.at_least) return fmt::format("at least {}", number(*claim.at_least));
  if (claim.at_most) return fmt::format("at most {}", number(*claim.at_most));
  if (claim.within) return fmt::format("within [{}, {}]", number(claim.within->first), number(claim.within->second));
  if (!claim.no_worse_than.empty()) {
    return fmt::format("no worse than run {} by more than {}", claim.no_worse_than, number(claim.margin));
  }
  return "no condition";
}

int condition_count(const data::ClaimSection& claim) {
  return int{claim.at_least.has_value()} + int{claim.at_most.has_value()} + int{claim.within.has_value()} +
         int{!claim.no_worse_than.empty()};
}

Target target_of(const data::ClaimSection& claim) {
  Target target;
  if (claim.at_least) target.low = *claim.at_least;
  if (claim.at_most) target.high = *claim.at_most;
  if (claim.within) target = {claim.within->first, claim.within->second};
  if (!claim.no_worse_than.empty()) target.low = -claim.margin;
  return target;
}

/// "model" and "subject" select by the evidence's subject ("reader@test") where the check does not name them itself.
std::optional<std::string> value_of(const Evidence& evidence, const std::string& key) {
  const auto found = evidence.where.find(key);
  if (found != evidence.where.end()) return found->second;
  if (key == "subject") return evidence.subject;
  if (key == "model") return evidence.subject.substr(0, evidence.subject.find('@'));
  return std::nullopt;
}

const check::MetricSpec* metric_spec(const check::Registry& registry, const std::string& check,
                                     const std::string& metric) {
  const check::Entry* entry = registry.find(check);
  if (entry == nullptr) return nullptr;
  for (const check::MetricSpec& spec : entry->info.yields) {
    if (spec.name == metric) return &spec;
  }
  return nullptr;
}

bool train_role(const data::Manifest& manifest, const std::string& set) {
  const auto found = manifest.data.find(set);
  if (found != manifest.data.end()) return found->second.role == data::Role::kTrain;
  return set == "train";
}

bool matches(const data::ClaimSection& claim, const data::Manifest& manifest, const check::MetricSpec* spec,
             const Evidence& evidence) {
  if (evidence.check != claim.check || evidence.metric != claim.metric) return false;
  for (const auto& [key, wanted] : claim.where) {
    if (value_of(evidence, key) != std::optional(wanted)) return false;
  }
  for (const auto& [key, value] : evidence.where) {
    if (key == "data" || key == "model" || key == "subject" || claim.where.contains(key)) continue;
    if (spec == nullptr) return false;
    const auto fallback = spec->where_default.find(key);
    if (fallback == spec->where_default.end() || fallback->second != value) return false;
  }
  if (!claim.where.contains("data")) {
    const auto set = evidence.where.find("data");
    if (set != evidence.where.end() && train_role(manifest, set->second)) return false;
  }
  return true;
}

std::string where_words(const std::map<std::string, std::string>& where) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : where) parts.push_back(fmt::format("{} = {}", key, value));
  return parts.empty() ? "no selection" : base::join_words(parts);
}

std::string figure_words(const Evidence& evidence) {
  std::string words = evidence.metric;
  if (!evidence.subject.empty()) words += fmt::format(" of {}", evidence.subject.substr(0, evidence.subject.find('@')));
  const auto set = evidence.where.find("data");
  if (set != evidence.where.end()) words += fmt::format(" on {}", set->second);
  for (const auto& [key, value] : evidence.where) {
    if (key != "data" && key != "model" && key != "subject") words += fmt::format(", {} {}", key, value);
  }
  return words;
}

/// Whether a ledger line of the claim's check may have produced evidence that the claim covers.
bool concerns(const data::ClaimSection& claim, const data::Manifest& manifest, const check::LedgerEntry& entry) {
  if (entry.check != claim.check) return false;
  const auto at = entry.subject.find('@');
  const std::string model = entry.subject.substr(0, at);
  if (const auto named = claim.where.find("model");
      named != claim.where.end() && !model.empty() && named->second != model)
    return false;
  if (const auto named = claim.where.find("subject"); named != claim.where.end() && named->second != entry.subject)
    return false;
  if (at == std::string::npos) return true;
  const std::string set = entry.subject.substr(at + 1);
  if (const auto named = claim.where.find("data"); named != claim.where.end())
    return named->second == set || !manifest.data.contains(set);
  return !train_role(manifest, set);
}

std::string ledger_words(const check::LedgerEntry& entry) {
  return fmt::format("{}{}{} is {}: {}", entry.check, entry.subject.empty() ? "" : " on ", entry.subject,
                     entry.status == check::LedgerStatus::kError           ? "in error"
                     : entry.status == check::LedgerStatus::kNotApplicable ? "not applicable"
                                                                           : "skipped",
                     entry.reason.empty() ? "no reason given" : entry.reason);
}

std::string why_nothing_matched(const data::ClaimSection& claim, const data::Manifest& manifest,
                                const check::RunRecord& run, const check::Registry& registry) {
  if (registry.find(claim.check) == nullptr) return fmt::format("no check is called '{}'", claim.check);
  if (metric_spec(registry, claim.check, claim.metric) == nullptr) {
    return fmt::format("{} has no metric '{}'", claim.check, claim.metric);
  }
  for (const check::LedgerStatus status :
       {check::LedgerStatus::kError, check::LedgerStatus::kSkipped, check::LedgerStatus::kNotApplicable}) {
    for (const check::LedgerEntry& entry : run.ledger) {
      if (entry.status == status && concerns(claim, manifest, entry)) return ledger_words(entry);
    }
  }
  std::vector<std::string> offered;
  for (const Evidence& evidence : run.evidence) {
    if (evidence.check == claim.check && evidence.metric == claim.metric && offered.size() < 5)
      offered.push_back(where_words(evidence.where));
  }
  if (offered.empty()) return fmt::format("{} left no evidence on {}", claim.check, claim.metric);
  return fmt::format("no evidence on {} for {}; there is evidence for {}", claim.metric, where_words(claim.where),
                     fmt::format("{}", fmt::join(offered, "; ")));
}

Question question_of(const data::ClaimSection& claim, const Evidence& evidence) {
  const stats::Estimate& estimate = evidence.estimate;
  Question question;
  question.evidence = &evidence;
  question.value = estimate.value;
  question.bounds = estimate.bounds;
  question.exactness = estimate.exactness;
  question.n = estimate.n;
  question.anytime = estimate.anytime;
  if (claim.population == "these" && estimate.exactness == stats::Exactness::kSampled) {
    question.exactness = stats::Exactness::kExact;
    question.bounds.lower.fill(estimate.value);
    question.bounds.upper.fill(estimate.value);
    question.how = "the stored rows themselves";
  }
  if (std::isnan(question.value)) {  // a figure that is not a number bounds nothing
    question.bounds = {};
  }
  return question;
}

// ---- no_worse_than --------------------------------------------------------------------------------------------------

const Evidence* champion_evidence(const Evidence& evidence, const check::RunRecord& champion) {
  const Evidence* by_place = nullptr;
  int places = 0;
  for (const Evidence& other : champion.evidence) {
    if (other.check != evidence.check || other.metric != evidence.metric || other.where != evidence.where) continue;
    if (other.subject == evidence.subject) return &other;
    by_place = &other;
    ++places;
  }
  return places == 1 ? by_place : nullptr;
}

/// Row -> 0/1 outcome, when the evidence carries such a table and the rows are their own sampling units.
std::optional<std::map<double, double>> row_outcomes(const Evidence& evidence, const check::RunRecord& run) {
  for (const check::Artifact& artifact : run.artifacts) {
    if (artifact.kind != "row-outcomes") continue;
    if (std::find(evidence.artifacts.begin(), evidence.artifacts.end(), artifact.id) == evidence.artifacts.end())
      continue;
    const auto metric = artifact.facts.find("metric");
    if (metric != artifact.facts.end() && metric->second != evidence.metric) continue;
    const std::vector<double>* rows = nullptr;
    const std::vector<double>* outcomes = nullptr;
    for (const check::ArtifactColumn& column : artifact.columns) {
      const auto* values = std::get_if<std::vector<double>>(&column.values);
      if (column.name == "unit") return std::nullopt;
      if (column.name == "row") rows = values;
      if (column.name == "outcome") outcomes = values;
    }
    if (rows == nullptr || outcomes == nullptr || rows->size() != outcomes->size() || rows->empty())
      return std::nullopt;
    std::map<double, double> table;
    double total = 0;
    for (std::size_t i = 0; i < rows->size(); ++i) {
      const double outcome = (*outcomes)[i];
      if ((outcome != 0 && outcome != 1) || !table.emplace((*rows)[i], outcome).second) return std::nullopt;
      total += outcome;
    }
    // The table must be the one behind the figure.
    if (std::abs(total / static_cast<double>(rows->size()) - evidence.estimate.value) > 1e-9) return std::nullopt;
    return table;
  }
  return std::nullopt;
}

bool same_rows(const Evidence& a, const Evidence& b) {
  const auto set = a.where.find("data");
  if (set == a.where.end()) return false;
  const auto in_a = a.inputs.find("data:" + set->second);
  const auto in_b = b.inputs.find("data:" + set->second);
  return in_a != a.inputs.end() && in_b != b.inputs.end() && in_a->second == in_b->second;
}

/// The improvement of `evidence` over `other` (positive = better), with bounds.
Question improvement(const Evidence& evidence, const check::RunRecord& run, const Evidence& other,
                     const check::RunRecord& champion) {
  const bool higher = evidence.direction == check::Direction::kHigherIsBetter;
  const stats::Estimate& mine = evidence.estimate;
  const stats::Estimate& theirs = other.estimate;
  Question question;
  question.evidence = &evidence;
  question.n = std::min(mine.n, theirs.n);
  question.value = higher ? mine.value - theirs.value : theirs.value - mine.value;
  const bool both_exact =
      mine.exactness != stats::Exactness::kSampled && theirs.exactness != stats::Exactness::kSampled;
  question.exactness = both_exact ? stats::Exactness::kBound : stats::Exactness::kSampled;

  if (!both_exact && same_rows(evidence, other)) {
    const auto a = row_outcomes(evidence, run);
    const auto b = row_outcomes(other, champion);
    if (a && b && a->size() == b->size()) {
      double gained = 0;
      double lost = 0;
      bool same = true;
      for (auto x = a->begin(), y = b->begin(); x != a->end(); ++x, ++y) {
        same = same && x->first == y->first;
        if (x->second > y->second) gained += 1;
        if (x->second < y->second) lost += 1;
      }
      if (same) {
        if (!higher) std::swap(gained, lost);
        const auto n = static_cast<double>(a->size());
        question.n = n;
        question.cost = 2;  // one bound on each discordant share
        question.how = fmt::format("paired over {} rows: {} gained, {} lost", a->size(), gained, lost);
        question.bounds = stats::make_bounds(
            [&](double c) {
              return std::optional(stats::clopper_pearson_low(gained, n, c) - stats::clopper_pearson_high(lost, n, c));
            },
            [&](double c) {
              return std::optional(stats::clopper_pearson_high(gained, n, c) - stats::clopper_pearson_low(lost, n, c));
            });
        return question;
      }
    }
  }

  question.cost = both_exact ? 1 : 2;  // one bound on each figure; holds whatever their dependence
  question.how = both_exact ? "difference of two exact figures"
                            : "unpaired, by the difference of the bounds of both runs, which is conservative";
  for (std::size_t i = 0; i < kLadder.size(); ++i) {
    const stats::Bounds& a = higher ? mine.bounds : theirs.bounds;
    const stats::Bounds& b = higher ? theirs.bounds : mine.bounds;
    if (held(a.lower[i]) && held(b.upper[i])) question.bounds.lower[i] = *a.lower[i] - *b.upper[i];
    if (held(a.upper[i]) && held(b.lower[i])) question.bounds.upper[i] = *a.upper[i] - *b.lower[i];
  }
  return question;
}

// ---- judging one figure ---------------------------------------------------------------------------------------------

/// The smallest error at which the figure refutes the target; infinity when it does not.
double refutation_error(const Question& question, const Target& target) {
  double least = kInfinity;
  const double sides = target.two_sided() ? 2 : 1;
  for (std::size_t i = 0; i < kLadder.size(); ++i) {
    const bool below = held(question.bounds.upper[i]) && *question.bounds.upper[i] < target.low;
    const bool above = held(question.bounds.lower[i]) && *question.bounds.lower[i] > target.high;
    if (!below && !above) continue;
    if (!question.sampled()) return 0;
    least = std::min(least, question.cost * sides * (1 - kLadder[i]));
  }
  return least;
}

struct Support {
  std::optional<std::size_t> rung;  // asked for; empty above the ladder
  std::optional<double> low;
  std::optional<double> high;
  bool supported = false;
  bool unreached = false;  // the method gives no bound there on a side that matters
};

Support support_of(const Question& question, const Target& target, double alpha) {
  Support result;
  result.rung = question.sampled() ? rung_for_error(alpha / question.cost) : std::optional<std::size_t>(0);
  if (!result.rung) return result;
  const auto low = first_held(question.bounds.lower, *result.rung);
  const auto high = first_held(question.bounds.upper, *result.rung);
  if (low) result.low = question.bounds.lower[*low];
  if (high) result.high = question.bounds.upper[*high];
  const bool needs_low = std::isfinite(target.low);
  const bool needs_high = std::isfinite(target.high);
  result.unreached = (needs_low && !result.low) || (needs_high && !result.high);
  result.supported = (needs_low || needs_high) && !result.unreached && (!needs_low || *result.low >= target.low) &&
                     (!needs_high || *result.high <= target.high);
  return result;
}

double slack_of(const Question& question, const Target& target) {
  if (std::isnan(question.value)) return -kInfinity;
  return std::min(question.value - target.low, target.high - question.value);
}

/// n at which the claim is settled with probability 0.8 if the truth equals the estimate, judged at the given errors.
stats::SampleNeed need_of(const Question& question, const Target& target, double support_alpha, double refute_alpha) {
  if (!question.sampled()) return {{}, "an exact figure or a proof does not change with more rows"};
  if (!(question.n > 0)) return {{}, "the evidence does not say how many units entered"};
  if (!std::isfinite(question.value)) return {{}, "the figure is not a finite number"};
  stats::Estimate estimate = question.evidence->estimate;
  estimate.value = question.value;
  estimate.bounds = question.bounds;
  estimate.n = question.n;
  if (!question.how.empty()) estimate.method = "difference";  // no longer the share that its method names
  const double slack = slack_of(question, target);
  const double sides = target.two_sided() ? 2 : 1;
  const auto rung = rung_for_error(slack >= 0 ? support_alpha / question.cost : refute_alpha / (question.cost * sides));
  if (!rung) return {{}, "the next look would be judged above the ladder"};
  if (slack >= 0 && target.two_sided())
    return stats::needs_more_within(estimate, target.low, target.high, kLadder[*rung], kPlannedPower);
  const bool low_edge = std::isfinite(target.low) && (slack >= 0 || question.value < target.low);
  return stats::needs_more(estimate, low_edge ? target.low : target.high, kLadder[*rung], kPlannedPower);
}

// ---- all claims -----------------------------------------------------------------------------------------------------

std::string confidence_words(const std::optional<std::size_t>& rung) {
  return rung ? fmt::format("at confidence {:g}", kLadder[*rung]) : "above the ladder";
}

std::optional<WaiverState> waiver_of(const data::ClaimSection& claim, const data::Manifest& manifest,
                                     const std::string& today) {
  std::optional<WaiverState> best;
  for (const auto& [id, waiver] : manifest.waivers) {
    if (waiver.claim != claim.id) continue;
    WaiverState state{waiver.id.empty() ? id : waiver.id, waiver.owner, waiver.reason, waiver.expires, true};
    const auto digits = [&expires = waiver.expires](std::size_t from, std::size_t count) {
      return std::all_of(expires.begin() + static_cast<std::ptrdiff_t>(from),
                         expires.begin() + static_cast<std::ptrdiff_t>(from + count),
                         [](char c) { return c >= '0' && c <= '9'; });
    };
    const bool date = waiver.expires.size() == 10 && waiver.expires[4] == '-' && waiver.expires[7] == '-' &&
                      digits(0, 4) && digits(5, 2) && digits(8, 2);
    state.expired = !date || today.empty() || today > waiver.expires;
    if (!best || (best->expired && !state.expired) || (best->expired == state.expired && best->expires < state.expires))
      best = state;
  }
  return best;
}

Draft draft_of(const data::ClaimSection& claim, const data::Manifest& manifest, const check::RunRecord& run,
               const check::Registry& registry, const JudgeContext& context) {
  Draft draft;
  draft.claim = &claim;
  draft.target = target_of(claim);
  if (const auto found = context.history.find(claim.id); found != context.history.end()) draft.history = found->second;
  draft.history.looks = std::max(1, draft.history.looks);

  if (condition_count(claim) != 1) {
    draft.problem = "the claim must state exactly one of at_least, at_most, within, no_worse_than";
    return draft;
  }
  if (!(claim.confidence > 0 && claim.confidence < 1)) {
    draft.problem = fmt::format("confidence is {}, expected a value between 0 and 1", claim.confidence);
    return draft;
  }
  if (!(draft.target.low <= draft.target.high) || (claim.no_worse_than.empty() ? false : !(claim.margin >= 0))) {
    draft.problem = "the claim's threshold is not a usable number";
    return draft;
  }
  const auto found = matching_evidence(claim, manifest, run.evidence, registry);
  if (found.empty()) {
    draft.problem = why_nothing_matched(claim, manifest, run, registry);
    return draft;
  }

  if (claim.no_worse_than.empty()) {
    for (const Evidence* evidence : found) draft.questions.push_back(question_of(claim, *evidence));
  } else {
    const auto champion = context.champions.find(claim.no_worse_than);
    for (const Evidence* evidence : found) {
      if (champion == context.champions.end()) {
        draft.problem = fmt::format("run '{}' is not in the store", claim.no_worse_than);
        return draft;
      }
      if (evidence->direction == check::Direction::kNone) {
        draft.problem = fmt::format("{} has no better direction, so no run is worse than another", claim.metric);
        return draft;
      }
      const Evidence* other = champion_evidence(*evidence, champion->second);
      if (other == nullptr) {
        draft.problem = fmt::format("run '{}' has no evidence on {}", claim.no_worse_than, figure_words(*evidence));
        return draft;
      }
      draft.questions.push_back(improvement(*evidence, run, *other, champion->second));
    }
  }

  for (const check::LedgerEntry& entry : run.ledger) {
    const bool missing = entry.status == check::LedgerStatus::kError || entry.status == check::LedgerStatus::kSkipped;
    if (missing && concerns(claim, manifest, entry)) {
      draft.incomplete = ledger_words(entry);
      break;
    }
  }

  bool all_anytime =
      claim.sampling == "anytime" && draft.history.anytime_before_first_look && claim.no_worse_than.empty();
  bool any_sampled = false;
  for (const Question& question : draft.questions) {
    any_sampled = any_sampled || question.sampled();
    all_anytime = all_anytime && (!question.sampled() || question.anytime);
  }
  const double k = draft.history.looks;
  draft.alpha = (1 - claim.confidence) / (all_anytime ? 1 : k * (k + 1));
  if (any_sampled && !all_anytime && claim.confidence > kRefusedAbove + kSlack) {
    draft.refusal = fmt::format(
        "confidence {:g} is refused for sampled figures: above {:g} only exact, proved or anytime-valid bounds count",
        claim.confidence, kRefusedAbove);
    return draft;
  }
  double shares = 0;
  for (const Question& question : draft.questions) shares += question.sampled() ? 1 : 0;
  for (const Question& question : draft.questions) {
    const double error = refutation_error(question, draft.target);
    draft.refute_p = std::min(draft.refute_p, question.sampled() ? error * shares : error);
  }
  return draft;
}

/// Holm's step-down with a level of its own for each claim: the ordered p_i / alpha_i are held against 1 / (m - i).
void holm(std::vector<Draft>& drafts) {
  std::vector<std::size_t> order(drafts.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto scaled = [&](std::size_t i) {
    return drafts[i].alpha > 0 ? drafts[i].refute_p / drafts[i].alpha : kInfinity;
  };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scaled(a) < scaled(b); });
  bool going = true;
  double remaining = static_cast<double>(drafts.size());
  for (const std::size_t i : order) {
    Draft& draft = drafts[i];
    draft.simultaneous_alpha = draft.alpha / remaining;
    going = going && scaled(i) * remaining <= 1 + kSlack;
    draft.refuted = going;
    if (going) remaining -= 1;
  }
}

std::string figure_with_bounds(const Question& question, const std::optional<double>& low,
                               const std::optional<double>& high) {
  const auto word = [](const std::optional<double>& bound) { return bound ? number(*bound) : std::string("none"); };
  if (question.exactness == stats::Exactness::kExact) return fmt::format("{} exactly", number(question.value));
  if (question.exactness == stats::Exactness::kBound)
    return fmt::format("{}, proved bounds [{}, {}]", number(question.value), word(low), word(high));
  return fmt::format("{} [{}, {}]", number(question.value), word(low), word(high));
}

ClaimVerdict verdict_of(const Draft& draft, const data::Manifest& manifest, const JudgeContext& context,
                        std::size_t claims) {
  const data::ClaimSection& claim = *draft.claim;
  ClaimVerdict verdict;
  verdict.id = claim.id;
  verdict.line = claim.line;
  verdict.text = claim.text;
  verdict.check = claim.check;
  verdict.metric = claim.metric;
  verdict.where = claim.where;
  verdict.severity = claim.severity;
  verdict.confidence = claim.confidence;
  verdict.condition = condition_words(claim);
  verdict.looks = draft.history.looks;
  verdict.models = draft.history.models;
  verdict.seeds = draft.history.seeds;
  verdict.selected = std::max(draft.history.models, draft.history.seeds) > manifest.selection_budget;
  verdict.waiver = waiver_of(claim, manifest, context.today);
  if (std::isfinite(draft.target.low)) verdict.at_least = draft.target.low;
  if (std::isfinite(draft.target.high)) verdict.at_most = draft.target.high;

  std::set<std::string> sets;
  for (const Question& question : draft.questions) {
    verdict.evidence.push_back(question.evidence->id);
    if (const auto set = question.evidence->where.find("data"); set != question.evidence->where.end())
      sets.insert(set->second);
    for (const auto& [name, hash] : question.evidence->inputs) {
      if (context.current_inputs.empty()) break;
      const auto now = context.current_inputs.find(name);
      if (now == context.current_inputs.end() || now->second != hash) verdict.freshness = Freshness::kStale;
    }
  }
  verdict.sets.assign(sets.begin(), sets.end());
  if (!draft.problem.empty()) {
    verdict.reason = draft.problem;
    verdict.needs_more_reason = "nothing was judged";
    return verdict;
  }

  std::vector<Support> supports;
  for (const Question& question : draft.questions) supports.push_back(support_of(question, draft.target, draft.alpha));
  // The figure that decides: the one that refutes most surely, else the undetermined or supported one with least room.
  std::size_t decider = 0;
  const auto rank = [&](std::size_t i) {
    const Question& question = draft.questions[i];
    const double refutes = draft.refuted ? refutation_error(question, draft.target) : 0;
    return std::tuple(refutes, supports[i].supported, slack_of(question, draft.target));
  };
  for (std::size_t i = 1; i < draft.questions.size(); ++i) {
    if (rank(i) < rank(decider)) decider = i;
  }
  const Question& question = draft.questions[decider];
  const Support& support = supports[decider];
  verdict.deciding = question.evidence->id;
  if (std::isfinite(question.value)) verdict.value = question.value;
  verdict.low = support.low;
  verdict.high = support.high;

  double shares = 0;
  for (const Question& each : draft.questions) shares += each.sampled() ? 1 : 0;
  const double sides = draft.target.two_sided() ? 2 : 1;
  const auto refute_rung = rung_for_error(draft.simultaneous_alpha / (question.cost * sides * std::max(1.0, shares)));
  if (question.sampled()) {
    if (support.rung) verdict.judged_level = kLadder[*support.rung];
    if (refute_rung) verdict.simultaneous_level = kLadder[*refute_rung];
  }

  if (!draft.refusal.empty()) {
    verdict.reason = draft.refusal;
    verdict.needs_more_reason = "nothing was judged";
    return verdict;
  }

  const bool all_supported =
      std::all_of(supports.begin(), supports.end(), [](const Support& s) { return s.supported; });
  const std::string worst = draft.questions.size() > 1
                                ? fmt::format("worst of {} figures ({}): ", draft.questions.size(),
                                              verdict.sets.empty() ? "no set named" : base::join_words(verdict.sets))
                                : "";
  const std::string subject =
      fmt::format("{}{}{}", worst, claim.no_worse_than.empty() ? "" : "change in ", figure_words(*question.evidence));
  const std::string how = question.how.empty() ? "" : fmt::format(" ({})", question.how);
  const std::string look = draft.history.looks > 1 ? fmt::format(", look {}", draft.history.looks) : "";

  if (draft.refuted) {
    verdict.verdict = Verdict::kRefuted;
    std::optional<double> low = support.low;
    std::optional<double> high = support.high;
    if (refute_rung && question.sampled()) {
      if (const auto rung = first_held(question.bounds.lower, *refute_rung)) low = question.bounds.lower[*rung];
      if (const auto rung = first_held(question.bounds.upper, *refute_rung)) high = question.bounds.upper[*rung];
    }
    verdict.low = low;
    verdict.high = high;
    const std::string level =
        question.sampled() ? fmt::format(" {}{}{}", confidence_words(refute_rung),
                                         claims > 1 ? fmt::format(", adjusted over {} claims", claims) : "", look)
                           : "";
    verdict.reason = fmt::format("{} is {}{}{}; claimed: {}", subject, figure_with_bounds(question, low, high), level,
                                 how, verdict.condition);
    verdict.needs_more_reason = "settled";
    return verdict;
  }

  const std::string level = question.sampled() ? fmt::format(" {}{}", confidence_words(support.rung), look) : "";
  verdict.reason = fmt::format("{} is {}{}{}; claimed: {}", subject,
                               figure_with_bounds(question, support.low, support.high), level, how, verdict.condition);
  if (!draft.incomplete.empty()) {
    verdict.verdict = Verdict::kNotEvaluated;
    verdict.reason = fmt::format("a part of what is claimed did not run: {}", draft.incomplete);
    verdict.needs_more_reason = "a part was not evaluated";
    return verdict;
  }
  if (all_supported) {
    verdict.verdict = Verdict::kSupported;
    verdict.needs_more_reason = "settled";
    return verdict;
  }

  verdict.verdict = Verdict::kUndetermined;
  if (question.sampled() && !support.rung) {
    verdict.reason = fmt::format(
        "ladder exhausted: look {} at confidence {:g} needs a bound above {:g}; {} is {}; claimed: {}",
        draft.history.looks, claim.confidence, kLadder.back(), subject, number(question.value), verdict.condition);
    verdict.needs_more_reason = "ladder exhausted";
    return verdict;
  }
  if (support.unreached)
    verdict.reason +=
        question.sampled() ? "; the method gives no bound at this level" : "; the bound on that side is not known";
  const double k = draft.history.looks;
  const bool anytime = draft.alpha >= (1 - claim.confidence) * (1 - kSlack);
  const double next = anytime ? draft.alpha : (1 - claim.confidence) / ((k + 1) * (k + 2));
  stats::SampleNeed most;
  for (std::size_t i = 0; i < draft.questions.size(); ++i) {
    if (supports[i].supported) continue;
    stats::SampleNeed need = need_of(draft.questions[i], draft.target, next,
                                     draft.simultaneous_alpha * (next / draft.alpha) / std::max(1.0, shares));
    const bool none = !need.n;
    if (none || !most.n || *need.n > *most.n) most = std::move(need);
    if (none) break;
  }
  if (most.n) verdict.needs_more = static_cast<double>(*most.n);
  verdict.needs_more_reason = most.reason;
  if (most.n) {
    const std::string& unit = question.evidence->estimate.unit_of_sampling;
    verdict.reason +=
        fmt::format("; about {} {}s in all would probably settle it", *most.n, unit.empty() ? "row" : unit);
  } else {
    verdict.reason += "; " + most.reason;
  }
  return verdict;
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSupported: return "supported";
    case Verdict::kRefuted: return "refuted";
    case Verdict::kUndetermined: return "undetermined";
    case Verdict::kNotEvaluated: return "not_evaluated";
  }
  return "not_evaluated";
}

std::string_view freshness_name(Freshness freshness) { return freshness == Freshness::kStale ? "stale" : "current"; }

std::string_view defeat_name(Defeat defeat) {
  switch (defeat) {
    case Defeat::kNone: return "none";
    case Defeat::kChallenged: return "challenged";
    case Defeat::kDefeated: return "defeated";
  }
  return "none";
}

std::string_view standing_name(Standing standing) {
  switch (standing) {
    case Standing::kSupported: return "supported";
    case Standing::kUndetermined: return "undetermined";
    case Standing::kNotEvaluated: return "not_evaluated";
    case Standing::kStale: return "stale";
    case Standing::kDefeated: return "defeated";
    case Standing::kRefuted: return "refuted";
  }
  return "not_evaluated";
}

Standing standing_of(const ClaimVerdict& verdict) {
  Standing standing = Standing::kNotEvaluated;
  switch (verdict.verdict) {
    case Verdict::kSupported: standing = Standing::kSupported; break;
    case Verdict::kUndetermined: standing = Standing::kUndetermined; break;
    case Verdict::kNotEvaluated: standing = Standing::kNotEvaluated; break;
    case Verdict::kRefuted: standing = Standing::kRefuted; break;
  }
  if (verdict.freshness == Freshness::kStale) standing = std::max(standing, Standing::kStale);
  if (verdict.defeat == Defeat::kDefeated) standing = std::max(standing, Standing::kDefeated);
  if (verdict.defeat == Defeat::kChallenged) standing = std::max(standing, Standing::kUndetermined);
  return standing;
}

std::vector<const Evidence*> matching_evidence(const data::ClaimSection& claim, const data::Manifest& manifest,
                                               const std::vector<Evidence>& evidence, const check::Registry& registry) {
  const check::MetricSpec* spec = metric_spec(registry, claim.check, claim.metric);
  std::vector<const Evidence*> found;
  for (const Evidence& each : evidence) {
    if (matches(claim, manifest, spec, each)) found.push_back(&each);
  }
  return found;
}

std::vector<ClaimVerdict> judge(const data::Manifest& manifest, const check::RunRecord& run,
                                const check::Registry& registry, const JudgeContext& context) {
  std::vector<Draft> drafts;
  drafts.reserve(manifest.claims.size());
  for (const data::ClaimSection& claim : manifest.claims)
    drafts.push_back(draft_of(claim, manifest, run, registry, context));
  holm(drafts);
  std::vector<ClaimVerdict> verdicts;
  verdicts.reserve(drafts.size());
  for (const Draft& draft : drafts) verdicts.push_back(verdict_of(draft, manifest, context, drafts.size()));
  return verdicts;
}

base::Status validate_claims(const data::Manifest& manifest, const check::Registry& registry) {
  std::vector<std::string> problems;
  std::vector<std::string> checks;
  for (const check::Entry& entry : registry.entries()) checks.push_back(entry.info.id);
  const auto suggest = [](const std::string& word, const std::vector<std::string>& known) {
    const std::string guess = base::nearest(word, known);
    if (!guess.empty()) return fmt::format(". Did you mean '{}'?", guess);
    return known.empty() ? std::string() : fmt::format(". Known: {}", fmt::join(known, ", "));
  };
  std::vector<std::string> ids;
  for (const data::ClaimSection& claim : manifest.claims) {
    ids.push_back(claim.id);
    const auto problem = [&](const std::string& words) {
      problems.push_back(fmt::format("{}:{}: claim '{}': {}", manifest.path, claim.line, claim.id, words));
    };
    const check::Entry* entry = registry.find(claim.check);
    if (entry == nullptr) {
      problem(fmt::format("no check is called '{}'{}", claim.check, suggest(claim.check, checks)));
    } else if (const check::MetricSpec* spec = metric_spec(registry, claim.check, claim.metric); spec == nullptr) {
      std::vector<std::string> metrics;
      for (const check::MetricSpec& each : entry->info.yields) metrics.push_back(each.name);
      problem(fmt::format("{} has no metric '{}'{}", claim.check, claim.metric, suggest(claim.metric, metrics)));
    } else {
      std::vector<std::string> keys = {"data", "model", "subject"};
      keys.insert(keys.end(), spec->where.begin(), spec->where.end());
      for (const auto& [key, value] : claim.where) {
        if (std::find(keys.begin(), keys.end(), key) == keys.end())
          problem(fmt::format("unknown key '{}' in where{}", key, suggest(key, keys)));
      }
    }
    if (condition_count(claim) != 1)
      problem(fmt::format("states {} conditions, expected exactly one of at_least, at_most, within, no_worse_than",
                          condition_count(claim)));
    if (!(claim.confidence > 0 && claim.confidence < 1))
      problem(fmt::format("confidence is {}, expected a value between 0 and 1", claim.confidence));
    const Target target = target_of(claim);
    if (!(target.low <= target.high)) problem("the lower edge of within is above the upper one, or not a number");
    if (!(claim.margin >= 0)) problem(fmt::format("margin is {}, expected at least 0", claim.margin));
  }
  for (const auto& [id, waiver] : manifest.waivers) {
    if (std::find(ids.begin(), ids.end(), waiver.claim) == ids.end()) {
      problems.push_back(fmt::format("{}:{}: waiver '{}' names the claim '{}', which is not there{}", manifest.path,
                                     waiver.line, id, waiver.claim, suggest(waiver.claim, ids)));
      continue;
    }
    data::ClaimSection probe;
    probe.id = waiver.claim;
    data::Manifest alone;
    alone.waivers.emplace(id, waiver);
    if (waiver_of(probe, alone, "0000-01-01")->expired) {
      problems.push_back(fmt::format("{}:{}: waiver '{}' expires '{}', expected a date as YYYY-MM-DD", manifest.path,
                                     waiver.line, id, waiver.expires));
    }
  }
  if (problems.empty()) return base::ok();
  return base::make_error(base::Code::kValue, fmt::format("{}", fmt::join(problems, "\n")));
}

LookKeys look_keys(const data::ClaimSection& claim, const data::Manifest& manifest, const check::RunRecord& run,
                   const check::Registry& registry) {
  std::set<std::string> models;
  std::set<std::string> sets;
  std::set<std::string> contents;
  std::set<std::tuple<std::string, std::string, std::uint64_t>> uses;
  for (const Evidence* evidence : matching_evidence(claim, manifest, run.evidence, registry)) {
    if (evidence->estimate.exactness != stats::Exactness::kSampled) continue;
    base::Sha256 model;
    bool any_model = false;
    for (const auto& [name, hash] : evidence->inputs) {
      if (name.starts_with("data:")) continue;
      model.add_field(name).add_field(hash);
      any_model = true;
    }
    if (!any_model) model.add_field(evidence->subject);  // data alone, or predictions that name no model
    const std::string model_hash = model.hex();
    models.insert(model_hash);
    for (const auto& [name, hash] : evidence->inputs) {
      const std::string set = name.starts_with("data:") ? name.substr(5) : "";
      if (set.empty() || train_role(manifest, set)) continue;
      sets.insert(set);
      const auto judged = evidence->where.find("data");
      if (judged == evidence->where.end() || judged->second == set) uses.emplace(hash, model_hash, evidence->seed);
    }
    Evidence content = *evidence;
    content.level = 0.95;
    contents.insert(check::evidence_id(content));
  }
  LookKeys keys;
  base::Sha256 lineage;
  lineage.add_field(claim.check).add_field(claim.metric);
  for (const auto& [key, value] : claim.where) lineage.add_field(key).add_field(value);
  for (const std::string& model : models) lineage.add_field("model").add_field(model);
  for (const std::string& set : sets) lineage.add_field("data").add_field(set);
  keys.lineage = lineage.hex();
  if (!contents.empty()) {
    base::Sha256 all;
    for (const std::string& id : contents) all.add_field(id);
    keys.content = all.hex();
  }
  for (const auto& [fingerprint, model, seed] : uses) keys.uses.push_back({fingerprint, model, seed});
  return keys;
}

ExitStatus exit_status(const std::vector<ClaimVerdict>& verdicts, const check::RunRecord& run, const ExitFlags& flags) {
  ExitStatus status;
  status.fail_on_refuted = flags.fail_on_refuted;
  const auto end = [&](int code, std::string reason) {
    status.code = code;
    status.reason = std::move(reason);
    return status;
  };
  if (flags.bad_input) return end(2, flags.bad_input_reason.empty() ? "bad input" : flags.bad_input_reason);
  const bool ran = std::any_of(run.ledger.begin(), run.ledger.end(), [](const check::LedgerEntry& entry) {
    return entry.status == check::LedgerStatus::kOk || entry.status == check::LedgerStatus::kError;
  });
  const bool interrupted = flags.interrupted || run.status == check::RunStatus::kCancelled;
  if (verdicts.empty() && !ran && !interrupted && run.status != check::RunStatus::kError)
    return end(2, "nothing selected: no check ran and no claim is written");
  if (interrupted) return end(130, "interrupted; finished evidence is kept");

  std::vector<std::string> refuted;
  std::vector<std::string> missing;
  std::vector<std::string> open;
  std::vector<std::string> warned;
  bool flawed = false;
  std::size_t counted = 0;
  for (const ClaimVerdict& verdict : verdicts) {
    if (!verdict.counts_as_failure()) {
      const Standing standing = standing_of(verdict);
      if (standing != Standing::kSupported)
        warned.push_back(fmt::format("{} ({})", verdict.id, standing_name(standing)));
      continue;
    }
    ++counted;
    switch (standing_of(verdict)) {
      case Standing::kRefuted: refuted.push_back(verdict.id); break;
      case Standing::kDefeated:
      case Standing::kStale:
        flawed = true;
        missing.push_back(fmt::format("{} ({})", verdict.id, standing_name(standing_of(verdict))));
        break;
      case Standing::kNotEvaluated: missing.push_back(verdict.id); break;
      case Standing::kUndetermined:
        open.push_back(verdict.id + (verdict.defeat == Defeat::kChallenged ? " (challenged)" : ""));
        break;
      case Standing::kSupported: break;
    }
  }
  const auto list = [&](const std::vector<std::string>& ids, std::string_view word) {
    const std::string of = fmt::format("{} of {} claim{} {}: ", ids.size(), counted, counted == 1 ? "" : "s", word);
    if (ids.size() <= 8) return of + base::join_words(ids);
    return of + fmt::format("{} and {} more", fmt::join(ids.begin(), ids.begin() + 8, ", "), ids.size() - 8);
  };
  if (!refuted.empty()) return end(1, list(refuted, "refuted"));
  std::vector<std::string> errors;
  for (const check::LedgerEntry& entry : run.ledger) {
    if (entry.status == check::LedgerStatus::kError)
      errors.push_back(entry.subject.empty() ? entry.check : entry.check + " on " + entry.subject);
  }
  if (!missing.empty()) return end(4, list(missing, flawed ? "not evaluated, stale or defeated" : "not evaluated"));
  if (!errors.empty())
    return end(4, fmt::format("{} check{} ended in error: {}", errors.size(), errors.size() == 1 ? "" : "s",
                              base::join_words(errors)));
  if (run.status == check::RunStatus::kError) return end(4, "the run ended in error");
  if (!open.empty() && !flags.fail_on_refuted) return end(3, list(open, "undetermined"));
  if (!open.empty()) return end(0, list(open, "undetermined") + "; only refuted claims fail here");
  if (verdicts.empty()) return end(0, "no claim is written, so nothing was judged");
  const std::string aside = warned.empty() ? "" : fmt::format("; only a warning: {}", base::join_words(warned));
  if (counted == 0) return end(0, "no claim counts as a failure" + aside);
  return end(0, (counted == 1 ? std::string("the claim of severity fail is supported")
                              : fmt::format("all {} claims of severity fail supported", counted)) +
                    aside);
}

}  // namespace plumbline::claims
