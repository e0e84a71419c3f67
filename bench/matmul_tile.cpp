// A register-tiled matmul written directly in the loop IR, for every tile shape that may suit the target: how near the
// generated code comes to the multiply-add peak. Usage: matmul_tile [CPU [ROWS VECTORS]]; with a tile given it prints
// the assembly to stderr.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "codegen/codegen.h"

using namespace bnc;
using namespace bnc::loops;

namespace {

// c[M, N] = a[M, K] * b[K, N]; a in panels of `rows` rows, b in panels of `vectors` vectors of columns.
Program tiled_matmul(const TargetDescription& target, int64_t m, int64_t n, int64_t k, int rows, int vectors) {
  int lanes = target.float_lanes();
  int64_t width = int64_t(vectors) * lanes;
  Type vector{Scalar::f32, lanes};
  Expr task = variable("panel"), i = variable("i"), r = variable("r"), v = variable("v"), depth = variable("k");
  Expr right = load(1, Scalar::f32, ramp(task * (k * width) + depth * width + v * lanes, 1, lanes));
  Expr left = load(0, Scalar::f32, i * (k * rows) + depth * rows + r);
  auto tile = [&](auto statement) {
    return loop("r", 0, rows, 1, {loop("v", 0, vectors, 1, {statement}, LoopKind::unrolled)}, LoopKind::unrolled);
  };
  Expr position = r * vectors + v;
  Expr sum = read_register("sum", vector, position);
  Stmt body = loop("i", 0, m / rows, 1,
                   {
                       declare_registers("sum", vector, rows * vectors),
                       tile(write_register("sum", position, real(0, vector))),
                       loop("k", 0, k, 1,
                            {
                                declare_registers("column", vector, vectors),
                                loop("v", 0, vectors, 1, {write_register("column", v, right)}, LoopKind::unrolled),
                                loop("r", 0, rows, 1,
                                     {
                                         let("element", broadcast(left, lanes)),
                                         loop("v", 0, vectors, 1,
                                              {write_register("sum", position,
                                                              fma(variable("element", vector), read_register("column", vector, v), sum))},
                                              LoopKind::unrolled),
                                     },
                                     LoopKind::unrolled),
                            }),
                       tile(store(2, ramp((i * rows + r) * n + task * width + v * lanes, 1, lanes), sum)),
                   });
  Program program{.name = "matmul", .batch = 1};
  program.buffers = {{.name = "a", .elements = {m * k}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "b", .elements = {k * n}, .kind = BufferKind::argument, .argument = 1},
                     {.name = "c", .elements = {m * n}, .kind = BufferKind::argument, .argument = 2}};
  program.kernels = {{.name = "tile", .tasks = n / width, .task_variable = "panel", .body = body, .reads = {0, 1}, .writes = {2}}};
  return program;
}

double measure(const TargetDescription& target, int rows, int vectors) {
  int64_t k = 1024, m = 16 * rows, n = 2 * vectors * target.float_lanes();
  auto compiled = codegen::jit(tiled_matmul(target, m, n, k, rows, vectors), target);
  std::vector<float> a(m * k, 1), b(k * n, 1), c(m * n);
  void* arguments[] = {a.data(), b.data(), c.data()};
  double best = 1e9;
  for (int run = 0; run < 100; ++run) {
    auto begin = std::chrono::steady_clock::now();
    compiled->step()(arguments, nullptr, 1, 0, 1, nullptr, nullptr);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  if (c[0] != static_cast<float>(k)) fmt::print("wrong result\n");
  return 2e-9 * m * n * k / best;
}

}  // namespace

int main(int argc, char** argv) {
  TargetDescription target = codegen::target_for(argc > 1 ? argv[1] : "native", true);
  double peak = codegen::measure_peak_gflops(target);
  fmt::print("{}: peak {:.1f} GFLOP/s\n", target.cpu, peak);
  if (argc > 3) {
    int rows = std::atoi(argv[2]), vectors = std::atoi(argv[3]);
    fmt::print(stderr, "{}",
               codegen::emit_assembly(tiled_matmul(target, rows, vectors * target.float_lanes(), 1024, rows, vectors), target));
    fmt::print("{:2} x {}: {:5.1f} %\n", rows, vectors, 100 * measure(target, rows, vectors) / peak);
    return 0;
  }
  for (int vectors = 1; vectors <= 4; ++vectors) {
    for (int rows = 2; rows * vectors + vectors + 1 <= target.vector_registers; ++rows) {
      fmt::print("{:2} x {}: {:5.1f} %\n", rows, vectors, 100 * measure(target, rows, vectors) / peak);
    }
  }
}
