// train: starts the worker in place of this program, since it alone links what training needs.
#include <cerrno>
#include <cstring>
#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

#include "apps/cli/commands.hpp"

namespace plumbline::cli {

base::Result<int> run_train(const Session& session) {
  const Options& o = session.options;
  PL_TRY(const std::string worker, find_worker(session));
  std::vector<std::string> words = {worker, "--train", o.manifest};
  for (const std::string& name : o.only) words.insert(words.end(), {"--only", name});
  for (const auto& [name, folder] : o.roots) words.insert(words.end(), {"--root", name + "=" + folder});
  if (o.json) words.insert(words.end(), {"--format", "json"});
  if (o.quiet) words.insert(words.end(), {"--progress", "none"});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::cout.flush();
  execv(worker.c_str(), arguments.data());
  return base::make_error(base::Code::kIo, fmt::format("cannot be started: {}", std::strerror(errno)), worker);
}

}  // namespace plumbline::cli
