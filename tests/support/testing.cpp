#include "tests/support/testing.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <unistd.h>
#include <boost/math/distributions/binomial.hpp>

namespace plumbline::testing {

Band binomial_band(int trials, double p, double false_alarm) {
  const boost::math::binomial_distribution<double> law(trials, p);
  Band band{0, trials};
  while (band.low < trials && cdf(law, band.low) <= false_alarm / 2) ++band.low;
  while (band.high > 0 && cdf(complement(law, band.high - 1)) <= false_alarm / 2) --band.high;
  return band;
}

int binomial_floor(int trials, double p, double false_alarm) {
  const boost::math::binomial_distribution<double> law(trials, p);
  int floor = 0;
  while (floor < trials && cdf(law, floor) <= false_alarm) ++floor;
  return floor;
}

double slip_through(const Band& band, int trials, double q) {
  const boost::math::binomial_distribution<double> law(trials, q);
  const double below = band.low > 0 ? cdf(law, band.low - 1) : 0.0;
  return cdf(law, band.high) - below;
}

int count_seeds(int trials, const std::function<bool(base::Rng&)>& hit) {
  int hits = 0;
  for (int seed = 0; seed < trials; ++seed) {
    base::Rng rng(static_cast<std::uint64_t>(seed), {"count_seeds"});
    if (hit(rng)) ++hits;
  }
  return hits;
}

TempFolder::TempFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "plumbline-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder at " + pattern);
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

std::optional<std::string> data_path(const std::string& relative) {
  const char* root = std::getenv("PLUMBLINE_DATA");
  if (root == nullptr || *root == '\0') return std::nullopt;
  return std::string(root) + "/" + relative;
}

}  // namespace plumbline::testing
