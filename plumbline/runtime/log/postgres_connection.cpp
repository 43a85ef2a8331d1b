#include "plumbline/runtime/log/postgres_connection.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
namespace plumbline::runtime {
namespace {

using base::Code;
using base::make_error;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kRowPatience{60};
// Of the server's catalogue of types.
constexpr unsigned kBytea = 17;
constexpr unsigned kBigint = 20;
constexpr unsigned kText = 25;
constexpr unsigned kByteaArray = 1001;
constexpr unsigned kBigintArray = 1016;

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = bytes; i-- > 0;) out += static_cast<char>((value >> (8 * i)) & 0xFFU);
}

/// Head of an array of one dimension in the binary form: dimensions, nulls, type, length, first index.
std::string array_head(unsigned type, std::size_t length) {
  std::string out;
  put(out, 1, 4);
  put(out, 0, 4);
  put(out, type, 4);
  put(out, length, 4);
  put(out, 1, 4);
  return out;
}

std::shared_ptr<void> owned(PGresult* result) {
  return {result, [](void* r) { PQclear(static_cast<PGresult*>(r)); }};
}
PGresult* raw(const std::shared_ptr<void>& result) { return static_cast<PGresult*>(result.get()); }

std::string one_line(const char* text) {
  std::string out = text == nullptr ? "" : text;
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  for (char& c : out)
    if (c == '\n' || c == '\t') c = ' ';
  return out;
}

}  // namespace

std::string shown_url(const std::string& url) {
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconninfoParse(url.c_str(), nullptr),
                                                                               &PQconninfoFree);
  if (!options) return "postgresql://(a URL that cannot be read)";
  std::string user, host, port, base;
  for (const PQconninfoOption* o = options.get(); o->keyword != nullptr; ++o) {
    if (o->val == nullptr) continue;
    const std::string_view key = o->keyword;
    if (key == "user") user = std::string(o->val) + "@";
    if (key == "host" || (key == "hostaddr" && host.empty())) host = o->val;
    if (key == "port") port = std::string(":") + o->val;
    if (key == "dbname") base = o->val;
  }
  return fmt::format("postgresql://{}{}{}/{}", user, host, port, base);
}

PostgresValue PostgresValue::number(std::int64_t value) {
  std::string bytes;
  put(bytes, static_cast<std::uint64_t>(value), 8);
  return {kBigint, std::move(bytes)};
}

PostgresValue PostgresValue::text(std::string_view value) { return {kText, std::string(value)}; }

PostgresValue PostgresValue::numbers(std::span<const std::int64_t> values) {
  std::string bytes = array_head(kBigint, values.size());
  for (const std::int64_t value : values) {
    put(bytes, 8, 4);
    put(bytes, static_cast<std::uint64_t>(value), 8);
  }
  return {kBigintArray, std::move(bytes)};
}

PostgresValue PostgresValue::byte_strings(std::span<const std::string> values) {
  std::string bytes = array_head(kBytea, values.size());
  for (const std::string& value : values) {
    put(bytes, value.size(), 4);
    bytes += value;
  }
  return {kByteaArray, std::move(bytes)};
}

int PostgresRows::size() const { return PQntuples(raw(result_)); }

std::string_view PostgresRows::bytes(int row, int column) const {
  return {PQgetvalue(raw(result_), row, column), static_cast<std::size_t>(PQgetlength(raw(result_), row, column))};
}

std::int64_t PostgresRows::number(int row, int column) const {
  const std::string_view text = bytes(row, column);
  base::ensure(text.size() == 8, "a column of numbers is bigint");
  std::uint64_t value = 0;
  for (const char c : text) value = value << 8U | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(value);
}

