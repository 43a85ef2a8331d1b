#include "plumbline/robustness/proof/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/robustness/proof/replay.hpp"

namespace plumbline::robustness {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A token that is cancelled at a deadline, or with another token.
class Deadline {
 public:
  Deadline(double seconds, base::CancelToken parent)
      : token_(base::CancelToken::make()), parent_(std::move(parent)), start_(std::chrono::steady_clock::now()) {
    const auto span = std::chrono::duration<double>(std::min(seconds, 1e9));
    end_ = start_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(span);
    watch_ = std::thread([this] {
      std::unique_lock lock(mutex_);
      while (!done_) {
        if (parent_.cancelled() || std::chrono::steady_clock::now() >= end_) {
          token_.cancel();
          return;
        }
        wake_.wait_until(lock, std::min(end_, std::chrono::steady_clock::now() + std::chrono::milliseconds(50)));
      }
    });
  }
  ~Deadline() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_all();
    watch_.join();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  const base::CancelToken& token() const { return token_; }
  bool passed() const { return token_.cancelled(); }
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  base::CancelToken token_;
  base::CancelToken parent_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point end_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread watch_;
};

/// The cases of one box as rows: one linear function for each atom, which refutes it where above zero.
struct Question {
  std::size_t box = 0;
  std::vector<std::size_t> cases;
  std::vector<std::size_t> first;  ///< by case: its first row; one more at the end
  LinearRows rows;
  std::vector<bool> strict;  ///< by row
};

Question ask(const Property& property, std::size_t box, std::vector<std::size_t> cases) {
  Question q;
  q.box = box;
  q.cases = std::move(cases);
  q.first.push_back(0);
  bool any_input = false;
  for (const std::size_t c : q.cases) {
    for (const LinearAtom& atom : property.cases[c].atoms) any_input = any_input || !atom.x.empty();
  }
  for (const std::size_t c : q.cases) {
    for (const LinearAtom& atom : property.cases[c].atoms) {
      q.rows.output.resize(q.rows.output.size() + property.outputs, 0.0);
      double* y = q.rows.output.data() + q.rows.count * property.outputs;
      for (const auto& [j, a] : atom.y) y[j] = a;
      if (any_input) {
        q.rows.input.resize(q.rows.input.size() + property.inputs, 0.0);
        double* x = q.rows.input.data() + q.rows.count * property.inputs;
        for (const auto& [i, a] : atom.x) x[i] = a;
      }
      q.rows.constant.push_back(-atom.bound.above);
      q.strict.push_back(atom.strict);
      ++q.rows.count;
    }
    q.first.push_back(q.rows.count);
  }
  return q;
}

/// For each case its best row; whether that refutes it; the least of all cases.
struct Judged {
  std::vector<std::uint32_t> atoms;
  std::vector<bool> refuted;
  double worst = kInfinity;
  std::size_t worst_case = 0;
  std::size_t worst_row = 0;
  bool all = true;
};

Judged judge(const Question& q, const std::vector<double>& lower) {
  Judged out;
  for (std::size_t c = 0; c < q.cases.size(); ++c) {
    std::size_t best = q.first[c];
    bool refuted = false;
    double value = -kInfinity;
    for (std::size_t r = q.first[c]; r < q.first[c + 1]; ++r) {
      const bool own = q.strict[r] ? lower[r] >= 0 : lower[r] > 0;
      if ((own && !refuted) || (own == refuted && lower[r] > value)) {
        best = r;
        value = lower[r];
        refuted = own;
      }
    }
    out.atoms.push_back(static_cast<std::uint32_t>(best - q.first[c]));
    out.refuted.push_back(refuted);
    if (!refuted) {
      if (out.all || value < out.worst) {
        out.worst = value;
        out.worst_case = c;
        out.worst_row = best;
      }
      out.all = false;
    } else if (out.all) {
      out.worst = std::min(out.worst, value);
    }
  }
  return out;
}

/// Multipliers of the atoms of inputs alone, which cut the box: with each row goes the sum of these and the row is
/// bounded anew.
struct Cuts {
  LinearRows rows;                              ///< the question's, cuts added
  std::vector<std::vector<float>> multipliers;  ///< by row: one an atom of its case, or none
};

/// The multiplier at which constant + min over the box of (a + m g) x - m bound is largest: concave and piecewise
/// linear in m. 0 where it grows without end: the cut then misses the box and is refuted by itself.
double best_multiplier(const Box& box, const std::vector<double>& a, const LinearAtom& cut) {
  struct Break {
    double at;
    double drop;
  };
  std::vector<Break> breaks;
  double slope = -cut.bound.above;
  for (const auto& [i, g] : cut.x) {
    if (g == 0) continue;
    const bool low = a[i] > 0 || (a[i] == 0 && g > 0);
    slope += g * (low ? box.lower[i] : box.upper[i]);
    const double at = -a[i] / g;
    if (at > 0) breaks.push_back({at, std::abs(g) * (box.upper[i] - box.lower[i])});
  }
  if (!(slope > 0)) return 0;
  std::sort(breaks.begin(), breaks.end(), [](const Break& p, const Break& q) { return p.at < q.at; });
  for (const Break& b : breaks) {
    slope -= b.drop;
    if (!(slope > 0)) return b.at;
  }
  return 0;
}

/// Nothing where no case that is open has a cut that helps.
std::optional<Cuts> cut(const Property& property, const Question& q, const Box& box, const Judged& judged,
                        const RowBounds& bounds) {
  Cuts out;
  out.rows = q.rows;
  out.multipliers.resize(q.rows.count);
  bool any = false;
  const std::size_t n = property.inputs;
  for (std::size_t c = 0; c < q.cases.size(); ++c) {
    if (judged.refuted[c]) continue;
    const std::vector<LinearAtom>& atoms = property.cases[q.cases[c]].atoms;
    for (std::size_t r = q.first[c]; r < q.first[c + 1]; ++r) {
      std::vector<double> a(bounds.input.begin() + static_cast<std::ptrdiff_t>(r * n),
                            bounds.input.begin() + static_cast<std::ptrdiff_t>((r + 1) * n));
      std::vector<float> m(atoms.size(), 0.0F);
      bool helps = false;
      constexpr int kSweeps = 3;
      for (int sweep = 0; sweep < kSweeps; ++sweep) {
        for (std::size_t k = 0; k < atoms.size(); ++k) {
          if (!atoms[k].y.empty() || atoms[k].x.empty() || k == r - q.first[c]) continue;
          for (const auto& [i, g] : atoms[k].x) a[i] -= static_cast<double>(m[k]) * g;
          m[k] = static_cast<float>(best_multiplier(box, a, atoms[k]));
          if (!std::isfinite(m[k])) m[k] = 0;
          for (const auto& [i, g] : atoms[k].x) a[i] += static_cast<double>(m[k]) * g;
          helps = helps || m[k] > 0;
        }
      }
      if (!helps) continue;
      any = true;
      for (std::size_t k = 0; k < atoms.size(); ++k) {
        const auto times = static_cast<double>(m[k]);
        if (times == 0) continue;
        for (const auto& [i, g] : atoms[k].x) out.rows.input[r * n + i] += times * g;
        out.rows.constant[r] -= times * atoms[k].bound.above;
      }
      out.multipliers[r] = std::move(m);
    }
  }
  if (!any) return std::nullopt;
  return out;
}

/// The tree of a search as it grows; written in preorder at the end.
struct Tree {
  struct Node {
    CertificateNode split;
    std::uint32_t child[2] = {0, 0};
    std::uint32_t leaf = 0;
  };
  std::vector<Node> nodes = {{}};
  std::vector<CertificateLeaf> leaves;
  std::uint64_t bytes = 0;

