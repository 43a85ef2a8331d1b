#pragma once
/// The self-test of a model: does what answers for it agree with a second opinion, or at least with itself?

#include "plumbline/data/manifest.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/decision/self_test.hpp"

namespace plumbline::predict {

/// Differences above this share of the outputs' scale fail. Honest float32 networks stay below 1e-4.
inline constexpr double kSelfTestTolerance = 1e-3;

/// ONNX and built-in networks: the model's answers against the interpreter's, in double, on the same file; not possible
/// where the interpreter is what answers (another_executor = false). Every other model has no second implementation; it
/// is asked the same rows again, then in reverse order in batches of another size, and the first eight of them alone,
/// and must give each row the answer of the first time. That finds answers that are drawn at random or depend on the
/// rows beside them (a network left in training mode), not answers that are wrong every time. Returns   the largest
/// difference over the largest absolute output, or why nothing can be compared. Errors    of the predictor. kValue: no
/// rows. Cost      two passes over the rows; about twelve requests of an endpoint for 64 rows. Deterministic where the
/// model
///           is.
base::Result<decision::SelfTest> self_test(const data::ModelSection& section, decision::Predictor& model,
                                           MatrixRefF rows, bool another_executor);

}  // namespace plumbline::predict
