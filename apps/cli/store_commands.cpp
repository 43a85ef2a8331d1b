// runs, show, diff, trend, reproduce, prune, export, verify-store.
#include <filesystem>
#include <iostream>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "plumbline/case/assess/assess.hpp"
#include "plumbline/case/assess/reproduce.hpp"
#include "plumbline/case/assess/trend.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/view/compare.hpp"
#include "plumbline/checks/catalog.hpp"

namespace plumbline::cli {
namespace {

base::Result<std::unique_ptr<run::Store>> open_existing(const Options& options, bool for_reading = true) {
  std::string path = options.store;
  if (path.empty()) path = options.manifest.empty() ? ".plumbline/store.db" : assess::default_store(options.manifest);
  std::error_code code;
  if (!std::filesystem::exists(path, code)) {
    return base::make_error(base::Code::kIo, "there is no store here", path,
                            "Name one with --store, or run `plumbline assess` first");
  }
  return for_reading ? run::open_sqlite_store_to_read(path) : run::open_sqlite_store(path);
}

}  // namespace

base::Result<int> run_runs(const Session& session) {
  PL_TRY(const auto store, open_existing(session.options));
  PL_TRY(const auto runs, store->runs(session.options.offset, session.options.limit));
  if (session.options.json) {
    nlohmann::json out = nlohmann::json::array();
    for (const run::RunSummary& r : runs) {
      out.push_back({{"id", r.id},
                     {"name", r.name},
                     {"status", check::run_status_name(r.status)},
                     {"system", r.system},
                     {"started", r.started},
                     {"seconds", r.seconds},
                     {"evidence", r.evidence},
                     {"verdicts", r.verdicts},
                     {"exit_status", r.exit_status},
                     {"pruned", r.pruned}});
    }
    std::cout << out.dump(2) << "\n";
    return 0;
  }
  for (const run::RunSummary& r : runs) {
    std::cout << fmt::format("{}  {}  {:<10} {:>7.1f} s  {:>4} figures  {}{}{}\n", r.id, r.started,
                             check::run_status_name(r.status), r.seconds, r.evidence, printable(r.system),
                             r.name.empty() ? "" : " (" + printable(r.name) + ")",
                             r.pruned             ? "  pruned"
                             : r.verdicts.empty() ? ""
                                                  : "  " + r.verdicts);
  }
  if (runs.empty()) std::cout << "no runs\n";
  return 0;
}

base::Result<int> run_show(const Session& session) {
  PL_TRY(const auto store, open_existing(session.options));
  PL_TRY(const report::Report report, assess::rebuild_report(checks::catalog(), *store, session.options.reference,
                                                             {session.options.roots, 1U << 20U}));
  print_report(report, session.options);
  return report.exit.code;
}

base::Result<int> run_export(const Session& session) {
  PL_TRY(const auto store, open_existing(session.options));
  PL_TRY(const report::Report report, assess::rebuild_report(checks::catalog(), *store, session.options.reference,
                                                             {session.options.roots, 1U << 20U}));
  PL_CHECK(assess::write_reports(report, session.options.out));
  if (session.options.json) {
    std::cout << nlohmann::json{{"run", report.run.id}, {"out", session.options.out}}.dump(2) << "\n";
  } else {
    std::cout << fmt::format("wrote run {} to {}\n", report.run.id, session.options.out);
  }
  return 0;
}

base::Result<int> run_diff(const Session& session) {
  const Options& o = session.options;
  PL_TRY(const auto store, open_existing(o));
  const data::ManifestOptions reading{o.roots, 1U << 20U};
  PL_TRY(const view::StoredRun first, view::open_run(checks::catalog(), *store, o.reference, reading));
  PL_TRY(const view::StoredRun second, view::open_run(checks::catalog(), *store, o.second, reading));
  const view::Comparison comparison = view::compare(first, second);
  const auto word = [](const std::optional<claims::Standing>& standing) {
    return standing ? std::string(claims::standing_name(*standing)) : std::string("-");
  };
  if (o.json) {
    nlohmann::json verdicts = nlohmann::json::array();
    for (const view::ClaimChange& c : comparison.claims)
      verdicts.push_back({{"id", c.id},
                          {"before", c.before ? nlohmann::json(word(c.before)) : nlohmann::json()},
                          {"after", c.after ? nlohmann::json(word(c.after)) : nlohmann::json()}});
    nlohmann::json changes = nlohmann::json::array();
    for (const view::FigureChange& f : comparison.figures)
      changes.push_back({{"what", f.what},
                         {"change", view::change_name(f.change)},
                         {"before", f.before ? check::to_json(*f.before) : nlohmann::json()},
                         {"after", f.after ? check::to_json(*f.after) : nlohmann::json()}});
    std::cout << nlohmann::json{{"first", first.report.run.id},
                                {"second", second.report.run.id},
                                {"same", comparison.same},
                                {"claims", comparison.not_compared.empty() ? verdicts : nlohmann::json()},
                                {"not_compared", comparison.not_compared},
                                {"changes", changes}}
                     .dump(2)
              << "\n";
    return comparison.differs() ? 1 : 0;
  }
  for (const view::ClaimChange& c : comparison.claims)
    std::cout << fmt::format("verdict  {}\n         {} -> {}\n", printable(c.id), word(c.before), word(c.after));
  for (const view::FigureChange& f : comparison.figures)
    std::cout << fmt::format("{:<8} {}\n         {} -> {}\n", view::change_name(f.change), printable(f.what),
                             f.before ? view::figure_text(*f.before) : "-",
                             f.after ? view::figure_text(*f.after) : "-");
  for (const std::string& why : comparison.not_compared)
    std::cout << fmt::format("verdicts were not compared: {}\n", printable(why));
  std::cout << fmt::format("{} figures the same, {} differ\n", comparison.same, comparison.figures.size());
  return comparison.differs() ? 1 : 0;
}

base::Result<int> run_trend(const Session& session) {
  const Options& o = session.options;
  PL_TRY(const auto store, open_existing(o));
  run::TrendQuery query{o.check, o.metric, {}, {}, o.limit};
  if (!o.subject.empty()) query.subject = o.subject;
  PL_TRY(query.where, view::parse_where(o.where));
  PL_TRY(const auto points, store->trend(query));
  stats::ChangeOptions search;
  search.alpha = o.false_alarms;
  search.cancel = session.cancel;
  PL_TRY(const auto all, assess::trend_changes(points, search));
  if (!o.csv.empty()) {
    if (all.size() != 1)
      return base::make_error(base::Code::kValue, fmt::format("--csv writes one series, and there are {}", all.size()),
                              "", "Choose with --subject and --where");
    PL_CHECK(write_file(o.csv, assess::trend_csv(points, all.front())));
  }
  if (o.json) {
    std::cout << assess::trend_json(points, all).dump(2) << "\n";
    return points.empty() ? 3 : 0;
  }
  std::set<std::size_t> marked;
  for (const assess::TrendSeries& series : all)
    for (const stats::Change& change : series.changes.changes) marked.insert(series.points[change.at]);
  for (std::size_t i = 0; i < points.size(); ++i)
    std::cout << fmt::format("{} {}  {}  {:<32} {}\n", marked.count(i) > 0 ? '*' : ' ', points[i].started,
                             points[i].run, view::figure_text(points[i].evidence),
                             printable(view::figure_name(points[i].evidence)));
  if (points.empty())
    std::cout << fmt::format("no run holds {} {}\n", printable(o.check), printable(o.metric));
  else
    std::cout << "\n";
  for (const assess::TrendSeries& series : all)
    for (const std::string& sentence : assess::trend_sentences(points, series))
      std::cout << printable(sentence) << "\n";
  return points.empty() ? 3 : 0;
}

base::Result<int> run_prune(const Session& session) {
  PL_TRY(const auto store, open_existing(session.options, false));
  PL_TRY(const std::size_t removed, store->prune(session.options.keep));
  if (session.options.json) {
    std::cout << nlohmann::json{{"pruned", removed}}.dump() << "\n";
  } else {
    std::cout << fmt::format("{} runs pruned; their roots remain\n", removed);
  }
  return 0;
}

base::Result<int> run_verify_store(const Session& session) {
  PL_TRY(const auto store, open_existing(session.options));
  const base::Status status = store->verify_chain();
  if (session.options.json) {
    std::cout << nlohmann::json{{"ok", status.ok()}, {"problem", status.ok() ? "" : status.error().text()}}.dump()
              << "\n";
  } else {
    std::cout << (status.ok() ? "every root and the chain agree\n" : status.error().text() + "\n");
  }
  return status.ok() ? 0 : 1;
}

base::Result<int> run_reproduce(const Session& session) {
  PL_TRY(const auto store, open_existing(session.options));
  PL_TRY(const std::string worker, find_worker(session));
  PL_TRY(const auto result,
         assess::reproduce(checks::catalog(), *store, session.options.reference, worker_executor(session, worker),
                           {session.options.roots, 1U << 20U}, PLUMBLINE_WITH_TORCH, session.cancel, session.progress));
  if (session.options.json) {
    std::cout << nlohmann::json{{"same", result.same},
                                {"difference", result.difference},
                                {"before", check::to_json(result.before)},
                                {"after", check::to_json(result.after)}}
                     .dump(2)
              << "\n";
  } else {
    std::cout << fmt::format("{}\nstored  {}\nagain   {}\n{}\n", printable(view::figure_name(result.before)),
                             view::figure_text(result.before), view::figure_text(result.after),
                             result.same ? "the same bits" : "first difference: " + result.difference);
  }
  return result.same ? 0 : 1;
}

}  // namespace plumbline::cli
