// Machine code in this process: an object file made as for ahead-of-time compilation, linked by ORC.
#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h>
#include <llvm/Support/MemoryBuffer.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <future>
#include <new>
#include <thread>

#include "codegen/arguments.h"
#include "codegen/llvm_support.h"
#include "codegen/partition.h"
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

LoadedObject::LoadedObject(const std::vector<std::string>& objects) : session_(std::make_unique<Session>()) {
  for (const std::string& object : objects) {
    auto buffer = llvm::MemoryBuffer::getMemBufferCopy(object, "program" + std::to_string(&object - objects.data()));
    if (llvm::Error error = session_->linker->add(*session_->library, std::move(buffer))) raise_error(std::move(error), "loading the program");
  }
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

// One part of a program as an object file; each call has an LLVM context of its own.
std::string compile_part(const loops::Program& program, const TargetDescription& target, const ModuleOptions& options) {
  llvm::LLVMContext context;
  auto machine = make_target_machine(target, /*position_independent=*/true);
  auto module = build_module(context, program, target, *machine, options);
  optimize(*module, *machine);
  return emit_file(*module, *machine, llvm::CodeGenFileType::ObjectFile);
}

class JitProgram : public CompiledProgram {
 public:
  JitProgram(const loops::Program& program, const TargetDescription& target, int threads) {
    if (threads <= 0) threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, most_threads);
    ModuleOptions options;
    for (const loops::Buffer& buffer : program.buffers) options.constant_addresses.push_back(copy_constant(buffer));
    options.kernel_parts = partition(program, threads);
    int parts = 1;
    for (int part : options.kernel_parts) parts = std::max(parts, part + 1);

    std::vector<std::future<std::string>> others;
    for (options.part = 1; options.part < parts; ++options.part) {
      others.push_back(std::async(std::launch::async, compile_part, std::cref(program), std::cref(target), options));
    }
    options.part = 0;
    std::vector<std::string> objects{compile_part(program, target, options)};
    for (std::future<std::string>& other : others) objects.push_back(other.get());
    object_ = std::make_unique<LoadedObject>(objects);
    step_ = reinterpret_cast<StepFunction>(object_->find(step_function_name(program)));
  }

  StepFunction step() const override { return step_; }

 private:
  static constexpr int most_threads = 4;

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

std::unique_ptr<CompiledProgram> jit(const loops::Program& program, const TargetDescription& target, int threads) {
  loops::verify(program);
  return std::make_unique<JitProgram>(program, target, threads);
}

}  // namespace bnc::codegen
