#include "plumbline/methodology/leakage.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/parallel.hpp"
#include "plumbline/data/idx.hpp"
#include "plumbline/stats/intervals.hpp"
#include "tests/support/image_edits.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::methodology {
namespace {

using data::Column;
using data::Dataset;
using data::Images;
using ::testing::HasSubstr;

constexpr int kSide = 16;
constexpr std::size_t kPixels = kSide * kSide;

Images blobs(std::size_t count, base::Rng& rng) { return plumbline::testing::drawn_blobs(count, kSide, rng); }

/// Shifted, brightened or noisy, by turns.
void edit(const std::uint8_t* from, std::uint8_t* to, int kind, base::Rng& rng) {
  const int dy = kind == 0 ? 1 + static_cast<int>(rng.below(2)) : 0;
  const int dx = kind == 0 ? -static_cast<int>(rng.below(3)) : 0;
  const double gain = kind == 1 ? rng.uniform(0.7, 1.2) : 1;
  const double noise = kind == 2 ? 6 : 0;
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const int sy = y - dy;
      const int sx = x - dx;
      const bool inside = sy >= 0 && sy < kSide && sx >= 0 && sx < kSide;
      const double v = (inside ? from[sy * kSide + sx] : 0) * gain + noise * rng.normal();
      to[y * kSide + x] = static_cast<std::uint8_t>(std::clamp(v + 0.5, 0.0, 255.0));
    }
  }
}

Dataset image_set(Images images, std::string name) {
  Dataset set;
  set.name = std::move(name);
  set.kind = Dataset::Kind::kImages;
  set.images = std::move(images);
  return set;
}

/// `test` with its first `exact` rows copied from train and the next `near` rows edited copies.
Images leaked(const Images& train, Images test, std::size_t exact, std::size_t near, base::Rng& rng) {
  std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[test.count * kPixels]);
  std::memcpy(bytes.get(), test.bytes.get(), test.count * kPixels);
  for (std::size_t i = 0; i < exact; ++i) std::memcpy(bytes.get() + i * kPixels, train.image(7 * i).data(), kPixels);
  for (std::size_t i = exact; i < exact + near; ++i)
    edit(train.image(7 * i).data(), bytes.get() + i * kPixels, static_cast<int>(i % 3), rng);
  test.bytes = std::move(bytes);
  return test;
}

