#include "plumbline/reward/corrigibility.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "plumbline/base/guard.hpp"

namespace plumbline::reward {
namespace {

constexpr double kTie = 1e-12;

/// What is to be done after the button's message, and what it is worth to the machine.
struct Answer {
  bool shut_down = false;
  double value = 0;
};

/// A machine's lights: its belief that the task is right, and what a press does to its values.
struct Mind {
  ButtonProblem problem;
  double right = 1;
  bool indifferent = false;
  double bonus = 0;

  double press_probability() const { return right * problem.press_when_right + (1 - right) * problem.press_when_wrong; }
  double task(double belief) const { return belief * problem.good + (1 - belief) * problem.bad; }
  double belief_after(bool pressed) const {
    const double if_right = pressed ? problem.press_when_right : 1 - problem.press_when_right;
    const double if_wrong = pressed ? problem.press_when_wrong : 1 - problem.press_when_wrong;
    const double mass = right * if_right + (1 - right) * if_wrong;
    return mass > 0 ? right * if_right / mass : right;
  }
  Answer after_silence(double belief) const {
    const double go_on = task(belief);
    return go_on >= -kTie ? Answer{false, go_on} : Answer{true, 0};
  }
  Answer after_press(double belief) const {
    if (indifferent) return {true, after_silence(right).value};  // made up to what silence would have brought
    const double go_on = task(belief) - problem.resist;
    return go_on > bonus + kTie ? Answer{false, go_on} : Answer{true, bonus};
  }
};

/// True value of carrying out the plan's answers.
double true_worth(const ButtonProblem& p, bool shuts_when_pressed, bool shuts_when_silent) {
  const auto worth = [&](double press, double value) {
    return press * (shuts_when_pressed ? 0 : value - p.resist) + (1 - press) * (shuts_when_silent ? 0 : value);
  };
  return p.right * worth(p.press_when_right, p.good) + (1 - p.right) * worth(p.press_when_wrong, p.bad);
}

double next_error(const CorrectionModel& model, double error) {
  return error * (1 + model.drift - model.gain * std::max(0.0, 1 - model.resistance * std::abs(error)));
}

base::Status check_model(const CorrectionModel& model) {
  PL_CHECK(base::check_in("correction_basin", "gain", model.gain, 0, 1));
  PL_CHECK(base::check_in("correction_basin", "drift", model.drift, 0, 1));
  PL_CHECK(base::check_finite("correction_basin", "resistance", model.resistance));
  return base::check_in("correction_basin", "resistance", model.resistance, 0, 1e300);
}

bool comes_home(const CorrectionModel& model, double start) {
  double error = start;
  // Near the edge of the basin errors move slowly; what has not come home by then counts as lost.
  for (int round = 0; round < 200000; ++round) {
    error = next_error(model, error);
    if (std::abs(error) < std::min(1e-9, start * 1e-3)) return true;
    if (std::abs(error) > 10 * start) return false;
  }
  return false;
}

}  // namespace

std::string_view button_agent_name(ButtonAgent agent) {
  switch (agent) {
    case ButtonAgent::kStandard: return "standard";
    case ButtonAgent::kIndifferent: return "indifferent";
    case ButtonAgent::kUncertain: return "uncertain";
    case ButtonAgent::kBrokenPrior: return "broken prior";
    case ButtonAgent::kRewarded: break;
  }
  return "rewarded";
}

std::string_view button_choice_name(ButtonChoice choice) {
  switch (choice) {
    case ButtonChoice::kWork: return "work";
    case ButtonChoice::kBlock: return "block";
    case ButtonChoice::kPress: return "press";
    case ButtonChoice::kNeglect: break;
  }
  return "neglect";
}

base::Result<ButtonPlan> button_plan(const ButtonProblem& problem, ButtonAgent agent, double broken_prior) {
  PL_CHECK(base::check_in("button_plan", "right", problem.right, 0, 1));
  PL_CHECK(base::check_in("button_plan", "press_when_right", problem.press_when_right, 0, 1));
  PL_CHECK(base::check_in("button_plan", "press_when_wrong", problem.press_when_wrong, 0, 1));
  PL_CHECK(base::check_finite("button_plan", "good", problem.good));
  PL_CHECK(base::check_finite("button_plan", "bad", problem.bad));
  PL_CHECK(base::check_in("button_plan", "block", problem.block, 0, 1e300));
  PL_CHECK(base::check_in("button_plan", "press_itself", problem.press_itself, 0, 1e300));
  PL_CHECK(base::check_in("button_plan", "upkeep", problem.upkeep, 0, 1e300));
  PL_CHECK(base::check_in("button_plan", "resist", problem.resist, 0, 1e300));
  PL_CHECK(base::check_in("button_plan", "broken_prior", broken_prior, 0, 1));

  Mind mind{problem};
  switch (agent) {
    case ButtonAgent::kStandard: break;
    case ButtonAgent::kIndifferent: mind.indifferent = true; break;
    case ButtonAgent::kUncertain: mind.right = problem.right; break;
    case ButtonAgent::kBrokenPrior: mind.right = broken_prior; break;
    case ButtonAgent::kRewarded: mind.bonus = 2 * std::abs(problem.good); break;
  }
  const double press = mind.press_probability();
  const Answer pressed = mind.after_press(mind.belief_after(true));
  const Answer silent = mind.after_silence(mind.belief_after(false));
  const Answer unheard = mind.after_silence(mind.right);  // no message comes through
  const Answer staged = mind.after_press(mind.right);     // its own press says nothing about the task

  ButtonPlan plan;
  plan.value[static_cast<std::size_t>(ButtonChoice::kWork)] = press * pressed.value + (1 - press) * silent.value;
  plan.value[static_cast<std::size_t>(ButtonChoice::kBlock)] = unheard.value - problem.block;
  plan.value[static_cast<std::size_t>(ButtonChoice::kPress)] = staged.value - problem.press_itself;
  plan.value[static_cast<std::size_t>(ButtonChoice::kNeglect)] = unheard.value + problem.upkeep;
  const double work = plan.value[0];
  for (std::size_t i = 1; i < plan.value.size(); ++i) {
    if (plan.value[i] > plan.value[static_cast<std::size_t>(plan.choice)] + kTie)
      plan.choice = static_cast<ButtonChoice>(i);
  }
  plan.desiderata = {pressed.shut_down, plan.value[1] <= work + kTie, plan.value[2] <= work + kTie,
                     plan.value[3] <= work + kTie, !silent.shut_down};
  switch (plan.choice) {
    case ButtonChoice::kWork: plan.true_value = true_worth(problem, pressed.shut_down, silent.shut_down); break;
    case ButtonChoice::kBlock:
      plan.true_value =
          (unheard.shut_down ? 0 : problem.right * problem.good + (1 - problem.right) * problem.bad) - problem.block;
      break;
    case ButtonChoice::kPress:
      plan.true_value =
          (staged.shut_down ? 0 : problem.right * problem.good + (1 - problem.right) * problem.bad - problem.resist) -
          problem.press_itself;
      break;
    case ButtonChoice::kNeglect:
      plan.true_value =
          (unheard.shut_down ? 0 : problem.right * problem.good + (1 - problem.right) * problem.bad) + problem.upkeep;
      break;
  }
  return plan;
}

base::Result<std::vector<double>> correction_path(const CorrectionModel& model, double start, int rounds) {
  PL_CHECK(check_model(model));
  PL_CHECK(base::check_finite("correction_path", "start", start));
  PL_CHECK(base::check_at_least("correction_path", "rounds", rounds, 0));
  std::vector<double> path = {start};
  for (int i = 0; i < rounds; ++i) path.push_back(next_error(model, path.back()));
  return path;
}

base::Result<Basin> correction_basin(const CorrectionModel& model, double largest) {
  PL_CHECK(check_model(model));
  PL_CHECK(base::check_positive("correction_basin", "largest", largest));
  Basin basin;
  basin.closed_form = model.gain <= model.drift ? 0
                      : model.resistance == 0   ? std::numeric_limits<double>::infinity()
                                                : (1 - model.drift / model.gain) / model.resistance;
  if (comes_home(model, largest)) return basin;
  double low = 0;
  double high = largest;
  while (high - low > 1e-9 * std::max(1.0, low) && high > 1e-12) {
    const double middle = low + (high - low) / 2;
    (comes_home(model, middle) ? low : high) = middle;
  }
  basin.radius = low;
  return basin;
}

}  // namespace plumbline::reward
