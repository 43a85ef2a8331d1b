// What the paths below /api/runs and their like answer: what the store and the case's rooms give, as JSON.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <mutex>

#include <fmt/format.h>

#include "apps/dashboard/call.hpp"
#include "plumbline/case/assess/trend.hpp"
#include "plumbline/case/claims/argument.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/report/html_parts.hpp"
#include "plumbline/case/report/page.hpp"
#include "plumbline/case/view/compare.hpp"

namespace plumbline::dashboard {
namespace {

using http::ApiReply;
using http::refusal;

constexpr std::uint64_t kMostRows = 200;
constexpr std::uint64_t kMostOffset = 10'000'000;
constexpr std::uint64_t kSeriesAtMost = 8;
constexpr std::size_t kArtifactBytes = 1U << 20U;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }
Json number(const std::optional<double>& value) { return value ? number(*value) : Json(); }

Json summary_json(const run::RunSummary& r, const std::string& store) {
  const bool open = r.status == check::RunStatus::kStarted;
  return {{"id", r.id},
          {"store", store},
          {"name", r.name},
          {"status", check::run_status_name(r.status)},
          {"system", r.system},
          {"started", r.started},
          {"seconds", open ? Json() : number(r.seconds)},
          {"evidence", r.evidence},
          {"verdicts", r.verdicts},
          {"exit_status", r.exit_status < 0 ? Json() : Json(r.exit_status)},
          {"pruned", r.pruned}};
}

Json figure_json(const std::optional<check::Evidence>& e) {
  if (!e) return {};
  return {{"value", number(e->estimate.value)},
          {"low", number(e->estimate.low(e->level))},
          {"high", number(e->estimate.high(e->level))}};
}

using Order = run::RunQuery::Order;
struct Sorting {
  const char* word;
  Order order;
  bool (*before)(const run::RunSummary&, const run::RunSummary&);
};
/// `before` joins the pages of several stores, each of which is in this order.
const std::vector<Sorting>& sortings() {
  using S = run::RunSummary;
  static const std::vector<Sorting> all = {
      {"-started", Order::kNewest, [](const S& a, const S& b) { return a.started > b.started; }},
      {"started", Order::kOldest, [](const S& a, const S& b) { return a.started < b.started; }},
      {"seconds", Order::kShortest, [](const S& a, const S& b) { return a.seconds < b.seconds; }},
      {"-seconds", Order::kLongest, [](const S& a, const S& b) { return a.seconds > b.seconds; }},
      {"system", Order::kSystem, [](const S& a, const S& b) { return a.system < b.system; }},
      {"-system", Order::kSystemBackwards, [](const S& a, const S& b) { return a.system > b.system; }},
      {"evidence", Order::kLeastEvidence, [](const S& a, const S& b) { return a.evidence < b.evidence; }},
      {"-evidence", Order::kMostEvidence, [](const S& a, const S& b) { return a.evidence > b.evidence; }},
  };
  return all;
}

base::Result<run::RunQuery> run_query(const Call& call, const Sorting*& sorting) {
  run::RunQuery query;
  query.text = call.text("query");
  query.status = call.text("status");
  query.verdict = call.text("verdict");
  const auto known = [](const std::string& word, std::initializer_list<const char*> words) {
    return word.empty() || std::any_of(words.begin(), words.end(), [&](const char* w) { return word == w; });
  };
  if (!known(query.status, {"started", "success", "cancelled", "error"}))
    return refusal("bad_request", "\"status\" is no status of a run", "One of started, success, cancelled, error");
  if (!known(query.verdict, {"supported", "refuted", "undetermined", "not evaluated"}))
    return refusal("bad_request", "\"verdict\" is no verdict that a run keeps",
                   "One of supported, refuted, undetermined, not evaluated");
  const std::string word = call.text("sort").empty() ? "-started" : call.text("sort");
  for (const Sorting& one : sortings()) {
    if (word == one.word) sorting = &one;
  }
  if (sorting == nullptr)
    return refusal("bad_request", "\"sort\" names no order", "started, seconds, system or evidence, with or without -");
  query.order = sorting->order;
  PL_TRY(query.offset, call.whole("offset", 0, 0, kMostOffset));
  PL_TRY(query.limit, call.whole("limit", 50, 1, kMostRows));
  return query;
}

/// One page out of the pages of all stores. Of several stores each gives what comes up to the page's end.
template <class Item, class Page, class Before>
base::Result<std::pair<std::size_t, std::vector<std::pair<Item, std::size_t>>>> joined(const Call& call,
                                                                                       std::size_t offset,
                                                                                       std::size_t limit, Page page,
                                                                                       Before before) {
  std::size_t total = 0;
  std::vector<std::pair<Item, std::size_t>> all;
  const bool one = call.shelf.size() == 1;
  for (std::size_t i = 0; i < call.shelf.size(); ++i) {
    PL_TRY(run::Store* const store, call.shelf.store(i));
    PL_TRY(auto part, page(*store, one ? offset : 0, one ? limit : offset + limit));
    total += part.first;
    for (Item& item : part.second) all.emplace_back(std::move(item), i);
  }
  if (!one) {
    std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return before(a.first, b.first); });
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(offset, all.size())));
    if (all.size() > limit) all.erase(all.begin() + static_cast<std::ptrdiff_t>(limit), all.end());
  }
  return std::pair(total, std::move(all));
}

