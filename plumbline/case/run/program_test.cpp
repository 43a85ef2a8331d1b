#include "plumbline/case/run/program.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::run {
namespace {

namespace fs = std::filesystem;
using ::testing::MatchesRegex;

/// Where the 20 bytes of a GNU build id begin in a file; nothing where it has none.
std::optional<std::size_t> build_id_at(const std::string& bytes) {
  const std::string mark("\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0", 16);
  const std::size_t at = bytes.find(mark);
  if (at == std::string::npos) return std::nullopt;
  return at + mark.size();
}

TEST(Program, BuildTextNamesTheLibrariesThatCompute) {
  const std::string text = build_text();
  EXPECT_THAT(text, MatchesRegex("[0-9.]+ (gcc|clang)-[0-9.]+ x86-64-v3 with(out)?-torch, Eigen 3[0-9.]*, Boost "
                                 "1[0-9.]*, oneTBB 20[0-9.]*, Protobuf [0-9.]+(, LibTorch [0-9.]+)?"));
  EXPECT_EQ(text.find("LibTorch") != std::string::npos, static_cast<bool>(PLUMBLINE_WITH_TORCH));
  EXPECT_EQ(build_text("0123456789abcdef"), text + ", program 0123456789ab");
}

TEST(Program, IdentityFollowsTheFileAndItsLibraries) {
  const auto now = program_identity(this_module());
  ASSERT_TRUE(now.ok()) << now.error().text();
  EXPECT_EQ(now->size(), 64u);
  EXPECT_EQ(*program_identity(this_module()), *now);
  EXPECT_EQ(*cache_identity(this_module()), *now);
  // A copy of the same bytes elsewhere is the same program; one byte more at its end is another.
  const testing::TempFolder folder;
  const std::string copy = folder.file("copy");
  fs::copy_file(this_module(), copy);
  EXPECT_EQ(*program_identity(copy), *now);
  testing::write_file(copy, testing::read_file(copy) + "x");
  EXPECT_NE(*program_identity(copy), *now);
}

TEST(Program, AnotherBuildOfASharedLibraryIsAnotherIdentity) {
  const testing::TempFolder folder;
  const std::string program = this_module();
  const auto before = program_identity(program);
  ASSERT_TRUE(before.ok());
  // The linker looks here first; a library of another build has another build id.
  const std::string name = "libfmt.so.9";
  fs::path library;
  for (const char* place : {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"}) {
    if (fs::exists(fs::path(place) / name)) library = fs::path(place) / name;
  }
  if (library.empty()) GTEST_SKIP() << name << " is not where Debian has it";
  std::string bytes = testing::read_file(library.string());
  const auto at = build_id_at(bytes);
  ASSERT_TRUE(at.has_value());
  const auto identity_with = [&](const std::string& changed) {
    testing::write_file(folder.file(name), changed);
    ::setenv("LD_LIBRARY_PATH", folder.path().c_str(), 1);
    const auto identity = program_identity(program);
    ::unsetenv("LD_LIBRARY_PATH");
    EXPECT_TRUE(identity.ok());
    return identity.ok() ? *identity : std::string();
  };
  EXPECT_EQ(identity_with(bytes), *before) << "the same build, from another folder";
  bytes[*at] = static_cast<char>(bytes[*at] ^ 1);
  const std::string other = identity_with(bytes);
  EXPECT_NE(other, *before);
  // Without a build id, size and time of change speak for it.
  bytes.replace(*at - 4, 4, "XXX", 4);
  const std::string unnamed = identity_with(bytes);
  EXPECT_NE(unnamed, other);
  fs::last_write_time(folder.file(name), fs::last_write_time(folder.file(name)) - std::chrono::hours(1));
  ::setenv("LD_LIBRARY_PATH", folder.path().c_str(), 1);
  EXPECT_NE(*program_identity(program), unnamed);
  ::unsetenv("LD_LIBRARY_PATH");
}

TEST(Program, WhatCannotBeToldIsNeverTheSame) {
  const testing::TempFolder folder;
  EXPECT_EQ(program_identity(folder.file("none")).error().code, base::Code::kIo);
  EXPECT_EQ(cache_identity(folder.file("none")).error().code, base::Code::kIo);
  const std::string elf = testing::read_file(this_module()).substr(0, 64);
  for (const std::string& bytes : {std::string(), std::string("#!/bin/sh\n"),
                                   std::string("\x7f"
                                               "ELF"),
                                   elf}) {
    testing::write_file(folder.file("program"), bytes);
    const auto identity = program_identity(folder.file("program"));
    ASSERT_FALSE(identity.ok());
    EXPECT_EQ(identity.error().code, base::Code::kUnsupported);
    const auto once = cache_identity(folder.file("program"));
    const auto twice = cache_identity(folder.file("program"));
    ASSERT_TRUE(once.ok() && twice.ok());
    EXPECT_NE(*once, *twice);
  }
}

}  // namespace
}  // namespace plumbline::run
