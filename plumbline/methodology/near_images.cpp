#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/methodology/near_duplicates.hpp"

namespace plumbline::methodology {
namespace {

using base::Code;
using base::make_error;
using Eigen::Index;

constexpr int kSide = 32;             // images are reduced to at most this
constexpr int kWaves = 5;             // the descriptor holds cosine waves (u, v) with u + v up to this, but for (0, 0)
constexpr int kMostCells = 256;       // the reference is parted into cells of similar descriptors
constexpr int kRowsACell = 128;       // at least, on average
constexpr int kProbes = 3;            // cells searched for each alignment
constexpr int kRounds = 6;            // of moving the cells' centres
constexpr std::size_t kSurround = 4;  // which nearest item tells how alike separate items are
constexpr double kWhite = 0.05;       // weight of differences without structure
constexpr double kGrain = 1e-5;       // smallest difference: below what rounding to bytes leaves

/// Grey images of the size that is compared.
struct Thumbnails {
  std::size_t count = 0;
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> bytes;
  std::size_t pixels() const { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width); }
  const std::uint8_t* image(std::size_t i) const { return bytes.data() + i * pixels(); }
};

Thumbnails thumbnails(const data::Images& images) {
  Thumbnails out;
  out.count = images.count;
  out.height = std::min(images.height, kSide);
  out.width = std::min(images.width, kSide);
  out.bytes.resize(out.count * out.pixels());
  const auto w = static_cast<std::size_t>(images.width);
  const std::size_t area = w * static_cast<std::size_t>(images.height);
  for (std::size_t i = 0; i < images.count; ++i) {
    const std::uint8_t* const source = images.image(i).data();
    std::uint8_t* to = out.bytes.data() + i * out.pixels();
    if (images.channels == 1 && out.height == images.height && out.width == images.width) {
      std::copy_n(source, area, to);
      continue;
    }
    for (int y = 0; y < out.height; ++y) {
      const std::size_t y0 =
          static_cast<std::size_t>(y) * static_cast<std::size_t>(images.height) / static_cast<std::size_t>(out.height);
      const std::size_t y1 = (static_cast<std::size_t>(y) + 1) * static_cast<std::size_t>(images.height) /
                             static_cast<std::size_t>(out.height);
      for (int x = 0; x < out.width; ++x) {
        const std::size_t x0 = static_cast<std::size_t>(x) * w / static_cast<std::size_t>(out.width);
        const std::size_t x1 = (static_cast<std::size_t>(x) + 1) * w / static_cast<std::size_t>(out.width);
        std::uint64_t sum = 0;
        for (int c = 0; c < images.channels; ++c) {
          for (std::size_t yy = y0; yy < y1; ++yy) {
            for (std::size_t xx = x0; xx < x1; ++xx) sum += source[static_cast<std::size_t>(c) * area + yy * w + xx];
          }
        }
        const std::uint64_t n = static_cast<std::uint64_t>(images.channels) * (y1 - y0) * (x1 - x0);
        *to++ = static_cast<std::uint8_t>((sum + n / 2) / n);
      }
    }
  }
  return out;
}

/// How the query may lie over the reference: moved by (dy, dx); `cut` > 0: the query is an enlarged part of the
/// reference, `cut` pixels cut off on each side; `cut` < 0: the reference is such a part of the query.
struct Alignment {
  int dy = 0;
  int dx = 0;
  int cut = 0;
};

std::vector<Alignment> alignments(int reach) {
  std::vector<Alignment> all;
  const auto add = [&all](int most, int cut) {
    for (int dy = -most; dy <= most; ++dy) {
      for (int dx = -most; dx <= most; ++dx) all.push_back({dy, dx, cut});
    }
  };
  add(reach, 0);
  for (int cut = 1; cut <= std::min(reach, 2); ++cut) {
    add(2 - cut, cut);
    add(2 - cut, -cut);
  }
  return all;
}

/// Output pixel p of a line of `side` pixels is read at centre - move + (p - centre) * stretch, linearly between its
/// neighbours and not beyond the border.
struct Tap {
  int first = 0;
  double second_weight = 0;
};

std::vector<Tap> taps(int side, double stretch, int move) {
  std::vector<Tap> out(static_cast<std::size_t>(side));
  const double centre = (side - 1) / 2.0;
  for (int p = 0; p < side; ++p) {
    const double at = std::clamp(centre - move + (p - centre) * stretch, 0.0, static_cast<double>(side - 1));
    const int first = std::min(static_cast<int>(at), std::max(0, side - 2));
    out[static_cast<std::size_t>(p)] = {first, at - first};
  }
  return out;
}

/// 1 / stretch is the factor by which a part of the image, `cut` pixels less on each side, must grow to fill it.
double stretch_of(int side, int cut) {
  return cut >= 0 ? static_cast<double>(side - 2 * cut) / side : static_cast<double>(side) / (side + 2 * cut);
}

void resample(const std::uint8_t* from, int height, int width, const std::vector<Tap>& rows,
              const std::vector<Tap>& columns, std::uint8_t* to) {
  const int below = height > 1 ? width : 0;
  const int right = width > 1 ? 1 : 0;
  for (const Tap& row : rows) {
    const std::uint8_t* const line = from + row.first * width;
    for (const Tap& column : columns) {
      const std::uint8_t* const at = line + column.first;
      const double upper = at[0] + column.second_weight * (at[right] - at[0]);
      const double lower = at[below] + column.second_weight * (at[below + right] - at[below]);
      *to++ = static_cast<std::uint8_t>(upper + row.second_weight * (lower - upper) + 0.5);
    }
  }
}

/// What all images of one size share: alignments, and the descriptor of each as a linear map of the pixels.
struct Frame {
  int height = 0;
  int width = 0;
  int reach = 0;
  std::vector<Alignment> ways;
  Index waves = 0;
  MatrixF basis;  // pixels x (alignments * waves); the alignment without move and cut is number `still`
  std::size_t still = 0;
  int rows() const { return height - 2 * reach; }
  int columns() const { return width - 2 * reach; }
};

/// Row i: how much input pixel j counts in wave i of the window that the alignment cuts out of a line.
MatrixF line_waves(int side, int reach, int move, int cut) {
  const int window = side - 2 * reach;
  const std::vector<Tap> from = taps(side, stretch_of(side, -cut), 0);
  MatrixF out = MatrixF::Zero(kWaves + 1, side);
  for (int u = 0; u <= kWaves; ++u) {
    for (int p = 0; p < window; ++p) {
      const double wave = std::cos(std::numbers::pi * u * (p + 0.5) / window) * (u == 0 ? std::numbers::sqrt2 / 2 : 1);
      const Tap& tap = from[static_cast<std::size_t>(reach + move + p)];
      out(u, tap.first) += static_cast<float>(wave * (1 - tap.second_weight));
      if (tap.second_weight > 0) out(u, tap.first + 1) += static_cast<float>(wave * tap.second_weight);
    }
  }
  return out;
}

Frame make_frame(int height, int width, int shift) {
  Frame frame;
  frame.height = height;
  frame.width = width;
  frame.reach = std::min({shift, height / 8, width / 8});
  frame.ways = alignments(frame.reach);
  std::vector<std::pair<int, int>> waves;
  for (int u = 0; u <= kWaves; ++u) {
    for (int v = u == 0 ? 1 : 0; u + v <= kWaves; ++v) waves.emplace_back(u, v);
  }
  frame.waves = static_cast<Index>(waves.size());
  frame.basis.resize(static_cast<Index>(height) * width, frame.waves * static_cast<Index>(frame.ways.size()));
  for (std::size_t a = 0; a < frame.ways.size(); ++a) {
    const Alignment& way = frame.ways[a];
    if (way.dy == 0 && way.dx == 0 && way.cut == 0) frame.still = a;
    const MatrixF down = line_waves(height, frame.reach, way.dy, way.cut);
    const MatrixF across = line_waves(width, frame.reach, way.dx, way.cut);
    for (std::size_t k = 0; k < waves.size(); ++k) {
      const auto column = static_cast<Index>(a) * frame.waves + static_cast<Index>(k);
      for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x)
          frame.basis(static_cast<Index>(y) * width + x, column) = down(waves[k].first, y) * across(waves[k].second, x);
      }
    }
  }
  return frame;
}

