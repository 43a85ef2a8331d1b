#include "plumbline/base/rng.hpp"
#include "plumbline/methodology/adequacy.hpp"
#include "plumbline/methodology/determinism.hpp"
#include "plumbline/methodology/evaluation_aa.hpp"
#include "plumbline/methodology/near_duplicates.hpp"
#include "python/src/convert.hpp"

namespace plumbline::python {
namespace {

template <class T>
py::object or_none(const std::optional<T>& value) {
  return value ? py::cast(*value) : py::object(py::none());
}

}  // namespace

void bind_methodology(py::module_& m) {
  m.def(
      "assess_adequacy",
      [](const py::object& labels, const py::object& predicted, const py::object& clusters, double target_rate,
         double confidence, std::uint64_t seed) {
        const std::vector<int> y = integers(labels, "labels");
        const std::vector<int> p = integers(predicted, "predicted");
        const std::vector<int> u = units(clusters);
        const auto a = call([&] {
          return methodology::assess_adequacy(y, p, u, {target_rate, confidence}, base::Rng(seed, {"assess_adequacy"}));
        });
        py::dict out;
        out["units"] = a.units;
        out["failed_units"] = a.failed_units;
        out["failure_rate"] = a.failure_rate;
        out["failure_rate_anytime"] = a.failure_rate_anytime;
        out["units_needed"] = a.units_needed;
        out["units_needed_clean"] = a.units_needed_clean;
        out["size_ratio"] = a.size_ratio;
        out["unseen_mass"] = a.unseen_mass;
        py::list types;
        for (const auto& type : a.types) types.append(py::make_tuple(type.label, type.predicted, type.rows));
        out["types"] = types;
        return out;
      },
      py::arg("labels"), py::arg("predicted"), py::arg("units") = py::none(), py::arg("target_rate") = 0.01,
      py::arg("confidence") = 0.95, py::arg("seed") = 0,
      "Were there enough tests to exclude a failure rate of `target_rate`, and how likely is a kind of failure not "
      "seen yet?");
  m.def(
      "compare_runs",
      [](const py::object& first, const py::object& second) {
        const auto a = matrix(first, "first");
        const auto b = matrix(second, "second");
        const auto c = call([&] { return methodology::compare_runs(a.matrix(), b.matrix()); });
        py::dict out;
        out["rows"] = c.rows;
        out["diverging"] = c.diverging;
        out["flips"] = c.flips;
        out["first_diverging"] = or_none(c.first_diverging);
        out["first_flip"] = or_none(c.first_flip);
        out["max_ulp"] = c.max_ulp;
        out["max_difference"] = c.max_difference;
        return out;
      },
      py::arg("first"), py::arg("second"),
      "Where two runs of a model over the same rows differ, by how much, and whether it changes the answer.");
  m.def(
      "evaluation_aa",
      [](const py::object& scores, const py::object& split_units, const py::object& compare_units, std::size_t splits,
         std::uint64_t seed) {
        const auto s = vector(scores, "scores");
        const std::vector<int> split = units(split_units, "split_units");
        const std::vector<int> compare = units(compare_units, "compare_units");
        const auto result = take(interruptible([&](const base::CancelToken& cancel) {
          methodology::AaOptions options;
          options.splits = splits;
          options.cancel = cancel;
          return methodology::evaluation_aa(s.values(), split, compare, options, base::Rng(seed, {"evaluation_aa"}));
        }));
        py::dict out;
        out["p_values"] = array(result.p_values);
        out["false_alarm_rate"] = result.false_alarm_rate;
        out["distance"] = result.distance;
        return out;
      },
      py::arg("scores"), py::arg("split_units"), py::arg("compare_units") = py::none(), py::arg("splits") = 400,
      py::arg("seed") = 0,
      "Does the comparison of two arms stay quiet when both arms are the same system? p-values of random splits and "
      "their false alarms.");
  m.def(
      "nearest_rows",
      [](const py::object& reference, const py::object& queries) {
        const auto r = float_matrix(reference, "reference");
        const auto q = float_matrix(queries, "queries");
        const auto matches = take(interruptible([&](const base::CancelToken& cancel) {
          methodology::NearOptions options;
          options.cancel = cancel;
          return methodology::nearest_rows(r.matrix(), q.matrix(), options);
        }));
        std::vector<std::ptrdiff_t> rows;
        std::vector<double> similarity;
        for (const auto& match : matches) {
          rows.push_back(match.row);
          similarity.push_back(match.similarity);
        }
        return py::make_tuple(integer_array(rows), array(similarity));
      },
      py::arg("reference"), py::arg("queries"),
      "The most similar reference row of each query and its similarity 1 / (1 + distance).");
}

}  // namespace plumbline::python
