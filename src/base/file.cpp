#include "base/file.h"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace sessmtp {

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_size) {
  const auto why = [&path] { return path.string() + ": " + std::generic_category().message(errno); };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) {
    return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, why());
  }
  std::string content;
  char block[16384];
  while (std::feof(file.get()) == 0 && std::ferror(file.get()) == 0) {
    content.append(block, std::fread(block, 1, sizeof block, file.get()));
    if (content.size() > max_size) {
      return fail(ErrorCode::kInvalidInput,
                  path.string() + ": larger than " + std::to_string(max_size) + " bytes");
    }
  }
  if (std::ferror(file.get()) != 0) {
    return fail(ErrorCode::kIo, why());
  }
  return content;
}

}  // namespace sessmtp
