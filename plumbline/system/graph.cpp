#include "plumbline/system/graph.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"

namespace plumbline::system {
namespace {

using base::Code;
using base::make_error;

base::Status check_names(const std::vector<Component>& components, std::map<std::string, std::size_t>& writers) {
  if (components.empty()) return make_error(Code::kValue, "a system needs at least one part");
  std::set<std::string> names;
  for (std::size_t i = 0; i < components.size(); ++i) {
    const Component& part = components[i];
    if (!names.insert(part.name).second)
      return make_error(Code::kValue, fmt::format("two parts are called '{}'", part.name));
    for (const auto* list : {&part.inputs, &part.outputs, &part.learns_from}) {
      std::set<std::string> seen;
      for (const std::string& signal : *list) {
        if (signal.empty() || !seen.insert(signal).second)
          return make_error(Code::kValue, fmt::format("signal '{}' is named twice in one list", signal), part.name);
      }
    }
    for (const std::string& signal : part.outputs) {
      const auto [place, fresh] = writers.emplace(signal, i);
      if (!fresh)
        return make_error(Code::kValue,
                          fmt::format("'{}' is an output of {} and of {}; one part writes a signal", signal,
                                      components[place->second].name, part.name),
                          {}, "Give the two outputs names of their own");
    }
  }
  return base::ok();
}

/// A circle among the parts that no order could place.
std::string circle(const std::vector<Component>& components, const std::vector<std::vector<std::size_t>>& feeds,
                   const std::vector<std::size_t>& waiting) {
  // Every part that waits has one that waits before it; going back from any must meet a part twice.
  std::vector<std::size_t> path = {static_cast<std::size_t>(
      std::find_if(waiting.begin(), waiting.end(), [](std::size_t w) { return w > 0; }) - waiting.begin())};
  while (true) {
    std::size_t before = 0;
    while (waiting[before] == 0 ||
           std::find(feeds[before].begin(), feeds[before].end(), path.back()) == feeds[before].end())
      ++before;
    const auto seen = std::find(path.begin(), path.end(), before);
    if (seen != path.end()) {
      std::vector<std::string> names = {components[before].name};
      for (auto at = path.rbegin(); at.base() != seen; ++at) names.push_back(components[*at].name);
      return fmt::format("{}", fmt::join(names, " -> "));
    }
    path.push_back(before);
  }
}

}  // namespace

std::string_view edge_kind_name(EdgeKind kind) { return kind == EdgeKind::kFeeds ? "feeds" : "teaches"; }

base::Result<SystemGraph> SystemGraph::make(std::vector<Component> components) {
  std::map<std::string, std::size_t> writers;
  PL_CHECK(check_names(components, writers));
  SystemGraph graph;
  graph.components_ = std::move(components);
  const std::size_t n = graph.components_.size();
  graph.feeds_.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Component& part = graph.components_[i];
    const auto add = [&](const std::vector<std::string>& signals, EdgeKind kind) {
      for (const std::string& signal : signals) {
        const auto writer = writers.find(signal);
        if (writer == writers.end()) continue;
        graph.edges_.push_back({writer->second, i, kind, signal});
        if (kind == EdgeKind::kFeeds) graph.feeds_[writer->second].push_back(i);
      }
    };
    add(part.inputs, EdgeKind::kFeeds);
    for (const std::string& name : part.upstream) {
      const auto other = graph.index(name);
      if (!other.ok()) return other.error().at(fmt::format("upstream of {}", part.name));
      const bool known =
          std::find(graph.feeds_[*other].begin(), graph.feeds_[*other].end(), i) != graph.feeds_[*other].end();
      if (known) continue;
      graph.edges_.push_back({*other, i, EdgeKind::kFeeds, {}});
      graph.feeds_[*other].push_back(i);
    }
    add(part.learns_from, EdgeKind::kTeaches);
  }
  std::vector<std::size_t> waiting(n, 0);
  for (auto& to : graph.feeds_) {
    std::sort(to.begin(), to.end());
    to.erase(std::unique(to.begin(), to.end()), to.end());
    for (const std::size_t i : to) ++waiting[i];
  }
  std::vector<bool> placed(n, false);
  while (graph.order_.size() < n) {
    std::size_t next = 0;
    while (next < n && (placed[next] || waiting[next] > 0)) ++next;
    if (next == n)
      return make_error(Code::kValue,
                        fmt::format("within one round parts feed each other in a circle: {}",
                                    circle(graph.components_, graph.feeds_, waiting)),
                        {}, "What a part takes from the round before belongs into learns_from");
    placed[next] = true;
    graph.order_.push_back(next);
    for (const std::size_t to : graph.feeds_[next]) --waiting[to];
  }
  return graph;
}

