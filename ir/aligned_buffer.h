// Memory for a program's buffers and constants: zeroed, aligned to cache lines, in large pages where it is large: finding the
// small pages of a network's weights would cost a few percent of its inference. Of large memory the system clears each page when
// a thread first touches it, so that hundreds of megabytes do not hold up who only compiles.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace bnc {

struct FreeOrUnmap {
  size_t mapped = 0;   // bytes; 0: allocated
  void operator()(void* memory) const {
    if (mapped) ::munmap(memory, mapped);
    else std::free(memory);
  }
};

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes) {
    constexpr size_t line = 64;
    if (bytes > SIZE_MAX - 2 * page) throw std::bad_alloc();
    if (bytes >= page) {
      map(bytes);
    } else {
      const size_t rounded = std::max(line, (bytes + line - 1) / line * line);
      memory_ = Memory(std::aligned_alloc(line, rounded), FreeOrUnmap{});
      if (!memory_) throw std::bad_alloc();
      std::memset(memory_.get(), 0, rounded);
    }
    bytes_ = bytes;
  }
  void* get() const { return memory_.get(); }
  size_t bytes() const { return bytes_; }

 private:
  static constexpr size_t page = size_t{2} << 20;

  using Memory = std::unique_ptr<void, FreeOrUnmap>;

  // Maps a page more and gives back what lies outside of whole large ones. The last one stays small ones, of which only those
  // touched take memory.
  void map(size_t wanted) {
    const size_t bytes = (wanted + page - 1) / page * page;
    void* all = ::mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) throw std::bad_alloc();
    auto* first = static_cast<char*>(all);
    const size_t before = (page - reinterpret_cast<uintptr_t>(all) % page) % page;
    if (before) ::munmap(first, before);
    ::munmap(first + before + bytes, page - before);
    memory_ = Memory(first + before, FreeOrUnmap{bytes});
    ::madvise(memory_.get(), wanted / page * page, MADV_HUGEPAGE);
  }

  Memory memory_;
  size_t bytes_ = 0;
};

// Vectors whose elements begin at a cache line.
template <class T>
struct LineAllocator {
  using value_type = T;
  LineAllocator() = default;
  template <class Other> LineAllocator(const LineAllocator<Other>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{64})); }
  void deallocate(T* memory, size_t) { ::operator delete(memory, std::align_val_t{64}); }
  bool operator==(const LineAllocator&) const = default;
};
template <class T>
using AlignedVector = std::vector<T, LineAllocator<T>>;

}  // namespace bnc
