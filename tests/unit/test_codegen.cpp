// Generated code against the interpreter: every expression, statement and operation, on every target that runs here.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <barrier>
#include <cstring>
#include <functional>
#include <random>
#include <thread>

#include "codegen/codegen.h"
#include "codegen/partition.h"
#include "ir/diagnostic.h"
#include "passes/pass.h"
#include "tests/unit/loop_interpreter.h"

using namespace bnc;
using namespace bnc::loops;
using bnc::loops::testing::Interpreter;
using bnc::loops::testing::Lane;

namespace {

std::vector<TargetDescription> targets() {
  std::vector<TargetDescription> found;
  for (const char* cpu : {"native", "haswell", "x86-64"}) {
    try {
      found.push_back(codegen::target_for(cpu, true));
    } catch (const CompileError&) {
      // this machine cannot run it
    }
  }
  return found;
}

Lane read_lane(Scalar scalar, const char* at) {
  auto get = [&](auto value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  switch (scalar) {
    case Scalar::boolean: return {0, get(uint8_t{})};
    case Scalar::i32: return {0, get(int32_t{})};
    case Scalar::i64: return {0, get(int64_t{})};
    case Scalar::f32: return {get(float{}), 0};
    case Scalar::f64: return {get(double{}), 0};
  }
  return {};
}

void write_lane(Scalar scalar, char* at, Lane lane) {
  auto put = [&](auto value) { std::memcpy(at, &value, sizeof value); };
  switch (scalar) {
    case Scalar::boolean: return put(static_cast<uint8_t>(lane.integer));
    case Scalar::i32: return put(static_cast<int32_t>(lane.integer));
    case Scalar::i64: return put(lane.integer);
    case Scalar::f32: return put(static_cast<float>(lane.real));
    case Scalar::f64: return put(lane.real);
  }
}

// Memory for a program: its arguments as bytes, and an arena with scratch behind it.
struct Memory {
  std::vector<std::vector<char>> buffers;
  std::vector<void*> arguments;
  std::vector<char> storage;
  void* arena = nullptr;

  Memory(const Program& program, int64_t n, const Interpreter& initial, int threads = 1) {
    for (size_t b = 0; b < program.buffers.size(); ++b) {
      const Buffer& buffer = program.buffers[b];
      size_t size = size_of(buffer.scalar);
      buffers.emplace_back(initial.memory[b].size() * size);
      for (size_t k = 0; k < initial.memory[b].size(); ++k) write_lane(buffer.scalar, &buffers[b][k * size], initial.memory[b][k]);
      if (buffer.kind != BufferKind::argument) continue;
      if (static_cast<int>(arguments.size()) <= buffer.argument) arguments.resize(buffer.argument + 1);
      arguments[buffer.argument] = buffers[b].data();
    }
    storage.resize(program.workspace_bytes(n, threads) + 64);
    arena = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(storage.data()) + 63) / 64 * 64);
  }
};

// Small integers, so that sums and products are exact in any order.
void fill(Interpreter& interpreter, const Program& program, uint32_t seed) {
  std::mt19937 random(seed);
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    if (program.buffers[b].kind != BufferKind::argument) continue;
    for (Lane& lane : interpreter.memory[b]) {
      int64_t value = static_cast<int64_t>(random() % 15) - 7;
      lane = program.buffers[b].scalar == Scalar::boolean ? Lane{0, value & 1} : Lane{static_cast<double>(value), value};
    }
  }
}

bool agree(Scalar scalar, Lane got, Lane want, double relative) {
  if (scalar != Scalar::f32 && scalar != Scalar::f64) return got.integer == want.integer;
  if (std::isnan(want.real)) return std::isnan(got.real);
  return got.real == want.real || std::abs(got.real - want.real) <= relative * std::abs(want.real);
}

void compare(const Program& program, const Interpreter& want, const Memory& got, double relative) {
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    if (buffer.kind != BufferKind::argument) continue;
    for (size_t k = 0; k < want.memory[b].size(); ++k) {
      Lane lane = read_lane(buffer.scalar, &got.buffers[b][k * size_of(buffer.scalar)]);
      bool same = agree(buffer.scalar, lane, want.memory[b][k], relative);
      if (same) continue;
      INFO(to_string(program) << buffer.name << "[" << k << "]: " << lane.real << "/" << lane.integer << ", not " << want.memory[b][k].real << "/" << want.memory[b][k].integer);
      REQUIRE(same);
    }
    CHECK(want.memory[b].size() * size_of(buffer.scalar) == got.buffers[b].size());
  }
}

void check(const Program& program, int64_t n = 1, double relative = 0, const std::function<void(Interpreter&)>& prepare = {}) {
  Interpreter want(program, n);
  fill(want, program, 1);
  if (prepare) prepare(want);
  for (const TargetDescription& target : targets()) {
    INFO("CPU " << target.cpu << ", " << program.name);
    Memory memory(program, n, want);
    codegen::jit(program, target)->step()(memory.arguments.data(), memory.arena, n, 0, 1, nullptr, nullptr);
    Interpreter expected = want;
    expected.run();
    compare(program, expected, memory, relative);
  }
}

