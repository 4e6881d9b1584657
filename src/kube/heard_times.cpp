#include "kube/heard_times.h"

#include <algorithm>

namespace sessmtp::kube {

void HeardTimes::note(SteadyTime now) {
  const std::scoped_lock lock(mutex_);
  if (!heard_ || now - heard_->last > kPause) {
    heard_ = {.since = now, .last = now};
  }
  heard_->last = std::max(heard_->last, now);
}

std::optional<Heard> HeardTimes::get() const {
  const std::scoped_lock lock(mutex_);
  return heard_;
}

}  // namespace sessmtp::kube
