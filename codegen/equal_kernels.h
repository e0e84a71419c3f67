// Kernels that are the same code: one function serves them all.
#pragma once

#include <vector>

#include "ir/loops.h"

namespace bnc::codegen {

struct KernelFunctions {
  std::vector<int> function;              // for each kernel: the first kernel whose code it shares; itself when there is none before it
  std::vector<std::vector<int>> buffers;  // for each kernel: the buffers its function is called with, in order of first use; no scratch
  std::vector<std::vector<int>> scratch;  // for each kernel: its scratch, in order of first use
};

// Kernels share a function when they differ in nothing but the names of variables, the number of tasks and which buffers
// they work on, as far as these are alike: of the same element type and alignment, written or constant alike, and free to
// be the same memory in the same pairs.
KernelFunctions find_equal_kernels(const loops::Program& program);

// Whether two buffers of a kernel may be the same memory: an argument that is written and another of its size, which make
// an update in place.
bool may_share_memory(const loops::Program& program, const loops::Kernel& kernel, int a, int b);

}  // namespace bnc::codegen
