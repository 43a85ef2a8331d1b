// The checklist of Carlini et al. 2019, restated, as data.

#include <algorithm>

#include "plumbline/base/text.hpp"
#include "plumbline/robustness/attack/masking.hpp"

namespace plumbline::robustness {

namespace {

/// An item: all of `deeds` make it run, some make it partly run; none asked for: it is for people.
struct Asked {
  int number;
  const char* part;
  const char* text;
  std::vector<Deed> deeds;
  const char* else_how;  ///< what remains to be done
};

const char* deed_words(Deed deed) {
  switch (deed) {
    case Deed::kThreatStated: return "norm, radius and range are stated";
    case Deed::kThreatJustified: return "why norm and radius fit the use";
    case Deed::kCleanAccuracy: return "accuracy without an attack";
    case Deed::kIterativeBeatsOneStep: return "many steps compared with one";
    case Deed::kBudgetCurve: return "success against budget";
    case Deed::kHyperParameters: return "all settings in the ledger";
    case Deed::kPerExample: return "minimum over attacks by example";
    case Deed::kScoreAttack: return "an attack by scores alone";
    case Deed::kDecisionAttack: return "an attack by decisions alone";
    case Deed::kNoise: return "noise of the threat's norm";
    case Deed::kManyNoise: return "10,000 noises an example";
    case Deed::kMoreSteps: return "four times the steps";
    case Deed::kUnboundedAttack: return "the whole range as radius";
    case Deed::kTargeted: return "targeted and untargeted losses";
    case Deed::kRestarts: return "random starts";
    case Deed::kStandIn: return "a stand-in for steps without gradient";
    case Deed::kAverages: return "averages over the model's randomness";
    case Deed::kUnitTest: return "planted witnesses";
    case Deed::kTransfer: return "transfer from a substitute";
    case Deed::kCertificate: return "a certified lower bound";
    case Deed::kOtherThreats: return "other kinds of change";
  }
  return "";
}

const std::vector<Asked>& items() {
  static const std::vector<Asked> list = {
      {1, "severe", "Think about what could go wrong; the list is no substitute.", {}, "for people"},
      {2,
       "severe",
       "State a threat model: goal, knowledge and capability of the attacker, who knows the defence.",
       {Deed::kThreatStated, Deed::kThreatJustified},
       "for people"},
      {3,
       "severe",
       "Attack the defence itself, with a loss and a method made for it.",
       {},
       "attacks here are general; one made for this defence is for people to write"},
      {4, "severe", "Release weights and code with a one-line way to classify.", {}, "for people"},
      {5, "severe", "Report accuracy without an attack.", {Deed::kCleanAccuracy}, ""},
      {6,
       "severe",
       "Sanity: many steps beat one, more steps and starts change little, a larger radius is strictly better, a "
       "huge one reaches chance.",
       {Deed::kIterativeBeatsOneStep, Deed::kMoreSteps, Deed::kRestarts, Deed::kUnboundedAttack},
       ""},
      {7,
       "severe",
       "Show success against budget until it reaches everything.",
       {Deed::kBudgetCurve, Deed::kUnboundedAttack},
       "robustness.attack draws it"},
      {8,
       "severe",
       "Show that the attack made for the model beats all others by example; add queries, transfer and noise.",
       {Deed::kPerExample, Deed::kScoreAttack, Deed::kTransfer, Deed::kNoise},
       "transfer needs a substitute model"},
      {9, "severe", "Give all settings of every attack.", {Deed::kHyperParameters}, ""},
      {10,
       "pitfall",
       "Use attacks that differ, not near copies.",
       {Deed::kScoreAttack, Deed::kTargeted},
       "robustness.attack runs targeted losses"},
      {11,
       "pitfall",
       "Run an attack by scores and one by decisions; both should do worse than gradients.",
       {Deed::kScoreAttack, Deed::kDecisionAttack},
       "run robustness.attack with effort = \"thorough\""},
      {12,
       "pitfall",
       "Transfer from a similar undefended model; it should do worse.",
       {Deed::kTransfer},
       "needs a substitute model"},
      {13,
       "pitfall",
       "Average over randomness of the defence; check that a fixed seed falls.",
       {Deed::kAverages},
       "only random models need it"},
      {14,
       "pitfall",
       "Put a differentiable stand-in where the model has no gradient.",
       {Deed::kStandIn},
       "only models with rounding steps need it"},
      {15,
       "pitfall",
       "Show that the attack has converged: more steps change nothing.",
       {Deed::kMoreSteps, Deed::kRestarts},
       ""},
      {16, "pitfall", "Study the settings; start from random offsets.", {Deed::kRestarts, Deed::kMoreSteps}, ""},
      {17, "pitfall", "Compare with earlier work that stands, and explain differences.", {}, "for people"},
      {18,
       "pitfall",
       "Try wider threats: rotation, translation, corruptions, growing noise.",
       {Deed::kOtherThreats},
       "robustness.corruption covers damage"},
      {19, "special", "Try a provable lower bound.", {Deed::kCertificate}, "plumbline verify, robustness.certificate"},
      {20,
       "special",
       "Try 10,000 or more random noises an example; they should do worse than gradients.",
       {Deed::kNoise, Deed::kManyNoise},
       "parameter noise = 10000"},
      {21, "special", "Say whether attacks are targeted; try both.", {Deed::kTargeted}, "robustness.attack runs both"},
      {22, "special", "Leave out each part of the defence in turn; attack the undefended model.", {}, "for people"},
      {23,
       "special",
       "Validate a new attack on models that are known to be broken, or broken on purpose.",
       {Deed::kUnitTest},
       "robustness.attack plants witnesses"},
      {24, "special", "Try other domains than images.", {}, "for people"},
      {25,
       "special",
       "Count an example as robust only when no attack turns it, not by mean success.",
       {Deed::kPerExample},
       ""}};
  return list;
}

}  // namespace

std::string_view item_state_name(ItemState state) {
  switch (state) {
    case ItemState::kMissing: return "not run";
    case ItemState::kPartly: return "partly";
    case ItemState::kRun: return "run";
    case ItemState::kPeople: return "cannot be run by a program";
  }
  return "";
}

std::vector<ChecklistItem> checklist(const std::set<Deed>& done) {
  std::vector<ChecklistItem> out;
  for (const Asked& asked : items()) {
    ChecklistItem item{asked.number, asked.part, asked.text, ItemState::kPeople, asked.else_how};
    std::vector<std::string> have, lack;
    for (const Deed deed : asked.deeds) (done.contains(deed) ? have : lack).emplace_back(deed_words(deed));
    if (!asked.deeds.empty()) {
      item.state = lack.empty() ? ItemState::kRun : have.empty() ? ItemState::kMissing : ItemState::kPartly;
      item.how = base::join_words(have);
      if (!lack.empty()) item.how += (have.empty() ? "missing: " : "; missing: ") + base::join_words(lack);
      if (!lack.empty() && *asked.else_how != '\0') item.how += std::string(" (") + asked.else_how + ")";
    }
    out.push_back(std::move(item));
  }
  const auto rank = [](ItemState state) {
    return state == ItemState::kMissing ? 0 : state == ItemState::kPartly ? 1 : state == ItemState::kPeople ? 2 : 3;
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const ChecklistItem& a, const ChecklistItem& b) { return rank(a.state) < rank(b.state); });
  return out;
}

}  // namespace plumbline::robustness
