#include "plumbline/case/run/store.hpp"

#include <algorithm>

#include "plumbline/base/hash.hpp"

namespace plumbline::run {

std::string merkle_root(std::vector<std::string> ids) {
  if (ids.empty()) return base::sha256_hex("");
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  while (ids.size() > 1) {
    std::vector<std::string> next;
    for (std::size_t i = 0; i + 1 < ids.size(); i += 2) next.push_back(base::sha256_hex(ids[i] + ids[i + 1]));
    if (ids.size() % 2 == 1) next.push_back(ids.back());
    ids = std::move(next);
  }
  return ids.front();
}

}  // namespace plumbline::run
