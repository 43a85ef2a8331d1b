#include "plumbline/case/report/report.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "plumbline/case/claims/test_support.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/report/assets.hpp"
#include "plumbline/case/report/html.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::report {
namespace {

namespace fs = std::filesystem;
using claims::support::at_least;
using claims::support::evidence;
using claims::support::manifest;
using claims::support::normal_estimate;
using claims::support::registry;
using claims::support::run_with;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

fs::path repository() { return PLUMBLINE_SOURCE_DIR; }

// ---- one report for every status ------------------------------------------------------------------------------------

struct Case {
  std::string name;
  Report report;
};

check::Artifact artifact() {
  check::Artifact a;
  a.id = "probe.accuracy-reader-test-classes";
  a.kind = "bars";
  a.title = "Accuracy by class";
  a.caption = "Each bar is one class.";
  a.columns = {{"class", "", std::vector<std::string>{"0", "1"}},
               {"accuracy", "share", std::vector<double>{0.98, 0.91}}};
  return a;
}

check::Finding finding() {
  check::Finding f;
  f.id = "f00d";
  f.check = "probe.accuracy";
  f.subject = "reader@test";
  f.severity = check::FindingSeverity::kMajor;
  f.title = "Digit 7 read as 1: 31 of 40 rows of slice 'thick stroke'";
  f.detail = "The rows share a thick stroke.";
  f.next_step = "Add thick strokes to the training rows";
  f.data = "test";
  f.rows = {3, 14, 15};
  f.where = {{"slice", "thick stroke"}};
  return f;
}

Report report_of(double estimate,
                 const std::function<void(data::Manifest&, check::RunRecord&, claims::JudgeContext&)>& change = {}) {
  data::Manifest m = manifest();
  m.claims = {at_least("accurate", 0.9)};
  auto e = evidence("e1f2a3b4c5d6e7f8", normal_estimate(estimate, 0.005));
  e.artifacts = {artifact().id};
  check::RunRecord run = run_with({e});
  run.artifacts = {artifact()};
  run.root = "ab12";
  run.manifest_sha256 = "cd34";
  run.inputs = e.inputs;
  claims::JudgeContext context;
  context.today = "2026-01-31";
  if (change) change(m, run, context);
  return make_report(m, run, registry(), context).value();
}

std::vector<Case> cases() {
  using M = data::Manifest;
  using R = check::RunRecord;
  using C = claims::JudgeContext;
  const auto ledger = [](check::LedgerStatus status, const std::string& reason) {
    return [=](M&, R& run, C&) {
      run.ledger.push_back({"robustness.ood", status == check::LedgerStatus::kNotApplicable ? "" : "reader@elsewhere",
                            status, reason, "", 1.5, false});
    };
  };
  return {
      {"supported", report_of(0.95)},
      {"refuted", report_of(0.85, [](M&, R& run, C&) { run.findings = {finding()}; })},
      {"undetermined", report_of(0.905)},
      {"not_evaluated", report_of(0.95,
                                  [](M&, R& run, C&) {
                                    run.evidence.clear();
                                    run.ledger = {{"probe.accuracy", "", check::LedgerStatus::kNotApplicable,
                                                   "the test set has no labels", "", 0, false}};
                                  })},
      {"stale", report_of(0.95,
                          [](M&, R&, C& context) {
                            context.current_inputs = {{"data:test", "fingerprint-test"}, {"model:reader", "another"}};
                          })},
      {"defeated", report_of(0.95,
                             [](M& m, R&, C&) {
                               m.argument["doubt"] = {.id = "doubt",
                                                      .line = 9,
                                                      .kind = "defeater",
                                                      .text = "Labels come from the model itself.",
                                                      .supported_by = {},
                                                      .in_context_of = {},
                                                      .challenges = {"accurate"}};
                             })},
      {"waived", report_of(0.85,
                           [](M& m, R&, C&) {
                             m.waivers["w1"] = {.id = "w1",
                                                .line = 20,
                                                .claim = "accurate",
                                                .owner = "Ada",
                                                .reason = "known, fix is under way",
                                                .expires = "2026-02-28"};
                           })},
      {"waiver_expired", report_of(0.85,
                                   [](M& m, R&, C&) {
                                     m.waivers["w1"] = {.id = "w1",
                                                        .line = 20,
                                                        .claim = "accurate",
                                                        .owner = "Ada",
                                                        .reason = "known, fix is under way",
                                                        .expires = "2026-01-30"};
                                   })},
      {"warn", report_of(0.85, [](M& m, R&, C&) { m.claims[0].severity = "warn"; })},
      {"selected",
       report_of(0.95,
                 [](M&, R&, C& context) { context.history["accurate"] = {.looks = 3, .models = 12, .seeds = 2}; })},
      {"ledger_ok", report_of(0.95, ledger(check::LedgerStatus::kOk, ""))},
      {"ledger_error", report_of(0.95, ledger(check::LedgerStatus::kError, "ran out of memory (2 GiB)"))},
      {"ledger_skipped", report_of(0.95, ledger(check::LedgerStatus::kSkipped, "left out by --skip"))},
      {"ledger_not_applicable",
       report_of(0.95, ledger(check::LedgerStatus::kNotApplicable, "no set has the role out-of-distribution"))},
      {"cancelled", report_of(0.95, [](M&, R& run, C&) { run.status = check::RunStatus::kCancelled; })},
  };
}

/// The page as a person reviews it: script and style (and their hashes in the policy) are only named, so that another
/// build of the front end changes no golden, and elements begin on lines of their own.
std::string reviewable_html(const Report& report) {
  std::string page = render_html(report);
  const auto cut = [&](std::size_t at, std::size_t length, std::string_view marker) {
    EXPECT_NE(at, std::string::npos) << marker;
    if (at != std::string::npos) page.replace(at, length, marker);
  };
  cut(page.find(report_script()), report_script().size(), "[script]");
  cut(page.find(report_style()), report_style().size(), "[style]");
  constexpr std::string_view kPrefix = "'sha256-";
  for (std::size_t at = page.find(kPrefix); at != std::string::npos; at = page.find(kPrefix, at + 1)) {
    const std::size_t begin = at + kPrefix.size();
    page.replace(begin, page.find('\'', begin) - begin, "[hash]");
  }
  for (std::size_t at = page.find("><"); at != std::string::npos; at = page.find("><", at)) page.insert(at + 1, "\n");
  return page;
}

struct Format {
  std::string name;
  std::string extension;
  std::function<std::string(const Report&)> render;
};

std::vector<Format> formats() {
  return {{"text", "txt", [](const Report& r) { return to_text(r); }},
          {"json", "json", to_evidence_json},
          {"junit", "xml", to_junit},
          {"sarif", "sarif", to_sarif},
          {"annotations", "txt", to_annotations},
          {"markdown", "md", to_markdown},
          {"gsn", "yaml", [](const Report& r) { return claims::to_gsn_yaml(r.argument); }},
          {"svg", "svg", [](const Report& r) { return r.argument_svg; }},
          {"tea", "json", [](const Report& r) { return to_tea_items(r); }},
          {"html", "html", reviewable_html}};
}

TEST(Golden, EveryStatusInEveryFormat) {
  const bool accept = std::getenv("PLUMBLINE_ACCEPT_GOLDEN") != nullptr;
  std::size_t compared = 0;
  for (const Case& each : cases()) {
    for (const Format& format : formats()) {
      const fs::path path = repository() / "tests" / "golden" / format.name / (each.name + "." + format.extension);
      const std::string now = format.render(each.report);
      if (accept) {
        fs::create_directories(path.parent_path());
        plumbline::testing::write_file(path.string(), now);
        continue;
      }
      ASSERT_TRUE(fs::exists(path)) << path << ": read the output, then run with PLUMBLINE_ACCEPT_GOLDEN=1";
      EXPECT_EQ(plumbline::testing::read_file(path.string()), now) << path;
      ++compared;
    }
  }
  EXPECT_TRUE(accept || compared == cases().size() * formats().size());
}

TEST(Golden, NoFileIsLeftBehindWithoutItsCase) {
  std::set<std::string> names;
  for (const Case& each : cases()) names.insert(each.name);
  for (const Format& format : formats()) {
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator(repository() / "tests" / "golden" / format.name)) {
      EXPECT_TRUE(names.contains(entry.path().stem().string())) << entry.path();
      ++files;
    }
    EXPECT_EQ(files, names.size()) << format.name;
  }
}