std::int64_t PostgresRows::affected() const {
  const std::string_view text = PQcmdTuples(raw(result_));
  std::int64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

struct PostgresConnection::Handle {
  PGconn* connection = nullptr;
  ~Handle() { PQfinish(connection); }
};

PostgresConnection::PostgresConnection(std::unique_ptr<Handle> handle, std::string place, Patience patience)
    : handle_(std::move(handle)), place_(std::move(place)), patience_(patience) {}

PostgresConnection::~PostgresConnection() = default;

base::Result<std::unique_ptr<PostgresConnection>> PostgresConnection::open(const std::string& url,
                                                                           const std::string& application,
                                                                           Patience patience, bool synchronous) {
  // libpq quotes what it cannot read, and that may hold a password.
  if (PQconninfoOption* options = PQconninfoParse(url.c_str(), nullptr); options == nullptr) {
    return make_error(Code::kValue, "is no URL of PostgreSQL", shown_url(url),
                      "postgresql://user@host:port/database?option=value; special characters as %XX");
  } else {
    PQconninfoFree(options);
  }
  // What stands before the URL is a default that it may change; what stands behind it is not.
  const std::array<const char*, 10> keys = {
      "connect_timeout", "tcp_user_timeout", "keepalives_idle",           "keepalives_interval", "keepalives_count",
      "dbname",          "client_encoding",  "fallback_application_name", "application_name",    nullptr};
  const std::array<const char*, 10> values = {
      "3", "5000", "5", "2", "3", url.c_str(), "UTF8", "plumbline", application.c_str(), nullptr};
  auto handle = std::make_unique<Handle>();
  handle->connection = PQconnectdbParams(keys.data(), values.data(), 1);
  // Its notices would go to the process's standard error.
  PQsetNoticeReceiver(
      handle->connection, [](void*, const PGresult*) {}, nullptr);
  const std::string place = shown_url(url);
  if (PQstatus(handle->connection) != CONNECTION_OK)
    return make_error(Code::kIo, "cannot be reached: " + one_line(PQerrorMessage(handle->connection)), place,
                      "Check server, database, user and password; PGPASSWORD and ~/.pgpass work as with psql");
  if (PQsetnonblocking(handle->connection, 1) != 0) return make_error(Code::kIo, "cannot be set up", place);
  std::unique_ptr<PostgresConnection> made(new PostgresConnection(std::move(handle), place, patience));
  // A dead guard must be noticed by the server as well: its partition is free only when its session has ended.
  PL_TRY(const PostgresRows set,
         made->run(
             "SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $1, false),"
             " set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),"
             " set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '10000', false),"
             " set_config('enable_sort', 'off', false),"
             " set_config('synchronous_commit', CASE WHEN $2 = 'off' THEN 'off'"
             " WHEN current_setting('synchronous_commit') = 'off' THEN 'on'"
             " ELSE current_setting('synchronous_commit') END, false)",
             {PostgresValue::text(std::to_string(patience.count())), PostgresValue::text(synchronous ? "on" : "off")}));
  static_cast<void>(set);
  return made;
}

base::Error PostgresConnection::lose(std::string why) {
  lost_ = true;
  return make_error(Code::kIo, std::move(why), place_);
}

base::Error PostgresConnection::server_error(void* result) {
  auto* const r = static_cast<PGresult*>(result);
  const char* const state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
  const std::string words = one_line(PQresultErrorMessage(r));
  if (PQstatus(handle_->connection) != CONNECTION_OK) return lose("the connection was lost: " + words);
  if (state == nullptr) return lose("the connection was lost: " + words);
  // Classes of SQLSTATE: wrong data (22), a broken constraint (23), a wrong statement or no right to it (42).
  const std::string_view kind(state, 2);
  const bool never = kind == "22" || kind == "23" || kind == "42";
  return make_error(never ? Code::kInternal : Code::kIo, fmt::format("the server says {}: {}", state, words), place_);
}

base::Status PostgresConnection::wait(Clock::time_point until, bool writing) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
  if (left <= 0) return lose(fmt::format("no answer within {} ms", patience_.count()));
  pollfd entry{PQsocket(handle_->connection), static_cast<short>(POLLIN | (writing ? POLLOUT : 0)), 0};
  const int ready = ::poll(&entry, 1, static_cast<int>(left));
  if (ready < 0 && errno != EINTR) return lose(fmt::format("the connection was lost: {}", std::strerror(errno)));
  if (ready > 0 && (entry.revents & ~POLLOUT) != 0 && PQconsumeInput(handle_->connection) == 0)
    return lose("the connection was lost: " + one_line(PQerrorMessage(handle_->connection)));
  return base::ok();
}

