#include "plumbline/base/progress.hpp"

namespace plumbline::base {

void Progress::update(std::string_view, std::size_t, std::size_t) {}

Progress& no_progress() {
  static Progress sink;
  return sink;
}

}  // namespace plumbline::base