// A program of one kernel over argument buffers of the given types; the last is the result.
Program one_kernel(const std::string& name, const std::vector<std::pair<Scalar, int64_t>>& buffers, Stmt body, Expr tasks = 1) {
  Program program{.name = name, .batch = 1};
  Kernel kernel{.name = "kernel", .tasks = tasks, .task_variable = "task", .body = block({body})};
  for (size_t b = 0; b < buffers.size(); ++b) {
    program.buffers.push_back({.name = "b" + std::to_string(b), .scalar = buffers[b].first, .elements = {buffers[b].second}, .kind = BufferKind::argument, .argument = static_cast<int>(b)});
    (b + 1 < buffers.size() ? kernel.reads : kernel.writes).push_back(static_cast<int>(b));
  }
  program.kernels = {kernel};
  return program;
}

const Expr i = variable("i");
constexpr int64_t length = 32;

// r[i..] = make(a[i..], b[i..], c[i..]) over vectors of `lanes`; a, b and c of one type.
Program elementwise(const std::string& name, Scalar from, Scalar to, int lanes, const std::function<Expr(Expr, Expr, Expr)>& make) {
  int64_t elements = length * lanes;
  auto operand = [&](int b) { return load(b, from, ramp(i, 1, lanes)); };
  Stmt body = loop("i", 0, elements, lanes, {store(3, ramp(i, 1, lanes), make(operand(0), operand(1), operand(2)))});
  return one_kernel(fmt::format("{}_{}", name, lanes), {{from, elements}, {from, elements}, {from, elements}, {to, elements}}, body);
}

constexpr int all_lanes[] = {1, 3, 8, 16};
constexpr Scalar numbers[] = {Scalar::i32, Scalar::i64, Scalar::f32, Scalar::f64};
bool is_float(Scalar scalar) { return scalar == Scalar::f32 || scalar == Scalar::f64; }

}  // namespace

TEST_CASE("unary operations") {
  for (int lanes : all_lanes) {
    for (Scalar scalar : numbers) {
      for (UnaryOp op : {UnaryOp::negate, UnaryOp::absolute}) check(elementwise("unary", scalar, scalar, lanes, [&](Expr a, Expr, Expr) { return unary(op, a); }));
    }
    check(elementwise("logical_not", Scalar::boolean, Scalar::boolean, lanes, [&](Expr a, Expr, Expr) { return unary(UnaryOp::logical_not, a); }));
    for (UnaryOp op : {UnaryOp::floor, UnaryOp::round_even}) {
      for (Scalar scalar : {Scalar::f32, Scalar::f64}) check(elementwise("round", scalar, scalar, lanes, [&](Expr a, Expr, Expr) { return unary(op, a * constant_of({scalar, 1}, 0.25)); }));
    }
    for (UnaryOp op : {UnaryOp::sqrt, UnaryOp::reciprocal_sqrt, UnaryOp::exp, UnaryOp::log, UnaryOp::log1p, UnaryOp::tanh, UnaryOp::sigmoid, UnaryOp::erf}) {
      for (Scalar scalar : {Scalar::f32, Scalar::f64}) {
        double relative = op == UnaryOp::sqrt ? 0 : scalar == Scalar::f32 ? 0x1p-22 : 0x1p-51;
        check(elementwise("function", scalar, scalar, lanes, [&](Expr a, Expr, Expr) { return unary(op, a); }), 1, relative);
      }
    }
  }
}

TEST_CASE("binary operations") {
  constexpr BinaryOp arithmetic[] = {BinaryOp::add, BinaryOp::subtract, BinaryOp::multiply, BinaryOp::minimum, BinaryOp::maximum};
  constexpr BinaryOp comparisons[] = {BinaryOp::less, BinaryOp::less_equal, BinaryOp::equal, BinaryOp::not_equal};
  constexpr BinaryOp bitwise[] = {BinaryOp::bit_and, BinaryOp::bit_or, BinaryOp::bit_xor};
  for (int lanes : all_lanes) {
    for (Scalar scalar : numbers) {
      auto each = [&](BinaryOp op, Scalar to, auto divisor) { check(elementwise("binary", scalar, to, lanes, [&](Expr a, Expr b, Expr) { return binary(op, a, divisor(b)); })); };
      auto as_is = [](Expr b) { return b; };
      for (BinaryOp op : arithmetic) each(op, scalar, as_is);
      for (BinaryOp op : comparisons) each(op, Scalar::boolean, as_is);
      if (is_float(scalar)) {
        each(BinaryOp::divide, scalar, as_is);  // also by zero
        continue;
      }
      for (BinaryOp op : bitwise) each(op, scalar, as_is);
      for (BinaryOp op : {BinaryOp::divide, BinaryOp::modulo}) {
        each(op, scalar, [](Expr b) { return binary(BinaryOp::bit_and, b, Expr(7)) + 1; });
        each(op, scalar, [](Expr) { return Expr(4); });
        each(op, scalar, [](Expr) { return Expr(5); });
      }
      for (BinaryOp op : {BinaryOp::shift_left, BinaryOp::shift_right_logical}) each(op, scalar, [](Expr b) { return binary(BinaryOp::bit_and, b, Expr(7)); });
    }
    for (BinaryOp op : {BinaryOp::logical_and, BinaryOp::logical_or}) {
      check(elementwise("logical", Scalar::boolean, Scalar::boolean, lanes, [&](Expr a, Expr b, Expr) { return binary(op, a, b); }));
    }
  }
}

