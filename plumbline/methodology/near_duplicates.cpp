#include "plumbline/methodology/near_duplicates.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <unordered_map>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/linalg.hpp"

namespace plumbline::methodology {
namespace {

using base::Code;
using base::make_error;

constexpr int kSide = 32;      // images are reduced to at most this
constexpr int kFrequency = 5;  // highest frequency of the descriptor
constexpr Eigen::Index kQueryBlock = 256;
constexpr Eigen::Index kReferenceBlock = 4096;

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

/// Magnitudes of the low frequencies, each under a square root so that the strongest do not drown the rest, length 1.
/// `window`: pixels fade towards the border, so that what a shift pushes out matters less.
base::Result<MatrixF> spectra(const Thumbnails& images, bool window, const base::CancelToken& cancel) {
  std::vector<std::pair<int, int>> frequencies;
  for (int u = 0; u <= kFrequency; ++u) {
    for (int v = u == 0 ? 1 : -kFrequency; v <= kFrequency; ++v) frequencies.emplace_back(u, v);
  }
  const auto k = static_cast<Eigen::Index>(frequencies.size());
  const auto pixels = static_cast<Eigen::Index>(images.pixels());
  MatrixF basis(pixels, 2 * k);
  for (Eigen::Index f = 0; f < k; ++f) {
    for (int y = 0; y < images.height; ++y) {
      for (int x = 0; x < images.width; ++x) {
        const auto [u, v] = frequencies[static_cast<std::size_t>(f)];
        const double angle = 2 * std::numbers::pi *
                             (static_cast<double>(u * y) / images.height + static_cast<double>(v * x) / images.width);
        const Eigen::Index p = y * images.width + x;
        const double weight = window ? std::sin(std::numbers::pi * (y + 0.5) / images.height) *
                                           std::sin(std::numbers::pi * (x + 0.5) / images.width)
                                     : 1.0;
        basis(p, f) = static_cast<float>(weight * std::cos(angle));
        basis(p, k + f) = static_cast<float>(weight * std::sin(angle));
      }
    }
  }
  MatrixF out(static_cast<Eigen::Index>(images.count), k);
  constexpr std::size_t kBlock = 512;
  PL_CHECK(base::parallel_for((images.count + kBlock - 1) / kBlock,
                              [&](std::size_t block) -> base::Status {
                                const std::size_t first = block * kBlock;
                                const std::size_t n = std::min(kBlock, images.count - first);
                                MatrixF rows(static_cast<Eigen::Index>(n), pixels);
                                for (std::size_t i = 0; i < n; ++i) {
                                  const std::uint8_t* const image = images.image(first + i);
                                  std::int64_t total = 0;
                                  for (Eigen::Index p = 0; p < pixels; ++p) total += image[p];
                                  const auto mean =
                                      static_cast<float>(static_cast<double>(total) / static_cast<double>(pixels));
                                  for (Eigen::Index p = 0; p < pixels; ++p)
                                    rows(static_cast<Eigen::Index>(i), p) = static_cast<float>(image[p]) - mean;
                                }
                                MatrixF waves(static_cast<Eigen::Index>(n), 2 * k);
                                waves.noalias() = rows * basis;
                                for (std::size_t i = 0; i < n; ++i) {
                                  const auto row = static_cast<Eigen::Index>(i);
                                  const auto target = static_cast<Eigen::Index>(first + i);
                                  double length = 0;
                                  for (Eigen::Index f = 0; f < k; ++f) {
                                    const double a = waves(row, f);
                                    const double b = waves(row, k + f);
                                    const double m = std::sqrt(std::sqrt(a * a + b * b));
                                    out(target, f) = static_cast<float>(m);
                                    length += m * m;
                                  }
                                  const auto scale = length > 0 ? static_cast<float>(1 / std::sqrt(length)) : 0.0F;
                                  for (Eigen::Index f = 0; f < k; ++f) out(target, f) *= scale;
                                }
                                return base::ok();
                              },
                              cancel));
  return out;
}

struct Scored {
  float score = 0;
  std::ptrdiff_t row = -1;
  bool operator<(const Scored& other) const { return score > other.score || (score == other.score && row < other.row); }
};

/// For each query the `keep` reference rows of the largest score: product + bias of the reference row.
base::Result<std::vector<std::vector<Scored>>> candidates(const MatrixF& reference, const MatrixF& queries,
                                                          const std::vector<float>& bias, const NearOptions& options) {
  const auto keep = static_cast<std::size_t>(options.candidates);
  const Eigen::Index n = reference.rows();
  std::vector<std::vector<Scored>> out(static_cast<std::size_t>(queries.rows()));
  const auto blocks = static_cast<std::size_t>((queries.rows() + kQueryBlock - 1) / kQueryBlock);
  // Columns of the transposed blocks are aligned and owned; they are shared by all query blocks.
  std::vector<MatrixF> parts;
  for (Eigen::Index first = 0; first < n; first += kReferenceBlock)
    parts.emplace_back(reference.middleRows(first, std::min(kReferenceBlock, n - first)).transpose());
  PL_CHECK(base::parallel_for(
      blocks,
      [&](std::size_t block) -> base::Status {
        const Eigen::Index q0 = static_cast<Eigen::Index>(block) * kQueryBlock;
        const Eigen::Index q = std::min(kQueryBlock, queries.rows() - q0);
        const MatrixF own = queries.middleRows(q0, q);
        MatrixF scores(q, std::min(kReferenceBlock, n));
        for (std::size_t part = 0; part < parts.size(); ++part) {
          const Eigen::Index first = static_cast<Eigen::Index>(part) * kReferenceBlock;
          const Eigen::Index size = parts[part].cols();
          scores.resize(q, size);
          scores.noalias() = own * parts[part];
          for (Eigen::Index i = 0; i < q; ++i) {
            std::vector<Scored>& best = out[static_cast<std::size_t>(q0 + i)];  // a heap: the worst kept is in front
            const float* const row = scores.data() + i * size;
            float floor = best.size() < keep ? -std::numeric_limits<float>::infinity() : best.front().score;
            for (Eigen::Index j = 0; j < size; ++j) {
              const auto r = static_cast<std::size_t>(first + j);
              const float score = bias.empty() ? row[j] : row[j] + bias[r];
              if (score <= floor) continue;
              if (!options.query_groups.empty() &&
                  options.reference_groups[r] == options.query_groups[static_cast<std::size_t>(q0 + i)])
                continue;
              if (best.size() == keep) {
                std::pop_heap(best.begin(), best.end());
                best.pop_back();
              }
              best.push_back({score, first + j});
              std::push_heap(best.begin(), best.end());
              if (best.size() == keep) floor = best.front().score;
            }
          }
        }
        for (Eigen::Index i = 0; i < q; ++i)
          std::sort_heap(out[static_cast<std::size_t>(q0 + i)].begin(), out[static_cast<std::size_t>(q0 + i)].end());
        return base::ok();
      },
      options.cancel));
  return out;
}

/// Correlation of a with b moved by (dy, dx), over the overlap; sums are exact.
double correlation(const std::uint8_t* a, const std::uint8_t* b, int height, int width, int dy, int dx) {
  std::int64_t sa = 0;
  std::int64_t sb = 0;
  std::int64_t saa = 0;
  std::int64_t sbb = 0;
  std::int64_t sab = 0;
  const int y0 = std::max(0, dy);
  const int y1 = std::min(height, height + dy);
  const int x0 = std::max(0, dx);
  const int x1 = std::min(width, width + dx);
  for (int y = y0; y < y1; ++y) {
    const std::uint8_t* const ra = a + y * width;
    const std::uint8_t* const rb = b + (y - dy) * width - dx;
    std::int32_t ta = 0;
    std::int32_t tb = 0;
    std::int32_t taa = 0;
    std::int32_t tbb = 0;
    std::int32_t tab = 0;
    for (int x = x0; x < x1; ++x) {
      const std::int32_t p = ra[x];
      const std::int32_t q = rb[x];
      ta += p;
      tb += q;
      taa += p * p;
      tbb += q * q;
      tab += p * q;
    }
    sa += ta;
    sb += tb;
    saa += taa;
    sbb += tbb;
    sab += tab;
  }
  const std::int64_t n = static_cast<std::int64_t>(y1 - y0) * (x1 - x0);
  const std::int64_t va = n * saa - sa * sa;
  const std::int64_t vb = n * sbb - sb * sb;
  if (va <= 0 || vb <= 0) return 0;  // a constant image resembles nothing
  return static_cast<double>(n * sab - sa * sb) /
         (std::sqrt(static_cast<double>(va)) * std::sqrt(static_cast<double>(vb)));
}

base::Status check_options(const char* function, const NearOptions& options, std::size_t reference,
                           std::size_t queries) {
  PL_CHECK(base::check_at_least(function, "candidates", options.candidates, 1));
  if (options.query_groups.empty() && options.reference_groups.empty()) return base::ok();
  PL_CHECK(base::check_size(function, "reference_groups", static_cast<std::ptrdiff_t>(options.reference_groups.size()),
                            static_cast<std::ptrdiff_t>(reference)));
  return base::check_size(function, "query_groups", static_cast<std::ptrdiff_t>(options.query_groups.size()),
                          static_cast<std::ptrdiff_t>(queries));
}

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
  PL_CHECK(check_options(kName, options, reference.count, queries.count));
  const Thumbnails there = thumbnails(reference);
  const Thumbnails here = thumbnails(queries);
  std::vector<std::vector<std::ptrdiff_t>> found(here.count);
  for (const bool window : {false, true}) {
    PL_TRY(const MatrixF reference_spectra, spectra(there, window, options.cancel));
    PL_TRY(const MatrixF query_spectra, spectra(here, window, options.cancel));
    PL_TRY(const auto ranked, candidates(reference_spectra, query_spectra, {}, options));
    for (std::size_t i = 0; i < here.count; ++i) {
      for (const Scored& candidate : ranked[i]) found[i].push_back(candidate.row);
    }
  }
  for (auto& rows : found) {
    std::sort(rows.begin(), rows.end());
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  }
  const int reach = std::min({options.shift, here.height / 4, here.width / 4});
  std::vector<NearMatch> out(here.count);
  constexpr std::size_t kBlock = 64;
  PL_CHECK(base::parallel_for(
      (here.count + kBlock - 1) / kBlock,
      [&](std::size_t block) -> base::Status {
        for (std::size_t i = block * kBlock; i < std::min(here.count, (block + 1) * kBlock); ++i) {
          NearMatch best{-1, -2};
          for (const std::ptrdiff_t row : found[i]) {
            const std::uint8_t* const other = there.image(static_cast<std::size_t>(row));
            double similarity = -1;
            for (int dy = -reach; dy <= reach; ++dy) {
              for (int dx = -reach; dx <= reach; ++dx)
                similarity = std::max(similarity, correlation(here.image(i), other, here.height, here.width, dy, dx));
            }
            if (similarity > best.similarity) best = {row, similarity};
          }
          out[i] = best.row < 0 ? NearMatch{} : best;
        }
        return base::ok();
      },
      options.cancel));
  return out;
}

base::Result<std::vector<NearMatch>> nearest_rows(MatrixRefF reference, MatrixRefF queries,
                                                  const NearOptions& options) {
  constexpr const char* kName = "nearest_rows";
  if (reference.rows() == 0 || queries.rows() == 0 || reference.cols() == 0)
    return make_error(Code::kShape, "reference or queries hold no entry, expected at least 1", kName);
  PL_CHECK(base::check_size(kName, "columns of queries", queries.cols(), reference.cols()));
  PL_CHECK(check_options(kName, options, static_cast<std::size_t>(reference.rows()),
                         static_cast<std::size_t>(queries.rows())));
  for (const auto& [name, rows] :
       {std::pair<const char*, const MatrixRefF*>{"reference", &reference}, {"queries", &queries}}) {
    for (Eigen::Index i = 0; i < rows->rows(); ++i)
      PL_CHECK(base::check_all_finite(
          kName, name,
          std::span<const float>(rows->data() + i * rows->outerStride(), static_cast<std::size_t>(rows->cols()))));
  }
  MatrixF there = reference;
  MatrixF here = queries;
  constexpr Eigen::Index kPlenty = 64;
  if (reference.cols() > kPlenty && reference.rows() > kPlenty) {
    PL_TRY(const stats::Pca pca, stats::fit_pca(reference, kPlenty));
    PL_TRY(const MatrixD a, pca.transform(reference));
    PL_TRY(const MatrixD b, pca.transform(queries));
    there = a.cast<float>();
    here = b.cast<float>();
  }
  // -|r - q|^2 / 2 + |q|^2 / 2 = r q - |r|^2 / 2: the largest score is the nearest row.
  std::vector<float> bias(static_cast<std::size_t>(there.rows()));
  for (Eigen::Index i = 0; i < there.rows(); ++i) {
    double square = 0;
    for (Eigen::Index j = 0; j < there.cols(); ++j) square += static_cast<double>(there(i, j)) * there(i, j);
    bias[static_cast<std::size_t>(i)] = static_cast<float>(-square / 2);
  }
  PL_TRY(const auto found, candidates(there, here, bias, options));
  std::vector<NearMatch> out(static_cast<std::size_t>(queries.rows()));
  for (Eigen::Index i = 0; i < queries.rows(); ++i) {
    NearMatch best;
    double least = std::numeric_limits<double>::infinity();
    for (const Scored& candidate : found[static_cast<std::size_t>(i)]) {
      double square = 0;
      for (Eigen::Index j = 0; j < queries.cols(); ++j) {
        const double d = static_cast<double>(queries(i, j)) - reference(candidate.row, j);
        square += d * d;
      }
      if (square < least || (square == least && candidate.row < best.row)) {
        least = square;
        best = {candidate.row, 1 / (1 + std::sqrt(square))};
      }
    }
    out[static_cast<std::size_t>(i)] = best;
  }
  return out;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool part =
        upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'' || static_cast<unsigned char>(c) >= 0x80;
    if (part) {
      word.push_back(upper ? static_cast<char>(c + 32) : c);
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

base::Result<std::vector<NearMatch>> nearest_texts(std::span<const std::string> reference,
                                                   std::span<const std::string> queries, const NearOptions& options) {
  constexpr const char* kName = "nearest_texts";
  if (reference.empty() || queries.empty())
    return make_error(Code::kShape, "reference or queries hold no text, expected at least 1", kName);
  PL_CHECK(check_options(kName, options, reference.size(), queries.size()));
  std::unordered_map<std::string, std::uint32_t> index;  // looked up only, never walked through
  std::vector<std::vector<std::uint32_t>> postings;
  const auto word_set = [&](const std::string& text) {
    std::vector<std::uint32_t> ids;
    for (std::string& word : words_of(text)) {
      const auto [place, fresh] = index.emplace(std::move(word), static_cast<std::uint32_t>(postings.size()));
      if (fresh) postings.emplace_back();
      ids.push_back(place->second);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  };
  std::vector<std::vector<std::uint32_t>> sets(reference.size());
  for (std::size_t r = 0; r < reference.size(); ++r) {
    sets[r] = word_set(reference[r]);
    for (const std::uint32_t id : sets[r]) postings[id].push_back(static_cast<std::uint32_t>(r));
  }
  constexpr std::size_t kVisits = 50'000;
  std::vector<NearMatch> out(queries.size());
  std::vector<std::uint32_t> counts(reference.size(), 0);
  std::vector<std::uint32_t> touched;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    if (q % 256 == 0) PL_CHECK(options.cancel.status());
    const std::vector<std::uint32_t> mine = word_set(queries[q]);
    std::vector<std::uint32_t> rare = mine;
    std::stable_sort(rare.begin(), rare.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return postings[a].size() < postings[b].size(); });
    std::size_t visits = 0;
    touched.clear();
    for (const std::uint32_t id : rare) {
      if (visits > 0 && visits + postings[id].size() > kVisits) break;
      visits += postings[id].size();
      for (const std::uint32_t r : postings[id]) {
        if (!options.query_groups.empty() && options.reference_groups[r] == options.query_groups[q]) continue;
        if (counts[r]++ == 0) touched.push_back(r);
      }
    }
    // Most shared words for their length first: a bound on the similarity that the visited words alone prove.
    const auto promise = [&](std::uint32_t r) {
      return static_cast<double>(counts[r]) / static_cast<double>(mine.size() + sets[r].size() - counts[r]);
    };
    const std::size_t keep = std::min(touched.size(), static_cast<std::size_t>(options.candidates));
    std::partial_sort(touched.begin(), touched.begin() + static_cast<std::ptrdiff_t>(keep), touched.end(),
                      [&](std::uint32_t a, std::uint32_t b) {
                        const double pa = promise(a);
                        const double pb = promise(b);
                        return pa > pb || (pa == pb && a < b);
                      });
    NearMatch best;
    for (std::size_t k = 0; k < keep; ++k) {
      const auto& other = sets[touched[k]];
      std::vector<std::uint32_t> common;
      std::set_intersection(mine.begin(), mine.end(), other.begin(), other.end(), std::back_inserter(common));
      const double similarity =
          static_cast<double>(common.size()) / static_cast<double>(mine.size() + other.size() - common.size());
      const auto row = static_cast<std::ptrdiff_t>(touched[k]);
      if (similarity > best.similarity || (similarity == best.similarity && best.row >= 0 && row < best.row))
        best = {row, similarity};
    }
    out[q] = best;
    for (const std::uint32_t r : touched) counts[r] = 0;
  }
  return out;
}

}  // namespace plumbline::methodology
