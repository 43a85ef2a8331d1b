#pragma once
/// One struct, many renderers. Nothing here judges: verdicts, argument and exit status come from claims/verdict.hpp and
/// claims/argument.hpp, and every format shows the same ones. Names from outside are escaped for each format
/// (claims/escape.hpp).

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/case/claims/argument.hpp"
#include "plumbline/case/claims/verdict.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/case/interface/record.hpp"

namespace plumbline::report {

struct Report {
  check::RunRecord run;
  std::vector<claims::ClaimVerdict> claims;
  claims::Argument argument;
  claims::ExitStatus exit;
  std::vector<check::CheckInfo> checks;  ///< facts of the checks in the ledger, for titles and questions; may be empty
  std::string argument_svg;              ///< the argument, drawn
};

/// Judges the run and builds the whole report.
/// Errors  kValue: the argument cannot be built (see build_argument).
base::Result<Report> make_report(const data::Manifest& manifest, const check::RunRecord& run,
                                 const check::Registry& registry, const claims::JudgeContext& context = {},
                                 const claims::ExitFlags& flags = {});

/// "exit status 1: 1 of 4 claims refuted: abstains-when-lost".
std::string summary_line(const Report& report);

/// For the terminal: claims, ledger, findings, notes; the last line is summary_line().
std::string to_text(const Report& report, bool color = false);

/// evidence.json: schema, run, ledger, evidence, findings, claims, argument. Schema: docs/schema/evidence.schema.json.
inline constexpr std::string_view kEvidenceSchema = "plumbline-evidence-1";
std::string to_evidence_json(const Report& report);

/// JUnit: one test case per claim. Refuted and undetermined are failures of that type, not evaluated is an error,
/// each check that ended in error is an error of its own. What only warns (severity, waiver, --fail-on refuted) is
/// skipped with the verdict in its message, so that the file fails exactly when the exit status does.
std::string to_junit(const Report& report);

/// SARIF 2.1.0: rules are checks; results are findings and claims; checks in error are notifications.
std::string to_sarif(const Report& report);

/// Workflow commands for annotations, worst first; the last one is the summary.
std::string to_annotations(const Report& report);

/// Summary for pull requests (GitHub-flavoured Markdown).
std::string to_markdown(const Report& report);

/// One evidence item (AssurancePlatform, evidence format 0.1) per judged claim, as a JSON list. Undetermined claims are
/// DEGRADED; claims not evaluated give no item, since the format has no word for them. `claim_ids` maps claims to the
/// platform's element ids (UUIDs); a claim without one gets a stable UUID derived from system and claim.
std::string to_tea_items(const Report& report, const std::map<std::string, std::string>& claim_ids = {});

/// Where an artifact lies below the output folder: "artifacts/probe.accuracy-reader-test-confusion.json".
std::string artifact_path(const check::Artifact& artifact);

/// A file below the output folder; `name` is a plain name or "artifacts/NAME".
struct OutputFile {
  std::string name;
  std::string bytes;
};

/// evidence.json, junit.xml, results.sarif, summary.md, case.gsn.yaml, argument.svg, tea-evidence.json, artifacts/.
std::vector<OutputFile> render_outputs(const Report& report);

/// Writes files into `folder` (made if absent), each through a temporary file and a rename, so that a reader sees the
/// old file or the new one. Nothing outside the folder is touched: names are checked and symbolic links are not
/// followed. Errors  kIo: not a folder, read-only, disk full, with the path. kValue: a name that is not plain.
base::Status write_files(const std::string& folder, const std::vector<OutputFile>& files);

/// write_files(render_outputs() and `extra`, for example report.html).
base::Status write_outputs(const Report& report, const std::string& folder, const std::vector<OutputFile>& extra = {});

}  // namespace plumbline::report
