#include "plumbline/robustness/attack/suite.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <mutex>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plumbline/base/guard.hpp"
#include "plumbline/base/parallel.hpp"

namespace plumbline::robustness {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void keep(ExampleRecord& record, const Attack& attack, AttackOutcome&& outcome) {
  record.attempts.push_back({.attack = attack.name,
                             .found = outcome.found,
                             .size = outcome.size,
                             .margin = outcome.margin,
                             .queries = outcome.queries,
                             .gradients = outcome.gradients,
                             .queries_to_success = outcome.queries_to_success,
                             .gradients_to_success = outcome.gradients_to_success,
                             .flat_start = outcome.flat_start});
  record.margin = std::min(record.margin, outcome.margin);
  if (!(outcome.size < record.size)) return;
  record.size = outcome.size;
  record.by = attack.name;
  record.x = std::move(outcome.x);
}

/// Margins of the examples as they stand.
base::Status start_records(const AttackSetting& setting, std::span<const AttackCase> cases,
                           std::vector<ExampleRecord>& records) {
  for (std::size_t first = 0; first < cases.size(); first += 25) {
    const std::size_t count = std::min<std::size_t>(25, cases.size() - first);
    std::vector<double> rows;
    std::vector<base::Rng> noise;
    for (const AttackCase& example : cases.subspan(first, count)) {
      rows.insert(rows.end(), example.x.begin(), example.x.end());
      noise.emplace_back(example.id, std::initializer_list<std::string_view>{"clean"});
    }
    PL_TRY(const Pass pass, setting.target->forward(rows, count, noise));
    const std::size_t k = setting.target->classes();
    for (std::size_t r = 0; r < count; ++r) {
      ExampleRecord record;
      record.id = cases[first + r].id;
      record.clean_margin = class_margin(std::span(pass.scores).subspan(r * k, k), cases[first + r].label);
      record.margin = record.clean_margin;
      if (!record.clean()) record.size = 0;
      records.push_back(std::move(record));
    }
  }
  return base::ok();
}

nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(value > 0 ? "inf" : "-inf");
}

double number(const nlohmann::json& json) {
  if (json.is_string()) return json.get<std::string>() == "inf" ? kInfinity : -kInfinity;
  return json.get<double>();
}

}  // namespace

