#include "plumbline/counterfactual/weighted_sums.hpp"

#include <algorithm>
#include <cstring>

#include "plumbline/base/parallel.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace plumbline::counterfactual {
namespace {

constexpr std::size_t kChunk = 64;  // replicates at once
constexpr std::size_t kMostColumns = 8;
constexpr std::size_t kRows = 4096;  // of a piece of work
constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31U);
}

std::uint64_t stream_of(std::uint64_t key, std::uint64_t unit) { return mix(key ^ mix(unit * kGolden + 1)); }

/// Thresholds of the law: W = number of thresholds at or below the byte.
constexpr std::array<std::uint8_t, 5> kThreshold = [] {
  std::array<std::uint8_t, 5> out{};
  int total = 0;
  for (std::size_t k = 0; k < out.size(); ++k) {
    total += kResampleLaw[k];
    out[k] = static_cast<std::uint8_t>(total);
  }
  return out;
}();

std::uint64_t word_of(std::uint64_t stream, std::size_t index) { return mix(stream + (index + 1) * kGolden); }

/// The weight of one random byte.
int weight_of(std::uint8_t byte) {
  int weight = 0;
  for (const std::uint8_t least : kThreshold) weight += byte >= least ? 1 : 0;
  return weight;
}

/// 64 weights of a unit. Compilers leave the conversion from bytes scalar, which costs eight times as much as the sums.
void draw_weights(std::uint64_t stream, std::size_t chunk, double* weight) {
  std::array<std::uint64_t, kChunk / 8> words{};
  for (std::size_t k = 0; k < words.size(); ++k) words[k] = word_of(stream, chunk * words.size() + k);
  std::array<std::uint8_t, kChunk> bytes{};
  std::memcpy(bytes.data(), words.data(), sizeof(words));
#if defined(__AVX2__)
  for (std::size_t first = 0; first < kChunk; first += 32) {
    const __m256i u = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes.data() + first));
    __m256i count = _mm256_setzero_si256();
    for (const std::uint8_t least : kThreshold) {
      const __m256i bound = _mm256_set1_epi8(static_cast<char>(least));
      count = _mm256_sub_epi8(count, _mm256_cmpeq_epi8(_mm256_max_epu8(u, bound), u));  // u >= bound is -1
    }
    alignas(32) std::array<std::uint8_t, 32> counts{};
    _mm256_store_si256(reinterpret_cast<__m256i*>(counts.data()), count);
    for (std::size_t k = 0; k < counts.size(); k += 4) {
      std::int32_t four = 0;
      std::memcpy(&four, counts.data() + k, sizeof(four));
      _mm256_storeu_pd(weight + first + k, _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four))));
    }
  }
#else
  for (std::size_t k = 0; k < kChunk; ++k) weight[k] = weight_of(bytes[k]);
#endif
}

}  // namespace

int resample_weight(std::uint64_t key, std::uint64_t unit, std::size_t replicate) {
  const std::uint64_t word = word_of(stream_of(key, unit), replicate / sizeof(std::uint64_t));
  std::array<std::uint8_t, sizeof(word)> bytes{};
  std::memcpy(bytes.data(), &word, sizeof(word));
  return weight_of(bytes[replicate % sizeof(word)]);
}

ResampledSums::ResampledSums(std::size_t columns, std::size_t replicates, std::uint64_t key)
    : columns_(columns),
      replicates_((replicates + kChunk - 1) / kChunk * kChunk),
      key_(key),
      sums_(replicates_ * columns, 0.0) {}

void ResampledSums::add(std::span<const double> values, std::span<const std::uint64_t> unit) {
  const std::size_t rows = unit.size();
  const std::size_t pieces = (rows + kRows - 1) / kRows;
  std::vector<std::vector<double>> parts(pieces);
  (void)base::parallel_for(pieces, [&](std::size_t piece) -> base::Status {
    const std::size_t first = piece * kRows;
    const std::size_t last = std::min(rows, first + kRows);
    std::vector<std::uint64_t> stream(last - first);
    for (std::size_t i = first; i < last; ++i) stream[i - first] = stream_of(key_, unit[i]);
    std::vector<double>& part = parts[piece];
    part.resize(sums_.size());
    for (std::size_t chunk = 0; chunk < replicates_ / kChunk; ++chunk) {
      alignas(64) double sum[kMostColumns][kChunk] = {};
      alignas(64) double weight[kChunk];
      for (std::size_t i = first; i < last; ++i) {
        draw_weights(stream[i - first], chunk, weight);
        const double* row = values.data() + i * columns_;
        for (std::size_t c = 0; c < columns_; ++c) {
          const double v = row[c];
          for (std::size_t k = 0; k < kChunk; ++k) sum[c][k] += v * weight[k];
        }
      }
      for (std::size_t c = 0; c < columns_; ++c)
        std::copy_n(sum[c], kChunk, part.data() + (chunk * columns_ + c) * kChunk);
    }
    return base::ok();
  });
  for (const auto& part : parts) {
    for (std::size_t k = 0; k < sums_.size(); ++k) sums_[k] += part[k];
  }
}

std::vector<double> ResampledSums::sums(std::size_t replicate) const {
  std::vector<double> out(columns_);
  for (std::size_t c = 0; c < columns_; ++c)
    out[c] = sums_[(replicate / kChunk * columns_ + c) * kChunk + replicate % kChunk];
  return out;
}

}  // namespace plumbline::counterfactual
