#pragma once
/// A file of tokens that is read again when it changes.

#include <cstdint>
#include <string>

#include "apps/http/tokens.hpp"

namespace plumbline::http {

/// The tokens in use, and the file that they came from. Not thread-safe: for the thread that serves connections.
class TokenFile {
 public:
  /// Everybody may do everything, and there is no file.
  static TokenFile open_to_all();
  /// Errors as Tokens::read.
  static base::Result<TokenFile> read(const std::string& path);

  const Tokens& tokens() const { return tokens_; }
  bool watched() const { return !path_.empty(); }

  /// Reads the file again if its size, its times, its place on the disk or its permissions changed, or if `anyway`. A
  /// file that cannot be used leaves the tokens as they are, so that a slip of the pen locks nobody out; which also
  /// means that a token taken out of it stays good until the file is right.
  void refresh(bool anyway);

  /// Why the file as it is now is not in use, without its path or content; empty: it is.
  const std::string& problem() const { return problem_; }
  /// The same for whoever runs the program.
  const std::string& details() const { return details_; }
  std::uint64_t reloads() const { return reloads_; }
  std::uint64_t failures() const { return failures_; }

 private:
  struct Facts {
    std::int64_t device = 0, inode = 0, size = 0, seconds = 0, nanoseconds = 0, mode = 0, changed = 0,
                 changed_nanoseconds = 0;
    bool operator==(const Facts&) const = default;
  };
  static Facts facts_of(const std::string& path);

  Tokens tokens_;
  std::string path_;
  Facts facts_;
  std::string problem_;
  std::string details_;
  std::uint64_t reloads_ = 0;
  std::uint64_t failures_ = 0;
};

}  // namespace plumbline::http
