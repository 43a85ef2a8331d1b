// A finding's evidence computed again, by `plumbline reproduce` of this very program in a process of its own.
#include <algorithm>

#include <fmt/format.h>

#include "apps/dashboard/call.hpp"
#include "apps/dashboard/child.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/view/compare.hpp"

namespace plumbline::dashboard {
namespace {

using http::refusal;

/// The last line of what a program said on standard error, without its name.
std::string last_words(const std::string& errors) {
  std::string text = errors;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const std::size_t line = text.rfind('\n');
  if (line != std::string::npos) text = text.substr(line + 1);
  if (text.starts_with("plumbline: ")) text = text.substr(11);
  return text.empty() ? "it said nothing" : text.substr(0, 2000);
}

}  // namespace

Answer replay(const Call& call) {
  PL_TRY(const Json body, http::parse_body(call.request.body));
  PL_CHECK(http::known_keys(body, {"run", "id"}));
  PL_TRY(const std::string id, http::text_at(body, "run", true));
  PL_TRY(const std::string wanted, http::text_at(body, "id", true));
  PL_TRY(const auto run, call.recent.open(call.shelf, id));
  const check::RunRecord& record = run->run().report.run;
  const auto finding = std::find_if(record.findings.begin(), record.findings.end(),
                                    [&](const check::Finding& f) { return f.id == wanted; });
  if (finding == record.findings.end()) return refusal("not_found", "the run has no such finding");
  const check::Evidence* evidence = view::evidence_of(*finding, record);
  if (evidence == nullptr)
    return refusal("not_replayed", "the run keeps no figure of the check that made the finding",
                   "plumbline assess computes everything again");
  std::vector<std::string> words = {call.options.program,
                                    "reproduce",
                                    evidence->id,
                                    "--store",
                                    run->store(),
                                    "--json",
                                    "--quiet",
                                    "--jobs",
                                    "1",
                                    "--timeout",
                                    fmt::format("{:g}", call.options.replay_seconds)};
  for (const auto& [name, folder] : call.options.reading.roots)
    words.insert(words.end(), {"--root", fmt::format("{}={}", name, folder)});
  const auto outcome = run_child(words, {call.options.replay_seconds, 4U << 20U}, call.cancel);
  if (!outcome.ok()) {
    const bool slow = outcome.error().code == base::Code::kLimit;
    return refusal(slow ? "too_slow" : "not_replayed", "the replay was stopped: " + outcome.error().message,
                   fmt::format("plumbline reproduce {} runs without this limit", evidence->id.substr(0, 12)));
  }
  const Json said = Json::parse(outcome->output, nullptr, false);
  if (outcome->status > 1 || !said.is_object())
    return refusal("not_replayed", "the evidence could not be computed again: " + last_words(outcome->errors),
                   fmt::format("plumbline reproduce {} says more", evidence->id.substr(0, 12)));
  const bool same = said.value("same", false);
  const auto figure = [&](const char* side) -> base::Result<std::string> {
    PL_TRY(const check::Evidence e, check::evidence_from_json(nlohmann::json(said.at(side))));
    return view::figure_text(e);
  };
  PL_TRY(const std::string before, figure("before"));
  PL_TRY(const std::string after, figure("after"));
  return json_reply(
      {{"same", same},
       {"text", fmt::format("{}: stored {}, again {}; {}", view::figure_name(*evidence), before, after,
                            same ? "the same bits" : "first difference: " + said.value("difference", ""))},
       {"evidence", evidence->id}});
}

}  // namespace plumbline::dashboard
