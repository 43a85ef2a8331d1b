#include "plumbline/counterfactual/learning/learned_policy.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/learning/exploration.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/files.hpp"

namespace plumbline::counterfactual::learning {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

class Frozen final : public TargetPolicy {
 public:
  Frozen(LearnedPolicy policy, BoundFeatures features, std::vector<int> code, TargetPtr baseline)
      : policy_(std::move(policy)),
        features_(std::move(features)),
        code_(std::move(code)),
        baseline_(std::move(baseline)) {}

  void probabilities(std::size_t row, std::span<const int> available, std::span<double> out) const override {
    std::vector<int> known;
    std::vector<std::size_t> place;
    for (std::size_t k = 0; k < available.size(); ++k) {
      const int code = code_[static_cast<std::size_t>(available[k])];
      if (code < 0) continue;
      known.push_back(code);
      place.push_back(k);
    }
    std::fill(out.begin(), out.end(), 0.0);
    if (known.empty()) return;
    std::vector<double> x(features_.size());
    features_.row(row, x);
    std::vector<double> all(available.size(), 0.0);
    if (baseline_) baseline_->probabilities(row, available, all);
    std::vector<double> base(known.size());
    for (std::size_t j = 0; j < known.size(); ++j) base[j] = all[place[j]];
    std::vector<double> p(known.size());
    policy_.probabilities(x, known, base, p);
    for (std::size_t j = 0; j < known.size(); ++j) out[place[j]] = p[j];
  }

 private:
  LearnedPolicy policy_;
  BoundFeatures features_;
  std::vector<int> code_;  // of the log's action among the policy's; -1 = never heard of
  TargetPtr baseline_;
};

/// Reads members of an object; the first failure is kept, so that a reader may go on and ask once.
class Reader {
 public:
  Reader(const Json& object, std::string place) : object_(object), place_(std::move(place)) {}
  template <class T>
  T get(const char* key) {
    try {
      const T value = object_.at(key).get<T>();
      if constexpr (std::is_same_v<T, double>) {
        if (!std::isfinite(value)) fail(key);
      }
      return value;
    } catch (const Json::exception&) {
      fail(key);
      return T{};
    }
  }
  base::Status status() const {
    if (failed_.empty()) return base::ok();
    return make_error(Code::kParse, fmt::format("'{}' is missing or of another kind", failed_), place_,
                      "expected a file that `plumbline learn --save` wrote");
  }

 private:
  void fail(const char* key) {
    if (failed_.empty()) failed_ = key;
  }
  const Json& object_;
  std::string place_;
  std::string failed_;
};

base::Result<FeatureMap> features_from(const Json& list, const std::string& name) {
  FeatureMap map;
  if (!list.is_array()) return make_error(Code::kParse, "'features' is no list", name);
  for (const Json& item : list) {
    Reader reader(item, name + ", features");
    FeatureMap::Feature f;
    f.column = reader.get<std::string>("column");
    f.number = !(item.is_object() && item.contains("level"));
    if (f.number) {
      f.mean = reader.get<double>("mean");
      f.scale = reader.get<double>("scale");
      if (!(f.scale > 0)) return make_error(Code::kParse, "a scale is not positive", name + ", features");
    } else {
      f.level = reader.get<std::string>("level");
    }
    PL_CHECK(reader.status());
    map.features.push_back(std::move(f));
  }
  return map;
}

base::Result<Learner> learner_from(const Json& json, std::size_t actions, std::size_t features,
                                   const std::string& name) {
  Reader reader(json, name + ", learner");
  LearnerOptions o;
  const auto algorithm = reader.get<std::string>("algorithm");
  o.epsilon = reader.get<double>("epsilon");
  o.temperature = reader.get<double>("temperature");
  o.width = reader.get<double>("width");
  o.gamma = reader.get<double>("gamma");
  o.ridge = reader.get<double>("ridge");
  o.bags = reader.get<std::size_t>("bags");
  o.seed = reader.get<std::uint64_t>("seed");
  const auto updates = reader.get<std::uint64_t>("updates");
  const auto state = reader.get<std::vector<std::vector<double>>>("state");
  PL_CHECK(reader.status());
  const auto in_file = [&](const base::Error& error) {
    return make_error(Code::kParse, error.message, name, error.hint);
  };
  const auto parsed = parse_algorithm(algorithm);
  if (!parsed.ok()) return in_file(parsed.error());
  o.algorithm = *parsed;
  auto learner = Learner::make(actions, features, o);
  if (!learner.ok()) return in_file(learner.error());
  if (const auto status = learner->restore(updates, state); !status.ok()) return in_file(status.error());
  return std::move(learner).value();
}

base::Result<ConservativeBudget> budget_from(const Json& json, const std::string& name) {
  Reader reader(json, name + ", conservative");
  ConservativeOptions o;
  o.keep = reader.get<double>("keep");
  o.confidence = reader.get<double>("confidence");
  o.most = reader.get<double>("most");
  const auto state = reader.get<std::vector<double>>("state");
  PL_CHECK(reader.status());
  auto budget = ConservativeBudget::make(o);
  if (!budget.ok() || !budget->restore(state))
    return make_error(Code::kParse, "the conservative budget is impossible", name);
  return std::move(budget).value();
}

}  // namespace

