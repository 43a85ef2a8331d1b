#include "plumbline/counterfactual/causal/linear.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/text.hpp"
#include "plumbline/counterfactual/causal/network.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/stats/linalg.hpp"

namespace plumbline::counterfactual::causal {
namespace {

using base::Code;
using base::make_error;

std::size_t at(int v) { return static_cast<std::size_t>(v); }

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

bool is_name(std::string_view word) {
  if (word.empty() || (word[0] >= '0' && word[0] <= '9') || word[0] == '.') return false;
  return word.find_first_of(" \t=+*()#,") == std::string_view::npos;
}

struct SignedTerm {
  double sign = 1;
  std::string_view text;
};

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (text = trim(text); !text.empty(); text = trim(text)) {
    out.push_back(text.substr(0, text.find_first_of(" \t")));
    text.remove_prefix(out.back().size());
  }
  return out;
}

class Parser {
 public:
  explicit Parser(const std::string& name) : name_(name) {}

  base::Result<LinearModel> run(std::string_view text) {
    std::size_t first = 0;
    while (first <= text.size()) {
      ++line_;
      const std::size_t end = std::min(text.find('\n', first), text.size());
      std::string_view one = text.substr(first, end - first);
      one = trim(one.substr(0, one.find('#')));
      if (!one.empty()) PL_CHECK(equation(one));
      first = end + 1;
    }
    for (const auto& [variable, line] : used_) {
      if (numbers_.contains(variable)) continue;
      line_ = line;
      std::vector<std::string> names;
      for (const auto& [known, number] : numbers_) names.push_back(known);
      const std::string near = base::nearest(variable, names);
      return bad(fmt::format("'{}' has no equation", variable),
                 near.empty() ? "" : fmt::format("did you mean '{}'?", near));
    }
    for (std::size_t v = 0; v < equations_.size(); ++v)
      for (const auto& [parent, weight] : terms_[v]) equations_[v].terms.emplace_back(numbers_.at(parent), weight);
    auto made = LinearModel::make(std::move(equations_));
    if (!made.ok()) return made.error().at(name_);
    return made;
  }

 private:
  base::Error bad(std::string message, std::string hint = {}) const {
    return make_error(Code::kParse, std::move(message), fmt::format("{}:{}", name_, line_), std::move(hint));
  }

  base::Status equation(std::string_view line) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return bad("found no '='", "an equation is: y = 2 + 0.5*x + noise(0.3)");
    const std::string_view name = trim(line.substr(0, equals));
    if (!is_name(name)) return bad(fmt::format("'{}' is no name", name.substr(0, 40)));
    if (!numbers_.emplace(std::string(name), static_cast<int>(equations_.size())).second)
      return bad(fmt::format("'{}' has a second equation", name));
    equations_.push_back({std::string(name), 0, {}, 0});
    terms_.emplace_back();
    bool noisy = false;
    const std::vector<std::string_view> words = words_of(line.substr(equals + 1));
    if (words.size() % 2 == 0) return bad("the equation ends after a sign, or is empty");
    for (std::size_t k = 0; k < words.size(); k += 2) {
      if (k > 0 && words[k - 1] != "+" && words[k - 1] != "-")
        return bad(fmt::format("found '{}', expected + or - between terms", words[k - 1].substr(0, 40)));
      SignedTerm term{k > 0 && words[k - 1] == "-" ? -1.0 : 1.0, words[k]};
      if (term.text.size() > 1 && term.text[0] == '-' && is_name(term.text.substr(1))) {
        term.sign = -term.sign;
        term.text.remove_prefix(1);
      }
      PL_CHECK(add(term, noisy));
    }
    return base::ok();
  }