TEST_CASE("i32 arithmetic wraps around") {
  for (int lanes : {1, 8, 16}) {
    check(elementwise("wrap", Scalar::i32, Scalar::i32, lanes, [&](Expr a, Expr b, Expr) { return (a + 2147483647) * 1103515245 + b * 40503; }));
    check(elementwise("hash", Scalar::i32, Scalar::i32, lanes, [&](Expr a, Expr, Expr) { return binary(BinaryOp::bit_xor, a * 747796405, binary(BinaryOp::shift_right_logical, a * 747796405, Expr(16))); }));
  }
}

TEST_CASE("casts") {
  constexpr Scalar all[] = {Scalar::boolean, Scalar::i32, Scalar::i64, Scalar::f32, Scalar::f64};
  for (int lanes : {1, 4, 16}) {
    for (Scalar from : all) {
      for (Scalar to : all) check(elementwise("cast", from, to, lanes, [&](Expr a, Expr, Expr) { return cast(to, a); }));
    }
    check(elementwise("truncate", Scalar::f32, Scalar::i32, lanes, [&](Expr a, Expr, Expr) { return cast(Scalar::i32, a * real(0.3)); }));
  }
}

TEST_CASE("select and fma") {
  for (int lanes : all_lanes) {
    for (Scalar scalar : numbers) {
      check(elementwise("select", scalar, scalar, lanes, [&](Expr a, Expr b, Expr c) { return select(a < b, b, c); }));
      if (is_float(scalar)) check(elementwise("fma", scalar, scalar, lanes, [&](Expr a, Expr b, Expr c) { return fma(a, b, c); }));
    }
  }
}

TEST_CASE("fma rounds once where the target can") {
  // 1 + 2^-12 squared minus 1 keeps 2^-24 only when it is not rounded in between.
  Program program = elementwise("fma_once", Scalar::f32, Scalar::f32, 8, [&](Expr a, Expr b, Expr c) { return fma(a, b, c); });
  for (const TargetDescription& target : targets()) {
    Interpreter interpreter(program, 1);
    for (int b : {0, 1, 2}) std::fill(interpreter.memory[b].begin(), interpreter.memory[b].end(), Lane{b == 2 ? -1.0 : 0x1.001p0, 0});
    Memory memory(program, 1, interpreter);
    codegen::jit(program, target)->step()(memory.arguments.data(), nullptr, 1, 0, 1, nullptr, nullptr);
    CHECK(read_lane(Scalar::f32, memory.buffers[3].data()).real == (target.fused_multiply_add ? 0x1p-11 + 0x1p-24 : 0x1p-11));
  }
}

TEST_CASE("minimum and maximum hand NaN on") {
  auto prepare = [](Interpreter& interpreter) {
    for (size_t k = 0; k < interpreter.memory[0].size(); k += 3) interpreter.memory[0][k].real = NAN;
    for (size_t k = 0; k < interpreter.memory[1].size(); k += 4) interpreter.memory[1][k].real = k % 8 ? NAN : INFINITY;
  };
  for (int lanes : {1, 4, 16}) {
    for (BinaryOp op : {BinaryOp::minimum, BinaryOp::maximum}) {
      check(elementwise("both", Scalar::f32, Scalar::f32, lanes, [&](Expr a, Expr b, Expr) { return binary(op, a, b); }), 1, 0, prepare);
      check(elementwise("constant", Scalar::f32, Scalar::f32, lanes, [&](Expr a, Expr, Expr) { return binary(op, a, real(0)); }), 1, 0, prepare);
      check(elementwise("constant_first", Scalar::f32, Scalar::f32, lanes, [&](Expr a, Expr, Expr) { return binary(op, real(2), a); }), 1, 0, prepare);
    }
  }
}

TEST_CASE("reductions over lanes") {
  for (int lanes : {2, 3, 4, 5, 7, 8, 16, 17, 32}) {
    for (Scalar scalar : numbers) {
      for (BinaryOp op : {BinaryOp::add, BinaryOp::minimum, BinaryOp::maximum}) {
        Stmt body = loop("i", 0, length, 1, {store(1, i, reduce_lanes(op, load(0, scalar, ramp(i * lanes, 1, lanes))))});
        check(one_kernel(fmt::format("reduce_{}", lanes), {{scalar, length * lanes}, {scalar, length}}, body));
      }
    }
  }
}

