// Small files, read whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace sessmtp {

inline constexpr std::size_t kMaxFileSize = std::size_t{4} << 20;

// kNotFound when it is not there, kIo when it cannot be read, kInvalidInput beyond max_size bytes.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            std::size_t max_size = kMaxFileSize);

}  // namespace sessmtp
