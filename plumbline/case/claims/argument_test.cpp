#include "plumbline/case/claims/argument.hpp"

#include <algorithm>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plumbline/case/claims/escape.hpp"
#include "plumbline/case/claims/json.hpp"
#include "plumbline/case/claims/test_support.hpp"

namespace plumbline::claims {
namespace {

using support::evidence;
using support::manifest;
using support::normal_estimate;
using support::run_with;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

ClaimVerdict claim(const std::string& id, Verdict verdict) {
  ClaimVerdict v;
  v.id = id;
  v.text = "Claim " + id + " holds.";
  v.check = "probe.accuracy";
  v.metric = "accuracy";
  v.verdict = verdict;
  v.evidence = {"evidence-of-" + id};
  return v;
}

data::ArgumentSection section(const std::string& id, const std::string& kind, std::vector<std::string> supports = {}) {
  data::ArgumentSection s;
  s.id = id;
  s.line = 3;
  s.kind = kind;
  s.text = "Text of " + id;
  s.supported_by = std::move(supports);
  return s;
}

check::RunRecord run() {
  return run_with({evidence("evidence-of-a", normal_estimate(0.95, 0.001)),
                   evidence("evidence-of-b", normal_estimate(0.9, 0.001))});
}

Standing standing(const Argument& argument, const std::string& id) {
  const Node* node = argument.find(id);
  return node != nullptr && node->standing ? *node->standing : Standing::kNotEvaluated;
}

TEST(Argument, WithoutSectionsOneTopGoalHoldsAllClaims) {
  std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kSupported), claim("b", Verdict::kUndetermined)};
  const auto argument = argue(manifest(), verdicts, run());
  ASSERT_TRUE(argument.ok()) << argument.error().text();
  ASSERT_EQ(argument->roots().size(), 1u);
  EXPECT_EQ(argument->roots()[0]->text, "digit reader does what is claimed of it.");
  EXPECT_THAT(argument->roots()[0]->supported_by, ElementsAre("G-a", "G-b"));
  EXPECT_EQ(standing(*argument, "G-top"), Standing::kUndetermined);
  const Node* solution = argument->find("Sn-evidence-of-");
  ASSERT_NE(solution, nullptr);
  EXPECT_THAT(solution->text, HasSubstr("accuracy of reader@test, data test: 0.95 ["));
}

TEST(Argument, WrittenGoalsKeepUnmentionedClaimsAsRoots) {
  data::Manifest m = manifest();
  m.argument["safe"] = section("safe", "goal", {"by-parts"});
  m.argument["by-parts"] = section("by-parts", "strategy", {"a"});
  std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kSupported), claim("b", Verdict::kRefuted)};
  const auto argument = argue(m, verdicts, run());
  ASSERT_TRUE(argument.ok()) << argument.error().text();
  ASSERT_EQ(argument->roots().size(), 2u);
  EXPECT_EQ(standing(*argument, "G-safe"), Standing::kSupported);
  EXPECT_EQ(standing(*argument, "S-by-parts"), Standing::kSupported);
  EXPECT_EQ(standing(*argument, "G-b"), Standing::kRefuted);
}

TEST(Argument, StrategiesWithoutAGoalHangBelowTheTop) {
  data::Manifest m = manifest();
  m.argument["parts"] = section("parts", "strategy", {"a"});
  std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kSupported), claim("b", Verdict::kSupported)};
  const auto argument = argue(m, verdicts, run());
  ASSERT_TRUE(argument.ok());
  EXPECT_THAT(argument->find("G-top")->supported_by, ElementsAre("S-parts", "G-b"));
}

