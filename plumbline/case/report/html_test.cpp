#include "plumbline/case/report/html.hpp"

#include <cmath>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "plumbline/case/report/assets.hpp"
#include "plumbline/case/report/html_parts.hpp"
#include "tests/browser/sample_report.hpp"

namespace plumbline::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// The page without its own script and style, which are the only parts that XML does not allow.
std::string without_assets(std::string page) {
  for (const std::string_view asset : {report_script(), report_style()}) {
    const std::size_t at = page.find(asset);
    EXPECT_NE(at, std::string::npos);
    if (at != std::string::npos) page.erase(at, asset.size());
  }
  return page;
}

pugi::xml_document parsed(const std::string& page) {
  pugi::xml_document document;
  const std::string xml = without_assets(page);
  const pugi::xml_parse_result result =
      document.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_doctype);
  EXPECT_TRUE(result) << result.description() << " near: "
                      << xml.substr(static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, result.offset - 80)), 200);
  return document;
}

std::size_t count(const pugi::xml_document& document, const char* xpath) { return document.select_nodes(xpath).size(); }

TEST(Html, IsWellFormedAndHasOneOfEachLandmark) {
  for (const Report& report : {sample::failing(), sample::clean(), sample::empty()}) {
    const pugi::xml_document page = parsed(render_html(report));
    EXPECT_EQ(count(page, "/html/body//main"), 1u);
    EXPECT_EQ(count(page, "/html/body/header"), 1u);
    EXPECT_EQ(count(page, "//nav[@aria-label]"), 1u);
    EXPECT_EQ(count(page, "//h1"), 1u);
    EXPECT_EQ(count(page, "//html[@lang='en']"), 1u);
  }
}

TEST(Html, EveryIdIsUniqueAndEveryFragmentHasATarget) {
  const pugi::xml_document page = parsed(render_html(sample::failing()));
  std::set<std::string> ids;
  for (const auto& node : page.select_nodes("//@id"))
    EXPECT_TRUE(ids.insert(node.attribute().value()).second) << node.attribute().value();
  for (const auto& node : page.select_nodes("//a/@href")) {
    const std::string target = node.attribute().value();
    if (target.front() != '#') continue;
    EXPECT_EQ(ids.count(target.substr(1)), 1u) << target;
  }
}

TEST(Html, TheFirstScreenSaysWhatTheExitStatusSays) {
  EXPECT_THAT(render_html(sample::failing()), HasSubstr("<title>No: digit reader</title>"));
  EXPECT_THAT(render_html(sample::clean()), HasSubstr("<title>Yes: digit reader</title>"));
  EXPECT_THAT(render_html(sample::empty()), HasSubstr("The run was interrupted"));
  Report report = sample::clean();
  report.exit.code = 3;
  EXPECT_THAT(render_html(report), HasSubstr("Cannot say yet"));
  report.exit.code = 4;
  EXPECT_THAT(render_html(report), HasSubstr("Cannot say: not everything could be judged"));
  report.exit.code = 2;
  EXPECT_THAT(render_html(report), HasSubstr("Nothing was judged"));
}

TEST(Html, NothingRanAndNothingFailedReadDifferently) {
  EXPECT_THAT(render_html(sample::clean()), HasSubstr("Nothing failed."));
  const std::string interrupted = render_html(sample::empty());
  EXPECT_THAT(interrupted, HasSubstr("The run did not finish"));
  EXPECT_THAT(interrupted, Not(HasSubstr("Nothing failed")));
  Report unclaimed = sample::clean();
  unclaimed.claims.clear();
  unclaimed.exit = {2, "no claim", false};
  EXPECT_THAT(render_html(unclaimed), HasSubstr("No claim was made, so nothing could fail or hold"));
  EXPECT_THAT(render_html(unclaimed), Not(HasSubstr("Nothing failed")));
}

TEST(Html, LedgerCountsKeepTheFourStatusesApart) {
  const pugi::xml_document page = parsed(render_html(sample::failing()));
  std::string words;
  for (const auto& node : page.select_nodes("//section[@aria-labelledby='tally-ledger']//li"))
    words += std::string(node.node().child("b").text().get()) + node.node().last_child().value() + ";";
  EXPECT_EQ(words, "8 ran;1 error;1 skipped;2 not applicable;");
}

