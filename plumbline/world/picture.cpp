#include "plumbline/world/picture.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"

namespace plumbline::world {
namespace {

struct Colour {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
};

constexpr Colour kWall{55, 65, 81};
constexpr Colour kFloor{245, 243, 238};
constexpr Colour kInk{31, 41, 55};
constexpr Colour kAgent{29, 78, 216};
// Tints that stay apart for readers who see few colours; a mark takes one by its code.
constexpr std::array<Colour, 8> kTints = {{{253, 230, 138},
                                           {167, 243, 208},
                                           {191, 219, 254},
                                           {252, 200, 190},
                                           {221, 214, 254},
                                           {153, 226, 235},
                                           {251, 207, 232},
                                           {214, 211, 209}}};

bool floor_mark(char mark) { return mark == ' ' || mark == '.'; }
bool arrow_mark(char mark) { return mark == '^' || mark == 'v' || mark == '<' || mark == '>'; }

Colour tile_colour(char mark) {
  if (mark == '#') return kWall;
  if (floor_mark(mark) || mark == 'A' || arrow_mark(mark)) return kFloor;
  if (mark == 'G') return {134, 197, 140};  // goals are green in most worlds
  return kTints[static_cast<unsigned char>(mark) % kTints.size()];
}

/// Whether a point of the unit square, y downwards, lies in the mark's shape.
bool in_shape(char mark, double x, double y) {
  if (mark == 'A') return std::hypot(x - 0.5, y - 0.5) <= 0.36;
  if (mark == 'v') y = 1 - y;
  if (mark == '<' || mark == '>') {
    std::swap(x, y);
    if (mark == '>') y = 1 - y;
  }
  return arrow_mark(mark) && y >= 0.25 && y <= 0.75 && std::abs(x - 0.5) <= (y - 0.25) * 0.6;
}

std::string hex(const Colour& colour) {
  return fmt::format("#{:02x}{:02x}{:02x}", colour.red, colour.green, colour.blue);
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      default: result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return result;
}

constexpr int kSide = 24;  // of a tile in the SVG
constexpr int kLine = 18;  // height of a line of words
constexpr int kGlyph = 8;  // width of a letter of the words
constexpr int kMargin = 12;

/// The tiles and words of one frame; floor and walls lie in the background already.
std::string frame_body(const Drawing& drawing, const std::string& caption) {
  std::string body;
  for (std::size_t r = 0; r < drawing.board.size(); ++r) {
    for (std::size_t c = 0; c < drawing.board[r].size(); ++c) {
      const char mark = drawing.board[r][c];
      if (floor_mark(mark)) continue;
      const int x = kMargin + static_cast<int>(c) * kSide;
      const int y = kMargin + static_cast<int>(r) * kSide;
      if (mark == 'A') {
        body +=
            fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"9\" fill=\"{}\"/>", x + kSide / 2, y + kSide / 2, hex(kAgent));
        continue;
      }
      if (!arrow_mark(mark)) {
        body += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>", x, y, kSide, kSide,
                            hex(tile_colour(mark)));
      }
      if (mark != '#') {
        body += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x + kSide / 2, y + 17,
                            escaped(std::string_view(&mark, 1)));
      }
    }
  }
  int y = kMargin + static_cast<int>(drawing.board.size()) * kSide + kLine;
  for (const std::string& line : drawing.words) {
    body += fmt::format("<text x=\"{}\" y=\"{}\" xml:space=\"preserve\">{}</text>", kMargin, y, escaped(line));
    y += kLine;
  }
  body += fmt::format("<text x=\"{}\" y=\"{}\" font-weight=\"bold\">{}</text>", kMargin, y, escaped(caption));
  return body;
}

}  // namespace

Drawing split_drawing(std::string_view rendered) {
  Drawing drawing;
  bool board = true;
  while (!rendered.empty()) {
    const std::size_t end = rendered.find('\n');
    std::string line(rendered.substr(0, end));
    rendered.remove_prefix(end == std::string_view::npos ? rendered.size() : end + 1);
    board = board && !line.empty() && (drawing.board.empty() || line.size() == drawing.board.front().size());
    (board ? drawing.board : drawing.words).push_back(std::move(line));
  }
  // A board has two dimensions; one line, or lines as long as sentences, are words.
  constexpr std::size_t kWidest = 64;
  if (drawing.board.size() < 2 || drawing.board.front().size() > kWidest) {
    drawing.words.insert(drawing.words.begin(), drawing.board.begin(), drawing.board.end());
    drawing.board.clear();
  }
  return drawing;
}

