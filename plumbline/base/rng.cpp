#include "plumbline/base/rng.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <Random123/philox.h>
#include <fmt/format.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/base/log_gamma.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::base {
namespace {

std::string key_text(std::uint64_t seed, std::initializer_list<std::string_view> parts) {
  std::string text = fmt::format("{}:", seed);
  for (const std::string_view part : parts) text += fmt::format("{}:{};", part.size(), part);
  return text;
}

}  // namespace

Rng::Rng(std::uint64_t key_low, std::uint64_t key_high, int)
    : key_{static_cast<std::uint32_t>(key_low), static_cast<std::uint32_t>(key_low >> 32U)}, lane_(key_high) {}

Rng::Rng(std::uint64_t seed, std::initializer_list<std::string_view> parts) {
  const Key128 key = key128(key_text(seed, parts));
  *this = Rng(key.low, key.high, 0);
}

Rng Rng::fork(std::string_view name) const {
  const Key128 key = key128(fmt::format("{:08x}{:08x}{:016x}/{}", key_[0], key_[1], lane_, name));
  return {key.low, key.high, 0};
}

Rng Rng::fork(std::uint64_t index) const { return fork(fmt::format("#{}", index)); }

void Rng::refill() {
  const r123::Philox4x32::ctr_type counter = {
      {static_cast<std::uint32_t>(counter_), static_cast<std::uint32_t>(counter_ >> 32U),
       static_cast<std::uint32_t>(lane_), static_cast<std::uint32_t>(lane_ >> 32U)}};
  const r123::Philox4x32::key_type key = {{key_[0], key_[1]}};
  const auto out = r123::Philox4x32()(counter, key);
  ++counter_;
  buffer_[0] = (static_cast<std::uint64_t>(out[1]) << 32U) | out[0];
  buffer_[1] = (static_cast<std::uint64_t>(out[3]) << 32U) | out[2];
  left_ = 2;
}

std::uint64_t Rng::bits() {
  if (left_ == 0) refill();
  return buffer_[2 - left_--];
}

double Rng::uniform() { return static_cast<double>(bits() >> 11U) * 0x1.0p-53; }

double Rng::uniform(double low, double high) { return low + (high - low) * uniform(); }

std::uint64_t Rng::below(std::uint64_t n) {
  ensure(n > 0, "Rng::below needs n > 0");
  const std::uint64_t reject = (0 - n) % n;  // 2^64 mod n
  for (;;) {
    const std::uint64_t x = bits();
    if (x >= reject) return x % n;
  }
}

double Rng::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_normal_;
  }
  const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
  const double angle = 2.0 * std::numbers::pi * uniform();
  spare_normal_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

double Rng::normal(double mean, double deviation) { return mean + deviation * normal(); }

double Rng::exponential() { return -std::log1p(-uniform()); }

double Rng::gamma(double shape) {
  ensure(shape > 0, "Rng::gamma needs shape > 0");
  if (shape < 1) {
    const double boosted = gamma(shape + 1);
    return boosted * std::pow(1.0 - uniform(), 1.0 / shape);
  }
  const double d = shape - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = normal();
    const double v = std::pow(1.0 + c * x, 3);
    if (v <= 0) continue;
    const double u = 1.0 - uniform();
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

double Rng::beta(double a, double b) {
  const double x = gamma(a);
  const double y = gamma(b);
  return x / (x + y);
}

std::uint64_t Rng::poisson(double mean) {
  ensure(mean >= 0 && std::isfinite(mean), "Rng::poisson needs a finite mean >= 0");
  if (mean < 30) {
    double p = std::exp(-mean);
    double cumulative = p;
    const double u = uniform();
    std::uint64_t k = 0;
    while (u > cumulative && k < 1000) {
      ++k;
      p *= mean / static_cast<double>(k);
      cumulative += p;
    }
    return k;
  }
  const double b = 0.931 + 2.53 * std::sqrt(mean);
  const double a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
  const double v_r = 0.9277 - 3.6224 / (b - 2.0);
  for (;;) {
    const double u = uniform() - 0.5;
    const double v = 1.0 - uniform();
    const double us = 0.5 - std::abs(u);
    const double k = std::floor((2.0 * a / us + b) * u + mean + 0.43);
    if (us >= 0.07 && v <= v_r) return static_cast<std::uint64_t>(k);
    if (k < 0 || (us < 0.013 && v > us)) continue;
    if (std::log(v) + std::log(inverse_alpha) - std::log(a / (us * us) + b) <=
        k * std::log(mean) - mean - log_gamma(k + 1.0)) {
      return static_cast<std::uint64_t>(k);
    }
  }
}

std::uint64_t Rng::binomial(std::uint64_t n, double p) {
  // A sum of Bernoulli draws for small n; for larger n, split at the median order statistic (Devroye 1986, X.4.3).
  std::uint64_t count = 0;
  while (n > 64) {
    const std::uint64_t a = 1 + n / 2;
    const double x = beta(static_cast<double>(a), static_cast<double>(n + 1 - a));
    if (x >= p) {
      n = a - 1;
      p /= x;
    } else {
      count += a;
      n -= a;
      p = (p - x) / (1.0 - x);
    }
  }
  for (std::uint64_t i = 0; i < n; ++i) count += bernoulli(p) ? 1 : 0;
  return count;
}

std::vector<std::size_t> Rng::permutation(std::size_t n) {
  std::vector<std::size_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = i;
  shuffle(std::span(order));
  return order;
}

std::vector<std::size_t> Rng::sample(std::size_t n, std::size_t k) {
  ensure(k <= n, "Rng::sample needs k <= n");
  // Selection sampling (Knuth 3.4.2 S): ascending, one uniform a step, no table of size n.
  std::vector<std::size_t> chosen;
  chosen.reserve(k);
  for (std::size_t i = 0; i < n && chosen.size() < k; ++i) {
    if (below(n - i) < k - chosen.size()) chosen.push_back(i);
  }
  return chosen;
}

std::string Rng::state() const {
  return fmt::format("philox4x32-10:{:08x}{:08x}:{:016x}:{}:{}", key_[0], key_[1], lane_, counter_, left_);
}

}  // namespace plumbline::base
