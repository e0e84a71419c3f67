// Compiled programs, run on values: in this process, or as a shared library made of an object file.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "bnc/bnc.h"
#include "codegen/codegen.h"
#include "passes/pass.h"
#include "tests/fuzz/values.h"

namespace bnc::fuzz {

// How one network is compiled and run.
struct Variant {
  std::string cpu = "native";
  bool fixed_batch = true;
  bool embed = false;                   // frozen, with the weights as constants of the program
  int64_t l2_bytes = 0;                 // a cache of another size than the target's
  std::optional<int64_t> cached_bytes;
  bool quick = false;                   // to compile
  int64_t argument_offset = 0;          // bytes from the beginning of a cache line to that of each argument
  codegen::Checks checks = {};

  std::string describe() const;
  TargetDescription target() const;
};

// The CPU levels whose code runs here.
const std::vector<std::string>& levels();

class Compiled {
 public:
  Compiled(loops::Program program, const Variant& variant);
  // Every argument after one run, by its buffer's name. Throws Failure where the code left a buffer.
  Tensors run(const Bindings& bindings, int64_t batch, int threads) const;
  const loops::Program& program() const { return program_; }

 private:
  loops::Program program_;
  Variant variant_;
  std::unique_ptr<codegen::CompiledProgram> code_;
};

Array array_of(const Tensor& tensor);

// One training step through the public API, with what was kept from earlier steps: outputs, loss, gradients, and everything that a step
// changes. `afterwards` are the weights as they come back from a file.
Tensors run_step(const std::string& bn_text, const Weights& weights, const Bindings& bindings, int64_t batch, int threads,
                 Weights& afterwards);
// The outputs of a frozen network through the public API.
Tensors run_prediction(const std::string& bn_text, const Weights& weights, const Bindings& bindings, int64_t batch, const Variant& variant);

// The outputs of a frozen network's object file, linked as a shared library with the system's C compiler.
Tensors run_object(const std::string& bn_text, const Weights& weights, const Bindings& bindings, int64_t batch, const Variant& variant);

}  // namespace bnc::fuzz
