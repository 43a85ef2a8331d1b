#include "python/src/convert.hpp"

PYBIND11_MODULE(_plumbline, module) {
  module.doc() = "Plumbline's compiled half; import plumbline instead.";
  plumbline::python::bind_stats(module);  // first: the others return its Estimate
  plumbline::python::bind_caution(module);
  plumbline::python::bind_robustness(module);
  plumbline::python::bind_probe(module);
  plumbline::python::bind_methodology(module);
  plumbline::python::bind_counterfactual(module);
  plumbline::python::bind_causal(module);
  plumbline::python::bind_data(module);
  plumbline::python::bind_assess(module);
  plumbline::python::bind_world(module);
  module.attr("__version__") = PLUMBLINE_VERSION;
}
