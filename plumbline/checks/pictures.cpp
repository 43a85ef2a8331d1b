#include "plumbline/checks/pictures.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <png.h>

namespace plumbline::checks {

std::string number(double value) { return fmt::format("{}", value); }

check::Artifact gallery(std::string id, std::string title, std::string caption, std::span<const Tile> tiles,
                        int channels, int height, int width, const std::string& policy, std::size_t across) {
  check::Artifact artifact;
  artifact.id = std::move(id);
  artifact.kind = "gallery";
  artifact.title = std::move(title);
  artifact.caption = std::move(caption);
  artifact.media_type = "image/png";
  const auto h = static_cast<std::size_t>(height);
  const auto w = static_cast<std::size_t>(width);
  const std::size_t shown = channels == 3 ? 3 : 1;
  const std::size_t down = (tiles.size() + across - 1) / across;
  std::vector<std::uint8_t> sheet(std::max<std::size_t>(1, down * h * across * w * shown), 0);
  const std::size_t cell = policy == "full" ? 1 : std::max<std::size_t>(2, std::min(h, w) / 4);
  std::vector<double> rows;
  std::vector<std::string> captions;
  std::vector<std::string> groups;
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    for (std::size_t y = 0; y < h; ++y) {
      for (std::size_t x = 0; x < w; ++x) {
        for (std::size_t c = 0; c < shown; ++c) {
          // A blurred tile shows the mean of its cell.
          std::size_t sum = 0;
          std::size_t count = 0;
          for (std::size_t yy = y / cell * cell; yy < std::min(h, (y / cell + 1) * cell); ++yy) {
            for (std::size_t xx = x / cell * cell; xx < std::min(w, (x / cell + 1) * cell); ++xx, ++count)
              sum += tiles[t].image[(c * h + yy) * w + xx];
          }
          sheet[((t / across * h + y) * across * w + t % across * w + x) * shown + c] =
              static_cast<std::uint8_t>(sum / count);
        }
      }
    }
    rows.push_back(tiles[t].row);
    captions.push_back(tiles[t].caption);
    groups.push_back(tiles[t].group);
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(across * w);
  image.height = static_cast<png_uint_32>(std::max<std::size_t>(1, down) * h);
  image.format = shown == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = 0;
  if (!tiles.empty() && png_image_write_to_memory(&image, nullptr, &size, 0, sheet.data(), 0, nullptr) != 0) {
    artifact.bytes.resize(size);
    if (png_image_write_to_memory(&image, artifact.bytes.data(), &size, 0, sheet.data(), 0, nullptr) == 0)
      artifact.bytes.clear();
    artifact.bytes.resize(std::min<std::size_t>(size, artifact.bytes.size()));
  }
  if (artifact.bytes.empty()) artifact.media_type.clear();
  artifact.columns = {{"caption", "", captions}, {"row", "1", rows}};
  if (std::any_of(groups.begin(), groups.end(), [](const std::string& g) { return !g.empty(); }))
    artifact.columns.push_back({"group", "", groups});
  artifact.facts = {
      {"tile_width", number(width)}, {"tile_height", number(height)}, {"columns", fmt::format("{}", across)}};
  if (policy != "full") artifact.facts["shown"] = "blurred, as the manifest asks";
  return artifact;
}

check::Artifact histogram(std::string id, std::string title, std::string caption, std::string x_label,
                          std::span<const std::pair<std::string, std::span<const double>>> series, std::size_t bins,
                          double clip) {
  check::Artifact artifact;
  artifact.id = std::move(id);
  artifact.kind = "histogram";
  artifact.title = std::move(title);
  artifact.caption = std::move(caption);
  std::vector<double> all;
  for (const auto& [name, values] : series) {
    for (const double v : values) {
      if (std::isfinite(v)) all.push_back(v);
    }
  }
  std::vector<double> lows, highs, density;
  std::vector<std::string> names;
  if (!all.empty()) {
    std::sort(all.begin(), all.end());
    const double low = all.front();
    double high = all[std::min(all.size() - 1, static_cast<std::size_t>(clip * static_cast<double>(all.size())))];
    if (!(high > low)) high = low + 1;
    for (const auto& [name, values] : series) {
      std::vector<double> counts(bins, 0.0);
      double present = 0;
      for (const double v : values) {
        if (!std::isfinite(v)) continue;
        const double place = (v - low) / (high - low) * static_cast<double>(bins);
        counts[std::min(bins - 1, static_cast<std::size_t>(std::max(0.0, place)))] += 1;
        present += 1;
      }
      for (std::size_t b = 0; b < bins; ++b) {
        names.push_back(name);
        lows.push_back(low + (high - low) * static_cast<double>(b) / static_cast<double>(bins));
        highs.push_back(low + (high - low) * static_cast<double>(b + 1) / static_cast<double>(bins));
        density.push_back(present > 0 ? counts[b] / present : 0);
      }
    }
  }
  artifact.columns = {{"series", "", names}, {"low", "1", lows}, {"high", "1", highs}, {"density", "share", density}};
  artifact.facts = {{"x_label", std::move(x_label)}, {"y_label", "share of rows"}};
  if (clip < 1) artifact.facts["last_bin"] = "holds everything above";
  return artifact;
}

}  // namespace plumbline::checks
