// Checks in generated code: accesses outside of a buffer are told, and memory that nobody has written holds NaN.
#include <doctest/doctest.h>

#include <bit>

#include "bnc/bnc.h"
#include "codegen/equal_kernels.h"
#include "passes/pass.h"
#include "runtime/session.h"
#include "support/interpreted.h"

using namespace bnc;
using namespace bnc::loops;
using namespace bnc::loops::testing;

namespace {

constexpr codegen::Checks all_checks{.bounds = true, .poison = true};

// Runs a program with all checks; what went wrong, empty where nothing did.
std::string fault_of(const Program& program, const TargetDescription& target, int64_t n = 1,
                     const std::function<void(Interpreter&)>& prepare = {}) {
  Interpreter initial(program, n);
  fill(initial, program, 1);
  if (prepare) prepare(initial);
  Memory memory(program, n, initial);
  const auto compiled = codegen::jit(program, target, {.checks = all_checks});
  compiled->step()(memory.arguments.data(), memory.arena, n, 0, 1, nullptr, nullptr);
  try {
    compiled->raise_fault();
  } catch (const InternalError& error) {
    CHECK_NOTHROW(compiled->raise_fault());  // told once
    return error.what();
  }
  return "";
}

// The same of one kernel that reads or writes 40 floats b0, 16 integers b1 and 40 floats b2.
std::string fault_of(Stmt body, const TargetDescription& target) {
  return fault_of(one_kernel("one", {{Scalar::f32, 40}, {Scalar::i32, 16}, {Scalar::f32, 40}}, body), target, 1,
                  [](Interpreter& interpreter) {
                    for (size_t k = 0; k < 16; ++k)
                      interpreter.memory[1][k].integer = static_cast<int64_t>(3 * k);  // the last two lie outside of b0
                  });
}

// A number that nobody knows before the run: b1 begins with 0.
Expr opaque(int64_t value) { return cast(Scalar::i64, load(1, Scalar::i32, 0)) + value; }

void check_fault(const std::function<Stmt(int64_t)>& body, int64_t inside, int64_t outside, const std::string& text) {
  for (const TargetDescription& target : targets()) {
    INFO("CPU " << target.cpu << ": " << text);
    CHECK(fault_of(body(inside), target) == "");
    CHECK(fault_of(body(outside), target) == "generated code left a buffer: kernel 'kernel' " + text + ", which has 40 (N = 1)");
  }
}

Stmt copy_to_result(Expr value) { return store(2, value->type.lanes == 1 ? Expr(0) : ramp(0, 1, value->type.lanes), value); }

}  // namespace

TEST_CASE("a load outside of its buffer is told, whatever its shape") {
  auto of = [](Expr index, Expr predicate = {}) { return copy_to_result(load(0, Scalar::f32, index, predicate)); };
  check_fault([&](int64_t at) { return of(opaque(at)); }, 39, 40, "reads element 40 of 'b0'");
  check_fault([&](int64_t at) { return of(opaque(at)); }, 0, -1, "reads element -1 of 'b0'");
  check_fault([&](int64_t at) { return of(ramp(opaque(at), 1, 8)); }, 32, 33, "reads element 40 of 'b0'");
  check_fault([&](int64_t at) { return of(ramp(opaque(at), 1, 8)); }, 0, -3, "reads element -3 of 'b0'");
  check_fault([&](int64_t at) { return of(ramp(opaque(at), -1, 8)); }, 7, 6, "reads element -1 of 'b0'");
  check_fault([&](int64_t at) { return of(ramp(opaque(at), 5, 4)); }, 24, 25, "reads element 40 of 'b0'");
  check_fault([&](int64_t at) { return of(broadcast(opaque(at), 4)); }, 39, 1000000, "reads element 1000000 of 'b0'");
  // Through indices, of which the last two are 42 and 45: the first one is told.
  check_fault([&](int64_t at) { return of(load(1, Scalar::i32, ramp(opaque(at), 1, 8))); }, 6, 8, "reads element 42 of 'b0'");
  check_fault([&](int64_t at) { return of(load(1, Scalar::i32, ramp(opaque(at), 1, 3))); }, 11, 12, "reads element 42 of 'b0'");
}

