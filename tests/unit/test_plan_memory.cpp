// plan-memory: where buffers lie.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "ir/random.h"
#include "passes/pass.h"

using namespace bnc;
using namespace bnc::loops;

namespace {

// Kernel k reads buffer k and writes buffer k + 1: two neighbours live at the same time, and no others.
Program chain(const std::vector<Dim>& sizes) {
  Program program{.name = "chain"};
  for (size_t b = 0; b < sizes.size(); ++b) program.buffers.push_back({.name = "b" + std::to_string(b), .elements = sizes[b]});
  for (int k = 0; k + 1 < static_cast<int>(sizes.size()); ++k) {
    program.kernels.push_back({.name = "k" + std::to_string(k), .tasks = 1, .task_variable = "task", .reads = {k}, .writes = {k + 1}});
  }
  return program;
}

}  // namespace

TEST_CASE("buffers alive at different times share memory, others do not") {
  Program program = chain({{100}, {30}, {100}, {17}, {90}});
  PassContext context;
  plan_memory(program, context);
  CHECK(program.arena_bytes == 448 + 128);  // the largest pair of neighbours, in cache lines
  CHECK(program.arena_bytes_per_example == 0);
  for (size_t k = 0; k + 1 < program.buffers.size(); ++k) {
    const Buffer &a = program.buffers[k], &b = program.buffers[k + 1];
    CHECK((a.offset + 4 * a.elements.factor <= b.offset || b.offset + 4 * b.elements.factor <= a.offset));
    CHECK(a.offset % 64 == 0);
  }
}

TEST_CASE("multiples of the batch size lie behind what is constant") {
  Program program = chain({{3, true}, {33}, {40, true}, {5, true}});
  PassContext context;
  plan_memory(program, context);
  CHECK(program.arena_bytes == 192);
  CHECK(program.arena_bytes_per_example == 192 + 64);
  CHECK(program.buffers[1].offset == 0);
  CHECK(program.buffers[2].offset == 192);
  CHECK(program.buffers[3].batch_offset == 192);
}

TEST_CASE("elements of eight bytes take eight bytes") {
  Program program = chain({{9}, {9}});
  program.buffers[0].scalar = Scalar::f64;
  PassContext context;
  plan_memory(program, context);
  CHECK(program.arena_bytes == 128 + 64);
}

// The same rule without the trees: the lowest place that no buffer takes which was placed before and lives at the same time.
TEST_CASE("each buffer, largest first, takes the lowest place that is free as long as it lives") {
  for (const uint64_t seed : {1, 2, 3, 4, 5, 6}) {
    RandomStream random(seed, "lives");
    const auto below = [&](int64_t limit) { return static_cast<int64_t>(random.uniform() * static_cast<double>(limit)); };
    const int kernels = static_cast<int>(1 + below(60)), buffers = 150;
    Program program{.name = "lives"};
    for (int k = 0; k < kernels; ++k) program.kernels.push_back({.name = "k" + std::to_string(k), .tasks = 1, .task_variable = "task"});
    std::vector<std::pair<int64_t, int64_t>> lives;
    for (int b = 0; b < buffers; ++b) {
      program.buffers.push_back({.name = "b" + std::to_string(b), .elements = {1 + below(seed % 2 ? 400 : 40)}});
      const int64_t first = below(kernels), last = std::min<int64_t>(kernels - 1, first + below(b % 10 == 0 ? kernels : 6));
      lives.emplace_back(first, last);
      program.kernels[static_cast<size_t>(first)].writes.push_back(b);
      program.kernels[static_cast<size_t>(last)].reads.push_back(b);
    }
    PassContext context;
    plan_memory(program, context);

    const auto bytes = [&](int b) { return (4 * program.buffers[static_cast<size_t>(b)].elements.factor + 63) / 64 * 64; };
    std::vector<int> order(buffers), placed;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return bytes(a) > bytes(b); });
    for (const int b : order) {
      const auto is_free = [&](int64_t offset) {
        return std::none_of(placed.begin(), placed.end(), [&](int other) {
          const int64_t begin = program.buffers[static_cast<size_t>(other)].offset;
          const bool in_time = lives[static_cast<size_t>(b)].first <= lives[static_cast<size_t>(other)].second &&
                               lives[static_cast<size_t>(other)].first <= lives[static_cast<size_t>(b)].second;
          return in_time && offset < begin + bytes(other) && begin < offset + bytes(b);
        });
      };
      int64_t offset = 0;
      while (!is_free(offset)) offset += 64;
      CHECK(program.buffers[static_cast<size_t>(b)].offset == offset);
      placed.push_back(b);
    }
  }
}

TEST_CASE("more memory than 64 bits count is an error") {
  PassContext context;
  const int64_t large = int64_t{1} << 58;
  Program fits = chain({{large}, {large}, {1}}), together = chain({{large}, {large + 16}, {1}}),
          alone = chain({{1}, {2 * large, true}, {1}}), wraps = chain({{16 * large}, {1}});
  CHECK_NOTHROW(plan_memory(fits, context));
  for (Program* program : {&together, &wraps}) CHECK_THROWS_AS(plan_memory(*program, context), CompileError);
  CHECK_NOTHROW(plan_memory(alone, context));
}
