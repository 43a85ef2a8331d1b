#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "plumbline/predict/http_predictor.hpp"
#include "tests/support/testing.hpp"

namespace plumbline::predict {
namespace {

using base::Code;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

MatrixF random_rows(std::ptrdiff_t n, std::ptrdiff_t d) {
  base::Rng rng(3);
  MatrixF rows(n, d);
  for (std::ptrdiff_t i = 0; i < rows.size(); ++i) rows.data()[i] = static_cast<float>(rng.uniform());
  return rows;
}

data::ModelSection section(std::int64_t classes, std::vector<std::int64_t> shape) {
  data::ModelSection model;
  model.name = "m";
  model.output = "scores";
  model.classes = classes;
  model.input_shape = std::move(shape);
  return model;
}

/// A connection, plain or through TLS.
class Line {
 public:
  Line(int fd, SSL* tls) : fd_(fd), tls_(tls) {}
  ssize_t receive(char* to, std::size_t size) {
    return tls_ != nullptr ? SSL_read(tls_, to, static_cast<int>(size)) : ::recv(fd_, to, size, 0);
  }
  /// False once the other side has gone.
  bool send(const std::string& text) {
    if (tls_ != nullptr) return SSL_write(tls_, text.data(), static_cast<int>(text.size())) > 0;
    return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  /// The body of a request; empty where none came.
  std::string request() {
    std::string text;
    std::size_t end = std::string::npos;
    std::size_t need = 0;
    std::string buffer(65536, '\0');
    while (end == std::string::npos || text.size() < end + 4 + need) {
      const ssize_t got = receive(buffer.data(), buffer.size());
      if (got <= 0) return {};
      text.append(buffer, 0, static_cast<std::size_t>(got));
      if (end == std::string::npos && (end = text.find("\r\n\r\n")) != std::string::npos)
        need = std::stoul(text.substr(text.find("Content-Length: ") + 16));
    }
    return text.substr(end + 4);
  }

 private:
  int fd_;
  SSL* tls_;
};

/// Serves each connection on loopback, one after another, until it is destroyed.
class Server {
 public:
  using Serve = std::function<void(Line&)>;
  explicit Server(Serve serve, std::shared_ptr<SSL_CTX> tls = {}) : serve_(std::move(serve)), tls_(std::move(tls)) {
    std::signal(SIGPIPE, SIG_IGN);  // TLS writes to whoever has gone
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Server() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string address(const std::string& host = "127.0.0.1") const {
    return (tls_ ? "https://" : "http://") + host + ":" + std::to_string(port_) + "/predict";
  }
  int connections() const { return connections_; }

 private:
  void run() {
    for (;;) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      ++connections_;
      if (tls_) {
        const std::unique_ptr<SSL, decltype(&SSL_free)> session(SSL_new(tls_.get()), SSL_free);
        SSL_set_fd(session.get(), fd);
        Line line(fd, session.get());
        if (SSL_accept(session.get()) == 1) serve_(line);
        SSL_shutdown(session.get());
      } else {
        Line line(fd, nullptr);
        serve_(line);
      }
      ::close(fd);
    }
  }

