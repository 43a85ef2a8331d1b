#pragma once
/// A model behind an HTTP endpoint. POST {"inputs": [[…], …]} as JSON; the answer is {"outputs": [[…], …]}, one row for
/// each row.

#include <chrono>
#include <cstdint>

#include "plumbline/data/manifest.hpp"
#include "plumbline/decision/predictor.hpp"

namespace plumbline::predict {

struct HttpOptions {
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds request_timeout{60000};  ///< for one batch, from sending to the last byte of the answer
  std::uint64_t answer_bytes = std::uint64_t{64} << 20U;
};

/// Needs endpoint and classes; input_shape where the row size is to be checked. Nothing is sent before the first
/// predict(). Only the declared address is contacted: redirects are refused, and nothing is retried. https verifies the
/// server's certificate against the system's roots. The hash is that of address, declared version and classes; without
/// a declared version the predictor says that it is not deterministic. Errors of opening     kValue: not an http(s)
/// address, classes missing. kUnsupported: features that name a tensor. Errors of predicting  kIo: name not resolved,
/// refused, connection lost, certificate, a status other than 200 (with the start of
///                       the answer). kLimit: time-out, answer too large. kParse: not JSON, no "outputs", not a number.
///                       kShape, kValue: as predict_in_batches.
base::Result<decision::PredictorPtr> open_http_predictor(const data::ModelSection& section,
                                                         const HttpOptions& options = {});

}  // namespace plumbline::predict
