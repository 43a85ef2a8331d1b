#include "plumbline/runtime/question_of.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace plumbline::runtime {
namespace {

std::vector<Candidate> candidates_of(const Proposal& proposal) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < proposal.plausible.size(); ++i)
    if (proposal.plausible[i] >= kPlausible) all.push_back({proposal.actions[i], proposal.plausible[i]});
  std::stable_sort(all.begin(), all.end(),
                   [](const Candidate& a, const Candidate& b) { return a.probability > b.probability; });
  return all;
}

}  // namespace

Question question_of(const Proposal& proposal, std::optional<std::size_t> carried,
                     const std::set<std::string>& irreversible) {
  Question question;
  question.actions = proposal.actions;
  for (const std::string& action : irreversible)
    if (std::find(proposal.actions.begin(), proposal.actions.end(), action) != proposal.actions.end())
      question.irreversible.insert(action);
  question.candidates = candidates_of(proposal);
  question.value = proposal.value_of_asking;
  question.reason = proposal.reason;
  const std::string proposed = carried ? proposal.actions[*carried] : std::string();
  if (carried && irreversible.contains(proposed)) {
    question.kind = QuestionKind::kApprove;
    question.reason += fmt::format("; '{}' cannot be undone", proposed);
    question.proposed = proposed;
  } else if (carried && !proposal.plausible.empty() && proposal.plausible[*carried] >= kFavourite) {
    question.kind = QuestionKind::kCorrect;
    question.proposed = proposed;
  } else if (question.candidates.size() == 2) {
    question.kind = QuestionKind::kCompare;
  }
  return question;
}

}  // namespace plumbline::runtime
