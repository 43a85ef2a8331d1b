#pragma once
/// Bayesian networks in the interchange format (BIF 0.15), as the public network collections keep them.

#include <cstdint>
#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"
#include "plumbline/counterfactual/causal/network.hpp"

namespace plumbline::counterfactual::causal {

/// Bounds on what a hostile file can cost.
struct BifLimits {
  std::uint64_t file_bytes = std::uint64_t{1} << 30U;
  std::size_t variables = 100'000;
  std::size_t states = 100'000;       ///< of one variable
  std::uint64_t cells = 100'000'000;  ///< of all tables
};

/// Question  which network does this file write down?
/// Form      `network NAME { … }`, `variable NAME { type discrete [ n ] { a, b, … }; }`,
///           `probability ( X | A, B ) { (a, b) p, q; default p, q; }` or `{ table p, q, …; }`, in which the first
///           variable runs slowest, X before its parents. Properties and comments are skipped; names may be quoted;
///           gzip is unpacked.
/// Returns   the tables as written: a row may be off one by kRowSlack and is not rescaled.
/// Errors    kIo, kLimit: `limits`. kParse with file and line: anything else than the form, a text that ends early,
///           unknown variables and states, rows repeated or left out, a number of states or of probabilities that is
///           not the one announced, a probability outside [0, 1]. kValue: rows off one (with line), cycles, a variable
///           without a table.
/// Cost      linear in the file.
/// Source    Cozman, The interchange format for Bayesian networks, 1998.
base::Result<Network> read_bif(const std::string& path, const BifLimits& limits = {});
base::Result<Network> parse_bif(std::string_view text, const std::string& name, const BifLimits& limits = {});

/// The network in that form; numbers in the shortest form that reads back, names quoted where they must be.
/// Errors kUnsupported: a name or state that holds a quote.
base::Result<std::string> bif_text(const Network& network);
base::Status write_bif(const std::string& path, const Network& network);

}  // namespace plumbline::counterfactual::causal
