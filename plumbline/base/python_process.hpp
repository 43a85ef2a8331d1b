#pragma once
/// Python code of somebody else's in a process of its own, asked through a ChildProcess. The one framing of all that is
/// asked this way: to Python goes what the driver reads; from Python come frames, little endian,
///   u64 status (0 = answer, 1 = something was raised), u64 bytes, then the answer, or the last lines of the traceback.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/child_process.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::base {

inline constexpr const char* kSystemPython = "/usr/bin/python3";

class PythonProcess {
 public:
  using Clock = ChildProcess::Clock;

  /// Starts `python` on the prelude and then `driver`, which find `arguments` in sys.argv[1:]. `settings` are
  /// environment variables, "NAME=value"; PYTHONHASHSEED is 0, so that sets come in the same order every time. The
  /// prelude ends the process when Plumbline dies, and gives the driver
  ///   read(count)                bytes from Plumbline
  ///   answer(*parts)             one frame of status 0
  ///   fail()                     one frame of status 1: the exception that is being handled
  ///   load(place, name, folder)  the module and `name` (a.b) in it; `place` is a file that ends in .py or a module,
  ///   both
  ///                              looked for in `folder` first (default: where Plumbline runs)
  /// Errors as ChildProcess::start.
  Status start(std::string_view driver, const std::vector<std::string>& arguments,
               const std::string& python = kSystemPython, const std::vector<std::string>& settings = {});

  /// The head of the next frame. Nothing is left to be read when something was raised.
  struct Answer {
    std::uint64_t bytes = 0;
    std::optional<std::string> raised;
  };
  /// Errors as ChildProcess::receive; kIo: the process has ended before.
  Result<Answer> answer(Clock::time_point deadline);
  /// The body of an answer as text. Errors kValue: more than `most` bytes (then the process is stopped); as answer().
  Result<std::string> text(const Answer& answer, std::uint64_t most, Clock::time_point deadline);

  /// Errors as those of ChildProcess; kIo: the process has ended before.
  Status send(const void* data, std::size_t size, Clock::time_point deadline);
  Status receive(void* data, std::size_t size, Clock::time_point deadline);

  void stop() { process_.stop(); }
  bool running() const { return process_.running(); }

 private:
  Status alive() const;

  ChildProcess process_;
};

}  // namespace plumbline::base
