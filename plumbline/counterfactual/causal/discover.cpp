#include "plumbline/counterfactual/causal/discover.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/log_gamma.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/stats/linalg.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;

std::size_t at(int v) { return static_cast<std::size_t>(v); }

/// Calls visit(subset) for every subset of `from` with `size` members, in order; stops where it returns false.
template <class Visit>
void each_subset(const std::vector<int>& from, std::size_t size, const Visit& visit) {
  if (size > from.size()) return;
  std::vector<std::size_t> pick(size);
  for (std::size_t k = 0; k < size; ++k) pick[k] = k;
  std::vector<int> subset(size);
  while (true) {
    for (std::size_t k = 0; k < size; ++k) subset[k] = from[pick[k]];
    if (!visit(subset)) return;
    std::size_t k = size;
    while (k > 0 && pick[k - 1] == from.size() - size + k - 1) --k;
    if (k == 0) return;
    ++pick[k - 1];
    for (; k < size; ++k) pick[k] = pick[k - 1] + 1;
  }
}

/// What the tests of one pair with conditioning sets of one size found.
struct PairResult {
  double best = -1;  ///< largest p-value
  std::vector<int> separator;
  std::size_t tests = 0;
};

struct Skeleton {
  std::vector<NodeSet> adjacent;
  std::size_t largest = 0;  ///< conditioning set that was tried
  std::size_t tests = 0;
};

PairResult test_pair(const IndependenceTest& test, const std::vector<NodeSet>& adjacent, int a, int b,
                     std::size_t size) {
  PairResult out;
  std::set<std::vector<int>> seen;
  for (const auto& [near, far] : {std::pair(a, b), std::pair(b, a)}) {
    std::vector<int> around(adjacent[at(near)].begin(), adjacent[at(near)].end());
    std::erase(around, far);
    each_subset(around, size, [&](const std::vector<int>& given) {
      if (!seen.insert(given).second) return true;
      ++out.tests;
      const double p = test.p_value(a, b, given);
      if (p > out.best) {
        out.best = p;
        out.separator = given;
      }
      return true;
    });
  }
  return out;
}

base::Result<Skeleton> find_skeleton(const IndependenceTest& test, std::size_t variables, const PcOptions& options) {
  Skeleton out;
  out.adjacent.resize(variables);
  for (std::size_t a = 0; a < variables; ++a)
    for (std::size_t b = 0; b < variables; ++b)
      if (a != b) out.adjacent[a].insert(static_cast<int>(b));
  for (std::size_t size = 0; options.depth < 0 || size <= static_cast<std::size_t>(options.depth); ++size) {
    std::vector<std::pair<int, int>> pairs;
    for (int a = 0; at(a) < variables; ++a)
      for (const int b : out.adjacent[at(a)])
        if (a < b && std::max(out.adjacent[at(a)].size(), out.adjacent[at(b)].size()) > size) pairs.emplace_back(a, b);
    if (pairs.empty()) break;
    out.largest = size;
    std::vector<PairResult> results(pairs.size());
    PL_CHECK(base::parallel_for(
        pairs.size(),
        [&](std::size_t k) -> base::Status {
          results[k] = test_pair(test, out.adjacent, pairs[k].first, pairs[k].second, size);
          return base::ok();
        },
        options.cancel));
    for (std::size_t k = 0; k < pairs.size(); ++k) {
      out.tests += results[k].tests;
      if (!(results[k].best > options.alpha)) continue;
      const auto [a, b] = pairs[k];
      out.adjacent[at(a)].erase(b);
      out.adjacent[at(b)].erase(a);
    }
  }
  return out;
}

/// For pairs without an edge but with a common neighbour: the set with the largest p-value of all among the neighbours.
base::Status find_separators(const IndependenceTest& test, Skeleton& skeleton, const base::CancelToken& cancel,
                             std::map<std::pair<int, int>, std::vector<int>>& out) {
  std::vector<std::pair<int, int>> pairs;
  for (int k = 0; at(k) < skeleton.adjacent.size(); ++k)
    for (const int a : skeleton.adjacent[at(k)])
      for (const int b : skeleton.adjacent[at(k)])
        if (a < b && !skeleton.adjacent[at(a)].contains(b)) pairs.emplace_back(a, b);
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  std::vector<PairResult> results(pairs.size());
  PL_CHECK(base::parallel_for(
      pairs.size(),
      [&](std::size_t k) -> base::Status {
        for (std::size_t size = 0; size <= skeleton.largest; ++size) {
          PairResult one = test_pair(test, skeleton.adjacent, pairs[k].first, pairs[k].second, size);
          one.tests += results[k].tests;
          if (one.best <= results[k].best) {
            results[k].tests = one.tests;
          } else {
            results[k] = std::move(one);
          }
        }
        return base::ok();
      },
      cancel));
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    skeleton.tests += results[k].tests;
    out[pairs[k]] = std::move(results[k].separator);
  }
  return base::ok();
}