/// A plain restatement of the measure: every row, every alignment, real coordinates, no shared sums.
struct Plain {
  static double sample(const std::vector<double>& image, double y, double x) {
    y = std::clamp(y, 0.0, kSide - 1.0);
    x = std::clamp(x, 0.0, kSide - 1.0);
    const int y0 = std::min(static_cast<int>(y), kSide - 2);
    const int x0 = std::min(static_cast<int>(x), kSide - 2);
    const auto at = [&](int i, int j) { return image[static_cast<std::size_t>(i * kSide + j)]; };
    return (1 - (y - y0)) * ((1 - (x - x0)) * at(y0, x0) + (x - x0) * at(y0, x0 + 1)) +
           (y - y0) * ((1 - (x - x0)) * at(y0 + 1, x0) + (x - x0) * at(y0 + 1, x0 + 1));
  }
  static std::vector<double> enlarged(const std::vector<double>& image, double factor, int dy, int dx) {
    std::vector<double> out;
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x)
        out.push_back(std::floor(sample(image, 7.5 - dy + (y - 7.5) / factor, 7.5 - dx + (x - 7.5) / factor) + 0.5));
    }
    return out;
  }
  static std::vector<double> window(const std::vector<double>& image, int dy, int dx) {
    std::vector<double> out;
    for (int y = 2; y < kSide - 2; ++y) {
      for (int x = 2; x < kSide - 2; ++x) out.push_back(image[static_cast<std::size_t>((y + dy) * kSide + x + dx)]);
    }
    return out;
  }
  static double mean(const std::vector<double>& v) {
    double sum = 0;
    for (const double x : v) sum += x;
    return sum / static_cast<double>(v.size());
  }
  static double product(const std::vector<double>& a, const std::vector<double>& b) {
    const double ma = mean(a);
    const double mb = mean(b);
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - ma) * (b[i] - mb);
    return sum;
  }
  static double unexplained(const std::vector<double>& x, const std::vector<double>& y) {
    constexpr std::size_t kWindow = kSide - 4;
    const double slope = product(x, y) / product(x, x);
    const auto range = [](double level) {
      return level == 0 ? 0 : level == 255 ? 17 : 1 + static_cast<int>(level) / 16;
    };
    std::vector<double> rest;
    for (std::size_t i = 0; i < x.size(); ++i) rest.push_back(y[i] - mean(y) - slope * (x[i] - mean(x)));
    std::vector<double> structured = rest;
    for (int r = 0; r <= 17; ++r) {
      std::vector<double> own;
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (range(x[i]) == r) own.push_back(rest[i]);
      }
      for (std::size_t i = 0; i < x.size(); ++i) structured[i] -= range(x[i]) == r ? mean(own) : 0;
    }
    std::vector<double> all;
    std::vector<double> across;
    std::vector<double> down;
    for (std::size_t i = 0; i < x.size(); ++i) {
      all.push_back(structured[i] * structured[i]);
      if (i % kWindow != 0) across.push_back(structured[i] * structured[i - 1]);
      if (i >= kWindow) down.push_back(structured[i] * structured[i - kWindow]);
    }
    const double variance = product(y, y) / static_cast<double>(y.size());
    return (std::max(0.0, (mean(across) + mean(down)) / 2) + 0.05 * mean(all)) / variance + 1e-5;
  }
  static double similarity(const std::vector<double>& query, const std::vector<double>& reference) {
    double best = -2;
    std::pair<std::vector<double>, std::vector<double>> pair;
    const auto offer = [&](const std::vector<double>& seen, const std::vector<double>& x,
                           const std::vector<double>& y) {
      const std::vector<double> still = window(reference, 0, 0);
      const double correlation = product(seen, still) / std::sqrt(product(seen, seen) * product(still, still));
      if (correlation <= best) return;
      best = correlation;
      pair = {x, y};
    };
    for (int dy = -2; dy <= 2; ++dy) {
      for (int dx = -2; dx <= 2; ++dx) offer(window(query, dy, dx), window(reference, 0, 0), window(query, dy, dx));
    }
    for (int cut = 1; cut <= 2; ++cut) {
      const double factor = 16.0 / (16 - 2 * cut);
      const std::vector<double> smaller = enlarged(query, 1 / factor, 0, 0);
      const std::vector<double> larger = enlarged(query, factor, 0, 0);
      for (int dy = cut - 2; dy <= 2 - cut; ++dy) {
        for (int dx = cut - 2; dx <= 2 - cut; ++dx) {
          offer(window(smaller, dy, dx), window(enlarged(reference, factor, dy, dx), 0, 0), window(query, 0, 0));
          offer(window(larger, dy, dx), window(reference, 0, 0), window(larger, dy, dx));
        }
      }
    }
    return 1 - std::min({1.0, unexplained(pair.first, pair.second), unexplained(pair.second, pair.first)});
  }
};

std::vector<double> numbers(const Images& images, std::size_t i) {
  const auto image = images.image(i);
  return {image.begin(), image.end()};
}

