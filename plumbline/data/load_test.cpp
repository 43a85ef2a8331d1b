#include "plumbline/data/load.hpp"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/data/csv.hpp"
#include "plumbline/data/idx.hpp"
#include "plumbline/data/jsonl.hpp"
#include "plumbline/data/npy.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Images grey(std::size_t count, int height, int width) {
  std::shared_ptr<std::uint8_t[]> bytes(new std::uint8_t[count * static_cast<std::size_t>(height * width)]);
  for (std::size_t i = 0; i < count * static_cast<std::size_t>(height * width); ++i)
    bytes[i] = static_cast<std::uint8_t>(i % 251);
  return {count, 1, height, width, std::move(bytes)};
}

Manifest parsed(const plumbline::testing::TempFolder& folder, const std::string& text) {
  auto manifest = parse_manifest("[system]\nname = \"t\"\nseed = 3\n" + text, folder.file("system.toml"));
  EXPECT_TRUE(manifest.ok()) << manifest.error().text();
  return manifest.ok() ? *manifest : Manifest{};
}

DatasetPtr loaded(const Manifest& manifest, const std::string& name) {
  auto set = load_dataset(manifest, name);
  EXPECT_TRUE(set.ok()) << set.error().text();
  return set.ok() ? *set : std::make_shared<const Dataset>();
}

TEST(Load, ImagesAndLabelsPlainAndGzipAreTheSame) {
  const plumbline::testing::TempFolder folder;
  const Images images = grey(5, 3, 4);
  const std::vector<int> labels = {0, 1, 2, 1, 0};
  for (const std::string ending : {"", ".gz"}) {
    ASSERT_TRUE(write_idx_images(folder.file("x" + ending), images).ok());
    ASSERT_TRUE(write_idx_labels(folder.file("y" + ending), labels).ok());
  }
  const Manifest m =
      parsed(folder, "[data.train]\nimages=\"x\"\nlabels=\"y\"\n[data.test]\nimages=\"x.gz\"\nlabels=\"y.gz\"\n");
  const DatasetPtr a = loaded(m, "train");
  const DatasetPtr b = loaded(m, "test");
  EXPECT_EQ(a->rows(), 5U);
  EXPECT_EQ(a->role, Role::kTrain);
  EXPECT_EQ(a->images.height, 3);
  EXPECT_EQ(a->images.width, 4);
  EXPECT_EQ(a->images.image(1)[0], 12);
  EXPECT_EQ(a->labels, labels);
  EXPECT_EQ(a->classes(), 3);
  EXPECT_EQ(a->fingerprint, b->fingerprint);
  const auto facts = peek_dataset(m, "train");
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->rows, 5U);
  EXPECT_EQ(facts->columns, 12U);
  EXPECT_TRUE(facts->labelled);
}

