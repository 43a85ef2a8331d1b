#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

const check::Registry& catalog() {
  static const check::Registry registry = [] {
    check::Registry all;
    add_probe(all);
    add_caution(all);
    add_robustness(all);
    add_methodology(all);
    add_reward(all);
    add_counterfactual(all);
    add_system(all);
    add_oversight(all);
    return all;
  }();
  return registry;
}

}  // namespace plumbline::checks
