#include "plumbline/data/decision_log.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using plumbline::data::LogFormat;
  for (const LogFormat format : {LogFormat::kJsonLines, LogFormat::kColumns, LogFormat::kVwText,
                                 LogFormat::kDecisionService, LogFormat::kOpenBandit, LogFormat::kCsv}) {
    plumbline::data::LogOptions options;
    options.format = format;
    if (format == LogFormat::kCsv) {
      options.action = "a";
      options.propensity = "p";
      options.reward = "r";
    }
    const auto log = plumbline::data::parse_decision_log(plumbline::fuzz::heap_bytes(data, size), "x", options,
                                                         plumbline::fuzz::small_limits());
    if (!log.ok()) continue;
    for (std::size_t row = 0; row < log->rows(); ++row) (void)plumbline::data::decision_record(*log, row);
  }
  return 0;
}
