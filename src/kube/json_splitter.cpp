#include "kube/json_splitter.h"

namespace sessmtp::kube {

void JsonSplitter::feed(std::string_view bytes) {
  std::size_t taken = 0;
  const auto take_until = [&](std::size_t end) {
    take(bytes.substr(taken, end - taken));
    taken = end;
  };
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (in_text_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_text_ = false;
      } else if (depth_ == 1 && name_.size() <= member_.size()) {
        name_ += c;
      }
      continue;
    }
    switch (c) {
      case '"':
        in_text_ = true;
        name_.clear();
        break;
      case ':':
        in_member_ = depth_ == 1 ? name_ == member_ : in_member_;
        break;
      case ',':
        if (in_items_ && depth_ == 2) {  // between two objects
          take_until(i);
          ++taken;
        }
        break;
      case '{':
      case '[':
        if (c == '{' && object_begins()) {
          take_until(i);
          in_object_ = true;
          outside_ = depth_;
        } else if (c == '[' && depth_ == 1 && in_member_) {
          in_items_ = true;
        }
        ++depth_;
        break;
      case '}':
      case ']':
        depth_ -= depth_ > 0 ? 1 : 0;
        if (in_object_ && depth_ == outside_) {
          take_until(i + 1);
          hand_over();
        } else if (in_items_ && depth_ == 1) {
          in_items_ = false;
        }
        break;
      default:
        break;
    }
  }
  take_until(bytes.size());
}

bool JsonSplitter::object_begins() const {
  return !in_object_ && in_member_ && (in_items_ ? depth_ == 2 : depth_ == 1);
}

void JsonSplitter::take(std::string_view part) {
  if (!in_object_) {
    envelope_ += part.substr(0, kMaxEnvelope - envelope_.size());
  } else if (!skipping_ && object_.size() + part.size() > max_object_) {
    object_ = std::string();
    skipping_ = true;
  } else if (!skipping_) {
    object_ += part;
  }
}

void JsonSplitter::hand_over() {
  in_object_ = false;
  if (!in_items_) {
    take("null");
  }
  on_object_(object_);  // empty after skipping
  object_.clear();
  skipping_ = false;
}

}  // namespace sessmtp::kube
