/// Replays certificates. Shares no code with the search: of this folder it includes what a network, a property and a
/// certificate are, and nothing that bounds. Everything below `replay_leaf` runs with upward rounding, so a sum of
/// products is at least its true value, and a lower bound is the negative of such a sum. The build sets -frounding-math
/// here.
#include <fmt/format.h>

#include <algorithm>
#include <cfenv>
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

/// Values of each step, low[s][i] <= z <= high[s][i], and the larger size.
struct Ranges {
  std::vector<std::vector<double>> low;
  std::vector<std::vector<double>> high;
  std::vector<std::vector<double>> size;
};

struct Split {
  std::size_t step = 0;
  std::size_t neuron = 0;
  double sign = 1;
};

/// The region of a leaf, and what the certificate says about it.
struct Leaf {
  std::size_t number = 0;
  std::vector<double> low;
  std::vector<double> high;
  bool cut = false;  ///< the box is not the tree's
  std::vector<Split> splits;
};

/// A chosen line below or above an activation.
struct Support {
  double slope = 0;
  double offset = 0;
};

class Checker {
 public:
  Checker(const Network& network, const Property& property, const Certificate& certificate)
      : network_(network), property_(property), certificate_(certificate) {
    for (const Step& step : network.steps) {
      offset_.push_back(hinges_);
      if (step.kind == StepKind::kActivation && step.function == Function::kHinge) hinges_ += step.size;
      bool behind = step.kind == StepKind::kActivation;
      for (const std::size_t from : step.from) behind = behind || behind_[from];
      behind_.push_back(behind);
    }
    reader_.assign(network.steps.size(), 0);
    for (std::size_t s = network.steps.size(); s-- > 1;) {
      if (network.steps[s].kind == StepKind::kActivation) reader_[network.steps[s].from[0]] = s;
    }
  }

  base::Result<CheckOutcome> run(const base::CancelToken& cancel) {
    CheckOutcome out;
    out.least = kInfinity;
    std::vector<bool> proved(property_.cases.size(), false);
    for (std::size_t t = 0; t < certificate_.trees.size(); ++t) {
      PL_TRY(const std::string wrong, tree(t, out, cancel));
      if (!wrong.empty()) {
        out.reason = fmt::format("tree {}: {}", t, wrong);
        return out;
      }
      for (const std::uint32_t c : certificate_.trees[t].cases) proved[c] = true;
    }
    const auto open = std::find(proved.begin(), proved.end(), false);
    if (open != proved.end()) {
      out.reason = fmt::format("case {} of the property is not proved", open - proved.begin());
      return out;
    }
    out.valid = true;
    return out;
  }

 private:
  using Rows = std::vector<std::vector<double>>;  ///< a linear function of the steps: one coefficient a value

