#include "apps/cli/causal_input.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/data/manifest.hpp"

namespace plumbline::cli {

namespace causal = counterfactual::causal;

base::Result<causal::ReadGraph> read_graph(const std::string& file, const std::string& chosen, const Options& options) {
  if (!file.ends_with(".toml")) return causal::read_graph(file);
  data::ManifestOptions reading;
  reading.roots = options.roots;
  PL_TRY(const data::Manifest manifest, data::read_manifest(file, reading));
  std::vector<std::string> names;
  for (const data::OtherSection& section : manifest.others)
    if (section.kind == "graph") names.push_back(section.name);
  const std::string name = chosen.empty() && names.size() == 1 ? names[0] : chosen;
  const data::OtherSection* section = manifest.other("graph", name);
  if (section == nullptr)
    return base::make_error(
        base::Code::kValue,
        name.empty() ? fmt::format("has {} graphs", names.size()) : fmt::format("there is no [graph.{}]", name), file,
        names.empty() ? "" : fmt::format("choose with --graph: {}", fmt::join(names, ", ")));
  return causal::section_graph(*section, file);
}

base::Result<char> parse_separator(const std::string& text) {
  if (text.empty()) return '\0';
  if (text == "space") return ' ';
  if (text.size() == 1) return text[0];
  return base::make_error(base::Code::kValue, "--separator takes one character, or space");
}

}  // namespace plumbline::cli
