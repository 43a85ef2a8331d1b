#pragma once
/// The attack unit test: the model is altered so that a misclassified input certainly lies within the threat, and the
/// attacks that will be trusted must find it.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plumbline/robustness/attack/suite.hpp"

namespace plumbline::robustness {

/// The network up to what its last affine step reads; the network itself where its last step is none.
Network features_of(const Network& network);

struct WitnessOptions {
  int inner = 150;     ///< points of the ball that must stay on the example's side
  int outer = 80;      ///< points of its surface, of which one becomes the witness
  double slack = 0.1;  ///< where the threshold lies between the witness (0) and the next point (1)
};

struct WitnessResult {
  std::uint64_t id = 0;
  bool planted = false;   ///< false: no point of the surface can be told from the others by the features
  bool found = false;     ///< some attack found a point beyond the threshold
  bool by_noise = false;  ///< noise alone did: an easy one
  std::string by;         ///< the attack that did
};

/// Question: would these attacks find a misclassified input if there certainly were one?
/// Formula:  features phi of points drawn in the ball and on its surface; ridge regression of "is point c" on them for
///           each point c of the surface, of which the one that stands out most is kept, with a threshold t between its
///           value and the next largest. The altered model has two classes with scores 0 and a (w phi(x) - t): the
///           example and all other points are class 0, the witness c is class 1. The factor a gives the example the
///           margin that it has under the model.
/// Shapes    features: a target whose scores are the features; its inputs are the model's. setting: of the model.
///           margins: class_margin() of each example under the model.
/// Returns   one result an example. The witness was evaluated: it is misclassified by the altered model.
/// Errors    as run_suite().
/// Cost      inner + outer evaluations and a run of the attacks for each example.
/// Source    Zimmermann, Brendel, Tramer, Carlini, "Increasing confidence in adversarial robustness evaluations",
///           NeurIPS 2022.
base::Result<std::vector<WitnessResult>> test_attacks(const Target& features, const AttackSetting& setting,
                                                      std::span<const AttackCase> cases,
                                                      std::span<const double> margins, std::span<const Attack> attacks,
                                                      std::uint64_t seed, const WitnessOptions& options = {});

/// The rule: the attacks passed if they found at least nine in ten of the witnesses, and nine in ten of those that
/// noise did not find. In few dimensions noise finds all; then the first alone speaks.
struct WitnessVerdict {
  std::size_t planted = 0;
  std::size_t found = 0;
  std::size_t hard = 0;  ///< planted, and not found by noise
  std::size_t found_hard = 0;
  bool passed = false;
};
WitnessVerdict judge_witnesses(std::span<const WitnessResult> results);

}  // namespace plumbline::robustness
