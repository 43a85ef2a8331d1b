#pragma once
/// What the functions behind the paths are given, and what they share in reading it.

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "apps/dashboard/dashboard.hpp"
#include "apps/http/body.hpp"
#include "plumbline/base/progress.hpp"

namespace plumbline::dashboard {

using Json = nlohmann::ordered_json;

/// One request on a thread of its own.
struct Call {
  const http::ApiRequest& request;
  const std::vector<std::string>& parts;            ///< of the path, where the route has a *
  const std::map<std::string, std::string>& query;  ///< names that the route knows
  const http::Caller& caller;
  const DashboardOptions& options;
  Shelf& shelf;
  RecentRuns& recent;
  const base::CancelToken& cancel;

  /// Empty where it is missing.
  const std::string& text(const std::string& name) const;
  /// Errors "bad_request": no whole number from `low` to `high`.
  base::Result<std::uint64_t> whole(const std::string& name, std::uint64_t absent, std::uint64_t low,
                                    std::uint64_t high) const;
};

using Answer = base::Result<http::ApiReply>;
http::ApiReply json_reply(const Json& json);

Answer overview(const Call& call, std::size_t gauntlets, bool tokens);
Answer runs(const Call& call);
Answer one_run(const Call& call);
Answer run_page(const Call& call);
Answer run_argument(const Call& call);
Answer run_artifact(const Call& call);
Answer metrics(const Call& call);
Answer trend(const Call& call);
Answer compare(const Call& call);
Answer findings(const Call& call);
Answer replay(const Call& call);
Answer worlds(const Call& call);
Answer episode(const Call& call);

/// Tables as /api/gauntlet gives them, read once. Errors kIo, kParse, with the file.
base::Result<std::string> gauntlet_tables(const std::vector<std::string>& files);

}  // namespace plumbline::dashboard
