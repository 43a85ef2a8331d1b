#pragma once
/// Model assertions over a stream: rules that what the system does should obey, each record judged when it comes, with
/// a severity and, where the rule knows one, a correction.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/probe/assertion_condition.hpp"

namespace plumbline::probe {

enum class AssertionKind {
  kRange,     ///< low <= field <= high
  kValues,    ///< the text is one of these
  kImplies,   ///< where `when` holds, `then` holds
  kOrder,     ///< fields do not fall, one after another
  kSteady,    ///< a unit's text does not change twice within `within` seconds (flickering)
  kConstant,  ///< a unit's value does not change
  kMonotone   ///< a unit's number does not fall (or rise) in time
};
std::string_view assertion_kind_name(AssertionKind kind);  ///< "range", "values", …
base::Result<AssertionKind> parse_assertion_kind(std::string_view word);

struct AssertionSpec {
  std::string name;
  AssertionKind kind = AssertionKind::kRange;
  std::string field;                ///< of all but implies and order
  std::vector<std::string> fields;  ///< order
  std::optional<double> low, high;  ///< range
  std::vector<std::string> values;  ///< values
  std::string when, then;           ///< implies
  double within = 0;                ///< steady: seconds
  bool falling = false;             ///< monotone: it does not rise
  double tolerance = 0;             ///< range, order, monotone: in the field's unit
  double scale = 1;                 ///< a violation by so much has severity 1
  bool fail = false;                ///< of severity fail; else warn
};

/// A rule that a record breaks.
struct Violation {
  std::size_t assertion = 0;  ///< in the set
  double severity = 0;        ///< above 0: excess over the rule in units of scale; steady and constant: a share up to 1
  std::string correction;     ///< proposed value of the assertion's field; empty: none
  /// steady: earlier records of the unit from this time on whose value differs from `correction` are what is wrong,
  /// where the record itself agrees with it.
  std::optional<double> since;
  std::string reason;  ///< one sentence
};

/// What a stateful assertion needs of a record later: its value of the field.
struct AssertionNote {
  std::uint64_t unit = 0;  ///< hash; 0: the record has none, and is not remembered
  double time = 0;
  std::vector<double> numbers;     ///< of the stateful assertions with a number, in order; NaN: absent
  std::vector<std::string> texts;  ///< … with a text; empty: absent
};

/// What is remembered of units: a value, the same for the same notes. At most `units`; the one not seen for longest is
/// forgotten.
class AssertionMemory {
 public:
  explicit AssertionMemory(std::size_t units = 10'000) : limit_(units) {}
  std::size_t units() const { return units_.size(); }
  bool operator==(const AssertionMemory&) const = default;

 private:
  friend class AssertionSet;
  struct Steady {
    std::string value;                                   // of the last record
    std::optional<double> changed;                       // when it came in place of another
    std::vector<std::pair<double, std::string>> window;  // of the last `within` seconds, at most kWindow
    bool operator==(const Steady&) const = default;
  };
  struct Unit {
    std::uint64_t seen = 0;
    std::vector<std::optional<double>> last;                                 // monotone: the furthest so far
    std::vector<std::vector<std::pair<std::string, std::uint64_t>>> counts;  // constant
    std::vector<Steady> steady;
    bool operator==(const Unit&) const = default;
  };
  std::size_t limit_;
  std::uint64_t clock_ = 0;
  std::unordered_map<std::uint64_t, Unit> units_;
  std::map<std::uint64_t, std::uint64_t> order_;  // clock at which a unit was last seen -> unit
};

/// Compiled assertions.
class AssertionSet {
 public:
  enum class Outcome { kHolds, kViolated, kAbsent };  ///< kAbsent: a value is missing, so nothing was judged

  /// Errors kValue: two of one name; an unknown field; a key that the kind needs and does not have, or one that makes
  /// no sense (low above high, within not above 0, scale not above 0, fewer than 2 fields, a text where a number is
  /// needed).
  static base::Result<AssertionSet> make(std::vector<AssertionSpec> specs, AssertionFields fields);

  std::size_t size() const { return rules_.size(); }
  bool empty() const { return rules_.empty(); }
  const AssertionSpec& spec(std::size_t i) const { return rules_[i].spec; }
  const AssertionFields& fields() const { return fields_; }
  /// The field that a correction is about; nothing for order, and for implies without a text to set.
  std::optional<FieldPlace> corrected_field(std::size_t i) const;
  bool stateful() const { return numbers_ + texts_ > 0; }

  /// Question  which rules does this record break, given what is remembered?
  /// Returns   the violations in the order of the set; `outcomes`, where given, one for each assertion.
  /// Precondition: the record has as many values as there are fields. Changes nothing. O(assertions).
  std::vector<Violation> check(const AssertionRecord& record, const AssertionMemory& memory,
                               std::vector<Outcome>* outcomes = nullptr) const;
  /// What to remember of it.
  AssertionNote note(const AssertionRecord& record) const;
  /// Notes that fit no unit or that have other sizes are passed over. O(log units).
  void remember(const AssertionNote& note, AssertionMemory& memory) const;

 private:
  struct Rule {
    AssertionSpec spec;
    FieldPlace field;
    std::vector<FieldPlace> fields;
    std::vector<Condition> when, then;
    std::size_t slot = 0;   // of its kind in a unit's memory
    std::size_t place = 0;  // of its value in a note
  };
  static base::Status compile(Rule& rule, const AssertionFields& fields);
  static base::Status compile_field(Rule& rule, const AssertionFields& fields);
  Outcome judge(const Rule& rule, const AssertionRecord& record, const AssertionMemory::Unit* unit,
                Violation& violation) const;
  Outcome judge_range(const Rule& rule, const AssertionRecord& record, Violation& violation) const;
  Outcome judge_implies(const Rule& rule, const AssertionRecord& record, Violation& violation) const;
  Outcome judge_order(const Rule& rule, const AssertionRecord& record, Violation& violation) const;
  Outcome judge_steady(const Rule& rule, const AssertionRecord& record, const AssertionMemory::Unit* unit,
                       Violation& violation) const;
  Outcome judge_constant(const Rule& rule, const AssertionRecord& record, const AssertionMemory::Unit* unit,
                         Violation& violation) const;
  Outcome judge_monotone(const Rule& rule, const AssertionRecord& record, const AssertionMemory::Unit* unit,
                         Violation& violation) const;

  AssertionFields fields_;
  std::vector<Rule> rules_;
  std::size_t numbers_ = 0, texts_ = 0;  // values in a note
  std::size_t monotone_ = 0, constant_ = 0, steady_ = 0;
};

/// The hash by which a unit is remembered; 0 for the empty name alone.
std::uint64_t unit_hash(std::string_view unit);

}  // namespace plumbline::probe
