#include "plumbline/case/interface/json.hpp"

#include <cmath>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/hash.hpp"

namespace plumbline::check {
namespace {

using nlohmann::json;

json number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }
json number(const std::optional<double>& value) { return value ? number(*value) : json(nullptr); }

json bounds_json(const stats::Bounds& bounds) {
  json lower = json::array();
  json upper = json::array();
  for (const auto& b : bounds.lower) lower.push_back(number(b));
  for (const auto& b : bounds.upper) upper.push_back(number(b));
  return {{"confidence", stats::kLadder}, {"lower", lower}, {"upper", upper}};
}

// The content that makes evidence what it is: no time, host, order, build or artifacts.
json canonical(const Evidence& e) {
  json params = json::object();
  for (const auto& [name, value] : e.params) params[name] = to_json(value);
  return {{"check", e.check},
          {"subject", e.subject},
          {"metric", e.metric},
          {"where", e.where},
          {"value", number(e.estimate.value)},
          {"low", number(e.estimate.low(e.level))},
          {"high", number(e.estimate.high(e.level))},
          {"level", e.level},
          {"bounds", bounds_json(e.estimate.bounds)},
          {"n", number(e.estimate.n)},
          {"n_effective", number(e.estimate.n_effective)},
          {"unit_of_sampling", e.estimate.unit_of_sampling},
          {"unit", e.unit},
          {"direction", direction_name(e.direction)},
          {"method", e.estimate.method},
          {"exactness", stats::exactness_name(e.estimate.exactness)},
          {"error_bound", number(e.estimate.error_bound)},
          {"anytime", e.estimate.anytime},
          {"assumptions", e.estimate.assumptions},
          {"warnings", e.estimate.warnings},
          {"seed", e.seed},
          {"params", params},
          {"inputs", e.inputs}};
}

// Reads fields with messages that name them; remembers the first failure.
class Reader {
 public:
  Reader(const json& source, std::string place) : source_(source), place_(std::move(place)) {
    if (!source_.is_object()) fail("is not an object");
  }
  const json* field(const char* name) {
    if (failed()) return nullptr;
    const auto found = source_.find(name);
    if (found == source_.end()) {
      fail(fmt::format("lacks the field '{}'", name));
      return nullptr;
    }
    return &*found;
  }
  template <class T>
  T get(const char* name) {
    const json* value = field(name);
    if (value == nullptr) return T{};
    try {
      return value->template get<T>();
    } catch (const json::exception&) {
      fail(fmt::format("field '{}' has the wrong type ({})", name, value->type_name()));
      return T{};
    }
  }
  double real(const char* name) {
    const json* value = field(name);
    if (value == nullptr) return 0;
    if (value->is_null()) return NAN;
    if (!value->is_number()) {
      fail(fmt::format("field '{}' is not a number", name));
      return 0;
    }
    return value->get<double>();
  }
  template <class E>
  E choice(const char* name, std::initializer_list<std::pair<std::string_view, E>> words) {
    const auto word = get<std::string>(name);
    for (const auto& [text, value] : words) {
      if (text == word) return value;
    }
    if (!failed()) fail(fmt::format("field '{}' is '{}'", name, word));
    return words.begin()->second;
  }
  void fail(std::string message) {
    if (!failed()) error_ = base::make_error(base::Code::kParse, std::move(message), place_);
  }
  bool failed() const { return error_.has_value(); }
  const base::Error& error() const { return *error_; }

 private:
  const json& source_;
  std::string place_;
  std::optional<base::Error> error_;
};

ParamValue param_from_json(const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array() && !value.empty() && value.front().is_number()) return value.get<std::vector<double>>();
  if (value.is_array()) return value.get<std::vector<std::string>>();
  return std::string();
}

json columns_json(const Artifact& artifact) {
  json columns = json::array();
  for (const ArtifactColumn& column : artifact.columns) {
    json values = json::array();
    if (const auto* numbers = std::get_if<std::vector<double>>(&column.values)) {
      for (const double v : *numbers) values.push_back(number(v));
    } else {
      values = std::get<std::vector<std::string>>(column.values);
    }
    columns.push_back({{"name", column.name},
                       {"unit", column.unit},
                       {"type", column.values.index() == 0 ? "number" : "text"},
                       {"values", values}});
  }
  return columns;
}

template <class T>
json array_of(const std::vector<T>& values) {
  json out = json::array();
  for (const T& value : values) out.push_back(to_json(value));
  return out;
}

// JSON text must be UTF-8; names from files may not be. Bad bytes become the replacement character.
std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

