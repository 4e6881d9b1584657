// Cuts a byte stream into lines, with a limit: what a watch is made of.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace sessmtp::kube {

// Not thread-safe. A line that is cut off by the end of the stream is dropped, never handed over. Of one
// that is too long an empty text is handed over, so that somebody hears of it.
class LineSplitter {
 public:
  // Above anything the API server can store, escapes included.
  static constexpr std::size_t kMaxLine = std::size_t{16} << 20;

  using OnLine = std::function<void(std::string_view)>;
  explicit LineSplitter(OnLine on_line, std::size_t max_line = kMaxLine)
      : on_line_(std::move(on_line)), max_line_(max_line) {}

  void feed(std::string_view bytes);

 private:
  void take(std::string_view part);

  OnLine on_line_;
  std::size_t max_line_;
  std::string partial_;
  bool skipping_ = false;
};

}  // namespace sessmtp::kube
