// plumbline-guard: the runtime behind HTTP. `plumbline guard` starts it.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>

#include <fmt/format.h>

#include "apps/guard/api.hpp"
#include "plumbline/runtime/decision_export.hpp"
#if PLUMBLINE_WITH_TORCH
#include "plumbline/nn/executor.hpp"
#endif

namespace plumbline::guard {
namespace {

constexpr const char* kUsage =
    "usage: plumbline-guard system.toml [--accept CLAIM]... [--listen ADDRESS:PORT] [--shadow] [--root "
    "NAME=FOLDER]...\n"
    "       plumbline-guard system.toml --export LOG.jsonl\n"
    "       plumbline-guard system.toml --compact [--discard]\n";

struct Command {
  StartOptions start;
  std::string export_to;
  bool compact = false;
  bool discard = false;
};

base::Result<Command> parse(int argc, char** argv) {
  Command command;
  const auto bad = [](const std::string& what) { return base::make_error(base::Code::kValue, what, {}, kUsage); };
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--shadow") {
      command.start.shadow = true;
    } else if (word == "--compact") {
      command.compact = true;
    } else if (word == "--discard") {
      command.discard = true;
    } else if (word == "--accept" || word == "--listen" || word == "--root" || word == "--export") {
      if (++i == argc) return bad(word + " needs a value");
      const std::string value = argv[i];
      if (word == "--accept") command.start.accept.push_back(value);
      if (word == "--listen") command.start.listen = value;
      if (word == "--export") command.export_to = value;
      if (word == "--root") {
        const std::size_t equals = value.find('=');
        if (equals == std::string::npos) return bad("--root is not NAME=FOLDER");
        command.start.roots[value.substr(0, equals)] = value.substr(equals + 1);
      }
    } else if (word.starts_with("-") || !command.start.manifest.empty()) {
      return bad(fmt::format("'{}' is not understood", word));
    } else {
      command.start.manifest = word;
    }
  }
  if (command.start.manifest.empty()) return bad("a manifest is needed");
  if (command.discard && !command.compact) return bad("--discard goes with --compact");
  return command;
}

base::Result<int> export_log(const Command& command) {
  data::ManifestOptions reading;
  reading.roots = command.start.roots;
  PL_TRY(const data::Manifest manifest, data::read_manifest(command.start.manifest, reading));
  PL_TRY(const LogPlace log, log_place(manifest, command.start.roots));
  PL_TRY(const runtime::ExportCounts counts, runtime::export_decisions(log.place, command.export_to, log.partition));
  std::cout << fmt::format("{} decisions, {} with a reward; left out: {} void, {} open\n", counts.decisions,
                           counts.rewards, counts.voided, counts.open);
  if (counts.missing > 0)
    std::cout << fmt::format("the first {} records were discarded by a compaction\n", counts.missing);
  if (counts.elsewhere > 0)
    std::cout << fmt::format(
        "{} decisions have the id of one in another partition: those requests went to two guards\n", counts.elsewhere);
  return 0;
}

base::Result<int> compact(const Command& command) {
  data::ManifestOptions reading;
  reading.roots = command.start.roots;
  PL_TRY(const data::Manifest manifest, data::read_manifest(command.start.manifest, reading));
  PL_TRY(const LogPlace log, log_place(manifest, command.start.roots));
  PL_TRY(runtime::CompactionOptions options, compaction_options(manifest, command.start.roots));
  options.discard = command.discard;
  PL_TRY(const runtime::Compaction done, runtime::compact_log(log.place, options));
  if (done.next == 0) {
    std::cout << fmt::format(
        "nothing to fold: the last {} outcomes are remembered, and before them no segment is finished\n",
        options.remembered);
  } else {
    std::cout << fmt::format("{} records folded into {}, {} bytes into {}; the log goes on at record {}\n", done.folded,
                             done.kept, done.bytes_before, done.bytes_after, done.next);
  }
  if (done.segments > 0)
    std::cout << fmt::format("{} segments {}\n", done.segments,
                             command.discard ? "deleted" : "moved to " + log.place + "/archive");
  return 0;
}

base::Result<int> serve(const Command& command) {
  http::raise_descriptors();
  PL_TRY(Started started, start(command.start));
  http::Tokens tokens = http::Tokens::open_to_all();
  if (!started.tokens.empty()) {
    PL_TRY(tokens, http::Tokens::read(started.tokens));
  }
  const double wall = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  PL_TRY(auto guard,
         runtime::Guard::open(started.decider->info(), started.log, started.journal, started.options, wall));
  const runtime::JournalState found = guard->journal().recovered();
  const std::string log = guard->journal().name();
  const runtime::Instant deadline = started.options.deadline;
  std::optional<runtime::GuardLoop> loop(std::in_place, std::move(guard), *started.decider);
  Api api(*loop, started, tokens);
  const auto handler = [&api](const http::ApiRequest& request, const http::Respond& respond) {
    api.handle(request, respond);
  };
  PL_TRY(const auto server, http::Server::listen(started.address, handler, started.tls));
  if (tokens.everybody() && !server->loopback())
    return base::make_error(base::Code::kValue, "without tokens a guard listens on loopback only", started.address,
                            "Declare `tokens` in [guard]; docs/user/guard.md shows the file");
  std::cerr << fmt::format("plumbline-guard: log {} with {} records, {} torn bytes cut, sync {}\n", log, found.frames,
                           found.torn_bytes, runtime::sync_policy_name(started.journal.sync));
  for (const runtime::StartObstacle& o : started.start.obstacles)
    if (o.accepted) std::cerr << fmt::format("plumbline-guard: accepted although {}: {}\n", o.reason, o.claim);
  std::cout << fmt::format("listening on {}://{}\n", started.tls.certificate.empty() ? "http" : "https",
                           server->address())
            << std::flush;
  server->run([&] {
    const bool done = loop->drain(std::chrono::milliseconds(deadline / runtime::kMillisecond + 5000));
    std::cerr << (done ? "plumbline-guard: drained\n" : "plumbline-guard: requests were still open\n");
    server->stop();
  });
  loop.reset();  // what it still holds are connections, which need the server
  return 0;
}

int run(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
    std::cout << kUsage;
    return 0;
  }
  // A limit on file sizes, or a reader that left, is an error of the write that meets it.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  const auto command = parse(argc, argv);
  const auto result = !command.ok()                ? base::Result<int>(command.error())
                      : command->compact           ? compact(*command)
                      : command->export_to.empty() ? serve(*command)
                                                   : export_log(*command);
  if (result.ok()) return *result;
  std::cerr << "plumbline-guard: " << result.error().text() << "\n";
  return 2;
}

}  // namespace
}  // namespace plumbline::guard

int main(int argc, char** argv) {
#if PLUMBLINE_WITH_TORCH
  plumbline::nn::configure_process();
#endif
  try {
    return plumbline::guard::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "plumbline-guard: %s. This is a defect in Plumbline; please report it\n", error.what());
    return 4;
  }
}
