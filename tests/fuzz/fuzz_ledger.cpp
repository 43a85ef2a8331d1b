#include <string_view>

#include "plumbline/data/csv.hpp"
#include "plumbline/system/growth.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// A table as ledger and as record of use, and what is made of both.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace sys = plumbline::system;
  const auto bytes = plumbline::fuzz::heap_bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  (void)sys::parse_day(text.substr(0, 40));
  const auto table = plumbline::data::parse_csv(text, "x", {}, plumbline::fuzz::small_limits());
  if (!table.ok()) return 0;
  const auto use = sys::make_use(*table, "x");
  const auto ledger = sys::make_ledger(*table, {.id = "id"}, "x");
  const auto plain = sys::make_ledger(*table, {}, "x");
  for (const auto* one : {&ledger, &plain}) {
    if (!one->ok()) continue;
    sys::GrowthOptions options;
    options.about = {"a"};
    options.control = {"b"};
    options.search.draws = 19;
    options.search.most = 2;
    (void)sys::find_growth(one->value(), use.ok() ? std::optional(*use) : std::nullopt, options,
                           plumbline::base::Rng(1));
  }
  return 0;
}
