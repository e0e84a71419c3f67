// Accuracy of the generated elementary functions against libm in float64, over all of the f32 numbers by samples.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "codegen/codegen.h"

using namespace bnc;
using namespace bnc::loops;

namespace {

constexpr int64_t block_size = 1 << 16;

struct Function {
  UnaryOp op;
  const char* name;
  double (*exact)(double);
  double max_ulp;
};

const Function functions[] = {
    {UnaryOp::exp, "exp", std::exp, 2},
    {UnaryOp::log, "log", std::log, 2},
    {UnaryOp::log1p, "log1p", std::log1p, 2},
    {UnaryOp::tanh, "tanh", std::tanh, 2},
    {UnaryOp::sigmoid, "sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, 2},
    {UnaryOp::erf, "erf", std::erf, 2},
    {UnaryOp::sqrt, "sqrt", std::sqrt, 0.5},
    {UnaryOp::reciprocal_sqrt, "rsqrt", [](double x) { return 1 / std::sqrt(x); }, 2},
    {UnaryOp::floor, "floor", std::floor, 0},
    {UnaryOp::round_even, "round_even", std::nearbyint, 0},
};

// y[i] = op(x[i]) over a block of numbers.
Program elementwise(UnaryOp op, int lanes) {
  Expr i = variable("i");
  Program program{.name = "elementwise", .batch = 1};
  program.buffers = {{.name = "x", .elements = {block_size}, .kind = BufferKind::argument, .argument = 0},
                     {.name = "y", .elements = {block_size}, .kind = BufferKind::argument, .argument = 1}};
  Stmt body = loop("i", 0, block_size, lanes, {store(1, ramp(i, 1, lanes), unary(op, load(0, Scalar::f32, ramp(i, 1, lanes))))});
  program.kernels = {{.name = "apply", .tasks = 1, .task_variable = "task", .body = body, .reads = {0}, .writes = {1}}};
  return program;
}

// The distance in units of the last place of the f32 result; infinite where one is NaN or infinite and the other not.
double error_in_ulp(float got, double exact) {
  float nearest = static_cast<float>(exact);
  if (std::isnan(exact) || std::isnan(got)) return std::isnan(exact) && std::isnan(got) ? 0 : INFINITY;
  if (std::isinf(nearest) || std::isinf(got)) return got == nearest ? 0 : INFINITY;
  double ulp = std::ldexp(1.0, std::max(exact == 0 ? -149 : std::ilogb(exact) - 23, -149));
  return std::abs(static_cast<double>(got) - exact) / ulp;
}

// The largest error over the bit patterns begin, begin + stride, ...
struct Worst {
  double ulp = 0;
  float at = 0, got = 0;
};
Worst worst_error(const Function& function, const TargetDescription& target, int lanes, uint64_t stride) {
  auto compiled = codegen::jit(elementwise(function.op, lanes), target);
  std::vector<float> x(block_size), y(block_size);
  void* arguments[] = {x.data(), y.data()};
  Worst worst;
  for (uint64_t pattern = 0; pattern < (uint64_t{1} << 32);) {
    for (float& value : x) {
      value = std::bit_cast<float>(static_cast<uint32_t>(pattern));
      pattern += stride;
    }
    compiled->step()(arguments, nullptr, 1, 0, 1, nullptr, nullptr);
    for (int64_t i = 0; i < block_size; ++i) {
      double error = error_in_ulp(y[i], function.exact(x[i]));
      if (error > worst.ulp) worst = {error, x[i], y[i]};
    }
  }
  return worst;
}

uint64_t sampling_stride() {
  const char* text = std::getenv("BNC_MATH_STRIDE");  // 1 tests every f32
  return text ? std::strtoull(text, nullptr, 10) : 2039;
}

}  // namespace

TEST_CASE("elementary functions are accurate to 2 ulp over all f32") {
  for (const char* cpu : {"native", "haswell", "x86-64"}) {
    TargetDescription target = codegen::target_for(cpu, true);
    for (const Function& function : functions) {
      Worst worst = worst_error(function, target, target.float_lanes(), sampling_stride());
      INFO(fmt::format("{} on {}: {:.3f} ulp at {} ({:a}), result {}", function.name, cpu, worst.ulp, worst.at, worst.at, worst.got));
      CHECK(worst.ulp <= function.max_ulp);
      if (std::getenv("BNC_MATH_STRIDE")) MESSAGE(function.name << " on " << cpu << ": " << worst.ulp << " ulp at " << worst.at);
    }
  }
}

TEST_CASE("elementary functions at special values") {
  float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN(), tiny = 0x1p-149f;
  std::vector<float> inputs{0.0f,      -0.0f,     inf,      -inf,     nan,    tiny, -tiny, 1,    -1,  0x1.fffffep127f, -0x1.fffffep127f,
                            88.72283f, 88.72284f, -103.97f, -103.98f, -87.4f, 0.5f, -0.5f, 1.5f, 2.5f};
  for (const char* cpu : {"native", "haswell", "x86-64"}) {
    TargetDescription target = codegen::target_for(cpu, true);
    for (const Function& function : functions) {
      for (int lanes : {1, 4, 16}) {
        auto compiled = codegen::jit(elementwise(function.op, lanes), target);
        std::vector<float> x(block_size), y(block_size);
        std::copy(inputs.begin(), inputs.end(), x.begin());
        void* arguments[] = {x.data(), y.data()};
        compiled->step()(arguments, nullptr, 1, 0, 1, nullptr, nullptr);
        for (size_t i = 0; i < inputs.size(); ++i) {
          double exact = function.exact(inputs[i]);
          INFO(fmt::format("{}({}) = {}, exactly {}, {} lanes on {}", function.name, inputs[i], y[i], exact, lanes, cpu));
          CHECK(error_in_ulp(y[i], exact) <= function.max_ulp);
          if (!std::isnan(exact)) CHECK(std::signbit(y[i]) == std::signbit(exact));
        }
      }
    }
  }
}
