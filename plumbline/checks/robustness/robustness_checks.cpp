#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

check::Entry ood();
check::Entry drift();
check::Entry corruption();
check::Entry attack();

void add_robustness(check::Registry& registry) {
  registry.add(ood());
  registry.add(drift());
  registry.add(corruption());
  registry.add(attack());
}

}  // namespace plumbline::checks
