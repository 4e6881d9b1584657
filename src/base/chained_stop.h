// A stop of one's own that also follows another: for threads that must end when their owner does, also when
// an exception ends it.
#pragma once

#include <stop_token>
#include <utility>

namespace sessmtp {

// Declare it after the threads that it ends, so that it goes first.
class ChainedStop {
 public:
  explicit ChainedStop(std::stop_token parent) : follow_(std::move(parent), Follow{source_}) {}
  ~ChainedStop() { source_.request_stop(); }
  ChainedStop(const ChainedStop&) = delete;
  ChainedStop& operator=(const ChainedStop&) = delete;

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  struct Follow {
    std::stop_source source;  // shares its state
    void operator()() { source.request_stop(); }
  };
  std::stop_source source_;
  std::stop_callback<Follow> follow_;
};

}  // namespace sessmtp
