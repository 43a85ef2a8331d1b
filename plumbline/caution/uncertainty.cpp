#include "plumbline/caution/uncertainty.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/caution/probabilities.hpp"
#include "plumbline/data/csv.hpp"

namespace plumbline::caution {
namespace {

using base::Code;

std::span<const double> row_of(MatrixRefD rows, std::ptrdiff_t i) {
  return {rows.data() + i * rows.outerStride(), static_cast<std::size_t>(rows.cols())};
}

std::size_t cheapest(const MatrixD& costs, std::ptrdiff_t reading) {
  std::ptrdiff_t best = 0;
  for (std::ptrdiff_t a = 1; a < costs.cols(); ++a) {
    if (costs(reading, a) < costs(reading, best)) best = a;
  }
  return static_cast<std::size_t>(best);
}

base::Status unique_names(std::string_view function, std::string_view what, const std::vector<std::string>& names) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (name.empty())
      return base::make_error(Code::kValue, fmt::format("{} without a name", what), std::string(function));
    if (!seen.insert(name).second) {
      return base::make_error(Code::kValue, fmt::format("{} '{}' is named twice", what, name), std::string(function));
    }
  }
  return base::ok();
}

base::Error in_section(const data::OtherSection& section, Code code, std::string message, std::string hint = {}) {
  return base::make_error(code, std::move(message), fmt::format("[reward.{}], line {}", section.name, section.line),
                          std::move(hint));
}

base::Result<double> prior_of(const data::OtherSection& section) {
  const auto found = section.keys.find("prior");
  if (found == section.keys.end()) return 0.0;
  double prior = 0;
  if (const auto* whole = std::get_if<std::int64_t>(&found->second)) prior = static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&found->second)) prior = *real;
  if (!(prior > 0) || !std::isfinite(prior)) {
    return in_section(section, Code::kValue, fmt::format("prior is {}, expected a number above 0", prior));
  }
  return prior;
}

/// One reading and the actions that its file names.
struct ReadCosts {
  CostReading reading;
  std::vector<std::string> actions;
};

base::Result<ReadCosts> read_section(const data::OtherSection& section, std::span<const std::string> classes) {
  const auto path = section.paths.find("path");
  if (path == section.paths.end()) {
    return in_section(section, Code::kValue, "kind \"costs\" needs `path`",
                      "Name a CSV file with the column action and one column a class");
  }
  data::TableOptions options;
  options.types["action"] = data::Column::Kind::kText;
  for (const std::string& name : classes) options.types[name] = data::Column::Kind::kNumber;
  const auto read = data::read_csv(path->second.resolved, options);
  if (!read.ok()) return read.error().at(fmt::format("[reward.{}]", section.name));
  for (const data::Column& column : read->columns) {
    if (column.name == "action" || std::find(classes.begin(), classes.end(), column.name) != classes.end()) continue;
    return in_section(section, Code::kShape,
                      fmt::format("{}: column '{}' is for no class (classes: {})", path->second.written, column.name,
                                  fmt::join(classes, ", ")));
  }
  ReadCosts result;
  result.actions = read->find("action")->texts;
  result.reading.name = section.name;
  PL_TRY(result.reading.weight, prior_of(section));
  const auto rows = static_cast<std::ptrdiff_t>(read->rows());
  result.reading.cost.resize(rows, std::ssize(classes));
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const data::Column* column = read->find(classes[c]);
    for (std::ptrdiff_t a = 0; a < rows; ++a) {
      const double cost = column->numbers[static_cast<std::size_t>(a)];
      if (!std::isfinite(cost)) {
        return in_section(
            section, Code::kValue,
            fmt::format("{}: the cost of action '{}' for class '{}' is {}, expected a number", path->second.written,
                        result.actions[static_cast<std::size_t>(a)], classes[c], cost));
      }
      result.reading.cost(a, static_cast<std::ptrdiff_t>(c)) = cost;
    }
  }
  return result;
}

}  // namespace

double entropy_of(std::span<const double> p) {
  double sum = 0;
  for (const double value : p) {
    if (value > 0) sum -= value * std::log(value);
  }
  return std::max(0.0, sum);
}

base::Result<VectorD> predictive_entropy(MatrixRefD probabilities) {
  PL_CHECK(check_probabilities("predictive_entropy", probabilities));
  VectorD entropy(probabilities.rows());
  for (std::ptrdiff_t i = 0; i < probabilities.rows(); ++i) entropy(i) = entropy_of(row_of(probabilities, i));
  return entropy;
}

base::Result<UncertaintyParts> split_ensemble(std::span<const MatrixD> members) {
  constexpr std::string_view kName = "split_ensemble";
  PL_CHECK(base::check_at_least(kName, "members", std::ssize(members), 2));
  const std::ptrdiff_t n = members[0].rows();
  const std::ptrdiff_t k = members[0].cols();
  UncertaintyParts parts{MatrixD::Zero(n, k), VectorD::Zero(n), VectorD::Zero(n), VectorD::Zero(n)};
  for (std::size_t m = 0; m < members.size(); ++m) {
    const std::string name = fmt::format("{}: member {}", kName, m);
    PL_CHECK(check_probabilities(name, members[m]));
    PL_CHECK(base::check_size(name, "rows", members[m].rows(), n));
    PL_CHECK(base::check_size(name, "columns", members[m].cols(), k));
    parts.mean += members[m];
    for (std::ptrdiff_t i = 0; i < n; ++i) parts.aleatoric(i) += entropy_of(row_of(members[m], i));
  }
  const auto count = static_cast<double>(members.size());
  parts.mean /= count;
  parts.aleatoric /= count;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    parts.total(i) = entropy_of(row_of(parts.mean, i));
    parts.model(i) = std::max(0.0, parts.total(i) - parts.aleatoric(i));
  }
  return parts;
}

