// The loop IR's constructors, printer and verifier.
#include <doctest/doctest.h>

#include <random>

#include "ir/diagnostic.h"
#include "ir/loops.h"
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
Expr plain_binary(BinaryOp op, Expr a, Expr b, Type type) { return Expr(std::make_shared<ExprNode>(ExprNode{.kind = ExprKind::binary, .type = type, .binary_op = op, .args = {a, b}})); }

// Random index arithmetic over i and j, vectors of 4 lanes or scalars.
class IndexGenerator {
 public:
  explicit IndexGenerator(uint32_t seed) : random_(seed) {}

  Pair make(int depth, int lanes) {
    if (depth == 0) return leaf(lanes);
    BinaryOp op = operations[random_() % std::size(operations)];
    bool division = op == BinaryOp::divide || op == BinaryOp::modulo;
    Pair a = make(depth - 1, lanes);
    Pair b = division ? constant(1 + random_() % 9, lanes) : random_() % 3 == 0 ? constant(static_cast<int>(random_() % 17) - 8, lanes) : make(depth - 1, lanes);
    return {binary(op, a.folded, b.folded), plain_binary(op, a.plain, b.plain, {Scalar::i64, lanes})};
  }

  Pair comparison(int depth, int lanes) {
    constexpr BinaryOp comparisons[] = {BinaryOp::less, BinaryOp::less_equal, BinaryOp::equal, BinaryOp::not_equal};
    BinaryOp op = comparisons[random_() % 4];
    Pair a = make(depth, lanes), b = make(depth, lanes);
    return {binary(op, a.folded, b.folded), plain_binary(op, a.plain, b.plain, {Scalar::boolean, lanes})};
  }

 private:
  static constexpr BinaryOp operations[] = {BinaryOp::add, BinaryOp::add, BinaryOp::subtract, BinaryOp::multiply, BinaryOp::divide, BinaryOp::modulo, BinaryOp::minimum, BinaryOp::maximum};

  Pair vector(Pair scalar, int64_t stride, int lanes) {
    if (lanes == 1) return scalar;
    ExprKind kind = stride ? ExprKind::ramp : ExprKind::broadcast;
    return {ramp(scalar.folded, stride, lanes), Expr(std::make_shared<ExprNode>(ExprNode{.kind = kind, .type = {Scalar::i64, lanes}, .integer_value = stride, .args = {scalar.plain}}))};
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
  program.kernels = {{.name = "copy", .tasks = variable(batch_variable), .task_variable = "row", .body = store(2, ramp(row * 16, 1, 16), load(0, Scalar::f32, ramp(row * 16, 1, 16))), .reads = {0}, .writes = {2}}};
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
}