class DiscreteBic final : public FamilyScore {
 public:
  explicit DiscreteBic(const Sample& sample) : sample_(sample) {}
  double score(int v, const std::vector<int>& parents) const override {
    std::vector<std::uint32_t> stratum;
    const std::size_t strata = number_strata(sample_, parents, stratum);
    const std::size_t width = at(sample_.states[at(v)]);
    std::vector<double> counts(strata * width, 0.0);
    for (std::size_t i = 0; i < sample_.rows; ++i) counts[stratum[i] * width + sample_.codes[at(v)][i]] += 1;
    double fit = 0;
    for (std::size_t s = 0; s < strata; ++s) {
      double total = 0;
      for (std::size_t k = 0; k < width; ++k) total += counts[s * width + k];
      for (std::size_t k = 0; k < width; ++k) {
        const double n = counts[s * width + k];
        if (n > 0) fit += n * std::log(n / total);
      }
    }
    double rows = 1;
    for (const int p : parents) rows *= sample_.states[at(p)];
    return fit - std::log(static_cast<double>(sample_.rows)) / 2 * rows * static_cast<double>(width - 1);
  }

 private:
  const Sample& sample_;
};

class Bdeu final : public FamilyScore {
 public:
  Bdeu(const Sample& sample, double weight) : sample_(sample), weight_(weight) {}
  double score(int v, const std::vector<int>& parents) const override {
    std::vector<std::uint32_t> stratum;
    const std::size_t strata = number_strata(sample_, parents, stratum);
    const std::size_t width = at(sample_.states[at(v)]);
    std::vector<double> counts(strata * width, 0.0);
    for (std::size_t i = 0; i < sample_.rows; ++i) counts[stratum[i] * width + sample_.codes[at(v)][i]] += 1;
    double rows = 1;
    for (const int p : parents) rows *= sample_.states[at(p)];
    const double of_row = weight_ / rows;
    const double of_cell = of_row / static_cast<double>(width);
    double out = 0;
    for (std::size_t s = 0; s < strata; ++s) {
      double total = 0;
      for (std::size_t k = 0; k < width; ++k) {
        const double n = counts[s * width + k];
        total += n;
        if (n > 0) out += base::log_gamma(of_cell + n) - base::log_gamma(of_cell);
      }
      out += base::log_gamma(of_row) - base::log_gamma(of_row + total);
    }
    return out;
  }

 private:
  const Sample& sample_;
  double weight_;
};

class GaussianBic final : public FamilyScore {
 public:
  GaussianBic(MatrixD correlation, std::size_t rows) : correlation_(std::move(correlation)), rows_(rows) {}
  double score(int v, const std::vector<int>& parents) const override {
    const auto k = static_cast<Eigen::Index>(parents.size());
    const auto n = static_cast<double>(rows_);
    double left = 1;
    if (k > 0) {
      MatrixD inner(k, k);
      VectorD side(k);
      for (Eigen::Index i = 0; i < k; ++i) {
        const int p = parents[static_cast<std::size_t>(i)];
        side(i) = correlation_(p, v);
        for (Eigen::Index j = 0; j < k; ++j) inner(i, j) = correlation_(p, parents[static_cast<std::size_t>(j)]);
      }
      const auto factor = stats::Cholesky::factor(inner);
      if (!factor.ok()) return -std::numeric_limits<double>::infinity();
      left = 1 - side.dot(factor->solve(side).value());
    }
    // Of the standardised column; its scale and 2 pi are the same for every graph.
    return -n / 2 * std::log(std::max(left, 1e-300)) - std::log(n) / 2 * (static_cast<double>(k) + 1);
  }

 private:
  MatrixD correlation_;
  std::size_t rows_;
};

