#include "plumbline/case/run/worker_source.hpp"

#include <array>
#include <csignal>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/testing.hpp"

namespace plumbline::run {
namespace {

using ::testing::HasSubstr;

/// This very program as a parent whose workers answer with their parent's process id, wait for a letter and end by it.
std::vector<std::string> parent_command() {
  return {std::filesystem::read_symlink("/proc/self/exe").string(), "--gtest_also_run_disabled_tests",
          "--gtest_filter=WorkerSourceParent.DISABLED_Serves"};
}

TEST(WorkerSourceParent, DISABLED_Serves) {
  _exit(serve_forks(STDIN_FILENO, [] {
    const std::string parent = std::to_string(getppid()) + "\n";
    char letter = 0;
    if (write(STDOUT_FILENO, parent.data(), parent.size()) < 0) return 9;
    if (read(STDIN_FILENO, &letter, 1) != 1) return 8;
    if (letter == 's') raise(SIGSEGV);
    return letter - '0';
  }));
}

struct Asked {
  pid_t pid = -1;
  std::array<int, 2> in{};
  std::array<int, 2> out{};

  explicit Asked(WorkerSource& source) {
    EXPECT_EQ(pipe2(in.data(), O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out.data(), O_CLOEXEC), 0);
    const auto born = source.start(in[0], out[1], out[1]);
    EXPECT_TRUE(born.ok()) << born.error().text();
    if (born.ok()) pid = *born;
    close(in[0]);
    close(out[1]);
  }
  ~Asked() {
    close(in[1]);
    close(out[0]);
  }
  pid_t parent() const {
    std::array<char, 32> text{};
    return read(out[0], text.data(), text.size()) > 0 ? std::atoi(text.data()) : -1;
  }
  void say(char letter) const { EXPECT_EQ(write(in[1], &letter, 1), 1); }
};

TEST(WorkerSource, WorkersAreForksOfOneParentAndEndWithTheirOwnStatus) {
  WorkerSource source(parent_command());
  const Asked first(source);
  const Asked second(source);
  const Asked third(source);
  EXPECT_NE(first.pid, second.pid);
  const pid_t parent = first.parent();
  EXPECT_GT(parent, 0);
  EXPECT_EQ(second.parent(), parent);
  EXPECT_EQ(source.ended(first.pid, 0), std::nullopt);
  third.say('s');
  first.say('3');
  const std::optional<int> status = source.ended(first.pid, 20'000);
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status));
  EXPECT_EQ(WEXITSTATUS(*status), 3);
  const std::optional<int> crash = source.ended(third.pid, 20'000);
  ASSERT_TRUE(crash);
  EXPECT_TRUE(WIFSIGNALED(*crash) || WEXITSTATUS(*crash) != 0);  // a sanitizer turns the signal into a status
  EXPECT_EQ(source.ended(second.pid, 0), std::nullopt);
  kill(second.pid, SIGKILL);
  const std::optional<int> killed = source.ended(second.pid, 20'000);
  ASSERT_TRUE(killed);
  EXPECT_TRUE(WIFSIGNALED(*killed));
  EXPECT_EQ(WTERMSIG(*killed), SIGKILL);
}

TEST(WorkerSource, AParentThatIsKilledIsReplacedAndItsWorkersWorkOn) {
  WorkerSource source(parent_command());
  const Asked orphan(source);
  const pid_t parent = orphan.parent();
  ASSERT_GT(parent, 0);
  kill(parent, SIGKILL);
  EXPECT_EQ(source.ended(orphan.pid, 20'000), -1);
  const Asked next(source);
  EXPECT_GT(next.parent(), 0);
  next.say('0');
  EXPECT_EQ(source.ended(next.pid, 20'000), 0);
  // The orphan still reads and ends by itself.
  EXPECT_EQ(kill(orphan.pid, 0), 0);
  orphan.say('0');
  char rest = 0;
  EXPECT_EQ(read(orphan.out[0], &rest, 1), 0);
}

TEST(WorkerSource, ProgramsThatCannotServeAreNamed) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const auto message = [null](std::vector<std::string> command) {
    WorkerSource source(std::move(command));
    const auto born = source.start(null, null, null);
    return born.ok() ? std::string("it started") : born.error().text();
  };
  EXPECT_THAT(message({"/nowhere/plumbline-worker"}), HasSubstr("/nowhere/plumbline-worker"));
  EXPECT_THAT(message({"/nowhere/plumbline-worker"}), HasSubstr("cannot start: No such file or directory"));
  EXPECT_THAT(message({"/bin/true"}), HasSubstr("no worker came up"));
  EXPECT_THAT(message({"/bin/sh", "-c", "echo libtorch is missing >&2; exit 127"}),
              HasSubstr("the last words: libtorch is missing"));
  // It reads the request and never forks.
  EXPECT_THAT(message({"/bin/sh", "-c", "head -c 1 > /dev/null; echo not for me"}), HasSubstr("no worker came up"));
  close(null);
}

TEST(WorkerSource, WhatIsNoSocketIsRefused) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  EXPECT_EQ(serve_forks(null, [] { return 0; }), 2);
  close(null);
}

}  // namespace
}  // namespace plumbline::run
