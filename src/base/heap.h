// How glibc's heap is kept small in a process with many threads that each need little. Others decide for
// themselves: there it does nothing.
#pragma once

namespace sessmtp {

// Call before the first thread. One arena for all (glibc would give each thread its own, which keeps the most
// that the thread ever needed), and large blocks go back to the system as they are freed.
void share_heap_among_threads() noexcept;

// Gives back what is free within the heap. Takes milliseconds.
void give_back_free_heap() noexcept;

}  // namespace sessmtp
