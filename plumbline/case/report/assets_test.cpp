#include "plumbline/case/report/assets.hpp"

#include <algorithm>
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace plumbline::report {
namespace {

const Asset* asset(std::string_view path) {
  const auto all = dashboard_assets();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Asset& one) { return one.path == path; });
  return found == all.end() ? nullptr : &*found;
}

/// Every file that a text names after `before`.
std::set<std::string> named(std::string_view text, const std::string& before = "(?:/assets/|\\./)") {
  const std::regex address(before + "([A-Za-z0-9_-]+-[A-Z0-9]{8}\\.(?:js|css))");
  const std::string words(text);
  std::set<std::string> all;
  for (std::sregex_iterator at(words.begin(), words.end(), address), end; at != end; ++at)
    all.insert("/assets/" + (*at)[1].str());
  return all;
}

TEST(DashboardAssets, ThePageComesFirstAndHoldsNothingInline) {
  ASSERT_FALSE(dashboard_assets().empty());
  const Asset& page = dashboard_assets().front();
  EXPECT_EQ(page.path, "/");
  EXPECT_EQ(page.type, "text/html; charset=utf-8");
  EXPECT_FALSE(page.immutable);
  EXPECT_NE(page.body.find("<noscript>"), std::string_view::npos);
  EXPECT_NE(page.body.find("id=\"i-good\""), std::string_view::npos) << "the shapes of verdicts";
  for (const char* inline_code : {"<style", " style=", "javascript:", " onclick=", " onload="})
    EXPECT_EQ(page.body.find(inline_code), std::string_view::npos) << inline_code;
}

TEST(DashboardAssets, WhatIsNamedIsThereAndWhatIsThereIsNamed) {
  std::set<std::string> reached;
  std::set<std::string> open = named(dashboard_assets().front().body);
  ASSERT_GE(open.size(), 2U);
  while (!open.empty()) {
    const std::string path = *open.begin();
    open.erase(open.begin());
    if (!reached.insert(path).second) continue;
    const Asset* found = asset(path);
    ASSERT_NE(found, nullptr) << path;
    EXPECT_TRUE(found->immutable) << path;
    EXPECT_EQ(found->type, path.ends_with(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8");
    for (const std::string& next : named(found->body)) open.insert(next);
  }
  EXPECT_EQ(reached.size() + 1, dashboard_assets().size());
}

TEST(DashboardAssets, TheFirstViewLeavesRoomForItsData) {
  const Asset& page = dashboard_assets().front();
  std::size_t bytes = page.body.size();
  const std::set<std::string> first = named(page.body, " (?:href|src)=\"/assets/");
  ASSERT_GE(first.size(), 2U);
  for (const std::string& path : first) bytes += asset(path)->body.size();
  EXPECT_LE(bytes, 80U * 1024U);
}

}  // namespace
}  // namespace plumbline::report
