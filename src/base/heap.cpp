#include "base/heap.h"

#include <cstdlib>  // tells whether this is glibc

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace sessmtp {

void share_heap_among_threads() noexcept {
#ifdef __GLIBC__
  constexpr int kLarge = 128 * 1024;
  (void)mallopt(M_ARENA_MAX, 1);
  // Said outright, both stay: glibc would raise them with each larger block that is freed.
  (void)mallopt(M_MMAP_THRESHOLD, kLarge);
  (void)mallopt(M_TRIM_THRESHOLD, kLarge);
#endif
}

void give_back_free_heap() noexcept {
#ifdef __GLIBC__
  (void)malloc_trim(0);
#endif
}

}  // namespace sessmtp
