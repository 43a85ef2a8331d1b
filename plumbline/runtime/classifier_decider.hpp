#pragma once
/// The Decider of a classifier: its answer, four kinds of doubt, what each possible action costs, and the rule that
/// chooses. It opens no file and asks nobody; what it proposes is a function of the request and its stream.

#include <memory>
#include <string>
#include <vector>

#include "plumbline/caution/guard_policy.hpp"
#include "plumbline/decision/predictor.hpp"
#include "plumbline/runtime/classifier_parts.hpp"
#include "plumbline/runtime/decider.hpp"

namespace plumbline::runtime {

/// How proposals come about, in this order:
///   1  the model answers; its logits over the temperature are the centre of the head's Gaussian
///   2  p-value of the distance at most alpha: a new domain, where beliefs do not count: ask if a person might
///      save more than a question costs, else fall back, else refuse
///   3  the rule over the costs (caution/guard_policy.hpp); the value of asking against its cost; exploration among
///   safe ones
/// Rungs: "model" (an action), "set" (several labels; act modify), "ask", "fallback", "refuse".
/// A set is the conformal one, or, where the parts hold a hierarchy, everything below the hierarchy's answer.
/// `actions` of a proposal: the actions of the costs, "set" where it may be an answer, and "refuse". For kAsk the
/// probabilities are of what is carried out if nobody answers.
class ClassifierDecider final : public Decider {
 public:
  struct Options {
    std::ptrdiff_t batch = 1;  ///< rows a call of the model; one number for good, since bits may depend on it
    std::string case_hash;     ///< of the assessed case; empty: none
  };
  /// Errors    kValue: a model whose hash is not the parts'; an alpha that is not the parts' level. kShape: inputs or
  ///           outputs of another size. kUnsupported: features that the model does not give. As PolicyRule::make.
  static base::Result<std::unique_ptr<ClassifierDecider>> make(decision::PredictorPtr model, ClassifierParts parts,
                                                               caution::GuardPolicy policy, Options options);

  const DeciderInfo& info() const override { return info_; }
  /// As Decider::propose. O(model + classes^2 features^2 / 4 + draws classes^2) a request.
  base::Result<std::vector<Proposal>> propose(std::span<const Request> requests,
                                              std::span<const std::uint64_t> streams) override;

  const ClassifierParts& parts() const { return parts_; }
  const caution::PolicyRule& rule() const { return rule_; }

 private:
  ClassifierDecider(decision::PredictorPtr model, ClassifierParts parts, caution::PolicyRule rule, Options options);
  Proposal blank() const;
  void decide(MatrixRefD outputs, MatrixRefD features, std::span<const float> input, std::uint64_t stream,
              Proposal& proposal);
  std::span<const float> features_of(MatrixRefD features, std::span<const float> input);
  void read_doubts(Proposal& proposal) const;
  void carry_out(caution::RuledChoice choice, std::uint64_t stream, Proposal& proposal) const;
  std::string set_text() const;
  base::Status answer_by_hierarchy();
  std::vector<Neighbour> nearest() const;

  decision::PredictorPtr model_;
  ClassifierParts parts_;
  caution::PolicyRule rule_;
  Options options_;
  DeciderInfo info_;
  std::string model_estimator_;
  // Scratch, so that a decision allocates little.
  robustness::DoubtScratch scratch_;
  robustness::RowDoubts doubts_;
  std::string node_;  ///< the hierarchy's answer
  std::vector<double> logits_;
  std::vector<float> features_;
  VectorD projected_;
};

}  // namespace plumbline::runtime
