#include "tests/fuzz/run.h"

#include <barrier>
#include <cmath>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "ir/diagnostic.h"
#include "tests/fuzz/failure.h"

namespace bnc::fuzz {

namespace {

constexpr size_t guard_bytes = 256;
constexpr unsigned char guard_byte = 0xff;   // as a float not a number

// Memory between two guards, not a number wherever nobody has written.
class GuardedBuffer {
 public:
  GuardedBuffer(size_t bytes, int64_t offset) : storage_(bytes + 2 * guard_bytes + 128, guard_byte), bytes_(bytes) {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data()) + guard_bytes;
    begin_ = guard_bytes + (64 - address % 64) % 64 + static_cast<size_t>(offset);
  }
  unsigned char* data() { return storage_.data() + begin_; }
  size_t bytes() const { return bytes_; }
  bool is_intact() const {
    for (size_t k = 0; k < storage_.size(); ++k)
      if ((k < begin_ || k >= begin_ + bytes_) && storage_[k] != guard_byte) return false;
    return true;
  }

 private:
  std::vector<unsigned char> storage_;
  size_t bytes_, begin_ = 0;
};

void store(const Tensor& tensor, loops::Scalar scalar, unsigned char* to) {
  for (size_t k = 0; k < tensor.data.size(); ++k) {
    const float real = static_cast<float>(tensor.data[k]);
    const int32_t whole = static_cast<int32_t>(tensor.data[k]);
    std::memcpy(to + 4 * k, scalar == loops::Scalar::i32 ? static_cast<const void*>(&whole) : &real, 4);
  }
}

Tensor load(loops::Scalar scalar, const unsigned char* from, size_t count) {
  Tensor tensor{scalar == loops::Scalar::i32 ? DType::i32 : DType::f32, {}, std::vector<double>(count)};
  for (size_t k = 0; k < count; ++k) {
    float real;
    int32_t whole;
    std::memcpy(&real, from + 4 * k, 4);
    std::memcpy(&whole, from + 4 * k, 4);
    tensor.data[k] = scalar == loops::Scalar::i32 ? whole : real;
  }
  return tensor;
}

}  // namespace

std::string Variant::describe() const {
  std::string text = fmt::format("CPU {}, {} batch", cpu, fixed_batch ? "known" : "symbolic");
  if (quick) text += ", compiled quickly";
  if (embed) text += ", weights embedded";
  if (l2_bytes) text += fmt::format(", l2 {} bytes", l2_bytes);
  if (cached_bytes) text += fmt::format(", results above {} bytes streamed", *cached_bytes);
  if (checks.bounds) text += ", bounds checked";
  if (checks.poison) text += ", memory poisoned";
  if (argument_offset) text += fmt::format(", arguments {} bytes behind a cache line's start", argument_offset);
  return text;
}

TargetDescription Variant::target() const {
  TargetDescription target = codegen::target_for(cpu, true);
  if (l2_bytes) target.l2_bytes = l2_bytes;
  if (cached_bytes) target.cached_bytes = *cached_bytes;
  return target;
}

const std::vector<std::string>& levels() {
  static const std::vector<std::string> found = [] {
    std::vector<std::string> list;
    for (const char* cpu : {"native", "haswell", "x86-64"}) {
      try {
        codegen::target_for(cpu, true);
        list.push_back(cpu);
      } catch (const CompileError&) {
        // this machine cannot run it
      }
    }
    return list;
  }();
  return found;
}

Compiled::Compiled(loops::Program program, const Variant& variant) : program_(std::move(program)), variant_(variant) {
  code_ = codegen::jit(program_, variant.target(), {.threads = 1, .quick = variant.quick, .checks = variant.checks});
}

Tensors Compiled::run(const Bindings& bindings, int64_t batch, int threads) const {
  std::vector<GuardedBuffer> buffers;
  std::vector<void*> arguments;
  buffers.reserve(program_.buffers.size());
  for (const loops::Buffer& buffer : program_.buffers) {
    if (buffer.kind != loops::BufferKind::argument) continue;
    buffers.emplace_back(static_cast<size_t>(buffer.elements.at(batch)) * 4, variant_.argument_offset);
    if (const auto value = bindings.find(buffer.name); value != bindings.end()) {
      BNC_CHECK(value->second.data.size() * 4 == buffers.back().bytes(), buffer.name);
      store(value->second, buffer.scalar, buffers.back().data());
    }
    arguments.resize(std::max(arguments.size(), static_cast<size_t>(buffer.argument) + 1));
    arguments[static_cast<size_t>(buffer.argument)] = buffers.back().data();
  }
  GuardedBuffer workspace(static_cast<size_t>(program_.workspace_bytes(batch, threads)), 0);
  std::barrier<> meeting(threads);
  const auto wait = [](void* context) { static_cast<std::barrier<>*>(context)->arrive_and_wait(); };
  const auto work = [&](int thread) { code_->step()(arguments.data(), workspace.data(), batch, thread, threads, wait, &meeting); };
  std::vector<std::thread> workers;
  for (int thread = 1; thread < threads; ++thread) workers.emplace_back(work, thread);
  work(0);
  for (std::thread& worker : workers) worker.join();

  try {
    code_->raise_fault();
  } catch (const InternalError& fault) {
    throw Failure("bounds", fmt::format("{}\n  {} threads, {}", fault.what(), threads, variant_.describe()));
  }
  if (!workspace.is_intact()) throw Failure("memory", fmt::format("written outside of the workspace, {} threads", threads));
  Tensors results;
  size_t next = 0;
  for (const loops::Buffer& buffer : program_.buffers) {
    if (buffer.kind != loops::BufferKind::argument) continue;
    GuardedBuffer& memory = buffers[next++];
    if (!memory.is_intact()) throw Failure("memory", fmt::format("written outside of the buffer {}, {} threads", buffer.name, threads));
    results[buffer.name] = load(buffer.scalar, memory.data(), memory.bytes() / 4);
  }
  return results;
}

}  // namespace bnc::fuzz
