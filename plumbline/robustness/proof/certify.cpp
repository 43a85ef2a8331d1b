#include "plumbline/robustness/proof/certify.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/robustness/proof/replay.hpp"

namespace plumbline::robustness {
namespace {

using base::Code;
using base::make_error;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::size_t index(CertifyMethod method) { return static_cast<std::size_t>(method); }

base::Status check_arguments(const ProofModel& model, std::span<const float> x, int label, const InputDomain& domain,
                             const CertifyOptions& options) {
  constexpr std::string_view kHere = "certify";
  const auto inputs = static_cast<std::ptrdiff_t>(model.network.inputs());
  PL_CHECK(base::check_size(kHere, "x", static_cast<std::ptrdiff_t>(x.size()), inputs));
  for (const auto* part : {&domain.scale, &domain.low, &domain.high})
    PL_CHECK(base::check_size(kHere, "domain", static_cast<std::ptrdiff_t>(part->size()), inputs));
  PL_CHECK(base::check_all_finite(kHere, "x", x));
  PL_CHECK(base::check_in(kHere, "label", label, 0, static_cast<double>(model.network.outputs()) - 1));
  PL_CHECK(base::check_at_least(kHere, "radii", static_cast<std::ptrdiff_t>(options.radii.size()), 1));
  PL_CHECK(base::check_at_least(kHere, "regions", static_cast<std::ptrdiff_t>(options.regions), 1));
  for (std::size_t k = 0; k < options.radii.size(); ++k) {
    if (!(std::isfinite(options.radii[k]) && options.radii[k] > (k == 0 ? 0.0 : options.radii[k - 1]))) {
      return make_error(Code::kValue,
                        fmt::format("radii[{}] is {}, expected positive ascending numbers", k, options.radii[k]),
                        std::string(kHere));
    }
  }
  return base::ok();
}

double lead_of(std::span<const double> logits, int label) {
  double best = -kInfinity;
  for (std::size_t j = 0; j < logits.size(); ++j) {
    if (static_cast<int>(j) != label) best = std::max(best, logits[j]);
  }
  const double lead = logits[static_cast<std::size_t>(label)] - best;
  return std::isfinite(lead) ? lead : -kInfinity;
}

/// z_label - z_j for every other class.
LinearRows leads(std::size_t outputs, int label) {
  LinearRows rows;
  rows.count = outputs - 1;
  rows.output.assign(rows.count * outputs, 0.0);
  rows.constant.assign(rows.count, 0.0);
  std::size_t r = 0;
  for (std::size_t j = 0; j < outputs; ++j) {
    if (static_cast<int>(j) == label) continue;
    rows.output[r * outputs + static_cast<std::size_t>(label)] = 1;
    rows.output[r * outputs + j] = -1;
    ++r;
  }
  return rows;
}

/// NaN counts as nothing proved.
double least(const std::vector<double>& lower) {
  double out = kInfinity;
  for (const double value : lower) out = value < out || std::isnan(value) ? value : out;
  return std::isfinite(out) ? out : -kInfinity;
}

class Certifier {
 public:
  Certifier(const ProofModel& model, std::span<const float> x, int label, const InputDomain& domain,
            const CertifyOptions& options, const base::CancelToken& cancel)
      : model_(model),
        x_(x),
        label_(label),
        domain_(domain),
        options_(options),
        cancel_(cancel),
        bounder_(model.network),
        rows_(leads(model.network.outputs(), label)) {}

