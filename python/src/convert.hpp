#pragma once
/// What every source of the module shares: errors as exceptions, NumPy arrays as views, and long calls without the
/// interpreter lock.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/stats/matrix.hpp"

namespace plumbline::python {

namespace py = pybind11;

/// kValue, kShape, kParse, kLimit: ValueError; kIo: OSError; kUnsupported: NotImplementedError; kCancelled:
/// KeyboardInterrupt; kInternal: RuntimeError.
[[noreturn]] void raise(const base::Error& error);

template <class T>
T take(base::Result<T> result) {
  if (!result.ok()) raise(result.error());
  return std::move(result).value();
}
inline void take_status(const base::Status& status) {
  if (!status.ok()) raise(status.error());
}

/// An array of one scalar type, row-major and aligned: the caller's own memory where it is that already, else a copy
/// (with a UserWarning above 64 MiB). Holds a reference, so the view stays good while the interpreter lock is released.
template <class Scalar>
class View {
 public:
  using Array =
      py::array_t<Scalar, py::array::c_style | py::array::forcecast | py::detail::npy_api::NPY_ARRAY_ALIGNED_>;
  using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  explicit View(Array array)
      : array_(std::move(array)), data_(array_.data()), size_(static_cast<std::size_t>(array_.size())) {
    rows_ = array_.ndim() > 0 ? array_.shape(0) : 1;
    columns_ = array_.ndim() > 1 ? array_.shape(1) : 1;
  }

  std::span<const Scalar> values() const { return {data_, size_}; }
  Eigen::Map<const Matrix> matrix() const { return {data_, rows_, columns_}; }
  const Array& array() const { return array_; }

 private:
  Array array_;
  const Scalar* data_;
  std::size_t size_;
  std::ptrdiff_t rows_ = 0;
  std::ptrdiff_t columns_ = 0;
};

/// Numbers with one axis, or two. Errors: TypeError for anything but numbers, ValueError for another number of axes.
View<double> vector(const py::handle& object, const char* name);
View<double> matrix(const py::handle& object, const char* name);
View<float> float_matrix(const py::handle& object, const char* name);
/// Bytes, images n x h x w or n x c x h x w.
View<std::uint8_t> images(const py::handle& object, const char* name);
/// Whole numbers with one axis, each in the range of int.
std::vector<int> integers(const py::handle& object, const char* name);
/// Sampling units: whole numbers, or anything that NumPy can sort (names); None = every row is its own unit.
std::vector<int> units(const py::handle& object, const char* name = "units");

/// A new array that owns its memory.
py::array_t<double> array(std::span<const double> values);
py::array_t<double> array(const MatrixD& matrix);
inline py::array_t<double> array(const VectorD& values) {
  return array(std::span<const double>(values.data(), static_cast<std::size_t>(values.size())));
}
template <class T>
py::array_t<std::int64_t> integer_array(const std::vector<T>& values) {
  py::array_t<std::int64_t> out(static_cast<py::ssize_t>(values.size()));
  auto* to = out.mutable_data();
  for (const T value : values) *to++ = static_cast<std::int64_t>(value);
  return out;
}

/// Runs `work` without the interpreter lock.
template <class Work>
auto unlocked(Work&& work) {
  const py::gil_scoped_release release;
  return work();
}

/// The value of a Result that `work` computes without the interpreter lock; its error as an exception.
template <class Work>
auto call(Work&& work) {
  return take(unlocked(std::forward<Work>(work)));
}

/// Runs work(cancel) in a thread of its own without the interpreter lock, and looks for signals meanwhile: Ctrl-C
/// cancels the work and raises KeyboardInterrupt when it has stopped.
template <class Work>
auto interruptible(Work&& work) {
  const base::CancelToken cancel = base::CancelToken::make();
  auto future = std::async(std::launch::async, [&] { return work(cancel); });
  std::optional<py::error_already_set> raised;
  for (;;) {
    {
      const py::gil_scoped_release release;
      if (future.wait_for(std::chrono::milliseconds(50)) == std::future_status::ready) break;
    }
    if (!raised && PyErr_CheckSignals() != 0) {
      raised.emplace();
      cancel.cancel();
    }
  }
  if (raised) {
    future.wait();
    throw std::move(*raised);
  }
  return future.get();
}

// One function per room.
void bind_stats(py::module_& module);
void bind_caution(py::module_& module);
void bind_robustness(py::module_& module);
void bind_probe(py::module_& module);
void bind_methodology(py::module_& module);
void bind_causal(py::module_& module);
void bind_counterfactual(py::module_& module);
void bind_data(py::module_& module);
void bind_assess(py::module_& module);
void bind_world(py::module_& module);

}  // namespace plumbline::python