TEST(Html, AWaiverIsShownAndDoesNotChangeTheVerdict) {
  const std::string page = render_html(sample::failing());
  EXPECT_THAT(page, HasSubstr("Waiver by A. Tester, until 2026-06-30"));
  EXPECT_EQ(count(parsed(page), "//tr[@id='claim-honest']//span[@class='verdict bad']"), 1u);
}

TEST(Html, EveryPictureHasItsTableAndItsData) {
  const Report report = sample::failing();
  const pugi::xml_document page = parsed(render_html(report));
  const auto figures = page.select_nodes("//figure");
  ASSERT_EQ(figures.size(), report.run.artifacts.size());
  for (const auto& node : figures) {
    EXPECT_EQ(node.node().select_nodes(".//table/tbody/tr").empty(), false) << node.node().attribute("id").value();
    const auto json = nlohmann::json::parse(node.node().child("script").text().get());
    EXPECT_FALSE(json.at("columns").empty());
  }
}

TEST(Html, HostileStringsStayText) {
  const std::string page = render_html(sample::hostile());
  const pugi::xml_document document = parsed(page);
  // Nothing that the renderer did not write: its one script, JSON blocks, its style, and images from data only.
  EXPECT_EQ(count(document, "//script[not(@type)]"), 1u);
  EXPECT_EQ(count(document, "//script[@type!='application/json']"), 0u);
  EXPECT_EQ(count(document, "//style"), 1u);
  EXPECT_EQ(count(document, "//title[not(ancestor::svg)]"), 1u);
  EXPECT_EQ(count(document, "//img[not(starts-with(@src, 'data:image/png;base64,'))]"), 0u);
  EXPECT_EQ(count(document, "//@*[starts-with(name(), 'on')]"), 0u);
  EXPECT_EQ(count(document, "//a[starts-with(@href, 'javascript')]"), 0u);
  const std::string body = without_assets(page);
  EXPECT_THAT(body, Not(HasSubstr("\xE2\x80\xAE")));  // no right-to-left override
  EXPECT_THAT(body, Not(HasSubstr("<!--")));
}

TEST(Html, ThePolicyAllowsOnlyThePagesOwnScriptAndStyle) {
  const std::string page = render_html(sample::clean());
  EXPECT_THAT(page, HasSubstr("default-src 'none'; script-src 'sha256-"));
  EXPECT_THAT(page, Not(HasSubstr("unsafe-")));
  EXPECT_LT(page.find("Content-Security-Policy"), page.find("<style>"));
  EXPECT_EQ(count(parsed(page), "//@style"), 0u);
}

TEST(Html, LoadsNothingFromAnywhere) {
  const pugi::xml_document page = parsed(render_html(sample::failing()));
  EXPECT_EQ(count(page, "//link | //iframe | //object | //embed | //script[@src] | //@srcset"), 0u);
}

TEST(Html, StaysUnderItsLimitWhateverTheSize) {
  const std::string page = render_html(sample::huge());
  EXPECT_LE(page.size(), kHtmlBytes);
  parsed(page);
  EXPECT_THAT(page, HasSubstr("rows are in this page (the first ones); the whole table is in"));
  EXPECT_THAT(page, HasSubstr("rows are in this page (thinned evenly); the whole table is in"));
  EXPECT_THAT(page, HasSubstr("claims are shown; all of them are in"));
}

TEST(Html, IsTheSameEveryTime) { EXPECT_EQ(render_html(sample::failing()), render_html(sample::failing())); }

