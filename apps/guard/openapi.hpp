#pragma once
/// The interface as an OpenAPI 3.1 document, as it is served at /openapi.json. tests/cli/test_guard.py holds the server
/// against it.

#include <string_view>

namespace plumbline::guard {

std::string_view openapi_document();

}  // namespace plumbline::guard