TEST(Load, SharesSplitByUnitAndAreAPureFunctionOfSeedAndContent) {
  const plumbline::testing::TempFolder folder;
  Table table;
  Column x{.name = "x", .kind = Column::Kind::kNumber};
  Column person{.name = "person", .kind = Column::Kind::kNumber};
  Column y{.name = "y", .kind = Column::Kind::kNumber};
  for (int i = 0; i < 200; ++i) {
    x.numbers.push_back(i);
    person.numbers.push_back(i / 4);
    y.numbers.push_back(i % 2);
  }
  table.columns = {x, person, y};
  ASSERT_TRUE(write_csv(folder.file("t.csv"), table).ok());
  const std::string text =
      "[data.test]\ntable=\"t.csv\"\nlabel=\"y\"\nunit=\"person\"\n[data.calibration]\nfrom=\"test\"\nshare=0.3\n[data."
      "probe]\nfrom=\"test\"\nshare=0.2\nrole=\"test\"\n";
  const Manifest m = parsed(folder, text);
  const DatasetPtr test = loaded(m, "test");
  const DatasetPtr calibration = loaded(m, "calibration");
  const DatasetPtr probe = loaded(m, "probe");
  EXPECT_EQ(calibration->rows(), 60U);
  EXPECT_EQ(calibration->role, Role::kCalibration);
  EXPECT_EQ(probe->rows(), 40U);
  EXPECT_EQ(test->rows(), 100U);
  std::set<std::size_t> all;
  std::set<int> people;
  for (const DatasetPtr& set : {test, calibration, probe}) {
    EXPECT_EQ(set->unit_name, "person");
    EXPECT_EQ(set->unit_count() * 4, set->rows());
    all.insert(set->source_rows.begin(), set->source_rows.end());
    people.insert(set->units.begin(), set->units.end());
  }
  EXPECT_EQ(all.size(), 200U);
  EXPECT_EQ(people.size(), 50U);
  EXPECT_EQ(loaded(m, "calibration")->fingerprint, calibration->fingerprint);
  Manifest other = m;
  other.seed = 4;
  EXPECT_NE(loaded(other, "calibration")->source_rows, calibration->source_rows);
  EXPECT_EQ(peek_dataset(m, "calibration")->rows, 60U);
  EXPECT_EQ(peek_dataset(m, "test")->rows, 100U);
}

TEST(Load, PredictionsAreCheckedAndFollowSplits) {
  const plumbline::testing::TempFolder folder;
  MatrixF inputs = MatrixF::Zero(10, 2);
  MatrixD outputs(10, 2);
  for (int i = 0; i < 10; ++i) outputs.row(i) << 0.1 * i, 1 - 0.1 * i;
  ASSERT_TRUE(write_npy(folder.file("x.npy"), inputs).ok());
  ASSERT_TRUE(write_npy(folder.file("p.npy"), outputs).ok());
  const std::string text =
      "[data.test]\nmatrix=\"x.npy\"\n[predictions.m]\ndata=\"test\"\npath=\"p.npy\"\noutput=\"probabilities\"\n";
  const Manifest m = parsed(folder, text);
  ASSERT_TRUE(load_predictions(m, "m").ok());
  EXPECT_EQ(*load_predictions(m, "m"), outputs);

  const Manifest split = parsed(folder, text + "[data.calibration]\nfrom=\"test\"\nshare=0.5\n");
  const auto part = load_predictions(split, "m");
  ASSERT_TRUE(part.ok()) << part.error().text();
  const DatasetPtr test = loaded(split, "test");
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_EQ((*part)(static_cast<Eigen::Index>(i), 0), outputs(static_cast<Eigen::Index>(test->source_rows[i]), 0));

  outputs(3, 1) = 0.2;
  ASSERT_TRUE(write_npy(folder.file("p.npy"), outputs).ok());
  EXPECT_THAT(load_predictions(m, "m").error().text(), HasSubstr("p.npy: row 3: probabilities sum to 0.5"));
  outputs(3, 1) = NAN;
  ASSERT_TRUE(write_npy(folder.file("p.npy"), outputs).ok());
  EXPECT_THAT(load_predictions(m, "m").error().text(), HasSubstr("row 3, column 1"));
  ASSERT_TRUE(write_npy(folder.file("p.npy"), MatrixD(outputs.topRows(3))).ok());
  EXPECT_THAT(load_predictions(m, "m").error().text(), HasSubstr("has 3 rows, but the data set 'test' has 10"));
}

