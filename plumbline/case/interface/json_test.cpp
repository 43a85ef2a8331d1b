#include "plumbline/case/interface/json.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace plumbline::check {
namespace {

Evidence sample() {
  Evidence e;
  e.check = "probe.accuracy";
  e.subject = "reader@test";
  e.metric = "accuracy";
  e.where = {{"data", "test"}};
  e.estimate.value = 0.1 + 0.2;
  e.estimate.n = 100;
  e.estimate.method = "clopper-pearson";
  e.estimate.bounds.lower[3] = 0.25;
  e.estimate.bounds.upper[3] = 0.35;
  e.unit = "share";
  e.direction = Direction::kHigherIsBetter;
  e.seed = 18446744073709551615ULL;
  e.params = {{"level", 0.95}, {"bins", std::int64_t{15}}, {"names", std::vector<std::string>{"a", "b"}}};
  e.inputs = {{"data:test", "abc"}};
  e.id = evidence_id(e);
  return e;
}

TEST(Json, EvidenceRoundTripsToTheBit) {
  const Evidence e = sample();
  const auto text = to_json(e).dump();
  const auto back = evidence_from_json(nlohmann::json::parse(text));
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(to_json(*back).dump(), text);
  EXPECT_EQ(back->estimate.value, e.estimate.value);
  EXPECT_EQ(evidence_id(*back), e.id);
}

TEST(Json, IdDependsOnContentAloneNotOnBuildOrArtifacts) {
  Evidence e = sample();
  const std::string id = evidence_id(e);
  e.build = "other";
  e.artifacts = {"x"};
  EXPECT_EQ(evidence_id(e), id);
  e.seed = 1;
  EXPECT_NE(evidence_id(e), id);
}

TEST(Json, MissingOrWrongFieldsAreNamed) {
  auto json = to_json(sample());
  json.erase("metric");
  EXPECT_THAT(evidence_from_json(json).error().text(), ::testing::HasSubstr("lacks the field 'metric'"));
  json = to_json(sample());
  json["seed"] = "seven";
  EXPECT_THAT(evidence_from_json(json).error().text(), ::testing::HasSubstr("field 'seed' has the wrong type"));
  json = to_json(sample());
  json["bounds"]["lower"] = {1, 2};
  EXPECT_THAT(evidence_from_json(json).error().text(), ::testing::HasSubstr("'lower' does not have 8 entries"));
  EXPECT_FALSE(evidence_from_json(nlohmann::json::array()).ok());
}

TEST(Json, ArtifactKeepsBytesAndMissingNumbers) {
  Artifact a;
  a.id = "roc";
  a.kind = "roc";
  a.columns = {{"fpr", "share", std::vector<double>{0, NAN, 1}}, {"name", "", std::vector<std::string>{"a", "b", "c"}}};
  a.media_type = "image/png";
  a.bytes = std::string("\x89PNG\0\xff", 6);
  const auto back = artifact_from_json(nlohmann::json::parse(to_json(a, true).dump()));
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(back->bytes, a.bytes);
  EXPECT_TRUE(std::isnan(std::get<0>(back->columns[0].values)[1]));
  EXPECT_EQ(artifact_sha256(*back), artifact_sha256(a));
}

TEST(Json, Base64KnownAnswers) {
  // RFC 4648, section 10.
  EXPECT_EQ(base64_encode("foob"), "Zm9vYg==");
  EXPECT_EQ(*base64_decode("Zm9vYmE="), "fooba");
  EXPECT_EQ(*base64_decode(""), "");
  EXPECT_FALSE(base64_decode("!!!!").ok());
}

TEST(Params, UnknownNameTypeRangeAndChoiceAreRefused) {
  CheckInfo info;
  info.id = "room.name";
  info.params = {{"level", 0.95, 0.5, 0.9999, {}, ""}, {"mode", std::string("a"), {}, {}, {"a", "b"}, ""}};
  EXPECT_EQ(resolve_params(info, {})->real("level"), 0.95);
  EXPECT_EQ(resolve_params(info, {{"level", std::int64_t{1}}}).error().code, base::Code::kValue);
  EXPECT_THAT(resolve_params(info, {{"levle", 0.9}}).error().text(), ::testing::HasSubstr("Did you mean 'level'?"));
  EXPECT_THAT(resolve_params(info, {{"mode", std::string("c")}}).error().text(),
              ::testing::HasSubstr("expected one of a or b"));
  EXPECT_THAT(resolve_params(info, {{"mode", 3.0}}).error().text(),
              ::testing::HasSubstr("is a number, expected a text"));
}

}  // namespace
}  // namespace plumbline::check
