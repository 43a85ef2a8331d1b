#include "plumbline/data/manifest.hpp"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plumbline/data/manifest_keys.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::data {
namespace {

using plumbline::testing::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kSystem = "[system]\nname = \"s\"\n";

std::string problems(const std::string& text, const ManifestOptions& options = {}) {
  const auto manifest = parse_manifest(text, "folder/system.toml", options);
  return manifest.ok() ? "" : manifest.error().text();
}

std::string claim(const std::string& keys) {
  return kSystem +
         "[data.test]\nmatrix = \"x.npy\"\n[[claim]]\nid = \"c\"\ncheck = \"probe.accuracy\"\nmetric = \"accuracy\"\n" +
         keys;
}

TEST(Manifest, TheExampleOfTheDocumentation) {
  const auto m = parse_manifest(R"([system]
name = "digit reader"
seed = 7

[model.reader]
path = "reader.onnx"
task = "classification"
output = "logits"
input = {range = [0, 1], layout = "NCHW"}

[data.train]
images = "train-images-idx3-ubyte.gz"
labels = "train-labels-idx1-ubyte.gz"

[data.calibration]
from = "test"
share = 0.3

[data.test]
images = "t10k-images-idx3-ubyte.gz"
labels = "t10k-labels-idx1-ubyte.gz"
limit = 100
missing = ["-"]
types = {age = "category"}

[data.elsewhere]
images = "fashion-images.gz"
role = "out-of-distribution"

[predictions.other]
data = "test"
path = "p.npy"
output = "scores"

[check."robustness.ood"]
detector = "energy"
k = 5

[[claim]]
id = "abstains-when-lost"
text = "Inputs unlike the training data are recognised as such."
check = "robustness.ood"
metric = "auroc"
where = {data = "elsewhere"}
at_least = 0.95
confidence = 0.95
severity = "fail"

[[claim]]
id = "champion"
check = "probe.accuracy"
metric = "accuracy"
no_worse_than = "abc"
margin = 0.01

[argument.safe]
kind = "goal"
text = "The reader may ship."
supported_by = ["abstains-when-lost", "champion"]
rule = "1"

[waiver.w]
claim = "champion"
owner = "someone"
reason = "no champion yet"
expires = "2028-02-29"

[guard]
case = "runs.db#abc"
deadline_ms = 200

[component.ranker]
model = "reader"
owner = "team"
contract = {assumes = ["clean input"], at_least = 0.9}
)",
                                "folder/system.toml");
  ASSERT_TRUE(m.ok()) << m.error().text();
  EXPECT_EQ(m->name, "digit reader");
  EXPECT_EQ(m->seed, 7U);
  EXPECT_EQ(m->models.at("reader").input.high, 1);
  EXPECT_EQ(m->data.at("calibration").role, Role::kCalibration);
  EXPECT_EQ(m->data.at("elsewhere").role, Role::kOutOfDistribution);
  EXPECT_EQ(std::get<std::int64_t>(m->data.at("test").options.at("limit")), 100);
  EXPECT_EQ(std::get<std::string>(m->data.at("test").options.at("types.age")), "category");
  EXPECT_EQ(m->predictions.at("other").model, "other");
  EXPECT_EQ(std::get<std::int64_t>(m->check_params.at("robustness.ood").at("k")), 5);
  EXPECT_EQ(m->claims.at(0).where.at("data"), "elsewhere");
  EXPECT_EQ(m->claims.at(1).margin, 0.01);
  EXPECT_EQ(m->argument.at("safe").rule, "1");
  EXPECT_EQ(m->guard->case_reference, "runs.db#abc");
  ASSERT_EQ(m->others.size(), 2U);
  EXPECT_EQ(m->others[1].kind, "component.contract");
  EXPECT_EQ(std::get<double>(m->others[1].keys.at("at_least")), 0.9);
  EXPECT_EQ(m->sha256.size(), 64U);
}