base::Status PostgresConnection::send(const std::string& statement, std::span<const PostgresValue> values) {
  if (lost_) return make_error(Code::kIo, "the connection was lost", place_);
  std::vector<unsigned> types;
  std::vector<const char*> bytes;
  std::vector<int> lengths, formats;
  for (const PostgresValue& value : values) {
    types.push_back(value.type());
    bytes.push_back(value.bytes().data());
    lengths.push_back(static_cast<int>(value.bytes().size()));
    formats.push_back(1);
  }
  const int count = static_cast<int>(values.size());
  if (PQsendQueryParams(handle_->connection, statement.c_str(), count, types.data(), bytes.data(), lengths.data(),
                        formats.data(), 1) == 0)
    return lose("the connection was lost: " + one_line(PQerrorMessage(handle_->connection)));
  return base::ok();
}

/// The next result; null when there is none left.
base::Result<std::shared_ptr<void>> PostgresConnection::next(Clock::time_point until) {
  for (;;) {
    const int flushed = PQflush(handle_->connection);
    if (flushed < 0) return lose("the connection was lost: " + one_line(PQerrorMessage(handle_->connection)));
    if (flushed == 0 && PQisBusy(handle_->connection) == 0) return owned(PQgetResult(handle_->connection));
    PL_CHECK(wait(until, flushed > 0));
  }
}

base::Result<PostgresRows> PostgresConnection::run(const std::string& statement,
                                                   std::span<const PostgresValue> values) {
  const auto until = Clock::now() + patience_ * 3 / 2;  // the server gives up first, and the connection is kept
  PL_CHECK(send(statement, values));
  std::shared_ptr<void> kept;
  std::optional<base::Error> failed;
  for (;;) {
    PL_TRY(std::shared_ptr<void> result, next(until));
    if (raw(result) == nullptr) break;
    const ExecStatusType status = PQresultStatus(raw(result));
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && !failed) failed = server_error(result.get());
    kept = std::move(result);
  }
  if (failed) return *failed;
  if (PQstatus(handle_->connection) != CONNECTION_OK || !kept) return lose("the connection was lost");
  return PostgresRows(std::move(kept));
}

base::Status PostgresConnection::stream(const std::string& statement, std::initializer_list<PostgresValue> values,
                                        const std::function<base::Status(const PostgresRows&)>& visit) {
  // The whole answer may take its time, as long as rows keep coming.
  PL_TRY(const PostgresRows before, run("SELECT current_setting('statement_timeout'),"
                                        " set_config('statement_timeout', '0', false)"));
  const std::string limit(before.bytes(0, 0));
  PL_CHECK(send(statement, std::span(values.begin(), values.size())));
  PQsetSingleRowMode(handle_->connection);
  std::optional<base::Error> failed;
  for (;;) {
    PL_TRY(std::shared_ptr<void> result, next(Clock::now() + kRowPatience));
    if (raw(result) == nullptr) break;
    const ExecStatusType status = PQresultStatus(raw(result));
    if (status == PGRES_SINGLE_TUPLE) {
      if (const base::Status visited = visit(PostgresRows(std::move(result))); !visited.ok()) {
        lost_ = true;  // the rest of the answer is not wanted
        return visited;
      }
    } else if (status != PGRES_TUPLES_OK && !failed) {
      failed = server_error(result.get());
    }
  }
  if (failed) return *failed;
  const auto restored = run("SELECT set_config('statement_timeout', $1, false)", {PostgresValue::text(limit)});
  return restored.ok() ? base::ok() : base::Status(restored.error());
}

}  // namespace plumbline::runtime
