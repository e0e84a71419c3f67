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
  // Whether a prefetch into the second cache alone comes to pass. On a Zen 4 it does not always, and one into all caches does
  // (docs/performance.md).
  bool second_cache_prefetch = true;
  int64_t l1_bytes = 32 << 10, l2_bytes = 512 << 10;
  // Results of more bytes are not expected in any cache when they are read. Fixed: what systems report of the last cache
  // differs by ten times from what a core has of it.
  int64_t cached_bytes = 32 << 20;

  int float_lanes() const { return vector_bytes / 4; }
};

}  // namespace bnc
