#pragma once
/// A question about an effect, answered by the design that it names, with everything that speaks for and against the
/// answer.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/base/rng.hpp"
#include "plumbline/counterfactual/causal/graph_file.hpp"
#include "plumbline/counterfactual/effects/effect.hpp"
#include "plumbline/counterfactual/effects/overlap.hpp"
#include "plumbline/counterfactual/effects/probes.hpp"
#include "plumbline/counterfactual/effects/sensitivity.hpp"

namespace plumbline::counterfactual::effects {

enum class Design { kMeasured, kDiscontinuity, kInstrument, kDifferences };
/// "measured confounders", "regression discontinuity", "instrument", "differences in differences".
std::string_view design_name(Design design);

struct Question {
  Columns columns;
  Estimand estimand = Estimand::kAte;
  std::vector<Method> methods;  ///< the first one is the answer; empty: aipw (difference without covariates) and others
  Learner learner = Learner::kLinear;
  std::size_t matches = 1;
  std::optional<double> cutoff;     ///< with columns.running
  std::optional<double> bandwidth;  ///< instead of the one with the least error
  std::string groups;               ///< a covariate: effects by its levels, or by its quarters
  std::string experiment;           ///< in the asker's words; "none": no experiment could answer
  std::optional<causal::ReadGraph> graph;
  bool attack = true;  ///< run the probes
  base::CancelToken cancel{};
};

/// A row of the answer's table: a method, or another reading of the design.
struct Figure {
  std::string label;
  std::string estimand;
  Outcome outcome = Outcome::kSays;
  std::vector<std::string> reasons;
  stats::Estimate estimate;
  double standard_error = 0;
};

/// A set that is known as it is, where an interval can be empty or without end (Anderson and Rubin).
struct Region {
  std::string method;
  std::vector<std::pair<double, double>> pieces;  ///< ascending; ends may be infinite; none: the set is empty
};

struct Report {
  Design design = Design::kMeasured;
  std::string question;    ///< in words
  std::string experiment;  ///< which experiment would answer it; or that none would
  Figure answer;
  std::vector<Figure> others;
  std::vector<Figure> groups;
  std::vector<std::string> assumptions;
  std::vector<std::string> warnings;
  std::string rows;                   ///< "445 rows: 185 with trt = 1, 260 with trt = 0; 3 left out"
  std::vector<std::string> adjusted;  ///< covariates
  std::optional<Overlap> overlap;
  std::vector<Balance> balance;
  std::vector<Probe> probes;
  std::optional<Region> region;
  std::vector<std::pair<std::string, double>> facts;  ///< "bandwidth", "first-stage F", ...
  std::optional<PartialR2> partial;
  std::optional<EValue> e_value;
  std::optional<Rosenbaum> rosenbaum;

  bool cannot_say() const { return answer.outcome == Outcome::kCannotSay; }
};

/// Question  what does the treatment do to the outcome, by the design that the columns name (running variable:
///           discontinuity; instruments; unit and time: differences; else measured confounders), and how far can the
///           answer be trusted?
/// Outcome   cannot say where the method does; where no experiment could set the treatment (experiment "none", or a
///           treatment named as what people are born with and no experiment given); where the graph forbids the
///           adjustment.
/// Errors    those of make_study and the methods; kValue: columns of two designs, a cut-off without a running variable
///           or the reverse, a graph without treatment or outcome.
/// Cost      the methods' and, with `attack`, some hundred fits more. Same seed, same bits.
base::Result<Report> answer_question(const data::Table& table, const Question& question, const base::Rng& rng);

/// Which covariates the graph allows to adjust for. Given ones are checked: no faults, and they will do.
struct Adjustment {
  std::vector<std::string> chosen;  ///< covariates, those given or the smallest back-door set
  std::vector<std::string> faults;  ///< what the graph has against them
  std::string refusal;              ///< why no set would do; empty otherwise
};
base::Result<Adjustment> check_adjustment(const causal::ReadGraph& graph, const Columns& columns);

// Designs, one a function; inside the folder.
base::Status answer_by_covariates(const Study& study, const Question& question, const base::Rng& rng, Report& report);
base::Status answer_by_discontinuity(const Study& study, const Question& question, Report& report);
base::Status answer_by_instrument(const Study& study, const Question& question, Report& report);
base::Status answer_by_differences(const Study& study, const Question& question, Report& report);
Figure figure_of(const Effect& effect);
/// A figure that cannot be said.
void refuse(Figure& figure, std::string reason);
void warn(Figure& figure, std::string reason);

}  // namespace plumbline::counterfactual::effects
