#include "plumbline/data/log_stream.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "plumbline/data/decision_log_columns.hpp"
#include "plumbline/data/npz_stream.hpp"

namespace plumbline::data {

using base::Code;
using base::make_error;

struct LogStream::State {
  std::string path;
  LogColumns columns;
  std::size_t rows = 0;
  std::size_t units = 0;
  std::size_t block = 0;
  std::size_t done = 0;
  std::optional<NpzStream> numbers, codes;
  std::optional<NpzStream> counts, actions, probabilities;  // of the available actions
};

LogStream::LogStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
LogStream::LogStream(LogStream&&) noexcept = default;
LogStream& LogStream::operator=(LogStream&&) noexcept = default;
LogStream::~LogStream() = default;

std::size_t LogStream::rows() const { return state_->rows; }
std::size_t LogStream::units() const { return state_->units; }
const DecisionLog& LogStream::blank() const { return state_->columns.blank; }
bool LogStream::probabilities() const { return state_->columns.probabilities; }

base::Result<LogStream> LogStream::open(const std::string& path, std::size_t block_rows) {
  auto state = std::make_unique<State>();
  State& s = *state;
  s.path = path;
  s.block = block_rows;
  PL_TRY(NpzStream header, NpzStream::open(path, "header"));
  constexpr std::uint64_t kLongestHeader = 1ULL << 26U;
  if (header.rows() > kLongestHeader)
    return make_error(Code::kLimit, fmt::format("the header is {} bytes long", header.rows()), path,
                      "leave out ids, or read the log whole");
  if (header.holds_doubles()) return make_error(Code::kParse, "header: holds no bytes", path);
  std::vector<int> text(header.rows());
  PL_CHECK(header.read(text));
  PL_TRY(s.columns, parse_log_header(text, false, path));
  s.units = s.columns.blank.unit_names.size();
  s.columns.blank.unit_names.clear();
  PL_TRY(s.numbers, NpzStream::open(path, "numbers"));
  PL_TRY(s.codes, NpzStream::open(path, "codes"));
  s.rows = s.numbers->rows();
  const bool agree = s.numbers->holds_doubles() && !s.codes->holds_doubles() &&
                     s.numbers->width() == s.columns.numbers &&
                     s.codes->rows() * s.codes->width() == s.rows * s.columns.codes;
  if (!agree || s.rows == 0) return make_error(Code::kParse, "the arrays do not agree in size with the header", path);
  if (s.columns.sets) {
    PL_TRY(s.counts, NpzStream::open(path, "set_actions"));
    PL_TRY(s.actions, NpzStream::open(path, "set_actions"));
    if (s.counts->holds_doubles() || s.counts->rows() < s.rows)
      return make_error(Code::kParse, "set_actions: is too short, or no integers", path);
    PL_CHECK(s.actions->skip(s.rows));
    if (s.columns.probabilities) {
      PL_TRY(s.probabilities, NpzStream::open(path, "set_numbers"));
      if (!s.probabilities->holds_doubles()) return make_error(Code::kParse, "set_numbers: float64 is expected", path);
    }
  }
  return LogStream(std::move(state));
}

base::Result<std::optional<DecisionLog>> LogStream::next() {
  State& s = *state_;
  const std::size_t rows = std::min(s.block, s.rows - s.done);
  if (rows == 0) return std::optional<DecisionLog>();
  std::vector<double> numbers(rows * s.columns.numbers);
  std::vector<int> codes(rows * s.columns.codes);
  PL_CHECK(s.numbers->read(numbers));
  PL_CHECK(s.codes->read(codes));
  DecisionLog log = s.columns.blank;
  PL_CHECK(fill_log_rows(s.columns, numbers, codes, s.units, s.done, s.path, log));
  if (s.columns.sets) {
    std::vector<int> counts(rows);
    PL_CHECK(s.counts->read(counts));
    log.set_start.push_back(0);
    for (const int count : counts) {
      if (count < 0 || static_cast<std::size_t>(count) > s.columns.blank.action_names.size())
        return make_error(Code::kParse, "set_actions: a negative or too large count", s.path);
      log.set_start.push_back(log.set_start.back() + static_cast<std::size_t>(count));
    }
    log.set_actions.resize(log.set_start.back());
    PL_CHECK(s.actions->read(log.set_actions));
    for (const int a : log.set_actions) {
      if (a < 0 || static_cast<std::size_t>(a) >= log.action_names.size())
        return make_error(Code::kParse, "set_actions: an action outside the names", s.path);
    }
    if (s.probabilities) {
      log.set_probabilities.resize(log.set_actions.size());
      PL_CHECK(s.probabilities->read(log.set_probabilities));
    }
  }
  s.done += rows;
  return std::optional<DecisionLog>(std::move(log));
}

}  // namespace plumbline::data
