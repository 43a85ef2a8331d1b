#include "tests/browser/sample_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <png.h>

#include "plumbline/base/rng.hpp"

namespace plumbline::sample {
namespace {

using check::Artifact;
using check::ArtifactColumn;
using check::Evidence;
using claims::Verdict;
using Numbers = std::vector<double>;
using Texts = std::vector<std::string>;

double wave(int i) { return std::sin(1.7 * i) * 0.5 + std::sin(0.37 * i + 1) * 0.5; }

stats::Estimate sampled(double value, double half, double n, std::string method) {
  stats::Estimate e;
  e.value = value;
  e.n = n;
  e.n_effective = n;
  e.method = std::move(method);
  const double z[] = {0.84, 1.28, 1.645, 1.96, 2.33, 2.58, 3.09, 3.72};
  for (std::size_t i = 0; i < stats::kLadder.size(); ++i) {
    e.bounds.lower[i] = value - half * z[i] / 1.96;
    e.bounds.upper[i] = value + half * z[i] / 1.96;
  }
  return e;
}

Evidence evidence(const std::string& check, const std::string& metric, std::map<std::string, std::string> where,
                  stats::Estimate estimate, std::string unit = "share") {
  Evidence e;
  e.check = check;
  e.subject = "reader@" + where["data"];
  e.metric = metric;
  e.where = std::move(where);
  e.estimate = std::move(estimate);
  e.unit = std::move(unit);
  e.seed = 7;
  e.id = fmt::format("{}-{}", check, metric);
  for (const auto& [key, value] : e.where) e.id += "-" + value;
  return e;
}

Artifact artifact(const std::string& check, std::string id, std::string kind, std::string title, std::string caption,
                  std::vector<ArtifactColumn> columns, std::map<std::string, std::string> facts) {
  Artifact a;
  a.id = check + ".reader-test." + std::move(id);
  a.kind = std::move(kind);
  a.title = std::move(title);
  a.caption = std::move(caption);
  a.columns = std::move(columns);
  a.facts = std::move(facts);
  return a;
}

Artifact reliability() {
  Numbers confidence, accuracy, low, high, count, from, to;
  Texts series;
  for (int s = 0; s < 2; ++s) {
    for (int b = 0; b < 10; ++b) {
      const double c = 0.05 + 0.1 * b;
      const double n = std::round(20 + 900 * std::pow(c, 4));
      const double spread = 1.96 * std::sqrt(c * (1 - c) / n);
      confidence.push_back(c);
      accuracy.push_back(s == 0 ? std::pow(c, 1.5) : std::clamp(c + 0.5 * spread * wave(b), 0.0, 1.0));
      low.push_back(std::max(0.0, c - spread));
      high.push_back(std::min(1.0, c + spread));
      count.push_back(n);
      from.push_back(0.1 * b);
      to.push_back(0.1 * b + 0.1);
      series.emplace_back(s == 0 ? "as given" : "after temperature 1.62");
    }
  }
  return artifact(
      "caution.calibration", "reliability", "reliability", "Confidence against accuracy, test",
      "Points below the diagonal are overconfident; the band holds 95 % of the points of a calibrated model.",
      {{"confidence", "share", confidence},
       {"accuracy", "share", accuracy},
       {"low", "share", low},
       {"high", "share", high},
       {"count", "rows", count},
       {"bin_low", "share", from},
       {"bin_high", "share", to},
       {"series", "", series}},
      {{"level", "0.95"}, {"ece", "0.082"}, {"temperature", "1.62"}});
}

Artifact roc(int points) {
  Numbers fpr, tpr, low, high;
  Texts series;
  const char* names[] = {"mahalanobis", "max softmax", "energy"};
  const double power[] = {0.06, 0.35, 0.2};
  for (int s = 0; s < 3; ++s) {
    for (int i = 0; i <= points; ++i) {
      const double x = std::pow(static_cast<double>(i) / points, 2);
      const double y = std::pow(x, power[s]);
      fpr.push_back(x);
      tpr.push_back(y);
      low.push_back(std::max(0.0, y - 0.03 * std::sqrt(1 - x)));
      high.push_back(std::min(1.0, y + 0.03 * std::sqrt(1 - x)));
      series.emplace_back(names[s]);
    }
  }
  return artifact("robustness.ood", "roc", "roc", "Telling clothes from digits",
                  "Further to the upper left is better; the band is pointwise.",
                  {{"fpr", "share", fpr},
                   {"tpr", "share", tpr},
                   {"low", "share", low},
                   {"high", "share", high},
                   {"series", "", series}},
                  {{"level", "0.95"}});
}

Artifact grid() {
  const Texts names = {"shot noise", "impulse noise", "glass blur",  "motion blur", "shear",
                       "scale",      "rotate",        "brightness",  "translate",   "stripe",
                       "fog",        "spatter",       "dotted line", "zigzag",      "canny edges"};
  Texts row, column;
  Numbers value, low, high;
  for (std::size_t r = 0; r < names.size(); ++r) {
    for (int severity = 1; severity <= 5; ++severity) {
      row.push_back(names[r]);
      column.push_back(std::to_string(severity));
      const double v = std::clamp(0.02 + 0.035 * severity * (1.2 + wave(static_cast<int>(r))), 0.01, 0.9);
      value.push_back(v);
      low.push_back(v * 0.9);
      high.push_back(v * 1.1);
    }
  }
  return artifact(
      "robustness.corruption", "grid", "grid", "Error under each corruption and severity",
      "The stronger the colour, the worse; severity 5 is the strongest damage.",
      {{"row", "", row},
       {"column", "", column},
       {"value", "share", value},
       {"low", "share", low},
       {"high", "share", high}},
      {{"row_label", "corruption"}, {"column_label", "severity"}, {"value_label", "error"}, {"worse", "high"}});
}

Artifact treemap() {
  Texts label, parent;
  Numbers size, value;
  for (int i = 0; i < 36; ++i) {
    label.push_back(fmt::format("digit {}, {}", i % 10,
                                i % 3 == 0   ? "thick stroke"
                                : i % 3 == 1 ? "thin stroke"
                                             : "slanted"));
    parent.emplace_back(i % 3 == 0 ? "stroke: thick" : i % 3 == 1 ? "stroke: thin" : "slant");
    size.push_back(40 + 300 * std::fabs(wave(i + 3)));
    value.push_back(i == 21 ? 0.41 : 0.02 + 0.06 * std::fabs(wave(i)));
  }
  return artifact("probe.accuracy", "slices", "treemap", "Where the errors are",
                  "Area is how many rows a slice has, colour its error rate on the half that was kept for estimating.",
                  {{"label", "", label}, {"size", "rows", size}, {"value", "share", value}, {"parent", "", parent}},
                  {{"size_label", "rows"}, {"value_label", "error rate"}, {"worse", "high"}});
}

std::string png_sheet(int tile, int across, int down) {
  const int width = tile * across;
  const int height = tile * down;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(width * height), 0);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int t = (y / tile) * across + x / tile;
      const double dx = x % tile - tile / 2.0 + 0.5;
      const double dy = y % tile - tile / 2.0 + 0.5;
      const double radius = std::hypot(dx * (1 + 0.05 * t), dy);
      pixels[static_cast<std::size_t>(y * width + x)] =
          static_cast<std::uint8_t>(std::clamp(255 - 90 * std::fabs(radius - 7 - t % 4), 0.0, 255.0));
    }
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_GRAY;
  png_alloc_size_t bytes = 0;
  png_image_write_to_memory(&image, nullptr, &bytes, 0, pixels.data(), 0, nullptr);
  std::string out(bytes, '\0');
  png_image_write_to_memory(&image, out.data(), &bytes, 0, pixels.data(), 0, nullptr);
  out.resize(bytes);
  return out;
}

