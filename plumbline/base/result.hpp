#pragma once
/// Errors as values. Public functions return Result<T>; a broken invariant throws InternalError, which only
/// the runner and the bindings catch. "Cannot say" is never an error: it is a value of the method's own type.

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace plumbline::base {

/// What went wrong, in the coarsest terms that a caller may want to act on.
enum class Code {
  kValue,        ///< an argument or a field holds a value outside its range
  kShape,        ///< sizes do not agree
  kIo,           ///< the operating system refused: missing file, full disk, no permission
  kParse,        ///< input bytes are not what the format asks for
  kUnsupported,  ///< well-formed, but outside what Plumbline does (or this build lacks the part)
  kLimit,        ///< a bound on size, memory or time was met
  kCancelled,    ///< the user or the runner asked to stop
  kInternal,     ///< a defect in Plumbline
};

/// The lower-case word used in JSON and messages, for example "parse".
std::string_view code_name(Code code);

/// One failure. `message` says what was found and what was expected; `where` names the place
/// ("train.csv:12", "node 'conv1' (Conv)"); `hint` says what to do next. The last two may be empty.
struct Error {
  Code code = Code::kInternal;
  std::string message;
  std::string where;
  std::string hint;

  /// "where: message. hint" on one line.
  std::string text() const;
  /// The same error with `place` put in front of what is already known about the place.
  Error at(std::string_view place) const;
};

/// Thrown when Plumbline's own reasoning is wrong. Never for bad input.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Throws InternalError with file and line when `ok` is false. Always on.
void ensure(bool ok, std::string_view what);

Error make_error(Code code, std::string message, std::string where = {}, std::string hint = {});

struct Unit {};

/// Either a T or an Error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  /// Precondition: ok(). Throws InternalError otherwise.
  T& value() & {
    require();
    return std::get<0>(state_);
  }
  const T& value() const& {
    require();
    return std::get<0>(state_);
  }
  T value() && {
    require();
    return std::move(std::get<0>(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  /// Precondition: !ok().
  const Error& error() const {
    ensure(!ok(), "Result::error() called on a value");
    return std::get<1>(state_);
  }

 private:
  void require() const {
    if (!ok()) throw InternalError("Result::value() called on an error: " + std::get<1>(state_).text());
  }
  std::variant<T, Error> state_;
};

using Status = Result<Unit>;
inline Status ok() { return Unit{}; }

}  // namespace plumbline::base

/// Evaluates EXPR (a Result); on error returns it from the enclosing function, else binds the value:
///   PL_TRY(auto table, read_csv(path));
#define PL_TRY(DECL, EXPR) PL_TRY_IMPL_(PL_CAT_(pl_result_, __LINE__), DECL, EXPR)
#define PL_TRY_IMPL_(TMP, DECL, EXPR) \
  auto TMP = (EXPR);                  \
  if (!TMP.ok()) return TMP.error();  \
  DECL = std::move(TMP).value()
/// The same for a Status, whose value nobody needs.
#define PL_CHECK(EXPR)                                                         \
  do {                                                                         \
    if (auto pl_status_ = (EXPR); !pl_status_.ok()) return pl_status_.error(); \
  } while (false)
#define PL_CAT_(A, B) PL_CAT2_(A, B)
#define PL_CAT2_(A, B) A##B
