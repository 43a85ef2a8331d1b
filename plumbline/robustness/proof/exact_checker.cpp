/// Replays certificates in exact arithmetic. Every double is a dyadic rational, and so is every sum and product of
/// them: nothing is rounded but the ranges of the steps, outward, to doubles. Shares no code with the search, and none
/// with the checker in double.
#include <fmt/format.h>
#include <gmpxx.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"
#include "plumbline/robustness/proof/certificate.hpp"

namespace plumbline::robustness {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// mantissa 2^exponent.
class Dyadic {
 public:
  Dyadic() = default;
  /// Precondition: finite.
  explicit Dyadic(double value) {
    if (value == 0) return;
    int exponent = 0;
    const double fraction = std::frexp(value, &exponent);
    auto whole = static_cast<long>(std::ldexp(fraction, 53));
    exponent_ = exponent - 53;
    while (whole % 2 == 0) {
      whole /= 2;
      ++exponent_;
    }
    mantissa_ = whole;
  }
  int sign() const { return sgn(mantissa_); }
  Dyadic negated() const {
    Dyadic out = *this;
    out.mantissa_ = -out.mantissa_;
    return out;
  }
  Dyadic& operator+=(const Dyadic& other) {
    if (other.sign() == 0) return *this;
    if (sign() == 0) return *this = other;
    align(other.exponent_);
    if (other.exponent_ == exponent_) {
      mantissa_ += other.mantissa_;
    } else {
      mantissa_ += other.mantissa_ << static_cast<unsigned long>(other.exponent_ - exponent_);
    }
    return *this;
  }
  /// *this += a b.
  void add_product(const Dyadic& a, const Dyadic& b) {
    if (a.sign() == 0 || b.sign() == 0) return;
    Dyadic product;
    product.mantissa_ = a.mantissa_ * b.mantissa_;
    product.exponent_ = a.exponent_ + b.exponent_;
    *this += product;
  }
  bool operator<(const Dyadic& other) const {
    Dyadic difference = *this;
    difference += other.negated();
    return difference.sign() < 0;
  }
  /// The nearest doubles below and above, infinite beyond their range.
  double below() const { return -negated().above(); }
  double above() const {
    if (sign() == 0) return 0;
    long exponent = 0;
    const double fraction = mpz_get_d_2exp(&exponent, mantissa_.get_mpz_t());  // towards zero
    const long power = exponent + exponent_;
    if (power > 1024) return sign() > 0 ? kInfinity : -std::numeric_limits<double>::max();
    if (power < -1000) return sign() > 0 ? std::numeric_limits<double>::min() : 0;
    const double value = std::ldexp(fraction, static_cast<int>(power));
    if (!std::isfinite(value)) return sign() > 0 ? kInfinity : -std::numeric_limits<double>::max();
    return Dyadic(value) < *this ? std::nextafter(value, kInfinity) : value;
  }

 private:
  /// Makes the exponent at most `exponent`.
  void align(long exponent) {
    if (exponent_ <= exponent) return;
    mantissa_ <<= static_cast<unsigned long>(exponent_ - exponent);
    exponent_ = exponent;
  }
  mpz_class mantissa_;
  long exponent_ = 0;
};

struct Ranges {
  std::vector<std::vector<double>> low;
  std::vector<std::vector<double>> high;
};

struct Split {
  std::size_t step = 0;
  std::size_t neuron = 0;
  int sign = 1;
};

struct Leaf {
  std::size_t number = 0;
  Ranges ranges;  ///< of the inputs, in front
  bool bisected = false;
  std::vector<Split> splits;
};

using Rows = std::vector<std::vector<Dyadic>>;

class ExactChecker {
 public:
  ExactChecker(const Network& network, const Property& property, const Certificate& certificate)
      : network_(network), property_(property), certificate_(certificate) {
    const std::size_t steps = network.steps.size();
    bends_.assign(steps, false);
    read_by_.assign(steps, 0);
    for (std::size_t s = 0; s < steps; ++s) {
      const Step& step = network.steps[s];
      first_hinge_.push_back(hinges_);
      if (step.kind == StepKind::kActivation) hinges_ += step.size;
      bends_[s] = step.kind == StepKind::kActivation;
      for (const std::size_t from : step.from) bends_[s] = bends_[s] || bends_[from];
      if (step.kind == StepKind::kActivation && read_by_[step.from[0]] == 0) read_by_[step.from[0]] = s;
      std::vector<Dyadic> weights;
      for (const double w : step.affine.weights) weights.emplace_back(w);
      weights_.push_back(std::move(weights));
    }
  }

