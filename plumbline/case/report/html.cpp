#include "plumbline/case/report/html.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/report/assets.hpp"
#include "plumbline/case/report/html_parts.hpp"
#include "plumbline/case/report/page.hpp"

namespace plumbline::report {
namespace {

using claims::ClaimVerdict;
using claims::Standing;

/// How much of each list the page holds. Halved until the page fits.
struct Limits {
  std::size_t artifact_bytes = kArtifactBytes;
  std::size_t figures = 200;  ///< rows of figures of one check
  std::size_t findings = 50;  ///< of one check
  std::size_t ledger = 2000;
  std::size_t claims = 1000;
  std::size_t artifacts = 60;   ///< of one check
  std::size_t text = 4000;      ///< bytes of one text
  std::size_t plain_rows = 20;  ///< of a table behind a picture, before the script takes over
  std::size_t nodes = 300;      ///< of the argument that is drawn

  Limits halved() const {
    return {artifact_bytes / 2,
            std::max<std::size_t>(5, figures / 2),
            std::max<std::size_t>(3, findings / 2),
            std::max<std::size_t>(20, ledger / 2),
            std::max<std::size_t>(20, claims / 2),
            std::max<std::size_t>(2, artifacts / 2),
            std::max<std::size_t>(80, text / 2),
            std::max<std::size_t>(2, plain_rows / 2),
            nodes / 2};
  }
};

/// Word, colour and shape of a verdict, always used together.
struct Look {
  std::string_view word;
  std::string_view css;
  std::string_view shape;
};

Look look_of(Standing standing) {
  switch (standing) {
    case Standing::kSupported: return {"supported", "good", "good"};
    case Standing::kRefuted: return {"refuted", "bad", "bad"};
    case Standing::kDefeated: return {"defeated", "bad", "bad"};
    case Standing::kUndetermined: return {"undetermined", "unsure", "unsure"};
    case Standing::kStale: return {"stale", "unsure", "unsure"};
    case Standing::kNotEvaluated: return {"not evaluated", "none", "none"};
  }
  return {"not evaluated", "none", "none"};
}

Look look_of(check::LedgerStatus status) {
  switch (status) {
    case check::LedgerStatus::kOk: return {"ran", "good", "ok"};
    case check::LedgerStatus::kError: return {"error", "bad", "error"};
    case check::LedgerStatus::kSkipped: return {"skipped", "unsure", "skipped"};
    case check::LedgerStatus::kNotApplicable: return {"not applicable", "none", "not-applicable"};
  }
  return {"error", "bad", "error"};
}

std::string badge(const Look& look) {
  return fmt::format(R"(<span class="verdict {}">{}{}</span>)", look.css, icon(look.shape, ""), look.word);
}

/// Everything of one check, gathered from the record.
struct CheckPart {
  std::string id;
  const check::CheckInfo* info = nullptr;
  std::vector<const check::LedgerEntry*> ledger;
  std::vector<const check::Evidence*> evidence;
  std::vector<const check::Finding*> findings;
  std::vector<const check::Artifact*> artifacts;

  bool ran() const {
    const auto tried = [](const check::LedgerEntry* e) {
      return e->status == check::LedgerStatus::kOk || e->status == check::LedgerStatus::kError;
    };
    return !evidence.empty() || !findings.empty() || !artifacts.empty() ||
           std::any_of(ledger.begin(), ledger.end(), tried);
  }
  /// Error before skipped before ok before not applicable.
  check::LedgerStatus worst() const {
    check::LedgerStatus status = ledger.empty() ? check::LedgerStatus::kOk : ledger.front()->status;
    const auto rank = [](check::LedgerStatus s) {
      return s == check::LedgerStatus::kError     ? 3
             : s == check::LedgerStatus::kSkipped ? 2
             : s == check::LedgerStatus::kOk      ? 1
                                                  : 0;
    };
    for (const check::LedgerEntry* entry : ledger) {
      if (rank(entry->status) > rank(status)) status = entry->status;
    }
    return status;
  }
};

class Page : private PageWriter {
 public:
  Page(const Report& report, const Limits& limits)
      : PageWriter({limits.artifact_bytes, limits.plain_rows, limits.text}),
        report_(report),
        run_(report.run),
        limits_(limits) {
    gather();
  }

  std::string render() {
    head(fmt::format("{}: {}", verdict().title, text(run_.system)));
    top("Skip to the answer", run_.system);
    out_ += R"(<div class="layout">)";
    contents();
    out_ += R"(<main id="main" tabindex="-1">)";
    answer();
    argument();
    claims_table();
    checks();
    ledger();
    provenance();
    out_ += "</main></div>";
    foot(run_.build);
    return std::move(out_);
  }