  base::Result<std::string> tree(std::size_t t, CheckOutcome& out, const base::CancelToken& cancel) {
    const CertificateTree& own = certificate_.trees[t];
    if (own.cases.empty()) return std::string("no case");
    for (const std::uint32_t c : own.cases) {
      if (c >= property_.cases.size()) return fmt::format("the property has no case {}", c);
      if (property_.cases[c].box != property_.cases[own.cases[0]].box) return std::string("cases of different boxes");
    }
    if (own.table >= 0 && static_cast<std::size_t>(own.table) >= certificate_.tables.size())
      return fmt::format("there is no table {}", own.table);
    const InputBox& box = property_.boxes[property_.cases[own.cases[0]].box];
    Leaf root;
    for (std::size_t i = 0; i < property_.inputs; ++i) {
      root.low.push_back(box.lower[i].below);
      root.high.push_back(box.upper[i].above);
    }
    rows_.clear();
    if (own.table >= 0) {
      const std::string wrong = index_table(certificate_.tables[static_cast<std::size_t>(own.table)]);
      if (!wrong.empty()) return wrong;
    }
    Ranges ranges;
    {
      const Upward upward;
      ranges = ranges_of(root.low, root.high);
    }
    // Preorder walk; a batch of leaves at a time is replayed in parallel.
    std::vector<Leaf> stack = {root};
    std::size_t next_leaf = 0;
    std::vector<Leaf> batch;
    std::string wrong;
    const auto replay_batch = [&]() -> base::Status {
      std::vector<double> least(batch.size(), -kInfinity);
      PL_CHECK(base::parallel_for(
          batch.size(),
          [&](std::size_t i) {
            const Upward upward;
            least[i] = replay_leaf(own, batch[i], ranges);
            return base::ok();
          },
          cancel));
      for (std::size_t i = 0; i < batch.size() && wrong.empty(); ++i) {
        if (!(least[i] > -kInfinity)) wrong = fmt::format("leaf {}: an inequality is not refuted", batch[i].number);
        out.least = std::min(out.least, least[i]);
      }
      out.leaves += batch.size();
      batch.clear();
      return base::ok();
    };
    for (const CertificateNode& node : own.nodes) {
      if (stack.empty()) return std::string("nodes after the end of the tree");
      Leaf at = std::move(stack.back());
      stack.pop_back();
      if (node.kind == CertificateNode::Kind::kLeaf) {
        at.number = next_leaf++;
        batch.push_back(std::move(at));
        if (batch.size() == 2048) PL_CHECK(replay_batch());
        if (!wrong.empty()) return wrong;
        continue;
      }
      Leaf low = at;
      Leaf high = std::move(at);
      if (node.kind == CertificateNode::Kind::kInput) {
        if (node.index >= low.low.size()) return fmt::format("there is no input {}", node.index);
        if (!(node.threshold >= low.low[node.index] && node.threshold <= low.high[node.index]))
          return fmt::format("a threshold {} of input {} outside its range", node.threshold, node.index);
        low.high[node.index] = high.low[node.index] = node.threshold;
        low.cut = high.cut = true;
      } else {
        if (node.index >= network_.steps.size() || network_.steps[node.index].kind != StepKind::kActivation ||
            network_.steps[node.index].function != Function::kHinge || node.neuron >= network_.steps[node.index].size)
          return fmt::format("step {} has no hinge {}", node.index, node.neuron);
        low.splits.push_back({node.index, node.neuron, -1});
        high.splits.push_back({node.index, node.neuron, 1});
      }
      stack.push_back(std::move(high));
      stack.push_back(std::move(low));
    }
    PL_CHECK(replay_batch());
    if (wrong.empty() && !stack.empty()) return std::string("the tree ends too early");
    return wrong;
  }

  /// Where the table's slopes lie: by activation step, then neuron and side. What is wrong with it, or "".
  std::string index_table(const CertificateTable& table) {
    for (const CertificateTable::Entry& entry : table.entries) {
      if (entry.step >= network_.steps.size() || network_.steps[entry.step].kind != StepKind::kActivation)
        return fmt::format("the table names step {}", entry.step);
      const std::size_t width = offset_[entry.step];
      if (entry.sides.size() != entry.neurons.size() || entry.shares.size() != entry.neurons.size() * width)
        return fmt::format("the table's rows for step {} have another size", entry.step);
      for (std::size_t r = 0; r < entry.neurons.size(); ++r)
        rows_[{entry.step, entry.neurons[r], entry.sides[r]}] = entry.shares.data() + r * width;
    }
    return "";
  }

  /// Upward rounding for the life of the object.
  class Upward {
   public:
    Upward() : before_(std::fegetround()) {
      base::ensure(std::fesetround(FE_UPWARD) == 0, "the processor refuses upward rounding");
      volatile double one = 1.0;
      volatile double small = 1e-30;
      base::ensure(one + small > 1.0 && -one + small > -1.0, "upward rounding is not in effect");
    }
    ~Upward() { std::fesetround(before_); }
    Upward(const Upward&) = delete;
    Upward& operator=(const Upward&) = delete;

   private:
    int before_;
  };