  base::Result<CheckOutcome> run(const base::CancelToken& cancel) {
    CheckOutcome out;
    out.least = kInfinity;
    std::vector<bool> proved(property_.cases.size(), false);
    for (std::size_t t = 0; t < certificate_.trees.size(); ++t) {
      PL_TRY(const std::string wrong, replay_tree(certificate_.trees[t], out, cancel));
      if (!wrong.empty()) {
        out.reason = fmt::format("tree {}: {}", t, wrong);
        return out;
      }
      for (const std::uint32_t c : certificate_.trees[t].cases) proved[c] = true;
    }
    for (std::size_t c = 0; c < proved.size(); ++c) {
      if (proved[c]) continue;
      out.reason = fmt::format("case {} of the property is not proved", c);
      return out;
    }
    out.valid = true;
    return out;
  }

 private:
  using Table = std::map<std::tuple<std::size_t, std::size_t, int>, const float*>;

  base::Result<std::string> replay_tree(const CertificateTree& tree, CheckOutcome& out,
                                        const base::CancelToken& cancel) {
    if (tree.cases.empty()) return std::string("no case");
    for (const std::uint32_t c : tree.cases) {
      if (c >= property_.cases.size() || property_.cases[c].box != property_.cases[tree.cases[0]].box)
        return fmt::format("case {} does not belong there", c);
    }
    table_.clear();
    if (tree.table >= 0) {
      if (static_cast<std::size_t>(tree.table) >= certificate_.tables.size())
        return std::string("its table is missing");
      for (const CertificateTable::Entry& entry : certificate_.tables[static_cast<std::size_t>(tree.table)].entries) {
        if (entry.step >= network_.steps.size() || entry.sides.size() != entry.neurons.size() ||
            entry.shares.size() != entry.neurons.size() * first_hinge_[entry.step])
          return fmt::format("the table's rows for step {} do not fit", entry.step);
        for (std::size_t r = 0; r < entry.neurons.size(); ++r)
          table_[{entry.step, entry.neurons[r], entry.sides[r]}] = entry.shares.data() + r * first_hinge_[entry.step];
      }
    }
    Leaf root;
    const InputBox& box = property_.boxes[property_.cases[tree.cases[0]].box];
    root.ranges.low.resize(1);
    root.ranges.high.resize(1);
    for (std::size_t i = 0; i < property_.inputs; ++i) {
      root.ranges.low[0].push_back(box.lower[i].below);
      root.ranges.high[0].push_back(box.upper[i].above);
    }
    Ranges shared = root.ranges;
    extend(shared);
    std::vector<Leaf> leaves;
    const std::string wrong = collect(tree, root, leaves);
    if (!wrong.empty()) return wrong;
    std::vector<double> margins(leaves.size(), -kInfinity);
    PL_CHECK(base::parallel_for(
        leaves.size(),
        [&](std::size_t i) {
          margins[i] = replay_leaf(tree, leaves[i], shared);
          return base::ok();
        },
        cancel));
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      if (margins[i] == -kInfinity) return fmt::format("leaf {}: an inequality is not refuted", leaves[i].number);
      out.least = std::min(out.least, margins[i]);
    }
    out.leaves += leaves.size();
    return std::string();
  }

  /// The leaves of the preorder walk; what is wrong with the tree, or "".
  std::string collect(const CertificateTree& tree, const Leaf& root, std::vector<Leaf>& leaves) const {
    std::vector<Leaf> waiting = {root};
    for (const CertificateNode& node : tree.nodes) {
      if (waiting.empty()) return "nodes after the end of the tree";
      Leaf at = std::move(waiting.back());
      waiting.pop_back();
      if (node.kind == CertificateNode::Kind::kLeaf) {
        at.number = leaves.size();
        leaves.push_back(std::move(at));
        continue;
      }
      Leaf other = at;
      if (node.kind == CertificateNode::Kind::kInput) {
        if (node.index >= property_.inputs) return fmt::format("there is no input {}", node.index);
        double& end = at.ranges.high[0][node.index];
        double& begin = other.ranges.low[0][node.index];
        if (!(begin <= node.threshold && node.threshold <= end)) return "a threshold outside of its range";
        end = begin = node.threshold;
        at.bisected = other.bisected = true;
      } else {
        if (node.index >= network_.steps.size() || network_.steps[node.index].kind != StepKind::kActivation ||
            node.neuron >= network_.steps[node.index].size)
          return fmt::format("there is no hinge {} in step {}", node.neuron, node.index);
        at.splits.push_back({node.index, node.neuron, -1});
        other.splits.push_back({node.index, node.neuron, 1});
      }
      waiting.push_back(std::move(other));
      waiting.push_back(std::move(at));
    }
    if (!waiting.empty()) return "the tree ends too early";
    return leaves.size() == tree.leaves.size() ? "" : "the tree has another number of leaves";
  }