base::Result<std::map<std::string, std::string>> where_of(const std::string& text) {
  if (text.starts_with('{')) {
    PL_TRY(const Json json, http::parse_body(text));
    std::map<std::string, std::string> where;
    for (const auto& [key, value] : json.items()) {
      if (!value.is_string()) return refusal("bad_request", "\"where\" holds something that is no text");
      where[key] = value.get<std::string>();
    }
    return where;
  }
  std::vector<std::string> conditions;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    conditions.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  auto where = view::parse_where(conditions);
  if (!where.ok()) return refusal("bad_request", where.error().message, where.error().hint);
  return where;
}

}  // namespace

const std::string& Call::text(const std::string& name) const {
  static const std::string none;
  const auto found = query.find(name);
  return found == query.end() ? none : found->second;
}

base::Result<std::uint64_t> Call::whole(const std::string& name, std::uint64_t absent, std::uint64_t low,
                                        std::uint64_t high) const {
  const std::string& word = text(name);
  if (word.empty()) return absent;
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (code != std::errc() || end != word.data() + word.size() || value < low || value > high)
    return refusal("bad_request", fmt::format("\"{}\" is no whole number from {} to {}", name, low, high));
  return value;
}

ApiReply json_reply(const Json& json) { return {200, http::dump(json)}; }

Answer overview(const Call& call, std::size_t gauntlets, bool tokens) {
  Json stores = Json::array();
  for (std::size_t i = 0; i < call.shelf.size(); ++i) {
    PL_TRY(run::Store* const store, call.shelf.store(i));
    run::RunQuery none;
    none.limit = 0;
    PL_TRY(const run::RunPage page, store->find_runs(none));
    stores.push_back({{"name", call.shelf.file(i).name}, {"runs", page.total}});
  }
  Json scopes = Json::array();
  for (const http::Scope scope :
       {http::Scope::kDecide, http::Scope::kAnswer, http::Scope::kRead, http::Scope::kAdmin}) {
    if (call.caller.may(scope)) scopes.push_back(http::scope_name(scope));
  }
  return json_reply({{"version", PLUMBLINE_VERSION},
                     {"stores", stores},
                     {"guard", call.options.guard.empty() ? Json() : Json{{"url", call.options.guard}}},
                     {"gauntlet", gauntlets},
                     {"caller", {{"name", call.caller.name}, {"scopes", scopes}}},
                     {"tokens", tokens}});
}

Answer runs(const Call& call) {
  const Sorting* sorting = nullptr;
  PL_TRY(run::RunQuery query, run_query(call, sorting));
  const std::size_t offset = query.offset;
  const auto page = [&](run::Store& store, std::size_t from,
                        std::size_t most) -> base::Result<std::pair<std::size_t, std::vector<run::RunSummary>>> {
    query.offset = from;
    query.limit = most;
    PL_TRY(run::RunPage found, store.find_runs(query));
    return std::pair(found.total, std::move(found.runs));
  };
  PL_TRY(const auto found, joined<run::RunSummary>(call, offset, query.limit, page, sorting->before));
  Json rows = Json::array();
  for (const auto& [row, store] : found.second) rows.push_back(summary_json(row, call.shelf.file(store).name));
  return json_reply({{"total", found.first}, {"offset", offset}, {"runs", rows}});
}