TEST_CASE("the tree of a reduction over lanes is fixed") {
  Stmt body = loop("i", 0, length, 1, {store(1, i, reduce_lanes(BinaryOp::add, load(0, Scalar::f32, ramp(i * 13, 1, 13))))});
  check(one_kernel("tree", {{Scalar::f32, length * 13}, {Scalar::f32, length}}, body), 1, 0, [](Interpreter& interpreter) {
    std::mt19937 random(3);
    for (Lane& lane : interpreter.memory[0]) lane.real = static_cast<float>(std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 30) - 40));
  });
}

TEST_CASE("loads and stores of every shape, with and without predicates") {
  for (int lanes : {1, 4, 8, 16}) {
    for (Scalar scalar : {Scalar::f32, Scalar::i32, Scalar::f64}) {
      // Lane k of vector i: contiguous, reversed, strided, all the same, and through an index buffer.
      Expr first = i * lanes;
      std::vector<Expr> indices{ramp(first, 1, lanes), ramp(first + (lanes - 1), -1, lanes), ramp(i, length, lanes), ramp(length * lanes - 1 - i, -length, lanes),
                                load(1, Scalar::i32, ramp(first, 1, lanes))};
      Expr predicate = load(2, Scalar::boolean, ramp(first, 1, lanes));
      int64_t elements = length * lanes;
      std::vector<std::pair<Scalar, int64_t>> buffers{{scalar, elements}, {Scalar::i32, elements}, {Scalar::boolean, elements}, {scalar, elements}};
      auto prepare = [&](Interpreter& interpreter) {
        for (int64_t k = 0; k < elements; ++k) interpreter.memory[1][k].integer = (k * 7) % elements;
      };
      for (const Expr& index : indices) {
        for (const Expr& where : {Expr(), predicate}) {
          auto program = [&](Stmt body) { return one_kernel(fmt::format("access_{}", lanes), buffers, loop("i", 0, length, 1, {body})); };
          check(program(store(3, ramp(first, 1, lanes), load(0, scalar, index, where))), 1, 0, prepare);
          if (lanes * 7 % 2 == 0 || lanes == 1) check(program(store(3, index, load(0, scalar, ramp(first, 1, lanes)), where)), 1, 0, prepare);
        }
      }
    }
  }
}

TEST_CASE("tails by predicates, at odd sizes") {
  for (int64_t size : {1, 2, 15, 16, 17, 31, 33, 100}) {
    for (int lanes : {4, 8, 16}) {
      Expr index = ramp(i, 1, lanes), inside = index < Expr(size);
      Stmt body = loop("i", 0, size, lanes, {store(1, index, load(0, Scalar::f32, index, inside) * real(2), inside)});
      check(one_kernel("tail", {{Scalar::f32, size}, {Scalar::f32, size}}, body));
    }
  }
}

TEST_CASE("loops, conditionals, lets and registers") {
  for (int lanes : {1, 4, 16}) {
    Type vector{Scalar::f32, lanes};
    Expr row = variable("row"), column = variable("column"), index = variable("index", {Scalar::i64, lanes}), task = variable("task");
    Expr sum = read_register("sum", vector, row);
    // Sums of 3 rows at a time over 5 columns of vectors; odd tasks add the task's number.
    Stmt body = block({
        declare_registers("sum", vector, 3),
        loop("row", 0, 3, 1, {write_register("sum", row, real(0, vector))}, LoopKind::unrolled),
        loop("column", 0, 5, 1, {
            loop("row", 0, 3, 1, {
                let("index", ramp(((task * 3 + row) * 5 + column) * lanes, 1, lanes)),
                write_register("sum", row, sum + load(0, Scalar::f32, index)),
            }, LoopKind::unrolled),
        }),
        conditional(task % 2 == 1, {loop("row", 0, 3, 2, {write_register("sum", row, sum + cast(Scalar::f32, task))}, LoopKind::unrolled)}),
        let("base", task * 3),
        loop("row", 0, 3, 1, {conditional(row < Expr(3), {store(1, ramp((variable("base") + row) * lanes, 1, lanes), sum)})}, LoopKind::unrolled),
    });
    check(one_kernel("statements", {{Scalar::f32, 7 * 15 * lanes}, {Scalar::f32, 21 * lanes}}, body, 7));
  }
}

TEST_CASE("loops that run never, once, or with a step that overshoots") {
  for (auto [begin, end, step] : {std::tuple{0, 0, 1}, {3, 1, 1}, {2, 3, 1}, {0, 10, 3}, {0, 9, 3}, {1, 2, 16}}) {
    for (LoopKind kind : {LoopKind::serial, LoopKind::unrolled}) {
      check(one_kernel("bounds", {{Scalar::f32, 16}, {Scalar::f32, 16}}, loop("i", begin, end, step, {store(1, i, load(0, Scalar::f32, i) + real(1))}, kind)));
    }
    Expr limit = cast(Scalar::i64, load(0, Scalar::i32, 0));  // known at run time only
    check(one_kernel("dynamic", {{Scalar::i32, 16}, {Scalar::f32, 16}}, loop("i", begin, limit, step, {store(1, i, cast(Scalar::f32, i))})), 1, 0,
          [&](Interpreter& interpreter) { interpreter.memory[0][0].integer = end; });
  }
}

