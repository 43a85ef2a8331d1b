#include <fmt/format.h>

#include "plumbline/base/text.hpp"
#include "plumbline/system/cancelled.hpp"

namespace plumbline::system {

std::vector<std::string> explain(const SystemGraph& graph, const ExplorationReport& report) {
  const std::string& explorer = graph.component(report.explorer).name;
  std::vector<std::string> out;
  out.push_back(fmt::format("{} draws by lot in {:.3g} of its decisions.", explorer, report.explored.value));
  for (const Crossing& c : report.crossings) {
    const std::string& part = graph.component(c.part).name;
    if (c.passage == Passage::kExposed) {
      out.push_back(
          fmt::format("What it draws by lot has a mean {} of {:.3g}, its other choices in like context {:.3g}.",
                      c.signal, c.loud_explored, c.loud_others));
      continue;
    }
    if (c.dependence_p > 0.05) continue;
    const std::string by = c.told_by.empty() ? "" : fmt::format(" It can tell by {}.", base::join_words(c.told_by));
    if (c.passage == Passage::kPassed)
      out.push_back(fmt::format("{} replaces what was drawn by lot in {:.3g} of the cases, other choices in {:.3g}.{}",
                                part, c.loud_explored, c.loud_others, by));
    else
      out.push_back(
          fmt::format("{} treats what was drawn by lot differently: {} is {} in {:.3g} of those cases and in {:.3g} of "
                      "the others.{}",
                      part, c.signal, c.loudest, c.loud_explored, c.loud_others, by));
  }
  if (report.kept && report.effective)
    out.push_back(fmt::format("So exploration at a rate of {:.3g} is worth one of {:.3g}.", report.explored.value,
                              report.effective->value));
  return out;
}

}  // namespace plumbline::system
