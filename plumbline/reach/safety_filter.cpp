#include "plumbline/reach/safety_filter.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/files.hpp"

namespace plumbline::reach {

static_assert(std::endian::native == std::endian::little, "tables are little endian");

namespace {

using base::Code;
using base::make_error;

constexpr std::string_view kMagic = "PLHJTAB1";
constexpr std::size_t kHash = 64;

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Takes numbers off the front; false when there are too few bytes.
struct Cursor {
  std::string_view left;
  template <class T>
  bool take(T& value) {
    if (left.size() < sizeof value) return false;
    std::memcpy(&value, left.data(), sizeof value);
    left.remove_prefix(sizeof value);
    return true;
  }
};

/// The cell that holds a place on one axis, and how far along it the place lies.
struct Cell {
  std::size_t low = 0;
  std::size_t high = 0;
  double share = 0;
  bool outside = false;
};

Cell cell_of(const GridAxis& axis, double x) {
  Cell out;
  double at = (x - axis.low) / axis.step();
  const auto n = static_cast<double>(axis.points);
  if (axis.periodic) {
    at -= n * std::floor(at / n);
    out.low = std::min(static_cast<std::size_t>(at), axis.points - 1);
    out.high = (out.low + 1) % axis.points;
  } else {
    // A hair over the edge is rounding of whoever computed the state.
    out.outside = at < -1e-9 * n || at > n - 1 + 1e-9 * n;
    at = std::clamp(at, 0.0, n - 1);
    out.low = std::min(static_cast<std::size_t>(at), axis.points - 2);
    out.high = out.low + 1;
  }
  out.share = at - static_cast<double>(out.low);
  return out;
}

/// Multilinear, clamped to the grid.
double interpolate(const ValueTable& table, std::span<const double> state) {
  const std::vector<GridAxis>& axes = table.game.axes;
  Cell cells[kMaxGridAxes];
  for (std::size_t a = 0; a < axes.size(); ++a) cells[a] = cell_of(axes[a], state[a]);
  double sum = 0;
  for (std::size_t corner = 0; corner < (std::size_t{1} << axes.size()); ++corner) {
    std::size_t node = 0;
    double weight = 1;
    for (std::size_t a = 0; a < axes.size(); ++a) {
      const bool high = ((corner >> a) & 1U) != 0;
      node = node * axes[a].points + (high ? cells[a].high : cells[a].low);
      weight *= high ? cells[a].share : 1 - cells[a].share;
    }
    if (weight != 0) sum += weight * table.value[node];
  }
  return sum;
}

std::vector<double> middle_of(const std::vector<GameInput>& inputs) {
  std::vector<double> middle;
  for (const GameInput& input : inputs) middle.push_back(0.5 * (input.low + input.high));
  return middle;
}

/// slope . (f - base).
double along_slope(const std::vector<double>& slope, const std::vector<double>& f, const std::vector<double>& base) {
  double sum = 0;
  for (std::size_t a = 0; a < slope.size(); ++a) sum += slope[a] * (f[a] - base[a]);
  return sum;
}

}  // namespace

base::Status write_table(const ValueTable& table, const std::string& path) {
  std::string body;
  append(body, static_cast<std::uint64_t>(table.game.text.size()));
  body += table.game.text;
  append(body, table.looked_back);
  append(body, static_cast<std::uint64_t>(table.steps));
  append(body, static_cast<std::uint64_t>(table.value.size()));
  body.append(reinterpret_cast<const char*>(table.value.data()), table.value.size() * sizeof(double));
  return data::write_bytes(path, fmt::format("{}{}", kMagic, base::sha256_hex(body)) + body);
}

base::Result<ValueTable> parse_table(std::string_view bytes, const std::string& name) {
  if (bytes.substr(0, kMagic.size()) != kMagic || bytes.size() < kMagic.size() + kHash)
    return make_error(Code::kParse, "is not a table of plumbline reach", name,
                      "Write one with plumbline reach GAME --table FILE");
  const std::string_view hash = bytes.substr(kMagic.size(), kHash);
  const std::string_view body = bytes.substr(kMagic.size() + kHash);
  if (base::sha256_hex(body) != hash)
    return make_error(Code::kParse, "is cut short or was changed: its hash differs", name);
  Cursor cursor{body};
  std::uint64_t size = 0;
  std::uint64_t steps = 0;
  std::uint64_t count = 0;
  if (!cursor.take(size) || size > cursor.left.size()) return make_error(Code::kParse, "is cut short", name);
  PL_TRY(AvoidGame game, parse_game(cursor.left.substr(0, size), name));
  cursor.left.remove_prefix(size);
  ValueTable table;
  if (!cursor.take(table.looked_back) || !cursor.take(steps) || !cursor.take(count))
    return make_error(Code::kParse, "is cut short", name);
  if (count != game.nodes() || cursor.left.size() != count * sizeof(double))
    return make_error(Code::kParse, fmt::format("holds {} values, its grid has {} nodes", count, game.nodes()), name);
  table.value.resize(count);
  std::memcpy(table.value.data(), cursor.left.data(), cursor.left.size());
  PL_CHECK(base::check_all_finite("read_table", "value", table.value));
  table.steps = steps;
  table.game = std::move(game);
  return table;
}

base::Result<ValueTable> read_table(const std::string& path) {
  data::ReadLimits limits;
  limits.file_bytes = kMaxGridNodes * sizeof(double) + (2U << 20U);
  PL_TRY(const data::Bytes bytes, data::map_file(path, limits));
  return parse_table({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path);
}

base::Result<bool> is_table(const std::string& path) {
  PL_TRY(const data::Bytes bytes, data::map_file(path));
  return std::string_view(reinterpret_cast<const char*>(bytes.data.get()), bytes.size).substr(0, kMagic.size()) ==
         kMagic;
}

base::Result<SafetyFilter> SafetyFilter::make(ValueTable table, double margin) {
  if (!(margin >= 0) || !std::isfinite(margin))
    return make_error(Code::kValue, fmt::format("SafetyFilter: margin {} is below 0 or not finite", margin));
  if (table.game.controls.empty())
    return make_error(Code::kValue, "SafetyFilter: the game has no control that could avoid anything");
  return SafetyFilter(std::move(table), margin);
}

double SafetyFilter::value(std::span<const double> state) const {
  const std::vector<GridAxis>& axes = table_.game.axes;
  base::ensure(state.size() == axes.size(), "SafetyFilter: one number for each axis");
  for (std::size_t a = 0; a < axes.size(); ++a) {
    if (!std::isfinite(state[a]) || cell_of(axes[a], state[a]).outside) return -kInfinity;
  }
  return interpolate(table_, state);
}

std::vector<double> SafetyFilter::gradient(std::span<const double> state) const {
  std::vector<double> out;
  std::vector<double> at(state.begin(), state.end());
  for (std::size_t a = 0; a < at.size(); ++a) {
    const GridAxis& axis = table_.game.axes[a];
    const double step = axis.step();
    double low = at[a] - step;
    double high = at[a] + step;
    if (!axis.periodic) {
      low = std::clamp(low, axis.low, axis.high - step);
      high = std::clamp(high, axis.low + step, axis.high);
    }
    const double held = at[a];
    at[a] = high;
    const double above = interpolate(table_, at);
    at[a] = low;
    const double below = interpolate(table_, at);
    at[a] = held;
    out.push_back((above - below) / (high - low));
  }
  return out;
}

std::vector<double> SafetyFilter::on_grid(std::span<const double> state) const {
  base::ensure(state.size() == table_.game.axes.size(), "SafetyFilter: one number for each axis");
  std::vector<double> at;
  for (std::size_t a = 0; a < state.size(); ++a) {
    const GridAxis& axis = table_.game.axes[a];
    const double x = std::isfinite(state[a]) ? state[a] : 0.5 * (axis.low + axis.high);
    at.push_back(axis.periodic ? x : std::clamp(x, axis.low, axis.high));
  }
  return at;
}

std::vector<double> SafetyFilter::action(std::span<const double> state) const {
  const AvoidGame& game = table_.game;
  const std::vector<double> at = on_grid(state);
  const std::vector<double> slope = gradient(at);
  const std::vector<double> control = middle_of(game.controls);
  const std::vector<double> disturbance = middle_of(game.disturbances);
  const std::vector<double> base = slope_of(game, at, control, disturbance);
  std::vector<double> out = control;
  for (std::size_t k = 0; k < control.size(); ++k) {
    std::vector<double> moved = control;
    moved[k] = game.controls[k].high;
    const double along = along_slope(slope, slope_of(game, at, moved, disturbance), base);
    if (along > 0) out[k] = game.controls[k].high;
    if (along < 0) out[k] = game.controls[k].low;
  }
  return out;
}

double SafetyFilter::rate(std::span<const double> state, std::span<const double> control) const {
  const AvoidGame& game = table_.game;
  base::ensure(control.size() == game.controls.size(), "SafetyFilter: one number for each control");
  const std::vector<double> at = on_grid(state);
  const std::vector<double> slope = gradient(at);
  const std::vector<double> held(control.begin(), control.end());
  const std::vector<double> disturbance = middle_of(game.disturbances);
  const std::vector<double> base = slope_of(game, at, held, disturbance);
  double rate = along_slope(slope, base, std::vector<double>(base.size(), 0.0));
  // The dynamics are affine in each disturbance: the worst is at one of its ends, whatever the others are.
  for (std::size_t k = 0; k < disturbance.size(); ++k) {
    std::vector<double> moved = disturbance;
    moved[k] = game.disturbances[k].high;
    rate -= std::abs(along_slope(slope, slope_of(game, at, held, moved), base));
  }
  return rate;
}

std::vector<double> SafetyFilter::filter(std::span<const double> state, std::span<const double> wish,
                                         bool* stepped_in) const {
  base::ensure(wish.size() == table_.game.controls.size(), "SafetyFilter: one wish for each control");
  const bool fine = safe(state) && std::all_of(wish.begin(), wish.end(), [](double u) { return std::isfinite(u); });
  if (stepped_in != nullptr) *stepped_in = !fine;
  if (!fine) return action(state);
  std::vector<double> out;
  for (std::size_t k = 0; k < wish.size(); ++k)
    out.push_back(std::clamp(wish[k], table_.game.controls[k].low, table_.game.controls[k].high));
  return out;
}

}  // namespace plumbline::reach
