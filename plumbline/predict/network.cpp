#include "plumbline/predict/network.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/graph/onnx.hpp"

namespace plumbline::predict {
namespace {

using base::Code;
using base::make_error;
using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "checkpoints hold little-endian floats");

constexpr std::int64_t kMostWeights = 100'000'000;
constexpr std::string_view kMagic = "plumbline network 1\n";
constexpr std::string_view kMagicStem = "plumbline network ";

base::Status check_spec(const NetworkSpec& spec) {
  if (spec.kind != "mlp" && spec.kind != "cnn") {
    return make_error(Code::kValue, fmt::format("network kind is '{}', expected mlp or cnn", spec.kind));
  }
  PL_CHECK(base::check_at_least("build_network", "classes", spec.classes, 2));
  PL_CHECK(base::check_in("build_network", "classes", static_cast<double>(spec.classes), 2, 100'000));
  PL_CHECK(base::check_at_least("build_network", "axes of input_shape",
                                static_cast<std::ptrdiff_t>(spec.input_shape.size()), 1));
  const bool cnn = spec.kind == "cnn";
  if (cnn) {
    PL_CHECK(base::check_size("build_network", "input_shape of a cnn (channels, height, width)",
                              static_cast<std::ptrdiff_t>(spec.input_shape.size()), 3));
    PL_CHECK(base::check_size("build_network", "channels", static_cast<std::ptrdiff_t>(spec.channels.size()), 2));
  }
  for (const std::int64_t axis : spec.input_shape)
    PL_CHECK(base::check_in("build_network", "an axis of input_shape", static_cast<double>(axis), 1, 1e7));
  if (cnn) {
    PL_CHECK(base::check_at_least("build_network", "height", spec.input_shape[1], 4));
    PL_CHECK(base::check_at_least("build_network", "width", spec.input_shape[2], 4));
    for (const std::int64_t width : spec.channels)
      PL_CHECK(base::check_in("build_network", "channels", static_cast<double>(width), 1, 4096));
    PL_CHECK(base::check_in("build_network", "dense", static_cast<double>(spec.dense), 1, 65536));
  } else {
    PL_CHECK(base::check_in("build_network", "hidden layers", static_cast<double>(spec.hidden.size()), 0, 64));
    for (const std::int64_t width : spec.hidden)
      PL_CHECK(base::check_in("build_network", "hidden", static_cast<double>(width), 1, 65536));
  }
  return base::ok();
}

/// Adds nodes one after another and keeps count of the weights.
class Builder {
 public:
  /// Without a stream the weights have shapes and no values.
  Builder(const NetworkSpec& spec, const base::Rng* rng) : rng_(rng) {
    graph_.name = "plumbline " + spec.kind;
    graph_.opset = 13;
    graph::Port input{"input", graph::Type::kFloat, {-1}};
    input.shape.insert(input.shape.end(), spec.input_shape.begin(), spec.input_shape.end());
    graph_.inputs = {std::move(input)};
    graph_.outputs = {{"logits", graph::Type::kFloat, {-1, spec.classes}}};
  }

  void node(const std::string& op, const std::string& name, std::vector<std::string> extra, const std::string& output,
            std::map<std::string, graph::Attribute> attributes = {}) {
    std::vector<std::string> inputs = {last_};
    inputs.insert(inputs.end(), extra.begin(), extra.end());
    graph_.nodes.push_back({name, op, std::move(inputs), {output}, std::move(attributes)});
    last_ = output;
  }

  base::Status weight(const std::string& name, std::vector<std::int64_t> shape, std::int64_t fan_in, double gain) {
    graph::Tensor tensor;
    tensor.shape = std::move(shape);
    double size = 1;
    for (const std::int64_t axis : tensor.shape) size *= static_cast<double>(axis);
    total_ += size;
    if (total_ > static_cast<double>(kMostWeights)) {
      return make_error(Code::kLimit, fmt::format("the network has more than {} weights", kMostWeights));
    }
    if (rng_ != nullptr) tensor.reals.assign(static_cast<std::size_t>(size), 0.0);
    if (rng_ != nullptr && gain > 0) {
      base::Rng stream = rng_->fork(name);
      const double bound = std::sqrt(gain / static_cast<double>(fan_in));
      for (double& value : tensor.reals) value = static_cast<float>(stream.uniform(-bound, bound));
    }
    graph_.initializers.emplace(name, std::move(tensor));
    return base::ok();
  }

  base::Status dense(const std::string& name, std::int64_t from, std::int64_t to, const std::string& output,
                     bool last) {
    PL_CHECK(weight(name + ".weight", {to, from}, from, last ? 3.0 : 6.0));
    PL_CHECK(weight(name + ".bias", {to}, from, 0));
    node("Gemm", name, {name + ".weight", name + ".bias"}, output, {{"transB", std::int64_t{1}}});
    return base::ok();
  }

  graph::Graph take() { return std::move(graph_); }

 private:
  const base::Rng* rng_;
  graph::Graph graph_;
  std::string last_ = "input";
  double total_ = 0;
};

std::vector<std::uint8_t> bytes_of(std::span<const float> values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(float));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// Walks CBOR before it is read: the reader recurses with the depth and believes declared sizes.
class Bounds : public nlohmann::json_sax<Json> {
 public:
  explicit Bounds(std::size_t bytes) : bytes_(bytes) {}
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t elements) override { return enter(elements); }
  bool start_array(std::size_t elements) override { return enter(elements); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  static constexpr int kDepth = 8;  // the format itself has four levels
  bool enter(std::size_t elements) {
    return ++depth_ <= kDepth && (elements == static_cast<std::size_t>(-1) || elements <= bytes_);
  }
  bool leave() {
    --depth_;
    return true;
  }
  std::size_t bytes_;
  int depth_ = 0;
};

base::Result<std::vector<float>> floats_of(const Json& json, const std::string& name) {
  if (!json.is_binary() || json.get_binary().size() % sizeof(float) != 0) {
    return make_error(Code::kParse, fmt::format("'{}' is no list of floats", name));
  }
  const auto& bytes = json.get_binary();
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  PL_CHECK(base::check_all_finite("read_checkpoint", name, values));
  return values;
}

base::Result<graph::Graph> build(const NetworkSpec& spec, const base::Rng* rng) {
  PL_CHECK(check_spec(spec));
  Builder net(spec, rng);
  std::int64_t width = 1;
  if (spec.kind == "cnn") {
    std::int64_t from = spec.input_shape[0];
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string name = fmt::format("conv{}", i + 1);
      const std::int64_t to = spec.channels[i];
      PL_CHECK(net.weight(name + ".weight", {to, from, 3, 3}, 9 * from, 6.0));
      PL_CHECK(net.weight(name + ".bias", {to}, from, 0));
      net.node("Conv", name, {name + ".weight", name + ".bias"}, name + ".out",
               {{"kernel_shape", std::vector<std::int64_t>{3, 3}}, {"pads", std::vector<std::int64_t>{1, 1, 1, 1}}});
      // The maximum and the ReLU commute; pooled first, the ReLU sees a quarter of the numbers.
      net.node("MaxPool", fmt::format("pool{}", i + 1), {}, fmt::format("pool{}.out", i + 1),
               {{"kernel_shape", std::vector<std::int64_t>{2, 2}}, {"strides", std::vector<std::int64_t>{2, 2}}});
      net.node("Relu", fmt::format("relu{}", i + 1), {}, fmt::format("relu{}.out", i + 1));
      from = to;
    }
    width = from * (spec.input_shape[1] / 4) * (spec.input_shape[2] / 4);
    net.node("Flatten", "flatten", {}, "flat", {{"axis", std::int64_t{1}}});
    PL_CHECK(net.dense("dense1", width, spec.dense, "dense1.out", false));
    net.node("Relu", "relu3", {}, "features");
    width = spec.dense;
  } else {
    for (const std::int64_t axis : spec.input_shape) {
      if (axis > kMostWeights / width)
        return make_error(Code::kLimit, fmt::format("the input has more than {} numbers", kMostWeights));
      width *= axis;
    }
    net.node("Flatten", "flatten", {}, spec.hidden.empty() ? "features" : "flat", {{"axis", std::int64_t{1}}});
    for (std::size_t i = 0; i < spec.hidden.size(); ++i) {
      const std::string name = fmt::format("dense{}", i + 1);
      PL_CHECK(net.dense(name, width, spec.hidden[i], name + ".out", false));
      const bool last = i + 1 == spec.hidden.size();
      net.node("Relu", fmt::format("relu{}", i + 1), {}, last ? "features" : fmt::format("relu{}.out", i + 1));
      width = spec.hidden[i];
    }
  }
  PL_CHECK(net.dense("head", width, spec.classes, "logits", true));
  return net.take();
}

}  // namespace

base::Result<graph::Graph> build_network(const NetworkSpec& spec, const base::Rng& rng) { return build(spec, &rng); }

base::Result<graph::Graph> network_graph(const Checkpoint& checkpoint) {
  PL_TRY(graph::Graph graph, build(checkpoint.spec, nullptr));
  if (graph.initializers.size() != checkpoint.weights.size()) {
    return make_error(Code::kShape, fmt::format("{} weight tensors, expected {}", checkpoint.weights.size(),
                                                graph.initializers.size()));
  }
  for (auto& [name, tensor] : graph.initializers) {
    const auto found = checkpoint.weights.find(name);
    if (found == checkpoint.weights.end() || found->second.shape != tensor.shape ||
        static_cast<std::int64_t>(found->second.reals.size()) != tensor.size()) {
      return make_error(Code::kShape,
                        fmt::format("weight '{}' is missing or has another shape than the network's", name));
    }
    tensor.reals = found->second.reals;
  }
  return graph;
}

base::Status write_checkpoint(const Checkpoint& checkpoint, const std::string& path) {
  Json json;
  const NetworkSpec& spec = checkpoint.spec;
  json["spec"] = {{"kind", spec.kind},     {"input_shape", spec.input_shape}, {"classes", spec.classes},
                  {"hidden", spec.hidden}, {"channels", spec.channels},       {"dense", spec.dense}};
  json["settings"] = checkpoint.settings;
  json["data"] = checkpoint.data;
  json["epochs"] = checkpoint.epochs;
  json["steps"] = checkpoint.steps;
  json["losses"] = checkpoint.losses;
  json["weights"] = Json::object();
  json["state"] = Json::object();
  for (const auto& [name, tensor] : checkpoint.weights) {
    const std::vector<float> values(tensor.reals.begin(), tensor.reals.end());
    json["weights"][name] = {{"shape", tensor.shape}, {"values", Json::binary(bytes_of(values))}};
  }
  for (const auto& [name, values] : checkpoint.state) json["state"][name] = Json::binary(bytes_of(values));
  const std::vector<std::uint8_t> body = Json::to_cbor(json);
  const std::string beside = fmt::format("{}.{}.part", path, ::getpid());
  {
    std::ofstream out(beside, std::ios::binary);
    out << kMagic;
    out.write(reinterpret_cast<const char*>(body.data()), static_cast<std::streamsize>(body.size()));
    if (!out.flush()) {
      std::error_code ignored;
      std::filesystem::remove(beside, ignored);
      return make_error(Code::kIo, "cannot write the checkpoint", path,
                        "See whether the folder exists and the disk has room");
    }
  }
  std::error_code code;
  std::filesystem::rename(beside, path, code);
  if (code)
    return make_error(Code::kIo, fmt::format("cannot move the checkpoint into place: {}", code.message()), path);
  return base::ok();
}

base::Result<Checkpoint> parse_checkpoint(std::string_view bytes) {
  if (!bytes.starts_with(kMagicStem)) return make_error(Code::kParse, "not a Plumbline network");
  if (!bytes.starts_with(kMagic))
    return make_error(Code::kUnsupported, "the file is of a later format", {}, "Use the version that wrote it");
  bytes.remove_prefix(kMagic.size());
  Bounds bounds(bytes.size());
  if (!Json::sax_parse(bytes.begin(), bytes.end(), &bounds, Json::input_format_t::cbor)) {
    return make_error(Code::kParse, "the file is truncated or damaged");
  }
  const Json json = Json::from_cbor(bytes.begin(), bytes.end(), true, false);
  if (json.is_discarded() || !json.is_object()) return make_error(Code::kParse, "the file is truncated or damaged");
  Checkpoint checkpoint;
  try {
    const Json& spec = json.at("spec");
    checkpoint.spec.kind = spec.at("kind").get<std::string>();
    checkpoint.spec.input_shape = spec.at("input_shape").get<std::vector<std::int64_t>>();
    checkpoint.spec.classes = spec.at("classes").get<std::int64_t>();
    checkpoint.spec.hidden = spec.at("hidden").get<std::vector<std::int64_t>>();
    checkpoint.spec.channels = spec.at("channels").get<std::vector<std::int64_t>>();
    checkpoint.spec.dense = spec.at("dense").get<std::int64_t>();
    checkpoint.settings = json.at("settings").get<std::string>();
    checkpoint.data = json.at("data").get<std::string>();
    checkpoint.epochs = json.at("epochs").get<std::int64_t>();
    checkpoint.steps = json.at("steps").get<std::int64_t>();
    checkpoint.losses = json.at("losses").get<std::vector<double>>();
    for (const auto& [name, entry] : json.at("weights").items()) {
      graph::Tensor tensor;
      tensor.shape = entry.at("shape").get<std::vector<std::int64_t>>();
      PL_TRY(const std::vector<float> values, floats_of(entry.at("values"), name));
      tensor.reals.assign(values.begin(), values.end());
      checkpoint.weights.emplace(name, std::move(tensor));
    }
    for (const auto& [name, entry] : json.at("state").items()) {
      PL_TRY(checkpoint.state[name], floats_of(entry, name));
    }
  } catch (const Json::exception& error) {
    return make_error(Code::kParse, fmt::format("a field is missing or of another type ({})", error.what()));
  }
  PL_TRY(const graph::Graph fits, network_graph(checkpoint));
  (void)fits;
  return checkpoint;
}

base::Result<Checkpoint> read_checkpoint(const std::string& path, std::uint64_t file_bytes) {
  std::error_code code;
  const auto size = std::filesystem::file_size(path, code);
  if (code) return make_error(Code::kIo, fmt::format("cannot read the file: {}", code.message()), path);
  if (size > file_bytes)
    return make_error(Code::kLimit, fmt::format("{} bytes, more than the limit of {}", size, file_bytes), path);
  std::string bytes(size, '\0');
  std::ifstream in(path, std::ios::binary);
  if (!in.read(bytes.data(), static_cast<std::streamsize>(size)))
    return make_error(Code::kIo, "cannot read the file", path);
  auto parsed = parse_checkpoint(bytes);
  if (!parsed.ok()) return parsed.error().at(path);
  return parsed;
}

base::Result<graph::Graph> model_graph(const std::string& path, const std::vector<std::int64_t>& input_shape) {
  graph::Graph graph;
  if (path.ends_with(".plnet")) {
    PL_TRY(const Checkpoint checkpoint, read_checkpoint(path));
    PL_TRY(graph, network_graph(checkpoint));
  } else if (path.ends_with(".onnx")) {
    PL_TRY(graph, graph::read_onnx(path));
  } else {
    return base::make_error(base::Code::kUnsupported, "the graph of this kind of model cannot be read", path,
                            "export the model to ONNX");
  }
  for (graph::Port& port : graph.inputs) {
    if (port.shape.size() != input_shape.size() + 1) continue;
    for (std::size_t a = 0; a < input_shape.size(); ++a) {
      if (port.shape[a + 1] < 0) port.shape[a + 1] = input_shape[a];
    }
  }
  return graph;
}

}  // namespace plumbline::predict
