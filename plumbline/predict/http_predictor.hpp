#pragma once
/// A model behind an HTTP endpoint. POST {"inputs": [[…], …]} as JSON; the answer is {"outputs": [[…], …]}, one row for
/// each row.

#include <chrono>
#include <cstdint>
#include <string_view>

#include "plumbline/data/manifest.hpp"
#include "plumbline/decision/predictor.hpp"

namespace plumbline::predict {

struct HttpOptions {
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds request_timeout{60000};  ///< for one batch, from sending to the last byte of the answer
  std::uint64_t answer_bytes = std::uint64_t{64} << 20U;
};

/// Needs endpoint and classes; input_shape where the row size is to be checked. Nothing is sent before the first
/// predict(). Only the declared address is contacted: redirects are refused, and nothing is retried. https needs
/// TLS 1.2 and a certificate for the address's host that leads to one in the section's ca_file, or without it to one of
/// the system's. The hash is that of address, declared version and classes; without a declared version the predictor
/// says that it is not deterministic. Errors of opening     kValue: not an http(s) address, classes missing. kParse: a
/// ca_file without certificates.
///                       kUnsupported: features that name a tensor.
/// Errors of predicting  kIo: name not resolved, refused, connection lost, certificate, a status other than 200 (with
///                       the start of the answer). kLimit: time-out, answer too large. kParse, kShape: as
///                       parse_http_answer. kShape, kValue: as predict_in_batches.
base::Result<decision::PredictorPtr> open_http_predictor(const data::ModelSection& section,
                                                         const HttpOptions& options = {});

/// The rows x outputs numbers of {"outputs": [[…], …]}. Other keys are passed over.
/// Errors  kParse: not JSON (nor are NaN and numbers that no double holds), nested deeper than 64, no list "outputs" or
///         two of them, something else where a number belongs. kShape: another number of rows or of numbers in a row.
///         kValue: rows < 0, outputs < 1.
/// Cost    linear in the text; the memory of the answer's matrix.
base::Result<MatrixD> parse_http_answer(std::string_view text, std::ptrdiff_t rows, std::ptrdiff_t outputs);

}  // namespace plumbline::predict
