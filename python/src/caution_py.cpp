#include "plumbline/base/rng.hpp"
#include "plumbline/caution/calibration.hpp"
#include "plumbline/caution/conformal.hpp"
#include "plumbline/caution/temperature_scaling.hpp"
#include "plumbline/decision/predictor.hpp"
#include "python/src/convert.hpp"

namespace plumbline::python {
namespace {

const char* outcome_name(caution::TemperatureFit::Outcome outcome) {
  switch (outcome) {
    case caution::TemperatureFit::Outcome::kInterior: return "interior";
    case caution::TemperatureFit::Outcome::kNoInformation: return "no_information";
    case caution::TemperatureFit::Outcome::kSeparable: return "separable";
  }
  return "";
}

py::dict calibration_dict(const caution::CalibrationError& error) {
  py::dict out;
  out["ece"] = error.ece;
  out["rms"] = error.rms;
  out["plug_in_ece"] = error.plug_in_ece;
  out["plug_in_rms"] = error.plug_in_rms;
  out["largest_gap"] = error.largest_gap;
  py::list events;
  for (const auto& bins : error.bins) {
    py::list table;
    for (const caution::ReliabilityBin& bin : bins) {
      py::dict row;
      row["low"] = bin.low;
      row["high"] = bin.high;
      row["confidence"] = bin.confidence;
      row["accuracy"] = bin.accuracy;
      row["count"] = bin.count;
      row["band_low"] = bin.band_low;
      row["band_high"] = bin.band_high;
      table.append(row);
    }
    events.append(table);
  }
  out["bins"] = events;
  return out;
}

void bind_calibration(py::module_& m) {
  using caution::TemperatureFit;
  py::class_<TemperatureFit>(m, "TemperatureFit",
                             "A fitted temperature. Without an interior optimum `outcome` says why.")
      .def_property_readonly(
          "outcome", [](const TemperatureFit& f) { return outcome_name(f.outcome); },
          "interior, no_information or separable.")
      .def_readonly("temperature", &TemperatureFit::temperature)
      .def_readonly("beta", &TemperatureFit::beta)
      .def_readonly("beta_standard_error", &TemperatureFit::beta_standard_error)
      .def_readonly("loss_before", &TemperatureFit::loss_before)
      .def_readonly("loss_after", &TemperatureFit::loss_after)
      .def_readonly("n", &TemperatureFit::n)
      .def("estimate", &TemperatureFit::estimate, "The temperature with bounds.");
  m.def(
      "fit_temperature",
      [](const py::object& logits, const py::object& labels, const py::object& clusters) {
        const auto z = matrix(logits, "logits");
        const std::vector<int> y = integers(labels, "labels");
        const std::vector<int> u = units(clusters);
        return call([&] { return caution::fit_temperature(z.matrix(), y, u); });
      },
      py::arg("logits"), py::arg("labels"), py::arg("units") = py::none(),
      "The temperature T > 0 that minimises the mean negative log likelihood of softmax(logits / T) (Guo et al. "
      "2017).");
  m.def(
      "apply_temperature",
      [](const py::object& logits, double temperature) {
        const auto z = matrix(logits, "logits");
        return array(call([&] { return caution::apply_temperature(z.matrix(), temperature); }));
      },
      py::arg("logits"), py::arg("temperature"), "softmax(logits / temperature), row-wise.");
  m.def(
      "calibration_error",
      [](const py::object& probabilities, const py::object& labels, const py::object& clusters, int bins,
         bool class_wise) {
        const auto p = matrix(probabilities, "probabilities");
        const std::vector<int> y = integers(labels, "labels");
        const std::vector<int> u = units(clusters);
        caution::CalibrationOptions options;
        options.bins = bins;
        return calibration_dict(call([&] {
          return class_wise ? caution::class_wise_calibration(p.matrix(), y, u, options)
                            : caution::top_label_calibration(p.matrix(), y, u, options);
        }));
      },
      py::arg("probabilities"), py::arg("labels"), py::arg("units") = py::none(), py::arg("bins") = 15,
      py::arg("class_wise") = false,
      "Debiased calibration error of the top label (or averaged over classes): estimates ece and rms, plug-in figures, "
      "and the bins of the\n"
      "reliability diagram with the band that a calibrated model would stay in.");
}

}  // namespace

void bind_caution(py::module_& m) {
  bind_calibration(m);
  m.def(
      "conformal_p_values",
      [](const py::object& calibration, const py::object& scores) {
        const auto c = vector(calibration, "calibration");
        const auto s = vector(scores, "scores");
        return array(call([&] { return caution::conformal_p_values(c.values(), s.values()); }));
      },
      py::arg("calibration"), py::arg("scores"),
      "p = (1 + #{calibration >= score}) / (n + 1): how strange each score is beside those of exchangeable calibration "
      "rows.");
  using caution::ConformalModel;
  py::class_<ConformalModel>(m, "ConformalModel", "Thresholds learnt from calibration rows.")
      .def_property_readonly(
          "outcome",
          [](const ConformalModel& c) {
            return c.outcome == ConformalModel::Outcome::kReady ? "ready" : "too_few_rows";
          },
          "ready, or too_few_rows: then rows_needed would do.")
      .def_readonly("rows_needed", &ConformalModel::rows_needed)
      .def_readonly("n", &ConformalModel::n)
      .def_readonly("classes", &ConformalModel::classes)
      .def_property_readonly("thresholds", [](const ConformalModel& c) { return array(c.thresholds); })
      .def_readonly("always_included", &ConformalModel::always_included)
      .def(
          "sets",
          [](const ConformalModel& model, const py::object& probabilities, std::uint64_t seed) {
            const auto p = matrix(probabilities, "probabilities");
            const auto sets = call([&] {
              return caution::predict_sets(model, p.matrix(), base::Rng(seed, {"conformal", "predict"}));
            });
            py::array_t<bool> out({static_cast<py::ssize_t>(sets.rows), static_cast<py::ssize_t>(sets.classes)});
            bool* to = out.mutable_data();
            for (const std::uint8_t member : sets.member) *to++ = member != 0;
            return out;
          },
          py::arg("probabilities"), py::arg("seed") = 0,
          "Prediction sets, n x k: True where the class is in the row's set. A set may be empty.");
  m.def(
      "fit_conformal",
      [](const py::object& probabilities, const py::object& labels, const std::string& method, double level,
         std::uint64_t seed) {
        const auto p = matrix(probabilities, "probabilities");
        const std::vector<int> y = integers(labels, "labels");
        caution::ConformalOptions options;
        options.method = take(caution::parse_conformal_method(method));
        options.level = level;
        return call([&] {
          return caution::fit_conformal(p.matrix(), y, options, base::Rng(seed, {"conformal", "fit"}));
        });
      },
      py::arg("probabilities"), py::arg("labels"), py::arg("method") = "lac", py::arg("level") = 0.9,
      py::arg("seed") = 0, "Split conformal sets from calibration rows; method lac, mondrian, aps or raps.");
}

}  // namespace plumbline::python
