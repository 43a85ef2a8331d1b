#include "plumbline/checks/counterfactual/counterfactual_checks.hpp"

#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_counterfactual(check::Registry& registry) {
  registry.add(counterfactual::policy_value());
  registry.add(counterfactual::policy_gain());
  registry.add(counterfactual::log_quality());
  registry.add(counterfactual::graph_fit());
  registry.add(counterfactual::effect());
  registry.add(counterfactual::effect_robustness());
}

}  // namespace plumbline::checks
