#pragma once
/// A Decider whose every answer can be said beforehand: the first number of the input names a row of a small table. For
/// tests of what surrounds a decider; it measures nothing.

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/runtime/decider.hpp"

namespace plumbline::testing {

class TableDecider final : public runtime::Decider {
 public:
  enum Row { kAct, kModify, kAsk, kFallBack, kRefuse, kError, kNotFinite, kBadProbabilities, kBadText };

  TableDecider() {
    info_.actions = {"go", "stop", "cut"};
    info_.input_size = 2;
    info_.model = "table";
    info_.policy = "table 1";
  }

  const runtime::DeciderInfo& info() const override { return info_; }

  base::Result<std::vector<runtime::Proposal>> propose(std::span<const runtime::Request> requests,
                                                       std::span<const std::uint64_t> streams) override {
    ++calls;
    if (fail) return base::make_error(base::Code::kIo, "the table is gone");
    std::vector<runtime::Proposal> all;
    for (std::size_t i = 0; i < requests.size(); ++i) all.push_back(propose_one(requests[i], streams[i]));
    if (lose_one && !all.empty()) all.pop_back();
    return all;
  }

  bool fail = false;
  bool lose_one = false;
  int calls = 0;
  std::optional<std::size_t> proposed;  ///< of questions
  std::vector<double> plausible;

 private:
  runtime::Proposal propose_one(const runtime::Request& request, std::uint64_t stream) const {
    runtime::Proposal p;
    p.actions = info_.actions;
    p.probabilities = {0.75, 0.2, 0.05};
    const double u = base::Rng(stream).uniform();
    p.action = u < 0.75 ? 0 : u < 0.95 ? 1 : 2;
    p.act = decision::Act::kAct;
    p.answer = p.actions[p.action];
    p.fallback = "stop";
    p.uncertainty.aleatoric = decision::MeasuredUncertainty{0.25, "nat", "table", 0.125, 0.5};
    p.uncertainty.specification = {{"literal", "go", 0}, {"cautious", "stop", 0.5}};
    p.value_of_asking = request.input[1];
    p.nearest = {{"train", 7, "go", 0.5}};
    p.reason = "the table says so";
    p.rung = "model";
    switch (static_cast<int>(request.input[0])) {
      case kModify:
        p.act = decision::Act::kModify;
        p.answer = "go|stop";
        p.rung = "set";
        break;
      case kAsk:
        p.act = decision::Act::kAsk;
        p.proposed = proposed;
        p.plausible = plausible;
        break;
      case kFallBack: p.act = decision::Act::kFallBack; break;
      case kRefuse: p.act = decision::Act::kRefuse; break;
      case kError: p.error = "the row is empty"; break;
      case kNotFinite:
        p.uncertainty.model =
            decision::MeasuredUncertainty{std::numeric_limits<double>::quiet_NaN(), "nat", "table", {}, {}};
        break;
      case kBadProbabilities: p.probabilities = {0.75, 0.2, 0.5}; break;
      case kBadText: p.reason = "\xFF"; break;
      default: break;
    }
    if (p.act == decision::Act::kAsk || p.act == decision::Act::kRefuse) p.answer.clear();
    return p;
  }

  runtime::DeciderInfo info_;
};

}  // namespace plumbline::testing