  void close(std::uint32_t at, CertificateLeaf leaf) {
    bytes += 17 + 4 * (leaf.atoms.size() + leaf.shares.size() + leaf.multipliers.size() + leaf.cuts.size());
    nodes[at].leaf = static_cast<std::uint32_t>(leaves.size());
    leaves.push_back(std::move(leaf));
  }
  void split(std::uint32_t at, const CertificateNode& how) {
    bytes += 13;
    nodes[at].split = how;
    const auto first = static_cast<std::uint32_t>(nodes.size());
    nodes[at].child[0] = first;
    nodes[at].child[1] = first + 1;
    nodes.resize(nodes.size() + 2);
  }
  CertificateTree finish(std::vector<std::size_t> cases, std::int32_t table) {
    CertificateTree out;
    for (const std::size_t c : cases) out.cases.push_back(static_cast<std::uint32_t>(c));
    out.table = table;
    std::vector<std::uint32_t> stack = {0};
    while (!stack.empty()) {
      const Node& node = nodes[stack.back()];
      stack.pop_back();
      out.nodes.push_back(node.split);
      if (node.split.kind == CertificateNode::Kind::kLeaf) {
        out.leaves.push_back(std::move(leaves[node.leaf]));
      } else {
        stack.push_back(node.child[1]);
        stack.push_back(node.child[0]);
      }
    }
    return out;
  }
};

class Search {
 public:
  Search(const graph::Graph& graph, const Network& network, const Property& property, const VerifyOptions& options,
         const Deadline& deadline, Verification& out)
      : graph_(graph),
        network_(network),
        property_(property),
        options_(options),
        deadline_(deadline),
        out_(out),
        bounder_(network) {
    for (const Step& step : network.steps) {
      if (step.kind == StepKind::kActivation && step.function != Function::kHinge) smooth_ = true;
    }
    for (const UnsafeCase& one : property.cases) {
      for (const LinearAtom& atom : one.atoms) has_cuts_ = has_cuts_ || (atom.y.empty() && !atom.x.empty());
    }
  }

  /// Ends with a verdict in `out`, or with nothing left open.
  base::Status run() {
    out_.best_bound = kInfinity;
    for (std::size_t b = 0; b < property_.boxes.size() && !ended_; ++b) {
      std::vector<std::size_t> cases;
      for (std::size_t c = 0; c < property_.cases.size(); ++c) {
        if (property_.cases[c].box == b) cases.push_back(c);
      }
      Box box;
      for (std::size_t i = 0; i < property_.inputs; ++i) {
        box.lower.push_back(property_.boxes[b].lower[i].below);
        box.upper.push_back(property_.boxes[b].upper[i].above);
      }
      const bool bisect = smooth_ || property_.inputs <= options_.few_inputs;
      PL_CHECK(bisect ? bisect_inputs(ask(property_, b, cases), box) : split_activations(b, cases, box));
    }
    return base::ok();
  }

  /// One attack, and what it found replayed.
  base::Status attack_with(const SearchOptions& options) {
    auto attacked =
        search_violation(network_, property_, options, base::Rng(options_.seed, {"verify"}), deadline_.token());
    if (!attacked.ok()) return stopped(attacked.error());
    const bool first = out_.attack.traces.empty();
    out_.attack.traces.insert(out_.attack.traces.end(), attacked->traces.begin(), attacked->traces.end());
    if (first || attacked->best < out_.attack.best) {
      out_.attack.best = attacked->best;
      out_.attack.x = attacked->x;
      out_.attack.which = attacked->which;
    }
    if (!attacked->found) return base::ok();
    out_.attack.found = true;
    PL_TRY(const Replay result, replay(graph_, network_, property_, attacked->x));
    if (result.verdict != AtPoint::kUnsafe) return base::ok();
    ended_ = true;
    out_.verdict = ProofVerdict::kViolated;
    out_.reason = fmt::format("a witness was found by the attack '{}'; decided by {}",
                              search_method_name(attacked->traces.back().method), result.decided_by);
    out_.witness = attacked->x;
    out_.output = result.output;
    out_.which = result.which;
    return base::ok();
  }

  bool ended() const { return ended_; }
  bool certified() const { return certified_; }