TEST(Argument, WorstOfTravelsUpInTheStatedOrder) {
  const std::pair<Verdict, Standing> kCases[] = {{Verdict::kSupported, Standing::kSupported},
                                                 {Verdict::kUndetermined, Standing::kUndetermined},
                                                 {Verdict::kNotEvaluated, Standing::kNotEvaluated},
                                                 {Verdict::kRefuted, Standing::kRefuted}};
  for (const auto& [verdict, expected] : kCases) {
    std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kSupported), claim("b", verdict)};
    EXPECT_EQ(standing(*argue(manifest(), verdicts, run()), "G-top"), expected);
  }
  std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kNotEvaluated), claim("b", Verdict::kSupported)};
  verdicts[1].freshness = Freshness::kStale;
  EXPECT_EQ(standing(*argue(manifest(), verdicts, run()), "G-top"), Standing::kStale);
}

TEST(Argument, KOfNTakesTheKthBest) {
  data::Manifest m = manifest();
  m.argument["any"] = section("any", "goal", {"a", "b", "c"});
  m.argument["any"].rule = "2";
  std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kRefuted), claim("b", Verdict::kSupported),
                                        claim("c", Verdict::kSupported)};
  EXPECT_EQ(standing(*argue(m, verdicts, run()), "G-any"), Standing::kSupported);
  verdicts[2].verdict = Verdict::kUndetermined;
  EXPECT_EQ(standing(*argue(m, verdicts, run()), "G-any"), Standing::kUndetermined);
  verdicts[1].verdict = Verdict::kRefuted;
  EXPECT_EQ(standing(*argue(m, verdicts, run()), "G-any"), Standing::kRefuted);
}

TEST(Argument, UndevelopedGoalsAreNotEvaluated) {
  data::Manifest m = manifest();
  m.argument["bare"] = section("bare", "goal");
  std::vector<ClaimVerdict> verdicts;
  const auto argument = argue(m, verdicts, run());
  EXPECT_TRUE(argument->find("G-bare")->undeveloped);
  EXPECT_EQ(standing(*argument, "G-bare"), Standing::kNotEvaluated);
}

TEST(Defeaters, ABareDoubtStandsAndDefeats) {
  data::Manifest m = manifest();
  m.argument["doubt"] = section("doubt", "defeater");
  m.argument["doubt"].challenges = {"a"};
  std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kSupported)};
  const auto argument = argue(m, verdicts, run());
  ASSERT_TRUE(argument.ok()) << argument.error().text();
  EXPECT_EQ(argument->find("CG-doubt")->doubt, Doubt::kStands);
  EXPECT_EQ(verdicts[0].defeat, Defeat::kDefeated);
  EXPECT_EQ(verdicts[0].verdict, Verdict::kSupported);
  EXPECT_EQ(standing(*argument, "G-a"), Standing::kDefeated);
  EXPECT_EQ(standing(*argument, "G-top"), Standing::kDefeated);
}

TEST(Defeaters, EvidenceForADoubtDecidesIt) {
  data::Manifest m = manifest();
  m.argument["doubt"] = section("doubt", "defeater", {"leak"});
  m.argument["doubt"].challenges = {"a"};
  const std::tuple<Verdict, Doubt, Standing> kCases[] = {
      {Verdict::kSupported, Doubt::kStands, Standing::kDefeated},
      {Verdict::kRefuted, Doubt::kAnswered, Standing::kSupported},
      {Verdict::kUndetermined, Doubt::kOpen, Standing::kUndetermined},
      {Verdict::kNotEvaluated, Doubt::kOpen, Standing::kUndetermined}};
  for (const auto& [leak, doubt, expected] : kCases) {
    std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kSupported), claim("leak", leak)};
    const auto argument = argue(m, verdicts, run());
    EXPECT_EQ(argument->find("CG-doubt")->doubt, doubt);
    EXPECT_EQ(standing(*argument, "G-a"), expected);
    EXPECT_EQ(standing(*argument, "G-top"), expected);  // the doubt's own claim does not support the top
  }
}