TEST(Escape, KeepsTextAndDropsWhatMisleads) {
  EXPECT_EQ(escape("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escape("Grüße, 数字"), "Grüße, 数字");
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(escape("\xFF"), bad);
  EXPECT_EQ(escape("\xC0\xAF"), bad + bad);                      // overlong
  EXPECT_EQ(escape("\xED\xA0\x80"), bad + bad + bad);            // a surrogate
  EXPECT_EQ(escape("\xF4\x90\x80\x80"), bad + bad + bad + bad);  // past U+10FFFF
  EXPECT_EQ(escape("\xE2\x82"), bad + bad);                      // cut off
  EXPECT_EQ(escape("a\xE2\x80\xAE"
                   "b"),
            "a" + bad + "b");
  EXPECT_EQ(escape(std::string("a\0b", 3)), "a" + bad + "b");
  EXPECT_EQ(escape("abcdef", 3), "abc…");
}

TEST(Number, FourDigitsAndWholeNumbersInFull) {
  EXPECT_EQ(number(0.96842), "0.9684");
  EXPECT_EQ(number(-0.5), "−0.5");
  EXPECT_EQ(number(9999), "9999");
  EXPECT_EQ(number(70000), "70\u202F000");
  EXPECT_EQ(number(1234567), "1\u202F234\u202F567");
  EXPECT_EQ(number(1.5e-7), "1.5e-7");
  EXPECT_EQ(number(2.5e9 + 0.5), "2.5e9");
  EXPECT_EQ(number(0), "0");
  EXPECT_EQ(number(std::nan("")), "");
  EXPECT_EQ(number(std::numeric_limits<double>::infinity()), "∞");
}

TEST(IntervalSvg, DrawsWhatIsKnown) {
  EXPECT_THAT(interval_svg({0.5, 0.4, 0.6, {}, {}, true}), HasSubstr("aria-label=\"0.5 [0.4, 0.6]\""));
  EXPECT_THAT(interval_svg({0.5, 0.4, {}, 0.3, {}, true}), HasSubstr("0.5 [0.4, ∞], claimed at least 0.3"));
  EXPECT_EQ(interval_svg({std::nan(""), {}, {}, {}, {}, false}), "");
  EXPECT_THAT(interval_svg({2, 2, 2, {}, {}, false}), Not(HasSubstr("nan")));
}

check::Artifact two_columns(const std::string& kind, std::size_t rows) {
  check::Artifact a;
  a.id = "x";
  a.kind = kind;
  std::vector<double> x(rows);
  for (std::size_t i = 0; i < rows; ++i) x[i] = static_cast<double>(i);
  a.columns = {{"x", "", x}, {"y", "", x}};
  return a;
}

TEST(EmbedJson, KeepsEverythingThatFits) {
  const EmbeddedJson json = embed_json(two_columns("curve", 100), 10000);
  EXPECT_EQ(json.rows, 100u);
  EXPECT_EQ(json.kept.size(), 100u);
  EXPECT_FALSE(json.thinned);
}

TEST(EmbedJson, ThinsCurvesAndKeepsTheirEnds) {
  const EmbeddedJson json = embed_json(two_columns("curve", 200000), 20000);
  EXPECT_LE(json.text.size(), 20000u);
  EXPECT_GT(json.text.size(), 15000u);
  EXPECT_TRUE(json.thinned);
  EXPECT_EQ(json.kept.front(), 0u);
  EXPECT_EQ(json.kept.back(), 199999u);
}

TEST(EmbedJson, KeepsTheFrontOfTables) {
  const EmbeddedJson json = embed_json(two_columns("table", 200000), 20000);
  EXPECT_LE(json.text.size(), 20000u);
  EXPECT_FALSE(json.thinned);
  EXPECT_EQ(json.kept.back(), json.kept.size() - 1);
}

TEST(EmbedJson, GivesUpRatherThanPassTheLimit) {
  EXPECT_TRUE(embed_json(two_columns("table", 1000), 10).kept.empty());
  EXPECT_TRUE(embed_json(two_columns("curve", 1000), 10).kept.empty());
}

TEST(EmbedJson, IsSafeInsideAScriptElement) {
  check::Artifact a = two_columns("bars", 1);
  a.columns.push_back({"label", "", std::vector<std::string>{"</script><!--\xE2\x80\xA8&"}});
  a.columns.push_back({"gap", "", std::vector<double>{std::nan("")}});
  const EmbeddedJson json = embed_json(a, 10000);
  for (const char c : json.text) EXPECT_TRUE(c >= 0x20 && c != '<' && c != '>' && c != '&');
  const auto back = nlohmann::json::parse(json.text);
  EXPECT_EQ(back["columns"][2]["values"][0], "</script><!--\xE2\x80\xA8&");
  EXPECT_TRUE(back["columns"][3]["values"][0].is_null());
}

}  // namespace
}  // namespace plumbline::report
