#include "plumbline/data/dataset.hpp"
#include "plumbline/data/load.hpp"
#include "plumbline/data/manifest.hpp"
#include "python/src/convert.hpp"

namespace plumbline::python {
namespace {

py::object column_values(const data::Column& column) {
  py::list out;
  switch (column.kind) {
    case data::Column::Kind::kNumber: return array(column.numbers);
    case data::Column::Kind::kCategory:
      for (const int code : column.codes)
        out.append(code < 0 ? py::object(py::none()) : py::cast(column.levels[static_cast<std::size_t>(code)]));
      break;
    case data::Column::Kind::kText:
      for (std::size_t i = 0; i < column.texts.size(); ++i)
        out.append(column.text_missing[i] ? py::object(py::none()) : py::cast(column.texts[i]));
      break;
  }
  return out;
}

// A read-only array over the set's own memory, which it keeps alive.
template <class Scalar>
py::array owned_by(const data::DatasetPtr& set, const Scalar* values, std::vector<py::ssize_t> shape) {
  const py::capsule owner(new data::DatasetPtr(set),
                          [](void* pointer) { delete static_cast<data::DatasetPtr*>(pointer); });
  py::array_t<Scalar> out(std::move(shape), values, owner);
  out.attr("setflags")(py::arg("write") = false);
  return out;
}

py::object content(const data::DatasetPtr& set) {
  if (set->kind == data::Dataset::Kind::kImages) {
    const data::Images& images = set->images;
    return owned_by(set, images.bytes.get(),
                    {static_cast<py::ssize_t>(images.count), images.channels, images.height, images.width});
  }
  if (set->kind == data::Dataset::Kind::kMatrix)
    return owned_by(set, set->matrix.data(), {set->matrix.rows(), set->matrix.cols()});
  py::dict columns;
  for (const data::Column& column : set->table.columns) columns[py::str(column.name)] = column_values(column);
  return columns;
}

}  // namespace

void bind_data(py::module_& m) {
  m.def(
      "load_dataset",
      [](const std::string& path, const std::string& name, const std::map<std::string, std::string>& roots) {
        const data::DatasetPtr set = call([&]() -> base::Result<data::DatasetPtr> {
          data::ManifestOptions options;
          options.roots = roots;
          PL_TRY(const data::Manifest manifest, data::read_manifest(path, options));
          return data::load_dataset(manifest, name);
        });
        py::dict out;
        out["inputs"] = content(set);
        out["labels"] = set->labelled() ? py::object(integer_array(set->labels)) : py::object(py::none());
        out["units"] = set->units.empty() ? py::object(py::none()) : py::object(integer_array(set->units));
        out["class_names"] = set->class_names;
        out["role"] = std::string(data::role_name(set->role));
        out["fingerprint"] = set->fingerprint;
        return out;
      },
      py::arg("manifest"), py::arg("name"), py::arg("roots") = std::map<std::string, std::string>(),
      "One data set of a manifest: inputs (uint8 images n x c x h x w, a float32 matrix, or the columns of a table), "
      "labels, units, class_names,\n"
      "role, fingerprint. Images and matrices are read-only views.");
  m.def(
      "load_predictions",
      [](const std::string& path, const std::string& section, const std::map<std::string, std::string>& roots) {
        return array(call([&]() -> base::Result<MatrixD> {
          data::ManifestOptions options;
          options.roots = roots;
          PL_TRY(const data::Manifest manifest, data::read_manifest(path, options));
          return data::load_predictions(manifest, section);
        }));
      },
      py::arg("manifest"), py::arg("section"), py::arg("roots") = std::map<std::string, std::string>(),
      "The stored predictions of a [predictions.*] section, n x k.");
  m.def("manifest_schema", &data::manifest_schema, "The JSON Schema of the manifest, as text.");
}

}  // namespace plumbline::python