void LearnedPolicy::probabilities(std::span<const double> x, std::span<const int> available,
                                  std::span<const double> baseline, std::span<double> out) const {
  if (learner) {
    learner->probabilities(x, available, out);
  } else {
    std::vector<double> score(available.size(), 0.0);
    for (std::size_t k = 0; k < available.size(); ++k) {
      const double* row = weights.data() + static_cast<std::size_t>(available[k]) * x.size();
      for (std::size_t j = 0; j < x.size(); ++j) score[k] += row[j] * x[j];
    }
    softmax(score, 1, out);
  }
  if (!budget) return;
  const double m = budget->share();
  for (std::size_t k = 0; k < out.size(); ++k) out[k] = m * out[k] + (1 - m) * baseline[k];
}

double LearnedPolicy::draw_key() const { return base::Rng(seed, {"learn"}).fork(rows).uniform(); }

void LearnedPolicy::take_in(std::span<const double> x, int action, double probability, double baseline, double reward) {
  if (budget) budget->add(reward, baseline / probability);
  learner->update(x, action, reward);
  ++rows;
}

std::string policy_to_json(const LearnedPolicy& policy) {
  Json out = {{"plumbline_policy", kVersion}, {"actions", policy.actions}, {"features", Json::array()}};
  for (const FeatureMap::Feature& f : policy.features.features) {
    if (f.number)
      out["features"].push_back({{"column", f.column}, {"mean", f.mean}, {"scale", f.scale}});
    else
      out["features"].push_back({{"column", f.column}, {"level", f.level}});
  }
  out["seed"] = policy.seed;
  out["rows"] = policy.rows;
  if (policy.learner) {
    const LearnerOptions& o = policy.learner->options();
    out["learner"] = {{"algorithm", algorithm_name(o.algorithm)},
                      {"epsilon", o.epsilon},
                      {"temperature", o.temperature},
                      {"width", o.width},
                      {"gamma", o.gamma},
                      {"ridge", o.ridge},
                      {"bags", o.bags},
                      {"seed", o.seed},
                      {"updates", policy.learner->updates()},
                      {"state", policy.learner->state()}};
  } else {
    out["weights"] = policy.weights;
  }
  if (policy.budget) {
    const ConservativeOptions& o = policy.budget->options();
    out["conservative"] = {{"baseline", policy.baseline_rule},
                           {"keep", o.keep},
                           {"confidence", o.confidence},
                           {"most", o.most},
                           {"state", policy.budget->state()}};
  }
  return out.dump(1, ' ', false, Json::error_handler_t::strict) + "\n";
}

base::Status write_policy(const std::string& path, const LearnedPolicy& policy) {
  try {
    return data::write_bytes(path, policy_to_json(policy));
  } catch (const Json::exception&) {
    return make_error(Code::kValue, "a name in the policy is not UTF-8", path);
  }
}

base::Result<LearnedPolicy> policy_from_json(std::string_view text, const std::string& name) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object() || !json.contains("plumbline_policy"))
    return make_error(Code::kParse, "is no learned policy", name,
                      "expected a file that `plumbline learn --save` wrote");
  Reader reader(json, name);
  LearnedPolicy out;
  const int version = reader.get<int>("plumbline_policy");
  out.actions = reader.get<std::vector<std::string>>("actions");
  out.seed = reader.get<std::uint64_t>("seed");
  out.rows = reader.get<std::uint64_t>("rows");
  PL_CHECK(reader.status());
  if (version != kVersion)
    return make_error(Code::kUnsupported, fmt::format("is of version {}, expected {}", version, kVersion), name);
  if (out.actions.size() < 2) return make_error(Code::kParse, "names fewer than two actions", name);
  PL_TRY(out.features, features_from(json.contains("features") ? json["features"] : Json(), name));
  if (json.contains("learner")) {
    PL_TRY(out.learner, learner_from(json["learner"], out.actions.size(), out.features.size(), name));
  } else {
    out.weights = reader.get<std::vector<double>>("weights");
    PL_CHECK(reader.status());
    if (out.weights.size() != out.actions.size() * out.features.size() ||
        !std::all_of(out.weights.begin(), out.weights.end(), [](double v) { return std::isfinite(v); }))
      return make_error(Code::kParse, "'weights' is of another size, or not finite", name);
  }
  if (json.contains("conservative")) {
    if (!out.learner) return make_error(Code::kParse, "a conservative budget needs a learner", name);
    PL_TRY(out.budget, budget_from(json["conservative"], name));
    Reader part(json["conservative"], name + ", conservative");
    out.baseline_rule = part.get<std::string>("baseline");
    PL_CHECK(part.status());
  }
  return out;
}

base::Result<LearnedPolicy> read_policy(const std::string& path) {
  data::ReadLimits limits;
  limits.file_bytes = 1ULL << 30U;
  PL_TRY(const data::Bytes bytes, data::map_file(path, limits));
  return policy_from_json({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path);
}

base::Result<TargetPtr> frozen_policy(const LearnedPolicy& policy, const data::DecisionLog& log) {
  PL_TRY(BoundFeatures features, BoundFeatures::bind(policy.features, log.context));
  std::vector<int> code;
  for (const std::string& action : log.action_names) {
    const auto found = std::find(policy.actions.begin(), policy.actions.end(), action);
    code.push_back(found == policy.actions.end() ? -1 : static_cast<int>(found - policy.actions.begin()));
  }
  TargetPtr baseline;
  if (policy.budget) {
    PL_TRY(const PolicySpec spec, parse_policy(policy.baseline_rule));
    if (spec.rule == "model") return make_error(Code::kValue, "the baseline is itself a learned policy");
    PL_TRY(baseline, make_policy(spec, log));
  }
  return TargetPtr(std::make_shared<Frozen>(policy, std::move(features), std::move(code), std::move(baseline)));
}

}  // namespace plumbline::counterfactual::learning