TEST(Defeaters, ADoubtAboutADoubtAnswersIt) {
  data::Manifest m = manifest();
  m.argument["doubt"] = section("doubt", "defeater");
  m.argument["doubt"].challenges = {"a"};
  m.argument["rebuttal"] = section("rebuttal", "defeater");
  m.argument["rebuttal"].challenges = {"doubt"};
  std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kSupported)};
  const auto argument = argue(m, verdicts, run());
  EXPECT_EQ(argument->find("CG-rebuttal")->doubt, Doubt::kStands);
  EXPECT_EQ(argument->find("CG-doubt")->doubt, Doubt::kAnswered);
  EXPECT_EQ(standing(*argument, "G-a"), Standing::kSupported);
}

TEST(Defeaters, TwoDoubtsThatChallengeEachOtherStayOpen) {
  data::Manifest m = manifest();
  m.argument["one"] = section("one", "defeater");
  m.argument["one"].challenges = {"two", "a"};
  m.argument["two"] = section("two", "defeater");
  m.argument["two"].challenges = {"one"};
  std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kSupported)};
  const auto argument = argue(m, verdicts, run());
  EXPECT_NE(verdicts[0].defeat, Defeat::kNone);
  EXPECT_GE(standing(*argument, "G-a"), Standing::kUndetermined);
}

TEST(Defeaters, ADefeatedAssumptionDefeatsWhatStandsInItsContext) {
  data::Manifest m = manifest();
  m.argument["safe"] = section("safe", "goal", {"a"});
  m.argument["safe"].in_context_of = {"stable"};
  m.argument["stable"] = section("stable", "assumption");
  m.argument["doubt"] = section("doubt", "defeater");
  m.argument["doubt"].challenges = {"stable"};
  std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kSupported)};
  const auto argument = argue(m, verdicts, run());
  EXPECT_TRUE(argument->find("A-stable")->defeated);
  EXPECT_EQ(standing(*argument, "G-safe"), Standing::kDefeated);
  EXPECT_EQ(standing(*argument, "G-a"), Standing::kSupported);
}

TEST(Argument, ErrorsNameTheLineAndTheNearestWord) {
  const auto message = [](data::ArgumentSection s,
                          std::vector<ClaimVerdict> verdicts = {claim("accurate", Verdict::kSupported)}) {
    data::Manifest m = manifest();
    m.argument[s.id] = s;
    const auto result = build_argument(m, verdicts, run());
    return result.ok() ? std::string("ok") : result.error().text();
  };
  EXPECT_THAT(message(section("g", "goal", {"acurate"})),
              HasSubstr("system.toml:3: argument 'g' names 'acurate', which is neither a claim nor an argument. Did "
                        "you mean 'accurate'?"));
  EXPECT_THAT(message(section("g", "gaol")), HasSubstr("unknown kind 'gaol'"));
  EXPECT_THAT(message(section("g", "defeater")), HasSubstr("challenges nothing"));
  EXPECT_THAT(message(section("g", "goal", {"g"})), HasSubstr("in a circle: G-g -> G-g"));
  auto rule = section("g", "goal", {"accurate"});
  rule.rule = "2";
  EXPECT_THAT(message(rule), HasSubstr("rule '2' of argument 'g' is neither"));
  EXPECT_EQ(message(section("accurate", "goal")), "ok");  // an argument may share a claim's name
}

Argument rich() {
  data::Manifest m = manifest();
  m.argument["safe"] = section("safe", "goal", {"parts"});
  m.argument["safe"].in_context_of = {"where", "stable", "why"};
  m.argument["parts"] = section("parts", "strategy", {"a", "b"});
  m.argument["parts"].rule = "1";
  m.argument["where"] = section("where", "context");
  m.argument["stable"] = section("stable", "assumption");
  m.argument["why"] = section("why", "justification");
  m.argument["doubt"] = section("doubt", "defeater");
  m.argument["doubt"].challenges = {"a"};
  m.argument["later"] = section("later", "goal");
  std::vector<ClaimVerdict> verdicts = {claim("a", Verdict::kSupported), claim("b", Verdict::kUndetermined)};
  return argue(m, verdicts, run()).value();
}

