#include "apps/cli/templates.hpp"

namespace plumbline::cli {
namespace {

constexpr const char* kImages =
    R"(# What is assessed, on which data, and what must hold. Every key: plumbline config schema
[system]
name = "image classifier"
seed = 7

[model.classifier]
path = "model.onnx"
task = "classification"
output = "logits"                      # or probabilities, or scores
input = {range = [0, 1], layout = "NCHW"}

[data.train]
images = "train-images.gz"             # IDX, IDX.gz, or a folder of PNG or JPEG (sub-folders are classes)
labels = "train-labels.gz"

[data.test]
images = "test-images.gz"
labels = "test-labels.gz"

[data.calibration]                     # rows for thresholds and temperatures: never used to judge
from = "test"
share = 0.3

# [data.elsewhere]                     # inputs that the model was not made for
# images = "other-images.gz"
# role = "out-of-distribution"

[[claim]]
id = "accurate"
text = "The classifier is right on new inputs like the test set."
check = "probe.accuracy"
metric = "accuracy"
where = {data = "test"}
at_least = 0.95

[[claim]]
id = "nothing-leaked"
text = "Test inputs were not trained on."
check = "methodology.leakage"
metric = "exact_share"
at_most = 0.01
)";

constexpr const char* kTable =
    R"(# What is assessed, on which data, and what must hold. Every key: plumbline config schema
[system]
name = "table classifier"
seed = 7

[model.classifier]
path = "model.onnx"
task = "classification"
output = "probabilities"               # or logits, or scores

[data.train]
table = "train.csv"
label = "label"                        # the label column

[data.test]
table = "test.csv"
label = "label"

[data.calibration]                     # rows for thresholds and temperatures: never used to judge
from = "test"
share = 0.3

[[claim]]
id = "accurate"
text = "The classifier is right on new rows like the test set."
check = "probe.accuracy"
metric = "accuracy"
where = {data = "test"}
at_least = 0.8

[[claim]]
id = "nothing-leaked"
text = "Test rows were not trained on."
check = "methodology.leakage"
metric = "exact_share"
at_most = 0.01
)";

constexpr const char* kPredictions =
    R"(# Predictions that another program wrote, and what must hold. Every key: plumbline config schema
[system]
name = "stored predictions"
seed = 7

[data.test]
table = "test.csv"
label = "label"                        # the label column

[predictions.test]
model = "classifier"
data = "test"
path = "predictions.csv"               # one row per test row, one column per class; CSV, NPY, NPZ or JSON lines
output = "probabilities"               # or logits, or scores

[[claim]]
id = "accurate"
text = "The classifier is right on new rows like the test set."
check = "probe.accuracy"
metric = "accuracy"
where = {data = "test"}
at_least = 0.8
)";

}  // namespace

std::string manifest_template(const std::string& kind) {
  if (kind == "images") return kImages;
  if (kind == "table") return kTable;
  return kPredictions;
}

}  // namespace plumbline::cli
