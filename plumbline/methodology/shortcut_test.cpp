#include "plumbline/methodology/shortcut.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/data/csv.hpp"
#include "plumbline/data/load.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::methodology {
namespace {

using data::Column;
using data::Dataset;
using ::testing::HasSubstr;

/// Column "key" agrees with the label with probability `key`; "x" and "y" decide it together (exclusive or).
Dataset table_set(std::size_t rows, double key, base::Rng& rng) {
  Dataset set;
  set.kind = Dataset::Kind::kTable;
  Column x;
  Column y;
  Column k;
  x.name = "x";
  y.name = "y";
  k.name = "key";
  k.kind = Column::Kind::kCategory;
  k.levels = {"no", "yes"};
  for (std::size_t i = 0; i < rows; ++i) {
    x.numbers.push_back(rng.normal());
    y.numbers.push_back(rng.normal());
    const int label = (x.numbers.back() > 0) != (y.numbers.back() > 0) ? 1 : 0;
    set.labels.push_back(label);
    k.codes.push_back(rng.bernoulli(key) ? label : 1 - label);
  }
  set.table.columns = {x, y, k};
  return set;
}

std::vector<std::uint8_t> majority_hits(const ShortcutResult& result, const Dataset& test) {
  std::vector<std::uint8_t> out;
  for (const int label : test.labels) out.push_back(label == result.majority ? 1 : 0);
  return out;
}

TEST(Shortcut, APlantedColumnIsFoundAndPriced) {
  base::Rng rng(1);
  const Dataset train = table_set(1500, 0.9, rng);
  const Dataset test = table_set(800, 0.9, rng);
  const auto result = cheap_baselines(train, test, {}, base::Rng(2));
  ASSERT_TRUE(result.ok()) << result.error().text();
  EXPECT_EQ(result->baselines.front().name, "column key");
  EXPECT_NEAR(result->baselines.front().accuracy.value, 0.9, 0.04);
  EXPECT_LT(result->baselines.front().adjusted_p, 1e-6);
  for (std::size_t k = 1; k < result->baselines.size(); ++k)
    EXPECT_GT(result->baselines[k].adjusted_p, 0.01) << result->baselines[k].name;
  // Against a perfect model: s = (0.9 - 0.5) / (1 - 0.5) = 0.8.
  const std::vector<std::uint8_t> perfect(800, 1);
  const auto s = solvability(*result, majority_hits(*result, test), perfect, {}, base::Rng(3), 500);
  ASSERT_TRUE(s.ok()) << s.error().text();
  EXPECT_EQ(s->worst_baseline, 0U);
  EXPECT_NEAR(s->worst.value, 0.8, 0.08);
  EXPECT_LE(*s->worst.bounds.lower[2], s->worst.value);
  EXPECT_GE(*s->worst.bounds.upper[2], s->worst.value);
  // A model that only guesses has no gain to compare with.
  const auto none =
      solvability(*result, majority_hits(*result, test), majority_hits(*result, test), {}, base::Rng(3), 500);
  ASSERT_TRUE(none.ok());
  EXPECT_THAT(none->not_defined, HasSubstr("not clearly above 0"));
}

TEST(Shortcut, APlantedPixelIsFoundAndLocated) {
  base::Rng rng(2);
  const auto images = [&](std::size_t n) {
    Dataset set;
    set.kind = Dataset::Kind::kImages;
    std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[n * 144]);
    for (std::size_t i = 0; i < n; ++i) {
      set.labels.push_back(static_cast<int>(rng.below(3)));
      for (std::size_t p = 0; p < 144; ++p) bytes[i * 144 + p] = static_cast<std::uint8_t>(rng.below(256));
      bytes[i * 144 + 5 * 12 + 7] = static_cast<std::uint8_t>(80 * set.labels.back() + 10);
    }
    set.images = {n, 1, 12, 12, std::move(bytes)};
    return set;
  };
  const auto result = cheap_baselines(images(600), images(300), {}, base::Rng(1));
  ASSERT_TRUE(result.ok()) << result.error().text();
  EXPECT_EQ(result->baselines.front().name, "pixel 5,7");
  EXPECT_EQ(result->baselines.front().place, "the pixel in row 5, column 7");
  EXPECT_DOUBLE_EQ(result->baselines.front().accuracy.value, 1);
  for (const Baseline& b : result->baselines) {
    if (b.name == "border" || b.name == "brightness") {
      EXPECT_GT(b.adjusted_p, 0.001) << b.name;
    }
    if (b.name == "patch 1,2") {
      EXPECT_LT(b.adjusted_p, 1e-6);
    }
  }
}

