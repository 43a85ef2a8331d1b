#include "python/src/convert.hpp"

#include <algorithm>
#include <limits>

namespace plumbline::python {
namespace {

constexpr py::ssize_t kLargeCopy = py::ssize_t{64} << 20;

py::array any_array(const py::handle& object, const char* name, const char* kinds) {
  py::array array = py::array::ensure(object);
  if (!array) {
    PyErr_Clear();
    throw py::type_error(std::string(name) + " is not an array");
  }
  // An empty list has no type of its own.
  if (array.size() == 0) return array;
  if (std::string(kinds).find(array.dtype().kind()) == std::string::npos) {
    throw py::type_error(std::string(name) + " holds " + py::str(array.dtype()).cast<std::string>() +
                         ", expected numbers" + (std::string(kinds) == "iub" ? " without fractions" : ""));
  }
  return array;
}

void check_axes(const py::array& array, const char* name, py::ssize_t axes) {
  if (array.ndim() == axes) return;
  throw py::value_error(std::string(name) + " has " + std::to_string(array.ndim()) +
                        (array.ndim() == 1 ? " axis" : " axes") + ", expected " + std::to_string(axes));
}

template <class Scalar>
View<Scalar> view(const py::handle& object, const py::array& array, const char* name) {
  auto converted = View<Scalar>::Array::ensure(array);
  if (!converted) throw py::error_already_set();
  if (converted.ptr() != object.ptr() && converted.nbytes() > kLargeCopy) {
    const std::string text = std::string(name) + " was copied (" + std::to_string(converted.nbytes() >> 20) +
                             " MiB): pass a row-major array of " +
                             py::str(converted.dtype()).template cast<std::string>() + " to avoid that";
    if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) != 0) throw py::error_already_set();
  }
  return View<Scalar>(std::move(converted));
}

}  // namespace

void raise(const base::Error& error) {
  PyObject* type = PyExc_RuntimeError;
  switch (error.code) {
    case base::Code::kValue:
    case base::Code::kShape:
    case base::Code::kParse:
    case base::Code::kLimit: type = PyExc_ValueError; break;
    case base::Code::kIo: type = PyExc_OSError; break;
    case base::Code::kUnsupported: type = PyExc_NotImplementedError; break;
    case base::Code::kCancelled: type = PyExc_KeyboardInterrupt; break;
    case base::Code::kInternal: break;
  }
  PyErr_SetString(type, error.text().c_str());
  throw py::error_already_set();
}

View<double> vector(const py::handle& object, const char* name) {
  const py::array given = any_array(object, name, "fiub");
  check_axes(given, name, 1);
  return view<double>(object, given, name);
}

View<double> matrix(const py::handle& object, const char* name) {
  const py::array given = any_array(object, name, "fiub");
  check_axes(given, name, 2);
  return view<double>(object, given, name);
}

View<float> float_matrix(const py::handle& object, const char* name) {
  const py::array given = any_array(object, name, "fiub");
  check_axes(given, name, 2);
  return view<float>(object, given, name);
}

View<std::uint8_t> images(const py::handle& object, const char* name) {
  const py::array given = any_array(object, name, "fiub");
  if (given.dtype().kind() != 'u' || given.itemsize() != 1) {
    throw py::type_error(std::string(name) + " holds " + py::str(given.dtype()).cast<std::string>() +
                         ", expected uint8");
  }
  if (given.ndim() != 3 && given.ndim() != 4) {
    throw py::value_error(std::string(name) + " has " + std::to_string(given.ndim()) +
                          " axes, expected 3 (image, height, width) or 4 (image, channel, height, width)");
  }
  return view<std::uint8_t>(object, given, name);
}

std::vector<int> integers(const py::handle& object, const char* name) {
  const py::array given = any_array(object, name, "iub");
  check_axes(given, name, 1);
  const View<std::int64_t> wide = view<std::int64_t>(object, given, name);
  std::vector<int> out;
  out.reserve(wide.values().size());
  for (const std::int64_t value : wide.values()) {
    if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
      throw py::value_error(std::string(name) + "[" + std::to_string(out.size()) + "] is " + std::to_string(value) +
                            ", which does not fit in 32 bits");
    }
    out.push_back(static_cast<int>(value));
  }
  return out;
}

std::vector<int> units(const py::handle& object, const char* name) {
  if (object.is_none()) return {};
  const py::array given = py::array::ensure(object);
  if (!given) {
    PyErr_Clear();
    throw py::type_error(std::string(name) + " is not an array");
  }
  check_axes(given, name, 1);
  const py::object codes =
      py::module_::import("numpy").attr("unique")(given, py::arg("return_inverse") = true).attr("__getitem__")(1);
  return integers(codes, name);
}

py::array_t<double> array(std::span<const double> values) {
  py::array_t<double> out(static_cast<py::ssize_t>(values.size()));
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}

py::array_t<double> array(const MatrixD& matrix) {
  py::array_t<double> out({matrix.rows(), matrix.cols()});
  std::copy(matrix.data(), matrix.data() + matrix.size(), out.mutable_data());
  return out;
}

}  // namespace plumbline::python
