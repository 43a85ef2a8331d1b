#include "plumbline/case/run/store.hpp"

#include <algorithm>

#include "plumbline/base/hash.hpp"

namespace plumbline::run {

base::Result<std::vector<RunSummary>> Store::runs(std::size_t offset, std::size_t limit) {
  RunQuery query;
  query.offset = offset;
  query.limit = limit;
  PL_TRY(RunPage page, find_runs(query));
  return std::move(page.runs);
}

base::Result<std::vector<TrendPoint>> Store::trend(const std::string& check, const std::string& metric,
                                                   std::size_t limit) {
  TrendQuery query;
  query.check = check;
  query.metric = metric;
  query.limit = limit;
  return trend(query);
}

std::string artifact_name(const std::string& check, const std::string& subject, const std::string& id) {
  std::string name = check + "." + subject + "." + id;
  for (char& c : name) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    if (!plain) c = '-';
  }
  return name;
}

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