TEST(Shortcut, TextFieldsAndNeededColumns) {
  base::Rng rng(3);
  const auto texts = [&](std::size_t n) {
    Dataset set;
    set.kind = Dataset::Kind::kTable;
    Column claim;
    Column hint;
    Column z;
    claim.name = "claim";
    hint.name = "hint";
    z.name = "z";
    claim.kind = hint.kind = Column::Kind::kText;
    for (std::size_t i = 0; i < n; ++i) {
      const int label = static_cast<int>(rng.below(2));
      set.labels.push_back(label);
      claim.texts.push_back("word" + std::to_string(rng.below(50)) + " other" + std::to_string(rng.below(50)));
      hint.texts.push_back(std::string(label == 1 && rng.bernoulli(0.7) ? "not " : "") + "thing" +
                           std::to_string(rng.below(50)));
      claim.text_missing.push_back(false);
      hint.text_missing.push_back(false);
      z.numbers.push_back(rng.normal());
    }
    set.table.columns = {claim, hint, z};
    return set;
  };
  const Dataset train = texts(800);
  const Dataset test = texts(400);
  ShortcutOptions options;
  options.fields = {"claim", "hint"};
  options.baselines = 3;
  const auto result = cheap_baselines(train, test, options, base::Rng(1));
  ASSERT_TRUE(result.ok()) << result.error().text();
  EXPECT_EQ(result->baselines.size(), 3U);
  EXPECT_EQ(result->left_out, 2U);
  bool joint = false;
  for (const Baseline& b : result->baselines) {
    joint = joint || b.name == "fields claim and hint";
    EXPECT_GT(b.gain.value, 0.1) << b.name;
  }
  EXPECT_TRUE(joint);
  options.fields = {"clam"};
  EXPECT_THAT(cheap_baselines(train, test, options, base::Rng(1)).error().text(), HasSubstr("did you mean 'claim'?"));
  options.fields = {"z"};
  EXPECT_THAT(cheap_baselines(train, test, options, base::Rng(1)).error().text(), HasSubstr("is not text"));
}

TEST(Shortcut, Errors) {
  base::Rng rng(4);
  const Dataset train = table_set(50, 0.5, rng);
  Dataset unlabelled = train;
  unlabelled.labels.clear();
  EXPECT_THAT(cheap_baselines(train, unlabelled, {}, base::Rng(1)).error().text(), HasSubstr("no labelled row"));
  Dataset one = train;
  one.labels.assign(50, 0);
  EXPECT_THAT(cheap_baselines(one, one, {}, base::Rng(1)).error().text(), HasSubstr("expected at least 2"));
  const std::vector<std::uint8_t> rows(3, 1);
  EXPECT_THAT(solvability(ShortcutResult{}, rows, rows, {}, base::Rng(1)).error().text(),
              HasSubstr("there is no baseline"));
}

TEST(ShortcutStatistical, GainsOfUselessBaselinesAreCalledRarely) {
  // Holm at 0.05 over three useless columns: at most 0.05 of 200 clean tasks may call one. binomial_floor's mirror:
  // more than 25 of 200 has probability below 1e-4 at 0.05; a true rate of 0.2 slips through with probability below
  // 0.004.
  int called = 0;
  for (int seed = 0; seed < 200; ++seed) {
    base::Rng rng(static_cast<std::uint64_t>(seed));
    const Dataset train = table_set(150, 0.5, rng);
    const Dataset test = table_set(200, 0.5, rng);
    const auto result = cheap_baselines(train, test, {}, base::Rng(1));
    ASSERT_TRUE(result.ok());
    bool any = false;
    for (const Baseline& b : result->baselines) any = any || b.adjusted_p <= 0.05;
    called += any ? 1 : 0;
  }
  EXPECT_LE(called, 25);
}

TEST(ShortcutReal, WarrantsAloneInArgumentReasoning) {
  PL_NEEDS_DATA(root, "redteam/artifacts/arct_train.tsv");
  const plumbline::testing::TempFolder folder;
  const std::string options =
      "label=\"label\"\ntypes={warrant0=\"text\",warrant1=\"text\"}\ndrop=[\"id\",\"reason\",\"claim\",\"topic\"]\n";
  const auto manifest =
      data::parse_manifest("[system]\nname=\"arct\"\n[data.train]\ntable=\"data:redteam/artifacts/arct_train.tsv\"\n" +
                               options + "[data.test]\ntable=\"data:redteam/artifacts/arct_test.tsv\"\n" + options,
                           folder.file("system.toml"));
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  const auto train_all = data::load_dataset(*manifest, "train");
  const auto test_all = data::load_dataset(*manifest, "test");
  ASSERT_TRUE(train_all.ok() && test_all.ok()) << (train_all.ok() ? test_all.error().text() : train_all.error().text());
  // Half of either file is the original task, half its claim-negated mirror with the same warrants and the other label.
  const auto part = [](const Dataset& all, double adversarial) {
    std::vector<std::size_t> rows;
    const Column* const column = all.table.find("adversarial");
    for (std::size_t i = 0; i < all.rows(); ++i) {
      if (adversarial < 0 || column->numbers[i] == adversarial) rows.push_back(i);
    }
    return all.subset(rows, "part");
  };
  ShortcutOptions options_of_fields;
  options_of_fields.fields = {"warrant0", "warrant1"};
  options_of_fields.baselines = 2;
  const auto warrants = [&](const Dataset& train, const Dataset& test) {
    const auto result = cheap_baselines(train, test, options_of_fields, base::Rng(1));
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().text());
    for (const Baseline& b : result->baselines) {
      if (b.name == "fields warrant0 against warrant1") return b.accuracy.value;
    }
    return -1.0;
  };
  const double original = warrants(part(**train_all, 0), part(**test_all, 0));
  EXPECT_NEAR(original, 0.60, 0.05);
  const double mirrored = warrants(part(**train_all, 0), **test_all);
  EXPECT_DOUBLE_EQ(mirrored, 0.5);
}

}  // namespace
}  // namespace plumbline::methodology
