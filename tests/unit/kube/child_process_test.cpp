#include "kube/child_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stop_token>
#include <thread>

#include "temporary_folder.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ChildProcessTest : public testing::Test {
 protected:
  Result<std::string> shell(const std::string& lines) {
    return run_and_capture({.command = "sh", .arguments = {"-c", lines}, .environment = {}}, {});
  }
  std::string output(const std::string& lines) {
    const auto result = shell(lines);
    return result ? *result : "(error) " + result.error().message;
  }

  TemporaryFolder folder_;
};

TEST_F(ChildProcessTest, ArgumentsArriveAsTheyAreAndOutputComesBack) {
  const auto result = run_and_capture({.command = folder_.script("a b", "printf '<%s>' \"$@\""),
                                       .arguments = {"one two", "$HOME", "", "*", "'\""},
                                       .environment = {}},
                                      {});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(*result, "<one two><$HOME><><*><'\">");
}

TEST_F(ChildProcessTest, EnvironmentReplacesAndExtendsOurs) {
  ::setenv("SES_SMTP_TEST_KEPT", "kept", 1);
  ::setenv("SES_SMTP_TEST_REPLACED", "old", 1);
  const auto result =
      run_and_capture({.command = "sh",
                       .arguments = {"-c",
                                     "echo $SES_SMTP_TEST_KEPT $SES_SMTP_TEST_REPLACED $SES_SMTP_TEST_ADDED; "
                                     "env | grep -c SES_SMTP_TEST_REPLACED"},
                       .environment = {{"SES_SMTP_TEST_REPLACED", "new"}, {"SES_SMTP_TEST_ADDED", "added"}}},
                      {});
  ::unsetenv("SES_SMTP_TEST_KEPT");
  ::unsetenv("SES_SMTP_TEST_REPLACED");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(*result, "kept new added\n1\n");
}

TEST_F(ChildProcessTest, NoDescriptorOfOursGoesAlong) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);  // without close-on-exec, as the HTTP library's
  const int high = ::fcntl(socket, F_DUPFD, 200);
  ASSERT_GE(high, 200);
  const std::string seen = output("cd /proc/$$/fd && ls -d " + std::to_string(socket) + " " +
                                  std::to_string(high) + " 1; readlink 0 2");
  ::close(high);
  ::close(socket);
  EXPECT_EQ(seen, "1\n/dev/null\n/dev/null\n");
}

TEST_F(ChildProcessTest, NoSignalIsBlockedOrIgnored) {
  sigset_t stop;
  sigset_t before;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &stop, &before);
  auto* const pipe_before = ::signal(SIGPIPE, SIG_IGN);
  const std::string state = output("sed -n 's/^Sig[BI][lg][kn]:.*\\(........\\)$/\\1/p' /proc/self/status");
  ::signal(SIGPIPE, pipe_before);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  // Signals 32 and 33 are the C library's own.
  EXPECT_THAT(state, testing::AnyOf("00000000\n00000000\n", "00000000\n80000000\n"));
}

TEST_F(ChildProcessTest, ErrorsSayHowItEndedAndQuoteNothing) {
  EXPECT_EQ(output("echo secret; echo secret >&2; exit 3"), "(error) ended with exit code 3");
  EXPECT_EQ(output("echo secret; kill -9 $$"), "(error) was ended by signal 9");
  const auto missing =
      run_and_capture({.command = "ses-smtp-no-such-program", .arguments = {}, .environment = {}}, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  const auto not_a_program =
      run_and_capture({.command = folder_.write("text", "x"), .arguments = {}, .environment = {}}, {});
  ASSERT_FALSE(not_a_program);
  EXPECT_THAT(not_a_program.error().message, HasSubstr("was not started"));
}

// True when no process of this id runs any more: those of the group are not our children.
bool gone(const std::string& id) {
  std::ifstream state("/proc/" + id + "/stat");
  std::string number, name, letter;
  return id.empty() || !(state >> number >> name >> letter) || letter == "Z" || letter == "X";
}

TEST_F(ChildProcessTest, WhatTakesTooLongIsKilledWithAllItStarted) {
  const std::string lines = "sleep 1000 & echo $! >" + (folder_.path() / "id").string() + "; wait";
  const auto begin = std::chrono::steady_clock::now();
  const auto result = run_and_capture(
      {.command = "sh", .arguments = {"-c", lines}, .environment = {}, .time_limit = 500ms}, {});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("did not end within 500 ms"));
  std::string id = folder_.read("id");
  ASSERT_GT(id.size(), 1U);
  id.pop_back();
  for (int i = 0; i < 500 && !gone(id); ++i) {
    (void)::poll(nullptr, 0, 10);
  }
  EXPECT_TRUE(gone(id));
}

TEST_F(ChildProcessTest, StopEndsIt) {
  const std::string fifo = (folder_.path() / "started").string();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  std::stop_source stop;
  const std::jthread stopper([&] {
    const std::ifstream started(fifo);  // waits until the program has opened it
    stop.request_stop();
  });
  const auto result = run_and_capture(
      {.command = "sh", .arguments = {"-c", ": >" + fifo + "; exec sleep 1000"}, .environment = {}},
      stop.get_token());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "was stopped");
}

TEST_F(ChildProcessTest, WhatPrintsWithoutEndIsKilled) {
  const auto result = run_and_capture(
      {.command = "sh", .arguments = {"-c", "yes"}, .environment = {}, .output_limit = 100'000}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "printed more than 100000 bytes");
}

TEST_F(ChildProcessTest, LargeOutputComesWhole) {
  EXPECT_EQ(output("head -c 1000000 /dev/zero | tr '\\0' x"), std::string(1'000'000, 'x'));
}

TEST_F(ChildProcessTest, WhatItLeavesRunningIsNotWaitedFor) {
  EXPECT_EQ(output("sleep 5 & echo done"), "done\n");  // the sleep holds the pipe open
}

}  // namespace
}  // namespace sessmtp::kube
