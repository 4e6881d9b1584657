// What a transport makes of good servers, bad ones and broken lines.

#include <barrier>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <thread>
#include <vector>

#include "kube/api_error.h"
#include "kube/line_splitter.h"
#include "transport_fixture.h"

namespace sessmtp::kube::testing {
namespace {

using enum TransportFailure;

// --- plain calls

TEST_P(TransportContract, RequestArrivesAsWritten) {
  std::promise<ReceivedRequest> seen;
  FaultyServer server(https(), [&](Connection& connection) {
    if (auto request = connection.read_request()) {
      connection.answer(201, request->body);
      seen.set_value(*request);
    }
  });
  const std::string body = R"({"kind":"Secret","data":{"a":"\u00e4"}})" + std::string(300'000, 'x');
  ClusterConfig config = config_for(server);
  config.server += "/k8s/clusters/c-1";
  expect_answer(make(config)->send(patch(body), kPatience, {}), 201, body);
  const ReceivedRequest request = seen.get_future().get();
  EXPECT_EQ(request.method, "PATCH");
  EXPECT_EQ(request.target,
            "/k8s/clusters/c-1/api/v1/namespaces/a/secrets/b?fieldManager=ses-smtp&force=true");
  EXPECT_EQ(request.headers.at("content-type"), "application/apply-patch+yaml");
  EXPECT_EQ(request.headers.at("authorization"), "Bearer abc");
  EXPECT_EQ(request.headers.at("host"), "127.0.0.1:" + std::to_string(server.port()));
}

TEST_P(TransportContract, EncodedTargetIsLeftAlone) {
  std::promise<std::string> seen;
  FaultyServer server(https(), [&](Connection& connection) {
    if (auto request = connection.read_request()) {
      connection.answer(200, "");
      seen.set_value(request->target);
    }
  });
  const std::string target =
      "/api/v1/secrets?fieldSelector=type%21%3Dhelm.sh%2Frelease.v1&limit=500&continue=a%2Bb%3D%3D";
  Request request;
  request.target = target;
  expect_answer(connect(server)->send(request, kPatience, {}), 200, "");
  EXPECT_EQ(seen.get_future().get(), target);
}

TEST_P(TransportContract, HeadersOfOneNameArriveOneByOne) {
  std::promise<std::string> seen;
  FaultyServer server(https(), [&](Connection& connection) {
    if (auto request = connection.read_request()) {
      connection.answer(200, "");
      seen.set_value(request->headers["impersonate-group"]);
    }
  });
  Request request;
  request.headers = {{"Impersonate-Group", "a, b"}, {"Impersonate-Group", "c"}, {"Impersonate-Group", "d"}};
  expect_answer(connect(server)->send(request, kPatience, {}), 200, "");
  EXPECT_EQ(seen.get_future().get(), "a, b\nc\nd");
}

TEST_P(TransportContract, HeaderThatWouldSmuggleAnotherIsNotSent) {
  FaultyServer server(https(), [](Connection& connection) {
    while (connection.read_request()) {
      connection.answer(200, "");
    }
  });
  const auto transport = connect(server);
  for (const Headers& headers :
       {Headers{{"X", "a\r\nImpersonate-User: root"}}, Headers{{"X", "a\nb"}}, Headers{{"X\r\nY", "a"}}}) {
    Request request;
    request.headers = headers;
    expect_failure(transport->send(request, kPatience, {}), kNoCredentials, "control characters");
  }
  EXPECT_EQ(server.connections(), 0);
}

TEST_P(TransportContract, ConnectionsAreReused) {
  FaultyServer server(https(), [](Connection& connection) {
    while (connection.read_request()) {
      connection.answer(200, "again");
    }
  });
  const auto transport = connect(server);
  for (int i = 0; i < 50; ++i) {
    expect_answer(transport->send({}, kPatience, {}), 200, "again");
  }
  EXPECT_LT(server.connections(), 10);  // not 1: an answer may be complete before its connection is idle
}

TEST_P(TransportContract, RedirectIsAnAnswerAndNothingIsSentElsewhere) {
  FaultyServer other(https(), [](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.answer(200, "followed");
  });
  FaultyServer server(https(), [&](Connection& connection) {
    while (auto request = connection.read_request()) {
      connection.answer(std::stoi(request->headers["x-status"]), "moved",
                        "Location: " + other.url() + "/\r\n");
    }
  });
  const auto transport = connect(server);
  for (const char* method : {"GET", "PATCH", "POST"}) {
    for (const int status : {301, 302, 303, 307, 308}) {
      Request request = patch("{}");
      request.method = method;
      request.headers.emplace_back("X-Status", std::to_string(status));
      expect_answer(transport->send(request, kPatience, {}), status, "moved");
      expect_answer(transport->stream(request, kPatience, {}, [](std::string_view) {}), status, "moved");
    }
  }
  EXPECT_EQ(other.connections(), 0);
}

TEST_P(TransportContract, RetryAfterIsRead) {
  FaultyServer server(https(), [](Connection& connection) {
    while (auto request = connection.read_request()) {
      connection.answer(429, "slow down", request->headers["x-answer-with"] + "\r\n");
    }
  });
  const auto transport = connect(server);
  const auto retry_after = [&](const std::string& header) {
    Request request;
    request.headers = {{"X-Answer-With", header}};
    const auto result = transport->send(request, kPatience, {});
    expect_answer(result, 429, "slow down");
    return result->retry_after;
  };
  EXPECT_EQ(retry_after("Retry-After: 7"), 7s);
  EXPECT_EQ(retry_after("retry-after: 0"), 0s);
  EXPECT_EQ(retry_after("Retry-After: -1"), std::nullopt);
  EXPECT_EQ(retry_after("Retry-After: 4000000"), 4000000s) << "to_api_error() judges it";
  EXPECT_EQ(retry_after("Retry-After: 99999999999"), std::nullopt);
  EXPECT_EQ(retry_after("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"), std::nullopt);
  EXPECT_EQ(retry_after("X-Other: 1"), std::nullopt);
}

// KEP-1040: an answer says who was made to wait, and 429 why.
TEST_P(TransportContract, FlowSchemaIsRead) {
  FaultyServer server(https(), [](Connection& connection) {
    while (connection.read_request()) {
      connection.answer(429, "Too many requests, please try again later.\n",
                        "X-Kubernetes-Pf-Flowschema-Uid: 8a1f-b2\r\n");
    }
  });
  const auto transport = connect(server);
  for (const auto& result :
       {transport->send({}, kPatience, {}), transport->stream({}, kPatience, {}, [](std::string_view) {})}) {
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->flow_schema, "8a1f-b2");
    EXPECT_EQ(to_api_error(*result).message, "(flow schema 8a1f-b2)");
  }
}

TEST_P(TransportContract, ManyCallsAtOnce) {
  FaultyServer server(https(), [](Connection& connection) {
    while (auto request = connection.read_request()) {
      connection.answer(200, request->body);
    }
  });
  const auto transport = connect(server);
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 16; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 25; ++i) {
        const std::string body = std::to_string(caller) + ":" + std::to_string(i) + std::string(5000, '.');
        expect_answer(transport->send(patch(body), kPatience, {}), 200, body);
      }
    });
  }
  callers.clear();
  EXPECT_LE(server.connections(), 17);
}

