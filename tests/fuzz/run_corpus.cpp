// Instead of libFuzzer, with any compiler: the target once for each file of the folders that are given.
// Fails when there is none.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "fuzz.h"

int main(int argc, char** argv) {
  std::size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    std::error_code error;
    for (std::filesystem::directory_iterator at(argv[i], error); !error && at != decltype(at)();
         at.increment(error)) {
      const auto input = sessmtp::read_file(at->path());
      if (!input) {
        (void)std::fprintf(stderr, "%s\n", input.error().message.c_str());
        return 1;
      }
      (void)std::printf("%s\n", at->path().c_str());
      (void)std::fflush(stdout);  // so that the last line names the input that broke it
      (void)LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input->data()), input->size());
      ++inputs;
    }
  }
  if (inputs == 0) {
    (void)std::fprintf(stderr, "no inputs\n");
    return 1;
  }
  return 0;
}