TEST(Report, ExitStatusOfEachCase) {
  const std::map<std::string, int> kCodes = {{"supported", 0},      {"refuted", 1},
                                             {"undetermined", 3},   {"not_evaluated", 4},
                                             {"stale", 4},          {"defeated", 4},
                                             {"waived", 0},         {"waiver_expired", 1},
                                             {"warn", 0},           {"selected", 0},
                                             {"ledger_ok", 0},      {"ledger_error", 4},
                                             {"ledger_skipped", 0}, {"ledger_not_applicable", 0},
                                             {"cancelled", 130}};
  for (const Case& each : cases()) EXPECT_EQ(each.report.exit.code, kCodes.at(each.name)) << each.name;
}

TEST(Report, LastLineOfTheTextSaysTheExitStatusAndWhy) {
  for (const Case& each : cases()) {
    std::string text = to_text(each.report);
    ASSERT_FALSE(text.empty());
    text.pop_back();
    EXPECT_EQ(text.substr(text.rfind('\n') + 1), summary_line(each.report));
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    const std::string colored = to_text(each.report, true);
    EXPECT_NE(colored.find("\x1b["), std::string::npos);
    EXPECT_THAT(colored, HasSubstr(summary_line(each.report)));
  }
}

TEST(Report, DidNotRunAndFoundNothingLookDifferent) {
  const auto all = cases();
  EXPECT_THAT(to_text(all[0].report), HasSubstr("none in what ran"));
  EXPECT_THAT(to_text(all[3].report), HasSubstr("nothing ran, so nothing could be found"));
}

