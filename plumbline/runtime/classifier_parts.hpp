#pragma once
/// Everything fitted that a guarded classifier decides with, and where it came from.

#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/case/run/session.hpp"
#include "plumbline/caution/hierarchy.hpp"
#include "plumbline/robustness/doubts.hpp"
#include "plumbline/stats/linalg.hpp"

namespace plumbline::runtime {

/// Where the features of a row come from, as the manifest declares them.
struct FeatureMap {
  enum class Kind {
    kInputs,  ///< the row itself
    kPca,     ///< principal components of the training inputs
    kTensor,  ///< a tensor of the model
  };
  Kind kind = Kind::kInputs;
  std::string tensor;             ///< kTensor
  std::optional<stats::Pca> pca;  ///< kPca
  std::string text() const;       ///< "inputs", "pca:64", the tensor's name
};

/// Training rows in the space of the distance, so that a question can show what is like it.
struct TrainingExamples {
  MatrixF white;                 ///< rows x features, whitened
  std::vector<int> labels;       ///< of each
  std::vector<int> source_rows;  ///< in the training set's file
};

/// Answers as vague as an accuracy demands, fitted on the rows that set the thresholds.
struct HierarchicalAnswers {
  std::vector<std::string> lines;  ///< of the tree, as declared
  caution::Hierarchy tree;
  caution::HierarchyRule rule;
};

struct ClassifierParts {
  robustness::ClassifierDoubts doubts;
  std::optional<HierarchicalAnswers> hierarchy;
  FeatureMap features;
  std::vector<std::string> classes;
  std::string model;  ///< name
  std::string model_hash;
  decision::Output output = decision::Output::kLogits;
  std::ptrdiff_t input_size = 0;
  std::string train, calibration;  ///< names of the sets
  std::string train_fingerprint, calibration_fingerprint;
  TrainingExamples examples;  ///< may be empty

  std::string thresholds_hash() const { return doubts.thresholds_hash(); }
};

struct PartsOptions {
  std::string model;                     ///< empty: the manifest's only model
  std::string calibration;               ///< empty: its only set of role calibration
  double alpha = 0.05;                   ///< sets hold the label with 1 - alpha
  std::size_t examples = 0;              ///< training rows to keep at most
  std::vector<std::string> hierarchy{};  ///< lines of caution::make_hierarchy; empty: none
  caution::HierarchyOptions answers{};   ///< what the hierarchy promises
  base::CancelToken cancel{};
};

/// The keys model, calibration, alpha, neighbours, hierarchy and accuracy of [guard], where there is one.
PartsOptions parts_options(const data::Manifest& manifest);

/// Fits the parts from the sets of a manifest, with the stream that the check caution.uncertainty uses, so that the
/// same system has the same thresholds in both. Errors    kValue: no or several models or calibration sets and none
/// named, a name that is not there; kShape: labels
///           or outputs that do not fit; kUnsupported: stored predictions, no classifier, scores; and those of
///           fit_doubts and the session.
base::Result<ClassifierParts> fit_parts(run::Session& session, const PartsOptions& options);

/// SHA-256 of everything in the parts that decides: for the log and for what is loaded.
std::string parts_hash(const ClassifierParts& parts);

}  // namespace plumbline::runtime