Answer one_run(const Call& call) {
  PL_TRY(const auto run, call.recent.open(call.shelf, call.parts[0]));
  return ApiReply{200, run->json()};
}

Answer run_page(const Call& call) {
  PL_TRY(const auto run, call.recent.open(call.shelf, call.parts[0]));
  if (run->run().not_judged)
    return refusal("not_judged", "the run cannot be judged now: " + run->run().not_judged->message,
                   "The page of the run shows what is stored");
  ApiReply reply{200, run->page(), "text/html; charset=utf-8"};
  // Its own script by hash; as a page without an origin, it reaches nothing that the dashboard keeps.
  reply.headers = {{"Content-Security-Policy",
                    report::content_policy() + "; frame-ancestors 'none'; sandbox allow-scripts allow-downloads"}};
  return reply;
}

Answer run_argument(const Call& call) {
  PL_TRY(const auto run, call.recent.open(call.shelf, call.parts[0]));
  if (run->run().not_judged)
    return refusal("not_judged", "the run cannot be judged now: " + run->run().not_judged->message);
  ApiReply reply{200, claims::to_svg(run->run().report.argument), "image/svg+xml"};
  reply.headers = {
      {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"}};
  return reply;
}

Answer run_artifact(const Call& call) {
  const std::string& key = call.parts[1];
  check::Artifact stored;
  const check::Artifact* artifact = nullptr;
  for (std::size_t i = 0; artifact == nullptr && i < call.shelf.size(); ++i) {
    PL_TRY(run::Store* const store, call.shelf.store(i));
    auto found = store->artifact(call.parts[0], key);
    if (!found.ok()) continue;
    stored = std::move(found).value();
    artifact = &stored;
  }
  std::shared_ptr<const ShownRun> run;
  if (artifact == nullptr) {
    PL_TRY(run, call.recent.open(call.shelf, call.parts[0]));
    artifact = run->artifact(key);
  }
  if (artifact == nullptr) return refusal("not_found", "the run has no such artifact");
  const report::EmbeddedJson embedded = report::embed_json(*artifact, kArtifactBytes);
  const bool image = artifact->media_type == "image/png" && !artifact->bytes.empty();
  return json_reply(
      {{"artifact", Json::parse(embedded.text)},
       {"caption", artifact->caption},
       {"rows", embedded.rows},
       {"kept", embedded.kept.size()},
       {"thinned", embedded.thinned},
       {"image", image ? Json("data:image/png;base64," + check::base64_encode(artifact->bytes)) : Json()}});
}

namespace {

/// What changes when a run is begun, closed or pruned.
base::Result<std::string> state_of(const Call& call) {
  std::string state;
  for (std::size_t i = 0; i < call.shelf.size(); ++i) {
    PL_TRY(run::Store* const store, call.shelf.store(i));
    run::RunQuery newest;
    newest.limit = 1;
    PL_TRY(const run::RunPage page, store->find_runs(newest));
    state += fmt::format("{} {}", store->place(), page.total);
    for (const run::RunSummary& r : page.runs)
      state += fmt::format(" {} {} {}", r.id, check::run_status_name(r.status), r.evidence);
    state += '\n';
  }
  return state;
}

base::Result<std::string> count_metrics(const Call& call) {
  std::map<std::pair<std::string, std::string>, run::MetricCount> all;
  for (std::size_t i = 0; i < call.shelf.size(); ++i) {
    PL_TRY(run::Store* const store, call.shelf.store(i));
    PL_TRY(const auto found, store->metrics());
    for (const run::MetricCount& one : found) {
      run::MetricCount& sum = all[{one.check, one.metric}];
      sum.points += one.points;
      for (const std::string& subject : one.subjects) {
        if (std::find(sum.subjects.begin(), sum.subjects.end(), subject) == sum.subjects.end())
          sum.subjects.push_back(subject);
      }
    }
  }
  Json rows = Json::array();
  for (const auto& [name, one] : all)
    rows.push_back(
        {{"check", name.first}, {"metric", name.second}, {"subjects", one.subjects}, {"points", one.points}});
  return http::dump({{"metrics", rows}});
}

}  // namespace

Answer metrics(const Call& call) {
  // Counting every figure of 10,000 runs takes seconds, so that the last answer is kept while the stores stay as they
  // are.
  static std::mutex mutex;
  static std::string kept_for;
  static std::string kept;
  PL_TRY(const std::string state, state_of(call));
  {
    const std::lock_guard lock(mutex);
    if (!kept.empty() && kept_for == state) return ApiReply{200, kept};
  }
  PL_TRY(const std::string counted, count_metrics(call));
  const std::lock_guard lock(mutex);
  kept_for = state;
  kept = counted;
  return ApiReply{200, counted};
}

namespace {

/// Of all stores, newest first.
base::Result<std::vector<run::TrendPoint>> points_of(const Call& call, const run::TrendQuery& query) {
  std::vector<run::TrendPoint> all;
  for (std::size_t i = 0; i < call.shelf.size(); ++i) {
    PL_TRY(run::Store* const store, call.shelf.store(i));
    PL_TRY(auto found, store->trend(query));
    all.insert(all.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }
  if (call.shelf.size() > 1)
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.started > b.started; });
  return all;
}

using SeriesKey = std::pair<std::string, std::map<std::string, std::string>>;

std::map<SeriesKey, std::size_t> groups_of(const std::vector<run::TrendPoint>& points) {
  std::map<SeriesKey, std::size_t> groups;
  for (const run::TrendPoint& p : points) ++groups[{p.evidence.subject, p.evidence.where}];
  return groups;
}

}  // namespace

Answer trend(const Call& call) {
  run::TrendQuery query;
  query.check = call.text("check");
  query.metric = call.text("metric");
  if (query.check.empty() || query.metric.empty())
    return refusal("bad_request", "\"check\" and \"metric\" are needed", "GET /api/metrics lists them");
  if (!call.text("subject").empty()) query.subject = call.text("subject");
  PL_TRY(query.where, where_of(call.text("where")));
  PL_TRY(const std::uint64_t limit, call.whole("limit", 200, 1, 2000));
  query.limit = limit;
  PL_TRY(std::vector<run::TrendPoint> all, points_of(call, query));
  auto groups = groups_of(all);
  if (groups.size() > 1) {  // of several series one is shown, and it has its whole length
    query.limit = kSeriesAtMost * limit;
    PL_TRY(all, points_of(call, query));
    groups = groups_of(all);
  }
  // The longest series; of several the one with the fewest keys, which is that of the whole rather than of a part.
  const auto chosen = std::max_element(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second, b.first.second.size()) < std::pair(b.second, a.first.second.size());
  });
  Json series = Json::array();
  for (const auto& [key, count] : groups)
    series.push_back({{"subject", key.first}, {"where", key.second}, {"points", count}});
  std::vector<run::TrendPoint> points;
  for (run::TrendPoint& p : all) {
    if (points.size() < limit && SeriesKey(p.evidence.subject, p.evidence.where) == chosen->first)
      points.push_back(std::move(p));
  }
  stats::ChangeOptions search;
  search.cancel = call.cancel;
  PL_TRY(const auto found, assess::trend_changes(points, search));
  const Json told = assess::trend_json(points, found);
  Json out = {{"check", query.check},
              {"metric", query.metric},
              {"subject", points.empty() ? Json() : Json(points.front().evidence.subject)},
              {"where", points.empty() ? Json() : Json(points.front().evidence.where)},
              {"unit", points.empty() ? "" : points.front().evidence.unit},
              {"points", Json::array()},
              {"series", series},
              {"changes", nullptr},
              {"method", nullptr}};
  // Oldest first, as it is drawn; each figure as a point beside the evidence's id.
  for (auto p = points.rbegin(); p != points.rend(); ++p) {
    const check::Evidence& e = p->evidence;
    out["points"].push_back({{"run", p->run},
                             {"started", p->started},
                             {"value", number(e.estimate.value)},
                             {"low", number(e.estimate.low(e.level))},
                             {"high", number(e.estimate.high(e.level))},
                             {"n", number(e.estimate.n)},
                             {"evidence", e.id}});
  }
  if (found.empty() || !found.front().changes.p) {
    out["why_not"] = found.empty() ? "there are no points" : found.front().changes.method;
    return json_reply(out);
  }
  out["method"] = found.front().changes.method;
  for (const char* name : {"p", "noise", "repeated"}) out[name] = told.at("series").at(0).at(name);
  std::vector<Json> changes;
  for (Json change : told.at("changes")) {
    for (const char* place : {"at", "low", "high"})
      change[place] = points.size() - 1 - change.at(place).get<std::size_t>();
    for (const char* side : {"before", "after"}) {
      const Json bounds = change.at(side);
      change[std::string(side) + "_interval"] = bounds;
      change[side] = bounds.at("value");
    }
    changes.push_back(std::move(change));
  }
  std::sort(changes.begin(), changes.end(),
            [](const Json& a, const Json& b) { return a.at("at").get<std::size_t>() < b.at("at").get<std::size_t>(); });
  out["changes"] = changes;
  return json_reply(out);
}