/// Scores, each computed once.
class Scores {
 public:
  explicit Scores(const FamilyScore& score) : score_(score) {}
  double operator()(int v, const NodeSet& parents) {
    const auto [found, fresh] = known_.try_emplace({v, std::vector<int>(parents.begin(), parents.end())}, 0.0);
    if (fresh) found->second = score_.score(v, found->first.second);
    return found->second;
  }
  std::size_t count() const { return known_.size(); }

 private:
  const FamilyScore& score_;
  std::map<std::pair<int, std::vector<int>>, double> known_;
};

bool is_clique(const Pattern& p, const NodeSet& nodes) {
  for (const int a : nodes)
    for (const int b : nodes)
      if (a < b && !p.adjacent(a, b)) return false;
  return true;
}

/// A path from `from` to `to` along directed and undirected edges that avoids `cut`.
bool path_around(const Pattern& p, int from, int to, const NodeSet& cut) {
  std::vector<bool> seen(p.size(), false);
  std::vector<int> open = {from};
  seen[at(from)] = true;
  while (!open.empty()) {
    const int v = open.back();
    open.pop_back();
    for (const NodeSet* next : {&p.children(v), &p.neighbours(v)})
      for (const int w : *next) {
        if (seen[at(w)] || cut.contains(w)) continue;
        if (w == to) return true;
        seen[at(w)] = true;
        open.push_back(w);
      }
  }
  return false;
}

NodeSet with(NodeSet a, const NodeSet& b) {
  a.insert(b.begin(), b.end());
  return a;
}

struct Step {
  double gain = 1e-9;  ///< rounding is no improvement
  int x = -1;
  int y = -1;
  NodeSet moved;  ///< insert: neighbours of y that become its parents; delete: neighbours that become its children
};

class Ges {
 public:
  Ges(const FamilyScore& score, std::size_t variables, const GesOptions& options)
      : scores_(score), options_(options), pattern_(variables) {}

  base::Result<Discovery> run() {
    for (const bool inserting : {true, false}) {
      while (true) {
        PL_CHECK(options_.cancel.status());
        const Step best = inserting ? best_insert() : best_delete();
        if (best.x < 0) break;
        if (inserting)
          insert(best);
        else
          erase(best);
        const std::vector<NodeSet> parents = extension(pattern_);
        base::ensure(!parents.empty(), "a valid step of GES leads to a pattern that has a graph");
        pattern_ = pattern_of(parents);
      }
    }
    return Discovery{pattern_, {}, scores_.count()};
  }

 private:
  Step best_insert() {
    Step best;
    const auto n = static_cast<int>(pattern_.size());
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x) {
        if (x == y || pattern_.adjacent(x, y)) continue;
        NodeSet shared;
        std::vector<int> others;
        for (const int w : pattern_.neighbours(y)) {
          if (pattern_.adjacent(w, x))
            shared.insert(w);
          else
            others.push_back(w);
        }
        if (!is_clique(pattern_, shared)) continue;
        for (std::size_t size = 0; size <= others.size(); ++size)
          each_subset(others, size, [&](const std::vector<int>& t) {
            const NodeSet moved(t.begin(), t.end());
            const NodeSet cut = with(shared, moved);
            const NodeSet parents = with(cut, pattern_.parents(y));
            if (parents.size() + 1 > options_.parents || !is_clique(pattern_, cut)) return true;
            const double gain = scores_(y, with(parents, {x})) - scores_(y, parents);
            if (gain > best.gain && !path_around(pattern_, y, x, cut)) best = {gain, x, y, moved};
            return true;
          });
      }
    return best;
  }

  Step best_delete() {
    Step best;
    const auto n = static_cast<int>(pattern_.size());
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x) {
        if (x == y || !(pattern_.directed(x, y) || pattern_.undirected(x, y))) continue;
        std::vector<int> shared;
        for (const int w : pattern_.neighbours(y))
          if (w != x && pattern_.adjacent(w, x)) shared.push_back(w);
        for (std::size_t size = 0; size <= shared.size(); ++size)
          each_subset(shared, size, [&](const std::vector<int>& h) {
            const NodeSet moved(h.begin(), h.end());
            NodeSet kept;
            for (const int w : shared)
              if (!moved.contains(w)) kept.insert(w);
            if (!is_clique(pattern_, kept)) return true;
            NodeSet parents = with(kept, pattern_.parents(y));
            parents.erase(x);
            const double gain = scores_(y, parents) - scores_(y, with(parents, {x}));
            if (gain > best.gain) best = {gain, x, y, moved};
            return true;
          });
      }
    return best;
  }

  void insert(const Step& step) {
    pattern_.orient(step.x, step.y);
    for (const int t : step.moved) pattern_.orient(t, step.y);
  }
  void erase(const Step& step) {
    pattern_.remove(step.x, step.y);
    for (const int h : step.moved) {
      pattern_.orient(step.y, h);
      if (pattern_.undirected(step.x, h)) pattern_.orient(step.x, h);
    }
  }

  Scores scores_;
  const GesOptions& options_;
  Pattern pattern_;
};

