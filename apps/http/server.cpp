#include "apps/http/server.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

namespace plumbline::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using base::Code;
using base::make_error;
using boost::system::error_code;
using tcp = asio::ip::tcp;

base::Error refusal(std::string word, std::string message) {
  return make_error(Code::kLimit, std::move(message), std::move(word));
}

/// What all connections share. One thread runs it all.
struct Shared {
  Handler handler;
  ServerOptions options;
  /// Whoever answers may be the last to hold a connection, on a thread of its own.
  std::atomic<std::size_t> connections{0};
  bool stopping = false;
};

/// One connection: read a request, have it answered, write the reply, again.
template <class Stream>
class Connection : public std::enable_shared_from_this<Connection<Stream>> {
 public:
  template <class... Arguments>
  Connection(Shared& shared, Arguments&&... arguments)
      : shared_(shared), stream_(std::forward<Arguments>(arguments)...) {
    ++shared_.connections;
  }
  ~Connection() { --shared_.connections; }

  void start() {
    if constexpr (std::is_same_v<Stream, beast::tcp_stream>) {
      read();
    } else {
      lowest().expires_after(std::chrono::seconds(shared_.options.read_seconds));
      stream_.async_handshake(asio::ssl::stream_base::server, [self = this->shared_from_this()](error_code code) {
        if (!code) self->read();
      });
    }
  }

 private:
  beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }

  void read() {
    if (shared_.stopping) return close();
    parser_.emplace();
    parser_->header_limit(shared_.options.header_bytes);
    parser_->body_limit(shared_.options.body_bytes);
    lowest().expires_after(std::chrono::seconds(shared_.options.read_seconds));
    wire::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](error_code code, std::size_t) { self->got(code); });
  }

  void got(error_code code) {
    if (code == wire::error::body_limit || code == wire::error::header_limit || code == wire::error::buffer_overflow)
      return refuse("too_large", fmt::format("a body has at most {} bytes, a header {}", shared_.options.body_bytes,
                                             shared_.options.header_bytes));
    if (code == beast::error::timeout || code == asio::error::operation_aborted) return close();
    if (code && code.category() == wire::make_error_code(wire::error::bad_version).category() &&
        code != wire::error::end_of_stream && code != wire::error::partial_message)
      return refuse("bad_request", "this is not HTTP/1.1: " + code.message());
    if (code) return close();
    // Whoever answers bounds the wait for it (a decision its deadline), and not the time to read.
    lowest().expires_never();
    auto& message = parser_->get();
    ApiRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.authorization = std::string(message[wire::field::authorization]);
    request.host = std::string(message[wire::field::host]);
    request.origin = std::string(message[wire::field::origin]);
    request.if_none_match = std::string(message[wire::field::if_none_match]);
    request.content_type = std::string(message[wire::field::content_type]);
    request.body = std::move(message.body());
    keep_alive_ = message.keep_alive();
    head_ = message.method() == wire::verb::head;
    parser_.reset();
    shared_.handler(request, [self = this->shared_from_this()](ApiReply reply) {
      asio::post(self->stream_.get_executor(),
                 [self, reply = std::move(reply)]() mutable { self->write(std::move(reply)); });
    });
  }

  void refuse(const char* word, std::string message) {
    keep_alive_ = false;
    head_ = false;
    write(error_reply(refusal(word, std::move(message))));
  }

  void write(ApiReply reply) {
    if (reply.in_time && !reply.in_time())
      reply = error_reply(refusal("late", "the answer came after its deadline and is void"));
    keep_alive_ = keep_alive_ && !shared_.stopping;
    response_.emplace();
    response_->result(static_cast<unsigned>(reply.status));
    response_->version(11);
    response_->keep_alive(keep_alive_);
    for (const auto& [name, value] : shared_.options.headers) response_->set(name, value);
    response_->set(wire::field::content_type, reply.type);
    response_->set("X-Content-Type-Options", "nosniff");
    response_->set(wire::field::cache_control, "no-store");
    if (reply.status == 503) response_->set(wire::field::retry_after, "1");
    if (reply.status == 401) response_->set(wire::field::www_authenticate, "Bearer");
    for (const auto& [name, value] : reply.headers) response_->set(name, value);
    response_->body() = std::move(reply.body);
    response_->prepare_payload();
    if (head_) response_->body().clear();  // its length stays in the header
    lowest().expires_after(std::chrono::seconds(shared_.options.write_seconds));
    wire::async_write(stream_, *response_, [self = this->shared_from_this()](error_code code, std::size_t) {
      if (code || !self->keep_alive_) return self->close();
      self->read();
    });
  }

  void close() {
    error_code ignored;
    lowest().socket().shutdown(tcp::socket::shutdown_both, ignored);
    lowest().close();
  }

  Shared& shared_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::optional<wire::request_parser<wire::string_body>> parser_;
  std::optional<wire::response<wire::string_body>> response_;
  bool keep_alive_ = true;
  bool head_ = false;
};

