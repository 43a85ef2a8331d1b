#pragma once
/// One JSON form of evidence, findings, artifacts and runs, for workers, store, reports and Python alike.
/// Numbers are written in the shortest form that reads back to the same bits; keys are sorted; NaN and infinity
/// are written as null. Schema: docs/schema/evidence.schema.json.

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "plumbline/base/result.hpp"
#include "plumbline/case/interface/check.hpp"
#include "plumbline/case/interface/record.hpp"

namespace plumbline::check {

nlohmann::json to_json(const Evidence& evidence);
nlohmann::json to_json(const Finding& finding);
/// `with_bytes`: image bytes as base64 under "bytes", and columns in full. Without: id, kind, title, sha256, path only.
nlohmann::json to_json(const Artifact& artifact, bool with_bytes);
nlohmann::json to_json(const LedgerEntry& entry);
nlohmann::json to_json(const Output& output);
nlohmann::json to_json(const RunRecord& record);  ///< artifacts with bytes
nlohmann::json to_json(const CheckInfo& info);
nlohmann::json to_json(const ParamValue& value);

/// Errors kParse: a field missing or of the wrong type; the message names it.
base::Result<Evidence> evidence_from_json(const nlohmann::json& json);
base::Result<Finding> finding_from_json(const nlohmann::json& json);
base::Result<Artifact> artifact_from_json(const nlohmann::json& json);
base::Result<Output> output_from_json(const nlohmann::json& json);
base::Result<RunRecord> record_from_json(const nlohmann::json& json);

/// SHA-256 of the canonical content: everything but `id`, `artifacts` and `build`.
std::string evidence_id(const Evidence& evidence);
/// SHA-256 of the artifact's canonical content.
std::string artifact_sha256(const Artifact& artifact);

std::string base64_encode(std::string_view bytes);
base::Result<std::string> base64_decode(std::string_view text);

}  // namespace plumbline::check
