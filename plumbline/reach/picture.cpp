#include "plumbline/reach/picture.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace plumbline::reach {
namespace {

constexpr double kWidth = 420;
constexpr double kHeight = 150;
constexpr double kLeft = 64;
constexpr double kTop = 28;
constexpr double kGap = 34;
constexpr double kPlane = 420;
constexpr double kPlayed = 6;  // seconds of animation
constexpr std::size_t kMaxPanels = 12;
constexpr std::size_t kPiecesInAll = 4000;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (static_cast<unsigned char>(c) >= 32) {
      out += c;
    }
  }
  return out;
}

/// Values to places in a rectangle.
struct Axes {
  double left = 0, top = 0, width = kWidth, height = kHeight;
  Interval x, y;

  double px(double value) const { return left + width * (value - x.lo) / std::max(x.hi - x.lo, 1e-300); }
  double py(double value) const { return top + height * (1 - (value - y.lo) / std::max(y.hi - y.lo, 1e-300)); }
};

Interval padded(const Interval& range) {
  const double more = range.hi > range.lo ? 0.05 * (range.hi - range.lo) : std::max(0.5, 0.05 * range.mag());
  return {range.lo - more, range.hi + more};
}

std::string frame(const Axes& a, const std::string& title, const std::string& x_label) {
  return fmt::format(
      R"(<rect x="{0:.1f}" y="{1:.1f}" width="{2:.1f}" height="{3:.1f}" class="frame"/>
<text x="{0:.1f}" y="{4:.1f}" class="title">{5}</text>
<text x="{6:.1f}" y="{7:.1f}" class="end">{8:.4g}</text><text x="{6:.1f}" y="{9:.1f}" class="end">{10:.4g}</text>
<text x="{0:.1f}" y="{11:.1f}">{12:.4g}</text><text x="{13:.1f}" y="{11:.1f}" class="end">{14:.4g} {15}</text>
)",
      a.left, a.top, a.width, a.height, a.top - 8, escaped(title), a.left - 6, a.top + 10, a.y.hi, a.top + a.height,
      a.y.lo, a.top + a.height + 14, a.x.lo, a.left + a.width, a.x.hi, escaped(x_label));
}

std::string label(const Variable& v) {
  return v.unit.empty() || v.unit == "1" ? v.name : fmt::format("{} ({})", v.name, v.unit);
}

class Picture {
 public:
  Picture(const Loop& loop, std::span<const Tube> tubes, std::span<const Rollout> rollouts)
      : loop_(loop), rollouts_(rollouts), end_(loop.period * loop.periods) {
    const std::size_t each = std::max<std::size_t>(kPiecesInAll / std::max<std::size_t>(tubes.size(), 1), 20);
    for (const Tube& tube : tubes) tubes_.push_back(thinned(tube.pieces, each));
    ranges_.resize(loop.width());
    for (std::size_t v = 0; v < loop.width(); ++v) {
      bool first = true;
      const auto add = [&](const Interval& r) {
        if (!r.finite()) return;
        ranges_[v] = first ? r : hull(ranges_[v], r);
        first = false;
      };
      for (const auto& pieces : tubes_) {
        for (const TubePiece& piece : pieces) add(piece.box[v]);
      }
      for (const Rollout& rollout : rollouts) {
        for (const auto& point : rollout.points) add(Interval(point[v]));
      }
      if (ranges_[v].hi > ranges_[v].lo && shown_.size() < kMaxPanels) shown_.push_back(v);
    }
    if (shown_.empty()) shown_.push_back(0);
  }

  std::string draw(const std::string& verdict) const {
    const double panels = kTop + 30 + static_cast<double>(shown_.size()) * (kHeight + kGap + kTop);
    const double total = std::max(panels, kTop + 60 + kPlane + kGap);
    std::string out = fmt::format(
        R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0:.0f} {1:.0f}" width="{0:.0f}" height="{1:.0f}" role="img" aria-label="{2}">
<style>text{{font:12px sans-serif;fill:#333}}.title{{font-weight:bold}}.end{{text-anchor:end}}.frame{{fill:none;stroke:#999}}.band{{fill:#1f77b4;fill-opacity:.35;stroke:none}}.set{{fill:#1f77b4;fill-opacity:.12;stroke:#1f77b4;stroke-width:.6}}.run{{fill:none;stroke:#d62728;stroke-width:.8}}</style>
<rect width="100%" height="100%" fill="#fff"/>
<defs><clipPath id="time"><rect x="{3:.1f}" y="0" width="{4:.1f}" height="{1:.0f}"><animate attributeName="width" from="0" to="{4:.1f}" dur="{5:g}s" fill="freeze"/></rect></clipPath></defs>
<text x="{3:.1f}" y="20" class="title">{2}</text>
)",
        2 * kLeft + kWidth + kGap + kPlane + kLeft, total,
        escaped(fmt::format("{}: {}", loop_.name.empty() ? "loop" : loop_.name, verdict)), kLeft, kWidth, kPlayed);
    for (std::size_t k = 0; k < shown_.size(); ++k)
      out += panel(shown_[k], kTop + 30 + static_cast<double>(k) * (kHeight + kGap + kTop));
    out += plane();
    return out + "</svg>\n";
  }

