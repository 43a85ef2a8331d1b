#include "plumbline/checks/catalog.hpp"

namespace plumbline::checks {

void add_caution(check::Registry& registry) { (void)registry; }

}  // namespace plumbline::checks
