// A PostgreSQL server for tests in other languages: prints "ready URL", then obeys words on standard input: start,
// stop, restart (as a kill), url SCHEMA; each is answered by a line. It ends, with the server, when its input does.
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "tests/support/postgres_cluster.hpp"

int main() {
  using plumbline::testing::PostgresCluster;
  if (!PostgresCluster::programs()) {
    std::cout << "none: PostgreSQL's server is not installed (postgresql)" << std::endl;
    return 0;
  }
  try {
    PostgresCluster cluster;
    std::cout << "ready" << std::endl;
    for (std::string word, name; std::cin >> word;) {
      if (word == "start") cluster.start();
      if (word == "stop") cluster.stop();
      if (word == "restart") cluster.restart();
      if (word == "url" && std::cin >> name) {
        std::cout << cluster.url(name) << std::endl;
      } else {
        std::cout << "done" << std::endl;
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
