#pragma once
/// A policy that was read once and can be bound to many logs, or to many blocks of one.

#include <memory>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/policies.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::counterfactual {

class PolicySource {
 public:
  /// Reads the files that the policy names. Errors as make_policy, of the file and the numbers.
  static base::Result<PolicySource> load(const PolicySpec& spec);
  /// Errors as make_policy, of the log. The log must outlive what is returned.
  base::Result<TargetPtr> bind(const data::DecisionLog& log) const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace plumbline::counterfactual