 private:
  void gather() {
    std::map<std::string, std::size_t> index;
    const auto part = [&](const std::string& id) -> CheckPart& {
      const auto [at, fresh] = index.try_emplace(id, parts_.size());
      if (fresh)
        parts_.push_back({.id = id, .info = info(id), .ledger = {}, .evidence = {}, .findings = {}, .artifacts = {}});
      return parts_[at->second];
    };
    for (const check::LedgerEntry& entry : run_.ledger) part(entry.check).ledger.push_back(&entry);
    for (const check::Evidence& evidence : run_.evidence) part(evidence.check).evidence.push_back(&evidence);
    for (const check::Finding& finding : run_.findings) part(finding.check).findings.push_back(&finding);
    // An artifact's id begins with the check's; the longest such check owns it.
    for (const check::Artifact& artifact : run_.artifacts) {
      if (artifact.kind == "row-outcomes") continue;  // for comparing runs, not for looking at
      std::string owner;
      for (const auto& [id, at] : index) {
        const bool begins = artifact.id.compare(0, id.size(), id) == 0 && artifact.id.size() > id.size() &&
                            artifact.id[id.size()] == '.';
        if (begins && id.size() > owner.size()) owner = id;
      }
      if (owner.empty()) {
        others_.push_back(&artifact);
      } else {
        parts_[index[owner]].artifacts.push_back(&artifact);
      }
    }
    for (const ClaimVerdict& claim : report_.claims) {
      if (!claim.deciding.empty()) by_evidence_.emplace(claim.deciding, &claim);
    }
    // Figures that decide claims first, otherwise in the order of the record.
    for (CheckPart& p : parts_) {
      std::stable_partition(p.evidence.begin(), p.evidence.end(),
                            [&](const check::Evidence* e) { return by_evidence_.count(e->id) != 0; });
      std::stable_sort(p.findings.begin(), p.findings.end(),
                       [](const auto* a, const auto* b) { return a->severity < b->severity; });
    }
  }

  const check::CheckInfo* info(const std::string& id) const {
    for (const check::CheckInfo& one : report_.checks) {
      if (one.id == id) return &one;
    }
    return nullptr;
  }

  const CheckPart* part_of(const std::string& id) const {
    for (const CheckPart& part : parts_) {
      if (part.id == id) return &part;
    }
    return nullptr;
  }

