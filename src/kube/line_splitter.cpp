#include "kube/line_splitter.h"

namespace sessmtp::kube {

void LineSplitter::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    take(bytes.substr(0, end));
    if (end == std::string_view::npos) {
      return;
    }
    if (skipping_ || !partial_.empty()) {
      on_line_(partial_);
    }
    partial_.clear();
    skipping_ = false;
    bytes.remove_prefix(end + 1);
  }
}

void LineSplitter::take(std::string_view part) {
  if (skipping_) {
    return;
  }
  if (partial_.size() + part.size() > max_line_) {
    partial_ = std::string();
    skipping_ = true;
    return;
  }
  partial_ += part;
}

}  // namespace sessmtp::kube
