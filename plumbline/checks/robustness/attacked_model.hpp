#pragma once
/// A model of the manifest as attacks see it: its network where the graph can be lowered, its answers where not; the
/// declared range; rows in declared units.

#include <memory>
#include <string>
#include <vector>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/robustness/attack/attack.hpp"

namespace plumbline::checks {

/// Targets refer to the networks, which stay where they are when this is moved. Attacks move inputs in the units of the
/// declared range: after `range`, before `mean` and `deviation`.
struct AttackedModel {
  std::unique_ptr<const robustness::Network> network;  ///< absent: attacked by queries alone
  std::vector<std::string> rounding;  ///< steps that the network leaves out: gradients are those of a stand-in
  std::unique_ptr<robustness::Target> answers;  ///< of the model, where `target` takes gradients from a stand-in
  std::unique_ptr<robustness::Target> stand_in;
  std::unique_ptr<const robustness::Network> features;  ///< of the network, for the attack unit test
  std::unique_ptr<robustness::Target> target;
  std::unique_ptr<robustness::Target> feature_target;  ///< the scores themselves where there is no network
  std::string queries_only;                            ///< why there is no network; empty otherwise
  std::vector<double> shift, scale;                    ///< by input: what the model subtracts and divides by; or empty
  std::vector<double> low, high;                       ///< the declared range by input
  robustness::ImageShape shape;
  decision::Predictor* predictor = nullptr;
};

/// Parameters `low` and `high` give the range of inputs that are no images; equal: unbounded.
/// Errors    those of the context; kUnsupported: tables.
base::Result<AttackedModel> open_attacked(check::Context& context, const std::string& model, const std::string& data,
                                          double low, double high);

/// Rows of the set in declared units, one after the other, with their labels.
struct AttackedRows {
  std::vector<std::size_t> rows;  ///< of the set
  std::vector<double> x;          ///< rows x inputs
  std::vector<int> labels;
  std::vector<int> units;  ///< empty where none are declared
  std::vector<robustness::AttackCase> cases;
};
/// The rows of draw_examples() in declared units.
base::Result<AttackedRows> draw_attacked(check::Context& context, const AttackedModel& model, std::size_t wanted);

/// Question: does the model itself, in its own arithmetic, take these inputs (declared units) for another class?
/// Returns   one flag a row.
base::Result<std::vector<char>> misclassified(const AttackedModel& model, std::span<const double> rows,
                                              std::span<const int> labels);

}  // namespace plumbline::checks