base::Status run_suite(const AttackSetting& setting, std::span<const AttackCase> cases, std::span<const Attack> attacks,
                       std::uint64_t seed, const SuiteOptions& options, std::vector<ExampleRecord>& records,
                       base::Progress* progress) {
  PL_CHECK(check_setting(setting, cases));
  if (records.empty()) PL_CHECK(start_records(setting, cases, records));
  bool same = records.size() == cases.size();
  for (std::size_t c = 0; same && c < cases.size(); ++c) same = records[c].id == cases[c].id;
  if (!same) {
    return base::make_error(
        base::Code::kShape,
        fmt::format("run_suite: the {} records are of other examples than the {} given", records.size(), cases.size()));
  }
  for (std::size_t a = 0; a < attacks.size(); ++a) {
    const Attack& attack = attacks[a];
    if (attack.needs_gradient() && !setting.target->has_gradient()) continue;
    std::vector<std::size_t> left;
    for (std::size_t c = 0; c < cases.size(); ++c) {
      const ExampleRecord& record = records[c];
      const bool done = std::any_of(record.attempts.begin(), record.attempts.end(),
                                    [&](const Attempt& attempt) { return attempt.attack == attack.name; });
      // A smaller perturbation is worth looking for where a larger one is known.
      const bool wanted =
          options.every_attack || attack.kind == AttackKind::kMinimal || !record.fallen(setting.threat->epsilon);
      if (record.clean() && !done && wanted) left.push_back(c);
    }
    const base::Rng rng(seed, {"attack", attack.name});
    const auto start = std::chrono::steady_clock::now();
    const std::size_t blocks = (left.size() + attack.at_a_time - 1) / attack.at_a_time;
    std::mutex mutex;
    std::size_t finished = 0;
    const auto block = [&](std::size_t b) -> base::Status {
      const std::size_t first = b * attack.at_a_time;
      const std::size_t count = std::min(attack.at_a_time, left.size() - first);
      std::vector<AttackCase> some;
      for (std::size_t i = 0; i < count; ++i) some.push_back(cases[left[first + i]]);
      PL_TRY(std::vector<AttackOutcome> outcomes, attack.run(setting, some, rng));
      for (std::size_t i = 0; i < count; ++i) keep(records[left[first + i]], attack, std::move(outcomes[i]));
      const std::lock_guard lock(mutex);
      ++finished;
      if (progress != nullptr) progress->update(attack.name, finished, blocks);
      return base::ok();
    };
    if (setting.target->concurrent()) {
      PL_CHECK(base::parallel_for(blocks, block, setting.cancel));
    } else {
      for (std::size_t b = 0; b < blocks; ++b) PL_CHECK(block(b));
    }
    if (options.seconds != nullptr)
      (*options.seconds)[attack.name] +=
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return base::ok();
}

std::string write_records(std::span<const ExampleRecord> records) {
  nlohmann::json out = nlohmann::json::array();
  for (const ExampleRecord& r : records) {
    nlohmann::json attempts = nlohmann::json::array();
    for (const Attempt& t : r.attempts) {
      attempts.push_back({{"attack", t.attack},
                          {"found", t.found},
                          {"size", number(t.size)},
                          {"margin", number(t.margin)},
                          {"queries", t.queries},
                          {"gradients", t.gradients},
                          {"queries_to_success", t.queries_to_success},
                          {"gradients_to_success", t.gradients_to_success},
                          {"flat_start", t.flat_start}});
    }
    out.push_back({{"id", r.id},
                   {"clean_margin", number(r.clean_margin)},
                   {"size", number(r.size)},
                   {"by", r.by},
                   {"x", r.x},
                   {"margin", number(r.margin)},
                   {"attempts", std::move(attempts)}});
  }
  return out.dump();
}

base::Result<std::vector<ExampleRecord>> read_records(const std::string& text) {
  try {
    std::vector<ExampleRecord> out;
    for (const nlohmann::json& r : nlohmann::json::parse(text)) {
      ExampleRecord record;
      record.id = r.at("id").get<std::uint64_t>();
      record.clean_margin = number(r.at("clean_margin"));
      record.size = number(r.at("size"));
      record.by = r.at("by").get<std::string>();
      record.x = r.at("x").get<std::vector<double>>();
      record.margin = number(r.at("margin"));
      for (const nlohmann::json& t : r.at("attempts")) {
        record.attempts.push_back({.attack = t.at("attack").get<std::string>(),
                                   .found = t.at("found").get<bool>(),
                                   .size = number(t.at("size")),
                                   .margin = number(t.at("margin")),
                                   .queries = t.at("queries").get<std::uint64_t>(),
                                   .gradients = t.at("gradients").get<std::uint64_t>(),
                                   .queries_to_success = t.at("queries_to_success").get<std::uint64_t>(),
                                   .gradients_to_success = t.at("gradients_to_success").get<std::uint64_t>(),
                                   .flat_start = t.at("flat_start").get<bool>()});
      }
      out.push_back(std::move(record));
    }
    return out;
  } catch (const nlohmann::json::exception& error) {
    return base::make_error(base::Code::kParse, fmt::format("not the records of a suite: {}", error.what()));
  }
}

std::vector<BudgetPoint> budget_curve(std::span<const ExampleRecord> records, const std::string& attack) {
  std::vector<std::uint64_t> spent;
  std::size_t clean = 0;
  for (const ExampleRecord& record : records) {
    if (!record.clean()) continue;
    ++clean;
    std::uint64_t before = 0;
    for (const Attempt& attempt : record.attempts) {
      if (!attack.empty() && attempt.attack != attack) continue;
      if (attempt.found) {
        spent.push_back(before + attempt.queries_to_success + attempt.gradients_to_success);
        break;
      }
      before += attempt.queries + attempt.gradients;
    }
  }
  std::sort(spent.begin(), spent.end());
  std::vector<BudgetPoint> out = {{0, 0.0}};
  for (std::size_t i = 0; i < spent.size(); ++i) {
    const double share = static_cast<double>(i + 1) / static_cast<double>(clean);
    if (out.back().passes == spent[i]) {
      out.back().share = share;
    } else {
      out.push_back({spent[i], share});
    }
  }
  return out;
}

std::vector<LedgerLine> budget_ledger(std::span<const ExampleRecord> records, std::span<const Attack> attacks) {
  std::vector<LedgerLine> out;
  for (const Attack& attack : attacks) {
    LedgerLine line;
    line.attack = attack.name;
    for (const ExampleRecord& record : records) {
      for (const Attempt& attempt : record.attempts) {
        if (attempt.attack != attack.name) continue;
        ++line.tried;
        line.found += attempt.found ? 1 : 0;
        line.first += attempt.found && record.by == attack.name ? 1 : 0;
        line.queries += attempt.queries;
        line.gradients += attempt.gradients;
      }
    }
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace plumbline::robustness