/// Descriptors of images [first, first + n) by the columns of `basis`, each group of `waves` columns of length 1.
MatrixF descriptors(const Thumbnails& images, std::size_t first, std::size_t n, const MatrixF& basis, Index waves) {
  MatrixF pixels(static_cast<Index>(n), basis.rows());
  for (Index i = 0; i < pixels.rows(); ++i) {
    const std::uint8_t* const image = images.image(first + static_cast<std::size_t>(i));
    for (Index p = 0; p < pixels.cols(); ++p) pixels(i, p) = static_cast<float>(image[p]);
  }
  MatrixF out(pixels.rows(), basis.cols());
  out.noalias() = pixels * basis;
  for (float* part = out.data(); part < out.data() + out.size(); part += waves) {
    double length = 0;
    for (Index k = 0; k < waves; ++k) length += static_cast<double>(part[k]) * part[k];
    // What is left of a constant image is rounding.
    const auto scale = length > 1e-3 ? static_cast<float>(1 / std::sqrt(length)) : 0.0F;
    for (Index k = 0; k < waves; ++k) part[k] *= scale;
  }
  return out;
}

constexpr std::size_t kBlock = 64;

base::Result<MatrixF> reference_descriptors(const Thumbnails& images, const Frame& frame,
                                            const base::CancelToken& cancel) {
  const MatrixF basis = frame.basis.middleCols(static_cast<Index>(frame.still) * frame.waves, frame.waves);
  MatrixF out(static_cast<Index>(images.count), frame.waves);
  constexpr std::size_t kMany = 512;
  PL_CHECK(base::parallel_for((images.count + kMany - 1) / kMany,
                              [&](std::size_t block) -> base::Status {
                                const std::size_t first = block * kMany;
                                const std::size_t n = std::min(kMany, images.count - first);
                                const MatrixF part = descriptors(images, first, n, basis, frame.waves);
                                std::copy_n(part.data(), part.size(),
                                            out.data() + static_cast<Index>(first) * frame.waves);
                                return base::ok();
                              },
                              cancel));
  return out;
}

