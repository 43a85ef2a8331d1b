#include <cmath>
#include <cstring>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/base/rng.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/data/files.hpp"
#include "plumbline/data/idx.hpp"
#include "plumbline/data/image_folder.hpp"
#include "plumbline/data/jsonl.hpp"
#include "plumbline/data/npy.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::data {
namespace {

using plumbline::testing::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Bytes bytes_of(const std::string& text) {
  std::shared_ptr<std::uint8_t[]> copy(new std::uint8_t[text.size() + 1]);
  std::memcpy(copy.get(), text.data(), text.size());
  return {copy, text.size()};
}

std::string raw(std::initializer_list<int> values) {
  std::string out;
  for (const int v : values) out.push_back(static_cast<char>(v));
  return out;
}

Images noise(std::size_t count, int channels, int height, int width) {
  base::Rng rng(1);
  const std::size_t total = count * static_cast<std::size_t>(channels * height * width);
  std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[total]);
  for (std::size_t i = 0; i < total; ++i) pixels[i] = static_cast<std::uint8_t>(rng.below(256));
  return {count, channels, height, width, std::move(pixels)};
}

// ---- IDX ------------------------------------------------------------------------------------------------------------

TEST(Idx, RoundTripsGreyAndColour) {
  const TempFolder folder;
  for (const int channels : {1, 3}) {
    const Images images = noise(7, channels, 5, 4);
    for (const std::string name : {"x", "x.gz"}) {
      ASSERT_TRUE(write_idx_images(folder.file(name), images).ok());
      const auto back = read_idx_images(folder.file(name));
      ASSERT_TRUE(back.ok()) << back.error().text();
      EXPECT_EQ(back->channels, channels);
      EXPECT_EQ(std::memcmp(back->bytes.get(), images.bytes.get(), 7 * images.pixels()), 0);
      const auto first = read_idx_images(folder.file(name), 2);
      ASSERT_TRUE(first.ok());
      EXPECT_EQ(first->count, 2U);
    }
  }
}

TEST(Idx, LabelsOfEveryIntegerType) {
  EXPECT_THAT(*parse_idx_labels(bytes_of(raw({0, 0, 8, 1, 0, 0, 0, 2, 9, 255})), "y"), ElementsAre(9, 255));
  EXPECT_THAT(*parse_idx_labels(bytes_of(raw({0, 0, 9, 1, 0, 0, 0, 1, 255})), "y"), ElementsAre(-1));
  EXPECT_THAT(*parse_idx_labels(bytes_of(raw({0, 0, 0x0b, 1, 0, 0, 0, 1, 1, 2})), "y"), ElementsAre(258));
  EXPECT_THAT(*parse_idx_labels(bytes_of(raw({0, 0, 0x0c, 1, 0, 0, 0, 1, 0, 1, 0, 0})), "y"), ElementsAre(65536));
}

TEST(Idx, HostileHeadersAreErrorsThatSayWhat) {
  const auto images = [](const std::string& text) { return parse_idx_images(bytes_of(text), "x.idx").error().text(); };
  EXPECT_THAT(images(""), AllOf(HasSubstr("x.idx"), HasSubstr("holds 0 bytes"), HasSubstr("empty or truncated")));
  EXPECT_THAT(images("hello world"), HasSubstr("expected IDX"));
  EXPECT_THAT(images(raw({3, 8, 0, 0, 1, 0, 0, 0})), HasSubstr("little-endian IDX header"));
  EXPECT_THAT(images(raw({0, 0, 8, 3, 0, 0})), HasSubstr("ends inside the IDX header"));
  // Sizes near 2^32 each: the product overflows 64 bits and nothing is allocated.
  EXPECT_THAT(images(raw({0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})),
              HasSubstr("more than the file can hold"));
  EXPECT_THAT(images(raw({0, 0, 8, 3, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 7})), HasSubstr("look little-endian"));
  EXPECT_THAT(images(raw({0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3})), HasSubstr("truncated"));
  EXPECT_THAT(images(raw({0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2})),
              HasSubstr("more bytes than its header promises"));
  EXPECT_THAT(images(raw({0, 0, 8, 1, 0, 0, 0, 1, 5})), HasSubstr("label file"));
  EXPECT_THAT(images(raw({0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1})), HasSubstr("holds no images"));
  EXPECT_THAT(parse_idx_labels(bytes_of(raw({0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1})), "y").error().text(),
              HasSubstr("image file"));
}

