// The loop IR's constructors, printer and verifier.
#include <doctest/doctest.h>

#include <functional>
#include <random>

#include "ir/diagnostic.h"
#include "ir/loops.h"
#include "ir/loops_placement.h"
#include "tests/unit/loop_interpreter.h"

using namespace bnc;
using namespace bnc::loops;
using bnc::loops::testing::Interpreter;
using bnc::loops::testing::Lanes;

namespace {

const Expr i = variable("i"), j = variable("j");
std::string text(const Expr& x) { return to_string(x); }

// An expression as the constructors made it, and node by node as it was asked for.
struct Pair {
  Expr folded, plain;
};
Expr plain_binary(BinaryOp op, Expr a, Expr b, Type type) {
  return Expr(std::make_shared<ExprNode>(ExprNode{.kind = ExprKind::binary, .type = type, .binary_op = op, .args = {a, b}}));
}

// Random index arithmetic over i and j, vectors of 4 lanes or scalars.
class IndexGenerator {
 public:
  explicit IndexGenerator(uint32_t seed) : random_(seed) {}

  Pair make(int depth, int lanes) {
    if (depth == 0) return leaf(lanes);
    BinaryOp op = operations[random_() % std::size(operations)];
    bool division = op == BinaryOp::divide || op == BinaryOp::modulo;
    Pair a = make(depth - 1, lanes);
    Pair b = division             ? constant(1 + random_() % 9, lanes)
             : random_() % 3 == 0 ? constant(static_cast<int>(random_() % 17) - 8, lanes)
                                  : make(depth - 1, lanes);
    return {binary(op, a.folded, b.folded), plain_binary(op, a.plain, b.plain, {Scalar::i64, lanes})};
  }

  Pair comparison(int depth, int lanes) {
    constexpr BinaryOp comparisons[] = {BinaryOp::less, BinaryOp::less_equal, BinaryOp::equal, BinaryOp::not_equal};
    BinaryOp op = comparisons[random_() % 4];
    Pair a = make(depth, lanes), b = make(depth, lanes);
    return {binary(op, a.folded, b.folded), plain_binary(op, a.plain, b.plain, {Scalar::boolean, lanes})};
  }

 private:
  static constexpr BinaryOp operations[] = {BinaryOp::add,    BinaryOp::add,    BinaryOp::subtract, BinaryOp::multiply,
                                            BinaryOp::divide, BinaryOp::modulo, BinaryOp::minimum,  BinaryOp::maximum};

  Pair vector(Pair scalar, int64_t stride, int lanes) {
    if (lanes == 1) return scalar;
    ExprKind kind = stride ? ExprKind::ramp : ExprKind::broadcast;
    return {ramp(scalar.folded, stride, lanes),
            Expr(std::make_shared<ExprNode>(
                ExprNode{.kind = kind, .type = {Scalar::i64, lanes}, .integer_value = stride, .args = {scalar.plain}}))};
  }
  Pair constant(int64_t value, int lanes) { return vector({integer(value), integer(value)}, 0, lanes); }
  Pair leaf(int lanes) {
    switch (random_() % 5) {
      case 0: return constant(random_() % 7, lanes);
      case 1: return vector({j, j}, 0, lanes);
      case 2: return vector({j, j}, random_() % 5, lanes);
      default: return vector({i, i}, random_() % 4, lanes);
    }
  }

  std::mt19937 random_;
};

Program copy_program() {
  Program program{.name = "copy"};
  program.buffers = {{.name = "x", .elements = {16, true}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "t", .elements = {16, true}, .kind = BufferKind::arena, .offset = 64, .batch_offset = 64},
                     {.name = "y", .elements = {16, true}, .kind = BufferKind::argument, .argument = 1}};
  Expr row = variable("row");
  program.kernels = {{.name = "copy",
                      .tasks = variable(batch_variable),
                      .task_variable = "row",
                      .body = store(2, ramp(row * 16, 1, 16), load(0, Scalar::f32, ramp(row * 16, 1, 16))),
                      .reads = {0},
                      .writes = {2}}};
  return program;
}

}  // namespace

