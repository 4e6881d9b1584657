#include "faulty_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sessmtp::kube::testing {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

void require(bool done, const char* what) {
  if (!done) {
    std::perror(what);
    std::abort();
  }
}

int listen_anywhere(int backlog, int& port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  require(::bind(socket, generic(address), size) == 0, "bind");
  require(::listen(socket, backlog) == 0, "listen");
  require(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  port = ntohs(address.sin_port);
  return socket;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

X509* certificate_from(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  return certificate;
}

SSL_CTX* context_for(const ServerOptions& options) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  X509* certificate = certificate_from(options.identity->certificate);
  SSL_CTX_use_certificate(context, certificate);
  X509_free(certificate);
  const std::string& pem = options.identity->key;
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  require(SSL_CTX_use_PrivateKey(context, key) == 1, "server key");
  EVP_PKEY_free(key);
  if (options.outdated) {
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_cipher_list(context, "DEFAULT@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
  }
  if (!options.client_authority.empty()) {
    X509* authority = certificate_from(options.client_authority);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority);
    X509_free(authority);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

}  // namespace

std::string Connection::server_name() const {
  const char* name = ssl_ != nullptr ? SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name) : nullptr;
  return name != nullptr ? name : "";
}

std::string Connection::client_name() const {
  X509* certificate = ssl_ != nullptr ? SSL_get1_peer_certificate(ssl_) : nullptr;
  char name[256] = "";
  if (certificate != nullptr) {
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  }
  X509_free(certificate);
  return name;
}

long Connection::read_some(char* buffer, std::size_t size) {
  if (ssl_ != nullptr) {
    return SSL_read(ssl_, buffer, static_cast<int>(size));
  }
  return ::recv(socket_, buffer, size, 0);
}

std::optional<ReceivedRequest> Connection::read_request() {
  char block[16384];
  const auto more = [&] {
    const long count = read_some(block, sizeof block);
    if (count > 0) {
      buffer_.append(block, static_cast<std::size_t>(count));
    }
    return count > 0;
  };
  std::size_t head_end = 0;
  while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!more()) {
      return std::nullopt;
    }
  }
  ReceivedRequest request;
  const std::string head = buffer_.substr(0, head_end);
  buffer_.erase(0, head_end + 4);
  std::size_t line_end = std::min(head.find("\r\n"), head.size());
  const std::string line = head.substr(0, line_end);
  const std::size_t space = line.find(' ');
  request.method = line.substr(0, space);
  request.target = line.substr(space + 1, line.rfind(' ') - space - 1);
  while (line_end < head.size()) {
    const std::size_t begin = line_end + 2;
    line_end = std::min(head.find("\r\n", begin), head.size());
    const std::string header = head.substr(begin, line_end - begin);
    const std::size_t colon = header.find(':');
    const std::size_t value = std::min(header.find_first_not_of(' ', colon + 1), header.size());
    std::string& values = request.headers[lower(header.substr(0, colon))];
    values += (values.empty() ? "" : "\n") + header.substr(value);
  }
  const auto length = request.headers.find("content-length");
  const std::size_t size = length == request.headers.end() ? 0 : std::stoul(length->second);
  while (buffer_.size() < size) {
    if (!more()) {
      return std::nullopt;
    }
  }
  request.body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return request;
}