template <class T, class F>
base::Result<std::vector<T>> vector_from(const json& array, const char* what, F read) {
  std::vector<T> out;
  if (!array.is_array()) return base::make_error(base::Code::kParse, "is not a list", what);
  for (const json& item : array) {
    PL_TRY(T value, read(item));
    out.push_back(std::move(value));
  }
  return out;
}

}  // namespace

json to_json(const ParamValue& value) {
  return std::visit([](const auto& v) { return json(v); }, value);
}

json to_json(const Evidence& evidence) {
  json out = canonical(evidence);
  out["id"] = evidence.id;
  out["build"] = evidence.build;
  out["artifacts"] = evidence.artifacts;
  return out;
}

json to_json(const Finding& f) {
  return {{"id", f.id},       {"check", f.check},   {"subject", f.subject},     {"severity", severity_name(f.severity)},
          {"title", f.title}, {"detail", f.detail}, {"next_step", f.next_step}, {"data", f.data},
          {"rows", f.rows},   {"where", f.where}};
}

json to_json(const Artifact& artifact, bool with_bytes) {
  json out = {{"id", artifact.id},
              {"kind", artifact.kind},
              {"title", artifact.title},
              {"caption", artifact.caption},
              {"facts", artifact.facts},
              {"media_type", artifact.media_type},
              {"schema", "plumbline-artifact-1"}};
  if (with_bytes) {
    out["columns"] = columns_json(artifact);
    out["bytes"] = base64_encode(artifact.bytes);
  } else {
    out["sha256"] = artifact_sha256(artifact);
    out["path"] = fmt::format("artifacts/{}.{}", artifact.id, artifact.media_type == "image/png" ? "png" : "json");
  }
  return out;
}

json to_json(const LedgerEntry& entry) {
  return {{"check", entry.check},   {"subject", entry.subject}, {"status", ledger_status_name(entry.status)},
          {"reason", entry.reason}, {"rows", entry.rows},       {"seconds", number(entry.seconds)},
          {"cached", entry.cached}};
}

json to_json(const Output& output) {
  json artifacts = json::array();
  for (const Artifact& artifact : output.artifacts) artifacts.push_back(to_json(artifact, true));
  return {{"evidence", array_of(output.evidence)},
          {"findings", array_of(output.findings)},
          {"artifacts", artifacts},
          {"rows", output.rows},
          {"notes", output.notes}};
}

json to_json(const RunRecord& record) {
  json artifacts = json::array();
  for (const Artifact& artifact : record.artifacts) artifacts.push_back(to_json(artifact, true));
  return {{"id", record.id},
          {"name", record.name},
          {"status", run_status_name(record.status)},
          {"system", record.system},
          {"manifest", record.manifest},
          {"manifest_sha256", record.manifest_sha256},
          {"started", record.started},
          {"finished", record.finished},
          {"seconds", number(record.seconds)},
          {"seed", record.seed},
          {"build", record.build},
          {"machine", record.machine},
          {"root", record.root},
          {"previous_root", record.previous_root},
          {"inputs", record.inputs},
          {"ledger", array_of(record.ledger)},
          {"evidence", array_of(record.evidence)},
          {"findings", array_of(record.findings)},
          {"artifacts", artifacts},
          {"notes", record.notes}};
}

json to_json(const CheckInfo& info) {
  json params = json::array();
  for (const ParamSpec& p : info.params) {
    params.push_back({{"name", p.name},
                      {"default", to_json(p.fallback)},
                      {"low", number(p.low)},
                      {"high", number(p.high)},
                      {"choices", p.choices},
                      {"help", p.help}});
  }
  json yields = json::array();
  for (const MetricSpec& m : info.yields) {
    yields.push_back({{"name", m.name},
                      {"unit", m.unit},
                      {"direction", direction_name(m.direction)},
                      {"help", m.help},
                      {"where", m.where},
                      {"where_default", m.where_default}});
  }
  return {{"id", info.id},
          {"title", info.title},
          {"question", info.question},
          {"row", info.row},
          {"code", info.code},
          {"maturity", maturity_name(info.maturity)},
          {"needs", info.needs},
          {"params", params},
          {"yields", yields},
          {"assumptions", info.assumptions},
          {"sources", info.sources},
          {"cost", info.cost},
          {"needs_torch", info.needs_torch}};
}