  Serve serve_;
  std::shared_ptr<SSL_CTX> tls_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::thread thread_;
};

/// Reads a request, sends `answer`.
Server::Serve always(const std::string& answer) {
  return [answer](Line& line) {
    line.request();
    line.send(answer);
  };
}

/// Reads a request, then says nothing until the other side goes.
void keep_silent(Line& line) {
  line.request();
  char byte = 0;
  line.receive(&byte, 1);
}

std::string reply(const std::string& body, const std::string& status = "200 OK", const std::string& more = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// What one row asked of such a server ends in.
base::Error http_error(const Server::Serve& serve, HttpOptions options = {}) {
  Server server(serve);
  data::ModelSection model = section(2, {3});
  model.endpoint = server.address();
  auto opened = open_http_predictor(model, options);
  if (!opened.ok()) return opened.error();
  decision::PredictOptions one;
  one.batch = 1;
  const auto got = (*opened)->predict(random_rows(1, 3), one);
  EXPECT_FALSE(got.ok());
  EXPECT_EQ(server.connections(), 1) << "nothing is asked twice";
  return got.ok() ? base::make_error(Code::kInternal, "no error") : got.error();
}
base::Error http_error(const std::string& answer, HttpOptions options = {}) {
  return http_error(always(answer), options);
}

TEST(Http, AsksBatchByBatchAndReadsEveryNumber) {
  std::vector<std::size_t> sizes;
  Server server([&](Line& line) {
    const auto json = nlohmann::json::parse(line.request());
    auto outputs = nlohmann::json::array();
    for (const auto& row : json["inputs"]) outputs.push_back({row[0].get<float>() * 2.0, row[2].get<float>() - 1e-12});
    sizes.push_back(outputs.size());
    line.send(reply(nlohmann::json{{"outputs", outputs}}.dump()));
  });
  data::ModelSection model = section(2, {3});
  model.endpoint = server.address();
  model.version = "2024-05";
  auto opened = open_http_predictor(model);
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  EXPECT_EQ(server.connections(), 0);
  const auto& info = (*opened)->info();
  EXPECT_EQ(info.kind, "http");
  EXPECT_EQ(info.input_size, 3);
  EXPECT_TRUE(info.deterministic);
  const MatrixF rows = random_rows(5, 3);
  decision::PredictOptions options;
  options.batch = 2;
  const auto got = (*opened)->predict(rows, options);
  ASSERT_TRUE(got.ok()) << got.error().text();
  EXPECT_THAT(sizes, ::testing::ElementsAre(2, 2, 2));
  for (std::ptrdiff_t i = 0; i < 5; ++i) {
    EXPECT_EQ(got->outputs(i, 0), rows(i, 0) * 2.0);
    EXPECT_EQ(got->outputs(i, 1), rows(i, 2) - 1e-12);
  }
  // Another declared version is another model.
  model.version = "2024-06";
  EXPECT_NE((*open_http_predictor(model))->info().hash, info.hash);
  EXPECT_EQ((*opened)->predict64(rows.cast<double>()).error().code, Code::kUnsupported);
}

TEST(Http, WrongAnswersAreNamed) {
  EXPECT_THAT(http_error(reply("{\"outputs\": [[1, 2, 3]]}")).text(),
              HasSubstr("row 0 of the answer has more than 2 numbers"));
  EXPECT_THAT(http_error(reply("{\"outputs\": [[1, 2], [1, 2]]}")).text(),
              HasSubstr("the answer has more than 1 rows"));
  EXPECT_THAT(http_error(reply("{\"outputs\": [[1, NaN]]}")).text(), HasSubstr("not JSON"));
  EXPECT_THAT(http_error(reply("{\"outputs\": [[1, 1e999]]}")).text(), HasSubstr("not JSON"));
  EXPECT_THAT(http_error(reply("{\"outputs\": [[1, null]]}")).text(), HasSubstr("row 0 has a null in column 1"));
  EXPECT_THAT(http_error(reply("{\"result\": 1}")).text(), HasSubstr("no list \"outputs\""));
  EXPECT_THAT(http_error(reply("model not loaded", "503 Service Unavailable")).text(),
              HasSubstr("status 503 instead of 200: 'model not loaded'"));
  EXPECT_THAT(http_error(reply("", "302 Found", "Location: http://127.0.0.1:1/\r\n")).text(),
              HasSubstr("Redirects are not followed"));
  EXPECT_EQ(http_error("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"outp").code, Code::kIo);
  HttpOptions small;
  small.answer_bytes = 10;
  EXPECT_EQ(http_error(reply("{\"outputs\": [[1, 2]]}"), small).code, Code::kLimit);
}

TEST(Http, SilenceAndRefusalEndInTime) {
  HttpOptions brief;
  brief.request_timeout = std::chrono::milliseconds(150);
  const base::Error silent = http_error(keep_silent, brief);
  EXPECT_EQ(silent.code, Code::kLimit);
  EXPECT_THAT(silent.text(), HasSubstr("no answer within 150 ms"));
  std::string closed;
  {
    Server server(always(reply("{}")));
    closed = server.address();
  }
  data::ModelSection model = section(2, {3});
  model.endpoint = closed;
  const auto refused = (*open_http_predictor(model))->predict(random_rows(1, 3), {});
  EXPECT_EQ(refused.error().code, Code::kIo);
  EXPECT_THAT(refused.error().text(), HasSubstr("while connecting"));
  // A server that speaks plain HTTP is no secure endpoint.
  Server plain(always(reply("{}")));
  model.endpoint = "https" + plain.address().substr(4);
  HttpOptions short_options;
  short_options.connect_timeout = std::chrono::milliseconds(1000);
  const auto insecure = (*open_http_predictor(model, short_options))->predict(random_rows(1, 3), {});
  ASSERT_FALSE(insecure.ok());
}

TEST(Http, AddressesAndDeclarationsAreChecked) {
  data::ModelSection model = section(2, {3});
  for (const char* bad :
       {"ftp://host/", "http://", "http://host:port/", "host:80", "http://me@host/", "http://ho st/"}) {
    model.endpoint = bad;
    EXPECT_THAT(open_http_predictor(model).error().text(), HasSubstr("expected http(s)://")) << bad;
  }
  for (const char* good : {"http://host", "https://[::1]:8443/a?b=c", "http://host:80?x"}) {
    model.endpoint = good;
    EXPECT_TRUE(open_http_predictor(model).ok()) << good;
  }
  model.features = "hidden";
  EXPECT_EQ(open_http_predictor(model).error().code, Code::kUnsupported);
  model.features = "pca:4";
  EXPECT_TRUE(open_http_predictor(model).ok());
  model.classes = 0;
  EXPECT_THAT(open_http_predictor(model).error().text(), HasSubstr("needs `classes`"));
  model.classes = 2;
  model.output = "guesses";
  EXPECT_THAT(open_http_predictor(model).error().text(), HasSubstr("output is 'guesses'"));
}

// A server that means ill, or is broken ------------------------------------------------------------------------------

TEST(HostileServer, EndlessAnswersAreCutOff) {
  // Each of them sends for as long as somebody listens.
  const auto forever = [](const std::string& head, const std::string& part) {
    return [=](Line& line) {
      line.request();
      if (!line.send(head)) return;
      while (line.send(part)) {
      }
    };
  };
  const std::string numbers(1000, '1');
  EXPECT_EQ(
      http_error(forever("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "3e8\r\n" + numbers + "\r\n")).code,
      Code::kLimit);
  EXPECT_EQ(http_error(forever("HTTP/1.1 200 OK\r\n\r\n", numbers)).code, Code::kLimit);  // until the end of the line
  EXPECT_EQ(http_error(forever("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", numbers)).code, Code::kLimit);
  EXPECT_EQ(http_error(forever("HTTP/1.1 200 OK\r\n", "X-More: " + numbers + "\r\n")).code, Code::kIo);
  EXPECT_EQ(http_error(forever("HTTP/1.1 200 OK\r\nX-More: ", numbers)).code, Code::kIo);
  EXPECT_EQ(http_error(forever("", "HTTP/1.1 100 Continue\r\n\r\n")).code, Code::kIo);
}

TEST(HostileServer, SlowAnswersEndInTime) {
  HttpOptions brief;
  brief.request_timeout = milliseconds(300);
  const auto drip = [](Line& line) {
    line.request();
    while (line.send(" ")) std::this_thread::sleep_for(milliseconds(20));
  };
  const auto start = std::chrono::steady_clock::now();
  const base::Error slow = http_error(drip, brief);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(slow.code, Code::kLimit) << slow.text();
  const base::Error body = http_error(
      [](Line& line) {
        line.request();
        line.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        while (line.send(" ")) std::this_thread::sleep_for(milliseconds(20));
      },
      brief);
  EXPECT_THAT(body.text(), HasSubstr("no answer within 300 ms"));
}

TEST(HostileServer, LengthsThatDoNotFit) {
  const std::string good = "{\"outputs\": [[1, 2]]}";
  const auto with = [&](const std::string& header) {
    return http_error("HTTP/1.1 200 OK\r\n" + header + "\r\n\r\n" + good);
  };
  EXPECT_THAT(with("Content-Length: 1000").text(), HasSubstr("the connection ended"));
  EXPECT_EQ(with("Content-Length: 10").code, Code::kParse);  // cut by its own header: not JSON
  EXPECT_EQ(with("Content-Length: 0").code, Code::kParse);
  for (const char* bad :
       {"Content-Length: -1", "Content-Length: many", "Content-Length: 99999999999999999999999",
        "Content-Length: 21\r\nContent-Length: 5", "Content-Length: 21\r\nTransfer-Encoding: chunked"}) {
    EXPECT_EQ(with(bad).code, Code::kIo) << bad;
  }
  EXPECT_EQ(http_error("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + good).code, Code::kIo);
  EXPECT_EQ(http_error("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + good).code, Code::kIo);
}

TEST(HostileServer, WhatIsNoAnswer) {
  for (const char* bad :
       {"", "\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 99999 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBro ken\r\n\r\n", "{\"outputs\": [[1, 2]]}"}) {
    EXPECT_EQ(http_error(bad).code, Code::kIo) << bad;
  }
  EXPECT_EQ(http_error(std::string("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\0\xff\0", 42)).code, Code::kParse);
  EXPECT_EQ(http_error([](Line&) {}).code, Code::kIo);  // gone before the request
  // No redirect is followed, whatever its number and wherever it leads.
  Server elsewhere(always(reply("{\"outputs\": [[1, 2]]}")));
  for (const char* status :
       {"301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"}) {
    EXPECT_THAT(http_error(reply("", status, "Location: " + elsewhere.address() + "\r\n")).text(),
                HasSubstr("Redirects are not followed"));
  }
  EXPECT_EQ(elsewhere.connections(), 0);
  EXPECT_EQ(http_error(reply("", "204 No Content")).code, Code::kIo);
  EXPECT_EQ(http_error(reply("who are you?", "401 Unauthorized", "WWW-Authenticate: Basic\r\n")).code, Code::kIo);
  // Control characters of a refusal do not reach the terminal.
  EXPECT_EQ(http_error(reply("\x1b[31mred\x07", "500 Oops")).text().find('\x1b'), std::string::npos);
}

TEST(HttpAnswer, HoldsExactlyTheNumbersAskedFor) {
  const auto error = [](const std::string& text, std::ptrdiff_t rows = 2, std::ptrdiff_t outputs = 2) {
    const auto got = parse_http_answer(text, rows, outputs);
    EXPECT_FALSE(got.ok()) << text;
    return got.ok() ? base::make_error(Code::kInternal, "no error") : got.error();
  };
  MatrixD want(2, 2);
  want << 1, -2.5, 18446744073709551615.0, 1e-300;
  const auto got = parse_http_answer(
      R"({"model": {"outputs": [7], "x": [[], {}]}, "outputs": [[1, -2.5], [18446744073709551615, 1e-300]], "t": null})",
      2, 2);
  ASSERT_TRUE(got.ok()) << got.error().text();
  EXPECT_EQ(*got, want);
  EXPECT_EQ(parse_http_answer(R"({"outputs": []})", 0, 3)->rows(), 0);
  EXPECT_THAT(error(R"([[1, 2], [3, 4]])").text(), HasSubstr("no object"));
  EXPECT_THAT(error("3").text(), HasSubstr("no object"));
  EXPECT_THAT(error(R"({"outputs": 3})").text(), HasSubstr("\"outputs\" is no list"));
  EXPECT_THAT(error(R"({"outputs": {"0": [1, 2]}})").text(), HasSubstr("\"outputs\" is no list"));
  EXPECT_THAT(error(R"({"outputs": [1, 2]})").text(), HasSubstr("row 0 of the answer is a number, expected a list"));
  EXPECT_THAT(error(R"({"outputs": [[1, 2], {"a": 1}]})").text(), HasSubstr("row 1 of the answer is a object"));
  EXPECT_THAT(error(R"({"outputs": [[1, "2"], [3, 4]]})").text(), HasSubstr("row 0 has a string in column 1"));
  EXPECT_THAT(error(R"({"outputs": [[1, [2]], [3, 4]]})").text(), HasSubstr("row 0 has a array in column 1"));
  EXPECT_THAT(error(R"({"outputs": [[1, true], [3, 4]]})").text(), HasSubstr("row 0 has a boolean in column 1"));
  EXPECT_THAT(error(R"({"outputs": [[1, 2], [3]]})").text(),
              HasSubstr("row 1 of the answer has 1 numbers, expected 2"));
  EXPECT_THAT(error(R"({"outputs": [[1, 2], [3, 4], []]})").text(), HasSubstr("more than 2 rows"));
  EXPECT_THAT(error(R"({"outputs": [[1, 2]]})").text(), HasSubstr("1 rows, expected 2"));
  EXPECT_THAT(error(R"({"outputs": [[1, 2], [3, 4]], "outputs": []})").text(), HasSubstr("twice"));
  EXPECT_THAT(error(R"({"outputs": [[1, 2], [3, 4]]} x)").text(), HasSubstr("not JSON"));
  EXPECT_THAT(error(R"({"outputs": [[1, 2], [3, 4]])").text(), HasSubstr("not JSON"));
  EXPECT_THAT(error("{\"a\": " + std::string(100000, '[')).text(), HasSubstr("nested deeper than 64"));
  for (const char* number : {"NaN", "-Infinity", "1e999", "0x10", "01", "1.", "+1"})
    EXPECT_EQ(error(std::string("{\"outputs\": [[") + number + ", 2], [3, 4]]}").code, Code::kParse) << number;
  EXPECT_EQ(error("{}", -1).code, Code::kValue);
  EXPECT_EQ(error("{}", 1, 0).code, Code::kValue);
}

// TLS -----------------------------------------------------------------------------------------------------------------

/// A certificate that signs itself, made here, with its key, as a server and as the PEM file of a manifest.
struct Certificate {
  std::shared_ptr<SSL_CTX> server;
  std::string pem;
};

Certificate make_certificate(const std::string& names) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> x509(X509_new(), X509_free);
  X509* const c = x509.get();
  X509_set_version(c, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(c), 7);
  X509_gmtime_adj(X509_getm_notBefore(c), -3600);
  X509_gmtime_adj(X509_getm_notAfter(c), 3600);
  X509_set_pubkey(c, key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("plumbline test"), -1, -1, 0);
  X509_set_issuer_name(c, X509_get_subject_name(c));
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, c, c, nullptr, nullptr, 0);
  for (const auto& [kind, value] :
       {std::pair{NID_basic_constraints, std::string("critical,CA:TRUE")}, std::pair{NID_subject_alt_name, names}}) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    EXPECT_NE(extension, nullptr) << value;
    X509_add_ext(c, extension, -1);
    X509_EXTENSION_free(extension);
  }
  EXPECT_GT(X509_sign(c, key.get(), EVP_sha256()), 0);
  Certificate made;
  made.server.reset(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  EXPECT_EQ(SSL_CTX_use_certificate(made.server.get(), c), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(made.server.get(), key.get()), 1);
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(out.get(), c);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  made.pem.assign(text, static_cast<std::size_t>(size));
  return made;
}

class Tls : public ::testing::Test {
 protected:
  base::Result<decision::Prediction> ask(const std::string& address, const std::string& pem) {
    data::ModelSection model = section(2, {3});
    model.endpoint = address;
    if (!pem.empty()) {
      testing::write_file(folder_.file("ca.pem"), pem);
      model.ca_file = data::Location{"ca.pem", folder_.file("ca.pem")};
    }
    auto opened = open_http_predictor(model);
    if (!opened.ok()) return opened.error();
    decision::PredictOptions one;
    one.batch = 1;
    return (*opened)->predict(random_rows(2, 3), one);
  }

  testing::TempFolder folder_;
};

TEST_F(Tls, ACertificateNamedInTheManifestIsTrusted) {
  const Certificate mine = make_certificate("DNS:localhost, IP:127.0.0.1");
  Server server(always(reply("{\"outputs\": [[0.25, 2]]}")), mine.server);
  for (const char* host : {"127.0.0.1", "localhost"}) {
    const auto got = ask(server.address(host), mine.pem);
    ASSERT_TRUE(got.ok()) << host << ": " << got.error().text();
    EXPECT_EQ(got->outputs(1, 0), 0.25);
  }
  EXPECT_EQ(server.connections(), 4);
}

TEST_F(Tls, EveryOtherCertificateIsRefusedBeforeAnyRowIsSent) {
  std::atomic<int> asked = 0;
  const auto count = [&](Line& line) {
    asked += line.request().empty() ? 0 : 1;
    line.send(reply("{\"outputs\": [[0.25, 2]]}"));
  };
  const Certificate mine = make_certificate("DNS:localhost, IP:127.0.0.1");
  const Certificate other = make_certificate("DNS:localhost, IP:127.0.0.1");
  const Certificate elsewhere = make_certificate("DNS:example.org, IP:192.0.2.1");
  const auto refusal = [&](const Certificate& server_side, const std::string& host, const std::string& pem) {
    Server server(count, server_side.server);
    const auto got = ask(server.address(host), pem);
    EXPECT_FALSE(got.ok());
    EXPECT_EQ(got.ok() ? Code::kInternal : got.error().code, Code::kIo);
    return got.ok() ? std::string() : got.error().text();
  };
  EXPECT_THAT(refusal(mine, "localhost", ""), HasSubstr("certificate is refused: self-signed certificate"));
  EXPECT_THAT(refusal(mine, "localhost", other.pem), HasSubstr("certificate is refused"));
  EXPECT_THAT(refusal(elsewhere, "localhost", elsewhere.pem), HasSubstr("certificate is refused: hostname mismatch"));
  EXPECT_THAT(refusal(elsewhere, "127.0.0.1", elsewhere.pem), HasSubstr("certificate is refused: IP address mismatch"));
  EXPECT_EQ(asked, 0);
}

TEST_F(Tls, OldProtocolsAndBadFilesAreRefused) {
  const Certificate mine = make_certificate("IP:127.0.0.1");
  SSL_CTX_set_max_proto_version(mine.server.get(), TLS1_1_VERSION);
  SSL_CTX_set_min_proto_version(mine.server.get(), TLS1_VERSION);
  SSL_CTX_set_security_level(mine.server.get(), 0);
  Server old(always(reply("{\"outputs\": [[0.25, 2]]}")), mine.server);
  const auto got = ask(old.address(), mine.pem);
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(got.error().text(), HasSubstr("agreeing on a secure connection"));
  const auto no_certificate = ask(old.address(), "hello");
  ASSERT_FALSE(no_certificate.ok());
  EXPECT_EQ(no_certificate.error().code, Code::kParse);
  EXPECT_THAT(no_certificate.error().text(), HasSubstr("ca.pem"));
}

}  // namespace
}  // namespace plumbline::predict
