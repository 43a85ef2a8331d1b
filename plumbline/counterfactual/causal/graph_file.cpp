#include "plumbline/counterfactual/causal/graph_file.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "plumbline/counterfactual/causal/bif.hpp"
#include "plumbline/data/bytes.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;

enum class Mark { kWord, kRight, kLeft, kBoth, kEnd, kOpen, kClose, kBracket, kUnbracket, kComma, kEquals, kStop };

struct Token {
  Mark mark = Mark::kStop;
  std::string_view text;
  bool quoted = false;
};

bool word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == ':' || c == '*' || c == '\'' || static_cast<unsigned char>(c) >= 0x80;
}

struct Edge {
  int from = 0;
  int to = 0;
  Mark mark = Mark::kRight;
};

class Parser {
 public:
  Parser(std::string_view text, const std::string& name, const GraphLimits& limits)
      : text_(text), name_(name), limits_(limits) {}

  base::Result<ReadGraph> run() {
    PL_CHECK(next());
    PL_CHECK(header());
    while (now_.mark != Mark::kStop && now_.mark != Mark::kClose) PL_CHECK(statement());
    if (braced_) {
      if (now_.mark != Mark::kClose) return bad("the text ends inside '{'", "the file may be cut short");
      PL_CHECK(next());
      while (now_.mark == Mark::kEnd) PL_CHECK(next());
      if (now_.mark != Mark::kStop) return bad(fmt::format("found {} after the graph", shown()));
    } else if (now_.mark == Mark::kClose) {
      return bad("found '}' without '{'");
    }
    if (names_.empty()) return bad("there is no node");
    PL_TRY(Graph graph, Graph::make(names_));
    for (const Edge& e : edges_) {
      if (e.mark == Mark::kBoth)
        graph.add_bidirected(e.from, e.to);
      else
        graph.add_directed(e.from, e.to);
    }
    if (const auto order = graph.order(); !order.ok()) return order.error().at(name_);
    return ReadGraph{std::move(graph), std::move(hidden_)};
  }

 private:
  base::Error bad(std::string message, std::string hint = {}) const {
    return make_error(Code::kParse, std::move(message), fmt::format("{}:{}", name_, token_line_), std::move(hint));
  }
  std::string shown() const {
    if (now_.mark == Mark::kStop) return "the end of the text";
    if (now_.mark == Mark::kEnd) return "the end of the statement";
    return fmt::format("'{}'", now_.text.substr(0, 40));
  }

