// What the files of codegen share among themselves; the only header that shows LLVM's types.
#pragma once

#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/CodeGen.h>
#include <llvm/Support/Error.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>
#include <vector>

#include "codegen/codegen.h"

namespace bnc::codegen {

// The machine code generator of a target; registers LLVM's x86 target on first use.
std::unique_ptr<llvm::TargetMachine> make_target_machine(const TargetDescription& target, bool position_independent);

// What a module is built for: the JIT, where `constant_addresses` has the data of each constant buffer, or an object.
struct ModuleOptions {
  const ObjectOptions* object = nullptr;
  std::vector<const void*> constant_addresses;  // by buffer number; empty: constants are embedded
  // Which kernels this module holds: those of `part`; the others are declared. Part 0 has the step function. Empty: all.
  std::vector<int> kernel_parts;
  int part = 0;
};

// Name of the function of type StepFunction in a module built without `object`.
std::string step_function_name(const loops::Program& program);

// LLVM IR of a verified program, not yet optimized.
std::unique_ptr<llvm::Module> build_module(llvm::LLVMContext& context, const loops::Program& program, const TargetDescription& target,
                                           llvm::TargetMachine& machine, const ModuleOptions& options);

// The pipeline of passes that follows; see optimize.cpp.
void optimize(llvm::Module& module, llvm::TargetMachine& machine);

// The optimized module as an ELF object or as assembly text.
std::string emit_file(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType type);

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

// LLVM's errors are ours: nothing a user wrote makes LLVM fail.
[[noreturn]] void raise_error(llvm::Error error, const std::string& what);
template <typename T>
T value_or_raise(llvm::Expected<T> value, const std::string& what) {
  if (!value) raise_error(value.takeError(), what);
  return std::move(*value);
}

}  // namespace bnc::codegen
