// runs, show, diff, trend, reproduce, prune, export, verify-store.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "plumbline/case/assess/assess.hpp"
#include "plumbline/case/assess/reproduce.hpp"
#include "plumbline/case/assess/trend.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/checks/catalog.hpp"

namespace plumbline::cli {
namespace {

/// Read before --subject and --where choose among them.
constexpr std::size_t kMostTrendPoints = 100000;

base::Result<std::unique_ptr<run::Store>> open_existing(const Options& options) {
  std::string path = options.store;
  if (path.empty()) path = options.manifest.empty() ? ".plumbline/store.db" : assess::default_store(options.manifest);
  std::error_code code;
  if (!std::filesystem::exists(path, code)) {
    return base::make_error(base::Code::kIo, "there is no store here", path,
                            "Name one with --store, or run `plumbline assess` first");
  }
  return run::open_sqlite_store(path);
}

std::string figure(const check::Evidence& e) {
  const auto low = e.estimate.low(e.level);
  const auto high = e.estimate.high(e.level);
  return fmt::format("{:.4g} [{}, {}]", e.estimate.value, low ? fmt::format("{:.4g}", *low) : "-",
                     high ? fmt::format("{:.4g}", *high) : "-");
}

std::string what(const check::Evidence& e) {
  std::string out = fmt::format("{} {} {}", e.check, e.subject, e.metric);
  for (const auto& [key, value] : e.where) out += fmt::format(" {}={}", key, value);
  return out;
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
  PL_TRY(const auto store, open_existing(session.options));
  PL_TRY(const check::RunRecord first, store->load_run(session.options.reference));
  PL_TRY(const check::RunRecord second, store->load_run(session.options.second));
  std::map<std::string, const check::Evidence*> a;
  std::map<std::string, const check::Evidence*> b;
  for (const check::Evidence& e : first.evidence) a[what(e)] = &e;
  for (const check::Evidence& e : second.evidence) b[what(e)] = &e;
  nlohmann::json changes = nlohmann::json::array();
  std::size_t same = 0;
  const auto note = [&](const std::string& key, const check::Evidence* before, const check::Evidence* after) {
    const char* kind = before == nullptr ? "added" : after == nullptr ? "removed" : "changed";
    changes.push_back({{"what", key},
                       {"change", kind},
                       {"before", before ? check::to_json(*before) : nlohmann::json()},
                       {"after", after ? check::to_json(*after) : nlohmann::json()}});
    if (!session.options.json) {
      std::cout << fmt::format("{:<8} {}\n         {} -> {}\n", kind, printable(key), before ? figure(*before) : "-",
                               after ? figure(*after) : "-");
    }
  };
  for (const auto& [key, e] : a) {
    const auto other = b.find(key);
    if (other == b.end()) {
      note(key, e, nullptr);
    } else if (other->second->id != e->id) {
      note(key, e, other->second);
    } else {
      ++same;
    }
  }
  for (const auto& [key, e] : b) {
    if (a.count(key) == 0) note(key, nullptr, e);
  }
  if (session.options.json) {
    std::cout << nlohmann::json{{"first", first.id}, {"second", second.id}, {"same", same}, {"changes", changes}}.dump(
                     2)
              << "\n";
  } else {
    std::cout << fmt::format("{} figures the same, {} differ\n", same, changes.size());
  }
  return changes.empty() ? 0 : 1;
}

namespace {

/// Points of one subject and of parts that agree with every KEY=VALUE, the newest `limit`.
base::Result<std::vector<run::TrendPoint>> selected(run::Store& store, const Options& o) {
  const bool filtered = !o.subject.empty() || !o.where.empty();
  PL_TRY(std::vector<run::TrendPoint> points,
         store.trend(o.check, o.metric, filtered ? std::max<std::size_t>(o.limit, kMostTrendPoints) : o.limit));
  for (const std::string& condition : o.where) {
    const std::size_t cut = condition.find('=');
    if (cut == 0 || cut == std::string::npos)
      return base::make_error(base::Code::kValue, fmt::format("--where {}: KEY=VALUE expected", printable(condition)),
                              "", "For example --where data=test");
    std::erase_if(points, [&](const run::TrendPoint& p) {
      const auto at = p.evidence.where.find(condition.substr(0, cut));
      const std::string wanted = condition.substr(cut + 1);
      return wanted.empty() ? at != p.evidence.where.end() : at == p.evidence.where.end() || at->second != wanted;
    });
  }
  if (!o.subject.empty())
    std::erase_if(points, [&](const run::TrendPoint& p) { return p.evidence.subject != o.subject; });
  if (points.size() > o.limit) points.resize(o.limit);
  return points;
}

}  // namespace

base::Result<int> run_trend(const Session& session) {
  const Options& o = session.options;
  PL_TRY(const auto store, open_existing(o));
  PL_TRY(const auto points, selected(*store, o));
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
                             points[i].run, figure(points[i].evidence), printable(what(points[i].evidence)));
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
  PL_TRY(const auto store, open_existing(session.options));
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
    std::cout << fmt::format("{}\nstored  {}\nagain   {}\n{}\n", printable(what(result.before)), figure(result.before),
                             figure(result.after),
                             result.same ? "the same bits" : "first difference: " + result.difference);
  }
  return result.same ? 0 : 1;
}

}  // namespace plumbline::cli