  base::Status next() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ' || c == '\t' || c == '\r') {
        ++at_;
      } else if (c == '#' || text_.substr(at_, 2) == "//") {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (text_.substr(at_, 2) == "/*") {
        const std::size_t end = text_.find("*/", at_ + 2);
        token_line_ = line_;
        if (end == std::string_view::npos) return bad("a comment is not closed");
        line_ += static_cast<std::size_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                     text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
        at_ = end + 2;
      } else {
        break;
      }
    }
    token_line_ = line_;
    if (at_ >= text_.size()) {
      now_ = {Mark::kStop, {}};
      return base::ok();
    }
    const auto take = [&](Mark mark, std::size_t length) {
      now_ = {mark, text_.substr(at_, length)};
      at_ += length;
      return base::ok();
    };
    const std::string_view rest = text_.substr(at_);
    if (rest[0] == '\n') {
      ++line_;
      return take(Mark::kEnd, 1);
    }
    if (rest.starts_with("<->")) return take(Mark::kBoth, 3);
    if (rest.starts_with("->")) return take(Mark::kRight, 2);
    if (rest.starts_with("<-")) return take(Mark::kLeft, 2);
    if (rest.starts_with("--")) return bad("an edge without direction, expected ->, <- or <->");
    switch (rest[0]) {
      case ';': return take(Mark::kEnd, 1);
      case '{': return take(Mark::kOpen, 1);
      case '}': return take(Mark::kClose, 1);
      case '[': return take(Mark::kBracket, 1);
      case ']': return take(Mark::kUnbracket, 1);
      case ',': return take(Mark::kComma, 1);
      case '=': return take(Mark::kEquals, 1);
      default: break;
    }
    if (rest[0] == '"') {
      const std::size_t end = text_.find_first_of("\"\n", at_ + 1);
      if (end == std::string_view::npos || text_[end] == '\n') return bad("a quoted name is not closed");
      now_ = {Mark::kWord, text_.substr(at_ + 1, end - at_ - 1), true};
      if (now_.text.empty()) return bad("a name is empty");
      at_ = end + 1;
      return base::ok();
    }
    std::size_t length = 0;
    while (length < rest.size() &&
           (word_character(rest[length]) ||
            (rest[length] == '-' && length > 0 && length + 1 < rest.size() && word_character(rest[length + 1]))))
      ++length;
    if (length == 0) return bad(fmt::format("found '{}', expected a name or an edge", rest.substr(0, 1)));
    return take(Mark::kWord, length);
  }

  base::Status header() {
    while (now_.mark == Mark::kEnd) PL_CHECK(next());
    if (now_.mark == Mark::kWord && !now_.quoted && now_.text == "strict") PL_CHECK(next());
    if (now_.mark == Mark::kOpen) {
      braced_ = true;
      return next();
    }
    if (now_.mark != Mark::kWord || now_.quoted) return base::ok();
    if (now_.text == "graph") return bad("a graph without directions, expected digraph or dag");
    if (now_.text != "digraph" && now_.text != "dag") return base::ok();
    PL_CHECK(next());
    if (now_.mark == Mark::kWord) PL_CHECK(next());
    while (now_.mark == Mark::kEnd) PL_CHECK(next());
    if (now_.mark != Mark::kOpen) return bad(fmt::format("found {}, expected '{{'", shown()));
    braced_ = true;
    return next();
  }

  base::Result<int> node() {
    if (now_.mark != Mark::kWord) return bad(fmt::format("found {}, expected a name", shown()));
    const auto [found, added] = numbers_.emplace(std::string(now_.text), static_cast<int>(names_.size()));
    if (added) {
      if (names_.size() >= limits_.nodes)
        return make_error(Code::kLimit, fmt::format("more than {} nodes", limits_.nodes), name_);
      names_.emplace_back(now_.text);
    }
    PL_CHECK(next());
    return found->second;
  }

  /// Words between brackets; the values of keys too.
  base::Result<std::vector<std::string>> attributes() {
    std::vector<std::string> out;
    while (now_.mark == Mark::kBracket) {
      PL_CHECK(next());
      while (now_.mark != Mark::kUnbracket) {
        if (now_.mark == Mark::kStop) return bad("'[' is not closed");
        if (now_.mark == Mark::kWord) out.emplace_back(now_.text);
        PL_CHECK(next());
      }
      PL_CHECK(next());
    }
    return out;
  }

  base::Status statement() {
    if (now_.mark == Mark::kEnd || now_.mark == Mark::kComma) return next();
    const std::size_t first_edge = edges_.size();
    const bool keyword = now_.mark == Mark::kWord && !now_.quoted;
    const std::string word(now_.text);
    const std::size_t before = names_.size();
    PL_TRY(const int first, node());
    const bool fresh = names_.size() > before;  // a node that edges name already stays one
    if (keyword && word == "latent" && now_.mark == Mark::kWord) {
      if (fresh) forget(word);
      return latent();
    }
    // DOT's defaults and settings: `node [shape=box]`, `rankdir=LR`.
    if (keyword && (word == "node" || word == "edge" || word == "graph") && now_.mark == Mark::kBracket) {
      if (fresh) forget(word);
      return attributes().ok() ? base::ok() : base::Status(bad("'[' is not closed"));
    }
    if (now_.mark == Mark::kEquals) {
      if (fresh) forget(word);
      PL_CHECK(next());
      if (now_.mark != Mark::kWord) return bad(fmt::format("found {}, expected a value", shown()));
      return next();
    }
    int from = first;
    while (now_.mark == Mark::kRight || now_.mark == Mark::kLeft || now_.mark == Mark::kBoth) {
      const Mark mark = now_.mark;
      PL_CHECK(next());
      PL_TRY(const int to, node());
      if (to == from) return bad(fmt::format("'{}' points at itself", names_[static_cast<std::size_t>(to)]));
      if (edges_.size() >= limits_.edges)
        return make_error(Code::kLimit, fmt::format("more than {} edges", limits_.edges), name_);
      edges_.push_back(mark == Mark::kLeft ? Edge{to, from, Mark::kRight} : Edge{from, to, mark});
      from = to;
    }
    PL_TRY(const std::vector<std::string> words, attributes());
    const auto has = [&](std::string_view what) { return std::find(words.begin(), words.end(), what) != words.end(); };
    if (edges_.size() > first_edge && has("both"))
      for (std::size_t k = first_edge; k < edges_.size(); ++k) edges_[k].mark = Mark::kBoth;
    if (edges_.size() == first_edge && (has("latent") || has("unobserved"))) hidden_.insert(first);
    if (now_.mark == Mark::kEnd || now_.mark == Mark::kComma) return next();
    if (now_.mark == Mark::kStop || now_.mark == Mark::kClose) return base::ok();
    if (braced_ && now_.mark == Mark::kWord) return base::ok();  // DOT needs no separator
    return bad(fmt::format("found {}, expected an edge or the end of the statement", shown()));
  }

  base::Status latent() {
    while (true) {
      PL_TRY(const int v, node());
      hidden_.insert(v);
      if (now_.mark == Mark::kComma) PL_CHECK(next());
      if (now_.mark != Mark::kWord) return base::ok();
    }
  }

  /// The last node was a word of the language.
  void forget(const std::string& word) {
    numbers_.erase(word);
    names_.pop_back();
  }

  std::string_view text_;
  const std::string& name_;
  const GraphLimits& limits_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t token_line_ = 1;
  Token now_;
  bool braced_ = false;
  std::vector<std::string> names_;
  std::unordered_map<std::string, int> numbers_;
  std::vector<Edge> edges_;
  NodeSet hidden_;
};

