#pragma once
/// A Python function as a model, in a process of its own.

#include <chrono>
#include <cstdint>
#include <string>

#include "plumbline/base/python_process.hpp"
#include "plumbline/data/manifest.hpp"
#include "plumbline/decision/predictor.hpp"

namespace plumbline::predict {

struct CallableOptions {
  std::string python = base::kSystemPython;
  std::string folder;  ///< searched for the module when the section has no python_path: the manifest's folder
  std::chrono::milliseconds start_timeout{60000};    ///< from starting Python to the function being imported
  std::chrono::milliseconds request_timeout{60000};  ///< for one batch
  std::uint64_t answer_bytes = std::uint64_t{256} << 20U;
};

/// Starts Python, imports `module:function` (python_path, or `folder`, comes first on the search path; a file stands
/// for its folder) and asks it through a socket pair. The function is called with one NumPy float32 array, n x the
/// declared input_shape, and returns n x classes numbers (an array, or anything numpy.asarray takes). What it prints
/// goes to the log sink's place, standard error, whose last 4 KiB become part of an error. The process is killed at its
/// time limit and when the predictor goes; it ends by itself when Plumbline dies. The hash is that of name, declared
/// version, classes and the module's source file. Errors of opening     kValue: not "module:function", classes missing,
/// import failed (with Python's last lines).
///                       kIo: Python did not start, or ended. kLimit: start time-out.
/// Errors of predicting  kValue: the function raised (with Python's last lines); as predict_in_batches. kShape: wrong
/// shape.
///                       kIo: the process ended (with its exit status or signal and last lines). kLimit: time-out,
///                       answer too large.
base::Result<decision::PredictorPtr> open_callable_predictor(const data::ModelSection& section,
                                                             const CallableOptions& options = {});

}  // namespace plumbline::predict