TEST(Manifest, UnknownKeysNameLineAndNearest) {
  EXPECT_THAT(problems("[system]\nname = \"s\"\nsede = 1\n"),
              HasSubstr("line 3: [system] unknown key 'sede', did you mean 'seed'?"));
  EXPECT_THAT(problems(kSystem + "[modell.x]\n"), HasSubstr("unknown section [modell], did you mean 'model'?"));
  EXPECT_THAT(problems(kSystem + "[data.test]\nimges = \"x\"\n"),
              HasSubstr("line 4: [data.test] unknown key 'imges', did you mean 'images'?"));
  EXPECT_THAT(problems(kSystem + "[model.m]\npath=\"m.onnx\"\noutput=\"logits\"\ninput={rnge=[0,1]}\n"),
              HasSubstr("unknown key 'input.rnge', did you mean 'range'?"));
  EXPECT_THAT(problems(kSystem + "[world.w]\nlevl = \"a\"\n"), HasSubstr("did you mean 'level'?"));
}

TEST(Manifest, AllProblemsAtOnceInOrder) {
  const std::string text = problems("[system]\nseed = -1\n[data.test]\nlabels = 3\n[model.m]\noutput = \"logit\"\n");
  EXPECT_THAT(text, AllOf(HasSubstr("6 problems"), HasSubstr("lacks the key 'name'"), HasSubstr("seed is -1"),
                          HasSubstr("labels is not text")));
  EXPECT_THAT(text, AllOf(HasSubstr("needs images, a table, a matrix, or from"),
                          HasSubstr("output is \"logit\", expected one of logits, probabilities or scores"),
                          HasSubstr("exactly one of path, endpoint and callable, found 0")));
  EXPECT_LT(text.find("[system]"), text.find("[data.test]"));
}

TEST(Manifest, SyntaxErrorsNameLineAndColumn) {
  EXPECT_THAT(problems("[system]\nname = \n"), HasSubstr("folder/system.toml:2:"));
  EXPECT_THAT(problems(kSystem + "[system]\n"), HasSubstr("folder/system.toml:3:"));  // defined twice
  EXPECT_THAT(problems(""), HasSubstr("section [system] is missing"));
  EXPECT_THAT(problems("system = 3\n"), HasSubstr("'system' is a section"));
  EXPECT_THAT(problems(kSystem + "[data]\nimages = \"x\"\n"), HasSubstr("needs a name: write [data.NAME]"));
  EXPECT_THAT(problems(kSystem + "[claim]\nid = \"x\"\n"), HasSubstr("write [[claim]]"));
  EXPECT_THAT(problems(kSystem + "[data.\"a/b\"]\nimages = \"x\"\n"), HasSubstr("may hold letters, digits"));
}

TEST(Manifest, PathsStayInsideTheFolderOrANamedRoot) {
  const TempFolder folder;
  std::filesystem::create_directories(folder.file("system/sub"));
  std::filesystem::create_directories(folder.file("root/deep"));
  plumbline::testing::write_file(folder.file("secret"), "x");
  std::filesystem::create_symlink(folder.file("secret"), folder.file("system/link"));
  std::filesystem::create_symlink(folder.file("secret"), folder.file("root/link"));
  const auto parse = [&](const std::string& path, const ManifestOptions& options = {}) {
    return parse_manifest(kSystem + "[data.test]\nmatrix = \"" + path + "\"\n", folder.file("system/system.toml"),
                          options);
  };
  const auto good = parse("sub/x.npy");
  ASSERT_TRUE(good.ok()) << good.error().text();
  EXPECT_EQ(good->data.at("test").matrix->resolved,
            std::filesystem::canonical(folder.file("system")).string() + "/sub/x.npy");
  EXPECT_EQ(good->data.at("test").matrix->written, "sub/x.npy");
  EXPECT_THAT(parse("../secret").error().text(), HasSubstr("leaves the manifest's folder through '..'"));
  EXPECT_THAT(parse("sub/../../secret").error().text(), HasSubstr("'..'"));
  EXPECT_THAT(parse("/etc/passwd").error().text(), HasSubstr("is absolute"));
  EXPECT_THAT(parse("link").error().text(), HasSubstr("leads outside the manifest's folder through a symbolic link"));
  EXPECT_THAT(parse("mnt:x").error().text(), HasSubstr("uses the root 'mnt', which is not given: add --root mnt=DIR"));
  ManifestOptions options;
  options.roots = {{"mnt", folder.file("root")}};
  const auto rooted = parse("mnt:deep/x.npy", options);
  ASSERT_TRUE(rooted.ok()) << rooted.error().text();
  EXPECT_THAT(rooted->data.at("test").matrix->resolved, HasSubstr("/root/deep/x.npy"));
  EXPECT_THAT(parse("mnt:../secret", options).error().text(), HasSubstr("leaves the root 'mnt'"));
  EXPECT_THAT(parse("mnt:/etc/passwd", options).error().text(), HasSubstr("is absolute"));
  EXPECT_THAT(parse("mnt:link", options).error().text(), HasSubstr("leads outside the root 'mnt'"));
}

