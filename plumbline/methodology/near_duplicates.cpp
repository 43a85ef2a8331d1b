#include "plumbline/methodology/near_duplicates.hpp"

#include <algorithm>
#include <cmath>
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

constexpr Eigen::Index kQueryBlock = 256;
constexpr Eigen::Index kReferenceBlock = 4096;

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

}  // namespace

namespace detail {

base::Status check_near_options(const char* function, const NearOptions& options, std::size_t reference,
                                std::size_t queries) {
  PL_CHECK(base::check_at_least(function, "candidates", options.candidates, 1));
  if (options.query_groups.empty() && options.reference_groups.empty()) return base::ok();
  PL_CHECK(base::check_size(function, "reference_groups", static_cast<std::ptrdiff_t>(options.reference_groups.size()),
                            static_cast<std::ptrdiff_t>(reference)));
  return base::check_size(function, "query_groups", static_cast<std::ptrdiff_t>(options.query_groups.size()),
                          static_cast<std::ptrdiff_t>(queries));
}

}  // namespace detail

base::Result<std::vector<NearMatch>> nearest_rows(MatrixRefF reference, MatrixRefF queries,
                                                  const NearOptions& options) {
  constexpr const char* kName = "nearest_rows";
  if (reference.rows() == 0 || queries.rows() == 0 || reference.cols() == 0)
    return make_error(Code::kShape, "reference or queries hold no entry, expected at least 1", kName);
  PL_CHECK(base::check_size(kName, "columns of queries", queries.cols(), reference.cols()));
  PL_CHECK(detail::check_near_options(kName, options, static_cast<std::size_t>(reference.rows()),
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
  PL_CHECK(detail::check_near_options(kName, options, reference.size(), queries.size()));
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
