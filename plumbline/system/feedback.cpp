#include "plumbline/system/feedback.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/system/regression.hpp"
#include "plumbline/system/rounds.hpp"

namespace plumbline::system {
namespace {

using base::Code;
using base::make_error;
using Index = std::ptrdiff_t;

/// A plain loop, so that the bits do not depend on addresses.
double length(const VectorD& v) {
  double squares = 0;
  for (Index i = 0; i < v.size(); ++i) squares += v[i] * v[i];
  return std::sqrt(squares);
}

/// One fitted equation: where its coefficients stand in the model.
struct Equation {
  Index to = 0;
  Regression fit;
  struct Place {
    std::size_t regressor;
    Index from;
    Link link;
  };
  std::vector<Place> places;
};

class Finder {
 public:
  Finder(const SystemGraph& graph, const Trace& trace, const FeedbackOptions& options)
      : graph_(graph),
        trace_(trace),
        options_(options),
        before_(rows_before(trace)),
        clusters_(make_clusters(trace.unit, trace.rows)),
        on_loop_(graph.components().size(), false) {}

  base::Result<FeedbackReport> run() {
    FeedbackReport report;
    report.loops = graph_.loops();
    if (!report.loops.complete)
      report.notes.push_back(fmt::format("the search for loops was stopped at {}", report.loops.loops.size()));
    PL_TRY(report.teaching, find_lessons(graph_, trace_, report.notes, options_.cancel));
    for (const Loop& loop : report.loops.loops)
      for (const std::size_t part : loop) on_loop_[part] = true;
    choose_signals(report);
    while (!fit(report)) {
    }
    for (std::size_t k = 0; k < names_.size(); ++k)
      if (chooses(writer_[k]) && loops_measured(writer_[k], report))
        report.returns.push_back(measure(static_cast<Index>(k), report));
    if (!report.returns.empty()) report.radius = radius();
    std::vector<std::string> once;
    for (std::string& note : report.notes)
      if (std::find(once.begin(), once.end(), note) == once.end()) once.push_back(std::move(note));
    report.notes = std::move(once);
    return report;
  }

 private:
  bool chooses(std::size_t part) const { return graph_.component(part).chooses(); }
  const std::vector<double>& values(const std::string& signal) const { return trace_.find(signal)->value; }
  static Signal as_number(const Signal& signal) { return {signal.name, true, signal.value, {}}; }

  static double& entry(RoundModel& model, Index to, const Equation::Place& place) {
    if (place.link == Link::kKeeps) return model.keeps[to];
    return (place.link == Link::kFeeds ? model.feeds : model.teaches)(to, place.from);
  }

  /// Signals of parts on loops that a linear model can hold.
  void choose_signals(FeedbackReport& report) {
    for (const std::size_t part : graph_.order()) {
      if (!on_loop_[part]) continue;
      bool any = false;
      for (const std::string& output : graph_.component(part).outputs) {
        const Signal* signal = trace_.find(output);
        if (signal == nullptr || !signal->measurable()) continue;
        any = true;
        add_signal(output, part);
      }
      if (!any)
        report.notes.push_back(fmt::format(
            "loops through {} are not measured: it has no recorded output that is a number or has two levels",
            graph_.component(part).name));
    }
  }
  void add_signal(const std::string& name, std::size_t part) {
    index_[name] = static_cast<Index>(names_.size());
    names_.push_back(name);
    writer_.push_back(part);
  }

  /// Fits every equation. False: one could not be fitted and its signal was taken out of the model.
  bool fit(FeedbackReport& report) {
    const auto n = static_cast<Index>(names_.size());
    model_ = {MatrixD::Zero(n, n), MatrixD::Zero(n, n), VectorD::Zero(n)};
    equations_.clear();
    std::vector<std::string> notes;
    for (std::size_t k = 0; k < names_.size(); ++k) {
      auto made = equation(static_cast<Index>(k), notes);
      if (!made.ok()) {
        report.notes.push_back(fmt::format("loops through {} are not measured: its equation cannot be fitted: {}",
                                           names_[k], made.error().message));
        const auto names = std::move(names_);
        const auto writers = std::move(writer_);
        names_.clear();
        writer_.clear();
        index_.clear();
        for (std::size_t i = 0; i < names.size(); ++i)
          if (i != k) add_signal(names[i], writers[i]);
        return false;
      }
      for (const Equation::Place& place : made->places)
        entry(model_, made->to, place) = made->fit.coefficient[static_cast<Index>(place.regressor)];
      equations_.push_back(std::move(*made));
    }
    report.notes.insert(report.notes.end(), notes.begin(), notes.end());
    return true;
  }