 private:
  void give_up(const std::string& reason, double bound, bool by_clock = false) {
    ended_ = true;
    out_.verdict = ProofVerdict::kUnknown;
    out_.reason = reason;
    out_.timed_out = by_clock;
    out_.best_bound = std::min(out_.best_bound, bound);
  }
  std::string clock_reason() const { return fmt::format("time: the limit of {} s", options_.seconds); }

  std::string region_reason() const { return fmt::format("regions: the limit of {}", options_.regions); }

  /// Whether x is a witness; if so the search has ended.
  base::Result<bool> try_witness(std::vector<double> x) {
    const auto& boxes = property_.boxes;
    // Proofs use boxes rounded outward, witnesses the nearest one.
    for (const InputBox& box : boxes) {
      std::vector<double> near = x;
      for (std::size_t i = 0; i < near.size(); ++i)
        near[i] = std::min(std::max(near[i], box.lower[i].nearest), box.upper[i].nearest);
      PL_TRY(const Replay result, replay(graph_, network_, property_, near));
      if (result.verdict != AtPoint::kUnsafe) continue;
      ended_ = true;
      out_.verdict = ProofVerdict::kViolated;
      out_.reason = "a witness was found by the search; decided by " + result.decided_by;
      out_.witness = std::move(near);
      out_.output = result.output;
      out_.which = result.which;
      return true;
    }
    return false;
  }

  bool looks_unsafe(const Question& q, const std::vector<double>& x) const {
    const std::vector<double> y = forward(network_, x, 1).back();
    for (const std::size_t c : q.cases) {
      if (case_excess(property_.cases[c], x, y) <= 0) return true;
    }
    return false;
  }

  /// Too much to keep: the search goes on without a certificate.
  void watch_size(Tree& tree, std::uint64_t others) {
    if (!certified_) return;
    std::uint64_t bytes = tree.bytes + others;
    std::size_t leaves = tree.leaves.size();
    for (const CertificateTree& done : out_.certificate.trees) leaves += done.leaves.size();
    if (leaves > options_.certificate_leaves || bytes > options_.certificate_bytes) {
      certified_ = false;
      out_.reason = fmt::format("the certificate would have more than {} leaves or {} bytes",
                                options_.certificate_leaves, options_.certificate_bytes);
    }
  }

  /// Rows that the cuts bound better, and the multipliers that did.
  std::vector<bool> take_better(const RowBounds& with, const Cuts& cuts, RowBounds& rows,
                                std::vector<std::vector<float>>& used) const {
    std::vector<bool> taken(rows.lower.size(), false);
    used.resize(rows.lower.size());
    const std::size_t n = property_.inputs;
    for (std::size_t r = 0; r < rows.lower.size(); ++r) {
      if (cuts.multipliers[r].empty() || !(with.lower[r] > rows.lower[r])) continue;
      rows.lower[r] = with.lower[r];
      std::copy_n(with.input.begin() + static_cast<std::ptrdiff_t>(r * n), n,
                  rows.input.begin() + static_cast<std::ptrdiff_t>(r * n));
      used[r] = cuts.multipliers[r];
      taken[r] = true;
    }
    return taken;
  }

  /// As a leaf holds them: for each case the multipliers of the row that was chosen.
  std::vector<float> cuts_of(const Question& q, const Judged& judged,
                             const std::vector<std::vector<float>>& used) const {
    std::vector<float> out;
    bool any = false;
    for (std::size_t c = 0; c < q.cases.size() && !used.empty(); ++c) {
      const std::size_t atoms = property_.cases[q.cases[c]].atoms.size();
      const std::vector<float>& own = used[q.first[c] + judged.atoms[c]];
      any = any || !own.empty();
      for (std::size_t k = 0; k < atoms; ++k) out.push_back(own.empty() ? 0.0F : own[k]);
    }
    return any ? out : std::vector<float>{};
  }

  // Few inputs -------------------------------------------------------------------------------------------------------

  struct Region {
    double bound = -kInfinity;
    std::uint64_t number = 0;
    std::uint32_t node = 0;
    Box box;
  };
  struct Later {
    bool operator()(const Region& a, const Region& b) const {
      return a.bound != b.bound ? a.bound > b.bound : a.number > b.number;
    }
  };
  struct Outcome {
    Judged judged;
    std::vector<std::vector<float>> cuts;  ///< by row
    std::size_t dimension = 0;
    bool candidate = false;
    std::vector<double> x;
  };