TEST(Junit, FailsExactlyWhenTheExitStatusDoes) {
  for (const Case& each : cases()) {
    pugi::xml_document xml;
    const std::string text = to_junit(each.report);
    ASSERT_TRUE(xml.load_buffer(text.data(), text.size())) << each.name;
    const auto suite = xml.child("testsuites").child("testsuite");
    int failing = 0;
    int tests = 0;
    for (const auto& test : suite.children("testcase")) {
      ++tests;
      if (test.child("failure") || test.child("error")) ++failing;
    }
    EXPECT_EQ(suite.attribute("failures").as_int() + suite.attribute("errors").as_int(), failing) << each.name;
    EXPECT_EQ(suite.attribute("tests").as_int(), tests);
    EXPECT_EQ(failing > 0, each.report.exit.code != 0) << each.name;
  }
  Report lenient = cases()[2].report;  // undetermined under --fail-on refuted
  lenient.exit = claims::exit_status(lenient.claims, lenient.run, {.fail_on_refuted = true});
  EXPECT_EQ(lenient.exit.code, 0);
  EXPECT_THAT(to_junit(lenient), HasSubstr("failures=\"0\" errors=\"0\" skipped=\"1\""));
}

TEST(Sarif, RulesResultsAndNotificationsAgree) {
  for (const Case& each : cases()) {
    const json sarif = json::parse(to_sarif(each.report));
    const json& run = sarif["runs"][0];
    for (const json& result : run["results"]) {
      const auto index = result["ruleIndex"].get<std::size_t>();
      EXPECT_EQ(run["tool"]["driver"]["rules"].at(index)["id"], result["ruleId"]) << each.name;
      EXPECT_EQ(result["kind"] == "fail", result["level"] != "none") << each.name;  // SARIF 2.1.0, 3.27.10
    }
    EXPECT_EQ(run["invocations"][0]["exitCode"], each.report.exit.code);
  }
}