  __attribute__((noinline)) Ranges ranges_of(const std::vector<double>& low, const std::vector<double>& high) const {
    Ranges r;
    const std::size_t steps = network_.steps.size();
    r.low.resize(steps);
    r.high.resize(steps);
    r.size.resize(steps);
    r.low[0] = low;
    r.high[0] = high;
    measure(r, 0);
    for (std::size_t s = 1; s < steps; ++s) {
      step_range(s, r);
      measure(r, s);
      const std::size_t reader = reader_[s];
      if (reader == 0 || !behind_[s]) continue;
      const Step& activation = network_.steps[reader];
      for (std::size_t i = 0; i < activation.size; ++i) {
        if (activation.function == Function::kHinge && (r.low[s][i] >= 0 || r.high[s][i] <= 0)) continue;
        if (!(r.low[s][i] < r.high[s][i])) continue;
        for (const int side : {1, -1}) {
          const auto row = rows_.find({reader, i, side});
          Rows rows(s + 1);
          rows[s].assign(activation.size, 0.0);
          rows[s][i] = side;
          const double bound = least(std::move(rows), 0.0, s, r, row == rows_.end() ? nullptr : row->second, {}, {});
          double& end = side > 0 ? r.low[s][i] : r.high[s][i];
          if (side > 0 && bound > end) end = bound;
          if (side < 0 && -bound < end) end = -bound;
        }
      }
      measure(r, s);
    }
    return r;
  }

  static void measure(Ranges& r, std::size_t s) {
    r.size[s].resize(r.low[s].size());
    for (std::size_t i = 0; i < r.size[s].size(); ++i) {
      // A range that is no range says nothing.
      if (!(r.low[s][i] <= r.high[s][i])) {
        r.low[s][i] = -kInfinity;
        r.high[s][i] = kInfinity;
      }
      r.size[s][i] = std::max(-r.low[s][i], r.high[s][i]);
      r.size[s][i] = std::max(r.size[s][i], std::max(r.low[s][i], -r.high[s][i]));
    }
  }

  void step_range(std::size_t s, Ranges& r) const {
    const Step& step = network_.steps[s];
    std::vector<double>& low = r.low[s];
    std::vector<double>& high = r.high[s];
    low.assign(step.size, 0.0);
    high.assign(step.size, 0.0);
    if (step.kind == StepKind::kActivation) {
      for (std::size_t i = 0; i < step.size; ++i) activation_range(step, i, r, &low[i], &high[i]);
      return;
    }
    // `low` holds the negative of the lower bound until the end.
    const auto add = [&](std::size_t i, double weight, double l, double u) {
      high[i] += std::max(weight * l, weight * u);
      low[i] += std::max(-weight * l, -weight * u);
    };
    if (step.kind == StepKind::kSum) {
      for (std::size_t k = 0; k < step.from.size(); ++k) {
        for (std::size_t i = 0; i < step.size; ++i)
          add(i, step.signs[k], r.low[step.from[k]][i], r.high[step.from[k]][i]);
      }
    } else {
      const Affine& a = step.affine;
      const std::vector<double>& l = r.low[step.from[0]];
      const std::vector<double>& u = r.high[step.from[0]];
      const std::vector<double>& size = r.size[step.from[0]];
      for (std::size_t i = 0; i < a.rows; ++i) {
        high[i] = a.bias[i];
        low[i] = -a.bias[i];
        double spread = 0;
        const std::size_t begin = a.dense ? 0 : a.start[i];
        const std::size_t end = a.dense ? a.columns : a.start[i + 1];
        for (std::size_t e = begin; e < end; ++e) {
          const std::size_t j = a.dense ? e : a.column[e];
          const double weight = a.dense ? a.weights[i * a.columns + j] : a.weights[e];
          if (weight == 0) continue;
          add(i, weight, l[j], u[j]);
          if (a.weight_error != 0) spread += std::abs(weight) * size[j];
        }
        double error = a.bias_error.empty() ? 0.0 : a.bias_error[i];
        if (a.weight_error != 0) error += a.weight_error * spread;
        high[i] += error;
        low[i] += error;
      }
    }
    for (double& value : low) value = -value;
  }

  static double smooth(Function f, double z) {
    return f == Function::kTanh ? std::tanh(z) : 0.5 + 0.5 * std::tanh(0.5 * z);
  }
  /// More than the library and the sums around it err by, for values of size up to one.
  static constexpr double kLibrary = 1e-14;