void expect_same(const Argument& a, const Argument& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.brief, b.brief);
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  for (std::size_t i = 0; i < a.nodes.size(); ++i) {
    const Node& x = a.nodes[i];
    const Node& y = b.nodes[i];
    EXPECT_EQ(x.id, y.id);
    EXPECT_EQ(x.kind, y.kind) << x.id;
    EXPECT_EQ(x.text, y.text);
    EXPECT_EQ(x.supported_by, y.supported_by);
    EXPECT_EQ(x.in_context_of, y.in_context_of);
    EXPECT_EQ(x.challenges, y.challenges);
    EXPECT_EQ(x.undeveloped, y.undeveloped) << x.id;
    EXPECT_EQ(x.defeated, y.defeated);
    EXPECT_EQ(x.need, y.need);
    EXPECT_EQ(x.claim, y.claim);
    EXPECT_EQ(x.evidence, y.evidence);
    EXPECT_EQ(x.standing, y.standing);
    EXPECT_EQ(x.doubt, y.doubt);
  }
}

TEST(GsnYaml, RoundTripKeepsEverything) {
  const Argument original = rich();
  const auto again = from_gsn_yaml(to_gsn_yaml(original));
  ASSERT_TRUE(again.ok()) << again.error().text();
  expect_same(original, *again);
}

TEST(GsnYaml, HostileTextSurvivesAsText) {
  Argument argument;
  argument.name = "a: &b *c !!python/object {x: [";
  argument.nodes.push_back({.id = "G-1: #\"'",
                            .text = "text: - & * ! | > ' \" % @ ` \\ {}[]",
                            .supported_by = {},
                            .in_context_of = {},
                            .challenges = {},
                            .claim = {},
                            .evidence = {},
                            .standing = {}});
  const auto again = from_gsn_yaml(to_gsn_yaml(argument));
  ASSERT_TRUE(again.ok()) << again.error().text();
  expect_same(argument, *again);
}

TEST(GsnYaml, ReadsFilesOfOtherTools) {
  const auto argument = from_gsn_yaml(R"(
module: {name: Main, brief: From elsewhere}
G1: {text: Top, supportedBy: [S1], inContextOf: C1}
S1: {text: By parts, supportedBy: [G2, Sn1]}
G2: {text: Part, undeveloped: true}
Sn1: {text: A test report, url: "https://example.org"}
C1: {text: Context}
CG1: {text: But what if, challenges: G2}
CSn1: {text: Counter evidence, challenges: [Sn1]}
Thing: {text: Named kind, nodeType: Justification}
)");
  ASSERT_TRUE(argument.ok()) << argument.error().text();
  EXPECT_EQ(argument->nodes.size(), 8u);
  EXPECT_EQ(argument->find("CG1")->kind, NodeKind::kDefeater);
  EXPECT_EQ(argument->find("Sn1")->kind, NodeKind::kSolution);
  EXPECT_EQ(argument->find("Thing")->kind, NodeKind::kJustification);
  EXPECT_THAT(argument->find("G1")->in_context_of, ElementsAre("C1"));
  std::vector<ClaimVerdict> none;
  Argument copy = *argument;
  propagate(copy, none);
  EXPECT_EQ(standing(copy, "G1"), Standing::kDefeated);
  EXPECT_THAT(to_svg(copy), HasSubstr("But what if"));
}

