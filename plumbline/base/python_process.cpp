#include "plumbline/base/python_process.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace plumbline::base {
namespace {

constexpr std::uint64_t kMostRaised = 4096;

constexpr std::string_view kPrelude = R"PY(
import importlib, os, socket, struct, sys, threading, time, traceback

channel = socket.socket(fileno=3)
parent = os.getppid()

def watch():
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)

threading.Thread(target=watch, daemon=True).start()

def read(count):
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = channel.recv_into(view)
        if got == 0:
            os._exit(0)
        view = view[got:]
    return data

def answer(*parts):
    channel.sendall(b"".join((struct.pack("<QQ", 0, sum(len(part) for part in parts)), *parts)))

def fail():
    told = traceback.TracebackException(*sys.exc_info())
    own = [frame for frame in told.stack if frame.filename != "<string>"]  # without the driver's
    told.stack = traceback.StackSummary.from_list(own) if own else None
    text = "".join(told.format()).encode("utf-8", "replace")[-4096:]
    channel.sendall(struct.pack("<QQ", 1, len(text)) + text)

def load(place, name, folder=""):
    module = place
    if place.endswith(".py"):
        folder, module = os.path.split(os.path.abspath(os.path.join(folder, place)))
        module = module[:-3]
    sys.path[:] = [folder or os.getcwd()] + [p for p in sys.path if p]
    module = found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return module, found
)PY";

}  // namespace

Status PythonProcess::start(std::string_view driver, const std::vector<std::string>& arguments,
                            const std::string& python, const std::vector<std::string>& settings) {
  std::vector<std::string> command = {"/usr/bin/env", "PYTHONHASHSEED=0"};
  command.insert(command.end(), settings.begin(), settings.end());
  command.insert(command.end(), {python, "-B", "-c", std::string(kPrelude) + std::string(driver)});
  command.insert(command.end(), arguments.begin(), arguments.end());
  return process_.start(command);
}

Status PythonProcess::alive() const {
  if (process_.running()) return ok();
  return make_error(Code::kIo, "the Python process has ended; see the first error");
}

Result<PythonProcess::Answer> PythonProcess::answer(Clock::time_point deadline) {
  std::array<std::uint64_t, 2> head{};
  PL_CHECK(receive(head.data(), sizeof(head), deadline));
  if (head[0] == 0) return Answer{head[1], std::nullopt};
  std::string raised(std::min(head[1], kMostRaised), '\0');
  PL_CHECK(receive(raised.data(), raised.size(), deadline));
  while (!raised.empty() && raised.back() == '\n') raised.pop_back();
  return Answer{0, std::move(raised)};
}

Result<std::string> PythonProcess::text(const Answer& answer, std::uint64_t most, Clock::time_point deadline) {
  if (answer.bytes > most) {
    stop();  // the rest of its answer is not read
    return make_error(Code::kValue, fmt::format("a text of {} bytes, at most {} are taken", answer.bytes, most));
  }
  std::string body(answer.bytes, '\0');
  PL_CHECK(receive(body.data(), body.size(), deadline));
  return body;
}

Status PythonProcess::send(const void* data, std::size_t size, Clock::time_point deadline) {
  PL_CHECK(alive());
  return process_.send(data, size, deadline);
}

Status PythonProcess::receive(void* data, std::size_t size, Clock::time_point deadline) {
  PL_CHECK(alive());
  return process_.receive(data, size, deadline);
}

}  // namespace plumbline::base
