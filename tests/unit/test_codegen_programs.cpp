// Generated programs of several kernels: threads, barriers, scratch, equal kernels, constants, profiling.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <barrier>
#include <numeric>
#include <functional>
#include <random>
#include <thread>

#include "codegen/codegen.h"
#include "codegen/partition.h"
#include "ir/diagnostic.h"
#include "passes/pass.h"
#include "support/interpreted.h"

using namespace bnc;
using namespace bnc::loops;
using namespace bnc::loops::testing;

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
    return block({store(window, 0, real(0)), store(window, 22, real(0)),
                  loop("i", 0, 21, 1, {store(window, i + 1, load(from, Scalar::f32, at))}), loop("i", 0, 21, 1, {store(to, at, sum)})});
  };
  Stmt first =
      block({loop("i", 0, 3, 1, {store(2, i, cast(Scalar::f64, row + i))}), windows(0, 3, 1, cast(Scalar::f32, load(2, Scalar::f64, 2)))});
  program.kernels = {
      {.name = "first", .tasks = n, .task_variable = "row", .body = first, .reads = {0, 2, 3}, .writes = {1, 2, 3}},
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
  return memory.buffers[static_cast<size_t>(program.find_buffer("y"))];
}

// y = 2x, where all rows but the first of a run are found in one half of scratch, as the row before left them.
Program handed_on() {
  Program program{.name = "handed"};
  program.buffers = {{.name = "x", .elements = {21, true}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "y", .elements = {21, true}, .kind = BufferKind::argument, .argument = 1},
                     {.name = "halves", .elements = {2 * 21}, .kind = BufferKind::scratch}};
  const Expr row = variable("row"), n = variable(batch_variable);
  auto double_of = [&](const Expr& from) {
    return loop("i", 0, 21, 1, {store(2, from % 2 * 21 + i, load(0, Scalar::f32, from * 21 + i) * real(2))});
  };
  Stmt body = block({conditional(row == variable("first"), {double_of(row)}), conditional(row + 1 < n, {double_of(row + 1)}),
                     loop("i", 0, 21, 1, {store(1, row * 21 + i, load(2, Scalar::f32, row % 2 * 21 + i))})});
  program.kernels = {{.name = "handed",
                      .tasks = n,
                      .task_variable = "row",
                      .first_task_variable = "first",
                      .body = body,
                      .reads = {0, 2},
                      .writes = {1, 2}}};
  PassContext context;
  plan_memory(program, context);
  return program;
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
  CHECK(program.workspace_bytes(3, 2) == 3 * 128 + 2 * program.scratch_stride());
  for (int64_t n : {1, 5, 18}) check(program, n);
  auto compiled = codegen::jit(program, codegen::target_for("native", true));
  std::vector<char> one = run_threads(program, compiled->step(), 37, 1);
  for (int threads : {2, 5}) CHECK(run_threads(program, compiled->step(), 37, threads) == one);
}

TEST_CASE("a task finds in scratch what the one before it in its run left there") {
  const Program program = handed_on();
  CHECK(to_string(program).find("task row in 0..N, in runs from first {") != std::string::npos);
  for (int64_t n : {1, 2, 19}) check(program, n);
  auto compiled = codegen::jit(program, codegen::target_for("native", true));
  const std::vector<char> one = run_threads(program, compiled->step(), 19, 1);
  for (int threads : {2, 4, 23}) CHECK(run_threads(program, compiled->step(), 19, threads) == one);
}

TEST_CASE("a prefetch goes into the caches that it names") {
  Program program{.name = "fetch"};
  program.buffers = {{.name = "x", .elements = {1 << 20}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "y", .elements = {1}, .kind = BufferKind::argument, .argument = 1}};
  program.kernels = {{.name = "fetch",
                      .tasks = 1,
                      .task_variable = "task",
                      .body = block({prefetch(0, 4096, Prefetch::l2), prefetch(0, 8192, Prefetch::l1),
                                     store(1, 0, load(0, Scalar::f32, 0))}),
                      .reads = {0},
                      .writes = {1}}};
  const auto assembly = [&](const char* cpu) { return codegen::emit_assembly(program, codegen::target_for(cpu, false)); };
  for (const char* instruction : {"prefetcht0", "prefetcht1"}) CHECK(assembly("znver4").find(instruction) != std::string::npos);
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
  // What one kernel only reads, the next one only writes.
  program.buffers[2].offset = 0;
  program.kernels[0] = {
      .name = "read", .tasks = 1, .task_variable = "one", .body = store(4, 0, load(1, Scalar::f32, 0)), .reads = {1}, .writes = {4}};
  program.kernels[1] = {
      .name = "write", .tasks = 1, .task_variable = "one", .body = store(1, 0, load(0, Scalar::f32, 0)), .reads = {0}, .writes = {1}};
  program.buffers[4].elements = {24};
  CHECK(barriers(program) == 1);
  program.kernels[1].body = store(2, 0, load(0, Scalar::f32, 0));
  program.kernels[1].writes = {2};
  CHECK(barriers(program) == 0);
  program.kernels[1].writes = program.kernels[0].writes;   // both write alone
  program.kernels[1].body = store(4, 1, load(0, Scalar::f32, 0));
  CHECK(barriers(program) == 1);
}

