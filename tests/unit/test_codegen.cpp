// Generated code against the interpreter: every expression, statement and operation, on every target that runs here.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <barrier>
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
      for (UnaryOp op : {UnaryOp::negate, UnaryOp::absolute})
        check(elementwise("unary", scalar, scalar, lanes, [&](Expr a, Expr, Expr) { return unary(op, a); }));
    }
    check(elementwise("logical_not", Scalar::boolean, Scalar::boolean, lanes,
                      [&](Expr a, Expr, Expr) { return unary(UnaryOp::logical_not, a); }));
    for (UnaryOp op : {UnaryOp::floor, UnaryOp::round_even}) {
      for (Scalar scalar : {Scalar::f32, Scalar::f64})
        check(
            elementwise("round", scalar, scalar, lanes, [&](Expr a, Expr, Expr) { return unary(op, a * constant_of({scalar, 1}, 0.25)); }));
    }
    for (UnaryOp op : {UnaryOp::sqrt, UnaryOp::reciprocal_sqrt, UnaryOp::exp, UnaryOp::log, UnaryOp::log1p, UnaryOp::tanh, UnaryOp::sigmoid,
                       UnaryOp::erf}) {
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
      auto each = [&](BinaryOp op, Scalar to, auto divisor) {
        check(elementwise("binary", scalar, to, lanes, [&](Expr a, Expr b, Expr) { return binary(op, a, divisor(b)); }));
      };
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
      for (BinaryOp op : {BinaryOp::shift_left, BinaryOp::shift_right_logical})
        each(op, scalar, [](Expr b) { return binary(BinaryOp::bit_and, b, Expr(7)); });
    }
    for (BinaryOp op : {BinaryOp::logical_and, BinaryOp::logical_or}) {
      check(elementwise("logical", Scalar::boolean, Scalar::boolean, lanes, [&](Expr a, Expr b, Expr) { return binary(op, a, b); }));
    }
  }
}

TEST_CASE("i32 arithmetic wraps around") {
  for (int lanes : {1, 8, 16}) {
    check(elementwise("wrap", Scalar::i32, Scalar::i32, lanes,
                      [&](Expr a, Expr b, Expr) { return (a + 2147483647) * 1103515245 + b * 40503; }));
    check(elementwise("hash", Scalar::i32, Scalar::i32, lanes, [&](Expr a, Expr, Expr) {
      return binary(BinaryOp::bit_xor, a * 747796405, binary(BinaryOp::shift_right_logical, a * 747796405, Expr(16)));
    }));
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
      check(elementwise("constant", Scalar::f32, Scalar::f32, lanes, [&](Expr a, Expr, Expr) { return binary(op, a, real(0)); }), 1, 0,
            prepare);
      check(elementwise("constant_first", Scalar::f32, Scalar::f32, lanes, [&](Expr a, Expr, Expr) { return binary(op, real(2), a); }), 1,
            0, prepare);
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
    for (Lane& lane : interpreter.memory[0])
      lane.real = static_cast<float>(std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 30) - 40));
  });
}

TEST_CASE("loads and stores of every shape, with and without predicates") {
  for (int lanes : {1, 4, 8, 16}) {
    for (Scalar scalar : {Scalar::f32, Scalar::i32, Scalar::f64}) {
      // Lane k of vector i: contiguous, reversed, strided, all the same, and through an index buffer.
      Expr first = i * lanes;
      std::vector<Expr> indices{ramp(first, 1, lanes), ramp(first + (lanes - 1), -1, lanes), ramp(i, length, lanes),
                                ramp(length * lanes - 1 - i, -length, lanes), load(1, Scalar::i32, ramp(first, 1, lanes))};
      Expr predicate = load(2, Scalar::boolean, ramp(first, 1, lanes));
      int64_t elements = length * lanes;
      std::vector<std::pair<Scalar, int64_t>> buffers{
          {scalar, elements}, {Scalar::i32, elements}, {Scalar::boolean, elements}, {scalar, elements}};
      auto prepare = [&](Interpreter& interpreter) {
        for (int64_t k = 0; k < elements; ++k) interpreter.memory[1][k].integer = (k * 7) % elements;
      };
      for (const Expr& index : indices) {
        for (const Expr& where : {Expr(), predicate}) {
          auto program = [&](Stmt body) { return one_kernel(fmt::format("access_{}", lanes), buffers, loop("i", 0, length, 1, {body})); };
          check(program(store(3, ramp(first, 1, lanes), load(0, scalar, index, where))), 1, 0, prepare);
          if (lanes * 7 % 2 == 0 || lanes == 1)
            check(program(store(3, index, load(0, scalar, ramp(first, 1, lanes)), where)), 1, 0, prepare);
        }
      }
    }
  }
}

// Terms that change in the same loop are joined to one while an access is emitted: what was made for that must not be
// taken for what the statement's next access makes.
TEST_CASE("one statement reads at several sums of terms of one loop") {
  Expr q = i / Expr(4), r = i % Expr(4);
  auto at = [&](int buffer, int64_t stride) { return load(buffer, Scalar::f32, q * Expr(stride) + r); };
  Stmt body = loop("i", 0, 16, 1, {store(4, q * Expr(5) + r, at(0, 3) * at(1, 7) + at(2, 11) - at(3, 13))});
  check(one_kernel("several_sums", {{Scalar::f32, 13}, {Scalar::f32, 25}, {Scalar::f32, 37}, {Scalar::f32, 43}, {Scalar::f32, 19}}, body));
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
        loop("column", 0, 5, 1,
             {
                 loop("row", 0, 3, 1,
                      {
                          let("index", ramp(((task * 3 + row) * 5 + column) * lanes, 1, lanes)),
                          write_register("sum", row, sum + load(0, Scalar::f32, index)),
                      },
                      LoopKind::unrolled),
             }),
        conditional(task % 2 == 1, {loop("row", 0, 3, 2, {write_register("sum", row, sum + cast(Scalar::f32, task))}, LoopKind::unrolled)}),
        let("base", task * 3),
        loop("row", 0, 3, 1, {conditional(row < Expr(3), {store(1, ramp((variable("base") + row) * lanes, 1, lanes), sum)})},
             LoopKind::unrolled),
    });
    check(one_kernel("statements", {{Scalar::f32, 7 * 15 * lanes}, {Scalar::f32, 21 * lanes}}, body, 7));
  }
}

TEST_CASE("loops that run never, once, or with a step that overshoots") {
  for (auto [begin, end, step] : {std::tuple{0, 0, 1}, {3, 1, 1}, {2, 3, 1}, {0, 10, 3}, {0, 9, 3}, {1, 2, 16}}) {
    for (LoopKind kind : {LoopKind::serial, LoopKind::unrolled}) {
      check(one_kernel("bounds", {{Scalar::f32, 16}, {Scalar::f32, 16}},
                       loop("i", begin, end, step, {store(1, i, load(0, Scalar::f32, i) + real(1))}, kind)));
    }
    Expr limit = cast(Scalar::i64, load(0, Scalar::i32, 0));  // known at run time only
    check(one_kernel("dynamic", {{Scalar::i32, 16}, {Scalar::f32, 16}}, loop("i", begin, limit, step, {store(1, i, cast(Scalar::f32, i))})),
          1, 0, [&](Interpreter& interpreter) { interpreter.memory[0][0].integer = end; });
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
    return random_() % 3 ? first
                         : binary(random_() % 2 ? BinaryOp::logical_and : BinaryOp::logical_or, first, number(depth) < number(depth));
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