Artifact gallery() {
  Texts caption, label, predicted, group;
  Numbers row, confidence;
  for (int i = 0; i < 14; ++i) {
    caption.push_back(fmt::format("thick stroke {}", i + 1));
    label.emplace_back(i % 2 == 0 ? "7" : "9");
    predicted.emplace_back(i % 5 == 4 ? label.back() : "1");
    group.emplace_back(i < 8 ? "worst slice" : "most confident errors");
    row.push_back(1203 + 71 * i);
    confidence.push_back(0.99 - 0.013 * i);
  }
  Artifact a = artifact("probe.accuracy", "errors", "gallery", "Rows that were read wrongly",
                        "The slice with the highest error, then the most confident errors elsewhere.",
                        {{"caption", "", caption},
                         {"row", "", row},
                         {"label", "", label},
                         {"predicted", "", predicted},
                         {"confidence", "share", confidence},
                         {"group", "", group}},
                        {{"tile_width", "28"}, {"tile_height", "28"}, {"columns", "7"}});
  a.media_type = "image/png";
  a.bytes = png_sheet(28, 7, 2);
  return a;
}

Artifact histogram() {
  Numbers low, high, count;
  Texts series;
  for (int s = 0; s < 2; ++s) {
    for (int b = 0; b < 30; ++b) {
      const double x = -3 + 0.25 * b;
      low.push_back(x);
      high.push_back(x + 0.25);
      count.push_back(std::round(800 * std::exp(-std::pow(x + 0.125 - 1.7 * s, 2) / (1 + 0.4 * s))));
      series.emplace_back(s == 0 ? "digits" : "clothes");
    }
  }
  return artifact("robustness.ood", "scores", "histogram", "Scores of the default detector",
                  "The further apart, the easier to tell.",
                  {{"low", "", low}, {"high", "", high}, {"count", "rows", count}, {"series", "", series}},
                  {{"x_label", "Mahalanobis score"},
                   {"y_label", "rows"},
                   {"marker", "1.31"},
                   {"marker_label", "threshold at 5 % false alarms"}});
}

