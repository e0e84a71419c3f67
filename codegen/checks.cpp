#include "codegen/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "codegen/codegen.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

FaultRecord::FaultRecord(const loops::Program& program, const KernelFunctions& functions) {
  fill_with_poison(elsewhere_, sizeof elsewhere_ / 4, 4);
  for (size_t k = 0; k < program.kernels.size(); ++k) {
    Kernel& kernel = kernels_.emplace_back(Kernel{program.kernels[k].name, {}});
    for (const auto* ids : {&functions.buffers[k], &functions.scratch[k]}) {
      for (int id : *ids) kernel.buffers.push_back({program.buffers[id].name, program.buffers[id].elements});
    }
  }
}

void FaultRecord::report(FaultRecord* record, int64_t kernel, int64_t access, int64_t index, int64_t n) {
  if (access < 0 || record->reported_.exchange(true)) return;
  record->kernel_ = kernel;
  record->access_ = access;
  record->index_ = index;
  record->n_ = n;
}

void FaultRecord::raise() {
  if (!reported_.exchange(false)) return;
  const Kernel& kernel = kernels_[static_cast<size_t>(kernel_)];
  const Buffer& buffer = kernel.buffers[static_cast<size_t>(access_ / 2)];
  throw InternalError(fmt::format("generated code left a buffer: kernel '{}' {} element {} of '{}', which has {} (N = {})", kernel.name,
                                  access_ % 2 ? "writes" : "reads", index_, buffer.name, buffer.elements.at(n_), n_));
}

void fill_with_poison(void* memory, int64_t elements, int64_t bytes) {
  const auto fill = [&](auto bits) {
    auto* to = static_cast<char*>(memory);
    for (int64_t k = 0; k < elements; ++k) std::memcpy(to + k * static_cast<int64_t>(sizeof bits), &bits, sizeof bits);
  };
  if (bytes == 8) fill(poison_bits_64);
  else if (bytes == 4) fill(poison_bits);
  else std::memset(memory, poison_bits & 0xff, static_cast<size_t>(elements * bytes));
}

}  // namespace bnc::codegen
