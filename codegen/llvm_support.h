// What the files of codegen share among themselves; the only header that shows LLVM's types.
#pragma once

#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/CodeGen.h>
#include <llvm/Support/Error.h>
#include <llvm/Target/TargetMachine.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "codegen/checks.h"
#include "codegen/codegen.h"
#include "codegen/equal_kernels.h"

namespace bnc::codegen {

// The machine code generator of a target; registers LLVM's x86 target on first use.
std::unique_ptr<llvm::TargetMachine> make_target_machine(const TargetDescription& target, bool position_independent, bool quick = false);

// Where the constants that kernels read lie in one block of an object's read-only data.
struct ConstantBlock {
  std::vector<int64_t> offsets;  // by buffer number; -1: not there
  int64_t bytes = 0;
  bool large = false;            // it may lie 2 GiB and more from the code
  const char* section() const { return large ? ".lrodata.constants" : ".rodata.constants"; }
};

// What a module is built for: the JIT, where `constant_addresses` has the data of each constant buffer, or an object.
struct ModuleOptions {
  const KernelFunctions* functions = nullptr;
  const ObjectOptions* object = nullptr;
  std::vector<const void*> constant_addresses;  // by buffer number; empty: constants are in the module
  const ConstantBlock* block = nullptr;         // the module leaves room for the constants, filled with zeros; null: it holds them
  bool profile = false;
  Checks checks = {};                           // of the JIT only
  FaultRecord* faults = nullptr;                // where Checks::bounds reports to
  // Which kernels this module holds: those of `part`; the others are declared. Part 0 has the step function. Empty: all.
  std::vector<int> kernel_parts;
  int part = 0;
};

// Name of the function of type StepFunction in a module built without `object`.
std::string step_function_name(const loops::Program& program);

// LLVM IR of a verified program, not yet optimized.
std::unique_ptr<llvm::Module> build_module(llvm::LLVMContext& context, const loops::Program& program, const TargetDescription& target,
                                           llvm::TargetMachine& machine, const ModuleOptions& options);

// InternalError where LLVM's verifier finds fault with it.
void check_module(const llvm::Module& module);

// The pipeline of passes that follows; see optimize.cpp.
void optimize(llvm::Module& module, llvm::TargetMachine& machine);

// The optimized module as an ELF object or as assembly text, of about `expected_bytes`.
std::string emit_file(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType type, int64_t expected_bytes = 0);

// Milliseconds since it was made, or since the last lap.
class LapTimer {
 public:
  double lap() {
    const Clock::time_point now = Clock::now();
    return std::chrono::duration<double, std::milli>(now - std::exchange(start_, now)).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

// Links object files in this process and keeps them there.
class LoadedObject {
 public:
  explicit LoadedObject(const std::vector<std::string>& objects);
  ~LoadedObject();
  void* find(const std::string& symbol);

 private:
  struct Session;
  std::unique_ptr<Session> session_;
};

// What the system refused, as memory, is raised as std::system_error. LLVM's other errors are ours: nothing a user wrote makes
// LLVM fail.
[[noreturn]] void raise_error(llvm::Error error, const std::string& what);
template <typename T>
T value_or_raise(llvm::Expected<T> value, const std::string& what) {
  if (!value) raise_error(value.takeError(), what);
  return std::move(*value);
}

}  // namespace bnc::codegen
