#pragma once
/// The log of a policy that is deployed, as evidence about it: is every decision there once, was it drawn as it says,
/// does it explore, does feedback come back without regard to what was done, and does what the log predicts happen?

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/decision_log.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::system {

struct DeployedOptions {
  std::vector<std::string> policies;  ///< versions that may have decided; empty: the first row's alone
};

/// Rows with one fault, the first hundred of them.
struct LogFault {
  std::string what;
  std::size_t count = 0;
  std::vector<std::size_t> rows;
};

/// Evidence against "drawn as logged" after so many draws.
struct WealthPoint {
  double draws = 0;
  double log10 = 0;
};

struct DeployedLog {
  std::size_t rows = 0;
  std::size_t drawn = 0;                             ///< with probabilities that an action can have been drawn from
  stats::Estimate faulty_share;                      ///< exact
  stats::Estimate undeclared_share;                  ///< exact: decided by a version that was not declared
  std::optional<stats::Estimate> draw_p;             ///< a fact about these draws; may be looked at at any time
  std::optional<stats::Estimate> sharpness;          ///< 1 where drawn as logged; above: less was explored
  std::optional<stats::Estimate> explored_share;     ///< exact, of the draws
  std::optional<stats::Estimate> least_probability;  ///< exact: of an action that was drawn
  stats::Estimate error_share, timeout_share, person_share, fallback_share, refused_share;  ///< over units
  std::optional<stats::Estimate> gap_p, missing_number_share;                               ///< exact
  std::optional<stats::Estimate> feedback_p;                                                ///< exact
  std::optional<stats::Estimate> offline_gap;
  double offline = 0, online = 0;             ///< of offline_gap: what the log predicted, and what came
  std::string predicted_from, predicted_for;  ///< which part predicts which
  std::vector<LogFault> faults;               ///< most frequent first
  std::vector<std::size_t> after_gap;         ///< the row after the longest gap, where gap_p is small
  std::vector<WealthPoint> wealth;            ///< at most 200
  std::vector<std::string> versions;          ///< in order of appearance
  std::vector<std::string> notes;             ///< why a figure is absent
};

/// Question  is this log a faithful record of what a deployed policy did?
/// Formula   draw_p: 1 / sup_t W_t, where W_t is a mixture of likelihood ratios prod q(A_s) / mu_s(A_s) with mu_s the
///           logged probabilities and q one of: mu^g normalised, g in {1/2, 4/5, 5/4, 2}; mu with one action's odds
///           times {1/4, 1/2, 4/5, 5/4, 2, 4}, for each of the 50 actions most often available. Under "drawn as logged"
///           W_t is a martingale from 1, whatever decided mu_s, so P(draw_p <= p) <= p even if one looks after every
///           row. sharpness: the g for which sum (ln mu(A) - E_g ln mu) = 0, E_g under mu^g normalised; bounds where
///           the sum over its standard deviation reaches -+ z. gap_p: exponential gaps between different times: g
///           beside the mean of its 40 neighbours has tail (1 + g / (40 mean))^-40; the least over gaps, times their
///           number. missing_number: ids that count up; 1 - ids / range. feedback_p: sum (M - mean M)(1[A = a] - mu(a))
///           has mean 0 for every action where a missing reward (M) has nothing to do with the action drawn, given the
///           context: normal, least over actions, times their number. offline_gap: contexts x that come again: sum_x
///           share(x) (mean of pi(A | x) r / mu(A) in the one part - mean of r in the other), pi the other part's mean
///           probabilities in x. The other part is the last version; with one version, the second half.
/// Bounds    shares: stats::proportion over units. offline_gap: linearised over units, Student's t.
/// Outcome   a figure is absent, with a note, where the log holds too little for it.
/// Errors    kValue: no row; and those of the bounds.
/// Assumes   units independent (shares, offline_gap); gaps locally Poisson (gap_p); rows in the order of the decisions.
/// Cost      O(rows x actions); draw_p O(rows x 300). Deterministic.
/// Source    Agarwal et al. 2016 (what goes wrong); Ville 1939, Shafer 2021 (testing by betting); Rosenbaum 2002, ch. 2
///           (randomisation).
base::Result<DeployedLog> deployed_log(std::span<const data::DecisionRecord> log, const DeployedOptions& options = {});

}  // namespace plumbline::system