  base::Status bisect_inputs(const Question& q, const Box& root) {
    std::priority_queue<Region, std::vector<Region>, Later> open;
    Tree tree;
    std::uint64_t number = 0;
    double stuck_bound = kInfinity;
    bool stuck = false;
    open.push({-kInfinity, number++, 0, root});
    double least = kInfinity;  // of what is proved
    while (!open.empty() && !ended_) {
      std::vector<Region> round;
      while (!open.empty() && round.size() < options_.round) {
        round.push_back(open.top());
        open.pop();
      }
      std::vector<Outcome> outcomes(round.size());
      const auto status = base::parallel_for(
          round.size(), [&](std::size_t i) { return look(q, round[i].box, outcomes[i]); }, deadline_.token());
      double floor = round.empty() ? kInfinity : round[0].bound;  // best-first: none that waits is lower
      if (!status.ok()) {
        if (status.error().code != base::Code::kCancelled) return status;
        give_up(clock_reason(), std::min(floor, stuck_bound), true);
        return base::ok();
      }
      out_.regions += round.size();
      out_.has_bound = true;
      for (std::size_t i = 0; i < round.size(); ++i) {
        const Outcome& outcome = outcomes[i];
        if (outcome.judged.all) {
          least = std::min(least, outcome.judged.worst);
          tree.close(round[i].node, {.atoms = outcome.judged.atoms,
                                     .shares = {},
                                     .multipliers = {},
                                     .cuts = cuts_of(q, outcome.judged, outcome.cuts)});
          continue;
        }
        if (outcome.candidate) {
          PL_TRY(const bool found, try_witness(outcome.x));
          if (found) return base::ok();
        }
        const std::size_t d = outcome.dimension;
        const double low = round[i].box.lower[d];
        const double high = round[i].box.upper[d];
        const double middle = low + (high - low) / 2;
        if (!(low < middle && middle < high)) {
          stuck = true;
          stuck_bound = std::min(stuck_bound, outcome.judged.worst);
          continue;
        }
        const double bound = std::max(round[i].bound, outcome.judged.worst);
        tree.split(round[i].node, {.kind = CertificateNode::Kind::kInput,
                                   .index = static_cast<std::uint32_t>(d),
                                   .neuron = 0,
                                   .threshold = middle});
        for (const int side : {0, 1}) {
          Region child{bound, number++, tree.nodes[round[i].node].child[side], round[i].box};
          (side == 0 ? child.box.upper : child.box.lower)[d] = middle;
          open.push(std::move(child));
        }
      }
      PL_CHECK(attack_once(!open.empty()));
      if (ended_) return base::ok();
      watch_size(tree, 0);
      const std::uint64_t each = 2 * 8 * property_.inputs + 96;
      if (open.size() * each + tree.nodes.size() * sizeof(Tree::Node) + tree.bytes > options_.memory_bytes) {
        give_up(fmt::format("memory: the limit of {} MiB", options_.memory_bytes >> 20U),
                std::min(open.empty() ? kInfinity : open.top().bound, stuck_bound));
        return base::ok();
      }
      if (out_.regions >= options_.regions && !open.empty()) {
        give_up(region_reason(), std::min(open.top().bound, stuck_bound));
        return base::ok();
      }
      if (deadline_.passed() && !open.empty()) {
        give_up(clock_reason(), std::min(open.top().bound, stuck_bound), true);
        return base::ok();
      }
    }
    if (ended_) return base::ok();
    if (stuck) {
      give_up("precision: a region that no double divides is neither proved nor violated", stuck_bound);
      return base::ok();
    }
    out_.best_bound = std::min(out_.best_bound, least);
    if (certified_) out_.certificate.trees.push_back(tree.finish(q.cases, -1));
    return base::ok();
  }

  /// How much a row can change with each input at most, anywhere in the box: products of the sizes of weights over all
  /// activations that are not off. In doubt a little for every input, so that each is halved some day.
  std::vector<double> steepness(const Question& q, const Bounds& bounds, std::size_t row) const {
    std::vector<std::vector<double>> size(network_.steps.size());
    for (std::size_t s = 0; s < network_.steps.size(); ++s) size[s].assign(network_.steps[s].size, 0.0);
    if (q.rows.count > 0) {
      for (std::size_t j = 0; j < size.back().size(); ++j)
        size.back()[j] = std::abs(q.rows.output[row * size.back().size() + j]);
    }
    for (std::size_t s = network_.steps.size() - 1; s > 0; --s) {
      const Step& step = network_.steps[s];
      const std::vector<double>& own = size[s];
      for (std::size_t k = 0; k < step.from.size(); ++k) {
        std::vector<double>& target = size[step.from[k]];
        const Affine& a = step.affine;
        for (std::size_t i = 0; i < own.size(); ++i) {
          if (own[i] == 0) continue;
          if (step.kind == StepKind::kSum) {
            target[i] += own[i];
          } else if (step.kind == StepKind::kAffine && a.dense) {
            for (std::size_t j = 0; j < a.columns; ++j) target[j] += own[i] * std::abs(a.weights[i * a.columns + j]);
          } else if (step.kind == StepKind::kAffine) {
            for (std::size_t e = a.start[i]; e < a.start[i + 1]; ++e)
              target[a.column[e]] += own[i] * std::abs(a.weights[e]);
          } else if (step.function == Function::kHinge) {
            const double l = bounds.lower[step.from[0]][i];
            const double u = bounds.upper[step.from[0]][i];
            const double leak = std::abs(step.leak[i]);
            target[i] += own[i] * (u <= 0 ? leak : l >= 0 ? 1.0 : std::max(1.0, leak));
          } else {
            target[i] += own[i];
          }
        }
      }
    }
    double total = 0;
    for (const double g : size[0]) total += std::isfinite(g) ? g : 0.0;
    for (std::size_t i = 0; i < size[0].size(); ++i) {
      if (!q.rows.input.empty()) size[0][i] += std::abs(q.rows.input[row * size[0].size() + i]);
      size[0][i] = (std::isfinite(size[0][i]) ? size[0][i] : total) + 1e-3 * total + 1e-200;
    }
    return std::move(size[0]);
  }

  /// What halving each input would gain for a row. The coefficient alone says what halving gains at once, and starves
  /// inputs that bend the network; steepness alone ignores what the linear bound has already taken in. Their product
  /// did better than either on ACAS Xu.
  std::vector<double> gains(const Question& q, const Box& box, const Bounds& bounds, const RowBounds& rows,
                            std::size_t row) const {
    const std::vector<double> steep = steepness(q, bounds, row);
    const std::size_t n = box.lower.size();
    const double* linear = q.rows.count == 0 ? nullptr : rows.input.data() + row * n;
    double total = 0;
    for (std::size_t i = 0; i < n && linear != nullptr; ++i)
      total += std::abs(linear[i]) * (box.upper[i] - box.lower[i]);
    std::vector<double> out(n);
    for (std::size_t i = 0; i < n; ++i) {
      const double width = box.upper[i] - box.lower[i];
      const double gain =
          linear == nullptr || !(total > 0) || !std::isfinite(total) ? 1.0 : std::abs(linear[i]) * width / total + 0.02;
      out[i] = width > 0 ? width * steep[i] * gain : 0.0;
    }
    return out;
  }