namespace {

// t = 2x over tasks, s = sum of t in fixed parts, y = t + s: three kernels with dependences through the arena.
Program three_kernels() {
  Program program{.name = "three"};
  program.buffers = {{.name = "x", .elements = {24, true}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "t", .elements = {24, true}, .offset = 64, .batch_offset = 0},
                     {.name = "s", .elements = {1}, .offset = 0},
                     {.name = "c", .elements = {8}, .kind = BufferKind::constant, .data = {1, 2, 3, 4, 5, 6, 7, 8}},
                     {.name = "y", .elements = {24, true}, .kind = BufferKind::argument, .argument = 1}};
  program.arena_bytes = 64;
  program.arena_bytes_per_example = 128;
  Expr row = variable("row"), n = variable(batch_variable), at = ramp(row * 24 + i, 1, 8), sum = read_register("sum", {Scalar::f32, 8}, 0);
  Stmt twice = loop("i", 0, 24, 8, {store(1, at, load(0, Scalar::f32, at) * real(2) + load(3, Scalar::f32, ramp(0, 1, 8)))});
  Stmt total = block({declare_registers("sum", {Scalar::f32, 8}, 1), write_register("sum", 0, real(0, {Scalar::f32, 8})),
                      loop("i", 0, n * 24, 8, {write_register("sum", 0, sum + load(1, Scalar::f32, ramp(i, 1, 8)))}),
                      store(2, 0, reduce_lanes(BinaryOp::add, sum))});
  Stmt add = loop("i", 0, 24, 8, {store(4, at, load(1, Scalar::f32, at) * real(0.1) + load(2, Scalar::f32, 0))});
  program.kernels = {{.name = "twice", .tasks = n, .task_variable = "row", .body = twice, .reads = {0, 3}, .writes = {1}},
                     {.name = "total", .tasks = 1, .task_variable = "one", .body = total, .reads = {1}, .writes = {2}},
                     {.name = "add", .tasks = n, .task_variable = "row", .body = add, .reads = {1, 2}, .writes = {4}}};
  return program;
}

// Two kernels that work in scratch: each row of 21 elements is copied to its middle with zeros around, and read from
// there in windows of three; the second kernel finds its own scratch where the first had its.
Program scratch_program() {
  Program program{.name = "scratch"};
  program.buffers = {{.name = "x", .elements = {21, true}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "t", .elements = {21, true}},
                     {.name = "small", .scalar = Scalar::f64, .elements = {3}, .kind = BufferKind::scratch},
                     {.name = "window", .elements = {23}, .kind = BufferKind::scratch},
                     {.name = "y", .elements = {21, true}, .kind = BufferKind::argument, .argument = 1},
                     {.name = "other", .elements = {40}, .kind = BufferKind::scratch}};
  Expr row = variable("row"), at = row * 21 + i, n = variable(batch_variable);
  auto windows = [&](int from, int window, int to, Expr factor) {
    Expr sum = load(window, Scalar::f32, i) + load(window, Scalar::f32, i + 1) * factor + load(window, Scalar::f32, i + 2);
    return block({store(window, 0, real(0)), store(window, 22, real(0)), loop("i", 0, 21, 1, {store(window, i + 1, load(from, Scalar::f32, at))}),
                  loop("i", 0, 21, 1, {store(to, at, sum)})});
  };
  Stmt first = block({loop("i", 0, 3, 1, {store(2, i, cast(Scalar::f64, row + i))}), windows(0, 3, 1, cast(Scalar::f32, load(2, Scalar::f64, 2)))});
  program.kernels = {{.name = "first", .tasks = n, .task_variable = "row", .body = first, .reads = {0, 2, 3}, .writes = {1, 2, 3}},
                     {.name = "second", .tasks = n, .task_variable = "row", .body = windows(1, 5, 4, real(-2)), .reads = {1, 5}, .writes = {4, 5}}};
  PassContext context;
  plan_memory(program, context);
  return program;
}

std::vector<char> run_threads(const Program& program, codegen::StepFunction step, int64_t n, int threads) {
  Interpreter initial(program, n);
  fill(initial, program, 5);
  Memory memory(program, n, initial, threads);
  std::barrier<> meeting(threads);
  auto wait = [](void* context) { static_cast<std::barrier<>*>(context)->arrive_and_wait(); };
  std::vector<std::thread> workers;
  for (int thread = 0; thread < threads; ++thread) {
    workers.emplace_back([&, thread] { step(memory.arguments.data(), memory.arena, n, thread, threads, wait, &meeting); });
  }
  for (std::thread& worker : workers) worker.join();
  return memory.buffers[4];
}

}  // namespace

TEST_CASE("kernels that depend on one another, for any batch size") {
  for (int64_t n : {1, 2, 7, 33}) check(three_kernels(), n, 0x1p-22);
  Program fixed = three_kernels();
  fixed.batch = 5;
  check(fixed, 5, 0x1p-22);
}

