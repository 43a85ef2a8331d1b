#include "plumbline/runtime/filtered_decider.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

base::Result<std::vector<ActionControl>> parse_controls(const std::vector<std::string>& lines,
                                                        const std::string& place) {
  std::vector<ActionControl> controls;
  std::set<std::string> seen;
  for (const std::string& line : lines) {
    const std::size_t colon = line.rfind(':');
    ActionControl one;
    one.action = std::string(trimmed(std::string_view(line).substr(0, colon)));
    bool sound = colon != std::string::npos && !one.action.empty();
    std::string_view left = sound ? std::string_view(line).substr(colon + 1) : std::string_view();
    while (sound) {
      const std::string_view word = trimmed(left.substr(0, left.find(',')));
      double number = 0;
      const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
      sound = code == std::errc{} && end == word.data() + word.size() && std::isfinite(number);
      one.control.push_back(number);
      if (left.find(',') == std::string_view::npos) break;
      left.remove_prefix(left.find(',') + 1);
    }
    if (!sound)
      return make_error(Code::kParse, fmt::format("'{}' is not \"action: number, ...\"", line.substr(0, 80)), place,
                        "One number for each control of the table's game, for example \"brake: -1\"");
    if (!seen.insert(one.action).second)
      return make_error(Code::kValue, fmt::format("'{}' has two controls", one.action), place);
    controls.push_back(std::move(one));
  }
  return controls;
}

base::Result<FallbackTable> FallbackTable::make(reach::SafetyFilter filter, std::vector<ActionControl> controls,
                                                std::vector<std::size_t> states,
                                                const std::vector<std::string>& actions, std::size_t input_size) {
  const reach::AvoidGame& game = filter.game();
  const std::string name = fmt::format("table '{}'", game.name);
  PL_CHECK(base::check_size(name, "states", std::ssize(states), std::ssize(game.axes)));
  for (const std::size_t at : states) {
    if (at >= input_size)
      return make_error(Code::kShape, fmt::format("state {} of an input of {} numbers", at, input_size), name);
  }
  if (controls.empty())
    return make_error(Code::kValue, "no action has a control", name, "Declare `controls`, as \"brake: -1\"");
  for (const ActionControl& one : controls) {
    if (std::find(actions.begin(), actions.end(), one.action) == actions.end())
      return make_error(Code::kValue,
                        fmt::format("'{}' is no action; the actions are {}", one.action, fmt::join(actions, ", ")),
                        name);
    PL_CHECK(base::check_size(name, fmt::format("numbers of '{}'", one.action), std::ssize(one.control),
                              std::ssize(game.controls)));
    for (std::size_t k = 0; k < one.control.size(); ++k) {
      const reach::GameInput& range = game.controls[k];
      if (!(one.control[k] >= range.low && one.control[k] <= range.high))
        return make_error(Code::kValue,
                          fmt::format("'{}' sets {} to {}, the game allows {} to {}", one.action, range.name,
                                      one.control[k], range.low, range.high),
                          name);
    }
  }
  return FallbackTable(std::move(filter), std::move(controls), std::move(states));
}

FallbackTable::Verdict FallbackTable::look(std::span<const float> input) const {
  std::vector<double> state;
  for (const std::size_t at : states_) state.push_back(static_cast<double>(input[at]));
  Verdict verdict;
  verdict.value = filter_.value(state);
  verdict.safe = verdict.value > filter_.margin();
  double best = -std::numeric_limits<double>::infinity();
  for (const ActionControl& one : controls_) {
    const double rate = filter_.rate(state, one.control);
    if (verdict.action.empty() || rate > best) {
      best = rate;
      verdict.action = one.action;
    }
  }
  return verdict;
}

FilteredDecider::FilteredDecider(std::unique_ptr<Decider> inner, std::shared_ptr<const FallbackTable> table)
    : inner_(std::move(inner)), table_(std::move(table)), info_(inner_->info()) {
  info_.policy += fmt::format(" table '{}' margin {}", table_->game().name, table_->margin());
}

void FilteredDecider::overrule(const FallbackTable::Verdict& verdict, Proposal& proposal) const {
  std::string before = proposal.error ? "nothing" : proposal.answer;
  if (before.empty()) before = std::string(decision::act_name(proposal.act));
  proposal.error.reset();
  proposal.actions = info_.actions;
  const auto found = std::find(proposal.actions.begin(), proposal.actions.end(), verdict.action);
  proposal.action = static_cast<std::size_t>(found - proposal.actions.begin());
  proposal.probabilities.assign(proposal.actions.size(), 0.0);
  proposal.probabilities[proposal.action] = 1;
  proposal.act = decision::Act::kFallBack;
  proposal.answer = verdict.action;
  proposal.fallback = verdict.action;
  proposal.value_of_asking = 0;
  proposal.rung = "table";
  proposal.reason =
      std::isinf(verdict.value)
          ? fmt::format("the table '{}' knows nothing of this state; instead of {}", table_->game().name, before)
          : fmt::format("the table '{}' gives {:.4g}, at most the margin of {:.4g}; instead of {}", table_->game().name,
                        verdict.value, table_->margin(), before);
}

base::Result<std::vector<Proposal>> FilteredDecider::propose(std::span<const Request> requests,
                                                             std::span<const std::uint64_t> streams) {
  PL_TRY(std::vector<Proposal> proposals, inner_->propose(requests, streams));
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].input.size() != info_.input_size) continue;  // the inner decider has said so
    const FallbackTable::Verdict verdict = table_->look(requests[i].input);
    if (!verdict.safe) overrule(verdict, proposals[i]);
  }
  return proposals;
}

}  // namespace plumbline::runtime