TEST(NearestImages, AgreesWithPlainSearchAndForgivesEdits) {
  base::Rng rng(1);
  const Images train = blobs(150, rng);
  const Images test = leaked(train, blobs(24, rng), 0, 20, rng);
  const auto fast = nearest_images(train, test);
  NearOptions all;
  all.candidates = 150;
  const auto every = nearest_images(train, test, all);
  ASSERT_TRUE(fast.ok() && every.ok());
  for (std::size_t i = 0; i < 24; ++i) {
    std::vector<double> ranked;
    std::ptrdiff_t best = 0;
    for (std::size_t r = 0; r < train.count; ++r) {
      ranked.push_back(Plain::similarity(numbers(test, i), numbers(train, r)));
      if (ranked[r] > ranked[static_cast<std::size_t>(best)]) best = static_cast<std::ptrdiff_t>(r);
    }
    std::sort(ranked.rbegin(), ranked.rend());
    EXPECT_EQ((*every)[i].row, best);
    EXPECT_NEAR((*every)[i].similarity, ranked[0], 1e-9);
    EXPECT_NEAR((*every)[i].surround, ranked[3], 1e-9);
    if (i >= 20) continue;
    EXPECT_EQ(best, static_cast<std::ptrdiff_t>(7 * i));
    EXPECT_EQ((*fast)[i].row, best);
    EXPECT_EQ((*fast)[i].similarity, (*every)[i].similarity);
    EXPECT_GT((*fast)[i].similarity, 0.995);
    EXPECT_GT((*fast)[i].similarity, (*fast)[i].surround);
  }
  NearOptions excluded;
  excluded.reference_groups.assign(150, 0);
  excluded.reference_groups[0] = 1;
  excluded.query_groups.assign(24, 1);
  EXPECT_NE((*nearest_images(train, test, excluded))[0].row, 0);
  base::set_threads(1);
  const auto alone = nearest_images(train, test);
  base::set_threads(0);
  for (std::size_t i = 0; i < 24; ++i) {
    EXPECT_EQ((*alone)[i].row, (*fast)[i].row);
    EXPECT_EQ((*alone)[i].similarity, (*fast)[i].similarity);
  }
}

TEST(NearestImages, IdentityNegativeConstantAndErrors) {
  base::Rng rng(2);
  const Images train = blobs(40, rng);
  std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[3 * kPixels]);
  for (std::size_t p = 0; p < kPixels; ++p) {
    bytes[p] = train.image(5)[p];
    bytes[kPixels + p] = static_cast<std::uint8_t>(255 - train.image(6)[p]);
    bytes[2 * kPixels + p] = 70;
  }
  const Images queries{3, 1, kSide, kSide, std::move(bytes)};
  const auto near = nearest_images(train, queries);
  ASSERT_TRUE(near.ok());
  EXPECT_EQ((*near)[0].row, 5);
  EXPECT_DOUBLE_EQ((*near)[0].similarity, 1 - 1e-5);
  EXPECT_EQ((*near)[2].similarity, 0);  // a constant image resembles nothing
  NearOptions far;
  far.shift = 9;
  EXPECT_THAT(nearest_images(train, queries, far).error().text(), HasSubstr("shift is 9"));
  far.shift = 2;
  far.candidates = 0;
  EXPECT_THAT(nearest_images(train, queries, far).error().text(), HasSubstr("candidates is 0"));
  EXPECT_THAT(nearest_images(train, Images{}).error().text(), HasSubstr("hold no image"));
  Images wide = queries;
  wide.height = kSide / 2;
  EXPECT_THAT(nearest_images(train, wide).error().text(), HasSubstr("height of queries has size 8, expected 16"));
}

TEST(LowerTail, PowerLawDespiteCopies) {
  // x = u^(1/4): the 0.001 quantile is 0.001^(1/4) = 0.178. At its stated ranks the estimate rests on 180 spacings, so
  // its logarithm has a standard error of ln(100) / 4 / sqrt(180) = 0.086 and some more from the anchor: 0.45 is more
  // than five of them.
  base::Rng rng(3);
  std::vector<double> values;
  for (int i = 0; i < 2000; ++i) values.push_back(std::pow(rng.uniform(), 0.25));
  std::sort(values.begin(), values.end());
  EXPECT_NEAR(std::log(lower_tail_quantile(values, 0.001)), std::log(0.001) / 4, 0.45);
  EXPECT_EQ(lower_tail_quantile(values, 0.05), values[100]);
  std::vector<double> with_copies = values;
  for (std::size_t i = 0; i < 10; ++i) with_copies[i] = 1e-4;  // the smallest half per cent come from elsewhere
  EXPECT_EQ(lower_tail_quantile(with_copies, 0.001), lower_tail_quantile(values, 0.001));
}

