#include "plumbline/probe/accuracy.hpp"
#include "python/src/convert.hpp"

namespace plumbline::python {

void bind_probe(py::module_& m) {
  m.def(
      "accuracy_report",
      [](const py::object& labels, const py::object& predicted, int classes, const py::object& clusters) {
        const std::vector<int> y = integers(labels, "labels");
        const std::vector<int> p = integers(predicted, "predicted");
        const std::vector<int> u = units(clusters);
        const auto report = call([&] { return probe::accuracy_report(y, p, classes, u); });
        py::array_t<std::int64_t> confusion({classes, classes});
        auto cells = confusion.mutable_unchecked<2>();
        for (int i = 0; i < classes; ++i) {
          for (int j = 0; j < classes; ++j) {
            cells(i, j) =
                static_cast<std::int64_t>(report.confusion[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)]);
          }
        }
        py::dict out;
        out["accuracy"] = report.accuracy;
        out["balanced"] = report.balanced;
        out["recall"] = report.recall;
        out["precision"] = report.precision;
        out["confusion"] = confusion;
        return out;
      },
      py::arg("labels"), py::arg("predicted"), py::arg("classes"), py::arg("units") = py::none(),
      "Accuracy, balanced accuracy, recall and precision by class with bounds, and the confusion table "
      "[truth][predicted].");
  m.def(
      "predicted_labels",
      [](const py::object& outputs) {
        const auto o = matrix(outputs, "outputs");
        return integer_array(call([&] { return probe::predicted_labels(o.matrix()); }));
      },
      py::arg("outputs"), "Column of the largest output of each row; the first of equals.");
}

}  // namespace plumbline::python
