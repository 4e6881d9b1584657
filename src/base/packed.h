// Values as bytes, for those of which many are kept and few are looked at: a fifth of the memory.
//
// For this process alone: the bytes have no version and no order of bytes, and unpack() believes them.
// A struct takes part by a function fields_of() beside it, found by its argument, that ties all its members:
//
//   auto fields_of(SameAs<Endpoint> auto& value) {
//     auto& [host, port, tls] = value;
//     return std::tie(host, port, tls);
//   }
//
// A member that is added and not named there does not compile.
#pragma once

#include <chrono>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace sessmtp {

template <class T, class Struct>
concept SameAs = std::same_as<std::remove_const_t<T>, Struct>;

namespace packed_detail {

template <class T>
concept Scalar = std::integral<T> || std::is_enum_v<T>;

class Writer {
 public:
  // Seven bits a byte; the highest says that more follow.
  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes_ += static_cast<char>(value | 0x80);
    }
    bytes_ += static_cast<char>(value);
  }
  template <Scalar T>
  void operator()(const T& value) {
    // Zigzag: small negative numbers are short as well.
    const auto wide = static_cast<std::int64_t>(value);
    number((static_cast<std::uint64_t>(wide) << 1) ^ static_cast<std::uint64_t>(wide >> 63));
  }
  void operator()(const std::string& text) {
    number(text.size());
    bytes_ += text;
  }
  template <class Clock, class Duration>
  void operator()(const std::chrono::time_point<Clock, Duration>& time) {
    (*this)(time.time_since_epoch().count());
  }
  template <class Rep, class Period>
  void operator()(const std::chrono::duration<Rep, Period>& duration) {
    (*this)(duration.count());
  }
  template <class T>
  void operator()(const std::optional<T>& value) {
    (*this)(value.has_value());
    if (value) {
      (*this)(*value);
    }
  }
  template <class T>
  void operator()(const std::vector<T>& list) {
    number(list.size());
    for (const T& item : list) {
      (*this)(item);
    }
  }
  template <class K, class V>
  void operator()(const std::map<K, V>& map) {
    number(map.size());
    for (const auto& [key, value] : map) {
      (*this)(key);
      (*this)(value);
    }
  }
  template <class T>
    requires requires(const T& value) { fields_of(value); }
  void operator()(const T& value) {
    std::apply([this](const auto&... field) { ((*this)(field), ...); }, fields_of(value));
  }

  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t number() {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
  }
  template <Scalar T>
  void operator()(T& value) {
    const std::uint64_t zigzag = number();
    value = static_cast<T>(static_cast<std::int64_t>(zigzag >> 1) ^ -static_cast<std::int64_t>(zigzag & 1));
  }
  void operator()(std::string& text) {
    const auto size = static_cast<std::size_t>(number());
    text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
  }
  template <class Clock, class Duration>
  void operator()(std::chrono::time_point<Clock, Duration>& time) {
    Duration since{};
    (*this)(since);
    time = std::chrono::time_point<Clock, Duration>(since);
  }
  template <class Rep, class Period>
  void operator()(std::chrono::duration<Rep, Period>& duration) {
    Rep count{};
    (*this)(count);
    duration = std::chrono::duration<Rep, Period>(count);
  }
  template <class T>
  void operator()(std::optional<T>& value) {
    bool there = false;
    (*this)(there);
    value.reset();
    if (there) {
      (*this)(value.emplace());
    }
  }
  template <class T>
  void operator()(std::vector<T>& list) {
    list.resize(static_cast<std::size_t>(number()));
    for (T& item : list) {
      (*this)(item);
    }
  }
  template <class K, class V>
  void operator()(std::map<K, V>& map) {
    map.clear();
    for (std::uint64_t left = number(); left > 0; --left) {
      K key{};
      (*this)(key);
      (*this)(map[std::move(key)]);
    }
  }
  template <class T>
    requires requires(T& value) { fields_of(value); }
  void operator()(T& value) {
    std::apply([this](auto&... field) { ((*this)(field), ...); }, fields_of(value));
  }

 private:
  std::string_view bytes_;
};

}  // namespace packed_detail

template <class T>
class Packed {
 public:
  explicit Packed(const T& value) {
    packed_detail::Writer write;
    write(value);
    const std::string bytes = write.take();
    bytes_ = std::string(bytes);  // of the very size
  }

  [[nodiscard]] T unpack() const {
    T value{};
    packed_detail::Reader read(bytes_);
    read(value);
    return value;
  }

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

  // Equal when the values are; the order has no meaning.
  friend auto operator<=>(const Packed&, const Packed&) = default;

 private:
  std::string bytes_;
};

}  // namespace sessmtp
