#include <fstream>
#include <string>

#include "apps/cli/templates.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/system/ranker_and_fonts.hpp"

namespace plumbline::cli {
namespace {

constexpr const char* kManifest =
    R"(# Two teams, one page. The ranker shows an item drawn by lot now and then, to learn what it is worth; the font team learns
# which print earns clicks. Each does well alone. Every key: plumbline config schema
[system]
name = "ranker and fonts"
seed = 7

[component.ranker]
inputs = ["kind"]                      # signals that it reads, columns of the trace
outputs = ["item"]
objective = "click"                    # the signal that it is optimised for
learns_from = ["click"]                # of earlier rounds
trace = "trace.csv"                    # one row an event; parts may share a file
time = "time"
unit = "session"                       # rows of one session are not independent
explored = "explored"                  # 1 where the item was drawn by lot
propensity = "propensity"              # with which probability
exposure = "noticed"                   # how far what it chose reached anybody

[component.reader]                     # says whether an item looks rare or common: a rule without an aim of its own
inputs = ["kind", "item"]
outputs = ["looks"]
trace = "trace.csv"
time = "time"
unit = "session"

[component.fonts]
inputs = ["looks"]
outputs = ["font"]
objective = "net"                      # clicks less the space that the print takes
learns_from = ["net"]
trace = "trace.csv"
time = "time"
unit = "session"

[component.people]                     # the world is a part too
inputs = ["kind", "item", "font"]
outputs = ["noticed", "click", "net"]
trace = "trace.csv"
time = "time"
unit = "session"

[[claim]]
id = "exploration-counts"
text = "What the ranker tries by lot reaches people as its other choices do."
check = "system.exploration_cancelled"
metric = "kept"
at_least = 0.8

[[claim]]
id = "explores-as-it-says"
text = "The ranker draws by lot as often as it logs."
check = "system.exploration_cancelled"
metric = "claimed_gap"
within = [-0.03, 0.03]

[[claim]]
id = "no-part-at-anothers-cost"
text = "What is good for one team does not harm the other."
check = "system.objective_conflict"
metric = "pull"
at_least = -0.1

[[claim]]
id = "not-its-own-teacher"
text = "What the font team learns from is not mostly made by decisions."
check = "system.feedback_loop"
metric = "made_share"
where = {part = "fonts"}
at_most = 0.5
severity = "warn"
)";

}  // namespace

base::Status write_system_example(const std::string& folder) {
  base::Rng rng(7, {"system example"});
  const auto run = system::run_ranker_and_fonts({}, rng);
  PL_CHECK(data::write_csv(folder + "/trace.csv", run.trace));
  std::ofstream out(folder + "/system.toml");
  out << kManifest;
  if (!out.flush())
    return base::make_error(base::Code::kIo, "cannot be written", folder + "/system.toml",
                            "Check that the folder is writable");
  return base::ok();
}

}  // namespace plumbline::cli