using PlainConnection = Connection<beast::tcp_stream>;
using SecureConnection = Connection<beast::ssl_stream<beast::tcp_stream>>;

}  // namespace

struct Server::State {
  State(Handler handler, ServerOptions options) : shared{std::move(handler), std::move(options)} {}
  // Connections die with the context, and use these two until then.
  Shared shared;
  std::optional<asio::ssl::context> tls;
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer pause{context};
  asio::signal_set signals{context, SIGINT, SIGTERM};
  asio::steady_timer beat{context};
  asio::signal_set hangups{context};
  std::thread drainer;

  void accept() {
    acceptor.async_accept([this](error_code code, tcp::socket socket) {
      if (!acceptor.is_open()) return;
      if (code) {
        // Out of descriptors: those that close make room.
        pause.expires_after(std::chrono::milliseconds(20));
        pause.async_wait([this](error_code) { accept(); });
        return;
      }
      if (shared.connections < shared.options.connections) {
        error_code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        if (tls) {
          std::make_shared<SecureConnection>(shared, std::move(socket), *tls)->start();
        } else {
          std::make_shared<PlainConnection>(shared, std::move(socket))->start();
        }
      }
      accept();
    });
  }

  void keep_house() {
    beat.expires_after(std::chrono::seconds(1));
    beat.async_wait([this](error_code code) {
      if (code) return;
      shared.options.housekeeping(false);
      keep_house();
    });
  }

  void wait_for_hangup() {
    hangups.async_wait([this](error_code code, int) {
      if (code) return;
      shared.options.housekeeping(true);
      wait_for_hangup();
    });
  }

  void wait_for_signal(const std::function<void()>& on_signal) {
    signals.async_wait([this, on_signal](error_code code, int) {
      if (code) return;
      if (drainer.joinable()) _exit(128 + SIGTERM);  // the second one: the log needs no farewell
      drainer = std::thread(on_signal);
      wait_for_signal(on_signal);
    });
  }
};

void raise_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() = default;

base::Result<std::unique_ptr<Server>> Server::listen(const std::string& address, Handler handler, const TlsFiles& tls,
                                                     ServerOptions options) {
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon == std::string::npos ? 0 : colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  error_code code;
  const auto ip = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, code);
  const std::string port = colon == std::string::npos ? std::string() : address.substr(colon + 1);
  const bool number = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
  if (code || !number || std::stoul(port) > 65535)
    return make_error(Code::kParse, fmt::format("'{}' is not ADDRESS:PORT", address), "listen",
                      "For example 127.0.0.1:8077 or [::1]:8077");
  auto state = std::make_unique<State>(std::move(handler), std::move(options));
  if (!tls.certificate.empty() || !tls.key.empty()) {
    state->tls.emplace(asio::ssl::context::tls_server);
    state->tls->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, code);
    state->tls->use_certificate_chain_file(tls.certificate, code);
    if (code) return make_error(Code::kParse, fmt::format("holds no certificate: {}", code.message()), tls.certificate);
    state->tls->use_private_key_file(tls.key, asio::ssl::context::pem, code);
    if (code)
      return make_error(Code::kParse, fmt::format("holds no key to the certificate: {}", code.message()), tls.key);
  }
  const tcp::endpoint endpoint(ip, static_cast<std::uint16_t>(std::stoul(port)));
  state->acceptor.open(endpoint.protocol(), code);
  if (!code) state->acceptor.set_option(tcp::acceptor::reuse_address(true), code);
  if (!code) state->acceptor.bind(endpoint, code);
  if (!code) state->acceptor.listen(4096, code);
  if (code)
    return make_error(Code::kIo, fmt::format("cannot be bound: {}", code.message()), address,
                      "Name another one with --listen");
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

std::string Server::address() const {
  const auto endpoint = state_->acceptor.local_endpoint();
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                    : fmt::format("{}:{}", host, endpoint.port());
}

bool Server::loopback() const { return state_->acceptor.local_endpoint().address().is_loopback(); }

void Server::run(std::function<void()> on_signal) {
  state_->accept();
  state_->wait_for_signal(on_signal);
  if (state_->shared.options.housekeeping) {
    error_code ignored;
    state_->hangups.add(SIGHUP, ignored);
    state_->keep_house();
    state_->wait_for_hangup();
  }
  state_->context.run();
  if (state_->drainer.joinable()) state_->drainer.join();
}

void Server::stop() {
  asio::post(state_->context, [this] {
    state_->shared.stopping = true;
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->signals.cancel(ignored);
    // Replies on their way have a moment; idle connections do not hold the program up.
    state_->pause.expires_after(std::chrono::milliseconds(500));
    state_->pause.async_wait([this](error_code) { state_->context.stop(); });
  });
}

}  // namespace plumbline::http