Artifact permutation() {
  Numbers low, high, count;
  for (int b = 0; b < 24; ++b) {
    low.push_back(0.001 * b);
    high.push_back(0.001 * b + 0.001);
    count.push_back(std::round(120 * std::exp(-std::pow((b - 8) / 4.0, 2))));
  }
  return artifact("robustness.drift", "permutations", "histogram", "The distance under no drift",
                  "The line is the distance that was seen.",
                  {{"low", "", low}, {"high", "", high}, {"count", "", count}},
                  {{"x_label", "squared MMD"},
                   {"y_label", "permutations"},
                   {"marker", "0.0335"},
                   {"marker_label", "seen: 0.0335"}});
}

Artifact curve(int points) {
  Numbers x, y, low, high;
  Texts series;
  for (int s = 0; s < 2; ++s) {
    for (int i = 0; i < points; ++i) {
      const double n = std::pow(10.0, 1 + 3.0 * i / (points - 1));
      x.push_back(n);
      y.push_back(1 - (s == 0 ? 0.8 : 1.1) / std::pow(n, 0.35));
      low.push_back(y.back() - 1.2 / std::sqrt(n) * 0.3);
      high.push_back(std::min(1.0, y.back() + 1.2 / std::sqrt(n) * 0.3));
      series.emplace_back(s == 0 ? "reader" : "baseline");
    }
  }
  return artifact(
      "methodology.adequacy", "learning", "curve", "Accuracy over the number of training rows",
      "A curve that still rises at its end says that more rows would help.",
      {{"x", "rows", x}, {"y", "share", y}, {"low", "share", low}, {"high", "share", high}, {"series", "", series}},
      {{"x_label", "training rows"},
       {"y_label", "accuracy"},
       {"x_scale", "log"},
       {"reference", "0.97"},
       {"reference_label", "claimed: 0.97"},
       {"level", "0.95"}});
}

Artifact bars() {
  Texts label, series;
  Numbers value, low, high;
  const char* inputs[] = {"all pixels", "border only", "upper half", "mean brightness", "no input"};
  const double full[] = {0.968, 0.31, 0.74, 0.19, 0.11};
  for (int s = 0; s < 2; ++s) {
    for (int i = 0; i < 5; ++i) {
      label.emplace_back(inputs[i]);
      value.push_back(full[i] * (s == 0 ? 1 : 0.93));
      low.push_back(value.back() - 0.02);
      high.push_back(value.back() + 0.02);
      series.emplace_back(s == 0 ? "test" : "elsewhere");
    }
  }
  return artifact("methodology.shortcut", "inputs", "bars", "Accuracy from a part of the input",
                  "A part that should not be enough and is, is a shortcut.",
                  {{"label", "", label},
                   {"value", "share", value},
                   {"low", "share", low},
                   {"high", "share", high},
                   {"series", "", series}},
                  {{"value_label", "accuracy"},
                   {"reference", "0.1135"},
                   {"reference_label", "always the commonest class"},
                   {"level", "0.95"}});
}

