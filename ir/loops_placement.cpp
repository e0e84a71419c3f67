#include "ir/loops_placement.h"

#include <fmt/format.h>

#include <set>

#include "ir/diagnostic.h"

namespace bnc::loops {

namespace {

// `fixed + each * N` bytes.
struct Bytes {
  int64_t fixed = 0, each = 0;
};
Bytes begin_of(const Buffer& buffer) { return {buffer.offset, buffer.batch_offset}; }
Bytes end_of(const Buffer& buffer) {
  const int64_t size = size_of(buffer.scalar) * buffer.elements.factor;
  return {buffer.offset + (buffer.elements.batch ? 0 : size), buffer.batch_offset + (buffer.elements.batch ? size : 0)};
}

// For every batch size.
bool at_most(const Program& program, Bytes a, Bytes b) {
  const int64_t fixed = b.fixed - a.fixed, each = b.each - a.each;
  if (program.batch) return fixed + each * *program.batch >= 0;
  return each >= 0 && fixed + each >= 0;
}

void verify_placement(const Program& program, const Kernel& kernel) {
  const auto require = [&](bool condition, const Buffer& buffer, const char* rule) {
    if (!condition)
      throw InternalError(fmt::format("loop program '{}', kernel '{}': buffer '{}' {}", program.name, kernel.name, buffer.name, rule));
  };
  std::set<int> used(kernel.reads.begin(), kernel.reads.end());
  used.insert(kernel.writes.begin(), kernel.writes.end());
  for (int id : used) {
    const Buffer& buffer = program.buffers[id];
    const bool in_scratch = buffer.kind == BufferKind::scratch;
    if (buffer.kind != BufferKind::arena && !in_scratch) continue;
    require(buffer.offset % 64 == 0 && buffer.batch_offset % 64 == 0, buffer, "begins at a cache line");
    require(buffer.offset >= 0 && buffer.batch_offset >= 0, buffer, "begins inside of its memory");
    const Bytes memory = in_scratch ? Bytes{program.scratch_bytes, 0} : Bytes{program.arena_bytes, program.arena_bytes_per_example};
    require(at_most(program, end_of(buffer), memory), buffer, "ends inside of its memory");
    for (int other : used) {
      if (other <= id || program.buffers[other].kind != buffer.kind) continue;
      if (overlap_in_arena(program, buffer, program.buffers[other]))
        require(false, buffer, fmt::format("lies apart from '{}'", program.buffers[other].name).c_str());
    }
  }
}

}  // namespace

bool overlap_in_arena(const Program& program, const Buffer& a, const Buffer& b) {
  return !at_most(program, end_of(a), begin_of(b)) && !at_most(program, end_of(b), begin_of(a));
}

void verify_placement(const Program& program) {
  for (const Kernel& kernel : program.kernels) verify_placement(program, kernel);
}

}  // namespace bnc::loops
