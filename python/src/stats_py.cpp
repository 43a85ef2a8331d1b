#include "plumbline/base/rng.hpp"
#include "plumbline/stats/bootstrap.hpp"
#include "plumbline/stats/estimate.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/multiplicity.hpp"
#include "plumbline/stats/planning.hpp"
#include "plumbline/stats/ranking.hpp"
#include "plumbline/stats/scoring.hpp"
#include "plumbline/stats/sequential.hpp"
#include "python/src/convert.hpp"

namespace plumbline::python {
namespace {

std::string describe(const stats::Estimate& e) {
  std::string out = "Estimate(" + py::repr(py::float_(e.value)).cast<std::string>();
  const auto low = e.low();
  const auto high = e.high();
  if (low || high) {
    out += ", 95%: [" + (low ? py::repr(py::float_(*low)).cast<std::string>() : "?") + ", " +
           (high ? py::repr(py::float_(*high)).cast<std::string>() : "?") + "]";
  } else {
    out += ", no bounds";
  }
  return out + ", n=" + py::repr(py::float_(e.n)).cast<std::string>() + ", " + e.method + ")";
}

py::dict ladder(const std::array<std::optional<double>, stats::kLadder.size()>& side) {
  py::dict out;
  for (std::size_t i = 0; i < side.size(); ++i) out[py::float_(stats::kLadder[i])] = side[i];
  return out;
}

void bind_estimate(py::module_& m) {
  using stats::Estimate;
  py::class_<Estimate>(m, "Estimate",
                       "A figure with one-sided bounds on a ladder of confidences (0.8 to 0.9999). None where the "
                       "method cannot reach a rung.")
      .def_readonly("value", &Estimate::value)
      .def_readonly("n", &Estimate::n, "Units that entered.")
      .def_readonly("n_effective", &Estimate::n_effective,
                    "After clustering or weighting; equals n when units are independent.")
      .def_readonly("unit_of_sampling", &Estimate::unit_of_sampling)
      .def_readonly("method", &Estimate::method)
      .def_property_readonly(
          "exactness", [](const Estimate& e) { return std::string(stats::exactness_name(e.exactness)); },
          "sampled, exact or bound.")
      .def_readonly("error_bound", &Estimate::error_bound, "Numeric error of an exact figure.")
      .def_readonly("anytime", &Estimate::anytime, "The bounds hold at every sample size at once.")
      .def_readonly("assumptions", &Estimate::assumptions)
      .def_readonly("warnings", &Estimate::warnings)
      .def_property_readonly(
          "lower", [](const Estimate& e) { return ladder(e.bounds.lower); }, "One-sided lower bounds by confidence.")
      .def_property_readonly(
          "upper", [](const Estimate& e) { return ladder(e.bounds.upper); }, "One-sided upper bounds by confidence.")
      .def("low", &Estimate::low, py::arg("level") = 0.95,
           "Lower end of the two-sided interval at `level`; None where that rung is not held.")
      .def("high", &Estimate::high, py::arg("level") = 0.95,
           "Upper end of the two-sided interval at `level`; None where that rung is not held.")
      .def("__float__", [](const Estimate& e) { return e.value; })
      .def("__repr__", &describe);
}

}  // namespace

void bind_stats(py::module_& m) {
  bind_estimate(m);
  m.def(
      "clopper_pearson",
      [](std::size_t successes, std::size_t n) { return take(stats::clopper_pearson(successes, n)); },
      py::arg("successes"), py::arg("n"),
      "Share of successes with exact bounds for independent rows (Clopper and Pearson 1934).");
  m.def(
      "wilson", [](std::size_t successes, std::size_t n) { return take(stats::wilson(successes, n)); },
      py::arg("successes"), py::arg("n"),
      "Share of successes with score bounds: shorter, and right on average over truths (Wilson 1927).");
  m.def(
      "beta_mixture", [](std::size_t successes, std::size_t n) { return take(stats::beta_mixture(successes, n)); },
      py::arg("successes"), py::arg("n"),
      "Share of successes with bounds that hold however often one looks and whenever one stops.");
  m.def(
      "proportion",
      [](const py::object& hits, const py::object& clusters) {
        std::vector<std::uint8_t> bytes;
        for (const int hit : integers(hits, "hits"))
          bytes.push_back(static_cast<std::uint8_t>(hit == 0 || hit == 1 ? hit : 2));
        const std::vector<int> u = units(clusters);
        return call([&] { return stats::proportion(bytes, u); });
      },
      py::arg("hits"), py::arg("units") = py::none(),
      "Share of rows that hit (0 or 1), with the rows clustered in units (Korn and Graubard 1998); exact bounds "
      "without units.");
  m.def(
      "mean",
      [](const py::object& values, const py::object& clusters) {
        const auto v = vector(values, "values");
        const std::vector<int> u = units(clusters);
        return call([&] { return stats::mean(v.values(), u); });
      },
      py::arg("values"), py::arg("units") = py::none(),
      "Mean of rows with Student's t bounds, cluster-robust where units are given.");
  m.def(
      "bootstrap_mean",
      [](const py::object& values, const py::object& clusters, std::size_t replicates, std::uint64_t seed) {
        const auto v = vector(values, "values");
        const std::vector<int> u = units(clusters);
        return take(interruptible([&](const base::CancelToken& cancel) {
          stats::BootstrapOptions options;
          options.replicates = replicates;
          options.cancel = cancel;
          return stats::bootstrap_mean(v.values(), u, options, base::Rng(seed, {"bootstrap_mean"}));
        }));
      },
      py::arg("values"), py::arg("units") = py::none(), py::arg("replicates") = 2000, py::arg("seed") = 0,
      "Mean with bias-corrected and accelerated bootstrap bounds over units. Same seed, same bits.");
  m.def(
      "compare_means",
      [](const py::object& a, const py::object& b, const py::object& units_a, const py::object& units_b) {
        const auto x = vector(a, "a");
        const auto y = vector(b, "b");
        const std::vector<int> ux = units(units_a, "units_a");
        const std::vector<int> uy = units(units_b, "units_b");
        const stats::Comparison c = call([&] { return stats::compare_means(x.values(), y.values(), ux, uy); });
        return py::make_tuple(c.difference, c.p_value);
      },
      py::arg("a"), py::arg("b"), py::arg("units_a") = py::none(), py::arg("units_b") = py::none(),
      "Difference of two independent means a - b by Welch's t, and the two-sided p-value of no difference (NaN without "
      "spread).");
  m.def(
      "auroc",
      [](const py::object& positives, const py::object& negatives) {
        const auto p = vector(positives, "positives");
        const auto n = vector(negatives, "negatives");
        return call([&] { return stats::auroc(p.values(), n.values()); });
      },
      py::arg("positives"), py::arg("negatives"),
      "P(positive scores above negative) + P(equal) / 2, with bounds from the placement values (DeLong et al. 1988).");
  m.def(
      "fpr_at_tpr",
      [](const py::object& positives, const py::object& negatives, double tpr) {
        const auto p = vector(positives, "positives");
        const auto n = vector(negatives, "negatives");
        return call([&] { return stats::fpr_at_tpr(p.values(), n.values(), tpr); });
      },
      py::arg("positives"), py::arg("negatives"), py::arg("tpr") = 0.95,
      "Share of negatives at or above the threshold that keeps a share `tpr` of the positives, with exact bounds.");
  m.def(
      "roc_curve",
      [](const py::object& positives, const py::object& negatives, std::size_t points, double level) {
        const auto p = vector(positives, "positives");
        const auto n = vector(negatives, "negatives");
        const auto curve = call([&] { return stats::roc_curve(p.values(), n.values(), points, level); });
        const std::pair<const char*, double stats::RocPoint::*> columns[] = {{"threshold", &stats::RocPoint::threshold},
                                                                             {"fpr", &stats::RocPoint::fpr},
                                                                             {"tpr", &stats::RocPoint::tpr},
                                                                             {"fpr_low", &stats::RocPoint::fpr_low},
                                                                             {"fpr_high", &stats::RocPoint::fpr_high},
                                                                             {"tpr_low", &stats::RocPoint::tpr_low},
                                                                             {"tpr_high", &stats::RocPoint::tpr_high}};
        py::dict out;
        for (const auto& [name, member] : columns) {
          std::vector<double> values;
          for (const stats::RocPoint& point : curve) values.push_back(point.*member);
          out[name] = array(values);
        }
        return out;
      },
      py::arg("positives"), py::arg("negatives"), py::arg("points") = 200, py::arg("level") = 0.95,
      "The ROC curve with a pointwise band: arrays threshold, fpr, tpr, fpr_low, fpr_high, tpr_low, tpr_high.");
  m.def(
      "holm",
      [](const py::object& p_values) {
        const auto p = vector(p_values, "p_values");
        return array(call([&] { return stats::holm(p.values()); }));
      },
      py::arg("p_values"), "Adjusted p-values, family-wise error under any dependence (Holm 1979).");
  m.def(
      "benjamini_hochberg",
      [](const py::object& p_values) {
        const auto p = vector(p_values, "p_values");
        return array(call([&] { return stats::benjamini_hochberg(p.values()); }));
      },
      py::arg("p_values"), "Adjusted p-values, false discovery rate (Benjamini and Hochberg 1995).");
  m.def(
      "tests_needed",
      [](double rate, double confidence, std::size_t failures) {
        return take(stats::tests_needed(failures, rate, confidence));
      },
      py::arg("rate"), py::arg("confidence") = 0.95, py::arg("failures") = 0,
      "Smallest n at which `failures` failures among n still show a failure rate below `rate`: 299 clean tests for "
      "0.01 at 0.95.");
  m.def(
      "brier",
      [](const py::object& probabilities, const py::object& labels, const py::object& clusters) {
        const auto p = matrix(probabilities, "probabilities");
        const std::vector<int> y = integers(labels, "labels");
        const std::vector<int> u = units(clusters);
        return call([&] { return stats::brier(p.matrix(), y, u); });
      },
      py::arg("probabilities"), py::arg("labels"), py::arg("units") = py::none(),
      "Mean Brier score sum_k (p_k - [k = label])^2, in [0, 2], with bounds.");
  m.def(
      "log_loss",
      [](const py::object& probabilities, const py::object& labels, const py::object& clusters, double floor) {
        const auto p = matrix(probabilities, "probabilities");
        const std::vector<int> y = integers(labels, "labels");
        const std::vector<int> u = units(clusters);
        return call([&] { return stats::log_loss(p.matrix(), y, u, floor); });
      },
      py::arg("probabilities"), py::arg("labels"), py::arg("units") = py::none(), py::arg("floor") = 1e-12,
      "Mean log loss in nats, probabilities cut from below at `floor`, with bounds.");
}

}  // namespace plumbline::python
