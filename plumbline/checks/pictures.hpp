#pragma once
/// Artifacts that several checks hand over, built the same way: galleries of rows, histograms of scores.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plumbline/case/interface/evidence.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::checks {

/// One tile of a gallery.
struct Tile {
  std::span<const std::uint8_t> image;  ///< channels x height x width
  std::string caption;
  double row = 0;     ///< number in the data set
  std::string group;  ///< may be empty
};
/// A sheet of tiles as PNG. `policy` is Context::examples_policy: "full" shows the pixels, "blurred" cells of a quarter
/// of the side; call it for "none" never. Channels other than 1 and 3 show the first.
check::Artifact gallery(std::string id, std::string title, std::string caption, std::span<const Tile> tiles,
                        int channels, int height, int width, const std::string& policy, std::size_t across = 8);

/// Histogram of several series on common bins; values above the `clip` quantile of all fall into the last bin.
check::Artifact histogram(std::string id, std::string title, std::string caption, std::string x_label,
                          std::span<const std::pair<std::string, std::span<const double>>> series,
                          std::size_t bins = 40, double clip = 0.99);

/// Shortest text that reads back to the same number.
std::string number(double value);

}  // namespace plumbline::checks
