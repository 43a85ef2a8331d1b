#include "plumbline/counterfactual/policies.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/learning/learned_policy.hpp"
#include "plumbline/counterfactual/network_policy.hpp"
#include "plumbline/counterfactual/policy_source.hpp"
#include "plumbline/data/csv.hpp"

namespace plumbline::counterfactual {
namespace {

using base::Code;
using base::make_error;
using data::Column;
using data::DecisionLog;

class Uniform final : public TargetPolicy {
 public:
  void probabilities(std::size_t, std::span<const int> available, std::span<double> out) const override {
    std::fill(out.begin(), out.end(), 1.0 / static_cast<double>(available.size()));
  }
};

class Logged final : public TargetPolicy {
 public:
  explicit Logged(const DecisionLog& log) : log_(log) {}
  void probabilities(std::size_t row, std::span<const int>, std::span<double> out) const override {
    const auto logged = log_.probabilities(row);
    std::copy(logged.begin(), logged.end(), out.begin());
  }

 private:
  const DecisionLog& log_;
};

/// Probabilities by group of rows; -1 in `group` never occurs.
class Grouped final : public TargetPolicy {
 public:
  Grouped(std::vector<std::size_t> group, std::vector<std::vector<double>> probability)
      : group_(std::move(group)), probability_(std::move(probability)) {}
  void probabilities(std::size_t row, std::span<const int> available, std::span<double> out) const override {
    const std::vector<double>& all = probability_[group_[row]];
    for (std::size_t k = 0; k < available.size(); ++k) out[k] = all[static_cast<std::size_t>(available[k])];
  }

 private:
  std::vector<std::size_t> group_;
  std::vector<std::vector<double>> probability_;
};

class Linear final : public TargetPolicy {
 public:
  /// A weight for each action, times the column's value or the indicator of a level.
  struct Feature {
    const Column* column = nullptr;  ///< none: intercept
    int level = -1;
    std::vector<double> weight;
  };
  Linear(std::vector<Feature> features, double temperature)
      : features_(std::move(features)), temperature_(temperature) {}
  void probabilities(std::size_t row, std::span<const int> available, std::span<double> out) const override {
    std::fill(out.begin(), out.end(), 0.0);
    for (const Feature& f : features_) {
      double value = 1;
      if (f.column != nullptr)
        value = f.level >= 0 ? (f.column->codes[row] == f.level ? 1 : 0) : f.column->numbers[row];
      if (std::isnan(value) || value == 0) continue;
      for (std::size_t k = 0; k < available.size(); ++k)
        out[k] += value * f.weight[static_cast<std::size_t>(available[k])];
    }
    const double best = *std::max_element(out.begin(), out.end());
    double total = 0;
    for (double& score : out) {
      score = temperature_ > 0 ? std::exp((score - best) / temperature_) : (score == best ? 1.0 : 0.0);
      total += score;
    }
    for (double& score : out) score /= total;
  }

 private:
  std::vector<Feature> features_;
  double temperature_;
};

class Explored final : public TargetPolicy {
 public:
  Explored(TargetPtr inner, double epsilon) : inner_(std::move(inner)), epsilon_(epsilon) {}
  void probabilities(std::size_t row, std::span<const int> available, std::span<double> out) const override {
    inner_->probabilities(row, available, out);
    for (double& p : out) p = (1 - epsilon_) * p + epsilon_ / static_cast<double>(available.size());
  }