  base::Result<RadiusOutcome> at(double radius, std::vector<double>& witness) const {
    RadiusOutcome out;
    out.radius = radius;
    out.margin.fill(kNan);
    out.attacked = kNan;
    const Property property = ball_property(x_, label_, radius, domain_, model_.network.outputs());
    Box box;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      box.lower.push_back(property.boxes[0].lower[i].below);
      box.upper.push_back(property.boxes[0].upper[i].above);
    }
    PL_CHECK(bound(box, out));
    PL_CHECK(try_attack(property, options_.attack, "attack", out, witness));
    const bool open = !proved(out) && !out.broken;
    if (open && options_.method >= CertifyMethod::kOptimised) {
      PL_CHECK(optimise(box, out));
      if (!proved(out)) PL_CHECK(try_attack(property, options_.strong, "strong", out, witness));
    }
    if (!proved(out) && !out.broken && options_.method == CertifyMethod::kComplete)
      PL_CHECK(complete(property, out, witness));
    if (proved(out) && out.broken) {
      return make_error(Code::kInternal,
                        fmt::format("a bound and a witness contradict each other at radius {}", radius), "certify",
                        "report this with the model: one of the two is wrong");
    }
    return out;
  }

 private:
  static bool proved(const RadiusOutcome& out) {
    return std::any_of(out.certified.begin(), out.certified.end(), [](bool c) { return c; });
  }
  static void note(RadiusOutcome& out, CertifyMethod method, double margin) {
    out.margin[index(method)] = margin;
    if (margin > 0) out.certified[index(method)] = true;
  }

  base::Status bound(const Box& box, RadiusOutcome& out) const {
    PL_TRY(const Bounds intervals, bounder_.bound(box, {.method = BoundMethod::kIntervals}, nullptr, cancel_));
    const auto& low = intervals.lower.back();
    const auto& high = intervals.upper.back();
    double margin = kInfinity;
    for (std::size_t j = 0; j < low.size(); ++j) {
      if (static_cast<int>(j) == label_) continue;
      const double gap = std::nextafter(low[static_cast<std::size_t>(label_)] - high[j], -kInfinity);
      margin = gap < margin || std::isnan(gap) ? gap : margin;
    }
    if (!std::isfinite(margin)) margin = -kInfinity;
    note(out, CertifyMethod::kIntervals, std::max(margin, last_layer_margin(intervals)));
    if (proved(out) || options_.method < CertifyMethod::kLinear) return base::ok();
    PL_TRY(const Bounds linear, bounder_.bound(box, {.method = BoundMethod::kLinear}, nullptr, cancel_));
    note(out, CertifyMethod::kLinear, least(bounder_.minimise(linear, rows_, {}).lower));
    return base::ok();
  }

  /// The leads bounded through the last affine step, its rows subtracted first; -infinity where that step is not exact.
  /// A sum of n products errs by at most (n + 3) units of rounding of the sum of their sizes, the subtraction included.
  double last_layer_margin(const Bounds& intervals) const {
    const Step& last = model_.network.steps.back();
    const Affine& affine = last.affine;
    if (last.kind != StepKind::kAffine || affine.weight_error != 0 || !affine.bias_error.empty()) return -kInfinity;
    std::vector<double> coefficients(rows_.count * affine.columns, 0.0);
    apply_transposed(affine, rows_.output.data(), rows_.count, coefficients.data());
    const std::vector<double>& low = intervals.lower[last.from[0]];
    const std::vector<double>& high = intervals.upper[last.from[0]];
    const double unit = std::numeric_limits<double>::epsilon() * static_cast<double>(affine.columns + 4);
    double worst = kInfinity;
    for (std::size_t r = 0; r < rows_.count; ++r) {
      double sum = 0;
      double size = 0;
      for (std::size_t j = 0; j < affine.rows; ++j) {
        sum += rows_.output[r * affine.rows + j] * affine.bias[j];
        size += std::abs(rows_.output[r * affine.rows + j] * affine.bias[j]);
      }
      for (std::size_t i = 0; i < affine.columns; ++i) {
        const double c = coefficients[r * affine.columns + i];
        if (c == 0) continue;
        sum += c * (c > 0 ? low[i] : high[i]);
        size += std::abs(c) * std::max(std::abs(low[i]), std::abs(high[i]));
      }
      const double bound = sum - unit * size - std::numeric_limits<double>::min() * static_cast<double>(affine.columns);
      worst = bound < worst || std::isnan(bound) ? bound : worst;
    }
    return std::isfinite(worst) ? worst : -kInfinity;
  }