TEST_P(TransportContract, ProxyIsUsed) {
  FaultyServer server(https(), [](Connection& connection) {
    while (auto request = connection.read_request()) {
      connection.answer(200, request->body);
    }
  });
  std::mutex mutex;
  std::vector<std::string> asked;
  FaultyServer proxy({.identity = std::nullopt, .client_authority = {}}, [&](Connection& connection) {
    if (auto request = connection.read_request()) {
      {
        const std::lock_guard lock(mutex);
        asked.push_back(request->method + " " + request->target);
      }
      connection.write("HTTP/1.1 200 Connection established\r\n\r\n");
      connection.relay_to(server.port());
    }
  });
  ClusterConfig config = config_for(server);
  config.proxy_url = proxy.url();
  const auto transport = make(config);
  for (int i = 0; i < 10; ++i) {
    const std::string body = std::to_string(i);
    expect_answer(transport->send(patch(body), kPatience, {}), 200, body);
  }
  const std::lock_guard lock(mutex);
  ASSERT_FALSE(asked.empty());
  EXPECT_LT(asked.size(), 8U);
  EXPECT_EQ(asked.front(), "CONNECT 127.0.0.1:" + std::to_string(server.port()));
}

TEST_P(TransportContract, StopEndsACallThatAProxyHoldsUp) {
  std::promise<void> asked;
  FaultyServer proxy({.identity = std::nullopt, .client_authority = {}}, [&](Connection& connection) {
    static_cast<void>(connection.read_request());
    asked.set_value();
    connection.wait_until_peer_closes();
  });
  ClusterConfig config;
  config.server = "https://127.0.0.1:6443";
  config.certificate_authority.data = cluster_ca().pem();
  config.proxy_url = proxy.url();
  std::stop_source stop;
  const auto transport = make(config);
  auto call =
      std::async(std::launch::async, [&] { return transport->send({}, kPatience, stop.get_token()); });
  asked.get_future().wait();
  const Stopwatch time;
  stop.request_stop();
  expect_failure(call.get(), kCancelled);
  EXPECT_LT(time.elapsed(), kPromptly);
}

