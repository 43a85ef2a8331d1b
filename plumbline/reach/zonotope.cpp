#include "plumbline/reach/zonotope.hpp"

#include <algorithm>
#include <numeric>

namespace plumbline::reach {

void own_symbols(std::vector<Affine>& forms) {
  std::size_t symbols = 0;
  for (const Affine& form : forms) symbols = std::max(symbols, form.symbols.size());
  std::size_t next = symbols;
  for (const Affine& form : forms) next += form.error > 0 && std::isfinite(form.error) ? 1 : 0;
  std::size_t own = symbols;
  for (Affine& form : forms) {
    form.symbols.resize(next, 0.0);
    if (form.error > 0 && std::isfinite(form.error)) {
      form.symbols[own++] = form.error;
      form.error = 0;
    }
  }
}

void merge_symbols(std::vector<Affine>& forms, std::size_t kept, std::size_t most) {
  if (forms.empty()) return;
  const std::size_t symbols = forms.front().symbols.size();
  if (symbols <= kept + most) return;
  const std::size_t stay = most > forms.size() ? most - forms.size() : 0;
  // A symbol that moves one form alone loses nothing by being merged: its weight is what it moves beyond its largest.
  std::vector<double> scale;
  for (const Affine& form : forms) scale.push_back(std::max(form.spread(), 1e-300));
  std::vector<double> weight(symbols, 0.0);
  for (std::size_t s = kept; s < symbols; ++s) {
    double sum = 0;
    double largest = 0;
    for (std::size_t i = 0; i < forms.size(); ++i) {
      const double share = std::abs(forms[i].symbols[s]) / scale[i];
      sum += share;
      largest = std::max(largest, share);
    }
    weight[s] = sum - largest;
  }
  std::vector<std::size_t> order(symbols - kept);
  std::iota(order.begin(), order.end(), kept);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return weight[a] > weight[b]; });
  order.resize(std::min(stay, order.size()));
  std::sort(order.begin(), order.end());
  std::vector<bool> stays(symbols, false);
  for (std::size_t s = 0; s < kept; ++s) stays[s] = true;
  for (const std::size_t s : order) stays[s] = true;
  for (Affine& form : forms) {
    Affine out;
    out.center = form.center;
    out.error = form.error;
    for (std::size_t s = 0; s < symbols; ++s) {
      if (stays[s]) {
        out.symbols.push_back(form.symbols[s]);
      } else if (form.symbols[s] != 0) {
        out.error = up(out.error + std::abs(form.symbols[s]));
      }
    }
    form = std::move(out);
  }
  own_symbols(forms);
}

std::vector<std::pair<double, double>> zonotope_outline(const Affine& x, const Affine& y) {
  std::vector<std::pair<double, double>> sides;
  const auto add = [&](double a, double b) {
    if (a == 0 && b == 0) return;
    if (b < 0 || (b == 0 && a < 0)) {
      a = -a;
      b = -b;
    }
    sides.emplace_back(a, b);
  };
  for (std::size_t s = 0; s < std::max(x.symbols.size(), y.symbols.size()); ++s)
    add(s < x.symbols.size() ? x.symbols[s] : 0.0, s < y.symbols.size() ? y.symbols[s] : 0.0);
  add(x.error, 0);
  add(0, y.error);
  std::sort(sides.begin(), sides.end(),
            [](const auto& p, const auto& q) { return std::atan2(p.second, p.first) < std::atan2(q.second, q.first); });
  double px = x.center;
  double py = y.center;
  for (const auto& [a, b] : sides) {
    px -= a;
    py -= b;
  }
  std::vector<std::pair<double, double>> out;
  for (int half = 0; half < 2; ++half) {
    for (const auto& [a, b] : sides) {
      out.emplace_back(px, py);
      px += (half == 0 ? 2 : -2) * a;
      py += (half == 0 ? 2 : -2) * b;
    }
  }
  if (out.empty()) out.emplace_back(px, py);
  return out;
}

}  // namespace plumbline::reach