TEST_CASE("index arithmetic keeps ramps") {
  CHECK(text((broadcast(i, 8) + ramp(0, 1, 8)) * 3 + 5) == "ramp(i * 3 + 5, 3, 8)");
  CHECK(text(ramp(i, 1, 8) - ramp(i, 1, 8)) == "broadcast(0, 8)");
  CHECK(text(ramp(i * 16, 1, 8) / 16) == "broadcast(i, 8)");
  CHECK(text(ramp(i * 16 + 4, 1, 8) % 16) == "ramp(4, 1, 8)");
  CHECK(text(ramp(i * 16 + 12, 1, 8) % 16) == "ramp(i * 16 + 12, 1, 8) % broadcast(16, 8)");
  CHECK(text(ramp(i, 32, 8) / 16) == "ramp(i / 16, 2, 8)");
  CHECK(text(-ramp(i, 2, 4)) == "ramp(-i, -2, 4)");
}

TEST_CASE("index arithmetic folds") {
  CHECK(text((i + 3) * 4 + 2) == "i * 4 + 14");
  CHECK(text((i + 1) + (j + 2)) == "i + j + 3");
  CHECK(text((i + 5) - (i + 2)) == "3");
  CHECK(text((i * 8 + j) / 8) == "i + j / 8");
  CHECK(text((i * 8 + j % 8) / 8) == "i");
  CHECK(text((i * 8 + j % 8) % 8) == "j % 8");
  CHECK(text((i * 8 + 13) / 8) == "i + 1");
  CHECK(text(i / 4 / 8) == "i / 32");
  CHECK(text(i % 1) == "0");
  CHECK(text(i / 1) == "i");
  CHECK(text(i * 0) == "0");
  CHECK(text(binary(BinaryOp::minimum, i + 4, i + 2)) == "i + 2");
  CHECK(text(i % 8 < Expr(8)) == "true");
  CHECK(text(ramp(0, 1, 8) < Expr(8)) == "broadcast(true, 8)");
  CHECK(text(ramp(i, 1, 8) < i + 8) == "broadcast(true, 8)");
  CHECK(text(ramp(i, 1, 8) < i + 7) == "ramp(i, 1, 8) < broadcast(i + 7, 8)");
}

TEST_CASE("an index that was taken apart into dimensions is put together again") {
  CHECK(text((i / 12 * 4 + i / 3 % 4) * 3 + i % 3) == "i");
  CHECK(text((((j + i / 12) * 4 + i / 3 % 4) * 3 + i % 3) * 5) == "(j * 12 + i) * 5");
  CHECK(text((i / 12 * 4 + i / 3 % 4 + 2) * 3 + i % 3 + 1) == "i + 7");
  CHECK(text((ramp(i, 1, 8) / 12 + broadcast(j, 8)) * 12 + ramp(i, 1, 8) % 12) == "ramp(j * 12 + i, 1, 8)");
  CHECK(text(i / 3 * 3 + i % 4) == "i / 3 * 3 + i % 4");
  CHECK(text(i / 3 * 3 + j % 3) == "i / 3 * 3 + j % 3");
}

TEST_CASE("what is known of a column decides comparisons, for the lanes that count") {
  const Expr column = bounded_variable("column", 16, 32);
  CHECK(text(ramp(column, 1, 16) < Expr(48)) == "broadcast(true, 16)");
  CHECK(text(ramp(column, 1, 16) < Expr(47)) == "ramp(column, 1, 16) < broadcast(47, 16)");
  CHECK(text(binary(BinaryOp::maximum, ramp(column, 1, 16) - 16, integer(0))) == "ramp(column - 16, 1, 16)");
  CHECK(text(binary(BinaryOp::minimum, ramp(column, 1, 16), integer(47))) == "ramp(column, 1, 16)");
  const Expr tail = ramp(32, 1, 16, 5);
  CHECK(text(tail - 30 < Expr(7)) == "broadcast(true, 16)");
  CHECK(text(tail < Expr(36)) == "ramp(32, 1, 16) < broadcast(36, 16)");
  CHECK(text(substitute(ramp(i, 1, 16, 5), {{"i", Expr(32)}}) * 2 < Expr(73)) == "broadcast(true, 16)");
}

