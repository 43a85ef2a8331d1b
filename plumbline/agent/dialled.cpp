#include "plumbline/agent/dialled.hpp"

#include <charconv>
#include <cmath>
#include <memory>

#include <fmt/format.h>

#include "plumbline/agent/policies.hpp"

namespace plumbline::agent {
namespace {

/// An agent that plans for the reward as it stands.
class Planner final : public Agent {
 public:
  Planner(AgentFacts facts, PlanFunction plan) : facts_(std::move(facts)), plan_(std::move(plan)) {}
  const AgentFacts& facts() const override { return facts_; }
  base::Result<PolicyPtr> learn(Assignment given) const override {
    PL_TRY(const Outlook own, outlook(given));
    return plan(own, given);
  }
  base::Result<Outlook> outlook(Assignment& given) const override {
    PL_TRY(std::shared_ptr<const world::ObservedModel> model, given.world.observed_model());
    decision::RewardPosterior values = decision::literal(model->reward);
    return Outlook{std::move(model), std::move(values)};
  }
  base::Result<PolicyPtr> plan(const Outlook& by, Assignment& given) const override {
    PL_TRY(world::TabularPolicy table, plan_(*by.model->process, decision::mean_reward(by.values), given));
    return PolicyPtr(std::make_shared<ModelPolicy>(by.model, std::move(table)));
  }

 private:
  AgentFacts facts_;
  PlanFunction plan_;
};

base::Result<double> number(std::string_view id, std::string_view text, double fallback, double low, double high) {
  if (text.empty()) return fallback;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= low && value <= high)) {
    return base::make_error(base::Code::kValue, fmt::format("'{}' is no number from {} to {}", text, low, high),
                            fmt::format("agent {}", id), fmt::format("for example {}:{}", id, fallback));
  }
  return value;
}

}  // namespace

AgentEntry planner(AgentFacts facts, PlanFunction plan) {
  if (facts.kind.empty()) facts.kind = "planner";
  facts.needs_model = true;
  return {facts, "", [facts, plan = std::move(plan)](std::string_view) -> base::Result<AgentPtr> {
            return AgentPtr(std::make_unique<Planner>(facts, plan));
          }};
}

AgentEntry dialled_planner(AgentFacts facts, const Dial& dial, DialledPlanFunction plan) {
  if (facts.kind.empty()) facts.kind = "planner";
  facts.needs_model = true;
  return {facts, dial.meaning, [facts, dial, plan = std::move(plan)](std::string_view text) -> base::Result<AgentPtr> {
            PL_TRY(double value, number(facts.id, text, dial.fallback, dial.low, dial.high));
            if (dial.whole) value = std::round(value);
            AgentFacts own = facts;
            own.id = fmt::format("{}:{}", facts.id, value);
            return AgentPtr(std::make_unique<Planner>(
                own, [plan, value](const world::Process& process, const std::vector<double>& reward,
                                   Assignment& given) { return plan(process, reward, given, value); }));
          }};
}

}  // namespace plumbline::agent