TEST(Load, LabelLevelsAndErrors) {
  const plumbline::testing::TempFolder folder;
  plumbline::testing::write_file(folder.file("t.csv"), "a,y\n1,yes.\n2,no.\n3,yes.\n");
  EXPECT_THAT(loaded(parsed(folder, "[data.test]\ntable=\"t.csv\"\nlabel=\"y\"\nstrip=\".\"\n"), "test")->labels,
              ElementsAre(1, 0, 1));
  const DatasetPtr declared = loaded(
      parsed(folder, "[data.test]\ntable=\"t.csv\"\nlabel=\"y\"\nstrip=\".\"\nclasses=[\"yes\",\"no\"]\n"), "test");
  EXPECT_THAT(declared->labels, ElementsAre(0, 1, 0));
  EXPECT_THAT(declared->class_names, ElementsAre("yes", "no"));
  EXPECT_THAT(
      load_dataset(parsed(folder, "[data.test]\ntable=\"t.csv\"\nlabel=\"y\"\nclasses=[\"yes\",\"no\"]\n"), "test")
          .error()
          .text(),
      HasSubstr("row 0: label 'yes.' is not among the declared classes yes and no"));
  EXPECT_THAT(load_dataset(parsed(folder, "[data.test]\ntable=\"t.csv\"\nlabel=\"z\"\n"), "test").error().text(),
              HasSubstr("no column 'z'"));

  ASSERT_TRUE(write_npy(folder.file("x.npy"), MatrixF(MatrixF::Zero(3, 2))).ok());
  const std::vector<int> bad = {0, 7, 1};
  ASSERT_TRUE(write_npy(folder.file("y.npy"), bad).ok());
  EXPECT_THAT(
      load_dataset(parsed(folder, "[data.test]\nmatrix=\"x.npy\"\nlabels=\"y.npy\"\nclasses=[\"a\",\"b\"]\n"), "test")
          .error()
          .text(),
      HasSubstr("row 1: label is 7, expected an integer in [0, 2)"));
  const std::vector<int> few = {0, 1};
  ASSERT_TRUE(write_npy(folder.file("y.npy"), few).ok());
  EXPECT_THAT(load_dataset(parsed(folder, "[data.test]\nmatrix=\"x.npy\"\nlabels=\"y.npy\"\n"), "test").error().text(),
              HasSubstr("has 2 labels, but 'test' has 3 rows"));
  EXPECT_THAT(load_dataset(parsed(folder, "[data.test]\nmatrix=\"gone.npy\"\n"), "test").error().text(),
              HasSubstr("gone.npy: cannot be read: No such file"));
}

TEST(LoadReal, MnistAndAdult) {
  PL_NEEDS_DATA(root, "images/mnist/train-images-idx3-ubyte.gz");
  const plumbline::testing::TempFolder folder;
  const Manifest m = parsed(
      folder,
      "[data.train]\nimages=\"data:images/mnist/train-images-idx3-ubyte.gz\"\nlabels=\"data:images/mnist/"
      "train-labels-idx1-ubyte.gz\"\n"
      "[data.test]\ntable=\"data:tabular/adult.test\"\nheader=false\ncomment=\"|\"\nstrip=\".\"\nlabel=\"income\"\n"
      "names=[\"age\",\"workclass\",\"fnlwgt\",\"education\",\"education-num\",\"marital\",\"occupation\","
      "\"relationship\",\"race\",\"sex\",\"gain\",\"loss\",\"hours\",\"country\",\"income\"]\n");
  const DatasetPtr train = loaded(m, "train");
  EXPECT_EQ(train->rows(), 60000U);
  EXPECT_EQ(train->classes(), 10);
  double sum = 0;
  for (std::size_t i = 0; i < train->images.count * train->images.pixels(); ++i) sum += train->images.bytes[i];
  EXPECT_NEAR(sum / 255 / (60000.0 * 784), 0.1307, 5e-5);  // the well-known mean of the training pixels
  const DatasetPtr adult = loaded(m, "test");
  EXPECT_EQ(adult->rows(), 16281U);
  EXPECT_EQ(adult->class_names, (std::vector<std::string>{"<=50K", ">50K"}));
  EXPECT_EQ(std::count(adult->labels.begin(), adult->labels.end(), 1), 3846);  // adult.names: 23.62 % of 16281
  EXPECT_EQ(adult->table.find("workclass")->missing(), 963U);
  EXPECT_EQ(adult->table.find("sex")->kind, Column::Kind::kCategory);
}

}  // namespace
}  // namespace plumbline::data
