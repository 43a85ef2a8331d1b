#pragma once
/// What checks on perturbed inputs share: which model and set can be judged, the drawn examples, curves over the
/// radius.

#include <span>
#include <string>
#include <vector>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/robustness/threat.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::checks {

/// One task a classifier that runs and a labelled test set of images or a matrix, `sample` rows cut into shards of
/// `a_shard`; the reason where there is none. `with_graph`: the model must be a file whose graph can be read.
check::Plan plan_perturbed(const check::Blueprint& blueprint, bool with_graph, std::size_t sample, std::size_t a_shard,
                           double seconds_a_row);

/// Rows of the set that are judged, as the model's inputs.
struct Examples {
  data::DatasetPtr set;
  std::vector<std::size_t> rows;  ///< ascending
  std::vector<int> labels;
  std::vector<int> units;  ///< empty: every row its own
  robustness::InputDomain domain;

  std::string unit_name() const { return units.empty() ? "row" : set->unit_name; }
  std::size_t source_row(std::size_t i) const { return set->source_rows.empty() ? rows[i] : set->source_rows[rows[i]]; }
};
/// `sample` rows drawn by the check's stream "examples". Errors as the context's dataset() and input_domain().
base::Result<Examples> draw_examples(check::Context& context, std::size_t sample);

/// Share of examples that hit, over units where there are some.
base::Result<stats::Estimate> share_of(std::span<const std::uint8_t> hits, const Examples& examples);

/// largest / points, 2 largest / points, ..., largest, to 12 digits, so that claims can name them.
std::vector<double> radii_up_to(double largest, std::int64_t points);

/// One point of a curve.
struct CurvePoint {
  double x = 0;
  stats::Estimate y;
  std::string series;
};
check::Artifact curve(std::string id, std::string title, std::string caption, std::string x_label, std::string y_label,
                      std::span<const CurvePoint> points);

}  // namespace plumbline::checks