TEST_CASE("of a masked access the active lanes count") {
  auto below = [](Expr index, int64_t end) { return index < broadcast(opaque(end), index->type.lanes); };
  const Expr late = ramp(opaque(36), 1, 8);
  check_fault([&](int64_t end) { return copy_to_result(load(0, Scalar::f32, late, below(late, end))); }, 40, 42,
              "reads element 41 of 'b0'");
  const Expr strided = ramp(opaque(0), 14, 4);
  check_fault([&](int64_t end) { return copy_to_result(load(0, Scalar::f32, strided, below(strided, end))); }, 42, 43,
              "reads element 42 of 'b0'");
  // Lanes and indices that the compiler knows.
  const auto known = [](int64_t end) { return ramp(Expr(0), 1, 8) < broadcast(Expr(end), 8); };
  check_fault([&](int64_t end) { return copy_to_result(load(0, Scalar::f32, late, known(end))); }, 4, 6, "reads element 41 of 'b0'");
  check_fault([&](int64_t end) { return copy_to_result(load(0, Scalar::f32, ramp(Expr(36), 1, 8), known(end))); }, 4, 5,
              "reads element 40 of 'b0'");
  check_fault([&](int64_t end) { return copy_to_result(load(0, Scalar::f32, broadcast(Expr(40), 8), known(end))); }, 0, 1,
              "reads element 40 of 'b0'");
}

TEST_CASE("a store outside of its buffer is told and not done") {
  const Expr value = real(3);
  check_fault([&](int64_t at) { return store(2, opaque(at), value); }, 39, 40, "writes element 40 of 'b2'");
  check_fault([&](int64_t at) { return store(2, ramp(opaque(at), 1, 8), real(3, {Scalar::f32, 8})); }, 32, 100,
              "writes element 100 of 'b2'");
  check_fault([&](int64_t at) { return store(2, ramp(opaque(at), -2, 8), real(3, {Scalar::f32, 8})); }, 14, 13,
              "writes element -1 of 'b2'");
  check_fault([&](int64_t at) { return store(2, load(1, Scalar::i32, ramp(opaque(at), 1, 4)), real(3, {Scalar::f32, 4})); }, 10, 11,
              "writes element 42 of 'b2'");
  const Expr late = ramp(opaque(36), 1, 8);
  check_fault([&](int64_t end) { return store(2, late, real(3, {Scalar::f32, 8}), late < broadcast(opaque(end), 8)); }, 40, 44,
              "writes element 43 of 'b2'");
  check_fault([&](int64_t end) { return store(2, opaque(end), value, opaque(end) < Expr(40)); }, 500, -7, "writes element -7 of 'b2'");
}

namespace {

// Layers that are one function, y = 2x over rows of eight, with scratch; the last reads `beyond` elements too far.
Program layers(int64_t beyond) {
  Program program{.name = "layers"};
  program.buffers = {{.name = "x", .elements = {8, true}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "y", .elements = {8, true}, .kind = BufferKind::argument, .argument = 1}};
  const int count = 4;
  const Expr row = variable("row");
  int from = 0;
  for (int layer = 0; layer < count; ++layer) {
    const int scratch = static_cast<int>(program.buffers.size()), to = layer == count - 1 ? 1 : scratch + 1;
    program.buffers.push_back({.name = "scratch" + std::to_string(layer), .elements = {8}, .kind = BufferKind::scratch});
    if (to != 1) program.buffers.push_back({.name = "t" + std::to_string(layer), .elements = {8 - (layer == 2 ? beyond : 0), true}});
    const Stmt body = block({store(scratch, ramp(0, 1, 8), load(from, Scalar::f32, ramp(row * 8, 1, 8))),
                             store(to, ramp(row * 8, 1, 8), load(scratch, Scalar::f32, ramp(0, 1, 8)) * real(2))});
    program.kernels.push_back({.name = "layer" + std::to_string(layer),
                               .tasks = variable(batch_variable),
                               .task_variable = "row",
                               .body = body,
                               .reads = {from, scratch},
                               .writes = {scratch, to}});
    from = to;
  }
  PassContext context;
  plan_memory(program, context);
  return program;
}

}  // namespace

