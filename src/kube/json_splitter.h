// Takes the objects out of an answer of the API server as its bytes arrive, so that a list of any
// length costs the memory of one object.
//
//   {"kind":"SecretList","metadata":{…},"items":[{…},{…}]}   member "items":  two objects
//   {"type":"ADDED","object":{…}}                            member "object": one object
//
// It finds where objects begin and end and judges nothing else: who takes them parses them.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "kube/line_splitter.h"

namespace sessmtp::kube {

// Not thread-safe. An object that the input does not complete is dropped, never handed over. Of one that
// is too long an empty text is handed over, so that somebody hears of it.
class JsonSplitter {
 public:
  static constexpr std::size_t kMaxEnvelope = std::size_t{1} << 20;

  using OnObject = std::function<void(std::string_view text)>;
  JsonSplitter(std::string_view member, OnObject on_object, std::size_t max_object = LineSplitter::kMaxLine)
      : member_(member), on_object_(std::move(on_object)), max_object_(max_object) {}

  void feed(std::string_view bytes);

  // What is left of the answer without its objects: `"items":[]`, `"object":null`. Cut off, and so no
  // JSON any more, above kMaxEnvelope.
  [[nodiscard]] const std::string& envelope() const { return envelope_; }

 private:
  [[nodiscard]] bool object_begins() const;
  void take(std::string_view part);
  void hand_over();

  const std::string member_;
  const OnObject on_object_;
  const std::size_t max_object_;
  std::string envelope_;
  std::string object_;
  std::string name_;         // the last text outside of the objects: a member's name, if a colon follows
  std::size_t depth_ = 0;    // of open braces and brackets
  std::size_t outside_ = 0;  // depth_ where the current object began
  bool in_text_ = false;
  bool escaped_ = false;
  bool in_object_ = false;
  bool in_member_ = false;  // its value is being read
  bool in_items_ = false;   // and is a list
  bool skipping_ = false;
};

}  // namespace sessmtp::kube