TEST(NearestRowsAndTexts, SmallCasesByHand) {
  MatrixF reference(3, 2);
  reference << 0, 0, 3, 4, 10, 0;
  MatrixF queries(2, 2);
  queries << 3, 3, 9, 0;
  const auto rows = nearest_rows(reference, queries);
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ((*rows)[0].row, 1);
  EXPECT_DOUBLE_EQ((*rows)[0].similarity, 0.5);  // distance 1
  EXPECT_EQ((*rows)[1].row, 2);
  const std::vector<std::string> texts = {"The cat sat.", "A dog ran away!", ""};
  const std::vector<std::string> asked = {"the CAT stood", "nothing in common", "a dog ran away"};
  const auto near = nearest_texts(texts, asked);
  ASSERT_TRUE(near.ok());
  EXPECT_EQ((*near)[0].row, 0);
  EXPECT_DOUBLE_EQ((*near)[0].similarity, 0.5);  // {the, cat} of {the, cat, sat, stood}
  EXPECT_EQ((*near)[1].row, -1);
  EXPECT_DOUBLE_EQ((*near)[2].similarity, 1);
  MatrixF bad = queries;
  bad(0, 0) = NAN;
  EXPECT_THAT(nearest_rows(reference, bad).error().text(), HasSubstr("queries[0] is nan"));
  EXPECT_THAT(nearest_rows(reference, MatrixF(1, 3)).error().text(),
              HasSubstr("columns of queries has size 3, expected 2"));
  EXPECT_THAT(nearest_texts({}, asked).error().text(), HasSubstr("hold no text"));
}

TEST(Leakage, ImagesExactNearConflictsAndGap) {
  base::Rng rng(2);
  const Images train_images = blobs(1200, rng);
  Dataset train = image_set(train_images, "train");
  Dataset test = image_set(leaked(train_images, blobs(300, rng), 20, 30, rng), "test");
  train.labels.assign(1200, 0);
  test.labels.assign(300, 0);
  test.labels[3] = 1;
  LeakageOptions options;
  options.calibration_rows = 600;
  const auto result = find_leakage(train, test, options, base::Rng(3));
  ASSERT_TRUE(result.ok()) << result.error().text();
  EXPECT_DOUBLE_EQ(result->exact_share.value, 20.0 / 300);
  EXPECT_LT(*result->exact_share.low(), 20.0 / 300);
  ASSERT_TRUE(result->near_share.has_value()) << result->near_reason;
  EXPECT_NEAR(result->near_share->value, 50.0 / 300, 0.015);
  std::size_t found = 0;
  for (const LeakedPair& pair : result->pairs) found += pair.test < 50 && pair.train == 7 * pair.test ? 1 : 0;
  EXPECT_GE(found, 48U);
  ASSERT_EQ(result->conflicts.size(), 1U);
  EXPECT_EQ(result->pairs[result->conflicts[0]].test, 3U);
  EXPECT_LE(*result->false_alarm->low(), 0.001);
  std::vector<double> correct(300);
  for (std::size_t i = 0; i < 300; ++i) correct[i] = i < 50 ? (i % 10 != 0) : (i % 2);
  const auto gap = leakage_gap(*result, correct);
  ASSERT_TRUE(gap.ok() && gap->has_value());
  EXPECT_GT(*(*gap)->low(), 0.2);
  // Same seed, same bits.
  const auto again = find_leakage(train, test, options, base::Rng(3));
  EXPECT_EQ(again->threshold, result->threshold);
}

Dataset table_set(std::size_t rows, base::Rng& rng, const std::string& unit_prefix) {
  Dataset set;
  set.kind = Dataset::Kind::kTable;
  for (const char* const name : {"a", "b", "c", "d"}) {
    Column column;
    column.name = name;
    for (std::size_t i = 0; i < rows; ++i) column.numbers.push_back(rng.normal());
    set.table.columns.push_back(std::move(column));
  }
  set.unit_name = "person";
  for (std::size_t i = 0; i < rows; ++i) {
    set.units.push_back(static_cast<int>(i / 2));
    if (i % 2 == 0) set.unit_values.push_back(unit_prefix + std::to_string(i / 2));
  }
  return set;
}