Artifact network() {
  return artifact("system.feedback_loop", "parts", "network", "The parts of the system",
                  "Solid: read in the same round. Dashed: learned from later.",
                  {{"from", "", Texts{"ranker", "ranker", "reader", "fonts", "people", "people", "clock"}},
                   {"to", "", Texts{"reader", "people", "fonts", "people", "ranker", "fonts", ""}},
                   {"kind", "", Texts{"feeds", "feeds", "feeds", "feeds", "teaches", "teaches", ""}},
                   {"label", "", Texts{"item", "item", "looks", "font", "click", "net", ""}},
                   {"mark", "", Texts{"", "", "kept 0.17", "", "on a loop", "on a loop", ""}}},
                  {});
}

Artifact fates() {
  Texts row, column, verdict, reason;
  Numbers truth;
  const char* worlds[] = {"boat_race", "vase", "office"};
  const char* agents[] = {"optimal", "q_learning", "random", "cautious"};
  const char* verdicts[] = {"hacks", "safe", "incapable", "undetermined", "not_run", "error"};
  for (int w = 0; w < 3; ++w) {
    for (int a = 0; a < 4; ++a) {
      row.emplace_back(worlds[w]);
      column.emplace_back(agents[a]);
      verdict.emplace_back(verdicts[(5 * w + a) % 6]);
      truth.push_back(std::fabs(wave(4 * w + a)));
      reason.emplace_back(a == 0 ? "exact" : "");
    }
  }
  return artifact("system.feedback_loop", "fates", "fates", "Agents in worlds",
                  "A letter and a ground for each verdict.",
                  {{"row", "", row},
                   {"column", "", column},
                   {"verdict", "", verdict},
                   {"truth", "", truth},
                   {"reason", "", reason}},
                  {});
}

Artifact episode() {
  const char* boards[] = {"#####\n#A> #\n#^#v#\n# < #\n#####\n", "#####\n# A #\n#^#v#\n# < #\n#####\nround 1\n"};
  Texts frame, action;
  Numbers reward, truth;
  for (int step = 0; step <= 20; ++step) {
    frame.emplace_back(boards[step % 2]);
    action.emplace_back(step == 0 ? "" : step % 2 == 0 ? "left" : "right");
    reward.push_back(step == 0 ? 0 : step % 2 == 0 ? -1 : 2);
    truth.push_back(step % 7 == 6 ? 1 : 0);
  }
  return artifact("system.feedback_loop", "episode", "episode", "The optimal agent in the boat race",
                  "What it is paid grows, what people want does not.",
                  {{"frame", "", frame}, {"action", "", action}, {"reward", "", reward}, {"truth", "", truth}}, {});
}

Artifact confusion() {
  Texts truth, predicted;
  Numbers count;
  for (int t = 0; t < 10; ++t) {
    for (int p = 0; p < 10; ++p) {
      const double n = t == p ? 940 + 8 * t : t == 7 && p == 1 ? 92 : std::round(6 * std::fabs(wave(10 * t + p)));
      if (n == 0) continue;
      truth.push_back(std::to_string(t));
      predicted.push_back(std::to_string(p));
      count.push_back(n);
    }
  }
  return artifact("probe.accuracy", "confusion", "confusion", "Truth against prediction, test",
                  "Off the diagonal are the errors.",
                  {{"truth", "", truth}, {"predicted", "", predicted}, {"count", "rows", count}}, {});
}

Artifact table(int rows) {
  Texts slice;
  Numbers size, error, low, high;
  for (int i = 0; i < rows; ++i) {
    slice.push_back(fmt::format("digit = {} and thickness >= {:.1f}", i % 10, 1 + 0.1 * (i % 30)));
    size.push_back(30 + (i * 37) % 400);
    error.push_back(i % 9 == 8 ? std::numeric_limits<double>::quiet_NaN() : 0.03 + 0.02 * wave(i));
    low.push_back(error.back() - 0.01);
    high.push_back(error.back() + 0.01);
  }
  return artifact("probe.accuracy", "slice-table", "table", "Slices that were found",
                  "Found on one half of the rows, estimated on the other.",
                  {{"slice", "", slice},
                   {"rows", "rows", size},
                   {"error", "share", error},
                   {"low", "share", low},
                   {"high", "share", high}},
                  {{"found_on", "test, first half by unit"}});
}