TEST_CASE("any number of threads gives the same bits") {
  Program program = three_kernels();
  auto compiled = codegen::jit(program, codegen::target_for("native", true));
  for (int64_t n : {1, 3, 17}) {
    std::vector<char> one = run_threads(program, compiled->step(), n, 1);
    for (int threads : {2, 3, 8}) CHECK(run_threads(program, compiled->step(), n, threads) == one);
  }
}

TEST_CASE("scratch belongs to a thread and lies behind the arena") {
  Program program = scratch_program();
  CHECK(program.buffers[2].offset == 0);
  CHECK(program.buffers[3].offset == 64);
  CHECK(program.buffers[5].offset == 0);
  CHECK(program.scratch_bytes == 256);  // 64 + 92 and 160, in whole pairs of cache lines
  CHECK(program.workspace_bytes(3, 2) == 3 * 128 + 2 * 256);
  for (int64_t n : {1, 5, 18}) check(program, n);
  auto compiled = codegen::jit(program, codegen::target_for("native", true));
  std::vector<char> one = run_threads(program, compiled->step(), 37, 1);
  for (int threads : {2, 5}) CHECK(run_threads(program, compiled->step(), 37, threads) == one);
}

TEST_CASE("barriers stand between dependent kernels only") {
  auto barriers = [](const Program& program) {
    auto compiled = codegen::jit(program, codegen::target_for("native", true));
    Interpreter initial(program, 1);
    Memory memory(program, 1, initial);
    int count = 0;
    compiled->step()(memory.arguments.data(), memory.arena, 1, 0, 2, [](void* context) { ++*static_cast<int*>(context); }, &count);
    return count;
  };
  Program program = three_kernels();
  CHECK(barriers(program) == 2);
  program.kernels.erase(program.kernels.begin() + 1);
  CHECK(barriers(program) == 1);
  program.buffers[4].elements = {32, true};  // as large as `x` it might be `x`
  program.kernels[1].reads = {2};
  program.kernels[1].body = store(4, variable("row"), load(2, Scalar::f32, 0));
  CHECK(barriers(program) == 0);
  program.buffers[2].offset = 64;  // `s` now lies where `t` does
  CHECK(barriers(program) == 1);
}

namespace {

// Equal layers of 20 elements a row: y = max(x * weight + bias, 0), each with buffers and a loop variable of its own.
Program equal_layers(int layers) {
  Program program{.name = "layers"};
  auto add = [&](Buffer buffer) {
    program.buffers.push_back(std::move(buffer));
    return static_cast<int>(program.buffers.size()) - 1;
  };
  int x = add({.name = "x", .elements = {20, true}, .kind = BufferKind::argument, .argument = 0});
  for (int k = 0; k < layers; ++k) {
    std::string number = std::to_string(k);
    Buffer constant{.name = "weight" + number, .elements = {20}, .kind = BufferKind::constant, .data = std::vector<float>(20, static_cast<float>(k % 3 + 1))};
    int weight = add(constant), scratch = add({.name = "scratch" + number, .elements = {20}, .kind = BufferKind::scratch});
    int y = add({.name = "y" + number, .elements = {20, true}});
    if (k == layers - 1) program.buffers[y] = {.name = "y", .elements = {20, true}, .kind = BufferKind::argument, .argument = 1};
    Expr i = variable("i" + number), row = variable("row" + number), at = ramp(i, 1, 4);
    Stmt copy = loop("i" + number, 0, 20, 4, {store(scratch, at, load(x, Scalar::f32, ramp(row * 20 + i, 1, 4)))});
    Expr value = binary(BinaryOp::maximum, fma(load(scratch, Scalar::f32, at), load(weight, Scalar::f32, at), real(-1, {Scalar::f32, 4})), real(0));
    Stmt compute = loop("i" + number, 0, 20, 4, {store(y, ramp(row * 20 + i, 1, 4), value)});
    program.kernels.push_back({.name = "layer" + number, .tasks = variable(batch_variable) , .task_variable = "row" + number, .body = block({copy, compute}),
                               .reads = {x, weight, scratch}, .writes = {scratch, y}});
    x = y;
  }
  PassContext context;
  plan_memory(program, context);
  return program;
}

}  // namespace

TEST_CASE("equal kernels are one function") {
  Program program = equal_layers(7);
  codegen::KernelFunctions functions = codegen::find_equal_kernels(program);
  CHECK(functions.function == std::vector<int>{0, 1, 1, 1, 1, 1, 6});  // the first reads an argument, the last writes one
  CHECK(functions.buffers[2] == std::vector<int>{6, 9, 7});            // without scratch
  std::string text = codegen::emit_llvm(program, codegen::target_for("native"));
  size_t definitions = 0;
  for (size_t at = text.find("define internal void"); at != std::string::npos; at = text.find("define internal void", at + 1)) ++definitions;
  CHECK(definitions == 3);
  check(program, 5);
  auto whole = codegen::jit(program, codegen::target_for("native", true));
  Interpreter initial(program, 9);
  fill(initial, program, 3);
  Memory memory(program, 9, initial);
  whole->step()(memory.arguments.data(), memory.arena, 9, 0, 1, nullptr, nullptr);
  initial.run();
  compare(program, initial, memory, 0);
}

