#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/case/interface/check.hpp"
#include "plumbline/caution/conformal.hpp"
#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/data/npy.hpp"
#include "plumbline/robustness/ood.hpp"
#include "plumbline/stats/intervals.hpp"
#include "plumbline/stats/ranking.hpp"

namespace plumbline::checks {
namespace {

using check::Context;
using check::Output;
using check::Params;
using robustness::OodDetector;

check::CheckInfo facts() {
  std::vector<std::string> names;
  for (const OodDetector d : robustness::kOodDetectors) names.emplace_back(robustness::ood_detector_name(d));
  const std::map<std::string, std::string> usual = {
      {"detector", std::string(robustness::ood_detector_name(robustness::kDefaultOodDetector))}};
  return {
      .id = "robustness.ood",
      .title = "Out-of-distribution detection",
      .question = "Does the system notice inputs that it was not made for?",
      .row = "R1",
      .maturity = check::Maturity::kPreview,
      .needs = {"a classifier, or its stored predictions", "a training set (features are fitted on it)", "a test set",
                "at least one set of role out-of-distribution", "a calibration set, for p-values only"},
      .params = {{"detectors", std::vector<std::string>{}, {}, {}, names, "detectors to run; empty = all that apply"},
                 {"k", std::int64_t{50}, 1, 10000, {}, "neighbours of detector knn"},
                 {"unit_length", false, {}, {}, {}, "scale features to length 1 for detector knn"},
                 {"kept", 0.95, 0.5, 0.999, {}, "share of test rows that must be accepted, for fpr95"},
                 {"alarm", 0.05, 0.001, 0.5, {}, "p-value at or below which a row raises an alarm"},
                 {"components",
                  std::int64_t{64},
                  1,
                  4096,
                  {},
                  "principal components of detector pca_residual, where features are not pca:N"}},
      .yields = {{"auroc",
                  "share",
                  check::Direction::kHigherIsBetter,
                  "probability that an out-of-distribution row scores above a test row",
                  {"detector"},
                  usual},
                 {"fpr95",
                  "share",
                  check::Direction::kLowerIsBetter,
                  "share of out-of-distribution rows accepted when the share `kept` of test rows is",
                  {"detector"},
                  usual},
                 {"false_alarm_rate",
                  "share",
                  check::Direction::kLowerIsBetter,
                  "share of test rows with p-value at most `alarm`",
                  {"detector"},
                  usual},
                 {"detection_rate",
                  "share",
                  check::Direction::kHigherIsBetter,
                  "share of out-of-distribution rows with p-value at most `alarm`",
                  {"detector"},
                  usual}},
      .assumptions = {"test and calibration rows are exchangeable", "units are independent"},
      .sources = {"Hendrycks and Gimpel 2017", "Lee et al. 2018", "Ren et al. 2021", "Sun et al. 2022",
                  "DeLong et al. 1988", "Bates et al. 2023"},
      .cost = "O(n m d) for knn, O(n d^2) for the others",
      .needs_torch = false,
      .code = "1"};
}

bool has_predictions(const check::ModelFacts& model, const std::string& set) {
  return model.runs || std::find(model.stored_for.begin(), model.stored_for.end(), set) != model.stored_for.end();
}

check::Plan plan(const check::Blueprint& blueprint, const Params&) {
  check::Plan plan;
  const auto train = blueprint.sets_with_role(data::Role::kTrain);
  const auto test = blueprint.sets_with_role(data::Role::kTest);
  const auto other = blueprint.sets_with_role(data::Role::kOutOfDistribution);
  const auto calibration = blueprint.sets_with_role(data::Role::kCalibration);
  if (other.empty()) plan.not_applicable = "no data set has the role out-of-distribution";
  if (test.empty()) plan.not_applicable = "no data set has the role test";
  if (train.empty()) plan.not_applicable = "no data set has the role train, on which the detectors would be fitted";
  if (!plan.not_applicable.empty()) return plan;
  for (const auto& [name, model] : blueprint.models) {
    if (model.task != "classification") continue;
    check::Task task;
    task.subject = name;
    task.model = name;
    double rows = 0;
    for (const auto& sets : {test, other, calibration}) {
      for (const std::string& set : sets) {
        if (model.output != "scores" && has_predictions(model, set)) task.predictions.emplace_back(name, set);
        rows += static_cast<double>(blueprint.data.at(set).rows);
      }
    }
    task.cost_seconds = 1 + rows * static_cast<double>(blueprint.data.at(train.front()).rows) * 2e-9;
    plan.tasks.push_back(std::move(task));
  }
  if (plan.tasks.empty()) plan.not_applicable = "no classifier";
  return plan;
}

/// The rows of several sets of one role, one after another.
struct Pool {
  std::vector<std::string> sets;
  std::vector<double> scores;
  std::vector<int> units;  // empty unless every set declares them
};

struct Scores {
  OodDetector detector = robustness::kDefaultOodDetector;
  std::map<std::string, std::vector<double>> of_set;
};

std::vector<double> to_vector(const VectorD& v) { return {v.data(), v.data() + v.size()}; }

base::Result<Output> run(Context& context, const Params& params) {
  const std::string& model = context.task().model;
  const data::Manifest& manifest = context.manifest();
  Output out;
  std::vector<std::string> train, test, other, calibration;
  for (const auto& [name, section] : manifest.data) {
    switch (section.role) {
      case data::Role::kTrain: train.push_back(name); break;
      case data::Role::kTest: test.push_back(name); break;
      case data::Role::kOutOfDistribution: other.push_back(name); break;
      case data::Role::kCalibration: calibration.push_back(name); break;
    }
  }
  std::vector<std::string> judged = test;
  judged.insert(judged.end(), other.begin(), other.end());
  std::vector<std::string> scored = judged;
  scored.insert(scored.end(), calibration.begin(), calibration.end());
  std::map<std::string, data::DatasetPtr> sets;
  for (const std::string& name : scored) {
    PL_TRY(sets[name], context.dataset(name));
  }
  PL_TRY(const data::DatasetPtr train_set, context.dataset(train.front()));

  const std::vector<std::string>& asked = params.texts("detectors");
  const auto wanted = [&](OodDetector d) {
    return asked.empty() || std::find(asked.begin(), asked.end(), robustness::ood_detector_name(d)) != asked.end();
  };
  std::vector<Scores> all;
  const auto score_all = [&](OodDetector detector,
                             const std::function<base::Result<VectorD>(const std::string&)>& score) -> base::Status {
    Scores scores{detector, {}};
    for (const std::string& name : scored) {
      PL_CHECK(context.cancel().status());
      PL_TRY(const VectorD values, score(name));
      scores.of_set[name] = to_vector(values);
    }
    all.push_back(std::move(scores));
    return base::ok();
  };
  const auto leave_out = [&](OodDetector detector, std::string_view why) {
    out.notes.push_back(fmt::format("detector {} left out: {}", robustness::ood_detector_name(detector), why));
  };

  // Detectors that read the outputs.
  bool any_outputs = false;
  for (const OodDetector d : robustness::kOodDetectors)
    any_outputs = any_outputs || (robustness::ood_reads_outputs(d) && wanted(d));
  if (any_outputs) {
    PL_TRY(const decision::PredictorInfo info, context.predictor_info(model));
    std::string missing;
    for (const std::string& name : scored) {
      const bool planned = std::any_of(context.task().predictions.begin(), context.task().predictions.end(),
                                       [&](const auto& p) { return p.second == name; });
      if (!planned && missing.empty()) missing = fmt::format("no predictions of the set '{}'", name);
    }
    for (const OodDetector d : robustness::kOodDetectors) {
      if (!robustness::ood_reads_outputs(d) || !wanted(d)) continue;
      if (const auto why = robustness::ood_output_obstacle(d, info.output); !why.empty()) {
        leave_out(d, why);
      } else if (!missing.empty()) {
        leave_out(d, missing);
      } else {
        PL_CHECK(score_all(d, [&](const std::string& name) -> base::Result<VectorD> {
          PL_TRY(const auto prediction, context.predictions(model, name));
          return robustness::ood_output_score(d, prediction->outputs, info.output);
        }));
      }
    }
  }

  // Detectors that read features.
  PL_TRY(const auto train_features, context.features(model, train.front()));
  if (wanted(OodDetector::kMahalanobis) || wanted(OodDetector::kRelativeMahalanobis)) {
    std::vector<int> labels = train_set->labels;
    if (labels.empty()) labels.assign(train_set->rows(), 0);
    PL_TRY(const robustness::MahalanobisScore fit,
           robustness::fit_mahalanobis(*train_features, labels, std::max(1, train_set->classes())));
    if (fit.ridge() > 0)
      out.notes.push_back(
          fmt::format("the covariance of the features is singular; a ridge of {:.3g} was added", fit.ridge()));
    if (wanted(OodDetector::kMahalanobis)) {
      PL_CHECK(score_all(OodDetector::kMahalanobis, [&](const std::string& name) -> base::Result<VectorD> {
        PL_TRY(const auto features, context.features(model, name));
        return fit.score(*features);
      }));
    }
    if (wanted(OodDetector::kRelativeMahalanobis)) {
      if (train_set->classes() < 2) {
        leave_out(OodDetector::kRelativeMahalanobis, "the training set has no labels of two classes");
      } else {
        PL_CHECK(score_all(OodDetector::kRelativeMahalanobis, [&](const std::string& name) -> base::Result<VectorD> {
          PL_TRY(const auto features, context.features(model, name));
          return fit.relative_score(*features);
        }));
      }
    }
  }
  if (wanted(OodDetector::kNearestNeighbours)) {
    const auto k = static_cast<std::size_t>(params.integer("k"));
    if (train_set->rows() < k) {
      leave_out(OodDetector::kNearestNeighbours,
                fmt::format("the training set has {} rows, fewer than k = {}", train_set->rows(), k));
    } else {
      PL_TRY(const robustness::NearestNeighbours knn,
             robustness::NearestNeighbours::fit(*train_features, {.k = k, .unit_length = params.flag("unit_length")}));
      PL_CHECK(score_all(OodDetector::kNearestNeighbours, [&](const std::string& name) -> base::Result<VectorD> {
        PL_TRY(const auto features, context.features(model, name));
        return knn.score(*features, context.cancel());
      }));
    }
  }
  if (wanted(OodDetector::kPcaResidual)) {
    // The residual lives outside the principal plane, so it reads the rows from which such features were projected.
    const auto section = manifest.models.find(model);
    const std::string declared = section == manifest.models.end() ? "" : section->second.features;
    const bool tensor = !declared.empty() && declared != "inputs" && declared.rfind("pca:", 0) != 0;
    const auto rows_of = [&](const std::string& name, std::size_t rows) -> base::Result<MatrixF> {
      if (tensor) {
        PL_TRY(const auto features, context.features(model, name));
        return *features;
      }
      std::vector<std::size_t> every(rows);
      std::iota(every.begin(), every.end(), std::size_t{0});
      return context.inputs(model, name, every);
    };
    PL_TRY(const MatrixF rows, rows_of(train.front(), train_set->rows()));
    std::ptrdiff_t components = params.integer("components");
    if (declared.rfind("pca:", 0) == 0) components = train_features->cols();
    components = std::min(components, std::max<std::ptrdiff_t>(1, rows.cols() / 2));
    if (rows.cols() < 2) {
      leave_out(OodDetector::kPcaResidual, "inputs have one column: there is nothing outside its axis");
    } else {
      PL_TRY(const stats::Pca pca, stats::fit_pca(MatrixRefF(rows), components));
      PL_CHECK(score_all(OodDetector::kPcaResidual, [&](const std::string& name) -> base::Result<VectorD> {
        PL_TRY(const MatrixF of_set, rows_of(name, sets[name]->rows()));
        return robustness::pca_residual_score(pca, of_set);
      }));
    }
  }

  const auto pool = [&](const Scores& scores, const std::vector<std::string>& names) {
    Pool p{names, {}, {}};
    bool units = true;
    for (const std::string& name : names) units = units && !sets[name]->units.empty();
    int offset = 0;
    for (const std::string& name : names) {
      const auto& values = scores.of_set.at(name);
      p.scores.insert(p.scores.end(), values.begin(), values.end());
      if (!units) continue;
      for (const int u : sets[name]->units) p.units.push_back(u + offset);
      offset = 1 + *std::max_element(p.units.begin(), p.units.end());
    }
    return p;
  };
  const auto negated = [](const std::vector<double>& v) {
    std::vector<double> n(v.size());
    std::transform(v.begin(), v.end(), n.begin(), [](double x) { return -x; });
    return n;
  };

  const double kept = params.real("kept");
  const double alarm = params.real("alarm");
  const check::CheckInfo info = facts();
  for (const std::string& elsewhere : other) {
    check::Artifact roc;
    roc.id = "roc-" + elsewhere;
    roc.kind = "roc";
    roc.title = fmt::format("Telling {} from {}", elsewhere, fmt::join(test, ", "));
    roc.caption =
        "Higher is better: the share of out-of-distribution rows that is noticed at each share of false alarms; the "
        "band is pointwise.";
    std::vector<double> fpr, tpr, low, high, threshold;
    std::vector<std::string> series;
    for (const Scores& scores : all) {
      const std::string detector(robustness::ood_detector_name(scores.detector));
      const Pool id = pool(scores, test);
      const Pool ood = pool(scores, {elsewhere});
      const bool clustered = !id.units.empty() && !ood.units.empty();
      stats::AurocOptions options;
      if (clustered) {
        options.positive_units = ood.units;
        options.negative_units = id.units;
      }
      PL_TRY(stats::Estimate auroc, stats::auroc(ood.scores, id.scores, options));
      const std::map<std::string, std::string> where = {{"data", elsewhere}, {"detector", detector}};
      out.evidence.push_back(check::make_evidence(info, "auroc", where, std::move(auroc)));
      const std::vector<double> accept_id = negated(id.scores);
      const std::vector<double> accept_ood = negated(ood.scores);
      auto accepted = clustered ? stats::fpr_at_tpr_clustered(accept_id, accept_ood, id.units, ood.units, kept, {},
                                                              context.rng("fpr " + elsewhere + " " + detector))
                                : stats::fpr_at_tpr(accept_id, accept_ood, kept);
      if (!accepted.ok()) return accepted.error();
      out.evidence.push_back(check::make_evidence(info, "fpr95", where, *accepted));
      PL_TRY(const std::vector<stats::RocPoint> curve, stats::roc_curve(ood.scores, id.scores, 100));
      for (const stats::RocPoint& point : curve) {
        series.push_back(detector);
        fpr.push_back(point.fpr);
        tpr.push_back(point.tpr);
        low.push_back(point.tpr_low);
        high.push_back(point.tpr_high);
        threshold.push_back(std::isfinite(point.threshold) ? point.threshold : std::nan(""));
      }
      if (scores.detector != robustness::kDefaultOodDetector && all.size() > 1) continue;
      // Pictures and findings of the default detector.
      std::vector<std::pair<std::string, std::span<const double>>> groups = {
          {fmt::format("{}", fmt::join(test, ", ")), id.scores}, {elsewhere, ood.scores}};
      out.artifacts.push_back(
          histogram("scores-" + elsewhere, fmt::format("Scores of {}, {}", detector, elsewhere),
                    "The less the two overlap, the better rows of the second are recognised as strange.",
                    detector + " score", groups));
      std::vector<std::size_t> order(ood.scores.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return ood.scores[a] < ood.scores[b]; });
      const data::Dataset& set = *sets[elsewhere];
      const auto source = [&](std::size_t row) { return set.source_rows.empty() ? row : set.source_rows[row]; };
      if (accepted->value > 0.05) {
        check::Finding finding;
        finding.id = "accepted-" + elsewhere;
        finding.severity = accepted->value > 0.3 ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
        finding.title = fmt::format("{:.0f} % of '{}' is accepted while {:.0f} % of test rows are kept",
                                    100 * accepted->value, elsewhere, 100 * kept);
        finding.detail = fmt::format(
            "The rows listed look most like the training data to {}; the model would be trusted on them.", detector);
        finding.next_step =
            "Look at them, and compare the detectors: another one may separate this set, or the features may not carry "
            "the difference.";
        finding.data = elsewhere;
        finding.where = where;
        for (std::size_t i = 0; i < std::min<std::size_t>(20, order.size()); ++i)
          finding.rows.push_back(source(order[i]));
        out.findings.push_back(std::move(finding));
      }
      const std::string policy = context.examples_policy(elsewhere);
      if (set.kind == data::Dataset::Kind::kImages && policy != "none") {
        std::vector<Tile> tiles;
        for (std::size_t i = 0; i < std::min<std::size_t>(24, order.size()); ++i) {
          tiles.push_back({set.images.image(order[i]), fmt::format("score {:.3g}", ood.scores[order[i]]),
                           static_cast<double>(source(order[i])), ""});
        }
        out.artifacts.push_back(gallery("least-recognised-" + elsewhere,
                                        fmt::format("Rows of {} that look most like the training data", elsewhere),
                                        "Lowest scores first: these pass as ordinary inputs.", tiles,
                                        set.images.channels, set.images.height, set.images.width, policy));
      }
    }
    roc.columns = {{"fpr", "share", fpr},   {"tpr", "share", tpr},         {"low", "share", low},
                   {"high", "share", high}, {"threshold", "1", threshold}, {"series", "", series}};
    roc.facts = {{"level", "0.95"}, {"x_label", "false alarms on test rows"}, {"y_label", "noticed"}};
    out.artifacts.push_back(std::move(roc));
  }