TEST_CASE("folding of numbers rounds as the type does") {
  CHECK(text(integer(2147483647, {Scalar::i32, 1}) + 1) == "i32(-2147483648)");
  CHECK(as_integer(Expr(-7) / 2) == -4);
  CHECK(as_integer(Expr(-7) % 2) == 1);
  CHECK((real(1) / real(3))->real_value == static_cast<double>(1.0f / 3.0f));
  CHECK(fma(real(0x1.000002p0), real(0x1.000002p0), real(-1))->real_value == std::fmaf(0x1.000002p0f, 0x1.000002p0f, -1.0f));
  CHECK(std::isnan(binary(BinaryOp::minimum, real(1), real(NAN))->real_value));
  CHECK(std::isnan(binary(BinaryOp::maximum, real(1), real(NAN))->real_value));
  Expr x = variable("x", {Scalar::f32, 1});
  CHECK(text(x + real(0)) == "x + 0.0");  // -0.0 + 0.0 is 0.0
  CHECK(text(x - real(0)) == "x");
  CHECK(text(x - real(-0.0)) != "x");     // -0.0 - -0.0 is 0.0
  CHECK(text(x * real(1)) == "x");
  CHECK(text(x * real(0)) == "x * 0.0");  // NaN and infinity
}

TEST_CASE("predicates that always hold vanish, and those that never hold make zeros") {
  CHECK(text(load(0, Scalar::f32, ramp(i, 1, 8), ramp(0, 1, 8) < Expr(8))) == "buffer0[ramp(i, 1, 8)]");
  CHECK(text(load(0, Scalar::f32, ramp(i, 1, 8), ramp(8, 1, 8) < Expr(8))) == "broadcast(0.0, 8)");
  CHECK(store(0, ramp(i, 1, 8), real(0), ramp(0, 1, 8) < Expr(8))->predicate.get() == nullptr);
  CHECK(text(select(ramp(0, 1, 4) < Expr(4), ramp(i, 1, 4), ramp(j, 1, 4))) == "ramp(i, 1, 4)");
}

TEST_CASE("folded index arithmetic means the same as what was asked for") {
  Program nothing;
  for (uint32_t seed = 0; seed < 4000; ++seed) {
    IndexGenerator generator(seed);
    int lanes = seed % 2 ? 4 : 1;
    Pair pair = seed % 5 == 0 ? generator.comparison(2, lanes) : generator.make(1 + seed % 4, lanes);
    for (auto [at_i, at_j] : {std::pair{0, 0}, {1, 5}, {-3, 2}, {17, -16}, {31, 64}}) {
      Interpreter interpreter(nothing, 1);
      interpreter.set("i", {{0, at_i}});
      interpreter.set("j", {{0, at_j}});
      Lanes folded = interpreter.evaluate(pair.folded), plain = interpreter.evaluate(pair.plain);
      Lanes substituted = interpreter.evaluate(substitute(pair.folded, {{"i", Expr(at_i)}, {"j", Expr(at_j)}}));
      INFO("seed " << seed << ": " << text(pair.plain) << " folded to " << text(pair.folded) << " at i=" << at_i << ", j=" << at_j);
      for (int lane = 0; lane < lanes; ++lane) {
        REQUIRE(folded[lane].integer == plain[lane].integer);
        REQUIRE(substituted[lane].integer == plain[lane].integer);
      }
    }
  }
}

TEST_CASE("substitution shares what does not change and visits shared parts once") {
  Expr x = load(0, Scalar::f32, i), y = variable("y", {Scalar::f32, 1});
  CHECK(substitute(x, {{"j", Expr(3)}}).get() == x.get());
  for (int doubling = 0; doubling < 60; ++doubling) y = y + y;
  Expr replaced = substitute(y, {{"y", real(1)}});
  CHECK(replaced->real_value == std::ldexp(1.0, 60));
}