  std::string check_title(const std::string& id) const {
    const check::CheckInfo* facts = info(id);
    return text(facts != nullptr && !facts->title.empty() ? facts->title : id);
  }
  std::string check_link(const std::string& id) const {
    const CheckPart* part = part_of(id);
    if (part == nullptr || !part->ran())
      return fmt::format(R"(<a href="#ledger"><span class="mono">{}</span></a>)", text(id));
    return fmt::format(R"(<a href="#check-{}">{}</a>)", anchor(id), check_title(id));
  }

  void contents() {
    out_ +=
        R"(<nav class="contents" aria-label="Contents"><ul>)"
        R"(<li><a href="#answer">The answer</a></li><li><a href="#argument">The argument</a></li><li><a href="#claims">Claims</a></li></ul>)";
    const bool any = std::any_of(parts_.begin(), parts_.end(), [](const CheckPart& part) { return part.ran(); });
    out_ += any ? R"(<p class="nav-title">Checks</p><ul>)" : "<ul>";
    for (const CheckPart& part : parts_) {
      if (!part.ran()) continue;
      const Look look = part_look(part);
      add(R"(<li><a href="#check-{}">{}<span>{}<span class="visually-hidden"> ({})</span></span></a></li>)",
          anchor(part.id), icon(look.shape, look.css), check_title(part.id), look.word);
    }
    if (!any) out_ += R"(<li><a href="#checks">Checks</a></li>)";
    out_ +=
        R"(</ul><p class="nav-title">Record</p><ul><li><a href="#ledger">Ledger</a></li><li><a href="#provenance">Provenance</a></li></ul></nav>)";
  }

  /// The worst verdict of the claims on a check, or how it ran when no claim is about it.
  Look part_look(const CheckPart& part) const {
    const Standing* worst = nullptr;
    Standing standing{};
    for (const ClaimVerdict& claim : report_.claims) {
      if (claim.check != part.id) continue;
      const Standing s = claims::standing_of(claim);
      if (worst == nullptr || s > standing) standing = s;
      worst = &standing;
    }
    return worst != nullptr ? look_of(standing) : look_of(part.worst());
  }

  struct Answer {
    std::string_view title;
    std::string_view say;
    std::string_view css;
    std::string_view shape;
  };
  Answer verdict() const {
    switch (report_.exit.code) {
      case 0: return {"Yes", "Yes, on this evidence", "good", "good"};
      case 1: return {"No", "No", "bad", "bad"};
      case 2: return {"Nothing judged", "Nothing was judged", "none", "none"};
      case 3: return {"Cannot say yet", "Cannot say yet", "unsure", "unsure"};
      case 130: return {"Interrupted", "The run was interrupted", "unsure", "unsure"};
      default: return {"Cannot say", "Cannot say: not everything could be judged", "unsure", "unsure"};
    }
  }

  std::size_t count(Standing standing) const {
    return static_cast<std::size_t>(
        std::count_if(report_.claims.begin(), report_.claims.end(),
                      [&](const ClaimVerdict& c) { return claims::standing_of(c) == standing; }));
  }

  void answer() {
    const Answer a = verdict();
    add(R"(<section id="answer" aria-labelledby="answer-title"><div class="card answer {}">)", a.css);
    add(R"(<h1 class="ask" id="answer-title">May I ship {}?</h1><p class="say">{}{}</p>)",
        run_.system.empty() ? "this" : text(run_.system), icon(a.shape, ""), a.say);
    if (!report_.exit.reason.empty()) add(R"(<p class="because">{}</p>)", sentence(report_.exit.reason));
    if (report_.exit.fail_on_refuted)
      out_ += R"(<p class="because">Judged with --fail-on refuted: undetermined claims do not stop it.</p>)";
    const std::string& time = run_.finished.empty() ? run_.started : run_.finished;
    add(R"(<p class="muted">Run <span class="mono">{}</span>{}{}.</p></div>)", text(run_.id),
        run_.name.empty() ? "" : " (" + text(run_.name) + ")", time.empty() ? "" : ", " + text(time));
    tallies();
    next_steps();
    out_ += "</section>";
  }

  /// Capitalises a plain first word; names such as "test:" or "probe.accuracy" stay as they are.
  static std::string capital(std::string words) {
    const std::size_t end = words.find_first_of(" .:,@-_/");
    if (end != std::string::npos && words[end] != ' ') return words;
    if (!words.empty() && words[0] >= 'a' && words[0] <= 'z') words[0] = static_cast<char>(words[0] - 'a' + 'A');
    return words;
  }
  std::string sentence(const std::string& raw) const {
    std::string words = capital(text(raw));
    if (!words.empty() && words.back() != '.' && words.back() != '!' && words.back() != '?') words += '.';
    return words;
  }

  void tally(std::string_view id, std::string_view title, const std::vector<std::pair<Look, std::size_t>>& parts,
             std::string_view none) {
    add(R"(<section class="card" aria-labelledby="{0}"><h2 id="{0}">{1}</h2>)", id, title);
    std::vector<TallyPart> bar;
    std::string words;
    for (const auto& [look, n] : parts) {
      bar.push_back({n, "fill-" + std::string(look.css), fmt::format("{} {}", n, look.word)});
      words += (words.empty() ? "" : ", ") + bar.back().words;
    }
    out_ += tally_svg(bar, words);
    out_ += R"(<ul class="tally-list">)";
    std::size_t total = 0;
    for (const auto& [look, n] : parts) {
      total += n;
      add(R"(<li>{}<b>{}</b> {}</li>)", icon(look.shape, n == 0 ? "zero" : look.css), n, look.word);
    }
    out_ += "</ul>";
    if (total == 0) add(R"(<p class="muted">{}</p>)", none);
    out_ += "</section>";
  }

  void tallies() {
    out_ += R"(<div class="tallies">)";
    std::vector<std::pair<Look, std::size_t>> verdicts;
    for (const Standing s :
         {Standing::kSupported, Standing::kRefuted, Standing::kUndetermined, Standing::kNotEvaluated})
      verdicts.emplace_back(look_of(s), count(s));
    for (const Standing s : {Standing::kDefeated, Standing::kStale}) {
      if (count(s) > 0) verdicts.emplace_back(look_of(s), count(s));
    }
    tally("tally-claims", "What was claimed", verdicts, "The manifest makes no claims.");
    std::vector<std::pair<Look, std::size_t>> statuses;
    for (const check::LedgerStatus s : {check::LedgerStatus::kOk, check::LedgerStatus::kError,
                                        check::LedgerStatus::kSkipped, check::LedgerStatus::kNotApplicable}) {
      const auto n = std::count_if(run_.ledger.begin(), run_.ledger.end(),
                                   [&](const check::LedgerEntry& e) { return e.status == s; });
      statuses.emplace_back(look_of(s), static_cast<std::size_t>(n));
    }
    tally("tally-ledger", "What was examined", statuses, "No check was considered.");
    out_ += "</div>";
  }

  /// What to do about a claim that is not supported.
  std::string next_step(const ClaimVerdict& claim) const {
    const CheckPart* part = part_of(claim.check);
    switch (claims::standing_of(claim)) {
      case Standing::kUndetermined:
        if (claim.needs_more)
          return fmt::format("Judge about {} units in all; that would probably settle it.", number(*claim.needs_more));
        return claim.needs_more_reason.empty() ? std::string() : sentence(claim.needs_more_reason);
      case Standing::kNotEvaluated:
        return fmt::format(
            R"(Make {} run on this system; the <a href="#ledger">ledger</a> says why it gave no figure.)",
            check_link(claim.check));
      case Standing::kStale: return "Run the assessment again: its inputs have changed since.";
      case Standing::kDefeated: return R"(Answer the defeater in <a href="#argument">the argument</a>.)";
      default: break;
    }
    if (part != nullptr) {
      for (const check::Finding* finding : part->findings) {
        if (!finding->next_step.empty())
          return fmt::format(R"({} <a href="#finding-{}">Finding</a>)", sentence(finding->next_step),
                             anchor(finding->id));
      }
    }
    return fmt::format("Look at {}.", check_link(claim.check));
  }

  void next_steps() {
    std::vector<const ClaimVerdict*> open;
    for (const ClaimVerdict& claim : report_.claims) {
      if (claims::standing_of(claim) != Standing::kSupported) open.push_back(&claim);
    }
    std::stable_sort(open.begin(), open.end(), [](const ClaimVerdict* a, const ClaimVerdict* b) {
      if (a->counts_as_failure() != b->counts_as_failure()) return a->counts_as_failure();
      return claims::standing_of(*a) > claims::standing_of(*b);
    });
    std::vector<const check::LedgerEntry*> errors;
    for (const check::LedgerEntry& entry : run_.ledger) {
      if (entry.status == check::LedgerStatus::kError) errors.push_back(&entry);
    }
    out_ +=
        R"(<section class="card" aria-labelledby="todo-title"><h2 id="todo-title">What failed, and the next step</h2>)";
    const bool unfinished = run_.status == check::RunStatus::kCancelled || run_.status == check::RunStatus::kStarted ||
                            report_.exit.code == 130;
    if (unfinished) {
      add(R"(<p>{}The run did not finish, so what follows is a part of it.</p>)", icon("unsure", "unsure"));
      out_ += R"(<p class="next"><b>Next:</b> Run the same command again; what finished is kept.</p>)";
    }
    if (open.empty() && errors.empty()) {
      if (report_.claims.empty()) {
        out_ += "<p>No claim was made, so nothing could fail or hold. No check ended in error.</p>";
        if (!unfinished) {
          out_ +=
              R"(<p class="next"><b>Next:</b> Say in the manifest what must hold, as <span class="mono">[[claim]]</span>.</p>)";
        }
      } else if (!unfinished) {
        out_ += "<p>Nothing failed. Every claim is supported and no check ended in error.</p>";
      }
    } else {
      constexpr std::size_t kFirstScreen = 12;
      out_ += R"(<ul class="todo">)";
      std::size_t written = 0;
      for (const ClaimVerdict* claim : open) {
        if (written++ == kFirstScreen) break;
        const Look look = look_of(claims::standing_of(*claim));
        add(R"(<li>{}<div><p><a href="#claim-{}">{}</a> <span class="{}"><b>{}</b></span>{}</p>)",
            icon(look.shape, look.css), anchor(claim->id), escape(claim->text.empty() ? claim->id : claim->text, 400),
            look.css, look.word, severity_tag(*claim));
        if (!claim->reason.empty()) add("<p>{}</p>", sentence(claim->reason));
        const std::string next = next_step(*claim);
        if (!next.empty()) add(R"(<p class="next"><b>Next:</b> {}</p>)", next);
        out_ += "</div></li>";
      }
      for (const check::LedgerEntry* entry : errors) {
        if (written++ >= kFirstScreen) break;
        const Look look = look_of(entry->status);
        add(R"(<li>{}<div><p>{}{} <span class="bad"><b>ended in error</b></span></p><p>{}</p></div></li>)",
            icon(look.shape, look.css), check_link(entry->check),
            entry->subject.empty() ? "" : " on " + text(entry->subject), sentence(entry->reason));
      }
      out_ += "</ul>";
      const std::size_t all = open.size() + errors.size();
      if (all > kFirstScreen)
        add(R"(<p class="kept">{} more in <a href="#claims">the claims</a> and <a href="#ledger">the ledger</a>.</p>)",
            all - kFirstScreen);
    }
    for (const std::string& note : run_.notes) add(R"(<p class="muted">Note: {}</p>)", sentence(note));
    out_ += "</section>";
  }

  std::string severity_tag(const ClaimVerdict& claim) const {
    std::string tags;
    if (claim.severity == "warn") tags += R"( <span class="tag">warning only</span>)";
    if (claim.waiver)
      tags += fmt::format(R"( <span class="tag">{}</span>)", claim.waiver->expired ? "waiver expired" : "waived");
    return tags;
  }

  void argument() {
    out_ +=
        R"(<section id="argument" aria-labelledby="argument-title"><h2 id="argument-title">The argument</h2><div class="card argument-card">)";
    if (report_.argument.nodes.empty()) {
      out_ += "<p>There is nothing to argue: the manifest makes no claims.</p>";
    } else {
      if (report_.argument.nodes.size() <= limits_.nodes) {
        add(R"(<div class="argument-scroll" tabindex="0" role="region" aria-label="The argument as a drawing">{}</div>)",
            unstyled(claims::to_svg(report_.argument)));
      }
      out_ += "<details><summary>The argument as a list</summary>";
      argument_list();
      out_ += "</details>";
    }
    out_ += "</div></section>";
  }

  /// The drawing without its own style element: the page's style sheet has the same classes, in the page's two themes.
  static std::string unstyled(std::string svg) {
    const std::size_t from = svg.find("<style>");
    const std::size_t to = svg.find("</style>");
    if (from != std::string::npos && to != std::string::npos && from < to) svg.erase(from, to + 8 - from);
    return svg;
  }

  void argument_list() {
    std::set<std::string> open;
    std::size_t written = 0;
    out_ += R"(<ul class="argument">)";
    for (const claims::Node* root : report_.argument.roots()) argument_node(*root, open, written);
    out_ += "</ul>";
    if (written > limits_.claims)
      out_ +=
          R"(<p class="kept">The list is cut here; the whole argument is in <span class="mono">case.gsn.yaml</span>.</p>)";
  }

  /// One element with what supports it and what it stands in the context of. `open` holds the way from the root, so
  /// that circles end.
  void argument_node(const claims::Node& node, std::set<std::string>& open, std::size_t& written) {
    if (++written > limits_.claims || open.size() > 30 || !open.insert(node.id).second) return;
    std::string words = text(node.text);
    if (!node.claim.empty()) words = fmt::format(R"(<a href="#claim-{}">{}</a>)", anchor(node.claim), words);
    add(R"(<li><span class="node-kind">{} {}</span>{}{}{})", claims::node_kind_name(node.kind), text(node.id),
        node.standing ? badge(look_of(*node.standing)) + " " : "", words,
        node.defeated ? R"( <span class="tag">defeated</span>)" : "");
    if (node.doubt != claims::Doubt::kNone)
      add(R"( <span class="tag">doubt {}</span>)", claims::doubt_name(node.doubt));
    std::vector<const claims::Node*> below;
    for (const auto* links : {&node.in_context_of, &node.supported_by}) {
      for (const std::string& id : *links) {
        if (const claims::Node* next = report_.argument.find(id)) below.push_back(next);
      }
    }
    for (const claims::Node& other : report_.argument.nodes) {
      if (std::find(other.challenges.begin(), other.challenges.end(), node.id) != other.challenges.end())
        below.push_back(&other);
    }
    if (!below.empty()) {
      out_ += "<ul>";
      for (const claims::Node* next : below) argument_node(*next, open, written);
      out_ += "</ul>";
    }
    out_ += "</li>";
    open.erase(node.id);
  }

  const check::Evidence* evidence(const std::string& id) const {
    for (const check::Evidence& e : run_.evidence) {
      if (e.id == id) return &e;
    }
    return nullptr;
  }

  void claims_table() {
    out_ += R"(<section id="claims" aria-labelledby="claims-title"><h2 id="claims-title">Claims</h2>)";
    if (report_.claims.empty()) {
      out_ +=
          "<p>The manifest makes no claims, so nothing was judged. The figures below stand on their own.</p></section>";
      return;
    }
    out_ +=
        R"(<div class="table-scroll" tabindex="0" role="region" aria-labelledby="claims-title"><table data-sort="yes"><thead><tr><th scope="col">Verdict</th><th scope="col">Claim</th>)"
        R"(<th scope="col">Figure</th><th scope="col">Interval and what is claimed</th><th scope="col">Judged at</th></tr></thead><tbody>)";
    std::size_t written = 0;
    for (const ClaimVerdict& claim : report_.claims) {
      if (written++ == limits_.claims) break;
      claim_row(claim);
    }
    out_ += "</tbody></table></div>";
    if (report_.claims.size() > limits_.claims) kept(limits_.claims, report_.claims.size(), "claims", "evidence.json");
    out_ += "</section>";
  }

  void claim_row(const ClaimVerdict& claim) {
    const Standing standing = claims::standing_of(claim);
    add(R"(<tr id="claim-{}"><td data-v="{}">{}{}</td><td><b>{}</b>)", anchor(claim.id), static_cast<int>(standing),
        badge(look_of(standing)), severity_tag(claim), text(claim.text.empty() ? claim.id : claim.text));
    add(R"(<span class="sub">{} {}, by {}{}</span>)", text(claim.metric), text(claim.condition),
        check_link(claim.check), where_words(claim.where));
    if (!claim.reason.empty()) add(R"(<span class="sub">{}</span>)", sentence(claim.reason));
    if (claim.waiver) {
      add(R"(<span class="sub">Waiver by {}, {} {}: {}</span>)", text(claim.waiver->owner),
          claim.waiver->expired ? "expired" : "until", text(claim.waiver->expires), sentence(claim.waiver->reason));
    }
    if (claim.selected) {
      add(R"(<span class="sub"><span class="tag">selected</span> {} and {} saw this test set, more than the declared budget.</span>)",
          plural(static_cast<std::size_t>(claim.models), "model", "models"),
          plural(static_cast<std::size_t>(claim.seeds), "seed", "seeds"));
    }
    out_ += "</td>";
    const check::Evidence* e = evidence(claim.deciding);
    if (claim.value) {
      add(R"(<td class="number" data-v="{}"><b>{}</b><span class="sub">{}</span></td>)", *claim.value,
          number(*claim.value), bounds_words(claim.low, claim.high));
      add("<td>{}</td>", interval_svg({*claim.value, claim.low, claim.high, claim.at_least, claim.at_most,
                                       e != nullptr && e->unit == "share" && *claim.value >= 0}));
    } else {
      out_ += R"(<td class="number" data-v="">none</td><td></td>)";
    }
    out_ += "<td>";
    if (claim.judged_level) {
      add("{}", number(*claim.judged_level));
    } else {
      out_ += e != nullptr && e->estimate.exactness != stats::Exactness::kSampled
                  ? stats::exactness_name(e->estimate.exactness)
                  : "not judged";
    }
    if (claim.simultaneous_level)
      add(R"(<span class="sub">all claims together {}</span>)", number(*claim.simultaneous_level));
    if (claim.looks > 1) add(R"(<span class="sub">look {}</span>)", claim.looks);
    if (claim.models > 1)
      add(R"(<span class="sub">{} on this test set</span>)",
          plural(static_cast<std::size_t>(claim.models), "model", "models"));
    out_ += "</td></tr>";
  }

  static std::string bounds_words(std::optional<double> low, std::optional<double> high) {
    if (!low && !high) return "no bounds";
    return fmt::format("[{}, {}]", low ? number(*low) : "\u2212\u221E", high ? number(*high) : "\u221E");
  }

  std::string where_words(const std::map<std::string, std::string>& where) const {
    std::string words;
    for (const auto& [key, value] : where)
      words += fmt::format(R"( <span class="tag">{} {}</span>)", text(key), text(value));
    return words;
  }

  void checks() {
    out_ += R"(<section id="checks" aria-labelledby="checks-title"><h2 id="checks-title">Checks</h2>)";
    bool any = false;
    for (const CheckPart& part : parts_) {
      if (!part.ran()) continue;
      any = true;
      check_section(part);
    }
    if (!others_.empty()) {
      out_ += R"(<article class="check card"><header><h3>Other tables</h3></header><div class="figures">)";
      for (const check::Artifact* artifact : others_) picture(*artifact);
      out_ += "</div></article>";
    }
    if (!any && others_.empty()) out_ += R"(<p>No check ran. The <a href="#ledger">ledger</a> says why.</p>)";
    out_ += "</section>";
  }

  void check_section(const CheckPart& part) {
    const Look look = part_look(part);
    add(R"(<article class="check card" id="check-{0}" aria-labelledby="title-{0}"><header><div class="id"><h3 id="title-{0}">{1}</h3>{2}<span class="mono muted">{3}</span></div>)",
        anchor(part.id), check_title(part.id), badge(look), text(part.id));
    if (part.info != nullptr) add(R"(<p class="question">{}</p>)", text(part.info->question));
    out_ += "</header>";
    for (const check::LedgerEntry* entry : part.ledger) {
      if (entry->status != check::LedgerStatus::kError && entry->status != check::LedgerStatus::kSkipped) continue;
      const Look state = look_of(entry->status);
      add(R"(<p>{} {}: {}</p>)", badge(state), text(entry->subject.empty() ? "this check" : entry->subject),
          sentence(entry->reason));
    }
    findings(part);
    figures(part);
    if (!part.artifacts.empty()) {
      out_ += R"(<h4>Pictures</h4><div class="figures">)";
      for (std::size_t i = 0; i < std::min(part.artifacts.size(), limits_.artifacts); ++i) picture(*part.artifacts[i]);
      out_ += "</div>";
      if (part.artifacts.size() > limits_.artifacts)
        kept(limits_.artifacts, part.artifacts.size(), "pictures", "artifacts/");
    }
    out_ += "</article>";
  }

  void findings(const CheckPart& part) {
    if (part.findings.empty()) return;
    out_ += R"(<h4>Findings</h4><ul class="findings">)";
    for (std::size_t i = 0; i < std::min(part.findings.size(), limits_.findings); ++i) {
      const check::Finding& f = *part.findings[i];
      const std::string_view severity = check::severity_name(f.severity);
      add(R"(<li id="finding-{}"><div class="head"><span class="severity {}">{}</span><span>{}</span></div>)",
          anchor(f.id), severity, severity, text(f.title));
      if (!f.detail.empty()) add("<p>{}</p>", text(f.detail));
      if (!f.next_step.empty()) add("<p><b>Next:</b> {}</p>", sentence(f.next_step));
      if (!f.rows.empty()) {
        constexpr std::size_t kRows = 30;
        std::string rows;
        for (std::size_t r = 0; r < std::min(f.rows.size(), kRows); ++r)
          rows += fmt::format("{}{}", r == 0 ? "" : ", ", f.rows[r]);
        add(R"(<p class="muted">{} of {}: <span class="mono">{}{}</span></p>)", f.rows.size() == 1 ? "Row" : "Rows",
            f.data.empty() ? "the data" : text(f.data), rows, f.rows.size() > kRows ? " \u2026" : "");
      }
      out_ += "</li>";
    }
    out_ += "</ul>";
    if (part.findings.size() > limits_.findings)
      kept(limits_.findings, part.findings.size(), "findings", "evidence.json");
  }

  void figures(const CheckPart& part) {
    if (part.evidence.empty()) return;
    add(R"(<h4 id="figures-{0}">Figures</h4><div class="table-scroll" tabindex="0" role="region" aria-labelledby="figures-{0}"><table data-sort="yes"><thead><tr>)"
        R"(<th scope="col">Metric</th><th scope="col">About</th><th scope="col">Figure</th><th scope="col">Interval</th><th scope="col">n</th><th scope="col">Method</th></tr></thead><tbody>)",
        anchor(part.id));
    std::size_t written = 0;
    for (const check::Evidence* e : part.evidence) {
      if (written++ == limits_.figures) break;
      figure_row(*e);
    }
    out_ += "</tbody></table></div>";
    if (part.evidence.size() > limits_.figures) kept(limits_.figures, part.evidence.size(), "figures", "evidence.json");
  }

  void figure_row(const check::Evidence& e) {
    const auto [first, last] = by_evidence_.equal_range(e.id);
    add(R"(<tr id="evidence-{}"><td><b>{}</b>)", anchor(e.id), text(e.metric));
    IntervalPicture drawn{e.estimate.value,
                          e.estimate.low(e.level),
                          e.estimate.high(e.level),
                          {},
                          {},
                          e.unit == "share" && e.estimate.value >= 0};
    for (auto claim = first; claim != last; ++claim) {
      const ClaimVerdict& c = *claim->second;
      const Look look = look_of(claims::standing_of(c));
      add(R"(<span class="sub {}">{} <a href="#claim-{}">{}</a></span>)", look.css, look.word, anchor(c.id),
          text(c.condition));
      if (!drawn.at_least && !drawn.at_most) {
        drawn.at_least = c.at_least;
        drawn.at_most = c.at_most;
      }
    }
    const stats::Estimate& s = e.estimate;
    add(R"(</td><td>{}{}</td><td class="number" data-v="{}"><b>{}</b>)", text(e.subject), where_words(e.where), s.value,
        number(s.value));
    if (s.exactness == stats::Exactness::kExact) {
      out_ += R"(<span class="sub">exact</span></td>)";
    } else {
      add(R"(<span class="sub">{}</span></td>)", bounds_words(drawn.low, drawn.high));
    }
    if (s.exactness == stats::Exactness::kExact) drawn.low = drawn.high = std::nullopt;
    add(R"(<td>{}<span class="sub">{}{}</span></td>)", interval_svg(drawn),
        s.exactness == stats::Exactness::kSampled ? fmt::format("level {}", number(e.level))
                                                  : std::string(stats::exactness_name(s.exactness)),
        e.unit.empty() || e.unit == "1" ? "" : ", " + text(e.unit));
    add(R"(<td class="number" data-v="{}">{}<span class="sub">{}</span></td>)", s.n, number(s.n),
        text(s.unit_of_sampling));
    add("<td>{}", text(s.method));
    if (s.n_effective > 0 && s.n_effective != s.n)
      add(R"(<span class="sub">effective n {}</span>)", number(s.n_effective));
    for (const std::string& warning : s.warnings)
      add(R"(<span class="sub unsure">Careful: {}</span>)", sentence(warning));
    if (!s.assumptions.empty()) {
      std::string words;
      for (const std::string& one : s.assumptions) words += (words.empty() ? "" : "; ") + text(one);
      add(R"(<span class="sub">Assumes {}</span>)", words);
    }
    out_ += "</td></tr>";
  }

  void ledger() {
    out_ +=
        R"(<section id="ledger" aria-labelledby="ledger-title"><h2 id="ledger-title">Ledger</h2><p class="muted">Every check that was considered, and what became of it.</p>)";
    out_ +=
        R"(<div class="table-scroll" tabindex="0" role="region" aria-labelledby="ledger-title"><table data-sort="yes"><thead><tr><th scope="col">Status</th><th scope="col">Check</th>)"
        R"(<th scope="col">Subject</th><th scope="col">Why, and on which rows</th><th scope="col" class="number">Seconds</th></tr></thead><tbody>)";
    std::size_t written = 0;
    for (const check::LedgerEntry& entry : run_.ledger) {
      if (written++ == limits_.ledger) break;
      add(R"(<tr><td data-v="{}">{}</td><td>{}</td><td>{}</td><td>{}{}</td>)", static_cast<int>(entry.status),
          badge(look_of(entry.status)), check_link(entry.check), text(entry.subject),
          entry.reason.empty() ? "" : sentence(entry.reason),
          entry.rows.empty() ? "" : fmt::format(R"(<span class="sub">{}</span>)", sentence(entry.rows)));
      if (entry.cached) {
        out_ += R"(<td class="number" data-v="0">cached</td></tr>)";
      } else if (entry.status == check::LedgerStatus::kNotApplicable || entry.status == check::LedgerStatus::kSkipped) {
        out_ += R"(<td class="number" data-v=""></td></tr>)";
      } else {
        add(R"(<td class="number" data-v="{}">{:.2f}</td></tr>)", entry.seconds, entry.seconds);
      }
    }
    out_ += "</tbody></table></div>";
    if (run_.ledger.size() > limits_.ledger) kept(limits_.ledger, run_.ledger.size(), "entries", "evidence.json");
    out_ += "</section>";
  }

  void provenance() {
    out_ +=
        R"(<section id="provenance" aria-labelledby="provenance-title"><h2 id="provenance-title">Provenance</h2><div class="card"><dl class="provenance">)";
    const auto row = [&](std::string_view name, const std::string& value, bool mono = false) {
      if (value.empty()) return;
      add("<dt>{}</dt><dd{}>{}</dd>", name, mono ? R"( class="mono")" : "", text(value));
    };
    row("Run", run_.id + (run_.name.empty() ? "" : " (" + run_.name + ")"), true);
    row("Status", std::string(check::run_status_name(run_.status)));
    row("System", run_.system);
    row("Manifest", run_.manifest, true);
    row("Manifest SHA-256", run_.manifest_sha256, true);
    row("Started", run_.started);
    row("Finished", run_.finished);
    row("Seconds", number(run_.seconds));
    row("Seed", fmt::format("{}", run_.seed), true);
    row("Build", run_.build, true);
    row("Machine", run_.machine);
    row("Evidence root", run_.root, true);
    row("Root of the run before", run_.previous_root, true);
    std::size_t written = 0;
    for (const auto& [name, hash] : run_.inputs) {
      if (written++ == limits_.findings * 4) break;
      add(R"(<dt>{}</dt><dd class="mono">{}</dd>)", text(name), text(hash));
    }
    out_ += "</dl></div></section>";
  }

  const Report& report_;
  const check::RunRecord& run_;
  Limits limits_;
  std::vector<CheckPart> parts_;
  std::vector<const check::Artifact*> others_;
  std::multimap<std::string, const ClaimVerdict*> by_evidence_;
};

}  // namespace

std::string render_html(const Report& report) {
  Limits limits;
  std::string page = Page(report, limits).render();
  while (page.size() > kHtmlBytes && limits.artifact_bytes > 0) {
    limits = limits.halved();
    page = Page(report, limits).render();
  }
  return page;
}

}  // namespace plumbline::report