 private:
  TargetPtr inner_;
  double epsilon_;
};

std::vector<std::string> context_names(const DecisionLog& log) {
  std::vector<std::string> names;
  for (const Column& c : log.context.columns) names.push_back(c.name);
  return names;
}

base::Error no_such_name(const std::string& wanted, std::string_view what, std::vector<std::string> known,
                         const std::string& place) {
  const std::string near = base::nearest(wanted, known);
  return make_error(Code::kValue, fmt::format("{} '{}' is not in the log", what, wanted.substr(0, 60)), place,
                    near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
}

base::Result<data::Table> read_table(const std::string& path) {
  data::TableOptions options;
  options.missing = {""};
  return data::read_csv(path, options);
}

}  // namespace

base::Result<PolicySpec> parse_policy(const std::string& text) {
  PolicySpec spec;
  const std::size_t colon = text.find(':');
  spec.rule = text.substr(0, colon);
  const std::string rest = colon == std::string::npos ? std::string() : text.substr(colon + 1);
  const bool alone = spec.rule == "uniform" || spec.rule == "logged";
  const bool with = spec.rule == "fixed" || spec.rule == "table" || spec.rule == "linear" || spec.rule == "model" ||
                    spec.rule == "onnx";
  if ((!alone && !with) || alone != rest.empty() || (alone && colon != std::string::npos)) {
    return make_error(Code::kValue, fmt::format("'{}' is no policy", text.substr(0, 80)), {},
                      "expected uniform, logged, fixed:ACTION, table:FILE, linear:FILE, model:FILE or onnx:FILE");
  }
  (spec.rule == "fixed" ? spec.action : spec.path) = rest;
  return spec;
}

base::Result<TargetPtr> table_policy(const data::Table& table, const std::string& name, const DecisionLog& log) {
  const Column* action = table.find("action");
  const Column* probability = table.find("probability");
  if (action == nullptr || probability == nullptr || probability->kind != Column::Kind::kNumber)
    return make_error(Code::kValue, "the columns action and probability (numbers) are expected", name);
  std::map<std::string, std::size_t> action_code;
  for (std::size_t a = 0; a < log.actions(); ++a) action_code[log.action_names[a]] = a;

  // Keys: what a row of the log says under the same name.
  std::vector<const Column*> keys;
  std::vector<const Column*> log_keys;  // null: position or id
  for (const Column& column : table.columns) {
    if (&column == action || &column == probability) continue;
    const Column* in_log = log.context.find(column.name);
    if (in_log == nullptr && column.name != "position" && (column.name != "id" || log.ids.empty())) {
      std::vector<std::string> known = context_names(log);
      known.emplace_back("position");
      return no_such_name(column.name, "key", std::move(known), name);
    }
    keys.push_back(&column);
    log_keys.push_back(in_log);
  }
  std::map<std::string, std::size_t> groups;
  std::vector<std::vector<double>> values;
  std::vector<double> totals;
  std::vector<std::map<std::string, bool>> seen;
  const auto key_of = [](const std::vector<std::string>& parts) {
    std::string key;
    for (const std::string& part : parts) key += fmt::format("{}:{};", part.size(), part);
    return key;
  };
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const std::string place = fmt::format("{}:{}", name, i + 2);
    const double p = probability->numbers[i];
    if (!(p >= 0) || p > 1 + 1e-9)
      return make_error(Code::kValue, fmt::format("probability is {}, expected 0 to 1", p), place);
    std::vector<std::string> parts;
    for (const Column* key : keys) parts.push_back(data::cell_text(*key, i));
    const std::size_t group = groups.try_emplace(key_of(parts), values.size()).first->second;
    if (group == values.size()) {
      values.emplace_back(log.actions(), 0.0);
      totals.push_back(0);
      seen.emplace_back();
    }
    const std::string act = data::cell_text(*action, i);
    if (!seen[group].emplace(act, true).second)
      return make_error(Code::kValue, fmt::format("action '{}' appears twice under one key", act.substr(0, 60)), place);
    totals[group] += p;
    // An action that the log does not know keeps its mass: it counts as unsupported.
    if (const auto code = action_code.find(act); code != action_code.end()) values[group][code->second] = p;
  }
  for (const auto& [key, group] : groups) {
    if (std::abs(totals[group] - 1) > 1e-6) {
      return make_error(Code::kValue, fmt::format("the probabilities of a key sum to {}, expected 1", totals[group]),
                        name, keys.empty() ? std::string() : "key " + key);
    }
    for (double& p : values[group]) p /= totals[group];
  }
  std::vector<std::size_t> group_of(log.rows());
  for (std::size_t i = 0; i < log.rows(); ++i) {
    std::vector<std::string> parts;
    for (std::size_t k = 0; k < keys.size(); ++k) {
      parts.push_back(log_keys[k] != nullptr        ? data::cell_text(*log_keys[k], i)
                      : keys[k]->name == "position" ? fmt::format("{}", log.position[i])
                                                    : log.ids[i]);
    }
    const auto found = groups.find(key_of(parts));
    if (found == groups.end()) {
      std::string words;
      for (std::size_t k = 0; k < keys.size(); ++k)
        words += fmt::format("{}{} = {}", k > 0 ? ", " : "", keys[k]->name, parts[k].substr(0, 40));
      return make_error(Code::kValue, fmt::format("has no row for {}, which decision {} needs", words, i + 1), name);
    }
    group_of[i] = found->second;
  }
  return TargetPtr(std::make_shared<Grouped>(std::move(group_of), std::move(values)));
}

base::Result<TargetPtr> linear_policy(const data::Table& table, const std::string& name, double temperature,
                                      const DecisionLog& log) {
  if (!(temperature >= 0) || !std::isfinite(temperature))
    return make_error(Code::kValue, fmt::format("temperature is {}, expected 0 or more", temperature), name);
  const Column* feature = table.find("feature");
  if (feature == nullptr) return make_error(Code::kValue, "the column feature is expected", name);
  std::vector<Linear::Feature> features;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const std::string place = fmt::format("{}:{}", name, i + 2);
    const std::string word = data::cell_text(*feature, i);
    Linear::Feature f;
    if (word != "(intercept)") {
      f.column = log.context.find(word);
      if (f.column == nullptr) {
        const std::size_t equals = word.find('=');
        f.column = equals == std::string::npos ? nullptr : log.context.find(word.substr(0, equals));
        if (f.column == nullptr || f.column->kind != Column::Kind::kCategory)
          return no_such_name(word, "feature", context_names(log), place);
        const auto level = std::find(f.column->levels.begin(), f.column->levels.end(), word.substr(equals + 1));
        if (level == f.column->levels.end()) continue;  // a level that no row has
        f.level = static_cast<int>(level - f.column->levels.begin());
      } else if (f.column->kind != Column::Kind::kNumber) {
        return make_error(Code::kValue, fmt::format("feature '{}' is a category", word), place,
                          fmt::format("write one row a level: {}=LEVEL", word));
      }
    }
    for (const std::string& action : log.action_names) {
      const Column* weights = table.find(action);
      if (weights == nullptr)
        return make_error(Code::kValue, fmt::format("has no column for action '{}'", action), name);
      if (weights->kind != Column::Kind::kNumber || !std::isfinite(weights->numbers[i]))
        return make_error(Code::kValue, fmt::format("the weight of action '{}' is no finite number", action), place);
      f.weight.push_back(weights->numbers[i]);
    }
    features.push_back(std::move(f));
  }
  return TargetPtr(std::make_shared<Linear>(std::move(features), temperature));
}