TEST_CASE("programs print readably") {
  CHECK(to_string(copy_program()) == R"(program copy
  buffer x: f32[16*N], argument 0
  buffer t: f32[16*N], arena at 64 + 64*N
  buffer y: f32[16*N], argument 1
  kernel copy reads x writes y
    task row in 0..N {
      y[ramp(row * 16, 1, 16)] = x[ramp(row * 16, 1, 16)]
    }
)");
  Program scratch = copy_program();
  scratch.kernels.clear();
  scratch.buffers = {{.name = "w", .elements = {20}, .kind = BufferKind::scratch, .offset = 64}};
  scratch.scratch_bytes = 256;
  CHECK(to_string(scratch) == R"(program copy
  buffer w: f32[20], scratch at 64
  scratch: 256 bytes a thread
)");
  CHECK(text((i + j) * 2 - (i - j)) == "(i + j) * 2 - (i - j)");
  CHECK(text(i - 3) == "i - 3");
  CHECK(text(binary(BinaryOp::logical_and, i < j, binary(BinaryOp::logical_or, j < i, i == j))) == "i < j and (j < i or i == j)");
  CHECK(text(real(1e-5)) == "1e-05");
  CHECK(text(real(3)) == "3.0");
}

TEST_CASE("the verifier keeps scratch within one kernel and of constant size") {
  Program program = copy_program();
  auto message = [&]() -> std::string {
    try {
      verify(program);
    } catch (const InternalError& error) {
      return error.what();
    }
    return "";
  };
  program.buffers[1].kind = BufferKind::scratch;
  CHECK(message() == "");
  program.kernels[0].writes.push_back(1);
  CHECK(message().find("the scratch buffer 't' is of constant size") != std::string::npos);
  program.buffers[1].elements = {16};
  CHECK(message() == "");
  program.kernels.push_back(program.kernels[0]);
  CHECK(message().find("the scratch buffer 't' belongs to one kernel") != std::string::npos);
}

TEST_CASE("an index is known not to be negative as far as its form tells") {
  const Expr low = bounded_variable("i", 0, 7), any = variable("j");
  for (const Expr& index : {low * Expr(3) + Expr(2), low / Expr(3), any % Expr(5), Expr(0)}) CHECK(is_non_negative(index));
  for (const Expr& index : {low - Expr(1), any, any / Expr(2), low + any}) CHECK(!is_non_negative(index));
  using Bounds = std::pair<int64_t, int64_t>;
  CHECK(bounds_of(low * Expr(3) + Expr(2)) == Bounds{2, 23});
  CHECK(bounds_of(binary(BinaryOp::minimum, low, Expr(5) - low)) == Bounds{-2, 5});
  CHECK(bounds_of(binary(BinaryOp::maximum, low, Expr(5) - low)) == Bounds{0, 7});
  CHECK(!bounds_of(binary(BinaryOp::minimum, low, any)));
}

