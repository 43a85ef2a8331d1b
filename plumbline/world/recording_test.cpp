#include "plumbline/world/recording.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/world/catalog.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::world {
namespace {

Chooser by_lot(std::uint64_t seed) {
  return [rng = base::Rng(seed)](const World& world, std::span<const float>, std::uint64_t) mutable {
    return static_cast<std::int32_t>(rng.below(world.facts().actions.size()));
  };
}

Recording sample() { return record({"news_feed", "", {{"tailoring", 0.7}}}, 7, 3, by_lot(1)).value(); }

TEST(Recording, EveryWorldReplaysToTheBitAfterAWayThroughJson) {
  for (const WorldEntry& entry : worlds()) {
    const Recording first = record({entry.facts.id, "", {}}, 12345678901234567890U, 5, by_lot(4)).value();
    EXPECT_EQ(first.spec.level, entry.facts.levels.front());
    EXPECT_EQ(first.spec.dials.size(), entry.facts.dials.size());
    const auto again = parse_recording(to_json(first), "a recording");
    ASSERT_TRUE(again.ok()) << again.error().text();
    EXPECT_EQ(again->spec.dials, first.spec.dials);
    EXPECT_EQ(again->seed, first.seed);
    EXPECT_EQ(again->environment, first.environment);
    EXPECT_EQ(again->actions, first.actions);
    EXPECT_EQ(again->digest, first.digest);
    EXPECT_EQ(to_json(*again), to_json(first));
    const auto played = replay(*again);
    ASSERT_TRUE(played.ok()) << played.error().text();
    EXPECT_EQ(played->frames.size(), first.actions.size());
    EXPECT_NE(played->done, Done::kNo);
  }
}

TEST(Recording, IsTheEpisodeThatTheSameEnvironmentOfABatchPlays) {
  const Recording one = sample();
  const WorldPtr batch = make_world(one.spec, 5).value();
  std::vector<float> reward(5);
  std::vector<std::uint8_t> done(5);
  const View view{{}, reward, done, {}};
  batch->reset(7, 0, view);
  const Replay played = replay(one).value();
  double total = 0;
  for (std::size_t t = 0; t < one.actions.size(); ++t) {
    EXPECT_EQ(batch->render(3), played.frames[t]);
    const std::vector<std::int32_t> actions(5, one.actions[t]);
    ASSERT_TRUE(batch->step(actions, view).ok());
    EXPECT_EQ(static_cast<double>(reward[3]), played.rewards[t]);
    total += static_cast<double>(reward[3]);
  }
  EXPECT_EQ(done[3], static_cast<std::uint8_t>(played.done));
  EXPECT_EQ(total, played.total);
}

TEST(Recording, FramesAreText) {
  const Replay played = replay(sample()).value();
  const std::string text = frame_text(played, 0);
  EXPECT_TRUE(text.starts_with("step 1 of 30: ")) << text;
  EXPECT_NE(text.find("taste ---o---"), std::string::npos) << text;
}

TEST(Recording, AnyChangeIsNoticed) {
  const Recording good = sample();
  const std::vector<std::function<void(Recording&)>> changes = {
      [](Recording& r) { r.seed += 1; },
      [](Recording& r) { r.environment += 1; },
      [](Recording& r) { r.spec.dials["tailoring"] = 0.71; },
      [](Recording& r) { r.spec.dials["churn"] = 0.30001; },
      [](Recording& r) { r.actions[4] = (r.actions[4] + 1) % 4; },
      [](Recording& r) { r.actions.pop_back(); },
      [](Recording& r) { r.digest[0] = r.digest[0] == '0' ? '1' : '0'; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Recording bad = good;
    changes[i](bad);
    const auto played = replay(bad);
    ASSERT_FALSE(played.ok()) << i;
    EXPECT_NE(played.error().text().find("plays differently"), std::string::npos) << played.error().text();
  }
  Recording longer = good;
  longer.actions.push_back(0);
  EXPECT_NE(replay(longer).error().text().find("ended with action 30"), std::string::npos)
      << replay(longer).error().text();
  Recording odd = good;
  odd.actions[0] = 4;
  EXPECT_NE(replay(odd).error().text().find("action 4"), std::string::npos);
  Recording none = good;
  none.actions.clear();
  EXPECT_NE(replay(none).error().text().find("without actions"), std::string::npos);
  Recording nowhere = good;
  nowhere.spec.id = "news_fed";
  EXPECT_NE(replay(nowhere).error().text().find("did you mean 'news_feed'"), std::string::npos);
  EXPECT_FALSE(record({"news_feed", "", {}}, 1, 0, [](const World&, auto, auto) { return 9; }).ok());
}

TEST(Recording, FilesAreWrittenAndRead) {
  const testing::TempFolder folder;
  const Recording good = sample();
  ASSERT_TRUE(save_recording(good, folder.file("a.json")).ok());
  EXPECT_EQ(load_recording(folder.file("a.json"))->digest, good.digest);
  EXPECT_EQ(load_recording(folder.file("b.json")).error().code, base::Code::kIo);
  EXPECT_EQ(save_recording(good, folder.file("no/such/folder.json")).error().code, base::Code::kIo);
}

TEST(Recording, TheReaderNamesWhatIsWrong) {
  const std::string good = to_json(sample());
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const auto fails = [](const std::string& text, base::Code code, const std::string& word) {
    const auto read = parse_recording(text, "x.json");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, code) << read.error().text();
    EXPECT_NE(read.error().text().find(word), std::string::npos) << read.error().text();
    EXPECT_NE(read.error().text().find("x.json"), std::string::npos);
  };
  using base::Code;
  fails("", Code::kParse, "is not JSON");
  fails("{", Code::kParse, "is not JSON");
  fails("[1]", Code::kParse, "expected an object");
  fails("{}", Code::kParse, "plumbline_recording");
  fails(changed("\"plumbline_recording\":1", "\"plumbline_recording\":2"), Code::kUnsupported, "version 2");
  fails(changed("\"plumbline_recording\":1", "\"plumbline_recording\":\"1\""), Code::kParse, "version number");
  fails(changed("\"world\":\"news_feed\"", "\"world\":3"), Code::kParse, "world: holds number");
  fails(changed("\"world\":\"news_feed\"", "\"world\":\"" + std::string(300, 'w') + "\""), Code::kLimit, "300 bytes");
  fails(changed("\"world\":\"news_feed\"", "\"word\":\"news_feed\""), Code::kParse, "unknown field 'word'");
  fails(changed("\"level\":\"default\",", ""), Code::kParse, "no field 'level'");
  fails(changed("\"tailoring\":0.7", "\"tailoring\":\"0.7\""), Code::kParse, "dials.tailoring");
  fails(changed("\"seed\":\"7\"", "\"seed\":-7"), Code::kParse, "seed");
  fails(changed("\"seed\":\"7\"", "\"seed\":\"-7\""), Code::kValue, "'-7'");
  fails(changed("\"seed\":\"7\"", "\"seed\":\"18446744073709551616\""), Code::kValue, "2^64");
  fails(changed("\"actions\":[", "\"actions\":[-1,"), Code::kValue, "actions[0]: holds -1");
  fails(changed("\"actions\":[", "\"actions\":[1.5,"), Code::kValue, "1.5");
  fails(changed("\"actions\":[", "\"actions\":[null,"), Code::kParse, "actions[0]: holds null");
  fails(changed("\"digest\":\"", "\"digest\":\"f"), Code::kValue, "64");
  std::string dials;
  for (int i = 0; i < 65; ++i) dials += "\"d" + std::to_string(i) + "\":1,";
  fails(changed("\"dials\":{", "\"dials\":{" + dials), Code::kLimit, "dials");
  data::ReadLimits small;
  small.file_bytes = 10;
  EXPECT_EQ(parse_recording(good, "x.json", small).error().code, Code::kLimit);
  EXPECT_TRUE(parse_recording(changed("\"seed\":\"7\"", "\"seed\":7"), "x.json").ok());
  // Deep nesting is refused without a deep stack.
  fails(std::string(100'000, '['), Code::kParse, "is not JSON");
}

}  // namespace
}  // namespace plumbline::world
