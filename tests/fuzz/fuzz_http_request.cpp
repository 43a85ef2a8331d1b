/// The guard behind its parser of HTTP: whatever bytes come, a request that parses has one reply, with a status that is
/// documented and a body that is JSON (or text where that is promised), and the guard lives on.

#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include "apps/guard/api.hpp"
#include "apps/http/server.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/support/table_decider.hpp"
#include "tests/support/testing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace plumbline::fuzz {
namespace {

namespace wire = boost::beast::http;
using runtime::kMillisecond;

/// A guard with its threads, of which every input asks something. Questions wait for nobody for long.
class Stand {
 public:
  Stand() {
    started_.options.fallback = "stop";
    started_.options.deadline = 20 * kMillisecond;
    started_.options.margin = 4 * kMillisecond;
    started_.options.remembered = 100;
    started_.journal = {.sync = runtime::SyncPolicy::kNone, .segment_bytes = 1U << 20U};
    started_.decider = std::make_unique<testing::TableDecider>();
    auto guard = runtime::Guard::open(started_.decider->info(), folder_.path(), started_.journal, started_.options, 0);
    if (!guard.ok()) std::abort();
    loop_ = std::make_unique<runtime::GuardLoop>(std::move(guard).value(), *started_.decider);
    api_ = std::make_unique<guard::Api>(*loop_, started_, tokens_);
  }

  http::ApiReply ask(const http::ApiRequest& request) {
    struct Waiting {
      std::mutex mutex;
      std::condition_variable came;
      int replies = 0;
      http::ApiReply reply;
    };
    const auto waiting = std::make_shared<Waiting>();
    api_->handle(request, [waiting](http::ApiReply reply) {
      const std::lock_guard lock(waiting->mutex);
      if (++waiting->replies > 1) std::abort();
      waiting->reply = std::move(reply);
      waiting->came.notify_one();
    });
    std::unique_lock lock(waiting->mutex);
    if (!waiting->came.wait_for(lock, std::chrono::seconds(60), [&] { return waiting->replies > 0; })) std::abort();
    return waiting->reply;
  }

 private:
  testing::TempFolder folder_;
  guard::Started started_;
  http::Tokens tokens_ = http::Tokens::open_to_all();
  std::unique_ptr<runtime::GuardLoop> loop_;
  std::unique_ptr<guard::Api> api_;
};

void check(const http::ApiReply& reply) {
  static const std::set<int> known = {200, 202, 204, 400, 401, 403, 404, 405, 409, 410, 413, 503, 504};
  if (!known.contains(reply.status)) std::abort();
  if (reply.type != "application/json") return;
  const auto body = nlohmann::json::parse(reply.body, nullptr, false);
  if (body.is_discarded()) std::abort();
  if (reply.status >= 400 && reply.status != 503 && !body.at("error").at("code").is_string()) std::abort();
}

}  // namespace
}  // namespace plumbline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plumbline;
  const data::Bytes bytes = fuzz::heap_bytes(data, size);
  const http::ServerOptions limits;
  std::size_t at = 0;
  // Several requests may follow each other on a connection.
  for (int request_number = 0; request_number < 8 && at < size; ++request_number) {
    fuzz::wire::request_parser<fuzz::wire::string_body> parser;
    parser.header_limit(limits.header_bytes);
    parser.body_limit(limits.body_bytes);
    parser.eager(true);
    boost::system::error_code code;
    while (!parser.is_done() && at < size) {
      const std::size_t used = parser.put(boost::asio::buffer(bytes.data.get() + at, size - at), code);
      at += used;
      if (code || used == 0) break;
    }
    if (code || !parser.is_done()) return 0;
    const auto& message = parser.get();
    http::ApiRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.authorization = std::string(message[fuzz::wire::field::authorization]);
    request.body = message.body();
    static fuzz::Stand stand;
    fuzz::check(stand.ask(request));
  }
  return 0;
}