/// A set of variables, a bit each.
using Mask = std::uint32_t;
constexpr double kNever = -std::numeric_limits<double>::infinity();

/// By subset of the other variables: the best parents in it, and their score.
struct BestFamilies {
  std::vector<double> score;
  std::vector<Mask> parents;
};

BestFamilies best_families(const FamilyScore& score, std::size_t v, std::size_t variables, std::size_t most_parents,
                           std::size_t& scored) {
  const Mask count = Mask{1} << variables;
  BestFamilies out{std::vector<double>(count, kNever), std::vector<Mask>(count, 0)};
  std::vector<int> members;
  for (Mask set = 0; set < count; ++set) {
    if (set >> v & 1U) continue;
    members.clear();
    for (std::size_t w = 0; w < variables; ++w) {
      if (!(set >> w & 1U)) continue;
      members.push_back(static_cast<int>(w));
      const Mask less = set & ~(Mask{1} << w);
      if (out.score[less] <= out.score[set]) continue;
      out.score[set] = out.score[less];
      out.parents[set] = out.parents[less];
    }
    if (members.size() > most_parents) continue;
    ++scored;
    const double own = score.score(static_cast<int>(v), members);
    if (own <= out.score[set]) continue;
    out.score[set] = own;
    out.parents[set] = set;
  }
  return out;
}

base::Result<Discovery> discover(const Sample& sample, const LearnOptions& options) {
  if (options.method == Method::kPc) {
    PL_TRY(const std::unique_ptr<IndependenceTest> test, independence_test(sample));
    return learn_by_tests(*test, sample.variables(), options.pc);
  }
  const auto search = options.method == Method::kGes ? learn_by_score : learn_exactly;
  if (options.bdeu) {
    if (!sample.discrete)
      return make_error(Code::kValue, "BDeu is a score for states, and the columns are numbers", {}, "use bic");
    return search(*bdeu_score(sample), sample.variables(), options.ges);
  }
  PL_TRY(const std::unique_ptr<FamilyScore> score, bic_score(sample));
  return search(*score, sample.variables(), options.ges);
}

}  // namespace

base::Result<Discovery> learn_by_tests(const IndependenceTest& test, std::size_t variables, const PcOptions& options) {
  PL_CHECK(base::check_in_open("learn_by_tests", "alpha", options.alpha, 0.0, 1.0));
  PL_TRY(Skeleton skeleton, find_skeleton(test, variables, options));
  std::map<std::pair<int, int>, std::vector<int>> separator;
  PL_CHECK(find_separators(test, skeleton, options.cancel, separator));
  Discovery out;
  out.tests = skeleton.tests;
  out.pattern = Pattern(variables);
  std::set<std::pair<int, int>> heads;
  for (int k = 0; at(k) < variables; ++k)
    for (const int a : skeleton.adjacent[at(k)]) {
      out.pattern.link(a, k);
      for (const int b : skeleton.adjacent[at(k)]) {
        if (a >= b || skeleton.adjacent[at(a)].contains(b)) continue;
        const std::vector<int>& apart = separator.at({a, b});
        if (std::find(apart.begin(), apart.end(), k) != apart.end()) continue;
        heads.emplace(a, k);
        heads.emplace(b, k);
      }
    }
  for (const auto& [a, b] : heads) {
    if (!heads.contains({b, a}))
      out.pattern.orient(a, b);
    else if (a < b)
      out.conflicts.emplace_back(a, b);
  }
  out.pattern.close();
  return out;
}