TEST_CASE("the verifier knows which values an index takes, where that is certain") {
  const Expr i = variable("i"), j = variable("j"), value = real(0), row = variable("row");
  auto message = [](Stmt body, int64_t tasks = 3, std::optional<int64_t> batch = 4) -> std::string {
    Program program = copy_program();   // the result has 16 * N elements
    program.batch = batch;
    program.kernels[0].tasks = Expr(tasks);
    program.kernels[0].body = block({body});
    try {
      verify(program);
    } catch (const InternalError& error) {
      return error.what();
    }
    return "";
  };
  auto outside = [&](Stmt body, const char* ends, int64_t tasks = 3) { return message(body, tasks).find(ends) != std::string::npos; };
  CHECK(message(store(2, Expr(63), value)) == "");
  CHECK(outside(store(2, Expr(64), value), "goes from 64 to 64 of 64 elements"));
  CHECK(outside(store(2, Expr(-1), value), "goes from -1 to -1"));
  CHECK(message(store(2, ramp(56, 1, 8), broadcast(value, 8))) == "");
  CHECK(outside(store(2, ramp(57, 1, 8), broadcast(value, 8)), "goes from 57 to 64"));
  CHECK(outside(store(2, ramp(6, -1, 8), broadcast(value, 8)), "goes from -1 to 6"));
  CHECK(outside(store(2, broadcast(Expr(64), 8), broadcast(value, 8)), "goes from 64 to 64"));
  // Loops and tasks: row is 0 to 2, i is 0, 5 or 10.
  CHECK(message(loop("i", 0, 11, 5, {store(2, row * 26 + i + 1, value)})) == "");
  CHECK(outside(loop("i", 0, 11, 5, {store(2, row * 27 + i, value)}), "goes from 0 to 64"));
  CHECK(outside(loop("i", 0, 11, 5, {store(2, Expr(9) - i, value)}), "goes from -1 to 9"));
  // A loop that begins where another variable is, and a variable of its own.
  CHECK(message(loop("i", row * 8, row * 8 + 8, 1, {store(2, i + 40, value)})) == "");
  CHECK(outside(loop("i", row * 8, row * 8 + 8, 1, {store(2, i + 41, value)}), "goes from 41 to 64"));
  CHECK(message(loop("i", row * 8, row * 8 + 8, 1, {store(2, i - row * 8 + 56, value)})) == "");
  CHECK(outside(block({let("j", row * 30), store(2, j + 5, value)}), "goes from 5 to 65"));
  // Nothing is certain under a condition or a mask, of a loop that may be empty, or where the batch size is not known.
  CHECK(message(conditional(row < Expr(1), {store(2, row * 40, value)})) == "");
  CHECK(message(store(2, row * 40, value, row < Expr(1))) == "");
  CHECK(message(loop("i", 0, row, 1, {store(2, i + 64, value)})) == "");
  CHECK(message(store(2, Expr(64), value), 3, std::nullopt) == "");
  CHECK(message(store(2, row * row * 100, value)) == "");
}

TEST_CASE("the verifier of the placement finds what lies where it may not") {
  Program program = copy_program();
  program.kernels[0].body = block({program.kernels[0].body, store(1, variable("row") * 16, real(0))});
  program.kernels[0].writes = {1, 2};
  program.arena_bytes = 64, program.arena_bytes_per_example = 128;
  program.buffers.push_back({.name = "u", .elements = {16}});
  auto message = [&](const std::function<void(Program&)>& change) -> std::string {
    Program changed = program;
    change(changed);
    try {
      verify_placement(changed);
    } catch (const InternalError& error) {
      return error.what();
    }
    return "";
  };
  auto has = [&](const std::function<void(Program&)>& change, const char* part) { return message(change).find(part) != std::string::npos; };
  CHECK(message([](Program&) {}) == "");
  CHECK(has([](Program& p) { p.buffers[1].offset = 32; }, "'t' begins at a cache line"));
  CHECK(has([](Program& p) { p.buffers[1].offset = 128; }, "'t' ends inside of its memory"));
  CHECK(has([](Program& p) { p.arena_bytes_per_example = 0; }, "'t' ends inside of its memory"));
  CHECK(message([](Program& p) { p.kernels[0].reads.push_back(3); }) == "");
  CHECK(has([](Program& p) { p.batch = 1, p.kernels[0].reads.push_back(3), p.buffers[3].offset = 192; }, "'u' ends inside of its memory"));
  CHECK(has([](Program& p) { p.kernels[0].reads.push_back(3), p.buffers[1].offset = p.buffers[1].batch_offset = 0; },
            "'t' lies apart from 'u'"));
}

