// Ahead-of-time output: LLVM IR, assembly and ELF objects.
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <unordered_map>

#include "codegen/arguments.h"
#include "codegen/llvm_support.h"
#include "ir/diagnostic.h"
#include "ir/loops_placement.h"

namespace bnc::codegen {

std::vector<const loops::Buffer*> object_arguments(const loops::Program& program, const ObjectOptions& object) {
  std::vector<const loops::Buffer*> arguments;
  std::unordered_map<std::string, const loops::Buffer*> known;
  for (const loops::Buffer& buffer : program.buffers) {
    if (buffer.kind == loops::BufferKind::argument) known.emplace(buffer.name, &buffer);
  }
  for (const std::vector<std::string>* names : {&object.inputs, &object.outputs}) {
    for (const std::string& name : *names) {
      const auto found = known.find(name);
      BNC_CHECK(found != known.end(), "no argument buffer '" + name + "'");
      arguments.push_back(found->second);
    }
  }
  for (const loops::Buffer* listed : arguments) known.erase(listed->name);
  BNC_CHECK(known.empty(), "argument '" + known.begin()->first + "' is no input or output of the object");
  return arguments;
}

bool needs_workspace(const loops::Program& program) { return program.workspace_bytes(1, 1) > 0; }

int64_t workspace_bytes(const loops::Program& program, int64_t n) {
  return program.arena_bytes + n * program.arena_bytes_per_example + program.scratch_bytes +
         (needs_workspace(program) ? workspace_slack : 0);
}

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

  Compilation(const loops::Program& program, const TargetDescription& target, const ObjectOptions* object, const KernelFunctions& functions,
              const ConstantBlock* block = nullptr, const OnTime& on_time = {}) {
    auto tell = [&](const char* stage, double milliseconds) {
      if (on_time) on_time(stage, milliseconds);
    };
    LapTimer watch;
    loops::verify(program);
    loops::verify_placement(program);
    tell("verify loops", watch.lap());
    machine = make_target_machine(target, !object || object->position_independent);
    ModuleOptions options;
    options.functions = &functions;
    options.object = object;
    options.block = block;
    module = build_module(context, program, target, *machine, options);
    tell("emit LLVM IR", watch.lap());
    check_module(*module);
    optimize(*module, *machine);
    tell("optimize", watch.lap());
  }
};

// Room for each constant that a kernel reads.
ConstantBlock plan_constants(const loops::Program& program, const KernelFunctions& functions) {
  ConstantBlock block;
  block.offsets.assign(program.buffers.size(), -1);
  for (const std::vector<int>& buffers : functions.buffers) {
    for (int id : buffers) {
      const loops::Buffer& buffer = program.buffers[static_cast<size_t>(id)];
      if (buffer.kind != loops::BufferKind::constant || block.offsets[static_cast<size_t>(id)] >= 0) continue;
      block.offsets[static_cast<size_t>(id)] = block.bytes;
      block.bytes += (static_cast<int64_t>(buffer.data.size()) * 4 + 63) / 64 * 64;
    }
  }
  return block;
}

// Where the section of constants begins in an ELF object.
size_t offset_of_constants(const std::string& object, const ConstantBlock& block) {
  auto file = value_or_raise(llvm::object::ObjectFile::createELFObjectFile(llvm::MemoryBufferRef(object, "object")),
                             "reading the object back");
  for (const llvm::object::ELFSectionRef section : file->sections()) {
    if (value_or_raise(section.getName(), "reading the object back") == block.section()) return section.getOffset();
  }
  throw InternalError("the object has no section of constants");
}

}  // namespace

std::string emit_llvm(const loops::Program& program, const TargetDescription& target, const ObjectOptions* object) {
  const KernelFunctions functions = find_equal_kernels(program);
  Compilation compilation(program, target, object, functions);
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << *compilation.module;
  return text;
}

std::string emit_assembly(const loops::Program& program, const TargetDescription& target, const ObjectOptions* object) {
  const KernelFunctions functions = find_equal_kernels(program);
  Compilation compilation(program, target, object, functions);
  return emit_file(*compilation.module, *compilation.machine, llvm::CodeGenFileType::AssemblyFile);
}

// The constants are filled in at the end: LLVM would copy them several times.
std::string emit_object(const loops::Program& program, const TargetDescription& target, const ObjectOptions& object) {
  constexpr int64_t room_for_code = 1 << 20;
  const KernelFunctions functions = find_equal_kernels(program);
  ConstantBlock block = plan_constants(program, functions);
  block.large = block.bytes >= object.large_constants;
  Compilation compilation(program, target, &object, functions, &block, object.on_time);
  LapTimer watch;
  std::string bytes = emit_file(*compilation.module, *compilation.machine, llvm::CodeGenFileType::ObjectFile, block.bytes + room_for_code);
  if (object.on_time) object.on_time("generate machine code", watch.lap());
  if (block.bytes == 0) return bytes;
  const size_t begin = offset_of_constants(bytes, block);
  for (size_t id = 0; id < program.buffers.size(); ++id) {
    if (block.offsets[id] >= 0) write_constant(program.buffers[id], bytes.data() + begin + block.offsets[id]);
  }
  if (object.on_time) object.on_time("fill in constants", watch.lap());
  return bytes;
}

}  // namespace bnc::codegen
