#include "plumbline/robustness/attack/attack.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/text.hpp"

namespace plumbline::robustness {

std::string_view attack_kind_name(AttackKind kind) {
  switch (kind) {
    case AttackKind::kControl: return "control";
    case AttackKind::kOneStep: return "one step";
    case AttackKind::kGradient: return "gradient";
    case AttackKind::kMinimal: return "minimal";
    case AttackKind::kScores: return "scores";
    case AttackKind::kDecisions: return "decisions";
  }
  return "";
}

const std::vector<std::string>& attack_names() {
  static const std::vector<std::string> names = {"random",   "fgsm",        "pgd",    "pgd-margin", "apgd-ce",
                                                 "apgd-dlr", "deepfool",    "apgd-t", "fab",        "cw",
                                                 "spsa",     "diversified", "square", "boundary",   "hopskipjump"};
  return names;
}

base::Result<Attack> attack_by_name(std::string_view name) {
  if (name == "random") return random_noise();
  if (name == "fgsm") return fgsm();
  if (name == "pgd") return pgd();
  if (name == "pgd-margin") return pgd({.loss = Loss::kMargin});
  if (name == "apgd-ce") return apgd();
  if (name == "apgd-dlr") return apgd({.loss = Loss::kDlr});
  if (name == "apgd-t") return apgd({.loss = Loss::kDlr, .targeted = true});
  if (name == "deepfool") return deepfool();
  if (name == "fab") return fab();
  if (name == "cw") return carlini_wagner();
  if (name == "spsa") return spsa();
  if (name == "diversified") return diversified();
  if (name == "square") return square();
  if (name == "boundary") return boundary();
  if (name == "hopskipjump") return hop_skip_jump();
  const std::string near = base::nearest(name, attack_names());
  return base::make_error(
      base::Code::kValue, fmt::format("there is no attack '{}'", name), "attacks",
      near.empty() ? "Known are " + base::join_words(attack_names()) : fmt::format("did you mean '{}'?", near));
}

base::Status check_setting(const AttackSetting& setting, std::span<const AttackCase> cases) {
  const Threat& threat = *setting.threat;
  const auto n = static_cast<std::ptrdiff_t>(setting.target->inputs());
  PL_CHECK(base::check_positive("attack", "epsilon", threat.epsilon));
  PL_CHECK(base::check_size("attack", "low", std::ssize(threat.low), n));
  PL_CHECK(base::check_size("attack", "high", std::ssize(threat.high), n));
  PL_CHECK(base::check_size("attack", "shape", static_cast<std::ptrdiff_t>(threat.shape.size()), n));
  PL_CHECK(base::check_at_least("attack", "classes", static_cast<std::ptrdiff_t>(setting.target->classes()), 2));
  for (std::size_t i = 0; i < threat.low.size(); ++i) {
    if (!(threat.low[i] <= threat.high[i])) {
      return base::make_error(base::Code::kValue,
                              fmt::format("attack: input {} has the range [{}, {}]", i, threat.low[i], threat.high[i]));
    }
  }
  const int classes = static_cast<int>(setting.target->classes());
  for (const AttackCase& example : cases) {
    PL_CHECK(base::check_size("attack", "example", std::ssize(example.x), n));
    PL_CHECK(base::check_labels("attack", "label", std::span(&example.label, 1), classes));
    for (std::size_t i = 0; i < example.x.size(); ++i) {
      if (!(example.x[i] >= threat.low[i] && example.x[i] <= threat.high[i])) {
        return base::make_error(
            base::Code::kValue,
            fmt::format("attack: example {} has {} at input {}, outside the declared range [{}, {}]", example.id,
                        example.x[i], i, threat.low[i], threat.high[i]));
      }
    }
  }
  return base::ok();
}

}  // namespace plumbline::robustness
