// verify: one network and one property, a list of both, or a stored certificate.
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "apps/cli/output.hpp"
#include "plumbline/base/hash.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/csv.hpp"
#include "plumbline/graph/onnx.hpp"
#include "plumbline/robustness/proof/verify.hpp"

namespace plumbline::cli {
namespace {

using robustness::ProofVerdict;

/// Multiply-adds that --exact spends at most: minutes.
constexpr double kExactWork = 1e9;

struct Model {
  graph::Graph graph;
  robustness::Network network;
};

base::Result<Model> open_model(const std::string& path) {
  PL_TRY(graph::Graph graph, graph::read_onnx(path));
  auto network = robustness::lower(graph);
  if (!network.ok()) return network.error().at(path);
  return Model{std::move(graph), std::move(network).value()};
}

int exit_status(ProofVerdict verdict) {
  switch (verdict) {
    case ProofVerdict::kHolds: return 0;
    case ProofVerdict::kViolated: return 1;
    case ProofVerdict::kHoldsUncertified:
    case ProofVerdict::kUnknown: return 3;
  }
  return 3;
}

nlohmann::json number(double value) {
  if (std::isfinite(value)) return value;
  return nullptr;
}

nlohmann::json as_json(const robustness::Verification& v, const std::string& model, const std::string& property) {
  nlohmann::json attacks = nlohmann::json::array();
  for (const robustness::SearchTrace& trace : v.attack.traces) {
    attacks.push_back({{"method", robustness::search_method_name(trace.method)},
                       {"best_excess", number(trace.best)},
                       {"forwards", trace.forwards},
                       {"gradients", trace.gradients}});
  }
  nlohmann::json out = {
      {"model", model},       {"property", property}, {"verdict", robustness::proof_verdict_name(v.verdict)},
      {"reason", v.reason},   {"seconds", v.seconds}, {"reproducible", !v.timed_out},
      {"regions", v.regions}, {"attacks", attacks},   {"best_bound", v.has_bound ? number(v.best_bound) : nullptr}};
  if (v.verdict == ProofVerdict::kViolated) {
    out["witness"] = v.witness;
    out["output"] = v.output;
    out["case"] = v.which;
  }
  if (v.verdict == ProofVerdict::kHolds)
    out["certificate"] = {{"leaves", v.leaves},
                          {"margin", number(v.certificate_margin)},
                          {"replay", v.exact_replay ? "exact rationals" : "outward-rounded double"}};
  return out;
}

std::string values_text(const std::vector<double>& values) {
  constexpr std::size_t kShown = 16;
  std::string out;
  for (std::size_t i = 0; i < std::min(values.size(), kShown); ++i)
    out += fmt::format("{}{}", i > 0 ? " " : "", values[i]);
  if (values.size() > kShown) out += fmt::format(" ... ({} values; all with --json)", values.size());
  return out;
}

void print(const robustness::Verification& v) {
  std::cout << fmt::format("{}  ({:.2f} s)\n{}\n", robustness::proof_verdict_name(v.verdict), v.seconds,
                           printable(v.reason));
  if (v.verdict == ProofVerdict::kViolated) {
    std::cout << fmt::format("input   {}\noutput  {}\n", values_text(v.witness), values_text(v.output));
  }
  if (v.verdict == ProofVerdict::kHolds) std::cout << fmt::format("margin  {:.6g}\n", v.certificate_margin);
  if (v.verdict == ProofVerdict::kUnknown && v.has_bound)
    std::cout << fmt::format("best bound  {:.6g} (above 0 would be proved)\n", v.best_bound);
  if (v.verdict != ProofVerdict::kViolated && !v.attack.traces.empty())
    std::cout << fmt::format("nearest attack  {:.6g} (0 or less would be a witness)\n", v.attack.best);
}

robustness::VerifyOptions options_of(const Session& session, double seconds) {
  robustness::VerifyOptions options;
  options.seconds = seconds;
  options.seed = session.options.seed;
  if (session.options.exact) options.exact_work = kExactWork;
  options.memory_bytes = static_cast<std::uint64_t>(session.options.proof_memory_gib * 1073741824.0);
  return options;
}

struct Hashes {
  std::string model;
  std::string property;
};

base::Result<Hashes> hashes_of(const std::string& model, const std::string& property) {
  PL_TRY(std::string first, base::sha256_file(model));
  PL_TRY(std::string second, base::sha256_file(property));
  return Hashes{std::move(first), std::move(second)};
}

base::Result<int> check_stored(const Session& session) {
  const Options& o = session.options;
  PL_TRY(const Hashes hashes, hashes_of(o.model, o.property));
  PL_TRY(const Model model, open_model(o.model));
  PL_TRY(const robustness::Property property, robustness::read_vnnlib(o.property));
  PL_TRY(const robustness::Certificate certificate, robustness::read_certificate(o.check_certificate));
  if (certificate.model != hashes.model || certificate.property != hashes.property) {
    return base::make_error(
        base::Code::kValue,
        fmt::format("is a certificate for another {}", certificate.model != hashes.model ? "model" : "property"),
        o.check_certificate, "Name the files that it was written for");
  }
  const bool exact = o.exact;
  if (exact && robustness::exact_work(model.network, certificate) > kExactWork) {
    return base::make_error(
        base::Code::kLimit,
        fmt::format("a replay in exact rationals takes {:.2g} multiply-adds, more than the {:.0e} that "
                    "--exact spends",
                    robustness::exact_work(model.network, certificate), kExactWork),
        o.check_certificate, "leave out --exact: it is then replayed in outward-rounded double");
  }
  PL_TRY(const robustness::CheckOutcome outcome,
         exact ? robustness::check_certificate_exactly(model.network, property, certificate, session.cancel)
               : robustness::check_certificate(model.network, property, certificate, session.cancel));
  if (o.json) {
    std::cout << nlohmann::json{{"valid", outcome.valid},
                                {"reason", outcome.reason},
                                {"leaves", outcome.leaves},
                                {"replay", exact ? "exact rationals" : "outward-rounded double"},
                                {"margin", number(outcome.least)}}
                     .dump(2)
              << "\n";
  } else if (outcome.valid) {
    std::cout << fmt::format("the certificate proves the property: {} leaves, margin {:.6g}, replayed in {}\n",
                             outcome.leaves, outcome.least, exact ? "exact rationals" : "outward-rounded double");
  } else {
    std::cout << fmt::format("the certificate proves nothing: {}\n", outcome.reason);
  }
  return outcome.valid ? 0 : 1;
}

base::Result<int> verify_one(const Session& session) {
  const Options& o = session.options;
  PL_TRY(const Model model, open_model(o.model));
  PL_TRY(const robustness::Property property, robustness::read_vnnlib(o.property));
  PL_TRY(robustness::Verification v,
         robustness::verify(model.graph, model.network, property, options_of(session, o.seconds < 0 ? 60 : o.seconds),
                            session.cancel));
  if (!o.certificate.empty() && v.verdict == ProofVerdict::kHolds) {
    PL_TRY(const Hashes hashes, hashes_of(o.model, o.property));
    v.certificate.model = hashes.model;
    v.certificate.property = hashes.property;
    PL_CHECK(robustness::write_certificate(v.certificate, o.certificate));
  }
  if (o.json) {
    std::cout << as_json(v, o.model, o.property).dump(2) << "\n";
  } else {
    print(v);
    if (!o.certificate.empty() && v.verdict == ProofVerdict::kHolds)
      std::cout << fmt::format("certificate  {}\n", printable(o.certificate));
  }
  return exit_status(v.verdict);
}

struct Instance {
  std::string model;
  std::string property;
  double seconds = 0;
};

base::Result<std::vector<Instance>> read_instances(const std::string& path) {
  data::ReadLimits limits;
  limits.file_bytes = 64U << 20U;
  PL_TRY(const data::Bytes bytes, data::map_file(path, limits));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
  std::vector<Instance> out;
  std::size_t line = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view row = text.substr(at, end - at);
    at = end + 1;
    ++line;
    if (!row.empty() && row.back() == '\r') row.remove_suffix(1);
    if (row.find_first_not_of(" \t") == std::string_view::npos) continue;
    std::vector<std::string> cells;
    for (std::size_t c = 0; c <= row.size();) {
      const std::size_t comma = std::min(row.find(',', c), row.size());
      cells.emplace_back(row.substr(c, comma - c));
      c = comma + 1;
    }
    const std::string place = fmt::format("{}:{}", path, line);
    if (cells.size() != 3 || cells[0].empty() || cells[1].empty()) {
      return base::make_error(base::Code::kParse,
                              fmt::format("has {} cells, expected model,property,seconds", cells.size()), place,
                              "The list has no header");
    }
    Instance instance{cells[0], cells[1], 0};
    std::string_view seconds = cells[2];
    while (!seconds.empty() && seconds.front() == ' ') seconds.remove_prefix(1);
    while (!seconds.empty() && seconds.back() == ' ') seconds.remove_suffix(1);
    if (!data::parse_number(seconds, &instance.seconds) || !(instance.seconds >= 0) || instance.seconds > 1e9) {
      return base::make_error(base::Code::kParse, fmt::format("'{}' is no number of seconds", cells[2]), place,
                              "The list has no header");
    }
    out.push_back(std::move(instance));
  }
  if (out.empty()) return base::make_error(base::Code::kValue, "names no instance", path);
  return out;
}

base::Result<int> verify_list(const Session& session) {
  const Options& o = session.options;
  PL_TRY(const std::vector<Instance> instances, read_instances(o.instances));
  std::ofstream csv;
  if (!o.csv.empty()) {
    csv.open(o.csv);
    csv << "onnx,vnnlib,verdict,seconds\n";
    if (!csv.flush())
      return base::make_error(base::Code::kIo, "cannot be written", o.csv, "Check that the folder is writable");
  }
  const std::filesystem::path folder = std::filesystem::path(o.instances).parent_path();
  std::string opened;
  std::optional<Model> model;
  std::map<std::string, std::size_t> counts;
  nlohmann::json all = nlohmann::json::array();
  bool unread = false;
  for (std::size_t i = 0; i < instances.size(); ++i) {
    PL_CHECK(session.cancel.status());
    const Instance& instance = instances[i];
    session.progress.update("verify", i, instances.size());
    const auto start = std::chrono::steady_clock::now();
    const double seconds = o.seconds < 0 ? instance.seconds : std::min(o.seconds, instance.seconds);
    const std::string model_path = (folder / instance.model).string();
    const std::string property_path = (folder / instance.property).string();
    const auto one = [&]() -> base::Result<robustness::Verification> {
      if (opened != model_path) {
        model.reset();
        opened.clear();
        PL_TRY(Model next, open_model(model_path));
        model = std::move(next);
        opened = model_path;
      }
      PL_TRY(const robustness::Property property, robustness::read_vnnlib(property_path));
      return robustness::verify(model->graph, model->network, property, options_of(session, seconds), session.cancel);
    };
    auto result = one();
    robustness::Verification v;
    if (result.ok()) {
      v = std::move(result).value();
    } else {
      if (result.error().code == base::Code::kCancelled) return result.error();
      unread = true;
      v.reason = result.error().text();
    }
    v.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const std::string verdict(robustness::proof_verdict_name(v.verdict));
    ++counts[verdict];
    if (csv.is_open()) {
      csv << fmt::format("{},{},{},{:.3f}\n", instance.model, instance.property, verdict, v.seconds);
      if (!csv.flush()) return base::make_error(base::Code::kIo, "cannot be written", o.csv);
    }
    if (o.json) {
      all.push_back(as_json(v, instance.model, instance.property));
    } else {
      std::cout << fmt::format("{:<18} {:>8.2f} s  {}  {}{}{}\n", verdict, v.seconds, printable(instance.model),
                               printable(instance.property), v.verdict == ProofVerdict::kUnknown ? "  " : "",
                               v.verdict == ProofVerdict::kUnknown ? printable(v.reason) : "")
                << std::flush;
    }
  }
  if (o.json) {
    std::cout << all.dump(2) << "\n";
  } else {
    std::string words;
    for (const auto& [verdict, count] : counts)
      words += fmt::format("{}{} {}", words.empty() ? "" : ", ", count, verdict);
    std::cout << fmt::format("{} instances: {}\n", instances.size(), words);
  }
  if (unread) return 2;
  if (counts.contains("violated")) return 1;
  return counts.contains("unknown") || counts.contains("holds-uncertified") ? 3 : 0;
}

}  // namespace

base::Result<int> run_verify(const Session& session) {
  const Options& o = session.options;
  const bool list = !o.instances.empty();
  const auto usage = [](const std::string& message) {
    return base::make_error(base::Code::kValue, message, "verify", "See plumbline verify --help");
  };
  if (list && (!o.model.empty() || !o.certificate.empty() || !o.check_certificate.empty()))
    return usage("--instances names the models and properties itself, and writes no certificate");
  if (!list && !o.csv.empty()) return usage("--csv belongs to --instances");
  if (!list && (o.model.empty() || o.property.empty()))
    return usage("expected MODEL and PROPERTY, or --instances LIST");
  if (list) return verify_list(session);
  return o.check_certificate.empty() ? verify_one(session) : check_stored(session);
}

}  // namespace plumbline::cli
