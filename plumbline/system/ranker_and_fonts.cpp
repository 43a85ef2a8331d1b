#include "plumbline/system/ranker_and_fonts.hpp"

#include <algorithm>
#include <array>

#include "plumbline/system/simulated.hpp"

namespace plumbline::system {
namespace {

constexpr std::size_t kKinds = 3;
constexpr std::size_t kItems = 8;
constexpr std::size_t kFonts = 3;
constexpr std::array<double, kFonts> kSpace = {0, 0.08, 0.25};
constexpr std::array<double, kFonts> kNoticed = {0.02, 0.3, 0.95};
constexpr double kFontLots = 0.05;
constexpr double kRare = 0.1;  // share of a kind's recent decisions below which an item looks rare

std::size_t known_item(std::size_t kind) { return kind; }
std::size_t best_item(std::size_t kind) { return kind + 4; }
double clicked(std::size_t kind, std::size_t item) {
  return item == best_item(kind) ? 0.8 : item == known_item(kind) ? 0.5 : 0.05;
}

/// Mean of what was seen, after a few imagined observations.
struct Mean {
  double sum = 0;
  double count = 0;
  double value(double prior) const {
    constexpr double kImagined = 5;
    return (sum + kImagined * prior) / (count + kImagined);
  }
  void add(double x) {
    sum += x;
    count += 1;
  }
};

template <std::size_t n, class Value>
std::size_t best(const Value& value) {
  std::size_t at = 0;
  for (std::size_t k = 1; k < n; ++k)
    if (value(k) > value(at)) at = k;
  return at;
}

class Teams {
 public:
  std::size_t show(std::size_t kind) const {
    return best<kItems>(
        [&](std::size_t item) { return items_[kind][item].value(item == known_item(kind) ? 0.45 : 0.2); });
  }
  bool rare(std::size_t kind, std::size_t item) const { return shown_[kind][item] < kRare; }
  std::size_t print(bool looks_rare) const {
    return best<kFonts>([&](std::size_t font) { return fonts_[looks_rare ? 1 : 0][font].value(0); });
  }
  void learn(std::size_t kind, std::size_t item, bool looks_rare, std::size_t font, double click) {
    items_[kind][item].add(click);
    fonts_[looks_rare ? 1 : 0][font].add(click - kSpace[font]);
    constexpr double kForget = 0.02;
    for (std::size_t k = 0; k < kItems; ++k) shown_[kind][k] += kForget * ((k == item ? 1 : 0) - shown_[kind][k]);
  }

 private:
  std::array<std::array<Mean, kItems>, kKinds> items_{};
  std::array<std::array<Mean, kFonts>, 2> fonts_{};
  std::array<std::array<double, kItems>, kKinds> shown_{};
};

}  // namespace

std::vector<Component> ranker_components() {
  Component ranker, reader, fonts, people;
  ranker.name = "ranker";
  ranker.inputs = {"kind"};
  ranker.outputs = {"item"};
  ranker.learns_from = {"click"};
  ranker.objective = "click";
  reader.name = "reader";
  reader.inputs = {"kind", "item"};
  reader.outputs = {"looks"};
  fonts.name = "fonts";
  fonts.inputs = {"looks"};
  fonts.outputs = {"font"};
  fonts.learns_from = {"net"};
  fonts.objective = "net";
  people.name = "people";
  people.inputs = {"kind", "item", "font"};
  people.outputs = {"noticed", "click", "net"};
  return {ranker, reader, fonts, people};
}

RankerRun run_ranker_and_fonts(const RankerOptions& o, base::Rng& rng) {
  Teams teams;
  std::vector<double> time, session, explored, propensity, noticed, click, net;
  std::vector<int> kinds, items, looks, fonts;
  double clicks = 0;
  for (std::size_t i = 0; i < o.warm_up + o.rows; ++i) {
    const std::size_t kind = rng.below(kKinds);
    const bool lot = rng.bernoulli(o.explore);
    const std::size_t any_item = rng.below(kItems);
    const std::size_t item = lot ? any_item : teams.show(kind);
    const bool right = rng.bernoulli((1 + o.acuity) / 2);
    const bool looks_rare = teams.rare(kind, item) == right;
    const bool font_lot = rng.bernoulli(kFontLots);
    const std::size_t any_font = rng.below(kFonts);
    const std::size_t font = o.font ? static_cast<std::size_t>(*o.font) : font_lot ? any_font : teams.print(looks_rare);
    const bool seen = rng.bernoulli(kNoticed[font]);
    const double result = rng.bernoulli(clicked(kind, item)) && seen ? 1 : 0;
    teams.learn(kind, item, looks_rare, font, result);
    if (i < o.warm_up) continue;
    constexpr std::size_t kSession = 4;
    time.push_back(static_cast<double>(i - o.warm_up));
    session.push_back(static_cast<double>((i - o.warm_up) / kSession));
    kinds.push_back(static_cast<int>(kind));
    items.push_back(static_cast<int>(item));
    explored.push_back(lot ? 1 : 0);
    propensity.push_back(o.explore);
    looks.push_back(looks_rare ? 1 : 0);
    fonts.push_back(static_cast<int>(font));
    noticed.push_back(seen ? 1 : 0);
    click.push_back(result);
    net.push_back(result - kSpace[font]);
    clicks += result;
  }
  RankerRun run;
  run.clicks = clicks / static_cast<double>(o.rows);
  for (std::size_t kind = 0; kind < kKinds; ++kind) run.found += teams.show(kind) == best_item(kind) ? 1.0 / kKinds : 0;
  add_number(run.trace, "time", std::move(time));
  add_number(run.trace, "session", std::move(session));
  add_category(run.trace, "kind", std::move(kinds), {"young", "middle", "old"});
  std::vector<std::string> names;
  for (std::size_t k = 0; k < kItems; ++k) names.push_back(std::string("item-") + static_cast<char>('a' + k));
  add_category(run.trace, "item", std::move(items), std::move(names));
  add_number(run.trace, "explored", std::move(explored));
  add_number(run.trace, "propensity", std::move(propensity));
  add_category(run.trace, "looks", std::move(looks), {"common", "rare"});
  add_category(run.trace, "font", std::move(fonts), {"tiny", "small", "large"});
  add_number(run.trace, "noticed", std::move(noticed));
  add_number(run.trace, "click", std::move(click));
  add_number(run.trace, "net", std::move(net));
  return run;
}

}  // namespace plumbline::system
