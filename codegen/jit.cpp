// Machine code in this process: an object file made as for ahead-of-time compilation, linked by ORC.
#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h>
#include <llvm/Support/MemoryBuffer.h>

#include <cstring>
#include <new>

#include "codegen/arguments.h"
#include "codegen/llvm_support.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

void raise_error(llvm::Error error, const std::string& what) { throw InternalError(what + ": " + llvm::toString(std::move(error))); }

struct LoadedObject::Session {
  std::unique_ptr<llvm::orc::ExecutionSession> execution;
  std::unique_ptr<llvm::orc::ObjectLinkingLayer> linker;
  llvm::orc::JITDylib* library = nullptr;

  Session() {
    auto control = value_or_raise(llvm::orc::SelfExecutorProcessControl::Create(), "starting the JIT");
    execution = std::make_unique<llvm::orc::ExecutionSession>(std::move(control));
    linker = std::make_unique<llvm::orc::ObjectLinkingLayer>(*execution);
    library = &execution->createBareJITDylib("program");
    // What generated code may call is in libc and libm, which this process has loaded.
    library->addGenerator(value_or_raise(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess('\0'), "finding libc"));
  }
  ~Session() {
    if (llvm::Error error = execution->endSession()) llvm::consumeError(std::move(error));
  }
};

LoadedObject::LoadedObject(std::string object) : session_(std::make_unique<Session>()) {
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(object, "program.o");
  if (llvm::Error error = session_->linker->add(*session_->library, std::move(buffer))) raise_error(std::move(error), "loading the program");
}

LoadedObject::~LoadedObject() = default;

void* LoadedObject::find(const std::string& symbol) {
  auto found = value_or_raise(session_->execution->lookup({session_->library}, symbol), "linking the program");
  return found.getAddress().toPtr<void*>();
}

namespace {

struct AlignedFree {
  void operator()(void* memory) const { ::operator delete(memory, std::align_val_t(64)); }
};
using AlignedBytes = std::unique_ptr<void, AlignedFree>;

class JitProgram : public CompiledProgram {
 public:
  JitProgram(const loops::Program& program, const TargetDescription& target) {
    ModuleOptions options;
    for (const loops::Buffer& buffer : program.buffers) options.constant_addresses.push_back(copy_constant(buffer));
    llvm::LLVMContext context;
    auto machine = make_target_machine(target, /*position_independent=*/true);
    auto module = build_module(context, program, target, *machine, options);
    optimize(*module, *machine);
    object_ = std::make_unique<LoadedObject>(emit_file(*module, *machine, llvm::CodeGenFileType::ObjectFile));
    step_ = reinterpret_cast<StepFunction>(object_->find(step_function_name(program)));
  }

  StepFunction step() const override { return step_; }

 private:
  // Constants stay outside of the linked code, so that large weights cost one copy and no relocation.
  const void* copy_constant(const loops::Buffer& buffer) {
    if (buffer.kind != loops::BufferKind::constant) return nullptr;
    std::string bytes = constant_bytes(buffer);
    AlignedBytes memory(::operator new(std::max<size_t>(bytes.size(), 64), std::align_val_t(64)));
    std::memcpy(memory.get(), bytes.data(), bytes.size());
    constants_.push_back(std::move(memory));
    return constants_.back().get();
  }

  std::vector<AlignedBytes> constants_;
  std::unique_ptr<LoadedObject> object_;
  StepFunction step_ = nullptr;
};

}  // namespace

std::unique_ptr<CompiledProgram> jit(const loops::Program& program, const TargetDescription& target) {
  loops::verify(program);
  return std::make_unique<JitProgram>(program, target);
}

}  // namespace bnc::codegen