Answer compare(const Call& call) {
  if (call.text("first").empty() || call.text("second").empty())
    return refusal("bad_request", "\"first\" and \"second\" are needed");
  PL_TRY(const auto first, call.recent.open(call.shelf, call.text("first")));
  PL_TRY(const auto second, call.recent.open(call.shelf, call.text("second")));
  const view::Comparison c = view::compare(first->run(), second->run());
  const auto side = [](const ShownRun& run) {
    const check::RunRecord& r = run.run().report.run;
    return Json{{"id", r.id}, {"started", r.started}, {"system", r.system}};
  };
  const auto word = [](const std::optional<claims::Standing>& standing) {
    return standing ? Json(claims::standing_name(*standing)) : Json();
  };
  Json verdicts = Json::array();
  for (const view::ClaimChange& one : c.claims)
    verdicts.push_back({{"id", one.id}, {"text", one.text}, {"before", word(one.before)}, {"after", word(one.after)}});
  Json figures = Json::array();
  for (const view::FigureChange& one : c.figures)
    figures.push_back({{"what", one.what},
                       {"change", view::change_name(one.change)},
                       {"before", figure_json(one.before)},
                       {"after", figure_json(one.after)}});
  return json_reply({{"first", side(*first)},
                     {"second", side(*second)},
                     {"claims", verdicts},
                     {"not_compared", c.not_compared},
                     {"figures", figures},
                     {"same", c.same}});
}

