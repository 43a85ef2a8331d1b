#pragma once
/// JSON bodies: read with limits, written whatever text they hold. Errors have "bad_request" in `where`.

#include <initializer_list>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "plumbline/base/result.hpp"

namespace plumbline::http {

/// An error as replies carry it: its word in `where`.
base::Error refusal(std::string word, std::string message, std::string hint = {});

/// {"code", "message", "hint"}.
nlohmann::ordered_json error_json(const base::Error& error);
/// One line. Text that came from outside may hold anything; what cannot be said in UTF-8 is replaced.
std::string dump(const nlohmann::ordered_json& json);

/// A JSON object of at most 16 levels.
base::Result<nlohmann::ordered_json> parse_body(const std::string& body);
/// The text under a key; empty when it is missing and need not be there.
base::Result<std::string> text_at(const nlohmann::ordered_json& json, const char* key, bool required);
base::Status known_keys(const nlohmann::ordered_json& json, std::initializer_list<const char*> keys);

/// Seconds since 1970.
double wall_now();

}  // namespace plumbline::http