  /// From the inputs' ranges to those of every step: intervals, and the linear bound of what may change sign.
  void extend(Ranges& r) const {
    r.low.resize(network_.steps.size());
    r.high.resize(network_.steps.size());
    for (std::size_t s = 1; s < network_.steps.size(); ++s) {
      const Step& step = network_.steps[s];
      r.low[s].resize(step.size);
      r.high[s].resize(step.size);
      for (std::size_t i = 0; i < step.size; ++i) interval(step, s, i, r);
      const std::size_t reader = read_by_[s];
      if (reader == 0 || !bends_[s]) continue;
      for (std::size_t i = 0; i < step.size; ++i) {
        if (!(r.low[s][i] < 0 && r.high[s][i] > 0)) continue;
        for (const int side : {1, -1}) {
          Rows rows(s + 1);
          rows[s].resize(step.size);
          rows[s][i] = Dyadic(side);
          const auto found = table_.find({reader, i, side});
          Dyadic bound;
          if (!least(std::move(rows), bound, s, r, found == table_.end() ? nullptr : found->second, {}, {})) continue;
          if (side > 0) r.low[s][i] = std::max(r.low[s][i], bound.below());
          if (side < 0) r.high[s][i] = std::min(r.high[s][i], -bound.below());
        }
        if (!(r.low[s][i] <= r.high[s][i])) {  // cannot be; says nothing if it is
          r.low[s][i] = -kInfinity;
          r.high[s][i] = kInfinity;
        }
      }
    }
  }

  void interval(const Step& step, std::size_t s, std::size_t i, Ranges& r) const {
    double& low = r.low[s][i];
    double& high = r.high[s][i];
    if (step.kind == StepKind::kActivation) {
      const Dyadic leak(step.leak[i]);
      const auto f = [&](double z) {
        Dyadic out;
        if (z >= 0) return Dyadic(z);
        out.add_product(leak, Dyadic(z));
        return out;
      };
      const double l = r.low[step.from[0]][i];
      const double u = r.high[step.from[0]][i];
      if (!std::isfinite(l) || !std::isfinite(u)) {
        low = step.leak[i] == 0 ? 0 : -kInfinity;
        high = kInfinity;
        return;
      }
      low = std::min(f(l).below(), f(u).below());
      high = std::max(f(l).above(), f(u).above());
      if (l < 0 && u > 0) low = std::min(low, 0.0);
      return;
    }
    Dyadic down;
    Dyadic up;
    bool open = false;
    const auto add = [&](const Dyadic& weight, std::size_t from, std::size_t j) {
      if (weight.sign() == 0) return;
      const double l = r.low[from][j];
      const double u = r.high[from][j];
      if (!std::isfinite(l) || !std::isfinite(u)) {
        open = true;
        return;
      }
      down.add_product(weight, Dyadic(weight.sign() > 0 ? l : u));
      up.add_product(weight, Dyadic(weight.sign() > 0 ? u : l));
    };
    if (step.kind == StepKind::kSum) {
      for (std::size_t k = 0; k < step.from.size(); ++k) add(Dyadic(step.signs[k]), step.from[k], i);
    } else {
      const Affine& a = step.affine;
      down = up = Dyadic(a.bias[i]);
      const std::size_t begin = a.dense ? i * a.columns : a.start[i];
      const std::size_t end = a.dense ? begin + a.columns : a.start[i + 1];
      for (std::size_t e = begin; e < end; ++e) add(weights_[s][e], step.from[0], a.dense ? e - begin : a.column[e]);
    }
    low = open ? -kInfinity : down.below();
    high = open ? kInfinity : up.above();
  }