TEST_CASE("kernels that share a function are told apart, and extents follow the batch") {
  for (const TargetDescription& target : targets()) {
    CHECK(fault_of(layers(0), target, 5) == "");
    CHECK(codegen::find_equal_kernels(layers(1)).function == std::vector<int>{0, 1, 1, 3});
    CHECK(fault_of(layers(1), target, 5) ==
          "generated code left a buffer: kernel 'layer2' writes element 39 of 't2', which has 35 (N = 5)");
  }
}

TEST_CASE("scratch has its own extent") {
  Program program = layers(0);
  program.kernels[1].body =
      block({store(4, ramp(variable("row"), 1, 8), load(3, Scalar::f32, ramp(variable("row") * 8, 1, 8))), program.kernels[1].body});
  CHECK(fault_of(program, codegen::target_for("native", true), 5) ==
        "generated code left a buffer: kernel 'layer1' writes element 11 of 'scratch1', which has 8 (N = 5)");
}

TEST_CASE("threads meet at their barriers though one of them left a buffer") {
  const Program program = layers(1);
  Interpreter initial(program, 7);
  Memory memory(program, 7, initial, 3);
  const auto compiled = codegen::jit(program, codegen::target_for("native", true), {.checks = all_checks});
  ThreadPool pool(3);
  pool.run(compiled->step(), memory.arguments.data(), memory.arena, 7);
  CHECK_THROWS_AS(compiled->raise_fault(), InternalError);
}

namespace {

// The bits of y[0] after one step with poisoned memory, where the arena holds ones.
uint32_t first_result(const Program& program) {
  Interpreter initial(program, 1);
  fill(initial, program, 1);
  Memory memory(program, 1, initial);
  std::fill(memory.storage.begin(), memory.storage.end(), '\1');
  const auto compiled = codegen::jit(program, codegen::target_for("native", true), {.checks = {.poison = true}});
  compiled->step()(memory.arguments.data(), memory.arena, 1, 0, 1, nullptr, nullptr);
  uint32_t bits = 0;
  std::memcpy(&bits, memory.arguments.back(), sizeof bits);
  return bits;
}

constexpr uint32_t quiet_poison = codegen::poison_bits | 0x400000;

// Kernels over x[8], a[8], b[8] in the arena, s[8] in scratch and y[8].
Program with_memory(const std::vector<std::pair<Stmt, Expr>>& bodies) {
  Program program{.name = "memory", .batch = 1};
  program.buffers = {{.name = "x", .elements = {8}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "a", .elements = {8}},
                     {.name = "b", .elements = {8}},
                     {.name = "s", .elements = {8}, .kind = BufferKind::scratch},
                     {.name = "y", .elements = {8}, .kind = BufferKind::argument, .argument = 1}};
  for (const auto& [body, tasks] : bodies)
    program.kernels.push_back(
        {.name = "kernel" + std::to_string(program.kernels.size()), .tasks = tasks, .task_variable = "task", .body = body});
  program.arena_bytes = 64;   // in which a and b lie both
  program.scratch_bytes = 128;
  return program;
}

}  // namespace