  /// Halving what a cut speaks of may make the cut itself impossible: its spread over the region, in spreads over the
  /// whole box, so that it counts less and less and starves no other input.
  void add_cut_gains(const Question& q, const Box& box, std::size_t c, std::vector<double>& score) const {
    const double most = *std::max_element(score.begin(), score.end());
    if (most > 0) {
      for (double& value : score) value /= most;
    }
    const InputBox& whole = property_.boxes[q.box];
    for (const LinearAtom& atom : property_.cases[q.cases[c]].atoms) {
      if (!atom.y.empty()) continue;
      double total = 0;
      for (const auto& [i, a] : atom.x) total += std::abs(a) * (whole.upper[i].above - whole.lower[i].below);
      if (!(total > 0)) continue;
      for (const auto& [i, a] : atom.x) score[i] += std::abs(a) * (box.upper[i] - box.lower[i]) / total;
    }
  }

  base::Status look(const Question& q, const Box& box, Outcome& out) const {
    PL_TRY(const Bounds bounds, bounder_.bound(box, options_.node, nullptr, deadline_.token()));
    RowBounds rows = bounder_.minimise(bounds, q.rows, {});
    out.judged = judge(q, rows.lower);
    if (out.judged.all) return base::ok();
    if (const auto cuts = has_cuts_ ? cut(property_, q, box, out.judged, rows) : std::nullopt) {
      take_better(bounder_.minimise(bounds, cuts->rows, {}), *cuts, rows, out.cuts);
      out.judged = judge(q, rows.lower);
      if (out.judged.all) return base::ok();
    }
    const std::size_t telling = telling_row(q, out.judged, rows.lower);
    std::vector<double> score = gains(q, box, bounds, rows, telling);
    if (has_cuts_) add_cut_gains(q, box, out.judged.worst_case, score);
    double most = 0;
    for (std::size_t i = 0; i < score.size(); ++i) {
      if (score[i] > most) {
        most = score[i];
        out.dimension = i;
      }
    }
    out.x = q.rows.count == 0 ? box.lower : bounder_.minimiser(box, rows, telling);
    out.candidate = looks_unsafe(q, out.x);
    return base::ok();
  }

  // Many inputs ------------------------------------------------------------------------------------------------------

  struct Node {
    double bound = -kInfinity;
    std::uint64_t number = 0;
    std::uint32_t at = 0;
    std::vector<ActivationSplit> splits;
    std::shared_ptr<const Slopes> slopes;  ///< one row a row of the question
    std::vector<double> multipliers;       ///< rows x splits
  };
  struct NodeLater {
    bool operator()(const Node& a, const Node& b) const {
      return a.bound != b.bound ? a.bound > b.bound : a.number > b.number;
    }
  };
  struct NodeOutcome {
    Judged judged;
    Slopes slopes;
    std::vector<double> multipliers;
    std::vector<std::vector<float>> cuts;  ///< by row
    ActivationSplit split;
    bool can_split = false;
    bool candidate = false;
    std::vector<double> x;
  };

  base::Status split_activations(std::size_t b, const std::vector<std::size_t>& cases, const Box& box) {
    // Cheap bounds first; the slopes of the root are optimised only for what they leave open.
    std::vector<std::size_t> left;
    {
      const auto bounds = bounder_.bound(box, {.method = BoundMethod::kLinear}, nullptr, deadline_.token());
      if (!bounds.ok()) return stopped(bounds.error());
      out_.has_bound = true;
      for (const std::size_t c : cases) {
        PL_TRY(const bool proved, root_case(ask(property_, b, {c}), box, *bounds, -1, false));
        if (ended_) return base::ok();
        if (!proved) left.push_back(c);
      }
    }
    if (left.empty()) return base::ok();
    PL_CHECK(attack_once(true));
    if (ended_) return base::ok();
    SlopeTable table;
    const auto bounds = bounder_.bound(box, options_.root, &table, deadline_.token());
    if (!bounds.ok()) return stopped(bounds.error());
    out_.certificate.tables.push_back(pack(table));
    const auto number = static_cast<std::int32_t>(out_.certificate.tables.size()) - 1;
    for (const std::size_t c : left) {
      PL_TRY([[maybe_unused]] const bool proved, root_case(ask(property_, b, {c}), box, *bounds, number, true));
      if (ended_) return base::ok();
    }
    return base::ok();
  }

  /// The strong attack, when the first root is not proved.
  base::Status attack_once(bool open) {
    if (!open || attacked_) return base::ok();
    attacked_ = true;
    return attack_with(options_.attack);
  }

  base::Status stopped(const base::Error& error) {
    if (error.code != base::Code::kCancelled) return error;
    give_up(clock_reason(), -kInfinity, true);
    return base::ok();
  }

  CertificateTable pack(const SlopeTable& table) const {
    CertificateTable out;
    for (const SlopeTable::Entry& from : table.entries) {
      CertificateTable::Entry entry;
      entry.step = static_cast<std::uint32_t>(from.step);
      for (const std::size_t neuron : from.neurons) entry.neurons.push_back(static_cast<std::uint32_t>(neuron));
      for (const int side : from.sides) entry.sides.push_back(static_cast<std::int8_t>(side));
      for (std::size_t r = 0; r < from.neurons.size(); ++r) {
        const Shares row = shares(from.slopes, r, from.neurons.size(), from.step);
        entry.shares.insert(entry.shares.end(), row.begin(), row.end());
      }
      out.entries.push_back(std::move(entry));
    }
    return out;
  }

  /// Row `row` of `rows` rows of slopes, as a certificate holds them: hinges of the steps before `end`.
  Shares shares(const Slopes& slopes, std::size_t row, std::size_t rows, std::size_t end) const {
    Shares out;
    for (std::size_t s = 0; s < end; ++s) {
      const Step& step = network_.steps[s];
      if (step.kind != StepKind::kActivation || step.function != Function::kHinge) continue;
      const std::vector<double>& share = slopes.share[s];
      for (std::size_t i = 0; i < step.size; ++i)
        out.push_back(share.size() == rows * step.size ? static_cast<float>(share[row * step.size + i]) : 0.0F);
    }
    return out;
  }

