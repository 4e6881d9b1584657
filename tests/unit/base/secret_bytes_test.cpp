#include "base/secret_bytes.h"

#include <gmock/gmock.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace {

// What the last freed array held, as far as it fits: SecretBytes keeps its bytes in one.
constexpr std::size_t kWatched = 16;
char g_freed[kWatched];
const void* g_watched = nullptr;

void release(void* block) noexcept {
  if (block != nullptr && block == g_watched) {
    for (std::size_t i = 0; i < kWatched; ++i) {
      g_freed[i] = static_cast<const char*>(block)[i];
    }
    g_watched = nullptr;
  }
  std::free(block);
}

}  // namespace

void* operator new[](std::size_t size) {
  if (void* block = std::malloc(size == 0 ? 1 : size)) {
    return block;
  }
  throw std::bad_alloc();
}
void operator delete[](void* block) noexcept {
  release(block);
}
void operator delete[](void* block, std::size_t) noexcept {
  release(block);
}

namespace sessmtp {
namespace {

constexpr std::string_view kSecret = "sixteen bytes ok";
static_assert(kSecret.size() == kWatched);

const std::string kZeros(kWatched, '\0');

void watch(const SecretBytes& secret) {
  kSecret.copy(g_freed, kWatched);
  g_watched = secret.expose().data();
}

std::string freed() {
  return {g_freed, kWatched};
}

static_assert(!std::is_copy_constructible_v<SecretBytes> && !std::is_copy_assignable_v<SecretBytes>,
              "a copy of a secret must be visible as clone()");

template <class T>
concept Printable = requires(std::ostream& out, const T& value) { out << value; };
static_assert(!Printable<SecretBytes>, "a secret must not reach a stream by accident");

TEST(SecretBytes, NothingIsLeftInMemoryWhenItEnds) {
  {
    const SecretBytes secret(kSecret);
    watch(secret);
  }
  EXPECT_EQ(g_watched, nullptr) << "the block was not freed";
  EXPECT_EQ(freed(), kZeros);
}

TEST(SecretBytes, NothingIsLeftOfAValueThatIsReplaced) {
  SecretBytes secret(kSecret);
  watch(secret);
  secret = SecretBytes("another");
  EXPECT_EQ(g_watched, nullptr) << "the block was not freed";
  EXPECT_EQ(freed(), kZeros);
  EXPECT_EQ(secret.expose(), "another");
}

TEST(SecretBytes, MovingLeavesTheSourceEmpty) {
  SecretBytes source(kSecret);
  const SecretBytes target(std::move(source));
  EXPECT_EQ(target.expose(), kSecret);
  EXPECT_TRUE(source.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_EQ(source.expose(), "");
}

TEST(SecretBytes, MovingOntoItselfKeepsTheValue) {
  SecretBytes secret(kSecret);
  SecretBytes& same = secret;
  secret = std::move(same);
  EXPECT_EQ(secret.expose(), kSecret);
}

TEST(SecretBytes, HoldsAnyBytes) {
  const std::string_view bytes("\0\n\xff", 3);
  EXPECT_EQ(SecretBytes(bytes).expose(), bytes);
}

TEST(SecretBytes, EqualsComparesAllBytesAndTheLength) {
  const SecretBytes secret(kSecret);
  EXPECT_TRUE(secret.equals(secret.clone()));
  EXPECT_FALSE(secret.equals(SecretBytes("sixteen bytes oK")));
  EXPECT_FALSE(secret.equals(SecretBytes(kSecret.substr(1))));
  EXPECT_FALSE(secret.equals(SecretBytes()));
  EXPECT_TRUE(SecretBytes().equals(SecretBytes("")));
}

TEST(Wipe, OverwritesTheWholeBuffer) {
  std::string buffer(kSecret);
  wipe(buffer.data(), buffer.size());
  EXPECT_EQ(buffer, kZeros);
}

}  // namespace
}  // namespace sessmtp
