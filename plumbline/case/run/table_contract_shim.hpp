#pragma once
#include "plumbline/data/dataset.hpp"
namespace plumbline::data {
class TableContract {
 public:
  static base::Result<TableContract> fit(const Table&) { return base::make_error(base::Code::kUnsupported, "tables have no contract in this build"); }
  static base::Result<TableContract> raw(const std::vector<std::string>&) { return fit({}); }
  std::string hash() const { return {}; }
  base::Result<MatrixF> encode(const Table&, std::span<const std::size_t>) const { return base::make_error(base::Code::kUnsupported, "tables have no contract in this build"); }
};
}  // namespace plumbline::data
