// Ahead-of-time output: LLVM IR, assembly and ELF objects.
#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>

#include "codegen/arguments.h"
#include "codegen/llvm_support.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

std::vector<const loops::Buffer*> object_arguments(const loops::Program& program, const ObjectOptions& object) {
  std::vector<const loops::Buffer*> arguments;
  for (const std::vector<std::string>* names : {&object.inputs, &object.outputs}) {
    for (const std::string& name : *names) {
      int id = program.find_buffer(name);
      BNC_CHECK(id >= 0 && program.buffers[id].kind == loops::BufferKind::argument, "no argument buffer '" + name + "'");
      arguments.push_back(&program.buffers[id]);
    }
  }
  for (const loops::Buffer& buffer : program.buffers) {
    bool listed = std::ranges::find(arguments, &buffer) != arguments.end();
    BNC_CHECK(listed || buffer.kind != loops::BufferKind::argument, "argument '" + buffer.name + "' is no input or output of the object");
  }
  return arguments;
}

bool needs_workspace(const loops::Program& program) { return program.workspace_bytes(1, 1) > 0; }

int64_t largest_batch(const loops::Program& program) {
  int64_t bytes = program.workspace_bytes(1, 1);
  for (const loops::Buffer& buffer : program.buffers) bytes = std::max(bytes, 8 * buffer.elements.factor);
  return (int64_t{1} << 62) / std::max<int64_t>(bytes, 1);
}

namespace {

// The module of a program, optimized, with what made it.
struct Compilation {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> module;

  Compilation(const loops::Program& program, const TargetDescription& target, const ObjectOptions* object) {
    loops::verify(program);
    machine = make_target_machine(target, !object || object->position_independent);
    ModuleOptions options;
    options.object = object;
    module = build_module(context, program, target, *machine, options);
    std::string problems;
    llvm::raw_string_ostream stream(problems);
    BNC_CHECK(!llvm::verifyModule(*module, &stream), problems);
    optimize(*module, *machine);
  }
};

}  // namespace

std::string emit_llvm(const loops::Program& program, const TargetDescription& target, const ObjectOptions* object) {
  Compilation compilation(program, target, object);
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << *compilation.module;
  return text;
}

std::string emit_assembly(const loops::Program& program, const TargetDescription& target, const ObjectOptions* object) {
  Compilation compilation(program, target, object);
  return emit_file(*compilation.module, *compilation.machine, llvm::CodeGenFileType::AssemblyFile);
}

std::string emit_object(const loops::Program& program, const TargetDescription& target, const ObjectOptions& object) {
  Compilation compilation(program, target, &object);
  return emit_file(*compilation.module, *compilation.machine, llvm::CodeGenFileType::ObjectFile);
}

}  // namespace bnc::codegen
