#include "plumbline/system/lessons.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "plumbline/stats/descriptive.hpp"
#include "plumbline/system/regression.hpp"

namespace plumbline::system {
namespace {

Bounded by_graph(double share, const Trace& trace, std::string why) {
  return {share, static_cast<double>(trace.rows), 0, std::move(why), nullptr, nullptr, {}};
}

/// The regressors: what comes from outside, and that with the outputs of parts that choose.
struct Regressors {
  Design outside, all;
  bool any = false;
};

Regressors regressors_of(const SystemGraph& graph, const Trace& trace, const std::string& lesson) {
  Regressors out{Design(trace.rows), Design(trace.rows)};
  std::set<std::string> known;
  const std::vector<std::size_t> makers = graph.makers(lesson);
  for (const std::size_t maker : makers) {
    for (const std::string& input : graph.component(maker).inputs) {
      const Signal* in = trace.find(input);
      if (in == nullptr || graph.writer(input) || !known.insert(input).second) continue;
      out.outside.add(*in);
      out.all.add(*in);
    }
  }
  for (const std::size_t maker : makers) {
    if (!graph.component(maker).chooses()) continue;
    for (const std::string& output : graph.component(maker).outputs) {
      const Signal* made = trace.find(output);
      if (made == nullptr) continue;
      out.all.add(*made);
      out.any = true;
    }
  }
  return out;
}

base::Result<Bounded> explained_share(const Signal& lesson, const Regressors& x, const Trace& trace) {
  const MatrixD all = x.all.matrix();
  const MatrixD outside = x.outside.matrix();
  const auto explained = [&](const Clusters& clusters) -> base::Result<double> {
    PL_TRY(const Regression whole, regress(all, lesson.value, clusters, x.all.names()));
    if (x.outside.columns() == 0) return whole.explained;
    PL_TRY(const Regression without, regress(outside, lesson.value, clusters, x.outside.names()));
    return whole.explained - without.explained;
  };
  const Clusters clusters = make_clusters(trace.unit, trace.rows);
  PL_TRY(const double value, explained(clusters));
  constexpr std::size_t kGroups = 40;
  const std::size_t groups = std::min(kGroups, clusters.count);
  std::vector<double> left_out;
  for (std::size_t g = 0; g < groups; ++g) {
    Clusters some = clusters;
    for (int& c : some.of_row)
      if (static_cast<std::size_t>(c) % groups == g) c = -1;
    PL_TRY(const double one, explained(some));
    left_out.push_back(one);
  }
  const auto m = static_cast<double>(groups);
  const double spread = stats::moments(left_out).variance;
  Bounded out = student(value, std::sqrt((m - 1) * (m - 1) / m * spread), m - 1, static_cast<double>(trace.rows),
                        "jackknife over groups of clusters");
  out.n_effective = static_cast<double>(clusters.count);
  return out;
}

std::optional<Bounded> share_of(const SystemGraph& graph, const Trace& trace, const std::string& lesson,
                                std::vector<std::string>& notes) {
  const auto writer = graph.writer(lesson);
  if (!writer) return by_graph(0, trace, "written by no part");
  if (graph.component(*writer).chooses()) return by_graph(1, trace, "written by a part that chooses");
  const Signal* signal = trace.find(lesson);
  if (signal == nullptr || !signal->measurable()) {
    notes.push_back(fmt::format("who made {} is not measured: it was not recorded as a number", lesson));
    return std::nullopt;
  }
  const Regressors x = regressors_of(graph, trace, lesson);
  if (!x.any) return by_graph(0, trace, "no recorded decision stands before it");
  auto got = explained_share(*signal, x, trace);
  if (got.ok()) return std::move(*got);
  notes.push_back(fmt::format("how much of {} decisions explain is withheld: {}", lesson, got.error().message));
  return std::nullopt;
}

}  // namespace

base::Result<std::vector<Teaching>> find_lessons(const SystemGraph& graph, const Trace& trace,
                                                 std::vector<std::string>& notes, const base::CancelToken& cancel) {
  std::vector<Teaching> out;
  for (std::size_t part = 0; part < graph.components().size(); ++part) {
    for (const std::string& lesson : graph.component(part).learns_from) {
      PL_CHECK(cancel.status());
      Teaching t;
      t.component = part;
      t.signal = lesson;
      for (const std::size_t maker : graph.makers(lesson))
        if (maker != part && graph.component(maker).chooses()) t.makers.push_back(maker);
      t.share = share_of(graph, trace, lesson, notes);
      out.push_back(std::move(t));
    }
  }
  return out;
}

}  // namespace plumbline::system