Answer findings(const Call& call) {
  PL_TRY(const std::uint64_t offset, call.whole("offset", 0, 0, kMostOffset));
  PL_TRY(const std::uint64_t limit, call.whole("limit", 20, 1, kMostRows));
  const auto page = [&](run::Store& store, std::size_t from,
                        std::size_t most) -> base::Result<std::pair<std::size_t, std::vector<run::StoredFinding>>> {
    PL_TRY(run::FindingPage found, store.findings({call.text("check"), from, most}));
    return std::pair(found.total, std::move(found.findings));
  };
  PL_TRY(const auto found, joined<run::StoredFinding>(call, offset, limit, page, [](const auto& a, const auto& b) {
           return a.started > b.started;
         }));
  Json rows = Json::array();
  for (const auto& [one, store] : found.second) {
    const check::Finding& f = one.finding;
    rows.push_back({{"run", one.run},
                    {"store", call.shelf.file(store).name},
                    {"system", one.system},
                    {"started", one.started},
                    {"id", f.id},
                    {"check", f.check},
                    {"subject", f.subject},
                    {"severity", check::severity_name(f.severity)},
                    {"title", f.title},
                    {"text", f.detail},
                    {"next_step", f.next_step},
                    {"artifact", one.artifact.empty() ? Json() : Json(one.artifact)}});
  }
  return json_reply({{"total", found.first}, {"offset", offset}, {"findings", rows}});
}

}  // namespace plumbline::dashboard