check::CheckInfo info(std::string id, std::string title, std::string question) {
  check::CheckInfo i;
  i.id = std::move(id);
  i.title = std::move(title);
  i.question = std::move(question);
  return i;
}

claims::ClaimVerdict claim(const check::RunRecord& run, std::size_t deciding, std::string id, std::string text,
                           Verdict verdict, std::string condition, std::string reason) {
  claims::ClaimVerdict c;
  const Evidence& e = run.evidence.at(deciding);
  c.id = std::move(id);
  c.text = std::move(text);
  c.check = e.check;
  c.metric = e.metric;
  c.where = e.where;
  c.verdict = verdict;
  c.condition = std::move(condition);
  c.reason = std::move(reason);
  c.evidence = {e.id};
  c.deciding = e.id;
  c.value = e.estimate.value;
  c.low = e.estimate.bounds.lower[3];
  c.high = e.estimate.bounds.upper[3];
  c.judged_level = 0.975;
  c.simultaneous_level = 0.995;
  return c;
}

check::RunRecord base_run() {
  check::RunRecord run;
  run.id = "4f1c09d2ab77";
  run.name = "nightly";
  run.status = check::RunStatus::kSuccess;
  run.system = "digit reader";
  run.manifest = "examples/digits/system.toml";
  run.manifest_sha256 = std::string(64, 'a');
  run.started = "2026-01-31T12:00:00Z";
  run.finished = "2026-01-31T12:00:47Z";
  run.seconds = 47.2;
  run.seed = 7;
  run.build = "0.1.0 (gcc 12.2, abcdef0)";
  run.machine = "x86-64-v3, 2 cores";
  run.root = std::string(64, 'b');
  run.inputs = {{"data:test", std::string(64, 'c')},
                {"data:train", std::string(64, 'd')},
                {"model:reader", std::string(64, 'e')}};
  run.evidence = {
      evidence("probe.accuracy", "accuracy", {{"data", "test"}}, sampled(0.9684, 0.0035, 10000, "wilson")),
      evidence("probe.accuracy", "accuracy", {{"data", "test"}, {"slice", "thick stroke"}},
               sampled(0.59, 0.06, 264, "clopper-pearson")),
      evidence("caution.calibration", "ece", {{"data", "test"}},
               sampled(0.082, 0.006, 7000, "debiased, bca bootstrap (2000)")),
      evidence("caution.conformal", "coverage", {{"data", "test"}}, sampled(0.9012, 0.007, 7000, "clopper-pearson")),
      evidence("robustness.ood", "auroc", {{"data", "elsewhere"}, {"detector", "mahalanobis"}},
               sampled(0.943, 0.021, 2000, "delong")),
      evidence("robustness.ood", "fpr95", {{"data", "elsewhere"}, {"detector", "mahalanobis"}},
               sampled(0.214, 0.031, 2000, "bca bootstrap (2000)")),
      evidence("robustness.corruption", "mean_error", {{"data", "test"}},
               sampled(0.148, 0.004, 10000, "cluster bootstrap (2000)")),
      evidence("robustness.drift", "mmd", {{"data", "test"}}, sampled(0.0335, 0.004, 4000, "permutation (100)"), "1"),
      evidence("methodology.adequacy", "half_width", {{"data", "test"}}, stats::exact(0.0035, 10000, "counted"),
               "share"),
      evidence("methodology.shortcut", "accuracy", {{"data", "test"}, {"input", "border only"}},
               sampled(0.31, 0.02, 10000, "wilson")),
  };
  run.evidence[1].estimate.warnings = {"the slice was found on the other half of the rows"};
  run.evidence[6].estimate.n_effective = 9120;
  run.evidence[6].estimate.unit_of_sampling = "base image";
  run.evidence[6].estimate.assumptions = {"rows are drawn independently", "variants of one image count as one unit"};
  for (auto& bound : run.evidence[7].estimate.bounds.upper) bound.reset();
  for (const Evidence& e : run.evidence) {
    if (std::none_of(run.ledger.begin(), run.ledger.end(), [&](const auto& l) { return l.check == e.check; })) {
      run.ledger.push_back({e.check, e.subject, check::LedgerStatus::kOk, "", "all 10,000 rows of test judged",
                            0.3 + static_cast<double>(run.ledger.size()), run.ledger.size() == 3});
    }
  }
  run.artifacts = {treemap(), gallery(),     confusion(), table(180), reliability(), roc(120), histogram(),
                   grid(),    permutation(), curve(14),   bars(),     network(),     fates(),  episode()};
  return run;
}

