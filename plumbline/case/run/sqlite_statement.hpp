#pragma once
/// A prepared statement of SQLite: bound from left to right, stepped row by row.

#include <cstdint>
#include <string>

#include <sqlite3.h>

namespace plumbline::run {

class Statement {
 public:
  Statement(sqlite3* db, const char* sql) { status_ = sqlite3_prepare_v2(db, sql, -1, &handle_, nullptr); }
  ~Statement() { sqlite3_finalize(handle_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(const std::string& text) {
    if (handle_ != nullptr)
      sqlite3_bind_text(handle_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& bind(std::int64_t value) {
    if (handle_ != nullptr) sqlite3_bind_int64(handle_, ++bound_, value);
    return *this;
  }
  Statement& bind(double value) {
    if (handle_ != nullptr) sqlite3_bind_double(handle_, ++bound_, value);
    return *this;
  }
  /// True while there are rows.
  bool step() {
    if (status_ != SQLITE_OK && status_ != SQLITE_ROW) return false;
    status_ = sqlite3_step(handle_);
    return status_ == SQLITE_ROW;
  }
  std::string text(int column) {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
    return bytes == nullptr ? std::string()
                            : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
  }
  std::int64_t integer(int column) { return sqlite3_column_int64(handle_, column); }
  double real(int column) { return sqlite3_column_double(handle_, column); }
  bool failed() const { return status_ != SQLITE_OK && status_ != SQLITE_DONE && status_ != SQLITE_ROW; }

 private:
  sqlite3_stmt* handle_ = nullptr;
  int status_ = SQLITE_OK;
  int bound_ = 0;
};

}  // namespace plumbline::run