struct PolicySource::Parts {
  PolicySpec spec;
  data::Table table;                               // of table and linear
  std::optional<learning::LearnedPolicy> learned;  // of model
  std::optional<NetworkPolicy> network;            // of onnx
};

base::Result<PolicySource> PolicySource::load(const PolicySpec& spec) {
  PL_CHECK(base::check_in("make_policy", "epsilon", spec.epsilon, 0, 1));
  auto parts = std::make_shared<Parts>();
  parts->spec = spec;
  if (spec.rule == "table" || spec.rule == "linear") {
    PL_TRY(parts->table, read_table(spec.path));
  } else if (spec.rule == "model") {
    PL_TRY(parts->learned, learning::read_policy(spec.path));
  } else if (spec.rule == "onnx") {
    PL_TRY(parts->network, read_network_policy(spec.path, spec.temperature));
  } else if (spec.rule != "uniform" && spec.rule != "logged" && spec.rule != "fixed") {
    return make_error(Code::kValue, fmt::format("'{}' is no rule of a policy", spec.rule.substr(0, 60)), {},
                      "expected uniform, logged, fixed, table, linear, model or onnx");
  }
  PolicySource out;
  out.parts_ = std::move(parts);
  return out;
}

base::Result<TargetPtr> PolicySource::bind(const DecisionLog& log) const {
  const PolicySpec& spec = parts_->spec;
  TargetPtr made;
  if (spec.rule == "uniform") {
    made = std::make_shared<Uniform>();
  } else if (spec.rule == "logged") {
    if (log.set_probabilities.empty())
      return make_error(Code::kValue, "the log does not hold the probabilities of all available actions", {},
                        "the logged policy cannot be evaluated as a target; compare with it by the gain");
    made = std::make_shared<Logged>(log);
  } else if (spec.rule == "fixed") {
    std::vector<double> one(log.actions(), 0.0);
    const auto found = std::find(log.action_names.begin(), log.action_names.end(), spec.action);
    if (found == log.action_names.end()) return no_such_name(spec.action, "action", log.action_names, "fixed");
    one[static_cast<std::size_t>(found - log.action_names.begin())] = 1;
    made = std::make_shared<Grouped>(std::vector<std::size_t>(log.rows(), 0), std::vector<std::vector<double>>{one});
  } else if (spec.rule == "table") {
    PL_TRY(made, table_policy(parts_->table, spec.path, log));
  } else if (spec.rule == "linear") {
    PL_TRY(made, linear_policy(parts_->table, spec.path, spec.temperature, log));
  } else if (spec.rule == "onnx") {
    PL_TRY(made, network_policy(*parts_->network, log));
  } else {
    PL_TRY(made, learning::frozen_policy(*parts_->learned, log));
  }
  if (spec.epsilon > 0) made = std::make_shared<Explored>(made, spec.epsilon);
  return made;
}

base::Result<TargetPtr> make_policy(const PolicySpec& spec, const DecisionLog& log) {
  PL_TRY(const PolicySource source, PolicySource::load(spec));
  return source.bind(log);
}

}  // namespace plumbline::counterfactual
