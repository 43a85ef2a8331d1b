// Python in a process of its own: the framing, what is raised, silence, and the end of the process.

#include "plumbline/base/python_process.hpp"

#include <array>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/testing.hpp"

namespace plumbline::base {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

PythonProcess::Clock::time_point within(std::chrono::milliseconds time = std::chrono::seconds(60)) {
  return PythonProcess::Clock::now() + time;
}

TEST(PythonProcess, FramesCarryAnswersAndWhatIsRaised) {
  PythonProcess process;
  ASSERT_TRUE(process
                  .start(R"PY(
answer(sys.argv[1].encode(), b"!", os.environ["PYTHONHASHSEED"].encode(), os.environ["OWN"].encode())
while True:
    number, = struct.unpack("<q", read(8))
    try:
        if number < 0:
            raise ValueError("below zero")
    except ValueError:
        fail()
        continue
    answer(struct.pack("<q", 2 * number))
)PY",
                         {"hello"}, kSystemPython, {"OWN=7"})
                  .ok());
  const auto greeting = process.answer(within()).value();
  EXPECT_EQ(process.text(greeting, 64, within()).value(), "hello!07");
  for (const std::int64_t number : {21, -1, 4}) {
    ASSERT_TRUE(process.send(&number, sizeof(number), within()).ok());
    const auto answer = process.answer(within()).value();
    if (number < 0) {
      EXPECT_EQ(answer.raised, "ValueError: below zero");
      continue;
    }
    std::int64_t twice = 0;
    ASSERT_EQ(answer.bytes, sizeof(twice));
    ASSERT_TRUE(process.receive(&twice, sizeof(twice), within()).ok());
    EXPECT_EQ(twice, 2 * number);
  }
}

TEST(PythonProcess, LoadFindsAFileAndAModuleAndTellsTheAuthorsOwnLines) {
  const testing::TempFolder folder;
  testing::write_file(folder.file("own.py"), "class A:\n    b = 'found'\n\ndef fall():\n    raise KeyError('here')\n");
  const char* const driver = R"PY(
try:
    module, found = load(sys.argv[1], sys.argv[2], sys.argv[3])
    if callable(found):
        found()
    text = found + " in " + module.__name__
except BaseException:
    fail()
    sys.exit(1)
answer(text.encode())
)PY";
  const auto told = [&](const std::string& place, const std::string& name, const std::string& where) {
    PythonProcess process;
    EXPECT_TRUE(process.start(driver, {place, name, where}).ok());
    const auto answer = process.answer(within()).value();
    return answer.raised ? *answer.raised : process.text(answer, 100, within()).value();
  };
  EXPECT_EQ(told("own", "A.b", folder.path()), "found in own");
  EXPECT_EQ(told("own.py", "A.b", folder.path()), "found in own");
  EXPECT_EQ(told(folder.file("own.py"), "A.b", ""), "found in own");
  EXPECT_THAT(told("own", "A.c", folder.path()), HasSubstr("has no attribute 'c'"));
  EXPECT_THAT(told("nowhere", "A", folder.path()), HasSubstr("No module named 'nowhere'"));
  const std::string fallen = told("own", "fall", folder.path());
  EXPECT_THAT(fallen, HasSubstr("own.py\", line 5, in fall"));
  EXPECT_THAT(fallen, Not(HasSubstr("<string>")));
}

TEST(PythonProcess, SilenceAndTheEndAreErrors) {
  PythonProcess silent;
  ASSERT_TRUE(silent.start("time.sleep(600)\n", {}).ok());
  EXPECT_EQ(silent.answer(within(std::chrono::milliseconds(300))).error().code, Code::kLimit);
  EXPECT_FALSE(silent.running());
  EXPECT_THAT(silent.answer(within()).error().text(), HasSubstr("has ended; see the first error"));

  PythonProcess gone;
  ASSERT_TRUE(gone.start("print('farewell', flush=True)\nos._exit(5)\n", {}).ok());
  const Error error = gone.answer(within()).error();
  EXPECT_EQ(error.code, Code::kIo);
  EXPECT_THAT(error.text(), HasSubstr("ended with status 5"));
  EXPECT_THAT(error.text(), HasSubstr("farewell"));

  PythonProcess missing;
  ASSERT_TRUE(missing.start("", {}, "/no/such/python").ok());
  EXPECT_THAT(missing.answer(within()).error().text(), HasSubstr("/no/such/python"));

  PythonProcess chatty;
  ASSERT_TRUE(chatty.start("answer(b'x' * 100)\ntime.sleep(600)\n", {}).ok());
  const auto answer = chatty.answer(within()).value();
  EXPECT_EQ(chatty.text(answer, 99, within()).error().code, Code::kValue);
  EXPECT_FALSE(chatty.running()) << "the rest is not read";
}

}  // namespace
}  // namespace plumbline::base