 private:
  std::string panel(std::size_t v, double top) const {
    Axes a{.left = kLeft, .top = top, .x = Interval(0, end_), .y = padded(ranges_[v])};
    std::string out = frame(a, label(loop_.variables[v]), "time");
    out += "<g clip-path=\"url(#time)\">\n";
    for (const auto& pieces : tubes_) {
      std::string path;
      for (const TubePiece& piece : pieces) {
        if (!piece.box[v].finite()) continue;
        const double left = a.px(piece.from);
        const double right = std::max(a.px(piece.to), left + 1.5);
        path += fmt::format("M{:.1f} {:.1f}H{:.1f}V{:.1f}H{:.1f}z", left, a.py(piece.box[v].hi), right,
                            a.py(piece.box[v].lo), left);
      }
      out += fmt::format("<path class=\"band\" d=\"{}\"/>\n", path);
    }
    for (const Rollout& rollout : rollouts_) {
      std::string points;
      for (std::size_t i = 0; i < rollout.points.size(); ++i)
        points += fmt::format("{:.1f},{:.1f} ", a.px(rollout.times[i]), a.py(rollout.points[i][v]));
      out += fmt::format("<polyline class=\"run\" points=\"{}\"/>\n", points);
    }
    return out + "</g>\n";
  }

  std::string plane() const {
    std::size_t x = 0;
    std::size_t y = loop_.states > 1 ? 1 : 0;
    for (std::size_t v = 0; v < loop_.width(); ++v) {
      if (loop_.variables[v].name == loop_.plot_x) x = v;
      if (loop_.variables[v].name == loop_.plot_y) y = v;
    }
    Axes a{.left = 2 * kLeft + kWidth + kGap,
           .top = kTop + 30,
           .width = kPlane,
           .height = kPlane,
           .x = padded(ranges_[x]),
           .y = padded(ranges_[y])};
    std::string out = frame(a, fmt::format("{} over {}", label(loop_.variables[y]), label(loop_.variables[x])),
                            loop_.variables[x].name);
    for (const auto& pieces : tubes_) {
      for (const TubePiece& piece : pieces) {
        if (!piece.box[x].finite() || !piece.box[y].finite() || piece.polygon.empty()) continue;
        std::string points;
        for (const auto& [px, py] : piece.polygon) points += fmt::format("{:.1f},{:.1f} ", a.px(px), a.py(py));
        out += fmt::format(
            "<polygon class=\"set\" points=\"{}\"><set attributeName=\"visibility\" to=\"hidden\" begin=\"0s\" "
            "dur=\"{:.2f}s\"/></polygon>\n",
            points, std::max(kPlayed * piece.to / std::max(end_, 1e-300), 0.01));
      }
    }
    for (const Rollout& rollout : rollouts_) {
      std::string points;
      for (const auto& point : rollout.points) points += fmt::format("{:.1f},{:.1f} ", a.px(point[x]), a.py(point[y]));
      out += fmt::format("<polyline class=\"run\" points=\"{}\"/>\n", points);
    }
    return out;
  }

  const Loop& loop_;
  std::span<const Rollout> rollouts_;
  double end_;
  std::vector<std::vector<TubePiece>> tubes_;
  std::vector<Interval> ranges_;
  std::vector<std::size_t> shown_;
};

}  // namespace

std::vector<TubePiece> thinned(const std::vector<TubePiece>& pieces, std::size_t most) {
  if (pieces.size() <= most || most == 0) return pieces;
  const std::size_t each = (pieces.size() + most - 1) / most;
  std::vector<TubePiece> out;
  for (std::size_t i = 0; i < pieces.size(); i += each) {
    TubePiece joined = pieces[i];
    for (std::size_t k = i + 1; k < std::min(i + each, pieces.size()); ++k) {
      for (std::size_t v = 0; v < joined.box.size(); ++v) joined.box[v] = hull(joined.box[v], pieces[k].box[v]);
      joined.from = std::min(joined.from, pieces[k].from);
      joined.to = std::max(joined.to, pieces[k].to);
      joined.polygon = pieces[k].polygon;
    }
    out.push_back(std::move(joined));
  }
  return out;
}

std::string tube_picture(const Loop& loop, std::span<const Tube> tubes, std::span<const Rollout> rollouts,
                         const std::string& verdict) {
  return Picture(loop, tubes, rollouts).draw(verdict);
}

}  // namespace plumbline::reach