std::vector<check::CheckInfo> infos() {
  return {info("probe.accuracy", "Accuracy and slices",
               "How often is the model right, and where is it worse than elsewhere?"),
          info("caution.calibration", "Calibration", "Do stated confidences match what happens?"),
          info("caution.conformal", "Conformal sets", "Do prediction sets hold the truth as often as promised?"),
          info("robustness.ood", "Out-of-distribution detection",
               "Does the system notice inputs unlike those it was made for?"),
          info("robustness.corruption", "Corruptions", "How does accuracy fall under ordinary damage to the image?"),
          info("robustness.drift", "Drift", "Have the inputs moved since training?"),
          info("methodology.adequacy", "Test set adequacy", "Is the test set large enough for what is claimed?"),
          info("methodology.shortcut", "Shortcuts", "How much can be predicted from parts that should not be enough?"),
          info("methodology.gradient", "Gradients", "Are the gradients that attacks use true?")};
}

/// A goal over two strategies over the claims, with a context and an answered doubt.
claims::Argument argument(std::vector<claims::ClaimVerdict>& verdicts, const std::string& system) {
  claims::Argument a;
  a.name = system;
  a.brief = system + " is fit to ship";
  using Kind = claims::NodeKind;
  const auto node = [&](std::string id, Kind kind, std::string text,
                        std::vector<std::string> below = {}) -> claims::Node& {
    claims::Node n;
    n.id = std::move(id);
    n.kind = kind;
    n.text = std::move(text);
    n.supported_by = std::move(below);
    a.nodes.push_back(std::move(n));
    return a.nodes.back();
  };
  std::vector<std::string> known, unknown;
  for (const auto& c : verdicts) (c.check.rfind("robustness", 0) == 0 ? unknown : known).push_back("G-" + c.id);
  node("G-ship", Kind::kGoal, system + " is fit to ship", {"S-known", "S-unknown"}).in_context_of = {"C-use"};
  node("C-use", Kind::kContext, "Reads digits on parcel labels; a person reads what it abstains on");
  node("S-known", Kind::kStrategy, "On inputs like those of the test source", known);
  node("S-unknown", Kind::kStrategy, "On inputs that differ", unknown);
  for (const auto& c : verdicts) {
    node("G-" + c.id, Kind::kGoal, c.text).claim = c.id;
    if (c.deciding.empty()) continue;
    a.nodes.back().supported_by = {"Sn-" + c.id};
    node("Sn-" + c.id, Kind::kSolution, c.metric + " " + c.condition).evidence = c.deciding;
  }
  claims::propagate(a, verdicts);
  return a;
}

void rename(std::string& text, const std::string& nasty) { text = nasty + text + nasty; }

}  // namespace

