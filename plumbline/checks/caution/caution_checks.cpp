#include "plumbline/checks/caution/caution_checks.hpp"
#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_caution(check::Registry& registry) {
  registry.add(caution::calibration());
  registry.add(caution::conformal());
}

}  // namespace plumbline::checks
