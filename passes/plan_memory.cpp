// plan-memory: gives every arena buffer a place; buffers alive at the same time never overlap.
//
// Sizes are constants or multiples of the batch size. The two kinds live in two areas, the constant one first, so that
// offsets stay valid for every batch size. Within an area: largest first, at the lowest place that is free for as long
// as the buffer lives (first fit by decreasing size). A kernel's scratch lies side by side; all kernels use the same memory.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "passes/passes.h"

namespace bnc {
namespace {

constexpr int64_t alignment = 64;           // bytes: a cache line and the widest vector
constexpr int64_t thread_alignment = 128;   // bytes: what hardware fetches together, so that threads do not share it

int64_t round_up(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

constexpr int64_t most = int64_t{1} << 61;  // bytes of an area, so that no sum of two overflows

int64_t bytes_of(const loops::Buffer& buffer) {
  const int64_t size = loops::size_of(buffer.scalar);
  return buffer.elements.factor > most / size ? most + alignment : round_up(buffer.elements.factor * size, alignment);
}

[[noreturn]] void fail_too_large(const loops::Program& program) {
  const loops::Buffer* largest = nullptr;
  for (const loops::Buffer& buffer : program.buffers) {
    if (buffer.kind == loops::BufferKind::arena && (!largest || buffer.elements.factor > largest->elements.factor)) largest = &buffer;
  }
  Diagnostic diagnostic{Severity::error, largest ? largest->range : SourceRange{}, "the values between kernels take more than 2^61 bytes of memory", {}};
  if (largest) diagnostic.note(fmt::format("the largest has {} elements{}", largest->elements.factor, largest->elements.batch ? " for each example" : ""));
  throw CompileError(std::move(diagnostic));
}

struct Interval {
  int buffer;
  size_t first, last;   // kernels, inclusive
  int64_t bytes, offset = 0;
};

bool overlap_in_time(const Interval& a, const Interval& b) { return a.first <= b.last && b.first <= a.last; }

// The arena's buffers in order of their numbers: those of constant size, or those that grow with the batch.
std::vector<Interval> intervals_of(const loops::Program& program, bool batch) {
  std::map<int, Interval> intervals;
  for (size_t k = 0; k < program.kernels.size(); ++k) {
    for (const std::vector<int>* ids : {&program.kernels[k].reads, &program.kernels[k].writes}) {
      for (int id : *ids) {
        const loops::Buffer& buffer = program.buffers[id];
        if (buffer.kind != loops::BufferKind::arena || buffer.elements.batch != batch) continue;
        intervals.try_emplace(id, Interval{id, k, k, bytes_of(buffer)}).first->second.last = k;
      }
    }
  }
  std::vector<Interval> result;
  for (const auto& [id, interval] : intervals) result.push_back(interval);
  return result;
}

// Places the intervals and returns the size of the area.
int64_t place(std::vector<Interval>& intervals, const loops::Program& program) {
  std::stable_sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) { return a.bytes > b.bytes; });
  std::vector<Interval> placed;   // by offset
  int64_t size = 0;
  for (Interval& interval : intervals) {
    for (const Interval& other : placed) {
      if (!overlap_in_time(interval, other)) continue;
      if (interval.offset + interval.bytes <= other.offset) break;
      interval.offset = std::max(interval.offset, other.offset + other.bytes);
    }
    size = std::max(size, interval.offset + interval.bytes);
    if (size > most) fail_too_large(program);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), interval, [](const Interval& a, const Interval& b) { return a.offset < b.offset; }), interval);
  }
  return size;
}

// Places a kernel's scratch and returns the bytes it takes.
int64_t place_scratch(loops::Program& program, const loops::Kernel& kernel) {
  int64_t bytes = 0;
  std::set<int> placed;
  for (const std::vector<int>* ids : {&kernel.writes, &kernel.reads}) {
    for (int id : *ids) {
      loops::Buffer& buffer = program.buffers[id];
      if (buffer.kind != loops::BufferKind::scratch || !placed.insert(id).second) continue;
      buffer.offset = bytes;
      bytes += bytes_of(buffer);
      if (bytes > most) fail_too_large(program);
    }
  }
  return bytes;
}

}  // namespace

bool plan_memory(loops::Program& program, PassContext&) {
  std::vector<Interval> constant = intervals_of(program, false), batch = intervals_of(program, true);
  program.arena_bytes = place(constant, program);
  program.arena_bytes_per_example = place(batch, program);
  for (const Interval& interval : constant) program.buffers[interval.buffer].offset = interval.offset;
  for (const Interval& interval : batch) {
    program.buffers[interval.buffer].offset = program.arena_bytes;
    program.buffers[interval.buffer].batch_offset = interval.offset;
  }
  program.scratch_bytes = 0;
  for (const loops::Kernel& kernel : program.kernels) program.scratch_bytes = std::max(program.scratch_bytes, place_scratch(program, kernel));
  program.scratch_bytes = round_up(program.scratch_bytes, thread_alignment);
  return true;
}

}  // namespace bnc