report::Report failing() {
  report::Report r;
  r.run = base_run();
  r.checks = infos();
  r.run.ledger.push_back({"methodology.gradient", "reader", check::LedgerStatus::kError,
                          "the worker met its memory limit of 2 GiB", "", 3.1, false});
  r.run.ledger.push_back({"methodology.determinism", "reader", check::LedgerStatus::kSkipped,
                          "not selected on the command line", "", 0, false});
  r.run.ledger.push_back({"reward.preferences", "", check::LedgerStatus::kNotApplicable,
                          "the manifest has no [preferences.*] section", "", 0, false});
  r.run.ledger.push_back({"counterfactual.ope", "", check::LedgerStatus::kNotApplicable,
                          "the manifest has no [log.*] section", "", 0, false});
  r.run.findings = {
      {"f1",
       "probe.accuracy",
       "reader@test",
       check::FindingSeverity::kMajor,
       "Digit 7 with a thick stroke is read as 1: 31 of 40 rows",
       "The slice was found on one half of the rows and estimated on the other, so the figure is not the luck of the "
       "search.",
       "add thick sevens to the training rows, or ask a person when the stroke is thick",
       "test",
       {1203, 1274, 1345, 1416, 1487, 1558},
       {{"slice", "thick stroke"}}},
      {"f2",
       "caution.calibration",
       "reader@test",
       check::FindingSeverity::kMedium,
       "Confidence is too high in every bin above 0.4",
       "One temperature of 1.62 would remove most of it.",
       "divide the logits by 1.62 before the softmax",
       "test",
       {},
       {}},
      {"f3",
       "robustness.ood",
       "reader@elsewhere",
       check::FindingSeverity::kMinor,
       "Handbags are taken for the digit 0",
       "",
       "",
       "elsewhere",
       {5},
       {}},
  };
  r.claims = {
      claim(r.run, 0, "accurate", "Digits of the test source are read correctly.", Verdict::kSupported, "at least 0.95",
            "test: 0.9684, at 0.975 not below 0.9649"),
      claim(r.run, 1, "fair-to-strokes", "Thick strokes are read as well as others.", Verdict::kRefuted,
            "at least 0.95", "test, slice thick stroke: 0.59, at 0.995 not above 0.67, and at least 0.95 is claimed"),
      claim(r.run, 2, "honest", "Confidences can be taken at their word.", Verdict::kRefuted, "at most 0.03",
            "test: 0.082, at 0.995 not below 0.073, and at most 0.03 is claimed"),
      claim(r.run, 3, "covers", "Nine in ten prediction sets hold the truth.", Verdict::kSupported, "at least 0.89",
            "test: 0.9012, at 0.975 not below 0.894"),
      claim(r.run, 4, "abstains-when-lost", "Inputs unlike the training data are recognised as such.",
            Verdict::kUndetermined, "at least 0.95", "elsewhere: 0.943 [0.922, 0.964] holds 0.95"),
      claim(r.run, 6, "survives-damage", "Ordinary damage does not break the reader.", Verdict::kSupported,
            "at most 0.2", "test: 0.148, at 0.975 not above 0.152"),
      claim(r.run, 0, "same-gradients", "Attacks see true gradients.", Verdict::kNotEvaluated, "at most 0.001",
            "methodology.gradient ended in error: the worker met its memory limit of 2 GiB"),
  };
  r.claims[0].at_least = 0.95;
  r.claims[1].at_least = 0.95;
  r.claims[2].at_most = 0.03;
  r.claims[2].waiver = claims::WaiverState{
      "w1", "A. Tester", "a temperature is applied behind the model until the next release", "2026-06-30", false};
  r.claims[3].at_least = 0.89;
  r.claims[3].severity = "warn";
  r.claims[4].at_least = 0.95;
  r.claims[4].needs_more = 5200;
  r.claims[4].looks = 2;
  r.claims[5].at_most = 0.2;
  auto& lost = r.claims[6];
  lost.check = "methodology.gradient";
  lost.metric = "relative_error";
  lost.value = lost.low = lost.high = lost.judged_level = lost.simultaneous_level = std::nullopt;
  lost.deciding.clear();
  lost.evidence.clear();
  r.argument = argument(r.claims, r.run.system);
  r.exit = {1, "2 claims are refuted: fair-to-strokes, honest", false};
  return r;
}

report::Report clean() {
  report::Report r = failing();
  r.claims.erase(r.claims.begin() + 4);
  r.claims.erase(r.claims.begin() + 1, r.claims.begin() + 3);
  r.claims.pop_back();
  r.run.findings.clear();
  std::erase_if(r.run.ledger, [](const auto& entry) { return entry.status == check::LedgerStatus::kError; });
  r.argument = argument(r.claims, r.run.system);
  r.exit = {0, "all 3 claims are supported", false};
  return r;
}