TEST(Leakage, TablesGroupsAndUnits) {
  base::Rng rng(4);
  const Dataset train = table_set(1000, rng, "p");
  Dataset test = table_set(200, rng, "q");
  for (std::size_t i = 0; i < 10; ++i) {
    for (std::size_t j = 0; j < 4; ++j)
      test.table.columns[j].numbers[i] = train.table.columns[j].numbers[50 * i];  // five people
    for (std::size_t j = 0; j < 4; ++j)
      test.table.columns[j].numbers[20 + i] = train.table.columns[j].numbers[50 * i + 1] + 1e-4;
  }
  test.unit_values[99] = "p3";
  LeakageOptions options;
  options.calibration_rows = 250;
  const auto result = find_leakage(train, test, options, base::Rng(5));
  ASSERT_TRUE(result.ok()) << result.error().text();
  EXPECT_DOUBLE_EQ(result->exact_share.value, 0.05);
  EXPECT_EQ(result->exact_share.n, 100);
  EXPECT_EQ(result->exact_share.unit_of_sampling, "person");
  EXPECT_GE(result->near_share->value, 0.10);
  EXPECT_LE(result->near_share->value, 0.13);
  EXPECT_DOUBLE_EQ(result->group_share->value, 0.01);
  EXPECT_THAT(result->shared_groups, ::testing::ElementsAre("p3"));
}

TEST(Leakage, TextsForgiveCaseAndBlanks) {
  base::Rng rng(6);
  const auto sentences = [&](std::size_t n) {
    Dataset set;
    set.kind = Dataset::Kind::kTable;
    Column column;
    column.name = "text";
    column.kind = Column::Kind::kText;
    for (std::size_t i = 0; i < n; ++i) {
      std::string text;
      for (int w = 0; w < 12; ++w) text += "w" + std::to_string(rng.below(3000)) + " ";
      column.texts.push_back(text);
      column.text_missing.push_back(false);
    }
    set.table.columns.push_back(column);
    return set;
  };
  const Dataset train = sentences(800);
  Dataset test = sentences(100);
  test.table.columns[0].texts[0] = "  " + train.table.columns[0].texts[5];
  for (char& c : test.table.columns[0].texts[0]) c = c == 'w' ? 'W' : c;
  test.table.columns[0].texts[1] = train.table.columns[0].texts[6] + "extra";
  const auto result = find_leakage(train, test, {}, base::Rng(7));
  ASSERT_TRUE(result.ok()) << result.error().text();
  ASSERT_GE(result->pairs.size(), 2U);
  EXPECT_LE(result->pairs.size(), 4U);
  EXPECT_TRUE(result->pairs[0].exact);
  EXPECT_EQ(result->pairs[1].train, 6U);
}

TEST(Leakage, WhatCannotBeSaidIsNotSaid) {
  base::Rng rng(8);
  const Dataset small = image_set(blobs(100, rng), "small");
  const auto result = find_leakage(small, image_set(blobs(50, rng), "test"), {}, base::Rng(1));
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->near_share.has_value());
  EXPECT_THAT(result->near_reason, HasSubstr("at least 200 are needed"));
  EXPECT_FALSE(result->group_share.has_value());
  const auto gap = leakage_gap(*result, std::vector<double>(50, 1.0));
  ASSERT_TRUE(gap.ok());
  EXPECT_FALSE(gap->has_value());
  EXPECT_THAT(find_leakage(small, Dataset{}, {}, base::Rng(1)).error().text(), HasSubstr("has no row"));
  EXPECT_THAT(find_leakage(small, table_set(10, rng, "p"), {}, base::Rng(1)).error().text(),
              HasSubstr("of different kinds"));
  LeakageOptions bad;
  bad.tail = 0.7;
  EXPECT_THAT(find_leakage(small, small, bad, base::Rng(1)).error().text(), HasSubstr("tail is 0.7"));
}