TEST(GsnYaml, ErrorsNameTheLine) {
  const auto message = [](std::string_view yaml) {
    const auto result = from_gsn_yaml(yaml);
    return result.ok() ? std::string("ok") : result.error().text();
  };
  EXPECT_THAT(message("G1: {text: x, supportedBy: [G2]}"),
              HasSubstr("line 1: element 'G1' refers to 'G2', which is not there"));
  EXPECT_THAT(message("G1:\n  supportedBy: []"), HasSubstr("lacks its text"));
  EXPECT_THAT(message("X1: {text: x}"), HasSubstr("no known prefix"));
  EXPECT_THAT(message("G1: {text: x}\nG1: {text: y}"), HasSubstr("line 2: element 'G1' is there twice"));
  EXPECT_THAT(message("G1: [unclosed"), HasSubstr("line"));
  EXPECT_THAT(message("- a\n- b"), HasSubstr("not a map"));
  EXPECT_THAT(message(""), HasSubstr("not a map"));
  EXPECT_THAT(message("G1: {text: x, need: many}"), HasSubstr("not a small number"));
  EXPECT_THAT(message("G1: {text: x, supportedBy: {a: b}}"), HasSubstr("neither a name nor a list"));
  EXPECT_THAT(message(std::string(5U << 20U, ' ')), HasSubstr("expected at most"));
  EXPECT_NE(message(std::string(100000, '[')), "ok");
}

TEST(GsnYaml, DamagedFilesGiveAnErrorOrAnArgumentNeverACrash) {
  const std::string whole = to_gsn_yaml(rich());
  const std::string_view kPieces[] = {"&a ",           "*a ", "[",    "{",  "- ",  ": ",   "\n  ",
                                      "!!int ",        "\"",  "<<: ", "? ", "|\n", "\xff", std::string_view("\0", 1),
                                      "%YAML 9\n---\n"};
  base::Rng rng(11, {"gsn"});
  int readable = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string text = whole;
    for (std::uint64_t edits = 1 + rng.below(4); edits > 0 && !text.empty(); --edits) {
      const std::size_t at = rng.below(text.size());
      switch (rng.below(4)) {
        case 0: text.erase(at, 1 + rng.below(40)); break;
        case 1: text.insert(at, kPieces[rng.below(std::size(kPieces))]); break;
        case 2: text[at] = static_cast<char>(rng.below(256)); break;
        default: text.resize(at + 1); break;
      }
    }
    auto argument = from_gsn_yaml(text);
    if (!argument.ok()) continue;
    ++readable;
    std::vector<ClaimVerdict> none;
    propagate(*argument, none);
    EXPECT_THAT(to_svg(*argument), HasSubstr("</svg>"));
  }
  EXPECT_GT(readable, 50);
}

TEST(GsnYaml, ACircleInAForeignFileEnds) {
  auto argument = from_gsn_yaml(
      "G1: {text: a, supportedBy: [G2]}\nG2: {text: b, supportedBy: [G1], inContextOf: [C1]}\nC1: {text: c, "
      "inContextOf: [C1]}\nCG1: {text: d, challenges: [CG1]}");
  ASSERT_TRUE(argument.ok());
  std::vector<ClaimVerdict> none;
  propagate(*argument, none);
  EXPECT_GE(standing(*argument, "G1"), Standing::kUndetermined);
  EXPECT_THAT(to_svg(*argument), HasSubstr("</svg>"));
}

TEST(Svg, NamesEveryElementAndItsVerdictInWordsWithoutScripts) {
  const Argument argument = rich();
  const std::string svg = to_svg(argument);
  for (const Node& node : argument.nodes) EXPECT_THAT(svg, HasSubstr(node.id)) << node.id;
  for (const char* word :
       {"<title", "<desc", "defeated", "undetermined", "doubt stands", "undeveloped", "(assumption)"})
    EXPECT_THAT(svg, HasSubstr(word));
  for (const char* word : {"<script", "href", "onload", "<image", "nan", "inf\""})
    EXPECT_THAT(svg, Not(HasSubstr(word)));
  EXPECT_EQ(to_svg(argument), svg);
  EXPECT_THAT(to_svg(Argument{}), HasSubstr("</svg>"));
}

