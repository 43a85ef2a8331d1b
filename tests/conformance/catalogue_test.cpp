// What every check of the catalogue must have and do. A new check that lacks a part fails here, with its name.
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/run/plan.hpp"
#include "plumbline/checks/catalog.hpp"
#include "tests/support/fixture_runs.hpp"
#include "tests/support/testing.hpp"

namespace plumbline {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = PLUMBLINE_SOURCE_DIR;

// Checks whose fixtures need LibTorch run in the worker; `plumbline checks verify` covers them.
bool runs_here(const check::Entry& entry) { return !entry.info.needs_torch; }

base::Status write_fixture(const check::Entry& entry, bool defect, const std::string& folder,
                           const std::string& stream) {
  base::Rng rng(3, {entry.info.id, stream});
  return (defect ? entry.fixtures.defect : entry.fixtures.control)(folder, rng);
}

base::Result<check::Output> run_fixture(const check::Entry& entry, const std::string& folder) {
  return testing::run_check(entry, folder);
}

TEST(Catalogue, FactsAreComplete) {
  std::set<std::string> titles;
  for (const check::Entry& entry : checks::catalog().entries()) {
    const check::CheckInfo& info = entry.info;
    SCOPED_TRACE(info.id);
    EXPECT_FALSE(info.title.empty());
    EXPECT_TRUE(titles.insert(info.title).second) << "two checks share a title";
    EXPECT_TRUE(!info.question.empty() && info.question.back() == '?');
    EXPECT_FALSE(info.row.empty());
    EXPECT_FALSE(info.needs.empty());
    EXPECT_FALSE(info.yields.empty());
    EXPECT_FALSE(info.assumptions.empty());
    EXPECT_FALSE(info.sources.empty());
    EXPECT_FALSE(info.cost.empty());
    EXPECT_FALSE(info.code.empty());
    for (const check::ParamSpec& p : info.params) EXPECT_FALSE(p.help.empty()) << p.name;
    for (const check::MetricSpec& m : info.yields) {
      EXPECT_FALSE(m.help.empty()) << m.name;
      EXPECT_FALSE(m.unit.empty()) << m.name;
      for (const auto& [key, value] : m.where_default)
        EXPECT_NE(std::find(m.where.begin(), m.where.end(), key), m.where.end()) << m.name;
    }
    EXPECT_TRUE(entry.plan && (entry.run || (entry.run_shard && entry.finish)));
    EXPECT_TRUE(entry.fixtures.defect && entry.fixtures.control);
    EXPECT_FALSE(entry.fixtures.defect_words.empty());
    EXPECT_FALSE(entry.fixtures.control_words.empty());
    EXPECT_TRUE(check::resolve_params(info, {}).ok()) << "defaults must lie in their own ranges";
  }
}

TEST(Catalogue, EveryCheckHasItsPageWithTheFixedHeadings) {
  const char* headings[] = {"## Question",
                            "## When it answers it",
                            "## When it does not",
                            "## Inputs",
                            "## Parameters",
                            "## What comes back",
                            "## How sure",
                            "## Shortest example",
                            "## Verified against",
                            "## Sources",
                            "## Cost",
                            "## Maturity"};
  for (const check::Entry& entry : checks::catalog().entries()) {
    SCOPED_TRACE(entry.info.id);
    const fs::path page = kRoot / "docs/checks" / (entry.info.id + ".md");
    ASSERT_TRUE(fs::exists(page)) << page;
    const std::string text = testing::read_file(page.string());
    for (const char* heading : headings) EXPECT_NE(text.find(heading), std::string::npos) << heading;
  }
}

// The tables of parameters and metrics are written from the facts; PLUMBLINE_ACCEPT_GOLDEN=1 rewrites them.
TEST(Catalogue, PagesShowTheFactsAsTheyAre) {
  for (const check::Entry& entry : checks::catalog().entries()) {
    SCOPED_TRACE(entry.info.id);
    const std::string path = (kRoot / "docs/checks" / (entry.info.id + ".md")).string();
    const std::string text = testing::read_file(path);
    const std::string begin_mark = "<!-- facts:begin -->";
    const std::string end_mark = "<!-- facts:end -->";
    const auto begin = text.find(begin_mark);
    const auto end = text.find(end_mark);
    ASSERT_TRUE(begin != std::string::npos && end != std::string::npos && begin < end);
    std::ostringstream facts;
    facts << begin_mark << "\n| parameter | default | allowed | meaning |\n| --- | --- | --- | --- |\n";
    for (const check::ParamSpec& p : entry.info.params) {
      facts << "| `" << p.name << "` | `" << check::to_json(p.fallback).dump() << "` | ";
      if (p.low || p.high)
        facts << (p.low ? check::to_json(check::ParamValue(*p.low)).dump() : "any") << " to "
              << (p.high ? check::to_json(check::ParamValue(*p.high)).dump() : "any");
      for (std::size_t i = 0; i < p.choices.size(); ++i) facts << (i > 0 ? ", " : "") << p.choices[i];
      facts << " | " << p.help << " |\n";
    }
    facts << "\n| metric | unit | better | select with | meaning |\n| --- | --- | --- | --- | --- |\n";
    for (const check::MetricSpec& m : entry.info.yields) {
      facts << "| `" << m.name << "` | " << m.unit << " | " << check::direction_name(m.direction) << " | data";
      for (const std::string& key : m.where) {
        facts << ", " << key;
        if (const auto fallback = m.where_default.find(key); fallback != m.where_default.end())
          facts << " (" << fallback->second << ")";
      }
      facts << " | " << m.help << " |\n";
    }
    facts << end_mark;
    const std::string wanted = text.substr(0, begin) + facts.str() + text.substr(end + end_mark.size());
    if (std::getenv("PLUMBLINE_ACCEPT_GOLDEN") != nullptr) {
      testing::write_file(path, wanted);
    } else {
      EXPECT_EQ(text, wanted) << "run this test with PLUMBLINE_ACCEPT_GOLDEN=1 and read the difference";
    }
  }
}

TEST(Battery, TheSameSystemGivesTheSameBits) {
  for (const check::Entry& entry : checks::catalog().entries()) {
    if (!runs_here(entry)) continue;
    SCOPED_TRACE(entry.info.id);
    const testing::TempFolder folder;
    ASSERT_TRUE(write_fixture(entry, false, folder.path(), "bits").ok());
    const auto first = run_fixture(entry, folder.path());
    const auto second = run_fixture(entry, folder.path());
    ASSERT_TRUE(first.ok()) << first.error().text();
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(check::to_json(*first).dump(), check::to_json(*second).dump());
  }
}

TEST(Battery, EveryFigureCarriesWhatItMust) {
  for (const check::Entry& entry : checks::catalog().entries()) {
    if (!runs_here(entry)) continue;
    SCOPED_TRACE(entry.info.id);
    const testing::TempFolder folder;
    ASSERT_TRUE(write_fixture(entry, true, folder.path(), "figures").ok());
    const auto output = run_fixture(entry, folder.path());
    ASSERT_TRUE(output.ok()) << output.error().text();
    EXPECT_FALSE(output->evidence.empty());
    EXPECT_FALSE(output->rows.empty()) << "the ledger must say which rows were used";
    std::set<std::string> artifacts;
    for (const check::Artifact& a : output->artifacts) EXPECT_TRUE(artifacts.insert(a.id).second) << a.id << " twice";
    for (const check::Evidence& e : output->evidence) {
      SCOPED_TRACE(e.metric);
      EXPECT_TRUE(e.where.count("data") == 1);
      EXPECT_FALSE(e.estimate.method.empty());
      EXPECT_FALSE(e.inputs.empty());
      EXPECT_EQ(e.id, check::evidence_id(e));
      for (const std::string& id : e.artifacts) EXPECT_TRUE(artifacts.count(id) == 1) << id;
      // Bounds nest: a higher confidence never gives a tighter bound.
      const auto& b = e.estimate.bounds;
      for (std::size_t i = 1; i < b.lower.size(); ++i) {
        if (b.lower[i - 1] && b.lower[i]) {
          EXPECT_LE(*b.lower[i], *b.lower[i - 1]);
        }
        if (b.upper[i - 1] && b.upper[i]) {
          EXPECT_GE(*b.upper[i], *b.upper[i - 1]);
        }
      }
      const auto back = check::evidence_from_json(nlohmann::json::parse(check::to_json(e).dump()));
      ASSERT_TRUE(back.ok()) << back.error().text();
      EXPECT_EQ(check::evidence_id(*back), e.id);
    }
  }
}

TEST(Battery, CancelledMeansStopped) {
  for (const check::Entry& entry : checks::catalog().entries()) {
    if (!runs_here(entry)) continue;
    SCOPED_TRACE(entry.info.id);
    const testing::TempFolder folder;
    ASSERT_TRUE(write_fixture(entry, false, folder.path(), "cancel").ok());
    const auto manifest = data::read_manifest(folder.file("system.toml"));
    ASSERT_TRUE(manifest.ok()) << manifest.error().text();
    const auto blueprint = run::make_blueprint(*manifest, false);
    ASSERT_TRUE(blueprint.ok());
    check::Registry registry;
    registry.add(entry);
    const auto plan = run::make_plan(registry, *blueprint, {});
    ASSERT_TRUE(plan.ok()) << plan.error().text();
    run::Session session(*manifest, testing::session_options());
    const auto token = base::CancelToken::make();
    token.cancel();
    // A quick check may finish before it looks; then its output is whole. It never returns half of one.
    const auto output = run::run_task(session, entry, plan->front().params, plan->front().tasks.front(), token);
    if (!output.ok()) {
      EXPECT_EQ(output.error().code, base::Code::kCancelled) << output.error().text();
    } else {
      EXPECT_FALSE(output->evidence.empty());
    }
  }
}

TEST(Battery, ParametersOutsideTheirRangeAreRefused) {
  for (const check::Entry& entry : checks::catalog().entries()) {
    for (const check::ParamSpec& p : entry.info.params) {
      SCOPED_TRACE(entry.info.id + " " + p.name);
      EXPECT_FALSE(check::resolve_params(entry.info, {{p.name + "x", p.fallback}}).ok());
      if (p.high && std::holds_alternative<double>(p.fallback)) {
        EXPECT_FALSE(check::resolve_params(entry.info, {{p.name, *p.high + 1}}).ok());
      }
      if (p.low && std::holds_alternative<std::int64_t>(p.fallback)) {
        EXPECT_FALSE(check::resolve_params(entry.info, {{p.name, static_cast<std::int64_t>(*p.low) - 1}}).ok());
      }
      if (!p.choices.empty() && std::holds_alternative<std::string>(p.fallback)) {
        EXPECT_FALSE(check::resolve_params(entry.info, {{p.name, std::string("no such choice")}}).ok());
      }
    }
  }
}

}  // namespace
}  // namespace plumbline
