// A bare Beast server on loopback that gives the same bytes to whatever it is sent: the floor below which no service on
// this machine and this library can be.
//   runtime_echo_bench PORT [BYTES OF THE REPLY]
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const std::string& reply) : stream_(std::move(socket)), reply_(reply) {}
  void read() {
    parser_.emplace();
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](error_code code, std::size_t) {
      if (!code) self->write();
    });
  }

 private:
  void write() {
    response_ = {};
    response_.result(http::status::ok);
    response_.version(11);
    response_.keep_alive(parser_->get().keep_alive());
    response_.set(http::field::content_type, "application/json");
    response_.body() = reply_;
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](error_code code, std::size_t) {
      if (!code) self->read();
    });
  }

  beast::tcp_stream stream_;
  const std::string& reply_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

void accept(tcp::acceptor& acceptor, const std::string& reply) {
  acceptor.async_accept([&](error_code code, tcp::socket socket) {
    if (!code) {
      socket.set_option(tcp::no_delay(true), code);
      std::make_shared<Connection>(std::move(socket), reply)->read();
    }
    accept(acceptor, reply);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print("runtime_echo_bench PORT [BYTES]\n");
    return 2;
  }
  const std::string reply(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 900, 'x');
  asio::io_context context(1);
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(std::atoi(argv[1]))});
  accept(acceptor, reply);
  context.run();
  return 0;
}
