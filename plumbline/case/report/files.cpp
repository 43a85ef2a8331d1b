#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/hash.hpp"
#include "plumbline/case/claims/escape.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/report/report.hpp"

namespace plumbline::report {
namespace {

base::Error refused(const std::string& path, std::string_view what) {
  const int code = errno;
  std::string hint;
  if (code == ENOSPC || code == EDQUOT)
    hint = "Free some space; what was finished is in the store, so `plumbline export` can write the report again";
  if (code == EACCES || code == EROFS || code == EPERM) hint = "Choose a folder that may be written to";
  return base::make_error(base::Code::kIo, fmt::format("cannot {}: {}", what, std::strerror(code)), path, hint);
}

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  bool ok() const { return value_ >= 0; }
  /// Late write errors arrive here on some file systems.
  int close() { return ::close(std::exchange(value_, -1)); }

 private:
  int value_;
};

base::Status write_one(int folder, const std::string& folder_path, const std::string& name, const std::string& bytes) {
  const std::string path = folder_path + "/" + name;
  const std::string temporary = fmt::format(".{}.{}.tmp", name, ::getpid());
  ::unlinkat(folder, temporary.c_str(), 0);  // left by a process of the same number that was killed
  Descriptor file(::openat(folder, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file.ok()) return refused(path, "write the file");
  const auto fail = [&](std::string_view what) {
    base::Error error = refused(path, what);  // before errno is another's
    ::unlinkat(folder, temporary.c_str(), 0);
    return error;
  };
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t wrote = ::write(file.get(), bytes.data() + at, bytes.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail("write the file");
    at += static_cast<std::size_t>(wrote);
  }
  if (::fsync(file.get()) != 0) return fail("finish the file");
  if (file.close() != 0) return fail("finish the file");
  if (::renameat(folder, temporary.c_str(), folder, name.c_str()) != 0) return fail("put the file in place");
  return base::ok();
}

bool plain_name(std::string_view name) { return !name.empty() && name == claims::file_name(name); }

/// Folders on the way are made; each is a folder and, below the given one, no symbolic link.
base::Status make_folders(const std::string& path) {
  for (std::size_t at = 1; at <= path.size(); ++at) {
    if (at < path.size() && path[at] != '/') continue;
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) {
      if (struct stat found{}; ::stat(part.c_str(), &found) == 0 && S_ISDIR(found.st_mode))
        continue;  // read-only parents that are there
      return refused(part, "make the folder");
    }
  }
  return base::ok();
}

}  // namespace

std::string artifact_path(const check::Artifact& artifact) {
  // A hash follows a name that had to be changed, so that two names cannot meet.
  std::string name = claims::file_name(artifact.id);
  if (name != artifact.id || name.size() > 100)
    name = name.substr(0, 100) + "-" + base::sha256_hex(artifact.id).substr(0, 12);
  return fmt::format("artifacts/{}.{}", name, artifact.media_type == "image/png" ? "png" : "json");
}

std::vector<OutputFile> render_outputs(const Report& report) {
  std::vector<OutputFile> files = {{"evidence.json", to_evidence_json(report)},
                                   {"junit.xml", to_junit(report)},
                                   {"results.sarif", to_sarif(report)},
                                   {"summary.md", to_markdown(report)},
                                   {"case.gsn.yaml", claims::to_gsn_yaml(report.argument)},
                                   {"argument.svg", claims::to_svg(report.argument)},
                                   {"tea-evidence.json", to_tea_items(report)}};
  std::set<std::string> seen;
  for (const check::Artifact& artifact : report.run.artifacts) {
    const std::string path = artifact_path(artifact);
    if (!seen.insert(path).second) continue;
    const bool image = artifact.media_type == "image/png";
    files.push_back(
        {path,
         image ? artifact.bytes
               : check::to_json(artifact, true).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"});
  }
  return files;
}

base::Status write_files(const std::string& folder, const std::vector<OutputFile>& files) {
  if (folder.empty()) return base::make_error(base::Code::kValue, "write_files: folder is empty");
  bool any_artifact = false;
  for (const OutputFile& file : files) {
    const bool artifact = file.name.starts_with("artifacts/");
    any_artifact = any_artifact || artifact;
    if (!plain_name(artifact ? std::string_view(file.name).substr(10) : std::string_view(file.name))) {
      return base::make_error(base::Code::kValue,
                              fmt::format("write_files: '{}' is not a plain file name", claims::printable(file.name)));
    }
  }
  PL_CHECK(make_folders(folder));
  Descriptor top(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top.ok()) return refused(folder, "open the folder");
  if (any_artifact && ::mkdirat(top.get(), "artifacts", 0755) != 0 && errno != EEXIST)
    return refused(folder + "/artifacts", "make the folder");
  Descriptor below(any_artifact ? ::openat(top.get(), "artifacts", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                                : -1);
  if (any_artifact && !below.ok())
    return refused(folder + "/artifacts", "open the folder (it must not be a symbolic link)");
  for (const OutputFile& file : files) {
    if (file.name.starts_with("artifacts/")) {
      PL_CHECK(write_one(below.get(), folder + "/artifacts", file.name.substr(10), file.bytes));
    } else {
      PL_CHECK(write_one(top.get(), folder, file.name, file.bytes));
    }
  }
  if (below.ok()) ::fsync(below.get());
  ::fsync(top.get());
  return base::ok();
}

base::Status write_outputs(const Report& report, const std::string& folder, const std::vector<OutputFile>& extra) {
  std::vector<OutputFile> files = render_outputs(report);
  files.insert(files.end(), extra.begin(), extra.end());
  return write_files(folder, files);
}

}  // namespace plumbline::report