TEST(Tea, ItemsHaveExactlyTheFieldsOfTheFormat) {
  const std::set<std::string> kKnown = {"formatVersion", "claimId",       "metricName",   "value",      "threshold",
                                        "verdict",       "oddDimensions", "sourceSystem", "provenance", "evaluatedAt"};
  for (const Case& each : cases()) {
    const json items = json::parse(to_tea_items(each.report));
    EXPECT_EQ(items.size(), each.name == "not_evaluated" ? 0u : 1u) << each.name;
    for (const json& item : items) {
      for (const auto& [key, value] : item.items()) EXPECT_TRUE(kKnown.contains(key)) << key;
      EXPECT_TRUE(item["verdict"] == "PASS" || item["verdict"] == "FAIL" || item["verdict"] == "DEGRADED");
      EXPECT_THAT(item["claimId"].get<std::string>(),
                  ::testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
      EXPECT_LE(item["provenance"].dump().size(), 8192u);
      EXPECT_TRUE(item["provenance"].contains("check") && item["provenance"].contains("runId"));
    }
  }
  EXPECT_EQ(json::parse(
                to_tea_items(cases()[0].report, {{"accurate", "11111111-1111-4111-8111-111111111111"}}))[0]["claimId"],
            "11111111-1111-4111-8111-111111111111");
}

// ---- the schema -----------------------------------------------------------------------------------------------------

/// As much of JSON Schema as the published file uses.
void validate(const json& schema, const json& value, const json& root, const std::string& place,
              std::vector<std::string>& problems) {
  static const std::set<std::string> kKnown = {
      "$schema",    "$id",   "$ref", "$defs", "title", "description", "type",     "required", "additionalProperties",
      "properties", "items", "enum", "const", "anyOf", "minimum",     "minItems", "maxItems"};
  for (const auto& [key, ignored] : schema.items()) {
    if (!kKnown.contains(key)) problems.push_back("schema uses " + key);
  }
  if (schema.contains("$ref")) {
    validate(root["$defs"][schema["$ref"].get<std::string>().substr(8)], value, root, place, problems);
    return;
  }
  const auto is = [&](const std::string& type) {
    return type == "object"    ? value.is_object()
           : type == "array"   ? value.is_array()
           : type == "string"  ? value.is_string()
           : type == "boolean" ? value.is_boolean()
           : type == "null"    ? value.is_null()
           : type == "integer" ? value.is_number_integer()
                               : value.is_number();
  };
  if (schema.contains("type")) {
    const json types = schema["type"].is_array() ? schema["type"] : json::array({schema["type"]});
    if (std::none_of(types.begin(), types.end(), [&](const json& t) { return is(t.get<std::string>()); }))
      problems.push_back(place + " has the wrong type");
  }
  if (schema.contains("enum") && std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
    problems.push_back(place + " is " + value.dump());
  if (schema.contains("const") && schema["const"] != value) problems.push_back(place + " is " + value.dump());
  if (schema.contains("minimum") && value.is_number() && value < schema["minimum"])
    problems.push_back(place + " is too small");
  if (schema.contains("anyOf")) {
    bool any = false;
    for (const json& option : schema["anyOf"]) {
      std::vector<std::string> inner;
      validate(option, value, root, place, inner);
      any = any || inner.empty();
    }
    if (!any) problems.push_back(place + " fits no option");
  }
  if (value.is_object()) {
    for (const json& name : schema.value("required", json::array())) {
      if (!value.contains(name.get<std::string>())) problems.push_back(place + " lacks " + name.get<std::string>());
    }
    for (const auto& [name, item] : value.items()) {
      if (schema.contains("properties") && schema["properties"].contains(name)) {
        validate(schema["properties"][name], item, root, place + "." + name, problems);
      } else if (schema.contains("additionalProperties")) {
        if (schema["additionalProperties"].is_object()) {
          validate(schema["additionalProperties"], item, root, place + "." + name, problems);
        } else {
          problems.push_back(place + " has the unknown field " + name);
        }
      }
    }
  }
  if (value.is_array()) {
    if (schema.contains("minItems") && value.size() < schema["minItems"]) problems.push_back(place + " is too short");
    if (schema.contains("maxItems") && value.size() > schema["maxItems"]) problems.push_back(place + " is too long");
    if (schema.contains("items")) {
      for (std::size_t i = 0; i < value.size(); ++i)
        validate(schema["items"], value[i], root, place + "[" + std::to_string(i) + "]", problems);
    }
  }
}

TEST(Schema, EveryReportKeepsThePublishedSchema) {
  const json schema =
      json::parse(plumbline::testing::read_file((repository() / "docs/schema/evidence.schema.json").string()));
  for (const Case& each : cases()) {
    const json document = json::parse(to_evidence_json(each.report));
    std::vector<std::string> problems;
    validate(schema, document, schema, "$", problems);
    EXPECT_THAT(problems, ::testing::IsEmpty()) << each.name;
    json broken = document;
    broken["surprise"] = 1;
    broken["claims"][0]["verdict"] = "perhaps";
    problems.clear();
    validate(schema, broken, schema, "$", problems);
    EXPECT_EQ(problems.size(), 2u);
  }
}

TEST(Schema, AnIndependentValidatorAgrees) {
  if (std::system("python3 -c 'import jsonschema' > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "python3-jsonschema is not installed";
  plumbline::testing::TempFolder folder;
  std::string files;
  for (const Case& each : cases()) {
    plumbline::testing::write_file(folder.file(each.name + ".json"), to_evidence_json(each.report));
    files += " " + folder.file(each.name + ".json");
  }
  const std::string script =
      "import "
      "json,sys,jsonschema\ns=json.load(open(sys.argv[1]))\njsonschema.Draft202012Validator.check_schema(s)\nfor f in "
      "sys.argv[2:]: "
      "jsonschema.Draft202012Validator(s).validate(json.load(open(f)))\n";
  plumbline::testing::write_file(folder.file("check.py"), script);
  const std::string command =
      "python3 " + folder.file("check.py") + " " + (repository() / "docs/schema/evidence.schema.json").string() + files;
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(EvidenceJson, ReadsBackAsTheSameRecord) {
  const Report report = cases()[1].report;
  const json document = json::parse(to_evidence_json(report));
  ASSERT_EQ(document["evidence"].size(), 1u);
  const auto again = check::evidence_from_json(document["evidence"][0]);
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(check::to_json(*again), check::to_json(report.run.evidence[0]));
}

// ---- hostile text ---------------------------------------------------------------------------------------------------

Report hostile() {
  const std::string evil =
      "</td><script>alert(1)</script>]]>\x1b[2J\x07|`x`\r\n::error::gotcha%0A::set-output\n# H\xff\xe2\x80\xae "
      "\"'&<![CDATA[ @team [x](javascript:1) \\";
  data::Manifest m = manifest();
  m.name = evil;
  m.path = evil;
  m.claims = {at_least(evil, 0.9)};
  m.claims[0].text = evil;
  m.claims[0].where = {{"data", evil}};
  m.waivers[evil] = {.id = evil, .line = 1, .claim = evil, .owner = evil, .reason = evil, .expires = evil};
  m.argument["doubt"] = {.id = "doubt",
                         .line = 9,
                         .kind = "defeater",
                         .text = evil,
                         .supported_by = {},
                         .in_context_of = {},
                         .challenges = {evil}};
  auto e = evidence("id", normal_estimate(0.5, 0.01), evil);
  e.artifacts = {evil};
  auto run = run_with({e});
  run.system = run.manifest = run.id = run.build = run.machine = run.started = evil;
  run.notes = {evil};
  run.ledger.push_back({"robustness.ood", evil, check::LedgerStatus::kError, evil, evil, 0, false});
  auto f = finding();
  f.title = f.detail = f.next_step = f.data = f.subject = f.check = evil;
  f.where = {{evil, evil}};
  run.findings = {f};
  auto a = artifact();
  a.id = evil;
  a.title = evil;
  run.artifacts = {a};
  return make_report(m, run, registry()).value();
}

TEST(Hostile, NoFormatLetsAStringBecomeSyntax) {
  const Report report = hostile();
  for (const Format& format : formats()) {
    const std::string out = format.render(report);
    EXPECT_EQ(out.find('\x1b'), std::string::npos) << format.name;
    EXPECT_EQ(out.find('\x07'), std::string::npos) << format.name;
    EXPECT_EQ(out.find('\r'), std::string::npos) << format.name;
    EXPECT_EQ(out.find('\xff'), std::string::npos) << format.name;
    if (format.extension == "json" || format.extension == "sarif") {
      EXPECT_FALSE(json::parse(out, nullptr, false).is_discarded()) << format.name;
    }
    if (format.extension == "xml" || format.extension == "svg") {
      pugi::xml_document xml;
      EXPECT_TRUE(xml.load_buffer(out.data(), out.size())) << format.name;
      EXPECT_THAT(out, Not(HasSubstr("<script"))) << format.name;
      EXPECT_THAT(out, Not(HasSubstr("]]>"))) << format.name;
    }
  }
  const std::string markdown = to_markdown(report);
  EXPECT_THAT(markdown, Not(HasSubstr("<script")));
  EXPECT_THAT(markdown, Not(HasSubstr("@team")));
  EXPECT_THAT(markdown, Not(HasSubstr("`x`")));
  EXPECT_THAT(markdown, Not(HasSubstr("](javascript")));
  std::istringstream lines(markdown);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("| ❌") || line.starts_with("| ⚠")) {
      EXPECT_EQ(std::count(line.begin(), line.end(), '|'), 6) << line;
    }
  }
  const std::string annotations = to_annotations(report);
  std::istringstream commands(annotations);
  int count = 0;
  for (std::string line; std::getline(commands, line); ++count) {
    EXPECT_THAT(line, ::testing::AnyOf(StartsWith("::error file="), StartsWith("::warning file="),
                                       StartsWith("::error title=")));
  }
  EXPECT_EQ(count, 4);  // claim, check in error, finding, summary
  EXPECT_THAT(annotations, HasSubstr("%250A"));
  EXPECT_TRUE(claims::from_gsn_yaml(claims::to_gsn_yaml(report.argument)).ok());
}

// ---- files ----------------------------------------------------------------------------------------------------------

TEST(Outputs, WritesTheListedFilesAndNothingElse) {
  plumbline::testing::TempFolder folder;
  const std::string out = folder.file("new/deep");
  ASSERT_TRUE(write_outputs(cases()[1].report, out, {{"report.html", "<!doctype html>"}}).ok());
  std::set<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(out))
    found.insert(fs::relative(entry.path(), out).string());
  EXPECT_EQ(found, (std::set<std::string>{"evidence.json", "junit.xml", "results.sarif", "summary.md", "case.gsn.yaml",
                                          "argument.svg", "tea-evidence.json", "report.html", "artifacts",
                                          "artifacts/probe.accuracy-reader-test-classes.json"}));
  const json document = json::parse(plumbline::testing::read_file(out + "/evidence.json"));
  const std::string path = document["run"]["artifacts"][0]["path"];
  const auto again = check::artifact_from_json(json::parse(plumbline::testing::read_file(out + "/" + path)));
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(check::artifact_sha256(*again), document["run"]["artifacts"][0]["sha256"]);
  ASSERT_TRUE(write_outputs(cases()[0].report, out).ok());  // again over the old files
  EXPECT_EQ(plumbline::testing::read_file(out + "/evidence.json"), to_evidence_json(cases()[0].report));
}

TEST(Outputs, HostileNamesStayInsideTheFolder) {
  plumbline::testing::TempFolder folder;
  ASSERT_TRUE(write_outputs(hostile(), folder.file("out")).ok());
  std::size_t below = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) below += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(below, 8u);
  for (const char* name :
       {"../x", "/etc/x", "", ".", "..", "artifacts/", "artifacts/../x", "a/b", ".hidden", "new\nline"}) {
    const auto status = write_files(folder.file("out"), {{name, "x"}});
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.error().code, base::Code::kValue) << name;
  }
  check::Artifact one;
  one.id = "a/b";
  check::Artifact two;
  two.id = "a:b";
  EXPECT_NE(artifact_path(one), artifact_path(two));
}

