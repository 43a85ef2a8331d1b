#pragma once
/// A decision log in its column form, block by block: memory does not grow with the number of decisions.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "plumbline/base/result.hpp"
#include "plumbline/data/decision_log.hpp"

namespace plumbline::data {

/// Question  which decisions were taken, without holding all of them?
/// Formula   blocks of the rows in order, each a DecisionLog with all names of actions, policies and levels, but
/// without
///           names of decisions and units (units keep their codes).
/// Errors    kIo, kParse, kUnsupported as NpzStream and parse_log_columns; kParse at the block where the file ends
/// early. Cost      one pass over the bytes; memory of one block and of the header.
class LogStream {
 public:
  static base::Result<LogStream> open(const std::string& path, std::size_t block_rows = 65'536);
  LogStream(LogStream&&) noexcept;
  LogStream& operator=(LogStream&&) noexcept;
  ~LogStream();

  std::size_t rows() const;
  /// Sampling units that have a name; 0 = every decision is its own.
  std::size_t units() const;
  /// Names and levels, no rows.
  const DecisionLog& blank() const;
  /// Probabilities of all available actions are logged.
  bool probabilities() const;
  /// The next block; nothing at the end.
  base::Result<std::optional<DecisionLog>> next();

 private:
  struct State;
  explicit LogStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace plumbline::data