TEST_CASE("the verifier looks at buffers by themselves") {
  Program program = copy_program();
  auto message = [&](const std::function<void(Program&)>& change) -> std::string {
    Program changed = program;
    change(changed);
    try {
      verify(changed);
    } catch (const InternalError& error) {
      return error.what();
    }
    return "";
  };
  auto has = [&](const std::function<void(Program&)>& change, const char* part) { return message(change).find(part) != std::string::npos; };
  CHECK(has([](Program& p) { p.buffers[1].elements = {-1}; }, "'t' has no negative number of elements"));
  CHECK(has([](Program& p) { p.buffers[2].argument = 0; }, "'y' has a place of its own among the arguments"));
  CHECK(has([](Program& p) { p.buffers[0].kind = BufferKind::constant; }, "'x' is a constant of constant size"));
  CHECK(has([](Program& p) { p.kernels[0].reads.push_back(-1); }, "buffer -1 exists"));
  CHECK(has([](Program& p) { p.buffers[0].kind = BufferKind::constant, p.buffers[0].elements = {17}; },
            "the constant 'x' has 17 numbers, not 0"));
}

TEST_CASE("the verifier accepts what is right and names what is wrong") {
  CHECK_NOTHROW(verify(copy_program()));
  auto message = [](Stmt body, Expr tasks = 1) -> std::string {
    Program program = copy_program();
    program.kernels[0].body = block({body});
    program.kernels[0].tasks = tasks;
    try {
      verify(program);
    } catch (const InternalError& error) {
      return error.what();
    }
    return "";
  };
  auto has = [&](Stmt body, const char* part) { return message(body).find(part) != std::string::npos; };
  Expr value = real(0);
  CHECK(has(store(2, variable("k"), value), "variable 'k' is declared before its use"));
  CHECK(has(store(1, Expr(0), value), "lists every buffer it writes"));
  CHECK(has(store(7, Expr(0), value), "buffer 7 exists"));
  CHECK(has(store(2, Expr(0), load(1, Scalar::f32, Expr(0))), "lists every buffer it reads"));
  CHECK(has(store(2, Expr(0), integer(0)), "has the buffer's type"));
  CHECK(has(store(2, ramp(0, 1, 4), real(0, {Scalar::f32, 8})), "as many lanes"));
  CHECK(has(write_register("r", 0, value), "'r' is declared before its use"));
  CHECK(has(block({declare_registers("r", {Scalar::f32, 1}, 2), write_register("r", 2, value)}), "index 2 lies in"));
  CHECK(has(block({declare_registers("r", {Scalar::f32, 1}, 2), write_register("r", variable("row"), value)}), "constant once unrolled"));
  CHECK(has(loop("k", 0, variable("row"), 1, {}, LoopKind::unrolled), "constant bounds"));
  CHECK(has(loop("row", 0, 4, 1, {}), "variable 'row' is declared once"));
  CHECK(has(block({block({let("k", Expr(1))}), store(2, variable("k"), value)}), "variable 'k' is declared before its use"));
  CHECK(has(let("k", variable("row", {Scalar::i32, 1})), "keeps its type"));
  CHECK(message(block({}), real(1)).find("number of tasks") != std::string::npos);
  CHECK(has(store(-1, Expr(0), value), "buffer -1 exists"));
  const Type f32{Scalar::f32, 1};
  CHECK(has(block({declare_registers("r", f32, 2), store(2, Expr(0), read_register("r", f32, 0)), write_register("r", 0, value)}),
            "'r' is written before it is read"));
  ExprNode lame{.kind = ExprKind::binary, .type = f32};
  CHECK(has(store(2, Expr(0), Expr(std::make_shared<const ExprNode>(lame))), "an expression has its operands"));
  ExprNode division{.kind = ExprKind::binary, .type = {Scalar::i64, 1}, .binary_op = BinaryOp::divide, .args = {variable("row"), Expr(0)}};
  CHECK(has(store(2, Expr(std::make_shared<const ExprNode>(division)), value), "a divisor is positive, not 0"));
  ExprNode product{.kind = ExprKind::reduce_lanes, .type = f32, .binary_op = BinaryOp::multiply, .args = {real(1, {Scalar::f32, 4})}};
  CHECK(has(store(2, Expr(0), Expr(std::make_shared<const ExprNode>(product))), "a reduction adds"));
}