  /// Some loop of the part runs through measured parts alone; loops that do not are noted.
  bool loops_measured(std::size_t part, FeedbackReport& report) const {
    bool any = false;
    for (const Loop& loop : report.loops.loops) {
      if (std::find(loop.begin(), loop.end(), part) == loop.end()) continue;
      const bool all = std::all_of(loop.begin(), loop.end(), [&](std::size_t p) {
        return std::find(writer_.begin(), writer_.end(), p) != writer_.end();
      });
      any = any || all;
      if (!all)
        report.notes.push_back(
            fmt::format("the gain of {} leaves out {}", graph_.component(part).name, graph_.words(loop)));
    }
    return any;
  }

  base::Result<Equation> equation(Index k, std::vector<std::string>& notes) const {
    const Component& part = graph_.component(writer_[static_cast<std::size_t>(k)]);
    const std::string& output = names_[static_cast<std::size_t>(k)];
    Equation out;
    out.to = k;
    Design design(trace_.rows);
    const auto add = [&](const std::string& name, Link link) {
      const Signal* signal = trace_.find(name);
      if (signal == nullptr) {
        notes.push_back(
            fmt::format("{} was not recorded; what {} makes of it is missing from the loop", name, part.name));
        return;
      }
      const auto* before = link == Link::kFeeds ? nullptr : &before_;
      if (const auto found = index_.find(name); found != index_.end()) {
        out.places.push_back({design.columns(), found->second, link});
        design.add(as_number(*signal), before);
        return;
      }
      if (const auto writer = graph_.writer(name); writer && on_loop_[*writer])
        notes.push_back(fmt::format("what {1} makes of {0} is not part of the measured loops", name, part.name));
      design.add(*signal, before);
    };
    for (const std::string& input : part.inputs) add(input, Link::kFeeds);
    for (const std::string& lesson : part.learns_from) add(lesson, Link::kTeaches);
    std::vector<double> y = values(output);
    const bool taught = std::find(part.learns_from.begin(), part.learns_from.end(), output) != part.learns_from.end();
    if (options_.memory && !part.learns_from.empty() && !taught) {
      add(output, Link::kKeeps);
      // What was drawn by lot is no memory of what the part would have done.
      const auto& flag = trace_.explored[writer_[static_cast<std::size_t>(k)]].flag;
      for (std::size_t i = 0; i < y.size() && !flag.empty(); ++i)
        if (before_[i] != kNoRow && flag[before_[i]] != 0) y[i] = std::numeric_limits<double>::quiet_NaN();
    }
    PL_TRY(out.fit, regress(design.matrix(), y, clusters_, design.names()));
    return out;
  }

  /// Sum over the equations of what each cluster contributes to the error of a figure.
  VectorD influence(const Sensitive& figure) const {
    VectorD out = VectorD::Zero(static_cast<Index>(clusters_.count));
    for (const Equation& e : equations_)
      for (const Equation::Place& place : e.places)
        out += figure.by(place.link, e.to, place.from) * e.fit.influence.col(static_cast<Index>(place.regressor));
    return out;
  }

  /// Bias of the figure per unit of hidden / sqrt(1 - hidden), if all links err together.
  double bias_rate(const Sensitive& figure) const {
    double sum = 0;
    for (const Equation& e : equations_)
      for (const Equation::Place& place : e.places)
        sum += std::abs(figure.by(place.link, e.to, place.from)) * e.fit.residual /
               e.fit.spread[static_cast<Index>(place.regressor)];
    return sum;
  }

  double least_clusters() const {
    double least = static_cast<double>(clusters_.count);
    for (const Equation& e : equations_) least = std::min(least, e.fit.clusters);
    return least;
  }
  double least_rows() const {
    double least = static_cast<double>(trace_.rows);
    for (const Equation& e : equations_) least = std::min(least, e.fit.rows);
    return least;
  }

  Bounded bounded(const Sensitive& figure, const std::string& method) const {
    Bounded out = student(figure.value, length(influence(figure)), least_clusters() - 1, least_rows(), method);
    out.n_effective = least_clusters();
    if (!(options_.hidden > 0)) return out;
    out.method += fmt::format(", widened for a hidden cause of {:.3g}", options_.hidden);
    return widened(out, bias_rate(figure) * options_.hidden / std::sqrt(1 - options_.hidden));
  }

