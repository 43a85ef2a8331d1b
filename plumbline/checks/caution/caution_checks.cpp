#include "plumbline/checks/caution/caution_checks.hpp"
#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_caution(check::Registry& registry) {
  registry.add(caution::calibration());
  registry.add(caution::conformal());
  registry.add(caution::uncertainty());
  registry.add(caution::hierarchy());
  registry.add(caution::regret_under_ambiguity());
  registry.add(caution::reversibility());
  registry.add(caution::reach_safe());
  registry.add(caution::shield());
}

}  // namespace plumbline::checks