std::vector<std::string> texts(const data::OtherSection& section, const std::string& key) {
  const auto found = section.keys.find(key);
  const auto* value = found == section.keys.end() ? nullptr : std::get_if<std::vector<std::string>>(&found->second);
  return value == nullptr ? std::vector<std::string>() : *value;
}

}  // namespace

base::Result<ReadGraph> parse_graph(std::string_view text, const std::string& name, const GraphLimits& limits) {
  return data::guarded(name, [&]() -> base::Result<ReadGraph> {
    if (!data::is_utf8(text)) return make_error(Code::kParse, "is not UTF-8 text", name);
    return Parser(text, name, limits).run();
  });
}

base::Result<ReadGraph> read_graph(const std::string& path, const GraphLimits& limits, std::string_view format) {
  if (format.empty() ? path.ends_with(".bif") || path.ends_with(".bif.gz") : format == "bif") {
    PL_TRY(const Network network, read_bif(path));
    return ReadGraph{structure(network), {}};
  }
  data::ReadLimits read;
  read.file_bytes = limits.file_bytes;
  PL_TRY(const data::Bytes bytes, data::map_file(path, read));
  return parse_graph({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path, limits);
}

base::Result<ReadGraph> section_graph(const data::OtherSection& section, const std::string& manifest) {
  const std::string place = fmt::format("{}:{}: [graph.{}]", manifest, section.line, section.name);
  const std::vector<std::string> edges = texts(section, "edges");
  const std::vector<std::string> nodes = texts(section, "nodes");
  const auto path = section.paths.find("path");
  if (path != section.paths.end()) {
    if (!edges.empty() || !nodes.empty())
      return make_error(Code::kValue, "has a path and edges", place, "give one of them");
    auto read = read_graph(path->second.resolved, {}, section.text("format"));
    if (!read.ok()) return read.error().at(place);
    PL_TRY(const NodeSet hidden, read->graph.indices(texts(section, "latent")));
    read->hidden.insert(hidden.begin(), hidden.end());
    return read;
  }
  std::string text;
  for (const std::string& node : nodes) text += fmt::format("\"{}\"\n", node);
  for (const std::string& edge : edges) text += edge + "\n";
  auto read = parse_graph(text, place);
  if (!read.ok()) return read;
  for (const std::string& name : texts(section, "latent")) {
    const auto v = read->graph.index(name);
    if (!v.ok()) return v.error().at(place);
    read->hidden.insert(*v);
  }
  return read;
}

Graph structure(const Network& network) {
  std::vector<std::string> names;
  for (int v = 0; v < static_cast<int>(network.size()); ++v) names.push_back(network.variable(v).name);
  Graph out = Graph::make(std::move(names)).value();
  for (int v = 0; v < static_cast<int>(network.size()); ++v)
    for (const int p : network.parents(v)) out.add_directed(p, v);
  return out;
}

}  // namespace plumbline::counterfactual::causal
