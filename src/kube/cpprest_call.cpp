#include "kube/cpprest_call.h"

#include <atomic>
#include <climits>
#include <utility>

#include "base/duration.h"
#include "base/log.h"
#include "base/text.h"

namespace sessmtp::kube {
namespace {

namespace http = web::http;
namespace streams = concurrency::streams;

// How long a cancelled call waits for the library to let go of its connection: usually microseconds,
// but a name lookup cannot be interrupted.
constexpr std::chrono::milliseconds kLetGo{500};

// Set while this thread starts a request: the library makes a new connection for it there, if at all.
thread_local bool* t_new_connection = nullptr;

// The end of a response stream: write-only, and each write waits for the caller.
class Sink final : public streams::details::streambuf_state_manager<std::uint8_t> {
 public:
  explicit Sink(std::shared_ptr<Call> call)
      : streambuf_state_manager(std::ios_base::out), call_(std::move(call)) {}

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  std::size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(std::size_t, std::ios_base::openmode) override {}
  std::size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return pos_type(-1); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return pos_type(-1); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return pos_type(-1);
  }
  bool acquire(std::uint8_t*&, std::size_t&) override { return false; }
  void release(std::uint8_t*, std::size_t) override {}
  // Done at once: the library waits for it on its only thread.
  using streambuf_state_manager::close;
  pplx::task<void> close(std::ios_base::openmode) override { return _close_write(); }

 private:
  pplx::task<std::size_t> _putn(const std::uint8_t* data, std::size_t size) override {
    return call_->deliver(reinterpret_cast<const char*>(data), size);
  }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }

  // The library writes by _putn alone.
  pplx::task<int_type> _putc(std::uint8_t) override { return none(); }
  pplx::task<int_type> _bumpc() override { return none(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return none(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return none(); }
  pplx::task<int_type> _ungetc() override { return none(); }
  pplx::task<std::size_t> _getn(std::uint8_t*, std::size_t) override {
    return pplx::task_from_result<std::size_t>(0);
  }
  std::size_t _scopy(std::uint8_t*, std::size_t) override { return 0; }
  std::uint8_t* _alloc(std::size_t) override { return nullptr; }
  void _commit(std::size_t) override {}
  static pplx::task<int_type> none() { return pplx::task_from_result<int_type>(traits::eof()); }

  const std::shared_ptr<Call> call_;
};

Call::Head head_of(const http::http_response& response) {
  Call::Head head;
  head.status = response.status_code();
  head.content_length = response.headers().content_length();
  const auto header = [&response](const char* name) {
    const auto found = response.headers().find(name);
    return found == response.headers().end() ? std::string() : found->second;
  };
  head.flow_schema = header("X-Kubernetes-PF-FlowSchema-UID");
  head.retry_after = parse_retry_after(header("Retry-After"));
  return head;
}

// The library keeps one value a name, and writes it as it is: several lines of one name (Impersonate-Group)
// travel as one value with the line ends in it. So nothing from outside may hold any.
void set_headers(const Headers& headers, http::http_headers& message) {
  for (const auto& [name, value] : headers) {
    if (has_control_characters(name) || has_control_characters(value)) {
      static std::atomic<bool> said = false;  // no credential of ours does: it is refused where it is read
      if (!said.exchange(true)) {
        log::error("requests not sent, for a header of theirs holds control characters");
      }
      throw SetupFailed("a request header holds control characters");
    }
    std::string& lines = message[name];
    lines = lines.empty() ? value : lines + "\r\n" + name + ": " + value;
  }
}

Call::Failure failure_of(std::exception_ptr exception) {
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const SetupFailed& e) {
    return {.text = e.what(), .ours = true};
  } catch (const http::http_exception& e) {
    return {.text = e.what(), .code = e.error_code().value()};
  } catch (const std::exception& e) {
    return {.text = e.what()};
  } catch (...) {
    return {.text = "unknown exception"};
  }
}

}  // namespace

void Pending::add() {
  const std::lock_guard lock(mutex_);
  ++count_;
}

void Pending::remove() {
  const std::lock_guard lock(mutex_);
  --count_;
  none_.notify_all();
}

void Pending::wait_for_none(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  none_.wait_for(lock, at_most, [this] { return count_ == 0; });
}

Call::Call(std::shared_ptr<Pending> pending, std::optional<std::size_t> room)
    : pending_(std::move(pending)), room_(room) {
  pending_->add();
}