TEST(Idx, CompressedFilesThatLieAboutTheirSize) {
  const TempFolder folder;
  // 64 MiB of zeros behind a header that promises one image of 2 x 2: stops at the first byte too many.
  std::string bomb = raw({0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2});
  bomb.append(std::size_t{64} << 20U, '\0');
  ASSERT_TRUE(write_bytes(folder.file("bomb.gz"), bomb).ok());
  EXPECT_THAT(read_idx_images(folder.file("bomb.gz")).error().text(), HasSubstr("more bytes than its header promises"));
  // A header that promises 4 GB in a file of some 40 bytes: refused before allocation.
  ASSERT_TRUE(write_bytes(folder.file("small.gz"), raw({0, 0, 8, 3, 0, 16, 0, 0, 0, 0, 0, 64, 0, 0, 0, 64})).ok());
  EXPECT_THAT(read_idx_images(folder.file("small.gz")).error().text(), HasSubstr("more than the file can hold"));
  // Truncated stream, damaged stream.
  ASSERT_TRUE(write_idx_images(folder.file("x.gz"), noise(20, 1, 8, 8)).ok());
  const std::string good = plumbline::testing::read_file(folder.file("x.gz"));
  plumbline::testing::write_file(folder.file("cut.gz"), good.substr(0, good.size() / 2));
  EXPECT_THAT(read_idx_images(folder.file("cut.gz")).error().text(), HasSubstr("compressed data ends early"));
  std::string bent = good;
  bent[good.size() - 6] ^= 0x55;  // the checksum
  plumbline::testing::write_file(folder.file("bent.gz"), bent);
  EXPECT_THAT(read_idx_images(folder.file("bent.gz")).error().text(), HasSubstr("damaged"));
  ReadLimits small;
  small.rows = 5;
  EXPECT_EQ(read_idx_images(folder.file("x.gz"), 0, small).error().code, base::Code::kLimit);
}

// ---- NPY ------------------------------------------------------------------------------------------------------------

std::string npy(const std::string& dict, const std::string& data, int version = 1) {
  std::string out("\x93NUMPY", 6);
  out += raw({version, 0, static_cast<int>(dict.size() & 255U), static_cast<int>(dict.size() >> 8U)});
  if (version > 1) out += raw({0, 0});
  return out + dict + data;
}

TEST(Npy, RoundTripsDoubleFloatIntAndNpz) {
  const TempFolder folder;
  MatrixD d(2, 3);
  d << 1, -2.5, 3e300, NAN, INFINITY, -0.0;
  const MatrixF f = MatrixF::Random(4, 2);
  const std::vector<int> i = {3, -1, 7};
  ASSERT_TRUE(write_npy(folder.file("d.npy"), d).ok());
  ASSERT_TRUE(write_npy(folder.file("f.npy"), f).ok());
  ASSERT_TRUE(write_npy(folder.file("i.npy"), i).ok());
  const auto back = npy_to_double(*read_npy(folder.file("d.npy")), "d");
  EXPECT_EQ(std::memcmp(back->data(), d.data(), 48), 0);
  EXPECT_EQ(*npy_to_float(*read_npy(folder.file("f.npy")), "f"), f);
  EXPECT_EQ(*npy_to_ints(*read_npy(folder.file("i.npy")), "i"), i);
  const std::vector<NpzMember> members = {{"probs", npy_bytes(f)}, {"labels", npy_bytes(i)}};
  ASSERT_TRUE(write_npz(folder.file("z.npz"), members).ok());
  EXPECT_EQ(*npy_to_float(*read_npy(folder.file("z.npz"), "probs"), "f"), f);
  EXPECT_EQ(*npy_to_ints(*read_npy(folder.file("z.npz"), "labels.npy"), "i"), i);
  EXPECT_THAT(read_npy(folder.file("z.npz")).error().text(), HasSubstr("several arrays (probs and labels)"));
  EXPECT_THAT(read_npy(folder.file("z.npz"), "x").error().text(), HasSubstr("no array 'x'"));
  const std::string whole = plumbline::testing::read_file(folder.file("z.npz"));
  plumbline::testing::write_file(folder.file("cut.npz"), whole.substr(0, whole.size() - 30));
  EXPECT_THAT(read_npy(folder.file("cut.npz")).error().text(), HasSubstr("damaged ZIP"));
}