  CertificateLeaf leaf_of(const Question& q, const NodeOutcome& outcome, std::size_t splits) const {
    CertificateLeaf leaf;
    leaf.atoms = outcome.judged.atoms;
    const std::size_t row = outcome.judged.atoms[0];
    leaf.shares = shares(outcome.slopes, row, q.rows.count, network_.steps.size());
    for (std::size_t k = 0; k < splits; ++k)
      leaf.multipliers.push_back(static_cast<float>(outcome.multipliers[row * splits + k]));
    leaf.cuts = cuts_of(q, outcome.judged, outcome.cuts);
    return leaf;
  }

  /// One case: proved at the root, or, with `search`, by splitting. False: left open.
  base::Result<bool> root_case(const Question& q, const Box& box, const Bounds& root, std::int32_t table, bool search) {
    if (q.rows.count == 0) {
      PL_TRY(const bool found, try_witness(box.lower));
      if (!found && search) give_up("precision: the box lies between two doubles", -kInfinity);
      return false;
    }
    std::priority_queue<Node, std::vector<Node>, NodeLater> open;
    Tree tree;
    std::uint64_t number = 0;
    double least = kInfinity;
    double stuck_bound = kInfinity;
    std::string stuck;
    open.push({-kInfinity, number++, 0, {}, std::make_shared<const Slopes>(), {}});
    BoundOptions options = options_.node;
    if (tree.nodes.size() == 1) options.iterations = 2 * options_.node.iterations;
    while (!open.empty() && !ended_) {
      std::vector<Node> round;
      while (!open.empty() && round.size() < options_.round / 4 + 1) {
        round.push_back(open.top());
        open.pop();
      }
      std::vector<NodeOutcome> outcomes(round.size());
      const auto status = base::parallel_for(
          round.size(),
          [&](std::size_t i) {
            look(q, box, root, round[i], options, search, outcomes[i]);
            return deadline_.token().status();
          },
          deadline_.token());
      if (!status.ok()) {
        if (status.error().code != base::Code::kCancelled) return status.error();
        give_up(clock_reason(), std::min(round[0].bound, stuck_bound), true);
        return false;
      }
      out_.regions += round.size();
      options.iterations = options_.node.iterations;
      for (std::size_t i = 0; i < round.size(); ++i) {
        NodeOutcome& outcome = outcomes[i];
        Node& node = round[i];
        if (outcome.judged.all) {
          least = std::min(least, outcome.judged.worst);
          tree.close(node.at, leaf_of(q, outcome, node.splits.size()));
          continue;
        }
        if (outcome.candidate) {
          PL_TRY(const bool found, try_witness(outcome.x));
          if (found) return false;
        }
        if (!search) return false;
        if (!outcome.can_split) {
          stuck = std::isfinite(outcome.judged.worst)
                      ? "precision: every activation of a region is decided, and its margin is below rounding"
                      : "overflow: a bound is not finite";
          stuck_bound = std::min(stuck_bound, outcome.judged.worst);
          continue;
        }
        const double bound = std::max(node.bound, outcome.judged.worst);
        tree.split(node.at, {.kind = CertificateNode::Kind::kActivation,
                             .index = static_cast<std::uint32_t>(outcome.split.step),
                             .neuron = static_cast<std::uint32_t>(outcome.split.neuron),
                             .threshold = 0});
        const auto slopes = std::make_shared<const Slopes>(std::move(outcome.slopes));
        for (const int side : {0, 1}) {
          Node child{bound, number++, tree.nodes[node.at].child[side], node.splits, slopes, {}};
          child.splits.push_back({outcome.split.step, outcome.split.neuron, side == 0 ? -1 : 1});
          const std::size_t k = node.splits.size();
          for (std::size_t r = 0; r < q.rows.count; ++r) {
            for (std::size_t m = 0; m < k; ++m) child.multipliers.push_back(outcome.multipliers[r * k + m]);
            child.multipliers.push_back(0);
          }
          open.push(std::move(child));
        }
      }
      watch_size(tree, out_.certificate.tables.empty() ? 0 : 4U * network_.activations() * network_.activations());
      const std::uint64_t each = 8 * q.rows.count * (network_.activations() / 2 + 32) + 256;
      if (open.size() * each + tree.bytes > options_.memory_bytes) {
        give_up(fmt::format("memory: the limit of {} MiB", options_.memory_bytes >> 20U),
                std::min(open.empty() ? kInfinity : open.top().bound, stuck_bound));
        return false;
      }
      if (out_.regions >= options_.regions && !open.empty()) {
        give_up(region_reason(), std::min(open.top().bound, stuck_bound));
        return false;
      }
      if (deadline_.passed() && !open.empty()) {
        give_up(clock_reason(), std::min(open.top().bound, stuck_bound), true);
        return false;
      }
    }
    if (ended_) return false;
    if (!stuck.empty() && has_cuts_) {
      // What meets cuts and decided activations lies in no corner of the box, and their dual is followed by steps
      // alone: halving inputs finds it, or closes the case.
      PL_CHECK(bisect_inputs(q, box));
      return !ended_;
    }
    if (!stuck.empty()) {
      give_up(stuck, stuck_bound);
      return false;
    }
    out_.best_bound = std::min(out_.best_bound, least);
    if (certified_) out_.certificate.trees.push_back(tree.finish(q.cases, table));
    return true;
  }

  bool has_open_hinge(const Bounds& bounds) const {
    for (const Step& step : network_.steps) {
      if (step.kind != StepKind::kActivation || step.function != Function::kHinge) continue;
      for (std::size_t i = 0; i < step.size; ++i) {
        if (bounds.lower[step.from[0]][i] < 0 && bounds.upper[step.from[0]][i] > 0) return true;
      }
    }
    return false;
  }