report::Report hostile() {
  report::Report r = failing();
  const std::string nasty =
      "</script><script>window.owned=1</script><img src=x "
      "onerror=\"window.owned=2\"><!--'\"&\xE2\x80\xAE\xE2\x80\xA8\xFF\xC0\xAF\x01]]>{{}}<svg onload=window.owned=3>"
      "javascript:window.owned=4</style><style>body{display:none}</style></title><title>owned</title>";
  rename(r.run.system, nasty);
  rename(r.run.id, nasty);
  rename(r.run.name, nasty);
  rename(r.run.manifest, nasty);
  rename(r.run.build, nasty);
  rename(r.run.machine, nasty);
  r.run.notes.push_back(nasty);
  r.run.inputs[nasty] = nasty;
  for (auto& c : r.checks) {
    rename(c.title, nasty);
    rename(c.question, nasty);
  }
  for (auto& entry : r.run.ledger) {
    rename(entry.subject, nasty);
    rename(entry.reason, nasty);
    rename(entry.rows, nasty);
  }
  for (auto& e : r.run.evidence) {
    rename(e.subject, nasty);
    rename(e.metric, nasty);
    rename(e.unit, nasty);
    rename(e.estimate.method, nasty);
    rename(e.estimate.unit_of_sampling, nasty);
    e.estimate.warnings.push_back(nasty);
    e.estimate.assumptions.push_back(nasty);
    e.where[nasty] = nasty;
  }
  for (auto& f : r.run.findings) {
    rename(f.id, nasty);
    rename(f.title, nasty);
    rename(f.detail, nasty);
    rename(f.next_step, nasty);
    rename(f.data, nasty);
  }
  for (auto& a : r.run.artifacts) {
    a.id += nasty;
    rename(a.title, nasty);
    rename(a.caption, nasty);
    for (auto& [name, value] : a.facts) {
      if (name.find("label") != std::string::npos) rename(value, nasty);
    }
    a.facts[nasty] = nasty;
    a.facts["__proto__"] = nasty;
    for (auto& column : a.columns) {
      rename(column.unit, nasty);
      if (auto* texts = std::get_if<Texts>(&column.values)) {
        for (auto& text : *texts) text += nasty;
      }
    }
    a.columns.push_back({nasty, nasty, Texts(3, nasty)});
  }
  Artifact unknown = r.run.artifacts.front();
  unknown.kind = nasty;
  r.run.artifacts.push_back(unknown);
  for (auto& c : r.claims) {
    rename(c.id, nasty);
    rename(c.text, nasty);
    rename(c.condition, nasty);
    rename(c.reason, nasty);
    rename(c.needs_more_reason, nasty);
    c.where[nasty] = nasty;
    if (c.waiver) {
      rename(c.waiver->owner, nasty);
      rename(c.waiver->reason, nasty);
      rename(c.waiver->expires, nasty);
    }
  }
  for (auto& node : r.argument.nodes) rename(node.text, nasty);
  rename(r.argument.name, nasty);
  rename(r.argument.brief, nasty);
  rename(r.exit.reason, nasty);
  return r;
}

report::Report huge() {
  report::Report r = failing();
  constexpr int kRows = 200000;
  for (int copy = 0; copy < 6; ++copy) {
    Artifact big = table(kRows);
    big.id += std::to_string(copy);
    r.run.artifacts.push_back(std::move(big));
  }
  r.run.artifacts.push_back(roc(kRows / 3));
  r.run.artifacts.push_back(curve(kRows / 2));
  for (int i = 0; i < 40; ++i) {
    Artifact more = table(3000);
    more.id += fmt::format("-more-{}", i);
    r.run.artifacts.push_back(std::move(more));
  }
  for (int i = 0; i < 8000; ++i) {
    r.run.evidence.push_back(evidence("probe.accuracy", "accuracy",
                                      {{"data", "test"}, {"slice", fmt::format("slice {}", i)}},
                                      sampled(0.9, 0.05, 100, "wilson")));
    r.run.ledger.push_back(
        {"probe.accuracy", fmt::format("reader@part{}", i), check::LedgerStatus::kOk, "", "all rows", 0.1, false});
    r.run.findings.push_back({fmt::format("g{}", i),
                              "probe.accuracy",
                              "reader@test",
                              check::FindingSeverity::kMinor,
                              fmt::format("Finding {}", i),
                              std::string(5000, 'x'),
                              "",
                              "test",
                              {},
                              {}});
    claims::ClaimVerdict c = r.claims[1];
    c.id = fmt::format("many-{}", i);
    c.text = std::string(20000, 'y');
    r.claims.push_back(c);
  }
  return r;
}

report::Report empty() {
  report::Report r;
  r.run.id = "000000000000";
  r.run.status = check::RunStatus::kCancelled;
  r.exit = {130, "interrupted", false};
  return r;
}

}  // namespace plumbline::sample