  base::Status add(const SignedTerm& term, bool& noisy) {
    Equation& e = equations_.back();
    double number = 0;
    if (data::parse_number(term.text, &number)) {
      e.intercept += term.sign * number;
      return base::ok();
    }
    if (term.text.starts_with("noise(") && term.text.ends_with(")")) {
      const std::string_view inner = trim(term.text.substr(6, term.text.size() - 7));
      if (noisy) return bad("there is a second noise");
      if (!data::parse_number(inner, &e.deviation) || !(e.deviation >= 0) || std::isinf(e.deviation))
        return bad(fmt::format("'{}' is no deviation, expected a number of at least 0", inner.substr(0, 40)));
      noisy = true;
      return base::ok();
    }
    const std::size_t star = term.text.find('*');
    double weight = 1;
    std::string_view name = term.text;
    if (star != std::string_view::npos) {
      if (!data::parse_number(trim(term.text.substr(0, star)), &weight))
        return bad(fmt::format("'{}' is no weight", trim(term.text.substr(0, star)).substr(0, 40)));
      name = trim(term.text.substr(star + 1));
    }
    if (!is_name(name))
      return bad(fmt::format("'{}' is no term, expected a number, a variable, 0.5*variable or noise(0.3)",
                             term.text.substr(0, 40)));
    used_.emplace(std::string(name), line_);
    terms_.back().emplace_back(std::string(name), term.sign * weight);
    return base::ok();
  }

  const std::string& name_;
  std::size_t line_ = 0;
  std::vector<Equation> equations_;
  std::vector<std::vector<std::pair<std::string, double>>> terms_;
  std::map<std::string, int, std::less<>> numbers_;
  std::map<std::string, std::size_t> used_;  ///< variables on right sides, with the first line
};

}  // namespace

double Normal::deviation(Eigen::Index k) const { return std::sqrt(std::max(0.0, covariance(k, k))); }

base::Result<LinearModel> LinearModel::make(std::vector<Equation> equations) {
  if (equations.empty()) return make_error(Code::kValue, "there is no equation");
  std::vector<std::vector<int>> parents;
  std::set<std::string> names;
  for (const Equation& e : equations) {
    if (e.name.empty()) return make_error(Code::kValue, "a variable has an empty name");
    if (!names.insert(e.name).second)
      return make_error(Code::kValue, fmt::format("'{}' has a second equation", e.name));
    if (!std::isfinite(e.intercept) || !std::isfinite(e.deviation) || e.deviation < 0)
      return make_error(Code::kValue,
                        fmt::format("'{}' holds a number that is not finite, or a deviation below 0", e.name));
    parents.emplace_back();
    for (const auto& [p, weight] : e.terms) {
      if (p < 0 || at(p) >= equations.size() || !std::isfinite(weight))
        return make_error(Code::kValue, fmt::format("'{}' has a term that is not there or not finite", e.name));
      if (std::find(parents.back().begin(), parents.back().end(), p) != parents.back().end())
        return make_error(Code::kValue, fmt::format("'{}' holds '{}' twice", e.name, equations[at(p)].name));
      parents.back().push_back(p);
    }
  }
  Ordering ordering = topological_order(parents);
  if (!ordering.cycle.empty()) {
    std::vector<std::string> cycle;
    for (const int v : ordering.cycle) cycle.push_back(equations[at(v)].name);
    cycle.push_back(cycle.front());
    return make_error(Code::kValue, fmt::format("the equations have a cycle: {}", fmt::join(cycle, " -> ")));
  }
  LinearModel out;
  out.equations_ = std::move(equations);
  out.order_ = std::move(ordering.order);
  return out;
}

