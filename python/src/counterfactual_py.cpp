#include <algorithm>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/policies.hpp"
#include "plumbline/counterfactual/value.hpp"
#include "plumbline/data/decision_log.hpp"
#include "python/src/convert.hpp"

namespace plumbline::python {
namespace {

using counterfactual::Evaluation;
using counterfactual::PolicyValue;

py::dict value_dict(const PolicyValue& v) {
  py::dict out;
  out["estimator"] = std::string(counterfactual::estimator_name(v.estimator));
  out["outcome"] = std::string(counterfactual::outcome_name(v.outcome));
  out["reasons"] = v.reasons;
  out["estimate"] = v.estimate;
  return out;
}

py::dict support_dict(const counterfactual::Support& s) {
  py::dict out;
  out["units"] = s.units;
  out["effective_size"] = s.effective_size;
  out["largest_weight"] = s.largest_weight;
  out["mean_weight"] = s.mean_weight;
  out["mean_weight_p"] = s.mean_weight_p;
  out["unsupported"] = s.missing;
  out["excluded_share"] = s.excluded_share;
  return out;
}

struct Both {
  PolicyValue value;
  counterfactual::Support support;
};

py::dict both_dict(const Both& both) {
  py::dict out = value_dict(both.value);
  out["support"] = support_dict(both.support);
  return out;
}

}  // namespace

void bind_counterfactual(py::module_& m) {
  m.def(
      "policy_value",
      [](const py::object& action, const py::object& reward, const py::object& propensity, const py::object& target,
         const py::object& context, const py::object& units_given, const std::string& estimator, const std::string& ci,
         std::size_t replicates, std::optional<std::pair<double, double>> reward_range,
         std::optional<double> max_weight, std::uint64_t seed) {
        counterfactual::OpeRows rows;
        rows.action = integers(action, "action");
        const auto r = vector(reward, "reward");
        const auto p = vector(propensity, "propensity");
        const auto t = matrix(target, "target");
        rows.unit = units(units_given);
        rows.reward.assign(r.values().begin(), r.values().end());
        rows.propensity.assign(p.values().begin(), p.values().end());
        rows.target = t.matrix();
        rows.actions = static_cast<std::size_t>(rows.target.cols());
        rows.logged = rows.action.size();
        const auto n = static_cast<std::ptrdiff_t>(rows.action.size());
        take_status(base::check_size("policy_value", "reward", static_cast<std::ptrdiff_t>(rows.reward.size()), n));
        take_status(
            base::check_size("policy_value", "propensity", static_cast<std::ptrdiff_t>(rows.propensity.size()), n));
        take_status(base::check_size("policy_value", "rows of target", rows.target.rows(), n));
        take_status(base::check_labels("policy_value", "action", rows.action, static_cast<int>(rows.actions)));
        std::vector<bool> taken(rows.actions, false);
        for (const int a : rows.action) taken[static_cast<std::size_t>(a)] = true;
        for (std::size_t j = 0; j < rows.action.size(); ++j) {
          const auto i = static_cast<Eigen::Index>(j);
          double held = 0;
          double total = 0;
          for (Eigen::Index a = 0; a < rows.target.cols(); ++a) {
            const double pi = rows.target(i, a);
            take_status(base::check_in("policy_value", "target", pi, 0, 1 + 1e-9));
            total += pi;
            if (taken[static_cast<std::size_t>(a)]) held += pi;
          }
          take_status(base::check_in("policy_value", "sum of a row of target", total, 1 - 1e-6, 1 + 1e-6));
          rows.row.push_back(j);
          rows.weight.push_back(rows.target(i, rows.action[j]) / rows.propensity[j]);
          rows.missing.push_back(1 - held > 1e-9 ? 1 - held : 0);
        }
        const counterfactual::Estimator which = take(counterfactual::parse_estimator(estimator));
        const counterfactual::Interval interval = take(counterfactual::parse_interval(ci));
        MatrixD features(n, 0);
        if (!context.is_none()) features = matrix(context, "context").matrix();
        counterfactual::ValueOptions options;
        options.replicates = replicates;
        options.reward_range = reward_range;
        options.max_weight = max_weight;
        return both_dict(take(interruptible([&](const base::CancelToken& cancel) -> base::Result<Both> {
          options.cancel = cancel;
          const bool model = counterfactual::needs_model(which);
          PL_TRY(const Evaluation e, Evaluation::of_rows(std::move(rows), model ? &features : nullptr, options,
                                                         base::Rng(seed, {"policy_value"})));
          PL_TRY(PolicyValue v, e.value(which, interval));
          return Both{std::move(v), e.support()};
        })));
      },
      py::arg("action"), py::arg("reward"), py::arg("propensity"), py::arg("target"), py::arg("context") = py::none(),
      py::arg("units") = py::none(), py::arg("estimator") = "dr", py::arg("ci") = "bootstrap",
      py::arg("replicates") = 1000, py::arg("reward_range") = py::none(), py::arg("max_weight") = py::none(),
      py::arg("seed") = 0,
      "What a policy never run would have earned. target: n x K probabilities of the policy; action: the logged action "
      "of "
      "each row with its propensity; context: n x d numbers for the reward model. Returns estimator, outcome (says, "
      "warns, "
      "cannot say), reasons, estimate and support.");
  m.def(
      "estimate_log",
      [](const std::string& path, const std::string& policy, double epsilon, const std::string& estimator,
         const std::string& ci, std::size_t replicates, std::uint64_t seed) {
        counterfactual::PolicySpec spec = take(counterfactual::parse_policy(policy));
        spec.epsilon = epsilon;
        const counterfactual::Estimator which = take(counterfactual::parse_estimator(estimator));
        const counterfactual::Interval interval = take(counterfactual::parse_interval(ci));
        return both_dict(take(interruptible([&](const base::CancelToken& cancel) -> base::Result<Both> {
          counterfactual::ValueOptions options;
          options.replicates = replicates;
          options.cancel = cancel;
          PL_TRY(const data::DecisionLog log, data::read_decision_log(path));
          PL_TRY(const counterfactual::TargetPtr target, counterfactual::make_policy(spec, log));
          PL_TRY(const Evaluation e, Evaluation::make(log, *target, counterfactual::needs_model(which), options,
                                                      base::Rng(seed, {"estimate"})));
          PL_TRY(PolicyValue v, e.value(which, interval));
          return Both{std::move(v), e.support()};
        })));
      },
      py::arg("log"), py::arg("policy"), py::arg("epsilon") = 0.0, py::arg("estimator") = "dr",
      py::arg("ci") = "bootstrap", py::arg("replicates") = 1000, py::arg("seed") = 0,
      "The same from a file, with the policies of `plumbline estimate`: uniform, logged, fixed:ACTION, table:FILE, "
      "linear:FILE.");
}

}  // namespace plumbline::python