  /// constant becomes a lower bound of constant + the linear function of the steps up to `top`. False: nothing known.
  bool least(Rows rows, Dyadic& constant, std::size_t top, const Ranges& r, const float* shares,
             const std::vector<Split>& splits, const std::vector<float>& multipliers) const {
    for (std::size_t s = top; s > 0; --s) {
      if (rows[s].empty()) continue;
      const Step& step = network_.steps[s];
      const std::vector<Dyadic> own = std::move(rows[s]);
      for (std::size_t k = 0; k < step.from.size(); ++k) {
        std::vector<Dyadic>& target = rows[step.from[k]];
        if (target.empty()) target.resize(network_.steps[step.from[k]].size);
        for (std::size_t i = 0; i < own.size(); ++i) {
          if (step.kind == StepKind::kActivation) {
            if (!through(step, s, i, own[i], r, shares, target, constant)) return false;
          } else if (own[i].sign() == 0) {
            continue;
          } else if (step.kind == StepKind::kSum) {
            target[i].add_product(Dyadic(step.signs[k]), own[i]);
          } else {
            const Affine& a = step.affine;
            constant.add_product(own[i], Dyadic(a.bias[i]));
            const std::size_t begin = a.dense ? i * a.columns : a.start[i];
            const std::size_t end = a.dense ? begin + a.columns : a.start[i + 1];
            for (std::size_t e = begin; e < end; ++e)
              target[a.dense ? e - begin : a.column[e]].add_product(own[i], weights_[s][e]);
          }
        }
        if (step.kind != StepKind::kActivation) continue;
        for (std::size_t m = 0; m < splits.size() && !multipliers.empty(); ++m) {
          // On the side sign z >= 0, f >= f - m sign z.
          if (splits[m].step == s)
            target[splits[m].neuron] += Dyadic(-splits[m].sign * static_cast<double>(multipliers[m]));
        }
      }
    }
    for (std::size_t j = 0; j < rows[0].size(); ++j) {
      if (rows[0][j].sign() == 0) continue;
      const double end = rows[0][j].sign() > 0 ? r.low[0][j] : r.high[0][j];
      if (!std::isfinite(end)) return false;
      constant.add_product(rows[0][j], Dyadic(end));
    }
    return true;
  }

  /// c f(z) >= c (slope z + offset) on the range of z.
  bool through(const Step& step, std::size_t s, std::size_t i, const Dyadic& c, const Ranges& r, const float* shares,
               std::vector<Dyadic>& target, Dyadic& constant) const {
    if (c.sign() == 0) return true;
    const double l = r.low[step.from[0]][i];
    const double u = r.high[step.from[0]][i];
    const double leak = step.leak[i];
    if (l >= 0 || u <= 0) {
      target[i].add_product(c, Dyadic(l >= 0 ? 1.0 : leak));
      return true;
    }
    if (c.sign() > 0) {
      double share = u > -l * std::max(1.0, -leak) ? 1.0 : 0.0;
      if (shares != nullptr) share = static_cast<double>(shares[first_hinge_[s] + i]);
      const double slope = leak + share * (1 - leak);
      // Every slope from leak to 1 lies below.
      target[i].add_product(c, Dyadic(slope >= leak ? std::min(slope, 1.0) : leak));
      return true;
    }
    if (!std::isfinite(l) || !std::isfinite(u)) return false;
    double slope = (u - leak * l) / (u - l);
    if (!(slope >= leak && slope <= 1)) slope = 1;
    target[i].add_product(c, Dyadic(slope));
    // Whatever the slope, the line that meets or passes the function at both ends lies above it.
    Dyadic at_u(u);
    at_u.add_product(Dyadic(-slope), Dyadic(u));
    Dyadic at_l;
    at_l.add_product(Dyadic(leak), Dyadic(l));
    at_l.add_product(Dyadic(-slope), Dyadic(l));
    constant.add_product(c, at_u < at_l ? at_l : at_u);
    return true;
  }

