// guard: starts plumbline-guard in place of this program.
#include <cerrno>
#include <cstring>
#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

#include "apps/cli/commands.hpp"

namespace plumbline::cli {

base::Result<int> run_guard(const Session& session) {
  const Options& o = session.options;
  PL_TRY(const std::string program, find_program(session, "plumbline-guard"));
  std::vector<std::string> words = {program, o.manifest};
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) words.insert(words.end(), {option, value});
  };
  for (const std::string& claim : o.accept) add("--accept", claim);
  for (const auto& [name, folder] : o.roots) add("--root", name + "=" + folder);
  add("--listen", o.listen);
  add("--export", o.export_log);
  if (o.shadow) words.emplace_back("--shadow");
  if (o.compact) words.emplace_back("--compact");
  if (o.discard) words.emplace_back("--discard");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::cout.flush();
  execv(program.c_str(), arguments.data());
  return base::make_error(base::Code::kIo, fmt::format("cannot be started: {}", std::strerror(errno)), program);
}

}  // namespace plumbline::cli