TEST_P(TransportContract, ProxyThatRefusesIsNamed) {
  FaultyServer server(https(), [](Connection&) {});
  FaultyServer proxy({.identity = std::nullopt, .client_authority = {}}, [&](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.answer(403, "");
  });
  ClusterConfig config = config_for(server);
  config.proxy_url = proxy.url();
  expect_failure(make(config)->send({}, kPatience, {}), kUnreachable, "proxy");
}

// --- no connection

TEST_P(TransportContract, RefusedConnectionIsUnreachable) {
  ClusterConfig config;
  config.server = "https://127.0.0.1:" + std::to_string(unused_port());
  config.certificate_authority.data = cluster_ca().pem();
  const Stopwatch time;
  expect_failure(make(config)->send({}, kPatience, {}), kUnreachable, "connection refused");
  EXPECT_LT(time.elapsed(), kPromptly);
}

TEST_P(TransportContract, UnknownNameIsUnreachable) {
  ClusterConfig config;
  config.server = "https://kubernetes.invalid:6443";
  config.certificate_authority.data = cluster_ca().pem();
  expect_failure(make(config)->send({}, kPatience, {}), kUnreachable, "cannot be resolved");
}

TEST_P(TransportContract, ConnectionThatNeverCompletesEndsAtTheDeadline) {
  const DeafListener listener;
  ClusterConfig config;
  config.server = "https://127.0.0.1:" + std::to_string(listener.port());
  config.certificate_authority.data = cluster_ca().pem();
  const auto transport = make(config);
  const Stopwatch time;
  expect_failure(transport->send({}, 200ms, {}), kDeadline);
  expect_failure(transport->stream({}, 200ms, {}, [](std::string_view) {}), kDeadline);
  EXPECT_LT(time.elapsed(), 200ms + 200ms + kPromptly);
}

TEST_P(TransportContract, StopEndsAConnectionInTheMaking) {
  std::promise<void> accepted;
  FaultyServer server({.identity = server_identity(), .client_authority = {}, .handshake = false},
                      [&](Connection& connection) {
                        accepted.set_value();
                        connection.wait_until_peer_closes();
                      });
  const auto transport = connect(server);
  std::stop_source stop;
  auto call =
      std::async(std::launch::async, [&] { return transport->send({}, kPatience, stop.get_token()); });
  accepted.get_future().wait();
  const Stopwatch time;
  stop.request_stop();
  expect_failure(call.get(), kCancelled);
  EXPECT_LT(time.elapsed(), kPromptly);
}

TEST_P(TransportContract, StopThatCameFirstSendsNothingMore) {
  FaultyServer server(https(), [](Connection& connection) { connection.wait_until_peer_closes(); });
  std::stop_source stop;
  stop.request_stop();
  expect_failure(connect(server)->send({}, kPatience, stop.get_token()), kCancelled);
}

// --- broken lines

struct Cut {
  const char* name;
  std::function<void(Connection&)> before;
};

TEST_P(TransportContract, CutLineIsBrokenWhereverItIsCut) {
  const Cut cuts[] = {
      {"before the request", [](Connection&) {}},
      {"before the status line", [](Connection& c) { static_cast<void>(c.read_request()); }},
      {"in the status line",
       [](Connection& c) {
         static_cast<void>(c.read_request());
         c.write("HTTP/1.1 2");
       }},
      {"in the headers",
       [](Connection& c) {
         static_cast<void>(c.read_request());
         c.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-Y");
       }},
      {"in the body",
       [](Connection& c) {
         static_cast<void>(c.read_request());
         c.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
       }},
      {"in a body that ends with the connection",
       [](Connection& c) {
         static_cast<void>(c.read_request());
         c.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345");
       }},
      {"between chunks",
       [](Connection& c) {
         static_cast<void>(c.read_request());
         c.begin_chunked();
         c.chunk("12345");
       }},
      {"in a chunk",
       [](Connection& c) {
         static_cast<void>(c.read_request());
         c.begin_chunked();
         c.write("a\r\n12345");
       }},
  };
  for (const Cut& cut : cuts) {
    SCOPED_TRACE(cut.name);
    FaultyServer server(https(), [&](Connection& connection) {
      cut.before(connection);
      connection.cut();
    });
    const auto transport = connect(server);
    expect_failure(transport->send(patch("{}"), kPatience, {}), kBroken);
    expect_failure(transport->stream({}, kPatience, {}, [](std::string_view) {}), kBroken);
  }
}

