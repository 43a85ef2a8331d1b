#include "apps/http/token_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

namespace plumbline::http {

TokenFile::Facts TokenFile::facts_of(const std::string& path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) return {};
  return {static_cast<std::int64_t>(s.st_dev),
          static_cast<std::int64_t>(s.st_ino),
          s.st_size,
          s.st_mtim.tv_sec,
          s.st_mtim.tv_nsec,
          static_cast<std::int64_t>(s.st_mode),
          s.st_ctim.tv_sec,
          s.st_ctim.tv_nsec};
}

TokenFile TokenFile::open_to_all() {
  TokenFile file;
  file.tokens_ = Tokens::open_to_all();
  return file;
}

base::Result<TokenFile> TokenFile::read(const std::string& path) {
  TokenFile file;
  file.path_ = path;
  file.facts_ = facts_of(path);  // before the reading, so that a change during it is seen later
  PL_TRY(file.tokens_, Tokens::read(path));
  return file;
}

void TokenFile::refresh(bool anyway) {
  if (!watched()) return;
  const Facts now = facts_of(path_);
  if (!anyway && now == facts_) return;
  facts_ = now;
  auto tokens = Tokens::read(path_);
  if (!tokens.ok()) {
    ++failures_;
    const base::Error& error = tokens.error();
    details_ = error.text();
    // Anybody may ask for the problem. What is wrong with a line may quote a token that stands in the wrong place.
    const bool of_a_line = error.where.starts_with(path_ + ':');
    problem_ = of_a_line ? fmt::format("line {} cannot be used", error.where.substr(path_.size() + 1))
                         : "the file " + error.message;
    return;
  }
  tokens_ = std::move(tokens).value();
  problem_.clear();
  ++reloads_;
}

}  // namespace plumbline::http