/// Reference rows parted by the centre that their descriptors resemble most.
struct Cells {
  MatrixF centres;  // waves x cells
  std::vector<std::vector<std::size_t>> rows;
  std::vector<MatrixF> descriptors;  // waves x rows of the cell
};

Index largest(const float* values, Index n) {
  Index best = 0;
  for (Index i = 1; i < n; ++i) best = values[i] > values[best] ? i : best;
  return best;
}

base::Result<std::vector<Index>> nearest_centres(const MatrixF& rows, const MatrixF& centres,
                                                 const base::CancelToken& cancel) {
  std::vector<Index> out(static_cast<std::size_t>(rows.rows()));
  constexpr Index kMany = 512;
  PL_CHECK(base::parallel_for(
      static_cast<std::size_t>((rows.rows() + kMany - 1) / kMany),
      [&](std::size_t block) -> base::Status {
        const Index first = static_cast<Index>(block) * kMany;
        const MatrixF part = rows.middleRows(first, std::min(kMany, rows.rows() - first));
        const MatrixF scores = part * centres;
        for (Index i = 0; i < scores.rows(); ++i)
          out[static_cast<std::size_t>(first + i)] = largest(scores.data() + i * scores.cols(), scores.cols());
        return base::ok();
      },
      cancel));
  return out;
}

