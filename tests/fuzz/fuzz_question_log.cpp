#include "plumbline/data/question_log.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto questions = plumbline::data::parse_questions(text, "x", plumbline::fuzz::small_limits());
  if (!questions.ok()) return 0;
  for (const auto& question : *questions) (void)plumbline::data::question_to_json(question);
  return 0;
}
