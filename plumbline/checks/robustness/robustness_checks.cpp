#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

check::Entry ood();
check::Entry drift();
check::Entry corruption();
check::Entry attack();
check::Entry certificate();
check::Entry smoothing();
check::Entry stream_drift();

void add_robustness(check::Registry& registry) {
  registry.add(ood());
  registry.add(drift());
  registry.add(corruption());
  registry.add(attack());
  registry.add(certificate());
  registry.add(smoothing());
  registry.add(stream_drift());
}

}  // namespace plumbline::checks
