// ACAS Xu: properties 1 to 4 of the collision-avoidance networks, proved or refuted, beside the verdicts on which the
// competition's programs agree.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "plumbline/graph/onnx.hpp"
#include "plumbline/replicate/replications.hpp"
#include "plumbline/robustness/proof/verify.hpp"

namespace plumbline::replicate {
namespace {

constexpr const char* kAgreed = "competition results of 2021 to 2023, category acasxu: all reporting programs agree";
constexpr std::size_t kProperties = 4;

/// How many hold and how many are violated: of networks 1_1 to 1_9, and of all 45.
struct Known {
  std::size_t holds;
  std::size_t violated;
};
constexpr std::array<Known, kProperties> kNine = {{{9, 0}, {4, 5}, {6, 3}, {6, 3}}};
constexpr std::array<Known, kProperties> kAll = {{{45, 0}, {6, 39}, {42, 3}, {42, 3}}};

/// Regions for each instance. The short form is limited by work alone, so that it comes out alike everywhere.
constexpr std::uint64_t kShortRegions = 500;
constexpr double kFullSeconds = 116;  // the competition's

struct Tally {
  std::size_t holds = 0;
  std::size_t violated = 0;
  std::size_t open = 0;
  std::vector<double> regions;
  std::vector<double> seconds;
};

struct Result {
  std::array<Tally, kProperties> by_property;
  std::size_t contradictions = 0;
};

/// "network:property" -> "unsat" or "sat", from the table beside the networks.
base::Result<std::map<std::string, std::string>> known_verdicts(const std::string& path) {
  std::ifstream file(path);
  if (!file) return base::make_error(base::Code::kIo, "cannot be read", path);
  std::map<std::string, std::string> out;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> cells;
    for (std::size_t at = 0; cells.size() < 5;) {
      const std::size_t comma = line.find(',', at);
      cells.push_back(line.substr(at, comma - at));
      if (comma == std::string::npos) break;
      at = comma + 1;
    }
    if (cells.size() == 5 && cells[0] == "acasxu") out[cells[1] + ":" + cells[2]] = cells[4];
  }
  return out;
}

base::Result<Result> verify_all(const Options& options, const std::string& folder) {
  Result out;
  PL_TRY(const auto known, known_verdicts(folder + "/ground_truth.csv"));
  const int rows = options.full ? 5 : 1;
  const std::size_t total = static_cast<std::size_t>(rows) * 9 * kProperties;
  std::size_t done = 0;
  for (int a = 1; a <= rows; ++a) {
    for (int b = 1; b <= 9; ++b) {
      const std::string model = fmt::format("acasxu/onnx/ACASXU_run2a_{}_{}_batch_2000.onnx", a, b);
      PL_TRY(const graph::Graph graph, graph::read_onnx(folder + "/" + model));
      PL_TRY(const robustness::Network network, robustness::lower(graph));
      for (std::size_t p = 0; p < kProperties; ++p) {
        progress(options, "acas_xu", done++, total);
        const std::string file = fmt::format("acasxu/vnnlib/prop_{}.vnnlib", p + 1);
        PL_TRY(const robustness::Property property, robustness::read_vnnlib(folder + "/" + file));
        robustness::VerifyOptions how;
        how.seed = options.seed;
        how.seconds = options.full ? kFullSeconds : 1e9;
        if (!options.full) how.regions = kShortRegions;
        const auto start = std::chrono::steady_clock::now();
        PL_TRY(const robustness::Verification v, robustness::verify(graph, network, property, how, options.cancel));
        Tally& tally = out.by_property[p];
        tally.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
        tally.regions.push_back(static_cast<double>(v.regions));
        const auto truth = known.find(model + ":" + file);
        const bool holds = v.verdict == robustness::ProofVerdict::kHolds;
        const bool violated = v.verdict == robustness::ProofVerdict::kViolated;
        tally.holds += holds ? 1 : 0;
        tally.violated += violated ? 1 : 0;
        tally.open += holds || violated ? 0 : 1;
        if (truth != known.end() && ((holds && truth->second == "sat") || (violated && truth->second == "unsat")))
          ++out.contradictions;
      }
    }
  }
  return out;
}

double median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

check::Artifact table_of(const std::array<Known, kProperties>& known, const Result* result) {
  std::vector<std::string> property;
  std::vector<double> holds, violated, solved, open, regions, seconds, longest;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t p = 0; p < kProperties; ++p) {
    property.push_back(fmt::format("{}", p + 1));
    holds.push_back(static_cast<double>(known[p].holds));
    violated.push_back(static_cast<double>(known[p].violated));
    const Tally* tally = result == nullptr ? nullptr : &result->by_property[p];
    solved.push_back(tally == nullptr ? kNan : static_cast<double>(tally->holds + tally->violated));
    open.push_back(tally == nullptr ? kNan : static_cast<double>(tally->open));
    regions.push_back(tally == nullptr ? kNan : median(tally->regions));
    seconds.push_back(tally == nullptr ? kNan : median(tally->seconds));
    longest.push_back(tally == nullptr ? kNan : *std::max_element(tally->seconds.begin(), tally->seconds.end()));
  }
  check::Artifact out;
  out.id = "acas-xu-solved";
  out.kind = "table";
  out.title = "Solved, and the time that it took, by property";
  out.caption = "Known verdicts first, then ours. Seconds are of the machine that computed this page.";
  out.columns = {{"property", "", property},
                 {"known to hold", "", holds},
                 {"known to be violated", "", violated},
                 {"solved", "", solved},
                 {"open", "", open},
                 {"median regions", "", regions},
                 {"median seconds", "s", seconds},
                 {"longest seconds", "s", longest}};
  return out;
}

