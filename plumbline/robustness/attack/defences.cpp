#include "plumbline/robustness/attack/defences.hpp"

#include <algorithm>
#include <cmath>

namespace plumbline::robustness {

QuantisedTarget::QuantisedTarget(const Target& inner, double low, double high, int levels, bool straight_through)
    : inner_(inner), low_(low), high_(high), levels_(levels), straight_through_(straight_through) {}

base::Result<Pass> QuantisedTarget::forward(std::span<const double> rows, std::size_t count,
                                            std::span<const base::Rng> noise) const {
  std::vector<double> rounded(rows.begin(), rows.end());
  const double width = (high_ - low_) / (levels_ - 1);
  for (double& x : rounded) x = low_ + width * std::round((x - low_) / width);
  return inner_.forward(rounded, count, noise);
}

base::Result<std::vector<double>> QuantisedTarget::backward(const Pass& pass, std::span<const double> seeds) const {
  if (straight_through_) return inner_.backward(pass, seeds);
  return std::vector<double>(pass.count * inputs(), 0.0);
}

CropTarget::CropTarget(const Target& inner, ImageShape shape, int pad, double fill)
    : inner_(inner), shape_(shape), pad_(pad), fill_(fill) {}

namespace {

/// Calls body(to, from) for every value that stays in the picture when it moves by (down, right).
template <class Body>
void each_moved(const ImageShape& shape, int down, int right, Body&& body) {
  for (std::size_t c = 0; c < shape.channels; ++c) {
    for (int y = 0; y < static_cast<int>(shape.height); ++y) {
      for (int x = 0; x < static_cast<int>(shape.width); ++x) {
        const int from_y = y - down;
        const int from_x = x - right;
        if (from_y < 0 || from_x < 0 || from_y >= static_cast<int>(shape.height) ||
            from_x >= static_cast<int>(shape.width))
          continue;
        body(shape.at(c, static_cast<std::size_t>(y), static_cast<std::size_t>(x)),
             shape.at(c, static_cast<std::size_t>(from_y), static_cast<std::size_t>(from_x)));
      }
    }
  }
}

}  // namespace

base::Result<Pass> CropTarget::forward(std::span<const double> rows, std::size_t count,
                                       std::span<const base::Rng> noise) const {
  const std::size_t n = inputs();
  std::vector<double> moved(rows.size(), fill_);
  std::vector<double> moves;
  for (std::size_t r = 0; r < count; ++r) {
    base::Rng rng = noise[r];
    const auto side = static_cast<std::uint64_t>(2 * pad_ + 1);
    const int down = static_cast<int>(rng.below(side)) - pad_;
    const int right = static_cast<int>(rng.below(side)) - pad_;
    moves.insert(moves.end(), {static_cast<double>(down), static_cast<double>(right)});
    each_moved(shape_, down, right, [&](std::size_t to, std::size_t from) { moved[r * n + to] = rows[r * n + from]; });
  }
  PL_TRY(Pass inner, inner_.forward(moved, count, noise));
  Pass pass;
  pass.count = count;
  pass.scores = inner.scores;
  pass.values.push_back(std::move(moves));
  pass.draws.push_back(std::move(inner));
  return pass;
}

base::Result<std::vector<double>> CropTarget::backward(const Pass& pass, std::span<const double> seeds) const {
  const std::size_t n = inputs();
  PL_TRY(const std::vector<double> gradient, inner_.backward(pass.draws[0], seeds));
  std::vector<double> out(gradient.size(), 0.0);
  for (std::size_t r = 0; r < pass.count; ++r) {
    const int down = static_cast<int>(pass.values[0][2 * r]);
    const int right = static_cast<int>(pass.values[0][2 * r + 1]);
    each_moved(shape_, down, right,
               [&](std::size_t to, std::size_t from) { out[r * n + from] = gradient[r * n + to]; });
  }
  return out;
}

SaturatedTarget::SaturatedTarget(const Target& inner, double factor) : inner_(inner), factor_(factor) {}

base::Result<Pass> SaturatedTarget::forward(std::span<const double> rows, std::size_t count,
                                            std::span<const base::Rng> noise) const {
  PL_TRY(Pass inner, inner_.forward(rows, count, noise));
  const std::size_t k = classes();
  Pass pass;
  pass.count = count;
  std::vector<double> shares;
  for (std::size_t r = 0; r < count; ++r) {
    const auto z = std::span(inner.scores).subspan(r * k, k);
    const double most = *std::max_element(z.begin(), z.end());
    double sum = 0;
    for (const double v : z) sum += std::exp(factor_ * (v - most));
    for (const double v : z) shares.push_back(static_cast<float>(std::exp(factor_ * (v - most)) / sum));
  }
  for (const double p : shares) pass.scores.push_back(std::log(std::max(p, 1e-45)));
  pass.values.push_back(std::move(shares));
  pass.draws.push_back(std::move(inner));
  return pass;
}

base::Result<std::vector<double>> SaturatedTarget::backward(const Pass& pass, std::span<const double> seeds) const {
  const std::size_t k = classes();
  std::vector<double> inner(seeds.size(), 0.0);
  for (std::size_t r = 0; r < pass.count; ++r) {
    const double* p = pass.values[0].data() + r * k;
    // d log p_i / d z_j = factor (delta_ij - p_j), and 0 where p_i has become 0.
    for (std::size_t i = 0; i < k; ++i) {
      if (p[i] == 0) continue;
      for (std::size_t j = 0; j < k; ++j)
        inner[r * k + j] += seeds[r * k + i] * factor_ * ((i == j ? 1.0 : 0.0) - p[j]);
    }
  }
  return inner_.backward(pass.draws[0], inner);
}

AveragedTarget::AveragedTarget(const Target& inner, int draws) : inner_(inner), draws_(draws) {}

base::Result<Pass> AveragedTarget::forward(std::span<const double> rows, std::size_t count,
                                           std::span<const base::Rng> noise) const {
  Pass pass;
  pass.count = count;
  pass.scores.assign(count * classes(), 0.0);
  for (int draw = 0; draw < draws_; ++draw) {
    std::vector<base::Rng> streams;
    for (std::size_t r = 0; r < noise.size(); ++r) streams.push_back(noise[r].fork(static_cast<std::uint64_t>(draw)));
    PL_TRY(Pass one, inner_.forward(rows, count, streams));
    for (std::size_t i = 0; i < pass.scores.size(); ++i) pass.scores[i] += one.scores[i] / draws_;
    pass.draws.push_back(std::move(one));
  }
  return pass;
}

base::Result<std::vector<double>> AveragedTarget::backward(const Pass& pass, std::span<const double> seeds) const {
  std::vector<double> out(pass.count * inputs(), 0.0);
  for (const Pass& draw : pass.draws) {
    PL_TRY(const std::vector<double> one, inner_.backward(draw, seeds));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += one[i] / draws_;
  }
  return out;
}

StandInTarget::StandInTarget(const Target& answers, const Target& gradients)
    : answers_(answers), gradients_(gradients) {}

base::Result<Pass> StandInTarget::forward(std::span<const double> rows, std::size_t count,
                                          std::span<const base::Rng> noise) const {
  PL_TRY(Pass pass, answers_.forward(rows, count, noise));
  // The stand-in is evaluated when a gradient is asked for.
  pass.values = {std::vector<double>(rows.begin(), rows.end())};
  return pass;
}

base::Result<std::vector<double>> StandInTarget::backward(const Pass& pass, std::span<const double> seeds) const {
  PL_TRY(const Pass stand_in, gradients_.forward(pass.values[0], pass.count, {}));
  return gradients_.backward(stand_in, seeds);
}

std::optional<WithoutRounding> without_rounding(const graph::Graph& graph) {
  WithoutRounding out{graph, {}};
  for (graph::Node& node : out.graph.nodes) {
    if (node.op != "Round" && node.op != "Floor" && node.op != "Ceil" && node.op != "Cast") continue;
    out.places.push_back(node.place());
    node.op = "Identity";
    node.attributes.clear();
  }
  if (out.places.empty()) return std::nullopt;
  return out;
}

}  // namespace plumbline::robustness
