#pragma once
/// From a proposal to the question that people are asked.

#include <set>
#include <string>

#include "plumbline/runtime/decider.hpp"
#include "plumbline/runtime/log/question_queue.hpp"

namespace plumbline::runtime {

/// A proposal is a clear favourite from this probability of being right on.
inline constexpr double kFavourite = 2.0 / 3;
/// An action is plausible from this probability of being right on.
inline constexpr double kPlausible = 0.1;

/// Question  what should a person be asked about this proposal?
/// Rule      approve: what is proposed is irreversible. Else, from the probabilities that actions are right:
///           correct: what is proposed has at least kFavourite; compare: two actions have at least kPlausible each and
///           no other has; label: else, and where the probabilities are not known.
/// Returns   kind, actions, irreversible ones among them, candidates, value, reason. `proposed` only for correct and
///           approve: who is to say what is right should not lean on what the machine would say unless that is the
///           question. Deadline, safe action and decision are the caller's.
/// `carried` what would be done without people, an index of the proposal's actions; empty: nothing.
Question question_of(const Proposal& proposal, std::optional<std::size_t> carried,
                     const std::set<std::string>& irreversible);

}  // namespace plumbline::runtime
