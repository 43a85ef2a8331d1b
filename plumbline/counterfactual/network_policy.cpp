#include "plumbline/counterfactual/network_policy.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/learning/exploration.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/graph/interpreter.hpp"
#include "plumbline/graph/onnx.hpp"

namespace plumbline::counterfactual {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::json;

class Network final : public TargetPolicy {
 public:
  Network(std::vector<double> scores, std::size_t actions, std::vector<int> place, double temperature)
      : scores_(std::move(scores)), actions_(actions), place_(std::move(place)), temperature_(temperature) {}
  void probabilities(std::size_t row, std::span<const int> available, std::span<double> out) const override {
    std::vector<double> score;
    std::vector<std::size_t> where;
    for (std::size_t k = 0; k < available.size(); ++k) {
      const int at = place_[static_cast<std::size_t>(available[k])];
      out[k] = 0;
      if (at < 0) continue;
      score.push_back(scores_[row * actions_ + static_cast<std::size_t>(at)]);
      where.push_back(k);
    }
    if (score.empty()) return;
    std::vector<double> p(score.size());
    if (temperature_ > 0)
      learning::softmax(score, temperature_, p);
    else
      learning::greedy(score, p);
    for (std::size_t j = 0; j < p.size(); ++j) out[where[j]] = p[j];
  }

 private:
  std::vector<double> scores_;
  std::size_t actions_;
  std::vector<int> place_;  // of the log's action among the network's; -1 = not named
  double temperature_;
};

base::Result<std::vector<std::string>> names_in(const Json& json, const char* key, const std::string& path) {
  const auto found = json.find(key);
  const bool names = found != json.end() && found->is_array() && !found->empty() &&
                     std::all_of(found->begin(), found->end(), [](const Json& v) { return v.is_string(); });
  if (!names) return make_error(Code::kParse, fmt::format("'{}' is no list of names", key), path);
  auto out = found->get<std::vector<std::string>>();
  if (std::set<std::string>(out.begin(), out.end()).size() != out.size())
    return make_error(Code::kValue, fmt::format("'{}' names one twice", key), path);
  return out;
}

}  // namespace

base::Result<NetworkPolicy> read_network_policy(const std::string& path, double temperature) {
  PL_CHECK(base::check_in("network_policy", "temperature", temperature, 0, 1e300));
  data::ReadLimits limits;
  limits.file_bytes = 1U << 24U;
  PL_TRY(const data::Bytes bytes, data::map_file(path, limits));
  const auto* const text = reinterpret_cast<const char*>(bytes.data.get());
  const Json json = Json::parse(text, text + bytes.size, nullptr, false);
  if (json.is_discarded() || !json.is_object() || !json.contains("onnx") || !json["onnx"].is_string())
    return make_error(Code::kParse, "is no description of a network", path,
                      "expected {\"onnx\": \"FILE\", \"features\": [...], \"actions\": [...]}");
  NetworkPolicy out;
  out.temperature = temperature;
  PL_TRY(out.features, names_in(json, "features", path));
  PL_TRY(out.actions, names_in(json, "actions", path));
  const std::filesystem::path file(json["onnx"].get<std::string>());
  const std::string resolved =
      file.is_absolute() ? file.string() : (std::filesystem::path(path).parent_path() / file).string();
  PL_TRY(graph::Graph network, graph::read_onnx(resolved));
  const auto width = static_cast<std::int64_t>(out.features.size());
  const bool fits = network.inputs.size() == 1 && network.outputs.size() == 1 && network.inputs[0].shape.size() == 2 &&
                    (network.inputs[0].shape[1] < 0 || network.inputs[0].shape[1] == width);
  if (!fits)
    return make_error(Code::kValue, fmt::format("a network from (rows, {}) to one output is expected", width), resolved,
                      "features are the columns of its one input");
  out.network = std::make_shared<const graph::Graph>(std::move(network));
  return out;
}

base::Result<TargetPtr> network_policy(const NetworkPolicy& policy, const data::DecisionLog& log) {
  std::vector<const data::Column*> columns;
  for (const std::string& name : policy.features) {
    const data::Column* column = log.context.find(name);
    if (column == nullptr || column->kind != data::Column::Kind::kNumber) {
      std::vector<std::string> known;
      for (const data::Column& c : log.context.columns) known.push_back(c.name);
      const std::string near = base::nearest(name, known);
      return make_error(Code::kValue,
                        column == nullptr ? fmt::format("feature '{}' is not in the log", name.substr(0, 60))
                                          : fmt::format("feature '{}' is no number", name.substr(0, 60)),
                        {},
                        near.empty() || column != nullptr ? std::string() : fmt::format("did you mean '{}'?", near));
    }
    columns.push_back(column);
  }
  std::vector<int> place;
  for (const std::string& action : log.action_names) {
    const auto found = std::find(policy.actions.begin(), policy.actions.end(), action);
    place.push_back(found == policy.actions.end() ? -1 : static_cast<int>(found - policy.actions.begin()));
  }
  const graph::Port& port = policy.network->inputs[0];
  const std::size_t batch = port.shape[0] > 0 ? static_cast<std::size_t>(port.shape[0]) : 1024;
  const std::size_t width = columns.size();
  const std::size_t actions = policy.actions.size();
  std::vector<double> scores(log.rows() * actions);
  for (std::size_t first = 0; first < log.rows(); first += batch) {
    const std::size_t rows = std::min(batch, log.rows() - first);
    // The last batch is padded: a row's score does not depend on how many came with it.
    graph::Tensor input;
    input.type = port.type;
    input.shape = {static_cast<std::int64_t>(batch), static_cast<std::int64_t>(width)};
    input.reals.assign(batch * width, 0.0);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < width; ++j) {
        const double v = columns[j]->numbers[first + i];
        if (!std::isfinite(v))
          return make_error(Code::kValue, fmt::format("decision {} has no '{}', which the network reads", first + i + 1,
                                                      policy.features[j].substr(0, 60)));
        input.reals[i * width + j] = v;
      }
    }
    PL_TRY(const auto values, graph::interpret(*policy.network, {{port.name, std::move(input)}}));
    const graph::Tensor& output = values.at(policy.network->outputs[0].name);
    if (output.reals.size() != batch * actions)
      return make_error(Code::kShape,
                        fmt::format("the network gives {} numbers for {} rows, expected {} a row", output.reals.size(),
                                    batch, actions),
                        {}, "one score for each of `actions`");
    for (std::size_t k = 0; k < rows * actions; ++k) {
      if (!std::isfinite(output.reals[k]))
        return make_error(Code::kValue,
                          fmt::format("the network's score in decision {} is not finite", first + k / actions + 1));
      scores[first * actions + k] = output.reals[k];
    }
  }
  return TargetPtr(std::make_shared<Network>(std::move(scores), actions, std::move(place), policy.temperature));
}

}  // namespace plumbline::counterfactual
