// Memory for a program's buffers and constants: zeroed, aligned to cache lines, in large pages where it is large: finding the
// small pages of a network's weights would slow its inference. Of large memory the system clears each page when
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

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes) : memory_(allocate(bytes, page)), bytes_(bytes) {}
  AlignedBuffer(AlignedBuffer&&) = default;
  AlignedBuffer& operator=(AlignedBuffer&&) = default;

  // Buffers side by side in one piece of memory, freed with the last of them: what is used together shares large pages, small ones
  // too, which is faster (docs/performance.md).
  static std::vector<AlignedBuffer> together(const std::vector<size_t>& sizes) {
    std::vector<size_t> begins;
    size_t all = 0;
    for (size_t bytes : sizes) {
      begins.push_back(all);
      if (bytes > SIZE_MAX - 2 * page - all) throw std::bad_alloc();
      all += lines_of(bytes);
    }
    const std::shared_ptr<char> memory = allocate(all, page / 4);
    std::vector<AlignedBuffer> buffers(sizes.size());
    for (size_t k = 0; k < sizes.size(); ++k) {
      buffers[k].memory_ = std::shared_ptr<char>(memory, memory.get() + begins[k]);
      buffers[k].bytes_ = sizes[k];
    }
    return buffers;
  }

  void* get() const { return memory_.get(); }
  size_t bytes() const { return bytes_; }

 private:
  static constexpr size_t line = 64, page = size_t{2} << 20;

  static size_t lines_of(size_t bytes) { return std::max(line, (bytes + line - 1) / line * line); }

  // Of the last large page so many bytes are to be used; else it stays small ones, of which only those touched take memory.
  static std::shared_ptr<char> allocate(size_t bytes, size_t least) {
    if (bytes > SIZE_MAX - 2 * page) throw std::bad_alloc();
    if (bytes >= least) return map(bytes, (bytes + page - least) / page * page);
    void* memory = std::aligned_alloc(line, lines_of(bytes));
    if (!memory) throw std::bad_alloc();
    std::memset(memory, 0, lines_of(bytes));
    return {static_cast<char*>(memory), [](char* p) { std::free(p); }};
  }

  // Maps a page more and gives back what lies outside of whole large ones.
  static std::shared_ptr<char> map(size_t wanted, size_t large) {
    const size_t bytes = (wanted + page - 1) / page * page;
    void* all = ::mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) throw std::bad_alloc();
    auto* first = static_cast<char*>(all);
    const size_t before = (page - reinterpret_cast<uintptr_t>(all) % page) % page;
    if (before) ::munmap(first, before);
    ::munmap(first + before + bytes, page - before);
    ::madvise(first + before, large, MADV_HUGEPAGE);
    return {first + before, [bytes](char* p) { ::munmap(p, bytes); }};
  }

  std::shared_ptr<char> memory_;
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
