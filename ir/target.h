// What the lowering needs to know of the machine it generates code for. Filled in by codegen, which alone knows LLVM.
#pragma once

#include <cstdint>
#include <string>

namespace bnc {

struct TargetDescription {
  std::string cpu;           // as LLVM names it: znver4, haswell, x86-64
  std::string features;      // LLVM feature string, empty for the CPU's own
  std::string triple;
  int vector_bytes = 16;     // width of a floating-point vector register: 64, 32 or 16
  int vector_registers = 16;
  bool masked_memory = false;  // cheap masked loads and stores
  bool fused_multiply_add = false;
  int64_t l1_bytes = 32 << 10, l2_bytes = 512 << 10;
  int64_t cache_line_bytes = 64, page_bytes = 4096;
  int64_t tlb_pages = 64;   // whose addresses a core has at hand
  // Lines that lie apart by a multiple of this fall into few sets of L1.
  int64_t conflicting_stride_bytes = 2048;
  bool prefetches_to_l2 = true;   // a prefetch into L2 alone is carried out; else one into all caches is
  // Results of more bytes are not expected in any cache when they are read. Fixed: what systems report of the last cache
  // differs by ten times from what a core has of it.
  int64_t cached_bytes = 32 << 20;

  int float_lanes() const { return vector_bytes / 4; }
  int64_t cache_line_floats() const { return cache_line_bytes / 4; }
  bool is_conflicting_stride(int64_t floats) const { return floats * 4 % conflicting_stride_bytes == 0; }
};

}  // namespace bnc