TEST(LeakageStatistical, FalseAlarmsOfTheNearThresholdAreAsStated) {
  // 40 clean systems of 400 test rows: 16,000 rows, each called near with probability about 0.001 plus the error of a
  // threshold learnt from 300 units (the largest of 300 leaves 1/301 on average): 53 expected. More than 110 would need
  // a true rate of twice that; a rate of 0.012 slips through less than once in 10^9.
  int near = 0;
  for (int seed = 0; seed < 40; ++seed) {
    base::Rng rng(static_cast<std::uint64_t>(100 + seed));
    const Dataset train = table_set(1300, rng, "p");
    const Dataset test = table_set(400, rng, "q");
    LeakageOptions options;
    options.calibration_rows = 600;
    const auto result = find_leakage(train, test, options, base::Rng(9));
    ASSERT_TRUE(result.ok());
    near += static_cast<int>(result->pairs.size());
  }
  EXPECT_LE(near, 110);
}

TEST(LeakageStatistical, FalseAlarmsOfImagesAreAsStated) {
  // 25 clean systems of 400 images: 10,000 rows, each called near with probability about 0.001, more by the error of a
  // tail learnt from 300 units (27 spacings, a standard error of ln(100) / sqrt(27) = 0.9 in the logarithm of the rate:
  // exp(0.9^2 / 2) = 1.5 times as many on average): 15 expected. More than 60 would need a true rate of four times
  // that; a rate of 0.01 slips through less than once in 10^4.
  int near = 0;
  for (int seed = 0; seed < 25; ++seed) {
    base::Rng rng(static_cast<std::uint64_t>(300 + seed));
    const Dataset train = image_set(blobs(1300, rng), "train");
    const Dataset test = image_set(blobs(400, rng), "test");
    LeakageOptions options;
    options.calibration_rows = 600;
    const auto result = find_leakage(train, test, options, base::Rng(9));
    ASSERT_TRUE(result.ok());
    near += static_cast<int>(result->pairs.size());
  }
  EXPECT_LE(near, 60);
}

class LeakageReal : public ::testing::TestWithParam<const char*> {};

TEST_P(LeakageReal, PlantedEditsAreFound) {
  PL_NEEDS_DATA(root, std::string("images/") + GetParam() + "/train-images-idx3-ubyte.gz");
  Dataset train = image_set(data::read_idx_images(root).value(), "train");
  Dataset test = image_set(
      data::read_idx_images(root.substr(0, root.rfind('/')) + "/t10k-images-idx3-ubyte.gz", 2400).value(), "test");
  base::Rng rng(1);
  const std::vector<std::size_t> from = rng.sample(train.rows(), 2000);
  std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[2400 * 784]);
  std::memcpy(bytes.get(), test.images.bytes.get(), 2400 * 784);
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto image = plumbline::testing::edited_image(train.images.image(from[i]).data(), 28,
                                                        plumbline::testing::kImageEdits[i % 4], rng);
    std::memcpy(bytes.get() + i * 784, image.data(), 784);
  }
  test.images.bytes = std::move(bytes);
  const auto result = find_leakage(train, test, {}, base::Rng(3));
  ASSERT_TRUE(result.ok());
  std::size_t found = 0;
  for (const LeakedPair& pair : result->pairs) found += pair.test < 2000 && pair.train == from[pair.test] ? 1 : 0;
  const auto recall = stats::clopper_pearson(found, from.size());
  EXPECT_GE(*recall->low(), 0.99) << found << " of 2000";
  // 400 untouched rows: one in a thousand by chance, and the near copies that the sets are known to hold.
  EXPECT_LE(result->pairs.size(), found + 8);
  EXPECT_LE(*result->false_alarm->low(), 0.001);
}

INSTANTIATE_TEST_SUITE_P(Sets, LeakageReal, ::testing::Values("mnist", "fashion-mnist"),
                         [](const auto& set) { return std::string(set.param).substr(0, 5); });

}  // namespace
}  // namespace plumbline::methodology
