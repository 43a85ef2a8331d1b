#pragma once
/// Logs of decisions: one record, its JSON form, a compact column form, and readers of other programs' logs.
/// Readers keep impossible values (a propensity of 0, an action that was not available), since the log lint counts
/// them; they refuse what cannot be parsed.

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::data {

/// What was done with the proposal.
enum class DecisionKind : std::uint8_t { kAct, kModify, kAsk, kFallBack, kRefuse };
/// Who or what decided that.
enum class DecisionCause : std::uint8_t { kPolicy, kPerson, kSafeguard, kTimeout, kError };
/// "act", "modify", "ask", "fall_back", "refuse".
std::string_view decision_kind_name(DecisionKind kind);
/// "policy", "person", "safeguard", "timeout", "error".
std::string_view decision_cause_name(DecisionCause cause);

/// A number or a category.
using ContextValue = std::variant<double, std::string>;

/// One reading of what was asked for, with the action that it recommends.
struct DecisionReading {
  std::string name;
  std::string action;
  std::optional<double> weight;
};

/// One decision. Absent numbers are empty, absent texts are "".
struct DecisionRecord {
  std::string id;
  std::optional<double> time;  ///< seconds since 1970-01-01 UTC, or any clock that only goes forward
  std::string unit;            ///< unit of sampling: user, session, slate
  int position = 0;            ///< in a slate, from 1; 0 = no slate
  std::string policy;          ///< version of the policy that proposed
  std::vector<std::pair<std::string, ContextValue>> context;
  std::vector<std::string> actions;   ///< available ones; empty = every action of the log
  std::vector<double> probabilities;  ///< of each available action; empty = not logged
  std::string action;                 ///< proposed
  std::optional<double> propensity;   ///< probability with which it was proposed
  std::string final_action;           ///< carried out
  DecisionKind kind = DecisionKind::kAct;
  DecisionCause cause = DecisionCause::kPolicy;
  std::optional<double> reward;       ///< empty = not arrived
  std::optional<double> delay;        ///< seconds from decision to reward
  std::optional<double> aleatoric;    ///< the three measured uncertainties, each in its estimator's unit
  std::optional<double> model_doubt;  ///< "model" under "uncertainty"
  std::optional<double> distributional;
  std::vector<DecisionReading> readings;
  std::string reason;
  std::string rung;                ///< of the autonomy or fallback ladder
  std::optional<double> deadline;  ///< seconds that the decision could wait
  std::string rater;
  std::vector<std::string> accepted;  ///< claims that were accepted although not supported
  std::string model;                  ///< hash
  std::string case_hash;              ///< hash of the assessed case
};

/// The record as one line of JSON, without the line break: keys in fixed order, absent fields left out, shortest
/// numbers that read back. Errors kValue: a number that is NaN or infinite, text that is not UTF-8.
base::Result<std::string> decision_to_json(const DecisionRecord& record);
/// The inverse. Unknown keys are errors, with the nearest known one. Errors kParse, with `place` in front.
base::Result<DecisionRecord> decision_from_json(std::string_view line, const std::string& place);

enum class LogFormat { kJsonLines, kColumns, kVwText, kDecisionService, kOpenBandit, kCsv };
/// "jsonl", "npz", "vw", "dsjson", "obd", "csv".
std::string_view log_format_name(LogFormat format);
base::Result<LogFormat> parse_log_format(std::string_view word);

/// How a log is read. The column names are for CSV alone.
struct LogOptions {
  std::optional<LogFormat> format;  ///< default: by the name's ending; .csv with the Open Bandit columns is obd
  std::string id, time, unit, position, action, propensity, reward;
  std::vector<std::string> context;  ///< default: every column that has no other part
  std::size_t limit = 0;             ///< > 0: the first records only
};

/// A log as columns. Codes index the name lists; -1 = absent. Numbers that are absent are NaN.
struct DecisionLog {
  std::vector<std::string> action_names;  ///< in order of first appearance (Open Bandit: by number)
  std::vector<std::string> policy_names;
  std::vector<std::string> unit_names;
  std::vector<int> action;        ///< proposed
  std::vector<int> final_action;  ///< carried out
  std::vector<double> propensity;
  std::vector<double> reward;
  std::vector<double> time;
  std::vector<double> delay;
  std::vector<std::uint8_t> kind;   ///< DecisionKind
  std::vector<std::uint8_t> cause;  ///< DecisionCause
  std::vector<int> position;
  std::vector<int> unit;
  std::vector<int> policy;
  std::vector<std::string> ids;        ///< empty when no record has one
  std::vector<std::size_t> set_start;  ///< rows + 1: available actions of a row are a span of `set_actions`; empty =
                                       ///< every action is available in every row
  std::vector<int> set_actions;
  std::vector<double> set_probabilities;  ///< beside set_actions; empty when some record lacks them
  Table context;                          ///< numbers and categories
  bool slates = false;                    ///< some position is above 0
  std::size_t left_out_features = 0;      ///< features of single actions, which columns do not keep
  std::size_t unlabelled = 0;             ///< records without action and reward that a format uses for prediction only

  std::size_t rows() const { return action.size(); }
  std::size_t actions() const { return action_names.size(); }
  /// Available actions of a row; all of them when `set_start` is empty (then `every` is filled and returned).
  std::span<const int> available(std::size_t row, std::vector<int>& every) const;
  /// Logged probabilities of the available actions, in their order; empty when not logged.
  std::span<const double> probabilities(std::size_t row) const;
};

/// Collects records into columns, one at a time.
class LogBuilder {
 public:
  explicit LogBuilder(std::string name, ReadLimits limits = {});
  /// Errors kLimit: rows, columns or elements. kParse: a context name that holds both numbers and categories; more
  /// probabilities than actions or fewer.
  base::Status add(const DecisionRecord& record, const std::string& place);
  void count_unlabelled() { ++log_.unlabelled; }
  void count_features(std::size_t features) { log_.left_out_features += features; }
  /// Names that come first, in this order.
  void declare_actions(std::span<const std::string> names);
  std::size_t rows() const { return log_.rows(); }
  /// Errors kParse: no record.
  base::Result<DecisionLog> take();

 private:
  int code(std::map<std::string, int, std::less<>>& index, std::vector<std::string>& names, const std::string& name);
  std::string name_;
  ReadLimits limits_;
  DecisionLog log_;
  std::map<std::string, int, std::less<>> action_index_, policy_index_, unit_index_;
  std::map<std::string, std::size_t, std::less<>> column_index_;
  std::vector<std::map<std::string, int, std::less<>>> level_index_;
  bool any_id_ = false;
  bool any_set_ = false;
  bool all_probabilities_ = true;
  bool any_probabilities_ = false;
};

/// The log in a file, plain or gzip.
/// Question  which decisions were taken, with which probability, and what did they earn?
/// Formula   Vowpal Wabbit: reward = -cost. dsjson: proposal = _labelIndex, its propensity _label_probability, the
///           available actions by their _tag (else by number), all probabilities from `a` and `p`.
///           Open Bandit: item_id, position, click, propensity_score; user features and affinities as context.
/// Returns   DecisionLog; `limit` records at most.
/// Errors    kIo; kParse with file and line; kValue: CSV without the named columns; kUnsupported: a log that was
///           thinned (pdrop > 0); kLimit. A record cut off in the middle is kParse at its line.
/// Cost      O(bytes). Deterministic.
/// Source    Vowpal Wabbit's input formats; Saito, Aihara, Matsutani, Narita 2021 (Open Bandit).
base::Result<DecisionLog> read_decision_log(const std::string& path, const LogOptions& options = {},
                                            const ReadLimits& limits = {});
/// The same from memory; `options.format` must be given. A CSV goes by its own reader.
base::Result<DecisionLog> parse_decision_log(Bytes bytes, const std::string& name, const LogOptions& options,
                                             const ReadLimits& limits = {});

/// One call for each record of JSON lines, in order, without holding the log. Errors as above, and those of `visit`.
base::Status each_decision(std::string_view text, const std::string& name,
                           const std::function<base::Status(const DecisionRecord&, const std::string& place)>& visit,
                           const ReadLimits& limits = {});

/// The log as JSON lines (gzip when the path ends in .gz) or as columns (.npz). Columns keep everything that
/// DecisionLog holds and read back to the same bits. Errors kIo; kValue: neither ending.
base::Status write_decision_log(const std::string& path, const DecisionLog& log);
/// Row of a log as a record.
DecisionRecord decision_record(const DecisionLog& log, std::size_t row);

/// Seconds since 1970-01-01 UTC of an ISO 8601 time ("2019-11-24 00:01:03.979311+00:00", "2021-02-04T16:31:29.246Z"); a
/// time without zone counts as UTC. Nothing when it is none.
std::optional<double> parse_iso_time(std::string_view text);

/// The JSON Schema (draft 2020-12) of a record, from the same table as the reader. Kept as
/// docs/schema/decision.schema.json.
std::string decision_schema();

}  // namespace plumbline::data