TEST(Outputs, SymbolicLinksAreReplacedOrRefusedNeverFollowed) {
  plumbline::testing::TempFolder folder;
  const std::string outside = folder.file("outside.txt");
  plumbline::testing::write_file(outside, "mine");
  fs::create_directory(folder.file("out"));
  fs::create_symlink(outside, folder.file("out/evidence.json"));
  ASSERT_TRUE(write_files(folder.file("out"), {{"evidence.json", "new"}}).ok());
  EXPECT_EQ(plumbline::testing::read_file(outside), "mine");
  EXPECT_FALSE(fs::is_symlink(folder.file("out/evidence.json")));
  fs::create_directory(folder.file("elsewhere"));
  fs::create_directory_symlink(folder.file("elsewhere"), folder.file("out/artifacts"));
  const auto status = write_files(folder.file("out"), {{"artifacts/a.json", "x"}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, base::Code::kIo);
  EXPECT_TRUE(fs::is_empty(folder.file("elsewhere")));
}

TEST(Outputs, AFolderThatCannotBeWrittenIsAClearError) {
  plumbline::testing::TempFolder folder;
  plumbline::testing::write_file(folder.file("file"), "x");
  auto status = write_files(folder.file("file"), {{"a", "x"}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, base::Code::kIo);
  EXPECT_THAT(status.error().text(), HasSubstr(folder.file("file")));
  status = write_files("/proc/plumbline-out", {{"a", "x"}});  // read-only for everybody
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().text(), HasSubstr("/proc/plumbline-out"));
  EXPECT_THAT(write_files("", {}).error().text(), HasSubstr("folder is empty"));
}

TEST(Outputs, AWriteThatFailsHalfwayKeepsTheOldFileAndLeavesNoRubbish) {
  plumbline::testing::TempFolder folder;
  ASSERT_TRUE(write_files(folder.path(), {{"evidence.json", "old"}}).ok());
  // A limit on the size of files stands for a full disk: write() fails after the first part.
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 4096;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto status = write_files(folder.path(), {{"evidence.json", std::string(100000, 'x')}});
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, base::Code::kIo);
  EXPECT_THAT(status.error().text(), HasSubstr("cannot write the file"));
  EXPECT_EQ(plumbline::testing::read_file(folder.file("evidence.json")), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator{}), 1);
}

}  // namespace
}  // namespace plumbline::report