  base::Status optimise(const Box& box, RadiusOutcome& out) const {
    BoundOptions options{.method = BoundMethod::kLinear, .iterations = options_.iterations};
    for (const bool inner : {false, true}) {
      const double work = static_cast<double>(model_.network.activations()) *
                          static_cast<double>(model_.network.multiply_adds()) * options_.iterations;
      if (inner && (proved(out) || work > options_.inner_work)) break;
      if (inner) options.method = BoundMethod::kOptimised;
      PL_TRY(const Bounds bounds, bounder_.bound(box, options, nullptr, cancel_));
      Slopes slopes;
      std::vector<double> multipliers;
      const RowBounds rows = bounder_.optimise(bounds, rows_, slopes, {}, multipliers, options, 0.0, cancel_);
      PL_CHECK(cancel_.status());
      // The cheaper bound stands as well.
      const double before = out.margin[index(inner ? CertifyMethod::kOptimised : CertifyMethod::kLinear)];
      note(out, CertifyMethod::kOptimised, std::max(least(rows.lower), before));
    }
    return base::ok();
  }

  base::Status try_attack(const Property& property, const SearchOptions& options, std::string_view purpose,
                          RadiusOutcome& out, std::vector<double>& witness) const {
    PL_TRY(const SearchResult found, search_violation(model_.network, property, options,
                                                      base::Rng(options_.seed, {"certify", purpose}), cancel_));
    // case_excess is z_label - z_j: the lead over the class of the case.
    out.attacked = std::isnan(out.attacked) ? found.best : std::min(out.attacked, found.best);
    if (!found.found) return base::ok();
    PL_TRY(const Replay again, replay(model_.graph, model_.network, property, found.x));
    if (again.verdict != AtPoint::kUnsafe) return base::ok();
    out.broken = true;
    witness = found.x;
    return base::ok();
  }

  base::Status complete(const Property& property, RadiusOutcome& out, std::vector<double>& witness) const {
    VerifyOptions options;
    options.seconds = 1e9;  // work limits it, so that the answer does not depend on the machine
    options.regions = options_.regions;
    options.seed = options_.seed;
    options.root.iterations = options_.iterations;
    PL_TRY(const Verification verdict, verify(model_.graph, model_.network, property, options, cancel_));
    switch (verdict.verdict) {
      case ProofVerdict::kHolds: note(out, CertifyMethod::kComplete, verdict.best_bound); break;
      case ProofVerdict::kViolated:
        out.broken = true;
        witness = verdict.witness;
        break;
      default:
        out.margin[index(CertifyMethod::kComplete)] = verdict.has_bound ? verdict.best_bound : kNan;
        out.open = verdict.reason;
    }
    // A margin of zero is proved where the inequality is strict; here it is not, but the certificate is what counts.
    if (verdict.verdict == ProofVerdict::kHolds) out.certified[index(CertifyMethod::kComplete)] = true;
    return base::ok();
  }

  const ProofModel& model_;
  std::span<const float> x_;
  int label_;
  const InputDomain& domain_;
  const CertifyOptions& options_;
  const base::CancelToken& cancel_;
  Bounder bounder_;
  LinearRows rows_;
};

/// Boxes nest: what is proved at a radius is proved below it, what is broken stays broken above it; and a dearer method
/// takes what a cheaper one has.
base::Status close(std::vector<RadiusOutcome>& radii) {
  for (RadiusOutcome& at : radii) {
    for (std::size_t m = 1; m < kCertifyMethods; ++m) at.certified[m] = at.certified[m] || at.certified[m - 1];
  }
  for (std::size_t k = radii.size() - 1; k > 0; --k) {
    for (std::size_t m = 0; m < kCertifyMethods; ++m)
      radii[k - 1].certified[m] = radii[k - 1].certified[m] || radii[k].certified[m];
  }
  for (std::size_t k = 1; k < radii.size(); ++k) radii[k].broken = radii[k].broken || radii[k - 1].broken;
  for (const RadiusOutcome& at : radii) {
    if (at.broken && at.certified[kCertifyMethods - 1]) {
      return make_error(Code::kInternal,
                        fmt::format("a bound and a witness contradict each other at radius {}", at.radius), "certify",
                        "report this with the model: one of the two is wrong");
    }
  }
  return base::ok();
}

}  // namespace