void Call::start(const std::shared_ptr<Call>& call, http::client::http_client& client,
                 const Request& request) {
  try {
    http::http_request message(request.method);
    message.set_request_uri(web::uri(request.target));
    if (!request.body.empty()) {
      message.set_body(request.body, std::string());  // a copy: a call given up may outlive its caller
    }
    set_headers(request.headers, message.headers());
    message.set_response_stream(
        streams::ostream(streams::streambuf<std::uint8_t>(std::make_shared<Sink>(call))));

    t_new_connection = &call->new_connection_;
    pplx::task<http::http_response> answer = client.request(message, call->cancellation_.get_token());
    t_new_connection = nullptr;
    answer.then([call](pplx::task<http::http_response> headers_read) {
      try {
        const http::http_response response = headers_read.get();
        call->begin(head_of(response));
        // With a stream of our own, errors after the headers are seen here only.
        response.content_ready().then([call](pplx::task<http::http_response> body_read) {
          try {
            body_read.get();
            call->end(std::nullopt);
          } catch (...) {
            call->end(failure_of(std::current_exception()));
          }
        });
      } catch (...) {
        call->end(failure_of(std::current_exception()));
      }
    });
  } catch (...) {
    t_new_connection = nullptr;
    call->end(failure_of(std::current_exception()));
  }
}

void Call::note_new_connection() {
  if (t_new_connection != nullptr) {
    *t_new_connection = true;
  }
}

bool Call::has_news() const {
  if (gathers()) {
    return ended_ || too_large_;
  }
  return (head_ && !head_given_) || (head_given_ && piece_) || ended_;
}

Call::Event Call::wait(Instant deadline, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const bool news = changed_.wait_until(lock, stop, deadline, [this] { return has_news(); });
  if (gathers()) {
    head_given_ = head_.has_value();
    if (news) {
      return ended_ && !too_large_ ? Event::kEnd : Event::kTooLarge;
    }
    return stop.stop_requested() ? Event::kStopped : Event::kTimeout;
  }
  if (head_ && !head_given_ && ended_) {  // complete: time and stop no longer matter
    head_given_ = true;
    return Event::kHead;
  }
  if (!ended_ && stop.stop_requested()) {
    return Event::kStopped;
  }
  if (!news || (!ended_ && std::chrono::steady_clock::now() >= deadline)) {
    return Event::kTimeout;
  }
  if (head_ && !head_given_) {
    head_given_ = true;
    return Event::kHead;
  }
  return piece_ ? Event::kPiece : Event::kEnd;
}

void Call::take() {
  std::unique_lock lock(mutex_);
  const std::size_t size = std::exchange(piece_, std::nullopt)->size();
  const auto taken = std::exchange(taken_, {});
  lock.unlock();
  taken.set(size);
}

void Call::give_up() {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) {
      return;
    }
    given_up_ = true;
  }
  // Closes the socket, which asio allows on the thread that serves it only.
  pplx::create_task([cancellation = cancellation_] { cancellation.cancel(); });
  std::unique_lock lock(mutex_);
  if (std::exchange(piece_, std::nullopt)) {
    const auto taken = std::exchange(taken_, {});
    lock.unlock();
    taken.set_exception(http::http_exception("Given up"));
    lock.lock();
  }
  changed_.wait_for(lock, kLetGo, [this] { return ended_; });
}

void Call::begin(const Head& head) {
  const std::lock_guard lock(mutex_);
  head_ = head;
  too_large_ = gathers() && head.content_length > *room_;
  if (!gathers() || too_large_) {
    changed_.notify_all();
  }
}

pplx::task<std::size_t> Call::deliver(const char* data, std::size_t size) {
  const std::lock_guard lock(mutex_);
  // The library reads chunk sizes into an int: negative ones arrive here as huge.
  if (given_up_ || size > INT_MAX) {
    return pplx::task_from_exception<std::size_t>(http::http_exception("Invalid chunk"));
  }
  if (gathers()) {
    too_large_ = too_large_ || size > *room_ - body_.size();
    if (too_large_) {
      changed_.notify_all();
      return pplx::task_from_exception<std::size_t>(http::http_exception("Too large"));
    }
    body_.append(data, size);
    return pplx::task_from_result(size);
  }
  piece_ = std::string_view(data, size);
  taken_ = pplx::task_completion_event<std::size_t>();
  changed_.notify_all();
  return pplx::create_task(taken_);
}

void Call::end(std::optional<Failure> failure) {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    failure_ = std::move(failure);
    changed_.notify_all();
  }
  pending_->remove();
}

}  // namespace sessmtp::kube