TEST_CASE("kernels that differ in code, element type or aliasing are functions of their own") {
  auto second = [](Program& program, const std::function<void(Program&)>& change) {
    change(program);
    return codegen::find_equal_kernels(program).function[2];
  };
  Program base = equal_layers(4);
  auto changed = [&](const std::function<void(Program&)>& change) {
    Program program = base;
    return second(program, change);
  };
  CHECK(changed([](Program&) {}) == 1);
  CHECK(changed([](Program& p) { p.kernels[2].tasks = 1; }) == 1);  // the step's business
  CHECK(changed([](Program& p) { p.kernels[2].body = block({p.kernels[2].body, store(9, 0, real(1))}); }) == 2);
  CHECK(changed([](Program& p) { p.buffers[8].offset = 64; }) == 2);  // its scratch lies elsewhere
  CHECK(changed([](Program& p) { p.buffers[6].kind = BufferKind::argument; }) == 0);  // reads an argument, as the first one does
  // Both read an argument and write one; only in the second kernel may they be the same memory.
  Program pair = base;
  for (int id : {3, 6, 9}) pair.buffers[id].kind = BufferKind::argument;
  CHECK(codegen::find_equal_kernels(pair).function[2] == 0);
  pair.buffers[9].elements = {21, true};
  CHECK(codegen::find_equal_kernels(pair).function[2] == 2);
}

TEST_CASE("constants that no kernel reads are not embedded") {
  Program program = equal_layers(3);
  auto size = [&] { return codegen::emit_object(program, codegen::target_for("native"), {.function_name = "f", .inputs = {"x"}, .outputs = {"y"}}).size(); };
  size_t before = size();
  program.buffers.push_back({.name = "unread", .elements = {1 << 20}, .kind = BufferKind::constant, .data = std::vector<float>(1 << 20, 1.0f)});
  CHECK(size() == before);
  CHECK(codegen::emit_llvm(program, codegen::target_for("native")).find("unread") == std::string::npos);
}

TEST_CASE("a step compiled to be profiled meets at a barrier behind every kernel") {
  Program program = equal_layers(5);
  auto compiled = codegen::jit(program, codegen::target_for("native", true), {.profile = true});
  Interpreter initial(program, 1);
  Memory memory(program, 1, initial);
  int count = 0;
  compiled->step()(memory.arguments.data(), memory.arena, 1, 0, 1, [](void* context) { ++*static_cast<int*>(context); }, &count);
  CHECK(count == 5);
}

TEST_CASE("large programs are compiled in parts, small ones whole") {
  Program program = three_kernels();
  auto partition = [&](int most) { return codegen::partition(program, codegen::find_equal_kernels(program), most); };
  CHECK(partition(4) == std::vector<int>{0, 0, 0});
  // Each kernel adds its number to all elements of the one before it, with much code.
  for (int k = 0; k < 6; ++k) {
    Expr at = ramp(variable("row") * 24 + i, 1, 8), value = load(4, Scalar::f32, at);
    for (int term = 0; term < 30; ++term) value = value + unary(UnaryOp::floor, unary(UnaryOp::exp, load(2, Scalar::f32, 0) * real(-1e-9 * term)));
    program.kernels.push_back({.name = "more" + std::to_string(k), .tasks = variable(batch_variable), .task_variable = "row", .body = loop("i", 0, 24, 8, {store(4, at, value + real(k))}), .reads = {2, 4}, .writes = {4}});
  }
  std::vector<int> parts = partition(3);
  CHECK(*std::ranges::max_element(parts) == 2);
  for (int part : {0, 1, 2}) CHECK(std::count(parts.begin() + 3, parts.end(), part) == 2);
  CHECK(partition(1) == std::vector<int>(9, 0));
  TargetDescription target = codegen::target_for("native", true);
  auto whole = codegen::jit(program, target, {.threads = 1}), split = codegen::jit(program, target, {.threads = 3});
  CHECK(run_threads(program, whole->step(), 5, 1) == run_threads(program, split->step(), 5, 1));
  check(program, 5, 0x1p-22);
}

TEST_CASE("an argument may be updated in place") {
  Expr index = ramp(i, 1, 8);
  Stmt body = loop("i", 0, 64, 8, {store(1, index, load(0, Scalar::f32, index) + real(1)), store(1, index, load(1, Scalar::f32, index) + load(0, Scalar::f32, index))});
  Program program = one_kernel("in_place", {{Scalar::f32, 64}, {Scalar::f32, 64}}, body);
  for (const TargetDescription& target : targets()) {
    std::vector<float> x(64, 3);
    void* arguments[] = {x.data(), x.data()};
    codegen::jit(program, target)->step()(arguments, nullptr, 1, 0, 1, nullptr, nullptr);
    CHECK(x == std::vector<float>(64, 8));  // 3 + 1, and that twice
  }
}

