// plan-memory: gives every arena buffer a place; buffers alive at the same time never overlap.
//
// Sizes are constants or multiples of the batch size. The two kinds live in two areas, the constant one first, so that
// offsets stay valid for every batch size. Within an area: largest first, at the lowest place that is free for as long
// as the buffer lives (first fit by decreasing size). A kernel's scratch lies side by side; all kernels use the same memory.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "ir/integers.h"
#include "passes/passes.h"

namespace bnc {
namespace {

constexpr int64_t alignment = 64;           // bytes: a cache line and the widest vector
constexpr int64_t thread_alignment = 128;   // bytes: what hardware fetches together, so that threads do not share it

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
  Diagnostic diagnostic{
      Severity::error, largest ? largest->range : SourceRange{}, "the values between kernels take more than 2^61 bytes of memory", {}};
  if (largest)
    diagnostic.note(
        fmt::format("the largest has {} elements{}", largest->elements.factor, largest->elements.batch ? " for each example" : ""));
  throw CompileError(std::move(diagnostic));
}

struct Interval {
  int buffer;
  size_t first, last;   // kernels, inclusive
  int64_t bytes, offset = 0;
};

// Ranges of addresses, merged where they touch.
class Ranges {
 public:
  void add(int64_t begin, int64_t end) {
    auto next = ends_.upper_bound(begin);
    if (next != ends_.begin() && std::prev(next)->second >= begin) --next;
    while (next != ends_.end() && next->first <= end) {
      begin = std::min(begin, next->first);
      end = std::max(end, next->second);
      next = ends_.erase(next);
    }
    ends_.emplace_hint(next, begin, end);
  }

  // Where the first range ends that shares an address with [begin, end); `begin` if none does.
  int64_t behind_overlap(int64_t begin, int64_t end) const {
    auto next = ends_.upper_bound(begin);
    if (next != ends_.begin() && std::prev(next)->second > begin) --next;
    return next != ends_.end() && next->first < end ? next->second : begin;
  }

 private:
  std::map<int64_t, int64_t> ends_;   // by where they begin
};

// Which addresses are taken when. Each buffer is noted at the nodes of a binary tree over the kernels that make up its life, so that
// placing one costs a logarithm of their number and what cannot be merged.
class Occupied {
 public:
  explicit Occupied(size_t kernels) : kernels_(kernels), whole_(4 * kernels), within_(4 * kernels) {}

  void take(const Interval& interval) {
    const int64_t end = interval.offset + interval.bytes;
    visit(interval, [&](size_t node, bool covered) {
      within_[node].add(interval.offset, end);
      if (covered) whole_[node].add(interval.offset, end);
    });
  }

  int64_t lowest_free(const Interval& interval) const {
    std::vector<const Ranges*> taken;
    visit(interval, [&](size_t node, bool covered) { taken.push_back(covered ? &within_[node] : &whole_[node]); });
    int64_t offset = 0;
    for (size_t k = 0, free = 0; free < taken.size(); k = (k + 1) % taken.size()) {
      const int64_t behind = taken[k]->behind_overlap(offset, offset + interval.bytes);
      free = behind == offset ? free + 1 : 0;
      offset = behind;
    }
    return offset;
  }

 private:
  // The nodes whose kernels all belong to the life of a buffer, and those above them.
  template <class Function>
  void visit(const Interval& interval, const Function& function) const {
    visit(interval, function, 1, 0, kernels_);
  }
  template <class Function> void visit(const Interval& interval, const Function& function, size_t node, size_t begin, size_t end) const {
    if (interval.last < begin || end <= interval.first) return;
    const bool covered = interval.first <= begin && end <= interval.last + 1;
    function(node, covered);
    if (covered) return;
    visit(interval, function, 2 * node, begin, (begin + end) / 2);
    visit(interval, function, 2 * node + 1, (begin + end) / 2, end);
  }

  size_t kernels_;
  std::vector<Ranges> whole_, within_;   // by node: of buffers that live through all its kernels; of those that live in any
};

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
  Occupied occupied(program.kernels.size());
  int64_t size = 0;
  for (Interval& interval : intervals) {
    interval.offset = occupied.lowest_free(interval);
    size = std::max(size, interval.offset + interval.bytes);
    if (size > most) fail_too_large(program);
    occupied.take(interval);
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
  for (const loops::Kernel& kernel : program.kernels)
    program.scratch_bytes = std::max(program.scratch_bytes, place_scratch(program, kernel));
  program.scratch_bytes = round_up(program.scratch_bytes, thread_alignment);
  return true;
}

}  // namespace bnc