TEST_P(TransportContract, WatchCutAtAnyByteGivesWholeLinesOnly) {
  const std::string first = R"({"type":"ADDED","object":{"metadata":{"name":"a"}}})";
  const std::string second = R"({"type":"BOOKMARK"})";
  const std::string body = first + "\n" + second + "\n";
  const auto chunk = [](const std::string& bytes) {
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    return size + bytes + "\r\n";
  };
  const std::string answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                             chunk(body.substr(0, 20)) + chunk(body.substr(20)) + "0\r\n\r\n";
  FaultyServer server(https(), [&](Connection& connection) {
    if (auto request = connection.read_request()) {
      connection.write(answer.substr(0, std::stoul(request->headers["x-cut-at"])));
      connection.cut();
    }
  });
  const auto transport = connect(server);
  for (std::size_t at = 0; at < answer.size(); ++at) {
    SCOPED_TRACE("cut before byte " + std::to_string(at));
    std::vector<std::string> lines;
    LineSplitter splitter([&](std::string_view line) { lines.emplace_back(line); });
    Request request;
    request.headers = {{"X-Cut-At", std::to_string(at)}};
    const auto result =
        transport->stream(request, kPatience, {}, [&](std::string_view bytes) { splitter.feed(bytes); });
    expect_failure(result, kBroken);
    ASSERT_LE(lines.size(), 2U);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      ASSERT_EQ(lines[i], i == 0 ? first : second);
    }
  }
}

TEST_P(TransportContract, NonsenseIsBroken) {
  for (const char* nonsense : {"220 smtp.example.org ESMTP\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n\r\n"}) {
    SCOPED_TRACE(nonsense);
    FaultyServer server(https(), [&](Connection& connection) {
      static_cast<void>(connection.read_request());
      connection.write(nonsense);
    });
    const auto transport = connect(server);
    expect_failure(transport->send({}, kPatience, {}), kBroken);
    expect_failure(transport->stream({}, kPatience, {}, [](std::string_view) {}), kBroken);
  }
}

TEST_P(TransportContract, DeadPooledConnectionIsReplacedForARequestWithABody) {
  std::mutex mutex;
  std::condition_variable changed;
  int closed = 0;
  FaultyServer server(https(), [&](Connection& connection) {
    if (auto request = connection.read_request()) {
      connection.answer(200, request->body);
    }
    connection.cut();
    const std::lock_guard lock(mutex);
    ++closed;
    changed.notify_all();
  });
  const auto transport = connect(server);
  const std::string body(200'000, 'x');
  for (int i = 1; i <= 20; ++i) {  // nothing shows when a connection is idle, so that one round may miss it
    expect_answer(transport->send(patch(body), kPatience, {}), 200, body);
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, kPatience, [&] { return closed == i; }));
  }
}

TEST_P(TransportContract, RestartedServerIsFoundAgainByManyCallers) {
  std::latch served(4);
  std::latch all_closed(4);
  FaultyServer server(https(), [&](Connection& connection) {
    auto request = connection.read_request();
    if (connection.number() < 4) {
      served.arrive_and_wait();  // four calls at once make four connections
      connection.answer(200, "before");
      connection.cut();
      all_closed.count_down();
      return;
    }
    while (request) {
      connection.answer(200, "after");
      request = connection.read_request();
    }
  });
  const auto transport = connect(server);
  for (const std::string expected : {"before", "after"}) {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back(
          [&] { expect_answer(transport->send(patch("{}"), kPatience, {}), 200, expected); });
    }
    callers.clear();
    all_closed.wait();
  }
}

// A network that dies silently takes all connections with it. Each of them costs a deadline to find out.
TEST_P(TransportContract, AfterADeadlineNoConnectionOfBeforeIsUsedAgain) {
  std::barrier both(2);
  FaultyServer server(https(), [&both](Connection& connection) {
    (void)connection.read_request();
    if (connection.number() < 2) {
      both.arrive_and_wait();
      connection.answer(200, "{}");
      connection.wait_until_peer_closes();  // whatever is asked from now on
    } else {
      connection.answer(200, "fresh");
    }
  });
  const auto transport = connect(server);
  {
    const auto call = [&] { expect_answer(transport->send(Request{}, kPatience, {}), 200, "{}"); };
    const std::jthread one(call);
    const std::jthread other(call);
  }
  expect_failure(transport->send(Request{}, 1s, {}), TransportFailure::kDeadline);
  expect_answer(transport->send(Request{}, kPatience, {}), 200, "fresh");
}

}  // namespace
}  // namespace sessmtp::kube::testing
