#include "tests/support/postgres_cluster.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace plumbline::testing {
namespace {

constexpr const char* kSocket = "/.s.PGSQL.5432";

struct User {
  std::string name;
  uid_t id = 0;
  gid_t group = 0;
};

/// Who the server runs as: this user, or somebody without rights, since the server refuses to be root.
User server_user() {
  const passwd* who = getpwuid(geteuid());
  if (geteuid() == 0) who = getpwnam("postgres") != nullptr ? getpwnam("postgres") : getpwnam("nobody");
  if (who == nullptr) throw std::runtime_error("there is no user to run a server as");
  return {who->pw_name, who->pw_uid, who->pw_gid};
}

/// A program as that user, with its output in a file; it ends with this process.
pid_t spawn(const std::vector<std::string>& words, const std::string& output) {
  const User user = server_user();
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::array<const char*, 3> environment = {"LC_ALL=C", "PATH=/usr/bin:/bin", nullptr};
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  const int out = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int in = open("/dev/null", O_RDONLY);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  for (int fd = 3; fd < 1024; ++fd) close(fd);
  if (geteuid() == 0 && (setgid(user.group) != 0 || setuid(user.id) != 0)) _exit(126);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (getppid() != parent || chdir("/") != 0) _exit(126);
  execve(arguments[0], arguments.data(), const_cast<char**>(environment.data()));
  _exit(127);
}

void run(const std::vector<std::string>& words, const std::string& output) {
  int status = 0;
  if (waitpid(spawn(words, output), &status, 0) < 0 || status != 0)
    throw std::runtime_error(words.front() + " failed: " + read_file(output));
}

sockaddr_un address(const std::string& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  if (path.size() >= sizeof out.sun_path) throw std::runtime_error(path + " is too long for a socket");
  std::strncpy(out.sun_path, path.c_str(), sizeof out.sun_path - 1);
  return out;
}

std::string encoded(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '/' ? std::string("%2F") : std::string(1, c);
  return out;
}

}  // namespace

std::optional<std::string> PostgresCluster::programs() {
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
    const std::string folder = version.path().string() + "/bin";
    if (access((folder + "/initdb").c_str(), X_OK) == 0) found.push_back(folder);
  }
  std::sort(found.begin(), found.end());
  return found.empty() ? std::nullopt : std::optional(found.back());
}

PostgresCluster& PostgresCluster::shared() {
  static PostgresCluster cluster;
  return cluster;
}

PostgresCluster::PostgresCluster() {
  const User user = server_user();
  if (geteuid() == 0 && chown(folder_.path().c_str(), user.id, user.group) != 0)
    throw std::runtime_error("the server's folder cannot be given away");
  // Only what the disk would do is left out: the servers of tests lose no power.
  run({*programs() + "/initdb", "--pgdata=" + folder_.file("data"), "--auth=trust", "--encoding=UTF8", "--no-locale",
       "--no-sync", "--username=plumbline"},
      "/dev/null");
  start();
}

PostgresCluster::~PostgresCluster() { stop(); }

void PostgresCluster::start() {
  if (server_ > 0) return;
  const std::string ready = folder_.file("data/postmaster.pid");
  std::error_code ignored;
  std::filesystem::remove(ready, ignored);
  server_ = spawn({*programs() + "/postgres", "-D", folder_.file("data"), "-k", folder_.path(), "-c",
                   "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60", "-c", "shared_buffers=16MB",
                   "-c", "autovacuum=off", "-c", "logging_collector=off"},
                  folder_.file("server.log"));
  for (int i = 0; i < 3000; ++i) {
    int status = 0;
    if (waitpid(server_, &status, WNOHANG) == server_) {
      server_ = -1;
      break;
    }
    if (std::filesystem::exists(ready) && read_file(ready).find("ready") != std::string::npos) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  stop();
  throw std::runtime_error("the server did not start: " + read_file(folder_.file("server.log")));
}

void PostgresCluster::stop() {
  if (server_ <= 0) return;
  kill(server_, SIGQUIT);
  waitpid(server_, nullptr, 0);
  server_ = -1;
}

std::string PostgresCluster::url_through(const std::string& sockets, const std::string& schema) const {
  return "postgresql://plumbline@" + encoded(sockets) + "/postgres?options=-csearch_path%3D" + schema;
}

std::string PostgresCluster::url(const std::string& schema) {
  sql("CREATE SCHEMA IF NOT EXISTS " + schema);
  return url_through(sockets(), schema);
}

std::string PostgresCluster::sql(const std::string& statements) const {
  const TempFolder output;
  run({*programs() + "/psql", "--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", sockets(), "-U", "plumbline", "-d",
       "postgres", "-c", statements},
      output.file("out"));
  return read_file(output.file("out"));
}

Relay::Relay(const PostgresCluster& cluster) : target_(cluster.sockets() + kSocket) {
  const sockaddr_un here = address(folder_.path() + kSocket);
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 || listen(listener_, 16) != 0)
    throw std::runtime_error("the relay cannot listen");
  thread_ = std::thread([this] { serve(); });
}

Relay::~Relay() {
  ending_ = true;
  thread_.join();
  ::close(listener_);
}

/// One thread, a handful of connections: pairs of client and server.
void Relay::serve() {
  std::vector<std::array<int, 2>> pairs;
  const auto end = [&](std::size_t i) {
    for (const int fd : pairs[i]) ::close(fd);
    pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(i));
  };
  while (!ending_) {
    if (closed_)
      while (!pairs.empty()) end(0);
    std::vector<pollfd> watched = {{listener_, POLLIN, 0}};
    for (const auto& pair : pairs)
      for (const int fd : pair) watched.push_back({fd, POLLIN, 0});
    if (poll(watched.data(), watched.size(), 5) <= 0) continue;
    std::vector<std::size_t> over;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
        if (watched[1 + 2 * i + side].revents == 0) continue;
        std::array<char, 4096> bytes{};
        const ssize_t got = read(pairs[i][side], bytes.data(), bytes.size());
        std::atomic<std::int64_t>& left = side == 0 ? sent_left_ : answered_left_;
        bool cut = got <= 0;
        ssize_t pass = got;
        if (got > 0 && left >= 0) {
          pass = std::min<ssize_t>(got, left);
          left -= pass;
          if (left == 0) {
            cut = true;
            left = -1;
            ++cuts_;
          }
        }
        if (pass > 0 && send(pairs[i][1 - side], bytes.data(), static_cast<std::size_t>(pass), MSG_NOSIGNAL) != pass)
          cut = true;
        if (cut) {
          over.push_back(i);
          break;
        }
      }
    }
    for (auto i = over.rbegin(); i != over.rend(); ++i) end(*i);
    if (watched[0].revents == 0) continue;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un there = address(target_);
    if (client >= 0 && !closed_ && connect(server, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0) {
      pairs.push_back({client, server});
    } else {
      if (client >= 0) ::close(client);
      ::close(server);
    }
  }
  while (!pairs.empty()) end(0);
}

}  // namespace plumbline::testing
