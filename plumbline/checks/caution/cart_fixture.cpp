#include "plumbline/checks/caution/cart_fixture.hpp"

#include <fstream>

#include <fmt/format.h>

#include "plumbline/graph/onnx.hpp"

namespace plumbline::checks {

base::Status write_cart(const std::string& folder, const CartOptions& options) {
  // relu(z + 1) - relu(z - 1) - 1 holds z within [-1, 1].
  graph::Graph graph{.name = "cart", .opset = 13, .inputs = {}, .outputs = {}, .initializers = {}, .nodes = {}};
  const auto floats = [](std::vector<std::int64_t> shape, std::vector<double> values) {
    return graph::Tensor{
        .type = graph::Type::kFloat, .shape = std::move(shape), .reals = std::move(values), .integers = {}};
  };
  const double damping = static_cast<float>(options.damping);
  graph.inputs = {{"state", graph::Type::kFloat, {-1, 2}}};
  graph.outputs = {{"push", graph::Type::kFloat, {-1, 1}}};
  graph.initializers["w"] = floats({2, 2}, {-1, -1, -damping, -damping});
  graph.initializers["b"] = floats({2}, {1, -1});
  graph.initializers["v"] = floats({2, 1}, {1, -1});
  graph.initializers["c"] = floats({1}, {-1});
  graph.nodes = {{"sum", "Gemm", {"state", "w", "b"}, {"z"}, {}},
                 {"bend", "Relu", {"z"}, {"h"}, {}},
                 {"out", "Gemm", {"h", "v", "c"}, {"push"}, {}}};
  PL_CHECK(graph::write_onnx(graph, folder + "/controller.onnx"));
  std::ofstream out(folder + "/loop.toml");
  out << fmt::format(R"(# A cart on a rail, pushed by a network that is asked five times a second.
[loop]
name = "Cart"
period = 0.2
steps = 30

[constants]
drag = {}

[states]
x = {{ initial = [{}, {}], unit = "m" }}
v = {{ initial = [-0.1, 0.1], unit = "m/s" }}

[controller]
network = "controller.onnx"
inputs = ["x", "v"]

[controller.controls]
push = "N1"

[dynamics]
x = "v"
v = "push - drag*v^3"

# The wall.
[[property]]
always = "x >= {}"
)",
                     options.drag, options.start - 0.1, options.start + 0.1, options.wall);
  if (options.comes_to_rest) out << "\n[[property]]\nfinally = [\"-0.1 <= x <= 0.1\", \"-0.1 <= v <= 0.1\"]\n";
  if (!out.flush())
    return base::make_error(base::Code::kIo, "cannot be written", folder + "/loop.toml",
                            "Check that the folder is writable");
  return base::ok();
}

}  // namespace plumbline::checks