  void look(const Question& q, const Box& box, const Bounds& root, const Node& node, const BoundOptions& options,
            bool search, NodeOutcome& out) const {
    Bounds bounds = root;
    bounder_.clamp(bounds, node.splits);
    out.slopes = *node.slopes;
    out.multipliers = node.multipliers;
    RowBounds rows =
        bounder_.optimise(bounds, q.rows, out.slopes, node.splits, out.multipliers, options, 0.0, deadline_.token());
    out.judged = judge(q, rows.lower);
    if (out.judged.all) return;
    if (add_cuts(q, box, bounds, node, options, rows, out)) return;
    if (search && !has_open_hinge(bounds)) {
      // Nothing is relaxed any more: what remains is a linear program, and its dual needs more steps.
      BoundOptions longer = options;
      longer.iterations = 1000;
      longer.decay = 0.99;
      rows =
          bounder_.optimise(bounds, q.rows, out.slopes, node.splits, out.multipliers, longer, 0.0, deadline_.token());
      out.judged = judge(q, rows.lower);
      out.cuts.clear();
      if (out.judged.all || add_cuts(q, box, bounds, node, longer, rows, out)) return;
    }
    const std::size_t row = telling_row(q, out.judged, rows.lower);
    out.x = bounder_.minimiser(box, rows, row);
    out.candidate = looks_unsafe(q, out.x);
    if (search) choose(q, bounds, node, rows, row, out);
  }

  /// The rows bounded with the cuts of the case, slopes and all multipliers improved together. Whether everything is
  /// refuted then. Precondition: one case.
  bool add_cuts(const Question& q, const Box& box, const Bounds& bounds, const Node& node, const BoundOptions& options,
                RowBounds& rows, NodeOutcome& out) const {
    const std::vector<LinearAtom>& atoms = property_.cases[q.cases[0]].atoms;
    std::vector<std::size_t> which;
    for (std::size_t k = 0; k < atoms.size(); ++k) {
      if (atoms[k].y.empty() && !atoms[k].x.empty()) which.push_back(k);
    }
    if (which.empty()) return false;
    Cuts cuts{.rows = {}, .multipliers = {}};
    if (auto first = cut(property_, q, box, out.judged, rows)) cuts = std::move(*first);
    cuts.multipliers.resize(q.rows.count);
    const std::size_t n = property_.inputs;
    InputCuts given{.count = which.size(),
                    .coefficients = std::vector<double>(which.size() * n, 0.0),
                    .bound = {},
                    .multipliers = std::vector<double>(q.rows.count * which.size(), 0.0)};
    for (std::size_t k = 0; k < which.size(); ++k) {
      for (const auto& [i, a] : atoms[which[k]].x) given.coefficients[k * n + i] += a;
      given.bound.push_back(atoms[which[k]].bound.above);
      for (std::size_t r = 0; r < q.rows.count; ++r) {
        const std::vector<float>& own = cuts.multipliers[r];
        if (!own.empty()) given.multipliers[r * which.size() + k] = static_cast<double>(own[which[k]]);
      }
    }
    Slopes slopes = out.slopes;
    std::vector<double> multipliers = out.multipliers;
    const RowBounds with =
        bounder_.optimise(bounds, q.rows, slopes, node.splits, multipliers, options, 0.0, deadline_.token(), &given);
    for (std::size_t r = 0; r < q.rows.count; ++r) {
      cuts.multipliers[r].assign(atoms.size(), 0.0F);
      for (std::size_t k = 0; k < which.size(); ++k)
        cuts.multipliers[r][which[k]] = static_cast<float>(given.multipliers[r * which.size() + k]);
    }
    const std::vector<bool> taken = take_better(with, cuts, rows, out.cuts);
    // A row keeps the slopes that its bound was made with.
    const std::size_t splits = node.splits.size();
    for (std::size_t r = 0; r < q.rows.count; ++r) {
      if (!taken[r]) continue;
      for (std::size_t s = 0; s < slopes.share.size(); ++s) {
        if (slopes.share[s].empty()) continue;
        const std::size_t size = network_.steps[s].size;
        const auto at = static_cast<std::ptrdiff_t>(r * size);
        std::copy_n(slopes.share[s].begin() + at, size, out.slopes.share[s].begin() + at);
        if (!with.activation[s].empty() && !rows.activation[s].empty())
          std::copy_n(with.activation[s].begin() + at, size, rows.activation[s].begin() + at);
      }
      const auto at = static_cast<std::ptrdiff_t>(r * splits);
      std::copy_n(multipliers.begin() + at, splits, out.multipliers.begin() + at);
    }
    out.judged = judge(q, rows.lower);
    return out.judged.all;
  }

  /// The row that says most about outputs: a cut says nothing of what activations do. The worst row itself without
  /// cuts.
  std::size_t telling_row(const Question& q, const Judged& judged, const std::vector<double>& lower) const {
    const std::size_t c = judged.worst_case;
    std::size_t best = q.rows.count == 0 ? 0 : judged.worst_row % q.rows.count;  // a case may have no row at all
    if (!has_cuts_) return best;
    bool any = false;
    for (std::size_t r = q.first[c]; r < q.first[c + 1]; ++r) {
      if (property_.cases[q.cases[c]].atoms[r - q.first[c]].y.empty()) continue;
      if (!any || lower[r] > lower[best]) best = r;
      any = true;
    }
    return best;
  }

