// Runs a graph as generated code and holds it against the reference evaluator.
#pragma once

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <barrier>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "codegen/codegen.h"
#include "passes/pass.h"
#include "support/tensors.h"

namespace bnc::test {

struct CodeOptions {
  std::vector<std::string> passes = {"canonicalize", "decompose", "constant-fold", "common-subexpressions", "dead-code", "fuse"};
  std::string cpu = "native";
  bool fixed_batch = true;
  int threads = 1;
  TrainSection* train = nullptr;
  int64_t l2_bytes = 0;   // a cache of another size than the target's
  std::optional<int64_t> cached_bytes;
  bool embed = false;            // parameters and states are constants of the program
  // Bytes from the beginning of a cache line to that of each argument; else the memory behind each cannot be read or written.
  std::optional<int64_t> argument_offset;
  codegen::Checks checks = {};
};

// Memory that ends where the next page can be neither read nor written.
inline std::shared_ptr<char> guarded_memory(size_t bytes) {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE)), whole = (bytes + page - 1) / page * page;
  void* const mapped = ::mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(mapped != MAP_FAILED);
  char* const begin = static_cast<char*>(mapped);
  REQUIRE(::mprotect(begin + whole, page, PROT_NONE) == 0);
  return {begin + whole - bytes, [mapped, whole, page](char*) { ::munmap(mapped, whole + page); }};
}

// Memory that begins `offset` bytes behind the beginning of a cache line.
inline std::shared_ptr<char> offset_memory(size_t bytes, int64_t offset) {
  const auto owner = std::make_shared<std::vector<char>>(bytes + 128, 0);
  const uintptr_t line = (reinterpret_cast<uintptr_t>(owner->data()) + 63) / 64 * 64;
  return {owner, reinterpret_cast<char*>(line) + offset};
}

// Every argument buffer after one run: outputs (`output/NAME`, `loss`, `grad/NAME`), parameters and states (updated).
inline std::map<std::string, Tensor> run_generated(const Graph& original, const Bindings& bindings, const CodeOptions& options = {}) {
  const int64_t batch = batch_size_of(original, bindings);
  Graph graph = original.clone();
  PassContext context;
  context.target = codegen::target_for(options.cpu, true);
  if (options.l2_bytes) context.target.l2_bytes = options.l2_bytes;
  if (options.cached_bytes) context.target.cached_bytes = *options.cached_bytes;
  context.train = options.train;
  if (options.fixed_batch) context.batch = batch;
  Weights weights;
  for (const char* kind : {"parameter", "state"}) {
    for (const Node* node : graph.nodes_of(kind))
      weights.set(node->results[0].name, Weight::from_tensor(bindings.at(node->results[0].name)));
  }
  if (options.embed) context.weights = &weights;
  context.embed_weights = options.embed;
  run_passes(graph, options.passes, context);
  loops::Program program = lower_to_loops(graph, context);
  plan_memory(program, context);
  INFO(loops::to_string(program));
  const auto compiled = codegen::jit(program, context.target, {.quick = options.checks.bounds, .checks = options.checks});

  std::vector<std::shared_ptr<char>> storage(program.buffers.size());
  auto elements = [&](size_t b) { return storage[b].get(); };
  std::vector<void*> arguments;
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    const auto& buffer = program.buffers[b];
    if (buffer.kind != loops::BufferKind::argument) continue;
    const int64_t count = buffer.elements.at(batch);
    const size_t bytes = static_cast<size_t>(count) * 4;
    storage[b] = options.argument_offset ? offset_memory(bytes, *options.argument_offset) : guarded_memory(bytes);
    const bool is_result = buffer.name.starts_with("output/") || buffer.name.starts_with("grad/") || buffer.name == "loss";
    if (is_result && options.checks.poison) codegen::fill_with_poison(elements(b), count, 4);
    if (auto it = bindings.find(buffer.name); it != bindings.end()) {
      for (int64_t i = 0; i < count; ++i) {
        const double value = it->second.data[i];
        const auto bits = buffer.scalar == loops::Scalar::i32 ? std::bit_cast<uint32_t>(static_cast<int32_t>(value))
                                                              : std::bit_cast<uint32_t>(static_cast<float>(value));
        std::memcpy(elements(b) + i * 4, &bits, 4);
      }
    }
    arguments.resize(std::max<size_t>(arguments.size(), buffer.argument + 1));
    arguments[buffer.argument] = elements(b);
  }
  // Filled with NaN, so that reading what was never written shows.
  std::vector<float> arena(program.workspace_bytes(batch, options.threads) / 4 + 32, std::nanf(""));
  void* base = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(arena.data()) + 63) / 64 * 64);
  std::barrier<> meeting(options.threads);
  auto wait = [](void* context) { static_cast<std::barrier<>*>(context)->arrive_and_wait(); };
  std::vector<std::thread> workers;
  for (int thread = 0; thread < options.threads; ++thread) {
    workers.emplace_back([&, thread] { compiled->step()(arguments.data(), base, batch, thread, options.threads, wait, &meeting); });
  }
  for (std::thread& worker : workers) worker.join();
  compiled->raise_fault();

  std::map<std::string, Tensor> result;
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    const auto& buffer = program.buffers[b];
    if (buffer.kind != loops::BufferKind::argument) continue;
    Tensor tensor;
    for (int64_t i = 0; i < buffer.elements.at(batch); ++i) {
      float real;
      int32_t whole;
      std::memcpy(&real, elements(b) + i * 4, 4);
      std::memcpy(&whole, elements(b) + i * 4, 4);
      tensor.data.push_back(buffer.scalar == loops::Scalar::i32 ? whole : real);
    }
    result[buffer.name] = std::move(tensor);
  }
  return result;
}

// Everything the graph hands out, generated against reference; for this machine again with accesses held against their buffers and memory
// poisoned.
inline void check_generated(const Graph& graph, const Bindings& bindings, const CodeOptions& options = {}, double tolerance = 2e-6) {
  const Evaluation reference = evaluate(graph, bindings);
  const bool again = options.cpu == "native" && options.fixed_batch;
  for (const bool checked : again ? std::vector{false, true} : std::vector{false}) {
    CodeOptions with_checks = options;
    if (checked) with_checks.checks = {.bounds = true, .poison = true};
    const auto got = run_generated(graph, bindings, with_checks);
    auto compare = [&](const std::string& name, const Tensor& expected) {
      INFO("tensor ", name, ", cpu ", options.cpu, ", fixed batch ", options.fixed_batch, ", checks ", checked);
      REQUIRE(got.count(name) == 1);
      CHECK(relative_error(got.at(name), expected) <= tolerance);
    };
    for (const auto& [name, tensor] : reference.outputs) compare("output/" + name, tensor);
    for (const auto& [name, tensor] : reference.gradients) compare("grad/" + name, tensor);
    for (const auto& [name, tensor] : reference.updates) compare(name, tensor);
    if (graph.output(Output::Role::loss)) compare("loss", Tensor{DType::f32, {}, {reference.loss}});
  }
}

// The same on random inputs for every width of vectors, with the batch size known and not.
inline void check_generated_everywhere(const Graph& graph, int64_t batch, double tolerance = 2e-6) {
  const Bindings bindings = random_bindings(graph, batch);
  for (const char* cpu : {"native", "haswell", "x86-64"}) {
    for (bool fixed : {true, false}) {
      CodeOptions options;
      options.cpu = cpu;
      options.fixed_batch = fixed;
      check_generated(graph, bindings, options, tolerance);
    }
  }
}

}  // namespace bnc::test
