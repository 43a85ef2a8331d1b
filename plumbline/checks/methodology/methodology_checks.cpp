#include "plumbline/checks/methodology/methodology_checks.hpp"

#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_methodology(check::Registry& registry) {
  registry.add(methodology::gradient());
  registry.add(methodology::determinism());
  registry.add(methodology::evaluation_aa());
  registry.add(methodology::adequacy());
  registry.add(methodology::leakage());
  registry.add(methodology::shortcut());
  registry.add(methodology::obfuscated_gradients());
}

}  // namespace plumbline::checks