bool Connection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t size = std::min<std::size_t>(bytes.size(), 1 << 20);
    const long count = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), static_cast<int>(size))
                                       : ::send(socket_, bytes.data(), size, MSG_NOSIGNAL);
    if (count <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool Connection::answer(int status, std::string_view body, std::string_view extra_headers) {
  return write("HTTP/1.1 " + std::to_string(status) + " Status\r\n" + std::string(extra_headers) +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
}

bool Connection::begin_chunked(int status) {
  return write("HTTP/1.1 " + std::to_string(status) + " Status\r\nTransfer-Encoding: chunked\r\n\r\n");
}

bool Connection::chunk(std::string_view bytes) {
  char size[24];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return write(size + std::string(bytes) + "\r\n");
}

bool Connection::end_chunked() {
  return write("0\r\n\r\n");
}

void Connection::cut() {
  if (ssl_ != nullptr) {
    SSL_set_quiet_shutdown(ssl_, 1);
  }
  ::shutdown(socket_, SHUT_RDWR);
}

bool Connection::peer_closes_within(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  char block[4096];
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd ready{socket_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) {
      return false;
    }
    if (read_some(block, sizeof block) <= 0) {
      return true;
    }
  }
}

void Connection::wait_until_peer_closes() {
  char block[4096];
  while (read_some(block, sizeof block) > 0) {
  }
}

void Connection::relay_to(int port) {
  const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(other, generic(address), sizeof address) == 0) {
    pollfd ready[2] = {{socket_, POLLIN, 0}, {other, POLLIN, 0}};
    char block[16384];
    for (bool open = true; open && ::poll(ready, 2, -1) > 0;) {
      for (int from = 0; from < 2 && open; ++from) {
        if (ready[from].revents != 0) {
          const long count = ::recv(ready[from].fd, block, sizeof block, 0);
          open = count > 0 &&
                 ::send(ready[1 - from].fd, block, static_cast<std::size_t>(count), MSG_NOSIGNAL) == count;
        }
      }
    }
  }
  ::close(other);
}

FaultyServer::FaultyServer(ServerOptions options, Script script)
    : options_(std::move(options)), script_(std::move(script)) {
  if (options_.identity) {
    context_ = context_for(options_);
  }
  listener_ = listen_anywhere(128, port_);
  acceptor_ = std::jthread([this] { accept_all(); });
}

FaultyServer::~FaultyServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int socket : sockets_) {
      ::shutdown(socket, SHUT_RDWR);
    }
  }
  threads_.clear();  // joins
  ::close(listener_);
  SSL_CTX_free(context_);
}

std::string FaultyServer::url(const std::string& host) const {
  return (options_.identity ? "https://" : "http://") + host + ":" + std::to_string(port_);
}

void FaultyServer::accept_all() {
  while (true) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) {
      if (stopping_) {
        return;
      }
      continue;
    }
    const int at_once = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    const int number = connections_++;
    const std::lock_guard lock(mutex_);
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket, number] { serve(socket, number); });
  }
}

void FaultyServer::serve(int socket, int number) {
  sigset_t broken_pipe;  // SSL_write has no MSG_NOSIGNAL; the client under test must do without this
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);

  SSL* ssl = nullptr;
  bool ready = true;
  if (context_ != nullptr && options_.handshake) {
    ssl = SSL_new(context_);
    SSL_set_fd(ssl, socket);
    ready = SSL_accept(ssl) == 1;
  }
  if (ready) {
    Connection connection(socket, ssl, number);
    script_(connection);
    if (ssl != nullptr) {
      SSL_shutdown(ssl);
    }
  }
  // Lets the client read what was sent, an alert for example, before the socket is gone.
  ::shutdown(socket, SHUT_WR);
  char block[4096];
  while (::recv(socket, block, sizeof block, 0) > 0) {
  }
  SSL_free(ssl);
  ERR_clear_error();
  const std::lock_guard lock(mutex_);
  sockets_.remove(socket);
  ::close(socket);
}

int unused_port() {
  int port = 0;
  ::close(listen_anywhere(1, port));
  return port;
}

DeafListener::DeafListener() {
  sockets_.push_back(listen_anywhere(0, port_));
  const sockaddr_in address = loopback(port_);
  // The first few fill the queue; the kernel drops what comes after.
  for (int i = 0; i < 4; ++i) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    static_cast<void>(::connect(socket, generic(address), sizeof address));
    sockets_.push_back(socket);
  }
}

DeafListener::~DeafListener() {
  for (const int socket : sockets_) {
    ::close(socket);
  }
}

}  // namespace sessmtp::kube::testing
