// An open-loop client for plumbline-guard, on loopback: requests are due at fixed times whatever the server does, and a
// latency counts from when its request was due. Bounded in rate, number and time.
//   runtime_load_bench PORT RATE SECONDS BATCH [CONNECTIONS] [NUMBERS IN A ROW]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
  int fd = -1;
  bool busy = false;
  Clock::time_point due;
  std::string in;
  std::size_t expected = 0;  // bytes of the whole reply, once its header is here
};

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::perror("connect");
    std::exit(1);
  }
  return fd;
}

std::string request_text(std::uint64_t number, int batch, int columns) {
  const auto one = [&](const std::string& id) {
    std::string row;
    for (int j = 0; j < columns; ++j) row += j == 0 ? "0.25" : ",0.125";
    return fmt::format("{{\"id\":\"{}\",\"input\":[{}]}}", id, row);
  };
  const std::string name = fmt::format("{}-{}", getpid(), number);
  std::string body;
  if (batch == 1) {
    body = one(name);
  } else {
    for (int i = 0; i < batch; ++i) body += (i == 0 ? "{\"requests\":[" : ",") + one(fmt::format("{}-{}", name, i));
    body += "]}";
  }
  return fmt::format("POST /v1/decide HTTP/1.1\r\nHost: guard\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::puts("runtime_load_bench PORT RATE SECONDS BATCH [CONNECTIONS] [COLUMNS]");
    return 2;
  }
  const int port = std::atoi(argv[1]);
  const double rate = std::clamp(std::atof(argv[2]), 1.0, 200'000.0);  // calls a second
  const double seconds = std::clamp(std::atof(argv[3]), 0.1, 120.0);
  const int batch = std::clamp(std::atoi(argv[4]), 1, 1024);
  const int connections = std::clamp(argc > 5 ? std::atoi(argv[5]) : 32, 1, 1000);
  const int columns = argc > 6 ? std::atoi(argv[6]) : 2;
  const auto total = static_cast<std::uint64_t>(rate * seconds);
  const int poll = epoll_create1(0);
  std::vector<Connection> all(static_cast<std::size_t>(connections));
  std::vector<std::size_t> idle;
  for (std::size_t c = 0; c < all.size(); ++c) {
    all[c].fd = connect_to(port);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = c;
    epoll_ctl(poll, EPOLL_CTL_ADD, all[c].fd, &event);
    idle.push_back(c);
  }
  const auto start = Clock::now();
  const auto due = [&](std::uint64_t i) {
    return start +
           std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(static_cast<double>(i) / rate));
  };
  std::vector<double> latencies;
  std::uint64_t sent = 0, done = 0, failed = 0;
  const auto give_up = due(total) + std::chrono::seconds(30);
  while (done < total && Clock::now() < give_up) {
    while (sent < total && !idle.empty() && Clock::now() >= due(sent)) {
      Connection& connection = all[idle.back()];
      idle.pop_back();
      connection.due = due(sent);
      connection.in.clear();
      connection.expected = 0;
      const std::string text = request_text(sent++, batch, columns);
      for (std::size_t at = 0; at < text.size();) {
        const ssize_t wrote = write(connection.fd, text.data() + at, text.size() - at);
        if (wrote <= 0) return 1;
        at += static_cast<std::size_t>(wrote);
      }
    }
    epoll_event events[64];
    const bool waiting = sent < total && !idle.empty();
    // To the nanosecond: a client that spins until the next request is due takes a processor from the server.
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(due(sent) - Clock::now()).count();
    timespec patience{};
    patience.tv_nsec = waiting ? std::clamp<long>(left, 0, 10'000'000) : 10'000'000;
    const int count = epoll_pwait2(poll, events, 64, &patience, nullptr);
    for (int e = 0; e < count; ++e) {
      Connection& connection = all[events[e].data.u64];
      char buffer[65536];
      const ssize_t got = read(connection.fd, buffer, sizeof buffer);
      if (got <= 0) {
        std::puts("the server closed a connection");
        return 1;
      }
      connection.in.append(buffer, static_cast<std::size_t>(got));
      if (connection.expected == 0) {
        const std::size_t end = connection.in.find("\r\n\r\n");
        const std::size_t length = connection.in.find("Content-Length: ");
        if (end == std::string::npos) continue;
        connection.expected =
            end + 4 + (length < end ? std::strtoul(connection.in.c_str() + length + 16, nullptr, 10) : 0);
      }
      if (connection.in.size() < connection.expected) continue;
      ++done;
      failed +=
          connection.in.compare(9, 3, "200") == 0 && connection.in.find("\"error\"") == std::string::npos ? 0U : 1U;
      latencies.push_back(std::chrono::duration<double, std::milli>(Clock::now() - connection.due).count());
      idle.push_back(events[e].data.u64);
    }
  }
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](double q) {
    return latencies.empty() ? 0 : latencies[static_cast<std::size_t>(q * static_cast<double>(latencies.size() - 1))];
  };
  fmt::print(
      "asked {:.0f} calls/s of {}: {:.0f} decisions/s, {} failed of {}; ms from the due time: p50 {:.2f}, p99 {:.2f}, "
      "p99.9 {:.2f}\n",
      rate, batch, static_cast<double>(done * static_cast<std::uint64_t>(batch)) / took, failed, done, at(0.5),
      at(0.99), at(0.999));
  return failed == 0 && done == total ? 0 : 1;
}
