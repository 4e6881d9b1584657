#include "login_server.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <string_view>

namespace sessmtp::smtp::testing {
namespace {

std::atomic<int> g_lookups_made = 0;
std::mutex g_lookup_mutex;
std::condition_variable g_lookup_changed;
bool g_lookup_hangs = false;

void write_at_once(const std::filesystem::path& file, const std::string& text) {
  const std::filesystem::path fresh = file.string() + ".new";
  std::ofstream(fresh) << text;
  std::filesystem::rename(fresh, file);
}

std::string python() {
  const char* chosen = std::getenv("SESSMTP_PYTHON");
  return chosen != nullptr ? chosen : SESSMTP_PYTHON;
}

// The first line of what can be read there.
std::string read_line(int from) {
  std::string line;
  char c = 0;
  while (read(from, &c, 1) == 1 && c != '\n') {
    line += c;
  }
  return line;
}

[[noreturn]] void become(const std::vector<std::string>& command, int output, pid_t parent) {
  std::vector<char*> arguments;
  for (const std::string& word : command) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // however this program ends
  if (getppid() == parent && dup2(output, STDOUT_FILENO) >= 0) {
    execv(arguments[0], arguments.data());
  }
  _exit(127);
}

}  // namespace

LoginServer* LoginServer::shared() {
  static std::unique_ptr<LoginServer> server;
  static const std::string error = [] {
    std::string pattern = (std::filesystem::temp_directory_path() / "login-contract-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      return std::string("no temporary folder");
    }
    server.reset(new LoginServer(pattern));
    return server->start();
  }();
  EXPECT_EQ(error, "");
  return error.empty() ? server.get() : nullptr;
}

std::string LoginServer::start() {
  if (!std::filesystem::exists(python())) {
    return "no Python with the packages of tests/cluster/requirements.txt at " + python() +
           ": make test-unit installs them; SESSMTP_PYTHON names another";
  }
  const auto option = [this](const char* name, const char* file) { return name + (folder_ / file).string(); };
  const std::vector<std::string> command = {python(),
                                            SESSMTP_FAKE_SES,
                                            "--host=" + std::string(kHost),
                                            option("--keys=", "keys"),
                                            option("--conduct=", "conduct"),
                                            option("--record=", "record"),
                                            option("--make-certificates=", "authority"),
                                            "--starttls-port=0",
                                            "--tls-port=0"};
  accept({});
  conduct({});
  forget();
  std::array<int, 2> output{};
  const pid_t parent = getpid();
  process_ = pipe(output.data()) == 0 ? fork() : -1;
  if (process_ < 0) {
    return "no process for the fake SES";
  }
  if (process_ == 0) {
    become(command, output[1], parent);
  }
  close(output[1]);
  const std::string line = read_line(output[0]);
  close(output[0]);
  const nlohmann::json hello = nlohmann::json::parse(line, nullptr, false);
  if (!hello.is_object()) {
    return "the fake SES did not start; it said: " + line;
  }
  starttls_port_ = hello.at("listening").at("starttls").at(0);
  tls_port_ = hello.at("listening").at("tls").at(0);
  ca_ = hello.at("ca").get<std::string>();
  return "";
}

LoginServer::~LoginServer() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

ses::Endpoint LoginServer::endpoint(ses::Tls tls, const std::string& host) const {
  return {host, tls == ses::Tls::kImplicit ? tls_port_ : starttls_port_, tls};
}

void LoginServer::conduct(const nlohmann::json& members) const {
  write_at_once(folder_ / "conduct", members.is_null() ? "{}" : members.dump());
}

void LoginServer::accept(const std::map<std::string, std::string>& secret_access_keys) const {
  write_at_once(folder_ / "keys", nlohmann::json(secret_access_keys).dump());
}

std::vector<nlohmann::json> LoginServer::records(const std::string& kind) const {
  std::vector<nlohmann::json> result;
  std::ifstream file(folder_ / "record");
  for (std::string line; std::getline(file, line) && !file.eof();) {  // the last may be half written
    const nlohmann::json record = nlohmann::json::parse(line);
    if (record.contains(kind)) {
      result.push_back(record.at(kind));
    }
  }
  return result;
}

void LoginServer::forget() const {
  std::ofstream(folder_ / "record", std::ios::trunc);
}

HangingLookup::HangingLookup() {
  const std::lock_guard lock(g_lookup_mutex);
  g_lookup_hangs = true;
}

HangingLookup::~HangingLookup() {
  const std::lock_guard lock(g_lookup_mutex);
  g_lookup_hangs = false;
  g_lookup_changed.notify_all();
}

int lookups() {
  return g_lookups_made;
}

}  // namespace sessmtp::smtp::testing

// In place of the C library's, for libcurl.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  using namespace sessmtp::smtp::testing;
  const auto real = reinterpret_cast<decltype(&::getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  const std::string_view name = node != nullptr ? node : "";
  ++g_lookups_made;
  if (name == "hangs.test") {
    std::unique_lock lock(g_lookup_mutex);
    constexpr std::chrono::seconds kLongEnough(15);  // a login that waits for it fails a test, and ends
    g_lookup_changed.wait_for(lock, kLongEnough, [] { return !g_lookup_hangs; });
    return EAI_NONAME;
  }
  if (name == kHostOfMetadata) {
    addrinfo v6{};
    v6.ai_family = AF_INET6;
    v6.ai_socktype = SOCK_STREAM;
    return real("::ffff:169.254.169.254", service, &v6, found);
  }
  const bool known = name == kHost || name.ends_with(".example.com") || name == "localhost";
  return known                     ? real("127.0.0.1", service, hints, found)
         : name == kHostOnTheLink  ? real("169.254.1.1", service, hints, found)
         : name.ends_with(".test") ? EAI_NONAME
                                   : real(node, service, hints, found);
}
