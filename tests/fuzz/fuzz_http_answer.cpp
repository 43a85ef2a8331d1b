#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "plumbline/predict/http_predictor.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  // Asked for the shape that the answer has, where another reader sees one, so that good answers are found.
  std::ptrdiff_t rows = 2;
  std::ptrdiff_t outputs = 2;
  const nlohmann::json other = nlohmann::json::parse(text, nullptr, false);
  const bool list = other.is_object() && other.contains("outputs") && other["outputs"].is_array();
  if (list) {
    rows = static_cast<std::ptrdiff_t>(std::min<std::size_t>(other["outputs"].size(), 1000));
    if (rows > 0 && other["outputs"][0].is_array())
      outputs = static_cast<std::ptrdiff_t>(std::clamp<std::size_t>(other["outputs"][0].size(), 1, 1000));
  }
  const auto answer = plumbline::predict::parse_http_answer(text, rows, outputs);
  if (!answer.ok()) return 0;
  // What is taken is what the other reader sees, number by number.
  if (!list || static_cast<std::ptrdiff_t>(other["outputs"].size()) != rows) std::abort();
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    const auto& row = other["outputs"][static_cast<std::size_t>(i)];
    if (!row.is_array() || static_cast<std::ptrdiff_t>(row.size()) != outputs) std::abort();
    for (std::ptrdiff_t k = 0; k < outputs; ++k) {
      const auto& value = row[static_cast<std::size_t>(k)];
      if (!value.is_number() || value.get<double>() != (*answer)(i, k)) std::abort();
    }
  }
  return 0;
}