base::Result<Evidence> evidence_from_json(const json& source) {
  Reader in(source, "evidence");
  Evidence e;
  e.id = in.get<std::string>("id");
  e.check = in.get<std::string>("check");
  e.subject = in.get<std::string>("subject");
  e.metric = in.get<std::string>("metric");
  e.where = in.get<std::map<std::string, std::string>>("where");
  e.level = in.real("level");
  e.unit = in.get<std::string>("unit");
  e.direction = in.choice<Direction>(
      "direction",
      {{"none", Direction::kNone}, {"higher", Direction::kHigherIsBetter}, {"lower", Direction::kLowerIsBetter}});
  e.seed = in.get<std::uint64_t>("seed");
  e.inputs = in.get<std::map<std::string, std::string>>("inputs");
  e.build = in.get<std::string>("build");
  e.artifacts = in.get<std::vector<std::string>>("artifacts");
  if (const json* params = in.field("params"); params != nullptr && params->is_object()) {
    for (const auto& [name, value] : params->items()) e.params[name] = param_from_json(value);
  }
  stats::Estimate& x = e.estimate;
  x.value = in.real("value");
  x.n = in.real("n");
  x.n_effective = in.real("n_effective");
  x.unit_of_sampling = in.get<std::string>("unit_of_sampling");
  x.method = in.get<std::string>("method");
  x.exactness = in.choice<stats::Exactness>("exactness", {{"sampled", stats::Exactness::kSampled},
                                                          {"exact", stats::Exactness::kExact},
                                                          {"bound", stats::Exactness::kBound}});
  x.error_bound = in.real("error_bound");
  x.anytime = in.get<bool>("anytime");
  x.assumptions = in.get<std::vector<std::string>>("assumptions");
  x.warnings = in.get<std::vector<std::string>>("warnings");
  if (const json* bounds = in.field("bounds")) {
    Reader inner(*bounds, "evidence: bounds");
    for (auto [name, side] : {std::pair{"lower", &x.bounds.lower}, std::pair{"upper", &x.bounds.upper}}) {
      const json* list = inner.field(name);
      if (list == nullptr || !list->is_array() || list->size() != stats::kLadder.size()) {
        inner.fail(fmt::format("field '{}' does not have {} entries", name, stats::kLadder.size()));
        break;
      }
      for (std::size_t i = 0; i < side->size(); ++i) {
        if ((*list)[i].is_number()) (*side)[i] = (*list)[i].get<double>();
      }
    }
    if (inner.failed()) return inner.error();
  }
  if (in.failed()) return in.error();
  return e;
}

base::Result<Finding> finding_from_json(const json& source) {
  Reader in(source, "finding");
  Finding f;
  f.id = in.get<std::string>("id");
  f.check = in.get<std::string>("check");
  f.subject = in.get<std::string>("subject");
  f.severity = in.choice<FindingSeverity>(
      "severity",
      {{"major", FindingSeverity::kMajor}, {"medium", FindingSeverity::kMedium}, {"minor", FindingSeverity::kMinor}});
  f.title = in.get<std::string>("title");
  f.detail = in.get<std::string>("detail");
  f.next_step = in.get<std::string>("next_step");
  f.data = in.get<std::string>("data");
  f.rows = in.get<std::vector<std::size_t>>("rows");
  f.where = in.get<std::map<std::string, std::string>>("where");
  if (in.failed()) return in.error();
  return f;
}

base::Result<Artifact> artifact_from_json(const json& source) {
  Reader in(source, "artifact");
  Artifact a;
  a.id = in.get<std::string>("id");
  a.kind = in.get<std::string>("kind");
  a.title = in.get<std::string>("title");
  a.caption = in.get<std::string>("caption");
  a.facts = in.get<std::map<std::string, std::string>>("facts");
  a.media_type = in.get<std::string>("media_type");
  const auto encoded = in.get<std::string>("bytes");
  const json* columns = in.field("columns");
  if (in.failed()) return in.error();
  PL_TRY(a.bytes, base64_decode(encoded));
  if (!columns->is_array()) return base::make_error(base::Code::kParse, "field 'columns' is not a list", "artifact");
  for (const json& item : *columns) {
    Reader inner(item, "artifact: column");
    ArtifactColumn column;
    column.name = inner.get<std::string>("name");
    column.unit = inner.get<std::string>("unit");
    const bool numeric = inner.get<std::string>("type") == "number";
    if (const json* values = inner.field("values"); values != nullptr && numeric && values->is_array()) {
      std::vector<double> numbers;
      for (const json& v : *values) numbers.push_back(v.is_number() ? v.get<double>() : NAN);
      column.values = std::move(numbers);
    } else {
      column.values = inner.get<std::vector<std::string>>("values");
    }
    if (inner.failed()) return inner.error();
    a.columns.push_back(std::move(column));
  }
  return a;
}

