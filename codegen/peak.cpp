// What the machine can do: the peak of multiply-adds and the bandwidth of memory, with code of our own generator.
#include <chrono>
#include <cmath>

#include "codegen/codegen.h"

namespace bnc::codegen {

namespace {

// Chains of multiply-adds that depend on nothing but themselves; their sums are stored so that they are computed.
// Two units of four cycles latency need eight chains at least; a quarter of the registers is left for the factors.
loops::Program multiply_add_chains(const TargetDescription& target, int chains, int64_t repeats) {
  using namespace loops;
  int lanes = target.float_lanes();
  Type vector{Scalar::f32, lanes};
  Expr i = variable("i");
  Expr sum = read_register("sum", vector, i), a = variable("a", vector), b = variable("b", vector);
  std::vector<Stmt> body{declare_registers("sum", vector, chains), let("a", load(0, Scalar::f32, ramp(0, 1, lanes))),
                         let("b", load(0, Scalar::f32, ramp(lanes, 1, lanes)))};
  body.push_back(loop("i", 0, chains, 1, {write_register("sum", i, cast(Scalar::f32, broadcast(i, lanes)))}, LoopKind::unrolled));
  body.push_back(loop("repeat", 0, repeats, 1, {loop("i", 0, chains, 1, {write_register("sum", i, fma(a, b, sum))}, LoopKind::unrolled)}));
  body.push_back(loop("i", 0, chains, 1, {store(1, ramp(i * lanes, 1, lanes), sum)}, LoopKind::unrolled));
  Program program{.name = "peak", .batch = 1};
  program.buffers = {{.name = "factors", .elements = {2 * lanes}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "sums", .elements = {chains * lanes}, .kind = BufferKind::argument, .argument = 1}};
  program.kernels = {{.name = "chains", .tasks = 1, .task_variable = "task", .body = block(std::move(body)), .reads = {0}, .writes = {1}}};
  return program;
}

}  // namespace

double measure_peak_gflops(const TargetDescription& target) {
  constexpr int runs = 40;
  constexpr int64_t repeats = 400'000;
  int chains = target.vector_registers / 4 * 3;
  auto compiled = jit(multiply_add_chains(target, chains, repeats), target);
  std::vector<float> factors(2 * target.float_lanes(), 0.5f), sums(chains * target.float_lanes());
  void* arguments[] = {factors.data(), sums.data()};
  double best = INFINITY;
  for (int run = 0; run < runs; ++run) {
    auto begin = std::chrono::steady_clock::now();
    compiled->step()(arguments, nullptr, 1, 0, 1, nullptr, nullptr);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return 2e-9 * chains * target.float_lanes() * static_cast<double>(repeats) / best;
}

std::unique_ptr<CompiledProgram> stream_copy(const TargetDescription& target, int64_t tasks, int64_t chunk_bytes) {
  using namespace loops;
  const int lanes = target.float_lanes();
  const int64_t chunk = chunk_bytes / 4;
  Expr task = variable("task"), at = ramp(variable("i"), 1, lanes);
  Stmt copy = loop("i", task * chunk, task * chunk + chunk, lanes, {store(1, at, load(0, Scalar::f32, at))});
  Program program{.name = "stream", .batch = 1};
  program.buffers = {{.name = "from", .elements = {tasks * chunk}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "to", .elements = {tasks * chunk}, .kind = BufferKind::argument, .argument = 1}};
  program.kernels = {{.name = "copy", .tasks = tasks, .task_variable = "task", .body = copy, .reads = {0}, .writes = {1}}};
  return jit(program, target);
}

}  // namespace bnc::codegen