base::Result<int> LinearModel::index(std::string_view name) const {
  std::vector<std::string> names;
  for (std::size_t v = 0; v < size(); ++v) {
    if (equations_[v].name == name) return static_cast<int>(v);
    names.push_back(equations_[v].name);
  }
  const std::string near = base::nearest(name, names);
  return make_error(Code::kValue, fmt::format("there is no variable '{}'", name), {},
                    near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

base::Result<Settings> LinearModel::settings(const std::vector<std::string>& texts) const {
  Settings out;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      return make_error(Code::kValue, fmt::format("'{}' is not of the form VARIABLE=NUMBER", text));
    PL_TRY(const int v, index(text.substr(0, equals)));
    Setting one{v, 0};
    if (!data::parse_number(text.substr(equals + 1), &one.value) || !std::isfinite(one.value))
      return make_error(Code::kValue, fmt::format("'{}' is not of the form VARIABLE=NUMBER", text));
    if (std::any_of(out.begin(), out.end(), [&](const Setting& s) { return s.variable == v; }))
      return make_error(Code::kValue, fmt::format("'{}' is given twice", equation(v).name));
    out.push_back(one);
  }
  return out;
}

LinearModel::World LinearModel::solve(const Settings& set) const {
  const auto n = static_cast<Eigen::Index>(size());
  World out{VectorD::Zero(n), MatrixD::Zero(n, n)};
  for (const int v : order_) {
    const auto held = std::find_if(set.begin(), set.end(), [&](const Setting& s) { return s.variable == v; });
    if (held != set.end()) {
      out.offset(v) = held->value;
      continue;
    }
    const Equation& e = equation(v);
    out.offset(v) = e.intercept;
    out.loads(v, v) = e.deviation;
    for (const auto& [p, weight] : e.terms) {
      out.offset(v) += weight * out.offset(p);
      for (Eigen::Index k = 0; k < n; ++k) out.loads(v, k) += weight * out.loads(p, k);
    }
  }
  return out;
}

base::Result<Normal> LinearModel::condition(const std::vector<int>& targets, const World& of_targets,
                                            const Settings& seen, const World& of_seen) const {
  if (targets.empty()) return make_error(Code::kValue, "there is no target");
  const auto n = static_cast<Eigen::Index>(size());
  const auto t = static_cast<Eigen::Index>(targets.size());
  const auto s = static_cast<Eigen::Index>(seen.size());
  MatrixD wanted(t, n);
  Normal out{VectorD(t), MatrixD()};
  for (Eigen::Index k = 0; k < t; ++k) {
    wanted.row(k) = of_targets.loads.row(targets[static_cast<std::size_t>(k)]);
    out.mean(k) = of_targets.offset(targets[static_cast<std::size_t>(k)]);
  }
  out.covariance = wanted * wanted.transpose();
  if (s == 0) return out;
  MatrixD known(s, n);
  VectorD gap(s);
  for (Eigen::Index k = 0; k < s; ++k) {
    const Setting& one = seen[static_cast<std::size_t>(k)];
    known.row(k) = of_seen.loads.row(one.variable);
    gap(k) = one.value - of_seen.offset(one.variable);
  }
  // Scaled to unit variances, so that "singular" does not depend on units.
  const VectorD scale = known.rowwise().norm();
  for (Eigen::Index k = 0; k < s; ++k) {
    if (scale(k) == 0)
      return make_error(Code::kValue, fmt::format("'{}' is fixed by the model: nothing can be learned from seeing it",
                                                  equation(seen[static_cast<std::size_t>(k)].variable).name));
    known.row(k) /= scale(k);
    gap(k) /= scale(k);
  }
  const MatrixD inner = known * known.transpose();
  const auto factor = stats::Cholesky::factor(inner);
  constexpr double kSmallest = 1e-10;  // of a pivot, where one is the variance of each
  if (!factor.ok() || factor->lower().diagonal().cwiseAbs2().minCoeff() < kSmallest)
    return make_error(Code::kValue, "the evidence holds variables that the model ties together", {},
                      "leave out one that follows from the others");
  const MatrixD cross = known * wanted.transpose();
  PL_TRY(const VectorD by_gap, factor->solve(gap));
  PL_TRY(const MatrixD by_cross, factor->solve(cross));
  out.mean += cross.transpose() * by_gap;
  out.covariance -= cross.transpose() * by_cross;
  return out;
}

base::Result<Normal> LinearModel::query(const std::vector<int>& targets, const Settings& seen,
                                        const Settings& set) const {
  const World after = solve(set);
  return condition(targets, after, seen, after);
}

base::Result<Normal> LinearModel::imagine(const std::vector<int>& targets, const Settings& seen,
                                          const Settings& set) const {
  return condition(targets, solve(set), seen, solve({}));
}

base::Result<LinearModel> parse_linear(std::string_view text, const std::string& name) {
  return data::guarded(name, [&]() -> base::Result<LinearModel> {
    if (!data::is_utf8(text)) return make_error(Code::kParse, "is not UTF-8 text", name);
    return Parser(name).run(text);
  });
}

base::Result<LinearModel> read_linear(const std::string& path) {
  data::ReadLimits limits;
  limits.file_bytes = std::uint64_t{16} << 20U;
  PL_TRY(const data::Bytes bytes, data::map_file(path, limits));
  return parse_linear({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path);
}

}  // namespace plumbline::counterfactual::causal
