// replicate: published figures beside ours.
#include <filesystem>
#include <iostream>
#include <map>

#include <fmt/format.h>

#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "plumbline/case/report/pictures_page.hpp"
#include "plumbline/replicate/report.hpp"

namespace plumbline::cli {
namespace {

using Done = std::vector<std::pair<const replicate::Entry*, replicate::Replication>>;

/// The worst of all: a row that differs before one that cannot be decided.
int status_of(const Done& done) {
  int status = 0;
  for (const auto& [entry, replication] : done) {
    const int one = replicate::exit_status(replication);
    if (one == 1) return 1;
    if (one == 3) status = 3;
  }
  return status;
}

std::string page_of(const Done& done, const replicate::Options& options) {
  std::map<std::string, std::size_t> total;
  std::size_t rows = 0;
  for (const auto& [entry, replication] : done) {
    rows += replication.rows.size();
    for (const auto& [name, count] : replicate::counts(replication)) total[name] += count;
  }
  report::PicturesPage page;
  page.title = done.size() == 1 ? done.front().first->facts.title : "Replications";
  page.build = PLUMBLINE_VERSION;
  page.answer = fmt::format(
      "{} of {} rows agree with what was published, {} differ as explained, {} differ without an "
      "explanation",
      total["agrees"], rows, total["explained"], total["differs"]);
  page.lead = {
      fmt::format("{} cannot be decided from the runs made, {} did not run, {} have nothing published to be compared "
                  "with. Seed {}.",
                  total["undetermined"], total["not_run"], total["not_comparable"], options.seed),
      "Each row says how its published figure is known: read in the source, not verified against the paper's text, "
      "from the authors' program, from another simulation, or worked out by hand."};
  for (const auto& [entry, replication] : done) {
    const replicate::Facts& f = entry->facts;
    report::PicturesSection section{f.title, {fmt::format("{}; {}.", f.paper, f.where)}, {}};
    section.text.push_back(replicate::summary(replication) + ".");
    for (const std::string& remark : replicate::remarks(replication)) section.text.push_back(remark);
    section.artifacts = replication.pictures;
    section.artifacts.push_back(replicate::table(replication));
    for (check::Artifact& artifact : section.artifacts) artifact.id = f.id + "-" + artifact.id;
    page.sections.push_back(std::move(section));
  }
  return report::render_pictures(page);
}

}  // namespace

base::Result<int> run_replicate(const Session& session) {
  const Options& o = session.options;
  if (o.reference.empty() && !o.all) {
    std::cout << (o.json ? replicate::list_json() : replicate::list_text());
    return 0;
  }
  std::vector<const replicate::Entry*> chosen;
  if (o.all) {
    for (const replicate::Entry& entry : replicate::replications()) chosen.push_back(&entry);
  } else {
    PL_TRY(const replicate::Entry* entry, replicate::find_replication(o.reference));
    chosen.push_back(entry);
  }
  replicate::Options options;
  if (o.seed > 0) options.seed = o.seed;
  options.full = o.full;
  options.cancel = session.cancel;
  options.progress = &session.progress;
  if (const auto root = o.roots.find("data"); root != o.roots.end()) options.data_folder = root->second;
  Done done;
  for (const replicate::Entry* entry : chosen) {
    PL_TRY(replicate::Replication replication, replicate::run_replication(*entry, options));
    if (!o.json) std::cout << (done.empty() ? "" : "\n\n") << replicate::text(entry->facts, replication) << std::flush;
    done.emplace_back(entry, std::move(replication));
  }
  const std::string json = replicate::json(done, options);
  if (o.json) std::cout << json;
  if (!o.out.empty()) {
    PL_CHECK(write_file(std::filesystem::path(o.out) / "replicate.json", json));
    PL_CHECK(write_file(std::filesystem::path(o.out) / "replicate.html", page_of(done, options)));
    std::cerr << "page: " << o.out << "/replicate.html\n";
  }
  return status_of(done);
}

}  // namespace plumbline::cli
