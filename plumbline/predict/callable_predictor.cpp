#include "plumbline/predict/callable_predictor.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/base/python_process.hpp"
#include "plumbline/predict/batch.hpp"
#include "plumbline/predict/declared.hpp"

namespace plumbline::predict {
namespace {

using base::Code;
using base::make_error;
using Clock = std::chrono::steady_clock;

// What is asked and answered; the frame is base::PythonProcess's.
//   to Python    u64 rows, u64 columns, rows x columns float32
//   from Python  u64 rows, u64 columns, float64 values
constexpr const char* kDriver = R"PY(
module_name, function_name, folder, shape = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4]
shape = tuple(int(axis) for axis in shape.split(",") if axis)
try:
    import numpy
    module, function = load(module_name, function_name, folder)
    source = (getattr(module, "__file__", None) or "").encode()
    if not callable(function):
        raise TypeError(module_name + ":" + function_name + " is not callable")
except BaseException:
    fail()
    sys.exit(1)
answer(source)
while True:
    rows, columns = struct.unpack("<QQ", read(16))
    values = numpy.frombuffer(read(rows * columns * 4), dtype="<f4").reshape((rows,) + (shape or (columns,)))
    try:
        outputs = numpy.ascontiguousarray(numpy.asarray(function(values)), dtype="<f8")
        if outputs.ndim != 2:
            raise ValueError("the function returned an array of shape %s, expected two axes: rows and classes" % (outputs.shape,))
    except BaseException:
        fail()
        continue
    answer(struct.pack("<QQ", *outputs.shape), outputs.tobytes())
)PY";

class CallablePredictor : public decision::Predictor {
 public:
  CallablePredictor(decision::PredictorInfo info, const CallableOptions& options,
                    std::unique_ptr<base::PythonProcess> process, std::string place)
      : info_(std::move(info)), options_(options), process_(std::move(process)), place_(std::move(place)) {}

  const decision::PredictorInfo& info() const override { return info_; }

  base::Result<decision::Prediction> predict(MatrixRefF rows, const decision::PredictOptions& options) override {
    return predict_in_batches(info_, rows, options, true,
                              [&](const MatrixF& batch) -> base::Result<decision::Prediction> {
                                auto answer = ask(batch);
                                if (!answer.ok()) return answer.error().at(place_);
                                decision::Prediction part;
                                part.outputs = std::move(answer).value();
                                return part;
                              });
  }

 private:
  base::Result<MatrixD> ask(const MatrixF& batch) {
    const auto deadline = Clock::now() + options_.request_timeout;
    const std::array<std::uint64_t, 2> head = {static_cast<std::uint64_t>(batch.rows()),
                                               static_cast<std::uint64_t>(batch.cols())};
    PL_CHECK(process_->send(head.data(), sizeof(head), deadline));
    PL_CHECK(process_->send(batch.data(), static_cast<std::size_t>(batch.size()) * sizeof(float), deadline));
    PL_TRY(const base::PythonProcess::Answer answer, process_->answer(deadline));
    if (answer.raised) return make_error(Code::kValue, "the function raised: " + *answer.raised);
    std::array<std::uint64_t, 2> size{};
    PL_CHECK(process_->receive(size.data(), sizeof(size), deadline));
    const auto [rows, columns] = size;
    if (rows != head[0] || columns != static_cast<std::uint64_t>(info_.outputs)) {
      process_->stop();  // the rest of its answer is not read
      return make_error(Code::kShape, fmt::format("the function returned {} x {} numbers, expected {} x {}", rows,
                                                  columns, head[0], info_.outputs));
    }
    if (rows * columns > options_.answer_bytes / sizeof(double)) {
      process_->stop();
      return make_error(Code::kLimit, fmt::format("an answer of {} numbers is larger than the limit", rows * columns),
                        {}, "Use a smaller batch");
    }
    MatrixD outputs(static_cast<std::ptrdiff_t>(rows), static_cast<std::ptrdiff_t>(columns));
    PL_CHECK(process_->receive(outputs.data(), static_cast<std::size_t>(outputs.size()) * sizeof(double), deadline));
    return outputs;
  }

  decision::PredictorInfo info_;
  CallableOptions options_;
  std::unique_ptr<base::PythonProcess> process_;
  std::string place_;
};

}  // namespace

base::Result<decision::PredictorPtr> open_callable_predictor(const data::ModelSection& section,
                                                             const CallableOptions& options) {
  const std::string place = fmt::format("model '{}' ({})", section.name, section.callable);
  const std::size_t colon = section.callable.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == section.callable.size()) {
    return make_error(Code::kValue, fmt::format("callable is '{}', expected \"module:function\"", section.callable),
                      place);
  }
  auto declared = declared_info(section);
  if (!declared.ok()) return declared.error().at(place);
  decision::PredictorInfo info = std::move(declared).value();
  if (info.outputs < 1) return make_error(Code::kValue, "a callable needs `classes`", place);
  if (!info.features.empty()) {
    return make_error(Code::kUnsupported,
                      fmt::format("features names tensor '{}', but a callable gives outputs only", info.features),
                      place, "Use \"inputs\" or \"pca:64\"");
  }
  std::string folder = section.python_path ? section.python_path->resolved : options.folder;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(folder, ignored)) folder = std::filesystem::path(folder).parent_path().string();
  std::string shape;
  for (const std::ptrdiff_t axis : info.input_shape) shape += fmt::format("{},", axis);

  auto process = std::make_unique<base::PythonProcess>();
  const auto greeted = [&]() -> base::Result<std::string> {
    PL_CHECK(process->start(kDriver,
                            {section.callable.substr(0, colon), section.callable.substr(colon + 1), folder, shape},
                            options.python));
    const auto deadline = Clock::now() + options.start_timeout;
    const auto answer = process->answer(deadline);
    if (!answer.ok()) {
      base::Error error = answer.error();
      error.hint = fmt::format("See whether {} runs", options.python);
      return error;
    }
    if (answer->raised) {
      return make_error(Code::kValue, "the function cannot be imported: " + *answer->raised, {},
                        "python_path names the folder of the module; NumPy must be installed for " + options.python);
    }
    constexpr std::uint64_t kMostPath = 4096;
    return process->text(*answer, kMostPath, deadline);
  }();
  if (!greeted.ok()) return greeted.error().at(place);
  base::Sha256 hash;
  hash.add_field(section.callable).add_field(section.version).add_field(std::to_string(section.classes));
  if (const auto source = base::sha256_file(*greeted); source.ok()) hash.add_field(*source);
  info.kind = "callable";
  info.hash = hash.hex();
  info.deterministic = !section.version.empty();
  return decision::PredictorPtr(
      std::make_unique<CallablePredictor>(std::move(info), options, std::move(process), place));
}

}  // namespace plumbline::predict