base::Result<Cells> part(const MatrixF& rows, const base::CancelToken& cancel) {
  Cells out;
  const Index n = rows.rows();
  const Index count = std::clamp<Index>(n / kRowsACell, 1, kMostCells);
  out.centres.resize(rows.cols(), count);
  for (Index c = 0; c < count; ++c) out.centres.col(c) = rows.row(c * (n / count)).transpose();
  // The centres are learnt from rows at equal steps; which they are decides about speed, not about truth.
  const Index step = std::max<Index>(1, n / (32 * count));
  MatrixF sample((n + step - 1) / step, rows.cols());
  for (Index i = 0; i < sample.rows(); ++i) sample.row(i) = rows.row(i * step);
  for (int round = 0; count > 1 && round < kRounds; ++round) {
    PL_TRY(const std::vector<Index> own, nearest_centres(sample, out.centres, cancel));
    MatrixD sums = MatrixD::Zero(count, rows.cols());
    for (Index i = 0; i < sample.rows(); ++i) {
      for (Index k = 0; k < rows.cols(); ++k) sums(own[static_cast<std::size_t>(i)], k) += sample(i, k);
    }
    for (Index c = 0; c < count; ++c) {
      double length = 0;
      for (Index k = 0; k < rows.cols(); ++k) length += sums(c, k) * sums(c, k);
      if (length == 0) continue;  // no row: the centre stays where it is
      for (Index k = 0; k < rows.cols(); ++k) out.centres(k, c) = static_cast<float>(sums(c, k) / std::sqrt(length));
    }
  }
  PL_TRY(const std::vector<Index> own, nearest_centres(rows, out.centres, cancel));
  out.rows.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < own.size(); ++i) out.rows[static_cast<std::size_t>(own[i])].push_back(i);
  for (const std::vector<std::size_t>& members : out.rows) {
    MatrixF cell(rows.cols(), static_cast<Index>(members.size()));
    for (std::size_t j = 0; j < members.size(); ++j)
      cell.col(static_cast<Index>(j)) = rows.row(static_cast<Index>(members[j])).transpose();
    out.descriptors.push_back(std::move(cell));
  }
  return out;
}

/// The rows of the largest scores, best first, each row once.
class Best {
 public:
  explicit Best(std::size_t keep) : keep_(keep) {}
  float floor() const { return floor_; }
  void offer(float score, std::size_t row) {
    auto same = std::find_if(items_.begin(), items_.end(), [row](const auto& item) { return item.second == row; });
    if (same != items_.end()) {
      if (score <= same->first) return;
      items_.erase(same);
    }
    const auto place = std::find_if(items_.begin(), items_.end(), [&](const auto& item) {
      return score > item.first || (score == item.first && row < item.second);
    });
    items_.insert(place, {score, row});
    if (items_.size() > keep_) items_.pop_back();
    if (items_.size() == keep_) floor_ = items_.back().first;
  }
  const std::vector<std::pair<float, std::size_t>>& items() const { return items_; }

 private:
  std::size_t keep_;
  float floor_ = -std::numeric_limits<float>::infinity();
  std::vector<std::pair<float, std::size_t>> items_;
};