base::Result<Output> output_from_json(const json& source) {
  Reader in(source, "output");
  Output out;
  const json* evidence = in.field("evidence");
  const json* findings = in.field("findings");
  const json* artifacts = in.field("artifacts");
  out.rows = in.get<std::string>("rows");
  out.notes = in.get<std::vector<std::string>>("notes");
  if (in.failed()) return in.error();
  PL_TRY(out.evidence, vector_from<Evidence>(*evidence, "evidence", evidence_from_json));
  PL_TRY(out.findings, vector_from<Finding>(*findings, "findings", finding_from_json));
  PL_TRY(out.artifacts, vector_from<Artifact>(*artifacts, "artifacts", artifact_from_json));
  return out;
}

base::Result<RunRecord> record_from_json(const json& source) {
  Reader in(source, "run");
  RunRecord r;
  r.id = in.get<std::string>("id");
  r.name = in.get<std::string>("name");
  r.status = in.choice<RunStatus>("status", {{"started", RunStatus::kStarted},
                                             {"success", RunStatus::kSuccess},
                                             {"cancelled", RunStatus::kCancelled},
                                             {"error", RunStatus::kError}});
  r.system = in.get<std::string>("system");
  r.manifest = in.get<std::string>("manifest");
  r.manifest_sha256 = in.get<std::string>("manifest_sha256");
  r.started = in.get<std::string>("started");
  r.finished = in.get<std::string>("finished");
  r.seconds = in.real("seconds");
  r.seed = in.get<std::uint64_t>("seed");
  r.build = in.get<std::string>("build");
  r.machine = in.get<std::string>("machine");
  r.root = in.get<std::string>("root");
  r.previous_root = in.get<std::string>("previous_root");
  r.inputs = in.get<std::map<std::string, std::string>>("inputs");
  r.notes = in.get<std::vector<std::string>>("notes");
  const json* ledger = in.field("ledger");
  const json* evidence = in.field("evidence");
  const json* findings = in.field("findings");
  const json* artifacts = in.field("artifacts");
  if (in.failed()) return in.error();
  PL_TRY(r.ledger, vector_from<LedgerEntry>(*ledger, "ledger", [](const json& item) -> base::Result<LedgerEntry> {
           Reader line(item, "ledger");
           LedgerEntry entry;
           entry.check = line.get<std::string>("check");
           entry.subject = line.get<std::string>("subject");
           entry.status = line.choice<LedgerStatus>("status", {{"ok", LedgerStatus::kOk},
                                                               {"error", LedgerStatus::kError},
                                                               {"skipped", LedgerStatus::kSkipped},
                                                               {"not_applicable", LedgerStatus::kNotApplicable}});
           entry.reason = line.get<std::string>("reason");
           entry.rows = line.get<std::string>("rows");
           entry.seconds = line.real("seconds");
           entry.cached = line.get<bool>("cached");
           if (line.failed()) return line.error();
           return entry;
         }));
  PL_TRY(r.evidence, vector_from<Evidence>(*evidence, "evidence", evidence_from_json));
  PL_TRY(r.findings, vector_from<Finding>(*findings, "findings", finding_from_json));
  PL_TRY(r.artifacts, vector_from<Artifact>(*artifacts, "artifacts", artifact_from_json));
  return r;
}

std::string_view ledger_status_name(LedgerStatus status) {
  switch (status) {
    case LedgerStatus::kOk: return "ok";
    case LedgerStatus::kError: return "error";
    case LedgerStatus::kSkipped: return "skipped";
    case LedgerStatus::kNotApplicable: return "not_applicable";
  }
  return "error";
}

std::string_view run_status_name(RunStatus status) {
  switch (status) {
    case RunStatus::kStarted: return "started";
    case RunStatus::kSuccess: return "success";
    case RunStatus::kCancelled: return "cancelled";
    case RunStatus::kError: return "error";
  }
  return "error";
}

std::string evidence_id(const Evidence& evidence) { return base::sha256_hex(dump(canonical(evidence))); }

std::string artifact_sha256(const Artifact& artifact) {
  if (!artifact.bytes.empty()) return base::sha256_hex(artifact.bytes);
  return base::sha256_hex(
      dump({{"kind", artifact.kind}, {"columns", columns_json(artifact)}, {"facts", artifact.facts}}));
}

std::string base64_encode(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

base::Result<std::string> base64_decode(std::string_view text) {
  std::string out(3 * (text.size() / 4) + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return base::make_error(base::Code::kParse, "is not base64 text");
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

}  // namespace plumbline::check
