// A kubeconfig, as a person wrote it.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "kube/config.h"

namespace {

// In memory: the parser takes the names of files.
std::string path_of_this_process() {
  static const std::string path = "/dev/shm/ses-smtp-fuzz-" + std::to_string(::getpid());
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = path_of_this_process();
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) {
    return 0;
  }
  (void)std::fwrite(data, 1, size, file);
  (void)std::fclose(file);
  (void)sessmtp::kube::load_kubeconfig({.paths = path, .context = ""});
  (void)sessmtp::kube::load_kubeconfig({.paths = path + ':' + path, .context = "dev"});
  (void)::unlink(path.c_str());
  return 0;
}