  Return measure(Index k, FeedbackReport& report) const {
    Return out;
    out.component = writer_[static_cast<std::size_t>(k)];
    out.signal = names_[static_cast<std::size_t>(k)];
    const auto gain = gain_of(model_, k);
    if (gain.ok()) {
      out.gain = bounded(*gain, "least squares along the graph, delta method over clusters");
      const double rate = bias_rate(*gain);
      if (rate > 0) {
        const double q = gain->value * gain->value / (rate * rate);
        out.robustness = (std::sqrt(q * q + 4 * q) - q) / 2;
      }
    } else {
      report.notes.push_back(fmt::format("the gain of {} is withheld: {}", out.signal, gain.error().message));
    }
    const Sensitive next = next_of(model_, k);
    out.next = bounded(next, "least squares along the graph, delta method over clusters");
    by_lot(next, out, report);
    return out;
  }

  void by_lot(const Sensitive& next, Return& out, FeedbackReport& report) const {
    const auto& flag = trace_.explored[out.component].flag;
    if (flag.empty()) return;
    const Component& part = graph_.component(out.component);
    const std::vector<double>& output = values(out.signal);
    Design design(trace_.rows);
    design.add(out.signal, output);
    for (const std::string& input : part.inputs)
      if (const Signal* signal = trace_.find(input)) design.add(*signal);
    for (const std::string& lesson : part.learns_from)
      if (const Signal* signal = trace_.find(lesson)) design.add(*signal, &before_);
    std::vector<double> after(trace_.rows, std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i + 1 < trace_.rows; ++i)
      if (before_[i + 1] == i && flag[i] == 1) after[i] = output[i + 1];
    const auto fit = regress(design.matrix(), after, clusters_, design.names());
    if (!fit.ok()) {
      report.notes.push_back(fmt::format("the return of {} by lot is withheld: {}", out.signal, fit.error().message));
      return;
    }
    Bounded lot = student(fit->coefficient[0], fit->error(0), fit->clusters - 1, fit->rows,
                          "least squares on rows drawn by lot, Student's t over clusters");
    lot.n_effective = fit->clusters;
    out.next_by_lot = lot;
    const VectorD gap = fit->influence.col(0) - influence(next);
    out.disagreement =
        student(fit->coefficient[0] - next.value, length(gap), std::min(fit->clusters, least_clusters()) - 1, fit->rows,
                "difference of both, Student's t over clusters");
  }

  /// By differences: the radius is smooth where its largest eigenvalue is simple.
  Bounded radius() const {
    constexpr double kStep = 1e-4;
    const double value = spectral_radius(model_);
    VectorD moved = VectorD::Zero(static_cast<Index>(clusters_.count));
    for (const Equation& e : equations_) {
      for (const Equation::Place& place : e.places) {
        RoundModel up = model_, down = model_;
        entry(up, e.to, place) += kStep;
        entry(down, e.to, place) -= kStep;
        const double slope = (spectral_radius(up) - spectral_radius(down)) / (2 * kStep);
        moved += slope * e.fit.influence.col(static_cast<Index>(place.regressor));
      }
    }
    Bounded out = student(value, length(moved), least_clusters() - 1, least_rows(),
                          "least squares along the graph, delta method over clusters");
    out.n_effective = least_clusters();
    out.low = [low = out.low](double k) {
      const auto v = low(k);
      return v ? std::optional(std::max(0.0, *v)) : v;
    };
    return out;
  }

  const SystemGraph& graph_;
  const Trace& trace_;
  const FeedbackOptions& options_;
  std::vector<std::size_t> before_;
  Clusters clusters_;
  std::vector<std::string> names_;   ///< of the signals in the model
  std::vector<std::size_t> writer_;  ///< of each
  std::map<std::string, Index> index_;
  RoundModel model_;
  std::vector<Equation> equations_;
  std::vector<bool> on_loop_;  ///< by part
};

}  // namespace

base::Result<FeedbackReport> find_feedback(const SystemGraph& graph, const Trace& trace,
                                           const FeedbackOptions& options) {
  PL_CHECK(base::check_in("find_feedback", "hidden", options.hidden, 0, 0.99));
  return Finder(graph, trace, options).run();
}

}  // namespace plumbline::system