/// Candidates of the queries [first, first + n).
std::vector<Best> candidates(const Thumbnails& queries, std::size_t first, std::size_t n, const Frame& frame,
                             const Cells& cells, const NearOptions& options) {
  std::vector<Best> best(n, Best(static_cast<std::size_t>(options.candidates)));
  const MatrixF all = descriptors(queries, first, n, frame.basis, frame.waves);
  const auto ways = static_cast<Index>(frame.ways.size());
  const Eigen::Map<const MatrixF> vectors(all.data(), all.rows() * ways, frame.waves);
  const Index count = cells.centres.cols();
  const Index probes = std::min<Index>(kProbes, count);
  const MatrixF scores = vectors * cells.centres;
  std::vector<std::vector<Index>> visitors(static_cast<std::size_t>(count));
  for (Index v = 0; v < scores.rows(); ++v) {
    const float* const row = scores.data() + v * count;
    std::array<std::pair<float, Index>, kProbes> near;
    near.fill({-std::numeric_limits<float>::infinity(), -1});
    for (Index c = 0; c < count; ++c) {
      if (row[c] <= near.back().first) continue;
      std::size_t k = near.size() - 1;
      for (; k > 0 && row[c] > near[k - 1].first; --k) near[k] = near[k - 1];
      near[k] = {row[c], c};
    }
    for (Index k = 0; k < probes; ++k)
      visitors[static_cast<std::size_t>(near[static_cast<std::size_t>(k)].second)].push_back(v);
  }
  MatrixF own;
  MatrixF products;
  for (std::size_t c = 0; c < visitors.size(); ++c) {
    const auto guests = static_cast<Index>(visitors[c].size());
    const auto size = static_cast<Index>(cells.rows[c].size());
    if (guests == 0 || size == 0) continue;
    own.resize(guests, frame.waves);
    for (Index g = 0; g < guests; ++g) own.row(g) = vectors.row(visitors[c][static_cast<std::size_t>(g)]);
    products.resize(guests, size);
    products.noalias() = own * cells.descriptors[c];
    for (Index g = 0; g < guests; ++g) {
      const auto query = static_cast<std::size_t>(visitors[c][static_cast<std::size_t>(g)] / ways);
      Best& list = best[query];
      const float* const row = products.data() + g * size;
      for (Index j = 0; j < size; ++j) {
        if (row[j] <= list.floor()) continue;
        const std::size_t r = cells.rows[c][static_cast<std::size_t>(j)];
        if (!options.query_groups.empty() && options.reference_groups[r] == options.query_groups[first + query])
          continue;
        list.offer(row[j], r);
      }
    }
  }
  return best;
}

/// Part of the variance of `y` that neither the best straight map of the grey levels of `x` nor, on what that leaves,
/// the mean of each of 18 ranges of levels explains: its structure (products of neighbouring pixels) in full, the rest
/// by kWhite.
double unexplained(const std::uint8_t* x, const std::uint8_t* y, int rows, int columns) {
  const int n = rows * columns;
  std::array<std::int32_t, 256> count{};
  std::array<std::int32_t, 256> sum{};
  std::int64_t squares = 0;
  for (int p = 0; p < n; ++p) {
    ++count[x[p]];
    sum[x[p]] += y[p];
    squares += y[p] * y[p];
  }
  std::int64_t sx = 0;
  std::int64_t sy = 0;
  std::int64_t sxx = 0;
  std::int64_t sxy = 0;
  for (std::int64_t level = 0; level < 256; ++level) {
    const auto l = static_cast<std::size_t>(level);
    sx += level * count[l];
    sxx += level * level * count[l];
    sy += sum[l];
    sxy += level * sum[l];
  }
  const std::int64_t vx = n * sxx - sx * sx;
  const std::int64_t vy = n * squares - sy * sy;
  if (vx <= 0 || vy <= 0) return 1;  // a constant image resembles nothing
  const double slope = static_cast<double>(n * sxy - sx * sy) / static_cast<double>(vx);
  const double start = (static_cast<double>(sy) - slope * static_cast<double>(sx)) / n;
  std::array<double, 256> map;
  const auto range = [&](std::size_t low, std::size_t high) {
    double left = 0;
    std::int64_t members = 0;
    for (std::size_t l = low; l < high; ++l) {
      left += sum[l] - count[l] * (start + slope * static_cast<double>(l));
      members += count[l];
    }
    const double mean = members > 0 ? left / static_cast<double>(members) : 0;
    for (std::size_t l = low; l < high; ++l) map[l] = start + slope * static_cast<double>(l) + mean;
  };
  range(0, 1);
  for (std::size_t low = 0; low < 256; low += 16)
    range(std::max<std::size_t>(1, low), std::min<std::size_t>(255, low + 16));
  range(255, 256);
  std::array<double, kSide * kSide> rest;
  for (int p = 0; p < n; ++p) rest[static_cast<std::size_t>(p)] = y[p] - map[x[p]];
  double white = 0;
  double across = 0;
  double down = 0;
  for (int r = 0; r < rows; ++r) {
    const double* const line = rest.data() + r * columns;
    for (int c = 0; c < columns; ++c) white += line[c] * line[c];
    for (int c = 1; c < columns; ++c) across += line[c] * line[c - 1];
    if (r == 0) continue;
    for (int c = 0; c < columns; ++c) down += line[c] * line[c - columns];
  }
  across /= std::max(1, rows * (columns - 1));
  down /= std::max(1, (rows - 1) * columns);
  const double variance = static_cast<double>(vy) / n / n;
  return (std::max(0.0, (across + down) / 2) + kWhite * white / n) / variance + kGrain;
}