TEST_CASE("a kernel of one task is the first thread's alone") {
  const Program program = one_kernel("one", {{Scalar::f32, 1}, {Scalar::f32, 1}},
                                     store(1, 0, load(1, Scalar::f32, 0) + load(0, Scalar::f32, 0)));
  auto compiled = codegen::jit(program, codegen::target_for("native", true));
  float x = 3, y = 1;
  void* arguments[] = {&x, &y};
  for (int thread = 0; thread < 3; ++thread) compiled->step()(arguments, nullptr, 1, thread, 3, nullptr, nullptr);
  CHECK(y == 4);
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
    Buffer constant{.name = "weight" + number,
                    .elements = {20},
                    .kind = BufferKind::constant,
                    .data = std::vector<float>(20, static_cast<float>(k % 3 + 1))};
    int weight = add(constant), scratch = add({.name = "scratch" + number, .elements = {20}, .kind = BufferKind::scratch});
    int y = add({.name = "y" + number, .elements = {20, true}});
    if (k == layers - 1) program.buffers[y] = {.name = "y", .elements = {20, true}, .kind = BufferKind::argument, .argument = 1};
    Expr i = variable("i" + number), row = variable("row" + number), at = ramp(i, 1, 4);
    Stmt copy = loop("i" + number, 0, 20, 4, {store(scratch, at, load(x, Scalar::f32, ramp(row * 20 + i, 1, 4)))});
    Expr value = binary(BinaryOp::maximum, fma(load(scratch, Scalar::f32, at), load(weight, Scalar::f32, at), real(-1, {Scalar::f32, 4})),
                        real(0));
    Stmt compute = loop("i" + number, 0, 20, 4, {store(y, ramp(row * 20 + i, 1, 4), value)});
    program.kernels.push_back({.name = "layer" + number,
                               .tasks = variable(batch_variable),
                               .task_variable = "row" + number,
                               .body = block({copy, compute}),
                               .reads = {x, weight, scratch},
                               .writes = {scratch, y}});
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
  for (size_t at = text.find("define internal void"); at != std::string::npos; at = text.find("define internal void", at + 1))
    ++definitions;
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

namespace {

// Each kernel takes the mean of neighbouring rows of what the one before it left, and adds one of three numbers.
Program chain(int kernels) {
  Program program{.name = "chain"};
  program.buffers = {{.name = "x", .elements = {20, true}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "y", .elements = {20, true}, .kind = BufferKind::argument, .argument = 1},
                     {.name = "even", .elements = {20, true}},
                     {.name = "odd", .elements = {20, true}}};
  const Expr row = variable("row"), n = variable(batch_variable);
  for (int k = 0; k < kernels; ++k) {
    const int from = k == 0 ? 0 : 2 + k % 2, to = k == kernels - 1 ? 1 : 2 + (k + 1) % 2;
    const auto row_of = [&](const Expr& which) { return load(from, Scalar::f32, ramp(which * 20 + i, 1, 4)); };
    const Stmt body = loop("i", 0, 20, 4,
                           {store(to, ramp(row * 20 + i, 1, 4), (row_of(row) + row_of((row + 1) % n)) * real(0.5) + real(k % 3))});
    program.kernels.push_back(
        {.name = "mean" + std::to_string(k), .tasks = n, .task_variable = "row", .body = body, .reads = {from}, .writes = {to}});
  }
  PassContext context;
  plan_memory(program, context);
  return program;
}

// The calls in the function that has most of them.
int64_t most_calls(const std::string& llvm) {
  int64_t most = 0;
  for (size_t begin = llvm.find("\ndefine "), end = 0; begin != std::string::npos; begin = llvm.find("\ndefine ", end)) {
    end = llvm.find("\n}", begin);
    int64_t calls = 0;
    for (size_t at = llvm.find(" call ", begin); at < end; at = llvm.find(" call ", at + 1)) ++calls;
    most = std::max(most, calls);
  }
  return most;
}

}  // namespace

// LLVM takes more than linear time for a function of very many calls.
TEST_CASE("no function has more calls than a section, however many kernels there are") {
  const codegen::ObjectOptions object{.function_name = "chain", .inputs = {"x"}, .outputs = {"y"}};
  for (const int kernels : {128, 129, 700}) {
    const Program program = chain(kernels);
    const auto target = codegen::target_for("native", true);
    CHECK(most_calls(codegen::emit_llvm(program, target)) <= 4 * 128);   // with their barriers
    CHECK(most_calls(codegen::emit_llvm(program, target, &object)) <= 128 + 1);
    for (const int64_t n : {1, 5}) check(program, n);
    const auto compiled = codegen::jit(program, target);
    const std::vector<char> one = run_threads(program, compiled->step(), 5, 1);
    for (const int threads : {2, 3}) CHECK(run_threads(program, compiled->step(), 5, threads) == one);
  }
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

TEST_CASE("kernels that differ in one number or operation are functions of their own") {
  struct Code {
    int64_t step = 4, distance = 2;
    double addend = 0.5;
    UnaryOp function = UnaryOp::sqrt;
    BinaryOp operation = BinaryOp::add;
  };
  auto functions = [](const Code& code) {
    Program program{.name = "pair"};
    program.buffers = {{.name = "x", .elements = {32}, .kind = BufferKind::argument, .argument = 0},
                       {.name = "y", .elements = {24}, .kind = BufferKind::argument, .argument = 1}};
    for (const Code& each : {Code{}, code}) {
      const Expr x = load(0, Scalar::f32, i + each.distance), y = binary(each.operation, unary(each.function, x), real(each.addend));
      program.kernels.push_back({.name = "kernel",
                                 .tasks = 1,
                                 .task_variable = "task",
                                 .body = loop("i", 0, 24, each.step, {store(1, i, y)}),
                                 .reads = {0},
                                 .writes = {1}});
    }
    return codegen::find_equal_kernels(program).function;
  };
  const std::vector<int> equal = {0, 0}, different = {0, 1};
  CHECK(functions({}) == equal);
  CHECK(functions({.step = 2}) == different);
  CHECK(functions({.distance = 3}) == different);
  CHECK(functions({.addend = 0.25}) == different);
  CHECK(functions({.function = UnaryOp::floor}) == different);
  CHECK(functions({.operation = BinaryOp::subtract}) == different);
}

TEST_CASE("constants of whole numbers") {
  Program program = one_kernel("whole", {{Scalar::i32, 20}}, loop("i", 0, 20, 1, {store(0, i, load(1, Scalar::i32, i) + 1)}));
  program.buffers.push_back({.name = "c", .scalar = Scalar::i32, .elements = {20}, .kind = BufferKind::constant});
  std::vector<float> numbers(20);
  std::iota(numbers.begin(), numbers.end(), -7.0f);
  program.buffers[1].data = numbers;
  program.kernels[0].reads = {1};
  check(program);
}

TEST_CASE("loops that begin within a line of memory") {
  const Expr at = ramp(i, 1, 16);
  Program program = one_kernel("within", {{Scalar::f32, 64}}, loop("i", 4, 52, 16, {store(0, at, load(1, Scalar::f32, at))}));
  program.buffers.push_back({.name = "c", .elements = {64}, .kind = BufferKind::constant});
  std::vector<float> numbers(64);
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  program.buffers[1].data = numbers;
  program.kernels[0].reads = {1};
  check(program);
}

TEST_CASE("constants that no kernel reads are not embedded") {
  Program program = equal_layers(3);
  auto size = [&] {
    return codegen::emit_object(program, codegen::target_for("native"), {.function_name = "f", .inputs = {"x"}, .outputs = {"y"}}).size();
  };
  size_t before = size();
  program.buffers.push_back(
      {.name = "unread", .elements = {1 << 20}, .kind = BufferKind::constant, .data = std::vector<float>(1 << 20, 1.0f)});
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
    for (int term = 0; term < 30; ++term)
      value = value + unary(UnaryOp::floor, unary(UnaryOp::exp, load(2, Scalar::f32, 0) * real(-1e-9 * term)));
    program.kernels.push_back({.name = "more" + std::to_string(k),
                               .tasks = variable(batch_variable),
                               .task_variable = "row",
                               .body = loop("i", 0, 24, 8, {store(4, at, value + real(k))}),
                               .reads = {2, 4},
                               .writes = {4}});
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
  Stmt body = loop(
      "i", 0, 64, 8,
      {store(1, index, load(0, Scalar::f32, index) + real(1)), store(1, index, load(1, Scalar::f32, index) + load(0, Scalar::f32, index))});
  Program program = one_kernel("in_place", {{Scalar::f32, 64}, {Scalar::f32, 64}}, body);
  for (const TargetDescription& target : targets()) {
    std::vector<float> x(64, 3);
    void* arguments[] = {x.data(), x.data()};
    codegen::jit(program, target)->step()(arguments, nullptr, 1, 0, 1, nullptr, nullptr);
    CHECK(x == std::vector<float>(64, 8));  // 3 + 1, and that twice
  }
}