TEST_CASE("what nobody has written is NaN") {
  const Expr x = load(0, Scalar::f32, 0);
  SUBCASE("in the arena") {
    Program program = with_memory({{store(4, 0, load(1, Scalar::f32, 3) + x), 1}});
    program.kernels[0].reads = {0, 1}, program.kernels[0].writes = {4};
    CHECK(first_result(program) == quiet_poison);
  }
  SUBCASE("where another buffer lay") {
    Program program =
        with_memory({{store(1, 0, x), 1}, {store(4, 0, load(1, Scalar::f32, 0)), 1}, {store(4, 0, load(2, Scalar::f32, 0) + x), 1}});
    program.kernels[0].reads = {0}, program.kernels[0].writes = {1};
    program.kernels[1].reads = {1}, program.kernels[1].writes = {4};
    program.kernels[2].reads = {0, 2}, program.kernels[2].writes = {4};
    CHECK(first_result(program) == quiet_poison);
    program.kernels.pop_back();
    CHECK(std::bit_cast<float>(first_result(program)) == 3);   // what x begins with
  }
  SUBCASE("in scratch, where another task wrote") {
    const Expr task = variable("task");
    Program program = with_memory(
        {{block({conditional(task == Expr(0), {store(3, 0, x)}), conditional(task == Expr(1), {store(4, 0, load(3, Scalar::f32, 0) + x)})}),
          2}});
    program.kernels[0].reads = {0, 3}, program.kernels[0].writes = {3, 4};
    CHECK(first_result(program) == quiet_poison);
    program.kernels[0].first_task_variable = "first";   // tasks find what the one before left
    CHECK(std::bit_cast<float>(first_result(program)) == 6);
  }
  SUBCASE("in registers") {
    for (const auto& [lanes, scalar] : {std::pair{1, Scalar::f32}, {4, Scalar::f32}}) {
      const Type type{scalar, lanes};
      Program program =
          with_memory({{block({declare_registers("r", type, 2), write_register("r", 0, real(1, type)),
                               store(4, lanes == 1 ? Expr(0) : ramp(0, 1, lanes), read_register("r", type, 1) + real(1, type))}),
                        1}});
      program.kernels[0].writes = {4};
      CHECK(first_result(program) == quiet_poison);
    }
  }
}

namespace {

constexpr const char* checked_network = R"(
network net(x: f32[N, 6]) {
  return dense(relu(batch_norm(dense(x, 5))), 3)
}
train net {
  loss = softmax_cross_entropy(labels)
  optimizer = adam(rate=0.01)
  batch = 4
}
)";

}  // namespace

TEST_CASE("a session with checks computes the same bits, and refuses to hide a fault") {
  const Network network = Network::from_text(checked_network);
  const WeightStore weights = network.initialize(1);
  std::vector<float> values(24);
  for (size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(k % 7) - 2;
  for (const Mode mode : {Mode::infer, Mode::train}) {
    std::vector<std::vector<float>> results;
    for (const CodeChecks checks : {CodeChecks{}, CodeChecks{.bounds = true, .poison = true}}) {
      CompileOptions options{.mode = mode, .batch = 4, .cpu = "baseline"};   // which fuses no multiplications and additions
      options.checks = checks;
      Session session = network.compile(options, weights);
      session.bind("x", Array({4, 6}, values));
      if (mode == Mode::train) session.bind("labels", Array({4}, std::vector<int32_t>{0, 1, 2, 1}));
      session.run();
      session.run();
      results.emplace_back();
      for (const std::string& name : session.readable()) {
        const Array array = session.read(name);
        results.back().insert(results.back().end(), array.floats().begin(), array.floats().end());
      }
    }
    CHECK(results[0] == results[1]);
  }
  CompileOptions options{.batch = 1};
  options.checks = {.bounds = true, .poison = true};
  Session session = network.compile(options, weights);
  session.bind("x", Array({1, 6}, std::vector<float>(6, 1.0f)));
  Program wrong = one_kernel("wrong", {{Scalar::f32, 6}, {Scalar::f32, 3}},
                             store(1, cast(Scalar::i64, load(0, Scalar::f32, 0)) + 2, real(1)));
  wrong.buffers[0].argument = session.data().slots[0].name == "x" ? 0 : 1;
  wrong.buffers[1].argument = 1 - wrong.buffers[0].argument;
  session.data().code = codegen::jit(wrong, codegen::target_for("native", true), {.checks = all_checks});
  CHECK_THROWS_WITH_AS(session.run(), "generated code left a buffer: kernel 'kernel' writes element 3 of 'b1', which has 3 (N = 1)",
                       InternalError);
  options.profile = true;
  CHECK_THROWS_AS(network.compile(options, weights), Error);
}