namespace {

// Random f32 expressions over loads of three buffers; integers small enough that every result is exact.
class ExpressionGenerator {
 public:
  ExpressionGenerator(uint32_t seed, int lanes) : random_(seed), lanes_(lanes) {}

  Expr number(int depth) {
    if (depth == 0) return leaf();
    switch (random_() % 9) {
      case 0: return number(depth - 1) + number(depth - 1);
      case 1: return number(depth - 1) - number(depth - 1);
      case 2: return number(depth - 1) * leaf();
      case 3: return fma(number(depth - 1), leaf(), number(depth - 1));
      case 4: return binary(random_() % 2 ? BinaryOp::minimum : BinaryOp::maximum, number(depth - 1), number(depth - 1));
      case 5: return select(truth(depth - 1), number(depth - 1), number(depth - 1));
      case 6: return unary(random_() % 2 ? UnaryOp::absolute : UnaryOp::negate, number(depth - 1));
      case 7: return unary(random_() % 2 ? UnaryOp::floor : UnaryOp::round_even, number(depth - 1) * real(0.5));
      default: return cast(Scalar::f32, cast(Scalar::i32, number(depth - 1)) % 13);
    }
  }

 private:
  Expr truth(int depth) {
    if (random_() % 4 == 0) return unary(UnaryOp::logical_not, truth(depth));
    constexpr BinaryOp comparisons[] = {BinaryOp::less, BinaryOp::less_equal, BinaryOp::equal, BinaryOp::not_equal};
    Expr first = binary(comparisons[random_() % 4], number(depth), number(depth));
    return random_() % 3 ? first : binary(random_() % 2 ? BinaryOp::logical_and : BinaryOp::logical_or, first, number(depth) < number(depth));
  }

  Expr leaf() {
    int buffer = static_cast<int>(random_() % 3);
    switch (random_() % 6) {
      case 0: return real(static_cast<int>(random_() % 9) - 4, {Scalar::f32, lanes_});
      case 1: return broadcast(load(buffer, Scalar::f32, i), lanes_);
      case 2: return load(buffer, Scalar::f32, ramp(i, static_cast<int64_t>(random_() % 3), lanes_));
      case 3: return load(buffer, Scalar::f32, ramp(i, 1, lanes_), ramp(i, 1, lanes_) < Expr(static_cast<int64_t>(random_() % 64)));
      default: return load(buffer, Scalar::f32, ramp(i * lanes_, 1, lanes_));
    }
  }

  std::mt19937 random_;
  int lanes_;
};

}  // namespace

TEST_CASE("random expressions") {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    int lanes = all_lanes[seed % std::size(all_lanes)];
    Expr value = ExpressionGenerator(seed, lanes).number(4);
    Stmt body = loop("i", 0, length, 1, {store(3, ramp(i * lanes, 1, lanes), value)});
    int64_t elements = 2 * length * lanes;
    INFO("seed " << seed);
    check(one_kernel("random", {{Scalar::f32, elements}, {Scalar::f32, elements}, {Scalar::f32, elements}, {Scalar::f32, elements}}, body));
  }
}

TEST_CASE("CPUs") {
  CHECK(codegen::target_for("haswell").vector_bytes == 32);
  CHECK(codegen::target_for("skylake-avx512").vector_bytes == 64);
  CHECK(codegen::target_for("skylake-avx512").vector_registers == 32);
  CHECK(codegen::target_for("baseline").cpu == "x86-64");
  CHECK(codegen::target_for("baseline").vector_bytes == 16);
  CHECK_FALSE(codegen::target_for("x86-64").fused_multiply_add);
  CHECK(codegen::target_for("native").cpu == codegen::target_for("").cpu);
  auto message = [](const char* cpu, bool here) -> std::string {
    try {
      codegen::target_for(cpu, here);
    } catch (const CompileError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message("haswel", false).find("unknown CPU `haswel`") != std::string::npos);
  CHECK(message("haswel", false).find("`haswell`") != std::string::npos);
  CHECK(message("", true).empty());
  CHECK(message("x86-64", true).empty());
  // No machine has both: AMX and FMA4.
  CHECK((message("sapphirerapids", true) + message("bdver4", true)).find("cannot run on this machine") != std::string::npos);
}

TEST_CASE("vectors keep their full width, and the code is not vectorized again") {
  TargetDescription target = codegen::target_for("skylake-avx512");
  Expr index = ramp(i, 1, 16);
  Stmt body = loop("i", 0, 4096, 16, {store(1, index, load(0, Scalar::f32, index) * real(2))});
  std::string assembly = codegen::emit_assembly(one_kernel("width", {{Scalar::f32, 4096}, {Scalar::f32, 4096}}, body), target);
  CHECK(assembly.find("%zmm") != std::string::npos);
  CHECK(assembly.find("%ymm") == std::string::npos);
}
