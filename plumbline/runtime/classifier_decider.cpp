#include "plumbline/runtime/classifier_decider.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/robustness/stream_rank.hpp"

namespace plumbline::runtime {
namespace {

using base::Code;
using decision::Act;

constexpr double kSmallest = 1e-12;  // probability whose logarithm stands for 0, as where the parts were fitted

base::Status check_request(const Request& request, std::ptrdiff_t size) {
  PL_CHECK(base::check_size("request", "input", std::ssize(request.input), size));
  return base::check_all_finite("request", "input", std::span<const float>(request.input));
}

/// Where a draw in [0, 1) falls; rounding at the end leaves the last option that has any probability.
std::size_t draw_from(std::span<const double> probabilities, double u) {
  std::size_t last = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    if (probabilities[i] <= 0) continue;
    last = i;
    if (u < probabilities[i]) return i;
    u -= probabilities[i];
  }
  return last;
}

base::Status check_model(const decision::PredictorInfo& info, const ClassifierParts& parts) {
  const std::string where = fmt::format("model '{}'", info.name);
  if (info.hash != parts.model_hash) {
    return base::make_error(Code::kValue,
                            fmt::format("its hash is {}, the parts were fitted to {}", info.hash, parts.model_hash),
                            where, "Fit the parts to this model, and assess it");
  }
  PL_CHECK(base::check_size(where, "outputs", info.outputs, std::ssize(parts.classes)));
  PL_CHECK(base::check_size(where, "inputs", info.input_size, parts.input_size));
  if (info.output != parts.output) {
    return base::make_error(Code::kValue,
                            fmt::format("it gives {}, the parts were fitted to {}", decision::output_name(info.output),
                                        decision::output_name(parts.output)),
                            where);
  }
  if (parts.features.kind == FeatureMap::Kind::kTensor && info.features != parts.features.tensor) {
    return base::make_error(Code::kUnsupported,
                            fmt::format("it gives no tensor '{}', which the parts read", parts.features.tensor), where);
  }
  return base::ok();
}

}  // namespace

base::Result<std::unique_ptr<ClassifierDecider>> ClassifierDecider::make(decision::PredictorPtr model,
                                                                         ClassifierParts parts,
                                                                         caution::GuardPolicy policy, Options options) {
  PL_CHECK(check_model(model->info(), parts));
  PL_CHECK(base::check_at_least("ClassifierDecider", "batch", options.batch, 1));
  if (std::abs(1 - policy.alpha - parts.doubts.level) > 1e-9) {
    return base::make_error(
        Code::kValue, fmt::format("alpha is {}, the parts were fitted for {}", policy.alpha, 1 - parts.doubts.level),
        "[guard]", "Fit the parts again, or set alpha back");
  }
  if (parts.hierarchy && !policy.set_cost) {
    return base::make_error(Code::kValue, "a hierarchy is declared, and no answer of several classes is possible",
                            "[guard]", "Declare set_cost, the cost of each further class in an answer");
  }
  PL_TRY(caution::PolicyRule rule, caution::PolicyRule::make(std::move(policy), std::ssize(parts.classes)));
  return std::unique_ptr<ClassifierDecider>(
      new ClassifierDecider(std::move(model), std::move(parts), std::move(rule), std::move(options)));
}

ClassifierDecider::ClassifierDecider(decision::PredictorPtr model, ClassifierParts parts, caution::PolicyRule rule,
                                     Options options)
    : model_(std::move(model)), parts_(std::move(parts)), rule_(std::move(rule)), options_(std::move(options)) {
  info_.actions = rule_.options();
  info_.input_size = static_cast<std::size_t>(parts_.input_size);
  info_.model = parts_.model_hash;
  info_.reference_rows = parts_.doubts.distances.size();
  info_.case_hash = options_.case_hash;
  info_.policy = fmt::format("{} thresholds {}", policy_text(rule_.policy()), parts_.thresholds_hash().substr(0, 12));
  if (parts_.hierarchy) info_.policy += fmt::format(" hierarchy {}", parts_.hierarchy->rule.options.target);
  model_estimator_ = fmt::format("mutual information, last-layer Laplace ({})", parts_.doubts.head.form());
}

Proposal ClassifierDecider::blank() const {
  Proposal proposal;
  proposal.actions = rule_.options();
  proposal.probabilities.assign(proposal.actions.size(), 0.0);
  proposal.action = rule_.fallback().value_or(rule_.refusal());
  proposal.probabilities[proposal.action] = 1;
  proposal.act = rule_.fallback() ? Act::kFallBack : Act::kRefuse;
  proposal.rung = rule_.fallback() ? "fallback" : "refuse";
  proposal.fallback = rule_.policy().fallback.value_or("");
  return proposal;
}

