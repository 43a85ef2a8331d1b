#include "plumbline/base/url.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"

namespace plumbline::base {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(Target, PathsAndQueriesAreDecoded) {
  const auto one = parse_target("/api/runs/a%2Fb?query=dark+%C3%A9t%C3%A9%2B&limit=5&flag&empty=&&eq=a=b");
  ASSERT_TRUE(one.ok()) << one.error().text();
  EXPECT_THAT(one->path, ElementsAre("api", "runs", "a/b"));
  EXPECT_THAT(one->query, ElementsAre(Pair("empty", ""), Pair("eq", "a=b"), Pair("flag", ""), Pair("limit", "5"),
                                      Pair("query", "dark \u00e9t\u00e9+")));
  EXPECT_TRUE(parse_target("/")->path.empty());
  EXPECT_THAT(parse_target("/a/")->path, ElementsAre("a", ""));
  EXPECT_THAT(parse_target("//")->path, ElementsAre("", ""));
  EXPECT_THAT(parse_target("/a+b")->path, ElementsAre("a+b")) << "only in a query is a + a space";
  EXPECT_THAT(parse_target("/..%2f..")->path, ElementsAre("../.."));
  EXPECT_TRUE(parse_target("/?")->query.empty());
}

TEST(Target, WhatIsWrongIsRefused) {
  const auto refused = [](const std::string& target) {
    const auto parsed = parse_target(target);
    return parsed.ok() ? "taken" : parsed.error().text();
  };
  EXPECT_THAT(refused(""), HasSubstr("begin with /"));
  EXPECT_THAT(refused("api"), HasSubstr("begin with /"));
  EXPECT_THAT(refused("http://elsewhere/"), HasSubstr("begin with /"));
  for (const char* cut : {"/%", "/%4", "/a%zz", "/?a=%G0", "/?%=1"})
    EXPECT_THAT(refused(cut), HasSubstr("hexadecimal")) << cut;
  for (const char* text : {"/%00", "/a?b=%0a", "/%7f", "/?a=%1b"})
    EXPECT_THAT(refused(text), HasSubstr("control")) << text;
  // Overlong, cut short, surrogates, beyond the last character.
  for (const char* bytes : {"/%C0%AF", "/%E0%80%AF", "/%ED%A0%80", "/%F4%90%80%80", "/%C3", "/%80", "/%FF"})
    EXPECT_THAT(refused(bytes), HasSubstr("UTF-8")) << bytes;
  EXPECT_THAT(refused("/?a=1&a=2"), HasSubstr("twice"));
  EXPECT_THAT(refused("/?a=1&%61=2"), HasSubstr("twice"));
  EXPECT_THAT(refused("/" + std::string(9000, 'a')), HasSubstr("8192"));
  std::string many = "/?";
  for (int i = 0; i < 65; ++i) many += "&n" + std::to_string(i);
  EXPECT_THAT(refused(many), HasSubstr("64 names"));
}

TEST(Target, WhatIsEncodedComesBack) {
  Rng rng(3);
  for (int round = 0; round < 500; ++round) {
    std::string name;
    std::string value;
    for (std::uint64_t k = rng.below(12); k > 0; --k) name += static_cast<char>(0x20 + rng.below(0x5f));
    for (std::uint64_t k = rng.below(12); k > 0; --k) value += static_cast<char>(0x20 + rng.below(0x5f));
    const std::string target = "/" + percent_encode("x" + value) + "/" + percent_encode(name + "y") + "?" +
                               percent_encode("n" + name) + "=" + percent_encode(value);
    const auto parsed = parse_target(target);
    ASSERT_TRUE(parsed.ok()) << target << ": " << parsed.error().text();
    EXPECT_THAT(parsed->path, ElementsAre("x" + value, name + "y"));
    EXPECT_THAT(parsed->query, ElementsAre(Pair("n" + name, value)));
  }
  EXPECT_EQ(percent_encode("a b/c\xff~", "/"), "a%20b/c%FF~");
}

}  // namespace
}  // namespace plumbline::base
