// What a transport makes of slow servers, silent ones and long answers.
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "transport_fixture.h"

namespace sessmtp::kube::testing {
namespace {

using enum TransportFailure;

// A piece of an endless, checkable byte sequence.
char nth_byte(std::size_t n) {
  return static_cast<char>((n * 2654435761U) >> 13);
}

std::size_t resident_bytes() {
  std::size_t total = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// --- time

TEST_P(TransportContract, SlowBytesDoNotMoveTheDeadline) {
  FaultyServer server(https(), [](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (!connection.peer_closes_within(10ms) && connection.write("x")) {
    }
  });
  const Stopwatch time;
  expect_failure(connect(server)->send({}, 400ms, {}), kDeadline, "no complete answer");
  EXPECT_GE(time.elapsed(), 400ms);
  EXPECT_LT(time.elapsed(), 400ms + kPromptly);
}

TEST_P(TransportContract, SlowChunksDoNotMoveTheDeadline) {
  FaultyServer server(https(), [](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.begin_chunked();
    while (!connection.peer_closes_within(10ms) && connection.chunk("x")) {
    }
  });
  const Stopwatch time;
  expect_failure(connect(server)->send({}, 400ms, {}), kDeadline);
  EXPECT_LT(time.elapsed(), 400ms + kPromptly);
}

TEST_P(TransportContract, PeerThatFallsSilentInABodyEndsAtTheDeadline) {
  FaultyServer server(https(), [](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    connection.wait_until_peer_closes();
  });
  const Stopwatch time;
  expect_failure(connect(server)->send({}, 400ms, {}), kDeadline, "no complete answer");
  EXPECT_LT(time.elapsed(), 400ms + kPromptly);
}

TEST_P(TransportContract, HeaderWithoutEndEndsAtTheDeadline) {
  FaultyServer server(https(), [](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.write("HTTP/1.1 200 OK\r\n");
    while (!connection.peer_closes_within(1ms) &&
           connection.write("X-More: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  const auto transport = connect(server, {.stream_head = 400ms});
  const Stopwatch time;
  expect_failure(transport->send({}, 400ms, {}), kDeadline);
  expect_failure(transport->stream({}, kPatience, {}, [](std::string_view) {}), kDeadline);
  EXPECT_LT(time.elapsed(), 800ms + kPromptly);
}

TEST_P(TransportContract, StreamOfSlowChunksLivesLongerThanItsIdleLimit) {
  FaultyServer server(https(), [](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.begin_chunked();
    for (int i = 0; i < 12 && !connection.peer_closes_within(100ms); ++i) {
      connection.chunk("x");
    }
    connection.end_chunked();
  });
  std::string received;
  const auto result =
      connect(server)->stream({}, 800ms, {}, [&](std::string_view bytes) { received += bytes; });
  expect_answer(result, 200, "");
  EXPECT_EQ(received, std::string(12, 'x'));
}

TEST_P(TransportContract, SilentStreamEndsAtItsIdleLimit) {
  FaultyServer server(https(), [](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.begin_chunked();
    connection.chunk("first");
    connection.wait_until_peer_closes();
  });
  std::string received;
  const Stopwatch time;
  const auto result = connect(server)->stream({}, 1s, {}, [&](std::string_view bytes) { received += bytes; });
  expect_failure(result, kDeadline, "no byte in 1000 ms");
  EXPECT_EQ(received, "first");
  EXPECT_GE(time.elapsed(), 1s);
  EXPECT_LT(time.elapsed(), 1s + kPromptly);
}

TEST_P(TransportContract, StreamWithoutAStatusEndsBeforeItsIdleLimit) {
  FaultyServer server(https(), [](Connection& connection) { connection.wait_until_peer_closes(); });
  const Stopwatch time;
  const auto transport = connect(server, {.stream_head = 200ms});
  expect_failure(transport->stream({}, kPatience, {}, [](std::string_view) {}), kDeadline);
  EXPECT_LT(time.elapsed(), kPromptly);
}

TEST_P(TransportContract, TimeSpentByTheReceiverIsNotSilence) {
  std::promise<void> go_on;
  FaultyServer server(https(), [&](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.begin_chunked();
    connection.chunk("a");
    connection.chunk("b");
    connection.end_chunked();
  });
  std::string received;
  auto never = go_on.get_future();
  const auto result = connect(server)->stream({}, 1s, {}, [&](std::string_view bytes) {
    if (received.empty()) {
      never.wait_for(1500ms);  // busy, longer than the limit
    }
    received += bytes;
  });
  expect_answer(result, 200, "");
  EXPECT_EQ(received, "ab");
}

TEST_P(TransportContract, StopEndsAWaitingCall) {
  std::promise<void> asked;
  FaultyServer server(https(), [&](Connection& connection) {
    static_cast<void>(connection.read_request());
    asked.set_value();
    connection.wait_until_peer_closes();
  });
  const auto transport = connect(server);
  std::stop_source stop;
  auto call =
      std::async(std::launch::async, [&] { return transport->send({}, kPatience, stop.get_token()); });
  asked.get_future().wait();
  const Stopwatch time;
  stop.request_stop();
  expect_failure(call.get(), kCancelled);
  EXPECT_LT(time.elapsed(), 400ms);
}

TEST_P(TransportContract, StopEndsAWaitingStream) {
  FaultyServer server(https(), [&](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.begin_chunked();
    connection.chunk("first");
    connection.wait_until_peer_closes();
  });
  const auto transport = connect(server);
  std::stop_source stop;
  std::promise<void> received;
  auto call = std::async(std::launch::async, [&] {
    return transport->stream({}, kPatience, stop.get_token(),
                             [&](std::string_view) { received.set_value(); });
  });
  received.get_future().wait();
  const Stopwatch time;
  stop.request_stop();
  expect_failure(call.get(), kCancelled);
  EXPECT_LT(time.elapsed(), 400ms);
}

TEST_P(TransportContract, StopFromTheReceiverEndsABusyStream) {
  FaultyServer server(https(), [&](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.begin_chunked();
    while (connection.chunk(std::string(1000, 'x'))) {
    }
  });
  std::stop_source stop;
  int pieces = 0;
  const auto result = connect(server)->stream({}, kPatience, stop.get_token(), [&](std::string_view) {
    if (++pieces == 3) {
      stop.request_stop();
    }
  });
  expect_failure(result, kCancelled);
  EXPECT_EQ(pieces, 3);
}

// --- size

TEST_P(TransportContract, AnswerOverTheLimitIsRefusedAndItsConnectionNotUsedAgain) {
  FaultyServer server(https(), [&](Connection& connection) {
    while (connection.read_request()) {
      switch (connection.number()) {
        case 0:
          connection.answer(200, std::string(1001, 'x'));
          break;
        case 1:
          connection.begin_chunked();
          connection.chunk(std::string(600, 'x'));
          connection.chunk(std::string(600, 'x'));
          connection.end_chunked();
          break;
        case 2:
          connection.begin_chunked();
          while (connection.chunk(std::string(100, 'x'))) {
          }
          break;
        default:
          connection.answer(200, std::string(1000, 'x'));
      }
    }
  });
  const auto transport = connect(server, {.body_size = 1000});
  for (int i = 0; i < 3; ++i) {
    expect_failure(transport->send({}, kPatience, {}), kTooLarge, "larger than 1000 bytes");
  }
  expect_answer(transport->send({}, kPatience, {}), 200, std::string(1000, 'x'));
  EXPECT_EQ(server.connections(), 4);
}

// --- streams

TEST_P(TransportContract, StreamOfFiftyMegabytesArrivesWholeInBoundedMemory) {
  constexpr std::size_t kTotal = 50'000'000;
  FaultyServer server(https(), [&](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.begin_chunked();
    std::size_t sent = 0;
    for (std::size_t piece = 1; sent < kTotal; piece = (piece * 7 + 3) % 100'003 + 1) {
      std::string bytes(std::min(piece, kTotal - sent), '\0');
      for (char& byte : bytes) {
        byte = nth_byte(sent++);
      }
      if (!connection.chunk(bytes)) {
        return;
      }
    }
    connection.end_chunked();
  });
  const auto transport = connect(server);
  const std::size_t before = resident_bytes();
  std::size_t most = before;
  std::size_t received = 0;
  std::size_t pieces = 0;
  bool in_order = true;
  const auto result = transport->stream({}, kPatience, {}, [&](std::string_view bytes) {
    in_order =
        in_order && std::ranges::all_of(bytes, [&](char byte) { return byte == nth_byte(received++); });
    if (++pieces % 64 == 0) {
      most = std::max(most, resident_bytes());
    }
  });
  expect_answer(result, 200, "");
  EXPECT_EQ(received, kTotal);
  EXPECT_TRUE(in_order);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(most - before, 16'000'000U);
#endif
}

TEST_P(TransportContract, BusyReceiverHoldsTheServerBack) {
  std::promise<void> all_sent;
  FaultyServer server(https(), [&](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.begin_chunked();
    const std::string chunk(50'000, 'x');
    for (int i = 0; i < 1000; ++i) {
      connection.chunk(chunk);
    }
    connection.end_chunked();
    all_sent.set_value();
  });
  auto sent = all_sent.get_future();
  std::size_t received = 0;
  const auto result = connect(server)->stream({}, kPatience, {}, [&](std::string_view bytes) {
    if (received == 0) {
      EXPECT_EQ(sent.wait_for(500ms), std::future_status::timeout) << "50 MB went somewhere";
    }
    received += bytes.size();
  });
  expect_answer(result, 200, "");
  EXPECT_EQ(received, 50'000'000U);
}

TEST_P(TransportContract, BytesAreDeliveredOnTheCallersThread) {
  FaultyServer server(https(), [&](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.begin_chunked();
    connection.chunk("x");
    connection.end_chunked();
  });
  std::thread::id deliverer;
  const auto result = connect(server)->stream(
      {}, kPatience, {}, [&](std::string_view) { deliverer = std::this_thread::get_id(); });
  expect_answer(result, 200, "");
  EXPECT_EQ(deliverer, std::this_thread::get_id());
}

TEST_P(TransportContract, StreamAnsweredWithAnErrorGivesStatusAndStartOfTheBody) {
  FaultyServer server(https(), [&](Connection& connection) {
    while (auto request = connection.read_request()) {
      if (request->target == "/expired") {
        connection.answer(410, R"({"kind":"Status","code":410})");
      } else if (request->target == "/busy") {
        connection.answer(503, std::string(100'000, 'x'), "Retry-After: 2\r\n");
      } else {
        connection.begin_chunked(500);
        while (connection.chunk(std::string(300, 'x'))) {
        }
      }
    }
  });
  const auto transport = connect(server, {.stream_error_size = 1000});
  const auto ask = [&](const std::string& target) {
    Request request;
    request.target = target;
    return transport->stream(request, kPatience, {},
                             [](std::string_view) { ADD_FAILURE() << "bytes of an error delivered"; });
  };
  expect_answer(ask("/expired"), 410, R"({"kind":"Status","code":410})");
  const auto busy = ask("/busy");
  expect_answer(busy, 503, std::string(1000, 'x'));
  EXPECT_EQ(busy->retry_after, 2s);
  expect_answer(ask("/endless"), 500, std::string(1000, 'x'));
}

TEST_P(TransportContract, EmptyStreamEndsWell) {
  FaultyServer server(https(), [&](Connection& connection) {
    static_cast<void>(connection.read_request());
    connection.begin_chunked();
    connection.end_chunked();
  });
  expect_answer(connect(server)->stream({}, kPatience, {}, [](std::string_view) {}), 200, "");
}

TEST_P(TransportContract, EndOfTheTransportIsQuickAfterCancelledCalls) {
  FaultyServer server(https(), [](Connection& connection) { connection.wait_until_peer_closes(); });
  auto transport = connect(server);
  for (int i = 0; i < 20; ++i) {
    expect_failure(transport->send(patch("{}"), 10ms, {}), kDeadline);
  }
  const Stopwatch time;
  transport.reset();
  EXPECT_LT(time.elapsed(), kPromptly);
}

}  // namespace
}  // namespace sessmtp::kube::testing