/// Verifies candidates of one query: the alignment of the largest correlation, then the difference there.
class Judge {
 public:
  Judge(const Frame& frame, const Thumbnails& reference) : frame_(frame), reference_(reference) {
    const auto pixels = static_cast<std::size_t>(frame.height) * static_cast<std::size_t>(frame.width);
    for (int cut = -2; cut <= 2; ++cut) zoomed_[static_cast<std::size_t>(cut + 2)].resize(pixels);
    enlarged_.resize(pixels);
    windows_.resize(static_cast<Index>(frame.ways.size()), static_cast<Index>(frame.rows()) * frame.columns());
  }

  NearMatch judge(const std::uint8_t* query, const std::vector<std::pair<float, std::size_t>>& candidates) {
    const int most = std::min(2, frame_.reach);
    for (int cut = -most; cut <= most; ++cut) {
      std::uint8_t* const to = zoomed_[static_cast<std::size_t>(cut + 2)].data();
      if (cut == 0) {
        std::copy_n(query, enlarged_.size(), to);
      } else {
        resample(query, frame_.height, frame_.width, taps(frame_.height, stretch_of(frame_.height, -cut), 0),
                 taps(frame_.width, stretch_of(frame_.width, -cut), 0), to);
      }
    }
    for (std::size_t a = 0; a < frame_.ways.size(); ++a) {
      const Alignment& way = frame_.ways[a];
      standardise(zoomed_[static_cast<std::size_t>(way.cut + 2)].data(), way.dy, way.dx, static_cast<Index>(a),
                  windows_);
    }
    own_.resize(static_cast<Index>(candidates.size()), windows_.cols());
    for (std::size_t k = 0; k < candidates.size(); ++k)
      standardise(reference_.image(candidates[k].second), 0, 0, static_cast<Index>(k), own_);
    correlations_.resize(own_.rows(), windows_.rows());
    correlations_.noalias() = own_ * windows_.transpose();
    NearMatch best{-1, -1, 0};
    differences_.clear();
    for (std::size_t k = 0; k < candidates.size(); ++k) {
      const auto way = static_cast<std::size_t>(
          largest(correlations_.data() + static_cast<Index>(k) * correlations_.cols(), correlations_.cols()));
      const double difference = compare(reference_.image(candidates[k].second), frame_.ways[way]);
      differences_.push_back(difference);
      const auto row = static_cast<std::ptrdiff_t>(candidates[k].second);
      const double similarity = 1 - difference;
      if (similarity > best.similarity || (similarity == best.similarity && row < best.row))
        best = {row, similarity, 0};
    }
    std::sort(differences_.begin(), differences_.end());
    best.surround = 1 - differences_[std::min(differences_.size(), kSurround) - 1];
    return best;
  }

 private:
  /// The window of an image as a row of mean 0 and length 1.
  void standardise(const std::uint8_t* image, int dy, int dx, Index row, MatrixF& to) const {
    float* out = to.data() + row * to.cols();
    std::int64_t sum = 0;
    std::int64_t squares = 0;
    for (int y = 0; y < frame_.rows(); ++y) {
      const std::uint8_t* const line = image + (y + frame_.reach + dy) * frame_.width + frame_.reach + dx;
      std::int32_t part = 0;
      std::int32_t part_squares = 0;
      for (int x = 0; x < frame_.columns(); ++x) {
        part += line[x];
        part_squares += line[x] * line[x];
      }
      sum += part;
      squares += part_squares;
    }
    const auto n = static_cast<std::int64_t>(to.cols());
    const std::int64_t variance = n * squares - sum * sum;
    const auto mean = static_cast<float>(static_cast<double>(sum) / static_cast<double>(n));
    const auto scale =
        variance > 0 ? static_cast<float>(1 / std::sqrt(static_cast<double>(variance) / static_cast<double>(n))) : 0.0F;
    for (int y = 0; y < frame_.rows(); ++y) {
      const std::uint8_t* const line = image + (y + frame_.reach + dy) * frame_.width + frame_.reach + dx;
      for (int x = 0; x < frame_.columns(); ++x) *out++ = (static_cast<float>(line[x]) - mean) * scale;
    }
  }

