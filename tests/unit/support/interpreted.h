// Generated code beside the interpreter: a program run by both, on every target that runs here.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <random>

#include "codegen/codegen.h"
#include "ir/diagnostic.h"
#include "tests/unit/loop_interpreter.h"

namespace bnc::loops::testing {

inline std::vector<TargetDescription> targets() {
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

inline Lane read_lane(Scalar scalar, const char* at) {
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

inline void write_lane(Scalar scalar, char* at, Lane lane) {
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
inline void fill(Interpreter& interpreter, const Program& program, uint32_t seed) {
  std::mt19937 random(seed);
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    if (program.buffers[b].kind != BufferKind::argument) continue;
    for (Lane& lane : interpreter.memory[b]) {
      int64_t value = static_cast<int64_t>(random() % 15) - 7;
      lane = program.buffers[b].scalar == Scalar::boolean ? Lane{0, value & 1} : Lane{static_cast<double>(value), value};
    }
  }
}

inline bool agree(Scalar scalar, Lane got, Lane want, double relative) {
  if (scalar != Scalar::f32 && scalar != Scalar::f64) return got.integer == want.integer;
  if (std::isnan(want.real)) return std::isnan(got.real);
  return got.real == want.real || std::abs(got.real - want.real) <= relative * std::abs(want.real);
}

inline void compare(const Program& program, const Interpreter& want, const Memory& got, double relative) {
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    if (buffer.kind != BufferKind::argument) continue;
    for (size_t k = 0; k < want.memory[b].size(); ++k) {
      Lane lane = read_lane(buffer.scalar, &got.buffers[b][k * size_of(buffer.scalar)]);
      bool same = agree(buffer.scalar, lane, want.memory[b][k], relative);
      if (same) continue;
      INFO(to_string(program) << buffer.name << "[" << k << "]: " << lane.real << "/" << lane.integer << ", not " << want.memory[b][k].real
                              << "/" << want.memory[b][k].integer);
      REQUIRE(same);
    }
    CHECK(want.memory[b].size() * size_of(buffer.scalar) == got.buffers[b].size());
  }
}

inline void check(const Program& program, int64_t n = 1, double relative = 0, const std::function<void(Interpreter&)>& prepare = {}) {
  Interpreter want(program, n);
  fill(want, program, 1);
  if (prepare) prepare(want);
  const std::vector<TargetDescription> all = targets();
  for (const TargetDescription& target : all) {
    INFO("CPU " << target.cpu << ", " << program.name);
    Interpreter expected = want;
    expected.run();
    for (const bool checked : {false, true}) {
      if (checked && &target != &all.front()) continue;
      Memory memory(program, n, want);
      const auto compiled = codegen::jit(program, target, {.quick = checked, .checks = {.bounds = checked, .poison = checked}});
      compiled->step()(memory.arguments.data(), memory.arena, n, 0, 1, nullptr, nullptr);
      compiled->raise_fault();
      compare(program, expected, memory, relative);
    }
  }
}

// A program of one kernel over argument buffers of the given types; the last is the result.
inline Program one_kernel(const std::string& name, const std::vector<std::pair<Scalar, int64_t>>& buffers, Stmt body, Expr tasks = 1) {
  Program program{.name = name, .batch = 1};
  Kernel kernel{.name = "kernel", .tasks = tasks, .task_variable = "task", .body = block({body})};
  for (size_t b = 0; b < buffers.size(); ++b) {
    program.buffers.push_back({.name = "b" + std::to_string(b),
                               .scalar = buffers[b].first,
                               .elements = {buffers[b].second},
                               .kind = BufferKind::argument,
                               .argument = static_cast<int>(b)});
    (b + 1 < buffers.size() ? kernel.reads : kernel.writes).push_back(static_cast<int>(b));
  }
  program.kernels = {kernel};
  return program;
}

inline const Expr i = variable("i");

}  // namespace bnc::loops::testing
