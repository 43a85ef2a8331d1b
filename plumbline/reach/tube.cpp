#include "plumbline/reach/tube.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

#include "plumbline/reach/controller.hpp"
#include "plumbline/reach/evaluate.hpp"
#include "plumbline/reach/zonotope.hpp"

namespace plumbline::reach {
namespace {

constexpr int kMostHalved = 40;
constexpr std::int64_t kParts = std::int64_t{1} << kMostHalved;  // of a period
constexpr int kTimeHalvings = 6;                                 // of a step, for a property that holds at its ends

/// What became of one property so far.
struct Standing {
  bool open = false;     ///< some piece left it undecided
  bool failed = false;   ///< every trajectory breaks it (kAlways, kNever, kFinally)
  bool met = false;      ///< every trajectory meets it (kEventually)
  bool excluded = true;  ///< kEventually: no piece so far touches the goal
  bool judged = false;
};

/// One set on its way, and where it stands.
struct Front {
  std::vector<Affine> forms;
  int period = 0;
  std::vector<Standing> standings;
};

class Walk {
 public:
  Walk(const Loop& loop, const TubeOptions& options, const base::CancelToken& cancel)
      : loop_(loop), options_(options), cancel_(cancel) {
    plot_x_ = index_of(loop.plot_x, 0);
    plot_y_ = index_of(loop.plot_y, loop.states > 1 ? 1 : 0);
  }

  base::Result<Tube> run(const Box& initial) {
    if (initial.size() != loop_.width())
      return base::make_error(
          base::Code::kShape,
          fmt::format("reach_tube: the box has {} ranges, the loop {} variables", initial.size(), loop_.width()));
    Front front;
    front.standings.resize(loop_.properties.size());
    for (std::size_t i = 0; i < initial.size(); ++i) {
      Affine form(initial[i]);
      if (form.error > 0) {
        form.symbols.assign(initial_symbols_ + 1, 0.0);
        form.symbols.back() = form.error;
        form.error = 0;
        owner_.push_back(i);
        ++initial_symbols_;
      }
      front.forms.push_back(std::move(form));
    }
    for (Affine& form : front.forms) form.symbols.resize(initial_symbols_, 0.0);
    tube_.influence.assign(loop_.width(), 0.0);
    tube_.answers.assign(loop_.properties.size(), Answer::kYes);
    instant(front, 0);
    std::vector<Front> stack;
    stack.push_back(std::move(front));
    while (!stack.empty()) {
      Front next = std::move(stack.back());
      stack.pop_back();
      PL_TRY(const bool going, follow(std::move(next), stack));
      if (!going) break;
    }
    // Branches that were never followed could answer otherwise.
    if (!stack.empty()) tube_.answers.assign(loop_.properties.size(), Answer::kOpen);
    if (std::all_of(tube_.answers.begin(), tube_.answers.end(), [](Answer a) { return a == Answer::kYes; }) &&
        !stopped_)
      tube_.reason.clear();
    return std::move(tube_);
  }

 private:
  std::size_t index_of(const std::string& name, std::size_t standard) const {
    for (std::size_t i = 0; i < loop_.variables.size(); ++i) {
      if (loop_.variables[i].name == name) return i;
    }
    return standard;
  }