  void cut_out(const std::uint8_t* image, int dy, int dx, std::uint8_t* to) const {
    for (int y = 0; y < frame_.rows(); ++y)
      std::copy_n(image + (y + frame_.reach + dy) * frame_.width + frame_.reach + dx, frame_.columns(),
                  to + y * frame_.columns());
  }

  /// Whichever image was enlarged is compared as it is: the other one is enlarged in the same way, so that what
  /// enlarging blurs is blurred in both.
  double compare(const std::uint8_t* reference, const Alignment& way) {
    std::array<std::uint8_t, kSide * kSide> x;
    std::array<std::uint8_t, kSide * kSide> y;
    if (way.cut > 0) {
      resample(reference, frame_.height, frame_.width, taps(frame_.height, stretch_of(frame_.height, way.cut), way.dy),
               taps(frame_.width, stretch_of(frame_.width, way.cut), way.dx), enlarged_.data());
      cut_out(enlarged_.data(), 0, 0, x.data());
      cut_out(zoomed_[2].data(), 0, 0, y.data());
    } else {
      cut_out(reference, 0, 0, x.data());
      cut_out(zoomed_[static_cast<std::size_t>(way.cut + 2)].data(), way.dy, way.dx, y.data());
    }
    return std::min({1.0, unexplained(x.data(), y.data(), frame_.rows(), frame_.columns()),
                     unexplained(y.data(), x.data(), frame_.rows(), frame_.columns())});
  }

  const Frame& frame_;
  const Thumbnails& reference_;
  std::array<std::vector<std::uint8_t>, 5> zoomed_;
  std::vector<std::uint8_t> enlarged_;
  MatrixF windows_;
  MatrixF own_;
  MatrixF correlations_;
  std::vector<double> differences_;
};

}  // namespace

base::Result<std::vector<NearMatch>> nearest_images(const data::Images& reference, const data::Images& queries,
                                                    const NearOptions& options) {
  constexpr const char* kName = "nearest_images";
  if (reference.count == 0 || queries.count == 0)
    return make_error(Code::kShape, "reference or queries hold no image, expected at least 1", kName);
  PL_CHECK(base::check_size(kName, "height of queries", queries.height, reference.height));
  PL_CHECK(base::check_size(kName, "width of queries", queries.width, reference.width));
  PL_CHECK(base::check_size(kName, "channels of queries", queries.channels, reference.channels));
  PL_CHECK(base::check_in(kName, "shift", options.shift, 0, 8));
  PL_CHECK(detail::check_near_options(kName, options, reference.count, queries.count));
  const Thumbnails there = thumbnails(reference);
  const Thumbnails here = thumbnails(queries);
  const Frame frame = make_frame(there.height, there.width, options.shift);
  PL_TRY(const MatrixF rows, reference_descriptors(there, frame, options.cancel));
  PL_TRY(const Cells cells, part(rows, options.cancel));
  std::vector<NearMatch> out(here.count);
  PL_CHECK(base::parallel_for((here.count + kBlock - 1) / kBlock,
                              [&](std::size_t block) -> base::Status {
                                const std::size_t first = block * kBlock;
                                const std::size_t n = std::min(kBlock, here.count - first);
                                const std::vector<Best> found = candidates(here, first, n, frame, cells, options);
                                Judge judge(frame, there);
                                for (std::size_t i = 0; i < n; ++i) {
                                  if (!found[i].items().empty())
                                    out[first + i] = judge.judge(here.image(first + i), found[i].items());
                                }
                                return base::ok();
                              },
                              options.cancel));
  return out;
}

}  // namespace plumbline::methodology