bool CostModel::weighted() const {
  return std::all_of(readings.begin(), readings.end(), [](const CostReading& reading) { return reading.weight > 0; });
}

CostModel zero_one_costs(std::span<const std::string> classes) {
  const auto k = std::ssize(classes);
  CostModel costs{{classes.begin(), classes.end()}, {}};
  costs.readings.push_back({"zero-one", 1, MatrixD::Ones(k, k) - MatrixD(MatrixD::Identity(k, k))});
  return costs;
}

base::Status validate(const CostModel& costs, std::ptrdiff_t classes) {
  constexpr std::string_view kName = "CostModel";
  PL_CHECK(base::check_at_least(kName, "actions", std::ssize(costs.actions), 1));
  PL_CHECK(base::check_at_least(kName, "readings", std::ssize(costs.readings), 1));
  PL_CHECK(unique_names(kName, "an action", costs.actions));
  std::vector<std::string> names;
  std::size_t declared = 0;
  for (const CostReading& reading : costs.readings) {
    names.push_back(reading.name);
    const std::string where = fmt::format("reading '{}'", reading.name);
    PL_CHECK(base::check_size(where, "actions", reading.cost.rows(), std::ssize(costs.actions)));
    PL_CHECK(base::check_size(where, "classes", reading.cost.cols(), classes));
    PL_CHECK(base::check_all_finite(where, "cost",
                                    std::span(reading.cost.data(), static_cast<std::size_t>(reading.cost.size()))));
    PL_CHECK(base::check_in(where, "weight", reading.weight, 0, 1e12));
    declared += reading.weight > 0 ? 1 : 0;
  }
  PL_CHECK(unique_names(kName, "a reading", names));
  if (declared != 0 && declared != costs.readings.size()) {
    return base::make_error(Code::kValue,
                            fmt::format("{} of {} readings have a weight", declared, costs.readings.size()),
                            std::string(kName), "Declare a prior for all readings or for none");
  }
  return base::ok();
}

MatrixD expected_costs(const CostModel& costs, std::span<const double> p) {
  MatrixD expected = MatrixD::Zero(std::ssize(costs.readings), std::ssize(costs.actions));
  for (std::ptrdiff_t r = 0; r < expected.rows(); ++r) {
    const MatrixD& cost = costs.readings[static_cast<std::size_t>(r)].cost;
    for (std::ptrdiff_t a = 0; a < expected.cols(); ++a) {
      double sum = 0;
      for (std::size_t c = 0; c < p.size(); ++c) sum += p[c] * cost(a, static_cast<std::ptrdiff_t>(c));
      expected(r, a) = sum;
    }
  }
  return expected;
}

std::vector<decision::Reading> recommend(const CostModel& costs, std::span<const double> p) {
  const MatrixD expected = expected_costs(costs, p);
  std::vector<decision::Reading> readings;
  readings.reserve(costs.readings.size());
  for (std::size_t r = 0; r < costs.readings.size(); ++r) {
    const CostReading& reading = costs.readings[r];
    readings.push_back(
        {reading.name, costs.actions[cheapest(expected, static_cast<std::ptrdiff_t>(r))], reading.weight});
  }
  return readings;
}

base::Result<std::vector<std::uint8_t>> readings_differ(const CostModel& costs, MatrixRefD probabilities) {
  PL_CHECK(check_probabilities("readings_differ", probabilities));
  PL_CHECK(validate(costs, probabilities.cols()));
  std::vector<std::uint8_t> differ(static_cast<std::size_t>(probabilities.rows()), 0);
  for (std::ptrdiff_t i = 0; i < probabilities.rows(); ++i) {
    const MatrixD expected = expected_costs(costs, row_of(probabilities, i));
    for (std::ptrdiff_t r = 1; r < expected.rows(); ++r) {
      if (cheapest(expected, r) != cheapest(expected, 0)) differ[static_cast<std::size_t>(i)] = 1;
    }
  }
  return differ;
}

std::vector<const data::OtherSection*> cost_sections(const data::Manifest& manifest, const std::string& model) {
  std::vector<const data::OtherSection*> found;
  for (const data::OtherSection& section : manifest.others) {
    if (section.kind != "reward" || section.text("kind") != "costs") continue;
    const auto about = section.keys.find("models");
    const auto* names = about == section.keys.end() ? nullptr : std::get_if<std::vector<std::string>>(&about->second);
    if (names == nullptr || std::find(names->begin(), names->end(), model) != names->end()) found.push_back(&section);
  }
  return found;
}

base::Result<CostModel> read_costs(const data::Manifest& manifest, const std::string& model,
                                   std::span<const std::string> classes) {
  CostModel costs;
  for (const data::OtherSection* section : cost_sections(manifest, model)) {
    PL_TRY(ReadCosts read, read_section(*section, classes));
    if (costs.readings.empty()) costs.actions = read.actions;
    if (read.actions != costs.actions) {
      return in_section(*section, Code::kShape,
                        fmt::format("its actions are {}, those of [reward.{}] are {}", fmt::join(read.actions, ", "),
                                    costs.readings.front().name, fmt::join(costs.actions, ", ")),
                        "All readings name the same actions in the same order");
    }
    costs.readings.push_back(std::move(read.reading));
  }
  if (!costs.readings.empty()) PL_CHECK(validate(costs, std::ssize(classes)));
  return costs;
}

}  // namespace plumbline::caution