TEST(Npy, EveryTypeByteOrderAndLayout) {
  const auto value = [](const std::string& type, const std::string& data) {
    return (*npy_to_double(
        *parse_npy(bytes_of(npy("{'descr': '" + type + "', 'fortran_order': False, 'shape': (1,)}", data)), "a"), "a"))(
        0, 0);
  };
  EXPECT_EQ(value("|u1", raw({200})), 200);
  EXPECT_EQ(value("|i1", raw({200})), -56);
  EXPECT_EQ(value("|b1", raw({1})), 1);
  EXPECT_EQ(value("<i2", raw({1, 2})), 513);
  EXPECT_EQ(value(">i2", raw({1, 2})), 258);
  EXPECT_EQ(value(">u4", raw({0, 0, 1, 0})), 256);
  EXPECT_EQ(value("<i8", raw({255, 255, 255, 255, 255, 255, 255, 255})), -1);
  EXPECT_EQ(value(">f4", raw({0x3f, 0x80, 0, 0})), 1);
  EXPECT_EQ(value(">f8", raw({0x3f, 0xf0, 0, 0, 0, 0, 0, 0})), 1);
  // A 2 x 3 matrix in column-major order, version 2 header.
  const auto fortran = parse_npy(
      bytes_of(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", raw({1, 4, 2, 5, 3, 6}), 2)), "a");
  ASSERT_TRUE(fortran.ok()) << fortran.error().text();
  MatrixD want(2, 3);
  want << 1, 2, 3, 4, 5, 6;
  EXPECT_EQ(*npy_to_double(*fortran, "a"), want);
  // 2 x 2 x 2, column-major: element (i, j, k) is stored at i + 2 j + 4 k.
  const auto cube = parse_npy(
      bytes_of(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2, 2)}", raw({0, 1, 2, 3, 4, 5, 6, 7}))), "a");
  MatrixD flat(2, 4);
  flat << 0, 4, 2, 6, 1, 5, 3, 7;
  EXPECT_EQ(*npy_to_double(*cube, "a"), flat);
}

TEST(Npy, HostileHeadersAreErrorsThatSayWhat) {
  const auto error = [](const std::string& text) { return parse_npy(bytes_of(text), "a.npy").error().text(); };
  const std::string head = "{'descr': '<f8', 'fortran_order': False, 'shape': ";
  EXPECT_THAT(error(""), HasSubstr("the file is empty"));
  EXPECT_THAT(error("hello, this is not an array"), HasSubstr("is not an NPY or NPZ file"));
  EXPECT_THAT(error(npy(head + "(4,)}", "12345678")), HasSubstr("only 8 bytes follow"));
  EXPECT_THAT(error(npy(head + "(1,)}", "123456789")), HasSubstr("1 bytes after the array"));
  EXPECT_THAT(error(npy(head + "(18446744073709551615, 18446744073709551615)}", "")), HasSubstr("promises"));
  EXPECT_THAT(error(npy(head + "(99999999999999999999,)}", "")), HasSubstr("shape holds something else than a count"));
  EXPECT_THAT(error(npy(head + "(-1,)}", "")), HasSubstr("shape holds something else"));
  EXPECT_THAT(error(npy(head + "(0, 3)}", "")), HasSubstr("holds no element"));
  EXPECT_THAT(error(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "x")),
              HasSubstr("pickled Python objects"));
  EXPECT_THAT(error(npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}", "x")),
              HasSubstr("structured array"));
  EXPECT_THAT(error(npy("{'descr': '<f2', 'fortran_order': False, 'shape': (1,)}", "xx")), HasSubstr("type '<f2'"));
  EXPECT_THAT(error(npy("{'descr': '<f8'", "")), HasSubstr("expected '}'"));
  EXPECT_THAT(error(npy("{'descr': '<f8', 'shape': (1,)}", "12345678")),
              HasSubstr("lacks descr, fortran_order or shape"));
  EXPECT_THAT(error(std::string("\x93NUMPY\x01\x00\xff\x7f{", 11)), HasSubstr("ends inside the NPY header"));
  EXPECT_THAT(error(std::string("PK\x03\x04 nonsense", 13)), HasSubstr("damaged ZIP"));
  const auto halves = parse_npy(
      bytes_of(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", std::string("\0\0\0\x3f", 4))), "a.npy");
  EXPECT_THAT(npy_to_ints(*halves, "a.npy").error().text(), HasSubstr("a.npy: row 0: holds 0.5, expected an integer"));
}

// ---- CSV ------------------------------------------------------------------------------------------------------------

Table csv(const std::string& text, const TableOptions& options = {}) {
  auto table = parse_csv(text, "t.csv", options);
  EXPECT_TRUE(table.ok()) << table.error().text();
  return table.ok() ? *table : Table{};
}

std::string csv_error(const std::string& text, const TableOptions& options = {}) {
  const auto table = parse_csv(text, "t.csv", options);
  return table.ok() ? "no error" : table.error().text();
}

TEST(Csv, QuotesLineBreaksAndByteOrderMark) {
  const Table t = csv("\xef\xbb\xbfname,\"a \"\"b\"\"\",n\r\n\"x,\ny\", two words ,3\r\n\"\",NA,4.5e1\r\n");
  ASSERT_EQ(t.columns.size(), 3U);
  EXPECT_EQ(t.columns[0].name, "name");
  EXPECT_EQ(t.columns[1].name, "a \"b\"");
  EXPECT_THAT(t.columns[0].levels, ElementsAre("x,\ny"));
  EXPECT_THAT(t.columns[0].codes, ElementsAre(0, -1));
  EXPECT_THAT(t.columns[1].levels, ElementsAre("two words"));
  EXPECT_THAT(t.columns[2].numbers, ElementsAre(3, 45));
}

TEST(Csv, CellsAsText) {
  const Table table = parse_csv("n,c\n0.5,a\nNA,NA\n2,b\n", "t.csv").value();
  EXPECT_EQ(cell_text(*table.find("n"), 0), "0.5");
  EXPECT_EQ(cell_text(*table.find("n"), 1), "");
  EXPECT_EQ(cell_text(*table.find("n"), 2), "2");
  EXPECT_EQ(cell_text(*table.find("c"), 1), "");
  EXPECT_EQ(cell_text(*table.find("c"), 2), "b");
  TableOptions words;
  words.types["c"] = Column::Kind::kText;
  EXPECT_EQ(cell_text(*parse_csv("c\na\nNA\n", "t.csv", words)->find("c"), 0), "a");
}

TEST(Csv, SeparatorsAreFoundOutOrDeclared) {
  for (const char c : {',', ';', '\t', '|'}) {
    const Table t = csv(std::string("a") + c + "b\n1" + c + "2\n");
    ASSERT_EQ(t.columns.size(), 2U) << c;
    EXPECT_EQ(t.columns[1].numbers[0], 2);
  }
  TableOptions options;
  options.separator = ':';
  EXPECT_EQ(csv("a:b\n1,5:2\n", options).columns[0].levels[0], "1,5");
}

TEST(Csv, HeaderlessCommentedAndStripped) {
  TableOptions options;
  options.header = false;
  options.comment = "|";
  options.names = {"age", "work", "pay"};
  const Table t = csv("|1x3 Cross validator\n25, Private, <=50K.\n38, ?, >50K.\n\n", options);
  EXPECT_THAT(t.find("age")->numbers, ElementsAre(25, 38));
  EXPECT_EQ(t.find("work")->missing(), 1U);
  EXPECT_THAT(t.find("pay")->levels, ElementsAre("<=50K.", ">50K."));
  options.limit = 1;
  options.drop = {"work"};
  const Table less = csv("|x\n25, Private, <=50K.\n38, ?, >50K.\n", options);
  EXPECT_EQ(less.rows(), 1U);
  EXPECT_EQ(less.columns.size(), 2U);
}

TEST(Csv, TypesAreFoundOutOrDeclared) {
  std::string text = "id,kind,note,zip\n";
  for (int i = 0; i < 60; ++i)
    text += "w" + std::to_string(i) + "," + (i % 2 ? "a" : "b") + ",\"" + std::string(70, 'x') + "\",0" +
            std::to_string(1000 + i) + "\n";
  const Table t = csv(text);
  EXPECT_EQ(t.columns[0].kind, Column::Kind::kText);  // 60 values in 60 rows
  EXPECT_EQ(t.columns[1].kind, Column::Kind::kCategory);
  EXPECT_EQ(t.columns[2].kind, Column::Kind::kText);  // long
  EXPECT_EQ(t.columns[3].kind, Column::Kind::kNumber);
  TableOptions options;
  options.types = {{"zip", Column::Kind::kCategory}};
  EXPECT_EQ(csv(text, options).columns[3].levels[0], "01000");
}

TEST(Csv, ErrorsNameLineAndColumn) {
  EXPECT_THAT(csv_error(""), HasSubstr("holds no rows"));
  EXPECT_THAT(csv_error("a,b\n"), HasSubstr("holds a header and no rows"));
  EXPECT_THAT(csv_error("a,b\n1,2\n3\n"),
              AllOf(HasSubstr("t.csv:3"), HasSubstr("has 1 cells, expected 2"), HasSubstr("check the separator")));
  EXPECT_THAT(csv_error("a,b\n\"x\ny\",1\n1,2,3\n"), HasSubstr("t.csv:4: has 3 cells"));
  EXPECT_THAT(csv_error("a,b\n1,\"never\n"), AllOf(HasSubstr("t.csv:2, column 2"), HasSubstr("never closed")));
  EXPECT_THAT(csv_error("a\n\"x\"y\n"), HasSubstr("text follows a closing quote"));
  EXPECT_THAT(csv_error("a,a\n1,2\n"), HasSubstr("names the column 'a' twice"));
  EXPECT_THAT(csv_error("a\n\xff\n"), HasSubstr("is not UTF-8"));
  TableOptions number;
  number.types = {{"b", Column::Kind::kNumber}};
  EXPECT_THAT(csv_error("a,b\n1,2\n1,x\n", number),
              AllOf(HasSubstr("t.csv:3, column 2"), HasSubstr("'x' in column 'b' is not a number")));
  EXPECT_THAT(csv_error("a\n1\n", number), HasSubstr("no column 'b'"));
  TableOptions names;
  names.header = false;
  names.names = {"x"};
  EXPECT_THAT(csv_error("1,2\n", names), HasSubstr("has 2 columns, but 1 names are declared"));
  ReadLimits limits;
  limits.rows = 2;
  EXPECT_EQ(parse_csv("a\n1\n2\n3\n", "t", {}, limits).error().code, base::Code::kLimit);
  limits = {};
  limits.cell_bytes = 10;
  EXPECT_EQ(parse_csv("a\n\"" + std::string(50, 'x') + "\"\n", "t", {}, limits).error().code, base::Code::kLimit);
}

TEST(Csv, WriterIsReadBack) {
  const TempFolder folder;
  const Table t = csv("n,c,t\n0.1,\"a,b\",\"say \"\"hi\"\"\"\n-3e-300,,\" x\"\n");
  ASSERT_TRUE(write_csv(folder.file("t.csv"), t).ok());
  const auto back = read_csv(folder.file("t.csv"));
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(back->columns[0].numbers, t.columns[0].numbers);
  EXPECT_EQ(back->columns[1].levels, t.columns[1].levels);
  EXPECT_EQ(back->columns[1].codes, t.columns[1].codes);
  EXPECT_EQ(back->columns[2].levels, t.columns[2].levels);
  EXPECT_EQ(peek_csv(folder.file("t.csv"))->rows, 2U);
}

// ---- JSON lines -----------------------------------------------------------------------------------------------------

TEST(Jsonl, ColumnsGapsAndErrors) {
  const auto t = parse_jsonl("{\"a\": 1, \"b\": \"x\"}\n\n{\"b\": null, \"c\": true}\n", "t.jsonl");
  ASSERT_TRUE(t.ok()) << t.error().text();
  EXPECT_EQ(t->columns.size(), 3U);
  EXPECT_EQ(t->find("a")->missing(), 1U);
  EXPECT_THAT(t->find("b")->codes, ElementsAre(0, -1));
  EXPECT_THAT(t->find("c")->codes, ElementsAre(-1, 0));
  EXPECT_THAT(parse_jsonl("{\"a\": 1}\n{bad\n", "t.jsonl").error().text(), HasSubstr("t.jsonl:2: is not JSON"));
  EXPECT_THAT(parse_jsonl("[1]\n", "t").error().text(), HasSubstr("expected an object"));
  EXPECT_THAT(parse_jsonl("{\"a\": [1]}\n", "t").error().text(), HasSubstr("column 'a' holds array"));
  EXPECT_THAT(parse_jsonl("", "t").error().text(), HasSubstr("holds no rows"));
  EXPECT_FALSE(parse_jsonl(std::string(200000, '['), "t").ok());
  const auto m = parse_jsonl_matrix("[1, 2]\n[3, 4.5]\n", "p");
  ASSERT_TRUE(m.ok());
  EXPECT_EQ((*m)(1, 1), 4.5);
  EXPECT_EQ((*parse_jsonl_matrix("{\"yes\": 0.25, \"no\": 0.75}\n{\"no\": 1, \"yes\": 0}\n", "p"))(1, 1), 1);
  EXPECT_THAT(parse_jsonl_matrix("[1, 2]\n[3]\n", "p").error().text(), HasSubstr("p:2: holds 1 numbers, expected 2"));
  EXPECT_THAT(parse_jsonl_matrix("[\"a\"]\n", "p").error().text(), HasSubstr("no number at place 1"));
}

// ---- folders of images ----------------------------------------------------------------------------------------------

TEST(ImageFolder, ClassesSizesAndErrors) {
  const TempFolder folder;
  const Images images = noise(4, 3, 6, 5);
  std::filesystem::create_directories(folder.file("set/cat"));
  std::filesystem::create_directories(folder.file("set/dog"));
  for (std::size_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(write_png(folder.file(std::string("set/") + (i < 2 ? "cat/" : "dog/") + std::to_string(i) + ".png"),
                          images.image(i), 3, 6, 5)
                    .ok());
  }
  const auto set = read_image_folder(folder.file("set"));
  ASSERT_TRUE(set.ok()) << set.error().text();
  EXPECT_THAT(set->labels, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(set->class_names, ElementsAre("cat", "dog"));
  EXPECT_EQ(std::memcmp(set->images.bytes.get(), images.bytes.get(), 4 * images.pixels()), 0);
  EXPECT_EQ(peek_image_folder(folder.file("set"))->files, 4U);

  FolderOptions grey;
  grey.channels = 1;
  grey.height = 3;
  grey.width = 10;
  const auto scaled = read_image_folder(folder.file("set"), grey);
  ASSERT_TRUE(scaled.ok());
  EXPECT_EQ(scaled->images.pixels(), 30U);

  ASSERT_TRUE(write_png(folder.file("set/dog/9.png"), noise(1, 3, 4, 4).image(0), 3, 4, 4).ok());
  EXPECT_THAT(read_image_folder(folder.file("set")).error().text(),
              HasSubstr("9.png: is 4 x 4 pixels, but the first image is 6 x 5"));
  std::filesystem::remove(folder.file("set/dog/9.png"));
  plumbline::testing::write_file(folder.file("set/dog/9.jpg"), std::string("\xff\xd8\xff\xe0 not a picture"));
  EXPECT_THAT(read_image_folder(folder.file("set")).error().text(),
              AllOf(HasSubstr("9.jpg"), HasSubstr("damaged image")));
  std::filesystem::remove(folder.file("set/dog/9.jpg"));
  plumbline::testing::write_file(folder.file("outside.png"), "x");
  std::filesystem::create_symlink(folder.file("outside.png"), folder.file("set/dog/8.png"));
  EXPECT_THAT(read_image_folder(folder.file("set")).error().text(), HasSubstr("symbolic link that leaves the folder"));
  std::filesystem::remove(folder.file("set/dog/8.png"));
  plumbline::testing::write_file(folder.file("set/loose.png"), "x");
  EXPECT_THAT(read_image_folder(folder.file("set")).error().text(), HasSubstr("holds images beside sub-folders"));
  std::filesystem::create_directory(folder.file("empty"));
  EXPECT_THAT(read_image_folder(folder.file("empty")).error().text(), HasSubstr("holds no .png"));
}

TEST(ImageFolder, AbsurdSizesAreRefusedBeforeDecoding) {
  const TempFolder folder;
  ASSERT_TRUE(write_png(folder.file("a.png"), noise(1, 1, 8, 8).image(0), 1, 8, 8).ok());
  const std::string png = plumbline::testing::read_file(folder.file("a.png"));
  const Bytes bytes = bytes_of(png);
  EXPECT_EQ(parse_image(bytes.span(), "a.png", 0, 4).error().code, base::Code::kLimit);
  for (std::size_t cut = 0; cut + 20 < png.size(); cut += 7)
    EXPECT_FALSE(parse_image(bytes.span().first(cut), "a.png").ok());
}

TEST(ImageFolder, JpegIsDecodedAndTruncationIsSeen) {
  // 16 x 8 pixels of (200, 100, 50), written by libjpeg at quality 95.
  const std::string jpeg = plumbline::testing::read_file(PLUMBLINE_SOURCE_DIR "/tests/fuzz/corpus/image/colour.jpg");
  const Bytes bytes = bytes_of(jpeg);
  const auto colour = parse_image(bytes.span(), "a.jpg");
  ASSERT_TRUE(colour.ok()) << colour.error().text();
  ASSERT_EQ(colour->channels, 3);
  ASSERT_EQ(colour->height, 8);
  ASSERT_EQ(colour->width, 16);
  EXPECT_NEAR(colour->bytes[0], 200, 3);
  EXPECT_NEAR(colour->bytes[128], 100, 3);
  EXPECT_NEAR(colour->bytes[256], 50, 3);
  // Luma 0.299 R + 0.587 G + 0.114 B = 124.2.
  EXPECT_NEAR(parse_image(bytes.span(), "a.jpg", 1)->bytes[0], 124, 3);
  EXPECT_EQ(parse_image(bytes.span(), "a.jpg", 0, 8).error().code, base::Code::kLimit);
  EXPECT_FALSE(parse_image(bytes.span().first(jpeg.size() / 2), "a.jpg").ok());
}

TEST(Bytes, FilesThatAreNoFiles) {
  const TempFolder folder;
  EXPECT_THAT(map_file(folder.path()).error().text(), HasSubstr("is a folder"));
  EXPECT_THAT(map_file(folder.file("no")).error().text(), HasSubstr("No such file"));
  plumbline::testing::write_file(folder.file("e"), "");
  EXPECT_EQ(map_file(folder.file("e"))->size, 0U);
  ReadLimits limits;
  limits.file_bytes = 3;
  plumbline::testing::write_file(folder.file("f"), "1234");
  EXPECT_THAT(map_file(folder.file("f"), limits).error().text(), HasSubstr("holds 4 bytes, expected at most 3"));
  EXPECT_EQ(write_bytes(folder.file("no/x"), "y").error().code, base::Code::kIo);
  limits.inflated_bytes = 1U << 20U;
  limits.file_bytes = 1U << 20U;
  ASSERT_TRUE(write_bytes(folder.file("z.gz"), std::string(std::size_t{8} << 20U, 'a')).ok());
  EXPECT_THAT(read_csv(folder.file("z.gz"), {}, limits).error().text(), HasSubstr("inflates to more than"));
  EXPECT_TRUE(is_utf8("z\xc3\xa4hler \xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xc0\xaf"));
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));
}

}  // namespace
}  // namespace plumbline::data