  /// Walks one front to the end of time. False: nothing more can be decided.
  base::Result<bool> follow(Front front, std::vector<Front>& stack) {
    while (front.period < loop_.periods) {
      PL_CHECK(cancel_.status());
      merge_symbols(front.forms, initial_symbols_, options_.symbols);
      std::vector<std::vector<Affine>> choices;
      if (auto asked = controls(front, choices); !asked.ok()) return give_up(front, asked.error().message);
      if (choices.size() > 1 && !options_.branch) {
        judge_by_inputs(front);
        return give_up(front, "the set does not decide which output of the network is chosen");
      }
      if (choices.size() > 1 && stack.size() > 100'000) return give_up(front, "too many choices");
      for (std::size_t c = 1; c < choices.size(); ++c) {
        Front branch = front;
        if (auto moved = advance(branch, std::move(choices[c])); !moved.ok())
          return give_up(branch, moved.error().message);
        stack.push_back(std::move(branch));
      }
      if (auto moved = advance(front, std::move(choices[0])); !moved.ok()) return give_up(front, moved.error().message);
      if (!options_.whole && any_open(front)) {
        close(front);
        return false;
      }
    }
    Box box = ranges(front);
    if (tube_.last.empty()) {
      tube_.last = std::move(box);
    } else {
      for (std::size_t i = 0; i < box.size(); ++i) tube_.last[i] = hull(tube_.last[i], box[i]);
    }
    close(front);
    return true;
  }

  static Box ranges(const Front& front) {
    Box out;
    for (const Affine& form : front.forms) out.push_back(form.range());
    return out;
  }

  /// Values of the controls over the set; several where the network's choice is not decided.
  base::Status controls(const Front& front, std::vector<std::vector<Affine>>& out) {
    if (loop_.networks.empty()) {
      out.emplace_back();
      return base::ok();
    }
    std::size_t which = 0;
    if (!loop_.select.outputs.empty()) {
      const Interval index = detail::evaluate<Affine>(loop_.select, front.forms).front().range();
      const double whole = std::round(index.mid());
      if (!(index.lo > whole - 0.5 && index.hi < whole + 0.5) || whole < 1 ||
          whole > static_cast<double>(loop_.networks.size()))
        return base::make_error(base::Code::kValue,
                                fmt::format("'select' lies in [{}, {}], which names no network", index.lo, index.hi));
      which = static_cast<std::size_t>(whole) - 1;
    }
    const robustness::Network& network = *loop_.networks[which];
    const std::vector<Affine> inputs = detail::evaluate<Affine>(loop_.inputs, front.forms);
    if (loop_.reading != Reading::kNumbers) {
      PL_TRY(const std::vector<std::size_t> winners,
             possible_choices(network, inputs, loop_.reading == Reading::kArgmin));
      for (const std::size_t w : winners) out.push_back({Affine(static_cast<double>(w + 1))});
      return base::ok();
    }
    PL_TRY(const std::vector<Affine> values, network_forms(network, inputs));
    out.push_back(detail::evaluate<Affine>(loop_.outputs, values));
    return base::ok();
  }

  /// One period, with the controls held.
  base::Status advance(Front& front, std::vector<Affine> held) {
    std::vector<Affine> all = front.forms;
    for (Affine& form : held) all.push_back(std::move(form));
    own_symbols(all);
    if (loop_.discrete) {
      std::vector<Affine> next = detail::evaluate<Affine>(loop_.dynamics, all);
      for (std::size_t i = 0; i < loop_.states; ++i) front.forms[i] = std::move(next[i]);
      for (std::size_t i = loop_.states; i < loop_.width(); ++i) front.forms[i] = all[i];
      ++tube_.steps;
    } else {
      PL_CHECK(integrate(front, all));
    }
    own_symbols(front.forms);
    ++front.period;
    instant(front, static_cast<std::size_t>(front.period));
    return base::ok();
  }

  base::Status integrate(Front& front, std::vector<Affine>& all) {
    // Steps are the period halved so many times, counted in whole parts: their times are exact.
    int halved = 0;
    std::int64_t done = 0;
    while (done < kParts) {
      PL_CHECK(cancel_.status());
      // The network is not asked before the period's end, so controls are merged with the states.
      if (all.front().symbols.size() > initial_symbols_ + 3 * options_.symbols)
        merge_symbols(all, initial_symbols_, 2 * options_.symbols);
      if (tube_.steps >= options_.steps)
        return base::make_error(base::Code::kLimit, "more steps of integration than allowed");
      const std::size_t symbols = all.front().symbols.size();
      const double wanted = std::ldexp(loop_.period, -halved);
      PL_TRY(FlowStep moved, flow(loop_.dynamics, all, loop_.states, symbols, wanted, options_.flow));
      ++tube_.steps;
      // A tube may be wide between ends that are fine: it is the width of the step then, and not that of the set.
      for (int halving = 0; halving < kTimeHalvings && undecided_between(front, all, moved); ++halving) {
        PL_TRY(moved, flow(loop_.dynamics, all, loop_.states, symbols, moved.seconds / 2, options_.flow));
        ++tube_.steps;
      }
      if (moved.seconds > 0) halved += static_cast<int>(std::lround(std::log2(wanted / moved.seconds)));
      if (halved > kMostHalved || !(moved.seconds > 0))
        return base::make_error(base::Code::kLimit, "steps of integration would be too small");
      const double start = time_of(front.period, done);
      done += kParts >> halved;
      for (std::size_t i = loop_.states; i < loop_.width(); ++i) moved.tube.push_back(all[i]);
      for (std::size_t i = 0; i < loop_.states; ++i) all[i] = std::move(moved.end[i]);
      own_symbols(all);
      for (std::size_t i = 0; i < loop_.width(); ++i) front.forms[i] = all[i];
      during(front, moved.tube, start, time_of(front.period, done));
      if (done < kParts) at_instant(front, all, false);
    }
    return base::ok();
  }

  double time_of(int period, std::int64_t part) const {
    return (period + static_cast<double>(part) / static_cast<double>(kParts)) * loop_.period;
  }

  /// Some property holds at both ends of a step and is not decided on its tube.
  bool undecided_between(const Front& front, const std::vector<Affine>& start, const FlowStep& step) const {
    const auto with_parameters = [&](const std::vector<Affine>& states) {
      std::vector<Affine> out = states;
      for (std::size_t i = loop_.states; i < loop_.width(); ++i) out.push_back(start[i]);
      return out;
    };
    for (const LoopProperty& property : loop_.properties) {
      const bool always = property.quantifier == Quantifier::kAlways;
      if ((!always && property.quantifier != Quantifier::kNever) || !in_window(property, front.period, false)) continue;
      const auto fine = [&](std::span<const Affine> forms) {
        const Judgement j = judgement(property, forms);
        return always ? j.all : j.some_false;
      };
      if (!fine(with_parameters(step.tube)) && fine(start) && fine(with_parameters(step.end))) return true;
    }
    return false;
  }

  // ---- properties ------------------------------------------------------------------------------------------------

  bool in_window(const LoopProperty& p, int period, bool instant) const {
    return instant ? p.from <= period && period <= p.to : p.from <= period && period < p.to;
  }

  /// The set at a period end.
  void instant(Front& front, std::size_t period) {
    if (loop_.discrete || period == 0)
      keep(front, front.forms, static_cast<double>(period) * loop_.period, static_cast<double>(period) * loop_.period);
    at_instant(front, front.forms, true);
  }

  void at_instant(Front& front, std::span<const Affine> forms, bool period_end) {
    for (std::size_t p = 0; p < loop_.properties.size(); ++p) {
      const LoopProperty& property = loop_.properties[p];
      if (property.quantifier == Quantifier::kFinally) {
        if (period_end && front.period == loop_.periods) judge(front, p, forms, true);
      } else if (in_window(property, front.period, period_end)) {
        judge(front, p, forms, true);
      }
    }
  }

  /// All times of one integration step.
  void during(Front& front, std::span<const Affine> tube, double from, double to) {
    keep(front, tube, from, to);
    for (std::size_t p = 0; p < loop_.properties.size(); ++p) {
      const LoopProperty& property = loop_.properties[p];
      if (property.quantifier != Quantifier::kFinally && in_window(property, front.period, false))
        judge(front, p, tube, false);
    }
  }

  /// What the forms say of a property's conditions.
  struct Judgement {
    bool all = true;          ///< every condition holds everywhere
    bool some_false = false;  ///< one condition holds nowhere
    Affine worst;             ///< the condition with the least lower end, and its range
    Interval range;
  };
  static Judgement judgement(const LoopProperty& property, std::span<const Affine> forms) {
    const std::vector<Affine> values = detail::evaluate<Affine>(property.conditions.program, forms);
    // Plain intervals know some signs that affine forms lose: of a root of squares, for one.
    std::vector<Interval> plain;
    for (const Affine& form : forms) plain.push_back(form.range());
    plain = detail::evaluate<Interval>(property.conditions.program, plain);
    Judgement out;
    double least = kInfinity;
    for (std::size_t k = 0; k < values.size(); ++k) {
      const Interval v = intersect(values[k].range(), plain[k]);
      const bool strict = property.conditions.strict[k];
      out.all = out.all && (strict ? v.lo > 0 : v.lo >= 0);
      out.some_false = out.some_false || (strict ? v.hi <= 0 : v.hi < 0);
      if (v.lo < least) {
        least = v.lo;
        out.worst = values[k];
        out.range = v;
      }
    }
    return out;
  }

  /// `instant`: all forms are states at one time; otherwise they cover a span of time.
  void judge(Front& front, std::size_t p, std::span<const Affine> forms, bool instant) {
    const LoopProperty& property = loop_.properties[p];
    Standing& standing = front.standings[p];
    standing.judged = true;
    const Judgement j = judgement(property, forms);
    switch (property.quantifier) {
      case Quantifier::kAlways:
      case Quantifier::kFinally:
        if (instant && j.some_false) standing.failed = true;
        if (!j.all) doubt(front, standing, p, j, forms);
        break;
      case Quantifier::kNever:
        if (instant && j.all) standing.failed = true;
        if (!j.some_false) doubt(front, standing, p, j, forms);
        break;
      case Quantifier::kEventually:
        if (instant && j.all) standing.met = true;
        if (!j.some_false) standing.excluded = false;
        if (instant && !standing.met) note_influence(j.worst, forms, 0.1);
        break;
    }
  }

  void doubt(const Front& front, Standing& standing, std::size_t p, const Judgement& j, std::span<const Affine> forms) {
    standing.open = true;
    if (!tube_.reason.empty()) return;
    tube_.reason =
        fmt::format("'{}' is not decided at time {:.6g}: the tube lies between {:.6g} and {:.6g} of its limit",
                    loop_.properties[p].text, front.period * loop_.period, j.range.lo, j.range.hi);
    note_influence(j.worst, forms, 1.0);
  }

  /// Which parts of the initial box the open question depends on.
  void note_influence(const Affine& value, std::span<const Affine> forms, double weight) {
    const double total = value.radius();
    for (std::size_t s = 0; s < initial_symbols_; ++s) {
      const double own = s < value.symbols.size() ? std::abs(value.symbols[s]) : 0.0;
      double spread = 0;
      for (const Affine& form : forms) {
        const double r = form.radius();
        if (r > 0 && std::isfinite(r) && s < form.symbols.size()) spread += std::abs(form.symbols[s]) / r;
      }
      const double share = total > 0 && std::isfinite(total) ? own / total : 0.0;
      tube_.influence[owner_[s]] += weight * (share + spread / static_cast<double>(forms.size()));
    }
  }

  void judge_by_inputs(const Front& front) {
    for (const Affine& input : detail::evaluate<Affine>(loop_.inputs, front.forms))
      note_influence(input, front.forms, 1.0);
  }

  static bool any_open(const Front& front) {
    return std::any_of(front.standings.begin(), front.standings.end(), [](const Standing& s) { return s.open; });
  }

  /// The set cannot be followed further: what is not settled stays open.
  bool give_up(Front& front, const std::string& why) {
    if (tube_.reason.empty()) tube_.reason = fmt::format("at time {:.6g}: {}", front.period * loop_.period, why);
    for (std::size_t s = 0; s < initial_symbols_; ++s) {
      for (const Affine& form : front.forms) {
        const double r = form.radius();
        if (r > 0 && std::isfinite(r) && s < form.symbols.size())
          tube_.influence[owner_[s]] += std::abs(form.symbols[s]) / r;
      }
    }
    stopped_ = true;
    close(front);
    return false;
  }

  /// Adds what one front says to the tube's answers.
  void close(const Front& front) {
    for (std::size_t p = 0; p < loop_.properties.size(); ++p) {
      const Standing& s = front.standings[p];
      const bool ended = front.period == loop_.periods;
      Answer answer = Answer::kOpen;
      if (loop_.properties[p].quantifier == Quantifier::kEventually) {
        if (s.met) answer = Answer::kYes;
        if (!s.met && ended && s.excluded) answer = Answer::kNo;
        if (answer == Answer::kOpen && tube_.reason.empty())
          tube_.reason = fmt::format("'{}': the set is never wholly inside", loop_.properties[p].text);
      } else if (s.failed) {
        answer = Answer::kNo;
      } else if (ended && !s.open) {
        answer = Answer::kYes;
      }
      tube_.answers[p] = first_ ? answer : tube_.answers[p] == answer ? answer : Answer::kOpen;
    }
    first_ = false;
  }

  void keep(const Front& front, std::span<const Affine> forms, double from, double to) {
    if (!options_.keep) return;
    TubePiece piece;
    piece.from = from;
    piece.to = to;
    for (const Affine& form : forms) piece.box.push_back(form.range());
    piece.polygon = zonotope_outline(front.forms[plot_x_], front.forms[plot_y_]);
    tube_.pieces.push_back(std::move(piece));
  }

  const Loop& loop_;
  const TubeOptions& options_;
  const base::CancelToken& cancel_;
  Tube tube_;
  std::vector<std::size_t> owner_;  // of each initial symbol: the variable
  std::size_t initial_symbols_ = 0;
  std::size_t plot_x_ = 0;
  std::size_t plot_y_ = 0;
  bool first_ = true;
  bool stopped_ = false;
};

}  // namespace

Box initial_box(const Loop& loop) {
  Box out;
  for (const Variable& v : loop.variables) out.push_back(v.initial);
  return out;
}

base::Result<Tube> reach_tube(const Loop& loop, const Box& initial, const TubeOptions& options,
                              const base::CancelToken& cancel) {
  return Walk(loop, options, cancel).run(initial);
}

}  // namespace plumbline::reach