TEST(Manifest, ClaimsSayExactlyOneThing) {
  EXPECT_EQ(problems(claim("at_least = 1\n")), "");
  EXPECT_EQ(problems(claim("within = [0.1, 0.2]\n")), "");
  EXPECT_THAT(problems(claim("")), HasSubstr("exactly one of at_least, at_most, within and no_worse_than, found 0"));
  EXPECT_THAT(problems(claim("at_least = 1\nat_most = 2\n")), HasSubstr("found 2"));
  EXPECT_THAT(problems(claim("within = [2, 1]\n")), HasSubstr("expected low at most high"));
  EXPECT_THAT(problems(claim("within = [1]\n")), HasSubstr("is not a pair"));
  EXPECT_THAT(problems(claim("at_least = nan\n")), HasSubstr("is not a finite number"));
  EXPECT_THAT(problems(claim("at_least = 1\nmargin = 0.1\n")),
              HasSubstr("has a margin, which belongs to no_worse_than"));
  EXPECT_THAT(problems(claim("no_worse_than = \"r\"\nmargin = -1\n")), HasSubstr("margin is -1"));
  EXPECT_THAT(problems(claim("at_least = 1\nconfidence = 0.5\n")), HasSubstr("expected a number in (0.5, 0.9999]"));
  EXPECT_THAT(problems(claim("at_least = 1\nconfidence = 0.9995\n")),
              HasSubstr("above 0.999 only with sampling = \"anytime\" or population = \"these\""));
  EXPECT_EQ(problems(claim("at_least = 1\nconfidence = 0.9995\nsampling = \"anytime\"\n")), "");
  EXPECT_EQ(problems(claim("at_least = 1\nconfidence = 0.9999\npopulation = \"these\"\n")), "");
  EXPECT_EQ(problems(claim("at_least = 1\nconfidence = 0.999\n")), "");
  EXPECT_THAT(problems(claim("at_least = 1\nseverity = \"info\"\n")), HasSubstr("expected one of fail or warn"));
  EXPECT_THAT(problems(claim("at_least = 1\nlevel = \"fail\"\n")), HasSubstr("unknown key 'level'"));
  EXPECT_THAT(problems(claim("at_least = 1\nwhere = {slice = 3}\n")),
              HasSubstr("'slice' that is not text: put it in quotes"));
  EXPECT_THAT(problems(claim("at_least = 1\nwhere = {data = \"tset\"}\n")),
              HasSubstr("names the data set 'tset', which is not there, did you mean 'test'?"));
  EXPECT_THAT(problems(claim("at_least = 1\n[[claim]]\nid = \"c\"\ncheck = \"a.b\"\nmetric = \"m\"\nat_most = 1\n")),
              HasSubstr("id 'c' is taken already, in line 5"));
}

