#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plumbline/case/claims/argument.hpp"
#include "plumbline/case/claims/escape.hpp"

namespace plumbline::claims {
namespace {

constexpr double kWidth = 200;
constexpr double kSideWidth = 160;
constexpr double kLine = 16;
constexpr double kGap = 24;
constexpr double kLayerGap = 56;
constexpr double kMargin = 24;
constexpr std::size_t kMostLines = 6;

bool is_side(NodeKind kind) {
  return kind == NodeKind::kContext || kind == NodeKind::kAssumption || kind == NodeKind::kJustification;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

/// Cuts at words; a word longer than a line is cut within. Counts code points, never splits one.
std::vector<std::string> wrap(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  std::string line;
  std::size_t used = 0;
  const auto flush = [&] {
    if (!line.empty()) lines.push_back(line);
    line.clear();
    used = 0;
  };
  std::size_t at = 0;
  while (at < text.size() && lines.size() <= kMostLines) {
    std::size_t end = text.find(' ', at);
    if (end == std::string::npos) end = text.size();
    std::string word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    if (used > 0 && used + 1 + characters(word) > width) flush();
    if (used > 0) {
      line += ' ';
      ++used;
    }
    for (std::size_t i = 0; i < word.size();) {
      std::size_t next = i + 1;
      while (next < word.size() && (static_cast<unsigned char>(word[next]) & 0xC0U) == 0x80) ++next;
      if (used >= width) flush();
      line += word.substr(i, next - i);
      ++used;
      i = next;
    }
  }
  flush();
  if (lines.size() > kMostLines) {
    lines.resize(kMostLines);
    lines.back() += " …";
  }
  return lines;
}

struct Box {
  const Node* node = nullptr;
  std::vector<std::string> lines;
  std::string kind;     // word under the id, where the shape alone does not say it
  std::string verdict;  // word shown, empty for contexts and solutions
  std::string style;    // class suffix
  double width = kWidth;
  double height = 0;
  double x = 0;
  double y = 0;
  std::size_t layer = 0;
  double layer_bottom = 0;
  std::vector<std::size_t> below;  // layout children
  std::vector<std::size_t> beside;
  double block_width = 0;  // with what stands beside it
  double block_height = 0;
  double tree_width = 0;
};

std::string words(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

void describe(Box& box) {
  const Node& node = *box.node;
  if (node.kind == NodeKind::kAssumption || node.kind == NodeKind::kJustification || node.kind == NodeKind::kDefeater) {
    box.kind = fmt::format("({})", node_kind_name(node.kind));
  }
  if (node.standing) {
    static const std::map<Standing, const char*> kSigns = {
        {Standing::kSupported, "✓ "}, {Standing::kUndetermined, "? "}, {Standing::kNotEvaluated, "– "},
        {Standing::kStale, "⌛ "},     {Standing::kDefeated, "⚠ "},     {Standing::kRefuted, "✗ "}};
    box.verdict = kSigns.at(*node.standing) + words(standing_name(*node.standing));
    box.style = standing_name(*node.standing);
  } else if (node.kind == NodeKind::kDefeater && node.doubt != Doubt::kNone) {
    box.verdict = fmt::format("doubt {}", node.doubt == Doubt::kStands     ? "stands"
                                          : node.doubt == Doubt::kAnswered ? "answered"
                                                                           : "open");
    box.style = node.doubt == Doubt::kStands     ? "refuted"
                : node.doubt == Doubt::kAnswered ? "supported"
                                                 : "undetermined";
  } else {
    box.style = node.defeated ? "defeated" : "plain";
    if (node.defeated) box.verdict = "⚠ defeated";
  }
}

std::string shape(const Box& box) {
  const double x = box.x;
  const double y = box.y;
  const double w = box.width;
  const double h = box.height;
  switch (box.node->kind) {
    case NodeKind::kGoal:
      return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>", x, y, w, h);
    case NodeKind::kDefeater:
      return fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" stroke-dasharray=\"6 4\"/>", x, y, w, h);
    case NodeKind::kStrategy:
      return fmt::format("<polygon points=\"{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}\"/>", x + 14, y,
                         x + w, y, x + w - 14, y + h, x, y + h);
    case NodeKind::kContext:
      return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"18\"/>", x, y, w, h);
    case NodeKind::kSolution:
    case NodeKind::kAssumption:
    case NodeKind::kJustification:
      return fmt::format("<ellipse cx=\"{:.1f}\" cy=\"{:.1f}\" rx=\"{:.1f}\" ry=\"{:.1f}\"/>", x + w / 2, y + h / 2,
                         w / 2, h / 2);
  }
  return {};
}

constexpr std::string_view kStyle = R"(
.pl-arg { font: 12px system-ui, sans-serif; }
.pl-arg text { fill: #1f2328; stroke: none; }
.pl-arg .pl-id { font-weight: 600; }
.pl-arg .pl-edge { stroke: #57606a; fill: none; stroke-width: 1.3; }
.pl-arg .pl-head { fill: #57606a; stroke: #57606a; }
.pl-arg .pl-head-open { fill: #ffffff; stroke: #57606a; }
.pl-arg .pl-plain { stroke: #57606a; fill: #f6f8fa; stroke-width: 1.3; }
.pl-arg .pl-supported { stroke: #1a7f37; fill: #dafbe1; stroke-width: 1.8; }
.pl-arg .pl-undetermined { stroke: #9a6700; fill: #fff8c5; stroke-width: 1.8; }
.pl-arg .pl-not_evaluated { stroke: #57606a; fill: #eaeef2; stroke-width: 1.8; }
.pl-arg .pl-stale { stroke: #8250df; fill: #fbefff; stroke-width: 1.8; }
.pl-arg .pl-defeated { stroke: #bc4c00; fill: #fff1e5; stroke-width: 1.8; }
.pl-arg .pl-refuted { stroke: #cf222e; fill: #ffebe9; stroke-width: 2.4; }
@media (prefers-color-scheme: dark) {
.pl-arg text { fill: #e6edf3; }
.pl-arg .pl-edge { stroke: #9198a1; }
.pl-arg .pl-head { fill: #9198a1; stroke: #9198a1; }
.pl-arg .pl-head-open { fill: #0d1117; stroke: #9198a1; }
.pl-arg .pl-plain { stroke: #9198a1; fill: #161b22; }
.pl-arg .pl-supported { stroke: #3fb950; fill: #12261e; }
.pl-arg .pl-undetermined { stroke: #d29922; fill: #272115; }
.pl-arg .pl-not_evaluated { stroke: #9198a1; fill: #21262d; }
.pl-arg .pl-stale { stroke: #ab7df8; fill: #231a33; }
.pl-arg .pl-defeated { stroke: #db6d28; fill: #2b1b0e; }
.pl-arg .pl-refuted { stroke: #f85149; fill: #2d1416; }
}
)";

class Drawing {
 public:
  explicit Drawing(const Argument& argument) : argument_(argument) {
    for (std::size_t i = 0; i < argument.nodes.size(); ++i) index_.emplace(argument.nodes[i].id, i);
    for (const Node& node : argument.nodes) {
      Box box;
      box.node = &node;
      box.width = is_side(node.kind) ? kSideWidth : kWidth;
      const bool round = node.kind == NodeKind::kSolution || node.kind == NodeKind::kAssumption ||
                         node.kind == NodeKind::kJustification;
      box.lines = wrap(printable(node.text), static_cast<std::size_t>(box.width / (round ? 8.6 : 6.9)));
      describe(box);
      const auto rows = static_cast<double>(box.lines.size()) + 1 + (box.verdict.empty() ? 0 : 1) +
                        (box.kind.empty() ? 0 : 1) + (node.undeveloped ? 1 : 0);
      box.height = kLine * rows + (round ? 40 : 20);
      boxes_.push_back(std::move(box));
    }
  }

  std::string svg() {
    place();
    std::string body;
    for (const Box& box : boxes_) edges(box, body);
    for (const Box& box : boxes_) draw(box, body);
    const std::string summary = description();
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"pl-arg\" role=\"img\" aria-labelledby=\"pl-arg-title "
        "pl-arg-desc\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\">\n<title "
        "id=\"pl-arg-title\">{2}</title>\n"
        "<desc id=\"pl-arg-desc\">{3}</desc>\n<style>{4}</style>\n<defs>"
        "<marker id=\"pl-arg-full\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" "
        "orient=\"auto-start-reverse\">"
        "<path class=\"pl-head\" d=\"M0 0L10 5L0 10z\"/></marker>"
        "<marker id=\"pl-arg-open\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"9\" markerHeight=\"9\" "
        "orient=\"auto-start-reverse\">"
        "<path class=\"pl-head-open\" d=\"M1 1L9 5L1 9z\"/></marker></defs>\n{5}</svg>\n",
        width_, height_, xml("Argument: " + argument_.name), xml(summary), kStyle, body);
  }

 private:
  std::string description() const {
    std::map<std::string_view, int> counts;
    for (const Node& node : argument_.nodes) {
      if (node.standing) ++counts[standing_name(*node.standing)];
    }
    std::string text = argument_.brief + ".";
    for (const auto& [name, count] : counts) text += fmt::format(" {} {}.", count, words(name));
    for (const Node* root : argument_.roots()) {
      text += fmt::format(" {}: {}{}", root->id, root->text,
                          root->standing ? fmt::format(" ({}).", words(standing_name(*root->standing))) : ".");
    }
    return text;
  }

  const std::size_t* at(const std::string& id) const {
    const auto found = index_.find(id);
    return found == index_.end() ? nullptr : &found->second;
  }

  /// Each element is placed once: below the first element that it supports (or challenges), beside the first one that
  /// it is the context of. Whatever nothing places is a root. Circles in foreign files end where they began.
  void place() {
    std::vector<bool> placed(boxes_.size(), false);
    std::vector<std::vector<std::size_t>> doubts(boxes_.size());
    std::set<std::size_t> not_roots;
    for (std::size_t i = 0; i < boxes_.size(); ++i) {
      const Node& node = *boxes_[i].node;
      for (const std::string& id : node.challenges) {
        if (const std::size_t* target = at(id); target != nullptr && *target != i) {
          doubts[*target].push_back(i);
          not_roots.insert(i);
          break;
        }
      }
      for (const auto* links : {&node.supported_by, &node.in_context_of}) {
        for (const std::string& id : *links) {
          if (const std::size_t* target = at(id)) not_roots.insert(*target);
        }
      }
    }
    const auto grow = [&](auto&& self, std::size_t i, std::size_t layer) -> void {
      placed[i] = true;
      Box& box = boxes_[i];
      box.layer = layer;
      for (const std::string& id : box.node->in_context_of) {
        const std::size_t* target = at(id);
        if (target == nullptr || placed[*target]) continue;
        placed[*target] = true;
        boxes_[*target].layer = layer;
        box.beside.push_back(*target);
      }
      std::vector<std::size_t> next;
      for (const std::string& id : box.node->supported_by) {
        if (const std::size_t* target = at(id)) next.push_back(*target);
      }
      next.insert(next.end(), doubts[i].begin(), doubts[i].end());
      for (const std::size_t side : box.beside) next.insert(next.end(), doubts[side].begin(), doubts[side].end());
      for (const std::size_t child : next) {
        if (placed[child]) continue;
        box.below.push_back(child);
        self(self, child, layer + 1);
      }
    };
    std::vector<std::size_t> roots;
    for (const bool second : {false, true}) {
      for (std::size_t i = 0; i < boxes_.size(); ++i) {
        if (placed[i] || (!second && not_roots.contains(i))) continue;
        roots.push_back(i);
        grow(grow, i, 0);
      }
    }

    std::vector<double> heights;
    for (Box& box : boxes_) {
      box.block_width = box.width;
      box.block_height = box.height;
      double stack = 0;
      for (const std::size_t side : box.beside) stack += boxes_[side].height + 12;
      if (!box.beside.empty()) {
        box.block_width += kGap + 16 + kSideWidth;
        box.block_height = std::max(box.block_height, stack - 12);
      }
      if (heights.size() <= box.layer) heights.resize(box.layer + 1, 0);
      heights[box.layer] = std::max(heights[box.layer], box.block_height);
    }
    std::vector<double> tops(heights.size(), kMargin);
    for (std::size_t i = 1; i < tops.size(); ++i) tops[i] = tops[i - 1] + heights[i - 1] + kLayerGap;
    height_ = tops.empty() ? 2 * kMargin : tops.back() + heights.back() + kMargin;

    const auto measure = [&](auto&& self, std::size_t i) -> double {
      double below = 0;
      for (const std::size_t child : boxes_[i].below) below += self(self, child) + kGap;
      return boxes_[i].tree_width = std::max(boxes_[i].block_width, below - kGap);
    };
    const auto set = [&](auto&& self, std::size_t i, double left) -> void {
      Box& box = boxes_[i];
      box.x = left + (box.tree_width - box.block_width) / 2;
      box.y = tops[box.layer];
      box.layer_bottom = tops[box.layer] + heights[box.layer];
      double top = box.y;
      for (const std::size_t side : box.beside) {
        boxes_[side].x = box.x + box.width + kGap + 16;
        boxes_[side].y = top;
        top += boxes_[side].height + 12;
      }
      double below = 0;
      for (const std::size_t child : box.below) below += boxes_[child].tree_width + kGap;
      double x = left + (box.tree_width - (below - kGap)) / 2;
      for (const std::size_t child : box.below) {
        self(self, child, x);
        x += boxes_[child].tree_width + kGap;
      }
    };
    double left = kMargin;
    for (const std::size_t root : roots) {
      measure(measure, root);
      set(set, root, left);
      left += boxes_[root].tree_width + 2 * kGap;
    }
    width_ = std::max(left - 2 * kGap + kMargin, 2 * kMargin);
  }

  void edges(const Box& from, std::string& out) const {
    for (const std::string& id : from.node->supported_by) {
      if (const std::size_t* target = at(id)) {
        const Box& to = boxes_[*target];
        const double x1 = from.x + from.width / 2;
        const double y1 = from.y + from.height;
        const double x2 = to.x + to.width / 2;
        const double y2 = to.y;
        const double down = std::max(y1, std::min(from.layer_bottom, y2 - 8));  // past what stands beside the element
        const double bend = std::max(20.0, (y2 - down) / 2);
        out += fmt::format(
            "<path class=\"pl-edge\" marker-end=\"url(#pl-arg-full)\" d=\"M{0:.1f} {1:.1f}V{2:.1f}C{0:.1f} {3:.1f} "
            "{4:.1f} "
            "{5:.1f} {4:.1f} {6:.1f}\"/>\n",
            x1, y1, down, down + bend, x2, y2 - bend, y2);
      }
    }
    for (const std::string& id : from.node->in_context_of) {
      if (const std::size_t* target = at(id)) {
        const Box& to = boxes_[*target];
        const bool right = to.x > from.x;
        out += fmt::format(
            "<path class=\"pl-edge\" marker-end=\"url(#pl-arg-open)\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>\n",
            right ? from.x + from.width : from.x, from.y + from.height / 2, right ? to.x : to.x + to.width,
            to.y + to.height / 2);
      }
    }
    for (const std::string& id : from.node->challenges) {
      if (const std::size_t* target = at(id)) {
        const Box& to = boxes_[*target];
        out += fmt::format(
            "<path class=\"pl-edge\" stroke-dasharray=\"6 4\" marker-end=\"url(#pl-arg-full)\" d=\"M{:.1f} "
            "{:.1f}L{:.1f} {:.1f}\"/>\n",
            from.x + from.width / 2, from.y, to.x + to.width * 0.75, to.y + to.height);
      }
    }
  }

  static void draw(const Box& box, std::string& out) {
    const Node& node = *box.node;
    out += fmt::format("<g><title>{} {}: {}{}</title><g class=\"pl-{}\">{}</g>", xml(node_kind_name(node.kind)),
                       xml(node.id), xml(node.text), box.verdict.empty() ? "" : xml(" (" + words(box.verdict) + ")"),
                       box.style, shape(box));
    const double x = box.x + box.width / 2;
    const auto rows = static_cast<double>(box.lines.size()) + 1 + (box.verdict.empty() ? 0 : 1) +
                      (box.kind.empty() ? 0 : 1) + (node.undeveloped ? 1 : 0);
    double y = box.y + (box.height - kLine * rows) / 2 + 12;
    const auto row = [&](std::string_view text, std::string_view style) {
      out += fmt::format("<text{} x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>", style, x, y, xml(text));
      y += kLine;
    };
    std::string id = printable(node.id);
    if (characters(id) > 24) id = wrap(id, 22).front() + "…";
    row(id, " class=\"pl-id\"");
    if (!box.kind.empty()) row(box.kind, "");
    for (const std::string& line : box.lines) row(line, "");
    if (!box.verdict.empty()) row(box.verdict, " class=\"pl-id\"");
    if (node.undeveloped) row("◇ undeveloped", "");
    out += "</g>\n";
  }

  const Argument& argument_;
  std::map<std::string, std::size_t> index_;
  std::vector<Box> boxes_;
  double width_ = 0;
  double height_ = 0;
};

}  // namespace

std::string to_svg(const Argument& argument) { return Drawing(argument).svg(); }

}  // namespace plumbline::claims