  void activation_range(const Step& step, std::size_t i, const Ranges& r, double* low, double* high) const {
    const double l = r.low[step.from[0]][i];
    const double u = r.high[step.from[0]][i];
    if (step.function != Function::kHinge) {
      const double least_value = step.function == Function::kTanh ? -1.0 : 0.0;
      *low = std::max(smooth(step.function, l) - kLibrary, least_value);
      *high = std::min(smooth(step.function, u) + kLibrary, 1.0);
      return;
    }
    const double leak = step.leak[i];
    const auto above = [&](double z) { return z >= 0 ? z : leak == 0 ? 0.0 : leak * z; };
    const auto minus = [&](double z) { return z >= 0 ? -z : leak == 0 ? 0.0 : -leak * z; };
    *high = std::max(above(l), above(u));
    *low = -std::max(minus(l), minus(u));
    if (l < 0 && u > 0 && leak < 0) *low = 0;  // the least value lies at zero
  }

  /// Lines with which c f(z) is bounded from below on [l, u]: below for c > 0, above for c < 0.
  Support support(const Step& step, std::size_t i, double l, double u, bool below, const float* share) const {
    if (step.function == Function::kHinge) {
      const double leak = step.leak[i];
      if (l >= 0) return {1, 0};
      if (u <= 0) return {leak, 0};
      if (below) {
        const double a = share != nullptr ? static_cast<double>(*share) : (u > -l * std::max(1.0, -leak) ? 1.0 : 0.0);
        const double slope = leak + a * (1 - leak);
        // Any slope between leak and 1 lies below, whatever the certificate asks for.
        return {slope >= leak ? std::min(slope, 1.0) : leak, 0};
      }
      double slope = (u - leak * l) / (u - l);
      if (!(slope >= leak && slope <= 1)) slope = 1;
      const double minus = -slope;
      return {slope, std::max(u + minus * u, leak * l + minus * l)};
    }
    const double at_l = smooth(step.function, l);
    const double at_u = smooth(step.function, u);
    const double reach = std::max(std::abs(l), std::abs(u));
    if (!(reach < 1e6)) return {0, below ? (step.function == Function::kTanh ? -1.0 : 0.0) : 1.0};
    const auto room = [&](double slope) { return kLibrary * (2 + slope * reach); };
    const bool bends_up = u <= 0;
    const bool bends_down = l >= 0;
    if ((bends_up && !below) || (bends_down && below)) {
      // The chord lies on that side of the curve.
      const double slope = u > l ? std::max((at_u - at_l) / (u - l), 0.0) : 0.0;
      const double first = at_l - slope * l;
      const double second = at_u - slope * u;
      return {slope, below ? std::min(first, second) - room(slope) : std::max(first, second) + room(slope)};
    }
    const auto steepness = [&](double z) {
      const double scale = step.function == Function::kTanh ? 1.0 : 0.5;
      const double c = std::cosh(scale * z);
      return scale * scale / (c * c);
    };
    if (bends_up || bends_down) {
      // A tangent in the middle; a slope that is off by a part in 1e12 moves it by that times the width.
      const double m = l + (u - l) / 2;
      const double slope = steepness(m);
      const double offset = smooth(step.function, m) - slope * m;
      const double off = room(slope) + 1e-12 * slope * (u - l);
      return {slope, below ? offset - off : offset + off};
    }
    // Both bends: never steeper than the flatter end.
    const double slope = std::min(steepness(l), steepness(u)) * (1 - 1e-9);
    return {slope, below ? at_l - slope * l - room(slope) : at_u - slope * u + room(slope)};
  }