std::span<const float> ClassifierDecider::features_of(MatrixRefD features, std::span<const float> input) {
  switch (parts_.features.kind) {
    case FeatureMap::Kind::kInputs: return input;
    case FeatureMap::Kind::kPca: {
      const stats::Pca& pca = *parts_.features.pca;
      projected_.resize(static_cast<std::ptrdiff_t>(input.size()));
      for (std::size_t j = 0; j < input.size(); ++j) {
        const auto at = static_cast<std::ptrdiff_t>(j);
        projected_(at) = static_cast<double>(input[j]) - pca.mean(at);
      }
      features_.resize(static_cast<std::size_t>(pca.dimension()));
      for (std::ptrdiff_t i = 0; i < pca.dimension(); ++i) {
        const double* axis = pca.components.data() + i * pca.components.cols();
        double sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;  // four chains, so that additions need not wait for each other
        std::ptrdiff_t j = 0;
        for (; j + 3 < projected_.size(); j += 4) {
          sum0 += axis[j] * projected_(j);
          sum1 += axis[j + 1] * projected_(j + 1);
          sum2 += axis[j + 2] * projected_(j + 2);
          sum3 += axis[j + 3] * projected_(j + 3);
        }
        for (; j < projected_.size(); ++j) sum0 += axis[j] * projected_(j);
        features_[static_cast<std::size_t>(i)] = static_cast<float>((sum0 + sum1) + (sum2 + sum3));
      }
      return features_;
    }
    case FeatureMap::Kind::kTensor: break;
  }
  features_.resize(static_cast<std::size_t>(features.cols()));
  for (std::ptrdiff_t j = 0; j < features.cols(); ++j) {
    features_[static_cast<std::size_t>(j)] = static_cast<float>(features(0, j));
  }
  return features_;
}

void ClassifierDecider::read_doubts(Proposal& proposal) const {
  proposal.uncertainty.aleatoric =
      decision::MeasuredUncertainty{doubts_.predictive.aleatoric,
                                    "nat",
                                    "mean entropy of the calibrated predictive over the head's posterior",
                                    {},
                                    {}};
  proposal.uncertainty.model = decision::MeasuredUncertainty{doubts_.predictive.model, "nat", model_estimator_, {}, {}};
  proposal.uncertainty.distributional = decision::MeasuredUncertainty{
      doubts_.p_value, "p-value", "conformal p-value of the Mahalanobis distance", {}, {}};
  proposal.uncertainty.specification = caution::recommend(rule_.policy().costs, doubts_.predictive.p);
}

base::Status ClassifierDecider::answer_by_hierarchy() {
  const caution::Hierarchy& tree = parts_.hierarchy->tree;
  const MatrixD p = Eigen::Map<const MatrixD>(doubts_.predictive.p.data(), 1, std::ssize(doubts_.predictive.p));
  PL_TRY(const std::vector<int> answer, caution::hierarchical_answers(tree, parts_.hierarchy->rule.trade, p));
  const auto node = static_cast<std::size_t>(answer.front());
  node_ = tree.names[node];
  std::fill(doubts_.in_set.begin(), doubts_.in_set.end(), std::uint8_t{0});
  for (const int c : tree.classes[node]) doubts_.in_set[static_cast<std::size_t>(c)] = 1;
  doubts_.set_size = tree.classes[node].size();
  return base::ok();
}

std::string ClassifierDecider::set_text() const {
  if (parts_.hierarchy) return node_;
  std::string text;
  for (std::size_t c = 0; c < doubts_.in_set.size(); ++c) {
    if (doubts_.in_set[c] == 0) continue;
    if (!text.empty()) text += '|';
    text += parts_.classes[c];
  }
  return text;
}

std::vector<Neighbour> ClassifierDecider::nearest() const {
  const TrainingExamples& examples = parts_.examples;
  const std::size_t count = std::min(rule_.policy().neighbours, examples.labels.size());
  if (count == 0) return {};
  std::vector<std::pair<double, std::size_t>> all(examples.labels.size());
  const std::vector<double>& white = scratch_.white;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const float* row = examples.white.data() + i * white.size();
    double square = 0;
    for (std::size_t j = 0; j < white.size(); ++j) {
      const double gap = static_cast<double>(row[j]) - white[j];
      square += gap * gap;
    }
    all[i] = {square, i};
  }
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end());
  std::vector<Neighbour> found;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t row = all[i].second;
    found.push_back({parts_.train, static_cast<std::size_t>(examples.source_rows[row]),
                     parts_.classes[static_cast<std::size_t>(examples.labels[row])], std::sqrt(all[i].first)});
  }
  return found;
}