base::Result<Pixels> draw_board(std::string_view rendered, int side) {
  if (side < 4 || side > 64) {
    return base::make_error(base::Code::kValue, fmt::format("draw_board: side is {}, expected 4 to 64 pixels", side));
  }
  const Drawing drawing = split_drawing(rendered);
  if (drawing.board.empty()) {
    return base::make_error(base::Code::kUnsupported, "draw_board: this world is told in words, it has no board", {},
                            "draw_episode writes words too");
  }
  Pixels pixels;
  pixels.height = static_cast<int>(drawing.board.size()) * side;
  pixels.width = static_cast<int>(drawing.board.front().size()) * side;
  pixels.rgb.reserve(static_cast<std::size_t>(pixels.height) * static_cast<std::size_t>(pixels.width) * 3);
  for (int y = 0; y < pixels.height; ++y) {
    const std::string& row = drawing.board[static_cast<std::size_t>(y / side)];
    for (int x = 0; x < pixels.width; ++x) {
      const char mark = row[static_cast<std::size_t>(x / side)];
      const bool shape = in_shape(mark, (x % side + 0.5) / side, (y % side + 0.5) / side);
      const Colour colour = shape ? (mark == 'A' ? kAgent : kInk) : tile_colour(mark);
      pixels.rgb.insert(pixels.rgb.end(), {colour.red, colour.green, colour.blue});
    }
  }
  return pixels;
}

base::Result<std::string> draw_episode(std::span<const Frame> frames, const std::string& title, double seconds) {
  constexpr std::size_t kMost = 1000;
  if (frames.empty() || frames.size() > kMost) {
    return base::make_error(base::Code::kValue,
                            fmt::format("draw_episode: {} frames, expected 1 to {}", frames.size(), kMost));
  }
  if (!(seconds >= 0.02 && seconds <= 60)) {
    return base::make_error(base::Code::kValue,
                            fmt::format("draw_episode: seconds is {}, expected 0.02 to 60", seconds));
  }
  std::vector<Drawing> drawings;
  std::size_t rows = 0, columns = 0, lines = 0, letters = title.size();
  for (const Frame& frame : frames) {
    drawings.push_back(split_drawing(frame.rendered));
    const Drawing& d = drawings.back();
    rows = std::max(rows, d.board.size());
    if (!d.board.empty()) columns = std::max(columns, d.board.front().size());
    lines = std::max(lines, d.words.size());
    letters = std::max(letters, frame.caption.size());
    for (const std::string& line : d.words) letters = std::max(letters, line.size());
  }
  const int width = 2 * kMargin + std::max(static_cast<int>(columns) * kSide, static_cast<int>(letters) * kGlyph);
  const int height = 2 * kMargin + static_cast<int>(rows) * kSide + static_cast<int>(lines + 1) * kLine;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\">\n"
      "<title>{2}</title>\n",
      width, height, escaped(title));
  // Each frame is visible during its share of the cycle.
  const double share = 100.0 / static_cast<double>(frames.size());
  svg += fmt::format("<style>text{{font:13px monospace;fill:{}}}", hex(kInk));
  if (frames.size() > 1) {
    svg += fmt::format(
        ".f{{visibility:hidden;animation:f {:.3f}s step-end infinite}}"
        "@keyframes f{{0%{{visibility:visible}}{:.5f}%{{visibility:hidden}}100%{{visibility:hidden}}}}"
        "@media (prefers-reduced-motion:reduce){{.f{{animation:none}}.f:last-of-type{{visibility:visible}}}}",
        seconds * static_cast<double>(frames.size()), share);
  }
  svg += fmt::format("</style>\n<rect width=\"{}\" height=\"{}\" fill=\"{}\"/>\n", width, height, hex(kFloor));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    svg += frames.size() > 1
               ? fmt::format("<g class=\"f\" style=\"animation-delay:{:.3f}s\">", static_cast<double>(i) * seconds)
               : std::string("<g>");
    svg += frame_body(drawings[i], frames[i].caption) + "</g>\n";
  }
  return svg + "</svg>\n";
}

}  // namespace plumbline::world