  if (calibration.empty()) {
    out.notes.emplace_back(
        "p-values withheld: there is no calibration set, and a threshold chosen on the rows that it judges would "
        "flatter itself");
  } else {
    for (const Scores& scores : all) {
      const std::string detector(robustness::ood_detector_name(scores.detector));
      const Pool reference = pool(scores, calibration);
      for (const std::string& name : judged) {
        PL_TRY(const std::vector<double> p_values,
               caution::conformal_p_values(reference.scores, scores.of_set.at(name)));
        std::vector<std::uint8_t> alarms(p_values.size());
        std::transform(p_values.begin(), p_values.end(), alarms.begin(),
                       [&](double p) { return static_cast<std::uint8_t>(p <= alarm ? 1 : 0); });
        PL_TRY(stats::Estimate rate, stats::proportion(alarms, sets[name]->units));
        rate.unit_of_sampling = sets[name]->unit_name;
        rate.assumptions.push_back(fmt::format("given the {} calibration rows used", reference.scores.size()));
        const bool strange = sets[name]->role == data::Role::kOutOfDistribution;
        out.evidence.push_back(check::make_evidence(info, strange ? "detection_rate" : "false_alarm_rate",
                                                    {{"data", name}, {"detector", detector}}, std::move(rate)));
      }
    }
  }
  std::size_t test_rows = 0;
  for (const std::string& name : test) test_rows += sets[name]->rows();
  out.rows =
      fmt::format("detectors fitted on {} rows of {}; judged on {} rows of {}; {}", train_set->rows(), train.front(),
                  test_rows, fmt::join(test, ", "),
                  calibration.empty() ? std::string("no calibration rows")
                                      : fmt::format("p-values from the rows of {}", fmt::join(calibration, ", ")));
  return out;
}

// ---- fixtures ------------------------------------------------------------------------------------------------------

base::Status write_fixture(const std::string& folder, base::Rng& rng, double distance) {
  constexpr std::ptrdiff_t kColumns = 6;
  constexpr int kClasses = 3;
  const auto write = [&](const std::string& name, std::ptrdiff_t n, double away) -> base::Status {
    MatrixF rows(n, kColumns);
    MatrixF outputs(n, kClasses);
    std::vector<int> labels;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const int k = static_cast<int>(rng.below(kClasses));
      labels.push_back(k);
      for (std::ptrdiff_t j = 0; j < kColumns; ++j)
        rows(i, j) = static_cast<float>(rng.normal() + (j == k ? 4 : 0) + (j >= kClasses ? away : 0));
      for (std::ptrdiff_t c = 0; c < kClasses; ++c) outputs(i, c) = rows(i, c);
    }
    PL_CHECK(data::write_npy(folder + "/" + name + ".npy", rows));
    PL_CHECK(data::write_npy(folder + "/" + name + "-outputs.npy", outputs));
    return data::write_npy(folder + "/" + name + "-labels.npy", std::span<const int>(labels));
  };
  PL_CHECK(write("train", 300, 0));
  PL_CHECK(write("calibration", 150, 0));
  PL_CHECK(write("test", 250, 0));
  PL_CHECK(write("elsewhere", 250, distance));
  std::string sections;
  for (const char* name : {"train", "calibration", "test", "elsewhere"}) {
    sections += fmt::format("[data.{0}]\nmatrix = \"{0}.npy\"\nlabels = \"{0}-labels.npy\"\n", name);
    if (std::string_view(name) == "elsewhere") sections += "role = \"out-of-distribution\"\n";
    sections += '\n';
  }
  for (const char* name : {"calibration", "test", "elsewhere"}) {
    sections += fmt::format(
        "[predictions.{0}]\nmodel = \"sorter\"\ndata = \"{0}\"\npath = \"{0}-outputs.npy\"\noutput = \"logits\"\n\n",
        name);
  }
  return write_fixture_manifest(
      folder, rng.below(1000000), sections,
      "text = \"Rows from elsewhere are recognised.\"\ncheck = \"robustness.ood\"\n"
      "metric = \"auroc\"\nwhere = {data = \"elsewhere\"}\nat_least = 0.9\nconfidence = 0.95");
}

}  // namespace

check::Entry ood() {
  return {
      .info = facts(),
      .plan = plan,
      .run = run,
      .run_shard = {},
      .finish = {},
      .fixtures = {.defect = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, 0); },
                   .control = [](const std::string& folder, base::Rng& rng) { return write_fixture(folder, rng, 3); },
                   .defect_words = "the set called elsewhere is drawn from the law of the training data (effect: AUROC "
                                   "0.5 where 0.9 is claimed)",
                   .control_words = "three of six features of elsewhere are shifted by 3 deviations (AUROC 0.99)",
                   .false_alarm_level = 0.05,
                   .cost_ms = 120}};
}

}  // namespace plumbline::checks