void ClassifierDecider::carry_out(caution::RuledChoice choice, std::uint64_t stream, Proposal& proposal) const {
  proposal.act = choice.act;
  proposal.probabilities = std::move(choice.probabilities);
  proposal.value_of_asking = choice.value_of_asking;
  proposal.plausible = std::move(choice.plausible);
  if (choice.proposed != rule_.refusal()) proposal.proposed = choice.proposed;
  proposal.reason = std::move(choice.reason);
  base::Rng rng = base::Rng(rule_.policy().seed, {"decision"}).fork(stream);
  proposal.action = draw_from(proposal.probabilities, rng.uniform());
  const double tie = std::max(rng.uniform(), std::numeric_limits<double>::min());
  proposal.input_rank = robustness::smoothed_p(parts_.doubts.distances, doubts_.distance, tie);
  if (proposal.act == Act::kAct && proposal.action == rule_.refusal()) proposal.act = Act::kRefuse;
  if (proposal.act == Act::kAct && rule_.set_option() == proposal.action) proposal.act = Act::kModify;
  switch (proposal.act) {
    case Act::kAct:
      proposal.rung = "model";
      proposal.answer = proposal.actions[proposal.action];
      break;
    case Act::kModify:
      proposal.rung = "set";
      proposal.answer = set_text();
      break;
    case Act::kAsk:
      proposal.rung = "ask";
      proposal.nearest = nearest();
      break;
    case Act::kFallBack:
      proposal.rung = "fallback";
      proposal.answer = proposal.actions[proposal.action];
      break;
    case Act::kRefuse: proposal.rung = "refuse"; break;
  }
}

void ClassifierDecider::decide(MatrixRefD outputs, MatrixRefD features, std::span<const float> input,
                               std::uint64_t stream, Proposal& proposal) {
  logits_.resize(static_cast<std::size_t>(outputs.cols()));
  for (std::ptrdiff_t c = 0; c < outputs.cols(); ++c) {
    const double value = outputs(0, c);
    logits_[static_cast<std::size_t>(c)] =
        parts_.output == decision::Output::kProbabilities ? std::log(std::max(kSmallest, value)) : value;
  }
  parts_.doubts.ask(logits_, features_of(features, input), scratch_, doubts_);
  read_doubts(proposal);
  if (doubts_.p_value <= rule_.policy().alpha) {
    caution::RuledChoice choice = rule_.without_beliefs();
    choice.reason =
        fmt::format("unlike the training data: p-value {:.3g}, at most {:.3g}", doubts_.p_value, rule_.policy().alpha);
    carry_out(std::move(choice), stream, proposal);
    return;
  }
  if (parts_.hierarchy) {
    if (const base::Status answered = answer_by_hierarchy(); !answered.ok()) {
      proposal.error = answered.error().text();
      proposal.reason = "the hierarchy gave no answer";
      return;
    }
  }
  auto choice = rule_.choose(doubts_.predictive.p, doubts_.in_set);
  if (!choice.ok()) {
    proposal.error = choice.error().text();
    proposal.reason = "the rule could not decide";
    return;
  }
  if (proposal.uncertainty.readings_disagree()) choice->reason += "; readings recommend different actions";
  carry_out(std::move(choice).value(), stream, proposal);
}

base::Result<std::vector<Proposal>> ClassifierDecider::propose(std::span<const Request> requests,
                                                               std::span<const std::uint64_t> streams) {
  PL_CHECK(base::check_size("propose", "streams", std::ssize(streams), std::ssize(requests)));
  std::vector<Proposal> proposals(requests.size(), blank());
  std::vector<std::size_t> sound;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (const base::Status fine = check_request(requests[i], parts_.input_size); fine.ok()) {
      sound.push_back(i);
    } else {
      proposals[i].error = fine.error().text();
      proposals[i].reason = "the request could not be read";
    }
  }
  decision::PredictOptions options;
  options.batch = options_.batch;
  options.want_features = parts_.features.kind == FeatureMap::Kind::kTensor;
  const auto answer = [&](std::span<const std::size_t> which) {
    MatrixF rows(std::ssize(which), parts_.input_size);
    for (std::size_t i = 0; i < which.size(); ++i) {
      std::copy(requests[which[i]].input.begin(), requests[which[i]].input.end(),
                rows.data() + static_cast<std::ptrdiff_t>(i) * rows.cols());
    }
    auto prediction = model_->predict(rows, options);
    if (!prediction.ok()) return base::Status(prediction.error());
    for (std::size_t i = 0; i < which.size(); ++i) {
      const auto at = static_cast<std::ptrdiff_t>(i);
      decide(prediction->outputs.middleRows(at, 1),
             options.want_features ? MatrixD(prediction->features.middleRows(at, 1)) : MatrixD(),
             requests[which[i]].input, streams[which[i]], proposals[which[i]]);
    }
    return base::ok();
  };
  if (sound.empty() || answer(sound).ok()) return proposals;
  // Some row broke the batch: each alone, so that the others go on.
  for (const std::size_t i : sound) {
    proposals[i] = blank();
    if (const base::Status done = answer(std::span(&i, 1)); !done.ok()) {
      proposals[i].error = done.error().text();
      proposals[i].reason = "the model gave no answer";
    }
  }
  return proposals;
}

}  // namespace plumbline::runtime
