#pragma once
/// What adapters over systems of parts share: [component.*] as the room below understands it, their traces, the picture
/// of the graph, systems on disk for fixtures.

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/data/dataset.hpp"
#include "plumbline/system/contrast.hpp"
#include "plumbline/system/graph.hpp"
#include "plumbline/system/trace.hpp"

namespace plumbline::checks {

/// Tables show no number as NaN, and bounds that hold together at 0.95.
inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kSide = 0.975;

/// All [component.NAME], read.
struct SystemPart {
  plumbline::system::SystemGraph graph;
  struct Recorded {
    std::string path;  ///< resolved; empty: no trace
    std::string time, unit, explored, propensity, exposure;
  };
  std::vector<Recorded> recorded;  ///< by part
};
/// Errors as SystemGraph::make; kValue: explored, propensity, time or unit without a trace, propensity without
/// explored, parts that share a file and name different columns for time or unit.
base::Result<SystemPart> read_system(const data::Manifest& manifest);

/// The parts with what they did; every section is recorded as an input. Errors as the readers and make_trace().
struct RecordedSystem {
  SystemPart part;
  plumbline::system::Trace trace;
};
base::Result<RecordedSystem> read_recorded(check::Context& context);

/// The one task "system", or `task` by part; a manifest that cannot be read gets a task, so that its error stands in
/// the ledger. `why_not`: why the check does not apply, empty if it does.
check::Plan plan_system(const check::Blueprint& blueprint,
                        const std::function<std::string(const SystemPart&)>& why_not);

/// Edges with words of what was found on them, by (from, to, signal).
using EdgeWords = std::map<std::pair<std::size_t, std::size_t>, std::string>;
/// Picture of kind `network`.
check::Artifact draw_graph(const plumbline::system::SystemGraph& graph, std::string caption, const EdgeWords& marked);

/// Evidence with the trace's unit of sampling.
check::Evidence bounded_evidence(const check::CheckInfo& facts, const std::string& metric, const std::string& part,
                                 const plumbline::system::Bounded& figure, const RecordedSystem& system);
check::Evidence exact_evidence(const check::CheckInfo& facts, const std::string& metric, const std::string& part,
                               double value, std::string method, const RecordedSystem& system);

/// The sections of parts that share the file trace.csv; `extra` holds further lines by part.
std::string component_sections(const std::vector<plumbline::system::Component>& components, std::string_view time,
                               std::string_view unit, const std::map<std::string, std::string>& extra);
/// A system of such parts on disk, with one claim. Errors kIo.
base::Status write_parts_system(const std::string& folder, std::uint64_t seed,
                                const std::vector<plumbline::system::Component>& components, const data::Table& trace,
                                std::string_view unit, const std::map<std::string, std::string>& extra,
                                std::string_view claim);

}  // namespace plumbline::checks