base::Result<Replication> run(const Options& options) {
  PL_CHECK(options.cancel.status());
  Replication out;
  const auto& known = options.full ? kAll : kNine;
  const char* const root = std::getenv("PLUMBLINE_DATA");
  const std::string folder = root == nullptr ? "" : std::string(root) + "/vnncomp";
  std::string missing;
  if (root == nullptr) missing = "the networks are not part of Plumbline: set PLUMBLINE_DATA to a folder with vnncomp/";
  if (missing.empty() && !std::filesystem::exists(folder + "/acasxu")) missing = "there is no " + folder + "/acasxu";
  std::optional<Result> result;
  if (missing.empty()) {
    PL_TRY(result, verify_all(options, folder));
  }
  const auto add = [&](std::string label, Published published, std::size_t Tally::*count, std::size_t p) {
    const auto wanted = static_cast<double>(count == &Tally::holds ? known[p].holds : known[p].violated);
    Row row{.label = std::move(label), .published = std::move(published), .not_run = missing};
    if (result) {
      row.ours = exactly(static_cast<double>(result->by_property[p].*count), "replayed verdicts");
      if (wanted > 0) {
        row.deviation = Deviation{
            0, wanted - 1,
            options.full ? "some stay open within the competition's 116 s on this machine"
                         : fmt::format("some stay open after {} regions; --full has no such limit", kShortRegions)};
      }
    }
    out.rows.push_back(std::move(row));
  };
  for (std::size_t p = 0; p < kProperties; ++p) {
    add(fmt::format("property {}: holds", p + 1),
        number(static_cast<double>(known[p].holds), Origin::kProgram, kAgreed), &Tally::holds, p);
    add(fmt::format("property {}: violated", p + 1),
        number(static_cast<double>(known[p].violated), Origin::kProgram, kAgreed), &Tally::violated, p);
  }
  Row contradicted{.label = "verdicts that contradict a known one",
                   .published = number(0, Origin::kProgram, kAgreed),
                   .not_run = missing};
  if (result) contradicted.ours = exactly(static_cast<double>(result->contradictions), "replayed verdicts");
  out.rows.push_back(std::move(contradicted));
  out.pictures.push_back(table_of(known, result ? &*result : nullptr));
  out.notes.push_back(
      options.full ? "All 45 networks, each property with the competition's 116 s."
                   : fmt::format("Networks 1_1 to 1_9 with at most {} regions a property; --full takes all 45 with "
                                 "the competition's 116 s each.",
                                 kShortRegions));
  return out;
}

}  // namespace

Entry acas_xu() {
  return {.facts = {.id = "acas_xu",
                    .title = "Collision avoidance, verified",
                    .paper = "Katz, Barrett, Dill, Julian, Kochenderfer, \"Reluplex\", CAV 2017; Bak, Liu, Johnson, "
                             "\"The second international verification of neural networks competition\", 2021",
                    .where = "properties 1 to 4 of the ACAS Xu networks",
                    .compares = "how many hold and how many are violated, with solved and time by property",
                    .seconds = 20},
          .run = run};
}

}  // namespace plumbline::replicate