TEST(Svg, HostileTextIsText) {
  Argument argument = rich();
  for (Node& node : argument.nodes)
    node.text =
        "</title><script>alert(1)</script>\x1b[31m ]]> \xff\xfe \xe2\x80\xae & \"' "
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  const std::string svg = to_svg(argument);
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  EXPECT_EQ(svg.find('\x1b'), std::string::npos);
  EXPECT_THAT(svg, Not(HasSubstr("\xe2\x80\xae")));
  EXPECT_EQ(svg.find('\xff'), std::string::npos);
}

TEST(Escape, EachFormat) {
  EXPECT_EQ(printable("a\x1b[31mb\nc\td"), "a [31mb c d");
  EXPECT_EQ(printable("\xff"), "\xEF\xBF\xBD");
  EXPECT_EQ(printable("\xc0\xaf \xed\xa0\x80 \xe2\x80\xae x"),
            "\xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD  x");
  EXPECT_EQ(printable("grün ✓ 数"), "grün ✓ 数");
  EXPECT_EQ(xml("<a href='x'>]]>&\"\x01"), "&lt;a href=&#39;x&#39;&gt;]]&gt;&amp;&quot; ");
  EXPECT_EQ(markdown("a|b`c<d>@me #1"), "a&#124;b&#96;c&#60;d&#62;&#64;me &#35;1");
  EXPECT_THAT(markdown("see http://x.y and www.z"), Not(HasSubstr("://")));
  EXPECT_EQ(annotation("50%,a:b\n::error::x%0A", false), "50%25,a:b ::error::x%250A");
  EXPECT_EQ(annotation("a,b:c", true), "a%2Cb%3Ac");
  EXPECT_EQ(file_name("../../etc/passwd"), "x..-..-etc-passwd");
  EXPECT_EQ(file_name(""), "x");
  EXPECT_EQ(file_name(std::string(500, 'a')).size(), 120u);
}

TEST(ClaimsJson, RoundTrip) {
  ClaimVerdict v = claim("a", Verdict::kUndetermined);
  v.where = {{"data", "test"}};
  v.sets = {"test"};
  v.value = 0.95;
  v.low = 0.94;
  v.at_least = 0.945;
  v.looks = 3;
  v.judged_level = 0.999;
  v.needs_more = 5000;
  v.models = 12;
  v.selected = true;
  v.waiver = WaiverState{"w", "Ada", "known", "2026-02-28", false};
  v.freshness = Freshness::kStale;
  v.defeat = Defeat::kChallenged;
  const auto again = verdicts_from_json(to_json(std::vector{v, claim("b", Verdict::kRefuted)}));
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(to_json(*again), to_json(std::vector{v, claim("b", Verdict::kRefuted)}));
  auto broken = to_json(v);
  broken["verdict"] = "perhaps";
  EXPECT_THAT(verdict_from_json(broken).error().text(), HasSubstr("'perhaps' is no verdict"));
  broken = to_json(v);
  broken.erase("looks");
  EXPECT_THAT(verdict_from_json(broken).error().text(), HasSubstr("looks"));
  EXPECT_FALSE(verdicts_from_json(to_json(v)).ok());
}

TEST(HistoryJson, LooksComeBackAndDamageIsAFirstLook) {
  const std::map<std::string, LookHistory> history = {{"a", {3, true, 2, 5}}, {"b", {}}};
  const auto back = history_from_json(history_to_json(history));
  ASSERT_EQ(back.size(), 2U);
  EXPECT_EQ(back.at("a").looks, 3);
  EXPECT_TRUE(back.at("a").anytime_before_first_look);
  EXPECT_EQ(back.at("a").models, 2);
  EXPECT_EQ(back.at("a").seeds, 5);
  for (const std::string text : {"", "[1]", "{", "null"}) EXPECT_TRUE(history_from_json(text).empty()) << text;
  EXPECT_EQ(history_from_json("{\"a\": {\"looks\": \"many\"}, \"b\": 7}").at("a").looks, 1);
  EXPECT_EQ(history_from_json("{\"b\": 7}").at("b").looks, 1);
}

}  // namespace
}  // namespace plumbline::claims
