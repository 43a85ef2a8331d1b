#include "plumbline/checks/robustness/margin_picture.hpp"

#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "plumbline/checks/pictures.hpp"

namespace plumbline::checks {

check::Artifact margin_picture(std::string id, std::string title, const std::string& threat,
                               std::span<const robustness::CurvePoint> points, double marked_epsilon) {
  std::vector<double> x, y, low, high;
  std::vector<std::string> series;
  for (const robustness::CurvePoint& point : points) {
    x.push_back(point.epsilon);
    y.push_back(point.accuracy.value);
    low.push_back(point.accuracy.low().value_or(std::nan("")));
    high.push_back(point.accuracy.high().value_or(std::nan("")));
    series.push_back(point.series);
  }
  check::Artifact picture;
  picture.id = std::move(id);
  picture.kind = "curve";
  picture.title = std::move(title);
  picture.caption =
      "Share of examples still right. What an attack leaves standing is an upper bound, what is proved a lower bound; "
      "the truth lies between.";
  picture.columns = {
      {"x", "", x}, {"y", "share", y}, {"low", "share", low}, {"high", "share", high}, {"series", "", series}};
  picture.facts = {{"x_label", fmt::format("epsilon ({})", threat)},
                   {"y_label", "accuracy"},
                   {"level", "0.95"},
                   {"marker", number(marked_epsilon)},
                   {"marker_label", "epsilon of the claim"}};
  return picture;
}

}  // namespace plumbline::checks
