#include "plumbline/world/picture.hpp"

#include <array>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/world/catalog.hpp"
#include "plumbline/world/world.hpp"

namespace plumbline::world {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::array<int, 3> pixel(const Pixels& pixels, int y, int x) {
  const std::size_t at =
      3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(pixels.width) + static_cast<std::size_t>(x));
  return {pixels.rgb[at], pixels.rgb[at + 1], pixels.rgb[at + 2]};
}

TEST(Picture, TheBoardIsTheLeadingLinesOfEqualLength) {
  const Drawing both = split_drawing("###\n#A#\n###\nstep 0, strength 1\n");
  EXPECT_THAT(both.board, ElementsAre("###", "#A#", "###"));
  EXPECT_THAT(both.words, ElementsAre("step 0, strength 1"));
  const Drawing words = split_drawing("no answer yet");
  EXPECT_THAT(words.board, IsEmpty());
  EXPECT_THAT(words.words, ElementsAre("no answer yet"));
  EXPECT_THAT(split_drawing("").board, IsEmpty());
  const std::string road(70, '.');
  EXPECT_THAT(split_drawing(road + "\n" + road).board, IsEmpty());
}

TEST(Picture, CellsBecomeSquaresOfTheirColour) {
  const auto pixels = draw_board("##\nA \n>G", 8);
  ASSERT_TRUE(pixels.ok()) << pixels.error().text();
  EXPECT_EQ(pixels->height, 24);
  EXPECT_EQ(pixels->width, 16);
  ASSERT_EQ(pixels->rgb.size(), 24u * 16u * 3u);
  const auto wall = pixel(*pixels, 0, 0);
  EXPECT_EQ(pixel(*pixels, 7, 15), wall);
  const auto floor = pixel(*pixels, 12, 12);
  EXPECT_NE(wall, floor);
  EXPECT_EQ(pixel(*pixels, 8, 0), floor);  // the corner beside the agent's disc
  const auto agent = pixel(*pixels, 12, 4);
  EXPECT_NE(agent, floor);
  EXPECT_NE(agent, wall);
  // An arrow to the right is wide at its left side and narrow at its right.
  int left = 0, right = 0;
  for (int y = 16; y < 24; ++y) {
    left += pixel(*pixels, y, 2) != floor ? 1 : 0;
    right += pixel(*pixels, y, 5) != floor ? 1 : 0;
  }
  EXPECT_GT(left, right);
  EXPECT_NE(pixel(*pixels, 20, 12), floor);
}

TEST(Picture, EveryWorldThatDrawsABoardHasAPictureAndEveryWorldAnEpisode) {
  int boards = 0;
  for (const WorldEntry& entry : worlds()) {
    const auto made = make_world({entry.facts.id, "", {}}, 1);
    ASSERT_TRUE(made.ok()) << made.error().text();
    std::vector<float> observation((*made)->facts().observation.size());
    float reward = 0;
    std::uint8_t done = 0;
    (*made)->reset(1, 0, View{observation, {&reward, 1}, {&done, 1}});
    const std::string text = (*made)->render(0);
    const auto pixels = draw_board(text);
    boards += pixels.ok() ? 1 : 0;
    EXPECT_TRUE(pixels.ok() || pixels.error().code == base::Code::kUnsupported) << entry.facts.id;
    const std::array<Frame, 2> frames = {{{text, "step 0"}, {text, "step 1: earned <1 & more>"}}};
    const auto svg = draw_episode(frames, entry.facts.title);
    ASSERT_TRUE(svg.ok()) << svg.error().text();
    EXPECT_THAT(*svg, HasSubstr("earned &lt;1 &amp; more&gt;"));
  }
  EXPECT_GE(boards, 20);
}

TEST(Picture, FramesFollowEachOther) {
  const std::array<Frame, 3> frames = {{{"A \n  ", "step 0"}, {" A\n  ", "step 1"}, {"  \n A", "step 2"}}};
  const auto svg = draw_episode(frames, "walk", 0.5);
  ASSERT_TRUE(svg.ok()) << svg.error().text();
  EXPECT_THAT(*svg, HasSubstr("animation:f 1.500s"));
  EXPECT_THAT(*svg, HasSubstr("animation-delay:1.000s"));
  EXPECT_THAT(*svg, HasSubstr("33.33333%{visibility:hidden}"));
  const auto still = draw_episode(std::span(frames).first(1), "stand");
  ASSERT_TRUE(still.ok());
  EXPECT_EQ(still->find("animation"), std::string::npos);
}

TEST(Picture, RefusesWhatCannotBeDrawn) {
  EXPECT_THAT(draw_board("no answer yet").error().text(), HasSubstr("told in words"));
  EXPECT_THAT(draw_board("##\n##", 3).error().text(), HasSubstr("side is 3, expected 4 to 64"));
  EXPECT_THAT(draw_episode({}, "none").error().text(), HasSubstr("0 frames, expected 1 to 1000"));
  const std::vector<Frame> many(1001);
  EXPECT_THAT(draw_episode(many, "long").error().text(), HasSubstr("1001 frames"));
  const std::array<Frame, 1> one = {{{"A", "a"}}};
  EXPECT_THAT(draw_episode(one, "fast", 0).error().text(), HasSubstr("seconds is 0"));
  EXPECT_THAT(draw_episode(one, "nan", std::numeric_limits<double>::quiet_NaN()).error().text(),
              HasSubstr("seconds is nan"));
}

}  // namespace
}  // namespace plumbline::world