  /// The activation to split: of those whose relaxation costs most, the one whose children are bounded best.
  void choose(const Question& q, const Bounds& bounds, const Node& node, const RowBounds& rows, std::size_t row,
              NodeOutcome& out) const {
    struct Choice {
      double score;
      std::size_t step;
      std::size_t neuron;
    };
    std::vector<Choice> choices;
    for (std::size_t s = 0; s < network_.steps.size(); ++s) {
      const Step& step = network_.steps[s];
      if (step.kind != StepKind::kActivation || step.function != Function::kHinge) continue;
      const std::size_t from = step.from[0];
      for (std::size_t i = 0; i < step.size; ++i) {
        const double l = bounds.lower[from][i];
        const double u = bounds.upper[from][i];
        if (!(l < 0 && u > 0)) continue;
        const double c = rows.activation[s].empty() ? 0.0 : rows.activation[s][row * step.size + i];
        const double share = out.slopes.share[s][row * step.size + i];
        // At z = 0 the chord lies this far above; at the ends the lower line lies this far below.
        const double above = (1 - step.leak[i]) * -l * u / (u - l);
        const double below = (1 - step.leak[i]) * std::min(-l * share, u * (1 - share));
        choices.push_back({c < 0 ? -c * above : c * below, s, i});
      }
    }
    if (choices.empty()) return;
    constexpr std::size_t kTried = 4;
    const std::size_t count = std::min(kTried, choices.size());
    std::partial_sort(choices.begin(), choices.begin() + static_cast<std::ptrdiff_t>(count), choices.end(),
                      [](const Choice& a, const Choice& b) {
                        return a.score != b.score ? a.score > b.score
                                                  : (a.step != b.step ? a.step < b.step : a.neuron < b.neuron);
                      });
    out.can_split = true;
    double best = -kInfinity;
    out.split = {choices[0].step, choices[0].neuron, 1};
    if (count == 1) return;
    std::vector<double> multipliers;
    const std::size_t k = node.splits.size();
    for (std::size_t r = 0; r < q.rows.count; ++r) {
      for (std::size_t m = 0; m < k; ++m) multipliers.push_back(out.multipliers[r * k + m]);
      multipliers.push_back(0);
    }
    for (std::size_t t = 0; t < count; ++t) {
      double least = kInfinity;
      double sum = 0;
      for (const int sign : {-1, 1}) {
        std::vector<ActivationSplit> splits = node.splits;
        splits.push_back({choices[t].step, choices[t].neuron, sign});
        Bounds child = bounds;
        bounder_.clamp(child, std::span(splits).last(1));
        const double lower = bounder_.minimise(child, q.rows, out.slopes, splits, multipliers).lower[row];
        least = std::min(least, lower);
        sum += std::max(std::min(lower, 0.0), -1e300);
      }
      const double value = least + 0.1 * sum;
      if (value > best) {
        best = value;
        out.split = {choices[t].step, choices[t].neuron, 1};
      }
    }
  }

  const graph::Graph& graph_;
  const Network& network_;
  const Property& property_;
  const VerifyOptions& options_;
  const Deadline& deadline_;
  Verification& out_;
  Bounder bounder_;
  bool smooth_ = false;
  bool has_cuts_ = false;  ///< some atom speaks of inputs alone
  bool ended_ = false;
  bool certified_ = true;
  bool attacked_ = false;
};

}  // namespace

std::string_view proof_verdict_name(ProofVerdict verdict) {
  switch (verdict) {
    case ProofVerdict::kHolds: return "holds";
    case ProofVerdict::kHoldsUncertified: return "holds-uncertified";
    case ProofVerdict::kViolated: return "violated";
    case ProofVerdict::kUnknown: return "unknown";
  }
  return "";
}

base::Result<Verification> verify(const graph::Graph& graph, const Network& network, const Property& property,
                                  const VerifyOptions& options, const base::CancelToken& cancel) {
  if (property.inputs != network.inputs() || property.outputs != network.outputs()) {
    return base::make_error(base::Code::kShape,
                            fmt::format("the property speaks of {} inputs and {} outputs, the network has {} and {}",
                                        property.inputs, property.outputs, network.inputs(), network.outputs()),
                            property.name);
  }
  PL_CHECK(base::check_in("verify", "seconds", options.seconds, 0, 1e9));
  PL_CHECK(base::check_at_least("verify", "round", static_cast<std::ptrdiff_t>(options.round), 1));
  Verification out;
  if (options.seconds == 0) {
    out.reason = "time: a limit of zero seconds";
    out.timed_out = true;
    return out;
  }
  const Deadline deadline(options.seconds, cancel);
  const auto finish = [&]() -> base::Result<Verification> {
    PL_CHECK(cancel.status());
    out.seconds = deadline.seconds();
    return std::move(out);
  };
  Search search(graph, network, property, options, deadline, out);
  PL_CHECK(search.attack_with(options.quick));
  if (search.ended()) return finish();
  PL_CHECK(search.run());
  if (search.ended()) return finish();
  out.leaves = out.certificate.leaves();
  if (!search.certified()) {
    out.verdict = ProofVerdict::kHoldsUncertified;
    out.certificate = {};
    return finish();
  }
  const auto checked = check_certificate(network, property, out.certificate, deadline.token());
  if (!checked.ok()) {
    if (checked.error().code != base::Code::kCancelled) return checked.error();
    out.verdict = ProofVerdict::kHoldsUncertified;
    out.reason = "the replay of the certificate did not end within the time limit";
    out.timed_out = true;
    return finish();
  }
  out.certificate_margin = checked->least;
  if (!checked->valid) {
    out.verdict = ProofVerdict::kHoldsUncertified;
    out.reason = "the checker does not accept the certificate: " + checked->reason;
    return finish();
  }
  std::string how = "in outward-rounded double";
  if (network.piecewise_linear() && exact_work(network, out.certificate) <= options.exact_work) {
    const auto exact = check_certificate_exactly(network, property, out.certificate, deadline.token());
    if (!exact.ok() && exact.error().code != base::Code::kCancelled) return exact.error();
    if (exact.ok() && !exact->valid) {
      out.verdict = ProofVerdict::kHoldsUncertified;
      out.reason = "the replay in exact rationals does not accept the certificate: " + exact->reason;
      return finish();
    }
    out.exact_replay = exact.ok();
    how += exact.ok() ? " and in exact rationals" : " (that in exact rationals did not end in time)";
  }
  out.verdict = ProofVerdict::kHolds;
  out.reason = fmt::format("no region is left; the certificate of {} leaves was replayed {}", out.leaves, how);
  return finish();
}

}  // namespace plumbline::robustness