  /// The least exact bound, as a double below it; -infinity where an inequality is not refuted.
  double replay_leaf(const CertificateTree& tree, const Leaf& leaf, const Ranges& shared) const {
    const CertificateLeaf& own = tree.leaves[leaf.number];
    std::size_t atoms = 0;
    for (const std::uint32_t c : tree.cases) atoms += property_.cases[c].atoms.size();
    if (own.atoms.size() != tree.cases.size() || (!own.shares.empty() && own.shares.size() != hinges_) ||
        (!own.multipliers.empty() && own.multipliers.size() != leaf.splits.size()) ||
        (!own.cuts.empty() && own.cuts.size() != atoms))
      return -kInfinity;
    for (const auto* given : {&own.multipliers, &own.cuts}) {
      for (const float m : *given) {
        if (!(m >= 0 && std::isfinite(m))) return -kInfinity;
      }
    }
    for (const float share : own.shares) {
      if (!(share >= 0 && share <= 1)) return -kInfinity;
    }
    Ranges r = shared;
    if (leaf.bisected) {
      r = leaf.ranges;
      extend(r);
    }
    for (const Split& split : leaf.splits) {
      const std::size_t from = network_.steps[split.step].from[0];
      double& l = r.low[from][split.neuron];
      double& u = r.high[from][split.neuron];
      if (split.sign > 0) l = std::max(l, 0.0);
      if (split.sign < 0) u = std::min(u, 0.0);
      if (!(l <= u)) return -kInfinity;
    }
    const std::size_t last = network_.steps.size() - 1;
    double worst = kInfinity;
    std::size_t next = 0;
    for (std::size_t c = 0; c < tree.cases.size(); ++c) {
      const UnsafeCase& unsafe = property_.cases[tree.cases[c]];
      const std::size_t cuts = next;
      next += unsafe.atoms.size();
      if (own.atoms[c] >= unsafe.atoms.size()) return -kInfinity;
      Rows rows(last + 1);
      rows[last].resize(property_.outputs);
      rows[0].resize(property_.inputs);
      Dyadic bound;
      for (std::size_t k = 0; k < unsafe.atoms.size(); ++k) {
        const Dyadic times((k == own.atoms[c] ? 1.0 : 0.0) +
                           (own.cuts.empty() ? 0.0 : static_cast<double>(own.cuts[cuts + k])));
        if (times.sign() == 0) continue;
        for (const auto& [j, a] : unsafe.atoms[k].y) rows[last][j].add_product(times, Dyadic(a));
        for (const auto& [j, a] : unsafe.atoms[k].x) rows[0][j].add_product(times, Dyadic(a));
        bound.add_product(times, Dyadic(-unsafe.atoms[k].bound.above));
      }
      if (!least(std::move(rows), bound, last, r, own.shares.empty() ? nullptr : own.shares.data(), leaf.splits,
                 own.multipliers))
        return -kInfinity;
      if (!(unsafe.atoms[own.atoms[c]].strict ? bound.sign() >= 0 : bound.sign() > 0)) return -kInfinity;
      worst = std::min(worst, bound.below());
    }
    return std::max(worst, -std::numeric_limits<double>::max());
  }

  const Network& network_;
  const Property& property_;
  const Certificate& certificate_;
  std::size_t hinges_ = 0;
  std::vector<std::size_t> first_hinge_;      ///< by step: hinges of earlier steps
  std::vector<bool> bends_;                   ///< by step: a hinge lies at or before it
  std::vector<std::size_t> read_by_;          ///< by step: the first activation that reads it, or 0
  std::vector<std::vector<Dyadic>> weights_;  ///< of affine steps, as stored
  Table table_;
};

}  // namespace

base::Result<CheckOutcome> check_certificate_exactly(const Network& network, const Property& property,
                                                     const Certificate& certificate, const base::CancelToken& cancel) {
  PL_CHECK(base::check_size("check_certificate_exactly", "property.inputs",
                            static_cast<std::ptrdiff_t>(property.inputs),
                            static_cast<std::ptrdiff_t>(network.inputs())));
  PL_CHECK(base::check_size("check_certificate_exactly", "property.outputs",
                            static_cast<std::ptrdiff_t>(property.outputs),
                            static_cast<std::ptrdiff_t>(network.outputs())));
  if (!network.piecewise_linear()) {
    return base::make_error(base::Code::kUnsupported,
                            "the network is not piecewise linear with exact weights, so no exact replay is possible",
                            "check_certificate_exactly", "replay it in double");
  }
  return ExactChecker(network, property, certificate).run(cancel);
}

double exact_work(const Network& network, const Certificate& certificate) {
  const auto pass = static_cast<double>(network.multiply_adds());
  const auto hinges = static_cast<double>(network.activations());
  double work = 0;
  for (const CertificateTree& tree : certificate.trees) {
    const bool bisected = std::any_of(tree.nodes.begin(), tree.nodes.end(), [](const CertificateNode& node) {
      return node.kind == CertificateNode::Kind::kInput;
    });
    const auto leaves = static_cast<double>(tree.leaves.size());
    const auto cases = static_cast<double>(tree.cases.size());
    // Each range of a hinge's input takes up to two backward passes; bisected boxes have ranges of their own.
    work += pass * (leaves * cases + (bisected ? leaves + 1 : 1.0) * (1 + 2 * hinges));
  }
  return work;
}

}  // namespace plumbline::robustness
