#include "plumbline/checks/robustness/matrix_fixture.hpp"

#include <fstream>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/graph/onnx.hpp"

namespace plumbline::checks {

base::Status write_matrix_fixture(const std::string& folder, base::Rng& rng, const graph::Graph& model,
                                  const MatrixD& rows, std::span<const int> labels, std::string_view section,
                                  std::string_view claim) {
  PL_CHECK(graph::write_onnx(model, folder + "/reader.onnx"));
  PL_CHECK(data::write_npy(folder + "/test.npy", rows));
  std::ofstream file(folder + "/labels.txt");
  for (const int label : labels) file << label << '\n';
  if (!file.flush()) return base::make_error(base::Code::kIo, "cannot write the fixture", folder + "/labels.txt");
  return write_fixture_manifest(
      folder, rng.below(1000000000),
      fmt::format("[model.reader]\npath = \"reader.onnx\"\noutput = \"logits\"\n\n[data.test]\n"
                  "matrix = \"test.npy\"\nlabels = \"labels.txt\"\n\n{}",
                  section),
      claim);
}

}  // namespace plumbline::checks
