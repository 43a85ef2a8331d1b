#include "plumbline/checks/counterfactual/questions.hpp"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/reward/worlds.hpp"
#include "plumbline/data/files.hpp"

namespace plumbline::checks {
namespace {

namespace effects = plumbline::counterfactual::effects;
namespace causal = plumbline::counterfactual::causal;

std::vector<std::string> texts(const data::OtherSection& section, const std::string& key) {
  const auto found = section.keys.find(key);
  if (found == section.keys.end()) return {};
  const auto* list = std::get_if<std::vector<std::string>>(&found->second);
  return list == nullptr ? std::vector<std::string>() : *list;
}

std::optional<double> number(const data::OtherSection& section, const std::string& key) {
  const auto found = section.keys.find(key);
  if (found == section.keys.end()) return std::nullopt;
  if (const auto* real = std::get_if<double>(&found->second)) return *real;
  if (const auto* whole = std::get_if<std::int64_t>(&found->second)) return static_cast<double>(*whole);
  return std::nullopt;
}

base::Result<effects::Question> read_question(check::Context& context, const data::OtherSection& section) {
  effects::Question q;
  q.columns.treatment = section.text("treatment");
  q.columns.treated = section.text("treated");
  q.columns.outcome = section.text("outcome");
  q.columns.covariates = texts(section, "covariates");
  q.columns.instruments = texts(section, "instruments");
  q.columns.running = section.text("running");
  q.columns.unit = section.text("unit");
  q.columns.time = section.text("time");
  q.columns.cluster = section.text("cluster");
  q.columns.negative_outcomes = texts(section, "negative_outcomes");
  if (!section.text("estimand").empty()) {
    PL_TRY(q.estimand, effects::parse_estimand(section.text("estimand")));
  }
  for (const std::string& name : texts(section, "methods")) {
    PL_TRY(const effects::Method method, effects::parse_method(name));
    q.methods.push_back(method);
  }
  if (!section.text("learner").empty()) {
    PL_TRY(q.learner, effects::parse_learner(section.text("learner")));
  }
  q.cutoff = number(section, "cutoff");
  q.bandwidth = number(section, "bandwidth");
  q.experiment = section.text("experiment");
  q.cancel = context.cancel();
  if (const std::string graph = section.text("graph"); !graph.empty()) {
    PL_TRY(const data::OtherSection* drawn, context.section("graph", graph));
    PL_TRY(q.graph, causal::section_graph(*drawn, context.manifest().path));
  }
  return q;
}

}  // namespace

check::Plan plan_effects(const check::Blueprint& blueprint, double cost_seconds) {
  check::Plan out;
  const auto questions = sections_of(*blueprint.manifest, "effect");
  for (const std::string& name : questions) {
    const std::string where = blueprint.manifest->other("effect", name)->text("data");
    const auto section = blueprint.manifest->data.find(where);
    if (section == blueprint.manifest->data.end() || (!section->second.table && section->second.from.empty())) continue;
    check::Task task;
    task.subject = name + "@" + where;
    task.data = where;
    task.cost_seconds = cost_seconds;
    if (const auto facts = blueprint.data.find(where); facts != blueprint.data.end()) {
      const auto columns = static_cast<double>(facts->second.columns);
      task.cost_seconds *= 1 + 1e-5 * static_cast<double>(facts->second.rows) * columns;
    }
    out.tasks.push_back(std::move(task));
  }
  if (out.tasks.empty())
    out.not_applicable =
        questions.empty() ? "the manifest has no [effect.NAME]" : "no [effect.NAME] names a table as its data";
  return out;
}

base::Result<effects::Report> answer_task(check::Context& context, bool attack) {
  const std::string name = context.task().subject.substr(0, context.task().subject.find('@'));
  PL_TRY(const data::OtherSection* section, context.section("effect", name));
  PL_TRY(effects::Question question, read_question(context, *section));
  question.attack = attack;
  PL_TRY(const data::DatasetPtr set, context.dataset(context.task().data));
  data::Table table = set->table;
  if (!set->units.empty() && question.columns.cluster.empty()) {
    question.columns.cluster = fmt::format("unit of sampling ({})", set->unit_name);
    question.columns.ignore.push_back(question.columns.cluster);
    data::Column units;
    units.name = question.columns.cluster;
    for (const int unit : set->units) units.numbers.push_back(unit);
    table.columns.push_back(std::move(units));
  }
  auto answer = effects::answer_question(table, question, context.rng("effect"));
  if (!answer.ok()) return answer.error().at(fmt::format("[effect.{}]", name));
  return answer;
}

std::string refusal_words(const effects::Report& report) {
  return fmt::format("cannot say: {}", fmt::join(report.answer.reasons, "; "));
}

base::Status write_effect_system(const std::string& folder, base::Rng& rng, double effect, double hidden,
                                 std::string_view claim) {
  constexpr int kRows = 400;
  const std::uint64_t seed = rng.bits() % 1000000000;
  std::string table = "t,y,x0,x1,before\n";
  for (int i = 0; i < kRows; ++i) {
    const double x0 = rng.normal();
    const double x1 = rng.normal();
    const double u = rng.normal();
    const bool t = rng.bernoulli(1 / (1 + std::exp(-0.7 * x0 - hidden * u)));
    const double y = x0 + 0.5 * x1 + hidden * u + (t ? effect : 0) + rng.normal();
    const double before = 0.5 * x0 + u + 0.5 * rng.normal();
    table += fmt::format("{},{:.6f},{:.6f},{:.6f},{:.6f}\n", t ? 1 : 0, y, x0, x1, before);
  }
  PL_CHECK(data::write_bytes(folder + "/rows.csv", table));
  return write_fixture_manifest(folder, seed,
                                "[data.rows]\ntable = \"rows.csv\"\nrole = \"test\"\n\n[effect.training]\ndata = "
                                "\"rows\"\ntreatment = \"t\"\noutcome = \"y\"\ncovariates = [\"x0\", "
                                "\"x1\"]\nnegative_outcomes = [\"before\"]\n",
                                claim);
}

}  // namespace plumbline::checks
