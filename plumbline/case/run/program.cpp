#include "plumbline/case/run/program.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plumbline/base/hash.hpp"
#include "plumbline/base/log.hpp"

extern char** environ;

namespace plumbline::run {
namespace {

using base::Code;
using base::make_error;

constexpr std::size_t kMostHeaders = 256;
constexpr std::size_t kMostNoteBytes = 65536;

/// The parts of an ELF file that matter here.
struct Elf {
  std::string interpreter;  ///< the dynamic linker it asks for; empty in libraries
  std::string build_id;     ///< empty where it has none
};

/// The build id in a block of notes.
std::string find_build_id(const std::string& notes) {
  for (std::size_t at = 0; at + sizeof(Elf64_Nhdr) <= notes.size();) {
    Elf64_Nhdr head;
    std::memcpy(&head, notes.data() + at, sizeof head);
    const std::size_t name = at + sizeof head;
    const std::size_t value = name + (std::size_t{head.n_namesz} + 3) / 4 * 4;
    if (value + head.n_descsz > notes.size()) break;
    if (head.n_type == NT_GNU_BUILD_ID && notes.compare(name, head.n_namesz, "GNU\0", 4) == 0)
      return notes.substr(value, head.n_descsz);
    at = value + (std::size_t{head.n_descsz} + 3) / 4 * 4;
  }
  return {};
}

base::Result<Elf> read_elf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return make_error(Code::kIo, fmt::format("cannot be read: {}", std::strerror(errno)), path);
  const auto read = [&](std::uint64_t at, std::size_t size) {
    std::string bytes(size, '\0');
    file.seekg(static_cast<std::streamoff>(at));
    if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) bytes.clear();
    return bytes;
  };
  const base::Error foreign = make_error(Code::kUnsupported, "is no 64-bit ELF file", path);
  const std::string head_bytes = read(0, sizeof(Elf64_Ehdr));
  if (head_bytes.empty() || head_bytes.compare(0, SELFMAG, ELFMAG) != 0 || head_bytes[EI_CLASS] != ELFCLASS64)
    return foreign;
  Elf64_Ehdr head;
  std::memcpy(&head, head_bytes.data(), sizeof head);
  if (head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phnum > kMostHeaders) return foreign;
  const std::string table = read(head.e_phoff, head.e_phnum * sizeof(Elf64_Phdr));
  Elf elf;
  for (std::size_t at = 0; at < table.size(); at += sizeof(Elf64_Phdr)) {
    Elf64_Phdr part;
    std::memcpy(&part, table.data() + at, sizeof part);
    if (part.p_filesz > kMostNoteBytes) continue;
    if (part.p_type == PT_INTERP) elf.interpreter = read(part.p_offset, part.p_filesz).c_str();
    if (part.p_type == PT_NOTE && elf.build_id.empty())
      elf.build_id = find_build_id(read(part.p_offset, part.p_filesz));
  }
  return elf;
}

/// What `linker --list path` prints.
base::Result<std::string> list_libraries(const std::string& linker, const std::string& path) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return make_error(Code::kIo, fmt::format("cannot make a pipe: {}", strerror(errno)));
  std::vector<std::string> words = {linker, "--list", path};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  const int failed = posix_spawn(&child, linker.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  char buffer[16384];
  for (ssize_t got = 0; failed == 0 && (got = ::read(ends[0], buffer, sizeof buffer)) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  const auto wait = [&] {
    while (waitpid(child, &status, 0) < 0) {
      if (errno != EINTR) return false;
    }
    return true;
  };
  if (failed != 0 || !wait() || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return make_error(Code::kUnsupported, "the dynamic linker does not list the libraries", path);
  return text;
}

/// "build id", or size and time of change.
std::string content_of(const std::string& path) {
  const auto elf = read_elf(path);
  if (elf.ok() && !elf->build_id.empty()) return elf->build_id;
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return "missing";
  return fmt::format("{} {} {}", facts.st_size, facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec);
}

}  // namespace

std::string build_text(std::string_view program) {
#if defined(__clang__)
  const std::string compiler = fmt::format("clang-{}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  const std::string compiler = fmt::format("gcc-{}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
  std::string text = fmt::format("{} {} x86-64-v3 {}, {}", PLUMBLINE_VERSION, compiler,
                                 PLUMBLINE_WITH_TORCH ? "with-torch" : "without-torch", PLUMBLINE_LIBRARIES);
  if (!program.empty()) text += fmt::format(", program {}", program.substr(0, 12));
  return text;
}

std::string this_module() {
  Dl_info info{};
  std::error_code ignored;
  // The address of a function: of the file that it was linked into.
  if (dladdr(reinterpret_cast<void*>(&this_module), &info) == 0 || info.dli_fname == nullptr) return "/proc/self/exe";
  const auto path = std::filesystem::canonical(info.dli_fname, ignored);
  return ignored ? "/proc/self/exe" : path.string();
}

base::Result<std::string> program_identity(const std::string& path) {
  PL_TRY(const Elf elf, read_elf(path));
  std::string linker = elf.interpreter;
  if (linker.empty()) {  // a library: the linker of the program that has loaded it
    PL_TRY(const Elf self, read_elf("/proc/self/exe"));
    linker = self.interpreter;
  }
  if (linker.empty()) return make_error(Code::kUnsupported, "is not dynamically linked", path);
  PL_TRY(const std::string listed, list_libraries(linker, path));
  // "	libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)", "	/lib64/ld-linux-x86-64.so.2 (0x…)", "	x => not found".
  std::vector<std::string> libraries;
  std::istringstream lines(listed);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    std::string second;
    std::string file;
    words >> name >> second >> file;
    if (second != "=>") file = name;
    if (file.find('/') == std::string::npos) {
      if (second == "=>") libraries.push_back(name + " missing");
      continue;  // the kernel's own
    }
    libraries.push_back(fmt::format("{} {}", name.substr(name.rfind('/') + 1), content_of(file)));
  }
  std::sort(libraries.begin(), libraries.end());
  PL_TRY(const std::string own, base::sha256_file(path));
  base::Sha256 hash;
  hash.add_field(own);
  for (const std::string& library : libraries) hash.add_field(library);
  return hash.hex();
}

base::Result<std::string> cache_identity(const std::string& path) {
  auto identity = program_identity(path);
  if (identity.ok() || identity.error().code == Code::kIo) return identity;
  base::log(base::Level::kWarning, "nothing is taken from the cache: " + identity.error().text());
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return base::sha256_hex(fmt::format("{} {} {} {}", path, now.tv_sec, now.tv_nsec, getpid()));
}

}  // namespace plumbline::run
