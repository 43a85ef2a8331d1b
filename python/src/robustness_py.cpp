#include <algorithm>
#include <memory>

#include "plumbline/base/rng.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/robustness/corruption.hpp"
#include "plumbline/robustness/drift.hpp"
#include "plumbline/robustness/ood.hpp"
#include "python/src/convert.hpp"

namespace plumbline::python {
namespace {

void bind_ood(py::module_& m) {
  m.def(
      "ood_output_score",
      [](const std::string& detector, const py::object& outputs, const std::string& output) {
        const auto* const found =
            std::find_if(robustness::kOodDetectors.begin(), robustness::kOodDetectors.end(),
                         [&](robustness::OodDetector d) { return robustness::ood_detector_name(d) == detector; });
        if (found == robustness::kOodDetectors.end())
          throw py::value_error("there is no detector '" + detector + "': max_softmax, max_logit or energy");
        const auto o = matrix(outputs, "outputs");
        const auto kind = take(decision::parse_output(output));
        return array(call([&] { return robustness::ood_output_score(*found, o.matrix(), kind); }));
      },
      py::arg("detector"), py::arg("outputs"), py::arg("output") = "logits",
      "Scores from outputs alone, higher = stranger: max_softmax, max_logit or energy.");
  using robustness::MahalanobisScore;
  py::class_<MahalanobisScore>(m, "MahalanobisScore",
                               "Squared distance to the nearest class under one covariance shared by the classes.")
      .def(
          "score",
          [](const MahalanobisScore& s, const py::object& rows) {
            const auto x = float_matrix(rows, "rows");
            return array(call([&] { return s.score(x.matrix()); }));
          },
          py::arg("rows"), "min_k (z - mu_k)' S^-1 (z - mu_k); higher = stranger.")
      .def(
          "relative_score",
          [](const MahalanobisScore& s, const py::object& rows) {
            const auto x = float_matrix(rows, "rows");
            return array(call([&] { return s.relative_score(x.matrix()); }));
          },
          py::arg("rows"), "The same minus the distance under one Gaussian for all rows (Ren et al. 2021).")
      .def_property_readonly("means", [](const MahalanobisScore& s) { return array(s.means()); })
      .def_property_readonly("ridge", &MahalanobisScore::ridge);
  m.def(
      "fit_mahalanobis",
      [](const py::object& rows, const py::object& labels) {
        const auto x = float_matrix(rows, "rows");
        const std::vector<int> y = integers(labels, "labels");
        const int classes = y.empty() ? 0 : std::max(0, *std::max_element(y.begin(), y.end())) + 1;
        return call([&] { return robustness::fit_mahalanobis(x.matrix(), y, classes); });
      },
      py::arg("rows"), py::arg("labels"), "Class means and shared covariance of training rows (Lee et al. 2018).");
  using robustness::NearestNeighbours;
  py::class_<NearestNeighbours>(m, "NearestNeighbours", "Distance to the k-th nearest training row, exact in double.")
      .def(py::init([](const py::object& rows, std::size_t k, bool unit_length) {
             const auto x = float_matrix(rows, "rows");
             return std::make_unique<NearestNeighbours>(call([&] {
               return NearestNeighbours::fit(x.matrix(), {k, unit_length});
             }));
           }),
           py::arg("rows"), py::arg("k") = 50, py::arg("unit_length") = false)
      .def(
          "score",
          [](const NearestNeighbours& s, const py::object& rows) {
            const auto x = float_matrix(rows, "rows");
            return array(
                take(interruptible([&](const base::CancelToken& cancel) { return s.score(x.matrix(), cancel); })));
          },
          py::arg("rows"), "Distances; higher = stranger (Sun et al. 2022).");
}

data::Images borrow(const View<std::uint8_t>& view) {
  const auto& a = view.array();
  data::Images images;
  images.count = static_cast<std::size_t>(a.shape(0));
  images.channels = a.ndim() == 4 ? static_cast<int>(a.shape(1)) : 1;
  images.height = static_cast<int>(a.shape(a.ndim() - 2));
  images.width = static_cast<int>(a.shape(a.ndim() - 1));
  // The view outlives the images: nothing to free.
  images.bytes = std::shared_ptr<const std::uint8_t[]>(std::shared_ptr<void>(), view.values().data());
  return images;
}

void bind_corruptions(py::module_& m) {
  m.def(
      "corruptions",
      [](const std::string& family) {
        py::dict out;
        for (const auto& corruption : robustness::corruptions(take(robustness::parse_family(family)))) {
          out[py::str(std::string(corruption.name))] = std::string(corruption.grows);
        }
        return out;
      },
      py::arg("family") = "common",
      "The fifteen corruptions of a family (common or digits), each with what grows with its severity.");
  m.def(
      "corrupt_images",
      [](const py::object& object, const std::string& corruption, int severity, const std::string& family,
         std::uint64_t seed) {
        const auto view = images(object, "images");
        const data::Images given = borrow(view);
        robustness::CorruptionSpec spec;
        spec.family = family.empty() ? robustness::default_family(given) : take(robustness::parse_family(family));
        spec.corruption = corruption;
        spec.severity = severity;
        spec.seed = seed;
        std::vector<std::size_t> rows(given.count);
        for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i;
        const data::Images made = take(interruptible(
            [&](const base::CancelToken& cancel) { return robustness::corrupt_images(given, rows, spec, cancel); }));
        py::array_t<std::uint8_t> out(
            std::vector<py::ssize_t>(view.array().shape(), view.array().shape() + view.array().ndim()));
        std::copy(made.bytes.get(), made.bytes.get() + made.count * made.pixels(), out.mutable_data());
        return out;
      },
      py::arg("images"), py::arg("corruption"), py::arg("severity"), py::arg("family") = "", py::arg("seed") = 0,
      "Corrupted copies of uint8 images, n x h x w or n x c x h x w; severity 1 to 5. Image i depends on (seed, "
      "corruption, i) alone.\n"
      "family common or digits; by default digits for small images of one channel.");
}

}  // namespace

void bind_robustness(py::module_& m) {
  bind_ood(m);
  bind_corruptions(m);
  m.def(
      "mmd_test",
      [](const py::object& a, const py::object& b, std::size_t permutations, double width, std::uint64_t seed) {
        const auto x = matrix(a, "a");
        const auto y = matrix(b, "b");
        const auto test = take(interruptible([&](const base::CancelToken& cancel) {
          robustness::MmdOptions options;
          options.permutations = permutations;
          options.width = width;
          options.cancel = cancel;
          return robustness::mmd_test(x.matrix(), y.matrix(), options, base::Rng(seed, {"mmd_test"}));
        }));
        py::dict out;
        out["mmd2"] = test.mmd2;
        out["p_value"] = test.p_value;
        out["width"] = test.width;
        return out;
      },
      py::arg("a"), py::arg("b"), py::arg("permutations") = 100, py::arg("width") = 0.0, py::arg("seed") = 0,
      "Kernel two-sample test (Gretton et al. 2012): mmd2 with bounds, permutation p_value, kernel width.");
  m.def(
      "classifier_test",
      [](const py::object& a, const py::object& b, std::uint64_t seed) {
        const auto x = matrix(a, "a");
        const auto y = matrix(b, "b");
        const auto test = take(interruptible([&](const base::CancelToken& cancel) {
          return robustness::classifier_test(x.matrix(), y.matrix(), base::Rng(seed, {"classifier_test"}), cancel);
        }));
        py::dict out;
        out["auroc"] = test.auroc;
        out["accuracy"] = test.accuracy;
        out["p_value"] = test.p_value;
        return out;
      },
      py::arg("a"), py::arg("b"), py::arg("seed") = 0,
      "Can a logistic regression tell the samples apart on held-out rows? auroc and accuracy with bounds, exact "
      "p_value.");
}

}  // namespace plumbline::python
