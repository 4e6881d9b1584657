#include "kube/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <string_view>
#include <system_error>

#include "base/secret_bytes.h"

namespace sessmtp::kube {
namespace {

// How often the end of the program and the stop token are looked at.
constexpr int kSliceMs = 20;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int number() const { return number_; }
  void close() {
    if (number_ >= 0) {
      ::close(std::exchange(number_, -1));
    }
  }

 private:
  int number_;
};

// What posix_spawn is told; its two objects must be destroyed. It clones without copying memory and runs
// only what is safe in a program of many threads.
struct SpawnPlan {
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  int prepare(int output) {
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    for (const int failed :
         {posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO),
          posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0),
          posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0),
          posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)}) {
      if (failed != 0) {
        return failed;
      }
    }
    return 0;
  }

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

std::vector<std::string> environment_of(const ChildProcess& program) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (const std::size_t equals = text.find('='); equals != std::string_view::npos) {
      variables.insert_or_assign(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
    }
  }
  for (const auto& [name, value] : program.environment) {
    variables.insert_or_assign(name, value);
  }
  std::vector<std::string> entries;
  entries.reserve(variables.size());
  for (const auto& [name, value] : variables) {
    entries.push_back(name + '=' + value);
  }
  return entries;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

// The program while it runs: it is killed with all it has started unless it has ended before.
class Running {
 public:
  explicit Running(pid_t id) : id_(id) {}
  ~Running() {
    if (!ended_) {
      ::kill(-id_, SIGKILL);
      while (::waitpid(id_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  [[nodiscard]] bool ended() {
    int status = 0;
    const pid_t found = ended_ ? 0 : ::waitpid(id_, &status, WNOHANG);
    if (found == id_ || (found < 0 && errno != EINTR)) {
      ended_ = true;
      status_ = found == id_ ? status : 0xff00;  // taken by somebody else, who knows how it ended
    }
    return ended_;
  }
  // Empty when it ended well.
  [[nodiscard]] std::string problem() const {
    if (WIFSIGNALED(status_)) {
      return "was ended by signal " + std::to_string(WTERMSIG(status_));
    }
    const int code = WEXITSTATUS(status_);
    return code == 0 ? std::string() : "ended with exit code " + std::to_string(code);
  }

 private:
  const pid_t id_;
  bool ended_ = false;
  int status_ = 0;  // as waitpid() has it
};

// True while there may be more to come.
bool read_available(int pipe, std::string& output, std::size_t limit) {
  char block[4096];
  while (output.size() <= limit) {
    const ssize_t count = ::read(pipe, block, std::min(sizeof block, limit + 1 - output.size()));
    if (count <= 0) {
      wipe(block, sizeof block);
      return count < 0 && (errno == EAGAIN || errno == EINTR);
    }
    output.append(block, static_cast<std::size_t>(count));
  }
  wipe(block, sizeof block);
  return true;
}

Result<void> collect(Running& child, Descriptor& pipe, const ChildProcess& program,
                     const std::stop_token& stop, std::string& output) {
  const auto end = std::chrono::steady_clock::now() + program.time_limit;
  for (bool ended = false; !ended;) {
    pollfd ready{pipe.number(), POLLIN, 0};  // a closed pipe is not looked at: only time passes
    (void)::poll(&ready, 1, kSliceMs);
    ended = child.ended();  // before the last look at the pipe, which a grandchild may keep open
    if (pipe.number() >= 0 && !read_available(pipe.number(), output, program.output_limit)) {
      pipe.close();
    }
    if (output.size() > program.output_limit) {
      return fail(ErrorCode::kIo, "printed more than " + std::to_string(program.output_limit) + " bytes");
    }
    if (!ended && stop.stop_requested()) {
      return fail(ErrorCode::kIo, "was stopped");
    }
    if (!ended && std::chrono::steady_clock::now() >= end) {
      return fail(ErrorCode::kIo, "did not end within " + std::to_string(program.time_limit.count()) + " ms");
    }
  }
  const std::string problem = child.problem();
  return problem.empty() ? Result<void>() : fail(ErrorCode::kIo, problem);
}

}  // namespace

Result<std::string> run_and_capture(const ChildProcess& program, const std::stop_token& stop) {
  const auto system_error = [](int number) { return std::generic_category().message(number); };
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return fail(ErrorCode::kIo, "was not started: " + system_error(errno));
  }
  Descriptor pipe(ends[0]);
  Descriptor its_end(ends[1]);
  (void)::fcntl(pipe.number(), F_SETFL, O_NONBLOCK);

  std::vector<std::string> arguments = program.arguments;
  arguments.insert(arguments.begin(), program.command);
  std::vector<std::string> environment = environment_of(program);
  SpawnPlan plan;
  int failed = plan.prepare(its_end.number());
  pid_t id = 0;
  if (failed == 0) {
    failed = ::posix_spawnp(&id, program.command.c_str(), &plan.actions, &plan.attributes,
                            pointers_to(arguments).data(), pointers_to(environment).data());
  }
  its_end.close();
  if (failed != 0) {
    return fail(failed == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                "was not started: " + system_error(failed));
  }
  Running child(id);
  std::string output;
  output.reserve(program.output_limit + 1);
  if (Result<void> collected = collect(child, pipe, program, stop, output); !collected) {
    wipe(output.data(), output.size());
    return std::unexpected(std::move(collected.error()));
  }
  return output;
}

}  // namespace sessmtp::kube
