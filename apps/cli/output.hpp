#pragma once
/// Printing shared by commands, and the executor that they use.

#include <filesystem>
#include <string>
#include <vector>

#include "apps/cli/commands.hpp"
#include "plumbline/case/assess/assess.hpp"

namespace plumbline::cli {

/// The report in the format asked for (--json, --format), on standard output.
void print_report(const report::Report& report, const Options& options);

/// Makes worker pools with this command's limits.
assess::ExecutorMaker worker_executor(const Session& session, const std::string& worker,
                                      const std::string& program = {});

/// What a program prints on standard output. Errors kIo: it cannot be started, or it failed.
base::Result<std::string> output_of(const std::vector<std::string>& words);

/// Makes the folder where it is missing. Errors kIo.
base::Status write_file(const std::filesystem::path& path, const std::string& text);

/// The text without control characters: names come from files that may be hostile to a terminal.
std::string printable(const std::string& text);

}  // namespace plumbline::cli
