#pragma once
/// From a manifest to a guard that may start.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/guard/examples.hpp"
#include "apps/http/server.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/data/manifest.hpp"
#include "plumbline/runtime/classifier_decider.hpp"
#include "plumbline/runtime/guard.hpp"
#include "plumbline/runtime/log_compaction.hpp"
#include "plumbline/runtime/start_rule.hpp"

namespace plumbline::guard {

struct StartOptions {
  std::string manifest;
  std::map<std::string, std::string> roots;
  std::vector<std::string> accept;  ///< beside those of the manifest
  std::string listen;               ///< instead of the manifest's
  bool shadow = false;
};

/// All that a guard runs on.
struct Started {
  std::string address;  ///< "127.0.0.1:8077"
  std::string log;      ///< a folder, or a URL that may hold a password
  std::string tokens;   ///< file; empty: none
  http::TlsFiles tls;
  std::string model;  ///< name
  std::unique_ptr<runtime::Decider> decider;
  ShownExamples examples;  ///< training rows that a question may show
  runtime::GuardOptions options;
  runtime::JournalOptions journal;
  runtime::StartDecision start;
};

/// Where the log is that a manifest declares: a folder or a URL, and the partition, which may be empty.
struct LogPlace {
  std::string place;
  std::string partition;
};
base::Result<LogPlace> log_place(const data::Manifest& manifest, const std::map<std::string, std::string>& roots);

/// What a compaction must know of the guard. Errors kIo, kParse, kValue: the keys and the file of gold questions.
base::Result<runtime::CompactionOptions> compaction_options(const data::Manifest& manifest,
                                                            const std::map<std::string, std::string>& roots);

/// Errors kIo, kParse, kValue: the manifest, model, data or artifacts; kUnsupported: keys of [guard] that this build
/// does not serve; kValue with every obstacle: the start rule says no.
base::Result<Started> start(const StartOptions& options);

}  // namespace plumbline::guard
