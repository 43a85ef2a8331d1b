#include "plumbline/checks/catalog.hpp"
#include "plumbline/checks/caution/caution_checks.hpp"

namespace plumbline::checks {

void add_caution(check::Registry& registry) {
  registry.add(caution::calibration());
  registry.add(caution::conformal());
}

}  // namespace plumbline::checks