base::Result<std::size_t> SystemGraph::index(std::string_view name) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < components_.size(); ++i) {
    if (components_[i].name == name) return i;
    names.push_back(components_[i].name);
  }
  const std::string near = base::nearest(name, names);
  return make_error(
      Code::kValue, fmt::format("there is no part '{}'", name), {},
      near.empty() ? fmt::format("parts are {}", base::join_words(names)) : fmt::format("Did you mean '{}'?", near));
}

std::optional<std::size_t> SystemGraph::writer(std::string_view signal) const {
  for (std::size_t i = 0; i < components_.size(); ++i) {
    const auto& outputs = components_[i].outputs;
    if (std::find(outputs.begin(), outputs.end(), signal) != outputs.end()) return i;
  }
  return std::nullopt;
}

std::vector<std::string> SystemGraph::signals() const {
  std::vector<std::string> out;
  const auto add = [&](const std::string& signal) {
    if (!signal.empty() && std::find(out.begin(), out.end(), signal) == out.end()) out.push_back(signal);
  };
  for (const Component& part : components_) {
    for (const auto* list : {&part.inputs, &part.outputs, &part.learns_from})
      for (const std::string& signal : *list) add(signal);
    add(part.objective);
  }
  return out;
}

std::vector<std::size_t> SystemGraph::later(std::size_t i) const {
  std::vector<bool> reached(components_.size(), false);
  reached[i] = true;
  std::vector<std::size_t> out;
  for (const std::size_t at : order_) {
    if (!reached[at]) continue;
    if (at != i) out.push_back(at);
    for (const std::size_t to : feeds_[at]) reached[to] = true;
  }
  return out;
}

std::vector<std::size_t> SystemGraph::makers(std::string_view signal) const {
  const auto last = writer(signal);
  if (!last) return {};
  std::vector<bool> reaches(components_.size(), false);
  reaches[*last] = true;
  for (auto at = order_.rbegin(); at != order_.rend(); ++at)
    reaches[*at] = reaches[*at] ||
                   std::any_of(feeds_[*at].begin(), feeds_[*at].end(), [&](std::size_t to) { return reaches[to]; });
  std::vector<std::size_t> out;
  for (const std::size_t at : order_)
    if (reaches[at]) out.push_back(at);
  return out;
}

LoopList SystemGraph::loops(std::size_t limit) const {
  const std::size_t n = components_.size();
  std::vector<std::vector<std::size_t>> to(n);
  for (const Edge& edge : edges_) to[edge.from].push_back(edge.to);
  for (auto& list : to) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  LoopList out;
  std::size_t steps = 0;
  constexpr std::size_t kSteps = 1000000;
  // Depth first from the smallest part of each loop, so that every loop is met once.
  for (std::size_t start = 0; start < n && out.complete; ++start) {
    std::vector<std::size_t> path = {start};
    std::vector<std::size_t> next = {0};
    std::vector<bool> on(n, false);
    on[start] = true;
    while (!path.empty() && out.complete) {
      const std::size_t at = path.back();
      if (next.back() == to[at].size()) {
        on[at] = false;
        path.pop_back();
        next.pop_back();
        continue;
      }
      const std::size_t step = to[at][next.back()++];
      if (++steps > kSteps || out.loops.size() >= limit) out.complete = false;
      if (step == start && out.complete) out.loops.push_back(path);
      if (step <= start || on[step]) continue;
      on[step] = true;
      path.push_back(step);
      next.push_back(0);
    }
  }
  std::stable_sort(out.loops.begin(), out.loops.end(),
                   [](const Loop& a, const Loop& b) { return a.size() < b.size(); });
  return out;
}

std::string SystemGraph::words(const Loop& loop) const {
  std::string out = components_[loop.front()].name;
  for (std::size_t k = 0; k < loop.size(); ++k) {
    const std::size_t from = loop[k];
    const std::size_t to = loop[(k + 1) % loop.size()];
    const bool feeds = std::binary_search(feeds_[from].begin(), feeds_[from].end(), to);
    out += fmt::format(" {} {}", feeds ? "->" : "=>", components_[to].name);
  }
  return out;
}

}  // namespace plumbline::system
