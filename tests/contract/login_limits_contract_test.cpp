// Where a login goes at all, how long it takes at most, and that it can be called off.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <future>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "login_fixture.h"

namespace sessmtp::smtp::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::Values;
using Clock = std::chrono::steady_clock;

class StartTls : public LoginTest {
 protected:
  [[nodiscard]] ses::Tls tls() const override { return ses::Tls::kStartTls; }
};

// Counts connections, and may talk to the first.
class Listener {
 public:
  Listener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, any, size), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    EXPECT_EQ(getsockname(socket_, any, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { close(socket_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int accept_one() const { return accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC); }
  // A connection is there before connect() returns to the one that makes it.
  [[nodiscard]] bool has_been_called() const {
    pollfd waiting{socket_, POLLIN, 0};
    return poll(&waiting, 1, 0) > 0;
  }

 private:
  const int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port_ = 0;
};

// -- where

TEST_F(StartTls, HostThatIsNotAllowedIsNeitherLookedUpNorConnectedTo) {
  const Listener listener;
  options().policy = EndpointPolicy({{"mail.example.com", 587}});
  const int before = lookups();
  const LoginReport report = log_in(pair_of_key(), {"evil.example.com", listener.port(), tls()});
  EXPECT_EQ(report.verdict, LoginVerdict::kEndpointNotAllowed);
  EXPECT_THAT(report.detail, HasSubstr("nor listed"));
  EXPECT_EQ(report.address, "");
  EXPECT_EQ(lookups(), before);
  EXPECT_FALSE(listener.has_been_called());
}

TEST_F(StartTls, AllowedNameThatLeadsToThisMachineIsNotConnectedTo) {
  for (const std::uint16_t port : ses::kSesPorts) {
    options().policy = EndpointPolicy();
    const LoginReport report = log_in(pair_of_key(), {kHost, port, tls()});
    EXPECT_EQ(report.verdict, LoginVerdict::kEndpointNotAllowed);
    EXPECT_THAT(report.detail, HasSubstr("this machine"));
  }
}

TEST_F(StartTls, ListedNameMayLeadToThisMachine) {
  const ses::Endpoint endpoint = server().endpoint(tls());
  options().policy = EndpointPolicy({{kHost, endpoint.port}});
  EXPECT_EQ(log_in(pair_of_key(), endpoint).verdict, LoginVerdict::kAuthenticated);
}

TEST_F(StartTls, AllowedNameThatLeadsToTheLinkIsNotConnectedTo) {
  options().policy = EndpointPolicy();
  for (const char* host : {kHostOnTheLink, kHostOfMetadata}) {
    const LoginReport report = log_in(pair_of_key(), {host, 587, tls()});
    EXPECT_EQ(report.verdict, LoginVerdict::kEndpointNotAllowed) << report.detail;
  }
}

TEST_F(StartTls, HostThatMeansMoreInAUrlIsRefused) {
  for (const char* host : {"", "a@b", "localhost/x", "localhost#x", "localhost?x", "local host",
                           "localhost:25", "%6cocalhost", "[::1]", "local\r\nhost",
                           "l\xc3\xb6"
                           "calhost",
                           "localhost\\"}) {
    ses::Endpoint endpoint = server().endpoint(tls());
    endpoint.host = host;
    EXPECT_EQ(log_in(pair_of_key(), endpoint).verdict, LoginVerdict::kEndpointUnreachable) << host;
  }
  EXPECT_THAT(server().records("connected"), IsEmpty());
}

TEST_F(StartTls, AddressAsHostIsCheckedAgainstTheCertificate) {
  EXPECT_EQ(log_in(pair_of_key(), server().endpoint(tls(), "127.0.0.1")).verdict,
            LoginVerdict::kAuthenticated);
  EXPECT_EQ(log_in(pair_of_key(), server().endpoint(tls(), "localhost")).verdict,
            LoginVerdict::kAuthenticated);
  const LoginReport other = log_in(pair_of_key(), server().endpoint(tls(), "other.example.com"));
  EXPECT_EQ(other.verdict, LoginVerdict::kCertificateInvalid);
  EXPECT_THAT(other.detail,
              StartsWith("the certificate is not for other.example.com but for " + std::string(kHost)));
}

TEST_F(StartTls, NothingThatListensIsUnreachable) {
  std::uint16_t port = 0;
  {
    port = Listener().port();
  }
  const LoginReport refused = log_in(pair_of_key(), {"localhost", port, tls()});
  EXPECT_EQ(refused.verdict, LoginVerdict::kEndpointUnreachable);
  EXPECT_EQ(refused.detail, "connection refused");
  const LoginReport unknown = log_in(pair_of_key(), {"nowhere.test", port, tls()});
  EXPECT_EQ(unknown.verdict, LoginVerdict::kEndpointUnreachable);
  EXPECT_EQ(unknown.detail, "host name not found");
}

// -- how long

TEST_F(StartTls, NameLookupThatHangsEndsByTheLimit) {
  const HangingLookup hanging;
  options().limits.connect = 300ms;
  const auto began = Clock::now();
  const LoginReport report = log_in(pair_of_key(), {"hangs.test", 587, tls()});
  EXPECT_EQ(report.verdict, LoginVerdict::kEndpointUnreachable);
  EXPECT_EQ(report.detail, "no answer about the host name within 300ms");
  EXPECT_LT(Clock::now() - began, 3s);
}

TEST_F(StartTls, TotalLimitCountsOverAllSteps) {
  server().conduct({{"hang", "login"}});
  options().limits = {.connect = 1min, .reply = 1min, .total = 1s};
  const auto began = Clock::now();
  EXPECT_THAT(log_in(pair_of_key()).detail, HasSubstr("within 1s"));
  EXPECT_LT(Clock::now() - began, 5s);
}

TEST_F(StartTls, AnswerWithinTheLimitIsWaitedFor) {
  server().conduct({{"delay", 1.5}});
  EXPECT_EQ(log_in(pair_of_key()).verdict, LoginVerdict::kAuthenticated);
}

TEST_F(StartTls, ServerThatIsSilentAfterTheReplyThatDecidesIsNotWaitedFor) {
  const Listener listener;
  std::string heard;
  std::thread server([&] {
    const int connection = listener.accept_one();
    std::array<char, 512> block{};
    const auto say = [&](std::string_view text) {
      return send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    };
    say("220 here\r\n");
    for (ssize_t size = 0; (size = read(connection, block.data(), block.size())) > 0;) {
      heard.append(block.data(), static_cast<std::size_t>(size));
      if (heard == "EHLO ses-smtp\r\n") {
        say("250 nothing to offer\r\n");
      }
    }
    close(connection);
  });
  const auto began = Clock::now();
  const LoginReport report = log_in(pair_of_key(), {"localhost", listener.port(), tls()});
  const auto took = Clock::now() - began;
  server.join();
  EXPECT_EQ(report.verdict, LoginVerdict::kStartTlsNotOffered);
  EXPECT_LT(took, 3s);
  EXPECT_EQ(heard, "EHLO ses-smtp\r\n");
}

// What stands behind the 220 of STARTTLS was put there by somebody in between (CVE-2011-0411).
TEST_F(StartTls, RepliesSentAheadOfTlsAreNotBelieved) {
  const Listener listener;
  std::string heard;
  std::thread server([&] {
    const int connection = listener.accept_one();
    std::array<char, 4096> block{};
    const auto say = [&](std::string_view text) {
      return send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    };
    say("220 here\r\n");
    for (ssize_t size = 0; (size = read(connection, block.data(), block.size())) > 0;) {
      heard.append(block.data(), static_cast<std::size_t>(size));
      if (heard.ends_with("EHLO ses-smtp\r\n")) {
        say("250-hello\r\n250 STARTTLS\r\n");
      } else if (heard.ends_with("STARTTLS\r\n")) {
        say("220 go on\r\n250-hello\r\n250 AUTH PLAIN\r\n334 \r\n235 Welcome\r\n");
      }
    }
    close(connection);
  });
  const LoginReport report = log_in(pair_of_key(), {"localhost", listener.port(), tls()});
  server.join();
  EXPECT_EQ(to_string(report.verdict), "ProtocolError") << report.detail;
  EXPECT_THAT(heard, ::testing::Not(HasSubstr("AUTH")));
}

// -- calling it off

class CalledOff : public LoginTest, public ::testing::WithParamInterface<std::tuple<ses::Tls, const char*>> {
 protected:
  [[nodiscard]] ses::Tls tls() const override { return std::get<0>(GetParam()); }

  void expect_prompt_end(const ses::Endpoint& endpoint) {
    CurlLoginProbe probe(options());
    std::stop_source stop;
    const Pair pair = pair_of_key();
    auto login = std::async(std::launch::async, [&] {
      return probe.log_in(endpoint, pair.username, pair.password, stop.get_token());
    });
    ASSERT_EQ(login.wait_for(500ms), std::future_status::timeout) << "it was to hang";
    const auto began = Clock::now();
    stop.request_stop();
    EXPECT_FALSE(login.get());
    EXPECT_LT(Clock::now() - began, 1s);
  }
};

TEST_P(CalledOff, EndsAtOnce) {
  server().conduct({{"hang", std::get<1>(GetParam())}});
  expect_prompt_end(server().endpoint(tls()));
}

INSTANTIATE_TEST_SUITE_P(StartTls, CalledOff,
                         ::testing::Combine(Values(ses::Tls::kStartTls),
                                            Values("greeting", "ehlo", "starttls", "tls", "login")),
                         [](const auto& test) { return std::get<1>(test.param); });
INSTANTIATE_TEST_SUITE_P(Implicit, CalledOff,
                         ::testing::Combine(Values(ses::Tls::kImplicit),
                                            Values("tls", "greeting", "ehlo", "login")),
                         [](const auto& test) { return std::get<1>(test.param); });

class CalledOffLookup : public CalledOff {};

TEST_P(CalledOffLookup, EndsAtOnce) {
  const HangingLookup hanging;
  expect_prompt_end({"hangs.test", 587, tls()});
}

INSTANTIATE_TEST_SUITE_P(Name, CalledOffLookup,
                         ::testing::Combine(Values(ses::Tls::kStartTls), Values("lookup")),
                         [](const auto& test) { return std::get<1>(test.param); });

TEST_F(StartTls, StopBeforehandMeansNothingIsDone) {
  const auto stop = std::make_unique<std::stop_source>();
  stop->request_stop();
  const Pair pair = pair_of_key();
  CurlLoginProbe probe(options());
  EXPECT_FALSE(probe.log_in(server().endpoint(tls()), pair.username, pair.password, stop->get_token()));
  EXPECT_THAT(server().records("connected"), IsEmpty());
}

// -- many

TEST_F(StartTls, ManyAtOnceDoNotGetInEachOthersWay) {
  constexpr int kThreads = 8;
  constexpr int kEach = 4;
  CurlLoginProbe probe(options());
  const Pair right = pair_of_key();
  const Pair wrong = pair_of_key("us-east-1");
  std::vector<std::future<int>> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.push_back(std::async(std::launch::async, [&, thread] {
      const Pair& pair = thread % 2 == 0 ? right : wrong;
      const LoginVerdict expected =
          thread % 2 == 0 ? LoginVerdict::kAuthenticated : LoginVerdict::kCredentialsInvalid;
      int fine = 0;
      for (int i = 0; i < kEach; ++i) {
        const auto report = probe.log_in(server().endpoint(tls()), pair.username, pair.password, {});
        fine += report && report->verdict == expected ? 1 : 0;
      }
      return fine;
    }));
  }
  for (std::future<int>& thread : threads) {
    EXPECT_EQ(thread.get(), kEach);
  }
  EXPECT_EQ(server().records("login").size(), static_cast<std::size_t>(kThreads * kEach));
}

}  // namespace
}  // namespace sessmtp::smtp::testing