TEST(Manifest, ReferencesMustResolve) {
  EXPECT_THAT(problems(kSystem + "[data.calibration]\nfrom = \"test\"\nshare = 0.3\n"),
              HasSubstr("names the data set 'test', which is not there"));
  const std::string test = kSystem + "[data.test]\nmatrix = \"x.npy\"\n";
  EXPECT_THAT(problems(test + "[data.calibration]\nfrom = \"test\"\nshare = 1.5\n"),
              HasSubstr("share is 1.5, expected a number in (0, 1)"));
  EXPECT_THAT(problems(test + "[data.calibration]\nfrom = \"test\"\n"), HasSubstr("lacks the key 'share'"));
  EXPECT_THAT(problems(test + "[data.calibration]\nfrom = \"test\"\nshare = 0.6\n[data.more]\nrole = \"test\"\nfrom = "
                              "\"test\"\nshare = 0.4\n"),
              HasSubstr("leaves no row in 'test'"));
  EXPECT_THAT(problems(test + "[data.calibration]\nfrom = \"test\"\nshare = 0.6\nlimit = 3\n"),
              HasSubstr("so 'limit' belongs there"));
  EXPECT_THAT(problems(test + "[data.calibration]\nfrom = \"test\"\nshare = 0.1\n[data.more]\nrole = \"test\"\nfrom = "
                              "\"calibration\"\nshare = 0.4\n"),
              HasSubstr("itself has none of its own"));
  EXPECT_THAT(problems(test + "[predictions.p]\ndata = \"tst\"\npath = \"p.npy\"\noutput = \"scores\"\n"),
              HasSubstr("did you mean 'test'?"));
  EXPECT_THAT(problems(test + "[waiver.w]\nclaim = \"x\"\nowner = \"o\"\nreason = \"r\"\nexpires = \"2027-02-30\"\n"),
              AllOf(HasSubstr("names the claim 'x'"), HasSubstr("expected a date, YYYY-MM-DD")));
  EXPECT_THAT(problems(test + "[argument.a]\nkind = \"goal\"\ntext = \"t\"\nsupported_by = [\"b\"]\n"),
              HasSubstr("names 'b', which is neither a claim nor an argument node"));
  EXPECT_THAT(problems(test + "[argument.a]\nkind = \"goal\"\ntext = \"t\"\nsupported_by = [\"b\"]\n[argument.b]\nkind "
                              "= \"goal\"\ntext = \"t\"\nsupported_by = [\"a\"]\n"),
              HasSubstr("supports itself through a circle"));
  EXPECT_THAT(problems(kSystem + "[data.odd]\nmatrix = \"x.npy\"\n"), HasSubstr("lacks the key 'role'"));
  EXPECT_THAT(problems(kSystem + "[data.test]\nmatrix = \"x.npy\"\nimages = \"y\"\n"),
              HasSubstr("has both images and matrix"));
  EXPECT_THAT(problems(kSystem + "[model.m]\npath = \"m.pt\"\noutput = \"logits\"\n"), HasSubstr("add trusted = true"));
  EXPECT_THAT(problems(kSystem + "[model.m]\nendpoint = \"ftp://x\"\noutput = \"logits\"\n"),
              AllOf(HasSubstr("begins with http://"), HasSubstr("lacks the key 'classes'")));
  EXPECT_THAT(problems(kSystem + "[check.accuracy]\nk = 1\n"), HasSubstr("is not a check's id"));
}

TEST(Manifest, HostileTextIsBoundedAndHarmless) {
  ManifestOptions options;
  options.file_bytes = 100;
  EXPECT_EQ(parse_manifest(std::string(200, '#'), "m", options).error().code, base::Code::kLimit);
  EXPECT_FALSE(parse_manifest("a = " + std::string(100000, '['), "m").ok());
  EXPECT_FALSE(parse_manifest(std::string("\xff\xfe\x00", 3), "m").ok());
  EXPECT_THAT(problems(kSystem + "[data.test]\n\"\\u001b[31m\" = 1\n"), Not(HasSubstr("\x1b")));
  std::string many = kSystem;
  for (int i = 0; i < 300; ++i) many += "[bad" + std::to_string(i) + "]\n";
  EXPECT_THAT(problems(many), HasSubstr("and 200 more"));
  EXPECT_EQ(read_manifest("no/such/system.toml").error().code, base::Code::kIo);
}

TEST(Manifest, HelpAndSchemaComeFromTheSameTables) {
  for (const std::string& kind : manifest_sections()) EXPECT_THAT(manifest_help(kind), HasSubstr(kind));
  EXPECT_EQ(manifest_help("nonsense"), "");
  EXPECT_THAT(manifest_help("data"), HasSubstr("share"));
  const std::string golden = PLUMBLINE_SOURCE_DIR "/docs/schema/manifest.schema.json";
  if (std::getenv("PLUMBLINE_ACCEPT_GOLDEN") != nullptr) plumbline::testing::write_file(golden, manifest_schema());
  EXPECT_EQ(manifest_schema(), plumbline::testing::read_file(golden))
      << "the published schema is stale: run this test once with PLUMBLINE_ACCEPT_GOLDEN=1";
}

}  // namespace
}  // namespace plumbline::data