  /// A lower bound of constant + the linear function that `rows` holds over steps up to `top`.
  double least(Rows rows, double constant, std::size_t top, const Ranges& r, const float* shares,
               const std::vector<Split>& splits, const std::vector<float>& multipliers) const {
    double minus = -constant;  // at least the negative of what is sought
    std::vector<double> upper;
    std::vector<double> lower;  // negated
    // Target += contributions given rounded up (`upper`) and down (`-lower`): the lower one is kept, the rest paid for.
    const auto settle = [&](std::size_t from) {
      std::vector<double>& target = rows[from];
      for (std::size_t j = 0; j < target.size(); ++j) {
        target[j] = -lower[j];
        const double gap = upper[j] + lower[j];
        if (gap != 0) minus += gap * r.size[from][j];
      }
    };
    const auto open = [&](std::size_t from) {
      std::vector<double>& target = rows[from];
      if (target.empty()) target.assign(network_.steps[from].size, 0.0);
      upper = target;
      lower.resize(target.size());
      for (std::size_t j = 0; j < target.size(); ++j) lower[j] = -target[j];
    };
    for (std::size_t s = top; s > 0; --s) {
      if (rows[s].empty()) continue;
      const Step& step = network_.steps[s];
      const std::vector<double> own = std::move(rows[s]);
      rows[s].clear();
      if (step.kind == StepKind::kSum) {
        for (std::size_t k = 0; k < step.from.size(); ++k) {
          open(step.from[k]);
          for (std::size_t j = 0; j < own.size(); ++j) {
            upper[j] += step.signs[k] * own[j];
            lower[j] += -step.signs[k] * own[j];
          }
          settle(step.from[k]);
        }
        continue;
      }
      const std::size_t from = step.from[0];
      open(from);
      if (step.kind == StepKind::kAffine) {
        const Affine& a = step.affine;
        for (std::size_t i = 0; i < own.size(); ++i) {
          const double c = own[i];
          if (c == 0) continue;
          const double negative = -c;
          minus += negative * a.bias[i];
          double error = a.bias_error.empty() ? 0.0 : a.bias_error[i];
          if (a.dense) {
            const double* w = a.weights.data() + i * a.columns;
            for (std::size_t j = 0; j < a.columns; ++j) {
              upper[j] += c * w[j];
              lower[j] += negative * w[j];
            }
            if (a.weight_error != 0) {
              for (std::size_t j = 0; j < a.columns; ++j) {
                if (w[j] != 0) error += a.weight_error * (std::abs(w[j]) * r.size[from][j]);
              }
            }
          } else {
            for (std::size_t e = a.start[i]; e < a.start[i + 1]; ++e) {
              const std::size_t j = a.column[e];
              upper[j] += c * a.weights[e];
              lower[j] += negative * a.weights[e];
              if (a.weight_error != 0) error += a.weight_error * (std::abs(a.weights[e]) * r.size[from][j]);
            }
          }
          if (error != 0) minus += std::abs(c) * error;
        }
      } else {
        for (std::size_t i = 0; i < own.size(); ++i) {
          const double c = own[i];
          if (c == 0) continue;
          const bool hinge = step.function == Function::kHinge;
          const Support line = support(step, i, r.low[from][i], r.high[from][i], c > 0,
                                       hinge && shares != nullptr ? shares + offset_[s] + i : nullptr);
          const double negative = -c;
          upper[i] += c * line.slope;
          lower[i] += negative * line.slope;
          if (line.offset != 0) minus += negative * line.offset;
        }
        for (std::size_t k = 0; k < splits.size() && !multipliers.empty(); ++k) {
          if (splits[k].step != s) continue;
          // f >= f - m sign z where sign z >= 0 and m >= 0.
          const double m = static_cast<double>(multipliers[k]) * splits[k].sign;
          upper[splits[k].neuron] += -m;
          lower[splits[k].neuron] += m;
        }
      }
      settle(from);
    }
    for (std::size_t j = 0; j < rows[0].size(); ++j) {
      const double negative = -rows[0][j];
      if (negative != 0) minus += negative * (negative < 0 ? r.low[0][j] : r.high[0][j]);
    }
    return std::isfinite(minus) ? -minus : -kInfinity;
  }

  /// Adds m a to a coefficient, rounded down; returns what the rounding may cost where the value is at most `size`.
  static double add_to(double& coefficient, double m, double a, double size) {
    const double upper = coefficient + m * a;
    const double negative = -a;
    const double lower = -coefficient + m * negative;
    coefficient = -lower;
    const double gap = upper + lower;
    return gap == 0 ? 0 : gap * size;
  }