base::Result<std::unique_ptr<FamilyScore>> bic_score(const Sample& sample) {
  if (sample.discrete) return std::unique_ptr<FamilyScore>(std::make_unique<DiscreteBic>(sample));
  PL_TRY(MatrixD correlation, correlation_of(sample));
  return std::unique_ptr<FamilyScore>(std::make_unique<GaussianBic>(std::move(correlation), sample.rows));
}

std::unique_ptr<FamilyScore> bdeu_score(const Sample& sample, double weight) {
  return std::make_unique<Bdeu>(sample, weight);
}

base::Result<Discovery> learn_by_score(const FamilyScore& score, std::size_t variables, const GesOptions& options) {
  return Ges(score, variables, options).run();
}

base::Result<Discovery> learn_exactly(const FamilyScore& score, std::size_t variables, const GesOptions& options) {
  if (variables > kMostExact)
    return make_error(Code::kLimit, fmt::format("{} variables, at most {} for the best of all", variables, kMostExact),
                      {}, "use ges, or leave columns out");
  Discovery out;
  std::vector<BestFamilies> families;
  for (std::size_t v = 0; v < variables; ++v) {
    PL_CHECK(options.cancel.status());
    families.push_back(best_families(score, v, variables, options.parents, out.tests));
  }
  // Of every subset, the variable that comes last in its best order.
  const Mask count = Mask{1} << variables;
  std::vector<double> of_set(count, kNever);
  std::vector<std::uint8_t> last(count, 0);
  of_set[0] = 0;
  for (Mask set = 1; set < count; ++set)
    for (std::size_t v = 0; v < variables; ++v) {
      if (!(set >> v & 1U)) continue;
      const Mask before = set & ~(Mask{1} << v);
      const double value = of_set[before] + families[v].score[before];
      if (value <= of_set[set]) continue;
      of_set[set] = value;
      last[set] = static_cast<std::uint8_t>(v);
    }
  std::vector<NodeSet> parents(variables);
  for (Mask set = count - 1; set > 0;) {
    const std::size_t v = last[set];
    set &= ~(Mask{1} << v);
    for (std::size_t w = 0; w < variables; ++w)
      if (families[v].parents[set] >> w & 1U) parents[v].insert(static_cast<int>(w));
  }
  out.pattern = pattern_of(parents);
  return out;
}

double graph_score(const FamilyScore& score, const std::vector<NodeSet>& parents) {
  double out = 0;
  for (std::size_t v = 0; v < parents.size(); ++v)
    out += score.score(static_cast<int>(v), {parents[v].begin(), parents[v].end()});
  return out;
}

base::Result<Method> parse_method(std::string_view name) {
  if (name == "pc") return Method::kPc;
  if (name == "ges") return Method::kGes;
  if (name == "exact") return Method::kExact;
  return make_error(Code::kValue, fmt::format("there is no method '{}'", name), {}, "methods are pc, ges and exact");
}

base::Result<Learned> learn(const Sample& sample, const LearnOptions& options, const base::Rng& rng) {
  Learned out;
  PL_TRY(out.found, discover(sample, options));
  if (options.replicates == 0) return out;
  std::vector<std::optional<Pattern>> again(options.replicates);
  PL_CHECK(base::parallel_for(
      options.replicates,
      [&](std::size_t r) -> base::Status {
        base::Rng own = rng.fork(r);
        std::vector<std::size_t> rows(sample.rows);
        for (std::size_t& row : rows) row = own.below(sample.rows);
        PL_TRY(Discovery one, discover(sample.take(rows), options));
        again[r] = std::move(one.pattern);
        return base::ok();
      },
      options.method == Method::kPc ? options.pc.cancel : options.ges.cancel));
  const auto n = static_cast<int>(sample.variables());
  const auto share = [&](auto&& holds) {
    return static_cast<double>(
               std::count_if(again.begin(), again.end(), [&](const std::optional<Pattern>& p) { return holds(*p); })) /
           static_cast<double>(options.replicates);
  };
  for (int a = 0; a < n; ++a)
    for (int b = a + 1; b < n; ++b) {
      const double adjacent = share([&](const Pattern& p) { return p.adjacent(a, b); });
      if (adjacent == 0 && !out.found.pattern.adjacent(a, b)) continue;
      out.confidence.push_back({a, b, adjacent, share([&](const Pattern& p) { return p.directed(a, b); }),
                                share([&](const Pattern& p) { return p.directed(b, a); })});
    }
  return out;
}

}  // namespace plumbline::counterfactual::causal
