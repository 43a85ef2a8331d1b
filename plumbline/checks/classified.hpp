#pragma once
/// What adapters over classifiers share: which sets can be judged, outputs that fit the labels, names, tables of
/// figures.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::checks {

/// Labelled sets of the role on which the model has predictions, by name.
std::vector<std::string> judged_sets(const check::Blueprint& blueprint, const check::ModelFacts& model,
                                     data::Role role);

/// One task a classifier and set: "reader@test". `wants_probabilities` leaves out models whose outputs are scores. The
/// plan says why where there is none.
check::Plan plan_classifiers(const check::Blueprint& blueprint, std::span<const data::Role> roles,
                             bool wants_probabilities, bool with_calibration);

/// The same for checks that fit on calibration rows: only sets of models that have predictions on some.
check::Plan plan_with_calibration(const check::Blueprint& blueprint, std::span<const data::Role> roles);

/// A labelled set with a classifier's outputs on it.
struct Classified {
  data::DatasetPtr set;
  std::shared_ptr<const decision::Prediction> prediction;
  decision::Output output = decision::Output::kLogits;

  int classes() const { return static_cast<int>(prediction->outputs.cols()); }
  std::span<const int> labels() const { return set->labels; }
  std::span<const int> units() const { return set->units; }
  std::string class_name(int c) const;
  std::size_t source_row(std::size_t i) const;
  /// Softmax of logits, or the probabilities as given. Precondition: output is not scores.
  MatrixD probabilities() const;
  /// Logits as given, or log-probabilities floored at 1e-12.
  MatrixD logits() const;
};
/// Errors kShape: no label, fewer than two outputs, a label without an output column; and those of the context.
base::Result<Classified> classified(check::Context& context, const std::string& model, const std::string& data);

/// The estimate with the set's unit of sampling named, and one of its assumptions' words.
stats::Estimate over_units(stats::Estimate estimate, const data::Dataset& set);

/// "0.93": three significant digits, for messages.
std::string short_number(double value);

/// The manifest of a fixture: `sections` between its head and its one claim, of which `claim` holds the lines after the
/// id.
base::Status write_fixture_manifest(const std::string& folder, std::uint64_t seed, std::string_view sections,
                                    std::string_view claim);

/// A system on disk with stored predictions: for fixtures. Sets: a name and its files' content.
struct StoredSet {
  std::string name;   ///< test, calibration …
  std::string table;  ///< CSV with the columns of the set and "label"; empty = a matrix of row numbers and a label file
  std::vector<int> labels;  ///< used when `table` is empty
  MatrixD outputs;
};
/// `claim`: the lines of the one claim after its id. `seed`: of the manifest.
base::Status write_stored_system(const std::string& folder, std::uint64_t seed, std::string_view output,
                                 std::span<const StoredSet> sets, std::string_view claim);

}  // namespace plumbline::checks
