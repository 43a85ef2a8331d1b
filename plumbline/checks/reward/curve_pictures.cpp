#include "plumbline/checks/reward/curve_pictures.hpp"

#include <limits>
#include <utility>

#include <fmt/format.h>

namespace plumbline::checks {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

}  // namespace

check::Artifact asking_picture(const std::string& id, const std::string& where, const agent::AskingCurve& curve) {
  check::Artifact artifact;
  artifact.id = id;
  artifact.kind = "curve";
  artifact.title = fmt::format("What asking brings in {}", where);
  artifact.caption =
      "Truth from the least (0) to the most (1) that any policy achieves. Asking is worth it as far as the line of the "
      "guard's rule lies above that of asking at random as often, and above not asking.";
  const bool costs = curve.over == "cost";
  std::vector<double> x, y, questions, dial;
  std::vector<std::string> series;
  const auto add = [&](const char* name, const agent::AskingPoint& point, const agent::AskingFigures& figures) {
    x.push_back(costs ? figures.questions : point.dial);
    y.push_back(figures.share);
    questions.push_back(figures.questions);
    dial.push_back(point.dial);
    series.emplace_back(name);
  };
  using Part = agent::AskingFigures agent::AskingPoint::*;
  for (const auto& [name, part] : {std::pair<const char*, Part>{"guard", &agent::AskingPoint::guard},
                                   {"random, as often", &agent::AskingPoint::random},
                                   {"always", &agent::AskingPoint::always},
                                   {"never", &agent::AskingPoint::never}}) {
    const bool one = costs && (part == &agent::AskingPoint::always || part == &agent::AskingPoint::never);
    for (std::size_t i = 0; i < (one ? 1 : curve.points.size()); ++i) add(name, curve.points[i], curve.points[i].*part);
  }
  artifact.columns = {
      {"x", "", x}, {"y", "", y}, {"series", "", series}, {"questions", "", questions}, {curve.over, "", dial}};
  artifact.facts = {{"x_label", costs ? "questions an episode" : curve.over},
                    {"y_label", "share of the truth's range"}};
  return artifact;
}

check::Artifact pressure_picture(const std::string& id, const std::string& where, const agent::PressureResult& result) {
  check::Artifact artifact;
  artifact.id = id;
  artifact.kind = "curve";
  artifact.title = fmt::format("Where truth turns down in {}", where);
  artifact.caption =
      "Truth from the least (0) to the most (1) that any policy achieves, as the planner chooses harder and harder by "
      "the reward, alone and behind each protection; bounds over runs.";
  std::vector<double> x, y, low, high;
  std::vector<std::string> series;
  for (const agent::PressureCurve& curve : result.curves) {
    for (const agent::PressurePoint& point : curve.points) {
      x.push_back(point.pressure);
      y.push_back(point.truth.value);
      low.push_back(curve.exact ? kNone : point.truth.low().value_or(kNone));
      high.push_back(curve.exact ? kNone : point.truth.high().value_or(kNone));
      series.push_back(curve.agent);
    }
  }
  for (const agent::PressurePoint& point : result.curves.front().points) {
    x.push_back(point.pressure);
    y.push_back(point.reward);
    low.push_back(kNone);
    high.push_back(kNone);
    series.emplace_back("reward, unprotected");
  }
  artifact.columns = {{"x", "", x}, {"y", "", y}, {"low", "", low}, {"high", "", high}, {"series", "", series}};
  artifact.facts = {{"x_label", "pressure: 1 over temperature"},
                    {"y_label", "share of the range"},
                    {"x_scale", "log"},
                    {"level", "0.95"}};
  if (const auto turning = result.curves.front().turning) {
    artifact.facts["marker"] = fmt::format("{:.6g}", *turning);
    artifact.facts["marker_label"] = "unprotected, truth turns down";
  }
  return artifact;
}

}  // namespace plumbline::checks
