// What code that is compiled with Checks calls in this process.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "codegen/equal_kernels.h"
#include "ir/loops.h"

namespace bnc::codegen {

// Keeps the first access outside of a buffer that any thread reports.
class FaultRecord {
 public:
  FaultRecord(const loops::Program& program, const KernelFunctions& functions);

  // From generated code, at the end of each kernel. `access` is 2 * the buffer's position in its kernel, scratch behind the others, + 1 for
  // a store; -1 where nothing was outside.
  static void report(FaultRecord* record, int64_t kernel, int64_t access, int64_t index, int64_t n);
  // Memory for what would lie outside, enough for any vector.
  void* elsewhere() { return elsewhere_; }
  // InternalError where something was reported since the last call.
  void raise();

 private:
  struct Buffer {
    std::string name;
    Dim elements;
  };
  struct Kernel {
    std::string name;
    std::vector<Buffer> buffers;
  };
  std::vector<Kernel> kernels_;
  alignas(64) char elsewhere_[4096];
  std::atomic<bool> reported_{false};
  int64_t kernel_ = 0, access_ = 0, index_ = 0, n_ = 0;
};

}  // namespace bnc::codegen
