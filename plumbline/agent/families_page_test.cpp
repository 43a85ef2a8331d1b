// docs/user/families.md is what the facts of the worlds, their audits and the stamped table say.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "plumbline/agent/agent.hpp"
#include "plumbline/agent/gauntlet_stamp.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/world/audit.hpp"
#include "plumbline/world/catalog.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::agent {
namespace {

const std::vector<std::string> kFamilies = {"ramp_meter",       "software_foreman", "epidemic_desk",
                                            "sandbagging_exam", "delegation",       "auditor_market"};
constexpr const char* kBegin = "<!-- families:begin, written from the worlds -->\n";
constexpr const char* kEnd = "<!-- families:end -->\n";

std::string source(const std::string& file) {
  const char* root = std::getenv("PLUMBLINE_SOURCE");
  return std::string(root != nullptr ? root : PLUMBLINE_SOURCE_DIR) + "/docs/" + file;
}

/// Lines of at most 140 columns; those after the first behind `indent`.
std::string wrapped(const std::string& words, const std::string& indent) {
  constexpr std::size_t kWidth = 140;
  std::string out, line;
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t end = std::min(words.find(' ', at), words.size());
    if (!line.empty() && line.size() + 1 + end - at > kWidth) {
      out += line + "\n";
      line = indent + words.substr(at, end - at);
    } else {
      line += (line.empty() ? "" : " ") + words.substr(at, end - at);
    }
    at = end + 1;
  }
  return out + line + "\n";
}

std::string item(const std::string& words) { return wrapped("- " + words + ".", "  "); }

std::string story(const world::WorldFacts& f) {
  std::string out = fmt::format("## {} (`{}`)\n\n", f.title, f.id) + wrapped(f.story, "") + "\n";
  out += item("Reward: " + f.proxy) + item("Truth: " + f.truth) + item("Hack: " + f.hack);
  for (const world::DialSpec& d : f.dials)
    out += item(fmt::format("Dial `{}`{}: {}", d.name, d.capability ? " (capability)" : "", d.help));
  for (const std::string& s : f.sources) out += item("Source: " + s);
  return out + "\n";
}

std::string policies(const world::Audit& a) {
  std::string out = a.exact ? fmt::format("Exact, over {} states.\n", a.states)
                            : fmt::format("Means over {} episodes, since it cannot be enumerated.\n", a.episodes);
  out += "\n| policy | reward | truth | share |\n| --- | --- | --- | --- |\n";
  const auto row = [&](const std::string& name, double reward, double truth) {
    const double share = world::truth_share(a, truth);
    out += fmt::format("| {} | {:.2f} | {:.2f} | {:.2f} |\n", name, reward, truth, std::abs(share) < 0.005 ? 0 : share);
  };
  row("best truth known", a.reward_of_best_truth, a.best_truth);
  row("best reward known", a.best_reward, a.truth_of_best_reward);
  row("random", a.random.observed, a.random.hidden);
  for (const world::Baseline& b : a.baselines) {
    const char* const kind = b.kind == "reward" ? "reward by hand, planned for" : "by hand";
    row(fmt::format("{}: \"{}\"", kind, b.name), b.scores.observed, b.scores.hidden);
  }
  return out + "\n";
}

std::string over_the_dial(const world::WorldFacts& f) {
  const auto dial = std::find_if(f.dials.begin(), f.dials.end(), [](const world::DialSpec& d) { return d.capability; });
  std::string out = fmt::format(
      "| `{}` | best reward known | its truth | best truth known |\n| --- | --- | --- | --- |\n", dial->name);
  for (const double value : dial->sweep) {
    world::AuditOptions options;
    options.episodes = 256;
    const world::Audit a = world::audit({f.id, "", {{dial->name, value}}}, options).value();
    out +=
        fmt::format("| {} | {:.2f} | {:.2f} | {:.2f} |\n", value, a.best_reward, a.truth_of_best_reward, a.best_truth);
  }
  return out + "\n";
}

std::string learners(const world::WorldFacts& f, const world::Audit& a, const Stamped& stamped) {
  std::string rows;
  for (const AgentEntry& entry : agents()) {
    if (entry.facts.kind != "learner") continue;
    for (const StampedCell& cell : stamped.cells) {
      if (cell.world.id != f.id || cell.world.level != f.levels.front() || !cell.world.dials.empty() ||
          cell.truths.empty() || cell.agent.substr(0, cell.agent.find(':')) != entry.facts.id)
        continue;
      const stats::Estimate mean = stats::mean(cell.truths).value();
      const auto low = mean.low(0.995);
      const auto high = mean.high(0.995);
      rows += fmt::format("| `{}` | {} of {} | {:.2f} | {:.2f} | {:.2f} ± {:.2f} |\n", cell.agent, cell.hacks,
                          cell.truths.size(), cell.observed, cell.hidden, a.best_truth - cell.hidden,
                          low && high ? (*high - *low) / 2 : 0.0);
    }
  }
  if (rows.empty()) return fmt::format("Learners: not stamped (`make gauntlet-full WORLDS={}`).\n\n", f.id);
  return fmt::format(
             "Learners over {} steps a run, with an interval of 0.99 of the shortfall.\n\n| learner | runs that hack | "
             "reward | truth | short of the best truth by |\n| --- | --- | --- | --- | --- |\n",
             stamped.budget.steps) +
         rows + "\n";
}

std::string families() {
  const Stamped stamped = parse_stamped(testing::read_file(source("gauntlet-full.json"))).value();
  std::string out = kBegin;
  for (const std::string& id : kFamilies) {
    const world::WorldFacts& f = world::find_world(id)->facts;
    world::AuditOptions options;
    options.episodes = 512;
    const world::Audit a = world::audit({id, "", {}}, options).value();
    out += story(f) + policies(a) + over_the_dial(f) + learners(f, a, stamped);
  }
  return out + kEnd;
}

TEST(FamiliesPage, IsCurrentStatistical) {
  const std::string path = source("user/families.md");
  const std::string page = testing::read_file(path);
  const std::size_t begin = page.find(kBegin);
  const std::size_t end = page.find(kEnd);
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos && begin < end) << "the marks are gone";
  const std::string current = page.substr(0, begin) + families() + page.substr(end + std::string_view(kEnd).size());
  if (std::getenv("PLUMBLINE_ACCEPT_GOLDEN") != nullptr) testing::write_file(path, current);
  EXPECT_EQ(testing::read_file(path), current)
      << "write it anew with PLUMBLINE_ACCEPT_GOLDEN=1 and read the difference";
}

}  // namespace
}  // namespace plumbline::agent
