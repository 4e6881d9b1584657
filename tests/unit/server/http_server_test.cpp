#include "server/http_server.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <stdexcept>
#include <thread>
#include <vector>

#include "client.h"

namespace sessmtp::server {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kGet = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kLargeBody(std::size_t{32} << 20, 'x');  // more than the socket buffers of both sides

Answer example(std::string_view path) {
  if (path == "/metrics") {
    return {.content_type = "text/plain; version=0.0.4", .body = "up 1\n"};
  }
  if (path == "/large") {
    return {.body = kLargeBody};
  }
  if (path == "/broken") {
    throw std::runtime_error("a bug");
  }
  return not_found();
}

std::unique_ptr<HttpServer> serve(const HttpServer::Options& options = {},
                                  const char* address = "127.0.0.1:0") {
  auto server = HttpServer::start(**parse_bind_address(address), &example, options);
  EXPECT_TRUE(server) << (server ? "" : server.error().message);
  return server ? std::move(*server) : nullptr;
}

std::string answer_to(std::string_view request, const HttpServer::Options& options = {}) {
  const auto server = serve(options);
  Client client(server->port());
  EXPECT_TRUE(client.send(request));
  return client.answer();
}

// Asks on new connections until one is answered; a connection that has just been freed may take a moment.
bool is_answered_soon(std::uint16_t port) {
  const auto patience = std::chrono::steady_clock::now() + 10s;
  while (std::chrono::steady_clock::now() < patience) {
    if (Client client(port); client.ask(kGet).starts_with("HTTP/1.1 200 ")) {
      return true;
    }
    std::this_thread::yield();
  }
  return false;
}

TEST(HttpServer, Answers) {
  EXPECT_EQ(answer_to(kGet),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: 5\r\n\r\nup 1\n");
}

TEST(HttpServer, HeadIsTheSameWithoutTheBody) {
  const auto server = serve();
  Client client(server->port());
  ASSERT_TRUE(client.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  EXPECT_EQ(client.rest(),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n"
            "Content-Length: 5\r\n\r\n");
}

TEST(HttpServer, TheQueryIsNotPartOfThePath) {
  EXPECT_THAT(answer_to("GET /metrics?verbose=true HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, RefusesWhatItIsNotFor) {
  EXPECT_THAT(answer_to("GET /other HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(answer_to("GET /metrics/ HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  const std::string not_allowed = answer_to("DELETE /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(not_allowed, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(not_allowed, HasSubstr("\r\nAllow: GET, HEAD\r\n"));
  EXPECT_THAT(answer_to("GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer_to("GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer_to("GET /metrics HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answer_to("GET /" + std::string(100'000, 'x')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answer_to("what?\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(answer_to("\x16\x03\x01\x02"), StartsWith("HTTP/1.1 400 ")) << "TLS";
  EXPECT_THAT(answer_to("GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST(HttpServer, ALargeHeaderWithinTheLimitIsFine) {
  EXPECT_THAT(answer_to("GET /metrics HTTP/1.1\r\nX: " + std::string(8000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, ABodyIsNeverTakenForARequest) {
  const auto server = serve();
  for (const char* header : {"Content-Length: 70", "Transfer-Encoding: chunked"}) {
    Client client(server->port());
    ASSERT_TRUE(client.send("GET /metrics HTTP/1.1\r\n" + std::string(header) + "\r\n\r\n" + kGet + kGet));
    const std::string all = client.rest();
    EXPECT_THAT(all, StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(all, Not(HasSubstr("HTTP/1.1 200 "))) << header;
  }
}

TEST(HttpServer, AFailingHandlerIs500AndNothingElse) {
  const auto server = serve();
  Client client(server->port());
  EXPECT_THAT(client.ask("GET /broken HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(client.ask(kGet), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, KeepsTheConnectionAlsoForPipelinedRequests) {
  const auto server = serve();
  Client client(server->port());
  const std::string three = std::string(kGet) + "GET /other HTTP/1.1\r\n\r\n" + kGet;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client.send(three));
    ASSERT_THAT(client.answer(), EndsWith("up 1\n"));
    ASSERT_THAT(client.answer(), StartsWith("HTTP/1.1 404 "));
    ASSERT_THAT(client.answer(), EndsWith("up 1\n"));
  }
}

TEST(HttpServer, ClosesForHttp10AndOnRequest) {
  const auto server = serve();
  Client old(server->port());
  ASSERT_TRUE(old.send("GET /metrics HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  EXPECT_THAT(old.rest(), EndsWith("up 1\n"));
  Client polite(server->port());
  ASSERT_TRUE(polite.send("GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n"));
  EXPECT_THAT(polite.rest(), EndsWith("up 1\n"));
}

TEST(HttpServer, AClientThatSendsByteByByteIsCutOff) {
  const auto server = serve({.read_timeout = 100ms});
  Client client(server->port());
  int sent = 0;
  while (sent < 1000 && !client.readable_within(10) && client.send(sent == 0 ? "G" : "E")) {
    ++sent;
  }
  EXPECT_LT(sent, 1000) << "each byte bought more time";
  EXPECT_EQ(client.rest(), "");
}

TEST(HttpServer, AnIdleConnectionIsClosed) {
  const auto server = serve({.read_timeout = 100ms});
  Client silent(server->port());
  Client idle(server->port());
  EXPECT_THAT(idle.ask(kGet), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(silent.rest(), "");
  EXPECT_EQ(idle.rest(), "");
}

TEST(HttpServer, AClientThatDoesNotReadIsCutOff) {
  const auto server = serve({.write_timeout = 100ms, .max_connections = 1});
  Client client(server->port());
  ASSERT_TRUE(client.send("GET /large HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(client.readable_within(10'000));
  EXPECT_TRUE(is_answered_soon(server->port())) << "the only connection was never freed";
  EXPECT_LT(client.rest().size(), kLargeBody.size());
}

TEST(HttpServer, ALargeAnswerArrivesWhole) {
  const auto server = serve();
  Client client(server->port());
  EXPECT_EQ(client.ask("GET /large HTTP/1.1\r\n\r\n").size(),
            std::string_view("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                             "Content-Length: 33554432\r\n\r\n")
                    .size() +
                kLargeBody.size());
}

TEST(HttpServer, MoreConnectionsThanAllowedAreClosedAtOnce) {
  const auto server = serve({.max_connections = 2});
  auto first = std::make_unique<Client>(server->port());
  Client second(server->port());
  EXPECT_THAT(first->ask(kGet), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(second.ask(kGet), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(Client(server->port()).rest(), "");
  EXPECT_THAT(second.ask(kGet), StartsWith("HTTP/1.1 200 ")) << "the others go on";
  first.reset();
  EXPECT_TRUE(is_answered_soon(server->port())) << "a closed connection still counts";
}

TEST(HttpServer, AClientThatGoesAwayInTheMiddleCostsNothing) {
  const auto server = serve({.max_connections = 1});
  for (const char* start :
       {"", "GET /met", "GET /large HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"}) {
    EXPECT_TRUE(Client(server->port()).send(start));
    EXPECT_TRUE(is_answered_soon(server->port())) << start;
  }
}

TEST(HttpServer, ListensOnIPv4AndIPv6) {
  const auto server = serve({}, ":0");
  EXPECT_THAT(Client(server->port(), "127.0.0.1").ask(kGet), StartsWith("HTTP/1.1 200 "));
  if (!HttpServer::start({.host = "::1", .port = 0}, &example)) {
    GTEST_SKIP() << "this host has no IPv6";
  }
  EXPECT_THAT(Client(server->port(), "::1").ask(kGet), StartsWith("HTTP/1.1 200 "));
  EXPECT_FALSE(Client(serve({}, "[::1]:0")->port(), "127.0.0.1").connected());
}

TEST(HttpServer, APortInUseIsAnErrorThatNamesIt) {
  const auto server = serve();
  const BindAddress same{.host = "127.0.0.1", .port = server->port()};
  const auto second = HttpServer::start(same, &example);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kIo);
  EXPECT_EQ(second.error().message, "listening on " + to_string(same) + ": Address already in use");
}

TEST(HttpServer, StopsAtOnceWithConnectionsInEveryState) {
  auto server = serve();
  const BindAddress same{.host = "127.0.0.1", .port = server->port()};
  Client silent(server->port());
  Client half(server->port());
  Client idle(server->port());
  Client reading(server->port());
  ASSERT_TRUE(half.send("GET /met"));
  ASSERT_TRUE(reading.send("GET /large HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(reading.readable_within(10'000));
  EXPECT_THAT(idle.ask(kGet), StartsWith("HTTP/1.1 200 "));
  const auto began = std::chrono::steady_clock::now();
  server.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s) << "waited for a time-out";
  EXPECT_EQ(silent.rest() + half.rest() + idle.rest(), "");
  EXPECT_TRUE(HttpServer::start(same, &example)) << "the port is not free again";
}

TEST(HttpServer, AnswersAHundredAtATime) {
  const auto server = serve({.max_connections = 100});
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<Client>(server->port()));
  }
  std::vector<std::string> answers(clients.size());
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    threads.emplace_back([&answers, &clients, i] { answers[i] = clients[i]->ask(kGet); });
  }
  threads.clear();
  EXPECT_THAT(answers, testing::Each(EndsWith("up 1\n")));
}

TEST(HttpServer, ProgramsThatAreStartedInheritNothing) {
  const auto server = serve({}, ":0");
  Client client(server->port());
  ASSERT_THAT(client.ask(kGet), StartsWith("HTTP/1.1 200 "));
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code closed;  // the directory's own
    const std::string what = std::filesystem::read_symlink(entry, closed);
    if (what.starts_with("socket:") || what.starts_with("anon_inode:")) {
      const int descriptor = std::stoi(entry.path().filename());
      EXPECT_TRUE(descriptor <= 2 || (::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0) << what;
    }
  }
}

}  // namespace
}  // namespace sessmtp::server
