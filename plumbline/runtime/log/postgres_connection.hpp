#pragma once
/// One connection to PostgreSQL with a limit on every wait. The only header behind which libpq is seen.
///
/// All results are binary: whole numbers are bigint (cast them in the statement), texts and bytea are bytes.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"

namespace plumbline::runtime {

/// Server and database of a URL, without user's secrets: "postgresql://ann@host:5432/base". A URL that cannot be read
/// is shown by its beginning alone.
std::string shown_url(const std::string& url);

/// A parameter of a statement.
class PostgresValue {
 public:
  static PostgresValue number(std::int64_t value);
  static PostgresValue text(std::string_view value);
  static PostgresValue numbers(std::span<const std::int64_t> values);      ///< bigint[]
  static PostgresValue byte_strings(std::span<const std::string> values);  ///< bytea[]
  const std::string& bytes() const { return bytes_; }
  unsigned type() const { return type_; }

 private:
  PostgresValue(unsigned type, std::string bytes) : type_(type), bytes_(std::move(bytes)) {}
  unsigned type_;
  std::string bytes_;
};

/// The rows of a statement. Precondition of the accessors: row and column exist and hold what is asked for.
class PostgresRows {
 public:
  explicit PostgresRows(std::shared_ptr<void> result) : result_(std::move(result)) {}
  int size() const;
  std::int64_t number(int row, int column) const;
  /// Valid as long as this object.
  std::string_view bytes(int row, int column) const;
  /// Rows inserted, changed or removed.
  std::int64_t affected() const;

 private:
  std::shared_ptr<void> result_;
};

class PostgresConnection {
 public:
  using Patience = std::chrono::milliseconds;
  /// Connects and sets the session up: the server ends statements at `patience`, and half of it later the connection
  /// counts as lost. Both sides notice a dead peer within seconds.
  /// `synchronous`: a commit waits for the server's disk, whatever its default; if not, it does not wait.
  /// Errors kIo: no connection, with the server's words; kValue: no URL.
  static base::Result<std::unique_ptr<PostgresConnection>> open(const std::string& url, const std::string& application,
                                                                Patience patience, bool synchronous = true);
  ~PostgresConnection();
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  /// One statement. Errors kIo: the connection is lost, or the server could not do it now (it may be tried again);
  /// kInternal: the server will never do it as it is.
  base::Result<PostgresRows> run(const std::string& statement, std::span<const PostgresValue> values = {});
  base::Result<PostgresRows> run(const std::string& statement, std::initializer_list<PostgresValue> values) {
    return run(statement, std::span(values.begin(), values.size()));
  }
  /// The same, one row at a time, so that a long answer needs no memory. An error of `visit` ends the connection.
  base::Status stream(const std::string& statement, std::initializer_list<PostgresValue> values,
                      const std::function<base::Status(const PostgresRows&)>& visit);
  bool lost() const { return lost_; }

 private:
  struct Handle;
  PostgresConnection(std::unique_ptr<Handle> handle, std::string place, Patience patience);
  base::Status send(const std::string& statement, std::span<const PostgresValue> values);
  base::Status wait(std::chrono::steady_clock::time_point until, bool writing);
  base::Result<std::shared_ptr<void>> next(std::chrono::steady_clock::time_point until);
  base::Error lose(std::string why);
  base::Error server_error(void* result);

  std::unique_ptr<Handle> handle_;
  std::string place_;
  Patience patience_;
  bool lost_ = false;
};

}  // namespace plumbline::runtime