std::string_view certify_method_name(CertifyMethod method) {
  switch (method) {
    case CertifyMethod::kIntervals: return "intervals";
    case CertifyMethod::kLinear: return "linear";
    case CertifyMethod::kOptimised: return "optimised";
    case CertifyMethod::kComplete: return "complete";
  }
  return "";
}

base::Result<ProofModel> proof_model(graph::Graph graph) {
  ProofModel out;
  while (strip_softmax(graph)) out.softmax_removed = true;
  PL_TRY(out.network, lower(graph));
  out.graph = std::move(graph);
  if (out.network.outputs() < 2) {
    return make_error(
        Code::kShape,
        fmt::format("the network has {} output, expected one for each of two or more classes", out.network.outputs()),
        "proof_model");
  }
  return out;
}

Property ball_property(std::span<const float> x, int label, double radius, const InputDomain& domain,
                       std::size_t outputs) {
  Property out;
  out.name = "ball";
  out.inputs = x.size();
  out.outputs = outputs;
  InputBox box;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto centre = static_cast<double>(x[i]);
    const double reach = radius * domain.scale[i];
    // An example that lies outside of the declared range keeps itself in its box.
    const double floor = std::min(domain.low[i], centre);
    const double ceiling = std::max(domain.high[i], centre);
    const auto enclosed = [&](double end) {
      if (end <= floor) return Enclosed{floor, floor, floor};
      if (end >= ceiling) return Enclosed{ceiling, ceiling, ceiling};
      // Three roundings lie between the radius and the end: two units in the last place of the larger number hold them.
      const double slack = 4 * std::numeric_limits<double>::epsilon() * (std::abs(centre) + std::abs(reach));
      return Enclosed{std::max(end - slack, floor), end, std::min(end + slack, ceiling)};
    };
    box.lower.push_back(enclosed(centre - reach));
    box.upper.push_back(enclosed(centre + reach));
  }
  out.boxes.push_back(std::move(box));
  for (std::size_t j = 0; j < outputs; ++j) {
    if (static_cast<int>(j) == label) continue;
    out.cases.push_back(
        {0,
         {{.x = {}, .y = {{static_cast<std::size_t>(label), 1.0}, {j, -1.0}}, .bound = {0, 0, 0}, .strict = false}}});
  }
  return out;
}

base::Result<ExampleOutcome> certify(const ProofModel& model, std::span<const float> x, int label,
                                     const InputDomain& domain, const CertifyOptions& options,
                                     const base::CancelToken& cancel) {
  PL_CHECK(check_arguments(model, x, label, domain, options));
  ExampleOutcome out;
  const std::vector<double> centre(x.begin(), x.end());
  out.lead = lead_of(forward(model.network, centre, 1).back(), label);
  out.clean = out.lead > 0;
  for (const double radius : options.radii) {
    RadiusOutcome at;
    at.radius = radius;
    at.margin.fill(kNan);
    at.attacked = kNan;
    at.broken = !out.clean;
    out.radii.push_back(at);
  }
  if (!out.clean) {
    out.witness = centre;
    return out;
  }
  const Certifier certifier(model, x, label, domain, options, cancel);
  for (RadiusOutcome& at : out.radii) {
    PL_TRY(at, certifier.at(at.radius, out.witness));
    if (at.broken) break;
  }
  PL_CHECK(close(out.radii));
  return out;
}

}  // namespace plumbline::robustness
