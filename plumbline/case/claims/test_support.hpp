#pragma once
/// Small builders that the tests of claims and report share.

#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "plumbline/case/claims/verdict.hpp"
#include "plumbline/stats/estimate.hpp"

namespace plumbline::claims::support {

/// Standard normal quantiles of the ladder, from a printed table.
inline constexpr double kZ[] = {0.841621, 1.281552, 1.644854, 1.959964, 2.326348, 2.575829, 3.090232, 3.719016};

inline stats::Estimate normal_estimate(double value, double standard_error, double n = 1000) {
  stats::Estimate estimate;
  estimate.value = value;
  estimate.n = n;
  estimate.n_effective = n;
  estimate.method = "wald";
  for (std::size_t i = 0; i < stats::kLadder.size(); ++i) {
    estimate.bounds.lower[i] = value - kZ[i] * standard_error;
    estimate.bounds.upper[i] = value + kZ[i] * standard_error;
  }
  return estimate;
}

inline check::Evidence evidence(std::string id, stats::Estimate estimate, std::string set = "test",
                                std::string metric = "accuracy", std::map<std::string, std::string> where = {}) {
  check::Evidence e;
  e.id = std::move(id);
  e.check = metric == "auroc" ? "robustness.ood" : "probe.accuracy";
  e.subject = "reader@" + set;
  e.metric = std::move(metric);
  e.where = std::move(where);
  e.where["data"] = set;
  e.estimate = std::move(estimate);
  e.unit = "share";
  e.direction = check::Direction::kHigherIsBetter;
  e.inputs = {{"data:" + set, "fingerprint-" + set}, {"model:reader", "hash-1"}};
  return e;
}

inline check::Registry registry() {
  check::Registry all;
  check::Entry accuracy;
  accuracy.info.id = "probe.accuracy";
  accuracy.info.title = "Accuracy";
  accuracy.info.yields = {{"accuracy", "share", check::Direction::kHigherIsBetter, "", {"slice", "class"}, {}},
                          {"error", "share", check::Direction::kLowerIsBetter, "", {}, {}},
                          {"temperature", "1", check::Direction::kNone, "", {}, {}}};
  all.add(accuracy);
  check::Entry ood;
  ood.info.id = "robustness.ood";
  ood.info.title = "Out of distribution";
  ood.info.yields = {
      {"auroc", "1", check::Direction::kHigherIsBetter, "", {"detector"}, {{"detector", "mahalanobis"}}}};
  all.add(ood);
  return all;
}

inline data::ClaimSection at_least(std::string id, double threshold) {
  data::ClaimSection claim;
  claim.id = std::move(id);
  claim.line = 12;
  claim.text = "The reader is accurate.";
  claim.check = "probe.accuracy";
  claim.metric = "accuracy";
  claim.at_least = threshold;
  return claim;
}

inline data::Manifest manifest() {
  data::Manifest m;
  m.path = "system.toml";
  m.name = "digit reader";
  for (const auto& [name, role] :
       {std::pair{"train", data::Role::kTrain}, std::pair{"test", data::Role::kTest},
        std::pair{"second", data::Role::kTest}, std::pair{"elsewhere", data::Role::kOutOfDistribution}}) {
    m.data[name].name = name;
    m.data[name].role = role;
  }
  return m;
}

inline check::RunRecord run_with(std::vector<check::Evidence> all) {
  check::RunRecord run;
  run.id = "0123456789ab";
  run.status = check::RunStatus::kSuccess;
  run.system = "digit reader";
  run.manifest = "system.toml";
  run.started = "2026-01-31T12:00:00Z";
  run.finished = "2026-01-31T12:00:05Z";
  run.seconds = 5;
  run.seed = 7;
  run.build = "plumbline 0.1.0";
  run.machine = "x86-64-v3, 2 cores";
  run.evidence = std::move(all);
  run.ledger.push_back(
      {"probe.accuracy", "reader@test", check::LedgerStatus::kOk, "", "1000 rows of test", 0.25, false});
  return run;
}

inline ClaimVerdict judge_one(const data::ClaimSection& claim, std::vector<check::Evidence> all,
                              const JudgeContext& context = {}) {
  data::Manifest m = manifest();
  m.claims = {claim};
  return judge(m, run_with(std::move(all)), registry(), context).front();
}

}  // namespace plumbline::claims::support