  /// The least bound of the leaf's refuted inequalities; -infinity when one is not refuted.
  __attribute__((noinline)) double replay_leaf(const CertificateTree& tree, const Leaf& leaf,
                                               const Ranges& root) const {
    const CertificateLeaf& own = tree.leaves[leaf.number];
    if (own.atoms.size() != tree.cases.size()) return -kInfinity;
    if (!own.shares.empty() && own.shares.size() != hinges_) return -kInfinity;
    if (!own.multipliers.empty() && own.multipliers.size() != leaf.splits.size()) return -kInfinity;
    for (const auto* given : {&own.multipliers, &own.cuts}) {
      for (const float m : *given) {
        if (!(m >= 0 && m < std::numeric_limits<float>::infinity())) return -kInfinity;
      }
    }
    std::size_t atoms = 0;
    for (const std::uint32_t c : tree.cases) atoms += property_.cases[c].atoms.size();
    if (!own.cuts.empty() && own.cuts.size() != atoms) return -kInfinity;
    Ranges r = leaf.cut ? ranges_of(leaf.low, leaf.high) : root;
    for (const Split& split : leaf.splits) {
      const std::size_t from = network_.steps[split.step].from[0];
      double& l = r.low[from][split.neuron];
      double& u = r.high[from][split.neuron];
      if (split.sign > 0 && l < 0) l = 0;
      if (split.sign < 0 && u > 0) u = 0;
      if (!(l <= u)) return -kInfinity;
    }
    const std::size_t last = network_.steps.size() - 1;
    double worst = kInfinity;
    std::size_t first_cut = 0;
    for (std::size_t c = 0; c < tree.cases.size(); ++c) {
      const UnsafeCase& unsafe = property_.cases[tree.cases[c]];
      const std::size_t cuts = first_cut;
      first_cut += unsafe.atoms.size();
      if (own.atoms[c] >= unsafe.atoms.size()) return -kInfinity;
      const LinearAtom& atom = unsafe.atoms[own.atoms[c]];
      Rows rows(last + 1);
      rows[last].assign(property_.outputs, 0.0);
      rows[0].assign(property_.inputs, 0.0);
      for (const auto& [j, a] : atom.y) rows[last][j] = a;
      for (const auto& [j, a] : atom.x) rows[0][j] = a;
      double minus = atom.bound.above;
      for (std::size_t k = 0; k < unsafe.atoms.size() && !own.cuts.empty(); ++k) {
        const auto m = static_cast<double>(own.cuts[cuts + k]);
        if (m == 0) continue;
        for (const auto& [j, a] : unsafe.atoms[k].y) minus += add_to(rows[last][j], m, a, r.size[last][j]);
        for (const auto& [j, a] : unsafe.atoms[k].x) minus += add_to(rows[0][j], m, a, r.size[0][j]);
        minus += m * unsafe.atoms[k].bound.above;
      }
      const double bound = least(std::move(rows), -minus, last, r, own.shares.empty() ? nullptr : own.shares.data(),
                                 leaf.splits, own.multipliers);
      const bool refuted = atom.strict ? bound >= 0 : bound > 0;
      if (!refuted) return -kInfinity;
      worst = std::min(worst, bound);
    }
    return worst;
  }

  const Network& network_;
  const Property& property_;
  const Certificate& certificate_;
  std::size_t hinges_ = 0;
  std::vector<std::size_t> offset_;  ///< by step: hinges before it
  std::vector<bool> behind_;         ///< by step: an activation lies before it
  std::vector<std::size_t> reader_;  ///< by step: the first activation that reads it, or 0
  std::map<std::tuple<std::size_t, std::size_t, int>, const float*> rows_;
};

}  // namespace

base::Result<CheckOutcome> check_certificate(const Network& network, const Property& property,
                                             const Certificate& certificate, const base::CancelToken& cancel) {
  PL_CHECK(base::check_size("check_certificate", "property.inputs", static_cast<std::ptrdiff_t>(property.inputs),
                            static_cast<std::ptrdiff_t>(network.inputs())));
  PL_CHECK(base::check_size("check_certificate", "property.outputs", static_cast<std::ptrdiff_t>(property.outputs),
                            static_cast<std::ptrdiff_t>(network.outputs())));
  return Checker(network, property, certificate).run(cancel);
}

}  // namespace plumbline::robustness
